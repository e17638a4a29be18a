"""What the fake cameras and microphones of the loss table send: a moving picture and a sound without pause.

Chromium's own test picture is drawn in flat colours: its frames fit in one or two packets, which loss spares
too often. Here a soft texture drifts, and a block of detail wanders over it, as a hand with a parcel does:
about 0.7 Mbit/s. The loop closes without a jump.
"""

import wave
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, FRAME_RATE = 640, 480, 30
LOOP_S = 2
SAMPLE_RATE = 48_000


def write_camera(path: Path) -> Path:
    """A Y4M file for `--use-file-for-fake-video-capture`."""
    random = np.random.default_rng(seed=1)
    coarse = random.integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    texture = cv2.resize(np.tile(coarse, (2, 2, 1)), (WIDTH * 2, HEIGHT * 2), interpolation=cv2.INTER_CUBIC)
    detail = cv2.resize(random.integers(0, 255, (40, 40, 3), dtype=np.uint8), (160, 160))
    frames = FRAME_RATE * LOOP_S
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAME_RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(frames):
            angle = 2 * np.pi * number / frames
            top, left = number * HEIGHT // frames, number * WIDTH // frames
            picture = np.ascontiguousarray(texture[top : top + HEIGHT, left : left + WIDTH])
            y, x = round(160 + 140 * np.sin(angle)), round(240 + 220 * np.cos(angle))
            picture[y : y + 160, x : x + 160] = detail
            file.write(b"FRAME\n" + cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def write_microphone(path: Path) -> Path:
    """A WAV file for `--use-file-for-fake-audio-capture`: the harmonics of a voice that glides and swells."""
    time_s = np.arange(SAMPLE_RATE * LOOP_S) / SAMPLE_RATE
    pitch = 140 + 30 * np.sin(2 * np.pi * time_s / LOOP_S)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
    voice = voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s))  # four syllables a second
    samples = (voice / np.abs(voice).max() * 12_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    return path
