"""A browser that slows down for loss, in networks that lose for two reasons, on virtual time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.inherent_loss import CREDIT, MOST, InherentLoss
from media.rtp import Ssrc
from media.uplink_feedback import UplinkFeedback

TICK_S = 0.1
PACKET_BYTES, SOUND_BYTES, SOUNDS = 1_000, 150, 5  # a tick has so many packets of sound
START_BPS, LEAST_BPS, MOST_BPS = 300_000, 30_000, 2_500_000
GROWTH = 1.08  # a second: draft-ietf-rmcat-gcc §5.5
BALANCE_BPS, BORNE = 15_000, 0.05  # libwebrtc's loss-based estimate: no more than BALANCE / (loss - BORNE)
REMEMBERED = 50  # ticks of which it averages the loss


@dataclass
class Sender:
    """A browser, and what it is told of its packets."""

    feedback: UplinkFeedback = field(default_factory=lambda: UplinkFeedback(ssrc=Ssrc(1)))
    random: Random = field(default_factory=lambda: Random(7))
    rate_bps: float = START_BPS
    now: float = 10.0
    number: int = 0
    told: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def run(self, seconds: float, *, loss: float = 0.0, policed_bps: float = 1e9) -> list[float]:
        """The rates at which it sends, tick by tick: beyond `policed_bps` everything is lost at once."""
        rates: list[float] = []
        for _ in range(round(seconds / TICK_S)):
            pictures = max(1, round(self.rate_bps * TICK_S / 8 / PACKET_BYTES))
            sizes = [PACKET_BYTES] * pictures + [SOUND_BYTES] * SOUNDS
            beyond = max(0.0, 1 - policed_bps * TICK_S / 8 / sum(sizes))
            for place, size_bytes in enumerate(sizes):
                self.number = (self.number + 1) & 0xFFFF
                if self.random.random() >= 1 - (1 - loss) * (1 - beyond):
                    at = self.now + place * TICK_S / len(sizes)
                    self.feedback.handle_arrival(self.number, size_bytes, at)
            self.now += TICK_S
            self._listen()
            rates.append(self.rate_bps)
        return rates

    def _listen(self) -> None:
        received = lost = 0
        while self.feedback.next_deadline <= self.now:
            for packet in self.feedback.handle_timeout(self.feedback.next_deadline):
                received += sum(arrived is not None for arrived in packet.arrivals)
                lost += sum(arrived is None for arrived in packet.arrivals)
        self.told.append((received, lost))
        received, lost = (sum(column) for column in zip(*self.told, strict=True))
        told_loss = lost / max(1, received + lost)
        self.rate_bps *= GROWTH**TICK_S
        if told_loss > BORNE:
            self.rate_bps = min(self.rate_bps, BALANCE_BPS / (told_loss - BORNE))
        self.rate_bps = min(max(self.rate_bps, LEAST_BPS), MOST_BPS)


def mean(rates: list[float]) -> float:
    return sum(rates) / len(rates)


@pytest.mark.parametrize(
    ("loss", "least_bps"), [(0.1, 400_000), (0.2, 300_000), (0.3, 250_000), (0.5, 120_000)]
)
def test_a_network_that_loses_of_anything_is_used(loss: float, least_bps: int) -> None:
    sender = Sender()
    sender.run(20, loss=loss)
    assert mean(sender.run(60, loss=loss)) >= least_bps


@pytest.mark.parametrize("policed_bps", [100_000, 200_000, 300_000, 700_000])
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_what_a_policer_drops_is_told(policed_bps: int, loss: float) -> None:
    sender = Sender()
    sender.run(30, loss=loss, policed_bps=policed_bps)
    assert mean(sender.run(60, loss=loss, policed_bps=policed_bps)) <= 1.25 * policed_bps / (1 - loss)


def test_a_policer_that_comes_later_is_found() -> None:
    sender = Sender()
    sender.run(40, loss=0.2)
    sender.run(10, loss=0.2, policed_bps=200_000)
    assert mean(sender.run(40, loss=0.2, policed_bps=200_000)) <= 1.25 * 200_000 / 0.8


def test_a_network_that_recovers_is_told_of_everything_again() -> None:
    inherent = InherentLoss()
    for tick in range(100):  # loud, then quiet
        sent = 40 if tick < 30 else 15
        inherent.handle_arrivals(sent, 3 * sent // 10, 700 * sent, tick * TICK_S)
    assert 0.2 < inherent.fraction < 0.35 and inherent.takes(1)
    for tick in range(100, 150):
        inherent.handle_arrivals(30, 0, 30_000, tick * TICK_S)
    assert inherent.fraction == 0 and not inherent.takes(1)


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1), st.floats(0, 30)), max_size=60))
def test_never_more_is_hidden_than_is_lost(steps: list[tuple[int, float, float]]) -> None:
    inherent, now = InherentLoss(), 0.0
    lost_in_all = hidden = 0
    for expected, share, elapsed in steps:
        now += elapsed
        lost = int(share * expected)
        inherent.handle_arrivals(expected, lost, 1_000 * (expected - lost), now)
        assert 0 <= inherent.fraction <= MOST
        hidden += sum(inherent.takes(1) for _ in range(lost))
        lost_in_all += lost
    assert hidden <= lost_in_all and not inherent.takes(int(CREDIT) + 1)
