"""Witnesses at work: sends them the log's checkpoints and keeps what they sign, when `Witnessing` says so.

    the log grows, time passes ──> Witnessing ──> Submit ──> POST add-checkpoint ──> answer ──> Witnessing
                                              └─> Keep ────> attestations.db ──> the quorum? ──> `cosigned`

Nothing waits for a witness: entries are acknowledged, and checkpoints published, as if there were none. What
they sign comes after, and `cosigned` is the newest checkpoint with the quorum of the policy.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from server.errors import MalformedSetting
from server.evidence.attestation import Attestation, AttestationKind
from server.evidence.checkpoint import parse_key
from server.evidence.cosignature import open_cosignature
from server.evidence.errors import IllegalQuorum, MalformedCosignature
from server.evidence.policy import NONE, Log, Policy, Witness
from server.store.attestations import AttestationStore
from server.store.errors import StoreError, UnknownCheckpoint
from server.store.log import LogStore
from server.witness_messages import MAX_ANSWER_BYTES, Answer, Failed, encode_request, parse_answer
from server.witnessing import ALARMS, Keep, Output, Standing, Submit, Tell, Witnessing

TIMEOUT_S = 15.0  # of a request as a whole: a witness writes to its disk before it answers
RESTART_S = 30.0  # after our own disk refused

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint that the quorum of the policy has cosigned."""

    tree_size: int
    note: str  # as the log signed it
    lines: tuple[bytes, ...]  # the cosignatures, by name of their keys
    at: datetime  # the earliest time among them

    @property
    def cosigned_note(self) -> str:
        """The note with the cosignatures appended."""
        return self.note + b"".join(self.lines).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessStatus:
    """How one witness of the policy stands. `cosigned_size` 0: it has cosigned nothing as yet."""

    name: str
    key_name: str
    url: str
    standing: Standing
    words: str
    cosigned_size: int


