"""Redundant audio (RFC 2198): a packet of sound that also carries the packets before it.

     0                   1                    2                   3
    ┌─┬─────────────┬───────────────────────────┬───────────────────┐
    │1│  block PT   │  timestamp offset (14)    │ block length (10) │   one a redundant block, oldest first
    ├─┼─────────────┼───────────────────────────┴───────────────────┘
    │0│  block PT   │   the primary block's header, one byte
    ├─┴─────────────┴───────────────────────────────────────────────┐
    │ redundant blocks …, then the primary, up to the packet's end  │
    └───────────────────────────────────────────────────────────────┘

The primary comes last: to put redundancy into a packet, or to take it out, is to change what is before it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from media.errors import MalformedPayload

FOLLOWS: Final = 0x80  # F: another block header follows
PAYLOAD_TYPE = 0x7F
MAX_OFFSET = (1 << 14) - 1  # timestamp units: 341 ms of sound at 48 kHz
MAX_BLOCK_BYTES = (1 << 10) - 1
MAX_BLOCKS = 8  # libwebrtc makes ten at the most, and one by itself; each costs its bytes in every packet

BLOCK_HEADER: Final = struct.Struct("!I")


class Redundant(NamedTuple):
    """A block of sound from before: how many timestamp units before, and its bytes."""

    payload_type: int
    offset: int
    data: bytes


class Redundancy(NamedTuple):
    """What a RED payload is made of. `start` is where the primary's bytes begin in the packet."""

    payload_type: int
    start: int
    blocks: list[Redundant]  # oldest first


def parse(packet: bytes, start: int) -> Redundancy:
    """The blocks of the RED payload that begins at `start`. Raises MalformedPayload."""
    headers: list[tuple[int, int, int]] = []
    position, end = start, len(packet)
    while True:
        if position >= end:
            raise MalformedPayload("a RED payload without a primary block")
        lead = packet[position]
        if not lead & FOLLOWS:
            break
        if position + BLOCK_HEADER.size > end or len(headers) == MAX_BLOCKS:
            raise MalformedPayload("a RED block header is cut off, or there are too many")
        (word,) = BLOCK_HEADER.unpack_from(packet, position)
        headers.append((lead & PAYLOAD_TYPE, word >> 10 & MAX_OFFSET, word & MAX_BLOCK_BYTES))
        position += BLOCK_HEADER.size
    position += 1
    blocks: list[Redundant] = []
    for payload_type, offset, size_bytes in headers:
        blocks.append(Redundant(payload_type, offset, packet[position : position + size_bytes]))
        position += size_bytes
    if position > end:
        raise MalformedPayload("the RED blocks are longer than their packet")
    return Redundancy(lead & PAYLOAD_TYPE, position, blocks)


def encode_head(payload_type: int, blocks: Sequence[Redundant]) -> bytes:
    """What goes before the primary block of this payload type. The blocks fit their fields, oldest first."""
    headers = [
        BLOCK_HEADER.pack(
            (FOLLOWS | block.payload_type) << 24 | block.offset << 10 | len(block.data),
        )
        for block in blocks
    ]
    return b"".join([*headers, bytes([payload_type]), *[block.data for block in blocks]])
