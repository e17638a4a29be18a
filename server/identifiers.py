"""New identities: a letter for the kind, then 100 random bits in base32, which nobody guesses or misreads."""

import secrets

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 section 6, in lower case
LENGTH = 20  # 5 bits each


def new_id(prefix: str) -> str:
    """`prefix` and 20 characters, for example `c_` for a case."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
