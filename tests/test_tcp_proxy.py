"""The delaying proxy in front of an echo."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.tcp_proxy import HEADER_BYTES, Wire, tcp_proxy

DELAY_S = 0.05


@asynccontextmanager
async def connection(
    rate_bps: float | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    echo_port = server.sockets[0].getsockname()[1]
    async with tcp_proxy("127.0.0.1", echo_port, delay_s=DELAY_S, rate_bps=rate_bps) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
    server.close()


async def test_the_first_answer_takes_two_round_trips_and_the_next_one() -> None:
    first_s, next_s = [], []
    for _ in range(4):  # the machine may be busy at one time, and is not at all of them
        began = time.monotonic()  # the connection's round trip begins before `connection` gives it
        async with connection() as (reader, writer):
            await answer_s(reader, writer)
            first_s.append(time.monotonic() - began)
            next_s.append(await answer_s(reader, writer))
    assert 4 * DELAY_S - 0.002 <= min(first_s) < 4 * DELAY_S + 0.04, (
        "the connection's own round trip comes first"
    )
    assert 2 * DELAY_S - 0.002 <= min(next_s) < 2 * DELAY_S + 0.04


async def answer_s(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Seconds until the echo of one byte is there."""
    asked = time.monotonic()
    writer.write(b"?")
    assert await reader.readexactly(1) == b"?"
    return time.monotonic() - asked


@pytest.mark.parametrize("rate_bps", [None, 100e6])
async def test_everything_arrives_in_order_and_the_end_as_well(rate_bps: float | None) -> None:
    sent = b"".join(number.to_bytes(4, "big") for number in range(200_000))
    async with connection(rate_bps) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent


def test_a_wire_sends_one_thing_after_the_other_and_stands_idle_between() -> None:
    size_bytes = 1_000 - HEADER_BYTES
    wire = Wire(8_000)  # a thousand bytes a second
    assert [wire.sent(size_bytes, now) for now in (0.0, 0.0, 1.5, 7.0)] == [1.0, 2.0, 3.0, 8.0]
    assert Wire(None).sent(size_bytes, 7.0) == 7.0
