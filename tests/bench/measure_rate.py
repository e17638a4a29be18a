"""Calls over networks that carry little: what of it is used, what waits, what is seen and heard.

Each row limits the rate of one direction of a person's network, with a queue of 200 ms that drops its tail
and an RTT of 80 ms; headers count. Uplink: measured at the customer, who sees what got through; downlink: at
the courier. The two systems take turns row by row.

- `up-…`, `down-…`: a call of two pages, in steady state.
- `step`: a downlink falls from 2 Mbit/s to 150 kbit/s and comes back.
- `three`: three people watch one sender, through 2000, 300 and 100 kbit/s. Two cores bear no more than three
  pages: the sender's is the product's own, those of the two weak viewers are the benchmark's and send
  nothing, and the good viewer is a bot that sends feedback as a browser does, but paints nothing.
- `whole`: how long after the first picture of a call over good networks it is the camera's, size and all.
- `recorder`: what is kept of a sender whose only viewer has a good network and then 100 kbit/s, twice.

Use is what had the wire of the limited link, headers included, of what could have had it. Waiting is the time
in its queue, without a datagram's own time on the wire: at 100 kbit/s a full packet needs another 0.1 s. A
picture that stands in for a moving one is a frame like any other; below four frames a second the row tells
how old the picture became before the next one came. Where the machine was too slow for its senders, the row
says so: what is seen is then not the network's doing alone.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from tests.bench import browser
from tests.bench.access_network import access_network
from tests.bench.bot import BotFailed
from tests.bench.camera import HEIGHT
from tests.bench.page_call import Call, Direction, System, Systems, systems
from tests.bench.page_reading import Reading, Watched, watched
from tests.bench.page_view import View, Viewing, views
from tests.bench.proofcall_peer import ProofcallPeer
from tests.bench.recorded import Recorded, recorded
from tests.bench.smoothness import frame_rate, frozen_share
from tests.bench.table import Row, judge
from tests.bench.workshop import Workshop
from tests.link import IP_AND_UDP_BYTES, Conditions, Counters

ONE_WAY_S = 0.04  # RTT 80 ms: the courier's cell, a city away
QUEUE_S = 0.2
SEED = 20
WARM_UP_S = 10.0  # after the first picture: estimates have found their level, encoders too
WINDOW_S = 25.0
PHASE_S = 15.0  # of the step

FRESH_S = 8.0  # a sharp picture of a parcel that is so old at the most shows what is being talked about
MOVES_FPS = 4.0  # below it pictures are told by their age
SMOOTH_AFTER_S = 2.0  # after the step down
FULL_AFTER_S = 10.0  # after the step up
WHOLE_WITHIN_S = 1.0  # of the first picture: a snapshot may be taken of it
WANTED_FPS = 25.0  # of the camera (web/camera.js)
FULL_FPS = 0.8  # of the frame rate before the step: as full as it was
RECORDER_MAY_LOSE = 0.05
RECORDER_TURNS = 2
NOTABLY_SHORT = 0.05  # of the time: the sender's browser made the picture smaller for want of CPU

CLEAR = Conditions(delay_s=ONE_WAY_S)

Measured = TypeVar("Measured")


def limited(kbps: int, *, loss: float = 0.0) -> Conditions:
    return replace(CLEAR, rate_bps=kbps * 1e3, overhead_bytes=IP_AND_UDP_BYTES, queue_s=QUEUE_S, loss=loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What is asked for; `None` asks for nothing. Percent, frames a second, milliseconds."""

    frame_rate: float | None = None
    or_fresh: bool = False  # or stills, none of which stands there longer than FRESH_S
    frozen: float | None = None
    concealed: float | None = None
    use: float | None = None
    waiting: float | None = None  # the 95th percentile

    def is_held_by(self, outcome: "Outcome") -> bool:
        seen = outcome.watched
        enough = self.frame_rate is None or seen.frame_rate >= self.frame_rate
        return (
            (enough or (self.or_fresh and seen.longest_stand_s <= FRESH_S))
            and (self.frozen is None or seen.frozen * 100 <= self.frozen)
            and (self.concealed is None or seen.concealed * 100 <= self.concealed)
            and (self.use is None or outcome.use * 100 >= self.use)
            and (self.waiting is None or seen.link.wait_ms(95) <= self.waiting)
        )

    def __str__(self) -> str:
        fresh = f" or stills of {FRESH_S:.0f} s" if self.or_fresh else ""
        asked = [
            ("≥ {:.0f} fps" + fresh, self.frame_rate),
            ("frozen ≤ {:.0f} %", self.frozen),
            ("concealed ≤ {:.0f} %", self.concealed),
            ("use ≥ {:.0f} %", self.use),
            ("waiting p95 ≤ {:.0f} ms", self.waiting),
        ]
        return ", ".join(words.format(value) for words, value in asked if value is not None)


