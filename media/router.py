"""The router of one call: whose packets go to whom, in whose numbers, and who is asked for what.

    sender ── Reception (an SSRC) ── Track (their sound or their picture) ─┬─ Forwarder (a slot) ── receiver
                                                                           └─ Forwarder (a slot) ── receiver

A pure machine without clock or socket. `handle_rtp` is the hot path and returns plain tuples; everything else
returns outputs for the driver to perform. RTCP ends here: what the router tells a peer is its own.

Peers are relayed only while they are admitted. Before that their packets are counted for reports and dropped.
Whoever is admitted with a journal has each packet kept in it once, repaired or not, before anything decides
where it goes.

How loss is met is an affair of each leg. What a sender repairs, by retransmission (RFC 4588) or redundancy
(RFC 2198), is unwrapped where it arrives: behind that point there are original packets alone, for the
receivers, the pictures and whoever else keeps them. Each forwarder wraps them anew as its receiver's network
asks for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import assert_never

from media import red, rtx
from media.allowance import Allowance
from media.depacketizer import MAY_START_KEYFRAME, is_keyframe_start
from media.errors import IllegalPeer, MalformedPayload, MalformedRtcp, MalformedRtp, UnknownPeer
from media.forwarder import REDUNDANCY, Forwarder
from media.journal import Journal, Reason, Segment
from media.keyframes import KeyframeRequests, KeyframeWishes
from media.picture_buffer import PictureBuffer, PictureRequest
from media.reception import REFUSED, Reception
from media.rtcp import (
    NTP_SECOND,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    encode_compound,
    parse_compound,
)
from media.rtp import HEADER, HEADER_BYTES, MARKER, PAYLOAD_TYPE, PLAIN, Ssrc, extensions, header_size
from media.sdp import EXTENSION_MID, Codec, MediaSection, Offer, SlotSsrcs

REPORT_INTERVAL_S = 1.0  # as libwebrtc does for video; RFC 3550 §6.2 allows it at these rates
MIN_REPORT_INTERVAL_S = (
    0.2  # a new stream's first report hurries, but a sender may begin any number of streams
)
ASSUMED_ROUND_TRIP_S = 0.1  # until a report tells better: a mobile network on a fair day
TAKE_OVER_S = 1.0  # a stream that was replaced may come back once its successor is silent this long
MAX_NACKED = 256  # sequence numbers in one packet: 1 kB if no two of them are neighbours
RELAY_CNAME = "relay"
MAX_REPLAYED = 80  # packets from a keyframe on that a newcomer is given: more, and a new keyframe is the less
MAX_BEGUN = 512  # packets behind the first of a stream that go out with it: 2 s of 2.5 Mbit/s, the history
MAX_RECEPTIONS = 16  # SSRCs of one peer: two, and some for restarts; the longest silent makes room

# What one receiver may have looked up: three streams of 2.5 Mbit/s, each packet named four times a second.
LOOKUPS_AT_ONCE = 4096
LOOKUPS_A_SECOND = 4096

# Packets of sound that one sender's redundancy may bring back: each of them, at 10 ms a packet.
RECOVERED_AT_ONCE = 100
RECOVERED_A_SECOND = 100

unpack_header = HEADER.unpack_from


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRtp:
    """What leaves is `head`, and what `packet` has from `start` on."""

    peer_id: str
    head: bytes
    packet: bytes
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRtcp:
    peer_id: str
    compound: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsChanged:
    """Somebody came into or left one of this peer's slots; `Router.slots` tells who sits where."""

    peer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCut:
    """A piece of what this peer sent is complete."""

    peer_id: str
    segment: Segment


Output = SendRtp | SendRtcp | SlotsChanged | SegmentCut

