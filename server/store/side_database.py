"""A SQLite file beside the log: what is kept there can be made again, or fetched again, from the log.

One thread reads and writes, in the order of the calls, each call one transaction. The file is for its owner
alone; what was committed survives a power failure, as in the log.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from server.store.errors import FailedAppend, IllegalOpen, StoreError
from server.store.keys import OWNER_ONLY, check_mode
from server.store.schema import BUSY_TIMEOUT_MS, DAMAGE, schema_version

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSchema:
    """What such a file is: the script that makes it, and sets `user_version` to `version`; what is done to
    files of older versions, by the version that they have, given the connection and the file's name.
    `corrupt` is raised for a file that is damaged, with the sentence `remedy`.
    """

    script: str
    version: int
    corrupt: type[StoreError]
    remedy: str
    upgrades: Mapping[int, Callable[[sqlite3.Connection, str], None]] = field(default_factory=dict)


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
    async def open(cls, path: Path, schema: SideSchema) -> "SideDatabase":
        """Open or make the file; raises IllegalOpen, and the schema's own error."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=path.stem)
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, connect, path, schema)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, connection, thread, schema.corrupt)

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


def connect(path: Path, schema: SideSchema) -> sqlite3.Connection:
    """The file, opened or made; raises IllegalOpen, and the schema's own error."""
    if not path.exists():
        # SQLite gives its WAL the mode of the database.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_ONLY))
    check_mode(path)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # as the log
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        found = schema_version(connection)
        if found == 0:
            connection.executescript(schema.script)
        elif found in schema.upgrades:
            schema.upgrades[found](connection, path.name)
            connection.execute(f"PRAGMA user_version = {schema.version}")
        elif found != schema.version:
            raise IllegalOpen(f"{path} has schema {found}: a newer Proofcall wrote it")
    except DAMAGE as error:
        connection.close()
        raise schema.corrupt(f"{path} cannot be opened: {error}. {schema.remedy}") from None
    except BaseException:
        connection.close()
        raise
    return connection
