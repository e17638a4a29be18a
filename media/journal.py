"""The journal of one sender: what they send while they are admitted on one connection, in segments. Pure.

    router ── each new packet ──> │ open piece │ ── closed pieces ──> handle_timeout ──> Segment …
              each sender report ─┘

- A segment is what arrived in at most MAX_SEGMENT_S, RTP in the order of arrival, behind SRTP, retransmission
  and redundancy, with the sender reports (RFC 3550 §6.4.1) that came meanwhile: they put sound and picture on
  one clock.
- It ends when it is long or large enough, when the sender falls silent, when they begin a new stream, and
  with the journal. Each packet that was fed is in exactly one segment.
- Feeding costs a packet an append, a few additions and comparisons, while it is at hand: seconds later it has
  left the caches. Segments are made at the next timeout only: the packet that fills a piece is not the one
  that waits for it.
- A report alone begins no segment: without a packet there is nothing to put on a clock, and a page in the
  background would fill the log with them for hours.

Packets are kept by reference: most of them the packet history and the pictures keep anyway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Final, Literal

from media.packet_history import Kept
from media.rtp import PAYLOAD_TYPE, ssrc_of
from media.rtpdump import DumpWriter
from media.sdp import Codec, MediaSection

MAX_SEGMENT_S = 5.0  # what a power failure may cost at the most
MAX_SEGMENT_BYTES = 1 << 20  # 1 MiB: 5 s of 1.6 Mbit/s; a larger piece is a longer wait for its writer
RECORD_OVERHEAD_BYTES: Final = 128  # for CPython to keep a record; bounds how many are in a segment, too
SILENCE_S = (
    1.0  # as long as the sender's next packet may be far: a browser repeats even a still picture sooner
)
MIN_SEGMENT_S = 1.0  # a sender may begin any number of streams, and each segment is an entry of the log
NO_STREAM: Final = -1  # in the place of an SSRC and a payload type
MAX_STREAMS = 16  # named in a segment, as many as the router knows at a time
MAX_PARAMETERS_CHARACTERS = 512  # of a format: H.264 parameter sets have about 100; an entry has 64 KiB

# What an entry can hold of a mid; another is left out: no offer may keep its sender off the record.
_MID = re.compile("[!-~]{0,64}")

Reason = Literal["full", "interrupted", "ended"]
_Piece = tuple[list[Kept], dict[int, int], int, Reason]  # records, packets by stream, bytes


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
    """What arrived from one sender in a stretch of time. `records` lie as they arrived; the first is RTP."""

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
    records: tuple[Kept, ...]


def encode_segment(segment: Segment) -> bytes:
    """The segment as rtpdump. Takes about a millisecond: not for the thread that forwards packets."""
    dump, began = DumpWriter(segment.began_at), segment.began
    for record in segment.records:
        dump.write(int((record.arrived - began) * 1000 + 0.5), record.data, is_rtcp=record.is_rtcp)
    return dump.getvalue()


class Journal:
    """One sender's, from their admission on one connection to its end. `clock_zero_at` is the wall clock's
    time at monotonic zero: it stays what it was if somebody sets the clock. `first_s` is how long the first
    segment may be, and the first after an interruption: different for each, so that not all of those who came
    at once, or came back when their network did, are cut at once.
    """

    __slots__ = (
        "_clock_zero_at",
        "_closed",
        "_counts",
        "_ended_streams",
        "_ends_at",
        "_first_s",
        "_limit_bytes",
        "_longest_s",
        "_packet_at",
        "_records",
        "_run",
        "_size_bytes",
        "_stream",
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
        self._records: list[Kept] = []
        self._counts: dict[int, int] = {}  # of packets, by SSRC and payload type
        self._stream = NO_STREAM  # of the last packet, and of how many before it that are not counted yet
        self._run = 0
        self._ends_at = inf  # the first packet sets it
        self._packet_at = 0.0  # when the last of its packets came: a report breaks no silence
        self._size_bytes = 0
        self._limit_bytes = 0  # the first packet sets it, and the deadline

    def handle_stream(self, ssrc: int, section: MediaSection, now: float, *, interrupts: bool = True) -> None:
        """Packets of an SSRC are to come, or come from the start again. `next_deadline` may come nearer.
        Another encoding of the same camera does not interrupt what is kept.
        """
        self._ended_streams.discard(ssrc)
        for codec in section.codecs:
            self._streams[ssrc, codec.payload_type] = section, codec
        if interrupts and self._records and now >= self._records[0].arrived + MIN_SEGMENT_S:
            self._close("interrupted")
            self.next_deadline = now

    def handle_stream_end(self, ssrc: int) -> None:
        """The router has forgotten this SSRC; if packets of it come, `handle_stream` comes before them."""
        self._ended_streams.add(ssrc)

    def handle_packet(self, kept: Kept) -> bool:
        """A packet of a known stream in a codec of its section, once. Whether `next_deadline` came nearer."""
        if kept.arrived > self._ends_at:  # a timer may be late
            self._close("full")
        data = kept.data
        stream = ssrc_of(data) << 8 | data[1] & PAYLOAD_TYPE
        if stream != self._stream:  # those of a picture come together
            self._count_run()
            self._stream = stream
        self._run += 1
        self._records.append(kept)
        self._packet_at = kept.arrived
        self._size_bytes += len(data) + RECORD_OVERHEAD_BYTES
        return self._size_bytes > self._limit_bytes and self._handle_limit(kept.arrived)

    def handle_report(self, compound: bytes, now: float) -> bool:
        """A compound that holds a sender report. Whether `next_deadline` came nearer."""
        if not self._records or now > self._ends_at:
            return False
        self._records.append(Kept(compound, now, is_rtcp=True))
        self._size_bytes += len(compound) + RECORD_OVERHEAD_BYTES
        return self._size_bytes > self._limit_bytes and self._handle_limit(now)

    def handle_timeout(self, now: float) -> list[Segment]:
        """What is complete by now."""
        if now < self.next_deadline:
            return []
        if self._records:
            if now >= self._records[0].arrived + self._longest_s:
                self._close("full")
            elif now >= self._packet_at + SILENCE_S:
                self._close("interrupted")
        self.next_deadline = (
            min(self._records[0].arrived + self._longest_s, self._packet_at + SILENCE_S)
            if self._records
            else inf
        )
        return self._take_closed()

    def close(self, reason: Reason) -> list[Segment]:
        """All that is left. The journal is over."""
        self._close(reason)
        self.next_deadline = inf
        return self._take_closed()

    def _handle_limit(self, now: float) -> bool:
        if self._limit_bytes:
            self._close("full")
            self.next_deadline = now
        else:
            self._limit_bytes = MAX_SEGMENT_BYTES
            self._ends_at = now + MAX_SEGMENT_S
            self.next_deadline = min(self.next_deadline, now + SILENCE_S)
        return True

    def _count_run(self) -> None:
        if self._run:
            self._counts[self._stream] = self._counts.get(self._stream, 0) + self._run
            self._run = 0

    def _close(self, reason: Reason) -> None:
        if not self._records:
            return
        self._count_run()
        self._closed.append((self._records, self._counts, self._size_bytes, reason))
        self._open()
        self._longest_s = self._first_s if reason == "interrupted" else MAX_SEGMENT_S

    def _take_closed(self) -> list[Segment]:
        segments = [self._segment(*piece) for piece in self._closed]
        self._closed = []
        if self._ended_streams:
            gone = self._ended_streams - {
                ssrc_of(record.data) for record in self._records if not record.is_rtcp
            }
            self._streams = {key: one for key, one in self._streams.items() if key[0] not in gone}
            self._ended_streams -= gone
        return segments

    def _segment(
        self, records: list[Kept], counts: dict[int, int], kept_bytes: int, reason: Reason
    ) -> Segment:
        began, ended = records[0].arrived, records[-1].arrived
        return Segment(
            began=began,
            ended=ended,
            began_at=self._clock_zero_at + timedelta(seconds=began),
            ended_at=self._clock_zero_at + timedelta(seconds=ended),
            packets=sum(counts.values()),
            size_bytes=kept_bytes - len(records) * RECORD_OVERHEAD_BYTES,
            streams=self._streams_of(counts),
            reason=reason,
            records=tuple(records),
        )

    def _streams_of(self, counts: dict[int, int]) -> tuple[SegmentStream, ...]:
        named = set(sorted(counts, key=lambda key: -counts[key])[:MAX_STREAMS])
        streams: list[SegmentStream] = []
        for key, count in counts.items():
            if key not in named:
                continue
            ssrc, payload_type = key >> 8, key & PAYLOAD_TYPE
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


def _fmtp(codec: Codec) -> str:
    """What of the format parameters fits, each of them whole."""
    text = ""
    for name, value in codec.parameters:
        longer = f"{text};{name}={value}" if text else f"{name}={value}"
        if len(longer) <= MAX_PARAMETERS_CHARACTERS and longer.isascii() and longer.isprintable():
            text = longer
    return text