class Witnesses:
    """The witnesses of the operator's policy; without a policy there are none, and nothing happens."""

    def __init__(self, *, log: LogStore, store: AttestationStore, policy: Policy | None) -> None:
        """Raises MalformedSetting for a policy that is about other logs, or names a witness without a URL."""
        self._log = log
        self._store = store
        self._policy = None if policy is None else _checked(policy, log.vkey)
        self._witnesses = {} if policy is None else {one.name: one for one in policy.witnesses}
        self._machine = Witnessing({name: one.key for name, one in self._witnesses.items()})
        self._cosigned: Cosigned | None = None
        self._cosigned_newer = asyncio.Event()
        # Bounded by what can be on its way: an answer of each witness, and one word of the log.
        self._answers: asyncio.Queue[tuple[str, Answer, str] | None] = asyncio.Queue(len(self._witnesses) + 1)
        self._running: asyncio.Task[None] | None = None
        self._hurried = False
        self.answers: Counter[str] = Counter()

    @property
    def cosigned(self) -> Cosigned | None:
        """The newest checkpoint with a quorum; None while there is none."""
        return self._cosigned

    @property
    def policy(self) -> Policy | None:
        """The policy for everyone: with this log in it, and without the addresses of the witnesses."""
        return self._policy

    @property
    def trouble(self) -> str | None:
        """What a witness has found to be wrong with the log itself, in words for the operator."""
        for status in self.statuses():
            if status.standing in ALARMS:
                return status.words
        return None

    def statuses(self) -> list[WitnessStatus]:
        """All, in the order of the policy."""
        statuses = []
        for name, witness in self._witnesses.items():
            standing, words, cosigned_size = self._machine.standing(name)
            statuses.append(
                WitnessStatus(
                    name=name,
                    key_name=witness.key.name,
                    url=str(witness.url),
                    standing=standing,
                    words=words,
                    cosigned_size=cosigned_size,
                )
            )
        return statuses

    async def cosigned_beyond(self, tree_size: int) -> Cosigned:
        """Waits until a checkpoint of more than `tree_size` leaves has a quorum."""
        while self._cosigned is None or self._cosigned.tree_size <= tree_size:
            await self._cosigned_newer.wait()
        return self._cosigned

    async def settle(self, tree_size: int, *, timeout_s: float) -> None:
        """Returns once the quorum has cosigned so many leaves, after `timeout_s`, or at once where those who
        do cosign are too few.
        """
        if self._policy is None or self._running is None:
            return
        willing = (Standing.COSIGNING, Standing.WAITING)
        keys = [self._witnesses[one.name].key for one in self.statuses() if one.standing in willing]
        with contextlib.suppress(TimeoutError, IllegalQuorum):
            self._policy.check(keys)
            self._hurried = True
            if not self._answers.full():  # a queue that is full is about to be read
                self._answers.put_nowait(None)
            async with asyncio.timeout(timeout_s):
                await self.cosigned_beyond(tree_size - 1)

    def start(self) -> None:
        """From now on witnesses are asked."""
        if self._witnesses:
            self._running = asyncio.get_running_loop().create_task(self._run(), name="witnesses")

    async def close(self) -> None:
        """Asks nobody any more. An answer that is lost is asked for again after the next start."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._ask()
            except Exception:
                logger.exception("the exchange with the witnesses broke off; it goes on in %d s", RESTART_S)
            await asyncio.sleep(RESTART_S)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        self._machine = Witnessing({name: one.key for name, one in self._witnesses.items()})
        while not self._answers.empty():  # left over from before our disk refused
            self._answers.get_nowait()
        size = self._log.size
        kept_size, kept_by = await self._kept(size)
        http = ClientSession(
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=TIMEOUT_S),
            headers={"User-Agent": "Proofcall-Witnesses/1"},
        )
        async with http, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(size))
            outputs = self._machine.begin(size, kept_size, kept_by, loop.time())
            while True:
                for output in outputs:
                    match output:
                        case Submit():
                            tasks.create_task(self._submit(http, output))
                        case Keep():
                            await self._keep(output)
                        case Tell():
                            _log_standing(output)
                        case _:
                            assert_never(output)
                outputs = await self._next()

    async def _watch(self, size: int) -> None:
        while True:
            await self._log.grown_beyond(size)
            size = self._log.size
            await self._answers.put(None)

    async def _next(self) -> list[Output]:
        """What follows from the next thing that happens."""
        loop = asyncio.get_running_loop()
        deadline = self._machine.next_deadline
        happened: tuple[str, Answer, str] | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                happened = await self._answers.get()
        outputs: list[Output] = []
        if self._hurried:
            self._hurried = False
            outputs += self._machine.handle_moment(self._log.size, loop.time())
        if happened is None:
            return outputs + self._machine.handle_log_size(self._log.size, loop.time())
        name, answer, note = happened
        self.answers[type(answer).__name__.lower()] += 1
        return outputs + self._machine.handle_answer(name, answer, note, loop.time())

    async def _submit(self, http: ClientSession, submit: Submit) -> None:
        note = ""
        try:
            note = await self._log.note(submit.tree_size)
            hashes = await self._log.consistency_proof(submit.old_size, submit.tree_size)
            answer = await self._post(
                http, self._witnesses[submit.witness], encode_request(submit.old_size, hashes, note)
            )
        except StoreError as error:
            answer = Failed(error=f"was not asked, because the log cannot be read: {error}")
        await self._answers.put((submit.witness, answer, note))

    async def _post(self, http: ClientSession, witness: Witness, body: bytes) -> Answer:
        try:
            async with http.post(
                f"{str(witness.url).rstrip('/')}/add-checkpoint", data=body, allow_redirects=False
            ) as answer:
                received = bytearray()
                async for piece in answer.content.iter_any():
                    received += piece
                    if len(received) > MAX_ANSWER_BYTES:
                        break
                return parse_answer(answer.status, answer.content_type, bytes(received))
        except TimeoutError:
            return Failed(error=f"gave no answer within {TIMEOUT_S:.0f} s")
        except (ClientError, OSError, ValueError) as failure:
            return Failed(error=f"cannot be reached: {str(failure) or type(failure).__name__}")

    async def _keep(self, keep: Keep) -> None:
        await self._store.add(
            Attestation(
                tree_size=keep.tree_size,
                kind=AttestationKind.COSIGNATURE,
                source=self._witnesses[keep.witness].key.name,
                data=keep.line,
                at=keep.at,
            )
        )
        await self._look_for_quorum(keep.tree_size)

    async def _kept(self, log_size: int) -> tuple[int, list[str]]:
        """Size of the newest checkpoint that anybody cosigned, and by whom; nothing of one that is gone."""
        newest = await self._store.newest(AttestationKind.COSIGNATURE)
        if newest is None or newest.tree_size > log_size:
            return 0, []
        return newest.tree_size, await self._look_for_quorum(newest.tree_size)

    async def _look_for_quorum(self, tree_size: int) -> list[str]:
        """Who has cosigned a checkpoint, by name in the policy; it is `cosigned` if that is a quorum."""
        assert self._policy is not None
        try:
            note = await self._log.note(tree_size)
        except UnknownCheckpoint:  # one of a log that was here before
            return []
        by_name: dict[str, Attestation] = {}
        for attestation in await self._store.of(tree_size):
            if attestation.kind is AttestationKind.COSIGNATURE:
                for name in self._who_signed(attestation, note):
                    by_name[name] = attestation
        try:
            self._policy.check([self._witnesses[name].key for name in by_name])
        except IllegalQuorum:
            return list(by_name)
        if by_name and (self._cosigned is None or tree_size >= self._cosigned.tree_size):
            self._cosigned = Cosigned(
                tree_size=tree_size,
                note=note,
                lines=tuple(by_name[name].data for name in sorted(by_name)),
                at=min(attestation.at for attestation in by_name.values()),
            )
            newer, self._cosigned_newer = self._cosigned_newer, asyncio.Event()
            newer.set()
        return list(by_name)

    def _who_signed(self, attestation: Attestation, note: str) -> list[str]:
        """The witness whose cosignature of this note it is; none if of another log or an older policy."""
        for name, witness in self._witnesses.items():
            if attestation.source == witness.key.name:
                with contextlib.suppress(MalformedCosignature):
                    open_cosignature(attestation.data, note, witness.key)
                    return [name]
        return []


def _checked(policy: Policy, vkey: str) -> Policy:
    """The policy as everyone may have it: with this log, without addresses. Raises MalformedSetting."""
    key = parse_key(vkey)
    try:
        policy.check_log(key)
    except IllegalQuorum:
        raise MalformedSetting(
            f"PROOFCALL_WITNESS_POLICY: its log lines name other logs than this one. Write 'log {vkey}', or "
            "leave them out"
        ) from None
    for witness in policy.witnesses:
        if witness.url is None or not witness.url.startswith(("http://", "https://")):
            raise MalformedSetting(
                f"PROOFCALL_WITNESS_POLICY: the witness {witness.name} has no URL to send checkpoints to. "
                "Write 'witness <name> <vkey> <url>', the submission prefix of C2SP tlog-witness"
            )
    if len({one.key.name for one in policy.witnesses}) != len(policy.witnesses):
        raise MalformedSetting(
            "PROOFCALL_WITNESS_POLICY: two witnesses sign under the same name; what they sign is kept by it"
        )
    if policy.quorum == NONE and policy.witnesses:
        logger.info(
            "the quorum of the witness policy is none: whoever answers first makes a cosigned checkpoint"
        )
    return Policy(
        logs=tuple(Log(key=log.key, url=None) for log in policy.logs) or (Log(key=key, url=None),),
        witnesses=tuple(Witness(name=one.name, key=one.key, url=None) for one in policy.witnesses),
        groups=policy.groups,
        quorum=policy.quorum,
    )


def _log_standing(tell: Tell) -> None:
    if tell.standing in ALARMS:
        logger.error(tell.words)
    elif tell.standing is Standing.COSIGNING:
        logger.info(tell.words)
    else:
        logger.warning(tell.words)
