"""A call on virtual time: a list of steps, played against a router whose peers are simulated.

    play(*call_of("a", "b"), Send("a", "video", 10), Lose("a", "video"), Run(0.1), Answer("a"), Check(…))

`Send` makes and delivers the next packets of a peer, `Lose` makes them and loses them on the way, `Run` lets
time pass in steps of the driver's timer, `Answer` lets a sender do what it was told since, `Ask` is RTCP
from a receiver, and `Check` names a claim about what everybody got.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from media.journal import Journal, Segment
from media.router import EncodingsOrdered, Output, Router, SegmentCut, SendRtcp, SendRtp, SlotsChanged
from media.rtcp import (
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    RtcpPacket,
    encode_compound,
    parse_compound,
)
from media.rtp import HEADER, RtpHeader, Ssrc, parse_header, payload
from media.sdp import (
    EXTENSION_AUDIO_LEVEL,
    EXTENSION_MID,
    EXTENSION_REPAIRED_RID,
    EXTENSION_RID,
    EXTENSION_TRANSPORT_NUMBER,
    EXTENSION_VIDEO_ORIENTATION,
    Codec,
    MediaSection,
    Offer,
    SlotSsrcs,
    lay_out_slots,
)

START = 1000.0
CLOCK_ZERO_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TICK_S = 0.005  # finer than any deadline is far from the next
CLOCK_RATES = {"audio": 48_000, "video": 90_000}
PACKET_TIMES_S = {"audio": 0.02, "video": 1 / 30}
KEYFRAME = b"\x10\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01 a keyframe begins"  # RFC 7741 §4.3, VGA
INTERFRAME = b"\x10\x11\x00\x00 a picture after it"
CONTINUATION = b"\x00 the rest of a picture"
SOUND = b"\x78 sound"
MID_ID, NUMBER_ID, RID_ID, REPAIRED_RID_ID = 4, 5, 6, 7  # of header extensions in these offers

Told = TypeVar("Told", bound=RtcpPacket)


def codec(
    name: str, payload_type: int, feedback: tuple[str, ...], *, repair_payload_type: int | None = None
) -> Codec:
    audio = name == "opus"
    return Codec(
        name=name,
        payload_type=payload_type,
        clock_rate=48_000 if audio else 90_000,
        channels=2 if audio else None,
        parameters=(),
        feedback=feedback,
        repair_payload_type=repair_payload_type,
    )


def audio_section(
    mid: str,
    *,
    sends: bool,
    receives: bool,
    payload_type: int = 111,
    ssrcs: tuple[int, ...] = (),
    red: int | None = None,
    numbered: bool = False,
) -> MediaSection:
    return MediaSection(
        mid=mid,
        kind="audio",
        accepted=True,
        sends=sends,
        receives=receives,
        codecs=(codec("opus", payload_type, ("nack",)),),
        header_extensions=(
            (EXTENSION_MID, MID_ID),
            (EXTENSION_AUDIO_LEVEL, 1),
            *(((EXTENSION_TRANSPORT_NUMBER, NUMBER_ID),) if numbered else ()),
        ),
        ssrcs=ssrcs,
        cname=None,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=(),
        redundant_payload_type=red,
    )


def video_section(
    mid: str,
    *,
    sends: bool,
    receives: bool,
    codecs: tuple[tuple[str, int], ...] = (("VP8", 96), ("H264", 102)),
    feedback: tuple[str, ...] = ("nack", "nack pli", "ccm fir"),
    orientation_id: int = 3,
    ssrcs: tuple[int, ...] = (),
    rtx: bool = False,
    repairs: tuple[tuple[int, int], ...] = (),
    rids: tuple[str, ...] = (),
    numbered: bool = False,
) -> MediaSection:
    """With `rtx`, each codec's retransmissions have the payload type behind its own. `numbered`: all that is
    sent is counted, and reported.
    """
    return MediaSection(
        mid=mid,
        kind="video",
        accepted=True,
        sends=sends,
        receives=receives,
        codecs=tuple(
            codec(name, payload_type, feedback, repair_payload_type=payload_type + 1 if rtx else None)
            for name, payload_type in codecs
        ),
        header_extensions=(
            (EXTENSION_MID, MID_ID),
            (EXTENSION_VIDEO_ORIENTATION, orientation_id),
            *(((EXTENSION_RID, RID_ID), (EXTENSION_REPAIRED_RID, REPAIRED_RID_ID)) if rids else ()),
            *(((EXTENSION_TRANSPORT_NUMBER, NUMBER_ID),) if numbered else ()),
        ),
        ssrcs=ssrcs,
        cname=None,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=(),
        repairs=repairs,
        rids=rids,
    )


def offer_of(*sections: MediaSection) -> Offer:
    return Offer(ice_ufrag="ufrag", ice_pwd="p" * 22, fingerprints=(), sections=sections)


def page_offer(
    *,
    slots: int = 3,
    opus: int = 111,
    vp8: int = 96,
    orientation_id: int = 3,
    rtx: bool = False,
    red: int | None = None,
    camera: tuple[int, int] | None = None,
    rids: tuple[str, ...] = (),
    numbered: bool = False,
) -> Offer:
    """What our page offers: a microphone, a camera, and slots for others. `camera` are the SSRCs of pictures
    and of their retransmissions, where the offer names them; with `rids` it has several encodings.
    """
    codecs = (("VP8", vp8), ("H264", vp8 + 6))
    sections = [
        audio_section("0", sends=True, receives=False, payload_type=opus, red=red, numbered=numbered),
        video_section(
            "1",
            sends=True,
            receives=False,
            codecs=codecs,
            orientation_id=orientation_id,
            rtx=rtx,
            ssrcs=camera[:1] if camera else (),
            repairs=(camera,) if camera else (),
            rids=rids,
            numbered=numbered,
        ),
    ]
    for slot in range(slots):
        sections += [
            audio_section(
                f"{2 * slot + 2}", sends=False, receives=True, payload_type=opus, red=red, numbered=numbered
            ),
            video_section(
                f"{2 * slot + 3}",
                sends=False,
                receives=True,
                codecs=codecs,
                orientation_id=orientation_id,
                rtx=rtx,
                numbered=numbered,
            ),
        ]
    return offer_of(*sections)


def watching_offer(*, slots: int = 3) -> Offer:
    """What QA's page offers when it only watches."""
    return offer_of(*page_offer(slots=slots).sections[2:])


