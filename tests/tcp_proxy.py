"""A TCP proxy that adds delay, so that HTTP and WebSocket travel as far as the media do, and may have a rate.

Loss is not emulated for TCP. Both ends speak to the kernel of this machine, which loses nothing; what loss
would do (retransmission after a timeout, a smaller window) would have to be invented here. What is measured
through this proxy is therefore kind to everyone whose signaling meets loss.

A rate is that of the network, each way: all connections share it, in segments, and each has no more under way
than TCP begins with. That is all a slow network lets a connection have: at 300 kbit/s and 200 ms, 7.5 KB.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK_BYTES = 1 << 16
UNDER_WAY_CHUNKS = 256  # then reading waits, as behind a full window
SEGMENT_BYTES = 1460  # of an Ethernet frame
HEADER_BYTES = 40  # of IPv4 and TCP, with each segment
INITIAL_WINDOW_SEGMENTS = 10  # RFC 6928


class Wire:
    """One direction of a network that carries `rate_bps`, or anything at once. Pure."""

    def __init__(self, rate_bps: float | None) -> None:
        self._rate_bps = rate_bps
        self._free_at = 0.0

    def sent(self, size_bytes: int, now: float) -> float:
        """When so much has left, after all that was handed in before."""
        if self._rate_bps is None:
            return now
        self._free_at = max(now, self._free_at) + (size_bytes + HEADER_BYTES) * 8 / self._rate_bps
        return self._free_at


class TcpProxy:
    """Forwards to one server; each direction takes `delay_s`, and a new connection a round trip."""

    def __init__(self, host: str, port: int, *, delay_s: float, rate_bps: float | None = None) -> None:
        self._server = (host, port)
        self._delay_s = delay_s
        self._uplink, self._downlink = Wire(rate_bps), Wire(rate_bps)
        self._chunk_bytes = CHUNK_BYTES if rate_bps is None else SEGMENT_BYTES
        self._window = UNDER_WAY_CHUNKS if rate_bps is None else INITIAL_WINDOW_SEGMENTS
        self._listener: asyncio.Server

    async def start(self, port: int = 0) -> int:
        """Listens on loopback and says on which port, where it is not given."""
        self._listener = await asyncio.start_server(self._connection, "127.0.0.1", port)
        return int(self._listener.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Accepts nobody any more; connections end with their ends."""
        self._listener.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The kernel has shaken hands with no delay: what the client sends at once has a round trip to wait
        # for, the SYN's and the SYN-ACK's.
        established = asyncio.get_running_loop().time() + 2 * self._delay_s
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the end of the loop is that of a network
            server_reader, server_writer = await asyncio.open_connection(*self._server)
            try:
                await asyncio.gather(
                    self._carry(reader, server_writer, self._uplink, established),
                    self._carry(server_reader, writer, self._downlink, 0.0),
                )
            finally:
                server_writer.close()
        writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire, not_before: float
    ) -> None:
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(self._window)

        async def read() -> None:
            chunk = b"more"
            while chunk:
                chunk = await reader.read(self._chunk_bytes)
                sent = wire.sent(len(chunk), max(loop.time(), not_before))
                await under_way.put((sent + self._delay_s, chunk))

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
async def tcp_proxy(
    host: str, port: int, *, delay_s: float, rate_bps: float | None = None, at: int = 0
) -> AsyncIterator[int]:
    """The port of a proxy for the length of a test; `at` chooses it."""
    proxy = TcpProxy(host, port, delay_s=delay_s, rate_bps=rate_bps)
    try:
        yield await proxy.start(at)
    finally:
        proxy.close()
