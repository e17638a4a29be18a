"""What the relay and its picture worker say to each other over a pipe. Pure.

    request  ┌ codec 1 ┐┌ size 4 ┐┌ (length 4, RTP packet) … ┐
    answer   ┌ status 1 ┐┌ width 4 ┐┌ height 4 ┐┌ packets' SHA-256 32 ┐┌ size 4 ┐┌ JPEG, or a sentence ┐

    pictures ┌ size 4 ┐┌ JPEG ┐┌ another JPEG, to the end ┐
    answer   ┌ alike 1 ┐┌ difference 1 ┐

Of two pictures `difference` is the largest of any pixel and colour, of 255; not alike: one is no picture, or
of another size. A first answer without a picture says that the worker's libraries are loaded. Numbers are
big-endian. The hash is over the packets as they stand in the request, lengths included. Both ends are ours
and of one version: nothing here is checked twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from media.depacketizer import H264, VP8

REQUEST = struct.Struct("!BI")
ANSWER = struct.Struct("!BII32sI")
PACKET_LENGTH = struct.Struct("!I")
PICTURE_LENGTH = struct.Struct("!I")
DIFFERENCE = struct.Struct("!?B")
DECODED, UNDECODABLE = 0, 1
CODECS = (VP8, H264)  # a request names them by their place here


def encode_packets(packets: Iterable[bytes]) -> bytes:
    """Packets, each behind its length in 4 bytes: the bytes whose SHA-256 names the packets of a picture."""
    return b"".join([part for packet in packets for part in (PACKET_LENGTH.pack(len(packet)), packet)])


def encode_pictures(first: bytes, second: bytes) -> bytes:
    return PICTURE_LENGTH.pack(len(first)) + first + second


def parse_pictures(encoded: bytes) -> tuple[bytes, bytes]:
    (length,) = PICTURE_LENGTH.unpack_from(encoded)
    begin, end = PICTURE_LENGTH.size, PICTURE_LENGTH.size + length
    return encoded[begin:end], encoded[end:]


def parse_packets(encoded: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(encoded):
        (length,) = PACKET_LENGTH.unpack_from(encoded, position)
        position += PACKET_LENGTH.size + length
        yield encoded[position - length : position]
