"""Inclusion proofs as they travel: who asks for entry 17 gets its leaf, the way to the root, the checkpoint.

As a file of a package (`proof.json`) a proof is canonical JSON; the checkpoint stands beside it, once. Like
an envelope it has exactly one spelling and is read with one regular expression:

    {"hashes":["<64 hex>","<64 hex>"],"leaf_index":41,"tree_size":57}
"""

import re
from dataclasses import dataclass

from server.evidence.canonical import encode_canonical
from server.evidence.errors import MalformedProof
from server.evidence.merkle import HASH_SIZE_BYTES, MAX_PROOF_LENGTH

_PROOF = re.compile(
    r'\{"hashes":\[(?:"([0-9a-f",]+)")?\]'
    r',"leaf_index":(0|[1-9][0-9]{0,14}),"tree_size":(0|[1-9][0-9]{0,14})\}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """The proof (RFC 9162 section 2.1.3) that a leaf is in the log of this checkpoint."""

    leaf_index: int
    tree_size: int
    hashes: list[bytes]  # from the leaf upwards
    checkpoint: str  # the signed note over exactly `tree_size` leaves


def encode_proof(proof: InclusionProof) -> bytes:
    """The bytes of `proof.json`."""
    hashes = [item.hex() for item in proof.hashes]
    return encode_canonical({"hashes": hashes, "leaf_index": proof.leaf_index, "tree_size": proof.tree_size})


def parse_proof(data: bytes, checkpoint: str) -> InclusionProof:
    """Read a `proof.json` that stands beside a checkpoint; raises MalformedProof."""
    match = _PROOF.fullmatch(data.decode("ascii", "replace"))
    if match is None:
        raise MalformedProof("an inclusion proof is canonical JSON of hashes, leaf_index and tree_size")
    texts = match[1].split('","') if match[1] else []
    if len(texts) > MAX_PROOF_LENGTH:
        raise MalformedProof(f"an inclusion proof has {MAX_PROOF_LENGTH} hashes at most")
    try:
        hashes = list(map(bytes.fromhex, texts))
    except ValueError:
        raise MalformedProof("a hash of the inclusion proof is not in hex") from None
    if not set(map(len, texts)) <= {2 * HASH_SIZE_BYTES}:
        raise MalformedProof(f"a hash of an inclusion proof has {2 * HASH_SIZE_BYTES} hex digits")
    return InclusionProof(
        leaf_index=int(match[2]), tree_size=int(match[3]), hashes=hashes, checkpoint=checkpoint
    )
