"""Playback files of recordings: made when somebody asks, out of segments, and kept while there is room.

    segments of a part ── blobs ──> media/playback.py ── memory ──> derived/<case>/<name>, sealed

The name is a hash of the segments' hashes, the sender and the version of the format: the same segments make
the same file, and others another. Who asks while a file is being made waits for the same one.
"""

import asyncio
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from media.errors import PlaybackFailed
from media.journal import SegmentStream
from media.playback import PlaybackMaker, PlaybackRequest, PlaybackSegment
from media.playback_protocol import PlaybackFacts, parse_facts
from server.background import Background
from server.cases import ENTRIES_A_TURN, Case, as_case_entry
from server.errors import UnfinishedRecording, UnknownThing
from server.recorded import KINDS, Part, RecordedCall, recorded_calls
from server.recordings import Recordings
from server.store.blobs import BlobStore
from server.store.derived import DerivedStore
from server.store.errors import CorruptBlob, UnknownBlob
from server.store.log import LogStore
from server.store.sealed_file import SealedReader
from signaling.case import CaseEntry
from signaling.entries import SegmentSealed
from signaling.values import ActorId

FORMAT_VERSION = 1  # of the files: another number, and all are made anew
CHUNK_ENTRIES = 1_000  # read from the log at once: what a case of hours holds would fill the reader's turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """A file to be played, and what it is. Whoever has it closes `reader`."""

    facts: PlaybackFacts
    reader: SealedReader


class Playbacks:
    """Finds what is recorded, and makes files of it."""

    def __init__(
        self,
        *,
        log: LogStore,
        blobs: BlobStore,
        derived: DerivedStore,
        recordings: Recordings,
        background: Background,
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._derived = derived
        self._recordings = recordings
        self._background = background
        self._maker = PlaybackMaker()
        self._making: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def calls(self, case: Case) -> list[RecordedCall]:
        """What is recorded of the calls of a case."""
        found: list[CaseEntry] = []
        after, last_number = 0, case.state.last_number
        while after < last_number:
            entries = await self._log.entries(case.case_id, after=after, limit=CHUNK_ENTRIES)
            if not entries:
                break
            after = entries[-1].envelope.number
            for place, entry in enumerate(entries):
                if entry.envelope.kind in KINDS and not entry.is_erased:
                    found.append(as_case_entry(entry))
                if place % ENTRIES_A_TURN == 0:
                    await asyncio.sleep(0)
        return recorded_calls(found)

    async def find(self, case: Case, call_number: int, actor_id: str, number: int) -> Part:
        """A part that is complete and of which something was kept. Raises `UnknownThing`, and
        `UnfinishedRecording` while more of it is to come.
        """
        # Asked before the log is read: what is written meanwhile would be missing unnoticed.
        writing = self._recordings.is_writing(case.case_id, call_number, ActorId(actor_id))
        call = next((one for one in await self.calls(case) if one.call_number == call_number), None)
        if call is None:
            raise UnknownThing(f"this case has had no call {call_number}")
        part = call.part(actor_id, number)
        open_call = call.ended_at is None
        if (open_call or writing) and (part is None or call.is_last(part)):
            raise UnfinishedRecording("this is still being recorded: ask again when the call has ended")
        if part is None:
            raise UnknownThing("nothing is recorded of that person in that call, or not in so many parts")
        if not part.sealed:
            raise UnknownThing("all segments of this recording were lost: the log says when and why")
        return part

    async def open(self, case: Case, part: Part) -> Playback:
        """The file of a part, made if need be. Raises what the store and `PlaybackMaker` raise."""
        name = name_of(part)
        for _ in range(2):  # made a moment ago, a file may be evicted or found damaged: then once more
            playback = await self.reopen(case.case_id, name)
            if playback is not None:
                return playback
            await self._make_once(case.case_id, name, part)
        playback = await self.reopen(case.case_id, name)
        if playback is None:
            raise CorruptBlob("the file was made, and cannot be read")
        return playback

    async def reopen(self, case_id: str, name: str) -> Playback | None:
        """A file that was made, if it is still there."""
        facts = await self._derived.open(case_id, f"{name}.facts")
        if facts is None:
            return None
        try:
            text = await facts.read(0, facts.size_bytes)
        finally:
            facts.close()
        reader = await self._derived.open(case_id, name)
        return None if reader is None else Playback(facts=parse_facts(text), reader=reader)

    async def discard(self, case_id: str, name: str) -> None:
        """A file is damaged: it is made anew when somebody asks."""
        await self._derived.discard(case_id, name)

    async def settle(self, case_id: str) -> None:
        """Returns when no file of this case is being made that had been begun before."""
        making = [task for (owner, _), task in self._making.items() if owner == case_id]
        await asyncio.gather(*making, return_exceptions=True)

    async def _make_once(self, case_id: str, name: str, part: Part) -> None:
        key = (case_id, name)
        if key not in self._making:
            self._making[key] = self._background.start(self._make(case_id, name, part))
            self._making[key].add_done_callback(lambda _: self._making.pop(key))
        await asyncio.shield(self._making[key])

    async def _make(self, case_id: str, name: str, part: Part) -> None:
        request = PlaybackRequest(
            segments=self._segments(case_id, part),
            title=f"Proofcall {case_id}, call {part.call_number}, {part.role}, part {part.part}",
            comment=f"of {part.actor_id}, made from segments "
            + ", ".join(f"{body.segment} {body.blob.sha256}" for _, body in part.sealed),
            has_sound=part.has_sound,
        )
        # In memory: in the clear it never lies on a disk.
        with os.fdopen(os.memfd_create("playback", os.MFD_CLOEXEC), "w+b") as file:
            try:
                facts = await self._maker.make_playback(request, file.fileno())
            except PlaybackFailed as error:
                if error.code == "nothing_playable":
                    raise UnknownThing(f"nothing of this recording can be played: {error.reason}") from None
                raise
            file.seek(0)
            (await self._derived.put(case_id, name, file)).close()
        text = json.dumps(asdict(facts) | {"began_at": facts.began_at.isoformat()}).encode()
        (await self._derived.put(case_id, f"{name}.facts", io.BytesIO(text))).close()

    async def _segments(self, case_id: str, part: Part) -> AsyncIterator[PlaybackSegment]:
        for _, body in part.sealed:
            try:
                dump = await self._blobs.get(case_id, body.blob.sha256)
            except (CorruptBlob, UnknownBlob) as error:
                raise PlaybackFailed(
                    "damaged_segment", f"segment {body.segment} cannot be read: {error}"
                ) from error
            yield PlaybackSegment(
                number=body.segment,
                streams=_streams(body),
                dump=dump,
            )


def name_of(part: Part) -> str:
    """The name of the file that is made of a part."""
    made_of = [FORMAT_VERSION, part.actor_id, *(body.blob.sha256 for _, body in part.sealed)]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _streams(body: SegmentSealed) -> list[SegmentStream]:
    return [
        SegmentStream(
            ssrc=stream.ssrc,
            mid=stream.mid,
            kind=stream.media,
            codec_name=stream.codec,
            payload_type=stream.payload_type,
            clock_rate=stream.clock_rate,
            channels=stream.channels,
            parameters=stream.parameters,
            packets=stream.packets,
        )
        for stream in body.streams
    ]
