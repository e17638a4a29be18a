from __future__ import annotations

import pytest

from media.repair_time import LONGEST_MS, READINGS_TO_SHRINK, RepairTime, repair_time_ms


@pytest.mark.parametrize(
    ("loss", "round_trip_s", "wait_ms"),
    [
        pytest.param(0.0, 0.4, 0, id="a long way without loss costs nothing"),
        pytest.param(0.005, 0.08, 0, id="a packet now and then is not worth a later answer"),
        pytest.param(0.1, 0.08, 350, id="three rounds at 10 %"),
        pytest.param(0.2, 0.08, 450, id="four at 20 %"),
        pytest.param(0.3, 0.08, 550, id="five at 30 %"),
        pytest.param(0.5, 0.08, 650, id="six at 50 %"),
        pytest.param(0.3, 0.4, LONGEST_MS, id="a conversation has an end"),
    ],
)
def test_the_wait_is_as_long_as_the_rounds_of_repair(loss: float, round_trip_s: float, wait_ms: int) -> None:
    assert repair_time_ms(loss, round_trip_s) == wait_ms


def test_it_grows_at_once_and_shrinks_when_the_loss_has_stayed_away() -> None:
    time = RepairTime()
    assert time.handle_reading(0.1, 0.08) == 350
    assert time.handle_reading(0.3, 0.08) == 550
    held = [time.handle_reading(0.1 if step == 3 else 0.0, 0.08) for step in range(READINGS_TO_SHRINK)]
    assert held == [550] * (READINGS_TO_SHRINK - 1) + [350]
    assert [time.handle_reading(0.0, 0.08) for _ in range(READINGS_TO_SHRINK)][-1] == 0


def test_a_wave_of_loss_keeps_the_wait_as_it_is() -> None:
    time = RepairTime()
    waits = [time.handle_reading(0.3 if step % 8 == 0 else 0.0, 0.08) for step in range(40)]
    assert set(waits) == {550}
