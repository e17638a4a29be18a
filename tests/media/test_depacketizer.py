"""RFC 7741 and RFC 6184, against the tables of both and against aiortc's own depacketisers."""

from __future__ import annotations

import contextlib

import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import VpxPayloadDescriptor, vp8_depayload
from hypothesis import given, settings
from hypothesis import strategies as st

from media.depacketizer import (
    H264,
    VP8,
    depacketize,
    is_keyframe_slice,
    is_keyframe_start,
    nal_types,
    shows_picture,
)
from media.errors import MalformedPayload
from tests.media.video_source import encode

VP8_KEYFRAME = b"\x10\x02\x00\x9d\x01\x2a\xa0\x00\x80\x00"  # shown, 160 x 128 (RFC 6386 §9.1)
VP8_INTERFRAME = b"\x11\x02\x00\xff"
VP8_HIDDEN_KEYFRAME = b"\x00" + VP8_KEYFRAME[1:]

# RFC 7741 §4.2: every shape of the payload descriptor of a packet that begins a frame.
START_DESCRIPTORS = [
    pytest.param(b"\x10", id="one octet"),
    pytest.param(b"\x30", id="N: a non-reference frame"),
    pytest.param(b"\x90\x00", id="X without any extension"),
    pytest.param(b"\x90\x80\x11", id="I: 7 bits of picture id"),
    pytest.param(b"\x90\x80\x91\x22", id="I, M: 15 bits of picture id"),
    pytest.param(b"\x90\x40\x07", id="L: TL0PICIDX"),
    pytest.param(b"\x90\x20\x60", id="T: TID and Y"),
    pytest.param(b"\x90\x10\x1f", id="K: KEYIDX"),
    pytest.param(b"\x90\xf0\x91\x22\x07\x7f", id="all of them"),
]


