"""A link as data: what a network does to datagrams, on virtual time and from a seed.

One `Link` is one direction. What happens to a datagram, in this order:

    handed in ─ queue (tail drop) ─ wire (rate) ─ loss ─ delay + jitter ─ delivered, in order
                                                                        └ or overtaken (reordering)

A lost datagram was on the wire: it has taken its share of the rate. Loss is either independent from datagram
to datagram or comes in bursts (Gilbert's two states: in the bad one everything is lost). Pure: who drives it
brings the time and keeps what is under way.
"""

import math
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from random import Random
from typing import NamedTuple

IP_AND_UDP_BYTES = 28  # of headers that a network carries, and counts, with each datagram over IPv4
OVERTAKEN_S = 0.02  # so much later comes a datagram that others overtake: one or two of video's, one of sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """One direction of a network. The defaults are a perfect one.

    `mean_burst` is the mean length of a run of lost datagrams (counted in datagrams, not in time); without it
    each is lost or not by itself, which gives runs of 1 / (1 - loss). `jitter_s` is added evenly between
    nothing and all of it, and never changes the order; `reordering` is the fraction of those that others
    overtake. `rate_bps` counts what UDP carries and `overhead_bytes` of headers with each datagram; one that
    would wait longer than `queue_s` for the wire is dropped.
    """

    loss: float = 0.0
    mean_burst: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: float | None = None
    overhead_bytes: int = 0
    queue_s: float = 0.2
    reordering: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1 or not 0 <= self.reordering <= 1:
            raise ValueError("loss and reordering are fractions")
        if self.rate_bps is not None and self.rate_bps <= 0:
            raise ValueError("a link of no rate carries nothing: let it lose everything")
        if self.mean_burst is not None and self.enter_burst > 1:
            raise ValueError(f"bursts of {self.mean_burst} are too short for a loss of {self.loss}")

    @property
    def enter_burst(self) -> float:
        """Gilbert's probability of good → bad: bad takes `loss` of all, and is left after `mean_burst`."""
        if self.mean_burst is None or self.loss == 1:
            return self.loss
        return self.loss / (self.mean_burst * (1 - self.loss))


class Delivery(NamedTuple):
    """A datagram, and when it comes out."""

    deliver_at: float
    datagram: bytes


@dataclass(slots=True)
class Counters:
    """What a link has done so far.

    `wire_bytes` and `waits_ms` are of the datagrams that had the wire of a link with a rate, lost afterwards
    or not: the bytes with their overhead, and how many of them waited in the queue for 0, 1, 2, … whole
    milliseconds.
    """

    carried_datagrams: int = 0
    carried_bytes: int = 0
    dropped_datagrams: int = 0
    dropped_bytes: int = 0
    wire_bytes: int = 0
    waits_ms: list[int] = field(default_factory=list)

    @property
    def offered_bytes(self) -> int:
        """What was handed in, whatever became of it."""
        return self.carried_bytes + self.dropped_bytes

    def since(self, earlier: "Counters") -> "Counters":
        """What the link has done since then."""
        return Counters(
            carried_datagrams=self.carried_datagrams - earlier.carried_datagrams,
            carried_bytes=self.carried_bytes - earlier.carried_bytes,
            dropped_datagrams=self.dropped_datagrams - earlier.dropped_datagrams,
            dropped_bytes=self.dropped_bytes - earlier.dropped_bytes,
            wire_bytes=self.wire_bytes - earlier.wire_bytes,
            waits_ms=[
                now - before for now, before in zip_longest(self.waits_ms, earlier.waits_ms, fillvalue=0)
            ],
        )

    def wait_ms(self, percent: float) -> int:
        """So long, in whole milliseconds, at least `percent` % waited at most; 0 if nothing had the wire."""
        needed = max(1, math.ceil(sum(self.waits_ms) * percent / 100))
        for waited_ms, reached in enumerate(accumulate(self.waits_ms)):
            if reached >= needed:
                return waited_ms
        return 0

    def note_wait(self, wait_s: float) -> None:
        waited_ms = int(wait_s * 1_000)
        self.waits_ms.extend([0] * (waited_ms + 1 - len(self.waits_ms)))
        self.waits_ms[waited_ms] += 1


class Link:
    """One direction of a network. `conditions` may change at any time; what is under way stays as it is."""

    def __init__(self, conditions: Conditions, *, seed: int) -> None:
        self.conditions = conditions
        self.counters = Counters()
        self._random = Random(seed)
        self._in_burst = False
        self._wire_free = 0.0
        self._last = 0.0  # the latest delivery so far

    def handle_datagram(self, datagram: bytes, now: float) -> list[Delivery]:
        """When it comes out, if it does. `now` must not run backwards."""
        conditions = self.conditions
        sent = now
        if conditions.rate_bps is not None:
            starts = max(now, self._wire_free)
            if starts - now > conditions.queue_s:
                return self._drop(datagram)
            size_bytes = len(datagram) + conditions.overhead_bytes
            sent = self._wire_free = starts + size_bytes * 8 / conditions.rate_bps
            self.counters.wire_bytes += size_bytes
            self.counters.note_wait(starts - now)
        if self._is_lost():
            return self._drop(datagram)
        deliver_at = sent + conditions.delay_s
        if conditions.jitter_s:
            deliver_at += self._random.uniform(0, conditions.jitter_s)
        if conditions.reordering and self._random.random() < conditions.reordering:
            deliver_at = max(deliver_at, self._last) + OVERTAKEN_S
        else:
            deliver_at = self._last = max(deliver_at, self._last)
        self.counters.carried_datagrams += 1
        self.counters.carried_bytes += len(datagram)
        return [Delivery(deliver_at, datagram)]

    def _is_lost(self) -> bool:
        conditions = self.conditions
        if not conditions.loss:
            self._in_burst = False
        elif conditions.mean_burst is None:
            self._in_burst = self._random.random() < conditions.loss
        elif self._in_burst:
            self._in_burst = self._random.random() >= 1 / conditions.mean_burst
        else:
            self._in_burst = self._random.random() < conditions.enter_burst
        return self._in_burst

    def _drop(self, datagram: bytes) -> list[Delivery]:
        self.counters.dropped_datagrams += 1
        self.counters.dropped_bytes += len(datagram)
        return []
