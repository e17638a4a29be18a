"""Who was shown what, and who was refused: entries, written before it happens."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from server import custody
from server.errors import ForbiddenAccess
from server.http import integrator
from server.http.operations import PEOPLE, admit
from server.store.errors import FailedAppend
from server.tokens import LinkToken
from tests.conftest import API_KEY, Caller
from tests.server.test_socket import close_code, greet, say, up_to


async def entries(caller: Caller, case_id: str, *kinds: str) -> list[dict[str, Any]]:
    """Straight from the log: a look over HTTP would be an entry itself."""
    found = await caller.service.log.entries(case_id)
    return [
        {"actor_id": entry.envelope.actor_id, "number": entry.envelope.number} | dict(entry.body)
        for entry in found
        if entry.envelope.kind in kinds
    ]


async def gone(caller: Caller, case_id: str, socket: ClientWebSocketResponse) -> None:
    """Closes a page, and waits until the service has noticed."""
    await socket.close()
    for _ in range(500):
        if not (await caller.service.cases.get(case_id)).listeners and not caller.service.background._tasks:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


@pytest.fixture
def unwritable(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the log refuse from now on."""

    async def refuse(*_: object, **__: object) -> None:
        raise FailedAppend("the disk is full")

    return lambda: monkeypatch.setattr(caller.service.log, "append", refuse)


async def test_a_page_is_an_entry_where_it_begins_and_one_where_it_ends(caller: Caller) -> None:
    case_id = await caller.open_case()
    qa, customer = [await caller.link(case_id, role) for role in ("qa", "customer")]
    reader = await greet(caller, case_id, qa["token"])
    messages = await up_to(reader, "synced")
    shown = [m["entry"]["envelope"]["kind"] for m in messages if m["type"] == "entry"]
    assert shown == ["case_opened", "link_issued", "link_issued", "read"], "written before they go out"
    writer = await greet(caller, case_id, customer["token"])
    await say(writer, "t1", kind="text", text="one")
    await say(writer, "t2", kind="text", text="two")
    await writer.close()  # the end of what was read there is the last entry
    while True:
        message = await reader.receive_json(timeout=5)
        if message["type"] == "entry" and message["entry"]["envelope"]["kind"] == "read":
            last = message["entry"]["envelope"]["number"]
            if not message["entry"]["body"]["live"]:
                break
    assert last == (await caller.service.cases.get(case_id)).state.last_number
    await gone(caller, case_id, reader)
    read = [entry for entry in await entries(caller, case_id, "read") if entry["actor_id"] == qa["link_id"]]
    assert [(entry["after"], entry["up_to"], entry["live"]) for entry in read] == [
        (0, 3, True),
        (3, last, False),
    ]
    assert {entry["authenticated_by"] for entry in read} == {"link"}


async def test_pages_that_come_and_go_with_nothing_new_make_no_entries(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "qa")
    counts = []
    for _ in range(3):
        socket = await greet(caller, case_id, link["token"])
        await up_to(socket, "synced")
        await gone(caller, case_id, socket)
        counts.append(len(await entries(caller, case_id, "read")))
    assert counts == [1, 1, 1]


async def test_a_page_beside_another_goes_on_reading(caller: Caller) -> None:
    case_id = await caller.open_case()
    qa, customer = [await caller.link(case_id, role) for role in ("qa", "customer")]
    first = await greet(caller, case_id, qa["token"])
    await up_to(first, "synced")
    writer = await greet(caller, case_id, customer["token"])
    await say(writer, "t1", kind="text", text="one")
    second = await greet(caller, case_id, qa["token"])
    await up_to(second, "synced")
    await first.close()
    await say(writer, "t2", kind="text", text="two")
    await writer.close()
    await gone(caller, case_id, second)
    read = [e for e in await entries(caller, case_id, "read") if e["actor_id"] == qa["link_id"]]
    assert [(entry["live"], entry["after"]) for entry in read] == [(True, 0), (False, 3)]
    texts = await entries(caller, case_id, "text")
    assert read[-1]["up_to"] >= texts[-1]["number"], "all that either of them was shown is covered"


async def test_a_page_over_http_is_one_entry_and_polling_none(caller: Caller) -> None:
    case_id = await caller.open_case()
    path = f"/api/cases/{case_id}/entries"
    for _ in range(5):
        status, page = await caller.call("GET", path)
        assert status == 200
    assert [entry["envelope"]["kind"] for entry in page["entries"]] == ["case_opened", "read"]
    for _ in range(5):
        await caller.call("GET", f"{path}?after={page['last_number']}")
    (read,) = await entries(caller, case_id, "read")
    assert (read["actor_id"], read["authenticated_by"]) == ("integrator", "api_key")
    assert (read["after"], read["up_to"], read["live"]) == (0, 1, False)


async def test_a_page_that_holds_nothing_but_custody_is_no_reading(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrator, "MAX_ENTRIES_A_PAGE", 3)
    case_id = await caller.open_case()
    for _ in range(3):
        await caller.call("POST", f"/api/cases/{case_id}/export")
    await caller.link(case_id, "qa")
    _, page = await caller.call("GET", f"/api/cases/{case_id}/entries?after=1")
    assert [entry["envelope"]["kind"] for entry in page["entries"]] == ["exported"] * 3
    assert await entries(caller, case_id, "read") == []


