"""One outgoing stream: a receive slot's sound or picture, whoever sits in the slot.

Towards the receiver it is one RTP stream for the life of the connection: one SSRC, sequence numbers without a
break, timestamps that go on at the clock's pace while the people behind it change. A change of source keeps

    sequence number out = index in + offset        chosen so that the first is the next
    timestamp out       = timestamp in + offset    chosen so that as much time passes as really did

A gap in the source stays a gap here, so that the receiver sees it, and a late repair finds its place.
A picture begins with a keyframe: until one comes from a new source, nothing of it is passed on. Another
encoding of the same camera is a new source, too; the old one goes on until the keyframe is there.

What is left out on purpose leaves no gap: of temporal layers that do not fit (layer_filter.py), of pictures
between two stills. A receiver that saw one would ask for what it shall not get.

A packet leaves as a new head and the old payload, which is shared by all receivers and by the source's
history:

    head (receiver's numbers, extensions, RED blocks or OSN, VP8 descriptor in its numbers) │ packet[start:]

Where the receiver counts all that is sent to it, the head has room for that number, 0 as long as it is not
sent (downlink.py fills it in).

Loss on the way to the receiver is met as the receiver can read it: with retransmissions in a stream of their
own (RFC 4588) or the same bytes again; with sound that carries what was before it (RFC 2198), or comes twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf
from typing import Final

from mypy_extensions import mypyc_attr

from media import red
from media.depacketizer import VP8
from media.errors import MalformedPayload
from media.layer_filter import LayerFilter, Omissions
from media.packet_history import Indexed, Kept, Ring
from media.reception import Reception
from media.rtcp import NTP_SECOND, ReportBlock, SenderReport
from media.rtp import (
    CSRC_COUNT,
    EXTENSION,
    HEADER_BYTES,
    IDENTIFIERS,
    MARKER,
    PADDING,
    PAYLOAD_TYPE,
    VERSION_2,
    VERSION_MASK,
    Ssrc,
    encode_head,
    extension_block,
    header_end,
    header_size,
    passed_elements,
    rtp_timestamp_of,
    ssrc_of,
)
from media.sdp import (
    EXTENSION_AUDIO_LEVEL,
    EXTENSION_TRANSPORT_NUMBER,
    EXTENSION_VIDEO_ORIENTATION,
    Codec,
    MediaSection,
)
from media.vp8_descriptor import LONGEST_BYTES, Vp8Descriptor, parse, rewritten

MAX_REWRITTEN = 512  # blocks of header extensions of one stream: 256 loudnesses, spoken and not
EXTENDED: Final = VERSION_2 | EXTENSION
PLAIN_MASK: Final = VERSION_MASK | CSRC_COUNT  # of the first byte: whatever else is set there is set anew
MAX_CLOCK_JUMP_S = 1.0  # between two encodings of a camera: more is no clock, but a forged report
MAX_PADDING = 255  # RFC 3550 §5.1: its last octet counts it
PASSED_EXTENSIONS = (EXTENSION_AUDIO_LEVEL, EXTENSION_VIDEO_ORIENTATION)
NUMBER_AT: Final = HEADER_BYTES + 5  # of the transport-wide number: behind profile, length and identifier
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

Part = tuple[bytes, bytes, int]  # head, packet, start: what leaves is head + packet[start:]


@mypyc_attr(acyclic=True)
class KeptHead(Indexed):
    """With which a packet left, whose payload is what the source's packet has from `start` on."""

    __slots__ = ("head", "start")

    def __init__(self, head: bytes, start: int, *, index: int) -> None:
        self.index = index
        self.head = head
        self.start = start


