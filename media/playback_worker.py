"""The process in which a recording becomes a file that players know: segments in, one file out, and the end.

It is apart from the relay for the reasons of picture_worker.py, and lives for one file: what strangers' bytes
may do to a muxer ends with it.

    segments ─ timeline.py ─ units ─┬─ pictures ───────────────┐
                                    └─ sound ─ opus.py, no gap ┴─ PyAV ─> WebM: VP8 and Opus
                                                                          MP4: H.264 and Opus
                                                                          MP4: Opus alone

Nothing is decoded or encoded. Which file it becomes the first keyframe decides; sound is held until then. The
same segments give the same bytes: no dates, no random identifiers.

Where a camera's encodings take turns, or a phone is turned, the size changes with a keyframe inside the file:
both codecs carry it there and decoders follow. A file for each size would cut a film where nothing was cut.

What passes to and fro is drawn in `playback_protocol.py`.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import sys
from collections.abc import Iterable
from fractions import Fraction
from typing import BinaryIO

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

from media.depacketizer import H264, VP8
from media.errors import MalformedDump, MalformedPayload
from media.journal import SegmentStream
from media.opus import GaplessSound, Sound
from media.playback_protocol import (
    BEGIN,
    DUMP,
    END,
    FAILED,
    HEAD,
    MP4,
    MP4_SOUND,
    SEGMENT,
    WEBM,
    PlaybackFacts,
    encode_facts,
    encode_message,
    parse_segment_head,
)
from media.rtpdump import parse_dump
from media.timeline import Timeline, Unit

NICENESS = 10  # forwarding goes first, and frames that somebody waits for with a finger on the button
MILLISECOND = Fraction(1, 1_000)  # Matroska's own
RTP_VIDEO_CLOCK = Fraction(1, 90_000)
OPUS_CLOCK = Fraction(1, 48_000)
LAST_PICTURE_US = 100_000  # how long the last picture lasts at the most: what comes after it is not known
MAX_HELD_SOUND_BYTES = 64 << 20  # an hour of 128 kbit/s waiting for a picture: that one comes no more
VIDEO_MEDIA_TYPES = {VP8: WEBM, H264: MP4}
VIDEO_CODECS = {VP8: "vp8", H264: "h264"}

# Not in fragments: of those FFmpeg, and so Chromium, tells a duration that is too long by as much as the
# picture begins later than the sound. The index goes to the beginning: players seek before all is there.
MP4_OPTIONS = {
    "movflags": "+faststart",
    "use_editlist": "1",  # what begins later says so
}

# RFC 7845 §5.1: version 1, two channels (a packet of one is played on both), no pre-skip: what the sender's
# encoder was ahead is what their microphone heard. 48 kHz, no gain, mapping family 0.
OPUS_HEAD = struct.pack("<8sBBHIhB", b"OpusHead", 1, 2, 0, 48_000, 0, 0)


class Unplayable(Exception):
    """There is no file in these segments; `code` is that of PlaybackFailed."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def main() -> None:
    # Ctrl-C reaches every process of the terminal; the server ends this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    segments = os.fdopen(0, "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land among the answers
    av.logging.set_level(av.logging.PANIC)
    try:
        answer = encode_facts(make_file(segments, f"/proc/self/fd/{int(sys.argv[1])}"))
    except Unplayable as error:
        answer = encode_message(FAILED, {"code": error.code, "reason": str(error)})
    except FFmpegError as error:
        answer = encode_message(
            FAILED, {"code": "nothing_playable", "reason": f"no file holds this: {error}"}
        )
    answers.write(answer)
    answers.flush()


def make_file(messages: BinaryIO, path: str) -> PlaybackFacts:
    """Write the file of the segments in the messages. Raises Unplayable or FFmpegError."""
    timeline = Timeline()
    file: PlaybackFile | None = None
    number, streams = 0, list[SegmentStream]()
    while (head := messages.read(HEAD.size)) and len(head) == HEAD.size:
        kind, size_bytes = HEAD.unpack(head)
        body = messages.read(size_bytes)
        if kind == BEGIN:
            file = PlaybackFile(path, **json.loads(body))
        elif kind == SEGMENT:
            number, streams = parse_segment_head(body)
        elif kind == DUMP:
            assert file is not None
            try:
                dump = parse_dump(body)
            except MalformedDump as error:
                raise Unplayable("malformed_dump", f"segment {number}: {error}") from None
            file.add(timeline.handle_segment(dump, streams))
        elif kind == END:
            assert file is not None
            file.add(timeline.finish())
            if timeline.began_at is None:
                break
            return file.close(timeline)
    raise Unplayable("nothing_playable", "the segments hold neither sound nor a whole picture")


