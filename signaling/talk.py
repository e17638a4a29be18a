"""Talk: texts, phrases, photos, voice notes, places, and the marks of what reached whom.

    Attach ──> attached {sha256}  the hash is in the log before the bytes are anywhere
                  │  the bytes come by upload, are looked at, and then
                  ├──> attachment_stored {original, shown}
                  └──> attachment_refused {reason}

Any entry may have attachments, not only `attached`: each is known by the entry's number and its hash.
Entries, commands and rules of the subject; `case.py` says who may and when.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import asin, cos, radians, sin, sqrt
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from signaling.clock import Claim
from signaling.errors import IllegalQuota, IllegalStep, UnknownEntry, UnknownWord
from signaling.ledger import Ledger
from signaling.scene import Scene
from signaling.values import (
    Actor,
    ActorId,
    Blob,
    Code,
    Count,
    Number,
    Place,
    Strict,
    Translations,
    Whole,
    WireSha256,
    WireText,
    WireTime,
)

MAX_ATTACHMENT_BYTES = 24 << 20  # a photo of 48 megapixels has 15 MiB, ten minutes of voice have 8
MAX_CASE_ATTACHMENT_BYTES = 1 << 30  # some 400 photos as phones take them
MAX_CASE_ATTACHMENTS = 1_000
# Of one person, so that nobody takes up the room of the others: a guest has something to show, too.
MAX_PERSON_ATTACHMENT_BYTES = 256 << 20
MAX_PERSON_ATTACHMENTS = 400
MAX_GUEST_ATTACHMENT_BYTES = 24 << 20
MAX_GUEST_ATTACHMENTS = 20
MAX_ATTACHMENTS = 12  # of one entry: six sides, seal, label, and some of the damage
EARTH_RADIUS_M = 6_371_009  # IUGG mean radius
WAVEFORM_BARS = 64  # as many as a phone is wide enough to show

# C2PA status codes, and the last parts of the addresses of IPTC's digital source types.
WireC2paCode = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9._-]{0,63}$")]
WireC2paText = Annotated[str, Field(min_length=1, max_length=100)]

Medium = Literal["photo", "voice"]
CapturePath = Literal["camera", "album", "microphone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment(Strict):
    """Bytes that somebody has and will send: claimed by their phone, checked when they come."""

    medium: Medium
    sha256: WireSha256
    size_bytes: Annotated[Whole, Field(ge=1, le=MAX_ATTACHMENT_BYTES)]
    media_type: Annotated[str, Field(pattern="^(image|audio)/[a-z0-9.+-]{1,64}$")]
    capture_path: CapturePath
    captured_at: WireTime


Attachments = Annotated[tuple[Attachment, ...], Field(max_length=MAX_ATTACHMENTS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Claim):
    """`captured_at`: when it was written, as the phone says; None in older entries."""

    kind: ClassVar[str] = "text"

    text: WireText
    captured_at: WireTime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase(Claim):
    """One of the wording's quick phrases, as each reader finds it in their language."""

    kind: ClassVar[str] = "phrase"

    phrase: Code
    text: Translations
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(Claim):
    """A photo or a voice note as a message."""

    kind: ClassVar[str] = "attached"

    attachment: Attachment
    caption: WireText | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtCredentials(Strict):
    """The content credentials (C2PA) that came inside a photo. `standing`: they hold and lead to a root that
    counts here (`trusted`), hold whoever made them (`unknown_signer`), do not hold (`invalid`; `problem` is
    the C2PA status code of why), or could not be read (`unreadable`).

    All else is what they say of themselves: who signed, with what the picture was made, and digital source
    types of it and of what it was made of. `signed_at`: as a time-stamping authority says.
    """

    standing: Literal["trusted", "unknown_signer", "invalid", "unreadable"]
    problem: WireC2paCode | None
    signer: WireC2paText | None
    generator: WireC2paText | None
    source_types: Annotated[tuple[WireC2paCode, ...], Field(max_length=8)]
    signed_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentStored(Strict):
    """The bytes of an attachment of entry `number` came, and are what was claimed. `original`: as they came,
    with place and device, for the office. `shown`: what everybody else sees or hears, made of it. `waveform`:
    the loudest of each of as many equal parts, 0 to 100. Sizes in pixels. `credentials`: None if the photo
    brought none, and in older entries.
    """

    kind: ClassVar[str] = "attachment_stored"

    number: Number
    sha256: WireSha256
    original: Blob
    shown: Blob
    width: Number | None
    height: Number | None
    duration_ms: Count | None
    waveform: Annotated[tuple[Annotated[Whole, Field(ge=0, le=100)], ...], Field(max_length=WAVEFORM_BARS)]
    credentials: BroughtCredentials | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRefused(Strict):
    """The bytes came and are not what they should be; `message` says why in a sentence."""

    kind: ClassVar[str] = "attachment_refused"

    number: Number
    sha256: WireSha256
    reason: Code
    message: Annotated[str, Field(max_length=500)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(Claim):
    """Where the actor is, as their phone says; `distance_m` to the agreed address, if that has a place."""

    kind: ClassVar[str] = "placed"

    place: Place
    distance_m: Count | None
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Strict):
    """What has reached the actor: entries up to `delivered` are on a device of theirs, up to `read` they have
    seen. Marks only rise.
    """

    kind: ClassVar[str] = "receipt"

    delivered: Count
    read: Count


