"""What the recorder got of somebody's picture in a window of time, read out of the journal's own segments."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from media import rtp
from media.depacketizer import depacketize, is_keyframe_start
from media.frame_size import keyframe_size
from media.rtpdump import parse_dump

Json = dict[str, Any]


class JournalSegment(NamedTuple):
    """A `segment_sealed` entry's body, and its blob."""

    body: Json
    dump: bytes

    @property
    def ended_at(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.body["ended_at"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Payload bits and pictures a second, and the pictures' height, if a keyframe told it."""

    bitrate_bps: float
    frame_rate: float
    height: int | None

    def __str__(self) -> str:
        return f"{self.bitrate_bps / 1e3:.0f} kbit/s, {self.frame_rate:.1f} fps, {self.height or 0} lines"


def recorded(
    segments: Iterable[JournalSegment], since: datetime.datetime, until: datetime.datetime
) -> Recorded:
    """`segments` are those of one person, in order, and from the beginning: a keyframe before the window is
    what the pictures in it have their height from.
    """
    size_bytes = 0
    heights: dict[int, int] = {}  # of each SSRC, as its newest keyframe states it
    pictures: list[int] = []
    for body, data in segments:
        codecs = {
            (stream["ssrc"], stream["payload_type"]): stream["codec"]
            for stream in body["streams"]
            if stream["media"] == "video"
        }
        dump = parse_dump(data)
        for record in dump.records:
            if record.is_rtcp:
                continue
            header = rtp.parse_header(record.data)
            codec = codecs.get((header.ssrc, header.payload_type))
            if codec is None:
                continue
            payload = rtp.payload(record.data)
            if is_keyframe_start(codec, payload):
                heights[header.ssrc] = keyframe_size(codec, depacketize(codec, [payload]))[1]
            if not since <= dump.began_at + datetime.timedelta(milliseconds=record.offset_ms) < until:
                continue
            size_bytes += len(payload)
            if header.marker:  # RFC 7741 §4.1, RFC 6184 §5.1: the last packet of a picture
                pictures.append(heights.get(header.ssrc, 0))
    window_s = (until - since).total_seconds()
    return Recorded(
        bitrate_bps=size_bytes * 8 / window_s,
        frame_rate=len(pictures) / window_s,
        height=(round(median(pictures)) or None) if pictures else None,
    )
