"""Attachments come in: announced in the log before, sent in pieces, looked at, settled in the log.

    attached {sha256} in the log ── begin ── receive, receive, … ── all is there
        ──> hashed ── looked at (media/attachments.py) ──> blobs ──> attachment_stored, by who announced it
                                                        └──────────> attachment_refused

An upload is known by its case, its person and the hash, so that who asks again finds it again; whoever asks
last has it, and an older request for it is ended: its connection may be long dead. What is whole is settled,
also by the next process; what is not is forgotten a day after it was last added to.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from media.attachments import Looked, look
from media.credentials import read_credentials
from media.credentials_protocol import CredentialFacts, carries_credentials
from media.errors import AttachmentRefused as LookRefused
from media.errors import CredentialsFailed
from server.background import Background
from server.cases import Case, Cases
from server.errors import (
    FailedStorage,
    IllegalAttachment,
    IllegalCrowd,
    IllegalOffset,
    IllegalPause,
    IllegalRequest,
    IllegalTakenOver,
    MalformedLength,
    MalformedPiece,
    ServerError,
    UnknownThing,
)
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, StoreError
from server.store.log import LogStore
from server.store.uploads import PIECE_BYTES, Upload, UploadKey, UploadStore
from server.stored import find_attachment, may_look
from server.tus import Checksum
from signaling.errors import SignalingError
from signaling.talk import (
    Announced,
    Attachment,
    AttachmentRefused,
    AttachmentStored,
    BroughtCredentials,
    RefuseAttachment,
    StoreAttachment,
)
from signaling.values import Actor, ActorId, Blob, SessionId, parse_time

LIFETIME = timedelta(hours=24)  # a phone that has no network for a night goes on in the morning
MAX_AT_ONCE = 16  # of one person: all of an entry, and some of the next
MAX_SETTLING = 2  # of all, one of a person: each holds the file, and a worker that may take 1.5 GiB
PAUSE_S = 60.0  # of a body that stops coming: far above what a tunnel takes
SWEEP_S = 600.0  # who waits a day may wait ten minutes more

Verdict = AttachmentStored | AttachmentRefused  # its number is set for each entry that it is about
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an upload is; `expires_at` is None once all is there."""

    offset_bytes: int
    size_bytes: int
    expires_at: datetime | None = None


class Body:
    """The body of a request, to be read until it ends, stops coming, or is ended from outside."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._timeout: asyncio.Timeout | None = None
        self._ended = False

    def end(self) -> None:
        """Whoever reads gets IllegalTakenOver, now or with the next chunk."""
        if not self._ended and self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())
        self._ended = True

    async def read(self) -> bytes:
        """The next bytes, none at the end. Raises IllegalTakenOver, IllegalPause, what the chunks raise."""
        try:
            if not self._ended:
                async with asyncio.timeout(PAUSE_S) as self._timeout:
                    return await anext(self._chunks, b"")
        except TimeoutError:
            if not self._ended:
                raise IllegalPause(f"nothing came for {PAUSE_S:g} s: ask for the offset and go on") from None
        finally:
            self._timeout = None
        raise IllegalTakenOver("a newer request goes on with this upload: ask for the offset")


class _Turn:
    """Who works with an upload: one at a time, the newest first of all."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.newest = 0  # the number of the user who came last
        self.body: Body | None = None


