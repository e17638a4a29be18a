"""Firefox on our page: it meets Chromium on our page, either can seal a frame of the other, and it sends less
where the network of Chromium asks for that.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from playwright.async_api import Playwright

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import SENT, chromium, open_page, until
from tests.end_to_end.pictures import COURIER, quarters_of
from tests.end_to_end.test_telling import lead_through
from tests.end_to_end.test_weak_picture import narrow
from tests.interop.firefox import FirefoxPage, firefox
from tests.interop.seen import near
from tests.udp_proxy import udp_proxy

BOTTOM_RIGHT = 3  # of a picture's quarters
ASPECT_RATIO = 16 / 9  # of the picture that the page asks for

REMOTE_COLOUR = """() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  const video = document.querySelector("[data-testid=remote-video][data-actor-id]");
  context.drawImage(video, video.videoWidth * 3 / 4, video.videoHeight * 3 / 4, 1, 1, 0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}"""


async def test_firefox_and_chromium_meet_on_our_pages_and_seal_each_other(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path], tmp_path: Path
) -> None:
    async with (
        udp_proxy() as proxy,
        firefox(tmp_path) as customer,
        chromium(playwright, camera=cameras["courier"]) as browser,
    ):
        proxy.forward_to(scene.caller.service.relay.port)
        await customer.open(scene.url("customer"))
        courier = await open_page(browser, "about:blank")
        await lead_through(proxy, courier)
        await courier.page.goto(scene.url("courier"))
        await customer.tap("start-button")
        await courier.tap("start-button")
        await until(partial(sees_and_hears, customer), "Firefox sees and hears Chromium")
        await courier.wait_for_media()
        await until(partial(courier.plays, 1), "the picture of Firefox plays in Chromium")
        colour = await customer.evaluate(REMOTE_COLOUR)
        assert near(colour, COURIER[BOTTOM_RIGHT]), colour

        await customer.tap("shutter")
        await until(partial(sealed, scene, 1), "Firefox seals a frame of Chromium")
        await courier.tap("shutter")
        await until(partial(sealed, scene, 2), "Chromium seals a frame of Firefox")
        of_chromium, of_firefox = await scene.bodies("frame_sealed")
        assert of_chromium["of"] == scene.links["courier"]["link_id"]
        assert near((await quarters(scene, of_chromium))[BOTTOM_RIGHT], COURIER[BOTTOM_RIGHT])
        assert of_firefox["of"] == scene.links["customer"]["link_id"]
        assert abs(of_firefox["width"] / of_firefox["height"] - ASPECT_RATIO) < 0.02
        # Firefox's fake camera wanders along the edge of the colours: one plain colour, and never a grey.
        plain = await quarters(scene, of_firefox)
        assert all(near(quarter, plain[0]) for quarter in plain), plain
        assert max(plain[0]) - min(plain[0]) > 100, plain

        proxy.downlink.conditions = narrow(60_000)
        await until(partial(sends_both, customer), "Firefox sends what is ordered for Chromium's network")
        assert customer.complaints == [] and courier.complaints == []


async def sees_and_hears(page: FirefoxPage) -> bool:
    """Whether pictures and sound have come in."""
    came = await page.inbound()
    return came["frames"] >= 5 and came["energy"] > 0


async def sends_both(page: FirefoxPage) -> bool:
    """Whether its camera comes in a lesser encoding, too, and the best one goes on."""
    before = await page.evaluate(SENT)
    await asyncio.sleep(0.3)
    now = await page.evaluate(SENT)
    return all(now.get(rid, 0) > before.get(rid, 0) for rid in ("low", "high"))


async def sealed(scene: Scene, frames: int) -> bool:
    """Whether the log holds that many frames."""
    assert await scene.bodies("frame_failed") == []
    return len(await scene.bodies("frame_sealed")) == frames


async def quarters(scene: Scene, body: dict[str, object]) -> list[tuple[int, int, int]]:
    """The colours of a sealed frame's picture, which has the size that its entry says."""
    blob = body["blob"]
    assert isinstance(blob, dict)
    _, jpeg = await scene.caller.call("GET", f"/api/cases/{scene.case_id}/blobs/{blob['sha256']}")
    size, colours = quarters_of(jpeg)
    assert size == (body["width"], body["height"])
    return colours
