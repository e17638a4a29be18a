"""Search over HTTP: who finds what, that being shown it is an entry, and what it does not hold up."""

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from server import search
from server.search_index import SEARCHABLE, Document, Hit, Query
from server.store.errors import FailedAppend, UnknownCaseKey
from server.store.sealing import CaseSeal
from signaling.commands import Command
from signaling.delivery import Announce, Answer, Confirm, HandOver, RequestChange
from signaling.entries import may_see
from signaling.exceptions import DecideException, ReportException
from signaling.talk import Attach, Attachment, SendText
from signaling.values import Actor, ActorId, PersonRole, SessionId, encode_time
from tests.conftest import API_KEY, Caller, calling
from tests.server.test_custody import entries
from tests.server.test_socket import greet, up_to

ROLES: tuple[PersonRole, ...] = ("customer", "courier", "qa", "dispatch", "guest")


class Parcel:
    """A case with a link for each role, and what they do in it."""

    def __init__(self, caller: Caller, case_id: str) -> None:
        self.caller, self.case_id = caller, case_id
        self.links: dict[str, dict[str, Any]] = {}

    async def give(self, role: PersonRole, command: Command) -> int:
        """Carries it out; the number of its last entry."""
        if role not in self.links:
            self.links[role] = await self.caller.link(self.case_id, role, f"the {role} Zhang")
        actor = Actor(
            role=role,
            actor_id=ActorId(self.links[role]["link_id"]),
            session_id=SessionId("s_" + "t" * 20),
        )
        decided = await (await self.caller.service.cases.get(self.case_id)).handle(command, actor)
        assert decided.number is not None
        return decided.number

    async def say(self, *texts: str) -> list[int]:
        return [await self.give("customer", SendText(text=text)) for text in texts]

    async def search(self, words: str, *, bearer: str = API_KEY, **more: object) -> Any:
        return await search_for(self.caller, words, f"/api/cases/{self.case_id}/search", bearer, **more)


async def parcel(caller: Caller, **more: Any) -> Parcel:
    found = Parcel(caller, await caller.open_case(**more))
    for role in ROLES:
        found.links[role] = await caller.link(found.case_id, role, f"the {role} Zhang")
    return found


async def search_for(
    caller: Caller, words: str, path: str = "/api/search", bearer: str = API_KEY, **more: object
) -> Any:
    """The answer, once it is complete."""
    query = "&".join(f"{name}={quote(str(value))}" for name, value in {"q": words, **more}.items())
    for _ in range(500):
        status, body = await caller.call("GET", f"{path}?{query}", bearer=bearer)
        if status != 200 or body["complete"]:
            return body if status == 200 else (status, body["error"]["code"])
        await asyncio.sleep(0.01)
    raise TimeoutError


def numbers(answer: Any) -> list[int]:
    return [hit["number"] for hit in answer["hits"]]


async def test_a_word_is_found_with_all_that_tells_where_it_stands(caller: Caller) -> None:
    one = await parcel(caller, waybill="SF77")
    number, _ = await one.say("The seal was broken", "nothing of the kind")
    (hit,) = (await search_for(caller, "BROKEN seal"))["hits"]
    recorded_at = hit.pop("recorded_at")
    assert hit == {
        "case_id": one.case_id,
        "waybill": "SF77",
        "number": number,
        "kind": "text",
        "role": "customer",
        "excerpt": "The seal was broken",
    }
    (entry,) = await caller.service.log.entries(one.case_id, after=number - 1, limit=1)
    assert recorded_at == encode_time(entry.envelope.recorded_at)
    assert numbers(await search_for(caller, "seal unbroken")) == []
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    # The waybill, five names, two texts.
    assert b"proofcall_searchable_entries 8.0" in metrics


