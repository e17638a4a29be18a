"""The audit: everything that the data folder holds, recomputed from the bytes, beside a running service.

    keys       log, wrap, token and c2pa.key are for their owner alone; every case key was wrapped by wrap.key
    database   SQLite's own check of pages and indices
    entries    every leaf, tree hash, root and checkpoint (`walk`), and every blob that an entry names

One snapshot of the database, read only, without the lock: what is appended meanwhile is not looked at, and
blobs are durable before the entries that name them. The first thing that is wrong is raised, with its place.
"""

import functools
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from server.evidence.checkpoint import VerifierKey, encode_key, parse_checkpoint
from server.evidence.entry import parse_body
from server.evidence.errors import EvidenceError
from server.evidence.handover import Handover
from server.evidence.package import BlobReference, blob_references
from server.store.blobs import blob_path, read_blob, seal_name
from server.store.case_keys import MAX_SEALS, read_seal
from server.store.errors import CorruptBlob, CorruptLog, IllegalOpen
from server.store.keys import AesKeyWrapper, check_mode, load_secret, load_signer
from server.store.picture_keys import KEY_FILE as PICTURE_KEY_FILE
from server.store.recovery import check_wrapper, key_history
from server.store.rotation import read_handovers
from server.store.schema import DAMAGE, SCHEMA_VERSION, connect_reader, schema_version
from server.store.sealed_file import SealedReader
from server.store.sealing import CHUNK_SIZE_BYTES, CaseSeal
from server.store.walk import Leaf, Walk

REPORT_EVERY_LEAVES = 256  # about 10 ms of work
PIECE_SIZE_BYTES = 16 * CHUNK_SIZE_BYTES  # of a blob in memory at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the audit has come. The last of all has `done == total` in the stage `entries`."""

    stage: str
    done: int
    total: int
    blobs: int = 0
    blob_bytes: int = 0


# Looks at what an entry and one of its blobs mean, which the store does not know; raises StoreError.
Inspect: TypeAlias = Callable[[Leaf, bytes], None]


def audit(
    data_dir: Path, *, origin: str | None = None, inspect: Mapping[str, Inspect] | None = None
) -> Iterator[Progress]:
    """Check all that a data folder holds; done when the iterator ends.

    `inspect`: by kind of entry, who looks at each blob of such an entry besides.
    `origin`: the name that the log must have; None takes the one that its checkpoints carry. Raises
    CorruptLog and CorruptBlob for what was changed, IllegalOpen for keys that are gone, others' or open to
    others, and for a log that no start has migrated yet.
    """
    path = data_dir / "log.sqlite"
    if not path.exists():
        raise IllegalOpen(f"there is no log in {data_dir}")
    try:
        connection = connect_reader(path)
        try:
            connection.execute("BEGIN")
            yield from _audit(connection, data_dir, origin, inspect or {})
        finally:
            connection.close()
    except DAMAGE as error:
        raise CorruptLog(f"{path} is damaged: {error}") from None


def _audit(
    connection: sqlite3.Connection, data_dir: Path, origin: str | None, inspect: Mapping[str, Inspect]
) -> Iterator[Progress]:
    version = schema_version(connection)
    if version != SCHEMA_VERSION:
        raise IllegalOpen(f"the log in {data_dir} has schema {version}, not {SCHEMA_VERSION}: start it first")
    wrapper, public_key = _check_keys(connection, data_dir)
    yield Progress(stage="keys", done=1, total=1)
    yield Progress(stage="database", done=0, total=1)
    problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise CorruptLog(f"the database file is damaged: {problem}")
    yield Progress(stage="database", done=1, total=1)

    @functools.lru_cache(maxsize=MAX_SEALS)
    def seal_of(case_id: str) -> CaseSeal:
        return read_seal(connection, wrapper, case_id)

    key = VerifierKey(name=_newest_origin(connection, origin), public_key=public_key)
    total = int(connection.execute("SELECT coalesce(max(leaf_index), -1) + 1 FROM entries").fetchone()[0])
    handovers = read_handovers(connection, seal_of)
    _check_taken_up(handovers, key, data_dir / "log.next")
    walk = Walk(connection, begin=0, seal_of=seal_of, keys=key_history(handovers, key))
    blobs = blob_bytes = 0
    yield Progress(stage="entries", done=0, total=total)
    for leaf in walk.leaves():
        for reference in _references(leaf):
            seal = seal_of(leaf.case_id)
            _check_blob(data_dir / "blobs", seal, reference, leaf)
            if leaf.kind in inspect:
                path = blob_path(data_dir / "blobs", leaf.case_id, reference.sha256)
                inspect[leaf.kind](leaf, read_blob(path, seal, reference.sha256))
            blobs, blob_bytes = blobs + 1, blob_bytes + reference.size_bytes
        done = leaf.leaf_index + 1
        if done % REPORT_EVERY_LEAVES == 0:
            yield Progress(stage="entries", done=done, total=total, blobs=blobs, blob_bytes=blob_bytes)
    (newest,) = connection.execute("SELECT max(tree_size) FROM checkpoints").fetchone()
    if newest != walk.frontier.tree_size:
        raise CorruptLog(
            f"the newest checkpoint is over {newest} leaves, the log holds {walk.frontier.tree_size}"
        )
    (keys,) = connection.execute("SELECT count(*) FROM case_keys").fetchone()
    if keys != len(walk.heads):
        raise CorruptLog(f"there are {keys} keys for the {len(walk.heads)} cases of the log")
    yield Progress(stage="entries", done=total, total=total, blobs=blobs, blob_bytes=blob_bytes)


