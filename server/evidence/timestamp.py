"""Time-stamp tokens (RFC 3161): an authority outside the house saw a checkpoint when its clock said so.

    note, as the log published it ──SHA-256──▶ message imprint ─┐
                                         genTime, policy, nonce ┼─ TSTInfo ── signed (CMS) ── TimeStampToken
                                       the authority's certificate, for its root ─────────────┘

A token is kept without the response around it; the nonce was compared when it came. Certificates are checked
as of genTime: that one has expired since takes nothing from the token. Whether one was revoked is not known
here.

The libraries are loaded when a token is opened: without them all other checks can still be made.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any, NoReturn

from server.evidence.errors import IllegalTimestamp, MalformedKey, MalformedTimestamp
from server.evidence.report import CannotBeMade

MAX_TOKEN_BYTES = 65_536  # a token with its chain has 2 to 8 KiB
SHA256_OID = "2.16.840.1.101.3.4.2.1"  # RFC 5754 section 2.2
# RFC 3161 section 2.4.2: "granted (0)" and "grantedWithMods (1)" come with a token, all others without.
GRANTED = (0, 1)
_GRANTED_STATUS = b"\x30\x03\x02\x01\x00"  # PKIStatusInfo { status granted }, DER
_CHAIN_ERROR = re.compile(r'Verify error: ([^"]+)')
_SIGNATURE_ERROR = re.compile(r'library: "PKCS7 routines", [^}]*reason: "([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """What a token says. `at` to the second, rounded down; the authority's clock was then within
    `accuracy_ms` of true time by its own word, None if it gives none. `authority`: the subject of its
    certificate (RFC 4514); `policy`: the object identifier under which it was issued.
    """

    at: datetime
    authority: str
    policy: str
    accuracy_ms: int | None
    serial_number: int


def check_timestamp(token: bytes, note: bytes, roots: Sequence[bytes]) -> Timestamp:
    """What a token says, once it is found to be of `note` and of an authority under one of `roots` (PEM).

    Raises MalformedTimestamp for what is no token or whose signature does not hold, IllegalTimestamp for one
    of something else or of nobody that is trusted, MalformedKey for a root that is none, CannotBeMade where
    the libraries or all roots are missing.
    """
    if not roots:
        raise CannotBeMade("no root certificate of a time-stamping authority is given")
    library = _library()
    if len(token) > MAX_TOKEN_BYTES:
        raise MalformedTimestamp(f"a token has at most {MAX_TOKEN_BYTES} bytes")
    response = _decode(library, _encode_sequence(_GRANTED_STATUS + token))
    try:
        info = response.tst_info
        imprint = info.message_imprint
        is_of_note = (imprint.hash_algorithm.dotted_string, imprint.message) == (
            SHA256_OID,
            hashlib.sha256(note).digest(),
        )
        accuracy = info.accuracy
        timestamp = Timestamp(
            at=info.gen_time,
            authority=_signer(response),
            policy=info.policy.dotted_string,
            accuracy_ms=None
            if accuracy is None
            else 1000 * (accuracy.seconds or 0) + (accuracy.millis or 0) + bool(accuracy.micros),
            serial_number=info.serial_number,
        )
    except ValueError as error:
        raise MalformedTimestamp(f"this is no time-stamp of RFC 3161: {error}") from None
    if not is_of_note:
        raise IllegalTimestamp("the token is of other bytes than this checkpoint")
    builder = library.VerifierBuilder()
    for root in _load_roots(roots):
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(response, note)
    except library.VerificationError as error:
        _refuse(str(error))
    except ValueError as error:
        raise MalformedTimestamp(f"this is no time-stamp of RFC 3161: {error}") from None
    return timestamp


def open_response(
    response: bytes, note: bytes, *, nonce: int, roots: Sequence[bytes]
) -> tuple[bytes, Timestamp]:
    """The token of an authority's answer and what it says, once it is checked as `check_timestamp` does.

    Raises likewise; IllegalTimestamp, too, where the authority refuses or answers another request.
    """
    library = _library()
    if len(response) > MAX_TOKEN_BYTES:
        raise MalformedTimestamp(f"an answer has at most {MAX_TOKEN_BYTES} bytes")
    decoded = _decode(library, response)
    if decoded.status not in GRANTED:
        reasons = "; ".join(decoded.status_string) or f"status {decoded.status}"
        raise IllegalTimestamp(f"the authority refuses: {reasons}")
    try:
        token = bytes(decoded.time_stamp_token())
        answered_nonce = decoded.tst_info.nonce
    except ValueError as error:
        raise MalformedTimestamp(f"this is no time-stamp of RFC 3161: {error}") from None
    # RFC 3161 section 2.4.2: "The nonce field MUST be present if it was present in the TimeStampReq."
    if answered_nonce != nonce:
        raise IllegalTimestamp("the answer has another nonce than the request: it was made for another one")
    return token, check_timestamp(token, note, roots)


def parse_roots(pem: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM file, each by itself; raises MalformedKey, CannotBeMade."""
    _library()
    from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(root.public_bytes(Encoding.PEM) for root in _load_roots([pem]))


