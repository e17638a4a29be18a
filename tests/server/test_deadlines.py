"""What nobody answers: written when its time has come, in memory and out of it, before and after a start."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from server import app, cases, deadlines
from server.cases import Case
from server.errors import UnknownThing
from server.store.errors import CorruptLog
from server.store.log import LogStore
from signaling.case import RING_S, WAITING
from signaling.commands import Command, Consent, IssueLink, Join, OpenCase
from signaling.delivery import Announce, Answer, Confirm, HandOver, NoticeSent
from signaling.entries import parse_body
from signaling.exceptions import ReportException
from signaling.values import INTEGRATOR, SYSTEM, Actor, ActorId, PersonRole, SessionId
from tests.conftest import Caller, calling

CallerOf = Callable[[], AbstractAsyncContextManager[Caller]]
SESSION = SessionId("s_" + "t" * 20)
API = Actor(role="integrator", actor_id=INTEGRATOR, session_id=SESSION)
REPEAT = timedelta(seconds=180)  # of the notice "arrived", as the package's rules have it
OVERDUE = timedelta(hours=24)  # no kind of exception has longer


class Clock:
    """A wall clock that a test may set."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The service's wall clock, at which it looks often."""
    clock = Clock()
    monkeypatch.setattr(app, "utc_now", clock)
    monkeypatch.setattr(deadlines, "LOOK_EVERY_S", 0.02)
    return clock


def link_for(actor: Actor, clock: Clock) -> IssueLink:
    assert actor.role == "dispatch"
    return IssueLink(
        link_id=actor.actor_id, role=actor.role, name="desk", expires_at=clock() + timedelta(days=1)
    )


async def person(caller: Caller, case_id: str, role: PersonRole) -> Actor:
    link = await caller.link(case_id, role)
    return Actor(role=role, actor_id=ActorId(link["link_id"]), session_id=SESSION)


async def give(caller: Caller, case_id: str, actor: Actor, command: Command) -> int:
    """Carries out a command; the number of its last entry."""
    decided = await (await caller.service.cases.get(case_id)).handle(command, actor)
    assert decided.number is not None
    return decided.number


async def announced(caller: Caller) -> tuple[str, Actor, int]:
    """A case whose courier has sent a notice: the case, the courier, the notice."""
    case_id = await caller.open_case()
    courier = await person(caller, case_id, "courier")
    return case_id, courier, await give(caller, case_id, courier, Announce(notice="arrived"))


async def kinds(caller: Caller, case_id: str) -> list[str]:
    return [entry.envelope.kind for entry in await caller.service.log.entries(case_id)]


async def until(caller: Caller, case_id: str, kind: str) -> list[str]:
    """The kinds of a case, once one of them is there."""
    for _ in range(1000):
        found = await kinds(caller, case_id)
        if kind in found:
            return found
        await asyncio.sleep(0.01)
    raise TimeoutError(f"no {kind} in {found}")


