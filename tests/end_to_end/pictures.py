"""Known pictures for fake cameras: four fields of plain colour, told apart by their order."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES_A_SECOND = 640, 480, 15

# Red, green, blue, grey level of each quarter: top left, top right, bottom left, bottom right.
Quarters = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
CUSTOMER: Quarters = ((200, 40, 40), (40, 160, 60), (50, 70, 190), (210, 210, 210))
COURIER: Quarters = ((230, 200, 60), (60, 60, 60), (180, 80, 170), (70, 170, 190))
QA: Quarters = ((30, 90, 90), (220, 150, 100), (120, 120, 120), (90, 30, 60))


def write_camera(path: Path, quarters: Quarters, *, seconds: int = 2) -> Path:
    """A Y4M file for `--use-file-for-fake-video-capture`; a white square wanders, so that time passes."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index, colour in enumerate(quarters):
        row, column = divmod(index, 2)
        picture[
            row * HEIGHT // 2 : (row + 1) * HEIGHT // 2, column * WIDTH // 2 : (column + 1) * WIDTH // 2
        ] = colour
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAMES_A_SECOND}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(seconds * FRAMES_A_SECOND):
            frame = picture.copy()
            left = 20 + number * (WIDTH - 60) // (seconds * FRAMES_A_SECOND)
            frame[HEIGHT // 2 - 10 : HEIGHT // 2 + 10, left : left + 20] = 255
            planes = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
            file.write(b"FRAME\n" + planes.tobytes())
    return path


def quarters_of(jpeg: bytes) -> tuple[tuple[int, int], list[tuple[int, int, int]]]:
    """Width and height of a picture, and the mean colour in the middle of each quarter."""
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    picture: NDArray[np.uint8] = decoded[:, :, ::-1].astype(np.uint8)
    height, width = picture.shape[:2]
    colours = []
    for index in range(4):
        row, column = divmod(index, 2)
        y, x = height // 8 + row * height // 2, width // 4 + column * width // 2
        patch = picture[y - 8 : y + 8, x - 8 : x + 8].reshape(-1, 3).mean(axis=0)
        colours.append((round(patch[0]), round(patch[1]), round(patch[2])))
    return (width, height), colours


def distance(quarters: Quarters, seen: list[tuple[int, int, int]]) -> int:
    """The largest difference of any channel of any quarter, 0 to 255."""
    return int(np.abs(np.array(quarters) - np.array(seen)).max())
