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
    extensions,
    header_size,
    parse_header,
    payload,
    rewrite_extensions,
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
    """A table of identifiers: `table(_3=5)` makes 5 of 3 and blanks the others."""
    identifiers = bytearray(IDENTIFIERS)
    for name, identifier in renamed.items():
        identifiers[int(name[1:])] = identifier
    return bytes(identifiers)


def rewritten(packet: bytes, identifiers: bytes) -> bytes:
    patched = bytearray(packet)
    rewrite_extensions(patched, identifiers, header_size(packet))
    return bytes(patched)


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
def test_rewriting_renames_what_the_table_names_and_blanks_the_rest(
    elements: list[tuple[int, bytes]], identifiers: bytes
) -> None:
    profile, value = pack_header_extensions(elements)
    if not profile:
        return
    packet = packet_with(profile.to_bytes(2) + value)
    largest = 14 if profile == 0xBEDE else 255
    expected = [
        (identifiers[identifier], data)
        for identifier, data in elements
        if 0 < identifiers[identifier] <= largest
    ]
    result = rewritten(packet, identifiers)
    assert len(result) == len(packet)
    assert payload(result) == b"body"
    assert unpack_header_extensions(profile, result[16 : header_size(result)]) == expected


@EXAMPLES
@given(st.one_of(anything, nearly_packets), st.binary(min_size=IDENTIFIERS, max_size=IDENTIFIERS))
def test_any_bytes_are_read_and_rewritten_or_malformed(packet: bytes, identifiers: bytes) -> None:
    try:
        size = header_size(packet)
        header = parse_header(packet)
        body = payload(packet)
        extensions(packet)
    except MalformedRtp:
        return
    assert header.size_bytes == size
    if packet[0] & 0x10:
        result = rewritten(packet, identifiers)
        assert len(result) == len(packet)
        assert payload(result) == body


@pytest.mark.parametrize(
    ("extension", "result"),
    [
        pytest.param("bede 30aa 40bb", "bede 50aa 0000", id="§4.2: rename one, blank one"),
        pytest.param("bede 0030 aa00", "bede 0050 aa00", id="§4.2: padding before and behind"),
        pytest.param("bede f130 aa00", "bede 0000 0000", id="§4.2: 15 ends the list"),
        pytest.param("bede 35aa bbcc", "bede 0000 0000", id="an element that is cut off"),
        pytest.param("1000 0301 aa00", "1000 0501 aa00", id="§4.3: two-byte form"),
        pytest.param("100f 0300 0402 aabb 0000", "100f 0500 0000 0000 0000", id="§4.3: appbits, and no data"),
        pytest.param("1000 0309 aa00", "1000 0000 0000", id="§4.3: an element that is cut off"),
        pytest.param("cafe 3031 3233", "cafe 0000 0000", id="another profile"),
    ],
)
def test_header_extensions_are_rewritten_in_place(extension: str, result: str) -> None:
    packet = packet_with(bytes.fromhex(extension))
    assert rewritten(packet, table(_3=5)) == packet_with(bytes.fromhex(result))


def test_an_identifier_that_does_not_fit_the_one_byte_form_is_blanked() -> None:
    packet = packet_with(bytes.fromhex("bede 30aa 0000"))
    assert extensions(rewritten(packet, table(_3=15))) == []
    assert extensions(rewritten(packet, table(_3=14))) == [(14, b"\xaa")]
