"""The delay detector: what it takes for a queue that grows, stands, or is none."""

from collections.abc import Callable
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.delay_detector import BASE_S, DelayDetector, Usage

START, OFFSET = 50.0, -7_000.0  # the two clocks have nothing to do with each other


def feed(
    detector: DelayDetector, seconds: float, delay: Callable[[float], float], *, since: float = 0.0
) -> list[Usage]:
    """Packets each 10 ms; `delay` by the seconds since the begin. What was said behind each."""
    said: list[Usage] = []
    for place in range(round(seconds * 100)):
        passed = since + place * 0.01
        sent = START + passed
        detector.handle_packet(sent, sent + OFFSET + delay(passed), 500)
        said.append(detector.usage)
    return said


def test_a_delay_that_stays_is_normal() -> None:
    detector = DelayDetector()

    assert set(feed(detector, 10, lambda _: 0.2)) == {"normal"}
    assert detector.queue_s == pytest.approx(0) and detector.base_delay_s == pytest.approx(OFFSET + 0.2)


def test_a_queue_that_grows_is_over_use_within_half_a_second() -> None:
    detector = DelayDetector()
    feed(detector, 2, lambda _: 0.05)
    said = feed(detector, 0.5, lambda passed: 0.05 + 0.2 * (passed - 2), since=2)

    assert "over" in said
    assert detector.queue_s > 0.05


def test_a_queue_that_drains_is_under_use() -> None:
    detector = DelayDetector()
    feed(detector, 2, lambda _: 0.05)
    feed(detector, 0.5, lambda passed: 0.05 + 0.2 * (passed - 2), since=2)
    said = feed(detector, 0.5, lambda passed: 0.15 - 0.2 * (passed - 2.5), since=2.5)

    assert said[-1] == "under"


def test_a_queue_that_stands_is_seen_though_it_does_not_grow() -> None:
    detector = DelayDetector()
    feed(detector, 2, lambda _: 0.05)
    feed(detector, 2, lambda _: 0.15, since=2)

    assert detector.usage == "normal"
    assert detector.queue_s == pytest.approx(0.1)


def test_jitter_alone_leaves_no_queue() -> None:
    detector = DelayDetector()
    random = Random(1)
    taken_for_one = 0
    for place in range(2000):
        usage = feed(detector, 0.01, lambda _: 0.05 + random.uniform(0, 0.03), since=place * 0.01)
        taken_for_one += usage == ["over"] and detector.queue_s > 0.015

    assert taken_for_one < 20


def test_another_way_that_is_longer_becomes_the_base() -> None:
    detector = DelayDetector()
    feed(detector, 1, lambda _: 0.05)
    feed(detector, 2 * BASE_S + 1, lambda _: 0.25, since=1)

    assert detector.queue_s == pytest.approx(0)


def test_a_clock_that_leaps_begins_anew() -> None:
    detector = DelayDetector()
    feed(detector, 2, lambda _: 0.05)
    said = feed(detector, 2, lambda _: 0.05 - 1_073_741.824, since=2)

    assert set(said) == {"normal"} and detector.queue_s == pytest.approx(0)


def test_a_quiet_time_told_at_once_is_a_base_for_what_comes_then() -> None:
    detector = DelayDetector()
    for place in range(30):
        sent = START + place * 0.1
        detector.handle_quiet(sent, sent + OFFSET + 0.051, OFFSET + 0.05)
    assert detector.queue_s == pytest.approx(0) and detector.usage == "normal"

    said = feed(detector, 0.5, lambda passed: 0.05 + 0.2 * (passed - 3), since=3)
    assert "over" in said


@given(
    st.lists(
        st.tuples(st.floats(0, 5), st.one_of(st.floats(-20, 20), st.floats(-1e7, 1e7)), st.booleans()),
        max_size=200,
    )
)
def test_no_times_break_it(packets: list[tuple[float, float, bool]]) -> None:
    detector = DelayDetector()
    sent = START
    for gap, delay, is_quiet in packets:
        sent += gap
        if is_quiet and detector.base_delay_s < inf:
            detector.handle_quiet(sent, sent + detector.base_delay_s, detector.base_delay_s)
        else:
            detector.handle_packet(sent, sent + delay, 100)
        assert detector.queue_s >= 0
