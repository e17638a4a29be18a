"""The WebSocket of a case: the driver of `signaling/synchronisation.Reader`, and the ear for commands.

One task writes what the reader says; the receiving loop feeds it, and waits while too many answers do.
Commands of one page are carried out in the order they came; a shutter waits for its picture beside them.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, assert_never

from aiohttp import WSMsgType, web

from server.cases import Case, as_view
from server.errors import InternalError, ServerError
from server.evidence.entry import Entry
from server.http.errors import status_of
from server.http.operations import ANYONE, PEOPLE, Incoming, Operation, admit, operation
from server.principals import Principal
from server.service import Service
from server.store.errors import StoreError
from signaling.clock import ClockMeasurement
from signaling.commands import TakeFrame
from signaling.errors import CloseCode, MalformedMessage
from signaling.messages import (
    MAX_CLIENT_MESSAGE_BYTES,
    Ack,
    CaseSummary,
    ClockProbe,
    ClockReading,
    CommandMessage,
    Event,
    Hello,
    Muted,
    Nack,
    Person,
    Ping,
    Playback,
    Pong,
    Sharpen,
    Signal,
    SignalMessage,
    Welcome,
    You,
    parse_client_message,
)
from signaling.synchronisation import Close, Fetch, Output, Reader, Send
from signaling.values import Actor, CaseId

LAST_WORD_S = 1.0  # how long a closing message may take to a reader that may not be reading
HEARTBEAT_S = 15.0  # a phone that died without a word is noticed within one and a half of these
MAX_SHUTTERS = 4  # frames that one person may wait for at once

logger = logging.getLogger(__name__)


class CaseSocket:
    """One person's WebSocket."""

    def __init__(
        self, service: Service, case_id: str, request: web.Request, websocket: web.WebSocketResponse
    ) -> None:
        self._service = service
        self._case_id = case_id
        self._request = request
        self._websocket = websocket
        self._reader = Reader(now=time.monotonic())
        self._tasks = asyncio.TaskGroup()
        self._writing: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._performed = asyncio.Event()
        self._shutters = asyncio.Semaphore(MAX_SHUTTERS)
        self._clock = ClockMeasurement()
        self._case: Case | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._principal: Principal | None = None
        self._read_after: int | None = None  # what is read from then on is in the log

    @property
    def actor(self) -> Actor:
        """Whose page it is, once the hello was accepted."""
        assert self._principal is not None
        return self._principal.actor

    async def run(self) -> None:
        """Until either end closes."""
        async with self._tasks:
            clock = self._start(self._keep_time)
            try:
                await self._guard(self._receive)
            finally:
                self._part()
                clock.cancel()
                if self._writing is not None:
                    self._writing.cancel()

    async def _receive(self) -> None:
        async for message in self._websocket:
            if message.type is not WSMsgType.TEXT:
                self._perform(self._reader.close(CloseCode.MALFORMED, "messages are text"))
                return
            await self._handle_text(message.data)
            while self._reader.crowded:
                self._performed.clear()
                await self._performed.wait()

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        return self._tasks.create_task(self._guard(work))

    async def _guard(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """What nobody foresaw ends this socket alone: it is logged, and the page connects again."""
        try:
            await work()
        except Exception:
            logger.exception("a socket failed")
            self._perform(self._reader.close(CloseCode.INTERNAL, "the service failed; connect again"))

    def send_event(self, event: Event) -> None:
        """Queues an ephemeral event; a newer one of its kind takes its place."""
        self._perform(self._reader.handle_event(event, time.monotonic()))

    def replace(self) -> None:
        """Closes: the same link was opened too often."""
        self._perform(self._reader.close(CloseCode.REPLACED, "the same link is open on too many devices"))

    def drain(self) -> None:
        """Closes: the service stops."""
        self._perform(self._reader.close(CloseCode.DRAINING, "the service is stopping; connect again"))

    async def _handle_text(self, text: str) -> None:
        try:
            message = parse_client_message(text)
        except MalformedMessage as error:
            self._perform(self._reader.close(CloseCode.MALFORMED, str(error)[:120]))
            return
        case = self._case if self._reader.greeted else None
        if isinstance(message, Hello):
            await self._greet(message)
        elif isinstance(message, Ping):
            self._perform(self._reader.handle_reply(Pong(), time.monotonic()))
            self._probe(self._clock.handle_time(self._service.utc_now()))
        elif case is None:
            self._perform(self._reader.close(CloseCode.ILLEGAL, "hello comes first"))
        elif isinstance(message, ClockReading):
            self._probe(self._clock.handle_reading(message.probe, message.at, self._service.utc_now()))
        elif isinstance(message, SignalMessage):
            self._take_signal(case, message.signal)
        elif isinstance(message, Sharpen):
            self._service.calls.sharpen(case, self.actor, message.actor_id)
        elif isinstance(message.command, TakeFrame):
            await self._shutters.acquire()
            self._start(partial(self._press, case, message))
        else:
            await self._carry_out(case, message)

    def _probe(self, number: int | None) -> None:
        if number is not None:
            self._perform(self._reader.handle_reply(ClockProbe(probe=number), time.monotonic()))

    def _take_signal(self, case: Case, signal: Signal) -> None:
        match signal:
            case Muted():
                self._service.calls.mute(case, self, signal)
            case Playback():
                self._service.calls.play(case, self.actor, signal)
            case _:
                assert_never(signal)

    async def _greet(self, hello: Hello) -> None:
        try:
            principal = await admit(self._service, hello.token, PEOPLE, what="serve", case_id=self._case_id)
            case = await self._service.cases.get(self._case_id)
        except ServerError as error:
            self._perform(self._reader.close(CloseCode(error.close_code), str(error)))
            return
        is_first = not self._reader.greeted
        if is_first:
            self._case, self._principal = case, principal
            case.listeners.add(self._hear)  # before anything is waited for: a revocation is heard
        known_hash = await self._hash_of(case, hello.after)
        is_read = is_first and known_hash == hello.hash
        if is_read and not await self._begin_reading(case, principal, hello.after):
            return
        if self.actor.actor_id not in case.state.links:
            return  # it was erased meanwhile, and `_hear` has closed
        welcome = self._welcome(case, principal)
        probe = None
        if is_first and hello.clock:
            probe = ClockProbe(probe=self._clock.begin(self._service.utc_now()))
        self._perform(
            self._reader.handle_hello(
                hello, welcome=welcome, known_hash=known_hash, now=time.monotonic(), probe=probe
            )
        )
        if self._reader.greeted and self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(self._good_for_s(case), self._expire)
            self._service.calls.attach(case, self)

    async def _begin_reading(self, case: Case, principal: Principal, after: int) -> bool:
        """Whether what follows may be shown: that it is, is in the log."""
        try:
            await self._service.custody.begin_reading(case, principal, after)
        except StoreError:
            self._perform(
                self._reader.close(CloseCode.INTERNAL, "the log cannot be written; connect again later")
            )
            return False
        self._read_after = after
        return True

    def _good_for_s(self, case: Case) -> float:
        link = case.state.links[self.actor.actor_id]
        return (link.expires_at - self._service.utc_now()).total_seconds()

    def _expire(self) -> None:
        self._perform(self._reader.close(CloseCode.TOKEN, "this link has expired: ask for a new one"))

    def _welcome(self, case: Case, principal: Principal) -> Welcome:
        state = case.state
        role = principal.actor.role
        assert state.phase != "new" and role != "integrator" and role != "system"
        return Welcome(
            case=CaseSummary(
                case_id=CaseId(case.case_id),
                waybill=state.waybill,
                language=state.language,
                time_zone=state.time_zone,
                state=state.phase,
            ),
            you=You(
                actor_id=principal.actor.actor_id,
                role=role,
                name=principal.name,
                session_id=principal.actor.session_id,
            ),
            people=tuple(
                Person(actor_id=actor_id, role=link.role, name=link.name)
                for actor_id, link in state.links.items()
            ),
            number=state.last_number,
        )

    async def _hash_of(self, case: Case, number: int) -> str | None:
        if number == case.state.last_number:
            return case.state.last_hash
        entries = await self._service.log.entries(case.case_id, after=number - 1, limit=1) if number else []
        return entries[0].hash if entries else None

    async def _press(self, case: Case, message: CommandMessage) -> None:
        try:
            await self._carry_out(case, message)
        finally:
            self._shutters.release()

    async def _carry_out(self, case: Case, message: CommandMessage) -> None:
        command, actor = message.command, self.actor
        reply: Ack | Nack
        try:
            if isinstance(command, TakeFrame):
                decided = await self._service.calls.take_frame(case, command, actor, message.id)
            else:
                decided = await case.handle(command, actor, command_id=message.id, clock=self._clock.offset)
            reply = Ack(id=message.id, number=decided.number)
        except Exception as error:
            if status_of(error) == 500:
                logger.exception("a command failed")
                error = InternalError("the service failed; its operator finds the reason in its log")
            reply = Nack(id=message.id, code=getattr(error, "code", "error"), message=str(error))
        self._perform(self._reader.handle_reply(reply, time.monotonic()))

    def _hear(self, entry: Entry) -> None:
        self._perform(self._reader.handle_entry(as_view(entry, self.actor.role), time.monotonic()))
        if entry.envelope.kind == "link_revoked" and entry.body["link_id"] == self.actor.actor_id:
            self._perform(self._reader.close(CloseCode.REVOKED, "this link has been taken back"))
        elif self._case is not None and self.actor.actor_id not in self._case.state.links:
            self._perform(self._reader.close(CloseCode.ERASED, "this case was erased"))

    def _part(self) -> None:
        self._reader.close(CloseCode.DRAINING, "this end is gone")  # from now on nothing is performed
        if self._expiry is not None:
            self._expiry.cancel()
        if self._case is not None:
            self._case.listeners.discard(self._hear)
            self._service.calls.detach(self._case, self)
            if self._read_after is not None and self._principal is not None:
                self._service.background.start(
                    self._service.custody.end_reading(
                        self._case, self._principal, self._read_after, self._reader.shown
                    )
                )
            self._case = None

    # --- the reader's outputs ---

    def _perform(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            match output:
                case Send():
                    self._writing = self._start(partial(self._write, output))
                case Fetch():
                    assert self._case is not None
                    self._start(partial(self._fetch, self._case, output))
                case Close():
                    self._start(partial(self._close, output))
        self._woken.set()
        self._performed.set()

    async def _write(self, send: Send) -> None:
        try:
            for text in send.texts:
                await self._websocket.send_str(text)
        except ConnectionError:
            return  # the receiving loop ends by itself
        self._perform(self._reader.handle_written(time.monotonic()))

    async def _fetch(self, case: Case, fetch: Fetch) -> None:
        entries = await self._service.log.entries(case.case_id, after=fetch.after, limit=fetch.limit)
        page = [as_view(entry, self.actor.role) for entry in entries]
        self._perform(self._reader.handle_page(page, time.monotonic()))

    async def _close(self, close: Close) -> None:
        # The writing task is left alone: aiohttp lets both wait on one future, and cancelling ends both.
        try:
            async with asyncio.timeout(LAST_WORD_S):
                if close.last is not None:
                    await self._websocket.send_str(close.last)
                await self._websocket.close(code=close.code, message=close.reason.encode()[:120])
        except (TimeoutError, ConnectionError):
            if self._request.transport is not None:
                self._request.transport.abort()  # the reader does not read: a polite close would wait for it

    async def _keep_time(self) -> None:
        while True:
            deadline = self._reader.next_deadline
            self._woken.clear()
            try:
                async with asyncio.timeout_at(deadline):  # the loop's clock is time.monotonic, too
                    await self._woken.wait()
            except TimeoutError:
                self._perform(self._reader.handle_timeout(time.monotonic()))


class Sockets:
    """All open sockets, so that a stop can tell them."""

    def __init__(self) -> None:
        self.draining = False
        self._open: set[CaseSocket] = set()

    def operations(self) -> tuple[Operation, ...]:
        """The route. Who calls is told by the hello, because a browser's WebSocket sends no Authorization."""
        return (operation("GET", "/api/cases/{case_id}/ws", self.serve, ANYONE, status=101),)

    async def serve(self, incoming: Incoming) -> web.WebSocketResponse:
        """The WebSocket of a case: entries as they come, commands as they are given (PROTOCOL.md)."""
        if self.draining:
            raise web.HTTPServiceUnavailable(reason="the service is stopping; another one answers")
        websocket = web.WebSocketResponse(max_msg_size=MAX_CLIENT_MESSAGE_BYTES, heartbeat=HEARTBEAT_S)
        await websocket.prepare(incoming.request)
        socket = CaseSocket(incoming.service, incoming.case_id, incoming.request, websocket)
        self._open.add(socket)
        try:
            await socket.run()
        finally:
            self._open.discard(socket)
        return websocket

    def drain(self) -> None:
        """Tells everyone that the service stops."""
        self.draining = True
        for socket in tuple(self._open):
            socket.drain()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)
