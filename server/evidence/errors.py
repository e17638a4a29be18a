"""Errors of the evidence log. Each has a stable `code` for programs and a sentence for people.

EvidenceError
├── MalformedJson         bytes that are not canonical JSON, or a value that canonical JSON cannot hold
├── MalformedEntry        an envelope, a body or a salt that is not one
├── MalformedProof        an inclusion or consistency proof that does not lead to the root
├── MalformedTile         a path that names no tile, or a bundle of entries that is not one
├── MalformedKey          a verifier key that is not one
├── MalformedCheckpoint   a signed note that is not one, or that the key did not sign
├── MalformedPackage      a file that is not a package
└── MalformedVoucher      a file that is not a voucher
"""

from typing import ClassVar


class EvidenceError(Exception):
    """Evidence that does not hold; the sentence says what is wrong with it."""

    code: ClassVar[str] = "evidence_error"


class MalformedJson(EvidenceError):
    code = "malformed_json"


class MalformedEntry(EvidenceError):
    code = "malformed_entry"


class MalformedProof(EvidenceError):
    code = "malformed_proof"


class MalformedTile(EvidenceError):
    code = "malformed_tile"


class MalformedKey(EvidenceError):
    code = "malformed_key"


class MalformedCheckpoint(EvidenceError):
    code = "malformed_checkpoint"


class MalformedPackage(EvidenceError):
    code = "malformed_package"


class MalformedVoucher(EvidenceError):
    code = "malformed_voucher"
