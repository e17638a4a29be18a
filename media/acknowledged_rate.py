"""How fast packets arrive at the other end, by the clock there: what got through lately, in bits a second.

Fed with each feedback's sum, not with each packet. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Final

LONG_S = 0.5  # of arrivals: long enough that a keyframe is not taken for the rate (libwebrtc's window, too)
SHORT_S: Final = 0.15  # as soon as a rate means anything: two frames, seven packets of sound
LEAST_S: Final = 0.04  # a shorter stretch is one burst
PAUSE_S: Final = 2.0  # nothing arrived for so long: what was before says nothing any more


class AcknowledgedRate:
    """`long_bps` and `short_bps` are 0.0 as long as nothing is known."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self.last_arrived = 0.0  # told time alone
        self._untold_s = 0.0
        self.long_bps = 0.0
        self._window_bytes = 0  # what came after the oldest of the stretches
        self._stretches: deque[tuple[float, int]] = deque()  # (when it ended, what came in it)

    def handle_gap(self, first_arrived: float) -> None:
        """What arrived before this moment is not all known: the time until then does not count."""
        self._untold_s += max(first_arrived - self._untold_s - self.last_arrived, 0.0)

    def handle_arrivals(self, last_arrived: float, size_bytes: int) -> None:
        """So much arrived since what was told before, the last of it then."""
        stretches = self._stretches
        last_arrived -= self._untold_s
        self.total_bytes += size_bytes
        if not stretches or not -PAUSE_S < last_arrived - self.last_arrived < PAUSE_S:
            stretches.clear()
            stretches.append((last_arrived, 0))
            self._window_bytes = 0
            self.last_arrived = last_arrived
            return
        self._window_bytes += size_bytes
        if last_arrived <= self.last_arrived:
            end, before = stretches.pop()
            stretches.append((end, before + size_bytes))
            if len(stretches) == 1:
                self._window_bytes = 0  # the oldest counts as a moment alone
            return
        self.last_arrived = last_arrived
        stretches.append((last_arrived, size_bytes))
        while len(stretches) > 2 and last_arrived - stretches[1][0] >= LONG_S:
            stretches.popleft()
            self._window_bytes -= stretches[0][1]
        span = last_arrived - stretches[0][0]
        if span >= LEAST_S:
            self.long_bps = self._window_bytes * 8 / span

    def short_bps(self) -> float:
        """Over the last `SHORT_S`, or what there is of it."""
        size_bytes = 0
        for end, came in reversed(self._stretches):
            if self.last_arrived - end >= SHORT_S:
                return size_bytes * 8 / (self.last_arrived - end)
            size_bytes += came
        return self.long_bps
