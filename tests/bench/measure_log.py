"""The evidence log: durable entries a second with fifty writers, and the verification of a package."""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

from server.evidence.entry import Draft
from server.evidence.verify import verify_package
from server.export import export_package
from server.store.blobs import BlobStore
from server.store.log import LogStore
from tests.bench.bot import BotFailed
from tests.bench.table import Row, judge, span
from tests.bench.workshop import Workshop

WRITERS = 50
TURNS = 3
TURN_S = 4.0
REACH_WRITTEN = 2_000
PACKAGE_ENTRIES = 10_000
AT_ONCE = 100  # entries of the packaged case that are written together
REACH_VERIFIED = 20_000


async def measure_log(workshop: Workshop) -> list[Row]:
    folder = workshop.folder("log")
    log = await LogStore.open(
        folder, origin="bench.local/log", utc_now=lambda: datetime.now(UTC), token_bytes=secrets.token_bytes
    )
    try:
        return [await _measure_writing(log), await _measure_verification(log, folder)]
    finally:
        await log.close()


async def _measure_writing(log: LogStore) -> Row:
    """Each writer has a case of its own and waits until its entry is durable before the next."""
    rates: list[float] = []
    for turn in range(TURNS):
        started = time.monotonic()
        counts = await asyncio.gather(
            *(_write(log, f"c_turn{turn}writer{writer}", started + TURN_S) for writer in range(WRITERS))
        )
        rates.append(sum(counts) / (time.monotonic() - started))
    rate = sum(rates) / len(rates)
    return Row(
        part="log",
        what=f"durable entries a second, {WRITERS} writers",
        reach=f"≥ {REACH_WRITTEN:,}",
        measured=f"{rate:,.0f}",
        noise=span(rates),
        verdict=judge(rate >= REACH_WRITTEN),
    )


async def _write(log: LogStore, case_id: str, until: float) -> int:
    number = 0
    while time.monotonic() < until:
        await log.append([_draft(case_id, number)], expect_number=number)
        number += 1
    return number


async def _measure_verification(log: LogStore, folder: Path) -> Row:
    case_id = "c_package"
    for number in range(0, PACKAGE_ENTRIES - AT_ONCE, AT_ONCE):
        drafts = [_draft(case_id, number + index) for index in range(AT_ONCE)]
        await log.append(drafts, expect_number=number)
    last = PACKAGE_ENTRIES - AT_ONCE
    await log.append(
        [
            Draft(
                kind="exported",
                case_id=case_id,
                role="integrator",
                actor_id="integrator",
                session_id="",
                body={"entries_before": last},
            )
        ],
        expect_number=last,
    )
    blobs = await BlobStore.prepare(folder, log.keys)
    package = await export_package(log, blobs, case_id, up_to=last + 1)
    rates: list[float] = []
    for _ in range(TURNS):
        started = time.monotonic()
        report = verify_package(package, vkey=log.vkey)
        rates.append((last + 1) / (time.monotonic() - started))
        if not report.passed:
            raise BotFailed("the benchmark's own package does not verify")
    rate = sum(rates) / len(rates)
    return Row(
        part="log",
        what=f"entries of a package verified a second ({last + 1:,} entries, {len(package) >> 20} MiB)",
        reach=f"≥ {REACH_VERIFIED:,}",
        measured=f"{rate:,.0f}",
        noise=span(rates),
        verdict=judge(rate >= REACH_VERIFIED),
    )


def _draft(case_id: str, number: int) -> Draft:
    return Draft(
        kind="text",
        case_id=case_id,
        role="customer",
        actor_id="l_benchbenchbenchbench",
        session_id="s_benchbenchbenchbench",
        body={"text": f"第 {number} 句：请把包裹翻过来，让我看看另一面。"},
        command_id=f"k{number}",
    )
