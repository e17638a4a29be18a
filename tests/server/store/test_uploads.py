"""Unfinished uploads: sealed, durable to the offset that is told, found again, gone when over."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.store.errors import CorruptBlob, IllegalAppend, UnknownCaseKey
from server.store.log import LogStore
from server.store.uploads import PIECE_BYTES, Upload, UploadKey, UploadStore
from tests.server.store.test_durability import draft, open_log

KEY = UploadKey(case_id="c_1", actor_id="l_1", sha256="5" * 64)
OTHER = replace(KEY, actor_id="l_2")
MARKER = b"nobody reads this on the disk "


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[LogStore]:
    store = await open_log(tmp_path)
    await store.append([draft("1")], expect_number=0)
    yield store
    await store.close()


async def opened(log: LogStore, folder: Path) -> UploadStore:
    return await UploadStore.prepare(folder, log.keys, utc_now=lambda: datetime.now(UTC))


def files(folder: Path) -> dict[str, int]:
    """The files of uploads below a data folder, with their sizes."""
    return {
        path.relative_to(folder / "uploads").as_posix(): path.stat().st_size
        for path in (folder / "uploads").rglob("*")
        if path.is_file()
    }


def check_sealed(folder: Path, marker: bytes) -> None:
    """Nothing there holds the marker; what is below the data folder is for its owner alone."""
    for path in folder.rglob("*"):
        assert not path.is_file() or marker not in path.read_bytes(), path
        assert path.parent == folder or path.stat().st_mode & 0o077 == 0, path


def found(store: UploadStore, key: UploadKey = KEY) -> Upload:
    upload = store.find(key)
    assert upload is not None
    return upload


async def test_what_was_added_is_found_again_by_the_next_process(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    await store.begin(OTHER)
    data = MARKER * 50_000
    for first in range(0, len(data), PIECE_BYTES):
        await store.append(upload, data[first : first + PIECE_BYTES])
    assert upload.offset_bytes == len(data)
    again = await opened(log, tmp_path)
    assert found(again).offset_bytes == len(data) and found(again, OTHER).offset_bytes == 0
    assert await again.read(found(again)) == data
    assert again.count_of("l_1") == again.count_of("l_2") == 1


async def test_nothing_of_an_upload_lies_on_the_disk_in_the_clear(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    await store.append(upload, MARKER * 100)
    await store.append_unchecked(upload, MARKER * 100)
    assert len(files(tmp_path)) == 2
    check_sealed(tmp_path, MARKER[:12])


async def test_single_bytes_do_not_make_a_file_of_each(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    for byte in b"a few bytes":
        await store.append(upload, bytes([byte]))
    await store.append(upload, bytes(PIECE_BYTES - 20))
    assert len(files(tmp_path)) == 1
    await store.append(upload, bytes(20))
    await store.append(upload, bytes(PIECE_BYTES))
    assert len(files(tmp_path)) == 3
    assert (await store.read(upload)).startswith(b"a few bytes\x00")
    assert found(await opened(log, tmp_path)).offset_bytes == upload.offset_bytes == 2 * PIECE_BYTES + 11


async def test_a_piece_that_is_too_large_is_not_taken(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    with pytest.raises(IllegalAppend):
        await store.append(upload, bytes(PIECE_BYTES + 1))
    assert upload.offset_bytes == 0


async def test_what_is_laid_aside_counts_once_it_is_confirmed(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    await store.append(upload, b"begin ")
    for data in (b"right ", b"bytes"):
        await store.append_unchecked(upload, data)
    assert upload.offset_bytes == 6
    await store.confirm(upload)
    assert await store.read(upload) == b"begin right bytes"
    await store.append_unchecked(upload, b"wrong")
    await store.forget_unchecked(upload)
    assert await store.read(upload) == b"begin right bytes" and len(files(tmp_path)) == 1


async def test_what_was_not_confirmed_is_gone_after_a_restart(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    await store.append(upload, b"begin ")
    await store.append_unchecked(upload, b"perhaps")
    again = await opened(log, tmp_path)
    assert await again.read(found(again)) == b"begin " and len(files(tmp_path)) == 1


async def test_the_offset_moves_only_when_the_disk_has_it(
    log: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    await store.append(upload, b"begin")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(OSError):
            await store.append(upload, b" and on")
    assert upload.offset_bytes == 5 and await store.read(upload) == b"begin"
    assert found(await opened(log, tmp_path)).offset_bytes == 5


async def test_an_upload_that_is_over_leaves_nothing_and_may_begin_anew(
    log: LogStore, tmp_path: Path
) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    await store.append(upload, MARKER)
    await store.drop(upload)
    await store.drop(upload)
    assert files(tmp_path) == {} and store.find(KEY) is None and store.all() == []
    await store.append(await store.begin(KEY), b"anew")
    again = await opened(log, tmp_path)
    assert await again.read(found(again)) == b"anew"


async def test_pieces_with_a_hole_are_no_upload(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    upload = await store.begin(KEY)
    for _ in range(3):
        await store.append(upload, bytes(PIECE_BYTES))
    (tmp_path / "uploads/c_1/l_1" / KEY.sha256 / f"{PIECE_BYTES:08d}").unlink()
    assert (await opened(log, tmp_path)).find(KEY) is None
    assert files(tmp_path) == {}


async def test_what_a_crash_left_is_swept_away(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    await store.drop(await store.begin(KEY))
    (tmp_path / "uploads/.incoming/half").mkdir()
    (tmp_path / "uploads/.incoming/half/piece").write_bytes(b"x")
    (tmp_path / "uploads/.incoming/.new-x").write_bytes(b"x")
    await opened(log, tmp_path)
    assert [path.name for path in (tmp_path / "uploads").rglob("*")] == [".incoming"]


async def test_a_damaged_or_moved_piece_is_never_taken_for_what_was_sent(
    log: LogStore, tmp_path: Path
) -> None:
    store = await opened(log, tmp_path)
    upload, other = await store.begin(KEY), await store.begin(OTHER)
    await store.append(upload, b"of one person")
    await store.append(other, b"of the other!")
    mine, theirs = [tmp_path / "uploads/c_1" / key.actor_id / KEY.sha256 / "00000000" for key in (KEY, OTHER)]
    sealed = mine.read_bytes()
    for changed in (theirs.read_bytes(), sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:-3]):
        mine.write_bytes(changed)
        with pytest.raises(CorruptBlob):
            await store.read(upload)
    mine.unlink()
    with pytest.raises(CorruptBlob):
        await store.read(upload)


async def test_a_restart_does_not_make_an_old_upload_young(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    await store.append(await store.begin(KEY), b"x")
    then = datetime.now(UTC) - timedelta(hours=30)
    os.utime(tmp_path / "uploads/c_1/l_1" / KEY.sha256, (then.timestamp(), then.timestamp()))
    again = await opened(log, tmp_path)
    assert abs(found(again).changed_at - then) < timedelta(seconds=1)
    await again.append(found(again), b"y")
    assert datetime.now(UTC) - found(again).changed_at < timedelta(minutes=1)


async def test_a_case_without_a_key_takes_none(log: LogStore, tmp_path: Path) -> None:
    store = await opened(log, tmp_path)
    with pytest.raises(UnknownCaseKey):
        await store.begin(replace(KEY, case_id="c_9"))
    assert store.all() == []
