"""Cases as they live in this process: the pure machine of each, fed one command at a time.

A command is decided, its entries are appended and durable, the state evolves, and only then anyone hears of
it: the listeners that read along, and the follower (`calls.py`) that lets the relay do what the log says.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, cast
from weakref import WeakValueDictionary

from pydantic import JsonValue

from server.background import Background
from server.errors import UnknownThing
from server.evidence.entry import Draft, Entry
from server.evidence.handover import HOUSE_CASE
from server.store.errors import IllegalRepeat
from server.store.log import LogStore
from signaling.case import (
    NO_QUALITY,
    PARTING,
    Append,
    CaptureFrame,
    CaseEntry,
    CaseState,
    ForgottenEntry,
    Moment,
    decide,
    evolve,
    new_case,
)
from signaling.clock import ClockOffset
from signaling.commands import Command, OpenCase
from signaling.entries import CallQuality, Traffic, encode_body, may_see, parse_body, parse_envelope
from signaling.errors import SignalingError
from signaling.messages import EntryView
from signaling.talk import Attach, SendPhrase, SendText, SharePlace
from signaling.values import Actor, ActorId, CaseId, Role, SessionId
from signaling.wording import Wording

ENTRIES_A_TURN = 25  # replayed at about 30 us each, before media and sockets have their turn
# Each makes an entry of its actor whenever it is allowed, with the command's own id.
SPOKEN = (SendText, SendPhrase, Attach, SharePlace)
MAX_IDLE_CASES = 500  # states kept for the next reader; a state is a few KiB
logger = logging.getLogger(__name__)


class Follower(Protocol):
    """What happens beside the log because of it."""

    def traffic(self, case_id: str) -> Mapping[ActorId, Traffic]:
        """What those in the call sent and received since they joined."""

    def quality(self, case: "Case") -> Mapping[ActorId, CallQuality]:
        """How the stay of each person in the call was, if it ended now."""

    def online(self, case_id: str) -> frozenset[ActorId]:
        """Who has a page open."""

    def observe(self, case: "Case", entry: Entry) -> None:
        """An entry is on disk."""

    async def recover(self, case: "Case") -> None:
        """A case was read back from the log by a process that did not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of a command: its last entry's number, if it made one, or a frame to be taken first."""

    number: int | None
    capture: CaptureFrame | None = None


Listener = Callable[[Entry], None]
Observer = Callable[["Case", Entry], None]


class Case:
    """One case: its state, and the listeners that read along."""

    def __init__(
        self,
        case_id: str,
        *,
        log: LogStore,
        background: Background,
        wording: Wording,
        utc_now: Callable[[], datetime],
        follower: Follower,
        observers: Sequence[Observer],
    ) -> None:
        self.case_id = case_id
        self.state: CaseState = new_case(CaseId(case_id))
        self.listeners: set[Listener] = set()
        self._log = log
        self._background = background
        self._wording = wording
        self._utc_now = utc_now
        self._follower = follower
        self._observers = observers
        self._lock = asyncio.Lock()

    @property
    def idle(self) -> bool:
        """Whether nobody reads along and nobody is in the call."""
        return not self.listeners and not self.state.in_call and not self._lock.locked()

    async def handle(
        self,
        command: Command,
        actor: Actor,
        *,
        command_id: str | None = None,
        clock: ClockOffset | None = None,
    ) -> Decided:
        """Carries out one command; sent twice with the same id it takes effect once. `clock`: that of the
        actor's phone, which claims the times in it.

        Raises what `decide` raises, and then nothing has changed.
        """
        return await self._background.finish(self._handle(command, actor, command_id, clock))

    async def _handle(
        self, command: Command, actor: Actor, command_id: str | None, clock: ClockOffset | None
    ) -> Decided:
        async with self._lock:
            # Whether a text was said before, its append finds out: of these an hour offline leaves hundreds.
            is_spoken = isinstance(command, SPOKEN)
            if not is_spoken and (known := await self._find(actor, command_id)) is not None:
                return known
            moment = Moment(
                now_at=self._utc_now(),
                wording=self._wording,
                traffic=self._follower.traffic(self.case_id),
                quality=self._follower.quality(self) if isinstance(command, PARTING) else NO_QUALITY,
                online=self._follower.online(self.case_id),
                clock=clock,
            )
            try:
                outputs = decide(self.state, command, actor, moment)
            except SignalingError:
                # Said before the case ended, it is answered as it was then.
                if is_spoken and (known := await self._find(actor, command_id)) is not None:
                    return known
                raise
            capture = next((output for output in outputs if isinstance(output, CaptureFrame)), None)
            drafts = [
                Draft(
                    kind=output.kind,
                    case_id=self.case_id,
                    role=output.actor.role,
                    actor_id=output.actor.actor_id,
                    session_id=output.actor.session_id,
                    body=encode_body(output.body),
                    # A `left` may be another person's: their own commands have ids of their own.
                    command_id=command_id if output.actor.actor_id == actor.actor_id else None,
                )
                for output in outputs
                if isinstance(output, Append)
            ]
            if not drafts:
                return Decided(number=None, capture=capture)
            try:
                entries = await self._log.append(drafts, expect_number=self.state.last_number)
            except IllegalRepeat:
                known = await self._find(actor, command_id)
                if known is None:
                    raise
                return known
            for entry in entries:
                self.take_in(entry)
            for entry in entries:
                self._tell(entry)
        return Decided(number=entries[-1].envelope.number, capture=capture)

    async def _find(self, actor: Actor, command_id: str | None) -> Decided | None:
        """What came of a command that had taken effect, None if it had not."""
        if command_id is None:
            return None
        known = await self._log.find_command(self.case_id, actor.actor_id, command_id)
        return Decided(number=known[-1]) if known else None

    def take_in(self, entry: Entry) -> None:
        """Evolves the state by an entry that is on disk."""
        self.state = evolve(self.state, _forgotten(entry) if entry.is_erased else as_case_entry(entry))

    def _tell(self, entry: Entry) -> None:
        """To each, whatever becomes of the others: the entry is on disk, and who said it must hear so."""
        hearers: list[Listener] = [
            partial(self._follower.observe, self),
            *(partial(observe, self) for observe in self._observers),
            *self.listeners,
        ]
        for hear in hearers:
            try:
                hear(entry)
            except Exception:
                logger.exception("of an entry of case %s somebody could not be told", self.case_id)


