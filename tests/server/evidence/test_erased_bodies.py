"""Step 15: an erased case verifies, says what is gone, and nothing else may be missing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from server.evidence.canonical import JsonValue
from server.evidence.entry import erased_entry
from server.evidence.frames import check_frames
from server.evidence.package import blob_references
from server.evidence.report import Outcome
from server.evidence.verify import verify_package
from tests.server.evidence.journal_case import JournalCase, journal_case
from tests.server.evidence.sample_case import CASE, draft, make_log, sample_drafts
from tests.server.evidence.test_verify import BLOB, failed_steps, members_of, pack

REASON = "the customer asked for it"


def erased_package(said: Mapping[str, JsonValue], gone: set[int]) -> bytes:
    """The sample, exported, then erased as it is said, with these bodies gone; and exported again."""
    body: dict[str, JsonValue] = {"reason": REASON, "by": "request", "authenticated_by": None}
    body |= {"kinds": None} | dict(said)
    log = make_log(
        [
            *sample_drafts(),
            draft("erased", CASE, body),
            draft("exported", CASE, {"entries_before": 4}),
        ]
    )
    entries = [
        erased_entry(entry.envelope_bytes, entry.leaf_index)
        if entry.envelope.case_id == CASE and entry.envelope.number in gone
        else entry
        for entry in log.entries
    ]
    return replace(log, entries=entries).package(blobs=None if 2 not in gone else {})


def test_a_case_that_was_erased_whole_verifies_and_says_so() -> None:
    report = verify_package(erased_package({"numbers": "all"}, {1, 2, 3}))
    assert report.passed and report.entries == 5
    assert "; 3 were erased" in report.steps[5].message
    step = report.steps[14]
    assert step.outcome is Outcome.PASSED
    assert step.message.startswith(f'the bodies of 3 entries were erased (entry 4: "{REASON}")')


@pytest.mark.parametrize(
    ("said", "gone"),
    [({"numbers": [2]}, {2}), ({"numbers": "all", "kinds": ["frame_sealed"]}, {2})],
)
def test_pictures_alone_may_be_erased(said: dict[str, JsonValue], gone: set[int]) -> None:
    report = verify_package(erased_package(said, gone))
    assert report.passed and "the bodies of 1 entries" in report.steps[14].message


@pytest.mark.parametrize(
    ("said", "gone", "entry"),
    [
        ({"numbers": [2]}, {1, 2}, 1),
        ({"numbers": "all", "kinds": ["text"]}, {2}, 2),
        ({"numbers": "all"}, {1, 2, 3, 5}, 5),  # what came after it was not erased with it
        ({"numbers": "nonsense"}, {1}, 1),
    ],
)
def test_a_body_that_is_missing_without_having_been_erased_fails(
    said: dict[str, JsonValue], gone: set[int], entry: int
) -> None:
    report = verify_package(erased_package(said, gone))
    assert 6 in failed_steps(report)
    assert entry in {finding.entry for finding in report.steps[5].findings}


def test_a_body_that_is_there_although_it_was_erased_fails() -> None:
    report = verify_package(erased_package({"numbers": "all"}, {1, 3}))
    assert failed_steps(report) == [15]
    assert [finding.entry for finding in report.steps[14].findings] == [2]


def take_one_of_the_pair(members: dict[str, bytes]) -> None:
    del members["entries/000001/salt"]


def take_the_word_for_it(members: dict[str, bytes]) -> None:
    for name in ("body.json", "salt"):
        del members[f"entries/000004/{name}"]


def change_the_word_for_it(members: dict[str, bytes]) -> None:
    members["entries/000004/body.json"] = members["entries/000004/body.json"].replace(b"[2]", b"[1]")


def add_an_unnamed_picture(members: dict[str, bytes]) -> None:
    members[BLOB] = b"\xff\xd8 a picture \xff\xd9"


@pytest.mark.parametrize(
    ("tamper", "step"),
    [
        (take_one_of_the_pair, 6),
        (take_the_word_for_it, 6),
        (change_the_word_for_it, 6),
        (add_an_unnamed_picture, 7),
    ],
)
def test_a_forger_cannot_hide_behind_an_erasure(
    tamper: Callable[[dict[str, bytes]], None], step: int
) -> None:
    members = members_of(erased_package({"numbers": [2]}, {2}))
    tamper(members)
    assert step in failed_steps(verify_package(pack(members)))


def journal_package(gone: set[int], said: Mapping[str, JsonValue], case: JournalCase | None = None) -> bytes:
    """A case with a journal of three segments, entries 3 to 5, with these bodies gone; a picture is of 1 and
    2.
    """
    case = case or journal_case()
    body: dict[str, JsonValue] = {"reason": REASON, "by": "retention", "authenticated_by": None}
    drafts = [*case.drafts, draft("erased", CASE, body | {"kinds": None} | dict(said))]
    own = sum(item.case_id == CASE for item in drafts)
    log = make_log([*drafts, draft("exported", CASE, {"entries_before": own})])
    entries = [
        erased_entry(entry.envelope_bytes, entry.leaf_index)
        if entry.envelope.case_id == CASE and entry.envelope.number in gone
        else entry
        for entry in log.entries
    ]
    named = {
        reference.sha256
        for entry in entries
        if entry.envelope.case_id == CASE
        for reference in blob_references(entry.body)
    }
    blobs = {sha256: data for sha256, data in case.blobs.items() if sha256 in named}
    return replace(log, entries=entries).package(blobs=blobs)


def test_a_journal_whose_segments_were_erased_has_a_hole_and_no_contradiction() -> None:
    report = verify_package(journal_package({3}, {"numbers": [3]}))
    assert report.passed and report.unshown_pictures == (2,)
    assert any("segment 1 is missing" in finding.message for finding in report.steps[8].unmade)


def test_a_hole_in_a_journal_is_not_excused_by_what_else_was_erased() -> None:
    envelopes = [entry.envelope for entry in make_log(journal_case().drafts).entries]
    bodies = [
        (envelope, item.body)
        for envelope, item in zip(envelopes, journal_case().drafts, strict=True)
        if not (envelope.kind == "segment_sealed" and item.body["segment"] == 1)
    ]
    others = [envelope for envelope in envelopes if envelope.kind != "segment_sealed"]
    for erased, excused in (([], False), (others, False), (envelopes, True)):
        checked = check_frames(
            [(envelope, dict(body)) for envelope, body in bodies], lambda _: None, None, erased
        )
        assert (checked.findings == []) == excused
