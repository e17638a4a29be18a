"""A log that was tampered with, or that the disk has damaged, is refused, and the refusal says where."""

import asyncio
import os
import random
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.checkpoint import CheckpointSigner, parse_checkpoint
from server.evidence.entry import Draft
from server.evidence.errors import EvidenceError
from server.evidence.signer import Ed25519Signer
from server.store.audit import audit
from server.store.errors import CorruptLog, IllegalOpen, StoreError
from server.store.keys import load_signer
from server.store.log import LogStore

ORIGIN = "proofcall.local/log"
CASE = "c_" + "a" * 20
OTHER_CASE = "c_" + "b" * 20
NOW = datetime(2026, 11, 22, 14, 3, 22, tzinfo=UTC)


def draft(text: str, case_id: str = CASE) -> Draft:
    return Draft(
        kind="text", case_id=case_id, role="qa", actor_id="l_q", session_id="s_q", body={"text": text}
    )


async def open_log(folder: Path) -> LogStore:
    return await LogStore.open(folder, origin=ORIGIN, utc_now=lambda: NOW, token_bytes=os.urandom)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log: leaves 0 to 9, the odd ones of the other case."""

    async def write(folder: Path) -> None:
        log = await open_log(folder)
        for index in range(10):
            case_id = OTHER_CASE if index % 2 else CASE
            await log.append([draft(f"text {index}", case_id)], expect_number=index // 2)
        await log.close()

    folder = tmp_path_factory.mktemp("pattern")
    asyncio.run(write(folder))
    return folder


@pytest.fixture
def folder(pattern: Path, tmp_path: Path) -> Path:
    """A copy of the pattern to tamper with."""
    return shutil.copytree(pattern, tmp_path / "data")


def tamper(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "log.sqlite")
    for statement in statements:
        assert connection.execute(statement).rowcount != 0, statement
    connection.commit()
    connection.close()


def replaced(column: str, old: str, new: str) -> str:
    """SQL for bytes with a part of them exchanged."""
    return f"CAST(replace(CAST({column} AS TEXT), '{old}', '{new}') AS BLOB)"


LEAF_4 = rf"leaf 4 \(case {CASE}, entry 3\) is damaged: "


@pytest.mark.parametrize(
    ("statements", "complaint"),
    [
        (["UPDATE entries SET sealed = zeroblob(90) WHERE leaf_index = 4"], LEAF_4 + "the sealed body does"),
        (
            ["UPDATE entries SET sealed = zeroblob(31) WHERE leaf_index = 4"],
            LEAF_4 + "the sealed body has 31",
        ),
        (  # the body of another entry of the same case
            [
                "UPDATE entries SET sealed = (SELECT sealed FROM entries WHERE leaf_index = 6)"
                " WHERE leaf_index = 4"
            ],
            LEAF_4 + "the sealed body does not open in this place",
        ),
        (["UPDATE entries SET command_id = 'k' WHERE leaf_index = 4"], LEAF_4 + "the sealed body does not"),
        (["UPDATE entries SET ordinal = 7 WHERE leaf_index = 4"], LEAF_4 + "the sealed body does not"),
        (["UPDATE entries SET kind = 'left' WHERE leaf_index = 4"], LEAF_4 + "it is filed under another"),
        (
            [f"UPDATE case_keys SET wrapped = zeroblob(60) WHERE case_id = '{CASE}'"],
            f"the key of case {CASE} is damaged",
        ),
        ([f"DELETE FROM case_keys WHERE case_id = '{CASE}'"], f"there is no key of case {CASE}"),
        (  # one case's key in the place of another's
            [
                "UPDATE case_keys SET wrapped ="
                f" (SELECT wrapped FROM case_keys WHERE case_id = '{OTHER_CASE}') WHERE case_id = '{CASE}'"
            ],
            f"the key of case {CASE} is damaged",
        ),
        (
            [f"UPDATE entries SET envelope = {replaced('envelope', ':22.', ':23.')} WHERE leaf_index = 4"],
            LEAF_4 + "its tree hashes",
        ),
        (
            [f"UPDATE entries SET envelope = {replaced('envelope', 'l_q', 'l q')} WHERE leaf_index = 4"],
            LEAF_4 + "the envelope's actor_id",
        ),
        (["UPDATE entries SET number = 30 WHERE leaf_index = 4"], "filed under another number"),
        (["UPDATE entries SET actor_id = 'l_x' WHERE leaf_index = 4"], "filed under another number, actor"),
        (
            [f"UPDATE entries SET case_id = '{OTHER_CASE}', number = 90 WHERE leaf_index = 4"],
            "leaf 4 .* belongs to case",
        ),
        (["DELETE FROM entries WHERE leaf_index = 4"], "leaf 4 is missing"),
        (["DELETE FROM entries WHERE leaf_index = 9"], "missing from the end of the log, after leaf 8"),
        (["DELETE FROM entries"], "missing from the end"),
        (["UPDATE hashes SET hash = zeroblob(32) WHERE stored_index = 6"], r"leaf 3 .* tree hashes"),
        (["DELETE FROM hashes WHERE stored_index = 6"], r"leaf 3 .* tree hashes"),
        (["INSERT INTO hashes VALUES (99, zeroblob(32))"], "missing from the end"),
        (["DELETE FROM checkpoints WHERE tree_size = 10"], "over 9 leaves, the log holds 10"),
        (["DELETE FROM checkpoints"], "signed with a key|no checkpoint at all"),
        (
            ["UPDATE checkpoints SET note = 'nothing' WHERE tree_size = 10"],
            r"newest checkpoint \(tree size 10\)",
        ),
        (
            ["UPDATE checkpoints SET note = replace(note, '\n10\n', '\n11\n')"],
            "the checkpoint of tree size 10 is not one of",
        ),
        (
            ["INSERT INTO checkpoints SELECT 11, note FROM checkpoints WHERE tree_size = 10"],
            "checkpoint of tree size 11 was signed over 10 leaves",
        ),
        (
            [  # the tail cut off with all that belongs to it, but an older checkpoint cannot be signed anew
                "DELETE FROM entries WHERE leaf_index = 9",
                "DELETE FROM hashes WHERE stored_index >= 16",
            ],
            "over 10 leaves, the log holds 9",
        ),
    ],
)
async def test_tampering_is_refused_with_its_place(
    folder: Path, statements: list[str], complaint: str
) -> None:
    tamper(folder, *statements)
    with pytest.raises(CorruptLog, match=complaint):
        await open_log(folder)


async def test_a_root_that_is_signed_over_other_leaves_is_refused(folder: Path) -> None:
    signer = CheckpointSigner(ORIGIN, load_signer(folder / "log.key"))
    note = signer.sign(10, bytes(32))
    tamper(folder, f"UPDATE checkpoints SET note = '{note}' WHERE tree_size = 10")
    with pytest.raises(CorruptLog, match=f"the root of 10 leaves is .* but {'00' * 32} was signed"):
        await open_log(folder)


async def test_a_log_signed_with_another_key_is_refused(folder: Path) -> None:
    other = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))
    note = other.sign(10, bytes(32))
    tamper(folder, f"UPDATE checkpoints SET note = '{note}' WHERE tree_size = 10")
    with pytest.raises(CorruptLog, match="not signed by the key"):
        await open_log(folder)


@pytest.fixture(scope="module")
def long_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log of 1,200 leaves: most of it lies before the tail."""

    async def write(folder: Path) -> None:
        log = await open_log(folder)
        for number in range(0, 1_200, 100):
            await log.append([draft("x") for _ in range(100)], expect_number=number)
        await log.close()

    folder = tmp_path_factory.mktemp("long pattern")
    asyncio.run(write(folder))
    return folder


