"""What a process does with the store before it dies, and what it tells of it.

    opened                                          the store is open
    entry <case_id> <number> <hash> <blob or ->     acknowledged
    blob <case_id> <sha256>                         acknowledged
    note <base64>                                   a checkpoint, in the moment when it is published
    refused <step> <class> <base64>                 a step that failed with an error that the store may raise
    closed                                          in order

Any other error ends the process with status 1. A refused step does not end the scenario: what comes after a
failing disk must be as true as what came before.
"""

import asyncio
import base64
import hashlib
import io
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from server.evidence.entry import Draft, Entry
from server.store.blobs import BlobStore
from server.store.derived import DerivedStore
from server.store.errors import StoreError
from server.store.log import LogStore
from server.store.writer import Outcome

Report = Callable[..., None]
ORIGIN = "proofcall.local/log"
WRITERS = 4  # of the endless scenario
BLOB_SIZE_BYTES = 3000
DERIVED = b"made again whenever it is wanted" * 100


def blob_of(case_id: str, number: int) -> bytes:
    """The bytes that a case shows with its entry of this number."""
    return hashlib.shake_128(f"{case_id} {number}".encode()).digest(BLOB_SIZE_BYTES)


async def open_log(folder: Path) -> LogStore:
    """The log of a folder, on the wall clock and with the system's randomness."""
    return await LogStore.open(
        folder, origin=ORIGIN, utc_now=lambda: datetime.now(UTC), token_bytes=os.urandom
    )


def draft(case_id: str, number: int, blob: str | None = None) -> Draft:
    """What becomes entry `number` of a case."""
    return Draft(
        kind="frame_sealed" if blob else "text",
        case_id=case_id,
        role="qa",
        actor_id="l_q",
        session_id="s_q",
        body={"blob": {"sha256": blob, "size_bytes": BLOB_SIZE_BYTES, "media_type": "image/jpeg"}}
        if blob
        else {"text": f"entry {number}"},
        command_id=f"k{number}",
    )


async def short(folder: Path, report: Report) -> None:
    """Open, a case with a blob and some entries, a derived file, close: every kind of write once."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
    log: LogStore | None = None

    async def attempt(name: str, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except (StoreError, OSError) as error:
            report("refused", name, type(error).__name__, base64.b64encode(str(error).encode()).decode())

    async def open_it() -> None:
        nonlocal log
        log = await open_log(folder)
        report("opened")
        _report_notes(log, report)

    await attempt("open", open_it)
    if log is None:
        return
    store = log
    case_id = "c_short"
    number = 0

    async def look() -> None:
        nonlocal number
        number = len(await store.entries(case_id))

    async def append(count: int, blob: str | None = None) -> None:
        nonlocal number
        drafts = [draft(case_id, number + 1 + index, blob) for index in range(count)]
        for entry in await store.append(drafts, expect_number=number):
            _report_entry(entry, blob, report)
        number += count

    async def show() -> None:
        blobs = await BlobStore.prepare(folder, store.keys)
        blob = await blobs.put(case_id, blob_of(case_id, number + 1))
        report("blob", case_id, blob)
        await append(1, blob)

    async def derive() -> None:
        derived = await DerivedStore.prepare(folder, store.keys)
        (await derived.put(case_id, "part.webm", io.BytesIO(DERIVED))).close()

    await attempt("look", look)
    await attempt("append", lambda: append(1))
    await attempt("show", show)
    await attempt("append", lambda: append(2))
    await attempt("derive", derive)
    await attempt("append", lambda: append(1))
    await store.close()
    report("closed")


async def endless(folder: Path, report: Report) -> None:
    """Several cases at once, blobs and entries, until somebody kills the process."""
    log = await open_log(folder)
    report("opened")
    _report_notes(log, report)
    blobs = await BlobStore.prepare(folder, log.keys)

    async def write(case_id: str) -> None:
        number = await last_number(log, case_id)
        while True:
            blob = None
            if number:
                blob = await blobs.put(case_id, blob_of(case_id, number + 1))
                report("blob", case_id, blob)
            (entry,) = await log.append([draft(case_id, number + 1, blob)], expect_number=number)
            number += 1
            _report_entry(entry, blob, report)

    async with asyncio.TaskGroup() as tasks:
        for index in range(WRITERS):
            tasks.create_task(write(f"c_{index}"))


async def last_number(log: LogStore, case_id: str) -> int:
    """The number of the newest entry of a case, found without reading all of them."""
    low, high = 0, 1
    while await log.entries(case_id, after=high - 1, limit=1):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if await log.entries(case_id, after=middle - 1, limit=1):
            low = middle
        else:
            high = middle
    return low


async def warm_up() -> None:
    """Everything once, so that no child has to import anything."""
    with tempfile.TemporaryDirectory() as folder:
        await short(Path(folder) / "data", lambda *_: None)
        await short(Path(folder) / "data", lambda *_: None)
        log = await open_log(Path(folder) / "data")
        await last_number(log, "c_short")
        await log.close()


def _report_entry(entry: Entry, blob: str | None, report: Report) -> None:
    report("entry", entry.envelope.case_id, entry.envelope.number, entry.hash, blob or "-")


def _report_notes(log: LogStore, report: Report) -> None:
    """Tell the checkpoint of now, and each later one in the moment when it is published."""

    def report_note() -> None:
        report("note", base64.b64encode(log.checkpoint.encode()).decode())

    def publish(outcomes: list[Outcome], note: str | None) -> None:
        published(outcomes, note)
        report_note()

    published = log._publish
    log._publish = publish  # type: ignore[method-assign]
    report_note()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[LogStore, BlobStore, DerivedStore]]:
    """All stores of a folder."""
    log = await open_log(folder)
    try:
        yield log, await BlobStore.prepare(folder, log.keys), await DerivedStore.prepare(folder, log.keys)
    finally:
        await log.close()
