"""The delivery: notices and answers, changes, the hand-over and its confirmation, and calls that ring."""

from dataclasses import replace
from datetime import timedelta

import pytest

from signaling.case import RING_S
from signaling.commands import Command, DeclineCall, Elapse, Join, Leave
from signaling.delivery import (
    Agreed,
    Announce,
    Answer,
    AnswerChange,
    Answered,
    AnswerTaken,
    ChangeAnswered,
    ChangeRequested,
    ChangeWithdrawn,
    Confirm,
    Confirmed,
    HandedOver,
    HandOver,
    NoticeRepeated,
    NoticeSent,
    NoticeUnanswered,
    ReceiptRefused,
    RefuseReceipt,
    RequestChange,
    TakeAnswer,
    WithdrawChange,
)
from signaling.entries import CallDeclined, CallMissed, CallRung
from signaling.errors import (
    IllegalForRole,
    IllegalMeanwhile,
    IllegalStep,
    UnknownEntry,
    UnknownWord,
)
from signaling.exceptions import ExceptionReported
from signaling.talk import SendText, Text
from signaling.values import Actor, SessionId
from tests.signaling.builders import (
    API,
    AT_THE_GATE,
    CONSENT,
    COURIER,
    CUSTOMER,
    DISPATCH,
    GUEST,
    OPEN,
    PHOTO,
    QA,
    SERVICE,
    START_AT,
    Log,
    link,
    opened_case,
)

CONFIRM = Confirm(number=0, statement="I have the parcel and it is whole.", language="en")


def announced(notice: str = "arrived") -> tuple[Log, int]:
    """A case whose customer is asked, and the number of the notice."""
    log = opened_case(CUSTOMER, COURIER, QA, DISPATCH, GUEST)
    log.give(COURIER, Announce(notice=notice))
    return log, log.state.last_number


def handed_over() -> tuple[Log, int]:
    log = opened_case(CUSTOMER, COURIER, QA, DISPATCH, GUEST)
    log.give(COURIER, HandOver(how="door", attachments=(PHOTO,)))
    return log, log.state.last_number


# Notices and answers


def test_a_notice_asks_in_every_language_with_numbered_choices() -> None:
    log = opened_case(COURIER)
    (notice,) = log.give(COURIER, Announce(notice="arriving_15", captured_at=START_AT))
    assert isinstance(notice, NoticeSent)
    assert (notice.minutes, notice.captured_at) == (15, START_AT)
    assert notice.text["en"].startswith("Your parcel arrives in about 15 minutes.")
    assert [(choice.choice, choice.wants) for choice in notice.choices] == [
        ("now", "nothing"),
        ("later", "time"),
        ("door", "nothing"),
        ("guard", "nothing"),
        ("locker", "nothing"),
        ("neighbour", "text"),
        ("refuse", "nothing"),
    ]
    assert notice.choices[2].label == {"zh": "放门口", "en": "Leave it at the door"}


def test_a_tap_a_number_and_a_plain_word_choose_alike() -> None:
    for command, by in [
        (None, "tap"),
        (SendText(text="3"), "number"),
        (SendText(text="放门口"), "word"),
        (SendText(text="At the door!"), "word"),
    ]:
        log, number = announced()
        bodies = log.give(CUSTOMER, command or Answer(number=number, choice="door"))
        answered = bodies[-1]
        assert isinstance(answered, Answered)
        assert (answered.number, answered.choice, answered.by) == (number, "door", by)
        assert len(bodies) == (1 if command is None else 2), "what was written is kept as it was written"
        given = log.state.delivery.notice
        assert given is not None and given.answer is not None and given.answer.choice == "door"


@pytest.mark.parametrize("text", ["Where are you?", "3 boxes?", "9", "好的"])
def test_a_text_that_means_no_choice_is_just_a_text(text: str) -> None:
    log, _ = announced()
    assert log.give(CUSTOMER, SendText(text=text)) == [Text(text=text)]


