"""Recordings on virtual time: what a sender sends, what the network makes of it, and the segments of it.

sender = Sender(…)                       clocks, SSRCs, first timestamps
sent = sender.pictures(…) + sender.sounds(…) + sender.reports(…)      packets with the time they leave
segments = record(sent, lose=…, delay=…)                              as the journal hands them over
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from media.journal import SegmentStream
from media.playback import PlaybackRequest, PlaybackSegment
from media.rtcp import SenderReport, encode_compound
from media.rtp import HEADER, Ssrc
from media.rtpdump import encode_dump

BEGAN_AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
AUDIO_RATE, VIDEO_RATE = 48_000, 90_000
AUDIO_TYPE, VIDEO_TYPE = 111, 96
SOUND_S = 0.02
NTP_2026 = 3_981_312_000.0  # seconds since 1900, about
SEGMENT_S = 5.0
BEEP_BEGINS = 10  # packets; a decoder that another encoder's packets reach needs two to follow them


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet when it leaves; `lasts` says nothing of it but helps tests to name it."""

    leaves_s: float
    data: bytes
    kind: Literal["audio", "video", "rtcp"]
    number: int = 0
    """Which picture or sound it belongs to."""


@dataclass(slots=True)
class Sender:
    """One sender's streams. `ppm` is how much faster its clocks run than the server's."""

    codec_name: str = "VP8"
    audio_ssrc: int = 0xA0D10
    video_ssrc: int = 0x51DE0
    audio_timestamp: int = 0xFFFF_8000  # both wrap within a second or two
    video_timestamp: int = 0xFFFF_0000
    audio_number: int = 65_500
    video_number: int = 65_400
    ntp_s: float = NTP_2026
    ppm: float = 0.0
    audio_ppm: float = 0.0  # what the sound card is faster than that
    audio_latency_s: float = 0.025  # from the microphone to the network
    video_latency_s: float = 0.060
    mids: tuple[str, str] = ("0", "1")
    timestamp_shift: dict[str, float] = field(default_factory=lambda: {"audio": 0.0, "video": 0.0})
    """Seconds that the RTP timestamps of a kind lag behind what they should be: a phone call."""

    def _timestamp(self, kind: str, captured_s: float) -> int:
        rate, first = (
            (AUDIO_RATE, self.audio_timestamp) if kind == "audio" else (VIDEO_RATE, self.video_timestamp)
        )
        ppm = self.ppm + (self.audio_ppm if kind == "audio" else 0.0)
        elapsed_s = (captured_s - self.timestamp_shift[kind]) * (1 + ppm / 1e6)
        return (first + round(elapsed_s * rate)) & 0xFFFF_FFFF

    def sounds(
        self, packets: Sequence[bytes], *, from_s: float = 0.0, every_s: float = SOUND_S
    ) -> list[Sent]:
        """Packets of Opus, the first captured at `from_s`."""
        sent = []
        for number, payload in enumerate(packets):
            captured_s = from_s + number * every_s
            head = HEADER.pack(
                0x80,
                AUDIO_TYPE,
                self.audio_number & 0xFFFF,
                self._timestamp("audio", captured_s),
                self.audio_ssrc,
            )
            self.audio_number += 1
            sent.append(Sent(captured_s + self.audio_latency_s, head + payload, "audio", number))
        return sent

    def pictures(
        self, pictures: Sequence[Sequence[bytes]], *, from_s: float = 0.0, every_s: float = 0.04
    ) -> list[Sent]:
        """Pictures as RTP payloads, the first captured at `from_s`."""
        sent = []
        for number, payloads in enumerate(pictures):
            captured_s = from_s + number * every_s
            for place, payload in enumerate(payloads, start=1):
                head = HEADER.pack(
                    0x80,
                    VIDEO_TYPE | 0x80 * (place == len(payloads)),
                    self.video_number & 0xFFFF,
                    self._timestamp("video", captured_s),
                    self.video_ssrc,
                )
                self.video_number += 1
                leaves_s = captured_s + self.video_latency_s + 0.0005 * place
                sent.append(Sent(leaves_s, head + payload, "video", number))
        return sent

    def report(self, kind: Literal["audio", "video"], at_s: float) -> Sent:
        """A sender report: RTP timestamp and NTP time are of the same moment (RFC 3550 §6.4.1)."""
        ntp = self.ntp_s + at_s * (1 + self.ppm / 1e6)
        compound = encode_compound(
            [
                SenderReport(
                    ssrc=Ssrc(self.audio_ssrc if kind == "audio" else self.video_ssrc),
                    ntp_timestamp=round(ntp * 2**32),
                    rtp_timestamp=self._timestamp(kind, at_s),
                    packet_count=0,
                    octet_count=0,
                )
            ]
        )
        return Sent(at_s, compound, "rtcp")

    def reports(self, until_s: float, *, from_s: float = 0.0) -> list[Sent]:
        """As libwebrtc sends them: one a second for the picture, one in five for the sound."""
        picture = [self.report("video", from_s + 0.5 + second) for second in range(int(until_s - from_s))]
        sound = [
            self.report("audio", from_s + 2.5 + second)
            for second in range(0, max(0, int(until_s - from_s - 2)), 5)
        ]
        return picture + sound

    def streams(self) -> tuple[SegmentStream, SegmentStream]:
        """What the journal says of them."""
        return (
            SegmentStream(
                ssrc=self.audio_ssrc,
                mid=self.mids[0],
                kind="audio",
                codec_name="opus",
                payload_type=AUDIO_TYPE,
                clock_rate=AUDIO_RATE,
                channels=2,
                parameters="",
                packets=1,
            ),
            SegmentStream(
                ssrc=self.video_ssrc,
                mid=self.mids[1],
                kind="video",
                codec_name=self.codec_name,
                payload_type=VIDEO_TYPE,
                clock_rate=VIDEO_RATE,
                channels=None,
                parameters="",
                packets=1,
            ),
        )


