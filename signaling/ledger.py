"""A mapping that only grows: each step is a value of its own, and yet none of them is a copy.

    step 3 ──┐
    step 4 ──┼──> one dict: a, b, c, d, e     step 3 shows a, b, c and no more
    step 5 ──┘

What is added to the newest step is added to the dict that all steps share, and a step shows what was there
when it was made. So a case of ten thousand pictures is replayed in ten thousand additions, where a copy for
each would make it fifty million. Who adds to an older step gets a copy. Pure, as seen from outside.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Ledger(Mapping[Key, Value]):
    """Keys in the order in which they were added."""

    __slots__ = ("_places", "_size")

    def __init__(self) -> None:
        self._places: dict[Key, tuple[int, Value]] = {}
        self._size = 0

    def with_item(self, key: Key, value: Value) -> "Ledger[Key, Value]":
        """This and one more; a key that is here already keeps its first value."""
        if key in self:
            return self
        added: Ledger[Key, Value] = Ledger()
        newest = len(self._places) == self._size
        added._places = self._places if newest else dict(islice(self._places.items(), self._size))
        added._places[key] = (self._size, value)
        added._size = self._size + 1
        return added

    def without(self, gone: Callable[[Key, Value], bool]) -> "Ledger[Key, Value]":
        """The items for which `gone` is false, in a ledger of their own."""
        kept: Ledger[Key, Value] = Ledger()
        for key, value in self.items():
            if not gone(key, value):
                kept = kept.with_item(key, value)
        return kept

    def __getitem__(self, key: Key) -> Value:
        place, value = self._places[key]
        if place >= self._size:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[Key]:
        return islice(iter(self._places), self._size)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"Ledger({dict(self)})"
