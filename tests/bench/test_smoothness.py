"""What counts as a freeze."""

import pytest

from tests.bench.smoothness import frame_rate, frozen_share, longest_stand_s


def frames(start_s: float, end_s: float, rate: float = 30) -> list[float]:
    return [start_s + index / rate for index in range(round((end_s - start_s) * rate))]


def test_an_even_picture_never_freezes_however_slow_it_is() -> None:
    assert frozen_share(frames(0, 10), 2, 10) == 0
    assert frozen_share(frames(0, 20, rate=2), 10, 20) == 0


def test_a_freeze_counts_whole() -> None:
    assert frozen_share([*frames(0, 5), *frames(6, 10)], 0, 10) == pytest.approx(0.1, abs=0.005)


def test_a_short_hesitation_is_no_freeze() -> None:
    assert frozen_share([*frames(0, 5), *frames(5.12, 10)], 0, 10) == 0


def test_a_freeze_counts_as_far_as_it_lies_in_the_window() -> None:
    assert frozen_share([*frames(0, 5), *frames(8, 16)], 6, 16) == pytest.approx(0.2, abs=0.005)


def test_a_picture_that_never_came_was_frozen_all_the_time() -> None:
    assert frozen_share([], 0, 10) == 1
    assert frozen_share(frames(12, 13), 0, 10) == 1


def test_a_picture_that_came_late_or_ended_early_was_frozen_without_it() -> None:
    assert frozen_share(frames(4, 10), 0, 10) == pytest.approx(0.4, abs=0.005)
    assert frozen_share(frames(0, 7), 0, 10) == pytest.approx(0.3, abs=0.005)
    assert frozen_share([1.0], 0, 10) == 1


def test_the_frame_rate_is_that_of_the_window() -> None:
    assert frame_rate(frames(0, 10), 2, 8) == pytest.approx(30)
    assert frame_rate([], 2, 8) == 0


def test_a_picture_that_stands_still_for_seconds_is_frozen_even_if_it_always_does() -> None:
    assert frozen_share(frames(0, 40, rate=0.25), 20, 40) == 1


@pytest.mark.parametrize(
    ("shown", "longest_s"),
    [
        ([], 10),
        (frames(0, 20), 1 / 30),
        ([4.0, 11.0, 13.0, 18.0], 5),  # one frame stood there from 13 to 18, an older one until 11
        ([12.0], 8),  # and the last one to the end
    ],
)
def test_the_longest_stand_is_of_one_picture_within_the_window(shown: list[float], longest_s: float) -> None:
    assert longest_stand_s(shown, 10, 20) == pytest.approx(longest_s)
