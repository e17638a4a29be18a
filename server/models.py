"""What the HTTP API takes and gives, as the models that validate it and that OpenAPI is made from."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

from server.tokens import DeskRole
from signaling.entries import MAX_ERASED_NUMBERS, WireMetadata
from signaling.messages import EntryView
from signaling.values import MAX_REASON_CHARACTERS, encode_time

MAX_LINK_LIFETIME_S = 30 * 24 * 3600  # a month: longer than any dispute about a delivery stays open unasked

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_CHARACTERS)
]
Role = Literal["customer", "courier", "qa", "dispatch", "guest"]
Language = Literal["zh", "en"]
Seconds = Annotated[int, Field(ge=1, le=MAX_LINK_LIFETIME_S)]


class Model(BaseModel):
    """Base: nothing unknown is taken, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DeclaredValue(Model):
    """What the sender says the parcel is worth."""

    amount_minor: Annotated[
        int, Field(ge=0, lt=2**53, description="in the currency's smallest unit (fen, cent)")
    ]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(description="ISO 4217")


class Position(Model):
    """A place on WGS 84, in degrees."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class Address(Model):
    """Where the parcel is to go; with a position, how far somebody is from it can be told."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    position: Position | None = None


class NewCase(Model):
    """A parcel to be verified. Times are shown to its people in `time_zone` (IANA)."""

    waybill: Word
    declared_value: DeclaredValue | None = None
    language: Language = "zh"
    time_zone: Annotated[str, Field(max_length=64)] = "Asia/Shanghai"
    address: Address | None = None
    metadata: WireMetadata = Field(default={}, description="free words of the integrator's, seen by QA alone")


class CaseSummary(Model):
    """One case as lists show it. Of an erased one `waybill` is empty."""

    case_id: str
    waybill: str
    language: Language
    time_zone: str
    state: Literal["open", "ended", "erased"]
    opened_at: datetime
    last_number: int
    in_call: list[Role]
    frames: int
    holds: list[int] = Field(description="the entries that set the legal holds which are in force")


class NewErasure(Model):
    """What is to be erased of a case, and why; `reason` stays, and should name nobody. Without more all of
    it; or the media named; or the pictures and attachments of the entries `numbers`.
    """

    reason: Reason
    media: Annotated[list[Literal["recordings", "frames", "attachments"]], Field(min_length=1)] | None = None
    numbers: (
        Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=MAX_ERASED_NUMBERS)]
        | None
    ) = None

    @model_validator(mode="after")
    def _one_way(self) -> "NewErasure":
        if self.media is not None and self.numbers is not None:
            raise ValueError("name media or numbers, not both")
        return self


class Erasure(Model):
    """`number` of the entry that says so, null if nothing was left to erase. `complete` is false while
    somebody (an audit, a backup) reads the log as it was: the last old bytes go when they are done.
    """

    number: int | None
    complete: bool


class NewHold(Model):
    """Why a legal hold is set, or lifted."""

    reason: Reason


class Hold(Model):
    """The legal hold that entry `number` set."""

    number: int


class CaseList(Model):
    """Cases, newest first. `next_before` asks for the following page; it is absent on the last one."""

    cases: list[CaseSummary]
    next_before: str | None = None


class NewLink(Model):
    """A person to be let into a case."""

    role: Role
    name: Word
    expires_in_s: Seconds = 24 * 3600
    colleague: bool = Field(
        default=False, description="of a desk that asks for its own role: it is for somebody else, named here"
    )


class Link(Model):
    """A link, shown once: its token is not kept."""

    link_id: str
    role: Role
    name: str
    url: str
    token: str
    expires_at: datetime


class NewDesk(Model):
    """A desk of the office to be let in."""

    name: Word
    role: DeskRole = "qa"
    expires_in_s: Seconds = 12 * 3600


class Desk(Model):
    """A desk's link."""

    role: DeskRole
    url: str
    token: str
    expires_at: datetime


class ExceptionRow(Model):
    """A work order that is open: entry `number` of its case reported it. `label` is its kind in words, by
    language; `taken_by` the person of the desk who works on it.
    """

    case_id: str
    waybill: str
    time_zone: str
    number: int
    leaf_index: int
    exception: str
    label: dict[str, str]
    state: Literal["open", "taken", "decided", "acknowledged"]
    due_at: datetime
    overdue: bool
    taken_by: str | None
    taken_by_name: str | None
    reported_by: Role
    reported_at: datetime


