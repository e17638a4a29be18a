"""aiortc's MediaRelay as a peer to measure against; the server itself is `media_relay_server`."""

import itertools
import sys
from pathlib import Path

import aiohttp

from tests.bench.bot import Bot, Crowd
from tests.bench.namespace import ADDRESS
from tests.bench.processes import Server

PORT = 8090
URL = f"http://{ADDRESS}:{PORT}"


class MediaRelayPeer:
    name = "MediaRelay"

    def __init__(self, crowd: Crowd, *, directory: Path) -> None:
        self.server: Server
        self._crowd = crowd
        self._directory = directory
        self._rooms = itertools.count(1)

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(raise_for_status=True)
        self.server = Server.start(
            [sys.executable, "-m", "tests.bench.media_relay_server", ADDRESS, str(PORT)],
            log=self._directory / "log",
        )
        await self.server.ready(lambda: self._http.get(URL))

    async def stop(self) -> None:
        await self._http.close()
        await self.server.stop()

    async def connect_call(self) -> list[Bot]:
        room = next(self._rooms)
        bots = [Bot(self._crowd, stamps=False) for _ in range(2)]  # this server decodes what it gets
        for bot in bots:
            offer = bot.offer([("audio", "sendrecv"), ("video", "sendrecv")])
            async with self._http.post(f"{URL}/rooms/{room}", data=offer) as response:
                bot.accept_answer(await response.text())
        for bot in bots:
            await bot.connected
        return bots
