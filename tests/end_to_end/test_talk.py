"""The conversation on two phones: everything that can be said, read, heard, found, and by whom."""

import json
import math
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser, BrowserContext, Playwright, expect

from server.evidence.credential import check_copy, open_copy
from signaling.talk import SendText
from signaling.values import Actor, ActorId, SessionId
from tests.end_to_end import axe
from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import PATIENCE_S, PHONE, Somebody, chromium, until
from tests.media.credential_files import generated, make_signer

PLACE = {"latitude": 31.2304, "longitude": 121.4737, "accuracy": 12}
PATIENCE_MS = PATIENCE_S * 1000


@asynccontextmanager
async def phone(
    browser: Browser,
    url: str,
    *,
    language: str = "zh-CN",
    size: dict[str, int] = PHONE,
    place: bool = False,
    **more: Any,
) -> AsyncIterator[Somebody]:
    if place:
        more |= {"permissions": ["geolocation"], "geolocation": PLACE}
    context: BrowserContext = await browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        locale=language,
        timezone_id="America/New_York",  # far from the case: its own times show that they are its own
        **more,
    )
    page = await context.new_page()
    somebody = Somebody(page)
    await page.goto(url)
    await expect(somebody.by("text-input")).to_be_visible(timeout=PATIENCE_MS)
    yield somebody
    assert somebody.complaints == []
    await context.close()


def entry(person: Somebody, kind: str) -> Any:
    return person.page.locator(f"[data-testid=log-entry][data-kind={kind}]")


def jpeg(colour: tuple[int, int, int] = (180, 40, 30)) -> bytes:
    file = BytesIO()
    Image.new("RGB", (640, 480), colour).save(file, "JPEG")
    return file.getvalue()


async def say(person: Somebody, text: str) -> None:
    await person.by("text-input").fill(text)
    await person.by("text-input").press("Enter")


async def test_people_talk_in_two_languages_and_see_what_was_delivered_and_read(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
    ):
        await say(customer, "我在家，请上来")
        await expect(entry(courier, "text")).to_contain_text("我在家，请上来", timeout=PATIENCE_MS)
        await expect(entry(courier, "text")).to_contain_text("customer · Customer")
        read = entry(customer, "text").get_by_test_id("mark")
        await expect(read).to_have_attribute("data-mark", "read", timeout=PATIENCE_MS)
        await expect(read).to_have_accessible_name("已读，查看谁已收到")

        # Each reads a phrase in their own language, in the time of the case, wherever their phone is.
        await courier.tap("talk-more")
        await courier.page.locator("[data-phrase=at_the_gate]").click()
        await expect(entry(courier, "phrase")).to_contain_text("I am at the gate.", timeout=PATIENCE_MS)
        await expect(entry(customer, "phrase")).to_contain_text("我在小区门口。", timeout=PATIENCE_MS)
        [phrase] = [item for item in await scene.entries() if item["envelope"]["kind"] == "phrase"]
        hour = (int(phrase["envelope"]["recorded_at"][11:13]) + 8) % 24  # Shanghai
        await expect(entry(customer, "phrase").locator("time")).to_have_text(re.compile(f"{hour:02}:\\d\\d"))

        await entry(customer, "text").get_by_test_id("mark").click()
        await expect(customer.by("reach").locator("li").first).to_contain_text("已读")
        await axe.check(customer.page, "who has it")
        await customer.tap("reach-close")
        for person, state in ((customer, "talk in Chinese"), (courier, "talk in English")):
            await axe.check(person.page, state)

        # Marks answer messages, never each other: two pages that are open come to rest.
        async def at_rest() -> bool:
            before = len(await scene.entries())
            await customer.page.wait_for_timeout(2500)
            return len(await scene.entries()) == before

        await until(at_rest, "no more entries come by themselves")
        marks = [item for item in await scene.entries() if item["envelope"]["kind"] == "receipt"]
        assert 2 <= len(marks) <= 6


