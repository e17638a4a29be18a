"""How smooth a picture was, from the times at which its frames came: one definition for every system.

libwebrtc's: an interval between two frames is a freeze if it is longer than three times the average of the
last thirty, and longer than that average by 150 ms at least; a freeze counts whole
(https://w3c.github.io/webrtc-stats/#dom-rtcinboundrtpstreamstats-freezecount). Two things more, because a
window has ends: a freeze counts as far as it lies in the window, and the interval that is still open at the
end counts as well, so that a picture that never came was frozen all the time. And one because that average
forgives: a picture that comes once in four seconds is, by it, never frozen. Here whatever stands still for a
second is.
"""

from collections.abc import Sequence
from itertools import pairwise

REMEMBERED = 30  # intervals
LONGER_BY_S = 0.15
ALWAYS_S = 1.0  # one frame a second is what is asked for at the worst: below it nothing moves
USUAL_S = 1 / 30  # before there are intervals to average


def frozen_share(frames_s: Sequence[float], start_s: float, end_s: float) -> float:
    """The fraction of the window in which the picture stood still; frames before it count as history."""
    if not frames_s or frames_s[0] >= end_s:
        return 1.0
    frozen_s = max(0.0, frames_s[0] - start_s)  # nothing was there yet
    intervals: list[float] = []
    shown = [frame for frame in frames_s if frame < end_s]
    for before, after in zip(shown, [*shown[1:], end_s], strict=True):
        recent = intervals[-REMEMBERED:] or [USUAL_S]
        average_s = sum(recent) / len(recent)
        if after - before > min(ALWAYS_S, max(3 * average_s, average_s + LONGER_BY_S)):
            frozen_s += max(0.0, after - max(before, start_s))
        intervals.append(after - before)
    return min(1.0, frozen_s / (end_s - start_s))


def frame_rate(frames_s: Sequence[float], start_s: float, end_s: float) -> float:
    """Frames a second within the window."""
    return sum(start_s <= frame < end_s for frame in frames_s) / (end_s - start_s)


def longest_stand_s(frames_s: Sequence[float], start_s: float, end_s: float) -> float:
    """The longest time within the window for which one picture, or none, stood there."""
    shown = [start_s, *(frame for frame in frames_s if start_s <= frame < end_s), end_s]
    return max(after - before for before, after in pairwise(shown))