class PlaybackFile:
    """A file under way. `add` all units in their order, then `close`."""

    def __init__(self, path: str, *, title: str, comment: str, has_sound: bool) -> None:
        self._path = path
        self._metadata = {"title": title, "comment": comment}
        self._has_sound = has_sound
        self._container: OutputContainer | None = None
        self._media_type = MP4_SOUND
        self._pictures: PictureTrack | None = None
        self._sounds: SoundTrack | None = None
        self._waiting: list[Unit] = []
        self._waiting_bytes = 0
        self._refused = 0  # pictures that this file has no track for

    def add(self, units: Iterable[Unit]) -> None:
        for unit in units:
            if self._container is not None:
                self._mux(unit)
                continue
            self._waiting.append(unit)
            self._waiting_bytes += len(unit.data)
            if unit.kind == "video" or self._waiting_bytes > MAX_HELD_SOUND_BYTES:
                self._open(unit if unit.kind == "video" else None)

    def close(self, timeline: Timeline) -> PlaybackFacts:
        """The file is whole. Raises Unplayable if there is nothing in it."""
        if self._container is None:
            self._open(None)
        assert self._container is not None and timeline.began_at is not None
        pictures, sounds = self._pictures, self._sounds
        ends_us = [0]
        if pictures is not None:
            pictures.finish()
            ends_us.append(pictures.end_us)
        if sounds is not None:
            if pictures is not None:
                sounds.fill(pictures.end_us)
            ends_us.append(sounds.line.end_us)
        if not max(ends_us):
            raise Unplayable("nothing_playable", "the segments hold no sound that could be heard")
        self._container.close()
        return PlaybackFacts(
            media_type=self._media_type,
            duration_ms=max(ends_us) // 1_000,
            width=pictures.width if pictures is not None else 0,
            height=pictures.height if pictures is not None else 0,
            frames=pictures.frames if pictures is not None else 0,
            lost_pictures=timeline.lost_pictures + self._refused,
            lost_sounds=timeline.lost_sounds + (sounds.line.dropped + sounds.malformed if sounds else 0),
            began_at=timeline.began_at,
        )

    def _open(self, keyframe: Unit | None) -> None:
        """All that is known of the file now stands in its head."""
        if keyframe is not None:
            self._media_type = VIDEO_MEDIA_TYPES[keyframe.codec_name]
        is_mp4 = self._media_type != WEBM
        self._container = av.open(
            self._path,
            "w",
            format="mp4" if is_mp4 else "webm",
            options={"fflags": "+bitexact"} | (MP4_OPTIONS if is_mp4 else {}),
        )
        self._container.metadata.update(self._metadata)
        if keyframe is not None:
            self._pictures = PictureTrack(self._container, keyframe, is_mp4=is_mp4)
        if self._has_sound or keyframe is None:
            self._sounds = SoundTrack(self._container)
        waiting, self._waiting = self._waiting, []
        for unit in waiting:
            self._mux(unit)

    def _mux(self, unit: Unit) -> None:
        if unit.kind == "audio":
            if self._sounds is not None:
                self._sounds.add(unit)
        elif self._pictures is None or unit.codec_name != self._pictures.codec_name:
            self._refused += 1
        else:
            self._pictures.add(unit)
            # Units come in the order of time: what was not heard by now was not sent.
            if self._sounds is not None:
                self._sounds.fill(unit.presentation_us)


