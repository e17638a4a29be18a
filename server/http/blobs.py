"""The bytes that entries name: pictures of calls, and what people attached."""

from aiohttp import web

from server.http.operations import INTEGRATOR, PEOPLE, Incoming, operation
from server.stored import find_blob
from signaling.commands import RecordView


async def get_blob(incoming: Incoming) -> web.Response:
    """The bytes that an entry of this case names; the first look of each person is an entry itself."""
    service, principal = incoming.service, incoming.principal
    case = await service.cases.get(incoming.case_id)
    sha256 = incoming.request.match_info["sha256"]
    stored = await find_blob(service.log, case, sha256, principal.actor.role)
    data = await service.blobs.get(case.case_id, stored.blob.sha256)
    view = RecordView(
        number=stored.number,
        original=stored.is_original,
        authenticated_by=principal.authenticated_by,
    )
    await service.custody.record(case, principal, view)
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{stored.blob.sha256}"',
        # The type is what was found in the bytes, and nobody is to find another one.
        "X-Content-Type-Options": "nosniff",
    }
    if stored.is_original:
        headers["Content-Disposition"] = "attachment"
    return web.Response(body=data, content_type=stored.blob.media_type, headers=headers)


OPERATIONS = (
    operation(
        "GET",
        "/api/cases/{case_id}/blobs/{sha256}",
        get_blob,
        INTEGRATOR | PEOPLE,
        gives="application/octet-stream",
    ),
)
