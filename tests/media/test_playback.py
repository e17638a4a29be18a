"""From segments to files through the worker process; Debian's ffprobe and PyAV's decoders are the oracles."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av.video.codeccontext import VideoCodecContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.errors import PlaybackFailed
from media.journal import SegmentStream
from media.playback import MAX_WAITING, PlaybackMaker, PlaybackRequest, PlaybackSegment
from media.playback_protocol import BEGIN, DUMP, END, PlaybackFacts, encode_message, encode_segment_head
from media.playback_worker import Unplayable, make_file
from media.rtpdump import encode_dump
from tests.media.recording import BEGAN_AT, Sender, Sent, jitter, loses, record, request, tones
from tests.media.test_timeline import RECORDS, streams_of
from tests.media.video_source import ENCODERS, encode

FFPROBE = shutil.which("ffprobe")
CODECS = ("VP8", "H264")
PICTURES_A_SECOND = 25
FLASH_BEGINS, FLASH_PICTURES, BEEP_PACKETS = 5, 3, 5
MAX_OUT_OF_STEP_MS = 40


async def make(
    segments: Sequence[PlaybackSegment], *, comment: str = "case c_1", has_sound: bool = True
) -> tuple[PlaybackFacts, bytes]:
    """The file of the segments, made by a worker."""
    output = os.memfd_create("playback")
    try:
        facts = await PlaybackMaker().make_playback(
            request(segments, comment=comment, has_sound=has_sound), output
        )
        return facts, os.pread(output, os.fstat(output).st_size, 0)
    finally:
        os.close(output)


@cache
def flashes(codec_name: str, seconds: int, keyframes_every: int = 50) -> tuple[tuple[bytes, ...], ...]:
    """RTP payloads of dark pictures; three of each second are bright, after a fifth of it."""
    library, options = ENCODERS[codec_name]
    encoder = VideoCodecContext.create(library, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 160, 128, "yuv420p"
    encoder.bit_rate, encoder.gop_size = 300_000, 10_000
    encoder.time_base, encoder.framerate = Fraction(1, PICTURES_A_SECOND), Fraction(PICTURES_A_SECOND)
    encoder.options = options
    if codec_name == "H264":
        encoder.profile = "Baseline"
    packetizer = Vp8Encoder() if codec_name == "VP8" else H264Encoder()
    noise = np.random.default_rng(1).integers(0, 30, (128, 160, 3), dtype=np.uint8)
    pictures = []
    for number in range(seconds * PICTURES_A_SECOND):
        bright = 0 <= number % PICTURES_A_SECOND - FLASH_BEGINS < FLASH_PICTURES
        frame = av.VideoFrame.from_ndarray(noise + np.uint8(200 * bright), format="rgb24")
        frame.pts = number
        if number % keyframes_every == 0:
            frame.pict_type = av.video.frame.PictureType.I
        for packet in encoder.encode(frame):
            payloads, _ = packetizer.pack(packet)
            pictures.append(tuple(payloads))
    return tuple(pictures)


def show(sender: Sender, from_s: int, until_s: int, *, spoken_s: int = 0) -> list[Sent]:
    """A flash and a beep in each second, and reports. The encoder of the sound has sent `spoken_s` before."""
    seconds = until_s - from_s
    pictures = sender.pictures(
        flashes(sender.codec_name, seconds), from_s=from_s, every_s=1 / PICTURES_A_SECOND
    )
    beeps = tones(50 * (spoken_s + seconds), beeps_every=50, beep_packets=BEEP_PACKETS)
    sounds = sender.sounds(beeps[50 * spoken_s :], from_s=float(from_s))
    return pictures + sounds + sender.reports(until_s, from_s=from_s)


def probe(file: bytes, tmp_path: Path) -> dict[str, Any]:
    """What ffprobe says of a file: format, streams, packets."""
    if FFPROBE is None:
        pytest.skip("ffprobe is not installed (Debian: apt-get install ffmpeg)")
    path = tmp_path / "file"
    path.write_bytes(file)
    told = subprocess.run(
        [FFPROBE, "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_packets", str(path)],
        capture_output=True,
        check=True,
    )
    assert told.stderr == b"", "ffprobe finds nothing to complain of"
    return dict(json.loads(told.stdout))


def packets_of(told: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [packet for packet in told["packets"] if packet["codec_type"] == kind]


def assert_times_run_on(told: dict[str, Any]) -> None:
    for kind in ("audio", "video"):
        times = [float(packet["pts_time"]) for packet in packets_of(told, kind)]
        assert times == sorted(set(times))


def seen_and_heard(file: bytes) -> tuple[list[tuple[float, float]], np.ndarray[Any, Any]]:
    """(time, brightness) of each picture, and the sound as players hear it: one sample behind the other."""
    pictures: list[tuple[float, float]] = []
    samples: list[np.ndarray[Any, Any]] = []
    with av.open(io.BytesIO(file), "r") as container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                assert frame.time is not None
                pictures.append((frame.time, float(frame.to_ndarray(format="gray").mean())))
            elif isinstance(frame, av.AudioFrame):
                heard = sum(len(each) for each in samples) / 48_000
                assert frame.time is not None and abs(frame.time - heard) < 0.002, "sound without a gap"
                samples.append(frame.to_ndarray()[0])
    return pictures, np.concatenate(samples)


def onsets(file: bytes) -> tuple[list[float], list[float]]:
    """When flashes and beeps begin, in seconds of the file; not those whose first pictures were lost."""
    pictures, sound = seen_and_heard(file)
    flashes_s = [
        time_s
        for (before_s, before), (time_s, brightness) in pairwise(pictures)
        if brightness > 100 > before and time_s - before_s < 1.5 / PICTURES_A_SECOND
    ]
    loud = np.abs(sound) > 0.1
    beeps_s: list[float] = []
    for place in np.flatnonzero(loud):
        if not beeps_s or place / 48_000 - beeps_s[-1] > 0.5:
            beeps_s.append(float(place / 48_000))
    return flashes_s, beeps_s


def out_of_step_ms(file: bytes) -> list[float]:
    """For each flash that has a beep within a third of a second: by how much it is later."""
    flashes_s, beeps_s = onsets(file)
    pairs = [(flash, min(beeps_s, key=lambda beep: abs(beep - flash))) for flash in flashes_s]
    return [1_000 * (flash - beep) for flash, beep in pairs if abs(flash - beep) < 0.33]


@pytest.mark.parametrize("codec_name", CODECS)
async def test_ffprobe_finds_every_picture_and_sound_of_a_clean_link(codec_name: str, tmp_path: Path) -> None:
    sender = Sender(codec_name=codec_name)
    facts, file = await make(record(show(sender, 0, 12), sender.streams(), delay_s=jitter(1, 0.05)))
    assert (facts.media_type, facts.width, facts.height, facts.frames, facts.lost_pictures) == (
        "video/webm" if codec_name == "VP8" else "video/mp4", 160, 128, 300, 0,
    )  # fmt: skip
    told = probe(file, tmp_path)
    assert {stream["codec_name"] for stream in told["streams"]} == {codec_name.lower(), "opus"}
    assert (len(packets_of(told, "video")), len(packets_of(told, "audio"))) == (300, 600)
    assert_times_run_on(told)
    assert abs(float(told["format"]["duration"]) - 12) < 0.06
    assert abs(facts.duration_ms - 12_000) < 60
    assert abs((facts.began_at - BEGAN_AT).total_seconds()) < 0.03
    tags = {name.lower(): value for name, value in told["format"]["tags"].items()}
    assert (tags["title"], tags["comment"]) == ("a title", "case c_1")
    assert not {name for name in tags if "time" in name or "date" in name}


@pytest.mark.parametrize("codec_name", CODECS)
async def test_the_same_segments_give_the_same_bytes(codec_name: str) -> None:
    sender = Sender(codec_name=codec_name)
    segments = record(show(sender, 0, 6), sender.streams(), lose=loses(3, 0.02))
    one, other = await make(segments), await make(segments)
    assert hashlib.sha256(one[1]).hexdigest() == hashlib.sha256(other[1]).hexdigest()
    assert one[0] == other[0]


@pytest.mark.parametrize("codec_name", CODECS)
@pytest.mark.parametrize(
    "way",
    [
        "clean",
        "pause and loss",
        "reconnect",
        *(pytest.param(way, marks=pytest.mark.long) for way in ("jitter", "loss", "pause", "phone call")),
    ],
)
async def test_flash_and_beep_are_at_one_time(codec_name: str, way: str) -> None:
    sender = Sender(codec_name=codec_name)
    lose, expected = loses(4, 0.03 if "loss" in way else 0.0), 20
    sent = show(sender, 0, 10)
    later = 40 if "pause" in way or "call" in way else 10
    streams: tuple[SegmentStream, ...] = sender.streams()
    if way == "phone call":
        sender.timestamp_shift["audio"] = 30.0
    if way == "reconnect":
        sender = Sender(codec_name=codec_name, audio_ssrc=5, video_ssrc=6, video_timestamp=77, audio_number=3)
        streams = (*streams, *sender.streams())
        later = 13
    sent += show(sender, later, later + 10, spoken_s=0 if way == "reconnect" else 10)
    segments = record(sent, streams, lose=lose, delay_s=jitter(5, 0.0 if way == "clean" else 0.08))
    facts, file = await make(segments)
    errors = out_of_step_ms(file)
    assert len(errors) >= (expected if "loss" not in way else 8)
    assert max(map(abs, errors)) <= MAX_OUT_OF_STEP_MS, errors
    assert abs(facts.duration_ms - 1_000 * (later + 10)) < 100, "a pause is a pause"
    if "loss" not in way:
        assert (facts.frames, facts.lost_pictures, facts.lost_sounds) == (500, 0, 0)
    flashes_s, _ = onsets(file)
    assert {round(flash) for flash in flashes_s} <= {*range(10), *range(later, later + 10)}


@pytest.mark.parametrize("codec_name", CODECS)
async def test_a_change_of_resolution_plays(codec_name: str, tmp_path: Path) -> None:
    small = encode(codec_name, 25, width=160, height=128)
    large = encode(codec_name, 25, width=320, height=240, first=25)
    sender = Sender(codec_name=codec_name)
    pictures = sender.pictures([each.payloads for each in [*small, *large]])
    facts, file = await make(record(pictures, sender.streams()), has_sound=False)
    assert (facts.frames, facts.width, facts.height) == (50, 160, 128)
    with av.open(io.BytesIO(file), "r") as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(160, 128)] * 25 + [(320, 240)] * 25
    assert [stream["codec_type"] for stream in probe(file, tmp_path)["streams"]] == ["video"]


@pytest.mark.parametrize("codec_name", CODECS)
async def test_encodings_that_take_turns_make_one_file_that_plays(codec_name: str) -> None:
    low = Sender(codec_name=codec_name)
    high = Sender(codec_name=codec_name, video_ssrc=99, video_timestamp=123_456)
    sent: list[Sent] = []
    sizes = [(160, 128), (320, 240), (160, 128), (320, 240)]
    for turn, (width, height) in enumerate(sizes):
        pictures = encode(codec_name, 25, width=width, height=height, first=25 * turn)
        sender = (low, high)[turn % 2]
        sent += sender.pictures([each.payloads for each in pictures], from_s=turn)
        sent.append(sender.report("video", turn + 0.5))
    facts, file = await make(record(sent, (*low.streams(), high.streams()[1])), has_sound=False)
    assert (facts.frames, facts.lost_pictures) == (100, 0)
    with av.open(io.BytesIO(file), "r") as container:
        decoded = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert decoded == [size for size in sizes for _ in range(25)]


async def test_sound_alone_becomes_an_mp4_of_opus(tmp_path: Path) -> None:
    sender = Sender()
    facts, file = await make(record(sender.sounds(tones(500)), sender.streams()))
    assert (facts.media_type, facts.duration_ms, facts.frames) == ("audio/mp4", 10_000, 0)
    told = probe(file, tmp_path)
    assert [stream["codec_name"] for stream in told["streams"]] == ["opus"]
    assert abs(float(told["format"]["duration"]) - 10) < 0.03
    assert_times_run_on(told)


@pytest.mark.parametrize("codec_name", CODECS)
@pytest.mark.parametrize(("sound_s", "picture_s"), [(0, 25), (25, 0)])
async def test_what_begins_later_is_later_in_the_file(
    codec_name: str, sound_s: int, picture_s: int, tmp_path: Path
) -> None:
    sender = Sender(codec_name=codec_name)
    sent = sender.pictures(flashes(codec_name, 5), from_s=picture_s)
    sent += sender.sounds(tones(250, beeps_every=50), from_s=sound_s)
    facts, file = await make(record(sent, sender.streams()))
    told = probe(file, tmp_path)
    assert_times_run_on(told)
    assert float(packets_of(told, "video")[0]["pts_time"]) == pytest.approx(picture_s, abs=0.06)
    flashes_s, beeps_s = onsets(file)
    assert flashes_s[0] == pytest.approx(picture_s + 0.2, abs=0.06)
    assert beeps_s[0] == pytest.approx(sound_s + 0.2, abs=0.06)
    assert facts.duration_ms == pytest.approx(30_000, abs=100)


async def test_a_file_promised_sound_that_never_came_is_silent_to_its_end() -> None:
    sender = Sender()
    _, file = await make(record(sender.pictures(flashes("VP8", 4)), sender.streams()))
    pictures, sound = seen_and_heard(file)
    assert len(pictures) == 100
    assert len(sound) / 48_000 == pytest.approx(4, abs=0.03) and not np.abs(sound).max() > 0.001


async def test_pictures_of_another_codec_are_left_out_and_counted() -> None:
    first, second = Sender(), Sender(codec_name="H264", video_ssrc=9)
    sent = first.pictures(flashes("VP8", 4)) + second.pictures(flashes("H264", 2), from_s=4)
    streams = (first.streams()[1], second.streams()[1])
    facts, _ = await make(record(sent, streams), has_sound=False)
    assert (facts.media_type, facts.frames, facts.lost_pictures) == ("video/webm", 100, 50)


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        ([], "nothing_playable"),
        ([PlaybackSegment(number=3, streams=(), dump=encode_dump(BEGAN_AT, []))], "nothing_playable"),
        ([PlaybackSegment(number=3, streams=(), dump=b"no dump")], "malformed_dump"),
    ],
    ids=["no segments", "empty", "no dump"],
)
async def test_what_makes_no_file_says_why(segments: list[PlaybackSegment], code: str) -> None:
    with pytest.raises(PlaybackFailed) as raised:
        await make(segments)
    assert raised.value.code == code
    assert code != "malformed_dump" or "segment 3" in raised.value.reason


async def test_a_worker_that_dies_is_told_and_the_next_file_is_made() -> None:
    sender = Sender()
    segments = record(show(sender, 0, 6), sender.streams())
    maker, output = PlaybackMaker(), os.memfd_create("playback")

    async def deadly() -> AsyncIterator[PlaybackSegment]:
        yield segments[0]
        (worker,) = await children()
        os.kill(worker, signal.SIGKILL)
        await asyncio.sleep(0.1)
        yield segments[1]

    with pytest.raises(PlaybackFailed) as raised:
        await maker.make_playback(PlaybackRequest(segments=deadly(), title="", comment=""), output)
    assert raised.value.code == "crashed"
    assert (await maker.make_playback(request(segments), output)).frames == 150
    os.close(output)


async def test_a_worker_that_hangs_is_ended_in_time() -> None:
    sender = Sender()
    segments = record(show(sender, 0, 6), sender.streams())
    output = os.memfd_create("playback")

    async def stopped() -> AsyncIterator[PlaybackSegment]:
        yield segments[0]
        (worker,) = await children()
        os.kill(worker, signal.SIGSTOP)
        yield segments[1]

    with pytest.raises(PlaybackFailed) as raised:
        await PlaybackMaker(segment_timeout_s=0.3, finish_timeout_s=0.3).make_playback(
            PlaybackRequest(segments=stopped(), title="", comment=""), output
        )
    assert raised.value.code == "timeout"
    assert await children() == []
    os.close(output)


async def test_who_gives_up_leaves_no_worker_and_a_full_queue_refuses() -> None:
    maker, output = PlaybackMaker(), os.memfd_create("playback")

    async def endless() -> AsyncIterator[PlaybackSegment]:
        await asyncio.sleep(3600)
        yield PlaybackSegment(number=1, streams=(), dump=b"")

    waiting = [
        asyncio.create_task(
            maker.make_playback(PlaybackRequest(segments=endless(), title="", comment=""), output)
        )
        for _ in range(1 + MAX_WAITING)
    ]
    await asyncio.sleep(0.2)
    assert len(await children()) == 1, "one at a time"
    with pytest.raises(PlaybackFailed) as raised:
        await maker.make_playback(request([]), output)
    assert raised.value.code == "overloaded"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await children() == []
    os.close(output)


async def children() -> list[int]:
    """The worker processes of this one."""
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    found = [int(each) for each in (await asyncio.to_thread(path.read_text)).split()]
    return [
        pid
        for pid in found
        if b"playback_worker" in await asyncio.to_thread(Path(f"/proc/{pid}/cmdline").read_bytes)
    ]


def make_here(segments: Sequence[PlaybackSegment], path: Path) -> PlaybackFacts:
    """The worker's work in this process."""
    head = {"title": "", "comment": "", "has_sound": True}
    messages = encode_message(BEGIN, head)
    for segment in segments:
        messages += encode_segment_head(segment.number, segment.streams) + encode_message(DUMP, segment.dump)
    return make_file(io.BytesIO(messages + encode_message(END)), str(path))


