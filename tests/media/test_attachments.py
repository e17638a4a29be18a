"""What is shown of a photo or a voice note, and what is refused: decoded by workers, never here."""

import asyncio
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from media.attachment_protocol import MEDIA_TYPES, media_type_of
from media.attachments import look
from media.errors import AttachmentRefused
from tests.media.attachment_files import (
    COMMENT,
    DEVICE,
    PLACE,
    RATE,
    SOFTWARE,
    exif,
    jpeg,
    photo,
    picture,
    plain,
    png,
    voice,
    webp,
)


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("hidden.html", "<script>alert(1)</script>")
    return file.getvalue()


def shown_picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.load()
    return image


def heard(data: bytes) -> numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]:
    """The sound of a file, as floats."""
    with av.open(io.BytesIO(data), "r") as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        frames = [sound for frame in container.decode(audio=0) for sound in resampler.resample(frame)]
        return numpy.concatenate([frame.to_ndarray()[0] for frame in frames])


# --- photos ---


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_what_is_shown_of_a_photo_tells_neither_place_nor_device(kind: str) -> None:
    original = photo(kind)
    for marker in (PLACE, DEVICE, SOFTWARE):
        assert marker.encode() in original
    looked = await look(original, "photo")
    assert (looked.facts.width, looked.facts.height) == (640, 480)
    assert looked.facts.original_type == f"image/{kind.lower()}" and looked.facts.shown_type == "image/jpeg"
    for marker in (PLACE, DEVICE, SOFTWARE, COMMENT, "Exif", "http://ns.adobe.com", "ICC_PROFILE"):
        assert marker.encode() not in looked.shown, marker
    shown = shown_picture(looked.shown)
    assert not dict(shown.getexif()) and "comment" not in shown.info


