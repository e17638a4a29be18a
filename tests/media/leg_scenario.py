"""A call whose receivers have networks, on virtual time: `Film`, `Talk`, `Shape`, `Run`, `Check` in a list.

    camera ── Router ── Link (a receiver's way down) ── page: what came, and when
      ^                                                  │
      └─ orders, wishes for keyframes        transport-wide feedback, NACK, PLI: WAY_BACK_S later

A camera sends the encodings that it is told to, at the rates that it is told, in three temporal layers. A
page asks for what it misses as browsers do, and tells of all that came. What leaves the router is looked at
before any network: see `assert_well_numbered`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import inf
from typing import NamedTuple, Protocol

from media.encodings import RIDS
from media.rtcp import Nack, PictureLossIndication, RtcpPacket, encode_compound
from media.rtp import (
    EXTENSION,
    HEADER,
    MARKER,
    Ssrc,
    element_at,
    extension_block,
    header_size,
    parse_header,
    payload,
)
from media.uplink_feedback import UplinkFeedback
from tests.link import IP_AND_UDP_BYTES, Conditions, Link
from tests.media.call_scenario import (
    MID_ID,
    NUMBER_ID,
    RID_ID,
    Admit,
    Join,
    SimulatedCall,
    offer_of,
    page_offer,
)

GOOD = Conditions(delay_s=0.04)
WAY_BACK_S = 0.04  # of what a page says
TAG_BYTES = 16  # of AES-GCM (RFC 7714 §8.1): the link carries what the wire would
PICTURE_S, SOUND_S = 1 / 25, 0.02
SOUND_BYTES = 80
PACKET_BYTES = 1_100
KEYFRAME_PICTURES = 5  # so many usual pictures is a keyframe as large as
SPARED = 0.2  # of the mean size, in each picture behind one: encoders keep their rate
LEAST_PICTURE_BYTES = 120
LATE_S = 0.1
TIMER_S = 0.001  # a driver's timer is no finer
NACK_INTERVAL_S, NACKED_S = 0.05, 1.0  # a page asks for what it misses, and how long
TEMPORAL = (0, 2, 1, 2)  # layers of successive pictures: L1T3
TEMPORAL_WEIGHTS = (1.6, 0.8, 0.8, 0.8)  # of the mean size: 40 %, 60 %, all


class Seen(NamedTuple):
    """A packet as it came to a page."""

    now: float
    ssrc: int
    payload: bytes


class Left(NamedTuple):
    """A packet as it left the router."""

    now: float
    ssrc: int
    sequence_number: int
    packet: bytes


def with_network(rate_bps: float | None, *, loss: float = 0.0) -> Conditions:
    return Conditions(rate_bps=rate_bps, delay_s=0.04, loss=loss, overhead_bytes=IP_AND_UDP_BYTES)


@dataclass(slots=True)
class Page:
    """A receiver: its way down, what came, and what it says."""

    link: Link
    answers: bool = True
    left: list[Left] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    highest: dict[int, int] = field(default_factory=dict)  # sequence numbers, by SSRC
    missing: dict[tuple[int, int], float] = field(default_factory=dict)  # SSRC and number, since when
    feedback: UplinkFeedback = field(default_factory=lambda: UplinkFeedback(ssrc=Ssrc(1)))


class Camera:
    """The encodings of one sender, as they are ordered."""

    def __init__(self, peer_id: str, bitrate_bps: int, late: int) -> None:
        self.peer_id = peer_id
        self.bitrate_bps = bitrate_bps
        self.late = late
        self.sent = 0
        self.ssrcs = {rid: 0x10 * (place + 1) + ord(peer_id[0]) * 0x100 for place, rid in enumerate(RIDS)}
        self.wanted: set[str] = set()  # keyframes of these
        self._was_on: set[str] = set()
        self._numbers = dict.fromkeys(RIDS, 0)
        self._arrival_number = count(1)
        self._pictures = 0
        self._picture_ids = dict.fromkeys(RIDS, 0)
        self._tl0 = dict.fromkeys(RIDS, 0)
        self._debts = dict.fromkeys(RIDS, 0.0)  # bytes that keyframes took beyond their part

    def pictures(self, orders: dict[str, int]) -> list[bytes]:
        """The next picture of each encoding that is on, in packets."""
        self._pictures += 1
        packets: list[bytes] = []
        is_wanted = bool(self.wanted)  # libvpx makes keyframes of all encodings at once
        self.wanted.clear()
        for rid, order_bps in orders.items():
            bitrate_bps = min(order_bps, self.bitrate_bps)
            if not bitrate_bps:
                self._was_on.discard(rid)
                continue
            is_key = is_wanted or rid not in self._was_on
            self._was_on.add(rid)
            packets += self._picture(rid, bitrate_bps, is_key=is_key)
        return packets

    def _picture(self, rid: str, bitrate_bps: int, *, is_key: bool) -> list[bytes]:
        place = 0 if is_key else self._pictures % len(TEMPORAL)
        layer = TEMPORAL[place]
        weight = KEYFRAME_PICTURES if is_key else TEMPORAL_WEIGHTS[place]
        mean_bytes = bitrate_bps * PICTURE_S / 8
        spared_bytes = min(self._debts[rid], SPARED * mean_bytes)
        left_bytes = max(LEAST_PICTURE_BYTES, round(weight * mean_bytes - spared_bytes))
        self._debts[rid] += mean_bytes * (KEYFRAME_PICTURES - 1) if is_key else -spared_bytes
        self._picture_ids[rid] = (self._picture_ids[rid] + 1) & 0x7FFF
        self._tl0[rid] = (self._tl0[rid] + (layer == 0)) & 0xFF
        packets: list[bytes] = []
        while left_bytes > 0:
            size_bytes = min(left_bytes, PACKET_BYTES)
            left_bytes -= size_bytes
            # RFC 7741 §4.2: X and S; I, L and T; a picture identifier of 15 bits, TL0PICIDX, TID and Y.
            first = 0x90 if not packets else 0x80
            descriptor = bytes([first, 0xE0]) + (0x8000 | self._picture_ids[rid]).to_bytes(2)
            descriptor += bytes([self._tl0[rid], layer << 6 | (0x20 if place in (1, 2) else 0)])
            body = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01" if is_key and not packets else b"\x11\x00\x00"
            picture = (descriptor + body + f"<{rid}{' key' if is_key else ''}>".encode()).ljust(size_bytes)
            self._numbers[rid] = (self._numbers[rid] + 1) & 0xFFFF
            marker = MARKER if left_bytes <= 0 else 0
            head = HEADER.pack(0x90, marker | 96, self._numbers[rid], 3_600 * self._pictures, self.ssrcs[rid])
            packets.append(head + self._extensions(rid) + picture)
        return packets

    def _extensions(self, rid: str) -> bytes:
        names = element(MID_ID, b"1") + element(RID_ID, rid.encode())
        return extension_block(names + element(NUMBER_ID, (next(self._arrival_number) & 0xFFFF).to_bytes(2)))


def element(identifier: int, data: bytes) -> bytes:
    return bytes([identifier << 4 | len(data) - 1]) + data


class NetworkedCall(SimulatedCall):
    """What leaves the router goes through each receiver's link; what a page says takes a while."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, Page] = {}
        self.cameras: dict[str, Camera] = {}
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()

    def at(self, when: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def run(self, seconds: float) -> None:
        """Time passes, from one thing that is due to the next."""
        end = self.now + seconds
        while True:
            due = max(self.router.next_deadline, self.now + TIMER_S)
            at = self._events[0][0] if self._events else inf
            if min(due, at) > end:
                break
            if at <= due:
                self.now, _, what = heapq.heappop(self._events)
                what()
            else:
                self.now = due
                self.perform(self.router.handle_timeout(self.now))
                assert self.router.next_deadline > self.now, "a deadline that stays would be met for ever"
        self.now = end

    def page(self, peer_id: str) -> Page:
        if peer_id not in self.pages:
            self.pages[peer_id] = Page(Link(GOOD, seed=len(self.pages) + 1))
            self.at(self.now + NACK_INTERVAL_S, lambda: self._speak(peer_id))
        return self.pages[peer_id]

    def _hear(self, receiver_id: str, packet: bytes) -> None:
        page, header = self.page(receiver_id), parse_header(packet)
        page.left.append(Left(self.now, header.ssrc, header.sequence_number, packet))
        for deliver_at, _ in page.link.handle_datagram(packet + bytes(TAG_BYTES), self.now):
            self.at(deliver_at, lambda: self._arrive(receiver_id, packet))

    def _arrive(self, receiver_id: str, packet: bytes) -> None:
        page, header = self.pages[receiver_id], parse_header(packet)
        at = element_at(packet, NUMBER_ID, header_size(packet)) if packet[0] & EXTENSION else 0
        if at:
            number = int.from_bytes(packet[at : at + 2])
            page.feedback.handle_arrival(number, len(packet) + TAG_BYTES + IP_AND_UDP_BYTES, self.now)
        body, ssrc, number = payload(packet), header.ssrc, header.sequence_number
        layouts = self.slots[receiver_id]
        repaired = next((one.video_ssrc for one in layouts if one.repair_ssrc == ssrc), None)
        if repaired is not None:
            if header.padding_bytes:
                return  # a probe
            ssrc, number, body = Ssrc(repaired), int.from_bytes(body[:2]), body[2:]
        else:
            highest = page.highest.get(ssrc, number - 1)
            ahead = ((number - highest + 0x8000) & 0xFFFF) - 0x8000
            for missed in range(highest + 1, highest + min(ahead, 500)):
                page.missing[ssrc, missed & 0xFFFF] = self.now
            page.highest[ssrc] = number if ahead > 0 else highest
        page.missing.pop((ssrc, number), None)
        page.seen.append(Seen(self.now, ssrc, body))
        if b" key>" in body and body[0] & 0x10:  # what is before it is needed no more
            page.missing = {(one, lost): at for (one, lost), at in page.missing.items() if one != ssrc}

    def _speak(self, peer_id: str) -> None:
        """What a page says, twenty times a second: RFC 4585's wishes, and what came."""
        self.at(self.now + NACK_INTERVAL_S, lambda: self._speak(peer_id))
        page = self.pages[peer_id]
        pictures = {one.video_ssrc for one in self.slots[peer_id]}
        said: list[RtcpPacket] = []
        for ssrc in {ssrc for ssrc, _ in page.missing}:
            numbers = [(number, since) for (one, number), since in page.missing.items() if one == ssrc]
            given_up = [number for number, since in numbers if self.now - since > NACKED_S]
            for number in given_up:
                del page.missing[ssrc, number]
            if given_up and ssrc in pictures:
                said.append(PictureLossIndication(ssrc=Ssrc(1), media_ssrc=Ssrc(ssrc)))
            wished = tuple(number for number, _ in numbers if number not in given_up)
            if wished:
                said.append(Nack(ssrc=Ssrc(1), media_ssrc=Ssrc(ssrc), sequence_numbers=wished))
        if page.answers:
            said += page.feedback.handle_timeout(self.now)
        for packet in said:
            self.say(peer_id, packet)

    def say(self, peer_id: str, packet: RtcpPacket) -> None:
        """RTCP of a page, as it arrives a while later."""
        compound = encode_compound([packet])
        self.at(
            self.now + WAY_BACK_S,
            lambda: self.perform(self.router.handle_rtcp(peer_id, compound, self.now)),
        )

    def film(self, camera: Camera) -> None:
        self.at(self.now + PICTURE_S, lambda: self.film(camera))
        told = self.told[camera.peer_id]
        for _, one in told[self.answered[camera.peer_id] :]:
            if isinstance(one, PictureLossIndication):
                camera.wanted |= {rid for rid, ssrc in camera.ssrcs.items() if ssrc == one.media_ssrc}
        self.answered[camera.peer_id] = len(told)
        orders = {one.rid: one.max_bitrate_bps for one in self.router.encodings(camera.peer_id)}
        for packet in camera.pictures(orders):
            camera.sent += 1
            if camera.late and camera.sent % camera.late == 0:
                self.at(self.now + LATE_S, partial(self.deliver, camera.peer_id, packet))
            else:
                self.deliver(camera.peer_id, packet)

    def talk(self, peer_id: str) -> None:
        self.at(self.now + SOUND_S, lambda: self.talk(peer_id))
        # When it was said stands in it, in µs.
        body = b"\x78" + round(self.now * 1e6).to_bytes(8)
        step = round(SOUND_S * 48_000)
        self.deliver(peer_id, self.sender(peer_id, "audio").next_packet(body.ljust(SOUND_BYTES), step=step))

    # What claims are made of.

    def seen_in(self, peer_id: str, kind: str = "video", slot: int = 0, *, last_s: float = inf) -> list[Seen]:
        ssrc = self.ssrc_of_slot(peer_id, slot, kind)
        return [one for one in self.pages[peer_id].seen if one.ssrc == ssrc and one.now >= self.now - last_s]

    def rate_bps(self, peer_id: str, rid: str = "", slot: int = 0, *, last_s: float) -> float:
        """Of pictures that came, of one encoding or any."""
        seen = self.seen_in(peer_id, slot=slot, last_s=last_s)
        return sum(8 * len(one.payload) for one in seen if rid.encode() in one.payload) / last_s

    def rids(self, peer_id: str, slot: int = 0, *, last_s: float) -> set[str]:
        """Of which encodings pictures came."""
        seen = self.seen_in(peer_id, slot=slot, last_s=last_s)
        return {rid for rid in RIDS if any(f"<{rid}".encode() in one.payload for one in seen)}

    def kept_rids(self, peer_id: str) -> list[str]:
        """Of which encodings the packets are that the recording has."""
        return [
            rid
            for segment in self.cut.get(peer_id, [])
            for record in segment.records
            if not record.is_rtcp
            for rid in RIDS
            if f"<{rid}".encode() in record.data
        ]

    def sound_delays_s(self, peer_id: str, *, since: float) -> list[float]:
        """From a sender's arrival here to a page, of what came at the first try, from the shortest."""
        delays: dict[int, float] = {}
        for one in self.seen_in(peer_id, "audio"):
            said_us = int.from_bytes(one.payload[1:9])
            if said_us >= since * 1e6:
                delays.setdefault(said_us, one.now - said_us / 1e6)
        return sorted(delays.values())


def assert_well_numbered(call: NetworkedCall) -> None:
    """No two different packets of one stream have a number in common (RFC 7714 §8.1: it is the nonce), none
    is missing, and the transport-wide ones ascend by one.
    """
    for peer_id, page in call.pages.items():
        known: dict[tuple[int, int], bytes] = {}
        numbers: list[int] = []
        for _, ssrc, sequence_number, packet in page.left:
            first = known.setdefault((ssrc, sequence_number), packet)
            if first is not packet and first == packet:
                continue  # the same again: a repair
            assert first is packet, f"{peer_id}: number {sequence_number} of {ssrc:x} for different packets"
            if packet[0] & EXTENSION and (at := element_at(packet, NUMBER_ID, header_size(packet))):
                numbers.append(int.from_bytes(packet[at : at + 2]))
        assert numbers == [place & 0xFFFF for place in range(len(numbers))], peer_id
        if any(camera.late for camera in call.cameras.values()):
            continue  # of what was missing when an encoding was left nobody knows what it was
        before = (0, 0)
        for ssrc, number in sorted(known):
            assert before[0] != ssrc or number == before[1] + 1, (
                f"{peer_id}: a hole before {number} of {ssrc:x}"
            )
            before = ssrc, number


class Step(Protocol):
    def play(self, call: NetworkedCall) -> None: ...


def play(*steps: Step) -> NetworkedCall:
    """Any call is well numbered, whatever else it shows."""
    call = NetworkedCall()
    for step in steps:
        step.play(call)
    assert_well_numbered(call)
    return call


@dataclass(frozen=True, slots=True)
class Film:
    """A peer's camera goes on, at this rate where nobody limits it."""

    peer_id: str
    bitrate_bps: int = 1_500_000
    late: int = (
        0  # of so many packets one comes later than those behind it: lost on the way here, and repaired
    )

    def play(self, call: NetworkedCall) -> None:
        call.cameras[self.peer_id] = Camera(self.peer_id, self.bitrate_bps, self.late)
        call.film(call.cameras[self.peer_id])


@dataclass(frozen=True, slots=True)
class Talk:
    peer_id: str

    def play(self, call: NetworkedCall) -> None:
        call.talk(self.peer_id)


@dataclass(frozen=True, slots=True)
class Shape:
    """From now on a receiver's way down is like this."""

    peer_id: str
    conditions: Conditions

    def play(self, call: NetworkedCall) -> None:
        call.page(self.peer_id).link.conditions = self.conditions


@dataclass(frozen=True, slots=True)
class Do:
    """Something happens at one end."""

    what: Callable[[NetworkedCall], None]

    def play(self, call: NetworkedCall) -> None:
        self.what(call)


@dataclass(frozen=True, slots=True)
class Expect:
    """As `Check`, of what came through networks."""

    claim: str
    holds: Callable[[NetworkedCall], bool]

    def play(self, call: NetworkedCall) -> None:
        assert self.holds(call), self.claim


def filmed(
    *watching: str, recorded: bool = True, numbered: bool = True, rtx: bool = True
) -> tuple[Step, ...]:
    """ "a" films and talks, the others watch."""
    offer = page_offer(rids=RIDS, numbered=True, rtx=True)
    viewer = offer_of(*page_offer(numbered=numbered, rtx=rtx).sections[2:])
    return (
        Join("a", offer),
        *(Join(one, viewer) for one in watching),
        Admit("a", journal=recorded),
        *map(Admit, watching),
        Talk("a"),
        Film("a"),
    )
