"""A key is rotated by an entry that the old one signed; whatever step a kill falls upon, one key is right."""

import asyncio
import pkgutil
import shutil
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server import check_command, rotate_command
from server.evidence.checkpoint import (
    CheckpointSigner,
    VerifierKey,
    open_checkpoint,
    parse_checkpoint,
    parse_key,
)
from server.evidence.errors import EvidenceError
from server.evidence.handover import (
    HOUSE_CASE,
    check_continues,
    encode_handovers,
    history_of,
    open_handover,
    parse_handovers,
)
from server.store.audit import audit
from server.store.errors import CorruptLog, FailedAppend, IllegalOpen
from server.store.keys import load_secret, load_signer
from server.store.webhook_rows import Endpoint
from server.store.webhooks import WebhookStore
from tests.server.store.test_durability import ORIGIN, draft, open_log

SECRET = b"a webhook's secret of 32 bytes ."


async def write(folder: Path) -> None:
    log = await open_log(folder)
    for case_id in ("c_1", "c_2", "c_1"):
        await log.append([draft("said before", case_id)], expect_number=len(await log.entries(case_id)))
    webhooks = await WebhookStore.open(folder, log.keys.wrapper)
    endpoint = Endpoint(
        endpoint_id="w_1",
        url="https://receiver.example",
        kinds=None,
        with_bodies=False,
        cursor=0,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        disabled=None,
        last_error=None,
        last_error_at=None,
        last_delivered_at=None,
    )
    await webhooks.add(endpoint, SECRET)
    await webhooks.close()
    await log.close()


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pattern")
    asyncio.run(write(folder))
    return folder


@pytest.fixture
def folder(pattern: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pattern, tmp_path / "data"))


def rotate(folder: Path, key: str) -> int:
    return rotate_command.run([key, str(folder)], {"PROOFCALL_LOG_ORIGIN": ORIGIN})


def notes(folder: Path) -> dict[int, str]:
    with sqlite3.connect(folder / "log.sqlite") as connection:
        found = dict(connection.execute("SELECT tree_size, note FROM checkpoints"))
    connection.close()
    return found


def public_key(folder: Path) -> VerifierKey:
    return VerifierKey(name=ORIGIN, public_key=load_signer(folder / "log.key").public_key)


def keys_in(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.glob("*.*") if path.suffix in (".key", ".next", ".old", ".new")
    )


async def check_alive(folder: Path) -> None:
    """All that was said is read, more is said, webhooks have their secret, the audit finds nothing."""
    log = await open_log(folder)
    said = [entry.body["text"] for entry in await log.entries("c_1")]
    assert said[:2] == ["said before"] * 2
    (entry,) = await log.append([draft("said after")], expect_number=len(said))
    proof = await log.inclusion_proof(entry.leaf_index)
    open_checkpoint(proof.checkpoint, parse_key(log.vkey))
    webhooks = await WebhookStore.open(folder, log.keys.wrapper)
    assert await webhooks.secret("w_1") == SECRET
    await webhooks.close()
    assert await log.case_ids(limit=9) == ["c_2", "c_1"]
    await log.close()
    assert keys_in(folder) == ["log.key", "wrap.key"]
    list(audit(folder, origin=ORIGIN))


def test_the_old_key_signs_the_handover_as_its_last_and_the_new_one_all_that_follows(folder: Path) -> None:
    old = public_key(folder)
    assert rotate(folder, "log-key") == 0
    new = public_key(folder)
    assert new != old and stat.S_IMODE((folder / "log.key").stat().st_mode) == 0o600
    asyncio.run(check_alive(folder))
    signed = notes(folder)
    assert sorted(signed) == [0, 1, 2, 3, 4, 5, 6]
    for size, note in signed.items():
        right, wrong = (old, new) if size <= 4 else (new, old)
        open_checkpoint(note, right)
        with pytest.raises(EvidenceError, match="not signed by the key"):
            open_checkpoint(note, wrong)
    assert check_command.run([str(folder)]) == 0


