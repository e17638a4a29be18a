"""A process that writes blobs and entries until it is killed, and says on stdout what was acknowledged.

opening
entry <case_id> <number> <entry hash> <blob hash>
note <base64 of a published checkpoint>
"""

import asyncio
import base64
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from server.evidence.canonical import JsonObject
from server.evidence.entry import Draft
from server.store.blobs import BlobStore
from server.store.log import LogStore

WRITERS = 8


def say(*words: object) -> None:
    """One line, one write: it is either wholly in the pipe or not at all."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


async def write(log: LogStore, blobs: BlobStore, case_id: str) -> None:
    entries = await log.entries(case_id)
    number = len(entries)
    if number == 0:  # the key of a case is made with its first entry
        opening = Draft(
            kind="case_opened", case_id=case_id, role="integrator", actor_id="i", session_id="", body={}
        )
        await log.append([opening], expect_number=0)
        number = 1
    while True:
        blob = await blobs.put(case_id, os.urandom(2000))
        reference: JsonObject = {"sha256": blob, "size_bytes": 2000, "media_type": "image/jpeg"}
        draft = Draft(
            kind="frame_sealed",
            case_id=case_id,
            role="qa",
            actor_id="l_q",
            session_id="s_q",
            body={"blob": reference},
            command_id=f"k{number}",
        )
        (entry,) = await log.append([draft], expect_number=number)
        number = entry.envelope.number
        say("entry", case_id, number, entry.hash, blob)
        say("note", base64.b64encode(log.checkpoint.encode()).decode())


async def main(folder: Path) -> None:
    say("opening")
    log = await LogStore.open(
        folder, origin="proofcall.local/log", utc_now=lambda: datetime.now(UTC), token_bytes=os.urandom
    )
    blobs = await BlobStore.prepare(folder, log.keys)
    async with asyncio.TaskGroup() as tasks:
        for index in range(WRITERS):
            tasks.create_task(write(log, blobs, f"c_{index}"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
