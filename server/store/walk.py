"""The walk through the log: each leaf, in order, against all that is known of it.

The start walks through the tail (`recovery`), the audit through everything (`audit`). Leaf hashes are
computed from the stored envelopes, tree hashes and roots from those; numbers and chain of every case are
followed, every body must open with the key of its case and fit its commitment, every checkpoint must be
signed over the root that its size has. A body may be missing only where a later entry says that it was
erased, and then it must be. A key of the log signs up to its rotation, and not beyond. What does not fit
raises CorruptLog with leaf, case and number.
"""

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from server.evidence.checkpoint import Checkpoint, VerifierKey, encode_key, open_checkpoint
from server.evidence.entry import (
    FIRST_PREVIOUS_HASH,
    check_commitment,
    check_successor,
    hash_envelope,
    parse_body,
    parse_envelope,
)
from server.evidence.erasure import ERASED, Erasure, parse_erasure
from server.evidence.errors import EvidenceError
from server.evidence.handover import KeyHistory
from server.evidence.merkle import Frontier, frontier_indices, hash_leaf, stored_count
from server.store.case_keys import SealOf
from server.store.errors import CorruptLog, MalformedSeal, UnknownCaseKey
from server.store.schema import EntryRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """An entry that was found right. `body_bytes` is empty where the body was erased."""

    leaf_index: int
    case_id: str
    number: int
    kind: str
    body_bytes: bytes

    @property
    def where(self) -> str:
        return f"leaf {self.leaf_index} (case {self.case_id}, entry {self.number})"