async def test_nothing_is_read_by_a_page_that_nobody_looks_at(playwright: Playwright, scene: Scene) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
    ):
        # As if the tab was in the background: a browser that is driven has to be told.
        await courier.page.evaluate(
            """() => { const hidden = {value: 'hidden', configurable: true};
                       Object.defineProperty(document, 'visibilityState', hidden);
                       document.dispatchEvent(new Event('visibilitychange')); }"""
        )
        await say(customer, "在吗？")
        mark = entry(customer, "text").get_by_test_id("mark")
        await expect(mark).to_have_attribute("data-mark", "delivered", timeout=PATIENCE_MS)
        await courier.page.evaluate(
            """() => { delete document.visibilityState;
                       document.dispatchEvent(new Event('visibilitychange')); }"""
        )
        await expect(mark).to_have_attribute("data-mark", "read", timeout=PATIENCE_MS)


async def test_a_photo_is_seen_at_once_by_its_sender_and_by_the_others_when_it_has_come(
    playwright: Playwright, scene: Scene, tmp_path: Path
) -> None:
    picture = tmp_path / "parcel.jpg"
    picture.write_bytes(generated(jpeg(), make_signer(tmp_path / "stranger")))
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
    ):
        await courier.tap("talk-more")
        await axe.check(courier.page, "the tools")
        async with courier.page.expect_file_chooser() as chosen:
            await courier.tap("attach-album")
        await (await chosen.value).set_files(picture)
        mine = entry(courier, "attached").get_by_test_id("photo").locator("img")
        await expect(mine).to_have_js_property("naturalWidth", 640, timeout=PATIENCE_MS)
        photo = entry(customer, "attached").get_by_test_id("attachment")
        await expect(photo).to_have_attribute("data-state", "stored", timeout=PATIENCE_MS)
        await expect(photo.locator("img")).to_have_js_property("naturalWidth", 640, timeout=PATIENCE_MS)
        await expect(photo).to_contain_text("来自相册 · 内容凭证的签署者未知 · 自称由 AI 生成")
        await photo.get_by_test_id("photo").press("Enter")
        await expect(customer.by("frame-image")).to_be_visible()
        await axe.check(customer.page, "a photo large")
        async with customer.page.expect_download() as saving:
            await customer.tap("credentials-save")
        [stored] = await scene.bodies("attachment_stored")
        saved = await (await saving.value).path()
        kept = open_copy(saved.read_bytes())
        check_copy(kept)
        assert kept.credential.sha256 == stored["shown"]["sha256"]
        await customer.page.keyboard.press("Escape")
        [announced] = await scene.bodies("attached")
        assert announced["attachment"]["capture_path"] == "album"

        # What is no picture is refused with a reason that people understand, where the photo would be.
        liar = tmp_path / "liar.jpg"
        liar.write_bytes(b"\xff\xd8\xff" + bytes(2000))
        await courier.tap("talk-more")
        async with courier.page.expect_file_chooser() as chosen:
            await courier.tap("attach-album")
        await (await chosen.value).set_files(liar)
        refused = entry(customer, "attached").nth(1).get_by_test_id("attachment")
        await expect(refused).to_have_attribute("data-state", "refused", timeout=PATIENCE_MS)
        await expect(refused).to_contain_text("这张照片未能收下")
        await axe.check(customer.page, "a refused photo")


