"""RFC 7741 §4.2, against aiortc's parser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import MalformedPayload
from media.vp8_descriptor import LONGEST_BYTES, parse, rewritten

EXAMPLES = settings(max_examples=300, deadline=None)
payloads = st.one_of(
    st.binary(max_size=12),
    st.builds(lambda flags, rest: bytes([0x90, flags]) + rest, st.integers(0, 255), st.binary(max_size=8)),
)


@EXAMPLES
@given(payloads)
def test_against_aiortc_parser(payload: bytes) -> None:
    try:
        theirs, rest = VpxPayloadDescriptor.parse(payload)
    except ValueError:
        with pytest.raises(MalformedPayload):
            parse(payload)
        return
    ours = parse(payload)
    assert parse(payload[:LONGEST_BYTES]) == ours
    assert payload[ours.size_bytes :] == rest
    assert ours.picture_id == theirs.picture_id
    assert ours.tl0_picture_index == theirs.tl0picidx
    assert ours.temporal_layer == (theirs.tid[0] if theirs.tid is not None else None)
    assert ours.is_sync == (bool(theirs.tid[1]) if theirs.tid is not None else False)
    # RFC 7741 §4.2: PID has three bits; aiortc takes the reserved one before them for a fourth.
    assert ours.starts_frame == (theirs.partition_start == 1 and theirs.partition_id & 7 == 0)


@EXAMPLES
@given(payloads, st.integers(-40_000, 40_000), st.integers(-300, 300))
def test_other_numbers_leave_the_rest_as_it_is(payload: bytes, pictures: int, base_pictures: int) -> None:
    try:
        before = parse(payload)
    except MalformedPayload:
        return
    patched = rewritten(payload, picture_id_offset=pictures, tl0_offset=base_pictures)
    after = parse(patched)
    wrap = 0x8000 if before.has_long_picture_id else 0x80
    assert len(patched) == before.size_bytes
    assert after == replace(
        before,
        picture_id=(before.picture_id + pictures) % wrap if before.picture_id is not None else None,
        tl0_picture_index=(before.tl0_picture_index + base_pictures) % 256
        if before.tl0_picture_index is not None
        else None,
    )
