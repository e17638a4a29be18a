"""The estimator on virtual networks: scripts of data, cases of RFC 8867 among them; and hostile feedback."""

from itertools import pairwise
from math import inf
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.bandwidth_estimator import CAP_BPS, DECREASE, FLOOR_BPS, BandwidthEstimator
from media.rtcp import TransportFeedback
from media.rtp import Ssrc
from tests.link import Conditions
from tests.media.rate_scenario import (
    START,
    Check,
    Do,
    Network,
    Policer,
    Run,
    Send,
    SendReno,
    Shape,
    Way,
    play,
)

DELAY_S = 0.04
FAST_BPS, SLOW_BPS = 2_000_000, 150_000
SEEDS = range(1, 6)


def link(
    rate_bps: float, *, loss: float = 0.0, jitter_s: float = 0.0, delay_s: float = DELAY_S
) -> Conditions:
    return Conditions(rate_bps=rate_bps, delay_s=delay_s, loss=loss, jitter_s=jitter_s)


@pytest.mark.parametrize("feedback_s", [0.05, 0.1, 0.25])
@pytest.mark.parametrize("rate_kbps", [100, 150, 300, 700, 2000])
def test_it_finds_what_the_network_carries_and_leaves_no_queue(rate_kbps: int, feedback_s: float) -> None:
    """RFC 8867 §5.1, in the steady state."""
    play(
        Shape(link(rate_kbps * 1000)),
        Send(way=Way(feedback_s=feedback_s)),
        Run(30),
        Check("at least 88 % is used", lambda network: network.use(last_s=20) >= 0.88),
        Check("95 % wait for less than 150 ms", lambda network: network.queue_s(last_s=20) <= 0.15),
    )


@pytest.mark.parametrize(
    ("rate_bps", "feedback_s"), [(70_000, 0.1), (100_000, 0.05), (100_000, 0.25), (150_000, 0.1)]
)
def test_the_end_of_a_narrow_link_is_remembered(rate_bps: int, feedback_s: float) -> None:
    """A tenth too much is much of what voice leaves of it: a picture that is told so is cut at once."""
    network = play(
        Shape(link(rate_bps)),
        Send(way=Way(feedback_s=feedback_s)),
        Run(60),
        Check("nearly all is used", lambda network: network.use(last_s=40) >= 0.97),
        Check("hardly anything waits", lambda network: network.queue_s(last_s=40) <= 0.06),
    )
    targets = [target for at, target in network.flows["ours"].targets if at >= network.now - 40]
    assert max(targets) <= rate_bps
    assert min(targets) >= 0.93 * rate_bps, "no cut"


@pytest.mark.parametrize(
    ("narrow_bps", "wide_bps", "phase_s"),
    [(60_000, 90_000, 0), (80_000, 130_000, 1), (100_000, 300_000, 2)],
)
def test_a_narrow_link_that_becomes_wider_is_found_to(narrow_bps: int, wide_bps: int, phase_s: float) -> None:
    play(
        Shape(link(narrow_bps)),
        Send(),
        Run(30 + phase_s),
        Shape(link(wide_bps), mark="wider"),
        Run(15),
        Check("within 6 s", lambda network: network.seconds_until(0.88 * wide_bps, since="wider") <= 6),
    )


def test_it_begins_fast() -> None:
    play(
        Shape(link(FAST_BPS), mark="begin"),
        Send(start_bps=300_000),
        Run(10),
        Check(
            "90 % within 3 s",
            lambda network: network.seconds_until(0.9 * FAST_BPS, since="begin") <= 3,
        ),
    )


def test_while_a_queue_drains_encoders_are_told_what_comes_then() -> None:
    """Draining is over in a moment: an encoder that is cut by it leaves out pictures for longer."""
    network = play(Shape(link(300_000)), Send(), Run(20), Shape(link(200_000)))
    estimator = network.flows["ours"].estimator
    said: list[tuple[int, int]] = []
    for _ in range(150):
        network.run(0.02)
        said.append((estimator.target_bps, estimator.lasting_bps))
    least, told = min(said)
    settled_bps = said[-1][0]
    assert least < 0.9 * settled_bps, "the target goes below what the link carries"
    assert 1.08 * least < told <= 1.02 * settled_bps, "and encoders are not told so"
    assert all(lasting >= target for target, lasting in said)
    assert said[-1][1] == settled_bps


