"""Entries: a public envelope that is hashed into the log, and a sealed body that it commits to.

The envelope holds no personal data. Its canonical bytes (RFC 8785) are the leaf of the log, and their
SHA-256 is what the next envelope of the same case carries as `previous_hash`:

    envelope 16 ──SHA-256──▶ envelope 17 ──SHA-256──▶ envelope 18      the chain of a case
        │ 0x00                   │ 0x00                   │ 0x00
        ▼ SHA-256                ▼ SHA-256                ▼ SHA-256
      leaf 40                  leaf 41                  leaf 57        leaves of the one log (RFC 9162)

The commitment is SHA-256(salt || body): whoever holds body and salt can prove the body, and whoever
holds the envelope alone learns nothing, not even by guessing a telephone number.

An envelope has exactly one spelling, so it is read with one regular expression; what that refuses is
looked at again, slowly, to say what is wrong.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from server.evidence.canonical import JsonObject, JsonValue, encode_canonical, parse_canonical_object
from server.evidence.errors import MalformedEntry, MalformedJson
from server.evidence.merkle import hash_leaf

VERSION = 1
FIRST_PREVIOUS_HASH = "0" * 64  # carried by entry number 1, which has no predecessor
SALT_SIZE_BYTES = 32  # as long as the hash: guessing the salt is no easier than breaking SHA-256
MAX_BODY_SIZE_BYTES = 65_535  # C2SP tlog-tiles frames an entry with a 16-bit length

_ID = "[A-Za-z0-9_-]{1,64}"
_FIELDS = {  # in canonical order; the value as it stands between its quotes
    "actor_id": _ID,
    "case_id": _ID,
    "commitment": "[0-9a-f]{64}",
    "kind": "[a-z][a-z0-9_]{0,63}",
    "number": "[1-9][0-9]{0,14}",
    "previous_hash": "[0-9a-f]{64}",
    "recorded_at": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z",
    "role": "[a-z][a-z0-9_]{0,31}",
    "session_id": "[A-Za-z0-9_-]{0,64}",  # empty for actors that have no session
    "version": str(VERSION),
}
_BARE = {"number", "version"}  # integers, written without quotes
_ENVELOPE = re.compile(
    "{"
    + ",".join(
        f'"{name}":({value})' if name in _BARE else f'"{name}":"({value})"' for name, value in _FIELDS.items()
    )
    + "}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody did, before the log gave it number, time, salt and place."""

    kind: str
    case_id: str
    role: str
    actor_id: str
    session_id: str
    body: Mapping[str, JsonValue]
    command_id: str | None = None  # the client's own id of the command: the same one never acts twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The public part of an entry."""

    kind: str
    case_id: str
    number: int  # counts from 1 without holes inside the case
    previous_hash: str
    role: str
    actor_id: str
    session_id: str
    recorded_at: datetime  # the server's clock, in whole milliseconds
    commitment: str
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a case, as it stands in the log. Once it was erased, body and salt are empty."""

    envelope: Envelope
    envelope_bytes: bytes
    body: JsonObject
    salt: bytes
    leaf_index: int  # counts from 0 over all cases of the log

    @property
    def is_erased(self) -> bool:
        """Whether nothing is left but the envelope: every body has a salt."""
        return not self.salt

    @property
    def hash(self) -> str:
        """What the next envelope of the case carries as `previous_hash`."""
        return hash_envelope(self.envelope_bytes)

    @property
    def leaf_hash(self) -> bytes:
        return hash_leaf(self.envelope_bytes)


def encode_time(at: datetime) -> str:
    """`2026-11-22T14:03:22.123Z`: UTC with three decimals, always."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def hash_envelope(envelope_bytes: bytes) -> str:
    return hashlib.sha256(envelope_bytes).hexdigest()


def commit(salt: bytes, body_bytes: bytes) -> str:
    """The commitment that an envelope carries to a body: SHA-256(salt || canonical body)."""
    return hashlib.sha256(salt + body_bytes).hexdigest()


def encode_body(body: Mapping[str, JsonValue]) -> bytes:
    """The canonical bytes of a body; raises MalformedEntry if they are too many or cannot be made."""
    try:
        data = encode_canonical(body)
    except MalformedJson as error:
        raise MalformedEntry(f"the body has no canonical form: {error}") from None
    if len(data) > MAX_BODY_SIZE_BYTES:
        raise MalformedEntry(f"the body has {len(data)} bytes, {MAX_BODY_SIZE_BYTES} are allowed")
    return data


def parse_body(data: bytes) -> JsonObject:
    """Read a canonical body back; raises MalformedEntry."""
    if len(data) > MAX_BODY_SIZE_BYTES:
        raise MalformedEntry(f"the body has {len(data)} bytes, {MAX_BODY_SIZE_BYTES} are allowed")
    try:
        return parse_canonical_object(data)
    except MalformedJson as error:
        raise MalformedEntry(f"the body is malformed: {error}") from None


def encode_envelope(envelope: Envelope) -> bytes:
    """The canonical bytes of an envelope; raises MalformedEntry for a field that may not stand in one."""
    text = (
        f'{{"actor_id":"{envelope.actor_id}","case_id":"{envelope.case_id}"'
        f',"commitment":"{envelope.commitment}","kind":"{envelope.kind}","number":{envelope.number}'
        f',"previous_hash":"{envelope.previous_hash}","recorded_at":"{encode_time(envelope.recorded_at)}"'
        f',"role":"{envelope.role}","session_id":"{envelope.session_id}","version":{envelope.version}}}'
    )
    data = text.encode(errors="surrogatepass")
    if _ENVELOPE.fullmatch(text) is None:
        raise MalformedEntry(_complaint(data))
    return data


