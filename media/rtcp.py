"""RTCP: reports, names, farewells and feedback (RFC 3550 §6, RFC 4585 §6, RFC 5104 §4.3.1; transport-wide
feedback: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1; REMB: draft-alvestrand-rmcat-remb-03 §2.2).

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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from librt.strings import BytesWriter

from media.errors import MalformedRtcp
from media.rtp import Ssrc

SENDER_REPORT: Final = 200  # RFC 3550 §12.1
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
TRANSPORT_FEEDBACK: Final = 205  # RFC 4585 §6.1
PAYLOAD_FEEDBACK: Final = 206
FORMAT_NACK: Final = 1  # RFC 4585 §6.2.1
FORMAT_PLI: Final = 1  # RFC 4585 §6.3.1
FORMAT_FIR: Final = 4  # RFC 5104 §4.3.1
FORMAT_TRANSPORT_WIDE: Final = 15  # draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1
FORMAT_APPLICATION: Final = 15  # RFC 4585 §6.4: of payload feedback; REMB is one such
CNAME: Final = 1  # RFC 3550 §6.5.1

HEAD: Final = struct.Struct("!BBH")
WORD: Final = struct.Struct("!I")
REPORT_BLOCK: Final = struct.Struct("!IIIIII")  # SSRC, fraction and lost, highest, jitter, LSR, DLSR
SENDER_INFO: Final = struct.Struct("!IQIII")  # SSRC, NTP timestamp, RTP timestamp, packets, octets
FEEDBACK: Final = struct.Struct("!II")  # SSRC of the packet's sender, SSRC of the media
NACK_ITEM: Final = struct.Struct("!HH")  # PID, BLP
FIR_ITEM: Final = struct.Struct("!IB3x")  # SSRC, command sequence number
TRANSPORT_WIDE: Final = struct.Struct("!HHI")  # base number, status count, reference time and feedback count
STATUS_COUNT_AT: Final = FEEDBACK.size + 2
CHUNK: Final = struct.Struct("!H")
LARGE_DELTA: Final = struct.Struct("!h")
REMB: Final = struct.Struct("!4sI")  # identifier; count of SSRCs (8 bits), exponent (6) and mantissa (18)
REMB_IDENTIFIER: Final = b"REMB"
REMB_MANTISSA_BITS: Final = 18
REMB_LARGEST_EXPONENT: Final = 63

# §3.1.1 and §3.1.5: what is said of a packet, and how many bytes of delta it has.
NOT_ARRIVED: Final = 0
SMALL: Final = 1
LARGE: Final = 2
RESERVED: Final = 3
TICKS_A_SECOND: Final = 4_000  # §3.1.5: a delta counts units of 250 µs
TICKS_A_REFERENCE: Final = 256  # §3.1: a reference time counts units of 64 ms, in 24 bits
TICK_MASK: Final = 0xFFFF_FFFF
LARGEST_DELTA_TICKS: Final = 0x7FFF
VECTOR: Final = 0x8000  # §3.1.4: the first bits of a chunk that is no run length
TWO_BIT_VECTOR: Final = 0xC000
VECTOR_SYMBOLS: Final = 14
TWO_BIT_SYMBOLS: Final = 7
LONGEST_RUN: Final = 0x1FFF  # §3.1.3
MAX_FEEDBACKS = 8  # transport-wide, of one datagram: one is usual; each may claim MAX_STATUSES in 24 bytes
MAX_STATUSES = 1_000  # of one packet: two seconds of a stream of 5 Mbit/s; six bytes could claim 65,535
FEEDBACK_COST: Final = 32  # statuses: what a transport-wide packet costs to read, however little it says
# The first byte of a vector chunk without its two leading bits, and the second: their symbols.
ONE_BIT_TABLE: Final = tuple(bytes(byte >> shift & 1 for shift in range(7, -1, -1)) for byte in range(256))
TWO_BIT_TABLE: Final = tuple(bytes(byte >> shift & 3 for shift in (6, 4, 2, 0)) for byte in range(256))

LOST_LIMIT: Final = 1 << 23  # RFC 3550 §6.4.1: cumulative loss is a signed 24-bit number
COUNTER_MASK: Final = 0xFFFF_FFFF
NTP_SECOND: Final = 1 << 32  # an NTP timestamp is seconds in 32.32 fixed point


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


@dataclass(slots=True, init=False)
class TransportFeedback:
    """draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1: what arrived of all that was sent to a peer.

    `arrivals` are those of the packet with the transport-wide number `first` and of those behind it, in
    seconds of the receiver's own clock, or None where one has not arrived. The clock begins anywhere and
    wraps to 0 after 12.4 days; it ticks each 250 µs. One that arrived lies within 8 s of the one before it,
    or cannot be encoded.
    """

    ssrc: Ssrc
    media_ssrc: Ssrc
    feedback_count: int  # 8 bits, one more with each packet
    first: int  # 16 bits, wrapping
    arrivals: tuple[float | None, ...]

    def __init__(  # of this most frequent packet by far it is compiled: that of a dataclass is not
        self,
        *,
        ssrc: Ssrc,
        media_ssrc: Ssrc,
        feedback_count: int,
        first: int,
        arrivals: tuple[float | None, ...],
    ) -> None:
        self.ssrc = ssrc
        self.media_ssrc = media_ssrc
        self.feedback_count = feedback_count
        self.first = first
        self.arrivals = arrivals


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverEstimatedMaximumBitrate:
    """draft-alvestrand-rmcat-remb-03 §2.2: how much of these streams a receiver believes to get through."""

    ssrc: Ssrc
    bitrate_bps: int
    ssrcs: tuple[Ssrc, ...]


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Nack
    | PictureLossIndication
    | FullIntraRequest
    | TransportFeedback
    | ReceiverEstimatedMaximumBitrate
)


def parse_compound(compound: bytes, grant: Callable[[int], bool] | None = None) -> list[RtcpPacket]:
    """The packets of one datagram, as far as they are known here. Raises MalformedRtcp: then none counts.

    Transport-wide feedback says little in many bytes, or much in few. `grant` is asked before one is read,
    with what it costs in statuses; refused, it is skipped.
    """
    if not compound:
        raise MalformedRtcp("an empty datagram is no RTCP")
    packets: list[RtcpPacket] = []
    position, length, feedbacks = 0, len(compound), 0
    while position < length:
        if length < position + HEAD.size:
            raise MalformedRtcp("the head of an RTCP packet is cut off")
        first, packet_type = compound[position], compound[position + 1]
        words = compound[position + 2] << 8 | compound[position + 3]
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
        if packet_type == TRANSPORT_FEEDBACK and first & 0x1F == FORMAT_TRANSPORT_WIDE:
            feedbacks += 1
            if feedbacks > MAX_FEEDBACKS or (grant is not None and not grant(_cost_of_feedback(body))):
                continue
        try:
            packet = _parse_packet(packet_type, first & 0x1F, body)
        except struct.error:
            raise MalformedRtcp(f"an RTCP packet of type {packet_type} is too short") from None
        if packet is not None:
            packets.append(packet)
    return packets


def _cost_of_feedback(body: bytes) -> int:
    """In statuses. What is too short says nothing, and is found out when it is read."""
    claimed = int.from_bytes(body[STATUS_COUNT_AT : STATUS_COUNT_AT + 2])
    return FEEDBACK_COST + min(claimed, MAX_STATUSES)


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
    if packet_type == TRANSPORT_FEEDBACK and count == FORMAT_TRANSPORT_WIDE:
        return _parse_transport_feedback(body)
    if packet_type == PAYLOAD_FEEDBACK and count == FORMAT_APPLICATION:
        return _parse_remb(body)
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


def _parse_transport_feedback(body: bytes) -> TransportFeedback:
    """
         ┌───────────────────────────────┬───────────────────────────────┐
         │          base number          │         status count          │
         ├───────────────────────────────┴───────────────┬───────────────┤
         │             reference time (64 ms)            │feedback count │
         ├─┬───┬─────────────────────────┬───────────────┴───────────────┤
         │0│sym│       run length        │1 0 14 symbols of one bit      │  or 1 1 and 7 symbols of two
         ├─┴───┴─────────┬───────────────┴───────────────┬───────────────┤
         │  small delta  │          large delta          │  …  padding   │  one for each that arrived
         └───────────────┴───────────────────────────────┴───────────────┘

    Of more than MAX_STATUSES the last count: what is said of them is the news.
    """
    ssrc, media_ssrc = FEEDBACK.unpack_from(body)
    base, count, reference = TRANSPORT_WIDE.unpack_from(body, FEEDBACK.size)
    position = FEEDBACK.size + TRANSPORT_WIDE.size
    read, left = bytearray(), count
    while left > 0:
        chunk = body[position] << 8 | body[position + 1] if position + 1 < len(body) else None
        if chunk is None:
            raise MalformedRtcp("a transport-wide feedback packet has too few status chunks")
        if chunk < VECTOR:
            run = min(chunk & LONGEST_RUN, left)
            read += bytes((chunk >> 13,)) * run
            left -= run
        elif chunk < TWO_BIT_VECTOR:
            read += ONE_BIT_TABLE[chunk >> 8][2:] + ONE_BIT_TABLE[chunk & 0xFF]
            left -= VECTOR_SYMBOLS
        else:
            read += TWO_BIT_TABLE[chunk >> 8][1:] + TWO_BIT_TABLE[chunk & 0xFF]
            left -= TWO_BIT_SYMBOLS
        position += CHUNK.size
    symbols = bytes(read[:count])
    if RESERVED in symbols:
        raise MalformedRtcp("a transport-wide feedback packet has a reserved status")
    deltas_end = position + symbols.count(SMALL) + 2 * symbols.count(LARGE)
    if deltas_end > len(body):
        raise MalformedRtcp("a transport-wide feedback packet has too few arrival times")

    arrivals: list[float | None] = []
    ticks = (reference >> 8) * TICKS_A_REFERENCE
    first = base
    if count > MAX_STATUSES:
        skipped = symbols[: count - MAX_STATUSES]
        symbols = symbols[count - MAX_STATUSES :]
        first = (base + len(skipped)) & 0xFFFF
        for symbol in skipped.translate(None, b"\0"):
            ticks += body[position] if symbol == SMALL else LARGE_DELTA.unpack_from(body, position)[0]
            position += symbol
    for place in range(len(symbols)):
        symbol = symbols[place]
        if symbol == SMALL:
            ticks += body[position]
            position += 1
            arrivals.append((ticks & TICK_MASK) / TICKS_A_SECOND)
        elif symbol == NOT_ARRIVED:
            arrivals.append(None)
        else:
            ticks += LARGE_DELTA.unpack_from(body, position)[0]
            position += 2
            arrivals.append((ticks & TICK_MASK) / TICKS_A_SECOND)
    return TransportFeedback(
        ssrc=ssrc,
        media_ssrc=media_ssrc,
        feedback_count=reference & 0xFF,
        first=first,
        arrivals=tuple(arrivals),
    )


def _parse_remb(body: bytes) -> ReceiverEstimatedMaximumBitrate | None:
    ssrc, _ = FEEDBACK.unpack_from(body)
    if body[FEEDBACK.size : FEEDBACK.size + len(REMB_IDENTIFIER)] != REMB_IDENTIFIER:
        return None  # RFC 4585 §6.4: another application's
    _, word = REMB.unpack_from(body, FEEDBACK.size)
    start = FEEDBACK.size + REMB.size
    return ReceiverEstimatedMaximumBitrate(
        ssrc=ssrc,
        bitrate_bps=(word & (1 << REMB_MANTISSA_BITS) - 1) << (word >> REMB_MANTISSA_BITS & 0x3F),
        ssrcs=tuple(WORD.unpack_from(body, start + 4 * index)[0] for index in range(word >> 24)),
    )


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
        case TransportFeedback():
            return _encode_transport_feedback(packet)
        case ReceiverEstimatedMaximumBitrate():
            # draft-alvestrand-rmcat-remb-03 §2.2: the SSRC of media source is always 0.
            exponent = max(0, packet.bitrate_bps.bit_length() - REMB_MANTISSA_BITS)
            mantissa = packet.bitrate_bps >> exponent
            if exponent > REMB_LARGEST_EXPONENT:
                exponent, mantissa = REMB_LARGEST_EXPONENT, (1 << REMB_MANTISSA_BITS) - 1
            word = len(packet.ssrcs) << 24 | exponent << REMB_MANTISSA_BITS | mantissa
            body = FEEDBACK.pack(packet.ssrc, 0) + REMB.pack(REMB_IDENTIFIER, word)
            body += b"".join(map(WORD.pack, packet.ssrcs))
            return _framed(PAYLOAD_FEEDBACK, FORMAT_APPLICATION, body)
        case _:
            assert_never(packet)


def _framed(packet_type: int, count: int, body: bytes) -> bytes:
    return HEAD.pack(0x80 | count, packet_type, len(body) // 4) + body


def _encode_transport_feedback(packet: TransportFeedback) -> bytes:
    arrivals = packet.arrivals
    symbols, deltas = BytesWriter(), BytesWriter()
    reference = previous = -1
    for arrival in arrivals:
        if arrival is None:
            symbols.append(NOT_ARRIVED)
            continue
        ticks = int(arrival * TICKS_A_SECOND + 0.5) & TICK_MASK
        if reference < 0:
            reference = ticks // TICKS_A_REFERENCE
            previous = reference * TICKS_A_REFERENCE
        delta = ticks - previous
        if not -TICK_MASK // 2 <= delta <= TICK_MASK // 2:
            delta += TICK_MASK + 1 if delta < 0 else -TICK_MASK - 1  # the clock wraps between the two
        previous = ticks
        if 0 <= delta <= 0xFF:
            symbols.append(SMALL)
            deltas.append(delta)
        else:
            symbols.append(LARGE)
            deltas.write(LARGE_DELTA.pack(delta))
    head = TRANSPORT_WIDE.pack(
        packet.first,
        len(arrivals),
        max(reference, 0) << 8 | packet.feedback_count & 0xFF,
    )
    body = FEEDBACK.pack(packet.ssrc, packet.media_ssrc) + head
    body += _chunks(symbols.getvalue()) + deltas.getvalue()
    # RFC 3550 §6.4.1 wants the padding told by the P bit, and its last byte to count it.
    padding = -len(body) % 4
    if not padding:
        return _framed(TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_WIDE, body)
    body += bytes(padding - 1) + bytes((padding,))
    return _framed(TRANSPORT_FEEDBACK, 0x20 | FORMAT_TRANSPORT_WIDE, body)


def _chunks(symbols: bytes) -> bytes:
    """The statuses in as few chunks as looking one chunk ahead allows."""
    chunks = bytearray()
    position, end = 0, len(symbols)
    while position < end:
        symbol = symbols[position]
        limit = min(end, position + LONGEST_RUN)
        run_end = limit - len(symbols[position:limit].lstrip(symbols[position : position + 1]))
        ahead = symbols[position : position + VECTOR_SYMBOLS]
        width = TWO_BIT_SYMBOLS if LARGE in ahead else VECTOR_SYMBOLS
        if run_end - position >= min(width, end - position):
            chunk = symbol << 13 | run_end - position
            position = run_end
        elif width == VECTOR_SYMBOLS:
            chunk = VECTOR
            for shift, one in enumerate(ahead):
                chunk |= one << VECTOR_SYMBOLS - 1 - shift
            position += VECTOR_SYMBOLS
        else:
            chunk = TWO_BIT_VECTOR
            for shift, one in enumerate(ahead[:TWO_BIT_SYMBOLS]):
                chunk |= one << 2 * (TWO_BIT_SYMBOLS - 1 - shift)
            position += TWO_BIT_SYMBOLS
        chunks += CHUNK.pack(chunk)
    return bytes(chunks)


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