async def test_who_knows_the_oldest_key_follows_the_handovers_to_the_newest(folder: Path) -> None:
    oldest = public_key(folder)
    for _ in range(2):
        assert await asyncio.to_thread(rotate, folder, "log-key") == 0
    log = await open_log(folder)
    assert parse_key(log.vkeys[0]) == oldest and len(set(log.vkeys)) == 3
    data = encode_handovers(await log.handovers(log.size), tree_size=log.size, vkey=log.vkey)
    handovers = parse_handovers(data)
    history = history_of(handovers, parse_key(log.vkey))
    assert history.at(4) == oldest and history.at(log.size) == parse_key(log.vkey)
    tree = parse_checkpoint(log.checkpoint)
    for handover in handovers:
        check_continues(handover, tree)
    assert await log.handovers(4) == [] and len(await log.handovers(5)) == 1
    await log.close()
    with pytest.raises(EvidenceError, match="handed over to"):
        history_of(handovers[:1], parse_key(log.vkey))


async def test_a_handover_that_the_old_key_did_not_sign_is_none(folder: Path) -> None:
    assert await asyncio.to_thread(rotate, folder, "log-key") == 0
    log = await open_log(folder)
    (handover,) = await log.handovers(log.size)
    await log.close()
    thief = CheckpointSigner(ORIGIN, load_signer(folder / "log.key"))
    checkpoint = parse_checkpoint(handover.checkpoint)
    forged = thief.sign(checkpoint.tree_size, checkpoint.root_hash)
    with pytest.raises(EvidenceError, match="not signed by the key"):
        open_handover(replace(handover, checkpoint=forged))
    other = handover.body_bytes.replace(handover.body_bytes[40:44], b"AAAA")
    with pytest.raises(EvidenceError, match="commit"):
        open_handover(replace(handover, body_bytes=other))


@pytest.mark.parametrize("size", [4, 5])
def test_a_checkpoint_of_another_time_than_its_key_is_found(folder: Path, size: int) -> None:
    old = load_signer(folder / "log.key")
    assert rotate(folder, "log-key") == 0
    signer = CheckpointSigner(ORIGIN, load_signer(folder / "log.key") if size == 4 else old)
    checkpoint = parse_checkpoint(notes(folder)[size])
    with sqlite3.connect(folder / "log.sqlite") as connection:
        note = signer.sign(size, checkpoint.root_hash)
        connection.execute("UPDATE checkpoints SET note = ? WHERE tree_size = ?", (note, size))
    connection.close()
    with pytest.raises(CorruptLog, match="do not follow" if size == 4 else f"tree size {size} is not one of"):
        list(audit(folder))
    with pytest.raises(CorruptLog):
        asyncio.run(open_log(folder))


def test_every_case_key_is_wrapped_anew_and_the_old_key_opens_nothing_here(folder: Path) -> None:
    old = load_secret(folder / "wrap.key")
    with sqlite3.connect(folder / "log.sqlite") as connection:
        before = [row[0] for row in connection.execute("SELECT wrapped FROM case_keys")]
    connection.close()
    assert rotate(folder, "wrap-key") == 0
    asyncio.run(check_alive(folder))
    assert load_secret(folder / "wrap.key") != old
    raw = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert len(before) == 2 and not any(wrapped in raw for wrapped in [old, *before])
    with sqlite3.connect(folder / "log.sqlite") as connection:
        assert len(set(connection.execute("SELECT key_id FROM case_keys"))) == 1
    connection.close()


# Where a kill falls: what is never come to, after how many calls, and whether the new key is the key by then.
STEPS = [
    ("log-key", "no key file", "pathlib.Path.hardlink_to", 0, False),
    ("log-key", "key file, no entry", "server.store.log.LogStore._rotate", 0, False),
    ("log-key", "entry", "server.store.recovery.finish_log_rotation", 1, True),
    ("log-key", "old key linked", "server.store.rotation.sync_folder", 0, True),
    ("log-key", "old key linked, synced", "pathlib.Path.replace", 0, True),
    ("log-key", "new key in its place", "server.store.rotation.remove_spare", 3, True),
    ("log-key", "old key written over", "pathlib.Path.unlink", 2, True),
    ("log-key", "old key gone", "server.store.log.LogStore._take_up_key", 1, True),
    ("wrap-key", "no key file", "pathlib.Path.hardlink_to", 0, False),
    ("wrap-key", "key file, no entry", "server.store.log.LogStore._rotate", 0, False),
    ("wrap-key", "transaction cut", "server.store.case_keys.CaseKeys.rewrap", 0, False),
    ("wrap-key", "entry", "server.store.recovery.finish_wrap_rotation", 1, True),
    ("wrap-key", "entry, webhooks not", "server.store.rotation.rewrap_secrets", 0, True),
    ("wrap-key", "webhooks", "server.store.rotation.swap_in", 0, True),
    ("wrap-key", "old key linked", "pathlib.Path.replace", 0, True),
    ("wrap-key", "new key in its place", "server.store.rotation.remove_spare", 2, True),
    ("wrap-key", "old key written over", "pathlib.Path.unlink", 2, True),
]


