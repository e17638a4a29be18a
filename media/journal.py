"""The journal of one sender: what they send while they are admitted on one connection, in segments. Pure.

    router ── each new packet ──> │ open piece │ ── closed pieces ──> handle_timeout ──> Segment …
              each sender report ─┘

- A segment is what arrived in at most MAX_SEGMENT_S, RTP in the order of arrival, behind SRTP, retransmission
  and redundancy, with the sender reports (RFC 3550 §6.4.1) that came meanwhile: they put sound and picture on
  one clock.
- It ends when it is long or large enough, when the sender falls silent, when they begin a new stream, and
  with the journal. Each packet that was fed is in exactly one segment.
- Feeding costs a packet an append, an addition and a comparison. Segments are made at the next timeout only:
  the packet that fills a piece is not the one that waits for it.
- A report alone begins no segment: without a packet there is nothing to put on a clock, and a page in the
  background would fill the log with them for hours.

Packets are kept by reference: most of them the packet history and the pictures keep anyway.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Literal

from media.rtp import PAYLOAD_TYPE
from media.rtpdump import encode_dump
from media.sdp import Codec, MediaSection

MAX_SEGMENT_S = 5.0  # what a power failure may cost at the most
MAX_SEGMENT_BYTES = 1 << 20  # 1 MiB: 5 s of 1.6 Mbit/s; a larger piece is a longer wait for its writer
RECORD_OVERHEAD_BYTES = 128  # what CPython needs to keep a record; also bounds how many are in a segment
SILENCE_S = (
    1.0  # as long as the sender's next packet may be far: a browser repeats even a still picture sooner
)
MIN_SEGMENT_S = 1.0  # a sender may begin any number of streams, and each segment is an entry of the log
MAX_STREAMS = 16  # named in a segment, as many as the router knows at a time
MAX_PARAMETERS_CHARACTERS = 512  # of a format: H.264 parameter sets have about 100; an entry has 64 KiB

# What an entry can hold of a mid; another is left out: no offer may keep its sender off the record.
_MID = re.compile("[!-~]{0,64}")

Reason = Literal["full", "interrupted", "ended"]
Kept = tuple[bytes, float]  # a packet and its arrival, as the packet history keeps it
_Report = tuple[int, bytes, float]  # how many packets of the piece came before it, the compound, its arrival
_Piece = tuple[list[Kept], list[_Report], Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStream:
    """One format in which packets of a segment came, and what the offer says of it."""

    ssrc: int
    mid: str
    kind: Literal["audio", "video"]
    codec_name: str
    payload_type: int
    clock_rate: int
    channels: int | None
    parameters: str
    """As `a=fmtp` has them: name=value, separated by semicolons."""
    packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What arrived from one sender in a stretch of time. A record is its arrival (monotonic), whether it is
    RTCP, and its bytes; they lie in the order of arrival, and the first is RTP.
    """

    began: float
    ended: float
    """Monotonic seconds: when the first and the last record arrived."""
    began_at: datetime
    ended_at: datetime
    packets: int
    """RTP alone."""
    size_bytes: int
    """Of all records, without the heads that a file gives them."""
    streams: tuple[SegmentStream, ...]
    """By their first packet; the MAX_STREAMS with the most packets where there are more."""
    reason: Reason
    records: tuple[tuple[float, bool, bytes], ...]


def encode_segment(segment: Segment) -> bytes:
    """The segment as rtpdump. Takes about a millisecond: not for the thread that forwards packets."""
    began = segment.began
    return encode_dump(
        segment.began_at,
        [(round((arrived - began) * 1000), is_rtcp, data) for arrived, is_rtcp, data in segment.records],
    )


