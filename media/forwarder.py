"""One outgoing stream: a receive slot's sound or picture, whoever sits in the slot.

Towards the receiver it is one RTP stream for the life of the connection: one SSRC, sequence numbers without a
break, timestamps that go on at the clock's pace while the people behind it change. A change of source keeps

    sequence number out = index in + offset        chosen so that the first is the next
    timestamp out       = timestamp in + offset    chosen so that as much time passes as really did

A gap in the source stays a gap here, so that the receiver sees it, and a late repair finds its place.
A picture begins with a keyframe: until one comes from a new source, nothing of it is passed on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from media.depacketizer import is_keyframe_start
from media.packet_history import AUDIO_WINDOW_S, VIDEO_WINDOW_S, PacketHistory
from media.reception import Reception
from media.rtcp import NTP_SECOND, ReportBlock, SenderReport
from media.rtp import (
    EXTENDED,
    EXTENSION,
    HEADER,
    HEADER_BYTES,
    IDENTIFIERS,
    MARKER,
    PAYLOAD_TYPE,
    Ssrc,
    rewrite_extensions,
)
from media.sdp import EXTENSION_MID, Codec, MediaSection

MAX_REWRITTEN = 512  # header extensions of one stream: 256 loudnesses, with MID and without
MAX_EARLY = 128  # packets: a keyframe of 140 kB, far above those of a phone's camera
REMEMBERED_REPORTS = 4  # receivers answer the newest sender report, or the one before it

pack_header = HEADER.pack
patch_header = HEADER.pack_into


class Forwarder:
    """The state of one outgoing stream. `forward` is the hot path: it makes nothing but the bytes."""

    __slots__ = (
        "_early",
        "_first_index",
        "_highest_index",
        "_identifiers",
        "_payload_types",
        "_report_times",
        "_rewritten",
        "_rtp_timestamp",
        "_sent_at",
        "_sequence_number",
        "_sequence_offset",
        "_source",
        "_timestamp_offset",
        "_waiting",
        "fraction_lost",
        "has_early",
        "history",
        "jitter_s",
        "lost",
        "octets",
        "packets",
        "receiver_id",
        "section",
        "sent_bytes",
        "ssrc",
    )

    def __init__(
        self, *, receiver_id: str, ssrc: Ssrc, section: MediaSection, sequence_number: int, rtp_timestamp: int
    ) -> None:
        """The two numbers are where the stream shall begin; they ought to be random (RFC 3550 §5.1)."""
        self.receiver_id = receiver_id
        self.ssrc = ssrc
        self.history = PacketHistory(window_s=VIDEO_WINDOW_S if section.kind == "video" else AUDIO_WINDOW_S)
        self.packets = 0
        self.octets = 0  # of payload, as sender reports count
        self.sent_bytes = 0
        self.lost = 0
        self.fraction_lost = 0
        self.jitter_s = 0.0
        self.section = section
        self._source: Reception | None = None
        self._waiting = False  # for the keyframe that a new source begins with
        self._early: deque[tuple[int, bytes, int, int, int, int]] = deque(maxlen=MAX_EARLY)
        self.has_early = False
        self._payload_types: dict[int, int] = {}  # second header byte in: second header byte out
        self._identifiers = bytes(IDENTIFIERS)
        self._rewritten: dict[bytes, bytes] = {}  # header extensions, from the source's to the receiver's
        self._sequence_offset = 0
        self._timestamp_offset = 0
        self._first_index = 0
        self._highest_index = 0
        self._sequence_number = (sequence_number - 1) & 0xFFFF
        self._rtp_timestamp = rtp_timestamp
        self._sent_at: float | None = None
        self._report_times: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_REPORTS)

    def release(self) -> None:
        """The source left the slot; whoever comes next continues the stream."""
        self._source = None
        self._early.clear()

    def forward(
        self,
        source: Reception,
        packet: bytes,
        first: int,
        second: int,
        index: int,
        rtp_timestamp: int,
        size_bytes: int,
        now: float,
    ) -> bytes | None:
        """The packet in the receiver's numbers, or None if it is not for them (now). `first` and `second` are
        the header's first bytes, `size_bytes` is its checked size. When `has_early`, `take_early` has more.
        """
        if source is not self._source:
            self._take(source)
        second_out = self._payload_types.get(second)
        if second_out is None:  # a codec that the receiver does not speak
            return None
        if self._waiting:
            codec = source.codecs[second & PAYLOAD_TYPE]
            if source.kind == "video" and not is_keyframe_start(codec.name, packet[size_bytes:]):
                self._early.append((index, packet, first, second, rtp_timestamp, size_bytes))
                return None
            self._begin(index, rtp_timestamp, codec.clock_rate, now)
        # What the source sent before it came into this slot has no number here.
        if index < self._first_index:
            return None
        sequence_number = (index + self._sequence_offset) & 0xFFFF
        rtp_timestamp = (rtp_timestamp + self._timestamp_offset) & 0xFFFF_FFFF
        if first == EXTENDED:
            # A camera turns seldom, loudness has 256 values: the same few extensions come again and again.
            extension = packet[HEADER_BYTES:size_bytes]
            rewritten = self._rewritten.get(extension)
            if rewritten is None:
                rewritten = self._rewrite(extension, packet, size_bytes)
            packet = (
                pack_header(first, second_out, sequence_number, rtp_timestamp, self.ssrc)
                + rewritten
                + packet[size_bytes:]
            )
        elif first & EXTENSION:
            patched = bytearray(packet)
            patch_header(patched, 0, first, second_out, sequence_number, rtp_timestamp, self.ssrc)
            rewrite_extensions(patched, self._identifiers, size_bytes)
            packet = bytes(patched)
        else:
            packet = (
                pack_header(first, second_out, sequence_number, rtp_timestamp, self.ssrc)
                + packet[HEADER_BYTES:]
            )
        if index > self._highest_index:
            self._highest_index = index
            self._sequence_number = sequence_number
            self._rtp_timestamp = rtp_timestamp
            self._sent_at = now
        self.history.store(sequence_number, packet, now)
        length = len(packet)
        self.packets += 1
        self.sent_bytes += length
        self.octets += length - size_bytes
        return packet

    def _rewrite(self, extension: bytes, packet: bytes, size_bytes: int) -> bytes:
        if len(self._rewritten) == MAX_REWRITTEN:
            self._rewritten.clear()
        patched = bytearray(packet[:size_bytes])
        rewrite_extensions(patched, self._identifiers, size_bytes)
        rewritten = self._rewritten[extension] = bytes(patched[HEADER_BYTES:])
        return rewritten

    def _take(self, source: Reception) -> None:
        """Plan once what is the same for all packets of a source."""
        self._source = source
        self._payload_types = payload_types_between(source.section, self.section)
        self._identifiers = identifiers_between(source.section, self.section)
        self._rewritten.clear()
        self._waiting = True
        self._early.clear()

    def _begin(self, index: int, rtp_timestamp: int, clock_rate: int, now: float) -> None:
        self._waiting = False
        self._sequence_offset = self._sequence_number + 1 - index
        if self._sent_at is not None:
            self._rtp_timestamp += max(1, round((now - self._sent_at) * clock_rate))
        self._timestamp_offset = self._rtp_timestamp - rtp_timestamp
        self._first_index = index
        self._highest_index = index - 1
        self._report_times.clear()
        self.has_early = bool(self._early)

    def take_early(self, now: float) -> list[bytes]:
        """What came before the keyframe's first packet and belongs behind it: that packet had been lost, and
        its repair has begun the stream.
        """
        self.has_early = False
        source, early = self._source, sorted(self._early)
        self._early.clear()
        if source is None:
            return []
        packets = []
        for index, packet, first, second, rtp_timestamp, size_bytes in early:
            forwarded = self.forward(source, packet, first, second, index, rtp_timestamp, size_bytes, now)
            if forwarded is not None:
                packets.append(forwarded)
        return packets

    def resend(self, sequence_numbers: Iterable[int], now: float, round_trip_s: float) -> list[bytes]:
        """The packets that a NACK asks for, as far as they are kept and not under way already."""
        packets = []
        for sequence_number in sequence_numbers:
            packet = self.history.resend(sequence_number, now, round_trip_s)
            if packet is not None:
                packets.append(packet)
                self.packets += 1
                self.sent_bytes += len(packet)
                self.octets += len(packet) - HEADER_BYTES
        return packets

    def sender_report(self, now: float, clock_offset: int) -> SenderReport | None:
        """The source's last report, carried on to `now` and into the numbers of this stream; None as long as
        the source has made none. `clock_offset` brings its NTP clock to the relay's: the same for all streams
        of a peer, so that sound and picture stay as far apart as their sender says.
        """
        source = self._source
        if source is None or source.sender_report is None or self._waiting:
            return None
        passed_s = now - source.sender_report_at
        clock_rate = source.section.codecs[0].clock_rate
        ntp_timestamp = (
            source.sender_report.ntp_timestamp + clock_offset + int(passed_s * NTP_SECOND)
        ) & 0xFFFF_FFFF_FFFF_FFFF
        self._report_times.append((ntp_timestamp >> 16 & 0xFFFF_FFFF, now))
        return SenderReport(
            ssrc=self.ssrc,
            ntp_timestamp=ntp_timestamp,
            rtp_timestamp=(
                source.sender_report.rtp_timestamp + self._timestamp_offset + round(passed_s * clock_rate)
            )
            & 0xFFFF_FFFF,
            packet_count=self.packets,
            octet_count=self.octets,
        )

    def handle_report_block(self, block: ReportBlock, now: float) -> float | None:
        """What the receiver says of this stream. The round trip in seconds, if it tells (RFC 3550 §6.4.1)."""
        self.fraction_lost = block.fraction_lost
        self.lost = block.packets_lost
        self.jitter_s = block.jitter / self.section.codecs[0].clock_rate
        for last_sender_report, sent_at in self._report_times:
            if last_sender_report == block.last_sender_report:
                return max(0.0, now - sent_at - block.delay_since_last_sender_report / 0x1_0000)
        return None


def payload_types_between(source: MediaSection, target: MediaSection) -> dict[int, int]:
    """Second header bytes, with marker and without, from the numbers of one offer to those of another."""
    found: dict[int, int] = {}
    for codec in source.codecs:
        for other in target.codecs:
            if same_codec(codec, other):
                found[codec.payload_type] = other.payload_type
                found[codec.payload_type | MARKER] = other.payload_type | MARKER
                break
    return found


def same_codec(one: Codec, other: Codec) -> bool:
    """Whether a stream of one can be decoded as the other. Levels and profiles within H.264 baseline are not
    told apart: decoders go beyond the level they state, and browsers make constrained baseline of them all.
    """
    return (one.name, one.clock_rate, one.channels) == (other.name, other.clock_rate, other.channels)


def identifiers_between(source: MediaSection, target: MediaSection) -> bytes:
    """For each header extension identifier of one offer that of the other, or 0. MID names a section of the
    source's own offer, and would bind the stream to a wrong section at the receiver: it is never passed on.
    """
    identifiers = bytearray(IDENTIFIERS)
    for uri, identifier in source.header_extensions:
        other = target.extension_id(uri)
        if uri != EXTENSION_MID and other is not None:
            identifiers[identifier] = other
    return bytes(identifiers)
