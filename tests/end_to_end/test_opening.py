"""What a phone's page brings over the network, the first time and again: people wait for each byte."""

import asyncio
from typing import Any

from playwright.async_api import CDPSession, Playwright, Route

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import PATIENCE_S, Somebody, chromium, open_page

FIRST_OPENING_BYTES = 260_000  # 7 s of 300 kbit/s
AGAIN_BYTES = 2_000  # what says that nothing has changed


class Traffic:
    """What the network brought the browser, and not its own cache: addresses, and bytes with headers."""

    def __init__(self, devtools: CDPSession) -> None:
        self.addresses: list[str] = []
        self.size_bytes = 0
        self._cached: set[str] = set()
        devtools.on("Network.requestServedFromCache", lambda event: self._cached.add(event["requestId"]))
        devtools.on("Network.responseReceived", self._handle_response)
        devtools.on("Network.loadingFinished", self._handle_end)

    def _handle_response(self, event: dict[str, Any]) -> None:
        if event["response"]["fromDiskCache"]:
            self._cached.add(event["requestId"])
        if event["requestId"] not in self._cached:
            self.addresses.append(event["response"]["url"])

    def _handle_end(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._cached:
            self.size_bytes += int(event["encodedDataLength"])


async def watch(somebody: Somebody) -> Traffic:
    """From now on."""
    devtools = await somebody.page.context.new_cdp_session(somebody.page)
    traffic = Traffic(devtools)
    await devtools.send("Network.enable")
    return traffic


async def all_is_there(customer: Somebody) -> None:
    await customer.by("text-input").wait_for(timeout=PATIENCE_S * 1000)
    await customer.page.wait_for_load_state("networkidle")


async def test_a_page_comes_compressed_and_is_not_asked_for_file_by_file_when_it_is_opened_again(
    scene: Scene, playwright: Playwright
) -> None:
    async with chromium(playwright) as browser:
        customer = await open_page(browser, "about:blank")
        first = await watch(customer)
        await customer.page.goto(scene.talk_url("customer"))
        await all_is_there(customer)
        files = [address for address in first.addresses if "/web/" in address]
        assert len(files) == len(set(files)) > 50, "each once, preloaded or imported"
        assert len({address.rpartition("/")[0] for address in files}) == 1, "of one version"
        assert 100_000 < first.size_bytes <= FIRST_OPENING_BYTES

        again = await watch(customer)
        await customer.page.reload()
        await all_is_there(customer)
        assert [address for address in again.addresses if "/web/" in address] == []
        assert again.size_bytes <= AGAIN_BYTES
        assert customer.complaints == []


async def test_who_waits_for_the_modules_sees_whose_page_it_is_and_that_it_is_opening(
    scene: Scene, playwright: Playwright
) -> None:
    asked, come = asyncio.Event(), asyncio.Event()

    async def wait(route: Route) -> None:
        asked.set()
        await come.wait()
        await route.continue_()

    async with chromium(playwright) as browser:
        customer = await open_page(browser, "about:blank")
        await customer.page.route("**/web/**/phone.js", wait)
        await customer.page.goto(scene.talk_url("customer"), wait_until="commit")
        await asked.wait()
        opening = customer.page.locator(".opening")
        await opening.wait_for()
        assert "Proofcall" in await opening.inner_text()
        assert "正在打开…" in await opening.inner_text() and "Opening…" in await opening.inner_text()
        come.set()
        await all_is_there(customer)
        assert await opening.count() == 0
        assert customer.complaints == []