class Journal:
    """One sender's, from their admission on one connection to its end. `clock_zero_at` is the wall clock's
    time at monotonic zero: it stays what it was if somebody sets the clock. `first_s` is how long the first
    segment may be, and the first after an interruption: different for each, so that not all of those who came
    at once, or came back when their network did, are cut at once.
    """

    __slots__ = (
        "_clock_zero_at",
        "_closed",
        "_ended_streams",
        "_first_s",
        "_limit_bytes",
        "_longest_s",
        "_packets",
        "_reports",
        "_size_bytes",
        "_streams",
        "next_deadline",
    )

    def __init__(self, *, clock_zero_at: datetime, first_s: float = MAX_SEGMENT_S) -> None:
        self.next_deadline = inf
        self._first_s = first_s
        self._longest_s = first_s  # of the open piece
        self._clock_zero_at = clock_zero_at
        self._streams: dict[tuple[int, int], tuple[MediaSection, Codec]] = {}  # by SSRC and payload type
        self._ended_streams: set[int] = set()  # to be forgotten with the packets that are kept of them
        self._closed: list[_Piece] = []
        self._open()

    def _open(self) -> None:
        self._packets: list[Kept] = []
        self._reports: list[_Report] = []
        self._size_bytes = 0
        self._limit_bytes = 0  # the first packet sets it, and the deadline

    def handle_stream(self, ssrc: int, section: MediaSection, now: float, *, interrupts: bool = True) -> None:
        """Packets of an SSRC are to come, or come from the start again. `next_deadline` may come nearer.
        Another encoding of the same camera does not interrupt what is kept.
        """
        self._ended_streams.discard(ssrc)
        for codec in section.codecs:
            self._streams[ssrc, codec.payload_type] = section, codec
        if interrupts and self._packets and now >= self._packets[0][1] + MIN_SEGMENT_S:
            self._close_long()
            self._close("interrupted")
            self.next_deadline = now

    def handle_stream_end(self, ssrc: int) -> None:
        """The router has forgotten this SSRC; if packets of it come, `handle_stream` comes before them."""
        self._ended_streams.add(ssrc)

    def handle_packet(self, kept: Kept) -> bool:
        """A packet of a known stream in a codec of its section, once. Whether `next_deadline` came nearer."""
        self._packets.append(kept)
        self._size_bytes += len(kept[0]) + RECORD_OVERHEAD_BYTES
        return self._size_bytes > self._limit_bytes and self._handle_limit(kept[1])

    def handle_report(self, compound: bytes, now: float) -> bool:
        """A compound that holds a sender report. Whether `next_deadline` came nearer."""
        if not self._packets:
            return False
        self._reports.append((len(self._packets), compound, now))
        self._size_bytes += len(compound) + RECORD_OVERHEAD_BYTES
        return self._size_bytes > self._limit_bytes and self._handle_limit(now)

    def handle_timeout(self, now: float) -> list[Segment]:
        """What is complete by now."""
        if now < self.next_deadline:
            return []
        self._close_long()
        if self._packets:
            if now >= self._packets[0][1] + self._longest_s:
                self._close("full")
            elif now >= self._packets[-1][1] + SILENCE_S:
                self._close("interrupted")
        self.next_deadline = (
            min(self._packets[0][1] + self._longest_s, self._packets[-1][1] + SILENCE_S)
            if self._packets
            else inf
        )
        return self._take_closed()

    def close(self, reason: Reason) -> list[Segment]:
        """All that is left. The journal is over."""
        self._close_long()
        self._close(reason)
        self.next_deadline = inf
        return self._take_closed()

    def _handle_limit(self, now: float) -> bool:
        if self._limit_bytes:
            self._close_long()
            self._close("full")
            self.next_deadline = now
        else:
            self._limit_bytes = MAX_SEGMENT_BYTES
            self.next_deadline = min(self.next_deadline, now + SILENCE_S)
        return True

    def _close(self, reason: Reason) -> None:
        if self._packets:
            self._closed.append((self._packets, self._reports, reason))
            self._open()
            self._longest_s = self._first_s if reason == "interrupted" else MAX_SEGMENT_S

    def _close_long(self) -> None:
        """A timer may be late: what came too long after the beginning is left open by itself."""
        while self._packets and self._packets[-1][1] > (end := self._packets[0][1] + MAX_SEGMENT_S):
            count = bisect_right(self._packets, end, key=_arrival)
            self._closed.append(
                (self._packets[:count], [one for one in self._reports if one[0] <= count], "full")
            )
            self._packets = self._packets[count:]
            self._reports = [
                (place - count, compound, arrived)
                for place, compound, arrived in self._reports
                if place > count
            ]
            kept = [packet for packet, _ in self._packets] + [compound for _, compound, _ in self._reports]
            self._size_bytes = sum(map(len, kept)) + len(kept) * RECORD_OVERHEAD_BYTES

    def _take_closed(self) -> list[Segment]:
        segments = [self._segment(packets, reports, reason) for packets, reports, reason in self._closed]
        self._closed = []
        if self._ended_streams:
            gone = self._ended_streams - {int.from_bytes(packet[8:12]) for packet, _ in self._packets}
            self._streams = {key: one for key, one in self._streams.items() if key[0] not in gone}
            self._ended_streams -= gone
        return segments

    def _segment(self, packets: list[Kept], reports: list[_Report], reason: Reason) -> Segment:
        began = packets[0][1]
        records = [(arrived, False, packet) for packet, arrived in packets]
        for place, compound, arrived in reversed(reports):
            if arrived <= began + MAX_SEGMENT_S:
                records.insert(place, (arrived, True, compound))
        ended = records[-1][0]
        return Segment(
            began=began,
            ended=ended,
            began_at=self._clock_zero_at + timedelta(seconds=began),
            ended_at=self._clock_zero_at + timedelta(seconds=ended),
            packets=len(packets),
            size_bytes=sum([len(data) for _, _, data in records]),
            streams=self._streams_of(packets),
            reason=reason,
            records=tuple(records),
        )

    def _streams_of(self, packets: list[Kept]) -> tuple[SegmentStream, ...]:
        counts = Counter([(packet[8:12], packet[1] & PAYLOAD_TYPE) for packet, _ in packets])
        named = {key for key, _ in counts.most_common(MAX_STREAMS)}
        streams: list[SegmentStream] = []
        for (ssrc_bytes, payload_type), count in counts.items():
            if (ssrc_bytes, payload_type) not in named:
                continue
            ssrc = int.from_bytes(ssrc_bytes)
            section, codec = self._streams[ssrc, payload_type]
            streams.append(
                SegmentStream(
                    ssrc=ssrc,
                    mid=section.mid if _MID.fullmatch(section.mid) else "",
                    kind="video" if section.kind == "video" else "audio",
                    codec_name=codec.name,
                    payload_type=payload_type,
                    clock_rate=codec.clock_rate,
                    channels=codec.channels,
                    parameters=_fmtp(codec),
                    packets=count,
                )
            )
        return tuple(streams)


def _arrival(kept: Kept) -> float:
    return kept[1]


def _fmtp(codec: Codec) -> str:
    """What of the format parameters fits, each of them whole."""
    text = ""
    for name, value in codec.parameters:
        longer = f"{text};{name}={value}" if text else f"{name}={value}"
        if len(longer) <= MAX_PARAMETERS_CHARACTERS and longer.isascii() and longer.isprintable():
            text = longer
    return text
