"""Webhooks: entries leave the house, each endpoint by a task of its own that follows the log.

    LogStore grows ──> Runner (one an endpoint) ──> POST, as Standard Webhooks has it
                          └──> WebhookStore: cursor, letters

Messages have the form of Standard Webhooks (https://www.standardwebhooks.com). Whatever dies at any time,
each entry is sent at least once, with the same `webhook-id`.
"""

import asyncio
import base64
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from server.errors import DisabledWebhook, MalformedRequest, ServerError, TooManyWebhooks, UnknownThing
from server.store.log import LogStore
from server.store.webhook_rows import Counts, Endpoint, Letter
from server.store.webhooks import WebhookStore
from server.webhook_guard import InternalHosts, Lookup, Names, Target, check_name, parse_target
from server.webhook_runner import Pace, Runner

MAX_ENDPOINTS = 16  # together at most 192 messages of 64 KiB are on their way
UNKNOWN = "there is no such webhook"
SECRET_SIZE_BYTES = 32  # Standard Webhooks: "between 24 bytes (192 bits) and 64 bytes (512 bits)"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """An endpoint and how far it is. `behind`: leaves of the log that are not settled for it."""

    endpoint: Endpoint
    cursor: int
    behind: int
    counts: Counts


class Webhooks:
    """All endpoints. Made by `open`."""

    def __init__(
        self,
        *,
        store: WebhookStore,
        log: LogStore,
        internal_hosts: InternalHosts,
        utc_now: Callable[[], datetime],
        new_id: Callable[[str], str],
        lookup: Lookup | None,
    ) -> None:
        self._store = store
        self._log = log
        self._internal_hosts = internal_hosts
        self._utc_now = utc_now
        self._new_id = new_id
        self._names = Names()
        self._lookup = lookup or self._names.look_up
        self._runners: dict[str, Runner] = {}
        self._changing = asyncio.Lock()  # endpoints are made, opened again and removed one at a time
        self._pace = Pace()
        self._fates = Counter({"delivered": 0, "failed": 0})

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        *,
        log: LogStore,
        internal_hosts: InternalHosts,
        utc_now: Callable[[], datetime],
        new_id: Callable[[str], str],
        lookup: Lookup | None = None,
    ) -> "Webhooks":
        """Goes on where the last process ended. Raises IllegalOpen, CorruptWebhooks."""
        store = await WebhookStore.open(data_dir, log.keys.wrapper)
        webhooks = cls(
            store=store, log=log, internal_hosts=internal_hosts, utc_now=utc_now, new_id=new_id, lookup=lookup
        )
        try:
            for endpoint in await store.endpoints():
                await webhooks._start(endpoint)
        except BaseException:
            await webhooks.close(grace_s=0)
            raise
        return webhooks

    @property
    def fates(self) -> Mapping[str, int]:
        """Attempts of this process."""
        return self._fates

    @property
    def letters(self) -> Counts:
        """Letters of the endpoints that are sent to, as last written."""
        runners = self._runners.values()
        return Counts(
            waiting=sum(runner.counts.waiting for runner in runners),
            dead=sum(runner.counts.dead for runner in runners),
        )

    async def add(
        self, url: str, *, kinds: Sequence[str] | None, with_bodies: bool, start: int | None
    ) -> tuple[EndpointStatus, str]:
        """A new endpoint, sent everything from the leaf `start` on (None: what comes from now on), and the
        secret that its messages are signed with. Raises MalformedTarget, ForbiddenTarget, TooManyWebhooks,
        MalformedRequest.
        """
        target = parse_target(url, self._internal_hosts)
        await check_name(target, self._lookup)
        async with self._changing:
            if len(await self._store.endpoints()) >= MAX_ENDPOINTS:
                raise TooManyWebhooks(
                    f"there are {MAX_ENDPOINTS} webhooks already: delete one that is not needed"
                )
            endpoint = Endpoint(
                endpoint_id=self._new_id("w_"),
                url=url,
                kinds=None if kinds is None else tuple(dict.fromkeys(kinds)),
                with_bodies=with_bodies,
                cursor=self._leaf(start),
                created_at=self._utc_now(),
            )
            secret = secrets.token_bytes(SECRET_SIZE_BYTES)
            await self._store.add(endpoint, secret)
            await self._start(endpoint)
        return await self.status(endpoint.endpoint_id), encode_secret(secret)

    async def statuses(self, endpoint_id: str | None = None) -> list[EndpointStatus]:
        """All endpoints, the oldest first, or one. Raises UnknownThing."""
        # Cursors first: what is read later is further, and nothing is told as settled that is not counted.
        size, cursors = self._log.size, {name: runner.cursor for name, runner in self._runners.items()}
        found = await self._store.statuses(endpoint_id)
        if endpoint_id is not None and not found:
            raise UnknownThing(UNKNOWN)
        statuses = []
        for endpoint, counts in found:
            cursor = cursors.get(endpoint.endpoint_id, endpoint.cursor)
            behind = max(0, size - cursor)
            statuses.append(EndpointStatus(endpoint=endpoint, cursor=cursor, behind=behind, counts=counts))
        return statuses

    async def status(self, endpoint_id: str) -> EndpointStatus:
        """Raises UnknownThing."""
        return (await self.statuses(endpoint_id))[0]

    async def remove(self, endpoint_id: str) -> None:
        """Nothing is sent there any more, and its letters are gone. Raises UnknownThing."""
        async with self._changing:
            await self._endpoint(endpoint_id)
            await self._end(endpoint_id)
            await self._store.remove(endpoint_id)

    async def replay(self, endpoint_id: str, start: int | None) -> EndpointStatus:
        """Everything from the leaf `start` on (None: from now on) is sent, again or not, and a disabled
        endpoint is open again. Raises UnknownThing, MalformedRequest.
        """
        async with self._changing:
            await self._endpoint(endpoint_id)
            leaf = self._leaf(start)
            await self._end(endpoint_id)
            await self._store.replay(endpoint_id, leaf)
            await self._start(await self._endpoint(endpoint_id))
        return await self.status(endpoint_id)

    async def dead_letters(self, endpoint_id: str, *, first: int, limit: int) -> list[Letter]:
        """Those from a leaf on, in the order of the log. Raises UnknownThing."""
        await self._endpoint(endpoint_id)
        return await self._store.dead(endpoint_id, first=first, limit=limit)

    async def send_again(self, endpoint_id: str, leaves: Sequence[int] | None) -> int:
        """Dead letters are sent again, these or all; returns how many.

        Raises UnknownThing, DisabledWebhook.
        """
        async with self._changing:
            endpoint = await self._endpoint(endpoint_id)
            if endpoint.disabled is not None:
                raise DisabledWebhook("this webhook is disabled: replay it, which opens it again")
            count = await self._store.revive(endpoint_id, leaves, now_at=self._utc_now())
            self._runners[endpoint_id].revive()
        return count

    async def forget(self, leaves: Sequence[int]) -> None:
        """What could not be delivered of these leaves is delivered no more: they were erased."""
        await self._store.drop(leaves)
        for runner in self._runners.values():
            runner.revive()  # counts anew

    async def close(self, *, grace_s: float) -> None:
        """Sends what the log holds, for `grace_s` at most, and keeps what came of it."""
        runners, self._runners = self._runners, {}
        await asyncio.gather(*(runner.stop(grace_s) for runner in runners.values()))
        self._names.close()
        await self._store.close()

    def _leaf(self, start: int | None) -> int:
        size = self._log.size
        if start is not None and start > size:
            raise MalformedRequest(f'from: the log has {size} leaves: a number from 0 to {size}, or "now"')
        return size if start is None else start

    async def _endpoint(self, endpoint_id: str) -> Endpoint:
        endpoint = await self._store.endpoint(endpoint_id)
        if endpoint is None:
            raise UnknownThing(UNKNOWN)
        return endpoint

    async def _start(self, endpoint: Endpoint) -> None:
        if endpoint.disabled is not None:
            return
        try:
            target = parse_target(endpoint.url, self._internal_hosts)
        except ServerError:  # the operator allows it no more: each attempt fails, and says so
            target = Target(url=endpoint.url, host="", port=0, internal=False)
        self._runners[endpoint.endpoint_id] = Runner(
            endpoint,
            target=target,
            secret=await self._store.secret(endpoint.endpoint_id),
            store=self._store,
            log=self._log,
            utc_now=self._utc_now,
            lookup=self._lookup,
            fates=self._fates,
            pace=self._pace,
        )

    async def _end(self, endpoint_id: str) -> None:
        if (runner := self._runners.pop(endpoint_id, None)) is not None:
            await runner.stop(0)


def encode_secret(secret: bytes) -> str:
    """As Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secret).decode()
