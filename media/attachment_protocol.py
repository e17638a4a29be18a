"""What the service and the worker that looks at attachments say to each other, and what bytes are. Pure.

    request  the medium as an argument; ┌ the attachment, to the end of the pipe ┐
    answer   ┌ kind 1 ┐┌ size 4 ┐┌ size 4 ┐┌ facts, or the refusal, as JSON ┐┌ what is shown ┐

Numbers are big-endian. What a file is, its first bytes say: neither its name nor who sends it is asked.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

ANSWER = struct.Struct("!BII")
SEEN, REFUSED = 0, 1

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
MP4_SOUND, WEBM_SOUND, OGG_SOUND = "audio/mp4", "audio/webm", "audio/ogg"
MEDIA_TYPES: Mapping[str, Sequence[str]] = {
    "photo": (JPEG, PNG, WEBP),
    "voice": (WEBM_SOUND, MP4_SOUND, OGG_SOUND),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentFacts:
    """What was found: the type of the bytes as they came, and of what is shown, with its size in pixels or
    its length. `waveform`: the loudest of each of 64 equal parts, 0 to 100.
    """

    original_type: str
    shown_type: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    waveform: tuple[int, ...] = ()


def media_type_of(data: bytes) -> str | None:
    """The type that a file's first bytes say it has; None if it is none that is taken."""
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WEBP
    if data.startswith(b"\x1a\x45\xdf\xa3"):  # RFC 8794 section 11.2.1: the EBML header
        return WEBM_SOUND
    if data[4:8] == b"ftyp":  # ISO/IEC 14496-12 section 4.3
        return MP4_SOUND
    if data.startswith(b"OggS"):  # RFC 3533 section 6
        return OGG_SOUND
    return None


def encode_facts(facts: AttachmentFacts, shown: bytes) -> bytes:
    text = json.dumps(asdict(facts)).encode()
    return ANSWER.pack(SEEN, len(text), len(shown)) + text + shown


def parse_facts(text: bytes) -> AttachmentFacts:
    members = json.loads(text)
    return AttachmentFacts(**members | {"waveform": tuple(members["waveform"])})


def encode_refusal(code: str, reason: str) -> bytes:
    text = json.dumps({"code": code, "reason": reason}).encode()
    return ANSWER.pack(REFUSED, len(text), 0) + text


def parse_refusal(text: bytes) -> Mapping[str, Any]:
    """`code` and `reason`."""
    refusal: Mapping[str, Any] = json.loads(text)
    return refusal
