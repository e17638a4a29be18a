"""When to ask the network for more than is sent, and what it answered: short bursts of padding.

A probe is a few packets at twice the target. If they arrive as fast as they were sent, the network carries so
much; if slower, the pace of their arrival is what it carries, and nine tenths of that are taken. A success is
followed by the next at once, a failure by a pause that doubles. A success that is followed by a cut was none:
a policer lets a short burst through.

A probe is short, since it queues: at twice what the network carries, half of its `PROBE_S` wait behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

PROBE_S = 0.04  # arrivals are told in 250 µs, frames come every 40 ms: less measures noise
BUSY_PROBE_S = 0.02  # beside what fills the network already it queues as a whole: 40 ms at twice the rate
MIN_PACKETS, MAX_PACKETS = 5, 40  # fewer measure nothing (libwebrtc: 5); more cost us
MIN_PACKET_BYTES, MAX_PACKET_BYTES = (
    60,
    300,
)  # headers alone; RTP padding is 255 bytes at most (RFC 3550 §5.1)
STEP = 2.0
LEAST_STEP = 1.15  # a probe for less than this more is not worth its packets

SUCCESS_PAUSE_S = 0.3  # behind the result of a success: what it queued shows by then
PAUSE_S, LONGEST_PAUSE_S = 1.5, 4.0  # behind a failure. At most 2 % of the rate goes into probes every 4 s
LONGEST_DISTRUST_S = 30.0  # behind successes that were none
DISPROVED_S = 4.0  # a cut so soon after a success says that it was none
RESULT_S = 1.0  # later than a round trip after it was sent: no result comes any more
LEAST_RECEIVED = 0.8  # of a probe's packets (libwebrtc's): else nothing is measured
SATURATED = 0.9  # arrives slower than this share of how it was sent: that is what the network carries
TAKEN = 0.9  # and so much of it is taken, to leave no queue
SETTLE_S = 0.3  # what a probe queued itself is gone by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """So many padding packets of this size on the wire, sent at this pace."""

    bitrate_bps: int
    packets: int
    packet_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What may be sent from now on, and what the network was shown to carry, if that is all it carries."""

    bitrate_bps: float
    carried_bps: float | None = None

    @property
    def is_saturated(self) -> bool:
        return self.carried_bps is not None


def probe_at(bitrate_bps: int, *, is_busy: bool = False) -> Probe:
    """As large as its time asks, within what a padding packet can be. Busy: the target is sent already."""
    size_bytes = bitrate_bps * (BUSY_PROBE_S if is_busy else PROBE_S) / 8
    packets = min(max(round(size_bytes / MAX_PACKET_BYTES), MIN_PACKETS), MAX_PACKETS)
    packet_bytes = min(max(round(size_bytes / packets), MIN_PACKET_BYTES), MAX_PACKET_BYTES)
    return Probe(bitrate_bps=bitrate_bps, packets=packets, packet_bytes=packet_bytes)


class Prober:
    """`due` is when the next probe may be asked for; who asks looks first whether one is wanted."""

    def __init__(self, now: float) -> None:
        self.due = now
        self._pause_s = PAUSE_S
        self._distrust_s = PAUSE_S
        self._succeeded = -inf
        self._first = self._last = -1
        self._sent = -inf
        self._wait_s = 0.0
        self._loud_until = -inf
        self.is_under_way = False

    @property
    def is_doubted(self) -> bool:
        """A success was none lately."""
        return self._distrust_s > 2 * PAUSE_S

    def has_just_raised(self, now: float) -> bool:
        """A success is so young that it may yet turn out to be none."""
        return now - self._succeeded < DISPROVED_S

    def is_loud(self, now: float) -> bool:
        """A probe is under way or just was: what queues now may be its own doing."""
        return self.is_under_way or now < self._loud_until

    def asked(self, now: float) -> None:
        """A probe was given out. If it is never sent, another is due later."""
        self.due = now + self._pause_s

    def handle_sent(self, first: int, last: int, round_trip_s: float, now: float) -> None:
        self._first, self._last = first, last
        self._sent = now
        self._wait_s = RESULT_S + round_trip_s
        self.is_under_way = True

    def postpone(self, until: float) -> None:
        """Not before then: the network is busy with something else."""
        self.due = max(self.due, until)

    def hasten(self, now: float) -> None:
        """There is reason to believe that the network carries more than it did."""
        self._pause_s = PAUSE_S
        if self._distrust_s <= PAUSE_S:
            self.due = min(self.due, now)

    def handle_cut(self, began: float, now: float) -> None:
        """The target was cut, for something that began then: too soon after a success, and it was none."""
        if began - self._succeeded < DISPROVED_S:
            self._succeeded = -inf
            self._distrust_s = min(self._distrust_s * 2, LONGEST_DISTRUST_S)
            self.postpone(now + self._distrust_s)
        elif now - self._succeeded > LONGEST_DISTRUST_S:
            self._distrust_s = PAUSE_S
        self.is_under_way = False

    def handle_feedback(
        self,
        highest: int,
        sent: Sequence[float],
        arrived: Sequence[float],
        sizes: Sequence[int],
        mask: int,
        inherent_loss: float,
        now: float,
    ) -> Outcome | None:
        """Once the last of a probe is acknowledged: what it shows. Sizes of what arrived are negative."""
        if highest < self._last and now - self._sent < self._wait_s:
            return None
        self.is_under_way = False
        self._loud_until = now + SETTLE_S
        outcome = self._measure(sent, arrived, sizes, mask, LEAST_RECEIVED * (1 - inherent_loss))
        if outcome is None or outcome.is_saturated:
            self.due = max(now + self._pause_s, self.due)
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        else:
            self._succeeded = now
            self._pause_s = PAUSE_S
            self.due = now + SUCCESS_PAUSE_S
        return outcome

    def _measure(
        self,
        sent: Sequence[float],
        arrived: Sequence[float],
        sizes: Sequence[int],
        mask: int,
        least_received: float,
    ) -> Outcome | None:
        """The slower of how it was sent and how it arrived, each without the packet that marks its end."""
        places = [number & mask for number in range(self._first, self._last + 1)]
        there = [place for place in places if sizes[place] < 0]
        if len(there) < max(least_received * len(places), 2):
            return None
        size_bytes = -sum(sizes[place] for place in there)
        began = min(there, key=lambda place: arrived[place])
        ended = max(there, key=lambda place: arrived[place])
        send_s = sent[there[-1]] - sent[there[0]]
        arrive_s = arrived[ended] - arrived[began]
        if send_s <= 0:
            return None
        sent_bps = (size_bytes + sizes[there[-1]]) * 8 / send_s
        arrived_bps = (size_bytes + sizes[began]) * 8 / arrive_s if arrive_s > 0 else inf
        if arrived_bps < SATURATED * sent_bps:
            return Outcome(bitrate_bps=TAKEN * arrived_bps, carried_bps=arrived_bps)
        return Outcome(bitrate_bps=min(sent_bps, arrived_bps))
