"""A case as Hypothesis plays it: any command by anybody, in any order, late or doubled, with real numbers.

Whatever was legal leaves a state that the rules allow; a replay of the log as it would be stored gives the
very same state; and a state put aside anywhere on the way, with the entries that came after, gives it, too.
"""

import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from signaling.case import WAITING, CaseEntry, CaseState, evolve, new_case, read_entry
from signaling.commands import Command, DeclineCall, Elapse, EndCase, Join, Leave, RevokeLink
from signaling.delivery import (
    Announce,
    Answer,
    AnswerChange,
    Answered,
    AnswerTaken,
    Confirm,
    Confirmed,
    HandOver,
    NoticeSent,
    ReceiptRefused,
    RefuseReceipt,
    RequestChange,
    TakeAnswer,
    WithdrawChange,
)
from signaling.entries import MAY_SEE, Envelope, encode_body
from signaling.errors import SignalingError
from signaling.exceptions import (
    AcknowledgeException,
    CloseException,
    DecideException,
    ExceptionAcknowledged,
    ExceptionDecided,
    ReportException,
    TakeException,
)
from signaling.talk import (
    MAX_CASE_ATTACHMENT_BYTES,
    Attach,
    Mark,
    RefuseAttachment,
    SendPhrase,
    SendText,
    SharePlace,
    StoreAttachment,
)
from signaling.values import Actor
from signaling.wording import MAX_WAIT_S
from tests.signaling.builders import (
    API,
    AT_THE_GATE,
    CASE_ID,
    CONSENT,
    COURIER,
    CUSTOMER,
    DISPATCH,
    GUEST,
    PHOTO,
    QA,
    SERVICE,
    START_AT,
    VOICE,
    WORDING,
    Log,
    link,
    opened_case,
    person,
    refused,
    stored,
)

PEOPLE = [CUSTOMER, COURIER, QA, DISPATCH, GUEST]
SECOND = [person("courier", "second"), person("qa", "second"), person("guest", "second")]
SOMEBODY = st.sampled_from([*PEOPLE, *PEOPLE, *SECOND, API, SERVICE])
CODES = sorted([*WORDING.rules.choices, "moon"])
TEXTS = st.sampled_from(["hello", "2", "放门口", "guard", "refuse it", "９", "…"])
MAYBE_TEXT = st.none() | TEXTS


def commands(number: st.SearchStrategy[int]) -> st.SearchStrategy[Command]:
    """Any command; what it names are the `number`s, mostly those of real entries."""
    attachments = st.sampled_from([(), (PHOTO,), (PHOTO, VOICE), (VOICE, VOICE)])
    maybe_number = st.none() | number
    return st.one_of(
        st.sampled_from([CONSENT, Join(), Leave(), DeclineCall(), Elapse()]),
        st.builds(SendText, text=TEXTS),
        st.builds(SendPhrase, phrase=st.sampled_from(["thank_you", "please_call", "at_the_gate"])),
        st.builds(Attach, attachment=st.sampled_from([PHOTO, VOICE]), caption=MAYBE_TEXT),
        st.just(SharePlace(place=AT_THE_GATE)),
        st.builds(Mark, delivered=st.integers(0, 60), read=st.integers(0, 60)),
        st.builds(StoreAttachment, stored=st.builds(stored, st.sampled_from([PHOTO, VOICE]), number)),
        st.builds(RefuseAttachment, refused=st.builds(refused, st.sampled_from([PHOTO, VOICE]), number)),
        st.builds(Announce, notice=st.sampled_from(sorted(WORDING.rules.notices))),
        st.builds(
            Answer,
            number=number,
            choice=st.sampled_from(CODES),
            when_at=st.sampled_from([None, START_AT]),
            detail=MAYBE_TEXT,
            replaces=maybe_number,
        ),
        st.builds(TakeAnswer, number=number),
        st.builds(
            RequestChange,
            what=st.sampled_from(["address", "time", "person"]),
            text=TEXTS,
            when_at=st.sampled_from([None, START_AT]),
            place=st.sampled_from([None, AT_THE_GATE]),
        ),
        st.builds(AnswerChange, number=number, accepted=st.booleans(), remark=MAYBE_TEXT),
        st.builds(WithdrawChange, number=number),
        st.builds(
            HandOver, how=st.sampled_from(["in_person", "door", "by_catapult"]), attachments=attachments
        ),
        st.builds(
            Confirm,
            number=number,
            statement=TEXTS,
            language=st.just("en"),
            reservation=MAYBE_TEXT,
            attachments=attachments,
        ),
        st.builds(RefuseReceipt, number=number, text=TEXTS, attachments=attachments),
        st.builds(
            ReportException,
            exception=st.sampled_from(sorted(WORDING.rules.exceptions)),
            text=MAYBE_TEXT,
            attachments=attachments,
            place=st.sampled_from([None, AT_THE_GATE]),
            place_refused=st.booleans(),
        ),
        st.builds(
            TakeException,
            number=number,
            instead_of=st.sampled_from([None, *(someone.actor_id for someone in PEOPLE)]),
        ),
        st.builds(
            DecideException,
            number=number,
            decision=st.sampled_from(sorted(WORDING.rules.decisions)),
            remark=MAYBE_TEXT,
        ),
        st.builds(AcknowledgeException, number=number, decided=number),
        st.builds(CloseException, number=number, remark=MAYBE_TEXT),
        st.builds(link, st.sampled_from([*PEOPLE, *SECOND])),
        st.builds(RevokeLink, link_id=st.sampled_from([someone.actor_id for someone in PEOPLE])),
    )


