"""What pages make of a weak network: a picture that stands, detail that is asked for, orders obeyed."""

import io
import json
import zipfile
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Playwright, ViewportSize, WebSocketRoute

from tests.bench.camera import HEIGHT, write_camera
from tests.bench.recorded import JournalSegment, recorded
from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import KEEP_CONNECTIONS, PHONE, SENT, Somebody, chromium, open_page, until
from tests.end_to_end.test_telling import lead_through, of
from tests.link import IP_AND_UDP_BYTES, Conditions
from tests.udp_proxy import udp_proxy

Event = dict[str, Any]

KEPT = "maintain-framerate-and-resolution"  # the browser adapts neither by itself
UNLIMITED_BPS = 0xFFFF_FFFF
FIRST = timedelta(seconds=0.4)  # of a call

ENCODINGS = """() => window.testConnections
  .filter(connection => connection.connectionState === 'connected')
  .map(connection => {
    const parameters = connection.getTransceivers()[1].sender.getParameters();
    return {
      preference: parameters.degradationPreference ?? null,
      best: parameters.encodings.at(-1),
    };
  })[0] ?? null"""


class Told(Somebody):
    """Somebody whose page can be told events that the service would tell on a weak network."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.socket: WebSocketRoute | None = None
        self.slots: Event | None = None
        self.pictures: dict[str, str] = {}
        self.orders: list[dict[str, int]] = []  # what the service asked of the own camera, by encoding

    async def route(self) -> None:
        await self.page.route_web_socket("**/ws", self._connected)

    def _connected(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        service = socket.connect_to_server()

        def forward(text: str | bytes) -> None:
            message = json.loads(text)
            if message["type"] == "event":
                if message["event"]["kind"] == "slots":
                    self.slots = json.loads(text)["event"]
                    message["event"] = self._changed(message["event"])
                if message["event"]["kind"] == "encodings":
                    encodings = message["event"]["encodings"]
                    self.orders.append({one["rid"]: one["max_bitrate_bps"] for one in encodings})
                text = json.dumps(message)
            socket.send(text)

        service.on_message(forward)

    def tell(self, event: Event) -> None:
        assert self.socket is not None
        self.socket.send(json.dumps({"type": "event", "event": event}))

    def tell_pictures(self, **fields: str) -> None:
        """What comes of the others' pictures from now on, whatever the service says."""
        self.pictures = fields
        assert self.slots is not None
        self.tell(self._changed(self.slots))

    def _changed(self, event: Event) -> Event:
        return {**event, "slots": [{**slot, **self.pictures} for slot in event["slots"]]}


async def told_page(browser: Browser, url: str, *, language: str) -> Told:
    viewport: ViewportSize = {"width": PHONE["width"], "height": PHONE["height"]}
    context = await browser.new_context(viewport=viewport, locale=language)
    await context.add_init_script(KEEP_CONNECTIONS)
    somebody = Told(await context.new_page())
    await somebody.route()
    await somebody.page.goto(url)
    return somebody


async def reads(somebody: Somebody, test_id: str, words: str) -> bool:
    element = somebody.by(test_id).first
    return bool(await element.is_visible()) and words in await element.inner_text()


async def pressed(somebody: Somebody) -> bool:
    return bool(await somebody.by("sharp").first.get_attribute("aria-pressed") == "true")


async def best(somebody: Somebody, **wanted: Any) -> bool:
    """Whether the own camera's best encoding is set so."""
    found = await somebody.page.evaluate(ENCODINGS)
    if found is None:
        return False
    so = {"preference": found["preference"], **found["best"]}
    return all(so.get(name) == value for name, value in wanted.items())


