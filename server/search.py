"""Search: fills the index with what the log holds and hears, and looks for words without holding anybody up.

    start ── the log, newest first, in steps with pauses ──┐
                                                           ├──> SearchIndex ──> hits ──> http/search.py
    every entry that is written from then on ──────────────┘

Until the oldest entry is in, answers say that they are not complete. Nothing of it lies on disk: the index is
made anew with each start, and `forget` takes a case out of it.
"""

import asyncio
import logging
import time

from server.cases import Case, Cases
from server.evidence.entry import Entry
from server.search_index import SEARCHABLE, Hit, Query, SearchIndex, document_of
from server.store.errors import StoreError
from server.store.log import LogStore

LEAVES_A_STEP = 128  # opened in two milliseconds at most: who reads the log waits no longer
PAUSES = 3.0  # as many times as long as a step took: a quarter of one core, a thousand entries in 0.1 s
RETRY_S = 30.0  # after the log could not be read
SLICE_S = 0.001  # of a search, until media and sockets have their turn
AT_ONCE = 2  # searches; who comes later waits for one of them
KINDS = frozenset(SEARCHABLE)

logger = logging.getLogger(__name__)


class Search:
    """All that people wrote and read in all cases, by its words."""

    def __init__(self, *, log: LogStore, cases: Cases) -> None:
        self._log = log
        self._index = SearchIndex()
        self._unread = log.size  # leaves before this one are yet to be read; what comes later is heard of
        self._known = log.size
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._filling: asyncio.Task[None] | None = None
        cases.observers.append(self._observe)

    def start(self) -> None:
        """Begins to read what the log holds."""
        self._filling = asyncio.get_running_loop().create_task(self._fill(), name="search index")

    async def close(self) -> None:
        """Reads no more."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)

    @property
    def complete(self) -> bool:
        """Whether the oldest entry is in the index."""
        return self._unread == 0

    @property
    def size(self) -> int:
        """How many entries can be found."""
        return len(self._index)

    def forget(self, case_id: str) -> None:
        """Nothing of this case is found any more."""
        self._index.forget(case_id)

    async def find(self, query: Query, limit: int) -> tuple[list[Hit], bool]:
        """The newest hits, at most `limit`, and whether there are more."""
        found: list[Hit] = []
        async with self._turns:
            began = time.monotonic()
            for hits in self._index.scan(query):
                found += hits
                if len(found) > limit:
                    break
                if time.monotonic() - began > SLICE_S:
                    await asyncio.sleep(0)
                    began = time.monotonic()
        return found[:limit], len(found) > limit

    def _observe(self, case: Case, entry: Entry) -> None:
        envelope = entry.envelope
        if entry.leaf_index < self._known:
            return  # it was there before, and is read
        document = document_of(entry.leaf_index, case.case_id, envelope.number, envelope.kind, entry.body)
        if document is not None:
            self._index.add([document])

    async def _fill(self) -> None:
        while self._unread:
            began = time.monotonic()
            first = max(0, self._unread - LEAVES_A_STEP)
            try:
                bodies = await self._log.bodies(KINDS, first=first, end=self._unread)
            except StoreError:
                logger.exception("the log could not be read for the search; it is tried again")
                await asyncio.sleep(RETRY_S)
                continue
            documents = [document_of(*body) for body in bodies]
            self._index.add([document for document in documents if document is not None])
            self._unread = first
            await asyncio.sleep(PAUSES * (time.monotonic() - began))