WELL_FED = Reach(frozen=1, concealed=1, use=80, waiting=150)
# With uplinks, what there is to see is the sender's browser's choice; its use of the link is ours to drive.
REACHES: dict[tuple[Direction, int], Reach] = {
    ("uplink", 2000): WELL_FED,
    ("uplink", 700): WELL_FED,
    ("uplink", 300): WELL_FED,
    ("uplink", 150): Reach(concealed=2),
    ("uplink", 100): Reach(concealed=2),
    ("uplink", 64): Reach(),
    ("downlink", 2000): WELL_FED,
    ("downlink", 700): WELL_FED,
    ("downlink", 300): Reach(frame_rate=12, frozen=0, concealed=1, use=80, waiting=150),
    ("downlink", 150): Reach(frame_rate=MOVES_FPS, or_fresh=True, concealed=2),
    ("downlink", 100): Reach(frame_rate=MOVES_FPS, or_fresh=True, concealed=2),
    ("downlink", 64): Reach(),
}
LOSSY = Reach(frame_rate=12, frozen=1, concealed=1, use=80, waiting=150)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A row in steady state: which direction is limited, and how."""

    name: str
    what: str
    direction: Direction
    conditions: Conditions
    reach: Reach


SCENARIOS = [
    *(
        Scenario(
            name=f"{direction.removesuffix('link')}-{kbps}",
            what=f"{direction} of {kbps} kbit/s",
            direction=direction,
            conditions=limited(kbps),
            reach=reach,
        )
        for (direction, kbps), reach in REACHES.items()
    ),
    Scenario(
        name="down-300-lossy",
        what="downlink of 300 kbit/s with 5 % loss",
        direction="downlink",
        conditions=limited(300, loss=0.05),
        reach=LOSSY,
    ),
]
STEP, THREE, WHOLE, RECORDER = "step", "three", "whole", "recorder"
ROWS = (*(scenario.name for scenario in SCENARIOS), STEP, THREE, WHOLE, RECORDER)
STEP_KBPS = (2000, 150, 2000)
GOOD_KBPS, WEAK_KBPS = 2000, (300, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came through a limited link, and what the recorder got of the sender meanwhile."""

    watched: Watched
    use: float
    recorded: Recorded | None = None

    def __str__(self) -> str:
        seen = self.watched
        age = "" if seen.frame_rate >= MOVES_FPS else f" (none older than {seen.longest_stand_s:.1f} s)"
        kept = "" if self.recorded is None else f", recorded {self.recorded}"
        return (
            f"{seen.frame_rate:.1f} fps{age}, frozen {seen.frozen:.1%}, concealed {seen.concealed:.1%}, "
            f"{seen.height or 0} lines, waiting {_waiting(seen.link)}, use {self.use:.0%}{kept}{_short(seen)}"
        )


def _short(seen: Watched) -> str:
    if seen.short_of_cpu <= NOTABLY_SHORT:
        return ""
    return f", sender short of CPU {seen.short_of_cpu:.0%} of the time"


