"""Witnesses of the tests: keys of their own, whose cosignatures another hand makes (aics-tlog)."""

import aics_tlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.checkpoint import parse_checkpoint
from server.evidence.cosignature import WitnessKey

TIME_S = 1_795_910_400  # 2026-11-29T00:00:00Z


class LocalWitness:
    """Signs whatever it is given: what a witness refuses is for the real one to show."""

    def __init__(self, name: str, seed: int) -> None:
        self._private_key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = WitnessKey(name=name, public_key=self._private_key.public_key().public_bytes_raw())

    def cosign(self, note: str, time_s: int = TIME_S) -> bytes:
        """The line to append to the note."""
        checkpoint = parse_checkpoint(note)
        _, line = aics_tlog.sign_cosignature(
            self._private_key,
            self.key.name,
            time_s,
            checkpoint.origin,
            checkpoint.tree_size,
            checkpoint.root_hash,
        )
        signed = aics_tlog.Note(text="x\n", signatures=(line,)).serialise()
        return (signed.split("\n\n")[1]).encode()


WITNESSES = tuple(LocalWitness(f"witness.example/w{number}", number) for number in (1, 2, 3))
