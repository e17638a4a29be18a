"""A network that can be cut: a TCP proxy before the service; its connections end, and none is accepted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK_BYTES = 1 << 16


class CutProxy:
    """Forwards from `port` to `server_port`, which may change: a service that starts anew has another."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.port = 0
        self.is_cut = True
        self.cut_after_bytes: int | None = None  # of what goes to the service, from now on
        self._open: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where pages find the service."""
        return f"http://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        """Connections are accepted, again on the same port."""
        self.is_cut = False
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = int(self._listener.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Every connection ends without a word, and none is accepted."""
        self.is_cut = True
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
            ends = (writer, server_writer)
            self._open.update(ends)
            await asyncio.gather(
                self._carry(reader, server_writer, up=True), self._carry(server_reader, writer)
            )
            self._open.difference_update(ends)
        writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if up and self.cut_after_bytes is not None:
                    self.cut_after_bytes -= len(chunk)
                    if self.cut_after_bytes < 0:
                        self.cut_after_bytes = None
                        self.cut()
                        return
                writer.write(chunk)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def cut_proxy(server_port: int) -> AsyncIterator[CutProxy]:
    """A proxy that is whole at first."""
    proxy = CutProxy(server_port)
    await proxy.mend()
    try:
        yield proxy
    finally:
        proxy.cut()
