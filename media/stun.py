"""STUN as far as an ICE-lite end needs it: Binding requests in, responses out (RFC 8489, RFC 8445 §7).

     0               1               2               3
    +---------------+---------------+---------------+---------------+
    |0 0| message type (14 bits)    | message length (without these 20 bytes)
    +---------------+---------------+---------------+---------------+
    | magic cookie 0x2112A442, then 96 bits of transaction id       |
    +---------------+---------------+---------------+---------------+
    | attribute type                | attribute length              |
    | value, padded to a multiple of four bytes …                   |

MESSAGE-INTEGRITY signs all that stands before it, FINGERPRINT closes the message. What follows
MESSAGE-INTEGRITY is unsigned and ignored. Addresses are those of the socket: (host, port, …).
"""

from __future__ import annotations

import binascii
import hmac
import ipaddress
import struct
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from media.errors import IllegalCheck, MalformedStun

BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111

HEADER_BYTES = 20
MAGIC_COOKIE = 0x2112A442
FINGERPRINT_XOR = 0x5354554E  # RFC 8489 §14.7
MAX_USERNAME_BYTES = 513  # RFC 8445 §16: two fragments of 256 characters and the colon

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029

# RFC 8489 §15: types below 0x8000 must be understood. Those that mean nothing in a check are still known.
UNDERSTOOD = frozenset(
    {USERNAME, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E}
)

ROLE_CONFLICT = (487, "Role Conflict")
UNKNOWN_ATTRIBUTE = (420, "Unknown Attribute")


class TcpAddress(NamedTuple):
    """The far end of a TCP connection; `connection` tells it from every other that there was."""

    host: str
    port: int
    connection: int


# As the socket gives and takes it: (host, port) for IPv4, (host, port, flow information, scope) for IPv6.
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | TcpAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRequest:
    """A check as it came: well-formed, but nobody's word until `check_integrity` has returned."""

    transaction_id: bytes
    local_ufrag: str  # ours: the first half of the user name
    remote_ufrag: str
    use_candidate: bool
    controlled: bool  # the peer believes that it is the controlled end
    unknown_attributes: tuple[int, ...]
    signed: bytes  # what MESSAGE-INTEGRITY signs
    integrity: bytes


def parse_binding_request(datagram: bytes) -> BindingRequest:
    """Raises `MalformedStun` for whatever is not a Binding request with user name and integrity."""
    if len(datagram) < HEADER_BYTES:
        raise MalformedStun("shorter than a STUN header")
    message_type, length, cookie = struct.unpack_from("!HHI", datagram)
    if message_type != BINDING_REQUEST or cookie != MAGIC_COOKIE:
        raise MalformedStun("not a Binding request")
    if length % 4 or HEADER_BYTES + length != len(datagram):
        raise MalformedStun("the length does not match the datagram")

    username: bytes | None = None
    integrity: bytes | None = None
    signed = b""
    use_candidate = controlled = False
    unknown: list[int] = []
    position = HEADER_BYTES
    while position < len(datagram):
        kind, size_bytes = struct.unpack_from("!HH", datagram, position)
        end = position + 4 + size_bytes
        if end > len(datagram):
            raise MalformedStun("an attribute is longer than the message")
        value = datagram[position + 4 : end]
        if kind == FINGERPRINT:
            # RFC 8489 §14.7: the CRC-32 of what stands before it; it is the last attribute.
            if size_bytes != 4 or end != len(datagram):
                raise MalformedStun("FINGERPRINT is not the last attribute, or not four bytes long")
            if int.from_bytes(value) != binascii.crc32(datagram[:position]) ^ FINGERPRINT_XOR:
                raise MalformedStun("FINGERPRINT does not match")
        elif integrity is not None:
            pass  # RFC 8489 §9.1: what follows MESSAGE-INTEGRITY is ignored
        elif kind == MESSAGE_INTEGRITY:
            if size_bytes != 20:
                raise MalformedStun("MESSAGE-INTEGRITY is not 20 bytes long")
            # RFC 8489 §14.5: signed with the length as if the message ended right behind this attribute.
            signed = datagram[:2] + struct.pack("!H", end - HEADER_BYTES) + datagram[4:position]
            integrity = value
        elif kind == USERNAME:
            username = value
        elif kind == USE_CANDIDATE:
            use_candidate = True
        elif kind == ICE_CONTROLLED:
            controlled = True
        elif kind < 0x8000 and kind not in UNDERSTOOD:
            unknown.append(kind)
        position = end + -size_bytes % 4
    if username is None or integrity is None:
        raise MalformedStun("USERNAME or MESSAGE-INTEGRITY is missing")
    local_ufrag, remote_ufrag = _fragments(username)
    return BindingRequest(
        transaction_id=datagram[8:HEADER_BYTES],
        local_ufrag=local_ufrag,
        remote_ufrag=remote_ufrag,
        use_candidate=use_candidate,
        controlled=controlled,
        unknown_attributes=tuple(unknown),
        signed=signed,
        integrity=integrity,
    )


