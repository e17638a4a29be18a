"""The delivery: the courier's notices and the customer's answers, changes that are asked for, the hand-over.

    notice_sent ──> answered ──> answer_taken              the courier acts on it: from then on it stands
        │              └─ changed ─┘
        └── no answer ──> notice_repeated ──> notice_unanswered    and the courier is told what they may do

    change_requested ──> change_answered (+ agreed, if accepted) | change_withdrawn
    handed_over ──> confirmed (perhaps with a reservation) | receipt_refused        by the customer alone

A later notice takes the place of an earlier one. Entries, commands and rules of the subject; `case.py` says
who may and when.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from signaling.clock import Claim
from signaling.errors import (
    IllegalEntry,
    IllegalForRole,
    IllegalMeanwhile,
    IllegalStep,
    UnknownEntry,
    UnknownWord,
)
from signaling.exceptions import ExceptionReported, report
from signaling.scene import Scene
from signaling.talk import Attachments, SendText
from signaling.values import (
    ActorId,
    Code,
    Count,
    Flag,
    Language,
    Number,
    Place,
    Strict,
    Translations,
    WireStatement,
    WireText,
    WireTime,
    cut_to_milliseconds,
)
from signaling.wording import ChangeOf, Wants

MAX_CHOICES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Strict):
    """What can be chosen, in words, and what else must be said with it."""

    choice: Code
    label: Translations
    wants: Wants


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent(Claim):
    """A notice, known by this entry's number. Choices are numbered from 1 in this order. Without an answer it
    is repeated at `repeat_at` and given up at `give_up_at`; None where it wants none.
    """

    kind: ClassVar[str] = "notice_sent"

    notice: Code
    to: Literal["customer", "courier"]
    text: Translations
    choices: Annotated[tuple[Choice, ...], Field(max_length=MAX_CHOICES)]
    minutes: Count | None
    repeat_at: WireTime | None
    give_up_at: WireTime | None
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRepeated(Strict):
    """Nobody has answered the notice: it goes out again through the integrator's channel."""

    kind: ClassVar[str] = "notice_repeated"

    number: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeOption(Strict):
    option: Code
    label: Translations


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeUnanswered(Strict):
    """Still nobody has: what the courier may do now."""

    kind: ClassVar[str] = "notice_unanswered"

    number: Number
    text: Translations
    options: tuple[NoticeOption, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Claim):
    """The notice of entry `number` is answered; `replaces` names the answer that is no more valid. `by`:
    tapped, or read out of a text.
    """

    kind: ClassVar[str] = "answered"

    number: Number
    choice: Code
    label: Translations
    when_at: WireTime | None
    detail: WireText | None
    by: Literal["tap", "number", "word"]
    replaces: Number | None
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTaken(Strict):
    """The courier acts on the answer of entry `number`."""

    kind: ClassVar[str] = "answer_taken"

    number: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequested(Claim):
    """Known by this entry's number; takes the place of one for the same that is still open."""

    kind: ClassVar[str] = "change_requested"

    what: ChangeOf
    text: WireText
    when_at: WireTime | None
    place: Place | None
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAnswered(Strict):
    kind: ClassVar[str] = "change_answered"

    number: Number
    accepted: Flag
    remark: WireText | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWithdrawn(Strict):
    kind: ClassVar[str] = "change_withdrawn"

    number: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed(Strict):
    """What holds now of address, time or person. `request`: the entry that asked; None: at the opening."""

    kind: ClassVar[str] = "agreed"

    what: ChangeOf
    text: WireText
    when_at: WireTime | None
    place: Place | None
    request: Number | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver(Claim):
    """The courier has left the parcel, or given it. `right` is what the customer is told of their right to
    look first.
    """

    kind: ClassVar[str] = "handed_over"

    how: Code
    label: Translations
    text: WireText | None
    attachments: Attachments
    place: Place | None
    right: Translations
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(Claim):
    """The customer has the parcel of entry `number`; `statement` is what they read and agreed to."""

    kind: ClassVar[str] = "confirmed"

    number: Number
    statement: WireStatement
    language: Language
    reservation: WireText | None
    attachments: Attachments
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRefused(Claim):
    """The customer does not take the parcel of entry `number`."""

    kind: ClassVar[str] = "receipt_refused"

    number: Number
    text: WireText
    attachments: Attachments
    captured_at: WireTime | None


