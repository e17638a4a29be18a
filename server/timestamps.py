"""Time from outside: authorities stamp the log's checkpoints (RFC 3161), and nobody waits for them.

    a ruling, an export, ... ──┐
    the log grows, time passes ┼─> Stamping ── Ask ──> POST ──> checked ──> attestations.db
    an answer, or none ────────┘                        └─ fails: a log line, a figure, again later

Each authority has a task of its own: one that hangs holds up no other, and no call. What is kept was checked
as whoever opens a package will check it. A token that could not be had is missing there, and that is said.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout, DummyCookieJar
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from server.cases import Case
from server.evidence.attestation import Attestation, AttestationKind
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.entry import Entry
from server.evidence.errors import EvidenceError
from server.evidence.timestamp import MAX_TOKEN_BYTES, Timestamp, open_response
from server.stamping import Stamping
from server.store.attestations import AttestationStore
from server.store.errors import StoreError
from server.store.log import LogStore

TIMEOUT_S = 10.0  # of a request as a whole; public authorities answer within one second
MAX_ERROR_CHARACTERS = 200
CLOCK_WARNING = timedelta(seconds=60)  # a clock that is maintained is never so far from that of an authority
# What is stamped at once: what was decided, what was confirmed, and what leaves the house.
MOMENTS = frozenset({"exception_decided", "confirmed", "receipt_refused", "case_ended", "exported", "erased"})

logger = logging.getLogger(__name__)


class _Refused(Exception):
    """An answer that is no token; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityStatus:
    """How far an authority is. `behind`: leaves that it has not stamped. `failures` in a row; `error` of the
    last one, None if the last attempt succeeded. `ahead`: how much our clock was before theirs, to a second.
    """

    source: str
    tree_size: int
    stamped_at: datetime | None
    behind: int
    failures: int
    error: str | None
    next_attempt_at: datetime | None
    ahead: timedelta | None