class Forwarder:
    """The state of one outgoing stream. `forward` is the hot path: it makes nothing but the head."""

    __slots__ = (
        "_asked",
        "_asks",
        "_blocks",
        "_credited_bytes",
        "_filter",
        "_first_index",
        "_heads",
        "_highest_index",
        "_identifiers",
        "_is_filtered",
        "_known_picture",
        "_number_element",
        "_number_lead",
        "_omissions",
        "_payload_types",
        "_picture_id_offset",
        "_plain_block",
        "_repair_sequence_number",
        "_repairs_from",
        "_repeats",
        "_report_times",
        "_reported_asked",
        "_reported_at",
        "_reported_packets",
        "_resend_allowance",
        "_resent_at",
        "_rtp_timestamp",
        "_sent_at",
        "_sequence_offset",
        "_takes",
        "_timestamp_offset",
        "_tl0_offset",
        "_unsent",
        "comes_again",
        "expected_loss",
        "fraction_lost",
        "is_numbered",
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
        "source",
        "ssrc",
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
        self.source: Reception | None = None  # None: waits for the packet that a new one can begin with
        self._payload_types: dict[int, tuple[int, int | None]] = {}  # header byte in: those out, and of RTX
        number_id = section.extension_id(EXTENSION_TRANSPORT_NUMBER)
        # RFC 8285 §4.2: identifier, length less one; then the number itself.
        self._number_element = bytes([number_id << 4 | 1, 0, 0]) if number_id is not None else b""
        self.is_numbered = number_id is not None  # whether the receiver counts what is sent to it
        self._plain_block = extension_block(self._number_element)  # where no element is passed on
        self._identifiers = b""  # of elements that are passed on, by those of the source
        self._number_lead = 0  # of the source's own transport-wide number: what an element of it begins with
        self._blocks: dict[bytes, bytes] = {}  # of header extensions, by those of the source but its number
        self._filter = LayerFilter()
        self._omissions = Omissions()
        self._is_filtered = False  # packets are looked into: some are left out, or were, or are renumbered
        self._picture_id_offset = 0  # of VP8, from the source's numbers to the receiver's
        self._tl0_offset = 0
        self._takes = 0  # of the clock: so much later than it was taken a picture is said to be of
        self._known_picture: tuple[int, int] | None = None  # a late one's id and TL0PICIDX for the receiver
        self._unsent = 0  # numbers of the newest packets, which were let go before they left
        self._sequence_offset = sequence_number
        self._timestamp_offset = rtp_timestamp
        self._first_index = 0
        self._repairs_from = 0  # what is before it is not sent again
        self._highest_index = -1
        self._rtp_timestamp = rtp_timestamp
        self._sent_at: float | None = None
        self._repair_sequence_number = sequence_number
        # What left, and would come again in the same stream, is kept as it left, by index: the same number
        # with other bytes would tell the key away (RFC 7714 §7.1).
        self._heads: Ring[KeptHead] = Ring()
        self.comes_again = True  # whether some of what is asked for goes out again in the stream itself
        self._resent_at: dict[int, float] = {}
        self._resend_allowance = float(RESEND_BURST_BYTES)  # bytes; the share of `_credited_bytes` is in it
        self._credited_bytes = 0
        self._asks = False  # whether the receiver ever asked for one
        self._asked = 0  # different packets that NACKs have named
        self._repeats = 0  # sent again in the stream itself
        self._reported_at = 0.0
        self._reported_asked = 0
        self._reported_packets = 0
        self._report_times: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_REPORTS)

    @property
    def next_sequence_number(self) -> int:
        return (self._next_place() + self._sequence_offset) & 0xFFFF

    def _next_place(self) -> int:
        """The index of the next packet, had nothing been left out of this source."""
        return self._highest_index + 1 - self._omissions.packets - self._unsent

    def release(self) -> None:
        """The source left the slot, or ended; whoever comes next continues the stream."""
        self._note_descriptor()
        self.source = None

    @property
    def temporal_layers(self) -> int | None:
        """How many go on at the most; None: all."""
        return self._filter.temporal_layers

    @property
    def is_stopped(self) -> bool:
        """Whether nothing goes on before the stream begins again, with a keyframe."""
        return self._filter.is_stopped

    def limit(self, temporal_layers: int | None, *, stills: bool) -> None:
        """How many temporal layers of the source go on from now on, or nothing but the picture that it begins
        with next.
        """
        if stills and not self._filter.is_stopped:
            self.give_up_repairs()  # of a picture that is not to be seen any more
        self._filter.limit(temporal_layers, stills=stills)
        self._is_filtered = self._is_filtered or not self._filter.is_open

    def give_up_repairs(self) -> None:
        """What went on by now is not sent again, whoever asks for it."""
        self._repairs_from = self._highest_index + 1

    @property
    def highest_index(self) -> int:
        """Of what went on of the source, or was left out on purpose."""
        return self._highest_index

    def forget_unsent(self, packets: int, size_bytes: int, first_number: int | None) -> None:
        """So many packets will never leave. What the stream begins with next has `first_number`: neither that
        nor any behind it has left. Until then nothing late goes on, as its number may be another's.
        """
        if first_number is not None:
            self._unsent += (self.next_sequence_number - first_number) & 0xFFFF
        self.packets -= packets
        self.sent_bytes -= size_bytes

    def begin(
        self, source: Reception, index: int, rtp_timestamp: int, now: float, *, takes_s: float = 0.0
    ) -> None:
        """A source's packet of this index is the next of the stream; nothing before it has a place here.

        A picture that takes so long to leave is shown when it is there, and said to be of that time: a
        browser would make the voice wait for it, and go on waiting.
        """
        self._note_descriptor()
        self._sequence_offset += self._next_place() - index
        takes = round(takes_s * source.section.codecs[0].clock_rate)
        self._timestamp_offset = self._next_timestamp(source, rtp_timestamp, takes, now) - rtp_timestamp
        self._takes = takes
        if source is not self.source:
            self._payload_types = payload_types_between(source.section, self.section)
            self._identifiers = identifiers_between(source.section, self.section)
            self.comes_again = self.repair_ssrc is None or any(
                repair is None for _, repair in self._payload_types.values()
            )
            self._number_lead = (source.section.extension_id(EXTENSION_TRANSPORT_NUMBER) or 0) << 4 | 1
            self._blocks.clear()
            self._report_times.clear()
        self.source = source
        self._heads.clear()
        self._resent_at.clear()
        self._unsent = 0
        self._first_index = self._repairs_from = index
        self._highest_index = index - 1
        self._omissions = Omissions()
        self._filter.begin(rtp_timestamp)
        self._follow_pictures(source.history.find(index))

    def _next_timestamp(self, source: Reception, rtp_timestamp: int, takes: int, now: float) -> int:
        """That of a new source's first packet in this stream: as much later as really passed, by the sender's
        own clock between two of their encodings.
        """
        if self._sent_at is None:
            return self._rtp_timestamp
        clock_rate = source.section.codecs[0].clock_rate
        passed = round((now - self._sent_at) * clock_rate)
        before = self.source.sender_report if self.source is not None else None
        after = source.sender_report
        if source is self.source:
            passed = _difference(rtp_timestamp + self._timestamp_offset, self._rtp_timestamp)
        elif before is not None and after is not None:
            between_s = (after.ntp_timestamp - before.ntp_timestamp) / NTP_SECOND
            now_there = before.rtp_timestamp + round(between_s * clock_rate) + self._timestamp_offset
            by_clock = _difference(now_there + rtp_timestamp - after.rtp_timestamp, self._rtp_timestamp)
            if abs(by_clock - passed) <= MAX_CLOCK_JUMP_S * clock_rate:
                passed = by_clock
        return self._rtp_timestamp + max(1, passed + takes - self._takes)

    def _note_descriptor(self) -> None:
        """Where the numbers of VP8 pictures are: of the newest packet that is at hand."""
        if self.source is None or self._highest_index < self._first_index:
            return
        kept = self.source.history.find(self._highest_index)
        descriptor = descriptor_of(self.source, kept.data) if kept is not None else None
        if descriptor is not None:
            # If the newest was left out itself, the number is that of the last one before it that was not.
            pictures = self._omissions.pictures
            self._known_picture = (
                (descriptor.picture_id or 0) + self._picture_id_offset - pictures,
                (descriptor.tl0_picture_index or 0) + self._tl0_offset,
            )

    def _follow_pictures(self, kept: Kept | None) -> None:
        """The first picture of a source has the number behind the last one's."""
        known = self._known_picture
        first = (
            descriptor_of(self.source, kept.data) if kept is not None and self.source is not None else None
        )
        self._picture_id_offset = self._tl0_offset = 0
        if known is not None and first is not None:
            self._picture_id_offset = known[0] + 1 - (first.picture_id or 0)
            self._tl0_offset = known[1] + 1 - (first.tl0_picture_index or 0)
        self._is_filtered = first is not None and bool(self._picture_id_offset or self._tl0_offset)
        self._is_filtered = self._is_filtered or not self._filter.is_open

    def speaks(self, source: Reception, second: int) -> bool:
        """Whether the receiver can decode what this header byte of the source announces."""
        if self.source is not source:
            return second in payload_types_between(source.section, self.section)
        return second in self._payload_types

    def forward(
        self,
        source: Reception,
        packet: bytes,
        index: int,
        rtp_timestamp: int,
        size_bytes: int,
        now: float,
    ) -> Part | None:
        """The packet in the receiver's numbers, or None if it is not for them. `size_bytes` is the checked
        size of its header.
        """
        first = packet[0]
        numbers = self._payload_types.get(packet[1])
        # What the source sent before it came into this slot has no number here.
        if numbers is None or index < self._first_index or source is not self.source:
            return None
        descriptor = None
        if self._is_filtered:
            descriptor = descriptor_of(source, packet)
            if index <= self._highest_index:
                if self._unsent or not self._filter.passes_late(rtp_timestamp):
                    return None
            elif not self._filter.passes(descriptor, rtp_timestamp):
                self._omit(index)
                return None
        rtp_timestamp = (rtp_timestamp + self._timestamp_offset) & 0xFFFF_FFFF
        if first & PLAIN_MASK == VERSION_2 and not self._is_filtered:
            block = self._plain_block
            if first & EXTENSION and self._identifiers:
                block = self._block(packet, HEADER_BYTES, size_bytes)
            number = (index + self._sequence_offset) & 0xFFFF
            first = first & PADDING | (EXTENDED if block else VERSION_2)
            head = encode_head(first, numbers[0], number, rtp_timestamp, self.ssrc, block)
            part: Part | None = (head, packet, size_bytes)
        else:
            part = self._part(packet, first, numbers[0], index, rtp_timestamp, size_bytes, descriptor)
        if part is None:
            return None
        if index > self._highest_index:
            self._highest_index = index
            self._rtp_timestamp = rtp_timestamp
            self._sent_at = now
        else:
            self._resent_at[index] = now  # a repair: whoever asks for it now has not waited for it
        if self.redundancy:
            part = self._with_redundancy(part, source, index, rtp_timestamp)
        head, _, start = part
        payload_bytes = len(packet) - start
        self.packets += 1
        self.octets += payload_bytes
        self.sent_bytes += payload_bytes + len(head)
        return part

    def _omit(self, index: int) -> None:
        # What is missing before it has its place still: it may be of another picture.
        self._omissions.add(index, is_new_picture=self._filter.is_new_picture)
        self._highest_index = index

    def _part(
        self,
        packet: bytes,
        first: int,
        second: int,
        index: int,
        rtp_timestamp: int,
        size_bytes: int,
        descriptor: Vp8Descriptor | None,
    ) -> Part | None:
        left_out = self._omissions.before(index) if self._is_filtered else (0, 0)
        if left_out is None:
            return None
        omitted, pictures = left_out
        block = self._plain_block
        if first & EXTENSION and self._identifiers:
            block = self._block(packet, HEADER_BYTES + 4 * (first & CSRC_COUNT), size_bytes)
        first = first | EXTENSION if block else first & ~EXTENSION
        number = (index - omitted + self._sequence_offset) & 0xFFFF
        sources = packet[HEADER_BYTES : HEADER_BYTES + 4 * (first & CSRC_COUNT)]
        head = encode_head(first, second, number, rtp_timestamp, self.ssrc, sources + block)
        if descriptor is None:
            return head, packet, size_bytes
        head += rewritten(
            packet[size_bytes : size_bytes + descriptor.size_bytes],
            picture_id_offset=self._picture_id_offset - pictures,
            tl0_offset=self._tl0_offset,
        )
        return head, packet, size_bytes + descriptor.size_bytes

    def _block(self, packet: bytes, start: int, size_bytes: int) -> bytes:
        """The header extensions of a packet that has some, from `start` on, as they are for the receiver."""
        # A camera turns seldom, loudness has 256 values: but for their number the same few come again.
        at = self.source.number_at if self.source is not None else 0
        if start < at <= size_bytes - 2 and packet[at - 1] == self._number_lead:
            extension = packet[start:at] + packet[at + 2 : size_bytes]
        else:
            extension = packet[start:size_bytes]
        block = self._blocks.get(extension)
        if block is None:
            if len(self._blocks) == MAX_REWRITTEN:
                self._blocks.clear()
            elements = self._number_element + passed_elements(packet, self._identifiers)
            block = self._blocks[extension] = extension_block(elements)
        return block

    def keep_head(self, source: Reception, part: Part, index: int) -> None:
        """A packet of this index of a source left with this head."""
        if source is self.source and self._repair_payload_type(part) is None:
            self._heads.keep(KeptHead(part[0], part[2], index=index))

    def _with_redundancy(self, part: Part, source: Reception, index: int, rtp_timestamp: int) -> Part:
        """Turn the head of an Opus packet into that of a RED packet with those before it as far as they are
        here.

        It is kept, because a packet that is sent again has to be the same to the byte.
        """
        head, packet, start_of_sound = part
        red_payload_type = self.section.redundant_payload_type
        if red_payload_type is None or head[0] & PADDING:
            return part
        blocks: list[red.Redundant] = []
        room_bytes = REDUNDANT_BYTES
        for before in range(index - 1, max(index - 1 - self.redundancy, self._first_index - 1), -1):
            # RFC 2198 tells blocks apart by their time alone: what is not here leaves no hole.
            earlier = source.history.find(before)
            if earlier is None or earlier.data[0] & PADDING:
                continue
            sound = earlier.data
            numbers, start = self._payload_types.get(sound[1]), header_size(sound)
            if numbers is None or len(sound) == start:
                continue
            offset = (rtp_timestamp - self._timestamp_offset - rtp_timestamp_of(sound)) & 0xFFFF_FFFF
            room_bytes -= len(sound) - start
            if not 0 < offset <= red.MAX_OFFSET or room_bytes < 0:
                break
            blocks.append(red.Redundant(numbers[0] & ~MARKER, offset, sound[start:]))
        if not blocks:
            return part
        blocks.reverse()
        redundancy = red.encode_head(head[1] & ~MARKER, blocks)
        self.octets += len(redundancy)
        red_head = head[:1] + bytes([head[1] & MARKER | red_payload_type]) + head[2:] + redundancy
        self._heads.keep(KeptHead(red_head, start_of_sound, index=index))
        return red_head, packet, start_of_sound

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
        self, sequence_numbers: Iterable[int], now: float, round_trip_s: float, room_bytes: float = inf
    ) -> tuple[list[tuple[Part, bool]], list[int]]:
        """What a NACK asks for: the packets, as far as they are kept and not under way already, each with
        whether it goes out as a new packet of the repair stream; and the source's indices of those that never
        came. A receiver that asks twice within a round trip has not waited for the answer; one that asks for
        more than its share, or than there is room for, is not answered.
        """
        parts: list[tuple[Part, bool]] = []
        absent: list[int] = []
        source = self.source
        if source is None:
            return parts, absent
        earned = RESEND_SHARE * (self.sent_bytes - self._credited_bytes)
        self._credited_bytes = self.sent_bytes
        self._resend_allowance = min(RESEND_BURST_BYTES, self._resend_allowance + earned)
        gate_s = min(max(round_trip_s, MIN_REPEAT_GATE_S), MAX_REPEAT_GATE_S)
        newest_place = self._next_place() - 1
        newest = (newest_place + self._sequence_offset) & 0xFFFF
        history = source.history
        oldest: int | None = None  # before it, what came is forgotten
        for sequence_number in sequence_numbers:
            self._asks = True
            behind = (newest - sequence_number) & 0xFFFF
            index = self._omissions.index_at(newest_place - behind)
            if index < self._repairs_from or behind >= 0x8000:
                continue
            resent_at = self._resent_at.get(index)
            if resent_at is not None and now - resent_at < gate_s:
                continue
            part = self._again(source, index, now)
            if part is None:
                if oldest is None:
                    oldest = history.oldest_index
                if index > oldest and history.find(index) is None:
                    absent.append(index)
                continue
            if room_bytes <= 0:
                break
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
                parts.append((repair, in_repair_stream))
                room_bytes -= len(part[1])
        return parts, absent

    def _again(self, source: Reception, index: int, now: float) -> Part | None:
        """The packet of this index as it was sent, if it is still at hand."""
        packet = source.history.get(index, now)
        if packet is None or index < self._first_index:
            return None
        kept = self._heads.find(index)
        if kept is not None:
            return kept.head, packet, kept.start
        numbers = self._payload_types.get(packet[1])
        if numbers is None:
            return None
        size_bytes = header_size(packet)
        descriptor = descriptor_of(source, packet) if self._is_filtered else None
        rtp_timestamp = (rtp_timestamp_of(packet) + self._timestamp_offset) & 0xFFFF_FFFF
        part = self._part(packet, packet[0], numbers[0], index, rtp_timestamp, size_bytes, descriptor)
        if part is None or (self.is_numbered and self._repair_payload_type(part) is None):
            return None  # it has not left yet, or nobody knows how it did
        return part

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
        end = header_end(head)
        repair_head = encode_head(
            head[0],
            head[1] & MARKER | repair_payload_type,
            self._repair_sequence_number,
            rtp_timestamp_of(head),
            self.repair_ssrc,
            # RFC 4588 §4: the OSN stands before the original payload, whose beginning the head may have.
            head[HEADER_BYTES:end] + head[2:4] + head[end:],
        )
        return repair_head, packet, start

    @property
    def has_repair_stream(self) -> bool:
        """Whether what goes out again, and what is nothing but a probe, has numbers of its own."""
        return self.repair_ssrc is not None and self._repair_of_newest() is not None

    def _repair_of_newest(self) -> int | None:
        return next((repair for _, repair in self._payload_types.values() if repair is not None), None)

    def padding(self, size_bytes: int) -> Part:
        """A packet of the repair stream without an original: padding alone (RFC 3550 §5.1), about so long."""
        repair_payload_type = self._repair_of_newest()
        assert self.repair_ssrc is not None and repair_payload_type is not None
        self._repair_sequence_number = (self._repair_sequence_number + 1) & 0xFFFF
        head = encode_head(
            PADDING | (EXTENDED if self._plain_block else VERSION_2),
            repair_payload_type,
            self._repair_sequence_number,
            self._rtp_timestamp & 0xFFFF_FFFF,
            self.repair_ssrc,
            self._plain_block,
        )
        count = max(1, min(MAX_PADDING, size_bytes - len(head)))
        return head, bytes(count - 1) + bytes([count]), 0

    def _count_resent(self, part: Part) -> None:
        head, packet, start = part
        size_bytes = len(head) + len(packet) - start
        self.resent += 1
        self.resent_bytes += size_bytes
        if ssrc_of(head) == self.ssrc:
            self._repeats += 1
            self.octets += size_bytes - start  # the header is as long as the one that came
        self._resend_allowance -= size_bytes

    def prune(self, now: float) -> None:
        """Forget what was sent again, and how, once it is not at hand any more, and not before: a packet that
        left as RED must never leave as another. Forget losses of which nobody speaks any more, too.
        """
        self._note_descriptor()
        history = self.source.history if self.source is not None else None
        for index in [one for one in self._resent_at if history is None or history.find(one) is None]:
            del self._resent_at[index]
        for place, kept in enumerate(self._heads.slots):
            if kept is not None and (history is None or history.find(kept.index) is None):
                self._heads.slots[place] = None
        if now - self._reported_at > LOSS_FORGOTTEN_S:
            self.fraction_lost = self.expected_loss = 0.0

    def sender_report(self, now: float, clock_offset: int) -> SenderReport | None:
        """The source's last report, carried on to `now` and into the numbers of this stream; None as long as
        the source has made none. `clock_offset` brings its NTP clock to the relay's: the same for all streams
        of a peer, so that sound and picture stay as far apart as their sender says.
        """
        source = self.source
        if source is None or source.sender_report is None:
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
                source.sender_report.rtp_timestamp
                + self._timestamp_offset
                - self._takes
                + round(passed_s * clock_rate)
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
        if self._asks:
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
    """For each header extension identifier of one offer that of the other, or 0; empty if none has another.
    What names a section or an encoding of the source's own offer would bind the stream to a wrong one at the
    receiver, and what counts or times packets is true of one way alone.
    """
    identifiers = bytearray(IDENTIFIERS)
    for uri, identifier in source.header_extensions:
        other = target.extension_id(uri)
        if uri in PASSED_EXTENSIONS and other is not None:
            identifiers[identifier] = other
    return bytes(identifiers) if any(identifiers) else b""


def _difference(one: int, other: int) -> int:
    """How far an RTP timestamp is ahead of another."""
    return ((one - other + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


def descriptor_of(source: Reception, packet: bytes) -> Vp8Descriptor | None:
    """That of a packet of VP8; None for other codecs, and for what makes no sense."""
    codec = source.codecs.get(packet[1] & PAYLOAD_TYPE)
    if codec is None or codec.name != VP8:
        return None
    try:
        start = header_size(packet)
        return parse(packet[start : start + LONGEST_BYTES])
    except MalformedPayload:
        return None
