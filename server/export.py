"""A case as a package that proves itself, on its way from the store to whoever asked: `evidence/package.py`
says what stands where, here the bytes are fetched, one piece of one file at a time.
"""

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from server.evidence.container import Content
from server.evidence.entry import Entry
from server.evidence.package import AttestedCheckpoint, HeldFile, PackageWriter, PlaybackFile, StoredFile
from server.evidence.proof import InclusionProof
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, UnknownBlob
from server.store.log import LogStore
from server.store.sealed_file import SealedReader

PIECE_BYTES = 256 * 1024  # sent at once: many entries, so that a turn of the thread is worth it
HELD_BYTES = 4 << 20  # a file up to this size is decrypted once; a longer one for its sums, and once more
READ_BYTES = 1 << 20  # of a longer one at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a package holds beside the entries and their blobs. Copies and playback lie on the shelf."""

    attested: Sequence[AttestedCheckpoint] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    credentials: Mapping[str, int] = field(default_factory=dict)  # SHA-256 of the picture: size of its copy
    playback: Sequence[PlaybackFile] = ()


class Blobs(Protocol):
    """Where blobs are opened: `BlobStore`, or what has none."""

    def open_now(self, case_id: str, sha256: str) -> SealedReader:
        """Raises UnknownBlob, CorruptBlob."""


class Shelf:
    """The large files of a case, whole or not at all: a blob whose seals or hash do not hold is not there."""

    def __init__(self, blobs: Blobs, case_id: str) -> None:
        self._blobs = blobs
        self._case_id = case_id
        self._derived: dict[str, SealedReader] = {}
        self._measured: dict[str, StoredFile] = {}  # derived files are listed before they are written

    def put(self, name: str, reader: SealedReader) -> None:
        """A derived file, which is the shelf's from now on: evicted from its folder it can still be read."""
        self._derived[name] = reader

    def open(self, name: str) -> StoredFile | None:
        if name.startswith("blobs/"):
            return self._open_blob(name.removeprefix("blobs/"))
        try:
            if name not in self._measured and name in self._derived:
                self._measured[name] = _Borrowed(_LargeFile(self._derived[name]))
        except CorruptBlob:
            return None
        return self._measured.get(name)

    def close(self) -> None:
        for reader in self._derived.values():
            reader.close()

    def _open_blob(self, sha256: str) -> StoredFile | None:
        try:
            file = _measured(self._blobs.open_now(self._case_id, sha256))
        except (UnknownBlob, CorruptBlob):
            return None
        if file.sha256 != sha256:
            file.close()
            return None
        return file


class Export:
    """A package on its way out. Whoever has it closes it."""

    def __init__(self, writer: PackageWriter, shelf: Shelf) -> None:
        self._writer = writer
        self._shelf = shelf

    @property
    def size_bytes(self) -> int:
        """If nothing that it should hold is missing or damaged; else it will be shorter."""
        return self._writer.size_bytes

    async def pieces(self) -> AsyncIterator[bytes]:
        """The package, once."""
        rest = self._writer.pieces(self._shelf)
        while piece := await asyncio.to_thread(_take, rest):
            yield piece

    def close(self) -> None:
        self._shelf.close()


async def export_package(log: LogStore, blobs: BlobStore, case_id: str, *, up_to: int) -> Export:
    """The package of a case up to entry `up_to`, which says that it was exported: entries and blobs alone."""
    entries = await log.entries(case_id, limit=up_to)
    proofs = await log.inclusion_proofs([entry.leaf_index for entry in entries])
    return await write_package(log, entries, proofs, Extras(), Shelf(blobs, case_id))


async def write_package(
    log: LogStore, entries: Sequence[Entry], proofs: Sequence[InclusionProof], extras: Extras, shelf: Shelf
) -> Export:
    """A package that is written as it is read. In memory are the entries and a piece of one file.

    Raises MalformedPackage if it would be too large. A blob that cannot be read does not hold up the rest:
    the package names the lack when it is verified.
    """
    writer = await asyncio.to_thread(
        PackageWriter,
        entries=entries,
        proofs=proofs,
        checkpoint=proofs[0].checkpoint if proofs else log.checkpoint,
        vkey=log.vkey,
        attested=extras.attested,
        files=extras.files,
        credentials=extras.credentials,
        playback=extras.playback,
    )
    return Export(writer, shelf)


class _LargeFile:
    """A sealed file that was read once, piece by piece, for its sums."""

    def __init__(self, reader: SealedReader) -> None:
        self._reader = reader
        self.size_bytes = reader.size_bytes
        self.crc = 0
        sha256 = hashlib.sha256()
        for offset in range(0, self.size_bytes, READ_BYTES):
            piece = reader.read_now(offset, READ_BYTES)
            sha256.update(piece)
            self.crc = zlib.crc32(piece, self.crc)
        self.sha256 = sha256.hexdigest()

    def read_now(self, offset: int, size: int) -> bytes:
        return self._reader.read_now(offset, size)

    def close(self) -> None:
        self._reader.close()


class _Borrowed:
    """A file that stays open when who reads it closes it."""

    def __init__(self, file: _LargeFile) -> None:
        self._file = file
        self.size_bytes, self.sha256, self.crc = file.size_bytes, file.sha256, file.crc

    def read_now(self, offset: int, size: int) -> bytes:
        return self._file.read_now(offset, size)

    def close(self) -> None:
        """The shelf does."""


def _measured(reader: SealedReader) -> StoredFile:
    """A file to be written into a package. Small ones are decrypted once. Raises CorruptBlob."""
    try:
        if reader.size_bytes > HELD_BYTES:
            return _LargeFile(reader)
        data = reader.read_now(0, reader.size_bytes)
    except BaseException:
        reader.close()
        raise
    reader.close()
    return HeldFile(data)


def _take(parts: Iterator[Content]) -> bytes:
    """The next parts together, PIECE_BYTES or somewhat more; nothing at the end."""
    taken: list[Content] = []
    size_bytes = 0
    for part in parts:
        taken.append(part)
        size_bytes += len(part)
        if size_bytes >= PIECE_BYTES:
            break
    return b"".join(taken)
