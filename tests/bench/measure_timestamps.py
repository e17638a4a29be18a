"""What time from outside costs: a token from the moment to the disk, and a token checked again.

The authority is OpenSSL behind a server on loopback, a process for each token: its share is told beside ours.
One token covers all that the log holds: a picture has a share of one, and none of its own.
"""

import asyncio
import secrets
import time
from datetime import UTC, datetime

from server import stamping
from server.evidence.attestation import AttestationKind
from server.evidence.entry import Draft
from server.evidence.timestamp import check_timestamp
from server.store.attestations import AttestationStore
from server.store.log import LogStore
from server.timestamps import Timestamps
from tests.authority import Authority, make_authority, serving_authority
from tests.bench.table import Row, percentile, span
from tests.bench.workshop import Workshop

TOKENS = 30
CHECKS = 300
PATIENCE_S = 10.0


def utc_now() -> datetime:
    return datetime.now(UTC)


async def measure_timestamps(workshop: Workshop) -> list[Row]:
    folder = workshop.folder("timestamps")
    gap_s, stamping.GAP_S = stamping.GAP_S, 0.0  # it is the work that is measured, not the waiting
    try:
        async with serving_authority(make_authority(folder / "authority")) as authority:
            log = await LogStore.open(
                folder / "data", origin="bench.local/log", utc_now=utc_now, token_bytes=secrets.token_bytes
            )
            attestations = await AttestationStore.open(folder / "data")
            timestamps = await Timestamps.open(
                urls=[authority.url],
                roots=[authority.root],
                interval_s=0.0,
                log=log,
                attestations=attestations,
                utc_now=utc_now,
            )
            try:
                return await _measure(log, attestations, timestamps, authority)
            finally:
                await timestamps.close()
                await attestations.close()
                await log.close()
    finally:
        stamping.GAP_S = gap_s


async def _measure(
    log: LogStore, attestations: AttestationStore, timestamps: Timestamps, authority: Authority
) -> list[Row]:
    kept_ms = []
    for number in range(TOKENS):
        await log.append([_draft(number)], expect_number=number)
        began = time.perf_counter()
        await timestamps.settle(log.size, timeout_s=PATIENCE_S)
        kept_ms.append((time.perf_counter() - began) * 1_000)
    if dict(timestamps.fates) != {"stamped": TOKENS, "failed": 0}:
        raise AssertionError(timestamps.statuses())
    newest = await attestations.newest(AttestationKind.TIMESTAMP)
    assert newest is not None
    token, note = newest.data, log.checkpoint.encode()
    own_ms, checked_ms = [], []
    for _ in range(TOKENS):
        began = time.perf_counter()
        await asyncio.to_thread(authority.token, note)
        own_ms.append((time.perf_counter() - began) * 1_000)
    for _ in range(CHECKS):
        began = time.perf_counter()
        check_timestamp(token, note, [authority.root])
        checked_ms.append((time.perf_counter() - began) * 1_000)
    return [
        _row(
            f"token of a checkpoint asked for, checked and kept ({len(token) / 1_024:.1f} KiB), p50 / p95",
            kept_ms,
            f"three runs of OpenSSL alone, from request to token: {percentile(own_ms, 50):.1f} ms",
        ),
        _row("token checked again, p50 / p95", checked_ms, "none a picture: it covers all before it"),
    ]


def _row(what: str, taken_ms: list[float], beside: str) -> Row:
    return Row(
        part="timestamps",
        what=what,
        reach="–",
        measured=f"{percentile(taken_ms, 50):.2f} / {percentile(taken_ms, 95):.2f} ms",
        noise=span(taken_ms, 2),
        peers=beside,
    )


def _draft(number: int) -> Draft:
    return Draft(
        kind="text",
        case_id="c_k3v5q2m7z4x6w2a5b7cd",
        role="customer",
        actor_id="l_customer222222222222",
        session_id="s_n5m4b3v2c7x6z2l4k3jh",
        body={"text": f"sentence {number}", "captured_at": None},
        command_id=None,
    )
