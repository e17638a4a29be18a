"""Real streams through the buffer and the worker process, to a JPEG compared with the known picture."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence

import cv2
import numpy
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from media.depacketizer import H264, VP8
from media.errors import DecoderFailed
from media.picture_buffer import PictureBuffer, PictureRequest
from media.picture_decoder import MAX_WAITING, Picture, PictureDecoder
from tests.media.video_source import (
    SQUARE,
    TICKS,
    EncodedPicture,
    encode,
    keep,
    pixels,
    rtp_packet,
    rtp_packets,
    square_corner,
)

MODULE_LOOP = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def decoder() -> AsyncIterator[PictureDecoder]:
    decoder = PictureDecoder()
    await ready(decoder)
    yield decoder
    await decoder.close()


async def ready(decoder: PictureDecoder) -> None:
    """Returns when its worker is up: a first picture needs it."""
    await decoder.decode(request_of(rtp_packets(encode(VP8, 1)), VP8))


def request_of(packets: Sequence[bytes], codec_name: str) -> PictureRequest:
    buffer = PictureBuffer()
    for packet in packets:
        keep(buffer, packet, codec_name, 1.0)
    return buffer.newest_picture(1.0)


def image_of(picture: Picture) -> NDArray[numpy.uint8]:
    image = cv2.imdecode(numpy.frombuffer(picture.jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape[:2] == (picture.height, picture.width)
    return image.astype(numpy.uint8, copy=False)


def assert_shows(image: NDArray[numpy.uint8], number: int) -> None:
    """`image` is picture `number`, its square where that picture has it, but for what coding loses."""
    height, width = image.shape[:2]
    expected = pixels(number, width, height)
    x, y = square_corner(number, width, height)
    assert (expected[y : y + SQUARE, x : x + SQUARE] == 255).all()
    difference = numpy.abs(image.astype(int) - expected.astype(int))
    assert difference.mean() < 6
    assert numpy.median(difference.max(axis=2)) <= 8


@MODULE_LOOP
@pytest.mark.parametrize("codec_name", [VP8, H264])
@pytest.mark.parametrize("count", [1, 2, 50])
async def test_the_newest_picture_comes_out_in_its_own_colours(
    decoder: PictureDecoder, codec_name: str, count: int
) -> None:
    encoded = encode(codec_name, count, bitrate_bps=3_000_000)
    packets = rtp_packets(encoded)
    picture = await decoder.decode(request_of(packets, codec_name))
    assert_shows(image_of(picture), count - 1)
    assert (picture.codec_name, picture.rtp_timestamp) == (codec_name, (count - 1) * TICKS)
    assert (picture.width, picture.height, picture.arrived) == (160, 128, 1.0)


@MODULE_LOOP
async def test_the_packets_are_named_by_a_hash_that_anyone_can_make(decoder: PictureDecoder) -> None:
    packets = rtp_packets(encode(VP8, 20), first_sequence_number=65_530)
    picture = await decoder.decode(request_of(packets, VP8))
    named = picture.packets
    assert named.sha256 == hashlib.sha256(b"".join(len(p).to_bytes(4) + p for p in packets)).hexdigest()
    assert (named.first_sequence_number, named.count) == (65_530, len(packets))
    assert named.last_sequence_number == (65_530 + len(packets) - 1) & 0xFFFF
    assert named.ssrc == 0x5EED


@MODULE_LOOP
@pytest.mark.parametrize("codec_name", [VP8, H264])
async def test_a_change_of_resolution_is_followed(decoder: PictureDecoder, codec_name: str) -> None:
    small = encode(codec_name, 5, width=160, height=128)
    large = encode(codec_name, 5, width=320, height=240, first=5, bitrate_bps=4_000_000)
    picture = await decoder.decode(request_of(rtp_packets([*small, *large]), codec_name))
    assert (picture.width, picture.height) == (320, 240)
    assert_shows(image_of(picture), 9)
    # Also where the run goes on from the small pictures, because it is made of both.
    whole = PictureRequest(
        codec_name=codec_name,
        ssrc=0x5EED,
        rtp_timestamp=9 * TICKS,
        first_arrived=1.0,
        arrived=1.0,
        packets=tuple(rtp_packets([*small, *large])),
    )
    assert_shows(image_of(await decoder.decode(whole)), 9)


@MODULE_LOOP
async def test_header_extensions_are_no_part_of_the_picture(decoder: PictureDecoder) -> None:
    packets = rtp_packets(encode(VP8, 10, bitrate_bps=3_000_000), extension=(4, b"1"))
    assert_shows(image_of(await decoder.decode(request_of(packets, VP8))), 9)


@MODULE_LOOP
async def test_what_makes_no_picture_is_undecodable_and_the_next_is_decoded(decoder: PictureDecoder) -> None:
    good = request_of(rtp_packets(encode(VP8, 3)), VP8)
    start = b"\x10\x10\x02\x00\x9d\x01\x2a\xa0\x00\x80\x00"
    for codec_name, payload in (
        (VP8, start + b"\xff" * 3),
        (VP8, b"\x90"),
        (H264, b"\x7c\x85\x88"),
        (H264, b"\x65" + bytes(50)),
        ("AV1", b"\x00"),
    ):
        bad = PictureRequest(
            codec_name=codec_name,
            ssrc=1,
            rtp_timestamp=0,
            first_arrived=0.0,
            arrived=0.0,
            packets=(rtp_packet(payload, sequence_number=0, rtp_timestamp=0, marker=True),),
        )
        with pytest.raises(DecoderFailed) as raised:
            await decoder.decode(bad)
        assert raised.value.code == "undecodable"
    assert (await decoder.decode(good)).width == 160


@MODULE_LOOP
async def test_a_worker_that_dies_costs_one_picture_and_is_replaced(decoder: PictureDecoder) -> None:
    request = request_of(rtp_packets(encode(VP8, 3)), VP8)
    kill_worker(decoder, signal.SIGSTOP)
    lost = asyncio.create_task(decoder.decode(request))
    waiting = asyncio.create_task(decoder.decode(request))
    await asyncio.sleep(0.05)
    kill_worker(decoder)
    with pytest.raises(DecoderFailed) as raised:
        await lost
    assert raised.value.code == "crashed"
    assert (await waiting).width == 160


@MODULE_LOOP
async def test_a_worker_that_died_unneeded_costs_nothing(decoder: PictureDecoder) -> None:
    kill_worker(decoder)
    assert decoder._worker is not None
    await decoder._worker.wait()
    assert (await decoder.decode(request_of(rtp_packets(encode(VP8, 3)), VP8))).width == 160


async def test_nobody_pays_for_a_worker_before_a_picture_may_be_wanted() -> None:
    decoder = PictureDecoder()
    await asyncio.sleep(0)
    assert decoder._task is None
    assert (await decoder.decode(request_of(rtp_packets(encode(VP8, 3)), VP8))).width == 160
    await decoder.close()


async def test_a_worker_that_does_not_come_up_is_told_to_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = PictureDecoder()
    request = request_of(rtp_packets(encode(VP8, 3)), VP8)
    with monkeypatch.context() as broken:
        for no_worker in ("/there/is/no/python", "/bin/false"):
            broken.setattr("sys.executable", no_worker)
            with pytest.raises(DecoderFailed, match="does not start") as raised:
                await decoder.decode(request)
            assert raised.value.code == "crashed"
    assert (await decoder.decode(request)).width == 160
    await decoder.close()


def kill_worker(decoder: PictureDecoder, signal_number: int = signal.SIGKILL) -> None:
    assert decoder._worker is not None
    os.kill(decoder._worker.pid, signal_number)


async def test_a_picture_that_takes_too_long_is_given_up() -> None:
    decoder = PictureDecoder(timeout_s=0.3)
    await ready(decoder)
    request = request_of(rtp_packets(encode(VP8, 3)), VP8)
    kill_worker(decoder, signal.SIGSTOP)
    with pytest.raises(DecoderFailed) as raised:
        await decoder.decode(request)
    assert raised.value.code == "timeout"
    assert (await decoder.decode(request)).width == 160
    await decoder.close()


async def test_too_many_at_once_are_refused_and_closing_answers_those_who_wait() -> None:
    decoder = PictureDecoder()
    await ready(decoder)
    request = request_of(rtp_packets(encode(VP8, 3)), VP8)
    kill_worker(decoder, signal.SIGSTOP)
    waiting = [asyncio.create_task(decoder.decode(request)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0.05)  # the first of them is with the worker now
    waiting.append(asyncio.create_task(decoder.decode(request)))
    await asyncio.sleep(0)
    with pytest.raises(DecoderFailed) as raised:
        await decoder.decode(request)
    assert raised.value.code == "overloaded"
    waiting[0].cancel()
    waiting[3].cancel()
    await decoder.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [getattr(outcome, "code", "cancelled") for outcome in outcomes] == [
        "cancelled" if place in (0, 3) else "closed" for place in range(MAX_WAITING + 1)
    ]
    with pytest.raises(DecoderFailed):
        await decoder.decode(request)
    await decoder.close()


@MODULE_LOOP
@pytest.mark.long
async def test_the_event_loop_goes_on_while_a_long_tail_is_decoded(decoder: PictureDecoder) -> None:
    request = request_of(rtp_packets(ten_seconds_of_vga(VP8)), VP8)
    longest_pause = 0.0

    async def tick() -> None:
        nonlocal longest_pause
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest_pause = max(longest_pause, now - before)
            before = now

    ticking = asyncio.create_task(tick())
    began = time.perf_counter()
    assert_shows(image_of(await decoder.decode(request)), 299)
    took = time.perf_counter() - began
    ticking.cancel()
    assert took < 2.0  # 0.1 s on an idle machine
    assert longest_pause < 0.1  # a millisecond or two there


def ten_seconds_of_vga(codec_name: str) -> list[EncodedPicture]:
    return encode(codec_name, 300, width=640, height=480, bitrate_bps=1_000_000)