Body = Text | Phrase | Attached | AttachmentStored | AttachmentRefused | Placed | Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class SendText(Strict):
    """`seen` is the newest entry that the writer's page had, None: the newest there is. A text answers no
    notice, and replaces no answer, that its writer had not seen.
    """

    text: WireText
    seen: Count | None = None
    captured_at: WireTime | None = None
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPhrase(Strict):
    phrase: Code
    captured_at: WireTime | None = None
    kind: Literal["phrase"] = "phrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach(Strict):
    """The hash goes ahead; the bytes follow by upload."""

    attachment: Attachment
    caption: WireText | None = None
    kind: Literal["attach"] = "attach"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharePlace(Strict):
    place: Place
    captured_at: WireTime | None = None
    kind: Literal["share_place"] = "share_place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark(Strict):
    """Up to where this person's devices have the log, and up to where they have looked at it."""

    delivered: Count
    read: Count
    kind: Literal["mark"] = "mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAttachment:
    """The bytes of an attachment are stored: given with the actor who announced it."""

    kind: ClassVar[str] = "store_attachment"

    stored: AttachmentStored


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseAttachment:
    """The bytes of an attachment are not what they should be: given with the actor who announced it."""

    kind: ClassVar[str] = "refuse_attachment"

    refused: AttachmentRefused


Command = SendText | SendPhrase | Attach | SharePlace | Mark | StoreAttachment | RefuseAttachment


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An attachment that an entry of `actor_id` names."""

    actor_id: ActorId
    attachment: Attachment


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What somebody's attachments take up: those that are there or on their way, not the refused ones."""

    count: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    delivered: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """`announced` and `settled` by entry and hash; `settled` gives the number of what settled it. `shown` and
    `originals`: SHA-256 of stored bytes → the entry that stored them.
    """

    announced: Ledger[tuple[int, str], Announced] = field(default_factory=Ledger)
    settled: Ledger[tuple[int, str], int] = field(default_factory=Ledger)
    shown: Ledger[str, int] = field(default_factory=Ledger)
    originals: Ledger[str, int] = field(default_factory=Ledger)
    room: Mapping[ActorId, Room] = field(default_factory=dict)
    marks: Mapping[ActorId, Marks] = field(default_factory=dict)

    def stored_by(self, number: int) -> bool:
        """Whether bytes were stored for the first time by that entry."""
        return number in self.originals.values()

    def unsettled(self, actor_id: ActorId, sha256: str) -> list[tuple[int, Announced]]:
        """The attachments of this person with that hash whose bytes are missing, by number of entry."""
        return [
            (number, announced)
            for (number, hashed), announced in self.announced.items()
            if hashed == sha256 and announced.actor_id == actor_id and (number, hashed) not in self.settled
        ]


def check_attachments(state: Talk, actor: Actor, attachments: Iterable[Attachment]) -> None:
    """Whether the case has room for them, and each is what it says; raises IllegalQuota or IllegalStep."""
    attachments = list(attachments)
    if len({attachment.sha256 for attachment in attachments}) != len(attachments):
        raise IllegalStep("the same bytes are attached twice")
    for attachment in attachments:
        expected = "image/" if attachment.medium == "photo" else "audio/"
        if not attachment.media_type.startswith(expected):
            raise IllegalStep(f"a {attachment.medium} is not of the type {attachment.media_type}")
        if (attachment.capture_path == "microphone") != (attachment.medium == "voice"):
            raise IllegalStep(f"a {attachment.medium} does not come from {attachment.capture_path}")
    if not attachments:
        return
    more = Room(count=len(attachments), size_bytes=sum(attachment.size_bytes for attachment in attachments))
    guest = actor.role == "guest"
    own = Room(
        count=MAX_GUEST_ATTACHMENTS if guest else MAX_PERSON_ATTACHMENTS,
        size_bytes=MAX_GUEST_ATTACHMENT_BYTES if guest else MAX_PERSON_ATTACHMENT_BYTES,
    )
    whole = Room(count=MAX_CASE_ATTACHMENTS, size_bytes=MAX_CASE_ATTACHMENT_BYTES)
    mine = state.room.get(actor.actor_id, Room())
    for whose, taken, room in [("you have", [mine], own), ("the case has", state.room.values(), whole)]:
        count = sum(one.count for one in taken) + more.count
        size_bytes = sum(one.size_bytes for one in taken) + more.size_bytes
        if count > room.count or size_bytes > room.size_bytes:
            raise IllegalQuota(
                f"{whose} room for {room.count} attachments of {room.size_bytes >> 20} MiB together"
            )


