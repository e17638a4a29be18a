"""Walking away from a network, in Chromium on Proofcall's own page: how long is the call without media?

The page's media go through proxies in user space; the other side is a bot that sends all the time.

- Another address: from one datagram to the next the server sees another one, and nobody tells the page.
- Another network: the old way is dead, the page is told ("online"), its restart of ICE finds a new way.
- Silence: nothing comes any more, until the page says so; then the same way carries again.
- UDP blocked: from the making of the connection to the first decoded picture.
- UDP ends in the middle of a call, and TCP carries it on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import Browser, Page

from tests.bench import browser
from tests.bench.bot import BotFailed
from tests.bench.peer import running, sending
from tests.bench.proofcall_peer import UDP_PORT, ProofcallPeer, lobby
from tests.bench.table import Row, judge, percentile, span
from tests.bench.workshop import Workshop
from tests.udp_proxy import UdpProxy

ROUNDS = 5
SETTLE_S = 3.0  # the page has learned what is usual, and no check or keyframe of the last round is left
READY_MS = 10_000
BACK_WITHIN_MS = 1_000
TOLD_WITHIN_MS = 3_000
UP_WITHIN_MS = 3_000
SWITCHED_WITHIN_MS = 6_000  # what tells of silence, and as long for the switch: libwebrtc thinks for a second
DISCARD_PORT = 9  # nobody listens there


async def measure_roam(workshop: Workshop) -> list[Row]:
    if (reason := browser.missing()) is not None:
        return [Row(part="roam", what="another network", reach="", measured=f"skipped: {reason}")]
    async with (
        running(workshop.proofcall()) as proofcall,
        browser.chromium("--allow-loopback-in-peer-connection") as chromium,
    ):
        moved_ms, restarted_ms, told_ms, mended_ms, over_tcp_ms, switched_ms = [], [], [], [], [], []
        ways = _Ways(workshop.crowd.address)
        async with _call(chromium, proofcall, ways) as page:
            for _ in range(ROUNDS):
                await asyncio.sleep(SETTLE_S)
                ways.proxy.move()
                moved_ms.append(await _ms(page, "roam.comesBack()"))
            for _ in range(ROUNDS):
                await asyncio.sleep(SETTLE_S)
                ways.change()
                restarted_ms.append(await _ms(page, "(dispatchEvent(new Event('online')), roam.comesBack())"))
            for _ in range(ROUNDS):
                await asyncio.sleep(SETTLE_S)
                ways.proxy.cut = True
                told_ms.append(await _ms(page, "roam.saysSo()"))
                ways.proxy.cut = False
                mended_ms.append(await _ms(page, "roam.comesBack()"))
            if (made := await page.evaluate("roam.connections.length")) != 1:
                raise BotFailed(f"{made} connections were made where one had to last")
            if not ways.carried:
                raise BotFailed("the media did not go through the proxies")
        for _ in range(ROUNDS):
            async with _call(chromium, proofcall, DISCARD_PORT) as page:
                over_tcp_ms.append(await _ms(page, "roam.comesUp()"))
                await _check_protocol(page, "tcp")
        for _ in range(ROUNDS):
            with contextlib.closing(UdpProxy(host=workshop.crowd.address)) as proxy:
                proxy.forward_to(UDP_PORT)
                async with _call(chromium, proofcall, proxy.port) as page:
                    await _ms(page, "roam.comesUp()")
                    await asyncio.sleep(SETTLE_S)
                    await _check_protocol(page, "udp")
                    proxy.cut = True
                    switched_ms.append(await _ms(page, "roam.comesBack()"))
                    await _check_protocol(page, "tcp")
    return [
        _row("another address, unnoticed → media back", BACK_WITHIN_MS, moved_ms),
        _row("another network, ICE restart → media back", BACK_WITHIN_MS, restarted_ms),
        _row("silence → the page says so", TOLD_WITHIN_MS, told_ms),
        _row("silence is over → media back", BACK_WITHIN_MS, mended_ms),
        _row("UDP blocked → first decoded picture over TCP", UP_WITHIN_MS, over_tcp_ms),
        _row("UDP ends → media back over TCP", SWITCHED_WITHIN_MS, switched_ms),
    ]


class _Ways:
    """The networks that a page is in, one after the other: the newest proxy."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._proxies = [UdpProxy(host=host)]

    @property
    def proxy(self) -> UdpProxy:
        return self._proxies[-1]

    @property
    def carried(self) -> bool:
        return all(proxy.forwarded > 0 for proxy in self._proxies)

    def change(self) -> None:
        """The old network is dead, and there is another."""
        self.proxy.cut = True
        self._proxies.append(UdpProxy(host=self._host))

    async def port(self, _: str, port: int) -> int:
        """What `way.js` asks: where the server's port is reached now."""
        self.proxy.forward_to(port)
        return self.proxy.port

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.close()


@contextlib.asynccontextmanager
async def _call(chromium: Browser, proofcall: ProofcallPeer, udp: _Ways | int) -> AsyncIterator[Page]:
    """A customer's page in a call with a bot: over proxies alone, or over TCP and to this UDP port."""
    case_id = await proofcall.open_case()
    courier = await proofcall.join(case_id, "courier", stamps=False)
    link = await proofcall.issue_link(case_id, "customer")
    context = await chromium.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    try:
        page = await context.new_page()
        await page.add_init_script(path=browser.PAGES / "roam.js")
        if isinstance(udp, int):
            await page.add_init_script(f"roam.udpPort = {udp}")
        else:
            await page.expose_function("accessPort", udp.port)
            await page.add_init_script(path=browser.PAGES / "way.js")
        with sending([courier.bot]):
            await page.goto(lobby(link))
            start = page.get_by_test_id("start-button")
            await start.wait_for(timeout=READY_MS)
            await start.click()
            yield page
    finally:
        await context.close()
        if isinstance(udp, _Ways):
            udp.close()
    await proofcall.leave(courier)


async def _check_protocol(page: Page, wanted: str) -> None:
    if not await page.evaluate("wanted => roam.comesOver(wanted)", wanted) >= 0:
        raise BotFailed(f"the media do not come over {wanted}")


async def _ms(page: Page, expression: str) -> float:
    """NaN crosses from the page as NaN; it means that nothing came in ten seconds."""
    took_ms: float | None = await page.evaluate(expression)
    if took_ms is None or not took_ms >= 0:
        raise BotFailed("nothing came within ten seconds")
    return took_ms


def _row(what: str, reach_ms: int, took_ms: list[float]) -> Row:
    return Row(
        part="roam",
        what=f"{what}, median of {len(took_ms)}",
        reach=f"≤ {reach_ms:,} ms",
        measured=f"{percentile(took_ms, 50):.0f} ms",
        noise=span(took_ms),
        verdict=judge(percentile(took_ms, 50) <= reach_ms),
    )
