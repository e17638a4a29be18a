"""The process in which attachments are looked at: one file in, what is shown of it out, and the end.

It is apart from the relay for the reasons of picture_worker.py, and lives for one file: whatever a stranger's
photo does to a decoder ends with it. Memory, time and what it may write are bounded by the system.

    photo ─ size from its header ─ decoded, upright, sRGB, at most 2560 px ──> JPEG without any metadata
    voice ─ decoded, one channel of 48 kHz, its loudness evened ───────────> AAC in MP4, and a waveform

Photos tell where and with what they were taken: that stays in the original. What passes to and fro is drawn
in `attachment_protocol.py`.
"""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from PIL import Image, ImageCms

from media.attachment_protocol import (
    JPEG,
    MEDIA_TYPES,
    MP4_SOUND,
    OGG_SOUND,
    WEBM_SOUND,
    AttachmentFacts,
    encode_facts,
    encode_refusal,
    media_type_of,
)

NICENESS = 10  # forwarding goes first, and frames that somebody waits for with a finger on the button
MAX_MEMORY_BYTES = 1536 << 20  # 60 megapixels twice, at 4 bytes each, and 400 MiB of libraries
MAX_CPU_S = {"photo": 20, "voice": 120}  # the largest photo takes 3, ten minutes of voice some 15
MAX_WRITTEN_BYTES = 64 << 20  # far above what is shown of anything; it is written to memory
MAX_OPEN_FILES = 32

MAX_PIXELS = 60_000_000  # phones have 50 megapixels
MAX_SCANS = 100  # of a JPEG; encoders write some ten, and each is a walk over all of the picture
MAX_SHOWN_PX = 2560  # of the longest side: more than screens have, and a label is still read
JPEG_QUALITY = 85  # where the losses begin to be seen, at a third of the size of 95
# ITU-T T.81 section B.1.1.2: any byte but 0 and FF after an FF. Section B.1.1.3: those without a segment.
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_SOS, _EOI = 0xDA, 0xD9
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
# How what is stored is turned to be upright, by its orientation (CIPA DC-008 section 4.6.4, tag 274).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

MAX_VOICE_S = 600
SAMPLE_RATE = 48_000
VOICE_BITRATE_BPS = 64_000  # AAC-LC of one channel: speech without audible loss
BAR_SAMPLES = 120  # 2.5 ms: a note of a sixth of a second still has 64 bars
WAVEFORM_BARS = 64
# Windows of 250 ms, evened over 11 of them, beginning and end alike; what would have to be more than ten
# times louder is noise.
EVENING = "framelen=250:gausssize=11:peak=0.9:maxgain=10:altboundary=1"
DEMUXERS = {WEBM_SOUND: "matroska", MP4_SOUND: "mov", OGG_SOUND: "ogg"}
CODECS = frozenset({"opus", "aac", "vorbis"})


