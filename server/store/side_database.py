"""A SQLite file beside the log: what is kept there can be made again, or fetched again, from the log.

One thread reads and writes, in the order of the calls, each call one transaction. The file is for its owner
alone; what was committed survives a power failure, as in the log.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from server.store.errors import FailedAppend, IllegalOpen, StoreError
from server.store.keys import OWNER_ONLY, check_mode
from server.store.schema import BUSY_TIMEOUT_MS, DAMAGE, schema_version

T = TypeVar("T")


class SideDatabase:
    """The database of a data folder that is locked by this process. Made by `open`."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        thread: ThreadPoolExecutor,
        corrupt: type[StoreError],
    ) -> None:
        self.connection = connection  # for functions that `do` runs, and for no one else
        self._name = path.name
        self._thread = thread
        self._corrupt = corrupt

    @classmethod
    async def open(
        cls, path: Path, *, schema: str, version: int, corrupt: type[StoreError], remedy: str
    ) -> "SideDatabase":
        """Open the file, or make it by the script `schema`, which sets `user_version` to `version`.

        Raises IllegalOpen, and `corrupt` with the sentence `remedy` for a file that is damaged.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=path.stem)
        try:
            connection = await asyncio.get_running_loop().run_in_executor(
                thread, _connect, path, schema, version, corrupt, remedy
            )
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, connection, thread, corrupt)

    async def do(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function in the thread, in a transaction: all of it or nothing.

        Raises FailedAppend where the disk refuses, and the error for a damaged file.
        """

        def work() -> T:
            with self.connection:
                return function(*arguments)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.OperationalError as error:  # the disk, not what lies on it
            raise FailedAppend(f"{self._name} cannot be written or read: {error}") from None
        except DAMAGE as error:
            raise self._corrupt(f"{self._name} is damaged: {error}") from None

    async def close(self) -> None:
        """Does what was asked for before, then lets go of the file."""
        await asyncio.to_thread(self._thread.submit(self.connection.close).result)
        self._thread.shutdown()


def _connect(
    path: Path, schema: str, version: int, corrupt: type[StoreError], remedy: str
) -> sqlite3.Connection:
    if not path.exists():
        # SQLite gives its WAL the mode of the database.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_ONLY))
    check_mode(path)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        found = schema_version(connection)
        if found == 0:
            connection.executescript(schema)
        elif found != version:
            raise IllegalOpen(f"{path} has schema {found}: a newer Proofcall wrote it")
    except DAMAGE as error:
        connection.close()
        raise corrupt(f"{path} cannot be opened: {error}. {remedy}") from None
    except BaseException:
        connection.close()
        raise
    return connection
