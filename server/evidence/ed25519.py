"""Signatures of Ed25519 (RFC 8032), checked where a library for it is installed.

The one place that knows which library: everything else that verification needs is in Python itself. Where it
is missing a check cannot be made, and says so; nothing passes for it.
"""

from server.evidence.errors import MalformedSignature
from server.evidence.report import CannotBeMade

SIGNATURE_SIZE_BYTES = 64  # RFC 8032 section 5.1.6


def check_signature(public_key: bytes, signature: bytes, data: bytes) -> None:
    """Raise MalformedSignature unless the key of these 32 bytes signed the data, or CannotBeMade."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise CannotBeMade(
            "signatures of Ed25519 are checked by the Python package cryptography, which is not installed "
            "here: install it (pip install cryptography), or follow README.txt with openssl"
        ) from None
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        raise MalformedSignature("the signature does not hold") from None
