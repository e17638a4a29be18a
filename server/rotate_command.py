"""`proofcall rotate log-key|wrap-key [DATA_DIR]`: another key takes the place of one, told by an entry.

While the service is stopped: it has the folder for itself. Cut off at any moment, the key is the old one or
the new one; a second try, or the next start of the service, finishes what was begun. Exit status 0, or 2 if
the folder cannot be opened or written.
"""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from server.data_dir_argument import add_data_dir, parse, setting
from server.store.errors import IllegalOpen, StoreError
from server.store.log import LogStore

EXIT_ROTATED = 0
EXIT_FAILED = 2  # also what argparse exits with
ORIGIN = "PROOFCALL_LOG_ORIGIN"
LOG_KEY_SAID = """The log is signed by a new key from now on:
{new}
and no more by
{old}
Give the new one to the witnesses before the service starts, and to whoever kept the old one.
"""
WRAP_KEY_SAID = """The keys of the cases are wrapped by the new wrap.key {new}. Back it up apart from the log.
A backup of the log of before still wants the key {old}, which is not here any more.
"""


def run(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Rotate, say what to do next, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="proofcall rotate", description="Replace a key by a new one, while the service is stopped."
    )
    parser.add_argument("key", choices=("log-key", "wrap-key"), help="what signs the log, or wraps its keys")
    add_data_dir(parser, environment)
    arguments = parse(parser, argv)
    if isinstance(arguments, int):
        return arguments
    try:
        said = asyncio.run(rotate(arguments.key, arguments.data_dir, setting(environment, ORIGIN)))
    except (StoreError, OSError) as error:
        sys.stderr.write(f"proofcall rotate: {error}\n")
        return EXIT_FAILED
    sys.stdout.write(said)
    return EXIT_ROTATED


async def rotate(key: str, data_dir: Path, origin: str) -> str:
    """Rotate a key of a folder that nobody else has open; returns what is to be told. Raises StoreError."""
    if not (data_dir / "log.sqlite").exists():
        raise IllegalOpen(f"there is no log in {data_dir}")
    log = await _open(data_dir, origin)
    try:
        if key == "log-key":
            said = LOG_KEY_SAID.format(old=log.vkey, new=await log.rotate_log_key())
        else:
            said = WRAP_KEY_SAID.format(old=log.keys.wrapper.key_id, new=await log.rotate_wrap_key())
    finally:
        await log.close()
    await (await _open(data_dir, origin)).close()  # an opening takes the new key up
    return said


async def _open(data_dir: Path, origin: str) -> LogStore:
    return await LogStore.open(
        data_dir, origin=origin, utc_now=lambda: datetime.now(UTC), token_bytes=secrets.token_bytes
    )
