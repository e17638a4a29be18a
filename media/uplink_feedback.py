"""What we tell a sender of its uplink, so that its browser's own congestion control drives it.

Pure. `UplinkFeedback` notes when each packet with a transport-wide number arrived, and reports
(draft-holmer-rmcat-transport-wide-cc-extensions-01):

    numbers    11 12 13 ·· 15 │ 16 17 18 19 20 │ 14 │ 21 22 …
               one feedback   │ the next       │ a late one: alone, for it was called lost

Each number is told of once, as arrived or not; one that arrives after all is told of again, in a packet of
its own, so that nothing that was said of others is taken back. Of what the network loses however little is
sent (inherent_loss.py) nothing is said: what is before it and behind it goes in packets of their own. How
often, is what the arrivals can bear: every sixteen packets, between 50 and 100 ms, and more seldom where that
were more than a twentieth of them.

`UplinkEstimate` serves who does not number packets: it looks for the queue itself and tells how much may be
sent in all (REMB, draft-alvestrand-rmcat-remb-03), as draft-ietf-rmcat-gcc §4 lets a receiver do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Final

from media.delay_detector import DelayDetector
from media.inherent_loss import InherentLoss
from media.rtcp import TransportFeedback
from media.rtp import Ssrc

PACKETS_A_FEEDBACK = 16  # as many as make telling cost a sixteenth of what it would alone
MIN_INTERVAL_S: Final = 0.05  # draft §5: the sooner the sender hears of a queue, the shorter it grows
MAX_BUSY_INTERVAL_S = 0.1
MAX_INTERVAL_S = 0.25  # the sender's estimate goes stale beyond
TOGETHER_S = 0.03  # so much sooner is fine: then those of one call are told in one go
MAX_SHARE = 0.05  # of what arrives: the return path may be as narrow (draft §5)
FEEDBACK_BYTES = 76  # IP and UDP 28, SRTCP 18, the feedback's heads 20 and its chunks; deltas come on top
SMOOTHING_S = 0.5  # over which what arrives is averaged: longer than a keyframe's burst
SILENCE_S = 1.0  # with nothing arriving for as long, there is nothing to tell and no rate

MAX_WAITING: Final = 4_096  # arrivals between two feedbacks: 200 Mbit/s; the oldest are then not told of
MAX_ARRIVED: Final = 400  # of one feedback: fits a datagram of 1,200 bytes with the widest deltas and chunks
MAX_UNTOLD: Final = 500  # numbers without arrival told of at once; a wider gap is a new beginning
MAX_STEP_S: Final = 8.0  # between two arrivals of one feedback: a delta has 16 bits of 250 µs
HALF_CIRCLE: Final = 0x8000  # of the numbers, which have 16 bits
HALF_SEND_CIRCLE = 0x80_0000  # of abs-send-time, which has 24

FLOOR_BPS, CAP_BPS = 30_000, 20_000_000  # a voice; more than any camera asks for
DECREASE = 0.85  # draft-ietf-rmcat-gcc §5.5: of what arrives
LEAST_QUEUE_S = 0.015  # below, a growing delay is noise
STANDING_QUEUE_S = 0.05  # while a queue stands there is nothing to be had by sending more
SETTLE_S = 0.4  # a cut shows after a round trip and a drained queue
GROWTH = 0.08  # a second; draft-ietf-rmcat-gcc §5.5
NEAR_GROWTH, NEAR = 0.02, (0.8, 1.2)  # where the last cut came, of what arrived then
FREE_GROWTH, FREE_AFTER_S = 0.25, 5.0  # past that, with no queue for as long: the network has changed
HEADROOM = 1.5  # draft-ietf-rmcat-gcc §5.5: of what arrives; more has not been tried
FIRST_HEADROOM = 2.0  # until the first cut: a call begins low
TELL_S = 1.0  # between two estimates told
FIRST_TELL_S = 0.3  # libwebrtc lets REMB raise the rate freely in its first two seconds alone
SEND_TIME_BYTES, SEND_TIMES_A_SECOND = 3, 1 << 18  # abs-send-time: 6 bits of seconds, 18 of their fraction
BUCKET_S, BUCKETS = 0.1, 5  # what arrives is counted over the last half second


class UplinkFeedback:
    """One sender's. `media_ssrc` must be an SSRC that it sends: libwebrtc passes over what names another."""

    def __init__(self, *, ssrc: Ssrc) -> None:
        self.media_ssrc = Ssrc(0)
        self.next_deadline: float = inf
        self.bitrate_bps = 0
        self._ssrc = ssrc
        self._count = 0  # of feedback packets
        self._numbers: list[int] = []  # of the packets that wait to be told of
        self._times: list[float] = []  # and when they came
        self._following = 0  # the number that continues what waits, or what was told
        self._is_in_order = True  # all that waits continues what was told
        self._waiting_bytes = 0
        self._highest: int | None = None  # unwrapped
        self._next = 0  # unwrapped: what has not been told of begins here
        self._packets_a_second = 0.0
        self._bytes_a_second = 0.0
        self._measured_at = 0.0
        self._arrived_at = -inf
        self._inherent_loss = InherentLoss()

    def handle_arrival(self, number: int, size_bytes: int, now: float) -> None:
        """A packet of so many bytes on the wire, with this transport-wide number (16 bits)."""
        if len(self._numbers) == MAX_WAITING:
            del self._numbers[: MAX_WAITING // 2], self._times[: MAX_WAITING // 2]
            self._is_in_order = False
        self._numbers.append(number)
        self._times.append(now)
        if number != self._following:
            self._is_in_order = False
        self._following = (number + 1) & 0xFFFF
        self._waiting_bytes += size_bytes
        if self.next_deadline == inf:
            self._measured_at = now
            self.next_deadline = now + MIN_INTERVAL_S

    def handle_timeout(self, now: float) -> list[TransportFeedback]:
        """What is due to be told, or soon will be."""
        if now < self.next_deadline - TOGETHER_S:
            return []
        numbers, times = self._numbers, self._times
        count = len(numbers)
        if count:
            self._arrived_at = times[-1]
        waiting_bytes = self._waiting_bytes
        self._measure(count, now)
        if not count:
            if now - self._arrived_at >= SILENCE_S:
                self.bitrate_bps = 0
                self._packets_a_second = self._bytes_a_second = 0.0
                self.next_deadline = inf
            return []
        self._numbers, self._times = [], []
        told = self._told(numbers, times, waiting_bytes)
        self._following, self._is_in_order = self._next & 0xFFFF, True
        return told

    def _measure(self, count: int, now: float) -> None:
        elapsed = max(now - self._measured_at, MIN_INTERVAL_S)
        weight = elapsed / (elapsed + SMOOTHING_S) if self._bytes_a_second else 1.0
        self._packets_a_second += weight * (count / elapsed - self._packets_a_second)
        self._bytes_a_second += weight * (self._waiting_bytes / elapsed - self._bytes_a_second)
        self._waiting_bytes = 0
        self._measured_at = now
        self.bitrate_bps = round(8 * self._bytes_a_second)
        busy = PACKETS_A_FEEDBACK / max(self._packets_a_second, 1.0)
        interval = min(max(busy, MIN_INTERVAL_S), MAX_BUSY_INTERVAL_S)
        # A feedback costs FEEDBACK_BYTES and about a byte for each packet it tells of.
        bearable = MAX_SHARE * self._bytes_a_second - self._packets_a_second
        affordable = FEEDBACK_BYTES / bearable if bearable > 0 else MAX_INTERVAL_S
        self.next_deadline = now + min(max(interval, affordable), MAX_INTERVAL_S)

    def _told(self, numbers: list[int], times: list[float], size_bytes: int) -> list[TransportFeedback]:
        highest = self._highest
        if highest is None:
            highest = self._next = numbers[0]
        elif self._next == highest + 1 and self._is_whole(times):
            self._highest = highest + len(numbers)
            self._next = self._highest + 1
            self._inherent_loss.handle_arrivals(len(numbers), 0, size_bytes, times[-1])
            return [self._feedback(numbers[0], times)]
        arrived: dict[int, float] = {}
        for number, at in zip(numbers, times, strict=True):
            unwrapped = highest + ((number - highest + HALF_CIRCLE) & 0xFFFF) - HALF_CIRCLE
            if unwrapped > highest:
                highest = unwrapped
            arrived.setdefault(unwrapped, at)
        self._highest = highest
        if (due := highest + 1 - self._next) <= MAX_UNTOLD:
            new = sum(number >= self._next for number in arrived)
            self._inherent_loss.handle_arrivals(due, due - new, size_bytes, times[-1])

        told: list[TransportFeedback] = []
        statuses: list[float | None] = []
        first = following = in_packet = 0  # of this packet: its numbers, what comes next, how many arrived
        previous_at = 0.0
        expected, untold = self._next, MAX_UNTOLD
        for number in sorted(arrived):
            at = arrived[number]
            gap = number - expected
            start = number
            if 0 < gap <= untold and not self._inherent_loss.takes(gap):
                start = expected
            if statuses and (
                start != following or in_packet >= MAX_ARRIVED or abs(at - previous_at) > MAX_STEP_S
            ):
                told.append(self._feedback(first, statuses))
                statuses, in_packet = [], 0
            if not statuses:
                first = start
            if start < number:
                untold -= gap
                statuses += [None] * (number - start)
            statuses.append(at)
            in_packet += 1
            following, previous_at = number + 1, at
            expected = max(expected, following)
        told.append(self._feedback(first, statuses))
        self._next = expected
        return told

    def _is_whole(self, times: list[float]) -> bool:
        """Whether all came, in order, and fit in one packet: the usual case, in which nothing is to sort."""
        return self._is_in_order and len(times) <= MAX_ARRIVED and times[-1] - times[0] <= MAX_STEP_S

    def _feedback(self, first: int, statuses: Sequence[float | None]) -> TransportFeedback:
        count = self._count
        self._count = count + 1 & 0xFF
        return TransportFeedback(
            ssrc=self._ssrc,
            media_ssrc=self.media_ssrc,
            feedback_count=count,
            first=first & 0xFFFF,
            arrivals=tuple(statuses),
        )


class UplinkEstimate:
    """One sender's, of those of its packets that carry times of one clock."""

    def __init__(self) -> None:
        self.bitrate_bps = FLOOR_BPS  # what may be sent
        self.next_deadline: float = inf
        self._detector = DelayDetector()
        self._buckets: deque[int] = deque(maxlen=BUCKETS)  # bytes that arrived in each
        self._bucket_bytes = 0
        self._bucket_until = inf
        self._arrived_at = -inf
        self._send_time = 0  # of abs-send-time, unwrapped
        self._grown_at = 0.0
        self._cut_at = -inf
        self._cut_arriving_bps: float | None = None  # what arrived when the last cut came
        self._queued_at = -inf

    def handle_send_time(self, send_time: int, size_bytes: int, now: float) -> None:
        """A packet of so many bytes on the wire, that left at this abs-send-time (24 bits, wraps in 64 s)."""
        ahead = (send_time - self._send_time + HALF_SEND_CIRCLE) % (2 * HALF_SEND_CIRCLE) - HALF_SEND_CIRCLE
        self._send_time += ahead
        self.handle_packet(self._send_time / SEND_TIMES_A_SECOND, size_bytes, now)

    def handle_packet(self, sent: float, size_bytes: int, now: float) -> None:
        """A packet of so many bytes on the wire. `sent` is in seconds of the sender's clock, which may begin
        anywhere, wrap and leap: the RTP timestamps of one stream, or the times of abs-send-time.
        """
        if self.next_deadline == inf:
            self._buckets.clear()
            self._bucket_bytes = 0
            self._bucket_until = now + BUCKET_S
            self._grown_at = now
            self.next_deadline = now + FIRST_TELL_S
        self._turn_buckets(now)
        self._bucket_bytes += size_bytes
        self._arrived_at = now
        detector = self._detector
        detector.handle_packet(sent, now, size_bytes)
        if detector.usage == "over" and detector.queue_s > LEAST_QUEUE_S:
            self._queued_at = now
            if now - self._cut_at >= SETTLE_S and self._buckets:
                self._cut(now)

    def handle_timeout(self, now: float) -> int | None:
        """How many bits a second the sender may send in all, when it is to be told."""
        if now < self.next_deadline:
            return None
        if now - self._arrived_at >= SILENCE_S:
            self.next_deadline = inf
            return None
        self._turn_buckets(now)
        if self._cut_at < self._grown_at:  # else a cut is to be told
            self._grow(now)
        self._grown_at = now
        self.next_deadline = now + TELL_S
        return self.bitrate_bps

    def _turn_buckets(self, now: float) -> None:
        if now - self._bucket_until > BUCKETS * BUCKET_S:
            self._buckets.clear()
            self._bucket_bytes = 0
            self._bucket_until = now + BUCKET_S
        while now >= self._bucket_until:
            self._buckets.append(self._bucket_bytes)
            self._bucket_bytes = 0
            self._bucket_until += BUCKET_S

    def _arriving_bps(self) -> float:
        return 8 * sum(self._buckets) / (len(self._buckets) * BUCKET_S) if self._buckets else 0.0

    def _cut(self, now: float) -> None:
        arriving_bps = self._arriving_bps()
        self._cut_at = now
        self._cut_arriving_bps = arriving_bps
        lower = max(round(DECREASE * arriving_bps), FLOOR_BPS)
        if lower < self.bitrate_bps:
            self.bitrate_bps = lower
            self.next_deadline = now

    def _grow(self, now: float) -> None:
        arriving_bps = self._arriving_bps()
        cut_bps = self._cut_arriving_bps
        most_bps = (FIRST_HEADROOM if cut_bps is None else HEADROOM) * arriving_bps
        if self._detector.queue_s > STANDING_QUEUE_S:
            return
        if cut_bps is None:
            grown_bps = most_bps
        else:
            ratio = self.bitrate_bps / max(cut_bps, FLOOR_BPS)
            if NEAR[0] <= ratio <= NEAR[1]:
                growth = NEAR_GROWTH
            elif ratio > NEAR[1] and now - self._queued_at >= FREE_AFTER_S:
                growth = FREE_GROWTH
            else:
                growth = GROWTH
            grown_bps = self.bitrate_bps * (1 + growth) ** min(now - self._grown_at, 2 * TELL_S)
        # What was told is not taken back for an idle sender's sake.
        self.bitrate_bps = max(self.bitrate_bps, min(round(min(grown_bps, most_bps)), CAP_BPS))
