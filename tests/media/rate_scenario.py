"""Flows on one bottleneck as data, on virtual time: `Conditions`, `Send`, `Run`, `Check` in a list.

What we send is sound, 50 packets a second, and pictures, 25 a second, at the rate that the estimator allows,
paced; every few pictures is larger, as real ones are. The receiver answers with transport-wide feedback, over
a way back that has its own delay and loss. Beside it another of ours may run, or one that knows nothing but
loss (AIMD as in TCP Reno), or a policer may stand in the place of the queue.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import inf
from random import Random
from typing import Protocol

from media.bandwidth_estimator import BandwidthEstimator
from media.pacer import Pacer
from media.probing import Probe
from media.rtcp import TransportFeedback
from media.rtp import Ssrc
from tests.link import Conditions, Link

START = 5000.0
SOUND_S, SOUND_BYTES = 0.02, 110  # 44 kbit/s: 32 kbit/s of Opus and all the headers
PICTURE_S = 0.04
PACKET_BYTES = 1200
PACE = 2.0  # of the target
CLOCK_OFFSET_S = 1_073_000.0  # the receiver's clock is somewhere else
READ_S = 0.0004  # between two packets that a host reads of what it left lying
PICTURE_SIZES = (1.0, 0.8, 1.1, 0.9, 1.3, 0.7, 1.2, 1.0)  # of the mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Policer:
    """A token bucket: what is too much is dropped, nothing waits."""

    rate_bps: float
    burst_bytes: float = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a flow's feedback comes back, and how often it is sent."""

    delay_s: float = 0.04
    loss: float = 0.0
    feedback_s: float = 0.1


class Bottleneck:
    """The link that all flows share, and how long each of their packets waited for it."""

    def __init__(self, conditions: Conditions) -> None:
        self.link = Link(conditions, seed=1)
        self.policer: Policer | None = None
        self._tokens = 0.0
        self._filled = START
        self._free = START
        self.waits: list[tuple[float, float]] = []

    def handle(self, size_bytes: int, now: float) -> float | None:
        """When it comes out, if it does."""
        if self.policer is not None:
            self._tokens = min(
                self._tokens + (now - self._filled) * self.policer.rate_bps / 8, self.policer.burst_bytes
            )
            self._filled = now
            if self._tokens < size_bytes:
                return None
            self._tokens -= size_bytes
        rate_bps = self.link.conditions.rate_bps
        waited = max(self._free - now, 0.0)
        if rate_bps is not None and waited <= self.link.conditions.queue_s:
            self._free = max(self._free, now) + size_bytes * 8 / rate_bps
            self.waits.append((now, waited))
        deliveries = self.link.handle_datagram(bytes(size_bytes), now)
        return deliveries[0].deliver_at if deliveries else None


