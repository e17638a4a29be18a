"""The rules of a case: who may do what when (`decide`), and what each entry changes (`evolve`).

    command ── decide(state, command, actor, moment) ──> outputs, or an error and nothing changed
    outputs ── the server appends them to the log, durably, all or none ──> entries
    entries ── evolve(state, entry) ──> the next state

Pure: no clock, no randomness, no I/O. Replaying a case's entries from `new_case` gives the very state that
led to them. Legality is one table, `LEGAL`; what remains in `decide` is who else is concerned. Talk, delivery
and exceptions have their rules in modules of their own, with a state each; the calls have theirs here.

A call starts with the first who joins and ends with the last who leaves. Whoever repeats what is already so
(consents again, joins in the call, leaves outside it) gets no error and makes no entry: an empty list.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Literal, assert_never, get_args

from signaling import delivery, exceptions, talk
from signaling.clock import ClockOffset, with_clock
from signaling.commands import (
    CaptureFailed,
    Command,
    Consent,
    DeclineCall,
    Depart,
    Elapse,
    EndCase,
    EndGap,
    EndReading,
    Erase,
    FrameCaptured,
    IssueLink,
    Join,
    Leave,
    LiftHold,
    LoseSegment,
    OpenCase,
    RecordExport,
    RecordPlayback,
    RecordRead,
    RecordRefusal,
    RecordView,
    RevokeLink,
    SealSegment,
    SetHold,
    StartGap,
    TakeFrame,
)
from signaling.delivery import Delivery
from signaling.entries import (
    BOOKKEEPING,
    MAY_SEE,
    MEDIA,
    OF_CAUSE,
    Body,
    CallDeclined,
    CallEnded,
    CallMissed,
    CallParticipant,
    CallQuality,
    CallRung,
    CallStarted,
    CaseEnded,
    CaseOpened,
    Consented,
    DeclaredValue,
    Envelope,
    Erased,
    Exported,
    FrameFailed,
    FrameSealed,
    GapCause,
    GapEnded,
    GapStarted,
    HoldLifted,
    HoldSet,
    Joined,
    Left,
    LeftReason,
    LinkIssued,
    LinkRevoked,
    PlayedBack,
    Read,
    Refused,
    SegmentLost,
    SegmentSealed,
    Traffic,
    Viewed,
    parse_body,
)
from signaling.errors import (
    IllegalEntry,
    IllegalForRole,
    IllegalInPhase,
    IllegalLink,
    IllegalOutsideCall,
    IllegalSegment,
    IllegalStep,
    IllegalUnderHold,
    IllegalWhenFull,
    IllegalWithoutConsent,
    UnknownEntry,
    UnknownFrame,
    UnknownParticipant,
    UnknownRecording,
)
from signaling.exceptions import Exceptions
from signaling.ledger import Ledger
from signaling.scene import Scene
from signaling.talk import Talk
from signaling.values import (
    Actor,
    ActorId,
    CaseId,
    Language,
    PersonRole,
    Role,
    SessionId,
    cut_to_milliseconds,
)
from signaling.wording import Wording

MAX_IN_CALL = 4  # a page offers receive slots for three others: a fifth would be there unseen
MAX_GUESTS_IN_CALL = 1  # customer, courier and quality check find room beside them
MAX_LINKS = 64  # the participants of a call stay below the 64 KiB of a body
MAX_GUESTS = 6  # that one person ever lets in: no party can take up the links that others need
MAX_HOLDS = 16  # one a dispute; who sets more sets them by mistake
RING_S = 45  # as long as telephones ring before they give up
MAX_RANGES = 64  # that one actor has read apart: of more the oldest are forgotten, and told again when read
NO_HASH = "0" * 64  # what the first entry of a case names as the hash before it

Phase = Literal["new", "open", "ended", "erased"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    role: PersonRole
    name: str
    expires_at: datetime
    invited_by: ActorId
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A gap that goes on: the entry that began it, and since when."""

    number: int
    began_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`in_call` keeps the session that joined; `traffic` holds all who ever joined, in that order; `ringing`
    those who have neither come nor declined, until when.
    """

    call_number: int
    started_at: datetime
    in_call: Mapping[ActorId, SessionId] = field(default_factory=dict)
    traffic: Mapping[ActorId, Traffic | None] = field(default_factory=dict)
    gaps: Mapping[tuple[ActorId, GapCause], Gap] = field(default_factory=dict)
    ringing: Mapping[ActorId, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one actor was given to read: `ranges` of numbers, in order and apart, each after its first and up
    to its second; and, if `live_after` is not None, all after that one.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    live_after: int | None = None

    def covers(self, after: int, up_to: int) -> bool:
        """Whether all of these are recorded as read by now."""
        if self.live_after is not None:
            up_to = min(up_to, self.live_after)
        return up_to <= after or any(first <= after and up_to <= last for first, last in self.ranges)

    def with_range(self, after: int, up_to: int) -> tuple[tuple[int, int], ...]:
        """The ranges and this one; those that touch become one."""
        apart = [(first, last) for first, last in self.ranges if last < after or up_to < first]
        touching = [one for one in self.ranges if one not in apart]
        first = min([after, *(first for first, _ in touching)])
        last = max([up_to, *(last for _, last in touching)])
        return tuple(sorted([*apart, (first, last)])[-MAX_RANGES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseState:
    """`frames`: number of the entry → SHA-256 of the picture; `viewed`: who was given which of them, and the
    entry that says so; `segments`: call and sender → the last segment's number; `newest_for`: the newest
    entry with a body that such a reader may see and that is no bookkeeping.
    """

    case_id: CaseId
    phase: Phase = "new"
    opened_at: datetime | None = None
    waybill: str = ""
    declared_value: DeclaredValue | None = None
    language: Language = "zh"
    metadata: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"
    links: Mapping[ActorId, Link] = field(default_factory=dict)
    consented: frozenset[ActorId] = frozenset()
    calls: int = 0
    call: Call | None = None
    frames: Ledger[int, str] = field(default_factory=Ledger)
    viewed: Ledger[tuple[ActorId, int, bool], int] = field(default_factory=Ledger)
    segments: Mapping[tuple[int, ActorId], int] = field(default_factory=dict)
    reading: Mapping[ActorId, Reading] = field(default_factory=dict)
    newest_for: Mapping[Role, int] = field(default_factory=dict)
    talk: Talk = field(default_factory=Talk)
    delivery: Delivery = field(default_factory=Delivery)
    exceptions: Exceptions = field(default_factory=Exceptions)
    holds: tuple[int, ...] = ()  # the entries that set those which are in force
    last_number: int = 0
    last_hash: str = NO_HASH

    @property
    def in_call(self) -> tuple[ActorId, ...]:
        return tuple(self.call.in_call) if self.call else ()

    @property
    def next_deadline(self) -> datetime | None:
        """When the case wants an `Elapse`; None while nothing in it waits for an answer."""
        if self.phase != "open":
            return None
        ringing = self.call.ringing.values() if self.call else ()
        waiting = [*ringing, self.delivery.next_deadline, self.exceptions.next_deadline]
        return min((until for until in waiting if until is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """What `evolve` needs of a committed entry; `hash` is that of its envelope."""

    number: int
    role: Role
    actor_id: ActorId
    session_id: SessionId
    recorded_at: datetime
    hash: str
    body: Body

    @property
    def kind(self) -> str:
        return self.body.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenEntry:
    """What is left of an entry whose body was erased: nothing but its envelope."""

    number: int
    kind: str
    recorded_at: datetime
    hash: str


def read_entry(envelope: Envelope, body: Mapping[str, object], entry_hash: str) -> CaseEntry:
    """A stored entry as `evolve` takes it; raises MalformedEntry."""
    return CaseEntry(
        number=envelope.number,
        role=envelope.role,
        actor_id=envelope.actor_id,
        session_id=envelope.session_id,
        recorded_at=envelope.recorded_at,
        hash=entry_hash,
        body=parse_body(envelope.kind, body),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Write this entry. Its actor is the one of the command, save for a `left` and what goes with it: those
    belong to who left.
    """

    actor: Actor
    body: Body

    @property
    def kind(self) -> str:
        return self.body.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFrame:
    """Take the newest picture of `of`; then come back as `actor` with FrameCaptured or CaptureFailed."""

    actor: Actor
    of: ActorId
    pressed_at: datetime


