"""Checkpoints are C2SP signed notes; a note is what its key signed, or it is nothing."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.checkpoint import (
    Checkpoint,
    CheckpointSigner,
    encode_key,
    open_checkpoint,
    parse_checkpoint,
    parse_key,
)
from server.evidence.errors import MalformedCheckpoint, MalformedKey
from server.evidence.signer import Ed25519Signer

ORIGIN = "proofcall.local/log"
SIGNER = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32)))))
OTHER = CheckpointSigner("witness.example", Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))
ROOT = hashlib.sha256(b"root").digest()
NOTE = SIGNER.sign(57, ROOT)
VKEY = encode_key(SIGNER.key)

# The example of C2SP signed-note (https://c2sp.org/signed-note), also in the tests of Go's x/mod/sumdb/note.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_is_what_the_key_signed() -> None:
    expected = Checkpoint(origin=ORIGIN, tree_size=57, root_hash=ROOT)
    assert open_checkpoint(NOTE, SIGNER.key) == parse_checkpoint(NOTE) == expected
    text, signature = NOTE.split("\n\n")
    assert text == f"{ORIGIN}\n57\n{base64.b64encode(ROOT).decode()}"
    assert signature.startswith(f"— {ORIGIN} ")


def test_keys_are_read_as_go_reads_them() -> None:
    key = parse_key(PETER_KEY)
    assert key.name == "PeterNeumann"
    assert encode_key(key) == PETER_KEY


def test_signatures_are_made_over_the_text_as_go_makes_them() -> None:
    key = parse_key(PETER_KEY)
    text, line = PETER_NOTE.split("\n\n")
    signature = base64.b64decode(line.split(" ")[2])
    assert signature[:4] == key.key_hash
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature[4:], f"{text}\n".encode())
    with pytest.raises(MalformedCheckpoint, match="three lines"):  # a good note, but not of a checkpoint
        open_checkpoint(PETER_NOTE, key)


def test_one_key_signs_one_size_and_root_to_the_same_note() -> None:
    assert SIGNER.sign(57, ROOT) == NOTE


def test_signatures_of_others_are_passed_over_but_do_not_suffice() -> None:
    others_line = OTHER.sign(57, ROOT).split("\n\n")[1]
    assert open_checkpoint(NOTE + others_line, SIGNER.key).tree_size == 57
    alone = NOTE.split("\n\n")[0] + "\n\n" + others_line
    with pytest.raises(MalformedCheckpoint, match="not signed by the key"):
        open_checkpoint(alone, SIGNER.key)
    with pytest.raises(MalformedCheckpoint, match=r"of proofcall\.local/log, the key of witness\.example"):
        open_checkpoint(_resign(NOTE), OTHER.key)


def _resign(note: str) -> str:
    """The same text, signed by the other key under its own name."""
    text = note.split("\n\n")[0] + "\n"
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    signature = base64.b64encode(OTHER.key.key_hash + private.sign(text.encode())).decode()
    return f"{text}\n— {OTHER.key.name} {signature}\n"


def test_every_changed_character_of_a_note_is_found() -> None:
    for position, character in enumerate(NOTE):
        for other in {"A", "1", " ", "\n", chr(ord(character) ^ 1)} - {character}:
            with pytest.raises(MalformedCheckpoint):
                open_checkpoint(NOTE[:position] + other + NOTE[position + 1 :], SIGNER.key)


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n57\n{base64.b64encode(ROOT).decode()}\nextension\n",
        f"{ORIGIN}\n57\n",
        f"{ORIGIN}\n057\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n-1\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n{2**53}\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n٣\n{base64.b64encode(ROOT).decode()}\n",
        f"{ORIGIN}\n57\n{base64.b64encode(ROOT[:31]).decode()}\n",
        f"{ORIGIN}\n57\n{base64.b64encode(ROOT).decode()[:-2]}R=\n",
        f"a+b\n57\n{base64.b64encode(ROOT).decode()}\n",
        f"\n57\n{base64.b64encode(ROOT).decode()}\n",
    ],
)
def test_texts_that_are_no_checkpoints_are_malformed(text: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        parse_checkpoint(f"{text}\n— {ORIGIN} {base64.b64encode(bytes(68)).decode()}\n")


@given(st.text(max_size=200) | st.text("\n—+ AQ=1", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_checkpoint_or_malformed(text: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        open_checkpoint(text, SIGNER.key)


@given(st.text(max_size=100) | st.text("+AQab01=\n", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_key_or_malformed(text: str) -> None:
    with pytest.raises(MalformedKey):
        parse_key(text)


def test_every_changed_character_of_a_key_is_found_or_names_another_key() -> None:
    for position, character in enumerate(VKEY):
        changed = VKEY[:position] + chr(ord(character) ^ 1) + VKEY[position + 1 :]
        with pytest.raises(MalformedKey):
            parse_key(changed)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "a\u3000b", "x" * 256])
def test_a_log_cannot_be_called_anything(origin: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        CheckpointSigner(origin, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))
