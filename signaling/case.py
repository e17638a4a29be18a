"""The rules of a case: who may do what when (`decide`), and what each entry changes (`evolve`).

    command ── decide(state, command, actor, now_at) ──> outputs, or an error and nothing changed
    outputs ── the server appends them to the log, durably, all or none ──> entries
    entries ── evolve(state, entry) ──> the next state

Pure: no clock, no randomness, no I/O. Replaying a case's entries from `new_case` gives the very state that
led to them. Legality is one table, `LEGAL`; what remains in `decide` is who else is concerned.

A call starts with the first who joins and ends with the last who leaves. Whoever repeats what is already so
(consents again, joins in the call, leaves outside it) gets no error and makes no entry: an empty list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Literal, assert_never

from signaling.commands import (
    CaptureFailed,
    Command,
    Consent,
    Depart,
    EndCase,
    EndGap,
    EndReading,
    FrameCaptured,
    IssueLink,
    Join,
    Leave,
    LoseSegment,
    OpenCase,
    RecordExport,
    RecordPlayback,
    RecordRead,
    RecordRefusal,
    RecordView,
    RevokeLink,
    SealSegment,
    SendText,
    StartGap,
    TakeFrame,
)
from signaling.entries import (
    BOOKKEEPING,
    MAY_SEE,
    OF_CAUSE,
    Body,
    CallEnded,
    CallParticipant,
    CallQuality,
    CallStarted,
    CaseEnded,
    CaseOpened,
    Consented,
    DeclaredValue,
    Envelope,
    Exported,
    FrameFailed,
    FrameSealed,
    GapCause,
    GapEnded,
    GapStarted,
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
    Text,
    Traffic,
    Viewed,
    may_see,
    parse_body,
)
from signaling.errors import (
    IllegalEntry,
    IllegalForRole,
    IllegalInPhase,
    IllegalLink,
    IllegalOutsideCall,
    IllegalSegment,
    IllegalWhenFull,
    IllegalWithoutConsent,
    UnknownFrame,
    UnknownParticipant,
    UnknownRecording,
)
from signaling.ledger import Ledger
from signaling.values import (
    ActorId,
    CaseId,
    Language,
    PersonRole,
    Role,
    SessionId,
    cut_to_milliseconds,
)

MAX_IN_CALL = 4  # a page offers receive slots for three others: a fifth would be there unseen
MAX_LINKS = 64  # the participants of a call stay below the 64 KiB of a body
MAX_RANGES = 64  # that one actor has read apart: of more the oldest are forgotten, and told again when read
NO_HASH = "0" * 64  # what the first entry of a case names as the hash before it

Phase = Literal["new", "open", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who gives a command, as the server authenticated them."""

    role: Role
    actor_id: ActorId
    session_id: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    role: PersonRole
    name: str
    expires_at: datetime
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A gap that goes on: the entry that began it, and since when."""

    number: int
    began_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`in_call` keeps the session that joined; `traffic` holds all who ever joined, in that order."""

    call_number: int
    started_at: datetime
    in_call: Mapping[ActorId, SessionId] = field(default_factory=dict)
    traffic: Mapping[ActorId, Traffic | None] = field(default_factory=dict)
    gaps: Mapping[tuple[ActorId, GapCause], Gap] = field(default_factory=dict)


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
    entry that says so; `segments`: call and sender → the last segment's number; `newest_for_…`: the newest
    entry with a body that these may see and that is no bookkeeping.
    """

    case_id: CaseId
    phase: Phase = "new"
    opened_at: datetime | None = None
    waybill: str = ""
    declared_value: DeclaredValue | None = None
    language: Language = "zh"
    metadata: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[ActorId, Link] = field(default_factory=dict)
    consented: frozenset[ActorId] = frozenset()
    calls: int = 0
    call: Call | None = None
    frames: Ledger[int, str] = field(default_factory=Ledger)
    viewed: Ledger[tuple[ActorId, int], int] = field(default_factory=Ledger)
    segments: Mapping[tuple[int, ActorId], int] = field(default_factory=dict)
    reading: Mapping[ActorId, Reading] = field(default_factory=dict)
    newest_for_office: int = 0
    newest_for_everyone: int = 0
    last_number: int = 0
    last_hash: str = NO_HASH

    @property
    def in_call(self) -> tuple[ActorId, ...]:
        return tuple(self.call.in_call) if self.call else ()


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
    return {"customer": standing, "courier": standing, "qa": standing}


# Command × role → the phases of the case and the least standing; a role that is not named may never.
LEGAL: Mapping[type[Command], Mapping[Role, Rule]] = {
    # What people send.
    Consent: _rows(["open"], _people(Standing.ADMITTED)),
    Join: _rows(["open"], _people(Standing.CONSENTED)),
    Leave: _rows(["open", "ended"], _people(Standing.KNOWN)),  # nobody is kept in a call
    SendText: _rows(["open"], _people(Standing.ADMITTED)),
    TakeFrame: _rows(["open"], _people(Standing.IN_CALL) | {"qa": Standing.ADMITTED}),
    EndCase: _rows(["open"], {"qa": Standing.ADMITTED, "integrator": Standing.OUTSIDE}),
    # What the server brings.
    OpenCase: _rows(["new"], {"integrator": Standing.OUTSIDE}),
    IssueLink: _rows(["open", "ended"], {"integrator": Standing.OUTSIDE}),
    RevokeLink: _rows(["open", "ended"], {"integrator": Standing.OUTSIDE}),
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
    RecordExport: _rows(["open", "ended"], {"qa": Standing.ADMITTED, "integrator": Standing.OUTSIDE}),
    RecordPlayback: _rows(["open", "ended"], {"qa": Standing.ADMITTED, "integrator": Standing.OUTSIDE}),
    # Who is let in is the server's business: here it is written what is shown. At the end of a reading the
    # link may be revoked, or expired.
    RecordRead: _rows(["open", "ended"], _people(Standing.KNOWN) | {"integrator": Standing.OUTSIDE}),
    EndReading: _rows(["open", "ended"], _people(Standing.KNOWN)),
    # Also of a desk, and of people of other cases.
    RecordRefusal: _rows(["open", "ended"], _people(Standing.OUTSIDE) | {"integrator": Standing.OUTSIDE}),
}

# The commands that may make somebody leave.
PARTING: tuple[type[Command], ...] = (Leave, Depart, RevokeLink, EndCase)

NO_TRAFFIC: Mapping[ActorId, Traffic] = MappingProxyType({})
NO_QUALITY: Mapping[ActorId, CallQuality] = MappingProxyType({})
_NOTHING = Traffic(sent_packets=0, sent_bytes=0, received_packets=0, received_bytes=0, lost_packets=0)


def new_case(case_id: CaseId) -> CaseState:
    """The state before the first entry."""
    return CaseState(case_id=case_id)


def decide(
    state: CaseState,
    command: Command,
    actor: Actor,
    now_at: datetime,
    traffic: Mapping[ActorId, Traffic] = NO_TRAFFIC,
    quality: Mapping[ActorId, CallQuality] = NO_QUALITY,
) -> list[Output]:
    """What the command makes happen: entries to append together, or a picture to take; [] if it is so by now.

    `traffic` and `quality` are what was counted and measured for those in the call since each joined; of
    importance to the commands in `PARTING`. Who is missing in `traffic` is written down as not known; who is
    missing in `quality` has no entry of it. Raises Illegal… or Unknown….
    """
    _check_legal(state, command, actor, now_at)

    def append(body: Body) -> Append:
        return Append(actor=actor, body=body)

    match command:
        case OpenCase():
            return [
                append(
                    CaseOpened(
                        waybill=command.waybill,
                        declared_value=command.declared_value,
                        language=command.language,
                        metadata=dict(command.metadata),
                    )
                )
            ]
        case IssueLink():
            if state.phase == "ended" and command.role != "qa":
                raise IllegalInPhase("the case has ended: only QA may still be let in, to review it")
            if command.link_id in state.links or len(state.links) >= MAX_LINKS:
                raise IllegalWhenFull(f"a case has at most {MAX_LINKS} links, each with an id of its own")
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
            if link.revoked:
                return []
            left = _leave(state, [command.link_id], "revoked", actor, now_at, traffic, quality)
            return [append(LinkRevoked(link_id=command.link_id)), *left]
        case Consent():
            if actor.actor_id in state.consented:
                return []
            return [append(Consented(statement=command.statement, language=command.language))]
        case Join():
            if actor.actor_id in state.in_call:
                return []
            if len(state.in_call) >= MAX_IN_CALL:
                raise IllegalWhenFull(f"a call holds {MAX_IN_CALL} people")
            if state.call is not None:
                return [append(Joined(call_number=state.call.call_number))]
            call_number = state.calls + 1
            return [append(CallStarted(call_number=call_number)), append(Joined(call_number=call_number))]
        case Leave():
            return _leave(state, [actor.actor_id], "left", actor, now_at, traffic, quality)
        case Depart():
            return _leave(
                state, [actor.actor_id], command.reason, actor, now_at, traffic, quality, command.aborted
            )
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
        case SendText():
            return [append(Text(text=command.text))]
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
            if command.number not in state.frames:
                raise UnknownFrame(f"entry {command.number} of this case is not a sealed frame")
            if (actor.actor_id, command.number) in state.viewed:
                return []
            return [append(Viewed(number=command.number, authenticated_by=command.authenticated_by))]
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
        case EndCase():
            left = _leave(state, state.in_call, "case_ended", actor, now_at, traffic, quality)
            return [*left, append(CaseEnded(reason=f"ended_by_{actor.role}"))]
        case _:
            assert_never(command)


def evolve(state: CaseState, entry: CaseEntry) -> CaseState:
    """The state after a committed entry; raises IllegalEntry when it does not follow the last one."""
    if entry.number != state.last_number + 1:
        raise IllegalEntry(f"entry {entry.number} cannot follow entry {state.last_number}")
    if (entry.kind == CaseOpened.kind) != (state.phase == "new"):
        raise IllegalEntry("a case begins with case_opened, and only once")
    office, everyone = state.newest_for_office, state.newest_for_everyone
    if entry.kind not in BOOKKEEPING:
        office = entry.number
        everyone = entry.number if "customer" in MAY_SEE[entry.kind] else everyone
    return replace(
        state,
        last_number=entry.number,
        last_hash=entry.hash,
        newest_for_office=office,
        newest_for_everyone=everyone,
        **_changes(state, entry),
    )


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
            }
        case LinkIssued():
            link = Link(role=body.role, name=body.name, expires_at=body.expires_at)
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
            return {"call": replace(call, in_call=joined, traffic=shares)}
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
            return {"viewed": state.viewed.with_item((entry.actor_id, body.number), entry.number)}
        case Read():
            reading = state.reading.get(entry.actor_id, Reading())
            live_after = body.up_to if body.live else reading.live_after
            if not body.live and body.after == reading.live_after:
                live_after = None
            reading = Reading(ranges=reading.with_range(body.after, body.up_to), live_after=live_after)
            return {"reading": {**state.reading, entry.actor_id: reading}}
        case CaseEnded():
            return {"phase": "ended"}
        case Text() | FrameFailed() | Exported() | PlayedBack() | Refused():
            return {}
        case _:
            assert_never(body)


def _check_legal(state: CaseState, command: Command, actor: Actor, now_at: datetime) -> None:
    rule = LEGAL[type(command)].get(actor.role)
    if rule is None:
        raise IllegalForRole(f"{command.kind} is not for {actor.role}")
    if state.phase not in rule.phases:
        raise IllegalInPhase("the case has ended" if state.phase == "ended" else f"the case is {state.phase}")
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


def _check_known(state: CaseState, of: ActorId) -> None:
    if of not in state.links:
        raise UnknownParticipant("nobody came to this case with that link")


def _last_segment(state: CaseState, call_number: int, actor_id: ActorId) -> int:
    if not 1 <= call_number <= state.calls:
        raise IllegalSegment(f"this case has had no call {call_number}")
    return state.segments.get((call_number, actor_id), 0)


def _newest_for(state: CaseState, role: Role) -> int:
    """The newest entry with a body that such a reader may see, bookkeeping aside."""
    return state.newest_for_office if may_see(role, Viewed.kind) else state.newest_for_everyone


def _leave(
    state: CaseState,
    leavers: Iterable[ActorId],
    reason: LeftReason,
    actor: Actor,
    now_at: datetime,
    traffic: Mapping[ActorId, Traffic],
    quality: Mapping[ActorId, CallQuality],
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
        share = traffic.get(actor_id)
        shares[actor_id] = _add(shares[actor_id], share)
        for (of, cause), gap in call.gaps.items():
            if of == actor_id:
                # A service that knows nothing of their traffic was not there while the gap went on.
                duration_ms = None if share is None else _milliseconds(gap.began_at, now_at)
                outputs.append(Append(actor=leaver, body=_gap_ended(call, cause, gap, duration_ms)))
        if actor_id in quality:
            outputs.append(Append(actor=leaver, body=quality[actor_id]))
        outputs.append(
            Append(actor=leaver, body=Left(call_number=call.call_number, reason=reason, traffic=share))
        )
    if leaving and len(leaving) == len(call.in_call):
        participants = tuple(
            CallParticipant(actor_id=actor_id, role=state.links[actor_id].role, traffic=share)
            for actor_id, share in shares.items()
        )
        ended = CallEnded(
            call_number=call.call_number,
            duration_ms=_milliseconds(call.started_at, now_at),
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
