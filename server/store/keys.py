"""Key files, readable by their owner alone: the log's Ed25519 key as PKCS #8 PEM (RFC 8410), bare secrets."""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from server.store.errors import IllegalOpen

OWNER_ONLY = 0o600
SECRET_SIZE_BYTES = 32  # as long as the hash of HS256 (RFC 7518 section 3.2)


def create_key(path: Path, seed: bytes) -> Ed25519PrivateKey:
    """Make a key of 32 random bytes and write it durably; an existing file is never overwritten."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    _write_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def load_or_create_secret(path: Path, token_bytes: Callable[[int], bytes]) -> bytes:
    """The 32 random bytes of a file, made if absent; raises IllegalOpen if others may read it."""
    if not path.exists():
        _write_once(path, token_bytes(SECRET_SIZE_BYTES))
    _check_mode(path)
    return path.read_bytes()


def _write_once(path: Path, data: bytes) -> None:
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


def load_key(path: Path) -> Ed25519PrivateKey:
    """Read a key file; raises IllegalOpen if others may read it, or if it holds no Ed25519 key."""
    _check_mode(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise IllegalOpen(f"{path} holds no key: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise IllegalOpen(f"{path} holds a key that is not Ed25519")
    return key


def _check_mode(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise IllegalOpen(f"{path} may be read by others: its mode must be 0600")


def sync_folder(path: Path) -> None:
    """Make names that were added to a folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
