"""Cosignatures: a witness's word that this checkpoint continues all that it saw of the log before.

C2SP tlog-cosignature, cosignature/v1 (Ed25519). A line to be appended to the log's signed note:

    — witness.example/w1 base64( key hash (4) || POSIX time, big-endian (8) || Ed25519 signature (64) )

    cosignature/v1                              what is signed: the time, and the text of the checkpoint
    time 1679315147
    proofcall.local/log
    57
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

The key hash of a witness is the first four bytes of SHA-256(name || 0x0A || 0x04 || public key), and its
verifier key has the 4 where that of a log has the 1: no signature of the one passes for one of the other.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from server.evidence.checkpoint import (
    ALGORITHM_COSIGNATURE,
    KEY_HASH_SIZE_BYTES,
    encode_vkey,
    key_hash,
    parse_checkpoint,
    parse_signature_line,
    parse_vkey,
    split_note,
)
from server.evidence.ed25519 import SIGNATURE_SIZE_BYTES, check_signature
from server.evidence.errors import EvidenceError, MalformedCosignature, MalformedSignature

TIME_SIZE_BYTES = 8  # "u64 timestamp"
LAST_TIME_S = 253_402_300_799  # the end of the year 9999, as far as a datetime goes


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessKey:
    """The public half of a witness's key, under the name that its cosignatures carry."""

    name: str
    public_key: bytes

    @property
    def key_hash(self) -> bytes:
        return key_hash(self.name, ALGORITHM_COSIGNATURE, self.public_key)


def encode_witness_key(key: WitnessKey) -> str:
    """The key as text (`vkey`), without a line end."""
    return encode_vkey(key.name, ALGORITHM_COSIGNATURE, key.public_key)


def parse_witness_key(text: str) -> WitnessKey:
    """Read the verifier key of a witness; raises MalformedKey."""
    name, public_key = parse_vkey(text, ALGORITHM_COSIGNATURE)
    return WitnessKey(name=name, public_key=public_key)


def cosigned_text(text: str, time_s: int) -> str:
    """What a witness signs over the text of a checkpoint at a time, in POSIX seconds."""
    return f"cosignature/v1\ntime {time_s}\n{text}"


def split_cosignatures(data: bytes) -> list[bytes]:
    """The lines of a file of cosignatures, each with its line end; raises MalformedCosignature."""
    if not data:
        return []
    if not data.endswith(b"\n"):
        raise MalformedCosignature("the last cosignature is cut off: it has no line end")
    lines = [line + b"\n" for line in data[:-1].split(b"\n")]
    for line in lines:
        cosigner_of(line)
    return lines


def cosigner_of(line: bytes) -> tuple[str, bytes]:
    """The name and the key hash that a line carries, its signature not looked at; MalformedCosignature."""
    name, signature = _parse(line)
    return name, signature[:KEY_HASH_SIZE_BYTES]


def is_of(line: bytes, key: WitnessKey) -> bool:
    """Whether a line means to be of this key: "ignore any signature lines that don't match the name and key
    ID". Raises MalformedCosignature.
    """
    return cosigner_of(line) == (key.name, key.key_hash)


def open_cosignature(line: bytes, note: str, key: WitnessKey) -> datetime:
    """When the witness signed the checkpoint in `note`, once its key is found to have made the line.

    The log's own signature of the note is not looked at. Raises MalformedCosignature.
    """
    name, signature = _parse(line)
    if (name, signature[:KEY_HASH_SIZE_BYTES]) != (key.name, key.key_hash):
        raise MalformedCosignature(f"the cosignature is not of the key {encode_witness_key(key)}")
    timestamped = signature[KEY_HASH_SIZE_BYTES:]
    if len(timestamped) != TIME_SIZE_BYTES + SIGNATURE_SIZE_BYTES:
        raise MalformedCosignature(f"the cosignature of {name} has not the size of a time and a signature")
    time_s = int.from_bytes(timestamped[:TIME_SIZE_BYTES])
    if time_s > LAST_TIME_S:
        raise MalformedCosignature(f"the cosignature of {name} bears a time after the year 9999")
    try:
        parse_checkpoint(note)
        text, _ = split_note(note)
    except EvidenceError as error:
        raise MalformedCosignature(
            f"what {name} is said to have cosigned is no checkpoint: {error}"
        ) from None
    try:
        check_signature(key.public_key, timestamped[TIME_SIZE_BYTES:], cosigned_text(text, time_s).encode())
    except MalformedSignature:
        raise MalformedCosignature(f"the cosignature of {name} does not fit the checkpoint") from None
    return datetime.fromtimestamp(time_s, UTC)


def _parse(line: bytes) -> tuple[str, bytes]:
    text = _utf8(line)
    if not text.endswith("\n"):
        raise MalformedCosignature("a cosignature is a line that ends in a line end")
    try:
        return parse_signature_line(text[:-1])
    except EvidenceError as error:
        raise MalformedCosignature(f"a cosignature is not a signature line: {error}") from None


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedCosignature("a cosignature is not UTF-8") from None
