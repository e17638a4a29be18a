"""Two devices of one person: told the same, in step, and the call on one of them."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from playwright.async_api import Playwright

from tests.end_to_end.conftest import Scene
from tests.end_to_end.cut_proxy import cut_proxy
from tests.end_to_end.people import Somebody, chromium, open_page, until
from tests.server.test_socket import greet, say


async def test_a_notice_answered_on_one_device_is_answered_and_the_other_device_is_told(
    scene: Scene, playwright: Playwright
) -> None:
    caller, customer = scene.caller, scene.links["customer"]
    courier = await greet(caller, scene.case_id, scene.links["courier"]["token"])
    assert (await say(courier, "n1", kind="announce", notice="arrived"))["type"] == "ack"
    async with chromium(playwright) as browser, cut_proxy(int(caller.url.rpartition(":")[2])) as proxy:
        phone = await open_page(browser, f"{caller.url}/c#{customer['token']}", language="en-US")
        tablet = await open_page(browser, f"{proxy.url}/c#{customer['token']}", language="en-US")
        for device in (phone, tablet):
            await choice(device, "guard").wait_for()
        proxy.cut()
        await tablet.page.context.set_offline(True)
        await choice(phone, "guard").click()
        await until(partial(answers, scene, ["guard"]), "the phone's answer is in the log")
        await choice(tablet, "locker").click()
        await proxy.mend()
        await tablet.page.context.set_offline(False)
        told = tablet.page.get_by_text("answered, or asked anew, meanwhile").first
        await told.wait_for()
        assert await answers(scene, ["guard"]), "the later choice has changed nothing"
        assert phone.complaints == tablet.complaints == []


async def test_what_was_read_on_one_device_is_read_on_the_other(scene: Scene, playwright: Playwright) -> None:
    caller, customer = scene.caller, scene.links["customer"]
    courier = await greet(caller, scene.case_id, scene.links["courier"]["token"])
    number = (await say(courier, "t1", kind="text", text="I am downstairs"))["number"]
    async with chromium(playwright) as browser:
        url = f"{caller.url}/c#{customer['token']}"
        phone = await open_page(browser, url, language="en-US")
        await until(partial(has_read, scene, number), "the phone has told that it was read")
        tablet = await open_page(browser, url, language="en-US")
        await tablet.page.get_by_text("I am downstairs").first.wait_for()
        await tablet.by("text-input").fill("Coming")
        await tablet.by("text-input").press("Enter")
        await until(partial(is_said, scene, "Coming"), "the tablet's text is in the log")
        number = (await say(courier, "t2", kind="text", text="Thank you"))["number"]
        await until(partial(has_read, scene, number), "the newest was read")
        marks = await receipts(scene)
        steps = [(mark["delivered"], mark["read"]) for mark in marks]
        assert steps == sorted(set(steps)), "each once"
        for device in (phone, tablet):
            await device.page.get_by_text("Thank you").first.wait_for()
        assert phone.complaints == tablet.complaints == []


async def test_a_call_is_taken_over_from_one_device_to_the_other_and_back(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with (
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
    ):
        phone = await open_page(one, scene.url("customer"), language="en-US")
        courier = await open_page(two, scene.url("courier"), language="en-US")
        for somebody in (phone, courier):
            await somebody.tap("start-button")
        await asyncio.gather(phone.wait_for_media(), courier.wait_for_media())

        tablet = await open_page(one, scene.url("customer"), language="en-US")
        await until(partial(is_elsewhere, tablet), "the tablet says that the call is on another device")
        assert (await phone.sees_and_hears())["frames"] > 2, "a page that is opened takes nothing"

        await tablet.tap("start-button")
        await tablet.wait_for_media()
        await until(partial(is_elsewhere, phone), "the phone says that the call is on another device")
        assert (await phone.inbound())["sent"] == 0, "nothing leaves the phone any more"
        await courier.wait_for_media()

        await phone.page.reload()
        await until(partial(is_elsewhere, phone), "a reload takes nothing back")
        await phone.tap("start-button")
        await phone.wait_for_media()
        await until(partial(is_elsewhere, tablet), "the call is on the phone again")
        await courier.wait_for_media()
        for somebody in (phone, tablet, courier):
            assert somebody.complaints == []
    joined = [entry["envelope"]["kind"] for entry in await scene.entries()]
    assert joined.count("joined") == 2, "the log knows of no change"
    assert joined.index("joined") and "left" not in joined[: joined.index("call_started") + 2]


def choice(device: Somebody, name: str) -> Any:
    return device.page.locator(f"[data-testid=choice][data-choice={name}]")


async def answers(scene: Scene, choices: list[str]) -> bool:
    return [body["choice"] for body in await scene.bodies("answered")] == choices


async def receipts(scene: Scene) -> list[dict[str, Any]]:
    """The marks of the customer."""
    customer = scene.links["customer"]["link_id"]
    return [
        entry["body"]
        for entry in await scene.entries()
        if (entry["envelope"]["kind"], entry["envelope"]["actor_id"]) == ("receipt", customer)
    ]


async def has_read(scene: Scene, number: int) -> bool:
    return any(mark["read"] >= number for mark in await receipts(scene))


async def is_said(scene: Scene, text: str) -> bool:
    return any(body["text"] == text for body in await scene.bodies("text"))


async def is_elsewhere(device: Somebody) -> bool:
    lobby = device.by("lobby")
    return await lobby.is_visible() and await lobby.get_attribute("data-elsewhere") is not None
