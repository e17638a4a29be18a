"""The QA desk: cases as they happen, a frame checked in the browser, a package that leaves the house."""

import asyncio
from functools import partial
from pathlib import Path

from playwright.async_api import Playwright

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import DESK, Somebody, chromium, open_page, until
from tests.end_to_end.pictures import CUSTOMER, distance, quarters_of
from tests.end_to_end.test_first_call import COLOUR_TOLERANCE, verify


async def test_a_desk_watches_seals_checks_and_exports(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path], tmp_path: Path
) -> None:
    _, desk = await scene.caller.call("POST", "/api/desk", json={"name": "desk 7"})
    async with (
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["qa"]) as two,
    ):
        customer = await open_page(one, scene.url("customer"))
        await customer.tap("start-button")
        qa = await open_page(two, f"{scene.caller.url}/qa#{desk['token']}", size=DESK, language="en-US")
        await qa.tap("case-row")
        await until(partial(logged, qa, "joined"), "the desk sees the call in the log")

        async def picture_sealed() -> bool:
            await qa.by("shutter").first.click()
            await asyncio.sleep(1)
            return await logged(qa, "frame_sealed")

        await until(picture_sealed, "the desk's shutter seals a frame of the customer")
        await qa.page.locator("[data-testid=log-entry][data-kind=frame_sealed]").first.click()
        await until(partial(all_steps_pass, qa), "the browser's own check of the frame passes")
        frame = (await scene.bodies("frame_sealed"))[0]
        assert frame["of"] == scene.links["customer"]["link_id"]
        facts = await qa.by("entry-facts").first.text_content()
        assert facts is not None and frame["blob"]["sha256"][:6] in facts
        blob = f"/api/cases/{scene.case_id}/blobs/{frame['blob']['sha256']}"
        _, jpeg = await scene.caller.call("GET", blob)
        assert distance(CUSTOMER, quarters_of(jpeg)[1]) < COLOUR_TOLERANCE

        async with qa.page.expect_download() as downloading:
            await qa.tap("export-button")
        path = tmp_path / "package.zip"
        await (await downloading.value).save_as(path)
        assert (await verify(path))[0] == 0
        assert qa.complaints == [] and customer.complaints == []
    assert len(await scene.bodies("exported")) == 1
    viewers = [
        entry["envelope"]["role"] for entry in await scene.entries() if entry["envelope"]["kind"] == "viewed"
    ]
    assert "qa" in viewers


async def test_a_log_that_was_changed_on_the_way_fails_in_the_browser(
    scene: Scene, playwright: Playwright
) -> None:
    """A proxy of the operator's that swaps a word of a message is found out by the page itself."""
    async with chromium(playwright) as browser:
        courier = await open_page(browser, scene.url("courier"), language="en-US")
        await courier.by("start-button").wait_for()
        qa = await open_page(browser, "about:blank", size=DESK, language="en-US")

        def change(message: str | bytes) -> str | bytes:
            return message.replace("SF1000000001", "SF1000000002") if isinstance(message, str) else message

        def between(route):  # type: ignore[no-untyped-def]
            server = route.connect_to_server()
            server.on_message(lambda message: route.send(change(message)))

        await qa.page.route_web_socket("**/ws", between)
        await qa.page.goto(scene.url("qa"))
        await until(partial(logged, qa, "case_opened"), "the log is shown")
        await qa.page.locator("[data-testid=log-entry][data-kind=case_opened]").first.click()
        await until(partial(some_step_fails, qa), "the page says which check fails")


async def logged(somebody: Somebody, kind: str) -> bool:
    """Whether the desk's log shows an entry of that kind."""
    return int(await somebody.page.locator(f"[data-testid=log-entry][data-kind={kind}]").count()) > 0


async def states_of_steps(somebody: Somebody) -> list[str]:
    """The states of the proof's steps, in order."""
    states: list[str] = await somebody.page.locator("[data-testid=proof-step]").evaluate_all(
        "steps => steps.map(step => step.dataset.state)"
    )
    return states


async def all_steps_pass(somebody: Somebody) -> bool:
    """Whether every step has passed: envelope, chain, body, log, checkpoint and picture at least."""
    states = await states_of_steps(somebody)
    return len(states) >= 6 and set(states) == {"passed"}


async def some_step_fails(somebody: Somebody) -> bool:
    """Whether a step has failed."""
    return "failed" in await states_of_steps(somebody)
