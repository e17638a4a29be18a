"""A UDP proxy in user space: a person's network between their browser and the server, a `Link` each way.

    client ─▶ front (one port) ─ uplink ─▶ back (a port for each client) ─▶ server
           ◀─                  ◀─ downlink ─                              ◀─

All clients of a proxy share its two links, and so do all proxies that are made with the same ones: the two
connections that a page may have run over one network. What goes through can also be cut, and the clients can
move: from one datagram to the next they come from new addresses.
"""

import asyncio
import contextlib
import heapq
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.link import Conditions, Link

Address = tuple[str, int]
Send = Callable[[bytes], None]

RECEIVE_BUFFER_BYTES = 1 << 20  # a burst waits here while the process does something else
PERFECT = Conditions()


class UdpProxy:
    """Forwards between any number of clients and one server; each client has a port of its own towards it."""

    def __init__(
        self, *, host: str = "127.0.0.1", uplink: Link | None = None, downlink: Link | None = None
    ) -> None:
        self.uplink = uplink or Link(PERFECT, seed=1)
        self.downlink = downlink or Link(PERFECT, seed=2)
        self.cut = False
        self.forwarded = 0  # a test asserts that the media went this way
        self._host = host
        self._server: Address = (host, 0)
        # The same port over TCP stays free for a `tcp_proxy` at it: no connection is given a bound one.
        self._held = _held_tcp_port(host)
        self._front = _bound_socket(host, self._held.getsockname()[1])
        self._backs: dict[Address, socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._under_way: list[tuple[float, int, Send, bytes]] = []  # a heap, by time and then by arrival
        self._arrivals = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._loop.add_reader(self._front, self._from_clients)

    @property
    def port(self) -> int:
        """Where clients send to."""
        return int(self._front.getsockname()[1])

    def forward_to(self, port: int) -> None:
        """The server's port, once it is known."""
        self._server = (self._host, port)

    def move(self) -> None:
        """From now on the server sees every client come from a new address; the old ones answer no more."""
        for client, back in self._backs.items():
            self._forget(back)
            self._backs[client] = self._back(client)

    def close(self) -> None:
        """Ends all of it; what is under way is lost."""
        self._held.close()
        if self._timer is not None:
            self._timer.cancel()
        for each in (self._front, *self._backs.values()):
            self._forget(each)

    def _back(self, client: Address) -> socket.socket:
        back = _bound_socket(self._host)

        def send(datagram: bytes) -> None:
            _send(self._front, datagram, client)

        def readable() -> None:
            self._pass_on(back, self.downlink, lambda _: send)

        self._loop.add_reader(back, readable)
        return back

    def _forget(self, each: socket.socket) -> None:
        self._loop.remove_reader(each)
        each.close()

    def _from_clients(self) -> None:
        self._pass_on(self._front, self.uplink, self._to_server)

    def _to_server(self, client: Address) -> Send:
        if client not in self._backs:
            self._backs[client] = self._back(client)
        # The port is looked up when the datagram leaves: it may have moved.
        return lambda datagram: _send(self._backs[client], datagram, self._server)

    def _pass_on(self, readable: socket.socket, link: Link, way: Callable[[Address], Send]) -> None:
        now = self._loop.time()
        for datagram, sender in _drain(readable):
            if self.cut:
                continue
            send = way(sender)
            for deliver_at, delivered in link.handle_datagram(datagram, now):
                self.forwarded += 1
                if deliver_at <= now and not self._under_way:
                    send(delivered)
                else:
                    heapq.heappush(self._under_way, (deliver_at, next(self._arrivals), send, delivered))
        self._set_timer()

    def _deliver(self) -> None:
        self._timer_at = float("inf")
        now = self._loop.time()
        while self._under_way and self._under_way[0][0] <= now:
            _, _, send, datagram = heapq.heappop(self._under_way)
            if not self.cut:
                send(datagram)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._under_way and self._under_way[0][0] < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self._under_way[0][0]
            self._timer = self._loop.call_at(self._timer_at, self._deliver)


@asynccontextmanager
async def udp_proxy(
    *, uplink: Conditions = PERFECT, downlink: Conditions = PERFECT, seed: int = 1
) -> AsyncIterator[UdpProxy]:
    """A proxy for the length of a test."""
    proxy = UdpProxy(uplink=Link(uplink, seed=seed), downlink=Link(downlink, seed=seed + 1))
    try:
        yield proxy
    finally:
        proxy.close()


def _bound_socket(host: str, port: int = 0) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    bound.bind((host, port))
    return bound


def _held_tcp_port(host: str) -> socket.socket:
    """Bound to a port that is free over UDP, too. Who reuses addresses, as servers do, may listen at it."""
    while True:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, 0))
        with contextlib.suppress(OSError):
            _bound_socket(host, held.getsockname()[1]).close()
            return held
        held.close()


def _send(way: socket.socket, datagram: bytes, address: Address) -> None:
    # A full buffer or a port that nobody has any more: a network says nothing of either.
    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
        way.sendto(datagram, address)


def _drain(readable: socket.socket) -> list[tuple[bytes, Address]]:
    received: list[tuple[bytes, Address]] = []
    while len(received) < 64:  # and then the other sockets have their turn
        try:
            received.append(readable.recvfrom(2048))
        except (BlockingIOError, ConnectionRefusedError):
            break
    return received