@pytest.mark.parametrize(
    ("picture_s", "picture_bytes"), [(0.4, 3_000), (0.6, 3_000), (0.5, 3_600), (0.6, 3_600)]
)
def test_on_a_slow_link_a_picture_of_a_few_packets_is_no_queue(picture_s: float, picture_bytes: int) -> None:
    """Between two full packets even the luckiest packet of sound waits, and then all do for a moment."""

    def send_large_pictures(network: Network) -> None:
        flow = network.flows["ours"]
        flow.picture_s, flow.picture_bytes, flow.pace = picture_s, picture_bytes, 1.05

    play(
        Shape(link(SLOW_BPS)),
        Send(start_bps=140_000, wanted_bps=105_000, way=Way(feedback_s=0.062)),
        Do(send_large_pictures),
        Run(60),
        Check("no cut", lambda network: network.least_target(last_s=40) > 0.95 * SLOW_BPS),
        Check("and nothing waits long", lambda network: network.queue_s(last_s=40) <= 0.15),
    )


def test_a_repair_with_the_number_of_what_was_lost_hides_no_loss() -> None:
    """Each tenth packet of sound is lost, and sent again 0.1 s later because the receiver misses it."""
    estimator = BandwidthEstimator(start_bps=300_000, now=0.0)
    arrived: dict[int, float] = {}
    for number in range(500):
        now = number * 0.02
        estimator.handle_sent(number, 200, now)
        if number % 10 != 0:
            arrived[number] = now
        if number % 10 == 5:
            estimator.handle_lost(number - 5)
            arrived[number - 5] = now
        if number % 3 == 2:
            first, last = min(arrived), max(arrived)
            arrivals = tuple(arrived.get(at) for at in range(first, last + 1))
            count = number // 3 & 0xFF
            estimator.handle_feedback(
                TransportFeedback(
                    ssrc=Ssrc(1), media_ssrc=Ssrc(2), feedback_count=count, first=first, arrivals=arrivals
                ),
                now,
            )
            arrived.clear()
    assert estimator.loss == pytest.approx(0.1, abs=0.03)
    assert estimator.acknowledged_bps == pytest.approx(50 * 200 * 8 * 0.9, rel=0.1)


@pytest.mark.parametrize("slower_bps", [200_000, 230_000])
@pytest.mark.parametrize("phase_s", [0.0, 0.1, 0.5, 0.75, 1.0, 1.45])
def test_a_link_that_falls_a_little_is_not_taken_for_one_that_others_fill(
    slower_bps: int, phase_s: float
) -> None:
    """What it carried is measured while it falls: the first cut does not drain its queue."""
    play(
        Shape(link(300_000)),
        Send(),
        Run(20 + phase_s),
        Shape(link(slower_bps), mark="down"),
        Run(6),
        Check(
            "nobody goes back to what was",
            lambda network: all(
                bps < 1.2 * slower_bps
                for when, bps in network.flows["ours"].targets
                if when >= network.marks["down"] + 1
            ),
        ),
        Check("and it is used", lambda network: network.use(last_s=2) >= 0.8),
    )


def test_a_link_that_collapses_is_met_by_one_cut() -> None:
    network = play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=3_000_000),
        Run(20),
        Shape(link(SLOW_BPS), mark="down"),
        Run(0.65),  # its queue, 200 ms, is full first, and told of
        Check("then less is sent than it carries", lambda network: network.target() < SLOW_BPS),
        Check("and not much less", lambda network: network.target() > 0.7 * SLOW_BPS),
        Run(1.35),
        Check("it did not fall further", lambda network: network.least_target(last_s=1.35) > 0.7 * SLOW_BPS),
        Run(8),
        Check("then it is used", lambda network: network.use(last_s=7) >= 0.88),
        Check("and the queue is gone", lambda network: network.queue_s(last_s=7) <= 0.15),
    )
    collapse = [bps for when, bps in network.flows["ours"].targets if when >= network.marks["down"]]
    assert any(before > FAST_BPS / 2 and after < SLOW_BPS for before, after in pairwise(collapse)), (
        "no step stands between what the link was and what it is"
    )


def test_what_is_left_of_a_link_is_seen_by_the_few_packets_that_come() -> None:
    """One packet of 1,200 bytes takes 64 ms of it, about as long as from one feedback to the next."""
    play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=3_000_000, way=Way(feedback_s=0.06)),
        Run(20),
        Shape(link(150_000)),
        Run(0.4),
        Check("less is sent than it carries", lambda network: network.target() < 150_000),
    )


