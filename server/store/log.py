"""The evidence log on disk: appends go to the writer's thread, reads to a thread of their own.

The event loop never waits for the disk. `LogStore` publishes a checkpoint only after it is durable, and
resolves an append only after the checkpoint that covers it was published.
"""

import asyncio
import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from server.evidence.canonical import JsonObject
from server.evidence.checkpoint import VerifierKey, encode_key, parse_checkpoint
from server.evidence.entry import (
    Draft,
    Entry,
    encode_body,
    erased_entry,
    open_entry,
    parse_envelope,
)
from server.evidence.erasure import ERASED, Erasure, parse_erasure
from server.evidence.errors import EvidenceError
from server.evidence.handover import (
    HOUSE_CASE,
    KEY_ROTATED,
    KEY_TAKEN_UP,
    LOG_KEY,
    WRAP_KEY,
    Handover,
    rotation_body,
)
from server.evidence.merkle import consistency_hashes, inclusion_hashes
from server.evidence.package import blob_references
from server.evidence.proof import InclusionProof
from server.evidence.tiles import TILE_WIDTH, Bundle, Tile, encode_bundle
from server.store.aging import AgedCase, aged_cases
from server.store.case_keys import CaseKeys
from server.store.errors import (
    CorruptLog,
    IllegalAppend,
    IllegalOpen,
    MalformedSeal,
    StoreError,
    UnknownCaseKey,
    UnknownCheckpoint,
    UnknownLeaf,
    UnknownTile,
)
from server.store.forgetting import finish_erasure, unfinished_erasures
from server.store.keys import KeyWrapper
from server.store.recovery import Recovered, create_folder, recover
from server.store.rotation import prepare_signer, prepare_wrapper, read_handovers
from server.store.schema import CALL_KINDS, DAMAGE, connect_reader, fold_in
from server.store.writer import Append, LogWriter, Outcome

logger = logging.getLogger(__name__)
NO_LIMIT = -1  # SQLite's word for it

T = TypeVar("T")


