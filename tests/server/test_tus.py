"""The headers of tus: read, or refused as malformed, and nothing else."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import MalformedUpload
from server.tus import (
    ALGORITHMS,
    encode_time,
    parse_checksum,
    parse_metadata,
    parse_number,
    parse_sha256,
)

HASH = "0123456789abcdef" * 4
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@given(st.dictionaries(KEYS, st.binary(max_size=100), max_size=5))
def test_metadata_that_was_written_is_read(metadata: dict[str, bytes]) -> None:
    text = ",".join(f"{key} {encoded(value)}" if value else key for key, value in metadata.items())
    assert parse_metadata(text) == metadata


@given(st.text() | st.text("sha256 ,=AbC/+\n", max_size=30))
def test_any_header_is_read_or_malformed(text: str) -> None:
    for parse in (
        parse_metadata,
        parse_checksum,
        lambda each: parse_number("Upload-Offset", each),
        lambda each: parse_sha256(parse_metadata(each)),
    ):
        try:
            parse(text)
        except MalformedUpload as error:
            assert error.status == 400


@given(st.sampled_from(sorted(ALGORITHMS)), st.data())
def test_a_checksum_that_was_written_is_read(algorithm: str, data: st.DataObject) -> None:
    size = ALGORITHMS[algorithm]
    digest = data.draw(st.binary(min_size=size, max_size=size))
    checksum = parse_checksum(f"{algorithm} {encoded(digest)}")
    assert (checksum.algorithm, checksum.digest) == (algorithm, digest)


@pytest.mark.parametrize(
    "text",
    [
        "md5 " + encoded(bytes(16)),
        "sha256 " + encoded(bytes(20)),
        "sha1 " + encoded(bytes(32)),
        "sha256",
        "sha256 not base64!",
        encoded(bytes(32)),
        "",
    ],
)
def test_a_checksum_that_could_prove_nothing_is_malformed(text: str) -> None:
    with pytest.raises(MalformedUpload):
        parse_checksum(text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "sha256",
        "sha256 " + encoded(HASH.upper().encode()),
        "sha256 " + encoded(bytes.fromhex(HASH)),
        "sha256 " + encoded(HASH.encode() + b"\n"),
        f"sha256 {encoded(HASH.encode())},sha256 {encoded(HASH.encode())}",
        "filename " + encoded(b"photo.jpg"),
    ],
)
def test_metadata_without_the_hash_is_malformed(text: str | None) -> None:
    with pytest.raises(MalformedUpload):
        parse_sha256(parse_metadata(text))


def test_the_hash_is_found_among_other_metadata() -> None:
    text = f"filename {encoded(b'photo.jpg')}, sha256 {encoded(HASH.encode())},is_confidential"
    assert parse_sha256(parse_metadata(text)) == HASH


@pytest.mark.parametrize("text", [None, "", "-1", "1.5", "0x10", "١", "1e3", "9" * 16, "1,1"])
def test_a_number_that_is_none_is_malformed(text: str | None) -> None:
    with pytest.raises(MalformedUpload, match="Upload-Offset"):
        parse_number("Upload-Offset", text)


def test_a_time_is_written_as_http_writes_it() -> None:
    # RFC 9110 section 5.6.7
    assert encode_time(datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)) == "Sun, 06 Nov 1994 08:49:37 GMT"
