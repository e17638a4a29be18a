"""Inclusion proofs as they travel: who asks for entry 17 gets its leaf, the way to the root, the checkpoint.

As a file of a package (`proof.json`) a proof is canonical JSON; the checkpoint stands beside it, once. Like
an envelope it has exactly one spelling and is read with one regular expression:

    {"hashes":["<64 hex>","<64 hex>"],"leaf_index":41,"tree_size":57}
"""

import re
from binascii import a2b_hex
from dataclasses import dataclass

from server.evidence.canonical import encode_canonical
from server.evidence.errors import MalformedProof
from server.evidence.merkle import HASH_SIZE_BYTES, MAX_PROOF_LENGTH, check_inclusion, hash_children

_PROOF = re.compile(
    rb'\{"hashes":\[(?:"([0-9a-f",]+)")?\]'
    rb',"leaf_index":(0|[1-9][0-9]{0,14}),"tree_size":(0|[1-9][0-9]{0,14})\}'
)
_BEFORE_HASHES, _AFTER_HASHES = b'{"hashes":["', b'"],"leaf_index":'
_PLACE = re.compile(rb'(0|[1-9][0-9]{0,14}),"tree_size":(0|[1-9][0-9]{0,14})\}')
_HASH_DIGITS = 2 * HASH_SIZE_BYTES
_BETWEEN = b'","'  # what stands between two hashes


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
    match = _PROOF.fullmatch(data)
    if match is None:
        raise MalformedProof("an inclusion proof is canonical JSON of hashes, leaf_index and tree_size")
    texts = match[1].decode("ascii").split(_BETWEEN.decode("ascii")) if match[1] else []
    if len(texts) > MAX_PROOF_LENGTH:
        raise MalformedProof(f"an inclusion proof has {MAX_PROOF_LENGTH} hashes at most")
    try:
        hashes = list(map(bytes.fromhex, texts))
    except ValueError:
        raise MalformedProof("a hash of the inclusion proof is not in hex") from None
    if not set(map(len, texts)) <= {_HASH_DIGITS}:
        raise MalformedProof(f"a hash of an inclusion proof has {_HASH_DIGITS} hex digits")
    return InclusionProof(
        leaf_index=int(match[2]), tree_size=int(match[3]), hashes=hashes, checkpoint=checkpoint
    )


class InclusionChecker:
    """Checks many proofs under one checkpoint. Neighbours share the upper part of their way to the root:
    where a way comes to a node that the one before went through, with the same hashes left to go, the rest is
    compared and not computed again.

        leaf 40 ─▶ ○ ─▶ ○ ─▶ ○ ─▶ … ─▶ root          before: all of it was computed
        leaf 41 ─▶ ○ ─▶ ╯ the same node, and the same hashes behind it
    """

    def __init__(self, tree_size: int, root_hash: bytes) -> None:
        self._tree_size = tree_size
        self._root_hash = root_hash
        self._path = b""  # the hashes of the newest proof that held, as they are spelt
        # Its nodes from the leaf up: fn, sn and r of RFC 9162 section 2.1.3.2, and what is left of the path.
        self._nodes: list[tuple[int, int, bytes, int]] = []

    def check(self, leaf_hash: bytes, data: bytes) -> int:
        """The leaf's index, once `proof.json` is found to lead from it to the root; raises MalformedProof."""
        end = data.rfind(_AFTER_HASHES)
        match = _PLACE.fullmatch(data, end + len(_AFTER_HASHES))
        if match is not None and data.startswith(_BEFORE_HASHES) and int(match[2]) == self._tree_size:
            leaf_index = int(match[1])
            if leaf_index < self._tree_size and self._leads_to_root(
                leaf_hash, leaf_index, data[len(_BEFORE_HASHES) : end]
            ):
                return leaf_index
        # The long way decides, and says what is wrong.
        proof = parse_proof(data, "")
        if proof.tree_size != self._tree_size:
            raise MalformedProof("its inclusion proof is for a log of another size than the checkpoint's")
        check_inclusion(leaf_hash, proof.leaf_index, proof.tree_size, proof.hashes, self._root_hash)
        return proof.leaf_index

    def _leads_to_root(self, leaf_hash: bytes, leaf_index: int, path: bytes) -> bool:
        """Whether the proof holds, as `check_inclusion` would find; False also where that is left to it."""
        fn, sn, r = leaf_index, self._tree_size - 1, leaf_hash
        before, place = self._nodes, 0
        nodes: list[tuple[int, int, bytes, int]] = []
        left = len(path)
        while sn:
            while place < len(before) and before[place][1] > sn:
                place += 1
            if place < len(before) and before[place] == (fn, sn, r, left):
                if not path.endswith(self._path[len(self._path) - left :]):
                    return False
                nodes += before[place:]
                break
            nodes.append((fn, sn, r, left))
            begin = len(path) - left
            digits = path[begin : begin + _HASH_DIGITS]
            between = path[begin + _HASH_DIGITS : begin + _HASH_DIGITS + len(_BETWEEN)]
            if len(digits) < _HASH_DIGITS or (between != _BETWEEN and left != _HASH_DIGITS):
                return False
            left = max(0, left - _HASH_DIGITS - len(_BETWEEN))
            try:
                p = a2b_hex(digits)
            except ValueError:
                return False
            if not digits.islower():
                return False
            if fn & 1 or fn == sn:
                r = hash_children(p, r)
                while not fn & 1 and fn:
                    fn >>= 1
                    sn >>= 1
            else:
                r = hash_children(r, p)
            fn >>= 1
            sn >>= 1
        else:
            if left or r != self._root_hash:
                return False
        self._path, self._nodes = path, nodes
        return True