class LogStore:
    """One log, open for one process. Made by `open`."""

    def __init__(
        self,
        *,
        lock: int,
        recovered: Recovered,
        reader: ThreadPoolExecutor,
        connection: sqlite3.Connection,
        utc_now: Callable[[], datetime],
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = lock
        self._reader = reader
        self._connection = connection
        self._keys = recovered.keys
        self._path = recovered.path
        self._waiting: dict[Append, asyncio.Future[list[Entry]]] = {}
        self._checkpoint = recovered.checkpoint
        self._tree_size = recovered.frontier.tree_size
        self._signer = recovered.signer
        self._key_history = recovered.key_history
        self._token_bytes = token_bytes
        self._growth = asyncio.Event()
        self._writer = LogWriter(
            recovered.path,
            signer=recovered.signer,
            frontier=recovered.frontier,
            keys=recovered.keys,
            utc_now=utc_now,
            token_bytes=token_bytes,
            on_durable=self._on_durable,
        )
        self._writer.start()

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        *,
        origin: str,
        utc_now: Callable[[], datetime],
        token_bytes: Callable[[int], bytes],
    ) -> "LogStore":
        """Open the log of a folder, or create folder, key and log.

        A log of schema 1 is migrated first, a rotation that was cut off is finished. Raises IllegalOpen
        (another process has it, another origin, a key or the log gone) and CorruptLog (what is stored is
        not what was signed), which names the place.
        """
        reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-reader")
        loop = asyncio.get_running_loop()
        lock: int | None = None
        recovered: Recovered | None = None
        try:
            lock = await loop.run_in_executor(reader, _lock, data_dir)
            recovered = await loop.run_in_executor(reader, recover, data_dir, origin, token_bytes)
            connection = await loop.run_in_executor(reader, connect_reader, recovered.path)
        except BaseException as error:
            reader.shutdown(wait=False)
            if recovered is not None:
                recovered.keys.close()
            if lock is not None:
                os.close(lock)
            if isinstance(error, DAMAGE):
                raise CorruptLog(f"the log in {data_dir} cannot be opened: {error}") from None
            raise
        log = cls(
            lock=lock,
            recovered=recovered,
            reader=reader,
            connection=connection,
            utc_now=utc_now,
            token_bytes=token_bytes,
        )
        try:
            await log._take_up_key()
        except BaseException:
            await log.close()
            raise
        return log

    @property
    def checkpoint(self) -> str:
        """The newest signed note; it covers everything that was ever acknowledged."""
        return self._checkpoint

    @property
    def failed(self) -> bool:
        """Whether the disk has refused for good: nothing more is written before a restart."""
        return self._writer.failed

    @property
    def size(self) -> int:
        """How many entries the log holds, all cases together."""
        return self._tree_size

    @property
    def vkey(self) -> str:
        """The verifier key of this log, as text."""
        return encode_key(self._key_history.newest)

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys that this log has had, the oldest first and its own last."""
        return tuple(encode_key(key) for key in self._key_history.keys)

    @property
    def keys(self) -> CaseKeys:
        """The keys of its cases, for what else is sealed with them."""
        return self._keys

    async def append(self, drafts: Sequence[Draft], *, expect_number: int) -> list[Entry]:
        """Append drafts of one case together or not at all; returns once they are durable.

        `expect_number` is the last number that the caller's decision has seen. An entry `erased`, which is
        appended alone, takes bodies and salts with it, and the key of a case that is erased whole; then
        `finish_erasure` has the rest to do. Raises IllegalAppend if the case has moved on, IllegalRepeat for
        a command id that was used, MalformedEntry for a body or a field that cannot be sealed, OverloadedLog
        when too many wait, FailedAppend from the disk.
        """
        if not drafts or any(draft.case_id != drafts[0].case_id for draft in drafts):
            raise IllegalAppend("an append takes one or more entries of one case")
        if len(drafts) > 1 and any(draft.kind == ERASED for draft in drafts):
            raise IllegalAppend("an entry that erases is appended alone")
        erasure = parse_erasure(drafts[0].body) if drafts[0].kind == ERASED else None
        doomed: list[str] = []
        if erasure is not None and not erasure.is_whole:
            doomed = await self._read(self._read_doomed, drafts[0].case_id, erasure)
        append = Append(
            drafts=tuple(drafts),
            body_bytes=tuple(encode_body(draft.body) for draft in drafts),
            expect_number=expect_number,
            erasure=erasure,
            doomed=doomed,
        )
        future: asyncio.Future[list[Entry]] = self._loop.create_future()
        self._writer.submit(append)
        self._waiting[append] = future
        return await future

    async def rotate_log_key(self) -> str:
        """Hand the log over to a new key, whose verifier key is returned. The entry is the last that the old
        key signs, and the last of all until the log is closed and opened again. Raises as `append` does.
        """
        folder = self._path.parent
        signer = await self._read(prepare_signer, folder, self._token_bytes)
        vkey = encode_key(VerifierKey(name=self._signer.key.name, public_key=signer.public_key))
        await self._rotate(rotation_body(LOG_KEY, old=self.vkey, new=vkey), None)
        return vkey

    async def rotate_wrap_key(self) -> str:
        """Wrap the key of every case by a new one, whose id is returned; else as `rotate_log_key`."""
        wrapper = await self._read(prepare_wrapper, self._path.parent, self._token_bytes)
        await self._rotate(
            rotation_body(WRAP_KEY, old=self._keys.wrapper.key_id, new=wrapper.key_id), wrapper
        )
        return wrapper.key_id

    async def handovers(self, tree_size: int) -> list[Handover]:
        """How each key up to the one that signed the tree of so many leaves followed from the one before."""
        read = partial(read_handovers, up_to=tree_size)
        return await self._read(read, self._connection, self._keys.get)

    async def entries(self, case_id: str, *, after: int = 0, limit: int | None = None) -> list[Entry]:
        """The entries of a case whose number is greater than `after`, in order. Unknown cases have none."""
        return await self._read(self._read_entries, case_id, after, NO_LIMIT if limit is None else limit)

    async def entry(self, leaf_index: int) -> Entry:
        """One leaf with its body; raises UnknownLeaf."""
        return await self._read(self._read_entry, leaf_index)

    async def leaves(self, first: int, end: int, kinds: Sequence[str] | None = None) -> list[int]:
        """The signed leaves from `first` to before `end` that are of one of `kinds`, or all, but those
        of the house; opens none.
        """
        return await self._read(self._read_leaves, first, min(end, self._tree_size), kinds)

    async def grown_beyond(self, size: int) -> None:
        """Returns once more than `size` leaves are signed."""
        while self._tree_size <= size:
            await self._growth.wait()

    async def case_ids(self, *, limit: int, before: str | None = None) -> list[str]:
        """Cases of parcels, the newest first; with `before`, those opened before that one."""
        return await self._read(self._read_case_ids, limit, before)

    async def cases_in_call(self) -> list[str]:
        """Cases whose newest call has no end."""
        return await self._read(self._read_cases_in_call)

    async def first_within(self, span: timedelta) -> int:
        """The first leaf that was recorded within `span` of the newest. Found by halves: if the clock was set
        back meanwhile, some before it may be younger.
        """
        return await self._read(self._read_first_within, span)

    async def cases_with(self, kinds: frozenset[str], *, first: int, end: int) -> list[str]:
        """Cases with an entry of one of these kinds among the leaves from `first` to before `end`."""
        return await self._read(self._read_cases_with, kinds, first, end)

    async def bodies(
        self, kinds: frozenset[str], *, first: int, end: int
    ) -> list[tuple[int, str, int, str, JsonObject]]:
        """Leaf, case, number, kind and body of the entries of these kinds among the leaves from `first` to
        before `end`. What does not open is left out: its case was erased, or the audit will name it.
        """
        return await self._read(self._read_bodies, kinds, first, end)

    async def erased_leaves(self, case_id: str) -> list[int]:
        """The leaves of a case whose bodies were erased."""
        return await self._read(self._read_erased_leaves, case_id)

    async def aged_cases(
        self, *, after_leaf: int, limit: int, quiet: frozenset[str], wanted: frozenset[str]
    ) -> list[AgedCase]:
        """As `aging.aged_cases` has them."""
        read = partial(aged_cases, after_leaf=after_leaf, limit=limit, quiet=quiet, wanted=wanted)
        return await self._read(read, self._connection)

    async def find_command(self, case_id: str, actor_id: str, command_id: str) -> list[int] | None:
        """Numbers of the entries that a command made, or None if it made none."""
        return await self._read(self._read_command, case_id, actor_id, command_id)

    async def inclusion_proof(self, leaf_index: int, tree_size: int | None = None) -> InclusionProof:
        """The proof of one leaf, under the newest checkpoint or under that of `tree_size`."""
        return (await self.inclusion_proofs([leaf_index], tree_size))[0]

    async def inclusion_proofs(
        self, leaf_indices: Sequence[int], tree_size: int | None = None
    ) -> list[InclusionProof]:
        """Proofs of many leaves under one and the same checkpoint; raises UnknownLeaf, UnknownCheckpoint."""
        size = self._tree_size if tree_size is None else tree_size
        return await self._read(self._read_proofs, tuple(leaf_indices), size)

    async def note(self, tree_size: int) -> str:
        """The signed note over so many leaves; raises UnknownCheckpoint."""
        return await self._read(self._read_note, tree_size)

    async def consistency_proof(self, first: int, second: int) -> list[bytes]:
        """The hashes which show that the log of `first` leaves is the beginning of that of `second` (RFC 9162
        section 2.1.4). 0 <= first <= second; raises UnknownLeaf beyond the newest checkpoint.
        """
        if second > self._tree_size:
            raise UnknownLeaf(f"the log has {self._tree_size} leaves, not {second}")
        return await self._read(self._read_consistency, first, second)

    async def sign_statement(self, text: str) -> str:
        """A text that is no checkpoint, as a note signed by the log's key; raises MalformedCheckpoint."""
        return await self._read(self._signer.sign_statement, text)

    async def tile(self, tile: Tile | Bundle) -> bytes:
        """The bytes of a tile or an entry bundle; raises UnknownTile beyond the newest checkpoint."""
        if tile.end > self._tree_size:
            raise UnknownTile(
                f"this tile takes a log of {tile.end} leaves; {self._tree_size} are signed as yet"
            )
        return await self._read(self._read_tile, tile)

    async def finish_erasure(self, case_id: str, *, is_last: bool = False) -> bool:
        """Remove from the disk what an `erased` of this case has left there. False: try it again later.
        `is_last`: all else that was to be done is done, and the erasure is no more among the unfinished.
        """
        try:
            return await asyncio.to_thread(finish_erasure, self._path, case_id, is_last=is_last)
        except (sqlite3.Error, OSError):
            logger.exception("not everything that was erased of case %s could be removed", case_id)
            return False

    async def unfinished_erasures(self) -> list[str]:
        """Cases of which an erasure, of an earlier process, too, has not come to its end."""
        return await self._read(unfinished_erasures, self._connection)

    async def close(self) -> None:
        """Write what is queued, then let go of the folder. A second call does nothing."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        await asyncio.to_thread(self._writer.close)
        await self._loop.run_in_executor(self._reader, self._connection.close)
        await self._loop.run_in_executor(self._reader, self._keys.close)
        await self._loop.run_in_executor(self._reader, fold_in, self._path)
        self._reader.shutdown()
        os.close(lock)

    async def _rotate(self, body: JsonObject, rewrap: KeyWrapper | None) -> None:
        future: asyncio.Future[list[Entry]] = self._loop.create_future()
        append = Append(
            drafts=(_house_draft(KEY_ROTATED, body),),
            body_bytes=(encode_body(body),),
            expect_number=await self._read(self._read_last_number, HOUSE_CASE),
            is_last=True,
            rewrap=rewrap,
        )
        self._writer.submit(append)
        self._waiting[append] = future
        await future

    async def _take_up_key(self) -> None:
        """The new key signs a checkpoint before anybody asks for one: nothing is proven under the old one."""
        successions = self._key_history.successions
        if successions and successions[-1].tree_size == self._tree_size:
            number = await self._read(self._read_last_number, HOUSE_CASE)
            await self.append([_house_draft(KEY_TAKEN_UP, {"vkey": self.vkey})], expect_number=number)

    def _on_durable(self, outcomes: list[Outcome], note: str | None) -> None:
        """Called in the writer's thread."""
        self._loop.call_soon_threadsafe(self._publish, outcomes, note)

    def _publish(self, outcomes: list[Outcome], note: str | None) -> None:
        if note is not None:
            self._checkpoint = note
            self._tree_size = parse_checkpoint(note).tree_size
            growth, self._growth = self._growth, asyncio.Event()
            growth.set()
        for append, outcome in outcomes:
            future = self._waiting.pop(append)
            if future.done():  # the caller was cancelled; the entry stands all the same
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    async def _read(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return await self._loop.run_in_executor(self._reader, function, *arguments)
        except DAMAGE as error:
            raise CorruptLog(f"the log cannot be read: {error}") from None

    def _read_entries(self, case_id: str, after: int, limit: int) -> list[Entry]:
        rows = self._connection.execute(
            "SELECT leaf_index, number, envelope, sealed, ordinal, command_id FROM entries"
            " WHERE case_id = ? AND number > ? ORDER BY number LIMIT ?",
            (case_id, after, limit),
        ).fetchall()
        if not rows:
            return []
        entries = []
        for expected, row in enumerate(rows, start=after + 1):
            if row[1] != expected:
                raise CorruptLog(f"entry {expected} of case {case_id} is missing from the log")
            entries.append(self._open_row(case_id, row))
        return entries

    def _read_last_number(self, case_id: str) -> int:
        query = "SELECT coalesce(max(number), 0) FROM entries WHERE case_id = ?"
        return int(self._connection.execute(query, (case_id,)).fetchone()[0])

    def _read_entry(self, leaf_index: int) -> Entry:
        row = self._connection.execute(
            "SELECT case_id, leaf_index, number, envelope, sealed, ordinal, command_id FROM entries"
            " WHERE leaf_index = ?",
            (leaf_index,),
        ).fetchone()
        if row is None:
            raise UnknownLeaf(f"the log has no leaf {leaf_index}")
        return self._open_row(row[0], row[1:])

    def _read_leaves(self, first: int, end: int, kinds: Sequence[str] | None) -> list[int]:
        query = "SELECT leaf_index FROM entries WHERE leaf_index >= ? AND leaf_index < ? AND case_id != ?"
        if kinds is not None:
            query += f" AND kind IN ({','.join('?' * len(kinds))})"
        rows = self._connection.execute(
            f"{query} ORDER BY leaf_index", (first, end, HOUSE_CASE, *(kinds or ()))
        )
        return [row[0] for row in rows]

    def _open_row(self, case_id: str, row: tuple[int, int, bytes, bytes, int, str | None]) -> Entry:
        leaf_index, number, envelope_bytes, sealed, ordinal, command_id = row
        try:
            if not sealed:
                return erased_entry(envelope_bytes, leaf_index)
            salt, body_bytes = self._keys.get(case_id).open_entry(number, ordinal, command_id, sealed)
            return open_entry(envelope_bytes, body_bytes, salt, leaf_index)
        except UnknownCaseKey as error:
            raise CorruptLog(str(error)) from None
        except (EvidenceError, MalformedSeal) as error:
            raise CorruptLog(
                f"leaf {leaf_index} (case {case_id}, entry {number}) is damaged: {error}"
            ) from None

    def _read_doomed(self, case_id: str, erasure: Erasure) -> list[str]:
        """The blobs that the entries to be erased name, and no others."""
        doomed: set[str] = set()
        kept: set[str] = set()
        for entry in self._read_entries(case_id, 0, NO_LIMIT):
            named = {reference.sha256 for reference in blob_references(entry.body)}
            (doomed if erasure.covers(entry.envelope.number, entry.envelope.kind) else kept).update(named)
        return sorted(doomed - kept)

    def _read_cases_in_call(self) -> list[str]:
        # Beside max() SQLite takes the other columns from the row that holds it ("bare columns").
        rows = self._connection.execute(
            "SELECT case_id FROM (SELECT case_id, kind, max(number) FROM entries"
            f" WHERE {CALL_KINDS} GROUP BY case_id) WHERE kind = 'call_started'"
        )
        return [row[0] for row in rows]

    def _read_first_within(self, span: timedelta) -> int:
        (last,) = self._connection.execute("SELECT max(leaf_index) FROM entries").fetchone()
        if last is None:
            return 0
        since_at = self._recorded_at(last) - span
        first, end = 0, last  # the newest is within the span, however short that is
        while first < end:
            middle = (first + end) // 2
            if self._recorded_at(middle) < since_at:
                first = middle + 1
            else:
                end = middle
        return first

    def _recorded_at(self, leaf_index: int) -> datetime:
        row = self._connection.execute("SELECT envelope FROM entries WHERE leaf_index = ?", (leaf_index,))
        try:
            return parse_envelope(row.fetchone()[0]).recorded_at
        except (EvidenceError, TypeError) as error:
            raise CorruptLog(f"leaf {leaf_index} is damaged: {error}") from None

    def _read_cases_with(self, kinds: frozenset[str], first: int, end: int) -> list[str]:
        places = ",".join("?" * len(kinds))
        rows = self._connection.execute(
            "SELECT DISTINCT case_id FROM entries WHERE leaf_index >= ? AND leaf_index < ?"
            f" AND kind IN ({places})",
            (first, end, *kinds),
        )
        return [row[0] for row in rows]

    def _read_bodies(
        self, kinds: frozenset[str], first: int, end: int
    ) -> list[tuple[int, str, int, str, JsonObject]]:
        places = ",".join("?" * len(kinds))
        rows = self._connection.execute(
            "SELECT leaf_index, case_id, number, kind, sealed, ordinal, command_id FROM entries"
            f" WHERE leaf_index >= ? AND leaf_index < ? AND kind IN ({places}) ORDER BY leaf_index",
            (first, end, *kinds),
        )
        bodies = []
        for leaf_index, case_id, number, kind, sealed, ordinal, command_id in rows:
            try:
                seal = self._keys.get(case_id)
                _, body_bytes = seal.open_entry(number, ordinal, command_id, sealed)
                bodies.append((leaf_index, case_id, number, kind, json.loads(body_bytes)))
            except StoreError:
                continue
        return bodies

    def _read_erased_leaves(self, case_id: str) -> list[int]:
        query = "SELECT leaf_index FROM entries WHERE case_id = ? AND length(sealed) = 0"
        return [row[0] for row in self._connection.execute(query, (case_id,))]

    def _read_case_ids(self, limit: int, before: str | None) -> list[str]:
        if before is None:
            query = (
                "SELECT case_id FROM entries WHERE number = 1 AND case_id != ?"
                " ORDER BY leaf_index DESC LIMIT ?"
            )
            rows = self._connection.execute(query, (HOUSE_CASE, limit))
        else:
            query = (
                "SELECT case_id FROM entries WHERE number = 1 AND case_id != ? AND leaf_index <"
                " (SELECT leaf_index FROM entries WHERE case_id = ? AND number = 1)"
                " ORDER BY leaf_index DESC LIMIT ?"
            )
            rows = self._connection.execute(query, (HOUSE_CASE, before, limit))
        return [row[0] for row in rows]

    def _read_command(self, case_id: str, actor_id: str, command_id: str) -> list[int] | None:
        rows = self._connection.execute(
            "SELECT number FROM entries WHERE case_id = ? AND actor_id = ? AND command_id = ?"
            " ORDER BY number",
            (case_id, actor_id, command_id),
        )
        return [row[0] for row in rows] or None

    def _read_proofs(self, leaf_indices: tuple[int, ...], tree_size: int) -> list[InclusionProof]:
        note = self._read_note(tree_size)
        read = self._hash_reader()
        proofs = []
        for leaf_index in leaf_indices:
            if not 0 <= leaf_index < tree_size:
                raise UnknownLeaf(f"a log of {tree_size} leaves has no leaf {leaf_index}")
            hashes = inclusion_hashes(leaf_index, tree_size, read)
            proofs.append(
                InclusionProof(leaf_index=leaf_index, tree_size=tree_size, hashes=hashes, checkpoint=note)
            )
        return proofs

    def _read_note(self, tree_size: int) -> str:
        row = self._connection.execute(
            "SELECT note FROM checkpoints WHERE tree_size = ?", (tree_size,)
        ).fetchone()
        if row is None:
            raise UnknownCheckpoint(f"no checkpoint was signed over {tree_size} leaves")
        return str(row[0])

    def _read_consistency(self, first: int, second: int) -> list[bytes]:
        return consistency_hashes(first, second, self._hash_reader())

    def _hash_reader(self) -> Callable[[int], bytes]:
        """Reads the hash at a stored index, each once."""
        known: dict[int, bytes] = {}

        def read(stored_index: int) -> bytes:
            if stored_index not in known:
                query = "SELECT hash FROM hashes WHERE stored_index = ?"
                known[stored_index] = self._connection.execute(query, (stored_index,)).fetchone()[0]
            return known[stored_index]

        return read

    def _read_tile(self, tile: Tile | Bundle) -> bytes:
        if isinstance(tile, Bundle):
            first = tile.index * TILE_WIDTH
            query = (
                "SELECT envelope FROM entries WHERE leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index"
            )
            rows = self._connection.execute(query, (first, first + tile.width)).fetchall()
        else:
            places = ",".join("?" * tile.width)
            query = f"SELECT hash FROM hashes WHERE stored_index IN ({places}) ORDER BY stored_index"
            rows = self._connection.execute(query, tile.stored_indices()).fetchall()
        if len(rows) != tile.width:
            raise CorruptLog(f"a tile has {len(rows)} of its {tile.width} rows: {tile}")
        if isinstance(tile, Bundle):
            return encode_bundle(row[0] for row in rows)
        return b"".join(row[0] for row in rows)


def _house_draft(kind: str, body: JsonObject) -> Draft:
    return Draft(kind=kind, case_id=HOUSE_CASE, role="system", actor_id="system", session_id="", body=body)


def _lock(data_dir: Path) -> int:
    """Take the folder for this process; the lock goes with the process, however it ends."""
    create_folder(data_dir)
    descriptor = os.open(data_dir / "log.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise IllegalOpen(f"another process has the log in {data_dir} open") from None
    return descriptor
