"""The pacer, on virtual time: what it lets pass, what waits how long, and that sound is never asked."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.pacer import BURST_S, MAX_DEBT_S, MAX_WAITING_BYTES, Pacer

START = 1_000_000.0  # seconds: a machine that has been up for eleven days, where floats are coarser
RATE_BPS = 800_000  # 100 bytes a millisecond


def drain(pacer: Pacer[int], until: float = inf) -> list[tuple[float, int]]:
    """What leaves when, if the timer is always on time."""
    left: list[tuple[float, int]] = []
    while (now := pacer.next_deadline) <= until and now < inf:
        passing = pacer.handle_timeout(now)
        assert passing, "a deadline that lets nothing pass comes again at once, and for ever"
        left += [(now, item) for item in passing]
    return left


def test_what_is_sent_below_the_rate_never_waits() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)

    assert all(pacer.may_pass(1_000, START + number * 0.01) for number in range(1_000))
    assert pacer.next_deadline == inf and pacer.waiting_s == 0


def test_a_burst_leaves_at_the_rate_and_in_its_order() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    assert pacer.may_pass(1_001, START)
    for number in range(50):
        assert not pacer.may_pass(1_000, START)
        pacer.queue(number, 1_000, START)

    assert pacer.waiting_bytes == 50_000 and pacer.waiting_s == pytest.approx(0.5)
    left = drain(pacer)
    assert [item for _, item in left] == list(range(50))
    assert left[-1][0] == pytest.approx(START + 0.5 - BURST_S, abs=1e-4)
    assert all(later - sooner <= 0.01 + 1e-6 for (sooner, _), (later, _) in pairwise(left))
    assert pacer.waiting_bytes == 0 and pacer.next_deadline == inf


def test_what_comes_while_something_waits_stands_behind_it() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    pacer.book(10_000, START)
    pacer.queue(1, 100, START)

    assert not pacer.may_pass(100, START + 10), "it would overtake"


def test_sound_is_not_delayed_but_counts() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    for number in range(50):
        pacer.queue(number, 1_000, START)
    for number in range(26):  # half the rate is sound
        now = START + number * 0.02
        pacer.handle_timeout(now)
        pacer.book(1_000, now)

    assert pacer.waiting_bytes == pytest.approx(25_000, abs=2_000)


def test_sound_above_the_rate_does_not_run_into_debt_without_end() -> None:
    pacer = Pacer[int](rate_bps=16_000)
    for number in range(3_000):  # a minute of 40 kbit/s
        pacer.book(100, START + number * 0.02)
    pacer.queue(1, 1_000, START + 60)

    assert pacer.next_deadline <= START + 60 + MAX_DEBT_S


def test_a_pause_saves_nothing_up() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    pacer.may_pass(1_000, START)
    sent = sum(pacer.may_pass(1_000, START + 3_600) for _ in range(100))

    assert sent <= 1 + BURST_S * RATE_BPS / 8 / 1_000


def test_a_higher_rate_empties_what_waits_sooner() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    pacer.book(5_000, START)
    pacer.queue(1, 1_000, START)
    slow = pacer.next_deadline
    pacer.rate_bps = 10 * RATE_BPS

    assert pacer.next_deadline < slow
    assert pacer.handle_timeout(pacer.next_deadline) == [1]


def test_a_rate_of_nothing_still_ends() -> None:
    pacer = Pacer[int](rate_bps=0)
    pacer.queue(1, 1_000, START)
    pacer.queue(2, 1_000, START)

    assert [item for _, item in drain(pacer)] == [1, 2]


def test_what_is_gone_is_dropped_and_the_rest_keeps_its_order() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    for number in range(10):
        pacer.queue(number, 100 + number, START)

    assert pacer.forget(lambda number: number % 2 == 0) == 5
    assert pacer.waiting_bytes == 101 + 103 + 105 + 107 + 109
    assert [item for _, item in drain(pacer)] == [1, 3, 5, 7, 9]
    assert pacer.forget(lambda _: True) == 0


def test_what_does_not_fit_any_more_is_dropped_and_said() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    waiting = sum(pacer.queue(number, 1_000, START) for number in range(1_000))

    assert waiting == MAX_WAITING_BYTES // 1_000
    assert len(drain(pacer)) == waiting


@given(
    rate_bps=st.integers(10_000, 20_000_000),
    steps=st.lists(
        st.tuples(st.sampled_from(("picture", "sound")), st.integers(1, 1_500), st.floats(0, 0.1)),
        max_size=60,
    ),
)
def test_no_stretch_of_pictures_is_faster_than_the_rate(
    rate_bps: int, steps: list[tuple[str, int, float]]
) -> None:
    pacer = Pacer[int](rate_bps=rate_bps)
    now, sent, number = START, list[tuple[float, int]](), 0
    sizes: dict[int, int] = {}
    for kind, size_bytes, gap in steps:
        now += gap
        sent += [(when, sizes[item]) for when, item in drain(pacer, now)]
        if kind == "sound":
            pacer.book(size_bytes, now)
        elif pacer.may_pass(size_bytes, now):
            sent.append((now, size_bytes))
        else:
            number += 1
            sizes[number] = size_bytes
            assert pacer.queue(number, size_bytes, now)
    sent += [(when, sizes[item]) for when, item in drain(pacer)]

    for first in range(len(sent)):
        total = 0
        for when, size_bytes in sent[first:]:
            # all before the last item of a stretch fits the burst and what has leaked since its first
            assert total <= rate_bps / 8 * (when - sent[first][0] + BURST_S) + 1
            total += size_bytes


def test_what_was_dropped_on_the_way_need_not_be_waited_for() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    pacer.book(10_000, START)
    pacer.queue(1, 1_000, START)

    pacer.forgive(3_000, START)
    assert pacer.next_deadline == pytest.approx(START + 0.03 - BURST_S, abs=1e-4)
    pacer.forgive(5_000, START)
    assert pacer.next_deadline == pytest.approx(START + 0.03 - BURST_S, abs=1e-4), "it adds nothing"


def test_there_is_room_for_what_leaks_in_time() -> None:
    pacer = Pacer[int](rate_bps=RATE_BPS)
    assert pacer.room_bytes(0.2, START) == pytest.approx(20_000)
    pacer.book(25_000, START)
    assert pacer.room_bytes(0.2, START) == pytest.approx(-5_000)
    assert pacer.room_bytes(0.2, START + 0.1) == pytest.approx(5_000)
