"""Sealing: AES-256-GCM with the key of a case, for entries and for files. Pure: no file, no randomness.

From the case key (32 random bytes) a key of its own is derived for each use, by HKDF-SHA256 (RFC 5869):

    case key ──┬─ info "proofcall entries 1" 00 case id ───────────────────▶ key of all entries of the case
               └─ salt = file salt, info "proofcall file 1" 00 case id 00 name ──▶ key of one file

An entry, one sealed value. Its associated data are the place where it lies: case id, number, ordinal,
command id. In another row, or in another case, it does not open.

    ┌──────────────┬───────────────────────────────┬──────────┐
    │ nonce 12     │ encrypted: salt 32 || body    │ tag 16   │     nonce random: 2^32 entries of one case
    └──────────────┴───────────────────────────────┴──────────┘     are safe (NIST SP 800-38D section 8.3)

A file, in chunks that can be read one by one: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár:
Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015), as in the payload of age.

    ┌──────────┬──────────────┬────────────────────────┬─ ─ ─ ─ ─┬──────────────────────────┐
    │ magic 16 │ file salt 32 │ chunk 0: 65536, tag 16 │ chunk 1 │ last: 1 to 65536, tag 16 │
    └──────────┴──────────────┴────────────────────────┴─ ─ ─ ─ ─┴──────────────────────────┘
    nonce of a chunk = its index, 11 bytes big-endian || 01 for the last chunk, 00 for the others

The index in the nonce betrays what was reordered, dropped or doubled, the flag what was cut off, the file's
own key what comes from another file. The last chunk is empty only where the whole file is. Whoever reads a
part opens the last chunk first: it alone vouches for the size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.evidence.entry import SALT_SIZE_BYTES
from server.store.errors import MalformedSeal

KEY_SIZE_BYTES = 32  # AES-256
NONCE_SIZE_BYTES = 12  # NIST SP 800-38D section 8.2: the size that GCM is made for
TAG_SIZE_BYTES = 16  # NIST SP 800-38D: the longest
FILE_SALT_SIZE_BYTES = 32  # as long as the key: two files with the same key are as likely as a guessed one
CHUNK_SIZE_BYTES = 65_536  # as age has it: 0.02 % of overhead, and a seek costs 30 us
SEALED_CHUNK_SIZE_BYTES = CHUNK_SIZE_BYTES + TAG_SIZE_BYTES

_MAGIC = b"proofcall file 1"
HEADER_SIZE_BYTES = len(_MAGIC) + FILE_SALT_SIZE_BYTES


class CaseSeal:
    """The key of one case, and what is sealed with it. Any thread may use it."""

    def __init__(self, case_id: str, key: bytes) -> None:
        self.case_id = case_id
        self._key = key
        self._entries = AESGCM(_derive(key, b"proofcall entries 1\x00" + case_id.encode(), salt=None))

    def seal_entry(
        self, number: int, ordinal: int, command_id: str | None, *, salt: bytes, body: bytes, nonce: bytes
    ) -> bytes:
        """The sealed value of an entry; `nonce` is random and never used twice."""
        return nonce + self._entries.encrypt(nonce, salt + body, self._place(number, ordinal, command_id))

    def open_entry(
        self, number: int, ordinal: int, command_id: str | None, sealed: bytes
    ) -> tuple[bytes, bytes]:
        """Salt and body of an entry; raises MalformedSeal unless they were sealed for this very place."""
        if len(sealed) < NONCE_SIZE_BYTES + SALT_SIZE_BYTES + TAG_SIZE_BYTES:
            raise MalformedSeal(f"the sealed body has {len(sealed)} bytes, too few for any")
        nonce, encrypted = sealed[:NONCE_SIZE_BYTES], sealed[NONCE_SIZE_BYTES:]
        try:
            data = self._entries.decrypt(nonce, encrypted, self._place(number, ordinal, command_id))
        except InvalidTag:
            raise MalformedSeal(
                "the sealed body does not open in this place with the key of its case"
            ) from None
        return data[:SALT_SIZE_BYTES], data[SALT_SIZE_BYTES:]

    def begin_file(self, name: str, file_salt: bytes) -> "FileSeal":
        """The seal of a new file of this case; `file_salt` is random and never used twice."""
        info = b"\x00".join((b"proofcall file 1", self.case_id.encode(), name.encode()))
        return FileSeal(file_salt, AESGCM(_derive(self._key, info, salt=file_salt)))

    def continue_file(self, name: str, header: bytes) -> "FileSeal":
        """The seal of a file that begins with this header; raises MalformedSeal for a header of nothing here.

        Whether key, case and name are the right ones shows with the first chunk that is opened.
        """
        if len(header) != HEADER_SIZE_BYTES or not header.startswith(_MAGIC):
            raise MalformedSeal("the header is not that of a sealed file")
        return self.begin_file(name, header[len(_MAGIC) :])

    def _place(self, number: int, ordinal: int, command_id: str | None) -> bytes:
        command = "" if command_id is None else f"={command_id}"  # the last, so no spelling of it is another
        return f"{self.case_id}\n{number}\n{ordinal}\n{command}".encode()


class FileSeal:
    """The key of one file. Its chunks may be opened in any order; each is sealed once."""

    def __init__(self, file_salt: bytes, cipher: AESGCM) -> None:
        self.header = _MAGIC + file_salt
        self._cipher = cipher

    def seal(self, read: Callable[[int], bytes]) -> Iterator[bytes]:
        """The bytes of the sealed file, piece by piece; `read(n)` gives at most n bytes, none at the end."""
        yield self.header
        index = 0
        chunk = _fill(read)
        while True:
            following = _fill(read) if len(chunk) == CHUNK_SIZE_BYTES else b""
            yield self._cipher.encrypt(_nonce(index, last=not following), chunk, None)
            if not following:
                return
            index, chunk = index + 1, following

    def open_chunk(self, index: int, layout: "Layout", sealed: bytes) -> bytes:
        """The plain bytes of a chunk of a file so laid out; raises MalformedSeal, which names the chunk."""
        try:
            return self._cipher.decrypt(_nonce(index, last=index == layout.chunks - 1), sealed, None)
        except InvalidTag:
            raise MalformedSeal(
                f"chunk {index} of {layout.chunks} does not open: damaged, cut off, moved, or of another file"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the size of a sealed file says of it; true only once its last chunk has opened."""

    chunks: int
    size_bytes: int  # of the plain bytes

    def place(self, index: int) -> tuple[int, int]:
        """Offset and size of a sealed chunk within the file."""
        offset = HEADER_SIZE_BYTES + index * SEALED_CHUNK_SIZE_BYTES
        plain = min(CHUNK_SIZE_BYTES, self.size_bytes - index * CHUNK_SIZE_BYTES)
        return offset, plain + TAG_SIZE_BYTES


