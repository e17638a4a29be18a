"""Talk and search: a real `proofcall serve` in its own process, people on WebSockets in this one.

A message is shown on the other side when the other person's page has its entry: it was decided, durable and
read by both on the way.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from server.evidence.entry import Draft
from server.identifiers import new_id
from server.store.log import LogStore
from tests.bench.bot import BotFailed
from tests.bench.measure_log import commit_bare
from tests.bench.processes import Server, console_script
from tests.bench.table import Row, judge, percentile, span
from tests.bench.workshop import Workshop

HTTP_PORT = 8086
URL = f"http://127.0.0.1:{HTTP_PORT}"
ORIGIN = "bench.local/log"
ANSWER_TIMEOUT_S = 20

CASES = 100  # of two people each
RATE = 100  # messages a second, of all together
WINDOW_S = 10.0
WINDOWS = 3
REACH_MEDIAN_MS, REACH_P95_MS = 50, 120
CATCH_UP = 1_000
BURST = 200
TURNS = 5

SEARCHED = 100_000
SEARCHED_CASES = 100
AT_ONCE = 100
RARE = 5  # entries with the rare word
FILL_TIMEOUT_S = 300
SETTLE_S = 1.0  # what a start leaves behind is collected

Json = dict[str, Any]


class Talker:
    """One person's page: says texts, and notes when each text of the other side has come."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, token: str) -> None:
        self.synced_s = 0.0
        self.entries = 0
        self._websocket = websocket
        self._token = token
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._awaited: dict[str, asyncio.Future[float]] = {}
        self._synced = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def greet(self) -> None:
        began = time.perf_counter()
        await self._websocket.send_json(
            {"type": "hello", "version": 1, "token": self._token, "after": 0, "hash": None}
        )
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._synced.wait()
        self.synced_s = time.perf_counter() - began

    def expect(self, text: str) -> asyncio.Future[float]:
        """When this text has come: by `time.perf_counter`."""
        self._awaited[text] = asyncio.get_running_loop().create_future()
        return self._awaited[text]

    async def say(self, text: str) -> asyncio.Future[Json]:
        """Sends it; the future has the answer."""
        command_id = f"b{next(self._ids)}"
        future = self._waiting[command_id] = asyncio.get_running_loop().create_future()
        command = {"kind": "text", "text": text}
        await self._websocket.send_json({"type": "command", "id": command_id, "command": command})
        return future

    async def close(self) -> None:
        self._listening.cancel()
        await self._websocket.close()

    async def _listen(self) -> None:
        async for frame in self._websocket:
            now = time.perf_counter()
            message: Json = frame.json()
            match message["type"]:
                case "entry":
                    self.entries += 1
                    body = message["entry"]["body"] or {}
                    if (awaited := self._awaited.pop(body.get("text", ""), None)) is not None:
                        awaited.set_result(now)
                case "synced":
                    self._synced.set()
                case "ack":
                    self._waiting.pop(message["id"]).set_result(message)
                case "nack":
                    failed = BotFailed(f"Proofcall refused a text: {message['message']}")
                    self._waiting.pop(message["id"]).set_exception(failed)


