"""Blobs: pictures and other large bytes, each in a file that is named by its SHA-256.

    blobs/incoming/<random>      being written; whatever lies here at the start was never acknowledged
    blobs/3f/3fa0…               complete, durable, never written again

Order: written, fsynced, renamed, folder fsynced. A blob is durable before the entry that names it.
"""

import asyncio
import hashlib
import os
import re
import tempfile
from pathlib import Path

from server.store.errors import CorruptBlob, UnknownBlob
from server.store.keys import sync_folder
from server.store.recovery import OWNER_ONLY_FOLDER, create_folder

_SHA256 = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Content-addressed files below a data directory. Made by `open`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    @classmethod
    async def open(cls, data_dir: Path) -> "BlobStore":
        """Open the blobs of a data directory, or create their folder."""
        store = cls(data_dir / "blobs")
        await asyncio.to_thread(store._prepare)
        return store

    async def put(self, data: bytes) -> str:
        """Store bytes durably and return their SHA-256; the same bytes are stored once.

        Raises CorruptBlob if other bytes lie under this name already, OSError from the disk.
        """
        return await asyncio.to_thread(self._write, data)

    async def get(self, sha256: str) -> bytes:
        """The bytes with this SHA-256; raises UnknownBlob, or CorruptBlob if the disk changed them."""
        return await asyncio.to_thread(self._read, sha256)

    def _prepare(self) -> None:
        create_folder(self._folder.parent)
        for folder in (self._folder, self._incoming):
            if not folder.is_dir():
                folder.mkdir(mode=OWNER_ONLY_FOLDER)
                sync_folder(folder.parent)
        for first_byte in range(256):  # made now, so that no put has to make its folder durable first
            (self._folder / f"{first_byte:02x}").mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        sync_folder(self._folder)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _write(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        if path.exists():
            self._read(sha256)
        else:
            descriptor, temporary = tempfile.mkstemp(dir=self._incoming)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).rename(path)
        # Also when the file was there: who renamed it may not have come to this line yet.
        sync_folder(path.parent)
        return sha256

    def _read(self, sha256: str) -> bytes:
        if _SHA256.fullmatch(sha256) is None:
            raise UnknownBlob(f"{sha256[:80]!r} is not a SHA-256 in lowercase hex")
        try:
            data = self._path(sha256).read_bytes()
        except FileNotFoundError:
            raise UnknownBlob(f"no blob {sha256} is stored") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise CorruptBlob(f"the blob {sha256} is damaged: {self._path(sha256)}")
        return data
