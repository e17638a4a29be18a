"""Opening the log: make it if it is new, migrate it if it is old, and otherwise check its tail.

Before a single entry is served, the newest checkpoint's signature is verified, the last leaves are recomputed
from the stored bytes (`walk`) on top of the stored tree hashes before them, and the root that results must be
the one that was signed. Older leaves rest on the same root; reading all of them again is for the `audit`.
What does not fit raises CorruptLog with its place. A rotation that was cut off is finished (`rotation`).
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.evidence.checkpoint import CheckpointSigner, VerifierKey, parse_checkpoint
from server.evidence.errors import EvidenceError
from server.evidence.handover import Handover, KeyHistory, history_of
from server.evidence.merkle import Frontier, stored_count
from server.evidence.signer import Ed25519Signer
from server.store.case_keys import CaseKeys
from server.store.errors import CorruptLog, IllegalOpen
from server.store.forgetting import finish_erasures
from server.store.keys import (
    AesKeyWrapper,
    KeyWrapper,
    create_signer,
    load_or_create_secret,
    load_signer,
    sync_folder,
)
from server.store.migration import add_erasures, migrate, remove_plain_blobs
from server.store.rotation import finish_log_rotation, finish_wrap_rotation, read_handovers
from server.store.schema import DAMAGE, SCHEMA, SCHEMA_VERSION, connect_writer, schema_version
from server.store.walk import Walk, open_note

PLAIN_SCHEMA_VERSION = 1  # bodies and blobs lay there as they are
SEALED_SCHEMA_VERSION = 2  # nothing was ever erased
SEED_SIZE_BYTES = 32  # RFC 8032 section 5.1.5
OWNER_ONLY_FOLDER = 0o700  # bodies are personal data
TAIL_LEAVES = 256  # at least; one tile of C2SP tlog-tiles, about 10 ms of work


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A log whose tail was found whole."""

    path: Path
    signer: CheckpointSigner
    key_history: KeyHistory
    keys: CaseKeys
    frontier: Frontier
    checkpoint: str


def recover(data_dir: Path, origin: str, token_bytes: Callable[[int], bytes]) -> Recovered:
    """Open or create the log in a folder that this process has locked; raises IllegalOpen, CorruptLog."""
    path = data_dir / "log.sqlite"
    try:
        connection = connect_writer(path)
    except DAMAGE as error:
        raise CorruptLog(f"{path} cannot be opened: {error}") from None
    keys: CaseKeys | None = None
    try:
        log_key, wrapper = _keys(connection, data_dir, token_bytes)
        if schema_version(connection) == PLAIN_SCHEMA_VERSION:
            migrate(connection, data_dir, wrapper, token_bytes)
        elif schema_version(connection) == SEALED_SCHEMA_VERSION:
            add_erasures(connection)
        remove_plain_blobs(data_dir)
        keys = CaseKeys(path, wrapper, token_bytes)
        _check_origin(connection, origin)
        handovers = read_handovers(connection, keys.get)
        signer = CheckpointSigner(origin, finish_log_rotation(data_dir, handovers, log_key))
        history = key_history(handovers, signer.key)
        checkpoint, tree_size = _newest_checkpoint(connection, signer, history)
        frontier = _check_tail(connection, history, keys, tree_size)
        finish_erasures(connection, data_dir)
    except BaseException as error:
        if keys is not None:
            keys.close()
        if isinstance(error, DAMAGE):
            raise CorruptLog(f"{path} is damaged: {error}") from None
        raise
    finally:
        connection.close()
    return Recovered(
        path=path,
        signer=signer,
        key_history=history,
        keys=keys,
        frontier=frontier,
        checkpoint=checkpoint,
    )


def key_history(handovers: Sequence[Handover], newest: VerifierKey) -> KeyHistory:
    """The keys of a log, as its own entries tell it; raises CorruptLog."""
    try:
        return history_of(handovers, newest)
    except EvidenceError as error:
        raise CorruptLog(f"the keys of the log do not follow from each other: {error}") from None


def create_folder(data_dir: Path) -> None:
    """Make the data directory, for its owner alone, if it is not there."""
    if not data_dir.is_dir():
        data_dir.mkdir(mode=OWNER_ONLY_FOLDER, parents=True)
        sync_folder(data_dir.parent)


