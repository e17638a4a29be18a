"""Viewers with networks of all kinds, and what the camera they watch is asked to send."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from media.encoding_plan import (
    COMES_BACK_S,
    COMMISSIONED,
    KEYFRAME_DUE_S,
    PAUSED_AFTER_S,
    SETTLES_S,
    STILLS_BPS,
    EncodingPlan,
    payload_bps,
)
from media.encodings import UNLIMITED_BPS, Shown

RIDS = ("low", "mid", "high")


@dataclass
class Planned:
    rids: tuple[str, ...] = RIDS
    now: float = 0.0
    plan: EncodingPlan = field(init=False)
    changes: int = 0  # of the orders, so far

    def __post_init__(self) -> None:
        self.plan = EncodingPlan(self.rids)

    def run(
        self,
        seconds: float,
        *shares: int,
        shown: Shown = "less",
        recorded: bool = False,
        best_bps: int = 0,
    ) -> dict[str, int]:
        """The orders in force after so many seconds with viewers of these shares, who are all shown this."""
        viewers = {str(place): share for place, share in enumerate(shares)}
        for _ in range(max(1, round(seconds * 10))):
            before = self.plan.orders
            orders = self.plan.handle_viewers(
                viewers,
                shown=dict.fromkeys(viewers, shown),
                is_recorded=recorded,
                best_bps=best_bps,
                now=self.now,
            )
            self.changes += orders is not before
            self.now += 0.1
        return {order.rid: order.max_bitrate_bps for order in self.plan.orders}


@pytest.mark.parametrize(
    ("shares", "recorded", "best_bps", "orders"),
    [
        ((), True, 1_500_000, (0, 0, UNLIMITED_BPS)),
        ((), False, 0, (0, 0, 0)),
        ((UNLIMITED_BPS,), False, 1_500_000, (0, 0, UNLIMITED_BPS)),
        ((300_000,), False, 0, (0, 0, payload_bps(300_000))),
        ((300_000,), True, 1_500_000, (payload_bps(300_000), 0, UNLIMITED_BPS)),
        ((300_000, 250_000), True, 1_500_000, (payload_bps(250_000), 0, UNLIMITED_BPS)),
        ((300_000, 80_000), True, 1_500_000, (payload_bps(80_000), payload_bps(300_000), UNLIMITED_BPS)),
        ((UNLIMITED_BPS, 300_000), False, 1_500_000, (payload_bps(300_000), 0, UNLIMITED_BPS)),
        ((UNLIMITED_BPS, 900_000), False, 600_000, (0, 0, UNLIMITED_BPS)),
        ((500_000, 450_000), False, 0, (0, 0, payload_bps(450_000))),
        ((300_000, 20_000), True, 1_500_000, (payload_bps(300_000), 0, UNLIMITED_BPS)),
        ((20_000,), True, 1_500_000, (payload_bps(STILLS_BPS), 0, UNLIMITED_BPS)),
    ],
)
def test_what_viewers_and_recorder_need_is_sent(
    shares: tuple[int, ...], recorded: bool, best_bps: int, orders: tuple[int, ...]
) -> None:
    planned = Planned().run(PAUSED_AFTER_S + 1, *shares, recorded=recorded, best_bps=best_bps)
    assert tuple(planned.values()) == orders


@pytest.mark.parametrize(
    ("shares", "recorded", "for_stills"),
    [
        ((20_000,), True, {"low"}),
        ((20_000,), False, {"high"}),
        ((300_000, 20_000), True, set()),
        ((300_000,), True, set()),
        ((), True, set()),
    ],
)
def test_an_encoding_that_is_sent_for_stills_alone_is_told_so(
    shares: tuple[int, ...], recorded: bool, for_stills: set[str]
) -> None:
    planned = Planned()
    planned.run(PAUSED_AFTER_S + 1, *shares, recorded=recorded, best_bps=1_500_000)
    assert {order.rid for order in planned.plan.orders if order.for_stills} == for_stills
    before = planned.changes
    planned.run(PAUSED_AFTER_S - 1, recorded=recorded, best_bps=1_500_000)
    assert planned.changes == before, "nobody needs it, and it goes on as it is"
    planned.run(2, recorded=recorded, best_bps=1_500_000)
    assert not any(order.for_stills for order in planned.plan.orders)


def test_stills_keep_their_size_while_a_share_hovers_about_the_least_that_moves() -> None:
    planned = Planned()
    stills = planned.run(3, 20_000, recorded=True, best_bps=1_500_000)
    for share in (38_000, 30_000, 41_000, 20_000):
        assert planned.run(2, share, recorded=True, best_bps=1_500_000) == stills
    assert planned.run(2, 45_000, recorded=True, best_bps=1_500_000)["low"] == payload_bps(45_000)
    assert planned.run(2, 38_000, recorded=True, best_bps=1_500_000)["low"] == payload_bps(38_000)


def test_who_sees_stills_for_a_moment_moves_nobody_else() -> None:
    """An encoding of theirs becomes that of the others only if they do not come back."""
    planned = Planned()
    apart = planned.run(2, 230_000, 45_000, recorded=True, best_bps=1_500_000)
    assert (apart["low"], apart["mid"]) == (payload_bps(45_000), payload_bps(230_000))
    for share in (30_000, 44_000, 0, 45_000):
        wavers = planned.run(3, 230_000, share, recorded=True, best_bps=1_500_000)
        assert abs(wavers["low"] - payload_bps(share)) <= 4_000 and wavers["mid"] == apart["mid"]
    assert planned.run(COMES_BACK_S - 1, 230_000, 30_000, recorded=True, best_bps=1_500_000)["low"] < 30_000
    left = planned.run(PAUSED_AFTER_S + 2, 230_000, 30_000, recorded=True, best_bps=1_500_000)
    assert (left["low"], left["mid"]) == (payload_bps(230_000), 0)


def test_who_saw_a_moving_picture_is_given_time_to_come_back_to_it() -> None:
    """Another order for stills would be another size, and begin the recorded encoding anew, too."""
    planned = Planned()
    planned.run(3, 45_000, recorded=True, best_bps=1_500_000)
    for share in (30_000, 40_000, 20_000, 36_000):
        assert planned.run(4, share, recorded=True, best_bps=1_500_000)["low"] < payload_bps(45_000)
    assert planned.run(COMES_BACK_S - 1, 30_000, recorded=True, best_bps=1_500_000)["low"] < 30_000
    assert planned.run(2, 30_000, recorded=True, best_bps=1_500_000)["low"] == payload_bps(STILLS_BPS)


def test_who_is_shown_stills_for_long_is_sent_stills() -> None:
    """Whatever the share says meanwhile: keyframes of a small moving picture would be the worst of both."""
    planned = Planned()
    moving = planned.run(3, 45_000, recorded=True, best_bps=1_500_000)
    still = planned.run(COMES_BACK_S - 1, 38_000, shown="stills", recorded=True, best_bps=1_500_000)
    assert still["low"] < moving["low"]
    still = planned.run(2, 38_000, shown="stills", recorded=True, best_bps=1_500_000)
    assert still["low"] == payload_bps(STILLS_BPS)
    assert planned.run(1, 44_000, shown="stills", recorded=True, best_bps=1_500_000) == still, (
        "not yet moving"
    )
    assert planned.run(1, 44_000, recorded=True, best_bps=1_500_000)["low"] == payload_bps(44_000)


@pytest.mark.parametrize("share", [45_000, 100_000, 300_000, 900_000])
@pytest.mark.parametrize("period_s", [2, 4, 6])
def test_a_viewer_whose_network_wavers_hardly_ever_changes_the_orders(share: int, period_s: int) -> None:
    """Each change costs the recorded encoding a sixth of its bits for a second, in libwebrtc."""
    planned = Planned()
    planned.run(5, share, recorded=True, best_bps=1_500_000)
    before = planned.changes
    for tick in range(400):  # the sawtooth of an estimate: up by a quarter, back at once
        climbed = 1 + 0.25 * (tick / 10 % period_s) / period_s
        planned.run(0.1, int(share * climbed), recorded=True, best_bps=1_500_000)
    assert planned.changes - before <= 40 / 10
    assert planned.plan.orders[0].max_bitrate_bps >= payload_bps(share)


def test_who_is_shown_the_best_whole_with_little_to_spare_takes_little_of_its_uplink() -> None:
    """A lesser encoding is at hand for when they fall, and grows when they have."""
    planned = Planned()
    assert planned.run(8, 1_550_000, recorded=True, best_bps=1_600_000)["low"] > 1_000_000
    at_hand = planned.run(2, 1_550_000, shown="best", recorded=True, best_bps=1_600_000)["low"]
    assert 200_000 < at_hand < 1_600_000 / 3
    before = planned.changes
    for best_bps in (1_500_000, 1_700_000, 1_600_000, 1_450_000) * 5:
        planned.run(1, 1_550_000, shown="best", recorded=True, best_bps=best_bps)
    assert planned.changes - before <= 2
    assert planned.run(1, 1_500_000, recorded=True, best_bps=1_600_000)["low"] > 1_000_000


def test_a_weak_viewer_never_lowers_the_recording() -> None:
    planned = Planned()
    for share in (UNLIMITED_BPS, 300_000, 20_000, 0, 100_000):
        assert planned.run(3, share, recorded=True, best_bps=1_500_000)["high"] == UNLIMITED_BPS


def test_who_is_about_to_join_the_best_encoding_raises_no_lesser_one_above_it() -> None:
    planned = Planned()
    planned.run(3, 300_000, recorded=True, best_bps=1_000_000)
    for _ in range(20):
        assert planned.run(0.1, UNLIMITED_BPS, recorded=True, best_bps=1_000_000)["low"] < 1_000_000
    assert planned.run(PAUSED_AFTER_S + 1, UNLIMITED_BPS, recorded=True, best_bps=1_000_000)["low"] == 0


def test_cuts_go_out_at_once_and_raises_once_a_second() -> None:
    planned = Planned()
    planned.run(3, UNLIMITED_BPS)
    assert planned.run(0.1, 200_000)["high"] == payload_bps(200_000)
    assert planned.run(0.9, 400_000)["high"] == payload_bps(200_000)
    assert planned.run(0.3, 400_000)["high"] == payload_bps(400_000)
    assert planned.run(3, 420_000)["high"] == payload_bps(400_000), "not worth an event"


def test_a_cut_that_was_more_than_was_needed_is_made_good_at_once_and_once_a_second() -> None:
    planned = Planned()
    planned.run(3, UNLIMITED_BPS)
    planned.run(3, 400_000)
    assert planned.run(0.1, 250_000)["high"] == payload_bps(250_000)
    assert planned.run(0.1, 400_000)["high"] == payload_bps(400_000)
    assert planned.run(0.1, 250_000)["high"] == payload_bps(250_000)
    assert planned.run(0.5, 400_000)["high"] == payload_bps(250_000)
    assert planned.run(0.5, 400_000)["high"] == payload_bps(400_000)


def test_orders_that_do_not_change_are_the_same_object() -> None:
    planned = Planned()
    planned.run(3, 300_000)
    before = planned.plan.orders
    planned.run(3, 301_000)
    assert planned.plan.orders is before


def test_an_encoding_that_nobody_needs_is_paused_after_a_while_and_says_when() -> None:
    planned = Planned()
    planned.run(3, 300_000, recorded=True, best_bps=1_500_000)
    assert planned.run(1, recorded=True, best_bps=1_500_000)["low"] > 0
    assert planned.plan.next_deadline == pytest.approx(2.9 + PAUSED_AFTER_S)
    assert planned.run(PAUSED_AFTER_S, recorded=True, best_bps=1_500_000)["low"] == 0


def test_who_hardly_carries_the_best_does_not_come_and_go() -> None:
    planned = Planned()
    planned.run(3, 1_400_000, recorded=True, best_bps=1_500_000)
    before = planned.plan.orders
    for share in (1_550_000, 1_450_000, 1_600_000, 1_400_000) * 4:
        planned.run(1, share, recorded=True, best_bps=1_500_000)
    assert planned.plan.orders[0].max_bitrate_bps >= before[0].max_bitrate_bps
    assert planned.run(8, 1_800_000, recorded=True, best_bps=1_500_000)["low"] == 0


def test_a_sole_encoding_goes_as_low_as_makes_sense_for_all() -> None:
    sole = Planned(("high",))
    assert sole.run(1, UNLIMITED_BPS, 300_000)["high"] == payload_bps(300_000)
    assert sole.run(3, UNLIMITED_BPS, 40_000)["high"] == payload_bps(150_000)
    assert sole.run(3, 40_000)["high"] == payload_bps(40_000)
    assert sole.run(3, 40_000, recorded=True)["high"] == UNLIMITED_BPS


def test_a_camera_without_names_has_no_orders_but_a_limit() -> None:
    nameless = Planned(())
    assert nameless.run(1, 300_000) == {} and nameless.plan.orders == ()
    assert nameless.plan.best_bps == payload_bps(300_000)


@pytest.mark.parametrize("wire_bps", [40_000, 100_000, 300_000, 1_000_000, 2_400_000])
def test_what_is_ordered_fits_with_its_headers_and_uses_most_of_the_share(wire_bps: int) -> None:
    ordered = payload_bps(wire_bps)
    packets = max(12, ordered / 8 / 1_150)
    assert 0.93 * wire_bps <= ordered + packets * 62 * 8 <= 0.96 * wire_bps or wire_bps < 50_000


def test_what_an_encoding_will_have_is_known_before_it_comes() -> None:
    planned = Planned()
    planned.run(1, UNLIMITED_BPS, recorded=True, best_bps=1_500_000)
    assert planned.plan.settling_bps("low", planned.now) == 0
    began = planned.now
    planned.run(0.1, 70_000, recorded=True, best_bps=1_500_000)
    assert planned.plan.settling_bps("low", planned.now) == round(COMMISSIONED * 70_000)
    assert planned.plan.keyframe_due("low") == began + KEYFRAME_DUE_S
    assert planned.plan.settling_bps("high", planned.now) == 0, "it goes on as it was"
    planned.run(SETTLES_S, 69_000, recorded=True, best_bps=1_500_000)
    assert planned.plan.settling_bps("low", planned.now) == 0, "by now it can be measured"
    planned.run(0.1, 35_500, recorded=True, best_bps=1_500_000)
    assert planned.plan.settling_bps("low", planned.now) == round(COMMISSIONED * 35_500)
