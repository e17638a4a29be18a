"""Blobs are stored once in each case, sealed, under their own hash; what the disk changed is not served."""

import asyncio
import errno
import hashlib
import os
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.evidence.entry import Draft
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, UnknownBlob, UnknownCaseKey
from server.store.log import LogStore
from server.store.sealing import CHUNK_SIZE_BYTES

CASE, OTHER_CASE = "c_1", "c_2"
DATA = b"\xff\xd8 a picture \xff\xd9"
SHA256 = hashlib.sha256(DATA).hexdigest()
LARGE = random.Random(4).randbytes(3 * CHUNK_SIZE_BYTES + 17)


def files(folder: Path) -> list[Path]:
    return [item for item in (folder / "blobs").rglob("*") if item.is_file()]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[LogStore]:
    """A log with two cases, each of one entry."""
    store = await LogStore.open(
        tmp_path,
        origin="proofcall.local/log",
        utc_now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
        token_bytes=os.urandom,
    )
    for case_id in (CASE, OTHER_CASE):
        draft = Draft(kind="text", case_id=case_id, role="qa", actor_id="l_q", session_id="s", body={})
        await store.append([draft], expect_number=0)
    yield store
    await store.close()


@pytest.fixture
async def blobs(log: LogStore, tmp_path: Path) -> BlobStore:
    return await BlobStore.prepare(tmp_path, log.keys)


async def test_a_blob_comes_back_under_its_hash(log: LogStore, blobs: BlobStore, tmp_path: Path) -> None:
    assert await blobs.put(CASE, DATA) == SHA256
    assert await blobs.get(CASE, SHA256) == DATA
    assert await (await BlobStore.prepare(tmp_path, log.keys)).get(CASE, SHA256) == DATA
    for data in (b"", LARGE, LARGE[:CHUNK_SIZE_BYTES]):
        assert await blobs.get(CASE, await blobs.put(CASE, data)) == data


async def test_the_bytes_of_a_blob_are_nowhere_on_the_disk(blobs: BlobStore, tmp_path: Path) -> None:
    await blobs.put(CASE, b"find me" * 1000)
    assert not any(b"find me" in item.read_bytes() for item in files(tmp_path))


async def test_any_part_of_a_blob_is_read_without_the_rest(blobs: BlobStore) -> None:
    reader = await blobs.open(CASE, await blobs.put(CASE, LARGE))
    assert reader.size_bytes == len(LARGE)
    chosen = random.Random(5)
    for _ in range(200):
        offset, size = chosen.randrange(len(LARGE) + 100), chosen.randrange(2 * CHUNK_SIZE_BYTES)
        assert await reader.read(offset, size) == LARGE[offset : offset + size]
    for offset in (0, CHUNK_SIZE_BYTES, 2 * CHUNK_SIZE_BYTES, len(LARGE) - 1, len(LARGE)):
        assert await reader.read(offset, 1) == LARGE[offset : offset + 1]
        assert await reader.read(offset, CHUNK_SIZE_BYTES) == LARGE[offset : offset + CHUNK_SIZE_BYTES]
    reader.close()
    reader.close()


async def test_the_same_blob_of_a_case_is_written_once(blobs: BlobStore, tmp_path: Path) -> None:
    await blobs.put(CASE, DATA)
    (path,) = files(tmp_path)
    assert path == tmp_path / "blobs" / CASE / SHA256
    written_at = path.stat().st_mtime_ns
    assert set(await asyncio.gather(*(blobs.put(CASE, DATA) for _ in range(20)))) == {SHA256}
    assert files(tmp_path) == [path]
    assert path.stat().st_mtime_ns == written_at


async def test_cases_share_no_blob(blobs: BlobStore) -> None:
    await blobs.put(CASE, DATA)
    with pytest.raises(UnknownBlob):
        await blobs.get(OTHER_CASE, SHA256)
    with pytest.raises(UnknownBlob):
        await blobs.get("c_unknown", SHA256)
    with pytest.raises(UnknownCaseKey):
        await blobs.put("c_unknown", DATA)