@dataclass(slots=True, kw_only=True)
class Sender:
    """One stream that a simulated peer sends."""

    ssrc: Ssrc
    payload_type: int
    sequence_number: int
    rtp_timestamp: int
    sent: dict[int, bytes] = field(default_factory=dict)

    def next_packet(self, body: bytes, *, extension: bytes = b"", step: int = 0) -> bytes:
        self.sequence_number = (self.sequence_number + 1) & 0xFFFF
        self.rtp_timestamp = (self.rtp_timestamp + step) & 0xFFFF_FFFF
        first = 0x90 if extension else 0x80
        header = HEADER.pack(first, self.payload_type, self.sequence_number, self.rtp_timestamp, self.ssrc)
        packet = self.sent[self.sequence_number] = header + extension + body
        return packet


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An RTP packet as a receiver got it."""

    now: float
    header: RtpHeader
    payload: bytes
    packet: bytes


class SimulatedCall:
    """The router, and what each of its simulated peers sends and got."""

    def __init__(self) -> None:
        self.now = START
        self._random = random.Random(1)
        self.router = Router(random32=self.random32)
        self.slots: dict[str, tuple[SlotSsrcs, ...]] = {}
        self.senders: dict[tuple[str, str], Sender] = {}
        self.heard: dict[str, list[Heard]] = {}
        self.told: dict[str, list[tuple[float, RtcpPacket]]] = {}
        self.moved: list[str] = []
        self.ordered: list[str] = []
        self.cut: dict[str, list[Segment]] = {}
        self.offers: dict[str, Offer] = {}
        self.answered: dict[str, int] = {}  # how much of what a peer was told it has acted on

    def random32(self) -> int:
        return self._random.getrandbits(32)

    def sender(self, peer_id: str, kind: str) -> Sender:
        """The stream that a peer sends of a kind, in the numbers of their own offer."""
        key = (peer_id, kind)
        if key not in self.senders:
            section = next(one for one in self.offers[peer_id].sending_sections() if one.kind == kind)
            self.senders[key] = Sender(
                ssrc=Ssrc(section.ssrcs[0] if section.ssrcs else self.random32()),
                payload_type=section.codecs[0].payload_type,
                sequence_number=self.random32() & 0xFFFF,
                rtp_timestamp=self.random32(),
            )
        return self.senders[key]

    def deliver(self, peer_id: str, packet: bytes) -> list[str]:
        """A packet of a peer arrives; who got it."""
        copies = self.router.handle_rtp(peer_id, packet, self.now)
        for receiver_id, head, shared, start in copies:
            self._hear(receiver_id, head + shared[start:])
        return [receiver_id for receiver_id, *_ in copies]

    def deliver_rtcp(self, peer_id: str, *packets: RtcpPacket) -> None:
        self.perform(self.router.handle_rtcp(peer_id, encode_compound(packets), self.now))

    def perform(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case SendRtp():
                    self._hear(output.peer_id, output.head + output.packet[output.start :])
                case SendRtcp():
                    self.told[output.peer_id] += [
                        (self.now, packet) for packet in parse_compound(output.compound)
                    ]
                case SlotsChanged():
                    self.moved.append(output.peer_id)
                case EncodingsOrdered():
                    self.ordered.append(output.peer_id)
                case SegmentCut():
                    self.cut.setdefault(output.peer_id, []).append(output.segment)

    def _hear(self, receiver_id: str, packet: bytes) -> None:
        self.heard[receiver_id].append(
            Heard(now=self.now, header=parse_header(packet), payload=payload(packet), packet=packet)
        )

    def run(self, seconds: float) -> None:
        """Time passes, and what is due is done; nothing arrives meanwhile."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + TICK_S)
            if self.router.next_deadline <= self.now:
                self.perform(self.router.handle_timeout(self.now))

    def ssrc_of_slot(self, peer_id: str, slot: int, kind: str) -> Ssrc:
        layout = self.slots[peer_id][slot]
        ssrc = layout.audio_ssrc if kind == "audio" else layout.video_ssrc
        assert ssrc is not None
        return Ssrc(ssrc)

    def heard_in(self, peer_id: str, slot: int, kind: str) -> list[Heard]:
        ssrc = self.ssrc_of_slot(peer_id, slot, kind)
        return [one for one in self.heard[peer_id] if one.header.ssrc == ssrc]

    def told_of(self, peer_id: str, kind: type[Told]) -> list[Told]:
        return [packet for _, packet in self.told[peer_id] if isinstance(packet, kind)]

    def people_in_slots(self, peer_id: str) -> list[tuple[int, str]]:
        return [(one.slot, one.peer_id) for one in self.router.slots(peer_id)]


