"""What is kept of webhooks: where entries are sent, and what of them could not be delivered yet."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where entries are sent. `kinds` None: all. All leaves before `cursor` are delivered, no concern of this
    endpoint, or letters; `disabled` says why nothing is sent any more.
    """

    endpoint_id: str
    url: str
    kinds: tuple[str, ...] | None
    with_bodies: bool
    cursor: int
    created_at: datetime
    disabled: str | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    last_delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An entry that was not accepted in `attempts` attempts. `due_at` None: it is dead, no more are made."""

    leaf_index: int
    attempts: int
    due_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What came of an attempt: `letter` None is delivered. `known`: the entry was a letter before."""

    leaf_index: int
    letter: Letter | None
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Letters of an endpoint."""

    waiting: int
    dead: int
