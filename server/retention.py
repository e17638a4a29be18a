"""Retention: the service erases by itself what the operator's rules say is over.

    each hour:  cases in the order of their opening ─▶ due_of(rules) ─▶ dry run: counted, told in the log
                                                                   └─▶ erase:   ended if it is open, erased

The first thing to do with new rules is to look at what they would take: the dry run is what the service does
unless it is told to erase, and `proofcall retain` lists the cases. What is held is kept, and counted.

The clock is trusted no further than some days beyond the newest entry of the log, as the log was a day ago or
at the start: what is written by a wrong clock is no witness of it before somebody could have mended it.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime

from server.cases import Cases
from server.erasing import Erasing
from server.retention_rules import QUIET, WANTED, Due, Rules, due_of, may_be_due, reason_of, trusted_now
from server.store.errors import StoreError
from server.store.log import LogStore
from signaling.commands import EndCase, Erase
from signaling.errors import IllegalStep, IllegalUnderHold, SignalingError
from signaling.values import SYSTEM, Actor, SessionId

FIRST_RUN_S = 60.0  # a service that has just started has better things to do
RUN_EVERY_S = 3_600.0  # rules count days
REMEMBERED_RUNS = 24  # a day: who sets a clock wrong, or a machine that has no time yet, is found out by then
CASES_A_PAGE = 50  # looked at in some milliseconds, between those who wait for the log
PAUSES = 3.0  # as many times as long as a page took: a quarter of one core

logger = logging.getLogger(__name__)


class Retention:
    """Looks each hour for what is over."""

    def __init__(
        self,
        *,
        rules: Rules,
        erases: bool,
        log: LogStore,
        cases: Cases,
        erasing: Erasing,
        new_id: Callable[[str], str],
        utc_now: Callable[[], datetime],
    ) -> None:
        self._rules = rules
        self._erases = erases
        self._log = log
        self._cases = cases
        self._erasing = erasing
        self._utc_now = utc_now
        self._actor = Actor(role="system", actor_id=SYSTEM, session_id=SessionId(new_id("s_")))
        self._found: Counter[str] = Counter()
        self._newest_at: deque[datetime] = deque(maxlen=REMEMBERED_RUNS)
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on, if there are rules."""
        if self._rules:
            self._running = asyncio.get_running_loop().create_task(self._run_for_ever(), name="retention")

    async def close(self) -> None:
        """What is being erased is erased."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    @property
    def found(self) -> Mapping[str, int]:
        """Cases of the last run by fate: erased, due (in a dry run), held, failed."""
        return self._found

    async def run(self) -> None:
        """Looks at all cases that are old enough, once."""
        found: Counter[str] = Counter({"erased": 0, "due": 0, "held": 0, "failed": 0})
        after_leaf, now_at = -1, await self._trusted_now()
        while True:
            began = time.monotonic()
            page = await self._log.aged_cases(
                after_leaf=after_leaf, limit=CASES_A_PAGE, quiet=QUIET, wanted=WANTED
            )
            for case in page:
                if (due := due_of(self._rules, case, now_at)) is not None:
                    found[await self._handle(due)] += 1
            if not page or not may_be_due(self._rules, page[-1].opened_at, now_at):
                break
            after_leaf = page[-1].first_leaf
            await asyncio.sleep(PAUSES * (time.monotonic() - began))
        self._found = found
        if found.total():
            told = ", ".join(f"{count} {fate}" for fate, count in found.items() if count)
            more = "" if self._erases else "; a dry run: `proofcall retain` lists them"
            logger.info("retention: %s%s", told, more)

    async def _trusted_now(self) -> datetime:
        if (newest_at := await self._log.newest_at()) is not None:
            self._newest_at.append(newest_at)
        now_at = self._utc_now()
        trusted_at = trusted_now(now_at, min(self._newest_at, default=None))
        if trusted_at < now_at:
            logger.warning(
                "retention counts until %s and not until %s: as far ahead of the log a clock is rather wrong",
                trusted_at.isoformat(timespec="seconds"),
                now_at.isoformat(timespec="seconds"),
            )
        return trusted_at

    async def _run_for_ever(self) -> None:
        await asyncio.sleep(FIRST_RUN_S)
        while True:
            try:
                await self.run()
            except Exception:
                logger.exception("retention broke off; it begins anew in an hour")
            await asyncio.sleep(RUN_EVERY_S)

    async def _handle(self, due: Due) -> str:
        if due.case.is_held:
            return "held"
        if not self._erases:
            return "due"
        try:
            await self._erase(due)
        except IllegalUnderHold:
            return "held"
        except IllegalStep:
            return "failed"  # a call has begun in it
        except (SignalingError, StoreError):
            logger.exception("case %s could not be erased; it is tried again in an hour", due.case.case_id)
            return "failed"
        return "erased"

    async def _erase(self, due: Due) -> None:
        case = await self._cases.get(due.case.case_id)
        if due.is_whole and case.state.phase == "open" and not case.state.holds and case.state.call is None:
            await case.handle(EndCase(), self._actor)
        reason = reason_of(self._rules, due)
        command = Erase(reason=reason, kinds=due.kinds, authenticated_by=None)
        await self._erasing.erase(case, command, self._actor)
