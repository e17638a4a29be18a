from __future__ import annotations

from media.packet_history import MAX_PACKETS, MAX_REPEAT_GATE_S, MIN_REPEAT_GATE_S, PacketHistory


def history_with(*stored: tuple[int, float]) -> PacketHistory:
    """A history of 2 s with (sequence number, time) stored; each packet is its number."""
    history = PacketHistory(window_s=2.0)
    for sequence_number, now in stored:
        history.store(sequence_number, sequence_number.to_bytes(2), now)
    return history


def test_a_packet_is_answered_with_the_very_bytes_that_were_sent() -> None:
    history = PacketHistory(window_s=2.0)
    packet = bytes(range(100))
    history.store(7, packet, 10.0)
    assert history.resend(7, 10.5, 0.05) is packet


def test_what_was_never_sent_is_not_answered() -> None:
    assert history_with((7, 10.0)).resend(8, 10.0, 0.05) is None


def test_nothing_older_than_the_window_is_kept() -> None:
    history = history_with((1, 10.0), (2, 11.0), (3, 12.5))
    assert len(history) == 2
    assert history.resend(1, 12.5, 0.05) is None
    assert history.resend(2, 12.5, 0.05) is not None


def test_the_number_of_packets_is_bounded_whatever_a_sender_does() -> None:
    history = history_with(*((number, 10.0) for number in range(MAX_PACKETS + 10)))
    assert len(history) == MAX_PACKETS
    assert history.resend(9, 10.0, 0.05) is None
    assert history.resend(10, 10.0, 0.05) is not None


def test_a_packet_on_its_way_is_not_sent_again_within_a_round_trip() -> None:
    history = history_with((7, 10.0))
    assert history.resend(7, 10.0, 0.05) is not None
    assert history.resend(7, 10.04, 0.05) is None
    assert history.resend(7, 10.06, 0.05) is not None


def test_the_gate_stays_between_the_shortest_timer_and_a_tenth_of_a_second() -> None:
    for round_trip_s, gate_s in ((0.0, MIN_REPEAT_GATE_S), (5.0, MAX_REPEAT_GATE_S)):
        history = history_with((7, 10.0))
        history.resend(7, 10.0, round_trip_s)
        assert history.resend(7, 10.0 + gate_s - 0.001, round_trip_s) is None
        assert history.resend(7, 10.0 + gate_s + 0.001, round_trip_s) is not None


def test_a_number_that_comes_round_again_names_the_new_packet() -> None:
    history = history_with((7, 10.0))
    history.resend(7, 10.0, 0.05)
    history.store(7, b"new", 13.0)
    assert history.resend(7, 13.0, 0.05) == b"new"
    assert len(history) == 1
