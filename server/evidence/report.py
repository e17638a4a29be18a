"""What verification found, as values: numbered steps, each passed, failed, or one that cannot be made."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

FRAMES_STEP = 9
LAST_INNER_STEP = 8  # the steps after it need more than the package: a decoder, or the world outside


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    CANNOT_BE_MADE = "cannot_be_made"


class CannotBeMade(Exception):
    """A check lacks what it needs; the sentence says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or that cannot be checked, and where."""

    message: str
    member: str | None = None  # the file inside the package
    entry: int | None = None  # the number of the entry that it belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One check and what came of it."""

    number: int
    name: str
    outcome: Outcome
    message: str
    findings: tuple[Finding, ...] = ()  # what is wrong
    unmade: tuple[Finding, ...] = ()  # what of it could not be checked, though the rest was


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What verification found."""

    case_id: str | None
    entries: int
    tree_size: int | None
    vkey: str | None  # as the file carries it
    steps: tuple[Step, ...]
    subject: Literal["package", "voucher"] = "package"
    says: tuple[str, ...] = ()  # what a voucher that holds says, a line a fact

    @property
    def passed(self) -> bool:
        """The verdict: all steps inside the package were made and passed, and none after them failed.

        A picture that could not be decoded again (step 9) does not make it fail: older entries name no
        journal, and a journal may have gaps. It is no silent pass either: `unshown_pictures` belongs to the
        verdict, and whoever prints the one prints the other.
        """
        return all(
            step.outcome is Outcome.PASSED
            or (step.number > LAST_INNER_STEP and step.outcome is Outcome.CANNOT_BE_MADE)
            for step in self.steps
        )

    @property
    def undecided(self) -> bool:
        """Nothing was found to be wrong, but a step inside the package could not be made: no library, say."""
        return not self.passed and all(step.outcome is not Outcome.FAILED for step in self.steps)

    @property
    def unshown_pictures(self) -> tuple[int, ...]:
        """The entries whose pictures nobody has shown to come from the stream that was received."""
        return tuple(
            sorted(
                {
                    finding.entry
                    for step in self.steps
                    if step.number == FRAMES_STEP
                    for finding in step.unmade
                    if finding.entry is not None
                }
            )
        )
