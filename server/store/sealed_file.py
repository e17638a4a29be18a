"""Sealed files on disk: how one is written so that it is there whole or not at all, and how parts are read.

Order: temporary file, fsync, rename, fsync of the folder. The file format stands in `sealing`.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from server.store.errors import CorruptBlob, MalformedSeal
from server.store.keys import sync_folder
from server.store.sealing import (
    CHUNK_SIZE_BYTES,
    FILE_SALT_SIZE_BYTES,
    HEADER_SIZE_BYTES,
    CaseSeal,
    read_layout,
)

TEMPORARY_PREFIX = ".new-"  # no case and no file has a name that begins with a point


def write_sealed(
    path: Path,
    seal: CaseSeal,
    name: str,
    read: Callable[[int], bytes],
    *,
    temporary_folder: Path,
    durable: bool,
) -> None:
    """Seal what `read` gives as the file `name` of a case; it stands under `path` whole or not at all.

    With `durable` it is synced before it has its name, and its name before this returns. Raises OSError, and
    then nothing is left behind.
    """
    file_seal = seal.begin_file(name, os.urandom(FILE_SALT_SIZE_BYTES))
    descriptor, temporary = tempfile.mkstemp(dir=temporary_folder, prefix=TEMPORARY_PREFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in file_seal.seal(read):
                file.write(piece)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(temporary).rename(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


class SealedReader:
    """An open sealed file, read in any order."""

    def __init__(self, path: Path, seal: CaseSeal, name: str) -> None:
        """Raises FileNotFoundError, and CorruptBlob unless the end of the file vouches for its size."""
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._seal = seal.continue_file(name, os.pread(self._descriptor, HEADER_SIZE_BYTES, 0))
            self._layout = read_layout(os.fstat(self._descriptor).st_size)
            self._chunk(self._layout.chunks - 1)
        except MalformedSeal as error:
            os.close(self._descriptor)
            raise CorruptBlob(f"{path} is damaged: {error}") from None
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def size_bytes(self) -> int:
        """The size of the plain bytes."""
        return self._layout.size_bytes

    async def read(self, offset: int, size: int) -> bytes:
        """The plain bytes from `offset` on, fewer than `size` only at the end; raises CorruptBlob."""
        return await asyncio.to_thread(self.read_now, offset, size)

    def read_now(self, offset: int, size: int) -> bytes:
        """`read`, in this thread."""
        end = min(offset + size, self._layout.size_bytes)
        if offset < 0 or offset >= end:
            return b""
        first = offset // CHUNK_SIZE_BYTES
        try:
            pieces = [self._chunk(index) for index in range(first, (end - 1) // CHUNK_SIZE_BYTES + 1)]
        except MalformedSeal as error:
            raise CorruptBlob(f"{self._path} is damaged: {error}") from None
        begin = offset - first * CHUNK_SIZE_BYTES
        return b"".join(pieces)[begin : begin + end - offset]

    def close(self) -> None:
        """A second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _chunk(self, index: int) -> bytes:
        offset, size = self._layout.place(index)
        return self._seal.open_chunk(index, self._layout, os.pread(self._descriptor, size, offset))
