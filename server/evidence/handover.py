"""How a key of the log follows from the one before: an entry that the old key signed, as the last one. Pure.

    56 text              checkpoints up to 58 leaves: signed by the old key
    57 key_rotated       {"key":"log","new":"<vkey>","old":"<vkey>"}; the last leaf under the old key
    58 key_taken_up      {"vkey":"<vkey>"}; the checkpoint of 59 leaves is the first of the new key

Both are entries of a case of the log's own, `house`, which is none of a parcel. Entry, proof, the last
checkpoint of the old key and the consistency proof from there make a handover: whoever knows the old key
follows it to the new one, without asking us. As `keys.json` of a package, and under `/log/vkeys`:

    {"format":"proofcall-keys","handovers":[{"body":{...},"checkpoint":"<note>","consistency":["<base64>",...],
     "envelope":{...},"hashes":["<base64>",...],"salt":"<base64>"}],"tree_size":91,"version":1,"vkey":"<vkey>"}

The oldest comes first; `consistency` leads to the tree of `tree_size` leaves, whose key is `vkey`. What is
not shown: that whoever held the old key was its owner. A thief of it can hand over to a key of their own, in
another history than the one that witnesses and earlier checkpoints have seen.
"""

from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.evidence.canonical import JsonObject, JsonValue, encode_canonical, parse_canonical_object
from server.evidence.checkpoint import (
    Checkpoint,
    VerifierKey,
    encode_key,
    open_checkpoint,
    parse_checkpoint,
    parse_key,
)
from server.evidence.entry import check_commitment, parse_body, parse_envelope
from server.evidence.errors import EvidenceError, MalformedEntry, MalformedKey, MalformedProof
from server.evidence.merkle import check_consistency, check_inclusion, hash_leaf

