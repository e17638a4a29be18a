"""Steps 12 and 13: a word from outside counts if it is of this log and of somebody who is trusted."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from server.evidence import attested, verify
from server.evidence.attested import Checked
from server.evidence.cosignature import encode_witness_key
from server.evidence.merkle import EMPTY_ROOT
from server.evidence.policy import parse_policy
from server.evidence.report import Outcome, Report, Step
from server.evidence.trust import Trust
from server.evidence.verify import verify_package
from tests.authority import Authority, make_authority
from tests.server.evidence.attested_case import make_attested_package
from tests.server.evidence.local_witness import WITNESSES
from tests.server.evidence.sample_case import SIGNER
from tests.server.evidence.test_verify import members_of, pack

TIME, WITNESSED = 12, 13
KEYS = "".join(f"witness w{place} {encode_witness_key(one.key)}\n" for place, one in enumerate(WITNESSES, 1))
TWO_OF_THREE = parse_policy(KEYS + "group all 2 w1 w2 w3\nquorum all\n")
ALL_THREE = parse_policy(KEYS + "group all all w1 w2 w3\nquorum all\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("attested") / "authority")


@pytest.fixture(scope="module")
def package(authority: Authority) -> bytes:
    return make_attested_package(authority, WITNESSES[:2])


def outcome(report: Report, number: int) -> Outcome:
    return report.steps[number - 1].outcome


def step_of(package: bytes, number: int, trust: Trust | None = None) -> Step:
    return verify_package(package, trust=trust).steps[number - 1]


def test_trusted_authorities_and_witnesses_turn_both_steps_into_passes(
    package: bytes, authority: Authority
) -> None:
    report = verify_package(package, trust=Trust(roots=(authority.root,), policy=TWO_OF_THREE))
    assert report.passed
    time, witnesses = report.steps[TIME - 1], report.steps[WITNESSED - 1]
    assert time.outcome is witnesses.outcome is Outcome.PASSED
    assert "2 time stamps of CN=Test Authority" in time.message and "cover entries 1 to 3" in time.message
    assert "w1, w2 cosigned the log of 5 leaves" in witnesses.message


def test_without_trust_they_are_named_and_count_for_nothing(package: bytes) -> None:
    report = verify_package(package)
    assert report.passed
    assert outcome(report, TIME) is outcome(report, WITNESSED) is Outcome.CANNOT_BE_MADE
    assert "2 time stamps are there" in report.steps[TIME - 1].message
    assert "witness.example/w1, witness.example/w2" in report.steps[WITNESSED - 1].message


def test_what_the_package_carries_itself_is_compared_and_is_no_proof(
    package: bytes, authority: Authority
) -> None:
    members = members_of(package)
    members["certificates.pem"] = authority.root
    members["policy.txt"] = (KEYS + "group all 2 w1 w2 w3\nquorum all\n").encode()
    report = verify_package(pack(members))
    assert report.passed
    assert outcome(report, TIME) is outcome(report, WITNESSED) is Outcome.CANNOT_BE_MADE
    assert "hold under the roots that the package carries itself" in report.steps[TIME - 1].message
    assert "the policy that the package carries itself" in report.steps[WITNESSED - 1].message


def test_an_authority_that_is_not_trusted_fails(
    package: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_authority(tmp_path_factory.mktemp("attested") / "other")
    report = verify_package(package, trust=Trust(roots=(other.root,)))
    assert not report.passed and outcome(report, TIME) is Outcome.FAILED


def test_fewer_witnesses_than_the_policy_asks_for_fail(package: bytes) -> None:
    report = verify_package(package, trust=Trust(policy=ALL_THREE))
    assert not report.passed
    assert "w1, w2 have cosigned" in report.steps[WITNESSED - 1].message
    bare = make_attested_package(None, [])
    assert step_of(bare, WITNESSED, Trust(policy=ALL_THREE)).outcome is Outcome.FAILED
    assert step_of(bare, WITNESSED).outcome is step_of(bare, TIME).outcome is Outcome.CANNOT_BE_MADE


def other_token(members: dict[str, bytes]) -> None:
    members["attested/3/timestamp-1.der"] = members["attested/5/timestamp-1.der"]


def broken_token(members: dict[str, bytes]) -> None:
    members["attested/3/timestamp-1.der"] = members["attested/3/timestamp-1.der"][:-1]


def changed_signature_of_token(members: dict[str, bytes]) -> None:
    token = members["attested/3/timestamp-1.der"]
    members["attested/3/timestamp-1.der"] = token[:-1] + bytes([token[-1] ^ 1])


def other_checkpoint(members: dict[str, bytes]) -> None:
    members["attested/3/checkpoint"] = members["attested/5/checkpoint"]


def changed_signature_of_checkpoint(members: dict[str, bytes]) -> None:
    note = members["attested/3/checkpoint"]
    members["attested/3/checkpoint"] = note[:-10] + (b"A" if note[-10:-9] != b"A" else b"B") + note[-9:]


def no_checkpoint(members: dict[str, bytes]) -> None:
    del members["attested/3/checkpoint"]


def no_consistency(members: dict[str, bytes]) -> None:
    del members["attested/3/consistency.json"]


def other_consistency(members: dict[str, bytes]) -> None:
    proof = members["attested/3/consistency.json"]
    members["attested/3/consistency.json"] = proof.replace(b'"to":5', b'"to":6')


def consistency_too_many(members: dict[str, bytes]) -> None:
    members["attested/5/consistency.json"] = members["attested/3/consistency.json"]


@pytest.mark.parametrize(
    ("tamper", "steps"),
    [
        (other_token, {TIME}),
        (broken_token, {TIME}),
        (changed_signature_of_token, {TIME}),
        (other_checkpoint, {TIME, WITNESSED}),
        (changed_signature_of_checkpoint, {TIME, WITNESSED}),
        (no_checkpoint, {TIME, WITNESSED}),
        (no_consistency, {TIME, WITNESSED}),
        (other_consistency, {TIME, WITNESSED}),
        (consistency_too_many, {TIME, WITNESSED}),
    ],
)
def test_a_word_about_something_else_is_found(
    tamper: Callable[[dict[str, bytes]], None], steps: set[int], package: bytes, authority: Authority
) -> None:
    members = members_of(package)
    tamper(members)
    report = verify_package(pack(members), trust=Trust(roots=(authority.root,), policy=TWO_OF_THREE))
    failed = {step.number for step in report.steps if step.outcome is Outcome.FAILED}
    assert failed == steps and not report.passed


@pytest.mark.parametrize("tamper", [other_token, broken_token, other_checkpoint, no_consistency])
def test_so_much_is_found_without_trust_and_without_a_library(
    tamper: Callable[[dict[str, bytes]], None], package: bytes
) -> None:
    members = members_of(package)
    tamper(members)
    assert step_of(pack(members), TIME).outcome is Outcome.FAILED


def test_a_cosignature_of_another_checkpoint_fails(package: bytes) -> None:
    members = members_of(package)
    members["attested/5/cosignatures"] = members["attested/3/cosignatures"]
    step = step_of(pack(members), WITNESSED, Trust(policy=TWO_OF_THREE))
    assert step.outcome is Outcome.FAILED and "does not fit the checkpoint" in step.message


def test_entries_after_the_last_token_are_named(package: bytes, authority: Authority) -> None:
    members = members_of(package)
    for name in [name for name in members if name.startswith("attested/5/")]:
        del members[name]
    report = verify_package(pack(members), trust=Trust(roots=(authority.root,), policy=TWO_OF_THREE))
    for number in (TIME, WITNESSED):
        step = report.steps[number - 1]
        assert step.outcome is Outcome.PASSED
        assert ["entry 3" in finding.message for finding in step.unmade] == [True]


def test_a_word_that_was_said_before_the_case_began_counts_for_nothing(authority: Authority) -> None:
    trust = Trust(roots=(authority.root,), policy=TWO_OF_THREE)
    before = make_attested_package(authority, WITNESSES[:2], sizes=[1], other_first=True)
    report = verify_package(before, trust=trust)
    assert outcome(report, TIME) is Outcome.CANNOT_BE_MADE
    assert "cover no entry of this case" in report.steps[TIME - 1].message
    assert outcome(report, WITNESSED) is Outcome.FAILED and not report.passed
    assert "1 leaves, as it was before this case" in report.steps[WITNESSED - 1].message
    # The first entry of the case is enough: what came later is named.
    barely = make_attested_package(authority, WITNESSES[:2], sizes=[2], other_first=True)
    report = verify_package(barely, trust=trust)
    assert report.passed and outcome(report, TIME) is outcome(report, WITNESSED) is Outcome.PASSED


def test_no_word_about_an_empty_log_has_a_place_in_a_package(authority: Authority) -> None:
    report = verify_package(with_a_word_about_nothing(make_attested_package(None, []), authority))
    assert [step.number for step in report.steps if step.outcome is Outcome.FAILED] == [2]
    assert "attested/0/checkpoint" in report.steps[1].message


def with_a_word_about_nothing(package: bytes, authority: Authority) -> bytes:
    """Anybody can have a log of 0 leaves stamped and cosigned: it is the beginning of all of its name."""
    note = SIGNER.sign(0, EMPTY_ROOT)
    members = members_of(package) | {
        "attested/0/checkpoint": note.encode(),
        "attested/0/consistency.json": b'{"from":0,"hashes":[],"to":5}',
        "attested/0/cosignatures": b"".join(witness.cosign(note) for witness in WITNESSES[:2]),
        "attested/0/timestamp-1.der": authority.token(note.encode()),
    }
    return pack(members)


def test_whose_root_is_trusted_for_pictures_vouches_for_no_time_nor_the_other_way_round(
    package: bytes, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = step_of(package, TIME, Trust(picture_roots=(authority.root,)))
    assert step.outcome is Outcome.CANNOT_BE_MADE and "no root of an authority" in step.message
    given: list[Sequence[bytes]] = []

    def keep(*arguments: Any) -> Checked:
        given.append(arguments[-1])
        return Checked()

    monkeypatch.setattr(verify, "check_credentials", keep)
    verify_package(package, trust=Trust(roots=(authority.root,), picture_roots=(b"of pictures",)))
    assert given == [(b"of pictures",)]


def test_a_policy_that_asks_for_nobody_is_met_by_nobody() -> None:
    step = step_of(make_attested_package(None, []), WITNESSED, Trust(policy=parse_policy("quorum none\n")))
    assert step.outcome is Outcome.PASSED and step.message == "your policy asks for no witness"


def test_an_entry_that_says_a_later_time_than_its_token_is_found(
    package: bytes, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sample's entries are of a week before its tokens: so the tolerance is made the other way round.
    monkeypatch.setattr(attested, "CLOCK_TOLERANCE", timedelta(days=-3650))
    step = step_of(package, TIME, Trust(roots=(authority.root,)))
    assert step.outcome is Outcome.FAILED
    assert [finding.entry for finding in step.findings] == [1, 2, 3]
    assert "the server's clock was wrong" in step.message


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 70_000, b"0\x82", "— a b\n".encode()])
def test_any_content_of_what_is_attested_ends_in_a_report(
    content: bytes, package: bytes, authority: Authority
) -> None:
    whole = members_of(package) | {"certificates.pem": authority.root, "policy.txt": KEYS.encode()}
    trusted = Trust(roots=(authority.root,), policy=TWO_OF_THREE)
    for name in [name for name in whole if name.startswith(("attested/", "certificates", "policy"))]:
        for trust in (None, trusted):
            report = verify_package(pack(whole | {name: content}), trust=trust)
            assert len(report.steps) == 15, name


def test_a_checkpoint_of_another_history_fails_though_it_was_signed_stamped_and_cosigned(
    package: bytes, authority: Authority
) -> None:
    other = SIGNER.sign(3, bytes(32))
    members = members_of(package)
    members["attested/3/checkpoint"] = other.encode()
    members["attested/3/timestamp-1.der"] = authority.token(other.encode())
    members["attested/3/cosignatures"] = WITNESSES[0].cosign(other) + WITNESSES[1].cosign(other)
    report = verify_package(pack(members), trust=Trust(roots=(authority.root,), policy=TWO_OF_THREE))
    for number in (TIME, WITNESSED):
        assert outcome(report, number) is Outcome.FAILED
        assert "does not lead to the root" in report.steps[number - 1].message
