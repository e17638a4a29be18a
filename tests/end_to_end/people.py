"""People in browsers: Chromium with a fake camera each, and what they see and do on the pages."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, Page, Playwright

CHROMIUM = shutil.which("chromium")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
PATIENCE_S = 20.0  # two browsers with cameras share two cores

# What nobody sees of a headless browser: in each window, pages of Chromium's own for what the address bar
# suggests, which cost as much CPU as our page; and a renderer that waits for another site.
UNSEEN = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
)
FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--disable-features={','.join(('WebRtcHideLocalIpsWithMdns', *UNSEEN))}",
)
ALLOW = "--use-fake-ui-for-media-stream"
DENY = "--deny-permission-prompts"

# The page keeps its connection to itself; a test looks at every one it makes.
KEEP_CONNECTIONS = """
window.testConnections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...how) { super(...how); window.testConnections.push(this); }
};
"""
INBOUND = """async () => {
  const sums = {frames: 0, energy: 0, audioPackets: 0, videoPackets: 0, sent: 0};
  for (const connection of window.testConnections) {
    if (connection.connectionState === 'closed') continue;
    for (const report of (await connection.getStats()).values()) {
      if (report.type === 'inbound-rtp' && report.kind === 'video') {
        sums.frames += report.framesDecoded ?? 0; sums.videoPackets += report.packetsReceived; }
      if (report.type === 'inbound-rtp' && report.kind === 'audio') {
        sums.energy += report.totalAudioEnergy ?? 0; sums.audioPackets += report.packetsReceived; }
      if (report.type === 'outbound-rtp') sums.sent += report.packetsSent;
    }
  }
  return sums;
}"""

# Frames of the own camera, by encoding.
SENT = """async () => {
  const sent = {};
  for (const connection of window.testConnections) {
    if (connection.connectionState !== 'connected') continue;
    for (const report of (await connection.getStats()).values()) {
      if (report.type === 'outbound-rtp' && report.kind === 'video') sent[report.rid] = report.framesSent;
    }
  }
  return sent;
}"""

PLAYING = """() => [...document.querySelectorAll('[data-testid=remote-video][data-actor-id]')]
  .filter(video => video.videoWidth > 0 && !video.paused).length"""

SEALED_FRAME = "[data-testid=shot][data-state=sealed], [data-testid=log-entry][data-kind=frame_sealed]"


class Somebody:
    """One person's page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def by(self, test_id: str) -> Any:
        """The element with that test id."""
        return self.page.get_by_test_id(test_id)

    async def tap(self, test_id: str) -> None:
        """Taps or clicks it, when it can be tapped."""
        await self.by(test_id).first.click(timeout=PATIENCE_S * 1000)

    async def inbound(self) -> dict[str, float]:
        """What has arrived and been decoded, over all connections that are open."""
        sums: dict[str, float] = await self.page.evaluate(INBOUND)
        return sums

    async def sees_and_hears(self, seconds: float = 1.5) -> dict[str, float]:
        """Frames decoded, sound energy and packets that came in within `seconds`."""
        before = await self.inbound()
        await asyncio.sleep(seconds)
        after = await self.inbound()
        return {name: after[name] - before[name] for name in after}

    async def wait_for_media(self) -> None:
        """Until frames are decoded and sound is heard."""

        async def media_comes() -> bool:
            came = await self.sees_and_hears(0.5)
            return came["frames"] >= 2 and came["energy"] > 0

        await until(media_comes, "picture and sound come in")

    async def wait_for_a_moving_picture(self) -> None:
        """Until more than five frames and more than fifty packets of sound come within a second and a half,
        when the neighbours on this machine leave it the time.
        """

        async def moves() -> bool:
            came = await self.sees_and_hears()
            return came["frames"] > 5 and came["audioPackets"] > 50 and came["energy"] > 0

        await until(moves, "a picture that moves, and sound, come in")

    async def shows_sealed_frame(self) -> bool:
        """Whether a sealed frame is on the page: in the strip of a phone, or in the log of the desk."""
        return int(await self.page.locator(SEALED_FRAME).count()) > 0

    async def plays(self, people: int) -> bool:
        """Whether the pictures of that many others are playing."""
        return int(await self.page.evaluate(PLAYING)) >= people


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, patience_s: float = PATIENCE_S
) -> None:
    """Waits for `condition`; fails with `what` was waited for."""
    deadline = time.monotonic() + patience_s
    while not await condition():
        assert time.monotonic() < deadline, f"waited {patience_s} s for this: {what}"
        await asyncio.sleep(0.05)


# What runs, by the driver that started it and by its arguments.
_running: WeakKeyDictionary[Playwright, dict[tuple[str, ...], Browser]] = WeakKeyDictionary()


@asynccontextmanager
async def chromium(
    playwright: Playwright,
    *,
    camera: Path | None = None,
    permission: str = ALLOW,
    flags: Sequence[str] = (),
    shared: bool = True,
) -> AsyncIterator[Browser]:
    """A browser with this camera, which belongs to a whole browser. People in it are apart by their contexts,
    which end with the block; the next block that asks for the same goes on with it, unless it is not shared.
    """
    picture = [f"--use-file-for-fake-video-capture={camera}"] if camera is not None else []
    arguments = (*FLAGS, permission, *picture, *flags)
    running = _running.setdefault(playwright, {}) if shared else {}
    browser = running.get(arguments)
    if browser is None or not browser.is_connected():
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        running[arguments] = browser
    others = list(browser.contexts)
    try:
        yield browser
    finally:
        if shared:
            for context in browser.contexts:
                if context not in others:
                    await context.close()
        else:
            await browser.close()


async def open_page(
    browser: Browser, url: str, *, size: dict[str, int] = PHONE, language: str = "zh-CN"
) -> Somebody:
    """A page of somebody whose browser speaks `language`."""
    context = await browser.new_context(
        viewport={"width": size["width"], "height": size["height"]}, locale=language
    )
    await context.add_init_script(KEEP_CONNECTIONS)
    page = await context.new_page()
    somebody = Somebody(page)
    await page.goto(url)
    return somebody
