"""Work orders: from the report to the acknowledged decision, and who is told what in between."""

from datetime import timedelta

import pytest

from signaling.commands import Elapse, EndCase
from signaling.delivery import NoticeSent
from signaling.errors import (
    IllegalForRole,
    IllegalMeanwhile,
    IllegalQuota,
    IllegalStep,
    UnknownEntry,
    UnknownWord,
)
from signaling.exceptions import (
    MAX_OPEN_ORDERS,
    AcknowledgeException,
    CloseException,
    DecideException,
    ExceptionAcknowledged,
    ExceptionClosed,
    ExceptionDecided,
    ExceptionOverdue,
    ExceptionReported,
    ExceptionTaken,
    ReportException,
    TakeException,
)
from tests.signaling.builders import (
    AT_THE_GATE,
    COURIER,
    CUSTOMER,
    DISPATCH,
    PHOTO,
    QA,
    SERVICE,
    WORDING,
    Log,
    opened_case,
)


def reported(exception: str = "damage") -> tuple[Log, int]:
    """A case with a work order, and its number."""
    log = opened_case(CUSTOMER, COURIER, QA, DISPATCH)
    number = log.state.last_number + 1
    log.give(COURIER, ReportException(exception=exception, text="dented"))
    return log, number


def test_a_report_is_a_work_order_with_a_due_time() -> None:
    log = opened_case(CUSTOMER, COURIER)
    command = ReportException(exception="damage", text="dented", attachments=(PHOTO,), place=AT_THE_GATE)
    report, notice = log.give(COURIER, command)
    assert report == ExceptionReported(
        exception="damage",
        label={"zh": "破损", "en": "Damage"},
        text="dented",
        attachments=(PHOTO,),
        place=AT_THE_GATE,
        place_refused=False,
        due_at=log.now_at + timedelta(minutes=15),
        captured_at=None,
    )
    assert isinstance(notice, NoticeSent) and notice.notice == "looked_into" and notice.choices == ()


def test_a_closed_road_tells_the_customer_by_itself_how_late_it_gets() -> None:
    log = opened_case(CUSTOMER, COURIER)
    _, notice = log.give(COURIER, ReportException(exception="road_closed"))
    assert isinstance(notice, NoticeSent)
    assert (notice.to, notice.text["en"]) == (
        "customer",
        "Your parcel is delayed by a road closure, about one hour late.",
    )


def test_who_reports_to_the_customer_what_the_customer_said_is_spared() -> None:
    log = opened_case(CUSTOMER, COURIER)
    (report,) = log.give(CUSTOMER, ReportException(exception="damage"))
    assert isinstance(report, ExceptionReported)


def test_each_kind_is_reported_by_those_whom_the_wording_names() -> None:
    for exception, rule in WORDING.rules.exceptions.items():
        for actor in (CUSTOMER, COURIER):
            log = opened_case(CUSTOMER, COURIER)
            if actor.role in rule.reporters:
                assert log.give(actor, ReportException(exception=exception))
            else:
                with pytest.raises(IllegalForRole):
                    log.give(actor, ReportException(exception=exception))
    with pytest.raises(UnknownWord):
        opened_case(COURIER).give(COURIER, ReportException(exception="flood_of_frogs"))


def test_one_parcel_does_not_flood_the_desk() -> None:
    log = opened_case(CUSTOMER, COURIER, QA)
    first = log.state.last_number + 1
    for _ in range(MAX_OPEN_ORDERS):
        log.give(CUSTOMER, ReportException(exception="other", text="again"))
    with pytest.raises(IllegalQuota):
        log.give(COURIER, ReportException(exception="damage"))
    log.give(QA, CloseException(number=first, remark="said before"))
    log.give(COURIER, ReportException(exception="damage"))


def test_a_place_is_told_or_refused_and_not_both() -> None:
    log = opened_case(COURIER)
    with pytest.raises(IllegalStep):
        log.give(COURIER, ReportException(exception="other", place=AT_THE_GATE, place_refused=True))


def test_from_the_report_to_the_end() -> None:
    log, number = reported()
    assert log.give(QA, TakeException(number=number)) == [ExceptionTaken(number=number)]
    decide = DecideException(number=number, decision="go_on", remark="Ask for a photo of the corner.")
    (decided,) = log.give(QA, decide)
    assert isinstance(decided, ExceptionDecided)
    assert decided.label == {"zh": "继续派送，备注说明", "en": "Go on, with a remark"}
    at = log.state.last_number
    assert log.give(COURIER, AcknowledgeException(number=number, decided=at)) == [
        ExceptionAcknowledged(number=number, decided=at)
    ]
    assert log.give(COURIER, AcknowledgeException(number=number, decided=at)) == []
    assert log.give(QA, CloseException(number=number)) == [ExceptionClosed(number=number, remark=None)]
    assert log.give(QA, CloseException(number=number)) == []
    assert log.state.exceptions.orders[number].state == "closed"


