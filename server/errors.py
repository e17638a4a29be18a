"""The error tree of `server`. Each class knows its status; those of other packages stand in `http/errors.py`.

ServerError
├── MalformedSetting   a variable of the environment is wrong        (refuses to start)
├── MalformedRequest   the body, its type or a parameter is wrong
├── UnsupportedType    the Content-Type is not the one asked for
├── Unauthenticated    no token, or one that is forged, expired or revoked
├── ForbiddenAccess    a good token for something else
├── UnknownThing       names a case, link, entry or blob that is not there
│   └── UnknownVoucher       the receipt is not confirmed as yet
├── IllegalRequest     right words, wrong moment
│   ├── UnfinishedRecording  it is still being recorded
│   ├── FailedPrecondition   `If-Match` names a state that has passed
│   └── MissingPrecondition  `If-Match` is not there
└── InternalError      the service itself failed
"""


class ServerError(Exception):
    """Base: `code` for programs, the message for people, `status` for HTTP, `close_code` for WebSockets."""

    code = "server_error"
    status = 500
    close_code = 1011


class MalformedSetting(ServerError):
    """A setting of the environment is wrong: the operator's fault."""

    code = "malformed_setting"


class MalformedRequest(ServerError):
    """The request's bytes or words are wrong: the caller's fault."""

    code = "malformed_request"
    status = 400
    close_code = 4400


class UnsupportedType(MalformedRequest):
    """The body is not of the type this route takes."""

    code = "unsupported_type"
    status = 415


class Unauthenticated(ServerError):
    """No credential, or one that is forged, expired or revoked."""

    code = "unauthenticated"
    status = 401
    close_code = 4401


class RevokedLink(Unauthenticated):
    """The link was good once and has been revoked."""

    code = "revoked"
    close_code = 4410


class ForbiddenAccess(ServerError):
    """The credential is good, but not for this case or this act."""

    code = "forbidden"
    status = 403
    close_code = 4403


class UnknownThing(ServerError):
    """Names something that is not there."""

    code = "unknown"
    status = 404
    close_code = 4403


class UnknownVoucher(UnknownThing):
    """There is no voucher of this case as yet."""

    code = "no_voucher"


class IllegalRequest(ServerError):
    """Right words, wrong moment."""

    code = "illegal"
    status = 409
    close_code = 4409


class UnfinishedRecording(IllegalRequest):
    """What is recorded is not complete yet."""

    code = "unfinished_recording"


class FailedPrecondition(IllegalRequest):
    """`If-Match` names another state than the present one."""

    code = "precondition_failed"
    status = 412


class MissingPrecondition(IllegalRequest):
    """The request must say with `If-Match` which state it means to change."""

    code = "precondition_required"
    status = 428


class InternalError(ServerError):
    """The service itself failed: nobody else's fault."""

    code = "internal"
