"""Many datagrams in few calls: what has come is taken from the kernel together.

    fetch() ── recvmmsg(2) ──> slot 0, 1, 2 … of `memory`      take() ──> the next slot, -1 behind the last

Linux gives up to SLOTS datagrams of IPv4 at once. Elsewhere, and of IPv6, each is fetched by itself. What was
fetched and not taken, because a handler raised, is there for the next `take`.
"""

from __future__ import annotations

import socket
from typing import Final

from media.recvmmsg import ADDRESS_BYTES, ManyReader
from media.srtp import MAX_PACKET_BYTES, PacketMemory
from media.stun import Address

SLOTS: Final = 64  # about 2 ms of work, then timers and other sockets have their turn
NO_KEY: Final = -1
MAX_KNOWN: Final = 4_096  # addresses whose form in Python is kept; strangers' go with those of everybody


class Intake:
    """The datagrams of a socket that does not block. A slot is good until the next `fetch`."""

    __slots__ = (
        "_addresses",
        "_count",
        "_is_open",
        "_keys",
        "_known",
        "_next",
        "_reader",
        "_single",
        "_size_bytes",
        "_source",
        "_udp",
        "memory",
    )

    def __init__(self, udp: socket.socket) -> None:
        self.memory = PacketMemory(SLOTS)
        self._udp = udp
        self._addresses = PacketMemory(SLOTS, ADDRESS_BYTES)
        # Family, port and host are the first half of an address.
        self._keys = self._addresses.view.cast("Q")[:: ADDRESS_BYTES // 8]
        self._reader: ManyReader | None = None
        if ManyReader.is_at_hand and udp.family == socket.AF_INET:
            self._reader = ManyReader(udp.fileno(), self.memory, self._addresses, SLOTS)
        self._single = self.memory.view[:MAX_PACKET_BYTES]
        self._is_open = True
        self._next = 0
        self._count = 0
        self._known: dict[int, Address] = {}
        self._source: Address = ("", 0)  # of the single one, and its size
        self._size_bytes = 0

    def fetch(self) -> bool:
        """Whether there is anything to take, of what was fetched before or is fetched now."""
        if self._next < self._count:
            return True
        self._next = self._count = 0
        if not self._is_open:
            return False
        if self._reader is not None:
            self._count = self._reader.read()
        else:
            try:
                self._size_bytes, self._source = self._udp.recvfrom_into(self._single)
            except OSError:  # nothing more, or an ICMP error that speaks of an earlier datagram
                return False
            self._count = 1
        return self._count > 0

    def close(self) -> None:
        """Before the socket is: from then on there is nothing to take."""
        self._is_open = False
        self._next = self._count = 0

    @property
    def is_all(self) -> bool:
        """Whether the last `fetch` left nothing in the kernel, as far as is known."""
        return self._reader is not None and self._count < SLOTS

    def take(self) -> int:
        """The next slot, -1 behind the last."""
        slot = self._next
        if slot == self._count:
            return -1
        self._next = slot + 1
        return slot

    def size_bytes(self, slot: int) -> int:
        """How long the datagram in a slot is; what was longer than MAX_PACKET_BYTES has been cut."""
        return self._size_bytes if self._reader is None else self._reader.lengths[slot]

    def key(self, slot: int) -> int:
        """A number that stands for where it came from; NO_KEY where there is none."""
        return NO_KEY if self._reader is None else self._keys[slot]

    def source(self, slot: int) -> Address:
        """Where it came from."""
        if self._reader is None:
            return self._source
        key = self.key(slot)
        address = self._known.get(key)
        if address is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            raw = self._addresses.read(slot, 8)
            address = self._known[key] = (socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4]))
        return address
