"""Proofcall itself: a real `proofcall serve`, everything on, and bots that come as people do.

A bot gets a link from the integrator API, says hello, consents and joins on its WebSocket, and posts its
offer.
"""

import asyncio
import datetime
import io
import itertools
import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.access_network import AccessNetwork
from tests.bench.bot import Bot, BotFailed, Crowd, Direction, Kind
from tests.bench.processes import Server, console_script
from tests.bench.recorded import JournalSegment

HTTP_PORT = 8085
UDP_PORT = 8447
URL = f"http://127.0.0.1:{HTTP_PORT}"  # a secure context for Chromium; media go to the crowd's address
ANSWER_TIMEOUT_S = 10
SEALED_WITHIN_S = 15.0  # a segment is cut after five seconds, and sealed when the disk has time
# Own camera and microphone, and receive slots for a call of four.
SECTIONS: list[tuple[Kind, Direction]] = [
    ("audio", "sendrecv"),
    ("video", "sendrecv"),
    ("audio", "recvonly"),
    ("video", "recvonly"),
    ("audio", "recvonly"),
    ("video", "recvonly"),
]
ROLES = ("customer", "courier", "qa", "guest")  # as many as find room in a call
WATCHING: list[tuple[Kind, Direction]] = [("audio", "recvonly"), ("video", "recvonly")] * 3
Json = dict[str, Any]


class Person:
    """One person's socket in a case. Answers to commands are awaited; the rest is read and forgotten."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, token: str) -> None:
        self.bot: Bot
        self.actor_id = ""
        self.token = token
        self._websocket = websocket
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._synced = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def enter(self) -> None:
        await self._websocket.send_json(
            {"type": "hello", "version": 1, "token": self.token, "after": 0, "hash": None}
        )
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._synced.wait()
        await self.command({"kind": "consent", "statement": "I agree.", "language": "en"})
        await self.command({"kind": "join"})

    async def command(self, command: Json) -> Json:
        """Send a command and return its `ack`."""
        command_id = f"b{next(self._ids)}"
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = future
        await self._websocket.send_json({"type": "command", "id": command_id, "command": command})
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await future
        if answer["type"] != "ack":
            raise BotFailed(f"Proofcall refused {command['kind']}: {answer['message']}")
        return answer

    async def close(self) -> None:
        self._listening.cancel()
        await self._websocket.close()

    async def _listen(self) -> None:
        async for frame in self._websocket:
            message: Json = frame.json()
            match message["type"]:
                case "welcome":
                    self.actor_id = message["you"]["actor_id"]
                case "synced":
                    self._synced.set()
                case "ack" | "nack":
                    self._waiting.pop(message["id"]).set_result(message)


def lobby(link: Json) -> str:
    """The link's page, where it begins with the call."""
    return str(link["url"]).replace("#", "?call#")


