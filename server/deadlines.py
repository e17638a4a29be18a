"""What nobody answers: gives each case its `Elapse` when something in it has waited long enough.

    entry ──> next_deadline of its case ──> heap of (time, case) ──> due ──> the case, loaded anew ──> Elapse

The times are those of the wall clock, because they stand in the log; it is looked at again at least every
`LOOK_EVERY_S`, so that a clock which is set moves the deadlines with it. Nothing is kept on disk: after a
start the log of the last days tells which cases wait.
"""

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from server.cases import Case, Cases
from server.errors import UnknownThing
from server.evidence.entry import Entry
from server.store.log import LogStore
from signaling.case import WAITING
from signaling.commands import Elapse
from signaling.values import SYSTEM, Actor, SessionId
from signaling.wording import MAX_WAIT_S

LOOK_EVERY_S = 10.0  # how late the change of a wall clock may be noticed; nobody counts seconds of a notice
AT_ONCE = 32  # cases whose time has come are written together: they share the disk's commits
RETRY_S = 30.0  # a case that could not be read or written; doubled with each failure
MAX_RETRY_S = 3_600.0
# A notice is repeated, and after as long again given up. What was due while the service ran, it has written:
# the last days before the newest entry are enough, however long it has stood still since.
LOOK_BACK = timedelta(seconds=2 * MAX_WAIT_S)
LEAVES_A_LOOK = 2_000  # some milliseconds of the reader's thread, between those who wait for it
STALE = 64  # entries of the heap that are no more valid, before it is made anew

logger = logging.getLogger(__name__)


class Deadlines:
    """The clock of all cases, also of those that are not in memory."""

    def __init__(
        self,
        *,
        log: LogStore,
        cases: Cases,
        new_id: Callable[[str], str],
        utc_now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._cases = cases
        self._utc_now = utc_now
        self._actor = Actor(role="system", actor_id=SYSTEM, session_id=SessionId(new_id("s_")))
        self._due: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []  # holds those of `_due`, and some that are no more valid
        self._failures: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        cases.observers.append(self._observe)

    def start(self) -> None:
        """From now on time passes; what the log knows of is found in the background."""
        self._running = asyncio.get_running_loop().create_task(self._run(), name="deadlines")

    async def close(self) -> None:
        """Time stands still. What is being written is written."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """How many cases wait for something."""
        return len(self._due)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_back())
            tasks.create_task(self._keep_time())

    def _observe(self, case: Case, _: Entry) -> None:
        self._schedule(case.case_id, case.state.next_deadline)

    def _schedule(self, case_id: str, due_at: datetime | None) -> None:
        if due_at == self._due.get(case_id):
            return
        if due_at is None:
            del self._due[case_id]  # its place in the heap is passed over
            return
        self._due[case_id] = due_at
        if len(self._heap) > 2 * len(self._due) + STALE:
            self._heap = [(at, other) for other, at in self._due.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (due_at, case_id))
        self._woken.set()

    async def _keep_time(self) -> None:
        while True:
            if due := self._take_due():
                await asyncio.gather(*(self._elapse(case_id) for case_id in due))
                continue
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._woken.wait()

    def _pause_s(self) -> float:
        if not self._heap:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(0.0, (self._heap[0][0] - self._utc_now()).total_seconds()))

    def _take_due(self) -> list[str]:
        """Cases whose time has come, each once; until they are scheduled anew, nobody waits for them."""
        now_at, due = self._utc_now(), list[str]()
        while self._heap and self._heap[0][0] <= now_at and len(due) < AT_ONCE:
            due_at, case_id = heapq.heappop(self._heap)
            if self._due.get(case_id) == due_at:
                del self._due[case_id]
                due.append(case_id)
        return due

    async def _elapse(self, case_id: str) -> None:
        try:
            case = await self._cases.get(case_id)
            decided = await case.handle(Elapse(), self._actor) if self._is_due(case) else None
        except UnknownThing:
            return
        except Exception as error:  # one case's fault must not keep the others waiting
            self._put_off(case_id, str(error))
            return
        # Another deadline may have passed while this one was written: that is no failure, and due at once.
        if decided is not None and decided.number is None and self._is_due(case):
            self._put_off(case_id, "nothing came of it")  # against all rules: not again at once, and for ever
            return
        self._failures.pop(case_id, None)
        self._schedule(case_id, case.state.next_deadline)

    def _is_due(self, case: Case) -> bool:
        deadline = case.state.next_deadline
        return deadline is not None and deadline <= self._utc_now()

    def _put_off(self, case_id: str, reason: str) -> None:
        failures = self._failures[case_id] = self._failures.get(case_id, 0) + 1
        delay_s = min(MAX_RETRY_S, RETRY_S * 2.0 ** min(failures - 1, 16))
        logger.error("what waits in case %s is looked at again in %.0f s: %s", case_id, delay_s, reason)
        self._schedule(case_id, self._utc_now() + timedelta(seconds=delay_s))

    # --- after a start ---

    async def _look_back(self) -> None:
        """Finds the cases that wait: what the log holds by now; what comes later is observed."""
        end, seen = self._log.size, set[str]()
        while True:
            try:
                for first in range(await self._log.first_within(LOOK_BACK), end, LEAVES_A_LOOK):
                    found = await self._log.cases_with(
                        WAITING, first=first, end=min(end, first + LEAVES_A_LOOK)
                    )
                    for case_id in found:
                        if case_id not in seen:
                            await self._look_at(case_id)
                            seen.add(case_id)
                return
            except Exception:  # whatever it is, time goes on for those that are known
                logger.exception("the log could not be searched for what waits; it is tried again")
                await asyncio.sleep(RETRY_S)

    async def _look_at(self, case_id: str) -> None:
        """Schedules one case, and pauses for as long as that took."""
        began = time.monotonic()
        try:
            case = await self._cases.get(case_id)
        except Exception as error:
            self._put_off(case_id, str(error))
        else:
            self._schedule(case_id, case.state.next_deadline)
        await asyncio.sleep(time.monotonic() - began)
