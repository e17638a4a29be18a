"""A copy of a picture, held against the log without knowing C2PA: what it proves, and what it refuses."""

import asyncio
import hashlib
import json
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.credential import (
    Copy,
    Credential,
    check_copy,
    encode_credential,
    open_copy,
    parse_credential,
)
from server.evidence.errors import MalformedCredential
from server.evidence.signer import Ed25519Signer
from tests.media.credential_files import make_copy, make_signer, order, store_of
from tests.server.evidence.sample_case import CASE, ORIGIN, SIGNER, VKEY, draft, make_log
from tests.server.evidence.sample_credential import PICTURE, blob_of, credential

STRANGER = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))


@cache
def copy_of(said: bytes) -> bytes:
    """As the worker makes it."""
    with tempfile.TemporaryDirectory() as folder:
        signer = make_signer(Path(folder))
        return asyncio.run(make_copy(PICTURE, order(signer, said.decode()), signer.sign))


COPY = copy_of(encode_credential(credential()))


def test_a_copy_without_its_credentials_is_the_sealed_picture_byte_for_byte() -> None:
    opened = open_copy(COPY)
    assert opened.picture == PICTURE and opened.credential == credential()
    check_copy(opened)
    check_copy(opened, SIGNER.key)


def test_an_assertion_comes_out_as_it_went_in_however_it_is_spelt() -> None:
    said = encode_credential(credential())
    assert parse_credential(said) == credential()
    assert parse_credential(json.dumps(json.loads(said), indent=2).encode()) == credential()


def test_a_copy_of_another_log_is_told_by_its_key() -> None:
    with pytest.raises(MalformedCredential, match="another log's key"):
        check_copy(open_copy(COPY), STRANGER.key)


def changed(**fields: object) -> Copy:
    return Copy(picture=PICTURE, credential=replace(credential(), **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("copy", "complaint"),
    [
        (replace(changed(), picture=PICTURE + b"."), "not the one that its content credentials are of"),
        (changed(sha256=hashlib.sha256(PICTURE + b".").hexdigest()), "not the one that"),
        (
            Copy(picture=PICTURE, credential=credential(named=b"another")),
            "the entry names another picture",
        ),
        (changed(body={**credential().body, "note": "whole"}), "the body or its salt"),
        (changed(salt=bytes(32)), "the body or its salt"),
        (changed(envelope=replace(credential().envelope, role="qa")), "does not lead|root"),
        (changed(proof=replace(credential().proof, leaf_index=1)), "does not lead|root"),
        (changed(proof=replace(credential().proof, tree_size=3)), "another size"),
        (
            changed(proof=replace(credential().proof, checkpoint=STRANGER.sign(4, bytes(32)))),
            "sign",
        ),
        (changed(vkey="no key"), "key"),
    ],
)
def test_whatever_is_changed_in_a_copy_is_found(copy: Copy, complaint: str) -> None:
    with pytest.raises(MalformedCredential, match=complaint):
        check_copy(copy)


def test_credentials_that_take_several_segments_are_put_together_in_their_order_alone() -> None:
    """A segment of a JPEG has 64 KiB at most, and so has the body of an entry."""
    log = make_log([draft("noted", CASE, {"blob": blob_of(PICTURE), "note": "长" * 20_000})])
    large = Credential(
        sha256=hashlib.sha256(PICTURE).hexdigest(),
        envelope=log.entries[0].envelope,
        body=log.entries[0].body,
        salt=log.entries[0].salt,
        proof=log.proofs[0],
        vkey=VKEY,
    )
    data = copy_of(encode_credential(large))
    check_copy(open_copy(data), SIGNER.key)
    first = data.index(b"\xff\xeb")
    second = first + 2 + int.from_bytes(data[first + 2 : first + 4])
    assert data[second : second + 2] == b"\xff\xeb"
    end = second + 2 + int.from_bytes(data[second + 2 : second + 4])
    swapped = data[:first] + data[second:end] + data[first:second] + data[end:]
    for disordered in (swapped, data[:end] + data[second:]):
        with pytest.raises(MalformedCredential, match="not in order"):
            open_copy(disordered)
    with pytest.raises(MalformedCredential, match="no possible length"):
        open_copy(data[:second] + data[end:])


def test_a_stolen_picture_key_gives_no_place_in_the_log() -> None:
    """Any C2PA reader trusts this copy: only the log's key tells."""
    log = make_log(
        [draft("noted", CASE, {"blob": blob_of(PICTURE)})],
        signer=STRANGER,
    )
    entry = log.entries[0]
    forged = Credential(
        sha256=hashlib.sha256(PICTURE).hexdigest(),
        envelope=entry.envelope,
        body=entry.body,
        salt=entry.salt,
        proof=log.proofs[0],
        vkey=encode_key(STRANGER.key),
    )
    copy = open_copy(copy_of(encode_credential(forged)))
    check_copy(copy)  # it agrees with itself
    with pytest.raises(MalformedCredential, match="another log's key"):
        check_copy(copy, SIGNER.key)
    with pytest.raises(MalformedCredential, match="sign"):
        check_copy(replace(copy, credential=replace(forged, vkey=VKEY)), SIGNER.key)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"no picture", "no JPEG"),
        (PICTURE, "no content credentials"),
        (copy_of(b'{"a":1}'), "format or a version"),
        (COPY.replace(b'"version":1', b'"version":2'), "format or a version"),
        (COPY.replace(b"proofcall.evidence\0", b"proofcall.somewhat\0"), "0 assertions proofcall.evidence"),
    ],
)
def test_what_is_no_copy_of_ours_is_refused_with_the_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(MalformedCredential, match=complaint):
        check_copy(open_copy(data))


def test_every_byte_of_the_picture_and_of_what_is_said_counts() -> None:
    """The rest of the store is signed: that is for a C2PA reader to find."""
    begin = COPY.index(b'{"checkpoint"') if b'{"checkpoint"' in COPY else COPY.index(b'{"')
    said = range(begin, COPY.index(b"}", COPY.index(b'"vkey"')))
    store = store_of(COPY)
    places = [*range(0, store.start, 3), *said[::29], *range(store.stop, len(COPY), 41)]
    for place in places:
        data = COPY[:place] + bytes([COPY[place] ^ 1]) + COPY[place + 1 :]
        with pytest.raises(MalformedCredential):
            check_copy(open_copy(data), SIGNER.key)


@given(st.data())
def test_an_opened_file_is_a_copy_or_refused_and_nothing_else(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(COPY)))
    other = data.draw(st.binary(max_size=40))
    keep = data.draw(st.integers(0, 60))
    with suppress(MalformedCredential):
        open_copy(COPY[:place] + other + COPY[place + keep :])


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_an_assertion_parses_or_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedCredential):
        parse_credential(data)
