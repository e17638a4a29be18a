"""A case as a package that proves itself: what the store holds of it, gathered for `evidence/package.py`."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from server.evidence.package import PackageWriter
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, UnknownBlob
from server.store.log import LogStore

PIECE_BYTES = 256 * 1024  # sent at once: many entries, so that a turn of the thread is worth it


async def export_package(
    log: LogStore, blobs: BlobStore, case_id: str, *, up_to: int
) -> AsyncIterator[bytes]:
    """The package of a case up to entry number `up_to`, which says that it was exported, piece by piece.

    Raises MalformedPackage if it would be too large, and whatever the log raises, before the first piece: the
    iterator is handed out once everything but the blobs is at hand. In memory are the entries and one blob. A
    blob that cannot be read does not hold up the rest: the package names the lack when it is verified.
    """
    entries = await log.entries(case_id, limit=up_to)
    proofs = await log.inclusion_proofs([entry.leaf_index for entry in entries])
    writer = await asyncio.to_thread(
        PackageWriter,
        entries=entries,
        proofs=proofs,
        checkpoint=proofs[0].checkpoint if proofs else log.checkpoint,
        vkey=log.vkey,
    )
    return _pieces(writer, blobs, case_id)


async def _pieces(writer: PackageWriter, blobs: BlobStore, case_id: str) -> AsyncIterator[bytes]:
    yield writer.begin()
    for sha256 in writer.blobs:
        try:
            data = await blobs.get(case_id, sha256)
        except (UnknownBlob, CorruptBlob):
            continue
        for part in await asyncio.to_thread(writer.add_blob, sha256, data):
            yield bytes(part)
    rest = writer.finish()
    while piece := await asyncio.to_thread(_take, rest):
        yield piece


def _take(parts: Iterator[bytes]) -> bytes:
    """The next parts together, PIECE_BYTES or a little more; nothing at the end."""
    taken: list[bytes] = []
    size_bytes = 0
    for part in parts:
        taken.append(part)
        size_bytes += len(part)
        if size_bytes >= PIECE_BYTES:
            break
    return b"".join(taken)
