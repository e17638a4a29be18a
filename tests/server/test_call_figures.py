"""Histograms as Prometheus has them; what counts for them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from media.encodings import LegQuality, Limit
from server.call_figures import CallFigures, Histogram
from signaling.entries import PictureSum


def test_a_bound_belongs_to_its_bucket_and_buckets_add_up() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 99.0):
        histogram.observe(value)
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 4.0), ("+Inf", 5.0)]
    assert histogram.sum == 104.0


@given(st.lists(st.floats(min_value=0, max_value=1e9)))
def test_the_last_bucket_holds_all_and_none_holds_fewer_than_the_one_before(values: list[float]) -> None:
    histogram = Histogram((0.0, 1.0, 1e6))
    for value in values:
        histogram.observe(value)
    counts = [count for _, count in histogram.buckets()]
    assert counts[-1] == len(values)
    assert all(before <= after for before, after in pairwise(counts))


def leg(received_bps: int | None, limit: Limit, waiting_s: float | None = None) -> LegQuality:
    return LegQuality(
        sent_estimate_bps=None,
        received_estimate_bps=received_bps,
        received_limit=limit,
        waiting_s=waiting_s,
    )


def test_what_is_measured_counts_and_what_is_assumed_does_not() -> None:
    figures = CallFigures()
    figures.handle_reading(leg(300_000, "start"), None, {})
    figures.handle_reading(leg(None, "delay"), 64_000, {})
    figures.handle_reading(None, None, {})
    assert figures.received_estimate_bps.buckets()[-1] == ("+Inf", 0.0)
    assert (figures.sent_estimate_bps.sum, figures.waiting_s.buckets()[-1][1]) == (64_000, 0.0)
    figures.handle_reading(leg(300_000, "delay", 0.02), None, {"live": 1.0, "stills": 2.0})
    figures.handle_reading(leg(100_000, "delay", 0.0), None, {"live": 1.0})
    assert dict(figures.received_estimate_bps.buckets())["100000.0"] == 1.0
    assert figures.waiting_s.buckets()[:3] == [("0.0", 1.0), ("0.01", 1.0), ("0.025", 2.0)]
    assert figures.picture_s == {"live": 2.0, "stills": 2.0, "paused": 0.0}


def test_a_stay_counts_by_its_shares_and_who_watched_nobody_does_not() -> None:
    figures = CallFigures()
    figures.handle_end(None)
    assert figures.switches.buckets()[-1] == ("+Inf", 0.0)
    figures.handle_end(PictureSum(live_ms=9_000, stills_ms=1_000, paused_ms=0, reduced_ms=4_000, switches=2))
    assert figures.picture_shares["live"].sum == 0.9
    assert figures.picture_shares["stills"].buckets()[2:4] == [("0.05", 0.0), ("0.1", 1.0)]
    assert figures.picture_shares["paused"].buckets()[0] == ("0.0", 1.0)
    assert figures.switches.sum == 2
