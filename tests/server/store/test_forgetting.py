"""What was erased is on the disk no more; what was not is as it was, and every proof holds."""

import asyncio
import hashlib
import io
import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.evidence.canonical import JsonObject, JsonValue
from server.evidence.entry import Draft
from server.evidence.erasure import parse_erasure
from server.evidence.errors import MalformedEntry
from server.store import forgetting
from server.store.audit import audit
from server.store.blobs import BlobStore
from server.store.derived import DerivedStore
from server.store.errors import CorruptLog, ErasedCase, IllegalAppend, UnknownBlob
from server.store.schema import connect_writer
from server.store.uploads import UploadKey, UploadStore
from tests.server.store.test_durability import draft, open_log

CASE, OTHER = "c_1", "c_2"
PICTURE, SOUND = os.urandom(150_000), os.urandom(80_000)
MANY = 400  # entries of each case: tables whose pages were split


def erased(*, numbers: JsonValue = "all", kinds: JsonValue = None) -> Draft:
    body: JsonObject = {
        "reason": "asked for",
        "numbers": numbers,
        "kinds": kinds,
        "by": "request",
        "authenticated_by": "api_key",
    }
    return Draft(
        kind="erased", case_id=CASE, role="integrator", actor_id="integrator", session_id="", body=body
    )


def blob_draft(kind: str, data: bytes, case_id: str = CASE) -> Draft:
    blob: JsonObject = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "media_type": "image/jpeg",
    }
    return Draft(kind=kind, case_id=case_id, role="qa", actor_id="l_q", session_id="", body={"blob": blob})


async def write(folder: Path) -> None:
    """Two cases whose leaves alternate, each with texts, a picture and a sound; files of every kind."""
    log = await open_log(folder)
    blobs = await BlobStore.prepare(folder, log.keys)
    derived = await DerivedStore.prepare(folder, log.keys)
    uploads = await UploadStore.prepare(folder, log.keys, utc_now=lambda: datetime.now(UTC))
    await asyncio.gather(
        *(
            log.append([draft(f"text {number}", case_id)], expect_number=number)
            for number in range(MANY)
            for case_id in (CASE, OTHER)
        )
    )
    for case_id in (CASE, OTHER):
        for data in (PICTURE, SOUND):
            await blobs.put(case_id, data)
        await log.append([blob_draft("frame_sealed", PICTURE, case_id)], expect_number=MANY)
        await log.append([blob_draft("segment_sealed", SOUND, case_id)], expect_number=MANY + 1)
        (await derived.put(case_id, "playback.mp4", io.BytesIO(SOUND))).close()
        upload = await uploads.begin(UploadKey(case_id=case_id, actor_id="l_q", sha256="ab" * 32))
        await uploads.append(upload, PICTURE)
    await log.close()


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pattern")
    asyncio.run(write(folder))
    return folder


@pytest.fixture
def folder(pattern: Path, tmp_path: Path) -> Path:
    """A copy to erase from."""
    return shutil.copytree(pattern, tmp_path / "data")


def sealed_values(folder: Path, case_id: str) -> list[bytes]:
    """What of a case lies in the database: sealed bodies, and the wrapped key."""
    connection = sqlite3.connect(folder / "log.sqlite")
    rows = connection.execute("SELECT sealed FROM entries WHERE case_id = ?", (case_id,)).fetchall()
    keys = connection.execute("SELECT wrapped FROM case_keys WHERE case_id = ?", (case_id,)).fetchall()
    connection.close()
    return [row[0] for row in rows + keys]


