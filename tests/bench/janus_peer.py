"""Janus (Debian's package) with its video room, as a peer to measure against.

Configured as a site would that wants it quick: ICE-lite, no trickling, only the one plugin. A participant is
two connections, one that publishes and one that subscribes, as the video room wants it.
Its WebSocket JSON: https://janus.conf.meetecho.com/docs/rest.html, /docs/videoroom.html.
"""

import asyncio
import contextlib
import itertools
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.access_network import AccessNetwork
from tests.bench.bot import Bot, BotFailed, Crowd
from tests.bench.namespace import ADDRESS
from tests.bench.processes import Server

WEBSOCKET_PORT = 8188
WEBSOCKET_URL = f"ws://{ADDRESS}:{WEBSOCKET_PORT}"
ANSWER_TIMEOUT_S = 10
KEEP_ALIVE_S = 25  # the session times out after 60
Json = dict[str, Any]


def missing() -> str | None:
    """Why Janus cannot take part, if it cannot."""
    if shutil.which("janus") is None or _libraries() is None:
        return "Debian's `janus` is not installed"
    return None


def _libraries() -> Path | None:
    return next((folder.parent for folder in Path("/usr/lib").glob("**/janus/plugins")), None)


class JanusPeer:
    name = "Janus"

    def __init__(self, crowd: Crowd, *, directory: Path) -> None:
        self.server: Server
        self._crowd = crowd
        self._directory = directory
        self._rooms = itertools.count(1)
        self._transactions = itertools.count(1)
        self._waiting: dict[str, tuple[bool, asyncio.Future[Json]]] = {}
        self._up: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._session = 0
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        libraries = _libraries()
        assert libraries is not None
        _configure(self._directory, libraries)
        self._http = aiohttp.ClientSession()
        self.server = Server.start(["janus", "-F", str(self._directory)], log=self._directory / "log")
        await self.server.ready(self._connect)
        self._background = [asyncio.create_task(self._listen()), asyncio.create_task(self._keep_alive())]
        self._session = (await self._request({"janus": "create"}))["data"]["id"]

    async def stop(self) -> None:
        for task in self._background:
            task.cancel()
        await self._http.close()
        await self.server.stop()

    async def _connect(self) -> None:
        self._websocket = await self._http.ws_connect(WEBSOCKET_URL, protocols=["janus-protocol"])

    # A call

    async def connect_call(self, *, people: int = 2) -> list[Bot]:
        room = await self.create_room()
        publishers = [await self.publish(room) for _ in range(people)]
        bots = [bot for bot, _ in publishers]
        for _, feed in publishers:  # each is watched by all the others
            bots += [await self.subscribe(room, feed) for _ in range(people - 1)]
        return bots

    async def create_room(self) -> int:
        room = next(self._rooms)
        await self._message(
            await self._attach(),
            {
                "request": "create",
                "room": room,
                "publishers": 6,
                "bitrate": 2_000_000,
                "audiocodec": "opus",
                "videocodec": "vp8",
            },
        )
        return room

    async def publish(self, room: int, *, stamps: bool = True) -> tuple[Bot, int]:
        """A publisher that sends, and its feed for subscribers."""
        handle = await self._attach()
        joined = await self._message(handle, {"request": "join", "ptype": "publisher", "room": room})
        bot = Bot(self._crowd, stamps=stamps)
        offer = bot.offer([("audio", "sendonly"), ("video", "sendonly")])
        answer = await self._message(handle, {"request": "publish"}, jsep={"type": "offer", "sdp": offer})
        bot.accept_answer(answer["jsep"]["sdp"])
        await self._request({"janus": "trickle", "candidate": {"completed": True}}, handle)
        await bot.connected
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._up[handle].wait()
        return bot, joined["plugindata"]["data"]["id"]

    async def feeds(self, room: int) -> list[int]:
        """Of those who publish there."""
        answer = await self._message(await self._attach(), {"request": "listparticipants", "room": room})
        return [
            participant["id"]
            for participant in answer["plugindata"]["data"]["participants"]
            if participant["publisher"]
        ]

    async def subscribe(self, room: int, feed: int, *, network: AccessNetwork | None = None) -> Bot:
        """A subscriber of that feed, connected; its media go through `network`."""
        handle = await self._attach()
        offered = await self._message(
            handle,
            {"request": "join", "ptype": "subscriber", "room": room, "streams": [{"feed": feed}]},
        )
        bot = Bot(self._crowd)
        offer = offered["jsep"]["sdp"]
        answer = bot.answer(offer if network is None else await network.lead(offer))
        await self._message(handle, {"request": "start"}, jsep={"type": "answer", "sdp": answer})
        await self._request({"janus": "trickle", "candidate": {"completed": True}}, handle)
        await bot.connected
        return bot

    # The protocol

    async def _attach(self) -> int:
        attached = await self._request({"janus": "attach", "plugin": "janus.plugin.videoroom"})
        handle = attached["data"]["id"]
        assert isinstance(handle, int)
        return handle

    async def _message(self, handle: int, body: Json, jsep: Json | None = None) -> Json:
        message: Json = {"janus": "message", "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        answer = await self._request(message, handle)
        data = answer["plugindata"]["data"]
        if "error" in data:
            raise BotFailed(f"Janus: {data['error']}")
        return answer

    async def _request(self, message: Json, handle: int | None = None) -> Json:
        transaction = str(next(self._transactions))
        message["transaction"] = transaction
        if self._session:
            message["session_id"] = self._session
        if handle is not None:
            message["handle_id"] = handle
        # To a message, `ack` only says that the plugin will answer; other requests get nothing more.
        answer_follows = message["janus"] == "message"
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = (answer_follows, future)
        await self._websocket.send_json(message)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await future
        if answer["janus"] == "error":
            raise BotFailed(f"Janus: {answer['error']}")
        return answer

    async def _listen(self) -> None:
        async for frame in self._websocket:
            message: Json = frame.json()
            if message["janus"] == "webrtcup":
                self._up[message["sender"]].set()
            transaction = message.get("transaction")
            if transaction in self._waiting:
                answer_follows, future = self._waiting[transaction]
                if message["janus"] == "ack" and answer_follows:
                    continue
                del self._waiting[transaction]
                if not future.done():
                    future.set_result(message)

    async def _keep_alive(self) -> None:
        with contextlib.suppress(BotFailed):
            while True:
                await asyncio.sleep(KEEP_ALIVE_S)
                await self._request({"janus": "keepalive"})


def _configure(directory: Path, libraries: Path) -> None:
    others = {
        kind: ",".join(
            library.name
            for library in sorted((libraries / kind).glob("*.so"))
            if library.name not in ("libjanus_videoroom.so", "libjanus_websockets.so")
        )
        for kind in ("plugins", "transports")
    }
    (directory / "janus.jcfg").write_text(
        f"""general: {{
    configs_folder = "{directory}"
    plugins_folder = "{libraries}/plugins"
    transports_folder = "{libraries}/transports"
    events_folder = "{libraries}/events"
    loggers_folder = "{libraries}/loggers"
    debug_level = 3
}}
nat: {{ ice_lite = true }}
plugins: {{ disable = "{others["plugins"]}" }}
transports: {{ disable = "{others["transports"]}" }}
"""
    )
    (directory / "janus.transport.websockets.jcfg").write_text(
        f'general: {{ json = "compact", ws = true, ws_port = {WEBSOCKET_PORT}, ws_ip = "{ADDRESS}" }}\n'
    )
    (directory / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
