"""The page that checks packages, opened from a disk in a browser without a network."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright

from server.check_page import check_page
from server.evidence.checkpoint import encode_key
from tests.end_to_end.people import DESK, PHONE, Somebody, chromium, open_page, until
from tests.server.evidence.journal_case import journal_case
from tests.server.evidence.sample_case import VKEY
from tests.server.evidence.test_hostile import SMALL, flipped
from tests.web.good_and_bad import OTHER, Package, compared, packages
from tests.web.test_package_agreement import by_command, normal

AXE = (Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js").read_text()
SHOWN_FINDINGS = 10  # of a step
CHECKED = ("genuine", "wrong", "unknown")
HOLDS = {"zh-CN": "证据包完好", "en-GB": "The package holds"}
WHOSE = {"zh-CN": "日志属于谁", "en-GB": "Whose log it is"}  # this alone does not show
WHOLE = {"zh-CN": "内容完好", "en-GB": "Its contents are whole"}
WRONG = {"zh-CN": "证据包未通过校验", "en-GB": "The package does not hold"}
SIZES = [("zh-CN", PHONE), pytest.param("en-GB", DESK, marks=pytest.mark.long)]

# What stands on the page, as the command's report has it.
STEPS = """() => [...document.querySelectorAll('[data-testid=step]')].map(step => ({
  number: Number(step.dataset.step),
  outcome: step.dataset.state,
  told: [...step.querySelectorAll('[data-testid=finding], [data-testid=unmade], [data-testid=message]')]
    .map(line => line.textContent),
})).sort((one, other) => one.number - other.number)"""


@pytest_asyncio.fixture(loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    async with chromium(playwright) as browser:
        yield browser


@pytest.fixture
def page_on_disk(tmp_path: Path) -> str:
    file = tmp_path / "check.html"
    file.write_bytes(check_page())
    return file.as_uri()


async def open_offline(browser: Browser, url: str, **how: Any) -> tuple[Somebody, list[str]]:
    """The page of somebody without a network, and what it asks for besides itself."""
    person = await open_page(browser, url, **how)
    await person.page.context.set_offline(True)
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url))
    return person, asked


async def choose(person: Somebody, data: bytes, name: str = "package.zip") -> None:
    # The old verdict is taken away first: what is waited for is the new one.
    await person.page.evaluate(
        "document.querySelector('[data-testid=verdict-box]').removeAttribute('data-state')"
    )
    await person.by("check-file").set_input_files(
        {"name": name, "mimeType": "application/zip", "buffer": data}
    )

    async def checked() -> bool:
        state = await person.by("verdict-box").get_attribute("data-state")
        return state in CHECKED

    await until(checked, f"{name} is checked")


async def complaints_of_axe(person: Somebody) -> list[str]:
    # A script of the test's own: the page's policy lets none in, and the test is not to weaken it.
    found: list[dict[str, Any]] = await person.page.evaluate(
        AXE + "\n;(async () => (await axe.run(document, {resultTypes: ['violations']})).violations)()"
    )
    return [f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']]}" for one in found]


@pytest.mark.parametrize(("language", "size"), SIZES)
async def test_a_package_that_holds_is_said_to_and_shows_what_it_says(
    browser: Browser, page_on_disk: str, language: str, size: dict[str, int]
) -> None:
    person, asked = await open_offline(browser, page_on_disk, size=size, language=language)
    assert not await complaints_of_axe(person)
    await choose(person, journal_case(texts=3).package())
    assert await person.by("verdict").inner_text() == HOLDS[language]
    assert WHOSE[language] in await person.by("verdict-text").inner_text()
    assert await person.by("line").count() == 6
    await person.by("story-filter").select_option("everything")
    assert await person.by("line").count() == 9
    assert "第 2 句" in await person.by("story").inner_text()
    width = await person.page.locator(".check-picture").evaluate(
        "async i => (await i.decode(), i.naturalWidth)"
    )
    assert width == 48
    wide = await person.page.evaluate(
        "Math.max(...[...document.querySelectorAll('main *')].map(one => one.getBoundingClientRect().right))"
    )
    assert wide <= size["width"] - 20, "nothing stands out to the side"
    assert not await complaints_of_axe(person)
    await compare_with(person, VKEY, "passed")
    assert WHOSE[language] not in await person.by("verdict-text").inner_text()
    await compare_with(person, encode_key(OTHER.key), "failed")
    assert await person.by("verdict").inner_text() == WRONG[language]
    assert WHOLE[language] in await person.by("verdict-text").inner_text()
    trust = json.dumps({"format": "proofcall-trust", "version": 1, "vkeys": [VKEY], "roots": []}).encode()
    await person.by("check-file").set_input_files(
        {"name": "trust.json", "mimeType": "application/json", "buffer": trust}
    )
    await person.page.wait_for_selector("[data-name=key][data-state=passed]")
    assert await person.by("verdict").inner_text() == HOLDS[language], "the package is still the one"
    assert [url for url in asked if not url.startswith("blob:")] == []
    assert person.complaints == []
    await person.page.evaluate("void (Blob.prototype.slice = () => { throw new RangeError('no memory') })")
    await person.by("check-file").set_input_files({"name": "a.zip", "mimeType": "", "buffer": SMALL})
    await person.page.wait_for_selector("[data-testid=verdict-box][data-state=unreadable]")


async def compare_with(person: Somebody, key: str, state: str) -> None:
    await person.by("key-field").fill(key)
    await person.tap("key-check")
    await person.page.wait_for_selector(f"[data-name=key][data-state={state}]")
    outcome = await person.page.locator("[data-name=key] .voucher-step-state").inner_text()
    assert outcome in await person.by("compared").inner_text(), "said where it was asked, too"


@pytest.mark.long
@pytest.mark.parametrize(("language", "size"), SIZES)
async def test_a_damaged_package_is_said_not_to_hold_and_shows_nothing_as_proven(
    browser: Browser, page_on_disk: str, language: str, size: dict[str, int]
) -> None:
    person, _ = await open_offline(browser, page_on_disk, size=size, language=language)
    await choose(person, flipped(SMALL, len(SMALL) // 2, 1))
    assert await person.by("verdict").inner_text() == WRONG[language]
    assert await person.by("line").count() == 0
    assert await person.by("finding").count() > 0
    assert not await complaints_of_axe(person)
    assert person.complaints == []


@pytest.mark.long
async def test_a_key_from_elsewhere_is_compared_and_one_that_is_none_is_refused(
    browser: Browser, page_on_disk: str
) -> None:
    person, _ = await open_offline(browser, page_on_disk, language="en-GB")
    await choose(person, SMALL)
    for key, state in ((VKEY, "passed"), ("nonsense", "passed"), (encode_key(OTHER.key), "failed")):
        await person.by("key-field").fill(key)
        await person.tap("key-check")
        assert await person.page.locator("[data-name=key]").get_attribute("data-state") == state
        assert await person.by("key-problem").is_visible() == (key == "nonsense")


@pytest.mark.long
async def test_another_package_of_the_log_is_compared_and_two_histories_are_found(
    browser: Browser, page_on_disk: str
) -> None:
    person, _ = await open_offline(browser, page_on_disk, language="en-GB")
    for name, data, _key, other in compared():
        if name in ("against itself", "against another root", "against a voucher"):
            await choose(person, data)
            file = {"name": "other", "mimeType": "application/octet-stream", "buffer": other}
            await person.by("other-file").set_input_files(file)
            state = "passed" if name == "against itself" else "failed"
            await person.page.wait_for_selector(f"[data-name=history][data-state={state}]")


@pytest.mark.long
async def test_what_is_no_package_is_told_apart(browser: Browser, page_on_disk: str) -> None:
    person, _ = await open_offline(browser, page_on_disk, language="en-GB")
    voucher = {"name": "voucher.json", "mimeType": "application/json", "buffer": b'{"case_id":"c_a"}'}
    await person.by("check-file").set_input_files(voucher)

    async def said() -> bool:
        return bool(await person.by("verdict").inner_text() == "This is a voucher, not a package")

    await until(said, "a voucher is told apart")
    trust = b'{\n  "format": "proofcall-trust",\n  "version": 1,\n  "vkeys": []\n}'
    await person.by("check-file").set_input_files(
        {"name": "trust.json", "mimeType": "application/json", "buffer": trust}
    )
    await person.by("verdict").get_by_text("This is a trust file, not a package").wait_for()
    await choose(person, b"no zip at all", "letter.zip")
    assert await person.by("verdict").inner_text() == WRONG["en-GB"]


@pytest.mark.parametrize("share", [40, pytest.param(1, marks=pytest.mark.long)])
async def test_the_page_on_the_disk_finds_what_the_command_finds(
    browser: Browser, page_on_disk: str, share: int, tmp_path: Path
) -> None:
    person, asked = await open_offline(browser, page_on_disk, language="en-GB")
    for package in (await asyncio.to_thread(packages, tmp_path))[::share]:
        await compare(person, package)
    assert [url for url in asked if not url.startswith("blob:")] == []
    assert person.complaints == []


async def compare(person: Somebody, package: Package) -> None:
    name, data, text = package
    await choose(person, data)
    await person.by("key-field").fill(text or "")
    await person.tap("key-check")
    report = normal(by_command(data, text))
    wanted = [as_shown(step) for step in report["steps"]]

    async def shown() -> bool:
        return bool(await person.page.evaluate(STEPS) == wanted)

    await until(shown, f"{name}: {json.dumps(wanted)}")
    state = await person.by("verdict-box").get_attribute("data-state")
    assert (state == "genuine") == report["passed"], name


def as_shown(step: dict[str, Any]) -> dict[str, Any]:
    """A step of the command's report as the page has it: what is wrong stands for the sentence."""
    sentences = [] if step["findings"] or not step["message"] else [step["message"]]
    for findings in (step["findings"], step["unmade"]):
        sentences += [finding["message"] for finding in findings[:SHOWN_FINDINGS]]
    return {"number": step["number"], "outcome": step["outcome"], "told": sentences}
