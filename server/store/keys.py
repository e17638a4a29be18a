"""Keys, and the files that hold them, readable by their owner alone.

    log.key      signs checkpoints: Ed25519, PKCS #8 PEM (RFC 8410)
    wrap.key     wraps the keys of the cases: 32 bytes. Without it no body and no blob can be read again
    token.key    signs access tokens: 32 bytes

The key that wraps is behind `KeyWrapper`, so that it may lie in another house. What wraps in this process:

    ┌──────────────┬─────────────────────────┬──────────┐
    │ nonce 12     │ encrypted: case key 32  │ tag 16   │     AES-256-GCM, associated data: the case id
    └──────────────┴─────────────────────────┴──────────┘
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from server.evidence.signer import Ed25519Signer
from server.store.errors import IllegalOpen, MalformedSeal
from server.store.sealing import NONCE_SIZE_BYTES

OWNER_ONLY = 0o600
SECRET_SIZE_BYTES = 32  # as long as the hash of HS256 (RFC 7518 section 3.2), and a key of AES-256
KEY_ID_SIZE_BYTES = 8  # tells keys of one operator apart, and says nothing of them


class KeyWrapper(Protocol):
    """Encrypts keys with one key-encryption key, each bound to a context. May block."""

    @property
    def key_id(self) -> str:
        """Names the key-encryption key; stored beside what it wrapped."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """The key, to be stored anywhere."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key again; raises MalformedSeal unless this wrapper wrapped it for this context."""


class AesKeyWrapper:
    """A wrapper whose key is in the memory of this process."""

    def __init__(self, key: bytes, token_bytes: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._token_bytes = token_bytes
        info = b"proofcall wrap key id 1"
        derived = HKDF(algorithm=SHA256(), length=KEY_ID_SIZE_BYTES, salt=None, info=info).derive(key)
        self._key_id = derived.hex()

    @property
    def key_id(self) -> str:
        return self._key_id

    def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = self._token_bytes(NONCE_SIZE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:NONCE_SIZE_BYTES], wrapped[NONCE_SIZE_BYTES:], context)
        except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
            raise MalformedSeal("the wrapped key does not open with the key that wraps") from None


def create_signer(path: Path, seed: bytes) -> Ed25519Signer:
    """Make a key of 32 random bytes and write it durably; an existing file is never overwritten."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    write_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Ed25519Signer(key)


def load_or_create_secret(path: Path, token_bytes: Callable[[int], bytes]) -> bytes:
    """The 32 random bytes of a file, made if absent; raises IllegalOpen if others may read it."""
    if not path.exists():
        write_once(path, token_bytes(SECRET_SIZE_BYTES))
    return load_secret(path)


def load_secret(path: Path) -> bytes:
    """The 32 bytes of a file; raises IllegalOpen if others may read it, or if it holds anything else."""
    check_mode(path)
    secret = path.read_bytes()
    if len(secret) != SECRET_SIZE_BYTES:
        raise IllegalOpen(f"{path} holds {len(secret)} bytes, not the {SECRET_SIZE_BYTES} of a key")
    return secret


def write_once(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, durably and never over another."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)  # left over from a crash, and never used
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.hardlink_to(temporary)  # unlike a rename, this fails if the file exists
    temporary.unlink()
    sync_folder(path.parent)


def load_signer(path: Path) -> Ed25519Signer:
    """Read a key file; raises IllegalOpen if others may read it, or if it holds no Ed25519 key."""
    check_mode(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise IllegalOpen(f"{path} holds no key: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise IllegalOpen(f"{path} holds a key that is not Ed25519")
    return Ed25519Signer(key)


def check_mode(path: Path) -> None:
    """Raise IllegalOpen if others than the owner may read a file."""
    if path.stat().st_mode & 0o077:
        raise IllegalOpen(f"{path} may be read by others: its mode must be 0600")


def sync_folder(path: Path) -> None:
    """Make names that were added to a folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
