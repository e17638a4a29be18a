"""How much one receiver's network carries: congestion control for what we forward to them.

Follows Google Congestion Control (draft-ietf-rmcat-gcc-02), as libwebrtc runs it on transport-wide feedback:
queues that grow (delay_detector.py), additive and multiplicative increase, decrease to 0.85 of what arrives,
a bound by loss (loss_bound.py), and probes by padding (probing.py). It serves RFC 8836's requirements and was
held against the cases of RFC 8867, and differs from the draft on purpose where a forwarder needs it:

- A slope without a queue is noise: over-use counts only if even the quickest packet of late waited, on a slow
  link for longer than half a packet takes. The draft lets Wi-Fi's jitter cut; what we send is mostly less
  than the network carries, and a cut costs a layer.
- A queue that stands without growing is answered, too, unless it stays although we gave way twice: then
  others fill it, and only its growth counts for a while, as in the draft (RFC 8836 §2.1: no standing queue;
  §2.4: no starvation beside loss-based flows).
- A cut drains the queue at 0.85 and measures meanwhile: a link with a queue delivers all it can. Then the
  target returns to nearly that. The draft stays at 0.85 and climbs; this one uses 0.95 of a slow link.
- The end of a narrow link is remembered: the target stays just below it, where the draft climbs on until a
  queue tells again, every three seconds. Probes find out when there is more.
- A link that collapses is met at once, by the pace at which the last packets came through, not by steps.
- What a stall held back comes late and all at once, of a phone that is busy or a radio that moves: no cut.
- Loss is attributed by trial (loss_bound.py): 10 % of random loss starves nobody, 5 % at a policer is found.
- A network that is gone for a moment loses all of a moment: an outage says nothing of how much it carries.
- Without feedback the target decays gently, and never for the silence of who sends nothing.

What is sent below the target is the normal case, and the cheapest: delays that stay at their base cost one
loop over the numbers and no statistics. Pure; whatever feedback says, it moves nothing but this target.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Final

from media.acknowledged_rate import AcknowledgedRate
from media.delay_detector import DelayDetector
from media.encodings import Limit
from media.loss_bound import LossBound
from media.probing import LEAST_STEP, STEP, Probe, Prober, probe_at
from media.rtcp import TransportFeedback

FLOOR_BPS, CAP_BPS = 30_000, 20_000_000  # voice alone with headers; more than any picture here asks for

HISTORY: Final = 4096  # numbers remembered: 2 s of 20 Mbit/s, a minute of voice; a power of 2 below 65,536
MASK: Final = HISTORY - 1

DECREASE = 0.85  # draft §5.5: of what arrives
RESUME = 0.95  # of what a draining queue let through, once it is gone
INCREASE = 1.08  # draft §5.5: a second, far from where it last was too much
NEAR = 0.10  # of the last capacity: there the increase is additive (draft §5.5)
NARROW_BPS = 200_000  # of capacity: a tenth beyond it is a seventh and more of what voice leaves of it
NARROW_END = 0.97  # of it: as near as leaves no queue
ADDED, LEAST_ADDED_BPS = (
    0.03,
    4_000,
)  # a second: 3 % of the target (libwebrtc: a packet a response time, 4 kbit/s)
HEADROOM, HEADROOM_BPS = 1.5, 10_000  # draft §5.5: never grows beyond this much of what arrives
WANTED_HEADROOM = 1.5  # nor beyond this much of what is wanted

QUIET_S: Final = 0.008  # packets that waited no longer need no statistics: a frame of six at 10 Mbit/s
USUAL_UP_S, USUAL_DOWN_S = 8.0, 0.5  # how fast a queue becomes usual, and unusual: slower than any cut
MOST_USUAL_S = 0.05  # more than that is never usual
LEAST_QUEUE_S = 0.015  # a slope with less behind it is noise,
NOISE_BITS, MOST_NOISE_S = 4_800, 0.05  # and on a slow link what half a full packet of a picture takes
STANDING_QUEUE_S = (
    0.07  # queues beyond this harm a conversation though they do not grow (ITU-T G.114: 150 ms)
)
LOUD_QUEUE_S = 0.06  # beyond this it is not the probe's own
DRAINED_S, DRAINED = 0.012, 0.3  # a queue is gone: less than this, or than this share of what it was
DRAIN_S = 1.5  # a queue that stays so long is not ours alone
CROWDED_S = 8.0  # and for so long a standing queue is left to those who fill it
CROWDED_QUEUE_S = 0.12  # beyond this nothing grows, whoever fills the queue
CROWDED_SLOPE = 0.06  # then a slope must be steeper than what a loss-based flow as fast as ours adds,
ADDED_BITS = 14_400  # which is a packet and a half a round trip (TCP Reno: one)
STILL_LESS = 0.9  # comes through than is sent: the network carries even less than was thought
OBEYED = 1.1  # of the target was sent at most: the source did follow
VOICE_BPS = 64_000  # and follows no further
OURS = 1.05  # of what is sent comes out of a queue of ours while it drains; no more: it was not ours
FALLEN = 0.6  # of the rate: no chance, the network is slower than it was
TRIAL, TRIED = 0.95, 0.75  # of what arrives; or of what a policer would pass: little may arrive by chance
LEAST_MEASURED_S = 0.1  # of draining, for a rate

COLLAPSE, COLLAPSE_PACKETS = 0.5, 8  # of one feedback's packets less arrived, behind a queue: a lesser link
COLLAPSE_ALONE, COLLAPSE_PACKETS_ALONE = 0.4, 20  # without a queue: 30 % of random loss does it once in 1000
TAIL_S, TAIL_BYTES = 0.04, 1000  # the pace of less is that of a packet of sound, not of the link
LEAST_TAIL = 0.25  # of the rate of late: nor is a pause within it
TAIL_PACKETS = 5  # are remembered from one feedback to the next
TRICKLE_PACKETS = 4  # of a link that fell: more would be waited for too long
TRICKLE_BYTES = 600  # in the last two of them: two packets of sound are less
STRETCHED_FROM_BPS = 600_000  # a packet of less takes as long as a notable wait, and pictures come seldom
FEW_PACKETS, STRETCHED = 4, 0.3  # in one feedback, at less than this share of the rate of late
RUSH_QUEUE_S, RUSH_GROWTH_S = 0.08, 0.03  # or the last waited so long, and so much longer than the first

STALL_S = 0.06  # in which nothing came: three packets of sound
RELEASED = 1.5  # of the target: so fast, at least, comes what a stall held back
READ_S = 0.002  # and so long it takes to read

OUTAGE_S = 0.15  # in which nothing came through: seven packets of sound; what is too narrow lets some pass
OUTAGE_LOST = 6  # packets of a feedback, before anybody looks

SILENCE_S = 1.0  # of feedback though packets were sent: ten feedbacks lost in a row are no chance
SILENCE_STEP_S, SILENCE_DECREASE = 0.5, 0.8  # a third a second
FEEDBACK_LATELY_S = 3.0
DOUBTED_STEP = 1.25  # where a probe's success was none before, so much is taken of the next
BUSY = 0.8  # of the target is sent: a probe comes on top
LOOK_AGAIN_S = 0.25  # a probe was due, and something else was under way
CALM_S = 1.0  # behind a cut: no probe meanwhile
MAX_STEP_S = 0.5  # between two feedbacks, for growth's sake

REPORT_HEAVY, REPORT_LIGHT = 0.10, 0.02  # draft §6, where receiver reports are all there is
REPORT_INCREASE = 1.05  # draft §6
REPORT_STEP_S = 1.0  # browsers report about once a second
RECEIVER_LIMIT_S = 10.0  # a REMB that is not repeated counts no longer; browsers repeat it every second


class BandwidthEstimator:
    """`target_bps` is what may be sent in all, headers and everything included, as sizes are told here.

    `handle_sent` takes numbers that ascend by one (16 bits, wrapping). Nothing is probed for beyond 1.5 of
    `wanted_bps`, which may bring `next_deadline` nearer.
    """

    def __init__(self, *, start_bps: int, now: float) -> None:
        self.target_bps = min(max(start_bps, FLOOR_BPS), CAP_BPS)
        self.limit: Limit = "start"
        self.has_feedback = False
        self.is_suspicious = False
        """The network may have collapsed just now; the next feedback tells."""
        self.collapses = 0  # how often the network was found to carry far less than before, behind a queue
        self.round_trip_s = 0.1  # until it is measured
        self.next_deadline = inf

        self._sent = [0.0] * HISTORY
        self._arrived = [0.0] * HISTORY
        self._sizes = [0] * HISTORY  # 0: nothing to acknowledge; negative: acknowledged
        self._next = 0  # numbers count on without wrapping from the first
        self._next_number = -1  # the same as it is on the wire; -1: nothing was sent yet
        self._sent_bytes = 0

        self._detector = DelayDetector()
        self._rate = AcknowledgedRate()
        self._loss = LossBound()
        self._prober = Prober(now)

        self._highest = -1  # acknowledged
        self._feedback_count = -1
        self._feedback_at = -inf
        self._next_at_feedback = 0
        self._updated = now
        self._exact_bps = float(self.target_bps)
        self._wanted_bps = self.target_bps
        self._capacity_bps: float | None = None  # where it last was too much
        self._cut_at = -inf

        self._tail: list[tuple[float, float, int]] = []  # of packets: sent, arrived, size
        self._unsuspected = (0.0, 0.0, 0)  # the last of them before a suspicion
        self._is_released = False  # what a stall held back came just now
        self._is_draining = False
        self._drains_again = False  # the same queue, for it did not go by the first cut
        self._drain_from = (0.0, 0, 0)  # arrival of the last packet, bytes acknowledged and sent by then
        self._drain_queue_s = 0.0
        self._drain_before_bps = 0.0
        self._is_theirs = False  # the last queue that was answered did not mind
        self._crowded_until = -inf

        self._trial_before_bps = 0.0
        self._tried_at = -inf
        self._receiver_limit_bps: int | None = None
        self._receiver_limit_at = -inf
        self._report_at = -inf
        self._silence_at = inf
        self._is_silent = False
        self._is_probe_ready = False
        self._usual_queue_s = 0.0
        self._usual_spread = 1.0  # of losses, before the last feedback

    @property
    def wanted_bps(self) -> int:
        """What would be used if the network gave it."""
        return self._wanted_bps

    @wanted_bps.setter
    def wanted_bps(self, wanted_bps: int) -> None:
        self._wanted_bps = wanted_bps
        self._schedule()

    @property
    def inherent_loss(self) -> float:
        """What the network loses at any rate, 0 to 1: as far as trials told."""
        return self._loss.inherent

    @property
    def acknowledged_bps(self) -> int:
        """What arrived lately, by transport feedback; 0 without."""
        return round(self._rate.long_bps)

    @property
    def loss(self) -> float:
        """The fraction lost in the last second, by transport feedback."""
        return self._loss.fraction

    @property
    def lasting_bps(self) -> int:
        """The target, or what it will be once a queue has drained: that is over before an encoder obeys."""
        if not self._is_draining or self._capacity_bps is None:
            return self.target_bps
        resumed_bps = min(RESUME * self._capacity_bps, self._drain_before_bps)
        return max(self.target_bps, int(resumed_bps))

    @property
    def cut_queue_s(self) -> float:
        """How long what was sent waited when the target was last cut."""
        return self._drain_queue_s

    @property
    def queue_s(self) -> float:
        """How long even the quickest packet lately waited on the way."""
        return self._detector.queue_s

    def handle_sent(self, number: int, size_bytes: int, now: float) -> None:
        """A packet leaves with this number, of this size on the wire."""
        if number != self._next_number:
            self._skip_to(number)
        place = number & MASK
        self._sent[place] = now
        self._sizes[place] = size_bytes
        self._sent_bytes += size_bytes
        self._next += 1
        self._next_number = (number + 1) & 0xFFFF

    def handle_lost(self, number: int) -> None:
        """A receiver misses the packet of this number: what arrives with it from now on is its repair."""
        if (self._next - 1 - number) & 0xFFFF < HISTORY:
            self._sizes[number & MASK] = 0

    def _skip_to(self, number: int) -> None:
        """The first number; or some in between were never sent, and nobody can acknowledge them."""
        if self._next_number < 0:
            self._next = number
            self._highest = number - 1
            self._next_at_feedback = number
            return
        gap = (number - self._next_number) & 0xFFFF
        for skipped in range(self._next, self._next + min(gap, HISTORY)):
            self._sizes[skipped & MASK] = 0
        self._next += gap

    def handle_move(self, now: float) -> None:
        """The receiver is sent to another way from now on. What left before, and nobody has spoken of, went
        the old one, and is neither lost nor late on this. Its queues and its end are forgotten; the target
        stays.
        """
        for number in range(max(self._highest + 1, self._next - HISTORY), self._next):
            self._sizes[number & MASK] = 0
        self._highest = self._next - 1
        self._next_at_feedback = self._next
        if self._silence_at < inf:
            self._silence_at = now + SILENCE_S
        self._detector = DelayDetector()
        self._rate = AcknowledgedRate()
        self._usual_queue_s = 0.0
        self._capacity_bps = None
        self._tail = []
        self._is_draining = self._is_theirs = self.is_suspicious = self._is_released = False
        self._crowded_until = -inf
        self._loss.abandon(self._next, now)
        self._prober.is_under_way = False
        self._prober.hasten(now)
        self._report_at = now  # the next report speaks of the old way as well
        self._schedule()

    def handle_feedback(self, feedback: TransportFeedback, now: float) -> None:
        """What a receiver says arrived. Numbers never sent, or told before, count for nothing."""
        sent, arrived, sizes = self._sent, self._arrived, self._sizes
        newest = self._next - 1
        packets: list[tuple[float, float, int]] = []
        add = packets.append
        least, most, total, back, last_arrived = inf, -inf, 0, 0, -inf
        number = feedback.first - 1
        for arrived_at in feedback.arrivals:
            number += 1
            if arrived_at is None:
                continue
            behind = (newest - number) & 0xFFFF
            if behind >= HISTORY:
                continue
            place = number & MASK
            size_bytes = sizes[place]
            if size_bytes <= 0:
                continue
            sizes[place] = -size_bytes
            arrived[place] = arrived_at
            sent_at = sent[place]
            delay = arrived_at - sent_at
            if delay < least:
                least = delay
            if delay > most:
                most = delay
            if arrived_at > last_arrived:
                last_arrived = arrived_at
            total += size_bytes
            back = behind
            add((sent_at, arrived_at, size_bytes))
        if not packets:
            return

        sent_at, arrived_at, _ = packets[-1]
        detector = self._detector
        base = detector.base_delay_s
        if most - base < QUIET_S and base - least < QUIET_S and detector.usage == "normal":
            detector.handle_quiet(sent_at, arrived_at, least)
        else:
            handle_packet = detector.handle_packet
            for packet in packets:
                handle_packet(*packet)
        if (feedback.feedback_count - self._feedback_count) & 0xFF != 1:
            self._rate.handle_gap(packets[0][1])
            total -= packets[0][2]  # it only says since when
        self._rate.handle_arrivals(last_arrived, total)
        self._usual_spread = self._loss.spread
        expected = self._account(feedback, newest - back, len(packets), now)
        self._update(packets, expected, now)

    def _account(self, feedback: TransportFeedback, highest: int, received: int, now: float) -> int:
        """Books loss, round trip and silence; how many packets this feedback was the first to speak of."""
        newest = self._next - 1
        was_silent, self._is_silent = self._is_silent, False
        self.round_trip_s += 0.2 * (min(now - self._sent[highest & MASK], 2.0) - self.round_trip_s)
        low = self._highest + 1
        if (feedback.feedback_count - self._feedback_count) & 0xFF != 1:  # what others told is not lost
            first = newest - ((newest - feedback.first) & 0xFFFF)
            low = max(low, min(first, highest))
        self._feedback_count = feedback.feedback_count
        expected = min(max(highest - low + 1, 0), HISTORY)
        low = highest - expected + 1
        if expected - received >= OUTAGE_LOST:
            expected -= self._lost_in_outage(low, highest)
        self._highest = max(highest, self._highest)
        self._feedback_at = now
        self._next_at_feedback = self._next
        self._silence_at = now + SILENCE_S
        self.has_feedback = True
        if was_silent:
            self._loss.abandon(self._next, now)
            self._prober.hasten(now)
        # A full queue drops runs of its own, which say nothing of the network's.
        has_runs = expected > received and self._detector.queue_s <= LEAST_QUEUE_S
        runs = self._runs(low, highest) if has_runs else 0
        self._loss.handle_feedback(expected, expected - received, runs, highest, now)
        return expected

    def _runs(self, low: int, highest: int) -> int:
        """In how many runs those of these numbers were lost that were."""
        runs, was_lost = 0, False
        for number in range(low, highest + 1):
            is_lost = self._sizes[number & MASK] >= 0
            runs += is_lost and not was_lost
            was_lost = is_lost
        return runs

    def _lost_in_outage(self, low: int, highest: int) -> int:
        """How many of these numbers were sent while nothing at all came through, without a queue before it or
        behind: a network that was gone for a moment, and not one that is too narrow.
        """
        if self._detector.queue_s > LEAST_QUEUE_S:
            return 0
        lost = 0
        before = low - 1
        for number in range(low, highest + 1):
            if self._sizes[number & MASK] < 0:
                if self._sent[number & MASK] - self._sent[before & MASK] >= OUTAGE_S:
                    lost += number - before - 1
                before = number
        return lost

    def _update(self, packets: list[tuple[float, float, int]], expected: int, now: float) -> None:
        """Decides, once what a feedback says is booked."""
        elapsed = min(max(now - self._updated, 0.0), MAX_STEP_S)
        self._updated = now
        was_suspicious = self.is_suspicious
        if self._tail and not was_suspicious:
            self._unsuspected = self._tail[-1]
        self.is_suspicious = (was_suspicious or len(packets) <= FEW_PACKETS) and self._is_stretched(packets)
        before = self._tail[-1][1] if self._tail else inf
        # The last packets that arrived, whichever feedback told of them.
        self._tail = packets if len(packets) >= TAIL_PACKETS else [*self._tail, *packets][-TAIL_PACKETS:]
        detector = self._detector
        if self._prober.is_under_way:
            self._take_outcome(now)
        queue_s = self._unusual_queue_s(elapsed, now)
        is_confirmed = was_suspicious and self.is_suspicious  # behind a stall the rest comes all at once
        is_collapse = now - self._cut_at > self.round_trip_s and (
            is_confirmed or self._is_collapse(packets, expected)
        )
        is_over = is_collapse or self._is_over(queue_s, now)
        was_released, self._is_released = self._is_released, is_over and self._is_release(packets, before)
        if self._is_released and not was_released:
            pass  # what comes next tells
        elif is_collapse:
            self._collapse(queue_s, now)
        elif is_over:
            self._cut_for_delay(queue_s, now)
        elif self._is_draining:
            self._drain(queue_s, now)
        else:
            self._judge_loss(queue_s, now)
            if not (
                detector.usage == "under"
                or detector.queue_s > CROWDED_QUEUE_S
                or self._loss.is_trying
                or self._loss.is_more_than_usual
            ):
                self._increase(elapsed)
        self._settle(now)

    def _unusual_queue_s(self, elapsed_s: float, now: float) -> float:
        """The queue beyond what stands there anyway: jitter that keeps the order hides the least delay."""
        queue_s = self._detector.queue_s
        if not self._is_draining and now - self._cut_at > CALM_S:
            time_s = USUAL_UP_S if queue_s > self._usual_queue_s else USUAL_DOWN_S
            self._usual_queue_s += (queue_s - self._usual_queue_s) * elapsed_s / time_s
            self._usual_queue_s = min(self._usual_queue_s, MOST_USUAL_S)
        return max(queue_s - self._usual_queue_s, 0.0)

    # Down

    def _is_collapse(self, packets: list[tuple[float, float, int]], expected: int) -> bool:
        received = len(packets)
        if self._is_trickle(packets):
            return True
        is_queueing = self._detector.queue_s > LEAST_QUEUE_S
        if expected >= (COLLAPSE_PACKETS if is_queueing else COLLAPSE_PACKETS_ALONE * self._usual_spread):
            share = COLLAPSE if is_queueing else COLLAPSE_ALONE
            if received < share * (1 - self._loss.inherent) * expected:
                return True
        if received < 3 or not is_queueing:
            return False
        base = self._detector.base_delay_s
        first_sent, first_arrived, _ = packets[0]
        last_sent, last_arrived, _ = packets[-1]
        waited = last_arrived - last_sent - base
        grown = waited - (first_arrived - first_sent - base)
        return waited > RUSH_QUEUE_S and grown > RUSH_GROWTH_S

    def _is_stretched(self, packets: list[tuple[float, float, int]]) -> bool:
        """Whether hardly anything came since the feedback before, and the last of it has waited far longer
        than what came before: the first packets through what is left of a link, or the first behind a stall.
        """
        if not self._tail or self._rate.long_bps < STRETCHED_FROM_BPS:
            return False
        before_sent, before_arrived, _ = self._unsuspected
        sent, arrived, _ = packets[-1]
        size_bytes = sum(came for _, _, came in packets)
        grown = (arrived - sent) - (before_arrived - before_sent)
        took_s = arrived - self._tail[-1][1]
        return grown > RUSH_GROWTH_S and size_bytes * 8 < STRETCHED * self._rate.long_bps * took_s

    def _is_release(self, packets: list[tuple[float, float, int]], before: float) -> bool:
        """Whether nothing came for a while, since `before` or later, and then all at once what had waited.
        Whoever stood still, a host or a radio, carries what is sent: what comes next has not waited.
        """
        began, size_bytes = -inf, 0
        for _, arrived, came in packets:
            if arrived - before >= STALL_S:
                began, size_bytes = arrived, 0
            else:
                size_bytes += came
            before = max(arrived, before)
        return size_bytes * 8 > RELEASED * self._exact_bps * max(before - began - READ_S, 0.0)

    def _is_trickle(self, packets: list[tuple[float, float, int]]) -> bool:
        """Whether the last few packets, of one feedback or several, waited ever longer, and came one by one:
        what is left of a link that was much faster. Behind a stall they come all at once.
        """
        sent, arrived, _ = packets[-1]
        if arrived - sent - self._detector.base_delay_s < RUSH_QUEUE_S or len(self._tail) < TRICKLE_PACKETS:
            return False
        first, second, *rest = self._tail[-TRICKLE_PACKETS:]
        size_bytes = sum(came for _, _, came in rest)
        waited_s = min(arrived_at - sent_at for sent_at, arrived_at, _ in (second, *rest))
        return (
            waited_s - (first[1] - first[0]) > RUSH_GROWTH_S
            and size_bytes >= TRICKLE_BYTES
            and size_bytes * 8 < COLLAPSE * self._rate.long_bps * (arrived - second[1])
        )

    def _collapse(self, queue_s: float, now: float) -> None:
        """By the pace at which the last packets came: what the link is now, not what it was."""
        short_bps = self._rate.short_bps() or inf
        rate_bps = short_bps
        if not self._is_draining:  # later the rate of late has the new pace alone
            rate_bps = min(short_bps, max(self._tail_bps(), LEAST_TAIL * short_bps))
        base = self._detector.base_delay_s
        last = self._tail[-2 if self.is_suspicious else 1 - TRICKLE_PACKETS :]
        waited_s = min(arrived - sent for sent, arrived, _ in last) - base
        queue_s = max(queue_s, waited_s)
        is_again = self._is_draining and self.is_suspicious
        most_bps = STILL_LESS * self._exact_bps if is_again else self._exact_bps
        if isfinite(rate_bps) and DECREASE * self._carried(rate_bps) < most_bps:
            self._cut(rate_bps, max(queue_s, LEAST_QUEUE_S), now)
            self.limit = "delay" if queue_s > LEAST_QUEUE_S else "loss"

    def _tail_bps(self) -> float:
        size_bytes = 0
        end = self._tail[-1][1]
        for _, arrived_at, came in reversed(self._tail):
            if end - arrived_at >= TAIL_S and size_bytes >= TAIL_BYTES:
                return size_bytes * 8 / (end - arrived_at)
            size_bytes += came
        return inf

    def _is_over(self, queue_s: float, now: float) -> bool:
        detector = self._detector
        noise_s = max(LEAST_QUEUE_S, min(MOST_NOISE_S, NOISE_BITS / self._exact_bps))
        if queue_s < noise_s or now - self._cut_at < self.round_trip_s + 0.1:
            return False
        if self._prober.is_loud(now) and queue_s < LOUD_QUEUE_S:
            return False
        if self._is_draining:  # only if still less comes through than is sent: what else grows, is not ours
            rate_bps = self._carried(max(self._rate.short_bps(), self._rate.long_bps))
            return detector.usage == "over" and rate_bps < STILL_LESS * self._exact_bps
        if now < self._crowded_until:
            theirs = ADDED_BITS / (2 * max(self._rate.long_bps, FLOOR_BPS) * self.round_trip_s)
            return detector.usage == "over" and detector.slope > max(theirs, CROWDED_SLOPE)
        return detector.usage == "over" or (
            detector.queue_s > STANDING_QUEUE_S and detector.usage == "normal"
        )

    def _cut_for_delay(self, queue_s: float, now: float) -> None:
        rate_bps, short_bps = self._rate.long_bps, self._rate.short_bps()
        if short_bps < FALLEN * rate_bps:  # else the longer stretch is the better measure
            rate_bps = short_bps
        if rate_bps:
            self._cut(rate_bps, queue_s, now)
            self.limit = "delay"

    def _cut(self, rate_bps: float, queue_s: float, now: float) -> None:
        """Below what comes through, so that the queue drains; from now on it is measured how it does."""
        rate_bps = self._carried(rate_bps)
        if not self._is_draining:
            self._drain_before_bps, self._drains_again = self._exact_bps, False
        self._is_draining = True
        self._drain_from = (self._rate.last_arrived, self._rate.total_bytes, self._sent_bytes)
        self._drain_queue_s = queue_s
        self._cut_at = now
        self._capacity_bps = rate_bps
        if queue_s > LEAST_QUEUE_S and DECREASE * rate_bps < FALLEN * self._exact_bps:
            self.collapses += 1
        self._exact_bps = min(self._exact_bps, DECREASE * rate_bps)
        self._loss.abandon(self._next, now)
        self._prober.handle_cut(now, now)

    def _carried(self, rate_bps: float) -> float:
        """What arrives at the bottleneck, from what arrives in the end: what is lost anyway lies between."""
        return rate_bps / (1 - self._loss.inherent)

    def _believe_less(self, queue_s: float) -> None:
        """A link that fell by far was judged by a few packets: those that came since tell better."""
        long_bps, short_bps = self._rate.long_bps, self._rate.short_bps()
        if queue_s < MOST_NOISE_S or long_bps < STRETCHED_FROM_BPS or short_bps > STRETCHED * long_bps:
            return
        carried_bps = self._carried(short_bps)
        if DECREASE * carried_bps < STILL_LESS * self._exact_bps:
            self._capacity_bps, self._exact_bps = carried_bps, DECREASE * carried_bps

    def _drain(self, queue_s: float, now: float) -> None:
        self._believe_less(queue_s)
        is_gone = queue_s < max(DRAINED_S, DRAINED * self._drain_queue_s)
        if self._exact_bps < FALLEN * self._drain_before_bps and now - self._cut_at < self.round_trip_s:
            is_gone = False  # it was found by its growth, before all of it was seen
        if not is_gone and now - self._cut_at < DRAIN_S + self.round_trip_s:
            return
        self._is_draining = False
        since, acknowledged, sent = self._drain_from
        took_s = self._rate.last_arrived - since
        assert self._capacity_bps is not None
        if took_s >= LEAST_MEASURED_S:
            self._capacity_bps = self._carried((self._rate.total_bytes - acknowledged) * 8 / took_s)
        sent_bps = (self._sent_bytes - sent) * 8 / max(now - self._cut_at, LEAST_MEASURED_S)
        if sent_bps > max(OBEYED * self._exact_bps, VOICE_BPS):
            resumed_bps = (RESUME if is_gone else DECREASE) * self._capacity_bps
        elif (
            self._capacity_bps < OURS * max(sent_bps, self._exact_bps)
            and self._capacity_bps >= FALLEN * self._drain_before_bps
        ):
            if not is_gone and not self._drains_again:  # it may be a link that fell while it was measured
                self._is_draining = self._drains_again = True
                self._cut(self._capacity_bps, queue_s, now)
                return
            if self._is_theirs:  # twice in a row
                self._crowded_until = now + CROWDED_S
            self._is_theirs = True
            resumed_bps = self._drain_before_bps
        else:
            self._is_theirs = self._is_theirs and now < self._crowded_until + CROWDED_S
            resumed_bps = (RESUME if is_gone else STILL_LESS) * self._capacity_bps
        self._exact_bps = max(self._exact_bps, min(resumed_bps, self._drain_before_bps))
        self._loss.begin_anew(self._next, now)

    def _judge_loss(self, queue_s: float, now: float) -> None:
        verdict = self._loss.judge(self._next, self._sent_bytes, self._exact_bps, now)
        if verdict in ("try", "doubt"):
            rate_bps = min(self._rate.short_bps(), self._rate.long_bps)
            if not self._prober.has_just_raised(now):  # else the loss of late is not that of this target
                rate_bps = max(rate_bps, TRIED * (1 - self._loss.fraction) * self._exact_bps)
            rate_bps *= TRIAL
            if verdict == "try":
                rate_bps = self._carried(rate_bps)
            self._trial_before_bps = self._exact_bps
            self._tried_at = now
            if not 0 < rate_bps < self._exact_bps:
                self._loss.abandon(self._next, now)
                return
            self._exact_bps = rate_bps
            if queue_s > LEAST_QUEUE_S:
                self._loss.abandon(self._next, now)
            self.limit = "loss"
        elif verdict == "ours":
            self._capacity_bps = self._exact_bps
            self._cut_at = now
            self._prober.handle_cut(self._tried_at, now)
        elif verdict == "not_ours":
            self._exact_bps = max(self._exact_bps, self._trial_before_bps)

    # Up

    def _increase(self, elapsed_s: float) -> None:
        if self._exact_bps > HEADROOM * self._rate.long_bps + HEADROOM_BPS:
            return
        if self._exact_bps >= WANTED_HEADROOM * self.wanted_bps:
            return
        capacity_bps = self._capacity_bps
        if capacity_bps is not None and self._exact_bps > (1 + NEAR) * capacity_bps:
            self._capacity_bps = capacity_bps = None
            self._prober.hasten(self._updated)
        if capacity_bps is None or self._exact_bps <= (1 - NEAR) * capacity_bps:
            self._exact_bps *= INCREASE**elapsed_s
        elif not self._is_at_narrow_end(capacity_bps):
            self._exact_bps += max(ADDED * self._exact_bps, LEAST_ADDED_BPS) * elapsed_s

    def _is_at_narrow_end(self, capacity_bps: float) -> bool:
        """Beyond this more is asked for only once more comes through, or a probe shows it."""
        if capacity_bps >= NARROW_BPS or self.limit != "delay":  # what loss bounds is not known so well
            return False
        return self._exact_bps >= NARROW_END * max(capacity_bps, self._carried(self._rate.long_bps))

    def next_probe(self, now: float) -> Probe | None:
        """A probe, when one is due: the caller sends so many padding packets at its pace, and says so."""
        if not self._is_probe_ready and now < self._prober.due:
            return None
        self._is_probe_ready = False
        if not self._is_probe_wanted(now):
            return None
        self._prober.asked(now)
        self._schedule()
        bitrate_bps = round(min(STEP * self._exact_bps, WANTED_HEADROOM * self.wanted_bps, CAP_BPS))
        return probe_at(bitrate_bps, is_busy=self._rate.long_bps > BUSY * self._exact_bps)

    def _is_more_wanted(self) -> bool:
        """So much more than is known to be carried that it is worth asking for."""
        wanted_bps = min(WANTED_HEADROOM * self._wanted_bps, CAP_BPS)
        return self.has_feedback and wanted_bps > LEAST_STEP * self._exact_bps

    def _is_probe_wanted(self, now: float) -> bool:
        return (
            self._is_more_wanted()
            and not self._is_draining
            and not self._prober.is_under_way
            and not self._loss.is_trying
            and now - self._cut_at >= CALM_S
            and self._detector.queue_s < self._usual_queue_s + LEAST_QUEUE_S
        )

    def handle_probe_sent(self, probe: Probe, first: int, count: int, now: float) -> None:
        """The last of a probe has left: `count` numbers from `first` on, with all that left meanwhile."""
        newest = self._next - 1
        behind = (newest - first) & 0xFFFF
        if 0 < count <= behind + 1 <= HISTORY:
            begin = newest - behind
            self._prober.handle_sent(begin, begin + count - 1, self.round_trip_s, now)
            self._schedule()

    def _take_outcome(self, now: float) -> None:
        outcome = self._prober.handle_feedback(
            self._highest, self._sent, self._arrived, self._sizes, MASK, self._loss.inherent, now
        )
        if outcome is None or self._is_draining:
            return
        most_bps = WANTED_HEADROOM * self.wanted_bps
        if self._prober.is_doubted:
            most_bps = min(most_bps, DOUBTED_STEP * self._exact_bps)
        raised_bps = min(outcome.bitrate_bps, most_bps, STEP * self._exact_bps)
        if raised_bps > self._exact_bps:
            self._exact_bps = raised_bps
            self._loss.begin_anew(self._next, now)
        carried_bps = outcome.carried_bps
        is_wide = carried_bps is not None and carried_bps >= NARROW_BPS
        self._capacity_bps = outcome.bitrate_bps if is_wide else carried_bps

    # Others that have a say

    def handle_report(self, fraction_lost: float, round_trip_s: float, now: float) -> None:
        """A receiver report: of weight only where transport feedback does not come (draft §6)."""
        if self.has_feedback or not now - self._report_at >= REPORT_STEP_S:
            return
        self._report_at = now
        if 0 < round_trip_s < 10:
            self.round_trip_s = round_trip_s
        if fraction_lost > REPORT_HEAVY:
            self._exact_bps *= 1 - 0.5 * min(fraction_lost, 1.0)
            self.limit = "loss"
        elif fraction_lost < REPORT_LIGHT and self._exact_bps < WANTED_HEADROOM * self.wanted_bps:
            self._exact_bps *= REPORT_INCREASE
        self._settle(now)

    def handle_receiver_limit(self, bitrate_bps: int, now: float) -> None:
        """REMB. Without transport feedback it is the receiver's own estimate: then it raises, too."""
        self._receiver_limit_bps = min(max(bitrate_bps, FLOOR_BPS), CAP_BPS)
        self._receiver_limit_at = now
        if not self.has_feedback:
            most_bps = min(float(self._receiver_limit_bps), WANTED_HEADROOM * self.wanted_bps)
            self._exact_bps = max(self._exact_bps, most_bps) if self.limit != "loss" else self._exact_bps
        self._settle(now)

    # Time

    def handle_timeout(self, now: float) -> None:
        """Decays while feedback is missing; expects `next_probe` to be asked behind it."""
        if now >= self._silence_at:
            self._handle_silence(now)
        if now - self._feedback_at > FEEDBACK_LATELY_S:
            self.has_feedback = False
        if now >= self._prober.due:
            self._is_probe_ready = True
            self._prober.postpone(now + LOOK_AGAIN_S)
        self._settle(now)

    def _handle_silence(self, now: float) -> None:
        first = self._sent[self._next_at_feedback & MASK]  # the first that nobody has spoken of
        if self._next == self._next_at_feedback:
            self._silence_at = now + SILENCE_S
        elif now - first < SILENCE_S:
            self._silence_at = first + SILENCE_S
        else:
            self._silence_at = now + SILENCE_STEP_S
            self._exact_bps *= SILENCE_DECREASE
            self._is_draining = self.is_suspicious = False
            self._cut_at = now
            self._is_silent = True
            self.limit = "silence"

    def _settle(self, now: float) -> None:
        """Within the bounds, in whole bits, and the reason with it."""
        most_bps = float(CAP_BPS)
        if self._receiver_limit_bps is not None:
            if now - self._receiver_limit_at >= RECEIVER_LIMIT_S:
                self._receiver_limit_bps = None
            else:
                most_bps = float(self._receiver_limit_bps)
        if self._exact_bps >= most_bps and most_bps < CAP_BPS:
            self.limit = "receiver"
        elif self._exact_bps >= self.wanted_bps:
            self.limit = "demand"
        self._exact_bps = min(max(self._exact_bps, FLOOR_BPS), most_bps)
        self.target_bps = int(self._exact_bps + 0.5)
        self._schedule()

    def _schedule(self) -> None:
        # As long as nothing more is wanted, nobody is woken to look for it.
        self.next_deadline = min(self._silence_at, self._prober.due if self._is_more_wanted() else inf)