class ExceptionList(Model):
    """Work orders in the order of their reports. `complete` is false while the service, just started, still
    looks for older ones. `next_after` asks for the following page; it is absent on the last one.
    """

    exceptions: list[ExceptionRow]
    complete: bool
    next_after: int | None = None


class LogEntries(Model):
    """Entries in order. More follow while `last_number` is beyond the last of them."""

    entries: list[EntryView]
    last_number: int


class SearchHit(Model):
    """An entry in which all words stand, and a piece of it."""

    case_id: str
    waybill: str
    number: int
    kind: str
    role: Literal["customer", "courier", "qa", "dispatch", "guest", "integrator", "system"]
    recorded_at: Annotated[datetime, PlainSerializer(encode_time)]
    excerpt: str


class SearchHits(Model):
    """The newest first. `complete` is false while older entries are yet to be read after a start;
    `next_before` asks for the following page, and is null on the last one.
    """

    hits: list[SearchHit]
    complete: bool
    next_before: int | None = None


class Recording(Model):
    """What is recorded of one person in one call, or a part of it: cut where the codec changes, or after 15
    minutes. Segments that could not be kept are told by their numbers.
    """

    actor_id: str
    role: Role
    name: str
    part: int
    media_type: str
    began_at: datetime
    ended_at: datetime
    first_segment: int
    last_segment: int
    lost_segments: list[int]


class RecordedCall(Model):
    """One call. `ended_at` is null while it lasts; `aborted`: the service died under it."""

    call_number: int
    began_at: datetime
    ended_at: datetime | None
    aborted: bool
    recordings: list[Recording]


class RecordedCalls(Model):
    """The calls of a case, in order."""

    calls: list[RecordedCall]


class PlaybackOf(Model):
    """Whose recording is to be played back, and which part of it."""

    actor_id: str
    part: Annotated[int, Field(ge=1)] = 1


class PlaybackSegment(Model):
    """A segment that the file was made of: its number, that of its entry, the hash of its blob."""

    segment: int
    number: int
    sha256: str


class Playback(Model):
    """A file to be played: its address is good for an hour. Sizes are 0 where there are no pictures."""

    url: str
    media_type: str
    began_at: datetime
    duration_ms: int
    width: int
    height: int
    segments: list[PlaybackSegment]
    lost_segments: list[int]


class Proof(Model):
    """That an entry is in the log: RFC 9162 section 2.1.3, under a C2SP checkpoint."""

    leaf_index: int
    tree_size: int
    hashes: list[str]
    checkpoint: str
    vkey: str


class Failure(Model):
    """What went wrong: a code for programs, a sentence for people."""

    class Reason(Model):
        """The code and the sentence."""

        code: str
        message: str

    error: Reason


class Voucher(Model):
    """The voucher of a confirmed receipt: addresses that need no other credential, good for ten years.

    `number` is that of the entry `confirmed`; `url` is a page, for people; `qr_url` is its QR code.
    """

    number: int
    url: str
    pdf_url: str
    json_url: str
    qr_url: str


class Witness(Model):
    """One witness of the operator's policy. `standing`: waiting, cosigning, unreachable, refusing (it does
    not know this log), ahead or forked (it has cosigned more of the log than there is, or another one).

    `words` say what that means and what to do; `cosigned_size` is that of the newest checkpoint that it has
    cosigned.
    """

    name: str
    key_name: str
    url: str
    standing: str
    words: str
    cosigned_size: int


class WitnessList(Model):
    """All witnesses; `cosigned_size` is that of the newest checkpoint with the quorum of the policy."""

    cosigned_size: int | None
    witnesses: list[Witness]


class TimestampAuthority(Model):
    """A time-stamping authority: the log's checkpoint of `tree_size` entries was the last that it stamped, at
    `stamped_at` by its own clock. `behind`: entries that it has not stamped. `failures` in a row, `error` of
    the last one. `ahead_s`: how far our clock was before theirs.
    """

    authority: str
    state: Literal["stamping", "failing"]
    tree_size: int
    stamped_at: datetime | None
    behind: int
    failures: int
    error: str | None
    next_attempt_at: datetime | None
    ahead_s: int | None


class TimestampAuthorities(Model):
    """All authorities, in the order of the setting; none, if none is set."""

    authorities: list[TimestampAuthority]
