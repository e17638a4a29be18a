"""Frames and journal: what was sealed as a picture, and what was received, tell the same story. Pure.

    frame_sealed ── journal: segments 3 to 4 ─▶ segment_sealed 3 ─▶ blob (rtpdump) ─┐
        │                                       segment_sealed 4 ─▶ blob (rtpdump) ─┤ packets of its SSRC,
        ├── packets: first to last number, SHA-256 ── must be that of ──────────────┤ first to last number
        └── blob (JPEG) ── must be the picture that ── a decoder ── makes of them ◀─┘

Decoding and the format of segments are not this package's own: a `Redecoder` is handed in. What it is given
is hostile, and it takes care of that. Where a picture cannot be checked, the reason is named with its entry.

What this does not show: until the log has sealed it, the journal is the word of the service, too. Who seals a
stream that nobody sent, together with its pictures, is not found here.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias, TypeVar

from server.evidence.canonical import JsonObject, JsonValue
from server.evidence.container import Content
from server.evidence.entry import Envelope
from server.evidence.errors import EvidenceError, MalformedEntry
from server.evidence.package import BlobReference, blob_references, entry_folder
from server.evidence.report import CannotBeMade, Finding

T = TypeVar("T")

SEGMENT_KINDS = frozenset({"segment_sealed", "segment_lost"})
SEGMENT_MEDIA_TYPE = "application/x-rtpdump"
RTP_HEADER_BYTES = 12  # RFC 3550 section 5.1
SEQUENCE_MASK = 0xFFFF
MAX_SPAN_SEGMENTS = 256  # a picture's packets are of 30 s, and a segment lasts a second or is full
MAX_STREAMS = 16  # of a segment are named; where there are more, not every packet belongs to one
MAX_PARSED = 16  # segments kept at hand while frames are checked: pictures are pressed in bursts
CLOCK_TOLERANCE = timedelta(milliseconds=2)  # offsets and entries are rounded to a millisecond each
SHOWN_NUMBERS = 5  # missing packets named in a sentence

# Of 255, at any pixel and colour. VP8 and H.264 decode to the same bits everywhere (RFC 6386, ITU-T H.264);
# what may differ is the way to RGB and the JPEG. Measured: 17 where another library converts to RGB, 19 where
# every value is off by up to 2 before the JPEG is made; 34 at another quality of JPEG.
MAX_PIXEL_DIFFERENCE = 24

Key: TypeAlias = tuple[int, str]  # call number and actor: whose journal


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedSegment:
    """What a segment file says; records are milliseconds since it began, whether RTCP, and the packet."""

    began_at: datetime
    records: Sequence[tuple[int, bool, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redecoded:
    """A picture that was decoded again, beside the sealed one."""

    width: int
    height: int
    difference: int  # the largest of any pixel and colour, of 255; 0: the same bytes


class Redecoder(Protocol):
    """What verification asks of media. Both are given bytes of a stranger."""

    def parse_segment(self, data: bytes) -> ParsedSegment:
        """Raises MalformedEntry."""

    def redecode(self, codec: str, packets: Sequence[bytes], jpeg: bytes) -> Redecoded:
        """Decode RTP packets and compare the picture with a sealed one.

        Raises MalformedEntry where they make no picture or the sealed one is none, CannotBeMade where this
        machine could not do it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesChecked:
    message: str
    findings: list[Finding]
    unmade: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    ssrc: int
    payload_type: int
    codec: str
    packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """A piece of a journal; a lost one has no file."""

    entry: int
    key: Key
    number: int
    blob: BlobReference | None
    lost_reason: str
    began_at: datetime
    ended_at: datetime
    packets: int
    streams: tuple[_Stream, ...]

    def finding(self, message: str) -> Finding:
        member = f"blobs/{self.blob.sha256}" if self.blob else f"{entry_folder(self.entry)}body.json"
        return Finding(message=f"entry {self.entry}: {message}", member=member, entry=self.entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    key: Key
    first_segment: int
    last_segment: int
    blob: BlobReference
    width: int
    height: int
    codec: str
    rtp_timestamp: int
    arrived_at: datetime
    ssrc: int
    first_sequence_number: int
    last_sequence_number: int
    count: int
    sha256: str


@dataclass(slots=True)
class _Story:
    """The segments and frames of a case, and what was found so far."""

    blob: Callable[[str], Content | None]
    redecoder: Redecoder | None
    erased: Mapping[str, int]  # by actor, how many entries of segments were erased
    segments: dict[Key, dict[int, _Segment]] = field(default_factory=dict)
    parsed: dict[str, ParsedSegment] = field(default_factory=dict)  # the newest MAX_PARSED, by SHA-256
    findings: list[Finding] = field(default_factory=list)
    unmade: list[Finding] = field(default_factory=list)
    identical: int = 0
    alike: int = 0


def check_frames(
    entries: Iterable[tuple[Envelope, JsonObject]],
    blob: Callable[[str], Content | None],
    redecoder: Redecoder | None,
    erased: Iterable[Envelope] = (),
) -> FramesChecked:
    """Compare every sealed frame of a case with its journal, and each segment with its entry. `erased`: the
    envelopes of entries whose bodies were erased, of any kind.

    `blob` gives the file with a SHA-256, or None if it is missing or another one than was sealed: that was
    found elsewhere, and its checks cannot be made here.
    """
    gone = Counter(envelope.actor_id for envelope in erased if envelope.kind in SEGMENT_KINDS)
    story = _Story(blob=blob, redecoder=redecoder, erased=gone)
    frames: list[tuple[int, JsonObject]] = []
    for envelope, body in entries:
        if envelope.kind in SEGMENT_KINDS:
            _add_segment(story, envelope, body)
        elif envelope.kind == "frame_sealed":
            frames.append((envelope.number, body))
    _check_numbers(story)
    sealed = [
        segment
        for segments in story.segments.values()
        for segment in segments.values()
        if segment.blob is not None
    ]
    if redecoder is None and sealed:
        story.unmade.append(Finding(message=f"{len(sealed)} segments cannot be read: no decoder is at hand"))
    else:
        for segment in sealed:
            _check_segment(story, segment)
    for number, body in frames:
        try:
            _check_frame(story, number, body)
        except CannotBeMade as reason:
            story.unmade.append(_frame_finding(number, f"the picture cannot be checked: {reason}"))
        except EvidenceError as error:
            story.findings.append(_frame_finding(number, str(error)))
    message = "the case has neither pictures of the stream nor a journal"
    if frames or sealed:
        message = (
            f"{story.identical + story.alike} of {len(frames)} pictures were decoded again from the packets "
            f"in the journal of {len(sealed)} segments: {story.identical} byte for byte the same"
        )
        if story.alike:
            message += f", {story.alike} by another encoder, within {MAX_PIXEL_DIFFERENCE} of 255"
    return FramesChecked(message=message, findings=story.findings, unmade=story.unmade)


def _add_segment(story: _Story, envelope: Envelope, body: JsonObject) -> None:
    try:
        segment = _parse_segment_entry(envelope, body)
    except MalformedEntry as error:
        story.findings.append(
            Finding(
                message=f"entry {envelope.number}: {error}",
                member=f"{entry_folder(envelope.number)}body.json",
                entry=envelope.number,
            )
        )
        return
    segments = story.segments.setdefault(segment.key, {})
    if segment.number in segments:
        other = segments[segment.number].entry
        story.findings.append(
            segment.finding(f"it is segment {segment.number} once more, after entry {other}")
        )
        return
    segments[segment.number] = segment


def _check_numbers(story: _Story) -> None:
    """Segments of a journal count from 1 without a hole, lost ones included. Holes are excused as far as
    entries of that person's segments were erased: of which call these were, nobody can tell any more.
    """
    missing: Counter[str] = Counter()
    holes: list[tuple[str, Finding]] = []
    for (_, actor_id), segments in story.segments.items():
        due = 1
        for number in sorted(segments):
            if number > due:
                which = f"segment {due} is" if number == due + 1 else f"segments {due} to {number - 1} are"
                message = f"{which} missing before segment {number}"
                holes.append((actor_id, segments[number].finding(message)))
                missing[actor_id] += number - due
            due = number + 1
    for actor_id, finding in holes:
        if missing[actor_id] <= story.erased.get(actor_id, 0):
            story.unmade.append(
                Finding(message=finding.message, member=finding.member)
            )  # no picture: no entry
        else:
            story.findings.append(finding)


def _check_segment(story: _Story, segment: _Segment) -> None:
    """The file of a segment holds what its entry says."""
    try:
        parsed = _parsed(story, segment)
    except CannotBeMade as reason:
        story.unmade.append(
            Finding(
                message=f"entry {segment.entry}: segment {segment.number} cannot be checked: {reason}",
                member=segment.finding("").member,
            )
        )
        return
    except EvidenceError as error:
        story.findings.append(segment.finding(f"segment {segment.number} is no dump of packets: {error}"))
        return
    # A packet without a whole header would have been received by nobody.
    rtp = [data for _, is_rtcp, data in parsed.records if not is_rtcp]
    last_ms = max((offset_ms for offset_ms, _, _ in parsed.records), default=0)
    counts = Counter(
        (_ssrc(packet), packet[1] & 0x7F) for packet in rtp if len(packet) >= RTP_HEADER_BYTES
    )  # RFC 3550 section 5.1: the payload type is 7 bits of the second octet
    named = {(stream.ssrc, stream.payload_type): stream.packets for stream in segment.streams}
    problem = None
    if len(rtp) != segment.packets:
        problem = f"holds {len(rtp)} packets, its entry says {segment.packets}"
    elif any(counts[stream] != packets for stream, packets in named.items()) or (
        len(named) < MAX_STREAMS and sum(named.values()) != segment.packets
    ):
        problem = "holds other streams than its entry says"
    elif abs(parsed.began_at - segment.began_at) > CLOCK_TOLERANCE:
        problem = "begins at another time than its entry says"
    elif abs(parsed.began_at + timedelta(milliseconds=last_ms) - segment.ended_at) > CLOCK_TOLERANCE:
        problem = "ends at another time than its entry says"
    if problem is not None:
        story.findings.append(segment.finding(f"segment {segment.number} {problem}"))


def _check_frame(story: _Story, number: int, body: JsonObject) -> None:
    """Raises CannotBeMade, or MalformedEntry for a picture that the journal contradicts."""
    if body.get("journal") is None:
        raise CannotBeMade("its entry names no segments of a journal")
    frame = _parse_frame_entry(body)
    if story.redecoder is None:
        raise CannotBeMade("no decoder is at hand")
    if frame.last_segment - frame.first_segment >= MAX_SPAN_SEGMENTS:
        raise MalformedEntry("it names more segments than a picture can come from")
    held, reasons = _held_segments(story, frame)
    packets = _find_packets(story, frame, held, reasons)
    if not held[0].began_at - CLOCK_TOLERANCE <= frame.arrived_at <= held[-1].ended_at + CLOCK_TOLERANCE:
        raise MalformedEntry("it says another time of arrival than its segments")
    codecs = {stream.codec for segment in held for stream in segment.streams if stream.ssrc == frame.ssrc}
    if codecs and frame.codec not in codecs:
        raise MalformedEntry(f"it says {frame.codec}, and its packets in the journal are {', '.join(codecs)}")
    if int.from_bytes(packets[-1][4:8]) != frame.rtp_timestamp:
        raise MalformedEntry("its packets in the journal end with another RTP timestamp")
    jpeg = story.blob(frame.blob.sha256)
    if jpeg is None:
        raise CannotBeMade("the picture itself is missing or damaged (step 7)")
    again = story.redecoder.redecode(frame.codec, packets, bytes(jpeg))
    if (again.width, again.height) != (frame.width, frame.height):
        raise MalformedEntry(
            f"its packets make a picture of {again.width} x {again.height}, its entry says {frame.width} x "
            f"{frame.height}"
        )
    if again.difference > MAX_PIXEL_DIFFERENCE:
        raise MalformedEntry(
            f"the sealed picture is not the one that its packets make: pixels differ by up to "
            f"{again.difference} of 255"
        )
    story.identical += again.difference == 0
    story.alike += again.difference > 0


def _held_segments(story: _Story, frame: _Frame) -> tuple[list[_Segment], list[str]]:
    """The segments that a frame names and that are there, and why the others are not."""
    segments = story.segments.get(frame.key, {})
    newest = max(segments, default=0)
    held, reasons = [], []
    for number in range(frame.first_segment, frame.last_segment + 1):
        segment = segments.get(number)
        if segment is None:
            later = "" if number < newest else ", nor any after it"
            reasons.append(
                f"segment {number} is not here, and segments of that journal were erased"
                if story.erased.get(frame.key[1])
                else f"segment {number} was not sealed{later}"
            )
        elif segment.blob is None:
            reasons.append(f"segment {number} was lost ({segment.lost_reason}, entry {segment.entry})")
        else:
            held.append(segment)
    return held, reasons


def _find_packets(story: _Story, frame: _Frame, held: Sequence[_Segment], reasons: list[str]) -> list[bytes]:
    """The packets that a frame was decoded from, found in its segments and recognised by their hash."""
    span = (frame.last_sequence_number - frame.first_sequence_number & SEQUENCE_MASK) + 1
    if span != frame.count:
        raise MalformedEntry(f"it counts {frame.count} packets where its numbers have {span}")
    ssrc = frame.ssrc.to_bytes(4)
    first: dict[int, bytes] = {}  # by sequence number, the earliest and the latest with it:
    last: dict[int, bytes] = {}  # a sender that counts anew may use a number twice
    for segment in held:
        try:
            parsed = _parsed(story, segment)
        except CannotBeMade as reason:
            reasons.append(f"segment {segment.number}: {reason}")
            continue
        except EvidenceError:
            reasons.append(f"segment {segment.number} is no dump of packets")
            continue
        for _, is_rtcp, data in parsed.records:
            if not is_rtcp and len(data) >= RTP_HEADER_BYTES and data[8:12] == ssrc:
                number = data[2] << 8 | data[3]
                first.setdefault(number, data)
                last[number] = data
    numbers = [frame.first_sequence_number + index & SEQUENCE_MASK for index in range(frame.count)]
    missing = [number for number in numbers if number not in first]
    if not missing:
        for choice in (first, last):
            packets = [choice[number] for number in numbers]
            if _hash_packets(packets) == frame.sha256:
                return packets
    if reasons:
        raise CannotBeMade("; ".join(reasons))
    if missing:
        shown = ", ".join(map(str, missing[:SHOWN_NUMBERS])) + (" …" if len(missing) > SHOWN_NUMBERS else "")
        raise MalformedEntry(f"the segments that it names do not hold its packets {shown}")
    raise MalformedEntry("the packets in the journal are not those that it was decoded from")


def _parsed(story: _Story, segment: _Segment) -> ParsedSegment:
    if story.redecoder is None:
        raise CannotBeMade("no decoder is at hand")
    assert segment.blob is not None
    sha256 = segment.blob.sha256
    if sha256 not in story.parsed:
        content = story.blob(sha256)
        if content is None:
            raise CannotBeMade("its file is missing or damaged (step 7)")
        parsed = story.redecoder.parse_segment(bytes(content))
        while len(story.parsed) >= MAX_PARSED:
            del story.parsed[next(iter(story.parsed))]
        story.parsed[sha256] = parsed
    return story.parsed[sha256]


def _hash_packets(packets: Sequence[bytes]) -> str:
    """`packets.sha256` of a frame: over each packet behind its length in 4 bytes, big-endian."""
    digest = hashlib.sha256()
    for packet in packets:
        digest.update(len(packet).to_bytes(4))
        digest.update(packet)
    return digest.hexdigest()


def _ssrc(packet: bytes) -> int:
    return int.from_bytes(packet[8:12])


def _frame_finding(number: int, message: str) -> Finding:
    return Finding(
        message=f"entry {number}: {message}", member=f"{entry_folder(number)}body.json", entry=number
    )


def _parse_segment_entry(envelope: Envelope, body: JsonObject) -> _Segment:
    """Raises MalformedEntry."""
    lost = envelope.kind == "segment_lost"
    streams: list[_Stream] = []
    blob = None
    if not lost:
        for item in _field(body, "streams", list):
            stream = _mapping(item)
            streams.append(
                _Stream(
                    ssrc=_field(stream, "ssrc", int),
                    payload_type=_field(stream, "payload_type", int),
                    codec=_field(stream, "codec", str),
                    packets=_field(stream, "packets", int),
                )
            )
        blob = _blob(body)
        if blob.media_type != SEGMENT_MEDIA_TYPE:
            raise MalformedEntry(f"a segment of the journal is not of type {blob.media_type}")
    number = _field(body, "segment", int)
    if number < 1:
        raise MalformedEntry("segments of a journal count from 1")
    return _Segment(
        entry=envelope.number,
        key=(_field(body, "call_number", int), envelope.actor_id),
        number=number,
        blob=blob,
        lost_reason=_field(body, "reason", str) if lost else "",
        began_at=_time(body, "began_at"),
        ended_at=_time(body, "ended_at"),
        packets=_field(body, "packets", int),
        streams=tuple(streams),
    )


def _parse_frame_entry(body: JsonObject) -> _Frame:
    """Raises MalformedEntry."""
    journal, packets = _mapping(body.get("journal")), _mapping(body.get("packets"))
    first, last = _field(journal, "first_segment", int), _field(journal, "last_segment", int)
    if not 1 <= first <= last:
        raise MalformedEntry("the segments that it names are none")
    return _Frame(
        key=(_field(journal, "call_number", int), _field(body, "of", str)),
        first_segment=first,
        last_segment=last,
        blob=_blob(body),
        width=_field(body, "width", int),
        height=_field(body, "height", int),
        codec=_field(body, "codec", str),
        rtp_timestamp=_field(body, "rtp_timestamp", int),
        arrived_at=_time(body, "arrived_at"),
        ssrc=_bounded(packets, "ssrc", 2**32),
        first_sequence_number=_bounded(packets, "first_sequence_number", 2**16),
        last_sequence_number=_bounded(packets, "last_sequence_number", 2**16),
        count=_bounded(packets, "count", 2**16 + 1),
        sha256=_field(packets, "sha256", str),
    )


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    if not isinstance(value, Mapping):
        raise MalformedEntry("its body is not one of its kind")
    return value


def _field(body: Mapping[str, JsonValue], name: str, kind: type[T]) -> T:
    value = body.get(name)
    if type(value) is not kind:
        raise MalformedEntry(f"its body has no {name} as one of its kind")
    return value


def _bounded(body: Mapping[str, JsonValue], name: str, end: int) -> int:
    value = _field(body, name, int)
    if not 0 <= value < end:
        raise MalformedEntry(f"its {name} is out of range")
    return value


def _time(body: Mapping[str, JsonValue], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(_field(body, name, str))
    except ValueError:
        raise MalformedEntry(f"its {name} is no moment") from None
    if at.tzinfo is None:
        raise MalformedEntry(f"its {name} is in no time zone")
    return at


def _blob(body: Mapping[str, JsonValue]) -> BlobReference:
    reference = next(blob_references(body.get("blob")), None)
    if reference is None:
        raise MalformedEntry("its body names no blob")
    return reference
