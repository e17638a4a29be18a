"""What a page of a call saw and heard between two readings, and what went over its network meanwhile."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from playwright.async_api import Page

from tests.bench.access_network import AccessNetwork
from tests.bench.bot import BotFailed
from tests.bench.page_call import Direction
from tests.bench.smoothness import frame_rate, frozen_share, longest_stand_s
from tests.link import Counters

SAMPLE_RATE = 48_000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything's counters at one time: of who receives, of who sends, and of the link between them."""

    receiver: Json
    sender: Json
    link: Counters
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    async def take(
        cls, network: AccessNetwork, direction: Direction, receiver: Page, sender: Page
    ) -> "Reading":
        """`direction`: the sender is the one in that network ("uplink"), or the receiver is."""
        receives, sends = await asyncio.gather(
            receiver.evaluate("bench.reading()"), sender.evaluate("bench.reading()")
        )
        uplink, downlink = await network.counters()
        impaired = sends if direction == "uplink" else receives
        # A way round the proxy would measure a good network. The counters are read after the pages'.
        sent = counted(impaired, "outbound-rtp", "bytesSent")
        received = counted(impaired, "inbound-rtp", "bytesReceived")
        if uplink.offered_bytes < sent or downlink.carried_bytes < received:
            raise BotFailed(
                f"media went round the proxy: {uplink.offered_bytes} of {sent} bytes up, "
                f"{downlink.carried_bytes} of {received} down"
            )
        return cls(receiver=receives, sender=sends, link=uplink if direction == "uplink" else downlink)


def counted(page: Json, kind: str, *names: str, media: str | None = None, codec: str = "") -> float:
    """A counter, over all streams of a page."""
    return sum(
        float(stream.get(name, 0))
        for stream in page["streams"]
        if stream["type"] == kind
        and (media is None or stream["kind"] == media)
        and (stream.get("codec") or "").lower().endswith(codec)
        for name in names
    )


def _held_back_s(page: Json, reason: str) -> float:
    """https://w3c.github.io/webrtc-stats/#dom-rtcoutboundrtpstreamstats-qualitylimitationdurations"""
    return max(
        (
            float(stream["qualityLimitationDurations"][reason])
            for stream in page["streams"]
            if stream["type"] == "outbound-rtp" and "qualityLimitationDurations" in stream
        ),
        default=0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the measured person saw and heard in the window, and what that took.

    `short_of_cpu` and `short_of_rate` are the fractions of the time for which the sender's encoder says that
    it held back for want of these.
    """

    seconds: float
    frame_rate: float
    frozen: float
    longest_stand_s: float  # so old became the picture that stood there
    concealed: float
    height: int | None
    their_frozen: float  # libwebrtc's own count, which knows no open interval
    short_of_cpu: float
    short_of_rate: float
    link: Counters


def watched(before: Reading, after: Reading) -> Watched:
    page = after.receiver
    start_s, end_s = before.receiver["now"], page["now"]
    window_s = end_s - start_s
    frames_s = [time for time, _ in page["frames"]]
    seen = [height for time, height in page["frames"] if time >= start_s]

    def increase(*names: str, media: str) -> float:
        return counted(page, "inbound-rtp", *names, media=media) - counted(
            before.receiver, "inbound-rtp", *names, media=media
        )

    samples = increase("totalSamplesReceived", media="audio")
    # What was never played, because there was no connection or no stream, was not heard either.
    silent = max(0.0, window_s * SAMPLE_RATE - samples) if samples < 0.9 * window_s * SAMPLE_RATE else 0.0
    return Watched(
        seconds=window_s,
        frame_rate=frame_rate(frames_s, start_s, end_s),
        frozen=frozen_share(frames_s, start_s, end_s),
        longest_stand_s=longest_stand_s(frames_s, start_s, end_s),
        concealed=(increase("concealedSamples", media="audio") + silent) / (samples + silent),
        height=round(median(seen)) if seen else None,
        their_frozen=increase("totalFreezesDuration", media="video") / window_s,
        short_of_cpu=(_held_back_s(after.sender, "cpu") - _held_back_s(before.sender, "cpu")) / window_s,
        short_of_rate=(_held_back_s(after.sender, "bandwidth") - _held_back_s(before.sender, "bandwidth"))
        / window_s,
        link=after.link.since(before.link),
    )
