"""The report of a case on paper: what a claims clerk reads before, or instead of, opening the package.

It proves nothing and says so; each section names the entries that it was told from. The same story, checks,
pictures, language and font give the same bytes.

    page 1    waybill, verdict ── outcome ── parties ── decisions and receipt
    then      timeline ── pictures ── what was not captured ── what was erased ── custody
    last      the state of each check ── what is not proven ── numbers and hashes
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, Image, KeepTogether, Spacer, Table, TableStyle

from server.evidence.checkpoint import parse_checkpoint
from server.evidence.report import LAST_INNER_STEP, Outcome, Step
from server.pdf_sheet import (
    LINE,
    SEAL,
    SOFT,
    WIDTH,
    PdfLanguage,
    Style,
    draw_footer,
    facts,
    new_document,
    register_font,
)
from server.report_story import MAX_PICTURES, Line, Matter, Picture, Story
from server.report_words import WORDS

# In the order of the paper; the places are the numbers that the text refers to.
SECTIONS = (
    "outcome",
    "parties",
    "decisions",
    "timeline",
    "pictures",
    "missing",
    "erased",
    "custody",
    "checks",
    "unproven",
    "numbers",
)
PICTURE_WIDTH, PICTURE_HEIGHT = 72 * mm, 60 * mm
GOOD, OPEN = HexColor("#1f6f43"), HexColor("#8a5a00")  # 6:1 and 5.7:1 on white; each stands with its word
OUTSIDE_STEPS = frozenset(
    {12, 13}
)  # that they pass is not all: who spoke, and how late, is for a person to judge
MAX_FINDINGS = 5  # of one check that failed: the command and the page list them all
NUMBER_WIDTH, TIME_WIDTH = 13 * mm, 19 * mm
HEADING_ROOM = 36 * mm  # what must follow a heading on its page

_COLOURS = {Outcome.PASSED: GOOD, Outcome.FAILED: SEAL, Outcome.CANNOT_BE_MADE: OPEN}


def render_report(
    story: Story,
    *,
    steps: Sequence[Step],
    checkpoint: str,
    vkey: str,
    hashes: tuple[str, str],
    entries: int,
    copies: Mapping[str, bytes],
    language: PdfLanguage,
    font: Path | None,
) -> bytes:
    """The PDF of a story in the same language. `steps`: what verification found, those that were made;
    `hashes`: of the first and the last envelope; `copies`: small JPEGs by the SHA-256 of what they were made
    of. Takes a second and more of CPU for a long case: not for the loop.
    """
    words = WORDS[language]
    style = Style(register_font(font))
    file = io.BytesIO()
    title = f"{words['title']} {story.waybill or story.case_id}"
    document = new_document(file, title=title, subject=words["title"], language=language)
    paper = _Paper(story, steps, copies, words, style)

    def every_page(canvas: Any, _: Any) -> None:
        draw_footer(canvas, style, title)

    parsed = parse_checkpoint(checkpoint)
    numbers = [
        (words["case"], story.case_id),
        (words["hash"]["entries"], str(entries)),
        (words["hash"]["first"], hashes[0]),
        (words["hash"]["last"], hashes[1]),
        (
            words["hash"]["checkpoint"],
            f"{words['hash']['leaves'].format(parsed.origin, parsed.tree_size)}\n{parsed.root_hash.hex()}",
        ),
        (words["hash"]["key"], vkey),
    ]
    pages = [*paper.pages(), *paper.section("numbers", [facts(style, numbers, size=8)])]
    document.build(pages, onFirstPage=every_page, onLaterPages=every_page)
    return file.getvalue()


class _Paper:
    """The flowables of a report, section by section."""

    def __init__(
        self,
        story: Story,
        steps: Sequence[Step],
        copies: Mapping[str, bytes],
        words: Mapping[str, Any],
        style: Style,
    ) -> None:
        self.story, self.steps, self.copies, self.words, self.style = story, steps, copies, words, style

    def pages(self) -> Iterator[Flowable]:
        story, words = self.story, self.words
        yield from self._head()
        yield from self.section("outcome", self._bullets(self._outcome()))
        yield from self.section("parties", self._matters(story.parties))
        decisions = self._matters(story.decisions) or [self._soft(words["decision"]["none"])]
        yield from self.section("decisions", decisions)
        yield from self.section("timeline", self._timeline())
        yield from self.section("pictures", self._pictures())
        none = words["missing"]["none"]
        if story.any_erased:
            none = words["missing"]["none_known"].format(_number("erased"))
        yield from self.section("missing", self._bullets(self._missing(), none))
        yield from self.section("erased", self._bullets(story.erased, words["erasure"]["none"]))
        yield from self.section("custody", self._custody())
        yield from self.section("checks", self._checks())
        yield from self.section("unproven", self._bullets(self._unproven()))

    def section(self, name: str, flowables: Iterable[Flowable]) -> Iterator[Flowable]:
        yield CondPageBreak(HEADING_ROOM)
        heading = self.style.heading(f"{_number(name)}  {self.words['sections'][name]}")
        heading.keepWithNext = 1
        yield heading
        yield from flowables

    def _soft(self, text: str, size: float = 9) -> Flowable:
        return self.style.paragraph(text, size=size, colour=SOFT, after=4)

    def _bullets(self, lines: Sequence[str], none: str = "") -> list[Flowable]:
        found: list[Flowable] = [self.style.paragraph(f"• {line}", after=2) for line in lines]
        return found or [self._soft(none)]

    # --- the front page ---

    def _head(self) -> Iterator[Flowable]:
        story, words, style = self.story, self.words, self.style
        yield style.paragraph(words["title"], size=20, after=2)
        yield self._soft(words["subtitle"], size=10.5)
        yield facts(style, story.facts)
        zone = (
            words["time_zone"].format(story.zone.key, story.offset) if story.zone_known else words["no_zone"]
        )
        yield self._soft(zone, size=8.5)
        text, colour = self._verdict()
        box = Table(
            [
                [
                    [
                        style.paragraph(text, size=11, colour=colour, after=3),
                        self._soft(words["verdict_note"], size=8.5),
                    ]
                ]
            ],
            colWidths=[WIDTH],
            spaceBefore=4,
            spaceAfter=4,
        )
        box.setStyle(TableStyle([("BOX", (0, 0), (-1, -1), 0.8, colour)]))
        yield box

    def _verdict(self) -> tuple[str, Any]:
        """As `Report.passed` has it: a step inside the package that cannot be made is no pass."""
        words, place = self.words, _number("checks")
        if any(step.outcome is Outcome.FAILED for step in self.steps):
            return words["verdict_bad"].format(place), SEAL
        if not self.steps or any(
            step.outcome is Outcome.CANNOT_BE_MADE and step.number <= LAST_INNER_STEP for step in self.steps
        ):
            return words["verdict_open"].format(place), OPEN
        return words["verdict_good"], GOOD

    def _outcome(self) -> list[str]:
        words = self.words["outcome"]
        lines = list(self.story.outcome)
        if self.story.any_erased:
            lines.append(words["erased"].format(_number("erased")))
        if self.story.held:
            lines.append(words["held"])
        return lines

    def _matters(self, matters: Sequence[Matter]) -> list[Flowable]:
        found: list[Flowable] = []
        for matter in matters:
            title = self.style.paragraph(matter.title, size=10.5, before=3, after=2)
            title.keepWithNext = 1
            found.append(title)
            if matter.facts:
                found.append(facts(self.style, matter.facts, size=9))
        return found

    # --- timeline ---

    def _timeline(self) -> Iterator[Flowable]:
        words, style = self.words, self.style
        yield self._soft(words["kept_out"].format(_number("custody")), size=8.5)
        rows: list[list[Any]] = []
        spans: list[tuple[Any, ...]] = []
        day = ""
        for line in self.story.timeline:
            local = None if line.at is None else line.at.astimezone(self.story.zone)
            if local is not None and f"{local:%Y-%m-%d}" != day:
                day = f"{local:%Y-%m-%d}"
                spans += _whole_row(len(rows))
                rows.append([style.paragraph(day, size=9, colour=SEAL, before=3, after=0), "", ""])
            if local is None:
                spans += _whole_row(len(rows))
                rows.append([self._soft(line.said), "", ""])
                continue
            rows.append(
                [
                    style.paragraph(str(line.number), size=8.5, colour=SOFT, after=0),
                    style.paragraph(f"{local:%H:%M:%S}", size=8.5, after=0),
                    self._told(line),
                ]
            )
        if rows:
            yield _table(rows, [NUMBER_WIDTH, TIME_WIDTH, WIDTH - NUMBER_WIDTH - TIME_WIDTH], spans)

    def _told(self, line: Line) -> list[Flowable]:
        return [
            self.style.paragraph(line.said, size=9, after=0),
            *[self.style.paragraph(text, size=8, colour=SOFT, after=0) for text in line.details],
        ]

    # --- pictures ---

    def _pictures(self) -> Iterator[Flowable]:
        words, pictures = self.words["picture"], self.story.pictures
        if self.story.pictures_erased:
            yield self._soft(words["erased"].format(self.story.pictures_erased))
        if not pictures:
            if not self.story.pictures_erased:
                yield self._soft(words["none"])
            return
        yield self._soft(words["smaller"], size=8.5)
        for picture in pictures[:MAX_PICTURES]:
            yield KeepTogether([self._picture(picture), Spacer(0, 4)])
        if len(pictures) > MAX_PICTURES:
            rest = [str(picture.number) for picture in pictures[MAX_PICTURES:]]
            yield self._soft(words["more"].format(count=len(rest), numbers=", ".join(dict.fromkeys(rest))))

    def _picture(self, picture: Picture) -> Flowable:
        style = self.style
        data = None if picture.sha256 is None else self.copies.get(picture.sha256)
        words = self.words["picture"]
        without = words["copy_erased"].format(_number("erased")) if picture.erased else words["no_copy"]
        shown = self._soft(without) if data is None else _image(data)
        return _table(
            [
                [
                    shown,
                    [
                        style.paragraph(picture.title, size=10, after=2),
                        *[style.paragraph(text, size=8, colour=SOFT, after=1) for text in picture.details],
                    ],
                ]
            ],
            [PICTURE_WIDTH + 4 * mm, WIDTH - PICTURE_WIDTH - 4 * mm],
        )

    def _missing(self) -> list[str]:
        words = self.words["missing"]
        unreadable = [
            words["unreadable"].format(number=picture.number)
            for picture in self.story.pictures[:MAX_PICTURES]
            if picture.sha256 is not None and picture.sha256 not in self.copies
        ]
        return [*self.story.missing, *dict.fromkeys(unreadable)]

    # --- custody and checks ---

    def _custody(self) -> Iterator[Flowable]:
        words, style = self.words["custody"], self.style
        if not self.story.custody:
            yield self._soft(words["none"])
        else:
            rows = [
                [
                    style.paragraph(words[name], size=8.5, colour=SOFT, after=0)
                    for name in ("who", "what", "when")
                ]
            ]
            rows += [
                [style.paragraph(text, size=8.5, after=0) for text in (look.who, look.what, look.when)]
                for look in self.story.custody
            ]
            yield _table(rows, [WIDTH * 0.28, WIDTH * 0.34, WIDTH * 0.38], repeated=1)
        yield Spacer(0, 3)
        yield self._soft(words["note"], size=8.5)

    def _checks(self) -> Iterator[Flowable]:
        words, style = self.words, self.style
        yield self._soft(words["checks"]["intro"], size=8.5)
        made = {step.number: step for step in self.steps}
        rows = []
        for number in sorted(words["steps"].keys() | made.keys()):
            name, question = words["steps"].get(number, (made[number].name if number in made else "", ""))
            step = made.get(number)
            said = [style.paragraph(f"{name}: {question}" if question else name, size=9, after=0)]
            said += [style.paragraph(text, size=8, colour=SOFT, after=0) for text in self._messages(step)]
            state = words["checks"]["on_opening" if step is None else step.outcome.value]
            colour = SOFT if step is None else _COLOURS[step.outcome]
            rows.append(
                [
                    style.paragraph(str(number), size=9, colour=SOFT, after=0),
                    said,
                    style.paragraph(state, size=9, colour=colour, after=0),
                ]
            )
        yield _table(rows, [NUMBER_WIDTH, WIDTH - NUMBER_WIDTH - 28 * mm, 28 * mm])

    def _messages(self, step: Step | None) -> list[str]:
        """What came of a check. Verification speaks English: where that is not the reader's language, what is
        known in theirs is said so, and a failure is quoted.
        """
        words = self.words["checks"]
        if step is None:
            return []
        if step.outcome is Outcome.FAILED:
            findings = dict.fromkeys([step.message, *(one.message for one in step.findings[:MAX_FINDINGS])])
            return [words["quoted"].format(message) for message in findings]
        unmade = [words["quoted"].format(one.message) for one in step.unmade[:MAX_FINDINGS]]
        if words["messages"]:
            return list(dict.fromkeys([step.message, *unmade]))
        if step.outcome is Outcome.PASSED:
            said = [words["quoted"].format(step.message)] if step.number in OUTSIDE_STEPS else []
            return [*said, *unmade]
        return [words["unmade"].get(step.number, step.message), *unmade]

    def _unproven(self) -> list[str]:
        words = self.words["unproven"]
        outcomes = {step.number: step.outcome for step in self.steps}
        lacks = {"no_stamp": 12, "no_witness": 13}
        chosen = ["camera", "person", "phone_clock", "place"]
        chosen += ["album"] if self.story.from_album else []
        chosen += [name for name, step in lacks.items() if outcomes.get(step) is not Outcome.PASSED]
        chosen += ["erased"] if self.story.any_erased else []
        return [words[name] for name in (*chosen, "key", "outside", "after", "copy")]


def _number(section: str) -> int:
    return SECTIONS.index(section) + 1


def _whole_row(row: int) -> list[tuple[Any, ...]]:
    return [("SPAN", (0, row), (-1, row))]


def _image(data: bytes) -> Flowable:
    image = Image(io.BytesIO(data))
    scale = min(PICTURE_WIDTH / image.imageWidth, PICTURE_HEIGHT / image.imageHeight)
    image.drawWidth, image.drawHeight = image.imageWidth * scale, image.imageHeight * scale
    image.hAlign = "LEFT"
    return image


def _table(
    rows: Sequence[Sequence[Any]],
    widths: Sequence[float],
    more: Sequence[tuple[Any, ...]] = (),
    *,
    repeated: int = 0,
) -> Flowable:
    table = Table(rows, colWidths=widths, repeatRows=repeated, splitInRow=1)
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                *more,
            ]
        )
    )
    return table
