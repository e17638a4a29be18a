"""The report of a case: what a clerk reads in it, in both languages, and that its bytes stay the same."""

import asyncio
import hashlib
import io
import re
import shutil
import string
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reportlab.pdfbase.ttfonts import TTFont

from server.evidence.cosignature import encode_witness_key
from server.evidence.entry import Draft
from server.evidence.package import AttestedCheckpoint, build_package
from server.evidence.policy import parse_policy
from server.evidence.trust import Trust
from server.evidence.verify import verify_package
from server.pdf_sheet import KNOWN_FONTS, PDF_LANGUAGES, PdfLanguage, find_font
from server.report_pdf import SECTIONS
from server.report_story import MAX_LINES, MAX_PICTURES, Told, pictures_of, tell
from server.report_words import WORDS
from server.report_worker import make_reports, render_package, small_copy, steps_on_paper
from signaling.entries import KIND
from tests.conftest import Caller
from tests.server.evidence.local_witness import WITNESSES
from tests.server.evidence.sample_case import CASE, SIGNER, VKEY, SampleLog, make_log
from tests.server.receipt import confirm_receipt
from tests.server.report_case import (
    ALBUM,
    BLOBS,
    COURIER,
    CUSTOMER,
    EVENTS,
    FRAME,
    NAMES,
    PHOTO,
    ROLES,
    STATEMENT,
    WAYBILL,
    claim,
    picture,
    report_log,
    told,
)

ROOT = Path(__file__).parents[2]
POPPLER = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="Debian: apt-get install poppler-utils"
)
EMBEDDABLE = pytest.mark.skipif(find_font(None) is None, reason="Debian: apt-get install fonts-wqy-microhei")


async def reports_of(log: SampleLog) -> Mapping[PdfLanguage, bytes]:
    async def read_blob(sha256: str) -> bytes | None:
        return BLOBS.get(sha256)

    return await make_reports(
        log.package(blobs={}),
        pictures=[sha256 for _, sha256 in pictures_of(told(log))],
        read_blob=read_blob,
        font=find_font(None),
    )


def render(package: bytes) -> dict[PdfLanguage, bytes]:
    return dict(zip(PDF_LANGUAGES, render_package(package, copies={}, font=find_font(None)), strict=True))


def text_of(pdf: bytes) -> str:
    """The words of a PDF; line ends are where the paper ends, so all white space is one space."""
    found = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return " ".join(found.stdout.decode().split())


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.fixture(scope="module")
def log() -> SampleLog:
    return report_log()


@pytest.fixture(scope="module")
def reports(log: SampleLog) -> Mapping[PdfLanguage, bytes]:
    return asyncio.run(reports_of(log))


def test_the_same_case_gives_the_same_bytes_in_another_process(
    log: SampleLog, reports: Mapping[PdfLanguage, bytes]
) -> None:
    copies = {sha256: small_copy(data) or b"" for sha256, data in BLOBS.items()}
    here = render_package(log.package(blobs={}), copies=copies, font=find_font(None))
    assert dict(zip(PDF_LANGUAGES, here, strict=True)) == reports
    assert set(reports) == {"en", "zh"}


@POPPLER
def test_a_clerk_reads_who_did_what_when_and_what_came_of_it(
    reports: Mapping[PdfLanguage, bytes],
) -> None:
    for language, pdf in reports.items():
        text, words = squeezed(text_of(pdf)), WORDS[language]
        for section in SECTIONS:
            assert squeezed(words["sections"][section]) in text, (language, section)
        reservation = "左下角有压痕，待开箱检验。"
        for part in (
            WAYBILL,
            NAMES[CUSTOMER],
            "WangWei",
            "8,999.00",
            reservation,
            STATEMENT,
            "2026-11-2222:03:52",
        ):
            assert part in text, (language, part)
        assert squeezed({"en": "Go on, with a remark", "zh": "备注后继续配送"}[language]) in text
        assert squeezed(words["verdict_good"]) in text and squeezed(words["verdict_note"]) in text
        for key in ("path.camera", "path.album"):
            assert squeezed(dict(leaves(words))[key]) in text, (language, key)
        for key in ("camera", "person", "no_stamp", "no_witness", "key", "album"):
            assert squeezed(words["unproven"][key]) in text, (language, key)


