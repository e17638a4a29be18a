"""Attestations on disk: what authorities and witnesses said of the log's checkpoints.

`attestations.db` is a database of its own: nothing in it can be signed again by us, but all of it is about
checkpoints that the log holds, and losing it takes nothing from the log. Nothing in it is secret or personal.

Each source has one word for each checkpoint: the first one that came stays. Where an older log was restored,
what was said of the lost one is set aside, so that it is never taken for a word about the log that there is.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from server.evidence.attestation import Attestation, AttestationKind
from server.store.errors import CorruptAttestations
from server.store.side_database import SideDatabase, SideSchema

SCHEMA_VERSION = 1
# `data` is kilobytes: what searches the index never reads it.
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE attestations (
    attestation_id INTEGER PRIMARY KEY,
    kind           TEXT NOT NULL,
    source         TEXT NOT NULL,
    tree_size      INTEGER NOT NULL,
    at_us          INTEGER NOT NULL,
    data           BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX attestation_of_source ON attestations (kind, source, tree_size);
CREATE INDEX attestation_of_checkpoint ON attestations (tree_size);
CREATE TABLE set_aside (
    kind      TEXT NOT NULL,
    source    TEXT NOT NULL,
    tree_size INTEGER NOT NULL,
    at_us     INTEGER NOT NULL,
    data      BLOB NOT NULL
) STRICT;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
ATTESTATIONS = SideSchema(
    script=SCHEMA,
    version=SCHEMA_VERSION,
    corrupt=CorruptAttestations,
    remedy="Restore it, or move it away: tokens and cosignatures of before will be missing",
)
SELECT = "SELECT tree_size, kind, source, data, at_us FROM attestations"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


def read_attestations(connection: sqlite3.Connection) -> Iterator[Attestation]:
    """All that are kept, by checkpoint; ValueError for one that is none."""
    query = f"{SELECT} ORDER BY tree_size, kind, source"
    return (_attestation(row) for row in connection.execute(query))


class AttestationStore:
    """The attestations of a data folder that is locked by this process. Made by `open`.

    Every call may raise CorruptAttestations, and FailedAppend where the disk refuses; then nothing changed.
    """

    def __init__(self, database: SideDatabase) -> None:
        self._database = database

    @classmethod
    async def open(cls, data_dir: Path) -> "AttestationStore":
        """Open or make `attestations.db`; raises IllegalOpen, CorruptAttestations."""
        return cls(await SideDatabase.open(data_dir / "attestations.db", ATTESTATIONS))

    async def add(self, attestation: Attestation) -> None:
        """Keep it, durably, unless its source has already spoken of this checkpoint."""
        await self._database.do(self._add, attestation)

    async def of(self, tree_size: int) -> list[Attestation]:
        """All of one checkpoint, by kind and source."""
        return await self._database.do(self._of, tree_size)

    async def newest(self, kind: AttestationKind, source: str | None = None) -> Attestation | None:
        """The one of the largest checkpoint, by this source or by any; of several, the first by name."""
        return await self._database.do(self._newest, kind, source)

    async def first_covering(self, leaf_indices: Sequence[int], up_to: int) -> list[Attestation]:
        """For each leaf, kind and source the one of the smallest checkpoint that holds the leaf, if it has at
        most `up_to` leaves: the earliest proof that the leaf was there. Each once, by size, kind and source.
        """
        return await self._database.do(self._first_covering, sorted(set(leaf_indices)), up_to)

    async def set_aside(self, log_size: int) -> int:
        """What is about larger checkpoints than the log has counts no more, but stays in the file; returns
        how many there were. To be called before the log grows.
        """
        count = await self._database.do(self._set_aside, log_size)
        if count:
            logger.warning(
                "%d attestations are of checkpoints beyond the %d entries of this log: was an older copy"
                " restored? They are set aside: later entries were seen outside, and are lost here",
                *(count, log_size),
            )
        return count

    async def close(self) -> None:
        """Writes what was asked for before, then lets go of the file."""
        await self._database.close()

    def _add(self, attestation: Attestation) -> None:
        self._database.connection.execute(
            "INSERT INTO attestations (kind, source, tree_size, at_us, data) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (
                attestation.kind,
                attestation.source,
                attestation.tree_size,
                (attestation.at - EPOCH) // MICROSECOND,
                attestation.data,
            ),
        )

    def _of(self, tree_size: int) -> list[Attestation]:
        query = f"{SELECT} WHERE tree_size = ? ORDER BY kind, source"
        return [_attestation(row) for row in self._database.connection.execute(query, (tree_size,))]

    def _newest(self, kind: AttestationKind, source: str | None) -> Attestation | None:
        query = f"{SELECT} WHERE kind = ? AND source = ? ORDER BY tree_size DESC LIMIT 1"
        best: Attestation | None = None
        for found in self._sources():
            if found[0] == kind and source in (None, found[1]):
                row = self._database.connection.execute(query, found).fetchone()
                if best is None or row[0] > best.tree_size:
                    best = _attestation(row)
        return best

    def _first_covering(self, leaf_indices: Sequence[int], up_to: int) -> list[Attestation]:
        query = (
            f"{SELECT} WHERE kind = ? AND source = ? AND tree_size > ? AND tree_size <= ?"
            " ORDER BY tree_size LIMIT 1"
        )
        covering: list[Attestation] = []
        for kind, source in self._sources():
            covered = 0  # all leaves before it
            for leaf_index in leaf_indices:
                if leaf_index < covered:
                    continue
                row = self._database.connection.execute(query, (kind, source, leaf_index, up_to)).fetchone()
                if row is None:
                    break  # nor is any later leaf covered
                covering.append(_attestation(row))
                covered = row[0]
        return sorted(covering, key=lambda one: (one.tree_size, one.kind, one.source))

    def _set_aside(self, log_size: int) -> int:
        connection = self._database.connection
        connection.execute(
            "INSERT INTO set_aside (kind, source, tree_size, at_us, data)"
            " SELECT kind, source, tree_size, at_us, data FROM attestations WHERE tree_size > ?",
            (log_size,),
        )
        return connection.execute("DELETE FROM attestations WHERE tree_size > ?", (log_size,)).rowcount

    def _sources(self) -> list[tuple[str, str]]:
        """All pairs of kind and source, each found by one step in the index: there are few, and many rows."""
        pairs: list[tuple[str, str]] = []
        query = (
            "SELECT kind, source FROM attestations WHERE (kind, source) > (?, ?)"
            " ORDER BY kind, source LIMIT 1"
        )
        after = ("", "")
        while (row := self._database.connection.execute(query, after).fetchone()) is not None:
            after = (row[0], row[1])
            pairs.append(after)
        return pairs


def _attestation(row: tuple[Any, ...]) -> Attestation:
    tree_size, kind, source, data, at_us = row
    return Attestation(
        tree_size=tree_size,
        kind=AttestationKind(kind),
        source=source,
        data=data,
        at=EPOCH + at_us * MICROSECOND,
    )
