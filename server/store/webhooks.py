"""Webhooks on disk: a cursor into the log for each endpoint, and the letters that wait or are dead.

`webhooks.db` is a database of its own: the log is the outbox, so that nothing has to be written with an
entry. What is lost here is sent again from an older cursor; nothing that is here holds an entry.

An endpoint's secret is wrapped by the operator's key (`keys`), bound to the endpoint. One thread reads and
writes, in the order of the calls.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.store.errors import CorruptWebhooks, IllegalOpen, MalformedSeal
from server.store.keys import KeyWrapper
from server.store.migration import rewrite
from server.store.schema import DAMAGE, truncate_wal
from server.store.side_database import SideDatabase, SideSchema, connect
from server.store.webhook_rows import Counts, Endpoint, Letter, Settled

SCHEMA_VERSION = 2
UNERASED_SCHEMA_VERSION = 1  # the same tables, written without `secure_delete`
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE endpoints (
    endpoint_id       TEXT PRIMARY KEY,
    url               TEXT NOT NULL,
    kinds             TEXT,
    with_bodies       INTEGER NOT NULL,
    cursor            INTEGER NOT NULL,
    created_ms        INTEGER NOT NULL,
    disabled          TEXT,
    last_error        TEXT,
    last_error_ms     INTEGER,
    last_delivered_ms INTEGER,
    key_id            TEXT NOT NULL,
    wrapped           BLOB NOT NULL
) STRICT;
CREATE TABLE letters (
    endpoint_id TEXT NOT NULL REFERENCES endpoints ON DELETE CASCADE,
    leaf_index  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    due_ms      INTEGER,
    error       TEXT NOT NULL,
    PRIMARY KEY (endpoint_id, leaf_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_letters ON letters (endpoint_id, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX dead_letters ON letters (endpoint_id, leaf_index) WHERE due_ms IS NULL;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
WEBHOOKS = SideSchema(
    script=SCHEMA,
    version=SCHEMA_VERSION,
    corrupt=CorruptWebhooks,
    remedy="Restore it, or move it away and make the webhooks anew",
    upgrades={UNERASED_SCHEMA_VERSION: rewrite},
)
ENDPOINT = (
    "SELECT endpoint_id, url, kinds, with_bodies, cursor, created_ms, disabled, last_error, last_error_ms,"
    " last_delivered_ms FROM endpoints"
)
LETTER = "SELECT leaf_index, attempts, due_ms, error FROM letters"


class WebhookStore:
    """The endpoints of a data folder that is locked by this process. Made by `open`.

    Every call may raise CorruptWebhooks, and FailedAppend where the disk refuses; then nothing has changed.
    """

    def __init__(self, database: SideDatabase, wrapper: KeyWrapper) -> None:
        self._do = database.do
        self._connection = database.connection
        self._wrapper = wrapper
        self._close = database.close

    @classmethod
    async def open(cls, data_dir: Path, wrapper: KeyWrapper) -> "WebhookStore":
        """Open or make `webhooks.db`; raises IllegalOpen, CorruptWebhooks."""
        database = await SideDatabase.open(data_dir / "webhooks.db", WEBHOOKS)
        return cls(database, wrapper)

    async def endpoints(self) -> list[Endpoint]:
        """All, the oldest first."""
        return await self._do(self._endpoints)

    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        return await self._do(self._endpoint, endpoint_id)

    async def statuses(self, endpoint_id: str | None = None) -> list[tuple[Endpoint, Counts]]:
        """One endpoint, or all, each with its letters as they are at the same moment."""
        return await self._do(self._statuses, endpoint_id)

    async def add(self, endpoint: Endpoint, secret: bytes) -> None:
        """A new endpoint, and what its messages are signed with."""
        await self._do(self._add, endpoint, secret)

    async def remove(self, endpoint_id: str) -> None:
        """The endpoint, its secret and its letters."""
        await self._do(self._remove, endpoint_id)

    async def secret(self, endpoint_id: str) -> bytes:
        """What its messages are signed with; raises IllegalOpen if another key wrapped it."""
        return await self._do(self._secret, endpoint_id)

    async def settle(
        self, endpoint_id: str, settled: Sequence[Settled], *, cursor: int, now_at: datetime
    ) -> None:
        """What came of attempts, and how far all is settled, together."""
        await self._do(self._settle, endpoint_id, tuple(settled), cursor, now_at)

    async def disable(self, endpoint_id: str, reason: str, *, now_at: datetime) -> None:
        """Nothing is sent any more until `replay`."""
        await self._do(self._disable, endpoint_id, reason, now_at)

    async def replay(self, endpoint_id: str, cursor: int) -> None:
        """Everything from the leaf `cursor` on is open again, and so is the endpoint."""
        await self._do(self._replay, endpoint_id, cursor)

    async def earliest(self, endpoint_id: str, limit: int) -> list[Letter]:
        """The waiting letters that are due first, whether they are due or not."""
        return await self._do(self._earliest, endpoint_id, limit)

    async def held(self, endpoint_id: str, first: int, end: int) -> frozenset[int]:
        """Which leaves from `first` to before `end` are letters."""
        return await self._do(self._held, endpoint_id, first, end)

    async def dead(self, endpoint_id: str, *, first: int, limit: int) -> list[Letter]:
        """Dead letters from a leaf on, in the order of the log."""
        return await self._do(self._dead, endpoint_id, first, limit)

    async def revive(self, endpoint_id: str, leaves: Sequence[int] | None, *, now_at: datetime) -> int:
        """These dead letters, or all, are due now, with all attempts before them; returns how many."""
        return await self._do(self._revive, endpoint_id, leaves, now_at)

    async def drop(self, leaves: Sequence[int]) -> None:
        """Letters of these leaves, of all endpoints, are gone, also from the disk."""
        await self._do(self._drop, tuple(leaves))
        await self._do(truncate_wal, self._connection)

    async def counts(self, endpoint_id: str) -> Counts:
        return await self._do(self._counts, endpoint_id)

    async def close(self) -> None:
        """Writes what was asked for before, then lets go of the file."""
        await self._close()

    def _endpoints(self) -> list[Endpoint]:
        return [_endpoint(row) for row in self._connection.execute(f"{ENDPOINT} ORDER BY created_ms, rowid")]

    def _endpoint(self, endpoint_id: str) -> Endpoint | None:
        row = self._connection.execute(f"{ENDPOINT} WHERE endpoint_id = ?", (endpoint_id,)).fetchone()
        return None if row is None else _endpoint(row)

    def _statuses(self, endpoint_id: str | None) -> list[tuple[Endpoint, Counts]]:
        found = self._endpoints() if endpoint_id is None else [self._endpoint(endpoint_id)]
        return [(one, self._counts(one.endpoint_id)) for one in found if one is not None]

    def _add(self, endpoint: Endpoint, secret: bytes) -> None:
        self._connection.execute(
            "INSERT INTO endpoints"
            " (endpoint_id, url, kinds, with_bodies, cursor, created_ms, key_id, wrapped)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                endpoint.endpoint_id,
                endpoint.url,
                None if endpoint.kinds is None else " ".join(endpoint.kinds),
                int(endpoint.with_bodies),
                endpoint.cursor,
                _to_ms(endpoint.created_at),
                self._wrapper.key_id,
                self._wrapper.wrap(secret, _context(endpoint.endpoint_id)),
            ),
        )

    def _remove(self, endpoint_id: str) -> None:
        self._connection.execute("DELETE FROM endpoints WHERE endpoint_id = ?", (endpoint_id,))

    def _secret(self, endpoint_id: str) -> bytes:
        key_id, wrapped = self._connection.execute(
            "SELECT key_id, wrapped FROM endpoints WHERE endpoint_id = ?", (endpoint_id,)
        ).fetchone()
        if key_id != self._wrapper.key_id:
            raise IllegalOpen(
                f"the secret of webhook {endpoint_id} was wrapped with {key_id},"
                f" not with {self._wrapper.key_id}"
            )
        try:
            return self._wrapper.unwrap(wrapped, _context(endpoint_id))
        except MalformedSeal as error:
            raise CorruptWebhooks(f"the secret of webhook {endpoint_id} is damaged: {error}") from None

    def _settle(self, endpoint_id: str, settled: Sequence[Settled], cursor: int, now_at: datetime) -> None:
        for one in settled:
            if (letter := one.letter) is not None:
                self._connection.execute(
                    "INSERT OR REPLACE INTO letters (endpoint_id, leaf_index, attempts, due_ms, error)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (endpoint_id, letter.leaf_index, letter.attempts, _to_ms(letter.due_at), letter.error),
                )
            elif one.known:
                self._connection.execute(
                    "DELETE FROM letters WHERE endpoint_id = ? AND leaf_index = ?",
                    (endpoint_id, one.leaf_index),
                )
        errors = [one.letter.error for one in settled if one.letter is not None]
        if errors:
            self._note_error(endpoint_id, errors[-1], now_at)
        delivered = _to_ms(now_at) if len(errors) < len(settled) else None
        self._connection.execute(
            "UPDATE endpoints SET cursor = ?, last_delivered_ms = coalesce(?, last_delivered_ms)"
            " WHERE endpoint_id = ?",
            (cursor, delivered, endpoint_id),
        )

    def _note_error(self, endpoint_id: str, error: str, now_at: datetime) -> None:
        self._connection.execute(
            "UPDATE endpoints SET last_error = ?, last_error_ms = ? WHERE endpoint_id = ?",
            (error, _to_ms(now_at), endpoint_id),
        )

    def _disable(self, endpoint_id: str, reason: str, now_at: datetime) -> None:
        self._note_error(endpoint_id, reason, now_at)
        self._connection.execute(
            "UPDATE endpoints SET disabled = ? WHERE endpoint_id = ?", (reason, endpoint_id)
        )

    def _replay(self, endpoint_id: str, cursor: int) -> None:
        self._connection.execute(
            "DELETE FROM letters WHERE endpoint_id = ? AND leaf_index >= ?", (endpoint_id, cursor)
        )
        self._connection.execute(
            "UPDATE endpoints SET cursor = ?, disabled = NULL WHERE endpoint_id = ?", (cursor, endpoint_id)
        )

    def _earliest(self, endpoint_id: str, limit: int) -> list[Letter]:
        query = f"{LETTER} WHERE endpoint_id = ? AND due_ms IS NOT NULL ORDER BY due_ms LIMIT ?"
        return [_letter(row) for row in self._connection.execute(query, (endpoint_id, limit))]

    def _held(self, endpoint_id: str, first: int, end: int) -> frozenset[int]:
        query = "SELECT leaf_index FROM letters WHERE endpoint_id = ? AND leaf_index >= ? AND leaf_index < ?"
        return frozenset(row[0] for row in self._connection.execute(query, (endpoint_id, first, end)))

    def _dead(self, endpoint_id: str, first: int, limit: int) -> list[Letter]:
        query = (
            f"{LETTER} WHERE endpoint_id = ? AND due_ms IS NULL AND leaf_index >= ?"
            " ORDER BY leaf_index LIMIT ?"
        )
        return [_letter(row) for row in self._connection.execute(query, (endpoint_id, first, limit))]

    def _revive(self, endpoint_id: str, leaves: Sequence[int] | None, now_at: datetime) -> int:
        update = "UPDATE letters SET attempts = 0, due_ms = ? WHERE endpoint_id = ? AND due_ms IS NULL"
        values: tuple[Any, ...] = (_to_ms(now_at), endpoint_id)
        if leaves is None:
            return self._connection.execute(update, values).rowcount
        one = f"{update} AND leaf_index = ?"
        return sum(self._connection.execute(one, (*values, leaf)).rowcount for leaf in set(leaves))

    def _drop(self, leaves: tuple[int, ...]) -> None:
        self._connection.executemany("DELETE FROM letters WHERE leaf_index = ?", [(leaf,) for leaf in leaves])

    def _counts(self, endpoint_id: str) -> Counts:
        query = "SELECT count(due_ms), count(*) - count(due_ms) FROM letters WHERE endpoint_id = ?"
        waiting, dead = self._connection.execute(query, (endpoint_id,)).fetchone()
        return Counts(waiting=waiting, dead=dead)


def rewrap_secrets(data_dir: Path, old: KeyWrapper, new: KeyWrapper) -> None:
    """Wrap the secrets that the key `old` wrapped by `new`, in a data folder that is locked by this process.

    Raises CorruptWebhooks, and then nothing has changed.
    """
    path = data_dir / "webhooks.db"
    if not path.exists():
        return
    connection = connect(path, WEBHOOKS)
    try:
        query = "SELECT endpoint_id, wrapped FROM endpoints WHERE key_id = ?"
        with connection:
            for endpoint_id, wrapped in connection.execute(query, (old.key_id,)).fetchall():
                context = _context(endpoint_id)
                connection.execute(
                    "UPDATE endpoints SET key_id = ?, wrapped = ? WHERE endpoint_id = ?",
                    (new.key_id, new.wrap(old.unwrap(wrapped, context), context), endpoint_id),
                )
        truncate_wal(connection)
    except (*DAMAGE, MalformedSeal) as error:
        raise CorruptWebhooks(f"{path} is damaged: {error}") from None
    finally:
        connection.close()


def _context(endpoint_id: str) -> bytes:
    """No case has such an id: a wrapped secret never opens as the key of a case."""
    return f"webhook {endpoint_id}".encode()


def _endpoint(row: tuple[Any, ...]) -> Endpoint:
    created_at = _from_ms(row[5])
    assert created_at is not None
    return Endpoint(
        endpoint_id=row[0],
        url=row[1],
        kinds=None if row[2] is None else tuple(row[2].split()),
        with_bodies=bool(row[3]),
        cursor=row[4],
        created_at=created_at,
        disabled=row[6],
        last_error=row[7],
        last_error_at=_from_ms(row[8]),
        last_delivered_at=_from_ms(row[9]),
    )


def _letter(row: tuple[Any, ...]) -> Letter:
    return Letter(leaf_index=row[0], attempts=row[1], due_at=_from_ms(row[2]), error=row[3])


def _to_ms(at: datetime | None) -> int | None:
    """Rounded up: nothing is due before its time."""
    return None if at is None else -int(-at.timestamp() * 1000 // 1)


def _from_ms(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