# TIFF 6.0, Orientation: where row 0 and column 0 of what is stored are seen; so where its red corner is.
@pytest.mark.parametrize(
    ("orientation", "corner", "size"),
    [
        (1, (0, 0), (640, 480)),
        (2, (1, 0), (640, 480)),
        (3, (1, 1), (640, 480)),
        (4, (0, 1), (640, 480)),
        (5, (0, 0), (480, 640)),
        (6, (1, 0), (480, 640)),
        (7, (1, 1), (480, 640)),
        (8, (0, 1), (480, 640)),
        (99, (0, 0), (640, 480)),
    ],
)
async def test_a_photo_is_shown_the_way_it_was_held(
    orientation: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    looked = await look(photo("JPEG", orientation=orientation), "photo")
    shown = shown_picture(looked.shown)
    assert shown.size == size == (looked.facts.width, looked.facts.height)
    for place in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = [10 + at * (length - 20) for at, length in zip(place, size, strict=True)]
        red, green, _ = shown.getpixel((x, y))  # type: ignore[misc]
        assert (red > 200 and green < 80) == (place == corner), (place, red, green)


@pytest.mark.parametrize(
    ("kind", "width", "height", "shown"),
    [
        ("JPEG", 6000, 4500, (2560, 1920)),
        ("PNG", 300, 5120, (150, 2560)),
        ("WEBP", 16000, 10, (2560, 2)),
        ("JPEG", 40, 30, (40, 30)),
    ],
)
async def test_a_photo_is_shown_no_larger_than_screens_are(
    kind: str, width: int, height: int, shown: tuple[int, int]
) -> None:
    looked = await look(plain(Image.new("RGB", (width, height), (90, 120, 30)), kind), "photo")
    assert shown_picture(looked.shown).size == shown


@pytest.mark.parametrize(
    ("image", "kind", "seen"),
    [
        (Image.new("RGBA", (32, 32), (0, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("LA", (32, 32), (0, 255)), "PNG", (0, 0, 0)),
        (Image.new("L", (32, 32), 255), "JPEG", (255, 255, 255)),
        (Image.new("1", (32, 32), 1), "PNG", (255, 255, 255)),
        (Image.new("RGB", (32, 32), (200, 10, 10)).quantize(4), "PNG", (200, 10, 10)),
        (Image.new("CMYK", (32, 32), (0, 0, 0, 0)), "JPEG", (255, 255, 255)),
        (Image.new("RGBA", (32, 32), (10, 200, 10, 255)), "WEBP", (10, 200, 10)),
    ],
    ids=["transparent", "grey with alpha", "grey", "black and white", "palette", "CMYK", "webp"],
)
async def test_every_way_to_store_colours_is_shown_in_colours(
    image: Image.Image, kind: str, seen: tuple[int, int, int]
) -> None:
    looked = await look(plain(image, kind), "photo")
    pixel = shown_picture(looked.shown).getpixel((16, 16))
    assert isinstance(pixel, tuple)
    assert all(abs(one - other) < 12 for one, other in zip(pixel, seen, strict=True)), pixel


async def test_colours_of_another_space_are_brought_into_the_one_that_screens_take() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Red and blue change places (ICC.1 section 9.2: the tags that say what the primaries are).
    swapped = srgb.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    for profile, seen in ((srgb, "red"), (swapped, "blue"), (b"no profile at all", "red")):
        looked = await look(plain(Image.new("RGB", (32, 32), "red"), "JPEG", icc_profile=profile), "photo")
        shown = shown_picture(looked.shown)
        assert "icc_profile" not in shown.info
        red, _, blue = shown.getpixel((16, 16))  # type: ignore[misc]
        assert (red > blue) == (seen == "red"), (red, blue)


HOSTILE_PHOTOS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a tiny PNG that claims to be huge": (lambda: png(60_000, 60_000), "too_many_pixels"),
    "a tiny JPEG that claims to be huge": (lambda: jpeg(65_500, 65_500), "too_many_pixels"),
    "a tiny WebP that claims to be huge": (lambda: webp(16_383, 16_383), "broken"),
    "a pixel row more than allowed": (lambda: png(60_001, 1_000), "too_many_pixels"),
    "a PNG without most of its picture": (lambda: png(4_000, 4_000), "broken"),
    "a JPEG cut off": (lambda: photo("JPEG")[:-5_000], "broken"),
    "a PNG cut off": (lambda: photo("PNG")[:-5_000], "broken"),
    "a WebP cut off": (lambda: photo("WEBP")[:-5_000], "broken"),
    "the first bytes of a JPEG alone": (lambda: b"\xff\xd8\xff\xe0", "broken"),
    "nothing of a picture behind the first bytes": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(1_000), "broken"),
    "a GIF": (lambda: plain(picture(), "GIF"), "wrong_kind"),
    "a TIFF": (lambda: plain(picture(), "TIFF"), "wrong_kind"),
    "a BMP": (lambda: plain(picture(), "BMP"), "wrong_kind"),
    "an SVG": (
        lambda: b"<svg><script>alert(1)</script></svg>",
        "wrong_kind",
    ),
    "a page": (lambda: b"<!doctype html><script>alert(1)</script>", "wrong_kind"),
    "PostScript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "wrong_kind"),
    "a ZIP": (lambda: archive(), "wrong_kind"),
    "a page with a photo behind it": (lambda: b"<!doctype html>" + photo("JPEG"), "wrong_kind"),
    "a voice note": (lambda: voice(), "wrong_kind"),
    "a HEIC": (lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100), "wrong_kind"),
    "one byte": (lambda: b"\xff", "wrong_kind"),
    "no byte": (lambda: b"", "wrong_kind"),
}


