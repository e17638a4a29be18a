"""From the tap to the first decoded picture of the other side, in Chromium.

The other side is a bot that is already there and sends. Cold: camera and microphone are given, and everything
else (socket, offer, connection) begins at the tap, in two pages of one shape for Proofcall and for Janus.
Preconnected: Proofcall's own page, which connects while the person reads. All take turns.

The same again through bad access networks: far (the distance alone) and lossy (both directions lose). There
HTTP and WebSocket have the distance, too, but not the loss (tests/tcp_proxy.py says why).
"""

import asyncio
import contextlib
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable

from playwright.async_api import Browser

from tests.bench import browser
from tests.bench.access_network import AccessNetwork, access_network
from tests.bench.bot import BotFailed
from tests.bench.janus_peer import WEBSOCKET_PORT, WEBSOCKET_URL
from tests.bench.namespace import ADDRESS
from tests.bench.page_call import through
from tests.bench.peer import running, sending
from tests.bench.proofcall_peer import URL, ProofcallPeer, lobby
from tests.bench.table import Row, judge, percentile
from tests.bench.workshop import Workshop
from tests.link import Conditions

ROUNDS = 20
WARM_UP_ROUNDS = 1  # the browser's own caches
READ_CONSENT_MS = 500  # nobody taps quicker than this
COLD_MEDIAN_MS, COLD_P95_MS = 150, 250
FAR_COLD_MEDIAN_MS, FAR_PRECONNECTED_MEDIAN_MS = 550, 250
LOSSY_COLD_P95_MS = 1_000
WAIT_MS = 20_000  # a picture that has not come by then counts as never
PICTURE_BYTES = 5_000  # a VGA keyframe has several times as many
SEED = 40
FAR = Conditions(delay_s=0.05)  # RTT 100 ms
LOSSY = Conditions(loss=0.1, delay_s=0.04)  # RTT 80 ms
ROWS = ("cold", "preconnected", "cold-far", "preconnected-far", "cold-lossy")

Join = Callable[[Browser], Awaitable[float]]


