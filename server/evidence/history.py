"""One log or two: whether another checkpoint, or another package, can come from the same log. Pure.

A log that shows one history to one person and another to the next contradicts itself somewhere. Inclusion
proofs give away the hashes of many complete subtrees, and these never change as a log grows (RFC 9162 section
2.1.4). So of the larger of two trees the root of the smaller can be folded, wherever its proofs reach:

    size 6, folded from        ┌──── a ────┐      ┌ b ┐                two roots for one size, or another
    the proofs of size 11:     ○           ○      ○                    hash at the same place: two histories
    leaf                     0 1 2 3     4 5    (6 7 8 9 10)

Where the proofs do not reach, that is named: then only a consistency proof of the log itself can tell.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.evidence.merkle import hash_children

Node = tuple[int, int]  # level and position: the leaves from position << level on, 1 << level of them


class KnownTree:
    """The hashes of complete subtrees that proofs have shown, of one log at one size."""

    def __init__(self, tree_size: int, root_hash: bytes) -> None:
        self.tree_size = tree_size
        self.root_hash = root_hash
        self._hashes: dict[Node, bytes] = {}
        self._above: set[Node] = set()  # subtrees with something known beneath: no search goes in vain
        if tree_size:
            self._keep(0, tree_size, root_hash)

    def add_proof(self, leaf_index: int, leaf_hash: bytes, hashes: Sequence[bytes]) -> None:
        """Take in the nodes of a proof that was found to hold."""
        places = []  # from the root down, as PATH(m, D_n) of RFC 9162 section 2.1.3.1 goes
        begin, end = 0, self.tree_size
        while end - begin > 1:
            middle = begin + (1 << (end - begin - 1).bit_length() - 1)
            if leaf_index < middle:
                places.append((middle, end))
                end = middle
            else:
                places.append((begin, middle))
                begin = middle
        self._keep(leaf_index, leaf_index + 1, leaf_hash)
        for (first, last), node in zip(reversed(places), hashes, strict=True):
            self._keep(first, last, node)

    def root_at(self, tree_size: int) -> bytes | None:
        """The root that this log had at a smaller size (> 0), or None where the proofs do not reach."""
        if tree_size == self.tree_size:
            return self.root_hash
        return self._subtree(0, tree_size) if 0 < tree_size < self.tree_size else None

    def contradiction(self, other: "KnownTree") -> tuple[int, int] | None:
        """Leaves [begin, end) for which the two logs have different hashes: the smallest such subtree."""
        wrong = [
            node
            for node in self._hashes.keys() & other._hashes.keys()
            if self._hashes[node] != other._hashes[node]
        ]
        if not wrong:
            return None
        level, position = min(wrong)
        return position << level, position + 1 << level

    def _keep(self, begin: int, end: int, node_hash: bytes) -> None:
        """Incomplete subtrees change as the log grows: they are left out."""
        count = end - begin
        level = count.bit_length() - 1
        if count != 1 << level or begin & count - 1:
            return
        node = level, begin >> level
        self._hashes[node] = node_hash
        while node not in self._above and 1 << node[0] < self.tree_size:
            self._above.add(node)
            node = node[0] + 1, node[1] >> 1

    def _subtree(self, begin: int, end: int) -> bytes | None:
        count = end - begin
        level = count.bit_length() - 1
        if count == 1 << level:
            node = level, begin >> level
            if node in self._hashes:
                return self._hashes[node]
            if level == 0 or node not in self._above:
                return None
        middle = begin + (1 << (count - 1).bit_length() - 1)
        left, right = self._subtree(begin, middle), self._subtree(middle, end)
        return None if left is None or right is None else hash_children(left, right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`contradiction` says why there are two histories; None: none was found. `shown` says what proves that
    there is one, None where that cannot be proven.
    """

    contradiction: str | None
    shown: str | None


def compare_histories(own: KnownTree, other: KnownTree) -> Comparison:
    """Two trees of logs of one key, each with what its proofs have shown."""
    if own.tree_size == other.tree_size and own.root_hash != other.root_hash:
        return Comparison(contradiction=f"the log signed two roots over {own.tree_size} leaves", shown=None)
    leaves = own.contradiction(other)
    if leaves is not None:
        begin, end = leaves
        which = f"leaf {begin}" if end == begin + 1 else f"the leaves {begin} to {end - 1}"
        return Comparison(contradiction=f"the log signed two different contents of {which}", shown=None)
    smaller, larger = sorted((own, other), key=_size)
    if smaller.tree_size == 0:
        return Comparison(contradiction=None, shown="every log begins with none")
    folded = larger.root_at(smaller.tree_size)
    if folded is None:
        return Comparison(contradiction=None, shown=None)
    sizes = f"{smaller.tree_size} and {larger.tree_size} leaves"
    if folded != smaller.root_hash:
        return Comparison(
            contradiction=f"the log signed two histories: those over {sizes} do not continue each other",
            shown=None,
        )
    return Comparison(contradiction=None, shown=f"the checkpoints over {sizes} are of one history")


def known_tree(
    tree_size: int, root_hash: bytes, proofs: Iterable[tuple[int, bytes, Sequence[bytes]]]
) -> KnownTree:
    """A tree with all that proofs that hold (leaf index, leaf hash, hashes) have shown of it."""
    tree = KnownTree(tree_size, root_hash)
    for leaf_index, leaf_hash, hashes in proofs:
        tree.add_proof(leaf_index, leaf_hash, hashes)
    return tree


def _size(tree: KnownTree) -> int:
    return tree.tree_size
