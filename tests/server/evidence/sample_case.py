"""A small case in a log that other cases share, made by the pure machines alone."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.canonical import JsonValue
from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.entry import (
    FIRST_PREVIOUS_HASH,
    Draft,
    Entry,
    commit,
    encode_body,
    encode_envelope,
    seal,
)
from server.evidence.merkle import Frontier, inclusion_hashes
from server.evidence.package import build_package
from server.evidence.proof import InclusionProof
from server.evidence.signer import Ed25519Signer

ORIGIN = "proofcall.local/log"
CASE = "c_" + "a" * 20
OTHER_CASE = "c_" + "b" * 20
BEGAN_AT = datetime(2026, 11, 22, 14, 3, 22, 123_000, tzinfo=UTC)
SIGNER = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32)))))
VKEY = encode_key(SIGNER.key)
PICTURE = b"\xff\xd8 a picture \xff\xd9"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLog:
    """Entries of several cases in one tree, and the signed checkpoint over all of them."""

    entries: Sequence[Entry]
    proofs: Sequence[InclusionProof]
    checkpoint: str

    def package(self, case_id: str = CASE, blobs: Mapping[str, bytes] | None = None) -> bytes:
        chosen = [entry for entry in self.entries if entry.envelope.case_id == case_id]
        return build_package(
            entries=chosen,
            blobs={hashlib.sha256(PICTURE).hexdigest(): PICTURE} if blobs is None else blobs,
            proofs=[self.proofs[entry.leaf_index] for entry in chosen],
            checkpoint=self.checkpoint,
            vkey=VKEY,
        )


def draft(kind: str, case_id: str, body: Mapping[str, JsonValue]) -> Draft:
    return Draft(kind=kind, case_id=case_id, role="courier", actor_id="l_d", session_id="s_1", body=body)


def make_log(
    drafts: Sequence[Draft],
    *,
    signer: CheckpointSigner = SIGNER,
    began_at: datetime = BEGAN_AT,
    bodies: Mapping[int, bytes] | None = None,
) -> SampleLog:
    """Seal drafts one after the other, as the store does. `bodies`: by leaf, what an envelope commits to
    instead, that no honest service would seal.
    """
    entries: list[Entry] = []
    heads: dict[str, tuple[int, str]] = {}
    for leaf_index, item in enumerate(drafts):
        number, previous_hash = heads.get(item.case_id, (0, FIRST_PREVIOUS_HASH))
        entry = seal(
            item,
            encode_body(item.body),
            number=number + 1,
            previous_hash=previous_hash,
            recorded_at=began_at + timedelta(seconds=leaf_index),
            salt=hashlib.sha256(b"salt %d" % leaf_index).digest(),
            leaf_index=leaf_index,
        )
        if bodies and leaf_index in bodies:
            envelope = replace(entry.envelope, commitment=commit(entry.salt or b"", bodies[leaf_index]))
            entry = replace(entry, envelope=envelope, envelope_bytes=encode_envelope(envelope))
        heads[item.case_id] = (number + 1, entry.hash)
        entries.append(entry)
    frontier, stored = Frontier().extend(entry.leaf_hash for entry in entries)
    size = frontier.tree_size
    note = signer.sign(size, frontier.root())
    proofs = [
        InclusionProof(
            leaf_index=index,
            tree_size=size,
            hashes=inclusion_hashes(index, size, stored.__getitem__),
            checkpoint=note,
        )
        for index in range(size)
    ]
    return SampleLog(entries=entries, proofs=proofs, checkpoint=note)


def sample_drafts() -> list[Draft]:
    """Opened, a picture sealed, exported; between them another case."""
    blob: dict[str, JsonValue] = {
        "sha256": hashlib.sha256(PICTURE).hexdigest(),
        "size_bytes": len(PICTURE),
        "media_type": "image/jpeg",
    }
    return [
        draft("case_opened", CASE, {"waybill": "SF1"}),
        draft("case_opened", OTHER_CASE, {"waybill": "SF2"}),
        draft("frame_sealed", CASE, {"blob": blob, "width": 4}),
        draft("text", OTHER_CASE, {"text": "你好"}),
        draft("exported", CASE, {"entries_before": 2}),
    ]


def sample_package() -> bytes:
    return make_log(sample_drafts()).package()
