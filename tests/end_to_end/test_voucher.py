"""The voucher in a browser: opened by its code it says genuine, and what was tampered with it says so."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright

from server.evidence.report import Outcome
from server.evidence.verify_command import run
from server.evidence.verify_voucher import verify_voucher
from server.evidence.voucher import find_voucher
from tests.conftest import API_KEY, Caller
from tests.end_to_end.people import DESK, PHONE, Somebody, chromium, open_page, until
from tests.qr_code import read_qr_code
from tests.server.evidence.damaged_vouchers import TABLE
from tests.server.receipt import STATEMENT, Receipt, confirm_receipt

AXE = (Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js").read_text()
SMALL = {"width": 320, "height": 640}
STATES = {"passed": Outcome.PASSED, "failed": Outcome.FAILED, "unavailable": Outcome.CANNOT_BE_MADE}
GENUINE = {"zh-CN": "此凭证真实有效", "en-GB": "This voucher is genuine"}
WRONG = {"zh-CN": "此凭证不可信", "en-GB": "This voucher is not genuine"}


@pytest_asyncio.fixture(loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    async with chromium(playwright) as browser:
        yield browser


async def address(caller: Caller, receipt: Receipt) -> dict[str, Any]:
    _, found = await caller.call("GET", f"/api/cases/{receipt.case_id}/voucher")
    return dict(found)


async def document(caller: Caller, found: dict[str, Any]) -> bytes:
    async with caller.http.get(caller.url + found["json_url"]) as answer:
        return await answer.read()


async def reads(person: Somebody, verdict: str) -> None:
    async def says() -> bool:
        return bool(await person.by("verdict").inner_text() == verdict)

    await until(says, verdict)


async def steps(person: Somebody) -> list[Outcome]:
    found: list[str] = await person.page.evaluate(
        "() => [...document.querySelectorAll('[data-testid=step]')].map(step => step.dataset.state)"
    )
    return [STATES[state] for state in found]


async def choose(person: Somebody, name: str, data: bytes) -> None:
    """Drops the old verdict, then chooses a file."""
    await person.by("voucher-file").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )

    async def checked() -> bool:
        state = await person.by("verdict-box").get_attribute("data-state")
        return state in ("genuine", "wrong", "unknown")

    await until(checked, f"{name} is checked")


async def complaints_of_axe(person: Somebody) -> list[str]:
    await person.page.evaluate(AXE)
    found: list[dict[str, Any]] = await person.page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
    )
    return [f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']]}" for one in found]


@pytest.mark.parametrize(("language", "size"), [("zh-CN", PHONE), ("en-GB", DESK)])
async def test_the_code_of_a_receipt_opens_a_page_that_checks_it_and_says_genuine(
    caller: Caller, browser: Browser, language: str, size: dict[str, int]
) -> None:
    receipt = await confirm_receipt(caller, reservation="左下角有划痕 <b>")
    found = await address(caller, receipt)
    person = await open_page(browser, caller.url + found["url"], size=size, language=language)
    await reads(person, GENUINE[language])
    facts = await person.by("voucher-facts").inner_text()
    for said in ("SF1000000001", STATEMENT, "箱子完好", "左下角有划痕 <b>", caller.service.log.vkey):
        assert said in facts
    report = verify_voucher(await document(caller, found), vkey=caller.service.log.vkey)
    assert await steps(person) == [step.outcome for step in report.steps]
    assert read_qr_code(await person.by("voucher-qr").screenshot()) == found["url"]
    async with person.page.expect_download() as saving:
        await person.tap("save-json")
    saved = await asyncio.to_thread(Path(await (await saving.value).path()).read_bytes)
    assert saved == await document(caller, found)
    href = await person.by("save-pdf").get_attribute("href")
    async with caller.http.get(caller.url + str(href)) as answer:
        pdf = await answer.read()
    assert find_voucher(pdf) == saved
    assert not person.complaints


async def test_a_file_is_checked_without_asking_anybody_and_a_tampered_one_says_what_is_wrong(
    caller: Caller, browser: Browser
) -> None:
    receipt = await confirm_receipt(caller)
    data = await document(caller, await address(caller, receipt))
    person = await open_page(browser, f"{caller.url}/v", language="en-GB")
    await reads(person, "Check a voucher")
    await person.page.context.set_offline(True)
    await choose(person, "voucher.json", data)
    await reads(person, GENUINE["en-GB"])
    assert (await steps(person))[9] is Outcome.CANNOT_BE_MADE, "the key could not be compared"
    assert not await person.by("save-json").is_visible()
    await person.page.context.set_offline(False)
    await choose(person, "voucher.json", data.replace(b"SF1000000001", b"SF1000000002"))
    await reads(person, WRONG["en-GB"])
    assert not await person.by("voucher-facts").is_visible(), "what is not proven is not shown"
    failed = person.page.locator("[data-testid=step][data-state=failed]")
    assert await failed.count() == 1
    assert "the waybill, the time zone or something else was changed" in await failed.inner_text()
    assert not person.complaints


async def test_a_pdf_that_is_dropped_is_checked_like_the_file(caller: Caller, browser: Browser) -> None:
    found = await address(caller, await confirm_receipt(caller))
    async with caller.http.get(caller.url + found["pdf_url"]) as answer:
        pdf = await answer.read()
    person = await open_page(browser, f"{caller.url}/v", language="zh-CN")
    await person.page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "voucher.pdf"));
          dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
        }""",
        list(pdf),
    )
    await reads(person, GENUINE["zh-CN"])
    assert "PDF 的页面未作比对" in await person.by("steps").inner_text()
    await choose(person, "voucher.pdf", pdf.replace(STATEMENT.encode(), STATEMENT[::-1].encode()))
    await reads(person, WRONG["zh-CN"])


