"""What one person got of the pictures of the others: as it is now, and over their whole stay.

    slots, streams that they receive ── one reading a second ──> Watching ──┬─> WatchedNumbers (an event)
                                                                           └─> PictureSum (an entry)

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from media.encodings import LayerReason, Picture
from media.network_grade import Level, worst
from media.router import SlotAssignment, StreamQuality
from signaling.entries import PictureSum
from signaling.messages import WatchedNumbers
from signaling.values import ActorId

LESS_FOR_THE_NETWORK: frozenset[LayerReason] = frozenset({"network", "shared"})
LEVEL_OF: Mapping[Picture, Level] = {"live": "good", "stills": "weak", "paused": "weak"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What was forwarded of somebody's picture at one moment."""

    rid: str
    temporal_layers: int | None


class Watching:
    """One reader's slots, from one reading to the next."""

    def __init__(self) -> None:
        self.numbers: tuple[WatchedNumbers, ...] = ()
        self._switches = 0
        self._seconds: dict[Picture, float] = {"live": 0.0, "stills": 0.0, "paused": 0.0}
        self._reduced_s = 0.0
        self._bytes: Mapping[str, int] = {}
        self._layers: dict[str, Layer] = {}

    def handle_reading(
        self, slots: Iterable[SlotAssignment], streams: Iterable[StreamQuality], elapsed_s: float
    ) -> dict[Picture, float]:
        """About once a second. `streams` are those that the reader receives. How long they have watched since
        the reading before, each person's picture added.
        """
        seconds: dict[Picture, float] = {"live": 0.0, "stills": 0.0, "paused": 0.0}
        pictures = {stream.mid: stream for stream in streams if stream.kind == "video"}
        numbers = []
        for slot in slots:
            stream = pictures.get(slot.video_mid) if slot.video_mid is not None else None
            if stream is None and slot.picture == "live":
                continue  # nothing of a picture has ever come
            grown = self._grown(stream)
            numbers.append(_numbers(slot, stream, grown, elapsed_s))
            if grown > 0 or slot.picture != "live":  # else it is a camera that is off: nobody lacks anything
                seconds[slot.picture] += elapsed_s
            if stream is not None and slot.picture == "live":
                if grown > 0 and stream.reason in LESS_FOR_THE_NETWORK:
                    self._reduced_s += elapsed_s
                self._note_layer(slot.peer_id, stream)
        self.numbers = tuple(numbers)
        self._bytes = {mid: stream.bytes for mid, stream in pictures.items()}
        for picture in seconds:
            self._seconds[picture] += seconds[picture]
        return seconds

    @property
    def level(self) -> Level:
        """What the pictures of the last reading say of the network that they come through. To get less of
        each only because there are several (`shared`) is nobody's fault.
        """
        levels: list[Level] = [LEVEL_OF[one.picture] for one in self.numbers]
        levels += ["fair" for one in self.numbers if one.reason == "network" and one.bitrate_bps > 0]
        return worst("good", *levels)

    def sum(self) -> PictureSum | None:
        """Over the whole stay; None for who watched nobody."""
        if not any(self._seconds.values()):
            return None
        return PictureSum(
            live_ms=round(self._seconds["live"] * 1000),
            stills_ms=round(self._seconds["stills"] * 1000),
            paused_ms=round(self._seconds["paused"] * 1000),
            reduced_ms=round(self._reduced_s * 1000),
            switches=self._switches,
        )

    def _grown(self, stream: StreamQuality | None) -> int:
        """By how many bytes since the reading before; none at the first."""
        if stream is None:
            return 0
        grown = stream.bytes - self._bytes.get(stream.mid, stream.bytes)
        return grown if grown >= 0 else stream.bytes  # a newer connection counts from zero

    def _note_layer(self, sender_id: str, stream: StreamQuality) -> None:
        layer = Layer(rid=stream.rid, temporal_layers=stream.temporal_layers)
        if self._layers.get(sender_id, layer) != layer:
            self._switches += 1
        self._layers[sender_id] = layer


def _numbers(
    slot: SlotAssignment, stream: StreamQuality | None, grown: int, elapsed_s: float
) -> WatchedNumbers:
    return WatchedNumbers(
        actor_id=ActorId(slot.peer_id),
        rid=None if stream is None else stream.rid or None,
        temporal_layers=None if stream is None else stream.temporal_layers,
        bitrate_bps=round(grown * 8 / elapsed_s) if elapsed_s > 0 else 0,
        picture=slot.picture,
        reason=None if stream is None else stream.reason,
    )
