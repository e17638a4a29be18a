"""The journal of calls on its way to the disk: from the relay's segments to blobs and entries.

    relay ── on_segment ──> queue, bounded in bytes ──> blob, durable ──> entry `segment_sealed`
                                │                          │
                                └── no room ──┐            └── the disk refuses ──┐
                                              └──────> entry `segment_lost` <─────┘

Nothing here stands in the way of forwarding: `on_segment` numbers the segment and puts it into the queue, and
what does not fit is dropped there and then. A lost piece is an entry, too, in its place, as soon as the log
takes it. The entries of one sender are written in the order in which their segments were cut.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from media.journal import RECORD_OVERHEAD_BYTES, Segment, encode_segment
from media.rtpdump import MEDIA_TYPE
from server.cases import Case
from server.evidence.entry import Entry
from server.store.blobs import BlobStore
from server.store.errors import FailedAppend, OverloadedLog, StoreError
from signaling.commands import LoseSegment, SealSegment
from signaling.entries import JournalSpan, SegmentLost, SegmentSealed, SegmentStream
from signaling.errors import MalformedEntry
from signaling.values import Actor, ActorId, Blob, SessionId, cut_to_milliseconds

# Of segments that wait for the disk, over all calls: a minute of ten people at 800 kbit/s.
MAX_WAITING_BYTES = 64 << 20
MAX_LANES = 4  # written side by side, for their syncs to overlap; pictures and packages need threads, too
# Written one after the other by one thread. More threads are for a backlog: they pass the interpreter among
# themselves, and the packets wait.
PIECES_A_LANE = 16
BEAT_S = 0.5  # what is cut within this goes together, and shares a commit of the log; nobody waits for it
# Beyond this many waiting pieces (an hour of ten people) a further loss of a sender lengthens their last one.
MAX_WAITING_PIECES = 10_000
RETRY_S = 1.0  # until the log is asked again that could not be written
DRAIN_S = 10.0  # what still waits at a stop has this long: 64 MiB on a slow disk
MAX_REMEMBERED = 128  # segments of a sender, for frames: two minutes at the least, of whole keyframes

Fate = Literal["sealed", "lost"]
logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Sender:
    """One person in one call: how far their segments are numbered, and when the newest of them were."""

    last: int
    stays: int = 0
    waiting: int = 0
    cut: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=MAX_REMEMBERED))


@dataclass(slots=True, kw_only=True, eq=False)
class Piece:
    """A segment on its way. `segment` is let go of as soon as its blob is durable, or it is lost."""

    case: Case
    actor: Actor
    sender: Sender
    size_bytes: int
    segment: Segment | None
    body: SegmentSealed | SegmentLost


class Recordings:
    """The writer of all journals. `close` after the last segment has come."""

    def __init__(self, *, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._senders: dict[tuple[str, int, ActorId], Sender] = {}
        self._queue: deque[Piece] = deque()
        self._busy: frozenset[Piece] = frozenset()
        self._waiting_bytes = 0
        self._fates: Counter[Fate] = Counter({"sealed": 0, "lost": 0})
        self._trouble: str | None = None
        self._woken = asyncio.Event()
        self._hurried = asyncio.Event()
        self._forgot = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._writing = asyncio.get_running_loop().create_task(self._keep_writing(), name="journal writer")

    # --- what the relay and the shutter ask ---

    def begin(self, case: Case, joined: Entry) -> Callable[[Segment], None]:
        """A person has joined: what their segments are to be given to."""
        actor, call_number = _actor(case, joined), joined.body["call_number"]
        assert isinstance(call_number, int)
        key = (case.case_id, call_number, actor.actor_id)
        if (sender := self._senders.get(key)) is None:
            last = case.state.segments.get((call_number, actor.actor_id), 0)
            sender = self._senders[key] = Sender(last=last)
        sender.stays += 1
        return partial(self._take, case, actor, call_number, sender)

    def end(self, case: Case, left: Entry) -> None:
        """They have left, and their last segment was given."""
        actor_id, call_number = ActorId(left.envelope.actor_id), left.body["call_number"]
        assert isinstance(call_number, int)
        if (sender := self._senders.get((case.case_id, call_number, actor_id))) is not None:
            sender.stays -= 1
            self._forget(case, actor_id, call_number, sender)

    def spans(self, case: Case, actor_id: ActorId) -> Callable[[float, float], JournalSpan | None]:
        """What to ask, even when the call is over, which segments hold what arrived from a person from one
        moment to another (monotonic), or will; None if that is not known any more, or they are not recorded.
        """
        call = case.state.call
        sender = self._senders.get((case.case_id, call.call_number, actor_id)) if call is not None else None
        if call is None or sender is None:
            return lambda first_arrived, last_arrived: None
        return partial(_span, call.call_number, sender)

    def is_writing(self, case_id: str, call_number: int, actor_id: ActorId) -> bool:
        """Whether more segments of that person in that call are to come."""
        return (case_id, call_number, actor_id) in self._senders

    async def settle(self, case_id: str) -> None:
        """Returns when nothing more comes of the people who are being recorded in this case now: they have
        left, and their last segment is in the log.
        """
        senders = [sender for key, sender in self._senders.items() if key[0] == case_id]
        while any(sender.stays or sender.waiting for sender in senders):
            await self._forgot.wait()

    # --- how it is ---

    @property
    def waiting_bytes(self) -> int:
        """How much waits for the disk."""
        return self._waiting_bytes

    @property
    def fates(self) -> Mapping[Fate, int]:
        """How many segments were sealed, how many lost."""
        return self._fates

    @property
    def trouble(self) -> str | None:
        """Why the newest segment could not be kept; None while all is well."""
        return self._trouble

    async def drain(self) -> None:
        """Waits until everything is written, but no longer than `DRAIN_S`."""
        self._hurried.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._emptied.wait()
        self._hurried.clear()
        if self._queue:
            logger.error("%d segments of the journal could not be written before the stop", len(self._queue))

    async def close(self) -> None:
        """Writes what waits, then ends."""
        await self.drain()
        self._writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._writing
        # The blobs were too slow, the log may not be: until it is stored, a piece's body says it is lost.
        await asyncio.gather(*(self._enter(group) for group in _by_case(tuple(self._queue))))

    # --- from the relay into the queue ---

    def _take(self, case: Case, actor: Actor, call_number: int, sender: Sender, segment: Segment) -> None:
        size_bytes = segment.size_bytes + len(segment.records) * RECORD_OVERHEAD_BYTES
        lost = self._waiting_bytes + size_bytes > MAX_WAITING_BYTES
        if lost:
            self._note_trouble("overloaded")
            if len(self._queue) >= MAX_WAITING_PIECES and self._lengthen_loss(sender, segment):
                return
        sender.last += 1
        sender.waiting += 1
        sender.cut.append((sender.last, segment.began, segment.ended))
        piece = Piece(
            case=case,
            actor=actor,
            sender=sender,
            size_bytes=0 if lost else size_bytes,
            segment=None if lost else segment,
            body=_lost(call_number, sender.last, segment, "overloaded"),
        )
        self._waiting_bytes += piece.size_bytes
        self._queue.append(piece)
        self._emptied.clear()
        self._woken.set()

    def _lengthen_loss(self, sender: Sender, segment: Segment) -> bool:
        """Whether the last waiting piece of this sender is a loss, which this one has become a part of."""
        piece = next((piece for piece in reversed(self._queue) if piece.sender is sender), None)
        if piece is None or piece in self._busy or piece.segment is not None:
            return False
        body = piece.body
        if not isinstance(body, SegmentLost):
            return False
        number, began, _ = sender.cut[-1]
        sender.cut[-1] = (number, began, segment.ended)
        piece.body = SegmentLost(
            call_number=body.call_number,
            segment=body.segment,
            began_at=body.began_at,
            ended_at=cut_to_milliseconds(segment.ended_at),
            packets=body.packets + segment.packets,
            reason=body.reason,
        )
        return True

    # --- from the queue to the disk ---

    async def _keep_writing(self) -> None:
        while True:
            await self._woken.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._hurried.wait()
            self._woken.clear()
            while self._queue:
                pieces = [self._queue[at] for at in range(min(MAX_LANES * PIECES_A_LANE, len(self._queue)))]
                self._busy = frozenset(pieces)
                whole = [piece for piece in pieces if piece.segment is not None]
                lanes = min(MAX_LANES, -(-len(whole) // PIECES_A_LANE))
                await asyncio.gather(*(self._store(whole[lane::lanes]) for lane in range(lanes)))
                written = await asyncio.gather(*(self._enter(group) for group in _by_case(pieces)))
                done = {piece for group in written for piece in group}
                for piece in done:
                    piece.sender.waiting -= 1
                    self._forget(piece.case, piece.actor.actor_id, piece.body.call_number, piece.sender)
                for _ in pieces:
                    self._queue.popleft()
                self._queue.extendleft(piece for piece in reversed(pieces) if piece not in done)
                self._busy = frozenset()
                if len(done) < len(pieces):
                    await asyncio.sleep(RETRY_S)
            self._emptied.set()

    async def _store(self, pieces: Sequence[Piece]) -> None:
        """Makes the blobs durable, or the pieces lost. Their memory is free in either case."""
        segments = [(piece.case.case_id, piece.segment) for piece in pieces]
        outcomes: Sequence[tuple[str, int] | Exception]
        try:
            outcomes = await asyncio.to_thread(self._put, segments)
        except RuntimeError as error:  # no thread is to be had: this passes, and the writer goes on
            outcomes = [OSError(f"nothing can be written now: {error}")] * len(pieces)
        for piece, outcome in zip(pieces, outcomes, strict=True):
            segment, lost = piece.segment, piece.body
            assert segment is not None
            self._waiting_bytes -= piece.size_bytes
            piece.size_bytes, piece.segment = 0, None
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                piece.body = _sealed(lost.call_number, lost.segment, segment, *outcome)
            except (OSError, StoreError) as error:
                piece.body = _lost(lost.call_number, lost.segment, segment, "not_stored")
                self._note_trouble("not_stored", error)
            except Exception as error:  # one sender's packets must not stop the journal of all others
                piece.body = _lost(lost.call_number, lost.segment, segment, "not_describable")
                self._note_trouble("not_describable", error)

    def _put(self, segments: Sequence[tuple[str, Segment | None]]) -> list[tuple[str, int] | Exception]:
        """In a thread: SHA-256 and size of each segment's blob, or why there is none."""
        outcomes: list[tuple[str, int] | Exception] = []
        for case_id, segment in segments:
            try:
                assert segment is not None
                data = encode_segment(segment)
                outcomes.append((self._blobs.put_now(case_id, data), len(data)))
            except Exception as error:
                outcomes.append(error)
        return outcomes

    async def _enter(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Writes the entries of pieces of one case, in order; returns those that need no further care."""
        done: list[Piece] = []
        for piece in pieces:
            try:
                await self._enter_one(piece)
            except (FailedAppend, OverloadedLog) as error:  # these pass, and concern all
                self._note_trouble(error.code, error)
                break  # the next ones of this case have to wait for it
            except Exception as error:  # one case's fault must not stop the journal of all others
                self._note_trouble("not_entered", error)
                self._fates["lost"] += 1
            done.append(piece)
        return done

    async def _enter_one(self, piece: Piece) -> None:
        body = piece.body
        if isinstance(body, SegmentSealed):
            try:
                await piece.case.handle(SealSegment(segment=body), piece.actor)
            except MalformedEntry as error:
                self._note_trouble("not_describable", error)
                body = SegmentLost(
                    call_number=body.call_number,
                    segment=body.segment,
                    began_at=body.began_at,
                    ended_at=body.ended_at,
                    packets=body.packets,
                    reason="not_describable",
                )
            else:
                self._fates["sealed"] += 1
                self._note_success()
                return
        await piece.case.handle(LoseSegment(segment=body), piece.actor)
        self._fates["lost"] += 1

    def _forget(self, case: Case, actor_id: ActorId, call_number: int, sender: Sender) -> None:
        if not sender.stays and not sender.waiting:
            self._senders.pop((case.case_id, call_number, actor_id), None)
            forgot, self._forgot = self._forgot, asyncio.Event()
            forgot.set()

    def _note_trouble(self, reason: str, error: Exception | None = None) -> None:
        """Told when it begins, not for each segment: a full disk would fill its own log."""
        if self._trouble is None:
            logger.error("calls go on, but their journal is not kept: %s", reason, exc_info=error)
        self._trouble = reason

    def _note_success(self) -> None:
        if self._trouble is None or self._waiting_bytes > MAX_WAITING_BYTES // 2:
            return  # others are being dropped behind this one
        logger.warning("segments of the journal are kept again")
        self._trouble = None


def _span(call_number: int, sender: Sender, first_arrived: float, last_arrived: float) -> JournalSpan | None:
    if len(sender.cut) == MAX_REMEMBERED and first_arrived < sender.cut[0][1]:
        return None
    # What is not in a segment by now is in the one that is being filled.
    first = next((number for number, _, ended in sender.cut if first_arrived <= ended), sender.last + 1)
    # Packets of one read arrive in one instant, and a cut may lie between them: then the later one, too.
    last = next((number for number, _, ended in sender.cut if last_arrived < ended), sender.last + 1)
    return JournalSpan(call_number=call_number, first_segment=first, last_segment=last)


def _actor(case: Case, joined: Entry) -> Actor:
    actor_id = ActorId(joined.envelope.actor_id)
    session_id = SessionId(joined.envelope.session_id)
    return Actor(role=case.state.links[actor_id].role, actor_id=actor_id, session_id=session_id)


def _by_case(pieces: Sequence[Piece]) -> list[list[Piece]]:
    groups: dict[str, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(piece.case.case_id, []).append(piece)
    return list(groups.values())


def _sealed(call_number: int, number: int, segment: Segment, sha256: str, size_bytes: int) -> SegmentSealed:
    return SegmentSealed(
        call_number=call_number,
        segment=number,
        blob=Blob(sha256=sha256, size_bytes=size_bytes, media_type=MEDIA_TYPE),
        began_at=cut_to_milliseconds(segment.began_at),
        ended_at=cut_to_milliseconds(segment.ended_at),
        packets=segment.packets,
        reason=segment.reason,
        streams=tuple(
            SegmentStream(
                ssrc=stream.ssrc,
                mid=stream.mid,
                media=stream.kind,
                codec=stream.codec_name,
                payload_type=stream.payload_type,
                clock_rate=stream.clock_rate,
                channels=stream.channels,
                parameters=stream.parameters,
                packets=stream.packets,
            )
            for stream in segment.streams
        ),
    )


def _lost(call_number: int, number: int, segment: Segment, reason: str) -> SegmentLost:
    return SegmentLost(
        call_number=call_number,
        segment=number,
        began_at=cut_to_milliseconds(segment.began_at),
        ended_at=cut_to_milliseconds(segment.ended_at),
        packets=segment.packets,
        reason=reason,
    )
