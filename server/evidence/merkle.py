"""The Merkle tree of the log (RFC 9162 section 2.1), and the order in which its hashes are stored.

Only complete subtrees are ever stored: they never change again. A log of n leaves has at most one
incomplete path, at its right edge, and that is folded from the complete ones when needed.

    level 2              6                 Numbers are stored indices: each hash is stored in the moment
                    ┌────┴────┐            in which its last leaf arrives, the leaf itself first. Storage
    level 1         2         5            only ever grows at its end, by two hashes a leaf on average.
                  ┌─┴─┐     ┌─┴─┐
    level 0       0   1     3   4    7
    leaf index    0   1     2   3    4     Frontier of 5 leaves: 6 (four leaves) and 7 (one leaf).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from server.evidence.errors import MalformedProof

HASH_SIZE_BYTES = 32
MAX_PROOF_LENGTH = 64  # hashes; enough for a log of 2^64 leaves

# RFC 9162 section 2.1.1: "The hash of an empty list is the hash of an empty string".
EMPTY_ROOT = hashlib.sha256(b"").digest()


def hash_leaf(data: bytes) -> bytes:
    """RFC 9162 section 2.1.1: MTH({d[0]}) = HASH(0x00 || d[0])."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """RFC 9162 section 2.1.1: MTH(D_n) = HASH(0x01 || MTH(D[0:k]) || MTH(D[k:n]))."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def stored_index(level: int, position: int) -> int:
    """Where the hash over the leaves [position * 2^level, (position + 1) * 2^level) is stored."""
    last_leaf = ((position + 1) << level) - 1
    return stored_count(last_leaf) + level


def stored_count(tree_size: int) -> int:
    """How many hashes a log of this size has stored."""
    return 2 * tree_size - tree_size.bit_count()


