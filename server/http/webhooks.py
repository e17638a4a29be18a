"""Webhooks, for the integrator: where entries are sent, how far that is, and what could not be delivered."""

from aiohttp import web

from server.errors import UnknownKind
from server.http.operations import INTEGRATOR, Incoming, operation, query_number
from server.store.webhook_rows import Letter
from server.webhook_models import (
    MAX_LETTERS,
    DeadLetter,
    DeadLetters,
    MadeWebhook,
    NewWebhook,
    Replay,
    SendAgain,
    SentAgain,
    Webhook,
    WebhookList,
)
from server.webhooks import EndpointStatus
from signaling.entries import KIND


async def add_webhook(incoming: Incoming) -> MadeWebhook:
    """Sends entries to a URL from now on, or from any leaf of the log on; the secret is shown once."""
    new: NewWebhook = incoming.body
    for kind in new.kinds or ():
        if kind not in KIND:
            raise UnknownKind(f"kinds: no entry is of kind {kind[:64]!r}; PROTOCOL.md lists them")
    service = incoming.service
    status, secret = await service.background.finish(
        service.webhooks.add(new.url, kinds=new.kinds, with_bodies=new.with_bodies, start=_leaf(new.start))
    )
    return MadeWebhook(secret=secret, **_shown(status).model_dump())


async def list_webhooks(incoming: Incoming) -> WebhookList:
    """All webhooks, and how far each is."""
    return WebhookList(webhooks=[_shown(status) for status in await incoming.service.webhooks.statuses()])


async def show_webhook(incoming: Incoming) -> Webhook:
    """One webhook."""
    return _shown(await incoming.service.webhooks.status(_id(incoming)))


async def delete_webhook(incoming: Incoming) -> web.Response:
    """Sends nothing there any more; its secret and its letters are forgotten."""
    service = incoming.service
    await service.background.finish(service.webhooks.remove(_id(incoming)))
    return web.Response(status=204)


async def replay_webhook(incoming: Incoming) -> Webhook:
    """Sends everything from a leaf on, again or not; opens a disabled webhook."""
    service, replay = incoming.service, incoming.body
    return _shown(
        await service.background.finish(service.webhooks.replay(_id(incoming), _leaf(replay.start)))
    )


async def list_dead_letters(incoming: Incoming) -> DeadLetters:
    """What was not accepted in all attempts."""
    first = query_number(incoming.request, "from", 0, largest=2**53 - 1)
    letters = await incoming.service.webhooks.dead_letters(_id(incoming), first=first, limit=MAX_LETTERS)
    full = len(letters) == MAX_LETTERS
    return DeadLetters(
        dead_letters=[_dead(letter) for letter in letters],
        next_from=letters[-1].leaf_index + 1 if full else None,
    )


async def send_dead_letters(incoming: Incoming) -> SentAgain:
    """Sends dead letters again, with all attempts before them."""
    service = incoming.service
    wish: SendAgain = incoming.body
    count = await service.background.finish(service.webhooks.send_again(_id(incoming), wish.leaf_indices))
    return SentAgain(count=count)


def _id(incoming: Incoming) -> str:
    return incoming.request.match_info["webhook_id"]


def _leaf(start: int | str) -> int | None:
    return start if isinstance(start, int) else None


def _dead(letter: Letter) -> DeadLetter:
    return DeadLetter(leaf_index=letter.leaf_index, attempts=letter.attempts, error=letter.error)


def _shown(status: EndpointStatus) -> Webhook:
    endpoint = status.endpoint
    return Webhook(
        webhook_id=endpoint.endpoint_id,
        url=endpoint.url,
        kinds=None if endpoint.kinds is None else list(endpoint.kinds),
        with_bodies=endpoint.with_bodies,
        state="active" if endpoint.disabled is None else "disabled",
        created_at=endpoint.created_at,
        cursor=status.cursor,
        behind=status.behind,
        waiting=status.counts.waiting,
        dead=status.counts.dead,
        last_delivered_at=endpoint.last_delivered_at,
        last_error=endpoint.last_error,
        last_error_at=endpoint.last_error_at,
    )


WEBHOOKS = "/api/webhooks"
WEBHOOK = WEBHOOKS + "/{webhook_id}"

OPERATIONS = (
    operation("POST", WEBHOOKS, add_webhook, INTEGRATOR, takes=NewWebhook, gives=MadeWebhook, status=201),
    operation("GET", WEBHOOKS, list_webhooks, INTEGRATOR, gives=WebhookList),
    operation("GET", WEBHOOK, show_webhook, INTEGRATOR, gives=Webhook),
    operation("DELETE", WEBHOOK, delete_webhook, INTEGRATOR, status=204),
    operation("POST", WEBHOOK + "/replay", replay_webhook, INTEGRATOR, takes=Replay, gives=Webhook),
    operation(
        "GET", WEBHOOK + "/dead_letters", list_dead_letters, INTEGRATOR, gives=DeadLetters, query=("from",)
    ),
    operation(
        "POST",
        WEBHOOK + "/dead_letters/send_again",
        send_dead_letters,
        INTEGRATOR,
        takes=SendAgain,
        gives=SentAgain,
    ),
)
