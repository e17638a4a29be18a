"""What the server and its playback worker say to each other over pipes. Pure.

    message  ┌ kind 1 ┐┌ size 4 ┐┌ body ┐

    to the worker    BEGIN {title, comment, has_sound}
                     SEGMENT {number, streams} and DUMP rtpdump, for each segment
                     END
    and its answer   MADE {facts} or FAILED {code, reason}, after END or as soon as it is certain

Bodies in braces are JSON, a dump is the segment's bytes. Numbers are big-endian. The file goes
neither way: the worker writes it to a descriptor that it was given. Both ends are ours and of one version:
nothing here is checked twice.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from media.journal import SegmentStream

HEAD = struct.Struct("!BI")
BEGIN, SEGMENT, DUMP, END, MADE, FAILED = range(6)

WEBM, MP4, MP4_SOUND = "video/webm", "video/mp4", "audio/mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFacts:
    """What a file is. Width, height and `frames` (pictures that are shown) are 0 where there are none."""

    media_type: str
    duration_ms: int
    width: int
    height: int
    frames: int
    lost_pictures: int
    """Left out, because they or what they are drawn upon did not arrive."""
    lost_sounds: int
    """Packets that are filled with silence or concealed."""
    began_at: datetime
    """Of the file's time 0, by the server's wall clock."""


def encode_message(kind: int, body: bytes | dict[str, Any] = b"") -> bytes:
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return HEAD.pack(kind, len(body)) + body


def encode_segment_head(number: int, streams: Sequence[SegmentStream]) -> bytes:
    return encode_message(SEGMENT, {"number": number, "streams": [asdict(stream) for stream in streams]})


def parse_segment_head(body: bytes) -> tuple[int, list[SegmentStream]]:
    head = json.loads(body)
    return head["number"], [SegmentStream(**stream) for stream in head["streams"]]


def encode_facts(facts: PlaybackFacts) -> bytes:
    return encode_message(MADE, asdict(facts) | {"began_at": facts.began_at.isoformat()})


def parse_facts(body: bytes) -> PlaybackFacts:
    facts = json.loads(body)
    return PlaybackFacts(**facts | {"began_at": datetime.fromisoformat(facts["began_at"])})
