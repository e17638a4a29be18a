"""One endpoint's driver: reads the log, signs, sends, keeps what came of it; `Delivery` says what and when.

the log grows ──┐                ┌─ Look, ReadDue ──> the log, webhooks.db ──> answers ──┐
time passes ────┼──> Delivery ───┼─ Store ──────────> webhooks.db, before all else        ├──> Delivery
an outcome ─────┘                └─ Send ───────────> a task: POST ──────────> an outcome ┘
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from aiohttp import ClientError, ClientResponseError, ClientSession

from server.errors import InternalError, ServerError
from server.evidence.entry import Entry
from server.store.errors import StoreError
from server.store.log import LogStore
from server.store.webhook_rows import Counts, Endpoint
from server.store.webhooks import WebhookStore
from server.webhook_delivery import (
    MAX_FRESH,
    MAX_RETRIES,
    Accepted,
    Delivery,
    Disable,
    Failed,
    Gone,
    Look,
    Outcome,
    Output,
    ReadDue,
    Send,
    Store,
)
from server.webhook_guard import Lookup, Target, guarded_session, parse_target
from server.webhook_payload import encode_payload, named_by

MAX_ERROR_BYTES = 200  # of the reason phrase that a receiver answers, or of why there was no answer
# Between two attempts, all endpoints together. A replay over TLS then takes a quarter of a core, measured,
# beside the calls that run in the same loop; a hundred entries a second are 8 million a day.
GAP_S = 0.01
# Of an entry's hash, in the id of its message. After the restore of an older log others have the leaves
# of those that were lost: of 4 billion such, one would be taken for a double.
HASH_CHARACTERS = 8
RESTART_S = 30.0  # after the disk refused: what was on its way is sent again

logger = logging.getLogger(__name__)


class Pace:
    """Turns, one every `GAP_S`, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._next = 0.0

    async def turn(self) -> None:
        """Returns when it is the caller's."""
        now = asyncio.get_running_loop().time()
        turn_at = max(now, self._next)
        self._next = turn_at + GAP_S
        if turn_at > now:
            await asyncio.sleep(turn_at - now)


class _Grown:
    """The log has."""


class _Revived:
    """Letters were made due."""