async def test_a_voice_note_is_recorded_sent_and_heard_by_keyboard_alone(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
    ):
        bar = customer.by("talk-composer").get_by_test_id("voice-bar")
        await customer.by("talk-more").press("Enter")
        began = time.monotonic()
        await customer.by("record-voice").press("Enter")
        await expect(bar).to_have_attribute("data-state", "recording", timeout=PATIENCE_MS)
        await expect(bar.get_by_test_id("voice-length")).to_have_text("00:01", timeout=PATIENCE_MS)
        await axe.check(customer.page, "recording")
        await expect(bar.get_by_test_id("voice-send")).to_be_focused()
        await customer.page.keyboard.press("Enter")
        heard = entry(courier, "attached").get_by_test_id("voice")
        await expect(heard).to_be_enabled(timeout=PATIENCE_MS)
        longest_ms = (time.monotonic() - began) * 1000
        [stored] = await scene.bodies("attachment_stored")
        assert 900 <= stored["duration_ms"] <= longest_ms
        whole_s = math.floor(stored["duration_ms"] / 1000 + 0.5)
        await expect(heard).to_have_accessible_name(
            f"Play the voice note from customer, 00:{whole_s:02}", timeout=PATIENCE_MS
        )
        assert max(stored["waveform"]) > 0
        await heard.press("Enter")
        await expect(heard).to_have_attribute("data-playing", "", timeout=PATIENCE_MS)
        await axe.check(courier.page, "a voice note")

        # Dropped, nothing of it leaves the phone.
        await customer.by("talk-more").press("Enter")
        await customer.by("record-voice").press("Enter")
        await expect(bar).to_have_attribute("data-state", "recording", timeout=PATIENCE_MS)
        await bar.get_by_test_id("voice-cancel").click()
        await expect(customer.by("text-input")).to_be_visible()
        assert len(await scene.bodies("attached")) == 1


@pytest.mark.long
async def test_no_microphone_runs_on_where_nobody_sees_it_and_a_call_keeps_its_own(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
    ):
        bar = customer.by("talk-composer").get_by_test_id("voice-bar")
        await customer.tap("talk-more")
        await customer.tap("record-voice")
        await expect(bar.get_by_test_id("voice-length")).to_have_text("00:01", timeout=PATIENCE_MS)
        await customer.tap("search-open")
        await customer.page.keyboard.type("x")
        await expect(bar).to_have_attribute("data-state", "full", timeout=PATIENCE_MS)
        await customer.page.keyboard.press("Escape")
        await expect(bar).to_contain_text("录音已停止")
        await bar.get_by_test_id("voice-send").click()
        await expect(entry(customer, "attached")).to_have_count(1, timeout=PATIENCE_MS)

        await customer.tap("call-button")
        await customer.tap("start-button")
        await expect(customer.by("shutter")).to_be_visible(timeout=PATIENCE_MS)
        await customer.page.evaluate(
            """() => {
              const muted = () => Promise.reject(new Error('a phone would mute the call'));
              navigator.mediaDevices.getUserMedia = muted;
            }"""
        )
        await customer.tap("write")
        await customer.tap("talk-more")
        await customer.tap("record-voice")
        await expect(bar.get_by_test_id("voice-length")).to_have_text("00:01", timeout=PATIENCE_MS)
        await bar.get_by_test_id("voice-send").click()
        await expect(entry(customer, "attached")).to_have_count(2, timeout=PATIENCE_MS)


async def test_a_recorder_that_does_not_start_is_told_in_words_and_gives_the_microphone_back(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
    ):
        await customer.page.evaluate(
            """() => {
              MediaRecorder.prototype.start = () => { throw new DOMException('no', 'NotSupportedError'); };
              const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
              window.tracks = [];
              navigator.mediaDevices.getUserMedia = async (wanted) => {
                const stream = await ask(wanted);
                tracks.push(...stream.getTracks());
                return stream;
              };
            }"""
        )
        await customer.tap("talk-more")
        await customer.tap("record-voice")
        await expect(customer.by("talk-complaint")).to_contain_text("麦克风没有启动", timeout=PATIENCE_MS)
        await expect(customer.by("record-voice")).to_be_visible()
        assert await customer.page.evaluate("tracks.map((track) => track.readyState)") == ["ended"]


@pytest.mark.long
async def test_a_phone_that_keeps_nothing_says_so_and_who_hears_the_page_hears_the_others_alone(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer"), language="en-US") as customer,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
    ):
        await expect(customer.by("talk-volatile")).to_be_hidden()
        await customer.page.add_init_script("Object.defineProperty(window, 'indexedDB', {value: undefined})")
        await customer.page.reload()
        await expect(customer.by("talk-volatile")).to_have_text(
            "This phone keeps what is not sent only while this page is open.", timeout=PATIENCE_MS
        )
        await axe.check(customer.page, "nothing is kept")
        await say(customer, "mine")
        await say(courier, "The lift is out of order")
        await expect(customer.by("talk-heard")).to_have_text(
            "courier: The lift is out of order", timeout=PATIENCE_MS
        )
        await expect(customer.page.get_by_role("log")).to_have_attribute("aria-live", "off")


