"""The desk's feed: work orders of all cases, within a second, without holes, also after a restart."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientWebSocketResponse, web

from server import orders
from server.cases import Case, Cases
from server.http import exceptions
from server.store.errors import CorruptLog
from server.store.log import LogStore
from server.tokens import LEEWAY_S, DeskToken
from tests.conftest import Caller, calling
from tests.server.test_socket import greet, say, up_to

Event = tuple[str, str, Any]  # id, name, data


class Feed:
    """Reads Server-Sent Events as the standard says, comments left out."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> Event:
        """The next event; waits at most five seconds."""
        told: dict[str, str] = {}
        async with asyncio.timeout(5):
            while line := (await self.answer.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                if name:
                    told[name] = value
        if not told:  # the empty line after a comment
            return await self.next()
        return told["id"], told["event"], json.loads(told["data"])


@asynccontextmanager
async def following(caller: Caller, bearer: str, *, last_event_id: str | None = None) -> AsyncIterator[Feed]:
    headers = {"Authorization": f"Bearer {bearer}"}
    headers |= {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with caller.http.get(f"{caller.url}/api/desk/events", headers=headers) as answer:
        assert answer.status == 200 and answer.content_type == "text/event-stream"
        yield Feed(answer)


async def desk(caller: Caller) -> str:
    _, desk = await caller.call("POST", "/api/desk", json={"name": "desk 7"})
    return str(desk["token"])


async def person(caller: Caller, case_id: str, role: str) -> ClientWebSocketResponse:
    link = await caller.link(case_id, role, f"{role} Li")
    socket = await greet(caller, case_id, link["token"])
    await up_to(socket, "synced")
    return socket


async def report(socket: ClientWebSocketResponse, command_id: str = "r1", exception: str = "damage") -> int:
    """A courier's work order; the number of its entry."""
    await socket.send_json(
        {
            "type": "command",
            "id": command_id,
            "command": {"kind": "report_exception", "exception": exception, "text": "a corner is wet"},
        }
    )
    number = None
    while True:
        message = await socket.receive_json(timeout=5)
        if message["type"] == "entry" and message["entry"]["envelope"]["kind"] == "exception_reported":
            number = int(message["entry"]["envelope"]["number"])
        if message.get("id") == command_id:
            assert message["type"] == "ack", message
        if number is not None and message.get("id") == command_id:
            return number


async def listed(caller: Caller, query: str = "", bearer: str | None = None) -> dict[str, Any]:
    how = {} if bearer is None else {"bearer": bearer}
    status, body = await caller.call("GET", f"/api/exceptions{query}", **how)
    assert status == 200, body
    return dict(body)


async def test_a_desk_hears_of_a_work_order_within_a_second_and_of_each_step_until_it_is_closed(
    caller: Caller,
) -> None:
    case_id = await caller.open_case()
    courier, qa = await person(caller, case_id, "courier"), await person(caller, case_id, "qa")
    async with following(caller, await desk(caller)) as feed:
        assert (await feed.next())[1:] == ("orders", {"exceptions": [], "complete": True})
        began = time.monotonic()
        reporting = asyncio.create_task(report(courier))
        _, name, row = await feed.next()
        assert time.monotonic() - began < 1
        number = await reporting
        assert name == "order"
        assert (row["case_id"], row["number"], row["waybill"]) == (case_id, number, "SF1000000001")
        assert (row["exception"], row["state"], row["reported_by"]) == ("damage", "open", "courier")
        assert row["label"]["en"] and row["label"]["zh"] and row["due_at"] > row["reported_at"]
        await say(qa, "d1", kind="take_exception", number=number)
        taken = (await feed.next())[2]
        assert (taken["state"], taken["taken_by_name"]) == ("taken", "qa Li")
        decided = await say(qa, "d2", kind="decide_exception", number=number, decision="deliver_tomorrow")
        assert (await feed.next())[2]["state"] == "decided"
        await say(courier, "a1", kind="acknowledge_exception", number=number, decided=decided["number"])
        assert (await feed.next())[2]["state"] == "acknowledged"
        await say(qa, "c1", kind="close_exception", number=number)
        assert (await feed.next())[1:] == ("gone", {"case_id": case_id, "number": number})
    assert (await listed(caller))["exceptions"] == []


async def test_a_case_that_ends_takes_its_work_orders_off_the_list(caller: Caller) -> None:
    case_id = await caller.open_case()
    number = await report(await person(caller, case_id, "courier"))
    async with following(caller, await desk(caller)) as feed:
        assert [row["number"] for row in (await feed.next())[2]["exceptions"]] == [number]
        await caller.call("POST", f"/api/cases/{case_id}/end")
        assert (await feed.next())[1:] == ("gone", {"case_id": case_id, "number": number})


async def test_a_feed_that_comes_back_is_told_nothing_of_a_case_that_was_erased_since(caller: Caller) -> None:
    token, case_id = await desk(caller), await caller.open_case()
    courier = await person(caller, case_id, "courier")
    first = await report(courier, "r1")
    async with following(caller, token) as feed:
        last, _, _ = await feed.next()
    second = await report(courier, "r2", "weather")
    await caller.call("POST", f"/api/cases/{case_id}/end")
    assert (await caller.call("POST", f"/api/cases/{case_id}/erase", json={"reason": "asked for"}))[0] == 200
    async with following(caller, token, last_event_id=last) as feed:
        told = [(await feed.next())[1:] for _ in range(3)]
    gone = [("gone", {"case_id": case_id, "number": number}) for number in (second, first, second)]
    assert sorted(map(str, told)) == sorted(map(str, gone))
    assert all(change.row is None for change in caller.service.orders._changes)


async def test_a_feed_that_comes_back_is_told_what_it_missed_and_nothing_twice(caller: Caller) -> None:
    courier = await person(caller, await caller.open_case(), "courier")
    token = await desk(caller)
    first = await report(courier, "r1")
    async with following(caller, token) as feed:
        last, name, _ = await feed.next()
        assert name == "orders"
    second = await report(courier, "r2", "weather")
    async with following(caller, token, last_event_id=last) as feed:
        last, name, row = await feed.next()
        assert (name, row["number"]) == ("order", second)
        third = await report(courier, "r3", "vehicle")
        assert (await feed.next())[2]["number"] == third
    async with following(caller, token, last_event_id="elsewhere-1") as feed:
        _, name, told = await feed.next()
        assert name == "orders" and [row["number"] for row in told["exceptions"]] == [first, second, third]


async def test_a_feed_that_missed_more_than_is_remembered_is_told_everything_anew(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier = await person(caller, await caller.open_case(), "courier")
    token = await desk(caller)
    async with following(caller, token) as feed:
        last = (await feed.next())[0]
    monkeypatch.setattr(
        caller.service.orders, "_changes", type(caller.service.orders._changes)(maxlen=1), raising=True
    )
    for number in range(3):
        await report(courier, f"r{number}")
    async with following(caller, token, last_event_id=last) as feed:
        _, name, told = await feed.next()
        assert name == "orders" and len(told["exceptions"]) == 3


async def test_what_was_open_before_a_restart_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path) as before:
        open_case, ended_case, closed_case = [await before.open_case() for _ in range(3)]
        number = await report(await person(before, open_case, "courier"))
        await report(await person(before, ended_case, "courier"))
        await before.call("POST", f"/api/cases/{ended_case}/end")
        closed = await report(await person(before, closed_case, "courier"))
        qa = await person(before, closed_case, "qa")
        await say(qa, "c1", kind="close_exception", number=closed, remark="a mistake")
        old = (await listed(before))["exceptions"]
    monkeypatch.setattr(orders, "LEAVES_A_TURN", 3)
    async with calling(tmp_path) as after:
        async with following(after, await desk(after)) as feed:
            rows: list[dict[str, Any]] = []
            while True:
                _, name, told = await feed.next()
                rows += told["exceptions"] if name == "orders" else [told] if name == "order" else []
                if name == "complete" or told.get("complete"):
                    break
        assert rows == old and [row["number"] for row in rows] == [number]
        assert await listed(after) == {"exceptions": old, "complete": True, "next_after": None}


async def test_a_log_that_cannot_be_read_at_the_start_is_searched_again_for_work_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "RETRY_S", 0.05)
    async with calling(tmp_path) as before:
        number = await report(await person(before, await before.open_case(), "courier"))
    cases_with, get, failures = LogStore.cases_with, Cases.get, Counter[str]()

    async def fail(log: LogStore, kinds: frozenset[str], *, first: int, end: int) -> list[str]:
        if kinds == {orders.REPORTED} and failures["log"] < 2:
            failures["log"] += 1
            raise CorruptLog("a leaf is damaged")
        return await cases_with(log, kinds, first=first, end=end)

    async def fail_once(cases: Cases, case_id: str) -> Case:
        failures["case"] += failures["log"] == 2
        if failures["case"] == 1:
            raise CorruptLog("a leaf is damaged")
        return await get(cases, case_id)

    monkeypatch.setattr(LogStore, "cases_with", fail)
    monkeypatch.setattr(Cases, "get", fail_once)
    async with calling(tmp_path) as after:
        for _ in range(1_000):
            if (told := await listed(after))["complete"]:
                break
            await asyncio.sleep(0.01)
        assert told["complete"]
    assert [row["number"] for row in told["exceptions"]] == [number]


async def test_a_case_with_many_work_orders_takes_no_room_from_others_and_the_list_says_that_some_are_missing(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "MAX_ORDERS", 3)
    small, large = [await caller.open_case() for _ in range(2)]
    first = await report(await person(caller, small, "courier"))
    courier, qa = await person(caller, large, "courier"), await person(caller, large, "qa")
    numbers = [await report(courier, f"r{place}") for place in range(3)]
    told = await listed(caller)
    assert [(row["case_id"], row["number"]) for row in told["exceptions"]] == [
        (small, first),
        *((large, number) for number in numbers[1:]),
    ]
    assert not told["complete"]
    async with following(caller, await desk(caller)) as feed:
        assert not (await feed.next())[2]["complete"]
        await say(qa, "c1", kind="close_exception", number=numbers[2], remark="a mistake")
        names = [(await feed.next())[1] for _ in range(3)]
        assert names == ["gone", "order", "complete"], "there is room again"
    told = await listed(caller)
    assert [row["number"] for row in told["exceptions"]] == [first, *numbers[:2]] and told["complete"]


async def test_the_list_is_in_pages_and_by_state(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = await caller.open_case()
    courier, qa = await person(caller, case_id, "courier"), await person(caller, case_id, "qa")
    numbers = [await report(courier, f"r{place}") for place in range(3)]
    await say(qa, "d1", kind="take_exception", number=numbers[1])
    monkeypatch.setattr(exceptions, "MAX_ROWS_A_PAGE", 2)
    token = await desk(caller)
    page = await listed(caller, bearer=token)
    assert [row["number"] for row in page["exceptions"]] == numbers[:2]
    rest = await listed(caller, f"?after={page['next_after']}", token)
    assert [row["number"] for row in rest["exceptions"]] == numbers[2:] and rest["next_after"] is None
    taken = await listed(caller, "?state=taken", token)
    assert [row["number"] for row in taken["exceptions"]] == [numbers[1]]
    assert len((await listed(caller, "?state=open,taken"))["exceptions"]) == 2  # a page of three
    status, failure = await caller.call("GET", "/api/exceptions?state=late")
    assert (status, failure["error"]["code"]) == (400, "malformed_request")


async def test_the_orders_of_all_cases_are_for_the_desk_and_the_integrator_alone(caller: Caller) -> None:
    case_id = await caller.open_case()
    for role in ("customer", "courier", "qa", "dispatch", "guest"):
        token = (await caller.link(case_id, role))["token"]
        for path in ("/api/exceptions", "/api/desk/events"):
            assert (await caller.call("GET", path, bearer=token))[0] == 403, (role, path)
    assert (await caller.call("GET", "/api/desk/events", bearer=None))[0] == 401


async def test_a_feed_outlives_no_token(caller: Caller) -> None:
    service = caller.service
    expires_at = service.utc_now() - timedelta(seconds=LEEWAY_S - 1)  # within what clocks differ by
    token = service.tokens.issue_desk(DeskToken(desk_id="d_x", name="desk 7"), expires_at=expires_at)
    async with following(caller, token) as feed:
        await feed.next()
        async with asyncio.timeout(5):
            assert await feed.answer.content.read() == b""


async def test_a_long_list_is_told_in_pieces_between_which_others_have_their_turn(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier = await person(caller, await caller.open_case(), "courier")
    numbers = [await report(courier, f"r{place}") for place in range(5)]
    monkeypatch.setattr(exceptions, "ROWS_A_PIECE", 2)
    write, turns, told = web.StreamResponse.write, Counter[str](), list[int]()

    async def measured(response: web.StreamResponse, data: bytes) -> None:
        turns["written"] += 1
        if turns["written"] == 1:
            asyncio.get_running_loop().call_soon(told.append, 1)
        elif turns["written"] == 2:
            assert told, "somebody else came first"
        await write(response, data)

    monkeypatch.setattr(web.StreamResponse, "write", measured)
    async with following(caller, await desk(caller)) as feed:
        _, name, rows = await feed.next()
    assert name == "orders" and [row["number"] for row in rows["exceptions"]] == numbers
    assert turns["written"] == 5 and rows["complete"]


async def test_a_feed_ends_when_the_service_stops_and_when_its_time_is_over(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await desk(caller)
    monkeypatch.setattr(exceptions, "LASTS_S", 0.2)
    async with following(caller, token) as feed:
        await feed.next()
        async with asyncio.timeout(5):
            assert await feed.answer.content.read() == b""
    monkeypatch.setattr(exceptions, "LASTS_S", 600.0)
    async with following(caller, token) as feed:
        await feed.next()
        caller.service.orders.end()
        async with asyncio.timeout(5):
            assert await feed.answer.content.read() == b""
