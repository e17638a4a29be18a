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

from librt.strings import BytesWriter

from media.errors import MalformedDump

MEDIA_TYPE = "application/x-rtpdump"
MAGIC = b"#!rtpplay1.0 "
FIRST_LINE = MAGIC + b"0.0.0.0/0\n"
MAX_FIRST_LINE_BYTES = 80  # an IPv6 address and a port are 46
FILE_HEAD = struct.Struct("!IIIHH")  # seconds, microseconds, source, port, padding
RECORD_HEAD = struct.Struct("!HHI")  # length, RTP length, offset
RECORD_HEAD_BYTES = 8
MAX_DATA_BYTES = 0xFFFF - RECORD_HEAD_BYTES
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


class DumpWriter:
    """A file in the making."""

    def __init__(self, began_at: datetime) -> None:
        elapsed = began_at - EPOCH
        seconds = elapsed.days * 86_400 + elapsed.seconds
        self._dump = BytesWriter()
        self._dump.write(FIRST_LINE)
        self._dump.write(FILE_HEAD.pack(seconds, elapsed.microseconds, 0, 0, 0))

    def write(self, offset_ms: int, data: bytes, *, is_rtcp: bool) -> None:
        """A record: at most MAX_OFFSET_MS behind the beginning, 1 to MAX_DATA_BYTES long; else ValueError."""
        if not 0 <= offset_ms <= MAX_OFFSET_MS or not 1 <= len(data) <= MAX_DATA_BYTES:
            raise ValueError(f"no record of a dump: {len(data)} bytes at {offset_ms} ms")
        dump = self._dump
        length = RECORD_HEAD_BYTES + len(data)
        rtp_length = 0 if is_rtcp else len(data)
        dump.append(length >> 8)
        dump.append(length & 0xFF)
        dump.append(rtp_length >> 8)
        dump.append(rtp_length & 0xFF)
        dump.append(offset_ms >> 24)
        dump.append(offset_ms >> 16 & 0xFF)
        dump.append(offset_ms >> 8 & 0xFF)
        dump.append(offset_ms & 0xFF)
        dump.write(data)

    def getvalue(self) -> bytes:
        """The file, as far as it is written."""
        return self._dump.getvalue()


def encode_dump(began_at: datetime, records: Iterable[tuple[int, bool, bytes]]) -> bytes:
    """The file of these records: the offset in milliseconds, whether it is RTCP, and the packet."""
    dump = DumpWriter(began_at)
    for offset_ms, is_rtcp, data in records:
        dump.write(offset_ms, data, is_rtcp=is_rtcp)
    return dump.getvalue()


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