Body = (
    NoticeSent
    | NoticeRepeated
    | NoticeUnanswered
    | Answered
    | AnswerTaken
    | ChangeRequested
    | ChangeAnswered
    | ChangeWithdrawn
    | Agreed
    | HandedOver
    | Confirmed
    | ReceiptRefused
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce(Strict):
    """Send a notice of the wording: "arrived", "in 15 minutes"."""

    notice: Code
    captured_at: WireTime | None = None
    kind: Literal["announce"] = "announce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Strict):
    """`replaces`: the answer that this person saw as valid, None for none; another one since then wins."""

    number: Number
    choice: Code
    when_at: WireTime | None = None
    detail: WireText | None = None
    replaces: Number | None = None
    captured_at: WireTime | None = None
    kind: Literal["answer"] = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeAnswer(Strict):
    """Act on the answer of entry `number`."""

    number: Number
    kind: Literal["take_answer"] = "take_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChange(Strict):
    what: ChangeOf
    text: WireText
    when_at: WireTime | None = None
    place: Place | None = None
    captured_at: WireTime | None = None
    kind: Literal["request_change"] = "request_change"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerChange(Strict):
    number: Number
    accepted: Flag
    remark: WireText | None = None
    kind: Literal["answer_change"] = "answer_change"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawChange(Strict):
    number: Number
    kind: Literal["withdraw_change"] = "withdraw_change"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver(Strict):
    how: Code
    text: WireText | None = None
    attachments: Attachments = ()
    place: Place | None = None
    captured_at: WireTime | None = None
    kind: Literal["hand_over"] = "hand_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(Strict):
    """A reservation opens an exception of the kind `exception` by itself."""

    number: Number
    statement: WireStatement
    language: Language
    reservation: WireText | None = None
    exception: Code = "other"
    attachments: Attachments = ()
    captured_at: WireTime | None = None
    kind: Literal["confirm"] = "confirm"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseReceipt(Strict):
    """Opens an exception by itself."""

    number: Number
    text: WireText
    attachments: Attachments = ()
    captured_at: WireTime | None = None
    kind: Literal["refuse_receipt"] = "refuse_receipt"


Command = (
    Announce
    | Answer
    | TakeAnswer
    | RequestChange
    | AnswerChange
    | WithdrawChange
    | HandOver
    | Confirm
    | RefuseReceipt
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    number: int
    choice: str
    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The newest notice that wants an answer. `repeat_at` and `give_up_at` are None once that was so;
    `closed` once the parcel was handed over: then nothing is asked any more.
    """

    number: int
    notice: str
    to: str
    choices: tuple[Choice, ...]
    repeat_at: datetime | None
    give_up_at: datetime | None
    answer: GivenAnswer | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOverState:
    """The newest hand-over, and the number of what settled it."""

    number: int
    settled: int | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`changes`: requests that are open, by what they would change; `agreed` what holds now."""

    notice: Notice | None = None
    changes: Mapping[str, tuple[int, ChangeRequested]] = field(default_factory=dict)
    agreed: Mapping[str, Agreed] = field(default_factory=dict)
    handed_over: HandedOverState | None = None

    @property
    def destination(self) -> Place | None:
        """Where the parcel is to go, if the agreed address has a place."""
        address = self.agreed.get("address")
        return None if address is None else address.place

    @property
    def next_deadline(self) -> datetime | None:
        """When the notice is to be repeated or given up."""
        if self.notice is None or self.notice.answer is not None:
            return None
        return self.notice.repeat_at or self.notice.give_up_at


def notify(scene: Scene, notice: str, captured_at: datetime | None = None) -> NoticeSent:
    """The entry of a notice; raises UnknownWord."""
    rule = scene.wording.rules.notices.get(notice)
    if rule is None:
        raise UnknownWord(f"there is no notice {notice!r}")
    repeat_at = give_up_at = None
    if rule.repeat_after_s is not None and rule.give_up_after_s is not None:
        repeat_at = cut_to_milliseconds(scene.now_at + timedelta(seconds=rule.repeat_after_s))
        give_up_at = repeat_at + timedelta(seconds=rule.give_up_after_s)
    return NoticeSent(
        notice=notice,
        to=rule.to,
        text=scene.wording.say(f"notice.{notice}"),
        choices=tuple(
            Choice(
                choice=choice,
                label=scene.wording.say(f"choice.{choice}"),
                wants=scene.wording.rules.choices[choice].wants,
            )
            for choice in rule.choices
        ),
        minutes=rule.minutes,
        repeat_at=repeat_at,
        give_up_at=give_up_at,
        captured_at=captured_at,
    )


def answer_in(state: Delivery, command: SendText, scene: Scene) -> Answered | None:
    """The answer to the open notice that a text plainly is; None for a text that is just that, also because
    its writer had seen neither this notice nor the answer that is valid. Who writes "2" is asked for no time:
    the courier sees that one is missing.
    """
    notice = state.notice
    if notice is None or notice.to != scene.actor.role or notice.closed:
        return None
    if notice.answer is not None and notice.answer.taken:
        return None
    newest = notice.number if notice.answer is None else notice.answer.number
    if command.seen is not None and command.seen < newest:
        return None
    meant = scene.wording.choice_meant(command.text, [choice.choice for choice in notice.choices])
    if meant is None:
        return None
    choice = next(choice for choice in notice.choices if choice.choice == meant[0])
    if notice.answer and notice.answer.choice == choice.choice:
        return None
    return Answered(
        number=notice.number,
        choice=choice.choice,
        label=choice.label,
        when_at=None,
        detail=None,
        by=meant[1],
        replaces=None if notice.answer is None else notice.answer.number,
        captured_at=command.captured_at,
    )


def decide(state: Delivery, command: Command, scene: Scene) -> list[Body | ExceptionReported]:
    """What becomes of the delivery; [] if it is so by now."""
    match command:
        case Announce():
            rule = scene.wording.rules.notices.get(command.notice)
            if rule is not None and scene.person_role not in rule.senders:
                raise IllegalForRole(f"{command.notice} is not for {scene.actor.role} to send")
            if state.handed_over is not None and state.handed_over.confirmed:
                raise IllegalStep("the customer has confirmed the receipt already")
            return [notify(scene, command.notice, command.captured_at)]
        case Answer():
            return [_answer(state, command, scene)]
        case TakeAnswer():
            answer = state.notice.answer if state.notice is not None else None
            if answer is None or answer.number != command.number:
                raise IllegalMeanwhile("the answer is another one by now: read it first")
            return [] if answer.taken else [AnswerTaken(number=command.number)]
        case RequestChange():
            if command.what == "time" and command.when_at is None:
                raise IllegalStep("a change of the time wants a time")
            if state.handed_over is not None and state.handed_over.confirmed:
                raise IllegalStep("you have confirmed the receipt already")
            return [
                ChangeRequested(
                    what=command.what,
                    text=command.text,
                    when_at=command.when_at,
                    place=command.place,
                    captured_at=command.captured_at,
                )
            ]
        case AnswerChange():
            request = _open_change(state, command.number)
            answered = ChangeAnswered(number=command.number, accepted=command.accepted, remark=command.remark)
            if not command.accepted:
                return [answered]
            agreed = Agreed(
                what=request.what,
                text=request.text,
                when_at=request.when_at,
                place=request.place,
                request=command.number,
            )
            return [answered, agreed]
        case WithdrawChange():
            _open_change(state, command.number)
            return [ChangeWithdrawn(number=command.number)]
        case HandOver():
            if command.how not in scene.wording.rules.hand_overs:
                raise UnknownWord(f"there is no way of handing over {command.how!r}")
            if state.handed_over is not None and state.handed_over.confirmed:
                raise IllegalStep("the customer has confirmed the receipt already")
            if command.how != "in_person" and not command.attachments:
                raise IllegalStep("a parcel that is left somewhere wants a photo of where")
            return [
                HandedOver(
                    how=command.how,
                    label=scene.wording.say(f"hand_over.{command.how}"),
                    text=command.text,
                    attachments=command.attachments,
                    place=command.place,
                    right=scene.wording.say("right_to_inspect"),
                    captured_at=command.captured_at,
                )
            ]
        case Confirm():
            _check_unsettled(state, command.number)
            confirmed = Confirmed(
                number=command.number,
                statement=command.statement,
                language=command.language,
                reservation=command.reservation,
                attachments=command.attachments,
                captured_at=command.captured_at,
            )
            if command.reservation is None:
                return [confirmed]
            kind = scene.wording.rules.exceptions.get(command.exception)
            if kind is not None and scene.person_role not in kind.reporters:
                raise IllegalForRole(f"{command.exception} is not for {scene.actor.role} to report")
            return [confirmed, report(scene, exception=command.exception, text=command.reservation)]
        case RefuseReceipt():
            _check_unsettled(state, command.number)
            refused = ReceiptRefused(
                number=command.number,
                text=command.text,
                attachments=command.attachments,
                captured_at=command.captured_at,
            )
            return [refused, report(scene, exception="refused", text=command.text)]


def elapse(state: Delivery, scene: Scene) -> list[Body]:
    """What has come of a notice that nobody answered."""
    notice = state.notice
    if notice is None or notice.answer is not None:
        return []
    bodies: list[Body] = []
    if notice.repeat_at is not None and notice.repeat_at <= scene.now_at:
        bodies.append(NoticeRepeated(number=notice.number))
    if notice.give_up_at is not None and notice.give_up_at <= scene.now_at:
        rule = scene.wording.rules.notices.get(notice.notice)
        options = () if rule is None else rule.options
        bodies.append(
            NoticeUnanswered(
                number=notice.number,
                text=scene.wording.say("unanswered"),
                options=tuple(
                    NoticeOption(option=option, label=scene.wording.say(f"option.{option}"))
                    for option in options
                ),
            )
        )
    return bodies


def evolve(state: Delivery, number: int, actor_id: ActorId, body: Body) -> Delivery:
    match body:
        case NoticeSent():
            if not body.choices:
                return state
            notice = Notice(
                number=number,
                notice=body.notice,
                to=body.to,
                choices=body.choices,
                repeat_at=body.repeat_at,
                give_up_at=body.give_up_at,
            )
            return replace(state, notice=notice)
        case NoticeRepeated():
            return replace(state, notice=replace(_notice(state, body.number), repeat_at=None))
        case NoticeUnanswered():
            notice = replace(_notice(state, body.number), repeat_at=None, give_up_at=None)
            return replace(state, notice=notice)
        case Answered():
            answer = GivenAnswer(number=number, choice=body.choice)
            return replace(state, notice=replace(_notice(state, body.number), answer=answer))
        case AnswerTaken():
            if state.notice is None or state.notice.answer is None:
                raise IllegalEntry(f"entry {body.number} of this case answers no notice")
            taken = replace(state.notice.answer, taken=True)
            return replace(state, notice=replace(state.notice, answer=taken))
        case ChangeRequested():
            return replace(state, changes={**state.changes, body.what: (number, body)})
        case ChangeAnswered() | ChangeWithdrawn():
            kept = {what: change for what, change in state.changes.items() if change[0] != body.number}
            return replace(state, changes=kept)
        case Agreed():
            return replace(state, agreed={**state.agreed, body.what: body})
        case HandedOver():
            return replace(_acted(state), handed_over=HandedOverState(number=number))
        case Confirmed() | ReceiptRefused():
            settled = HandedOverState(
                number=body.number, settled=number, confirmed=isinstance(body, Confirmed)
            )
            return replace(state, handed_over=settled)


def _answer(state: Delivery, command: Answer, scene: Scene) -> Answered:
    notice = state.notice
    if notice is None:
        raise UnknownEntry("no notice of this case waits for an answer")
    if notice.number != command.number:
        raise IllegalMeanwhile("there is a newer notice: answer that one")
    if notice.to != scene.actor.role:
        raise IllegalForRole(f"this notice is not for {scene.actor.role} to answer")
    if notice.closed or (notice.answer is not None and notice.answer.taken):
        raise IllegalStep("the courier acts on the answer already: write to them")
    valid = None if notice.answer is None else notice.answer.number
    if command.replaces != valid:
        raise IllegalMeanwhile("it was answered meanwhile: look at that answer first")
    choice = next((choice for choice in notice.choices if choice.choice == command.choice), None)
    if choice is None:
        raise UnknownWord(f"this notice has no choice {command.choice!r}")
    if choice.wants == "time" and command.when_at is None:
        raise IllegalStep(f"the choice {command.choice} wants a time")
    if choice.wants == "text" and command.detail is None:
        raise IllegalStep(f"the choice {command.choice} wants some words: who it is, or where")
    return Answered(
        number=notice.number,
        choice=choice.choice,
        label=choice.label,
        when_at=command.when_at,
        detail=command.detail,
        by="tap",
        replaces=valid,
        captured_at=command.captured_at,
    )


def _open_change(state: Delivery, number: int) -> ChangeRequested:
    for request_number, request in state.changes.values():
        if request_number == number:
            return request
    raise IllegalMeanwhile("this change is not open any more")


def _check_unsettled(state: Delivery, number: int) -> None:
    handed_over = state.handed_over
    if handed_over is None or handed_over.number != number:
        raise UnknownEntry(f"entry {number} of this case is not its newest hand-over")
    if handed_over.settled is not None:
        raise IllegalMeanwhile("it was confirmed or refused meanwhile")


def _notice(state: Delivery, number: int) -> Notice:
    if state.notice is None or state.notice.number != number:
        raise IllegalEntry(f"entry {number} of this case is not its newest notice")
    return state.notice


def _acted(state: Delivery) -> Delivery:
    """Handing over is acting on the answer, whatever it was; who has the parcel is asked no more."""
    if state.notice is None:
        return state
    answer = state.notice.answer
    notice = replace(
        state.notice,
        repeat_at=None,
        give_up_at=None,
        answer=None if answer is None else replace(answer, taken=True),
        closed=True,
    )
    return replace(state, notice=notice)
