"""Somebody in a call of a running service who sends pictures and sound that can be told again."""

import asyncio
from functools import cache
from typing import Any

from aiohttp import ClientWebSocketResponse

from tests.conftest import Caller
from tests.media.client_peer import AUDIO_PAYLOAD_TYPE, ClientPeer
from tests.media.video_source import FRAME_RATE, TICKS, encode
from tests.media.video_source import rtp_packet as video_packet

SILENCE = b"\xf8\xff\xfe"  # RFC 6716 §3.1: 20 ms of CELT, fullband, mono
OPUS_TICKS = 960  # 20 ms at 48 kHz


@cache
def pictures(count: int) -> tuple[tuple[bytes, ...], ...]:
    """Payloads of VP8, a keyframe each second."""
    encoded = encode("VP8", count, keyframes=range(0, count, FRAME_RATE))
    return tuple(picture.payloads for picture in encoded)


class Sender:
    """A peer with its place in the streams: pictures at 30 a second, sound at 50, as fast as the clock."""

    def __init__(self, peer: ClientPeer) -> None:
        self.peer = peer
        self.sent: list[bytes] = []
        self._pictures = 0
        self._sounds = 0
        self._sequence_number = 0

    async def send(self, seconds: float) -> None:
        """In real time: the journal's times are the clock's."""
        loop = asyncio.get_running_loop()
        shown = pictures(FRAME_RATE * 12)  # encoded before the clock runs
        began, until = loop.time(), loop.time() + seconds
        first_picture, first_sound = self._pictures, self._sounds
        while loop.time() < until:
            elapsed = loop.time() - began
            while self._pictures - first_picture < elapsed * FRAME_RATE:
                self._show(shown[self._pictures % len(shown)])
            while self._sounds - first_sound < elapsed * 50:
                self._say()
            await asyncio.sleep(0.01)

    def _show(self, payloads: tuple[bytes, ...]) -> None:
        for place, payload in enumerate(payloads, start=1):
            self._send(
                video_packet(
                    payload,
                    sequence_number=self._sequence_number,
                    rtp_timestamp=self._pictures * TICKS,
                    ssrc=self.peer.video_ssrc,
                    marker=place == len(payloads),
                )
            )
            self._sequence_number += 1
        self._pictures += 1

    def _say(self) -> None:
        header = bytes([0x80, AUDIO_PAYLOAD_TYPE]) + (self._sounds & 0xFFFF).to_bytes(2)
        header += (self._sounds * OPUS_TICKS).to_bytes(4) + self.peer.audio_ssrc.to_bytes(4)
        self._send(header + SILENCE)
        self._sounds += 1

    def _send(self, packet: bytes) -> None:
        self.sent.append(packet)
        self.peer.send_rtp(packet)


async def connect(url: str, http: Any, case_id: str, token: str) -> ClientPeer:
    """Media agreed over HTTP, as a page does."""
    peer = await ClientPeer.open()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with http.post(f"{url}/api/cases/{case_id}/media", data=peer.offer(), headers=headers) as answer:
        assert answer.status == 201
        peer.connect(await answer.text())
    await peer.wait_connected()
    return peer


async def all_entries(caller: Caller, case_id: str, *kinds: str) -> list[dict[str, Any]]:
    """The entries of these kinds, of the whole case, as the integrator sees them."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        _, page = await caller.call("GET", f"/api/cases/{case_id}/entries?after={after}")
        if not page["entries"]:
            return [entry for entry in found if not kinds or entry["envelope"]["kind"] in kinds]
        found += page["entries"]
        after = found[-1]["envelope"]["number"]


async def until_said(socket: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next entry of this kind that the socket is told of."""
    while True:
        message = await socket.receive_json(timeout=15)
        if message["type"] == "entry" and message["entry"]["envelope"]["kind"] == kind:
            return dict(message["entry"])
