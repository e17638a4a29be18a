"""What the benchmark says the recorder got is what lies in the journal's segments."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from media.rtp import HEADER
from media.rtpdump import encode_dump
from tests.bench.media_source import FRAME_RATE, HEIGHT, MediaSource, encode_media_source
from tests.bench.recorded import JournalSegment, Recorded, recorded

pytestmark = pytest.mark.long  # media as they are sent take ten seconds to encode

BEGAN_AT = datetime(2026, 11, 22, 14, 3, 17, tzinfo=UTC)
VIDEO = {"ssrc": 2, "payload_type": 96, "media": "video", "codec": "VP8"}
AUDIO = {"ssrc": 1, "payload_type": 111, "media": "audio", "codec": "opus"}


@pytest.fixture(scope="module")
def media() -> MediaSource:
    return encode_media_source()


def seconds(number: float) -> datetime:
    return BEGAN_AT + timedelta(seconds=number)


def segment(pictures: Sequence[tuple[bytes, ...]], *, began_at: datetime = BEGAN_AT) -> JournalSegment:
    """These pictures, one after the other, and a sound beside each."""
    records = []
    for index, payloads in enumerate(pictures):
        offset_ms = index * 1_000 // FRAME_RATE
        records.append((offset_ms, False, HEADER.pack(0x80, 111, index, 0, 1) + bytes(100)))
        for payload in payloads:
            marker = 0x80 if payload is payloads[-1] else 0
            records.append((offset_ms, False, HEADER.pack(0x80, 96 | marker, index, 0, 2) + payload))
        records.append((offset_ms, True, b"\x80\xc8\0\0"))
    return JournalSegment({"streams": [AUDIO, VIDEO]}, encode_dump(began_at, records))


def test_bits_and_pictures_are_those_of_the_window(media: MediaSource) -> None:
    second = media.pictures[:FRAME_RATE], media.pictures[FRAME_RATE : 2 * FRAME_RATE]
    segments = [segment(second[0]), segment(second[1], began_at=seconds(1))]
    size_bits = sum(8 * len(payload) for picture in second[1] for payload in picture)
    assert recorded(segments, seconds(1), seconds(2)) == Recorded(
        bitrate_bps=size_bits, frame_rate=FRAME_RATE, height=HEIGHT
    ), "the height is that of the keyframe before the window; sound is not counted"


def test_nothing_recorded_has_no_height(media: MediaSource) -> None:
    nothing = Recorded(bitrate_bps=0, frame_rate=0, height=None)
    assert recorded([], seconds(0), seconds(1)) == nothing
    assert recorded([segment(media.pictures)], seconds(10), seconds(11)) == nothing


def test_pictures_before_the_first_keyframe_have_no_height(media: MediaSource) -> None:
    assert recorded([segment(media.pictures[1:FRAME_RATE])], seconds(0), seconds(1)).height is None