async def test_a_start_looks_at_the_tail_alone_and_leaves_the_rest_to_reader_and_audit(
    long_pattern: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(long_pattern, tmp_path / "data")
    tamper(folder, "UPDATE entries SET sealed = zeroblob(90) WHERE leaf_index = 4")
    log = await open_log(folder)
    with pytest.raises(CorruptLog, match="leaf 4 "):
        await log.entries(CASE)
    await log.append([draft("after")], expect_number=1_200)
    await log.close()
    with pytest.raises(CorruptLog, match="leaf 4 "):
        list(audit(folder))


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        # 768 leaves lie before the tail: the tree over the first 512 of them, then that over 256.
        ("UPDATE hashes SET hash = zeroblob(32) WHERE stored_index = 1022", "the root of 800 leaves is"),
        ("DELETE FROM hashes WHERE stored_index = 1022", "the tree hash 1022, below leaf 768, is missing"),
        ("UPDATE entries SET sealed = zeroblob(90) WHERE leaf_index = 1000", "leaf 1000 "),
        ("DELETE FROM entries WHERE leaf_index = 1000", "leaf 1000 is missing"),
        (
            "UPDATE checkpoints SET note = lower(note) WHERE tree_size = 900",
            "the checkpoint of tree size 900 is not one of",
        ),
    ],
)
async def test_a_tail_that_does_not_fit_what_lies_before_it_is_refused(
    long_pattern: Path, tmp_path: Path, statement: str, complaint: str
) -> None:
    folder = shutil.copytree(long_pattern, tmp_path / "data")
    tamper(folder, statement)
    with pytest.raises(CorruptLog, match=complaint):
        await open_log(folder)


