"""Every error that reaches an edge, as one JSON shape; what nobody foresaw is logged and says nothing more.

The one table from error classes to HTTP statuses: the first row that fits counts.
"""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from media.errors import CredentialsFailed, IllegalMedia, MalformedMedia, PlaybackFailed, UnknownMedia
from server.errors import ServerError
from server.evidence.errors import MalformedPackage, MalformedTile
from server.models import Failure
from server.store.errors import ErasedCase, FailedAppend, OverloadedLog, UnknownBlob, UnknownTile
from signaling.errors import (
    IllegalCommand,
    IllegalForRole,
    MalformedEntry,
    MalformedMessage,
    UnknownEntry,
    UnknownFrame,
    UnknownParticipant,
    UnknownRecording,
    UnknownWord,
)

STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (MalformedMedia, 400),
    (IllegalMedia, 409),
    (UnknownMedia, 404),
    (CredentialsFailed, 503),
    (PlaybackFailed, 503),
    (MalformedMessage, 400),
    (MalformedEntry, 400),
    (IllegalForRole, 403),
    (IllegalCommand, 409),
    (UnknownParticipant, 404),
    (UnknownFrame, 404),
    (UnknownRecording, 404),
    (UnknownEntry, 404),
    (UnknownWord, 400),
    (UnknownBlob, 404),
    (ErasedCase, 410),
    (MalformedPackage, 409),  # the case has grown too large for one
    (MalformedTile, 400),
    (UnknownTile, 404),
    (OverloadedLog, 503),
    (FailedAppend, 503),
)

logger = logging.getLogger(__name__)


def status_of(error: Exception) -> int:
    """The HTTP status that an error means."""
    if isinstance(error, ServerError):
        return error.status
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a route raises into `{"error": {"code", "message"}}`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        answer = _failure(error.status, "http_error", error.reason)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception as error:
        status = status_of(error)
        if status == 500:
            logger.exception("%s %s failed", request.method, request.match_info.route.name or request.path)
            return _failure(500, "internal", "the service failed; its operator finds the reason in its log")
        return _failure(status, getattr(error, "code", "error"), str(error))


def _failure(status: int, code: str, message: str) -> web.Response:
    failure = Failure(error=Failure.Reason(code=code, message=message))
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return web.Response(
        status=status, text=failure.model_dump_json(), content_type="application/json", headers=headers
    )
