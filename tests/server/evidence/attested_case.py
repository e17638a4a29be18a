"""The small case, with what authorities and witnesses said of two of its log's checkpoints."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from server.evidence.merkle import Frontier, consistency_hashes
from server.evidence.package import AttestedCheckpoint, build_package
from tests.authority import Authority, make_authority
from tests.server.evidence.local_witness import LocalWitness
from tests.server.evidence.sample_case import CASE, PICTURE, SIGNER, VKEY, make_log, sample_drafts

OLDER = 3  # leaves: entries 1 and 2 of the case are among them


def make_attested_package(
    authority: Authority | None,
    witnesses: Sequence[LocalWitness],
    *,
    sizes: Sequence[int] = (OLDER, 5),
    other_first: bool = False,
) -> bytes:
    """A package whose log was stamped and cosigned at 3 leaves and again at its own 5, or at those sizes.

    The case begins with leaf 0, or with leaf 1 where the log began with another one.
    """
    first, second, *rest = sample_drafts()
    log = make_log([second, first, *rest] if other_first else [first, second, *rest])
    leaves = [entry.leaf_hash for entry in log.entries]
    _, stored = Frontier().extend(leaves)
    notes = {size: SIGNER.sign(size, Frontier().extend(leaves[:size])[0].root()) for size in sizes}
    entries = [entry for entry in log.entries if entry.envelope.case_id == CASE]
    return build_package(
        entries=entries,
        blobs={hashlib.sha256(PICTURE).hexdigest(): PICTURE},
        proofs=[log.proofs[entry.leaf_index] for entry in entries],
        checkpoint=log.checkpoint,
        vkey=VKEY,
        attested=[
            AttestedCheckpoint(
                checkpoint=note,
                consistency=consistency_hashes(size, len(leaves), stored.__getitem__),
                cosignatures=[witness.cosign(note).decode() for witness in witnesses],
                timestamps=[] if authority is None else [authority.token(note.encode())],
            )
            for size, note in notes.items()
        ],
    )


def local_authority(folder: Path) -> Authority:
    """An authority without a server: its tokens are made by OpenSSL at once."""
    return make_authority(folder / "authority")
