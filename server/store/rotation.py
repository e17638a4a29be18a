"""Another key of the log, another key that wraps: how it takes the old one's place, whenever it is killed.

    log.next / wrap.next written, synced     nothing has changed; a start removes it
    COMMIT   key_rotated appended, its checkpoint signed by the old key; wrap: every case key wrapped anew
             ─── from here on the new key is the key, and each start finishes what is left:
    wrap: secrets of webhooks wrapped anew   in webhooks.db, those that are not yet
    log.key linked as log.old                so that no step is without either
    log.next renamed to log.key
    log.old written over, removed            an old log key could sign another history, an old wrapping key
                                             opens what a thief of an older copy of the log has

Whoever keeps a backup of before keeps its `wrap.key` with it, elsewhere: the new one does not open it.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from server.evidence.checkpoint import encode_key
from server.evidence.entry import parse_body
from server.evidence.errors import EvidenceError
from server.evidence.handover import (
    HOUSE_CASE,
    KEY_ROTATED,
    LOG_KEY,
    WRAP_KEY,
    Handover,
    is_of_log,
    open_handover,
)
from server.evidence.merkle import consistency_hashes, inclusion_hashes
from server.evidence.signer import Ed25519Signer
from server.store.case_keys import SealOf
from server.store.errors import CorruptLog, IllegalOpen, MalformedSeal, UnknownCaseKey
from server.store.keys import (
    SECRET_SIZE_BYTES,
    AesKeyWrapper,
    create_signer,
    load_or_create_secret,
    load_secret,
    load_signer,
    sync_folder,
)
from server.store.webhooks import rewrap_secrets


def prepare_signer(data_dir: Path, token_bytes: Callable[[int], bytes]) -> Ed25519Signer:
    """A new key for the log, durable, and not used before an entry names it."""
    return create_signer(data_dir / f"{LOG_KEY}.next", token_bytes(SECRET_SIZE_BYTES))


def prepare_wrapper(data_dir: Path, token_bytes: Callable[[int], bytes]) -> AesKeyWrapper:
    """As `prepare_signer`, of the key that wraps."""
    return AesKeyWrapper(load_or_create_secret(data_dir / f"{WRAP_KEY}.next", token_bytes), token_bytes)


def finish_wrap_rotation(
    connection: sqlite3.Connection, data_dir: Path, token_bytes: Callable[[int], bytes]
) -> None:
    """Take up the key by which the keys of the cases are wrapped already, if that is `wrap.next`."""
    path = data_dir / f"{WRAP_KEY}.next"
    if path.exists():
        new = AesKeyWrapper(load_secret(path), token_bytes)
        query = "SELECT 1 FROM case_keys WHERE key_id = ? LIMIT 1"
        if connection.execute(query, (new.key_id,)).fetchone():
            old = AesKeyWrapper(load_secret(data_dir / f"{WRAP_KEY}.key"), token_bytes)
            rewrap_secrets(data_dir, old, new)
            swap_in(data_dir, WRAP_KEY)
    remove_spare(data_dir, WRAP_KEY)


def finish_log_rotation(
    data_dir: Path, handovers: Sequence[Handover], signer: Ed25519Signer
) -> Ed25519Signer:
    """The signer that the newest handover names; `signer` is that of log.key. IllegalOpen, CorruptLog."""
    if handovers:
        try:
            newest = open_handover(handovers[-1]).new
        except EvidenceError as error:
            raise CorruptLog(f"the rotation of the log's key is damaged: {error}") from None
        if signer.public_key != newest.public_key:
            path = data_dir / f"{LOG_KEY}.next"
            if not path.exists() or load_signer(path).public_key != newest.public_key:
                raise IllegalOpen(
                    f"the log in {data_dir} was handed over to the key {encode_key(newest)}, and"
                    f" {LOG_KEY}.key is another one: restore that"
                )
            swap_in(data_dir, LOG_KEY)
            signer = load_signer(data_dir / f"{LOG_KEY}.key")
    remove_spare(data_dir, LOG_KEY)
    return signer


def swap_in(data_dir: Path, name: str) -> None:
    """`<name>.next` becomes `<name>.key`; the old one is called `<name>.old`."""
    key, old = data_dir / f"{name}.key", data_dir / f"{name}.old"
    if not old.exists():
        old.hardlink_to(key)
        sync_folder(data_dir)
    (data_dir / f"{name}.next").replace(key)
    sync_folder(data_dir)


def remove_spare(data_dir: Path, name: str) -> None:
    """Write over and remove what is not the key any more, or has never been."""
    key = data_dir / f"{name}.key"
    for spare in (data_dir / f"{name}.{suffix}" for suffix in ("old", "next", "new")):
        if spare.exists():
            if not key.exists() or not spare.samefile(key):
                _write_over(spare)
            spare.unlink()
            sync_folder(data_dir)


def _write_over(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, bytes(path.stat().st_size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_handovers(
    connection: sqlite3.Connection, seal_of: SealOf, *, up_to: int | None = None
) -> list[Handover]:
    """How each key of the log followed from the one before, the oldest first; with `up_to` those of smaller
    checkpoints, each with its way to the tree of that many leaves. Raises CorruptLog.
    """
    query = (
        "SELECT leaf_index, number, envelope, sealed, ordinal, command_id FROM entries"
        " WHERE case_id = ? AND kind = ? ORDER BY number"
    )
    handovers = []

    def read(stored_index: int) -> bytes:
        row = connection.execute("SELECT hash FROM hashes WHERE stored_index = ?", (stored_index,)).fetchone()
        if row is None:
            raise CorruptLog(f"the tree hash {stored_index} is missing")
        hash_bytes: bytes = row[0]
        return hash_bytes

    for leaf_index, number, envelope_bytes, sealed, ordinal, command_id in connection.execute(
        query, (HOUSE_CASE, KEY_ROTATED)
    ).fetchall():
        where = f"leaf {leaf_index} (case {HOUSE_CASE}, entry {number})"
        try:
            salt, body_bytes = seal_of(HOUSE_CASE).open_entry(number, ordinal, command_id, sealed)
            about_log = is_of_log(parse_body(body_bytes))
        except (EvidenceError, MalformedSeal, UnknownCaseKey) as error:
            raise CorruptLog(f"{where} is damaged: {error}") from None
        size = leaf_index + 1
        if not about_log or (up_to is not None and size >= up_to):
            continue
        note = connection.execute("SELECT note FROM checkpoints WHERE tree_size = ?", (size,)).fetchone()
        if note is None:
            raise CorruptLog(f"{where} rotates the log's key, but no checkpoint was signed over it")
        handovers.append(
            Handover(
                envelope_bytes=envelope_bytes,
                body_bytes=body_bytes,
                salt=salt,
                hashes=inclusion_hashes(leaf_index, size, read),
                checkpoint=note[0],
                consistency=() if up_to is None else consistency_hashes(size, up_to, read),
            )
        )
    return handovers
