from __future__ import annotations

from math import inf

from media.nack import MAX_MISSING, MAX_TRIES, REORDERING_S, ROUND_TRIPS, NackGenerator

ROUND_TRIP_S = 0.1
LATER = 100.0


def generator_missing(*indices: int, max_age_s: float = 2.0) -> NackGenerator:
    """Each missing since 10.0."""
    generator = NackGenerator(max_age_s=max_age_s)
    for index in indices:
        generator.handle_gap(index, index + 1, 10.0)
    return generator


def asked(
    generator: NackGenerator, until: float, round_trip_s: float = ROUND_TRIP_S
) -> list[tuple[float, int]]:
    """(time, sequence number) of all that is asked for when the deadlines are kept to."""
    found = []
    while generator.next_deadline <= until:
        now = generator.next_deadline
        sequence_numbers, _ = generator.handle_timeout(now, round_trip_s)
        found += [(round(now, 3), number) for number in sequence_numbers]
    return found


def test_a_packet_that_is_merely_late_is_never_asked_for() -> None:
    generator = generator_missing(70_000)
    generator.handle_arrival(70_000)
    assert generator.next_deadline == inf
    assert asked(generator, LATER) == []


def test_a_missing_packet_is_asked_for_after_the_time_of_reordering() -> None:
    generator = generator_missing(70_000)
    assert generator.handle_timeout(10.0 + REORDERING_S - 0.001, ROUND_TRIP_S) == ([], 0)
    assert generator.handle_timeout(10.0 + REORDERING_S, ROUND_TRIP_S) == ([70_000 & 0xFFFF], 0)


def test_it_is_asked_for_again_once_a_round_trip() -> None:
    times = [time for time, _ in asked(generator_missing(5), 10.35)]
    assert times == [10.01, 10.12, 10.23, 10.34]


def test_a_short_round_trip_does_not_make_a_flood() -> None:
    times = [time for time, _ in asked(generator_missing(5), 10.11, round_trip_s=0.001)]
    assert times == [10.01, 10.03, 10.05, 10.07, 10.09, 10.11]


def test_after_ten_tries_it_is_given_up() -> None:
    generator = generator_missing(5)
    last_try = generator.next_deadline + (MAX_TRIES - 1) * ROUND_TRIPS * ROUND_TRIP_S
    assert len(asked(generator, last_try + 0.001)) == MAX_TRIES
    assert generator.handle_timeout(generator.next_deadline, ROUND_TRIP_S) == ([], 1)
    assert generator.next_deadline == inf


def test_what_would_come_too_late_to_be_played_is_not_asked_for() -> None:
    assert [time for time, _ in asked(generator_missing(5, max_age_s=0.25), LATER)] == [10.01, 10.12]
    assert asked(generator_missing(5, max_age_s=0.25), LATER, round_trip_s=0.3) == []


def test_what_a_receiver_misses_is_asked_for_at_once_and_once() -> None:
    """Given up long ago, or never noticed: a wish brings it back, but not for ever."""
    generator = NackGenerator(max_age_s=2.0)
    generator.handle_wish(5, 10.0)
    generator.handle_wish(5, 10.0)
    assert asked(generator, 10.0) == [(10.0, 5)]
    assert generator.handle_arrival(5)
    generator.handle_wish(5, 11.0)
    assert asked(generator, LATER) == []


def test_an_arrival_tells_a_repair_from_a_delay() -> None:
    generator = generator_missing(5, 6)
    assert not generator.handle_arrival(5)
    generator.handle_timeout(10.0 + REORDERING_S, ROUND_TRIP_S)
    assert generator.handle_arrival(6)
    assert not generator.handle_arrival(7)


def test_a_peer_that_repairs_nothing_is_not_asked() -> None:
    generator = generator_missing(5, max_age_s=0.0)
    assert generator.handle_timeout(10.0 + REORDERING_S, ROUND_TRIP_S) == ([], 1)


def test_what_arrives_is_not_asked_for_again() -> None:
    generator = generator_missing(5, 6, 7)
    generator.handle_timeout(10.02, ROUND_TRIP_S)
    generator.handle_arrival(6)
    assert [number for _, number in asked(generator, 10.13)] == [5, 7]


def test_what_falls_due_together_is_asked_for_together() -> None:
    generator = NackGenerator(max_age_s=2.0)
    generator.handle_gap(5, 7, 10.0)
    generator.handle_gap(9, 10, 10.003)
    assert generator.handle_timeout(10.02, ROUND_TRIP_S) == ([5, 6, 9], 0)


def test_an_outage_too_long_to_repair_is_given_up_at_once() -> None:
    generator = generator_missing(1)
    generator.handle_gap(10, 10 + MAX_MISSING, 10.01)
    assert generator.next_deadline == 10.01
    assert generator.handle_timeout(10.01, ROUND_TRIP_S) == ([], MAX_MISSING + 1)
    assert len(generator) == 0
    assert generator.next_deadline == inf


def test_an_arrival_does_not_hide_what_was_given_up() -> None:
    generator = generator_missing()
    generator.handle_gap(10, 11 + MAX_MISSING, 10.0)
    generator.handle_gap(2000, 2001, 10.0)
    generator.handle_arrival(2000)
    assert generator.handle_timeout(generator.next_deadline, ROUND_TRIP_S) == ([], MAX_MISSING + 1)
