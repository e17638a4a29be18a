"""RTCP: reports, names, farewells and feedback (RFC 3550 §6, RFC 4585 §6, RFC 5104 §4.3.1).

One datagram carries a compound of packets, each with this head:

    ┌───┬─┬─────────┬───────────────┬───────────────────────────────┐
    │V=2│P│ count / │  packet type  │ length in 32-bit words, less  │
    │   │ │  format │               │ one: of what follows the head │
    └───┴─┴─────────┴───────────────┴───────────────────────────────┘

`parse_compound` skips packets of types and formats that are not listed here, as RFC 3550 §6.1 asks, and
tolerates profile-specific extensions behind reports (§6.4.3). Reduced-size compounds (RFC 5506) are fine.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from media.errors import MalformedRtcp
from media.rtp import Ssrc

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203  # RFC 3550 §12.1
TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK = 205, 206  # RFC 4585 §6.1
FORMAT_NACK = 1  # RFC 4585 §6.2.1
FORMAT_PLI = 1  # RFC 4585 §6.3.1
FORMAT_FIR = 4  # RFC 5104 §4.3.1
CNAME = 1  # RFC 3550 §6.5.1

HEAD = struct.Struct("!BBH")
WORD = struct.Struct("!I")
REPORT_BLOCK = struct.Struct("!IIIIII")  # SSRC, fraction and lost, highest, jitter, LSR, DLSR
SENDER_INFO = struct.Struct("!IQIII")  # SSRC, NTP timestamp, RTP timestamp, packets, octets
FEEDBACK = struct.Struct("!II")  # SSRC of the packet's sender, SSRC of the media
NACK_ITEM = struct.Struct("!HH")  # PID, BLP
FIR_ITEM = struct.Struct("!IB3x")  # SSRC, command sequence number

LOST_LIMIT = 1 << 23  # RFC 3550 §6.4.1: cumulative loss is a signed 24-bit number
COUNTER_MASK = 0xFFFF_FFFF
NTP_SECOND = 1 << 32  # an NTP timestamp is seconds in 32.32 fixed point


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """RFC 3550 §6.4.1: what a receiver says of one stream. Times in the last two are 1/65,536 s."""

    ssrc: Ssrc
    fraction_lost: int  # of 256
    packets_lost: int
    highest_sequence_number: int  # extended: cycles in the upper 16 bits
    jitter: int  # RTP timestamp units
    last_sender_report: int  # the middle 32 bits of its NTP timestamp; 0: none received yet
    delay_since_last_sender_report: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    ssrc: Ssrc
    ntp_timestamp: int  # 32.32 fixed point
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    ssrc: Ssrc
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """RFC 3550 §6.5: (SSRC, canonical name) for each source; other items are not kept."""

    cnames: tuple[tuple[Ssrc, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    ssrcs: tuple[Ssrc, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nack:
    """RFC 4585 §6.2.1: sequence numbers that did not arrive, in the order asked."""

    ssrc: Ssrc
    media_ssrc: Ssrc
    sequence_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLossIndication:
    ssrc: Ssrc
    media_ssrc: Ssrc


@dataclass(frozen=True, slots=True, kw_only=True)
class FullIntraRequest:
    """RFC 5104 §4.3.1: (SSRC, command sequence number) of each stream that shall begin anew."""

    ssrc: Ssrc
    commands: tuple[tuple[Ssrc, int], ...]


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Nack
    | PictureLossIndication
    | FullIntraRequest
)


def parse_compound(compound: bytes) -> list[RtcpPacket]:
    """The packets of one datagram, as far as they are known here. Raises MalformedRtcp: then none counts."""
    if not compound:
        raise MalformedRtcp("an empty datagram is no RTCP")
    packets: list[RtcpPacket] = []
    position, length = 0, len(compound)
    while position < length:
        if length < position + HEAD.size:
            raise MalformedRtcp("the head of an RTCP packet is cut off")
        first, packet_type, words = HEAD.unpack_from(compound, position)
        if first >> 6 != 2:
            raise MalformedRtcp(f"RTCP version {first >> 6}; only 2 is spoken")
        start = position + HEAD.size
        position = start + 4 * words
        if position > length:
            raise MalformedRtcp("an RTCP packet is longer than its datagram")
        body = compound[start:position]
        if first & 0x20:
            # RFC 3550 §6.4.1: the last octet counts how many should be ignored, including itself.
            if not body or not 1 <= body[-1] <= len(body):
                raise MalformedRtcp("the padding of an RTCP packet is longer than the packet, or empty")
            body = body[: -body[-1]]
        try:
            packet = _parse_packet(packet_type, first & 0x1F, body)
        except struct.error:
            raise MalformedRtcp(f"an RTCP packet of type {packet_type} is too short") from None
        if packet is not None:
            packets.append(packet)
    return packets


def _parse_packet(packet_type: int, count: int, body: bytes) -> RtcpPacket | None:
    if packet_type == SENDER_REPORT:
        ssrc, ntp_timestamp, rtp_timestamp, packet_count, octet_count = SENDER_INFO.unpack_from(body)
        return SenderReport(
            ssrc=ssrc,
            ntp_timestamp=ntp_timestamp,
            rtp_timestamp=rtp_timestamp,
            packet_count=packet_count,
            octet_count=octet_count,
            blocks=_parse_blocks(body, SENDER_INFO.size, count),
        )
    if packet_type == RECEIVER_REPORT:
        (ssrc,) = WORD.unpack_from(body)
        return ReceiverReport(ssrc=ssrc, blocks=_parse_blocks(body, WORD.size, count))
    if packet_type == SOURCE_DESCRIPTION:
        return _parse_source_description(body, count)
    if packet_type == GOODBYE:
        return Goodbye(ssrcs=tuple(WORD.unpack_from(body, 4 * index)[0] for index in range(count)))
    if packet_type == TRANSPORT_FEEDBACK and count == FORMAT_NACK:
        return _parse_nack(body)
    if packet_type == PAYLOAD_FEEDBACK and count == FORMAT_PLI:
        ssrc, media_ssrc = FEEDBACK.unpack_from(body)
        return PictureLossIndication(ssrc=ssrc, media_ssrc=media_ssrc)
    if packet_type == PAYLOAD_FEEDBACK and count == FORMAT_FIR:
        ssrc, _ = FEEDBACK.unpack_from(body)
        commands = tuple(
            FIR_ITEM.unpack_from(body, offset) for offset in range(FEEDBACK.size, len(body), FIR_ITEM.size)
        )
        return FullIntraRequest(ssrc=ssrc, commands=commands)
    return None


def _parse_blocks(body: bytes, offset: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for _ in range(count):
        ssrc, loss, highest, jitter, last, delay = REPORT_BLOCK.unpack_from(body, offset)
        offset += REPORT_BLOCK.size
        lost = loss & 0xFF_FFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=loss >> 24,
                packets_lost=lost - (1 << 24) if lost >= LOST_LIMIT else lost,
                highest_sequence_number=highest,
                jitter=jitter,
                last_sender_report=last,
                delay_since_last_sender_report=delay,
            )
        )
    return tuple(blocks)


def _parse_source_description(body: bytes, count: int) -> SourceDescription:
    # RFC 3550 §6.5: a chunk is an SSRC and items (type, length, text), then null octets up to a word's end.
    cnames: list[tuple[Ssrc, str]] = []
    position = 0
    for _ in range(count):
        (ssrc,) = WORD.unpack_from(body, position)
        position += WORD.size
        while position < len(body) and body[position]:
            end = position + 2 + (body[position + 1] if position + 1 < len(body) else len(body))
            if end > len(body):
                raise MalformedRtcp("an item of a source description is cut off")
            if body[position] == CNAME:
                cnames.append((ssrc, body[position + 2 : end].decode("utf-8", "replace")))
            position = end
        position += 4 - position % 4
    return SourceDescription(cnames=tuple(cnames))


def _parse_nack(body: bytes) -> Nack:
    ssrc, media_ssrc = FEEDBACK.unpack_from(body)
    sequence_numbers: list[int] = []
    for offset in range(FEEDBACK.size, len(body), NACK_ITEM.size):
        first, following = NACK_ITEM.unpack_from(body, offset)
        sequence_numbers.append(first)
        while following:
            lowest = following & -following
            sequence_numbers.append((first + lowest.bit_length()) & 0xFFFF)
            following ^= lowest
    return Nack(ssrc=ssrc, media_ssrc=media_ssrc, sequence_numbers=tuple(sequence_numbers))


def encode_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """The packets in one datagram. Counters wrap and cumulative loss is clamped, as RFC 3550 §6.4.1 says."""
    return b"".join(map(_encode_packet, packets))


def _encode_packet(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            body = SENDER_INFO.pack(
                packet.ssrc,
                packet.ntp_timestamp,
                packet.rtp_timestamp,
                packet.packet_count & COUNTER_MASK,
                packet.octet_count & COUNTER_MASK,
            )
            return _framed(SENDER_REPORT, len(packet.blocks), body + _encode_blocks(packet.blocks))
        case ReceiverReport():
            body = WORD.pack(packet.ssrc) + _encode_blocks(packet.blocks)
            return _framed(RECEIVER_REPORT, len(packet.blocks), body)
        case SourceDescription():
            body = b"".join(_encode_chunk(ssrc, cname.encode()) for ssrc, cname in packet.cnames)
            return _framed(SOURCE_DESCRIPTION, len(packet.cnames), body)
        case Goodbye():
            return _framed(GOODBYE, len(packet.ssrcs), b"".join(map(WORD.pack, packet.ssrcs)))
        case Nack():
            items = b"".join(NACK_ITEM.pack(*item) for item in _nack_items(packet.sequence_numbers))
            return _framed(
                TRANSPORT_FEEDBACK, FORMAT_NACK, FEEDBACK.pack(packet.ssrc, packet.media_ssrc) + items
            )
        case PictureLossIndication():
            return _framed(PAYLOAD_FEEDBACK, FORMAT_PLI, FEEDBACK.pack(packet.ssrc, packet.media_ssrc))
        case FullIntraRequest():
            # RFC 5104 §4.3.1.2: the SSRC of media source SHALL be zero; the entries name the streams.
            items = b"".join(FIR_ITEM.pack(*command) for command in packet.commands)
            return _framed(PAYLOAD_FEEDBACK, FORMAT_FIR, FEEDBACK.pack(packet.ssrc, 0) + items)
        case _:
            assert_never(packet)


def _framed(packet_type: int, count: int, body: bytes) -> bytes:
    return HEAD.pack(0x80 | count, packet_type, len(body) // 4) + body


def _encode_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        REPORT_BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | max(-LOST_LIMIT, min(LOST_LIMIT - 1, block.packets_lost)) & 0xFF_FFFF,
            block.highest_sequence_number & COUNTER_MASK,
            block.jitter & COUNTER_MASK,
            block.last_sender_report,
            block.delay_since_last_sender_report & COUNTER_MASK,
        )
        for block in blocks
    )


def _encode_chunk(ssrc: Ssrc, cname: bytes) -> bytes:
    chunk = WORD.pack(ssrc) + bytes([CNAME, len(cname)]) + cname
    return chunk + bytes(4 - len(chunk) % 4)


def _nack_items(sequence_numbers: Iterable[int]) -> list[tuple[int, int]]:
    """(PID, BLP) pairs: a number, and a bit for each of the 16 that follow it."""
    items: list[tuple[int, int]] = []
    for sequence_number in sequence_numbers:
        if items:
            first, following = items[-1]
            distance = (sequence_number - first) & 0xFFFF
            if 1 <= distance <= 16:
                items[-1] = (first, following | 1 << (distance - 1))
                continue
        items.append((sequence_number, 0))
    return items
