"""What the order system and the QA desk call: cases, links, entries, packages."""

import asyncio
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from server.cases import Case, as_view
from server.erasing import unless_erased
from server.errors import ForbiddenAccess, MalformedRequest, UnknownThing
from server.http.operations import INTEGRATOR, PEOPLE, Incoming, operation, query_number
from server.models import (
    Address,
    CaseList,
    CaseSummary,
    Desk,
    Link,
    LogEntries,
    NewCase,
    NewDesk,
    NewLink,
    Proof,
)
from server.principals import Principal
from server.tokens import DeskToken, LinkToken
from signaling.commands import EndCase, IssueLink, OpenCase, RecordExport, RecordRead, RevokeLink
from signaling.entries import BOOKKEEPING, DeclaredValue, may_see
from signaling.values import ActorId, Place

PAGES = {"customer": "/c", "courier": "/d", "guest": "/g", "qa": "/qa", "dispatch": "/qa"}
MAX_INVITATION_S = 24 * 3600  # of a link that people and desks give out: a hand-over is done within a day
# That an export waits for authorities and witnesses which do not fail: they answer within a second.
OUTSIDE_WAIT_S = 3.0
MAX_CASES_A_PAGE = 100
EXPECTED_SIZE = "X-Expected-Size"  # bytes; a damaged file is left out, so this is no Content-Length
MAX_ENTRIES_A_PAGE = 100  # about 3 ms of work; media wait no longer


async def open_case(incoming: Incoming) -> CaseSummary:
    """Opens a case: its first entry."""
    new: NewCase = incoming.body
    value = new.declared_value
    case = await incoming.service.cases.open(
        OpenCase(
            waybill=new.waybill,
            declared_value=None
            if value is None
            else DeclaredValue(amount_minor=value.amount_minor, currency=value.currency),
            language=new.language,
            metadata=dict(new.metadata),
            time_zone=_time_zone(new.time_zone),
            address=None if new.address is None else new.address.text,
            place=_place(new.address),
        ),
        incoming.principal.actor,
    )
    return _summary(case)


async def list_cases(incoming: Incoming) -> CaseList:
    """The cases, newest first; a person's token shows its own case."""
    cases = incoming.service.cases
    if incoming.principal.link is not None:
        return CaseList(cases=[_summary(await cases.get(incoming.principal.link.case_id))])
    limit = query_number(incoming.request, "limit", 50, largest=MAX_CASES_A_PAGE)
    ids = await incoming.service.log.case_ids(limit=limit, before=incoming.request.query.get("before"))
    summaries = [_summary(await cases.get(case_id)) for case_id in ids]
    return CaseList(cases=summaries, next_before=ids[-1] if limit and len(ids) == limit else None)


async def show_case(incoming: Incoming) -> CaseSummary:
    """One case."""
    return _summary(await incoming.service.cases.get(incoming.case_id))


async def end_case(incoming: Incoming) -> CaseSummary:
    """Ends a case: whoever is in its call is told and let go; the log stays readable."""
    case = await incoming.service.cases.get(incoming.case_id)
    await case.handle(EndCase(), incoming.principal.actor)
    return _summary(case)


async def issue_link(incoming: Incoming) -> Link:
    """Lets somebody into the case: the integrator anybody, a desk the office and guests, people guests."""
    new: NewLink = incoming.body
    name = _name_let_in(incoming.principal, new)
    service = incoming.service
    case = await service.cases.get(incoming.case_id)
    link_id = service.new_id("l_")
    expires_at = service.utc_now().replace(microsecond=0) + timedelta(seconds=new.expires_in_s)
    await case.handle(
        IssueLink(link_id=ActorId(link_id), role=new.role, name=name, expires_at=expires_at),
        incoming.principal.actor,
    )
    token = service.tokens.issue_link(
        LinkToken(case_id=case.case_id, link_id=link_id, role=new.role), expires_at=expires_at
    )
    return Link(
        link_id=link_id,
        role=new.role,
        name=name,
        url=f"{service.public_url}{PAGES[new.role]}#{token}",
        token=token,
        expires_at=expires_at,
    )


async def revoke_link(incoming: Incoming) -> web.Response:
    """Takes a link back, at once: its sockets close and its media stops. People: of who they let in alone."""
    case = await incoming.service.cases.get(incoming.case_id)
    link_id = ActorId(incoming.request.match_info["link_id"])
    link = case.state.links.get(link_id)
    if incoming.principal.desk is not None and link is not None and link.role in ("customer", "courier"):
        raise ForbiddenAccess("a desk takes back links of guests and of the office; this one is a party's")
    await case.handle(RevokeLink(link_id=link_id), incoming.principal.actor)
    return web.Response(status=204)


async def issue_desk(incoming: Incoming) -> Desk:
    """Lets a desk in: it lists cases and asks for a link of its own role to each that it opens."""
    service = incoming.service
    new: NewDesk = incoming.body
    expires_at = service.utc_now().replace(microsecond=0) + timedelta(seconds=new.expires_in_s)
    token = service.tokens.issue_desk(
        DeskToken(desk_id=service.new_id("d_"), name=new.name, role=new.role), expires_at=expires_at
    )
    return Desk(
        role=new.role,
        url=f"{service.public_url}{PAGES[new.role]}#{token}",
        token=token,
        expires_at=expires_at,
    )