async def test_all_kinds_of_words_are_found(caller: Caller) -> None:
    one = await parcel(caller, waybill="WB42", address={"text": "Moon Lane 5"}, metadata={"goods": "violin"})
    photo = Attachment(
        medium="photo",
        sha256="ab" * 32,
        size_bytes=1,
        media_type="image/jpeg",
        capture_path="camera",
        captured_at=caller.service.utc_now(),
    )
    await one.give("customer", Attach(attachment=photo, caption="the dented corner"))
    notice = await one.give("courier", Announce(notice="arrived"))
    await one.give("customer", Answer(number=notice, choice="door", detail="behind the flowerpot"))
    change = RequestChange(what="person", text="give it to Auntie Chen")
    await one.give("customer", change)
    report = ReportException(exception="damage", text="wet cardboard", place_refused=True)
    await one.give("courier", report)
    (order,) = (await caller.service.cases.get(one.case_id)).state.exceptions.orders
    await one.give("qa", DecideException(number=order, decision="go_on", remark="photograph the inside"))
    handed = await one.give("courier", HandOver(how="in_person", text="to a smiling person"))
    confirm = Confirm(number=handed, statement="I have it", language="en", reservation="one cup is missing")
    await one.give("customer", confirm)
    for words, kinds in (
        ("wb42", {"case_opened"}),
        ("violin", {"case_opened"}),
        ("moon lane", {"agreed"}),
        ("the customer zhang", {"link_issued"}),
        ("dented", {"attached"}),
        ("flowerpot", {"answered"}),
        ("auntie", {"change_requested"}),
        ("wet cardboard", {"exception_reported"}),
        ("inside", {"exception_decided"}),
        ("smiling", {"handed_over"}),
        ("cup", {"confirmed", "exception_reported"}),
    ):
        assert {hit["kind"] for hit in (await search_for(caller, words))["hits"]} == kinds, words
    wording = caller.service.wording
    for label in wording.say("exception.damage").values():
        hits = (await search_for(caller, label, kind="exception_reported"))["hits"]
        assert hits and label in hits[0]["excerpt"], "in every language"


async def test_the_newest_stand_first_and_come_page_by_page(caller: Caller) -> None:
    cases = [await parcel(caller) for _ in range(2)]
    said = []
    for number in range(45):
        (entry,) = await cases[number % 2].say(f"message {number} of many")
        said.append((cases[number % 2].case_id, entry))
    pages: list[list[tuple[str, int]]] = []
    before: dict[str, object] = {}
    while True:
        page = await search_for(caller, "of many message", "/api/search", API_KEY, limit=20, **before)
        pages.append([(hit["case_id"], hit["number"]) for hit in page["hits"]])
        if page["next_before"] is None:
            break
        before = {"before": page["next_before"]}
        await cases[0].say("message that came meanwhile, of many")
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [hit for page in pages for hit in page] == said[::-1]


async def test_signs_of_patterns_and_of_addresses_are_plain_text(caller: Caller) -> None:
    one = await parcel(caller)
    (number,) = await one.say("Is it 100% (really)? a.*b & c+d [x] \\ 'quote' --")
    for words in ("100%", "(really)?", "a.*b", "& c+d", "[x]", "\\", "'quote'", "--"):
        assert numbers(await search_for(caller, words)) == [number], words
    for words in ("a.b", "100_", ".*", "^Is"):
        assert numbers(await search_for(caller, words)) == ([number] if words == ".*" else []), words


async def test_people_find_what_their_role_may_see_in_their_own_case_alone(caller: Caller) -> None:
    one, other = await parcel(caller, address={"text": "Sesame Road"}), await parcel(caller)
    await one.say("sesame in a text")
    await one.give("courier", ReportException(exception="damage", text="sesame spilt", place_refused=True))
    await other.say("sesame elsewhere")
    found = {
        role: {hit["kind"] for hit in (await one.search("sesame", bearer=link["token"]))["hits"]}
        for role, link in one.links.items()
    }
    assert found["customer"] == found["courier"] == found["qa"] == {"text", "agreed", "exception_reported"}
    assert found["guest"] == {"text"}
    assert await one.search("sesame", bearer=other.links["qa"]["token"]) == (403, "forbidden")
    for link in one.links.values():
        assert await search_for(caller, "sesame", bearer=link["token"]) == (403, "forbidden")
    everywhere = await search_for(caller, "sesame")
    assert {hit["case_id"] for hit in everywhere["hits"]} == {one.case_id, other.case_id}
    assert await search_for(caller, "x", "/api/cases/c_nosuchcase/search") == (404, "unknown")


