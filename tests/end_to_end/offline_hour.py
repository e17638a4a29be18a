"""An hour without a network on two devices of one person: 200 items that wait, and the way back.

What tests prove of it is in `test_offline.py`; how long the way back takes, the bench measures.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from playwright.async_api import Browser

from server.evidence.entry import Entry
from tests.conftest import Caller, calling
from tests.end_to_end.conftest import Scene
from tests.end_to_end.cut_proxy import CutProxy
from tests.end_to_end.people import Somebody, open_page, until

TEXTS, PHRASES, PHOTOS = 70, 20, 10  # of each device: 200 items of the two
SETTLED_WITHIN_S = 60.0  # the bytes of 20 photos come and are looked at, on a machine that runs two browsers

# What a thumb does, without the waiting of one.
WRITE = """texts => {
  const input = document.querySelector('[data-testid=text-input]');
  for (const text of texts) {
    input.value = text;
    input.dispatchEvent(new Event('input', {bubbles: true}));
    input.form.requestSubmit();
  }
}"""
PHRASE = """count => {
  for (let n = 0; n < count; n += 1) document.querySelector('[data-testid=phrase]').click();
}"""


class Restartable:
    """A service on one data folder, behind a network that can be cut."""

    def __init__(self, folder: Path, proxy: CutProxy) -> None:
        self._folder = folder
        self._proxy = proxy
        self._parts = AsyncExitStack()
        self.caller: Caller

    async def start(self) -> None:
        """Also after `stop`, with all that it had written."""
        self.caller = await self._parts.enter_async_context(calling(self._folder))
        self._proxy.server_port = int(self.caller.url.rpartition(":")[2])

    async def stop(self) -> None:
        """As an operator stops it."""
        await self._parts.aclose()

    async def entries(self, case_id: str, kind: str) -> list[Entry]:
        """From the log itself, so that looking costs the service nothing."""
        entries = await self.caller.service.log.entries(case_id)
        return [entry for entry in entries if entry.envelope.kind == kind]


async def open_device(browser: Browser, url: str) -> Somebody:
    """A page that has the whole conversation, and the wording with its phrases."""
    device = await open_page(browser, url, language="en-US")
    await device.by("text-input").wait_for()
    await device.by("phrase").first.wait_for(state="attached")
    return device


async def lose_network(proxy: CutProxy, devices: Sequence[Somebody]) -> None:
    proxy.cut()
    for device in devices:
        await device.page.context.set_offline(True)
    for device in devices:
        await until(partial(is_in_state, device, "reconnecting"), "the page says that the network is gone")


async def find_network(proxy: CutProxy, devices: Sequence[Somebody]) -> None:
    await proxy.mend()
    for device in devices:
        await device.page.context.set_offline(False)


async def is_in_state(device: Somebody, state: str) -> bool:
    return bool(await device.by("connection-state").get_attribute("data-state") == state)


async def waiting(device: Somebody) -> int:
    """How many of the own lines wait to be sent."""
    return int(await device.by("waiting").count())


async def give_items(device: Somebody, name: str, photos: Sequence[Path]) -> list[str]:
    """Texts, phrases and photos, in turns; the texts, in their order."""
    texts = [f"{name} {number}" for number in range(TEXTS)]
    half = TEXTS // 2
    await device.page.evaluate(WRITE, texts[:half])
    await device.page.evaluate(PHRASE, PHRASES)
    await device.page.locator(".talk-composer [data-testid=album-input]").set_input_files(list(photos))
    await device.page.evaluate(WRITE, texts[half:])
    return texts


async def has_waiting(device: Somebody, count: int) -> bool:
    return await device.by("text-input").is_visible() and await waiting(device) == count


async def are_stored(service: Restartable, scene: Scene, count: int) -> bool:
    return len(await service.entries(scene.case_id, "attachment_stored")) == count


def write_photos(folder: Path, count: int) -> list[Path]:
    """Small ones, each of its own."""
    made = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        noise = np.random.default_rng(number).integers(0, 255, (90, 120, 3), np.uint8)
        assert cv2.imwrite(str(path), noise)
        made.append(path)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What both devices said while they were away, and how long after the network came back all items were in
    the log, the pages had heard so, and the bytes of the photos were stored.
    """

    devices: tuple[Somebody, Somebody]
    said: dict[str, list[str]]
    items_s: float
    heard_s: float
    photos_s: float


async def spend_an_hour_offline(
    service: Restartable, proxy: CutProxy, scene: Scene, browser: Browser, photos: Sequence[Path]
) -> Return:
    """Two devices lose their network, are given all that an hour brings, and find it again."""
    url = f"{proxy.url}/c#{scene.links['customer']['token']}"
    phone, tablet = [await open_device(browser, url) for _ in range(2)]
    await lose_network(proxy, (phone, tablet))
    said = {
        "phone": await give_items(phone, "phone", photos[:PHOTOS]),
        "tablet": await give_items(tablet, "tablet", photos[PHOTOS:]),
    }
    for device in (phone, tablet):
        await until(partial(has_waiting, device, TEXTS + PHRASES + PHOTOS), "all of it waits")
    await find_network(proxy, (phone, tablet))
    back = time.monotonic()

    async def all_here() -> bool:
        kinds = [e.envelope.kind for e in await service.caller.service.log.entries(scene.case_id)]
        return sum(map(kinds.count, ("text", "phrase", "attached"))) == 2 * (TEXTS + PHRASES + PHOTOS)

    await until(all_here, "all items are in the log", patience_s=SETTLED_WITHIN_S)
    items_s = time.monotonic() - back
    for device in (phone, tablet):
        await until(partial(has_waiting, device, 0), "the page has heard that they are")
    heard_s = time.monotonic() - back
    stored = partial(are_stored, service, scene, 2 * PHOTOS)
    await until(stored, "the photos came", patience_s=SETTLED_WITHIN_S)
    return Return(
        devices=(phone, tablet),
        said=said,
        items_s=items_s,
        heard_s=heard_s,
        photos_s=time.monotonic() - back,
    )