class Refused(Exception):
    """The file is not what it should be; `code` is that of AttachmentRefused."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def main() -> None:
    # Ctrl-C reaches every process of the terminal; the server ends this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    for limit, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, MAX_WRITTEN_BYTES),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    # The soft limit ends this process by a signal of its own: who asked then knows why.
    cpu_s = MAX_CPU_S[sys.argv[1]]
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land among the answers
    av.logging.set_level(av.logging.PANIC)
    with os.fdopen(0, "rb") as pipe:
        data = pipe.read()
    try:
        answer = encode_facts(*look(data, sys.argv[1]))
    except Refused as error:
        answer = encode_refusal(error.code, str(error))
    except MemoryError:
        answer = encode_refusal("too_large", "the file takes more memory than any photo or voice note")
    answers.write(answer)
    answers.flush()


def look(data: bytes, medium: str) -> tuple[AttachmentFacts, bytes]:
    """What the file is, and the bytes that are shown. Raises Refused."""
    media_type = media_type_of(data)
    if media_type is None or media_type not in MEDIA_TYPES[medium]:
        wanted = "a JPEG, PNG or WebP picture" if medium == "photo" else "a WebM, MP4 or Ogg recording"
        raise Refused("wrong_kind", f"this {medium} is not {wanted}")
    return _look_at_photo(data, media_type) if medium == "photo" else _look_at_voice(data, media_type)


# --- photos ---


def _look_at_photo(data: bytes, media_type: str) -> tuple[AttachmentFacts, bytes]:
    if media_type == JPEG and _has_too_many_scans(data):
        raise Refused("too_many_scans", f"a photo is stored in {MAX_SCANS} scans at most")
    Image.MAX_IMAGE_PIXELS = None  # measured here, with an error of ours
    try:
        with Image.open(io.BytesIO(data), formats=[media_type.removeprefix("image/").upper()]) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Refused(
                    "too_many_pixels", f"{width} × {height} is above {MAX_PIXELS // 1_000_000} megapixels"
                )
            orientation = _orientation(image)
            image.draft("RGB", (MAX_SHOWN_PX, MAX_SHOWN_PX))  # a JPEG is not decoded larger than it is shown
            image.load()
            shown = _to_rgb(_smaller(image))
    except (Refused, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise whatever a broken file leads them into
        raise Refused("broken", "the picture is damaged or cut off") from error
    if orientation in TURNS:
        shown = shown.transpose(TURNS[orientation])
    shown.info.clear()  # what Pillow would write again: comments, XMP
    file = io.BytesIO()
    shown.save(file, "JPEG", quality=JPEG_QUALITY)
    facts = AttachmentFacts(
        original_type=media_type, shown_type=JPEG, width=shown.size[0], height=shown.size[1]
    )
    return facts, file.getvalue()


def _has_too_many_scans(data: bytes) -> bool:
    """ITU-T T.81 section B.1.1: from marker to marker, over what segments hold, to the end of the picture."""
    at = scans = 0
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = data[found.end() - 1], found.end()
        if marker == _EOI:
            return False
        if marker == _SOS:
            scans += 1
            if scans > MAX_SCANS:
                return True
        if marker not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
    return False


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if it cannot be read."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # EXIF that is broken is of no use, and no reason to lose the photo
        return 1
    return orientation if isinstance(orientation, int) else 1


def _smaller(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGB", "RGBA", "L", "LA", "CMYK"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    profile = image.info.get("icc_profile")
    image.thumbnail((MAX_SHOWN_PX, MAX_SHOWN_PX), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info["icc_profile"] = profile
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """In sRGB, on white where it is transparent."""
    profile = image.info.get("icc_profile")
    if image.mode in ("RGBA", "LA"):
        image = image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        image = paper
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None  # a profile that is broken, or for another kind of picture
        if converted is not None:
            return converted
    return image.convert("RGB")


# --- voice ---


def _look_at_voice(data: bytes, media_type: str) -> tuple[AttachmentFacts, bytes]:
    output = os.memfd_create("voice", os.MFD_CLOEXEC)
    waveform = Waveform()
    try:
        with av.open(io.BytesIO(data), "r", format=DEMUXERS[media_type], metadata_errors="ignore") as source:
            sounds = _even(_decode(source, _voice(source)))
            _write(f"/proc/self/fd/{output}", waveform.pass_on(sounds))
    except (FFmpegError, ValueError) as error:  # ValueError: a format that changes within the stream
        if isinstance(error, MemoryError):
            raise MemoryError from error
        raise Refused("broken", "the recording is damaged or cut off") from error
    if not waveform.samples:
        raise Refused("empty", "the recording holds no sound")
    with os.fdopen(output, "rb") as file:
        shown = file.read()
    facts = AttachmentFacts(
        original_type=media_type,
        shown_type=MP4_SOUND,
        duration_ms=waveform.samples * 1_000 // SAMPLE_RATE,
        waveform=waveform.bars(),
    )
    return facts, shown


def _voice(source: InputContainer) -> AudioStream:
    if source.streams.video or len(source.streams.audio) != 1:
        raise Refused("wrong_kind", "a voice note has one track of sound and no picture")
    stream = source.streams.audio[0]
    if stream.codec_context.codec.canonical_name not in CODECS:
        raise Refused("wrong_kind", "a voice note is of Opus, AAC or Vorbis")
    told = [source.duration and Fraction(source.duration, av.time_base)]
    told.append(stream.duration and stream.time_base and stream.duration * stream.time_base)
    if any(duration_s is not None and duration_s > MAX_VOICE_S + 1 for duration_s in told):
        raise _too_long()
    stream.codec_context.thread_count = 1
    return stream


def _too_long() -> Refused:
    return Refused("too_long", f"a voice note has {MAX_VOICE_S // 60} minutes at most")


def _decode(source: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """The sound as one channel of 48 kHz; pauses that only the timestamps tell of are left out."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    samples = 0
    for frame in _frames(source, stream):
        frame.pts = None
        for resampled in resampler.resample(frame):
            resampled.pts = samples
            resampled.time_base = Fraction(1, SAMPLE_RATE)
            samples += resampled.samples
            if samples > (MAX_VOICE_S + 1) * SAMPLE_RATE:
                raise _too_long()
            yield resampled


def _frames(source: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    for packet in source.demux(stream):
        yield from packet.decode()


def _even(sounds: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """As loud throughout as a voice that is near."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="fltp", layout="mono", time_base=Fraction(1, SAMPLE_RATE)
    )
    evening = graph.add("dynaudnorm", EVENING)
    sink = graph.add("abuffersink")
    source.link_to(evening)
    evening.link_to(sink)
    graph.configure()
    for sound in sounds:
        source.push(sound)
        yield from _pull(graph)
    source.push(None)
    yield from _pull(graph)


def _pull(graph: av.filter.Graph) -> Iterator[AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield frame


def _write(path: str, sounds: Iterable[AudioFrame]) -> None:
    """AAC in MP4, its index at the beginning: it plays before all of it is there."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(path, "w", format="mp4", options=options) as target:
        stream = target.add_stream("aac", rate=SAMPLE_RATE, layout="mono", bit_rate=VOICE_BITRATE_BPS)
        for sound in sounds:
            target.mux(stream.encode(sound))
        target.mux(stream.encode(None))


class Waveform:
    """How loud the sound is, told while it passes."""

    def __init__(self) -> None:
        self.samples = 0
        self._peaks: list[float] = []  # of each BAR_SAMPLES
        self._rest = numpy.zeros(0, numpy.float32)

    def pass_on(self, sounds: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
        for sound in sounds:
            self.samples += sound.samples
            heard = numpy.concatenate([self._rest, numpy.abs(sound.to_ndarray()[0])])
            whole = len(heard) // BAR_SAMPLES * BAR_SAMPLES
            self._peaks += heard[:whole].reshape(-1, BAR_SAMPLES).max(axis=1).tolist()
            self._rest = heard[whole:]
            yield sound

    def bars(self) -> tuple[int, ...]:
        """WAVEFORM_BARS of them, 0 to 100; a very short sound has some twice."""
        peaks = [*self._peaks, *([float(self._rest.max())] if len(self._rest) else [])]
        return tuple(
            min(100, round(100 * max(peaks[first : max(first + 1, end)])))
            for first, end in (
                (bar * len(peaks) // WAVEFORM_BARS, (bar + 1) * len(peaks) // WAVEFORM_BARS)
                for bar in range(WAVEFORM_BARS)
            )
        )


if __name__ == "__main__":
    main()
