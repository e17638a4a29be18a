"""The proxy between a client and an echoing server, over real sockets."""

import asyncio
import time
from typing import cast

import pytest

from tests.link import Conditions
from tests.udp_proxy import Address, UdpProxy, udp_proxy


class Echo(asyncio.DatagramProtocol):
    """A server that answers everything with itself and remembers who asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, Address]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.seen.append((data, addr))
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    """Keeps what comes back, and when."""

    def __init__(self) -> None:
        self.came: list[tuple[float, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.came.append((time.monotonic(), data))


async def meet(proxy: UdpProxy) -> tuple[Client, Echo]:
    loop = asyncio.get_running_loop()
    transport, echo = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    proxy.forward_to(transport.get_extra_info("sockname")[1])
    _, client = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", proxy.port))
    return client, echo


def leave(client: Client, echo: Echo) -> None:
    client.transport.close()
    echo.transport.close()


async def test_the_round_trip_takes_both_delays_to_a_few_milliseconds() -> None:
    async with udp_proxy(uplink=Conditions(delay_s=0.03), downlink=Conditions(delay_s=0.05)) as proxy:
        client, echo = await meet(proxy)
        sent: list[float] = []
        for number in range(20):
            sent.append(time.monotonic())
            client.transport.sendto(bytes([number]))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)
        leave(client, echo)
    assert [data[0] for _, data in client.came] == list(range(20))
    late_s = sorted(at - sent[data[0]] - 0.08 for at, data in client.came)
    assert late_s[0] >= -0.001
    assert late_s[len(late_s) // 2] < 0.01, "a busy machine may be late now and then, not always"
    assert proxy.forwarded == 40


async def test_each_direction_has_its_own_conditions() -> None:
    async with udp_proxy(downlink=Conditions(loss=1.0)) as proxy:
        client, echo = await meet(proxy)
        for _ in range(10):
            client.transport.sendto(b"?")
        await asyncio.sleep(0.1)
        leave(client, echo)
    assert len(echo.seen) == 10 and client.came == []
    assert proxy.uplink.counters.carried_datagrams == proxy.downlink.counters.dropped_datagrams == 10


async def test_what_is_cut_is_gone_and_what_follows_comes_through() -> None:
    async with udp_proxy() as proxy:
        client, echo = await meet(proxy)
        proxy.cut = True
        client.transport.sendto(b"lost")
        await asyncio.sleep(0.05)
        proxy.cut = False
        client.transport.sendto(b"through")
        await asyncio.sleep(0.05)
        leave(client, echo)
    assert [data for _, data in client.came] == [b"through"]


@pytest.mark.parametrize("delay_s", [0.0, 0.05])
async def test_after_a_move_the_server_sees_a_new_address_and_answers_it(delay_s: float) -> None:
    async with udp_proxy(uplink=Conditions(delay_s=delay_s)) as proxy:
        client, echo = await meet(proxy)
        client.transport.sendto(b"from home")
        await asyncio.sleep(delay_s + 0.05)
        proxy.move()
        client.transport.sendto(b"from the street")
        await asyncio.sleep(delay_s + 0.05)
        leave(client, echo)
    assert [data for data, _ in echo.seen] == [b"from home", b"from the street"]
    assert len({address for _, address in echo.seen}) == 2
    assert [data for _, data in client.came] == [b"from home", b"from the street"]
