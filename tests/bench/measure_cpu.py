"""CPU for each forwarded packet, and the delay of forwarding, with 1, 8 and 20 two-party calls; 60 of ours
alone; and with as many forwarded streams in calls of three.

All servers run; one at a time has calls that send. They take turns, so that a slow minute of the machine
hits everyone. The time is user + system of the server's processes; the packets are those that bots received,
without those that servers send to probe a network. All bots tell what arrived (transport-wide feedback).
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.bot import Bot
from tests.bench.janus_peer import JanusPeer
from tests.bench.peer import Peer, running, sending
from tests.bench.processes import busy_s
from tests.bench.proofcall_peer import ProofcallPeer
from tests.bench.table import Row, judge, percentile, span
from tests.bench.workshop import Workshop

CALLS = (1, 8, 20)
CROWD_CALLS = 60  # ours alone: the bots of more than one server at a time would need cores of their own
REACH = 0.6  # × Janus
THREE_PARTY_CALLS = 7  # 42 streams are forwarded, as in 20 or 21 calls of two
TURNS = 2
WINDOW_S = 10.0  # /proc counts in steps of 10 ms; one call costs about ten steps in this time
WARM_UP_S = 1.0  # keyframes have been asked for and sent
MEDIA_RELAY_CALLS = 1  # it takes half a core for each


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One server's turn."""

    cpu_us: float  # for each packet that arrived
    arrived: float  # of the packets sent, a fraction
    cores: float  # that the server kept busy
    others: float  # cores that were busy with neither this server nor the bots
    delays_ms: Sequence[float]


