"""Detail on virtual time: it is asked for, it lasts, it ends by itself, and nobody can flood others."""

from math import inf

from server.sharpness import ASKS_AT_ONCE, SHARP_S, Sharpness
from signaling.values import ActorId

ME, THEM = ActorId("l_" + "m" * 20), ActorId("l_" + "t" * 20)


def test_a_camera_is_sharp_from_the_first_ask_until_a_while_after_the_last() -> None:
    sharpness = Sharpness()
    assert sharpness.next_deadline == inf
    assert sharpness.handle_ask(ME, THEM, 10.0)
    assert not sharpness.handle_ask(ME, THEM, 15.0), "it is no news"
    assert THEM in sharpness and ME not in sharpness
    assert sharpness.next_deadline == 15.0 + SHARP_S
    assert sharpness.handle_timeout(10.0 + SHARP_S) == []
    assert sharpness.handle_timeout(15.0 + SHARP_S) == [THEM]
    assert THEM not in sharpness and sharpness.next_deadline == inf
    assert sharpness.handle_ask(ME, THEM, 40.0), "it can be asked for again"


def test_each_camera_has_its_own_time() -> None:
    sharpness = Sharpness()
    sharpness.handle_ask(ME, THEM, 0.0)
    sharpness.handle_ask(THEM, ME, 1.0)
    assert sharpness.next_deadline == SHARP_S
    assert sharpness.handle_timeout(SHARP_S) == [THEM]
    assert sharpness.next_deadline == 1.0 + SHARP_S


def test_who_asks_too_often_is_not_heard_and_takes_nobody_elses_turn() -> None:
    sharpness = Sharpness()
    for _ in range(ASKS_AT_ONCE):
        sharpness.handle_ask(ME, ME, 0.5)
    assert not sharpness.handle_ask(ME, THEM, 0.5)
    assert THEM not in sharpness
    assert sharpness.handle_ask(THEM, THEM, 0.5)
    sharpness.handle_ask(ME, ME, 1.0)
    assert sharpness.handle_timeout(0.5 + SHARP_S) == [ME, THEM], "half a second gives no ask"
    assert sharpness.handle_ask(ME, THEM, 1.5 + SHARP_S)


def test_a_picture_that_is_taken_needs_no_allowance() -> None:
    sharpness = Sharpness()
    for _ in range(ASKS_AT_ONCE + 1):
        sharpness.handle_ask(ME, ME, 0.0)
    assert sharpness.handle_need(THEM, 0.0)
    assert not sharpness.handle_need(THEM, 1.0)
    assert sharpness.handle_timeout(SHARP_S) == [ME]
    assert THEM in sharpness


def test_who_has_left_is_sharp_no_more() -> None:
    sharpness = Sharpness()
    sharpness.handle_ask(ME, THEM, 0.0)
    assert sharpness.forget(THEM)
    assert not sharpness.forget(THEM)
    assert sharpness.next_deadline == inf
