"""Datagrams that are fetched many at a time, and, where the system cannot, one by one."""

import socket
from collections.abc import Iterator

import pytest

from media.intake import MAX_KNOWN, SLOTS, Intake
from media.recvmmsg import ManyReader
from media.srtp import MAX_PACKET_BYTES
from media.stun import Address


@pytest.fixture(params=["many", "single", "IPv6"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """One that receives, without blocking; two that send."""
    if request.param == "single":
        monkeypatch.setattr(ManyReader, "is_at_hand", False)
    elif request.param == "many" and not ManyReader.is_at_hand:
        pytest.skip("recvmmsg is Linux's")
    family, host = (socket.AF_INET6, "::1") if request.param == "IPv6" else (socket.AF_INET, "127.0.0.1")
    sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(3)]
    for each in sockets:
        each.bind((host, 0))
    sockets[0].setblocking(False)
    yield sockets
    for each in sockets:
        each.close()


def taken(intake: Intake) -> list[tuple[bytes, Address]]:
    """All that is there, and from whom."""
    found = []
    while intake.fetch():
        while (slot := intake.take()) >= 0:
            found.append((intake.memory.read(slot, intake.size_bytes(slot)), intake.source(slot)))
    return found


def test_all_that_came_is_taken_in_order_with_its_source(ends: list[socket.socket]) -> None:
    receiver, one, other = ends
    intake = Intake(receiver)
    assert taken(intake) == []
    sent = []
    for number in range(SLOTS + 10):
        sender, datagram = (one, other)[number % 3 == 0], bytes([number]) * (number * 20)
        sender.sendto(datagram, receiver.getsockname())
        sent.append((datagram, sender.getsockname()))
    assert taken(intake) == sent
    assert taken(intake) == []


def test_what_nobody_has_taken_yet_is_not_written_over(ends: list[socket.socket]) -> None:
    receiver, one, _ = ends
    intake = Intake(receiver)
    for datagram in (b"first", b"second"):
        one.sendto(datagram, receiver.getsockname())
    assert intake.fetch()
    assert intake.memory.read(intake.take(), 5) == b"first"
    one.sendto(b"third", receiver.getsockname())
    assert [datagram for datagram, _ in taken(intake)] == [b"second", b"third"]


def test_what_is_too_long_is_cut_and_costs_no_other(ends: list[socket.socket]) -> None:
    receiver, one, _ = ends
    intake = Intake(receiver)
    for size in (MAX_PACKET_BYTES, MAX_PACKET_BYTES + 500, 40):
        one.sendto(bytes([size % 256]) * size, receiver.getsockname())
    assert [len(datagram) for datagram, _ in taken(intake)] == [MAX_PACKET_BYTES, MAX_PACKET_BYTES, 40]


def test_strangers_addresses_do_not_fill_the_memory(ends: list[socket.socket]) -> None:
    receiver, one, _ = ends
    intake = Intake(receiver)
    intake._known.update({number: ("192.0.2.1", number) for number in range(MAX_KNOWN)})
    one.sendto(b"anybody", receiver.getsockname())
    assert taken(intake) == [(b"anybody", one.getsockname())]
    assert len(intake._known) <= MAX_KNOWN


def test_a_closed_one_never_reads_from_whoever_has_its_number_now(ends: list[socket.socket]) -> None:
    receiver, one, other = ends
    intake = Intake(receiver)
    one.sendto(b"late", receiver.getsockname())
    assert intake.fetch()
    intake.close()
    one.sendto(b"later", other.getsockname())
    receiver.close()
    assert taken(intake) == []
