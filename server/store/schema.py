"""The tables of the log, and how a connection to them is opened.

- `entries`: one row a leaf. `sealed` holds salt and body under the key of the case, apart from `envelope`, so
  that they can be erased and every proof still holds: then it is empty. `kind` repeats the envelope's for the
  index.
- `case_keys`: a key for each case, wrapped; made in the transaction of the case's first entry, and another in
  that of the entry `erased_by` which destroyed the whole case.
- `doomed_blobs`: files that were erased with some entries of a case, until they are gone from the disk;
  and with `entry/<number>` in place of a hash each erasure that may have left something.
- `hashes`: complete subtrees of the Merkle tree in the order of `merkle.stored_index`.
- `checkpoints`: every note that was ever signed; the primary key keeps one size from having two roots.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import TypeAlias

SCHEMA_VERSION = 3
# What a damaged file can raise; the second when SQLite quotes a damaged schema in its message.
DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
BUSY_TIMEOUT_MS = 5000  # the writer is alone; a backup tool may hold a lock for a moment

# What an index of the calls covers; a query must spell it like this for SQLite to use that index.
CALL_KINDS = "kind IN ('call_started', 'call_ended')"

ENTRIES = """
CREATE TABLE entries (
    leaf_index INTEGER PRIMARY KEY,
    case_id    TEXT NOT NULL,
    number     INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    envelope   BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    actor_id   TEXT NOT NULL,
    command_id TEXT,
    ordinal    INTEGER NOT NULL
) STRICT;
CREATE TABLE case_keys (
    case_id TEXT PRIMARY KEY,
    key_id  TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    erased_by INTEGER
) STRICT;
"""
DOOMED_BLOBS = """
CREATE TABLE doomed_blobs (
    case_id TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    PRIMARY KEY (case_id, sha256)
) STRICT, WITHOUT ROWID;
"""
INDICES = f"""
CREATE UNIQUE INDEX entry_of_case ON entries (case_id, number);
CREATE UNIQUE INDEX entry_of_command ON entries (case_id, actor_id, command_id, ordinal)
    WHERE command_id IS NOT NULL;
CREATE INDEX first_of_case ON entries (leaf_index) WHERE number = 1;
CREATE INDEX call_of_case ON entries (case_id, number, kind) WHERE {CALL_KINDS};
"""
SCHEMA = f"""
BEGIN IMMEDIATE;
{ENTRIES}
{INDICES}
{DOOMED_BLOBS}
CREATE TABLE hashes (
    stored_index INTEGER PRIMARY KEY,
    hash         BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoints (
    tree_size INTEGER PRIMARY KEY,
    note      TEXT NOT NULL
) STRICT;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
INSERT_ENTRY = (
    "INSERT INTO entries"
    " (leaf_index, case_id, number, kind, envelope, sealed, actor_id, command_id, ordinal)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_KEY = "INSERT INTO case_keys (case_id, key_id, wrapped) VALUES (?, ?, ?)"
REPLACE_KEY = "UPDATE case_keys SET key_id = ?, wrapped = ?, erased_by = ? WHERE case_id = ?"
# In the order of INSERT_ENTRY.
EntryRow: TypeAlias = tuple[int, str, int, str, bytes, bytes, str, str | None, int]


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; transactions are begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: the WAL is fsynced at each commit. NORMAL would lose the last commits in a power failure.
        connection.execute("PRAGMA synchronous = FULL")
        # What is deleted or written over is zeros from the next checkpoint of the WAL on.
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read. It may move between threads that take turns."""
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_MS / 1000,
        check_same_thread=False,
    )


def fold_in(path: Path) -> None:
    """Copy the WAL into the database file and remove it, so that a closed log is one file; may fail.

    SQLite does it when the last connection closes, unless that one can only read.
    """
    with contextlib.suppress(*DAMAGE):
        connect_writer(path).close()


def truncate_wal(connection: sqlite3.Connection) -> bool:
    """Copy the WAL into the database file and cut it to nothing: what was written over is nowhere any more.
    False while somebody reads an older state.
    """
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of it, while others write
    busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def schema_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
