"""The key that wraps: made at the first start, its owner's alone, and never replaced by another unnoticed."""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.evidence.entry import Draft
from server.store.errors import FailedAppend, IllegalOpen, MalformedSeal
from server.store.keys import AesKeyWrapper
from server.store.log import LogStore
from tests.server.store.test_durability import FailingConnection, draft, open_log


async def sealed_log(folder: Path) -> None:
    log = await open_log(folder)
    await log.append([draft("1")], expect_number=0)
    await log.close()


def key_rows(folder: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(folder / "log.sqlite")
    rows = connection.execute("SELECT case_id, key_id FROM case_keys ORDER BY case_id").fetchall()
    connection.close()
    return rows


async def test_the_key_that_wraps_is_made_at_the_first_start_for_its_owner_alone(tmp_path: Path) -> None:
    await sealed_log(tmp_path)
    key = tmp_path / "wrap.key"
    assert key.stat().st_mode & 0o777 == 0o600
    made = key.read_bytes()
    await (await open_log(tmp_path)).close()
    assert key.read_bytes() == made
    assert key_rows(tmp_path) == [("c_1", AesKeyWrapper(made, os.urandom).key_id)]
    key.chmod(0o640)
    with pytest.raises(IllegalOpen, match=r"wrap\.key may be read by others"):
        await open_log(tmp_path)


async def test_a_key_that_is_gone_is_not_made_again_once_something_is_sealed(tmp_path: Path) -> None:
    await (await open_log(tmp_path)).close()
    (tmp_path / "wrap.key").unlink()
    await sealed_log(tmp_path)  # nothing was wrapped yet
    (tmp_path / "wrap.key").unlink()
    with pytest.raises(IllegalOpen, match=r"sealed with a key that is gone: restore .*wrap\.key"):
        await open_log(tmp_path)
    assert not (tmp_path / "wrap.key").exists()


@pytest.mark.parametrize(
    ("content", "complaint"), [(bytes(32), "the key of case c_1 was wrapped with"), (b"x", "holds 1 bytes")]
)
async def test_another_key_in_its_place_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    await sealed_log(tmp_path)
    (tmp_path / "wrap.key").write_bytes(content)
    with pytest.raises(IllegalOpen, match=complaint):
        await open_log(tmp_path)


async def test_keys_without_their_log_are_refused(tmp_path: Path) -> None:
    await sealed_log(tmp_path)
    for name in ("log.sqlite", "log.key"):
        (tmp_path / name).unlink()
    with pytest.raises(IllegalOpen, match=r"wrap\.key is there, but its log is gone"):
        await open_log(tmp_path)


async def test_every_case_has_a_key_of_its_own_from_its_first_entry_on(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    bad = Draft(kind="Text!", case_id="c_3", role="qa", actor_id="l_q", session_id="s", body={})
    await log.append([draft("1"), draft("2")], expect_number=0)
    with pytest.raises(Exception, match="kind"):
        await log.append([bad], expect_number=0)
    await log.append([draft("1", "c_2")], expect_number=0)
    await log.append([draft("3")], expect_number=2)
    await log.close()
    assert [case_id for case_id, _ in key_rows(tmp_path)] == ["c_1", "c_2"]
    log = await open_log(tmp_path)
    assert [entry.body["text"] for entry in await log.entries("c_1")] == ["1", "2", "3"]
    await log.close()


async def test_a_case_whose_first_entry_was_not_committed_gets_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await open_log(tmp_path)).close()

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=FailingConnection)

    monkeypatch.setattr(FailingConnection, "commits", 1)
    monkeypatch.setattr("server.store.writer.connect_writer", connect)
    log = await open_log(tmp_path)
    with pytest.raises(FailedAppend):
        await log.append([draft("1")], expect_number=0)
    await log.close()
    monkeypatch.undo()
    assert key_rows(tmp_path) == []
    await sealed_log(tmp_path)
    log = await LogStore.open(
        tmp_path,
        origin="proofcall.local/log",
        utc_now=lambda: datetime.now(UTC),
        token_bytes=os.urandom,
    )
    assert len(await log.entries("c_1")) == 1
    await log.close()


def test_a_wrapped_key_opens_with_its_wrapper_and_context_only() -> None:
    wrapper = AesKeyWrapper(bytes(32), os.urandom)
    wrapped = wrapper.wrap(b"k" * 32, b"c_1")
    assert wrapper.unwrap(wrapped, b"c_1") == b"k" * 32
    other = AesKeyWrapper(b"o" * 32, os.urandom)
    assert other.key_id != wrapper.key_id
    for wrong, data, context in (
        (wrapper, wrapped, b"c_2"),
        (other, wrapped, b"c_1"),
        (wrapper, wrapped[:-1], b"c_1"),
        (wrapper, b"", b"c_1"),
    ):
        with pytest.raises(MalformedSeal):
            wrong.unwrap(data, context)
