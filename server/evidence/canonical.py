"""Canonical JSON: one value, one sequence of bytes (RFC 8785, JSON Canonicalization Scheme).

Narrower than the RFC on purpose: no floats, and integers below 2^53 in magnitude, so that every
language reads back the number that was hashed. What is hashed anywhere in the log went through here.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

from server.evidence.errors import MalformedJson

JsonValue: TypeAlias = "bool | int | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond this a double is no longer exact
MAX_DEPTH = 32  # levels; far above any body of ours, far below the recursion limit of any reader


def plain_copy(value: object, depth: int = 0) -> JsonValue:
    """The same value in plain dicts, lists, strings and integers, shared with nobody.

    Raises MalformedJson for what canonical JSON cannot hold: floats, large integers, other types.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise MalformedJson(f"the integer {value} is not below 2^53 in magnitude")
        return int(value)
    if depth >= MAX_DEPTH:
        raise MalformedJson(f"the value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise MalformedJson("an object has a key that is not a string")
        return {str.__str__(key): plain_copy(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_copy(item, depth + 1) for item in value]
    raise MalformedJson(f"a value of type {type(value).__name__} has no place in canonical JSON")


def encode_canonical(value: object) -> bytes:
    """The RFC 8785 bytes of a value; raises MalformedJson for what `plain_copy` refuses."""
    try:
        return _encode_plain(plain_copy(value))
    except ValueError as error:  # a lone surrogate, in a string or in a key
        raise MalformedJson(f"the value has no UTF-8 form: {error}") from None


def parse_canonical(data: bytes) -> JsonValue:
    """Read canonical bytes back; any other spelling of the same value is MalformedJson."""
    try:
        text = data.decode()
        _check_depth(text)
        value: JsonValue
        value, _ = _DECODER.raw_decode(text)  # anything around the value shows in the comparison
        canonical = _encode_plain(value)
    except MalformedJson:
        raise
    except ValueError as error:
        raise MalformedJson(f"not JSON: {error}") from None
    if canonical != data:
        raise MalformedJson("the JSON is not in its canonical form (RFC 8785)")
    return value


def parse_canonical_object(data: bytes) -> JsonObject:
    """`parse_canonical` for bytes that must hold an object."""
    value = parse_canonical(data)
    if not isinstance(value, dict):
        raise MalformedJson("the JSON is not an object")
    return value


def _check_depth(text: str) -> None:
    """Raise MalformedJson for what is nested deeper than MAX_DEPTH, before any reader recurses into it: what
    a reader's own stack would allow differs from one to the next.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _BRACKETS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedJson(f"the JSON is nested deeper than {MAX_DEPTH} levels")
        elif token[0] in "]}":
            depth -= 1


def _encode_plain(value: JsonValue) -> bytes:
    # Up to U+FFFF the order of code points is that of UTF-16 code units (RFC 8785 section 3.2.3).
    data = _ENCODER.encode(value).encode()
    if _BEYOND_FFFF.search(data) is None:
        return data
    return _ENCODER_AS_IT_IS.encode(_in_order_of_utf16(value)).encode()


def _in_order_of_utf16(value: JsonValue) -> JsonValue:
    """RFC 8785 section 3.2.3: "property name strings to be sorted are formatted as arrays of UTF-16 code
    units".
    """
    if isinstance(value, Mapping):
        return {key: _in_order_of_utf16(value[key]) for key in sorted(value, key=_utf16)}
    if isinstance(value, list | tuple):
        return [_in_order_of_utf16(item) for item in value]
    return value


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")  # a lone surrogate has no such form: ValueError


def _parse_integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise MalformedJson("an integer is not below 2^53 in magnitude")
    return int(digits)


def _refuse_number(digits: str) -> NoReturn:
    raise MalformedJson(f"the number {digits[:32]} is not an integer")


_DECODER = json.JSONDecoder(
    parse_float=_refuse_number, parse_int=_parse_integer, parse_constant=_refuse_number
)
# Strings are passed over, with the brackets in them; one without an end, to the end of the text.
_BRACKETS = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"?', re.S)
_BEYOND_FFFF = re.compile(rb"[\xf0-\xf4]")  # RFC 3629 section 3: what begins four bytes of UTF-8
_ENCODER = json.JSONEncoder(  # what it is given is a tree: read from JSON, or copied by `plain_copy`
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
)
_ENCODER_AS_IT_IS = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=False, separators=(",", ":")
)
