"""A TCP proxy that adds delay, so that HTTP and WebSocket travel as far as the media do.

Delay alone: loss is not emulated for TCP. Both ends speak to the kernel of this machine, which loses nothing;
what loss would do (retransmission after a timeout, a smaller window) would have to be invented here. What is
measured through this proxy is therefore kind to everyone whose signaling meets loss.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK_BYTES = 1 << 16
UNDER_WAY_CHUNKS = 256  # then reading waits, as behind a full window


class TcpProxy:
    """Forwards to one server; each direction takes `delay_s`, and a new connection a round trip."""

    def __init__(self, host: str, port: int, *, delay_s: float) -> None:
        self._server = (host, port)
        self._delay_s = delay_s
        self._listener: asyncio.Server

    async def start(self) -> int:
        """Listens on loopback and says on which port."""
        self._listener = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        return int(self._listener.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Accepts nobody any more; connections end with their ends."""
        self._listener.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The kernel has shaken hands with no delay: what the client sends at once has a round trip to wait
        # for, the SYN's and the SYN-ACK's.
        established = asyncio.get_running_loop().time() + 2 * self._delay_s
        with contextlib.suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection(*self._server)
            try:
                await asyncio.gather(
                    self._carry(reader, server_writer, established), self._carry(server_reader, writer, 0.0)
                )
            finally:
                server_writer.close()
        writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, not_before: float
    ) -> None:
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY_CHUNKS)

        async def read() -> None:
            chunk = b"more"
            while chunk:
                chunk = await reader.read(CHUNK_BYTES)
                await under_way.put((max(loop.time(), not_before) + self._delay_s, chunk))

        async def write() -> None:
            while True:
                deliver_at, chunk = await under_way.get()
                await asyncio.sleep(deliver_at - loop.time())
                if not chunk:
                    writer.write_eof()
                    return
                writer.write(chunk)
                await writer.drain()

        reading = asyncio.create_task(read())
        try:
            await write()
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await reading


@asynccontextmanager
async def tcp_proxy(host: str, port: int, *, delay_s: float) -> AsyncIterator[int]:
    """The port of a proxy for the length of a test."""
    proxy = TcpProxy(host, port, delay_s=delay_s)
    try:
        yield await proxy.start()
    finally:
        proxy.close()