async def test_an_index_that_hides_the_end_of_a_case_is_refused(folder: Path) -> None:
    def run(*statements: str) -> None:
        connection = sqlite3.connect(folder / "log.sqlite")
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    run(
        "CREATE TABLE copy AS SELECT * FROM entries WHERE leaf_index = 9",
        "CREATE TABLE hidden AS SELECT * FROM sqlite_master WHERE name = 'entry_of_case'",
        "DELETE FROM entries WHERE leaf_index = 9",
        "DELETE FROM sqlite_master WHERE name = 'entry_of_case'",
    )
    run(
        "INSERT INTO entries SELECT * FROM copy",
        "INSERT INTO sqlite_master SELECT * FROM hidden",
    )
    run("DROP TABLE copy", "DROP TABLE hidden")
    with pytest.raises(CorruptLog, match=f"case {OTHER_CASE} ends with entry 4 in its index, and with 5"):
        await open_log(folder)


async def test_a_closed_log_is_one_file(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append([draft("1"), draft("2")], expect_number=0)
    await log.append([draft("3")], expect_number=2)
    await log.entries(CASE)
    await log.close()
    assert not any((tmp_path / f"log.sqlite-{part}").exists() for part in ("wal", "shm"))


async def test_a_log_of_a_newer_version_is_left_alone(folder: Path) -> None:
    tamper(folder, "PRAGMA user_version = 4")
    with pytest.raises(IllegalOpen, match="newer"):
        await open_log(folder)


async def test_a_refusal_changes_nothing_and_frees_the_folder(folder: Path) -> None:
    tamper(folder, "UPDATE entries SET sealed = zeroblob(90) WHERE leaf_index = 4")
    before = (folder / "log.sqlite").read_bytes()
    for _ in range(2):
        with pytest.raises(CorruptLog):
            await open_log(folder)
    assert (folder / "log.sqlite").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be looked at" * 100])
async def test_a_file_that_is_no_log_is_refused(folder: Path, content: bytes) -> None:
    (folder / "log.sqlite").write_bytes(content)
    with pytest.raises((CorruptLog, IllegalOpen)):
        await open_log(folder)


async def test_a_byte_that_the_disk_changed_is_found_or_does_not_matter(folder: Path, tmp_path: Path) -> None:
    log = await open_log(folder)
    entries = await log.entries(CASE), await log.entries(OTHER_CASE)
    checkpoint = log.checkpoint
    await log.close()
    intact = (folder / "log.sqlite").read_bytes()
    used = [offset for offset, byte in enumerate(intact) if byte]
    chosen = random.Random(7)
    refused = 0
    for trial in range(60):
        copy = tmp_path / f"copy {trial}"
        copy.mkdir()
        for key in ("log.key", "wrap.key"):
            shutil.copy(folder / key, copy)
        damaged = bytearray(intact)
        damaged[chosen.choice(used)] ^= chosen.randrange(1, 256)
        (copy / "log.sqlite").write_bytes(damaged)
        try:
            log = await open_log(copy)
        except (CorruptLog, IllegalOpen):
            refused += 1
            continue
        try:
            assert (await log.entries(CASE), await log.entries(OTHER_CASE)) == entries
            assert log.checkpoint == checkpoint
        except CorruptLog:  # an index, which only a reader goes by: the start leaves it to the audit
            refused += 1
            with pytest.raises(CorruptLog):
                list(audit(copy))
        finally:
            await log.close()
    assert refused >= 30


async def test_what_is_damaged_while_the_log_is_open_is_not_served(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append([draft("1"), draft("2")], expect_number=0)
    tamper(tmp_path, "UPDATE entries SET sealed = zeroblob(90) WHERE leaf_index = 1")
    with pytest.raises(CorruptLog, match=rf"leaf 1 \(case {CASE}, entry 2\)"):
        await log.entries(CASE)
    await log.close()


async def test_a_start_that_crashed_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    # First the tables, then the key, then the checkpoint of the empty log: any of them may be the last.
    log = await open_log(tmp_path)
    await log.close()
    tamper(tmp_path, "DELETE FROM checkpoints")
    log = await open_log(tmp_path)
    assert parse_checkpoint(log.checkpoint).tree_size == 0
    await log.close()
    tamper(tmp_path, "DELETE FROM checkpoints")
    (tmp_path / "log.key").unlink()
    (tmp_path / "log.new").write_bytes(b"half a key")
    log = await open_log(tmp_path)
    assert await log.append([draft("1")], expect_number=0)
    await log.close()
    assert not (tmp_path / "log.new").exists()


async def test_a_key_file_that_holds_no_key_is_refused(folder: Path) -> None:
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        (folder / "log.key").write_bytes(content)
        with pytest.raises(IllegalOpen, match="holds no key"):
            await open_log(folder)


def test_every_error_has_a_code_of_its_own() -> None:
    def tree(error: type[StoreError] | type[EvidenceError]) -> list[str]:
        return [error.code, *(code for child in error.__subclasses__() for code in tree(child))]

    codes = tree(StoreError) + tree(EvidenceError)
    assert len(codes) == len(set(codes))