class Walk:
    """Goes through the leaves from `begin` on; for what lies before, the signed root vouches."""

    def __init__(
        self, connection: sqlite3.Connection, *, begin: int, seal_of: SealOf, keys: KeyHistory
    ) -> None:
        self._connection = connection
        self._begin = begin
        self._seal_of = seal_of
        self._keys = keys
        self.heads: dict[str, tuple[int, str]] = {}
        """Number and hash of the last entry of each case that was come upon."""
        self._bare: dict[str, dict[int, Leaf]] = {}  # by case and number: without a body, and not yet excused
        self.frontier = Frontier(tree_size=begin, hashes=self._stored_frontier())

    def leaves(self) -> Iterator[Leaf]:
        """Each leaf, once it was found right; ends without an error only where no checkpoint is left over."""
        begin = self._begin
        rows = self._connection.execute(
            "SELECT leaf_index, case_id, number, kind, envelope, sealed, actor_id, command_id, ordinal"
            " FROM entries WHERE leaf_index >= ? ORDER BY leaf_index",
            (begin,),
        )
        stored = self._connection.execute(
            "SELECT stored_index, hash FROM hashes WHERE stored_index >= ? ORDER BY stored_index",
            (stored_count(begin),),
        )
        checkpoints = self._connection.execute(
            "SELECT tree_size, note FROM checkpoints WHERE tree_size >= ? ORDER BY tree_size", (begin,)
        )
        due = self._check_checkpoint(checkpoints.fetchone(), checkpoints)
        for row in rows:
            leaf = self._check_row(row)
            first_index = stored_count(self.frontier.tree_size)
            self.frontier, computed = self.frontier.extend([hash_leaf(row[4])])
            expected = list(enumerate(computed, start=first_index))
            if list(itertools.islice(stored, len(expected))) != expected:
                raise CorruptLog(f"{leaf.where} is damaged: its tree hashes are not those that were stored")
            due = self._check_checkpoint(due, checkpoints)
            yield leaf
        if stored.fetchone() is not None:
            raise CorruptLog(
                f"entries are missing from the end of the log, after leaf {self.frontier.tree_size - 1}"
            )
        for bare in self._bare.values():
            for leaf in bare.values():
                raise CorruptLog(
                    f"{leaf.where} is damaged: its body is gone, and no entry says that it was erased"
                )
        if due is not None:
            raise CorruptLog(f"a checkpoint is over {due[0]} leaves, the log holds {self.frontier.tree_size}")

    def _check_checkpoint(
        self, due: tuple[int, str] | None, following: sqlite3.Cursor
    ) -> tuple[int, str] | None:
        """Check the next checkpoint if it is over the leaves so far; returns the one to come."""
        if due is None or due[0] != self.frontier.tree_size:
            return due
        check_checkpoint(due[1], self._keys.at(due[0]), self.frontier)
        next_due: tuple[int, str] | None = following.fetchone()
        return next_due

    def _stored_frontier(self) -> tuple[bytes, ...]:
        hashes = []
        for index in frontier_indices(self._begin):
            row = self._connection.execute(
                "SELECT hash FROM hashes WHERE stored_index = ?", (index,)
            ).fetchone()
            if row is None:
                raise CorruptLog(f"the tree hash {index}, below leaf {self._begin}, is missing")
            hashes.append(row[0])
        return tuple(hashes)

    def _check_row(self, row: EntryRow) -> Leaf:
        """What a row holds, once it was found to continue the log and its case."""
        leaf_index, case_id, number, kind, envelope_bytes, sealed, actor_id, command_id, ordinal = row
        where = f"leaf {leaf_index} (case {case_id}, entry {number})"
        if leaf_index != self.frontier.tree_size:
            raise CorruptLog(
                f"leaf {self.frontier.tree_size} is missing from the log: the next one is {where}"
            )
        try:
            envelope = parse_envelope(envelope_bytes)
            last_number, last_hash = self._head(case_id, number)
            check_successor(envelope, case_id=case_id, number=last_number + 1, previous_hash=last_hash)
            if (envelope.number, envelope.actor_id, envelope.kind) != (number, actor_id, kind):
                raise CorruptLog(f"{where} is damaged: it is filed under another number, actor or kind")
            body_bytes = b""
            if sealed:
                salt, body_bytes = self._seal_of(case_id).open_entry(number, ordinal, command_id, sealed)
                check_commitment(envelope, body_bytes, salt)
            if sealed and kind == ERASED:
                self._check_erasure(case_id, number, parse_erasure(parse_body(body_bytes)))
        except (EvidenceError, MalformedSeal, UnknownCaseKey) as error:
            raise CorruptLog(f"{where} is damaged: {error}") from None
        self.heads[case_id] = (number, hash_envelope(envelope_bytes))
        leaf = Leaf(leaf_index=leaf_index, case_id=case_id, number=number, kind=kind, body_bytes=body_bytes)
        if not sealed:
            self._bare.setdefault(case_id, {})[number] = leaf
        return leaf

    def _check_erasure(self, case_id: str, number: int, erasure: Erasure) -> None:
        """Excuses what lacks its body because of this entry; raises CorruptLog for what still has one."""
        bare = self._bare.get(case_id, {})
        for other in [other for other, leaf in bare.items() if erasure.covers(other, leaf.kind)]:
            del bare[other]
        rows = self._connection.execute(
            "SELECT number, kind FROM entries WHERE case_id = ? AND number < ? AND length(sealed) > 0",
            (case_id, number),
        )
        for other, kind in rows:
            if erasure.covers(other, kind):
                raise CorruptLog(
                    f"entry {number} of case {case_id} says that the body of entry {other} was erased, "
                    "but it is still there"
                )

    def _head(self, case_id: str, number: int) -> tuple[int, str]:
        """Number and hash of the entry before; the first time in a case it is looked for before `begin`."""
        if case_id not in self.heads:
            row = self._connection.execute(
                "SELECT number, envelope FROM entries WHERE case_id = ? AND number < ? AND leaf_index < ?"
                " ORDER BY number DESC LIMIT 1",
                (case_id, number, self._begin),
            ).fetchone()
            self.heads[case_id] = (row[0], hash_envelope(row[1])) if row else (0, FIRST_PREVIOUS_HASH)
        return self.heads[case_id]


def check_checkpoint(note: str, key: VerifierKey, frontier: Frontier) -> None:
    """Raise CorruptLog unless the key signed exactly this size and root."""
    checkpoint = open_note(note, key, filed_under=frontier.tree_size)
    if checkpoint.root_hash != frontier.root():
        raise CorruptLog(
            f"the root of {frontier.tree_size} leaves is {frontier.root().hex()}, "
            f"but {checkpoint.root_hash.hex()} was signed"
        )


def open_note(note: str, key: VerifierKey, *, filed_under: int) -> Checkpoint:
    """What the key signed as the checkpoint of this size; raises CorruptLog."""
    try:
        checkpoint = open_checkpoint(note, key)
    except EvidenceError as error:
        raise CorruptLog(
            f"the checkpoint of tree size {filed_under} is not one of {encode_key(key)}: {error}"
        ) from None
    if checkpoint.tree_size != filed_under:
        raise CorruptLog(
            f"the checkpoint of tree size {filed_under} was signed over {checkpoint.tree_size} leaves"
        )
    return checkpoint