@pytest.mark.parametrize("feedback_s", [0.05, 0.06, 0.08, 0.1])
def test_what_is_left_of_a_link_is_soon_believed_whatever_the_moment(feedback_s: float) -> None:
    """Two feedbacks that say so are enough, and what they made of a few packets is not left as it is."""
    took_s: list[float] = []
    for moment in range(16):
        network = play(
            Shape(link(FAST_BPS)),
            Send(start_bps=1_000_000, wanted_bps=3_000_000, way=Way(feedback_s=feedback_s)),
            Run(20 + 0.009 * moment),
            Shape(link(150_000), mark="down"),
            Run(1),
        )
        down = network.marks["down"]
        took_s.append(
            next(at - down for at, bps in network.flows["ours"].targets if at > down and bps < 150_000)
        )
    assert sum(took_s) / len(took_s) < 0.23 + 1.4 * feedback_s
    assert max(took_s) < 0.45


@pytest.mark.parametrize("moment_s", [0.033, 0.044])
def test_a_suspicion_that_lasts_while_the_queue_drains_is_no_second_collapse(moment_s: float) -> None:
    """Or the target would be cut for the pace of the voice alone, and what drains not be measured."""

    def stop_pictures(network: Network) -> None:
        network.flows["ours"].sends_pictures = False

    play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=3_000_000, way=Way(feedback_s=0.07)),
        Run(20 + moment_s),
        Shape(link(150_000)),
        Run(0.25),
        Do(stop_pictures),
        Run(1),
        Check("what came out of the queue", lambda network: 0.87 * 150_000 < network.target() <= 150_000),
    )


def test_who_lost_most_of_a_link_is_not_given_it_back_as_others_filled_its_queue() -> None:
    """Repairs that nobody counts here, for instance: the queue stays while we send nothing but voice."""

    def fill(network: Network) -> None:
        def arrive() -> None:
            network.bottleneck.handle(300, network.now)

        flow = network.flows["ours"]
        flow.sends_pictures = False
        for place in range(70):
            network.at(network.now + 0.02 * place, arrive)

    play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=3_000_000),
        Run(20),
        Shape(link(150_000)),
        Run(0.45),
        Check("it was found to have collapsed", lambda network: network.target() < 150_000),
        Do(fill),
        Run(2.5),
        Check("and is not taken for what it was", lambda network: network.target() < 300_000),
    )


def test_a_network_that_recovers_is_found_again_within_eight_seconds() -> None:
    play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=3_000_000),
        Run(20),
        Shape(link(SLOW_BPS)),
        Run(15),
        Shape(link(FAST_BPS), mark="up"),
        Run(10),
        Check("90 % within 8 s", lambda network: network.seconds_until(0.9 * FAST_BPS, since="up") <= 8),
    )


def test_capacity_that_comes_and_goes_is_followed() -> None:
    """RFC 8867 §5.1: each phase of the variable capacity, at its end."""
    network = play(Shape(link(1_000_000)), Send(start_bps=300_000))
    for rate_bps in (1_000_000, 2_500_000, 600_000, 1_000_000):
        Shape(link(rate_bps)).play(network)
        Run(25).play(network)
        Check(f"{rate_bps} is used", lambda network: network.use(last_s=10) >= 0.88).play(network)
        Check(f"{rate_bps} has no queue", lambda network: network.queue_s(last_s=10) <= 0.15).play(network)


@pytest.mark.parametrize("rate_kbps", [600, 2000])
def test_two_of_ours_share_within_two_to_one(rate_kbps: int) -> None:
    """RFC 8867 §5.4."""

    def is_fair(network: Network) -> bool:
        rates = sorted(network.rate_bps(name, last_s=60) for name in ("ours", "other"))
        return rates[1] <= 2 * rates[0]

    play(
        Shape(link(rate_kbps * 1000)),
        Send(),
        Run(20),
        Send("other", first_number=7),
        Run(100),
        Check("within 2:1", is_fair),
        Check("and use what there is", lambda network: network.use(last_s=60) >= 0.88),
        Check("without a queue", lambda network: network.queue_s(last_s=60) <= 0.15),
    )


