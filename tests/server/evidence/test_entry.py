"""Envelopes have one spelling, hold no body, and chain; bodies open their commitments."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.canonical import encode_canonical
from server.evidence.entry import (
    Draft,
    Envelope,
    check_successor,
    encode_body,
    encode_envelope,
    encode_time,
    envelope_fields,
    open_entry,
    parse_body,
    parse_envelope,
    seal,
)
from server.evidence.errors import MalformedEntry

ENVELOPE = Envelope(
    kind="frame_sealed",
    case_id="c_" + "a" * 20,
    number=17,
    previous_hash="0f" * 32,
    role="courier",
    actor_id="l_x",
    session_id="s_x",
    recorded_at=datetime(2026, 11, 22, 14, 3, 22, 123_000, tzinfo=UTC),
    commitment="ab" * 32,
)
BYTES = encode_envelope(ENVELOPE)
DRAFT = Draft(kind="text", case_id="c_1", role="qa", actor_id="l_q", session_id="", body={"text": "好"})


def test_the_bytes_of_an_envelope_never_change() -> None:
    # These bytes are leaves of logs that exist: a failure here breaks every one of them.
    assert BYTES == (
        b'{"actor_id":"l_x","case_id":"c_aaaaaaaaaaaaaaaaaaaa","commitment":"' + b"ab" * 32 + b'",'
        b'"kind":"frame_sealed","number":17,"previous_hash":"' + b"0f" * 32 + b'",'
        b'"recorded_at":"2026-11-22T14:03:22.123Z","role":"courier","session_id":"s_x","version":1}'
    )


def test_an_envelope_is_the_canonical_json_of_its_fields() -> None:
    assert encode_canonical(envelope_fields(ENVELOPE)) == BYTES
    assert json.loads(BYTES) == envelope_fields(ENVELOPE)


IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
ENVELOPES = st.builds(
    Envelope,
    kind=st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True),
    case_id=IDS,
    number=st.integers(1, 10**15 - 1),
    previous_hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
    role=st.sampled_from(["customer", "courier", "qa", "integrator", "system"]),
    actor_id=IDS,
    session_id=IDS | st.just(""),
    recorded_at=st.datetimes(timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
    commitment=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


@given(ENVELOPES)
@settings(max_examples=150, deadline=None)
def test_envelopes_round_trip_and_agree_with_canonical_json(envelope: Envelope) -> None:
    data = encode_envelope(envelope)
    assert data == encode_canonical(envelope_fields(envelope))
    assert parse_envelope(data) == envelope


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_an_envelope_or_malformed(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(BYTES)))
    changed = (
        BYTES[:position] + data.draw(st.binary(max_size=3)) + BYTES[position + data.draw(st.integers(0, 3)) :]
    )
    try:
        envelope = parse_envelope(changed)
    except MalformedEntry:
        return
    assert encode_envelope(envelope) == changed


@given(st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_body_or_malformed(data: bytes) -> None:
    try:
        body = parse_body(data)
    except MalformedEntry:
        return
    assert encode_body(body) == data


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b'"number":17', b'"number":0', "number is malformed"),
        (b'"number":17', b'"number":"17"', "number is malformed"),
        (b'"number":17', b'"number":true', "number is malformed"),
        (b'"number":17', b'"number":17.0', "not an integer"),
        (b"22.123Z", b"22Z", "recorded_at is malformed"),
        (b"2026-11-22", b"2026-13-22", "no moment"),
        (b'"l_x"', b'"l x"', "actor_id is malformed"),
        (b'"l_x"', '"小"'.encode(), "actor_id is malformed"),
        (b'"version":1', b'"version":2', "version is malformed"),
        (b',"version":1', b"", "no version"),
        (b'"version":1', b'"version":1,"waybill":"SF1"', r"not its own: \['waybill'\]"),
        (b'{"actor_id"', b'{ "actor_id"', "canonical form"),
        (b"ab" * 32, b"AB" * 32, "commitment is malformed"),
    ],
)
def test_a_malformed_envelope_says_what_is_wrong_with_it(old: bytes, new: bytes, complaint: str) -> None:
    assert old in BYTES
    with pytest.raises(MalformedEntry, match=complaint):
        parse_envelope(BYTES.replace(old, new))


def test_seal_cuts_the_time_to_milliseconds_in_utc() -> None:
    in_china = datetime(2026, 11, 22, 22, 3, 22, 123_999, tzinfo=timezone(timedelta(hours=8)))
    assert encode_time(in_china) == "2026-11-22T14:03:22.123Z"
    entry = seal(
        DRAFT,
        encode_body(DRAFT.body),
        number=1,
        previous_hash="0" * 64,
        recorded_at=in_china,
        salt=bytes(32),
        leaf_index=0,
    )
    assert entry.envelope.recorded_at == datetime(2026, 11, 22, 14, 3, 22, 123_000, tzinfo=UTC)
    assert entry.envelope.commitment == hashlib.sha256(bytes(32) + '{"text":"好"}'.encode()).hexdigest()
    assert entry.hash == hashlib.sha256(entry.envelope_bytes).hexdigest()
    assert entry.leaf_hash == hashlib.sha256(b"\x00" + entry.envelope_bytes).digest()
    assert open_entry(entry.envelope_bytes, encode_body(DRAFT.body), entry.salt, 0) == entry


def test_body_and_salt_open_their_own_commitment_only() -> None:
    entry = seal(
        DRAFT,
        encode_body(DRAFT.body),
        number=1,
        previous_hash="0" * 64,
        recorded_at=ENVELOPE.recorded_at,
        salt=bytes(32),
        leaf_index=0,
    )
    for body_bytes, salt in (
        (b'{"text":"x"}', bytes(32)),
        (encode_body(DRAFT.body), b"\x01" * 32),
        (encode_body(DRAFT.body), bytes(31)),
        (b"\x00" + encode_body(DRAFT.body), bytes(31)),  # the same bytes, cut elsewhere
    ):
        with pytest.raises(MalformedEntry):
            open_entry(entry.envelope_bytes, body_bytes, salt, 0)


def test_an_envelope_follows_on_one_other_only() -> None:
    check_successor(ENVELOPE, case_id=ENVELOPE.case_id, number=17, previous_hash="0f" * 32)
    for case_id, number, previous_hash in (
        ("c_other", 17, "0f" * 32),
        (ENVELOPE.case_id, 18, "0f" * 32),
        (ENVELOPE.case_id, 17, "00" * 32),
    ):
        with pytest.raises(MalformedEntry):
            check_successor(ENVELOPE, case_id=case_id, number=number, previous_hash=previous_hash)


def test_a_body_has_less_than_64_kib() -> None:
    assert len(encode_body({"a": "x" * (65_535 - 8)})) == 65_535
    with pytest.raises(MalformedEntry, match="65536 bytes"):
        encode_body({"a": "x" * (65_536 - 8)})
