"""What is recorded of the calls of a case, told from its entries: who, when, in which parts. Pure.

A person's segments of a call make one recording, cut into parts where the codec of their pictures changes or
after MAX_PART; each part becomes one file. Lost segments stand in the part in which they are missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from media.playback_protocol import MP4, MP4_SOUND, WEBM
from signaling.case import CaseEntry
from signaling.entries import CallEnded, CallStarted, SegmentLost, SegmentSealed
from signaling.values import ActorId, Role

MAX_PART = timedelta(minutes=15)  # what a browser seeks in well, and what is made in some seconds


@dataclass(slots=True, kw_only=True)
class Part:
    """Segments of one file, in order. `codec` is that of the pictures, None while there were none."""

    call_number: int
    actor_id: ActorId
    role: Role
    part: int
    began_at: datetime
    ended_at: datetime
    codec: str | None = None
    has_sound: bool = False
    sealed: list[tuple[int, SegmentSealed]] = field(default_factory=list)
    lost: list[SegmentLost] = field(default_factory=list)

    @property
    def first_segment(self) -> int:
        return self._numbers()[0]

    @property
    def last_segment(self) -> int:
        return self._numbers()[-1]

    @property
    def media_type(self) -> str:
        """What the file will be, as far as the entries tell."""
        if self.codec is None:
            return MP4_SOUND
        return WEBM if self.codec.upper() == "VP8" else MP4

    def _numbers(self) -> list[int]:
        return sorted([*(body.segment for _, body in self.sealed), *(body.segment for body in self.lost)])


@dataclass(slots=True, kw_only=True)
class RecordedCall:
    """A call and its parts, by person in the order of first segments. `ended_at` is None while it lasts."""

    call_number: int
    began_at: datetime
    ended_at: datetime | None = None
    aborted: bool = False
    parts: list[Part] = field(default_factory=list)

    def part(self, actor_id: str, part: int) -> Part | None:
        """One part, if there is such a one."""
        return next((one for one in self.parts if one.actor_id == actor_id and one.part == part), None)

    def is_last(self, part: Part) -> bool:
        """Whether no later part of the same person has begun."""
        return self.part(part.actor_id, part.part + 1) is None


# The kinds that tell of recordings: others need not be read.
KINDS = frozenset({CallStarted.kind, CallEnded.kind, SegmentSealed.kind, SegmentLost.kind})


def recorded_calls(entries: Iterable[CaseEntry]) -> list[RecordedCall]:
    """All calls of a case whose entries these are, in order; those of other kinds are passed over."""
    calls: dict[int, RecordedCall] = {}
    for entry in entries:
        body = entry.body
        match body:
            case CallStarted():
                calls[body.call_number] = RecordedCall(
                    call_number=body.call_number, began_at=entry.recorded_at
                )
            case CallEnded():
                calls[body.call_number].ended_at = entry.recorded_at
                calls[body.call_number].aborted = body.reason == "aborted"
            case SegmentSealed() | SegmentLost():
                _add(calls[body.call_number], entry, body)
            case _:
                continue
    for call in calls.values():
        people = list(dict.fromkeys(part.actor_id for part in call.parts))
        call.parts.sort(key=lambda part: people.index(part.actor_id))
    return list(calls.values())


def _add(call: RecordedCall, entry: CaseEntry, body: SegmentSealed | SegmentLost) -> None:
    part = next((part for part in reversed(call.parts) if part.actor_id == entry.actor_id), None)
    codec = _picture_codec(body)
    if (
        part is None
        or (codec is not None and part.codec is not None and codec != part.codec)
        or body.ended_at - part.began_at > MAX_PART
    ):
        part = Part(
            call_number=call.call_number,
            actor_id=entry.actor_id,
            role=entry.role,
            part=1 if part is None else part.part + 1,
            began_at=body.began_at,
            ended_at=body.ended_at,
        )
        call.parts.append(part)
    part.ended_at = body.ended_at
    if isinstance(body, SegmentLost):
        part.lost.append(body)
        return
    part.sealed.append((entry.number, body))
    part.codec = part.codec or codec
    part.has_sound = part.has_sound or any(stream.media == "audio" for stream in body.streams)


def _picture_codec(body: SegmentSealed | SegmentLost) -> str | None:
    """The codec of most of the pictures' packets."""
    if isinstance(body, SegmentLost):
        return None
    streams = [stream for stream in body.streams if stream.media == "video"]
    return max(streams, key=lambda stream: stream.packets).codec if streams else None
