"""The impaired way to the server, in a process of its own."""

import asyncio

from tests.bench.access_network import access_network
from tests.link import Conditions
from tests.test_udp_proxy import Client, Echo


async def test_what_goes_through_its_proxies_is_impaired_and_counted() -> None:
    loop = asyncio.get_running_loop()
    transport, echo = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    server = transport.get_extra_info("sockname")[1]
    async with access_network(uplink=Conditions(), downlink=Conditions(loss=1.0), seed=1) as network:
        ports = [await network.udp_port("127.0.0.1", server) for _ in range(2)]
        assert ports[0] == ports[1], "one proxy for each address of the server"
        _, client = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", ports[0]))
        for _ in range(10):
            client.transport.sendto(bytes(100))
        await asyncio.sleep(0.2)
        uplink, downlink = await network.counters()
        assert len(echo.seen) == 10 and client.came == []
        await network.change(downlink=Conditions(rate_bps=1e6, overhead_bytes=28))
        client.transport.sendto(bytes(100))
        await asyncio.sleep(0.2)
        changed = (await network.counters())[1].since(downlink)
    client.transport.close()
    echo.transport.close()
    assert (uplink.carried_bytes, downlink.carried_bytes, downlink.dropped_bytes) == (1000, 0, 1000)
    assert len(client.came) == 1, "other conditions hold from the change on"
    assert (changed.carried_bytes, changed.wire_bytes, changed.waits_ms) == (100, 128, [1])


async def test_a_description_leads_through_its_proxies() -> None:
    description = (
        "v=0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=candidate:2 1 tcp 1 127.0.0.1 9 typ host\r\n"
    )
    async with access_network(uplink=Conditions(), downlink=Conditions(), seed=1) as network:
        port = await network.udp_port("127.0.0.1", 9)
        assert await network.lead(description) == description.replace(
            "udp 1 127.0.0.1 9", f"udp 1 127.0.0.1 {port}"
        )


async def test_web_traffic_goes_through_it_too() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with access_network(uplink=Conditions(), downlink=Conditions(), seed=1) as network:
        port = await network.tcp_port("127.0.0.1", server.sockets[0].getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
    server.close()
