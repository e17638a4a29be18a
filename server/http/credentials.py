"""Pictures with content credentials (C2PA), and the certificates that readers of them need."""

import hashlib

from aiohttp import web

from server.credentials import MEDIA_TYPE
from server.http.operations import ANYONE, INTEGRATOR, PEOPLE, Incoming, operation
from server.stored import find_blob
from signaling.commands import RecordView

PEM = "application/pem-certificate-chain"  # RFC 8555 section 9.1


async def get_copy(incoming: Incoming) -> web.Response:
    """A copy of a sealed frame, or of what is shown of a photo, with content credentials (C2PA)"""
    service, principal = incoming.service, incoming.principal
    case = await service.cases.get(incoming.case_id)
    sha256 = incoming.request.match_info["sha256"]
    stored = await find_blob(service.log, case, sha256, principal.actor.role)
    copy = await service.credentials.copy(case, stored, now_at=service.utc_now())
    view = RecordView(number=stored.number, original=False, authenticated_by=principal.authenticated_by)
    await service.custody.record(case, principal, view)
    name = f"proofcall-{case.case_id}-{stored.number}.jpg"
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{name}"',
        # What is made again has other bytes: a copy is good as long as its hash is.
        "ETag": f'"{hashlib.sha256(copy).hexdigest()}"',
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=copy, content_type=MEDIA_TYPE, headers=headers)


async def show_certificates(incoming: Incoming) -> web.Response:
    """The certificates of content credentials, PEM; the last is what readers of them have to trust"""
    return web.Response(text=incoming.service.credentials.certificates, content_type=PEM)


OPERATIONS = (
    operation(
        "GET",
        "/api/cases/{case_id}/blobs/{sha256}/credentials",
        get_copy,
        INTEGRATOR | PEOPLE,
        gives=MEDIA_TYPE,
    ),
    operation("GET", "/api/credentials/certificates", show_certificates, ANYONE, gives=PEM),
)
