"""Photos and voice notes as phones make them, and as they should not be, made for tests."""

import io
import struct
import zlib
from fractions import Fraction
from functools import cache

import av
import numpy
from av.audio.stream import AudioStream
from PIL import Image, TiffImagePlugin

PLACE = "GPS-MARKER"
DEVICE = "PhoneMaker Model 9"
SOFTWARE = "camera app 4.2"
COMMENT = "a comment of the camera"
RATE = 48_000


def picture(width: int = 640, height: int = 480) -> Image.Image:
    """The upper left corner red, the rest grey noise: which way is up can be seen."""
    image = Image.effect_noise((width, height), 40).convert("RGB")
    image.paste((255, 0, 0), (0, 0, width // 4, height // 4))
    return image


def exif(orientation: int = 1) -> Image.Exif:
    """What a phone writes: where, with what, and which way it was held."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = DEVICE
    tags[0x0131] = SOFTWARE
    place = tags.get_ifd(0x8825)
    place[1], place[2] = "N", tuple(TiffImagePlugin.IFDRational(part, 1) for part in (31, 13, 49))
    place[3], place[4] = "E", tuple(TiffImagePlugin.IFDRational(part, 1) for part in (121, 28, 25))
    place[29] = PLACE
    return tags


@cache
def photo(kind: str = "JPEG", width: int = 640, height: int = 480, orientation: int = 1) -> bytes:
    """A photo with all that phones tell in it."""
    file = io.BytesIO()
    more = {"comment": COMMENT.encode()} if kind == "JPEG" else {}
    picture(width, height).save(file, kind, exif=exif(orientation).tobytes(), **more)
    return file.getvalue()


def plain(image: Image.Image, kind: str, **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


@cache
def voice(
    form: str = "webm", codec: str = "libopus", seconds: float = 2.0, loudness: float = 0.3, pictures: int = 0
) -> bytes:
    """A tone of 440 Hz that comes in the second half and is silent in the first; pictures if asked for."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        video = container.add_stream("libvpx" if form == "webm" else "libx264", rate=10) if pictures else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream(codec, rate=RATE, layout="mono")
        assert isinstance(sound, AudioStream)
        count = int(seconds * 50)
        for number in range(count):
            at = (numpy.arange(960) + number * 960) / RATE
            tone = loudness * numpy.sin(2 * numpy.pi * 440 * at) * (number >= count // 2)
            frame = av.AudioFrame.from_ndarray(tone.astype(numpy.float32)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, number * 960, Fraction(1, RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for number in range(pictures):
            assert video is not None
            shown = av.VideoFrame(64, 64, "yuv420p")
            shown.pts, shown.time_base = number, Fraction(1, 10)
            container.mux(video.encode(shown))
        if video is not None:
            container.mux(video.encode(None))
    return file.getvalue()


def jpeg(width: int, height: int) -> bytes:
    """A small JPEG that claims any size in its frame header (ITU-T T.81 section B.2.2)."""
    data = bytearray(plain(Image.new("RGB", (64, 64)), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack("!HH", height, width)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    """A small WebP that claims any size (RFC 9649 section 3.4)."""
    data = bytearray(plain(Image.new("RGBA", (64, 64), (1, 2, 3, 4)), "WEBP", lossless=True))
    place = data.index(b"VP8L") + 9
    data[place : place + 4] = struct.pack("<I", (width - 1) | (height - 1) << 14 | 1 << 28)
    return bytes(data)


def png(width: int, height: int) -> bytes:
    """A PNG of some bytes that claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )
