"""Packets come out of a stream as they went in, however it was cut; nonsense is told apart from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import MalformedFraming
from media.framing import MAX_PACKET_BYTES, FrameReader, encode_frame


@given(packets=st.lists(st.binary(max_size=300), max_size=12), cuts=st.lists(st.integers(1, 700)))
def test_packets_survive_any_cutting_of_the_stream(packets: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(encode_frame, packets))
    reader = FrameReader()
    read: list[bytes] = []
    for cut in [*cuts, len(stream)]:
        piece, stream = stream[:cut], stream[cut:]
        read += reader.handle_bytes(piece)
    assert read + reader.handle_bytes(stream) == packets


@given(pieces=st.lists(st.binary(max_size=5_000), max_size=8))
def test_any_bytes_give_packets_or_raise_their_own_error(pieces: list[bytes]) -> None:
    reader = FrameReader()
    try:
        packets = [packet for piece in pieces for packet in reader.handle_bytes(piece)]
    except MalformedFraming:
        return
    assert all(len(packet) <= MAX_PACKET_BYTES for packet in packets)


def test_the_longest_packet_passes_and_a_longer_one_does_not() -> None:
    longest = bytes(MAX_PACKET_BYTES)
    assert FrameReader().handle_bytes(encode_frame(longest)) == [longest]
    with pytest.raises(ValueError, match="too long"):
        encode_frame(longest + b"x")
    with pytest.raises(MalformedFraming):
        FrameReader().handle_bytes((MAX_PACKET_BYTES + 1).to_bytes(2))
