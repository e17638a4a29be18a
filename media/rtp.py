"""RTP headers (RFC 3550 §5.1) and header extensions (RFC 8285): read, and renamed.

     0                   1                   2                   3
    ┌───┬─┬─┬───────┬─┬─────────────┬───────────────────────────────┐
    │V=2│P│X│  CC   │M│     PT      │        sequence number        │
    ├───┴─┴─┴───────┴─┴─────────────┴───────────────────────────────┤
    │                         RTP timestamp                         │
    ├───────────────────────────────────────────────────────────────┤
    │                             SSRC                              │
    ├───────────────────────────────────────────────────────────────┤
    │                       CC × 4 bytes CSRC                       │
    ├───────────────────────────────┬───────────────────────────────┤
    │ X: 0xBEDE, or 0x100 + 4 bits  │   length in words of 32 bits  │
    ├───────────────────────────────┴───────────────────────────────┤
    │   one-byte form: ID(4) length-1(4) data …, 0 is padding       │
    │   two-byte form: ID(8) length(8)   data …, 0 is padding       │
    └───────────────────────────────────────────────────────────────┘

The router forwards thousands of packets a second: it reads each field by itself, where it needs it, and calls
`header_size` only for packets whose first byte is not `PLAIN`. Nothing here keeps state.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, NewType

from librt.strings import BytesWriter

from media.errors import MalformedRtp

Ssrc = NewType("Ssrc", int)

HEADER: Final = struct.Struct("!BBHII")  # V P X CC, M PT, sequence number, RTP timestamp, SSRC
HEADER_BYTES: Final = 12
EXTENSION_HEAD: Final = struct.Struct("!HH")  # profile, length in words
PLAIN: Final = 0x80  # version 2, no padding, no extension, no CSRC: the header is 12 bytes and all is said
EXTENDED: Final = 0x90  # the same, and a header extension behind the 12 bytes
VERSION_MASK: Final = 0xC0
VERSION_2: Final = 0x80
PADDING: Final = 0x20
EXTENSION: Final = 0x10
CSRC_COUNT: Final = 0x0F
MARKER: Final = 0x80
PAYLOAD_TYPE: Final = 0x7F

ONE_BYTE_PROFILE: Final = 0xBEDE  # RFC 8285 §4.2
TWO_BYTE_PROFILE: Final = 0x1000  # RFC 8285 §4.3; the lower four bits are "appbits" and mean nothing here
STOP_ID: Final = 15  # RFC 8285 §4.2: of the one-byte form; whatever follows is not looked at

IDENTIFIERS: Final = 256  # a table of identifiers has one byte for each identifier; 0 says "blank it"
LARGEST_ONE_BYTE_ID: Final = 14
LONGEST_ONE_BYTE_DATA: Final = 16


class RtpHeader(NamedTuple):
    payload_type: int
    marker: bool
    sequence_number: int
    rtp_timestamp: int
    ssrc: Ssrc
    size_bytes: int  # where the payload begins
    padding_bytes: int


def parse_header(packet: bytes) -> RtpHeader:
    """The header of a packet, checked as far as `header_size` checks. Raises MalformedRtp."""
    size_bytes = header_size(packet)
    first, second, sequence_number, rtp_timestamp, ssrc = HEADER.unpack_from(packet)
    return RtpHeader(
        payload_type=second & PAYLOAD_TYPE,
        marker=second >= MARKER,
        sequence_number=sequence_number,
        rtp_timestamp=rtp_timestamp,
        ssrc=Ssrc(ssrc),
        size_bytes=size_bytes,
        padding_bytes=packet[-1] if first & PADDING else 0,
    )


def sequence_number_of(packet: bytes) -> int:
    """Of a packet that has a header: it is not checked, here nor in the next two."""
    return packet[2] << 8 | packet[3]


def rtp_timestamp_of(packet: bytes) -> int:
    return packet[4] << 24 | packet[5] << 16 | packet[6] << 8 | packet[7]


def ssrc_of(packet: bytes) -> int:
    return packet[8] << 24 | packet[9] << 16 | packet[10] << 8 | packet[11]


def encode_head(
    first: int, second: int, sequence_number: int, rtp_timestamp: int, ssrc: int, rest: bytes
) -> bytes:
    """The 12 bytes of a header, of which the first two are given as they are, and what follows them."""
    head = BytesWriter()
    head.append(first)
    head.append(second)
    head.append(sequence_number >> 8)
    head.append(sequence_number & 0xFF)
    _append_word(head, rtp_timestamp)
    _append_word(head, ssrc)
    head.write(rest)
    return head.getvalue()


def _append_word(head: BytesWriter, number: int) -> None:
    head.append(number >> 24)
    head.append(number >> 16 & 0xFF)
    head.append(number >> 8 & 0xFF)
    head.append(number & 0xFF)


def with_number(head: bytes, position: int, number: int) -> bytes:
    """The same with a number of 16 bits in that place."""
    patched = BytesWriter()
    patched.write(head)
    patched[position] = number >> 8
    patched[position + 1] = number & 0xFF
    return patched.getvalue()


def header_size(packet: bytes) -> int:
    """Bytes before the payload. Raises MalformedRtp unless version, CSRCs, extension and padding fit."""
    length = len(packet)
    if length < HEADER_BYTES:
        raise MalformedRtp(f"{length} bytes are no RTP packet; its header alone has {HEADER_BYTES}")
    first = packet[0]
    if first & VERSION_MASK != VERSION_2:
        raise MalformedRtp(f"RTP version {first >> 6}; only 2 is spoken")
    size = HEADER_BYTES + 4 * (first & CSRC_COUNT)
    if first & EXTENSION:
        if length < size + 4:
            raise MalformedRtp("the header extension is cut off")
        size += 4 + 4 * (packet[size + 2] << 8 | packet[size + 3])
    if length < size:
        raise MalformedRtp("the header is longer than the packet")
    # RFC 3550 §5.1: the last octet of the padding counts how many should be ignored, including itself.
    if first & PADDING and (length == size or not 1 <= packet[-1] <= length - size):
        raise MalformedRtp("the padding is longer than the payload, or empty")
    return size


def header_end(head: bytes) -> int:
    """Where the header ends, of a head that was made here: nothing is checked."""
    size = HEADER_BYTES + 4 * (head[0] & CSRC_COUNT)
    return size + 4 + 4 * (head[size + 2] << 8 | head[size + 3]) if head[0] & EXTENSION else size


def payload(packet: bytes) -> bytes:
    """What the header and the padding enclose. Raises MalformedRtp."""
    size = header_size(packet)
    return packet[size : -packet[-1]] if packet[0] & PADDING else packet[size:]


def extensions(packet: bytes) -> list[tuple[int, bytes]]:
    """(identifier, data) of each element. An element that is cut off ends the list: it is no reason to lose
    the media behind it. Raises MalformedRtp where `header_size` does.
    """
    end = header_size(packet)
    if not packet[0] & EXTENSION:
        return []
    position = HEADER_BYTES + 4 * (packet[0] & CSRC_COUNT) + 4
    profile = packet[position - 4] << 8 | packet[position - 3]
    found: list[tuple[int, bytes]] = []
    if profile == ONE_BYTE_PROFILE:
        while position < end:
            lead = packet[position]
            if lead == 0:
                position += 1
                continue
            identifier, start = lead >> 4, position + 1
            position = start + (lead & 0x0F) + 1
            if identifier == STOP_ID or position > end:
                break
            # RFC 8285 §4.2: an element with ID 0 and a length is skipped.
            if identifier:
                found.append((identifier, packet[start:position]))
    elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
        while position < end:
            identifier = packet[position]
            if identifier == 0:
                position += 1
                continue
            start = position + 2
            if start > end:
                break
            position = start + packet[position + 1]
            if position > end:
                break
            found.append((identifier, packet[start:position]))
    return found


def passed_elements(packet: bytes, identifiers: bytes) -> bytes:
    """The elements that have another identifier in `identifiers`, with that one, in the one-byte form without
    padding. What has none there (0), is cut off, of an unknown form or too long for this one is left out.
    Raises MalformedRtp where `header_size` does.
    """
    return b"".join(
        bytes([identifiers[identifier] << 4 | len(data) - 1]) + data
        for identifier, data in extensions(packet)
        if 0 < identifiers[identifier] <= LARGEST_ONE_BYTE_ID and 0 < len(data) <= LONGEST_ONE_BYTE_DATA
    )


def extension_block(elements: bytes) -> bytes:
    """What stands behind the header if these elements are to: none without elements (RFC 8285 §4.2)."""
    if not elements:
        return b""
    words = (len(elements) + 3) // 4
    return EXTENSION_HEAD.pack(ONE_BYTE_PROFILE, words) + elements.ljust(4 * words, b"\0")


def element_at(packet: bytes, identifier: int, size_bytes: int) -> int:
    """Where the data of an element of the one-byte form begin; 0 where there is none."""
    position = HEADER_BYTES + 4 * (packet[0] & CSRC_COUNT) + 4
    if packet[position - 4] << 8 | packet[position - 3] != ONE_BYTE_PROFILE:
        return 0
    while position < size_bytes:
        lead = packet[position]
        if lead == 0:
            position += 1
            continue
        end = position + (lead & 0x0F) + 2
        if lead >= STOP_ID << 4 or end > size_bytes:
            break
        if lead >> 4 == identifier:
            return position + 1
        position = end
    return 0
