"""What a sender's network loses however little is sent: of that its browser need not be told. Pure.

libwebrtc's loss-based estimate lets pass 15 kbit/s for each part of loss beyond 5 %: of a network that loses
a fifth of anything it asks 100 kbit/s, though a fifth of 2 Mbit/s would be lost and repaired as well. Only
what more is lost when more is sent says that a network is too narrow.

- Told of everything a sender slows down by itself. What is still lost then, when it is quiet, is inherent.
- Where hardly more arrives when far more is sent, something on the way lets pass so much and drops the rest.
  All is told then, until the sender is quiet.
- Without a difference nothing new is known: what was believed holds, and never more than is lost.
"""

from __future__ import annotations

from collections import deque
from math import inf, sqrt
from typing import NamedTuple

WINDOW_S = 0.5  # long enough for a rate, short enough for a sender that slows down within a second
WINDOWS = 40  # 20 s: a sender that has slowed down and come back is within them
LATELY = 6  # windows: what is lost now
LEAST_PACKETS = 80  # in quiet windows: of fewer a fifth is as likely a tenth
QUIET = 0.7  # of the largest rate among them
MORE = 0.85  # of what arrives of that at the most: then sending more brought more
CHANCE = 2.0  # standard deviations by which less was lost of late by chance
LEAST = 0.06  # browsers bear as much without slowing down
MOST = 0.6  # with more a voice is lost, too: all beyond is told
CREDIT = 8.0  # losses: of those that come in a burst beyond it is told


class Window(NamedTuple):
    """Packets due, packets lost, and bytes that came."""

    expected: int
    lost: int
    size_bytes: int

    @property
    def sent_bytes(self) -> float:
        return self.size_bytes * self.expected / max(1, self.expected - self.lost)


class InherentLoss:
    """One sender's."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self._windows: deque[Window] = deque(maxlen=WINDOWS)
        self._until = inf
        self._expected = self._lost = self._bytes = 0
        self._credit = 0.0

    def handle_arrivals(self, expected: int, lost: int, size_bytes: int, now: float) -> None:
        """So many numbers were due since the last time, so many of them did not come, so many bytes did."""
        if self._until == inf:
            self._until = now + WINDOW_S
        self._expected += expected
        self._lost += lost
        self._bytes += size_bytes
        self._credit = min(self._credit + self.fraction * expected, CREDIT) if self.fraction else 0.0
        if now >= self._until:
            if now < self._until + WINDOW_S:  # else it was silent in between, and is no rate
                self._windows.append(Window(self._expected, self._lost, self._bytes))
                if self.fraction or any(window.lost for window in self._windows):
                    self._look()
            self._until, self._expected, self._lost, self._bytes = now + WINDOW_S, 0, 0, 0

    def _look(self) -> None:
        most = max(window.sent_bytes for window in self._windows)
        quiet = [window for window in self._windows if window.sent_bytes <= QUIET * most]
        if sum(window.expected for window in quiet) >= LEAST_PACKETS:
            loud = [window for window in self._windows if window.sent_bytes > QUIET * most]
            if _arrived(quiet) <= MORE * _arrived(loud):
                self.fraction = _loss(quiet)
            else:
                self.fraction = 0.0
        lately = list(self._windows)[-LATELY:]
        self.fraction = min(self.fraction, _loss(lately, deviations=CHANCE), MOST)
        if self.fraction < LEAST:
            self.fraction = 0.0

    def takes(self, lost: int) -> bool:
        """Whether these count as inherent: of them nobody is told."""
        if self._credit < lost:
            return False
        self._credit -= lost
        return True


def _arrived(windows: list[Window]) -> float:
    """Bytes a window."""
    return sum(window.size_bytes for window in windows) / len(windows)


def _loss(windows: list[Window], deviations: float = 0.0) -> float:
    """The share that was lost, and so many standard deviations of it."""
    expected = max(1, sum(window.expected for window in windows))
    share = sum(window.lost for window in windows) / expected
    return share + deviations * sqrt(share * (1 - share) / expected)
