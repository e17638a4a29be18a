"""aiortc as a participant: sends one plain colour and a tone, and looks at what comes in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction

import numpy
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame

from tests.end_to_end.conftest import Scene
from tests.interop.person import connect_media
from tests.interop.seen import Colour, Seen

SAMPLE_RATE = 48_000
SAMPLES_A_FRAME = 960  # 20 ms
TONE_HZ = 440


class PlainColour(VideoStreamTrack):
    """320 x 240 of one colour, 30 times a second."""

    def __init__(self, colour: Colour) -> None:
        super().__init__()
        self._image = numpy.full((240, 320, 3), colour, numpy.uint8)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._image, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A sine of 440 Hz, at a quarter of full scale."""

    async def recv(self) -> AudioFrame:
        silent = await super().recv()  # keeps the pace: 20 ms at 8 kHz
        assert isinstance(silent, AudioFrame) and silent.pts is not None
        number = silent.pts // 160
        time_s = numpy.arange(number * SAMPLES_A_FRAME, (number + 1) * SAMPLES_A_FRAME) / SAMPLE_RATE
        samples = (8192 * numpy.sin(2 * numpy.pi * TONE_HZ * time_s)).astype(numpy.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = (
            number * SAMPLES_A_FRAME,
            SAMPLE_RATE,
            Fraction(1, SAMPLE_RATE),
        )
        return frame


async def _watch(track: MediaStreamTrack, seen: Seen) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            if isinstance(frame, VideoFrame):
                red, green, blue = frame.to_ndarray(format="rgb24")[
                    frame.height * 3 // 4, frame.width * 3 // 4
                ]
                seen.handle_picture((int(red), int(green), int(blue)))
            elif isinstance(frame, AudioFrame):
                seen.handle_sound(float(numpy.square(frame.to_ndarray().astype(float)).mean()) / 2**30)


@asynccontextmanager
async def aiortc_peer(
    scene: Scene, token: str, colour: Colour, *, codec_name: str = "VP8"
) -> AsyncIterator[Seen]:
    """Connected media of the link's person until the block ends; what is seen there counts up."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    seen = Seen()
    watching: list[asyncio.Task[None]] = []
    connection.on("track", lambda track: watching.append(asyncio.create_task(_watch(track, seen))))
    capabilities = RTCRtpSender.getCapabilities("video").codecs
    preferred = [codec for codec in capabilities if codec.name == codec_name]
    connection.addTransceiver(Tone(), direction="sendrecv")
    sending = connection.addTransceiver(PlainColour(colour), direction="sendrecv")
    sending.setCodecPreferences(preferred)
    try:
        await connection.setLocalDescription(await connection.createOffer())
        answer = await connect_media(scene, token, connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        yield seen
    finally:
        await connection.close()
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
