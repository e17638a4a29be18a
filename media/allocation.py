"""What one receiver gets of the people it watches: a budget shared, and the layers that fit in it. Pure.

    budget ──> shares, one a person watched ──> encoding and temporal layers, stills, or a pause
       ^                    └──> the sender's EncodingPlan: it commissions what a share carries
       └── the estimator, told by `wanted_bps` how much more would be used

- Shares: nobody starves. Who sends little gets what that takes; the rest is parted evenly (max-min fairness).
- Down at once, up slowly. The temporal layers of VP8 can go with the next packet, and go first. To leave an
  encoding takes a keyframe of another, or a pause, and so more than the sawtooth of an estimate: the pacer's
  queue would outgrow QUEUE_S. To go up takes room to spare for a while, and the longer the sooner the last
  ascent failed.
- What others leave of their shares is lent for ascents, each bit once.
- A better encoding is taken whole or not at all: a smaller picture that moves is worth more than a larger
  one that jerks. Layers are left out of the one that is there until a lesser one flows.
- Below the floor a live picture is none: whole keyframes follow each other instead, as the share allows, of
  the best encoding whose keyframes come through in a few seconds. Below that: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from media.encodings import UNLIMITED_BPS, LayerReason, Picture, Shown
from media.steady_rate import SteadyRate

ENOUGH_BPS = 2_500_000  # that our page's best encoding takes at the most: who has it is not limited
STAYS_ENOUGH = 0.9
CALM = 0.7  # of its share: a picture that has taken less for CALM_AFTER_S is limited by its sender, not by us
CALM_AFTER_S = 3.0  # the encoder's way from an order to its rate, twice
CALM_ROOM = 1.5  # so much of its rate is kept for it, so that it stays below CALM and may still grow
CALM_LEAST_BPS = 100_000  # and this much: a camera that was covered begins with a keyframe
SILENT = 0.1  # of the budget at the most is kept for a camera that is off
KEEPS = 0.95  # of its rate must be there for what is sent already
CLIMBS = 1.15  # of its rate must be there for what is not sent yet
CLIMBS_AFTER_S = 2.0
LAYER_FITS = 0.85  # of it must be there, between KEEPS and all: orders leave no more room than that
LAYER_KEEPS = (
    0.6  # of a layer's rate: orders follow the share, and what waits in the pacer is no share any more
)
LAYER_AFTER_S = 0.4  # a temporal layer costs no keyframe to try
RETRIES_MAX_S = 32.0
LAYER_RETRIES_MAX_S = 1.0
FAILED_WITHIN_S = 10.0  # a switch that is taken back this soon was a mistake; the next waits twice as long
LEAST_WAIT_S = 0.01  # whoever is late by less is not woken for it
WHOLE_LATELY_S = 1.0  # layers are left out for a moment, and tried again
LAYERS_GONE_S = 2.5  # fewer temporal layers than before are believed then: twice looked at is once a mistake
QUEUE_S = 0.25  # of queue in the pacer: beyond it the picture lags behind the voice so that it is noticed
DROWNS = 1.5  # of the share: this cannot be the sawtooth, whose cuts are to 0.85
PARTIAL_S = 0.5  # with layers left out before a lesser encoding that fits whole is better
COLLAPSES = 0.8  # of what there was: then the network failed, not the attempt
WORTH = 0.5  # of what is passed: a lesser encoding that was cut for somebody else's network is no gain
STILLS_BELOW_BPS = 30_000  # 160×90 at 8 pictures a second, headers counted: less is no moving picture
STILLS_AFTER_S = 1.0  # the pacer's queue bears that long; estimates dip and come back
LIVE_FROM_BPS = 42_000
LIVE_AFTER_S = 1.0
LIVE_RETRIES_MAX_S = 8.0  # who looks at stills of a network that has recovered waits no longer
PAUSED_BELOW_BPS = 8_000  # a keyframe of the least encoding would take more than 5 s
PAUSED_AFTER_S = 2.0  # an estimate that dips and comes back is no pause
STILLS_FROM_BPS = 12_000
STOPPED_S = 3.0  # nothing fits, and no order brought anything that does: stills of what there is
KEYFRAME_S = (
    0.35  # of its encoding's rate: libvpx in real time makes them three to eight times a usual picture
)
STILL_TAKES_S = 3.0  # more, and what it shows is over
STAYS_STILL_S = 4.0


class LayerRate(NamedTuple):
    """An encoding as it flows: rates on the wire; `base_steps` up to each temporal layer, the last is all."""

    rid: str
    bitrate_bps: int
    base_steps: tuple[int, ...] = ()
    is_settling: bool = False  # that is what it was told, and will have


class Choice(NamedTuple):
    """What a receiver gets of a sender; rid None: nothing. Of a picture in stills, keyframes alone."""

    rid: str | None
    temporal_layers: int | None
    picture: Picture
    reason: LayerReason


class Allocation:
    """One receiver's budget."""

    def __init__(self) -> None:
        self.shares_bps: dict[str, int] = {}
        """By sender: what its picture may take; UNLIMITED_BPS where that is more than any camera sends.
        The others add up to the budget at the most."""
        self.shown: dict[str, Shown] = {}
        """By sender: what its share has borne of late."""
        self.wanted_bps = 0
        self.next_deadline = inf
        self._watched: dict[str, _Watched] = {}

    def handle_budget(
        self, budget_bps: int, watched: Mapping[str, Sequence[LayerRate]], now: float
    ) -> dict[str, Choice]:
        """What to send of each, whose encodings come from the least to the best; voice has had its part."""
        budget_bps = max(0, budget_bps)
        self._watched = {sender: self._watched.get(sender) or _Watched(now) for sender in watched}
        for sender, layers in watched.items():
            self._watched[sender].handle_rates(layers, now)
        self._share(budget_bps)
        choices = self._choose(budget_bps, now)
        self.shares_bps = {
            sender: UNLIMITED_BPS if each.has_enough else each.share_bps
            for sender, each in self._watched.items()
        }
        self.shown = {sender: each.shown for sender, each in self._watched.items()}
        self.wanted_bps = sum(each.wanted_bps for each in self._watched.values())
        self.next_deadline = min((each.next_deadline for each in self._watched.values()), default=inf)
        return choices

    def _share(self, budget_bps: int) -> None:
        """Max-min fair: the least demands first, so that what they leave goes to the others."""
        left_bps = budget_bps
        by_demand = sorted(self._watched.values(), key=lambda each: each.demand_bps)
        for place, each in enumerate(by_demand):
            demand_bps = each.demand_bps if each.is_flowing else min(each.demand_bps, SILENT * budget_bps)
            each.share_bps = int(min(demand_bps, left_bps // (len(by_demand) - place)))
            left_bps -= each.share_bps
        for each in by_demand:  # nobody demands it: room to grow
            each.share_bps += left_bps // len(by_demand)
            each.has_enough = each.share_bps >= (STAYS_ENOUGH if each.has_enough else 1.0) * ENOUGH_BPS

    def _choose(self, budget_bps: int, now: float) -> dict[str, Choice]:
        unused_bps = sum(each.share_bps - each.cost_bps for each in self._watched.values())
        choices = dict[str, Choice]()
        for sender, each in self._watched.items():
            others_leave_bps = unused_bps - (each.share_bps - each.cost_bps)
            before_bps = each.cost_bps
            choices[sender] = each.choose(
                max(each.share_bps, each.share_bps + others_leave_bps),
                budget_bps if len(self._watched) > 1 else 0,
                now,
            )
            unused_bps -= each.cost_bps - before_bps
        return choices


class _Watched:
    """One sender on this receiver's leg."""

    def __init__(self, now: float) -> None:
        self.share_bps = 0
        self.has_enough = False
        self.next_deadline = inf
        self._layers: list[LayerRate] = []  # that flow
        self._rates: dict[str, SteadyRate] = {}
        self._divided: dict[str, tuple[LayerRate, float]] = {}  # the last that had as many layers, and when
        self._is_best_flowing = False
        self._picture: Picture = "live"
        self._narrow_since: float | None = None  # when the share began to bear no moving picture
        self._starved_since: float | None = None  # when the share began to bear not even stills
        self._still_rid: str | None = None
        self._calm_since: float | None = None
        self._is_calm = False
        self._rid: str | None = None
        self._temporal = 0  # layers of it that are passed, counted in `_steps`
        self._counted = 0  # layers that it had when that was decided
        self._stopped_since: float | None = now
        self._is_stopped = False  # for so long that stills take its place
        self._partial_since: float | None = None
        self._queue_bits = 0.0
        self._asked_at = now
        self._whole_at = -inf  # when the best encoding was passed with all of its layers
        self._better = _Patience(LIVE_AFTER_S, LIVE_RETRIES_MAX_S)  # than stills, or a pause
        self._climb = _Patience(CLIMBS_AFTER_S)
        self._resume = _Patience(0.0)
        self._resumed_at_bps = 0
        self._more_layers = _Patience(LAYER_AFTER_S, LAYER_RETRIES_MAX_S)

    @property
    def demand_bps(self) -> float:
        """What this person's picture would take if it were the only one."""
        if not self._is_calm:
            return inf
        return max(CALM_ROOM * self._best_bps, CALM_LEAST_BPS)

    @property
    def is_flowing(self) -> bool:
        """Whether a picture comes of them at present, or did just now."""
        return bool(self._layers) or not self._is_calm

    @property
    def shown(self) -> Shown:
        if self._picture != "live":
            return "stills"
        return "best" if self._asked_at < self._whole_at + WHOLE_LATELY_S else "less"

    @property
    def wanted_bps(self) -> int:
        if self._is_calm or (self.has_enough and self._best_bps):
            return self._best_bps
        return max(self._best_bps, ENOUGH_BPS)

    @property
    def _best_bps(self) -> int:
        return self._layers[-1].bitrate_bps if self._layers else 0

    @property
    def cost_bps(self) -> int:
        """What of the share is in use: all of it for stills, and while it waits for an encoding that fits."""
        layer = next((layer for layer in self._layers if layer.rid == self._rid), None)
        if layer is not None:
            steps = _steps(layer)
            return steps[min(self._temporal, len(steps)) - 1]
        return self.share_bps if self._layers and self._picture != "paused" else 0

    def handle_rates(self, layers: Sequence[LayerRate], now: float) -> None:
        """How the encodings flow at present."""
        self.next_deadline = inf
        self._rates = {layer.rid: self._rates.get(layer.rid) or SteadyRate() for layer in layers}
        self._layers = [self._steady(layer, now) for layer in layers if layer.bitrate_bps > 0]
        for layer in layers:
            if layer.bitrate_bps <= 0:
                self._rates[layer.rid].handle_reading(0, now)
                self._divided.pop(layer.rid, None)
        self._is_best_flowing = bool(layers) and layers[-1].bitrate_bps > 0
        if self._best_bps > CALM * self.share_bps:
            self._calm_since, self._is_calm = None, False
        else:
            self._calm_since = now if self._calm_since is None else self._calm_since
            self._is_calm = self._is_past(self._calm_since + CALM_AFTER_S, now)

    def _steady(self, layer: LayerRate, now: float) -> LayerRate:
        if layer.is_settling:
            self._rates[layer.rid] = SteadyRate()
        steady_bps = self._rates[layer.rid].handle_reading(layer.bitrate_bps, now)
        divided, divided_at = self._divided.get(layer.rid, (layer, now))
        if len(layer.base_steps) >= len(divided.base_steps) or now - divided_at >= LAYERS_GONE_S:
            self._divided[layer.rid] = layer, now
            divided = layer
        if divided is layer and steady_bps == layer.bitrate_bps:
            return layer
        # A keyframe, or a moment of silence, hides layers: what was there is there still, for a while.
        steps = tuple(max(1, step * steady_bps // divided.bitrate_bps) for step in divided.base_steps)
        return LayerRate(layer.rid, steady_bps, steps)

    def choose(self, limit_bps: int, shared_bps: int, now: float) -> Choice:
        """`limit_bps` is the share and what is lent to it, for what is better than what fits in the share;
        `shared_bps` the budget of all, 0 where nobody else is watched.
        """
        elapsed_s = max(0.0, now - self._asked_at)
        self._asked_at = now
        self._look_at_floor(now)
        if self._picture != "live":
            self._leave()
            self._stopped_since, self._is_stopped = None, False
            if self._picture == "paused":
                self._still_rid = None
                return self._chosen(None, None, "paused", shared_bps)
            return self._still(shared_bps)
        if not self._layers:
            self._leave()
            self._stopped_since, self._is_stopped = None, False
            return Choice(None, None, "live", "not_sent")
        layer = self._present()
        if layer is not None:
            layer = self._keep(layer, limit_bps, elapsed_s, now)
        layer = self._begin(now) if layer is None else self._ascend(layer, limit_bps, now)
        if layer is None:
            self._stopped_since = now if self._stopped_since is None else self._stopped_since
            self._is_stopped = self._is_past(self._stopped_since + STOPPED_S, now)
            if self._is_stopped:
                return self._still(shared_bps)
            return Choice(None, None, "live", "switching")
        self._stopped_since, self._is_stopped, self._still_rid = None, False, None
        steps = _steps(layer)
        if self._is_best_flowing and layer is self._layers[-1] and self._temporal >= len(steps):
            self._whole_at = now
        return self._chosen(
            layer, self._temporal if self._temporal < len(steps) else None, "live", shared_bps
        )

    def _present(self) -> LayerRate | None:
        layer = next((layer for layer in self._layers if layer.rid == self._rid), None)
        if layer is None:
            self._rid = None
        return layer

    def _look_at_floor(self, now: float) -> None:
        """Down at once, up after a while; from a pause to stills first."""
        better: Picture | None = None
        share_bps = self.share_bps
        self._narrow_since = None if share_bps >= STILLS_BELOW_BPS else self._narrow_since or now
        # A still that is under way is paced: it may as well be finished.
        self._starved_since = None if share_bps >= PAUSED_BELOW_BPS else self._starved_since or now
        if self._starved_since is not None and self._is_past(self._starved_since + PAUSED_AFTER_S, now):
            self._picture = "paused"
        elif self._picture == "live" and self._narrow_since is not None:
            if self._is_past(self._narrow_since + STILLS_AFTER_S, now):
                self._picture = "stills"
                self._better.handle_descent(now)
        elif self._picture == "stills" and share_bps >= LIVE_FROM_BPS:
            better = "live"
        elif self._picture == "paused" and share_bps >= STILLS_FROM_BPS:
            better = "live" if share_bps >= LIVE_FROM_BPS else "stills"
        if better is None:
            self._better.since = None
        elif self._is_ready(self._better, now):
            self._better.handle_ascent(now)
            self._picture = better

    def _still(self, shared_bps: int) -> Choice:
        """Keyframes of the best encoding of which one comes through in time; else of the least."""
        if not self._layers:
            return Choice(None, None, "stills", "not_sent")
        chosen = self._layers[0]
        for layer in self._layers[1:]:
            takes_s = KEYFRAME_S * layer.bitrate_bps / max(1, self.share_bps)
            if takes_s <= (STAYS_STILL_S if layer.rid == self._still_rid else STILL_TAKES_S):
                chosen = layer
        self._still_rid = chosen.rid
        return self._chosen(chosen, None, "stills", shared_bps)

    def _keep(self, layer: LayerRate, limit_bps: int, elapsed_s: float, now: float) -> LayerRate | None:
        """What remains of the encoding that is there; or a lesser one; or None if neither fits."""
        steps = _steps(layer)
        if self._temporal == self._counted:  # all were passed, before more of them were found
            self._temporal = len(steps)
        self._counted = len(steps)
        # The base must fit; what is above it may be too much for a while, and the pacer bears it.
        fitting = sum(
            (LAYER_KEEPS if above else KEEPS) * step <= limit_bps for above, step in enumerate(steps)
        )
        kept = max(1, min(self._temporal, fitting, len(steps)))
        if kept < min(self._temporal, len(steps)):
            self._more_layers.handle_descent(now)
        self._temporal = kept
        if kept < len(steps) and LAYER_FITS * steps[kept] <= limit_bps and fitting:
            if self._is_ready(self._more_layers, now):
                self._more_layers.handle_ascent(now)
                self._temporal = kept + 1
        else:
            self._more_layers.since = None

        lesser = [each for each in self._layers if each.bitrate_bps < layer.bitrate_bps]
        fits = [each for each in lesser if each.bitrate_bps <= limit_bps]
        over_bps = steps[self._temporal - 1] - limit_bps
        self._queue_bits = max(0.0, self._queue_bits + elapsed_s * over_bps)
        if not fitting:
            room_bits = QUEUE_S * limit_bps
            if steps[0] > DROWNS * limit_bps or self._queue_bits >= room_bits:
                self._climb.handle_descent(now)
                if fits:
                    return self._enter(fits[-1])
                if limit_bps >= COLLAPSES * self._resumed_at_bps:
                    self._resume.handle_descent(now)
                self._leave()
                return None
            self._wake_at(now + max(LEAST_WAIT_S, (room_bits - self._queue_bits) / over_bps))

        if self._temporal == len(steps):
            self._partial_since = None
        elif self._partial_since is None:
            self._partial_since = now
        worth_it = [each for each in fits if each.bitrate_bps >= WORTH * steps[self._temporal - 1]]
        partial_since = self._partial_since
        if worth_it and partial_since is not None and self._is_past(partial_since + PARTIAL_S, now):
            self._climb.handle_descent(now)
            return self._enter(worth_it[-1])
        return layer

    def _begin(self, now: float) -> LayerRate | None:
        """Nothing is sent at present. The share alone counts: what others leave they may be about to take."""
        fits = [layer for layer in self._layers if layer.bitrate_bps <= self.share_bps]
        partly = [layer for layer in self._layers if _steps(layer)[0] <= self.share_bps]
        if not partly:
            self._resume.since = None
            return None
        if not self._is_ready(self._resume, now):
            return None
        self._resume.handle_ascent(now)
        self._resumed_at_bps = self.share_bps
        return self._enter(fits[-1] if fits else partly[0])

    def _ascend(self, layer: LayerRate, limit_bps: int, now: float) -> LayerRate:
        better = [
            each
            for each in self._layers[self._layers.index(layer) + 1 :]
            if self._climbs(each) * each.bitrate_bps <= limit_bps and each.bitrate_bps > layer.bitrate_bps
        ]
        if not better:
            self._climb.since = None
            return layer
        if not self._is_ready(self._climb, now):
            return layer
        self._climb.handle_ascent(now)
        return self._enter(better[-1])

    def _climbs(self, layer: LayerRate) -> float:
        """The best one is as large as its camera makes it; the others were cut to measure."""
        return CLIMBS if layer is self._layers[-1] else 1.0

    def _enter(self, layer: LayerRate) -> LayerRate:
        self._rid = layer.rid
        steps = _steps(layer)
        limit_bps = max(self.share_bps, steps[0])
        whole = layer.bitrate_bps <= limit_bps
        self._temporal = len(steps) if whole else sum(step <= limit_bps for step in steps)
        self._temporal = max(1, self._temporal)
        self._counted = len(steps)
        self._queue_bits = 0.0
        self._partial_since = None
        return layer

    def _leave(self) -> None:
        self._rid, self._temporal, self._queue_bits, self._partial_since = None, 0, 0.0, None

    def _chosen(
        self, layer: LayerRate | None, temporal: int | None, picture: Picture, shared_bps: int
    ) -> Choice:
        rid = layer.rid if layer is not None else None
        if picture == "live" and layer is not None and layer == self._layers[-1] and temporal is None:
            is_held = not self.has_enough and layer.bitrate_bps >= 0.9 * self.share_bps
            if not is_held:
                return Choice(rid, temporal, picture, "best" if self._is_best_flowing else "not_sent")
        next_bps = self._best_bps
        if picture != "live":
            next_bps = LIVE_FROM_BPS
        reason: LayerReason = "shared" if shared_bps >= CLIMBS * next_bps else "network"
        return Choice(rid, temporal, picture, reason)

    def _is_ready(self, patience: _Patience, now: float) -> bool:
        if patience.since is None:
            patience.since = now
        return self._is_past(patience.since + patience.wait_s, now)

    def _is_past(self, deadline: float, now: float) -> bool:
        if now >= deadline:
            return True
        self._wake_at(deadline)
        return False

    def _wake_at(self, deadline: float) -> None:
        self.next_deadline = min(self.next_deadline, deadline)


class _Patience:
    """How long there must be room before a step up: longer after each that had to be taken back."""

    def __init__(self, usual_s: float, most_s: float = RETRIES_MAX_S) -> None:
        self.wait_s = usual_s
        self.since: float | None = None
        self._usual_s, self._most_s = usual_s, most_s
        self._went_up_at: float | None = None

    def handle_ascent(self, now: float) -> None:
        self._went_up_at, self.since = now, None

    def handle_descent(self, now: float) -> None:
        self.since = None
        if self._went_up_at is None:
            return
        if now < self._went_up_at + FAILED_WITHIN_S:
            self.wait_s = min(self._most_s, max(1.0, 2 * self.wait_s))
        else:
            self.wait_s = self._usual_s
        self._went_up_at = None


def _steps(layer: LayerRate) -> tuple[int, ...]:
    """What the first layer costs, the first two, and so on; never empty."""
    return layer.base_steps or (layer.bitrate_bps,)