def frontier_indices(tree_size: int) -> list[int]:
    """Stored indices of the largest complete subtrees that make up a log of this size, left to right."""
    indices = []
    begin = 0
    for level in reversed(range(tree_size.bit_length())):
        if tree_size >> level & 1:
            indices.append(stored_index(level, begin >> level))
            begin += 1 << level
    return indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """What one must know of a log to append to it: a hash for each 1 bit of its size, largest first."""

    tree_size: int = 0
    hashes: tuple[bytes, ...] = ()

    def extend(self, leaf_hashes: Iterable[bytes]) -> "tuple[Frontier, list[bytes]]":
        """The frontier after these leaves, and the hashes to store for them, in stored order."""
        tree_size = self.tree_size
        hashes = list(self.hashes)
        stored = []
        for leaf_hash in leaf_hashes:
            hashes.append(leaf_hash)
            stored.append(leaf_hash)
            closing = tree_size  # every trailing 1 bit of the old size is a subtree that this leaf completes
            while closing & 1:
                right = hashes.pop()
                hashes[-1] = hash_children(hashes[-1], right)
                stored.append(hashes[-1])
                closing >>= 1
            tree_size += 1
        return Frontier(tree_size=tree_size, hashes=tuple(hashes)), stored

    def root(self) -> bytes:
        """The Merkle tree hash of the whole log."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = hash_children(left, root)
        return root


def inclusion_hashes(leaf_index: int, tree_size: int, read: Callable[[int], bytes]) -> list[bytes]:
    """The inclusion proof of a leaf, PATH(m, D_n) of RFC 9162 section 2.1.3.1, from the leaf upwards.

    `read` gives the hash at a stored index and is called O(log n) times. 0 <= leaf_index < tree_size.
    """
    if not 0 <= leaf_index < tree_size:
        raise MalformedProof(f"a log of {tree_size} leaves has no leaf {leaf_index}")
    path = []
    begin, end = 0, tree_size
    while end - begin > 1:
        middle = begin + _largest_power_below(end - begin)
        if leaf_index < middle:
            path.append(_subtree_root(middle, end, read))
            end = middle
        else:
            path.append(_subtree_root(begin, middle, read))
            begin = middle
    path.reverse()
    return path


def check_inclusion(
    leaf_hash: bytes, leaf_index: int, tree_size: int, hashes: Sequence[bytes], root: bytes
) -> None:
    """Verify an inclusion proof as RFC 9162 section 2.1.3.2 lays down; raises MalformedProof."""
    # "1. Compare leaf_index from the inclusion_proof_v2 structure against tree_size. If leaf_index is
    #  greater than or equal to tree_size, then fail the proof verification."
    if not 0 <= leaf_index < tree_size:
        raise MalformedProof(f"a log of {tree_size} leaves has no leaf {leaf_index}")
    # "2. Set fn to leaf_index and sn to tree_size - 1. 3. Set r to hash."
    fn, sn, r = leaf_index, tree_size - 1, leaf_hash
    sha256 = hashlib.sha256
    for p in hashes:
        # "a. If sn is 0, then stop the iteration and fail the proof verification."
        if sn == 0:
            raise MalformedProof("the inclusion proof is longer than the tree is high")
        # "b. If LSB(fn) is set, or if fn is equal to sn, then: Set r to HASH(0x01 || p || r)."
        if fn & 1 or fn == sn:
            r = sha256(b"\x01" + p + r).digest()
            # "If LSB(fn) is not set, then right-shift both fn and sn equally until either LSB(fn) is set
            #  or fn is 0."
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            r = sha256(b"\x01" + r + p).digest()
        # "c. Finally, right-shift both fn and sn one time."
        fn >>= 1
        sn >>= 1
    # "5. Compare sn to 0. Compare r against the root_hash."
    if sn != 0:
        raise MalformedProof("the inclusion proof is shorter than the tree is high")
    if r != root:
        raise MalformedProof("the inclusion proof does not lead to the root of the checkpoint")


def consistency_hashes(first: int, second: int, read: Callable[[int], bytes]) -> list[bytes]:
    """The proof that the log of `first` leaves is the beginning of that of `second`.

    PROOF(m, D_n) of RFC 9162 section 2.1.4.1; empty for the log of nothing, and for a log with itself. `read`
    gives the hash at a stored index and is called O(log n) times. 0 <= first <= second.
    """
    if not 0 <= first <= second:
        raise MalformedProof(f"a log of {first} leaves cannot be the beginning of one of {second}")
    if first in (0, second):
        return []
    path = []
    begin, end = 0, second  # SUBPROOF(m, D_n, b) is over the leaves [begin, end); b is true while begin is 0
    while end != first:
        middle = begin + _largest_power_below(end - begin)
        # "If m <= k, the right subtree entries D[k:n] only exist in the current tree."
        if first <= middle:
            path.append(_subtree_root(middle, end, read))
            end = middle
        # "If m > k, the left subtree entries D[0:k] are identical in both trees."
        else:
            path.append(_subtree_root(begin, middle, read))
            begin = middle
    # "The subproof for m = n is empty if m is the value for which PROOF was originally requested".
    if begin:
        path.append(_subtree_root(begin, end, read))
    path.reverse()
    return path


def check_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, hashes: Sequence[bytes]
) -> None:
    """Verify a consistency proof as RFC 9162 section 2.1.4.2 lays down; raises MalformedProof."""
    if not 0 <= first <= second:
        raise MalformedProof(f"a log of {first} leaves cannot be the beginning of one of {second}")
    if first in (0, second):  # section 2.1.4.2 is for 0 < first < second
        if hashes:
            raise MalformedProof("the consistency proof has hashes where none are due")
        if first_root != (second_root if first else EMPTY_ROOT):
            raise MalformedProof(f"there are two roots for one size, {first}")
        return
    # "1. If consistency_path is an empty array, stop and fail the proof verification."
    if not hashes:
        raise MalformedProof("the consistency proof is empty")
    # "2. If first is an exact power of 2, then prepend first_hash to the consistency_path array."
    path = [first_root, *hashes] if first.bit_count() == 1 else list(hashes)
    # "3. Set fn to first - 1 and sn to second - 1."
    fn, sn = first - 1, second - 1
    # "4. If LSB(fn) is set, then right-shift both fn and sn equally until LSB(fn) is not set."
    while fn & 1:
        fn >>= 1
        sn >>= 1
    # "5. Set both fr and sr to the first value in the consistency_path array."
    fr = sr = path[0]
    for c in path[1:]:
        # "a. If sn is 0, then stop the iteration and fail the proof verification."
        if sn == 0:
            raise MalformedProof("the consistency proof is longer than the tree is high")
        # "b. If LSB(fn) is set, or if fn is equal to sn, then: Set fr to HASH(0x01 || c || fr). Set sr to
        #  HASH(0x01 || c || sr)."
        if fn & 1 or fn == sn:
            fr = hash_children(c, fr)
            sr = hash_children(c, sr)
            # "If LSB(fn) is not set, then right-shift both fn and sn equally until either LSB(fn) is set or
            #  fn is 0."
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        # "Otherwise: Set sr to HASH(0x01 || sr || c)."
        else:
            sr = hash_children(sr, c)
        # "c. Finally, right-shift both fn and sn one time."
        fn >>= 1
        sn >>= 1
    # "7. [...] verify that the fr calculated is equal to the first_hash supplied, that the sr calculated is
    #  equal to the second_hash supplied, and that sn is 0."
    if sn != 0:
        raise MalformedProof("the consistency proof is shorter than the tree is high")
    if fr != first_root:
        raise MalformedProof("the consistency proof does not lead to the root of the older checkpoint")
    if sr != second_root:
        raise MalformedProof("the consistency proof does not lead to the root of the newer checkpoint")


def _largest_power_below(count: int) -> int:
    """The largest power of two smaller than count (> 1): the k of RFC 9162 section 2.1.1."""
    return 1 << ((count - 1).bit_length() - 1)


def _subtree_root(begin: int, end: int, read: Callable[[int], bytes]) -> bytes:
    count = end - begin
    if count.bit_count() == 1:
        level = count.bit_length() - 1
        return read(stored_index(level, begin >> level))
    middle = begin + _largest_power_below(count)
    return hash_children(_subtree_root(begin, middle, read), _subtree_root(middle, end, read))
