"""Bodies are read strictly and written back as they were."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.entries import (
    KIND,
    MAY_SEE,
    Body,
    CaseOpened,
    FrameFailed,
    encode_body,
    may_see,
    parse_body,
    parse_envelope,
)
from signaling.errors import MalformedEntry
from tests.signaling.builders import COURIER, frame_of
from tests.signaling.test_protocol_document import BODIES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def bodies() -> st.SearchStrategy[tuple[str, Any]]:
    """Examples of the document with one field, at any depth, replaced, removed or added."""

    @st.composite
    def damaged(draw: st.DrawFn) -> tuple[str, Any]:
        shown = json.loads(json.dumps(draw(st.sampled_from(BODIES))))
        place = shown["body"]
        while True:
            key = draw(st.sampled_from([*place, "added"])) if place else "added"
            if not isinstance(place.get(key), dict) or draw(st.booleans()):
                break
            place = place[key]
        if draw(st.booleans()):
            place[key] = draw(JSON)
        else:
            place.pop(key, None)
        return shown["kind"], shown["body"]

    return damaged()


@settings(max_examples=200, deadline=None)
@given(bodies() | st.tuples(st.sampled_from(list(KIND)) | st.text(), JSON))
def test_a_body_is_read_or_malformed_and_nothing_else(sample: tuple[str, Any]) -> None:
    kind, raw = sample
    try:
        body = parse_body(kind, raw)
    except MalformedEntry:
        return
    assert parse_body(kind, encode_body(body)) == body
    assert encode_body(body) == raw


@settings(max_examples=200, deadline=None)
@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_an_envelope_is_read_or_malformed_and_nothing_else(text: str | bytes) -> None:
    with pytest.raises(MalformedEntry):
        parse_envelope(text)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("width", 640.0),
        ("width", "640"),
        ("width", True),
        ("width", 0),
        ("width", 2**53),
        ("arrived_at", "2026-11-22T14:03:22Z"),
        ("arrived_at", "2026-11-22T14:03:22.123+00:00"),
        ("arrived_at", "2026-11-22T14:03:22.123456Z"),
        ("arrived_at", "2026-02-30T14:03:22.123Z"),
        ("arrived_at", 1_763_820_202),
        ("of", "integrator"),
        ("of", "l_COURIER2222222222222"),
        ("capture_path", "album"),
        ("rtp_timestamp", 2**32),
        ("extra", None),
    ],
)
def test_a_frame_with_a_wrong_value_is_malformed(place: str, value: object) -> None:
    raw: dict[str, Any] = {**encode_body(frame_of(COURIER)), place: value}
    with pytest.raises(MalformedEntry, match=place):
        parse_body("frame_sealed", raw)


def test_a_field_is_never_missing() -> None:
    for shown in BODIES:
        for field in shown["body"]:
            short = {name: value for name, value in shown["body"].items() if name != field}
            with pytest.raises(MalformedEntry, match=field):
                parse_body(shown["kind"], short)


def test_the_longest_body_stays_below_64_kib() -> None:
    metadata = {"\x01" * 62 + f"{key:02d}": "\x01" * 256 for key in range(16)}
    opened: dict[str, Any] = {
        "waybill": "\x01" * 64,
        "declared_value": {"amount_minor": 2**53 - 1, "currency": "CNY"},
        "language": "zh",
        "metadata": metadata,
    }
    assert len(json.dumps(encode_body(parse_body("case_opened", opened)))) < 64 * 1024
    text = {"text": "\x01" * 1_999 + "x"}
    assert len(json.dumps(encode_body(parse_body("text", text)))) < 64 * 1024


@pytest.mark.parametrize(
    "body",
    [
        replace(frame_of(COURIER), width=0),
        replace(frame_of(COURIER), codec="V P 8"),
        CaseOpened(waybill="x" * 65, declared_value=None, language="zh", metadata={}),
        CaseOpened(waybill="SF1", declared_value=None, language="zh", metadata={"order": "\ud800"}),
        FrameFailed(of=COURIER.actor_id, reason="Not a code", message=""),
    ],
)
def test_a_body_that_could_not_be_read_again_is_not_written(body: Body) -> None:
    with pytest.raises(MalformedEntry):
        encode_body(body)


def test_every_kind_says_who_may_see_it() -> None:
    assert set(MAY_SEE) == set(KIND)
    assert may_see("courier", "text") and not may_see("courier", "case_opened")
    assert may_see("qa", "case_opened") and not may_see("customer", "a_kind_of_tomorrow")


def test_a_kind_stands_beside_its_body_and_not_in_it() -> None:
    for kind, body in KIND.items():
        assert body.kind == kind
    sealed: Body = frame_of(COURIER)
    assert "kind" not in encode_body(sealed)
