"""What a peer sends of one kind: sound, or a picture in up to three encodings (simulcast, RFC 8853). Pure.

    Track ─┬─ Layer "low"  ── Reception (an SSRC, until a newer one takes its place) ─┐
           ├─ Layer "mid"  ── Reception                                               ├─> Legs, a slot each
           └─ Layer "high" ── Reception ── best ──> journal, pictures                 ┘

The best layer is the one that a receiver with an endless network would watch: the highest that flows. What is
recorded, and of what frames are taken, is that one, whatever others watch.
"""

from __future__ import annotations

from collections import deque
from math import inf

from media.allocation import LayerRate
from media.downlink import WIRE_OVERHEAD_BYTES, Downlink
from media.encoding_plan import EncodingPlan
from media.encodings import LayerReason, Picture, least_first
from media.forwarder import Forwarder, descriptor_of
from media.keyframes import KeyframeRequests, KeyframeWishes
from media.picture_buffer import PictureBuffer
from media.reception import Reception
from media.rtp import MARKER, rtp_timestamp_of
from media.sdp import MediaSection

# What of a stream's rate is in its temporal layers up to each: as libvpx divides it.
TEMPORAL_SHARES = ((), (0.6, 1.0), (0.4, 0.6, 1.0))
MAX_TEMPORAL_LAYERS = 3
LOOKED_AT = 40  # packets: ten pictures of a good camera, of which every second is of the highest layer
LEAST_LOOKED_AT = 5  # pictures: in fewer, behind a keyframe for instance, a layer may not occur

RATE_STEP_S, RATE_STEPS = 0.25, 4  # in which a rate is measured: over a second, in which peaks are none
RATE_FORGOTTEN_S = 2.0  # a layer silent for this long does not flow
STILLS_FORGOTTEN_S = (
    5.0  # nor one for stills, of which an encoder makes two or three a second, and leaves some out
)
# An encoder gives a keyframe what it has for a third of a second (libvpx: half of a buffer of 0.6 s). Where
# that is little, a network has no room for it beside, and the picture stands still so long.
THIN_BPS = 800_000
BEST_SILENT_S = 0.7  # a better encoding silent for this long was given up by its sender: 15 pictures


class Layer:
    """One encoding. `rid` is empty where there is only one."""

    __slots__ = (
        "_counted",
        "_counted_of",
        "_rate_bps",
        "keyframes",
        "order",
        "reception",
        "rid",
        "temporal_layers",
    )

    def __init__(self, rid: str, order: int) -> None:
        self.rid = rid
        self.order = order  # 0: the least
        self.reception: Reception | None = None
        self.keyframes = KeyframeRequests()
        self.temporal_layers = 1  # as far as they were seen
        self._counted_of: Reception | None = None
        self._counted: deque[tuple[float, int]] = deque(maxlen=RATE_STEPS)  # when, and bytes by then
        self._rate_bps = 0

    def bitrate_bps(self, now: float, *, for_stills: bool = False) -> int:
        """What it has lately, on a receiver's wire; 0 as long as nothing is known of it. One `for_stills` has
        the same between two of its pictures.
        """
        reception = self.reception
        forgotten_s = STILLS_FORGOTTEN_S if for_stills else RATE_FORGOTTEN_S
        if reception is None or now - reception.last_arrival > forgotten_s:
            self._counted_of = None
            return 0
        wire_bytes = reception.received_bytes + reception.received * WIRE_OVERHEAD_BYTES
        counted = self._counted
        if reception is not self._counted_of:
            self._counted_of, self._rate_bps = reception, 0
            counted.clear()
            counted.append((now, wire_bytes))
        elif now - counted[-1][0] >= RATE_STEP_S:
            since, before_bytes = counted[0]
            if wire_bytes > before_bytes or not for_stills:
                self._rate_bps = round((wire_bytes - before_bytes) * 8 / (now - since))
            counted.append((now, wire_bytes))
        return self._rate_bps

    def rate(self, now: float, settling_bps: int = 0, *, for_stills: bool = False) -> LayerRate:
        """The same, or `settling_bps` if it is on its way there, and what of it is the base of its temporal
        layers.
        """
        bitrate_bps = self.bitrate_bps(now, for_stills=for_stills)
        is_settling = settling_bps > 0 and not 0 < bitrate_bps < settling_bps
        if is_settling:
            bitrate_bps = settling_bps
        shares = TEMPORAL_SHARES[self.temporal_layers - 1]
        steps = tuple(round(share * bitrate_bps) for share in shares)
        return LayerRate(self.rid, bitrate_bps, steps, is_settling)

    def look_for_temporal_layers(self) -> None:
        """How many temporal layers the newest pictures have (RFC 7741 §4.2)."""
        if self.reception is None:
            return
        history, highest = self.reception.history, self.reception.highest
        seen = {
            (rtp_timestamp_of(kept.data), descriptor.temporal_layer or 0)
            for index in range(highest - LOOKED_AT, highest + 1)
            if (kept := history.find(index)) is not None
            and kept.data[1] & MARKER  # one of each picture
            and (descriptor := descriptor_of(self.reception, kept.data)) is not None
        }
        layers = min(MAX_TEMPORAL_LAYERS, max((layer for _, layer in seen), default=0) + 1)
        if layers > self.temporal_layers or len(seen) >= LEAST_LOOKED_AT:
            self.temporal_layers = layers