class _Stop:
    """Send what is there, and end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Came:
    leaf_index: int
    outcome: Outcome


_Event = _Grown | _Revived | _Stop | _Came


class Runner:
    """One endpoint: the task that owns its deliveries."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        target: Target,
        secret: bytes,
        store: WebhookStore,
        log: LogStore,
        utc_now: Callable[[], datetime],
        lookup: Lookup,
        fates: Counter[str],
        pace: Pace,
    ) -> None:
        self._endpoint = endpoint
        self._target = target
        self._secret = secret
        self._store = store
        self._log = log
        self._utc_now = utc_now
        self._lookup = lookup
        self._fates = fates
        self._pace = pace
        self.counts = Counts(waiting=0, dead=0)
        self.cursor = endpoint.cursor
        # Bounded by what can be on its way: each attempt, the log and a caller say one thing at a time.
        self._events: asyncio.Queue[_Event] = asyncio.Queue(MAX_FRESH + MAX_RETRIES + 2)
        self._revived = False
        self._stopping = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"webhook {endpoint.endpoint_id}"
        )

    def revive(self) -> None:
        """Letters were made due. Waits for nothing: a queue that is full is about to be read."""
        self._revived = True
        if not self._events.full():
            self._events.put_nowait(_Revived())

    async def stop(self, grace_s: float) -> None:
        """What the log holds is sent for `grace_s` at most; what is not settled then is sent again later."""
        self._stopping.set()
        if grace_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    if not self._task.done():
                        await self._events.put(_Stop())
                    await asyncio.wait([self._task])
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._deliver()
                return
            except Exception:
                logger.exception(
                    "deliveries to webhook %s broke off; they go on in %d s",
                    self._endpoint.endpoint_id,
                    RESTART_S,
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESTART_S):
                    await self._stopping.wait()

    async def _deliver(self) -> None:
        endpoint_id = self._endpoint.endpoint_id
        while not self._events.empty():  # left over from before the disk refused
            self._events.get_nowait()
        endpoint = await self._store.endpoint(endpoint_id)
        assert endpoint is not None
        log_size = self._log.size
        delivery = Delivery(cursor=endpoint.cursor, log_size=log_size)
        self.counts = await self._store.counts(endpoint_id)
        session = guarded_session(self._target, self._lookup, limit=MAX_FRESH + MAX_RETRIES)
        async with session as http, asyncio.TaskGroup() as tasks:
            children = {tasks.create_task(self._watch(log_size))}
            try:
                outputs = delivery.begin(self._utc_now())
                while True:
                    await self._perform(delivery, outputs, http, tasks, children)
                    self.cursor = delivery.cursor
                    if delivery.finished:
                        return
                    outputs = await self._next(delivery)
            finally:
                for child in children:
                    child.cancel()

    async def _watch(self, size: int) -> None:
        while True:
            await self._log.grown_beyond(size)
            size = self._log.size
            await self._events.put(_Grown())

    async def _next(self, delivery: Delivery) -> list[Output]:
        """What follows from all that has happened since."""
        deadline_at = delivery.next_deadline
        events: list[_Event] = []
        wait_s = None if deadline_at is None else max(0.0, (deadline_at - self._utc_now()).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                events.append(await self._events.get())
        while not self._events.empty():
            events.append(self._events.get_nowait())
        outputs: list[Output] = []
        now_at = self._utc_now()
        for event in events:
            match event:
                case _Came():
                    outputs += delivery.handle_outcome(
                        event.leaf_index, event.outcome, random.random(), now_at
                    )
                case _Grown():
                    outputs += delivery.handle_log_size(self._log.size, now_at)
                case _Revived():
                    pass  # looked at below
                case _Stop():
                    outputs += delivery.handle_log_size(self._log.size, now_at) + delivery.handle_stop()
                case _:
                    assert_never(event)
        if self._revived:
            self._revived = False
            self.counts = await self._store.counts(self._endpoint.endpoint_id)
            outputs += delivery.handle_revived(now_at)
        return outputs + delivery.handle_time(now_at)

    async def _perform(
        self,
        delivery: Delivery,
        outputs: list[Output],
        http: ClientSession,
        tasks: asyncio.TaskGroup,
        children: set[asyncio.Task[None]],
    ) -> None:
        endpoint_id = self._endpoint.endpoint_id
        while outputs:
            answers: list[Output] = []
            # First what was learnt, in one transaction: what is read after it must know of it.
            await self._store_all([output for output in outputs if isinstance(output, Store)])
            for output in outputs:
                match output:
                    case Store():
                        pass
                    case Send():
                        child = tasks.create_task(self._send(http, output))
                        children.add(child)
                        child.add_done_callback(children.discard)
                    case Look():
                        kinds = self._endpoint.kinds
                        leaves = await self._log.leaves(output.first, output.end, kinds)
                        held = await self._store.held(endpoint_id, output.first, output.end)
                        new = [leaf for leaf in leaves if leaf not in held]
                        answers += delivery.handle_looked(new, output.end, self._utc_now())
                    case ReadDue():
                        letters = await self._store.earliest(endpoint_id, output.limit)
                        answers += delivery.handle_due(letters, self._utc_now())
                    case Disable():
                        await self._store.disable(endpoint_id, output.reason, now_at=self._utc_now())
                        logger.warning("webhook %s answered 410 Gone and is disabled", endpoint_id)
                    case _:
                        assert_never(output)
            outputs = answers

    async def _store_all(self, stores: Sequence[Store]) -> None:
        if not stores:
            return
        settled = [store.settled for store in stores if store.settled is not None]
        await self._store.settle(
            self._endpoint.endpoint_id, settled, cursor=stores[-1].cursor, now_at=self._utc_now()
        )
        waiting, dead = self.counts.waiting, self.counts.dead
        for one in settled:
            waiting -= one.known
            if one.letter is not None:
                waiting += one.letter.due_at is not None
                dead += one.letter.due_at is None
        self.counts = Counts(waiting=waiting, dead=dead)

    async def _send(self, http: ClientSession, send: Send) -> None:
        await self._pace.turn()
        try:
            outcome = await self._attempt(http, send.leaf_index)
        except Exception:  # a bug of ours must not look like a delivery
            logger.exception("a message to webhook %s could not be sent", self._endpoint.endpoint_id)
            outcome = Failed(error="the service failed; its operator finds the reason in its log")
        self._fates["delivered" if isinstance(outcome, Accepted) else "failed"] += 1
        await self._events.put(_Came(leaf_index=send.leaf_index, outcome=outcome))

    async def _attempt(self, http: ClientSession, leaf_index: int) -> Outcome:
        try:
            entry = await self._log.entry(leaf_index)
            if entry.is_erased:
                return Accepted()  # nothing is left to be told; that it was erased is an entry, too
            body = await self._payload(entry)
        except StoreError as error:
            return Failed(error=f"the entry cannot be read: {error}")
        message_id = f"msg_{leaf_index}_{entry.hash[:HASH_CHARACTERS]}_{self._endpoint.endpoint_id}"
        headers = {"Content-Type": "application/json"} | sign(
            self._secret, message_id, int(self._utc_now().timestamp()), body
        )
        try:
            if not self._target.host:
                parse_target(self._target.url, ())  # says why
                raise InternalError("this url is allowed no more")
            async with http.post(
                self._target.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return Accepted()
                # Not a word of its body: a receiver that echoes would have people's words kept in clear.
                told = _shorten(f"{answer.status} {answer.reason}")
                return Gone(error=told) if answer.status == 410 else Failed(error=told)
        except TimeoutError:
            return Failed(error="no answer within 15 s")
        except ClientResponseError:  # its message quotes what came
            return Failed(error="what came is no answer in HTTP")
        except (ClientError, ServerError, OSError, ValueError) as failure:
            return Failed(error=_shorten(str(failure) or type(failure).__name__))

    async def _payload(self, entry: Entry) -> bytes:
        named: Entry | None = None
        if (number := named_by(entry)) is not None:
            found = await self._log.entries(entry.envelope.case_id, after=number - 1, limit=1)
            named = found[0] if found else None
        return encode_payload(entry, named, with_body=self._endpoint.with_bodies)


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message (Standard Webhooks, "Signature scheme"); `timestamp` of the attempt, in s."""
    signed = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def _shorten(text: str) -> str:
    """One line without control characters."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean.encode()[:MAX_ERROR_BYTES].decode(errors="ignore").strip()
