"""The process in which pictures are decoded: one request in, one JPEG out, until its input ends.

It is apart from the relay for three reasons: decoding takes tens of milliseconds, decoders are the part of
the house that strangers' bytes may crash, and both must leave the forwarding of packets alone.

What passes between the two is drawn in `picture_protocol.py`.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from typing import BinaryIO

import av
import cv2
import numpy
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from media.depacketizer import H264, VP8, depacketize, is_base
from media.errors import MalformedMedia
from media.picture_protocol import ANSWER, CODECS, DECODED, REQUEST, UNDECODABLE, parse_packets
from media.rtp import HEADER, MARKER, payload

DECODERS = {VP8: "vp8", H264: "h264"}  # FFmpeg's own; its VP8 is faster than libvpx, and exact like it

JPEG_QUALITY = 95  # the codec's own losses are far above those of the JPEG from here on
MAX_PIXELS = 4096 * 4096  # 25 MB of YUV: above any phone's video, below what would hurt the machine
NICENESS = 5  # forwarding goes first
MAX_THREADS = 4


class Undecodable(Exception):
    """The packets make no picture; the message says why."""


def main() -> None:
    # Ctrl-C reaches every process of the terminal; the relay ends this one by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    requests = os.fdopen(0, "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land among the answers
    av.logging.set_level(av.logging.PANIC)
    cv2.setNumThreads(1)
    cv2.imencode(".jpg", numpy.zeros((16, 16, 3), numpy.uint8))
    answers.write(ANSWER.pack(DECODED, 0, 0, bytes(32), 0))
    answers.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        codec, size_bytes = REQUEST.unpack(head)
        packets = requests.read(size_bytes)
        if len(packets) < size_bytes:
            return
        _answer(answers, packets, CODECS[codec])


def _answer(answers: BinaryIO, packets: bytes, codec_name: str) -> None:
    try:
        jpeg, width, height = decode(list(parse_packets(packets)), codec_name)
        status = DECODED
    except (Undecodable, MalformedMedia, FFmpegError) as error:
        jpeg, width, height = str(error).encode(), 0, 0
        status = UNDECODABLE
    answers.write(ANSWER.pack(status, width, height, hashlib.sha256(packets).digest(), len(jpeg)) + jpeg)
    answers.flush()


def decode(packets: list[bytes], codec_name: str) -> tuple[bytes, int, int]:
    """JPEG, width and height of the last picture. Raises Undecodable, MalformedMedia or FFmpegError."""
    pictures = needed(list(split_pictures(packets)), codec_name)
    decoder = VideoCodecContext.create(DECODERS[codec_name], "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_type = "FRAME"
    decoder.thread_count = min(os.cpu_count() or 1, MAX_THREADS)
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    newest: VideoFrame | None = None
    for number, payloads in enumerate(pictures):
        unit = av.Packet(depacketize(codec_name, payloads))
        unit.pts = number
        newest = [newest, *decoder.decode(unit)][-1]
    newest = [newest, *decoder.decode(None)][-1]
    if newest is None or newest.pts != len(pictures) - 1 or newest.is_corrupt:
        raise Undecodable("the decoder made no whole picture of these packets")
    return _jpeg(newest)


def needed(pictures: list[list[bytes]], codec_name: str) -> list[list[bytes]]:
    """Of pictures in their order those that the last one may depend on: the base layer, and what came since
    its newest. A camera of three temporal layers sends a quarter of its pictures there.
    """
    base = [place for place, payloads in enumerate(pictures) if is_base(codec_name, payloads[0], 0)]
    newest = base[-1] if base else 0
    return [pictures[place] for place in base if place < newest] + pictures[newest:]


def split_pictures(packets: list[bytes]) -> Iterator[list[bytes]]:
    """The payloads of each picture: it ends with the marker, or where another timestamp begins."""
    payloads: list[bytes] = []
    timestamp = -1
    for packet in packets:
        carried = payload(packet)
        if not carried:
            continue  # padding belongs to no picture
        _, second, _, rtp_timestamp, _ = HEADER.unpack_from(packet)
        if payloads and rtp_timestamp != timestamp:
            yield payloads
            payloads = []
        payloads.append(carried)
        timestamp = rtp_timestamp
        if second & MARKER:
            yield payloads
            payloads = []
    if payloads:
        yield payloads


def _jpeg(frame: VideoFrame) -> tuple[bytes, int, int]:
    pixels = frame.to_ndarray(format="bgr24")
    made, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not made:
        raise Undecodable("the picture does not fit a JPEG")
    height, width = pixels.shape[:2]
    return jpeg.tobytes(), width, height


if __name__ == "__main__":
    main()