def _waiting(link: Counters) -> str:
    return f"{link.wait_ms(50)} / {link.wait_ms(95)} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What came of a fall and a rise of the rate."""

    falls_to: Outcome
    concealed: float  # from the fall to the end
    frozen_later: float  # from SMOOTH_AFTER_S after the fall to the rise
    full_after_s: float | None  # from the rise, as full as before the fall
    height: int | None  # before the fall

    def is_held(self) -> bool:
        return (
            self.concealed * 100 <= 1
            and self.frozen_later == 0
            and self.full_after_s is not None
            and self.full_after_s <= FULL_AFTER_S
        )

    def __str__(self) -> str:
        full = "not again" if self.full_after_s is None else f"again in {self.full_after_s:.1f} s"
        return (
            f"concealed {self.concealed:.1%}, frozen {self.frozen_later:.1%} from {SMOOTH_AFTER_S:.0f} s on, "
            f"{self.height or 0} lines {full}; meanwhile {self.falls_to}"
        )


async def measure_rate(workshop: Workshop) -> list[Row]:
    if (reason := browser.missing()) is not None:
        return [Row(part="rate", what="a call over little", reach="", measured=f"skipped: {reason}")]
    rows: list[Row] = []
    async with systems(workshop) as both:
        for scenario in SCENARIOS:
            if workshop.wants(scenario.name):
                rows.append(await _steady_row(scenario, both, workshop))
        if workshop.wants(STEP):
            rows.append(await _step_row(both, workshop))
        if workshop.wants(THREE):
            rows += await _three_rows(both, workshop)
        if workshop.wants(WHOLE):
            rows.append(await _whole_row(both, workshop))
        if workshop.wants(RECORDER):
            rows.append(await _recorder_row(both, workshop))
    return rows


def _beside(theirs: object, workshop: Workshop) -> str:
    return f"Janus skipped: {workshop.no_janus}" if theirs is None else f"Janus {theirs}"


async def _in_turn(
    row: str, both: Systems, workshop: Workshop, measure: Callable[[Call], Awaitable[Measured]]
) -> dict[System, Measured | str]:
    """What each system comes to, or why it does not."""
    outcomes: dict[System, Measured | str] = {}
    for name, call in both.calls().items():
        try:
            outcome: Measured | str = await measure(call)
        except (BotFailed, TimeoutError) as error:
            outcome = f"failed: {error}"
        workshop.say(f"{row:16} {name:10} {outcome}")
        outcomes[name] = outcome
    return outcomes


# A call of two, in steady state.


async def _steady_row(scenario: Scenario, both: Systems, workshop: Workshop) -> Row:
    window_s = workshop.window_s or WINDOW_S
    outcomes = await _in_turn(
        scenario.name, both, workshop, lambda call: _steady(both, call, scenario, window_s)
    )
    ours = outcomes["Proofcall"]
    held = isinstance(ours, Outcome) and scenario.reach.is_held_by(ours)
    return Row(
        part="rate",
        what=scenario.what,
        reach=str(scenario.reach),
        measured=str(ours),
        peers=_beside(outcomes.get("Janus"), workshop),
        verdict=judge(held) if str(scenario.reach) else "–",
    )


async def _steady(both: Systems, call: Call, scenario: Scenario, window_s: float) -> Outcome:
    directions = {"uplink": CLEAR, "downlink": CLEAR} | {scenario.direction: scenario.conditions}
    async with (
        access_network(**directions, seed=SEED) as network,
        call(both.chromium, network, scenario.direction) as pages,
    ):
        await pages.first_picture()
        await asyncio.sleep(WARM_UP_S)
        before = await Reading.take(network, scenario.direction, pages.measured, pages.other)
        await asyncio.sleep(window_s)
        after = await Reading.take(network, scenario.direction, pages.measured, pages.other)
        kept = None
        if pages.case_id is not None:
            sender = "courier" if scenario.direction == "uplink" else "customer"
            kept = await _kept(both.proofcall, pages.case_id, sender, before.taken_at, after.taken_at)
    return _outcome(before, after, scenario.conditions, kept)


