"""The audit of what others said: every attestation is about a checkpoint that this log signed, and holds.

Read only, beside a running service: attestations first, their checkpoints after that, which were durable
before anybody was asked to attest them.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from server.evidence.attestation import Attestation, AttestationKind
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.errors import EvidenceError
from server.evidence.timestamp import check_timestamp
from server.store.attestations import read_attestations
from server.store.errors import CorruptAttestations
from server.store.schema import DAMAGE, connect_reader


def check_attestations(data_dir: Path, roots: Sequence[bytes]) -> int:
    """How many there are, once all are found to hold; tokens are opened if there are `roots`.

    Raises CorruptAttestations, which names the first that does not.
    """
    path = data_dir / "attestations.db"
    if not path.exists():
        return 0
    count = 0
    try:
        kept, log = connect_reader(path), connect_reader(data_dir / "log.sqlite")
        try:
            for attestation in read_attestations(kept):
                _check(attestation, _note(log, attestation), roots)
                count += 1
        finally:
            kept.close()
            log.close()
    except (*DAMAGE, ValueError) as error:  # ValueError: a kind that there is not
        raise CorruptAttestations(f"{path} is damaged: {error}") from None
    return count


def _note(log: sqlite3.Connection, attestation: Attestation) -> str:
    query = "SELECT note FROM checkpoints WHERE tree_size = ?"
    row = log.execute(query, (attestation.tree_size,)).fetchone()
    if row is None:
        raise CorruptAttestations(
            f"{_name(attestation)} is of a checkpoint that this log has never signed: was an older copy of"
            " the log restored? The next start sets it aside"
        )
    note: str = row[0]
    return note


def _check(attestation: Attestation, note: str, roots: Sequence[bytes]) -> None:
    try:
        match attestation.kind:
            case AttestationKind.TIMESTAMP:
                if roots and check_timestamp(attestation.data, note.encode(), roots).at != attestation.at:
                    raise CorruptAttestations(f"{_name(attestation)} has another time than it is filed under")
            case AttestationKind.COSIGNATURE:
                parse_checkpoint(note + attestation.data.decode())
    except EvidenceError as error:
        raise CorruptAttestations(f"{_name(attestation)} does not hold: {error}") from None


def _name(attestation: Attestation) -> str:
    return f"the {attestation.kind} of {attestation.tree_size} entries by {attestation.source}"
