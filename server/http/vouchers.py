"""Vouchers: the address for people of the case, and what stands behind it for whoever holds it."""

import hashlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from server.cases import Case
from server.errors import MalformedRequest, UnknownVoucher
from server.http.operations import ANYONE, INTEGRATOR, STAFF, Incoming, operation
from server.models import Voucher
from server.pdf_sheet import PdfLanguage
from server.vouchers import Opened
from signaling.commands import RecordRead

LANGUAGES = ("zh", "en")


async def show_voucher(incoming: Incoming) -> Voucher:
    """Where the voucher of the confirmed receipt is; that its bodies are given away is an entry."""
    service, principal = incoming.service, incoming.principal
    case = await service.cases.get(incoming.case_id)
    addresses = await service.vouchers.addresses(case)
    handed_over = case.state.delivery.handed_over
    assert handed_over is not None  # or there were no voucher
    for number in (handed_over.number, addresses.number):
        read = RecordRead(
            after=number - 1, up_to=number, live=False, authenticated_by=principal.authenticated_by
        )
        await service.custody.record(case, principal, read)
    return addresses


async def get_voucher(incoming: Incoming) -> web.Response:
    """The voucher, a document that proves itself; the address is the credential"""
    case = await _opened(incoming, "json")
    data = await incoming.service.vouchers.document(case)

    async def there() -> bytes:
        return data

    # What is made again may have other bytes: a copy is good as long as its hash is.
    return await _answer(
        incoming,
        hashlib.sha256(data).hexdigest(),
        there,
        "application/json",
        f'attachment; filename="proofcall-voucher-{case.case_id}.json"',
    )


async def get_voucher_pdf(incoming: Incoming) -> web.Response:
    """The voucher on paper, in `language`, with the document attached; the address is the credential"""
    language = incoming.request.query.get("language", "zh")
    if language not in LANGUAGES:
        raise MalformedRequest("language is zh or en")
    chosen: PdfLanguage = "zh" if language == "zh" else "en"
    case, vouchers = await _opened(incoming, "pdf"), incoming.service.vouchers
    return await _answer(
        incoming,
        await vouchers.pdf_name(case, chosen),
        lambda: vouchers.pdf(case, chosen),
        "application/pdf",
        f'inline; filename="proofcall-voucher-{case.case_id}-{language}.pdf"',
    )


async def get_voucher_qr(incoming: Incoming) -> web.Response:
    """The QR code of the voucher's page; the address is the credential"""
    case, vouchers = await _opened(incoming, "qr"), incoming.service.vouchers
    name = await vouchers.qr_name(case)
    return await _answer(incoming, name, lambda: vouchers.qr(case), "image/svg+xml", "inline")


async def _opened(incoming: Incoming, what: Opened) -> Case:
    service = incoming.service
    token = service.tokens.read_voucher(incoming.request.match_info["token"], now_at=service.utc_now())
    case = await service.cases.get(token.case_id)
    if service.vouchers.number_of(case) != token.number:
        raise UnknownVoucher("this case has another voucher by now")
    service.vouchers.count(what)
    return case


async def _answer(
    incoming: Incoming, tag: str, make: Callable[[], Awaitable[bytes]], media_type: str, disposition: str
) -> web.Response:
    """What `tag` stands for; whoever has it already costs no more than that."""
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition,
        "ETag": f'"{tag}"',
        "X-Content-Type-Options": "nosniff",
    }
    if incoming.request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=await make(), content_type=media_type, headers=headers)


PUBLIC = "/api/vouchers/{token}"
READERS = INTEGRATOR | STAFF | {"customer", "courier"}

OPERATIONS = (
    operation("GET", "/api/cases/{case_id}/voucher", show_voucher, READERS, gives=Voucher),
    operation("GET", PUBLIC, get_voucher, ANYONE, gives="application/json"),
    operation("GET", f"{PUBLIC}/pdf", get_voucher_pdf, ANYONE, gives="application/pdf", query=("language",)),
    operation("GET", f"{PUBLIC}/qr", get_voucher_qr, ANYONE, gives="image/svg+xml"),
)
