"""An operator who has the log, the code and the key, and wants yesterday to have been another: what shows it.

The attack is the whole one: one entry of a settled case gets another body, everything behind it is hashed
anew, and the log signs the result with its own key. Nothing inside the forged package is wrong. What
contradicts it is what had left the house before: see THREATS.md.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from aiohttp import ClientSession

from server.evidence.canonical import JsonValue
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.cosignature import open_cosignature
from server.evidence.entry import Draft
from server.evidence.errors import IllegalQuorum, IllegalTimestamp, MalformedCosignature, MalformedProof
from server.evidence.merkle import Frontier, check_consistency, consistency_hashes
from server.evidence.package import AttestedCheckpoint, build_package
from server.evidence.policy import Group, Policy, Witness
from server.evidence.report import Outcome, Report
from server.evidence.timestamp import check_timestamp
from server.evidence.trust import Trust
from server.evidence.verify import read_other, verify_package
from server.evidence.verify_voucher import verify_voucher
from server.evidence.voucher import encode_voucher
from tests.authority import Authority, make_authority
from tests.server.evidence.local_witness import WITNESSES
from tests.server.evidence.sample_case import CASE, OTHER_CASE, SIGNER, VKEY, SampleLog, draft, make_log
from tests.server.evidence.sample_voucher import CONFIRMED, voucher_drafts, voucher_of
from tests.witness_process import make_witness

# Steps of verification.
HISTORY, TIME, WITNESSED = 11, 12, 13
WEEK = timedelta(days=7)
BEGAN_AT = datetime.now(UTC).replace(microsecond=0) - WEEK  # real authorities know no other time than now
RETURN = {"en": "Return to the warehouse", "zh": "退回仓库"}
GO_ON = {"en": "Go on, with a remark", "zh": "备注后继续配送"}
POLICY = Policy(
    logs=(),
    witnesses=tuple(Witness(name=f"w{place}", key=one.key, url=None) for place, one in enumerate(WITNESSES)),
    groups=(Group(name="two", threshold=2, members=("w0", "w1", "w2")),),
    quorum="two",
)


def decided(label: Mapping[str, JsonValue]) -> Draft:
    body: dict[str, JsonValue] = {"number": 1, "decision": "go_on", "label": label, "remark": None}
    return replace(draft("exception_decided", CASE, body), role="qa", actor_id="l_q")


def drafts(decision: Mapping[str, JsonValue] = GO_ON, *, later: str = "as it was") -> list[Draft]:
    """A decision, a receipt, and what came after the receipt; then the export."""
    opened, other, *receipt = voucher_drafts(confirmed={**CONFIRMED, "number": 3})
    return [
        opened,
        other,
        decided(decision),
        *receipt,
        draft("text", CASE, {"text": later}),
        *[draft("text", OTHER_CASE, {"text": "busy"}) for _ in range(5)],
        draft("exported", CASE, {"entries_before": 6}),
    ]


LEFT_THE_HOUSE = 8  # leaves: all up to the confirmation, and one of another case


@pytest.fixture(scope="module")
def honest() -> SampleLog:
    return make_log(drafts(), began_at=BEGAN_AT)


@pytest.fixture(scope="module")
def forged() -> SampleLog:
    """The same log with another decision, signed with the same key."""
    return make_log(drafts(RETURN), began_at=BEGAN_AT)


@pytest.fixture(scope="module")
def earlier() -> SampleLog:
    """The log as it was when voucher, cosignature and token were made."""
    return make_log(drafts()[:LEFT_THE_HOUSE], began_at=BEGAN_AT)


def outcome(report: Report, step: int) -> Outcome:
    return next(one.outcome for one in report.steps if one.number == step)


def test_a_rebuilt_log_holds_by_itself_for_it_is_only_its_operators_word(
    honest: SampleLog, forged: SampleLog
) -> None:
    for log in (honest, forged):
        report = verify_package(log.package(blobs={}), vkey=VKEY)
        assert report.passed
        assert outcome(report, HISTORY) is Outcome.CANNOT_BE_MADE
    assert honest.checkpoint != forged.checkpoint


def test_the_customers_voucher_contradicts_a_rebuilt_log_from_either_side(
    forged: SampleLog, earlier: SampleLog
) -> None:
    voucher = encode_voucher(voucher_of(earlier))
    package = forged.package(blobs={})
    assert verify_voucher(voucher, vkey=VKEY).passed
    of_package = verify_package(package, vkey=VKEY, against=voucher)
    of_voucher = verify_voucher(voucher, vkey=VKEY, read_other=partial(read_other, package))
    for report in (of_package, of_voucher):
        assert outcome(report, HISTORY) is Outcome.FAILED
        assert not report.passed


def test_the_voucher_agrees_with_the_log_that_was_left_alone(honest: SampleLog, earlier: SampleLog) -> None:
    report = verify_package(honest.package(blobs={}), vkey=VKEY, against=encode_voucher(voucher_of(earlier)))
    assert report.passed and outcome(report, HISTORY) is Outcome.PASSED


def test_a_voucher_says_nothing_of_what_was_changed_behind_it(earlier: SampleLog) -> None:
    """The limit: an entry after the voucher's checkpoint is covered by later words alone."""
    changed = make_log(drafts(later="as it never was"), began_at=BEGAN_AT)
    report = verify_package(changed.package(blobs={}), vkey=VKEY, against=encode_voucher(voucher_of(earlier)))
    assert report.passed and outcome(report, HISTORY) is Outcome.PASSED


