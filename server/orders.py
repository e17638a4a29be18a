"""The work orders of all open cases: what the desks have to rule, kept from entries as they come.

    entry ──> Orders.handle_entry ──> a row is new, changed or gone ──> Change, numbered ──> every feed

A feed holds no queue, only the number of the last change that it told. Whoever reads slowly, or comes back
after changes were forgotten, is told all rows anew. What was open before this process began is found again in
the log, the newest pieces first; until then the list says that it is not complete.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import Counter, deque
from dataclasses import dataclass

from server.background import Background
from server.cases import Case, Cases
from server.evidence.entry import Entry
from server.models import ExceptionRow
from server.store.errors import StoreError
from server.store.log import LogStore
from signaling.values import ActorId

REPORTED = "exception_reported"
MAX_ORDERS = 10_000  # of about 1 KiB each; a desk that has more of them open needs other help than a list
MAX_CHANGES = 1_000  # remembered: a page that was away for a minute resumes where it was
LOOK_BACK_LEAVES = 500_000  # a case has about a hundred entries: the newest 5,000 cases
LEAVES_A_TURN = 2_000  # about 2 ms of the log's reader
RETRY_S = 30.0  # after the log could not be read
PAUSE_S = 0.02  # between two turns: who waits for the log has it most of the time
logger = logging.getLogger(__name__)

Key = tuple[str, int]  # the case, and the entry that reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Row `key` is so now; None: it is closed, or its case has ended. Without a key: the list is complete."""

    key: Key | None
    row: ExceptionRow | None = None


