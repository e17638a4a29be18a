"""When an authority is asked for a token: on virtual time."""

from collections.abc import Sequence

import pytest

from server.stamping import BACK_OFF_S, GAP_S, JITTER, Ask, Stamping

INTERVAL_S = 600.0


def stamping(stamped_size: int = 0, log_size: int = 0) -> Stamping:
    return Stamping(stamped_size=stamped_size, log_size=log_size, interval_s=INTERVAL_S)


def asked(asks: Sequence[Ask]) -> bool:
    assert len(asks) < 2
    return bool(asks)


def test_the_first_entry_is_stamped_at_once_and_the_following_after_the_interval() -> None:
    machine = stamping()
    assert machine.next_deadline is None and not asked(machine.handle_time(100.0)), "nothing to stamp"
    assert asked(machine.handle_log_size(1, 100.0))
    assert not asked(machine.handle_log_size(9, 101.0)), "one request at a time"
    assert not asked(machine.handle_stamped(1, 102.0))
    assert machine.next_deadline == 102.0 + INTERVAL_S
    assert not asked(machine.handle_time(101.9 + INTERVAL_S))
    assert asked(machine.handle_time(102.0 + INTERVAL_S))
    machine.handle_stamped(9, 800.0)
    assert machine.next_deadline is None, "all is stamped"


def test_what_was_written_before_a_restart_is_stamped_at_its_start() -> None:
    assert asked(stamping(3, 5).handle_time(0.0))
    assert not asked(stamping(5, 5).handle_time(0.0))


def test_a_moment_is_stamped_at_once_and_moments_together_share_a_token() -> None:
    machine = stamping(5, 5)
    assert asked(machine.handle_moment(6, 10.0))
    assert not asked(machine.handle_moment(7, 10.5))
    assert not asked(machine.handle_stamped(6, 11.0)), "the second came after the checkpoint that was sent"
    assert not asked(machine.handle_moment(8, 11.5))
    assert machine.next_deadline == 11.0 + GAP_S
    assert asked(machine.handle_time(11.0 + GAP_S)), "one token for both"
    machine.handle_stamped(8, 17.0)
    assert asked(machine.handle_moment(9, 100.0)), "after a while each has its own"
    machine.handle_stamped(9, 100.5)
    assert not asked(machine.handle_log_size(12, 200.0)), "what is no moment waits for the interval"


def test_an_authority_that_fails_is_asked_ever_more_seldom_whatever_happens_meanwhile() -> None:
    machine = stamping()
    now = 50.0
    assert asked(machine.handle_log_size(1, now))
    for number, delay_s in enumerate((*BACK_OFF_S, BACK_OFF_S[-1], BACK_OFF_S[-1])):
        assert not asked(machine.handle_failed(1.0, now))
        assert machine.failures == number + 1
        due = now + delay_s * (1 + JITTER)
        assert machine.next_deadline == pytest.approx(due)
        assert not asked(machine.handle_moment(10 + number, due - 0.1))
        now = due + 0.1
        assert asked(machine.handle_time(now))
    assert not asked(machine.handle_stamped(15, now)), "and one token covers what was missed"
    assert machine.failures == 0 and machine.next_deadline is None


def test_a_token_never_counts_for_less_than_there_was() -> None:
    machine = stamping(9, 4)
    assert machine.next_deadline is None
    machine.handle_stamped(5, 1.0)
    assert machine.stamped_size == 9