Output = Append | CaptureFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is so beside the log when a command comes. `traffic` and `quality` are what was counted and
    measured for those in the call since each joined, of importance to the commands in `PARTING`: who is
    missing in `traffic` is written down as not known, who is missing in `quality` has no entry of it.
    `online`: who has a page open. `clock`: how far that of the actor's phone is off, None if nobody knows.
    """

    now_at: datetime
    wording: Wording
    traffic: Mapping[ActorId, Traffic] = field(default_factory=dict)
    quality: Mapping[ActorId, CallQuality] = field(default_factory=dict)
    online: frozenset[ActorId] = frozenset()
    clock: ClockOffset | None = None


class Standing(IntEnum):
    """How far a person has come in the case; each level holds what stands before it."""

    OUTSIDE = 0  # not a person of this case: the integrator, the system
    KNOWN = 1  # came with a link of this case, perhaps revoked or expired by now
    ADMITTED = 2  # the link is live
    CONSENTED = 3
    IN_CALL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    phases: frozenset[Phase]
    standing: Standing


def _rows(phases: Iterable[Phase], roles: Mapping[Role, Standing]) -> Mapping[Role, Rule]:
    return {role: Rule(phases=frozenset(phases), standing=standing) for role, standing in roles.items()}


def _people(standing: Standing) -> dict[Role, Standing]:
    return dict.fromkeys(get_args(PersonRole), standing)


def _only(*roles: Role) -> Mapping[Role, Rule]:
    return _rows(["open"], dict.fromkeys(roles, Standing.ADMITTED))


_HOSTS: Mapping[Role, Standing] = {
    "customer": Standing.ADMITTED,
    "courier": Standing.ADMITTED,
    "qa": Standing.ADMITTED,
    "dispatch": Standing.ADMITTED,
}

# Command × role → the phases of the case and the least standing; a role that is not named may never.
LEGAL: Mapping[type[Command], Mapping[Role, Rule]] = {
    # What people send.
    Consent: _rows(["open"], _people(Standing.ADMITTED)),
    Join: _rows(["open"], _people(Standing.CONSENTED)),
    DeclineCall: _only("customer", "courier"),
    Leave: _rows(["open", "ended"], _people(Standing.KNOWN)),  # nobody is kept in a call
    TakeFrame: _rows(["open"], _people(Standing.IN_CALL) | {"qa": Standing.ADMITTED}),
    # The service itself ends what nobody has touched for so long that it is to be erased.
    EndCase: _rows(
        ["open"], {"qa": Standing.ADMITTED, "integrator": Standing.OUTSIDE, "system": Standing.OUTSIDE}
    ),
    talk.SendText: _rows(["open"], _people(Standing.ADMITTED)),
    talk.SendPhrase: _rows(["open"], _people(Standing.ADMITTED)),
    talk.Attach: _rows(["open"], _people(Standing.ADMITTED)),
    talk.SharePlace: _only("customer", "courier"),
    # Whoever reads an ended case has read it.
    talk.Mark: _rows(["open", "ended", "erased"], _people(Standing.ADMITTED)),
    delivery.Announce: _only("courier", "dispatch"),
    delivery.Answer: _only("customer", "courier"),
    delivery.TakeAnswer: _only("courier"),
    delivery.RequestChange: _only("customer"),
    delivery.AnswerChange: _only("courier", "dispatch"),
    delivery.WithdrawChange: _only("customer"),
    delivery.HandOver: _only("courier"),
    # Courier market rules, art. 27-28: nobody may confirm on the receiver's behalf.
    delivery.Confirm: _only("customer"),
    delivery.RefuseReceipt: _only("customer"),
    exceptions.ReportException: _only("customer", "courier"),
    exceptions.TakeException: _only("qa", "dispatch"),
    exceptions.DecideException: _only("qa", "dispatch"),
    exceptions.AcknowledgeException: _only("courier"),
    exceptions.CloseException: _only("qa", "dispatch"),
    # What the server brings.
    OpenCase: _rows(["new"], {"integrator": Standing.OUTSIDE}),
    # People let in a guest; who may have let in whom, `decide` says.
    IssueLink: _rows(["open", "ended", "erased"], {**_HOSTS, "integrator": Standing.OUTSIDE}),
    RevokeLink: _rows(["open", "ended", "erased"], {**_HOSTS, "integrator": Standing.OUTSIDE}),
    Depart: _rows(["open", "ended"], _people(Standing.KNOWN)),
    # What the service noticed may be late: who has left since, or whose link has expired, is no error.
    StartGap: _rows(["open", "ended"], _people(Standing.KNOWN)),
    EndGap: _rows(["open", "ended"], _people(Standing.KNOWN)),
    # A shutter that was pressed in time is answered, though its presser has left or the case has ended since.
    FrameCaptured: _rows(["open", "ended"], _people(Standing.KNOWN)),
    CaptureFailed: _rows(["open", "ended"], _people(Standing.KNOWN)),
    # The journal is written behind the call: its sender may be gone, and the call, and the case.
    SealSegment: _rows(["open", "ended"], _people(Standing.KNOWN)),
    LoseSegment: _rows(["open", "ended"], _people(Standing.KNOWN)),
    RecordView: _rows(["open", "ended"], _people(Standing.ADMITTED) | {"integrator": Standing.OUTSIDE}),
    RecordExport: _rows(
        ["open", "ended", "erased"], {"qa": Standing.ADMITTED, "integrator": Standing.OUTSIDE}
    ),
    RecordPlayback: _rows(["open", "ended"], {"qa": Standing.ADMITTED, "integrator": Standing.OUTSIDE}),
    # Bytes that were on their way when the case ended, or the link expired, still are what was announced.
    talk.StoreAttachment: _rows(["open", "ended"], _people(Standing.KNOWN)),
    talk.RefuseAttachment: _rows(["open", "ended"], _people(Standing.KNOWN)),
    Elapse: _rows(["open"], {"system": Standing.OUTSIDE}),
    # Who is let in is the server's business: here it is written what is shown. At the end of a reading the
    # link may be revoked, or expired.
    RecordRead: _rows(
        ["open", "ended", "erased"], _people(Standing.KNOWN) | {"integrator": Standing.OUTSIDE}
    ),
    EndReading: _rows(["open", "ended", "erased"], _people(Standing.KNOWN)),
    # Also of a desk, and of people of other cases.
    RecordRefusal: _rows(
        ["open", "ended", "erased"], _people(Standing.OUTSIDE) | {"integrator": Standing.OUTSIDE}
    ),
    Erase: _rows(["open", "ended", "erased"], {"integrator": Standing.OUTSIDE, "system": Standing.OUTSIDE}),
    SetHold: _rows(["open", "ended"], {"qa": Standing.ADMITTED, "integrator": Standing.OUTSIDE}),
    LiftHold: _rows(["open", "ended"], {"integrator": Standing.OUTSIDE}),
}

# The entries from which on a case may wait for an answer: `next_deadline` is none before the first of them.
WAITING: frozenset[str] = frozenset(
    {CallRung.kind, delivery.NoticeSent.kind, exceptions.ExceptionReported.kind}
)

# The commands that may make somebody leave.
PARTING: tuple[type[Command], ...] = (Leave, Depart, RevokeLink, EndCase)

NO_QUALITY: Mapping[ActorId, CallQuality] = MappingProxyType({})
_NOTHING = Traffic(sent_packets=0, sent_bytes=0, received_packets=0, received_bytes=0, lost_packets=0)


def new_case(case_id: CaseId) -> CaseState:
    """The state before the first entry."""
    return CaseState(case_id=case_id)


def decide(state: CaseState, command: Command, actor: Actor, moment: Moment) -> list[Output]:
    """What the command makes happen: entries to append together, or a picture to take; [] if it is so by now.

    Raises Illegal… or Unknown….
    """
    now_at = moment.now_at
    _check_legal(state, command, actor, now_at)

    def append(body: Body) -> Append:
        return Append(actor=actor, body=with_clock(body, moment.clock))

    match command:
        case OpenCase():
            return [
                append(
                    CaseOpened(
                        waybill=command.waybill,
                        declared_value=command.declared_value,
                        language=command.language,
                        metadata=dict(command.metadata),
                        time_zone=command.time_zone,
                    )
                ),
                *_agreed_at_opening(command, append),
            ]
        case IssueLink():
            if actor.role != "integrator" and command.role != "guest":
                raise IllegalForRole("a person may only let in a guest")
            if state.phase != "open" and command.role not in ("qa", "dispatch"):
                raise IllegalInPhase("the case has ended: only the desk may still be let in, to review it")
            if command.link_id in state.links or len(state.links) >= MAX_LINKS:
                raise IllegalWhenFull(f"a case has at most {MAX_LINKS} links, each with an id of its own")
            if actor.role != "integrator" and _let_in_by(state, actor.actor_id) >= MAX_GUESTS:
                raise IllegalWhenFull(f"one person lets in at most {MAX_GUESTS} guests")
            return [
                append(
                    LinkIssued(
                        link_id=command.link_id,
                        role=command.role,
                        name=command.name,
                        expires_at=cut_to_milliseconds(command.expires_at),
                    )
                )
            ]
        case RevokeLink():
            link = state.links.get(command.link_id)
            if link is None:
                raise UnknownParticipant("this case has no such link")
            if actor.role != "integrator" and link.invited_by != actor.actor_id:
                raise IllegalForRole("only who let somebody in may take the link back")
            if link.revoked:
                return []
            # Who came with them goes with them.
            taken_back = [command.link_id, *_guests_of(state, command.link_id)]
            left = _leave(state, taken_back, "revoked", actor, moment)
            return [*(append(LinkRevoked(link_id=link_id)) for link_id in taken_back), *left]
        case Consent():
            if actor.actor_id in state.consented:
                return []
            return [append(Consented(statement=command.statement, language=command.language))]
        case Join():
            if actor.actor_id in state.in_call:
                return []
            if len(state.in_call) >= MAX_IN_CALL:
                raise IllegalWhenFull(f"a call holds {MAX_IN_CALL} people")
            guests = [actor_id for actor_id in state.in_call if state.links[actor_id].role == "guest"]
            if actor.role == "guest" and len(guests) >= MAX_GUESTS_IN_CALL:
                raise IllegalWhenFull("another guest is in the call")
            if state.call is not None:
                return [append(Joined(call_number=state.call.call_number))]
            call_number = state.calls + 1
            return [
                append(CallStarted(call_number=call_number)),
                append(Joined(call_number=call_number)),
                *(append(rung) for rung in _ring(state, call_number, actor, moment)),
            ]
        case DeclineCall():
            if state.call is None or actor.actor_id not in state.call.ringing:
                return []
            return [append(CallDeclined(call_number=state.call.call_number))]
        case Leave():
            return _leave(state, [actor.actor_id], "left", actor, moment)
        case Depart():
            return _leave(state, [actor.actor_id], command.reason, actor, moment, command.aborted)
        case StartGap():
            if state.call is None or actor.actor_id not in state.call.in_call:
                return []
            if (actor.actor_id, command.cause) in state.call.gaps:
                return []
            return [
                append(
                    GapStarted(
                        call_number=state.call.call_number,
                        of=OF_CAUSE[command.cause],
                        cause=command.cause,
                        began_at=cut_to_milliseconds(now_at - timedelta(milliseconds=command.age_ms)),
                    )
                )
            ]
        case EndGap():
            gap = state.call.gaps.get((actor.actor_id, command.cause)) if state.call else None
            if state.call is None or gap is None:
                return []
            return [append(_gap_ended(state.call, command.cause, gap, command.duration_ms))]
        case TakeFrame():
            if command.of not in state.links:
                raise UnknownParticipant("nobody came to this case with that link")
            if command.of not in state.in_call or command.of not in state.consented:
                raise IllegalOutsideCall("the other person is not in the call")
            return [CaptureFrame(actor=actor, of=command.of, pressed_at=now_at)]
        case FrameCaptured():
            _check_known(state, command.frame.of)
            return [append(command.frame)]
        case CaptureFailed():
            _check_known(state, command.failure.of)
            return [append(command.failure)]
        case SealSegment() | LoseSegment():
            last = _last_segment(state, command.segment.call_number, actor.actor_id)
            if command.segment.segment != last + 1:
                raise IllegalSegment(f"segment {command.segment.segment} cannot follow segment {last}")
            return [append(command.segment)]
        case RecordView():
            if command.number not in state.frames and not state.talk.stored_by(command.number):
                raise UnknownFrame(f"entry {command.number} of this case holds no picture or sound")
            if (actor.actor_id, command.number, command.original) in state.viewed:
                return []
            return [
                append(
                    Viewed(
                        number=command.number,
                        original=command.original,
                        authenticated_by=command.authenticated_by,
                    )
                )
            ]
        case RecordExport():
            return [
                append(Exported(entries_before=state.last_number, authenticated_by=command.authenticated_by))
            ]
        case RecordRead():
            reading = state.reading.get(actor.actor_id, Reading())
            begins = command.live and reading.live_after is None
            # A page that read live may be long gone: what is asked for by itself is covered by ranges alone.
            shown = reading if command.live else replace(reading, live_after=None)
            if not begins and shown.covers(command.after, min(command.up_to, _newest_for(state, actor.role))):
                return []
            return [
                append(
                    Read(
                        after=command.after,
                        up_to=max(command.after, command.up_to),
                        live=command.live,
                        authenticated_by=command.authenticated_by,
                    )
                )
            ]
        case EndReading():
            reading = state.reading.get(actor.actor_id, Reading())
            after = command.after if reading.live_after is None else reading.live_after
            shown = replace(reading, live_after=None)
            if shown.covers(after, min(command.up_to, _newest_for(state, actor.role))):
                return []
            return [
                append(
                    Read(
                        after=after,
                        up_to=command.up_to,
                        live=False,
                        authenticated_by=command.authenticated_by,
                    )
                )
            ]
        case RecordPlayback():
            last = state.segments.get((command.call_number, command.of), 0)
            if not 1 <= command.first_segment <= command.last_segment <= last:
                raise UnknownRecording("nothing is recorded of that person in that call")
            return [
                append(
                    PlayedBack(
                        call_number=command.call_number,
                        of=command.of,
                        part=command.part,
                        first_segment=command.first_segment,
                        last_segment=command.last_segment,
                        authenticated_by=command.authenticated_by,
                    )
                )
            ]
        case RecordRefusal():
            return [
                append(
                    Refused(
                        what=command.what,
                        reason=command.reason,
                        authenticated_by=command.authenticated_by,
                    )
                )
            ]
        case Erase():
            return [append(body) for body in _erased(state, command)]
        case SetHold():
            if len(state.holds) >= MAX_HOLDS:
                raise IllegalWhenFull(f"{MAX_HOLDS} legal holds are in force: lift one of them first")
            return [append(HoldSet(reason=command.reason, authenticated_by=command.authenticated_by))]
        case LiftHold():
            if command.number not in state.holds:
                raise UnknownEntry(f"entry {command.number} sets no legal hold that is in force")
            lifted = HoldLifted(
                number=command.number, reason=command.reason, authenticated_by=command.authenticated_by
            )
            return [append(lifted)]
        case Elapse():
            scene = _scene(state, actor, moment)
            return [
                *(append(body) for body in _elapsed_ringing(state, now_at)),
                *(append(body) for body in delivery.elapse(state.delivery, scene)),
                *(append(body) for body in exceptions.elapse(state.exceptions, now_at)),
            ]
        case (
            talk.SendText()
            | talk.SendPhrase()
            | talk.Attach()
            | talk.SharePlace()
            | talk.Mark()
            | talk.StoreAttachment()
            | talk.RefuseAttachment()
        ):
            scene = _scene(state, actor, moment)
            said = talk.decide(state.talk, command, scene, state.delivery.destination)
            answers = [] if not isinstance(command, talk.SendText) else [_answer(state, command, scene)]
            return [append(body) for body in [*said, *answers] if body is not None]
        case (
            delivery.Announce()
            | delivery.Answer()
            | delivery.TakeAnswer()
            | delivery.RequestChange()
            | delivery.AnswerChange()
            | delivery.WithdrawChange()
            | delivery.HandOver()
            | delivery.Confirm()
            | delivery.RefuseReceipt()
        ):
            scene = _scene(state, actor, moment)
            talk.check_attachments(state.talk, actor, getattr(command, "attachments", ()))
            return [append(body) for body in delivery.decide(state.delivery, command, scene)]
        case (
            exceptions.ReportException()
            | exceptions.TakeException()
            | exceptions.DecideException()
            | exceptions.AcknowledgeException()
            | exceptions.CloseException()
        ):
            scene = _scene(state, actor, moment)
            talk.check_attachments(state.talk, actor, getattr(command, "attachments", ()))
            bodies = exceptions.decide(state.exceptions, command, scene)
            return [append(body) for body in [*bodies, *_told_customer(bodies, scene)]]
        case EndCase():
            left = _leave(state, state.in_call, "case_ended", actor, moment)
            return [*left, append(CaseEnded(reason=f"ended_by_{actor.role}"))]
        case _:
            assert_never(command)


def evolve(state: CaseState, entry: CaseEntry | ForgottenEntry) -> CaseState:
    """The state after a committed entry; raises IllegalEntry when it does not follow the last one.

    What was erased since leaves the state that it would have had if it had never held more than its envelope.
    """
    if entry.number != state.last_number + 1:
        raise IllegalEntry(f"entry {entry.number} cannot follow entry {state.last_number}")
    if (entry.kind == CaseOpened.kind) != (state.phase == "new"):
        raise IllegalEntry("a case begins with case_opened, and only once")
    newest_for = state.newest_for
    if entry.kind not in BOOKKEEPING:
        newest_for = {**newest_for, **dict.fromkeys(MAY_SEE[entry.kind], entry.number)}
    changes: dict[str, Any] = {"newest_for": newest_for}
    if isinstance(entry, ForgottenEntry):
        changes |= {"phase": "open", "opened_at": entry.recorded_at} if state.phase == "new" else {}
    else:
        changes |= _changes(state, entry)
        if isinstance(entry.body, Erased) and _is_whole(entry.body):
            state = CaseState(case_id=state.case_id, opened_at=state.opened_at)
            changes = {"phase": "erased", "newest_for": dict.fromkeys(MAY_SEE[entry.kind], entry.number)}
    return replace(state, last_number=entry.number, last_hash=entry.hash, **changes)


def _changes(state: CaseState, entry: CaseEntry) -> dict[str, Any]:
    """The fields of the state that are others after this entry. What grows with each entry of a kind is a
    Ledger; what is copied here is as long as a case has links or calls.
    """
    body = entry.body
    match body:
        case CaseOpened():
            return {
                "phase": "open",
                "opened_at": entry.recorded_at,
                "waybill": body.waybill,
                "declared_value": body.declared_value,
                "language": body.language,
                "metadata": body.metadata,
                "time_zone": body.time_zone,
            }
        case LinkIssued():
            link = Link(role=body.role, name=body.name, expires_at=body.expires_at, invited_by=entry.actor_id)
            return {"links": {**state.links, body.link_id: link}}
        case LinkRevoked():
            if body.link_id not in state.links:
                raise IllegalEntry("a link is revoked that was never issued")
            revoked = replace(state.links[body.link_id], revoked=True)
            return {"links": {**state.links, body.link_id: revoked}}
        case Consented():
            return {"consented": state.consented | {entry.actor_id}}
        case CallStarted():
            if state.call is not None or body.call_number != state.calls + 1:
                raise IllegalEntry(f"call {body.call_number} cannot start after call {state.calls}")
            call = Call(call_number=body.call_number, started_at=entry.recorded_at)
            return {"calls": body.call_number, "call": call}
        case Joined():
            call = _call(state, body.call_number)
            joined = {**call.in_call, entry.actor_id: entry.session_id}
            shares = dict(call.traffic)
            shares.setdefault(entry.actor_id, _NOTHING)
            ringing = _without(call.ringing, [entry.actor_id])
            return {"call": replace(call, in_call=joined, traffic=shares, ringing=ringing)}
        case CallRung():
            call = _call(state, body.call_number)
            return {"call": replace(call, ringing=dict.fromkeys(body.of, body.until))}
        case CallDeclined():
            call = _call(state, body.call_number)
            return {"call": replace(call, ringing=_without(call.ringing, [entry.actor_id]))}
        case CallMissed():
            call = _call(state, body.call_number)
            return {"call": replace(call, ringing=_without(call.ringing, body.of))}
        case GapStarted():
            call = _call(state, body.call_number)
            key = (entry.actor_id, body.cause)
            if entry.actor_id not in call.in_call or key in call.gaps:
                raise IllegalEntry("a gap of somebody who is not in the call, or one within itself")
            gap = Gap(number=entry.number, began_at=body.began_at)
            return {"call": replace(call, gaps={**call.gaps, key: gap})}
        case GapEnded():
            call = _call(state, body.call_number)
            key = (entry.actor_id, body.cause)
            if key not in call.gaps or call.gaps[key].number != body.number:
                raise IllegalEntry("a gap ended that had not begun")
            gaps = {other: gap for other, gap in call.gaps.items() if other != key}
            return {"call": replace(call, gaps=gaps)}
        case CallQuality():
            if entry.actor_id not in _call(state, body.call_number).in_call:
                raise IllegalEntry("the quality of somebody who is not in the call")
            return {}
        case Left():
            call = _call(state, body.call_number)
            if entry.actor_id not in call.in_call:
                raise IllegalEntry("somebody left who was not in the call")
            stayed = {
                actor_id: session for actor_id, session in call.in_call.items() if actor_id != entry.actor_id
            }
            share = _add(call.traffic[entry.actor_id], body.traffic)
            return {
                "call": replace(call, in_call=stayed, traffic={**call.traffic, entry.actor_id: share}),
            }
        case CallEnded():
            if _call(state, body.call_number).in_call:
                raise IllegalEntry("a call ended with people in it")
            return {"call": None}
        case FrameSealed():
            return {"frames": state.frames.with_item(entry.number, body.blob.sha256)}
        case SegmentSealed() | SegmentLost():
            sender = (body.call_number, entry.actor_id)
            last = state.segments.get(sender, 0)
            if body.call_number > state.calls or body.segment != last + 1:
                raise IllegalEntry(f"segment {body.segment} cannot follow segment {last}")
            return {"segments": {**state.segments, sender: body.segment}}
        case Viewed():
            return {
                "viewed": state.viewed.with_item((entry.actor_id, body.number, body.original), entry.number)
            }
        case Read():
            reading = state.reading.get(entry.actor_id, Reading())
            live_after = body.up_to if body.live else reading.live_after
            if not body.live and body.after == reading.live_after:
                live_after = None
            reading = Reading(ranges=reading.with_range(body.after, body.up_to), live_after=live_after)
            return {"reading": {**state.reading, entry.actor_id: reading}}
        case CaseEnded():
            return {"phase": "ended"}
        case Erased():
            return {
                "frames": state.frames.without(lambda number, _: body.covers(number, FrameSealed.kind)),
                "segments": {} if _covers_recordings(body) else state.segments,
                "talk": talk.without_stored(
                    state.talk, lambda number: body.covers(number, talk.AttachmentStored.kind)
                ),
            }
        case HoldSet():
            return {"holds": (*state.holds, entry.number)}
        case HoldLifted():
            if body.number not in state.holds:
                raise IllegalEntry("a legal hold is lifted that is not in force")
            return {"holds": tuple(number for number in state.holds if number != body.number)}
        case FrameFailed() | Exported() | PlayedBack() | Refused():
            return {}
        case (
            talk.Text()
            | talk.Phrase()
            | talk.Attached()
            | talk.AttachmentStored()
            | talk.AttachmentRefused()
            | talk.Placed()
            | talk.Receipt()
        ):
            return {"talk": talk.evolve(state.talk, entry.number, entry.actor_id, body)}
        case (
            exceptions.ExceptionReported()
            | exceptions.ExceptionTaken()
            | exceptions.ExceptionDecided()
            | exceptions.ExceptionAcknowledged()
            | exceptions.ExceptionClosed()
            | exceptions.ExceptionOverdue()
        ):
            orders = exceptions.evolve(state.exceptions, entry.number, entry.actor_id, body)
            return {"exceptions": orders, "talk": _attached(state, entry)}
        case (
            delivery.NoticeSent()
            | delivery.NoticeRepeated()
            | delivery.NoticeUnanswered()
            | delivery.Answered()
            | delivery.AnswerTaken()
            | delivery.ChangeRequested()
            | delivery.ChangeAnswered()
            | delivery.ChangeWithdrawn()
            | delivery.Agreed()
            | delivery.HandedOver()
            | delivery.Confirmed()
            | delivery.ReceiptRefused()
        ):
            parcel = delivery.evolve(state.delivery, entry.number, entry.actor_id, body)
            return {"delivery": parcel, "talk": _attached(state, entry)}
        case _:
            assert_never(body)


_PHASE_WORDS: Mapping[Phase, str] = {"ended": "the case has ended", "erased": "the case was erased"}


def _check_legal(state: CaseState, command: Command, actor: Actor, now_at: datetime) -> None:
    rule = LEGAL[type(command)].get(actor.role)
    if rule is None:
        raise IllegalForRole(f"{command.kind} is not for {actor.role}")
    if state.phase not in rule.phases:
        raise IllegalInPhase(_PHASE_WORDS.get(state.phase, f"the case is {state.phase}"))
    if rule.standing is Standing.OUTSIDE:
        return
    standing = _standing(state, actor, now_at)
    if standing >= rule.standing:
        return
    match standing:
        case Standing.OUTSIDE:
            raise UnknownParticipant("nobody came to this case with that link")
        case Standing.KNOWN:
            raise IllegalLink("the link was revoked or has expired")
        case Standing.ADMITTED if rule.standing is Standing.CONSENTED:
            raise IllegalWithoutConsent("consent comes first")
        case _:
            raise IllegalOutsideCall("join the call first")


def _standing(state: CaseState, actor: Actor, now_at: datetime) -> Standing:
    link = state.links.get(actor.actor_id)
    if link is None or link.role != actor.role:
        return Standing.OUTSIDE
    if link.revoked or now_at >= link.expires_at:
        return Standing.KNOWN
    if actor.actor_id in state.in_call:
        return Standing.IN_CALL
    return Standing.CONSENTED if actor.actor_id in state.consented else Standing.ADMITTED


def _erased(state: CaseState, command: Erase) -> list[Erased]:
    """That the bodies are gone; [] if they were by now."""
    if state.phase == "erased":
        return []
    if state.holds:
        raise IllegalUnderHold(
            f"entry {state.holds[0]} set a legal hold: nothing is erased before it is lifted"
        )
    whole = command.kinds is None and command.numbers is None
    if whole and state.phase == "open":
        raise IllegalStep("end the case first: whoever is in it goes on writing what would be erased")
    if state.call is not None:
        raise IllegalStep("a call goes on: wait for its end")
    if not _are_media(command.kinds or ()):
        raise IllegalStep("of a case that stays, recordings, frames and attachments alone can be erased")
    for number in command.numbers or ():
        if number not in state.frames and not state.talk.stored_by(number):
            raise UnknownFrame(f"entry {number} of this case holds no picture or sound")
    return [
        Erased(
            reason=command.reason,
            numbers="all" if command.numbers is None else command.numbers,
            kinds=command.kinds,
            by="retention" if command.authenticated_by is None else "request",
            authenticated_by=command.authenticated_by,
        )
    ]


def _are_media(kinds: Iterable[str]) -> bool:
    """Whether these are the kinds of some of MEDIA, each whole."""
    rest = set(kinds)
    for group in MEDIA.values():
        if group <= rest:
            rest -= group
    return not rest


def _is_whole(body: Erased) -> bool:
    return body.numbers == "all" and body.kinds is None


def _covers_recordings(body: Erased) -> bool:
    return body.numbers == "all" and body.kinds is not None and MEDIA["recordings"] <= set(body.kinds)


def _check_known(state: CaseState, of: ActorId) -> None:
    if of not in state.links:
        raise UnknownParticipant("nobody came to this case with that link")


def _let_in_by(state: CaseState, actor_id: ActorId) -> int:
    return sum(link.invited_by == actor_id for link in state.links.values())


def _last_segment(state: CaseState, call_number: int, actor_id: ActorId) -> int:
    if not 1 <= call_number <= state.calls:
        raise IllegalSegment(f"this case has had no call {call_number}")
    return state.segments.get((call_number, actor_id), 0)


def _newest_for(state: CaseState, role: Role) -> int:
    """The newest entry with a body that such a reader may see, bookkeeping aside."""
    return state.newest_for.get(role, 0)


def _guests_of(state: CaseState, host: ActorId) -> list[ActorId]:
    """Those who were let in by this person and may still come."""
    return [link_id for link_id, link in state.links.items() if link.invited_by == host and not link.revoked]


def _scene(state: CaseState, actor: Actor, moment: Moment) -> Scene:
    return Scene(
        actor=actor,
        now_at=moment.now_at,
        number=state.last_number + 1,
        wording=moment.wording,
        people=_reachable(state, moment.now_at),
    )


def _reachable(state: CaseState, now_at: datetime) -> dict[ActorId, PersonRole]:
    """Who has a live link."""
    return {
        actor_id: link.role
        for actor_id, link in state.links.items()
        if not link.revoked and now_at < link.expires_at
    }


def _agreed_at_opening(command: OpenCase, append: Callable[[Body], Append]) -> list[Append]:
    if command.address is None:
        return []
    address = delivery.Agreed(
        what="address", text=command.address, when_at=None, place=command.place, request=None
    )
    return [append(address)]


def _ring(state: CaseState, call_number: int, caller: Actor, moment: Moment) -> list[CallRung]:
    """The call rings at the customer's and the courier's, whoever of them did not begin it."""
    called = tuple(
        actor_id
        for actor_id, role in _reachable(state, moment.now_at).items()
        if role in ("customer", "courier") and actor_id != caller.actor_id
    )
    if not called:
        return []
    return [
        CallRung(
            call_number=call_number,
            of=called,
            absent=tuple(actor_id for actor_id in called if actor_id not in moment.online),
            until=cut_to_milliseconds(moment.now_at + timedelta(seconds=RING_S)),
        )
    ]


def _elapsed_ringing(state: CaseState, now_at: datetime) -> list[CallMissed]:
    if state.call is None:
        return []
    missed = tuple(actor_id for actor_id, until in state.call.ringing.items() if until <= now_at)
    return [CallMissed(call_number=state.call.call_number, of=missed)] if missed else []


def _answer(state: CaseState, command: talk.SendText, scene: Scene) -> delivery.Answered | None:
    return delivery.answer_in(state.delivery, command, scene)


def _told_customer(bodies: Iterable[exceptions.Body], scene: Scene) -> list[delivery.NoticeSent]:
    """The notice that the customer gets by itself when the courier reports an exception."""
    notices = []
    for body in bodies:
        if isinstance(body, exceptions.ExceptionReported) and scene.actor.role == "courier":
            notice = scene.wording.rules.exceptions[body.exception].notice
            notices += [] if notice is None else [delivery.notify(scene, notice)]
    return notices


def _attached(state: CaseState, entry: CaseEntry) -> talk.Talk:
    attachments = getattr(entry.body, "attachments", ())
    return talk.with_attachments(state.talk, entry.number, entry.actor_id, attachments)


def _without(ringing: Mapping[ActorId, datetime], gone: Iterable[ActorId]) -> dict[ActorId, datetime]:
    gone = set(gone)
    return {actor_id: until for actor_id, until in ringing.items() if actor_id not in gone}


def _leave(
    state: CaseState,
    leavers: Iterable[ActorId],
    reason: LeftReason,
    actor: Actor,
    moment: Moment,
    aborted: bool = False,
) -> list[Output]:
    """The leavers that are in the call leave it, their gaps ended before; the last of them ends it."""
    call = state.call
    if call is None:
        return []
    leaving = [actor_id for actor_id in leavers if actor_id in call.in_call]
    outputs: list[Output] = []
    shares = dict(call.traffic)
    for actor_id in leaving:
        leaver = Actor(role=state.links[actor_id].role, actor_id=actor_id, session_id=call.in_call[actor_id])
        share = moment.traffic.get(actor_id)
        shares[actor_id] = _add(shares[actor_id], share)
        for (of, cause), gap in call.gaps.items():
            if of == actor_id:
                # A service that knows nothing of their traffic was not there while the gap went on.
                duration_ms = None if share is None else _milliseconds(gap.began_at, moment.now_at)
                outputs.append(Append(actor=leaver, body=_gap_ended(call, cause, gap, duration_ms)))
        if actor_id in moment.quality:
            outputs.append(Append(actor=leaver, body=moment.quality[actor_id]))
        outputs.append(
            Append(actor=leaver, body=Left(call_number=call.call_number, reason=reason, traffic=share))
        )
    if leaving and len(leaving) == len(call.in_call):
        if call.ringing:
            outputs.append(
                Append(actor=actor, body=CallMissed(call_number=call.call_number, of=tuple(call.ringing)))
            )
        participants = tuple(
            CallParticipant(actor_id=actor_id, role=state.links[actor_id].role, traffic=share)
            for actor_id, share in shares.items()
        )
        ended = CallEnded(
            call_number=call.call_number,
            duration_ms=_milliseconds(call.started_at, moment.now_at),
            participants=participants,
            reason="aborted" if aborted else "ended",
        )
        outputs.append(Append(actor=actor, body=ended))
    return outputs


def _gap_ended(call: Call, cause: GapCause, gap: Gap, duration_ms: int | None) -> GapEnded:
    return GapEnded(
        call_number=call.call_number,
        number=gap.number,
        of=OF_CAUSE[cause],
        cause=cause,
        duration_ms=duration_ms,
    )


def _milliseconds(from_at: datetime, to_at: datetime) -> int:
    """A wall clock may be set back meanwhile; nothing ever lasted less than no time."""
    return max(0, (to_at - from_at) // timedelta(milliseconds=1))


def _call(state: CaseState, call_number: int) -> Call:
    if state.call is None or state.call.call_number != call_number:
        raise IllegalEntry(f"call {call_number} is not going on")
    return state.call


def _add(share: Traffic | None, more: Traffic | None) -> Traffic | None:
    """Something unknown in a sum makes the sum unknown."""
    if share is None or more is None:
        return None
    return Traffic(
        sent_packets=share.sent_packets + more.sent_packets,
        sent_bytes=share.sent_bytes + more.sent_bytes,
        received_packets=share.received_packets + more.received_packets,
        received_bytes=share.received_bytes + more.received_bytes,
        lost_packets=share.lost_packets + more.lost_packets,
    )
