"""When calls have something to do: one timer of the loop for all of them, or none while somebody looks often.

    hasten(at) ──> the loop's timer ─┬─ ring() ──> wake() of each whose time has come
       the port, read by the clock ──┘

Under load a timer for each call would wake the process more often than all their packets do.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from math import inf

from mypy_extensions import mypyc_attr

CLOCK_GRAIN_S = 0.002  # loops keep time in milliseconds: a deadline this near has come


@mypyc_attr(allow_interpreted_subclasses=True)
class Sleeper:
    """Somebody who is to be woken."""

    @property
    @abstractmethod
    def wakes_at(self) -> float:
        """Monotonic seconds; infinity where there is nothing to wait for."""

    @abstractmethod
    def wake(self, now: float) -> None:
        """The time has come. It may be some milliseconds ahead of the clock, never of `wakes_at`."""


class Alarms:
    """The sleepers of one event loop, looked over one and all: they are few, and most of them are awake."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sleepers: dict[Sleeper, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf
        self._is_looked_at = False

    def add(self, sleeper: Sleeper) -> None:
        """From now on they are woken."""
        self._sleepers[sleeper] = None
        self.hasten(sleeper.wakes_at)

    def remove(self, sleeper: Sleeper) -> None:
        """They are no more. Again: does nothing."""
        self._sleepers.pop(sleeper, None)

    def hasten(self, at: float) -> None:
        """Somebody wakes at that time now, which may be sooner than before."""
        if at < self._rings_at and not self._is_looked_at:
            if self._timer is not None:
                self._timer.cancel()
            self._rings_at = at
            self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._handle_timer)

    def look(self, is_looked_at: bool) -> None:
        """Whether somebody calls `ring` every few milliseconds from now on: then no timer is needed."""
        self._is_looked_at = is_looked_at
        if is_looked_at:
            self.close()
        else:
            self._set_timer()

    def ring(self) -> None:
        """Wakes everybody whose time has come. One's fault is the loop's affair, and no other's."""
        now = time.monotonic()
        for sleeper in list(self._sleepers):
            wakes_at = sleeper.wakes_at
            if wakes_at <= now + CLOCK_GRAIN_S and sleeper in self._sleepers:
                try:
                    sleeper.wake(max(now, wakes_at))
                except Exception as error:
                    self._loop.call_exception_handler(
                        {"message": "a call could not do what was due", "exception": error}
                    )

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = None, inf

    def _handle_timer(self) -> None:
        self._timer, self._rings_at = None, inf
        self.ring()
        self._set_timer()

    def _set_timer(self) -> None:
        self.hasten(min((sleeper.wakes_at for sleeper in self._sleepers), default=inf))
