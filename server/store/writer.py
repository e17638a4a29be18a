"""The writer of the log: one thread, one connection, one transaction for everybody who waits.

While a transaction is being fsynced the next appends gather in the queue; the writer then takes them all
(group commit), so that fifty writers pay for one fsync, and for one signature. In the transaction:
entries, the keys of new cases, tree hashes, the checkpoint that covers them. Only when it is on the disk does
anybody hear of it: `on_durable` is called with all outcomes and the note, in the writer's thread.

A disk that is full is a passing state, and so is a lock that somebody else (a backup) holds for too long: the
group fails, the log stays as it was. Any other error of the disk leaves open what the disk holds, so the
writer refuses everything from then on; the next start recomputes the log and finds out.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from server.evidence.checkpoint import CheckpointSigner
from server.evidence.entry import FIRST_PREVIOUS_HASH, SALT_SIZE_BYTES, Draft, Entry, hash_envelope, seal
from server.evidence.erasure import Erasure
from server.evidence.errors import EvidenceError
from server.evidence.merkle import Frontier, stored_count
from server.store.case_keys import CaseKeys
from server.store.errors import FailedAppend, IllegalAppend, IllegalRepeat, OverloadedLog, StoreError
from server.store.forgetting import NOTE
from server.store.keys import KeyWrapper
from server.store.schema import INSERT_ENTRY, INSERT_KEY, REPLACE_KEY, EntryRow, connect_writer
from server.store.sealing import NONCE_SIZE_BYTES, CaseSeal

MAX_PENDING_APPENDS = 4096  # about two seconds of work; who comes later is refused at once
MAX_GROUP_APPENDS = 256  # bounds a transaction to about 20 ms, and so the wait of whoever just missed it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Append:
    """One request: drafts of one case with their encoded bodies. With `erasure` it is one draft, which says
    so, and `doomed` are the blobs that nothing names any more. With `is_last` a key was rotated, and nothing
    is written after it; with `rewrap` the keys of all cases are wrapped by that from then on. Compared and
    hashed by identity.
    """

    drafts: Sequence[Draft]
    body_bytes: Sequence[bytes]
    expect_number: int
    erasure: Erasure | None = None
    doomed: Sequence[str] = ()
    is_last: bool = False
    rewrap: KeyWrapper | None = None


Outcome = tuple[Append, list[Entry] | Exception]
OnDurable = Callable[[list[Outcome], str | None], None]


class LogWriter:
    """Owns the right to append. `submit` from any thread; everything else happens in the writer's own."""

    def __init__(
        self,
        path: Path,
        *,
        signer: CheckpointSigner,
        frontier: Frontier,
        keys: CaseKeys,
        utc_now: Callable[[], datetime],
        token_bytes: Callable[[int], bytes],
        on_durable: OnDurable,
    ) -> None:
        self._path = path
        self._signer = signer
        self._frontier = frontier
        self._keys = keys
        self._utc_now = utc_now
        self._token_bytes = token_bytes
        self._on_durable = on_durable
        self._condition = threading.Condition()
        self._pending: deque[Append] = deque()
        self._closing = False
        self._failure: FailedAppend | None = None
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, append: Append) -> None:
        """Queue an append; raises OverloadedLog when the queue is full, FailedAppend once closed."""
        with self._condition:
            if self._closing:
                raise FailedAppend("the log is closed")
            if len(self._pending) >= MAX_PENDING_APPENDS:
                raise OverloadedLog(f"the log is overloaded: {len(self._pending)} appends are waiting")
            self._pending.append(append)
            self._condition.notify()

    def close(self) -> None:
        """Write what is queued, then stop; blocks until the thread has ended."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    @property
    def failed(self) -> bool:
        """Whether a failure has ended all writing."""
        return self._failure is not None

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            connection = connect_writer(self._path)
        except sqlite3.Error as error:  # who appends is refused, and does not wait for ever
            self._failure = FailedAppend(f"the log could not be opened for writing: {error}")
        try:
            while group := self._next_group():
                outcomes, note = self._write(connection, group)
                self._on_durable(outcomes, note)
        finally:
            if connection is not None:
                connection.close()

    def _next_group(self) -> list[Append]:
        """Everything that waits, up to a bound; empty when the log was closed and nothing is left."""
        with self._condition:
            while not self._pending and not self._closing:
                self._condition.wait()
            count = min(len(self._pending), MAX_GROUP_APPENDS)
            return [self._pending.popleft() for _ in range(count)]

    def _write(
        self, connection: sqlite3.Connection | None, group: list[Append]
    ) -> tuple[list[Outcome], str | None]:
        """Write a group in one transaction. An append that is refused leaves the others untouched."""
        if self._failure is not None:
            return [(append, self._failure) for append in group], None
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
            transaction = _Transaction(connection, self._keys, self._token_bytes, self._frontier.tree_size)
            outcomes: list[Outcome] = []
            rotated: FailedAppend | None = None
            for append in group:
                if rotated is not None:
                    outcomes.append((append, rotated))
                    continue
                try:
                    outcomes.append((append, self._seal(transaction, append)))
                    if append.is_last:
                        rotated = FailedAppend("a key of the log was rotated: open it again")
                except (StoreError, EvidenceError) as error:
                    outcomes.append((append, error))
            if not transaction.entries:
                connection.execute("ROLLBACK")
                return outcomes, None
            frontier, hashes = self._frontier.extend(entry.leaf_hash for entry in transaction.entries)
            note = self._signer.sign(frontier.tree_size, frontier.root())
            transaction.insert(hashes, first_stored_index=stored_count(self._frontier.tree_size))
            connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (frontier.tree_size, note))
            connection.execute("COMMIT")
            for case_id in transaction.erased:
                self._keys.forget(case_id)
        except Exception as error:
            failure = FailedAppend(f"the log could not be written: {error}")
            self._give_up(connection, error, failure)
            return [(append, failure) for append in group], None
        self._frontier = frontier
        self._failure = rotated
        return outcomes, note

    def _seal(self, transaction: "_Transaction", append: Append) -> list[Entry]:
        """Give an append its place; raises IllegalAppend or MalformedEntry and changes nothing."""
        case_id = append.drafts[0].case_id
        number, previous_hash = transaction.head(case_id)
        if number != append.expect_number:
            raise IllegalAppend(f"case {case_id} is at entry {number}, not at {append.expect_number}")
        for draft in append.drafts:
            if draft.command_id is not None and transaction.knows(draft):
                raise IllegalRepeat(
                    f"the command {draft.command_id} of {draft.actor_id} was already carried out"
                )
        recorded_at = self._utc_now()
        entries: list[Entry] = []
        for draft, body_bytes in zip(append.drafts, append.body_bytes, strict=True):
            entry = seal(
                draft,
                body_bytes,
                number=number + 1,
                previous_hash=previous_hash,
                recorded_at=recorded_at,
                salt=self._token_bytes(SALT_SIZE_BYTES),
                leaf_index=transaction.next_leaf_index + len(entries),
            )
            number, previous_hash = entry.envelope.number, entry.hash
            entries.append(entry)
        transaction.add(append, entries)
        return entries

    def _give_up(self, connection: sqlite3.Connection, error: Exception, failure: FailedAppend) -> None:
        """Roll back; remember the failure unless the log is certain to be as it was before."""
        code = getattr(error, "sqlite_errorcode", 0)
        # Of an extended code the low byte is the kind; with no transaction it was BEGIN that failed.
        passes = code == sqlite3.SQLITE_FULL or (
            code & 0xFF == sqlite3.SQLITE_BUSY and not connection.in_transaction
        )
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._failure = failure
        if not passes:
            self._failure = failure


class _Transaction:
    """What a group has gathered: rows to insert, and the state of its cases as of the last of them."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        keys: CaseKeys,
        token_bytes: Callable[[int], bytes],
        tree_size: int,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._token_bytes = token_bytes
        self._new_seals: dict[str, CaseSeal] = {}
        self._new_keys: list[tuple[str, str, bytes]] = []
        self._replaced_keys: list[tuple[str, bytes, int, str]] = []
        self._erasing: list[tuple[Append, int]] = []  # and the number of its entry
        self._wrapper: KeyWrapper | None = None  # by which all keys of cases are wrapped at the end
        self._heads: dict[str, tuple[int, str]] = {}
        self._commands: set[tuple[str, str, str]] = set()
        self._rows: list[EntryRow] = []
        self.next_leaf_index = tree_size
        self.entries: list[Entry] = []

    @property
    def erased(self) -> set[str]:
        """The cases whose key is another one from this transaction on."""
        return {append.drafts[0].case_id for append, _ in self._erasing}

    def head(self, case_id: str) -> tuple[int, str]:
        """Number and hash of the last entry of a case; (0, zeros) before its first."""
        if case_id not in self._heads:
            row = self._connection.execute(
                "SELECT number, envelope FROM entries WHERE case_id = ? ORDER BY number DESC LIMIT 1",
                (case_id,),
            ).fetchone()
            self._heads[case_id] = (row[0], hash_envelope(row[1])) if row else (0, FIRST_PREVIOUS_HASH)
        return self._heads[case_id]

    def knows(self, draft: Draft) -> bool:
        """Whether a command of an earlier append already made entries."""
        key = (draft.case_id, draft.actor_id, draft.command_id)
        if key in self._commands:
            return True
        query = "SELECT 1 FROM entries WHERE case_id = ? AND actor_id = ? AND command_id = ? LIMIT 1"
        return self._connection.execute(query, key).fetchone() is not None

    def add(self, append: Append, entries: list[Entry]) -> None:
        self._wrapper = append.rewrap or self._wrapper
        if append.erasure is not None:
            self._erasing.append((append, entries[-1].envelope.number))
            if append.erasure.is_whole:
                self._replace_key(entries[-1].envelope.case_id, entries[-1].envelope.number)
        seal = self._seal_of(entries[0])
        for ordinal, (draft, body_bytes, entry) in enumerate(
            zip(append.drafts, append.body_bytes, entries, strict=True)
        ):
            envelope = entry.envelope
            self._rows.append(
                (
                    entry.leaf_index,
                    envelope.case_id,
                    envelope.number,
                    envelope.kind,
                    entry.envelope_bytes,
                    seal.seal_entry(
                        envelope.number,
                        ordinal,
                        draft.command_id,
                        salt=entry.salt,
                        body=body_bytes,
                        nonce=self._token_bytes(NONCE_SIZE_BYTES),
                    ),
                    envelope.actor_id,
                    draft.command_id,
                    ordinal,
                )
            )
            if draft.command_id is not None:
                self._commands.add((draft.case_id, draft.actor_id, draft.command_id))
        self._heads[entries[-1].envelope.case_id] = (entries[-1].envelope.number, entries[-1].hash)
        self.next_leaf_index += len(entries)
        self.entries.extend(entries)

    def insert(self, hashes: list[bytes], *, first_stored_index: int) -> None:
        self._connection.executemany(INSERT_KEY, self._new_keys)
        self._connection.executemany(INSERT_ENTRY, self._rows)
        self._connection.executemany(
            "INSERT INTO hashes (stored_index, hash) VALUES (?, ?)",
            enumerate(hashes, start=first_stored_index),
        )
        self._connection.executemany(REPLACE_KEY, self._replaced_keys)
        for append, number in self._erasing:
            self._erase(append, number)
        if self._wrapper is not None:
            self._keys.rewrap(self._connection, self._wrapper)

    def _erase(self, append: Append, number: int) -> None:
        """Bodies and salts of a case are written over, as far as they come before this entry."""
        assert append.erasure is not None
        case_id, erasure = append.drafts[0].case_id, append.erasure
        query, values = "UPDATE entries SET sealed = x'' WHERE case_id = ? AND number < ?", [case_id, number]
        if erasure.kinds is not None:
            query += f" AND kind IN ({','.join('?' * len(erasure.kinds))})"
            values += sorted(erasure.kinds)
        if erasure.numbers is None:
            self._connection.execute(query, values)
        else:
            each = [(*values, one) for one in sorted(erasure.numbers)]
            self._connection.executemany(f"{query} AND number = ?", each)
        self._connection.executemany(
            "INSERT OR IGNORE INTO doomed_blobs VALUES (?, ?)",
            [(case_id, sha256) for sha256 in (*append.doomed, f"{NOTE}{number}")],
        )

    def _replace_key(self, case_id: str, number: int) -> None:
        self._new_seals[case_id], (_, key_id, wrapped) = self._keys.make(case_id)
        self._replaced_keys.append((key_id, wrapped, number, case_id))

    def _seal_of(self, first: Entry) -> CaseSeal:
        """The seal of the case of an append; made with its first entry."""
        case_id = first.envelope.case_id
        if case_id in self._new_seals:
            return self._new_seals[case_id]
        if first.envelope.number > 1:
            return self._keys.get(case_id)
        self._new_seals[case_id], row = self._keys.make(case_id)
        self._new_keys.append(row)
        return self._new_seals[case_id]
