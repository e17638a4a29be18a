"""Exceptions: what is wrong with a parcel, as work orders that the desk decides and the courier acknowledges.

    reported ──> taken ──> decided ──> acknowledged ──> closed
       │           │          └─ decided anew ─┘           ▲
       └───────────┴──────────────── closed ───────────────┘     overdue: once, if nothing is decided in time

Kinds and decisions are words of the wording. Entries, commands and rules of the subject; `case.py` says who
may and when.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from signaling.clock import Claim
from signaling.errors import (
    IllegalEntry,
    IllegalForRole,
    IllegalMeanwhile,
    IllegalQuota,
    IllegalStep,
    UnknownEntry,
    UnknownWord,
)
from signaling.scene import Scene
from signaling.talk import Attachment, Attachments
from signaling.values import (
    ActorId,
    Code,
    Flag,
    Number,
    Place,
    Strict,
    Translations,
    WireLinkId,
    WireText,
    WireTime,
    cut_to_milliseconds,
)

MAX_OPEN_ORDERS = (
    20  # of a case, reported by people: what one parcel can have, and far below what floods a desk
)

OrderState = Literal["open", "taken", "decided", "acknowledged", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionReported(Claim):
    """A work order, known by this entry's number. `label` is its kind in words; `place_refused`: the person
    was asked where they are, and did not want to say. `due_at`: when the desk should have decided.
    """

    kind: ClassVar[str] = "exception_reported"

    exception: Code
    label: Translations
    text: WireText | None
    attachments: Attachments
    place: Place | None
    place_refused: Flag
    due_at: WireTime
    captured_at: WireTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionTaken(Strict):
    """The actor works on it, perhaps in place of somebody else."""

    kind: ClassVar[str] = "exception_taken"

    number: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionDecided(Strict):
    """What is to be done; a later one is valid instead."""

    kind: ClassVar[str] = "exception_decided"

    number: Number
    decision: Code
    label: Translations
    remark: WireText | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionAcknowledged(Strict):
    """The courier knows and does it: the decision of entry `decided`."""

    kind: ClassVar[str] = "exception_acknowledged"

    number: Number
    decided: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionClosed(Strict):
    kind: ClassVar[str] = "exception_closed"

    number: Number
    remark: WireText | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionOverdue(Strict):
    """Nothing was decided by the time it was due."""

    kind: ClassVar[str] = "exception_overdue"

    number: Number


Body = (
    ExceptionReported
    | ExceptionTaken
    | ExceptionDecided
    | ExceptionAcknowledged
    | ExceptionClosed
    | ExceptionOverdue
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportException(Strict):
    exception: Code
    text: WireText | None = None
    attachments: Attachments = ()
    place: Place | None = None
    place_refused: Flag = False
    captured_at: WireTime | None = None
    kind: Literal["report_exception"] = "report_exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeException(Strict):
    """`instead_of`: who has it now, as the desk saw it; None: nobody."""

    number: Number
    instead_of: WireLinkId | None = None
    kind: Literal["take_exception"] = "take_exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideException(Strict):
    """What nobody has taken is taken with it."""

    number: Number
    decision: Code
    remark: WireText | None = None
    kind: Literal["decide_exception"] = "decide_exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeException(Strict):
    """`decided` is the entry of the decision that the courier has read."""

    number: Number
    decided: Number
    kind: Literal["acknowledge_exception"] = "acknowledge_exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseException(Strict):
    number: Number
    remark: WireText | None = None
    kind: Literal["close_exception"] = "close_exception"


Command = ReportException | TakeException | DecideException | AcknowledgeException | CloseException


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One work order. `decided` is the number of the decision that is valid."""

    exception: str
    state: OrderState
    due_at: datetime
    reported_by: ActorId
    taken_by: ActorId | None = None
    decided: int | None = None
    overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptions:
    """Work orders by the number of the entry that reported them, in that order."""

    orders: Mapping[int, Order] = field(default_factory=dict)

    @property
    def next_deadline(self) -> datetime | None:
        """When the next of them is overdue."""
        waiting = [
            order.due_at
            for order in self.orders.values()
            if order.state in ("open", "taken") and not order.overdue
        ]
        return min(waiting, default=None)


def report(
    scene: Scene,
    *,
    exception: str,
    text: str | None,
    attachments: tuple[Attachment, ...] = (),
    place: Place | None = None,
    place_refused: bool = False,
    captured_at: datetime | None = None,
) -> ExceptionReported:
    """The entry of a work order; raises UnknownWord."""
    rule = scene.wording.rules.exceptions.get(exception)
    if rule is None:
        raise UnknownWord(f"no exception is of the kind {exception!r}")
    return ExceptionReported(
        exception=exception,
        label=scene.wording.say(f"exception.{exception}"),
        text=text,
        attachments=attachments,
        place=place,
        place_refused=place_refused,
        due_at=cut_to_milliseconds(scene.now_at + timedelta(seconds=rule.due_after_s)),
        captured_at=captured_at,
    )