@pytest.mark.parametrize(("rate_kbps", "share"), [(600, 0.12), (2000, 0.25)])
def test_a_flow_that_knows_loss_alone_does_not_starve_us_nor_we_it(rate_kbps: int, share: float) -> None:
    """RFC 8867 §5.6, RFC 8836 §2.4: beside one that fills any queue."""
    play(
        Shape(link(rate_kbps * 1000)),
        Send(),
        Run(20),
        SendReno(),
        Run(100),
        Check("voice and a picture are ours", lambda network: network.use(last_s=60) >= share),
        Check(
            "a quarter is theirs",
            lambda network: network.rate_bps("reno", last_s=60) >= 0.25 * rate_kbps * 1000,
        ),
    )


@pytest.mark.parametrize("loss", [0.02, 0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("rate_kbps", [300, 2000])
def test_loss_that_is_not_ours_does_not_starve(rate_kbps: int, loss: float) -> None:
    play(
        Shape(link(rate_kbps * 1000, loss=loss)),
        Send(),
        Run(60),
        Check("most of it is used", lambda network: network.use(last_s=40) >= 0.8 * (1 - loss)),
    )


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("rate_kbps", [300, 2000])
def test_nor_does_loss_that_comes_in_bursts(rate_kbps: int, loss: float) -> None:
    """Of five packets: an average over networks, for chance has more to say."""
    conditions = Conditions(rate_bps=rate_kbps * 1000, delay_s=DELAY_S, loss=loss, mean_burst=5)
    networks = [play(Shape(conditions, seed=seed), Send(), Run(60)) for seed in SEEDS]
    assert mean(network.use(last_s=40) for network in networks) >= 0.75 * (1 - loss)


@pytest.mark.parametrize("rate_kbps", [300, 1000])
def test_a_policer_is_found_though_it_delays_nothing(rate_kbps: int) -> None:
    play(
        Shape(link(20_000_000), Policer(rate_bps=rate_kbps * 1000)),
        Send(),
        Run(60),
        Check(
            "most of it comes through",
            lambda network: network.rate_bps(last_s=40) >= 0.88 * rate_kbps * 1000,
        ),
        Check(
            "and nine tenths of what is sent",
            lambda network: network.mean_target(last_s=40) <= rate_kbps * 1000 / 0.9,
        ),
    )


@pytest.mark.parametrize("rate_kbps", [300, 2000])
def test_a_long_way_is_no_different(rate_kbps: int) -> None:
    """RFC 8836 §2.5: round trips of 400 ms."""
    play(
        Shape(link(rate_kbps * 1000, delay_s=0.2)),
        Send(way=Way(delay_s=0.2)),
        Run(60),
        Check("88 % is used", lambda network: network.use(last_s=40) >= 0.88),
        Check("without a queue", lambda network: network.queue_s(last_s=40) <= 0.15),
    )


@pytest.mark.parametrize("rate_kbps", [300, 2000])
def test_jitter_is_not_taken_for_a_queue(rate_kbps: int) -> None:
    play(
        Shape(link(rate_kbps * 1000, jitter_s=0.05)),
        Send(),
        Run(60),
        Check("80 % is used", lambda network: network.use(last_s=40) >= 0.8),
    )


@pytest.mark.parametrize("rate_kbps", [300, 2000])
def test_feedback_that_gets_lost_now_and_then_matters_little(rate_kbps: int) -> None:
    """RFC 8836 §2.6."""
    play(
        Shape(link(rate_kbps * 1000)),
        Send(way=Way(loss=0.3)),
        Run(60),
        Check("88 % is used", lambda network: network.use(last_s=40) >= 0.88),
        Check("it is no loss of packets", lambda network: network.flows["ours"].estimator.loss < 0.05),
    )


def answers(is_heard: bool) -> Do:
    def change(network: Network) -> None:
        network.flows["ours"].answers = is_heard

    return Do(change)


def test_feedback_that_stops_lets_the_rate_decay_gently_and_comes_back() -> None:
    play(
        Shape(link(FAST_BPS)),
        Send(),
        Run(20),
        answers(False),
        Run(1.2),
        Check("not at once", lambda network: network.target() > 0.6 * FAST_BPS),
        Run(3),
        Check("but then", lambda network: network.target() < 0.4 * FAST_BPS),
        Check("and says why", lambda network: network.flows["ours"].estimator.limit == "silence"),
        Run(60),
        Check("to the floor", lambda network: network.target() == FLOOR_BPS),
        Check("knows nothing", lambda network: not network.flows["ours"].estimator.has_feedback),
        Shape(link(FAST_BPS), mark="back"),
        answers(True),
        Run(10),
        Check("and is back in 8 s", lambda network: network.seconds_until(0.8 * FAST_BPS, since="back") <= 8),
    )


def has_moved(network: Network) -> None:
    network.flows["ours"].estimator.handle_move(network.now)


@pytest.mark.parametrize("wanted_bps", [600_000, 1_500_000, 3_000_000])
@pytest.mark.parametrize("new_delay_s", [DELAY_S, 3 * DELAY_S])
@pytest.mark.parametrize("dark_s", [0.05, 0.25, 0.9])
def test_what_was_sent_to_an_old_address_is_not_taken_for_too_much(
    dark_s: float, new_delay_s: float, wanted_bps: int
) -> None:
    """Nor is a longer way taken for a queue. Who wants more than there is finds its end now and then."""
    network = play(Shape(link(FAST_BPS)), Send(start_bps=1_000_000, wanted_bps=wanted_bps), Run(20))
    before = network.target() * (1 if wanted_bps < FAST_BPS else DECREASE)
    for step in (
        Shape(Conditions(loss=1.0)),
        Run(dark_s),
        Shape(link(FAST_BPS, delay_s=new_delay_s)),
        Do(has_moved),
        Run(2),
        Check("as much as before", lambda network: network.least_target(last_s=2) >= before),
    ):
        step.play(network)


@pytest.mark.parametrize("wanted_bps", [600_000, 1_500_000])
@pytest.mark.parametrize("feedback_s", [0.05, 0.1, 0.25])
@pytest.mark.parametrize("dark_s", [0.25, 0.5, 0.9])
def test_a_network_that_is_gone_for_a_moment_carries_as_much_as_before(
    dark_s: float, feedback_s: float, wanted_bps: int
) -> None:
    network = play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=wanted_bps, way=Way(feedback_s=feedback_s)),
        Run(20),
    )
    before = network.target()
    for step in (
        Shape(Conditions(loss=1.0)),
        Run(dark_s),
        Shape(link(FAST_BPS)),
        Run(2),
        Check("as much as before", lambda network: network.least_target(last_s=2) >= before),
    ):
        step.play(network)


