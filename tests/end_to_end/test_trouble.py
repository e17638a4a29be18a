"""What goes wrong at a door: reloads, dead networks, strangers' datagrams, a camera that is refused."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Playwright

from media.errors import NoPicture
from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import DENY, Somebody, chromium, open_page, until

JUNK_DATAGRAMS = 10_000


@asynccontextmanager
async def two_in_a_call(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> AsyncIterator[tuple[Somebody, Somebody]]:
    async with (
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
    ):
        customer = await open_page(one, scene.url("customer"))
        courier = await open_page(two, scene.url("courier"))
        await customer.tap("start-button")
        await courier.tap("start-button")
        await asyncio.gather(customer.wait_for_media(), courier.wait_for_media())
        yield customer, courier


async def test_nothing_is_relayed_or_taken_before_consent(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with (
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
    ):
        customer = await open_page(one, scene.url("customer"))
        courier = await open_page(two, scene.url("courier"))
        await courier.tap("start-button")
        relay, case_id = scene.caller.service.relay, scene.case_id
        customer_id = scene.links["customer"]["link_id"]

        async def connected() -> bool:
            return relay.connection_state(case_id, customer_id) == "connected"

        await until(connected, "the customer's page connects while they read")
        assert await customer.by("consent-text").is_visible()
        for came in await asyncio.gather(customer.sees_and_hears(), courier.sees_and_hears()):
            assert came["videoPackets"] == came["audioPackets"] == 0, came
        assert len(await scene.bodies("consented")) == 1
        with pytest.raises(NoPicture):
            await relay.capture_frame(case_id, customer_id)


async def test_a_reload_comes_back_into_the_same_call(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with two_in_a_call(scene, playwright, cameras) as (customer, courier):
        await customer.page.reload()
        await customer.wait_for_media()
        await courier.wait_for_media()
        assert len(await scene.bodies("call_started")) == 1
        assert len(await scene.bodies("joined")) == 2
        assert await scene.bodies("left") == []
        causes = [gap["cause"] for gap in await scene.bodies("gap_started")]
        assert "network" in causes, "that the connection was another for a moment is in the log"


@pytest.mark.long
async def test_a_call_survives_strangers_and_their_datagrams(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with two_in_a_call(scene, playwright, cameras) as (customer, courier):
        (address,) = scene.caller.service.relay.candidates
        junk = [
            b"",
            b"\x16\xfe\xff" + bytes(8) + b"\x00\x10\x01" + bytes(15),  # the head of a ClientHello
            b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x06\x00\xff",  # STUN, a length that lies
            b"\x80\x60" + bytes(40),
            b"\x80\xc8" + bytes(26),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(JUNK_DATAGRAMS):
                stranger.sendto(junk[number % 5] if number % 2 else os.urandom(60), address)
                if number % 500 == 0:
                    await asyncio.sleep(0.01)
        for somebody in (customer, courier):
            await somebody.wait_for_a_moving_picture()
        assert sum(scene.caller.service.relay.datagrams().values()) >= JUNK_DATAGRAMS // 2


async def test_a_dead_network_is_told_and_the_call_comes_back_by_itself(
    scene_behind_proxy: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    scene, proxy = scene_behind_proxy, scene_behind_proxy.proxy
    assert proxy is not None
    async with two_in_a_call(scene, playwright, cameras) as (customer, courier):
        assert proxy.forwarded > 100, "the media went through the proxy"
        proxy.cut = True
        await until(partial(is_in_trouble, customer), "the page says that the network is gone")
        await asyncio.sleep(4)
        proxy.cut = False
        await customer.wait_for_media()
        await courier.wait_for_media()
        assert len(await scene.bodies("call_started")) == 1
        assert await scene.bodies("left") == []


async def is_in_trouble(somebody: Somebody) -> bool:
    """Whether the page's words about the connection are not those of a good one."""
    return await somebody.by("connection-state").first.get_attribute("data-state") not in (
        "good",
        "connected",
    )


async def test_a_refused_camera_is_explained_in_plain_words(scene: Scene, playwright: Playwright) -> None:
    async with chromium(playwright, permission=DENY, shared=False) as browser:
        customer = await open_page(browser, scene.url("customer"), language="en-US")
        error = customer.by("camera-error")
        await error.wait_for(timeout=20_000)
        assert await error.get_attribute("data-code") == "denied"
        assert len(await error.inner_text()) > 20
