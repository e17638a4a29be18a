"""The voucher on paper: pages for people, and in the same file the document that proves it.

The same voucher, address, language and font give the same bytes.

    page 1   waybill, QR code ── handed over ── confirmed ── what it proves ── how to check
    attached  proofcall-voucher.json, as it is: `proofcall verify` and the public page find it in the PDF
"""

import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import segno
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfdoc
from reportlab.platypus import Flowable, Spacer, Table, TableStyle

from server.evidence.checkpoint import parse_checkpoint
from server.evidence.cosignature import cosigner_of
from server.evidence.entry import encode_envelope, hash_envelope
from server.evidence.voucher import PDF_KEY, Voucher, VoucherEntry, encode_voucher
from server.paper_text import say, time_of, zone_of
from server.pdf_sheet import (
    INK,
    SOFT,
    WIDTH,
    PdfLanguage,
    Style,
    draw_footer,
    facts,
    new_document,
    register_font,
)

LAYOUT_VERSION = 1  # of the pages: another number, and all are made anew
ATTACHED_NAME = "proofcall-voucher.json"
QR_SIZE = 38 * mm  # a token of 240 characters has modules of half a millimetre: a phone reads it from paper


def render_voucher(voucher: Voucher, *, url: str, language: PdfLanguage, font: Path | None) -> bytes:
    """The PDF of a voucher, whose public address is `url`. Takes some 100 ms of CPU: not for the loop."""
    words = _WORDS[language]
    style = Style(register_font(font))
    data = encode_voucher(voucher)
    file = io.BytesIO()
    document = new_document(
        file, title=f"{words['title']} {voucher.waybill}", subject=words["title"], language=language
    )

    def first_page(canvas: Any, _: Any) -> None:
        _attach(canvas, data, words["attached"])
        later_pages(canvas, _)

    def later_pages(canvas: Any, _: Any) -> None:
        draw_footer(canvas, style, f"{words['title']} · {voucher.waybill}")

    document.build(_story(voucher, url, language, style), onFirstPage=first_page, onLaterPages=later_pages)
    return file.getvalue()


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


def _story(voucher: Voucher, url: str, language: PdfLanguage, style: Style) -> list[Flowable]:
    words = _WORDS[language]
    zone = zone_of(voucher.time_zone)
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
        (words["recorded"], time_of(handed_over.envelope.recorded_at, zone)),
        (words["claimed"], _claimed(handed_over, zone)),
    )
    return [
        head,
        style.heading(words["handed_over"]),
        facts(
            style,
            [
                (words["how"], say(handed_over.body.get("label"), language)),
                *times,
                (words["remark"], _text(handed_over.body.get("text"))),
                (words["place"], _place(handed_over.body.get("place"), words)),
                (words["photos"], _attachments(handed_over.body.get("attachments"), words)),
                (words["right"], say(handed_over.body.get("right"), language)),
            ],
        ),
        style.heading(words["confirmed"]),
        facts(
            style,
            [
                (words["recorded"], time_of(confirmed.envelope.recorded_at, zone)),
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
        facts(
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
                (words["others"], _others(voucher, words)),
                (words["key"], voucher.vkey),
                (words["address"], url),
            ],
            size=8,
        ),
    ]


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


def _claimed(entry: VoucherEntry, zone: ZoneInfo) -> str | None:
    """When the phone says that it was: None if it said nothing."""
    captured_at = entry.body.get("captured_at")
    if not isinstance(captured_at, str):
        return None
    try:
        return time_of(datetime.fromisoformat(captured_at), zone)
    except ValueError:
        return None


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


def _others(voucher: Voucher, words: Mapping[str, Any]) -> str | None:
    """Who else has signed a checkpoint with both entries, as the document says: the check tells whether."""
    lines = []
    for attested in voucher.attested or ():
        size = parse_checkpoint(attested.checkpoint).tree_size
        if size <= voucher.confirmed.proof.leaf_index:
            continue
        if attested.cosignatures:
            names = ", ".join(cosigner_of(line)[0] for line in attested.cosignatures)
            lines.append(words["witnesses"].format(names, size))
        if attested.timestamps:
            lines.append(words["timestamps"].format(len(attested.timestamps), size))
    return "\n".join(lines) or None


def _hash(entry: VoucherEntry) -> str:
    return hash_envelope(encode_envelope(entry.envelope))


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
        "others": "Signed by others, too",
        "witnesses": "{} as witnesses, over {} entries",
        "timestamps": "time stamps of authorities: {}, over {} entries",
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
        "others": "第三方签名",
        "witnesses": "见证方 {}，覆盖 {} 条记录",
        "timestamps": "时间戳机构：{} 个时间戳，覆盖 {} 条记录",
        "key": "日志公钥",
        "address": "地址",
    },
}
