"""What the service and the worker that knows C2PA say to each other. Pure.

    ┌ kind 1 ┐┌ size 4, big-endian ┐┌ content ┐      one after the other, either way

    service                                   worker
    READ, JSON: roots; PICTURE ─────────────▶ looks at the credentials that a picture brings
                                ◀──────────── FACTS, JSON
    SIGN, JSON: what to say; PICTURE ───────▶ puts credentials into a picture
                                ◀──────────── TO_SIGN: a COSE Sig_structure (RFC 9052 section 4.4)
    SIGNATURE ──────────────────────────────▶
                                ◀──────────── COPY, or FAILED: why not
    … until the pipe ends

The key is never in the process that reads pictures: that one is told signatures, one a picture.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

FRAME = struct.Struct("!BI")
READ, SIGN, PICTURE, SIGNATURE = 0, 1, 2, 3
FACTS, TO_SIGN, COPY, FAILED = 16, 17, 18, 19

MAX_TO_SIGN_BYTES = 256 << 10  # a claim has 2 KiB; it lists hashes of assertions, not their content
# RFC 9052 section 4.4: an array of four whose first member is the text "Signature1".
SIGNED_START = b"\x84\x6aSignature1"

Standing = Literal["trusted", "unknown_signer", "invalid", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """What was found of content credentials. `trusted`: they hold, and lead to a root that counts here;
    `unknown_signer`: they hold, whoever made them; `invalid`: they do not, `problem` is the C2PA status code
    of why; `unreadable`: nothing could be made of them.

    The rest is what they say of themselves: who signed, with what the picture was made, and digital source
    types (IPTC NewsCodes), those of what it was made of, too. `signed_at` is None unless an authority says.
    """

    standing: Standing
    problem: str | None = None
    signer: str | None = None
    generator: str | None = None
    source_types: tuple[str, ...] = ()
    signed_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to say in the copy of a picture: PEM certificates of who signs, their own first; the title, the
    label of the assertion and its JSON.
    """

    media_type: str
    certificates: str
    algorithm: str
    title: str
    label: str
    assertion: str


def carries_credentials(data: bytes) -> bool:
    """Whether a file may bring content credentials inside it: if not, nobody needs to look."""
    return b"jumb" in data and b"c2pa" in data


def encode_frame(kind: int, content: bytes) -> bytes:
    return FRAME.pack(kind, len(content)) + content


def encode_order(order: Order) -> bytes:
    return encode_frame(SIGN, json.dumps(asdict(order)).encode())


def parse_order(content: bytes) -> Order:
    return Order(**json.loads(content))


def encode_look(media_type: str, roots: str) -> bytes:
    """`roots`: PEM certificates of those whose credentials count."""
    return encode_frame(READ, json.dumps({"media_type": media_type, "roots": roots}).encode())


def parse_look(content: bytes) -> Mapping[str, str]:
    """`media_type` and `roots`."""
    look: Mapping[str, str] = json.loads(content)
    return look


def encode_facts(facts: CredentialFacts) -> bytes:
    return encode_frame(FACTS, json.dumps(asdict(facts)).encode())


def parse_facts(content: bytes) -> CredentialFacts:
    members: dict[str, Any] = json.loads(content)
    return CredentialFacts(**members | {"source_types": tuple(members["source_types"])})
