"""Receivers with budgets on virtual time, and what they get of cameras, of such that follow orders too."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.allocation import (
    ENOUGH_BPS,
    LIVE_AFTER_S,
    PAUSED_BELOW_BPS,
    STILLS_AFTER_S,
    STILLS_BELOW_BPS,
    Allocation,
    Choice,
    LayerRate,
)
from media.encoding_plan import EncodingPlan
from media.encodings import UNLIMITED_BPS

TICK_S = 0.1
HIGH = LayerRate("high", 1_500_000, (700_000, 1_000_000, 1_500_000))
LOW = LayerRate("low", 200_000, (100_000, 140_000, 200_000))
PAUSED_LOW = LayerRate("low", 0)
FLAT = LayerRate("high", 600_000)


@dataclass
class Leg:
    """One receiver on virtual time; `passed` are the choices, told again only when they change."""

    allocation: Allocation = field(default_factory=Allocation)
    now: float = 0.0
    passed: list[tuple[float, dict[str, Choice]]] = field(default_factory=list)

    def run(self, seconds: float, budget_bps: int, **watched: list[LayerRate]) -> dict[str, Choice]:
        choices: dict[str, Choice] = {}
        for _ in range(round(seconds / TICK_S)):
            choices = self.allocation.handle_budget(budget_bps, watched, self.now)
            if not self.passed or self.passed[-1][1] != choices:
                self.passed.append((round(self.now, 3), choices))
            self.now += TICK_S
        return choices


def test_who_has_room_gets_the_best_encoding_whole_and_at_once() -> None:
    assert Leg().run(0.1, 2_000_000, a=[LOW, HIGH]) == {"a": Choice("high", None, "live", "best")}


def test_temporal_layers_go_at_once_and_the_lesser_encoding_follows() -> None:
    leg, cut_to_measure = Leg(), LayerRate("low", 750_000)
    leg.run(5, 2_000_000, a=[LOW, HIGH])
    assert leg.run(0.1, 850_000, a=[LOW, HIGH])["a"] == Choice("high", 2, "live", "network")
    assert leg.run(1, 850_000, a=[LOW, HIGH])["a"].rid == "high", "a fifth of the rate is no gain"
    assert leg.run(2, 850_000, a=[cut_to_measure, HIGH])["a"] == Choice("low", None, "live", "network")


def test_a_budget_that_collapses_stops_what_does_not_fit_at_once_and_waits_for_what_does() -> None:
    leg = Leg()
    leg.run(5, 2_000_000, a=[PAUSED_LOW, HIGH])
    assert leg.run(0.1, 250_000, a=[PAUSED_LOW, HIGH])["a"] == Choice(None, None, "live", "switching")
    assert leg.run(0.1, 250_000, a=[LOW, HIGH])["a"] == Choice("low", None, "live", "network")


def test_where_no_lesser_encoding_comes_stills_take_its_place() -> None:
    leg = Leg()
    leg.run(5, 2_000_000, a=[HIGH])
    assert leg.run(5, 250_000, a=[HIGH])["a"] == Choice("high", None, "stills", "network")
    assert leg.run(0.1, 2_000_000, a=[HIGH])["a"].picture == "live"


def test_the_sawtooth_of_an_estimate_interrupts_no_picture_without_layers() -> None:
    leg = Leg()
    leg.run(3, 640_000, a=[FLAT])
    for _ in range(10):
        assert leg.run(0.3, 544_000, a=[FLAT])["a"].rid == "high"
        assert leg.run(2, 640_000, a=[FLAT])["a"].rid == "high"
    assert leg.run(3, 544_000, a=[FLAT])["a"].rid is None, "a queue that grows and grows"


def test_up_goes_only_who_has_room_for_a_while_and_waits_longer_after_a_failure() -> None:
    leg = Leg()
    leg.run(2, 250_000, a=[LOW, HIGH])
    assert leg.run(10, 1_600_000, a=[LOW, HIGH])["a"].rid == "low", "it would fit, without room to spare"
    assert leg.run(1.9, 1_800_000, a=[LOW, HIGH])["a"].rid == "low"
    assert leg.run(0.3, 1_800_000, a=[LOW, HIGH])["a"].rid == "high"
    leg.run(1, 250_000, a=[LOW, HIGH])
    assert leg.run(3.9, 1_800_000, a=[LOW, HIGH])["a"].rid == "low"
    assert leg.run(0.3, 1_800_000, a=[LOW, HIGH])["a"].rid == "high"


def test_layers_that_turn_up_in_what_was_passed_whole_are_passed() -> None:
    leg = Leg()
    leg.run(3, 2_000_000, a=[LayerRate("high", 1_500_000)])
    assert leg.run(0.1, 2_000_000, a=[HIGH])["a"] == Choice("high", None, "live", "best")
    assert leg.run(0.1, 850_000, a=[HIGH])["a"].temporal_layers == 2, "as far as they fit"


def test_a_camera_that_is_off_takes_little_of_a_narrow_network() -> None:
    leg = Leg()
    leg.run(6, 70_000, a=[LayerRate("low", 60_000)], b=[LayerRate("high", 0)])
    assert leg.allocation.shares_bps["a"] >= 0.9 * 70_000
    assert leg.run(0.1, 70_000, a=[LayerRate("low", 60_000)], b=[LayerRate("high", 0)])["a"].picture == "live"
    leg.run(0.1, 70_000, a=[LayerRate("low", 60_000)], b=[LayerRate("high", 30_000)])
    assert leg.allocation.shares_bps == {"a": 35_000, "b": 35_000}, "and its part as soon as it is on"


@pytest.mark.parametrize(
    ("budget_bps", "picture"),
    [
        (STILLS_BELOW_BPS, "live"),
        (STILLS_BELOW_BPS - 1, "stills"),
        (PAUSED_BELOW_BPS, "stills"),
        (PAUSED_BELOW_BPS - 1, "paused"),
        (0, "paused"),
    ],
)
def test_below_the_floor_stills_and_then_nothing(budget_bps: int, picture: str) -> None:
    tiny = LayerRate("low", 30_000)
    leg = Leg()
    leg.run(STILLS_AFTER_S - 0.2, budget_bps, a=[tiny, HIGH])
    assert "paused" not in {choices["a"].picture for _, choices in leg.passed}, (
        "an estimate that dips is no pause"
    )
    assert leg.run(2.5, budget_bps, a=[tiny, HIGH])["a"].picture == picture


def test_a_live_picture_comes_back_by_itself_once_there_has_been_room_for_a_while() -> None:
    leg = Leg()
    leg.run(3, 20_000, a=[LayerRate("low", 45_000), HIGH])
    assert leg.run(LIVE_AFTER_S - 0.1, 60_000, a=[LayerRate("low", 45_000), HIGH])["a"].picture == "stills"
    assert leg.run(0.3, 60_000, a=[LayerRate("low", 45_000), HIGH])["a"].picture == "live"
    leg.run(3, 5_000, a=[LayerRate("low", 45_000), HIGH])
    assert leg.run(2.3, 20_000, a=[LayerRate("low", 45_000), HIGH])["a"].picture == "stills"


def test_who_fell_back_to_stills_at_once_waits_longer_for_the_next_try() -> None:
    """Each try is another encoding for them, and costs them a still."""
    leg, waits = Leg(), list[float]()
    layers = [LayerRate("low", 45_000), HIGH]
    for _ in range(5):
        leg.run(STILLS_AFTER_S + 1, 20_000, a=layers)
        began = leg.now
        while leg.run(TICK_S, 60_000, a=layers)["a"].picture == "stills":
            pass
        waits.append(leg.now - began)
    assert waits == pytest.approx([LIVE_AFTER_S, 2, 4, 8, 8], abs=2 * TICK_S)
    leg.run(60, 60_000, a=layers)
    leg.run(STILLS_AFTER_S + 1, 20_000, a=layers)
    assert leg.run(LIVE_AFTER_S + 2 * TICK_S, 60_000, a=layers)["a"].picture == "live", (
        "it went well for long"
    )


def test_what_a_share_has_borne_of_late_is_told() -> None:
    leg = Leg()
    leg.run(3, 2_000_000, a=[LOW, HIGH])
    assert leg.allocation.shown == {"a": "best"}
    leg.run(0.5, 850_000, a=[LOW, HIGH])
    assert leg.allocation.shown == {"a": "best"}, "a layer is left out for a moment"
    leg.run(1, 850_000, a=[LOW, HIGH])
    assert leg.allocation.shown == {"a": "less"}
    leg.run(4, 20_000, a=[LOW, HIGH])
    assert leg.allocation.shown == {"a": "stills"}


def test_stills_are_of_the_best_encoding_whose_keyframes_come_through_in_time() -> None:
    leg = Leg()
    assert leg.run(2, 20_000, a=[LOW, LayerRate("high", 160_000)])["a"].rid == "high"
    assert leg.run(2, 20_000, a=[LOW, HIGH])["a"].rid == "low"
    assert leg.run(0.1, 20_000, a=[PAUSED_LOW, HIGH])["a"].rid == "high", "there is no other"


def test_an_encoding_cut_to_measure_is_taken_without_room_to_spare() -> None:
    mid = LayerRate("mid", 220_000)
    leg = Leg()
    leg.run(3, 230_000, a=[LayerRate("low", 45_000), LayerRate("mid", 0), HIGH])
    assert leg.run(2.3, 230_000, a=[LayerRate("low", 45_000), mid, HIGH])["a"].rid == "mid"


@pytest.mark.parametrize("has_layers", [True, False])
def test_noise_and_keyframes_in_what_is_measured_stop_no_picture(has_layers: bool) -> None:
    leg, chance = Leg(), random.Random(1)
    for tick in range(600):
        rate = int(200_000 * chance.uniform(0.85, 1.15) + 140_000 * (tick % 50 < 6))
        steps = (rate // 2, rate * 7 // 10, rate) if has_layers else ()
        leg.run(TICK_S, 215_000, a=[LayerRate("low", rate, steps), HIGH])
    later = [choices["a"] for at, choices in leg.passed if at > 5]
    assert {(choice.rid, choice.picture) for choice in later} <= {("low", "live")}
    assert len(later) <= 12


def test_two_people_share_and_neither_starves() -> None:
    leg = Leg()
    choices = leg.run(10, 500_000, a=[LOW, HIGH], b=[LOW, HIGH])
    assert {choice.rid for choice in choices.values()} == {"low"}
    assert leg.allocation.shares_bps == {"a": 250_000, "b": 250_000}
    assert leg.run(0.1, 2_000_000, a=[LOW, HIGH], b=[LOW, HIGH])["a"].reason == "shared"


def test_what_a_calm_picture_leaves_goes_to_the_other() -> None:
    leg = Leg()
    leg.run(8, 1_000_000, a=[LayerRate("high", 80_000)], b=[LOW, LayerRate("high", 700_000)])
    assert leg.allocation.shares_bps["b"] >= 850_000
    assert leg.run(0.1, 1_000_000, a=[LayerRate("high", 80_000)], b=[LOW, LayerRate("high", 700_000)])[
        "b"
    ] == Choice("high", None, "live", "best")


def test_a_camera_that_sends_nothing_is_said_to() -> None:
    assert Leg().run(1, 1_000_000, a=[PAUSED_LOW]) == {"a": Choice(None, None, "live", "not_sent")}


def test_who_has_enough_is_not_limited_and_wants_no_more_than_there_is() -> None:
    leg = Leg()
    leg.run(5, ENOUGH_BPS, a=[PAUSED_LOW, HIGH])
    assert leg.allocation.shares_bps == {"a": UNLIMITED_BPS}
    assert leg.allocation.wanted_bps == 1_500_000
    leg.run(1, 1_000_000, a=[PAUSED_LOW, HIGH])
    assert leg.allocation.wanted_bps == ENOUGH_BPS


@dataclass
class Camera:
    """It follows its orders within a third of a second, as libvpx does, if its uplink carries them."""

    most_bps: int
    plan: EncodingPlan = field(default_factory=lambda: EncodingPlan(("low", "mid", "high")))
    rates: dict[str, float] = field(default_factory=lambda: {"low": 0.0, "mid": 0.0, "high": 0.0})

    def follow(self) -> None:
        for order in self.plan.orders:
            wanted = min(order.max_bitrate_bps * 1.06, self.most_bps)
            self.rates[order.rid] += (wanted - self.rates[order.rid]) * 0.4
            if self.rates[order.rid] < 1_000:
                self.rates[order.rid] = 0.0

    def layers(self) -> list[LayerRate]:
        return [
            LayerRate(rid, int(rate), (int(rate * 0.5), int(rate * 0.7), int(rate)))
            for rid, rate in self.rates.items()
        ]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 4_000_000), min_size=1, max_size=3),
    st.lists(st.integers(30_000, 2_500_000), min_size=1, max_size=3),
    st.booleans(),
)
def test_with_constant_budgets_choices_and_orders_settle_and_shares_keep_to_the_budget(
    budgets: list[int], cameras: list[int], is_recorded: bool
) -> None:
    legs = [Allocation() for _ in budgets]
    senders = {str(number): Camera(most_bps) for number, most_bps in enumerate(cameras)}
    settled: list[tuple[object, ...]] = []
    for tick in range(900):
        now = tick * TICK_S
        told: list[object] = []
        for leg, budget in zip(legs, budgets, strict=True):
            choices = leg.handle_budget(budget, {key: each.layers() for key, each in senders.items()}, now)
            told.append({key: choice[:3] for key, choice in choices.items()})
            limited = [share for share in leg.shares_bps.values() if share != UNLIMITED_BPS]
            assert sum(limited) <= budget and min(leg.shares_bps.values()) >= 0
            assert leg.next_deadline > now
        for key, sender in senders.items():
            shares = {str(number): leg.shares_bps[key] for number, leg in enumerate(legs)}
            shown = {str(number): leg.shown[key] for number, leg in enumerate(legs)}
            best_bps = int(sender.rates["high"])
            orders = sender.plan.handle_viewers(
                shares, shown=shown, is_recorded=is_recorded, best_bps=best_bps, now=now
            )
            told.append(orders)
            assert sender.plan.next_deadline > now
            sender.follow()
        settled.append(tuple(told))
    late = settled[500:]
    assert sum(one != other for one, other in pairwise(late)) <= 4, "it flaps"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-10, 1 << 64),
            st.dictionaries(
                st.sampled_from("abc"),
                st.lists(st.builds(LayerRate, st.sampled_from(["low", "high"]), st.integers(0, 1 << 40))),
            ),
            st.floats(0, 20),
        ),
        max_size=20,
    )
)
def test_whatever_is_measured_each_watched_has_a_choice(
    steps: list[tuple[int, dict[str, list[LayerRate]], float]],
) -> None:
    allocation, now = Allocation(), 0.0
    for budget_bps, watched, elapsed_s in steps:
        now += elapsed_s
        choices = allocation.handle_budget(budget_bps, watched, now)
        assert choices.keys() == watched.keys() == allocation.shares_bps.keys()
        limited = [share for share in allocation.shares_bps.values() if share != UNLIMITED_BPS]
        assert sum(limited) <= max(0, budget_bps)
        for sender, choice in choices.items():
            flowing = {layer.rid for layer in watched[sender] if layer.bitrate_bps}
            assert choice.rid is None or choice.rid in flowing


def test_one_look_that_finds_no_temporal_layers_takes_no_picture_away() -> None:
    """Behind a large keyframe, for instance, where the newest packets are all of the base layer."""
    leg = Leg()
    before = leg.run(6, 850_000, a=[PAUSED_LOW, HIGH])["a"]
    assert before == Choice("high", 2, "live", "network")
    for seconds in (0.1, 1.0):
        assert leg.run(seconds, 850_000, a=[PAUSED_LOW, HIGH._replace(base_steps=())])["a"] == before
        assert leg.run(3, 850_000, a=[PAUSED_LOW, HIGH])["a"] == before
    without = leg.run(4, 850_000, a=[PAUSED_LOW, HIGH._replace(base_steps=())])["a"]
    assert without.rid is None or without.picture == "stills", "a stream that has none any more does not fit"
