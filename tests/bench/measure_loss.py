"""A two-way call of two Chromium pages, one of them behind a bad access network: what the other side sees.

Each row impairs one direction of the courier's network. Uplink: measured at the customer, who sees what got
through; downlink: at the courier. The measured person taps last, into a call in which the other already is.
For Proofcall these are its own pages, for Janus a page that does what its demo does, with the same wishes to
the camera. Camera, microphone, Chromium and network are the same, and the two take turns row by row.

What repair cost is told in bytes and the same for both: everything that was sent into the impaired direction
(lost or not; retransmissions, redundancy, headers, feedback) beside the media that the sending browser made
for it: its RTP payloads, retransmissions left out, and half of what it sent as RED, which says everything
twice. Without loss, headers and feedback make that about 1.1. A relay that sends less than it got lowers it.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from playwright.async_api import Browser, Page

from tests.bench import browser
from tests.bench.access_network import AccessNetwork, access_network
from tests.bench.bot import BotFailed
from tests.bench.camera import write_camera, write_microphone
from tests.bench.janus_peer import WEBSOCKET_PORT, JanusPeer
from tests.bench.namespace import ADDRESS
from tests.bench.peer import running
from tests.bench.proofcall_peer import HTTP_PORT, URL, ProofcallPeer, lobby
from tests.bench.smoothness import frame_rate, frozen_share
from tests.bench.table import Row, judge
from tests.bench.workshop import Workshop
from tests.link import Conditions

ONE_WAY_S = 0.04  # RTT 80 ms: the courier's cell, a city away
FAR_ONE_WAY_S = 0.2  # RTT 400 ms: another continent, or a cell whose queues are full
BURST = 5.0  # datagrams: a fade of some 50 ms
SETTLE_S = 3.0  # the first person's media are up before the second taps, if they can be
FIRST_WITHIN_S = 15.0
WARM_UP_S = 5.0  # after the first picture, which has a column of its own: the rate has found its level
WINDOW_S = 25.0
READY_MS = 15_000
SAMPLE_RATE = 48_000
# What web/camera.js asks for. A VGA camera gives 640×360 at 25 frames a second for that.
CAMERA = {
    "width": {"ideal": 1280},
    "height": {"ideal": 720},
    "frameRate": {"ideal": 25},
    "facingMode": "user",
}
SEED = 20

Direction = Literal["uplink", "downlink"]
Call = Callable[[Browser, AccessNetwork, Direction], AbstractAsyncContextManager[tuple[Page, Page]]]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What may be frozen and concealed, in percent; `None` asks for no more than a moving picture."""

    frozen: float | None
    concealed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A row: which direction is measured, and how its network is."""

    name: str
    what: str
    direction: Direction
    impaired: Conditions
    other: Conditions
    reach: Reach


REACHES = {
    0: Reach(frozen=1, concealed=1),
    10: Reach(frozen=1, concealed=1),
    20: Reach(frozen=3, concealed=3),
    30: Reach(frozen=8, concealed=6),
    50: Reach(frozen=None, concealed=15),
}
MOVES_FPS = 1.0
DIRECTIONS: tuple[Direction, Direction] = ("uplink", "downlink")
SCENARIOS = [
    *(
        Scenario(
            name=f"{direction}-{percent}",
            what=f"{direction}, {percent} % loss, RTT 80 ms",
            direction=direction,
            impaired=Conditions(loss=percent / 100, delay_s=ONE_WAY_S),
            other=Conditions(delay_s=ONE_WAY_S),
            reach=reach,
        )
        for direction in DIRECTIONS
        for percent, reach in REACHES.items()
    ),
    *(
        Scenario(
            name=f"{direction}-bursts",
            what=f"{direction}, 10 % loss in bursts of {BURST:.0f}, RTT 80 ms",
            direction=direction,
            impaired=Conditions(loss=0.1, mean_burst=BURST, delay_s=ONE_WAY_S),
            other=Conditions(delay_s=ONE_WAY_S),
            reach=REACHES[10],
        )
        for direction in DIRECTIONS
    ),
    Scenario(
        name="far",
        what="no loss, RTT 400 ms",
        direction="downlink",
        impaired=Conditions(delay_s=FAR_ONE_WAY_S),
        other=Conditions(delay_s=FAR_ONE_WAY_S),
        reach=REACHES[0],
    ),
]


ROWS = tuple(scenario.name for scenario in SCENARIOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the measured person saw and heard in the window."""

    frame_rate: float
    frozen: float
    concealed: float
    first_frame_s: float | None
    height: int | None
    sent_bps: float  # into the impaired direction
    media_bps: float  # of it, made by the sending browser
    their_frozen: float  # libwebrtc's own count, which knows no open interval

    def holds(self, reach: Reach) -> bool:
        """Whether this is good enough."""
        if self.concealed * 100 > reach.concealed:
            return False
        return self.frame_rate > MOVES_FPS if reach.frozen is None else self.frozen * 100 <= reach.frozen

    def __str__(self) -> str:
        first = "never" if self.first_frame_s is None else f"{self.first_frame_s:.1f} s"
        return (
            f"{self.frame_rate:.1f} fps, frozen {self.frozen:.1%}, concealed {self.concealed:.1%}, "
            f"first {first}, {self.height or 0} lines, sent {self.sent_bps / self.media_bps:.2f} × "
            f"{self.media_bps / 1e3:.0f} kbit/s"
        )