def test_only_the_asked_party_answers() -> None:
    log, number = announced()
    assert log.give(COURIER, SendText(text="3")) == [Text(text="3")]
    assert log.give(GUEST, SendText(text="3")) == [Text(text="3")]
    for actor in (COURIER, QA, GUEST):
        with pytest.raises(IllegalForRole):
            log.give(actor, Answer(number=number, choice="door"))


def test_an_answer_is_changed_until_the_courier_acts_on_it() -> None:
    log, number = announced()
    log.give(CUSTOMER, Answer(number=number, choice="door"))
    first = log.state.last_number
    (second,) = log.give(CUSTOMER, Answer(number=number, choice="guard", replaces=first))
    assert isinstance(second, Answered) and second.replaces == first
    with pytest.raises(IllegalMeanwhile):
        log.give(COURIER, TakeAnswer(number=first))
    at = log.state.last_number
    assert log.give(COURIER, TakeAnswer(number=at)) == [AnswerTaken(number=at)]
    assert log.give(COURIER, TakeAnswer(number=at)) == []
    with pytest.raises(IllegalStep):
        log.give(CUSTOMER, Answer(number=number, choice="now", replaces=at))
    assert log.give(CUSTOMER, SendText(text="1")) == [Text(text="1")], "written, but no answer any more"


def test_two_devices_answering_at_once_one_wins_and_the_other_is_told() -> None:
    log, number = announced()
    log.give(CUSTOMER, Answer(number=number, choice="door"))
    tablet = replace(CUSTOMER, session_id=SessionId("s_" + "t" * 20))
    before = log.state
    with pytest.raises(IllegalMeanwhile):
        log.give(tablet, Answer(number=number, choice="refuse"))
    assert log.state == before


def test_a_text_answers_nothing_that_its_writer_had_not_seen() -> None:
    log, number = announced()
    late = SendText(text="1", seen=number - 1)
    assert log.give(CUSTOMER, late) == [Text(text="1")], "written before the notice came"
    log.give(CUSTOMER, Answer(number=number, choice="door"))
    tablet = SendText(text="1", seen=number)
    assert log.give(CUSTOMER, tablet) == [Text(text="1")], "written before the other device answered"
    aware = SendText(text="1", seen=log.state.last_number)
    assert [getattr(body, "kind", "") for body in log.give(CUSTOMER, aware)] == ["text", "answered"]


def test_after_the_hand_over_nothing_is_answered_or_changed_any_more() -> None:
    log, number = announced()
    log.give(COURIER, HandOver(how="in_person"))
    assert log.give(CUSTOMER, SendText(text="door")) == [Text(text="door")]
    with pytest.raises(IllegalStep):
        log.give(CUSTOMER, Answer(number=number, choice="refuse"))
    handed = log.state.delivery.handed_over
    assert handed is not None
    log.give(CUSTOMER, replace(CONFIRM, number=handed.number))
    with pytest.raises(IllegalStep):
        log.give(CUSTOMER, RequestChange(what="person", text="My sister"))


def test_an_answer_says_what_its_choice_wants() -> None:
    log, number = announced()
    with pytest.raises(IllegalStep):
        log.give(CUSTOMER, Answer(number=number, choice="neighbour"))
    with pytest.raises(IllegalStep):
        log.give(CUSTOMER, Answer(number=number, choice="later"))
    with pytest.raises(UnknownWord):
        log.give(CUSTOMER, Answer(number=number, choice="moon"))
    at = START_AT + timedelta(hours=2)
    (answered,) = log.give(CUSTOMER, Answer(number=number, choice="later", when_at=at))
    assert isinstance(answered, Answered) and answered.when_at == at


