"""The voucher over HTTP: who gets its address, what the address opens, and that its bytes stay the same."""

import asyncio
import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest

from server import vouchers
from server.errors import MalformedSetting
from server.evidence.verify import read_other, verify_package
from server.evidence.verify_voucher import verify_voucher
from server.evidence.voucher import find_voucher, parse_voucher
from server.http.integrator import CASE
from server.pdf_sheet import FALLBACK_FONT, KNOWN_FONTS, PdfLanguage, find_font
from server.tokens import VoucherToken
from server.voucher_pdf import render_voucher
from tests.conftest import API_KEY, Caller, calling
from tests.qr_code import read_qr_code
from tests.server.evidence.attested_vouchers import attested, attested_voucher
from tests.server.evidence.sample_voucher import CONFIRMED, sample_voucher, voucher_drafts
from tests.server.receipt import STATEMENT, Receipt, confirm_receipt, hand_over

LANGUAGES: tuple[PdfLanguage, ...] = ("zh", "en")
NOTO = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
POPPLER = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="Debian: apt-get install poppler-utils"
)
EMBEDDABLE = pytest.mark.skipif(find_font(None) is None, reason="Debian: apt-get install fonts-wqy-microhei")


async def addresses(caller: Caller, receipt: Receipt, bearer: str = API_KEY) -> dict[str, Any]:
    status, found = await caller.call("GET", f"/api/cases/{receipt.case_id}/voucher", bearer=bearer)
    assert status == 200, found
    return dict(found)


