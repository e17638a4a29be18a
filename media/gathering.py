"""Many datagrams in few calls: what leaves within a moment is encrypted together, and what of it goes to one
address is handed to the kernel together.

    outbox.put(packet) …  ─┐
    outbox.put(packet) …  ─┴─ flush() ─> encrypted ─> one call for each run of equal sizes (UDP_SEGMENT)

The packets of a picture are equally long (libwebrtc splits it so), and Linux takes up to 64 such datagrams as
one (udp(7), since 4.18): one way through the stack instead of many. Where the kernel or a network card
refuses, each datagram goes by itself, from then on. To encrypt many in a row costs less than each between
other work.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from media.srtp import SRTP_ERRORS, Protector
from media.stun import Address

UDP_SEGMENT = 103  # linux/udp.h; Python has no name for it
MAX_RUN: Final = 40  # the kernel takes 64 (UDP_MAX_SEGMENTS), and 64 KiB: 40 of the longest packets here
MAX_GATHERED: Final = 4096  # datagrams between two flushes: 40 for each of a hundred people


class Outbox:
    """What waits for one receiver."""

    __slots__ = ("_gathering", "_waiting", "address")

    def __init__(self, gathering: Gathering) -> None:
        self.address: Address | None = None
        self._gathering = gathering
        self._waiting: list[tuple[Protector, bytes, bytes, int]] = []

    def put(self, protector: Protector, head: bytes, packet: bytes, start: int) -> None:
        """A packet in two pieces, as `Protector.protect` takes them. Raises `OSError` where too many wait."""
        self._gathering.count(self, is_first=not self._waiting)
        self._waiting.append((protector, head, packet, start))

    def take(self) -> list[tuple[Protector, bytes, bytes, int]]:
        """All of it, in the order of `put`."""
        waiting, self._waiting = self._waiting, []
        return waiting


class Gathering:
    """Packets that wait for `flush`."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self._segments = True
        self._outboxes: list[Outbox] = []  # in which something waits
        self._count = 0

    def count(self, outbox: Outbox, *, is_first: bool) -> None:
        """One more waits, the first of its outbox or not. Raises `OSError` where too many wait."""
        if self._count == MAX_GATHERED:
            raise OSError("too many datagrams wait to be sent")
        self._count += 1
        if is_first:
            self._outboxes.append(outbox)

    def flush(self) -> int:
        """Sends all of it, to each address in the order of `put`; how many could not be encrypted, or the
        kernel would not take.
        """
        unsent = 0
        outboxes, self._outboxes, self._count = self._outboxes, [], 0
        for outbox in outboxes:
            datagrams: list[bytes] = []
            for protector, head, packet, start in outbox.take():
                try:
                    datagrams.append(protector.protect(head, packet, start))
                except SRTP_ERRORS:
                    unsent += 1
            address = outbox.address
            if address is None:  # it was lost meanwhile
                unsent += len(datagrams)
                continue
            for run in runs(datagrams):
                if len(run) == 1 or not self._segments:
                    unsent += self._send_singly(run, address)
                else:
                    unsent += self._send_together(run, address)
        return unsent

    def _send_together(self, run: Sequence[bytes], address: Address) -> int:
        size = [(socket.IPPROTO_UDP, UDP_SEGMENT, len(run[0]).to_bytes(2, "little"))]
        try:
            self._udp.sendmsg(run, size, 0, address)
        except BlockingIOError:
            return len(run)  # the socket's buffer is full: one by one they would not fit, either
        except OSError:
            self._segments = False
            return self._send_singly(run, address)
        return 0

    def _send_singly(self, run: Sequence[bytes], address: Address) -> int:
        unsent = 0
        for datagram in run:
            try:
                self._udp.sendto(datagram, address)
            except OSError:
                unsent += 1
        return unsent


def runs(datagrams: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Cut into runs that go out as one: equally long, but for the last, which may be shorter."""
    found: list[Sequence[bytes]] = []
    start, count = 0, len(datagrams)
    while start < count:
        size_bytes, end = len(datagrams[start]), start + 1
        while end < count and end - start < MAX_RUN and len(datagrams[end]) == size_bytes:
            end += 1
        if end < count and end - start < MAX_RUN and len(datagrams[end]) < size_bytes:
            end += 1
        found.append(datagrams[start:end])
        start = end
    return found
