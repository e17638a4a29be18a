"""A voucher proves itself: no byte of it can be changed, and what it cannot prove is named."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import aics_tlog
import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.canonical import JsonValue, encode_canonical, parse_canonical_object
from server.evidence.checkpoint import encode_key
from server.evidence.entry import encode_body, encode_envelope
from server.evidence.errors import MalformedCheckpoint, MalformedKey, MalformedVoucher
from server.evidence.policy import parse_policy
from server.evidence.report import Outcome, Report, Step
from server.evidence.trust import Trust
from server.evidence.verify import read_other, verify_package
from server.evidence.verify_command import run
from server.evidence.verify_voucher import verify_voucher
from server.evidence.voucher import (
    FORMAT,
    MAX_VOUCHER_SIZE_BYTES,
    VERSION,
    Attested,
    encode_voucher,
    find_voucher,
    is_voucher,
    parse_voucher,
    seal_text,
)
from server.voucher_pdf import render_voucher
from tests.authority import make_authority
from tests.server.evidence.attested_vouchers import ROWS, TWO, WHOLE, Row, attested, voucher_with
from tests.server.evidence.damaged_vouchers import GOOD, OUTSIDE, STRANGER, TABLE, VKEY, Damaged
from tests.server.evidence.sample_case import CASE, SIGNER, draft, make_log, sample_package
from tests.server.evidence.sample_voucher import (
    CONFIRMED,
    HANDED_OVER,
    sample_voucher,
    sealed,
    voucher_drafts,
    voucher_of,
)

PDF = render_voucher(sample_voucher(), url="https://proofcall.example/v#token", language="zh", font=None)


def failed_steps(report: Report) -> tuple[int, ...]:
    return tuple(step.number for step in report.steps if step.outcome is Outcome.FAILED)


def unmade_steps(report: Report) -> tuple[int, ...]:
    return tuple(step.number for step in report.steps if step.outcome is Outcome.CANNOT_BE_MADE)


def test_a_voucher_says_again_what_was_put_into_it() -> None:
    voucher = sample_voucher()
    assert parse_voucher(encode_voucher(voucher)) == voucher
    assert encode_voucher(parse_voucher(GOOD)) == GOOD
    assert encode_canonical(json.loads(GOOD)) == GOOD, "RFC 8785"


def test_an_untouched_voucher_passes_and_names_what_it_cannot_prove() -> None:
    report = verify_voucher(GOOD)
    assert report.passed
    assert failed_steps(report) == ()
    assert unmade_steps(report) == OUTSIDE
    assert [step.number for step in report.steps] == list(range(1, 14))
    assert (report.subject, report.case_id, report.entries, report.tree_size, report.vkey) == (
        "voucher",
        CASE,
        2,
        7,
        VKEY,
    )
    assert "Statement: 我已查看外包装并收到包裹。" in report.says
    assert [finding.message for finding in report.steps[7].unmade] == [
        "what stands in the one entry between them is not in a voucher: a package has it"
    ]


@pytest.mark.parametrize("damaged", TABLE, ids=lambda damaged: damaged.name)
def test_each_damage_is_found_at_its_step(damaged: Damaged) -> None:
    report = verify_voucher(damaged.data, vkey=VKEY)
    assert failed_steps(report) == damaged.failed
    assert report.passed == (not damaged.failed)
    assert bool(report.says) == (not damaged.failed), "what is not proven is not repeated"
    for step in report.steps:
        if step.outcome is Outcome.FAILED:
            assert step.message and step.findings


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_others_words_count_as_the_policy_says(row: Row) -> None:
    policy = None if row.policy is None else parse_policy(row.policy)
    report = verify_voucher(row.data, vkey=VKEY, trust=Trust(policy=policy))
    assert failed_steps(report) == row.failed, report.steps
    assert report.steps[12].outcome == row.witnesses
    with suppress(MalformedVoucher):
        assert encode_voucher(parse_voucher(row.data)) == row.data


def test_a_quorum_says_who_cosigned_and_by_when() -> None:
    report = verify_voucher(WHOLE, vkey=VKEY, trust=Trust(policy=parse_policy(TWO)))
    assert report.steps[12].message == (
        "witness.example/w1, witness.example/w2 cosigned the log of 7 leaves, both entries among them, by "
        "2026-11-29T00:00:01.000Z: who trusts them was shown the same log"
    )
    report = verify_voucher(GOOD, vkey=VKEY, trust=Trust(policy=parse_policy(TWO)))
    assert report.steps[12].message == (
        "the policy asks for 2 of A, B, C; none of its witnesses has cosigned. The service adds cosignatures "
        "to a voucher as soon as it has them: fetch it anew"
    )


def test_a_token_says_that_both_entries_were_there_by_its_time(tmp_path: Path) -> None:
    authority, other = make_authority(tmp_path / "one"), make_authority(tmp_path / "other")

    def checked(token: bytes, attested_checkpoint: Attested, root: bytes | None = authority.root) -> Step:
        data = voucher_with(replace(attested_checkpoint, timestamps=(token,)))
        return verify_voucher(data, trust=Trust(roots=() if root is None else (root,))).steps[11]

    older, before = attested(6), attested(5)
    token, of_before = (authority.token(one.checkpoint.encode()) for one in (older, before))
    good = checked(token, older)
    assert good.outcome is Outcome.PASSED
    assert "stamped the log of 6 leaves at 20" in good.message
    for step, outcome, says in (
        (checked(token, older, None), Outcome.CANNOT_BE_MADE, "no root certificate"),
        (checked(of_before, before), Outcome.CANNOT_BE_MADE, "of before its entries"),
        (checked(of_before, older), Outcome.FAILED, "of other bytes than this checkpoint"),
        (checked(token, older, other.root), Outcome.FAILED, ""),
        (checked(b"token", older), Outcome.FAILED, "no time-stamp"),
    ):
        assert step.outcome is outcome and says in step.message, step


def test_every_flipped_byte_of_others_words_is_found() -> None:
    begin, end = WHOLE.index(b'"attested"'), WHOLE.index(b'"case_id"')
    for offset in range(begin, end):
        data = bytearray(WHOLE)
        data[offset] ^= 0x02
        assert not verify_voucher(bytes(data)).passed, offset


@pytest.mark.parametrize(
    "flip",
    [
        *(0x01, 0x40, 0xFF),
        *(pytest.param(flip, marks=pytest.mark.long) for flip in (0x02, 0x04, 0x08, 0x10, 0x20, 0x80)),
    ],
)
def test_every_flipped_byte_is_found(flip: int) -> None:
    for offset in range(len(GOOD)):
        data = bytearray(GOOD)
        data[offset] ^= flip
        assert not verify_voucher(bytes(data)).passed, f"byte {offset}: {GOOD[offset : offset + 20]!r}"


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.long)])
def test_every_flipped_byte_of_the_document_in_a_pdf_is_found(step: int) -> None:
    begin = PDF.index(GOOD)
    for offset in range(begin, begin + len(GOOD), step):
        data = bytearray(PDF)
        data[offset] ^= 0x04
        assert not verify_voucher(bytes(data)).passed, offset - begin


def test_no_byte_can_be_added_or_taken_away() -> None:
    for cut in range(0, len(GOOD), 7):
        assert not verify_voucher(GOOD[:cut]).passed
        assert not verify_voucher(GOOD[:cut] + b"x" + GOOD[cut:]).passed
        assert not verify_voucher(GOOD[:cut] + GOOD[cut + 1 :]).passed


@given(st.binary(max_size=300) | st.builds(lambda tail: b"{" + tail, st.binary(max_size=300)))
@settings(max_examples=200)
def test_no_bytes_do_anything_but_be_refused(data: bytes) -> None:
    with pytest.raises(MalformedVoucher):
        parse_voucher(data)
    assert not verify_voucher(data).passed


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(sorted(json.loads(GOOD))),
    st.sampled_from([None, "body", "envelope", "proof", "salt"]),
    JSON_VALUES,
)
@settings(max_examples=300)
def test_no_value_in_any_field_passes_or_breaks_the_verifier(
    field: str, inner: str | None, value: object
) -> None:
    document = parse_canonical_object(GOOD)
    place = document[field]
    if inner is not None and isinstance(place, dict):
        place[inner] = value
    else:
        document[field] = value  # type: ignore[assignment]
    data = encode_canonical(document)
    assert verify_voucher(data).passed == (data == GOOD)
    with suppress(MalformedVoucher):
        parse_voucher(data)


def test_a_forger_with_a_key_of_their_own_is_found_by_the_expected_key_alone() -> None:
    forged = encode_voucher(sample_voucher(signer=STRANGER))
    assert verify_voucher(forged).passed
    assert failed_steps(verify_voucher(forged, vkey=VKEY)) == (10,)
    assert unmade_steps(verify_voucher(GOOD, vkey=VKEY + "\n")) == (11, 12, 13)
    with pytest.raises(MalformedKey):
        verify_voucher(GOOD, vkey="nonsense")


def test_where_the_confirmation_follows_at_once_the_chain_is_checked() -> None:
    report = verify_voucher(encode_voucher(sample_voucher(voucher_drafts(between=0, confirmed=CONFIRMED))))
    assert report.passed and not report.steps[7].unmade
    log = make_log(voucher_drafts(between=0))
    voucher = voucher_of(log)
    other = replace(voucher.confirmed.envelope, previous_hash="ab" * 32)
    broken = sealed(replace(voucher, confirmed=replace(voucher.confirmed, envelope=other)))
    assert 5 in failed_steps(verify_voucher(encode_voucher(broken)))


def test_photos_are_named_as_what_a_voucher_cannot_show() -> None:
    photo: dict[str, JsonValue] = {
        "medium": "photo",
        "sha256": "ab" * 32,
        "size_bytes": 9,
        "media_type": "image/jpeg",
        "capture_path": "camera",
        "captured_at": "2026-11-22T14:03:20.000Z",
    }
    report = verify_voucher(
        encode_voucher(sample_voucher(voucher_drafts(handed_over={**HANDED_OVER, "attachments": [photo]})))
    )
    assert report.passed
    assert unmade_steps(report) == (9, *OUTSIDE)
    assert "1 photos or voice notes" in report.steps[8].message


def test_the_seal_is_no_checkpoint_and_no_checkpoint_can_be_signed_as_one() -> None:
    assert seal_text(sample_voucher()).startswith(f"{FORMAT}/{VERSION}\n")
    for text in (f"{SIGNER.key.name}\n7\n", "no line end", "an empty\n\nline\n"):
        with pytest.raises(MalformedCheckpoint):
            SIGNER.sign_statement(text)


# --- oracles that nobody here wrote ---


def test_against_aics_tlog_proofs_checkpoint_and_seal_hold() -> None:
    voucher = sample_voucher()
    key = aics_tlog.parse_vkey(voucher.vkey)
    note = aics_tlog.parse_note(voucher.checkpoint)
    assert aics_tlog.verify_note(note, [key])
    checkpoint = aics_tlog.parse_checkpoint(note.text)
    for entry in (voucher.handed_over, voucher.confirmed):
        assert aics_tlog.verify_leaf_inclusion(
            encode_envelope(entry.envelope),
            entry.proof.leaf_index,
            checkpoint.size,
            entry.proof.hashes,
            checkpoint.root,
        )
    seal = aics_tlog.parse_note(voucher.seal)
    assert aics_tlog.verify_note(seal, [key]) and seal.text == seal_text(voucher)
    assert not aics_tlog.verify_note(seal, [aics_tlog.parse_vkey(encode_key(STRANGER.key))])


def test_against_pymerkle_the_root_is_that_of_all_leaves() -> None:
    log = make_log(voucher_drafts())
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in log.entries:
        tree.append_entry(entry.envelope_bytes)
    voucher = voucher_of(log)
    assert (
        tree.get_state().hex()
        == aics_tlog.parse_checkpoint(aics_tlog.parse_note(voucher.checkpoint).text).root.hex()
    )
    for held in (voucher.handed_over, voucher.confirmed):
        proof = tree.prove_inclusion(held.proof.leaf_index + 1, 7)
        pymerkle.verify_inclusion(tree.get_leaf(held.proof.leaf_index + 1), tree.get_state(7), proof)
        assert set(held.proof.hashes) < set(proof.path), "theirs begins with the leaf"


def test_bodies_are_those_of_the_entries() -> None:
    voucher = sample_voucher()
    assert encode_body(HANDED_OVER) == encode_canonical(voucher.handed_over.body)
    assert encode_body(CONFIRMED) == encode_canonical(voucher.confirmed.body)


# --- files ---


def test_a_file_is_told_by_its_content() -> None:
    assert is_voucher(GOOD) and is_voucher(PDF) and is_voucher(b"x" + GOOD[1:])
    assert not is_voucher(sample_package()) and not is_voucher(b"") and not is_voucher(b"Dear Sir")
    assert find_voucher(PDF) == find_voucher(GOOD) == GOOD


def test_a_pdf_carries_the_document_and_says_that_its_pages_were_not_compared() -> None:
    report = verify_voucher(PDF, vkey=VKEY)
    assert report.passed
    assert ["pages" in finding.message for finding in report.steps[0].unmade] == [True]
    for pdf, said in (
        (b"%PDF-1.4\nsaved anew", "carries no voucher"),
        (PDF + PDF, "more than one"),
        (PDF.replace(b"/ProofcallVoucher", b"/ProofcallVouchex"), "carries no voucher"),
    ):
        report = verify_voucher(pdf)
        assert failed_steps(report) == (1,) and said in report.steps[0].message
    assert "bytes at most" in verify_voucher(b"{" * (MAX_VOUCHER_SIZE_BYTES + 1)).steps[0].message


def test_a_voucher_and_a_package_of_the_same_log_are_of_one_history_and_two_logs_are_not(
    tmp_path: Path,
) -> None:
    drafts = [*voucher_drafts(), draft("exported", CASE, {"entries_before": 4})]
    log = make_log(drafts)
    package = log.package(blobs={})
    data = encode_voucher(voucher_of(log))
    assert failed_steps(verify_voucher(data, read_other=lambda: read_other(package))) == ()
    assert verify_voucher(data, read_other=lambda: read_other(package)).steps[10].outcome is Outcome.PASSED
    assert verify_package(package, against=data).steps[10].outcome is Outcome.PASSED
    other = make_log([*drafts[:-1], draft("text", CASE, {"text": "another"})])
    assert failed_steps(verify_voucher(data, read_other=lambda: read_other(other.checkpoint.encode()))) == (
        11,
    )
    assert verify_package(package, against=encode_voucher(voucher_of(other))).steps[10].outcome is (
        Outcome.FAILED
    )
    broken = verify_voucher(data, read_other=lambda: read_other(b"%PDF-nothing"))
    assert broken.steps[10].outcome is Outcome.CANNOT_BE_MADE


@pytest.mark.parametrize("name", ["voucher.json", "voucher.pdf", "voucher.zip"])
def test_the_command_takes_a_voucher_whatever_its_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(PDF if name.endswith("pdf") else GOOD)
    assert run([str(path), "--key", VKEY]) == 0
    told = capsys.readouterr().out
    assert "THE VOUCHER HOLDS" in told and "Waybill: SF1000000001" in told
    assert "Statement: 我已查看外包装并收到包裹。" in told
    assert run([str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["subject"], report["passed"], report["entries"]) == ("voucher", True, 2)
    assert report["says"][0] == "Waybill: SF1000000001"
    path.write_bytes(path.read_bytes().replace(b"SF1000000001", b"SF1000000002"))
    assert run([str(path)]) == 1
    told = capsys.readouterr().out
    assert "THE VOUCHER DOES NOT HOLD. Failed steps: 3. Concerned: seal." in told
    assert "Statement" not in told


def test_what_a_stranger_wrote_into_a_voucher_commands_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "voucher.json"
    path.write_bytes(
        encode_voucher(sample_voucher(voucher_drafts(confirmed={**CONFIRMED, "statement": "\x1b[2J"})))
    )
    assert run([str(path)]) == 0
    assert "\x1b" not in capsys.readouterr().out
