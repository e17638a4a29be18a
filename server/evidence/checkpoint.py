"""Checkpoints: the signed statement "this log has so many leaves and this root".

A C2SP tlog-checkpoint inside a C2SP signed note, Ed25519, so that tools that nobody here wrote (Go's
sumdb, sigstore's verifiers) read it:

    proofcall.local/log                          origin, which is also the key's name
    57                                           tree size
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=     root hash, base64
                                                 an empty line
    — proofcall.local/log 3Uj…                   em dash, key name, base64(key hash || signature)

A verifier key is written `<name>+<key hash, 8 hex digits>+<base64(0x01 || public key)>`. The key hash is
the first four bytes of SHA-256(name || 0x0A || 0x01 || public key).
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from server.evidence.ed25519 import check_signature
from server.evidence.errors import MalformedCheckpoint, MalformedKey, MalformedSignature
from server.evidence.merkle import HASH_SIZE_BYTES
from server.evidence.signer import Signer

# C2SP signed-note, "Signature types".
ALGORITHM_ED25519 = b"\x01"
ALGORITHM_COSIGNATURE = b"\x04"
KEY_HASH_SIZE_BYTES = 4
PUBLIC_KEY_SIZE_BYTES = 32  # RFC 8032 section 5.1.5
MAX_NOTE_SIZE_BYTES = 65_536  # hundreds of co-signatures; a reader never loads more
MAX_TREE_SIZE = 2**53 - 1  # sizes travel in JSON, too

# C2SP signed-note: a key name is not empty, and has neither Unicode spaces nor a plus sign.
_ORIGIN = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_TREE_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_KEY_HASH = re.compile(r"[0-9a-f]{8}")
_KEY_TYPES = {ALGORITHM_ED25519: "the key of a log", ALGORITHM_COSIGNATURE: "the key of a witness"}
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint says."""

    origin: str
    tree_size: int
    root_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """The public half of a log key, under the name that its signatures carry."""

    name: str
    public_key: bytes

    @property
    def key_hash(self) -> bytes:
        return key_hash(self.name, ALGORITHM_ED25519, self.public_key)


