"""The log on disk: what is acknowledged is durable, numbered, provable, and never written twice."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.evidence.checkpoint import open_checkpoint, parse_checkpoint, parse_key
from server.evidence.entry import Draft, check_successor
from server.evidence.errors import MalformedEntry
from server.evidence.merkle import check_consistency, check_inclusion
from server.store import writer
from server.store.errors import (
    FailedAppend,
    IllegalAppend,
    IllegalOpen,
    IllegalRepeat,
    OverloadedLog,
    UnknownCheckpoint,
    UnknownLeaf,
)
from server.store.log import LogStore

ORIGIN = "proofcall.local/log"
CASE = "c_" + "a" * 20
OTHER_CASE = "c_" + "b" * 20
NOW = datetime(2026, 11, 22, 14, 3, 22, 123_999, tzinfo=UTC)


def draft(text: str = "hello", *, case_id: str = CASE, command_id: str | None = None) -> Draft:
    return Draft(
        kind="text",
        case_id=case_id,
        role="courier",
        actor_id="l_courier",
        session_id="s_one",
        body={"text": text},
        command_id=command_id,
    )


async def open_log(folder: Path, *, origin: str = ORIGIN) -> LogStore:
    return await LogStore.open(folder, origin=origin, utc_now=lambda: NOW, token_bytes=os.urandom)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[LogStore]:
    store = await open_log(tmp_path / "data")
    yield store
    await store.close()


async def test_entries_of_a_case_are_numbered_and_chained_across_other_cases(log: LogStore) -> None:
    await log.append([draft("1"), draft("2")], expect_number=0)
    await log.append([draft(case_id=OTHER_CASE)], expect_number=0)
    await log.append([draft("3")], expect_number=2)
    entries = await log.entries(CASE)
    assert [(entry.envelope.number, entry.leaf_index, entry.body) for entry in entries] == [
        (1, 0, {"text": "1"}),
        (2, 1, {"text": "2"}),
        (3, 3, {"text": "3"}),
    ]
    previous_hash = "0" * 64
    for number, entry in enumerate(entries, start=1):
        check_successor(entry.envelope, case_id=CASE, number=number, previous_hash=previous_hash)
        previous_hash = entry.hash


async def test_what_append_returns_is_what_is_read(log: LogStore) -> None:
    appended = await log.append([draft("收到"), draft("b", command_id="k1")], expect_number=0)
    assert await log.entries(CASE) == appended
    assert appended[0].envelope.recorded_at == NOW.replace(microsecond=123_000)


async def test_entries_are_read_from_a_number_on_and_up_to_a_limit(log: LogStore) -> None:
    await log.append([draft(str(number)) for number in range(1, 8)], expect_number=0)
    assert [entry.envelope.number for entry in await log.entries(CASE, after=5)] == [6, 7]
    assert [entry.envelope.number for entry in await log.entries(CASE, after=2, limit=3)] == [3, 4, 5]
    assert await log.entries(CASE, after=7) == []
    assert await log.entries("c_unknown") == []


async def test_cases_come_newest_first_page_by_page(log: LogStore) -> None:
    for index in range(5):
        await log.append([draft(case_id=f"c_{index}")], expect_number=0)
    await log.append([draft(case_id="c_0")], expect_number=1)
    assert await log.case_ids(limit=2) == ["c_4", "c_3"]
    assert await log.case_ids(limit=2, before="c_3") == ["c_2", "c_1"]
    assert await log.case_ids(limit=10, before="c_1") == ["c_0"]


async def test_cases_whose_newest_call_has_no_end_are_found(log: LogStore) -> None:
    kinds = {
        "c_going_on": ["call_started", "call_ended", "text", "call_started", "text"],
        "c_ended": ["call_started", "text", "call_ended", "text"],
        "c_never": ["text", "text"],
        "c_first": ["call_started"],
    }
    for case_id, of_case in kinds.items():
        drafts = [replace(draft(case_id=case_id), kind=kind) for kind in of_case]
        await log.append(drafts, expect_number=0)
    assert sorted(await log.cases_in_call()) == ["c_first", "c_going_on"]


@pytest.mark.parametrize("expect_number", [0, 1, 3])
async def test_a_case_that_has_moved_on_refuses_and_stays_as_it_was(
    log: LogStore, expect_number: int
) -> None:
    await log.append([draft(), draft()], expect_number=0)
    before = log.checkpoint
    with pytest.raises(IllegalAppend, match="is at entry 2, not at"):
        await log.append([draft()], expect_number=expect_number)
    assert log.checkpoint == before
    assert len(await log.entries(CASE)) == 2


async def test_two_appends_that_saw_the_same_number_do_not_both_succeed(log: LogStore) -> None:
    outcomes = await asyncio.gather(
        *(log.append([draft(str(index))], expect_number=0) for index in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, IllegalAppend) for outcome in outcomes) == 9


async def test_a_command_finds_its_entries_and_never_acts_twice(log: LogStore) -> None:
    await log.append([draft("0")], expect_number=0)
    await log.append([draft("1", command_id="k"), draft("2", command_id="k")], expect_number=1)
    assert await log.find_command(CASE, "l_courier", "k") == [2, 3]
    assert await log.find_command(CASE, "l_courier", "other") is None
    assert await log.find_command(CASE, "l_customer", "k") is None
    assert await log.find_command(OTHER_CASE, "l_courier", "k") is None
    with pytest.raises(IllegalRepeat):
        await log.append([draft("3", command_id="k")], expect_number=3)
    assert len(await log.entries(CASE)) == 3


async def test_an_append_of_two_cases_or_of_nothing_is_refused(log: LogStore) -> None:
    with pytest.raises(IllegalAppend):
        await log.append([], expect_number=0)
    with pytest.raises(IllegalAppend):
        await log.append([draft(), draft(case_id=OTHER_CASE)], expect_number=0)


async def test_a_draft_that_cannot_be_sealed_leaves_its_neighbours_in_the_group_alone(log: LogStore) -> None:
    bad = Draft(kind="Text!", case_id=OTHER_CASE, role="qa", actor_id="l_qa", session_id="s", body={})
    outcomes = await asyncio.gather(
        log.append([draft()], expect_number=0),
        log.append([bad], expect_number=0),
        log.append([draft()], expect_number=1),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], MalformedEntry)
    assert [entry.leaf_index for entry in await log.entries(CASE)] == [0, 1]
    assert await log.entries(OTHER_CASE) == []


@pytest.mark.parametrize("body", [{"a": 1.5}, {"a": 2**53}, {"a": "x" * 65_536}, {"a": "\ud800"}])
async def test_a_body_without_canonical_bytes_is_refused(log: LogStore, body: dict[str, object]) -> None:
    bad = Draft(kind="text", case_id=CASE, role="qa", actor_id="l_qa", session_id="s", body=body)  # type: ignore[arg-type]
    with pytest.raises(MalformedEntry):
        await log.append([bad], expect_number=0)


async def test_every_leaf_is_proven_under_the_newest_and_under_an_older_checkpoint(log: LogStore) -> None:
    leaf_hashes = []
    for number in range(13):
        leaf_hashes.append((await log.append([draft()], expect_number=number))[0].leaf_hash)
    key = parse_key(log.vkey)
    for tree_size in range(1, 14):
        for leaf_index in range(tree_size):
            proof = await log.inclusion_proof(leaf_index, tree_size)
            checkpoint = open_checkpoint(proof.checkpoint, key)
            assert checkpoint.tree_size == proof.tree_size == tree_size
            check_inclusion(
                leaf_hashes[leaf_index], leaf_index, tree_size, proof.hashes, checkpoint.root_hash
            )
    assert (await log.inclusion_proof(4)).checkpoint == log.checkpoint


async def test_proofs_of_what_is_not_there_are_refused(log: LogStore) -> None:
    await log.append([draft(), draft()], expect_number=0)
    for leaf_index in (-1, 2):
        with pytest.raises(UnknownLeaf):
            await log.inclusion_proof(leaf_index)
    for tree_size in (1, 3):  # both entries came in one commit: size 1 was never signed
        with pytest.raises(UnknownCheckpoint):
            await log.inclusion_proof(0, tree_size)


async def test_an_acknowledged_entry_is_covered_by_the_published_checkpoint(log: LogStore) -> None:
    async def write(case_id: str) -> None:
        for number in range(10):
            (entry,) = await log.append([draft(case_id=case_id)], expect_number=number)
            assert parse_checkpoint(log.checkpoint).tree_size > entry.leaf_index

    await asyncio.gather(*(write(f"c_{index}") for index in range(10)))


async def test_a_log_that_is_opened_again_goes_on_where_it_was(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append([draft("1"), draft("2")], expect_number=0)
    checkpoint, vkey = log.checkpoint, log.vkey
    await log.close()
    log = await open_log(tmp_path)
    assert (log.checkpoint, log.vkey) == (checkpoint, vkey)
    (entry,) = await log.append([draft("3")], expect_number=2)
    assert (entry.envelope.number, entry.leaf_index) == (3, 2)
    await log.close()


async def test_an_empty_log_has_a_signed_checkpoint(log: LogStore) -> None:
    assert open_checkpoint(log.checkpoint, parse_key(log.vkey)).tree_size == 0


async def test_close_writes_what_is_queued_and_refuses_what_comes_later(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    appends = [asyncio.ensure_future(log.append([draft()], expect_number=number)) for number in range(300)]
    await asyncio.sleep(0)
    await log.close()
    assert [(await append)[0].envelope.number for append in appends] == list(range(1, 301))
    with pytest.raises(FailedAppend):
        await log.append([draft()], expect_number=300)
    await log.close()


async def test_a_full_queue_refuses_at_once(log: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_PENDING_APPENDS", 0)
    with pytest.raises(OverloadedLog, match="overloaded"):
        await log.append([draft()], expect_number=0)
    monkeypatch.undo()
    assert await log.append([draft()], expect_number=0)


async def test_a_caller_that_gives_up_does_not_disturb_the_writer(log: LogStore) -> None:
    append = asyncio.ensure_future(log.append([draft("1")], expect_number=0))
    await asyncio.sleep(0)
    append.cancel()
    assert await log.append([draft("2", case_id=OTHER_CASE)], expect_number=0)
    assert [entry.body for entry in await log.entries(CASE)] == [{"text": "1"}]


async def test_one_process_at_a_time(log: LogStore, tmp_path: Path) -> None:
    with pytest.raises(IllegalOpen, match="another process"):
        await open_log(tmp_path / "data")


async def test_a_log_is_opened_under_its_own_name_only(tmp_path: Path) -> None:
    await (await open_log(tmp_path)).close()
    with pytest.raises(IllegalOpen, match=r"is called proofcall\.local/log and was opened as other\.example"):
        await open_log(tmp_path, origin="other.example")


async def test_a_log_without_its_key_and_a_key_without_its_log_are_refused(tmp_path: Path) -> None:
    await (await open_log(tmp_path)).close()
    key = (tmp_path / "log.key").read_bytes()
    (tmp_path / "log.key").unlink()
    with pytest.raises(IllegalOpen, match="signed with a key that is gone"):
        await open_log(tmp_path)
    (tmp_path / "log.key").write_bytes(key)
    (tmp_path / "log.key").chmod(0o600)
    (tmp_path / "log.sqlite").unlink()
    with pytest.raises(IllegalOpen, match="its log is gone"):
        await open_log(tmp_path)


async def test_the_key_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    await (await open_log(tmp_path / "data")).close()
    key = tmp_path / "data" / "log.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    key.chmod(0o640)
    with pytest.raises(IllegalOpen, match="0600"):
        await open_log(tmp_path / "data")


async def test_every_checkpoint_can_be_shown_to_continue_every_older_one(log: LogStore) -> None:
    for number in range(12):
        await log.append([draft(str(number))], expect_number=number)
    roots = {size: parse_checkpoint(await log.note(size)).root_hash for size in range(13)}
    for second in range(13):
        for first in range(second + 1):
            hashes = await log.consistency_proof(first, second)
            check_consistency(first, second, roots[first], roots[second], hashes)
    with pytest.raises(UnknownCheckpoint, match="over 13 leaves"):
        await log.note(13)
    with pytest.raises(UnknownLeaf, match="has 12 leaves, not 13"):
        await log.consistency_proof(2, 13)
