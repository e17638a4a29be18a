"""Which cameras of a call shall prefer detail to movement, and until when.

    somebody asks, or a frame is taken ──> sharp ── SHARP_S after the last of them ──> as before

Sharp pictures come slowly, and what moves is lost: so it is asked for, and it ends by itself. Pure.
"""

from math import inf

from media.allowance import Allowance
from signaling.values import ActorId

SHARP_S = 8.0  # to hold a label still, have it read, and ask again if it was not long enough
ASKS_AT_ONCE = 4  # an impatient thumb
ASKS_PER_S = 1.0  # whoever holds the button down need not repeat it faster


class Sharpness:
    """The cameras of one call, by the people whose they are."""

    def __init__(self) -> None:
        self._until: dict[ActorId, float] = {}
        self._asks: dict[ActorId, Allowance] = {}

    def __contains__(self, actor_id: ActorId) -> bool:
        return actor_id in self._until

    @property
    def next_deadline(self) -> float:
        """When the next of them is over; infinity if none is sharp."""
        return min(self._until.values(), default=inf)

    def handle_ask(self, asker: ActorId, of: ActorId, now: float) -> bool:
        """Somebody asks for detail: whether that is news. Who asks too often is not heard."""
        allowance = self._asks.setdefault(asker, Allowance(burst=ASKS_AT_ONCE, per_second=ASKS_PER_S))
        return allowance.take(1, now) == 1 and self.handle_need(of, now)

    def handle_need(self, of: ActorId, now: float) -> bool:
        """A picture is being taken: whether it is news that this camera shall be sharp."""
        is_news = of not in self._until
        self._until[of] = now + SHARP_S
        return is_news

    def handle_timeout(self, now: float) -> list[ActorId]:
        """Whose cameras were sharp long enough."""
        over = [actor_id for actor_id, until in self._until.items() if until <= now]
        for actor_id in over:
            del self._until[actor_id]
        return over

    def forget(self, actor_id: ActorId) -> bool:
        """They have left: whether their camera was sharp."""
        self._asks.pop(actor_id, None)
        return self._until.pop(actor_id, None) is not None
