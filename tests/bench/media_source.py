"""What the bots send: VP8 at 1 Mbit/s and Opus, encoded once when the benchmark starts.

A bot that encodes would measure its own encoder. The loop below is made by libvpx and libopus through PyAV,
cut into RTP payloads (RFC 7741 §4.2, RFC 7587 §4.2), and sent by every bot, over and over.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

FRAME_RATE = 25
VIDEO_BITRATE_BPS = 1_000_000
WIDTH, HEIGHT = 640, 480
LOOP_S = 4  # a keyframe every four seconds, more often than a browser sends one unasked
AUDIO_FRAME_S = 0.02
AUDIO_BITRATE_BPS = 32_000  # what Chromium sends for speech
MAX_PAYLOAD_BYTES = 1_100  # leaves room for RTP, extensions and the SRTP tag within a 1,200-byte packet
VP8_DESCRIPTOR_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSource:
    """Payloads ready for RTP: a tuple of packets for each picture, one packet for each piece of sound.

    The first picture is the only keyframe. Each video payload opens with a VP8 descriptor whose picture id
    (bytes 2 and 3) the sender has to set.
    """

    pictures: tuple[tuple[bytes, ...], ...]
    sounds: tuple[bytes, ...]

    @property
    def video_bitrate_bps(self) -> int:
        return sum(len(payload) for picture in self.pictures for payload in picture) * 8 // LOOP_S


def encode_media_source() -> MediaSource:
    return MediaSource(
        pictures=tuple(_packetize_vp8(picture) for picture in _encode_pictures()),
        sounds=tuple(_encode_sounds()),
    )


def _packetize_vp8(picture: bytes) -> tuple[bytes, ...]:
    """Cut one picture into payloads of about equal size, as libwebrtc does.

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    |X|R|N|S|R| PID |   X = 1; S = 1 in the first packet of the picture
    |I|L|T|K| RSV   |   I = 1
    |M| PictureID   |   M = 1: fifteen bits
    |   PictureID   |
    +-+-+-+-+-+-+-+-+
    """
    room = MAX_PAYLOAD_BYTES - VP8_DESCRIPTOR_BYTES
    count = math.ceil(len(picture) / room)
    step = math.ceil(len(picture) / count)
    return tuple(
        bytes((0x90 if start == 0 else 0x80, 0x80, 0x80, 0)) + picture[start : start + step]
        for start in range(0, len(picture), step)
    )


def _encode_pictures() -> list[bytes]:
    """Noise that drifts over a gradient: enough detail that the encoder spends the whole bitrate."""
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FRAME_RATE), Fraction(FRAME_RATE)
    encoder.bit_rate = VIDEO_BITRATE_BPS
    encoder.options = {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "minrate": str(VIDEO_BITRATE_BPS),
        "maxrate": str(VIDEO_BITRATE_BPS),
        "bufsize": str(VIDEO_BITRATE_BPS // 2),
        "g": str(FRAME_RATE * LOOP_S * 10),  # the first picture is the only keyframe
    }
    noise = np.random.default_rng(seed=1).integers(0, 60, (HEIGHT * 2, WIDTH * 2, 3), dtype=np.uint8)
    gradient = np.linspace(40, 180, WIDTH, dtype=np.uint8)[None, :, None]
    pictures: list[bytes] = []
    for index in range(FRAME_RATE * LOOP_S):
        top, left = (3 * index) % HEIGHT, (5 * index) % WIDTH
        pixels = np.ascontiguousarray(gradient + noise[top : top + HEIGHT, left : left + WIDTH])
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, encoder.time_base
        pictures += [bytes(packet) for packet in encoder.encode(frame)]
    return pictures


def _encode_sounds() -> list[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", av.AudioFormat("s16")
    encoder.bit_rate = AUDIO_BITRATE_BPS
    encoder.options = {"application": "voip", "vbr": "off", "frame_duration": "20"}
    samples = int(48_000 * AUDIO_FRAME_S)
    sounds: list[bytes] = []
    for index in range(int(LOOP_S / AUDIO_FRAME_S)):
        time_s = (np.arange(samples) + index * samples) / 48_000
        wave = (8_000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None, :], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * samples, Fraction(1, 48_000)
        sounds += [bytes(packet) for packet in encoder.encode(frame)]
    return sounds
