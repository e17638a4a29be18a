"""What `measure_package` has done in processes of their own, so that their peak of memory is the work's.

    python -m tests.bench.package_work make FOLDER       a case with two gigabytes of files
    python -m tests.bench.package_work export FOLDER     its package, written to FOLDER/package.zip
    python -m tests.bench.package_work verify FOLDER     that package, verified as `proofcall verify` does

Each writes a line of JSON: seconds, bytes, resident memory before, and its peak.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from server.evidence.canonical import JsonValue
from server.evidence.entry import Draft
from server.evidence.verify import verify_package
from server.evidence.verify_command import read_file
from server.export import export_package
from server.store.blobs import BlobStore
from server.store.log import LogStore

CASE = "c_benchbenchbenchbench"
BLOB_BYTES = 1 << 20  # about what a segment of the journal has at most
BLOBS = 1_800
LARGE_BYTES = 256 << 20  # and one file that is far larger than what is held at once
AT_ONCE = 100
PACKAGE = "package.zip"


def main() -> None:
    work, folder = sys.argv[1], Path(sys.argv[2])
    before = memory("VmRSS")
    started = time.monotonic()
    match work:
        case "make":
            asyncio.run(make(folder))
        case "export":
            asyncio.run(export(folder))
        case "verify":
            report = verify_package(read_file(folder / PACKAGE))
            assert report.passed, [step.message for step in report.steps]
    package = folder / PACKAGE
    told = {
        "seconds": time.monotonic() - started,
        "bytes": package.stat().st_size if package.exists() else 0,
        "before_bytes": before,
        "peak_bytes": memory("VmHWM"),
    }
    print(json.dumps(told))


def memory(line: str) -> int:
    """Resident bytes of this process, now (VmRSS) or at most (VmHWM, proc_pid_status(5))."""
    status = Path("/proc/self/status").read_text()
    return next(int(text.split()[1]) * 1024 for text in status.splitlines() if text.startswith(f"{line}:"))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[LogStore, BlobStore]]:
    log = await LogStore.open(
        folder, origin="bench.local/log", utc_now=lambda: datetime.now(UTC), token_bytes=secrets.token_bytes
    )
    try:
        yield log, await BlobStore.prepare(folder, log.keys)
    finally:
        await log.close()


async def make(folder: Path) -> None:
    async with opened(folder) as (log, blobs):
        number = len(await log.append([_draft("case_opened", {})], expect_number=0))
        waiting: list[Draft] = []
        for size in [LARGE_BYTES, *[BLOB_BYTES] * BLOBS]:
            sha256 = await blobs.put(CASE, os.urandom(size))
            blob: JsonValue = {"sha256": sha256, "size_bytes": size, "media_type": "video/mp4"}
            waiting.append(_draft("attachment_stored", {"original": blob}))
            if len(waiting) == AT_ONCE:
                number += len(await log.append(waiting, expect_number=number))
                waiting = []
        waiting.append(_draft("exported", {"entries_before": number + len(waiting)}))
        await log.append(waiting, expect_number=number)


async def export(folder: Path) -> None:
    async with opened(folder) as (log, blobs):
        package = await export_package(log, blobs, CASE, up_to=BLOBS + 3)
        with (folder / PACKAGE).open("wb") as file:
            async for piece in package.pieces():
                file.write(piece)
        package.close()


def _draft(kind: str, body: dict[str, JsonValue]) -> Draft:
    return Draft(kind=kind, case_id=CASE, role="system", actor_id="system", session_id="", body=body)


if __name__ == "__main__":
    main()
