"""The media port over TCP, for networks that block UDP: passive ICE candidates (RFC 6544), framed (RFC 4571).

    accept ─ unproven ─ a check that authenticates ─> proven: one address of a peer, like any other
                │                                        │
                └─ 5 s, eight packets or junk ─> closed  └─ forgotten, out of step, reset ─> closed

A connection is an address: what comes over it is handed up with that address, what is sent to the address
goes over it. Nothing here believes anything; who is who is decided above, as for datagrams.

A TCP connection queues where UDP would lose. A call wants the loss: what the network does not take now would
come too late, and hold up what is fresh. So little is queued, in the kernel and here; once the queue is full,
large packets (pictures) are dropped first and small ones (sound, feedback) last, and the sender is told by
`BlockingIOError`, as by a full socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from media.errors import MalformedFraming
from media.framing import FrameReader, encode_frame
from media.stun import Address, TcpAddress

UNPROVEN_S = 5.0  # a check follows the connection at once; at 400 ms RTT and some loss, within three seconds
MAX_UNPROVEN_PACKETS = 8  # a peer in the wrong ICE role is told so, and asks again
MAX_UNPROVEN = 256  # connections; beyond, the one that has waited longest makes room
MAX_UNPROVEN_OF_HOST = 32  # many people may share an address, but they do not come in one second
MAX_LARGE_QUEUED_BYTES = 48 << 10  # 48 KiB: a third of a second of 1 Mbit/s; older pictures are worth nothing
MAX_QUEUED_BYTES = 64 << 10  # 64 KiB: the rest is for sound, two more seconds of it
LARGE_BYTES = 400  # a packet of sound or feedback is never as long, one of pictures almost always
UNSENT_BYTES = 16 << 10  # 16 KiB not yet on the wire keep a fast network busy; the rest is to wait here
BACKLOG = 128  # connections that wait to be accepted while the loop does something else


class TcpPort:
    """The listening socket and its connections. All methods belong to the event loop's thread.

    `on_packet(packet, address, now)` is called for each packet; `knows(address)` says whether one has
    authenticated since; `on_gone(address)` tells once that a proven connection has ended by itself.
    """

    def __init__(
        self,
        *,
        on_packet: Callable[[bytes, TcpAddress, float], None],
        knows: Callable[[TcpAddress], bool],
        on_gone: Callable[[TcpAddress], None],
    ) -> None:
        self.on_packet = on_packet
        self.knows = knows
        self.on_gone = on_gone
        self.turned_away = 0  # connections that ended without a check that authenticated
        self._server: asyncio.Server | None = None
        self._connections: dict[Address, _Connection] = {}  # the proven ones
        self._unproven: dict[TcpAddress, _Connection] = {}  # the one that waits longest first
        self._unproven_of: Counter[str] = Counter()  # by host
        self._numbers = itertools.count()

    async def listen(self, host: str, port: int, family: socket.AddressFamily) -> None:
        """Accept connections from now on. Raises `OSError` where the port is taken."""
        listening = socket.create_server(
            (host, port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=family == socket.AF_INET6 and socket.has_dualstack_ipv6(),
        )
        listening.setblocking(False)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), sock=listening
        )

    def way_to(self, address: TcpAddress) -> Callable[[bytes, Any], int]:
        """How to send there, in the form of `socket.sendto`; raises `OSError` for what is not sent."""
        connection = self._connections.get(address) or self._unproven.get(address)
        return connection.sendto if connection is not None else _sendto_nobody

    def forget(self, address: Address) -> None:
        """The address is no peer's any more: its connection is closed, if it is one."""
        connection = self._connections.pop(address, None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Releases the port and ends every connection; what was sent is still delivered."""
        if self._server is not None:
            self._server.close()
        for connection in (*self._connections.values(), *self._unproven.values()):
            connection.close()
        self._connections.clear()
        self._unproven.clear()

    # --- what the connections tell ---

    def handle_accepted(self, connection: _Connection, host: str, port: int) -> TcpAddress:
        """A new connection: it gets an address, and those that wait too long make room."""
        address = TcpAddress(host, port, next(self._numbers))
        if self._unproven_of[host] >= MAX_UNPROVEN_OF_HOST:
            self._turn_away(next(waiting for waiting in self._unproven if waiting.host == host))
        elif len(self._unproven) >= MAX_UNPROVEN:
            self._turn_away(next(iter(self._unproven)))
        self._unproven[address] = connection
        self._unproven_of[host] += 1
        return address

    def handle_proven(self, address: TcpAddress) -> None:
        """A check over this connection has authenticated."""
        self._connections[address] = self._stop_waiting(address)

    def handle_unproven(self, address: TcpAddress) -> None:
        """Time is up, or junk came."""
        if address in self._unproven:
            self._turn_away(address)

    def handle_lost(self, address: TcpAddress) -> None:
        """The connection has ended."""
        if address in self._unproven:
            self._turn_away(address)
        elif self._connections.pop(address, None) is not None:
            self.on_gone(address)

    def _turn_away(self, address: TcpAddress) -> None:
        self.turned_away += 1
        self._stop_waiting(address).abort()

    def _stop_waiting(self, address: TcpAddress) -> _Connection:
        self._unproven_of[address.host] -= 1
        if not self._unproven_of[address.host]:
            del self._unproven_of[address.host]
        return self._unproven.pop(address)


class _Connection(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, port: TcpPort) -> None:
        self._port = port
        self._frames = FrameReader()
        self._unproven_packets = 0
        self._proven = False
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        tcp: socket.socket = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # a peer that is gone already
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        host, port = transport.get_extra_info("peername", ("0.0.0.0", 0))[:2]
        self.address = self._port.handle_accepted(self, host, port)
        self._timer = asyncio.get_running_loop().call_later(
            UNPROVEN_S, self._port.handle_unproven, self.address
        )

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        now = time.monotonic()
        try:
            packets = self._frames.handle_bytes(data)
        except MalformedFraming:
            self._transport.abort()
            return
        for packet in packets:
            self._port.on_packet(packet, self.address, now)
            if self._closed:
                return
            if not self._proven:
                self._prove()

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
        self._closed = True
        self._port.handle_lost(self.address)

    def sendto(self, packet: bytes, _: Any) -> int:
        """`socket.sendto` over this connection. Raises `BlockingIOError` while too much waits."""
        queued_bytes = self._transport.get_write_buffer_size()
        large = len(packet) > LARGE_BYTES
        if queued_bytes > (MAX_LARGE_QUEUED_BYTES if large else MAX_QUEUED_BYTES) or self._closed:
            raise BlockingIOError("the connection does not take more now")
        self._transport.write(encode_frame(packet))
        return len(packet)

    def close(self) -> None:
        """End it when what was written has gone out, but wait for nobody who does not read."""
        self._closed = True
        self._transport.close()
        asyncio.get_running_loop().call_later(UNPROVEN_S, self._transport.abort)

    def abort(self) -> None:
        """End it now."""
        self._closed = True
        self._transport.abort()

    def _prove(self) -> None:
        self._unproven_packets += 1
        if self._port.knows(self.address):
            self._proven = True
            self._timer.cancel()
            self._port.handle_proven(self.address)
        elif self._unproven_packets >= MAX_UNPROVEN_PACKETS:
            self._port.handle_unproven(self.address)


def _sendto_nobody(_: bytes, __: Any) -> int:
    raise ConnectionError("the connection is closed")
