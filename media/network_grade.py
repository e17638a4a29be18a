"""How good one way between a participant and the relay is: three levels, and the only home of the thresholds.

    readings, one a second ──> NetworkGrade ──> good │ fair │ weak
                                    falls with the first bad reading,
                                    rises after three better ones in a row

A level is shown to people as a word, so it must not flicker: a burst of loss is told at once, and the
all-clear only once it has lasted. Pure.
"""

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "fair", "weak"]
LEVELS: tuple[Level, ...] = ("good", "fair", "weak")  # from the best

FAIR_LOSS = 0.03  # repair by retransmission begins to cost time
WEAK_LOSS = 0.10  # pictures stall between repairs; Vonage asks for less than half of it
FAIR_ROUND_TRIP_S = 0.3  # ITU-T G.114: 150 ms one way is where talk begins to suffer
WEAK_ROUND_TRIP_S = 0.6  # people begin to talk over each other
FAIR_JITTER_S = 0.1  # a jitter buffer that waits for it makes every answer a tenth of a second late
WEAK_JITTER_S = 0.25  # longer than most jitter buffers wait: late packets are lost ones
READINGS_TO_RISE = 3  # seconds of better network before the word changes: a burst comes back within two


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeReading:
    """One way, at one moment. `loss` is 0 to 1 before repair, None where too few packets went to say.
    `pictures`: how it is for what is shown at its end, where less is sent than there is because of this way:
    a network that is asked for no more than it carries loses nothing, and is weak all the same.
    """

    loss: float | None
    round_trip_s: float | None
    jitter_s: float
    silent: bool = False
    pictures: Level = "good"


class NetworkGrade:
    """The level of one way, with hysteresis."""

    __slots__ = ("_better", "level")

    def __init__(self) -> None:
        self.level: Level = "good"
        self._better: list[Level] = []  # the readings in a row that were better than `level`

    def handle_reading(self, reading: GradeReading) -> Level:
        """The level from now on."""
        now = level_of(reading)
        if LEVELS.index(now) >= LEVELS.index(self.level):
            self.level = now
            self._better = []
            return now
        self._better.append(now)
        if len(self._better) >= READINGS_TO_RISE:
            self.level = worst(*self._better)
            self._better = []
        return self.level


def level_of(reading: GradeReading) -> Level:
    """What this reading alone says."""
    return worst(reading.pictures, _level_of_packets(reading))


def _level_of_packets(reading: GradeReading) -> Level:
    loss, round_trip_s, jitter_s = reading.loss or 0.0, reading.round_trip_s or 0.0, reading.jitter_s
    if reading.silent or loss >= WEAK_LOSS or round_trip_s >= WEAK_ROUND_TRIP_S or jitter_s >= WEAK_JITTER_S:
        return "weak"
    if loss >= FAIR_LOSS or round_trip_s >= FAIR_ROUND_TRIP_S or jitter_s >= FAIR_JITTER_S:
        return "fair"
    return "good"


def worst(*levels: Level) -> Level:
    """The worst of them."""
    return max(levels, key=LEVELS.index)