class Killed(Exception):
    """Nothing behind it is done."""


@pytest.mark.parametrize(
    ("key", "left", "name", "calls", "is_new", "again"),
    [(*step, False) for step in STEPS] + [(*step, True) for step in STEPS if not step[-1]],
)
def test_cut_off_anywhere_one_key_is_right_and_what_comes_next_finishes_it(
    folder: Path, key: str, left: str, name: str, calls: int, is_new: bool, again: bool
) -> None:
    """With `again` it is tried once more; else the service starts."""
    path = folder / key.replace("-key", ".key")
    before = path.read_bytes()
    original = pkgutil.resolve_name(name)
    calls_left = iter(range(calls))

    def cut(*arguments: object, **named: object) -> object:
        if next(calls_left, None) is None:
            raise Killed
        return original(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name, cut)
        with pytest.raises((Killed, FailedAppend)):
            asyncio.run(rotate_command.rotate(key, folder, ORIGIN))
    if again:
        assert rotate(folder, key) == 0
    asyncio.run(check_alive(folder))
    assert (path.read_bytes() != before) is (is_new or again), left


def test_a_rotation_that_was_cut_off_is_named_by_the_audit(folder: Path) -> None:
    for key, name in (("log-key", "finish_log_rotation"), ("wrap-key", "finish_wrap_rotation")):
        copy = Path(shutil.copytree(folder, folder.parent / key))
        original = pkgutil.resolve_name(f"server.store.recovery.{name}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"server.store.recovery.{name}", _once(original))
            with pytest.raises(Killed):
                asyncio.run(rotate_command.rotate(key, copy, ORIGIN))
        with pytest.raises(IllegalOpen, match="was cut off"):
            list(audit(copy))
        asyncio.run(check_alive(copy))


def test_a_key_of_before_is_refused_after_its_rotation(folder: Path) -> None:
    for name in ("log", "wrap"):
        copy = Path(shutil.copytree(folder, folder.parent / name))
        before = (copy / f"{name}.key").read_bytes()
        assert rotate(copy, f"{name}-key") == 0
        (copy / f"{name}.key").write_bytes(before)
        with pytest.raises(IllegalOpen, match="restore that"):
            asyncio.run(open_log(copy))


def test_a_log_that_is_open_or_is_not_there_is_not_rotated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def while_open() -> None:
        log = await open_log(folder)
        assert await asyncio.to_thread(rotate, folder, "log-key") == 2
        await log.close()

    asyncio.run(while_open())
    assert "another process has the log" in capsys.readouterr().err
    assert rotate(folder / "none", "wrap-key") == 2 and not (folder / "none").exists()
    assert rotate(folder, "token-key") == 2
    assert keys_in(folder) == ["log.key", "wrap.key"]


async def test_after_a_rotation_nothing_is_written_before_the_log_is_opened_again(folder: Path) -> None:
    log = await open_log(folder)
    outcomes = await asyncio.gather(
        log.rotate_log_key(), log.append([draft("too late", "c_3")], expect_number=0), return_exceptions=True
    )
    late = [one for one in outcomes if isinstance(one, FailedAppend)]
    with pytest.raises(FailedAppend, match="open it again"):
        await log.append([draft("too late")], expect_number=2)
    await log.close()
    log = await open_log(folder)
    kinds = [entry.envelope.kind for entry in await log.entries(HOUSE_CASE)]
    assert kinds == ["key_rotated", "key_taken_up"] and len(late) + len(await log.entries("c_3")) == 1
    assert await log.leaves(0, log.size) == list(range(log.size - 2))
    await log.close()


def _once(function: Callable[..., object]) -> Callable[..., object]:
    calls = iter([True])

    def called(*arguments: object) -> object:
        if next(calls, False):
            return function(*arguments)
        raise Killed

    return called
