"""One sender's segments as sound and picture in time: what a file is made of; nothing is decoded. Pure.

    segments ──> streams, one a SSRC ──────────────────────────────────┐
                 order by sequence number ─ pictures whole ─ StreamClock ┴─> one order ──> units

- What arrived late or in disorder is in its place; LOOKAHEAD_US of arrivals are held back for it, and for
  the sender reports that put the beginning of a stream in its place.
- A picture that is not whole is left out, and with it all up to the next keyframe: they are drawn upon what
  is missing. Decoders would show something all the same, a smear that nobody filmed. A picture that stands
  still says honestly that there is none; the relay asked for a keyframe at once, so that it stands for about
  a second.
- Of two streams of one kind at one time the newer counts, as it did for whoever watched: the router's rule.
- A camera may have several encodings, each a stream (simulcast). What is kept is one of them at a time, and
  it changes with a keyframe: a stream that was silent while another counted, and begins again with one, is
  the newer from there on. One that went on all the while is another camera, and waits its turn.
- Presentation times never run backwards in a kind. Where nothing was sent there is nothing: a pause is a
  pause.

The clocks are described in presentation.py.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from media.depacketizer import (
    H264,
    NAL_IDR_SLICE,
    NAL_SPS,
    VP8,
    VP8_INTERFRAME,
    VP8_SHOW_FRAME,
    VP8_START,
    VP8_START_MASK,
    depacketize,
    is_keyframe_start,
    nal_types,
    shows_picture,
)
from media.errors import MalformedMedia, MalformedPayload, MalformedRtp
from media.frame_size import keyframe_size
from media.journal import SegmentStream
from media.presentation import SECOND_US, SenderClock, StreamClock, Timed
from media.rtcp import SenderReport, parse_compound
from media.rtp import parse_header
from media.rtpdump import Dump

LOOKAHEAD_US = 20 * SECOND_US  # four of the reports on sound that browsers send: one of them comes through
MERGED_US = 2 * SECOND_US  # how far two streams' delays may differ and their units still come out in order
MAX_HELD_BYTES = 64 << 20  # ten times what the look-ahead holds of the best camera
PACKET_OVERHEAD_BYTES = 200  # what CPython needs to keep a packet: many empty ones fill the memory, too
MAX_PICTURE_BYTES = 8 << 20  # as the picture buffer's run: no camera's picture is that large
MAX_PAUSE_US = 3_600 * SECOND_US  # between two segments; more is a clock that was set between two connections
MAX_PARAMETER_SETS_BYTES = 4_096  # that came ahead of their picture; a set has some tens
MAX_SILENCE_US = 10 * SECOND_US  # within a segment, which is cut before; nobody waits for made-up days
MAX_JUMP = 3_000  # RFC 3550 A.1: sequence numbers; the sender counts from somewhere else
TAKE_OVER_US = SECOND_US  # as the router has it: a stream comes back once its successor is silent this long
SILENT_US = 300_000  # without a picture: a stream was left; a camera sends more than three a second
OVERLAP_US = (
    100_000  # by which two streams' clocks may differ: the end of one looks later than the other's begin
)
VIDEO_CODECS = (VP8, H264)
AUDIO_CODECS = ("opus",)

Kind = Literal["audio", "video"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A picture's bitstream (VP8 frame, or H.264 access unit in Annex B form), or a packet of Opus."""

    kind: Kind
    codec_name: str
    presentation_us: int
    """From the first unit's on."""
    is_keyframe: bool
    """Always for sound."""
    is_shown: bool
    """Not so for a VP8 frame that others refer to only."""
    data: bytes
    width: int
    height: int
    """Of a keyframe; 0 otherwise."""


class _Packet(NamedTuple):
    at: Timed
    rtp_timestamp: int  # counted on without wrapping
    marker: bool
    payload: bytes


class _Made(NamedTuple):
    """A unit before it is known whether its stream counts; sorts by its place in the recording."""

    presentation_us: int
    number: int  # in the order made
    stream: _Stream
    unit: Unit
    before_us: (
        int | None
    )  # when the stream's last picture before it was, whole or not; None: none, or a sound
    missed: int  # pictures that were counted as lost for the gap before it


