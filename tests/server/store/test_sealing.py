"""What is sealed opens in its own place only, and whatever else was done to it is told with the chunk."""

import io
import random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from server.store.errors import MalformedSeal
from server.store.sealing import (
    CHUNK_SIZE_BYTES,
    HEADER_SIZE_BYTES,
    SEALED_CHUNK_SIZE_BYTES,
    CaseSeal,
    read_layout,
)

KEY, FILE_SALT, NONCE, SALT = bytes(range(32)), bytes(32), bytes(12), b"s" * 32
SEAL = CaseSeal("c_1", KEY)
CONTENT = random.Random(1).randbytes(2 * CHUNK_SIZE_BYTES + 100)


def seal_file(data: bytes, *, seal: CaseSeal = SEAL, name: str = "blobs/a", salt: bytes = FILE_SALT) -> bytes:
    return b"".join(seal.begin_file(name, salt).seal(io.BytesIO(data).read))


def open_file(sealed: bytes, *, seal: CaseSeal = SEAL, name: str = "blobs/a") -> bytes:
    file_seal = seal.continue_file(name, sealed[:HEADER_SIZE_BYTES])
    layout = read_layout(len(sealed))
    pieces = []
    for index in range(layout.chunks):
        offset, size = layout.place(index)
        pieces.append(file_seal.open_chunk(index, layout, sealed[offset : offset + size]))
    assert sum(map(len, pieces)) == layout.size_bytes
    return b"".join(pieces)


def chunks_of(sealed: bytes) -> list[bytes]:
    body = sealed[HEADER_SIZE_BYTES:]
    return [body[at : at + SEALED_CHUNK_SIZE_BYTES] for at in range(0, len(body), SEALED_CHUNK_SIZE_BYTES)]


def test_an_entry_opens_in_its_own_place_only() -> None:
    sealed = SEAL.seal_entry(7, 0, "k", salt=SALT, body=b"{}", nonce=NONCE)
    assert SEAL.open_entry(7, 0, "k", sealed) == (SALT, b"{}")
    for seal, number, ordinal, command_id in (
        (SEAL, 8, 0, "k"),
        (SEAL, 7, 1, "k"),
        (SEAL, 7, 0, "l"),
        (SEAL, 7, 0, None),
        (CaseSeal("c_2", KEY), 7, 0, "k"),
        (CaseSeal("c_1", bytes(32)), 7, 0, "k"),
    ):
        with pytest.raises(MalformedSeal):
            seal.open_entry(number, ordinal, command_id, sealed)


def test_every_flipped_bit_and_every_cut_of_an_entry_is_found() -> None:
    sealed = SEAL.seal_entry(7, 0, None, salt=SALT, body=b"{}", nonce=NONCE)
    for bit in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MalformedSeal):
            SEAL.open_entry(7, 0, None, bytes(damaged))
    for size in range(len(sealed)):
        with pytest.raises(MalformedSeal):
            SEAL.open_entry(7, 0, None, sealed[:size])


def test_the_docstring_draws_the_bytes_that_are_written() -> None:
    def derive(info: bytes, salt: bytes | None) -> AESGCM:
        return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(KEY))

    place = b"c_1\n7\n2\n=k"
    expected = NONCE + derive(b"proofcall entries 1\x00c_1", None).encrypt(NONCE, SALT + b"{}", place)
    assert SEAL.seal_entry(7, 2, "k", salt=SALT, body=b"{}", nonce=NONCE) == expected
    cipher = derive(b"proofcall file 1\x00c_1\x00blobs/a", FILE_SALT)
    expected = b"proofcall file 1" + FILE_SALT
    for index in range(3):
        nonce = index.to_bytes(11, "big") + bytes([index == 2])
        expected += cipher.encrypt(nonce, CONTENT[index * 65_536 : (index + 1) * 65_536], None)
    assert seal_file(CONTENT) == expected


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_SIZE_BYTES - 1, CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES + 1, 2 * CHUNK_SIZE_BYTES]
)
def test_a_file_of_any_size_comes_back(size: int) -> None:
    sealed = seal_file(CONTENT[:size])
    assert open_file(sealed) == CONTENT[:size]
    chunks = max(1, -(-size // CHUNK_SIZE_BYTES))
    assert len(sealed) == HEADER_SIZE_BYTES + size + 16 * chunks


def test_a_source_that_gives_little_at_a_time_is_sealed_the_same() -> None:
    source = io.BytesIO(CONTENT)
    sealed = b"".join(SEAL.begin_file("blobs/a", FILE_SALT).seal(lambda size: source.read(min(size, 999))))
    assert sealed == seal_file(CONTENT)


A, B, C = chunks_of(seal_file(CONTENT))
HEADER = seal_file(CONTENT)[:HEADER_SIZE_BYTES]
OTHER_NAME = chunks_of(seal_file(CONTENT, name="blobs/b"))
OTHER_CASE = chunks_of(seal_file(CONTENT, seal=CaseSeal("c_2", KEY)))
OTHER_SALT = chunks_of(seal_file(CONTENT, salt=b"t" * 32))
LONGER = chunks_of(seal_file(CONTENT + bytes(CHUNK_SIZE_BYTES)))


@pytest.mark.parametrize(
    ("chunks", "complaint"),
    [
        ([B, A, C], "chunk 0 of 3"),
        ([A, A, C], "chunk 1 of 3"),
        ([A, B, B, C], "chunk 2 of 4"),
        ([A, C], "chunk 1 of 2"),
        ([A, B], "chunk 1 of 2"),
        ([A], "chunk 0 of 1"),
        ([], "cut off before the end of chunk 0"),
        ([A, B, C[:-1]], "chunk 2 of 3"),
        ([A, B, C[:15]], "cut off within chunk 2"),
        ([A, B, C[:16]], "cut off within chunk 2"),
        ([A, B[:-1]], "chunk 1 of 2"),
        ([A, B, C + b"x"], "chunk 2 of 3"),
        ([A, OTHER_NAME[1], C], "chunk 1 of 3"),
        ([A, OTHER_CASE[1], C], "chunk 1 of 3"),
        ([A, OTHER_SALT[1], C], "chunk 1 of 3"),
        ([A, B, LONGER[2]], "chunk 2 of 3"),
    ],
)
def test_what_was_done_to_the_chunks_of_a_file_is_told_with_the_chunk(
    chunks: list[bytes], complaint: str
) -> None:
    with pytest.raises(MalformedSeal, match=complaint):
        open_file(HEADER + b"".join(chunks))


def test_a_file_of_another_case_or_name_or_kind_is_refused() -> None:
    sealed = seal_file(CONTENT)
    for seal, name in ((CaseSeal("c_2", KEY), "blobs/a"), (SEAL, "blobs/b"), (SEAL, "derived/a")):
        with pytest.raises(MalformedSeal, match="chunk 0 of 3"):
            open_file(sealed, seal=seal, name=name)
    with pytest.raises(MalformedSeal, match="header"):
        open_file(b"x" + sealed[1:])


@given(st.integers(min_value=0, max_value=len(seal_file(b"small")) - 1), st.integers(1, 255))
def test_every_flipped_byte_of_a_file_is_found(offset: int, change: int) -> None:
    damaged = bytearray(seal_file(b"small"))
    damaged[offset] ^= change
    with pytest.raises(MalformedSeal):
        open_file(bytes(damaged))


@given(st.binary(max_size=300))
def test_any_bytes_open_or_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedSeal):
        open_file(data)
    with pytest.raises(MalformedSeal):
        SEAL.open_entry(1, 0, None, data)
