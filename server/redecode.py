"""Decodes the packets of a journal again and compares: what `proofcall verify` asks of media.

    frames (evidence, pure) ── packets, JPEG ──▶ PictureRedecoder ── packets ──▶ picture worker
                                                        └── both JPEGs, if they differ ──▶ difference worker

The package is a stranger's: its packets and its pictures are decoded in processes of their own, which may
crash or take too long without harm. Both are started when the first picture needs them.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from media.depacketizer import H264, VP8
from media.errors import DecoderFailed, MalformedDump
from media.picture_buffer import PictureRequest
from media.picture_decoder import Picture, PictureDecoder
from media.picture_protocol import DIFFERENCE, encode_pictures
from media.rtpdump import parse_dump
from server.evidence.errors import MalformedEntry
from server.evidence.frames import ParsedSegment, Redecoded
from server.evidence.report import CannotBeMade

DECODE_TIMEOUT_S = 30.0  # the service gives 5 s; whoever verifies may have a slower machine and the time
DIFFERENCE_TIMEOUT_S = 30.0  # starting takes half a second, comparing 40 ms a megapixel


class PictureRedecoder:
    """A `Redecoder`; leaving its context ends its worker."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._decoder: PictureDecoder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._decoder is not None:
            self._runner.run(self._decoder.close())
        self._runner.close()

    def parse_segment(self, data: bytes) -> ParsedSegment:
        try:
            dump = parse_dump(data)
        except MalformedDump as error:
            raise MalformedEntry(str(error)) from None
        return ParsedSegment(began_at=dump.began_at, records=dump.records)

    def redecode(self, codec: str, packets: Sequence[bytes], jpeg: bytes) -> Redecoded:
        if codec not in (VP8, H264):
            raise CannotBeMade(f"no decoder is at hand for {codec[:32]}")
        request = PictureRequest(
            codec_name=codec,
            ssrc=int.from_bytes(packets[-1][8:12]),
            rtp_timestamp=int.from_bytes(packets[-1][4:8]),
            first_arrived=0.0,  # when is told by the entries
            arrived=0.0,
            packets=tuple(packets),
        )
        try:
            picture = self._runner.run(self._decode(request))
        except DecoderFailed as failure:
            if failure.code == "undecodable":
                raise MalformedEntry(f"its packets make no picture: {failure.reason}") from None
            raise CannotBeMade(f"decoding its packets failed on this machine: {failure.reason}") from None
        difference = 0 if picture.jpeg == jpeg else _difference(picture.jpeg, jpeg)
        return Redecoded(width=picture.width, height=picture.height, difference=difference)

    async def _decode(self, request: PictureRequest) -> Picture:
        if self._decoder is None:
            self._decoder = PictureDecoder(timeout_s=DECODE_TIMEOUT_S)
        return await self._decoder.decode(request)


def _difference(made: bytes, sealed: bytes) -> int:
    """How far two JPEGs are apart. Raises MalformedEntry if the second is none of the first one's size."""
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "media.picture_difference"],
            input=encode_pictures(made, sealed),
            capture_output=True,
            timeout=DIFFERENCE_TIMEOUT_S,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        raise CannotBeMade("comparing the sealed picture took too long on this machine") from None
    if finished.returncode != 0 or len(finished.stdout) != DIFFERENCE.size:
        raise CannotBeMade("comparing the sealed picture failed on this machine")
    alike, difference = DIFFERENCE.unpack(finished.stdout)
    if not alike:
        raise MalformedEntry("the sealed file is no picture of the size that its packets make")
    return int(difference)
