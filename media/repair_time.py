"""How much later than the others a packet comes that was lost and had to be sent again: what to wait for.

A receiver whose buffer is shorter than a repair takes shows a picture that stands still, although nothing is
missing in the end. How many rounds a repair takes depends on how many of the repairs are lost themselves.

Grows with the first reading that asks for it, and shrinks after ten that asked for less: who shortens a
buffer too soon is late again, and each change is seen and heard. Pure.
"""

# From which loss on, how many rounds leave about one packet in ten thousand behind, a picture in a minute:
# p^(n+1).
ROUNDS = ((0.4, 6), (0.22, 5), (0.12, 4), (0.05, 3), (0.01, 1))
NOTICE_S = 0.05  # a gap shows with the next picture, and is given a moment to close by itself
ROUND_MARGIN_S = 0.02  # for the clocks of both ends, in each round
STEP_MS = 50  # finer steps are changes that nobody gains from
LONGEST_MS = 1000  # beyond it a conversation is none: better a picture that stands still now and then
READINGS_TO_SHRINK = 10  # seconds: loss comes in waves


def repair_time_ms(loss: float, round_trip_s: float) -> int:
    """Milliseconds, in steps; 0 where hardly anything is lost. `loss` is 0 to 1."""
    rounds = next((count for from_loss, count in ROUNDS if loss >= from_loss), 0)
    if rounds == 0:
        return 0
    wait_ms = 1000 * (NOTICE_S + rounds * (round_trip_s + ROUND_MARGIN_S))
    return min(LONGEST_MS, STEP_MS * round(wait_ms / STEP_MS))


class RepairTime:
    """That of one way, held for a while. `wait_ms` is what the last readings asked for."""

    __slots__ = ("_shorter", "wait_ms")

    def __init__(self) -> None:
        self.wait_ms = 0
        self._shorter: list[int] = []  # readings in a row that asked for less

    def handle_reading(self, loss: float, round_trip_s: float) -> int:
        """About once a second; the time from now on."""
        asked_ms = repair_time_ms(loss, round_trip_s)
        if asked_ms >= self.wait_ms:
            self.wait_ms = asked_ms
            self._shorter = []
            return asked_ms
        self._shorter.append(asked_ms)
        if len(self._shorter) >= READINGS_TO_SHRINK:
            self.wait_ms = max(self._shorter)
            self._shorter = []
        return self.wait_ms