class Service:
    """The process, and its API as the integrator calls it."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self.server = server
        self._http = http
        self._talkers: list[Talker] = []

    async def open_case(self) -> str:
        return str((await self._post("/api/cases", {"waybill": "SF1000000001"}))["case_id"])

    async def token(self, case_id: str, role: str) -> str:
        link = await self._post(f"/api/cases/{case_id}/links", {"role": role, "name": role})
        return str(link["token"])

    async def talker(self, case_id: str, token: str) -> Talker:
        talker = Talker(await self._http.ws_connect(f"{URL}/api/cases/{case_id}/ws"), token)
        self._talkers.append(talker)
        await talker.greet()
        return talker

    async def pair(self) -> list[Talker]:
        """A new case, and the two people of it."""
        case_id = await self.open_case()
        tokens = [await self.token(case_id, role) for role in ("customer", "courier")]
        return [await self.talker(case_id, token) for token in tokens]

    async def search(self, words: str) -> Json:
        async with self._http.get(f"{URL}/api/search", params={"q": words}) as response:
            answer: Json = await response.json()
            return answer

    async def close(self) -> None:
        for talker in self._talkers:
            await talker.close()

    async def _post(self, path: str, body: Json) -> Json:
        async with self._http.post(URL + path, json=body) as response:
            answer: Json = await response.json()
            return answer


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Service]:
    api_key = secrets.token_urlsafe(24)
    async with aiohttp.ClientSession(
        raise_for_status=True,
        connector=aiohttp.TCPConnector(limit=0),  # a person keeps a socket open
        headers={"Authorization": f"Bearer {api_key}"},
    ) as http:
        server = Server.start(
            [console_script("proofcall"), "serve"],
            log=folder / "log",
            environment={
                "PROOFCALL_HTTP_PORT": str(HTTP_PORT),
                "PROOFCALL_UDP_PORT": "0",
                "PROOFCALL_DATA_DIR": str(folder / "data"),
                "PROOFCALL_API_KEY": api_key,
                "PROOFCALL_LOG_ORIGIN": ORIGIN,
            },
        )
        service = Service(server, http)
        try:
            await server.ready(lambda: http.get(f"{URL}/readyz"))
            yield service
        finally:
            await service.close()
            await server.stop()


async def measure_talk(workshop: Workshop) -> list[Row]:
    folder = workshop.folder("talk")
    bare_rate = await asyncio.to_thread(commit_bare, folder / "bare.sqlite")
    async with serving(folder) as service:
        await service.pair()  # what is loaded with the first is nobody's share
        pairs, sizes = [], [service.server.resident_bytes()]
        for _ in range(2):
            pairs += [await service.pair() for _ in range(CASES // 2)]
            sizes.append(service.server.resident_bytes())
        socket_kib = [(after - before) / CASES / 1024 for before, after in itertools.pairwise(sizes)]
        return [
            *await _measure_conversation(service, pairs),
            Row(
                part="talk",
                what=f"memory an open socket, its share of its case with it, {2 * CASES} of them",
                reach="",
                measured=f"{sum(socket_kib) / len(socket_kib):.0f} KiB",
                noise=span(socket_kib),
            ),
            await _measure_burst(service, bare_rate),
            await _measure_catching_up(service),
        ]


async def _measure_conversation(service: Service, pairs: list[list[Talker]]) -> list[Row]:
    """Texts at an even pace, each from another case; from sending to having it on the other side."""
    windows: list[list[float]] = []
    cpu_before, count = service.server.cpu_s(), 0
    for window in range(WINDOWS):
        arrivals: list[tuple[float, asyncio.Future[float]]] = []
        began = time.perf_counter()
        for number in range(int(RATE * WINDOW_S)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            sender, receiver = pairs[number % len(pairs)][:: 1 if number % 2 else -1]
            text = f"第 {window}-{number} 句：请把包裹翻过来。"
            arrived = receiver.expect(text)
            arrivals.append((time.perf_counter(), arrived))
            await sender.say(text)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            windows.append([(await arrived - sent) * 1000 for sent, arrived in arrivals])
        count += len(arrivals)
    cpu_ms = (service.server.cpu_s() - cpu_before) * 1000 / count
    rows = []
    for percent, reach_ms in ((50, REACH_MEDIAN_MS), (95, REACH_P95_MS)):
        values = [percentile(window, percent) for window in windows]
        worst = max(values)
        rows.append(
            Row(
                part="talk",
                what=f"sent → shown on the other side, p{percent}, {2 * len(pairs)} sockets, {RATE} a second",
                reach=f"≤ {reach_ms} ms",
                measured=f"{sum(values) / len(values):.1f} ms",
                noise=span(values, 1),
                peers=f"the service needs {cpu_ms:.1f} ms of CPU a message",
                verdict=judge(worst <= reach_ms),
            )
        )
    return rows


async def _measure_burst(service: Service, bare_rate: float) -> Row:
    """What a phone that was offline sends when it is back: texts, one after the other, all at once."""
    times: list[float] = []
    for turn in range(TURNS):
        sender, receiver = await service.pair()
        last = receiver.expect(f"{turn}-{BURST - 1}")
        began = time.perf_counter()
        answers = [await sender.say(f"{turn}-{number}") for number in range(BURST)]
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await asyncio.gather(*answers)
            times.append(await last - began)
    median = percentile(times, 50)
    return Row(
        part="talk",
        what=f"{BURST} texts from one socket at once, until the other side has the last",
        reach="",
        measured=f"{median:.2f} s",
        noise=span(times, 2),
        peers=f"SQLite's bare commits of as many rows: {BURST / bare_rate:.2f} s",
    )


async def _measure_catching_up(service: Service) -> Row:
    case_id = await service.open_case()
    tokens = [await service.token(case_id, role) for role in ("customer", "courier")]
    sender = await service.talker(case_id, tokens[0])
    for number in range(0, CATCH_UP, BURST):
        answers = [await sender.say(f"第 {number + index} 句：请把包裹翻过来。") for index in range(BURST)]
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await asyncio.gather(*answers)
    times: list[float] = []
    entries = 0
    for _ in range(TURNS):
        reader = await service.talker(case_id, tokens[1])
        times.append(reader.synced_s)
        entries = reader.entries
        await reader.close()
    median = percentile(times, 50)
    return Row(
        part="talk",
        what=f"a page that was away catches up with {entries:,} entries",
        reach="",
        measured=f"{median * 1000:.0f} ms",
        noise=span([time_s * 1000 for time_s in times]),
        peers=f"{entries / median:,.0f} entries a second",
    )


async def measure_search(workshop: Workshop) -> list[Row]:
    """The index is made by a service that starts on a log of many texts; then words are looked for in it."""
    folder = workshop.folder("search")
    await _write_much(folder / "data")
    async with serving(workshop.folder("search")) as empty:
        await asyncio.sleep(SETTLE_S)
        empty_bytes = empty.server.resident_bytes()
    async with serving(folder) as service:
        began = time.perf_counter()
        cpu_before = service.server.cpu_s()
        async with asyncio.timeout(FILL_TIMEOUT_S):
            while not (await service.search("nowhere"))["complete"]:  # noqa: ASYNC110 asked as pages ask
                await asyncio.sleep(0.2)
        fill_s, fill_cpu_s = time.perf_counter() - began, service.server.cpu_s() - cpu_before
        index_mib = (service.server.resident_bytes() - empty_bytes) / (1 << 20)
        rows = [
            Row(
                part="search",
                what=f"index over {SEARCHED:,} texts, filled behind a start",
                reach="",
                measured=f"{fill_s:.1f} s",
                peers=f"{fill_cpu_s:.1f} s of CPU; {index_mib:.0f} MiB more than an empty service",
            )
        ]
        for what, words, hits in (
            ("a word that stands nowhere", "不存在的", 0),
            (f"a word in {RARE} of them", "稀有", RARE),
            ("two words that stand in all, the first page", "包裹 翻过来", 20),
            ("two words, one in all and one nowhere", "请把包裹 其他", 0),
            ("two words, each in half of them and never together", "左面 右面", 0),
        ):
            rows.append(await _measure_words(service, what, words, hits))
        return rows


async def _measure_words(service: Service, what: str, words: str, hits: int) -> Row:
    await service.search(words)  # the first time it is written that these were read
    times: list[float] = []
    for _ in range(4 * TURNS):
        began = time.perf_counter()
        answer = await service.search(words)
        times.append((time.perf_counter() - began) * 1000)
        if len(answer["hits"]) != hits:
            raise BotFailed(f"the search for {words} found {len(answer['hits'])} and not {hits}")
    return Row(
        part="search",
        what=f"search of {SEARCHED:,} texts: {what}",
        reach="",
        measured=f"{percentile(times, 50):.1f} ms",
        noise=span(times, 1),
    )


async def _write_much(data: Path) -> None:
    log = await LogStore.open(
        data, origin=ORIGIN, utc_now=lambda: datetime.now(UTC), token_bytes=secrets.token_bytes
    )
    try:
        await asyncio.gather(*(_write_case(log, case) for case in range(SEARCHED_CASES)))
    finally:
        await log.close()


async def _write_case(log: LogStore, case: int) -> None:
    case_id, actor_id, session_id = new_id("c_"), new_id("l_"), new_id("s_")

    def draft(kind: str, body: Json, role: str = "customer") -> Draft:
        actor = actor_id if role == "customer" else role
        return Draft(kind=kind, case_id=case_id, role=role, actor_id=actor, session_id=session_id, body=body)

    opened: Json = {"waybill": f"SF{case}", "declared_value": None, "language": "zh", "metadata": {}}
    link = {
        "link_id": actor_id,
        "role": "customer",
        "name": "customer",
        "expires_at": "2126-11-22T14:03:22.123Z",
    }
    await log.append(
        [draft("case_opened", opened, "integrator"), draft("link_issued", link, "integrator")],
        expect_number=0,
    )
    each = SEARCHED // SEARCHED_CASES
    for first in range(0, each, AT_ONCE):
        texts = [_sentence(case, first + index) for index in range(AT_ONCE)]
        await log.append([draft("text", {"text": text}) for text in texts], expect_number=2 + first)


def _sentence(case: int, number: int) -> str:
    rare = "，这是稀有的一句" if number == 500 and case % (SEARCHED_CASES // RARE) == 0 else ""
    return f"第 {case}-{number} 句：请把包裹翻过来，让我看看{'左右'[number % 2]}面{rare}。"
