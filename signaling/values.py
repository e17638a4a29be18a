"""The values that messages, commands and entries are made of: identities, roles, times, hashes, counts.

`NewType`s are what the code passes about; the `Wire…` names beside them are the same values as they may
stand in JSON, with their bounds, for the fields of parsed dataclasses.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal, NewType

from pydantic import ConfigDict, Field, PlainSerializer, PlainValidator

CaseId = NewType("CaseId", str)
ActorId = NewType("ActorId", str)  # of a person: the id of the link they came with
SessionId = NewType("SessionId", str)  # one connection of one person
CommandId = NewType("CommandId", str)  # made by the client, unique for its actor in the case

PersonRole = Literal["customer", "courier", "qa"]
Role = Literal["customer", "courier", "qa", "integrator", "system"]
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


class Strict:
    """Base of every dataclass that is read from JSON: no unknown field, no conversion between types.

    Numbers and truth values are `Whole` and `Flag`, because pydantic would convert to those; all else that
    JSON has is taken as it is. Not `strict` as a whole: then JSON that has been parsed already could not be
    read, because a dict is no dataclass and a list no tuple.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
