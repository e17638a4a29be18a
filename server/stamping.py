"""One time-stamping authority: when it is asked for a token of the newest checkpoint.

    the log grows ────────────┐            ┌─ interval_s after the last token
    a moment that matters ────┼─> Ask when ┼─ at once, GAP_S after the last token at least
    what came of the last ask ┘            └─ after a failure: by BACK_OFF_S, whatever else happens

A token of the newest checkpoint covers every leaf before it: moments that come together share one, and
nothing has to be asked for twice. What was missed while an authority failed is covered by the next token.

Pure: no clock, no chance, no socket. `now` is monotonic seconds.
"""

from dataclasses import dataclass

# Between two tokens for moments: a burst of rulings and exports shares one, no authority sees a flood, and an
# export does not wait much longer for its own.
GAP_S = 1.0
# After the first failure, the second, and so on; the last one from then on.
BACK_OFF_S = (5.0, 30.0, 120.0, 600.0)
JITTER = 0.2  # of a delay, added at most: what failed together does not come back together


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask for a token of the newest checkpoint; then `handle_stamped` or `handle_failed`."""


class Stamping:
    """One authority. `stamped_size`: the size of the newest checkpoint that it has stamped, 0 for none."""

    def __init__(self, *, stamped_size: int, log_size: int, interval_s: float) -> None:
        self.stamped_size = stamped_size
        self.failures = 0  # in a row
        self._log_size = log_size
        self._interval_s = interval_s
        self._wished_size = 0  # what a moment wants to be covered
        self._stamped: float | None = None  # when the last token came, None: not in this process
        self._retry = 0.0
        self._asking = False

    @property
    def next_deadline(self) -> float | None:
        """When `handle_time` has something to do; None: not before another input. It may have passed."""
        if self._asking or self._log_size <= self.stamped_size:
            return None
        if self.failures:
            return self._retry
        if self._stamped is None:
            return 0.0
        wished = self._wished_size > self.stamped_size
        return self._stamped + (min(GAP_S, self._interval_s) if wished else self._interval_s)

    def handle_log_size(self, log_size: int, now: float) -> list[Ask]:
        """So many leaves are signed now."""
        self._log_size = max(self._log_size, log_size)
        return self.handle_time(now)

    def handle_moment(self, tree_size: int, now: float) -> list[Ask]:
        """Something happened that is to be stamped soon, the last of the first `tree_size` leaves."""
        self._wished_size = max(self._wished_size, tree_size)
        return self.handle_log_size(tree_size, now)

    def handle_time(self, now: float) -> list[Ask]:
        """`next_deadline` has passed, or may have."""
        deadline = self.next_deadline
        if deadline is None or now < deadline:
            return []
        self._asking = True
        return [Ask()]

    def handle_stamped(self, tree_size: int, now: float) -> list[Ask]:
        """The authority gave a token of a checkpoint of this size."""
        self._asking = False
        self.failures = 0
        self.stamped_size = max(self.stamped_size, tree_size)
        self._stamped = now
        return self.handle_time(now)

    def handle_failed(self, jitter: float, now: float) -> list[Ask]:
        """It gave none, or one that does not hold; `jitter` from 0 to 1."""
        self._asking = False
        delay_s = BACK_OFF_S[min(self.failures, len(BACK_OFF_S) - 1)]
        self.failures += 1
        self._retry = now + delay_s * (1 + JITTER * jitter)
        return self.handle_time(now)
