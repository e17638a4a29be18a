"""Many datagrams in few calls: what goes to one address within a moment is handed to the kernel together.

    send(datagram, address) …  ─┐
    send(datagram, address) …  ─┴─ flush() ─> one call for each run of equal sizes to an address (UDP_SEGMENT)

The packets of a picture are equally long (libwebrtc splits it so), and Linux takes up to 64 such datagrams as
one (udp(7), since 4.18): one way through the stack instead of many. Where the kernel or a network card
refuses, each datagram goes by itself, from then on.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

from media.stun import Address

UDP_SEGMENT = 103  # linux/udp.h; Python has no name for it
MAX_RUN: Final = 40  # the kernel takes 64 (UDP_MAX_SEGMENTS), and 64 KiB: 40 of the longest packets here
MAX_GATHERED: Final = 4096  # datagrams between two flushes: 40 for each of a hundred people


class Gathering:
    """Datagrams that wait for `flush`."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self._segments = True
        self._waiting: dict[Address, list[bytes]] = {}
        self._count = 0

    def send(self, datagram: bytes, address: Any) -> int:
        """In the form of `socket.sendto`. Raises `OSError` where too many wait."""
        if self._count == MAX_GATHERED:
            raise OSError("too many datagrams wait to be sent")
        self._count += 1
        waiting = self._waiting.get(address)
        if waiting is None:
            self._waiting[address] = [datagram]
        else:
            waiting.append(datagram)
        return len(datagram)

    def flush(self) -> int:
        """Sends all of it, to each address in the order of `send`; how many the kernel would not take."""
        unsent = 0
        gathered, self._waiting, self._count = self._waiting, {}, 0
        for address, datagrams in gathered.items():
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
