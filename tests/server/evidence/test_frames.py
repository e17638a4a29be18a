"""Sealed frames and the journal tell the same story, or it is named where not, and where nobody can tell."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy
import pytest

from media.depacketizer import VP8
from media.picture_protocol import encode_packets
from media.picture_worker import decode
from server.evidence.canonical import JsonObject
from server.evidence.entry import Draft
from server.evidence.package import blob_references
from server.evidence.report import FRAMES_STEP, Outcome, Report, Step
from server.evidence.verify import verify_package
from server.redecode import PictureRedecoder
from tests.server.evidence.journal_case import (
    JournalCase,
    blob_of,
    frame_draft,
    journal_case,
    segment_draft,
    stream,
)
from tests.server.evidence.sample_case import CASE, draft

FRAME = 2  # its entry
CALL: JsonObject = {"call_number": 1}


@pytest.fixture(scope="module")
def redecoder() -> Iterator[PictureRedecoder]:
    with PictureRedecoder() as redecoder:
        yield redecoder


def step_of(report: Report) -> Step:
    """The step about frames; all that the package can tell without a decoder must hold."""
    assert [step.number for step in report.steps if step.outcome is Outcome.FAILED] in ([], [FRAMES_STEP])
    return report.steps[FRAMES_STEP - 1]


def checked(case: JournalCase, redecoder: PictureRedecoder | None) -> Step:
    return step_of(verify_package(case.package(), redecoder=redecoder))


def with_segment(case: JournalCase, number: int, packets: list[bytes]) -> JournalCase:
    """Another content of a segment, sealed as if it had been received."""
    item, data = segment_draft(number, packets)
    drafts = tuple(
        item if old.kind == "segment_sealed" and old.body["segment"] == number else old for old in case.drafts
    )
    return replace(case, drafts=drafts, blobs=_needed(drafts, {**case.blobs, _hash(data): data}))


def with_picture(case: JournalCase, jpeg: bytes) -> JournalCase:
    changed = case.changed("frame_sealed", {"blob": blob_of(jpeg, "image/jpeg")})
    return replace(changed, blobs=_needed(changed.drafts, {**case.blobs, _hash(jpeg): jpeg}))


def without_segment(case: JournalCase, number: int, *, lost: bool = False) -> JournalCase:
    """A journal with a gap, or one that ends early; the export's count fits."""
    drafts = []
    for item in case.drafts:
        if item.kind == "segment_sealed" and item.body["segment"] == number:
            if lost:
                names = ("call_number", "segment", "began_at", "ended_at", "packets")
                body = {name: item.body[name] for name in names}
                drafts.append(draft("segment_lost", CASE, {**body, "reason": "overloaded"}))
            continue
        drafts.append(item)
    drafts[-1] = draft("exported", CASE, {"entries_before": len(drafts) - 2})
    return replace(case, drafts=tuple(drafts), blobs=_needed(drafts, case.blobs))


