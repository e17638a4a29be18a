"""A two-way call of two Chromium pages, one of them behind a bad access network: what the other side sees.

Each row impairs one direction of the courier's network. Uplink: measured at the customer, who sees what got
through; downlink: at the courier. The measured person taps last, into a call in which the other already is.
The two systems take turns row by row.

What repair cost is told in bytes and the same for both: everything that was sent into the impaired direction
(lost or not; retransmissions, redundancy, headers, feedback) beside the media that the sending browser made
for it: its RTP payloads, retransmissions left out, and half of what it sent as RED, which says everything
twice. Without loss, headers and feedback make that about 1.1. A relay that sends less than it got lowers it.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from playwright.async_api import Browser

from tests.bench import browser
from tests.bench.access_network import access_network
from tests.bench.bot import BotFailed
from tests.bench.page_call import Call, Direction, systems
from tests.bench.page_reading import Json, Reading, Watched, counted, watched
from tests.bench.table import Row, judge
from tests.bench.workshop import Workshop
from tests.link import Conditions

ONE_WAY_S = 0.04  # RTT 80 ms: the courier's cell, a city away
FAR_ONE_WAY_S = 0.2  # RTT 400 ms: another continent, or a cell whose queues are full
BURST = 5.0  # datagrams: a fade of some 50 ms
WARM_UP_S = 5.0  # after the first picture, which has a column of its own: the rate has found its level
WINDOW_S = 25.0
SEED = 20


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

    watched: Watched
    first_frame_s: float | None
    sent_bps: float  # into the impaired direction
    media_bps: float  # of it, made by the sending browser

    def holds(self, reach: Reach) -> bool:
        """Whether this is good enough."""
        seen = self.watched
        if seen.concealed * 100 > reach.concealed:
            return False
        return seen.frame_rate > MOVES_FPS if reach.frozen is None else seen.frozen * 100 <= reach.frozen

    def __str__(self) -> str:
        seen = self.watched
        first = "never" if self.first_frame_s is None else f"{self.first_frame_s:.1f} s"
        return (
            f"{seen.frame_rate:.1f} fps, frozen {seen.frozen:.1%}, concealed {seen.concealed:.1%}, "
            f"first {first}, {seen.height or 0} lines, sent {self.sent_bps / self.media_bps:.2f} × "
            f"{self.media_bps / 1e3:.0f} kbit/s"
        )


async def measure_loss(workshop: Workshop) -> list[Row]:
    if (reason := browser.missing()) is not None:
        return [Row(part="loss", what="a call under loss", reach="", measured=f"skipped: {reason}")]
    scenarios = [each for each in SCENARIOS if workshop.wants(each.name)]
    window_s = workshop.window_s or WINDOW_S
    outcomes: defaultdict[str, dict[str, Outcome | str]] = defaultdict(dict)
    async with systems(workshop) as both:
        for scenario in scenarios:
            for name, call in both.calls().items():
                try:
                    outcome: Outcome | str = await _watch(both.chromium, call, scenario, window_s)
                except (BotFailed, TimeoutError) as error:
                    outcome = f"failed: {error}"
                workshop.say(f"{scenario.name:16} {name:10} {_told(outcome)}")
                outcomes[scenario.name][name] = outcome
    return [_row(scenario, outcomes[scenario.name], workshop) for scenario in scenarios]


def _told(outcome: Outcome | str) -> str:
    if isinstance(outcome, str):
        return outcome
    return f"{outcome} (libwebrtc counts {outcome.watched.their_frozen:.1%} frozen)"


async def _watch(chromium: Browser, call: Call, scenario: Scenario, window_s: float) -> Outcome:
    conditions = {"uplink": scenario.other, "downlink": scenario.other} | {
        scenario.direction: scenario.impaired
    }
    async with (
        access_network(**conditions, seed=SEED) as network,
        call(chromium, network, scenario.direction) as pages,
    ):
        await pages.first_picture()
        await asyncio.sleep(WARM_UP_S)
        before = await Reading.take(network, scenario.direction, pages.measured, pages.other)
        await asyncio.sleep(window_s)
        after = await Reading.take(network, scenario.direction, pages.measured, pages.other)
    return _outcome(before, after)


def _media_bytes(page: Json) -> float:
    """What a browser sent for the first time and once."""
    return (
        counted(page, "outbound-rtp", "bytesSent")
        - counted(page, "outbound-rtp", "retransmittedBytesSent")
        - counted(page, "outbound-rtp", "bytesSent", codec="/red") / 2
    )


def _outcome(before: Reading, after: Reading) -> Outcome:
    page, seen = after.receiver, watched(before, after)
    tapped_s = page["tapped_at"]
    first_s = next((time for time, _ in page["frames"] if time >= tapped_s), None)
    return Outcome(
        watched=seen,
        first_frame_s=None if first_s is None else first_s - tapped_s,
        sent_bps=seen.link.offered_bytes * 8 / seen.seconds,
        media_bps=(_media_bytes(after.sender) - _media_bytes(before.sender)) * 8 / seen.seconds,
    )


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
