"""Uploads that are not finished: their pieces, sealed with the key of the case, found again after a restart.

    uploads/.incoming/<random>                    being written, or being removed
    uploads/c_7Q…/l_2f…/3fa0…/00000000            a piece, named by the offset at which it begins
    uploads/c_7Q…/l_2f…/3fa0…/01048576            the next
    uploads/c_7Q…/l_2f…/3fa0…/.unchecked/…        pieces of a request whose checksum is not known to be right

An upload is known by its case, by who sends it and by the SHA-256 that was announced. Its offset is where
its last piece ends; a piece is durable before the offset moves. A piece has 1 MiB at most, and two neighbours
have more than that together, so that an upload of single bytes does not make a file of each. Nothing else is
kept: when an upload was last added to, its folder knows.
"""

import asyncio
import io
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from server.store.blobs import INCOMING, make_case_folder
from server.store.case_keys import CaseKeys
from server.store.errors import CorruptBlob, IllegalAppend, MalformedSeal
from server.store.keys import sync_folder
from server.store.sealed_file import SealedReader, write_sealed
from server.store.sealing import CaseSeal, read_layout

PIECE_BYTES = 1 << 20  # lost at the most when the connection breaks or the machine stops
UNCHECKED = ".unchecked"

_PIECE = re.compile(r"\d{8}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadKey:
    """What an upload is known by."""

    case_id: str
    actor_id: str
    sha256: str


@dataclass(slots=True, kw_only=True)
class Upload:
    """An upload under way. `pieces`: where each begins, and how long it is; `unchecked`: sizes only."""

    key: UploadKey
    changed_at: datetime
    pieces: list[tuple[int, int]] = field(default_factory=list)
    unchecked: list[int] = field(default_factory=list)

    @property
    def offset_bytes(self) -> int:
        """As many bytes are durable."""
        return sum(self.pieces[-1]) if self.pieces else 0


class UploadStore:
    """The unfinished uploads of a data directory. Made by `prepare`.

    Who changes an upload sees to it that nobody else does so at the same time.
    """

    def __init__(self, folder: Path, keys: CaseKeys, utc_now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._keys = keys
        self._utc_now = utc_now
        self._uploads: dict[UploadKey, Upload] = {}
        self._making_folder = threading.Lock()

    @classmethod
    async def prepare(
        cls, data_dir: Path, keys: CaseKeys, *, utc_now: Callable[[], datetime]
    ) -> "UploadStore":
        """The uploads of a data directory that is locked by this process; `keys` are those of its log."""
        store = cls(data_dir / "uploads", keys, utc_now)
        await asyncio.to_thread(store._prepare)
        return store

    def find(self, key: UploadKey) -> Upload | None:
        """The upload, if it has begun and is not over."""
        return self._uploads.get(key)

    def all(self) -> list[Upload]:
        """All of them, in the order in which they began or were found."""
        return list(self._uploads.values())

    def count_of(self, actor_id: str) -> int:
        """How many of one person are under way."""
        return sum(key.actor_id == actor_id for key in self._uploads)

    async def begin(self, key: UploadKey) -> Upload:
        """A new upload, durable. Raises UnknownCaseKey for a case without entries, OSError from the disk."""
        self._keys.get_for_files(key.case_id)
        upload = self._uploads[key] = Upload(key=key, changed_at=self._utc_now())
        try:
            await asyncio.to_thread(self._make_folders, self._path(key))
        except BaseException:
            self._uploads.pop(key, None)
            raise
        return upload

    async def append(self, upload: Upload, data: bytes) -> None:
        """Add at most PIECE_BYTES, durably. Raises OSError, CorruptBlob, and then nothing is added."""
        await asyncio.to_thread(self._append, upload, data)

    async def append_unchecked(self, upload: Upload, data: bytes) -> None:
        """Lay something aside that may follow, not durably. Raises OSError."""
        await asyncio.to_thread(self._append_unchecked, upload, data)

    async def confirm(self, upload: Upload) -> None:
        """Add what was laid aside. Raises OSError, CorruptBlob, and then only a part of it may be added."""
        await asyncio.to_thread(self._confirm, upload)

    async def forget_unchecked(self, upload: Upload) -> None:
        """What was laid aside is not what was sent."""
        await asyncio.to_thread(self._forget_unchecked, upload)

    async def read(self, upload: Upload) -> bytes:
        """All bytes so far. Raises CorruptBlob, OSError."""
        return await asyncio.to_thread(self._read, upload)

    async def drop(self, upload: Upload) -> None:
        """The upload is over: nothing of it stays. A second call does nothing."""
        if self._uploads.get(upload.key) is upload:
            del self._uploads[upload.key]
            await asyncio.to_thread(self._remove, self._path(upload.key))

    # --- in a thread ---

    def _prepare(self) -> None:
        incoming = self._folder / INCOMING
        self._make_folders(incoming)
        for leftover in incoming.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        for folder in sorted(self._folder.glob("[!.]*/*/*"), key=lambda path: path.stat().st_mtime):
            key = UploadKey(
                case_id=folder.parent.parent.name, actor_id=folder.parent.name, sha256=folder.name
            )
            upload = Upload(key=key, changed_at=datetime.fromtimestamp(folder.stat().st_mtime, UTC))
            try:
                upload.pieces = _pieces_in(folder)
                self._forget_unchecked(upload)
            except (CorruptBlob, OSError):
                self._remove(folder)
                continue
            self._uploads[key] = upload
        for depth in ("[!.]*/*", "[!.]*"):
            for folder in self._folder.glob(depth):
                if not any(folder.iterdir()):
                    folder.rmdir()

    def _path(self, key: UploadKey) -> Path:
        return self._folder / key.case_id / key.actor_id / key.sha256

    def _make_folders(self, path: Path) -> None:
        with self._making_folder:
            for folder in (self._folder, *reversed(path.parents), path):
                if folder == self._folder or self._folder in folder.parents:
                    make_case_folder(folder)

    def _append(self, upload: Upload, data: bytes) -> None:
        if len(data) > PIECE_BYTES:
            raise IllegalAppend(f"a piece has {PIECE_BYTES} bytes at most")
        offset = upload.offset_bytes
        pieces = upload.pieces
        if pieces and pieces[-1][1] + len(data) <= PIECE_BYTES:
            offset, _ = pieces[-1]
            data = self._read_piece(upload.key, offset) + data
            pieces = pieces[:-1]
        self._write(upload.key, f"{offset:08d}", data, durable=True)
        upload.pieces = [*pieces, (offset, len(data))]
        upload.changed_at = self._utc_now()

    def _append_unchecked(self, upload: Upload, data: bytes) -> None:
        self._make_folders(self._path(upload.key) / UNCHECKED)
        self._write(upload.key, f"{UNCHECKED}/{len(upload.unchecked):08d}", data, durable=False)
        upload.unchecked = [*upload.unchecked, len(data)]

    def _confirm(self, upload: Upload) -> None:
        try:
            for place in range(len(upload.unchecked)):
                self._append(upload, self._read_file(upload.key, f"{UNCHECKED}/{place:08d}"))
        finally:
            self._forget_unchecked(upload)

    def _forget_unchecked(self, upload: Upload) -> None:
        upload.unchecked = []
        folder = self._path(upload.key) / UNCHECKED
        if folder.is_dir():
            self._remove(folder)

    def _read(self, upload: Upload) -> bytes:
        return b"".join(self._read_piece(upload.key, offset) for offset, _ in upload.pieces)

    def _read_piece(self, key: UploadKey, offset: int) -> bytes:
        return self._read_file(key, f"{offset:08d}")

    def _read_file(self, key: UploadKey, name: str) -> bytes:
        path = self._path(key) / name
        try:
            reader = SealedReader(path, self._seal(key), _seal_name(key, name))
        except FileNotFoundError:
            raise CorruptBlob(f"{path} is gone") from None
        try:
            return reader.read_now(0, reader.size_bytes)
        finally:
            reader.close()

    def _write(self, key: UploadKey, name: str, data: bytes, *, durable: bool) -> None:
        write_sealed(
            self._path(key) / name,
            self._seal(key),
            _seal_name(key, name),
            io.BytesIO(data).read,
            temporary_folder=self._folder / INCOMING,
            durable=durable,
        )

    def _seal(self, key: UploadKey) -> CaseSeal:
        return self._keys.get_for_files(key.case_id)

    def _remove(self, folder: Path) -> None:
        """At once, or not at all: of an upload of which a part is gone nobody could tell that."""
        hidden = Path(tempfile.mkdtemp(dir=self._folder / INCOMING))
        try:
            folder.rename(hidden / "removed")
            sync_folder(folder.parent)
        except FileNotFoundError:
            pass
        shutil.rmtree(hidden)


def _pieces_in(folder: Path) -> list[tuple[int, int]]:
    """The pieces of an upload; raises CorruptBlob if they do not follow one another."""
    pieces: list[tuple[int, int]] = []
    for path in sorted(path for path in folder.iterdir() if path.name != UNCHECKED):
        try:
            size = read_layout(path.stat().st_size).size_bytes
        except MalformedSeal as error:
            raise CorruptBlob(f"{path} is damaged: {error}") from None
        if _PIECE.fullmatch(path.name) is None or int(path.name) != (sum(pieces[-1]) if pieces else 0):
            raise CorruptBlob(f"{path} does not follow the piece before it")
        pieces.append((int(path.name), size))
    return pieces


def _seal_name(key: UploadKey, name: str) -> str:
    return f"uploads/{key.actor_id}/{key.sha256}/{name}"