def _outcome(
    before: Reading, after: Reading, conditions: Conditions, kept: Recorded | None = None
) -> Outcome:
    assert conditions.rate_bps is not None
    seen = watched(before, after)
    use = seen.link.wire_bytes * 8 / (conditions.rate_bps * seen.seconds)
    return Outcome(watched=seen, use=use, recorded=kept)


async def _kept(
    proofcall: ProofcallPeer, case_id: str, role: str, since: datetime, until: datetime
) -> Recorded:
    segments = await proofcall.journal(case_id, role, until)
    return await asyncio.to_thread(recorded, segments, since, until)


# A fall and a rise.


async def _step_row(both: Systems, workshop: Workshop) -> Row:
    phase_s = workshop.window_s or PHASE_S
    outcomes = await _in_turn(STEP, both, workshop, lambda call: _step(both, call, phase_s))
    ours = outcomes["Proofcall"]
    return Row(
        part="rate",
        what=f"downlink of {' → '.join(map(str, STEP_KBPS))} kbit/s",
        reach=f"concealed ≤ 1 %, not frozen {SMOOTH_AFTER_S:.0f} s after the fall, "
        f"full picture {FULL_AFTER_S:.0f} s after the rise",
        measured=str(ours),
        peers=_beside(outcomes.get("Janus"), workshop),
        verdict=judge(isinstance(ours, Step) and ours.is_held()),
    )


async def _step(both: Systems, call: Call, phase_s: float) -> Step:
    high, low, again = map(limited, STEP_KBPS)
    async with (
        access_network(uplink=CLEAR, downlink=high, seed=SEED) as network,
        call(both.chromium, network, "downlink") as pages,
    ):

        async def reading() -> Reading:
            return await Reading.take(network, "downlink", pages.measured, pages.other)

        await pages.first_picture()
        await asyncio.sleep(WARM_UP_S)
        began = await reading()
        await asyncio.sleep(phase_s)
        fall = await reading()
        await network.change(downlink=low)
        await asyncio.sleep(phase_s)
        rise = await reading()
        await network.change(downlink=again)
        await asyncio.sleep(phase_s)
        end = await reading()
    before = watched(began, fall)
    frames = [(time, height) for time, height in end.receiver["frames"]]
    fall_s, rise_s = fall.receiver["now"], rise.receiver["now"]
    return Step(
        falls_to=_outcome(fall, rise, low),
        concealed=watched(fall, end).concealed,
        frozen_later=frozen_share([time for time, _ in frames], fall_s + SMOOTH_AFTER_S, rise_s),
        full_after_s=full_after_s(frames, rise_s, end.receiver["now"], before.height, before.frame_rate),
        height=before.height,
    )


def full_after_s(
    frames: list[tuple[float, int]], since_s: float, until_s: float, height: int | None, rate: float
) -> float | None:
    """How long until there is a second of nothing but pictures of that height, about as many as before;
    `None` if there is none within the window, or was none before.
    """
    if height is None:
        return None
    for start_s, _ in frames:
        if not since_s <= start_s <= until_s - 1:
            continue
        second = [(time, lines) for time, lines in frames if start_s <= time < start_s + 1]
        as_many = frame_rate([time for time, _ in second], start_s, start_s + 1) >= FULL_FPS * rate
        if as_many and all(lines >= height for _, lines in second):
            return start_s - since_s
    return None


# The first pictures.