def test_the_checkpoint_of_anybody_who_follows_the_log_contradicts_it_too(
    honest: SampleLog, forged: SampleLog
) -> None:
    report = verify_package(forged.package(blobs={}), vkey=VKEY, against=honest.checkpoint.encode())
    assert outcome(report, HISTORY) is Outcome.FAILED


def test_a_cosignature_fits_the_checkpoint_that_its_witness_saw_and_no_rebuilt_one(
    honest: SampleLog, forged: SampleLog
) -> None:
    for witness in WITNESSES:
        line = witness.cosign(honest.checkpoint)
        open_cosignature(line, honest.checkpoint, witness.key)
        with pytest.raises(MalformedCosignature, match="does not fit"):
            open_cosignature(line, forged.checkpoint, witness.key)


def test_no_proof_leads_from_a_cosigned_checkpoint_to_a_rebuilt_log(
    honest: SampleLog, forged: SampleLog, earlier: SampleLog
) -> None:
    cosigned = parse_checkpoint(earlier.checkpoint)
    for log, holds in ((honest, True), (forged, False)):
        checkpoint = parse_checkpoint(log.checkpoint)
        _, stored = Frontier().extend(entry.leaf_hash for entry in log.entries)
        hashes = consistency_hashes(cosigned.tree_size, checkpoint.tree_size, stored.__getitem__)
        sizes = (cosigned.tree_size, checkpoint.tree_size)
        if holds:
            check_consistency(*sizes, cosigned.root_hash, checkpoint.root_hash, hashes)
        else:
            with pytest.raises(MalformedProof):
                check_consistency(*sizes, cosigned.root_hash, checkpoint.root_hash, hashes)


async def test_a_real_witness_signs_no_rebuilt_log_and_keeps_what_was_asked_of_it(
    honest: SampleLog, forged: SampleLog, earlier: SampleLog, tmp_path: Path
) -> None:
    longer = make_log([*drafts(RETURN), draft("text", OTHER_CASE, {"text": "more"})], began_at=BEGAN_AT)
    witness = await make_witness(tmp_path / "witness")
    await witness.know(VKEY)
    async with witness.running(), ClientSession() as http:

        async def ask(before: SampleLog | None, log: SampleLog) -> int:
            """The status of the answer to C2SP tlog-witness add-checkpoint."""
            first = 0 if before is None else len(before.entries)
            _, stored = Frontier().extend(entry.leaf_hash for entry in log.entries)
            hashes = consistency_hashes(first, len(log.entries), stored.__getitem__)
            proof = "".join(f"{b64encode(one).decode()}\n" for one in hashes)
            body = f"old {first}\n{proof}\n{log.checkpoint}"
            async with http.post(f"{witness.url}/add-checkpoint", data=body.encode()) as answer:
                return answer.status

        assert await ask(None, earlier) == 200
        assert await ask(earlier, honest) == 200
        assert await ask(honest, forged) in (409, 422)  # of the size that it has signed, another root
        assert await ask(honest, longer) == 422  # larger, and no continuation
        assert await ask(earlier, longer) == 409  # it has signed more than that already
    assert await witness.evidence()


def test_an_operator_needs_as_many_witnesses_as_the_policy_asks_for_and_one_of_their_own_does_not_do() -> (
    None
):
    with pytest.raises(IllegalQuorum, match="none of its witnesses"):
        POLICY.check([])
    with pytest.raises(IllegalQuorum):
        POLICY.check([WITNESSES[0].key])
    POLICY.check([WITNESSES[0].key, WITNESSES[2].key])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authorities") / "one")


def test_a_token_is_of_the_log_as_it_was_and_a_new_one_says_when_the_log_was_rebuilt(
    honest: SampleLog, forged: SampleLog, authority: Authority
) -> None:
    notes = [log.checkpoint.encode() for log in (honest, forged)]
    token = authority.token(notes[0])
    check_timestamp(token, notes[0], [authority.root])
    with pytest.raises(IllegalTimestamp, match="other bytes"):
        check_timestamp(token, notes[1], [authority.root])
    rebuilt_at = datetime.now(UTC)
    new = check_timestamp(authority.token(notes[1]), notes[1], [authority.root])
    assert new.at >= rebuilt_at - timedelta(seconds=1)  # a token has whole seconds
    assert new.at - forged.entries[0].envelope.recorded_at >= WEEK - timedelta(seconds=1)