@POPPLER
@EMBEDDABLE
def test_the_font_is_in_the_file_and_so_are_small_copies_of_the_pictures_without_what_they_carried(
    reports: Mapping[PdfLanguage, bytes], tmp_path: Path
) -> None:
    for language, pdf in reports.items():
        path = tmp_path / f"{language}.pdf"
        path.write_bytes(pdf)
        fonts = subprocess.run(["pdffonts", str(path)], capture_output=True, check=True, text=True).stdout
        rows = [line for line in fonts.splitlines()[2:] if "TrueType" in line]
        assert rows and all(re.search(r"\byes yes\b", row) for row in rows), fonts
        subprocess.run(["pdfimages", "-all", str(path), str(tmp_path / language)], check=True)
        copies = sorted(tmp_path.glob(f"{language}-*.jpg"))
        assert len(copies) == len({FRAME, PHOTO, ALBUM})
        for copy in copies:
            assert b"MARKER" not in copy.read_bytes()
            with Image.open(copy) as image:
                assert max(image.size) <= 720 and not image.getexif()


@POPPLER
def test_what_fails_is_said_on_the_first_page_and_in_the_step_that_failed() -> None:
    log = report_log()
    entries = [
        replace(entry, body={**entry.body, "remark": "another"}) if entry.envelope.number == 28 else entry
        for entry in log.entries
    ]
    for language, pdf in render(replace(log, entries=entries).package(blobs={})).items():
        text, words = squeezed(text_of(pdf)), WORDS[language]
        assert squeezed(words["verdict_bad"].format(SECTIONS.index("checks") + 1)) in text
        assert squeezed(words["verdict_good"]) not in text
        assert words["checks"]["failed"] in text and "entry28:" in text


def test_both_languages_say_the_same_with_the_same_facts() -> None:
    english, chinese = dict(leaves(WORDS["en"])), dict(leaves(WORDS["zh"]))
    unmade = {key for key in chinese if key.startswith("checks.unmade.")}
    assert english.keys() == chinese.keys() - unmade
    for key, text in english.items():
        assert fields(text) == fields(chinese[key]), key


def leaves(words: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in words.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{key}.")
        elif isinstance(value, tuple):
            yield from ((f"{path}{key}.{place}", text) for place, text in enumerate(value))
        else:
            yield f"{path}{key}", value


def fields(text: object) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(str(text)) if name is not None)


def test_a_check_has_one_name_on_paper_on_the_page_and_in_the_command(log: SampleLog) -> None:
    page = (ROOT / "web/check_words.js").read_text()
    english, chinese = (
        re.findall(r': "([^"]+)"', block)
        for block in re.findall(r"^  step: {\n(.*?)^  }", page, re.DOTALL | re.MULTILINE)
    )
    assert [name for name, _ in WORDS["en"]["steps"].values()] == english
    assert [name for name, _ in WORDS["zh"]["steps"].values()] == chinese
    assert [step.name for step in verify_package(log.package(blobs={})).steps] == english


def test_every_kind_of_entry_has_a_sentence_and_a_name_for_when_it_is_erased() -> None:
    for table in ("kinds", "nouns"):
        assert KIND.keys() <= WORDS["en"][table].keys()


@EMBEDDABLE
def test_the_font_has_every_character_that_the_report_writes() -> None:
    font = find_font(None)
    assert font in KNOWN_FONTS
    known = TTFont("known", str(font), subfontIndex=0).face.charToGlyph
    for words in WORDS.values():
        for key, text in leaves(words):
            assert all(ord(one) in known for one in str(text)), key


@pytest.mark.parametrize("language", PDF_LANGUAGES)
def test_a_sentence_names_no_place_that_its_entry_leaves_empty(log: SampleLog, language: str) -> None:
    story = tell(told(log), language)
    unknown = WORDS[language]["unknown"]
    for line in story.timeline:
        assert unknown not in line.said and "None" not in line.said, line
    assert [line.number for line in story.timeline][:7] == [1, 2, 3, 4, 5, 6, 7]
    kinds = {told.envelope.kind for told in told(log)}
    assert {"frame_sealed", "exception_decided", "gap_started", "confirmed"} <= kinds


def test_what_was_not_captured_is_listed(log: SampleLog) -> None:
    missing = "\n".join(tell(told(log), "en").missing)
    for part in (
        "the network had failed, from 2026-11-22 22:03:40, 0 min 4 s",
        "a piece of the recording is missing",
        "no whole picture had arrived yet",
        "announced a file that never arrived",
        "of 9000 packets sent, 12 never arrived",
    ):
        assert part in missing


def test_a_phones_clock_is_told_where_its_time_is(log: SampleLog) -> None:
    story = tell(told(log), "en")
    sentence = "The phone's clock was measured 294.1 s behind the service's (± 0.1 s)."
    (line,) = [line for line in story.timeline if line.number == 7]
    assert sentence in line.details
    assert all(sentence in shot.details for shot in story.pictures if shot.number == 7)


