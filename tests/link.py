"""A link as data: what a network does to datagrams, on virtual time and from a seed.

One `Link` is one direction. What happens to a datagram, in this order:

    handed in ─ queue (tail drop) ─ wire (rate) ─ loss ─ delay + jitter ─ delivered, in order
                                                                        └ or overtaken (reordering)

A lost datagram was on the wire: it has taken its share of the rate. Loss is either independent from datagram
to datagram or comes in bursts (Gilbert's two states: in the bad one everything is lost). Pure: who drives it
brings the time and keeps what is under way.
"""

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

OVERTAKEN_S = 0.02  # so much later comes a datagram that others overtake: one or two of video's, one of sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """One direction of a network. The defaults are a perfect one.

    `mean_burst` is the mean length of a run of lost datagrams (counted in datagrams, not in time); without it
    each is lost or not by itself, which gives runs of 1 / (1 - loss). `jitter_s` is added evenly between
    nothing and all of it, and never changes the order; `reordering` is the fraction of those that others
    overtake. `rate_bps` counts what UDP carries, without headers; a datagram that would wait longer than
    `queue_s` for the wire is dropped.
    """

    loss: float = 0.0
    mean_burst: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: float | None = None
    queue_s: float = 0.2
    reordering: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1 or not 0 <= self.reordering <= 1:
            raise ValueError("loss and reordering are fractions")
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
    """What a link has done so far."""

    carried_datagrams: int = 0
    carried_bytes: int = 0
    dropped_datagrams: int = 0
    dropped_bytes: int = 0

    @property
    def offered_bytes(self) -> int:
        """What was handed in, whatever became of it."""
        return self.carried_bytes + self.dropped_bytes


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
            sent = self._wire_free = starts + len(datagram) * 8 / conditions.rate_bps
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
