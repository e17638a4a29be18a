"""When something of a person that does not arrive becomes a gap of the log: a machine for one stay in a call.

    there ── absent ── for NOTICED_AFTER_S ──> GapBegan ── back ── for STEADY_AFTER_S ──> GapOver
      ▲         │                                 │ ▲
      └─ back ──┘  too short to tell              └─┘ away again before that: the same gap goes on

Only what had been there can be missing: who joins without a camera leaves no gap. While the network is gone
the other causes rest: nobody can know whether the microphone is off.

The network is noticed at once: a connection that is silent has been so for seconds, and one that is gone was
lost, however soon the next one came.

The log cannot be flooded. Two gaps of one cause are at least STEADY_AFTER_S apart: a link that flaps, or a
page that says now this and now that, makes one long gap. One stay logs at most MAX_LOGGED of them; what goes
beyond is counted in `sum` all the same. Pure.
"""

from collections.abc import Set
from dataclasses import dataclass

from signaling.entries import GapCause

NOTICED_AFTER_S = 1.0  # shorter is a camera that was turned, or a tap that was taken back; not of the network
STEADY_AFTER_S = 2.0  # a link that comes back for less was not back
MAX_LOGGED = 100  # 200 entries a stay: an hour of a network that fails every half minute


@dataclass(frozen=True, slots=True, kw_only=True)
class GapBegan:
    cause: GapCause
    began: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GapOver:
    cause: GapCause
    began: float
    ended: float


Output = GapBegan | GapOver


@dataclass(slots=True)
class _Watch:
    """One cause."""

    there: bool = False  # it has been there in this stay
    began: float | None = None
    back: float | None = None
    noticed: bool = False
    logged: bool = False


class Gaps:
    """The gaps of one stay."""

    def __init__(self) -> None:
        self._watches: dict[GapCause, _Watch] = {}
        self._logged = 0
        self._count = 0
        self._past_s = 0.0

    def handle_reading(
        self, *, present: Set[GapCause], absent: Set[GapCause], now: float, since: float | None = None
    ) -> list[Output]:
        """What is there and what is not; in neither is what has not begun, or what nobody can know now. To be
        called when something changes, and about once a second for what is due; `since` is when what is newly
        absent was last there, if that is known better than by `now`.
        """
        outputs: list[Output] = []
        if "network" in absent:
            present, absent = present & {"network"}, absent & {"network"}
        for cause in sorted(present | absent):
            watch = self._watches.setdefault(cause, _Watch())
            if cause in absent:
                outputs += self._miss(cause, watch, now, now if since is None else min(since, now))
            else:
                outputs += self._find(cause, watch, now)
        return outputs

    def sum(self, now: float) -> tuple[int, float]:
        """How many gaps there were, and how many seconds they lasted together."""
        going_on = [
            (now if watch.back is None else watch.back) - watch.began
            for watch in self._watches.values()
            if watch.noticed and watch.began is not None
        ]
        return self._count, self._past_s + sum(going_on)

    def _miss(self, cause: GapCause, watch: _Watch, now: float, since: float) -> list[Output]:
        watch.back = None
        if not watch.there:
            return []
        if watch.began is None:
            watch.began = since
        if watch.noticed or (cause != "network" and now - watch.began < NOTICED_AFTER_S):
            return []
        watch.noticed = True
        self._count += 1
        watch.logged = self._logged < MAX_LOGGED
        if not watch.logged:
            return []
        self._logged += 1
        return [GapBegan(cause=cause, began=watch.began)]

    def _find(self, cause: GapCause, watch: _Watch, now: float) -> list[Output]:
        watch.there = True
        if watch.began is None:
            return []
        if not watch.noticed:
            watch.began = None
            return []
        if watch.back is None:
            watch.back = now
        if now - watch.back < STEADY_AFTER_S:
            return []
        over = GapOver(cause=cause, began=watch.began, ended=watch.back)
        self._past_s += watch.back - watch.began
        logged, watch.began, watch.back, watch.noticed, watch.logged = watch.logged, None, None, False, False
        return [over] if logged else []