async def measure_join(workshop: Workshop) -> list[Row]:
    if (reason := browser.missing()) is not None:
        return [Row(part="join", what="tap → first picture", reach="", measured=f"skipped: {reason}")]
    delays_ms: defaultdict[str, list[float]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        proofcall = await stack.enter_async_context(running(workshop.proofcall()))
        far, lossy = [
            await stack.enter_async_context(access_network(uplink=each, downlink=each, seed=SEED))
            for each in (FAR, LOSSY)
        ]
        joins: dict[str, Join] = {
            "cold": lambda chromium: _join_cold(chromium, proofcall, None),
            "preconnected": lambda chromium: _join_preconnected(chromium, proofcall, None),
            "cold-far": lambda chromium: _join_cold(chromium, proofcall, far),
            "preconnected-far": lambda chromium: _join_preconnected(chromium, proofcall, far),
            "cold-lossy": lambda chromium: _join_cold(chromium, proofcall, lossy),
        }
        if (janus := workshop.janus()) is not None:
            room = await (await stack.enter_async_context(running(janus))).create_room()
            publisher, _ = await janus.publish(room, stamps=False)
            stack.enter_context(sending([publisher]))
            joins |= {
                "cold Janus": lambda chromium: _join_janus(chromium, room, None),
                "cold-far Janus": lambda chromium: _join_janus(chromium, room, far),
                "cold-lossy Janus": lambda chromium: _join_janus(chromium, room, lossy),
            }
        joins = {name: join for name, join in joins.items() if workshop.wants(name.split()[0])}
        chromium = await stack.enter_async_context(browser.chromium())
        for turn in range(WARM_UP_ROUNDS + (workshop.rounds or ROUNDS)):
            for name, join in joins.items():
                try:
                    async with asyncio.timeout(WAIT_MS / 1_000):
                        delay_ms = await join(chromium)
                except TimeoutError:
                    delay_ms = math.inf
                if turn >= WARM_UP_ROUNDS:
                    delays_ms[name].append(delay_ms)
        for network, mark in ((far, "-far"), (lossy, "-lossy")):
            pictures = sum(
                delay < math.inf for name, seen in delays_ms.items() if mark in name for delay in seen
            )
            if (await network.counters())[1].carried_bytes < pictures * PICTURE_BYTES:
                raise BotFailed(f"{mark[1:]}: media went round the proxy")
    return [_row(name, delays_ms, workshop) for name in ROWS if name in delays_ms]


async def _join_cold(chromium: Browser, proofcall: ProofcallPeer, network: AccessNetwork | None) -> float:
    case_id = await proofcall.open_case()
    courier = await proofcall.join(case_id, "courier", stamps=False)
    link = await proofcall.issue_link(case_id, "customer")
    with sending([courier.bot]):
        # Any address of the service would do: the page needs its origin, not its content.
        url = await through(network, f"{URL}/healthz")
        async with browser.probed_page(chromium, url, network=network) as page:
            await page.evaluate(browser.script("proofcall.js"), {"case_id": case_id, "token": link["token"]})
            delay_ms = await page.evaluate("bench.delay()")
    await proofcall.leave(courier)
    return _checked(delay_ms)


async def _join_preconnected(
    chromium: Browser, proofcall: ProofcallPeer, network: AccessNetwork | None
) -> float:
    case_id = await proofcall.open_case()
    courier = await proofcall.join(case_id, "courier", stamps=False)
    link = await proofcall.issue_link(case_id, "customer")
    with sending([courier.bot]):
        url = await through(network, lobby(link))
        async with browser.probed_page(chromium, url, network=network) as page:
            start = page.get_by_test_id("start-button")
            await start.wait_for(timeout=WAIT_MS)
            await page.evaluate("bench.connected()")
            await page.wait_for_timeout(READ_CONSENT_MS)
            await start.evaluate("button => button.addEventListener('click', bench.tap, {capture: true})")
            await start.click()
            delay_ms = await page.evaluate("bench.delay()")
    await proofcall.leave(courier)
    return _checked(delay_ms)


async def _join_janus(chromium: Browser, room: int, network: AccessNetwork | None) -> float:
    url = WEBSOCKET_URL
    if network is not None:
        url = f"ws://127.0.0.1:{await network.tcp_port(ADDRESS, WEBSOCKET_PORT)}"
    async with browser.probed_page(chromium, f"{URL}/healthz", network=network) as page:
        await page.evaluate(browser.script("janus.js"), {"url": url, "room": room})
        return _checked(await page.evaluate("bench.delay()"))


def _checked(delay_ms: float | None) -> float:
    """NaN crosses from the page as NaN; it means a picture before the tap."""
    if delay_ms is None or not delay_ms > 0:
        raise BotFailed("a picture was there before the tap")
    return delay_ms


def _row(name: str, delays_ms: dict[str, list[float]], workshop: Workshop) -> Row:
    def both(name: str) -> str:
        return f"{percentile(delays_ms[name], 50):.0f} / {percentile(delays_ms[name], 95):.0f} ms"

    def noise(name: str) -> str:
        return f"{min(delays_ms[name]):.0f}–{max(delays_ms[name]):.0f}"

    median_ms, p95_ms = (percentile(delays_ms[name], percent) for percent in (50, 95))
    janus, beside, times_janus = f"{name} Janus", "", 0.0
    if janus in delays_ms:
        times_janus = median_ms / percentile(delays_ms[janus], 50)
        beside = f"Janus {both(janus)} ({noise(janus)}): ours is {times_janus:.2f} ×"
    elif name.startswith("cold"):
        beside = f"Janus skipped: {workshop.no_janus}"
    what, reach, held = {
        "cold": (
            "cold tap → first decoded picture",
            f"≤ {COLD_MEDIAN_MS} / {COLD_P95_MS} ms; ≤ 0.5 × Janus",
            median_ms <= COLD_MEDIAN_MS and p95_ms <= COLD_P95_MS and times_janus <= 0.5,
        ),
        "preconnected": ("preconnected tap → first decoded picture", "", None),
        "cold-far": (
            "the same cold, RTT 100 ms",
            f"≤ {FAR_COLD_MEDIAN_MS} ms median",
            median_ms <= FAR_COLD_MEDIAN_MS,
        ),
        "preconnected-far": (
            "the same preconnected, RTT 100 ms",
            f"≤ {FAR_PRECONNECTED_MEDIAN_MS} ms median",
            median_ms <= FAR_PRECONNECTED_MEDIAN_MS,
        ),
        "cold-lossy": (
            "the same cold, 10 % loss each way, RTT 80 ms",
            f"≤ {LOSSY_COLD_P95_MS} ms p95",
            p95_ms <= LOSSY_COLD_P95_MS,
        ),
    }[name]
    return Row(
        part="join",
        what=f"{what}, p50 / p95 of {len(delays_ms[name])}",
        reach=reach,
        measured=both(name),
        noise=noise(name),
        peers=beside,
        verdict="–" if held is None else judge(held),
    )
