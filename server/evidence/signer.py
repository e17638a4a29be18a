"""Who signs: a key that is somewhere, and of which only its signatures and its public half come here.

The log's checkpoints go through `Signer`, so that a key may lie in a file, in a module or in another house.
"""

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signer(Protocol):
    """Signs with one Ed25519 key (RFC 8032)."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature. May block; an error of whatever holds the key goes through."""


class Ed25519Signer:
    """A signer whose key is in the memory of this process, and never leaves this object."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._public_key = private_key.public_key().public_bytes_raw()

    @property
    def public_key(self) -> bytes:
        return self._public_key

    def sign(self, data: bytes) -> bytes:
        return self._private_key.sign(data)
