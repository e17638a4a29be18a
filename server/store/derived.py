"""Derived files: what can be made again from the log and the blobs, kept as long as there is room.

    derived/.incoming/<random>     being written
    derived/c_7Q…/<name>           complete, sealed with the key of the case

Nothing here is evidence: any file may be deleted at any time, and one that is damaged counts as not there.
When all together are larger than allowed, those go first that were opened or made the longest ago.
"""

import asyncio
import contextlib
import os
import re
import threading
from pathlib import Path
from typing import BinaryIO

from server.store.blobs import INCOMING, OWNER_ONLY_FOLDER
from server.store.case_keys import CaseKeys
from server.store.errors import CorruptBlob, UnknownBlob, UnknownCaseKey
from server.store.sealed_file import SealedReader, write_sealed

MAX_SIZE_BYTES = 4 << 30  # about ten hours of calls at 1 Mbit/s: what QA looks at in some days
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


class DerivedStore:
    """Sealed files of each case that may vanish. Made by `prepare`."""

    def __init__(self, folder: Path, keys: CaseKeys, max_size_bytes: int) -> None:
        self._folder = folder
        self._keys = keys
        self._max_size_bytes = max_size_bytes
        self._evicting = threading.Lock()

    @classmethod
    async def prepare(
        cls, data_dir: Path, keys: CaseKeys, *, max_size_bytes: int = MAX_SIZE_BYTES
    ) -> "DerivedStore":
        """The derived files of a data directory that is locked by this process; leftovers are removed."""
        store = cls(data_dir / "derived", keys, max_size_bytes)
        await asyncio.to_thread(store._prepare)
        return store

    async def open(self, case_id: str, name: str) -> SealedReader | None:
        """The file of this name, None if it is not there or not whole; raises UnknownBlob for a bad name."""
        return await asyncio.to_thread(self._open, case_id, name)

    async def put(self, case_id: str, name: str, file: BinaryIO) -> SealedReader:
        """Keep what `file` gives from its position on, in place of an older one, and open it.

        The reader stays good when the file is evicted. Raises UnknownBlob for a bad name, UnknownCaseKey for
        a case without entries, OSError from the disk, and then nothing is left of it.
        """
        return await asyncio.to_thread(self._put, case_id, name, file)

    async def discard(self, case_id: str, name: str) -> None:
        """Remove a file, because it was found damaged or is out of date."""
        await asyncio.to_thread(self._path(case_id, name).unlink, missing_ok=True)

    def _prepare(self) -> None:
        incoming = self._folder / INCOMING
        for made in (self._folder, incoming):
            made.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        for leftover in incoming.iterdir():
            leftover.unlink()
        self._evict(keep=None)

    def _path(self, case_id: str, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise UnknownBlob(f"{name[:80]!r} is not the name of a derived file")
        self._keys.get_for_files(case_id)  # a case of the log: its id is a name that folders may have
        return self._folder / case_id / name

    def _open(self, case_id: str, name: str) -> SealedReader | None:
        try:
            path = self._path(case_id, name)
        except UnknownCaseKey:
            return None
        try:
            reader = SealedReader(path, self._keys.get_for_files(case_id), _seal_name(name))
        except FileNotFoundError:
            return None
        except CorruptBlob:
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(FileNotFoundError):  # evicted since it was opened
            os.utime(path)
        return reader

    def _put(self, case_id: str, name: str, file: BinaryIO) -> SealedReader:
        path = self._path(case_id, name)
        seal = self._keys.get_for_files(case_id)
        path.parent.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        # Not synced: what a power failure cuts off does not open; what it tears is discarded by who reads it.
        write_sealed(
            path, seal, _seal_name(name), file.read, temporary_folder=self._folder / INCOMING, durable=False
        )
        reader = SealedReader(path, seal, _seal_name(name))
        self._evict(keep=path)
        return reader

    def _evict(self, keep: Path | None) -> None:
        """Delete the oldest until the rest is small enough; the newest stays however large it is."""
        with self._evicting:
            found = []
            for path in self._folder.glob("[!.]*/*"):
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                found.append((status.st_mtime_ns, status.st_size, path))
            total = sum(size for _, size, _ in found)
            for _, size, path in sorted(found):
                if total <= self._max_size_bytes:
                    return
                if path != keep:
                    path.unlink(missing_ok=True)
                    total -= size


def _seal_name(name: str) -> str:
    return f"derived/{name}"
