"""A measured rate without the peaks of its keyframes: what an encoding takes, not what it took just now.

A keyframe doubles what half a second holds, and is over before anybody could do something about it: the pacer
spreads it. So a rise counts once it has lasted, by the median of a while; a fall counts as soon as it is no
longer noise. Pure.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low

RISES_AFTER_S = 1.6  # its half is longer than a keyframe stands in a measurement of half a second
FALLS_AFTER_S = 0.3
MAX_READINGS = 64  # one in 25 ms: more often nobody looks


class SteadyRate:
    """One encoding's."""

    __slots__ = ("_readings", "bitrate_bps")

    def __init__(self) -> None:
        self.bitrate_bps = 0
        self._readings: deque[tuple[float, int]] = deque(maxlen=MAX_READINGS)

    def handle_reading(self, bitrate_bps: int, now: float) -> int:
        """The rate from now on. 0 is no rate: what begins again is not what it was."""
        readings = self._readings
        if bitrate_bps <= 0:
            readings.clear()
            self.bitrate_bps = 0
            return 0
        readings.append((now, bitrate_bps))
        while readings[0][0] < now - RISES_AFTER_S:
            readings.popleft()
        lasting_bps = median_low(bitrate for _, bitrate in readings)
        latest_bps = max(bitrate for at, bitrate in readings if at >= now - FALLS_AFTER_S)
        self.bitrate_bps = min(lasting_bps, latest_bps)
        return self.bitrate_bps