@pytest.mark.long
async def test_a_long_conversation_loads_the_photos_that_come_near_the_view(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
        phone(browser, scene.talk_url("customer")) as customer,
    ):
        photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
        await courier.by("talk-composer").get_by_test_id("album-input").set_input_files([photo])
        await expect(entry(customer, "attached").get_by_role("img")).to_be_visible(timeout=PATIENCE_MS)
        case = await scene.caller.service.cases.get(scene.case_id)
        link_id = ActorId(scene.links["courier"]["link_id"])
        actor = Actor(role="courier", actor_id=link_id, session_id=SessionId("s_" + "t" * 20))
        for number in range(40):
            await case.handle(SendText(text=f"Message {number}"), actor)
        await expect(entry(customer, "text")).to_have_count(40, timeout=PATIENCE_MS)
        fetched: list[str] = []
        customer.page.on("request", lambda request: fetched.append(request.url))
        await customer.page.reload()
        await expect(entry(customer, "text")).to_have_count(40, timeout=PATIENCE_MS)
        await expect(entry(customer, "text").last).to_be_in_viewport()
        assert not any("/blobs/" in url for url in fetched)

        async def is_shown() -> bool:
            # Scrolled again: what still comes in takes a list that is at its end along to its end.
            await entry(customer, "attached").scroll_into_view_if_needed()
            return bool(await entry(customer, "attached").get_by_role("img").is_visible())

        await until(is_shown, "the photo is loaded once it is near the view")
        assert any("/blobs/" in url for url in fetched)


async def test_a_place_is_shared_after_the_reason_was_told_and_not_sharing_is_fine(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("courier"), language="en-US", place=True) as courier,
        phone(browser, scene.talk_url("customer")) as customer,
    ):
        await courier.tap("talk-more")
        await courier.tap("share-place")
        await axe.check(courier.page, "share the place?")
        await courier.tap("place-decline")
        assert await scene.bodies("placed") == []
        await courier.tap("share-place")
        await courier.tap("place-agree")
        await expect(entry(customer, "placed")).to_contain_text("误差 12 米以内", timeout=PATIENCE_MS)
        link = entry(customer, "placed").get_by_test_id("place-map")
        await expect(link).to_have_attribute("href", re.compile("^https://.*121.473700"))
        [body] = await scene.bodies("placed")
        assert body["place"] == {"latitude_e6": 31_230_400, "longitude_e6": 121_473_700, "accuracy_m": 12}
        # The customer's phone keeps its place to itself: said in words, and the dialog stays for another way.
        await customer.tap("talk-more")
        await customer.tap("share-place")
        await customer.tap("place-agree")
        await expect(customer.by("place-problem")).to_be_visible(timeout=PATIENCE_MS)


async def test_a_guest_comes_by_a_link_of_the_customer_talks_and_is_sent_away_with_it(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
    ):
        await customer.tap("invite")
        await axe.check(customer.page, "invite")
        await customer.by("invite-name").fill("门卫老王")
        await customer.by("invite-name").press("Enter")
        await expect(customer.by("invite-link")).to_contain_text("/g#", timeout=PATIENCE_MS)
        await axe.check(customer.page, "the link of a guest")
        url = str(await customer.by("invite-link").text_content())
        await customer.tap("invite-close")
        async with phone(browser, url) as guest:
            await say(guest, "包裹放我这里")
            await expect(entry(customer, "text")).to_contain_text("门卫老王 · 代收人", timeout=PATIENCE_MS)
            await expect(guest.by("invite")).to_be_hidden()
            await axe.check(guest.page, "a guest's page")
            issued = [body for body in await scene.bodies("link_issued") if body["role"] == "guest"]
            status, _ = await scene.caller.call(
                "DELETE", f"/api/cases/{scene.case_id}/links/{issued[0]['link_id']}"
            )
            assert status == 204
            await expect(guest.by("notice")).to_have_attribute("data-reason", "revoked", timeout=PATIENCE_MS)
            await axe.check(guest.page, "a link that was taken back")


