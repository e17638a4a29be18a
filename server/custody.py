"""Custody: who was shown what, and who tried what was not theirs, written down before it happens.

    about to show something ── RecordRead, RecordView, … ──> entry, durable ──> it is shown
    refused ── within the allowance of the case ──> entry `refused`, else counted

If the log cannot be written, the office has to wait: what QA sees is evidence of their work. Customer and
courier are shown what is theirs all the same, and it is counted.
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from media.allowance import Allowance
from server.cases import Case, Cases, Decided
from server.errors import UnknownThing
from server.principals import Principal, Refusal
from server.store.errors import StoreError
from signaling.commands import EndReading, Fact, RecordRead, RecordRefusal
from signaling.errors import SignalingError
from signaling.values import ActorId

REFUSALS_AT_ONCE = 10  # of one case, and of one person: a page that tries again with a link that has expired
REFUSALS_PER_S = 1 / 60
MAX_ALLOWANCES = 10_000  # cases and people whose refusals are remembered, some hundred bytes each

Fate = Literal["entered", "counted", "unauthenticated"]
logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Live:
    """The pages of one person that read live, and the last entry that was given to those that are gone."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pages: int = 0
    up_to: int = 0
    users: int = 0


class Custody:
    """Writes the entries of custody."""

    def __init__(self, *, cases: Cases) -> None:
        self._cases = cases
        self._live: dict[tuple[str, ActorId], _Live] = {}
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()
        self._refusals: Counter[Fate] = Counter({"entered": 0, "counted": 0, "unauthenticated": 0})
        self._unrecorded = 0
        self._failing = False

    @property
    def refusals(self) -> Mapping[Fate, int]:
        """Attempts that were refused: entered into the log, counted only, of nobody that we know."""
        return self._refusals

    @property
    def unrecorded(self) -> int:
        """How often something was shown though the log could not be written."""
        return self._unrecorded

    async def record(self, case: Case, principal: Principal, fact: Fact) -> Decided | None:
        """Writes that something is about to be shown. Raises StoreError, except for customer and courier."""
        try:
            decided = await case.handle(fact, principal.actor)
        except StoreError as error:
            if principal.actor.role not in ("customer", "courier"):
                raise
            self._unrecorded += 1
            if not self._failing:
                logger.error("people are shown what is theirs, but the log cannot say so", exc_info=error)
            self._failing = True
            return None
        self._failing = False
        return decided

    # --- pages that read live ---

    async def begin_reading(self, case: Case, principal: Principal, after: int) -> None:
        """A page is about to get the entries after `after`, and all that follow. Raises like `record`."""
        async with self._page(case, principal) as live:
            await self.record(
                case,
                principal,
                RecordRead(
                    after=after,
                    up_to=case.state.last_number,
                    live=True,
                    authenticated_by=principal.authenticated_by,
                ),
            )
            live.pages += 1

    async def end_reading(self, case: Case, principal: Principal, after: int, up_to: int) -> None:
        """That page is gone; `up_to` is the last entry that it was given."""
        async with self._page(case, principal) as live:
            live.pages -= 1
            live.up_to = max(live.up_to, up_to)
            if live.pages:
                return  # another page of theirs goes on reading
            if case.state.phase == "erased" and principal.actor.actor_id not in case.state.links:
                return  # what they read is gone, and who they were
            fact = EndReading(after=after, up_to=live.up_to, authenticated_by=principal.authenticated_by)
            try:
                await case.handle(fact, principal.actor)
            except (StoreError, SignalingError):
                # What they read is covered all the same: the entry at its beginning is still open.
                logger.exception("the end of a reading could not be written to the log")

    @asynccontextmanager
    async def _page(self, case: Case, principal: Principal) -> AsyncIterator[_Live]:
        key = (case.case_id, principal.actor.actor_id)
        live = self._live.setdefault(key, _Live())
        live.users += 1
        try:
            async with live.lock:
                yield live
        finally:
            live.users -= 1
            if not live.users and not live.pages:
                self._live.pop(key, None)

    # --- refusals ---

    def count_stranger(self) -> None:
        """Somebody came without a credential, or with one that is not ours."""
        self._refusals["unauthenticated"] += 1

    async def record_refusal(
        self, case_id: str | None, what: str, refusal: Refusal, principal: Principal
    ) -> None:
        """Somebody with a credential of ours was refused `what`, in a case or beside all of them."""
        fate: Fate = "counted"
        # Of the person first: ids of cases stand open in the log, and anybody may invent more.
        if case_id is not None and self._may_record(principal.actor.actor_id) and self._may_record(case_id):
            fact = RecordRefusal(
                what=what, reason=refusal.reason, authenticated_by=principal.authenticated_by
            )
            try:
                await (await self._cases.get(case_id)).handle(fact, principal.actor)
                fate = "entered"
            except UnknownThing:
                pass
            except (StoreError, SignalingError):
                logger.exception("a refusal could not be written to the log")
        self._refusals[fate] += 1

    def _may_record(self, key: str) -> bool:
        allowance = self._allowances.setdefault(
            key, Allowance(burst=REFUSALS_AT_ONCE, per_second=REFUSALS_PER_S)
        )
        self._allowances.move_to_end(key)
        if len(self._allowances) > MAX_ALLOWANCES:
            self._allowances.popitem(last=False)
        return allowance.take(1, time.monotonic()) == 1
