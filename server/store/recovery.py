"""Opening the log: make it if it is new, and otherwise believe nothing that was not recomputed.

Before a single entry is served, every leaf hash is computed from the stored envelope, every stored tree
hash and the root from those, and the root is compared with the newest signed checkpoint. Numbers and
chain of every case are followed, every body must open its commitment. What does not fit raises
CorruptLog with the leaf, the case and the number.
"""

import itertools
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.checkpoint import CheckpointSigner, encode_key, open_checkpoint, parse_checkpoint
from server.evidence.entry import (
    FIRST_PREVIOUS_HASH,
    check_commitment,
    check_successor,
    hash_envelope,
    parse_envelope,
)
from server.evidence.errors import EvidenceError
from server.evidence.merkle import Frontier, hash_leaf, stored_count
from server.store.errors import CorruptLog, IllegalOpen
from server.store.keys import create_key, load_key, sync_folder
from server.store.schema import DAMAGE, SCHEMA, SCHEMA_VERSION, connect_writer, schema_version

SEED_SIZE_BYTES = 32  # RFC 8032 section 5.1.5
OWNER_ONLY_FOLDER = 0o700  # bodies are personal data

# leaf_index, case_id, number, actor_id, envelope, salt, body
Row: TypeAlias = tuple[int, str, int, str, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A log that was found whole."""

    path: Path
    signer: CheckpointSigner
    frontier: Frontier
    checkpoint: str


def recover(data_dir: Path, origin: str, token_bytes: Callable[[int], bytes]) -> Recovered:
    """Open or create the log in a folder that this process has locked; raises IllegalOpen, CorruptLog."""
    path = data_dir / "log.sqlite"
    try:
        connection = connect_writer(path)
    except DAMAGE as error:
        raise CorruptLog(f"{path} cannot be opened: {error}") from None
    try:
        signer = CheckpointSigner(origin, _key(connection, data_dir, token_bytes))
        frontier = _recompute(connection)
        checkpoint = _newest_checkpoint(connection, signer, frontier)
    except DAMAGE as error:
        raise CorruptLog(f"{path} is damaged: {error}") from None
    finally:
        connection.close()
    return Recovered(path=path, signer=signer, frontier=frontier, checkpoint=checkpoint)


def create_folder(data_dir: Path) -> None:
    """Make the data directory, for its owner alone, if it is not there."""
    if not data_dir.is_dir():
        data_dir.mkdir(mode=OWNER_ONLY_FOLDER, parents=True)
        sync_folder(data_dir.parent)


def _key(
    connection: sqlite3.Connection, data_dir: Path, token_bytes: Callable[[int], bytes]
) -> Ed25519PrivateKey:
    """The key of this log. Log and key are born together, log first; one without the other is refused."""
    path = data_dir / "log.key"
    version = schema_version(connection)
    if version not in (0, SCHEMA_VERSION):
        raise IllegalOpen(f"the log in {data_dir} has schema {version}: a newer Proofcall wrote it")
    if version == 0:
        if path.exists():
            raise IllegalOpen(f"{path} is there, but its log is gone: restore the log, or move the key away")
        connection.executescript(SCHEMA)
    if path.exists():
        return load_key(path)
    if connection.execute("SELECT 1 FROM checkpoints LIMIT 1").fetchone():
        raise IllegalOpen(f"the log in {data_dir} was signed with a key that is gone: restore {path}")
    return create_key(path, token_bytes(SEED_SIZE_BYTES))


def _recompute(connection: sqlite3.Connection) -> Frontier:
    """Walk through all entries in the order of the log; raises CorruptLog at the first that is wrong."""
    problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise CorruptLog(f"the database file is damaged: {problem}")
    frontier = Frontier()
    heads: dict[str, tuple[int, str]] = {}
    rows = connection.execute(
        "SELECT leaf_index, case_id, number, actor_id, envelope, salt, body FROM entries ORDER BY leaf_index"
    )
    stored = connection.execute("SELECT stored_index, hash FROM hashes ORDER BY stored_index")
    for row in rows:
        leaf_index, case_id, number = row[0], row[1], row[2]
        where = f"leaf {leaf_index} (case {case_id}, entry {number})"
        if leaf_index != frontier.tree_size:
            raise CorruptLog(f"leaf {frontier.tree_size} is missing from the log: the next one is {where}")
        try:
            _check_row(row, heads)
        except EvidenceError as error:
            raise CorruptLog(f"{where} is damaged: {error}") from None
        first_index = stored_count(frontier.tree_size)
        frontier, computed = frontier.extend([hash_leaf(row[4])])
        expected = list(enumerate(computed, start=first_index))
        if list(itertools.islice(stored, len(expected))) != expected:
            raise CorruptLog(f"{where} is damaged: its tree hashes are not those that were stored")
    if stored.fetchone() is not None:
        raise CorruptLog(f"entries are missing from the end of the log, after leaf {frontier.tree_size - 1}")
    return frontier


def _check_row(row: Row, heads: dict[str, tuple[int, str]]) -> None:
    """Raise an EvidenceError unless the row continues its case; then move the head of the case on."""
    _, case_id, number, actor_id, envelope_bytes, salt, body_bytes = row
    envelope = parse_envelope(envelope_bytes)
    last_number, last_hash = heads.get(case_id, (0, FIRST_PREVIOUS_HASH))
    check_successor(envelope, case_id=case_id, number=last_number + 1, previous_hash=last_hash)
    if (envelope.number, envelope.actor_id) != (number, actor_id):
        raise CorruptLog(f"the row of case {case_id}, entry {number} is filed under another number or actor")
    check_commitment(envelope, body_bytes, salt)
    heads[case_id] = (envelope.number, hash_envelope(envelope_bytes))


def _newest_checkpoint(connection: sqlite3.Connection, signer: CheckpointSigner, frontier: Frontier) -> str:
    """The newest note, once it was found to cover exactly what was recomputed; raises CorruptLog."""
    row = connection.execute(
        "SELECT tree_size, note FROM checkpoints ORDER BY tree_size DESC LIMIT 1"
    ).fetchone()
    if row is None:
        if frontier.tree_size:
            raise CorruptLog(f"the log has {frontier.tree_size} leaves and no checkpoint at all")
        first = signer.sign(0, frontier.root())
        connection.execute("INSERT INTO checkpoints (tree_size, note) VALUES (0, ?)", (first,))
        return first
    tree_size, note = int(row[0]), str(row[1])
    try:
        origin = parse_checkpoint(note).origin
        if origin != signer.key.name:
            raise IllegalOpen(f"the log is called {origin} and was opened as {signer.key.name}")
        checkpoint = open_checkpoint(note, signer.key)
    except EvidenceError as error:
        raise CorruptLog(
            f"the newest checkpoint (tree size {tree_size}) is not one of {encode_key(signer.key)}: {error}"
        ) from None
    if checkpoint.tree_size != tree_size or tree_size != frontier.tree_size:
        raise CorruptLog(
            f"the newest checkpoint is over {checkpoint.tree_size} leaves, the log holds {frontier.tree_size}"
        )
    if checkpoint.root_hash != frontier.root():
        raise CorruptLog(
            f"the root of {tree_size} leaves is {frontier.root().hex()}, "
            f"but {checkpoint.root_hash.hex()} was signed"
        )
    return note
