"""A case that was erased, as its pages show it: the customer's is over, the desk says what is gone."""

from functools import partial

from playwright.async_api import Playwright

from signaling.talk import SendText
from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import DESK, chromium, open_page, until
from tests.end_to_end.test_desk import logged
from tests.server.receipt import actor_of

REASON = "The customer asked for it."


async def test_the_pages_of_an_erased_case_say_so(scene: Scene, playwright: Playwright) -> None:
    case = await scene.caller.service.cases.get(scene.case_id)
    await case.handle(SendText(text="my secret"), actor_of(scene.links, "customer"))
    async with chromium(playwright) as browser:
        customer = await open_page(browser, scene.url("customer"), language="en-US")
        await customer.by("start-button").wait_for()
        await scene.caller.call("POST", f"/api/cases/{scene.case_id}/end")
        erase = f"/api/cases/{scene.case_id}/erase"
        status, _ = await scene.caller.call("POST", erase, json={"reason": REASON})
        assert status == 200
        await customer.page.get_by_text("This case was erased").first.wait_for()

        _, desk = await scene.caller.call("POST", "/api/desk", json={"name": "desk 7"})
        qa = await open_page(browser, f"{scene.caller.url}/qa#{desk['token']}", size=DESK, language="en-US")
        row = qa.by("case-row")
        assert "Erased case" in str(await row.text_content())
        await qa.tap("case-row")
        await until(partial(logged, qa, "erased"), "the desk sees that it was erased")
        line = qa.page.locator("[data-testid=log-entry][data-kind=erased]")
        assert REASON in str(await line.text_content())
        text = qa.page.locator("[data-testid=log-entry][data-kind=text]")
        assert "Erased" in str(await text.text_content())
        await text.click()
        assert await qa.page.get_by_text("my secret").count() == 0
        assert qa.complaints == [] and customer.complaints == []
