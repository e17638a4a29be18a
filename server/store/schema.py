"""The tables of the log, and how a connection to them is opened.

- `entries`: one row a leaf. `body` and `salt` are apart from `envelope`, so that they can be erased one
  day and every proof still holds.
- `hashes`: complete subtrees of the Merkle tree in the order of `merkle.stored_index`.
- `checkpoints`: every note that was ever signed; the primary key keeps one size from having two roots.
"""

import sqlite3
from pathlib import Path

SCHEMA_VERSION = 1
# What a damaged file can raise; the second when SQLite quotes a damaged schema in its message.
DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
BUSY_TIMEOUT_MS = 5000  # the writer is alone; a backup tool may hold a lock for a moment

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE entries (
    leaf_index INTEGER PRIMARY KEY,
    case_id    TEXT NOT NULL,
    number     INTEGER NOT NULL,
    envelope   BLOB NOT NULL,
    salt       BLOB NOT NULL,
    body       BLOB NOT NULL,
    actor_id   TEXT NOT NULL,
    command_id TEXT,
    ordinal    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_of_case ON entries (case_id, number);
CREATE UNIQUE INDEX entry_of_command ON entries (case_id, actor_id, command_id, ordinal)
    WHERE command_id IS NOT NULL;
CREATE INDEX first_of_case ON entries (leaf_index) WHERE number = 1;
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


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; transactions are begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: the WAL is fsynced at each commit. NORMAL would lose the last commits in a power failure.
        connection.execute("PRAGMA synchronous = FULL")
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


def schema_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
