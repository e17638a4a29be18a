"""What one stream sent lately, as it came: answers NACKs, begins a newcomer's picture, knows a copy when it
comes.

One history a stream received serves all its receivers: they differ in the head of the packet alone, and the
head is made anew from the packet's index, byte by byte the same each time (RFC 3711 §9.1: no key stream is
ever used for two different packets).
"""

from __future__ import annotations

from typing import Generic, TypeVar

from mypy_extensions import mypyc_attr

VIDEO_WINDOW_S = 2.0  # ten tries at a round trip of 200 ms; later than that a keyframe is the quicker repair
AUDIO_WINDOW_S = 1.0  # jitter buffers hold less, so whatever is older cannot be played any more
MAX_PACKETS = 4096  # 2 s at 18 Mbit/s; bounds memory whatever a sender does
FIRST_SLOTS = 64  # a microphone's second


@mypyc_attr(acyclic=True)
class Indexed:
    """What is kept of a packet, which has an index in its stream.

    Compiled, these are nothing to Python's garbage collector, which stops everybody for as long as it looks
    through what has been made lately: of thousands of tuples that is 10 ms.
    """

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


@mypyc_attr(acyclic=True)
class Kept(Indexed):
    """A packet as it came out of SRTP, and when. Made once a packet, and shared by all who keep it."""

    __slots__ = ("arrived", "data", "is_rtcp")

    def __init__(self, data: bytes, arrived: float, *, index: int = -1, is_rtcp: bool = False) -> None:
        self.index = index  # -1: it is in no history
        self.data = data
        self.arrived = arrived  # monotonic seconds
        self.is_rtcp = is_rtcp


Item = TypeVar("Item", bound=Indexed)


class Ring(Generic[Item]):
    """The newest of a stream, each in the slot that its index says; what is not pruned makes it larger, up to
    MAX_PACKETS, then room.
    """

    __slots__ = ("_mask", "slots")

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        return sum(item is not None for item in self.slots)

    def clear(self) -> None:
        """Let go of all."""
        self.slots: list[Item | None] = [None] * FIRST_SLOTS
        self._mask = FIRST_SLOTS - 1

    def keep(self, item: Item) -> None:
        """In the place of what had this index, or one so far away that there is no room for both."""
        while True:
            place = item.index & self._mask
            before = self.slots[place]
            if before is None or before.index == item.index or len(self.slots) == MAX_PACKETS:
                self.slots[place] = item
                return
            self._grow()

    def find(self, index: int) -> Item | None:
        """What has this index, if it is here."""
        item = self.slots[index & self._mask]
        return item if item is not None and item.index == index else None

    def since(self, index: int) -> list[Item]:
        """All from this index on, in order."""
        found = [item for item in self.slots if item is not None and item.index >= index]
        found.sort(key=lambda item: item.index)
        return found

    def _grow(self) -> None:
        items = [item for item in self.slots if item is not None]
        self.slots = [None] * (2 * len(self.slots))
        self._mask = len(self.slots) - 1
        for item in items:
            self.slots[item.index & self._mask] = item  # what lay apart in half the room does so in all of it


class PacketHistory(Ring[Kept]):
    """Packets by index. Written on the hot path, and pruned now and then."""

    __slots__ = ("_window_s",)

    def __init__(self, *, window_s: float) -> None:
        super().__init__()
        self._window_s = window_s

    @property
    def oldest_index(self) -> int:
        """The least of them; one that never comes where there are none."""
        return min((kept.index for kept in self.slots if kept is not None), default=1 << 62)

    def get(self, index: int, now: float) -> bytes | None:
        """The packet, unless it is unknown or older than the window."""
        kept = self.find(index)
        return kept.data if kept is not None and now - kept.arrived <= self._window_s else None

    def prune(self, now: float) -> None:
        """Let go of what is older than the window."""
        oldest = now - self._window_s
        for place, kept in enumerate(self.slots):
            if kept is not None and kept.arrived < oldest:
                self.slots[place] = None