class Flow:
    """One of ours: a source that follows its estimator, and the receiver that answers."""

    def __init__(
        self, network: Network, *, start_bps: int, wanted_bps: int, way: Way, first_number: int
    ) -> None:
        self._network = network
        self._way = way
        self.estimator = BandwidthEstimator(start_bps=start_bps, now=network.now)
        self.estimator.wanted_bps = wanted_bps
        self.source_bps = inf  # what the source has, however much is allowed
        self.picture_s = PICTURE_S
        self.picture_bytes: int | None = None  # of each, however much is allowed
        self.pace = PACE
        self.sends_pictures = True
        self.answers = True
        self.stands_still_until = -inf  # the receiver's host: what comes lies there, and it answers nothing
        self._pacer = Pacer[int](rate_bps=round(PACE * start_bps))
        self._number = first_number
        self._random = Random(first_number)
        self._arrivals: list[tuple[int, float]] = []
        self._lying = 0
        self._told = first_number  # the first number that no feedback has spoken of yet
        self._feedback_count = 0
        self._pictures = count()
        self.targets: list[tuple[float, int]] = []
        self.delivered: list[tuple[float, int]] = []
        self.sent_packets = 0
        self.lost_packets = 0
        network.at(network.now, self._sound)
        network.at(network.now + 0.003, self._picture)
        network.at(network.now + way.feedback_s, self._feed_back)
        network.at(network.now, self._tick)

    def _transmit(self, size_bytes: int) -> int:
        now = self._network.now
        number, self._number = self._number, (self._number + 1) & 0xFFFF
        self.estimator.handle_sent(number, size_bytes, now)
        self.sent_packets += 1
        deliver_at = self._network.bottleneck.handle(size_bytes, now)
        if deliver_at is None:
            self.lost_packets += 1
        else:
            self._network.at(deliver_at, lambda: self._arrive(number, size_bytes))
        return number

    def _arrive(self, number: int, size_bytes: int) -> None:
        if self._network.now < self.stands_still_until:
            self._network.at(
                self.stands_still_until + READ_S * self._lying, lambda: self._arrive(number, size_bytes)
            )
            self._lying += 1
            return
        self._lying = 0
        self._arrivals.append((number, self._network.now))
        self.delivered.append((self._network.now, size_bytes))

    def _sound(self) -> None:
        self._pacer.book(SOUND_BYTES, self._network.now)
        self._transmit(SOUND_BYTES)
        self._network.at(self._network.now + SOUND_S, self._sound)

    def _picture(self) -> None:
        self._network.at(self._network.now + self.picture_s, self._picture)
        if not self.sends_pictures or self._pacer.waiting_s > 0.3:
            return
        rate_bps = min(self.estimator.target_bps, self.source_bps, self.estimator.wanted_bps)
        budget_bps = max(rate_bps - SOUND_BYTES * 8 / SOUND_S, 0)
        usual_bytes = round(budget_bps * self.picture_s / 8 * PICTURE_SIZES[next(self._pictures) % 8])
        size_bytes = usual_bytes if self.picture_bytes is None else self.picture_bytes
        while size_bytes >= 60:
            packet_bytes = min(size_bytes, PACKET_BYTES)
            size_bytes -= packet_bytes
            if self._pacer.may_pass(packet_bytes, self._network.now):
                self._transmit(packet_bytes)
            else:
                self._pacer.queue(packet_bytes, packet_bytes, self._network.now)

    def _tick(self) -> None:
        """What a driver does: paces, probes, and looks after deadlines."""
        now = self._network.now
        for packet_bytes in self._pacer.handle_timeout(now):
            self._transmit(packet_bytes)
        if self.estimator.next_deadline <= now:
            self.estimator.handle_timeout(now)
            assert self.estimator.next_deadline > now, "a deadline that stays would be met for ever"
            probe = self.estimator.next_probe(now)
            if probe is not None:
                self._probe(probe, probe.packets, None)
        self._pacer.rate_bps = round(self.pace * self.estimator.target_bps)
        self.targets.append((now, self.estimator.target_bps))
        self._network.at(now + 0.005, self._tick)

    def _probe(self, probe: Probe, left: int, first: int | None) -> None:
        number = self._transmit(probe.packet_bytes)
        self._pacer.book(probe.packet_bytes, self._network.now)
        first = number if first is None else first
        if left > 1:
            gap = probe.packet_bytes * 8 / probe.bitrate_bps
            self._network.at(self._network.now + gap, lambda: self._probe(probe, left - 1, first))
        else:
            sent = ((number - first) & 0xFFFF) + 1
            self.estimator.handle_probe_sent(probe, first, sent, self._network.now)

    def _feed_back(self) -> None:
        now = self._network.now
        if now < self.stands_still_until:
            self._network.at(self.stands_still_until + 3.5 * READ_S, self._feed_back)  # it is overdue
            return
        self._network.at(now + self._way.feedback_s, self._feed_back)
        if not self._arrivals or not self.answers:
            return
        arrived = dict(self._arrivals)
        self._arrivals = []
        ahead = max((number - self._told + 0x8000) & 0xFFFF for number in arrived) - 0x8000
        behind = min((number - self._told + 0x8000) & 0xFFFF for number in arrived) - 0x8000
        first = min(behind, 0)
        numbers = [(self._told + offset) & 0xFFFF for offset in range(first, ahead + 1)]
        times = [
            round((arrived[number] + CLOCK_OFFSET_S) / 0.00025) * 0.00025 if number in arrived else None
            for number in numbers
        ]
        self._told = (self._told + max(ahead + 1, 0)) & 0xFFFF
        feedback = TransportFeedback(
            ssrc=Ssrc(1),
            media_ssrc=Ssrc(2),
            feedback_count=self._feedback_count,
            first=numbers[0],
            arrivals=tuple(times),
        )
        self._feedback_count = (self._feedback_count + 1) & 0xFF
        if self._random.random() >= self._way.loss:
            self._network.at(
                now + self._way.delay_s,
                lambda: self.estimator.handle_feedback(feedback, self._network.now),
            )


