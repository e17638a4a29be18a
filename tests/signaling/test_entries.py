"""Bodies are read strictly and written back as they were."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.entries import (
    BOOKKEEPING,
    KIND,
    MAX_STREAMS,
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
from tests.signaling.builders import COURIER, frame_of, segment
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


# Fields that older entries do not have, and what they mean there.
LATER: dict[str, dict[str, Any]] = {
    "case_opened": {"time_zone": "Asia/Shanghai"},
    "text": {"captured_at": None},
    "call_quality": {"estimates": None, "watched": None},
    "frame_sealed": {"journal": None},
    "attachment_stored": {"credentials": None},
    "call_ended": {"reason": "ended"},
    "viewed": {"original": False, "authenticated_by": None},
    "exported": {"authenticated_by": None},
}


@settings(max_examples=200, deadline=None)
@given(bodies() | st.tuples(st.sampled_from(list(KIND)) | st.text(), JSON))
def test_a_body_is_read_or_malformed_and_nothing_else(sample: tuple[str, Any]) -> None:
    kind, raw = sample
    try:
        body = parse_body(kind, raw)
    except MalformedEntry:
        return
    assert parse_body(kind, encode_body(body)) == body
    assert encode_body(body) == LATER.get(kind, {}) | raw


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
        for field in shown["body"].keys() - LATER.get(shown["kind"], {}).keys():
            short = {name: value for name, value in shown["body"].items() if name != field}
            with pytest.raises(MalformedEntry, match=field):
                parse_body(shown["kind"], short)


def test_an_older_entry_is_read_with_what_its_missing_fields_mean() -> None:
    for kind, later in LATER.items():
        (shown,) = [shown["body"] for shown in BODIES if shown["kind"] == kind]
        older = {name: value for name, value in shown.items() if name not in later}
        assert encode_body(parse_body(kind, older)) == older | later


def test_what_ends_before_it_begins_is_malformed() -> None:
    read = {"after": 5, "up_to": 4, "live": False, "authenticated_by": "link"}
    with pytest.raises(MalformedEntry):
        parse_body("read", read)
    with pytest.raises(MalformedEntry):
        span = {"call_number": 1, "first_segment": 3, "last_segment": 2}
        parse_body("frame_sealed", {**encode_body(frame_of(COURIER)), "journal": span})


@pytest.mark.parametrize("live", [0, 1, "true", None, 1.0])
def test_a_truth_value_is_nothing_else(live: object) -> None:
    with pytest.raises(MalformedEntry, match="live"):
        parse_body("read", {"after": 0, "up_to": 4, "live": live, "authenticated_by": "link"})


def test_the_longest_segment_stays_below_64_kib() -> None:
    longest = {
        "ssrc": 2**32 - 1, "mid": '"' * 64, "media": "audio", "codec": "x" * 16, "payload_type": 127,
        "clock_rate": 2**32 - 1, "channels": 255, "parameters": '"' * 512, "packets": 2**53 - 1,
    }  # fmt: skip
    raw = encode_body(segment(1)) | {"streams": [longest] * MAX_STREAMS}
    assert len(json.dumps(encode_body(parse_body("segment_sealed", raw)))) < 64 * 1024
    with pytest.raises(MalformedEntry, match="streams"):
        parse_body("segment_sealed", raw | {"streams": [longest] * (MAX_STREAMS + 1)})


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
    assert all(may_see("qa", kind) for kind in BOOKKEEPING)
    assert {kind for kind in BOOKKEEPING if may_see("customer", kind)} == {"receipt"}
    assert may_see("guest", "text") and not may_see("guest", "agreed")
    assert may_see("courier", "text") and not may_see("courier", "case_opened")
    assert may_see("qa", "case_opened") and not may_see("customer", "a_kind_of_tomorrow")


def test_a_kind_stands_beside_its_body_and_not_in_it() -> None:
    for kind, body in KIND.items():
        assert body.kind == kind
    sealed: Body = frame_of(COURIER)
    assert "kind" not in encode_body(sealed)