def test_a_newer_notice_takes_the_place_of_the_older() -> None:
    log, number = announced("arriving_15")
    log.give(COURIER, Announce(notice="arrived"))
    with pytest.raises(IllegalMeanwhile):
        log.give(CUSTOMER, Answer(number=number, choice="door"))
    log.give(CUSTOMER, Answer(number=log.state.last_number, choice="door"))


def test_without_an_answer_the_notice_goes_out_again_and_then_the_courier_is_told_what_to_do() -> None:
    log, number = announced()
    assert log.state.next_deadline == log.now_at + timedelta(minutes=3)
    log.wait(179)
    assert log.give(SERVICE, Elapse()) == []
    log.wait(1)
    assert log.give(SERVICE, Elapse()) == [NoticeRepeated(number=number)]
    assert log.give(SERVICE, Elapse()) == []
    assert log.state.next_deadline == log.now_at + timedelta(minutes=3)
    log.wait(180)
    (unanswered,) = log.give(SERVICE, Elapse())
    assert isinstance(unanswered, NoticeUnanswered)
    assert [option.option for option in unanswered.options] == ["call", "guard", "locker", "take_back"]
    assert log.state.next_deadline is None
    log.give(CUSTOMER, Answer(number=number, choice="door"))


def test_what_a_stopped_service_missed_is_told_at_once() -> None:
    log, number = announced()
    log.wait(3_600)
    kinds = [getattr(body, "kind", None) for body in log.give(SERVICE, Elapse())]
    assert kinds == ["notice_repeated", "notice_unanswered"]
    assert number == log.state.last_number - 2


def test_an_answer_in_time_stops_the_clock() -> None:
    log, number = announced()
    log.give(CUSTOMER, Answer(number=number, choice="door"))
    assert log.state.next_deadline is None
    log.wait(7_200)
    assert log.give(SERVICE, Elapse()) == []


def test_notices_are_sent_by_those_whom_the_wording_names() -> None:
    log = opened_case(CUSTOMER, COURIER, DISPATCH)
    for actor, notice in [(DISPATCH, "arrived"), (COURIER, "delayed_hour"), (COURIER, "delayed_road")]:
        with pytest.raises(IllegalForRole):
            log.give(actor, Announce(notice=notice))
    with pytest.raises(UnknownWord):
        log.give(COURIER, Announce(notice="of_tomorrow"))
    (told,) = log.give(DISPATCH, Announce(notice="delayed_hour"))
    assert isinstance(told, NoticeSent) and told.choices == () and told.repeat_at is None


# Changes


def test_a_change_that_is_accepted_is_what_holds() -> None:
    log = Log()
    _opened, agreed = log.give(API, replace(OPEN, address="1 Old Street", place=AT_THE_GATE))
    assert agreed == Agreed(
        what="address", text="1 Old Street", when_at=None, place=AT_THE_GATE, request=None
    )
    for actor in (CUSTOMER, COURIER, DISPATCH):
        log.give(API, link(actor))
    assert log.give(CUSTOMER, RequestChange(what="address", text="2 New Street")) == [
        ChangeRequested(what="address", text="2 New Street", when_at=None, place=None, captured_at=None)
    ]
    number = log.state.last_number
    assert log.give(DISPATCH, AnswerChange(number=number, accepted=True)) == [
        ChangeAnswered(number=number, accepted=True, remark=None),
        Agreed(what="address", text="2 New Street", when_at=None, place=None, request=number),
    ]
    assert log.state.delivery.agreed["address"].text == "2 New Street"
    assert log.state.delivery.destination is None


def test_a_change_that_is_declined_or_withdrawn_changes_nothing() -> None:
    log = opened_case(CUSTOMER, COURIER)
    when_at = START_AT + timedelta(hours=5)
    log.give(CUSTOMER, RequestChange(what="time", text="After work", when_at=when_at))
    number = log.state.last_number
    declined = AnswerChange(number=number, accepted=False, remark="My shift ends at six.")
    assert log.give(COURIER, declined) == [
        ChangeAnswered(number=number, accepted=False, remark="My shift ends at six.")
    ]
    log.give(CUSTOMER, RequestChange(what="person", text="My sister"))
    number = log.state.last_number
    assert log.give(CUSTOMER, WithdrawChange(number=number)) == [ChangeWithdrawn(number=number)]
    assert log.state.delivery.agreed == {} == log.state.delivery.changes


