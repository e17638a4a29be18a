"""The entries of a case: the envelope that all share, the bodies of case and calls, the table of kinds.

The bodies of a subject stand beside its rules: `talk.py`, `exceptions.py`, `delivery.py`.

The envelope says who, when and which number, and holds no personal data; the kind stands in it, so that the
body is sealed without it. Bodies are JSON objects below 64 KiB without floats; what is large is a blob and
stands in the body by its hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from signaling import delivery, exceptions, talk
from signaling.errors import MalformedEntry
from signaling.values import (
    Blob,
    Code,
    Count,
    Flag,
    Language,
    Name,
    Number,
    Permille,
    PersonRole,
    Role,
    Strict,
    TimeZone,
    Whole,
    WireActorId,
    WireCaseId,
    WireLinkId,
    WireReason,
    WireSessionId,
    WireSha256,
    WireStatement,
    WireTime,
)

MAX_STREAMS = 32  # of a segment; with the longest parameters they stay below the 64 KiB of a body
MAX_PARAMETERS_CHARACTERS = 512  # of an fmtp line; those of H.264 have about 100
MAX_ERASED_NUMBERS = 2_000  # of 16 digits each they stay below the 64 KiB of a body
MAX_METADATA_KEYS = 16  # 16 × (64 + 256) escaped characters stay below the 64 KiB of a body

WireMetadata = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=256)]],
    Field(max_length=MAX_METADATA_KEYS),
]

# What of a person did not arrive any more, and why: the causes that the service can tell apart.
GapCause = Literal["network", "microphone_off", "camera_off", "page_hidden"]
GapOf = Literal["audio", "video", "both"]

# How somebody proved who they are: the token of a link, the integrator's key, the token of a desk.
Credential = Literal["link", "api_key", "desk"]

# Whether somebody asked for it, or its time had come.
ErasedBy = Literal["request", "retention"]

LeftReason = Literal["left", "lost", "replaced", "interrupted", "revoked", "case_ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope(Strict):
    """The public part of an entry; its canonical JSON is the leaf of the log."""

    version: Literal[1]
    kind: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")]
    case_id: WireCaseId
    number: Number
    previous_hash: WireSha256
    role: Role
    actor_id: WireActorId
    session_id: WireSessionId
    recorded_at: WireTime
    commitment: WireSha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredValue(Strict):
    """`amount_minor` counts the currency's smallest unit (fen, cent); `currency` is ISO 4217."""

    amount_minor: Count
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic(Strict):
    """Seen from the person: `sent` is what the server received from them, `lost` what it missed of it."""

    sent_packets: Count
    sent_bytes: Count
    received_packets: Count
    received_bytes: Count
    lost_packets: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParticipant(Strict):
    """One person's share of a whole call, all their comings and goings together; None: not known."""

    actor_id: WireLinkId
    role: PersonRole
    traffic: Traffic | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSpan(Strict):
    """Segments of a sender's journal, by their numbers in the call; both ends are meant."""

    call_number: Number
    first_segment: Number
    last_segment: Number

    def __post_init__(self) -> None:
        _check_span(self.first_segment, self.last_segment)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStream(Strict):
    """What the packets of one SSRC are: the facts of the SDP that a decoder needs. `mid` is of their section,
    `parameters` the text of `a=fmtp`, `channels` None for pictures.
    """

    ssrc: Annotated[Whole, Field(ge=0, lt=2**32)]
    mid: Annotated[str, Field(pattern="^[!-~]{0,64}$")]
    media: Literal["audio", "video"]
    codec: Annotated[str, Field(pattern="^[A-Za-z0-9-]{1,16}$")]
    payload_type: Annotated[Whole, Field(ge=0, lt=2**7)]
    clock_rate: Annotated[Whole, Field(ge=1, lt=2**32)]
    channels: Annotated[Whole, Field(ge=1, lt=2**8)] | None
    parameters: Annotated[str, Field(max_length=MAX_PARAMETERS_CHARACTERS, pattern="^[ -~]*$")]
    packets: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketSpan(Strict):
    """The RTP packets a picture was decoded from, first to last, hashed in that order."""

    ssrc: Annotated[Whole, Field(ge=0, lt=2**32)]
    first_sequence_number: Annotated[Whole, Field(ge=0, lt=2**16)]
    last_sequence_number: Annotated[Whole, Field(ge=0, lt=2**16)]
    count: Number
    sha256: WireSha256


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened(Strict):
    kind: ClassVar[str] = "case_opened"

    waybill: Name
    declared_value: DeclaredValue | None
    language: Language
    metadata: WireMetadata
    time_zone: TimeZone = "Asia/Shanghai"  # older entries have none


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIssued(Strict):
    kind: ClassVar[str] = "link_issued"

    link_id: WireLinkId
    role: PersonRole
    name: Name
    expires_at: WireTime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRevoked(Strict):
    kind: ClassVar[str] = "link_revoked"

    link_id: WireLinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class Consented(Strict):
    """`statement` is the very text that the person read, in `language`."""

    kind: ClassVar[str] = "consented"

    statement: WireStatement
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Strict):
    """Calls of a case are numbered from 1."""

    kind: ClassVar[str] = "call_started"

    call_number: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRung(Strict):
    """The call rings at the pages of these people; `absent`: those of them who had none open."""

    kind: ClassVar[str] = "call_rung"

    call_number: Number
    of: tuple[WireLinkId, ...]
    absent: tuple[WireLinkId, ...]
    until: WireTime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDeclined(Strict):
    """The actor does not come to the call that rings."""

    kind: ClassVar[str] = "call_declined"

    call_number: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMissed(Strict):
    """It rang, and these people neither came nor declined."""

    kind: ClassVar[str] = "call_missed"

    call_number: Number
    of: tuple[WireLinkId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Strict):
    kind: ClassVar[str] = "joined"

    call_number: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class GapStarted(Strict):
    """From `began_at` on, `of` of the envelope's actor did not arrive, though it had before."""

    kind: ClassVar[str] = "gap_started"

    call_number: Number
    of: GapOf
    cause: GapCause
    began_at: WireTime


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEnded(Strict):
    """The gap of entry `number` is over: all is back, or the actor left. None: nobody knows when."""

    kind: ClassVar[str] = "gap_ended"

    call_number: Number
    number: Number
    of: GapOf
    cause: GapCause
    duration_ms: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WayQuality(Strict):
    """One way between a person and the service. `loss_permille` is before repair, `lost_packets` after."""

    packets: Count
    bytes: Count
    lost_packets: Count
    repaired_packets: Count
    loss_permille: Permille


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip(Strict):
    """Over one reading a second."""

    median_ms: Count
    max_ms: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class GapSum(Strict):
    """All gaps of a stay, those that have no entries too; gaps at the same time count each."""

    count: Count
    total_ms: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Strict):
    """What a network was believed to carry, headers and all, over one reading a second, to two digits. Nobody
    tries how much more than it needs it would carry.
    """

    median_bps: Count
    min_bps: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates(Strict):
    """Of each way; None where nobody measured it. `sent_claim` is the word of their page, unchecked."""

    sent: Estimate | None
    received: Estimate | None
    sent_claim: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSum(Strict):
    """What a person got of the pictures of others, the time of each watched person added: all of it, stills,
    or nothing. `reduced_ms` of the first: less than the best, because of their network. `switches`: how often
    another encoding came, or another number of its temporal layers.
    """

    live_ms: Count
    stills_ms: Count
    paused_ms: Count
    reduced_ms: Count
    switches: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackClaim(Strict):
    """What the person's page said of what it played: nobody else can know, and nobody has checked it."""

    frames: Count
    freezes: Count
    frozen_ms: Count
    audio_samples: Count
    concealed_samples: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuality(Strict):
    """One stay of the envelope's actor in a call, at its end: measured by the service, save the claims.
    `estimates`: None if there were none, `watched` for who watched nobody; both in older entries.
    """

    kind: ClassVar[str] = "call_quality"

    call_number: Number
    duration_ms: Count
    sent: WayQuality
    received: WayQuality
    round_trip: RoundTrip | None
    gaps: GapSum
    playback_claim: PlaybackClaim | None
    estimates: Estimates | None = None
    watched: PictureSum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left(Strict):
    """The envelope's actor left, whoever caused it. `traffic` since they joined; None: not known."""

    kind: ClassVar[str] = "left"

    call_number: Number
    reason: LeftReason
    traffic: Traffic | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Strict):
    """`aborted`: the process that held the call died, and this was written by the next one."""

    kind: ClassVar[str] = "call_ended"

    call_number: Number
    duration_ms: Count
    participants: tuple[CallParticipant, ...]
    reason: Literal["ended", "aborted"] = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSealed(Strict):
    """A picture that the server itself took out of the stream it received from `of`. `journal`: the segments
    of `of` that hold its packets, or will; None in older entries, and where nothing is kept.
    """

    kind: ClassVar[str] = "frame_sealed"

    of: WireLinkId
    blob: Blob
    width: Number
    height: Number
    codec: Annotated[str, Field(pattern="^[A-Za-z0-9-]{1,16}$")]
    rtp_timestamp: Annotated[Whole, Field(ge=0, lt=2**32)]
    arrived_at: WireTime
    capture_path: Literal["server_frame"]
    packets: PacketSpan
    pressed_at: WireTime
    journal: JournalSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFailed(Strict):
    """Someone pressed the shutter and there is no picture; `message` says why in a sentence."""

    kind: ClassVar[str] = "frame_failed"

    of: WireLinkId
    reason: Code
    message: Annotated[str, Field(max_length=500)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSealed(Strict):
    """A piece of what the service received of the envelope's actor in a call, whole and in the order of its
    arrival. Segments of an actor in a call are numbered from 1, without holes over sealed and lost ones.
    """

    kind: ClassVar[str] = "segment_sealed"

    call_number: Number
    segment: Number
    blob: Blob
    began_at: WireTime
    ended_at: WireTime
    packets: Count
    reason: Literal["full", "interrupted", "ended"]
    streams: Annotated[tuple[SegmentStream, ...], Field(max_length=MAX_STREAMS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLost(Strict):
    """A piece that was received, but is not kept: the disk was too slow, or refused."""

    kind: ClassVar[str] = "segment_lost"

    call_number: Number
    segment: Number
    began_at: WireTime
    ended_at: WireTime
    packets: Count
    reason: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed(Strict):
    """The envelope's actor was given the picture or sound of entry `number`; `original`: as it came, with the
    place and the device that others do not see. Older entries do not say how the actor was authenticated.
    """

    kind: ClassVar[str] = "viewed"

    number: Number
    original: Flag = False
    authenticated_by: Credential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Strict):
    """The package holds `entries_before` entries and this one: a tail cut off it would show."""

    kind: ClassVar[str] = "exported"

    entries_before: Count
    authenticated_by: Credential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Strict):
    """The envelope's actor was given the bodies, as far as they may see them, of the entries after `after`,
    up to `up_to`. `live`: and of all that follow, until a `read` of theirs whose `after` is this `up_to`.
    """

    kind: ClassVar[str] = "read"

    after: Count
    up_to: Count
    live: Flag
    authenticated_by: Credential

    def __post_init__(self) -> None:
        _check_span(self.after, self.up_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedBack(Strict):
    """The envelope's actor was given sound and picture of `of`: part `part` of the recordings of a call."""

    kind: ClassVar[str] = "played_back"

    call_number: Number
    of: WireLinkId
    part: Number
    first_segment: Number
    last_segment: Number
    authenticated_by: Credential

    def __post_init__(self) -> None:
        _check_span(self.first_segment, self.last_segment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Strict):
    """The envelope's actor, whose credential is ours, was not let to do `what` in this case. They may be a
    person of another case.
    """

    kind: ClassVar[str] = "refused"

    what: Code
    reason: Code
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEnded(Strict):
    kind: ClassVar[str] = "case_ended"

    reason: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased(Strict):
    """Bodies and salts of entries before this one are gone, and the pictures and sound that they name: of all
    before it, or of `numbers`; if `kinds` is not None, of these kinds alone. Their envelopes and proofs stay.
    `reason` stays as well: it should name nobody.
    """

    kind: ClassVar[str] = "erased"

    reason: WireReason
    numbers: (
        Annotated[tuple[Number, ...], Field(min_length=1, max_length=MAX_ERASED_NUMBERS)] | Literal["all"]
    )
    kinds: Annotated[tuple[Code, ...], Field(min_length=1, max_length=64)] | None
    by: ErasedBy
    authenticated_by: Credential | None

    def covers(self, number: int, kind: str) -> bool:
        """Whether the entry of that number and kind, which stands before this one, was erased with it."""
        return (self.numbers == "all" or number in self.numbers) and (
            self.kinds is None or kind in self.kinds
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSet(Strict):
    """A legal hold: nothing of the case is erased before it is lifted."""

    kind: ClassVar[str] = "hold_set"

    reason: WireReason
    authenticated_by: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(Strict):
    """The hold of entry `number` is over."""

    kind: ClassVar[str] = "hold_lifted"

    number: Number
    reason: WireReason
    authenticated_by: Credential


OwnBody = (
    CaseOpened
    | LinkIssued
    | LinkRevoked
    | Consented
    | CallStarted
    | CallRung
    | CallDeclined
    | CallMissed
    | Joined
    | GapStarted
    | GapEnded
    | CallQuality
    | Left
    | CallEnded
    | FrameSealed
    | FrameFailed
    | SegmentSealed
    | SegmentLost
    | Viewed
    | Exported
    | Read
    | PlayedBack
    | Refused
    | CaseEnded
    | Erased
    | HoldSet
    | HoldLifted
)
Body = OwnBody | talk.Body | delivery.Body | exceptions.Body

# In the order of PROTOCOL.md.
KIND: Mapping[str, type[Body]] = {
    body.kind: body
    for body in (
        *get_args(OwnBody),
        *get_args(talk.Body),
        *get_args(delivery.Body),
        *get_args(exceptions.Body),
    )
}

OF_CAUSE: Mapping[GapCause, GapOf] = {
    "network": "both",
    "microphone_off": "audio",
    "camera_off": "video",
    "page_hidden": "video",
}

_ENVELOPE: TypeAdapter[Envelope] = TypeAdapter(Envelope)
_ADAPTER: Mapping[str, TypeAdapter[Any]] = {kind: TypeAdapter(body) for kind, body in KIND.items()}

OFFICE: frozenset[Role] = frozenset({"qa", "dispatch", "integrator", "system"})
PARTIES: frozenset[Role] = OFFICE | {"customer", "courier"}
EVERYONE: frozenset[Role] = PARTIES | {"guest"}

# Who gets the body; everybody in the case gets every envelope, for the chain to be checkable.
MAY_SEE: Mapping[str, frozenset[Role]] = {
    "case_opened": OFFICE,  # the declared value and the shop's metadata
    "link_issued": OFFICE,
    "link_revoked": OFFICE,
    "consented": EVERYONE,
    "call_started": EVERYONE,
    "call_rung": EVERYONE,
    "call_declined": EVERYONE,
    "call_missed": EVERYONE,
    "joined": EVERYONE,
    "gap_started": EVERYONE,
    "gap_ended": EVERYONE,
    "call_quality": EVERYONE,
    "left": EVERYONE,
    "call_ended": EVERYONE,
    "frame_sealed": EVERYONE,
    "frame_failed": EVERYONE,
    "segment_sealed": OFFICE,
    "segment_lost": OFFICE,
    "viewed": OFFICE,
    "exported": OFFICE,
    "read": OFFICE,
    "played_back": OFFICE,
    "refused": OFFICE,
    "case_ended": EVERYONE,
    "erased": EVERYONE,
    "hold_set": OFFICE,
    "hold_lifted": OFFICE,
    "text": EVERYONE,
    "phrase": EVERYONE,
    "attached": EVERYONE,
    "attachment_stored": EVERYONE,
    "attachment_refused": EVERYONE,
    "placed": PARTIES,
    "receipt": EVERYONE,
    "notice_sent": EVERYONE,
    "notice_repeated": PARTIES,
    "notice_unanswered": PARTIES,
    "answered": EVERYONE,  # that a guard is to take it in, the guard may know
    "answer_taken": EVERYONE,
    "change_requested": PARTIES,
    "change_answered": PARTIES,
    "change_withdrawn": PARTIES,
    "agreed": PARTIES,
    "handed_over": EVERYONE,
    "confirmed": PARTIES,
    "receipt_refused": PARTIES,
    "exception_reported": PARTIES,
    "exception_taken": PARTIES,
    "exception_decided": PARTIES,
    "exception_acknowledged": PARTIES,
    "exception_closed": PARTIES,
    "exception_overdue": PARTIES,
}

# Entries about entries: to be shown one is no reading that deserves an entry itself, or reading had no end.
BOOKKEEPING: frozenset[str] = frozenset(
    {"segment_sealed", "segment_lost", "viewed", "exported", "read", "played_back", "refused", "receipt"}
)

# What may be erased while the rest of a case stays: the entries with pictures and sound. Pieces of recordings
# go together with those that were lost, because they are numbered as one.
MEDIA: Mapping[str, frozenset[str]] = {
    "recordings": frozenset({"segment_sealed", "segment_lost"}),
    "frames": frozenset({"frame_sealed"}),
    "attachments": frozenset({"attachment_stored"}),
}


def may_see(role: Role, kind: str) -> bool:
    return role in MAY_SEE.get(kind, OFFICE)


def parse_envelope(text: str | bytes) -> Envelope:
    """From an envelope's JSON as it lies in the log; raises MalformedEntry."""
    try:
        return _ENVELOPE.validate_json(text)
    except ValidationError as error:
        raise _malformed("envelope", error) from error


def parse_body(kind: str, body: Mapping[str, object]) -> Body:
    """The typed body of an entry of this kind, from JSON that has been parsed; raises MalformedEntry."""
    adapter = _ADAPTER.get(kind)
    if adapter is None:
        raise MalformedEntry(f"no entry is of kind {kind[:64]!r}")
    try:
        parsed: Body = adapter.validate_python(body)
    except ValidationError as error:
        raise _malformed(kind, error) from error
    return parsed


def encode_body(body: Body) -> dict[str, JsonValue]:
    """The JSON object that is sealed: `parse_body(body.kind, encode_body(body)) == body`.

    Raises MalformedEntry for a body that could not be read again: once in the log it would stay there.
    """
    encoded: dict[str, JsonValue] = _ADAPTER[body.kind].dump_python(body, mode="json", warnings=False)
    parse_body(body.kind, encoded)
    return encoded


def _malformed(what: str, error: ValidationError) -> MalformedEntry:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return MalformedEntry(": ".join([what, *(str(part) for part in first["loc"]), first["msg"]]))


def _check_span(first: int, last: int) -> None:
    if last < first:
        raise ValueError("it ends before it begins")
