"""Probes: how large, how often, and what their arrival says."""

from collections.abc import Callable

import pytest

from media.probing import (
    LONGEST_DISTRUST_S,
    LONGEST_PAUSE_S,
    MAX_PACKET_BYTES,
    MIN_PACKETS,
    Outcome,
    Prober,
    probe_at,
)

MASK = 63
SIZE_BYTES = 300


@pytest.mark.parametrize("rate_kbps", [30, 100, 300, 1000, 4000, 20_000])
def test_a_probe_is_long_enough_to_measure_and_short_enough_not_to_hurt(rate_kbps: int) -> None:
    probe = probe_at(rate_kbps * 1000)
    takes_s = probe.packets * probe.packet_bytes * 8 / probe.bitrate_bps

    assert probe.packets >= MIN_PACKETS and probe.packet_bytes <= MAX_PACKET_BYTES
    assert takes_s <= 0.085
    assert takes_s >= 0.035 or rate_kbps > 2000


def outcome(
    arrival: Callable[[int], float | None], *, packets: int = 10, inherent_loss: float = 0.0
) -> Outcome | None:
    """Of packets sent 2.4 ms apart (1 Mbit/s); `arrival` by place, None is lost."""
    prober = Prober(0.0)
    sent, arrived, sizes = [0.0] * 64, [0.0] * 64, [0] * 64
    for place in range(packets):
        number = (60 + place) & MASK
        when = arrival(place)
        sent[number] = 5 + place * 0.0024
        arrived[number], sizes[number] = (9 + when, -SIZE_BYTES) if when is not None else (0, SIZE_BYTES)
    prober.handle_sent(60, 60 + packets - 1, 0.1, 5.1)
    result = prober.handle_feedback(60 + packets - 1, sent, arrived, sizes, MASK, inherent_loss, 5.2)
    assert not prober.is_under_way
    return result


def test_what_arrives_as_it_was_sent_shows_that_so_much_is_carried() -> None:
    result = outcome(lambda place: place * 0.0024)

    assert result is not None and not result.is_saturated
    assert result.bitrate_bps == pytest.approx(1_000_000, rel=0.01)


def test_what_arrives_slower_shows_what_is_carried_and_nine_tenths_are_taken() -> None:
    result = outcome(lambda place: place * 0.0048)

    assert result is not None and result.is_saturated
    assert result.bitrate_bps == pytest.approx(450_000, rel=0.01)
    assert result.carried_bps == pytest.approx(500_000, rel=0.01)


def test_what_arrives_in_one_go_is_not_believed_beyond_what_was_sent() -> None:
    result = outcome(lambda _: 0.0)

    assert result is not None and result.bitrate_bps == pytest.approx(1_000_000, rel=0.01)


def test_a_probe_of_which_too_much_is_lost_measures_nothing() -> None:
    assert outcome(lambda place: place * 0.0024 if place % 3 else None) is None


def test_loss_that_is_known_does_not_spoil_a_probe() -> None:
    assert outcome(lambda place: place * 0.0024 if place % 4 else None, inherent_loss=0.3) is not None


def test_a_probe_whose_end_is_never_told_ends_nevertheless() -> None:
    prober = Prober(0.0)
    prober.handle_sent(0, 9, 0.1, 1.0)
    blank = [0] * 64

    assert prober.handle_feedback(5, blank, blank, blank, MASK, 0.0, 1.5) is None
    assert prober.is_under_way
    assert prober.handle_feedback(5, blank, blank, blank, MASK, 0.0, 2.2) is None
    assert not prober.is_under_way


def play(prober: Prober, now: float, *, gap_s: float) -> None:
    sent = [now + place * 0.0024 for place in range(10)]
    arrived = [now + place * gap_s for place in range(10)]
    prober.handle_sent(0, 9, 0.1, now)
    prober.handle_feedback(9, sent, arrived, [-SIZE_BYTES] * 10, 15, 0.0, now + 0.1)


def test_behind_a_success_the_next_is_due_at_once_behind_failures_ever_later() -> None:
    prober = Prober(0.0)
    play(prober, 10.0, gap_s=0.0024)
    assert prober.due - 10.1 < 0.5

    pauses = []
    for attempt in range(5):
        now = 20.0 + attempt * 10
        play(prober, now, gap_s=0.0048)
        pauses.append(round(prober.due - now - 0.1, 3))
    assert pauses == sorted(pauses)
    assert pauses[0] < 2 and pauses[-1] == pytest.approx(LONGEST_PAUSE_S)


def test_a_success_that_is_followed_by_a_cut_was_none() -> None:
    prober = Prober(0.0)
    pauses = []
    for attempt in range(8):
        now = 100.0 + attempt * 40
        play(prober, now, gap_s=0.0024)
        prober.handle_cut(now + 1, now + 1)
        pauses.append(round(prober.due - now - 1, 3))

    assert prober.is_doubted
    assert pauses == sorted(pauses) and pauses[-1] == pytest.approx(LONGEST_DISTRUST_S)
    prober.handle_cut(1000.0, 1000.0)
    assert not prober.is_doubted, "that was long ago"
