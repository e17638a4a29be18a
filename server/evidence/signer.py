"""Who signs: a key that is somewhere, and of which only its signatures and its public half come here.

The log's checkpoints go through `Signer`, so that a key may lie in a file, in a module or in another house.
No library is loaded here: verification comes by, and wants none.
"""

from typing import Protocol


class Signer(Protocol):
    """Signs with one Ed25519 key (RFC 8032)."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature. May block; an error of whatever holds the key goes through."""


class PublicKey(Protocol):
    """What a signer asks of a library's public key: `cryptography`'s has it."""

    def public_bytes_raw(self) -> bytes: ...


class PrivateKey(Protocol):
    """What a signer asks of a library's private key of Ed25519."""

    def public_key(self) -> PublicKey: ...

    def sign(self, data: bytes, /) -> bytes: ...


class Ed25519Signer:
    """A signer whose key is in the memory of this process, and never leaves this object."""

    def __init__(self, private_key: PrivateKey) -> None:
        self._private_key = private_key
        self._public_key = private_key.public_key().public_bytes_raw()

    @property
    def public_key(self) -> bytes:
        return self._public_key

    def sign(self, data: bytes) -> bytes:
        return self._private_key.sign(data)
