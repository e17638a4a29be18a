"""A relay as aiortc's examples build it: MediaRelay decodes each track once, each sender encodes it again.

Started as a process of its own (`python -m tests.bench.media_relay_server HOST PORT`). `POST /rooms/{room}`
with an SDP offer joins a room of two and answers with SDP.
"""

import asyncio
import sys

from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

RELAY = MediaRelay()


class Seat:
    """One participant of a room: what it sends, and the senders that wait for the other's."""

    def __init__(self) -> None:
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.senders: dict[str, RTCRtpSender] = {}


ROOMS: dict[str, list[Seat]] = {}
CONNECTIONS: list[RTCPeerConnection] = []


async def join(request: web.Request) -> web.Response:
    seats = ROOMS.setdefault(request.match_info["room"], [])
    seat = Seat()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    CONNECTIONS.append(connection)
    connection.on("track", lambda track: seat.tracks.__setitem__(track.kind, track))
    await connection.setRemoteDescription(RTCSessionDescription(sdp=await request.text(), type="offer"))
    for transceiver in connection.getTransceivers():
        transceiver.direction = "sendrecv"
        seat.senders[transceiver.kind] = transceiver.sender
    for other in seats:
        for kind in ("audio", "video"):
            seat.senders[kind].replaceTrack(RELAY.subscribe(other.tracks[kind]))
            other.senders[kind].replaceTrack(RELAY.subscribe(seat.tracks[kind]))
    seats.append(seat)
    await connection.setLocalDescription(await connection.createAnswer())
    return web.Response(text=connection.localDescription.sdp, content_type="application/sdp")


async def ready(request: web.Request) -> web.Response:
    return web.Response(text="ready")


async def main(host: str, port: int) -> None:
    application = web.Application()
    application.router.add_get("/", ready)
    application.router.add_post("/rooms/{room}", join)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
