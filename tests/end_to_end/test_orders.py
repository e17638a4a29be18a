"""Work orders at the desk: seen within a second, taken, ruled and closed by keyboard; for every eye."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse
from playwright.async_api import Playwright

from server.evidence.checkpoint import parse_key
from server.evidence.credential import check_copy, open_copy
from tests.conftest import Caller
from tests.end_to_end import axe
from tests.end_to_end.people import DESK, PHONE, Somebody, chromium, open_page, until
from tests.media.attachment_files import photo, voice
from tests.media.credential_files import generated, make_signer
from tests.server.test_socket import greet, say, up_to
from tests.server.test_uploads import Person

ZOOMED = {"width": 640, "height": 400}  # a desk of 1280 × 800 at 200 %


async def desk_url(caller: Caller, name: str = "desk 7", role: str = "qa") -> str:
    status, desk = await caller.call("POST", "/api/desk", json={"name": name, "role": role})
    assert status == 201, desk
    return f"{caller.url}/qa#{desk['token']}"


async def arrive(caller: Caller, case_id: str, role: str, name: str) -> ClientWebSocketResponse:
    """A person's client: its WebSocket, caught up."""
    link = await caller.link(case_id, role, name)
    socket = await greet(caller, case_id, link["token"])
    await up_to(socket, "synced")
    return socket


async def next_entry(socket: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """Reads on up to the next entry of that kind."""
    while True:
        message = await socket.receive_json(timeout=10)
        if message["type"] == "entry" and message["entry"]["envelope"]["kind"] == kind:
            return dict(message["entry"])


async def report(socket: ClientWebSocketResponse, exception: str = "damage") -> int:
    """A work order; the number by which it is known."""
    command = {"kind": "report_exception", "exception": exception, "text": "a corner is wet"}
    await socket.send_json({"type": "command", "id": f"report-{exception}", "command": command})
    entry = await next_entry(socket, "exception_reported")
    return int(entry["envelope"]["number"])


async def reads(somebody: Somebody, test_id: str, what: str) -> bool:
    """Whether an element says that, among other things."""
    return what in ((await somebody.by(test_id).first.text_content()) or "")


async def order_is(somebody: Somebody, state: str) -> bool:
    """Whether the open case shows a work order in that state."""
    return bool(await somebody.page.locator(f"[data-testid=order][data-state={state}]").count())


async def focused(somebody: Somebody) -> str:
    """The test id of what has the focus."""
    return str(await somebody.page.evaluate("document.activeElement.dataset.testid ?? ''"))


async def tab_to(somebody: Somebody, test_id: str, *, back: bool = False) -> None:
    """Presses Tab until an element with that test id has the focus."""
    for _ in range(12):
        if await focused(somebody) == test_id:
            return
        await somebody.page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"{test_id} is not reached by Tab; the focus is on {await focused(somebody)!r}")


async def test_an_exception_is_seen_within_a_second_and_ruled_by_keyboard_alone(
    caller: Caller, playwright: Playwright
) -> None:
    case_id = await caller.open_case()
    await caller.open_case(waybill="SF1000000002")
    courier = await arrive(caller, case_id, "courier", "Li")
    async with chromium(playwright) as browser:
        qa = await open_page(browser, await desk_url(caller), size=DESK, language="en-US")
        await until(partial(reads, qa, "to-rule", "0 to rule"), "the feed is there")
        began = time.monotonic()
        number = await report(courier)
        await qa.by("order-row").wait_for(timeout=1000)
        assert time.monotonic() - began < 1
        row = qa.by("order-row")
        assert await row.get_attribute("data-number") == str(number)
        assert "Damage" in await row.text_content() and "SF1000000001" in await row.text_content()
        assert (await qa.page.title()).startswith("(1) ")
        assert await reads(qa, "order-news", "New: Damage, SF1000000001")

        await qa.page.keyboard.press("o")
        await until(partial(order_is, qa, "open"), "the case opens at its work order")
        assert f"case={case_id}" in qa.page.url
        await tab_to(qa, "order-take")
        await qa.page.keyboard.press("Enter")
        await until(partial(order_is, qa, "taken"), "the desk has taken it")
        assert await reads(qa, "order-holder", "You have it")
        await until(partial(reads, qa, "order-row", "with desk 7"), "the queue says who has it")

        assert await focused(qa) == "order-close", "the focus stays in the card"
        await tab_to(qa, "order-decide")
        assert await qa.page.evaluate("document.activeElement.dataset.decision") == "go_on"
        await qa.page.keyboard.press("Enter")
        await until(partial(reads, qa, "order-refusal", "Please write the remark"), "a remark is wanted")
        assert await focused(qa) == "order-remark"
        await qa.page.keyboard.type("Photograph the corner, then deliver.")
        await tab_to(qa, "order-decide")
        await qa.page.keyboard.press("Enter")
        decided = await next_entry(courier, "exception_decided")
        assert decided["body"]["remark"] == "Photograph the corner, then deliver."
        await until(partial(order_is, qa, "decided"), "the desk waits for the courier")
        assert (await qa.page.title()).startswith("SF1000000001")

        reply = await say(
            courier,
            "ack",
            kind="acknowledge_exception",
            number=number,
            decided=decided["envelope"]["number"],
        )
        assert reply["type"] == "ack"
        await until(partial(order_is, qa, "acknowledged"), "the courier has read it")
        await qa.page.keyboard.press("Escape")
        await qa.page.keyboard.press("o")
        await tab_to(qa, "order-close")
        await qa.page.keyboard.press("Enter")
        await until(partial(order_is, qa, "closed"), "the work order is closed")

        async def gone() -> bool:
            return int(await qa.by("order-row").count()) == 0

        await until(gone, "the queue is empty again")
        assert qa.complaints == []


