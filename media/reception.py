"""One RTP stream as it arrives: order, copies, losses and jitter (RFC 3550 A.1, A.3, A.8), its clock
(§6.4.1), and what it sent lately.

Sequence numbers are counted on without wrapping; the result, the packet's *index*, is what the rest of the
router reasons with.
"""

from __future__ import annotations

from typing import Final

from media.nack import MAX_MISSING, NackGenerator
from media.packet_history import AUDIO_WINDOW_S, VIDEO_WINDOW_S, PacketHistory
from media.rtcp import ReportBlock, SenderReport
from media.rtp import Ssrc
from media.sdp import Codec, MediaSection

MAX_DROPOUT: Final = (
    3000  # RFC 3550 A.1: packets; a longer jump is a restart, not a loss (one minute at 50 a second)
)
MAX_MISORDER: Final = 3000  # RFC 3550 says 100; repairs come up to 2 s late, which is more

REFUSED: Final = -1  # a duplicate, or a jump that the next packet must confirm
RESTARTED: Final = -2  # the sender counts from somewhere else: begin a new reception with this packet

VIDEO_REPAIR_S: Final = 2.0  # no browser's history goes back further
AUDIO_REPAIR_S: Final = 0.6  # a jitter buffer seldom waits longer than this for sound


class Reception:
    """The packets of one SSRC in one section of a peer's offer, from the first that arrived."""

    __slots__ = (
        "_arrived_at",
        "_bad_sequence_number",
        "_clock_rate",
        "_first",
        "_highest",
        "_jitter",
        "_missing",
        "_reported_expected",
        "_reported_received",
        "_reported_repaired",
        "_rtp_timestamp",
        "codecs",
        "fraction_lost",
        "highest_keyframe",
        "history",
        "is_recorded",
        "kind",
        "nacks",
        "number_at",
        "received",
        "received_bytes",
        "recorded_to",
        "repaired",
        "rid",
        "section",
        "sender_report",
        "sender_report_at",
        "ssrc",
    )

    def __init__(self, *, ssrc: Ssrc, section: MediaSection, sequence_number: int, rid: str = "") -> None:
        self.ssrc = ssrc
        self.rid = rid  # the encoding, where the section has several
        self.is_recorded = True  # of several encodings the best alone
        self.recorded_to = -1  # up to this index it was, before another was better
        self.number_at = 0  # where the transport-wide number stood in the last packet
        self.section = section
        self.kind = section.kind
        self.codecs: dict[int, Codec] = {codec.payload_type: codec for codec in section.codecs}
        self.nacks = NackGenerator(max_age_s=repair_time_s(section))
        is_video = section.kind == "video"
        self.history = PacketHistory(window_s=VIDEO_WINDOW_S if is_video else AUDIO_WINDOW_S)
        self.highest_keyframe = -1  # index of the packet in which the newest keyframe begins
        self.received = 0
        self.received_bytes = 0
        self.repaired = 0  # lost on the way, and had by other means than waiting
        self.fraction_lost = 0.0  # on the way, before repair, in the last interval of reports
        self.sender_report: SenderReport | None = None
        self.sender_report_at = 0.0
        self._clock_rate = section.codecs[0].clock_rate
        self._first = 0x1_0000 + sequence_number  # room below for packets that were overtaken
        self._highest = self._first - 1
        self._bad_sequence_number = -1
        self._missing: set[int] = set()  # below the newest; whatever else comes from there is a copy
        self._jitter = 0.0
        self._rtp_timestamp = -1  # none yet
        self._arrived_at = 0.0
        self._reported_expected = 0
        self._reported_received = 0
        self._reported_repaired = 0

    def handle_packet(self, sequence_number: int, rtp_timestamp: int, now: float) -> int:
        """The packet's index, or REFUSED, or RESTARTED."""
        highest = self._highest
        step = ((sequence_number - highest + 0x8000) & 0xFFFF) - 0x8000
        if step == 1:
            self._highest = index = highest + 1
        elif 1 < step < MAX_DROPOUT:
            self._highest = index = highest + step
            self.nacks.handle_gap(highest + 1, index, now)
            self._miss(highest + 1, index)
        elif -MAX_MISORDER < step < 0:
            index = highest + step
            if index < self._first:
                self._miss(index + 1, self._first)
                self._first = index
            elif index in self._missing:
                self._missing.remove(index)
            else:
                return REFUSED  # a copy: SRTP tells those of one stream, not those of its repair stream
            if self.nacks.handle_arrival(index):
                self.repaired += 1
            self.received += 1
            return index
        elif step == 0:
            return REFUSED
        else:
            # RFC 3550 A.1: two sequential packets, assume that the other side restarted without telling us.
            if sequence_number == self._bad_sequence_number:
                return RESTARTED
            self._bad_sequence_number = (sequence_number + 1) & 0xFFFF
            return REFUSED

        if rtp_timestamp != self._rtp_timestamp:
            if self.received:
                # RFC 3550 A.8, once a timestamp: the packets of one picture differ by their pacing alone.
                elapsed = ((rtp_timestamp - self._rtp_timestamp + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
                difference = abs((now - self._arrived_at) * self._clock_rate - elapsed)
                self._jitter += (difference - self._jitter) / 16
            self._rtp_timestamp = rtp_timestamp
            self._arrived_at = now
        self.received += 1
        return index

    @property
    def last_arrival(self) -> float:
        """When the stream's newest timestamp was first seen."""
        return self._arrived_at

    @property
    def first(self) -> int:
        """The index of the oldest packet that counts."""
        return self._first

    @property
    def highest(self) -> int:
        """The index of the newest packet."""
        return self._highest

    def index_of(self, sequence_number: int) -> int:
        """The index that this number has, or would have had, near the newest packet."""
        return self._highest + ((sequence_number - self._highest + 0x8000) & 0xFFFF) - 0x8000

    def misses(self, index: int) -> bool:
        """Whether a later packet has come, and this one has not."""
        return index in self._missing

    def lacks(self, index: int) -> bool:
        """Whether a packet of this index would be a new one, and no wild jump."""
        return (
            index in self._missing
            or self._highest < index < self._highest + MAX_DROPOUT
            or self._first - MAX_MISORDER < index < self._first
        )

    def _miss(self, first: int, end: int) -> None:
        """Remember a gap, unless it is one that is never repaired."""
        if end - first > MAX_MISSING:
            return
        self._missing.update(range(first, end))
        if len(self._missing) > 2 * MAX_MISORDER:
            oldest = self._highest - MAX_MISORDER
            self._missing = {index for index in self._missing if index > oldest}

    @property
    def expected(self) -> int:
        return self._highest - self._first + 1

    @property
    def lost(self) -> int:
        """RFC 3550 A.3: expected less received; repaired packets count as received."""
        return self.expected - self.received

    @property
    def jitter_s(self) -> float:
        return self._jitter / self._clock_rate

    def handle_sender_report(self, report: SenderReport, now: float) -> None:
        self.sender_report = report
        self.sender_report_at = now

    def report_block(self, now: float) -> ReportBlock:
        """What to tell the sender; each call closes an interval (RFC 3550 A.3).

        A packet that was repaired was received, says the RFC: a browser without transport-wide feedback takes
        each loss for congestion, and would starve the picture for what a lift's door does to the radio.
        """
        expected, received, repaired = self.expected, self.received, self.repaired
        expected_interval = expected - self._reported_expected
        lost_interval = expected_interval - (received - self._reported_received)
        missed_interval = lost_interval + repaired - self._reported_repaired
        self._reported_expected, self._reported_received = expected, received
        self._reported_repaired = repaired
        fraction_lost = 0
        self.fraction_lost = 0.0
        if expected_interval > 0:
            fraction_lost = min(255, max(0, lost_interval) * 256 // expected_interval)
            self.fraction_lost = min(1.0, max(0, missed_interval) / expected_interval)
        last, delay = 0, 0
        if self.sender_report is not None:
            last = self.sender_report.ntp_timestamp >> 16 & 0xFFFF_FFFF
            delay = int((now - self.sender_report_at) * 0x1_0000)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction_lost,
            packets_lost=self.lost,
            highest_sequence_number=self._highest - 0x1_0000,
            jitter=int(self._jitter),
            last_sender_report=last,
            delay_since_last_sender_report=delay,
        )


def repair_time_s(section: MediaSection) -> float:
    """How long a missing packet is worth asking for; 0 where the peer has not agreed to NACKs."""
    if not any("nack" in codec.feedback for codec in section.codecs):
        return 0.0
    return VIDEO_REPAIR_S if section.kind == "video" else AUDIO_REPAIR_S
