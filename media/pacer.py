"""What keeps a keyframe's burst from drowning the voice: a leaky bucket before one receiver's network.

All that is sent fills the bucket by its size, and the bucket leaks at `rate_bps`. While it holds no more than
`BURST_S` of that rate, the next item passes at once; otherwise items wait, first come first served. Sound is
never asked whether it may pass: it is booked, and pictures wait for it instead.

                 sound ── book ────────────────┐
                                               ▼
    pictures ── may_pass? ── yes ────────── bucket ── leaks at rate_bps
                    │ no                       ▲
                    └─ queue ── handle_timeout ┘

In the normal case the rate is well above what is sent, nothing ever waits, and the cost is one comparison.
Pure: items are opaque, and who drives it brings the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, Generic, TypeVar

T = TypeVar("T")

BURST_S = 0.01  # what may leave in one go: a timer of an event loop is no finer under load
MAX_DEBT_S = 0.5  # sound above the rate delays pictures so long, and not until it has all been paid for
MIN_RATE_BPS = 1_000  # a bucket that does not leak at all would never let anything pass
MAX_WAITING_BYTES = 1 << 19  # 2 s at 2 Mbit/s: a receiver who needs more than that needs another layer
ROUNDING_BYTES: Final = 0.01  # at 20 Mbit/s a float of monotonic seconds is exact to a thousandth of a byte


class Pacer(Generic[T]):
    """`rate_bps` may be set at any time; what waits goes at the new rate from the last input on."""

    def __init__(self, *, rate_bps: int) -> None:
        self.waiting_bytes = 0
        self._waiting: deque[tuple[T, int]] = deque()
        self._debt_bytes = 0.0  # what is in the bucket
        self._leaked = -inf  # until when it has leaked
        self.rate_bps = rate_bps

    @property
    def rate_bps(self) -> int:
        return self._rate_bps

    @rate_bps.setter
    def rate_bps(self, rate_bps: int) -> None:
        self._rate_bps = max(rate_bps, MIN_RATE_BPS)
        self._bytes_per_s = self._rate_bps / 8
        self._burst_bytes = self._bytes_per_s * BURST_S
        self._max_debt_bytes = self._bytes_per_s * MAX_DEBT_S

    @property
    def waiting_s(self) -> float:
        """How long the last of what waits would wait at the present rate, sound yet to come left out."""
        return self.waiting_bytes / self._bytes_per_s

    @property
    def next_deadline(self) -> float:
        """When the next of what waits may leave; inf when nothing waits."""
        if not self._waiting:
            return inf
        return self._leaked + max(self._debt_bytes - self._burst_bytes, 0.0) / self._bytes_per_s

    def may_pass(self, size_bytes: int, now: float) -> bool:
        """Whether nothing waits and there is room: then it counts as sent."""
        if self._waiting:
            return False
        debt = self._debt_bytes - (now - self._leaked) * self._bytes_per_s
        if debt > self._burst_bytes + ROUNDING_BYTES:
            return False
        self._debt_bytes = (debt if debt > 0.0 else 0.0) + size_bytes
        self._leaked = now
        return True

    def book(self, size_bytes: int, now: float) -> None:
        """Something was sent without asking: sound. What waits, waits longer."""
        self._leak(now)
        debt = self._debt_bytes
        if debt < self._max_debt_bytes:
            self._debt_bytes = min(debt + size_bytes, self._max_debt_bytes)

    def room_bytes(self, ahead_s: float, now: float) -> float:
        """How much may be booked until it takes so long to leak; 0 or less: nothing."""
        self._leak(now)
        return ahead_s * self._bytes_per_s - self._debt_bytes

    def forgive(self, most_bytes: int, now: float) -> None:
        """No more than this of what was sent is on the way still: the rest need not be waited for."""
        self._leak(now)
        self._debt_bytes = min(self._debt_bytes, float(most_bytes))

    def queue(self, item: T, size_bytes: int, now: float) -> bool:
        """Lets it wait behind what waits. False: `MAX_WAITING_BYTES` wait already, and it is dropped."""
        if self.waiting_bytes + size_bytes > MAX_WAITING_BYTES:
            return False
        self._leak(now)
        self._waiting.append((item, size_bytes))
        self.waiting_bytes += size_bytes
        return True

    def handle_timeout(self, now: float) -> list[T]:
        """Those whose time has come, in their order."""
        if not self._waiting:
            return []
        self._leak(now)
        passing: list[T] = []
        while self._waiting and self._debt_bytes <= self._burst_bytes + ROUNDING_BYTES:
            item, size_bytes = self._waiting.popleft()
            self.waiting_bytes -= size_bytes
            self._debt_bytes += size_bytes
            passing.append(item)
        return passing

    def forget(self, is_gone: Callable[[T], bool]) -> int:
        """Drops what waits and is gone, the rest in its order; how many."""
        kept = deque(one for one in self._waiting if not is_gone(one[0]))
        dropped = len(self._waiting) - len(kept)
        if dropped:
            self._waiting = kept
            self.waiting_bytes = sum(size_bytes for _, size_bytes in kept)
        return dropped

    def _leak(self, now: float) -> None:
        if now > self._leaked:
            debt = self._debt_bytes - (now - self._leaked) * self._bytes_per_s
            self._debt_bytes = debt if debt > 0.0 else 0.0
            self._leaked = now