async def list_entries(incoming: Incoming) -> LogEntries:
    """The log of the case after number `after`, as the caller's role may see it."""
    case = await incoming.service.cases.get(incoming.case_id)
    after = query_number(incoming.request, "after", 0, largest=2**53 - 1)
    entries = await incoming.service.log.entries(case.case_id, after=after, limit=MAX_ENTRIES_A_PAGE)
    principal, role = incoming.principal, incoming.principal.actor.role
    kinds = [entry.envelope.kind for entry in entries if not entry.is_erased]
    if any(may_see(role, kind) and kind not in BOOKKEEPING for kind in kinds):
        read = RecordRead(
            after=after,
            up_to=entries[-1].envelope.number,
            live=False,
            authenticated_by=principal.authenticated_by,
        )
        await incoming.service.custody.record(case, principal, read)
    shown = [as_view(entry, role) for entry in entries]
    return LogEntries(entries=shown, last_number=case.state.last_number)


async def prove_entry(incoming: Incoming) -> Proof:
    """That an entry of the case is in the log."""
    text = incoming.request.match_info["number"]
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
    entries = (
        await incoming.service.log.entries(incoming.case_id, after=number - 1, limit=1) if number else []
    )
    if not entries:
        raise UnknownThing(f"this case has no entry number {text}")
    proof = await incoming.service.log.inclusion_proof(entries[0].leaf_index)
    return Proof(
        leaf_index=proof.leaf_index,
        tree_size=proof.tree_size,
        hashes=[node.hex() for node in proof.hashes],
        checkpoint=proof.checkpoint,
        vkey=incoming.service.log.vkey,
    )


async def export_case(incoming: Incoming) -> web.StreamResponse:
    """The case as a package that proves itself; the export is its last entry. Sent as it is written."""
    case = await incoming.service.cases.get(incoming.case_id)
    async with unless_erased(case):
        return await _send_package(incoming, case)


async def _send_package(incoming: Incoming, case: Case) -> web.StreamResponse:
    principal = incoming.principal
    decided = await case.handle(RecordExport(authenticated_by=principal.authenticated_by), principal.actor)
    assert decided.number is not None
    # A package that holds the time of its own export, and who saw it; without them it goes out all the same.
    service = incoming.service
    await asyncio.gather(
        service.timestamps.settle(service.log.size, timeout_s=OUTSIDE_WAIT_S),
        service.witnesses.settle(service.log.size, timeout_s=OUTSIDE_WAIT_S),
    )
    export = await incoming.service.packages.export(case, up_to=decided.number)
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="{case.case_id}.zip"',
            EXPECTED_SIZE: str(export.size_bytes),
        }
    )
    try:
        await response.prepare(incoming.request)
        async for piece in export.pieces():
            await response.write(piece)
        await response.write_eof()
    except ConnectionError:
        return response  # whoever asked is gone
    except BaseException:
        # The head is out: a broken connection is all that can still say that this is not the whole package.
        if incoming.request.transport is not None:
            incoming.request.transport.abort()
        raise
    finally:
        export.close()
    return response


def _name_let_in(principal: Principal, new: NewLink) -> str:
    """The name for a new link, if this caller may give it out. Raises `ForbiddenAccess`."""
    if principal.kind == "integrator":
        return new.name
    if new.expires_in_s > MAX_INVITATION_S:
        raise ForbiddenAccess("a link that you give out is good for 24 hours at most")
    desk = principal.desk
    if desk is None:
        if new.role != "guest":
            raise ForbiddenAccess("you may let in a guest; other links come from the order system")
        return new.name
    if new.role in ("customer", "courier"):
        raise ForbiddenAccess(
            "a desk lets in guests and the office; a party's link comes from the order system"
        )
    return desk.name if new.role == desk.role and not new.colleague else new.name


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise MalformedRequest(
            f"time_zone: {name!r} is none that IANA names, such as Asia/Shanghai"
        ) from None
    return name


def _place(address: Address | None) -> Place | None:
    if address is None or address.position is None:
        return None
    latitude, longitude = address.position.latitude, address.position.longitude
    return Place(latitude_e6=round(latitude * 1e6), longitude_e6=round(longitude * 1e6), accuracy_m=0)


def _summary(case: Case) -> CaseSummary:
    state = case.state
    assert state.opened_at is not None and state.phase != "new"  # a case in memory has its first entry
    return CaseSummary(
        case_id=state.case_id,
        waybill=state.waybill,
        language=state.language,
        time_zone=state.time_zone,
        state=state.phase,
        opened_at=state.opened_at,
        last_number=state.last_number,
        in_call=[state.links[actor_id].role for actor_id in state.in_call],
        frames=len(state.frames),
        holds=list(state.holds),
    )


READERS = INTEGRATOR | PEOPLE
HOSTS = (READERS | {"desk"}) - {"guest"}
CASE = "/api/cases/{case_id}"

OPERATIONS = (
    operation("POST", "/api/cases", open_case, INTEGRATOR, takes=NewCase, gives=CaseSummary, status=201),
    operation("GET", "/api/cases", list_cases, READERS | {"desk"}, gives=CaseList, query=("limit", "before")),
    operation("GET", CASE, show_case, READERS, gives=CaseSummary),
    operation("POST", f"{CASE}/end", end_case, INTEGRATOR | {"qa"}, gives=CaseSummary),
    operation("POST", f"{CASE}/links", issue_link, HOSTS, takes=NewLink, gives=Link, status=201),
    operation("DELETE", CASE + "/links/{link_id}", revoke_link, HOSTS, status=204),
    operation("GET", f"{CASE}/entries", list_entries, READERS, gives=LogEntries, query=("after",)),
    operation("GET", CASE + "/entries/{number}/proof", prove_entry, READERS, gives=Proof),
    operation("POST", f"{CASE}/export", export_case, INTEGRATOR | {"qa"}, gives="application/zip"),
    operation("POST", "/api/desk", issue_desk, INTEGRATOR, takes=NewDesk, gives=Desk, status=201),
)