def test_a_change_is_answered_once_and_a_newer_one_takes_its_place() -> None:
    log = opened_case(CUSTOMER, COURIER, DISPATCH)
    log.give(CUSTOMER, RequestChange(what="person", text="My sister"))
    older = log.state.last_number
    log.give(CUSTOMER, RequestChange(what="person", text="My brother"))
    newer = log.state.last_number
    with pytest.raises(IllegalMeanwhile):
        log.give(COURIER, AnswerChange(number=older, accepted=True))
    log.give(COURIER, AnswerChange(number=newer, accepted=True))
    late: list[tuple[Actor, Command]] = [
        (DISPATCH, AnswerChange(number=newer, accepted=False)),
        (CUSTOMER, WithdrawChange(number=newer)),
    ]
    for actor, command in late:
        with pytest.raises(IllegalMeanwhile):
            log.give(actor, command)
    assert log.state.delivery.agreed["person"].text == "My brother"


def test_a_change_of_the_time_says_when() -> None:
    log = opened_case(CUSTOMER)
    with pytest.raises(IllegalStep):
        log.give(CUSTOMER, RequestChange(what="time", text="later"))


# The hand-over


def test_a_parcel_that_is_left_somewhere_is_photographed_and_the_customer_told_their_right() -> None:
    log = opened_case(CUSTOMER, COURIER)
    with pytest.raises(IllegalStep):
        log.give(COURIER, HandOver(how="door"))
    with pytest.raises(UnknownWord):
        log.give(COURIER, HandOver(how="by_catapult"))
    (body,) = log.give(COURIER, HandOver(how="door", attachments=(PHOTO,)))
    assert isinstance(body, HandedOver)
    assert body.right["en"].startswith("You have the right to inspect first")
    log.give(COURIER, HandOver(how="in_person"))


def test_the_customer_confirms_once_and_nobody_else_can() -> None:
    log, number = handed_over()
    command = replace(CONFIRM, number=number)
    for actor in (COURIER, QA, DISPATCH, GUEST, API, SERVICE):
        for forged in (command, RefuseReceipt(number=number, text="no")):
            with pytest.raises(IllegalForRole):
                log.give(actor, forged)
    (confirmed,) = log.give(CUSTOMER, command)
    assert isinstance(confirmed, Confirmed) and confirmed.statement == CONFIRM.statement
    for again in (command, RefuseReceipt(number=number, text="no")):
        with pytest.raises(IllegalMeanwhile):
            log.give(CUSTOMER, again)
    for late in (Announce(notice="arrived"), HandOver(how="in_person")):
        with pytest.raises(IllegalStep):
            log.give(COURIER, late)


def test_only_the_newest_hand_over_is_confirmed() -> None:
    log, older = handed_over()
    log.give(COURIER, HandOver(how="in_person"))
    for wrong in (older, older - 1, 99):
        with pytest.raises(UnknownEntry):
            log.give(CUSTOMER, replace(CONFIRM, number=wrong))


def test_a_reservation_opens_an_exception_by_itself() -> None:
    log, number = handed_over()
    command = replace(CONFIRM, number=number, reservation="One corner is dented.", exception="damage")
    confirmed, report = log.give(CUSTOMER, command)
    assert isinstance(confirmed, Confirmed) and confirmed.reservation == "One corner is dented."
    assert isinstance(report, ExceptionReported)
    assert (report.exception, report.text) == ("damage", "One corner is dented.")


