"""So much at once, and so much a second: what anybody may ask of the relay.

Pure. A token bucket whose tokens are counted when somebody takes, so that it costs nothing in between.
"""

from __future__ import annotations


class Allowance:
    """`burst` at once, then `per_second`."""

    __slots__ = ("_burst", "_counted_at", "_left", "_per_second")

    def __init__(self, *, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._counted_at = 0.0

    def take(self, wanted: int, now: float) -> int:
        """How many of those wanted are granted."""
        self._earn(now)
        granted = min(wanted, int(self._left))
        self._left -= granted
        return granted

    def take_all(self, wanted: int, now: float) -> bool:
        """Whether so many are granted at once; else none is."""
        self._earn(now)
        if wanted > self._left:
            return False
        self._left -= wanted
        return True

    def _earn(self, now: float) -> None:
        earned = max(0.0, now - self._counted_at) * self._per_second
        self._left = min(self._burst, self._left + earned)
        self._counted_at = now
