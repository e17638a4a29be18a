"""A UDP proxy in user space: what goes through it can be cut. Links as data come with the loss table."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Address = tuple[str, int]


class UdpProxy:
    """Forwards between any number of clients and one server; each client has a port of its own towards it."""

    def __init__(self) -> None:
        self.cut = False
        self.forwarded = 0  # a test asserts that the media went this way
        self._server: Address = ("127.0.0.1", 0)
        self._front = _bound_socket()
        self._backs: dict[Address, socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._front, self._from_clients)

    @property
    def port(self) -> int:
        """Where clients send to."""
        return int(self._front.getsockname()[1])

    def forward_to(self, port: int) -> None:
        """The server's port, once it is known."""
        self._server = ("127.0.0.1", port)

    def close(self) -> None:
        """Ends all of it."""
        for each in (self._front, *self._backs.values()):
            self._loop.remove_reader(each)
            each.close()

    def _from_clients(self) -> None:
        for datagram, client in _drain(self._front):
            if client not in self._backs:
                back = self._backs[client] = _bound_socket()
                self._loop.add_reader(back, self._from_server, back, client)
            self._pass_on(self._backs[client], datagram, self._server)

    def _from_server(self, back: socket.socket, client: Address) -> None:
        for datagram, _ in _drain(back):
            self._pass_on(self._front, datagram, client)

    def _pass_on(self, way: socket.socket, datagram: bytes, address: Address) -> None:
        if not self.cut:
            way.sendto(datagram, address)
            self.forwarded += 1


@asynccontextmanager
async def udp_proxy() -> AsyncIterator[UdpProxy]:
    """A proxy for the length of a test."""
    proxy = UdpProxy()
    try:
        yield proxy
    finally:
        proxy.close()


def _bound_socket() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    bound.bind(("127.0.0.1", 0))
    return bound


def _drain(readable: socket.socket) -> list[tuple[bytes, Address]]:
    received: list[tuple[bytes, Address]] = []
    while len(received) < 64:
        try:
            received.append(readable.recvfrom(2048))
        except (BlockingIOError, ConnectionRefusedError):
            break
    return received
