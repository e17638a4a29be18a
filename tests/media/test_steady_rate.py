"""Measured rates with keyframes, rises and falls in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from media.steady_rate import SteadyRate


def steady(rate_bps: Callable[[float], int], until_s: float) -> list[int]:
    rate = SteadyRate()
    return [rate.handle_reading(rate_bps(tick / 10), tick / 10) for tick in range(round(until_s * 10))]


def test_a_keyframe_is_no_rise() -> None:
    assert set(steady(lambda now: 350_000 if 3 <= now % 5 < 3.6 else 200_000, 20)) == {200_000}


@pytest.mark.parametrize(("after_bps", "within_s"), [(400_000, 1.0), (50_000, 0.5), (0, 0.1)])
def test_a_rise_counts_once_it_lasts_and_a_fall_soon(after_bps: int, within_s: float) -> None:
    rates = steady(lambda now: after_bps if now >= 5 else 200_000, 8)
    assert rates[49] == 200_000 and rates[round((5 + within_s) * 10) :] == [after_bps] * round(
        (3 - within_s) * 10
    )


def test_what_begins_again_is_not_what_it_was() -> None:
    rate = SteadyRate()
    assert [rate.handle_reading(bps, 0.1 * tick) for tick, bps in enumerate([900, 900, 0, 100])] == [
        900,
        900,
        0,
        100,
    ]