def _check_keys(connection: sqlite3.Connection, data_dir: Path) -> tuple[AesKeyWrapper, bytes]:
    """What unwraps the case keys, and the public key of the log."""
    log_key, wrap_key, token_key = (data_dir / name for name in ("log.key", "wrap.key", "token.key"))
    for path in (log_key, wrap_key):
        if not path.exists():
            raise IllegalOpen(f"{path} is gone")
    for path in (token_key, data_dir / PICTURE_KEY_FILE):  # without them the log is whole all the same
        if path.exists():
            check_mode(path)
    signer = load_signer(log_key)
    wrapper = AesKeyWrapper(load_secret(wrap_key), _refuse_randomness)
    check_wrapper(connection, wrapper, wrap_key)
    return wrapper, signer.public_key


def _check_taken_up(handovers: Sequence[Handover], key: VerifierKey, next_key: Path) -> None:
    """Raise IllegalOpen if the log was handed over to a key that has not taken the place of `log.key` yet."""
    if (
        handovers
        and next_key.exists()
        and str(parse_body(handovers[-1].body_bytes)["new"]) != encode_key(key)
    ):
        raise IllegalOpen(
            f"a rotation of log.key was cut off, and {next_key} is to take its place: start the service"
        )


def _refuse_randomness(size: int) -> bytes:
    raise IllegalOpen("an audit wraps no keys")


def _newest_origin(connection: sqlite3.Connection, origin: str | None) -> str:
    row = connection.execute("SELECT note FROM checkpoints ORDER BY tree_size DESC LIMIT 1").fetchone()
    if row is None:
        raise CorruptLog("the log has no checkpoint at all")
    try:
        found = parse_checkpoint(row[0]).origin
    except EvidenceError as error:
        raise CorruptLog(f"the newest checkpoint is damaged: {error}") from None
    if origin is not None and found != origin:
        raise IllegalOpen(f"the log is called {found}, not {origin}")
    return found


def _references(leaf: Leaf) -> list[BlobReference]:
    if not leaf.body_bytes:
        return []
    try:
        return list(blob_references(parse_body(leaf.body_bytes)))
    except EvidenceError as error:
        raise CorruptLog(f"{leaf.where} is damaged: {error}") from None


def _check_blob(folder: Path, seal: CaseSeal, reference: BlobReference, leaf: Leaf) -> None:
    """Raise CorruptBlob unless the blob is there, opens, and has hash and size that the entry names."""
    path = blob_path(folder, seal.case_id, reference.sha256)
    try:
        reader = SealedReader(path, seal, seal_name(reference.sha256))
    except FileNotFoundError:
        raise CorruptBlob(f"{path}, which {leaf.where} names, is missing") from None
    try:
        digest = hashlib.sha256()
        for offset in range(0, reader.size_bytes, PIECE_SIZE_BYTES):
            digest.update(reader.read_now(offset, PIECE_SIZE_BYTES))
    finally:
        reader.close()
    if digest.hexdigest() != reference.sha256:
        raise CorruptBlob(f"{path} is damaged: what was sealed in it has another SHA-256")
    if reader.size_bytes != reference.size_bytes:
        raise CorruptBlob(
            f"{path} holds {reader.size_bytes} bytes, but {leaf.where} names {reference.size_bytes}"
        )
