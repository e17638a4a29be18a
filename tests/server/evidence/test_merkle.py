"""The Merkle tree agrees with RFC 9162, written down naively here, and with pymerkle."""

import hashlib
from collections.abc import Sequence

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.errors import MalformedProof
from server.evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_hashes,
    frontier_indices,
    hash_children,
    hash_leaf,
    inclusion_hashes,
    stored_count,
    stored_index,
)

LEAVES = [b"leaf %d" % index for index in range(601)]
LEAF_HASHES = [hash_leaf(leaf) for leaf in LEAVES]
_, STORED = Frontier().extend(LEAF_HASHES)


def naive_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    n = len(leaf_hashes)
    if n == 0:
        return hashlib.sha256().digest()
    if n == 1:
        return leaf_hashes[0]
    k = 1
    while k * 2 < n:
        k *= 2
    return hash_children(naive_root(leaf_hashes[:k]), naive_root(leaf_hashes[k:]))


def frontier(size: int) -> Frontier:
    return Frontier().extend(LEAF_HASHES[:size])[0]


@pytest.fixture(scope="module")
def tree() -> pymerkle.InmemoryTree:
    """All leaves in pymerkle's tree."""
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in LEAVES:
        tree.append_entry(leaf)
    return tree


def test_roots_of_all_sizes_to_600_against_pymerkle_and_the_definition(tree: pymerkle.InmemoryTree) -> None:
    assert frontier(0).root() == EMPTY_ROOT == tree.get_state(0)
    for size in range(1, 601):
        assert frontier(size).root() == tree.get_state(size)
    for size in range(1, 130):
        assert frontier(size).root() == naive_root(LEAF_HASHES[:size])


ALL_SIZES = pytest.mark.parametrize(
    "most", [270, pytest.param(600, marks=pytest.mark.long)]
)  # past 256: a tile


@ALL_SIZES
def test_inclusion_proofs_of_all_leaves_in_all_sizes_against_pymerkle(
    tree: pymerkle.InmemoryTree, most: int
) -> None:
    for size in range(1, most + 1):
        for index in range(size):
            # pymerkle's path begins with the leaf itself.
            path = tree.prove_inclusion(index + 1, size).path[1:]
            assert inclusion_hashes(index, size, STORED.__getitem__) == path


def as_rfc_9162(proof: pymerkle.ConsistencyProof, first: int) -> list[bytes]:
    """The consistency proof that pymerkle means, in the order and with the omission of section 2.1.4.1.

    pymerkle gives the way up from the first leaf that is new, that leaf itself first, and marks (`subset`)
    what lies in the older tree. The standard begins with the last subtree of the older tree instead, and
    leaves it out if it is the whole of it.
    """
    oldest = proof.subset.index(1)
    new = proof.path[0]
    for right in proof.path[1:oldest]:
        new = hash_children(new, right)
    path = [proof.path[oldest], new, *proof.path[oldest + 1 :]]
    return path[1:] if first.bit_count() == 1 else path


@ALL_SIZES
def test_consistency_proofs_between_all_sizes_against_pymerkle(
    tree: pymerkle.InmemoryTree, most: int
) -> None:
    for second in range(1, most + 1):
        for first in range(1, second):
            expected = as_rfc_9162(tree.prove_consistency(first, second), first)
            assert consistency_hashes(first, second, STORED.__getitem__) == expected


def test_every_consistency_proof_joins_its_two_roots_and_no_others() -> None:
    for second in range(1, 70):
        new = frontier(second).root()
        for first in range(second + 1):
            old = frontier(first).root()
            hashes = consistency_hashes(first, second, STORED.__getitem__)
            check_consistency(first, second, old, new, hashes)
            wrongs = [
                (first, second, bytes(32), new, hashes),
                (first, second, old, new, [*hashes, bytes(32)]),
                (second + 1, second, old, new, hashes),
                (-1, second, old, new, hashes),
            ]
            if first:
                wrongs.append((first, second, old, bytes(32), hashes))
            for position in range(len(hashes)):
                changed = [*hashes[:position], bytes(32), *hashes[position + 1 :]]
                wrongs += [(first, second, old, new, changed), (first, second, old, new, hashes[:position])]
            for wrong in wrongs:
                with pytest.raises(MalformedProof):
                    check_consistency(*wrong)


