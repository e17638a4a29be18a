"""Two histories of one log are found as far as the proofs reach, and where they do not, that is named."""

import hashlib
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.checkpoint import CheckpointSigner
from server.evidence.entry import Draft
from server.evidence.history import KnownTree, compare_histories, known_tree
from server.evidence.merkle import Frontier, hash_leaf, inclusion_hashes
from server.evidence.report import Outcome, Step
from server.evidence.signer import Ed25519Signer
from server.evidence.verify import verify_package
from tests.server.evidence.sample_case import CASE, ORIGIN, OTHER_CASE, draft, make_log

HISTORY_STEP = 11


def tree_of(leaves: Sequence[bytes], proven: Sequence[int]) -> KnownTree:
    frontier, stored = Frontier().extend(leaves)
    size = frontier.tree_size
    return known_tree(
        size,
        frontier.root(),
        [(index, leaves[index], inclusion_hashes(index, size, stored.__getitem__)) for index in proven],
    )


LEAVES = [hash_leaf(b"%d" % index) for index in range(40)]
FORGED = [hash_leaf(b"forged %d" % index) for index in range(40)]


@pytest.mark.parametrize("size", range(1, 40))
def test_the_last_leaf_of_a_smaller_log_shows_its_root_in_every_larger_one(size: int) -> None:
    for larger in range(size, 40):
        tree = tree_of(LEAVES[:larger], [size - 1])
        assert tree.root_at(size) == Frontier().extend(LEAVES[:size])[0].root()


@pytest.mark.parametrize("changed", range(20))
def test_a_changed_leaf_below_the_smaller_size_is_a_contradiction(changed: int) -> None:
    other = [*LEAVES[:changed], FORGED[changed], *LEAVES[changed + 1 :]]
    compared = compare_histories(tree_of(LEAVES[:33], [19]), tree_of(other[:20], [0]))
    assert compared.contradiction is not None
    same_size = compare_histories(tree_of(LEAVES[:20], []), tree_of(other[:20], []))
    assert same_size.contradiction is not None and "two roots" in same_size.contradiction


def test_what_the_proofs_do_not_reach_is_neither_shown_nor_a_contradiction() -> None:
    compared = compare_histories(tree_of(LEAVES[:33], [32]), tree_of(LEAVES[:20], [3]))
    assert compared.contradiction is None and compared.shown is None
    assert compare_histories(tree_of(LEAVES[:9], []), tree_of([], [])).shown is not None


def test_a_leaf_that_both_prove_is_enough_to_contradict() -> None:
    other = [*LEAVES[:5], FORGED[5], *LEAVES[6:]]
    compared = compare_histories(tree_of(LEAVES[:30], [5]), tree_of(other[:23], [5]))
    assert compared.contradiction == "the log signed two different contents of leaf 5"


def test_a_search_in_a_vast_log_ends_at_once() -> None:
    tree = KnownTree(2**50 + 1, bytes(32))
    tree.add_proof(0, bytes(32), [bytes(32)] * 51)
    assert tree.root_at(2**49 + 12_345) is None


def entries(*texts: str) -> list[Draft]:
    drafts = [draft("case_opened", OTHER_CASE, {}), draft("case_opened", CASE, {})]
    drafts += [draft("text", CASE, {"text": text}) for text in texts]
    return [*drafts, draft("exported", CASE, {"entries_before": len(drafts) - 1})]


def history(package: bytes, against: bytes) -> Step:
    report = verify_package(package, against=against)
    step = report.steps[HISTORY_STEP - 1]
    others = [other for other in report.steps if other.outcome is Outcome.FAILED and other is not step]
    assert others == []  # each package holds by itself: only together they betray the log
    assert report.passed == (step.outcome is not Outcome.FAILED)
    return step


def test_two_packages_and_a_checkpoint_of_one_history_pass() -> None:
    drafts = entries("a", "b")
    early = make_log(drafts)
    later = make_log(
        [*drafts, draft("text", CASE, {"text": "c"}), draft("exported", CASE, {"entries_before": 5})]
    )
    for package, against in (
        (later.package(blobs={}), early.package(blobs={})),
        (early.package(blobs={}), later.package(blobs={})),
        (later.package(blobs={}), early.checkpoint.encode()),
        (early.package(blobs={}), early.checkpoint.encode()),
    ):
        assert history(package, against).outcome is Outcome.PASSED


def test_two_histories_are_found_whichever_is_given_first() -> None:
    one, other = make_log(entries("a", "b")), make_log(entries("a", "forged"))
    longer = make_log([*entries("a", "forged"), draft("case_opened", OTHER_CASE + "x", {})])
    for first, second in ((one, other), (other, one), (one, longer), (longer, one)):
        step = history(first.package(blobs={}), second.package(blobs={}))
        assert step.outcome is Outcome.FAILED, step
    assert history(one.package(blobs={}), other.checkpoint.encode()).outcome is Outcome.FAILED
    assert history(longer.package(blobs={}), one.checkpoint.encode()).outcome is Outcome.FAILED


def test_an_old_checkpoint_replayed_in_front_of_newer_entries_fails() -> None:
    # The package of the newer log with the older signed note: sizes and roots of its proofs do not fit.
    old, new = make_log(entries("a")), make_log(entries("a", "b"))
    package = new.package(blobs={}).replace(new.checkpoint.encode(), old.checkpoint.encode())
    assert not verify_package(package).passed


def test_a_later_checkpoint_alone_cannot_be_reached_and_is_named() -> None:
    early = make_log(entries("a"))
    later = make_log([*entries("a"), draft("case_opened", OTHER_CASE + "x", {})])
    step = history(early.package(blobs={}), later.checkpoint.encode())
    assert step.outcome is Outcome.CANNOT_BE_MADE
    assert "do not reach" in step.message


def test_another_log_is_told_apart_from_another_key_of_this_one() -> None:
    package = make_log(entries("a")).package(blobs={})
    stranger = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"stranger").digest()))
    note = CheckpointSigner(ORIGIN, stranger).sign(4, bytes(32)).encode()
    assert history(package, note).outcome is Outcome.FAILED
    elsewhere = CheckpointSigner("elsewhere.example/log", stranger).sign(4, bytes(32)).encode()
    for against in (elsewhere, b"", b"PK", b"\xff" * 100_000):
        assert history(package, against).outcome is Outcome.CANNOT_BE_MADE
