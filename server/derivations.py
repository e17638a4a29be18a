"""Derived files that are made when somebody first asks, and kept; who asks meanwhile waits for the same."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from server.background import Background
from server.store.derived import DerivedStore
from server.store.errors import CorruptBlob

Result = TypeVar("Result")


class Derivations:
    """Finds derived files, or has them made."""

    def __init__(self, *, derived: DerivedStore, background: Background) -> None:
        self._derived = derived
        self._background = background
        self._making: dict[tuple[str, str], asyncio.Task[bytes]] = {}
        self._begun: dict[asyncio.Task[Any], str] = {}  # what makes several files, and the case of each

    async def kept(self, case_id: str, name: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The file of this name, made if need be; its making goes on if who asked goes away."""
        key = (case_id, name)
        if key not in self._making:
            self._making[key] = self._background.start(self._find_or_make(case_id, name, make))
            self._making[key].add_done_callback(lambda _: self._making.pop(key))
        return await asyncio.shield(self._making[key])

    def begin(self, case_id: str, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Runs work that puts files of a case to its end, whoever stops waiting for it."""
        task = self._background.start(work)
        self._begun[task] = case_id
        task.add_done_callback(self._begun.pop)
        return task

    async def settle(self, case_id: str) -> None:
        """Returns when no file of this case is being made that had been begun before."""
        making: list[asyncio.Task[Any]] = [
            task for (owner, _), task in self._making.items() if owner == case_id
        ]
        making += [task for task, owner in self._begun.items() if owner == case_id]
        await asyncio.gather(*making, return_exceptions=True)

    async def _find_or_make(self, case_id: str, name: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        reader = await self._derived.open(case_id, name)
        if reader is not None:
            try:
                return await reader.read(0, reader.size_bytes)
            except CorruptBlob:
                await self._derived.discard(case_id, name)
            finally:
                reader.close()
        data = await make()
        (await self._derived.put(case_id, name, io.BytesIO(data))).close()
        return data