class Leg:
    """A track's way into one slot of a receiver, and how well it is seen there."""

    __slots__ = ("awaited", "downlink", "forwarder", "keyframe_wishes", "picture", "reason", "still_at")

    def __init__(self, forwarder: Forwarder, downlink: Downlink) -> None:
        self.forwarder = forwarder
        self.downlink = downlink
        self.keyframe_wishes = KeyframeWishes()
        self.awaited: Layer | None = None  # its next keyframe is where the picture goes on
        self.picture: Picture = "live"
        self.reason: LayerReason = "best"
        self.still_at = -inf  # when the last still began


class Track:
    """The layers of one kind, from the least, and the slots that they go to."""

    __slots__ = ("_by_rid", "best", "is_video", "layers", "legs", "pictures", "plan", "section")

    def __init__(self, section: MediaSection | None, *, is_video: bool) -> None:
        self.is_video = is_video
        self.section: MediaSection | None = None  # where it is bound; the first whose packets arrive
        rids = least_first(section.rids) if section is not None else ()
        self.layers = tuple(Layer(rid, order) for order, rid in enumerate(rids or ("",)))
        self._by_rid = {layer.rid: layer for layer in reversed(self.layers)}
        self.best = self.layers[-1]
        self.legs: tuple[Leg, ...] = ()
        self.pictures = PictureBuffer()  # of whoever is admitted
        self.plan = EncodingPlan(rids)

    def rates(self, now: float) -> list[LayerRate]:
        """What each encoding has lately, from the least; of one that was just told to send less, or to begin,
        what it will have.
        """
        return [
            layer.rate(
                now, self.plan.settling_bps(layer.rid, now), for_stills=layer.rid in self.plan.for_stills
            )
            for layer in self.layers
        ]

    def layer(self, rid: str) -> Layer:
        """The encoding of this name, or the best there may be."""
        return self._by_rid.get(rid, self.layers[-1])

    def layer_of(self, reception: Reception) -> Layer:
        """The encoding that a stream of this track carries."""
        return self.layer(reception.rid)

    def is_used(self, layer: Layer) -> bool:
        """Whether anybody watches an encoding that flows, or waits for it, or it is what is recorded."""
        return layer is self.best or any(
            leg.awaited is layer or leg.forwarder.source is layer.reception for leg in self.legs
        )

    def is_held_up_by_keyframes(self, now: float) -> bool:
        """Whether somebody's picture stands still for each: an encoder makes one of all encodings at once."""
        return self.best.bitrate_bps(now) < THIN_BPS or any(
            leg.forwarder.source not in (None, self.best.reception) for leg in self.legs
        )

    def is_better(self, layer: Layer, now: float) -> bool:
        """Whether a keyframe of this layer makes it the best: it is higher, or the best one is silent."""
        if layer is self.best:
            return False
        best = self.best.reception
        return layer.order > self.best.order or best is None or now - best.last_arrival > BEST_SILENT_S