class Reno:
    """A transfer that knows loss alone: a window, one packet more a round trip, half of it behind a loss."""

    def __init__(self, network: Network, back_s: float) -> None:
        self._network = network
        self._back_s = back_s
        self._window = 4.0
        self._in_flight = 0
        self._halved = -inf
        self._threshold = inf
        self._round_trip_s = 0.2
        self.delivered: list[tuple[float, int]] = []
        self._fill()

    def _fill(self) -> None:
        while self._in_flight < int(self._window):
            self._in_flight += 1
            now = self._network.now
            deliver_at = self._network.bottleneck.handle(PACKET_BYTES, now)
            if deliver_at is None:
                self._network.at(now + self._round_trip_s, self._lost)
            else:
                self._network.at(deliver_at + self._back_s, partial(self._acknowledge, now))

    def _acknowledge(self, sent: float) -> None:
        now = self._network.now
        self._in_flight -= 1
        self._round_trip_s = 0.8 * self._round_trip_s + 0.2 * (now - sent)
        self._window += 1.0 if self._window < self._threshold else 1 / self._window
        self.delivered.append((now - self._back_s, PACKET_BYTES))
        self._fill()

    def _lost(self) -> None:
        self._in_flight -= 1
        if self._network.now - self._halved > self._round_trip_s:
            self._halved = self._network.now
            self._window = self._threshold = max(self._window / 2, 2.0)
        self._fill()


@dataclass(slots=True)
class Network:
    """Time, the bottleneck and who sends through it."""

    bottleneck: Bottleneck = field(default_factory=lambda: Bottleneck(Conditions(delay_s=0.04)))
    now: float = START
    flows: dict[str, Flow] = field(default_factory=dict)
    renos: list[Reno] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = end

    def rate_bps(self, name: str = "ours", *, last_s: float) -> float:
        """What came through of a flow in the last seconds."""
        delivered = self.renos[0].delivered if name == "reno" else self.flows[name].delivered
        return sum(size for when, size in delivered if when >= self.now - last_s) * 8 / last_s

    def use(self, *, last_s: float) -> float:
        """Of the capacity, by all of ours together."""
        rate_bps = self.bottleneck.link.conditions.rate_bps
        assert rate_bps is not None
        return sum(self.rate_bps(name, last_s=last_s) for name in self.flows) / rate_bps

    def queue_s(self, share: float = 0.95, *, last_s: float) -> float:
        """How long packets waited in the last seconds, at this share of them."""
        waits = sorted(waited for when, waited in self.bottleneck.waits if when >= self.now - last_s)
        return waits[int(len(waits) * share)] if waits else 0.0

    def target(self, name: str = "ours") -> int:
        return self.flows[name].estimator.target_bps

    def mean_target(self, name: str = "ours", *, last_s: float) -> float:
        targets = [bps for when, bps in self.flows[name].targets if when >= self.now - last_s]
        return sum(targets) / len(targets)

    def least_target(self, name: str = "ours", *, last_s: float) -> int:
        return min(bps for when, bps in self.flows[name].targets if when >= self.now - last_s)

    def seconds_until(self, target_bps: float, name: str = "ours", *, since: str) -> float:
        """How long after a mark the target first was at least so much; inf if it never was."""
        mark = self.marks[since]
        return next(
            (when - mark for when, bps in self.flows[name].targets if when >= mark and bps >= target_bps), inf
        )


class Step(Protocol):
    def play(self, network: Network) -> None: ...


def play(*steps: Step) -> Network:
    network = Network()
    for step in steps:
        step.play(network)
    return network


@dataclass(frozen=True, slots=True)
class Shape:
    """From now on the bottleneck is like this."""

    conditions: Conditions
    policer: Policer | None = None
    mark: str = ""
    seed: int | None = None  # of another link; None: the one that is there

    def play(self, network: Network) -> None:
        if self.seed is not None:
            network.bottleneck.link = Link(self.conditions, seed=self.seed)
        network.bottleneck.link.conditions = self.conditions
        network.bottleneck.policer = self.policer
        network.marks[self.mark] = network.now


@dataclass(frozen=True, slots=True)
class Send:
    """A flow of ours begins."""

    name: str = "ours"
    start_bps: int = 600_000
    wanted_bps: int = 4_000_000
    way: Way = field(default_factory=Way)
    first_number: int = 65_000  # wraps soon

    def play(self, network: Network) -> None:
        network.flows[self.name] = Flow(
            network,
            start_bps=self.start_bps,
            wanted_bps=self.wanted_bps,
            way=self.way,
            first_number=self.first_number,
        )


@dataclass(frozen=True, slots=True)
class SendReno:
    """A transfer begins that knows loss alone."""

    back_s: float = 0.04

    def play(self, network: Network) -> None:
        network.renos.append(Reno(network, self.back_s))


@dataclass(frozen=True, slots=True)
class Do:
    """Something changes at an end of a flow."""

    what: Callable[[Network], None]

    def play(self, network: Network) -> None:
        self.what(network)


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float

    def play(self, network: Network) -> None:
        network.run(self.seconds)


@dataclass(frozen=True, slots=True)
class Check:
    claim: str
    holds: Callable[[Network], bool]

    def play(self, network: Network) -> None:
        assert self.holds(network), self.claim
