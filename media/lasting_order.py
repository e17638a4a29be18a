"""When another rate is worth an order, for an encoding that is sent beside the best one. Pure.

With each change of any order libwebrtc gives all encodings of a camera a sixth less for a second, also the
one that is recorded; and what a viewer's network carries wavers all the time.

- What is far from the order is ordered at once.
- Anything else has to last, and what was wanted all the while is ordered: a cut for longer than a queue takes
  to drain, a raise for longer than an estimate climbs until it finds too much.
- A cut may have been too deep, and is made good soon. One that followed a raise shows that the raise was too
  much, and so would be the next.
"""

from __future__ import annotations

from math import inf

NOTICED_CUT = 0.93  # of the order: so much more than there is room for, the forwarder leaves out
NOTICED_RAISE = 1.10
FAR_MORE, FAR_FEWER = 1.5, 0.8  # of the order: beyond, waiting costs the viewer more than a change the others
LITTLE_BPS = 12_000  # is never far: the pacer has room for it
RAISE_LASTS_S = 5.0  # an estimate climbs for two to five until it finds too much
CUT_LASTS_S = 0.5  # a queue drains sooner
MADE_GOOD_S = 3.0  # behind a cut a raise need not last longer than a cut
STEADY_S = 10.0  # since the last raise: the cut has another cause


class LastingOrder:
    """One encoding's. `deadline` is when what has been wanted of late is worth an order."""

    def __init__(self) -> None:
        self.deadline = inf
        self._since = 0.0
        self._nearest_bps = 0  # to the order, of what has been wanted since; 0: nothing that matters
        self._is_more = False
        self._raised_at = -inf
        self._cut_at = -inf
        self._was_steady = False  # when it was cut

    def handle_wanted(self, wanted_bps: int, order_bps: int, now: float) -> int:
        """What is to be ordered now: `order_bps`, which is in force, if nothing else."""
        self.deadline = inf
        if NOTICED_CUT * order_bps <= wanted_bps < NOTICED_RAISE * order_bps:
            self._nearest_bps = 0
            return order_bps
        far_more_bps = max(FAR_MORE * order_bps, order_bps + LITTLE_BPS)
        far_fewer_bps = min(FAR_FEWER * order_bps, order_bps - LITTLE_BPS)
        if not far_fewer_bps <= wanted_bps < far_more_bps:
            return wanted_bps
        is_more = wanted_bps > order_bps
        if not self._nearest_bps or is_more != self._is_more:
            self._since, self._is_more, self._nearest_bps = now, is_more, wanted_bps
        self._nearest_bps = (min if is_more else max)(self._nearest_bps, wanted_bps)
        is_made_good = self._was_steady and now < self._cut_at + MADE_GOOD_S
        deadline = self._since + (RAISE_LASTS_S if is_more and not is_made_good else CUT_LASTS_S)
        if now >= deadline:
            return self._nearest_bps
        self.deadline = deadline
        return order_bps

    def handle_order(self, before_bps: int, order_bps: int, now: float) -> None:
        """Another is in force."""
        self._nearest_bps = 0
        if order_bps > before_bps:
            self._raised_at = now
        else:
            self._was_steady, self._cut_at = now >= self._raised_at + STEADY_S, now
