"""Forgetting: what follows from an entry `erased`, in this process and on its disk.

    recordings written ──▶ entry, durable; bodies, salts and key gone ──▶ memory: search, uploads, playbacks
                                                                     ──▶ disk: files, webhooks.db, the WAL

All of it is done before the answer, unless a step fails or somebody (an audit, a backup) reads the log as it
was: then it is tried again until nothing is left, by the next process, too (the store has it noted).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.background import Background
from server.cases import Case
from server.errors import ErasedMeanwhile
from server.evidence.entry import Entry
from server.recordings import Recordings
from server.search import Search
from server.store.errors import OverloadedLog
from server.store.log import LogStore
from server.uploads import Uploads
from server.webhooks import Webhooks
from signaling.commands import Erase
from signaling.entries import Erased as ErasedBody
from signaling.values import Actor

RETRY_S = 10.0  # an audit takes minutes; what it costs to look is a millisecond
RECORDINGS_S = (
    20.0  # the last segments of a call are sealed within some seconds of its end, on a slow disk, too
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """`number` of the entry that says so, None if there was nothing left; `complete`: no old byte is left."""

    number: int | None
    complete: bool


@contextlib.asynccontextmanager
async def unless_erased(case: Case) -> AsyncIterator[None]:
    """Breaks off what is done inside, wherever it waits, once something of the case is erased: it holds in
    memory and in open files what is to be gone. Raises ErasedMeanwhile then.
    """
    async with contextlib.AsyncExitStack() as parts:
        limit = asyncio.timeout(None)

        def hear(entry: Entry) -> None:
            if entry.envelope.kind == ErasedBody.kind and limit.when() is None:
                limit.reschedule(0)

        case.listeners.add(hear)
        parts.callback(case.listeners.discard, hear)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise ErasedMeanwhile(
                "something of this case was erased while its package was on its way: ask for it again"
            ) from None


class Maker(Protocol):
    """Makes derived files of cases in the background."""

    async def settle(self, case_id: str) -> None:
        """Returns when no file of this case is being made that had been begun before."""


class Erasing:
    """Carries erasures out."""

    def __init__(
        self,
        *,
        log: LogStore,
        background: Background,
        recordings: Recordings,
        search: Search,
        uploads: Uploads,
        webhooks: Webhooks,
        makers: Sequence[Maker],
    ) -> None:
        self._log = log
        self._background = background
        self._recordings = recordings
        self._search = search
        self._uploads = uploads
        self._makers = makers
        self._webhooks = webhooks
        self._unfinished: set[str] = set()
        self._in_memory: set[str] = (
            set()
        )  # of these, that were erased whole, uploads and search may have known
        self._retried: set[str] = set()
        self._erasures = 0

    @property
    def erasures(self) -> int:
        """How many were carried out since the start."""
        return self._erasures

    @property
    def unfinished(self) -> int:
        """Of how many cases something may be left that was erased."""
        return len(self._unfinished)

    async def resume(self) -> None:
        """At the start: what an earlier process could not bring to its end is tried again from now on."""
        for case_id in await self._log.unfinished_erasures():
            self._unfinished.add(case_id)
            self._try_again(case_id, pause_s=0.0)

    async def erase(self, case: Case, command: Erase, actor: Actor) -> Erased:
        """Destroys what the command says. Raises what `decide` and the log raise, and OverloadedLog while
        recordings wait for the disk; then nothing is gone.
        """
        return await self._background.finish(self._erase(case, command, actor))

    async def _erase(self, case: Case, command: Erase, actor: Actor) -> Erased:
        if case.state.call is None:  # or else `decide` refuses, and there is no end to wait for
            await self._settle_recordings(case.case_id)
        decided = await case.handle(command, actor)
        if decided.number is not None:
            self._erasures += 1
        self._unfinished.add(case.case_id)
        if case.state.phase == "erased":
            self._in_memory.add(case.case_id)
        complete = await self._clean(case.case_id)
        if not complete and case.case_id not in self._retried:
            logger.warning(
                "of what was erased something is left on the disk; it is tried again until it is gone"
            )
            self._try_again(case.case_id, pause_s=RETRY_S)
        return Erased(number=decided.number, complete=complete)

    async def _settle_recordings(self, case_id: str) -> None:
        """What is sealed behind an erasure is not covered by it."""
        try:
            async with asyncio.timeout(RECORDINGS_S):
                await self._recordings.settle(case_id)
        except TimeoutError:
            raise OverloadedLog(
                "recordings of this case wait for the disk: erase it when they are written"
            ) from None

    async def _clean(self, case_id: str) -> bool:
        """Every step, whatever becomes of the others; whether nothing is left."""
        done = True
        if case_id in self._in_memory:
            self._search.forget(case_id)
            done = await self._attempt(case_id, self._uploads.forget(case_id))
        done = await self._attempt(case_id, self._forget_letters(case_id)) and done
        await self._log.finish_erasure(case_id)
        # What had been begun from the blobs that were still there may have been put beside them since.
        for maker in self._makers:
            done = await self._attempt(case_id, maker.settle(case_id)) and done
        done = await self._log.finish_erasure(case_id, is_last=done) and done
        if done:
            self._unfinished.discard(case_id)
            self._in_memory.discard(case_id)
        return done

    async def _forget_letters(self, case_id: str) -> None:
        await self._webhooks.forget(await self._log.erased_leaves(case_id))

    async def _attempt(self, case_id: str, step: Awaitable[None]) -> bool:
        try:
            await step
        except Exception:
            logger.exception("not everything that was erased of case %s could be removed", case_id)
            return False
        return True

    def _try_again(self, case_id: str, *, pause_s: float) -> None:
        self._retried.add(case_id)
        self._background.start(self._finish(case_id, pause_s=pause_s))

    async def _finish(self, case_id: str, *, pause_s: float) -> None:
        complete = False
        try:
            while not complete:
                await asyncio.sleep(pause_s)
                pause_s = RETRY_S
                complete = await self._clean(case_id)
        finally:
            self._retried.discard(case_id)
