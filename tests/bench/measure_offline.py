"""Back from an hour without a network: 200 items of two devices of one person, from browsers to the log."""

import tempfile
from pathlib import Path
from statistics import median

from playwright.async_api import async_playwright

from tests.bench.browser import missing
from tests.bench.table import Row, judge, span
from tests.bench.workshop import Workshop
from tests.end_to_end.conftest import set_scene
from tests.end_to_end.cut_proxy import cut_proxy
from tests.end_to_end.offline_hour import (
    PHOTOS,
    PHRASES,
    TEXTS,
    Restartable,
    spend_an_hour_offline,
    write_photos,
)
from tests.end_to_end.people import chromium

ROUNDS = 3
REACH_S = 3.0
WHAT = f"{2 * (TEXTS + PHRASES + PHOTOS)} items of two devices, from the network's return"


async def measure_offline(workshop: Workshop) -> list[Row]:
    """The two pages and the service share the machine, as they do nowhere else."""
    if why := missing():
        return [Row(part="offline", what=WHAT, reach=f"≤ {REACH_S:g} s", measured=f"not measured: {why}")]
    items_s, heard_s, photos_s = [], [], []
    async with async_playwright() as playwright:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                photos = write_photos(Path(folder), 2 * PHOTOS)
                async with cut_proxy(0) as proxy, chromium(playwright, shared=False) as browser:
                    service = Restartable(Path(folder), proxy)
                    await service.start()
                    try:
                        scene = await set_scene(service.caller)
                        returned = await spend_an_hour_offline(service, proxy, scene, browser, photos)
                    finally:
                        await service.stop()
            items_s.append(returned.items_s)
            heard_s.append(returned.heard_s)
            photos_s.append(returned.photos_s)
    return [
        Row(
            part="offline",
            what=f"{WHAT} to the log",
            reach=f"≤ {REACH_S:g} s",
            measured=f"{median(items_s):.2f} s",
            noise=span(items_s, 2),
            verdict=judge(median(items_s) <= REACH_S),
        ),
        Row(
            part="offline",
            what="… until both pages have heard so / until the 20 photos are looked at and stored",
            reach="",
            measured=f"{median(heard_s):.2f} / {median(photos_s):.2f} s",
            noise=f"{span(heard_s, 2)}; {span(photos_s, 2)}",
        ),
    ]