async def measure_loss(workshop: Workshop) -> list[Row]:
    if (reason := browser.missing()) is not None:
        return [Row(part="loss", what="a call under loss", reach="", measured=f"skipped: {reason}")]
    scenarios = [each for each in SCENARIOS if workshop.wants(each.name)]
    window_s = workshop.window_s or WINDOW_S
    outcomes: defaultdict[str, dict[str, Outcome | str]] = defaultdict(dict)
    folder = workshop.folder("camera")
    async with contextlib.AsyncExitStack() as stack:
        proofcall = await stack.enter_async_context(running(workshop.proofcall()))
        calls: dict[str, Call] = {"Proofcall": lambda *how: _proofcall_call(proofcall, *how)}
        if (janus := workshop.janus()) is not None:
            await stack.enter_async_context(running(janus))
            calls["Janus"] = lambda *how: _janus_call(janus, *how)
        chromium = await stack.enter_async_context(
            browser.chromium(
                f"--use-file-for-fake-video-capture={write_camera(folder / 'camera.y4m')}",
                f"--use-file-for-fake-audio-capture={write_microphone(folder / 'microphone.wav')}",
                "--autoplay-policy=no-user-gesture-required",  # nobody taps the page that stands for Janus's
            )
        )
        for scenario in scenarios:
            for name, call in calls.items():
                try:
                    outcome: Outcome | str = await _watch(chromium, call, scenario, window_s)
                except (BotFailed, TimeoutError) as error:
                    outcome = f"failed: {error}"
                workshop.say(f"{scenario.name:16} {name:10} {_told(outcome)}")
                outcomes[scenario.name][name] = outcome
    return [_row(scenario, outcomes[scenario.name], workshop) for scenario in scenarios]


def _told(outcome: Outcome | str) -> str:
    if isinstance(outcome, str):
        return outcome
    return f"{outcome} (libwebrtc counts {outcome.their_frozen:.1%} frozen)"


async def _watch(chromium: Browser, call: Call, scenario: Scenario, window_s: float) -> Outcome:
    conditions = {"uplink": scenario.other, "downlink": scenario.other} | {
        scenario.direction: scenario.impaired
    }
    async with (
        access_network(**conditions, seed=SEED) as network,
        call(chromium, network, scenario.direction) as (measured, other),
    ):
        await measured.evaluate(f"bench.first({FIRST_WITHIN_S * 1_000})")
        await asyncio.sleep(WARM_UP_S)
        before = await _Reading.take(network, scenario.direction, measured, other)
        await asyncio.sleep(window_s)
        after = await _Reading.take(network, scenario.direction, measured, other)
    return _outcome(before, after)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """Everything's counters at one time."""

    receiver: Json
    sender: Json
    offered_bytes: int  # to the impaired direction

    @classmethod
    async def take(
        cls, network: AccessNetwork, direction: Direction, measured: Page, other: Page
    ) -> "_Reading":
        receiver, sender = await asyncio.gather(
            measured.evaluate("bench.reading()"), other.evaluate("bench.reading()")
        )
        uplink, downlink = await network.counters()
        impaired = sender if direction == "uplink" else receiver
        # A way round the proxy would measure a good network. The counters are read after the pages'.
        sent = _sum(impaired, "outbound-rtp", "bytesSent")
        received = _sum(impaired, "inbound-rtp", "bytesReceived")
        if uplink.offered_bytes < sent or downlink.carried_bytes < received:
            raise BotFailed(
                f"media went round the proxy: {uplink.offered_bytes} of {sent} bytes up, "
                f"{downlink.carried_bytes} of {received} down"
            )
        link = uplink if direction == "uplink" else downlink
        return cls(receiver=receiver, sender=sender, offered_bytes=link.offered_bytes)


def _sum(page: Json, kind: str, *names: str, media: str | None = None, codec: str = "") -> float:
    """A counter, over all streams of a page."""
    return sum(
        float(stream.get(name, 0))
        for stream in page["streams"]
        if stream["type"] == kind
        and (media is None or stream["kind"] == media)
        and (stream.get("codec") or "").lower().endswith(codec)
        for name in names
    )


def _media_bytes(page: Json) -> float:
    """What a browser sent for the first time and once."""
    return (
        _sum(page, "outbound-rtp", "bytesSent")
        - _sum(page, "outbound-rtp", "retransmittedBytesSent")
        - _sum(page, "outbound-rtp", "bytesSent", codec="/red") / 2
    )