async def test_the_call_is_one_tap_away_and_back_and_reload_lose_nothing(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer")) as customer,
    ):
        # Nobody asks for the camera before there is a call to be in.
        await customer.by("text-input").fill("还没写完")
        assert await customer.page.evaluate("document.querySelector('.is-own video').srcObject") is None
        await customer.tap("call-button")
        await expect(customer.by("start-button")).to_be_visible(timeout=PATIENCE_MS)
        await axe.check(customer.page, "the lobby")
        await customer.page.go_back()
        await expect(customer.by("text-input")).to_have_value("还没写完")
        await customer.page.reload()
        await expect(customer.by("text-input")).to_have_value("还没写完", timeout=PATIENCE_MS)
        await customer.tap("call-button")
        await customer.page.reload()
        await expect(customer.by("start-button")).to_be_visible(timeout=PATIENCE_MS)
        await customer.tap("start-button")
        await expect(customer.by("shutter")).to_be_visible(timeout=PATIENCE_MS)
        # In the call the same conversation is a sheet.
        await customer.tap("write")
        await expect(customer.by("text-input")).to_have_value("还没写完")
        await customer.by("text-input").press("Enter")
        await expect(entry(customer, "text")).to_contain_text("还没写完", timeout=PATIENCE_MS)
        await axe.check(customer.page, "the sheet in the call")
        await customer.tap("sheet-close")
        await axe.check(customer.page, "the call")
        await customer.page.go_back()
        # The call goes on while one reads.
        await expect(customer.by("call-button")).to_have_attribute("data-on", "", timeout=PATIENCE_MS)
        await expect(customer.by("record-state")).to_have_attribute("data-state", "call")
        await customer.tap("call-button")
        await customer.tap("hangup")
        await expect(customer.by("after")).to_be_visible(timeout=PATIENCE_MS)
        await axe.check(customer.page, "after the call")
        await customer.page.get_by_test_id("to-conversation").locator("visible=true").click()
        await expect(entry(customer, "text")).to_be_visible()


async def test_search_finds_what_was_said_and_leads_to_its_place(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
    ):
        await say(courier, "The blue box has a dent")
        for number in range(30):
            await say(courier, f"Message {number}")
        await expect(entry(courier, "text")).to_have_count(31, timeout=PATIENCE_MS)
        await expect(entry(courier, "text").first).not_to_be_in_viewport()
        await courier.tap("search-open")
        await courier.page.keyboard.type("DENT blue")
        await expect(entry(courier, "text")).to_have_count(1)
        await expect(courier.by("search-count")).to_have_text("1 found")
        await axe.check(courier.page, "search")
        await courier.tap("search-hit")
        await expect(entry(courier, "text")).to_have_count(31)
        await expect(entry(courier, "text").first).to_be_in_viewport()
        await expect(entry(courier, "text").first).to_be_focused()
        # Scrolled up, nothing moves when somebody writes; a button says that something has come.
        top = await entry(courier, "text").first.bounding_box()
        await say(courier, "one more")
        await courier.tap("search-open")
        await courier.page.keyboard.type("nowhere to be found")
        await expect(courier.by("search-count")).to_have_text("Nothing found")
        await courier.page.keyboard.press("Escape")
        await expect(courier.by("search-open")).to_be_focused()
        assert top is not None


@pytest.mark.long
async def test_what_arrives_moves_nothing_for_who_reads_further_up(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("courier"), language="en-US") as courier,
        phone(browser, scene.talk_url("customer")) as customer,
    ):
        for number in range(30):
            await say(courier, f"Message {number}")
        last = entry(customer, "text").nth(29)
        await expect(last).to_be_in_viewport(timeout=PATIENCE_MS)  # the newest stays in view
        await customer.page.locator(".talk-scroller").evaluate("list => { list.scrollTop = 0; }")
        await expect(customer.by("talk-newest")).to_be_visible()
        first = entry(customer, "text").first
        before = await first.bounding_box()
        await say(courier, "one more")
        await expect(customer.by("talk-newest")).to_contain_text("1 条新消息", timeout=PATIENCE_MS)
        assert await first.bounding_box() == before
        await customer.tap("talk-newest")
        await expect(entry(customer, "text").nth(30)).to_be_in_viewport()