def record(
    sent: Iterable[Sent],
    streams: Sequence[SegmentStream],
    *,
    lose: Callable[[Sent], bool] = lambda packet: False,
    delay_s: Callable[[Sent], float] = lambda packet: 0.02,
    began_at: datetime = BEGAN_AT,
) -> list[PlaybackSegment]:
    """Segments of what arrives, in the order of arrival."""
    arrived = sorted(
        ((packet.leaves_s + delay_s(packet), packet) for packet in sent if not lose(packet)),
        key=lambda pair: pair[0],
    )
    segments: list[PlaybackSegment] = []
    while arrived:
        first_s = arrived[0][0]
        size = next((i for i, (at_s, _) in enumerate(arrived) if at_s > first_s + SEGMENT_S), len(arrived))
        records = [
            (round((at_s - first_s) * 1000), packet.kind == "rtcp", packet.data)
            for at_s, packet in arrived[:size]
        ]
        dump = encode_dump(began_at + timedelta(seconds=first_s), records)
        segments.append(PlaybackSegment(number=len(segments) + 1, streams=streams, dump=dump))
        arrived = arrived[size:]
    return segments


def jitter(seed: int, most_s: float, least_s: float = 0.02) -> Callable[[Sent], float]:
    """A delay by chance, which also brings packets out of their order."""
    chance = random.Random(seed)
    return lambda packet: least_s + chance.random() * most_s


def loses(seed: int, share: float, kinds: str = "audio video") -> Callable[[Sent], bool]:
    """A share of the packets, by chance."""
    chance = random.Random(seed)
    return lambda packet: packet.kind in kinds and chance.random() < share


def request(
    segments: Sequence[PlaybackSegment], *, comment: str = "a comment", has_sound: bool = True
) -> PlaybackRequest:
    async def one_by_one() -> AsyncIterator[PlaybackSegment]:
        for segment in segments:
            yield segment

    return PlaybackRequest(segments=one_by_one(), title="a title", comment=comment, has_sound=has_sound)


@cache
def tones(count: int, *, beeps_every: int = 0, beep_packets: int = 5) -> tuple[bytes, ...]:
    """`count` packets of Opus, 20 ms each: a tone; or, with `beeps_every`, silence and in each so many packets a
    beep, after a fifth of a second.
    """
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = AUDIO_RATE, "mono", av.AudioFormat("s16")
    encoder.bit_rate = 32_000
    encoder.options = {"application": "lowdelay", "frame_duration": "20"}
    samples = int(AUDIO_RATE * SOUND_S)
    packets: list[bytes] = []
    for number in range(count):
        time_s = (np.arange(samples) + number * samples) / AUDIO_RATE
        loud = not beeps_every or 0 <= number % beeps_every - BEEP_BEGINS < beep_packets
        wave = (loud * 12_000 * np.sin(2 * np.pi * 1_000 * time_s)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, number * samples, Fraction(1, AUDIO_RATE)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets[:count])