async def _whole_row(both: Systems, workshop: Workshop) -> Row:
    window_s = workshop.window_s or WINDOW_S
    outcomes = await _in_turn(WHOLE, both, workshop, lambda call: _whole_after_s(both, call, window_s))
    ours = outcomes["Proofcall"]
    return Row(
        part="rate",
        what=f"first picture → all {HEIGHT} lines of the camera, good networks",
        reach=f"≤ {WHOLE_WITHIN_S:.0f} s",
        measured=_seconds(ours),
        peers=_beside(_seconds(outcomes["Janus"]) if "Janus" in outcomes else None, workshop),
        verdict=judge(isinstance(ours, float) and ours <= WHOLE_WITHIN_S),
    )


async def _whole_after_s(both: Systems, call: Call, window_s: float) -> float | str:
    async with (
        access_network(uplink=CLEAR, downlink=CLEAR, seed=SEED) as network,
        call(both.chromium, network, "downlink") as pages,
    ):
        await pages.first_picture()
        await asyncio.sleep(window_s)
        reading = await Reading.take(network, "downlink", pages.measured, pages.other)
    frames = [(time, height) for time, height in reading.receiver["frames"]]
    after_s = full_after_s(frames, frames[0][0], reading.receiver["now"], HEIGHT, WANTED_FPS)
    return f"not within {window_s:.0f} s" if after_s is None else after_s


def _seconds(outcome: float | str) -> str:
    return outcome if isinstance(outcome, str) else f"{outcome:.1f} s"


# One sender, and who watches.


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What each viewer of one sender got in the same window, and what the recorder got."""

    good_bps: float | None  # of the bot, with all headers
    viewers: list[Outcome]
    recorded: Recorded | None


async def _see(both: Systems, view: View, good: Conditions, weak: list[Conditions], window_s: float) -> Seen:
    async with contextlib.AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(
                access_network(uplink=CLEAR, downlink=conditions, seed=SEED + index)
            )
            for index, conditions in enumerate([*weak, good])
        ]
        viewing = await stack.enter_async_context(view(both.chromium, networks[: len(weak)], networks[-1]))
        await viewing.first_pictures()
        await asyncio.sleep(WARM_UP_S)
        since = datetime.now(UTC)
        before, good_before = await _readings(viewing)
        await asyncio.sleep(window_s)
        after, good_after = await _readings(viewing)
        kept = None
        if viewing.case_id is not None:
            kept = await _kept(both.proofcall, viewing.case_id, "customer", since, datetime.now(UTC))
    outcomes = [
        _outcome(earlier, later, conditions)
        for earlier, later, conditions in zip(before, after, weak, strict=True)
    ]
    good_bps = None
    if good_before is not None and good_after is not None:
        good_bps = good_after.since(good_before).wire_bytes * 8 / window_s
    return Seen(good_bps=good_bps, viewers=outcomes, recorded=kept)


async def _readings(viewing: Viewing) -> tuple[list[Reading], Counters | None]:
    readings = [
        await Reading.take(network, "downlink", page, viewing.sender) for page, network in viewing.viewers
    ]
    return readings, None if viewing.bots_network is None else (await viewing.bots_network.counters())[1]


async def _three_rows(both: Systems, workshop: Workshop) -> list[Row]:
    seen: dict[System, Seen | str] = {}
    for name, view in views(both).items():
        try:
            outcome: Seen | str = await _see(
                both, view, limited(GOOD_KBPS), [*map(limited, WEAK_KBPS)], workshop.window_s or WINDOW_S
            )
        except (BotFailed, TimeoutError) as error:
            outcome = f"failed: {error}"
        workshop.say(f"{THREE:16} {name:10} {outcome if isinstance(outcome, str) else _told(outcome)}")
        seen[name] = outcome
    ours, theirs = seen["Proofcall"], seen.get("Janus")
    rows = [
        Row(
            part="rate",
            what=f"one sender, three viewers: the one of {kbps} kbit/s",
            reach=str(REACHES["downlink", kbps]),
            measured=ours if isinstance(ours, str) else str(ours.viewers[index]),
            peers=_beside(theirs.viewers[index] if isinstance(theirs, Seen) else theirs, workshop),
            verdict=judge(
                isinstance(ours, Seen) and REACHES["downlink", kbps].is_held_by(ours.viewers[index])
            ),
        )
        for index, kbps in enumerate(WEAK_KBPS)
    ]
    rows.append(
        Row(
            part="rate",
            what=f"one sender, three viewers: the one of {GOOD_KBPS} kbit/s, and the recorder",
            reach="the viewer gets what the recorder gets",
            measured=ours if isinstance(ours, str) else _good(ours),
            peers=_beside(_good(theirs) if isinstance(theirs, Seen) else theirs, workshop),
            verdict=judge(
                isinstance(ours, Seen)
                and ours.good_bps is not None
                and ours.recorded is not None
                and ours.good_bps >= (1 - RECORDER_MAY_LOSE) * ours.recorded.bitrate_bps
            ),
        )
    )
    return rows


def _told(seen: Seen) -> str:
    return "; ".join([*map(str, seen.viewers), _good(seen)])


def _good(seen: Seen) -> str:
    kept = "" if seen.recorded is None else f"; recorded {seen.recorded}"
    return f"{(seen.good_bps or 0) / 1e3:.0f} kbit/s with sound and headers{kept}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the recorder got in one window, and whether its sender could have sent more."""

    recorded: Recorded
    short: str

    def __str__(self) -> str:
        return f"{self.recorded}{self.short}"


