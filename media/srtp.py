"""SRTP and SRTCP of one session (RFC 3711): libsrtp behind pylibsrtp, without what that allocates and copies.

    datagram, received into a slot of PacketMemory ──Unprotector──▶ packet
    head, packet[start:] ──Protector──▶ datagram

Packets are decrypted where they lie, and encrypted where they were just put together, on one thread. What a
session adds to a packet is always equally long, and learned from its first. Both raise one of `SRTP_ERRORS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pylibsrtp
from pylibsrtp._binding import ffi, lib

SRTP_ERRORS: Final = (pylibsrtp.Error, ValueError)  # does not authenticate or is a repetition; or is too long

MAX_PACKET_BYTES: Final = 2_048  # longer than any datagram that is read
MAX_TRAILER_BYTES: Final = 16 + 128  # libsrtp: SRTP_MAX_TRAILER_LEN, tag and key identifier

SLOT_BYTES: Final = 2_304  # holds both; whole cache lines

_memory: Final[Any] = ffi.new("char[]", MAX_PACKET_BYTES + MAX_TRAILER_BYTES)
_length: Final[Any] = ffi.new("int *")
_copy: Final[Any] = ffi.memmove
_take: Final[Any] = ffi.unpack


class PacketMemory:
    """Slots of equal size; `view[slot * slot_bytes]` is the first byte of what lies in one."""

    __slots__ = ("_memory", "pointers", "view")

    def __init__(self, slots: int, slot_bytes: int = SLOT_BYTES) -> None:
        self._memory: Any = ffi.new("char[]", slots * slot_bytes)
        self.pointers: list[Any] = [self._memory + slot * slot_bytes for slot in range(slots)]
        self.view = memoryview(ffi.buffer(self._memory))

    def address(self, slot: int) -> int:
        """Where the kernel finds it."""
        return int(ffi.cast("intptr_t", self.pointers[slot]))

    def read(self, slot: int, size_bytes: int) -> bytes:
        """A copy of what lies in a slot."""
        packet: bytes = _take(self.pointers[slot], size_bytes)
        return packet

    def write(self, slot: int, packet: bytes) -> None:
        """Raises ValueError for what is longer than MAX_PACKET_BYTES."""
        if len(packet) > MAX_PACKET_BYTES:
            raise ValueError("the packet is too long")
        _copy(self.pointers[slot], packet, len(packet))


class Unprotector:
    """What comes in: of RTP, or with `rtcp` of RTCP."""

    __slots__ = ("_call", "_handle", "_session", "_trailer_bytes")

    def __init__(self, session: pylibsrtp.Session, *, rtcp: bool = False) -> None:
        self._session = session  # lives as long as its handle is used
        self._handle: Any = session._srtp[0]
        self._call: Callable[..., int] = lib.srtp_unprotect_rtcp if rtcp else lib.srtp_unprotect
        self._trailer_bytes = 0  # not known yet

    def unprotect(self, memory: PacketMemory, slot: int, size_bytes: int) -> bytes:
        """The packet that lies protected in the first `size_bytes` of a slot, where it is decrypted."""
        place = memory.pointers[slot]
        _length[0] = size_bytes
        if self._call(self._handle, place, _length):
            raise pylibsrtp.Error("the packet does not authenticate, or is a repetition")
        if self._trailer_bytes == 0:
            self._trailer_bytes = size_bytes - int(_length[0])
        packet: bytes = _take(place, size_bytes - self._trailer_bytes)
        return packet


class Protector:
    """What goes out: of RTP, or with `rtcp` of RTCP."""

    __slots__ = ("_call", "_handle", "_session", "_trailer")

    def __init__(self, session: pylibsrtp.Session, *, rtcp: bool = False) -> None:
        self._session = session
        self._handle: Any = session._srtp[0]
        self._call: Callable[..., int] = lib.srtp_protect_rtcp if rtcp else lib.srtp_protect
        self._trailer = b""  # room for it; not known yet

    def protect(self, head: bytes, packet: bytes, start: int) -> bytes:
        """The datagram of a packet in two pieces: its head, and what `packet` has from `start` on."""
        size_bytes = len(head) + len(packet) - start
        if size_bytes > MAX_PACKET_BYTES:
            raise ValueError("the packet is too long")
        if not self._trailer:
            return self._protect_first(head + packet[start:])
        datagram = b"".join([head, packet[start:], self._trailer])
        _length[0] = size_bytes
        # Nobody else has these bytes yet: libsrtp may write into them.
        if self._call(self._handle, datagram, _length):
            raise pylibsrtp.Error("the packet could not be encrypted")
        return datagram

    def _protect_first(self, whole: bytes) -> bytes:
        """In memory that has room for any trailer."""
        size_bytes = len(whole)
        _copy(_memory, whole, size_bytes)
        _length[0] = size_bytes
        if self._call(self._handle, _memory, _length):
            raise pylibsrtp.Error("the packet could not be encrypted")
        self._trailer = bytes(int(_length[0]) - size_bytes)
        datagram: bytes = _take(_memory, _length[0])
        return datagram
