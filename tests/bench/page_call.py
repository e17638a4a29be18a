"""A call of two Chromium pages, in either system: the courier is behind a bad network, the customer is not.

For Proofcall these are its own pages, for Janus a page that does what its demo does, with the same wishes to
the camera. Camera, microphone, Chromium and network are the same. Of the two the one who measures taps last,
into a call in which the other already is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page

from tests.bench import browser
from tests.bench.access_network import AccessNetwork
from tests.bench.camera import write_camera, write_microphone
from tests.bench.janus_peer import WEBSOCKET_PORT, JanusPeer
from tests.bench.namespace import ADDRESS
from tests.bench.peer import running
from tests.bench.proofcall_peer import HTTP_PORT, URL, ProofcallPeer, lobby
from tests.bench.workshop import Workshop

SETTLE_S = 3.0  # the first person's media are up before the second taps, if they can be
FIRST_WITHIN_S = 15.0
READY_MS = 15_000
# What web/camera.js asks for. A VGA camera gives 640×360 at 25 frames a second for that.
CAMERA = {
    "width": {"ideal": 1280},
    "height": {"ideal": 720},
    "frameRate": {"ideal": 25},
    "facingMode": "user",
}

Direction = Literal["uplink", "downlink"]
System = Literal["Proofcall", "Janus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCall:
    """Who measures and whom they see; `case_id` where there is a recorder."""

    measured: Page
    other: Page
    case_id: str | None = None

    async def first_picture(self) -> None:
        """Wait for it, for as long as anybody would."""
        await self.measured.evaluate(f"bench.first({FIRST_WITHIN_S * 1_000})")


Call = Callable[[Browser, AccessNetwork, Direction], AbstractAsyncContextManager[PageCall]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    """Both, running, or ours alone, and a browser whose camera moves and whose microphone never pauses."""

    chromium: Browser
    proofcall: ProofcallPeer
    janus: JanusPeer | None

    def calls(self) -> dict[System, Call]:
        calls: dict[System, Call] = {"Proofcall": lambda *how: proofcall_call(self.proofcall, *how)}
        if (janus := self.janus) is not None:
            calls["Janus"] = lambda *how: janus_call(janus, *how)
        return calls


@contextlib.asynccontextmanager
async def systems(workshop: Workshop) -> AsyncIterator[Systems]:
    async with contextlib.AsyncExitStack() as stack:
        proofcall = await stack.enter_async_context(running(workshop.proofcall()))
        if (janus := workshop.janus()) is not None:
            await stack.enter_async_context(running(janus))
        chromium = await stack.enter_async_context(_chromium(workshop.folder("camera")))
        yield Systems(chromium=chromium, proofcall=proofcall, janus=janus)


def _chromium(folder: Path) -> AbstractAsyncContextManager[Browser]:
    return browser.chromium(
        f"--use-file-for-fake-video-capture={write_camera(folder / 'camera.y4m')}",
        f"--use-file-for-fake-audio-capture={write_microphone(folder / 'microphone.wav')}",
        "--autoplay-policy=no-user-gesture-required",  # nobody taps the page that stands for Janus's
    )


@contextlib.asynccontextmanager
async def proofcall_call(
    proofcall: ProofcallPeer, chromium: Browser, network: AccessNetwork, direction: Direction
) -> AsyncIterator[PageCall]:
    case_id = await proofcall.open_case()
    async with contextlib.AsyncExitStack() as stack:

        async def page(role: str, way: AccessNetwork | None) -> Page:
            return await stack.enter_async_context(proofcall_page(proofcall, chromium, case_id, role, way))

        customer, courier = await page("customer", None), await page("courier", network)
        measured, other = (customer, courier) if direction == "uplink" else (courier, customer)
        await tap(other)
        await asyncio.sleep(SETTLE_S)
        await tap(measured)
        yield PageCall(measured=measured, other=other, case_id=case_id)


@contextlib.asynccontextmanager
async def proofcall_page(
    proofcall: ProofcallPeer, chromium: Browser, case_id: str, role: str, way: AccessNetwork | None
) -> AsyncIterator[Page]:
    """Our own page, before the tap."""
    url = await through(way, lobby(await proofcall.issue_link(case_id, role)))
    async with browser.probed_page(chromium, url, probe="meter.js", network=way) as page:
        yield page


async def tap(page: Page) -> None:
    """Begin the call on our own page."""
    start = page.get_by_test_id("start-button")
    await start.wait_for(timeout=READY_MS)
    await start.evaluate("button => button.addEventListener('click', bench.tap, {capture: true})")
    await start.click()


@contextlib.asynccontextmanager
async def janus_call(
    janus: JanusPeer, chromium: Browser, network: AccessNetwork, direction: Direction
) -> AsyncIterator[PageCall]:
    room = await janus.create_room()
    async with contextlib.AsyncExitStack() as stack:

        async def page(way: AccessNetwork | None) -> Page:
            return await stack.enter_async_context(blank_page(chromium, way))

        customer, courier = await page(None), await page(network)
        people: list[tuple[Page, AccessNetwork | None]] = [(courier, network), (customer, None)]
        (other, others_way), (measured, way) = people if direction == "uplink" else reversed(people)
        stack.callback((await janus_tap(other, room, others_way)).cancel)
        await asyncio.sleep(SETTLE_S)
        stack.callback((await janus_tap(measured, room, way)).cancel)
        yield PageCall(measured=measured, other=other)


@contextlib.asynccontextmanager
async def blank_page(chromium: Browser, way: AccessNetwork | None) -> AsyncIterator[Page]:
    """A page for a script of the benchmark: of Proofcall's origin, for it has to be a secure context."""
    url = await through(way, f"{URL}/healthz")
    async with browser.probed_page(chromium, url, probe="meter.js", network=way) as page:
        yield page


async def janus_tap(
    page: Page, room: int, way: AccessNetwork | None, *, publishes: bool = True
) -> asyncio.Task[object]:
    """Begin the call on a blank page; it may fail where the network is bad, and then nothing is seen."""
    host, port = (ADDRESS, WEBSOCKET_PORT)
    if way is not None:
        host, port = "127.0.0.1", await way.tcp_port(host, port)
    target = {"url": f"ws://{host}:{port}", "room": room, "camera": CAMERA, "publishes": publishes}
    return asyncio.create_task(page.evaluate(browser.script("janus.js"), target))


async def through(network: AccessNetwork | None, url: str) -> str:
    """The same address of Proofcall by way of the network."""
    if network is None:
        return url
    return url.replace(f":{HTTP_PORT}", f":{await network.tcp_port('127.0.0.1', HTTP_PORT)}")
