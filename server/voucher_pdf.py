"""The voucher on paper: pages for people, and in the same file the document that proves it.

The same voucher, address, language and font give the same bytes. The font is embedded where there is one that
can be: TrueType outlines with Latin and Chinese characters. Without one the pages use STSong-Light, which
readers of PDF bring along for Chinese; the text is the same.

    page 1   waybill, QR code ── handed over ── confirmed ── what it proves ── how to check
    attached  proofcall-voucher.json, as it is: `proofcall verify` and the public page find it in the PDF
"""

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import segno
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfdoc, pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from server.errors import MalformedSetting
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.entry import encode_envelope, hash_envelope
from server.evidence.voucher import PDF_KEY, Voucher, VoucherEntry, encode_voucher

LAYOUT_VERSION = 1  # of the pages: another number, and all are made anew
ATTACHED_NAME = "proofcall-voucher.json"
# Debian's fonts-wqy-microhei and fonts-wqy-zenhei. Noto CJK has CFF outlines, which reportlab cannot embed.
KNOWN_FONTS = (
    Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
    Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"),
)
FALLBACK_FONT = "STSong-Light"
QR_SIZE = 38 * mm  # a token of 240 characters has modules of half a millimetre: a phone reads it from paper
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN - 12  # points; platypus keeps six on each side of its own
NAMES_WIDTH = 34 * mm
INK, SOFT, LINE, SEAL = HexColor("#1b1d21"), HexColor("#4a4e57"), HexColor("#d9d5cb"), HexColor("#b03225")

PdfLanguage = Literal["zh", "en"]

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


def render_voucher(voucher: Voucher, *, url: str, language: PdfLanguage, font: Path | None) -> bytes:
    """The PDF of a voucher, whose public address is `url`. Takes some 100 ms of CPU: not for the loop."""
    words = _WORDS[language]
    style = _Style(_register(font))
    data = encode_voucher(voucher)
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=16 * mm,
        bottomMargin=18 * mm,
        invariant=1,
        pageCompression=1,
        lang="zh-Hans" if language == "zh" else "en",
        title=f"{words['title']} {voucher.waybill}",
        author="Proofcall",
        subject=words["title"],
    )

    def first_page(canvas: Any, _: Any) -> None:
        _attach(canvas, data, words["attached"])
        later_pages(canvas, _)

    def later_pages(canvas: Any, _: Any) -> None:
        canvas.saveState()
        canvas.setFont(style.font, 7.5)
        canvas.setFillColor(SOFT)
        canvas.drawString(MARGIN, 10 * mm, f"{words['title']} · {_plain(voucher.waybill)}")
        canvas.drawRightString(A4[0] - MARGIN, 10 * mm, str(canvas.getPageNumber()))
        canvas.restoreState()

    document.build(_story(voucher, url, language, style), onFirstPage=first_page, onLaterPages=later_pages)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class _Style:
    font: str

    def paragraph(
        self, text: str, *, size: float = 9.5, colour: Any = INK, before: float = 0, after: float = 3
    ) -> Paragraph:
        """Chinese may break anywhere, other scripts between words alone."""
        text = _plain(text)
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

    def heading(self, text: str) -> Paragraph:
        return self.paragraph(text, size=12, colour=SEAL, before=6, after=3)