def decide(state: Exceptions, command: Command, scene: Scene) -> list[Body]:
    """What becomes of a work order; [] if it is so by now."""
    if isinstance(command, ReportException):
        rule = scene.wording.rules.exceptions.get(command.exception)
        if rule is not None and scene.person_role not in rule.reporters:
            raise IllegalForRole(f"{command.exception} is not for {scene.actor.role} to report")
        waiting = [order for order in state.orders.values() if order.state != "closed"]
        if len(waiting) >= MAX_OPEN_ORDERS:
            raise IllegalQuota(f"{MAX_OPEN_ORDERS} exceptions of this case wait for the desk: write to it")
        if command.place is not None and command.place_refused:
            raise IllegalStep("a place is either told or refused")
        return [
            report(
                scene,
                exception=command.exception,
                text=command.text,
                attachments=command.attachments,
                place=command.place,
                place_refused=command.place_refused,
                captured_at=command.captured_at,
            )
        ]
    order = state.orders.get(command.number)
    if order is None:
        raise UnknownEntry(f"entry {command.number} of this case reports no exception")
    if order.state == "closed":
        if isinstance(command, CloseException):
            return []
        raise IllegalStep("this work order is closed")
    me = scene.actor.actor_id
    match command:
        case TakeException():
            if order.taken_by == me:
                return []
            if order.taken_by != command.instead_of:
                raise IllegalMeanwhile("somebody else has taken this work order meanwhile")
            return [ExceptionTaken(number=command.number)]
        case DecideException():
            if command.decision not in scene.wording.rules.decisions:
                raise UnknownWord(f"there is no decision {command.decision!r}")
            if order.state == "acknowledged":
                raise IllegalStep("the courier acts on the decision already: report what is new")
            if order.taken_by not in (None, me):
                raise IllegalMeanwhile("somebody else works on this: take the work order first")
            if scene.wording.rules.decisions[command.decision].wants_remark and command.remark is None:
                raise IllegalStep(f"the decision {command.decision} wants a remark")
            decided = ExceptionDecided(
                number=command.number,
                decision=command.decision,
                label=scene.wording.say(f"decision.{command.decision}"),
                remark=command.remark,
            )
            taken = [] if order.taken_by == me else [ExceptionTaken(number=command.number)]
            return [*taken, decided]
        case AcknowledgeException():
            if order.decided != command.decided:
                raise IllegalMeanwhile("this decision is not valid any more: read the newest one")
            if order.state == "acknowledged":
                return []
            return [ExceptionAcknowledged(number=command.number, decided=command.decided)]
        case CloseException():
            if order.state == "decided":
                raise IllegalStep("the courier has not acknowledged the decision yet")
            if order.state != "acknowledged" and command.remark is None:
                raise IllegalStep("a work order that is closed without a decision wants a remark")
            return [ExceptionClosed(number=command.number, remark=command.remark)]


def elapse(state: Exceptions, now_at: datetime) -> list[Body]:
    """What has become overdue."""
    return [
        ExceptionOverdue(number=number)
        for number, order in state.orders.items()
        if order.state in ("open", "taken") and not order.overdue and order.due_at <= now_at
    ]


def evolve(state: Exceptions, number: int, actor_id: ActorId, body: Body) -> Exceptions:
    match body:
        case ExceptionReported():
            order = Order(exception=body.exception, state="open", due_at=body.due_at, reported_by=actor_id)
            return Exceptions(orders={**state.orders, number: order})
        case ExceptionTaken():
            order = _order(state, body.number)
            changed = replace(
                order, taken_by=actor_id, state="taken" if order.state == "open" else order.state
            )
        case ExceptionDecided():
            changed = replace(_order(state, body.number), state="decided", decided=number)
        case ExceptionAcknowledged():
            changed = replace(_order(state, body.number), state="acknowledged")
        case ExceptionClosed():
            changed = replace(_order(state, body.number), state="closed")
        case ExceptionOverdue():
            changed = replace(_order(state, body.number), overdue=True)
    return Exceptions(orders={**state.orders, body.number: changed})


def _order(state: Exceptions, number: int) -> Order:
    if number not in state.orders:
        raise IllegalEntry(f"entry {number} of this case reports no exception")
    return state.orders[number]
