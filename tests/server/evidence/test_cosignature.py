"""A cosignature is what its witness signed over this checkpoint at this time, or it is nothing."""

import base64
import hashlib
from datetime import UTC, datetime

import aics_tlog
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.checkpoint import encode_key, parse_key
from server.evidence.cosignature import (
    WitnessKey,
    cosigner_of,
    encode_witness_key,
    is_of,
    open_cosignature,
    parse_witness_key,
    split_cosignatures,
)
from server.evidence.errors import MalformedCosignature, MalformedKey
from tests.server.evidence.local_witness import TIME_S, WITNESSES
from tests.server.evidence.sample_case import SIGNER

NOTE = SIGNER.sign(57, hashlib.sha256(b"root").digest())
FIRST, SECOND = WITNESSES[:2]
LINE = FIRST.cosign(NOTE)
KEY = FIRST.key

# The example of C2SP tlog-cosignature (https://c2sp.org/tlog-cosignature).
EXAMPLE_LINE = (
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def test_against_aics_tlog_a_cosignature_holds_at_its_time() -> None:
    assert open_cosignature(LINE, NOTE, KEY) == datetime.fromtimestamp(TIME_S, UTC)


def test_against_aics_tlog_keys_are_spelt_and_read_alike() -> None:
    theirs = aics_tlog.format_vkey(aics_tlog.cosignature_vkey(KEY.name, KEY.public_key))
    assert encode_witness_key(KEY) == theirs
    assert parse_witness_key(theirs) == KEY


def test_the_example_of_the_standard_has_the_shape_of_one() -> None:
    name, key_hash = cosigner_of(EXAMPLE_LINE.encode())
    assert (name, key_hash.hex()) == ("witness.example.com/w1", "8d66cf3f")


def test_it_is_appended_to_the_note_and_the_log_s_signatures_before_it_change_nothing() -> None:
    cosigned = NOTE + SECOND.cosign(NOTE).decode() + LINE.decode()
    assert open_cosignature(LINE, cosigned, KEY) == open_cosignature(LINE, NOTE, KEY)


def test_every_changed_byte_of_a_line_is_found() -> None:
    for place in range(len(LINE)):
        for bits in (0x01, 0x20, 0x80):
            changed = bytearray(LINE)
            changed[place] ^= bits
            with pytest.raises(MalformedCosignature):
                open_cosignature(bytes(changed), NOTE, KEY)


@pytest.mark.parametrize(
    "note",
    [
        SIGNER.sign(58, hashlib.sha256(b"root").digest()),
        SIGNER.sign(57, hashlib.sha256(b"another").digest()),
        "not a note",
    ],
    ids=["another size", "another root", "no checkpoint"],
)
def test_it_is_of_one_checkpoint_alone(note: str) -> None:
    with pytest.raises(MalformedCosignature):
        open_cosignature(LINE, note, KEY)


def test_it_is_of_one_witness_alone() -> None:
    assert is_of(LINE, KEY)
    assert not is_of(LINE, SECOND.key)
    renamed = WitnessKey(name="witness.example/w9", public_key=KEY.public_key)
    for other in (SECOND.key, renamed):
        with pytest.raises(MalformedCosignature, match="not of the key"):
            open_cosignature(LINE, NOTE, other)


def test_another_time_than_the_signed_one_is_found() -> None:
    name, whole = LINE.decode()[2:].rstrip("\n").split(" ")
    blob = bytearray(base64.b64decode(whole))
    blob[11] ^= 1
    with pytest.raises(MalformedCosignature, match="does not fit"):
        open_cosignature(f"— {name} {base64.b64encode(blob).decode()}\n".encode(), NOTE, KEY)
    blob[4:12] = (2**63 - 1).to_bytes(8)
    with pytest.raises(MalformedCosignature, match="year 9999"):
        open_cosignature(f"— {name} {base64.b64encode(blob).decode()}\n".encode(), NOTE, KEY)


def test_the_key_of_a_log_is_none_of_a_witness_nor_the_other_way_round() -> None:
    with pytest.raises(MalformedKey, match="the key of a log, not the key of a witness"):
        parse_witness_key(encode_key(SIGNER.key))
    with pytest.raises(MalformedKey, match="the key of a witness, not the key of a log"):
        parse_key(encode_witness_key(KEY))


def test_a_file_of_cosignatures_is_read_line_by_line() -> None:
    second = SECOND.cosign(NOTE)
    assert split_cosignatures(b"") == []
    assert split_cosignatures(LINE + second) == [LINE, second]
    for broken in (LINE[:-1], LINE + b"\n", LINE.replace(b"\n", b"\r\n"), LINE + b"note\n", b"\xff\n"):
        with pytest.raises(MalformedCosignature):
            split_cosignatures(broken)


@given(st.binary(max_size=120) | st.text("—witness.example/w1 AQ=\n", max_size=60).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_cosignature_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCosignature):
        open_cosignature(data, NOTE, KEY)


@given(st.text(max_size=100) | st.text("+BAQab01=\n", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_the_key_of_a_witness_or_malformed(text: str) -> None:
    with pytest.raises(MalformedKey):
        parse_witness_key(text)
