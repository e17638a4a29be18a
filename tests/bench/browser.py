"""Chromium with a fake camera: how long from tap to picture, and how good is the call from then on?"""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.bench.access_network import AccessNetwork

PAGES = Path(__file__).with_name("pages")
ARGUMENTS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # the camera is granted without a question
    "--no-sandbox",  # for root, and in the namespace
]


def missing() -> str | None:
    """Why there is no browser, if there is none."""
    return None if shutil.which("chromium") else "Chromium is not installed"


@contextlib.asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=[*ARGUMENTS, *more]
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def probed_page(
    browser: Browser, url: str, *, probe: str = "probe.js", network: AccessNetwork | None = None
) -> AsyncIterator[Page]:
    """A page in a profile of its own, at `url`, with the probe in it; its media go through `network`."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    try:
        page = await context.new_page()
        await page.add_init_script(path=PAGES / probe)
        if network is not None:
            await page.expose_function("accessPort", network.udp_port)
            await page.add_init_script(path=PAGES / "way.js")
        await page.goto(url)
        yield page
    finally:
        await context.close()


def script(name: str) -> str:
    """A function expression for `Page.evaluate`."""
    return (PAGES / name).read_text()
