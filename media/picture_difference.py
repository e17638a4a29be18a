"""The process that compares two JPEGs, pixel by pixel: the second may be a stranger's.

    input    ┌ size 4 ┐┌ JPEG ┐ ┌ the other JPEG, to the end ┐
    answer   ┌ alike 1 ┐┌ difference 1 ┐

`difference` is the largest of any pixel and colour, of 255. Not alike: one is no picture, or of another size.
"""

from __future__ import annotations

import os
import struct
import sys

import numpy
from numpy.typing import NDArray

MAX_PIXELS = 4096 * 4096  # as the picture worker: above any phone's video, below what would hurt the machine
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)  # read when the library is loaded

import cv2  # noqa: E402

SIZE = struct.Struct("!I")
ANSWER = struct.Struct("!?B")


def encode_pictures(first: bytes, second: bytes) -> bytes:
    """What the process reads."""
    return SIZE.pack(len(first)) + first + second


def main() -> None:
    cv2.setNumThreads(1)
    data = sys.stdin.buffer.read()
    (size_bytes,) = SIZE.unpack_from(data)
    first = _decode(data[SIZE.size : SIZE.size + size_bytes])
    second = _decode(data[SIZE.size + size_bytes :])
    alike, difference = False, 0
    if first is not None and second is not None and first.shape == second.shape:
        alike, difference = True, int(cv2.absdiff(first, second).max())
    sys.stdout.buffer.write(ANSWER.pack(alike, difference))


def _decode(jpeg: bytes) -> NDArray[numpy.uint8] | None:
    try:
        image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # empty, or too large
        return None
    return None if image is None else image.astype(numpy.uint8, copy=False)


if __name__ == "__main__":
    main()
