"""One outgoing stream: a receive slot's sound or picture, whoever sits in the slot.

Towards the receiver it is one RTP stream for the life of the connection: one SSRC, sequence numbers without a
break, timestamps that go on at the clock's pace while the people behind it change. A change of source keeps

    sequence number out = index in + offset        chosen so that the first is the next
    timestamp out       = timestamp in + offset    chosen so that as much time passes as really did

A gap in the source stays a gap here, so that the receiver sees it, and a late repair finds its place.
A picture begins with a keyframe: until one comes from a new source, nothing of it is passed on.

A packet leaves as a new head and the old payload, which is shared by all receivers and by the source's
history:

    head (receiver's numbers, extensions, RED blocks or OSN) │ packet[start:]

Loss on the way to the receiver is met as the receiver can read it: with retransmissions in a stream of their
own (RFC 4588) or the same bytes again; with sound that carries what was before it (RFC 2198), or comes twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from media import red
from media.reception import Reception
from media.rtcp import NTP_SECOND, ReportBlock, SenderReport
from media.rtp import (
    EXTENDED,
    EXTENSION,
    HEADER,
    HEADER_BYTES,
    IDENTIFIERS,
    MARKER,
    PADDING,
    Ssrc,
    header_size,
    rewrite_extensions,
)
from media.sdp import EXTENSION_MID, Codec, MediaSection

MAX_REWRITTEN = 512  # header extensions of one stream: 256 loudnesses, with MID and without
REMEMBERED_REPORTS = 4  # receivers answer the newest sender report, or the one before it

MIN_REPEAT_GATE_S = 0.02  # the shortest NACK timer in use (libwebrtc's is 20 ms)
MAX_REPEAT_GATE_S = 0.1  # so that a round trip measured too long never costs a repair
TWICE_FROM = 0.15  # of packets lost: from here on retransmissions go out twice, or rounds grow too many

# Who asks for much gets no more than this beside the media themselves: at 50 % loss twice the stream is
# needed. What was not asked for in time is not saved up: an hour's share would be 50 times the stream for as
# long as the sender's history is asked for over and over.
RESEND_SHARE = 2.0
RESEND_BURST_BYTES = 256 << 10  # 256 KiB: two seconds of 1 Mbit/s after an outage, all that is kept

# How many packets of sound before it each one carries, from which loss on. What is left of p after n:
# p^(n+1).
REDUNDANCY = ((0.25, 3), (0.1, 2), (0.015, 1))
REDUNDANT_BYTES = 400  # of payload: beyond speech's 80 a packet; keeps RED within a datagram
LOSS_HALF_LIFE_S = 4.0  # how fast loss that is no longer reported is forgotten: it comes in waves
LOSS_FORGOTTEN_S = 15.0  # after three reports of libwebrtc's slowest, of sound alone, nobody speaks of it
MEANINGFUL_PACKETS = 20  # of an interval: that one of three was asked for says nothing of the way

pack_header = HEADER.pack
unpack_header = HEADER.unpack_from

Part = tuple[bytes, bytes, int]  # head, packet, start: what leaves is head + packet[start:]


class Forwarder:
    """The state of one outgoing stream. `forward` is the hot path: it makes nothing but the head."""

    __slots__ = (
        "_asked",
        "_credited_bytes",
        "_first_index",
        "_highest_index",
        "_identifiers",
        "_payload_types",
        "_red_heads",
        "_repair_sequence_number",
        "_repeats",
        "_report_times",
        "_reported_asked",
        "_reported_at",
        "_reported_packets",
        "_resend_allowance",
        "_resent_at",
        "_rewritten",
        "_rtp_timestamp",
        "_sent_at",
        "_sequence_offset",
        "_source",
        "_timestamp_offset",
        "expected_loss",
        "fraction_lost",
        "jitter_s",
        "lost",
        "octets",
        "packets",
        "receiver_id",
        "redundancy",
        "repair_ssrc",
        "resent",
        "resent_bytes",
        "section",
        "sent_bytes",
        "ssrc",
        "waiting",
    )

    def __init__(
        self,
        *,
        receiver_id: str,
        ssrc: Ssrc,
        section: MediaSection,
        sequence_number: int,
        rtp_timestamp: int,
        repair_ssrc: Ssrc | None = None,
    ) -> None:
        """The two numbers are where the stream shall begin; they ought to be random (RFC 3550 §5.1)."""
        self.receiver_id = receiver_id
        self.ssrc = ssrc
        self.repair_ssrc = repair_ssrc
        self.section = section
        self.packets = 0  # of the stream itself, without what was sent again
        self.octets = 0  # of payload, as sender reports count
        self.sent_bytes = 0
        self.resent = 0
        self.resent_bytes = 0
        self.lost = 0
        self.fraction_lost = 0.0  # on the way, before repair, as far as the receiver's reports and NACKs tell
        self.expected_loss = 0.0  # the same, as it is likely to come: what repair is measured by
        self.jitter_s = 0.0
        self.redundancy = 0  # how many packets of sound before it each one carries
        self.waiting = True  # for the packet that a new source can begin with
        self._source: Reception | None = None
        self._payload_types: dict[int, tuple[int, int | None]] = {}  # header byte in: those out, and of RTX
        self._identifiers = bytes(IDENTIFIERS)
        self._rewritten: dict[bytes, bytes] = {}  # header extensions, from the source's to the receiver's
        self._sequence_offset = sequence_number
        self._timestamp_offset = rtp_timestamp
        self._first_index = 0
        self._highest_index = -1
        self._rtp_timestamp = rtp_timestamp
        self._sent_at: float | None = None
        self._repair_sequence_number = sequence_number
        self._red_heads: dict[int, bytes] = {}  # of packets that left as RED, by index
        self._resent_at: dict[int, float] = {}
        self._resend_allowance: float = RESEND_BURST_BYTES  # bytes; the share of `_credited_bytes` is in it
        self._credited_bytes = 0
        self._asked = 0  # different packets that NACKs have named
        self._repeats = 0  # sent again in the stream itself
        self._reported_at = 0.0
        self._reported_asked = 0
        self._reported_packets = 0
        self._report_times: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_REPORTS)

    @property
    def next_sequence_number(self) -> int:
        return (self._highest_index + 1 + self._sequence_offset) & 0xFFFF

    def release(self) -> None:
        """The source left the slot; whoever comes next continues the stream."""
        self._source = None
        self.waiting = True

    def begin(self, source: Reception, index: int, rtp_timestamp: int, now: float) -> None:
        """A source's packet of this index is the next of the stream; nothing before it has a place here."""
        self._source = source
        self.waiting = False
        self._payload_types = payload_types_between(source.section, self.section)
        self._identifiers = identifiers_between(source.section, self.section)
        self._rewritten.clear()
        self._red_heads.clear()
        self._resent_at.clear()
        self._sequence_offset += self._highest_index + 1 - index
        if self._sent_at is not None:
            passed_s = now - self._sent_at
            self._rtp_timestamp += max(1, round(passed_s * source.section.codecs[0].clock_rate))
        self._timestamp_offset = self._rtp_timestamp - rtp_timestamp
        self._first_index = index
        self._highest_index = index - 1
        self._report_times.clear()

    def speaks(self, source: Reception, second: int) -> bool:
        """Whether the receiver can decode what this header byte of the source announces."""
        if self._source is not source:
            return second in payload_types_between(source.section, self.section)
        return second in self._payload_types

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
        """The head of the packet in the receiver's numbers, before what it has from `size_bytes` on, or None
        if it is not for them. `first` and `second` are the header's first bytes, `size_bytes` its checked
        size.
        """
        numbers = self._payload_types.get(second)
        # What the source sent before it came into this slot has no number here.
        if numbers is None or index < self._first_index or source is not self._source:
            return None
        rtp_timestamp = (rtp_timestamp + self._timestamp_offset) & 0xFFFF_FFFF
        if index > self._highest_index:
            self._highest_index = index
            self._rtp_timestamp = rtp_timestamp
            self._sent_at = now
        else:
            self._resent_at[index] = now  # a repair: whoever asks for it now has not waited for it
        head = pack_header(
            first, numbers[0], (index + self._sequence_offset) & 0xFFFF, rtp_timestamp, self.ssrc
        )
        if first == EXTENDED:
            # A camera turns seldom, loudness has 256 values: the same few extensions come again and again.
            extension = packet[HEADER_BYTES:size_bytes]
            head += self._rewritten.get(extension) or self._rewrite(extension, packet, size_bytes)
        elif size_bytes != HEADER_BYTES:
            head += self._rewritten_anew(packet, size_bytes)
        if self.redundancy:
            head = self._with_redundancy(head, source, index, rtp_timestamp)
        payload_bytes = len(packet) - size_bytes
        self.packets += 1
        self.octets += payload_bytes
        self.sent_bytes += payload_bytes + len(head)
        return head

    def _rewrite(self, extension: bytes, packet: bytes, size_bytes: int) -> bytes:
        if len(self._rewritten) == MAX_REWRITTEN:
            self._rewritten.clear()
        rewritten = self._rewritten[extension] = self._rewritten_anew(packet, size_bytes)
        return rewritten

    def _rewritten_anew(self, packet: bytes, size_bytes: int) -> bytes:
        """Contributing sources and extensions, from the source's identifiers to the receiver's."""
        patched = bytearray(packet[:size_bytes])
        if packet[0] & EXTENSION:
            rewrite_extensions(patched, self._identifiers, size_bytes)
        return bytes(patched[HEADER_BYTES:])

    def _with_redundancy(self, head: bytes, source: Reception, index: int, rtp_timestamp: int) -> bytes:
        """Turn the head of an Opus packet into that of a RED packet with those before it as far as they are
        here.

        It is kept, because a packet that is sent again has to be the same to the byte.
        """
        red_payload_type = self.section.redundant_payload_type
        if red_payload_type is None or head[0] & PADDING:
            return head
        blocks: list[red.Redundant] = []
        room_bytes = REDUNDANT_BYTES
        for before in range(index - 1, max(index - 1 - self.redundancy, self._first_index - 1), -1):
            # RFC 2198 tells blocks apart by their time alone: what is not here leaves no hole.
            kept = source.history.packets.get(before)
            if kept is None or kept[0][0] & PADDING:
                continue
            numbers, start = self._payload_types.get(kept[0][1]), header_size(kept[0])
            if numbers is None or len(kept[0]) == start:
                continue
            offset = (rtp_timestamp - self._timestamp_offset - unpack_header(kept[0])[3]) & 0xFFFF_FFFF
            room_bytes -= len(kept[0]) - start
            if not 0 < offset <= red.MAX_OFFSET or room_bytes < 0:
                break
            blocks.append(red.Redundant(numbers[0] & ~MARKER, offset, kept[0][start:]))
        if not blocks:
            return head
        blocks.reverse()
        redundancy = red.encode_head(head[1] & ~MARKER, blocks)
        self.octets += len(redundancy)
        red_head = head[:1] + bytes([head[1] & MARKER | red_payload_type]) + head[2:] + redundancy
        self._red_heads[index] = red_head
        return red_head

    def repeat(self, source: Reception, index: int, now: float) -> Part | None:
        """The packet again, where loss is high and the receiver reads no RED: what came before the newest."""
        if not self.redundancy or self.section.redundant_payload_type is not None:
            return None
        if index + 1 != self._highest_index:
            return None  # what is here late is a repair itself
        part = self._again(source, index, now)
        if part is not None:
            self._count_resent(part)
        return part

    def resend(
        self, sequence_numbers: Iterable[int], now: float, round_trip_s: float
    ) -> tuple[list[Part], list[int]]:
        """What a NACK asks for: the packets, as far as they are kept and not under way already, and the
        source's indices of those that never came. A receiver that asks twice within a round trip has not
        waited for the answer; one that asks for more than its share is not answered.
        """
        parts: list[Part] = []
        absent: list[int] = []
        source = self._source
        if source is None or self.waiting:
            return parts, absent
        earned = RESEND_SHARE * (self.sent_bytes - self._credited_bytes)
        self._credited_bytes = self.sent_bytes
        self._resend_allowance = min(RESEND_BURST_BYTES, self._resend_allowance + earned)
        gate_s = min(max(round_trip_s, MIN_REPEAT_GATE_S), MAX_REPEAT_GATE_S)
        newest = (self._highest_index + self._sequence_offset) & 0xFFFF
        oldest = next(iter(source.history.packets), self._highest_index)  # before it, what came is forgotten
        for sequence_number in sequence_numbers:
            behind = (newest - sequence_number) & 0xFFFF
            index = self._highest_index - behind
            if index < self._first_index or behind >= 0x8000:
                continue
            resent_at = self._resent_at.get(index)
            if resent_at is not None and now - resent_at < gate_s:
                continue
            part = self._again(source, index, now)
            if part is None:
                if index > oldest and index not in source.history.packets:
                    absent.append(index)
                continue
            if resent_at is None:
                self._asked += 1
            if self._resend_allowance < len(part[1]):
                break
            self._resent_at[index] = now
            in_repair_stream = self._repair_payload_type(part) is not None
            copies = 2 if in_repair_stream and self.expected_loss >= TWICE_FROM else 1
            for _ in range(copies):
                repair = self._as_repair(part)
                self._count_resent(repair)
                parts.append(repair)
        return parts, absent

    def _again(self, source: Reception, index: int, now: float) -> Part | None:
        """The packet of this index as it was sent, if it is still at hand."""
        packet = source.history.get(index, now)
        if packet is None or index < self._first_index:
            return None
        size_bytes = header_size(packet)
        head = self._red_heads.get(index)
        if head is None:
            first, second, _, rtp_timestamp, _ = unpack_header(packet)
            numbers = self._payload_types.get(second)
            if numbers is None:
                return None
            head = pack_header(
                first,
                numbers[0],
                (index + self._sequence_offset) & 0xFFFF,
                (rtp_timestamp + self._timestamp_offset) & 0xFFFF_FFFF,
                self.ssrc,
            )
            if size_bytes != HEADER_BYTES:
                head += self._rewritten_anew(packet, size_bytes)
        return head, packet, size_bytes

    def _repair_payload_type(self, part: Part) -> int | None:
        """That of retransmissions of this packet; None if it goes out again as it was."""
        _, repair_payload_type = self._payload_types.get(part[1][1], (0, None))
        return repair_payload_type if self.repair_ssrc is not None else None

    def _as_repair(self, part: Part) -> Part:
        """In the repair stream (RFC 4588 §4), where the receiver has agreed on one; else as it was."""
        head, packet, start = part
        repair_payload_type = self._repair_payload_type(part)
        if self.repair_ssrc is None or repair_payload_type is None:
            return part
        self._repair_sequence_number = (self._repair_sequence_number + 1) & 0xFFFF
        first, second, original_number, rtp_timestamp, _ = unpack_header(head)
        repair_head = pack_header(
            first,
            second & MARKER | repair_payload_type,
            self._repair_sequence_number,
            rtp_timestamp,
            self.repair_ssrc,
        )
        return repair_head + head[HEADER_BYTES:] + original_number.to_bytes(2), packet, start

    def _count_resent(self, part: Part) -> None:
        head, packet, start = part
        size_bytes = len(head) + len(packet) - start
        self.resent += 1
        self.resent_bytes += size_bytes
        if int.from_bytes(head[8:HEADER_BYTES]) == self.ssrc:
            self._repeats += 1
            self.octets += size_bytes - start  # the header is as long as the one that came
        self._resend_allowance -= size_bytes

    def prune(self, now: float) -> None:
        """Forget what was sent again, and how, once it is not at hand any more, and not before: a packet that
        left as RED must never leave as another. Forget losses of which nobody speaks any more, too.
        """
        kept = self._source.history.packets if self._source is not None else {}
        self._resent_at = {index: at for index, at in self._resent_at.items() if index in kept}
        self._red_heads = {index: head for index, head in self._red_heads.items() if index in kept}
        if now - self._reported_at > LOSS_FORGOTTEN_S:
            self.fraction_lost = self.expected_loss = 0.0

    def sender_report(self, now: float, clock_offset: int) -> SenderReport | None:
        """The source's last report, carried on to `now` and into the numbers of this stream; None as long as
        the source has made none. `clock_offset` brings its NTP clock to the relay's: the same for all streams
        of a peer, so that sound and picture stay as far apart as their sender says.
        """
        source = self._source
        if source is None or source.sender_report is None or self.waiting:
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
            packet_count=self.packets + self._repeats,
            octet_count=self.octets,
        )

    def handle_report_block(self, block: ReportBlock, now: float) -> float | None:
        """What the receiver says of this stream. The round trip in seconds, if it tells (RFC 3550 §6.4.1)."""
        self.lost = block.packets_lost
        self.jitter_s = block.jitter / self.section.codecs[0].clock_rate
        # What the receiver asked for of what was sent is what this way lost. Its report also counts the
        # source's gaps, and may count repairs as received: it speaks for those alone who never ask.
        asked, sent = self._asked - self._reported_asked, self.packets - self._reported_packets
        self._reported_asked, self._reported_packets = self._asked, self.packets
        now_lost = block.fraction_lost / 256
        if self._asked > 0:
            now_lost = min(1.0, asked / max(sent, MEANINGFUL_PACKETS))
        self.fraction_lost = now_lost
        remembered = self.expected_loss * 0.5 ** ((now - self._reported_at) / LOSS_HALF_LIFE_S)
        self.expected_loss = max(now_lost, remembered)
        self._reported_at = now
        for last_sender_report, sent_at in self._report_times:
            if last_sender_report == block.last_sender_report:
                return max(0.0, now - sent_at - block.delay_since_last_sender_report / 0x1_0000)
        return None


def payload_types_between(source: MediaSection, target: MediaSection) -> dict[int, tuple[int, int | None]]:
    """Second header bytes, with marker and without, from the numbers of one offer to those of another, and
    the payload type there of retransmissions.
    """
    found: dict[int, tuple[int, int | None]] = {}
    for codec in source.codecs:
        for other in target.codecs:
            if same_codec(codec, other):
                found[codec.payload_type] = other.payload_type, other.repair_payload_type
                found[codec.payload_type | MARKER] = other.payload_type | MARKER, other.repair_payload_type
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
