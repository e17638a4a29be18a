"""Attachments over HTTP, in the form of tus 1.0.0 (tus.io): an upload goes on where it broke off.

An upload is named by the hash of its bytes; whose it is, the token says.
"""

from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from server.errors import IllegalVersion
from server.http.operations import ANYONE, PEOPLE, Incoming, operation
from server.tus import (
    ALGORITHMS,
    EXTENSIONS,
    OFFSET_OCTETS,
    VERSION,
    encode_time,
    parse_checksum,
    parse_metadata,
    parse_number,
    parse_sha256,
)
from server.uploads import Progress
from signaling.talk import MAX_ATTACHMENT_BYTES

UPLOADS = "/api/cases/{case_id}/uploads"
UPLOAD = UPLOADS + "/{sha256}"


async def describe_uploads(_: Incoming) -> web.Response:
    """What of tus is spoken here"""
    headers = {
        "Tus-Extension": EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Tus-Max-Size": str(MAX_ATTACHMENT_BYTES),
    }
    return web.Response(status=204, headers=headers)


async def create_upload(incoming: Incoming) -> web.Response:
    """Begins the upload of bytes that an entry of the caller announced, or finds it again (tus, Creation)"""
    headers = _headers(incoming)
    size_bytes = parse_number("Upload-Length", headers.get("Upload-Length"))
    sha256 = parse_sha256(parse_metadata(headers.get("Upload-Metadata")))
    case = await incoming.service.cases.get(incoming.case_id)
    progress = await incoming.service.uploads.begin(case, incoming.principal.actor, sha256, size_bytes)
    location = UPLOAD.format(case_id=case.case_id, sha256=sha256)
    return web.Response(status=201, headers={"Location": location} | _told(progress))


async def show_upload(incoming: Incoming) -> web.Response:
    """How much of an upload has come (tus, HEAD)"""
    _headers(incoming)
    case = await incoming.service.cases.get(incoming.case_id)
    progress = await incoming.service.uploads.find(case, incoming.principal.actor, _sha256(incoming))
    told = {"Upload-Length": str(progress.size_bytes), "Cache-Control": "no-store"}
    return web.Response(headers=told | _told(progress))


async def append_upload(incoming: Incoming) -> web.Response:
    """Goes on with an upload at its offset; what comes before the connection breaks is kept (tus, PATCH)"""
    headers = _headers(incoming)
    offset_bytes = parse_number("Upload-Offset", headers.get("Upload-Offset"))
    checksum = parse_checksum(headers["Upload-Checksum"]) if "Upload-Checksum" in headers else None
    case = await incoming.service.cases.get(incoming.case_id)
    try:
        progress = await incoming.service.uploads.receive(
            case,
            incoming.principal.actor,
            _sha256(incoming),
            offset_bytes=offset_bytes,
            length_bytes=incoming.request.content_length,
            chunks=_chunks(incoming.request),
            checksum=checksum,
        )
    except ConnectionError:
        return web.Response(status=400)  # whoever sent it is gone
    return web.Response(status=204, headers=_told(progress))


async def remove_upload(incoming: Incoming) -> web.Response:
    """Forgets an upload that is not finished (tus, Termination)"""
    _headers(incoming)
    case = await incoming.service.cases.get(incoming.case_id)
    await incoming.service.uploads.remove(case, incoming.principal.actor, _sha256(incoming))
    return web.Response(status=204)


async def tell_version(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer here says which tus it is, those that refuse, too."""
    resource = request.match_info.route.resource
    if resource is not None and resource.canonical in (UPLOADS, UPLOAD):
        response.headers["Tus-Resumable"] = VERSION
        response.headers["Tus-Version"] = VERSION


def _headers(incoming: Incoming) -> Mapping[str, str]:
    headers = incoming.request.headers
    # tus, Tus-Resumable: a version that the server does not speak is answered with 412.
    if headers.get("Tus-Resumable") != VERSION:
        raise IllegalVersion(f"send Tus-Resumable: {VERSION}")
    return headers


def _sha256(incoming: Incoming) -> str:
    return incoming.request.match_info["sha256"]


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except web.RequestPayloadError as error:
        raise ConnectionError("the body is broken off") from error


def _told(progress: Progress) -> dict[str, str]:
    told = {"Upload-Offset": str(progress.offset_bytes)}
    if progress.expires_at is not None:
        told["Upload-Expires"] = encode_time(progress.expires_at)
    return told


OPERATIONS = (
    operation("OPTIONS", UPLOADS, describe_uploads, ANYONE, status=204),
    operation(
        "POST",
        UPLOADS,
        create_upload,
        PEOPLE,
        status=201,
        headers=("Tus-Resumable", "Upload-Length", "Upload-Metadata"),
    ),
    operation("HEAD", UPLOAD, show_upload, PEOPLE, headers=("Tus-Resumable",)),
    operation(
        "PATCH",
        UPLOAD,
        append_upload,
        PEOPLE,
        takes=OFFSET_OCTETS,
        status=204,
        headers=("Tus-Resumable", "Upload-Offset"),
        streamed=True,
    ),
    operation("DELETE", UPLOAD, remove_upload, PEOPLE, status=204, headers=("Tus-Resumable",)),
)
