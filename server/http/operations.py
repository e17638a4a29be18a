"""A route as data: who may call it, what it takes and gives. Router, guard and OpenAPI read the same rows."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from server.errors import MalformedRequest, Unauthenticated, UnsupportedType
from server.principals import ANYBODY, Principal
from server.service import Service

JSON = "application/json"
MAX_DIGITS = 16  # of 2^53, the largest number that JSON holds exactly
MAX_BODY_BYTES = 256 * 1024  # a large offer has 30 KiB; nothing else comes near

ANYONE = frozenset({"anyone"})
INTEGRATOR = frozenset({"integrator"})
STAFF = frozenset({"qa", "dispatch"})
PEOPLE = STAFF | {"customer", "courier", "guest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request that has passed the guard: credential good for this route and this case, body valid."""

    service: Service
    principal: Principal
    request: web.Request
    body: Any

    @property
    def case_id(self) -> str:
        """The case that the path names."""
        return self.request.match_info["case_id"]


Handler = Callable[[Incoming], Awaitable[BaseModel | web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row. `takes` and `gives` are a model, or the media type of what is not JSON; None is no content."""

    method: str
    path: str
    summary: str
    allowed: frozenset[str]
    handler: Handler
    takes: type[BaseModel] | str | None = None
    gives: type[BaseModel] | str | None = None
    status: int = 200
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()  # that a request must have, beside those of every request
    streamed: bool = False  # the handler reads the body itself, however large it is


def operation(
    method: str,
    path: str,
    handler: Handler,
    allowed: frozenset[str],
    *,
    takes: type[BaseModel] | str | None = None,
    gives: type[BaseModel] | str | None = None,
    status: int = 200,
    query: tuple[str, ...] = (),
    headers: tuple[str, ...] = (),
    streamed: bool = False,
) -> Operation:
    """A row whose summary is the first line of its handler's docstring."""
    return Operation(
        method=method,
        path=path,
        summary=(handler.__doc__ or "").partition("\n")[0],
        allowed=allowed,
        handler=handler,
        takes=takes,
        gives=gives,
        status=status,
        query=query,
        headers=headers,
        streamed=streamed,
    )


def mount(app: web.Application, service: Service, operations: Iterable[Operation]) -> None:
    """Adds every operation to the application's router, each behind the same guard."""
    for operation in operations:
        app.router.add_route(operation.method, operation.path, _guarded(service, operation))


def _guarded(
    service: Service, operation: Operation
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        principal = await authenticate(service, request, operation)
        body = await _body(request, operation)
        answer = await operation.handler(
            Incoming(service=service, principal=principal, request=request, body=body)
        )
        if isinstance(answer, BaseModel):
            return web.Response(status=operation.status, text=answer.model_dump_json(), content_type=JSON)
        return answer

    return handle


async def authenticate(service: Service, request: web.Request, operation: Operation) -> Principal:
    """Who is calling. Raises `Unauthenticated` or `ForbiddenAccess`; a foreign case is forbidden."""
    if operation.allowed == ANYONE:
        return ANYBODY
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        service.custody.count_stranger()
        raise Unauthenticated("send the token or the API key as 'Authorization: Bearer …'")
    return await admit(
        service,
        credential.strip(),
        operation.allowed,
        what=operation.handler.__name__,
        case_id=request.match_info.get("case_id"),
    )


async def admit(
    service: Service, credential: str, allowed: frozenset[str], *, what: str, case_id: str | None
) -> Principal:
    """Who comes with this credential, if `what` is open to them; who is refused is noted. Raises alike."""
    try:
        principal = await service.principals.identify(credential)
    except Unauthenticated:
        service.custody.count_stranger()
        raise
    refusal = principal.refusal(allowed, case_id)
    if refusal is not None:
        await service.custody.record_refusal(case_id, what, refusal, principal)
        raise type(refusal.error)(str(refusal.error))  # a new one: a constant would keep every traceback
    return principal


async def _body(request: web.Request, operation: Operation) -> Any:
    if operation.takes is None:
        return None
    if isinstance(operation.takes, str):
        if request.content_type != operation.takes:
            raise UnsupportedType(f"send {operation.takes}, not {request.content_type}")
        if operation.streamed:
            return None
        try:
            return await request.text()
        except UnicodeDecodeError:
            raise MalformedRequest("the body is not the text that its charset says") from None
        except LookupError:
            raise UnsupportedType(f"the charset {request.charset} is not known here") from None
    if request.content_type != JSON and request.can_read_body:
        raise UnsupportedType(f"send {JSON}, not {request.content_type}")
    data = await request.read()
    try:
        return operation.takes.model_validate_json(data or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise MalformedRequest(f"{place}: {first['msg']}") from None


def query_number(request: web.Request, name: str, default: int, *, largest: int) -> int:
    """A number of the query string from 0 to `largest`. Raises `MalformedRequest`."""
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS or int(text) > largest:
        raise MalformedRequest(f"{name} is a number from 0 to {largest}")
    return int(text)
