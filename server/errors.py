"""The error tree of `server`. Each class knows its status; those of other packages stand in `http/errors.py`.

ServerError
├── MalformedSetting   a variable of the environment is wrong        (refuses to start)
├── MalformedRequest   the body, its type or a parameter is wrong
│   ├── MalformedTarget    a webhook's URL is none that can be called
│   ├── ForbiddenTarget    a webhook's URL leads where none may lead
│   └── UnknownKind        no entry is of such a kind
├── UnsupportedType    the Content-Type is not the one asked for
├── MalformedUpload    a header of an upload is wrong
│   ├── MalformedLength      more or fewer bytes than were announced
│   └── MalformedPiece       the bytes that came are not those that the checksum is of
├── Unauthenticated    no token, or one that is forged, expired, revoked or erased with its case
├── ForbiddenAccess    a good token for something else
├── UnknownThing       names a case, link, entry or blob that is not there
│   ├── UnknownVoucher       the receipt is not confirmed as yet
│   └── ErasedVoucher        what it would tell was erased
├── IllegalRequest     right words, wrong moment
│   ├── DisabledWebhook      its receiver has said that it is gone
│   ├── TooManyWebhooks      there are as many as there may be
│   ├── UnfinishedRecording  it is still being recorded
│   ├── ErasedMeanwhile      what was being sent held what is to be erased
│   ├── IllegalAttachment    these bytes were never announced, or were refused
│   ├── IllegalOffset        an upload goes on where it ended, nowhere else
│   ├── IllegalTakenOver     a newer request has taken the upload over
│   ├── IllegalPause         nothing came for too long
│   ├── IllegalCrowd         too many uploads of one person at once
│   ├── IllegalVersion       another version of tus
│   ├── FailedPrecondition   `If-Match` names a state that has passed
│   └── MissingPrecondition  `If-Match` is not there
├── FailedStorage      the disk refused; try again later
├── ExpiredCertificate the operator's certificate for pictures is no longer good
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


class MalformedTarget(MalformedRequest):
    """A webhook's URL is none that can be called."""

    code = "malformed_url"


class ForbiddenTarget(MalformedRequest):
    """A webhook's URL leads, or leads now, where no webhook may lead."""

    code = "forbidden_url"


class UnknownKind(MalformedRequest):
    """No entry is of such a kind."""

    code = "unknown_kind"


class UnsupportedType(MalformedRequest):
    """The body is not of the type this route takes."""

    code = "unsupported_type"
    status = 415


class MalformedUpload(MalformedRequest):
    """A header of an upload is wrong."""

    code = "malformed_upload"


class MalformedLength(MalformedUpload):
    """The bytes are more or fewer than were announced."""

    code = "wrong_length"
    status = 413


class MalformedPiece(MalformedUpload):
    """The checksum is of other bytes than those that came."""

    code = "checksum_mismatch"
    status = 460  # tus, Checksum


class Unauthenticated(ServerError):
    """No credential, or one that is forged, expired or revoked."""

    code = "unauthenticated"
    status = 401
    close_code = 4401


class RevokedLink(Unauthenticated):
    """The link was good once and has been revoked."""

    code = "revoked"
    close_code = 4410


class ErasedLink(Unauthenticated):
    """The link was good once, and was erased with its case."""

    code = "erased"
    status = 410
    close_code = 4414


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


class ErasedVoucher(UnknownThing):
    """The case was erased; a copy of the voucher that somebody kept proves what it proved."""

    code = "erased"
    status = 410


class IllegalRequest(ServerError):
    """Right words, wrong moment."""

    code = "illegal"
    status = 409
    close_code = 4409


class DisabledWebhook(IllegalRequest):
    """The receiver has answered 410: nothing is sent to it before somebody opens it again."""

    code = "webhook_disabled"


class TooManyWebhooks(IllegalRequest):
    """As many as there may be are there."""

    code = "too_many_webhooks"


class UnfinishedRecording(IllegalRequest):
    """What is recorded is not complete yet."""

    code = "unfinished_recording"


class ErasedMeanwhile(IllegalRequest):
    """Something of the case was erased while it was on its way to whoever asked."""

    code = "erased_meanwhile"


class IllegalAttachment(IllegalRequest):
    """This person has announced no such bytes: an entry must name them first."""

    code = "unknown_attachment"


class IllegalOffset(IllegalRequest):
    """The upload is not there where the request goes on."""

    code = "wrong_offset"


class IllegalTakenOver(IllegalRequest):
    """A newer request for the same upload has taken it over."""

    code = "taken_over"


class IllegalPause(IllegalRequest):
    """The body of the request stopped coming."""

    code = "too_slow"
    status = 408


class IllegalCrowd(IllegalRequest):
    """Too much of one person is under way."""

    code = "too_many_uploads"
    status = 429


class IllegalVersion(IllegalRequest):
    """The client speaks another version of the protocol."""

    code = "unsupported_version"
    status = 412


class FailedPrecondition(IllegalRequest):
    """`If-Match` names another state than the present one."""

    code = "precondition_failed"
    status = 412


class MissingPrecondition(IllegalRequest):
    """The request must say with `If-Match` which state it means to change."""

    code = "precondition_required"
    status = 428


class FailedStorage(ServerError):
    """The disk refused: nobody's fault who asked."""

    code = "not_stored"
    status = 507
    close_code = 1011


class ExpiredCertificate(ServerError):
    """The operator's certificate for content credentials is no longer good."""

    code = "expired_certificate"
    status = 503


class InternalError(ServerError):
    """The service itself failed: nobody else's fault."""

    code = "internal"
