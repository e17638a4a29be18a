"""When calls are woken: by the loop's timer, or by whoever looks often; nobody waits for another's fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from media.alarms import CLOCK_GRAIN_S, Alarms, Sleeper
from tests.media.test_relay import until


class Counted(Sleeper):
    """Somebody who notes when they were woken, and sleeps on as long as they are told."""

    def __init__(self, alarms: Alarms, *waits_s: float, does: Callable[[], None] = lambda: None) -> None:
        self.woken: list[float] = []  # how much later than wanted
        self._waits_s = list(waits_s)
        self._does = does
        self._wakes_at = inf
        self._sleep()
        alarms.add(self)

    @property
    def wakes_at(self) -> float:
        return self._wakes_at

    def wake(self, now: float) -> None:
        self.woken.append(now - self._wakes_at)
        self._sleep()
        self._does()

    def _sleep(self) -> None:
        self._wakes_at = time.monotonic() + self._waits_s.pop(0) if self._waits_s else inf

    def hasten(self, alarms: Alarms, wait_s: float) -> None:
        self._wakes_at = time.monotonic() + wait_s
        alarms.hasten(self._wakes_at)


async def test_each_is_woken_at_their_own_time_and_goes_on_sleeping() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    often, seldom = Counted(alarms, *[0.01] * 10), Counted(alarms, 0.08)
    await until(lambda: len(often.woken) == 10 and len(seldom.woken) == 1)
    assert all(late_s >= 0 for late_s in (*often.woken, *seldom.woken))
    assert alarms._timer is None  # nobody waits for anything


async def test_a_nearer_time_is_heard_of_and_a_farther_one_disturbs_nobody() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    one, other = Counted(alarms, 30.0), Counted(alarms, 0.02)
    one.hasten(alarms, 0.005)
    other.hasten(alarms, 30.0)  # and the timer rings in vain
    await until(lambda: len(one.woken) == 1)
    await asyncio.sleep(0.04)
    assert other.woken == []
    other.hasten(alarms, 0.0)
    await until(lambda: len(other.woken) == 1)
    alarms.close()


async def test_who_is_removed_is_not_woken_even_by_the_ring_that_removes_them() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    alarms.look(True)
    removing = Counted(alarms, 0.0, does=lambda: alarms.remove(removed))
    removed = Counted(alarms, 0.0)
    alarms.ring()
    alarms.remove(removed)
    alarms.ring()
    assert len(removing.woken) == 1
    assert removed.woken == []


@pytest.mark.parametrize("is_looked_at", [False, True])
async def test_a_fault_of_one_keeps_nobody_else_asleep(is_looked_at: bool) -> None:
    loop = asyncio.get_running_loop()
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    alarms = Alarms(loop)
    alarms.look(is_looked_at)
    Counted(alarms, 0.0, does=fail)
    sound = Counted(alarms, 0.0)
    alarms.ring()
    assert len(sound.woken) == 1
    assert [str(context["exception"]) for context in faults] == ["a fault in one call"]


async def test_who_is_looked_at_needs_no_timer_and_gets_it_back() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    one = Counted(alarms, 0.01, 0.01)
    alarms.look(True)
    assert alarms._timer is None
    await asyncio.sleep(0.03)
    assert one.woken == []
    alarms.ring()
    assert len(one.woken) == 1
    alarms.look(False)
    await until(lambda: len(one.woken) == 2)


async def test_what_is_due_within_a_grain_is_due() -> None:
    alarms = Alarms(asyncio.get_running_loop())
    alarms.look(True)
    near, far = Counted(alarms, CLOCK_GRAIN_S / 2), Counted(alarms, 1.0)
    alarms.ring()
    assert near.woken == [0.0]
    assert far.woken == []


def fail() -> None:
    raise RuntimeError("a fault in one call")
