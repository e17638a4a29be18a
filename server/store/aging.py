"""How long ago what happened in which case: what retention needs to know, from envelopes alone.

Nothing is opened: kinds and times stand in the envelopes, whether a body is there in the table, and legal
holds are counted, those that were set less those that were lifted.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from server.evidence.entry import parse_envelope
from server.evidence.errors import EvidenceError
from server.evidence.handover import HOUSE_CASE
from server.store.errors import CorruptLog


@dataclass(frozen=True, slots=True, kw_only=True)
class AgedCase:
    """A case that was not erased whole; `present`: which of the kinds that were asked for have bodies."""

    case_id: str
    first_leaf: int
    opened_at: datetime
    last_at: datetime
    is_held: bool
    present: frozenset[str]


def aged_cases(
    connection: sqlite3.Connection,
    *,
    after_leaf: int,
    limit: int,
    quiet: frozenset[str],
    wanted: frozenset[str],
) -> list[AgedCase]:
    """Cases in the order in which they were opened, from after that leaf on. `last_at` is of the newest entry
    whose kind is not `quiet`. Raises CorruptLog.
    """
    rows = connection.execute(
        "SELECT case_id, leaf_index, envelope FROM entries JOIN case_keys USING (case_id)"
        " WHERE number = 1 AND leaf_index > ? AND erased_by IS NULL AND case_id != ?"
        " ORDER BY leaf_index LIMIT ?",
        (after_leaf, HOUSE_CASE, limit),
    ).fetchall()
    return [_aged(connection, *row, quiet=sorted(quiet), wanted=sorted(wanted)) for row in rows]


def _aged(
    connection: sqlite3.Connection,
    case_id: str,
    first_leaf: int,
    envelope: bytes,
    *,
    quiet: list[str],
    wanted: list[str],
) -> AgedCase:
    newest = connection.execute(
        f"SELECT envelope FROM entries WHERE case_id = ? AND kind NOT IN ({','.join('?' * len(quiet))})"
        " ORDER BY number DESC LIMIT 1",
        (case_id, *quiet),
    ).fetchone()
    counts = dict(
        connection.execute(
            "SELECT kind, count(*) FROM entries WHERE case_id = ? AND length(sealed) > 0"
            f" AND kind IN ('hold_set', 'hold_lifted'{',?' * len(wanted)}) GROUP BY kind",
            (case_id, *wanted),
        ).fetchall()
    )
    return AgedCase(
        case_id=case_id,
        first_leaf=first_leaf,
        opened_at=_recorded_at(case_id, envelope),
        last_at=_recorded_at(case_id, envelope if newest is None else newest[0]),
        is_held=counts.get("hold_set", 0) > counts.get("hold_lifted", 0),
        present=frozenset(wanted) & counts.keys(),
    )


def _recorded_at(case_id: str, envelope: bytes) -> datetime:
    try:
        return parse_envelope(envelope).recorded_at
    except EvidenceError as error:
        raise CorruptLog(f"an envelope of case {case_id} is damaged: {error}") from None
