"""A file of a recording: how many times faster than it was recorded, from the first segment to the last byte."""

import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from media.journal import SegmentStream
from media.playback import PlaybackMaker, PlaybackRequest, PlaybackSegment
from media.rtp import HEADER
from media.rtpdump import encode_dump
from tests.bench.bot import BotFailed
from tests.bench.media_source import AUDIO_FRAME_S, FRAME_RATE, HEIGHT, WIDTH, MediaSource
from tests.bench.table import Row, judge, span
from tests.bench.workshop import Workshop

RECORDED_S = 60
SEGMENT_S = 5
TURNS = 5
REACH = 50
AUDIO_SSRC, VIDEO_SSRC, AUDIO_TYPE, VIDEO_TYPE = 1, 2, 111, 96


async def measure_playback(workshop: Workshop) -> list[Row]:
    segments = _segments(workshop.crowd.media)
    bitrate_bps = sum(len(segment.dump) for segment in segments) * 8 / RECORDED_S
    maker = PlaybackMaker()
    multiples: list[float] = []
    for _ in range(TURNS):
        output = os.memfd_create("playback")
        started = time.monotonic()
        request = PlaybackRequest(segments=_one_by_one(segments), title="bench", comment="bench")
        facts = await maker.make_playback(request, output)
        multiples.append(RECORDED_S / (time.monotonic() - started))
        os.close(output)
        if facts.frames != RECORDED_S * FRAME_RATE or facts.lost_pictures or facts.lost_sounds:
            raise BotFailed(f"the benchmark's own recording is not whole: {facts}")
    multiple = sum(multiples) / len(multiples)
    return [
        Row(
            part="playback",
            what=f"file of {RECORDED_S} s ({WIDTH}×{HEIGHT}, {bitrate_bps / 1e6:.1f} Mbit/s), × real time",
            reach=f"≥ {REACH} ×",
            measured=f"{multiple:.0f} ×",
            noise=span(multiples),
            verdict=judge(multiple >= REACH),
        )
    ]


async def _one_by_one(segments: list[PlaybackSegment]) -> AsyncIterator[PlaybackSegment]:
    for segment in segments:
        yield segment


def _segments(media: MediaSource) -> list[PlaybackSegment]:
    """What a bot sends in a minute, as the journal keeps it."""
    sent: list[tuple[int, bytes]] = []
    number = 0
    for picture in range(RECORDED_S * FRAME_RATE):
        payloads = media.pictures[picture % len(media.pictures)]
        for place, payload in enumerate(payloads, start=1):
            head = HEADER.pack(
                0x80,
                VIDEO_TYPE | 0x80 * (place == len(payloads)),
                number & 0xFFFF,
                picture * 90_000 // FRAME_RATE,
                VIDEO_SSRC,
            )
            sent.append((picture * 1_000 // FRAME_RATE, head + payload))
            number += 1
    for sound in range(round(RECORDED_S / AUDIO_FRAME_S)):
        head = HEADER.pack(
            0x80, AUDIO_TYPE, sound & 0xFFFF, round(sound * AUDIO_FRAME_S * 48_000), AUDIO_SSRC
        )
        sent.append((round(sound * AUDIO_FRAME_S * 1_000), head + media.sounds[sound % len(media.sounds)]))
    sent.sort(key=lambda packet: packet[0])
    streams = (
        _stream(AUDIO_SSRC, "audio", "opus", AUDIO_TYPE, 48_000),
        _stream(VIDEO_SSRC, "video", "VP8", VIDEO_TYPE, 90_000),
    )
    segments = []
    for start_ms in range(0, RECORDED_S * 1_000, SEGMENT_S * 1_000):
        records = [
            (at_ms - start_ms, False, packet)
            for at_ms, packet in sent
            if start_ms <= at_ms < start_ms + SEGMENT_S * 1_000
        ]
        dump = encode_dump(datetime.fromtimestamp(1_700_000_000 + start_ms // 1_000, UTC), records)
        segments.append(PlaybackSegment(number=len(segments) + 1, streams=streams, dump=dump))
    return segments


def _stream(ssrc: int, kind: str, codec_name: str, payload_type: int, clock_rate: int) -> SegmentStream:
    assert kind == "audio" or kind == "video"
    return SegmentStream(
        ssrc=ssrc,
        mid=kind,
        kind=kind,
        codec_name=codec_name,
        payload_type=payload_type,
        clock_rate=clock_rate,
        channels=2 if kind == "audio" else None,
        parameters="",
        packets=1,
    )
