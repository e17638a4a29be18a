"""What one stream sent lately, as it came: answers NACKs, begins a newcomer's picture, knows a copy when it
comes.

One history a stream received serves all its receivers: they differ in the head of the packet alone, and the
head is made anew from the packet's index, byte by byte the same each time (RFC 3711 §9.1: no key stream is
ever used for two different packets).
"""

from __future__ import annotations

from mypy_extensions import mypyc_attr

VIDEO_WINDOW_S = 2.0  # ten tries at a round trip of 200 ms; later than that a keyframe is the quicker repair
AUDIO_WINDOW_S = 1.0  # jitter buffers hold less, so whatever is older cannot be played any more
MAX_PACKETS = 4096  # 2 s at 18 Mbit/s; bounds memory whatever a sender does


@mypyc_attr(acyclic=True)
class Kept:
    """A packet as it came out of SRTP, and when. Made once a packet, and shared by all who keep it.

    Compiled, it is nothing to Python's garbage collector, which stops everybody for as long as it looks
    through what has been made lately: of thousands of tuples that is 10 ms.
    """

    __slots__ = ("arrived", "data", "is_rtcp")

    def __init__(self, data: bytes, arrived: float, is_rtcp: bool = False) -> None:
        self.data = data
        self.arrived = arrived  # monotonic seconds
        self.is_rtcp = is_rtcp


class PacketHistory:
    """Packets by index. `packets` is written on the hot path, and pruned now and then."""

    __slots__ = ("_window_s", "packets")

    def __init__(self, *, window_s: float) -> None:
        self._window_s = window_s
        self.packets: dict[int, Kept] = {}

    def get(self, index: int, now: float) -> bytes | None:
        """The packet, unless it is unknown or older than the window."""
        kept = self.packets.get(index)
        return kept.data if kept is not None and now - kept.arrived <= self._window_s else None

    def prune(self, now: float) -> None:
        """Let go of what is older than the window, or too much. They lie in the order of their arrival."""
        packets = self.packets
        oldest = now - self._window_s
        excess = len(packets) - MAX_PACKETS
        gone: list[int] = []
        for index, kept in packets.items():
            if kept.arrived >= oldest and len(gone) >= excess:
                break
            gone.append(index)
        for index in gone:
            del packets[index]