@pytest.mark.long
async def test_a_weak_network_is_said_over_the_picture_and_detail_can_be_asked_for(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with (
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
    ):
        customer = await told_page(one, scene.url("customer"), language="en-US")
        courier = await open_page(two, scene.url("courier"), language="zh-CN")
        await customer.tap("start-button")
        await courier.tap("start-button")
        await customer.wait_for_media()
        assert await hidden(customer, "standing"), "nothing is said of a picture that moves"

        customer.tell_pictures(picture="stills")
        await until(partial(reads, customer, "standing", "a picture now and then"), "stills are said")
        await until(partial(reads, customer, "standing", "Just now"), "and how old the newest one is")
        customer.tell_pictures(picture="paused")
        await until(partial(reads, customer, "standing", "Picture paused"), "the pause is said")
        customer.tell_pictures()
        await until(partial(hidden, customer, "standing"), "the words go when the picture comes back")

        await customer.tap("sharp")
        await until(partial(pressed, customer), "the button shows that it is on")
        await until(partial(best, courier, preference=KEPT), "the camera that was asked keeps its size")
        await until(partial(released, customer, courier), "it ends by itself")

        assert await best(customer, active=True, maxBitrate=1_700_000, maxFramerate=30, preference=None)
        order = {"rid": "high", "max_bitrate_bps": 200_000}
        customer.tell({"kind": "encodings", "encodings": [order], "sharp": False})
        await until(partial(best, customer, maxBitrate=200_000, preference=KEPT), "orders are obeyed")
        assert customer.complaints == courier.complaints == []


async def hidden(somebody: Somebody, test_id: str) -> bool:
    return not await somebody.by(test_id).first.is_visible()


async def released(asker: Somebody, asked: Somebody) -> bool:
    return not await pressed(asker) and await best(asked, preference=None)


def narrow(rate_bps: int) -> Conditions:
    """A network that carries so much, headers included."""
    return Conditions(rate_bps=rate_bps, overhead_bytes=IP_AND_UDP_BYTES, delay_s=0.02)


@pytest.mark.alone
async def test_a_viewers_weak_network_lowers_their_picture_and_nothing_that_is_kept(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path], tmp_path: Path
) -> None:
    """Too narrow for the picture, then for any, then wide again."""
    busy = write_camera(tmp_path / "busy.y4m")
    async with (
        udp_proxy(downlink=narrow(300_000)) as proxy,
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=busy, shared=False) as two,
    ):
        proxy.forward_to(scene.caller.service.relay.port)
        customer = await open_page(one, "about:blank", language="en-US")
        await lead_through(proxy, customer)
        await customer.page.goto(scene.url("customer"))
        courier = await told_page(two, scene.url("courier"), language="zh-CN")
        for somebody in (customer, courier):
            await somebody.tap("start-button")
        await customer.wait_for_media()

        await until(partial(sends_low, courier), "an encoding that fits is ordered, and sent")
        await until(partial(watches_less_than, customer, HEIGHT), "and is what the customer watches")
        assert await hidden(customer, "standing"), "it moves"

        proxy.downlink.conditions = narrow(60_000)
        await until(partial(reads, customer, "standing", "Picture paused"), "the pause is said")
        proxy.downlink.conditions = narrow(2_000_000)
        await until(partial(hidden, customer, "standing"), "the words go by themselves")
        await until(partial(watches, customer, HEIGHT), "and the whole picture is back")

        assert all(order["high"] == UNLIMITED_BPS for order in courier.orders), courier.orders
        assert customer.complaints == courier.complaints == []
        await courier.tap("hangup")
        await until(partial(is_kept, scene), "what the courier sent is kept")
    segments = await kept(scene)
    began = datetime.fromisoformat(segments[0].body["began_at"])
    assert recorded(segments, began, segments[-1].ended_at).height == HEIGHT
    assert recorded(segments, began, began + FIRST).height == HEIGHT, "whole from the first picture on"


async def sends_low(courier: Told) -> bool:
    sent = await courier.page.evaluate(SENT)
    return bool(courier.orders) and 0 < courier.orders[-1]["low"] < UNLIMITED_BPS and sent.get("low", 0) > 0


async def watched_height(somebody: Somebody) -> int:
    """Of the others' picture that plays."""
    return int(
        await somebody.page.evaluate(
            "() => document.querySelector('[data-testid=remote-video][data-actor-id]')?.videoHeight ?? 0"
        )
    )


async def watches(somebody: Somebody, height: int) -> bool:
    return await watched_height(somebody) == height


async def watches_less_than(somebody: Somebody, height: int) -> bool:
    return 0 < await watched_height(somebody) < height


async def is_kept(scene: Scene) -> bool:
    """Whether the courier's last segment is sealed."""
    bodies = await of(scene, "segment_sealed", scene.links["courier"]["link_id"])
    return bool(bodies) and bodies[-1]["reason"] == "ended"


async def kept(scene: Scene) -> list[JournalSegment]:
    """What is recorded of the courier."""
    _, exported = await scene.caller.call("POST", f"/api/cases/{scene.case_id}/export")
    package = zipfile.ZipFile(io.BytesIO(exported))
    return [
        JournalSegment(body, package.read(f"blobs/{body['blob']['sha256']}"))
        for body in await of(scene, "segment_sealed", scene.links["courier"]["link_id"])
    ]
