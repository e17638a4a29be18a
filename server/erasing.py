"""Forgetting: what follows from an entry `erased`, in this process and on its disk.

    erase ──▶ entry, durable, and with it bodies, salts and key gone ──▶ memory: search, uploads, playbacks
                                                                    ──▶ disk: files, webhooks.db, the WAL

All of it is done before the answer, unless somebody (an audit, a backup) reads the log as it was: then the
last old bytes go as soon as they are done, or with the next start.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.background import Background
from server.cases import Case
from server.errors import ErasedMeanwhile
from server.evidence.entry import Entry
from server.search import Search
from server.store.log import LogStore
from server.uploads import Uploads
from server.webhooks import Webhooks
from signaling.commands import Erase
from signaling.entries import Erased as ErasedBody
from signaling.values import Actor

RETRY_S = 10.0  # an audit takes minutes; what it costs to look is a millisecond

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
        search: Search,
        uploads: Uploads,
        webhooks: Webhooks,
        makers: Sequence[Maker],
    ) -> None:
        self._log = log
        self._background = background
        self._search = search
        self._uploads = uploads
        self._makers = makers
        self._webhooks = webhooks
        self._unfinished: dict[str, asyncio.Task[None]] = {}
        self._erasures = 0

    @property
    def erasures(self) -> int:
        """How many were carried out since the start."""
        return self._erasures

    @property
    def unfinished(self) -> int:
        """Of how many cases old bytes are still on the disk."""
        return len(self._unfinished)

    async def erase(self, case: Case, command: Erase, actor: Actor) -> Erased:
        """Destroys what the command says. Raises what `decide` and the log raise; then nothing is gone."""
        return await self._background.finish(self._erase(case, command, actor))

    async def _erase(self, case: Case, command: Erase, actor: Actor) -> Erased:
        decided = await case.handle(command, actor)
        if decided.number is None:
            return Erased(number=None, complete=case.case_id not in self._unfinished)
        self._erasures += 1
        if case.state.phase == "erased":
            self._search.forget(case.case_id)
            await self._uploads.forget(case.case_id)
        await self._webhooks.forget(await self._log.erased_leaves(case.case_id))
        await self._log.finish_erasure(case.case_id)
        # What had been begun from the blobs that were still there may have been put beside them since.
        for maker in self._makers:
            await maker.settle(case.case_id)
        complete = await self._log.finish_erasure(case.case_id)
        if not complete and case.case_id not in self._unfinished:
            logger.warning("of what was erased old bytes are on the disk: somebody reads the log as it was")
            self._unfinished[case.case_id] = self._background.start(self._finish(case.case_id))
        return Erased(number=decided.number, complete=complete)

    async def _finish(self, case_id: str) -> None:
        try:
            complete = False
            while not complete:
                await asyncio.sleep(RETRY_S)
                complete = await self._log.finish_erasure(case_id)
        finally:
            del self._unfinished[case_id]