def test_what_a_photos_credentials_say_is_told_as_theirs_and_not_if_they_do_not_hold() -> None:
    for standing, said in (("unknown_signer", True), ("trusted", True), ("invalid", False)):
        events = [
            (who, kind, {**body, "credentials": {**body["credentials"], "standing": standing}})
            if kind == "attachment_stored" and "credentials" in body
            else (who, kind, body)
            for who, kind, body in EVENTS
        ]
        details = [shot.details for shot in tell(told(report_log(events)), "en").pictures]
        (album,) = [lines for lines in details if any("credentials" in line for line in lines)]
        assert WORDS["en"]["credentials"][standing].format(problem=None) in album
        quoted = "They say of themselves: Dreams Inc, Dreamer 3, made by a trained model (AI)."
        assert (quoted in album) is said


def test_custody_says_who_was_shown_or_refused_what(log: SampleLog) -> None:
    looks = {(look.who, look.what) for look in tell(told(log), "en").custody}
    quality = f"Quality check {NAMES['l_' + 'q' * 20]}"
    assert looks == {
        (quality, "read entries"),
        (quality, "played back the recording"),
        (quality, "looked at originals, with place and device"),
        ("Courier Wang Wei", "was refused: the package (not for this role)"),
        ("The order system", "exported the case"),
    }


ERASED: tuple[str, str, Mapping[str, Any]] = (
    "integrator",
    "erased",
    {"reason": "asked for on 28 November", "numbers": "all", "kinds": None, "by": "request"},
)


def test_an_erased_case_names_nobody_and_says_why_it_is_empty() -> None:
    log = SampleLog(entries=erased_entries(), proofs=[], checkpoint="")
    gone = frozenset(range(1, len(EVENTS) + 1))
    for language in PDF_LANGUAGES:
        story = tell(told(log, erased=gone), language)
        assert story.waybill is None and not story.pictures and story.any_erased
        assert not any(name in repr(story) for name in (*NAMES.values(), WAYBILL, "划痕"))
        assert any("asked for on 28 November" in line for line in story.erased)
        assert not any("000" in line for line in story.erased)
        assert len(story.timeline) > 20
        words = WORDS[language]
        assert any(words["outcome"]["confirmed_erased"][-6:] in line for line in story.outcome)
        assert story.pictures_erased == "17"
        assert list(story.missing) == [words["missing"]["erased"].format("18, 20–21")]


def test_what_is_missing_without_a_statement_of_erasure_is_said_to_be() -> None:
    log = report_log()
    uncovered = [line for line in tell(told(log, erased=frozenset({22})), "en").erased if "22" in line]
    assert uncovered == [
        "WITHOUT A STATEMENT OF ERASURE the content is missing of No. 22: this package does not hold."
    ]


def erased_entries() -> Sequence[Any]:
    """The case with a statement of erasure at its end."""
    drafts = [
        Draft(kind=kind, case_id=CASE, role=ROLES[who], actor_id=who, session_id="s_1", body=body)
        for who, kind, body in (*EVENTS, ERASED)
    ]
    return make_log(drafts).entries


def test_a_decision_that_was_replaced_is_marked_and_the_valid_one_stands_in_the_outcome() -> None:
    decided = next(body for _, kind, body in EVENTS if kind == "exception_decided")
    later = {
        **decided,
        "decision": "return_to_warehouse",
        "label": {"en": "Return to the warehouse"},
        "remark": None,
    }
    events = [
        *EVENTS[:28],
        (COURIER, "text", {"text": "?", "captured_at": None}),
        (CUSTOMER, "text", {"text": "!", "captured_at": None}),
    ]
    events += [("l_" + "q" * 20, "exception_decided", later)]
    story = tell(told(report_log(events)), "en")
    assert any("Decided: Return to the warehouse" in line for line in story.outcome)
    decisions = [text for name, text in story.decisions[0].facts if name == "Decision"]
    assert ["replaced by a later decision" in text for text in decisions] == [True, False]


def test_a_long_case_stays_a_paper_and_says_what_it_leaves_out() -> None:
    many = [(CUSTOMER, "text", {"text": f"text {place}", "captured_at": None}) for place in range(3_000)]
    story = tell(told(report_log([*EVENTS[:4], *many])), "en")
    assert len(story.timeline) == MAX_LINES + 1
    (gap,) = [line for line in story.timeline if line.number is None]
    assert gap.said.startswith("2604 entries from No. 201 to No. 2804")


def test_more_pictures_than_are_copied_are_counted() -> None:
    frame = next(event for event in EVENTS if event[1] == "frame_sealed")
    entries: list[Told] = told(report_log([*EVENTS[:4], *[frame] * (MAX_PICTURES + 5)]))
    assert len(pictures_of(entries)) == MAX_PICTURES
    assert len(tell(entries, "en").pictures) == MAX_PICTURES + 5


