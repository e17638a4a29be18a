"""The emulated link keeps what its conditions promise."""

import copy
from itertools import groupby, pairwise

import pytest

from tests.link import OVERTAKEN_S, Conditions, Delivery, Link

MANY = 50_000
DATAGRAM = bytes(1000)


def fates(link: Link, count: int = MANY, interval_s: float = 0.001) -> list[list[Delivery]]:
    """What becomes of each of `count` numbered datagrams."""
    return [
        link.handle_datagram(number.to_bytes(4, "big"), number * interval_s + 100) for number in range(count)
    ]


def mean_burst(deliveries: list[list[Delivery]]) -> float:
    runs = [len(list(run)) for arrived, run in groupby(deliveries, key=bool) if not arrived]
    return sum(runs) / len(runs)


def test_a_perfect_link_changes_nothing() -> None:
    assert Link(Conditions(), seed=1).handle_datagram(b"as it is", 5.0) == [Delivery(5.0, b"as it is")]


@pytest.mark.parametrize("loss", [0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("burst", [None, 5.0])
def test_as_many_are_lost_as_asked_for_in_bursts_as_long_as_asked_for(
    loss: float, burst: float | None
) -> None:
    seen = fates(Link(Conditions(loss=loss, mean_burst=burst), seed=7))
    assert seen.count([]) / MANY == pytest.approx(loss, rel=0.08)
    assert mean_burst(seen) == pytest.approx(burst or 1 / (1 - loss), rel=0.08)


def test_bursts_that_cannot_give_the_loss_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Conditions(loss=0.9, mean_burst=2)


def test_everything_can_be_lost() -> None:
    link = Link(Conditions(loss=1.0), seed=1)
    assert fates(link, 100) == [[]] * 100
    assert (link.counters.carried_bytes, link.counters.dropped_datagrams) == (0, 100)


def test_the_same_seed_gives_the_same_fates_and_another_gives_others() -> None:
    conditions = Conditions(loss=0.3, jitter_s=0.05, reordering=0.1)
    first, second, other = (fates(Link(conditions, seed=seed), 1000) for seed in (1, 1, 2))
    assert first == second != other


def test_jitter_spreads_the_delay_and_keeps_the_order() -> None:
    seen = [delivery for (delivery,) in fates(Link(Conditions(delay_s=0.04, jitter_s=0.03), seed=3), 2000)]
    assert seen == sorted(seen)
    delays = [
        delivery.deliver_at - (int.from_bytes(delivery.datagram, "big") * 0.001 + 100) for delivery in seen
    ]
    assert min(delays) >= 0.04 - 1e-6 and max(delays) <= 0.07 + 1e-6
    assert max(delays) - min(delays) > 0.015


def test_so_many_as_asked_for_are_overtaken() -> None:
    seen = [delivery for (delivery,) in fates(Link(Conditions(reordering=0.1), seed=4))]
    arrived = sorted(seen, key=lambda delivery: delivery.deliver_at)
    late = sum(later.datagram < before.datagram for before, later in pairwise(arrived))
    assert late / MANY == pytest.approx(0.1, rel=0.15)
    assert all(
        delivery.deliver_at <= number * 0.001 + 100 + OVERTAKEN_S + 1e-6
        for number, delivery in enumerate(seen)
    )


def test_the_rate_spaces_datagrams_and_a_full_queue_drops_the_last() -> None:
    link = Link(Conditions(rate_bps=800_000, queue_s=0.105, delay_s=0.02), seed=1)  # 10 ms a datagram
    seen = [link.handle_datagram(DATAGRAM, 1.0) for _ in range(20)]
    arrived = [fate[0].deliver_at for fate in seen if fate]
    assert arrived == pytest.approx([1.0 + 0.02 + 0.01 * (index + 1) for index in range(11)])
    assert seen[11:] == [[]] * 9
    assert link.handle_datagram(DATAGRAM, 2.0)[0].deliver_at == pytest.approx(2.03)


def test_a_link_over_its_rate_delivers_its_rate() -> None:
    link = Link(Conditions(rate_bps=800_000), seed=1)
    for number in range(10_000):
        link.handle_datagram(DATAGRAM, number * 0.005)  # twice as much
    assert link.counters.carried_bytes * 8 / 50 == pytest.approx(800_000, rel=0.02)
    assert link.counters.offered_bytes == 10_000 * len(DATAGRAM)


def test_headers_take_their_share_of_the_rate() -> None:
    """160 bytes and 40 of headers, twenty milliseconds apart, are 80 kbit/s: as much as there is."""
    link = Link(Conditions(rate_bps=80_000, overhead_bytes=40), seed=1)
    seen = [link.handle_datagram(bytes(160), number * 0.02) for number in range(500)]
    assert all(seen) and link.counters.wire_bytes == 500 * 200
    assert seen[-1][0].deliver_at == pytest.approx(500 * 0.02)
    assert link.counters.carried_bytes == 500 * 160, "what UDP carries is counted without them"


def test_what_waited_for_the_wire_is_counted_by_how_long() -> None:
    link = Link(Conditions(rate_bps=800_000, queue_s=0.025, loss=1.0), seed=1)  # 10 ms a datagram
    for _ in range(4):  # the fourth would wait 30 ms
        link.handle_datagram(DATAGRAM, 1.0)
    before = copy.deepcopy(link.counters)
    assert {waited_ms: count for waited_ms, count in enumerate(before.waits_ms) if count} == {
        0: 1,
        10: 1,
        20: 1,
    }
    assert [before.wait_ms(percent) for percent in (1, 50, 95)] == [0, 10, 20]
    assert (before.wire_bytes, before.dropped_datagrams) == (3_000, 4), "what is lost was on the wire"
    link.handle_datagram(DATAGRAM, 2.0)
    since = link.counters.since(before)
    assert (since.wire_bytes, since.wait_ms(95), sum(since.waits_ms)) == (1_000, 0, 1)


def test_a_link_without_a_rate_has_no_queue() -> None:
    link = Link(Conditions(overhead_bytes=28), seed=1)
    link.handle_datagram(DATAGRAM, 1.0)
    assert (link.counters.waits_ms, link.counters.wire_bytes, link.counters.wait_ms(95)) == ([], 0, 0)


def test_a_link_of_no_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="carries nothing"):
        Conditions(rate_bps=0)


def test_conditions_change_under_way() -> None:
    link = Link(Conditions(delay_s=0.5), seed=1)
    link.handle_datagram(b"early", 1.0)
    link.conditions = Conditions(loss=1.0)
    assert link.handle_datagram(b"lost", 1.1) == []
    link.conditions = Conditions(delay_s=0.01)
    assert link.handle_datagram(b"still behind the early one", 1.2)[0].deliver_at == 1.5