async def test_of_two_desks_one_wins_and_the_other_is_told_in_words(
    caller: Caller, playwright: Playwright
) -> None:
    case_id = await caller.open_case()
    await report(await arrive(caller, case_id, "courier", "Li"))
    held: list[Callable[[], None]] = []
    holding = False

    def between(route):  # type: ignore[no-untyped-def]
        server = route.connect_to_server()

        def hand_on(message: str | bytes) -> None:
            if holding:
                held.append(lambda: route.send(message))
            else:
                route.send(message)

        server.on_message(hand_on)

    async with chromium(playwright) as browser:
        one = await open_page(browser, await desk_url(caller, "desk 1"), size=DESK, language="en-US")
        two = await open_page(browser, "about:blank", size=DESK, language="en-US")
        await two.page.route_web_socket("**/ws", between)
        await two.page.goto(await desk_url(caller, "desk 2", "dispatch"))
        for desk in (one, two):
            await desk.tap("order-row")
            await until(partial(order_is, desk, "open"), "both have it open")
        holding = True
        await one.tap("order-take")
        await until(partial(order_is, one, "taken"), "one has it")
        await two.tap("order-take")

        async def answered() -> bool:
            return len(held) >= 2  # what happened meanwhile, and the refusal

        await until(answered, "the service has answered the second desk")
        holding = False
        for send in held:
            send()
        await until(partial(reads, two, "order-refusal", "Somebody else was faster"), "it is told")
        await until(partial(reads, two, "order-holder", "desk 1 has it"), "and who has it")
        assert (
            await two.by("order-decide").count() == 0 or not await two.by("order-decide").first.is_visible()
        )
        await two.tap("order-take")
        await until(partial(reads, one, "order-holder", "desk 2 has it"), "taken over, and seen by both")
        assert one.complaints == [] and two.complaints == []


@pytest.mark.long
async def test_dispatch_answers_changes_and_sends_notices_which_quality_check_is_not_offered(
    caller: Caller, playwright: Playwright
) -> None:
    case_id = await caller.open_case(address={"text": "Gate 3"})
    customer = await arrive(caller, case_id, "customer", "Wang")
    await say(customer, "c1", kind="request_change", what="address", text="Gate 7, please")
    async with chromium(playwright) as browser:
        qa = await open_page(browser, await desk_url(caller), size=DESK, language="en-US")
        dispatch = await open_page(
            browser, await desk_url(caller, "desk 2", "dispatch"), size=DESK, language="en-US"
        )
        for desk in (qa, dispatch):
            await desk.tap("case-row")
            await desk.by("change-card").wait_for()
        assert not await qa.by("change-accept").is_visible()
        assert not await qa.by("announce-open").is_visible() and await qa.by("end-case").is_visible()
        assert not await dispatch.by("end-case").is_visible()
        assert not await dispatch.by("export-button").is_visible()
        assert await reads(dispatch, "agreed", "Gate 3")
        await dispatch.tap("change-accept")
        agreed = await next_entry(customer, "agreed")
        assert agreed["body"]["text"] == "Gate 7, please"
        await until(partial(reads, qa, "agreed", "Gate 7"), "the other desk sees what holds now")
        await dispatch.tap("announce-open")
        await dispatch.page.locator("[data-testid=announce][data-notice=delayed_hour]").click()
        assert (await next_entry(customer, "notice_sent"))["body"]["notice"] == "delayed_hour"
        assert qa.complaints == [] and dispatch.complaints == []


