"""Which bodies of a package are missing because they were erased, and what an `erased` entry promises. Pure.

    entry 4: envelope, proof ── no body, no salt ──▶ entry 20 `erased` covers it, with a reason

Envelopes and proofs stay: that there was an entry, of which kind, when and by whom, remains proven.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.evidence.canonical import JsonValue
from server.evidence.entry import Envelope
from server.evidence.erasure import ERASED, Erasure, parse_erasure
from server.evidence.errors import MalformedEntry
from server.evidence.package import entry_folder
from server.evidence.report import Finding

MAX_REASON_CHARACTERS = 120  # shown of a reason; the entry has it whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedBodies:
    """An entry `erased` of a package."""

    number: int
    reason: str
    erasure: Erasure

    def cover(self, envelope: Envelope) -> bool:
        """Whether the body of that entry went with this one."""
        return envelope.number < self.number and self.erasure.covers(envelope.number, envelope.kind)


def read_erased(envelope: Envelope, body: Mapping[str, JsonValue]) -> ErasedBodies | None:
    """What an entry says of erasing; None for one of another kind, and for one that is malformed."""
    if envelope.kind != ERASED:
        return None
    try:
        erasure = parse_erasure(body)
    except MalformedEntry:
        return None  # then nothing that is missing is covered, and that is found
    return ErasedBodies(number=envelope.number, reason=str(body.get("reason")), erasure=erasure)


def check_erasure(
    erased: Sequence[ErasedBodies], entries: Sequence[tuple[Envelope, bool]]
) -> tuple[str, list[Finding]]:
    """Step 15: what was erased is gone. The flag says that body and salt are missing.

    What is missing without having been erased is found by step 6.
    """
    findings = []
    gone = 0
    for envelope, missing in entries:
        covering = next((one for one in erased if one.cover(envelope)), None)
        if covering is None:
            continue
        gone += missing
        if not missing:
            findings.append(
                Finding(
                    message=f"entry {envelope.number}: entry {covering.number} says that it was erased, but "
                    f"its body is here",
                    member=f"{entry_folder(envelope.number)}body.json",
                    entry=envelope.number,
                )
            )
    if not erased:
        return "nothing of this case was erased", findings
    told = "; ".join(f'entry {one.number}: "{one.reason[:MAX_REASON_CHARACTERS]}"' for one in erased)
    return f"the bodies of {gone} entries were erased ({told}); their envelopes and proofs stand", findings
