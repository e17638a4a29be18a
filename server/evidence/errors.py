"""Errors of the evidence log. Each has a stable `code` for programs and a sentence for people.

EvidenceError
├── MalformedJson         bytes that are not canonical JSON, or a value that canonical JSON cannot hold
├── MalformedEntry        an envelope, a body or a salt that is not one
├── MalformedProof        an inclusion proof that does not lead to the root
├── MalformedKey          a verifier key that is not one
├── MalformedCheckpoint   a signed note that is not one, or that the key did not sign
└── MalformedPackage      a file that is not a package
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


class MalformedKey(EvidenceError):
    code = "malformed_key"


class MalformedCheckpoint(EvidenceError):
    code = "malformed_checkpoint"


class MalformedPackage(EvidenceError):
    code = "malformed_package"