def raw(folder: Path) -> bytes:
    """Every byte of every file of the database."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("log.sqlite*")))


def files_of(folder: Path, case_id: str) -> list[Path]:
    return [
        path for top in forgetting.FOLDERS for path in (folder / top / case_id).rglob("*") if path.is_file()
    ]


async def test_of_a_case_that_is_erased_no_sealed_byte_and_no_file_is_left(folder: Path) -> None:
    log = await open_log(folder)
    before, others = sealed_values(folder, CASE), sealed_values(folder, OTHER)
    hashes = [entry.hash for entry in await log.entries(CASE)]
    proof = await log.inclusion_proof(4)
    assert len(files_of(folder, CASE)) == 4

    (entry,) = await log.append([erased()], expect_number=MANY + 2)
    assert await log.finish_erasure(CASE)
    data = raw(folder)
    assert not any(value in data for value in before)
    assert all(value in data for value in others)
    assert files_of(folder, CASE) == [] and len(files_of(folder, OTHER)) == 4

    left = await log.entries(CASE)
    assert [one.hash for one in left[:-1]] == hashes and left[-1] == entry
    assert all(one.is_erased and one.body == {} for one in left[:-1])
    assert entry.body["reason"] == "asked for" and not entry.is_erased
    assert await log.inclusion_proof(4, proof.tree_size) == proof
    assert len(await log.bodies(frozenset({"text"}), first=0, end=log.size)) == MANY
    await log.append([draft("afterwards")], expect_number=MANY + 3)
    assert list(audit(folder))[-1].blobs == 2, "whole, with the other case's blobs"
    await log.close()
    log = await open_log(folder)
    assert (await log.entries(CASE, after=MANY + 3))[0].body == {"text": "afterwards"}
    await log.close()


async def test_a_case_that_was_erased_takes_no_file(folder: Path) -> None:
    log = await open_log(folder)
    await log.append([erased()], expect_number=MANY + 2)
    blobs = await BlobStore.prepare(folder, log.keys)
    derived = await DerivedStore.prepare(folder, log.keys)
    uploads = await UploadStore.prepare(folder, log.keys, utc_now=lambda: datetime.now(UTC))
    with pytest.raises(ErasedCase):
        await blobs.put(CASE, PICTURE)
    with pytest.raises(ErasedCase):
        await derived.put(CASE, "playback.mp4", io.BytesIO(SOUND))
    with pytest.raises(ErasedCase):
        await uploads.begin(UploadKey(case_id=CASE, actor_id="l_q", sha256="cd" * 32))
    with pytest.raises(UnknownBlob):
        await blobs.get(CASE, hashlib.sha256(PICTURE).hexdigest())
    assert await derived.open(CASE, "playback.mp4") is None
    await log.close()


async def test_what_a_crash_left_of_an_erasure_is_gone_after_the_next_start(folder: Path) -> None:
    log = await open_log(folder)
    before = sealed_values(folder, CASE)
    await log.append([erased()], expect_number=MANY + 2)
    assert len(files_of(folder, CASE)) == 4, "nothing was finished"
    await log.close()
    log = await open_log(folder)
    assert files_of(folder, CASE) == []
    assert not any(value in raw(folder) for value in before)
    await log.close()


@pytest.mark.parametrize("finished", [True, False])
async def test_pictures_go_and_the_rest_of_the_case_stays(folder: Path, finished: bool) -> None:
    log = await open_log(folder)
    query = "SELECT sealed FROM entries WHERE case_id = ? AND kind = 'frame_sealed'"
    connection = sqlite3.connect(folder / "log.sqlite")
    (sealed,) = connection.execute(query, (CASE,)).fetchone()
    connection.close()
    await log.append([erased(kinds=["frame_sealed"])], expect_number=MANY + 2)
    if finished:
        assert await log.finish_erasure(CASE)
    else:
        await log.close()
        log = await open_log(folder)
    assert sealed not in raw(folder)
    names = {path.name for path in files_of(folder, CASE)}
    assert names == {hashlib.sha256(SOUND).hexdigest(), "00000000"}, "what was derived is made anew"
    entries = await log.entries(CASE)
    assert [entry.envelope.kind for entry in entries if entry.is_erased] == ["frame_sealed"]
    blobs = await BlobStore.prepare(folder, log.keys)
    assert await blobs.get(CASE, hashlib.sha256(SOUND).hexdigest()) == SOUND
    assert list(audit(folder))[-1].blobs == 3
    await log.close()


async def test_a_blob_that_another_entry_names_stays(folder: Path) -> None:
    log = await open_log(folder)
    await log.append([blob_draft("frame_sealed", PICTURE)], expect_number=MANY + 2)
    await log.append([erased(numbers=[MANY + 1])], expect_number=MANY + 3)
    assert await log.finish_erasure(CASE)
    blobs = await BlobStore.prepare(folder, log.keys)
    assert await blobs.get(CASE, hashlib.sha256(PICTURE).hexdigest()) == PICTURE
    await log.close()


async def test_an_erasure_waits_for_who_reads_the_log_as_it_was(folder: Path) -> None:
    log = await open_log(folder)
    before = sealed_values(folder, CASE)
    reading = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT count(*) FROM entries").fetchone()
    await log.append([erased()], expect_number=MANY + 2)
    assert not await log.finish_erasure(CASE)
    reading.close()
    assert await log.finish_erasure(CASE)
    assert not any(value in raw(folder) for value in before)
    await log.close()


async def test_an_entry_that_erases_is_appended_alone(folder: Path) -> None:
    log = await open_log(folder)
    with pytest.raises(IllegalAppend):
        await log.append([erased(), draft("and more")], expect_number=MANY + 2)
    await log.close()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE entries SET sealed = x'' WHERE case_id = 'c_2' AND number = 3", "no entry says"),
        ("UPDATE entries SET sealed = zeroblob(90) WHERE case_id = 'c_1' AND number = 3", "damaged"),
    ],
)
async def test_a_body_that_nobody_erased_may_not_be_missing(
    folder: Path, statement: str, complaint: str
) -> None:
    log = await open_log(folder)
    await log.append([erased()], expect_number=MANY + 2)
    await log.close()
    connection = sqlite3.connect(folder / "log.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(CorruptLog, match=complaint):
        list(audit(folder))


async def test_what_was_erased_may_not_be_back(folder: Path) -> None:
    log = await open_log(folder)
    connection = sqlite3.connect(folder / "log.sqlite")
    query = "SELECT sealed FROM entries WHERE case_id = ? AND number = ?"
    (sealed,) = connection.execute(query, (CASE, MANY + 1)).fetchone()
    await log.append([erased(kinds=["frame_sealed"])], expect_number=MANY + 2)
    await log.close()
    update = "UPDATE entries SET sealed = ? WHERE case_id = ? AND number = ?"
    connection.execute(update, (sealed, CASE, MANY + 1))
    connection.commit()
    connection.close()
    with pytest.raises(CorruptLog, match="still there"):
        list(audit(folder))


@pytest.mark.parametrize(
    "body",
    [{}, {"numbers": []}, {"numbers": "some"}, {"numbers": ["1"]}, {"numbers": "all", "kinds": []}],
)
def test_an_erasure_that_says_not_what_is_malformed(body: JsonObject) -> None:
    with pytest.raises(MalformedEntry):
        parse_erasure(body)


def doom(folder: Path, count: int) -> None:
    """Many blobs of an erasure, gone already but for their rows."""
    connection = connect_writer(folder / "log.sqlite")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO doomed_blobs VALUES (?, ?)", [(CASE, f"{number:064}") for number in range(count)]
    )
    connection.execute("COMMIT")
    connection.close()


async def test_the_blobs_of_an_erasure_are_forgotten_in_one_transaction(folder: Path) -> None:
    doom(folder, 100)
    statements: list[str] = []
    connection = connect_writer(folder / "log.sqlite")
    connection.set_trace_callback(statements.append)
    forgetting.remove_doomed(connection, folder, CASE)
    assert connection.execute("SELECT count(*) FROM doomed_blobs").fetchone() == (0,)
    connection.close()
    deletions = [at for at, statement in enumerate(statements) if statement.startswith("DELETE")]
    assert len(deletions) == 100
    assert statements[deletions[0] - 1] == "BEGIN IMMEDIATE" and statements[deletions[-1] + 1] == "COMMIT"


@pytest.mark.parametrize("kinds", [None, ["frame_sealed"]])
async def test_an_erasure_is_noted_until_all_has_been_done(folder: Path, kinds: JsonValue) -> None:
    log = await open_log(folder)
    assert await log.unfinished_erasures() == []
    await log.append([erased(kinds=kinds)], expect_number=MANY + 2)
    assert await log.finish_erasure(CASE)
    await log.close()
    log = await open_log(folder)
    assert await log.unfinished_erasures() == [CASE], "somebody may have died between two steps"
    assert await log.finish_erasure(CASE, is_last=True)
    assert await log.unfinished_erasures() == []
    await log.close()


async def test_what_was_made_of_erased_pictures_is_gone_after_a_crash_if_no_blob_went_with_them(
    folder: Path,
) -> None:
    log = await open_log(folder)
    await log.append([blob_draft("frame_sealed", PICTURE)], expect_number=MANY + 2)
    await log.append([erased(numbers=[MANY + 1])], expect_number=MANY + 3)
    await log.close()
    assert (folder / "derived" / CASE).exists()
    await (await open_log(folder)).close()
    assert not (folder / "derived" / CASE).exists() and (folder / "derived" / OTHER).exists()
