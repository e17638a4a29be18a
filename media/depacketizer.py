"""From RTP payloads to a picture's bitstream: VP8 (RFC 7741) and H.264 (RFC 6184, packetization mode 1).

Pure. Two questions are asked of each packet and are answered by looking at a few bytes: does a keyframe
start here, and does this payload hold a part of a picture that will be shown? The third, the bitstream of
a whole picture, is asked only when somebody wants a frame.

    VP8  ┌ X R N S R PID ┐┌ I L T K …┐┌ picture id, TL0PICIDX, TID/KEYIDX ┐┌ frame: H VER size P … ┐
         └─ 1 byte, always ┘└── only if X (vp8_descriptor.py) ──────────────┘└ P = 0: a keyframe      ┘

    H.264 single NAL unit   ┌ F NRI type 1–23 ┐ …
          STAP-A (type 24)  ┌ F NRI 24 ┐ ┌ size ┐┌ NAL unit ┐ ┌ size ┐┌ NAL unit ┐ …
          FU-A (type 28)    ┌ F NRI 28 ┐ ┌ S E R type ┐ a piece of a NAL unit
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from media import vp8_descriptor
from media.errors import MalformedPayload

VP8: Final = "VP8"
H264: Final = "H264"

# RFC 7741 §4.2: the first octet of the payload descriptor.
VP8_START_MASK: Final = 0x17  # S = 1 and PID = 0: the frame begins in this packet
VP8_START: Final = 0x10

# RFC 6386 §9.1: the frame tag.
VP8_INTERFRAME: Final = 0x01
VP8_SHOW_FRAME: Final = 0x10
VP8_KEYFRAME_START_CODE: Final = b"\x9d\x01\x2a"
VP8_KEYFRAME_HEADER_BYTES: Final = 10  # frame tag, start code, width and height

# RFC 6184 §5.2 and ITU-T H.264 table 7-1: NAL unit types.
NAL_TYPE_MASK: Final = 0x1F
NAL_SLICE: Final = 1  # 2 to 4 are the partitions of a slice
NAL_IDR_SLICE: Final = 5
NAL_SPS: Final = 7
NAL_LAST_SINGLE: Final = 23
NAL_STAP_A: Final = 24
NAL_FU_A: Final = 28
FU_START: Final = 0x80
FU_END: Final = 0x40
ANNEX_B_START_CODE: Final = b"\x00\x00\x00\x01"


# Which first octets of a payload a keyframe can begin with: most packets need no closer look.
MAY_START_KEYFRAME = {
    VP8: bytes(octet & VP8_START_MASK == VP8_START for octet in range(256)),
    H264: bytes(octet & NAL_TYPE_MASK in (NAL_SPS, NAL_STAP_A) for octet in range(256)),
}


def is_keyframe_start(codec_name: str, payload: bytes) -> bool:
    """Whether a keyframe begins in this packet. For H.264: whether it carries a sequence parameter set,
    without which no IDR picture can be decoded. Never raises; a payload that makes no sense starts nothing.
    """
    try:
        if codec_name == VP8:
            if payload[0] & VP8_START_MASK != VP8_START:
                return False
            start = _vp8_frame_offset(payload)
            return (
                not payload[start] & VP8_INTERFRAME
                and payload[start + 3 : start + 6] == VP8_KEYFRAME_START_CODE
                and len(payload) >= start + VP8_KEYFRAME_HEADER_BYTES
            )
        if codec_name == H264:
            nal_type = payload[0] & NAL_TYPE_MASK
            if nal_type == NAL_STAP_A:
                return any(unit[0] & NAL_TYPE_MASK == NAL_SPS for unit in _aggregated_units(payload))
            return nal_type == NAL_SPS
    except (IndexError, MalformedPayload):
        pass
    return False


def is_keyframe_slice(codec_name: str, payload: bytes) -> bool | None:
    """Whether the part of a picture in this payload belongs to a keyframe; None if it holds no such part.
    Raises MalformedPayload. VP8 tells it in the first packet of a frame alone.
    """
    if codec_name == VP8:
        return is_keyframe_start(codec_name, payload)
    types = nal_types(payload)
    if NAL_IDR_SLICE in types:
        return True
    return False if any(NAL_SLICE <= nal_type < NAL_IDR_SLICE for nal_type in types) else None


def shows_picture(codec_name: str, payload: bytes) -> bool:
    """Whether this payload proves that the picture it belongs to will be shown: the first packet of a VP8
    frame that is not hidden, or an H.264 slice (parameter sets are no picture). Raises MalformedPayload.
    """
    if codec_name == VP8:
        if not payload or payload[0] & VP8_START_MASK != VP8_START:
            return False
        start = _vp8_frame_offset(payload)
        if start >= len(payload):
            raise MalformedPayload("a VP8 descriptor without a frame behind it")
        return bool(payload[start] & VP8_SHOW_FRAME)
    return any(NAL_SLICE <= nal_type <= NAL_IDR_SLICE for nal_type in nal_types(payload))


def is_base(codec_name: str, packet: bytes, start: int) -> bool:
    """Whether the payload from `start` on is of a picture in the base layer (RFC 7741 §4.2), which depends on
    nothing above it; true of all where there are no layers, or nobody can tell.
    """
    if codec_name != VP8:
        return True
    try:
        return not vp8_descriptor.parse(packet[start : start + vp8_descriptor.LONGEST_BYTES]).temporal_layer
    except MalformedPayload:
        return True


def nal_types(payload: bytes) -> list[int]:
    """The types of the H.264 NAL units in, or continued in, this payload. Raises MalformedPayload."""
    if not payload:
        raise MalformedPayload("an empty H.264 payload")
    nal_type = payload[0] & NAL_TYPE_MASK
    if nal_type == NAL_STAP_A:
        return [unit[0] & NAL_TYPE_MASK for unit in _aggregated_units(payload)]
    if nal_type == NAL_FU_A:
        if len(payload) < 2:
            raise MalformedPayload("an FU-A packet without its FU header")
        return [payload[1] & NAL_TYPE_MASK]
    if 1 <= nal_type <= NAL_LAST_SINGLE:
        return [nal_type]
    raise MalformedPayload(f"H.264 payload type {nal_type} is not part of packetization mode 1")


def depacketize(codec_name: str, payloads: Iterable[bytes]) -> bytes:
    """The bitstream of one picture from the payloads of all of its packets in order: a VP8 frame, or an H.264
    access unit in Annex B form. Raises MalformedPayload.
    """
    if codec_name == VP8:
        return b"".join(_vp8_frame_parts(payloads))
    if codec_name == H264:
        return b"".join(_annex_b_parts(payloads))
    raise MalformedPayload(f"no payload format is known for {codec_name}")


def _vp8_frame_parts(payloads: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for payload in payloads:
        offset = _vp8_frame_offset(payload)
        # RFC 7741 §4.2: S MUST be set for the first packet of each encoded frame.
        if first and payload[0] & VP8_START_MASK != VP8_START:
            raise MalformedPayload("the first packet of a VP8 frame does not begin it")
        first = False
        yield payload[offset:]


def _vp8_frame_offset(payload: bytes) -> int:
    """Where the frame's own bytes begin: the size of the payload descriptor (RFC 7741 §4.2)."""
    return vp8_descriptor.parse(payload).size_bytes


