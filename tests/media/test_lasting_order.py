"""What a viewer's network carries wavers; what is ordered of a camera for it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.lasting_order import CUT_LASTS_S, NOTICED_CUT, NOTICED_RAISE, RAISE_LASTS_S, LastingOrder

TICK_S = 0.1


@dataclass
class Ordered:
    """One encoding on virtual time; `orders` are those that were given, with their times."""

    order_bps: int
    now: float = 0.0
    lasting: LastingOrder = field(default_factory=LastingOrder)
    orders: list[tuple[float, int]] = field(default_factory=list)

    def run(self, seconds: float, wanted_bps: int) -> int:
        for _ in range(round(seconds / TICK_S)):
            noticed_bps = self.lasting.handle_wanted(wanted_bps, self.order_bps, self.now)
            if noticed_bps != self.order_bps:
                self.lasting.handle_order(self.order_bps, noticed_bps, self.now)
                self.order_bps = noticed_bps
                self.orders.append((round(self.now, 3), noticed_bps))
            self.now += TICK_S
        return self.order_bps


def test_a_dip_that_is_over_soon_cuts_nobody_and_one_that_lasts_does() -> None:
    ordered = Ordered(300_000)
    assert ordered.run(CUT_LASTS_S - TICK_S, 250_000) == 300_000
    assert ordered.run(1, 300_000) == 300_000
    ordered.run(0.3, 245_000)
    assert ordered.run(0.4, 255_000) == 255_000, "what would have been enough all the while"


def test_a_raise_lasts_before_it_is_ordered_and_is_what_was_wanted_all_the_while() -> None:
    ordered = Ordered(300_000)
    ordered.run(3, 400_000)
    assert ordered.run(RAISE_LASTS_S - 3 - TICK_S, 360_000) == 300_000
    assert ordered.run(0.3, 400_000) == 360_000
    ordered.run(4, 400_000)
    ordered.run(0.1, 360_000)
    assert ordered.run(2, 400_000) == 360_000, "it has to last anew"


@pytest.mark.parametrize("wanted_bps", [100_000, 235_000, 450_000, 2_000_000])
def test_what_is_far_is_ordered_at_once(wanted_bps: int) -> None:
    assert Ordered(300_000).run(TICK_S, wanted_bps) == wanted_bps


def test_little_is_never_far() -> None:
    ordered = Ordered(30_000)
    assert ordered.run(CUT_LASTS_S - TICK_S, 20_000) == 30_000
    assert ordered.run(0.3, 20_000) == 20_000
    assert Ordered(20_000).run(RAISE_LASTS_S - TICK_S, 31_000) == 20_000


def test_a_cut_that_was_too_deep_is_made_good_soon() -> None:
    ordered = Ordered(300_000, now=100.0)
    ordered.run(0.1, 150_000)
    assert ordered.run(CUT_LASTS_S + 2 * TICK_S, 180_000) == 180_000


def test_a_cut_that_a_raise_brought_is_not_made_good() -> None:
    ordered = Ordered(150_000, now=100.0)
    ordered.run(RAISE_LASTS_S + 2 * TICK_S, 200_000)
    assert ordered.run(1, 150_000) == 150_000
    assert ordered.run(RAISE_LASTS_S - TICK_S, 180_000) == 150_000
    assert ordered.run(0.3, 180_000) == 180_000


def test_the_sawtooth_of_an_estimate_changes_nothing() -> None:
    ordered = Ordered(100_000)
    for tick in range(1_000):
        ordered.run(TICK_S, 100_000 + 1_000 * (tick % 40))
    assert ordered.orders == []


def test_more_than_what_was_wanted_all_the_while_has_to_last_on_its_own() -> None:
    ordered = Ordered(300_000)
    ordered.run(1, 340_000)
    assert ordered.run(2 * RAISE_LASTS_S, 440_000) == 440_000
    assert [order for _, order in ordered.orders] == [340_000, 440_000]


@given(
    st.lists(st.tuples(st.integers(0, 1 << 33), st.floats(0.1, 20)), max_size=30),
    st.integers(1, 1 << 33),
    st.booleans(),
)
def test_whatever_is_wanted_for_long_is_ordered_nearly(
    steps: list[tuple[int, float]], last_bps: int, is_settled: bool
) -> None:
    """Where less was wanted just before, that lasts first: see the test above."""
    ordered = Ordered(300_000)
    for wanted_bps, seconds in steps:
        ordered.run(seconds, max(1, wanted_bps))
        assert ordered.lasting.deadline == inf or ordered.lasting.deadline > ordered.now - 2 * TICK_S
    if is_settled:
        ordered.run(TICK_S, ordered.order_bps)
    order_bps = ordered.run(RAISE_LASTS_S + 1 if is_settled else 2 * RAISE_LASTS_S + 1, last_bps)
    assert NOTICED_CUT * order_bps <= last_bps < NOTICED_RAISE * order_bps or last_bps == order_bps


@given(
    st.lists(st.tuples(st.floats(0.7, 1.6), st.floats(0.1, 8)), max_size=12),
    st.floats(0.7, 1.6),
    st.integers(2, 600_000),
)
def test_whatever_wavers_about_the_order_is_ordered_nearly_once_it_lasts(
    steps: list[tuple[float, float]], last: float, order_bps: int
) -> None:
    ordered = Ordered(order_bps)
    for share, seconds in steps:
        ordered.run(seconds, max(1, round(share * ordered.order_bps)))
    last_bps = max(1, round(last * ordered.order_bps))
    order_bps = ordered.run(2 * RAISE_LASTS_S + 1, last_bps)
    assert NOTICED_CUT * order_bps <= last_bps < NOTICED_RAISE * order_bps or last_bps == order_bps