class Uploads:
    """`start`, any number of the others, `close`."""

    def __init__(
        self,
        *,
        store: UploadStore,
        blobs: BlobStore,
        log: LogStore,
        cases: Cases,
        background: Background,
        credential_roots: str,
        utc_now: Callable[[], datetime],
        new_id: Callable[[str], str],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._log = log
        self._cases = cases
        self._background = background
        self._credential_roots = credential_roots
        self._utc_now = utc_now
        self._new_id = new_id
        self._settlers = asyncio.Semaphore(MAX_SETTLING)
        self._turns: dict[UploadKey, _Turn] = {}
        self._settling: dict[UploadKey, asyncio.Task[None]] = {}
        # Whoever sends what takes long to look at holds up nobody but themselves.
        self._same_person: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        # One person's bytes and the same bytes of another: the second finds what the first has stored.
        self._same_bytes: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._fates: Counter[str] = Counter({"stored": 0, "refused": 0, "expired": 0})
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def fates(self) -> Mapping[str, int]:
        """What became of attachments and uploads."""
        return self._fates

    @property
    def unfinished(self) -> int:
        """How many are under way."""
        return len(self._store.all())

    def start(self) -> None:
        """From now on what is whole is settled, and what is too old forgotten."""
        self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="sweeper of uploads")

    async def close(self) -> None:
        """What is being settled goes on in the background."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    async def forget(self, case_id: str) -> None:
        """Nothing that was on its way to this case is kept."""
        for upload in self._store.all():
            if upload.key.case_id == case_id:
                await self._background.finish(self._store.drop(upload))

    # --- what people ask for ---

    async def begin(self, case: Case, actor: Actor, sha256: str, size_bytes: int) -> Progress:
        """An upload of what this person announced, new or gone on with; nothing is left to send of what the
        case has already. Raises IllegalAttachment, MalformedLength, IllegalCrowd, FailedStorage.
        """
        key = UploadKey(case_id=case.case_id, actor_id=actor.actor_id, sha256=sha256)
        async with self._turn(key):
            expected = _announced_size(case, key)
            if expected is None:
                raise IllegalAttachment("no entry of yours has an attachment of that hash: send that first")
            if size_bytes != expected:
                raise MalformedLength(f"{expected} bytes were announced, not {size_bytes}")
            if not _unsettled(case, key):
                if sha256 not in case.state.talk.originals:
                    raise IllegalAttachment("these bytes were refused, the log says why: attach them anew")
                return Progress(offset_bytes=expected, size_bytes=expected)
            if await self._settle_from_stored(case, key, actor):
                return Progress(offset_bytes=expected, size_bytes=expected)
            upload = await self._alive(case, key)
            if upload is None:
                if self._store.count_of(actor.actor_id) >= MAX_AT_ONCE:
                    raise IllegalCrowd(f"{MAX_AT_ONCE} uploads are under way: finish or delete one of them")
                try:
                    upload = await self._store.begin(key)
                except OSError as error:
                    raise _not_stored(error) from error
            return self._progress(case, upload, actor, expected)

    async def find(self, case: Case, actor: Actor, sha256: str) -> Progress:
        """How far it is. Raises UnknownThing."""
        key = UploadKey(case_id=case.case_id, actor_id=actor.actor_id, sha256=sha256)
        async with self._turn(key):
            size_bytes = _announced_size(case, key)
            if size_bytes is not None and not _unsettled(case, key) and sha256 in case.state.talk.originals:
                return Progress(offset_bytes=size_bytes, size_bytes=size_bytes)
            upload = await self._alive(case, key)
            if upload is None or size_bytes is None:
                raise _unknown()
            return self._progress(case, upload, actor, size_bytes)

    async def receive(
        self,
        case: Case,
        actor: Actor,
        sha256: str,
        *,
        offset_bytes: int,
        length_bytes: int | None,
        chunks: AsyncIterator[bytes],
        checksum: Checksum | None,
    ) -> Progress:
        """Goes on with an upload at its offset. What came is kept, whatever ends the body, if no checksum
        says what all of it must be. `length_bytes` is what the request says of its body.

        Raises UnknownThing, IllegalOffset, MalformedLength, MalformedPiece, IllegalTakenOver, IllegalPause,
        FailedStorage, and what the chunks raise.
        """
        key = UploadKey(case_id=case.case_id, actor_id=actor.actor_id, sha256=sha256)
        async with self._turn(key) as (turn, number):
            upload, size_bytes = await self._alive(case, key), _announced_size(case, key)
            if upload is None or size_bytes is None:
                raise _unknown()
            if offset_bytes != upload.offset_bytes:
                raise IllegalOffset(f"this upload goes on at {upload.offset_bytes}, not at {offset_bytes}")
            room = size_bytes - offset_bytes
            if length_bytes is not None and length_bytes > room:
                raise MalformedLength(f"{room} bytes are missing, not {length_bytes}")
            turn.body = Body(chunks)
            if number != turn.newest:  # somebody has come while this one waited
                turn.body.end()
            try:
                await self._take(upload, turn.body, room, checksum)
            finally:
                turn.body = None
                progress = self._progress(case, upload, actor, size_bytes)
            return progress

    async def remove(self, case: Case, actor: Actor, sha256: str) -> None:
        """Nothing more will come of it. Raises UnknownThing, and IllegalRequest if all has come."""
        key = UploadKey(case_id=case.case_id, actor_id=actor.actor_id, sha256=sha256)
        async with self._turn(key):
            upload, size_bytes = await self._alive(case, key), _announced_size(case, key)
            if upload is None or size_bytes is None:
                raise _unknown()
            if upload.offset_bytes >= size_bytes:
                raise IllegalRequest("all of it has come: it is being looked at")
            await self._background.finish(self._store.drop(upload))

    # --- pieces ---

    @asynccontextmanager
    async def _turn(self, key: UploadKey) -> AsyncIterator[tuple[_Turn, int]]:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        turn.newest += 1
        number = turn.newest
        if turn.body is not None:
            turn.body.end()
        try:
            async with turn.lock:
                yield turn, number
        finally:
            turn.users -= 1
            if not turn.users:
                self._turns.pop(key, None)

    async def _alive(self, case: Case, key: UploadKey) -> Upload | None:
        upload = self._store.find(key)
        if upload is None or not self._is_old(upload) or upload.offset_bytes == _announced_size(case, key):
            return upload
        await self._forget(upload)
        return None

    def _is_old(self, upload: Upload) -> bool:
        return upload.changed_at + LIFETIME <= self._utc_now()

    async def _forget(self, upload: Upload) -> None:
        self._fates["expired"] += 1
        await self._background.finish(self._store.drop(upload))

    def _progress(self, case: Case, upload: Upload, actor: Actor, size_bytes: int) -> Progress:
        offset_bytes = upload.offset_bytes
        if offset_bytes >= size_bytes:
            self._settle_soon(case, upload, actor)
            return Progress(offset_bytes=offset_bytes, size_bytes=size_bytes)
        expires_at = upload.changed_at + LIFETIME
        return Progress(offset_bytes=offset_bytes, size_bytes=size_bytes, expires_at=expires_at)

    async def _take(self, upload: Upload, body: Body, room: int, checksum: Checksum | None) -> None:
        keep = self._store.append if checksum is None else self._store.append_unchecked
        digest = None if checksum is None else hashlib.new(checksum.algorithm, usedforsecurity=False)
        await self._write(upload, self._store.forget_unchecked(upload))  # of a request that the disk failed
        waiting = bytearray()
        failure: BaseException | None = None
        while True:
            try:
                chunk = await body.read()
                room -= len(chunk)
                if room < 0:
                    raise MalformedLength("more bytes came than were announced")
            except (ServerError, ConnectionError, asyncio.CancelledError) as error:
                failure, chunk = error, b""  # also when the service stops
            if digest is not None:
                digest.update(chunk)
            waiting += chunk
            while len(waiting) >= PIECE_BYTES or (waiting and not chunk):
                await self._write(upload, keep(upload, bytes(waiting[:PIECE_BYTES])))
                del waiting[:PIECE_BYTES]
            if not chunk:
                break
        if checksum is not None and digest is not None:
            if failure is None and digest.digest() == checksum.digest:
                await self._write(upload, self._store.confirm(upload))
            else:
                await self._write(upload, self._store.forget_unchecked(upload))
                failure = failure or MalformedPiece("the bytes that came have another checksum: send again")
        if failure is not None:
            raise failure

    async def _write(self, upload: Upload, writing: Coroutine[None, None, None]) -> None:
        """To its end, whoever stops waiting for it."""
        try:
            await self._background.finish(writing)
        except OSError as error:
            raise _not_stored(error) from error
        except CorruptBlob as error:
            logger.error("a piece of an upload is damaged, it has to begin anew", exc_info=error)
            await self._background.finish(self._store.drop(upload))
            raise _unknown() from None

    # --- settling ---

    def _settle_soon(self, case: Case, upload: Upload, actor: Actor) -> None:
        key = upload.key
        if key not in self._settling:
            self._settling[key] = self._background.start(self._settle(case, upload, actor))
            self._settling[key].add_done_callback(lambda _: self._settling.pop(key))

    async def _settle(self, case: Case, upload: Upload, actor: Actor) -> None:
        key = upload.key
        person = self._same_person.setdefault((key.case_id, key.actor_id), asyncio.Lock())
        same_bytes = self._same_bytes.setdefault((key.case_id, key.sha256), asyncio.Lock())
        try:
            async with person, same_bytes, self._settlers:
                while _unsettled(case, upload.key):  # more may be announced meanwhile
                    await self._settle_all(case, upload, actor)
            await self._store.drop(upload)
        except CorruptBlob:
            logger.exception("an upload that is whole is damaged, it has to begin anew")
            await self._store.drop(upload)
        except (StoreError, SignalingError, OSError):
            logger.exception("an upload that is whole could not be settled: it will be tried again")

    async def _settle_all(self, case: Case, upload: Upload, actor: Actor) -> None:
        data = await self._store.read(upload)
        right = await asyncio.to_thread(_sha256, data) == upload.key.sha256
        verdicts: dict[str, Verdict] = {}
        for number, announced in _unsettled(case, upload.key):
            attachment = announced.attachment
            if not right:
                verdict: Verdict = _refused(attachment, "wrong_hash", "other bytes came than were announced")
            elif len(data) != attachment.size_bytes:
                verdict = _refused(attachment, "wrong_size", "more or fewer bytes came than were announced")
            else:
                if attachment.medium not in verdicts:
                    verdicts[attachment.medium] = await self._judge(case, attachment, data)
                verdict = verdicts[attachment.medium]
            await self._append(case, actor, number, verdict)

    async def _settle_from_stored(self, case: Case, key: UploadKey, actor: Actor) -> bool:
        """Settles what has the bytes of something that this person could look at; True if nothing is left."""
        stored = await find_attachment(self._log, case, key.sha256)
        if stored is None or not await may_look(self._log, case, stored, actor.role):
            return False
        for number, announced in _unsettled(case, key):
            if _is_like(stored, announced.attachment):
                await self._append(case, actor, number, stored)
        if _unsettled(case, key):
            return False
        if (upload := self._store.find(key)) is not None:
            await self._background.finish(self._store.drop(upload))
        return True

    async def _judge(self, case: Case, attachment: Attachment, data: bytes) -> Verdict:
        stored = await find_attachment(self._log, case, attachment.sha256)
        if stored is not None and _is_like(stored, attachment):
            return stored
        try:
            looked = await _look(data, attachment.medium)
        except LookRefused as refusal:
            return _refused(attachment, refusal.code, refusal.reason)
        facts = looked.facts
        credentials = None
        if attachment.medium == "photo" and carries_credentials(data):
            credentials = await _brought(data, facts.original_type, self._credential_roots)
        return AttachmentStored(
            number=1,
            sha256=attachment.sha256,
            original=await self._put(case, data, facts.original_type),
            shown=await self._put(case, looked.shown, facts.shown_type),
            width=facts.width,
            height=facts.height,
            duration_ms=facts.duration_ms,
            waveform=facts.waveform,
            credentials=credentials,
        )

    async def _put(self, case: Case, data: bytes, media_type: str) -> Blob:
        sha256 = await self._blobs.put(case.case_id, data)
        return Blob(sha256=sha256, size_bytes=len(data), media_type=media_type)

    async def _append(self, case: Case, actor: Actor, number: int, verdict: Verdict) -> None:
        fact: StoreAttachment | RefuseAttachment
        if isinstance(verdict, AttachmentStored):
            fate, fact = "stored", StoreAttachment(stored=replace(verdict, number=number))
        else:
            fate, fact = "refused", RefuseAttachment(refused=replace(verdict, number=number))
        decided = await case.handle(fact, actor)
        if decided.number is not None:  # else it was settled meanwhile
            self._fates[fate] += 1

    # --- what is left over ---

    async def _sweep_for_ever(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> None:
        """Settles what is whole, and forgets what is too old or what nobody waits for."""
        for upload in self._store.all():
            try:
                await self._sweep(upload)
            except Exception:
                logger.exception("an upload could not be swept")

    async def _sweep(self, upload: Upload) -> None:
        key = upload.key
        case = await self._cases.get(key.case_id)
        link = case.state.links.get(ActorId(key.actor_id))
        expected = _announced_size(case, key) if _unsettled(case, key) else None
        if link is not None and upload.offset_bytes == expected:
            actor_id, session_id = ActorId(key.actor_id), SessionId(self._new_id("s_"))
            self._settle_soon(case, upload, Actor(role=link.role, actor_id=actor_id, session_id=session_id))
        elif (expected is None or self._is_old(upload)) and key not in self._settling:
            async with self._turn(key):
                if not _unsettled(case, key) or self._is_old(upload):  # nobody has gone on meanwhile
                    await self._forget(upload)


async def _look(data: bytes, medium: str) -> Looked:
    """Raises the AttachmentRefused of media."""
    try:
        return await look(data, medium)
    except LookRefused as refusal:
        if refusal.code not in ("crashed", "timeout"):
            raise
    return await look(data, medium)  # who dies once may have been the machine's fault


async def _brought(data: bytes, media_type: str, roots: str) -> BroughtCredentials:
    """What the credentials in a photo are. They are no reason to refuse it, whatever they are."""
    try:
        facts = await read_credentials(data, media_type, roots)
    except CredentialsFailed as failure:
        logger.warning("content credentials of a photo could not be read: %s", failure.code)
        facts = CredentialFacts(standing="unreadable")
    return BroughtCredentials(
        standing=facts.standing,
        problem=facts.problem,
        signer=facts.signer,
        generator=facts.generator,
        source_types=facts.source_types,
        signed_at=None if facts.signed_at is None else parse_time(facts.signed_at),
    )


def _unsettled(case: Case, key: UploadKey) -> list[tuple[int, Announced]]:
    return case.state.talk.unsettled(ActorId(key.actor_id), key.sha256)


def _announced_size(case: Case, key: UploadKey) -> int | None:
    """What the oldest entry says that still waits for these bytes, or the oldest of all; None: no entry."""
    for _, announced in _unsettled(case, key):
        return announced.attachment.size_bytes
    for (_, sha256), announced in case.state.talk.announced.items():
        if sha256 == key.sha256 and announced.actor_id == key.actor_id:
            return announced.attachment.size_bytes
    return None


def _is_like(stored: AttachmentStored, attachment: Attachment) -> bool:
    medium = "photo" if stored.duration_ms is None else "voice"
    return medium == attachment.medium and stored.original.size_bytes == attachment.size_bytes


def _refused(attachment: Attachment, code: str, reason: str) -> AttachmentRefused:
    return AttachmentRefused(number=1, sha256=attachment.sha256, reason=code, message=reason)


def _unknown() -> UnknownThing:
    return UnknownThing("there is no such upload, or it has expired: begin it anew")


def _not_stored(error: OSError) -> FailedStorage:
    logger.error("an upload could not be written", exc_info=error)
    return FailedStorage("the service could not store that: ask for the offset and go on later")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
