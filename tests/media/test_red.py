"""RFC 2198 §3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import MalformedPayload
from media.red import MAX_BLOCK_BYTES, MAX_BLOCKS, MAX_OFFSET, Redundancy, Redundant, encode_head, parse

BLOCKS = st.lists(
    st.builds(
        Redundant,
        st.integers(0, 127),
        st.integers(0, MAX_OFFSET),
        st.binary(max_size=80) | st.just(bytes(MAX_BLOCK_BYTES)),
    ),
    max_size=MAX_BLOCKS,
)


@pytest.mark.parametrize(
    ("payload", "payload_type", "blocks", "primary"),
    [
        pytest.param("6f 0a0b", 111, [], "0a0b", id="§3: the primary alone, F is 0, one byte of header"),
        pytest.param(
            "ef 0f00 02 6f 0102 0a0b",
            111,
            [Redundant(111, 960, b"\x01\x02")],
            "0a0b",
            id="§3: F, block PT, offset of 14 bits, length of 10 bits",
        ),
        pytest.param(
            "ef 1e00 01 ef 0f00 02 6f 09 0102 0a0b",
            111,
            [Redundant(111, 1920, b"\x09"), Redundant(111, 960, b"\x01\x02")],
            "0a0b",
            id="§3: the data of the blocks follow in the order of their headers",
        ),
        pytest.param("ef 0f00 00 6f 0a", 111, [Redundant(111, 960, b"")], "0a", id="a block of nothing"),
        pytest.param("ef 0f00 01 6f 01", 111, [Redundant(111, 960, b"\x01")], "", id="a primary of nothing"),
    ],
)
def test_blocks_as_the_standard_draws_them(
    payload: str, payload_type: int, blocks: list[Redundant], primary: str
) -> None:
    packet = b"a header" + bytes.fromhex(payload)
    found = parse(packet, 8)
    assert found == Redundancy(payload_type, len(packet) - len(bytes.fromhex(primary)), blocks)
    assert packet[found.start :] == bytes.fromhex(primary)
    assert encode_head(payload_type, blocks) == packet[8 : found.start]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("", id="nothing"),
        pytest.param("ef 0f00", id="half a block header"),
        pytest.param("ef 0f00 02", id="no primary header"),
        pytest.param("ef 0f00 02 6f 01", id="a block beyond the packet"),
        pytest.param("ef 0f00 00" * (MAX_BLOCKS + 1) + "6f", id="more blocks than anybody makes"),
    ],
)
def test_what_does_not_fit_is_malformed(payload: str) -> None:
    with pytest.raises(MalformedPayload):
        parse(bytes.fromhex(payload), 0)


@given(st.binary(max_size=200), st.integers(0, 20))
def test_any_bytes_are_read_or_malformed(packet: bytes, start: int) -> None:
    try:
        found = parse(packet, start)
    except MalformedPayload:
        return
    assert encode_head(found.payload_type, found.blocks) == packet[start : found.start]


@given(st.integers(0, 127), BLOCKS, st.binary(max_size=80), st.binary(max_size=20))
def test_what_is_encoded_is_read_back(
    payload_type: int, blocks: list[Redundant], primary: bytes, header: bytes
) -> None:
    packet = header + encode_head(payload_type, blocks) + primary
    assert parse(packet, len(header)) == Redundancy(payload_type, len(packet) - len(primary), blocks)
