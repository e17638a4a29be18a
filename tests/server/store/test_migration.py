"""A folder of schema 1 becomes one of schema 3 as a whole; wherever it is killed, a start mends it."""

import asyncio
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.evidence.canonical import JsonObject
from server.evidence.checkpoint import CheckpointSigner
from server.evidence.entry import Draft, Entry, encode_body, seal
from server.evidence.merkle import Frontier
from server.evidence.signer import Ed25519Signer
from server.store import migration, recovery
from server.store.audit import audit
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, CorruptLog, IllegalOpen, UnknownBlob
from server.store.schema import ENTRIES as ENTRY_TABLES
from server.store.schema import connect_writer, truncate_wal
from tests.server.store.test_durability import ORIGIN, REPOSITORY, draft, open_log

SCHEMA_1 = """
CREATE TABLE entries (
    leaf_index INTEGER PRIMARY KEY, case_id TEXT NOT NULL, number INTEGER NOT NULL, envelope BLOB NOT NULL,
    salt BLOB NOT NULL, body BLOB NOT NULL, actor_id TEXT NOT NULL, command_id TEXT, ordinal INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_of_case ON entries (case_id, number);
CREATE UNIQUE INDEX entry_of_command ON entries (case_id, actor_id, command_id, ordinal)
    WHERE command_id IS NOT NULL;
CREATE INDEX first_of_case ON entries (leaf_index) WHERE number = 1;
CREATE TABLE hashes (stored_index INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
CREATE TABLE checkpoints (tree_size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
PRAGMA user_version = 1;
"""
CASES = ("c_1", "c_2")
ENTRIES = 300  # more than the tail that a start looks at
PICTURE, DAMAGED, MISSING = b"picture: find me", b"damaged: find me", b"missing"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def old_body(number: int) -> JsonObject:
    """Text, and pictures in the entries 10 to 12 of each case."""
    data = {10: PICTURE, 11: DAMAGED, 12: MISSING}.get(number)
    if data is None:
        return {"text": f"find me {number}"}
    return {"blob": {"sha256": sha256(data), "size_bytes": len(data), "media_type": "image/jpeg"}}


