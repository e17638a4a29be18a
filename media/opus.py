"""Opus packets without a decoder (RFC 6716): how long one lasts, and what stands where none arrived. Pure.

    ┌ config (5 bits): mode, bandwidth, frame size │ s: stereo │ c: frames ┐┌ frames …
    └───────────────────────── TOC, one byte (§3.1) ───────────────────────┘

Players count samples: Chromium plays one packet behind the other and takes the count for its clock, so that a
pause that is merely a gap between two timestamps brings sound and picture out of step by its length.
`GaplessSound` therefore leaves no gap. What was sent is passed on as it is; what was not there is filled with
packets that say so: a frame of no bytes, which a decoder takes for a lost one and conceals (§3.2.1), and
digital silence after a tenth of a second.
"""

from __future__ import annotations

from typing import NamedTuple

from media.errors import MalformedPayload

# RFC 6716 §3.1, table 2: frame sizes of four configurations of SILK, two of hybrid, four of CELT.
SILK_FRAMES_US = (10_000, 20_000, 40_000, 60_000)
HYBRID_FRAMES_US = (10_000, 20_000)
CELT_FRAMES_US = (2_500, 5_000, 10_000, 20_000)
FIRST_HYBRID, FIRST_CELT = 12, 16
FRAME_COUNT_MASK, ARBITRARY_FRAMES = 0x03, 3
ARBITRARY_COUNT_MASK = 0x3F  # RFC 6716 §3.2.5
MAX_DURATION_US = 120_000  # RFC 6716 §3.2.5 [R5]: the audio duration within a packet MUST NOT exceed 120 ms

# Full-band CELT, 20 to 2.5 ms; the frame's first symbol says "silence" and nothing follows (RFC 6716 §4.3).
SILENCES = tuple((duration_us, bytes([toc, 0xFF, 0xFE])) for duration_us, toc in (
    (20_000, 0xF8), (10_000, 0xF0), (5_000, 0xE8), (2_500, 0xE0),
))  # fmt: skip
TOLERANCE_US = 10_000  # half a packet: less is jitter of the mapping between clocks, and nobody hears it
CONCEALED_US = 100_000  # decoders fade out what they make up within about this time


def packet_duration_us(packet: bytes) -> int:
    """How long a packet sounds. Raises MalformedPayload if it has no frame, or more than a packet may."""
    if not packet:
        raise MalformedPayload("an empty Opus packet")
    toc = packet[0]
    frames = (1, 2, 2)[toc & FRAME_COUNT_MASK] if toc & FRAME_COUNT_MASK != ARBITRARY_FRAMES else 0
    if not frames:
        if len(packet) < 2:
            raise MalformedPayload("an Opus packet without its frame count")
        frames = packet[1] & ARBITRARY_COUNT_MASK
    duration_us = frames * frame_duration_us(toc)
    if not 0 < duration_us <= MAX_DURATION_US:
        raise MalformedPayload(f"an Opus packet of {duration_us} µs")
    return duration_us


def frame_duration_us(toc: int) -> int:
    """How long each frame of a packet with this first byte is."""
    config = toc >> 3
    if config < FIRST_HYBRID:
        return SILK_FRAMES_US[config % 4]
    return HYBRID_FRAMES_US[config % 2] if config < FIRST_CELT else CELT_FRAMES_US[config % 4]


class Sound(NamedTuple):
    presentation_us: int
    duration_us: int
    packet: bytes


class GaplessSound:
    """One file's sound: each packet begins where the one before it ends, from 0 on.

    Packets are put where their own time says, to within `TOLERANCE_US`; one that comes when its time is
    already filled is left out and counted in `dropped`.
    """

    def __init__(self) -> None:
        self.end_us = 0
        self.dropped = 0
        self._toc = 0
        self._concealed_us = CONCEALED_US  # since the last packet that was sent; before the first: silence

    def handle_packet(self, presentation_us: int, packet: bytes) -> list[Sound]:
        """The packet, behind what fills the time before it. Raises MalformedPayload."""
        duration_us = packet_duration_us(packet)
        if presentation_us - self.end_us <= -duration_us:
            self.dropped += 1
            return []
        sounds = self.fill(presentation_us)
        sounds.append(self._next(duration_us, packet))
        self._toc = packet[0]
        self._concealed_us = 0
        return sounds

    def fill(self, until_us: int) -> list[Sound]:
        """What stands in for packets up to a time before which none will come any more."""
        sounds: list[Sound] = []
        if until_us - self.end_us < TOLERANCE_US:
            return sounds
        lost_us = frame_duration_us(self._toc)
        while self._concealed_us < CONCEALED_US and until_us - self.end_us >= lost_us:
            sounds.append(self._next(lost_us, bytes([self._toc & ~FRAME_COUNT_MASK])))
            self._concealed_us += lost_us
        for silence_us, silence in SILENCES:
            while until_us - self.end_us >= silence_us:
                sounds.append(self._next(silence_us, silence))
        return sounds

    def _next(self, duration_us: int, packet: bytes) -> Sound:
        sound = Sound(self.end_us, duration_us, packet)
        self.end_us += duration_us
        return sound
