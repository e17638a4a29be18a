"""What is kept of webhooks: whole or refused, and for its owner alone."""

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.store.errors import CorruptWebhooks, IllegalOpen
from server.store.keys import AesKeyWrapper
from server.store.webhook_rows import Counts, Endpoint, Letter, Settled
from server.store.webhooks import WebhookStore

AT = datetime(2026, 11, 28, 12, 0, 0, 123_456, tzinfo=UTC)
WRAPPER = AesKeyWrapper(b"k" * 32, os.urandom)


def endpoint(endpoint_id: str = "w_1", cursor: int = 5) -> Endpoint:
    return Endpoint(
        endpoint_id=endpoint_id,
        url="https://example.com/hooks",
        kinds=("text", "joined"),
        with_bodies=True,
        cursor=cursor,
        created_at=AT.replace(microsecond=124_000),
    )


def letter(leaf_index: int, due_at: datetime | None, attempts: int = 1) -> Letter:
    return Letter(leaf_index=leaf_index, attempts=attempts, due_at=due_at, error="503")


def settled(kept: Letter, *, known: bool = False) -> Settled:
    return Settled(leaf_index=kept.leaf_index, letter=kept, known=known)


async def test_what_was_written_is_read_again_by_the_next_process(tmp_path: Path) -> None:
    store = await WebhookStore.open(tmp_path, WRAPPER)
    await store.add(endpoint(), b"s" * 32)
    await store.settle("w_1", [settled(letter(7, AT)), settled(letter(8, None, 10))], cursor=9, now_at=AT)
    await store.close()
    assert not (tmp_path / "webhooks.db-wal").exists(), "one file once it is closed"
    store = await WebhookStore.open(tmp_path, WRAPPER)
    (found,) = await store.endpoints()
    assert (found.cursor, found.kinds, found.last_error) == (9, ("text", "joined"), "503")
    assert await store.secret("w_1") == b"s" * 32
    assert await store.counts("w_1") == Counts(waiting=1, dead=1)
    (waiting,) = await store.earliest("w_1", 5)
    assert waiting.due_at is not None and AT <= waiting.due_at < AT + timedelta(milliseconds=1), (
        "never earlier"
    )
    assert await store.held("w_1", 0, 8) == {7}
    assert [one.leaf_index for one in await store.dead("w_1", first=0, limit=5)] == [8]
    assert await store.dead("w_1", first=9, limit=5) == []
    await store.close()


async def test_a_letter_that_is_delivered_or_replayed_is_gone(tmp_path: Path) -> None:
    store = await WebhookStore.open(tmp_path, WRAPPER)
    await store.add(endpoint(), b"s" * 32)
    await store.add(endpoint("w_2"), b"t" * 32)
    for endpoint_id in ("w_1", "w_2"):
        kept = [settled(letter(leaf, AT + timedelta(seconds=10 - leaf))) for leaf in range(5)]
        await store.settle(endpoint_id, kept, cursor=5, now_at=AT)
    assert [one.leaf_index for one in await store.earliest("w_1", 2)] == [4, 3], "the earliest first"
    gone = Settled(leaf_index=4, letter=None, known=True)
    await store.settle("w_1", [gone], cursor=5, now_at=AT)
    await store.disable("w_1", "410 Gone", now_at=AT)
    await store.replay("w_1", 2)
    found = await store.endpoint("w_1")
    assert found is not None and (found.cursor, found.disabled) == (2, None)
    assert await store.held("w_1", 0, 10) == {0, 1}
    assert await store.held("w_2", 0, 10) == {0, 1, 2, 3, 4}, "each has its own"
    await store.remove("w_2")
    assert await store.counts("w_2") == Counts(waiting=0, dead=0)
    await store.close()


async def test_dead_letters_are_due_again_with_all_attempts_before_them(tmp_path: Path) -> None:
    store = await WebhookStore.open(tmp_path, WRAPPER)
    await store.add(endpoint(), b"s" * 32)
    kept = [settled(letter(leaf, None if leaf else AT, 10)) for leaf in range(4)]
    await store.settle("w_1", kept, cursor=5, now_at=AT)
    assert await store.revive("w_1", [0, 2, 2, 99], now_at=AT) == 1, "one that waits is none"
    assert await store.revive("w_1", None, now_at=AT) == 2
    assert [one.attempts for one in await store.earliest("w_1", 5)] == [10, 0, 0, 0]
    await store.close()


async def test_half_of_what_belongs_together_is_not_written(tmp_path: Path) -> None:
    store = await WebhookStore.open(tmp_path, WRAPPER)
    await store.add(endpoint(), b"s" * 32)
    wrong = Settled(leaf_index=2, letter=letter(2**70, AT), known=False)
    with pytest.raises(OverflowError):
        await store.settle("w_1", [settled(letter(1, AT)), wrong], cursor=5, now_at=AT)
    assert await store.counts("w_1") == Counts(waiting=0, dead=0)
    await store.close()


async def test_a_secret_opens_with_the_key_that_wrapped_it_and_for_its_endpoint_alone(tmp_path: Path) -> None:
    store = await WebhookStore.open(tmp_path, WRAPPER)
    await store.add(endpoint(), b"s" * 32)
    await store.add(endpoint("w_2"), b"t" * 32)
    await store.close()
    other = await WebhookStore.open(tmp_path, AesKeyWrapper(b"o" * 32, os.urandom))
    with pytest.raises(IllegalOpen, match="w_1"):
        await other.secret("w_1")
    await other.close()
    with sqlite3.connect(tmp_path / "webhooks.db") as connection:
        connection.execute(
            "UPDATE endpoints SET wrapped = (SELECT wrapped FROM endpoints WHERE endpoint_id = 'w_2')"
        )
    connection.close()
    store = await WebhookStore.open(tmp_path, WRAPPER)
    with pytest.raises(CorruptWebhooks, match="w_1"):
        await store.secret("w_1")
    await store.close()


async def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.db"
    path.write_bytes(b"not a database, " * 400)
    path.chmod(0o600)
    with pytest.raises(CorruptWebhooks, match="move it away"):
        await WebhookStore.open(tmp_path, WRAPPER)
    assert path.read_bytes() == b"not a database, " * 400
    path.chmod(0o644)
    with pytest.raises(IllegalOpen, match="read by others"):
        await WebhookStore.open(tmp_path, WRAPPER)
    path.unlink()
    await (await WebhookStore.open(tmp_path, WRAPPER)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(IllegalOpen, match="newer"):
        await WebhookStore.open(tmp_path, WRAPPER)


async def test_a_file_of_before_is_written_anew_once_so_that_no_copy_of_a_letter_is_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "webhooks.db"
    store = await WebhookStore.open(tmp_path, WRAPPER)
    await store.close()
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA secure_delete = OFF; PRAGMA user_version = 1;")
    connection.execute(
        "INSERT INTO endpoints VALUES ('w_1', 'https://x', NULL, 0, 0, 0, NULL, NULL, NULL, NULL, 'k', x'00')"
    )
    connection.execute("INSERT INTO letters VALUES ('w_1', 7, 1, NULL, 'LETTER')")
    connection.commit()
    connection.execute("DELETE FROM letters")
    connection.commit()
    connection.close()
    assert b"LETTER" in path.read_bytes()
    store = await WebhookStore.open(tmp_path, WRAPPER)
    await store.close()
    assert b"LETTER" not in path.read_bytes()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
