"""recvmmsg(2), which Python has no name for: many datagrams of IPv4 in one system call."""

from __future__ import annotations

import ctypes
import socket
import sys
from typing import Any

from media.srtp import MAX_PACKET_BYTES, PacketMemory

ADDRESS_BYTES = 16  # struct sockaddr_in, ip(7): family, port, host, padding


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size_bytes", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct mmsghdr: a struct msghdr (recvmsg(2)), padded, and how long the datagram is."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("length", ctypes.c_uint32),
    )


class ManyReader:
    """Reads into `memory` and `addresses` what has come to a socket, `slots` datagrams at the most.

    `lengths` of them, by slot; what was longer than MAX_PACKET_BYTES has been cut.
    """

    is_at_hand = sys.platform == "linux" and sys.maxsize > 2**32

    def __init__(self, fd: int, memory: PacketMemory, addresses: PacketMemory, slots: int) -> None:
        self._memories = (memory, addresses)  # the kernel writes into them
        self._vectors = (Vector * slots)()
        self._headers = (Header * slots)()
        for slot in range(slots):
            self._vectors[slot] = Vector(memory.address(slot), MAX_PACKET_BYTES)
            header = self._headers[slot]
            header.name, header.name_bytes = addresses.address(slot), ADDRESS_BYTES
            header.vectors, header.vector_count = ctypes.pointer(self._vectors[slot]), 1
        words: memoryview[int] = memoryview(self._headers).cast("B").cast("I")
        self.lengths = words[Header.length.offset // 4 :: ctypes.sizeof(Header) // 4]
        self._recvmmsg: Any = ctypes.CDLL(None).recvmmsg
        self._arguments = (fd, self._headers, slots, socket.MSG_DONTWAIT, None)

    def read(self) -> int:
        """How many there are now: 0 if none, or if an ICMP error speaks of an earlier datagram."""
        count: int = self._recvmmsg(*self._arguments)
        return max(0, count)