@pytest.mark.parametrize("wanted_bps", [150_000, 600_000, 1_500_000])
@pytest.mark.parametrize("feedback_s", [0.05, 0.1])
@pytest.mark.parametrize("still_s", [0.22, 0.3, 0.5])
def test_a_phone_that_stood_still_for_a_moment_carries_as_much_as_before(
    still_s: float, feedback_s: float, wanted_bps: int
) -> None:
    """Its overdue answer speaks of the first few packets alone that it finds lying there: all have waited."""

    def stand_still(network: Network) -> None:
        network.flows["ours"].stands_still_until = network.now + still_s

    network = play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=wanted_bps, way=Way(feedback_s=feedback_s)),
        Run(20),
    )
    before = network.target()
    for moment in range(8):
        for step in (
            Do(stand_still),
            Run(2 + 0.011 * moment),
            Check("as much as before", lambda network: network.least_target(last_s=2) >= 0.9 * before),
        ):
            step.play(network)


def test_a_narrower_network_behind_a_move_is_met_as_any_that_collapses() -> None:
    play(
        Shape(link(FAST_BPS)),
        Send(start_bps=1_000_000, wanted_bps=3_000_000),
        Run(20),
        Shape(Conditions(loss=1.0)),
        Run(0.25),
        Shape(link(SLOW_BPS)),
        Do(has_moved),
        Run(1),
        Check("less is sent than it carries", lambda network: network.target() < SLOW_BPS),
        Run(9),
        Check("and it is used", lambda network: network.use(last_s=7) >= 0.88),
        Check("without a queue", lambda network: network.queue_s(last_s=7) <= 0.15),
    )


def test_the_silence_before_a_move_does_not_go_on_behind_it() -> None:
    play(
        Shape(link(FAST_BPS)),
        Send(),
        Run(20),
        answers(False),
        Run(0.9),
        Do(has_moved),
        Run(0.9),
        Check("not a second of it", lambda network: network.flows["ours"].estimator.limit != "silence"),
        Run(1),
        Check("but then", lambda network: network.flows["ours"].estimator.limit == "silence"),
    )


