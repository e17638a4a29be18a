"""From the tap to the first decoded picture of the other side, in Chromium.

The other side is a bot that is already there and sends. Cold: camera and microphone are given, and everything
else (socket, offer, connection) begins at the tap, in two pages of one shape for Proofcall and for Janus.
Preconnected: Proofcall's own page, which connects while the person reads. The three take turns.
"""

import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable

from playwright.async_api import Browser

from tests.bench import browser
from tests.bench.bot import BotFailed
from tests.bench.janus_peer import WEBSOCKET_URL, JanusPeer
from tests.bench.peer import running, sending
from tests.bench.proofcall_peer import URL, ProofcallPeer
from tests.bench.table import Row, judge, percentile
from tests.bench.workshop import Workshop

ROUNDS = 20
WARM_UP_ROUNDS = 1  # the browser's own caches
READ_CONSENT_MS = 500  # nobody taps quicker than this
COLD_MEDIAN_MS, COLD_P95_MS = 150, 250
WAIT_MS = 10_000

Join = Callable[[Browser], Awaitable[float]]


async def measure_join(workshop: Workshop) -> list[Row]:
    if (reason := browser.missing()) is not None:
        return [Row(part="join", what="tap → first picture", reach="", measured=f"skipped: {reason}")]
    delays_ms: defaultdict[str, list[float]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        proofcall = await stack.enter_async_context(running(workshop.proofcall()))
        joins: dict[str, Join] = {
            "cold": lambda chromium: _join_cold(chromium, proofcall),
            "preconnected": lambda chromium: _join_preconnected(chromium, proofcall),
        }
        if (janus := workshop.janus()) is not None:
            room = await (await stack.enter_async_context(running(janus))).create_room()
            publisher, _ = await janus.publish(room, stamps=False)
            stack.enter_context(sending([publisher]))
            joins["Janus"] = lambda chromium: _join_janus(chromium, janus, room)
        chromium = await stack.enter_async_context(browser.chromium())
        for turn in range(WARM_UP_ROUNDS + ROUNDS):
            for name, join in joins.items():
                delay_ms = await join(chromium)
                if turn >= WARM_UP_ROUNDS:
                    delays_ms[name].append(delay_ms)
    return _rows(delays_ms, workshop)


async def _join_cold(chromium: Browser, proofcall: ProofcallPeer) -> float:
    case_id = await proofcall.open_case()
    courier = await proofcall.join(case_id, "courier", stamps=False)
    link = await proofcall.issue_link(case_id, "customer")
    with sending([courier.bot]):
        # Any address of the service would do: the page needs its origin, not its content.
        async with browser.probed_page(chromium, f"{URL}/healthz") as page:
            await page.evaluate(browser.script("proofcall.js"), {"case_id": case_id, "token": link["token"]})
            delay_ms = await page.evaluate("bench.delay()")
    await proofcall.leave(courier)
    return _checked(delay_ms)


async def _join_preconnected(chromium: Browser, proofcall: ProofcallPeer) -> float:
    case_id = await proofcall.open_case()
    courier = await proofcall.join(case_id, "courier", stamps=False)
    link = await proofcall.issue_link(case_id, "customer")
    with sending([courier.bot]):
        async with browser.probed_page(chromium, str(link["url"])) as page:
            start = page.get_by_test_id("start-button")
            await start.wait_for(timeout=WAIT_MS)
            await page.evaluate("bench.connected()")
            await page.wait_for_timeout(READ_CONSENT_MS)
            await start.evaluate("button => button.addEventListener('click', bench.tap, {capture: true})")
            await start.click()
            delay_ms = await page.evaluate("bench.delay()")
    await proofcall.leave(courier)
    return _checked(delay_ms)


async def _join_janus(chromium: Browser, janus: JanusPeer, room: int) -> float:
    async with browser.probed_page(chromium, f"{URL}/healthz") as page:
        await page.evaluate(browser.script("janus.js"), {"url": WEBSOCKET_URL, "room": room})
        return _checked(await page.evaluate("bench.delay()"))


def _checked(delay_ms: float | None) -> float:
    """NaN crosses from the page as NaN; it means a picture before the tap."""
    if delay_ms is None or not delay_ms > 0:
        raise BotFailed("a picture was there before the tap")
    return delay_ms


def _rows(delays_ms: dict[str, list[float]], workshop: Workshop) -> list[Row]:
    def both(name: str) -> str:
        return f"{percentile(delays_ms[name], 50):.0f} / {percentile(delays_ms[name], 95):.0f} ms"

    def noise(name: str) -> str:
        return f"{min(delays_ms[name]):.0f}–{max(delays_ms[name]):.0f}"

    median_ms, p95_ms = (percentile(delays_ms["cold"], percent) for percent in (50, 95))
    if "Janus" in delays_ms:
        janus_ms = percentile(delays_ms["Janus"], 50)
        beside = f"Janus {both('Janus')} ({noise('Janus')}): ours is {median_ms / janus_ms:.2f} ×"
        held = median_ms <= 0.5 * janus_ms
    else:
        beside = f"Janus skipped: {workshop.no_janus}"
        held = True
    held = held and median_ms <= COLD_MEDIAN_MS and p95_ms <= COLD_P95_MS
    count = len(delays_ms["cold"])
    return [
        Row(
            part="join",
            what=f"cold tap → first decoded picture, p50 / p95 of {count}",
            reach=f"≤ {COLD_MEDIAN_MS} / {COLD_P95_MS} ms; ≤ 0.5 × Janus",
            measured=both("cold"),
            noise=noise("cold"),
            peers=beside,
            verdict=judge(held),
        ),
        Row(
            part="join",
            what=f"preconnected tap → first decoded picture, p50 / p95 of {count}",
            reach="",
            measured=both("preconnected"),
            noise=noise("preconnected"),
        ),
    ]
