"""The evidence log: durable entries beside bare SQLite, a package verified, a large case, a large log."""

import asyncio
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from server.background import Background
from server.cases import Case, Cases
from server.evidence.canonical import JsonValue
from server.evidence.entry import Draft, Entry
from server.evidence.verify import verify_package
from server.export import export_package
from server.identifiers import new_id
from server.store.blobs import BlobStore
from server.store.log import LogStore
from server.wordings import read_wording
from signaling.entries import CallQuality, Traffic
from signaling.values import ActorId
from tests.bench.bot import BotFailed
from tests.bench.table import Row, judge, span
from tests.bench.workshop import Workshop

CROWD = 50  # writers
TURNS = 3
TURN_S = 3.0
REACH_WRITTEN = 2_000
ROW_BYTES = 700  # what an entry of a sentence takes in the table, sealed
PACKAGE_ENTRIES = 10_000
AT_ONCE = 100  # entries of one case that are written together
REACH_VERIFIED = 20_000
CASE_ENTRIES = 10_000
REACH_OPENED_S = 0.5
LOG_CASES = 100  # that together make the large log, written side by side
LOG_ENTRIES = 1_000_000
REACH_STARTED_S = 5.0
CUSTOMER = "l_customer222222222222"
COURIER = "l_courier2222222222222"


class Nobody:
    """The follower of a case in which no call is held."""

    def traffic(self, case_id: str) -> Mapping[ActorId, Traffic]:
        return {}

    def quality(self, case: Case) -> Mapping[ActorId, CallQuality]:
        return {}

    def online(self, case_id: str) -> frozenset[ActorId]:
        return frozenset()

    def observe(self, case: Case, entry: Entry) -> None:
        return

    async def recover(self, case: Case) -> None:
        return


async def measure_log(workshop: Workshop) -> list[Row]:
    folder = workshop.folder("log")
    log = await _open(folder)
    try:
        return [
            await _measure_writing(log, folder, writers=1, reach=None),
            await _measure_writing(log, folder, writers=CROWD, reach=REACH_WRITTEN),
            await _measure_verification(log, folder),
            await _measure_opening(log),
            await _measure_start(workshop.folder("large-log")),
        ]
    finally:
        await log.close()


async def _open(folder: Path) -> LogStore:
    return await LogStore.open(
        folder, origin="bench.local/log", utc_now=lambda: datetime.now(UTC), token_bytes=secrets.token_bytes
    )


async def _measure_writing(log: LogStore, folder: Path, *, writers: int, reach: int | None) -> Row:
    """Each writer has a case of its own and waits until its entry is durable before the next. In between, one
    connection commits a row of the same size to a table of its own, just as durably, and does nothing else.
    """
    rates: list[float] = []
    bare: list[float] = []
    for turn in range(TURNS):
        started = time.monotonic()
        prefix = f"c_{writers}writers{turn}turn"
        counts = await asyncio.gather(
            *(_write(log, f"{prefix}{writer}", started + TURN_S) for writer in range(writers))
        )
        rates.append(sum(counts) / (time.monotonic() - started))
        bare.append(await asyncio.to_thread(commit_bare, folder / f"bare{writers}-{turn}.sqlite"))
    rate, bare_rate = sum(rates) / TURNS, sum(bare) / TURNS
    return Row(
        part="log",
        what=f"durable entries a second, {writers} writer{'s' if writers > 1 else ''}",
        reach="" if reach is None else f"≥ {reach:,}",
        measured=f"{rate:,.0f}",
        noise=span(rates),
        peers=f"SQLite's bare commits {bare_rate:,.0f} ({span(bare)}): ours is {rate / bare_rate:.2f} ×",
        verdict="–" if reach is None else judge(rate >= reach),
    )


async def _write(log: LogStore, case_id: str, until: float) -> int:
    number = 0
    while time.monotonic() < until:
        await log.append([_text(case_id, number)], expect_number=number)
        number += 1
    return number