def scans(count: int) -> bytes:
    """A progressive JPEG of so many scans: its last one again and again."""
    data = plain(picture(64, 48), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * (count - data.count(b"\xff\xda")) + data[end:]


async def test_a_photo_of_more_scans_than_anybody_stores_is_not_decoded() -> None:
    assert (await look(scans(100), "photo")).facts.width == 64
    with pytest.raises(AttachmentRefused) as refused:
        await look(scans(101), "photo")
    assert refused.value.code == "too_many_scans"


async def test_what_only_looks_like_scans_is_none() -> None:
    thumbnail = b"Exif\0\0" + b"\xff\xda\x00\x08" * 500  # in a segment, and behind the picture
    data = photo("JPEG")
    noted = data[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + data[2:]
    assert (await look(noted + thumbnail, "photo")).facts.width == 640


@pytest.mark.parametrize("name", HOSTILE_PHOTOS)
async def test_what_is_no_photo_is_refused_with_a_reason(name: str) -> None:
    make, code = HOSTILE_PHOTOS[name]
    with pytest.raises(AttachmentRefused) as refused:
        await look(make(), "photo")
    assert refused.value.code == code
    assert 10 < len(refused.value.reason) < 200


async def test_what_hides_behind_a_photo_is_not_shown() -> None:
    hidden = archive()
    looked = await look(photo("JPEG") + hidden, "photo")
    assert shown_picture(looked.shown).size == (640, 480)
    assert b"PK\x03\x04" not in looked.shown and b"<script>" not in looked.shown


async def test_broken_exif_loses_no_photo() -> None:
    broken = bytearray(exif(6).tobytes())
    broken[10:30] = b"\xff" * 20
    looked = await look(plain(picture(), "JPEG", exif=bytes(broken)), "photo")
    assert shown_picture(looked.shown).size == (640, 480)


@pytest.mark.parametrize(
    ("kind", "mode", "how"),
    [
        ("PNG", "RGBA", {"compress_level": 1}),
        ("WEBP", "RGBA", {"method": 0}),
        ("JPEG", "RGB", {"progressive": True}),
    ],
)
async def test_the_largest_photo_fits_into_the_memory_that_a_worker_has(
    kind: str, mode: str, how: dict[str, int]
) -> None:
    largest = plain(Image.new(mode, (7_745, 7_745), "teal"), kind, **how)
    looked = await look(largest, "photo")
    assert (looked.facts.width, looked.facts.height) == (2560, 2560)


# --- voice ---


@pytest.mark.parametrize(
    ("form", "codec", "media_type"),
    [
        ("webm", "libopus", "audio/webm"),
        ("mp4", "aac", "audio/mp4"),
        ("ogg", "libopus", "audio/ogg"),
    ],
)
async def test_a_voice_note_is_heard_everywhere_whatever_recorded_it(
    form: str, codec: str, media_type: str
) -> None:
    looked = await look(voice(form, codec), "voice")
    facts = looked.facts
    assert (facts.original_type, facts.shown_type) == (media_type, "audio/mp4")
    assert facts.duration_ms is not None and abs(facts.duration_ms - 2_000) < 60
    with av.open(io.BytesIO(looked.shown), "r") as container:
        (stream,) = container.streams.audio
        assert len(container.streams) == 1
        assert stream.codec_context.name == "aac"
        assert (stream.codec_context.sample_rate, stream.codec_context.layout.name) == (RATE, "mono")
        assert stream.duration is not None and stream.time_base is not None
        assert abs(float(stream.duration * stream.time_base) - 2.0) < 0.06
    assert looked.shown.index(b"moov") < looked.shown.index(b"mdat"), "it plays before all of it is there"
    sound = heard(looked.shown)
    spectrum = numpy.abs(numpy.fft.rfft(sound[len(sound) // 2 :]))
    assert abs(int(spectrum.argmax()) * RATE / (len(sound) - len(sound) // 2) - 440) < 5


async def test_a_waveform_shows_where_something_is_said() -> None:
    waveform = (await look(voice(), "voice")).facts.waveform
    assert len(waveform) == 64 and all(0 <= bar <= 100 for bar in waveform)
    assert max(waveform[:30]) < 5 and min(waveform[34:62]) > 30


async def test_the_shortest_note_has_all_bars_of_a_waveform() -> None:
    facts = (await look(voice(seconds=0.04), "voice")).facts
    assert len(facts.waveform) == 64 and facts.duration_ms is not None and facts.duration_ms <= 60


async def test_a_quiet_voice_and_a_loud_one_come_closer_to_each_other() -> None:
    peaks = []
    for loudness in (0.05, 0.9):
        looked = await look(voice(loudness=loudness), "voice")
        peaks.append(float(numpy.abs(heard(looked.shown)).max()))
    assert peaks[0] > 0.4 and peaks[1] / peaks[0] < 2.5 and peaks[1] <= 1.0, peaks


def foreign_codec() -> bytes:
    """A WebM whose track says that it is of another codec."""
    return voice().replace(b"A_OPUS", b"A_FLAC")


HOSTILE_VOICES: dict[str, tuple[Callable[[], bytes], str]] = {
    "eleven minutes": (lambda: voice(seconds=11 * 60, loudness=0.1), "too_long"),
    "a film": (lambda: voice(pictures=5), "wrong_kind"),
    "uncompressed sound": (lambda: voice("matroska", "pcm_s16le"), "wrong_kind"),
    "a codec that is not taken": (lambda: foreign_codec(), "wrong_kind"),
    "a WAV": (lambda: voice("wav", "pcm_s16le"), "wrong_kind"),
    "a photo": (lambda: photo("JPEG"), "wrong_kind"),
    "a playlist of files": (lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "wrong_kind"),
    "a list of files": (lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", "wrong_kind"),
    "an MP4 without its index": (lambda: voice("mp4", "aac")[:2_000], "broken"),
    "the head of a WebM alone": (lambda: voice()[:120], "broken"),
    "an EBML header and zeros": (lambda: b"\x1a\x45\xdf\xa3" + bytes(500), "broken"),
    "an Ogg that is none": (lambda: b"OggS" + bytes(500), "broken"),
    "no byte": (lambda: b"", "wrong_kind"),
}


@pytest.mark.parametrize("name", HOSTILE_VOICES)
async def test_what_is_no_voice_note_is_refused_with_a_reason(name: str) -> None:
    make, code = HOSTILE_VOICES[name]
    with pytest.raises(AttachmentRefused) as refused:
        await look(make(), "voice")
    assert refused.value.code == code
    assert 10 < len(refused.value.reason) < 200


async def test_flipped_bytes_are_heard_or_refused_and_nothing_else() -> None:
    for form, codec in (("webm", "libopus"), ("mp4", "aac")):
        damaged = bytearray(voice(form, codec))
        for place in range(700, len(damaged), 97):
            damaged[place] ^= 0x5A
        try:
            assert (await look(bytes(damaged), "voice")).shown
        except AttachmentRefused as refused:
            assert refused.code in ("broken", "empty", "wrong_kind", "too_long")


# --- the worker ---


async def test_a_worker_that_takes_too_long_is_ended() -> None:
    with pytest.raises(AttachmentRefused) as refused:
        await look(photo(), "photo", timeout_s=0.0)
    assert refused.value.code == "timeout"


async def test_a_file_that_takes_more_work_than_any_other_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    ended.write_text("#!/bin/sh\nkill -XCPU $$\n")  # what the system does at the limit
    ended.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(ended))
    with pytest.raises(AttachmentRefused) as refused:
        await look(photo() * 100, "photo")
    assert refused.value.code == "too_costly"


async def test_a_worker_that_dies_refuses_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(AttachmentRefused) as refused:
        await look(photo() * 100, "photo")
    assert refused.value.code == "crashed"


async def test_the_loop_is_not_held_up_by_a_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write, sizes = asyncio.StreamWriter.write, list[int]()

    def measured(writer: asyncio.StreamWriter, data: bytes) -> None:
        sizes.append(len(data))
        write(writer, data)

    monkeypatch.setattr(asyncio.StreamWriter, "write", measured)
    data = photo() + bytes(3 << 20)
    assert (await look(data, "photo")).shown
    assert sum(sizes) == len(data) and max(sizes) <= 64 << 10


def test_a_worker_has_no_more_memory_time_and_disk_than_it_needs() -> None:
    command = [sys.executable, "-m", "media.attachment_worker", "photo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        # A pipe holds 64 KiB: what takes more is reading, and it reads once its limits are set.
        worker.stdin.write(photo() * 20)
        worker.stdin.flush()
        told = Path(f"/proc/{worker.pid}/limits").read_text().splitlines()
        worker.stdin.close()
        worker.stdout.read()
    limits = {line[:26].strip(): line[26:46].strip() for line in told}
    assert limits["Max address space"] == str(1536 << 20)
    assert limits["Max cpu time"] == "20"
    assert limits["Max file size"] == str(64 << 20)
    assert limits["Max core file size"] == "0"


@given(st.binary(max_size=64))
def test_any_bytes_have_a_known_type_or_none(data: bytes) -> None:
    known = {each for types in MEDIA_TYPES.values() for each in types}
    assert media_type_of(data) in known | {None}