class Timestamps:
    """All authorities. Made by `open`, which begins."""

    def __init__(self, authorities: Sequence["_Authority"], fates: Counter[str]) -> None:
        self._authorities = authorities
        self._fates = fates

    @classmethod
    async def open(
        cls,
        *,
        urls: Sequence[str],
        roots: Sequence[bytes],
        interval_s: float,
        log: LogStore,
        attestations: AttestationStore,
        utc_now: Callable[[], datetime],
    ) -> "Timestamps":
        """Goes on where the last process ended: what was written meanwhile is stamped at once."""
        fates = Counter({"stamped": 0, "failed": 0})
        authorities = []
        for url in urls:
            newest = await attestations.newest(AttestationKind.TIMESTAMP, name_of(url))
            authorities.append(
                _Authority(
                    url,
                    newest=newest,
                    roots=roots,
                    interval_s=interval_s,
                    log=log,
                    attestations=attestations,
                    utc_now=utc_now,
                    fates=fates,
                )
            )
        return cls(authorities, fates)

    @property
    def fates(self) -> Mapping[str, int]:
        """Attempts of this process."""
        return self._fates

    @property
    def trouble(self) -> str | None:
        """In a sentence, if an authority fails."""
        return "; ".join(f"{one.source}: {one.error}" for one in self.statuses() if one.failures) or None

    def statuses(self) -> list[AuthorityStatus]:
        """All, in the order of the setting."""
        return [authority.status() for authority in self._authorities]

    def observe(self, _: Case, entry: Entry) -> None:
        """An entry is on disk."""
        if entry.envelope.kind in MOMENTS:
            for authority in self._authorities:
                authority.hasten(entry.leaf_index + 1)

    async def settle(self, tree_size: int, *, timeout_s: float) -> None:
        """Returns once the authorities have stamped so many leaves, those that fail left out; after
        `timeout_s` in any case: what has no token then goes out without one.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(authority.settled(tree_size) for authority in self._authorities))

    async def close(self) -> None:
        """Asks no more; an answer that is on its way is not waited for."""
        await asyncio.gather(*(authority.close() for authority in self._authorities))


class _Authority:
    """One authority: the task that owns its requests."""

    def __init__(
        self,
        url: str,
        *,
        newest: Attestation | None,
        roots: Sequence[bytes],
        interval_s: float,
        log: LogStore,
        attestations: AttestationStore,
        utc_now: Callable[[], datetime],
        fates: Counter[str],
    ) -> None:
        self._url = url
        self._source = name_of(url)
        self._roots = tuple(roots)
        self._log = log
        self._attestations = attestations
        self._utc_now = utc_now
        self._fates = fates
        stamped_size = 0 if newest is None else newest.tree_size
        self._stamping = Stamping(stamped_size=stamped_size, log_size=log.size, interval_s=interval_s)
        self._stamped_at = None if newest is None else newest.at
        self._wished_size = 0
        self._error: str | None = None
        self._ahead: timedelta | None = None
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()  # another one after each outcome
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), name=f"time-stamps of {self._source}")

    def hasten(self, tree_size: int) -> None:
        """The first so many leaves are to be stamped soon."""
        self._wished_size = max(self._wished_size, tree_size)
        self._woken.set()

    async def settled(self, tree_size: int) -> None:
        """Returns once these leaves are stamped, or the last attempt has failed."""
        while self._stamping.stamped_size < tree_size and not self._stamping.failures:
            await self._settled.wait()

    def status(self) -> AuthorityStatus:
        stamping = self._stamping
        deadline = stamping.next_deadline
        wait_s = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        return AuthorityStatus(
            source=self._source,
            tree_size=stamping.stamped_size,
            stamped_at=self._stamped_at,
            behind=max(0, self._log.size - stamping.stamped_size),
            failures=stamping.failures,
            error=self._error,
            next_attempt_at=None if wait_s is None else self._utc_now() + timedelta(seconds=wait_s),
            ahead=self._ahead,
        )

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()  # its clock is time.monotonic, too
        stamping = self._stamping
        while True:
            self._woken.clear()
            asks = [
                *stamping.handle_log_size(self._log.size, loop.time()),
                *stamping.handle_moment(self._wished_size, loop.time()),
            ]
            if asks:
                await self._ask()
            elif (deadline := stamping.next_deadline) is None:
                await self._log.grown_beyond(stamping.stamped_size)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await self._woken.wait()

    async def _ask(self) -> None:
        """One attempt, and what came of it."""
        loop = asyncio.get_running_loop()
        note = self._log.checkpoint
        tree_size = parse_checkpoint(note).tree_size
        try:
            stamp = await self._stamp(note, tree_size)
        except Exception as failure:
            if not isinstance(failure, _FORESEEN):
                logger.exception("asking %s for a time-stamp failed", self._source)
            self._fates["failed"] += 1
            self._error = _sentence(failure)
            self._stamping.handle_failed(random.random(), loop.time())
            delay_s = (self._stamping.next_deadline or 0.0) - loop.time()
            logger.warning(
                "no time-stamp of %d entries from %s: %s; it is asked again in %d s",
                *(tree_size, self._source, self._error, delay_s),
            )
        else:
            self._fates["stamped"] += 1
            if self._stamping.failures:
                logger.info("%s stamps again: %d entries", self._source, tree_size)
            self._error = None
            self._stamped_at = stamp.at
            self._stamping.handle_stamped(tree_size, loop.time())
        self._settled.set()
        self._settled = asyncio.Event()

    async def _stamp(self, note: str, tree_size: int) -> Timestamp:
        """A token of this checkpoint, checked and kept. Raises what can be wrong."""
        data = note.encode()
        request = TimestampRequestBuilder(data=data, hash_algorithm=HashAlgorithm.SHA256).build()
        assert request.nonce is not None  # the builder's default
        body = await self._post(request.as_bytes())
        token, stamp = await asyncio.to_thread(
            open_response, body, data, nonce=request.nonce, roots=self._roots
        )
        self._compare(stamp)
        await self._attestations.add(
            Attestation(
                tree_size=tree_size,
                kind=AttestationKind.TIMESTAMP,
                source=self._source,
                data=token,
                at=stamp.at,
            )
        )
        return stamp

    async def _post(self, query: bytes) -> bytes:
        """RFC 3161 section 3.4: the request as it is, by POST; the answer likewise."""
        headers = {"Content-Type": "application/timestamp-query", "User-Agent": "Proofcall/1"}
        async with (
            # No connection is kept between two requests, which are minutes apart; no proxy, no cookie.
            ClientSession(cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=TIMEOUT_S)) as http,
            http.post(self._url, data=query, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise _Refused(f"{answer.status} {answer.reason}")
            body = b""
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > MAX_TOKEN_BYTES:
                    raise _Refused(f"the answer has more than {MAX_TOKEN_BYTES} bytes")
            return body

    def _compare(self, stamp: Timestamp) -> None:
        """The authority's clock and ours: two witnesses of the same moment."""
        self._ahead = self._utc_now() - stamp.at
        if abs(self._ahead) > CLOCK_WARNING:
            logger.warning(
                "the clock of this machine is %d s ahead of that of %s: one of them is wrong",
                *(self._ahead.total_seconds(), self._source),
            )


_FORESEEN = (_Refused, EvidenceError, StoreError, TimeoutError, ClientError, OSError, ValueError)


def name_of(url: str) -> str:
    """What the tokens of an authority are filed under: its URL without the scheme."""
    return url.partition("://")[2]


def _sentence(failure: Exception) -> str:
    """One line without control characters."""
    match failure:
        case TimeoutError():
            text = f"no answer within {TIMEOUT_S:.0f} s"
        case ClientResponseError():  # its message quotes what came
            text = "what came is no answer in HTTP"
        case _:
            text = str(failure) or type(failure).__name__
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean[:MAX_ERROR_CHARACTERS].strip()
