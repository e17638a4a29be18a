"""Resident memory for each participant: what the server grows by when as many bots again come and send."""

import asyncio
import contextlib
import itertools

from tests.bench.bot import Bot
from tests.bench.media_source import LOOP_S
from tests.bench.peer import Peer, running, sending
from tests.bench.table import Row, judge, span
from tests.bench.workshop import Workshop

CALLS = 8  # at a time: sixteen participants
STEPS = 3  # two differences
SETTLE_S = LOOP_S + 2.0  # a whole loop is kept for frames, two seconds for repair
REACH_MIB = 2.0


async def measure_memory(workshop: Workshop) -> list[Row]:
    growth_mib: dict[str, list[float]] = {}
    async with contextlib.AsyncExitStack() as stack:
        peers: list[Peer] = [await stack.enter_async_context(running(workshop.proofcall()))]
        if (janus := workshop.janus()) is not None:
            peers.append(await stack.enter_async_context(running(janus)))
        for peer in peers:
            growth_mib[peer.name] = await _watch(peer)
    ours = growth_mib["Proofcall"]
    mean_mib = sum(ours) / len(ours)
    return [
        Row(
            part="memory",
            what=f"memory a participant, {2 * CALLS} to {2 * CALLS * STEPS} of them sending",
            reach=f"≤ {REACH_MIB:.0f} MiB",
            measured=f"{mean_mib:.2f} MiB",
            noise=span(ours, 2),
            peers=f"Janus {span(growth_mib['Janus'], 2)} MiB"
            if "Janus" in growth_mib
            else f"Janus skipped: {workshop.no_janus}",
            verdict=judge(mean_mib <= REACH_MIB),
        )
    ]


async def _watch(peer: Peer) -> list[float]:
    """The growth a participant between one step and the next."""
    sizes: list[int] = []
    with contextlib.ExitStack() as stack:
        for _ in range(STEPS):
            newcomers: list[Bot] = []
            for _ in range(CALLS):
                newcomers += await peer.connect_call()
            stack.enter_context(sending(newcomers))
            await asyncio.sleep(SETTLE_S)
            sizes.append(peer.server.resident_bytes())
    return [(after - before) / (2 * CALLS) / (1 << 20) for before, after in itertools.pairwise(sizes)]