class Orders:
    """Open work orders by the entry that reported them, and what became of them lately."""

    def __init__(self, *, cases: Cases, log: LogStore, background: Background) -> None:
        self.ended = False
        self.run = secrets.token_hex(4)  # changes of another process are numbered anew
        self.told = 0  # how many changes there were
        self._cases = cases
        self._log = log
        self._background = background
        self._rebuilt = False
        self._rows: dict[Key, ExceptionRow] = {}
        self._evicted: set[Key] = set()  # open, and not among the rows for want of room
        self._changes: deque[Change] = deque(maxlen=MAX_CHANGES)
        self._woken = asyncio.Event()
        self._ending = asyncio.Event()
        cases.observers.append(self.handle_entry)

    @property
    def complete(self) -> bool:
        """Whether all that are open are among the rows."""
        return self._rebuilt and not self._evicted

    @property
    def rows(self) -> list[ExceptionRow]:
        """All that are open, in the order in which they were reported."""
        return sorted(self._rows.values(), key=lambda row: row.leaf_index)

    def changes_after(self, number: int) -> list[tuple[int, Change]] | None:
        """The changes since, numbered; None if that is longer ago than is remembered."""
        first = self.told - len(self._changes)
        if not first <= number <= self.told:
            return None
        return [
            (first + place + 1, change)
            for place, change in enumerate(self._changes)
            if first + place >= number
        ]

    async def wait(self, number: int, timeout_s: float) -> None:
        """Until there is a change after that one, or the service stops, or time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self.told <= number and not self.ended:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._woken.wait()
            except TimeoutError:
                return

    def handle_entry(self, case: Case, entry: Entry) -> None:
        """An entry is on disk, and the state of its case knows it."""
        kind = entry.envelope.kind
        if kind == "case_ended":
            for key in [key for key in self._evicted if key[0] == case.case_id]:
                self._find(key)
            for key in [key for key in self._rows if key[0] == case.case_id]:
                self._remove(key)
        elif kind == "erased" and case.state.phase == "erased":
            self._forget(case.case_id)
        elif kind == REPORTED:
            self._put(case, entry)
        elif kind.startswith("exception_"):
            key = (case.case_id, int(str(entry.body["number"])))
            if key in self._rows:
                self._renew(case, key)
            elif key in self._evicted and case.state.exceptions.orders[key[1]].state == "closed":
                self._tell(Change(key=key))  # a page may have it from before
                self._find(key)
            elif not self.complete:
                self._background.start(self._read_case(case.case_id))

    async def rebuild(self) -> None:
        """At the start: finds what was open before, a piece of the log at a time."""
        last = self._log.size
        oldest = max(0, last - LOOK_BACK_LEAVES)
        seen: set[str] = set()
        unread: list[str] = []
        while last > oldest and not self.ended:
            first = max(oldest, last - LEAVES_A_TURN)
            try:
                found = await self._log.cases_with(frozenset({REPORTED}), first=first, end=last)
            except StoreError:
                logger.exception("the log could not be searched for work orders; it is tried again")
                await self._pause(RETRY_S)
                continue
            fresh = [case_id for case_id in found if case_id not in seen]
            seen.update(fresh)
            unread += await self._read_cases(fresh)
            last = first
            await self._pause(PAUSE_S)
        while unread and not self.ended:  # until then the list is not complete, and says so
            await self._pause(RETRY_S)
            unread = await self._read_cases(unread)
        if not self.ended:
            self._rebuilt = True
            self._tell_complete()

    async def _read_cases(self, case_ids: list[str]) -> list[str]:
        """Returns those that could not be read."""
        unread = []
        for case_id in case_ids:
            if self.ended:
                break
            try:
                await self._read_case(case_id)
            except Exception:
                logger.exception("the work orders of a case could not be read; it is tried again")
                unread.append(case_id)
        return unread

    async def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._ending.wait()

    def end(self) -> None:
        """The service stops: every feed ends."""
        self.ended = True
        self._ending.set()
        self._wake()

    async def _read_case(self, case_id: str) -> None:
        case = await self._cases.get(case_id)
        if case.state.phase != "open":
            return
        for number, order in tuple(case.state.exceptions.orders.items()):
            if order.state == "closed" or (case_id, number) in self._rows:
                continue
            for entry in await self._log.entries(case_id, after=number - 1, limit=1):
                self._put(case, entry)

    def _put(self, case: Case, entry: Entry) -> None:
        key = (case.case_id, entry.envelope.number)
        order = case.state.exceptions.orders[key[1]]
        if case.state.phase != "open" or order.state == "closed":
            return
        label = entry.body["label"]
        assert isinstance(label, dict)
        row = ExceptionRow(
            case_id=case.case_id,
            waybill=case.state.waybill,
            time_zone=case.state.time_zone,
            number=key[1],
            leaf_index=entry.leaf_index,
            exception=order.exception,
            label={str(tag): str(text) for tag, text in label.items()},
            state=order.state,
            due_at=order.due_at,
            overdue=order.overdue,
            taken_by=order.taken_by,
            taken_by_name=_name(case, order.taken_by),
            reported_by=case.state.links[order.reported_by].role,
            reported_at=entry.envelope.recorded_at,
        )
        self._rows[key] = row
        self._tell(Change(key=key, row=row))
        if len(self._rows) > MAX_ORDERS:
            self._evicted.discard(key)
            self._evict()
        else:
            self._find(key)

    def _renew(self, case: Case, key: Key) -> None:
        order = case.state.exceptions.orders[key[1]]
        if order.state == "closed":
            self._remove(key)
            return
        row = self._rows[key].model_copy(
            update={
                "state": order.state,
                "overdue": order.overdue,
                "taken_by": order.taken_by,
                "taken_by_name": _name(case, order.taken_by),
            }
        )
        if row != self._rows[key]:
            self._rows[key] = row
            self._tell(Change(key=key, row=row))

    def _remove(self, key: Key) -> None:
        del self._rows[key]
        self._tell(Change(key=key))
        if self._evicted and len(self._rows) < MAX_ORDERS and not self.ended:  # one finds room again
            case_id, _ = next(iter(self._evicted))
            self._background.start(self._read_case(case_id))

    def _forget(self, case_id: str) -> None:
        """Of a case that was erased nobody is told, who comes back, what its rows were."""
        for place, change in enumerate(self._changes):
            if change.key is not None and change.key[0] == case_id:
                self._changes[place] = Change(key=change.key)

    def _evict(self) -> None:
        """Makes room at the cost of the case that has most, whose oldest goes. It stays open: no change."""
        ((case_id, _),) = Counter(key[0] for key in self._rows).most_common(1)
        oldest = min(key for key in self._rows if key[0] == case_id)
        del self._rows[oldest]
        self._evicted.add(oldest)

    def _find(self, key: Key) -> None:
        """What was evicted is among the rows again, or open no more."""
        if key in self._evicted:
            self._evicted.discard(key)
            self._tell_complete()

    def _tell_complete(self) -> None:
        if self.complete:
            self._tell(Change(key=None))

    def _tell(self, change: Change) -> None:
        self._changes.append(change)
        self.told += 1
        self._wake()

    def _wake(self) -> None:
        woken, self._woken = self._woken, asyncio.Event()
        woken.set()


def _name(case: Case, actor_id: ActorId | None) -> str | None:
    link = None if actor_id is None else case.state.links.get(actor_id)
    return None if link is None else link.name
