"""What may be asked of a case.

Two unions that never mix: `PersonCommand` is what a person may send, and all that a message can be parsed
into; a `Fact` is what the server itself brings, because it happened (a call was lost, a picture decoded) or
because the integrator asked for it over HTTP. `case.decide` takes both and holds the table of who may.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from signaling import delivery, exceptions, talk
from signaling.entries import (
    Credential,
    DeclaredValue,
    FrameFailed,
    FrameSealed,
    GapCause,
    SegmentLost,
    SegmentSealed,
)
from signaling.values import ActorId, Language, PersonRole, Place, Strict, WireLinkId, WireStatement


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent(Strict):
    """Agree to be shown and recorded; `statement` is the text that was read."""

    statement: WireStatement
    language: Language
    kind: Literal["consent"] = "consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Strict):
    kind: Literal["join"] = "join"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Strict):
    kind: Literal["leave"] = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineCall(Strict):
    """Do not come to the call that rings."""

    kind: Literal["decline_call"] = "decline_call"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeFrame(Strict):
    """Press the shutter on the stream of `of`."""

    of: WireLinkId
    kind: Literal["take_frame"] = "take_frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCase(Strict):
    """By QA, or by the integrator over HTTP: everybody leaves the call, nothing more is said."""

    kind: Literal["end_case"] = "end_case"


PersonCommand = (
    Consent
    | Join
    | DeclineCall
    | Leave
    | TakeFrame
    | EndCase
    | talk.SendText
    | talk.SendPhrase
    | talk.Attach
    | talk.SharePlace
    | talk.Mark
    | delivery.Command
    | exceptions.Command
)
WirePersonCommand = Annotated[PersonCommand, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    kind: ClassVar[str] = "open_case"

    waybill: str
    declared_value: DeclaredValue | None
    language: Language
    metadata: Mapping[str, str]
    time_zone: str
    address: str | None = None
    place: Place | None = None  # of the address


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLink:
    kind: ClassVar[str] = "issue_link"

    link_id: ActorId
    role: PersonRole
    name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeLink:
    """Who is in the call with it leaves."""

    kind: ClassVar[str] = "revoke_link"

    link_id: ActorId


@dataclass(frozen=True, slots=True, kw_only=True)
class Depart:
    """The actor is out of the call without having asked: given with the actor who is gone."""

    kind: ClassVar[str] = "depart"

    reason: Literal["lost", "left", "interrupted"]
    aborted: bool = False  # the process that held the call died: given by the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class StartGap:
    """Since `age_ms` ago something of the actor does not arrive: given with the actor whose gap it is."""

    kind: ClassVar[str] = "start_gap"

    cause: GapCause
    age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndGap:
    """It has come back, after `duration_ms`."""

    kind: ClassVar[str] = "end_gap"

    cause: GapCause
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCaptured:
    """The picture of an earlier TakeFrame: given with the actor who pressed."""

    kind: ClassVar[str] = "frame_captured"

    frame: FrameSealed


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFailed:
    """No picture for an earlier TakeFrame: given with the actor who pressed."""

    kind: ClassVar[str] = "capture_failed"

    failure: FrameFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSegment:
    """A piece of the journal is on disk: given with the actor whose packets it holds."""

    kind: ClassVar[str] = "seal_segment"

    segment: SegmentSealed


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseSegment:
    """A piece of the journal could not be kept: given with the actor whose packets it held."""

    kind: ClassVar[str] = "lose_segment"

    segment: SegmentLost


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """The actor is about to be given the picture or sound of entry `number`, perhaps the original of it."""

    kind: ClassVar[str] = "record_view"

    number: int
    original: bool = False
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExport:
    """The actor is about to be given the package of the case."""

    kind: ClassVar[str] = "record_export"

    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRead:
    """The actor is about to be given the entries after `after`, up to `up_to`; `live`: and what follows."""

    kind: ClassVar[str] = "record_read"

    after: int
    up_to: int
    live: bool
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class EndReading:
    """The actor, who had come with entry `after`, reads live no more; `up_to` is the last they were given."""

    kind: ClassVar[str] = "end_reading"

    after: int
    up_to: int
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlayback:
    """The actor is about to be given the recording of `of` in a call, made of these segments."""

    kind: ClassVar[str] = "record_playback"

    call_number: int
    of: ActorId
    part: int
    first_segment: int
    last_segment: int
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Bodies, salts and blobs of the case are to be destroyed: all, or those of entries of `kinds`, or of the
    entries `numbers`. `authenticated_by` None: the service itself, because their time has come.
    """

    kind: ClassVar[str] = "erase"

    reason: str
    kinds: tuple[str, ...] | None = None
    numbers: tuple[int, ...] | None = None
    authenticated_by: Credential | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHold:
    """Nothing of the case may be erased."""

    kind: ClassVar[str] = "set_hold"

    reason: str
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftHold:
    """The hold that entry `number` set is over."""

    kind: ClassVar[str] = "lift_hold"

    number: int
    reason: str
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefusal:
    """The actor, whose credential is ours, tried what is not allowed to them; both words are codes."""

    kind: ClassVar[str] = "record_refusal"

    what: str
    reason: str
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapse:
    """Time has passed: what waited for an answer until now has none. Given by the service itself."""

    kind: ClassVar[str] = "elapse"


Fact = (
    OpenCase
    | IssueLink
    | RevokeLink
    | Depart
    | StartGap
    | EndGap
    | FrameCaptured
    | CaptureFailed
    | SealSegment
    | LoseSegment
    | RecordView
    | RecordExport
    | RecordRead
    | EndReading
    | RecordPlayback
    | RecordRefusal
    | Erase
    | SetHold
    | LiftHold
    | Elapse
    | talk.StoreAttachment
    | talk.RefuseAttachment
)
Command = PersonCommand | Fact
