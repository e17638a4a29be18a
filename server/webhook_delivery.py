"""The deliveries to one endpoint: what is sent when, what is tried again, what is given up.

    the log, leaf by leaf ── Look ──> fresh ──┐           ┌─ accepted ──> settled
                                              ├── Send ───┼─ failed ────> a letter on disk, due later
    letters on disk ─────── ReadDue ──> due ──┘           ├─ failed, no attempt left ──> a dead letter
                                                          └─ gone (410) ──> the endpoint is disabled

All leaves before `cursor` are settled or letters; the cursor on disk never runs ahead of that, so that who
dies in between sends some again and loses none. Fresh entries and letters have places of their own: neither
waits for the other. What waits lies on disk: here are only the numbers of a few hundred leaves.

Pure: no clock, no chance, no socket. Times are the wall clock's, because letters outlive the process.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.store.webhook_rows import Letter, Settled

# Before the second attempt, the third, and so on: a restart, a deployment, a night, a weekend and a day. The
# table that Standard Webhooks recommends, with two steps more.
BACK_OFF_S = (
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
)
JITTER = 0.2  # of a delay, added at most: what failed together does not come back together
MAX_FRESH = 8  # at the same time; a receiver is somebody's web server, not a benchmark
MAX_RETRIES = 4  # at the same time, each of which may hang until its timeout
LOOK_LEAVES = 512  # in one reading of the log, about 1 ms
MAX_AHEAD = 1024  # leaves between the cursor and what is looked at: as many are sent again after a crash


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Make attempt number `attempt`."""

    leaf_index: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Which of the leaves from `first` to before `end` concern the endpoint and are no letters yet?"""

    first: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDue:
    """Read the `limit` letters that are due first, and tell all of them."""

    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Keep what came of an attempt, if of one, and the cursor."""

    settled: Settled | None
    cursor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disable:
    """The receiver wants no more of this. Nothing follows."""

    reason: str