@pytest.mark.parametrize("descriptor", START_DESCRIPTORS)
def test_a_vp8_keyframe_is_found_behind_any_descriptor(descriptor: bytes) -> None:
    assert is_keyframe_start(VP8, descriptor + VP8_KEYFRAME)
    assert not is_keyframe_start(VP8, descriptor + VP8_INTERFRAME)
    assert depacketize(VP8, [descriptor + VP8_KEYFRAME]) == VP8_KEYFRAME


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x00" + VP8_KEYFRAME, id="S = 0: a continuation"),
        pytest.param(b"\x11" + VP8_KEYFRAME, id="PID = 1: a later partition"),
        pytest.param(b"\x10" + VP8_KEYFRAME[:9], id="a header that is cut off"),
        pytest.param(b"\x10" + b"\x10\x02\x00\x9d\x01\x2b\xa0\x00\x80\x00", id="a wrong start code"),
        pytest.param(b"\x90\x80", id="a descriptor that is cut off"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_begins_no_vp8_keyframe_is_not_taken_for_one(payload: bytes) -> None:
    assert not is_keyframe_start(VP8, payload)


def test_a_hidden_vp8_frame_shows_no_picture() -> None:
    assert shows_picture(VP8, b"\x10" + VP8_KEYFRAME)
    assert not shows_picture(VP8, b"\x10" + VP8_HIDDEN_KEYFRAME)
    assert not shows_picture(VP8, b"\x00" + VP8_KEYFRAME)


SPS, PPS, SEI, IDR, SLICE = b"\x67\x42", b"\x68\xce", b"\x06\x05", b"\x65\x88", b"\x41\x9a"


def stap_a(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in units)


# (payload, begins a keyframe, belongs to a keyframe's picture, shows a picture); RFC 6184 §5.2.
H264_PAYLOADS = [
    pytest.param(SPS, True, None, False, id="SPS alone"),
    pytest.param(PPS, False, None, False, id="PPS alone"),
    pytest.param(SEI, False, None, False, id="SEI alone"),
    pytest.param(IDR, False, True, True, id="IDR slice"),
    pytest.param(SLICE, False, False, True, id="slice"),
    pytest.param(stap_a(SPS, PPS), True, None, False, id="STAP-A of SPS and PPS"),
    pytest.param(stap_a(SEI, SPS, PPS, IDR), True, True, True, id="STAP-A with all of a keyframe"),
    pytest.param(stap_a(SLICE, SLICE), False, False, True, id="STAP-A of slices"),
    pytest.param(b"\x7c\x85\x88", False, True, True, id="FU-A, start of an IDR slice"),
    pytest.param(b"\x7c\x45\x88", False, True, True, id="FU-A, end of an IDR slice"),
    pytest.param(b"\x5c\x81\x9a", False, False, True, id="FU-A, start of a slice"),
]


@pytest.mark.parametrize(("payload", "starts", "belongs", "shows"), H264_PAYLOADS)
def test_h264_payloads_are_told_apart(
    payload: bytes, starts: bool, belongs: bool | None, shows: bool
) -> None:
    assert is_keyframe_start(H264, payload) is starts
    assert is_keyframe_slice(H264, payload) is belongs
    assert shows_picture(H264, payload) is shows


def test_h264_fragments_and_aggregates_come_out_in_annex_b() -> None:
    payloads = [stap_a(SPS, PPS), b"\x7c\x85\x01\x02", b"\x7c\x05\x03", b"\x7c\x45\x04", SEI]
    start = b"\x00\x00\x00\x01"
    expected = start + SPS + start + PPS + start + b"\x65\x01\x02\x03\x04" + start + SEI
    assert depacketize(H264, payloads) == expected


MALFORMED = [
    pytest.param(VP8, [b"\x00" + VP8_KEYFRAME], id="VP8: no first packet"),
    pytest.param(VP8, [b"\x90"], id="VP8: descriptor cut off"),
    pytest.param(VP8, [b"\x90\xf0\x91\x22"], id="VP8: extensions cut off"),
    pytest.param(H264, [b""], id="H.264: empty"),
    pytest.param(H264, [b"\x7c\x05\x03"], id="H.264: a fragment that was not begun"),
    pytest.param(H264, [b"\x7c\x85\x03"], id="H.264: a fragment without an end"),
    pytest.param(H264, [b"\x7c\x85\x03", SLICE], id="H.264: a slice inside a fragmented one"),
    pytest.param(H264, [b"\x7c\x85\x03", b"\x7c\x85\x03"], id="H.264: begun twice"),
    pytest.param(H264, [b"\x7c\x85\x03", b"\x7c\x41\x03"], id="H.264: begun as one type, ended as another"),
    pytest.param(H264, [b"\x7c\xc5\x03"], id="H.264: S and E in one header (§5.8)"),
    pytest.param(H264, [b"\x78\x00\x05\x67"], id="H.264: STAP-A cut off"),
    pytest.param(H264, [b"\x78\x00\x00\x67"], id="H.264: STAP-A with an empty unit"),
    pytest.param(H264, [b"\x79\x00\x00\x00\x01\x67"], id="H.264: STAP-B is not in mode 1"),
    pytest.param("AV1", [b"\x00"], id="another codec"),
]


@pytest.mark.parametrize(("codec_name", "payloads"), MALFORMED)
def test_what_the_payload_format_forbids_is_refused(codec_name: str, payloads: list[bytes]) -> None:
    with pytest.raises(MalformedPayload):
        depacketize(codec_name, payloads)


@pytest.mark.parametrize("codec_name", [VP8, H264])
def test_encoded_keyframes_are_found_and_nothing_else(codec_name: str) -> None:
    for picture in encode(codec_name, 40, keyframes=(0, 11, 30), bitrate_bps=4_000_000):
        starts = [is_keyframe_start(codec_name, payload) for payload in picture.payloads]
        assert starts == [picture.keyframe] + [False] * (len(starts) - 1)


def test_against_aiortc_depacketiser() -> None:
    for picture in encode(VP8, 3, width=320, height=240, bitrate_bps=8_000_000):
        expected = b"".join(vp8_depayload(payload) for payload in picture.payloads)
        assert depacketize(VP8, picture.payloads) == expected
    for picture in encode(H264, 3, width=320, height=240, bitrate_bps=8_000_000):
        expected = b"".join(h264_depayload(payload) for payload in picture.payloads)
        assert depacketize(H264, picture.payloads) == expected


@given(descriptor=st.binary(min_size=1, max_size=8), rest=st.binary(min_size=1, max_size=8))
@settings(max_examples=200)
def test_against_aiortc_vp8_descriptor(descriptor: bytes, rest: bytes) -> None:
    payload = bytes([descriptor[0] & ~0x4F | 0x10]) + descriptor[1:] + rest
    try:
        _, expected = VpxPayloadDescriptor.parse(payload)
    except ValueError:
        with pytest.raises(MalformedPayload):
            depacketize(VP8, [payload])
    else:
        assert depacketize(VP8, [payload]) == expected


@given(codec_name=st.sampled_from([VP8, H264, "opus"]), payloads=st.lists(st.binary(max_size=24), max_size=4))
@settings(max_examples=200)
def test_any_payload_is_read_or_refused_as_malformed(codec_name: str, payloads: list[bytes]) -> None:
    for payload in payloads:
        is_keyframe_start(codec_name, payload)
    for read in (
        lambda: depacketize(codec_name, payloads),
        lambda: [shows_picture(codec_name, payload) for payload in payloads],
        lambda: [is_keyframe_slice(codec_name, payload) for payload in payloads],
        lambda: [nal_types(payload) for payload in payloads],
    ):
        with contextlib.suppress(MalformedPayload):
            read()
