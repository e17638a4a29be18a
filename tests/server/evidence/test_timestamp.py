"""Tokens of a real authority (OpenSSL's), and every way in which one can be wrong."""

import contextlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from server.evidence.errors import IllegalTimestamp, MalformedKey, MalformedTimestamp
from server.evidence.report import CannotBeMade
from server.evidence.timestamp import check_timestamp, open_response, parse_roots
from tests.authority import Authority, make_authority
from tests.server.evidence.sample_case import SIGNER

NOTE = SIGNER.sign(7, b"r" * 32).encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authorities") / "one")


@pytest.fixture(scope="module")
def token(authority: Authority) -> bytes:
    return authority.token(NOTE)


def test_a_token_of_openssl_says_when_who_and_how_exactly(authority: Authority, token: bytes) -> None:
    authority.check(token, NOTE)
    stamp = check_timestamp(token, NOTE, [authority.root])
    assert timedelta(0) <= datetime.now(UTC) - stamp.at < timedelta(minutes=2)
    assert (stamp.authority, stamp.policy, stamp.accuracy_ms) == (
        "CN=Test Authority",
        "1.3.6.1.4.1.99999.1",
        1500,
    )
    assert stamp.serial_number > 0


def test_a_root_may_stand_among_others_in_one_file(
    authority: Authority, token: bytes, tmp_path: Path
) -> None:
    other = make_authority(tmp_path / "other")
    check_timestamp(token, NOTE, [other.root + authority.root])
    roots = parse_roots(other.root + authority.root)
    assert len(roots) == 2 and authority.root in roots
    check_timestamp(token, NOTE, roots)


def test_a_token_of_other_bytes_is_refused(authority: Authority, token: bytes) -> None:
    with pytest.raises(IllegalTimestamp, match="other bytes"):
        check_timestamp(token, NOTE + b"\n", [authority.root])
    with pytest.raises(subprocess.CalledProcessError):
        authority.check(token, NOTE + b"\n")


def test_a_token_of_an_authority_that_nobody_trusts_is_refused(token: bytes, tmp_path: Path) -> None:
    other = make_authority(tmp_path / "other")  # of the same name
    with pytest.raises(IllegalTimestamp, match="no trusted root"):
        check_timestamp(token, NOTE, [other.root])


def test_a_token_made_after_the_authoritys_certificate_had_ended_is_refused(tmp_path: Path) -> None:
    ended = make_authority(tmp_path / "ended", certificate_ended=True)
    with pytest.raises(IllegalTimestamp, match="expired"):
        check_timestamp(ended.token(NOTE), NOTE, [ended.root])


def test_every_byte_that_the_signature_covers_counts(authority: Authority, token: bytes) -> None:
    place = token.index(datetime.now(UTC).strftime("%Y%m%d").encode())
    for changed in (place + 12, place - 1, len(token) - 1):  # its time, its length, the signature itself
        forged = bytearray(token)
        forged[changed] ^= 1
        with pytest.raises((MalformedTimestamp, IllegalTimestamp)):
            check_timestamp(bytes(forged), NOTE, [authority.root])


def test_a_check_without_a_root_cannot_be_made(token: bytes) -> None:
    with pytest.raises(CannotBeMade, match="no root"):
        check_timestamp(token, NOTE, [])


@pytest.mark.parametrize("pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_root_that_is_none_is_named(token: bytes, pem: bytes) -> None:
    with pytest.raises(MalformedKey, match="PEM"):
        check_timestamp(token, NOTE, [pem])


def test_without_its_library_the_check_cannot_be_made_and_all_else_can(tmp_path: Path) -> None:
    (tmp_path / "rfc3161_client.py").write_text("raise ImportError('not here')\n")
    program = (
        "import server.evidence.timestamp as t\n"
        "try: t.check_timestamp(b'', b'', [b'x'])\n"
        "except t.CannotBeMade as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert "rfc3161-client" in told.stdout


@given(st.binary(max_size=200))
def test_any_bytes_are_a_token_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedTimestamp):
        check_timestamp(data, NOTE, [b"never looked at"])


@pytest.mark.filterwarnings("ignore:Parsed a serial number", "ignore:Attribute's length must be")
@pytest.mark.parametrize("change", [1, 15])
def test_each_byte_damaged_is_refused_with_its_own_error_or_says_the_same(
    authority: Authority, token: bytes, change: int
) -> None:
    whole = check_timestamp(token, NOTE, [authority.root])
    for place in range(len(token)):
        damaged = bytearray(token)
        damaged[place] ^= change
        with contextlib.suppress(MalformedTimestamp, IllegalTimestamp):
            # A few are outside of the signature: the spelling of its algorithm, the version of its frame.
            assert check_timestamp(bytes(damaged), NOTE, [authority.root]) == whole, place


@pytest.mark.filterwarnings("ignore:Parsed a serial number", "ignore:Attribute's length must be")
@given(st.data())
def test_a_damaged_token_is_refused_with_its_own_error_or_says_the_same(
    authority: Authority, token: bytes, data: st.DataObject
) -> None:
    whole = check_timestamp(token, NOTE, [authority.root])
    damaged = bytearray(token)
    damaged[data.draw(st.integers(0, len(token) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedTimestamp, IllegalTimestamp):
        assert check_timestamp(bytes(damaged), NOTE, [authority.root]) == whole


def test_an_answer_is_checked_against_the_request(authority: Authority) -> None:
    request = TimestampRequestBuilder(data=NOTE, hash_algorithm=HashAlgorithm.SHA256).build()
    nonce = request.nonce
    assert nonce is not None
    answer = authority.reply(request.as_bytes())
    token, stamp = open_response(answer, NOTE, nonce=nonce, roots=[authority.root])
    assert check_timestamp(token, NOTE, [authority.root]) == stamp
    authority.check(token, NOTE)
    with pytest.raises(IllegalTimestamp, match="nonce"):
        open_response(answer, NOTE, nonce=nonce + 1, roots=[authority.root])
    refused = authority.reply(request.as_bytes(), digests="sha512")
    with pytest.raises(IllegalTimestamp, match=r"refuses: .*digest algorithm"):
        open_response(refused, NOTE, nonce=nonce, roots=[authority.root])
    with pytest.raises(MalformedTimestamp):
        open_response(answer[:-1], NOTE, nonce=nonce, roots=[authority.root])