class PictureTrack:
    """The file's pictures. Each waits for the next, which says how long it lasts."""

    def __init__(self, container: OutputContainer, keyframe: Unit, *, is_mp4: bool) -> None:
        self.codec_name = keyframe.codec_name
        self.width, self.height = keyframe.width, keyframe.height
        self.frames = 0
        self.end_us = 0
        self._container = container
        self._clock = RTP_VIDEO_CLOCK if is_mp4 else MILLISECOND
        self._step = 1 if is_mp4 else 0  # Matroska allows two frames at one time: one of them is not shown
        self._stream = container.add_mux_stream(
            VIDEO_CODECS[keyframe.codec_name], width=keyframe.width, height=keyframe.height
        )
        self._stream.time_base = self._clock
        self._last: Unit | None = None
        self._last_ticks = -1
        self._lasted_us = LAST_PICTURE_US

    def add(self, unit: Unit) -> None:
        self._put(unit.presentation_us)
        self._last = unit
        self.frames += unit.is_shown

    def finish(self) -> None:
        """The last picture lasts as long as the one before it, but not for a pause."""
        if self._last is not None:
            self._put(self._last.presentation_us + min(self._lasted_us, LAST_PICTURE_US))

    def _put(self, end_us: int) -> None:
        last = self._last
        if last is None:
            return
        self._lasted_us = end_us - last.presentation_us
        self.end_us = end_us
        ticks = max(self._ticks(last.presentation_us), self._last_ticks + self._step)
        self._last_ticks = ticks
        packet = av.Packet(last.data)
        packet.stream = self._stream
        packet.time_base = self._clock
        packet.pts = packet.dts = ticks
        packet.duration = max(self._ticks(end_us) - ticks, self._step)
        packet.is_keyframe = last.is_keyframe
        self._container.mux(packet)

    def _ticks(self, time_us: int) -> int:
        return round(time_us * self._clock.denominator / 1_000_000)


class SoundTrack:
    """The file's sound, without a gap from its beginning."""

    def __init__(self, container: OutputContainer) -> None:
        self.line = GaplessSound()
        self.malformed = 0
        self._container = container
        with _opus_template() as template:
            self._stream = container.add_stream_from_template(template.streams.audio[0])
        self._stream.time_base = OPUS_CLOCK

    def add(self, unit: Unit) -> None:
        try:
            self._put(self.line.handle_packet(unit.presentation_us, unit.data))
        except MalformedPayload:
            self.malformed += 1

    def fill(self, until_us: int) -> None:
        self._put(self.line.fill(until_us))

    def _put(self, sounds: Iterable[Sound]) -> None:
        for sound in sounds:
            packet = av.Packet(sound.packet)
            packet.stream = self._stream
            packet.time_base = OPUS_CLOCK
            packet.pts = packet.dts = sound.presentation_us * OPUS_CLOCK.denominator // 1_000_000
            packet.duration = sound.duration_us * OPUS_CLOCK.denominator // 1_000_000
            packet.is_keyframe = True
            self._container.mux(packet)


def _opus_template() -> InputContainer:
    """A stream of Opus to copy the description of: PyAV sets a codec's private data in no other way that
    leaves the encoder out of it. It is a Matroska file (RFC 9559) of one track and an empty cluster.
    """
    sound = _element(0xE1, _element(0xB5, struct.pack("!f", 48_000)) + _element(0x9F, b"\x02"))
    track = b"".join(
        (
            _element(0xD7, b"\x01"),  # TrackNumber
            _element(0x73C5, b"\x01"),  # TrackUID
            _element(0x83, b"\x02"),  # TrackType: audio
            _element(0x86, b"A_OPUS"),  # CodecID
            _element(0x63A2, OPUS_HEAD),  # CodecPrivate
            sound,
        )
    )
    tracks = _element(0x1654AE6B, _element(0xAE, track))
    cluster = _element(0x1F43B675, _element(0xE7, b"\x00"))
    head = _element(0x1A45DFA3, _element(0x4282, b"webm"))  # EBML, DocType
    file = io.BytesIO(head + _element(0x18538067, tracks + cluster))
    return av.open(file, "r", format="matroska")


def _element(identifier: int, data: bytes) -> bytes:
    """An EBML element (RFC 8794), its size in one byte or four."""
    size = bytes([0x80 | len(data)]) if len(data) < 0x7F else (0x1000_0000 | len(data)).to_bytes(4)
    return identifier.to_bytes((identifier.bit_length() + 7) // 8) + size + data


if __name__ == "__main__":
    main()
