"""Chromium with a fake camera, and the one question to it: how long from tap to picture?"""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

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
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=ARGUMENTS
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def probed_page(browser: Browser, url: str) -> AsyncIterator[Page]:
    """A page in a profile of its own, at `url`, with the probe in it."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    try:
        page = await context.new_page()
        await page.add_init_script(path=PAGES / "probe.js")
        await page.goto(url)
        yield page
    finally:
        await context.close()


def script(name: str) -> str:
    """A function expression for `Page.evaluate`."""
    return (PAGES / name).read_text()