async def test_what_cannot_go_out_waits_in_sight_and_goes_when_the_network_is_back(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer"), language="en-US") as customer,
    ):
        await customer.page.context.set_offline(True)
        await customer.page.evaluate("dispatchEvent(new Event('offline'))")
        await expect(customer.by("connection-state")).to_have_attribute(
            "data-state", "reconnecting", timeout=PATIENCE_MS
        )
        await say(customer, "from the lift")
        await expect(customer.by("waiting")).to_contain_text("Waiting for network")
        await axe.check(customer.page, "waiting for network")
        await customer.page.context.set_offline(False)
        await expect(entry(customer, "text")).to_contain_text("from the lift", timeout=PATIENCE_MS)
        await expect(customer.by("waiting")).to_have_count(0)
        # The clock of the phone was measured before what had waited went out: here it is the service's own.
        [text] = [item for item in await scene.entries() if item["envelope"]["kind"] == "text"]
        clock = text["body"]["clock"]
        assert abs(clock["offset_ms"]) <= clock["uncertainty_ms"]


async def test_everything_can_be_reached_by_keyboard_and_is_large_enough_for_a_thumb(
    playwright: Playwright, scene: Scene
) -> None:
    async with (
        chromium(playwright) as browser,
        phone(browser, scene.talk_url("customer"), language="en-US") as customer,
    ):
        await say(customer, "hello")
        await expect(entry(customer, "text")).to_be_visible(timeout=PATIENCE_MS)
        wanted = {
            "language-switch",
            "call-button",
            "search-open",
            "invite",
            "sound-switch",
            "mark",
            "text-input",
        }
        seen = set()
        await customer.page.evaluate("document.activeElement.blur()")
        for _ in range(40):
            await customer.page.keyboard.press("Tab")
            seen.add(await customer.page.evaluate("document.activeElement.dataset.testid"))
        assert wanted <= seen
        await customer.tap("talk-more")
        small = await customer.page.evaluate(
            """() => [...document.querySelectorAll('button, a, input, select')]
              .filter(element => element.offsetParent !== null)
              .map(element => [element.dataset.testid ?? element.className, element.getBoundingClientRect()])
              .filter(([, {width, height}]) => width < 48 || height < 48).map(([name]) => name)"""
        )
        assert small == []


@pytest.mark.parametrize(
    ("width", "height", "zoom"),
    [(320, 640, 1), pytest.param(360, 740, 2, marks=pytest.mark.long), (1280, 800, 2)],
    ids=["320px", "phone", "desk"],
)
async def test_the_page_works_on_narrow_screens_and_at_twice_the_size(
    playwright: Playwright, scene: Scene, width: int, height: int, zoom: int
) -> None:
    # As browsers zoom: so many fewer pixels of CSS.
    size = {"width": width // zoom, "height": height // zoom}
    async with (
        chromium(playwright) as browser,
        phone(
            browser, scene.talk_url("customer"), language="en-US", size=size, device_scale_factor=zoom
        ) as customer,
    ):
        await say(
            customer, "A message that is long enough to need a second line on every screen that there is"
        )
        await expect(entry(customer, "text")).to_be_visible(timeout=PATIENCE_MS)
        await customer.tap("talk-more")
        await customer.by("phrase").first.scroll_into_view_if_needed()
        wide = await customer.page.evaluate(
            """() => [...document.querySelectorAll('body *')].filter(element =>
              element.offsetParent !== null && !element.closest('.for-screen-readers') &&
              element.getBoundingClientRect().right > innerWidth + 1)
              .map(element => element.dataset.testid ?? element.className)"""
        )
        assert wide == [], json.dumps(wide)
        await axe.check(customer.page, f"{width} px at {zoom * 100} %")
        await customer.by("phrase").first.click()
        await expect(entry(customer, "phrase")).to_have_count(1, timeout=PATIENCE_MS)
