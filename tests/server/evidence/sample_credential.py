"""What a copy says of a picture in the sample log."""

import hashlib

from server.evidence.canonical import JsonValue
from server.evidence.credential import Credential
from tests.media.attachment_files import picture, plain
from tests.server.evidence.sample_case import CASE, OTHER_CASE, VKEY, SampleLog, draft, make_log

PICTURE = plain(picture(64, 48), "JPEG")


def blob_of(data: bytes) -> JsonValue:
    """A picture, as bodies name it."""
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "media_type": "image/jpeg",
    }


def picture_log(named: bytes = PICTURE) -> SampleLog:
    """Two cases; the second entry of CASE, the third of the log, names a picture."""
    return make_log(
        [
            draft("case_opened", CASE, {"waybill": "SF1"}),
            draft("case_opened", OTHER_CASE, {"waybill": "SF2"}),
            draft("noted", CASE, {"blob": blob_of(named), "note": "裂开"}),
            draft("left", OTHER_CASE, {}),
        ]
    )


def credential(named: bytes = PICTURE, of: bytes = PICTURE) -> Credential:
    """Of the entry that names one picture; about another, if asked for."""
    log = picture_log(named)
    entry = log.entries[2]
    return Credential(
        sha256=hashlib.sha256(of).hexdigest(),
        envelope=entry.envelope,
        body=entry.body,
        salt=entry.salt,
        proof=log.proofs[2],
        vkey=VKEY,
    )