async def measure_cpu(workshop: Workshop) -> list[Row]:
    windows: defaultdict[tuple[str, int], list[Window]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        peers: list[Peer] = [await stack.enter_async_context(running(workshop.proofcall()))]
        if (janus := workshop.janus()) is not None:
            peers.append(await stack.enter_async_context(running(janus)))
        bots: dict[str, list[Bot]] = {peer.name: [] for peer in peers}
        connected = 0
        for calls in CALLS:
            for peer in peers:
                for _ in range(calls - connected):
                    bots[peer.name] += await peer.connect_call()
            connected = calls
            async with contextlib.AsyncExitStack() as guests:
                present = list(peers)
                media_relay = workshop.media_relay()
                if media_relay is not None and calls == MEDIA_RELAY_CALLS:
                    present.append(await guests.enter_async_context(running(media_relay)))
                    bots[media_relay.name] = await media_relay.connect_call()
                for _ in range(TURNS):
                    for peer in present:
                        windows[peer.name, calls].append(await watch(peer, bots[peer.name]))
        for _ in range(CROWD_CALLS - connected):
            bots["Proofcall"] += await peers[0].connect_call()
        crowd = await watch(peers[0], bots["Proofcall"])
    return [*_rows(windows, workshop), *_crowd_rows(crowd), *await _measure_three(workshop)]


async def _measure_three(workshop: Workshop) -> list[Row]:
    """Both servers afresh: what is left of earlier calls costs, too."""
    windows: defaultdict[str, list[Window]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        peers: list[ProofcallPeer | JanusPeer] = [
            await stack.enter_async_context(running(workshop.proofcall()))
        ]
        if (janus := workshop.janus()) is not None:
            peers.append(await stack.enter_async_context(running(janus)))
        bots = {
            peer.name: [bot for _ in range(THREE_PARTY_CALLS) for bot in await peer.connect_call(people=3)]
            for peer in peers
        }
        for _ in range(TURNS):
            for peer in peers:
                windows[peer.name].append(await watch(peer, bots[peer.name], people=3))
    ours, theirs = windows["Proofcall"], windows.get("Janus")
    ours_us = _mean_us(ours)
    return [
        Row(
            part="cpu",
            what=f"CPU a forwarded packet, {THREE_PARTY_CALLS} calls of three",
            reach="",
            measured=f"{ours_us:.0f} µs",
            noise=span([turn.cpu_us for turn in ours]),
            peers=f"Janus skipped: {workshop.no_janus}"
            if theirs is None
            else _beside("Janus", ours_us, theirs),
        ),
        Row(
            part="cpu",
            what=f"forwarding delay, p99, and packets that arrived, {THREE_PARTY_CALLS} calls of three",
            reach="",
            measured=_delay_and_arrived(ours),
            peers="" if theirs is None else f"Janus {_delay_and_arrived(theirs)}",
        ),
    ]


def _delay_and_arrived(turns: list[Window]) -> str:
    delay_ms = percentile([delay_ms for turn in turns for delay_ms in turn.delays_ms], 99)
    return f"{delay_ms:.2f} ms, {min(turn.arrived for turn in turns):.2%}"


def _mean_us(turns: list[Window]) -> float:
    return sum(turn.cpu_us for turn in turns) / len(turns)


def _beside(name: str, ours_us: float, turns: list[Window]) -> str:
    theirs_us = _mean_us(turns)
    ratio = f"{ours_us / theirs_us:.2f}" if ours_us > theirs_us / 10 else f"1/{theirs_us / ours_us:.0f}"
    return f"{name} {theirs_us:,.0f} µs ({span([turn.cpu_us for turn in turns])}): ours is {ratio} ×"


async def watch(peer: Peer, bots: list[Bot], *, people: int = 2) -> Window:
    """One turn of a server whose calls of so many people are connected."""
    with sending(bots):
        await asyncio.sleep(WARM_UP_S)
        for bot in bots:
            bot.reset_counters()
        before_s, bots_before_s, busy_before_s = peer.server.cpu_s(), time.process_time(), busy_s()
        await asyncio.sleep(WINDOW_S)
        cpu_s = peer.server.cpu_s() - before_s
        others_s = busy_s() - busy_before_s - cpu_s - (time.process_time() - bots_before_s)
    received = sum(bot.received_packets for bot in bots)
    return Window(
        cpu_us=cpu_s * 1e6 / received,
        cores=cpu_s / WINDOW_S,
        arrived=received / (sum(bot.sent_packets for bot in bots) * (people - 1)),
        others=max(0.0, others_s / WINDOW_S),
        delays_ms=[delay_ns / 1e6 for bot in bots for delay_ns in bot.delays_ns],
    )


def _rows(windows: dict[tuple[str, int], list[Window]], workshop: Workshop) -> list[Row]:
    def cpu(name: str, calls: int) -> float:
        return _mean_us(windows[name, calls])

    rows: list[Row] = []
    for calls in CALLS:
        ours = cpu("Proofcall", calls)
        peers: list[str] = []
        for name in ("Janus", "MediaRelay"):
            if (name, calls) in windows:
                peers.append(_beside(name, ours, windows[name, calls]))
            elif name == "Janus" and workshop.no_janus:
                peers.append(f"Janus skipped: {workshop.no_janus}")
            elif name == "MediaRelay" and workshop.no_media_relay and calls == MEDIA_RELAY_CALLS:
                peers.append(f"MediaRelay skipped: {workshop.no_media_relay}")
        judged = ("Janus", calls) in windows and calls == CALLS[-1]
        rows.append(
            Row(
                part="cpu",
                what=f"CPU a forwarded packet, {calls} calls of two",
                reach=f"≤ {REACH} × Janus" if calls == CALLS[-1] else "",
                measured=f"{ours:.0f} µs",
                noise=span([turn.cpu_us for turn in windows["Proofcall", calls]]),
                peers="; ".join(peers),
                verdict=judge(ours <= REACH * cpu("Janus", calls)) if judged else "–",
            )
        )
    most = CALLS[-1]
    delay = {
        name: [percentile(turn.delays_ms, 99) for turn in windows[name, most]] for name in _both(windows)
    }
    turns = windows["Proofcall", most]
    ours_ms = percentile([delay_ms for turn in turns for delay_ms in turn.delays_ms], 99)
    rows.append(
        Row(
            part="cpu",
            what=f"forwarding delay, p99, {most} calls",
            reach="≤ 10 ms",
            measured=f"{ours_ms:.2f} ms",
            noise=span(delay["Proofcall"], 2),
            peers=f"Janus {span(delay['Janus'], 2)} ms" if "Janus" in delay else "",
            verdict=judge(ours_ms <= 10),
        )
    )
    rows.append(
        Row(
            part="cpu",
            what=f"packets that arrived, {most} calls",
            reach="",
            measured=f"{min(turn.arrived for turn in turns):.2%}",
            peers="; ".join(
                f"{name} {min(turn.arrived for turn in windows[name, most]):.2%}"
                for name in _both(windows)
                if name != "Proofcall"
            ),
        )
    )
    everywhere = [turn.others for turns in windows.values() for turn in turns]
    rows.append(
        Row(
            part="cpu",
            what="cores that others kept busy meanwhile",
            reach="a quiet machine",
            measured=f"{sum(everywhere) / len(everywhere):.2f}",
            noise=span(everywhere, 2),
        )
    )
    return rows


def _crowd_rows(crowd: Window) -> list[Row]:
    """The bots need the other core for themselves at this size: their own waiting is in the delay, too."""
    delay_ms = percentile(crowd.delays_ms, 99)
    return [
        Row(
            part="cpu",
            what=f"{CROWD_CALLS} calls of two: cores of the relay; packets that arrived",
            reach="≤ 1 core; ≥ 99.9 %",
            measured=f"{crowd.cores:.2f}; {crowd.arrived:.2%} ({crowd.cpu_us:.0f} µs a packet)",
            verdict=judge(crowd.cores <= 1 and crowd.arrived >= 0.999),
        ),
        Row(
            part="cpu",
            what=f"forwarding delay, p50 / p99, {CROWD_CALLS} calls, the bots' own waiting included",
            reach="≤ 10 ms",
            measured=f"{percentile(crowd.delays_ms, 50):.2f} / {delay_ms:.2f} ms",
            verdict=judge(delay_ms <= 10),
        ),
    ]


def _both(windows: dict[tuple[str, int], list[Window]]) -> list[str]:
    return [name for name in ("Proofcall", "Janus") if (name, CALLS[-1]) in windows]
