"""The headers of tus 1.0.0 (tus.io), the protocol of uploads that go on after a break. Pure.

Upload-Metadata: sha256 YWJj…,name Zm9v      keys and base64, comma-separated
Upload-Checksum: sha256 uU0nuZNNPgilLlLX…    an algorithm and base64
Upload-Offset: 1048576                       bytes
Upload-Expires: Sat, 28 Nov 2026 14:03:22 GMT
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from server.errors import MalformedUpload

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,checksum,termination"
ALGORITHMS: Mapping[str, int] = {"sha256": 32, "sha1": 20}  # and how many bytes their digests have
OFFSET_OCTETS = "application/offset+octet-stream"

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEY = re.compile(r"[!-+\--~]+", re.ASCII)  # printable ASCII without space and comma
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """Of the body of one request."""

    algorithm: str
    digest: bytes


def parse_number(name: str, text: str | None) -> int:
    """A count of bytes. Raises MalformedUpload, which names the header."""
    if text is None or _NUMBER.fullmatch(text.strip()) is None:
        raise MalformedUpload(f"send {name} as a number of bytes")
    return int(text)


def parse_metadata(text: str | None) -> dict[str, bytes]:
    """Keys and what they say; a key alone says b"". Raises MalformedUpload."""
    metadata: dict[str, bytes] = {}
    for pair in (text or "").split(","):
        key, _, value = pair.strip().partition(" ")
        if not key and not value and not metadata:
            continue
        if _KEY.fullmatch(key) is None or key in metadata:
            raise MalformedUpload("Upload-Metadata has a key that is empty, not ASCII or there twice")
        metadata[key] = _from_base64("Upload-Metadata", value)
    return metadata


def parse_sha256(metadata: Mapping[str, bytes]) -> str:
    """The hash that an upload says it will have, in hex. Raises MalformedUpload."""
    text = metadata.get("sha256", b"").decode("ascii", errors="replace")
    if _SHA256.fullmatch(text) is None:
        raise MalformedUpload("Upload-Metadata must have sha256: the hash in lowercase hex, in base64")
    return text


def parse_checksum(text: str) -> Checksum:
    """What the body must hash to. Raises MalformedUpload."""
    algorithm, _, digest = text.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        # tus, Checksum: an algorithm that the server does not support is answered with 400.
        raise MalformedUpload(f"Upload-Checksum is of {' or '.join(ALGORITHMS)}")
    value = _from_base64("Upload-Checksum", digest)
    if len(value) != ALGORITHMS[algorithm]:
        raise MalformedUpload(f"Upload-Checksum is not as long as {algorithm}")
    return Checksum(algorithm=algorithm, digest=value)


def encode_time(moment_at: datetime) -> str:
    """As `Upload-Expires` has it: RFC 9110 section 5.6.7."""
    return format_datetime(moment_at.astimezone(UTC), usegmt=True)


def _from_base64(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        raise MalformedUpload(f"{name} has something that is not base64") from None