def test_what_nobody_took_is_taken_by_who_decides() -> None:
    log, number = reported()
    bodies = log.give(DISPATCH, DecideException(number=number, decision="call_first"))
    assert [body.kind for body in bodies if not isinstance(body, tuple)] == [  # type: ignore[union-attr]
        "exception_taken",
        "exception_decided",
    ]
    assert log.state.exceptions.orders[number].taken_by == DISPATCH.actor_id


def test_two_desks_at_once_one_wins_and_the_other_is_told() -> None:
    log, number = reported()
    log.give(QA, TakeException(number=number))
    assert log.give(QA, TakeException(number=number)) == []
    for command in (
        TakeException(number=number),
        DecideException(number=number, decision="call_first"),
    ):
        with pytest.raises(IllegalMeanwhile):
            log.give(DISPATCH, command)
    log.give(DISPATCH, TakeException(number=number, instead_of=QA.actor_id))
    assert log.state.exceptions.orders[number].taken_by == DISPATCH.actor_id
    with pytest.raises(IllegalMeanwhile):
        log.give(QA, DecideException(number=number, decision="call_first"))


def test_a_later_decision_is_valid_instead_until_the_courier_acts() -> None:
    log, number = reported()
    log.give(QA, DecideException(number=number, decision="call_first"))
    first = log.state.last_number
    log.give(QA, DecideException(number=number, decision="return_to_warehouse"))
    second = log.state.last_number
    with pytest.raises(IllegalMeanwhile):
        log.give(COURIER, AcknowledgeException(number=number, decided=first))
    log.give(COURIER, AcknowledgeException(number=number, decided=second))
    with pytest.raises(IllegalStep):
        log.give(QA, DecideException(number=number, decision="call_first"))


def test_a_decision_that_wants_a_remark_gets_one() -> None:
    log, number = reported()
    with pytest.raises(IllegalStep):
        log.give(QA, DecideException(number=number, decision="go_on"))
    with pytest.raises(UnknownWord):
        log.give(QA, DecideException(number=number, decision="toss_a_coin"))


def test_nothing_is_closed_over_the_couriers_head_or_without_a_word() -> None:
    log, number = reported()
    with pytest.raises(IllegalStep):
        log.give(QA, CloseException(number=number))
    log.give(QA, DecideException(number=number, decision="call_first"))
    with pytest.raises(IllegalStep):
        log.give(QA, CloseException(number=number, remark="done"))
    other, number = reported()
    other.give(QA, CloseException(number=number, remark="reported twice"))
    for command in (
        TakeException(number=number),
        DecideException(number=number, decision="call_first"),
    ):
        with pytest.raises(IllegalStep):
            other.give(QA, command)


def test_a_number_that_reports_nothing_is_unknown() -> None:
    log, number = reported()
    for wrong in (1, number + 1, 99):
        with pytest.raises(UnknownEntry):
            log.give(QA, TakeException(number=wrong))


def test_what_is_not_decided_in_time_is_overdue_once() -> None:
    log, number = reported("nobody_there")
    log.give(QA, TakeException(number=number))
    assert log.state.next_deadline == log.now_at + timedelta(minutes=10)
    log.wait(599)
    assert log.give(SERVICE, Elapse()) == []
    log.wait(1)
    assert log.give(SERVICE, Elapse()) == [ExceptionOverdue(number=number)]
    assert log.give(SERVICE, Elapse()) == []
    assert log.state.next_deadline is None
    log.give(QA, DecideException(number=number, decision="call_first"))


def test_what_is_decided_or_closed_is_never_overdue() -> None:
    for decided in (True, False):
        log, number = reported()
        if decided:
            log.give(QA, DecideException(number=number, decision="call_first"))
        else:
            log.give(QA, CloseException(number=number, remark="reported twice"))
        log.wait(7_200)
        assert log.state.next_deadline is None
        assert log.give(SERVICE, Elapse()) == []


def test_an_ended_case_waits_for_nothing() -> None:
    log, _ = reported()
    log.give(QA, EndCase())
    assert log.state.next_deadline is None
