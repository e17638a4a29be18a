"""Files that were made from entries say what the entries say; playback names segments of the case."""

import json
from collections.abc import Callable

import pytest

from server.evidence.canonical import encode_canonical
from server.evidence.container import read_container
from server.evidence.package import PlaybackFile, build_package, is_playback_file
from server.evidence.report import Finding
from server.evidence.verify import verify_package
from tests.server.evidence.sample_case import (
    CASE,
    PICTURE,
    VKEY,
    draft,
    make_log,
    sample_drafts,
    sample_package,
)
from tests.server.evidence.test_verify import BLOB, failed_steps, members_of, pack

SHA256 = BLOB.removeprefix("blobs/")
FILE = "playback/1-l_a-1.webm"


def package_with_playback() -> bytes:
    log = make_log(sample_drafts())
    entries = [entry for entry in log.entries if entry.envelope.case_id == CASE]
    file = PlaybackFile(
        call_number=1, actor_id="l_a", part=1, extension="webm", segments=[(2, SHA256)], size_bytes=4
    )
    return build_package(
        entries=entries,
        blobs={SHA256: PICTURE},
        proofs=[log.proofs[entry.leaf_index] for entry in entries],
        checkpoint=log.checkpoint,
        vkey=VKEY,
        files={"check.html": b"<html>", "verify.pyz": b"PK", "report.en.pdf": b"%PDF"},
        playback=[(file, b"film")],
    )


PACKAGE = package_with_playback()


def findings_of(members: dict[str, bytes]) -> tuple[Finding, ...]:
    report = verify_package(pack(members))
    assert failed_steps(report) == [7]
    return report.steps[6].findings


def test_a_package_with_all_of_them_verifies() -> None:
    assert verify_package(PACKAGE).passed
    names = [name for name, _ in read_container(PACKAGE).in_order]
    assert {FILE, "playback/index.json", "check.html", "report.en.pdf", "custody.json"} <= set(names)


def test_custody_names_who_saw_and_exported_what() -> None:
    looks = [
        draft("viewed", CASE, {"number": 2, "original": False, "authenticated_by": "link"}),
        draft("exported", CASE, {"entries_before": 4}),
    ]
    custody = json.loads(members_of(make_log([*sample_drafts(), *looks]).package())["custody.json"])
    assert [(item["entry"], item["kind"]) for item in custody["custody"]] == [
        (3, "exported"),
        (4, "viewed"),
        (5, "exported"),
    ]
    assert custody["custody"][1]["body"] == {"authenticated_by": "link", "number": 2, "original": False}


def test_custody_that_leaves_a_look_out_is_found() -> None:
    members = members_of(sample_package())
    members["custody.json"] = encode_canonical({"custody": [], "format": "proofcall-custody", "version": 1})
    (finding,) = findings_of(members)
    assert finding.member == "custody.json"
    del members["custody.json"]
    assert failed_steps(verify_package(pack(members))) == [2]


def test_what_cannot_be_compared_with_the_entries_is_named_and_never_passed_in_silence() -> None:
    members = forge_what_people_read(members_of(PACKAGE))
    report = verify_package(pack(members))
    assert report.passed, "nobody signs a report"
    told, programs = (finding.message for finding in report.steps[6].unmade)
    assert "report.en.pdf, report.zh.pdf, 1 file of playback/" in told and "Believe the entries" in told
    assert "check.html, verify.pyz" in programs
    assert verify_package(sample_package()).steps[6].unmade == ()


def forge_what_people_read(members: dict[str, bytes]) -> dict[str, bytes]:
    """What a clerk opens, by another hand."""
    (film,) = (name for name in members if is_playback_file(name))
    reports = dict.fromkeys(("report.en.pdf", "report.zh.pdf"), b"%PDF forged: the courier is guilty")
    return {**members, **reports, film: b"another film", "check.html": b"<p>all is well", "verify.pyz": b"ok"}


def drop_the_index(members: dict[str, bytes]) -> None:
    del members["playback/index.json"]


def drop_the_file(members: dict[str, bytes]) -> None:
    del members[FILE]


def add_a_file(members: dict[str, bytes]) -> None:
    members["playback/1-l_b-1.webm"] = b"film"


def name_another_segment(members: dict[str, bytes]) -> None:
    index = members["playback/index.json"]
    members["playback/index.json"] = index.replace(SHA256.encode(), b"ab" * 32)


def name_another_entry(members: dict[str, bytes]) -> None:
    members["playback/index.json"] = members["playback/index.json"].replace(b'"entry":2', b'"entry":1')


def spell_it_otherwise(members: dict[str, bytes]) -> None:
    members["playback/index.json"] += b"\n"


def empty_it(members: dict[str, bytes]) -> None:
    members["playback/index.json"] = b"[]"


@pytest.mark.parametrize(
    ("tamper", "member"),
    [
        (drop_the_index, "playback/index.json"),
        (drop_the_file, FILE),
        (add_a_file, "playback/1-l_b-1.webm"),
        (name_another_segment, FILE),
        (name_another_entry, FILE),
        (spell_it_otherwise, "playback/index.json"),
        (empty_it, "playback/index.json"),
    ],
)
def test_playback_that_claims_something_else_is_found(
    tamper: Callable[[dict[str, bytes]], None], member: str
) -> None:
    members = members_of(PACKAGE)
    tamper(members)
    (finding,) = findings_of(members)
    assert finding.member == member