class Cases:
    """All cases; a state is rebuilt from the log when someone asks for it. `observers` hear of every entry of
    every case, once it is on disk.
    """

    def __init__(
        self,
        *,
        log: LogStore,
        background: Background,
        wording: Wording,
        utc_now: Callable[[], datetime],
        new_id: Callable[[str], str],
        follower: Follower,
    ) -> None:
        self._log = log
        self._background = background
        self._wording = wording
        self._utc_now = utc_now
        self._new_id = new_id
        self._follower = follower
        self.observers: list[Observer] = []
        self._loaded: dict[str, asyncio.Future[Case]] = {}
        # A case that was let go but that a request still holds is found again: there is never a second of it.
        self._known: WeakValueDictionary[str, Case] = WeakValueDictionary()

    async def open(self, command: OpenCase, actor: Actor) -> Case:
        """A new case, its first entry written."""
        self._drop_idle()
        case = self._new_case(self._new_id("c_"))
        await case.handle(command, actor)
        self._known[case.case_id] = case
        self._loaded[case.case_id] = future = asyncio.get_running_loop().create_future()
        future.set_result(case)
        return case

    async def get(self, case_id: str) -> Case:
        """The case. Raises `UnknownThing`."""
        loading = self._loaded.get(case_id)
        if loading is None:
            self._drop_idle()
            loading = self._loaded[case_id] = self._background.start(self._load(case_id))
        try:
            return await asyncio.shield(loading)
        except Exception:
            if self._loaded.get(case_id) is loading:
                del self._loaded[case_id]
            raise

    async def end_cut_off_calls(self) -> None:
        """At the start: the calls under which another process died are ended in the log."""
        for case_id in await self._log.cases_in_call():
            try:
                await self.get(case_id)
            except Exception:
                logger.exception("a call that was cut off could not be ended in the log")

    def live(self) -> list[Case]:
        """The cases that are in memory."""
        return [
            future.result() for future in self._loaded.values() if future.done() and not future.exception()
        ]

    def _new_case(self, case_id: str) -> Case:
        return Case(
            case_id,
            log=self._log,
            background=self._background,
            wording=self._wording,
            utc_now=self._utc_now,
            follower=self._follower,
            observers=self.observers,
        )

    async def _load(self, case_id: str) -> Case:
        if (case := self._known.get(case_id)) is not None:
            return case
        entries = [] if case_id == HOUSE_CASE else await self._log.entries(case_id)
        if not entries:
            raise UnknownThing("there is no such case")
        case = self._new_case(case_id)
        for number, entry in enumerate(entries):
            case.take_in(entry)
            if number % ENTRIES_A_TURN == 0:
                await asyncio.sleep(0)
        await self._follower.recover(case)
        self._known[case_id] = case
        return case

    def _drop_idle(self) -> None:
        for case in self.live():
            if len(self._loaded) < MAX_IDLE_CASES:
                return
            if case.idle:
                del self._loaded[case.case_id]


def as_case_entry(entry: Entry) -> CaseEntry:
    """A stored entry as the rules take it; raises MalformedEntry for a body that is none of its kind."""
    envelope = entry.envelope
    return CaseEntry(
        number=envelope.number,
        role=cast(Role, envelope.role),  # of an entry that a command of ours made
        actor_id=ActorId(envelope.actor_id),
        session_id=SessionId(envelope.session_id),
        recorded_at=envelope.recorded_at,
        hash=entry.hash,
        body=parse_body(envelope.kind, entry.body),
    )


def _forgotten(entry: Entry) -> ForgottenEntry:
    envelope = entry.envelope
    return ForgottenEntry(
        number=envelope.number, kind=envelope.kind, recorded_at=envelope.recorded_at, hash=entry.hash
    )


def as_view(entry: Entry, role: Role) -> EntryView:
    """A stored entry as `role` may see it; body and salt are None where the role may not, or nobody can."""
    seen = may_see(role, entry.envelope.kind) and not entry.is_erased
    return EntryView(
        envelope=parse_envelope(entry.envelope_bytes),
        body=cast(dict[str, JsonValue], entry.body) if seen else None,
        salt=entry.salt.hex() if seen else None,
        hash=entry.hash,
        leaf_index=entry.leaf_index,
    )