class _QrCode(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A QR code as filled squares: sharp at every size, and no picture to decode."""

    def __init__(self, text: str, size: float) -> None:
        super().__init__()
        self.width = self.height = size
        self._matrix = [bytes(row) for row in segno.make(text, error="m", micro=False).matrix]

    def draw(self) -> None:
        canvas: Any = self.canv
        quiet = 4  # ISO/IEC 18004 section 5.3.8: modules of white around it
        module = self.width / (len(self._matrix) + 2 * quiet)
        canvas.setFillColor(INK)
        path = canvas.beginPath()
        for row, modules in enumerate(self._matrix):
            for column, dark in enumerate(modules):
                if dark:
                    path.rect(
                        (column + quiet) * module, self.height - (row + quiet + 1) * module, module, module
                    )
        canvas.drawPath(path, stroke=0, fill=1)


class _AttachedFile(pdfdoc.PDFStream):  # type: ignore[misc]  # reportlab has no types
    """A stream that no filter changes. The line end before `endstream` (ISO 32000-1 section 7.3.8.1) is no
    part of it.
    """

    def format(self, document: Any) -> bytes:
        dictionary = pdfdoc.PDFDictionary(self.dictionary.dict | {"Length": len(self.content)})
        head: bytes = pdfdoc.format(dictionary, document)
        return head + b"\nstream\n" + bytes(self.content) + b"\nendstream\n"


def _story(voucher: Voucher, url: str, language: PdfLanguage, style: _Style) -> list[Flowable]:
    words = _WORDS[language]
    zone = _zone(voucher.time_zone)
    handed_over, confirmed = voucher.handed_over, voucher.confirmed
    checkpoint = parse_checkpoint(voucher.checkpoint)
    reservation = confirmed.body.get("reservation")
    head = Table(
        [
            [
                [
                    style.paragraph(words["title"], size=20, after=6),
                    style.paragraph(words["waybill"], colour=SOFT, after=0),
                    style.paragraph(voucher.waybill, size=15, after=6),
                    style.paragraph(words["scan"], size=8.5, colour=SOFT, after=0),
                ],
                _QrCode(url, QR_SIZE),
            ]
        ],
        colWidths=[WIDTH - QR_SIZE, QR_SIZE],
    )
    head.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ]
        )
    )
    times = (
        (words["recorded"], _time(handed_over.envelope.recorded_at, zone)),
        (words["claimed"], _claimed(handed_over, zone)),
    )
    return [
        head,
        style.heading(words["handed_over"]),
        _facts(
            style,
            [
                (words["how"], _say(handed_over.body.get("label"), language)),
                *times,
                (words["remark"], _text(handed_over.body.get("text"))),
                (words["place"], _place(handed_over.body.get("place"), words)),
                (words["photos"], _attachments(handed_over.body.get("attachments"), words)),
                (words["right"], _say(handed_over.body.get("right"), language)),
            ],
        ),
        style.heading(words["confirmed"]),
        _facts(
            style,
            [
                (words["recorded"], _time(confirmed.envelope.recorded_at, zone)),
                (words["claimed"], _claimed(confirmed, zone)),
                (words["statement"], _text(confirmed.body.get("statement"))),
                (
                    words["reservation"],
                    words["no_reservation"] if reservation is None else _text(reservation),
                ),
                (words["photos"], _attachments(confirmed.body.get("attachments"), words)),
            ],
        ),
        style.heading(words["proves"]),
        *[style.paragraph(f"• {line}", after=2) for line in words["proves_lines"]],
        Spacer(0, 2),
        style.paragraph(words["not_proves"], after=2),
        *[style.paragraph(f"• {line}", after=2) for line in words["not_lines"]],
        style.heading(words["check"]),
        *[style.paragraph(f"{place}. {line}", after=2) for place, line in enumerate(words["steps"], 1)],
        style.heading(words["numbers"]),
        _facts(
            style,
            [
                (words["case"], voucher.case_id),
                (words["entry"].format(handed_over.envelope.number), _hash(handed_over)),
                (words["entry"].format(confirmed.envelope.number), _hash(confirmed)),
                (
                    words["checkpoint"],
                    words["leaves"].format(checkpoint.origin, checkpoint.tree_size)
                    + f"\n{checkpoint.root_hash.hex()}",
                ),
                (words["key"], voucher.vkey),
                (words["address"], url),
            ],
            size=8,
        ),
    ]


def _facts(style: _Style, rows: Sequence[tuple[str, str | None]], *, size: float = 9.5) -> Flowable:
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


def _attach(canvas: Any, data: bytes, description: str) -> None:
    """Attaches the document (ISO 32000-1 section 7.11.4), neither compressed nor encrypted."""
    document = canvas._doc
    stream = _AttachedFile(
        pdfdoc.PDFDictionary(
            {
                "Type": pdfdoc.PDFName("EmbeddedFile"),
                PDF_KEY: 1,
                "Params": pdfdoc.PDFDictionary({"Size": len(data)}),
            }
        ),
        data,
    )
    file = document.Reference(stream)
    specification = document.Reference(
        pdfdoc.PDFDictionary(
            {
                "Type": pdfdoc.PDFName("Filespec"),
                "F": pdfdoc.PDFString(ATTACHED_NAME),
                "UF": pdfdoc.PDFString(ATTACHED_NAME),
                "Desc": pdfdoc.PDFString(description),
                "AFRelationship": pdfdoc.PDFName("Source"),
                "EF": pdfdoc.PDFDictionary({"F": file}),
            }
        )
    )
    names = pdfdoc.PDFDictionary({"Names": pdfdoc.PDFArray([pdfdoc.PDFString(ATTACHED_NAME), specification])})
    document.Catalog.Names = document.Reference(pdfdoc.PDFDictionary({"EmbeddedFiles": names}))


def _register(font: Path | None) -> str:
    """A font by the name that pages know it by. A file that has gone since the start is no reason to fail."""
    if font is not None:
        name = f"voucher-{font.name}"
        try:
            pdfmetrics.registerFont(TTFont(name, str(font), subfontIndex=0))
        except Exception:  # the same as in `find_font`
            return _register(None)
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


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _time(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M:%S} (UTC{offset[:3]}:{offset[3:]}, {zone.key})"


def _claimed(entry: VoucherEntry, zone: ZoneInfo) -> str | None:
    """When the phone says that it was: None if it said nothing."""
    captured_at = entry.body.get("captured_at")
    if not isinstance(captured_at, str):
        return None
    try:
        return _time(datetime.fromisoformat(captured_at), zone)
    except ValueError:
        return None


def _say(translations: object, language: str) -> str | None:
    """A sentence of the wording in this language, else in English, else in any."""
    if not isinstance(translations, Mapping) or not translations:
        return None
    for wanted in (language, "en"):
        for tag, text in translations.items():
            if str(tag).split("-")[0] == wanted:
                return str(text)
    return str(next(iter(translations.values())))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _place(value: object, words: Mapping[str, Any]) -> str | None:
    if not isinstance(value, Mapping):
        return None
    latitude, longitude = (int(value[f"{name}_e6"]) / 1e6 for name in ("latitude", "longitude"))
    return str(words["place_text"].format(latitude, longitude, value["accuracy_m"]))


def _attachments(value: object, words: Mapping[str, Any]) -> str | None:
    if not isinstance(value, list) or not value:
        return None
    return "\n".join([words["files"].format(len(value)), *(str(one["sha256"]) for one in value)])


def _hash(entry: VoucherEntry) -> str:
    return hash_envelope(encode_envelope(entry.envelope))


def _plain(text: str) -> str:
    """What may stand on paper: no control characters but line ends."""
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)


_WORDS: Mapping[str, Mapping[str, Any]] = {
    "en": {
        "title": "Receipt voucher",
        "attached": "The voucher as a document that proves itself: proofcall verify",
        "waybill": "Waybill",
        "scan": "Scan the code: the page that opens checks this voucher in your browser and shows it.",
        "handed_over": "Handed over by the courier",
        "confirmed": "Confirmed by the customer",
        "how": "How",
        "recorded": "Time at the service",
        "claimed": "Time on the phone",
        "remark": "The courier's words",
        "place": "Position",
        "place_text": "{:.6f}, {:.6f} (± {} m), as the phone gave it",
        "photos": "Photos and voice notes",
        "files": "{}, known by their SHA-256:",
        "right": "Told beforehand",
        "statement": "Read and confirmed",
        "reservation": "Reservation",
        "no_reservation": "none",
        "proves": "What this voucher proves",
        "proves_lines": (
            "Both entries stand in the service's log as they stand here, to the character, since it was "
            "signed.",
            "The confirmation came through the customer's own link, and is of this very hand-over.",
        ),
        "not_proves": "What it does not prove by itself:",
        "not_lines": (
            "That the key below is the operator's: compare it with one from elsewhere.",
            "That the server's clock was right, and who held the phone.",
            "What happened between or after the two entries: the package of the case has that.",
            "Anything on paper: pages can be imitated. The code and the attached file are what is checked.",
        ),
        "check": "How to check it",
        "steps": (
            "Scan the code, or open the address below. Compare what the page says with this paper.",
            "Or keep this PDF: the page /v of any Proofcall checks the file, also without a network.",
            "Or on a computer: proofcall verify voucher.pdf --key KEY, with a key from a source of your own.",
        ),
        "numbers": "Numbers and hashes",
        "case": "Case",
        "entry": "Entry {}, SHA-256",
        "checkpoint": "Checkpoint",
        "leaves": "{}, {} entries in all; root:",
        "key": "Key of the log",
        "address": "Address",
    },
    "zh": {
        "title": "签收凭证",
        "attached": "可自证的凭证文件，用 proofcall verify 校验",
        "waybill": "运单号",
        "scan": "扫一扫：打开的页面会在您的浏览器中校验这张凭证，并显示其内容。",
        "handed_over": "快递员交付",
        "confirmed": "客户确认",
        "how": "方式",
        "recorded": "服务器记录时间",
        "claimed": "手机时间",
        "remark": "快递员留言",
        "place": "位置",
        "place_text": "{:.6f}, {:.6f}（±{} 米），由手机提供",
        "photos": "照片与语音",
        "files": "共 {} 件，以 SHA-256 标识：",
        "right": "已告知客户",
        "statement": "客户阅读并确认",
        "reservation": "保留意见",
        "no_reservation": "无",
        "proves": "本凭证能证明",
        "proves_lines": (
            "自检查点签名之后，这两条记录在服务日志中与此处所载完全一致，一字未改。",
            "确认来自客户本人的链接，且对应的正是这一次交付。",
        ),
        "not_proves": "本凭证自身不能证明：",
        "not_lines": (
            "下方公钥确属运营方：请与其他来源的公钥比对。",
            "服务器时钟准确，以及手机当时由谁持有。",
            "两条记录之间或之后发生的事：这些在案件的证据包中。",
            "纸面内容本身：纸张可以仿制，校验的是二维码与随附文件。",
        ),
        "check": "如何校验",
        "steps": (
            "扫描二维码或打开下方地址，将页面所示与本纸核对。",
            "或保存本 PDF：任一 Proofcall 的 /v 页面均可校验该文件，断网亦可。",
            "或在电脑上运行 proofcall verify voucher.pdf --key KEY，公钥请从您自己的来源取得。",
        ),
        "numbers": "编号与哈希",
        "case": "案件",
        "entry": "第 {} 条，SHA-256",
        "checkpoint": "检查点",
        "leaves": "{}，共 {} 条记录；根哈希：",
        "key": "日志公钥",
        "address": "地址",
    },
}
