"""Blobs are stored once, under their own hash, and what the disk changed is not served."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, UnknownBlob

DATA = b"\xff\xd8 a picture \xff\xd9"
SHA256 = hashlib.sha256(DATA).hexdigest()


def files(folder: Path) -> list[Path]:
    return [item for item in folder.rglob("*") if item.is_file()]


async def test_a_blob_comes_back_under_its_hash(tmp_path: Path) -> None:
    blobs = await BlobStore.open(tmp_path)
    assert await blobs.put(DATA) == SHA256
    assert await blobs.get(SHA256) == DATA
    assert await (await BlobStore.open(tmp_path)).get(SHA256) == DATA
    assert await blobs.get(await blobs.put(b"")) == b""


async def test_the_same_blob_is_written_once(tmp_path: Path) -> None:
    blobs = await BlobStore.open(tmp_path)
    await blobs.put(DATA)
    (path,) = files(tmp_path)
    written_at = path.stat().st_mtime_ns
    assert set(await asyncio.gather(*(blobs.put(DATA) for _ in range(20)))) == {SHA256}
    assert files(tmp_path) == [path]
    assert path.stat().st_mtime_ns == written_at


async def test_many_at_once_leave_nothing_half_done(tmp_path: Path) -> None:
    blobs = await BlobStore.open(tmp_path)
    contents = [b"%d" % (number % 20) for number in range(100)]
    names = await asyncio.gather(*(blobs.put(content) for content in contents))
    assert [await blobs.get(name) for name in names] == contents
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []


@pytest.mark.parametrize("name", ["0" * 64, SHA256.upper(), "", "../../log.key", SHA256 + "\n", "0/" * 32])
async def test_a_name_under_which_nothing_lies_is_unknown(tmp_path: Path, name: str) -> None:
    blobs = await BlobStore.open(tmp_path)
    await blobs.put(DATA)
    with pytest.raises(UnknownBlob):
        await blobs.get(name)


async def test_a_blob_that_was_changed_on_the_disk_is_refused_and_named(tmp_path: Path) -> None:
    blobs = await BlobStore.open(tmp_path)
    await blobs.put(DATA)
    path = tmp_path / "blobs" / SHA256[:2] / SHA256
    for damaged in (DATA[:-1], b"", DATA + b"\x00", b"x" + DATA[1:]):
        path.write_bytes(damaged)
        with pytest.raises(CorruptBlob, match=SHA256):
            await blobs.get(SHA256)
        with pytest.raises(CorruptBlob, match=SHA256):
            await blobs.put(DATA)  # never papered over: somebody has to look at this disk
        assert path.read_bytes() == damaged


async def test_what_a_crash_left_half_written_is_swept_away(tmp_path: Path) -> None:
    await BlobStore.open(tmp_path)
    leftover = tmp_path / "blobs" / "incoming" / "tmpabc"
    leftover.write_bytes(b"half a pic")
    await BlobStore.open(tmp_path)
    assert not leftover.exists()


async def test_blobs_are_for_their_owner_alone(tmp_path: Path) -> None:
    blobs = await BlobStore.open(tmp_path / "data")
    await blobs.put(DATA)
    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
