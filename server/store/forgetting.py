"""The files of what was erased, removed from the disk. The log has let go of bodies, salts and keys by then.

    one transaction:  erased appended, `sealed` emptied, the case's key replaced, blobs doomed
                      and the erasure noted (`entry/<number>` among the doomed) until nothing is left of it
    then, and again at each start:
        blobs/c_7Q…/   derived/c_7Q…/   uploads/c_7Q…/       of a case that was erased whole
        blobs/c_7Q…/3fa0…                                    that were doomed; and derived/c_7Q…/, made anew
        log.sqlite-wal                                       copied into the database and cut to nothing

Before a sealed file is removed its header is written over: with its salt the key of the file is gone, too, on
a disk that writes in place. What an SSD, a file system with snapshots or a backup keeps is out of reach here.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from server.store.blobs import blob_path
from server.store.keys import sync_folder
from server.store.schema import BUSY_TIMEOUT_MS, connect_writer, truncate_wal
from server.store.sealing import HEADER_SIZE_BYTES

READERS_TIMEOUT_MS = 100  # nobody writes while a checkpoint waits for readers: better soon again than long
FOLDERS = ("blobs", "derived", "uploads")
NOTE = "entry/"  # among the doomed hashes: the erasure by the entry of this number has not come to its end


def finish_erasure(path: Path, case_id: str, *, is_last: bool) -> bool:
    """Remove what an erasure of this case has left beside the log `path`. False if somebody still reads the
    log as it was before, so that its old bytes are on the disk: call it again. May fail as a disk does.

    `is_last`: nothing else is left of it anywhere, so that the next start need not look.
    """
    connection = connect_writer(path)
    try:
        noted = _doomed(connection, case_id, notes=True)
        query = "SELECT erased_by FROM case_keys WHERE case_id = ? AND erased_by IS NOT NULL"
        if connection.execute(query, (case_id,)).fetchone():
            remove_case(path.parent, case_id)
        else:
            remove_doomed(connection, path.parent, case_id)
            remove_derived(path.parent, case_id)
        connection.execute(f"PRAGMA busy_timeout = {READERS_TIMEOUT_MS}")
        if not truncate_wal(connection):
            return False
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if is_last:
            _forget_doomed(connection, noted)
        return True
    finally:
        connection.close()


def finish_erasures(connection: sqlite3.Connection, data_dir: Path) -> None:
    """Remove what earlier erasures have left; by who has the folder locked and nothing of it open. What was
    noted stays so, for `unfinished_erasures`.
    """
    for (case_id,) in connection.execute("SELECT case_id FROM case_keys WHERE erased_by IS NOT NULL"):
        remove_case(data_dir, case_id)
    for case_id in unfinished_erasures(connection):
        remove_derived(data_dir, case_id)
    remove_doomed(connection, data_dir)
    truncate_wal(connection)


def unfinished_erasures(connection: sqlite3.Connection) -> list[str]:
    """The cases of which something may be left that was erased."""
    return sorted({case_id for case_id, _ in _doomed(connection, None, notes=True)})


def remove_case(data_dir: Path, case_id: str) -> None:
    """All files of a case; those that are not there are gone already."""
    for folder in FOLDERS:
        _remove_tree(data_dir / folder / case_id)


def remove_derived(data_dir: Path, case_id: str) -> None:
    """The files that were made of a case: some of them of what was erased."""
    _remove_tree(data_dir / "derived" / case_id)


def remove_doomed(connection: sqlite3.Connection, data_dir: Path, case_id: str | None = None) -> None:
    """The blobs that were erased with some entries, of this case or of all."""
    doomed = _doomed(connection, case_id, notes=False)
    for owner in {owner for owner, _ in doomed}:
        remove_derived(data_dir, owner)
    _remove_files(blob_path(data_dir / "blobs", owner, sha256) for owner, sha256 in doomed)
    _forget_doomed(connection, doomed)


def _doomed(connection: sqlite3.Connection, case_id: str | None, *, notes: bool) -> list[tuple[str, str]]:
    query = "SELECT case_id, sha256 FROM doomed_blobs WHERE (?1 IS NULL OR case_id = ?1)"
    found: list[tuple[str, str]] = connection.execute(query, (case_id,)).fetchall()
    return [row for row in found if row[1].startswith(NOTE) == notes]


def _forget_doomed(connection: sqlite3.Connection, doomed: list[tuple[str, str]]) -> None:
    """In one transaction: with one for each, whoever appends to the log would wait for thousands of them."""
    if not doomed:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("DELETE FROM doomed_blobs WHERE case_id = ? AND sha256 = ?", doomed)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _remove_tree(folder: Path) -> None:
    if folder.is_dir():
        _remove_files(path for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)  # what somebody adds meanwhile, the next start removes
        sync_folder(folder.parent)


def _remove_files(paths: Iterable[Path]) -> None:
    folders = set()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            _write_over(path)
            path.unlink()
            folders.add(path.parent)
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            sync_folder(folder)


def _write_over(path: Path) -> None:
    """Magic and salt of a sealed file are zeros."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, bytes(HEADER_SIZE_BYTES), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
