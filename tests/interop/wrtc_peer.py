"""`@roamhq/wrtc` (libwebrtc in Node) as a participant: the driver of `wrtc_peer.mjs`."""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Scene
from tests.interop.seen import Colour, Seen

SCRIPT = Path(__file__).with_suffix(".mjs")
LIBRARY = SCRIPT.parents[2] / "web" / "node_modules" / "@roamhq" / "wrtc"


@asynccontextmanager
async def wrtc_peer(scene: Scene, token: str, colour: Colour) -> AsyncIterator[Seen]:
    """Connected media of the link's person until the block ends; what is seen there counts up."""
    node = shutil.which("node")
    if node is None or not LIBRARY.is_dir():
        pytest.skip("Node or web/node_modules is missing (`cd web && npm ci`)")
    process = await asyncio.create_subprocess_exec(
        node,
        str(SCRIPT),
        f"{scene.caller.url}/api/cases/{scene.case_id}/media",
        token,
        *map(str, colour),
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    seen = Seen()
    watching = asyncio.create_task(_watch(process.stdout, seen))
    try:
        yield seen
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await watching


async def _watch(reports: asyncio.StreamReader, seen: Seen) -> None:
    while line := await reports.readline():
        report = json.loads(line)
        seen.pictures, seen.sound = report["pictures"], report["sound"]
        red, green, blue = report["colour"] or (0, 0, 0)
        seen.colour = (red, green, blue)
