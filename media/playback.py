"""Makes files that players know out of a recording's segments: the driver beside `playback_worker.py`.

    make_playback(request, output) ── one at a time ── pipe ──> worker, one a file ── pipe ──> PlaybackFacts

A segment is taken from the request when the worker has taken the one before it: neither process holds more
than some seconds of the recording. The file is written to a descriptor of the caller's, such as one of
`os.memfd_create`, so that nothing that was said lies on a disk in the clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass

from media.errors import PlaybackFailed
from media.journal import SegmentStream
from media.playback_protocol import (
    BEGIN,
    DUMP,
    END,
    HEAD,
    MADE,
    PlaybackFacts,
    encode_message,
    encode_segment_head,
    parse_facts,
)

SEGMENT_TIMEOUT_S = 10.0  # five seconds of recording take a tenth of one; loading the libraries half a second
FINISH_TIMEOUT_S = 60.0  # what is held back, and making room for the index: a second for a quarter of an hour
MAX_WAITING = 8  # at some seconds each, who comes later would give up before their turn


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackSegment:
    """One segment of the recording: its number, what its entry says of its streams, its bytes (rtpdump)."""

    number: int
    streams: Sequence[SegmentStream]
    dump: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackRequest:
    """One sender's segments in their order, of one codec for pictures; others' pictures are left out."""

    segments: AsyncIterable[PlaybackSegment]
    title: str
    comment: str
    """For the file's metadata: names case, call, sender and the segments that the file is made of."""
    has_sound: bool = True
    """Whether any of the segments names a stream of sound. If so the file has a track for it."""


class PlaybackMaker:
    """Makes one file at a time; a few may wait."""

    def __init__(
        self,
        *,
        segment_timeout_s: float = SEGMENT_TIMEOUT_S,
        finish_timeout_s: float = FINISH_TIMEOUT_S,
    ) -> None:
        self._segment_timeout_s = segment_timeout_s
        self._finish_timeout_s = finish_timeout_s
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def make_playback(self, request: PlaybackRequest, output: int) -> PlaybackFacts:
        """Write the file to the descriptor `output`, which must be seekable and empty. Raises PlaybackFailed,
        whose code says why, and whatever the segments raise; then `output` holds nothing of worth.
        """
        if self._waiting > MAX_WAITING:
            raise PlaybackFailed("overloaded", f"{MAX_WAITING} files are already waiting to be made")
        self._waiting += 1
        try:
            async with self._turn:
                worker = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "media.playback_worker",
                    str(output),
                    stdin=PIPE,
                    stdout=PIPE,
                    pass_fds=(output,),
                )
                try:
                    return await self._make(worker, request)
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        worker.kill()  # it holds nothing that could be lost
                    await worker.wait()
        finally:
            self._waiting -= 1

    async def _make(self, worker: Process, request: PlaybackRequest) -> PlaybackFacts:
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has answered, or is dead
                await self._feed(worker, request)
            async with asyncio.timeout(self._finish_timeout_s):
                assert worker.stdout is not None
                kind, size_bytes = HEAD.unpack(await worker.stdout.readexactly(HEAD.size))
                body = await worker.stdout.readexactly(size_bytes)
        except TimeoutError:
            raise PlaybackFailed("timeout", "the playback worker takes too long") from None
        except asyncio.IncompleteReadError:
            raise PlaybackFailed("crashed", "the playback worker has crashed on these segments") from None
        if kind != MADE:
            raise PlaybackFailed(**json.loads(body))
        return parse_facts(body)

    async def _feed(self, worker: Process, request: PlaybackRequest) -> None:
        """Returns when the worker has taken everything."""
        head = {"title": request.title, "comment": request.comment, "has_sound": request.has_sound}
        await self._send(worker, encode_message(BEGIN, head))
        async for segment in request.segments:
            await self._send(worker, encode_segment_head(segment.number, segment.streams))
            await self._send(worker, encode_message(DUMP, segment.dump))
        await self._send(worker, encode_message(END))

    async def _send(self, worker: Process, message: bytes) -> None:
        assert worker.stdin is not None
        worker.stdin.write(message)
        async with asyncio.timeout(self._segment_timeout_s):
            await worker.stdin.drain()
