"""What a token says of itself is read without a library, as the library reads it; all else is malformed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.errors import IllegalTimestamp, MalformedTimestamp
from server.evidence.timestamp import check_timestamp
from server.evidence.tst_info import check_imprint, parse_token
from tests.authority import Authority, make_authority

NOTE = b"a checkpoint\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tst_info") / "authority")


@pytest.fixture(scope="module")
def token(authority: Authority) -> bytes:
    return authority.token(NOTE)


def test_against_rfc3161_client_a_token_says_the_same(token: bytes, authority: Authority) -> None:
    assert check_imprint(token, NOTE).at == check_timestamp(token, NOTE, [authority.root]).at


def test_a_token_of_other_bytes_is_told_apart(token: bytes) -> None:
    with pytest.raises(IllegalTimestamp):
        check_imprint(token, NOTE + b"\n")


def test_every_token_that_is_cut_off_is_malformed(token: bytes) -> None:
    for end in range(len(token)):
        with pytest.raises(MalformedTimestamp):
            parse_token(token[:end])


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_token_or_malformed(token: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(token)))
    changed = (
        token[:place] + data.draw(st.binary(max_size=8)) + token[data.draw(st.integers(place, len(token))) :]
    )
    try:
        parse_token(changed)
    except MalformedTimestamp:
        return
