"""Canonical JSON: one value, one sequence of bytes, checked against the rfc8785 package."""

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.canonical import MAX_DEPTH, MAX_INTEGER, encode_canonical, parse_canonical
from server.evidence.errors import MalformedJson

TEXT = st.text(max_size=20) | st.text('\u20ac\ue000\U0001f600\u00e9a\x00\x7f"\\\n', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_against_rfc8785_and_back(value: object) -> None:
    data = encode_canonical(value)
    assert data == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert parse_canonical(data) == value


@given(
    st.binary(max_size=60)
    | TEXT.map(str.encode)
    | st.text('[]{},:"-0123456789.eE\\ultrfasn ', max_size=30).map(str.encode)
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_canonical_or_malformed(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except MalformedJson:
        return
    assert encode_canonical(value) == data


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    # RFC 8785 section 3.2.3: U+1F600 is D83D DE00 in UTF-16 and so comes before U+FB33, which is one unit.
    assert (
        encode_canonical({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3}) == '{"€":3,"😀":2,"\ufb33":1}'.encode()
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b"[1.0]",
        b"[1e3]",
        b"[-0]",
        b"[NaN]",
        b"[9007199254740992]",
        b"[" + b"9" * 5000 + b"]",
        b'["\\u0061"]',
        b'["\\ud800"]',
        b'["\\/"]',
        b'["\xff"]',
        b"\xef\xbb\xbf[]",
        b"[" * 20_000,
    ],
)
def test_other_spellings_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_canonical(data)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        MAX_INTEGER + 1,
        {1: 2},
        "\ud800",
        {"\udfff": 1},
        b"bytes",
        {1, 2},
        nested(MAX_DEPTH + 1),
    ],
)
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    with pytest.raises(MalformedJson):
        encode_canonical(value)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 990, 1_000, 5_000])
def test_what_is_nested_too_deep_is_refused_whatever_the_stack_of_the_reader(levels: int) -> None:
    for data in (b"[" * levels + b"]" * levels, b'{"":' * levels + b"1" + b"}" * levels, b"[" * levels):
        with pytest.raises(MalformedJson, match="deeper than 32 levels"):
            parse_canonical(data)


def test_brackets_in_strings_nest_nothing() -> None:
    text = "[" * MAX_DEPTH + '\\"' + "{" * MAX_DEPTH
    assert parse_canonical(encode_canonical([text])) == [text]
    assert parse_canonical(encode_canonical([[]] * 3 * MAX_DEPTH)) == [[]] * 3 * MAX_DEPTH
    with pytest.raises(MalformedJson, match="not JSON"):
        parse_canonical(b'"' + b"[" * 2 * MAX_DEPTH)


def test_the_largest_integer_and_the_deepest_nesting_pass() -> None:
    assert encode_canonical([MAX_INTEGER, -MAX_INTEGER]) == b"[9007199254740991,-9007199254740991]"
    assert encode_canonical(nested(MAX_DEPTH)) == b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH
