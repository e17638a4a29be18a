"""What a time-stamp token says of itself, read without any library: the hash that it is of, and its time.

    ContentInfo ─ SignedData ─ encapContentInfo ─ TSTInfo       RFC 5652 section 5.1, RFC 3161 section 2.4.2
                                                    ├── messageImprint   algorithm and hash
                                                    └── genTime          UTC, as GeneralizedTime

The signature is not looked at (`timestamp` does): so much is the word of whoever wrote the token.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from server.evidence.errors import IllegalTimestamp, MalformedTimestamp

MAX_TOKEN_BYTES = 65_536  # a token with its chain has 2 to 8 KiB

# Tags of DER (X.690 section 8.1.2).
SEQUENCE, OBJECT_IDENTIFIER, OCTET_STRING, GENERALIZED_TIME, EXPLICIT_0 = 0x30, 0x06, 0x04, 0x18, 0xA0
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2, RFC 5652 section 5.1
TST_INFO = bytes.fromhex("2a864886f70d0109100104")  # 1.2.840.113549.1.9.16.1.4, RFC 3161 section 2.4.2
SHA256 = bytes.fromhex("608648016503040201")  # 2.16.840.1.101.3.4.2.1, RFC 5754 section 2.2
# RFC 3161 section 2.4.2: "The syntax is: YYYYMMDDhhmmss[.s...]Z".
_TIME = re.compile(r"([0-9]{14})(?:\.[0-9]{1,9})?Z")

Element = tuple[int, bytes]  # tag and content


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClaim:
    """What an unverified token says: SHA-256 of what it is of, and when, rounded down to the second."""

    imprint: bytes
    at: datetime


def parse_token(token: bytes) -> TokenClaim:
    """Read a TimeStampToken in DER; raises MalformedTimestamp."""
    if len(token) > MAX_TOKEN_BYTES:
        raise MalformedTimestamp(f"a token has at most {MAX_TOKEN_BYTES} bytes")
    outer = _elements(_only(token, SEQUENCE))
    if len(outer) != 2 or outer[0] != (OBJECT_IDENTIFIER, SIGNED_DATA) or outer[1][0] != EXPLICIT_0:
        raise MalformedTimestamp("this is no time-stamp of RFC 3161: no signed data")
    signed = _elements(_only(outer[1][1], SEQUENCE))
    if len(signed) < 4 or signed[2][0] != SEQUENCE:
        raise MalformedTimestamp("this is no time-stamp of RFC 3161: the signed data has no content")
    content = _elements(signed[2][1])
    if len(content) != 2 or content[0] != (OBJECT_IDENTIFIER, TST_INFO) or content[1][0] != EXPLICIT_0:
        raise MalformedTimestamp("this is no time-stamp of RFC 3161: it is signed data of something else")
    info = _elements(_only(_only(content[1][1], OCTET_STRING), SEQUENCE))
    if len(info) < 5 or info[2][0] != SEQUENCE or info[4][0] != GENERALIZED_TIME:
        raise MalformedTimestamp("this is no time-stamp of RFC 3161: no imprint, or no time")
    imprint = _elements(info[2][1])
    if len(imprint) != 2 or imprint[0][0] != SEQUENCE or imprint[1][0] != OCTET_STRING:
        raise MalformedTimestamp("this is no time-stamp of RFC 3161: its imprint is malformed")
    if _elements(imprint[0][1])[:1] != [(OBJECT_IDENTIFIER, SHA256)]:
        raise MalformedTimestamp("the imprint of the token is not of SHA-256")
    return TokenClaim(imprint=imprint[1][1], at=_time(info[4][1]))


def check_imprint(token: bytes, note: bytes) -> TokenClaim:
    """What a token says, once it is found to be of these bytes; raises IllegalTimestamp, too."""
    claim = parse_token(token)
    if claim.imprint != hashlib.sha256(note).digest():
        raise IllegalTimestamp("the token is of other bytes than this checkpoint")
    return claim


def _time(content: bytes) -> datetime:
    match = _TIME.fullmatch(content.decode("ascii", "replace"))
    try:
        if match is None:
            raise ValueError
        return datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise MalformedTimestamp("the time of the token is no moment") from None


def _only(data: bytes, tag: int) -> bytes:
    """The content of the one element that these bytes are."""
    elements = _elements(data)
    if len(elements) != 1 or elements[0][0] != tag:
        raise MalformedTimestamp("this is no time-stamp of RFC 3161: not the DER that it should be")
    return elements[0][1]


def _elements(data: bytes) -> list[Element]:
    """The elements that stand one after the other; tags of one byte, lengths as DER has them (X.690 10.1)."""
    elements: list[Element] = []
    offset = 0
    while offset < len(data):
        tag, begin = data[offset], offset + 2
        length = data[offset + 1] if begin <= len(data) else 0
        if length >= 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[begin : begin + size])
            begin += size
        if begin > len(data) or begin + length > len(data) or tag & 0x1F == 0x1F:
            raise MalformedTimestamp("this is no time-stamp of RFC 3161: its DER is cut off")
        elements.append((tag, data[begin : begin + length]))
        offset = begin + length
    return elements