async def _recorder_row(both: Systems, workshop: Workshop) -> Row:
    try:
        good, weak = await _take_turns(both, workshop.window_s or WINDOW_S)
    except (BotFailed, TimeoutError) as error:
        measured, held = f"failed: {error}", False
    else:
        rates = [sum(one.recorded.bitrate_bps for one in turns) for turns in (good, weak)]
        change = rates[1] / rates[0] - 1 if rates[0] else -1.0
        same = len({one.recorded.height for one in (*good, *weak)}) == 1
        held = abs(change) < RECORDER_MAY_LOSE and same
        measured = f"{_turns(good)} → {_turns(weak)}: {change:+.1%}"
    workshop.say(f"{RECORDER:16} {'Proofcall':10} {measured}")
    return Row(
        part="rate",
        what=f"recorded of a sender whose viewer has {GOOD_KBPS} → {WEAK_KBPS[-1]} kbit/s",
        reach=f"changes by < {RECORDER_MAY_LOSE:.0%}",
        measured=measured,
        peers="Janus was not asked to record",
        verdict=judge(held),
    )


def _turns(turns: list[Kept]) -> str:
    return " and ".join(map(str, turns))


async def _take_turns(both: Systems, window_s: float) -> tuple[list[Kept], list[Kept]]:
    """One call, whose viewer's network becomes weak and good again: two calls differ by themselves."""
    readings: list[tuple[Reading, Reading]] = []
    kbps = (GOOD_KBPS, WEAK_KBPS[-1]) * RECORDER_TURNS
    async with (
        access_network(uplink=CLEAR, downlink=limited(kbps[0]), seed=SEED) as network,
        views(both)["Proofcall"](both.chromium, [network], None) as viewing,
    ):
        await viewing.first_pictures()
        for one in kbps:
            await network.change(downlink=limited(one))
            await asyncio.sleep(WARM_UP_S)
            ([before], _) = await _readings(viewing)
            await asyncio.sleep(window_s)
            ([after], _) = await _readings(viewing)
            readings.append((before, after))
        assert viewing.case_id is not None
        segments = await both.proofcall.journal(viewing.case_id, "customer", readings[-1][1].taken_at)
    kept: list[Kept] = []
    for before, after in readings:
        got = await asyncio.to_thread(recorded, segments, before.taken_at, after.taken_at)
        seen = watched(before, after)
        rate = f", sender short of rate {seen.short_of_rate:.0%} of the time" if seen.short_of_rate else ""
        kept.append(Kept(recorded=got, short=_short(seen) + rate))
    return kept[0::2], kept[1::2]