Copy = tuple[str, bytes, bytes, int]  # what `SendRtp` says, made once a packet and receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotAssignment:
    """Who sits in a receive slot, and in which sections of the receiver's offer they are seen and heard."""

    slot: int
    peer_id: str
    audio_mid: str | None
    video_mid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a peer sent and received since they were admitted, from their point of view. Bytes are of RTP
    with headers; `lost_packets` left the peer, never arrived here and could not be repaired.
    """

    sent_packets: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    received_bytes: int = 0
    lost_packets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamQuality:
    """One stream between a peer and the router. Counters run since the connection began."""

    mid: str
    kind: str
    sent_by_peer: bool
    packets: int
    bytes: int
    lost_packets: int  # and never repaired, as far as the receiving end knows
    repaired_packets: int  # lost on the way, and had all the same
    fraction_lost: float  # on the way, before repair, in the last interval of reports, 0 to 1
    jitter_s: float
    round_trip_s: float


class Track:
    """What a peer sends of one kind: the stream that carries it now, and the slots it goes to."""

    __slots__ = ("forwarders", "is_video", "keyframes", "pictures", "reception", "section")

    def __init__(self, *, is_video: bool) -> None:
        self.is_video = is_video
        self.section: MediaSection | None = None  # where the stream is bound; the first whose packets arrive
        self.reception: Reception | None = None
        self.forwarders: tuple[Forwarder, ...] = ()
        self.keyframes = KeyframeRequests()
        self.pictures = PictureBuffer()  # of whoever is admitted


class Seat:
    """One receive slot of a peer and who sits in it."""

    __slots__ = ("forwarders", "keyframe_wishes", "last_occupant_id", "layout", "occupant")

    def __init__(self, layout: SlotSsrcs, forwarders: dict[str, Forwarder]) -> None:
        self.layout = layout
        self.forwarders = forwarders  # by kind
        self.keyframe_wishes = KeyframeWishes()
        self.occupant: Peer | None = None
        self.last_occupant_id = ""


class Peer:
    """One participant's connection as the router sees it."""

    __slots__ = (
        "admitted",
        "baseline",
        "by_mid",
        "by_ssrc",
        "clock_offset",
        "feedback_ssrc",
        "fir_count",
        "forwarders",
        "has_round_trip",
        "journal",
        "lookups",
        "lost_of_ended",
        "mid_identifiers",
        "peer_id",
        "receptions",
        "recoveries",
        "repairs",
        "report_at",
        "reported_at",
        "round_trip_s",
        "seats",
        "sending",
        "sent_bytes",
        "sent_packets",
        "tracks",
        "traffic",
    )

    def __init__(self, peer_id: str, offer: Offer, feedback_ssrc: Ssrc, seats: tuple[Seat, ...]) -> None:
        self.peer_id = peer_id
        self.admitted = False
        self.journal: Journal | None = None  # of the admission
        self.feedback_ssrc = feedback_ssrc
        self.sending = offer.sending_sections()
        self.by_mid = {section.mid: section for section in self.sending}
        self.by_ssrc = {ssrc: section for section in self.sending for ssrc in section.ssrcs}
        self.repairs = {  # SSRC of retransmissions: that of the media, as far as the offer says
            repair: media for section in self.sending for media, repair in section.repairs
        }
        self.mid_identifiers = {section.extension_id(EXTENSION_MID) for section in self.sending} - {None}
        self.tracks = {"audio": Track(is_video=False), "video": Track(is_video=True)}
        self.receptions: dict[int, Reception] = {}
        self.seats = seats
        self.forwarders = {
            forwarder.ssrc: (seat, kind, forwarder)
            for seat in seats
            for kind, forwarder in seat.forwarders.items()
        }
        self.report_at = inf
        self.reported_at = -inf
        self.lookups = Allowance(burst=LOOKUPS_AT_ONCE, per_second=LOOKUPS_A_SECOND)
        self.recoveries = Allowance(burst=RECOVERED_AT_ONCE, per_second=RECOVERED_A_SECOND)
        self.round_trip_s = ASSUMED_ROUND_TRIP_S
        self.has_round_trip = False
        self.clock_offset = 0  # from the peer's NTP clock to the relay's
        self.fir_count = 0
        self.sent_packets = 0
        self.sent_bytes = 0
        self.lost_of_ended = 0
        self.baseline = Traffic()  # the counters at the last admission
        self.traffic = Traffic()  # of the last admission that is over

    def counters(self) -> Traffic:
        """Since the connection began."""
        forwarders = [forwarder for _, _, forwarder in self.forwarders.values()]
        return Traffic(
            sent_packets=self.sent_packets,
            sent_bytes=self.sent_bytes,
            received_packets=sum(forwarder.packets + forwarder.resent for forwarder in forwarders),
            received_bytes=sum(forwarder.sent_bytes + forwarder.resent_bytes for forwarder in forwarders),
            lost_packets=self.lost_of_ended + sum(reception.lost for reception in self.receptions.values()),
        )