def test_an_authority_of_the_operators_own_is_none_that_anybody_trusts(
    forged: SampleLog, authority: Authority, tmp_path: Path
) -> None:
    own = make_authority(tmp_path / "own")  # of the same name, and with any clock
    note = forged.checkpoint.encode()
    with pytest.raises(IllegalTimestamp, match="no trusted root"):
        check_timestamp(own.token(note), note, [authority.root])


# --- the same, as who checks a package sees it ---


def said_outside(earlier: SampleLog, log: SampleLog, authority: Authority) -> AttestedCheckpoint:
    """What authority and witnesses said of the earlier log, in a package of the later one."""
    note = earlier.checkpoint
    sizes = (parse_checkpoint(note).tree_size, parse_checkpoint(log.checkpoint).tree_size)
    _, stored = Frontier().extend(entry.leaf_hash for entry in log.entries)
    return AttestedCheckpoint(
        checkpoint=note,
        consistency=consistency_hashes(*sizes, stored.__getitem__),
        cosignatures=[witness.cosign(note).decode() for witness in WITNESSES[:2]],
        timestamps=[authority.token(note.encode())],
    )


def package_of(log: SampleLog, *said: AttestedCheckpoint) -> bytes:
    chosen = [entry for entry in log.entries if entry.envelope.case_id == CASE]
    return build_package(
        entries=chosen,
        blobs={},
        proofs=[log.proofs[entry.leaf_index] for entry in chosen],
        checkpoint=log.checkpoint,
        vkey=VKEY,
        attested=said,
    )


@pytest.fixture(scope="module")
def trust(authority: Authority) -> Trust:
    return Trust(vkeys=(SIGNER.key,), roots=(authority.root,), policy=POLICY)


def test_what_was_said_outside_of_the_log_that_was_left_alone_counts(
    honest: SampleLog, earlier: SampleLog, authority: Authority, trust: Trust
) -> None:
    report = verify_package(package_of(honest, said_outside(earlier, honest, authority)), trust=trust)
    assert report.passed
    assert [outcome(report, step) for step in (TIME, WITNESSED)] == [Outcome.PASSED] * 2


def test_the_words_said_of_the_true_log_do_not_pass_in_a_package_of_a_rebuilt_one(
    forged: SampleLog, earlier: SampleLog, authority: Authority, trust: Trust
) -> None:
    report = verify_package(package_of(forged, said_outside(earlier, forged, authority)), trust=trust)
    assert not report.passed
    assert [outcome(report, step) for step in (TIME, WITNESSED)] == [Outcome.FAILED] * 2


def test_words_that_were_all_said_before_the_decision_do_not_count(
    forged: SampleLog, authority: Authority, trust: Trust
) -> None:
    package = package_said_before_the_decision(forged, authority)
    report = verify_package(package, trust=trust)
    for number in (TIME, WITNESSED):
        step = report.steps[number - 1]
        assert step.outcome is Outcome.CANNOT_BE_MADE
        assert "the decision in entry 2 is among them" in step.unmade[0].message


def package_said_before_the_decision(log: SampleLog, authority: Authority) -> bytes:
    before = make_log(drafts()[:2], began_at=BEGAN_AT)
    return package_of(log, said_outside(before, log, authority))


def test_nor_do_they_if_the_checkpoint_that_they_were_said_of_is_rebuilt_too(
    forged: SampleLog, earlier: SampleLog, authority: Authority, trust: Trust
) -> None:
    rebuilt = make_log(drafts(RETURN)[:LEFT_THE_HOUSE], began_at=BEGAN_AT)
    said = replace(said_outside(earlier, forged, authority), checkpoint=rebuilt.checkpoint)
    report = verify_package(package_of(forged, said), trust=trust)
    assert not report.passed
    assert [outcome(report, step) for step in (TIME, WITNESSED)] == [Outcome.FAILED] * 2


def test_a_rebuilt_log_without_witnesses_fails_for_who_asks_for_some_and_has_no_time_from_outside(
    forged: SampleLog, trust: Trust
) -> None:
    report = verify_package(package_of(forged), trust=trust)
    assert not report.passed
    assert outcome(report, TIME) is Outcome.CANNOT_BE_MADE
    assert outcome(report, WITNESSED) is Outcome.FAILED


def test_a_new_token_on_a_rebuilt_log_passes_and_says_how_long_after_the_fact_it_came(
    forged: SampleLog, authority: Authority, trust: Trust
) -> None:
    """The limit: late is not false. Whoever reads the sentence sees a week where minutes are due."""
    late = AttestedCheckpoint(
        checkpoint=forged.checkpoint, timestamps=[authority.token(forged.checkpoint.encode())]
    )
    report = verify_package(package_of(forged, late), trust=replace(trust, policy=None))
    assert report.passed
    (step,) = [step for step in report.steps if step.number == TIME]
    assert step.outcome is Outcome.PASSED
    seconds = int(re.findall(r"within (\d+) s of its own time", step.message)[0])
    assert seconds >= WEEK.total_seconds() - 1
