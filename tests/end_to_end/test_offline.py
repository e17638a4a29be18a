"""An hour without a network, a reload, a service that starts anew; and two devices of one person, in step."""

import hashlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Playwright

from server.evidence.entry import Entry
from tests.end_to_end.conftest import Scene, set_scene
from tests.end_to_end.cut_proxy import CutProxy, cut_proxy
from tests.end_to_end.offline_hour import (
    PHOTOS,
    PHRASES,
    SETTLED_WITHIN_S,
    TEXTS,
    WRITE,
    Restartable,
    are_stored,
    find_network,
    give_items,
    has_waiting,
    lose_network,
    open_device,
    spend_an_hour_offline,
    write_photos,
)
from tests.end_to_end.people import Somebody, chromium, open_page, until


@pytest_asyncio.fixture(loop_scope="session")
async def behind_proxy(tmp_path: Path) -> AsyncIterator[tuple[Restartable, CutProxy]]:
    async with cut_proxy(0) as proxy:
        service = Restartable(tmp_path, proxy)
        await service.start()
        yield service, proxy
        await service.stop()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return write_photos(tmp_path, 2 * PHOTOS)


async def test_after_an_hour_offline_on_two_devices_each_item_is_in_the_log_once_and_in_order(
    behind_proxy: tuple[Restartable, CutProxy], playwright: Playwright, photos: list[Path]
) -> None:
    service, proxy = behind_proxy
    scene = await set_scene(service.caller)
    async with chromium(playwright) as browser:
        returned = await spend_an_hour_offline(service, proxy, scene, browser, photos)
        await check_everything_once(service, scene, returned.said, 2 * PHOTOS)
        for device in returned.devices:
            await until(partial(is_empty, device), "nothing is left on the device")
            assert device.complaints == []


@pytest.mark.long
async def test_a_reload_and_a_new_start_of_the_service_lose_nothing_and_repeat_nothing(
    behind_proxy: tuple[Restartable, CutProxy], playwright: Playwright, photos: list[Path]
) -> None:
    service, proxy = behind_proxy
    scene = await set_scene(service.caller)
    url = f"{proxy.url}/c#{scene.links['customer']['token']}"
    async with chromium(playwright) as browser:
        phone, tablet = [await open_device(browser, url) for _ in range(2)]
        await lose_network(proxy, (phone, tablet))
        said = {
            "phone": await give_items(phone, "phone", photos[:PHOTOS]),
            "tablet": await give_items(tablet, "tablet", photos[PHOTOS:]),
        }
        for device in (phone, tablet):
            await until(partial(has_waiting, device, TEXTS + PHRASES + PHOTOS), "all of it waits")
        await phone.page.goto("about:blank")  # the page is closed; only what the browser keeps is left
        await find_network(proxy, (phone, tablet))
        case = await service.caller.service.cases.get(scene.case_id)
        began = case.state.last_number

        async def some_are_in() -> bool:
            return case.state.last_number > began + 20

        await until(some_are_in, "some of the tablet's items are in")
        await service.stop()
        await service.start()
        await phone.page.goto(url)
        await until(partial(some_texts, service, scene, "phone"), "some of the phone's items are in")
        await phone.page.reload()
        proxy.cut()
        await proxy.mend()
        for device in (phone, tablet):
            await until(partial(has_waiting, device, 0), "all of it was sent", patience_s=SETTLED_WITHIN_S)
        await until(
            partial(are_stored, service, scene, 2 * PHOTOS), "the photos came", patience_s=SETTLED_WITHIN_S
        )
        await check_everything_once(service, scene, said, 2 * PHOTOS)
        for device in (phone, tablet):
            await until(partial(is_empty, device), "nothing is left on the device")
        assert phone.complaints == tablet.complaints == []


async def test_a_photo_that_breaks_off_goes_on_where_it_was_also_in_a_page_loaded_anew(
    behind_proxy: tuple[Restartable, CutProxy], playwright: Playwright, tmp_path: Path
) -> None:
    service, proxy = behind_proxy
    scene = await set_scene(service.caller)
    large = tmp_path / "large.jpg"
    noise = np.random.default_rng(1).integers(0, 255, (1800, 2400, 3), np.uint8)
    assert cv2.imwrite(str(large), noise)
    size_bytes = large.stat().st_size
    assert size_bytes > 4_000_000
    async with chromium(playwright) as browser:
        url = f"{proxy.url}/c#{scene.links['customer']['token']}"
        phone = await open_device(browser, url)
        proxy.cut_after_bytes = size_bytes // 2
        await phone.page.locator(".talk-composer [data-testid=album-input]").set_input_files(large)

        async def is_cut() -> bool:
            return proxy.is_cut

        await until(is_cut, "the network breaks off")
        came = await offset_of(service, scene, large.read_bytes())
        assert 0 < came < size_bytes
        await proxy.mend()
        proxy.cut_after_bytes = size_bytes - came + 300_000  # too little to begin anew
        await phone.page.goto("about:blank")
        await phone.page.goto(url)
        await until(partial(are_stored, service, scene, 1), "the photo came", patience_s=SETTLED_WITHIN_S)
        assert not proxy.is_cut, "what had come was not sent again"
        await until(partial(is_empty, phone), "nothing is left on the device")
        assert phone.complaints == []


