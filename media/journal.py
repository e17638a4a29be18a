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

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from media.rtpdump import encode_dump

MAX_SEGMENT_S = 5.0  # what a power failure may cost at the most
MAX_SEGMENT_BYTES = 1 << 20  # 1 MiB: 5 s of 1.6 Mbit/s; a larger piece is a longer wait for its writer
RECORD_OVERHEAD_BYTES = 128  # what CPython needs to keep a record; also bounds how many are in a segment
SILENCE_S = (
    1.0  # as long as the sender's next packet may be far: a browser repeats even a still picture sooner
)
MIN_SEGMENT_S = 1.0  # a sender may begin any number of streams, and each segment is an entry of the log
MAX_STREAMS = 16  # named in a segment, as many as the router knows at a time
MAX_PARAMETERS_CHARACTERS = 512  # of a format: H.264 parameter sets have about 100; an entry has 64 KiB

Reason = Literal["full", "interrupted", "ended"]
Kept = tuple[bytes, float]  # a packet and its arrival, as the packet history keeps it


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