def test_a_reservation_is_of_a_kind_that_a_customer_may_report() -> None:
    log, number = handed_over()
    with pytest.raises(IllegalForRole):
        log.give(CUSTOMER, replace(CONFIRM, number=number, reservation="flat", exception="vehicle"))
    with pytest.raises(UnknownWord):
        log.give(CUSTOMER, replace(CONFIRM, number=number, reservation="flat", exception="of_tomorrow"))


def test_a_refusal_opens_an_exception_and_the_parcel_may_be_handed_over_anew() -> None:
    log, number = handed_over()
    refusal, report = log.give(CUSTOMER, RefuseReceipt(number=number, text="It is not mine."))
    assert isinstance(refusal, ReceiptRefused)
    assert isinstance(report, ExceptionReported) and report.exception == "refused"
    log.give(COURIER, HandOver(how="in_person"))
    log.give(CUSTOMER, replace(CONFIRM, number=log.state.last_number))


def test_handing_over_is_acting_on_the_answer_and_ends_the_asking() -> None:
    log, number = announced()
    log.give(CUSTOMER, Answer(number=number, choice="door"))
    at = log.state.last_number
    log.give(COURIER, HandOver(how="door", attachments=(PHOTO,)))
    with pytest.raises(IllegalStep):
        log.give(CUSTOMER, Answer(number=number, choice="refuse", replaces=at))
    unasked, _ = announced()
    unasked.give(COURIER, HandOver(how="in_person"))
    assert unasked.state.next_deadline is None


# Calls that ring


def ringing(*online: Actor) -> Log:
    """The courier calls, while these have a page open."""
    log = opened_case(CUSTOMER, COURIER, QA)
    for actor in (CUSTOMER, COURIER, QA):
        log.give(actor, CONSENT)
    log.give(COURIER, Join(), online=online)
    return log


def test_a_call_rings_at_the_other_party_and_says_who_has_no_page_open() -> None:
    for online, absent in [((CUSTOMER,), ()), ((), (CUSTOMER.actor_id,))]:
        log = ringing(*online)
        rung = log.entries[-1].body
        assert isinstance(rung, CallRung)
        assert (rung.of, rung.absent) == ((CUSTOMER.actor_id,), absent)
        assert rung.until == log.now_at + timedelta(seconds=RING_S) == log.state.next_deadline


def test_a_call_that_is_answered_is_not_missed() -> None:
    log = ringing()
    log.give(CUSTOMER, Join())
    assert log.state.next_deadline is None
    log.wait(60)
    assert log.give(SERVICE, Elapse()) == []
    log.give(CUSTOMER, Leave())
    kinds = [getattr(body, "kind", None) for body in log.give(COURIER, Leave())]
    assert kinds == ["left", "call_ended"]


def test_a_call_that_is_declined_rings_no_more_and_is_not_missed() -> None:
    log = ringing()
    assert log.give(CUSTOMER, DeclineCall()) == [CallDeclined(call_number=1)]
    assert log.give(CUSTOMER, DeclineCall()) == []
    kinds = [getattr(body, "kind", None) for body in log.give(COURIER, Leave())]
    assert kinds == ["left", "call_ended"]


def test_a_call_is_missed_when_it_has_rung_long_enough_or_the_caller_gives_up() -> None:
    log = ringing()
    log.wait(RING_S)
    assert log.give(SERVICE, Elapse()) == [CallMissed(call_number=1, of=(CUSTOMER.actor_id,))]
    log.give(CUSTOMER, Join())
    impatient = ringing()
    _left, missed, _ended = impatient.give(COURIER, Leave())
    assert missed == CallMissed(call_number=1, of=(CUSTOMER.actor_id,))


def test_quality_checks_call_rings_at_both_parties() -> None:
    log = opened_case(CUSTOMER, COURIER, QA)
    log.give(QA, CONSENT)
    log.give(QA, Join())
    rung = log.entries[-1].body
    assert isinstance(rung, CallRung) and rung.of == (CUSTOMER.actor_id, COURIER.actor_id)
