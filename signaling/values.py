"""The values that messages, commands and entries are made of: identities, roles, times, hashes, counts.

`NewType`s are what the code passes about; the `Wire…` names beside them are the same values as they may
stand in JSON, with their bounds, for the fields of parsed dataclasses.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal, NewType

from pydantic import ConfigDict, Field, PlainSerializer, PlainValidator

CaseId = NewType("CaseId", str)
ActorId = NewType("ActorId", str)  # of a person: the id of the link they came with
SessionId = NewType("SessionId", str)  # one connection of one person
CommandId = NewType("CommandId", str)  # made by the client, unique for its actor in the case

# A guest is a neighbour or a guard who takes a parcel in; dispatch sends the couriers.
PersonRole = Literal["customer", "courier", "qa", "dispatch", "guest"]
Role = Literal["customer", "courier", "qa", "dispatch", "guest", "integrator", "system"]
Language = Literal["zh", "en"]

INTEGRATOR = ActorId("integrator")
SYSTEM = ActorId("system")

# RFC 8785 numbers are IEEE 754 doubles: integers are exact below 2^53.
MAX_INTEGER = 2**53 - 1

_RANDOM = "[a-z2-7]{20}"  # 100 random bits in base32: nobody guesses one, nobody misreads a 0 or a 1
WireCaseId = Annotated[CaseId, Field(pattern=f"^c_{_RANDOM}$")]
WireLinkId = Annotated[ActorId, Field(pattern=f"^l_{_RANDOM}$")]
WireActorId = Annotated[ActorId, Field(pattern=f"^(l_{_RANDOM}|integrator|system)$")]
WireSessionId = Annotated[SessionId, Field(pattern=f"^s_{_RANDOM}$")]
WireCommandId = Annotated[CommandId, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
WireSha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Whole = Annotated[int, Field(strict=True)]  # no text, no float and no truth value is taken for one
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[Whole, Field(ge=0, le=MAX_INTEGER)]
Number = Annotated[Whole, Field(ge=1, le=MAX_INTEGER)]  # an entry's place in its case, from 1 without holes
Permille = Annotated[Whole, Field(ge=0, le=1000)]
Name = Annotated[str, Field(min_length=1, max_length=64)]

MAX_TEXT_CHARACTERS = 2_000  # a screenful on a phone; more is a document, not a message
MAX_STATEMENT_CHARACTERS = 4_000  # the whole consent text with its "why"
MAX_REASON_CHARACTERS = 500  # why something was done, for who asks years later; more is a document
MAX_LANGUAGES = 16  # 16 texts of 500 characters stay below the 64 KiB of a body

WireText = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS, pattern=r"\S")]
WireStatement = Annotated[str, Field(max_length=MAX_STATEMENT_CHARACTERS, pattern=r"\S")]
WireReason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS, pattern=r"\S")]
# A word that programs and the wording's files agree on: a reason, a choice, the kind of an exception.
Code = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")]
# RFC 5646: the primary language, and at most a script or a region.
LanguageTag = Annotated[str, Field(pattern="^[a-z]{2,3}(-[A-Z][a-z]{3}|-[A-Z]{2})?$")]
# One sentence in each language of the wording, as the reader of that language is shown it.
Translations = Annotated[
    dict[LanguageTag, Annotated[str, Field(max_length=500, pattern=r"\S")]],
    Field(min_length=1, max_length=MAX_LANGUAGES),
]
# IANA's names of time zones; whether there is such a zone, the service knows.
TimeZone = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_+/-]{0,63}$")]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def parse_time(text: object) -> datetime:
    """An aware UTC datetime from `2026-11-22T14:03:22.123Z`; ValueError for any other form of a time."""
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        raise ValueError("a time is written 2026-11-22T14:03:22.123Z")
    return datetime.fromisoformat(text)


def encode_time(moment_at: datetime) -> str:
    """Three decimals always, cut and not rounded: a time never lies in the future of its clock."""
    return moment_at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def cut_to_milliseconds(moment_at: datetime) -> datetime:
    """What is left of a time after it was written to the log and read again."""
    return moment_at.astimezone(UTC).replace(microsecond=moment_at.microsecond // 1000 * 1000)


WireTime = Annotated[datetime, PlainValidator(parse_time), PlainSerializer(encode_time)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who gives a command, as the server authenticated them."""

    role: Role
    actor_id: ActorId
    session_id: SessionId


class Strict:
    """Base of every dataclass that is read from JSON: no unknown field, no conversion between types.

    Numbers and truth values are `Whole` and `Flag`, because pydantic would convert to those; all else that
    JSON has is taken as it is. Not `strict` as a whole: then JSON that has been parsed already could not be
    read, because a dict is no dataclass and a list no tuple.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob(Strict):
    """Bytes in the blob store; a verifier finds any object with exactly these fields."""

    sha256: WireSha256
    size_bytes: Count
    media_type: Annotated[str, Field(pattern="^[a-z]+/[a-z0-9.+-]{1,64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Strict):
    """A position on WGS 84 in millionths of a degree (11 cm), and how far off it may be."""

    latitude_e6: Annotated[Whole, Field(ge=-90_000_000, le=90_000_000)]
    longitude_e6: Annotated[Whole, Field(ge=-180_000_000, le=180_000_000)]
    accuracy_m: Annotated[Whole, Field(ge=0, le=40_000_000)]