@pytest.mark.long
def test_the_longest_texts_fit_on_paper() -> None:
    def longest(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        texts = {"text": "界" * 2000, "remark": "W" * 2000, "reservation": "<&> " * 500, "message": "m" * 500}
        found = dict(body) | {name: text for name, text in texts.items() if isinstance(body.get(name), str)}
        if isinstance(body.get("statement"), str):
            found["statement"] = "声明 " * 1333
        if kind == "case_opened":
            found |= {
                "waybill": "\u202eW" * 32,
                "metadata": {f"{place:064}": "值" * 256 for place in range(16)},
            }
        if kind == "link_issued":
            found["name"] = "<b>&名\u0301" * 9
        if kind == "exception_reported":
            more = [claim(b"%d" % place, "camera", 0) for place in range(10)]
            found["attachments"] = [*body["attachments"], *more]
        return found

    log = report_log([(who, kind, longest(kind, body)) for who, kind, body in EVENTS])
    for pdf in render(log.package(blobs={})).values():
        assert pdf.startswith(b"%PDF")


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"no picture", FRAME[:400]])
def test_what_is_no_picture_has_no_copy(data: bytes) -> None:
    assert small_copy(data) is None


def test_a_small_copy_is_a_small_jpeg() -> None:
    copy = small_copy(picture("large", (4000, 3000)))
    assert copy is not None
    with Image.open(io.BytesIO(copy)) as image:
        assert image.format == "JPEG" and image.size == (720, 540)
    assert (
        hashlib.sha256(copy).digest()
        == hashlib.sha256(small_copy(picture("large", (4000, 3000))) or b"").digest()
    )


@POPPLER
def test_on_paper_a_witness_that_has_not_signed_yet_is_a_lack_and_a_false_signature_a_failure() -> None:
    log = report_log()
    witness, other = WITNESSES[:2]
    policy = parse_policy(f"witness w1 {encode_witness_key(witness.key)}\nquorum w1\n")
    trust = Trust(vkeys=(SIGNER.key,), policy=policy)
    real = witness.cosign(log.checkpoint).decode()
    name, signature = real.rsplit(" ", 1)
    false = f"{name} {signature[:40]}{'A' * 8}{signature[48:]}"
    for line, expected in (
        (None, "cannot_be_made"),
        (other.cosign(log.checkpoint).decode(), "cannot_be_made"),
    ):
        assert states(log, trust, line)[13] == expected
    assert states(log, trust, real)[13] == "passed"
    for pdf in render_package(package_with(log, real), copies={}, font=find_font(None), trust=trust):
        assert "w1cosignedthelogof35leaves" in squeezed(text_of(pdf)), "who spoke is for the reader to judge"
    assert states(log, trust, false)[13] == "failed"


def states(log: SampleLog, trust: Trust, line: str | None) -> dict[int, str]:
    return {step.number: step.outcome.value for step in steps_on_paper(package_with(log, line), trust)}


def package_with(log: SampleLog, line: str | None) -> bytes:
    """The case without its blobs, and with what a witness said."""
    said = [AttestedCheckpoint(checkpoint=log.checkpoint, cosignatures=[line])] if line else []
    return build_package(
        entries=log.entries,
        blobs={},
        proofs=log.proofs,
        checkpoint=log.checkpoint,
        vkey=VKEY,
        attested=said,
    )


@POPPLER
async def test_an_export_carries_both_reports_and_whoever_has_it_can_make_them_again(caller: Caller) -> None:
    receipt = await confirm_receipt(caller, reservation="左下角有划痕")
    status, package = await caller.call("POST", f"/api/cases/{receipt.case_id}/export")
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        found = {language: archive.read(f"report.{language}.pdf") for language in PDF_LANGUAGES}
    assert render(package) == found
    for language, pdf in found.items():
        assert WORDS[language]["title"] in text_of(pdf)
        assert "左下角有划痕" in squeezed(text_of(pdf))


@POPPLER
@pytest.mark.long
async def test_the_report_of_a_case_that_was_erased_says_so_and_names_nobody(caller: Caller) -> None:
    receipt = await confirm_receipt(caller, reservation="左下角有划痕")
    address = f"/api/cases/{receipt.case_id}"
    assert (await caller.call("POST", f"{address}/end"))[0] == 200
    status, _ = await caller.call("POST", f"{address}/erase", json={"reason": "asked for on 28 November"})
    assert status == 200
    _, package = await caller.call("POST", f"{address}/export")
    for language, pdf in render(package).items():
        text = squeezed(text_of(pdf))
        assert "划痕" not in text and WAYBILL not in text
        assert "askedforon28November" in text
        assert squeezed(WORDS[language]["verdict_good"]) in text
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert archive.read("report.en.pdf") == render(package)["en"]