def key_hash(name: str, algorithm: bytes, public_key: bytes) -> bytes:
    """C2SP signed-note: SHA-256(<name> || 0x0A || <algorithm> || <public key>)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + algorithm + public_key).digest()[:KEY_HASH_SIZE_BYTES]


class CheckpointSigner:
    """Signs checkpoints under one origin, with a key that may be anywhere."""

    def __init__(self, origin: str, signer: Signer) -> None:
        check_origin(origin)
        self._signer = signer
        self.key = VerifierKey(name=origin, public_key=signer.public_key)

    def sign(self, tree_size: int, root_hash: bytes) -> str:
        """The signed note for this size and root."""
        return self._sign(
            encode_checkpoint(Checkpoint(origin=self.key.name, tree_size=tree_size, root_hash=root_hash))
        )

    def sign_statement(self, text: str) -> str:
        """The signed note of a text that is no checkpoint; raises MalformedCheckpoint for one that could be.

        A checkpoint's first line is the origin, so no reader takes one for the other. `text` ends with a line
        end and holds no empty line.
        """
        if text.partition("\n")[0] == self.key.name or not text.endswith("\n") or "\n\n" in text:
            raise MalformedCheckpoint("this text cannot be signed beside the checkpoints of the log")
        return self._sign(text)

    def _sign(self, text: str) -> str:
        signature = self.key.key_hash + self._signer.sign(text.encode())
        return f"{text}\n— {self.key.name} {base64.b64encode(signature).decode()}\n"


def check_origin(origin: str) -> None:
    """Raise MalformedCheckpoint for a name under which no note can be signed."""
    if _ORIGIN.fullmatch(origin) is None:
        raise MalformedCheckpoint(f"{origin[:80]!r} cannot be the origin of a log: no spaces, no plus sign")


def encode_checkpoint(checkpoint: Checkpoint) -> str:
    """The three lines that are signed."""
    root = base64.b64encode(checkpoint.root_hash).decode()
    return f"{checkpoint.origin}\n{checkpoint.tree_size}\n{root}\n"


def parse_checkpoint(note: str) -> Checkpoint:
    """What a note says, its signatures not looked at; raises MalformedCheckpoint."""
    text, _ = split_note(note)
    return _parse_text(text)


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """What a note says, once the key is found to have signed it; raises MalformedCheckpoint, and
    CannotBeMade where no library for signatures is installed.

    Signatures of keys that are not known here (witnesses) are passed over, as signed-note asks.
    """
    checkpoint = parse_checkpoint(note)
    open_note(note, key)
    if checkpoint.origin != key.name:
        raise MalformedCheckpoint(f"the checkpoint is of {checkpoint.origin}, the key of {key.name}")
    return checkpoint


def open_note(note: str, key: VerifierKey) -> str:
    """The text of a signed note, once the key is found to have signed it; raises like `open_checkpoint`."""
    text, signatures = split_note(note)
    signed = False
    for name, signature in signatures:
        if name != key.name or signature[:KEY_HASH_SIZE_BYTES] != key.key_hash:
            continue
        try:
            check_signature(key.public_key, signature[KEY_HASH_SIZE_BYTES:], text.encode())
        except MalformedSignature:
            raise MalformedCheckpoint(f"the signature of {name} does not fit the checkpoint") from None
        signed = True
    if not signed:
        raise MalformedCheckpoint(f"the checkpoint is not signed by the key {encode_key(key)}")
    return text


def check_note(note: str, key: VerifierKey) -> None:
    """Raise MalformedCheckpoint if the note carries a signature of this key that does not hold.

    One that other keys alone have signed passes: of a log whose key was changed, say. CannotBeMade without
    library.
    """
    _, signatures = split_note(note)
    if any(
        (name, signature[:KEY_HASH_SIZE_BYTES]) == (key.name, key.key_hash) for name, signature in signatures
    ):
        open_note(note, key)


def encode_key(key: VerifierKey) -> str:
    """The key as text (`vkey`), without a line end."""
    return encode_vkey(key.name, ALGORITHM_ED25519, key.public_key)


def parse_key(text: str) -> VerifierKey:
    """Read a verifier key; raises MalformedKey."""
    name, public_key = parse_vkey(text, ALGORITHM_ED25519)
    return VerifierKey(name=name, public_key=public_key)


def encode_vkey(name: str, algorithm: bytes, public_key: bytes) -> str:
    """A verifier key of any signature type, as text."""
    material = base64.b64encode(algorithm + public_key).decode()
    return f"{name}+{key_hash(name, algorithm, public_key).hex()}+{material}"


def parse_vkey(text: str, algorithm: bytes) -> tuple[str, bytes]:
    """Name and public key of a verifier key of this signature type, all of Ed25519; raises MalformedKey."""
    name, plus, rest = text.partition("+")
    hash_digits, second_plus, material = rest.partition("+")
    if not plus or not second_plus or _ORIGIN.fullmatch(name) is None or not _KEY_HASH.fullmatch(hash_digits):
        raise MalformedKey("a verifier key reads <name>+<8 hex digits>+<base64>")
    try:
        decoded = _decode_base64(material)
    except ValueError:
        raise MalformedKey("the verifier key's last part is not base64") from None
    if len(decoded) != 1 + PUBLIC_KEY_SIZE_BYTES or decoded[:1] not in _KEY_TYPES:
        raise MalformedKey("the verifier key is not an Ed25519 key")
    if decoded[:1] != algorithm:
        raise MalformedKey(f"the verifier key is {_KEY_TYPES[decoded[:1]]}, not {_KEY_TYPES[algorithm]}")
    public_key = decoded[1:]
    if key_hash(name, algorithm, public_key).hex() != hash_digits:
        raise MalformedKey("the verifier key's hash does not fit its name and key")
    return name, public_key


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The signed text, with its last line end, and the signatures as (key name, key hash || signature).

    Nothing is verified; raises MalformedCheckpoint.
    """
    if len(note) > MAX_NOTE_SIZE_BYTES:
        raise MalformedCheckpoint("the checkpoint is too long")
    # C2SP signed-note: the text is "followed by a blank line, and then by one or more signature lines".
    head, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise MalformedCheckpoint("the checkpoint is not a signed note: text, empty line, signatures")
    return head + "\n", [parse_signature_line(line) for line in tail[:-1].split("\n")]


def parse_signature_line(line: str) -> tuple[str, bytes]:
    """Key name and key hash || signature of a line without its line end; raises MalformedCheckpoint."""
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise MalformedCheckpoint("the checkpoint has a malformed signature line")
    try:
        signature = _decode_base64(match[2])
    except ValueError:
        raise MalformedCheckpoint("a signature of the checkpoint is not base64") from None
    if len(signature) <= KEY_HASH_SIZE_BYTES:
        raise MalformedCheckpoint("a signature of the checkpoint is too short")
    return match[1], signature


def _parse_text(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise MalformedCheckpoint("a checkpoint has three lines: origin, tree size, root hash")
    origin, tree_size, root = lines[:3]
    check_origin(origin)
    if _TREE_SIZE.fullmatch(tree_size) is None or int(tree_size) > MAX_TREE_SIZE:
        raise MalformedCheckpoint(f"the checkpoint's tree size is malformed: {tree_size[:32]!r}")
    try:
        root_hash = _decode_base64(root)
    except ValueError:
        raise MalformedCheckpoint("the checkpoint's root hash is not base64") from None
    if len(root_hash) != HASH_SIZE_BYTES:
        raise MalformedCheckpoint("the checkpoint's root hash has not 32 bytes")
    return Checkpoint(origin=origin, tree_size=int(tree_size), root_hash=root_hash)


def _decode_base64(text: str) -> bytes:
    """Strict: one value has one spelling; raises ValueError."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the canonical base64 of its value")
    return data
