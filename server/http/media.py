"""Offer and answer over HTTP, in the form of WHIP (RFC 9725)."""

from aiohttp import web

from server.errors import IllegalRequest, UnknownThing
from server.http.operations import PEOPLE, Incoming, operation

SDP = "application/sdp"


async def connect_media(incoming: Incoming) -> web.Response:
    """Connects a person's browser to the relay (RFC 9725)

    Nothing is relayed or kept before they have consented and joined.
    """
    case = await incoming.service.cases.get(incoming.case_id)
    if case.state.phase == "ended":
        raise IllegalRequest("this case has ended: its log can be read, but not added to")
    actor_id = incoming.principal.actor.actor_id
    connection = incoming.service.relay.connect(case.case_id, actor_id, incoming.body)
    # RFC 9725 section 4.2: a WHIP endpoint answers 201 with the SDP answer and a Location for the session.
    return web.Response(
        status=201,
        text=connection.answer,
        content_type=SDP,
        headers={"Location": f"/api/cases/{case.case_id}/media/{connection.session_id}"},
    )


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
    operation("DELETE", "/api/cases/{case_id}/media/{session_id}", disconnect_media, PEOPLE),
)
