from __future__ import annotations

import gc

from media.forwarder import KeptHead
from media.packet_history import MAX_PACKETS, Kept, PacketHistory
from media.relay import IS_COMPILED


def history_with(*stored: tuple[int, float]) -> PacketHistory:
    """A history of 2 s with (index, time) stored; each packet is its number."""
    history = PacketHistory(window_s=2.0)
    for index, now in stored:
        history.keep(Kept(index.to_bytes(4), now, index=index))
    return history


def test_a_packet_is_given_as_it_came() -> None:
    packet = bytes(range(100))
    history = PacketHistory(window_s=2.0)
    history.keep(Kept(packet, 10.0, index=7))
    assert history.get(7, 10.5) is packet


def test_what_never_came_is_not_given() -> None:
    assert history_with((7, 10.0)).get(8, 10.0) is None


def test_nothing_older_than_the_window_is_given_and_pruning_lets_go_of_it() -> None:
    history = history_with((1, 10.0), (2, 11.0), (3, 12.5))
    assert history.get(1, 12.5) is None
    assert history.get(2, 12.5) is not None
    history.prune(12.5)
    assert [kept.index for kept in history.since(0)] == [2, 3]


def test_a_repair_that_came_late_stays_as_long_as_any_other() -> None:
    history = history_with((1, 10.0), (3, 10.1), (2, 12.0))
    history.prune(12.2)
    assert [kept.index for kept in history.since(0)] == [2]


def test_the_number_of_packets_is_bounded_whatever_a_sender_does() -> None:
    history = history_with(*((number, 10.0) for number in range(MAX_PACKETS + 10)))
    history.prune(10.0)
    assert len(history) == MAX_PACKETS
    assert history.get(9, 10.0) is None
    assert history.get(10, 10.0) is not None


def test_compiled_a_packet_is_nothing_to_the_garbage_collector() -> None:
    assert gc.is_tracked(Kept(b"packet", 10.0)) is not IS_COMPILED
    assert gc.is_tracked(KeptHead(b"head", 12, index=0)) is not IS_COMPILED