def test_two_histories_have_no_consistency_proof() -> None:
    other, stored = Frontier().extend([hash_leaf(b"another history"), *LEAF_HASHES[1:100]])
    for first in (1, 63, 64, 99):
        hashes = consistency_hashes(first, 100, stored.__getitem__)
        with pytest.raises(MalformedProof, match="does not lead to the root"):
            check_consistency(first, 100, frontier(first).root(), other.root(), hashes)
    with pytest.raises(MalformedProof, match="two roots for one size"):
        check_consistency(100, 100, frontier(100).root(), other.root(), [])


def test_a_longer_log_is_never_the_beginning_of_a_shorter() -> None:
    for first, second in ((5, 4), (-1, 4), (1, 0)):
        with pytest.raises(MalformedProof):
            consistency_hashes(first, second, STORED.__getitem__)


def test_every_proof_leads_to_its_root_and_to_no_other() -> None:
    for size in range(1, 70):
        root = frontier(size).root()
        for index in range(size):
            hashes = inclusion_hashes(index, size, STORED.__getitem__)
            check_inclusion(LEAF_HASHES[index], index, size, hashes, root)
            for wrong in (
                (LEAF_HASHES[index + 1], index, size, hashes, root),
                (LEAF_HASHES[index], index + 1, size, hashes, root),
                (LEAF_HASHES[index], index, size, [*hashes, bytes(32)], root),
                (LEAF_HASHES[index], index, size, hashes[:-1], root if hashes else bytes(32)),
                (LEAF_HASHES[index], index, size, hashes, frontier(size + 1).root()),
                (LEAF_HASHES[index], -1, size, hashes, root),
            ):
                with pytest.raises(MalformedProof):
                    check_inclusion(*wrong)


def test_a_leaf_that_is_not_there_has_no_proof() -> None:
    for index, size in ((-1, 5), (5, 5), (0, 0)):
        with pytest.raises(MalformedProof):
            inclusion_hashes(index, size, STORED.__getitem__)


def test_hashes_are_stored_in_the_order_of_their_indices() -> None:
    for size in range(601):
        assert stored_count(size) == len(Frontier().extend(LEAF_HASHES[:size])[1])
    for level in range(7):
        for position in range(len(LEAVES) >> level):
            begin, end = position << level, (position + 1) << level
            assert STORED[stored_index(level, position)] == naive_root(LEAF_HASHES[begin:end])


def test_the_frontier_can_be_read_back_from_what_is_stored() -> None:
    for size in range(601):
        assert frontier(size).hashes == tuple(STORED[index] for index in frontier_indices(size))


def test_a_proof_reads_a_logarithmic_number_of_hashes() -> None:
    reads: list[int] = []

    def read(index: int) -> bytes:
        reads.append(index)
        return bytes(32)

    size = 10**6 + 1
    for leaf_index in (0, 1, 524_288, 999_999, 10**6):
        reads.clear()
        inclusion_hashes(leaf_index, size, read)
        assert len(reads) <= 40


@given(st.lists(st.integers(0, 20), max_size=8))
@settings(max_examples=100, deadline=None)
def test_it_does_not_matter_how_leaves_are_grouped(groups: list[int]) -> None:
    tree, stored, done = Frontier(), [], 0
    for count in groups:
        count = min(count, len(LEAF_HASHES) - done)
        tree, new = tree.extend(LEAF_HASHES[done : done + count])
        stored += new
        done += count
    assert (tree, stored) == Frontier().extend(LEAF_HASHES[:done])
