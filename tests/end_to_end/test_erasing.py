"""A case that was erased, as its pages show it: the customer's is over, the desk says what is gone."""

from functools import partial

import pytest
from playwright.async_api import Playwright

from signaling.talk import SendText
from tests.conftest import Caller
from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import DESK, chromium, open_page, until
from tests.end_to_end.test_desk import logged
from tests.media.attachment_files import photo
from tests.server.receipt import actor_of, confirm_receipt
from tests.server.test_uploads import Person

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
        await qa.page.get_by_text("the content was erased").wait_for()
        assert await qa.page.get_by_text("my secret").count() == 0
        assert qa.complaints == [] and customer.complaints == []


async def test_a_photo_that_was_erased_is_not_said_to_be_on_its_way(
    scene: Scene, playwright: Playwright
) -> None:
    courier = await Person.come(scene.caller, scene.case_id, "courier", scene.links["courier"])
    picture = photo()
    await courier.announce(picture)
    await courier.send(picture)
    await courier.settled()
    await scene.caller.call("POST", f"/api/cases/{scene.case_id}/end")
    erase = f"/api/cases/{scene.case_id}/erase"
    status, _ = await scene.caller.call(
        "POST", erase, json={"reason": REASON, "media": ["attachments", "recordings"]}
    )
    assert status == 200
    async with chromium(playwright) as browser:
        customer = await open_page(browser, scene.talk_url("customer"), language="en-US")
        note = customer.page.locator("[data-testid=attachment][data-state=erased]")
        await note.get_by_text("The photo was erased").wait_for()
        assert await customer.page.get_by_text("What was sealed stays").count() == 0
        await customer.page.get_by_text("Some of it was erased; the rest stays.").wait_for()
        qa = await open_page(browser, scene.url("qa"), size=DESK, language="en-US")
        await qa.page.locator("[data-testid=log-entry][data-kind=attached]").first.click()
        await qa.by("attachments").get_by_text("erased").wait_for()
        assert customer.complaints == qa.complaints == []


@pytest.mark.parametrize(
    ("language", "said"), [("zh-CN", "本单内容已删除"), ("en-GB", "This case was erased")]
)
async def test_the_voucher_of_an_erased_case_is_said_to_be_gone_and_the_saved_one_to_be_good(
    caller: Caller, playwright: Playwright, language: str, said: str
) -> None:
    receipt = await confirm_receipt(caller)
    _, found = await caller.call("GET", f"/api/cases/{receipt.case_id}/voucher")
    async with caller.http.get(caller.url + found["json_url"]) as answer:
        saved = await answer.read()
    await caller.call("POST", f"/api/cases/{receipt.case_id}/end")
    status, _ = await caller.call("POST", f"/api/cases/{receipt.case_id}/erase", json={"reason": REASON})
    assert status == 200
    async with chromium(playwright) as browser:
        person = await open_page(browser, caller.url + found["url"], language=language)
        await person.by("verdict").get_by_text(said).wait_for()
        await person.by("voucher-file").set_input_files(
            {"name": "voucher.json", "mimeType": "application/json", "buffer": saved}
        )
        await person.page.wait_for_selector("[data-testid=verdict-box][data-state=genuine]")
        assert person.complaints == []
