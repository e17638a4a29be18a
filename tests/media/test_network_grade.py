"""Levels as tables: what a reading says, and how a level falls and rises."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.network_grade import (
    LEVELS,
    READINGS_TO_RISE,
    GradeReading,
    Level,
    NetworkGrade,
    level_of,
    worst,
)


def reading(
    loss: float | None = 0.0,
    *,
    round_trip_s: float | None = 0.05,
    jitter_s: float = 0.01,
    silent: bool = False,
    pictures: Level = "good",
) -> GradeReading:
    return GradeReading(
        loss=loss, round_trip_s=round_trip_s, jitter_s=jitter_s, silent=silent, pictures=pictures
    )


GOOD, FAIR, WEAK = reading(), reading(0.05), reading(0.2)


@pytest.mark.parametrize(
    ("one", "level"),
    [
        (reading(), "good"),
        (reading(0.029), "good"),
        (reading(0.03), "fair"),
        (reading(0.099), "fair"),
        (reading(0.10), "weak"),
        (reading(1.0), "weak"),
        (reading(round_trip_s=0.299), "good"),
        (reading(round_trip_s=0.3), "fair"),
        (reading(round_trip_s=0.6), "weak"),
        (reading(jitter_s=0.1), "fair"),
        (reading(jitter_s=0.25), "weak"),
        (reading(0.05, round_trip_s=0.7), "weak"),
        (reading(None, round_trip_s=None), "good"),
        (reading(None, round_trip_s=0.4), "fair"),
        (reading(silent=True), "weak"),
        (reading(pictures="fair"), "fair"),
        (reading(0.2, pictures="fair"), "weak"),
        (reading(pictures="weak"), "weak"),
    ],
)
def test_a_reading_is_as_good_as_the_worst_of_its_numbers(one: GradeReading, level: Level) -> None:
    assert level_of(one) == level


@pytest.mark.parametrize(
    ("readings", "levels"),
    [
        ([GOOD, WEAK], "good weak"),
        ([FAIR, WEAK], "fair weak"),
        ([WEAK, GOOD, GOOD, GOOD], "weak weak weak good"),
        ([WEAK, GOOD, GOOD, WEAK, GOOD, GOOD, GOOD], "weak weak weak weak weak weak good"),
        ([WEAK, GOOD, FAIR, GOOD], "weak weak weak fair"),
        ([WEAK, FAIR, FAIR, FAIR, GOOD, GOOD, GOOD], "weak weak weak fair fair fair good"),
        ([FAIR, GOOD, GOOD, FAIR, GOOD, GOOD], "fair fair fair fair fair fair"),
        ([reading(silent=True), GOOD, GOOD, GOOD], "weak weak weak good"),
    ],
)
def test_a_level_falls_at_once_and_rises_slowly(readings: list[GradeReading], levels: str) -> None:
    grade = NetworkGrade()
    assert [grade.handle_reading(one) for one in readings] == levels.split()


@given(st.lists(st.sampled_from([GOOD, FAIR, WEAK]), max_size=60))
def test_a_level_never_rises_within_the_readings_that_it_takes(readings: list[GradeReading]) -> None:
    grade = NetworkGrade()
    shown = [grade.handle_reading(one) for one in readings]
    for place, (before, after) in enumerate(pairwise(shown), start=1):
        if LEVELS.index(after) < LEVELS.index(before):
            lately = [level_of(one) for one in readings[place - READINGS_TO_RISE + 1 : place + 1]]
            assert after == worst(*lately)
    for one, level in zip(readings, shown, strict=True):
        assert LEVELS.index(level) >= LEVELS.index(level_of(one))
