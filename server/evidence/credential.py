"""Content credentials of a picture: the copy that goes out, and what it says of its place in the log.

A copy is a JPEG with a C2PA manifest store in its APP11 segments. Without those it is, byte for byte, the
picture whose hash the entry names, so that a copy can be held against the log by whoever knows no C2PA:

    FF D8 │ APP0 │ APP11 "JP" …, APP11 "JP" … │ the rest of the picture
                   └── JUMBF (ISO/IEC 19566-5) ─┐
    jumb "c2pa" ─ jumb "urn:c2pa:…" ─ jumb "c2pa.assertions" ─ jumb "proofcall.evidence" ─ json

The assertion, as JSON:

    {"checkpoint":"<signed note>","entry":{"body":{…},"envelope":{…},"proof":{…},"salt":"…"},
     "format":"proofcall-credential","sha256":"<of the picture>","version":1,"vkey":"…"}

Entry and proof are spelt as in a voucher. Whether the store's own signature holds and who made it is for a
C2PA reader to say; what is checked here needs nothing but the log's key.
"""

import hashlib
import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from server.evidence.canonical import JsonValue, encode_canonical, parse_canonical_object
from server.evidence.checkpoint import VerifierKey, open_checkpoint, parse_key
from server.evidence.entry import (
    SALT_SIZE_BYTES,
    Envelope,
    check_commitment,
    encode_body,
    encode_envelope,
    envelope_fields,
    parse_envelope,
)
from server.evidence.errors import EvidenceError, MalformedCredential
from server.evidence.merkle import check_inclusion, hash_leaf
from server.evidence.package import blob_references
from server.evidence.proof import InclusionProof, encode_proof, parse_proof

LABEL = "proofcall.evidence"  # of the assertion
FORMAT = "proofcall-credential"
VERSION = 1
FIELDS = frozenset({"checkpoint", "entry", "format", "sha256", "version", "vkey"})
ENTRY_FIELDS = frozenset({"body", "envelope", "proof", "salt"})
MAX_STORE_BYTES = 1 << 20  # a store has 15 KiB and the body of the entry, which has 64 KiB at most
MAX_BOXES = 1_000  # of a store; ours has about 20
MAX_DEPTH = 8  # ours has five

_SHA256 = re.compile("[0-9a-f]{64}")
_START, _APP11, _SCAN = b"\xff\xd8", 0xEB, 0xDA  # ITU-T T.81 section B.1.1.3: SOI, APP11, SOS
_SEGMENT = struct.Struct("!BBH")  # marker, and the length that counts itself (ITU-T T.81 section B.1.1.4)
# ISO/IEC 19566-5 annex D: "JP", the number of the box, that of the packet; then LBox and TBox in each.
_PACKET = struct.Struct("!2sHI")
_BOX = struct.Struct("!I4s")
_DESCRIPTION = struct.Struct("!16sB")  # annex A.3: what the box is, and which fields follow
_HAS_LABEL = 0b10


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a copy says of its picture: the entry that names it, all that opens that, its way up."""

    sha256: str
    envelope: Envelope
    body: Mapping[str, JsonValue]
    salt: bytes
    proof: InclusionProof
    vkey: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy, taken apart: the picture as sealed, and what is said of it."""

    picture: bytes
    credential: Credential


def encode_credential(credential: Credential) -> bytes:
    """The assertion; raises MalformedJson or MalformedEntry for what cannot stand in it."""
    return encode_canonical(
        {
            "format": FORMAT,
            "version": VERSION,
            "sha256": credential.sha256,
            "entry": {
                "envelope": envelope_fields(credential.envelope),
                "body": credential.body,
                "salt": credential.salt.hex(),
                "proof": parse_canonical_object(encode_proof(credential.proof)),
            },
            "checkpoint": credential.proof.checkpoint,
            "vkey": credential.vkey,
        }
    )


def parse_credential(data: bytes) -> Credential:
    """Read an assertion, however it is spelt: those who sign it spell it anew. MalformedCredential."""
    try:
        document = json.loads(data)
        canonical = encode_canonical(document)  # what cannot be, is none
        fields = parse_canonical_object(canonical)
    except (ValueError, RecursionError, EvidenceError) as error:
        raise MalformedCredential(f"the assertion is not JSON as entries have it: {error}") from None
    if fields.get("format") != FORMAT or fields.get("version") != VERSION:
        raise MalformedCredential("the assertion is of a format or a version that is not known here")
    entry = fields.get("entry")
    if fields.keys() != FIELDS or not isinstance(entry, Mapping) or entry.keys() != ENTRY_FIELDS:
        raise MalformedCredential("the assertion has not exactly the fields of its format")
    sha256, checkpoint, vkey = fields["sha256"], fields["checkpoint"], fields["vkey"]
    body, salt = entry["body"], entry["salt"]
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        raise MalformedCredential("the hash of the picture has 64 hex digits")
    if not isinstance(checkpoint, str) or not isinstance(vkey, str):
        raise MalformedCredential("checkpoint and vkey are texts")
    if not isinstance(body, dict):
        raise MalformedCredential("the body is not an object")
    if not isinstance(salt, str) or re.fullmatch(f"[0-9a-f]{{{2 * SALT_SIZE_BYTES}}}", salt) is None:
        raise MalformedCredential(f"the salt has {2 * SALT_SIZE_BYTES} hex digits")
    try:
        return Credential(
            sha256=sha256,
            envelope=parse_envelope(encode_canonical(entry["envelope"])),
            body=body,
            salt=bytes.fromhex(salt),
            proof=parse_proof(encode_canonical(entry["proof"]), checkpoint),
            vkey=vkey,
        )
    except EvidenceError as error:
        raise MalformedCredential(str(error)) from None


