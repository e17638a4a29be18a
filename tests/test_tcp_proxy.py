"""The delaying proxy in front of an echo."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.tcp_proxy import tcp_proxy

DELAY_S = 0.05


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with tcp_proxy("127.0.0.1", server.sockets[0].getsockname()[1], delay_s=DELAY_S) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
    server.close()


async def test_the_first_answer_takes_two_round_trips_and_the_next_one() -> None:
    first_s, next_s = [], []
    for _ in range(4):  # the machine may be busy at one time, and is not at all of them
        async with connection() as (reader, writer):
            first_s.append(await answer_s(reader, writer))
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


async def test_everything_arrives_in_order_and_the_end_as_well() -> None:
    sent = b"".join(number.to_bytes(4, "big") for number in range(200_000))
    async with connection() as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
