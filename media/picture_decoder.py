"""Decodes pictures in a worker process that is ready once woken: the driver beside `picture_worker.py`.

    decode(request) ── queue, bounded ──> one task ── pipe ──> worker ── pipe ──> Picture

One request at a time goes to the worker. A worker that dies or takes too long costs the request that it had
and is replaced at once; those in the queue wait for the new one. Where none comes up, each request is told.

A picture is not turned here: senders turn it themselves (why stands at `ACCEPTED_EXTENSIONS` in `sdp.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass

from media.errors import DecoderFailed
from media.picture_buffer import PictureRequest
from media.picture_protocol import ANSWER, CODECS, DECODED, REQUEST, encode_packets

DECODE_TIMEOUT_S = 5.0  # twenty times what the longest tail takes on a busy machine
START_TIMEOUT_S = 20.0  # loading the libraries takes half a second; a loaded machine may need many
MAX_WAITING = 16  # at a tenth of a second each, who comes later would wait longer than anyone holds still


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketSpan:
    """The RTP packets behind a picture: all from the first to the last, in order."""

    ssrc: int
    first_sequence_number: int
    last_sequence_number: int
    count: int
    sha256: str
    """Over each packet as it came out of SRTP, behind its length in 4 bytes, big-endian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    jpeg: bytes
    width: int
    height: int
    codec_name: str
    rtp_timestamp: int
    first_arrived: float
    arrived: float
    """Monotonic seconds when the oldest and the newest packet behind it had arrived: then it was whole."""
    packets: PacketSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    request: PictureRequest
    picture: asyncio.Future[Picture]


class PictureDecoder:
    """`wake` as soon as pictures may be wanted, any number of `decode`, `close`. All on one event loop."""

    def __init__(self, *, timeout_s: float = DECODE_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(MAX_WAITING)
        self._worker: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def wake(self) -> None:
        """The worker comes up, if it is not: loading its libraries takes longer than a picture may."""
        if self._task is None and not self._is_closed:
            self._task = asyncio.create_task(self._serve(), name="picture decoder")

    async def decode(self, request: PictureRequest) -> Picture:
        """The wanted picture. Raises DecoderFailed, whose code says what went wrong."""
        self.wake()
        if self._task is None or self._task.done():
            raise DecoderFailed("closed", "pictures are not decoded any more")
        if request.codec_name not in CODECS:
            raise DecoderFailed("undecodable", f"no decoder is at hand for {request.codec_name}")
        job = _Job(request=request, picture=asyncio.get_running_loop().create_future())
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            raise DecoderFailed("overloaded", f"{MAX_WAITING} pictures are already waiting") from None
        return await job.picture

    async def close(self) -> None:
        """Ends the worker. Whoever still waits for a picture gets DecoderFailed."""
        self._is_closed = True
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        while not self._jobs.empty():
            _fail(self._jobs.get_nowait(), DecoderFailed("closed", "pictures are not decoded any more"))
        await self._stop_worker()

    async def _serve(self) -> None:
        await self._prepare_worker()
        while True:
            job = await self._jobs.get()
            if job.picture.done():
                continue  # whoever asked is gone
            try:
                if self._worker is None or self._worker.returncode is not None:
                    self._worker = await _start_worker()  # it died while nobody needed it
                picture = await self._decode(job.request)
            except DecoderFailed as failure:
                _fail(job, failure)
                if failure.code != "undecodable":
                    await self._stop_worker()
                    await self._prepare_worker()
            except asyncio.CancelledError:
                _fail(job, DecoderFailed("closed", "pictures are not decoded any more"))
                raise
            else:
                if not job.picture.done():
                    job.picture.set_result(picture)

    async def _prepare_worker(self) -> None:
        with contextlib.suppress(DecoderFailed):  # the next request tries again, and is told
            self._worker = await _start_worker()

    async def _decode(self, request: PictureRequest) -> Picture:
        assert self._worker is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, width, height, digest, body = await _ask(self._worker, request)
        except TimeoutError:
            raise DecoderFailed("timeout", f"no picture within {self._timeout_s:g} s") from None
        except (asyncio.IncompleteReadError, OSError):
            raise DecoderFailed("crashed", "the decoder has crashed on this picture") from None
        if status != DECODED:
            raise DecoderFailed("undecodable", body.decode(errors="replace"))
        return Picture(
            jpeg=body,
            width=width,
            height=height,
            codec_name=request.codec_name,
            rtp_timestamp=request.rtp_timestamp,
            first_arrived=request.first_arrived,
            arrived=request.arrived,
            packets=PacketSpan(
                ssrc=request.ssrc,
                first_sequence_number=request.first_sequence_number,
                last_sequence_number=request.last_sequence_number,
                count=len(request.packets),
                sha256=digest.hex(),
            ),
        )

    async def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await _end(worker)


async def _start_worker() -> Process:
    try:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media.picture_worker", stdin=PIPE, stdout=PIPE
        )
    except OSError as error:
        raise DecoderFailed("crashed", f"the picture decoder does not start: {error}") from None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await _read_answer(worker)
    except (TimeoutError, asyncio.IncompleteReadError):
        await _end(worker)
        raise DecoderFailed("crashed", "the picture decoder does not start") from None
    except asyncio.CancelledError:
        await _end(worker)
        raise
    return worker


async def _end(worker: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.kill()  # it holds nothing that could be lost
    await worker.wait()


async def _ask(worker: Process, request: PictureRequest) -> tuple[int, int, int, bytes, bytes]:
    assert worker.stdin is not None
    packets = encode_packets(request.packets)
    codec = CODECS.index(request.codec_name)
    worker.stdin.write(REQUEST.pack(codec, len(packets)))
    worker.stdin.write(packets)
    await worker.stdin.drain()
    return await _read_answer(worker)


async def _read_answer(worker: Process) -> tuple[int, int, int, bytes, bytes]:
    assert worker.stdout is not None
    status, width, height, digest, size_bytes = ANSWER.unpack(await worker.stdout.readexactly(ANSWER.size))
    return status, width, height, digest, await worker.stdout.readexactly(size_bytes)


def _fail(job: _Job, failure: DecoderFailed) -> None:
    if not job.picture.done():
        job.picture.set_exception(failure)
