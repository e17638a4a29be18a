"""When which checkpoint goes to which witness: rounds, retries, and what a refusal means. Virtual time."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.checkpoint import CheckpointSigner
from server.evidence.merkle import Frontier
from server.witness_messages import Answer, Conflict, Failed, Inconsistent, Refused, Signed
from server.witnessing import (
    GAP_S,
    MAX_CONFLICTS,
    MAX_REFUSED_RETRY_S,
    MAX_RETRY_S,
    REFUSED_RETRY_S,
    RETRY_S,
    Keep,
    Output,
    Standing,
    Submit,
    Tell,
    Witnessing,
)
from tests.server.evidence.local_witness import WITNESSES, LocalWitness
from tests.server.evidence.sample_case import SIGNER

FIRST, SECOND = WITNESSES[:2]
BY_NAME = {"A": FIRST, "B": SECOND}


def note_of(tree_size: int, signer: CheckpointSigner = SIGNER) -> str:
    return signer.sign(tree_size, Frontier().root())


def signed(tree_size: int, witness: LocalWitness) -> Signed:
    return Signed(lines=(witness.cosign(note_of(tree_size)),))


class Run:
    """A machine, its clock, and what is on its way."""

    def __init__(
        self, *names: str, log_size: int = 0, kept_size: int = 0, kept_by: tuple[str, ...] = ()
    ) -> None:
        self.machine = Witnessing({name: BY_NAME[name].key for name in names})
        self.now = 100.0
        self.on_way: dict[str, Submit] = {}
        self.outputs = self.take(self.machine.begin(log_size, kept_size, kept_by, self.now))

    def take(self, outputs: list[Output]) -> list[Output]:
        for output in outputs:
            if isinstance(output, Submit):
                assert output.witness not in self.on_way, "one question at a time"
                self.on_way[output.witness] = output
        return outputs

    def grow(self, log_size: int, after_s: float = 0.0) -> list[Output]:
        self.now += after_s
        return self.take(self.machine.handle_log_size(log_size, self.now))

    def wait(self) -> list[Output]:
        """Until the next deadline."""
        deadline = self.machine.next_deadline
        assert deadline is not None and deadline >= self.now
        self.now = deadline
        return self.take(self.machine.handle_time(self.now))

    def answer(self, name: str, answer: Answer | None = None) -> list[Output]:
        """Without an answer, the cosignature that was asked for."""
        size = self.on_way.pop(name).tree_size
        given = signed(size, BY_NAME[name]) if answer is None else answer
        return self.take(self.machine.handle_answer(name, given, note_of(size), self.now))

    def standing(self, name: str = "A") -> Standing:
        return self.machine.standing(name)[0]


def submits(outputs: list[Output]) -> list[tuple[str, int, int]]:
    return [(one.witness, one.old_size, one.tree_size) for one in outputs if isinstance(one, Submit)]


def told(outputs: list[Output]) -> list[Standing]:
    return [one.standing for one in outputs if isinstance(one, Tell)]


def test_an_empty_log_is_nothing_to_cosign() -> None:
    run = Run("A")
    assert run.outputs == [] and run.machine.next_deadline is None


def test_the_first_entry_goes_to_all_at_once_and_the_next_ones_together_after_a_pause() -> None:
    run = Run("A", "B")
    assert submits(run.grow(1)) == [("A", 0, 1), ("B", 0, 1)]
    assert run.grow(2, 0.1) == [] and run.grow(3, 0.1) == []
    (kept, told_of) = run.answer("A")
    assert isinstance(kept, Keep) and (kept.witness, kept.tree_size) == ("A", 1)
    assert kept.line == FIRST.cosign(note_of(1))
    assert told([told_of]) == [Standing.COSIGNING]
    run.answer("B")
    assert run.machine.next_deadline == 100.0 + GAP_S
    assert submits(run.wait()) == [("A", 1, 3), ("B", 1, 3)]
    assert told(run.answer("A")) == [], "nothing has changed"


def test_after_a_pause_of_the_log_an_entry_does_not_wait() -> None:
    run = Run("A")
    run.grow(1)
    run.answer("A")
    assert run.machine.next_deadline is None
    assert submits(run.grow(2, GAP_S)) == [("A", 1, 2)]


def test_what_leaves_the_house_does_not_wait_for_the_pause() -> None:
    run = Run("A")
    run.grow(1)
    run.answer("A")
    assert run.grow(3, 0.1) == []
    assert submits(run.take(run.machine.handle_moment(3, run.now))) == [("A", 1, 3)]


def test_who_is_slow_holds_up_nobody_and_meets_the_others_in_the_round_of_its_answer() -> None:
    run = Run("A", "B")
    run.grow(1)
    run.answer("A")
    run.grow(4)
    assert submits(run.wait()) == [("A", 1, 4)]
    run.answer("A")
    assert submits(run.answer("B")) == [("B", 1, 4)], "the same checkpoint, so that a quorum can meet"


def test_after_a_start_everybody_is_asked_even_if_nothing_is_new() -> None:
    run = Run("A", "B", log_size=9, kept_size=9, kept_by=("A",))
    assert submits(run.outputs) == [("A", 9, 9), ("B", 0, 9)]
    assert run.machine.standing("A")[2] == 9
    run.answer("A")
    assert submits(run.answer("B", Conflict(size=7))) == [("B", 7, 9)], "it names where it is"
    run.answer("B")
    assert run.machine.next_deadline is None


def test_who_knows_a_newer_checkpoint_than_this_round_s_gets_the_newest_at_once() -> None:
    run = Run("A", log_size=5)
    run.grow(9, 0.1)
    assert submits(run.answer("A", Conflict(size=8))) == [("A", 8, 9)]


def test_a_witness_whose_size_cannot_be_followed_is_left_alone_for_a_while() -> None:
    run = Run("A", log_size=9)
    for size in range(1, MAX_CONFLICTS):
        assert submits(run.answer("A", Conflict(size=size))) == [("A", size, 9)]
    assert told(run.answer("A", Conflict(size=MAX_CONFLICTS))) == [Standing.UNREACHABLE]
    assert run.on_way == {}
    assert submits(run.wait()) == [("A", MAX_CONFLICTS, 9)]


def test_who_does_not_answer_is_asked_less_and_less_often_and_always_for_the_newest() -> None:
    run = Run("A", log_size=1)
    assert told(run.answer("A", Failed(error="is away"))) == [Standing.UNREACHABLE]
    waits = []
    for _ in range(10):
        began = run.now
        run.grow(run.machine._log_size + 1)  # rounds go on, and ask nobody before its time
        while not run.on_way:
            run.wait()
        waits.append(run.now - began)
        assert told(run.answer("A", Failed(error="is away"))) == []
    assert waits[:3] == [RETRY_S, 2 * RETRY_S, 4 * RETRY_S]
    assert waits[-1] == MAX_RETRY_S
    run.wait()
    outputs = run.answer("A")
    assert told(outputs) == [Standing.COSIGNING]
    assert [one.tree_size for one in outputs if isinstance(one, Keep)] == [11]
    run.grow(12, GAP_S)
    run.answer("A", Failed(error="is away"))
    assert run.machine.next_deadline == run.now + RETRY_S, "forgiven"


def test_who_refuses_the_log_is_asked_rarely_and_the_operator_is_told_what_to_do() -> None:
    run = Run("A", log_size=1)
    (tell,) = run.answer("A", Refused(status=404, reason="unknown log origin"))
    assert isinstance(tell, Tell) and tell.standing is Standing.REFUSING
    assert "answered 404 (unknown log origin)" in tell.words and "/log/vkey" in tell.words
    assert run.machine.next_deadline == run.now + REFUSED_RETRY_S
    for _ in range(9):
        run.wait()
        run.answer("A", Refused(status=404, reason="unknown log origin"))
    assert run.machine.next_deadline == run.now + MAX_REFUSED_RETRY_S


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (SECOND.cosign(note_of(1)),),
        (FIRST.cosign(note_of(2)),),
        (LocalWitness(FIRST.key.name, 9).cosign(note_of(1)),),
    ],
    ids=["none", "of another witness", "of another checkpoint", "of another key"],
)
def test_a_cosignature_that_does_not_hold_is_none(lines: tuple[bytes, ...]) -> None:
    run = Run("A", log_size=1)
    outputs = run.answer("A", Signed(lines=lines))
    assert told(outputs) == [Standing.UNREACHABLE]
    assert not [one for one in outputs if isinstance(one, Keep)]


def test_lines_of_strangers_beside_its_own_are_passed_over() -> None:
    run = Run("A", log_size=1)
    outputs = run.answer("A", Signed(lines=(SECOND.cosign(note_of(1)), FIRST.cosign(note_of(1)))))
    assert [one.line for one in outputs if isinstance(one, Keep)] == [FIRST.cosign(note_of(1))]


def test_a_witness_that_is_ahead_of_the_log_is_an_alarm_that_no_silence_takes_back() -> None:
    run = Run("A", log_size=5)
    (tell,) = run.answer("A", Conflict(size=7))
    assert isinstance(tell, Tell) and tell.standing is Standing.AHEAD
    assert "has cosigned 7 entries of this log, which holds 5" in tell.words
    run.wait()
    assert run.on_way["A"].old_size <= run.on_way["A"].tree_size == 5
    assert told(run.answer("A", Failed(error="is away"))) == []
    assert run.standing() is Standing.AHEAD
    run.grow(8)
    while not run.on_way:
        run.wait()
    assert submits(list(run.on_way.values())) == [("A", 7, 8)], "does the log go on from there?"
    assert told(run.answer("A", Inconsistent(reason="no"))) == [Standing.FORKED]


def test_the_alarm_ends_when_the_witness_cosigns_again() -> None:
    run = Run("A", log_size=5)
    run.answer("A", Conflict(size=7))
    run.grow(9)
    while not run.on_way:
        run.wait()
    assert told(run.answer("A")) == [Standing.COSIGNING]


@pytest.mark.parametrize("answer", [Inconsistent(reason="proof"), Conflict(size=5)], ids=["422", "409"])
def test_another_root_under_the_same_size_is_a_fork(answer: Answer) -> None:
    run = Run("A", log_size=5, kept_size=5, kept_by=("A",))
    assert told(run.answer("A", answer)) == [Standing.FORKED]
    assert run.machine.next_deadline == run.now + REFUSED_RETRY_S


ANSWERS = st.sampled_from(
    [None, Failed(error="is away"), Refused(status=403, reason=""), Inconsistent(reason=""), Signed(lines=())]
) | st.integers(0, 40).map(lambda size: Conflict(size=size))
STEPS = st.lists(
    st.tuples(st.just("grow"), st.integers(1, 5), st.floats(0, 9))
    | st.tuples(st.just("answer"), st.sampled_from("AB"), ANSWERS)
    | st.just(("wait",)),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=100, deadline=None)
def test_whatever_witnesses_answer_each_is_asked_one_thing_at_a_time_that_the_log_can_prove(
    steps: list[tuple[Any, ...]],
) -> None:
    run = Run("A", "B")
    size = 0
    for step in steps:
        match step:
            case ("grow", more, after_s):
                size += more
                run.grow(size, after_s)
            case ("answer", name, answer) if name in run.on_way:
                run.answer(name, answer)
            case ("wait",) if run.machine.next_deadline is not None:
                run.now = max(run.now, run.machine.next_deadline)
                run.take(run.machine.handle_time(run.now))
                deadline = run.machine.next_deadline
                assert deadline is None or deadline > run.now, "no deadline comes back without having passed"
        for submit in run.on_way.values():
            assert 0 <= submit.old_size <= submit.tree_size <= size and submit.tree_size > 0
    for _ in range(200):  # a witness that signs whatever it is given is up to date in the end
        for name in list(run.on_way):
            run.answer(name)
        if not run.on_way:
            if run.machine.next_deadline is None:
                break
            run.now = max(run.now, run.machine.next_deadline)
            run.take(run.machine.handle_time(run.now))
    assert [run.machine.standing(name)[2] for name in "AB"] == [size, size]
