"""The one owner of work that outlives the request that began it."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class Background:
    """Tasks with an owner: each is held, its failure logged, and all have ended when `close` returns."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Runs `work` to its end, whoever stops waiting for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Awaits `work`; a caller that is cancelled leaves it running, so that nothing stays half done."""
        return await asyncio.shield(self.start(work))

    async def close(self, *, grace_s: float) -> None:
        """Waits `grace_s` for what still runs, then cancels it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not hasattr(error, "code"):
            logger.error("work in the background failed", exc_info=error)