def test_a_source_that_needs_little_keeps_the_estimate_it_has() -> None:
    def need_little(network: Network) -> None:
        network.flows["ours"].source_bps = 100_000

    play(
        Shape(link(FAST_BPS, jitter_s=0.02)),
        Send(wanted_bps=1_000_000),
        Run(20),
        Check("all is found", lambda network: network.target() >= 1_000_000),
        Do(need_little),
        Run(60),
        Check("and stays", lambda network: network.least_target(last_s=60) >= 1_000_000),
        Check("for want of demand", lambda network: network.flows["ours"].estimator.limit == "demand"),
    )


def test_nothing_is_probed_for_beyond_what_is_wanted() -> None:
    network = play(Shape(link(20_000_000)), Send(wanted_bps=800_000), Run(10))
    sent = network.flows["ours"].sent_packets
    network.run(10)

    assert network.target() <= 1.5 * 800_000
    frames_and_sound = 10 * (50 + 25 * 4)
    assert network.flows["ours"].sent_packets - sent <= frames_and_sound


# Alone, without a network


def fed(
    estimator: BandwidthEstimator, first: int, arrivals: list[float | None], now: float, *, count: int = 0
) -> None:
    estimator.handle_feedback(
        TransportFeedback(
            ssrc=Ssrc(1),
            media_ssrc=Ssrc(2),
            feedback_count=count & 0xFF,
            first=first & 0xFFFF,
            arrivals=tuple(arrivals),
        ),
        now,
    )


def sent(
    estimator: BandwidthEstimator, first: int, count: int, now: float, *, size_bytes: int = 1000
) -> None:
    for place in range(count):
        estimator.handle_sent((first + place) & 0xFFFF, size_bytes, now + place * 0.005)


def test_numbers_that_were_never_sent_or_told_before_count_for_nothing() -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    fed(estimator, 5, [1.0, 2.0], START)
    assert not estimator.has_feedback

    sent(estimator, 65_530, 20, START)
    fed(estimator, 200, [1.0], START + 0.1)
    assert not estimator.has_feedback

    arrivals: list[float | None] = [7 + place * 0.005 for place in range(20)]
    fed(estimator, 65_530, arrivals, START + 0.2, count=1)
    assert estimator.has_feedback and estimator.loss == 0
    before = estimator.target_bps
    fed(estimator, 65_530, arrivals, START + 0.3, count=2)
    assert estimator.target_bps == before and estimator.loss == 0


def test_numbers_that_were_left_out_are_not_lost() -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    sent(estimator, 0, 10, START)
    sent(estimator, 30, 10, START + 0.05)
    fed(estimator, 10, [1.0] * 20, START + 0.2)

    assert not estimator.has_feedback


def test_a_late_packet_is_not_a_lost_one() -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    sent(estimator, 0, 40, START)
    first: list[float | None] = [1 + place * 0.005 for place in range(20)]
    first[17] = first[18] = None
    fed(estimator, 0, first, START + 0.15, count=0)
    assert estimator.loss == pytest.approx(0.1)
    fed(estimator, 17, [1.1, 1.1], START + 0.2, count=1)

    assert estimator.loss == 0


def test_who_sends_nothing_is_not_silent() -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    sent(estimator, 0, 20, START)
    fed(estimator, 0, [1 + place * 0.005 for place in range(20)], START + 0.2)
    now = START
    while now < START + 100:
        now = estimator.next_deadline
        assert now < inf
        estimator.handle_timeout(now)
        assert estimator.next_deadline > now

    assert estimator.target_bps == 500_000
    sent(estimator, 20, 1, now)  # and then a packet, whose feedback is still under way
    estimator.handle_timeout(now + 0.3)
    assert estimator.target_bps == 500_000


@pytest.mark.parametrize("bitrate_bps", [0, -1, 1, 1 << 63, 1 << 90])
def test_a_receiver_may_ask_for_less_and_nothing_it_asks_for_harms(bitrate_bps: int) -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    estimator.handle_receiver_limit(bitrate_bps, START)

    assert FLOOR_BPS <= estimator.target_bps <= CAP_BPS
    assert (estimator.limit == "receiver") == (bitrate_bps < 500_000)
    estimator.handle_timeout(START + 60)
    assert estimator.limit != "receiver" or estimator.target_bps == FLOOR_BPS


