"""What goes to a witness is what the standard asks for; whatever comes back is an answer or a failure."""

import aics_witness.protocol
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.cosignature import cosigner_of
from server.evidence.errors import MalformedCosignature
from server.witness_messages import (
    MAX_ANSWER_BYTES,
    Answer,
    Conflict,
    Failed,
    Inconsistent,
    Refused,
    Signed,
    encode_request,
    parse_answer,
)
from tests.server.evidence.local_witness import WITNESSES
from tests.server.evidence.sample_case import SIGNER

NOTE = SIGNER.sign(57, bytes(32))
LINE = WITNESSES[0].cosign(NOTE)
SIZE = "text/x.tlog.size"


@pytest.mark.parametrize("hashes", [[], [bytes([n]) * 32 for n in range(63)]])
def test_against_aics_witness_a_request_is_read_as_it_was_meant(hashes: list[bytes]) -> None:
    read = aics_witness.protocol.parse_add_checkpoint_request(encode_request(41, hashes, NOTE))
    assert (read.old_size, list(read.proof), read.checkpoint.decode()) == (41, hashes, NOTE)


@pytest.mark.parametrize(
    ("status", "media_type", "body", "expected"),
    [
        (200, "text/plain", LINE, Signed(lines=(LINE,))),
        (409, SIZE, b"41\n", Conflict(size=41)),
        (409, SIZE, b"0\n", Conflict(size=0)),
        (422, "text/plain", b"bad proof\n", Inconsistent(reason="bad proof")),
        (404, "text/plain", b"who?", Refused(status=404, reason="who?")),
        (403, "text/plain", b"\x1b[31m\xff", Refused(status=403, reason="[31m\ufffd")),
    ],
)
def test_an_answer_of_the_protocol_is_what_it_says(
    status: int, media_type: str, body: bytes, expected: Answer
) -> None:
    assert parse_answer(status, media_type, body) == expected


@pytest.mark.parametrize(
    ("status", "media_type", "body", "says"),
    [
        (200, "text/plain", b"ok\n", "no cosignatures"),
        (200, "text/html", b"<html>", "no cosignatures"),
        (200, "text/plain", LINE * (MAX_ANSWER_BYTES // len(LINE) + 1), "more than"),
        (409, SIZE, b"041\n", "without the size"),
        (409, SIZE, b"41", "without the size"),
        (409, "text/plain", b"41\n", "without the size"),
        (500, "text/plain", b"oops", "answered 500: oops"),
        (503, "text/plain", b"", "answered 503"),
        (429, "text/plain", b"slow down", "answered 429"),
        (302, "text/plain", b"", "answered 302"),
    ],
)
def test_what_is_not_of_the_protocol_is_a_failure(
    status: int, media_type: str, body: bytes, says: str
) -> None:
    answer = parse_answer(status, media_type, body)
    assert isinstance(answer, Failed) and says in answer.error


@given(st.integers(100, 599), st.sampled_from([SIZE, "text/plain"]), st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_answer_is_one_of_five(status: int, media_type: str, body: bytes) -> None:
    answer = parse_answer(status, media_type, body)
    if isinstance(answer, Signed):
        try:
            for line in answer.lines:
                cosigner_of(line)
        except MalformedCosignature:
            pytest.fail("a line that is none")
    assert isinstance(answer, Answer)