def _fragments(username: bytes) -> tuple[str, str]:
    # RFC 8445 §7.2.2: the fragment of whom is asked, a colon, the fragment of who asks.
    if len(username) > MAX_USERNAME_BYTES or not username.isascii() or username.count(b":") != 1:
        raise MalformedStun("USERNAME is not two user fragments with a colon between them")
    local, remote = username.decode("ascii").split(":")
    return local, remote


def check_integrity(request: BindingRequest, password: bytes) -> None:
    """Returns if the request was signed with this password, else raises `IllegalCheck`."""
    if not hmac.compare_digest(hmac.digest(password, request.signed, "sha1"), request.integrity):
        raise IllegalCheck("the check is not signed with the password of its user fragment")


def encode_success(request: BindingRequest, source: Address, password: bytes) -> bytes:
    """The response that tells a peer the address it was seen from."""
    # RFC 8489 §14.2: the port is covered by the cookie's upper half, the address by cookie and id.
    address = ipaddress.ip_address(source[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # a socket for both families shows an IPv4 peer as ::ffff:a.b.c.d
    cover = (struct.pack("!I", MAGIC_COOKIE) + request.transaction_id)[: len(address.packed)]
    covered = bytes(a ^ b for a, b in zip(address.packed, cover, strict=True))
    family = 1 if address.version == 4 else 2
    value = struct.pack("!BBH", 0, family, source[1] ^ (MAGIC_COOKIE >> 16)) + covered
    return _signed(BINDING_SUCCESS, request.transaction_id, _attribute(XOR_MAPPED_ADDRESS, value), password)


def encode_error(request: BindingRequest, error: tuple[int, str], password: bytes) -> bytes:
    """A refusal; for `UNKNOWN_ATTRIBUTE` it names the attributes (RFC 8489 §14.9)."""
    code, reason = error
    attributes = _attribute(ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode())
    if error == UNKNOWN_ATTRIBUTE:
        kinds = request.unknown_attributes
        attributes += _attribute(UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(kinds)}H", *kinds))
    return _signed(BINDING_ERROR, request.transaction_id, attributes, password)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _signed(message_type: int, transaction_id: bytes, attributes: bytes, password: bytes) -> bytes:
    def message(body: bytes, more_bytes: int) -> bytes:
        return struct.pack("!HHI", message_type, len(body) + more_bytes, MAGIC_COOKIE) + transaction_id + body

    digest = hmac.digest(password, message(attributes, 24), "sha1")
    attributes += _attribute(MESSAGE_INTEGRITY, digest)
    checksum = binascii.crc32(message(attributes, 8)) ^ FINGERPRINT_XOR
    return message(attributes + _attribute(FINGERPRINT, struct.pack("!I", checksum)), 0)
