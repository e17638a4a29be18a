"""The audit finds and names whatever was changed in a data folder, beside a running service, too."""

import asyncio
import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from server.evidence.canonical import JsonObject
from server.evidence.checkpoint import CheckpointSigner
from server.evidence.entry import Draft
from server.store.audit import Progress, audit
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, CorruptLog, IllegalOpen, StoreError
from server.store.keys import load_signer
from tests.server.store.test_durability import ORIGIN, draft, open_log

ENTRIES = 600  # of each case: most of the log lies before the tail
CASE, OTHER_CASE = "c_1", "c_2"
PICTURE = os.urandom(150_000)
SHA256 = hashlib.sha256(PICTURE).hexdigest()
LEAF_4 = rf"leaf 4 \(case {CASE}, entry 3\) is damaged: "


def picture_draft(size_bytes: int = len(PICTURE)) -> Draft:
    blob: JsonObject = {"sha256": SHA256, "size_bytes": size_bytes, "media_type": "image/jpeg"}
    return Draft(
        kind="frame_sealed",
        case_id=CASE,
        role="qa",
        actor_id="l_q",
        session_id="s_q",
        body={"deep": [{"blob": blob}]},
    )


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log of two cases whose leaves alternate, its last entry with a picture."""

    async def write(folder: Path) -> None:
        log = await open_log(folder)
        appends = [
            log.append([draft(f"text {number}", case_id)], expect_number=number)
            for number in range(ENTRIES)
            for case_id in (CASE, OTHER_CASE)
        ]
        await asyncio.gather(*appends)
        blobs = await BlobStore.prepare(folder, log.keys)
        await blobs.put(CASE, PICTURE)
        await log.append([picture_draft()], expect_number=ENTRIES)
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
    return f"CAST(replace(CAST({column} AS TEXT), '{old}', '{new}') AS BLOB)"


def test_a_whole_folder_passes_and_progress_comes_to_its_end(folder: Path) -> None:
    reports = list(audit(folder, origin=ORIGIN))
    assert [report.stage for report in reports if report.done == report.total] == [
        "keys",
        "database",
        "entries",
    ]
    total = 2 * ENTRIES + 1
    assert reports[-1] == Progress(stage="entries", done=total, total=total, blobs=1, blob_bytes=len(PICTURE))
    assert len(reports) > 2 * ENTRIES / 256
    done = [report.done for report in reports if report.stage == "entries"]
    assert done == sorted(done)


def test_the_audit_changes_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    list(audit(folder))
    for path, content in before.items():
        assert path.read_bytes() == content


async def test_the_audit_runs_beside_a_service_that_writes_on(folder: Path) -> None:
    log = await open_log(folder)
    reports = audit(folder)
    first = next(reports)
    await log.append([draft("meanwhile", OTHER_CASE)], expect_number=ENTRIES)
    rest = await asyncio.to_thread(list, reports)
    assert (first.stage, rest[-1].total) == ("keys", 2 * ENTRIES + 1)
    assert (await asyncio.to_thread(list, audit(folder)))[-1].total == 2 * ENTRIES + 2
    await log.append([draft("after", OTHER_CASE)], expect_number=ENTRIES + 1)
    await log.close()


@pytest.mark.parametrize(
    ("statements", "complaint"),
    [
        (["UPDATE entries SET sealed = zeroblob(90) WHERE leaf_index = 4"], LEAF_4 + "the sealed body"),
        (
            [
                "UPDATE entries SET sealed = (SELECT sealed FROM entries WHERE leaf_index = 6)"
                " WHERE leaf_index = 4"
            ],
            LEAF_4 + "the sealed body does not open in this place",
        ),
        (["UPDATE entries SET kind = 'left' WHERE leaf_index = 4"], LEAF_4 + "it is filed under"),
        (["UPDATE entries SET number = 3000 WHERE leaf_index = 4"], "it is filed under"),
        (["UPDATE entries SET actor_id = 'l_x' WHERE leaf_index = 4"], LEAF_4 + "it is filed under"),
        (["UPDATE entries SET command_id = 'k' WHERE leaf_index = 4"], LEAF_4 + "the sealed body"),
        (["UPDATE entries SET ordinal = 1 WHERE leaf_index = 4"], LEAF_4 + "the sealed body"),
        (
            [f"UPDATE entries SET case_id = '{OTHER_CASE}', number = 9000 WHERE leaf_index = 4"],
            "leaf 4 .* belongs to case",
        ),
        (
            [f"UPDATE entries SET envelope = {replaced('envelope', 'l_q', 'l q')} WHERE leaf_index = 4"],
            LEAF_4 + "the envelope's actor_id",
        ),
        (
            [f"UPDATE entries SET envelope = {replaced('envelope', 's_q', 's_p')} WHERE leaf_index = 4"],
            LEAF_4 + "its tree hashes",
        ),
        (["DELETE FROM entries WHERE leaf_index = 4"], "leaf 4 is missing"),
        ([f"DELETE FROM entries WHERE leaf_index = {2 * ENTRIES}"], "missing from the end of the log"),
        (["UPDATE hashes SET hash = zeroblob(32) WHERE stored_index = 6"], r"leaf 3 .* tree hashes"),
        (["DELETE FROM hashes WHERE stored_index = 6"], r"leaf 3 .* tree hashes"),
        (["INSERT INTO hashes VALUES (99999, zeroblob(32))"], "missing from the end"),
        (
            ["UPDATE checkpoints SET note = lower(note) WHERE tree_size > 0 AND tree_size < 1000"],
            r"the checkpoint of tree size \d+ is not one of",
        ),
        (
            [f"INSERT INTO checkpoints SELECT 3, note FROM checkpoints WHERE tree_size = {2 * ENTRIES + 1}"],
            "checkpoint of tree size 3 was signed over 1201 leaves",
        ),
        (
            ["DELETE FROM checkpoints WHERE tree_size > 1000"],
            r"newest checkpoint is over \d+ leaves, the log",
        ),
        (["DELETE FROM checkpoints"], "no checkpoint at all"),
        ([f"DELETE FROM case_keys WHERE case_id = '{CASE}'"], f"no key of case {CASE}"),
        (
            ["INSERT INTO case_keys SELECT 'c_9', key_id, wrapped, NULL FROM case_keys LIMIT 1"],
            "3 keys for the 2",
        ),
        (["UPDATE case_keys SET wrapped = zeroblob(60)"], f"the key of case {CASE} is damaged"),
    ],
)
def test_what_was_changed_in_a_table_is_found_and_named(
    folder: Path, statements: list[str], complaint: str
) -> None:
    tamper(folder, *statements)
    with pytest.raises(CorruptLog, match=complaint):
        list(audit(folder))


def test_a_root_that_the_log_never_had_is_found_though_its_own_key_signed_it(folder: Path) -> None:
    note = CheckpointSigner(ORIGIN, load_signer(folder / "log.key")).sign(3, bytes(32))
    connection = sqlite3.connect(folder / "log.sqlite")
    connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (3, ?)", (note,))
    connection.commit()
    connection.close()
    with pytest.raises(CorruptLog, match=f"the root of 3 leaves is .* but {'00' * 32} was signed"):
        list(audit(folder))


def test_an_index_that_leads_astray_is_found(folder: Path) -> None:
    connection = sqlite3.connect(folder / "log.sqlite")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, 'number = 1', 'number = 2') WHERE name = 'first_of_case'"
    )
    connection.commit()
    connection.close()
    with pytest.raises(CorruptLog, match="database file is damaged"):
        list(audit(folder))


def test_a_picture_that_is_damaged_missing_or_another_is_found_and_named(folder: Path) -> None:
    path = folder / "blobs" / CASE / SHA256
    sealed = path.read_bytes()
    damaged = bytearray(sealed)
    damaged[70_000] ^= 1
    for content, complaint in (
        (bytes(damaged), f"{SHA256} is damaged: chunk 1 of 3"),
        (sealed[:-1], f"{SHA256} is damaged: chunk 2 of 3"),
        (b"", f"{SHA256} is damaged: the header"),
    ):
        path.write_bytes(content)
        with pytest.raises(CorruptBlob, match=complaint):
            list(audit(folder))
    path.unlink()
    with pytest.raises(CorruptBlob, match=rf"{SHA256}, which leaf 1200 \(case {CASE}, .*is missing"):
        list(audit(folder))


async def test_a_picture_of_another_size_than_its_entry_says_is_found(folder: Path) -> None:
    log = await open_log(folder)
    await log.append([picture_draft(size_bytes=1)], expect_number=ENTRIES + 1)
    await log.close()
    with pytest.raises(CorruptBlob, match=r"holds 150000 bytes, but leaf 1201 .* names 1"):
        list(audit(folder))


@pytest.mark.parametrize("name", ["log.key", "wrap.key", "token.key"])
def test_a_key_that_others_may_read_is_named(folder: Path, name: str) -> None:
    (folder / "token.key").write_bytes(bytes(32))
    for key in ("token.key", name):
        (folder / key).chmod(0o600 if key != name else 0o644)
    with pytest.raises(IllegalOpen, match=f"{name} may be read by others"):
        list(audit(folder))


def test_keys_that_are_gone_or_anothers_are_named(folder: Path) -> None:
    for name in ("log.key", "wrap.key"):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(IllegalOpen, match=f"{name} is gone"):
            list(audit(folder))
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    (folder / "wrap.key").write_bytes(bytes(32))
    with pytest.raises(IllegalOpen, match="the key of case c_1 was wrapped with"):
        list(audit(folder))


def test_a_log_of_another_name_or_none_at_all_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(IllegalOpen, match="is called"):
        list(audit(folder, origin="other.example"))
    with pytest.raises(IllegalOpen, match="there is no log"):
        list(audit(tmp_path / "nothing"))
    (folder / "log.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError):
        list(audit(folder))


@pytest.mark.parametrize("removed", [True, False])
async def test_what_is_erased_beside_an_audit_is_not_missing(folder: Path, removed: bool) -> None:
    log = await open_log(folder)
    steps = audit(folder)
    assert next(step for step in steps if step.stage == "entries").blobs == 0
    body: JsonObject = {"reason": "asked for", "numbers": "all", "kinds": None, "by": "request"}
    erased = Draft(kind="erased", case_id=CASE, role="integrator", actor_id="i", session_id="", body=body)
    await log.append([erased], expect_number=ENTRIES + 1)
    if removed:
        await log.finish_erasure(CASE)
    else:  # between the two
        os.truncate(folder / "blobs" / CASE / SHA256, 100)
    assert list(steps)[-1].done == 2 * ENTRIES + 1
    list(audit(folder))
    await log.close()
