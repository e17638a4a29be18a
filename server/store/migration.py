"""From schema 1, which kept bodies, salts and blobs as they are, to schema 3, which seals them and can erase;
and from schema 2, which could not: its database is written anew before.

One transaction, and the order below: whatever step a kill falls upon, the next start takes up from there.

    blobs/ ──renamed──▶ blobs.plain/         schema 1 goes on to be what the log says
    blobs/<case>/<sha256> sealed, synced     over those of a try whose keys died with its transaction
    COMMIT                                   entries sealed, case keys, schema 3: all or nothing
    blobs.plain/ removed                     only now; also by a later start

A blob that no entry names was never acknowledged to be part of anything, and is not taken along. One that is
damaged is taken along as it is: its hash still tells.
"""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from server.evidence.entry import check_commitment, parse_body, parse_envelope
from server.evidence.errors import EvidenceError
from server.evidence.package import blob_references
from server.store.blobs import blob_path, make_case_folder, prepare_folder, write_blob
from server.store.case_keys import make_key
from server.store.errors import CorruptLog, IllegalOpen
from server.store.keys import KeyWrapper, sync_folder
from server.store.schema import (
    DOOMED_BLOBS,
    ENTRIES,
    INDICES,
    INSERT_ENTRY,
    INSERT_KEY,
    SCHEMA_VERSION,
    truncate_wal,
)
from server.store.sealing import NONCE_SIZE_BYTES, CaseSeal

PLAIN_BLOBS = "blobs.plain"

logger = logging.getLogger(__name__)


def migrate(
    connection: sqlite3.Connection,
    data_dir: Path,
    wrapper: KeyWrapper,
    token_bytes: Callable[[int], bytes],
) -> None:
    """Make schema 3 of schema 1; raises CorruptLog, and then nothing has changed."""
    plain, sealed = data_dir / PLAIN_BLOBS, data_dir / "blobs"
    if sealed.is_dir() and not plain.is_dir():
        sealed.rename(plain)
        sync_folder(data_dir)
    prepare_folder(sealed)
    connection.execute("BEGIN IMMEDIATE")
    try:
        _seal_entries(connection, wrapper, token_bytes, plain, sealed)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    # The log of before lies in the WAL's database file until it is copied there.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def add_erasures(connection: sqlite3.Connection) -> None:
    """Make schema 3 of schema 2. Raises IllegalOpen where there is no room; then nothing has changed."""
    rewrite(connection, "log.sqlite")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ALTER TABLE case_keys ADD COLUMN erased_by INTEGER")
    _execute_each(connection, DOOMED_BLOBS)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def rewrite(connection: sqlite3.Connection, name: str) -> None:
    """Write a database anew that was written without `secure_delete`. Where its pages were split, copies of
    rows lie in their free room, of which SQLite knows nothing more: no later deletion would find them.
    """
    began = time.monotonic()
    logger.info("%s is written anew once, so that what is erased is gone from it", name)
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        raise IllegalOpen(
            f"{name} could not be written anew, which takes as much free room as it has, in its folder and in"
            f" that of temporary files: {error}"
        ) from None
    truncate_wal(connection)
    logger.info("%s was written anew in %.1f s", name, time.monotonic() - began)


def remove_plain_blobs(data_dir: Path) -> None:
    """Remove what a migration has left; to be called with sealed entries only."""
    plain = data_dir / PLAIN_BLOBS
    if plain.is_dir():
        shutil.rmtree(plain)
        sync_folder(data_dir)


def _seal_entries(
    connection: sqlite3.Connection,
    wrapper: KeyWrapper,
    token_bytes: Callable[[int], bytes],
    plain: Path,
    sealed: Path,
) -> None:
    connection.execute("ALTER TABLE entries RENAME TO plain_entries")
    _execute_each(connection, ENTRIES)
    seals: dict[str, CaseSeal] = {}
    copied: set[tuple[str, str]] = set()
    rows = connection.execute(
        "SELECT leaf_index, case_id, number, envelope, salt, body, actor_id, command_id, ordinal"
        " FROM plain_entries ORDER BY leaf_index"
    )
    for leaf_index, case_id, number, envelope_bytes, salt, body, actor_id, command_id, ordinal in rows:
        try:
            envelope = parse_envelope(envelope_bytes)
            check_commitment(envelope, body, salt)
            references = list(blob_references(parse_body(body)))
        except EvidenceError as error:
            raise CorruptLog(
                f"leaf {leaf_index} (case {case_id}, entry {number}) is damaged: {error}"
            ) from None
        if case_id not in seals:
            seals[case_id], key_row = make_key(case_id, wrapper, token_bytes)
            connection.execute(INSERT_KEY, key_row)
        value = seals[case_id].seal_entry(
            number, ordinal, command_id, salt=salt, body=body, nonce=token_bytes(NONCE_SIZE_BYTES)
        )
        connection.execute(
            INSERT_ENTRY,
            (
                leaf_index,
                case_id,
                number,
                envelope.kind,
                envelope_bytes,
                value,
                actor_id,
                command_id,
                ordinal,
            ),
        )
        for reference in references:
            if (case_id, reference.sha256) not in copied:
                copied.add((case_id, reference.sha256))
                _copy_blob(plain, sealed, seals[case_id], reference.sha256)
    connection.execute("DROP TABLE plain_entries")
    _execute_each(connection, INDICES)
    _execute_each(connection, DOOMED_BLOBS)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _copy_blob(plain: Path, sealed: Path, seal: CaseSeal, sha256: str) -> None:
    try:
        data = (plain / sha256[:2] / sha256).read_bytes()
    except FileNotFoundError:  # it is missing already; `check` says so
        return
    make_case_folder(blob_path(sealed, seal.case_id, sha256).parent)
    write_blob(sealed, seal, sha256, data)


def _execute_each(connection: sqlite3.Connection, script: str) -> None:
    """`executescript` would commit first."""
    for statement in script.split(";"):
        connection.execute(statement)
