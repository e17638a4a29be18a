"""Looks at what people attach in worker processes: the driver beside `attachment_worker.py`.

    look(data, medium) ── pipe ──> worker, one a file ── pipe ──> facts, what is shown

Nothing that strangers sent is decoded in this process.
"""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass

from media.attachment_protocol import ANSWER, SEEN, AttachmentFacts, parse_facts, parse_refusal
from media.errors import AttachmentRefused

LOOK_TIMEOUT_S = 180.0  # the worker's own bound is 20 or 120 s of CPU, and the machine may have other work
DYING_S = 2.0  # between the end of its pipe and that of a worker
SLICE_BYTES = 64 << 10  # as much as a pipe holds: all at once would hold up the loop for 20 ms and more
MAX_SHOWN_BYTES = 64 << 20  # as much as the worker may write


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    facts: AttachmentFacts
    shown: bytes


async def look(data: bytes, medium: str, *, timeout_s: float = LOOK_TIMEOUT_S) -> Looked:
    """What the bytes of a photo or a voice note are. Raises AttachmentRefused, whose code says why; after
    `crashed` and `timeout` a second look may go well, after `too_costly` it will not.
    """
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media.attachment_worker", medium, stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(worker, data)
    except TimeoutError:
        raise AttachmentRefused("timeout", "looking at the file takes too long") from None
    except (asyncio.IncompleteReadError, ConnectionError):
        # It says nothing more because it dies: of what, is known in a moment, and not if it is killed first.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DYING_S):
                await worker.wait()
        if worker.returncode == -signal.SIGXCPU:
            raise AttachmentRefused("too_costly", "looking at the file takes too much work") from None
        raise AttachmentRefused("crashed", "the file cannot be read") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()  # it holds nothing that could be lost
        await worker.wait()


async def _ask(worker: Process, data: bytes) -> Looked:
    assert worker.stdin is not None and worker.stdout is not None
    for first in range(0, len(data), SLICE_BYTES):
        worker.stdin.write(data[first : first + SLICE_BYTES])
        await worker.stdin.drain()
    worker.stdin.close()
    kind, facts_size, shown_size = ANSWER.unpack(await worker.stdout.readexactly(ANSWER.size))
    facts = await worker.stdout.readexactly(facts_size)
    if kind != SEEN:
        raise AttachmentRefused(**parse_refusal(facts))
    if shown_size > MAX_SHOWN_BYTES:
        raise AttachmentRefused("crashed", "the file cannot be read")
    return Looked(facts=parse_facts(facts), shown=await worker.stdout.readexactly(shown_size))