@settings(max_examples=60, deadline=5_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(RECORDS, max_size=40), min_size=1, max_size=3), st.binary(max_size=80))
def test_hostile_segments_make_a_file_or_none(
    tmp_path: Path, dumps: list[list[tuple[int, bool, bytes]]], rubbish: bytes
) -> None:
    segments = [
        PlaybackSegment(number=n, streams=streams_of((96, 97, 98)), dump=encode_dump(BEGAN_AT, records))
        for n, records in enumerate(dumps)
    ]
    for more in ([], [PlaybackSegment(number=9, streams=(), dump=rubbish)]):
        with contextlib.suppress(Unplayable, av.FFmpegError):
            make_here([*segments, *more], tmp_path / "file")


@pytest.mark.parametrize("codec_name", CODECS)
@pytest.mark.parametrize("seed", range(6))
def test_real_streams_with_bytes_turned_make_a_file_or_none(
    codec_name: str, seed: int, tmp_path: Path
) -> None:
    sender = Sender(codec_name=codec_name)
    chance = random.Random(seed)
    spoilt = []
    for packet in show(sender, 0, 6):
        data = bytearray(packet.data)
        for _ in range(chance.random() < 0.2):
            data[chance.randrange(len(data))] = chance.randrange(256)
        spoilt.append(replace(packet, data=bytes(data)))
    try:
        facts = make_here(record(spoilt, sender.streams()), tmp_path / "file")
    except (Unplayable, av.FFmpegError):
        return
    assert facts.duration_ms < 3_700_000
