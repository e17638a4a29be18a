"""Derived files may vanish at any time, and then are simply not there; together they stay small enough."""

import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.store.derived import DerivedStore
from server.store.errors import CorruptBlob, UnknownBlob, UnknownCaseKey
from server.store.log import LogStore
from tests.server.store.test_durability import draft, open_log

CASE = "c_1"


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[LogStore]:
    store = await open_log(tmp_path)
    await store.append([draft("1")], expect_number=0)
    await store.append([draft("1", "c_2")], expect_number=0)
    yield store
    await store.close()


async def names(derived: DerivedStore, *candidates: str) -> list[str]:
    found = []
    for name in candidates:
        if (reader := await derived.open(CASE, name)) is not None:
            reader.close()
            found.append(name)
    return found


async def keep(derived: DerivedStore, name: str, data: bytes) -> None:
    (await derived.put(CASE, name, io.BytesIO(data))).close()


async def test_a_file_comes_back_in_parts_sealed_and_in_its_own_case_only(
    log: LogStore, tmp_path: Path
) -> None:
    derived = await DerivedStore.prepare(tmp_path, log.keys)
    assert await derived.open(CASE, "a.webm") is None
    data = b"find me" * 50_000
    for reader in (
        await derived.put(CASE, "a.webm", io.BytesIO(data)),
        await derived.open(CASE, "a.webm"),
        await (await DerivedStore.prepare(tmp_path, log.keys)).open(CASE, "a.webm"),
    ):
        assert reader is not None
        assert reader.size_bytes == len(data)
        assert await reader.read(140_000, 70_000) == data[140_000:210_000]
        reader.close()
    assert b"find me" not in (tmp_path / "derived" / CASE / "a.webm").read_bytes()
    assert await derived.open("c_2", "a.webm") is None
    assert await derived.open("c_unknown", "a.webm") is None
    with pytest.raises(UnknownCaseKey):
        await derived.put("c_unknown", "a.webm", io.BytesIO(b""))


async def test_a_file_that_is_put_again_takes_the_place_of_the_older(log: LogStore, tmp_path: Path) -> None:
    derived = await DerivedStore.prepare(tmp_path, log.keys)
    older = await derived.put(CASE, "a", io.BytesIO(b"older"))
    await keep(derived, "a", b"newer")
    newer = await derived.open(CASE, "a")
    assert newer is not None
    assert (await older.read(0, 9), await newer.read(0, 9)) == (b"older", b"newer")
    older.close()
    newer.close()


async def test_the_files_that_were_looked_at_the_longest_ago_go_first(log: LogStore, tmp_path: Path) -> None:
    derived = await DerivedStore.prepare(tmp_path, log.keys, max_size_bytes=3_500)
    for age, name in enumerate("abc"):
        await keep(derived, name, bytes(1000))
        os.utime(tmp_path / "derived" / CASE / name, (1_000 + age, 1_000 + age))
    assert await names(derived, "a") == ["a"]  # looked at just now: the oldest is b
    evicted = await derived.open(CASE, "b")
    os.utime(tmp_path / "derived" / CASE / "b", (1_000, 1_000))
    await keep(derived, "d", bytes(1000))
    assert await names(derived, "a", "b", "c", "d") == ["a", "c", "d"]
    assert evicted is not None
    assert await evicted.read(0, 1000) == bytes(1000)  # who has it open reads on
    evicted.close()
    await keep(derived, "large", bytes(9_000))
    assert await names(derived, "a", "c", "d", "large") == ["large"]
    await DerivedStore.prepare(tmp_path, log.keys, max_size_bytes=3_500)
    assert await names(derived, "large") == []


async def test_what_a_crash_left_half_written_is_swept_away(log: LogStore, tmp_path: Path) -> None:
    await DerivedStore.prepare(tmp_path, log.keys)
    leftover = tmp_path / "derived" / ".incoming" / ".new-abc"
    leftover.write_bytes(b"half")
    await DerivedStore.prepare(tmp_path, log.keys)
    assert not leftover.exists()


async def test_a_damaged_file_counts_as_not_there(log: LogStore, tmp_path: Path) -> None:
    derived = await DerivedStore.prepare(tmp_path, log.keys)
    path = tmp_path / "derived" / CASE / "a"
    for damage in (b"", b"nothing", None):
        await keep(derived, "a", b"data")
        path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
        assert await derived.open(CASE, "a") is None
        assert not path.exists()


async def test_a_file_that_shows_its_damage_while_it_is_read_can_be_discarded(
    log: LogStore, tmp_path: Path
) -> None:
    derived = await DerivedStore.prepare(tmp_path, log.keys)
    await keep(derived, "a", bytes(200_000))
    path = tmp_path / "derived" / CASE / "a"
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    reader = await derived.open(CASE, "a")
    assert reader is not None
    with pytest.raises(CorruptBlob, match="chunk 0 of 4"):
        await reader.read(0, 1)
    reader.close()
    await derived.discard(CASE, "a")
    assert await derived.open(CASE, "a") is None


async def test_a_file_that_cannot_be_read_to_its_end_leaves_nothing(log: LogStore, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the disk is full")

    derived = await DerivedStore.prepare(tmp_path, log.keys)
    with pytest.raises(OSError, match="full"):
        await derived.put(CASE, "a", Broken())
    assert await derived.open(CASE, "a") is None
    assert list((tmp_path / "derived" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".new", "x" * 129, "a\n"])
async def test_names_that_lead_elsewhere_are_refused(log: LogStore, tmp_path: Path, name: str) -> None:
    derived = await DerivedStore.prepare(tmp_path, log.keys)
    with pytest.raises(UnknownBlob):
        await derived.open(CASE, name)
    with pytest.raises(UnknownBlob):
        await derived.put(CASE, name, io.BytesIO(b""))
