"""The VP8 payload descriptor (RFC 7741 §4.2): which picture and which temporal layer a packet belongs to; and
the same in other numbers.

     0 1 2 3 4 5 6 7
    │X│R│N│S│R│ PID │   S and PID 0: a frame begins here
    │I│L│T│K│  RSV  │   if X
    │M│ picture id  │   if I; if M, eight bits more
    │  TL0PICIDX    │   if L: counts the pictures of the base layer
    │TID│Y│ KEYIDX  │   if T or K: temporal layer; Y: depends on the base layer alone

Pure, and on the hot path of receivers who do not get all layers. `parse` is the only reader of these bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from media.errors import MalformedPayload

EXTENDED: Final = 0x80  # X
START_MASK: Final = 0x17
START: Final = 0x10
HAS_PICTURE_ID: Final = 0x80  # I
HAS_TL0: Final = 0x40  # L
HAS_TEMPORAL_LAYER: Final = 0x20  # T
HAS_KEY_INDEX: Final = 0x10  # K
LONG_PICTURE_ID: Final = 0x80  # M
SYNC: Final = 0x20  # Y
PICTURE_ID_AT: Final = 2
LONGEST_BYTES: Final = 6


@dataclass(slots=True, init=False)
class Vp8Descriptor:
    size_bytes: int
    picture_id: int | None
    has_long_picture_id: bool
    tl0_picture_index: int | None
    temporal_layer: int | None
    is_sync: bool
    starts_frame: bool

    def __init__(
        self,
        size_bytes: int,
        picture_id: int | None,
        has_long_picture_id: bool,
        tl0_picture_index: int | None,
        temporal_layer: int | None,
        is_sync: bool,
        starts_frame: bool,
    ) -> None:
        """Of each picture one is made: this is compiled, the one of a dataclass is not."""
        self.size_bytes = size_bytes
        self.picture_id = picture_id
        self.has_long_picture_id = has_long_picture_id
        self.tl0_picture_index = tl0_picture_index
        self.temporal_layer = temporal_layer
        self.is_sync = is_sync
        self.starts_frame = starts_frame


def parse(payload: bytes) -> Vp8Descriptor:
    """That at the beginning of a payload, of which LONGEST_BYTES are enough. Raises MalformedPayload."""
    try:
        first = payload[0]
        starts_frame = first & START_MASK == START
        if not first & EXTENDED:
            return Vp8Descriptor(1, None, False, None, None, False, starts_frame)
        has, position = payload[1], PICTURE_ID_AT
        picture_id = tl0_picture_index = temporal_layer = None
        is_long = is_sync = False
        if has & HAS_PICTURE_ID:
            picture_id = payload[position]
            is_long = picture_id >= LONG_PICTURE_ID
            if is_long:
                position += 1
                picture_id = (picture_id & ~LONG_PICTURE_ID) << 8 | payload[position]
            position += 1
        if has & HAS_TL0:
            tl0_picture_index = payload[position]
            position += 1
        if has & (HAS_TEMPORAL_LAYER | HAS_KEY_INDEX):
            if has & HAS_TEMPORAL_LAYER:
                temporal_layer = payload[position] >> 6
                is_sync = payload[position] & SYNC != 0
            elif position == len(payload):
                raise IndexError
            position += 1
    except IndexError:
        raise MalformedPayload("a truncated VP8 payload descriptor") from None
    return Vp8Descriptor(
        position, picture_id, is_long, tl0_picture_index, temporal_layer, is_sync, starts_frame
    )


def rewritten(payload: bytes, *, picture_id_offset: int, tl0_offset: int) -> bytes:
    """The descriptor at the beginning of a payload that `parse` reads, as long as it is, in numbers that are
    so much higher; they wrap at 15 or 7 bits, and at 8.
    """
    before = parse(payload)
    picture_id, tl0_picture_index = before.picture_id, before.tl0_picture_index
    patched = bytearray(payload[: before.size_bytes])
    position = PICTURE_ID_AT
    if picture_id is not None:
        picture_id += picture_id_offset
        if before.has_long_picture_id:
            patched[position] = LONG_PICTURE_ID | picture_id >> 8 & 0x7F
            position += 1
            patched[position] = picture_id & 0xFF
        else:
            patched[position] = picture_id & 0x7F
        position += 1
    if tl0_picture_index is not None:
        patched[position] = (tl0_picture_index + tl0_offset) & 0xFF
    return bytes(patched)