def decide(state: Talk, command: Command, scene: Scene, destination: Place | None) -> list[Body]:
    """What is said; [] if it is so by now. `destination` is the agreed address's place, if it has one."""
    match command:
        case SendText():
            return [Text(text=command.text, captured_at=command.captured_at)]
        case SendPhrase():
            if command.phrase not in scene.wording.rules.phrases.get(scene.person_role, ()):
                raise UnknownWord(f"there is no phrase {command.phrase!r} for {scene.actor.role}")
            text = scene.wording.say(f"phrase.{command.phrase}")
            return [Phrase(phrase=command.phrase, text=text, captured_at=command.captured_at)]
        case Attach():
            check_attachments(state, scene.actor, [command.attachment])
            return [Attached(attachment=command.attachment, caption=command.caption)]
        case SharePlace():
            distance_m = None if destination is None else distance(command.place, destination)
            return [Placed(place=command.place, distance_m=distance_m, captured_at=command.captured_at)]
        case Mark():
            marks = state.marks.get(scene.actor.actor_id, Marks())
            newest = scene.number - 1
            read = max(marks.read, min(command.read, newest))
            delivered = max(marks.delivered, min(command.delivered, newest), read)
            if (delivered, read) == (marks.delivered, marks.read):
                return []
            return [Receipt(delivered=delivered, read=read)]
        case StoreAttachment() | RefuseAttachment():
            settled = command.stored if isinstance(command, StoreAttachment) else command.refused
            key = (settled.number, settled.sha256)
            announced = state.announced.get(key)
            if announced is None or announced.actor_id != scene.actor.actor_id:
                raise UnknownEntry(f"entry {settled.number} has no such attachment of this person")
            return [] if key in state.settled else [settled]


def evolve(state: Talk, number: int, actor_id: ActorId, body: Body) -> Talk:
    match body:
        case Attached():
            return with_attachments(state, number, actor_id, [body.attachment])
        case AttachmentStored():
            return replace(
                state,
                settled=state.settled.with_item((body.number, body.sha256), number),
                shown=state.shown.with_item(body.shown.sha256, number),
                originals=state.originals.with_item(body.original.sha256, number),
            )
        case AttachmentRefused():
            settled = state.settled.with_item((body.number, body.sha256), number)
            announced = state.announced[body.number, body.sha256]
            taken = state.room[announced.actor_id]
            left = Room(count=taken.count - 1, size_bytes=taken.size_bytes - announced.attachment.size_bytes)
            return replace(state, settled=settled, room={**state.room, announced.actor_id: left})
        case Receipt():
            marks = Marks(delivered=body.delivered, read=body.read)
            return replace(state, marks={**state.marks, actor_id: marks})
        case Text() | Phrase() | Placed():
            return state


def with_attachments(state: Talk, number: int, actor_id: ActorId, attachments: Iterable[Attachment]) -> Talk:
    """The state after an entry of any kind that has these attachments."""
    announced, taken = state.announced, state.room.get(actor_id, Room())
    for attachment in attachments:
        value = Announced(actor_id=actor_id, attachment=attachment)
        announced = announced.with_item((number, attachment.sha256), value)
        taken = Room(count=taken.count + 1, size_bytes=taken.size_bytes + attachment.size_bytes)
    if announced is state.announced:
        return state
    return replace(state, announced=announced, room={**state.room, actor_id: taken})


def without_stored(state: Talk, gone: Callable[[int], bool]) -> Talk:
    """The state as if the entries with these numbers had stored nothing."""
    return replace(
        state,
        settled=state.settled.without(lambda _, number: gone(number)),
        shown=state.shown.without(lambda _, number: gone(number)),
        originals=state.originals.without(lambda _, number: gone(number)),
    )


def distance(one: Place, other: Place) -> int:
    """Metres between two places along the ground, on a sphere: right within 0.6 %."""
    latitude, longitude = radians(one.latitude_e6 / 1e6), radians(one.longitude_e6 / 1e6)
    to_latitude, to_longitude = radians(other.latitude_e6 / 1e6), radians(other.longitude_e6 / 1e6)
    haversine = (
        sin((to_latitude - latitude) / 2) ** 2
        + cos(latitude) * cos(to_latitude) * sin((to_longitude - longitude) / 2) ** 2
    )
    return round(2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(haversine))))