async def test_without_a_database_what_was_written_offline_survives_a_reload_all_the_same(
    behind_proxy: tuple[Restartable, CutProxy], playwright: Playwright
) -> None:
    service, proxy = behind_proxy
    scene = await set_scene(service.caller)
    async with chromium(playwright) as browser:
        url = f"{proxy.url}/c#{scene.links['customer']['token']}"
        phone = await open_page(browser, "about:blank", language="en-US")
        await phone.page.add_init_script("Object.defineProperty(window, 'indexedDB', {value: undefined})")
        await phone.page.goto(url)
        await phone.by("text-input").wait_for()
        await lose_network(proxy, [phone])
        await phone.page.evaluate(WRITE, ["one", "two", "three"])
        await until(partial(has_waiting, phone, 3), "they wait")
        await find_network(proxy, [phone])
        await phone.page.goto("about:blank")
        await phone.page.goto(url)

        async def all_here() -> bool:
            return len(await service.entries(scene.case_id, "text")) >= 3

        await until(all_here, "they are in the log")
        await until(partial(has_waiting, phone, 0), "the page has heard that they are")
        texts = await service.entries(scene.case_id, "text")
        assert [entry.body["text"] for entry in texts] == ["one", "two", "three"]
        assert phone.complaints == []


async def offset_of(service: Restartable, scene: Scene, data: bytes) -> int:
    """How much of a file the service has."""
    path = f"{service.caller.url}/api/cases/{scene.case_id}/uploads/{hashlib.sha256(data).hexdigest()}"
    token = scene.links["customer"]["token"]
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    async with service.caller.http.head(path, headers=headers) as answer:
        assert answer.status == 200
        return int(answer.headers["Upload-Offset"])


async def some_texts(service: Restartable, scene: Scene, name: str) -> bool:
    texts = await service.entries(scene.case_id, "text")
    return sum(str(entry.body["text"]).startswith(name) for entry in texts) > 5


async def check_everything_once(
    service: Restartable, scene: Scene, said: dict[str, list[str]], photos: int
) -> None:
    texts = await service.entries(scene.case_id, "text")
    for name, expected in said.items():
        mine = [entry for entry in texts if str(entry.body["text"]).startswith(f"{name} ")]
        assert [entry.body["text"] for entry in mine] == expected
        captured = [str(entry.body["captured_at"]) for entry in mine]
        assert captured == sorted(captured) and captured[-1] < encoded(mine[0])
    assert len(texts) == 2 * TEXTS
    assert len(await service.entries(scene.case_id, "phrase")) == 2 * PHRASES
    attached = await service.entries(scene.case_id, "attached")
    hashes = [attachment_of(entry)["sha256"] for entry in attached]
    assert len(hashes) == len(set(hashes)) == photos
    stored = await service.entries(scene.case_id, "attachment_stored")
    assert sorted(str(entry.body["sha256"]) for entry in stored) == sorted(hashes)


def encoded(entry: Entry) -> str:
    """When the service wrote it down, as claims of phones are written."""
    return entry.envelope.recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def attachment_of(entry: Entry) -> dict[str, Any]:
    attachment = entry.body["attachment"]
    assert isinstance(attachment, dict)
    return attachment


async def is_empty(device: Somebody) -> bool:
    """Whether the browser keeps nothing of what was sent."""
    counts = await device.page.evaluate(
        """() => new Promise((resolve, reject) => {
      const open = indexedDB.open('proofcall');
      open.onerror = () => reject(open.error);
      open.onsuccess = async () => {
        const counts = [];
        const names = [...open.result.objectStoreNames];
        const transaction = open.result.transaction(names);
        for (const name of names)
          transaction.objectStore(name).count().onsuccess = (event) => counts.push(event.target.result);
        transaction.oncomplete = () => { open.result.close(); resolve(counts); };
      };
    })"""
    )
    return len(counts) == 3 and not any(counts)
