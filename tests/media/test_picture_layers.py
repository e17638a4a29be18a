"""What a frame costs where a camera sends temporal layers: the base alone is decoded, but for the newest."""

from __future__ import annotations

from media.depacketizer import VP8
from media.packet_history import Kept
from media.picture_buffer import LONG_RUN_PICTURES, PictureBuffer
from media.picture_worker import needed
from tests.media.test_layers import Stream, stream

PATTERN = [0, 2, 1, 2]


def layers_of(pictures: list[list[bytes]]) -> list[int]:
    return [payloads[0][5] >> 6 for payloads in pictures]


def pictures_of(source: Stream, count: int) -> list[list[bytes]]:
    packets = [source.next(10.0, key=place == 0)[1] for place in range(count)]
    return [[packet[12:]] for packet in packets]


def test_the_base_and_what_came_since_are_all_that_the_newest_picture_needs() -> None:
    pictures = pictures_of(stream(1), 20)
    assert layers_of(pictures) == PATTERN * 5
    assert layers_of(needed(pictures, VP8)) == [0] * 4 + PATTERN
    assert needed(pictures, VP8)[-1] == pictures[-1]
    assert needed(pictures[:17], VP8)[-1] == pictures[16]
    plain = [[b"\x10" + payloads[0][6:]] for payloads in pictures]
    assert needed(plain, VP8) == plain, "without layers each picture may depend on the one before it"


def test_a_tail_is_long_by_what_would_be_decoded() -> None:
    source, buffer = stream(1), PictureBuffer()
    for place in range(4 * LONG_RUN_PICTURES - 8):
        _, packet = source.next(10.0, key=place == 0)
        buffer.handle_packet(Kept(packet, 10.0 + place / 100), VP8, place == 0)
        assert not buffer.is_long, place
    for place in range(16):
        buffer.handle_packet(Kept(source.next(10.0)[1], 16.0 + place / 100), VP8, False)
    assert buffer.is_long
