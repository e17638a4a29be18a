"""Blobs: pictures, segments and other large bytes of a case, each sealed in a file named by its SHA-256.

    blobs/.incoming/<random>     being written; whatever lies here at the start was never acknowledged
    blobs/c_7Q…/3fa0…            complete, durable, never written again; the hash is that of the plain bytes

Order: written, fsynced, renamed, folder fsynced. A blob is durable before the entry that names it.
"""

import asyncio
import hashlib
import io
import re
import threading
from pathlib import Path

from server.store.case_keys import CaseKeys
from server.store.errors import CorruptBlob, UnknownBlob, UnknownCaseKey
from server.store.keys import sync_folder
from server.store.sealed_file import SealedReader, write_sealed
from server.store.sealing import CaseSeal

INCOMING = ".incoming"  # no case has a name that begins with a point
OWNER_ONLY_FOLDER = 0o700  # blobs are personal data

_SHA256 = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Content-addressed sealed files of each case below a data directory. Made by `prepare`."""

    def __init__(self, folder: Path, keys: CaseKeys) -> None:
        self._folder = folder
        self._keys = keys
        self._making_folder = threading.Lock()

    @classmethod
    async def prepare(cls, data_dir: Path, keys: CaseKeys) -> "BlobStore":
        """The blobs of a data directory that is locked by this process; `keys` are those of its log."""
        store = cls(data_dir / "blobs", keys)
        await asyncio.to_thread(prepare_folder, store._folder)
        return store

    async def put(self, case_id: str, data: bytes) -> str:
        """Store bytes durably and return their SHA-256; the same bytes of a case are stored once.

        Raises UnknownCaseKey for a case without entries, CorruptBlob if other bytes lie under this name
        already, OSError from the disk, and then nothing is left of them.
        """
        return await asyncio.to_thread(self.put_now, case_id, data)

    async def get(self, case_id: str, sha256: str) -> bytes:
        """The bytes with this SHA-256; raises UnknownBlob, or CorruptBlob, which names file and chunk."""
        return await asyncio.to_thread(self._read, case_id, sha256)

    async def open(self, case_id: str, sha256: str) -> SealedReader:
        """The bytes with this SHA-256, to be read in parts; raises like `get`."""
        return await asyncio.to_thread(self.open_now, case_id, sha256)

    def put_now(self, case_id: str, data: bytes) -> str:
        """`put` for who is in a thread that may wait for the disk."""
        seal = self._keys.get_for_files(case_id)
        sha256 = hashlib.sha256(data).hexdigest()
        path = blob_path(self._folder, case_id, sha256)
        if path.exists():
            read_blob(path, seal, sha256)
            # Who renamed it may not have come to this line yet.
            sync_folder(path.parent)
        else:
            self._make_folder(path.parent)
            write_blob(self._folder, seal, sha256, data)
        return sha256

    def _make_folder(self, folder: Path) -> None:
        # Nobody finds it before it is durable: whoever comes second waits.
        with self._making_folder:
            make_case_folder(folder)

    def _read(self, case_id: str, sha256: str) -> bytes:
        seal, path = self._find(case_id, sha256)
        try:
            return read_blob(path, seal, sha256)
        except FileNotFoundError:
            raise UnknownBlob(f"no blob {sha256} of case {case_id} is stored") from None

    def open_now(self, case_id: str, sha256: str) -> SealedReader:
        """`open` for who is in a thread that may wait for the disk."""
        seal, path = self._find(case_id, sha256)
        try:
            return SealedReader(path, seal, seal_name(sha256))
        except FileNotFoundError:
            raise UnknownBlob(f"no blob {sha256} of case {case_id} is stored") from None

    def _find(self, case_id: str, sha256: str) -> tuple[CaseSeal, Path]:
        if _SHA256.fullmatch(sha256) is None:
            raise UnknownBlob(f"{sha256[:80]!r} is not a SHA-256 in lowercase hex")
        try:
            return self._keys.get_for_files(case_id), blob_path(self._folder, case_id, sha256)
        except UnknownCaseKey as error:
            raise UnknownBlob(str(error)) from None


def blob_path(folder: Path, case_id: str, sha256: str) -> Path:
    """Where a blob lies below the folder of all blobs."""
    return folder / case_id / sha256


def seal_name(sha256: str) -> str:
    """The name under which a blob is sealed."""
    return f"blobs/{sha256}"


def prepare_folder(folder: Path) -> None:
    """Make the folder of all blobs, and sweep away what a crash left half written."""
    incoming = folder / INCOMING
    for made in (folder, incoming):
        if not made.is_dir():
            made.mkdir(mode=OWNER_ONLY_FOLDER)
            sync_folder(made.parent)
    for leftover in incoming.iterdir():
        leftover.unlink()
    sync_folder(folder)  # folders of cases that a crash left are durable from here on


def make_case_folder(folder: Path) -> None:
    """The folder of a case's blobs, durable."""
    if not folder.is_dir():
        folder.mkdir(mode=OWNER_ONLY_FOLDER)
        sync_folder(folder.parent)


def write_blob(folder: Path, seal: CaseSeal, sha256: str, data: bytes) -> None:
    """Write a blob durably into its case's folder, which is there; raises OSError."""
    write_sealed(
        blob_path(folder, seal.case_id, sha256),
        seal,
        seal_name(sha256),
        io.BytesIO(data).read,
        temporary_folder=folder / INCOMING,
        durable=True,
    )


def read_blob(path: Path, seal: CaseSeal, sha256: str) -> bytes:
    """The plain bytes of a blob's file; raises FileNotFoundError, CorruptBlob."""
    reader = SealedReader(path, seal, seal_name(sha256))
    try:
        data = reader.read_now(0, reader.size_bytes)
    finally:
        reader.close()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptBlob(f"{path} is damaged: what was sealed in it has another SHA-256")
    return data
