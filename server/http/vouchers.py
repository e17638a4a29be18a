"""Vouchers: the address for people of the case, and what stands behind it for whoever holds it."""

import hashlib

from aiohttp import web

from server.cases import Case
from server.errors import MalformedRequest, UnknownVoucher
from server.http.operations import ANYONE, INTEGRATOR, STAFF, Incoming, operation
from server.models import Voucher
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
    return _answer(
        incoming,
        await incoming.service.vouchers.document(case),
        "application/json",
        f'attachment; filename="proofcall-voucher-{case.case_id}.json"',
    )


async def get_voucher_pdf(incoming: Incoming) -> web.Response:
    """The voucher on paper, in `language`, with the document attached; the address is the credential"""
    language = incoming.request.query.get("language", "zh")
    if language not in LANGUAGES:
        raise MalformedRequest("language is zh or en")
    case = await _opened(incoming, "pdf")
    return _answer(
        incoming,
        await incoming.service.vouchers.pdf(case, "zh" if language == "zh" else "en"),
        "application/pdf",
        f'inline; filename="proofcall-voucher-{case.case_id}-{language}.pdf"',
    )


async def get_voucher_qr(incoming: Incoming) -> web.Response:
    """The QR code of the voucher's page; the address is the credential"""
    case = await _opened(incoming, "qr")
    return _answer(incoming, await incoming.service.vouchers.qr(case), "image/svg+xml", "inline")


async def _opened(incoming: Incoming, what: Opened) -> Case:
    service = incoming.service
    token = service.tokens.read_voucher(incoming.request.match_info["token"], now_at=service.utc_now())
    case = await service.cases.get(token.case_id)
    if service.vouchers.number_of(case) != token.number:
        raise UnknownVoucher("this case has another voucher by now")
    service.vouchers.count(what)
    return case


def _answer(incoming: Incoming, data: bytes, media_type: str, disposition: str) -> web.Response:
    # What is made again may have other bytes: a copy is good as long as its hash is.
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition,
        "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
        "X-Content-Type-Options": "nosniff",
    }
    if incoming.request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, content_type=media_type, headers=headers)


PUBLIC = "/api/vouchers/{token}"
READERS = INTEGRATOR | STAFF | {"customer", "courier"}

OPERATIONS = (
    operation("GET", "/api/cases/{case_id}/voucher", show_voucher, READERS, gives=Voucher),
    operation("GET", PUBLIC, get_voucher, ANYONE, gives="application/json"),
    operation("GET", f"{PUBLIC}/pdf", get_voucher_pdf, ANYONE, gives="application/pdf", query=("language",)),
    operation("GET", f"{PUBLIC}/qr", get_voucher_qr, ANYONE, gives="image/svg+xml"),
)
