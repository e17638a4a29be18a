"""What is said between the log and a witness: C2SP tlog-witness, `POST <submission prefix>/add-checkpoint`.

old 41                                       how far the witness has cosigned, as the log believes
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=     the consistency proof from there, a hash a line
                                             an empty line
proofcall.local/log                          the checkpoint as the log signed it
57
…

200  the lines of its cosignatures           409  how far it has cosigned really, "41\\n"
422  the proof does not lead there           403, 404  a log that it does not know
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.evidence.cosignature import split_cosignatures
from server.evidence.errors import EvidenceError

MAX_PROOF_LINES = 63  # "The client MUST NOT send more than 63 consistency proof lines."
MAX_ANSWER_BYTES = 65_536  # hundreds of cosignatures
MAX_REASON_CHARACTERS = 200  # of what a witness says beside its status
SIZE_TYPE = "text/x.tlog.size"

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """200: lines of cosignatures, none of them looked at as yet."""

    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """409: the witness has cosigned a log of this size, not the one that the request named."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconsistent:
    """422: this checkpoint does not continue the one that the witness cosigned."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The witness does not want this log or this request."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No answer, or none that the protocol knows."""

    error: str


Answer = Signed | Conflict | Inconsistent | Refused | Failed


def encode_request(old_size: int, hashes: Sequence[bytes], note: str) -> bytes:
    """The body of add-checkpoint. A proof of ours has 63 hashes at most in a log of less than 2^53 leaves."""
    lines = [f"old {old_size}\n", *(base64.b64encode(one).decode() + "\n" for one in hashes), "\n", note]
    return "".join(lines).encode()


def parse_answer(status: int, media_type: str, body: bytes) -> Answer:
    """What a witness has answered. Never raises: what is not of the protocol is Failed."""
    if len(body) > MAX_ANSWER_BYTES:
        return Failed(error=f"answered {status} with more than {MAX_ANSWER_BYTES} bytes")
    reason = "".join(one if one.isprintable() else " " for one in body.decode(errors="replace"))
    reason = reason[:MAX_REASON_CHARACTERS].strip()
    match status:
        case 200:
            try:
                return Signed(lines=tuple(split_cosignatures(body)))
            except EvidenceError as error:
                return Failed(error=f"answered 200 with no cosignatures: {error}")
        case 409:
            size = _SIZE.fullmatch(body)
            if size is None or media_type != SIZE_TYPE:
                return Failed(error=f"answered 409 without the size that it has cosigned: {reason}")
            return Conflict(size=int(size[1]))
        case 422:
            return Inconsistent(reason=reason)
        case _ if 400 <= status < 500 and status not in (408, 429):
            return Refused(status=status, reason=reason)
        case _:
            return Failed(error=f"answered {status}: {reason}")
