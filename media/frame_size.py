"""Width and height that a keyframe states: VP8 in its header (RFC 6386 §9.1), H.264 in its sequence parameter
set (ITU-T H.264 §7.3.2.1.1). Pure.
"""

from __future__ import annotations

from media.depacketizer import (
    ANNEX_B_START_CODE,
    NAL_SPS,
    NAL_TYPE_MASK,
    VP8,
    VP8_KEYFRAME_HEADER_BYTES,
    VP8_KEYFRAME_START_CODE,
)
from media.errors import MalformedPayload

# RFC 6386 §9.1: the upper two bits of each are a scaling that decoders ignore.
VP8_SIZE_MASK = 0x3FFF

# ITU-T H.264 §7.3.2.1.1: the profiles whose parameter sets tell of their chroma format.
PROFILES_WITH_CHROMA = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
CHROMA_420, CHROMA_444 = 1, 3
MAX_CYCLE = 255  # ITU-T H.264 §7.4.2.1.1: num_ref_frames_in_pic_order_cnt_cycle
MAX_LEADING_ZEROS = 32  # ITU-T H.264 §9.1: a ue(v) has at most 32 bits behind its zeros


def keyframe_size(codec_name: str, bitstream: bytes) -> tuple[int, int]:
    """Width and height in pixels. `bitstream` is a VP8 keyframe, or an H.264 access unit in Annex B form that
    holds a sequence parameter set. Raises MalformedPayload.
    """
    if codec_name == VP8:
        if len(bitstream) < VP8_KEYFRAME_HEADER_BYTES or bitstream[3:6] != VP8_KEYFRAME_START_CODE:
            raise MalformedPayload("a VP8 keyframe without its header")
        width = int.from_bytes(bitstream[6:8], "little") & VP8_SIZE_MASK
        height = int.from_bytes(bitstream[8:10], "little") & VP8_SIZE_MASK
    else:
        width, height = _sps_size(_find_sps(bitstream))
    if not width or not height:
        raise MalformedPayload("a picture without width or height")
    return width, height


def _find_sps(bitstream: bytes) -> bytes:
    for unit in bitstream.split(ANNEX_B_START_CODE[1:]):
        if unit and unit[0] & NAL_TYPE_MASK == NAL_SPS:
            return unit
    raise MalformedPayload("an H.264 keyframe without a sequence parameter set")


class _Bits:
    """Reads bits, most significant first; ue(v) and se(v) are those of ITU-T H.264 §9.1."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise MalformedPayload("a sequence parameter set that is cut off")
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > MAX_LEADING_ZEROS:
                raise MalformedPayload("a sequence parameter set whose numbers have no end")
        return (1 << zeros) - 1 + self.read(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _sps_size(sps: bytes) -> tuple[int, int]:
    # §7.4.1: 0x03 behind two zero bytes is there to prevent a start code, and is no data.
    bits = _Bits(sps[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.read(8)
    bits.read(16)  # constraints and level
    bits.ue()  # seq_parameter_set_id
    chroma = CHROMA_420
    if profile in PROFILES_WITH_CHROMA:
        chroma = bits.ue()
        if chroma == CHROMA_444:
            bits.read(1)  # separate_colour_plane_flag
        bits.ue(), bits.ue()  # bit depths
        bits.read(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.read(1):
            _skip_scaling_lists(bits, 12 if chroma == CHROMA_444 else 8)
    bits.ue()  # log2_max_frame_num_minus4
    order = bits.ue()  # pic_order_cnt_type
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.read(1), bits.se(), bits.se()
        for _ in range(min(bits.ue(), MAX_CYCLE)):
            bits.se()
    bits.ue(), bits.read(1)  # max_num_ref_frames, gaps_in_frame_num_value_allowed_flag
    width, map_units = 16 * (bits.ue() + 1), 16 * (bits.ue() + 1)
    frames_only = bits.read(1)
    if not frames_only:
        bits.read(1)  # mb_adaptive_frame_field_flag
    bits.read(1)  # direct_8x8_inference_flag
    height = map_units * (2 - frames_only)
    if bits.read(1):
        # §7.4.2.1.1: cropping counts in units of chroma samples, and of field lines where there are fields.
        unit_x = 2 if chroma in (1, 2) else 1
        unit_y = (2 if chroma == CHROMA_420 else 1) * (2 - frames_only)
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if not (0 < width <= VP8_SIZE_MASK and 0 < height <= VP8_SIZE_MASK):
        raise MalformedPayload(f"a sequence parameter set of {width} x {height} pixels")
    return width, height


def _skip_scaling_lists(bits: _Bits, count: int) -> None:
    # §7.3.2.1.1.1
    for index in range(count):
        if bits.read(1):
            last = following = 8
            for _ in range(16 if index < 6 else 64):
                if following:
                    following = (last + bits.se()) % 256
                last = following or last
