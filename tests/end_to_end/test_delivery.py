"""A parcel's delivery on two phones: notices, answers, changes, exceptions, hand-over, ringing calls."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.async_api import Browser, Geolocation, Playwright

from tests.conftest import Caller
from tests.end_to_end import axe
from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import PHONE, Somebody, chromium, until

HERE: Geolocation = {"latitude": 31.2304, "longitude": 121.4737, "accuracy": 12.0}
ADDRESS = "Nanjing West Road 1, 301"
TARGET_PX = 48  # what a thumb hits
MAX_TABS = 60  # from anywhere on the page to anything on it

# What sounds, and the sockets, for a test to count and to cut.
WATCHED = """
window.testTones = 0;
const create = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () { window.testTones++; return create.call(this); };
window.testSockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...how) { super(...how); window.testSockets.push(this); }
};
"""
FOCUSED = "() => { const {testid, ...data} = document.activeElement.dataset; return [testid, data]; }"
TOO_SMALL = """(least) => [...document.querySelectorAll(
    '.parcel button, .parcel-sheet[open] :is(button, input:not([type=file]), textarea)')]
  .filter((one) => one.checkVisibility() && (one.offsetHeight < least || one.offsetWidth < least))
  .map((one) => `${one.dataset.testid}: ${one.offsetWidth} x ${one.offsetHeight}`)"""
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll('.parcel, .parcel *')]
  .filter((one) => one.checkVisibility() && getComputedStyle(one).overflowX !== 'visible'
    ? one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1
    : one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((one) => `${one.tagName} ${one.className}`)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Customer and courier, each with the page open."""

    scene: Scene
    customer: Somebody
    courier: Somebody

    async def as_desk(self, *commands: dict[str, Any]) -> None:
        """Quality check gives these commands, each of which must be accepted."""
        await say(self.scene, "qa", *commands)

    async def kinds(self) -> list[str]:
        return [entry["envelope"]["kind"] for entry in await self.scene.entries()]


async def say(scene: Scene, role: str, *commands: dict[str, Any]) -> None:
    """By a socket of its own, as another device of that person would."""
    async with await scene.caller.socket(scene.case_id) as socket:
        hello = {"type": "hello", "version": 1, "token": scene.links[role]["token"], "after": 0, "hash": None}
        await socket.send_json(hello)
        for command in commands:
            message_id = secrets.token_hex(8)
            await socket.send_json({"type": "command", "id": message_id, "command": command})
            while True:
                message = await socket.receive_json()
                assert message["type"] != "nack", message
                if message["type"] == "ack" and message["id"] == message_id:
                    break