def _keys(
    connection: sqlite3.Connection, data_dir: Path, token_bytes: Callable[[int], bytes]
) -> tuple[Ed25519Signer, AesKeyWrapper]:
    """The keys of this log. Log and keys are born together, log first; one without the other is refused."""
    log_key, wrap_key = data_dir / "log.key", data_dir / "wrap.key"
    version = schema_version(connection)
    if version not in (0, PLAIN_SCHEMA_VERSION, SEALED_SCHEMA_VERSION, SCHEMA_VERSION):
        raise IllegalOpen(f"the log in {data_dir} has schema {version}: a newer Proofcall wrote it")
    if version == 0:
        for path in (log_key, wrap_key):
            if path.exists():
                raise IllegalOpen(
                    f"{path} is there, but its log is gone: restore the log, or move the key away"
                )
        connection.executescript(SCHEMA)
    if not log_key.exists() and connection.execute("SELECT 1 FROM checkpoints LIMIT 1").fetchone():
        raise IllegalOpen(f"the log in {data_dir} was signed with a key that is gone: restore {log_key}")
    sealed = (
        version >= SEALED_SCHEMA_VERSION and connection.execute("SELECT 1 FROM case_keys LIMIT 1").fetchone()
    )
    if sealed and not wrap_key.exists():
        raise IllegalOpen(
            f"the log in {data_dir} was sealed with a key that is gone: restore {wrap_key}, without which no"
            " body and no picture can be read"
        )
    signer = (
        load_signer(log_key) if log_key.exists() else create_signer(log_key, token_bytes(SEED_SIZE_BYTES))
    )
    if version == SCHEMA_VERSION:
        finish_wrap_rotation(connection, data_dir, token_bytes)
    wrapper = AesKeyWrapper(load_or_create_secret(wrap_key, token_bytes), token_bytes)
    if version >= SEALED_SCHEMA_VERSION:
        check_wrapper(connection, wrapper, wrap_key)
    return signer, wrapper


def check_wrapper(connection: sqlite3.Connection, wrapper: KeyWrapper, wrap_key: Path) -> None:
    """Raise IllegalOpen if the key of any case was wrapped with another key."""
    row = connection.execute(
        "SELECT case_id, key_id FROM case_keys WHERE key_id != ? LIMIT 1", (wrapper.key_id,)
    ).fetchone()
    if row is not None and (next_key := wrap_key.with_suffix(".next")).exists():
        raise IllegalOpen(
            f"a rotation of {wrap_key} was cut off, and {next_key} is to take its place: start the service"
        )
    if row is not None:
        raise IllegalOpen(
            f"{wrap_key} is the key {wrapper.key_id}, but the key of case {row[0]} was wrapped with {row[1]}:"
            " restore that one"
        )


def _newest_row(connection: sqlite3.Connection) -> tuple[int, str] | None:
    """Size and note of the newest checkpoint."""
    row: tuple[int, str] | None = connection.execute(
        "SELECT tree_size, note FROM checkpoints ORDER BY tree_size DESC LIMIT 1"
    ).fetchone()
    return row


def _check_origin(connection: sqlite3.Connection, origin: str) -> None:
    """Raise IllegalOpen if the log is called otherwise, CorruptLog if that cannot be told."""
    row = _newest_row(connection)
    if row is None:
        return
    try:
        found = parse_checkpoint(row[1]).origin
    except EvidenceError as error:
        raise CorruptLog(f"the newest checkpoint (tree size {row[0]}) is damaged: {error}") from None
    if found != origin:
        raise IllegalOpen(f"the log is called {found} and was opened as {origin}")


def _newest_checkpoint(
    connection: sqlite3.Connection, signer: CheckpointSigner, history: KeyHistory
) -> tuple[str, int]:
    """The newest note and its size, once it was found to be signed by this log; raises CorruptLog."""
    row = _newest_row(connection)
    if row is None:
        if _count_leaves(connection):
            raise CorruptLog(f"the log has {_count_leaves(connection)} leaves and no checkpoint at all")
        first = signer.sign(0, Frontier().root())
        connection.execute("INSERT INTO checkpoints (tree_size, note) VALUES (0, ?)", (first,))
        return first, 0
    tree_size, note = row
    open_note(note, history.at(tree_size), filed_under=tree_size)
    return note, tree_size


def _count_leaves(connection: sqlite3.Connection) -> int:
    """How many leaves the log holds if none is missing between the others."""
    return int(connection.execute("SELECT coalesce(max(leaf_index), -1) + 1 FROM entries").fetchone()[0])


def _check_tail(
    connection: sqlite3.Connection, history: KeyHistory, keys: CaseKeys, tree_size: int
) -> Frontier:
    """The frontier of the log, whose newest checkpoint is over `tree_size` leaves; raises CorruptLog."""
    leaves = _count_leaves(connection)
    query = "SELECT coalesce(max(stored_index), -1) + 1 FROM hashes"
    hashes = int(connection.execute(query).fetchone()[0])
    if hashes > stored_count(leaves):
        raise CorruptLog(f"entries are missing from the end of the log, after leaf {leaves - 1}")
    if leaves != tree_size:
        raise CorruptLog(f"the newest checkpoint is over {tree_size} leaves, the log holds {leaves}")
    begin = max(0, leaves // TAIL_LEAVES * TAIL_LEAVES - TAIL_LEAVES)
    walk = Walk(connection, begin=begin, seal_of=keys.get, keys=history)
    for _ in walk.leaves():
        pass
    for case_id, (number, _) in walk.heads.items():
        # By way of the index that every append and every reader goes.
        (newest,) = connection.execute(
            "SELECT max(number) FROM entries WHERE case_id = ?", (case_id,)
        ).fetchone()
        if newest != number:
            raise CorruptLog(
                f"case {case_id} ends with entry {newest} in its index, and with {number} in the log"
            )
    return walk.frontier
