"""The keys of the cases: random, wrapped in the table `case_keys`, unwrapped for who seals and opens.

A case that was erased has another key than before, for what is still said of it; no file is sealed with that.

Any thread may ask. A key that the writer makes is in the table with the first entry of its case or not at
all; it is found here once that is committed.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from server.store.errors import CorruptLog, ErasedCase, IllegalOpen, MalformedSeal, UnknownCaseKey
from server.store.keys import KeyWrapper
from server.store.schema import DAMAGE, connect_reader
from server.store.sealing import KEY_SIZE_BYTES, CaseSeal

SealOf: TypeAlias = Callable[[str], CaseSeal]  # raises UnknownCaseKey, CorruptLog, IllegalOpen
MAX_SEALS = 4096  # unwrapped keys that are kept; a seal is about 3 KiB, and 10 us to make again


class CaseKeys:
    """Keys of cases, from the table and by a wrapper. Made and closed with the log."""

    def __init__(self, path: Path, wrapper: KeyWrapper, token_bytes: Callable[[int], bytes]) -> None:
        self._connection = connect_reader(path)
        self._wrapper = wrapper
        self._token_bytes = token_bytes
        self._seals: OrderedDict[str, tuple[CaseSeal, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, case_id: str) -> CaseSeal:
        """The seal of a case; raises UnknownCaseKey for a case without entries, CorruptLog for a bad key."""
        return self._find(case_id)[0]

    def get_for_files(self, case_id: str) -> CaseSeal:
        """The seal of a case for its files; raises ErasedCase besides."""
        seal, is_erased = self._find(case_id)
        if is_erased:
            raise ErasedCase(f"case {case_id} was erased: there are no files of it")
        return seal

    def forget(self, case_id: str) -> None:
        """The key of this case is another one: it is read anew."""
        with self._lock:
            self._seals.pop(case_id, None)

    def make(self, case_id: str) -> tuple[CaseSeal, tuple[str, str, bytes]]:
        """A new key for a case, and its row for `INSERT_KEY`: nobody knows of it before it is committed."""
        return make_key(case_id, self._wrapper, self._token_bytes)

    def rewrap(self, connection: sqlite3.Connection, wrapper: KeyWrapper) -> None:
        """Wrap the key of every case by another wrapper, in the transaction of this connection.

        Raises MalformedSeal for a key that does not open. Once it is committed, these keys are to be closed.
        """
        rows = connection.execute("SELECT case_id, wrapped FROM case_keys").fetchall()
        for case_id, wrapped in rows:
            context = case_id.encode()
            value = wrapper.wrap(self._wrapper.unwrap(wrapped, context), context)
            connection.execute(
                "UPDATE case_keys SET key_id = ?, wrapped = ? WHERE case_id = ?",
                (wrapper.key_id, value, case_id),
            )

    def _find(self, case_id: str) -> tuple[CaseSeal, bool]:
        with self._lock:
            if case_id in self._seals:
                self._seals.move_to_end(case_id)
                return self._seals[case_id]
            found = self._seals[case_id] = _read(self._connection, self._wrapper, case_id)
            if len(self._seals) > MAX_SEALS:
                self._seals.popitem(last=False)
            return found

    @property
    def wrapper(self) -> KeyWrapper:
        """What wraps them, for what else is kept in this folder."""
        return self._wrapper

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def make_key(
    case_id: str, wrapper: KeyWrapper, token_bytes: Callable[[int], bytes]
) -> tuple[CaseSeal, tuple[str, str, bytes]]:
    """A new key for a case: its seal, and its row for `INSERT_KEY`."""
    key = token_bytes(KEY_SIZE_BYTES)
    return CaseSeal(case_id, key), (case_id, wrapper.key_id, wrapper.wrap(key, case_id.encode()))


def read_seal(connection: sqlite3.Connection, wrapper: KeyWrapper, case_id: str) -> CaseSeal:
    """The seal of a case from its row; raises UnknownCaseKey, CorruptLog, IllegalOpen."""
    return _read(connection, wrapper, case_id)[0]


def _read(connection: sqlite3.Connection, wrapper: KeyWrapper, case_id: str) -> tuple[CaseSeal, bool]:
    """The seal, and whether the case was erased."""
    try:
        row = connection.execute(
            "SELECT key_id, wrapped, erased_by FROM case_keys WHERE case_id = ?", (case_id,)
        ).fetchone()
    except DAMAGE as error:
        raise CorruptLog(f"the keys of the cases cannot be read: {error}") from None
    if row is None:
        raise UnknownCaseKey(f"there is no key of case {case_id}")
    key_id, wrapped, erased_by = row
    if key_id != wrapper.key_id:
        raise IllegalOpen(f"the key of case {case_id} was wrapped with {key_id}, not with {wrapper.key_id}")
    try:
        return CaseSeal(case_id, wrapper.unwrap(wrapped, case_id.encode())), erased_by is not None
    except MalformedSeal as error:
        raise CorruptLog(f"the key of case {case_id} is damaged: {error}") from None
