"""Somebody who joins a case by the HTTP contract alone: the conversation of a peer without our pages."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import until

ANSWER_TIMEOUT_S = 10.0
CONSENT = {
    "kind": "consent",
    "statement": "Sound and picture are recorded and kept as evidence.",
    "language": "en",
}


class Person:
    """A WebSocket that has said hello. Commands wait for their answer; entries and events are kept."""

    def __init__(self, socket: ClientWebSocketResponse, actor_id: str, token: str) -> None:
        self.actor_id = actor_id
        self.token = token
        self.entries: dict[int, dict[str, Any]] = {}  # by number
        self.slots: list[dict[str, Any]] = []
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._synced = asyncio.Event()

    async def command(self, **command: Any) -> int | None:
        """The number of the entry that the command made; fails on a `nack`."""
        command_id = f"k{next(self._ids)}"
        answer = self._answers[command_id] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"type": "command", "id": command_id, "command": command})
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            message = await answer
        assert message["type"] == "ack", message
        number: int | None = message["number"]
        return number

    async def join(self) -> None:
        await self._synced.wait()
        await self.command(**CONSENT)
        await self.command(kind="join")

    async def entry(self, number: int) -> dict[str, Any]:
        """An entry of the log; it and the answer to the command that made it come in no fixed order."""

        async def known() -> bool:
            return number in self.entries

        await until(known, f"entry {number}")
        return self.entries[number]

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type != WSMsgType.TEXT:
                continue
            said = message.json()
            match said["type"]:
                case "entry":
                    self.entries[said["entry"]["envelope"]["number"]] = said["entry"]
                case "synced":
                    self._synced.set()
                case "ack" | "nack":
                    self._answers.pop(said["id"]).set_result(said)
                case "event" if said["event"]["kind"] == "slots":
                    self.slots = said["event"]["slots"]


@asynccontextmanager
async def person(scene: Scene, role: str) -> AsyncIterator[Person]:
    """The person of a role, in the conversation until the block ends."""
    link = scene.links[role]
    socket = await scene.caller.socket(scene.case_id)
    somebody = Person(socket, str(link["link_id"]), str(link["token"]))
    hello = {"type": "hello", "version": 1, "token": somebody.token, "after": 0, "hash": None}
    await socket.send_json(hello)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(somebody.listen())
        yield somebody
        await socket.close()


async def connect_media(scene: Scene, token: str, offer: str) -> str:
    """The answer to an offer (RFC 9725 in form)."""
    status, answer = await scene.caller.call(
        "POST",
        f"/api/cases/{scene.case_id}/media",
        bearer=token,
        data=offer,
        headers={"Content-Type": "application/sdp"},
    )
    assert status == 201, answer
    return bytes(answer).decode()