HOUSE_CASE = "house"  # ids of other cases begin with c_
KEY_ROTATED, KEY_TAKEN_UP = "key_rotated", "key_taken_up"
LOG_KEY, WRAP_KEY = "log", "wrap"
FORMAT, VERSION = "proofcall-keys", 1
MAX_HANDOVERS = 256  # one a year would be many
_FIELDS = {"body", "checkpoint", "consistency", "envelope", "hashes", "salt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The entry, all that opens and places it, and the way on from its checkpoint."""

    envelope_bytes: bytes
    body_bytes: bytes
    salt: bytes
    hashes: Sequence[bytes]  # from the entry to the root of the checkpoint
    checkpoint: str  # the last note of the old key, whose last leaf the entry is
    consistency: Sequence[bytes] = ()  # from there to another tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """One key after another, as a handover was found to say. `tree_size`: the last under the old one."""

    tree_size: int
    old: VerifierKey
    new: VerifierKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHistory:
    """All keys of a log, the oldest first."""

    successions: Sequence[Succession]
    newest: VerifierKey

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return (*(one.old for one in self.successions), self.newest)

    def at(self, tree_size: int) -> VerifierKey:
        """The only key that may have signed a checkpoint of this size."""
        return self.keys[bisect_left([one.tree_size for one in self.successions], tree_size)]


def rotation_body(key: str, *, old: str, new: str) -> JsonObject:
    """What `key_rotated` says: two vkeys of the log, or two names of keys that wrap."""
    return {"key": key, "old": old, "new": new}


def is_of_log(body: Mapping[str, JsonValue]) -> bool:
    """Whether the body of a `key_rotated` is about the log's key."""
    return body.get("key") == LOG_KEY


def history_of(handovers: Sequence[Handover], newest: VerifierKey) -> KeyHistory:
    """The keys of a log whose newest is known; raises EvidenceError if one does not follow from another."""
    successions = [open_handover(handover) for handover in handovers]
    following = [*(one.old for one in successions), newest][1:]
    for one, next_key in zip(successions, following, strict=True):
        if one.new != next_key:
            raise MalformedKey(
                f"the log was handed over to {encode_key(one.new)}, not {encode_key(next_key)}"
            )
    sizes = [one.tree_size for one in successions]
    if sizes != sorted(set(sizes)):
        raise MalformedKey("the handovers of the log's key are not in their order")
    return KeyHistory(successions=successions, newest=newest)


def open_handover(handover: Handover) -> Succession:
    """What a handover says, once the old key is found to have signed it; raises EvidenceError."""
    envelope = parse_envelope(handover.envelope_bytes)
    if (envelope.case_id, envelope.kind) != (HOUSE_CASE, KEY_ROTATED):
        raise MalformedEntry("the entry of a handover is no rotation of a key")
    check_commitment(envelope, handover.body_bytes, handover.salt)
    body = parse_body(handover.body_bytes)
    if not is_of_log(body):
        raise MalformedEntry("the entry of a handover is not about the log's key")
    old, new = parse_key(str(body.get("old"))), parse_key(str(body.get("new")))
    if old.name != new.name or old == new:
        raise MalformedKey("a handover leads from one key of a log to another")
    checkpoint = open_checkpoint(handover.checkpoint, old)
    size, leaf = checkpoint.tree_size, hash_leaf(handover.envelope_bytes)
    check_inclusion(leaf, size - 1, size, list(handover.hashes), checkpoint.root_hash)
    return Succession(tree_size=size, old=old, new=new)


def check_continues(handover: Handover, tree: Checkpoint) -> None:
    """Raise MalformedProof unless a tree goes on from where the old key ended."""
    last = parse_checkpoint(handover.checkpoint)
    if last.tree_size >= tree.tree_size:
        raise MalformedProof("the key was handed over later than the checkpoint was signed")
    check_consistency(
        last.tree_size, tree.tree_size, last.root_hash, tree.root_hash, list(handover.consistency)
    )


def read_history(data: bytes, newest: VerifierKey, tree: Checkpoint) -> KeyHistory:
    """The keys that a `keys.json` shows to lead to the one that signed this tree; raises EvidenceError."""
    handovers = parse_handovers(data)
    if data != encode_handovers(handovers, tree_size=tree.tree_size, vkey=encode_key(newest)):
        raise MalformedKey("these are the keys of another tree")
    history = history_of(handovers, newest)
    for handover in handovers:
        check_continues(handover, tree)
    return history


def encode_handovers(handovers: Sequence[Handover], *, tree_size: int, vkey: str) -> bytes:
    """The bytes of `keys.json`."""
    told: list[JsonValue] = [
        {
            "body": parse_canonical_object(one.body_bytes),
            "checkpoint": one.checkpoint,
            "consistency": [b64encode(item).decode() for item in one.consistency],
            "envelope": parse_canonical_object(one.envelope_bytes),
            "hashes": [b64encode(item).decode() for item in one.hashes],
            "salt": b64encode(one.salt).decode(),
        }
        for one in handovers
    ]
    return encode_canonical(
        {"format": FORMAT, "handovers": told, "tree_size": tree_size, "version": VERSION, "vkey": vkey}
    )


def parse_handovers(data: bytes) -> list[Handover]:
    """Read a `keys.json`; raises MalformedKey and MalformedJson. Nothing is verified."""
    document = parse_canonical_object(data)
    told = document.get("handovers")
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise MalformedKey("these are no keys of a format that is known here")
    if not isinstance(told, list) or not 0 < len(told) <= MAX_HANDOVERS:
        raise MalformedKey(f"a log has 1 to {MAX_HANDOVERS} handovers of its key")
    return [_parse_handover(one) for one in told]


def _parse_handover(value: JsonValue) -> Handover:
    if not isinstance(value, Mapping) or value.keys() != _FIELDS:
        raise MalformedKey(f"a handover has {', '.join(sorted(_FIELDS))}")
    body, envelope, note = value["body"], value["envelope"], value["checkpoint"]
    if not isinstance(body, Mapping) or not isinstance(envelope, Mapping) or not isinstance(note, str):
        raise MalformedKey("a handover has body and envelope, and its checkpoint as a text")
    try:
        return Handover(
            envelope_bytes=encode_canonical(envelope),
            body_bytes=encode_canonical(body),
            salt=b64decode(str(value["salt"]), validate=True),
            hashes=_hashes(value["hashes"]),
            checkpoint=note,
            consistency=_hashes(value["consistency"]),
        )
    except EvidenceError:
        raise
    except ValueError:
        raise MalformedKey("salt or hashes of a handover are not base64") from None


def _hashes(value: JsonValue) -> list[bytes]:
    if not isinstance(value, list):
        raise MalformedKey("the hashes of a handover are a list")
    return [b64decode(str(item), validate=True) for item in value]
