"""A mapping that only grows, whose older steps stay as they were."""

from hypothesis import given
from hypothesis import strategies as st

from signaling.ledger import Ledger


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(), st.integers(0, 5))))
def test_each_step_is_the_dict_that_it_would_be(steps: list[tuple[int, int, int]]) -> None:
    made: list[tuple[Ledger[int, int], dict[int, int]]] = [(Ledger(), {})]
    for key, value, back in steps:
        ledger, known = made[max(0, len(made) - 1 - back)]
        made.append((ledger.with_item(key, value), {key: value} | known))
        made[-1] = (made[-1][0], dict([*known.items(), *([] if key in known else [(key, value)])]))
    for ledger, known in made:
        assert dict(ledger) == known and ledger == known
        assert list(ledger) == list(known) and len(ledger) == len(known)
        assert all((key in ledger) == (key in known) for key in range(31))


def test_steps_of_one_line_share_their_memory() -> None:
    first: Ledger[str, int] = Ledger()
    second = first.with_item("a", 1)
    assert second._places is first._places
    fork = first.with_item("b", 2)
    assert fork._places is not first._places and dict(second) == {"a": 1}