class _Drawn(NamedTuple):
    """A picture or a sound on its stream's clock; the rest as `_Made` has it."""

    presentation_us: int
    unit: Unit
    before_us: int | None = None
    missed: int = 0


class Timeline:
    """One recording. Segments in their order, then `finish`."""

    def __init__(self) -> None:
        self.began_at: datetime | None = None
        """Of presentation time 0, once there is a unit."""
        self.lost_pictures = 0
        """Pictures left out, and gaps in which none was seen."""
        self.lost_sounds = 0
        """Packets of sound that never came, or came where another stream counted."""
        self._first_at: datetime | None = None  # of the first dump: arrivals count from there
        self._opened_at: datetime | None = None  # the same by the wall clock as it is now
        self._now_us = 0
        self._arrived_us = 0  # of the last packet
        self._sender = SenderClock()
        self._streams: list[_Stream] = []
        self._by_ssrc: dict[int, _Stream] = {}
        self._made: list[_Made] = []
        self._count = 0
        self._origin_us: int | None = None
        self._current: dict[Kind, tuple[_Stream, int]] = {}  # and the last unit's time before shifting
        self._taken_over_us: dict[Kind, int] = {}  # when it began to count
        self._last_us: dict[Kind, int] = {"audio": -1, "video": -1}

    def handle_segment(self, dump: Dump, streams: Sequence[SegmentStream]) -> list[Unit]:
        """The units that are settled by now, in the order of time. Never raises: what is malformed in a
        segment is left out.
        """
        base_us = self._clock_of(dump.began_at)
        formats = {
            (stream.ssrc, stream.payload_type): stream
            for stream in streams
            if stream.codec_name in (AUDIO_CODECS if stream.kind == "audio" else VIDEO_CODECS)
            and stream.clock_rate > 0
        }
        self._now_us = max(self._now_us, base_us)
        for offset_ms, is_rtcp, data in dump.records:
            arrived_us = min(base_us + 1_000 * offset_ms, self._now_us + MAX_SILENCE_US)
            self._now_us = max(self._now_us, arrived_us)
            if is_rtcp:
                self._handle_rtcp(data)
            else:
                self._handle_rtp(data, formats)
        return self._settle(self._now_us - LOOKAHEAD_US)

    def finish(self) -> list[Unit]:
        """What is left."""
        return self._settle(None)

    def _clock_of(self, began_at: datetime) -> int:
        """Microseconds from the first dump to another. A wall clock that was set lets no time run back."""
        if self._opened_at is None:
            self._first_at = self._opened_at = began_at
        since_us = (began_at - self._opened_at) // timedelta(microseconds=1)
        if since_us > self._now_us + MAX_PAUSE_US:
            self._opened_at += timedelta(microseconds=since_us - self._now_us - MAX_PAUSE_US)
            return self._now_us + MAX_PAUSE_US
        if since_us < self._now_us - SECOND_US:
            self._opened_at -= timedelta(microseconds=self._now_us - since_us)
            return self._now_us
        return since_us

    def _handle_rtp(self, data: bytes, formats: dict[tuple[int, int], SegmentStream]) -> None:
        try:
            header = parse_header(data)
        except MalformedRtp:
            return
        format_ = formats.get((header.ssrc, header.payload_type))
        if format_ is None:
            return
        stream = self._by_ssrc.get(header.ssrc)
        if stream is None or not stream.continues(header.sequence_number, format_):
            stream = self._begin(format_, header.sequence_number)
            self._by_ssrc[header.ssrc] = stream
        self._arrived_us = self._now_us
        payload = data[header.size_bytes : len(data) - header.padding_bytes]
        stream.keep(self._now_us, header.sequence_number, header.rtp_timestamp, header.marker, payload)

    def _begin(self, format_: SegmentStream, sequence_number: int) -> _Stream:
        # Behind a silence it is another connection, maybe of another device with a clock of its own.
        if self._now_us - self._arrived_us > TAKE_OVER_US:
            self._sender = SenderClock()
        stream = _Stream(len(self._streams), format_, self._sender, sequence_number)
        self._streams.append(stream)
        return stream

    def _handle_rtcp(self, compound: bytes) -> None:
        try:
            packets = parse_compound(compound)
        except MalformedMedia:
            return
        for packet in packets:
            if isinstance(packet, SenderReport) and (stream := self._by_ssrc.get(packet.ssrc)) is not None:
                at = stream.timed(self._now_us, stream.count_on(packet.rtp_timestamp))
                stream.clock.handle_report(at, packet.ntp_timestamp)

    def _settle(self, until_us: int | None) -> list[Unit]:
        held_bytes = sum(stream.held_bytes for stream in self._streams)
        looks_ahead = held_bytes <= MAX_HELD_BYTES
        if until_us is not None and not looks_ahead:
            until_us = self._now_us
        for stream in self._streams:
            for drawn in stream.release(until_us, looks_ahead=looks_ahead):
                made = _Made(
                    drawn.presentation_us, self._count, stream, drawn.unit, drawn.before_us, drawn.missed
                )
                heapq.heappush(self._made, made)
                self._count += 1
            pictures, sounds = stream.take_lost()
            self.lost_pictures += pictures
            self.lost_sounds += sounds
        units: list[Unit] = []
        while self._made and (until_us is None or self._made[0].presentation_us < until_us - MERGED_US):
            made = heapq.heappop(self._made)
            if (admitted := self._admit(made)) is not None:
                units.append(admitted)
        return units

    def _admit(self, made: _Made) -> Unit | None:
        """The unit at its place in the file, if its stream is the one that counts."""
        unit, stream = made.unit, made.stream
        current, last_us = self._current.get(unit.kind, (None, made.presentation_us))
        if stream is not current:
            resumes = current is not None and stream.mid == current.mid and self._resumes(made)
            takes_over = (
                current is None
                or (stream.number > current.number and stream.mid == current.mid)
                or resumes
                or made.presentation_us - last_us >= TAKE_OVER_US
            )
            if not takes_over or not unit.is_keyframe:
                if unit.kind == "video":
                    self.lost_pictures += 1
                else:
                    self.lost_sounds += 1
                return None
            if resumes:
                self.lost_pictures -= made.missed  # they were there, in the encoding that counted
            self._taken_over_us[unit.kind] = made.presentation_us
        self._current[unit.kind] = stream, max(last_us, made.presentation_us)
        if self._origin_us is None:
            assert self._first_at is not None
            self._origin_us = made.presentation_us
            self.began_at = self._first_at + timedelta(microseconds=self._origin_us)
        presentation_us = max(made.presentation_us - self._origin_us, self._last_us[unit.kind] + 1)
        self._last_us[unit.kind] = presentation_us
        return replace(unit, presentation_us=presentation_us)

    def _resumes(self, made: _Made) -> bool:
        """Whether its stream had nothing to show since the one that counts took over."""
        if made.before_us is None:
            return False
        is_silent_since = made.before_us <= self._taken_over_us[made.unit.kind] + OVERLAP_US
        return is_silent_since and made.presentation_us >= made.before_us + SILENT_US