async def fetch(caller: Caller, url: str) -> bytes:
    """The bytes behind a public address, without any credential."""
    async with caller.http.get(caller.url + url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


def token_of(found: dict[str, Any]) -> str:
    return str(urlsplit(found["url"]).fragment)


async def test_a_confirmed_receipt_has_a_voucher_that_holds(caller: Caller) -> None:
    receipt = await confirm_receipt(caller, reservation="左下角有划痕", time_zone="Europe/Berlin")
    found = await addresses(caller, receipt)
    assert found["number"] == receipt.confirmed
    data = await fetch(caller, found["json_url"])
    report = verify_voucher(data, vkey=caller.service.log.vkey)
    assert report.passed, report
    voucher = parse_voucher(data)
    assert (voucher.waybill, voucher.case_id, voucher.time_zone) == (
        "SF1000000001",
        receipt.case_id,
        "Europe/Berlin",
    )
    assert voucher.handed_over.envelope.number == receipt.handed_over
    assert voucher.confirmed.envelope.number == receipt.confirmed
    assert voucher.confirmed.body["statement"] == STATEMENT
    assert voucher.confirmed.body["reservation"] == "左下角有划痕"


async def test_before_the_receipt_is_confirmed_there_is_none_and_a_sentence_says_so(caller: Caller) -> None:
    case_id = await caller.open_case()
    links = {role: await caller.link(case_id, role, role) for role in ("customer", "courier")}
    for _ in range(2):
        for bearer in (API_KEY, links["customer"]["token"]):
            status, body = await caller.call("GET", f"/api/cases/{case_id}/voucher", bearer=bearer)
            assert (status, body["error"]["code"]) == (404, "no_voucher")
            assert "confirmed" in body["error"]["message"]
        await hand_over(caller, case_id, links)


async def test_people_of_the_case_get_the_same_address_and_a_guest_gets_none(caller: Caller) -> None:
    receipt = await confirm_receipt(caller)
    dispatch = await caller.link(receipt.case_id, "dispatch")
    guest = await caller.link(receipt.case_id, "guest")
    tokens = [API_KEY, dispatch["token"], *[link["token"] for link in receipt.links.values()]]
    found = [await addresses(caller, receipt, bearer) for bearer in tokens]
    assert all(one == found[0] for one in found)
    status, body = await caller.call("GET", f"/api/cases/{receipt.case_id}/voucher", bearer=guest["token"])
    assert (status, body["error"]["code"]) == (403, "forbidden")


async def test_an_address_opens_its_voucher_alone_and_nothing_else(caller: Caller) -> None:
    receipt, other = await confirm_receipt(caller), await confirm_receipt(caller)
    token = token_of(await addresses(caller, receipt))
    for path in (
        "/api/cases",
        CASE.format(case_id=receipt.case_id),
        f"{CASE.format(case_id=receipt.case_id)}/entries",
        f"/api/cases/{receipt.case_id}/voucher",
        f"/api/cases/{other.case_id}/voucher",
    ):
        status, body = await caller.call("GET", path, bearer=token)
        assert (status, body["error"]["code"]) == (401, "unauthenticated"), path
    status, body = await caller.call("GET", f"/api/playback/{token}", bearer=None)
    assert status == 401
    for link in (*receipt.links.values(), {"token": "a.b.c"}, {"token": API_KEY}):
        for more in ("", "/pdf", "/qr"):
            status, body = await caller.call("GET", f"/api/vouchers/{link['token']}{more}", bearer=None)
            assert (status, body["error"]["code"]) == (401, "unauthenticated")
    tokens = caller.service.tokens
    later = caller.service.utc_now() + timedelta(days=1)
    for number in (receipt.handed_over, receipt.confirmed + 1, 0, -1):
        forged = tokens.issue_voucher(VoucherToken(case_id=receipt.case_id, number=number), expires_at=later)
        status, body = await caller.call("GET", f"/api/vouchers/{forged}", bearer=None)
        assert (status, body["error"]["code"]) == (404, "no_voucher"), number
    gone = tokens.issue_voucher(VoucherToken(case_id="c_gone", number=1), expires_at=later)
    assert (await caller.call("GET", f"/api/vouchers/{gone}", bearer=None))[0] == 404


async def test_an_address_is_good_for_ten_years_from_the_confirmation(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = await confirm_receipt(caller)
    token = token_of(await addresses(caller, receipt))
    (entry,) = await caller.service.log.entries(receipt.case_id, after=receipt.confirmed - 1, limit=1)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] == int((entry.envelope.recorded_at + timedelta(days=3653)).timestamp())
    assert claims["typ"] == "voucher"
    monkeypatch.setattr(vouchers, "ADDRESS_LIFETIME", timedelta(minutes=-1))
    status, body = await caller.call(
        "GET", f"/api/vouchers/{token_of(await addresses(caller, receipt))}", bearer=None
    )
    assert status == 401 and "ten years" in body["error"]["message"]


async def test_the_bytes_stay_the_same_while_the_log_goes_on(caller: Caller) -> None:
    receipt = await confirm_receipt(caller)
    found = await addresses(caller, receipt)
    asked = await asyncio.gather(*[fetch(caller, found["json_url"]) for _ in range(5)])
    await confirm_receipt(caller)
    assert {*asked, await fetch(caller, found["json_url"])} == {asked[0]}
    pdf = await fetch(caller, found["pdf_url"])
    assert await fetch(caller, found["pdf_url"]) == pdf
    assert find_voucher(pdf) == asked[0]


@pytest.mark.parametrize("harm", ["gone", "torn"])
async def test_a_voucher_that_is_gone_is_made_again_under_a_newer_checkpoint(
    caller: Caller, tmp_path: Path, harm: str
) -> None:
    receipt = await confirm_receipt(caller)
    found = await addresses(caller, receipt)
    first = await fetch(caller, found["json_url"])
    await confirm_receipt(caller)
    for file in (tmp_path / "data" / "derived" / receipt.case_id).iterdir():
        assert STATEMENT.encode() not in file.read_bytes(), "sealed with the key of the case"
        if harm == "gone":
            file.unlink()
        else:
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
    second = await fetch(caller, found["json_url"])
    assert await addresses(caller, receipt) == found
    one, other = parse_voucher(first), parse_voucher(second)
    assert one.checkpoint != other.checkpoint
    assert (one.confirmed.body, one.confirmed.salt) == (other.confirmed.body, other.confirmed.salt)
    assert verify_voucher(second).passed
    history = verify_voucher(second, read_other=lambda: read_other(first)).steps[10]
    assert history.outcome.value != "failed"


async def test_who_is_given_the_address_is_an_entry_and_a_look_by_the_address_is_counted(
    caller: Caller,
) -> None:
    receipt = await confirm_receipt(caller)
    qa = receipt.links["qa"]
    for _ in range(2):
        found = await addresses(caller, receipt, qa["token"])
    entries = await caller.service.log.entries(receipt.case_id, after=receipt.confirmed)
    read = [entry for entry in entries if entry.envelope.kind == "read"]
    shown = {number for one in read for number in range(one.body["after"] + 1, one.body["up_to"] + 1)}  # type: ignore[operator]
    assert {entry.envelope.actor_id for entry in read} == {qa["link_id"]}
    assert shown == {receipt.handed_over, receipt.confirmed}
    before = len(await caller.service.log.entries(receipt.case_id))
    for url in (found["json_url"], found["json_url"], found["pdf_url"], found["qr_url"]):
        await fetch(caller, url)
    assert len(await caller.service.log.entries(receipt.case_id)) == before
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    for what, count in (("json", 2), ("pdf", 1), ("qr", 1)):
        assert f'proofcall_voucher_views_total{{what="{what}"}} {count}.0'.encode() in metrics


async def test_a_copy_that_is_still_the_same_is_not_sent_again(caller: Caller) -> None:
    found = await addresses(caller, await confirm_receipt(caller))
    async with caller.http.get(caller.url + found["json_url"]) as answer:
        headers = answer.headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Disposition"].startswith("attachment;")
    async with caller.http.get(
        caller.url + found["json_url"], headers={"If-None-Match": headers["ETag"]}
    ) as answer:
        assert answer.status == 304


async def test_whoever_has_the_paper_or_the_code_makes_nobody_draw_it_again(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = await addresses(caller, await confirm_receipt(caller))
    drawn, draw = [], vouchers._draw
    monkeypatch.setattr(vouchers, "_draw", lambda url: drawn.append(url) or draw(url))  # type: ignore[func-returns-value]
    for url in (found["pdf_url"], found["qr_url"]):
        async with caller.http.get(caller.url + url) as answer:
            assert answer.status == 200
            tag, data = answer.headers["ETag"], await answer.read()
        async with caller.http.get(caller.url + url) as answer:
            assert (answer.headers["ETag"], await answer.read()) == (tag, data)
        for path in (tmp_path / "data" / "derived").rglob("voucher-*.[ps][dv][fg]"):
            path.unlink()
        async with caller.http.get(caller.url + url, headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304
        assert not list((tmp_path / "data" / "derived").rglob("voucher-*.[ps][dv][fg]"))
    assert len(drawn) == 1


async def test_a_paper_is_made_beside_the_calls_and_made_again_if_that_fails(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await addresses(caller, await confirm_receipt(caller))
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        status, answer = await caller.call("GET", found["pdf_url"], bearer=None)
        assert (status, answer["error"]["code"]) == (500, "internal")
    status, pdf = await caller.call("GET", found["pdf_url"], bearer=None)
    assert status == 200 and pdf.startswith(b"%PDF")


@POPPLER
async def test_the_code_on_the_paper_is_read_as_the_address_of_the_page(tmp_path: Path) -> None:
    async with calling(tmp_path, PROOFCALL_PUBLIC_URL="https://proofcall.example") as caller:
        receipt = await confirm_receipt(caller)
        url = (await addresses(caller, receipt))["url"]
        pdf = await caller.service.vouchers.pdf(await caller.service.cases.get(receipt.case_id), "zh")
    first = ("-f", "1", "-l", "1", "-singlefile", "-png", f"{tmp_path}/page")
    told_by("pdftoppm", pdf, tmp_path, "-r", "200", *first)
    assert read_qr_code((tmp_path / "page.png").read_bytes()) == url


async def test_only_chinese_and_english_are_printed(caller: Caller) -> None:
    found = await addresses(caller, await confirm_receipt(caller))
    status, body = await caller.call("GET", f"{found['json_url']}/pdf?language=fr", bearer=None)
    assert (status, body["error"]["code"]) == (400, "malformed_request")


async def test_a_voucher_and_the_package_of_its_case_are_of_one_history(caller: Caller) -> None:
    receipt = await confirm_receipt(caller)
    data = await fetch(caller, (await addresses(caller, receipt))["json_url"])
    _, package = await caller.call("POST", f"/api/cases/{receipt.case_id}/export")
    assert verify_package(package, against=data).steps[10].outcome.value == "passed"
    assert verify_voucher(data, read_other=lambda: read_other(package)).steps[10].outcome.value == "passed"


async def test_the_public_address_stands_before_every_address(tmp_path: Path) -> None:
    async with calling(tmp_path, PROOFCALL_PUBLIC_URL="https://proofcall.example") as caller:
        found = await addresses(caller, await confirm_receipt(caller))
        token = token_of(found)
    assert found["url"] == f"https://proofcall.example/v#{token}"
    assert found["json_url"] == f"https://proofcall.example/api/vouchers/{token}"
    assert found["qr_url"] == f"{found['json_url']}/qr"
    assert found["pdf_url"] == f"{found['json_url']}/pdf?language=zh"


# --- the pages of the PDF ---


def told_by(command: str, pdf: bytes, tmp_path: Path, *more: str) -> str:
    path = tmp_path / "voucher.pdf"
    path.write_bytes(pdf)
    done = subprocess.run([command, str(path), *more], capture_output=True, text=True, check=True)
    return done.stdout


URL = "https://proofcall.example/v#token"


@POPPLER
@EMBEDDABLE
@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("zh", ("签收凭证", "当面交给您", "箱子完好", "本凭证自身不能证明", "保留意见")),
        ("en", ("Receipt voucher", "Given to you in person", "箱子完好", "does not prove", "Reservation")),
    ],
)
def test_the_pages_say_in_each_language_what_the_voucher_says(
    language: Any, said: tuple[str, ...], tmp_path: Path
) -> None:
    voucher = sample_voucher()
    pdf = render_voucher(voucher, url=URL, language=language, font=find_font(None))
    assert pdf == render_voucher(voucher, url=URL, language=language, font=find_font(None))
    text = told_by("pdftotext", pdf, tmp_path, "-")
    for line in (*said, "SF1000000001", "我已查看外包装并收到包裹。", "2026-11-22 22:03:24 (UTC+08:00", URL):
        assert line in text, line
    fonts = told_by("pdffonts", pdf, tmp_path)
    assert "WenQuanYi" in fonts and " yes yes yes" in fonts
    assert "proofcall-voucher.json" in told_by("pdfdetach", pdf, tmp_path, "-list")
    subprocess.run(
        ["pdfdetach", "-save", "1", "-o", str(tmp_path / "out"), str(tmp_path / "voucher.pdf")], check=True
    )
    assert (tmp_path / "out").read_bytes() == find_voucher(pdf)


@POPPLER
def test_without_a_font_to_embed_the_pages_say_the_same(tmp_path: Path) -> None:
    pdf = render_voucher(sample_voucher(), url=URL, language="zh", font=None)
    assert FALLBACK_FONT in told_by("pdffonts", pdf, tmp_path)
    assert "签收凭证" in told_by("pdftotext", pdf, tmp_path, "-")
    gone = render_voucher(sample_voucher(), url=URL, language="zh", font=tmp_path / "gone.ttf")
    assert FALLBACK_FONT in told_by("pdffonts", gone, tmp_path)


@POPPLER
def test_the_paper_says_who_else_has_signed_and_nothing_of_those_who_signed_before(tmp_path: Path) -> None:
    for items, said in (
        ((), False),
        ((attested(5),), False),
        ((attested(5), attested(6, timestamps=(b"token",))), True),
    ):
        pdf = render_voucher(attested_voucher(*items), url=URL, language="en", font=None)
        text = " ".join(told_by("pdftotext", pdf, tmp_path, "-").split())
        assert ("witness.example/w1, witness.example/w2 as witnesses, over 6 entries" in text) is said
        assert ("time stamps of authorities: 1, over 6 entries" in text) is said
        assert ("over 5 entries" in text) is False


@pytest.mark.parametrize("statement", ["长" * 4000, "x" * 4000, "<b>&amp;</b> \x00\x1b\u202e 😀 %PDF\n\n"])
@pytest.mark.parametrize("font", [None, find_font(None)], ids=["not embedded", "embedded"])
def test_whatever_was_read_and_confirmed_goes_onto_the_pages(statement: str, font: Path | None) -> None:
    voucher = sample_voucher(voucher_drafts(confirmed={**CONFIRMED, "statement": statement}))
    for language in LANGUAGES:
        assert verify_voucher(render_voucher(voucher, url=URL, language=language, font=font)).passed


def test_a_font_that_cannot_be_embedded_is_refused_at_the_start(tmp_path: Path) -> None:
    letter = tmp_path / "letter.ttf"
    letter.write_text("Dear Sir or Madam")
    for path in [letter, *[noto for noto in [NOTO] if noto.is_file()]]:
        with pytest.raises(MalformedSetting, match="PROOFCALL_PDF_FONT"):
            find_font(path)
    for known in KNOWN_FONTS:
        if known.is_file():
            assert find_font(known) == known


async def test_a_voucher_is_the_customers_and_tells_nothing_that_only_the_office_may_know(
    caller: Caller,
) -> None:
    receipt = await confirm_receipt(
        caller, declared_value={"amount_minor": 899_900, "currency": "CNY"}, metadata={"goods": "phone"}
    )
    document = json.loads(await fetch(caller, (await addresses(caller, receipt))["json_url"]))
    assert "899900" not in json.dumps(document) and "phone" not in json.dumps(document)
