"""Binding requests are read and answered as aioice, an independent implementation, writes and reads them."""

from __future__ import annotations

import binascii
import struct

import pytest
from aioice import stun as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import IllegalCheck, MalformedStun
from media.stun import (
    ROLE_CONFLICT,
    UNKNOWN_ATTRIBUTE,
    Address,
    BindingRequest,
    check_integrity,
    encode_error,
    encode_success,
    parse_binding_request,
)

PASSWORD = b"p" * 22


def check(*, use_candidate: bool = False, controlled: bool = False) -> bytes:
    message = oracle.Message(
        oracle.Method.BINDING,
        oracle.Class.REQUEST,
        transaction_id=b"transaction!",
        attributes={"USERNAME": "ours:theirs", "PRIORITY": 5},
    )
    message.attributes["ICE-CONTROLLED" if controlled else "ICE-CONTROLLING"] = 7
    if use_candidate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(PASSWORD)
    return bytes(message)


def signed(*attributes: tuple[int, bytes]) -> bytes:
    """A request of any attributes, signed and without FINGERPRINT."""
    body = b"".join(
        struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in attributes
    )
    header = struct.pack("!HHI", 1, len(body) + 24, 0x2112A442) + b"transaction!"
    return header + body + struct.pack("!HH", 8, 20) + oracle.message_integrity(header + body, PASSWORD)


@pytest.mark.parametrize("use_candidate", [True, False])
@pytest.mark.parametrize("controlled", [True, False])
def test_a_check_of_aioice_is_understood(use_candidate: bool, controlled: bool) -> None:
    request = parse_binding_request(check(use_candidate=use_candidate, controlled=controlled))
    assert (request.local_ufrag, request.remote_ufrag) == ("ours", "theirs")
    assert (request.use_candidate, request.controlled) == (use_candidate, controlled)
    assert request.transaction_id == b"transaction!"
    assert request.unknown_attributes == ()
    check_integrity(request, PASSWORD)


def test_another_password_is_illegal() -> None:
    with pytest.raises(IllegalCheck):
        check_integrity(parse_binding_request(check()), b"q" * 22)


def test_any_flipped_bit_of_what_is_signed_is_found() -> None:
    original = check(use_candidate=True)
    for position in range(len(original) - 8):  # FINGERPRINT stands behind the signature
        datagram = bytearray(original)
        datagram[position] ^= 1
        with pytest.raises((MalformedStun, IllegalCheck)):
            check_integrity(parse_binding_request(bytes(datagram)), PASSWORD)


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (("192.0.2.1", 40_000), ("192.0.2.1", 40_000)),
        (("2001:db8::1", 40_000, 0, 0), ("2001:db8::1", 40_000)),
        (("fe80::1%eth0", 40_000, 0, 4), ("fe80::1", 40_000)),
        (("::ffff:192.0.2.1", 40_000, 0, 0), ("192.0.2.1", 40_000)),
    ],
)
def test_the_response_tells_the_source_against_aioice(source: Address, seen: tuple[str, int]) -> None:
    response = oracle.parse_message(encode_success(parse_binding_request(check()), source, PASSWORD))
    assert response.message_class is oracle.Class.RESPONSE
    assert response.transaction_id == b"transaction!"
    assert response.attributes["XOR-MAPPED-ADDRESS"] == seen
    assert response.check_message_integrity(PASSWORD)
    assert "FINGERPRINT" in response.attributes


@pytest.mark.parametrize("error", [ROLE_CONFLICT, UNKNOWN_ATTRIBUTE])
def test_a_refusal_is_signed_and_says_why(error: tuple[int, str]) -> None:
    request = parse_binding_request(signed((6, b"ours:theirs"), (0x7777, b"x")))
    response = oracle.parse_message(encode_error(request, error, PASSWORD))
    assert response.message_class is oracle.Class.ERROR
    assert response.attributes["ERROR-CODE"] == error
    assert response.check_message_integrity(PASSWORD)


def test_unknown_attributes_that_must_be_understood_are_named() -> None:
    request = parse_binding_request(signed((6, b"ours:theirs"), (0x7777, b"x"), (0xC057, b"optional")))
    assert request.unknown_attributes == (0x7777,)  # RFC 8489 §15: from 0x8000 on they may be ignored
    assert struct.pack("!HHHH", 0x000A, 2, 0x7777, 0) in encode_error(request, UNKNOWN_ATTRIBUTE, PASSWORD)


def test_nothing_behind_the_integrity_counts() -> None:
    datagram = bytearray(signed((6, b"ours:theirs")) + struct.pack("!HH", 0x0025, 0))
    datagram[2:4] = struct.pack("!H", len(datagram) - 20)
    request = parse_binding_request(bytes(datagram))
    check_integrity(request, PASSWORD)
    assert not request.use_candidate


def with_checksum(datagram: bytes) -> bytes:
    header = datagram[:2] + struct.pack("!H", len(datagram) - 12) + datagram[4:]
    return header + struct.pack("!HHI", 0x8028, 4, binascii.crc32(header) ^ 0x5354554E)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        check()[:19],
        check()[:-1],
        check() + b"\0\0\0\0",
        b"\0\x11" + check()[2:],  # an indication
        b"\1\1" + check()[2:],  # a response
        struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12),  # neither user name nor integrity
        struct.pack("!HHI", 1, 0, 0x2112A443) + bytes(12),  # RFC 3489, without the cookie
        struct.pack("!HHI", 1, 4, 0x2112A442) + bytes(12) + struct.pack("!HH", 6, 400),
        signed((6, b"ours")),
        signed((6, b"a:b:c")),
        signed((6, "öurs:theirs".encode())),
        signed((6, b"x" * 600 + b":y")),
        with_checksum(signed((6, b"ours:theirs")))[:-1] + b"\0",
    ],
)
def test_what_is_no_well_formed_check_is_malformed(datagram: bytes) -> None:
    with pytest.raises(MalformedStun):
        parse_binding_request(datagram)


def test_a_right_checksum_is_accepted() -> None:
    assert parse_binding_request(with_checksum(signed((6, b"ours:theirs")))).local_ufrag == "ours"


@st.composite
def near_checks(draw: st.DrawFn) -> bytes:
    datagram = bytearray(draw(st.sampled_from([check(), signed((6, b"ours:theirs"), (0x25, b""))])))
    for _ in range(draw(st.integers(0, 6))):
        datagram[draw(st.integers(0, len(datagram) - 1))] = draw(st.integers(0, 255))
    datagram += draw(st.binary(max_size=40))
    if draw(st.booleans()):
        datagram[2:4] = struct.pack("!H", len(datagram) - 20)
    return bytes(datagram)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=100), near_checks()))
def test_any_datagram_is_a_request_or_malformed(datagram: bytes) -> None:
    try:
        request = parse_binding_request(datagram)
    except MalformedStun:
        return
    assert isinstance(request, BindingRequest)
    assert len(request.integrity) == 20
