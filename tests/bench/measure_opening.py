"""The customer's page over a weak network: from its link to the conversation, the first time and again.

Each round is a browser profile of its own, that has nothing of the service yet.
"""

import tempfile
import time
from pathlib import Path

from playwright.async_api import Page, ViewportSize

from tests.bench.browser import chromium, missing
from tests.bench.table import Row, judge, percentile, span
from tests.bench.workshop import Workshop
from tests.conftest import calling
from tests.end_to_end.conftest import set_scene
from tests.end_to_end.people import PHONE
from tests.tcp_proxy import tcp_proxy

ROUNDS = 5
RATE_BPS = 300_000
RTT_S = 0.2
FIRST_REACH_S = 10.0
AGAIN_REACH_S = 2.0
PATIENCE_MS = 60_000
VIEWPORT = ViewportSize(width=PHONE["width"], height=PHONE["height"])
WHAT = f"customer's page, {RATE_BPS // 1000} kbit/s and RTT {RTT_S * 1000:.0f} ms → conversation"


async def measure_opening(workshop: Workshop) -> list[Row]:
    """The connection is without TLS, whose handshake would be a round trip or two more."""
    if why := missing():
        return [Row(part="opening", what=WHAT, reach="", measured=f"skipped: {why}")]
    first_s, again_s = [], []
    with tempfile.TemporaryDirectory() as folder:
        async with calling(Path(folder)) as caller, chromium() as browser:
            service_port = int(caller.url.rpartition(":")[2])
            for _ in range(workshop.rounds or ROUNDS):
                path = (await set_scene(caller)).talk_url("customer").removeprefix(caller.url)
                context = await browser.new_context(viewport=VIEWPORT, locale="zh-CN")
                # A network of its own: what the round before has left under way takes nothing from it.
                network = tcp_proxy("127.0.0.1", service_port, delay_s=RTT_S / 2, rate_bps=RATE_BPS)
                async with network as port:
                    page = await context.new_page()
                    opened = time.monotonic()
                    await page.goto(f"http://127.0.0.1:{port}{path}", wait_until="commit")
                    first_s.append(await _conversation(page) - opened)
                    await page.wait_for_load_state("networkidle")
                    opened = time.monotonic()
                    await page.reload(wait_until="commit")
                    again_s.append(await _conversation(page) - opened)
                    await context.close()
    rows = ((WHAT, first_s, FIRST_REACH_S), ("… the same, opened again", again_s, AGAIN_REACH_S))
    return [
        Row(
            part="opening",
            what=f"{what}, p50 of {len(took_s)}",
            reach=f"≤ {reach_s:g} s",
            measured=f"{percentile(took_s, 50):.2f} s",
            noise=span(took_s, 2),
            verdict=judge(percentile(took_s, 50) <= reach_s),
        )
        for what, took_s, reach_s in rows
    ]


async def _conversation(page: Page) -> float:
    """When its text can be written to."""
    await page.get_by_test_id("text-input").wait_for(timeout=PATIENCE_MS)
    return time.monotonic()
