"""What an entry `erased` says: which bodies before it are gone. Pure.

    16 frame_sealed      envelope, body, salt              16 frame_sealed   envelope
    17 text              envelope, body, salt   ─────▶     17 text           envelope
                                                           18 erased         envelope, body, salt

An entry without its body is whole if an `erased` of the same case that comes after it covers it; else the log
is damaged. What was hashed and signed is the envelope, so that chain and proofs know nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from server.evidence.canonical import JsonValue
from server.evidence.errors import MalformedEntry

ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """`numbers` None: of all entries before it; `kinds` None: of every kind."""

    numbers: frozenset[int] | None
    kinds: frozenset[str] | None

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left: then the key of the case is destroyed, too."""
        return self.numbers is None and self.kinds is None

    def covers(self, number: int, kind: str) -> bool:
        """Whether the body of this entry, which comes before it, is gone."""
        return (self.numbers is None or number in self.numbers) and (self.kinds is None or kind in self.kinds)


def parse_erasure(body: Mapping[str, JsonValue]) -> Erasure:
    """What the body of an `erased` says; raises MalformedEntry."""
    numbers, kinds = body.get("numbers"), body.get("kinds")
    if numbers != "all" and not (
        isinstance(numbers, list) and numbers and all(type(number) is int for number in numbers)
    ):
        raise MalformedEntry("an entry that erases names the numbers, or says that it was all")
    if kinds is not None and not (
        isinstance(kinds, list) and kinds and all(isinstance(kind, str) for kind in kinds)
    ):
        raise MalformedEntry("an entry that erases names kinds, or none")
    return Erasure(
        numbers=None if numbers == "all" else frozenset(number for number in numbers if type(number) is int),
        kinds=None if kinds is None else frozenset(kind for kind in kinds if isinstance(kind, str)),
    )
