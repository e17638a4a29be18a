"""Attestations: what somebody outside the house said of a checkpoint, and when.

    the log's checkpoint ──▶ a time-stamping authority ──▶ TimeStampToken (RFC 3161), DER
                         └─▶ a witness                 ──▶ a signature line (C2SP tlog-witness), UTF-8

Both are about the signed note exactly as the log published it: its text and the log's own signature line. The
message imprint of a token is SHA-256 of those bytes; a cosignature is a line to be appended to them.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AttestationKind(StrEnum):
    """What kind of word it is."""

    TIMESTAMP = "timestamp"
    COSIGNATURE = "cosignature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """One word of `source`, the name of the authority or of the witness's key, about the checkpoint of
    `tree_size` leaves.

    `data` is the TimeStampToken (not the response around it), or the signature line with its line end. `at`
    is its own time, of the clock of the source: the token's genTime, or the time in the cosignature.
    """

    tree_size: int
    kind: AttestationKind
    source: str
    data: bytes
    at: datetime
