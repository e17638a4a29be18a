"""What of one encoding goes on to one receiver, and the numbers of what is left out on purpose. Pure.

    packets in    10 11 12 13 14 15 16 17        temporal layers 0 2 1 2 0 …, or pictures between two stills
    left out         ✗     ✗  ✗
    packets out   10    11       12 13 14        no gap: a receiver would ask for what it shall not get

A packet that is missing is no packet left out: nobody knows yet what it is, so it keeps its place, and a late
repair of it finds it. Temporal layers are those of VP8 (RFC 7741 §4.2): a higher one is left out at any
picture, and let in again only where the stream says that it may be (Y, the layer sync bit).
"""

from __future__ import annotations

from bisect import bisect_right

from media.vp8_descriptor import Vp8Descriptor

MAX_RUNS = (
    1024  # of packets left out, that late repairs may lie between: 2 s of every second packet, and room
)
NO_PICTURE = -1


class Omissions:
    """How many packets, and pictures, were left out before each index. Indices ascend."""

    __slots__ = ("_behind", "_is_trimmed", "_packets", "_pictures", "_places", "packets", "pictures")

    def __init__(self) -> None:
        self.packets = 0
        self.pictures = 0
        self._is_trimmed = False  # nobody knows any more what was left out before the first run
        self._behind: list[int] = []  # the index behind each run
        self._packets: list[int] = []  # left out up to there
        self._places: list[int] = []  # of that index: it less those; runs do not touch, so that they ascend
        self._pictures: list[int] = []

    def add(self, index: int, *, is_new_picture: bool) -> None:
        """The packet of this index, newer than all before, is left out."""
        self.packets += 1
        self.pictures += is_new_picture
        if self._behind and self._behind[-1] == index:
            self._behind[-1] = index + 1
            self._packets[-1], self._pictures[-1] = self.packets, self.pictures
            return
        if len(self._behind) == MAX_RUNS:
            half = MAX_RUNS // 2
            del self._behind[:half], self._packets[:half], self._pictures[:half], self._places[:half]
            self._is_trimmed = True
        self._behind.append(index + 1)
        self._packets.append(self.packets)
        self._pictures.append(self.pictures)
        self._places.append(index + 1 - self.packets)

    def before(self, index: int) -> tuple[int, int] | None:
        """Packets and pictures left out before this one; None for one that is too old to have a place."""
        run = bisect_right(self._behind, index) - 1
        if run >= 0:
            return self._packets[run], self._pictures[run]
        return None if self._is_trimmed else (0, 0)

    def index_at(self, place: int) -> int:
        """The index of the packet that went out as if it were `place`, had nothing been left out; one before
        all for one so old that it has no place any more.
        """
        run = bisect_right(self._places, place) - 1
        if run >= 0:
            return place + self._packets[run]
        return -1 if self._is_trimmed else place


class LayerFilter:
    """Which packets of the newest pictures go on. `temporal_layers` is how many; None: all."""

    __slots__ = (
        "_begun",
        "_is_new",
        "_judged",
        "_passes",
        "_sent_layers",
        "_stills",
        "is_stopped",
        "temporal_layers",
    )

    def __init__(self) -> None:
        self.temporal_layers: int | None = None
        self.is_stopped = False
        """Nothing goes on before the stream begins again."""
        self._stills = False
        self.begin(NO_PICTURE)

    def limit(self, temporal_layers: int | None, *, stills: bool) -> None:
        """With `stills` nothing but the picture with which the stream begins."""
        self.temporal_layers = temporal_layers
        self._stills = stills
        self.is_stopped = self.is_stopped or stills

    @property
    def is_open(self) -> bool:
        """Whether everything goes on."""
        return self.temporal_layers is None and not self.is_stopped and self._sent_layers is None

    def begin(self, rtp_timestamp: int) -> None:
        """The stream begins with this picture, a keyframe."""
        self._begun = rtp_timestamp
        self._judged = rtp_timestamp  # the newest picture, and what was decided of it
        self._passes = True
        self._is_new = False
        self.is_stopped = self._stills
        self._sent_layers: int | None = 1 if self.temporal_layers is not None else None

    def passes_late(self, rtp_timestamp: int) -> bool:
        """Whether a packet of an older picture goes on, which came late: of a stopped stream only the picture
        that it stopped with.
        """
        return not self.is_stopped or rtp_timestamp == self._begun

    def passes(self, descriptor: Vp8Descriptor | None, rtp_timestamp: int) -> bool:
        """Whether a packet of the newest picture goes on."""
        self._is_new = rtp_timestamp != self._judged
        if self._is_new:
            self._judged = rtp_timestamp
            self._passes = not self.is_stopped and self._may_pass(descriptor)
        return self._passes

    @property
    def is_new_picture(self) -> bool:
        """Whether the packet that was judged last is the first of its picture."""
        return self._is_new

    def _may_pass(self, descriptor: Vp8Descriptor | None) -> bool:
        if descriptor is None or descriptor.temporal_layer is None:
            return True
        layer, limit = descriptor.temporal_layer, self.temporal_layers
        if self._sent_layers is None:
            if limit is None:
                return True
            self._sent_layers = limit  # until now all of them went on
        if limit is not None:
            self._sent_layers = min(self._sent_layers, limit)
        if layer < self._sent_layers:
            return True
        # RFC 7741 §4.2, Y: the picture depends on the base layer alone, so that a receiver may begin with it.
        if descriptor.is_sync and (limit is None or layer < limit):
            self._sent_layers = layer + 1
            return True
        return False
