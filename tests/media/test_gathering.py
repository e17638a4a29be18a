from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from media.gathering import MAX_GATHERED, MAX_RUN, Gathering, Outbox, runs
from media.srtp import Protector
from tests.media.client_peer import rtp_packet


def datagrams_of(*sizes: int) -> list[bytes]:
    return [bytes([number % 256]) * size for number, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "cut"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([900], [1], id="one"),
        pytest.param([900, 900, 900], [3], id="a picture in equal parts"),
        pytest.param([900, 900, 500, 900], [3, 1], id="a shorter one ends a run"),
        pytest.param([900, 900, 901, 901], [2, 2], id="a longer one begins the next, as libwebrtc splits"),
        pytest.param([900] * (MAX_RUN + 2), [MAX_RUN, 2], id="a run has an end"),
    ],
)
def test_runs_are_equally_long_but_for_their_last(sizes: list[int], cut: list[int]) -> None:
    assert [len(run) for run in runs(datagrams_of(*sizes))] == cut


@given(st.lists(st.integers(1, 5), max_size=200))
def test_cutting_loses_and_reorders_nothing(sizes: list[int]) -> None:
    datagrams = datagrams_of(*sizes)
    assert [one for run in runs(datagrams) for one in run] == datagrams


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    """One that sends, two that receive."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
        each.settimeout(5)
    yield sockets[0], sockets[1], sockets[2]
    for each in sockets:
        each.close()


class Receiver:
    """A socket, and the keys and the outbox that lead to it."""

    def __init__(self, end: socket.socket, gathering: Gathering) -> None:
        key = os.urandom(30)
        self.end = end
        self.protector = Protector(Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND)))
        self.outbox = Outbox(gathering)
        self.outbox.address = end.getsockname()
        self._session = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND))

    def put(self, packet: bytes) -> None:
        self.outbox.put(self.protector, packet[:12], packet, 12)

    def receive(self, count: int) -> list[bytes]:
        return [self._session.unprotect(self.end.recv(2048)) for _ in range(count)]

    def assert_nothing_more(self) -> None:
        self.end.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.end.recv(2048)


def packets_of(*sizes: int) -> list[bytes]:
    return [rtp_packet(ssrc=1, sequence_number=number, size_bytes=size) for number, size in enumerate(sizes)]


Ends = tuple[socket.socket, socket.socket, socket.socket]


def test_each_receiver_gets_its_own_packets_in_order(ends: Ends) -> None:
    gathering = Gathering(ends[0])
    one, other = (Receiver(end, gathering) for end in ends[1:])
    packets = packets_of(900, 900, 900, 300, 80, 80, 901)
    for packet in packets:
        one.put(packet)
        other.put(packet[:12] + packet[:11:-1])
    assert gathering.flush() == 0
    assert gathering.flush() == 0
    assert one.receive(len(packets)) == packets
    assert other.receive(len(packets)) == [packet[:12] + packet[:11:-1] for packet in packets]
    one.assert_nothing_more()
    other.assert_nothing_more()


def test_what_cannot_be_sent_together_is_sent_singly(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.gathering.UDP_SEGMENT", 12_345)  # an option that no kernel knows
    gathering = Gathering(ends[0])
    one = Receiver(ends[1], gathering)
    packets = packets_of(100, 100, 100)
    for packet in packets:
        one.put(packet)
    assert gathering.flush() == 0
    assert one.receive(3) == packets
    assert not gathering._segments


def test_what_cannot_be_encrypted_takes_nothing_else_with_it(ends: Ends) -> None:
    gathering = Gathering(ends[0])
    one = Receiver(ends[1], gathering)
    before, behind = packets_of(100, 200)
    for packet in (before, before + bytes(4_000), behind):
        one.put(packet)
    assert gathering.flush() == 1
    assert one.receive(2) == [before, behind]


def test_what_waits_for_an_address_that_was_lost_goes_nowhere_and_is_counted(ends: Ends) -> None:
    gathering = Gathering(ends[0])
    one, other = (Receiver(end, gathering) for end in ends[1:])
    packets = packets_of(100, 100)
    for packet in packets:
        one.put(packet)
        other.put(packet)
    one.outbox.address = None
    assert gathering.flush() == 2
    assert other.receive(2) == packets
    one.assert_nothing_more()


def test_what_waits_is_bounded(ends: Ends) -> None:
    gathering = Gathering(ends[0])
    one, other = (Receiver(end, gathering) for end in ends[1:])
    packets = packets_of(*[20] * (MAX_GATHERED + 1))
    for packet in packets[:-1]:
        one.put(packet)
    for full in (one, other):
        with pytest.raises(OSError, match="too many"):
            full.put(packets[-1])
    ends[1].close()
    gathering.flush()
    other.put(packets[-1])
    assert gathering.flush() == 0
    assert other.receive(1) == packets[-1:]