async def test_a_neighbour_is_let_in_by_a_link_that_is_shown_once(
    caller: Caller, playwright: Playwright
) -> None:
    case_id = await caller.open_case()
    async with chromium(playwright) as browser:
        qa = await open_page(browser, await desk_url(caller), size=DESK, language="en-US")
        await qa.tap("case-row")
        await qa.tap("bring-open")
        await qa.tap("bring-make")
        await until(partial(reads, qa, "bring-refusal", "write a name"), "a link has a name")
        await qa.by("bring-name").fill("Mr Zhang")
        await qa.tap("bring-make")
        await qa.by("bring-url").wait_for()
        url = await qa.by("bring-url").input_value()
        assert "/g#" in url
        await qa.tap("bring-close")
        await qa.tap("bring-open")
        assert await qa.by("bring-url").input_value() == ""
        await qa.tap("bring-second")
        await qa.by("bring-name").fill("night shift")
        await qa.tap("bring-make")
        await qa.by("bring-url").wait_for()
        assert "/qa#" in await qa.by("bring-url").input_value()
    links = (await caller.service.cases.get(case_id)).state.links.values()
    assert [(link.role, link.name) for link in links][1:] == [("guest", "Mr Zhang"), ("qa", "night shift")]


async def test_words_are_found_across_cases_and_in_one_and_open_their_entry(
    caller: Caller, playwright: Playwright
) -> None:
    cases = [await caller.open_case(waybill=f"SF100000000{place}") for place in range(3)]
    numbers = []
    for case_id in cases:
        customer = await arrive(caller, case_id, "customer", "Wang")
        await say(customer, "t1", kind="text", text="包裹的角湿了，a wet corner")
        await say(customer, "t2", kind="text", text="thank you")
        numbers.append((await say(customer, "t3", kind="text", text="the corner is dry again"))["number"])
    async with chromium(playwright) as browser:
        qa = await open_page(browser, await desk_url(caller), size=DESK, language="en-US")
        await qa.by("case-row").first.wait_for()
        await qa.page.keyboard.press("/")
        await qa.page.keyboard.type("dry")

        async def three_hits() -> bool:
            return int(await qa.by("search-hit").count()) == 3

        await until(three_hits, "all logs were searched")
        assert await reads(qa, "search-hit", "SF1000000002") and await reads(qa, "search-hit", "dry again")
        await axe.check(qa.page, "hits are shown")
        await qa.page.keyboard.press("ArrowDown")
        await qa.page.keyboard.press("ArrowDown")
        await qa.page.keyboard.press("Enter")
        await until(partial(reads, qa, "entry-facts", f"Entry {numbers[1]}"), "the second hit is open")
        assert f"case={cases[1]}" in qa.page.url
        assert await reads(qa, "entry-facts", "the corner is dry again")

        await qa.page.keyboard.press("f")
        await qa.page.keyboard.type("角湿")
        hits = qa.page.locator("[data-testid=case] [data-testid=search-hit]")
        await hits.first.wait_for()
        assert await hits.count() == 1
        await qa.page.keyboard.press("Enter")
        await qa.page.keyboard.press("Enter")
        await until(partial(reads, qa, "entry-facts", "a wet corner"), "the entry of this case is open")
        await qa.page.keyboard.press("f")
        await qa.page.keyboard.press("Control+a")
        await qa.page.keyboard.type("no such words")
        note = qa.page.locator("[data-testid=case] [data-testid=search-log]")
        await note.get_by_text("No entry says that.").wait_for()
        assert qa.complaints == []


LOADED = """() => { const image = document.querySelector('[data-testid=attachment-photo]');
  return image !== null && image.naturalWidth > 0; }"""
PLAYABLE = """() => { const sound = document.querySelector('[data-testid=attachment-voice]');
  return sound !== null && sound.duration > 1.8; }"""


async def test_photos_are_shown_voice_is_played_and_the_original_leaves_as_sealed(
    caller: Caller, playwright: Playwright, tmp_path: Path
) -> None:
    courier = await Person.come(caller, await caller.open_case())
    picture = generated(photo("JPEG"), make_signer(tmp_path / "stranger", "models.example"))
    sound = voice("webm", "libopus")
    await courier.announce(picture)
    async with chromium(playwright) as browser:
        qa = await open_page(browser, await desk_url(caller), size=DESK, language="en-US")
        await qa.tap("case-row")
        await qa.page.locator("[data-testid=log-entry][data-kind=attached]").first.click()
        await until(partial(reads, qa, "attachments", "on its way"), "the bytes are not there yet")
        await courier.send(picture)
        await courier.settled()
        await qa.page.wait_for_function(LOADED)
        await until(partial(reads, qa, "attachments", "sealed"), "it has come while the desk looked")
        assert await reads(qa, "attachments", "2026-11-22 22:03:20.000, by the phone's clock")
        await axe.check(qa.page, "a photo is chosen")
        async with qa.page.expect_download() as downloading:
            await qa.tap("attachment-save")
        download = await downloading.value
        assert download.suggested_filename.endswith(".jpg")
        await download.save_as(tmp_path / "original.jpg")
        assert (tmp_path / "original.jpg").read_bytes() == picture
        assert await reads(qa, "attachments", "They call themselves Proofcall models.example.")
        assert await reads(qa, "attachments", "They say that a model made this picture, or a part of it.")
        async with qa.page.expect_download() as downloading:
            await qa.tap("attachment-credentials")
        await (await downloading.value).save_as(tmp_path / "copy.jpg")
        check_copy(open_copy((tmp_path / "copy.jpg").read_bytes()), parse_key(caller.service.log.vkey))

        await courier.announce(sound, "voice")
        await courier.send(sound)
        await courier.settled()
        await qa.page.locator("[data-testid=log-entry][data-kind=attachment_stored]").last.click()
        await qa.page.wait_for_function(PLAYABLE)
        await qa.by("log-filter").select_option("only_media")
        assert await qa.by("log-entry").count() == 4
        assert qa.complaints == []


