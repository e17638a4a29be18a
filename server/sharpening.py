"""The driver of `Sharpness`: the cameras of every call in this process, and the clock that ends it."""

import asyncio
from collections.abc import Callable
from math import inf

from server.sharpness import Sharpness
from signaling.values import ActorId


class Sharpening:
    """`on_change` is told whose camera shall be sharp, or no more, and in which case."""

    def __init__(self, on_change: Callable[[str, ActorId], None]) -> None:
        self._on_change = on_change
        self._calls: dict[str, Sharpness] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def is_sharp(self, case_id: str, actor_id: ActorId) -> bool:
        return case_id in self._calls and actor_id in self._calls[case_id]

    def ask(self, case_id: str, asker: ActorId, of: ActorId) -> None:
        """Somebody wants detail of a camera."""
        sharpness = self._calls.setdefault(case_id, Sharpness())
        self._tell(case_id, [of] if sharpness.handle_ask(asker, of, _now()) else [])

    def need(self, case_id: str, of: ActorId) -> None:
        """A picture is being taken."""
        sharpness = self._calls.setdefault(case_id, Sharpness())
        self._tell(case_id, [of] if sharpness.handle_need(of, _now()) else [])

    def forget(self, case_id: str, actor_id: ActorId) -> None:
        """They have left the call."""
        if (sharpness := self._calls.get(case_id)) is not None:
            self._tell(case_id, [actor_id] if sharpness.forget(actor_id) else [])

    def _tell(self, case_id: str, changed: list[ActorId]) -> None:
        if (timer := self._timers.pop(case_id, None)) is not None:
            timer.cancel()
        deadline = self._calls[case_id].next_deadline
        if deadline == inf:
            del self._calls[case_id]  # who asked too often has been quiet since for longer than it takes
        else:
            self._timers[case_id] = asyncio.get_running_loop().call_at(deadline, self._end, case_id)
        for actor_id in changed:
            self._on_change(case_id, actor_id)

    def _end(self, case_id: str) -> None:
        self._tell(case_id, self._calls[case_id].handle_timeout(_now()))


def _now() -> float:
    return asyncio.get_running_loop().time()
