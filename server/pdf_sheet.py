"""The paper that vouchers and reports are printed on: font, styles, rows of facts, and the same bytes again.

A font is embedded where there is one that can be: TrueType outlines with Latin and Chinese characters. Else
the pages use STSong-Light, which readers of PDF bring along for Chinese; the text is the same.

    find_font ── once, at start ──> Path ── in a process of its own ──> register_font ──> Style
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Table, TableStyle

from server.errors import MalformedSetting
from server.paper_text import plain

# Debian's fonts-wqy-microhei and fonts-wqy-zenhei. Noto CJK has CFF outlines, which reportlab cannot embed.
KNOWN_FONTS = (
    Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
    Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"),
)
FALLBACK_FONT = "STSong-Light"
LACKING = "□"
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN - 12  # points; platypus keeps six on each side of its own
NAMES_WIDTH = 34 * mm
INK, SOFT, LINE, SEAL = HexColor("#1b1d21"), HexColor("#4a4e57"), HexColor("#d9d5cb"), HexColor("#b03225")

PdfLanguage = Literal["zh", "en"]
PDF_LANGUAGES: tuple[PdfLanguage, ...] = ("en", "zh")

_TRUETYPE = (b"\x00\x01\x00\x00", b"true")  # OpenType 1.9, "Table directory": with TrueType outlines
_COLLECTION = b"ttcf"
_NEEDED = "A1签收"  # a font for both languages has all of these


def find_font(chosen: Path | None) -> Path | None:
    """The font to embed: the operator's, else the first that is known and here. None: there is none.

    Raises MalformedSetting if the chosen one cannot be embedded.
    """
    if chosen is not None:
        try:
            face = TTFont("chosen", str(chosen), subfontIndex=0).face if _is_truetype(chosen) else None
        except Exception:  # reportlab raises what it likes on a font that it cannot read
            face = None
        if face is None or any(ord(one) not in face.charToGlyph for one in _NEEDED):
            raise MalformedSetting(
                f"PROOFCALL_PDF_FONT={str(chosen)!r}: a TrueType font (.ttf, .ttc) with Latin and Chinese "
                f"characters can be embedded, fonts with CFF outlines such as Noto CJK cannot"
            )
        return chosen
    return next((path for path in KNOWN_FONTS if path.is_file() and _is_truetype(path)), None)


@dataclass(frozen=True, slots=True)
class Style:
    """Paragraphs in one font, by the name that `register_font` gave."""

    font: str

    def paragraph(
        self, text: str, *, size: float = 9.5, colour: Any = INK, before: float = 0, after: float = 3
    ) -> Paragraph:
        """Chinese may break anywhere, other scripts between words alone. What the font lacks is a box, not
        nothing: a reader sees that a character stood there.
        """
        text = self._drawable(plain(text))
        chinese = any("\u2e80" <= one <= "\uffef" for one in text)
        return Paragraph(
            escape(text).replace("\n", "<br/>"),
            ParagraphStyle(
                f"p{size}",
                fontName=self.font,
                fontSize=size,
                leading=size * 1.5,
                textColor=colour,
                alignment=TA_LEFT,
                spaceBefore=before,
                spaceAfter=after,
                wordWrap="CJK" if chinese else None,
                splitLongWords=1,
            ),
        )

    def _drawable(self, text: str) -> str:
        known = getattr(getattr(pdfmetrics.getFont(self.font), "face", None), "charToGlyph", None)
        if known is None:  # a font of the reader: what it lacks is not known here
            return text
        return "".join(one if one == "\n" or ord(one) in known else LACKING for one in text)

    def heading(self, text: str) -> Paragraph:
        return self.paragraph(text, size=12, colour=SEAL, before=6, after=3)


def new_document(file: BinaryIO, *, title: str, subject: str, language: PdfLanguage) -> SimpleDocTemplate:
    """A document that says nothing of when and where it was made: the same content gives the same bytes."""
    return SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=16 * mm,
        bottomMargin=18 * mm,
        invariant=1,
        pageCompression=1,
        lang="zh-Hans" if language == "zh" else "en",
        title=title,
        author="Proofcall",
        subject=subject,
    )


def draw_footer(canvas: Any, style: Style, text: str) -> None:
    """What the paper is, and the number of the page."""
    canvas.saveState()
    canvas.setFont(style.font, 7.5)
    canvas.setFillColor(SOFT)
    canvas.drawString(MARGIN, 10 * mm, plain(text))
    canvas.drawRightString(A4[0] - MARGIN, 10 * mm, str(canvas.getPageNumber()))
    canvas.restoreState()


def facts(style: Style, rows: Sequence[tuple[str, str | None]], *, size: float = 9.5) -> Flowable:
    """Rows of name and value; those without a value are left out."""
    table = Table(
        [
            [
                style.paragraph(name, size=size, colour=SOFT, after=0),
                style.paragraph(value, size=size, after=0),
            ]
            for name, value in rows
            if value
        ],
        colWidths=[NAMES_WIDTH, WIDTH - NAMES_WIDTH],
        spaceAfter=6,
        splitInRow=1,  # a statement may be longer than a page
    )
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ]
        )
    )
    return table


def register_font(font: Path | None) -> str:
    """A font by the name that pages know it by. A file that has gone since the start is no reason to fail."""
    if font is not None:
        name = f"paper-{font.name}"
        try:
            pdfmetrics.registerFont(TTFont(name, str(font), subfontIndex=0))
        except Exception:  # the same as in `find_font`
            return register_font(None)
        return name
    pdfmetrics.registerFont(UnicodeCIDFont(FALLBACK_FONT))
    return FALLBACK_FONT


def _is_truetype(path: Path) -> bool:
    """Whether the first font of a file has TrueType outlines."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start == _COLLECTION:
                file.seek(12)  # OpenType 1.9, "TTC header": where the first table directory lies
                (offset,) = struct.unpack(">I", file.read(4))
                file.seek(offset)
                start = file.read(4)
    except (OSError, struct.error):
        return False
    return start in _TRUETYPE