@pytest.mark.long
async def test_two_desks_that_read_along_do_not_answer_each_others_receipts(
    caller: Caller, playwright: Playwright
) -> None:
    case_id = await caller.open_case()
    customer = await arrive(caller, case_id, "customer", "Wang")
    async with chromium(playwright) as browser:
        desks = [
            await open_page(browser, await desk_url(caller, name), size=DESK, language="en-US")
            for name in ("desk 1", "desk 2")
        ]
        for desk in desks:
            await desk.tap("case-row")
            await desk.by("log-entry").first.wait_for()
        said = (await say(customer, "t1", kind="text", text="hello"))["number"]
        case = await caller.service.cases.get(case_id)

        async def both_have_read() -> bool:
            marks = case.state.talk.marks
            read = [actor for actor, mark in marks.items() if mark.read >= said]
            return len([actor for actor in read if case.state.links[actor].role == "qa"]) == 2

        await until(both_have_read, "both have read it")
        last = case.state.last_number
        await say(customer, "t2", kind="text", text="bye")
        await until(both_have_read, "both have read that too")
        await say(customer, "t3", kind="text", text="really")
        said = case.state.last_number
        await until(both_have_read, "and that")
        assert case.state.last_number <= last + 2 + 2 * 2 + 2, "a receipt of each desk for what was said"


async def wide_enough(somebody: Somebody) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return bool(
        await somebody.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )


@pytest.mark.parametrize(
    ("role", "size"),
    [
        ("qa", DESK),
        ("dispatch", ZOOMED),
        pytest.param("qa", ZOOMED, marks=pytest.mark.long),
        pytest.param("dispatch", PHONE, marks=pytest.mark.long),
        pytest.param("qa", PHONE, marks=pytest.mark.long),
        pytest.param("dispatch", DESK, marks=pytest.mark.long),
    ],
)
async def test_the_desk_is_for_every_eye_and_hand(
    caller: Caller, playwright: Playwright, size: dict[str, int], role: str, tmp_path: Path
) -> None:
    case_id = await caller.open_case(address={"text": "Gate 3"})
    courier = await arrive(caller, case_id, "courier", "Li")
    customer = await arrive(caller, case_id, "customer", "Wang")
    await say(customer, "c1", kind="request_change", what="address", text="Gate 7, please")
    async with chromium(playwright) as browser:
        desk = await open_page(browser, await desk_url(caller, role=role), size=size, language="en-US")
        await until(partial(reads, desk, "to-rule", "0 to rule"), "the feed is there")
        await axe.check(desk.page, "no case is open, nothing to rule")
        number = await report(courier)
        await report(courier, "weather")
        await desk.page.locator(f"[data-testid=order-row][data-number='{number}']").click()
        await until(partial(order_is, desk, "open"), "the case is open")
        await desk.by("order-decide").first.wait_for()
        await axe.check(desk.page, "a work order is open")
        await desk.by("order-decide").first.click()
        await until(partial(reads, desk, "order-refusal", "Please write"), "a remark is missing")
        await axe.check(desk.page, "a remark is missing")
        assert await wide_enough(desk)
        await desk.tap("bring-open")
        await axe.check(desk.page, "the dialog for links is open")
        await desk.tap("bring-close")
        if role == "dispatch":
            await desk.tap("announce-open")
            await axe.check(desk.page, "the dialog for notices is open")
            await desk.page.keyboard.press("Escape")
        await caller.call("POST", f"/api/cases/{case_id}/end")
        await until(partial(reads, desk, "to-rule", "0 to rule"), "an ended case has nothing to rule")
        await axe.check(desk.page, "the case has ended")
        assert await wide_enough(desk)
        assert desk.complaints == []
