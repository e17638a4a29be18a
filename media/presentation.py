"""When what was sent is to be seen and heard: RTP timestamps on the clock of the server's arrivals. Pure.

    sender ── reports ──> SenderClock: its NTP clock, laid on ours once for all its streams
    stream ── packets ──> StreamClock: presentation time = RTP timestamp + offset

- A report says which NTP time an RTP timestamp is (RFC 3550 §6.4.1). Sound and picture share the NTP clock,
  and are in step where both are put on it. One offset leads from there to our clock: the least that a report
  took to arrive. Without reports a stream is put where its fastest packets arrived.
- Clocks drift: an offset follows what is measured, too slowly to be heard. What cannot be drift is a break:
  a phone call stops the timestamps of a handset, a device is exchanged. From there on the offset is measured
  anew. Delay on the network comes and goes; a break stays, and that is how the two are told apart.
- The sender's wall clock may be set while it sends: all its streams' reports move together then, against the
  arrivals too, and the step is taken out.

All times are microseconds as integers: the same records give the same file on any machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from statistics import median_low
from typing import NamedTuple

from media.rtcp import NTP_SECOND

SECOND_US = 1_000_000
SLEW_PER_SECOND_US = 5_000  # half a per cent: inaudible, and ten times the worst crystal
MAX_SLEWED_S = 1  # a pause is no time to catch up in
BREAK_US = 200_000  # sound and picture this far apart are seen to be; queues in networks grow more slowly
CONFIRMED_WITHIN_US = 2 * SECOND_US  # what is late only for the while that a repair or a full queue takes
MAX_CONFIRMING = 2_000  # packets looked at for it: 2 s of 10 Mbit/s
REPORT_JUMP_US = 100_000  # libwebrtc's reports scatter by less than 20 ms
FOREIGN_CLOCK_US = SECOND_US  # a report that arrives this much off comes from another device's clock
SMOOTHED_REPORTS = 9  # the median of them stands still while single ones scatter
KEPT_REPORTS = 64  # of one stream: one a second, and as many as the look-ahead holds thrice
REPORT_DELAYS = 30  # whose least is taken: half a minute, in which one comes through undelayed
MAX_DISAGREEMENT_US = 5 * SECOND_US  # between reports and arrivals: more, and the reports are of no use
TARGET_INTERVAL_US = SECOND_US // 4


class Timed(NamedTuple):
    """A packet's arrival and its RTP timestamp in microseconds, counted on without wrapping."""

    arrived_us: int
    media_us: int


class Report(NamedTuple):
    """`offset_us` leads from the RTP timestamp to the sender's clock; reports of one run agree in it."""

    arrived_us: int
    offset_us: int
    run: int


def ntp_us(ntp_timestamp: int) -> int:
    """An NTP timestamp of 32.32 bits in microseconds."""
    return ntp_timestamp * SECOND_US // NTP_SECOND


class SenderClock:
    """The NTP clock of one sender, rid of its steps, and the offset from it to the clock of arrivals."""

    def __init__(self) -> None:
        self._steps_us = 0
        self._delays: deque[tuple[int, str, int]] = deque(maxlen=REPORT_DELAYS)  # stream, kind, delay
        self._last_delay_us: int | None = None

    @property
    def offset_us(self) -> int:
        """What to add to the sender's time; there has been a report."""
        return min(delay_us for _, _, delay_us in self._delays)

    def handle_report(
        self, stream: int, kind: str, at: Timed, sender_us: int, last: tuple[int, int] | None
    ) -> tuple[int, int]:
        """The report's (sender's time, offset from media time) without steps. `last` is what this returned
        for the stream's report before.
        """
        sender_us -= self._steps_us
        delay_us = at.arrived_us - sender_us
        step_us = 0
        if last is not None and self._last_delay_us is not None:
            jump_us = sender_us - at.media_us - last[1]
            moved_us = delay_us - self._last_delay_us
            # A clock that is set moves its reports against the arrivals, too; a stream that breaks does not.
            if abs(jump_us) > REPORT_JUMP_US and abs(moved_us + jump_us) < abs(moved_us):
                step_us = jump_us
        elif self._delays and abs(delay_us - self.offset_us) > FOREIGN_CLOCK_US:
            step_us = self.offset_us - delay_us
        if step_us:
            self._steps_us += step_us
            sender_us -= step_us
            delay_us += step_us
        if last is None:
            # Its forerunner may have been another device's.
            kept = [each for each in self._delays if each[0] == stream or each[1] != kind]
            self._delays = deque(kept, maxlen=REPORT_DELAYS)
        self._delays.append((stream, kind, delay_us))
        self._last_delay_us = delay_us
        return sender_us, sender_us - at.media_us