def parse_envelope(data: bytes) -> Envelope:
    """Read an envelope; raises MalformedEntry for anything but its one canonical spelling."""
    try:
        match = _ENVELOPE.fullmatch(data.decode("ascii"))
    except UnicodeDecodeError:
        match = None
    if match is None:
        raise MalformedEntry(_complaint(data))
    actor_id, case_id, commitment, kind, number, previous_hash, recorded_at, role, session_id, _ = (
        match.groups()
    )
    try:
        at = datetime.fromisoformat(recorded_at)
    except ValueError:
        raise MalformedEntry(f"the envelope's recorded_at is no moment: {recorded_at}") from None
    return Envelope(
        kind=kind,
        case_id=case_id,
        number=int(number),
        previous_hash=previous_hash,
        role=role,
        actor_id=actor_id,
        session_id=session_id,
        recorded_at=at,
        commitment=commitment,
    )


def envelope_fields(envelope: Envelope) -> JsonObject:
    """The envelope as the JSON object that its bytes spell."""
    return {
        "version": envelope.version,
        "kind": envelope.kind,
        "case_id": envelope.case_id,
        "number": envelope.number,
        "previous_hash": envelope.previous_hash,
        "role": envelope.role,
        "actor_id": envelope.actor_id,
        "session_id": envelope.session_id,
        "recorded_at": encode_time(envelope.recorded_at),
        "commitment": envelope.commitment,
    }


def seal(
    draft: Draft,
    body_bytes: bytes,
    *,
    number: int,
    previous_hash: str,
    recorded_at: datetime,
    salt: bytes,
    leaf_index: int,
) -> Entry:
    """Make an entry of a draft whose body was encoded before; raises MalformedEntry for illegal fields."""
    if len(salt) != SALT_SIZE_BYTES:
        raise MalformedEntry(f"the salt has {len(salt)} bytes, not {SALT_SIZE_BYTES}")
    milliseconds = recorded_at.microsecond // 1000
    envelope = Envelope(
        kind=draft.kind,
        case_id=draft.case_id,
        number=number,
        previous_hash=previous_hash,
        role=draft.role,
        actor_id=draft.actor_id,
        session_id=draft.session_id,
        recorded_at=recorded_at.astimezone(UTC).replace(microsecond=milliseconds * 1000),
        commitment=commit(salt, body_bytes),
    )
    return Entry(
        envelope=envelope,
        envelope_bytes=encode_envelope(envelope),
        body=parse_body(body_bytes),
        salt=salt,
        leaf_index=leaf_index,
    )


def open_entry(envelope_bytes: bytes, body_bytes: bytes, salt: bytes, leaf_index: int) -> Entry:
    """Put an entry that `seal` made together again; raises MalformedEntry unless body and salt are its own.

    The body is not spelled anew to see that it is canonical: `seal` did, and the commitment holds it to that.
    """
    envelope = parse_envelope(envelope_bytes)
    check_commitment(envelope, body_bytes, salt)
    return Entry(
        envelope=envelope,
        envelope_bytes=envelope_bytes,
        body=json.loads(body_bytes),
        salt=salt,
        leaf_index=leaf_index,
    )


def erased_entry(envelope_bytes: bytes, leaf_index: int) -> Entry:
    """What is left of an entry whose body was erased; raises MalformedEntry."""
    return Entry(
        envelope=parse_envelope(envelope_bytes),
        envelope_bytes=envelope_bytes,
        body={},
        salt=b"",
        leaf_index=leaf_index,
    )


def check_commitment(envelope: Envelope, body_bytes: bytes, salt: bytes) -> None:
    """Raise MalformedEntry unless salt and body are those that the envelope commits to."""
    if len(salt) != SALT_SIZE_BYTES:
        raise MalformedEntry(f"the salt has {len(salt)} bytes, not {SALT_SIZE_BYTES}")
    if commit(salt, body_bytes) != envelope.commitment:
        raise MalformedEntry("the body or its salt is not the one that the envelope commits to")


def check_successor(envelope: Envelope, *, case_id: str, number: int, previous_hash: str) -> None:
    """Raise MalformedEntry unless the envelope continues the case at this number, after this hash."""
    if envelope.case_id != case_id:
        raise MalformedEntry(f"the envelope belongs to case {envelope.case_id}, not to {case_id}")
    if envelope.number != number:
        raise MalformedEntry(f"the envelope carries number {envelope.number} where {number} is due")
    if envelope.previous_hash != previous_hash:
        raise MalformedEntry(f"the envelope does not follow on entry {number - 1}: previous_hash differs")


def _complaint(data: bytes) -> str:
    """What is wrong with bytes that the regular expression refused."""
    try:
        fields = parse_canonical_object(data)
    except MalformedJson as error:
        return f"the envelope is malformed: {error}"
    for name, pattern in _FIELDS.items():
        if name not in fields:
            return f"the envelope has no {name}"
        value = fields[name]
        right_type = type(value) is (int if name in _BARE else str)
        if not right_type or re.fullmatch(pattern, str(value)) is None:
            return f"the envelope's {name} is malformed: {str(value)[:80]!r}"
    return f"the envelope has fields that are not its own: {sorted(fields.keys() - _FIELDS.keys())}"
