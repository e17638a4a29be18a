"""Offer and answer over HTTP, in the form of WHIP (RFC 9725), with the restart of ICE and TURN servers."""

import re

from aiohttp import web

from media.relay import line_of
from server.errors import (
    FailedPrecondition,
    IllegalRequest,
    MalformedRequest,
    MissingPrecondition,
    UnknownThing,
)
from server.http.operations import PEOPLE, Incoming, operation
from server.turn import ice_server_links

SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
SESSION_LINE = re.compile("[0-9a-f]{16}")


async def connect_media(incoming: Incoming) -> web.Response:
    """Connects a person's browser to the relay (RFC 9725)

    Nothing is relayed or kept before they have consented and joined. `If-None-Match: *` is for a page that
    is not in the call: it takes it from no other device. `If-Match` carries on the session that a page had.
    """
    service = incoming.service
    case = await service.cases.get(incoming.case_id)
    if case.state.phase == "ended":
        raise IllegalRequest("this case has ended: its log can be read, but not added to")
    actor_id = incoming.principal.actor.actor_id
    if _conditions(incoming, "If-None-Match") == ["*"] and actor_id in case.state.in_call:
        raise FailedPrecondition("this person is in the call already, on this device or another")
    line = None
    if mine := _conditions(incoming, "If-Match"):
        line = line_of(mine[0].strip('"'))
        if SESSION_LINE.fullmatch(line) is None:
            raise MalformedRequest('If-Match names the session that this page had: If-Match: "…"')
        current = service.relay.session_of(case.case_id, actor_id)
        if current is not None and line_of(current) != line:
            raise FailedPrecondition("another device of this person has taken the call over")
    connection = service.relay.connect(case.case_id, actor_id, incoming.body, line=line)
    service.calls.connect(case, actor_id)
    # RFC 9725 section 4.2: a WHIP endpoint answers 201 with the SDP answer and a Location for the session.
    answer = web.Response(
        status=201,
        text=connection.answer,
        content_type=SDP,
        headers={"Location": f"/api/cases/{case.case_id}/media/{connection.session_id}"},
    )
    return _with_ice_headers(answer, incoming, connection.ice_tag)


async def restart_media(incoming: Incoming) -> web.Response:
    """Restarts ICE with `If-Match: *` (200), or takes note of candidates (204); see RFC 9725 section 4.3"""
    relay = incoming.service.relay
    actor_id = incoming.principal.actor.actor_id
    session = (incoming.case_id, actor_id, incoming.request.match_info["session_id"])
    tag = relay.ice_tag(*session)
    if "If-Match" not in incoming.request.headers:
        # RFC 9725 section 4.3.1: who does not say which ICE session is meant gets 428.
        raise MissingPrecondition('send If-Match: "*" to restart ICE, or the ETag to add candidates')
    tags = _conditions(incoming, "If-Match")
    if "*" in tags or '"*"' in tags:
        restarted = relay.restart_ice(*session, incoming.body)
        answer = web.Response(text=restarted.fragment, content_type=SDP_FRAGMENT)
        return _with_ice_headers(answer, incoming, restarted.ice_tag)
    if f'"{tag}"' not in tags:
        raise FailedPrecondition("ICE has been restarted since, or was never known by this ETag")
    relay.trickle(*session, incoming.body)
    return web.Response(status=204)


def _conditions(incoming: Incoming, header: str) -> list[str]:
    """The entity tags of a conditional request."""
    return [tag.strip() for tag in incoming.request.headers.get(header, "").split(",") if tag.strip()]


def _with_ice_headers(answer: web.Response, incoming: Incoming, ice_tag: str) -> web.Response:
    answer.headers["ETag"] = f'"{ice_tag}"'
    service = incoming.service
    # RFC 9725 section 4.6: a Link header for each server, with credentials of this person's own.
    for link in ice_server_links(
        service.turn_urls, service.turn_secret, incoming.principal.actor.actor_id, service.utc_now()
    ):
        answer.headers.add("Link", link)
    return answer


async def disconnect_media(incoming: Incoming) -> web.Response:
    """Leaves the call and closes the connection (RFC 9725)"""
    session_id = incoming.request.match_info["session_id"]
    actor = incoming.principal.actor
    relay = incoming.service.relay
    if relay.session_of(incoming.case_id, actor.actor_id) != session_id:
        raise UnknownThing("there is no such media session, or it has been replaced")
    case = await incoming.service.cases.get(incoming.case_id)
    await incoming.service.calls.leave(case, actor)
    if relay.session_of(incoming.case_id, actor.actor_id) == session_id:
        relay.disconnect(incoming.case_id, actor.actor_id)
    return web.Response(status=200)


OPERATIONS = (
    operation("POST", "/api/cases/{case_id}/media", connect_media, PEOPLE, takes=SDP, gives=SDP, status=201),
    operation(
        "PATCH",
        "/api/cases/{case_id}/media/{session_id}",
        restart_media,
        PEOPLE,
        takes=SDP_FRAGMENT,
        gives=SDP_FRAGMENT,
        headers=("If-Match",),
    ),
    operation("DELETE", "/api/cases/{case_id}/media/{session_id}", disconnect_media, PEOPLE),
)