def _outcome(before: _Reading, after: _Reading) -> Outcome:
    page = after.receiver
    start_s, end_s, tapped_s = before.receiver["now"], page["now"], page["tapped_at"]
    window_s = end_s - start_s
    frames_s = [time for time, _ in page["frames"]]
    seen = [height for time, height in page["frames"] if time >= start_s]
    first_s = next((time for time in frames_s if time >= tapped_s), None)

    def increase(*names: str, media: str) -> float:
        return _sum(page, "inbound-rtp", *names, media=media) - _sum(
            before.receiver, "inbound-rtp", *names, media=media
        )

    samples = increase("totalSamplesReceived", media="audio")
    # What was never played, because there was no connection or no stream, was not heard either.
    silent = max(0.0, window_s * SAMPLE_RATE - samples) if samples < 0.9 * window_s * SAMPLE_RATE else 0.0
    return Outcome(
        frame_rate=frame_rate(frames_s, start_s, end_s),
        frozen=frozen_share(frames_s, start_s, end_s),
        concealed=(increase("concealedSamples", media="audio") + silent) / (samples + silent),
        first_frame_s=None if first_s is None else first_s - tapped_s,
        height=round(median(seen)) if seen else None,
        sent_bps=(after.offered_bytes - before.offered_bytes) * 8 / window_s,
        media_bps=(_media_bytes(after.sender) - _media_bytes(before.sender)) * 8 / window_s,
        their_frozen=increase("totalFreezesDuration", media="video") / window_s,
    )


# The two systems' calls: the courier is behind the network, the measured person taps last.


@contextlib.asynccontextmanager
async def _proofcall_call(
    proofcall: ProofcallPeer, chromium: Browser, network: AccessNetwork, direction: Direction
) -> AsyncIterator[tuple[Page, Page]]:
    case_id = await proofcall.open_case()
    near = f"127.0.0.1:{HTTP_PORT}"
    far = f"127.0.0.1:{await network.tcp_port('127.0.0.1', HTTP_PORT)}"
    async with contextlib.AsyncExitStack() as stack:

        async def page(role: str, at: str, way: AccessNetwork | None) -> Page:
            url = lobby(await proofcall.issue_link(case_id, role)).replace(near, at)
            return await stack.enter_async_context(
                browser.probed_page(chromium, url, probe="meter.js", network=way)
            )

        async def tap(page: Page) -> None:
            start = page.get_by_test_id("start-button")
            await start.wait_for(timeout=READY_MS)
            await start.evaluate("button => button.addEventListener('click', bench.tap, {capture: true})")
            await start.click()

        customer, courier = await page("customer", near, None), await page("courier", far, network)
        measured, other = (customer, courier) if direction == "uplink" else (courier, customer)
        await tap(other)
        await asyncio.sleep(SETTLE_S)
        await tap(measured)
        yield measured, other


@contextlib.asynccontextmanager
async def _janus_call(
    janus: JanusPeer, chromium: Browser, network: AccessNetwork, direction: Direction
) -> AsyncIterator[tuple[Page, Page]]:
    room = await janus.create_room()
    near = (ADDRESS, WEBSOCKET_PORT)
    far = ("127.0.0.1", await network.tcp_port(*near))
    async with contextlib.AsyncExitStack() as stack:

        async def page(way: AccessNetwork | None) -> Page:
            # Any address of this machine would do: the page needs a secure context, not its content.
            return await stack.enter_async_context(
                browser.probed_page(chromium, f"{URL}/healthz", probe="meter.js", network=way)
            )

        async def tap(page: Page, host: str, port: int) -> None:
            target = {"url": f"ws://{host}:{port}", "room": room, "camera": CAMERA}
            joining = asyncio.create_task(page.evaluate(browser.script("janus.js"), target))
            stack.callback(joining.cancel)

        customer, courier = await page(None), await page(network)
        people = [(courier, far), (customer, near)]
        (other, others_way), (measured, way) = people if direction == "uplink" else reversed(people)
        await tap(other, *others_way)
        await asyncio.sleep(SETTLE_S)
        await tap(measured, *way)
        yield measured, other


def _row(scenario: Scenario, outcomes: dict[str, Outcome | str], workshop: Workshop) -> Row:
    ours = outcomes["Proofcall"]
    reach = scenario.reach
    frozen = f"> {MOVES_FPS:.0f} fps" if reach.frozen is None else f"frozen ≤ {reach.frozen:.0f} %"
    beside = f"Janus {outcomes['Janus']}" if "Janus" in outcomes else f"Janus skipped: {workshop.no_janus}"
    return Row(
        part="loss",
        what=scenario.what,
        reach=f"{frozen}, concealed ≤ {reach.concealed:.0f} %",
        measured=str(ours),
        peers=beside,
        verdict=judge(isinstance(ours, Outcome) and ours.holds(reach)),
    )
