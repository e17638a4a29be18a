"""Errors of the evidence log. Each has a stable `code` for programs and a sentence for people.

EvidenceError
├── MalformedJson         bytes that are not canonical JSON, or a value that canonical JSON cannot hold
├── MalformedEntry        an envelope, a body or a salt that is not one
├── MalformedProof        an inclusion or consistency proof that does not lead to the root
├── MalformedTile         a path that names no tile, or a bundle of entries that is not one
├── MalformedKey          a verifier key, or the root of an authority, that is not one
├── MalformedCheckpoint   a signed note that is not one, or that the key did not sign
├── MalformedSignature    a signature that the key did not make
├── MalformedCosignature  a line that is no witness's word for this checkpoint
├── MalformedPolicy       a text that is no tlog-policy
├── IllegalQuorum         not the witnesses that the policy asks for
├── MalformedPackage      a file that is not a package
├── MalformedTrust        a file that does not say whom to trust
├── MalformedVoucher      a file that is not a voucher
├── MalformedTimestamp    bytes that are no time-stamp token, or one whose signature does not hold
├── IllegalTimestamp      a token of something else, or of an authority that nobody trusts
└── MalformedCredential   a picture whose content credentials do not hold against the log
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


class MalformedCosignature(EvidenceError):
    code = "malformed_cosignature"


class MalformedPolicy(EvidenceError):
    code = "malformed_policy"


class IllegalQuorum(EvidenceError):
    code = "illegal_quorum"


class MalformedSignature(EvidenceError):
    code = "malformed_signature"


class MalformedTrust(EvidenceError):
    code = "malformed_trust"


class MalformedPackage(EvidenceError):
    code = "malformed_package"


class MalformedVoucher(EvidenceError):
    code = "malformed_voucher"


class MalformedTimestamp(EvidenceError):
    code = "malformed_timestamp"


class IllegalTimestamp(EvidenceError):
    code = "illegal_timestamp"


class MalformedCredential(EvidenceError):
    code = "malformed_credential"