def _annex_b_parts(payloads: Iterable[bytes]) -> Iterator[bytes]:
    fragment_type: int | None = None  # of the NAL unit whose fragments are being joined
    for payload in payloads:
        if not payload:
            raise MalformedPayload("an empty H.264 payload")
        indicator = payload[0]
        nal_type = indicator & NAL_TYPE_MASK
        if fragment_type is not None and nal_type != NAL_FU_A:
            raise MalformedPayload("a fragmented NAL unit has no end")
        if nal_type == NAL_FU_A:
            if len(payload) < 3:
                raise MalformedPayload("an FU-A packet without a fragment")
            header = payload[1]
            original_type = header & NAL_TYPE_MASK
            if header & FU_START:
                # RFC 6184 §5.8: S and E MUST NOT both be set in one FU header.
                if fragment_type is not None or header & FU_END:
                    raise MalformedPayload("an FU-A packet begins a NAL unit inside another")
                fragment_type = original_type
                yield ANNEX_B_START_CODE
                yield bytes([indicator & ~NAL_TYPE_MASK & 0xFF | original_type])
            elif fragment_type != original_type:
                raise MalformedPayload("an FU-A packet continues a NAL unit that was not begun")
            yield payload[2:]
            if header & FU_END:
                fragment_type = None
        elif nal_type == NAL_STAP_A:
            for unit in _aggregated_units(payload):
                yield ANNEX_B_START_CODE
                yield unit
        elif 1 <= nal_type <= NAL_LAST_SINGLE:
            yield ANNEX_B_START_CODE
            yield payload
        else:
            raise MalformedPayload(f"H.264 payload type {nal_type} is not part of packetization mode 1")
    if fragment_type is not None:
        raise MalformedPayload("a fragmented NAL unit has no end")


def _aggregated_units(payload: bytes) -> Iterator[bytes]:
    """The NAL units of a STAP-A packet (RFC 6184 §5.7.1), each at least one byte."""
    position, end = 1, len(payload)
    while position < end:
        start = position + 2
        position = start + int.from_bytes(payload[start - 2 : start])
        if start >= position or position > end:
            raise MalformedPayload("a STAP-A packet whose sizes do not add up")
        yield payload[start:position]