Output = Send | Look | ReadDue | Store | Disable


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """2xx."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Any other answer, or none."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """410: Standard Webhooks says "The endpoint is no longer valid"."""

    error: str


Outcome = Accepted | Failed | Gone


class Delivery:
    """One endpoint. Outputs are to be performed in their order, and answered before the next input."""

    def __init__(self, *, cursor: int, log_size: int) -> None:
        # A log that was restored from an older backup is shorter than what was sent of the lost one.
        self._next_leaf = self._stored_cursor = min(cursor, log_size)
        self._log_size = log_size
        self._ready: deque[int] = deque()
        self._fresh: dict[int, None] = {}  # in flight, ascending
        self._retries: dict[int, int] = {}  # in flight: attempts with this one
        # When the earliest letter is due that is not in flight. At first nobody knows.
        self._next_due_at: datetime | None = None
        self._due_known = False
        self._looking = False
        self._reading = False
        self._stopping = False
        self._disabled = False

    @property
    def cursor(self) -> int:
        """All before it is settled, a letter, or no concern of the endpoint."""
        if self._fresh:
            return next(iter(self._fresh))
        return self._ready[0] if self._ready else self._next_leaf

    @property
    def next_deadline(self) -> datetime | None:
        """When `handle_time` has something to do; None: not before another input."""
        if self._disabled or self._stopping or self._reading or len(self._retries) >= MAX_RETRIES:
            return None
        return self._next_due_at

    @property
    def finished(self) -> bool:
        """After `handle_stop`: nothing is in flight, and nothing of the log is left."""
        if self._disabled:
            return True
        idle = not self._fresh and not self._retries and not self._ready
        return self._stopping and idle and self._next_leaf >= self._log_size

    def begin(self, now_at: datetime) -> list[Output]:
        """The first input."""
        return self._go_on(now_at)

    def handle_log_size(self, log_size: int, now_at: datetime) -> list[Output]:
        """So many leaves are signed now."""
        self._log_size = log_size
        return self._go_on(now_at)

    def handle_time(self, now_at: datetime) -> list[Output]:
        """`next_deadline` has passed, or may have."""
        return self._go_on(now_at)

    def handle_looked(self, leaves: Sequence[int], end: int, now_at: datetime) -> list[Output]:
        """The answer to `Look`."""
        self._looking = False
        self._next_leaf = end
        self._ready.extend(leaves)
        outputs: list[Output] = []
        if self.cursor - self._stored_cursor >= LOOK_LEAVES:  # a filter that seldom lets anything through
            outputs.append(self._store(None))
        return outputs + self._go_on(now_at)

    def handle_due(self, letters: Sequence[Letter], now_at: datetime) -> list[Output]:
        """The answer to `ReadDue`: waiting letters, the earliest first."""
        self._reading = False
        self._due_known = True
        self._next_due_at = None
        outputs: list[Output] = []
        for letter in letters:
            if letter.leaf_index in self._retries:
                continue
            assert letter.due_at is not None
            if letter.due_at > now_at or len(self._retries) >= MAX_RETRIES:
                self._next_due_at = letter.due_at
                break
            attempt = letter.attempts + 1
            self._retries[letter.leaf_index] = attempt
            outputs.append(Send(leaf_index=letter.leaf_index, attempt=attempt))
        return outputs + self._go_on(now_at)

    def handle_outcome(
        self, leaf_index: int, outcome: Outcome, jitter: float, now_at: datetime
    ) -> list[Output]:
        """What came of a `Send`; `jitter` from 0 to 1."""
        if self._disabled or not (leaf_index in self._fresh or leaf_index in self._retries):
            return []
        if isinstance(outcome, Gone):
            self._disabled = True
            return [Disable(reason=outcome.error)]
        known = leaf_index in self._retries
        attempts = self._retries.pop(leaf_index, 1)
        self._fresh.pop(leaf_index, None)
        letter = None
        if isinstance(outcome, Failed):
            due_at = _due_at(attempts, jitter, now_at)
            letter = Letter(leaf_index=leaf_index, attempts=attempts, due_at=due_at, error=outcome.error)
            if due_at is not None and (self._next_due_at is None or due_at < self._next_due_at):
                self._next_due_at = due_at
        stored = self._store(Settled(leaf_index=leaf_index, letter=letter, known=known))
        return [stored, *self._go_on(now_at)]

    def handle_revived(self, now_at: datetime) -> list[Output]:
        """Letters were made due by somebody else."""
        self._due_known = False
        return self._go_on(now_at)

    def handle_stop(self) -> list[Output]:
        """Only what is in flight or fresh is still sent; letters wait for the next start."""
        self._stopping = True
        cursor = self.cursor
        return [] if self._disabled or cursor == self._stored_cursor else [self._store(None)]

    def _store(self, settled: Settled | None) -> Store:
        self._stored_cursor = self.cursor
        return Store(settled=settled, cursor=self._stored_cursor)

    def _go_on(self, now_at: datetime) -> list[Output]:
        outputs: list[Output] = []
        if self._disabled:
            return outputs
        while self._ready and len(self._fresh) < MAX_FRESH:
            leaf_index = self._ready.popleft()
            self._fresh[leaf_index] = None
            outputs.append(Send(leaf_index=leaf_index, attempt=1))
        near = self._next_leaf - self.cursor < MAX_AHEAD
        if not self._looking and not self._ready and self._next_leaf < self._log_size and near:
            self._looking = True
            end = min(self._log_size, self._next_leaf + LOOK_LEAVES)
            outputs.append(Look(first=self._next_leaf, end=end))
        due = not self._due_known or (self._next_due_at is not None and self._next_due_at <= now_at)
        if due and not self._reading and not self._stopping and len(self._retries) < MAX_RETRIES:
            self._reading = True
            # Those in flight are still on disk as they were: one more than all places together is enough.
            outputs.append(ReadDue(limit=MAX_RETRIES + 1))
        return outputs


def _due_at(attempts: int, jitter: float, now_at: datetime) -> datetime | None:
    """When to try again after so many attempts; None: never."""
    if attempts > len(BACK_OFF_S):
        return None
    return now_at + timedelta(seconds=BACK_OFF_S[attempts - 1] * (1 + JITTER * jitter))
