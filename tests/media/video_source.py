"""Known moving pictures as RTP: encoded by PyAV, packetised by aiortc, the independent implementation.

Each picture is one colour with a white square that moves, so that a test can tell which picture it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from media.depacketizer import VP8, is_keyframe_start
from media.errors import MalformedRtp
from media.packet_history import Kept
from media.picture_buffer import PictureBuffer
from media.rtp import payload as rtp_payload

FRAME_RATE = 30
CLOCK_RATE = 90_000
TICKS = CLOCK_RATE // FRAME_RATE
SQUARE = 32
COLOURS_BGR = ((200, 60, 40), (40, 180, 60), (50, 50, 210), (180, 40, 180))
ENCODERS = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0"}),
    "H264": ("libx264", {"tune": "zerolatency", "preset": "ultrafast", "bf": "0", "sc_threshold": "0"}),
}


def keep(buffer: PictureBuffer, packet: bytes, codec_name: str, now: float) -> None:
    """Give a packet to a buffer as the router does: with a checked header, and told whether a keyframe
    starts.
    """
    try:
        body = rtp_payload(packet)
    except MalformedRtp:
        return
    buffer.handle_packet(Kept(packet, now), codec_name, is_keyframe_start(codec_name, body))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPicture:
    number: int
    rtp_timestamp: int
    keyframe: bool
    payloads: tuple[bytes, ...]


def pixels(number: int, width: int, height: int) -> NDArray[numpy.uint8]:
    """Picture `number`, as BGR: its colour changes twice a second, its square moves each picture."""
    image = numpy.empty((height, width, 3), numpy.uint8)
    image[:] = COLOURS_BGR[number // 15 % len(COLOURS_BGR)]
    x, y = square_corner(number, width, height)
    image[y : y + SQUARE, x : x + SQUARE] = 255
    return image


def square_corner(number: int, width: int, height: int) -> tuple[int, int]:
    return number * 7 % (width - SQUARE), number * 3 % (height - SQUARE)


def encode(
    codec_name: str,
    count: int,
    *,
    width: int = 160,
    height: int = 128,
    bitrate_bps: int = 500_000,
    keyframes: Sequence[int] = (0,),
    first: int = 0,
) -> list[EncodedPicture]:
    """`count` pictures from number `first`; those at the places `keyframes` are keyframes."""
    library, options = ENCODERS[codec_name]
    encoder = VideoCodecContext.create(library, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.bit_rate, encoder.gop_size = bitrate_bps, 10_000
    encoder.time_base, encoder.framerate = Fraction(1, FRAME_RATE), Fraction(FRAME_RATE)
    encoder.options = options
    if codec_name == "H264":
        encoder.profile = "Baseline"
    packetizer = Vp8Encoder() if codec_name == VP8 else H264Encoder()
    encoded = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(pixels(first + index, width, height), format="bgr24")
        frame.pts = index
        if index in keyframes:
            frame.pict_type = av.video.frame.PictureType.I
        for packet in encoder.encode(frame):
            payloads, _ = packetizer.pack(packet)
            encoded.append(
                EncodedPicture(
                    number=first + index,
                    rtp_timestamp=(first + index) * TICKS,
                    keyframe=packet.is_keyframe,
                    payloads=tuple(payloads),
                )
            )
    return encoded


def rtp_packets(
    pictures: Sequence[EncodedPicture],
    *,
    ssrc: int = 0x5EED,
    first_sequence_number: int = 65_500,
    extension: tuple[int, bytes] | None = None,
) -> list[bytes]:
    """The pictures as RTP packets; `extension` (id, data) rides in the last packet of each keyframe."""
    packets = []
    sequence_number = first_sequence_number
    for picture in pictures:
        for place, payload in enumerate(picture.payloads, start=1):
            last = place == len(picture.payloads)
            extended = extension if last and picture.keyframe else None
            packets.append(
                rtp_packet(
                    payload,
                    sequence_number=sequence_number,
                    rtp_timestamp=picture.rtp_timestamp,
                    ssrc=ssrc,
                    marker=last,
                    extension=extended,
                )
            )
            sequence_number += 1
    return packets


def rtp_packet(
    payload: bytes,
    *,
    sequence_number: int,
    rtp_timestamp: int,
    ssrc: int = 0x5EED,
    marker: bool = False,
    padding_bytes: int = 0,
    extension: tuple[int, bytes] | None = None,
) -> bytes:
    first = 0x80 | (0x20 if padding_bytes else 0) | (0x10 if extension else 0)
    header = bytes([first, 0x80 * marker | 96])
    header += (
        (sequence_number & 0xFFFF).to_bytes(2) + (rtp_timestamp & 0xFFFFFFFF).to_bytes(4) + ssrc.to_bytes(4)
    )
    if extension:
        identifier, data = extension
        element = bytes([identifier << 4 | len(data) - 1]) + data
        element += bytes(-len(element) % 4)
        header += b"\xbe\xde" + (len(element) // 4).to_bytes(2) + element
    padding = bytes(padding_bytes - 1) + bytes([padding_bytes]) if padding_bytes else b""
    return header + payload + padding
