"""Content credentials of pictures (C2PA), in worker processes: the driver beside `credentials_worker.py`.

read(picture) ──────── pipe ──▶ worker ── pipe ──▶ facts
make(picture, order) ─ pipe ──▶ worker ── pipe ──▶ what to sign; then the copy
"""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from media.credentials_protocol import (
    COPY,
    FACTS,
    FRAME,
    MAX_TO_SIGN_BYTES,
    PICTURE,
    SIGNATURE,
    SIGNED_START,
    TO_SIGN,
    CredentialFacts,
    Order,
    encode_frame,
    encode_look,
    encode_order,
    parse_facts,
)
from media.errors import CredentialsFailed

TIMEOUT_S = 60.0  # it takes a quarter of a second, most of that to start; the machine may have other work
PICTURES_A_WORKER = 200  # copies take 2 s of its 20 s of CPU
SLICE_BYTES = 64 << 10  # as much as a pipe holds: all at once would hold up the loop
MAX_ANSWER_BYTES = 64 << 20  # more than any picture that comes in, with its credentials


class CredentialsWorker:
    """Reads credentials and makes copies, one after the other, by a process that is started for the first of
    them and anew after PICTURES_A_WORKER. Leaving its context ends the process.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._worker: Process | None = None
        self._done = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def read(self, picture: bytes, media_type: str, roots: str) -> CredentialFacts:
        """What the credentials of a picture are; `roots` are PEM certificates that count. Raises
        CredentialsFailed, after which another try may go well.
        """
        async with self._turn() as worker:
            await _tell(worker, encode_look(media_type, roots), encode_frame(PICTURE, picture))
            kind, content = await _receive(worker)
            if kind != FACTS:
                raise CredentialsFailed("crashed", "the worker answered with something else")
            return parse_facts(content)

    async def make(self, picture: bytes, order: Order, sign: Callable[[bytes], bytes]) -> bytes:
        """The picture with credentials. `sign` is asked once, in a thread, for a raw signature by the key of
        the order's certificates. Raises CredentialsFailed, and what `sign` raises.
        """
        async with self._turn() as worker:
            await _tell(worker, encode_order(order), encode_frame(PICTURE, picture))
            kind, content = await _receive(worker)
            if kind == TO_SIGN:
                # Whatever becomes of that process: the key signs claims of C2PA, and nothing else.
                if not content.startswith(SIGNED_START) or len(content) > MAX_TO_SIGN_BYTES:
                    raise CredentialsFailed("crashed", "the worker wants something else signed than a claim")
                await _tell(worker, encode_frame(SIGNATURE, await asyncio.to_thread(sign, content)))
                kind, content = await _receive(worker)
            if kind != COPY:
                raise CredentialsFailed("unmade", content[:500].decode(errors="replace"))
            return content

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Process]:
        if self._done >= PICTURES_A_WORKER:
            await self._end()
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._worker is None:
                    self._worker, self._done = await _start(), 0
                yield self._worker
        except BaseException as error:
            await self._end()  # what it says next would be an answer to this
            if isinstance(error, TimeoutError):
                raise CredentialsFailed("timeout", "content credentials take too long") from None
            if isinstance(error, asyncio.IncompleteReadError | ConnectionError):
                raise CredentialsFailed("crashed", "the worker for content credentials died") from None
            raise
        self._done += 1

    async def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()  # it holds nothing that could be lost
            await worker.wait()


async def read_credentials(
    picture: bytes, media_type: str, roots: str, *, timeout_s: float = TIMEOUT_S
) -> CredentialFacts:
    """As `CredentialsWorker.read`, by a process of its own: what a stranger's picture does ends with it."""
    async with CredentialsWorker(timeout_s=timeout_s) as worker:
        return await worker.read(picture, media_type, roots)


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media.credentials_worker", stdin=PIPE, stdout=PIPE
    )


async def _tell(worker: Process, *frames: bytes) -> None:
    assert worker.stdin is not None
    for frame in frames:
        for first in range(0, len(frame), SLICE_BYTES):
            worker.stdin.write(frame[first : first + SLICE_BYTES])
            await worker.stdin.drain()


async def _receive(worker: Process) -> tuple[int, bytes]:
    assert worker.stdout is not None
    kind, size = FRAME.unpack(await worker.stdout.readexactly(FRAME.size))
    if size > MAX_ANSWER_BYTES:
        raise CredentialsFailed("crashed", "the worker's answer is larger than any picture")
    return kind, await worker.stdout.readexactly(size)
