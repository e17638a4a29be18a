"""rtpdump: packets and when each arrived, in one file, as rtptools write it and Wireshark reads it. Pure.

    #!rtpplay1.0 0.0.0.0/0 ⏎
    ┌ start: seconds 4 ┐┌ microseconds 4 ┐┌ source 4 ┐┌ port 2 ┐┌ padding 2 ┐
    then a record a packet
    ┌ length 2 ┐┌ RTP length 2 ┐┌ milliseconds since the start 4 ┐┌ the packet ┐

Numbers are big-endian. `length` counts the record with its own head; the RTP length is 0 where the packet is
an RTCP compound. Where the packets came from is not told: source and port are 0, and not read.

The format lets a record hold the beginning of a packet alone. Here a packet is whole or the file malformed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from media.errors import MalformedDump

MEDIA_TYPE = "application/x-rtpdump"
MAGIC = b"#!rtpplay1.0 "
FIRST_LINE = MAGIC + b"0.0.0.0/0\n"
MAX_FIRST_LINE_BYTES = 80  # an IPv6 address and a port are 46
FILE_HEAD = struct.Struct("!IIIHH")  # seconds, microseconds, source, port, padding
RECORD_HEAD = struct.Struct("!HHI")  # length, RTP length, offset
MAX_DATA_BYTES = 0xFFFF - RECORD_HEAD.size
MAX_OFFSET_MS = 0xFFFF_FFFF
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Record(NamedTuple):
    """One packet: milliseconds from the start of the dump to its arrival, RTCP or RTP, and its bytes."""

    offset_ms: int
    is_rtcp: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """What a dump says: when it began by the wall clock, and its records as they lie in it."""

    began_at: datetime
    records: list[Record]


def encode_dump(began_at: datetime, records: Iterable[tuple[int, bool, bytes]]) -> bytes:
    """The file. A record: its offset in milliseconds, whether it is RTCP, and 1 to MAX_DATA_BYTES of data."""
    elapsed = began_at - EPOCH
    seconds = elapsed.days * 86_400 + elapsed.seconds
    parts = [FIRST_LINE, FILE_HEAD.pack(seconds, elapsed.microseconds, 0, 0, 0)]
    for offset_ms, is_rtcp, data in records:
        length = len(data)
        parts.append(RECORD_HEAD.pack(RECORD_HEAD.size + length, 0 if is_rtcp else length, offset_ms))
        parts.append(data)
    return b"".join(parts)


def parse_dump(data: bytes) -> Dump:
    """The dump in a file. Raises MalformedDump."""
    line_end = data.find(b"\n", 0, MAX_FIRST_LINE_BYTES)
    if not data.startswith(MAGIC) or line_end < 0:
        raise MalformedDump("a dump begins with #!rtpplay1.0, an address and the end of the line")
    position = line_end + 1
    if len(data) < position + FILE_HEAD.size:
        raise MalformedDump("the head of the dump is cut off")
    seconds, microseconds, *_ = FILE_HEAD.unpack_from(data, position)
    if microseconds >= 1_000_000:
        raise MalformedDump(f"the dump begins {microseconds} microseconds behind its second")
    position += FILE_HEAD.size
    records: list[Record] = []
    while position < len(data):
        start = position + RECORD_HEAD.size
        if len(data) < start:
            raise MalformedDump(f"the head of record {len(records)} is cut off")
        length, rtp_length, offset_ms = RECORD_HEAD.unpack_from(data, position)
        position += length
        if length <= RECORD_HEAD.size or position > len(data):
            raise MalformedDump(f"record {len(records)} is empty, or longer than the dump")
        if rtp_length not in (0, position - start):
            raise MalformedDump(f"record {len(records)} holds a part of its packet only")
        records.append(Record(offset_ms, rtp_length == 0, data[start:position]))
    return Dump(began_at=EPOCH + timedelta(seconds=seconds, microseconds=microseconds), records=records)
