"""All routes of a running service, as one application."""

from aiohttp import web

from server.http import (
    blobs,
    credentials,
    exceptions,
    forgetting,
    health,
    integrator,
    log,
    media,
    openapi,
    pages,
    playback,
    search,
    timestamps,
    uploads,
    vouchers,
    webhooks,
    wording,
)
from server.http.errors import answer_errors
from server.http.operations import MAX_BODY_BYTES, mount
from server.http.socket import Sockets
from server.service import Service

# Those that need nothing made for them.
OPERATIONS = (
    *integrator.OPERATIONS,
    *blobs.OPERATIONS,
    *credentials.OPERATIONS,
    *uploads.OPERATIONS,
    *media.OPERATIONS,
    *playback.OPERATIONS,
    *vouchers.OPERATIONS,
    *forgetting.OPERATIONS,
    *exceptions.OPERATIONS,
    *search.OPERATIONS,
    *wording.OPERATIONS,
    *webhooks.OPERATIONS,
    *timestamps.OPERATIONS,
    *log.OPERATIONS,
)


def make_app(service: Service, sockets: Sockets) -> web.Application:
    """The routes of a running service."""
    app = web.Application(middlewares=[answer_errors], client_max_size=MAX_BODY_BYTES)
    operations = (*OPERATIONS, *sockets.operations(), *health.operations(service, sockets))
    app.on_response_prepare.append(uploads.tell_version)
    mount(app, service, (*operations, openapi.operation_for(operations)))
    pages.mount(app)
    app.on_shutdown.append(exceptions.end_feeds(service.orders))
    return app