def open_copy(data: bytes) -> Copy:
    """Take a copy apart; raises MalformedCredential if it is no JPEG, or carries no assertion of ours."""
    picture, store = _split(data)
    if not store:
        raise MalformedCredential("the picture carries no content credentials")
    found = [content for label, content in _json_boxes(store) if label == LABEL]
    if len(found) != 1:
        raise MalformedCredential(
            f"the picture's content credentials have {len(found)} assertions {LABEL}, not one"
        )
    return Copy(picture=picture, credential=parse_credential(found[0]))


def check_copy(copy: Copy, key: VerifierKey | None = None) -> None:
    """Raise MalformedCredential unless the picture is the one that the entry names, and the entry is in the
    log of the checkpoint. `key` is the log's, from elsewhere; without it the copy's own is taken, and all
    that is shown is that the copy agrees with itself.
    """
    credential = copy.credential
    if hashlib.sha256(copy.picture).hexdigest() != credential.sha256:
        raise MalformedCredential("the picture is not the one that its content credentials are of")
    if credential.sha256 not in {reference.sha256 for reference in blob_references(dict(credential.body))}:
        raise MalformedCredential("the entry names another picture")
    try:
        check_commitment(credential.envelope, encode_body(credential.body), credential.salt)
        own_key = parse_key(credential.vkey)
        if key is not None and key != own_key:
            raise MalformedCredential("the copy names another log's key than the one given")
        checkpoint = open_checkpoint(credential.proof.checkpoint, own_key)
        if checkpoint.tree_size != credential.proof.tree_size:
            raise MalformedCredential("the proof is for a log of another size than the checkpoint's")
        check_inclusion(
            hash_leaf(encode_envelope(credential.envelope)),
            credential.proof.leaf_index,
            checkpoint.tree_size,
            credential.proof.hashes,
            checkpoint.root_hash,
        )
    except MalformedCredential:
        raise
    except EvidenceError as error:
        raise MalformedCredential(str(error)) from None


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The picture without its JUMBF segments, and the manifest store that they carry."""
    if not data.startswith(_START):
        raise MalformedCredential("this is no JPEG")
    picture, store = bytearray(_START), bytearray()
    at, expected = len(_START), 1
    while at + _SEGMENT.size <= len(data):
        first, marker, length = _SEGMENT.unpack_from(data, at)
        end = at + 2 + length
        if first != 0xFF or marker == _SCAN or length < 2 or end > len(data):
            break
        packet = data[at + _SEGMENT.size : end]
        if marker == _APP11 and packet.startswith(b"JP") and len(packet) >= _PACKET.size + _BOX.size:
            _, _, number = _PACKET.unpack_from(packet)
            if number != expected:
                raise MalformedCredential("the content credentials of the picture are not in order")
            store += packet[_PACKET.size + (0 if number == 1 else _BOX.size) :]
            expected += 1
        else:
            picture += data[at:end]
        at = end
    if len(store) > MAX_STORE_BYTES:
        raise MalformedCredential("the content credentials are far larger than those of a copy")
    return bytes(picture) + data[at:], bytes(store)


def _json_boxes(store: bytes) -> Iterator[tuple[str, bytes]]:
    """The content of each box `json`, with the label of the one that holds it."""
    waiting = [(memoryview(store), "", 0)]
    count = 0
    while waiting:
        data, label, depth = waiting.pop()
        at = 0
        while at < len(data):
            count += 1
            if count > MAX_BOXES or depth > MAX_DEPTH:
                raise MalformedCredential("the content credentials have more boxes than those of a copy")
            if at + _BOX.size > len(data):
                raise MalformedCredential("the content credentials are cut off")
            length, kind = _BOX.unpack_from(data, at)
            if length < _BOX.size or at + length > len(data):
                raise MalformedCredential("a box of the content credentials has no possible length")
            content = data[at + _BOX.size : at + length]
            if kind == b"jumb":
                waiting.append((content, "", depth + 1))
            elif kind == b"jumd":
                label = _label(content)
            elif kind == b"json":
                yield label, bytes(content)
            at += length


def _label(description: memoryview) -> str:
    if len(description) < _DESCRIPTION.size:
        raise MalformedCredential("a box of the content credentials is described by too few bytes")
    _, fields = _DESCRIPTION.unpack_from(description)
    if not fields & _HAS_LABEL:
        return ""
    return bytes(description[_DESCRIPTION.size :]).partition(b"\0")[0].decode(errors="replace")