class CaseMachine(RuleBasedStateMachine):
    """A case with everybody in it, and everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.snapshot: tuple[int, bytes] = (0, b"")
        self.last: tuple[Actor, Command] | None = None

    @initialize()
    def open(self) -> None:
        self.log = opened_case(*PEOPLE)
        self.take_snapshot()

    @rule(actor=SOMEBODY, data=st.data())
    def give(self, actor: Actor, data: st.DataObject) -> None:
        known = [entry.number for entry in self.log.entries[-25:]]
        number = st.sampled_from([*known, 1, 999])
        self.attempt(actor, data.draw(commands(number)))

    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """What fits the state: chance alone would rarely come as far as a confirmed receipt."""
        delivery, orders = self.log.state.delivery, self.log.state.exceptions.orders
        fitting: list[tuple[Actor, Command]] = [
            (COURIER, Announce(notice="arrived")),
            (COURIER, HandOver(how="in_person")),
            (COURIER, ReportException(exception="damage")),
        ]
        if delivery.notice is not None:
            answer = delivery.notice.answer
            replaces = None if answer is None else answer.number
            choose = Answer(number=delivery.notice.number, choice="door", replaces=replaces)
            fitting += [(CUSTOMER, choose), (CUSTOMER, SendText(text="4"))]
            fitting += [] if answer is None else [(COURIER, TakeAnswer(number=answer.number))]
        if delivery.handed_over is not None:
            number = delivery.handed_over.number
            fitting += [
                (CUSTOMER, Confirm(number=number, statement="whole", language="en", reservation=None)),
                (CUSTOMER, RefuseReceipt(number=number, text="not mine")),
            ]
        for number, order in orders.items():
            if order.decided is not None:
                made = [
                    entry.number
                    for entry in self.log.entries
                    if isinstance(entry.body, ExceptionDecided) and entry.body.number == number
                ]
                fitting += [(COURIER, AcknowledgeException(number=number, decided=one)) for one in made[-2:]]
            fitting += [(QA, TakeException(number=number, instead_of=order.taken_by))]
            fitting += [(QA, DecideException(number=number, decision="call_first"))]
        self.attempt(*data.draw(st.sampled_from(fitting)))

    @rule()
    def repeat(self) -> None:
        if self.last is not None:
            self.attempt(*self.last)

    @rule(seconds=st.sampled_from([1, 50, 200, 4_000]))
    def wait(self, seconds: int) -> None:
        self.log.wait(seconds)
        self.attempt(SERVICE, Elapse())
        assert self.log.state.next_deadline is None or self.log.state.next_deadline > self.log.now_at

    @rule()
    def end(self) -> None:
        if len(self.log.entries) > 30:
            self.attempt(QA, EndCase())

    @rule()
    def take_snapshot(self) -> None:
        self.snapshot = (len(self.log.entries), pickle.dumps(self.log.state))

    def attempt(self, actor: Actor, command: Command) -> None:
        before = self.log.state
        try:
            self.log.give(actor, command)
        except SignalingError:
            assert self.log.state == before
        else:
            self.last = (actor, command)

    @invariant()
    def the_state_is_legal(self) -> None:
        state = self.log.state
        for marks in state.talk.marks.values():
            assert 0 <= marks.read <= marks.delivered <= state.last_number
        assert set(state.talk.settled) <= set(state.talk.announced)
        size_bytes = sum(room.size_bytes for room in state.talk.room.values())
        assert 0 <= size_bytes <= MAX_CASE_ATTACHMENT_BYTES
        assert all(room.count >= 0 and room.size_bytes >= 0 for room in state.talk.room.values())
        for order in state.exceptions.orders.values():
            assert (order.state != "open") or (order.taken_by is None and order.decided is None)
            assert order.state not in ("taken", "decided", "acknowledged") or order.taken_by is not None
            assert order.state not in ("decided", "acknowledged") or order.decided is not None
        notice = state.delivery.notice
        if notice is not None and notice.answer is not None:
            assert notice.answer.choice in [choice.choice for choice in notice.choices]
        assert set(state.call.ringing if state.call else ()).isdisjoint(state.in_call)
        assert state.phase == "open" or state.next_deadline is None
        if state.next_deadline is not None:
            # A service that starts looks for what waits among these kinds alone, and no further back.
            waiting = [entry.recorded_at for entry in self.log.entries if entry.kind in WAITING]
            assert waiting and state.next_deadline - waiting[-1] <= timedelta(seconds=2 * MAX_WAIT_S)

    @invariant()
    def the_log_tells_a_legal_story(self) -> None:
        taken: set[int] = set()
        settled: set[int] = set()
        decided: dict[int, int] = {}
        asked = 0
        for entry in self.log.entries:
            body = entry.body
            match body:
                case NoticeSent():
                    asked = entry.number if body.choices else asked
                case Answered():
                    assert entry.role == "customer" and body.number == asked not in taken
                case AnswerTaken():
                    assert entry.role == "courier"
                    taken.add(asked)
                case Confirmed() | ReceiptRefused():
                    assert entry.role == "customer" and body.number not in settled
                    settled.add(body.number)
                case ExceptionDecided():
                    assert entry.role in ("qa", "dispatch")
                    decided[body.number] = entry.number
                case ExceptionAcknowledged():
                    assert entry.role == "courier" and decided[body.number] == body.decided
                case _:
                    assert entry.kind in MAY_SEE

    def teardown(self) -> None:
        entries = self.log.entries
        replayed = new_case(CASE_ID)
        for entry in entries:
            replayed = evolve(replayed, as_stored(entry, replayed))
        assert replayed == self.log.state
        count, pickled = self.snapshot
        resumed: CaseState = pickle.loads(pickled) if count else new_case(CASE_ID)
        for entry in entries[count:]:
            resumed = evolve(resumed, as_stored(entry, resumed))
        assert resumed == self.log.state


def as_stored(entry: CaseEntry, state: CaseState) -> CaseEntry:
    """The entry after it was written to the log and read again."""
    envelope = Envelope(
        version=1,
        kind=entry.kind,
        case_id=CASE_ID,
        number=entry.number,
        previous_hash=state.last_hash,
        role=entry.role,
        actor_id=entry.actor_id,
        session_id=entry.session_id,
        recorded_at=entry.recorded_at,
        commitment="0" * 64,
    )
    body: dict[str, Any] = encode_body(entry.body)
    return read_entry(envelope, body, entry.hash)


CaseMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
TestCaseMachine = CaseMachine.TestCase


class LongCaseMachine(CaseMachine):
    """The same, for as long as it takes."""


LongCaseMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestCaseMachineAtLength = pytest.mark.long(LongCaseMachine.TestCase)
