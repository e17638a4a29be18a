"""The work orders of all cases: as a list, and as a feed that a desk holds open.

The feed is Server-Sent Events (WHATWG HTML, section 9.2), asked for with a bearer token like everything else:

    event: orders     {"exceptions": […], "complete": …}     at the beginning, and when too much was missed
    event: order      one row: new, or not as it was
    event: gone       {"case_id": …, "number": …}            closed, or its case has ended
    event: complete   {}                                     what was open before a restart is all here

`Last-Event-ID` resumes after that event.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from aiohttp import web

from server.errors import MalformedRequest
from server.http.operations import INTEGRATOR, Incoming, operation, query_number
from server.models import ExceptionList, ExceptionRow
from server.orders import Change, Orders
from signaling.values import MAX_INTEGER

STATES = frozenset({"open", "taken", "decided", "acknowledged"})
MAX_ROWS_A_PAGE = 100
ROWS_A_PIECE = 25  # some 10 us each, before media and sockets have their turn
MAX_ROWS_TOLD = 1_000  # at the beginning of a feed, the newest; the list has the others
HEARTBEAT_S = 15.0  # proxies cut what is silent for 30 s and more
LASTS_S = 600.0  # then whoever listens comes again, and their token is looked at anew
PATIENCE_S = 20.0  # for a reader that takes nothing


async def list_exceptions(incoming: Incoming) -> ExceptionList:
    """The open work orders of all cases, in the order of their reports."""
    wanted = frozenset(incoming.request.query.get("state", ",".join(STATES)).split(","))
    if not wanted <= STATES:
        raise MalformedRequest(f"state is one or more of {', '.join(sorted(STATES))}, with commas between")
    after = query_number(incoming.request, "after", 0, largest=MAX_INTEGER)
    orders = incoming.service.orders
    rows = [row for row in orders.rows if row.leaf_index > after and row.state in wanted]
    page = rows[:MAX_ROWS_A_PAGE]
    return ExceptionList(
        exceptions=page,
        complete=orders.complete,
        next_after=page[-1].leaf_index if len(rows) > len(page) else None,
    )


async def follow_exceptions(incoming: Incoming) -> web.StreamResponse:
    """The open work orders, and each change of them within a second: Server-Sent Events."""
    orders = incoming.service.orders
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx would keep events until its buffer is full
        }
    )
    await response.prepare(incoming.request)
    loop = asyncio.get_running_loop()
    until = loop.time() + _lasts_s(incoming)
    told = _number_of(orders, incoming.request.headers.get("Last-Event-ID", ""))
    try:
        pieces: Iterable[str]
        while not orders.ended and loop.time() < until:
            changes = None if told is None else orders.changes_after(told)
            if changes is None:
                told = orders.told
                pieces = _all(orders, told)
            elif changes:
                pieces = [_told(orders, number, change) for number, change in changes]
                told = changes[-1][0]
            else:
                pieces = [": still here\n\n"]
            for piece in pieces:
                async with asyncio.timeout(PATIENCE_S):
                    await response.write(piece.encode())
                await asyncio.sleep(0)  # media have their turn
            assert told is not None
            await orders.wait(told, min(HEARTBEAT_S, until - loop.time()))
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        if incoming.request.transport is not None:
            incoming.request.transport.abort()
    return response


def end_feeds(orders: Orders) -> Callable[[web.Application], Awaitable[None]]:
    """What ends every feed when the routes close; else they would be waited for."""

    async def end(_: web.Application) -> None:
        orders.end()

    return end


def _number_of(orders: Orders, event_id: str) -> int | None:
    """The change that this id names, if it is one of this process."""
    run, _, number = event_id.partition("-")
    known = run == orders.run and number.isascii() and number.isdecimal() and len(number) < 16
    return int(number) if known else None


def _lasts_s(incoming: Incoming) -> float:
    """A feed gives nothing to a token that has expired."""
    expires_at = incoming.principal.expires_at
    if expires_at is None:
        return LASTS_S
    return min(LASTS_S, (expires_at - incoming.service.utc_now()).total_seconds())


def _all(orders: Orders, number: int) -> Iterator[str]:
    """The rows as they are now, as one event, in pieces."""
    rows = orders.rows
    newest = rows[-MAX_ROWS_TOLD:]
    complete = orders.complete and len(newest) == len(rows)
    return _event_of(orders.run, number, newest, complete=complete)


def _event_of(run: str, number: int, rows: Sequence[ExceptionRow], *, complete: bool) -> Iterator[str]:
    yield f'id: {run}-{number}\nevent: orders\ndata: {{"exceptions":['
    for first in range(0, len(rows), ROWS_A_PIECE):
        piece = ",".join(row.model_dump_json() for row in rows[first : first + ROWS_A_PIECE])
        yield piece if first == 0 else f",{piece}"
    yield f'],"complete":{json.dumps(complete)}}}\n\n'


def _told(orders: Orders, number: int, change: Change) -> str:
    if change.row is not None:
        return _event(orders, number, "order", change.row.model_dump_json())
    if change.key is None:
        return _event(orders, number, "complete", "{}")
    case_id, entry_number = change.key
    return _event(orders, number, "gone", json.dumps({"case_id": case_id, "number": entry_number}))


def _event(orders: Orders, number: int, name: str, data: str) -> str:
    return f"id: {orders.run}-{number}\nevent: {name}\ndata: {data}\n\n"


OPERATIONS = (
    operation(
        "GET",
        "/api/exceptions",
        list_exceptions,
        INTEGRATOR | {"desk"},
        gives=ExceptionList,
        query=("state", "after"),
    ),
    operation("GET", "/api/desk/events", follow_exceptions, INTEGRATOR | {"desk"}, gives="text/event-stream"),
)