def write_old_folder(folder: Path) -> list[Entry]:
    """A data folder as version 0.1.0 left it, with a blob that no entry names, one damaged, one missing."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    (folder / "log.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "log.key").chmod(0o600)
    connection = sqlite3.connect(folder / "log.sqlite")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA_1)
    entries: list[Entry] = []
    heads = dict.fromkeys(CASES, (0, "0" * 64))
    frontier, signer = Frontier(), CheckpointSigner(ORIGIN, Ed25519Signer(key))
    connection.execute("INSERT INTO checkpoints VALUES (0, ?)", (signer.sign(0, frontier.root()),))
    stored = 0
    for leaf_index in range(ENTRIES):
        case_id = CASES[leaf_index % 2]
        number, previous_hash = heads[case_id]
        body = old_body(number + 1)
        entry = seal(
            Draft(kind="text", case_id=case_id, role="qa", actor_id="l_q", session_id="s", body=body),
            encode_body(body),
            number=number + 1,
            previous_hash=previous_hash,
            recorded_at=datetime(2026, 11, 22, tzinfo=UTC),
            salt=os.urandom(32),
            leaf_index=leaf_index,
        )
        heads[case_id] = (number + 1, entry.hash)
        entries.append(entry)
        command_id = f"k{leaf_index}" if leaf_index % 3 else None
        connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (
                leaf_index,
                case_id,
                number + 1,
                entry.envelope_bytes,
                entry.salt,
                encode_body(body),
                "l_q",
                command_id,
            ),
        )
        frontier, hashes = frontier.extend([entry.leaf_hash])
        connection.executemany("INSERT INTO hashes VALUES (?, ?)", enumerate(hashes, start=stored))
        stored += len(hashes)
        note = signer.sign(frontier.tree_size, frontier.root())
        connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (frontier.tree_size, note))
    connection.commit()
    connection.close()
    (folder / "blobs" / "incoming").mkdir(parents=True)
    for name, data in ((PICTURE, PICTURE), (DAMAGED, b"DAMAGED: find me"), (b"orphan", b"orphan: find me")):
        path = folder / "blobs" / sha256(name)[:2] / sha256(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return entries


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Entry]]:
    folder = tmp_path_factory.mktemp("old")
    return folder, write_old_folder(folder)


@pytest.fixture
def folder(pattern: tuple[Path, list[Entry]], tmp_path: Path) -> Path:
    """A copy of the old folder, to be migrated."""
    return shutil.copytree(pattern[0], tmp_path / "data")


async def check_migrated(folder: Path, entries: list[Entry]) -> None:
    """All entries and blobs of before are there, sealed, and nothing of them lies open any more."""
    log = await open_log(folder)
    assert_nothing_is_open(folder)
    blobs = await BlobStore.prepare(folder, log.keys)
    for case_id in CASES:
        assert await log.entries(case_id) == [entry for entry in entries if entry.envelope.case_id == case_id]
        assert await blobs.get(case_id, sha256(PICTURE)) == PICTURE
        with pytest.raises(CorruptBlob, match=sha256(DAMAGED)):
            await blobs.get(case_id, sha256(DAMAGED))
        with pytest.raises(UnknownBlob):
            await blobs.get(case_id, sha256(MISSING))
    assert await log.find_command("c_2", "l_q", "k1") == [1]
    await log.append([draft("new")], expect_number=ENTRIES // 2)
    await log.close()
    assert_nothing_is_open(folder)
    with pytest.raises(CorruptBlob, match=sha256(DAMAGED)):
        list(audit(folder))


def assert_nothing_is_open(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"find me" in path.read_bytes()] == []
    assert not (folder / "blobs.plain").exists()


async def test_a_folder_of_schema_1_is_sealed_at_the_next_start(
    folder: Path, pattern: tuple[Path, list[Entry]]
) -> None:
    checkpoints = sqlite3.connect(folder / "log.sqlite").execute("SELECT * FROM checkpoints").fetchall()
    await check_migrated(folder, pattern[1])
    after = sqlite3.connect(folder / "log.sqlite").execute("SELECT * FROM checkpoints").fetchall()
    assert after[: len(checkpoints)] == checkpoints


def test_both_ways_to_schema_3_end_at_the_same_tables(folder: Path, tmp_path: Path) -> None:
    def tables(data_dir: Path) -> list[tuple[str, str]]:
        connection = sqlite3.connect(data_dir / "log.sqlite")
        rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        connection.close()
        return [(name, re.sub(r"\s", "", sql or "")) for name, sql in rows]

    async def start(data_dir: Path) -> None:
        await (await open_log(data_dir)).close()

    (tmp_path / "new").mkdir()
    for data_dir in (folder, tmp_path / "new"):
        asyncio.run(start(data_dir))
    assert tables(folder) == tables(tmp_path / "new")


def test_a_folder_of_schema_2_can_erase_after_the_next_start(tmp_path: Path) -> None:
    async def write() -> None:
        log = await open_log(tmp_path)
        await log.append([draft("hello")], expect_number=0)
        await log.close()

    def tables() -> list[tuple[str, str]]:
        connection = sqlite3.connect(tmp_path / "log.sqlite")
        rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        connection.close()
        return [(name, re.sub(r"\s", "", sql or "")) for name, sql in rows]

    async def read() -> None:
        log = await open_log(tmp_path)
        assert (await log.entries("c_1"))[0].body == {"text": "hello"}
        await log.close()

    asyncio.run(write())
    newest = tables()
    connection = sqlite3.connect(tmp_path / "log.sqlite")
    connection.executescript(
        "DROP TABLE doomed_blobs; ALTER TABLE case_keys DROP COLUMN erased_by; PRAGMA user_version = 2;"
    )
    connection.close()
    with pytest.raises(IllegalOpen, match="start it first"):
        list(audit(tmp_path))
    asyncio.run(read())
    assert tables() == newest


def test_of_what_schema_2_wrote_no_copy_outlives_an_erasure(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.executescript(
        ENTRY_TABLES.replace("wrapped BLOB NOT NULL,\n    erased_by INTEGER", "wrapped BLOB")
    )
    for number in range(400):  # tables whose root pages were split
        wrapped = b"KEY%04d" % number + os.urandom(60)
        connection.execute("INSERT INTO case_keys VALUES (?, 'k', ?)", (f"c_{number:020}", wrapped))
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    connection = connect_writer(path)
    migration.add_erasures(connection)
    connection.execute("UPDATE case_keys SET wrapped = x'00'")
    assert truncate_wal(connection)
    connection.close()
    assert re.findall(rb"KEY\d{4}", path.read_bytes()) == []


def test_a_disk_without_room_to_write_the_log_anew_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect_writer(tmp_path / "log.sqlite")
    connection.executescript(f"{ENTRY_TABLES} PRAGMA user_version = 2; BEGIN;")
    with pytest.raises(IllegalOpen, match="free room"):  # nor can it be within a transaction
        migration.add_erasures(connection)
    connection.execute("ROLLBACK")
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


async def test_a_damaged_log_is_not_migrated_and_stays_as_it_was(folder: Path) -> None:
    connection = sqlite3.connect(folder / "log.sqlite")
    connection.execute("UPDATE entries SET salt = zeroblob(32) WHERE leaf_index = 4")
    connection.commit()
    before = connection.execute("SELECT * FROM entries").fetchall()
    for _ in range(2):
        with pytest.raises(CorruptLog, match=r"leaf 4 \(case c_1, entry 3\) is damaged"):
            await open_log(folder)
        assert connection.execute("SELECT * FROM entries").fetchall() == before
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from server.store import migration, recovery
from tests.server.store.test_durability import open_log

step, folder = sys.argv[1], Path(sys.argv[2])

def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)

calls = 0
real_write, real_rmtree = migration.write_blob, migration.shutil.rmtree

def die_at_the_third_blob(*arguments: object) -> None:
    global calls
    calls += 1
    if calls == 3:
        die()
    real_write(*arguments)

def die_half_removed(path: Path) -> None:
    next(item for item in path.rglob("*") if item.is_file()).unlink()
    die()

match step:
    case "renamed":
        migration.prepare_folder = die
    case "blobs":
        migration.write_blob = die_at_the_third_blob
    case "uncommitted":
        migration._execute_each = lambda connection, script: die() if "INDEX" in script else [
            connection.execute(statement) for statement in script.split(";")
        ]
    case "committed":
        recovery.remove_plain_blobs = die
    case "half removed":
        migration.shutil.rmtree = die_half_removed
asyncio.run(open_log(folder))
"""


@pytest.mark.parametrize("step", ["renamed", "blobs", "uncommitted", "committed", "half removed"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_migration_that_is_killed_is_taken_up_by_the_next_start(
    folder: Path, pattern: tuple[Path, list[Entry]], step: str, times: int
) -> None:
    for _ in range(times):
        died = subprocess.run([sys.executable, "-c", KILLED, step, str(folder)], cwd=REPOSITORY, check=False)
        assert died.returncode == -9
    asyncio.run(check_migrated(folder, pattern[1]))


async def test_a_disk_that_is_full_leaves_the_old_folder_to_the_next_start(
    folder: Path, pattern: tuple[Path, list[Entry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    for patch in (
        lambda: monkeypatch.setattr(migration, "write_blob", refuse),
        lambda: monkeypatch.setattr(migration, "make_key", refuse),
        lambda: monkeypatch.setattr(recovery, "remove_plain_blobs", refuse),
    ):
        patch_it: Callable[[], None] = patch
        patch_it()
        with pytest.raises(OSError, match="no space left"):
            await open_log(folder)
        monkeypatch.undo()
    await check_migrated(folder, pattern[1])