class ProofcallPeer:
    name = "Proofcall"

    def __init__(self, crowd: Crowd, *, directory: Path, command: Sequence[str] = ()) -> None:
        self.server: Server
        self._crowd = crowd
        self._directory = directory
        self._command = command or [console_script("proofcall")]
        self._api_key = secrets.token_urlsafe(24)
        self._authorized = {"Authorization": f"Bearer {self._api_key}"}
        self._people: list[Person] = []

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(
            raise_for_status=True,
            connector=aiohttp.TCPConnector(limit=0),  # a person keeps a socket open
        )
        self.server = Server.start(
            [*self._command, "serve"],
            log=self._directory / "log",
            environment={
                "PROOFCALL_HTTP_HOST": "0.0.0.0",
                "PROOFCALL_HTTP_PORT": str(HTTP_PORT),
                "PROOFCALL_UDP_PORT": str(UDP_PORT),
                "PROOFCALL_ANNOUNCE": f"{self._crowd.address}:{UDP_PORT}",
                "PROOFCALL_PUBLIC_URL": URL,
                "PROOFCALL_DATA_DIR": str(self._directory / "data"),
                "PROOFCALL_API_KEY": self._api_key,
            },
        )
        await self.server.ready(lambda: self._http.get(f"{URL}/readyz"))

    async def stop(self) -> None:
        for person in self._people:
            await person.close()
        await self._http.close()
        await self.server.stop()

    def blob_bytes(self) -> int:
        """What lies in its store, entries aside."""
        return sum(
            path.stat().st_size for path in (self._directory / "data/blobs").rglob("*") if path.is_file()
        )

    async def connect_call(self, *, people: int = 2) -> list[Bot]:
        case_id = await self.open_case()
        return [(await self.join(case_id, role)).bot for role in ROLES[:people]]

    async def open_case(self) -> str:
        case = await self._post("/api/cases", {"waybill": "SF1000000001", "language": "en"})
        return str(case["case_id"])

    async def issue_link(self, case_id: str, role: str) -> Json:
        return await self._post(
            f"/api/cases/{case_id}/links", {"role": role, "name": role, "expires_in_s": 3_600}
        )

    async def join(
        self,
        case_id: str,
        role: str,
        *,
        stamps: bool = True,
        watches: bool = False,
        network: AccessNetwork | None = None,
    ) -> Person:
        """A new person of the case, in the call and connected; its bot does not send yet, or never if it only
        watches. Its media go through `network`.
        """
        token = str((await self.issue_link(case_id, role))["token"])
        person = Person(await self._http.ws_connect(f"{URL}/api/cases/{case_id}/ws"), token)
        self._people.append(person)
        await person.enter()
        person.bot = Bot(self._crowd, stamps=stamps)
        async with self._http.post(
            f"{URL}/api/cases/{case_id}/media",
            data=person.bot.offer(WATCHING if watches else SECTIONS),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"},
        ) as response:
            answer = await response.text()
        person.bot.accept_answer(answer if network is None else await network.lead(answer))
        await person.bot.connected
        return person

    async def leave(self, person: Person) -> None:
        """The person hangs up; the server need not find out by itself."""
        await person.command({"kind": "leave"})
        await person.close()
        person.bot.close()
        self._people.remove(person)

    async def actor_id(self, case_id: str, role: str) -> str:
        """Of the only person of that role whom the case knows."""
        entries = await self._entries(case_id)
        found = [
            entry["body"]["link_id"]
            for entry in entries
            if entry["envelope"]["kind"] == "link_issued" and entry["body"]["role"] == role
        ]
        if len(found) != 1:
            raise BotFailed(f"{len(found)} links of {role}")
        return str(found[0])

    async def journal(self, case_id: str, role: str, until: datetime.datetime) -> list[JournalSegment]:
        """All segments of that person, once what arrived up to then is sealed."""
        actor_id = await self.actor_id(case_id, role)
        deadline = asyncio.get_running_loop().time() + SEALED_WITHIN_S
        while True:
            bodies = [
                entry["body"]
                for entry in await self._entries(case_id)
                if entry["envelope"]["kind"] == "segment_sealed" and entry["envelope"]["actor_id"] == actor_id
            ]
            if bodies and datetime.datetime.fromisoformat(bodies[-1]["ended_at"]) >= until:
                break
            if asyncio.get_running_loop().time() > deadline:
                raise BotFailed(f"{len(bodies)} segments, and none that holds {until}")
            await asyncio.sleep(0.5)
        # The package is how a segment leaves the house.
        async with self._http.post(f"{URL}/api/cases/{case_id}/export", headers=self._authorized) as response:
            package = zipfile.ZipFile(io.BytesIO(await response.read()))
        return [JournalSegment(body, package.read(f"blobs/{body['blob']['sha256']}")) for body in bodies]

    async def _entries(self, case_id: str) -> list[Json]:
        entries: list[Json] = []
        while True:
            after = entries[-1]["envelope"]["number"] if entries else 0
            async with self._http.get(
                f"{URL}/api/cases/{case_id}/entries", params={"after": str(after)}, headers=self._authorized
            ) as response:
                page = (await response.json())["entries"]
            if not page:
                return entries
            entries += page

    async def require_kind(self, case_id: str, number: int, kind: str) -> None:
        """Entry `number` of the case is what it should be: a frame that failed is acknowledged, too."""
        async with self._http.get(
            f"{URL}/api/cases/{case_id}/entries",
            params={"after": str(number - 1)},
            headers=self._authorized,
        ) as response:
            entry = (await response.json())["entries"][0]
        if entry["envelope"]["kind"] != kind:
            raise BotFailed(f"not {kind} but {entry['envelope']['kind']}: {entry['body']}")

    async def _post(self, path: str, body: Json) -> Json:
        async with self._http.post(URL + path, json=body, headers=self._authorized) as response:
            answer: Json = await response.json()
            return answer
