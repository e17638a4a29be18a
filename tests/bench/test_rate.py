"""How the rate table judges what it measured."""

from dataclasses import replace

import pytest

from tests.bench.measure_rate import FRESH_S, REACHES, ROWS, SCENARIOS, Outcome, full_after_s
from tests.bench.page_reading import Watched
from tests.link import Counters

WELL = Outcome(
    watched=Watched(
        seconds=25,
        frame_rate=25,
        frozen=0,
        longest_stand_s=0.05,
        concealed=0.002,
        height=360,
        their_frozen=0,
        short_of_cpu=0,
        short_of_rate=0,
        link=Counters(waits_ms=[100]),
    ),
    use=0.9,
)
STILLS = replace(WELL, watched=replace(WELL.watched, frame_rate=0.5, frozen=1, longest_stand_s=3))


def frames(start_s: float, end_s: float, lines: int, *, rate: float = 25) -> list[tuple[float, int]]:
    return [(start_s + index / rate, lines) for index in range(round((end_s - start_s) * rate))]


def test_every_row_has_a_name_of_its_own() -> None:
    assert len(set(ROWS)) == len(ROWS)
    assert all(scenario.conditions.overhead_bytes == 28 for scenario in SCENARIOS), "headers count"


def test_a_good_call_holds_every_reach() -> None:
    assert all(reach.is_held_by(WELL) for reach in REACHES.values())


@pytest.mark.parametrize(
    "worse",
    [
        replace(WELL, watched=replace(WELL.watched, frame_rate=11.9)),
        replace(WELL, watched=replace(WELL.watched, frozen=0.001)),
        replace(WELL, watched=replace(WELL.watched, concealed=0.011)),
        replace(WELL, watched=replace(WELL.watched, link=Counters(waits_ms=[0] * 151 + [1]))),
        replace(WELL, use=0.79),
    ],
)
def test_each_part_of_a_reach_can_be_missed(worse: Outcome) -> None:
    assert not REACHES["downlink", 300].is_held_by(worse)


def test_stills_hold_where_nothing_more_fits_if_they_are_fresh() -> None:
    stale = replace(STILLS, watched=replace(STILLS.watched, longest_stand_s=FRESH_S + 0.1))
    assert REACHES["downlink", 100].is_held_by(STILLS)
    assert not REACHES["downlink", 100].is_held_by(stale)
    assert not REACHES["downlink", 300].is_held_by(STILLS)
    assert "none older than 3.0 s" in str(STILLS) and "older" not in str(WELL)


def test_a_picture_is_full_again_when_size_and_rate_are_for_a_second() -> None:
    small, slow, full = frames(0, 14, 180), frames(14, 16, 360, rate=8), frames(16, 25, 360)
    assert full_after_s(small + slow + full, 10, 25, 360, 25) == pytest.approx(5.8, abs=0.3)
    assert full_after_s(small + slow, 10, 16, 360, 25) is None
    assert full_after_s(small + full, 10, 25, None, 25) is None, "nothing was there before"
    flickering = small + frames(14, 14.5, 360) + frames(14.5, 15, 180) + frames(15, 25, 360)
    assert full_after_s(flickering, 10, 25, 360, 25) == pytest.approx(5, abs=0.01)