async def test_a_customer_who_sees_no_body_has_read_nothing_over_http(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    await caller.call("GET", f"/api/cases/{case_id}/entries", bearer=link["token"])
    assert await entries(caller, case_id, "read") == []


async def test_without_the_log_the_office_waits_and_people_are_shown_what_is_theirs(
    caller: Caller, unwritable: Any
) -> None:
    case_id = await caller.open_case()
    links = {role: await caller.link(case_id, role) for role in ("customer", "courier", "qa")}
    writer = await greet(caller, case_id, links["courier"]["token"])
    await say(writer, "t1", kind="text", text="hello")
    unwritable()
    path = f"/api/cases/{case_id}/entries"
    for bearer, expected in (
        (links["customer"]["token"], 200),
        (links["courier"]["token"], 200),
        (links["qa"]["token"], 503),
        (API_KEY, 503),
    ):
        assert (await caller.call("GET", path, bearer=bearer))[0] == expected
    customer = await greet(caller, case_id, links["customer"]["token"])
    shown = [m["entry"] for m in await up_to(customer, "synced") if m["type"] == "entry"]
    assert shown[-1]["body"] == {"text": "hello", "captured_at": None}
    qa = await greet(caller, case_id, links["qa"]["token"])
    message = await qa.receive(timeout=5)
    assert message.type is WSMsgType.CLOSE and message.data == 1011
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    assert b"proofcall_views_unrecorded_total 3.0" in metrics


async def test_an_export_says_who_asked_and_how(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "qa")
    for bearer in (API_KEY, link["token"]):
        assert (await caller.call("POST", f"/api/cases/{case_id}/export", bearer=bearer))[0] == 200
    assert [
        (entry["actor_id"], entry["authenticated_by"], entry["entries_before"])
        for entry in await entries(caller, case_id, "exported")
    ] == [("integrator", "api_key", 2), (link["link_id"], "link", 3)]


async def test_a_refusal_is_an_entry_in_the_case_that_was_asked_for(caller: Caller) -> None:
    case_id, other = await caller.open_case(), await caller.open_case()
    customer, foreign, revoked = [
        await caller.link(case, role)
        for case, role in ((case_id, "customer"), (other, "qa"), (case_id, "courier"))
    ]
    await caller.call("DELETE", f"/api/cases/{case_id}/links/{revoked['link_id']}")
    expired = caller.service.tokens.issue_link(
        LinkToken(case_id=case_id, link_id=customer["link_id"], role="customer"),
        expires_at=caller.service.utc_now() - timedelta(minutes=1),
    )
    _, desk = await caller.call("POST", "/api/desk", json={"name": "desk"})
    for bearer, path, status in (
        (customer["token"], "export", 403),
        (foreign["token"], "export", 403),
        (revoked["token"], "export", 401),
        (expired, "export", 401),
        (desk["token"], "export", 403),
        (API_KEY, "media", 403),
    ):
        assert (await caller.call("POST", f"/api/cases/{case_id}/{path}", bearer=bearer))[0] == status
    socket = await greet(caller, case_id, foreign["token"])
    assert await close_code(socket) == 4403
    socket = await greet(caller, case_id, API_KEY)
    assert await close_code(socket) == 4403
    refused = await entries(caller, case_id, "refused")
    assert [
        (entry["actor_id"], entry["what"], entry["reason"], entry["authenticated_by"]) for entry in refused
    ] == [
        (customer["link_id"], "export_case", "not_for_role", "link"),
        (foreign["link_id"], "export_case", "other_case", "link"),
        (revoked["link_id"], "export_case", "revoked", "link"),
        (customer["link_id"], "export_case", "expired", "link"),
        ("integrator", "export_case", "not_for_role", "desk"),
        ("integrator", "connect_media", "not_for_role", "api_key"),
        (foreign["link_id"], "serve", "other_case", "link"),
        ("integrator", "serve", "not_for_role", "api_key"),
    ]
    assert await entries(caller, other, "refused") == []


async def test_one_person_cannot_fill_the_log_by_going_through_many_cases(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custody, "REFUSALS_PER_S", 0.0)
    case_ids = [await caller.open_case() for _ in range(custody.REFUSALS_AT_ONCE + 3)]
    foreign = (await caller.link(await caller.open_case(), "qa"))["token"]
    for case_id in case_ids:
        assert (await caller.call("GET", f"/api/cases/{case_id}", bearer=foreign))[0] == 403
    found = [entry for case_id in case_ids for entry in await entries(caller, case_id, "refused")]
    assert len(found) == custody.REFUSALS_AT_ONCE


async def test_each_refusal_is_an_exception_of_its_own(caller: Caller) -> None:
    case_id, other = await caller.open_case(), await caller.open_case()
    foreign = (await caller.link(other, "qa"))["token"]
    raised = []
    for _ in range(2):
        with pytest.raises(ForbiddenAccess) as told:
            await admit(caller.service, foreign, PEOPLE, what="show_case", case_id=case_id)
        raised.append(told.value)
    assert raised[0] is not raised[1], "one that is raised again keeps the traceback of every time"


async def test_refusals_beyond_the_allowance_and_of_strangers_are_counted_only(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custody, "REFUSALS_PER_S", 0.0)
    case_id, other = await caller.open_case(), await caller.open_case()
    foreign = (await caller.link(other, "qa"))["token"]
    for _ in range(25):
        await caller.call("GET", f"/api/cases/{case_id}", bearer=foreign)
    assert len(await entries(caller, case_id, "refused")) == custody.REFUSALS_AT_ONCE
    for bearer in (None, "nonsense", API_KEY[:-1]):
        await caller.call("GET", f"/api/cases/{case_id}", bearer=bearer)
    assert (await caller.call("GET", "/api/cases/c_nosuchcase", bearer=foreign))[0] == 403
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    for line in ('entered"} 10.0', 'counted"} 16.0', 'unauthenticated"} 3.0'):
        assert f'proofcall_refusals_total{{fate="{line}'.encode() in metrics
    assert len(await entries(caller, case_id, "refused")) == custody.REFUSALS_AT_ONCE
