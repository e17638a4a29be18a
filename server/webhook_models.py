"""What the routes of webhooks take and give."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from server.models import Model

MAX_LETTERS = 100  # in one request

Leaf = Annotated[int, Field(ge=0, lt=2**53)]
Start = Annotated[
    Leaf | Literal["now"],
    Field(description='from which leaf of the log on; "now": what is written from now on'),
]


class NewWebhook(Model):
    """Where entries are to be sent. `kinds` null: all kinds."""

    url: Annotated[str, Field(max_length=2000)]
    kinds: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    with_bodies: bool = Field(default=False, description="send what people wrote and showed, too")
    start: Start = Field(default="now", alias="from")


class Webhook(Model):
    """An endpoint. All leaves before `cursor` are settled or counted in `waiting` and `dead`; `behind` is how
    many leaves follow it.
    """

    webhook_id: str
    url: str
    kinds: list[str] | None
    with_bodies: bool
    state: Literal["active", "disabled"]
    created_at: datetime
    cursor: int
    behind: int
    waiting: int
    dead: int
    last_delivered_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None


class MadeWebhook(Webhook):
    """A new endpoint; the secret is shown once."""

    secret: str


class WebhookList(Model):
    """All endpoints, the oldest first."""

    webhooks: list[Webhook]


class Replay(Model):
    """From where on."""

    start: Start = Field(alias="from")


class DeadLetter(Model):
    """An entry that was not accepted in all attempts."""

    leaf_index: int
    attempts: int
    error: str


class DeadLetters(Model):
    """In the order of the log. `next_from` asks for the following page; it is absent on the last one."""

    dead_letters: list[DeadLetter]
    next_from: int | None = None


class SendAgain(Model):
    """Which dead letters; null: all."""

    leaf_indices: Annotated[list[Leaf], Field(min_length=1, max_length=MAX_LETTERS)] | None = None


class SentAgain(Model):
    """How many of them are on their way."""

    count: int