class StreamClock:
    """One stream's presentation times. Packets are given in their order, each with the packets behind it."""

    def __init__(self, sender: SenderClock, number: int, kind: str) -> None:
        self._sender = sender
        self._number = number
        self._kind = kind
        self._reports: deque[Report] = deque(maxlen=KEPT_REPORTS)
        self._last_report: tuple[int, int] | None = None
        self._run = 0
        self._epoch_us = 0  # arrival of the first packet since the last break
        self._offset_us: int | None = None
        self._floor_us = 0  # the least offset from media time to arrival, as it is now
        self._last = Timed(0, 0)
        self._last_us = -(1 << 62)  # the presentation time given last
        self._settled_until_us = -1  # late packets that arrived until here are known to be no break
        self._target_at_us = 0

    def handle_report(self, at: Timed, ntp_timestamp: int) -> None:
        """A sender report of this stream has arrived. Reports are given as early as they are known."""
        if not ntp_timestamp:
            return  # RFC 3550 §6.4.1: a sender that has no notion of time MAY set it to zero
        last = self._last_report
        before = last[1] if last is not None else None
        self._last_report = self._sender.handle_report(
            self._number, self._kind, at, ntp_us(ntp_timestamp), last
        )
        offset_us = self._last_report[1]
        if before is not None and abs(offset_us - before) > REPORT_JUMP_US:
            self._run += 1
        self._reports.append(Report(at.arrived_us, offset_us, self._run))

    def presentation_us(self, packet: Timed, behind: Callable[[], Iterable[Timed]]) -> int:
        """When to present a packet, never before the last. `behind` gives those that are known to follow."""
        transit_us = packet.arrived_us - packet.media_us
        if self._offset_us is None:
            self._begin(packet, behind)
        else:
            elapsed_us = min(max(0, packet.media_us - self._last.media_us), MAX_SLEWED_S * SECOND_US)
            slew_us = elapsed_us * SLEW_PER_SECOND_US // SECOND_US
            self._floor_us += slew_us
            if (
                packet.media_us < self._last.media_us  # behind the one before it, and earlier
                or transit_us < self._floor_us - BREAK_US
                or self._stays_late(packet, transit_us, behind)
            ):
                self._begin(packet, behind)
            else:
                self._floor_us = min(self._floor_us, transit_us)
                if packet.arrived_us >= self._target_at_us:
                    self._target_at_us = packet.arrived_us + TARGET_INTERVAL_US
                    self._aim(packet.arrived_us)
                self._approach(slew_us)
        self._last = packet
        assert self._offset_us is not None
        self._last_us = max(self._last_us, packet.media_us + self._offset_us)
        return self._last_us

    def _begin(self, packet: Timed, behind: Callable[[], Iterable[Timed]]) -> None:
        """The first packet, or the first behind a break."""
        self._epoch_us = packet.arrived_us
        self._floor_us = packet.arrived_us - packet.media_us
        for count, other in enumerate(behind()):
            transit_us = other.arrived_us - other.media_us
            if (
                count == MAX_CONFIRMING
                or other.arrived_us > packet.arrived_us + CONFIRMED_WITHIN_US
                or transit_us < self._floor_us - BREAK_US
            ):
                break
            self._floor_us = min(self._floor_us, transit_us)
        self._settled_until_us = -1
        self._aim(packet.arrived_us)
        self._offset_us = self._target_us
        self._target_at_us = packet.arrived_us + TARGET_INTERVAL_US

    def _stays_late(self, packet: Timed, transit_us: int, behind: Callable[[], Iterable[Timed]]) -> bool:
        limit_us = self._floor_us + BREAK_US
        if transit_us <= limit_us or packet.arrived_us <= self._settled_until_us:
            return False
        for count, other in enumerate(behind()):
            if count == MAX_CONFIRMING or other.arrived_us > packet.arrived_us + CONFIRMED_WITHIN_US:
                break
            if other.arrived_us - other.media_us <= limit_us:
                self._settled_until_us = other.arrived_us
                return False
        return True

    def _aim(self, now_us: int) -> None:
        """Where the offset should be at this arrival."""
        self._target_us = self._floor_us
        run: int | None = None
        for report in self._reports:
            if report.arrived_us >= self._epoch_us and (run is None or report.arrived_us <= now_us):
                run = report.run
        if run is None:
            return
        newest = [report.offset_us for report in self._reports if report.run == run][-SMOOTHED_REPORTS:]
        reported_us = median_low(newest) + self._sender.offset_us
        if abs(reported_us - self._floor_us) <= MAX_DISAGREEMENT_US:
            self._target_us = reported_us

    def _approach(self, slew_us: int) -> None:
        assert self._offset_us is not None
        distance_us = self._target_us - self._offset_us
        if abs(distance_us) > REPORT_JUMP_US:
            self._offset_us = self._target_us
        else:
            self._offset_us += max(-slew_us, min(slew_us, distance_us))
