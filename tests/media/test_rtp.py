"""RFC 3550 §5.1 and RFC 8285, against aiortc's parser."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import RtpPacket, pack_header_extensions, unpack_header_extensions
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import MalformedRtp
from media.rtp import (
    IDENTIFIERS,
    element_at,
    extension_block,
    extensions,
    header_end,
    header_size,
    parse_header,
    passed_elements,
    payload,
)

EXAMPLES = settings(max_examples=200, deadline=None)

one_byte_elements = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=5)
two_byte_elements = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=20)), max_size=5)
anything = st.binary(max_size=64)
# Bytes that get past the first checks: version 2, any flags, a short body.
nearly_packets = st.builds(
    lambda flags, rest: bytes([0x80 | flags]) + rest,
    st.integers(0, 0x3F),
    st.binary(min_size=11, max_size=120),
)


def packet_with(extension: bytes, body: bytes = b"body") -> bytes:
    """A packet whose header extension is `extension`: profile, then elements that fill whole words."""
    words = (len(extension) - 2) // 4
    head = struct.pack("!BBHII", 0x90, 96, 7, 8, 9)
    return head + extension[:2] + words.to_bytes(2) + extension[2:] + body


def table(**renamed: int) -> bytes:
    """A table of identifiers: `table(_3=5)` makes 5 of 3 and leaves the others out."""
    identifiers = bytearray(IDENTIFIERS)
    for name, identifier in renamed.items():
        identifiers[int(name[1:])] = identifier
    return bytes(identifiers)


def renamed(packet: bytes, identifiers: bytes) -> bytes:
    """The packet with the elements that the table names, as a forwarder makes it."""
    block = extension_block(passed_elements(packet, identifiers))
    first = packet[0] if block else packet[0] & ~0x10
    csrc = packet[12 : 12 + 4 * (packet[0] & 0x0F)]
    return bytes([first]) + packet[1:12] + csrc + block + packet[header_size(packet) :]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        pytest.param(b"", "0 bytes", id="nothing"),
        pytest.param(bytes(11), "11 bytes", id="half a header"),
        pytest.param(b"\x40" + bytes(11), "version 1", id="another version"),
        pytest.param(b"\x81" + bytes(11), "longer than the packet", id="§5.1 CC: a CSRC that is not there"),
        pytest.param(b"\x90" + bytes(11), "cut off", id="§5.3.1: X without an extension"),
        pytest.param(b"\x90" + bytes(11) + b"\xbe\xde\x00\x01", "longer than", id="§5.3.1: a cut extension"),
        pytest.param(b"\xa0" + bytes(11), "padding", id="§5.1 P: without a payload"),
        pytest.param(b"\xa0" + bytes(11) + b"\x00", "padding", id="§5.1 P: of no bytes"),
        pytest.param(b"\xa0" + bytes(11) + b"\x01\x03", "padding", id="§5.1 P: longer than the payload"),
    ],
)
def test_a_malformed_header_is_refused(packet: bytes, reason: str) -> None:
    with pytest.raises(MalformedRtp, match=reason):
        header_size(packet)


@EXAMPLES
@given(st.one_of(anything, nearly_packets))
def test_against_aiortc_parser(packet: bytes) -> None:
    try:
        theirs = RtpPacket.parse(packet)
    except ValueError:
        # aiortc also refuses a packet for a cut element of its extension; the media behind it is sound.
        try:
            ours = parse_header(packet)
        except MalformedRtp:
            return
        assert packet[0] & 0x10, "we read what aiortc refuses"
        assert ours.size_bytes <= len(packet)
        return
    ours = parse_header(packet)
    assert ours.payload_type == theirs.payload_type
    assert ours.marker == bool(theirs.marker)
    assert ours.sequence_number == theirs.sequence_number
    assert ours.rtp_timestamp == theirs.timestamp
    assert ours.ssrc == theirs.ssrc
    assert ours.padding_bytes == theirs.padding_size
    assert payload(packet) == theirs.payload


@EXAMPLES
@given(st.one_of(one_byte_elements, two_byte_elements))
def test_extensions_against_aiortc_packer(elements: list[tuple[int, bytes]]) -> None:
    profile, value = pack_header_extensions(elements)
    if profile:
        assert extensions(packet_with(profile.to_bytes(2) + value)) == elements


@EXAMPLES
@given(st.one_of(one_byte_elements, two_byte_elements), st.binary(min_size=IDENTIFIERS, max_size=IDENTIFIERS))
def test_what_the_table_names_goes_on_in_the_one_byte_form(
    elements: list[tuple[int, bytes]], identifiers: bytes
) -> None:
    profile, value = pack_header_extensions(elements)
    if not profile:
        return
    packet = packet_with(profile.to_bytes(2) + value)
    expected = [
        (identifiers[identifier], data)
        for identifier, data in elements
        if 0 < identifiers[identifier] <= 14 and 0 < len(data) <= 16
    ]
    result = renamed(packet, identifiers)
    assert payload(result) == b"body"
    assert extensions(result) == expected
    assert header_end(result) == header_size(result)
    if expected:
        assert unpack_header_extensions(0xBEDE, result[16 : header_size(result)]) == expected


@EXAMPLES
@given(one_byte_elements, st.integers(1, 14))
def test_an_element_is_found_where_it_stands(elements: list[tuple[int, bytes]], wanted: int) -> None:
    profile, value = pack_header_extensions(elements)
    packet = packet_with(profile.to_bytes(2) + value) if profile == 0xBEDE else packet_with(b"\xbe\xde")
    at = element_at(packet, wanted, header_size(packet))
    data = next((data for identifier, data in elements if identifier == wanted), b"")
    assert bool(at) == bool(data)
    assert packet[at : at + len(data)] == data or not data


@EXAMPLES
@given(st.one_of(anything, nearly_packets), st.binary(min_size=IDENTIFIERS, max_size=IDENTIFIERS))
def test_any_bytes_are_read_and_renamed_or_malformed(packet: bytes, identifiers: bytes) -> None:
    try:
        size = header_size(packet)
        header = parse_header(packet)
        body = payload(packet)
        extensions(packet)
    except MalformedRtp:
        return
    assert header.size_bytes == size
    if packet[0] & 0x10:
        assert payload(renamed(packet, identifiers)) == body
        at = element_at(packet, 3, size)
        assert at == 0 or at < size


@pytest.mark.parametrize(
    ("extension", "result"),
    [
        pytest.param("bede 30aa 40bb", "50aa", id="§4.2: rename one, leave one out"),
        pytest.param("bede 0030 aa00", "50aa", id="§4.2: padding before and behind"),
        pytest.param("bede f130 aa00", "", id="§4.2: 15 ends the list"),
        pytest.param("bede 35aa bbcc", "", id="an element that is cut off"),
        pytest.param("1000 0301 aa00", "50aa", id="§4.3: two-byte form"),
        pytest.param("100f 0300 0402 aabb 0000", "", id="§4.3: appbits, and no data"),
        pytest.param("1000 0309 aa00", "", id="§4.3: an element that is cut off"),
        pytest.param("cafe 3031 3233", "", id="another profile"),
    ],
)
def test_header_extensions_are_passed_on_by_name(extension: str, result: str) -> None:
    packet = packet_with(bytes.fromhex(extension))
    assert passed_elements(packet, table(_3=5)) == bytes.fromhex(result)


def test_an_identifier_that_does_not_fit_the_one_byte_form_is_left_out() -> None:
    packet = packet_with(bytes.fromhex("bede 30aa 0000"))
    assert passed_elements(packet, table(_3=15)) == b""
    assert passed_elements(packet, table(_3=14)) == b"\xe0\xaa"
