"""Whoever knows an earlier key of the log follows it to the one of a package, and to no other."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.evidence.checkpoint import encode_key, parse_checkpoint
from server.evidence.errors import EvidenceError
from server.evidence.handover import Handover, parse_handovers, read_history
from server.evidence.report import Outcome
from server.evidence.trust import Trust, parse_trust
from server.evidence.verify import verify_package
from tests.server.evidence.rotated_case import (
    DRAFTS,
    FIRST,
    FORGED,
    LOG,
    MIDDLE,
    NEWEST,
    NEXT,
    OLDEST,
    RIGHT,
    SECOND,
    STRANGER,
    THIRD,
    keys_file,
    rotated_package,
)
from tests.server.evidence.sample_case import SIGNER, make_log

CHECKPOINT_STEP, KEY_STEP, HISTORY_STEP, WITNESS_STEP = 2, 9, 10, 12
TREE = parse_checkpoint(LOG.checkpoint)


@pytest.mark.parametrize(
    ("vkey", "said"), [(OLDEST, "follows from"), (MIDDLE, "follows from"), (NEWEST, "carries the key")]
)
def test_a_package_is_checked_with_any_key_that_its_log_has_had(vkey: str, said: str) -> None:
    report = verify_package(rotated_package(RIGHT), vkey=vkey)
    assert report.passed and report.steps[KEY_STEP].outcome is Outcome.PASSED
    assert said in report.steps[KEY_STEP].message


@pytest.mark.parametrize(("keys", "vkey"), [(None, OLDEST), (RIGHT, encode_key(STRANGER.key))])
def test_a_key_that_nothing_leads_from_fails_the_package(keys: bytes | None, vkey: str) -> None:
    report = verify_package(rotated_package(keys), vkey=vkey)
    assert [step.number for step in report.steps if step.outcome is Outcome.FAILED] == [KEY_STEP + 1]


@pytest.mark.parametrize("handovers", FORGED.values(), ids=FORGED.keys())
def test_handovers_that_do_not_lead_from_key_to_key_fail_the_package(handovers: Sequence[Handover]) -> None:
    report = verify_package(rotated_package(keys_file(handovers)), vkey=OLDEST)
    assert [finding.member for finding in report.steps[CHECKPOINT_STEP].findings] == ["keys.json"]
    assert report.steps[KEY_STEP].outcome is Outcome.FAILED and not report.passed


@pytest.mark.parametrize(("size", "vkey"), [(len(DRAFTS) + 1, NEWEST), (len(DRAFTS), MIDDLE)])
def test_handovers_to_another_tree_are_not_taken(size: int, vkey: str) -> None:
    with pytest.raises(EvidenceError, match="of another tree"):
        read_history(keys_file([FIRST, NEXT], tree_size=size, vkey=vkey), THIRD.key, TREE)


@pytest.mark.parametrize(
    ("size", "signer", "outcome"),
    [
        (2, SIGNER, Outcome.PASSED),
        (6, SECOND, Outcome.PASSED),
        (3, SIGNER, Outcome.FAILED),  # its last was over 2 leaves
        (2, SECOND, Outcome.FAILED),
        (8, SECOND, Outcome.FAILED),
    ],
)
def test_a_checkpoint_of_an_earlier_key_counts_up_to_its_handover(
    size: int, signer: object, outcome: Outcome
) -> None:
    note = make_log(DRAFTS[:size], signer=signer).checkpoint  # type: ignore[arg-type]
    report = verify_package(rotated_package(RIGHT), against=note.encode())
    assert report.steps[HISTORY_STEP].outcome is outcome, report.steps[HISTORY_STEP]


def test_a_policy_may_name_the_log_by_an_earlier_key() -> None:
    for vkey, found in ((OLDEST, False), (encode_key(STRANGER.key), True)):
        trust: Trust = parse_trust(
            b'{"format":"proofcall-trust","version":1,"policy":"log %s\\nquorum none\\n"}' % vkey.encode()
        )
        step = verify_package(rotated_package(RIGHT), trust=trust).steps[WITNESS_STEP]
        assert any("other logs" in finding.message for finding in step.findings) is found


def test_what_is_written_is_read_back() -> None:
    assert parse_handovers(RIGHT) == [FIRST, NEXT]


@given(place=st.integers(0, len(RIGHT) - 1), byte=st.integers(0, 255))
def test_any_changed_byte_is_found(place: int, byte: int) -> None:
    data = RIGHT[:place] + bytes([byte]) + RIGHT[place + 1 :]
    if data == RIGHT:
        return
    with pytest.raises(EvidenceError):
        read_history(data, THIRD.key, TREE)


@given(st.binary() | st.recursive(st.text(), st.lists).map(str).map(str.encode))
def test_the_parser_returns_or_refuses_and_nothing_else(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_handovers(data)
