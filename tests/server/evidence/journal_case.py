"""A case with a call that was kept: segments of RTP, and a picture of it, as the service seals them."""

import functools
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from media.depacketizer import VP8
from media.picture_protocol import encode_packets
from media.picture_worker import decode
from media.rtpdump import MEDIA_TYPE, encode_dump
from server.evidence.canonical import JsonObject
from server.evidence.entry import Draft, encode_time
from tests.media.video_source import encode, rtp_packets
from tests.server.evidence.sample_case import BEGAN_AT, CASE, OTHER_CASE, SampleLog, draft, make_log

SSRC, SOUND_SSRC = 0x5EED, 0x50FA
SENDER = "l_d"  # the actor of `draft`
PICTURES = 6  # of the stream, two a segment
PACKET_MS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalCase:
    """Drafts of a case with its blobs; tests change a draft or a blob and seal it again."""

    drafts: tuple[Draft, ...]
    blobs: Mapping[str, bytes] = field(default_factory=dict)

    def log(self) -> SampleLog:
        return make_log(self.drafts)

    def package(self) -> bytes:
        return self.log().package(blobs=self.blobs)

    def changed(self, kind: str, changes: JsonObject) -> "JournalCase":
        """The first entry of this kind gets other members in its body."""
        place = next(place for place, item in enumerate(self.drafts) if item.kind == kind)
        item = self.drafts[place]
        changed = replace(item, body={**item.body, **changes})
        return replace(self, drafts=(*self.drafts[:place], changed, *self.drafts[place + 1 :]))

    def body(self, kind: str) -> JsonObject:
        return dict(next(item for item in self.drafts if item.kind == kind).body)


def blob_of(data: bytes, media_type: str) -> JsonObject:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data), "media_type": media_type}


def stream(width: int = 48, height: int = 48) -> list[list[bytes]]:
    """Packets of six pictures, in three pieces. The encoder looks at the clock: one stream for all tests."""
    return _stream(width, height)


@functools.cache
def _stream(width: int, height: int) -> list[list[bytes]]:
    pieces = encode(VP8, PICTURES, width=width, height=height, bitrate_bps=50_000)
    packets = rtp_packets(pieces)
    third = len(packets) // 3
    return [packets[:third], packets[third : 2 * third], packets[2 * third :]]


def sound(count: int, seed: int) -> list[bytes]:
    """RTP packets of another stream, which no picture is made of."""
    chance = random.Random(seed)
    head = b"\x80\x6f\x00\x00" + bytes(4) + SOUND_SSRC.to_bytes(4)
    return [head[:2] + number.to_bytes(2) + head[4:] + chance.randbytes(600) for number in range(count)]


def segment_draft(
    number: int, packets: Sequence[bytes], dump: bytes | None = None, heard: Sequence[bytes] = ()
) -> tuple[Draft, bytes]:
    began_at = BEGAN_AT + timedelta(seconds=5 * number)
    records = [(index * PACKET_MS, False, packet) for index, packet in enumerate([*packets, *heard])]
    data = dump or encode_dump(began_at, [*records, (records[-1][0], True, b"\x81\xc8" + bytes(26))])
    body: JsonObject = {
        "call_number": 1,
        "segment": number,
        "blob": blob_of(data, MEDIA_TYPE),
        "began_at": encode_time(began_at),
        "ended_at": encode_time(began_at + timedelta(milliseconds=records[-1][0])),
        "packets": len(packets) + len(heard),
        "reason": "full",
        "streams": [
            {
                "ssrc": SSRC,
                "mid": "0",
                "media": "video",
                "codec": VP8,
                "payload_type": 96,
                "clock_rate": 90_000,
                "channels": None,
                "parameters": "",
                "packets": len(packets),
            },
            *[
                {
                    "ssrc": SOUND_SSRC,
                    "mid": "1",
                    "media": "audio",
                    "codec": "opus",
                    "payload_type": 111,
                    "clock_rate": 48_000,
                    "channels": 2,
                    "parameters": "",
                    "packets": len(heard),
                }
                for _ in heard[:1]
            ],
        ],
    }
    return draft("segment_sealed", CASE, body), data


def frame_draft(packets: Sequence[bytes], first_segment: int, last_segment: int) -> tuple[Draft, bytes]:
    jpeg, width, height = decode(list(packets), VP8)
    body: JsonObject = {
        "of": SENDER,
        "blob": blob_of(jpeg, "image/jpeg"),
        "width": width,
        "height": height,
        "codec": VP8,
        "rtp_timestamp": int.from_bytes(packets[-1][4:8]),
        "arrived_at": encode_time(BEGAN_AT + timedelta(seconds=5 * last_segment)),
        "capture_path": "server_frame",
        "packets": {
            "ssrc": SSRC,
            "first_sequence_number": int.from_bytes(packets[0][2:4]),
            "last_sequence_number": int.from_bytes(packets[-1][2:4]),
            "count": len(packets),
            "sha256": hashlib.sha256(encode_packets(packets)).hexdigest(),
        },
        "pressed_at": encode_time(BEGAN_AT),
        "journal": {"call_number": 1, "first_segment": first_segment, "last_segment": last_segment},
    }
    return draft("frame_sealed", CASE, body), jpeg


@functools.cache
def journal_case(*, width: int = 48, height: int = 48, texts: int = 0, heard: int = 0) -> JournalCase:
    """Entries: 1 opened, 2 a frame of segments 1 and 2, 3 to 5 the segments, then texts, then the export."""
    pieces = stream(width, height)
    frame, jpeg = frame_draft([*pieces[0], *pieces[1]], 1, 2)
    segments = [
        segment_draft(number, piece, heard=sound(heard, number))
        for number, piece in enumerate(pieces, start=1)
    ]
    drafts = [
        draft("case_opened", CASE, {"waybill": "SF1"}),
        draft("case_opened", OTHER_CASE, {"waybill": "SF2"}),
        frame,
        *[item for item, _ in segments],
        *[draft("text", CASE, {"text": f"第 {number} 句"}) for number in range(texts)],
    ]
    drafts.append(draft("exported", CASE, {"entries_before": len(drafts) - 1}))
    blobs = {hashlib.sha256(data).hexdigest(): data for data in (jpeg, *[data for _, data in segments])}
    return JournalCase(drafts=tuple(drafts), blobs=blobs)
