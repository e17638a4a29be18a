"""Whether packets are lost because of what we send, or anyway: loss attributed by trial.

The draft's loss-based controller (draft-ietf-rmcat-gcc §6) takes all loss above 10 % for congestion and none
below 2 %. A radio link that loses 12 % of anything starves under it, and a policer that drops 8 % of what is
too much is never found. Here loss is put to the question. More of it than the network is known to lose at any
rate, and no queue that would explain it: then the target goes down to what arrives, and it is looked again.

    loss gone                  it was ours: the target stays, and grows again from there
    as much lost as before     it was not: the target is given back, and so much counts as the network's own

On radio links losses come in runs, and five packets lost in one tell hardly more than one: what is chance is
told by as many fewer packets as runs spread what is lost (`spread`).

What counts as the network's own falls as soon as less is lost, and is put to the question again now and then:
who was wrong about a policer must not stay wrong. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal

Verdict = Literal["nothing", "try", "doubt", "ours", "not_ours"]

FRACTION_S = 1.0  # `fraction` looks back so far
MILD, HEAVY = 0.025, 0.08  # excess that is put to the question; draft §6: below 2 % nothing is
MILD_PACKETS, HEAVY_PACKETS = 60, 20  # so many tell them from chance
MILD_S = 1.0  # nor do packets of one burst, however many
BLOCK_S, LONGEST_BLOCK_S = 2.0, 4.0  # few packets: judge what there is; where losses come in runs, later
SETTLE_S = 0.3  # behind a cut: what waited in the pacer leaves faster than the target
TRIAL_PACKETS, TRIAL_S = 30, 0.6  # sent behind that: what the outcome rests on
TRIAL_LOST = 6  # and would as much be lost as before, so many had to be
OBEYED, PATIENCE_S = (
    1.05,
    3.0,
)  # of the target was sent at most; a source that has not followed by then, won't
CHANCE = 2.0  # standard deviations
SAME_LOSS = 0.5  # of the loss before: at 0.9 of the rate a policer loses nothing
MOST_INHERENT = 0.5  # nobody watches a network that loses more
DOUBT_S, LONGEST_DOUBT_S = 10.0, 60.0  # so long what was attributed stands: each doubt costs a second of 5 %
RUNS, LONGEST_RUN = 8.0, 6.0  # so many of late are averaged; beyond that nothing would be decided
FORGET = 0.3  # a block with less loss pulls what counts as the network's own so far down


@dataclass(slots=True)
class _Trial:
    fraction: float  # what was lost before
    known: float  # and how much of it nobody doubts
    before_bps: float  # the target that was cut
    since: float
    has_settled: bool = False  # what was sent before is gone, and the lower rate is


class LossBound:
    """`fraction` is what was lost in the last second, `inherent` what is lost at any rate."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self.inherent = 0.0
        self._recent: deque[tuple[float, int, int]] = deque()
        self._recent_expected = self._recent_lost = 0
        self._run_packets, self._runs = 0.0, 0.0  # of late, old ones counting for less
        self._expected = self._lost = 0  # of the block that is open
        self._block_since = 0.0
        self._trial: _Trial | None = None
        self._doubt_at, self._doubt_s = inf, DOUBT_S
        self._trial_from = (0, 0.0)
        self._from = 0  # packets before this number were sent at another rate

    @property
    def is_trying(self) -> bool:
        return self._trial is not None

    @property
    def is_more_than_usual(self) -> bool:
        """Too much to send more, too little yet to send less (draft §6: between 2 % and 10 %)."""
        expected = self._recent_expected
        return expected >= HEAVY_PACKETS and self._is_more(self.fraction, expected / self.spread, MILD)

    def begin_anew(self, number: int, now: float) -> None:
        """What is sent from this number on is another matter: the rate changed, or feedback was missing."""
        self._from = number
        self._expected = self._lost = 0
        self._block_since = now

    def abandon(self, number: int, now: float) -> None:
        """A queue explains the loss, and was answered: nothing to try."""
        self._trial = None
        self.begin_anew(number, now)

    @property
    def spread(self) -> float:
        """How many packets tell as much as one would if each was lost by itself: the variance of how many are
        lost, over what it is without runs (Gilbert's model).
        """
        if self._runs < 1.0:
            return 1.0
        mean_run = min(self._run_packets / self._runs, LONGEST_RUN)
        return max(1.0, 2 * mean_run * (1 - self.fraction) - 1)

    def handle_feedback(self, expected: int, lost: int, runs: int, highest: int, now: float) -> None:
        """Of `expected` more packets, up to number `highest`, so many did not arrive, in so many runs; late
        ones count -1.
        """
        if runs:
            kept = (1 - 1 / RUNS) ** runs
            self._run_packets = kept * self._run_packets + lost
            self._runs = kept * self._runs + runs
        recent = self._recent
        recent.append((now, expected, lost))
        self._recent_expected += expected
        self._recent_lost += lost
        while recent[0][0] < now - FRACTION_S:
            _, was_expected, was_lost = recent.popleft()
            self._recent_expected -= was_expected
            self._recent_lost -= was_lost
        if self._recent_lost > 0 and self._recent_expected > 0:
            self.fraction = min(self._recent_lost / self._recent_expected, 1.0)
        else:
            self.fraction = 0.0
        if highest >= self._from:
            self._expected += expected
            self._lost += lost

    def judge(self, number: int, sent_bytes: int, target_bps: float, now: float) -> Verdict:
        """What the block that is open shows. `number` is the next to be sent, `sent_bytes` what was so far.
        Behind "try" and "doubt" the caller cuts, the latter to what arrives whatever counts as the network's.
        """
        expected = self._expected
        age = now - self._block_since
        spread = self.spread
        patience_s = min(BLOCK_S * sqrt(spread), LONGEST_BLOCK_S)
        told = expected / spread  # as many, each lost by itself, would tell as much
        if told < HEAVY_PACKETS and age < patience_s:
            return "nothing"
        if expected <= 0:  # nothing was told of what was sent since
            self.abandon(number, now)
            return "nothing"
        fraction = min(max(self._lost / expected, 0.0), 1.0)
        trial = self._trial
        if trial is not None:
            if not trial.has_settled:
                if now - trial.since >= SETTLE_S:
                    trial.has_settled = True
                    self._trial_from = (sent_bytes, now)
                    self.begin_anew(number, now)
                return "nothing"
            enough = max(TRIAL_PACKETS, TRIAL_LOST / max(trial.fraction - trial.known, 0.01))
            if (told < enough or age < TRIAL_S) and age < patience_s:
                return "nothing"
            began_bytes, began = self._trial_from
            if (sent_bytes - began_bytes) * 8 > OBEYED * target_bps * (now - began):
                if now - trial.since < PATIENCE_S:
                    trial.has_settled = False
                    return "nothing"
                self.abandon(number, now)
                return "nothing"
            return self._decide(trial, fraction, target_bps, number, now)
        if self.inherent > MILD and now >= self._doubt_at and told >= HEAVY_PACKETS:
            self._doubt_at = now + self._doubt_s
            self._doubt_s = min(2 * self._doubt_s, LONGEST_DOUBT_S)
            self._trial = _Trial(max(fraction, self.inherent), 0.0, target_bps, now)
            self.begin_anew(number, now)
            return "doubt"
        if self._is_more(fraction, told, HEAVY) or (
            told >= MILD_PACKETS and age >= MILD_S and self._is_more(fraction, told, MILD)
        ):
            # It was looked for at its worst: of what was lost so much may be the chance of long runs.
            chance = CHANCE * sqrt(fraction * (1 - fraction) * (spread - 1) / expected)
            self._trial = _Trial(max(fraction - chance, self.inherent), self.inherent, target_bps, now)
            self.begin_anew(number, now)
            return "try"
        if (told >= MILD_PACKETS and age >= MILD_S) or age >= patience_s:
            if self.inherent - fraction > CHANCE * sqrt(self.inherent / told):
                self.inherent += FORGET * (fraction - self.inherent)
            self.begin_anew(0, now)
        return "nothing"

    def _decide(self, trial: _Trial, fraction: float, target_bps: float, number: int, now: float) -> Verdict:
        self._trial = None
        self.begin_anew(number, now)
        # A policer lets the same through as before, so of less that is sent it drops this:
        policed = max(1 - (1 - trial.fraction) * trial.before_bps / target_bps, trial.known)
        if fraction - policed > SAME_LOSS * (trial.fraction - policed):
            if trial.known > 0.0 or self.inherent == 0.0:
                self._doubt_at, self._doubt_s = now + DOUBT_S, DOUBT_S
            self.inherent = min(max(self.inherent, (fraction + trial.fraction) / 2), MOST_INHERENT)
            return "not_ours"
        self.inherent = min(self.inherent, fraction)
        return "ours"

    def _is_more(self, fraction: float, told: float, excess: float) -> bool:
        chance = CHANCE * sqrt(max(self.inherent, 0.01) / told) + 1 / told
        return fraction - self.inherent > max(excess, chance)
