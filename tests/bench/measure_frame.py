"""From the press of the shutter to the frame, decoded, sealed and durable: `take_frame` to its `ack`.

Two bots are in a call; the picture is VGA at 1 Mbit/s with a keyframe every four seconds, so that presses
find tails of every length.
"""

import asyncio
import time

from tests.bench.media_source import HEIGHT, LOOP_S, WIDTH
from tests.bench.peer import running, sending
from tests.bench.table import Row, judge, percentile, span
from tests.bench.workshop import Workshop

PRESSES = 30
BETWEEN_S = LOOP_S / PRESSES * 1.7  # the presses wander through the loop, almost twice
WARM_UP_S = 1.0
REACH_P95_MS = 250


async def measure_frame(workshop: Workshop) -> list[Row]:
    delays_ms: list[float] = []
    async with running(workshop.proofcall()) as proofcall:
        case_id = await proofcall.open_case()
        customer = await proofcall.join(case_id, "customer", stamps=False)
        courier = await proofcall.join(case_id, "courier", stamps=False)
        with sending([customer.bot, courier.bot]):
            await asyncio.sleep(WARM_UP_S)
            for _ in range(PRESSES):
                pressed = time.monotonic()
                answer = await customer.command({"kind": "take_frame", "of": courier.actor_id})
                delays_ms.append((time.monotonic() - pressed) * 1_000)
                await proofcall.require_kind(case_id, int(answer["number"]), "frame_sealed")
                await asyncio.sleep(BETWEEN_S)
    p95_ms = percentile(delays_ms, 95)
    return [
        Row(
            part="frame",
            what=f"press → frame sealed and durable ({WIDTH}×{HEIGHT}), p50 / p95 of {PRESSES}",
            reach=f"≤ {REACH_P95_MS} ms p95",
            measured=f"{percentile(delays_ms, 50):.0f} / {p95_ms:.0f} ms",
            noise=span(delays_ms),
            verdict=judge(p95_ms <= REACH_P95_MS),
        )
    ]
