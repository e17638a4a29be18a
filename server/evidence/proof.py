"""Inclusion proofs as they travel: who asks for entry 17 gets its leaf, the way to the root, the checkpoint.

As a file of a package (`proof.json`) a proof is canonical JSON; the checkpoint stands beside it, once.
"""

from dataclasses import dataclass

from server.evidence.canonical import encode_canonical, parse_canonical_object
from server.evidence.errors import MalformedJson, MalformedProof
from server.evidence.merkle import HASH_SIZE_BYTES, MAX_PROOF_LENGTH


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
    try:
        fields = parse_canonical_object(data)
    except MalformedJson as error:
        raise MalformedProof(f"the inclusion proof is malformed: {error}") from None
    if fields.keys() != {"hashes", "leaf_index", "tree_size"}:
        raise MalformedProof("an inclusion proof has leaf_index, tree_size and hashes, and nothing else")
    leaf_index, tree_size, texts = fields["leaf_index"], fields["tree_size"], fields["hashes"]
    if type(leaf_index) is not int or type(tree_size) is not int or not isinstance(texts, list):
        raise MalformedProof("the inclusion proof's leaf_index, tree_size or hashes is of the wrong type")
    if len(texts) > MAX_PROOF_LENGTH:
        raise MalformedProof("the inclusion proof is too long")
    return InclusionProof(
        leaf_index=leaf_index,
        tree_size=tree_size,
        hashes=[_parse_hash(text) for text in texts],
        checkpoint=checkpoint,
    )


def _parse_hash(text: object) -> bytes:
    if isinstance(text, str) and len(text) == 2 * HASH_SIZE_BYTES:
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if data.hex() == text:
            return data
    raise MalformedProof("the inclusion proof has a hash that is not 64 lowercase hex digits")
