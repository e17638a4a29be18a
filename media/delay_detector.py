"""Whether a queue grows on the way, from when packets were sent and arrived (draft-ietf-rmcat-gcc §5).

One clock is the sender's, the other the receiver's; only differences count. Three steps:

1. Packets sent within `BURST_S` are one group, since what leaves together queues together (§5.2).
2. The slope of the groups' delay over their arrival, by least squares over the last `WINDOW` of them, says
   how much a queue grows a second (libwebrtc's trendline; the draft's Kalman filter does the same worse).
3. The slope is held against a threshold that adapts, so that a flow which competes with ones that fill
   queues is not starved (§5.4): it follows the slope upwards slowly and downwards faster.

Beside the slope stands the queue itself, which the draft does not look at: the least delay of the last
moment, less the least that was seen in `BASE_S`. Jitter and the burst of one frame leave a least delay alone,
so a slope without a queue is noise; and a queue that stands without growing is seen, which no slope shows.

The same machine serves what we send (by the receiver's feedback) and what we receive (by RTP's own times).
Pure, and fed from outside: times that run backwards or leap make it start again, and nothing worse.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final, Literal

Usage = Literal["normal", "over", "under"]

BURST_S: Final = 0.005  # draft §5.2: what was sent within 5 ms is one group
WINDOW = 20  # groups, as libwebrtc: a third of a second of sound and pictures
MIN_GROUPS = 8  # fewer give no slope worth the name
QUIET_WINDOW_S: Final = 0.5  # points of a quiet time that still count once it is over
SMOOTHING = 0.8  # of a group's delay; libwebrtc's 0.9 lags ten groups, and our queue sorts out noise already
GAIN = 4.0  # libwebrtc's: brings the slope to the scale of the draft's thresholds in ms
MAX_DELTAS = 60  # and the number of groups by which it is multiplied, at most

THRESHOLD, MIN_THRESHOLD, MAX_THRESHOLD = 12.5, 6.0, 600.0  # draft §5.4, ms
K_UP, K_DOWN = 0.0087, 0.039  # draft §5.4, per ms
OUTLIER = 15.0  # ms above the threshold: a sudden leap does not move it (draft §5.4)
MAX_STEP_MS = 100.0  # between two groups, for the threshold's sake
OVERUSE_S = 0.01  # draft §5.4: so long before over-use is said

RECENT_S = 0.1  # the least delay is taken over one to two of these: two frames, five packets of sound
BASE_S = 15.0  # and held against the least of one to two of these: clocks drift less than 2 ms in it
LEAP_S: Final = 10.0  # a delay that changes so much is another clock (feedback's wraps every 12.4 days)


class DelayDetector:
    """`usage` is what the last packets showed; `queue_s` how long the shortest wait of late was.

    Only both together say that too much is sent: "over" and a queue of some 15 ms.
    """

    def __init__(self) -> None:
        self.usage: Usage = "normal"
        self.slope = 0.0  # seconds of queue a second
        self._threshold = THRESHOLD
        self._restart()

    def _restart(self) -> None:
        """Another clock, or another way: all delays begin anew. What was learnt of the noise stays."""
        self.usage = "normal"
        self.slope = 0.0
        self._last_delay: float | None = None
        self._group_sent = -inf  # when the first of the open group was sent
        self._group_arrived = -inf
        self._group_delay = 0.0
        self._base = self._previous_base = inf
        self._base_until = -inf
        self._recent = self._previous_recent = inf
        self._recent_until = -inf
        self._origin_arrived = self._origin_delay = 0.0
        self._smoothed = 0.0
        self._deltas = 0
        self._points: deque[tuple[float, float]] = deque()
        self._sum_x = self._sum_y = self._sum_xx = self._sum_xy = 0.0
        self._over_since: float | None = None
        self._over_groups = 0
        self._previous_slope = 0.0
        self._previous_arrived = -inf

    @property
    def base_delay_s(self) -> float:
        """The least difference of the two clocks; inf when nothing is known."""
        return min(self._base, self._previous_base)

    @property
    def queue_s(self) -> float:
        """How much longer than ever lately even the quickest packet of the last 0.1 to 0.2 s took."""
        recent = min(self._recent, self._previous_recent)
        return max(recent - self.base_delay_s, 0.0) if recent < inf else 0.0

    def handle_packet(self, sent: float, arrived: float, size_bytes: int) -> None:
        """One packet that arrived, in the order of sending. `size_bytes` does not matter to delays."""
        delay = arrived - sent
        if self._last_delay is None or not -LEAP_S < delay - self._last_delay < LEAP_S:
            self._restart()
            self._origin_arrived, self._origin_delay = arrived, delay
        self._last_delay = delay
        if arrived >= self._recent_until:
            self._turn_minima(arrived, delay)
        if delay < self._recent:
            self._recent = delay
            if delay < self._base:
                self._base = delay
        if sent - self._group_sent > BURST_S:
            if self._group_sent > -inf:
                self._handle_group(self._group_arrived, self._group_delay)
            self._group_sent = sent
            self._group_arrived, self._group_delay = arrived, delay
        elif sent >= self._group_sent:
            self._group_arrived = max(self._group_arrived, arrived)
            self._group_delay = delay

    def handle_quiet(self, sent: float, arrived: float, least_delay: float) -> None:
        """Many packets at once that waited for nothing, the last of them at these times."""
        self._last_delay = arrived - sent
        if arrived >= self._recent_until:
            self._turn_minima(arrived, least_delay)
        self._recent = min(self._recent, least_delay)
        self._base = min(self._base, least_delay)
        self._group_sent = -inf
        self.usage = "normal"
        self._over_since = None
        oldest = arrived - self._origin_arrived - QUIET_WINDOW_S
        points = self._points
        while points and points[0][0] < oldest:
            self._drop_oldest()
        self._add(arrived, arrived - sent)
        self._previous_arrived = arrived

    def _turn_minima(self, arrived: float, delay: float) -> None:
        late = arrived >= self._recent_until + RECENT_S
        self._previous_recent = inf if late else self._recent
        self._recent = delay
        self._recent_until = arrived + RECENT_S
        if arrived >= self._base_until:
            if self._base_until > -inf:
                self._previous_base = self._base
            self._base = delay
            self._base_until = arrived + BASE_S
        elif delay < self._base:
            self._base = delay

    def _drop_oldest(self) -> None:
        x, y = self._points.popleft()
        self._sum_x -= x
        self._sum_y -= y
        self._sum_xx -= x * x
        self._sum_xy -= x * y

    def _add(self, arrived: float, delay: float) -> None:
        if arrived - self._origin_arrived > 60.0:  # sums of large numbers lose small ones
            self._move_origin(arrived)
        x = arrived - self._origin_arrived
        smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * (delay - self._origin_delay)
        self._smoothed = smoothed
        self._deltas = min(self._deltas + 1, MAX_DELTAS)
        if len(self._points) == WINDOW:
            self._drop_oldest()
        self._points.append((x, smoothed))
        self._sum_x += x
        self._sum_y += smoothed
        self._sum_xx += x * x
        self._sum_xy += x * smoothed

    def _move_origin(self, arrived: float) -> None:
        moved = arrived - self._origin_arrived
        self._origin_arrived = arrived
        self._points = deque((x - moved, y) for x, y in self._points)
        self._sum_x = sum(x for x, _ in self._points)
        self._sum_y = sum(y for _, y in self._points)
        self._sum_xx = sum(x * x for x, _ in self._points)
        self._sum_xy = sum(x * y for x, y in self._points)

    def _handle_group(self, arrived: float, delay: float) -> None:
        self._add(arrived, delay)
        count = len(self._points)
        if count >= MIN_GROUPS:
            divisor = count * self._sum_xx - self._sum_x * self._sum_x
            if divisor > 1e-9:  # else they all arrived at once
                self.slope = (count * self._sum_xy - self._sum_x * self._sum_y) / divisor
        self._judge(arrived)
        self._previous_arrived = arrived

    def _judge(self, arrived: float) -> None:
        """draft §5.4, with the slope in the place of its m(i)."""
        trend = self._deltas * self.slope * GAIN
        threshold = self._threshold
        if trend > threshold:
            if self._over_since is None:
                self._over_since, self._over_groups = self._previous_arrived, 0
            self._over_groups += 1
            if (
                arrived - self._over_since > OVERUSE_S
                and self._over_groups > 1
                and self.slope >= self._previous_slope
            ):
                self.usage = "over"
        else:
            self._over_since = None
            self.usage = "under" if trend < -threshold else "normal"
        self._previous_slope = self.slope
        size = abs(trend)
        if size <= threshold + OUTLIER:
            step_ms = min(max((arrived - self._previous_arrived) * 1000, 0.0), MAX_STEP_MS)
            change = (K_DOWN if size < threshold else K_UP) * (size - threshold) * step_ms
            self._threshold = min(max(threshold + change, MIN_THRESHOLD), MAX_THRESHOLD)