class Router:
    """One call. `random32` gives 32 random bits. `next_deadline` is when `handle_timeout` has something to do
    next; any input may bring it nearer.
    """

    def __init__(self, *, random32: Callable[[], int]) -> None:
        self._random32 = random32
        self._peers: dict[str, Peer] = {}
        self._admitted: dict[str, Peer] = {}  # in the order of admission
        self._seating: dict[str, list[str]] = {}  # of those who have gone: who sat in their slots
        self.next_deadline = inf
        self.malformed_packets = 0  # RTP or RTCP that could not be read
        self.unbound_packets = 0  # RTP of which nobody can tell whose it is, or in a format nobody agreed on

    # Who is here, and who sits where.

    def add_peer(self, peer_id: str, offer: Offer, slots: Sequence[SlotSsrcs], now: float) -> list[Output]:
        """They connect. Nothing of theirs is relayed until `admit`. Raises IllegalPeer if they are here."""
        if peer_id in self._peers:
            raise IllegalPeer(f"peer {peer_id} is in this call already")
        taken = offer.ssrcs() | {0}
        taken |= {
            ssrc
            for slot in slots
            for ssrc in (slot.audio_ssrc, slot.video_ssrc, slot.repair_ssrc)
            if ssrc is not None
        }
        while (feedback_ssrc := self._random32()) in taken:
            pass
        seats = tuple(Seat(layout, self._forwarders(peer_id, layout)) for layout in slots)
        for seat, occupant_id in zip(seats, self._seating.pop(peer_id, ()), strict=False):
            seat.last_occupant_id = occupant_id
        peer = self._peers[peer_id] = Peer(peer_id, offer, Ssrc(feedback_ssrc), seats)
        peer.report_at = now + REPORT_INTERVAL_S
        self._wake(peer.report_at)
        return []

    def admit(self, peer_id: str, now: float, journal: Journal | None = None) -> list[Output]:
        """From now on they are seen and heard, and see and hear; a new journal keeps what they send. To be
        called once their connection is up: keyframes asked for earlier would come before they can decrypt
        them. Raises UnknownPeer.
        """
        peer = self._peer(peer_id)
        if peer.admitted:
            return []
        peer.admitted = True
        peer.journal = journal
        peer.baseline = peer.counters()
        for reception in peer.receptions.values():
            reception.nacks.forget()
            if journal is not None:
                journal.handle_stream(reception.ssrc, reception.section, now)
        self._admitted[peer_id] = peer
        return self._fill_seats({}, now)

    def withdraw(self, peer_id: str, now: float) -> list[Output]:
        """They are no longer relayed, but stay connected. Raises UnknownPeer."""
        return self._withdraw(self._peer(peer_id), "ended", now)

    def _withdraw(self, peer: Peer, reason: Reason, now: float) -> list[Output]:
        if not peer.admitted:
            return []
        peer_id = peer.peer_id
        outputs: list[Output] = []
        if peer.journal is not None:
            outputs += _cuts(peer_id, peer.journal.close(reason))
            peer.journal = None
        peer.traffic = self.statistics(peer_id)
        peer.admitted = False
        changed: dict[str, None] = {}
        for receiver in self._admitted.values():
            for seat in receiver.seats:
                if seat.occupant is not None and peer in (receiver, seat.occupant):
                    _vacate(seat)
                    changed[receiver.peer_id] = None
        del self._admitted[peer_id]
        for track in peer.tracks.values():
            track.keyframes.forget()
            track.pictures = PictureBuffer()
        for reception in peer.receptions.values():
            reception.history.packets.clear()
        return outputs + self._fill_seats(changed, now)

    def remove_peer(self, peer_id: str, now: float) -> list[Output]:
        """They are gone, for good or until they connect again. Raises UnknownPeer."""
        outputs = self._withdraw(self._peer(peer_id), "interrupted", now)
        self._seating[peer_id] = [seat.last_occupant_id for seat in self._peers.pop(peer_id).seats]
        return [output for output in outputs if output.peer_id != peer_id or isinstance(output, SegmentCut)]

    def slots(self, peer_id: str) -> list[SlotAssignment]:
        """Who sits in this peer's slots; empty ones are left out. Raises UnknownPeer."""
        return [
            SlotAssignment(
                slot=seat.layout.slot,
                peer_id=seat.occupant.peer_id,
                audio_mid=seat.layout.audio_section.mid if seat.layout.audio_section else None,
                video_mid=seat.layout.video_section.mid if seat.layout.video_section else None,
            )
            for seat in self._peer(peer_id).seats
            if seat.occupant is not None
        ]

    def statistics(self, peer_id: str) -> Traffic:
        """Since they were admitted; after `withdraw`, what it was by then. Raises UnknownPeer."""
        peer = self._peer(peer_id)
        if not peer.admitted:
            return peer.traffic
        counters, baseline = peer.counters(), peer.baseline
        return Traffic(
            sent_packets=counters.sent_packets - baseline.sent_packets,
            sent_bytes=counters.sent_bytes - baseline.sent_bytes,
            received_packets=counters.received_packets - baseline.received_packets,
            received_bytes=counters.received_bytes - baseline.received_bytes,
            lost_packets=max(0, counters.lost_packets - baseline.lost_packets),
        )

    def quality(self, peer_id: str) -> list[StreamQuality]:
        """The streams between this peer and the router, both ways. Raises UnknownPeer."""
        peer = self._peer(peer_id)
        sent = [
            StreamQuality(
                mid=reception.section.mid,
                kind=reception.section.kind,
                sent_by_peer=True,
                packets=reception.received,
                bytes=reception.received_bytes,
                lost_packets=reception.lost,
                repaired_packets=reception.repaired,
                fraction_lost=reception.fraction_lost,
                jitter_s=reception.jitter_s,
                round_trip_s=peer.round_trip_s,
            )
            for reception in peer.receptions.values()
        ]
        received = [
            StreamQuality(
                mid=forwarder.section.mid,
                kind=kind,
                sent_by_peer=False,
                packets=forwarder.packets,
                bytes=forwarder.sent_bytes + forwarder.resent_bytes,
                lost_packets=forwarder.lost,
                repaired_packets=forwarder.resent,
                fraction_lost=forwarder.fraction_lost,
                jitter_s=forwarder.jitter_s,
                round_trip_s=peer.round_trip_s,
            )
            for _, kind, forwarder in peer.forwarders.values()
            if forwarder.packets
        ]
        return sent + received

    def request_keyframe(self, peer_id: str, now: float) -> list[Output]:
        """Somebody here needs a keyframe of this peer, to take a frame for instance. Raises UnknownPeer."""
        peer = self._peer(peer_id)
        if not peer.admitted:
            return []
        peer.tracks["video"].keyframes.handle_request(now)
        return self._ask_for_keyframes(now)

    def newest_picture(self, peer_id: str, now: float) -> PictureRequest:
        """The packets of this peer's newest decodable picture. Raises NoPicture and UnknownPeer."""
        return self._peer(peer_id).tracks["video"].pictures.newest_picture(now)

    def _peer(self, peer_id: str) -> Peer:
        try:
            return self._peers[peer_id]
        except KeyError:
            raise UnknownPeer(f"no peer {peer_id} is in this call") from None

    def _forwarders(self, peer_id: str, layout: SlotSsrcs) -> dict[str, Forwarder]:
        places = (
            ("audio", layout.audio_ssrc, layout.audio_section, None),
            ("video", layout.video_ssrc, layout.video_section, layout.repair_ssrc),
        )
        return {
            kind: Forwarder(
                receiver_id=peer_id,
                ssrc=Ssrc(ssrc),
                section=section,
                # RFC 3711 §3.3.1: a first number in the lower half cannot be mistaken for one before a wrap.
                sequence_number=self._random32() & 0x7FFF,
                rtp_timestamp=self._random32(),
                repair_ssrc=Ssrc(repair_ssrc) if repair_ssrc is not None else None,
            )
            for kind, ssrc, section, repair_ssrc in places
            if ssrc is not None and section is not None
        }

    def _fill_seats(self, changed: dict[str, None], now: float) -> list[Output]:
        """Seat whoever has no seat yet, in the order of admission, in their old seat if that is free."""
        replayed: list[Output] = []
        for receiver in self._admitted.values():
            seated = [seat.occupant for seat in receiver.seats]
            for sender in self._admitted.values():
                if sender is receiver or not sender.sending or sender in seated:
                    continue
                free = [seat for seat in receiver.seats if seat.occupant is None]
                if not free:
                    break
                seat = min(free, key=lambda seat: seat.last_occupant_id != sender.peer_id)
                replayed += _occupy(seat, sender, now)
                changed[receiver.peer_id] = None
        outputs: list[Output] = [SlotsChanged(peer_id=peer_id) for peer_id in changed]
        return outputs + replayed + self._ask_for_keyframes(now)

    # The way of a packet.

    def handle_rtp(self, peer_id: str, packet: bytes, now: float) -> list[Copy]:
        """(receiver, head, packet, start) for each who gets it. Never raises: a packet that is malformed,
        unknown or not admitted is counted and goes nowhere.
        """
        peer = self._peers.get(peer_id)
        if peer is None:
            return []
        try:
            first, second, sequence_number, rtp_timestamp, ssrc = unpack_header(packet)
            size_bytes = HEADER_BYTES if first == PLAIN else header_size(packet)
        except (struct.error, MalformedRtp):
            self.malformed_packets += 1
            return []
        reception = peer.receptions.get(ssrc)
        if reception is None:
            reception = self._bind(peer, packet, now)
            if reception is None:
                return self._handle_repair(peer, packet, size_bytes, now)
        codec = reception.codecs.get(second & PAYLOAD_TYPE)
        if codec is None:
            return self._handle_redundancy(peer, reception, packet, size_bytes, now)

        index = reception.handle_packet(sequence_number, rtp_timestamp, now)
        if index < 0:
            if index == REFUSED:
                return []
            reception = self._begin_reception(peer, reception.section, Ssrc(ssrc), sequence_number, now)
            index = reception.handle_packet(sequence_number, rtp_timestamp, now)
        length = len(packet)
        reception.received_bytes += length
        if not peer.admitted:
            return []
        peer.sent_packets += 1
        peer.sent_bytes += length
        kept = reception.history.packets[index] = packet, now
        if peer.journal is not None and peer.journal.handle_packet(kept):
            self._wake(peer.journal.next_deadline)
        if reception.nacks.next_deadline < self.next_deadline:
            self.next_deadline = reception.nacks.next_deadline

        track = peer.tracks[reception.kind]
        if track.reception is not reception and not self._take_over(track, reception, now):
            return []
        if track.is_video:
            starts_keyframe = (
                size_bytes < length
                and MAY_START_KEYFRAME[codec.name][packet[size_bytes]] == 1
                and is_keyframe_start(codec.name, packet[size_bytes:])
            )
            if starts_keyframe:
                track.keyframes.handle_keyframe()
                reception.highest_keyframe = max(reception.highest_keyframe, index)
            track.pictures.handle_packet(packet, codec.name, starts_keyframe, now)
        else:
            starts_keyframe = True  # sound begins anywhere
        copies = []
        for forwarder in track.forwarders:
            head = forwarder.forward(reception, packet, first, second, index, rtp_timestamp, size_bytes, now)
            if head is not None:
                copies.append((forwarder.receiver_id, head, packet, size_bytes))
                if forwarder.redundancy and (part := forwarder.repeat(reception, index - 1, now)) is not None:
                    copies.append((forwarder.receiver_id, *part))
            elif forwarder.waiting and starts_keyframe and forwarder.speaks(reception, second):
                copies += _begin(forwarder, reception, index, now)
        return copies

    def _handle_repair(self, peer: Peer, packet: bytes, size_bytes: int, now: float) -> list[Copy]:
        """A packet of a stream that is no medium's: a retransmission (RFC 4588), or nobody's."""
        media = _repaired_by(peer, packet)
        if media is None:
            self.unbound_packets += 1
            return []
        reception, codec, is_signalled = media
        try:
            original = rtx.unwrap(packet, size_bytes, payload_type=codec.payload_type, ssrc=reception.ssrc)
        except MalformedPayload:
            return []
        index = reception.index_of(original[2] << 8 | original[3])
        # What was guessed to belong together does so only where the packet was missing (RFC 4588 §5.3).
        if not (reception.lacks(index) if is_signalled else reception.misses(index)):
            return []
        return self._handle_recovered(peer, reception, original, now)

    def _handle_recovered(self, peer: Peer, reception: Reception, original: bytes, now: float) -> list[Copy]:
        """A packet that was lost on the way and is here all the same, asked for or not."""
        received, repaired = reception.received, reception.repaired
        copies = self.handle_rtp(peer.peer_id, original, now)
        if reception.received > received and reception.repaired == repaired:
            reception.repaired += 1
        return copies

    def _handle_redundancy(
        self, peer: Peer, reception: Reception, packet: bytes, size_bytes: int, now: float
    ) -> list[Copy]:
        """Sound that carries what was before it (RFC 2198): what is missing of that first, then itself."""
        _, second, sequence_number, rtp_timestamp, ssrc = unpack_header(packet)
        if second & PAYLOAD_TYPE != reception.section.redundant_payload_type:
            self.unbound_packets += 1
            return []
        try:
            redundancy = red.parse(packet, size_bytes)
        except MalformedPayload:
            self.malformed_packets += 1
            return []
        copies: list[Copy] = []
        for before, block in zip(range(len(redundancy.blocks), 0, -1), redundancy.blocks, strict=True):
            number = (sequence_number - before) & 0xFFFF
            index = reception.index_of(number)
            # Each block is taken for a packet, counted back from this one; what is not in its place is not.
            if (
                index < reception.first
                or not reception.lacks(index)
                or not (block.data and block.offset)
                or block.payload_type not in reception.codecs
                or not _follows(reception, index, (rtp_timestamp - block.offset) & 0xFFFF_FFFF)
            ):
                continue
            if not peer.recoveries.take(1, now):  # one packet could hold a hundred
                continue
            head = HEADER.pack(
                PLAIN, block.payload_type, number, (rtp_timestamp - block.offset) & 0xFFFF_FFFF, ssrc
            )
            copies += self._handle_recovered(peer, reception, head + block.data, now)
        if redundancy.payload_type not in reception.codecs:
            self.unbound_packets += 1
            return copies
        original = (
            packet[:1]
            + bytes([second & MARKER | redundancy.payload_type])
            + packet[2:size_bytes]
            + packet[redundancy.start :]
        )
        return copies + self.handle_rtp(peer.peer_id, original, now)

    def _bind(self, peer: Peer, packet: bytes, now: float) -> Reception | None:
        """Which section does a new SSRC belong to (RFC 9143 §9.2)? None if that cannot be told (yet)."""
        _, second, sequence_number, _, ssrc = unpack_header(packet)
        section = _section_of(peer, packet, ssrc, second & PAYLOAD_TYPE)
        if section is None:
            return None
        return self._begin_reception(peer, section, Ssrc(ssrc), sequence_number, now)

    def _begin_reception(
        self, peer: Peer, section: MediaSection, ssrc: Ssrc, sequence_number: int, now: float
    ) -> Reception:
        """The newest stream of a section is the one that counts: a sender that restarts drops the old one."""
        if ssrc in peer.receptions:
            _end_reception(peer, ssrc)
        elif len(peer.receptions) == MAX_RECEPTIONS:
            _end_reception(peer, min(peer.receptions.values(), key=lambda one: one.last_arrival).ssrc)
        track = peer.tracks[section.kind]
        reception = Reception(ssrc=ssrc, section=section, sequence_number=sequence_number)
        peer.receptions[ssrc] = reception
        if peer.journal is not None:
            peer.journal.handle_stream(ssrc, section, now)
            self._wake(peer.journal.next_deadline)
        if track.section is None or track.section is section:
            self._take(track, reception, now)
        return reception

    def _take_over(self, track: Track, reception: Reception, now: float) -> bool:
        """Whether a stream becomes its track's current one: only when that is gone or silent."""
        current = track.reception
        if current is not None and now - current.last_arrival < TAKE_OVER_S:
            return False
        self._take(track, reception, now)
        return True

    def _take(self, track: Track, reception: Reception, now: float) -> None:
        track.section = reception.section
        track.reception = reception
        for forwarder in track.forwarders:
            forwarder.release()
        if track.is_video and track.forwarders:
            track.keyframes.handle_request(now)
        self._wake(track.keyframes.next_deadline)

    # RTCP and time.

    def handle_rtcp(self, peer_id: str, compound: bytes, now: float) -> list[Output]:
        """What they report and ask for. Never raises: a malformed compound is counted and changes nothing."""
        peer = self._peers.get(peer_id)
        if peer is None:
            return []
        try:
            packets = parse_compound(compound)
        except MalformedRtcp:
            self.malformed_packets += 1
            return []
        journal = peer.journal
        if (
            journal is not None
            and any(isinstance(packet, SenderReport) for packet in packets)
            and journal.handle_report(compound, now)
        ):
            self._wake(journal.next_deadline)
        outputs: list[Output] = []
        for packet in packets:
            match packet:
                case SenderReport():
                    self._handle_sender_report(peer, packet, now)
                    _handle_blocks(peer, packet.blocks, now)
                case ReceiverReport():
                    _handle_blocks(peer, packet.blocks, now)
                case SourceDescription():
                    pass
                case Goodbye():
                    for ssrc in packet.ssrcs:
                        if ssrc in peer.receptions:
                            _end_reception(peer, ssrc)
                case Nack():
                    outputs += self._resend(peer, packet, now)
                case PictureLossIndication():
                    _handle_picture_loss(peer, packet.media_ssrc, now)
                case FullIntraRequest():
                    for ssrc, _ in packet.commands:
                        _handle_picture_loss(peer, ssrc, now)
                case _:
                    assert_never(packet)
        return outputs + self._ask_for_keyframes(now)

    def handle_timeout(self, now: float) -> list[Output]:
        """What is due: NACKs, keyframe requests, reports, segments of the journals."""
        if now < self.next_deadline:
            return []
        outputs: list[Output] = []
        for peer in self._peers.values():
            if peer.journal is not None:
                outputs += _cuts(peer.peer_id, peer.journal.handle_timeout(now))
            for reception in peer.receptions.values():
                outputs += self._ask_for_missing(peer, reception, now)
            if now >= peer.report_at:
                outputs += _report(peer, now)
                self._keep_bounds(peer, now)
        outputs += self._ask_for_keyframes(now)
        self.next_deadline = min(self._deadlines(), default=inf)
        return outputs

    def _deadlines(self) -> Iterator[float]:
        for peer in self._peers.values():
            yield peer.report_at
            if peer.journal is not None:
                yield peer.journal.next_deadline
            for reception in peer.receptions.values():
                yield reception.nacks.next_deadline
            track = peer.tracks["video"]
            if track.reception is not None:
                yield track.keyframes.next_deadline

    def _keep_bounds(self, peer: Peer, now: float) -> None:
        """What is kept of packets is looked over with each report, not with each packet."""
        for reception in peer.receptions.values():
            reception.history.prune(now)
        for _, _, forwarder in peer.forwarders.values():
            forwarder.prune(now)
        track = peer.tracks["video"]
        if peer.admitted and track.pictures.wants_keyframe and not track.keyframes.wanted:
            track.keyframes.handle_request(now)

    def _ask_for_missing(self, peer: Peer, reception: Reception, now: float) -> list[Output]:
        if not peer.admitted:
            reception.nacks.forget()
            return []
        sequence_numbers, given_up = reception.nacks.handle_timeout(now, peer.round_trip_s)
        track = peer.tracks[reception.kind]
        if given_up and track.is_video and track.reception is reception:
            track.keyframes.handle_request(now)
        return [
            _feedback(
                peer,
                Nack(
                    ssrc=peer.feedback_ssrc,
                    media_ssrc=reception.ssrc,
                    sequence_numbers=tuple(sequence_numbers[start : start + MAX_NACKED]),
                ),
            )
            for start in range(0, len(sequence_numbers), MAX_NACKED)
        ]

    def _ask_for_keyframes(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        for peer in self._admitted.values():
            track = peer.tracks["video"]
            # Before the first packet there is nobody to ask, and the first picture is a keyframe anyway.
            if track.reception is None:
                continue
            if track.keyframes.handle_timeout(now):
                outputs.append(_feedback(peer, _keyframe_request(peer, track.reception)))
            self._wake(track.keyframes.next_deadline)
        return outputs

    def _resend(self, peer: Peer, nack: Nack, now: float) -> list[Output]:
        """What a receiver misses, from the source's history; what is missing there is fetched upstream."""
        if nack.media_ssrc not in peer.forwarders:
            return []
        seat, kind, forwarder = peer.forwarders[nack.media_ssrc]
        granted = peer.lookups.take(len(nack.sequence_numbers), now)
        parts, absent = forwarder.resend(nack.sequence_numbers[:granted], now, peer.round_trip_s)
        reception = seat.occupant.tracks[kind].reception if seat.occupant is not None else None
        if reception is not None:
            for index in absent:
                if reception.misses(index):
                    reception.nacks.handle_wish(index, now)
            self._wake(reception.nacks.next_deadline)
        return [
            SendRtp(peer_id=peer.peer_id, head=head, packet=packet, start=start)
            for head, packet, start in parts
        ]

    def _handle_sender_report(self, peer: Peer, report: SenderReport, now: float) -> None:
        reception = peer.receptions.get(report.ssrc)
        if reception is None:
            return
        if all(one.sender_report is None for one in peer.receptions.values()):
            peer.clock_offset = round(now * NTP_SECOND) - report.ntp_timestamp
        if reception.sender_report is None:
            # Receivers play sound and picture together only once they have a report of each.
            for forwarder in peer.tracks[reception.kind].forwarders:
                receiver = self._peers[forwarder.receiver_id]
                receiver.report_at = min(
                    receiver.report_at, max(now, receiver.reported_at + MIN_REPORT_INTERVAL_S)
                )
                self._wake(receiver.report_at)
        reception.handle_sender_report(report, now)

    def _wake(self, at: float) -> None:
        if at < self.next_deadline:
            self.next_deadline = at


def _occupy(seat: Seat, sender: Peer, now: float) -> list[Output]:
    """Seat a sender: with the picture they show now if it is at hand, else as soon as a keyframe comes."""
    seat.occupant = sender
    seat.last_occupant_id = sender.peer_id
    outputs: list[Output] = []
    for kind, forwarder in seat.forwarders.items():
        track = sender.tracks[kind]
        track.forwarders = (*track.forwarders, forwarder)
        if not track.is_video:
            continue
        replayed = _replay(forwarder, track.reception, now)
        if not replayed:
            track.keyframes.handle_request(now)
        outputs += [
            SendRtp(peer_id=receiver_id, head=head, packet=packet, start=start)
            for receiver_id, head, packet, start in replayed
        ]
    return outputs


def _replay(forwarder: Forwarder, reception: Reception | None, now: float) -> list[Copy]:
    """The newest keyframe and its tail, if both are short, whole and at hand; or nothing."""
    if reception is None or reception.highest_keyframe < 0:
        return []
    start, end = reception.highest_keyframe, reception.highest + 1
    if end - start > MAX_REPLAYED or any(
        reception.history.get(one, now) is None for one in range(start, end)
    ):
        return []
    if not forwarder.speaks(reception, reception.history.packets[start][0][1]):
        return []
    return _begin(forwarder, reception, start, now)


def _begin(forwarder: Forwarder, reception: Reception, start: int, now: float) -> list[Copy]:
    """A stream begins with a packet that is at hand; what came before it and belongs behind it follows."""
    packets = reception.history.packets
    copies: list[Copy] = []
    if reception.highest - start > MAX_BEGUN:
        return copies
    for index in sorted(index for index in packets if index >= start):
        packet = packets[index][0]
        first, second, _, rtp_timestamp, _ = unpack_header(packet)
        if index == start:
            forwarder.begin(reception, index, rtp_timestamp, now)
        size_bytes = header_size(packet)
        head = forwarder.forward(reception, packet, first, second, index, rtp_timestamp, size_bytes, now)
        if head is not None:
            copies.append((forwarder.receiver_id, head, packet, size_bytes))
    return copies


def _cuts(peer_id: str, segments: Iterable[Segment]) -> list[SegmentCut]:
    return [SegmentCut(peer_id=peer_id, segment=segment) for segment in segments]


def _vacate(seat: Seat) -> None:
    assert seat.occupant is not None
    for kind, forwarder in seat.forwarders.items():
        track = seat.occupant.tracks[kind]
        track.forwarders = tuple(one for one in track.forwarders if one is not forwarder)
        forwarder.release()
    seat.occupant = None


def _section_of(peer: Peer, packet: bytes, ssrc: int, payload_type: int) -> MediaSection | None:
    # RFC 9143 §9.2: if the packet has a MID, it decides, and a MID that is not in the table is dropped.
    for identifier, data in extensions(packet):
        if identifier in peer.mid_identifiers:
            named = peer.by_mid.get(data.decode("utf-8", "replace"))
            return named if named is not None and _speaks(named, payload_type) else None
    signalled = peer.by_ssrc.get(ssrc)
    if signalled is not None:
        return signalled if _speaks(signalled, payload_type) else None
    # The payload type decides where just one section can be meant. One whose SSRC was signalled, or that has
    # its stream already, is meant only if all are.
    candidates = [section for section in peer.sending if _speaks(section, payload_type)]
    if len(candidates) > 1:
        bound = [reception.section for reception in peer.receptions.values()]
        candidates = [section for section in candidates if not section.ssrcs and section not in bound]
    return candidates[0] if len(candidates) == 1 else None


def _speaks(section: MediaSection, payload_type: int) -> bool:
    return payload_type == section.redundant_payload_type or any(
        codec.payload_type == payload_type for codec in section.codecs
    )


def _repaired_by(peer: Peer, packet: bytes) -> tuple[Reception, Codec, bool] | None:
    """The stream, and the codec in it, that a packet of an unknown SSRC may repair (RFC 4588 §5.3, §8.2), and
    whether the offer says so.
    """
    _, second, _, _, ssrc = unpack_header(packet)
    is_signalled = ssrc in peer.repairs
    if is_signalled:
        candidates = [peer.receptions.get(peer.repairs[ssrc])]
    else:
        # As where the same camera is sent anew: the current stream that has this payload type.
        candidates = [track.reception for track in peer.tracks.values()]
    for candidate in candidates:
        if candidate is None:
            continue  # a repair that came before its stream
        for codec in candidate.section.codecs:
            if codec.repair_payload_type == second & PAYLOAD_TYPE:
                return candidate, codec, is_signalled
    return None


def _follows(reception: Reception, index: int, rtp_timestamp: int) -> bool:
    """Whether a timestamp may be that of a packet of this index: later than the one before it at hand, sooner
    than the one behind it.
    """
    packets = reception.history.packets
    for step in (-1, 1):
        near = range(index + step, index + step * (red.MAX_BLOCKS + 1), step)
        neighbour = next((packets[one][0] for one in near if one in packets), None)
        if neighbour is None:
            continue
        ahead = (rtp_timestamp - int.from_bytes(neighbour[4:8])) * -step & 0xFFFF_FFFF
        if not 0 < ahead < 0x8000_0000:
            return False
    return True


def _end_reception(peer: Peer, ssrc: int) -> None:
    reception = peer.receptions.pop(ssrc)
    peer.lost_of_ended += reception.lost
    if peer.journal is not None:
        peer.journal.handle_stream_end(ssrc)
    track = peer.tracks[reception.kind]
    if track.reception is reception:
        track.reception = None


def _handle_blocks(peer: Peer, blocks: Iterable[ReportBlock], now: float) -> None:
    for block in blocks:
        if block.ssrc not in peer.forwarders:
            continue
        round_trip_s = peer.forwarders[block.ssrc][2].handle_report_block(block, now)
        if round_trip_s is None:
            continue
        # RFC 6298 §2: the first sample as it is, an eighth of each later one.
        weight = 0.125 if peer.has_round_trip else 1.0
        peer.round_trip_s += weight * (round_trip_s - peer.round_trip_s)
        peer.has_round_trip = True
    _spread_sound(peer)


def _spread_sound(peer: Peer) -> None:
    """As much redundancy for the sound as the worst of the streams on this leg says is needed."""
    lost = max((forwarder.expected_loss for _, _, forwarder in peer.forwarders.values()), default=0.0)
    redundancy = next((count for from_loss, count in REDUNDANCY if lost >= from_loss), 0)
    for _, kind, forwarder in peer.forwarders.values():
        if kind == "audio":
            forwarder.redundancy = redundancy


def _handle_picture_loss(peer: Peer, ssrc: Ssrc, now: float) -> None:
    if ssrc in peer.forwarders:
        seat, kind, _ = peer.forwarders[ssrc]
        if seat.occupant is not None and kind == "video":
            keyframes = seat.occupant.tracks[kind].keyframes
            # Until the sender has answered, who asks again asks for the same.
            heard_at = now if keyframes.wanted else seat.keyframe_wishes.handle_wish(now)
            keyframes.handle_request(now, heard_at)


def _report(peer: Peer, now: float) -> list[Output]:
    """RFC 3550 §6.1: a compound begins with a report and names its sources."""
    peer.reported_at = now
    peer.report_at = now + REPORT_INTERVAL_S
    blocks = tuple(reception.report_block(now) for reception in peer.receptions.values())
    reports: list[RtcpPacket] = []
    names: list[RtcpPacket] = [SourceDescription(cnames=((peer.feedback_ssrc, RELAY_CNAME),))]
    for seat, _, forwarder in peer.forwarders.values():
        if seat.occupant is None:
            continue
        report = forwarder.sender_report(now, seat.occupant.clock_offset)
        if report is not None:
            reports.append(report)
            # A packet for each name: aiortc misreads the padding between the chunks of one.
            names.append(SourceDescription(cnames=((forwarder.ssrc, seat.layout.cname),)))
    if not blocks and not reports:
        return []
    compound = encode_compound([ReceiverReport(ssrc=peer.feedback_ssrc, blocks=blocks), *reports, *names])
    return [SendRtcp(peer_id=peer.peer_id, compound=compound)]


def _keyframe_request(peer: Peer, reception: Reception) -> RtcpPacket:
    feedback = {word for codec in reception.section.codecs for word in codec.feedback}
    if "nack pli" not in feedback and "ccm fir" in feedback:
        # RFC 5104 §4.3.1.1: the number is new for each command, and the same for its repetition; each is a
        # command here.
        peer.fir_count = (peer.fir_count + 1) & 0xFF
        return FullIntraRequest(ssrc=peer.feedback_ssrc, commands=((reception.ssrc, peer.fir_count),))
    return PictureLossIndication(ssrc=peer.feedback_ssrc, media_ssrc=reception.ssrc)


def _feedback(peer: Peer, packet: RtcpPacket) -> SendRtcp:
    return SendRtcp(peer_id=peer.peer_id, compound=encode_compound([packet]))
