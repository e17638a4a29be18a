"""RFC 4588 §4, against aiortc's."""

from __future__ import annotations

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unwrap_rtx, wrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from media.errors import MalformedPayload, MalformedRtp
from media.rtp import HEADER, header_size
from media.rtx import unwrap

MEDIA, REPAIR = 0x1111, 0x2222
MID = bytes.fromhex("bede 0001 4031 0000")  # RFC 8285 §4.2: "1" under identifier 4


def repair(payload: bytes, *, first: int = 0x80, second: int = 97, between: bytes = b"") -> bytes:
    return HEADER.pack(first, second, 7, 90_000, REPAIR) + between + payload


def _mid_parameters() -> RTCRtpParameters:
    uri = "urn:ietf:params:rtp-hdrext:sdes:mid"
    return RTCRtpParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(id=4, uri=uri)])


def unwrapped(packet: bytes) -> bytes:
    return unwrap(packet, header_size(packet), payload_type=96, ssrc=MEDIA)


@pytest.mark.parametrize(
    ("packet", "original"),
    [
        pytest.param(
            repair(b"\x12\x34 picture"),
            HEADER.pack(0x80, 96, 0x1234, 90_000, MEDIA) + b" picture",
            id="§4: the OSN becomes the number, the timestamp is the original's",
        ),
        pytest.param(
            repair(b"\x12\x34 picture", second=0x80 | 97),
            HEADER.pack(0x80, 0x80 | 96, 0x1234, 90_000, MEDIA) + b" picture",
            id="§4: the marker is the original's",
        ),
        pytest.param(
            repair(b"\x12\x34 picture", first=0x91, between=b"csrc" + MID),
            HEADER.pack(0x91, 96, 0x1234, 90_000, MEDIA) + b"csrc" + MID + b" picture",
            id="§4: contributing sources and extensions stay",
        ),
        pytest.param(
            repair(b"\x12\x34 picture\x00\x02", first=0xA0),
            HEADER.pack(0xA0, 96, 0x1234, 90_000, MEDIA) + b" picture\x00\x02",
            id="padding stays behind the payload",
        ),
        pytest.param(
            repair(b"\xff\xff"), HEADER.pack(0x80, 96, 0xFFFF, 90_000, MEDIA), id="an original of nothing"
        ),
    ],
)
def test_the_original_as_the_standard_describes_it(packet: bytes, original: bytes) -> None:
    assert unwrapped(packet) == original


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(repair(b""), id="empty"),
        pytest.param(repair(b"\x01"), id="half an OSN"),
        pytest.param(repair(bytes(99) + b"\x64", first=0xA0), id="nothing but padding"),
        pytest.param(repair(b"\x01" + bytes(98) + b"\x63", first=0xA0), id="padding, and half an OSN"),
        pytest.param(repair(b"", first=0x90, between=MID), id="nothing but an extension"),
    ],
)
def test_a_probe_has_no_original(packet: bytes) -> None:
    with pytest.raises(MalformedPayload):
        unwrapped(packet)


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.booleans(),
    st.binary(min_size=1, max_size=50),
    st.booleans(),
)
def test_against_aiortc(number: int, own_number: int, marker: bool, payload: bytes, extended: bool) -> None:
    theirs = RtpPacket(
        payload_type=96, marker=marker, sequence_number=number, timestamp=5, ssrc=MEDIA, payload=payload
    )
    extensions = HeaderExtensionsMap()
    if extended:
        extensions.configure(_mid_parameters())
        theirs.extensions.mid = "1"
    wrapped = wrap_rtx(theirs, payload_type=97, sequence_number=own_number, ssrc=REPAIR)
    packet = wrapped.serialize(extensions)
    assert unwrapped(packet) == theirs.serialize(extensions)
    again = unwrap_rtx(RtpPacket.parse(packet, extensions), payload_type=96, ssrc=MEDIA)
    assert unwrapped(packet) == again.serialize(extensions)


@given(st.binary(max_size=60), st.sampled_from([0x80, 0x81, 0x90, 0xA0, 0xB1]))
def test_any_packet_of_a_checked_header_is_unwrapped_or_malformed(rest: bytes, first: int) -> None:
    packet = HEADER.pack(first, 97, 1, 2, REPAIR) + rest
    try:
        header_size(packet)
    except MalformedRtp:
        return
    try:
        original = unwrapped(packet)
    except MalformedPayload:
        return
    assert header_size(original) == header_size(packet)
    assert len(original) == len(packet) - 2
