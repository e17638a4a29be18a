"""aiortc, libwebrtc in Node and Chromium on our page see and hear each other through the relay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Playwright

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import chromium, open_page
from tests.end_to_end.pictures import CUSTOMER, quarters_of
from tests.interop.aiortc_peer import aiortc_peer
from tests.interop.person import Person, person
from tests.interop.seen import Colour, Seen, near
from tests.interop.wrtc_peer import wrtc_peer

Peer = Callable[[Scene, str, Colour], AbstractAsyncContextManager[Seen]]

CUSTOMER_COLOUR: Colour = (200, 60, 40)
COURIER_COLOUR: Colour = (40, 70, 190)
BOTTOM_RIGHT = 3  # of a picture's quarters: where a peer looks at a picture, and its camera is plain
CUSTOMER_CAMERA: Colour = CUSTOMER[BOTTOM_RIGHT]

MIDDLE_OF_REMOTE_PICTURE = """() => {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d");
  const video = document.querySelector("[data-testid=remote-video][data-actor-id]");
  context.drawImage(video, video.videoWidth / 2, video.videoHeight / 2, 1, 1, 0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}"""


@asynccontextmanager
async def in_call(scene: Scene, *roles: str) -> AsyncIterator[list[Person]]:
    """People of these roles, consented and in the call."""
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(person(scene, role)) for role in roles]
        for somebody in people:
            await somebody.join()
        yield people


@pytest.mark.parametrize("codec_name", ["VP8", "H264"])
async def test_two_aiortc_peers_meet_in_either_codec(scene: Scene, codec_name: str) -> None:
    async with (
        in_call(scene, "customer", "courier") as (customer, courier),
        aiortc_peer(scene, customer.token, CUSTOMER_COLOUR, codec_name=codec_name) as at_customer,
        aiortc_peer(scene, courier.token, COURIER_COLOUR, codec_name=codec_name) as at_courier,
    ):
        await at_customer.wait_for(COURIER_COLOUR)
        await at_courier.wait_for(CUSTOMER_COLOUR)
        assert (await sealed_frame(scene, customer, courier.actor_id, COURIER_COLOUR))["codec"] == codec_name


async def test_aiortc_and_libwebrtc_meet(scene: Scene) -> None:
    async with (
        in_call(scene, "customer", "courier") as (customer, courier),
        aiortc_peer(scene, customer.token, CUSTOMER_COLOUR) as at_customer,
        wrtc_peer(scene, courier.token, COURIER_COLOUR) as at_courier,
    ):
        await at_customer.wait_for(COURIER_COLOUR)
        await at_courier.wait_for(CUSTOMER_COLOUR)
        await sealed_frame(scene, customer, courier.actor_id, COURIER_COLOUR)


@pytest.mark.parametrize("peer", [aiortc_peer, wrtc_peer])
async def test_a_peer_and_our_page_in_chromium_meet(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path], peer: Peer
) -> None:
    async with (
        chromium(playwright, camera=cameras["customer"]) as browser,
        in_call(scene, "courier") as (courier,),
        peer(scene, courier.token, COURIER_COLOUR) as at_courier,
    ):
        customer = await open_page(browser, scene.url("customer"))
        await customer.tap("start-button")
        await customer.wait_for_media()
        assert near(await customer.page.evaluate(MIDDLE_OF_REMOTE_PICTURE), COURIER_COLOUR)
        await at_courier.wait_for(CUSTOMER_CAMERA)
        of_page = scene.links["customer"]["link_id"]
        await sealed_frame(scene, courier, of_page, CUSTOMER_CAMERA)
        assert customer.complaints == []


async def sealed_frame(scene: Scene, presser: Person, of: str, colour: Colour) -> dict[str, Any]:
    """A frame of somebody is sealed and shows what they send; the body of its entry."""
    number = await presser.command(kind="take_frame", of=of)
    assert number is not None
    entry = await presser.entry(number)
    body: dict[str, Any] = entry["body"]
    assert entry["envelope"]["kind"] == "frame_sealed", body
    status, jpeg = await scene.caller.call(
        "GET", f"/api/cases/{scene.case_id}/blobs/{body['blob']['sha256']}"
    )
    assert status == 200
    size, quarters = quarters_of(jpeg)
    assert size == (body["width"], body["height"])
    assert near(quarters[BOTTOM_RIGHT], colour), quarters
    return body