def read_layout(sealed_size_bytes: int) -> Layout:
    """Chunks and plain size of a sealed file of this size; raises MalformedSeal where no file has it."""
    rest = sealed_size_bytes - HEADER_SIZE_BYTES
    if rest < TAG_SIZE_BYTES:
        raise MalformedSeal("the file is cut off before the end of chunk 0")
    chunks = -(-rest // SEALED_CHUNK_SIZE_BYTES)
    last = rest - (chunks - 1) * SEALED_CHUNK_SIZE_BYTES
    if last < TAG_SIZE_BYTES or (last == TAG_SIZE_BYTES and chunks > 1):
        raise MalformedSeal(f"the file is cut off within chunk {chunks - 1}")
    return Layout(chunks=chunks, size_bytes=rest - chunks * TAG_SIZE_BYTES)


def _derive(key: bytes, info: bytes, *, salt: bytes | None) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_SIZE_BYTES, salt=salt, info=info).derive(key)


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(NONCE_SIZE_BYTES - 1, "big") + (b"\x01" if last else b"\x00")


def _fill(read: Callable[[int], bytes]) -> bytes:
    """A whole chunk, or what is left of the source."""
    data = read(CHUNK_SIZE_BYTES)
    while data and len(data) < CHUNK_SIZE_BYTES and (more := read(CHUNK_SIZE_BYTES - len(data))):
        data += more
    return data
