"""Everything that is sent to one receiver: counted, paced, and fitted to their network. Pure.

    sound    ───────────────────────────┐
    repairs  ───────────────────────────┼─> numbered, noted ──> out
    pictures ── pacer.py ───────────────┤           │
    probes   ── spread over their time ─┘           └─ their feedback ─> bandwidth_estimator.py
                                                                                │ less voice and repairs
                                                                         allocation.py: who is seen how well

Sound never waits, and counts: what it takes is not there for pictures. A receiver that gives no feedback is
sent everything at once, as nothing is known of their network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from media.allocation import Allocation, Choice, LayerRate
from media.allowance import Allowance
from media.bandwidth_estimator import CAP_BPS, RECEIVER_LIMIT_S, BandwidthEstimator
from media.encodings import UNLIMITED_BPS, Shown
from media.forwarder import NUMBER_AT, Forwarder, Part
from media.pacer import Pacer
from media.probing import Probe
from media.reception import Reception
from media.rtcp import TransportFeedback
from media.rtp import CSRC_COUNT, with_number

Copy = tuple[str, bytes, bytes, int]  # receiver, head, packet, start: what leaves is head + packet[start:]
# Whose, its source, the index in it, the packet, bytes on the wire, and whether newer ones came before it.
Waiting = tuple[Forwarder, Reception | None, int, Part, int, bool]

WIRE_OVERHEAD_BYTES: Final = 28 + 16  # IPv4, UDP and the tag of AES-GCM (RFC 7714 §8.1): what networks count
START_BPS = 1_000_000  # a fair mobile network; a keyframe of 20 kB leaves within 70 ms at the pace below
PACE = 2.5  # × the estimate: libwebrtc's own, as long as queues are not known to be short
CAREFUL_PACE = 1.05  # × the estimate, where the network has shown its end: a keyframe must not fill its queue
MIN_PACE_BPS = 40_000  # whatever the estimate: a still of the least encoding is through in two seconds
BUDGET_SHARE = 0.98  # of the estimate; encodings are ordered at a little less than their share
ASSUMED_VOICE_BPS = 57_000  # Opus at 32 kbit/s, fifty times a second with all headers
VOICE_WINDOW_S = 0.5
REDUNDANT_SHARE = 0.6  # of a packet of sound and its headers is the sound itself
VOICE_SHARE = 0.3  # of what the network carries, with redundancy
REPAIR_QUEUE_S = 0.05  # behind such a queue what is missed was dropped by it: repairs have a part of the pace
REPAIRS_S = 0.2  # of it: about what a queue holds, and two rounds in which the rest is asked for again
LONG_WAIT_S = 1.0  # what waits longer than this has become old: better a keyframe of what fits
USUAL_WAIT_S = 0.25  # so much waits behind every keyframe: no reason to cut an encoder
QUEUE_GONE_S = 2.0  # in which what waits beyond that is to leave beside what comes
TRIAL_BPS = 110_000  # voice and the least picture that moves, for whom nothing else is known of any more
REVIEW_S = 1.0  # how often a receiver who lacks nothing is looked at

# Moves that are taken for another way: somebody walks through a door and back, and a NAT forgets. Who sends
# from two addresses at once moves with each packet, which must not hide what is lost.
MOVES_AT_ONCE, MOVES_A_SECOND = 4, 0.5


class Downlink:
    """The way to one receiver."""

    __slots__ = (
        "_allocation",
        "_is_anyone_less",
        "_moves",
        "_number",
        "_probe_due",
        "_probe_first",
        "_probe_of",
        "_reviewed_at",
        "_trial_at",
        "_trial_bps",
        "_voice_bps",
        "_voice_bytes",
        "_voice_since",
        "choices",
        "estimator",
        "is_estimated",
        "is_numbered",
        "next_review",
        "pacer",
        "receiver_id",
    )

    def __init__(self, receiver_id: str, *, is_numbered: bool, start_bps: int, now: float) -> None:
        self.receiver_id = receiver_id
        self.is_numbered = is_numbered
        self.estimator = BandwidthEstimator(start_bps=start_bps, now=now)
        self.pacer: Pacer[Waiting] = Pacer(rate_bps=round(PACE * start_bps))
        self.choices: Mapping[str, Choice] = {}
        self._is_anyone_less = False  # than their best
        self.next_review = now
        self._reviewed_at = -inf
        self._allocation = Allocation()
        self._moves = Allowance(burst=MOVES_AT_ONCE, per_second=MOVES_A_SECOND)
        self.is_estimated = is_numbered  # or the receiver says by itself what it carries
        self._trial_bps = 0  # what a receiver that says nothing any more is sent, to find out
        self._trial_at = inf  # when to send more
        self._number = 0xFFFF
        self._voice_bps = ASSUMED_VOICE_BPS
        self._voice_bytes = 0
        self._voice_since = now
        self._probe_due: deque[float] = deque()  # when the rest of a probe leaves
        self._probe_of = Probe(bitrate_bps=0, packets=0, packet_bytes=0)
        self._probe_first = 0

    @property
    def next_deadline(self) -> float:
        """When `handle_timeout` has something to do."""
        probe = self._probe_due[0] if self._probe_due else inf
        sooner = min(self.pacer.next_deadline, self.estimator.next_deadline)
        return min(sooner, min(probe, self._trial_at))

    def send_sound(
        self, copies: list[Copy], forwarder: Forwarder, index: int, part: Part, now: float
    ) -> None:
        """At once."""
        size_bytes = len(part[0]) + len(part[1]) - part[2] + WIRE_OVERHEAD_BYTES
        self._voice_bytes += size_bytes
        self.pacer.book(size_bytes, now)
        self._leave(copies, forwarder, forwarder.source, index, part, size_bytes, now)

    def send_picture(
        self, copies: list[Copy], forwarder: Forwarder, index: int, part: Part, now: float
    ) -> bool:
        """At once, or when its turn comes: then True, and the deadlines may have come nearer."""
        size_bytes = len(part[0]) + len(part[1]) - part[2] + WIRE_OVERHEAD_BYTES
        if not self.is_estimated or self.pacer.may_pass(size_bytes, now):
            self._leave(copies, forwarder, forwarder.source, index, part, size_bytes, now)
            return False
        is_late = index < forwarder.highest_index
        waiting = (forwarder, forwarder.source, index, part, size_bytes, is_late)
        if not self.pacer.queue(waiting, size_bytes, now):
            # What waits is older than anybody wants to see: a keyframe of what fits is sooner there.
            self.drop(forwarder)
            forwarder.limit(forwarder.temporal_layers, stills=True)
            self.hurry_review(now, 0.0)
        return True

    def send_again(
        self, copies: list[Copy], forwarder: Forwarder, part: Part, now: float, *, is_new: bool
    ) -> None:
        """A repair, at once: it is late as it is. `is_new`: in a stream of its own, a packet more."""
        if is_new:
            size_bytes = len(part[0]) + len(part[1]) - part[2] + WIRE_OVERHEAD_BYTES
            self.pacer.book(size_bytes, now)
            self._leave(copies, forwarder, None, 0, part, size_bytes, now)
            return
        if forwarder.is_numbered:
            at = NUMBER_AT + 4 * (part[0][0] & CSRC_COUNT)
            self.estimator.handle_lost(int.from_bytes(part[0][at : at + 2]))
        self.send_twice(copies, part, now)

    def send_twice(self, copies: list[Copy], part: Part, now: float) -> None:
        """As it was, number and all: a receiver takes what comes of it for the first."""
        head, packet, start = part
        self.pacer.book(len(head) + len(packet) - start + WIRE_OVERHEAD_BYTES, now)
        copies.append((self.receiver_id, head, packet, start))

    def repair_room_bytes(self, now: float) -> float:
        """How much may go out again at once: all, as long as nothing queues; 0 or less: nothing."""
        if not self.is_estimated or self.estimator.queue_s < REPAIR_QUEUE_S:
            return inf
        return self.pacer.room_bytes(REPAIRS_S, now)

    def _leave(
        self,
        copies: list[Copy],
        forwarder: Forwarder,
        source: Reception | None,
        index: int,
        part: Part,
        size_bytes: int,
        now: float,
    ) -> None:
        """Out it goes. `source` is None for what comes again as another packet."""
        head, packet, start = part
        if forwarder.is_numbered:
            number = self._number = (self._number + 1) & 0xFFFF
            at = NUMBER_AT + 4 * (head[0] & CSRC_COUNT)
            head = with_number(head, at, number)
            self.estimator.handle_sent(number, size_bytes, now)
            if source is not None and forwarder.comes_again:
                forwarder.keep_head(source, (head, packet, start), index)
        copies.append((self.receiver_id, head, packet, start))

    def drop(self, forwarder: Forwarder) -> None:
        """What waits of a stream is not sent any more."""
        packets = size_bytes = 0
        first_number: int | None = None  # of what nothing newer has left before

        def is_gone(waiting: Waiting) -> bool:
            nonlocal packets, size_bytes, first_number
            owner, _, _, (head, _, _), waiting_bytes, is_late = waiting
            if owner is not forwarder:
                return False
            packets += 1
            size_bytes += waiting_bytes - WIRE_OVERHEAD_BYTES
            if first_number is None and not is_late:
                first_number = int.from_bytes(head[2:4])
            return True

        self.pacer.forget(is_gone)
        forwarder.forget_unsent(packets, size_bytes, first_number)

    def handle_timeout(self, now: float, padding: Sequence[Forwarder]) -> list[Copy]:
        """What is due: pictures that waited, and probes, in the stream of repairs of one of `padding`."""
        copies: list[Copy] = []
        if now >= min(self.estimator.next_deadline, self._trial_at):
            self.estimator.handle_timeout(now)
            if now >= self._trial_at:
                self._try_more(now)
            self._keep_pace()
        if now >= self.pacer.next_deadline:
            for forwarder, source, index, part, size_bytes, _ in self.pacer.handle_timeout(now):
                self._leave(copies, forwarder, source, index, part, size_bytes, now)
        self._probe(copies, padding, now)
        return copies

    def _try_more(self, now: float) -> None:
        """A receiver's own estimate is made of what comes: who was sent next to nothing, and says nothing any
        more, gets a little to judge by, then twice as much.
        """
        self._trial_at = now + RECEIVER_LIMIT_S
        self._trial_bps = min(CAP_BPS, max(TRIAL_BPS, 2 * self.carried_bps))
        self.hurry_review(now, 0.0)

    @property
    def carried_bps(self) -> int:
        """What the network is believed to carry, with all headers."""
        return max(self.estimator.target_bps, self._trial_bps)

    def _probe(self, copies: list[Copy], padding: Sequence[Forwarder], now: float) -> None:
        """A few packets of nothing, faster than what is sent: what comes of them tells what more would."""
        if not self.is_numbered or not padding:
            self._probe_due.clear()
            return
        if not self._probe_due:
            probe = self.estimator.next_probe(now)
            if probe is None:
                return
            apart_s = probe.packet_bytes * 8 / probe.bitrate_bps
            self._probe_due.extend(now + place * apart_s for place in range(probe.packets))
            self._probe_of, self._probe_first = probe, (self._number + 1) & 0xFFFF
        while self._probe_due and self._probe_due[0] <= now:
            self._probe_due.popleft()
            part = padding[0].padding(self._probe_of.packet_bytes)
            self.send_again(copies, padding[0], part, now, is_new=True)
            if not self._probe_due:
                count = (self._number + 1 - self._probe_first) & 0xFFFF
                self.estimator.handle_probe_sent(self._probe_of, self._probe_first, count, now)

    def handle_move(self, now: float) -> None:
        """The receiver has another address: what was under way to the old one may be lost."""
        if self._moves.take(1, now):
            self.estimator.handle_move(now)
            self._keep_pace()

    def handle_feedback(self, feedback: TransportFeedback, now: float) -> bool:
        """Whether the network has just been found to have collapsed: its queue is full of what was sent."""
        if not self.is_numbered:
            return False
        collapses = self.estimator.collapses
        self.estimator.handle_feedback(feedback, now)
        self._keep_pace()
        if self.estimator.collapses == collapses:
            return False
        # What did not fit into its queue was dropped there, and takes no time.
        self.pacer.forgive(round(self.estimator.cut_queue_s * self.estimator.target_bps / 8), now)
        return True

    def handle_receiver_limit(self, bitrate_bps: int, now: float) -> None:
        """The receiver's own estimate (REMB)."""
        self.is_estimated = True
        self._trial_at = inf if self.is_numbered else now + RECEIVER_LIMIT_S
        self._trial_bps = 0
        self.estimator.handle_receiver_limit(bitrate_bps, now)
        self._keep_pace()

    def handle_report(self, fraction_lost: float, round_trip_s: float, now: float) -> None:
        """What a receiver loses, where that is all they say beside their own estimate."""
        if self.is_estimated and not self.is_numbered:
            self.estimator.handle_report(fraction_lost, round_trip_s, now)
            self._keep_pace()

    def _keep_pace(self) -> None:
        estimator = self.estimator
        if estimator.is_suspicious:  # pictures can wait for a feedback, and the voice may need what is left
            self.pacer.rate_bps = MIN_PACE_BPS
            return
        factor = PACE if estimator.limit in ("start", "demand") else CAREFUL_PACE
        rate_bps = max(MIN_PACE_BPS, int(factor * self.carried_bps))
        if rate_bps != self.pacer.rate_bps:
            self.pacer.rate_bps = rate_bps

    def bears(self, redundancy: int) -> bool:
        """Whether sound may carry so many packets before it: where the network is narrow, what would repair
        its losses is what causes them.
        """
        if not self.is_estimated or redundancy == 0:
            return True
        more = 1 + redundancy * REDUNDANT_SHARE
        return ASSUMED_VOICE_BPS * more <= VOICE_SHARE * self.carried_bps

    @property
    def is_short(self) -> bool:
        """Whether the network carries less than there is to see."""
        return self.is_estimated and (
            self._is_anyone_less
            or self.carried_bps * BUDGET_SHARE < self._allocation.wanted_bps + self._voice_bps
            or self.pacer.waiting_s > LONG_WAIT_S
        )

    def hurry_review(self, now: float, interval_s: float) -> None:
        """Look again soon, but not sooner than that after the last time."""
        self.next_review = min(self.next_review, max(now, self._reviewed_at + interval_s))

    def choose(self, watched: Mapping[str, Sequence[LayerRate]], now: float) -> Mapping[str, Choice]:
        """How well each sender is seen from now on."""
        self.next_review = now + REVIEW_S
        self._reviewed_at = now
        if now - self._voice_since >= VOICE_WINDOW_S:
            self._voice_bps = round(self._voice_bytes * 8 / (now - self._voice_since))
            self._voice_bytes, self._voice_since = 0, now
        self.choices = self._allocation.handle_budget(self._budget_bps(), watched, now)
        self._is_anyone_less = any(choice.reason != "best" for choice in self.choices.values())
        self.estimator.wanted_bps = self._allocation.wanted_bps + self._voice_bps
        self.next_review = min(self.next_review, self._allocation.next_deadline)
        return self.choices

    def _budget_bps(self) -> int:
        """For pictures."""
        if not self.is_estimated:
            return UNLIMITED_BPS
        repairs = self.estimator.inherent_loss  # each packet of the network's own losses goes out again
        lasting_bps = max(self.estimator.lasting_bps, self._trial_bps)
        carried_bps = lasting_bps * BUDGET_SHARE * (1 - min(0.5, repairs))
        waiting_bits = max(0.0, self.pacer.waiting_bytes * 8 - USUAL_WAIT_S * carried_bps)
        return max(0, round(carried_bps - waiting_bits / QUEUE_GONE_S) - self._voice_bps)

    def share_bps(self, sender_id: str) -> int:
        """What this sender's picture may have here; as much as it likes, as long as nobody has looked."""
        return self._allocation.shares_bps.get(sender_id, UNLIMITED_BPS)

    def shown(self, sender_id: str) -> Shown:
        """What of it that has borne of late."""
        return self._allocation.shown.get(sender_id, "less")
