"""Calls and their playback: what is recorded, and the bytes of a recording, in ranges."""

import re
from datetime import timedelta

from aiohttp import web

from server.errors import UnknownThing
from server.http.operations import ANYONE, INTEGRATOR, Incoming, operation
from server.models import Playback, PlaybackOf, PlaybackSegment, RecordedCall, RecordedCalls, Recording
from server.playbacks import name_of
from server.store.errors import CorruptBlob
from server.tokens import PlaybackToken
from signaling.commands import RecordPlayback

TICKET_LIFETIME = timedelta(hours=1)  # a part lasts a quarter of one; a player asks anew after each pause
CHUNK_BYTES = 256 << 10  # four sealed chunks: a millisecond to open, two seconds of a recording
MAX_DIGITS = 15  # of a number in a path or a range: what is longer names nothing here
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


async def list_calls(incoming: Incoming) -> RecordedCalls:
    """The calls of a case, and what is recorded of each."""
    case = await incoming.service.cases.get(incoming.case_id)
    return RecordedCalls(
        calls=[
            RecordedCall(
                call_number=call.call_number,
                began_at=call.began_at,
                ended_at=call.ended_at,
                aborted=call.aborted,
                recordings=[
                    Recording(
                        actor_id=part.actor_id,
                        role=case.state.links[part.actor_id].role,
                        name=case.state.links[part.actor_id].name,
                        part=part.part,
                        media_type=part.media_type,
                        began_at=part.began_at,
                        ended_at=part.ended_at,
                        first_segment=part.first_segment,
                        last_segment=part.last_segment,
                        lost_segments=[lost.segment for lost in part.lost],
                    )
                    for part in call.parts
                ],
            )
            for call in await incoming.service.playbacks.calls(case)
        ]
    )


async def play_back(incoming: Incoming) -> Playback:
    """Makes a recording playable, without transcoding; that it was asked for is an entry."""
    service, wanted = incoming.service, incoming.body
    case = await service.cases.get(incoming.case_id)
    part = await service.playbacks.find(case, _call_number(incoming), wanted.actor_id, wanted.part)
    playback = await service.playbacks.open(case, part)
    playback.reader.close()
    await service.custody.record(
        case,
        incoming.principal,
        RecordPlayback(
            call_number=part.call_number,
            of=part.actor_id,
            part=part.part,
            first_segment=part.first_segment,
            last_segment=part.last_segment,
            authenticated_by=incoming.principal.authenticated_by,
        ),
    )
    ticket = service.tokens.issue_playback(
        PlaybackToken(
            case_id=case.case_id,
            actor_id=part.actor_id,
            call_number=part.call_number,
            part=part.part,
            name=name_of(part),
        ),
        expires_at=service.utc_now() + TICKET_LIFETIME,
    )
    facts = playback.facts
    return Playback(
        url=f"/api/playback/{ticket}",
        media_type=facts.media_type,
        began_at=facts.began_at,
        duration_ms=facts.duration_ms,
        width=facts.width,
        height=facts.height,
        segments=[
            PlaybackSegment(segment=body.segment, number=number, sha256=body.blob.sha256)
            for number, body in part.sealed
        ],
        lost_segments=[lost.segment for lost in part.lost],
    )


async def stream_playback(incoming: Incoming) -> web.StreamResponse:
    """The bytes of a recording, whole or one range of them; the address is the credential, for an hour"""
    service, request = incoming.service, incoming.request
    token = service.tokens.read_playback(request.match_info["ticket"], now_at=service.utc_now())
    playback = await service.playbacks.reopen(token.case_id, token.name)
    if playback is None:  # evicted since
        case = await service.cases.get(token.case_id)
        part = await service.playbacks.find(case, token.call_number, token.actor_id, token.part)
        playback = await service.playbacks.open(case, part)
    reader, size = playback.reader, playback.reader.size_bytes
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Content-Type": playback.facts.media_type,
        "ETag": f'"{token.name}"',
        "X-Content-Type-Options": "nosniff",
    }
    try:
        # RFC 9110 section 13.1.5: a range of something else is of no use, so that all of this is sent.
        whole = request.headers.get("If-Range", headers["ETag"]) != headers["ETag"]
        span = None if whole else parse_range(request.headers.get("Range", ""), size)
        first, end = (0, size) if span is None else span
        if first >= end:
            # RFC 9110 section 15.5.17: the answer tells how long the representation is.
            return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{size}"})
        response = web.StreamResponse(status=200 if span is None else 206, headers=headers)
        if span is not None:
            response.headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        response.content_length = end - first
        await response.prepare(request)
        try:
            for offset in range(first, end, CHUNK_BYTES):
                await response.write(await reader.read(offset, min(CHUNK_BYTES, end - offset)))
            await response.write_eof()
        except ConnectionError:
            pass  # players break off whenever they have enough
        except BaseException as error:
            # The head is out: a broken connection is all that can still say that this is not all.
            if isinstance(error, CorruptBlob):
                await service.playbacks.discard(token.case_id, token.name)
            if request.transport is not None:
                request.transport.abort()
            raise
        return response
    finally:
        reader.close()


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Where the one range of a `Range` header begins and ends in `size` bytes, empty if it lies outside; None
    if there is none, several, or one that cannot be read: RFC 9110 section 14.2 lets those be passed over.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size  # RFC 9110 section 14.1.2: the last so many
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def _call_number(incoming: Incoming) -> int:
    text = incoming.request.match_info["call_number"]
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
        raise UnknownThing(f"this case has had no call {text[:MAX_DIGITS]}")
    return int(text)


CALLS = "/api/cases/{case_id}/calls"
OFFICE = INTEGRATOR | {"qa"}

OPERATIONS = (
    operation("GET", CALLS, list_calls, OFFICE, gives=RecordedCalls),
    operation("POST", CALLS + "/{call_number}/playback", play_back, OFFICE, takes=PlaybackOf, gives=Playback),
    operation("GET", "/api/playback/{ticket}", stream_playback, ANYONE, gives="video/*"),
)