async def test_the_page_and_the_command_agree_on_a_table_of_damages(
    caller: Caller, browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = caller.service.log.vkey
    person = await open_page(browser, f"{caller.url}/v")
    for damaged in TABLE:
        path = tmp_path / "voucher.json"
        path.write_bytes(damaged.data)
        status = run([str(path), "--key", key, "--json"])
        report = json.loads(capsys.readouterr().out)
        await choose(person, "voucher.json", damaged.data)
        shown = [outcome.value for outcome in await steps(person)]
        if report["subject"] == "package":  # it does not even say that it is a voucher
            assert (status, shown[0]) == (1, "failed"), damaged.name
            continue
        assert shown == [step["outcome"] for step in report["steps"]], damaged.name
        state = await person.by("verdict-box").get_attribute("data-state")
        assert (state == "genuine") == (status == 0), damaged.name


async def test_an_address_that_opens_nothing_says_what_to_do(caller: Caller, browser: Browser) -> None:
    person = await open_page(browser, f"{caller.url}/v#nonsense", language="en-GB")
    await reads(person, "This address opens no voucher")
    found = await address(caller, await confirm_receipt(caller))
    await person.page.evaluate("hash => { location.hash = hash; }", urlsplit(found["url"]).fragment)
    await reads(person, GENUINE["en-GB"])
    await person.page.route("**/api/vouchers/**", lambda route: route.abort())
    await person.page.reload()
    await reads(person, "The service cannot be reached")
    await person.page.unroute("**/api/vouchers/**")
    await person.tap("again")
    await reads(person, GENUINE["en-GB"])


async def test_the_page_fits_320_pixels_is_used_by_keyboard_and_axe_finds_nothing(
    caller: Caller, browser: Browser
) -> None:
    found = await address(caller, await confirm_receipt(caller, reservation="长" * 300))
    for url in (caller.url + found["url"], f"{caller.url}/v", f"{caller.url}/v#nonsense"):
        for language in ("zh-CN", "en-GB"):
            person = await open_page(browser, url, size=SMALL, language=language)

            async def settled(person: Somebody = person) -> bool:
                state = await person.by("verdict-box").get_attribute("data-state")
                return bool(state != "checking")

            await until(settled, "a verdict")
            assert await complaints_of_axe(person) == []
            assert await person.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
            reached = []
            for _ in range(8):
                await person.page.keyboard.press("Tab")
                reached.append(
                    await person.page.evaluate("() => document.activeElement.dataset.testid ?? ''")
                )
            wanted = {"language-switch", "voucher-file"}
            if url.endswith(found["url"]):
                wanted |= {"save-pdf", "save-json", "print"}
            assert wanted <= set(reached), reached
            await person.page.context.close()


async def test_who_switches_the_language_keeps_the_verdict(caller: Caller, browser: Browser) -> None:
    found = await address(caller, await confirm_receipt(caller))
    person = await open_page(browser, caller.url + found["url"], language="zh-CN")
    await reads(person, GENUINE["zh-CN"])
    await person.tap("language-switch")
    await reads(person, GENUINE["en-GB"])
    assert "language=en" in str(await person.by("save-pdf").get_attribute("href"))
    assert "Given in person" in await person.by("voucher-facts").inner_text()


async def test_the_card_of_a_phone_page_shows_code_and_links_once_the_receipt_is_confirmed(
    caller: Caller, browser: Browser
) -> None:
    receipt = await confirm_receipt(caller)
    person = await open_page(browser, f"{caller.url}/v")
    await person.page.evaluate(
        """async ([case_id, token, number]) => {
          const { Api } = await import("/web/api.js");
          const { VoucherCard } = await import("/web/voucher_card.js");
          const card = new VoucherCard({ api: new Api(token), case_id, page: { language: "zh" } });
          document.getElementById("page").prepend(card.element);
          card.update(null);
          window.hiddenAtFirst = card.element.hidden;
          card.update({ envelope: { number } });
        }""",
        [receipt.case_id, receipt.links["customer"]["token"], receipt.confirmed],
    )
    link = person.by("voucher-link")
    await link.wait_for(state="visible")
    assert await person.page.evaluate("() => window.hiddenAtFirst")
    found = await address(caller, receipt)
    assert await link.get_attribute("href") == found["url"]
    courier = await open_page(
        browser, f"{caller.url}/d#{receipt.links['courier']['token']}", language="en-GB"
    )
    theirs = courier.by("voucher-card")
    await theirs.get_by_text("It proves what the customer confirmed.").wait_for()
    assert await theirs.get_by_text("you confirmed").count() == 0
    assert await complaints_of_axe(person) == []
    async with person.page.expect_popup() as opening:
        await link.click()
    opened = Somebody(await opening.value)
    await reads(opened, GENUINE["zh-CN"])
    assert API_KEY not in opened.page.url
