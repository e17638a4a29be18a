"""What was acknowledged is there after `kill -9`, after a full disk, after a disk that fails."""

import asyncio
import base64
import os
import random
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.evidence.checkpoint import open_checkpoint, parse_key
from server.evidence.entry import Draft
from server.store import writer
from server.store.blobs import BlobStore
from server.store.errors import FailedAppend
from server.store.log import LogStore
from server.store.schema import connect_writer

ORIGIN = "proofcall.local/log"
REPOSITORY = Path(__file__).parents[3]
KILLS = 30  # of the thousand that the design asks for; each costs about half a second


def draft(text: str, case_id: str = "c_1") -> Draft:
    return Draft(
        kind="text", case_id=case_id, role="qa", actor_id="l_q", session_id="s_q", body={"text": text}
    )


async def open_log(folder: Path) -> LogStore:
    return await LogStore.open(
        folder, origin=ORIGIN, utc_now=lambda: datetime.now(UTC), token_bytes=os.urandom
    )


def write_until_killed(folder: Path, delay_s: float) -> list[list[str]]:
    """What a writing process got out before it was killed, so long after it began to open the log."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.server.store.writing_process", str(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"opening\n"
    killer = threading.Timer(delay_s, process.kill)
    killer.start()
    try:
        output = process.stdout.read()
    finally:
        process.kill()
        killer.cancel()
        process.wait()
        process.stdout.close()
    return [line.split(" ") for line in output.decode().split("\n")[:-1]]


async def check_acknowledged(folder: Path, lines: list[list[str]]) -> None:
    log = await open_log(folder)
    blobs = await BlobStore.prepare(folder, log.keys)
    try:
        key = parse_key(log.vkey)
        for line in lines:
            if line[0] == "entry":
                _, case_id, number, entry_hash, blob = line
                (entry,) = await log.entries(case_id, after=int(number) - 1, limit=1)
                assert entry.hash == entry_hash
                assert len(await blobs.get(case_id, blob)) == 2000
            else:
                note = base64.b64decode(line[1]).decode()
                size = open_checkpoint(note, key).tree_size
                # One size is never signed with two roots: what was published is what is stored.
                assert (await log.inclusion_proof(size - 1, size)).checkpoint == note
    finally:
        await log.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kills", [KILLS // 3, pytest.param(KILLS, marks=pytest.mark.long)])
def test_nothing_acknowledged_is_lost_when_the_process_is_killed_at_random_points(
    tmp_path: Path, kills: int
) -> None:
    chosen = random.Random(20261122)
    acknowledged: list[list[str]] = []
    for _ in range(kills):
        lines = write_until_killed(tmp_path, chosen.uniform(0, 0.2))
        acknowledged += lines
        asyncio.run(check_acknowledged(tmp_path, lines))
    asyncio.run(check_acknowledged(tmp_path, acknowledged))
    assert sum(line[0] == "entry" for line in acknowledged) > kills


@pytest.mark.timeout(60)
def test_a_log_that_dies_while_it_is_made_can_be_made(tmp_path: Path) -> None:
    for kill in range(6):
        folder = tmp_path / str(kill)
        lines = write_until_killed(folder, kill * 0.003)
        asyncio.run(check_acknowledged(folder, lines))


async def test_fifty_writers_share_their_commits(tmp_path: Path) -> None:
    log = await open_log(tmp_path)

    async def write(case_id: str) -> None:
        for number in range(10):
            await log.append([draft("x", case_id)], expect_number=number)

    async with asyncio.TaskGroup() as tasks:
        for index in range(50):
            tasks.create_task(write(f"c_{index}"))
    await log.close()
    connection = sqlite3.connect(tmp_path / "log.sqlite")
    commits = connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
    connection.close()
    assert commits <= 500 / 5


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "log.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    connection.close()


async def test_a_blob_is_synced_before_it_has_its_name_and_its_name_before_it_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await open_log(tmp_path)
    await log.append([draft("before")], expect_number=0)
    blobs = await BlobStore.prepare(tmp_path, log.keys)
    await blobs.put("c_1", b"another picture")  # the folder of the case is there
    order: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        order.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        order.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    await blobs.put("c_1", b"picture")
    assert order == ["file", "rename", "folder"]
    order.clear()
    await blobs.put("c_1", b"picture")
    assert order == ["folder"]
    await log.close()


async def test_a_full_disk_refuses_one_group_and_not_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect_to_a_small_disk(path: Path) -> sqlite3.Connection:
        connection = connect_writer(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 6}")
        return connection

    monkeypatch.setattr(writer, "connect_writer", connect_to_a_small_disk)
    log = await open_log(tmp_path)
    await log.append([draft("before")], expect_number=0)
    checkpoint = log.checkpoint
    with pytest.raises(FailedAppend, match="full"):
        await log.append([draft("x" * 60_000)], expect_number=1)
    assert log.checkpoint == checkpoint
    await log.append([draft("after")], expect_number=1)
    await log.close()
    monkeypatch.undo()
    log = await open_log(tmp_path)
    assert [entry.body["text"] for entry in await log.entries("c_1")] == ["before", "after"]
    await log.close()


class FailingConnection(sqlite3.Connection):
    """A connection whose disk fails at the second commit."""

    commits = 0

    def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.commits += 1
            if self.commits == 2:
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *arguments)  # type: ignore[arg-type]


async def test_after_a_failing_disk_nothing_is_acknowledged_until_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect_to_a_failing_disk(path: Path) -> sqlite3.Connection:
        connect_writer(path).close()
        return sqlite3.connect(path, isolation_level=None, factory=FailingConnection)

    monkeypatch.setattr(writer, "connect_writer", connect_to_a_failing_disk)
    log = await open_log(tmp_path)
    await log.append([draft("before")], expect_number=0)
    for _ in range(2):
        with pytest.raises(FailedAppend, match="disk I/O error"):
            await log.append([draft("lost")], expect_number=1)
    assert len(await log.entries("c_1")) == 1
    await log.close()
    monkeypatch.undo()
    log = await open_log(tmp_path)
    await log.append([draft("after")], expect_number=1)
    await log.close()


async def test_a_lock_that_somebody_holds_for_long_refuses_one_group_and_not_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.schema.BUSY_TIMEOUT_MS", 50)
    log = await open_log(tmp_path)
    holding = sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    with pytest.raises(FailedAppend, match="locked"):
        await log.append([draft("refused")], expect_number=0)
    holding.execute("ROLLBACK")
    holding.close()
    assert not log.failed
    await log.append([draft("heard")], expect_number=0)
    await log.close()
