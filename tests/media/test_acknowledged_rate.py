"""What arrives, in bits a second of the other end's clock."""

import pytest

from media.acknowledged_rate import AcknowledgedRate


def test_a_steady_flow_is_measured_exactly() -> None:
    rate = AcknowledgedRate()
    for place in range(40):
        rate.handle_arrivals(7 + place * 0.1, 12_500)

    assert rate.long_bps == pytest.approx(1_000_000) and rate.short_bps() == pytest.approx(1_000_000)
    assert rate.total_bytes == 40 * 12_500


def test_nothing_is_known_at_first() -> None:
    rate = AcknowledgedRate()
    rate.handle_arrivals(7, 12_500)

    assert rate.long_bps == 0 and rate.short_bps() == 0


def test_the_short_rate_follows_at_once_and_the_long_within_half_a_second() -> None:
    rate = AcknowledgedRate()
    for place in range(10):
        rate.handle_arrivals(7 + place * 0.1, 12_500)
    for place in range(10, 12):
        rate.handle_arrivals(7 + place * 0.1, 1_250)
    assert rate.short_bps() == pytest.approx(100_000)
    assert rate.long_bps > 500_000
    for place in range(12, 15):
        rate.handle_arrivals(7 + place * 0.1, 1_250)
    assert rate.long_bps == pytest.approx(100_000)


def test_feedback_that_was_lost_does_not_lower_the_rate() -> None:
    rate = AcknowledgedRate()
    for place in range(40):
        if place % 3 == 1:
            continue  # never told
        if place % 3 == 2:
            rate.handle_gap(7 + (place - 1) * 0.1)
        rate.handle_arrivals(7 + place * 0.1, 12_500)

    assert rate.long_bps == pytest.approx(1_000_000)


def test_a_pause_says_nothing_about_the_rate() -> None:
    rate = AcknowledgedRate()
    for place in range(10):
        rate.handle_arrivals(7 + place * 0.1, 12_500)
    for place in range(3):
        rate.handle_arrivals(60 + place * 0.1, 12_500)

    assert rate.long_bps == pytest.approx(1_000_000)


def test_arrivals_that_are_told_out_of_order_all_count() -> None:
    rate = AcknowledgedRate()
    for place in range(10):
        rate.handle_arrivals(7 + place * 0.1, 10_000)
        rate.handle_arrivals(7 + place * 0.1 - 0.05, 2_500)

    assert rate.long_bps == pytest.approx(1_000_000, rel=0.05)