async def test_a_notice_that_nobody_answers_goes_out_again_and_is_then_given_up(tmp_path: Path) -> None:
    wording = tmp_path / "wording"
    wording.mkdir()
    for file in (files("signaling") / "wording_files").iterdir():
        (wording / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    rules = json.loads((wording / "rules.json").read_text())
    rules["notices"]["arrived"] |= {"repeat_after_s": 1, "give_up_after_s": 1}
    (wording / "rules.json").write_text(json.dumps(rules))
    async with calling(tmp_path, PROOFCALL_WORDING_DIR=str(wording)) as caller:
        case_id, _, notice = await announced(caller)
        await until(caller, case_id, "notice_unanswered")
        entries = await caller.service.log.entries(case_id, after=notice - 1)
        sent, repeated, given_up = entries
        body = parse_body(sent.envelope.kind, sent.body)
        assert isinstance(body, NoticeSent) and body.repeat_at is not None and body.give_up_at is not None
        assert repeated.envelope.kind == "notice_repeated" and repeated.body == {"number": notice}
        for entry, due_at in ((repeated, body.repeat_at), (given_up, body.give_up_at)):
            assert entry.envelope.actor_id == SYSTEM
            late = entry.envelope.recorded_at - due_at
            assert timedelta(0) <= late < timedelta(seconds=1)


async def test_an_exception_that_nobody_decides_is_overdue_once(caller_of: CallerOf, clock: Clock) -> None:
    async with caller_of() as caller:
        case_id = await caller.open_case()
        courier = await person(caller, case_id, "courier")
        await give(caller, case_id, courier, ReportException(exception="damage", place_refused=True))
        clock.ahead += OVERDUE
        await until(caller, case_id, "exception_overdue")
        clock.ahead += OVERDUE
        await passes(caller, clock)
        assert (await kinds(caller, case_id)).count("exception_overdue") == 1


async def test_a_call_that_nobody_answers_is_missed(caller_of: CallerOf, clock: Clock) -> None:
    async with caller_of() as caller:
        case_id = await caller.open_case()
        customer, courier = [await person(caller, case_id, role) for role in ("customer", "courier")]
        await give(caller, case_id, customer, Consent(statement="yes", language="en"))
        await give(caller, case_id, customer, Join())
        clock.ahead += timedelta(seconds=RING_S)
        await until(caller, case_id, "call_missed")
        missed = (await caller.service.log.entries(case_id))[-1]
        assert missed.body == {"call_number": 1, "of": [courier.actor_id]}


async def passes(caller: Caller, clock: Clock) -> None:
    """Time passes: something else that waits has been written."""
    case_id, _, _ = await announced(caller)
    clock.ahead += REPEAT
    await until(caller, case_id, "notice_repeated")


async def test_what_was_answered_settled_or_ended_waits_for_nothing(
    caller_of: CallerOf, clock: Clock
) -> None:
    async with caller_of() as caller:
        answered, _, notice = await announced(caller)
        customer = await person(caller, answered, "customer")
        await give(caller, answered, customer, Answer(number=notice, choice="now"))
        handed, courier, _ = await announced(caller)
        receiver = await person(caller, handed, "customer")
        number = await give(caller, handed, courier, HandOver(how="in_person"))
        await give(caller, handed, receiver, Confirm(number=number, statement="mine", language="en"))
        ended, _, _ = await announced(caller)
        await caller.call("POST", f"/api/cases/{ended}/end")
        _, metrics = await caller.call("GET", "/metrics", bearer=None)
        assert b"proofcall_cases_waiting 0.0" in metrics
        before = [await kinds(caller, case_id) for case_id in (answered, handed, ended)]
        await passes(caller, clock)
        await passes(caller, clock)
        assert [await kinds(caller, case_id) for case_id in (answered, handed, ended)] == before


@pytest.mark.parametrize("away", [timedelta(minutes=5), timedelta(days=30)], ids=["minutes", "a month"])
async def test_a_start_knows_what_waited_before_however_long_it_was_stopped(
    caller_of: CallerOf, clock: Clock, away: timedelta
) -> None:
    async with caller_of() as caller:
        case_id, _, _ = await announced(caller)
        later, _, _ = await announced(caller)
    clock.ahead += away
    async with caller_of() as caller:
        await until(caller, case_id, "notice_repeated")
        await until(caller, later, "notice_repeated")


async def test_a_start_looks_no_further_back_than_anything_can_wait(
    caller_of: CallerOf, clock: Clock
) -> None:
    async with caller_of() as caller:
        old, _, _ = await announced(caller)
        clock.ahead += REPEAT * 3
        await until(caller, old, "notice_unanswered")
        clock.ahead += timedelta(days=3)
        log = caller.service.log
        boundary = log.size
        young, _, _ = await announced(caller)
        assert await log.first_within(deadlines.LOOK_BACK) == boundary
        assert await log.first_within(timedelta(days=365)) == 0
        assert await log.cases_with(WAITING, first=0, end=boundary) == [old]
        assert await log.cases_with(WAITING, first=boundary, end=log.size) == [young]


async def test_a_log_without_entries_is_searched_for_nothing(caller: Caller) -> None:
    assert await caller.service.log.first_within(deadlines.LOOK_BACK) == 0


async def test_a_case_that_was_let_go_from_memory_is_loaded_when_it_is_due(
    caller_of: CallerOf, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MAX_IDLE_CASES", 1)
    async with caller_of() as caller:
        case_id, _, _ = await announced(caller)
        for _ in range(3):
            await caller.open_case()
        assert case_id not in [case.case_id for case in caller.service.cases.live()]
        clock.ahead += REPEAT
        await until(caller, case_id, "notice_repeated")


@pytest.mark.parametrize("where", ["loading", "writing"])
async def test_a_case_that_fails_keeps_no_other_waiting_and_is_tried_again(
    caller_of: CallerOf, clock: Clock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(deadlines, "RETRY_S", 0.05)
    async with caller_of() as caller:
        broken, _, _ = await announced(caller)
        whole, _, _ = await announced(caller)
        get = caller.service.cases.get
        failures: list[str] = []

        async def fail(case_id: str) -> Case:
            case = await get(case_id)
            if case_id != broken or len(failures) == 2:
                return case
            failures.append(case_id)
            if where == "loading":
                raise CorruptLog("a leaf is damaged")
            stuck = Case.__new__(Case)
            stuck.case_id, stuck.state = case_id, case.state
            return stuck  # has no log to write to

        monkeypatch.setattr(caller.service.cases, "get", fail)
        clock.ahead += REPEAT
        await until(caller, whole, "notice_repeated")
        clock.ahead += timedelta(seconds=1)
        await until(caller, broken, "notice_repeated")
        assert len(failures) == 2


@pytest.mark.parametrize("error", [CorruptLog("a leaf is damaged"), ValueError("a bug of ours")])
async def test_a_log_that_cannot_be_searched_stops_no_clock_and_is_searched_again(
    caller_of: CallerOf, clock: Clock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(deadlines, "RETRY_S", 0.05)
    async with caller_of() as caller:
        before, _, _ = await announced(caller)
    cases_with, whole = LogStore.cases_with, asyncio.Event()

    async def fail(log: LogStore, kinds: frozenset[str], *, first: int, end: int) -> list[str]:
        if kinds == WAITING and not whole.is_set():
            raise error
        return await cases_with(log, kinds, first=first, end=end)

    monkeypatch.setattr(LogStore, "cases_with", fail)
    async with caller_of() as caller:
        await passes(caller, clock)
        whole.set()
        await until(caller, before, "notice_repeated")


async def test_what_becomes_due_while_something_else_is_written_is_no_failure_and_not_late(
    caller_of: CallerOf, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with caller_of() as caller:
        case_id, _, _ = await announced(caller)
        append = caller.service.log.append

        async def slow(*arguments: Any, **how: Any) -> Any:
            monkeypatch.undo()  # once
            monkeypatch.setattr(app, "utc_now", clock)
            clock.ahead += REPEAT * 2
            return await append(*arguments, **how)

        monkeypatch.setattr(caller.service.log, "append", slow)
        clock.ahead += REPEAT
        await until(caller, case_id, "notice_unanswered")
        assert "nothing came of it" not in caplog.text


async def test_a_clock_that_is_set_back_is_followed(caller_of: CallerOf, clock: Clock) -> None:
    async with caller_of() as caller:
        clock.ahead = timedelta(hours=1)
        case_id, _, _ = await announced(caller)
        clock.ahead = timedelta(0)
        await passes(caller, clock)
        assert "notice_repeated" not in await kinds(caller, case_id), "by the clock it is not due for an hour"
        clock.ahead = timedelta(hours=1) + REPEAT
        await until(caller, case_id, "notice_repeated")


async def test_a_thousand_cases_that_wait_cost_nothing_and_are_written_together(
    caller_of: CallerOf, clock: Clock
) -> None:
    async with caller_of() as caller:
        service = caller.service

        async def wait_for_an_answer(_: int) -> Case:
            case = await service.cases.open(
                OpenCase(
                    waybill="SF1", declared_value=None, language="zh", metadata={}, time_zone="Asia/Shanghai"
                ),
                API,
            )
            dispatch = Actor(role="dispatch", actor_id=ActorId(service.new_id("l_")), session_id=SESSION)
            await case.handle(link_for(dispatch, clock), API)
            await case.handle(Announce(notice="arriving_5"), dispatch)
            return case

        waiting = await asyncio.gather(*map(wait_for_an_answer, range(1000)))
        assert service.deadlines.waiting == 1000
        began = time.process_time()
        for _ in range(100):
            assert service.deadlines._take_due() == []
        assert time.process_time() - began < 0.1
        clock.ahead += REPEAT
        async with asyncio.timeout(60):
            for case in waiting:
                await until(caller, case.case_id, "notice_repeated")
        assert service.deadlines.waiting == 1000, "all wait for being given up"
        assert len(service.deadlines._heap) < 3 * 1000


async def test_a_case_that_is_not_there_is_forgotten(caller: Caller) -> None:
    driver = caller.service.deadlines
    driver._schedule("c_nosuchcase", datetime.now(UTC))
    for _ in range(200):
        if not driver.waiting and not driver._heap:
            break
        await asyncio.sleep(0.01)
    with pytest.raises(UnknownThing):
        await caller.service.cases.get("c_nosuchcase")
    assert driver.waiting == 0


@pytest.fixture
def caller_of(tmp_path: Path) -> CallerOf:
    """Starts a service on the same folder each time."""
    return lambda: calling(tmp_path)
