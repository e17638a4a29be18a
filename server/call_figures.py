"""How the calls of this process have been since it started: what Prometheus asks for. Counters alone; pure.

readings, one a second and person ──> what legs carry, how long packets wait, what became of pictures
stays, at their end ──────────────> how much of the watching was live, stills or nothing; switches
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from media.encodings import LegQuality, Picture
from signaling.entries import PictureSum

# The rates that the rate table of the benchmark has, and what lies around them.
ESTIMATE_BPS = (
    30e3, 64e3, 100e3, 150e3, 300e3, 500e3, 700e3, 1e6, 1.5e6, 2e6, 3e6, 5e6, 10e6, 20e6,
)  # fmt: skip
WAITING_S = (0.0, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0)  # 0.15: where talk begins to suffer
SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
SWITCHES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


class Histogram:
    """Counts by upper bound, which belongs to its own bucket, as Prometheus has it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Of each bound how many are not above it; the last has no bound."""
        counted, cumulative = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            counted += count
            cumulative.append((bound, float(counted)))
        return cumulative


class CallFigures:
    """Of everybody who was in a call."""

    def __init__(self) -> None:
        self.sent_estimate_bps = Histogram(ESTIMATE_BPS)
        self.received_estimate_bps = Histogram(ESTIMATE_BPS)
        self.waiting_s = Histogram(WAITING_S)
        self.picture_s: dict[Picture, float] = {"live": 0.0, "stills": 0.0, "paused": 0.0}
        self.picture_shares: dict[Picture, Histogram] = {
            "live": Histogram(SHARES),
            "stills": Histogram(SHARES),
            "paused": Histogram(SHARES),
        }
        self.switches = Histogram(SWITCHES)

    def handle_reading(
        self, leg: LegQuality | None, sent_estimate_bps: int | None, pictures_s: Mapping[Picture, float]
    ) -> None:
        """Of one person; `sent_estimate_bps` is their page's word, where the relay has none, and
        `pictures_s` how long they have watched since the reading before.
        """
        if sent_estimate_bps is not None:
            self.sent_estimate_bps.observe(sent_estimate_bps)
        if leg is not None and leg.received_estimate_bps is not None and leg.received_limit != "start":
            self.received_estimate_bps.observe(leg.received_estimate_bps)
        if leg is not None and leg.waiting_s is not None:
            self.waiting_s.observe(leg.waiting_s)
        for picture, seconds in pictures_s.items():
            self.picture_s[picture] += seconds

    def handle_end(self, watched: PictureSum | None) -> None:
        """Of one stay; None: they watched nobody."""
        if watched is None:
            return
        times: dict[Picture, int] = {
            "live": watched.live_ms,
            "stills": watched.stills_ms,
            "paused": watched.paused_ms,
        }
        whole_ms = sum(times.values())
        for picture, time_ms in times.items():
            self.picture_shares[picture].observe(time_ms / whole_ms if whole_ms else 0.0)
        self.switches.observe(watched.switches)