class Step(Protocol):
    def play(self, call: SimulatedCall) -> None: ...


def play(*steps: Step) -> SimulatedCall:
    call = SimulatedCall()
    for step in steps:
        step.play(call)
    return call


@dataclass(frozen=True, slots=True)
class Join:
    """A peer connects; nothing of theirs is relayed yet."""

    peer_id: str
    offer: Offer = field(default_factory=page_offer)

    def play(self, call: SimulatedCall) -> None:
        call.offers[self.peer_id] = self.offer
        call.slots[self.peer_id] = lay_out_slots(self.offer, call.random32)
        call.heard[self.peer_id], call.told[self.peer_id] = [], []
        call.answered[self.peer_id] = 0
        for kind in ("audio", "video"):
            call.senders.pop((self.peer_id, kind), None)
        call.perform(call.router.add_peer(self.peer_id, self.offer, call.slots[self.peer_id], call.now))


@dataclass(frozen=True, slots=True)
class Admit:
    """With `journal` what the peer sends is kept, and lies in `cut`."""

    peer_id: str
    journal: bool = False

    def play(self, call: SimulatedCall) -> None:
        journal = Journal(clock_zero_at=CLOCK_ZERO_AT) if self.journal else None
        call.perform(call.router.admit(self.peer_id, call.now, journal))


@dataclass(frozen=True, slots=True)
class Withdraw:
    peer_id: str

    def play(self, call: SimulatedCall) -> None:
        call.perform(call.router.withdraw(self.peer_id, call.now))


@dataclass(frozen=True, slots=True)
class Remove:
    peer_id: str

    def play(self, call: SimulatedCall) -> None:
        call.perform(call.router.remove_peer(self.peer_id, call.now))


@dataclass(frozen=True, slots=True)
class Send:
    """The next packets of a peer, at the pace of their kind; `body` is that of the first alone."""

    peer_id: str
    kind: str
    count: int = 1
    body: bytes = b""

    lost = False

    def play(self, call: SimulatedCall) -> None:
        sender = call.sender(self.peer_id, self.kind)
        for place in range(self.count):
            call.run(PACKET_TIMES_S[self.kind])
            body = self.body if self.body and place == 0 else SOUND if self.kind == "audio" else INTERFRAME
            step = round(PACKET_TIMES_S[self.kind] * CLOCK_RATES[self.kind])
            packet = sender.next_packet(body, step=0 if body == CONTINUATION else step)
            if not self.lost:
                call.deliver(self.peer_id, packet)


class Lose(Send):
    """As `Send`, and the network loses them."""

    lost = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A sender sends again what NACKs asked for, and a keyframe if one was wanted, since it last answered."""

    peer_id: str

    def play(self, call: SimulatedCall) -> None:
        told = call.told[self.peer_id][call.answered[self.peer_id] :]
        call.answered[self.peer_id] += len(told)
        senders = {one.ssrc: one for (peer_id, _), one in call.senders.items() if peer_id == self.peer_id}
        for _, packet in told:
            match packet:
                case Nack():
                    for sequence_number in packet.sequence_numbers:
                        call.deliver(self.peer_id, senders[packet.media_ssrc].sent[sequence_number])
                case PictureLossIndication() | FullIntraRequest():
                    Send(self.peer_id, "video", body=KEYFRAME).play(call)
                case _:
                    pass


@dataclass(frozen=True, slots=True)
class Ask:
    """RTCP from a peer: made at its time, of what they heard by then."""

    peer_id: str
    make: Callable[[SimulatedCall], RtcpPacket]

    def play(self, call: SimulatedCall) -> None:
        call.deliver_rtcp(self.peer_id, self.make(call))


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float

    def play(self, call: SimulatedCall) -> None:
        call.run(self.seconds)


@dataclass(frozen=True, slots=True)
class Check:
    claim: str
    holds: Callable[[SimulatedCall], bool]

    def play(self, call: SimulatedCall) -> None:
        assert self.holds(call), self.claim


def call_of(*peer_ids: str) -> tuple[Step, ...]:
    """Everybody joins with our page and is admitted."""
    return (*map(Join, peer_ids), *map(Admit, peer_ids))
