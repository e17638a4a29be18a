"""A case as a package that proves itself: what the store holds of it, gathered for `evidence/package.py`."""

import asyncio

from server.evidence.package import blob_references, build_package
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, UnknownBlob
from server.store.log import LogStore


async def export_package(log: LogStore, blobs: BlobStore, case_id: str, *, up_to: int) -> bytes:
    """The package of a case up to entry number `up_to`, which says that it was exported.

    A blob that cannot be read does not hold up the rest: the package names the lack when it is verified.
    """
    entries = await log.entries(case_id, limit=up_to)
    proofs = await log.inclusion_proofs([entry.leaf_index for entry in entries])
    held: dict[str, bytes] = {}
    for reference in (reference for entry in entries for reference in blob_references(entry.body)):
        try:
            held[reference.sha256] = await blobs.get(case_id, reference.sha256)
        except (UnknownBlob, CorruptBlob):
            continue
    return await asyncio.to_thread(
        build_package,
        entries=entries,
        blobs=held,
        proofs=proofs,
        checkpoint=proofs[0].checkpoint,
        vkey=log.vkey,
    )