def _needed(drafts: Sequence[Draft], blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    """Only the blobs that the drafts name: a package holds no other."""
    named = {reference.sha256 for item in drafts for reference in blob_references(item.body)}
    return {sha256: data for sha256, data in blobs.items() if sha256 in named}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_picture_is_decoded_again_from_the_journal(redecoder: PictureRedecoder) -> None:
    report = verify_package(journal_case().package(), redecoder=redecoder)
    step = report.steps[FRAMES_STEP - 1]
    assert report.passed
    assert step.outcome is Outcome.PASSED, step
    assert "1 of 1 pictures were decoded again" in step.message
    assert "1 byte for byte the same" in step.message
    assert report.unshown_pictures == ()


def test_a_package_without_pictures_and_journal_has_nothing_to_compare(redecoder: PictureRedecoder) -> None:
    drafts = (draft("case_opened", CASE, {}), draft("exported", CASE, {"entries_before": 1}))
    assert checked(JournalCase(drafts=drafts), redecoder).outcome is Outcome.PASSED


def test_another_encoder_of_the_same_picture_passes_and_is_told(redecoder: PictureRedecoder) -> None:
    case = journal_case()
    image = cv2.imdecode(numpy.frombuffer(_jpeg_of(case), numpy.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    made, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    assert made and jpeg.tobytes() != _jpeg_of(case)
    step = checked(with_picture(case, jpeg.tobytes()), redecoder)
    assert step.outcome is Outcome.PASSED, step
    assert "1 by another encoder" in step.message


def test_a_forged_picture_is_found_though_everything_was_sealed(redecoder: PictureRedecoder) -> None:
    case = journal_case()
    image = cv2.imdecode(numpy.frombuffer(_jpeg_of(case), numpy.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    image[8:16, 8:16] = (image[8:16, 8:16].astype(int) + 128) % 256
    made, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert made
    for forged in (jpeg.tobytes(), b"no picture", _jpeg_of(case)[:200]):
        step = checked(with_picture(case, forged), redecoder)
        assert step.outcome is Outcome.FAILED
        assert [finding.entry for finding in step.findings] == [FRAME]
    earlier = decode(stream()[0], VP8)[0]  # a true picture of the stream, but of another moment
    assert checked(with_picture(case, earlier), redecoder).outcome is Outcome.FAILED


def _jpeg_of(case: JournalCase) -> bytes:
    (reference,) = blob_references(case.body("frame_sealed")["blob"])
    return case.blobs[reference.sha256]


def test_packets_that_are_not_those_of_the_picture_are_found(redecoder: PictureRedecoder) -> None:
    second = stream()[1]
    changed = [*second[:-1], second[-1][:-1] + bytes([second[-1][-1] ^ 1])]
    for packets in (changed, second[:-1], list(reversed(second))[:1]):
        step = checked(with_segment(journal_case(), 2, packets), redecoder)
        assert step.outcome is Outcome.FAILED
        assert [finding.entry for finding in step.findings] == [FRAME]
    # Order of arrival and what else arrived are no contradiction.
    for packets in (list(reversed(second)), [*second, b"\x80\x60" + bytes(12)]):
        step = checked(with_segment(journal_case(), 2, packets), redecoder)
        assert [finding for finding in step.findings if finding.entry == FRAME] == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"width": 64}, "48 x 48"),
        ({"codec": "H264"}, "says H264"),
        ({"rtp_timestamp": 7}, "RTP timestamp"),
        ({"arrived_at": "2031-01-01T00:00:00.000Z"}, "another time of arrival"),
        ({"journal": {**CALL, "first_segment": 3, "last_segment": 3}}, "do not hold its packets"),
        ({"journal": {**CALL, "first_segment": 2, "last_segment": 1}}, "are none"),
        ({"journal": {**CALL, "first_segment": 1, "last_segment": 2**50}}, "more segments"),
        ({"journal": {**CALL}}, "first_segment"),
        ({"packets": None}, "not one of its kind"),
        ({"width": "48"}, "width"),
    ],
)
def test_a_frame_that_says_what_its_journal_does_not_is_found(
    redecoder: PictureRedecoder, changes: JsonObject, what: str
) -> None:
    step = checked(journal_case().changed("frame_sealed", changes), redecoder)
    assert step.outcome is Outcome.FAILED
    assert [finding.entry for finding in step.findings] == [FRAME]
    assert what in step.message


def test_packets_that_make_no_picture_are_found(redecoder: PictureRedecoder) -> None:
    case = journal_case()
    garbage = [packet[:12] + bytes(len(packet) - 12) for packet in stream()[0]]
    both = [*garbage, *stream()[1]]
    span = case.body("frame_sealed")["packets"]
    assert isinstance(span, dict)
    changed = case.changed("frame_sealed", {"packets": {**span, "sha256": _hash(encode_packets(both))}})
    step = checked(with_segment(changed, 1, garbage), redecoder)
    assert step.outcome is Outcome.FAILED
    assert "make no picture" in step.message


@pytest.mark.parametrize(
    "changes",
    [
        {"packets": 1},
        {"streams": []},
        {"began_at": "2026-11-22T14:03:29.123Z"},
        {"ended_at": "2026-11-22T14:03:29.123Z"},
        {"segment": 0},
        {"began_at": "yesterday"},
        {"blob": None},
    ],
)
def test_a_segment_that_is_not_what_its_entry_says_is_found(
    redecoder: PictureRedecoder, changes: JsonObject
) -> None:
    case = journal_case().changed("segment_sealed", changes)
    step = checked(replace(case, blobs=_needed(case.drafts, case.blobs)), redecoder)
    assert step.outcome is Outcome.FAILED
    assert 3 in [finding.entry for finding in step.findings]


def test_a_segment_that_is_no_dump_is_found_and_blamed(redecoder: PictureRedecoder) -> None:
    item, data = segment_draft(3, stream()[2], dump=b"#!rtpplay1.0 0.0.0.0/0\n")
    case = journal_case()
    drafts = (*case.drafts[:5], item, case.drafts[6])
    case = replace(case, drafts=drafts, blobs=_needed(drafts, {**case.blobs, _hash(data): data}))
    step = checked(case, redecoder)
    assert [finding.entry for finding in step.findings] == [5]
    assert "no dump" in step.message


def test_a_hole_in_the_numbers_and_a_number_used_twice_are_found(redecoder: PictureRedecoder) -> None:
    step = checked(without_segment(journal_case(), 2), redecoder)
    assert "segment 2 is missing before segment 3" in step.message
    assert [finding.entry for finding in step.unmade] == [FRAME]
    twice = journal_case().changed("segment_sealed", {"segment": 2})
    assert "once more" in checked(twice, redecoder).message


def test_a_lost_segment_is_the_reason_that_a_picture_cannot_be_checked(redecoder: PictureRedecoder) -> None:
    report = verify_package(without_segment(journal_case(), 2, lost=True).package(), redecoder=redecoder)
    step = step_of(report)
    assert step.outcome is Outcome.CANNOT_BE_MADE
    assert [finding.entry for finding in step.unmade] == [FRAME]
    assert "segment 2 was lost (overloaded, entry 4)" in step.unmade[0].message
    assert report.passed and report.unshown_pictures == (FRAME,)


def test_a_journal_that_ends_before_the_picture_is_named(redecoder: PictureRedecoder) -> None:
    case = without_segment(without_segment(journal_case(), 3), 2)
    step = checked(case, redecoder)
    assert step.outcome is Outcome.CANNOT_BE_MADE
    assert "segment 2 was not sealed, nor any after it" in step.unmade[0].message


def test_an_older_frame_and_a_missing_decoder_are_named_and_never_silent(
    redecoder: PictureRedecoder,
) -> None:
    older = journal_case().changed("frame_sealed", {"journal": None})
    for report in (
        verify_package(older.package(), redecoder=redecoder),
        verify_package(journal_case().package()),
    ):
        assert report.passed
        assert step_of(report).outcome is Outcome.CANNOT_BE_MADE
        assert report.unshown_pictures == (FRAME,)


def test_another_senders_journal_is_not_taken(redecoder: PictureRedecoder) -> None:
    step = checked(journal_case().changed("frame_sealed", {"of": "l_other"}), redecoder)
    assert step.outcome is Outcome.CANNOT_BE_MADE
    assert [finding.entry for finding in step.unmade] == [FRAME]


def test_a_frame_of_one_segment_needs_no_other(redecoder: PictureRedecoder) -> None:
    frame, jpeg = frame_draft(stream()[0], 1, 1)
    case = journal_case()
    drafts = (*case.drafts[:2], frame, *case.drafts[3:])
    changed = replace(case, drafts=drafts, blobs=_needed(drafts, {**case.blobs, _hash(jpeg): jpeg}))
    assert checked(changed, redecoder).outcome is Outcome.PASSED