@pytest.mark.parametrize("role", ["qa", "dispatch"])
async def test_a_desk_finds_in_all_cases(caller: Caller, role: str) -> None:
    one = await parcel(caller)
    await one.say("needle")
    _, desk = await caller.call("POST", "/api/desk", json={"name": "desk", "role": role})
    assert len((await search_for(caller, "needle", bearer=desk["token"]))["hits"]) == 1
    (read,) = await entries(caller, one.case_id, "read")
    assert (read["actor_id"], read["authenticated_by"]) == ("integrator", "desk")


async def test_a_guest_is_shown_what_a_guest_may_see_on_every_way(caller: Caller) -> None:
    one = await parcel(caller, address={"text": "secret street"})
    await one.say("secret for all of us")
    await one.give("courier", ReportException(exception="damage", text="secret damage", place_refused=True))
    token = one.links["guest"]["token"]
    socket = await greet(caller, one.case_id, token)
    shown = [m["entry"] for m in await up_to(socket, "synced") if m["type"] == "entry"]
    _, page = await caller.call("GET", f"/api/cases/{one.case_id}/entries", bearer=token)
    for views in (shown, page["entries"]):
        kinds = {view["envelope"]["kind"] for view in views}
        assert {"case_opened", "agreed", "exception_reported", "text"} <= kinds
        for view in views:
            visible = may_see("guest", view["envelope"]["kind"])
            assert (view["body"] is not None) == (view["salt"] is not None) == visible
    hits = (await one.search("secret", bearer=token))["hits"]
    assert [hit["kind"] for hit in hits] == ["text"]
    status, _ = await caller.call("GET", f"/api/cases/{one.case_id}/blobs/{'ab' * 32}", bearer=token)
    assert status == 404
    for method, path in (("POST", "export"), ("GET", "calls"), ("POST", "links"), ("POST", "end")):
        body = {"json": {"role": "guest", "name": "x"}} if path == "links" else {}
        status, _ = await caller.call(method, f"/api/cases/{one.case_id}/{path}", bearer=token, **body)
        assert status == 403, path


async def test_what_is_shown_is_an_entry_first_and_once(caller: Caller) -> None:
    one, other = await parcel(caller), await parcel(caller)
    first, second, _, fourth = await one.say("pin a", "pin b", "something else", "pin c")
    await other.say("pin elsewhere")
    for _ in range(3):
        assert numbers(await one.search("pin")) == [fourth, second, first]
    spans = [
        (read["after"], read["up_to"], read["live"]) for read in await entries(caller, one.case_id, "read")
    ]
    assert spans == [(first - 1, second, False), (fourth - 1, fourth, False)]
    assert await entries(caller, other.case_id, "read") == [], "nothing of it was shown"
    assert numbers(await one.search("no such word")) == []
    assert len(await entries(caller, one.case_id, "read")) == 2