def _library() -> ModuleType:
    try:
        import rfc3161_client
    except ImportError:
        raise CannotBeMade(
            "time-stamp tokens are opened by the Python package rfc3161-client, which is not installed"
        ) from None
    return rfc3161_client


def _load_roots(roots: Sequence[bytes]) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        loaded = {root for pem in roots for root in load_pem_x509_certificates(pem)}
    except ValueError as error:
        raise MalformedKey(f"a root of a time-stamping authority is no certificate in PEM: {error}") from None
    return list(loaded)


def _decode(library: ModuleType, response: bytes) -> Any:
    try:
        return library.decode_timestamp_response(response)
    except ValueError as error:
        raise MalformedTimestamp(f"this is no time-stamp of RFC 3161: {error}") from None


def _signer(response: Any) -> str:
    """The subject of the certificate that the signature names; the signature covers that name."""
    from cryptography.x509 import load_der_x509_certificate

    signers = list(response.signed_data.signer_infos)
    if len(signers) != 1:
        # RFC 3161 section 2.4.2: "The time-stamp token MUST NOT contain any signatures other than the
        # signature of the TSA."
        raise MalformedTimestamp(f"a token has one signature, not {len(signers)}")
    try:
        wanted = (signers[0].issuer, signers[0].serial_number)
        own = [
            certificate.subject.rfc4514_string()
            for certificate in map(load_der_x509_certificate, response.signed_data.certificates)
            if (certificate.issuer, certificate.serial_number) == wanted
        ]
    except Exception as error:  # ValueError, TypeError, KeyError, InvalidVersion: by which byte is damaged
        raise MalformedTimestamp(f"a name or certificate in the token is none: {error}") from None
    if len(own) != 1:  # a second one of that number could lend its name to the first one's signature
        raise IllegalTimestamp("the token does not carry the certificate of the authority that signed it")
    return own[0]


def _refuse(reason: str) -> NoReturn:
    """The library's sentence, without what only OpenSSL's authors can read."""
    if (chain := _CHAIN_ERROR.search(reason)) is not None:
        raise IllegalTimestamp(f"no trusted root vouches for the authority: {chain[1]}")
    if (signature := _SIGNATURE_ERROR.search(reason)) is not None:
        raise MalformedTimestamp(f"the signature of the token does not hold: {signature[1]}")
    raise IllegalTimestamp(f"the authority's certificate is not one for time-stamps: {reason[:200]}")


def _encode_sequence(content: bytes) -> bytes:
    """A DER SEQUENCE (X.690 section 8.1.3: lengths up to 127 in one byte, others with their own length)."""
    length = len(content)
    if length < 0x80:
        return bytes((0x30, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((0x30, 0x80 | len(size))) + size + content
