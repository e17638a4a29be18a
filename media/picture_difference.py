"""The process that compares two JPEGs, pixel by pixel, once: the second may be a stranger's.

What it reads and answers is drawn in `picture_protocol.py`.
"""

from __future__ import annotations

import os
import sys

import numpy
from numpy.typing import NDArray

MAX_PIXELS = 4096 * 4096  # as the picture worker: above any phone's video, below what would hurt the machine
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)  # read when the library is loaded

import cv2  # noqa: E402

from media.picture_protocol import DIFFERENCE, parse_pictures  # noqa: E402


def main() -> None:
    cv2.setNumThreads(1)
    first, second = map(_decode, parse_pictures(sys.stdin.buffer.read()))
    alike, difference = False, 0
    if first is not None and second is not None and first.shape == second.shape:
        alike, difference = True, int(cv2.absdiff(first, second).max())
    sys.stdout.buffer.write(DIFFERENCE.pack(alike, difference))


def _decode(jpeg: bytes) -> NDArray[numpy.uint8] | None:
    try:
        image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # empty, or too large
        return None
    return None if image is None else image.astype(numpy.uint8, copy=False)


if __name__ == "__main__":
    main()
