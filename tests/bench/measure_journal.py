"""What the journal costs: in the router, in the thread that seals a segment, and in the service as a whole.

The router's part is measured in this process, a call of two with and without journals in turns, so that the
difference is of the same minute. The service's is the CPU of `proofcall serve` beside one that keeps nothing.
"""

import asyncio
import hashlib
import heapq
import itertools
import os
import secrets
import time
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from media.journal import MAX_SEGMENT_S, Journal, Segment, encode_segment
from media.router import Router, SegmentCut
from media.rtp import HEADER
from media.sdp import lay_out_slots
from tests.bench.measure_cpu import watch
from tests.bench.media_source import AUDIO_FRAME_S, FRAME_RATE, MediaSource
from tests.bench.peer import running
from tests.bench.table import Row, judge, span
from tests.bench.workshop import Workshop
from tests.media.call_scenario import page_offer

ROUNDS = 8
ROUND_S = 20.0  # of the call, in virtual time: eight segments, 8,000 packets
PARTS = 20  # of a round, in turns
TURNS = 4  # the machine is a fifth faster or slower from one to the next
CALLS = 20
REACH = 0.15  # of the relay's CPU a packet
CHUNK_BYTES = 64 << 10  # 64 KiB: what is sealed at a time

Arrival = tuple[float, str, bytes]  # when, from whom, the packet


@dataclass(slots=True)
class Sealer:
    """Encodes, hashes, encrypts and writes segments, and counts its CPU time."""

    folder: Path
    cpu_s: float = 0.0
    size_bytes: int = 0
    cipher: AESGCM = field(default_factory=lambda: AESGCM(secrets.token_bytes(32)))

    def seal(self, segment: Segment) -> None:
        before_s = time.thread_time()
        data = encode_segment(segment)
        name = hashlib.sha256(data).hexdigest()
        with (self.folder / name).open("wb") as file:
            for number, start in enumerate(range(0, len(data), CHUNK_BYTES)):
                nonce = number.to_bytes(12)
                file.write(self.cipher.encrypt(nonce, data[start : start + CHUNK_BYTES], None))
            file.flush()
            os.fsync(file.fileno())
        self.cpu_s += time.thread_time() - before_s
        self.size_bytes += len(data)


class RoutedCall:
    """Two people send each other what bots send, on virtual time, through a router of their own."""

    def __init__(self, media: MediaSource, *, journal: bool) -> None:
        self.segments: list[Segment] = []
        self._router = Router(random32=lambda: secrets.randbits(32))
        self._arrivals = heapq.merge(_packets(media, "0"), _packets(media, "1"))
        self._next = next(self._arrivals)
        offer = page_offer()
        for peer_id in ("0", "1"):
            slots = lay_out_slots(offer, lambda: secrets.randbits(32))
            self._router.add_peer(peer_id, offer, slots, 0.0)
            self._router.admit(peer_id, 0.0, Journal(clock_zero_at=datetime.now(UTC)) if journal else None)

    def arrivals(self, until_s: float) -> Iterator[Arrival]:
        """Of packets, from where the last ended up to a point of the call's time."""
        while self._next[0] < until_s:
            yield self._next
            self._next = next(self._arrivals)

    def route(self, arrivals: Iterable[Arrival]) -> int:
        """The number of packets that were forwarded."""
        forwarded = 0
        router = self._router
        for now, peer_id, packet in arrivals:
            if now >= router.next_deadline:
                outputs = router.handle_timeout(now)
                self.segments += [one.segment for one in outputs if isinstance(one, SegmentCut)]
            forwarded += len(router.handle_rtp(peer_id, packet, now))
        return forwarded


def _packets(media: MediaSource, peer_id: str) -> Iterator[Arrival]:
    """A bot's sound and pictures, for ever; each packet is memory of its own, as where it is received."""
    sounds = (
        (number * AUDIO_FRAME_S, (media.sounds[number % len(media.sounds)],)) for number in itertools.count()
    )
    pictures = (
        (number / FRAME_RATE, media.pictures[number % len(media.pictures)]) for number in itertools.count()
    )
    streams = [
        _stream(sounds, peer_id, 111, 48_000, secrets.randbits(31)),
        _stream(pictures, peer_id, 96, 90_000, secrets.randbits(31)),
    ]
    return heapq.merge(*streams)