async def test_without_the_log_the_office_finds_nothing_and_people_what_is_theirs(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await parcel(caller)
    await one.say("needle")

    async def refuse(*_: object, **__: object) -> None:
        raise FailedAppend("the disk is full")

    monkeypatch.setattr(caller.service.log, "append", refuse)
    assert (await search_for(caller, "needle"))[0] == 503
    assert (await one.search("needle", bearer=one.links["qa"]["token"]))[0] == 503
    assert len((await one.search("needle", bearer=one.links["customer"]["token"]))["hits"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=",
        "q=%20%E3%80%80%20",
        "q=" + "a" * 201,
        "q=" + "+".join("abcdefghijk"),
        "q=a&limit=21",
        "q=a&limit=-1",
        "q=a&before=x",
        "q=a&kind=segment_sealed",
        "q=a&kind=nonsense",
    ],
)
async def test_a_query_has_bounds_and_says_which(caller: Caller, query: str) -> None:
    status, body = await caller.call("GET", f"/api/search?{query}")
    assert (status, body["error"]["code"]) == (400, "malformed_request")


async def test_after_a_start_the_log_is_read_newest_first_and_answers_say_how_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path) as caller:
        one = await parcel(caller)
        old, *_, new = await one.say("needle", *(["hay"] * 20), "needle")
        assert caller.service.search.complete, "an empty log has nothing to read"
    monkeypatch.setattr(search, "LEAVES_A_STEP", 4)
    monkeypatch.setattr(search, "PAUSES", 1e6)
    async with calling(tmp_path) as caller:
        again = Parcel(caller, one.case_id)
        async with asyncio.timeout(5):
            while caller.service.search.size == 0:  # noqa: ASYNC110 nobody tells of one step
                await asyncio.sleep(0.01)
        _, answer = await caller.call("GET", "/api/search?q=needle")
        assert numbers(answer) == [new] and answer["complete"] is False
        again.links = one.links
        (live,) = await again.say("needle, live")
        _, answer = await caller.call("GET", "/api/search?q=needle")
        assert numbers(answer) == [live, new] and answer["complete"] is False
    monkeypatch.setattr(search, "PAUSES", 0.0)
    async with calling(tmp_path) as caller:
        assert numbers(await search_for(caller, "needle")) == [live, new, old]


async def test_what_is_read_while_a_search_runs_does_not_make_its_answer_complete(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = caller.service.search
    monkeypatch.setattr(driver, "_unread", 7)
    find = driver.find

    async def find_and_finish(query: Query, limit: int) -> tuple[list[Hit], bool]:
        found = await find(query, limit)
        driver._unread = 0
        return found

    monkeypatch.setattr(driver, "find", find_and_finish)
    complete = [(await caller.call("GET", "/api/search?q=x"))[1]["complete"] for _ in range(2)]
    assert complete == [False, True]


async def test_a_case_that_is_forgotten_is_found_no_more(caller: Caller) -> None:
    one, other = await parcel(caller), await parcel(caller)
    await one.say("needle")
    (kept,) = await other.say("needle")
    caller.service.search.forget(one.case_id)
    assert numbers(await search_for(caller, "needle")) == [kept]
    await one.say("needle again")
    assert numbers(await search_for(caller, "needle")) == [kept]


async def test_an_entry_that_does_not_open_hides_no_other(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await parcel(caller), await parcel(caller)
    (number,) = await one.say("needle")
    await other.say("needle")
    log = caller.service.log
    get = log.keys.get

    def get_unless_erased(case_id: str) -> CaseSeal:
        if case_id == other.case_id:
            raise UnknownCaseKey("its key was destroyed")
        return get(case_id)

    monkeypatch.setattr(log.keys, "get", get_unless_erased)
    bodies = await log.bodies(frozenset({"text"}), first=0, end=log.size)
    assert [body[1:4] for body in bodies] == [(one.case_id, number, "text")]


async def test_a_search_of_much_lets_others_have_their_turn(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = caller.service.search._index
    text, sides = "请把包裹翻过来 " * 8, ("左边", "右边")
    for leaf_index in range(1000, 41_000, 500):
        index.add(
            [
                Document(
                    leaf_index=leaf,
                    case_id="c_other",
                    number=leaf,
                    kind="text",
                    text=f"{text}{sides[leaf % 2]}",
                )
                for leaf in range(leaf_index, leaf_index + 500)
            ]
        )
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    began = time.monotonic()
    query = Query(words=sides, kinds=frozenset(SEARCHABLE), case_id=None, before=2**53 - 1)
    assert await caller.service.search.find(query, 20) == ([], False)
    took_s = time.monotonic() - began
    counting.cancel()
    assert turns >= 3, f"{took_s * 1000:.0f} ms in {turns} turns"