async def visit(
    browser: Browser, url: str, *, language: str = "en-GB", size: dict[str, int] = PHONE, zoom: int = 1
) -> Somebody:
    """A phone that knows where it is; with a zoom of 2 everything is twice as large, and half of it fits."""
    context = await browser.new_context(
        viewport={"width": size["width"] // zoom, "height": size["height"] // zoom},
        device_scale_factor=zoom,
        locale=language,
        timezone_id="Asia/Shanghai",
        geolocation=HERE,
        permissions=["geolocation"],
    )
    await context.add_init_script(WATCHED)
    somebody = Somebody(await context.new_page())
    await somebody.page.goto(url)
    await somebody.by("parcel").wait_for(state="attached")
    return somebody


@asynccontextmanager
async def at_the_door(
    caller: Caller, playwright: Playwright, *, language: str = "en-GB", **how: Any
) -> AsyncIterator[Door]:
    case_id = await caller.open_case(address={"text": ADDRESS})
    names = {"customer": "Li", "courier": "Wang", "qa": "Chen"}
    links = {role: await caller.link(case_id, role, name) for role, name in names.items()}
    scene = Scene(caller=caller, case_id=case_id, links=links)
    async with chromium(playwright) as browser:
        customer = await visit(browser, scene.talk_url("customer"), language=language, **how)
        courier = await visit(browser, scene.talk_url("courier"), language=language, **how)
        yield Door(scene=scene, customer=customer, courier=courier)
        assert customer.complaints == [] and courier.complaints == []


async def tap(somebody: Somebody, test_id: str, **data: str) -> None:
    """The button with that test id and data, when it can be tapped."""
    await one(somebody, test_id, **data).click()


def one(somebody: Somebody, test_id: str, **data: str) -> Any:
    """What can be seen with that test id and data."""
    which = "".join(f"[data-{name}={json.dumps(value)}]" for name, value in data.items())
    return somebody.page.locator(f"[data-testid={test_id}]{which}:visible").first


async def shows(somebody: Somebody, test_id: str, text: str | None = None, **data: str) -> None:
    """Waits until it can be seen, with that text in it."""
    await one(somebody, test_id, **data).wait_for()
    if text is not None:

        async def said() -> bool:
            return text in str(await one(somebody, test_id, **data).inner_text())

        await until(said, f"{test_id} says {text!r}")


async def announce(door: Door, notice: str = "arrived") -> None:
    await tap(door.courier, "announce", notice=notice)
    await shows(door.customer, "notice-card", state="choose")


async def hand_over(door: Door) -> None:
    await tap(door.courier, "hand-over-open")
    await tap(door.courier, "hand-over-how", how="in_person")
    await tap(door.courier, "hand-over-send")
    await shows(door.customer, "receipt-card", state="receipt")


async def entry_of(door: Door, kind: str) -> dict[str, Any]:
    """The newest entry of that kind, when there is one."""
    found: list[dict[str, Any]] = []

    async def is_there() -> bool:
        found[:] = [entry for entry in await door.scene.entries() if entry["envelope"]["kind"] == kind]
        return found != []

    await until(is_there, f"{kind} is in the log")
    return found[-1]


async def tones(somebody: Somebody) -> int:
    return int(await somebody.page.evaluate("window.testTones"))


async def cut_off(somebody: Somebody) -> None:
    await somebody.page.context.set_offline(True)
    await somebody.page.evaluate("window.testSockets.forEach((socket) => socket.close())")
    await shows(somebody, "connection-state", state="reconnecting")


async def back(somebody: Somebody) -> None:
    await somebody.page.context.set_offline(False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "corner.jpg"
    noise = np.random.default_rng(7).integers(0, 255, (240, 320, 3), np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


async def attach(somebody: Somebody, sheet: str, photo: Path) -> None:
    """Takes a photo in that sheet."""
    await somebody.page.locator(f"[data-testid={sheet}] [data-testid=camera-input]").set_input_files(photo)
    await shows(somebody, "picked-item")


SAID = {
    "en-GB": {
        "notice": "about 15 minutes",
        "answer": "Bring it now",
        "taken": "acts on it",
        "right": "right to inspect",
        "statement": "I have received the parcel with waybill SF1000000001 (Given in person, ",
        "done": "Receipt confirmed",
    },
    "zh-CN": {
        "notice": "大约 15 分钟后送到",
        "answer": "现在送上来",
        "taken": "正按您的回复办理",
        "right": "有权先验收再签收",
        "statement": "本人已收到运单 SF1000000001 的包裹（当面交付，",
        "done": "已确认收货",
    },
}


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
async def test_a_delivery_goes_from_its_first_notice_to_a_confirmed_receipt(
    caller: Caller, playwright: Playwright, language: str
) -> None:
    words = SAID[language]
    async with at_the_door(caller, playwright, language=language) as door:
        customer, courier = door.customer, door.courier
        await shows(courier, "agreed", ADDRESS, what="address")
        await tap(courier, "announce", notice="arriving_15")
        await shows(customer, "notice-card", words["notice"], state="choose")
        await shows(courier, "awaiting-card")
        assert await customer.by("choice").count() == 7
        heard = await tones(courier)
        await tap(customer, "choice", choice="now")
        await shows(courier, "answer-card", words["answer"], state="answer")
        assert await tones(courier) > heard, "an answer is heard"
        await shows(customer, "notice-card", words["answer"], state="answered")
        await tap(courier, "take-answer")
        await shows(customer, "notice-card", words["taken"], state="answered")
        await shows(courier, "answer-card", state="go")
        await hand_over(door)
        await shows(courier, "receipt-card", state="unconfirmed")
        await shows(customer, "right-to-inspect", words["right"])
        await tap(customer, "confirm")
        statement = await one(customer, "receipt-statement").inner_text()
        assert statement.startswith(words["statement"]), statement
        await tap(customer, "receipt-send")
        for somebody in (customer, courier):
            await shows(somebody, "confirmed-card", words["done"])
            await shows(somebody, "voucher-link")
        confirmed = (await entry_of(door, "confirmed"))["body"]
        assert confirmed["statement"] == statement, "what was read is what was agreed to"
        assert confirmed["language"] == language[:2]
        assert confirmed["reservation"] is None
        handed_over = (await entry_of(door, "handed_over"))["body"]
        assert handed_over["place"] == {"latitude_e6": 31230400, "longitude_e6": 121473700, "accuracy_m": 12}


@pytest.mark.long
async def test_a_number_or_a_word_in_the_conversation_is_an_answer_too(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        await announce(door)
        for said, choice, by in (("3", "door", "number"), ("guard", "guard", "word")):
            await door.customer.by("text-input").fill(said)
            await tap(door.customer, "text-send")

            async def chosen(choice: str = choice, by: str = by) -> bool:
                answers = await door.scene.bodies("answered")
                return bool(answers) and (answers[-1]["choice"], answers[-1]["by"]) == (choice, by)

            await until(chosen, f"{said} is {choice}")
        await shows(door.courier, "answer-said", "With the guard")
        await shows(door.customer, "given-answer", "With the guard")
        await door.customer.by("text-input").fill("2")
        await tap(door.customer, "text-send")
        await one(door.customer, "quick-time").click()  # "later" alone would be no answer
        await tap(door.customer, "answer-send")
        await shows(door.courier, "answer-said", "Later")


async def test_an_answer_can_be_changed_until_the_courier_acts_on_it(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        await announce(door)
        await tap(door.customer, "choice", choice="now")
        await tap(door.customer, "answer-change")
        await tap(door.customer, "choice", choice="later")
        await tap(door.customer, "answer-send")
        await shows(door.customer, "sheet-complaint", "choose a time")
        await one(door.customer, "quick-time").click()
        wanted = int(await one(door.customer, "quick-time").get_attribute("data-at"))
        await tap(door.customer, "answer-send")
        await shows(door.courier, "answer-said", "Later")
        changed = (await entry_of(door, "answered"))["body"]
        assert changed["replaces"] is not None
        assert changed["when_at"].startswith(np.datetime64(wanted, "ms").astype(str)[:16])
        await tap(door.customer, "answer-change")
        await tap(door.customer, "choice", choice="neighbour")
        await door.customer.page.locator("[data-testid=answer-text]").fill("Aunt Zhou, 302")
        await tap(door.customer, "answer-send")
        await shows(door.courier, "answer-said", "Aunt Zhou, 302")
        await tap(door.courier, "take-answer")
        await shows(door.customer, "notice-card", "acts on it")
        assert await door.customer.by("answer-change").count() == 0


@pytest.mark.long
async def test_who_answers_too_late_is_told_so_in_words_and_nothing_is_lost(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        await announce(door)
        await cut_off(door.customer)
        await tap(door.customer, "choice", choice="neighbour")
        await door.customer.by("answer-text").fill("Aunt Zhou, 302")
        await tap(door.customer, "answer-send")
        await shows(door.customer, "notice-card", "Waiting for network", state="answered")
        sent = (await entry_of(door, "notice_sent"))["envelope"]["number"]
        await say(door.scene, "customer", {"kind": "answer", "number": sent, "choice": "now"})
        await back(door.customer)
        await shows(door.customer, "parcel-refusal", "answered, or asked anew, meanwhile")
        await shows(door.customer, "given-answer", "Bring it now")
        assert len(await door.scene.bodies("answered")) == 1
        await tap(door.customer, "answer-change")
        await tap(door.customer, "choice", choice="neighbour")
        assert await door.customer.by("answer-text").input_value() == "Aunt Zhou, 302"
        await tap(door.customer, "answer-send")
        await shows(door.courier, "answer-said", "Aunt Zhou, 302")


async def test_a_problem_goes_from_a_photo_to_an_acknowledged_decision(
    caller: Caller, playwright: Playwright, photo: Path
) -> None:
    async with at_the_door(caller, playwright) as door:
        await tap(door.courier, "report-open")
        await shows(door.courier, "place-state", "exact to 12 m")
        await tap(door.courier, "report-send")
        await shows(door.courier, "sheet-complaint", "choose the problem")
        await tap(door.courier, "exception-kind", exception="damage")
        await attach(door.courier, "report-sheet", photo)
        await door.courier.by("report-text").fill("A corner is torn")
        await tap(door.courier, "report-send")
        await shows(door.courier, "order", "Damage", state="open")
        await shows(door.customer, "notice-told", "looking into it")
        reported = await entry_of(door, "exception_reported")
        number, body = reported["envelope"]["number"], reported["body"]
        assert body["place"]["accuracy_m"] == 12 and body["place_refused"] is False
        stored = (await entry_of(door, "attachment_stored"))["body"]
        assert stored["number"] == number
        assert stored["sha256"] == body["attachments"][0]["sha256"]
        heard = await tones(door.courier)
        decide = {
            "kind": "decide_exception",
            "number": number,
            "decision": "go_on",
            "remark": "Open it together",
        }
        await door.as_desk(decide)
        await shows(door.courier, "decision-card", "Open it together")
        assert await tones(door.courier) > heard, "a decision is heard"
        await shows(door.customer, "order", "Decided", state="decided")
        await tap(door.courier, "acknowledge")
        await shows(door.courier, "order", "Being done", state="acknowledged")
        acknowledged = (await entry_of(door, "exception_acknowledged"))["body"]
        decided = await entry_of(door, "exception_decided")
        assert acknowledged == {"number": number, "decided": decided["envelope"]["number"]}
        await door.as_desk({"kind": "close_exception", "number": number})
        await one(door.courier, "order").wait_for(state="hidden")


@pytest.mark.long
async def test_who_does_not_want_to_say_where_they_are_does_not_and_that_is_written(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        await tap(door.courier, "report-open")
        await tap(door.courier, "exception-kind", exception="weather")
        await tap(door.courier, "place-refuse")
        await shows(door.courier, "place-state", "not shared")
        await tap(door.courier, "report-send")
        body = (await entry_of(door, "exception_reported"))["body"]
        assert body["place"] is None and body["place_refused"] is True


@pytest.mark.long
async def test_what_a_courier_does_without_network_waits_and_goes_out_by_itself(
    caller: Caller, playwright: Playwright, photo: Path
) -> None:
    async with at_the_door(caller, playwright) as door:
        await shows(door.courier, "announce", notice="arrived")
        await cut_off(door.courier)
        await tap(door.courier, "report-open")
        await tap(door.courier, "exception-kind", exception="nobody_there")
        await attach(door.courier, "report-sheet", photo)
        await tap(door.courier, "report-send")
        await shows(door.courier, "order", "Waiting for network", state="waiting")
        await tap(door.courier, "hand-over-open")
        await tap(door.courier, "hand-over-how", how="guard")
        await tap(door.courier, "hand-over-send")
        await shows(door.courier, "sheet-complaint", "photo of where you leave it")
        await attach(door.courier, "hand-over-sheet", photo)
        await tap(door.courier, "hand-over-send")
        await shows(door.courier, "receipt-card", "Waiting for network", state="handing_over")
        assert await door.scene.bodies("handed_over") == []
        await back(door.courier)
        await shows(door.customer, "receipt-card", "Left with the guard", state="receipt")
        await shows(door.courier, "receipt-card", state="unconfirmed")
        [report] = await door.scene.bodies("exception_reported")
        [handed_over] = await door.scene.bodies("handed_over")
        assert report["captured_at"] < handed_over["captured_at"]
        assert [one["sha256"] for one in handed_over["attachments"]] == [report["attachments"][0]["sha256"]]


async def test_a_change_counts_when_the_courier_has_accepted_it(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        customer, courier = door.customer, door.courier
        await tap(customer, "change-open")
        await customer.by("change-text").fill("Gate 3, house 5")
        await tap(customer, "change-send")
        await shows(customer, "change-card", "Gate 3, house 5", what="address")
        await shows(courier, "change-card", "Gate 3, house 5", state="change")
        await shows(customer, "agreed", ADDRESS, what="address")
        await tap(courier, "change-accept")
        for somebody in (customer, courier):
            await shows(somebody, "agreed", "Gate 3, house 5", what="address")
        await tap(customer, "change-open")
        await tap(customer, "change-what", what="time")
        await one(customer, "quick-time").click()
        await tap(customer, "change-send")
        await tap(courier, "change-decline")
        await one(customer, "change-card").wait_for(state="hidden")
        assert await customer.by("agreed").count() == 1, "what was declined is not agreed"
        await tap(customer, "change-open")
        await tap(customer, "change-what", what="person")
        await customer.by("change-text").fill("My brother")
        await tap(customer, "change-send")
        await shows(courier, "change-card", "My brother")
        await tap(customer, "change-withdraw")
        await one(courier, "change-card").wait_for(state="hidden")
        answers = [body["accepted"] for body in await door.scene.bodies("change_answered")]
        assert answers == [True, False]
        assert len(await door.scene.bodies("change_withdrawn")) == 1


async def test_a_reservation_opens_a_work_order_with_what_was_said(
    caller: Caller, playwright: Playwright, photo: Path
) -> None:
    async with at_the_door(caller, playwright) as door:
        await hand_over(door)
        await tap(door.customer, "reserve")
        await tap(door.customer, "receipt-send")
        await shows(door.customer, "sheet-complaint", "write a few words")
        await tap(door.customer, "exception-kind", exception="shortage")
        await door.customer.by("receipt-text").fill("One cup is missing")
        await attach(door.customer, "receipt-sheet", photo)
        await tap(door.customer, "receipt-send")
        await shows(door.customer, "confirmed-card", "One cup is missing")
        await shows(door.customer, "order", "Something missing", state="open")
        await shows(door.courier, "confirmed-card", "One cup is missing")
        confirmed = (await entry_of(door, "confirmed"))["body"]
        assert confirmed["reservation"] == "One cup is missing"
        assert "with the reservation" in confirmed["statement"]
        assert len(confirmed["attachments"]) == 1
        reported = (await entry_of(door, "exception_reported"))["body"]
        assert (reported["exception"], reported["text"]) == ("shortage", "One cup is missing")


async def test_a_refused_parcel_is_refused_on_both_sides_and_with_quality_check(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        await hand_over(door)
        await tap(door.customer, "refuse")
        await door.customer.by("receipt-text").fill("It is soaked")
        await tap(door.customer, "receipt-send")
        await shows(door.customer, "receipt-card", "did not take", state="refused")
        await shows(door.courier, "receipt-card", "refused the parcel", state="refused")
        await shows(door.courier, "order", "Refused by the customer", state="open")
        assert (await entry_of(door, "receipt_refused"))["body"]["text"] == "It is soaked"


async def test_a_call_rings_until_it_is_declined_and_a_missed_one_can_be_called_back(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        customer, courier = door.customer, door.courier
        consent = {"kind": "consent", "statement": "I agree", "language": "en"}
        await customer.by("text-input").click()  # a page sounds once it was touched
        await door.as_desk(consent, {"kind": "join"})
        for somebody in (customer, courier):
            await shows(somebody, "ring-card", "Chen is calling")

        async def sounds() -> bool:
            return await tones(customer) >= 4

        await until(sounds, "it rings again")
        await tap(customer, "ring-decline")
        await one(customer, "ring-card").wait_for(state="hidden")
        assert (await entry_of(door, "call_declined"))["envelope"]["role"] == "customer"
        assert await one(courier, "ring-card").is_visible(), "the other's still rings"
        await door.as_desk({"kind": "leave"})
        await one(courier, "ring-card").wait_for(state="hidden")
        await shows(courier, "missed-call", "Missed call from Chen")
        assert await customer.by("missed-call").count() == 0, "who declined has missed nothing"
        await tap(courier, "call-back")
        await shows(courier, "lobby")


@pytest.mark.long
async def test_who_answers_a_ringing_call_comes_to_its_lobby(caller: Caller, playwright: Playwright) -> None:
    async with at_the_door(caller, playwright) as door:
        consent = {"kind": "consent", "statement": "I agree", "language": "en"}
        await door.as_desk(consent, {"kind": "join"})
        await tap(door.customer, "ring-answer")
        await shows(door.customer, "lobby")
        silence = await tones(door.customer)
        await asyncio.sleep(3)  # longer than between two rings
        assert await tones(door.customer) == silence, "what was answered rings no more"


@pytest.mark.long
async def test_a_ring_is_answered_above_an_open_sheet_and_after_a_call_too(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        customer = door.customer
        consent = {"kind": "consent", "statement": "I agree", "language": "en"}
        await tap(customer, "report-open")
        await customer.by("report-text").fill("Soaked")
        await say(door.scene, "courier", consent, {"kind": "join"})
        await shows(customer, "ring-card", "Wang is calling")
        await axe.check(customer.page, "a ring above a sheet")
        await tap(customer, "ring-answer")
        await shows(customer, "lobby")
        await customer.page.go_back()
        await say(door.scene, "courier", {"kind": "join"}, {"kind": "leave"})
        await one(customer, "ring-card").wait_for(state="hidden")
        await tap(customer, "report-open")
        assert await customer.by("report-text").input_value() == "Soaked", "nothing that was written is lost"
        await tap(customer, "sheet-cancel")
        await tap(customer, "call-button")
        await tap(customer, "start-button")
        await tap(customer, "hangup")
        await shows(customer, "after")
        heard = await tones(customer)
        await say(door.scene, "courier", {"kind": "join"})
        await shows(customer, "ring-card", "Wang is calling")

        async def sounds() -> bool:
            return await tones(customer) > heard

        await until(sounds, "it is heard")
        await tap(customer, "ring-answer")
        await shows(customer, "lobby")


@pytest.mark.long
async def test_a_voice_note_outlives_a_sheet_that_is_closed_by_accident(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        await tap(door.courier, "report-open")
        await tap(door.courier, "picker-voice")
        await shows(door.courier, "voice-bar", state="recording")
        await asyncio.sleep(0.5)  # something to hear
        await door.courier.page.keyboard.press("Escape")
        await one(door.courier, "report-sheet").wait_for(state="hidden")
        await tap(door.courier, "report-open")
        await shows(door.courier, "picked-item")
        await tap(door.courier, "exception-kind", exception="damage")
        await tap(door.courier, "report-send")
        reported = (await entry_of(door, "exception_reported"))["body"]
        assert [one["medium"] for one in reported["attachments"]] == ["voice"]


@pytest.mark.long
async def test_who_is_in_the_call_has_the_cards_in_its_sheet_with_the_photo_of_the_hand_over(
    caller: Caller, playwright: Playwright, photo: Path
) -> None:
    async with at_the_door(caller, playwright) as door:
        await door.customer.page.goto("about:blank")
        await door.customer.page.goto(door.scene.url("customer"))
        await tap(door.customer, "start-button")
        await shows(door.customer, "shutter")
        await tap(door.courier, "ring-decline")
        await tap(door.courier, "hand-over-open")
        await tap(door.courier, "hand-over-how", how="door")
        await attach(door.courier, "hand-over-sheet", photo)
        await tap(door.courier, "hand-over-send")
        await tap(door.customer, "write")
        await shows(door.customer, "receipt-card", state="receipt")

        async def in_sight() -> bool:
            box = await one(door.customer, "text-send").bounding_box()
            return bool(box["y"] + box["height"] <= await door.customer.page.evaluate("innerHeight"))

        await until(in_sight, "the sheet is up, and what one writes with in sight")
        await tap(door.customer, "photo")
        await shows(door.customer, "lightbox")
        await tap(door.customer, "lightbox-close")
        assert await door.customer.page.evaluate(TOO_SMALL, TARGET_PX) == []
        assert await door.customer.page.evaluate(TOO_WIDE) == []
        await axe.check(door.customer.page, "the receipt in the call")
        await tap(door.customer, "confirm")
        await tap(door.customer, "receipt-send")
        await shows(door.customer, "confirmed-card", "Receipt confirmed")


async def test_a_parcel_that_was_confirmed_with_a_reservation_is_not_handed_over_again(
    caller: Caller, playwright: Playwright
) -> None:
    async with at_the_door(caller, playwright) as door:
        await hand_over(door)
        await tap(door.customer, "reserve")
        await door.customer.by("receipt-text").fill("A dent")
        heard = await tones(door.courier)
        await tap(door.customer, "receipt-send")
        await shows(door.courier, "confirmed-card", "Receipt confirmed")
        assert await tones(door.courier) > heard, "a confirmation is heard"
        number = (await entry_of(door, "exception_reported"))["envelope"]["number"]
        await door.as_desk(
            {"kind": "decide_exception", "number": number, "decision": "go_on", "remark": "Pay it"}
        )
        await shows(door.courier, "decision-card", "Decision of Quality check Chen")
        assert await door.courier.by("hand-over-open").count() == 0
        assert await door.customer.by("change-open").count() == 0


async def press(somebody: Somebody, test_id: str, **data: str) -> None:
    """Goes there by the tabulator alone, and presses Enter."""
    await one(somebody, test_id, **data).wait_for()
    for _ in range(MAX_TABS):
        focused, more = await somebody.page.evaluate(FOCUSED)
        if focused == test_id and data.items() <= more.items():
            await somebody.page.keyboard.press("Enter")
            return
        await somebody.page.keyboard.press("Tab")
    raise AssertionError(f"{test_id} {data} is not reached by the keyboard")


async def test_the_whole_delivery_works_by_keyboard_alone(caller: Caller, playwright: Playwright) -> None:
    async with at_the_door(caller, playwright) as door:
        customer, courier = door.customer, door.courier
        await press(courier, "announce", notice="arriving_5")
        await press(customer, "choice", choice="later")
        await press(customer, "quick-time")
        await press(customer, "answer-send")
        await press(courier, "take-answer")
        await shows(customer, "notice-card", "acts on it")
        await press(customer, "change-open")
        await press(customer, "change-what", what="person")
        await press(customer, "change-text")
        await customer.page.keyboard.press("Backspace")  # Enter began a line
        await customer.page.keyboard.type("My sister")
        await press(customer, "change-send")
        await press(courier, "change-accept")
        await shows(customer, "agreed", "My sister", what="person")
        await press(courier, "report-open")
        await courier.page.keyboard.press("Escape")
        await one(courier, "report-sheet").wait_for(state="hidden")
        focused, _ = await courier.page.evaluate(FOCUSED)
        assert focused == "report-open", "a closed sheet gives the focus back"
        await press(courier, "hand-over-open")
        await press(courier, "hand-over-how", how="in_person")
        await press(courier, "hand-over-send")
        await press(customer, "confirm")
        await press(customer, "receipt-send")
        await shows(courier, "confirmed-card")


async def check_page(somebody: Somebody, state: str) -> None:
    """Nothing grave for people who do not see, nothing too small for a thumb, nothing out of the window."""
    await axe.check(somebody.page, state)
    assert await somebody.page.evaluate(TOO_SMALL, TARGET_PX) == [], state
    assert await somebody.page.evaluate(TOO_WIDE) == [], state


async def cancel(somebody: Somebody) -> None:
    await somebody.page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("language", "size", "zoom"),
    [
        ("zh-CN", {"width": 320, "height": 640}, 1),
        pytest.param("en-GB", {"width": 320, "height": 640}, 1, marks=pytest.mark.long),
        pytest.param("en-GB", PHONE, 2, marks=pytest.mark.long),
    ],
    ids=["zh-320px", "en-320px", "en-200%"],
)
async def test_every_card_and_sheet_fits_a_small_window_and_everybody(
    caller: Caller, playwright: Playwright, language: str, size: dict[str, int], zoom: int
) -> None:
    async with at_the_door(caller, playwright, language=language, size=size, zoom=zoom) as door:
        customer, courier = door.customer, door.courier
        await shows(courier, "announce")
        await check_page(courier, "begin")
        await check_page(customer, "nothing yet")
        await announce(door)
        await check_page(customer, "choose")
        await check_page(courier, "awaiting")
        await tap(customer, "choice", choice="later")
        await check_page(customer, "answer-sheet")
        await cancel(customer)
        await tap(customer, "choice", choice="now")
        await shows(courier, "take-answer")
        await check_page(courier, "answer")
        await check_page(customer, "answered")
        await tap(customer, "change-open")
        await tap(customer, "change-what", what="time")
        await check_page(customer, "change-sheet")
        await tap(customer, "change-what", what="address")
        await customer.by("change-text").fill("Gate 3")
        await tap(customer, "change-send")
        await tap(courier, "take-answer")
        await shows(courier, "change-accept")
        await check_page(courier, "change")
        await check_page(customer, "change asked")
        await tap(courier, "change-accept")
        await shows(courier, "answer-card", state="go")
        await check_page(courier, "go")
        await tap(courier, "report-open")
        await tap(courier, "exception-kind", exception="damage")
        await check_page(courier, "report-sheet")
        await tap(courier, "report-send")
        number = (await entry_of(door, "exception_reported"))["envelope"]["number"]
        await door.as_desk({"kind": "decide_exception", "number": number, "decision": "call_first"})
        await shows(courier, "acknowledge")
        await check_page(courier, "decision")
        await tap(courier, "acknowledge")
        await tap(courier, "hand-over-open")
        await tap(courier, "hand-over-how", how="door")
        await check_page(courier, "hand-over-sheet")
        await tap(courier, "hand-over-how", how="in_person")
        await tap(courier, "hand-over-send")
        await shows(customer, "confirm")
        await check_page(customer, "receipt")
        await check_page(courier, "unconfirmed")
        for button in ("refuse", "reserve", "confirm"):
            await tap(customer, button)
            await check_page(customer, f"receipt-sheet {button}")
            if button != "confirm":
                await cancel(customer)
        consent = {"kind": "consent", "statement": "I agree", "language": "en"}
        await tap(customer, "receipt-send")
        await shows(courier, "confirmed-card")
        await check_page(customer, "confirmed")
        await door.as_desk(consent, {"kind": "join"})
        await shows(customer, "ring-card")
        await check_page(customer, "ring")
        await door.as_desk({"kind": "leave"})
        await shows(customer, "missed-call")
        await check_page(customer, "missed")