def _stream(
    units: Iterable[tuple[float, Sequence[bytes]]],
    peer_id: str,
    payload_type: int,
    clock_rate: int,
    ssrc: int,
) -> Iterator[Arrival]:
    number = 0
    for due_s, payloads in units:
        for payload in payloads:
            number += 1
            marker = 0x80 if payload is payloads[-1] else 0
            rtp_timestamp = int(due_s * clock_rate) & 0xFFFF_FFFF
            head = HEADER.pack(0x80, payload_type | marker, number & 0xFFFF, rtp_timestamp, ssrc)
            yield due_s, peer_id, head + payload


async def measure_journal(workshop: Workshop) -> list[Row]:
    services: dict[bool, list[float]] = {True: [], False: []}
    stored: dict[bool, int] = {True: 0, False: 0}
    for _ in range(TURNS):
        for keeps in (True, False):
            peer = workshop.proofcall() if keeps else workshop.proofcall_without_journal()
            async with running(peer):
                bots = [bot for _ in range(CALLS) for bot in await peer.connect_call()]
                services[keeps].append((await watch(peer, bots)).cpu_us)
                stored[keeps] += peer.blob_bytes()
    bare_us = sum(services[False]) / TURNS
    added_us = sum(services[True]) / TURNS - bare_us
    media = workshop.crowd.media
    routing_us, sealing_us, size_bytes = await asyncio.to_thread(_measure_parts, media, workshop)
    routing, sealing = median(routing_us), median(sealing_us)
    added_mib = await asyncio.to_thread(_measure_memory, media)
    return [
        Row(
            part="journal",
            what="CPU that its parts add a forwarded packet: router + sealing, of the relay's",
            reach=f"≤ {REACH:.0%}",
            measured=f"{routing:.2f} + {sealing:.2f} µs: {(routing + sealing) / bare_us:.1%}",
            noise=f"{span(routing_us, 2)} + {span(sealing_us, 2)} µs",
            peers=f"segments of {size_bytes >> 10} KiB",
            verdict=judge((routing + sealing) / bare_us <= REACH),
        ),
        Row(
            part="journal",
            what=f"CPU that it adds to the service a forwarded packet, {CALLS} calls of two",
            reach=f"≤ {REACH:.0%}",
            measured=f"{added_us:.1f} µs: {added_us / bare_us:.1%}",
            noise=f"{span(services[True], 1)} µs with it",
            peers=f"{span(services[False], 1)} µs without it; "
            f"stored {stored[True] >> 20} and {stored[False] >> 20} MiB",
            verdict=judge(added_us / bare_us <= REACH) if stored[True] > stored[False] else "–",
        ),
        Row(
            part="journal",
            what="memory that its packets add a participant, just before a cut",
            reach="",
            measured=f"{added_mib:.2f} MiB",
        ),
    ]


def _measure_parts(media: MediaSource, workshop: Workshop) -> tuple[list[float], list[float], int]:
    """Microseconds a forwarded packet in the router and in the sealer, round by round; bytes of a segment."""
    sealer = Sealer(folder=workshop.folder("journal"))
    calls = {keeps: RoutedCall(media, journal=keeps) for keeps in (False, True)}
    routing_us: list[float] = []
    sealing_us: list[float] = []
    segments = 0
    for number in range(1, ROUNDS + 1):
        forwarded = 0
        spent_s = {False: 0.0, True: 0.0}
        for part in range(PARTS):  # a slow moment of the machine hits both
            until_s = (number - 1 + (part + 1) / PARTS) * ROUND_S
            for keeps, call in calls.items():
                arrivals = list(call.arrivals(until_s))
                before_s = time.thread_time()
                count = call.route(arrivals)
                spent_s[keeps] += time.thread_time() - before_s
                forwarded += count if keeps else 0
        before_s = sealer.cpu_s
        for segment in calls[True].segments:
            sealer.seal(segment)
        segments += len(calls[True].segments)
        calls[True].segments.clear()
        routing_us.append((spent_s[True] - spent_s[False]) * 1e6 / forwarded)
        sealing_us.append((sealer.cpu_s - before_s) * 1e6 / forwarded)
    return routing_us, sealing_us, sealer.size_bytes // segments


def _measure_memory(media: MediaSource) -> float:
    """MiB a participant: what a call holds with journals, less what it holds without."""
    held: dict[bool, int] = {}
    for keeps in (False, True):
        tracemalloc.start()
        call = RoutedCall(media, journal=keeps)
        call.route(call.arrivals(2 * MAX_SEGMENT_S - 0.001))
        call.segments.clear()
        held[keeps] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return (held[True] - held[False]) / 2 / (1 << 20)