class _Stream:
    """One SSRC from where it began to count: its packets in order, its clock, its pictures."""

    def __init__(
        self, number: int, format_: SegmentStream, sender: SenderClock, sequence_number: int
    ) -> None:
        self.number = number
        self.mid = format_.mid
        self.kind = format_.kind
        self.clock = StreamClock(sender, number, format_.kind)
        self.held_bytes = 0
        self._codec_name = format_.codec_name
        self._clock_rate = format_.clock_rate
        self._packets: dict[int, _Packet] = {}
        self._highest = sequence_number
        self._newest_timestamp: int | None = None
        self._next: int | None = None  # the index behind the last that was released
        self._pictures = _Pictures(format_.codec_name)
        self._lost_sounds = 0

    def continues(self, sequence_number: int, format_: SegmentStream) -> bool:
        """Whether a packet belongs to this stream, or begins another under its SSRC."""
        return (
            abs(_signed(sequence_number - self._highest, 16)) <= MAX_JUMP
            and format_.codec_name == self._codec_name
            and format_.clock_rate == self._clock_rate
        )

    def count_on(self, rtp_timestamp: int) -> int:
        """An RTP timestamp without wrapping, as near to the newest packet's as it can be."""
        newest = self._newest_timestamp
        return rtp_timestamp if newest is None else newest + _signed(rtp_timestamp - newest, 32)

    def timed(self, arrived_us: int, rtp_timestamp: int) -> Timed:
        return Timed(arrived_us, rtp_timestamp * SECOND_US // self._clock_rate)

    def keep(
        self, arrived_us: int, sequence_number: int, rtp_timestamp: int, marker: bool, payload: bytes
    ) -> None:
        """A packet has arrived. Copies, and what comes after its place was settled, are left out."""
        index = self._highest + _signed(sequence_number - self._highest, 16)
        if index in self._packets or (self._next is not None and index < self._next):
            return
        timestamp = self.count_on(rtp_timestamp)
        if index >= self._highest:
            self._highest, self._newest_timestamp = index, timestamp
        self._packets[index] = _Packet(self.timed(arrived_us, timestamp), timestamp, marker, payload)
        self.held_bytes += len(payload) + PACKET_OVERHEAD_BYTES

    def release(self, until_us: int | None, *, looks_ahead: bool) -> Iterator[_Drawn]:
        """The units of all that lies before the last packet that had arrived by then; of all, if None.
        `looks_ahead`: what has not arrived by now does not come.
        """
        packets = self._packets
        order = sorted(packets)
        ready = len(order)
        while ready and until_us is not None and packets[order[ready - 1]].at.arrived_us > until_us:
            ready -= 1

        place = 0

        def behind() -> Iterator[Timed]:
            return (packets[order[later]].at for later in range(place + 1, len(order)))

        for place, index in enumerate(order[:ready]):  # noqa: B007 - `behind` begins there
            packet = packets.pop(index)
            self.held_bytes -= len(packet.payload) + PACKET_OVERHEAD_BYTES
            missing = 0 if self._next is None else index - self._next
            self._next = index + 1
            presentation_us = self.clock.presentation_us(packet.at, behind)
            if self.kind == "video":
                if missing:
                    self._pictures.handle_gap()
                yield from self._pictures.handle_packet(packet, presentation_us)
                continue
            self._lost_sounds += missing
            if packet.payload:
                yield _Drawn(presentation_us, _sound(self._codec_name, packet.payload))
        if until_us is None or (looks_ahead and not packets and self._pictures.has_ended):
            yield from self._pictures.finish()

    def take_lost(self) -> tuple[int, int]:
        """Pictures and sounds that were lost since the last call."""
        lost = self._pictures.lost, self._lost_sounds
        self._pictures.lost = self._lost_sounds = 0
        return lost


class _Pictures:
    """From packets in order to whole pictures that can be drawn."""

    def __init__(self, codec_name: str) -> None:
        self.lost = 0
        self._codec_name = codec_name
        self._payloads: list[bytes] = []
        self._size_bytes = 0
        self._timestamp: int | None = None
        self._presentation_us = 0
        self._before_us: int | None = None  # that of the picture before
        self._missed = 0  # counted as lost for the gap before this picture
        self._ended = True  # the last packet had the marker
        self._broken = False  # a packet of this picture is missing
        self._behind_gap = True  # nobody knows what lay before the next packet
        self._drawable = False  # all since a keyframe is there
        self._parameter_sets = b""  # that came with no picture

    @property
    def has_ended(self) -> bool:
        """Whether the last picture's last packet has come, as far as its marker tells."""
        return self._ended

    def handle_gap(self) -> None:
        """Packets are missing before the next one."""
        self._behind_gap = True
        if not self._ended:
            self._broken = True

    def handle_packet(self, packet: _Packet, presentation_us: int) -> Iterator[_Drawn]:
        """The next packet. Gives the picture before it, once it is seen to be over."""
        payload = packet.payload
        if not payload:
            return  # padding belongs to no picture
        begins = self._codec_name == VP8 and payload[0] & VP8_START_MASK == VP8_START
        # RFC 6184 §5.1: a receiver must not rely on the marker; a picture is all that has one timestamp.
        if begins or packet.rtp_timestamp != self._timestamp:
            was_broken = self._broken
            yield from self._close()
            self._payloads, self._size_bytes, self._missed = [], 0, 0
            if self._behind_gap:
                begins = begins or is_keyframe_start(self._codec_name, payload)
                if begins and not was_broken and self._timestamp is not None:
                    self.lost += 1  # all of it
                    self._missed = 1
                self._drawable = False
                self._broken = not begins
            if self._timestamp is not None and packet.rtp_timestamp != self._timestamp:
                self._before_us = self._presentation_us
            self._timestamp, self._presentation_us = packet.rtp_timestamp, presentation_us
        elif self._behind_gap:
            self._broken = True
        self._behind_gap = False
        self._ended = packet.marker
        self._size_bytes += len(payload) + PACKET_OVERHEAD_BYTES
        if self._size_bytes > MAX_PICTURE_BYTES:
            self._broken = True  # what is kept of it lets it be counted as lost
        else:
            self._payloads.append(payload)

    def finish(self) -> Iterator[_Drawn]:
        """There are no more packets for long: whether the last picture is over, its marker alone tells."""
        if not self._ended:
            self._broken = True
        yield from self._close()

    def _close(self) -> Iterator[_Drawn]:
        payloads, self._payloads = self._payloads, []
        broken, self._broken = self._broken, False
        if not payloads:
            return
        try:
            if broken:
                raise MalformedPayload("a packet is missing")
            unit = self._unit(payloads)
        except MalformedPayload:
            self._drawable = False
            self.lost += 1
            return
        if unit is None:
            return
        self._drawable = self._drawable or unit.is_keyframe
        if self._drawable:
            yield _Drawn(self._presentation_us, unit, self._before_us, self._missed)
        else:
            self.lost += 1

    def _unit(self, payloads: list[bytes]) -> Unit | None:
        """The picture; None if these are parameter sets alone. Raises MalformedPayload."""
        bitstream = depacketize(self._codec_name, payloads)
        if self._codec_name == H264:
            types = {nal_type for payload in payloads for nal_type in nal_types(payload)}
            if not any(shows_picture(H264, payload) for payload in payloads):
                kept = self._parameter_sets if len(self._parameter_sets) < MAX_PARAMETER_SETS_BYTES else b""
                self._parameter_sets = kept + bitstream
                return None
            is_keyframe = NAL_IDR_SLICE in types and (NAL_SPS in types or bool(self._parameter_sets))
            bitstream = self._parameter_sets + bitstream
            self._parameter_sets = b""
            is_shown = True
        else:
            if not bitstream:
                raise MalformedPayload("an empty VP8 frame")
            is_keyframe = not bitstream[0] & VP8_INTERFRAME
            is_shown = bool(bitstream[0] & VP8_SHOW_FRAME)
        width, height = keyframe_size(self._codec_name, bitstream) if is_keyframe else (0, 0)
        return Unit(
            kind="video",
            codec_name=self._codec_name,
            presentation_us=0,
            is_keyframe=is_keyframe,
            is_shown=is_shown,
            data=bitstream,
            width=width,
            height=height,
        )


def _sound(codec_name: str, payload: bytes) -> Unit:
    return Unit(
        kind="audio",
        codec_name=codec_name,
        presentation_us=0,
        is_keyframe=True,
        is_shown=True,
        data=payload,
        width=0,
        height=0,
    )


def _signed(difference: int, bits: int) -> int:
    """The difference of two numbers that wrap."""
    half = 1 << bits - 1
    return (difference + half & (1 << bits) - 1) - half
