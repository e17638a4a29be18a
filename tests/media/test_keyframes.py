from __future__ import annotations

from math import inf

from media.keyframes import MAX_INTERVAL_S, MIN_INTERVAL_S, KeyframeRequests

LATER = 100.0


def asked(requests: KeyframeRequests, until: float) -> list[float]:
    """When the sender is asked, if the deadlines are kept to."""
    times = []
    while requests.next_deadline <= until:
        now = requests.next_deadline
        if requests.handle_timeout(now):
            times.append(now)
    return times


def test_nobody_is_asked_unless_somebody_wants_a_keyframe() -> None:
    requests = KeyframeRequests()
    assert requests.next_deadline == inf
    assert not requests.handle_timeout(10.0)


def test_the_first_wish_is_passed_on_at_once() -> None:
    requests = KeyframeRequests()
    requests.handle_request(10.0)
    assert requests.wanted
    assert requests.handle_timeout(10.0)


def test_many_wishes_at_once_are_one() -> None:
    requests = KeyframeRequests()
    for _ in range(20):
        requests.handle_request(10.0)
    assert asked(requests, 10.4) == [10.0]


def test_a_wish_soon_after_a_keyframe_is_put_off_and_not_dropped() -> None:
    requests = KeyframeRequests()
    requests.handle_request(10.0)
    requests.handle_timeout(10.0)
    requests.handle_keyframe()
    requests.handle_request(10.1)
    assert not requests.handle_timeout(10.1)
    assert asked(requests, 10.6) == [10.0 + MIN_INTERVAL_S]


def test_it_is_repeated_until_a_keyframe_comes() -> None:
    requests = KeyframeRequests()
    requests.handle_request(10.0)
    assert asked(requests, 12.0) == [10.0, 10.5, 11.5]
    requests.handle_keyframe()
    assert not requests.wanted
    assert asked(requests, LATER) == []


def test_a_sender_that_does_not_answer_is_asked_less_often_but_for_ever() -> None:
    requests = KeyframeRequests()
    requests.handle_request(10.0)
    times = asked(requests, 60.0)
    assert times[-1] - times[-2] == MAX_INTERVAL_S
    assert times[-1] > 60.0 - MAX_INTERVAL_S


def test_a_new_wish_makes_a_slow_repetition_quick_again() -> None:
    requests = KeyframeRequests()
    requests.handle_request(10.0)
    asked(requests, 20.0)
    last = requests.next_deadline - MAX_INTERVAL_S
    requests.handle_request(last + 0.1)
    assert requests.next_deadline == last + MIN_INTERVAL_S
