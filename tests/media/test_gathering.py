from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.gathering import MAX_GATHERED, MAX_RUN, Gathering, runs


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


def test_each_receiver_gets_its_own_datagrams_in_order(
    ends: tuple[socket.socket, socket.socket, socket.socket],
) -> None:
    sender, one, other = ends
    gathering = Gathering(sender)
    datagrams = datagrams_of(900, 900, 900, 300, 80, 80, 901)
    for datagram in datagrams:
        gathering.send(datagram, one.getsockname())
        gathering.send(datagram[::-1], other.getsockname())
    assert gathering.flush() == 0
    assert gathering.flush() == 0
    for receiver, expected in ((one, datagrams), (other, [datagram[::-1] for datagram in datagrams])):
        assert [receiver.recv(2048) for _ in datagrams] == expected
        receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            receiver.recv(2048)


def test_what_cannot_be_sent_together_is_sent_singly(
    ends: tuple[socket.socket, socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, one, _ = ends
    monkeypatch.setattr("media.gathering.UDP_SEGMENT", 12_345)  # an option that no kernel knows
    gathering = Gathering(sender)
    for datagram in datagrams_of(100, 100, 100):
        gathering.send(datagram, one.getsockname())
    assert gathering.flush() == 0
    assert [len(one.recv(2048)) for _ in range(3)] == [100, 100, 100]
    assert not gathering._segments


def test_what_waits_is_bounded(ends: tuple[socket.socket, socket.socket, socket.socket]) -> None:
    sender, one, _ = ends
    gathering = Gathering(sender)
    for _ in range(MAX_GATHERED):
        gathering.send(b"x", one.getsockname())
    with pytest.raises(OSError, match="too many"):
        gathering.send(b"x", one.getsockname())