def commit_bare(path: Path) -> float:
    """Commits a second of one row each, WAL and `synchronous=FULL` like the log's."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        data, count, started = os.urandom(ROW_BYTES), 0, time.monotonic()
        while time.monotonic() < started + TURN_S:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rows (data) VALUES (?)", (data,))
            connection.execute("COMMIT")
            count += 1
        return count / (time.monotonic() - started)
    finally:
        connection.close()


async def _measure_verification(log: LogStore, folder: Path) -> Row:
    case_id = "c_package"
    for number in range(0, PACKAGE_ENTRIES - AT_ONCE, AT_ONCE):
        drafts = [_text(case_id, number + index) for index in range(AT_ONCE)]
        await log.append(drafts, expect_number=number)
    last = PACKAGE_ENTRIES - AT_ONCE
    exported = _draft(case_id, "exported", {"entries_before": last}, role="integrator", actor_id="integrator")
    await log.append([exported], expect_number=last)
    blobs = await BlobStore.prepare(folder, log.keys)
    export = await export_package(log, blobs, case_id, up_to=last + 1)
    package = b"".join([piece async for piece in export.pieces()])
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


async def _measure_opening(log: LogStore) -> Row:
    """A case of an hour's call and much talk, read from the log by a service that does not know it."""
    case_id = "c_large"
    drafts = _large_case(case_id)
    for number in range(0, len(drafts), AT_ONCE):
        await log.append(drafts[number : number + AT_ONCE], expect_number=number)
    times: list[float] = []
    for _ in range(TURNS):
        background = Background()
        cases = Cases(
            log=log,
            background=background,
            wording=read_wording(),
            utc_now=lambda: datetime.now(UTC),
            new_id=new_id,
            follower=Nobody(),
        )
        started = time.monotonic()
        case = await cases.get(case_id)
        times.append(time.monotonic() - started)
        if case.state.last_number != len(drafts):
            raise BotFailed("the benchmark's own case was not read whole")
        await background.close(grace_s=1.0)
    median = sorted(times)[TURNS // 2]
    return Row(
        part="log",
        what=f"a case of {len(drafts):,} entries opened",
        reach=f"≤ {REACH_OPENED_S} s",
        measured=f"{median:.2f} s",
        noise=span(times, 2),
        verdict=judge(median <= REACH_OPENED_S),
    )


async def _measure_start(folder: Path) -> Row:
    log = await _open(folder)
    try:
        await asyncio.gather(*(_fill(log, f"c_filler{index}") for index in range(LOG_CASES)))
    finally:
        await log.close()
    times: list[float] = []
    for _ in range(TURNS):
        started = time.monotonic()
        log = await _open(folder)
        times.append(time.monotonic() - started)
        if log.size != LOG_ENTRIES:
            raise BotFailed("the benchmark's own log is not whole")
        await log.close()
    shutil.rmtree(folder)
    median = sorted(times)[TURNS // 2]
    return Row(
        part="log",
        what=f"a log of {LOG_ENTRIES:,} entries opened",
        reach=f"≤ {REACH_STARTED_S:.0f} s",
        measured=f"{median:.2f} s",
        noise=span(times, 2),
        verdict=judge(median <= REACH_STARTED_S),
    )


async def _fill(log: LogStore, case_id: str) -> None:
    for number in range(0, LOG_ENTRIES // LOG_CASES, AT_ONCE):
        drafts = [_text(case_id, number + index) for index in range(AT_ONCE)]
        await log.append(drafts, expect_number=number)


def _draft(
    case_id: str,
    kind: str,
    body: Mapping[str, JsonValue],
    *,
    role: str = "customer",
    actor_id: str = CUSTOMER,
    command_id: str | None = None,
) -> Draft:
    return Draft(
        kind=kind,
        case_id=case_id,
        role=role,
        actor_id=actor_id,
        session_id="s_benchbenchbenchbench",
        body=body,
        command_id=command_id,
    )


def _text(case_id: str, number: int) -> Draft:
    body = {"text": f"第 {number} 句：请把包裹翻过来，让我看看另一面。"}
    return _draft(case_id, "text", body, command_id=f"k{number}")


def _large_case(case_id: str) -> list[Draft]:
    """A long call of two, cut into segments, with pictures, looks at them and much talk."""
    at, digest = "2026-11-22T14:03:22.123Z", "3f" * 32
    stream: dict[str, JsonValue] = {
        "ssrc": 1,
        "mid": "1",
        "media": "video",
        "codec": "VP8",
        "payload_type": 96,
        "clock_rate": 90_000,
        "channels": None,
        "parameters": "",
        "packets": 600,
    }
    drafts = [
        _draft(
            case_id,
            "case_opened",
            {"waybill": "SF1000000001", "declared_value": None, "language": "zh", "metadata": {}},
            role="integrator",
            actor_id="integrator",
        )
    ]
    for actor_id, role in ((CUSTOMER, "customer"), (COURIER, "courier")):
        body = {"link_id": actor_id, "role": role, "name": role, "expires_at": at}
        drafts.append(_draft(case_id, "link_issued", body, role="integrator", actor_id="integrator"))
    drafts.append(_draft(case_id, "call_started", {"call_number": 1}))
    for actor_id, role in ((CUSTOMER, "customer"), (COURIER, "courier")):
        body = {"statement": "I agree.", "language": "en"}
        drafts.append(_draft(case_id, "consented", body, role=role, actor_id=actor_id))
        drafts.append(_draft(case_id, "joined", {"call_number": 1}, role=role, actor_id=actor_id))
    segments = {CUSTOMER: 0, COURIER: 0}
    while len(drafts) < CASE_ENTRIES:
        turn = len(drafts) % 7
        if turn < 2:
            actor_id = COURIER if turn else CUSTOMER
            segments[actor_id] += 1
            drafts.append(
                _draft(
                    case_id,
                    "segment_sealed",
                    {
                        "call_number": 1,
                        "segment": segments[actor_id],
                        "blob": {"sha256": digest, "size_bytes": 1, "media_type": "application/x-rtpdump"},
                        "began_at": at,
                        "ended_at": at,
                        "packets": 600,
                        "reason": "full",
                        "streams": [stream, stream],
                    },
                    role="courier" if turn else "customer",
                    actor_id=actor_id,
                )
            )
        elif turn == 2:
            drafts.append(
                _draft(
                    case_id,
                    "frame_sealed",
                    {
                        "of": COURIER,
                        "blob": {"sha256": digest, "size_bytes": 1, "media_type": "image/jpeg"},
                        "width": 640,
                        "height": 480,
                        "codec": "VP8",
                        "rtp_timestamp": 1,
                        "arrived_at": at,
                        "capture_path": "server_frame",
                        "packets": {
                            "ssrc": 1,
                            "first_sequence_number": 1,
                            "last_sequence_number": 2,
                            "count": 2,
                            "sha256": digest,
                        },
                        "pressed_at": at,
                        "journal": {"call_number": 1, "first_segment": 1, "last_segment": 1},
                    },
                )
            )
        elif turn == 3:
            viewed: dict[str, JsonValue] = {"number": len(drafts), "authenticated_by": "link"}
            drafts.append(_draft(case_id, "viewed", viewed))
        else:
            drafts.append(_text(case_id, len(drafts)))
    return drafts