def test_where_no_feedback_comes_the_receivers_own_estimate_raises_and_lowers() -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    estimator.wanted_bps = 2_000_000
    estimator.handle_receiver_limit(1_500_000, START)
    assert estimator.target_bps == 1_500_000
    estimator.handle_receiver_limit(200_000, START + 1)
    assert estimator.target_bps == 200_000


def test_where_no_feedback_comes_reports_count() -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    estimator.wanted_bps = 2_000_000
    estimator.handle_report(0.2, 0.1, START)
    assert estimator.target_bps == 450_000 and estimator.limit == "loss"
    estimator.handle_report(0.2, 0.1, START + 0.1)  # too soon: of the same second
    assert estimator.target_bps == 450_000
    estimator.handle_report(0.05, 0.1, START + 1.1)
    assert estimator.target_bps == 450_000
    estimator.handle_report(0.0, 0.1, START + 2.2)
    assert estimator.target_bps == 472_500
    estimator.handle_move(START + 3)
    estimator.handle_report(0.4, 0.1, START + 3.5)  # of the old way as well
    assert estimator.target_bps == 472_500


def test_where_feedback_comes_reports_do_not_count() -> None:
    estimator = BandwidthEstimator(start_bps=500_000, now=START)
    sent(estimator, 0, 20, START)
    fed(estimator, 0, [1 + place * 0.005 for place in range(20)], START + 0.2)
    before = estimator.target_bps
    estimator.handle_report(1.0, 0.1, START + 0.3)

    assert estimator.target_bps == before


TIMES = st.one_of(
    st.none(),
    st.floats(-1, 1),
    st.floats(-1e7, 1e7),
    st.sampled_from((0.0, 1_073_741.8, -1_073_741.8, 1e-9)),
)
STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 300), st.floats(0, 3)),
    st.tuples(st.just("skip"), st.integers(1, 70_000), st.floats(0, 3)),
    st.tuples(
        st.just("feedback"),
        st.integers(-400, 70_000),
        st.lists(TIMES, min_size=1, max_size=40),
    ),
    st.tuples(st.just("report"), st.floats(0, 1), st.floats(-1e9, 1e9)),
    st.tuples(st.just("limit"), st.integers(-(1 << 70), 1 << 70), st.just(0)),
    st.tuples(st.just("probe"), st.integers(0, 65_535), st.integers(-5, 5000)),
    st.tuples(st.just("wait"), st.floats(0, 30), st.just(0)),
    st.tuples(st.just("move"), st.floats(0, 1), st.just(0)),
)


@given(
    start_bps=st.integers(0, 1 << 40), wanted_bps=st.integers(0, 1 << 40), steps=st.lists(STEPS, max_size=60)
)
def test_whatever_feedback_says_nothing_is_raised_and_the_bounds_hold(
    start_bps: int, wanted_bps: int, steps: list[tuple[str, int | float, float | int | list[float | None]]]
) -> None:
    estimator = BandwidthEstimator(start_bps=start_bps, now=START)
    estimator.wanted_bps = wanted_bps
    now, number, count = START, 0, 0
    for kind, one, other in steps:
        match kind, one, other:
            case "send", int(), float():
                for _ in range(one):
                    estimator.handle_sent(number & 0xFFFF, 100 + number % 1100, now)
                    number += 1
                    now += other / one
            case "skip", int(), float():
                number += one
                now += other
            case "feedback", _, list():
                count += number % 3
                fed(estimator, number - int(one), other, now, count=count)
            case "report", _, float():
                estimator.handle_report(one, other, now)
            case "limit", int(), _:
                estimator.handle_receiver_limit(one, now)
            case "probe", int(), int():
                probe = estimator.next_probe(now)
                if probe is not None:
                    estimator.handle_probe_sent(probe, one, other, now)
            case "move", _, _:
                now += float(one)
                before = estimator.target_bps
                estimator.handle_move(now)
                assert estimator.target_bps == before
            case _:
                now += float(one)
        if estimator.next_deadline <= now:
            estimator.handle_timeout(now)
            assert estimator.next_deadline > now, "a deadline that stays would be met for ever"
        assert FLOOR_BPS <= estimator.target_bps <= CAP_BPS
        assert 0 <= estimator.loss <= 1
        assert estimator.acknowledged_bps >= 0