async def test_many_at_once_leave_nothing_half_done(blobs: BlobStore, tmp_path: Path) -> None:
    contents = [b"%d" % (number % 20) for number in range(100)]
    names = await asyncio.gather(*(blobs.put(CASE, content) for content in contents))
    assert [await blobs.get(CASE, name) for name in names] == contents
    assert list((tmp_path / "blobs" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("name", ["0" * 64, SHA256.upper(), "", "../../log.key", SHA256 + "\n", "0/" * 32])
async def test_a_name_under_which_nothing_lies_is_unknown(blobs: BlobStore, name: str) -> None:
    await blobs.put(CASE, DATA)
    for read in (blobs.get, blobs.open):
        with pytest.raises(UnknownBlob):
            await read(CASE, name)


async def test_a_blob_that_was_changed_on_the_disk_is_refused_and_named(
    blobs: BlobStore, tmp_path: Path
) -> None:
    await blobs.put(CASE, DATA)
    path = tmp_path / "blobs" / CASE / SHA256
    sealed = path.read_bytes()
    for damaged in (
        sealed[:-1],
        b"",
        sealed + b"\x00",
        b"x" + sealed[1:],
        sealed[:-20] + b"x" + sealed[-19:],
    ):
        path.write_bytes(damaged)
        for read in (blobs.get, blobs.open):
            with pytest.raises(CorruptBlob, match=SHA256):
                await read(CASE, SHA256)
        with pytest.raises(CorruptBlob, match=SHA256):
            await blobs.put(CASE, DATA)  # never papered over: somebody has to look at this disk
        assert path.read_bytes() == damaged


async def test_a_blob_is_good_in_its_own_case_and_under_its_own_name_only(
    blobs: BlobStore, tmp_path: Path
) -> None:
    for case_id in (CASE, OTHER_CASE):
        await blobs.put(case_id, DATA)
    other = await blobs.put(CASE, b"another")
    sealed = (tmp_path / "blobs" / CASE / SHA256).read_bytes()
    for path in (tmp_path / "blobs" / OTHER_CASE / SHA256, tmp_path / "blobs" / CASE / other):
        path.write_bytes(sealed)
        with pytest.raises(CorruptBlob, match=f"{path.name} is damaged: chunk 0 of 1"):
            await blobs.get(path.parent.name, path.name)


async def test_a_damaged_chunk_is_named_and_the_others_are_read(blobs: BlobStore, tmp_path: Path) -> None:
    sha256 = await blobs.put(CASE, LARGE)
    path = tmp_path / "blobs" / CASE / sha256
    sealed = bytearray(path.read_bytes())
    sealed[2 * CHUNK_SIZE_BYTES] ^= 1  # in chunk 1: headers and tags take some bytes
    path.write_bytes(sealed)
    reader = await blobs.open(CASE, sha256)
    with pytest.raises(CorruptBlob, match=f"{sha256} is damaged: chunk 1 of 4"):
        await reader.read(CHUNK_SIZE_BYTES + 5, 1)
    assert await reader.read(0, CHUNK_SIZE_BYTES) == LARGE[:CHUNK_SIZE_BYTES]
    reader.close()


async def test_what_a_crash_left_half_written_is_swept_away(
    log: LogStore, blobs: BlobStore, tmp_path: Path
) -> None:
    leftover = tmp_path / "blobs" / ".incoming" / ".new-abc"
    leftover.write_bytes(b"half a pic")
    await BlobStore.prepare(tmp_path, log.keys)
    assert not leftover.exists()


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
async def test_a_full_disk_leaves_nothing_of_a_blob_and_takes_the_next(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "rename":
        monkeypatch.setattr(Path, "rename", refuse)
    elif call == "fsync":
        await blobs.put(CASE, b"the folder is there")
        monkeypatch.setattr(os, "fsync", refuse)
    else:
        monkeypatch.setattr("server.store.sealed_file.os.fdopen", refuse)
    with pytest.raises(OSError, match="No space left"):
        await blobs.put(CASE, DATA)
    monkeypatch.undo()
    assert not (tmp_path / "blobs" / CASE / SHA256).exists()
    assert list((tmp_path / "blobs" / ".incoming").iterdir()) == []
    assert await blobs.put(CASE, DATA) == SHA256


async def test_blobs_are_for_their_owner_alone(blobs: BlobStore, tmp_path: Path) -> None:
    await blobs.put(CASE, DATA)
    (path,) = files(tmp_path)
    for item in (path, path.parent, path.parent.parent):
        assert item.stat().st_mode & 0o077 == 0
