"""The router of one call: whose packets go to whom, in whose numbers, and who is asked for what.

    sender ── Reception (an SSRC) ── Track (their sound or their picture) ─┬─ Forwarder (a slot) ── receiver
                                                                           └─ Forwarder (a slot) ── receiver

A pure machine without clock or socket. `handle_rtp` is the hot path and returns plain tuples; everything else
returns outputs for the driver to perform. RTCP ends here: what the router tells a peer is its own.

Peers are relayed only while they are admitted. Before that their packets are counted for reports and dropped.
Whoever is admitted with a journal has each packet kept in it once, repaired or not, before anything decides
where it goes; of a camera with several encodings those of the best that comes.

How loss is met is an affair of each leg. What a sender repairs, by retransmission (RFC 4588) or redundancy
(RFC 2198), is unwrapped where it arrives: behind that point there are original packets alone, for the
receivers, the pictures and whoever else keeps them. Each forwarder wraps them anew as its receiver's network
asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import assert_never

from media import red, rtx
from media.allocation import Choice
from media.binding import repaired_by, rid_of, section_of
from media.depacketizer import MAY_START_KEYFRAME, is_keyframe_start
from media.downlink import START_BPS, WIRE_OVERHEAD_BYTES, Copy, Downlink
from media.encodings import EncodingOrder, LayerReason, LegQuality, Picture
from media.errors import IllegalPeer, MalformedPayload, MalformedRtcp, MalformedRtp, UnknownPeer
from media.forwarder import REDUNDANCY, Forwarder
from media.journal import Journal, Reason, Segment
from media.packet_history import Kept
from media.peer import Peer, Seat, Traffic
from media.picture_buffer import PictureBuffer, PictureRequest
from media.reception import REFUSED, Reception
from media.rtcp import (
    NTP_SECOND,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    TransportFeedback,
    encode_compound,
    parse_compound,
)
from media.rtp import (
    EXTENSION,
    MARKER,
    PAYLOAD_TYPE,
    PLAIN,
    Ssrc,
    element_at,
    encode_head,
    header_size,
    rtp_timestamp_of,
    sequence_number_of,
    ssrc_of,
)
from media.sdp import MediaSection, Offer, SlotSsrcs
from media.track import Layer, Leg, Track
from media.uplink_feedback import SEND_TIME_BYTES, TOGETHER_S, UplinkEstimate, UplinkFeedback

LEAST_KNOWN_BPS = 300_000  # libwebrtc's own beginning: a reconnect is no reason for less
ORDERED_S = 0.005  # behind an order for somebody who sees nothing: its first keyframe is what they wait for
REVIEW_INTERVAL_S = 0.05  # however often a receiver reports: nothing changes sooner than a picture
STILL_TAKES_S = 1.5  # until a still is through, beside what waits already
STILL_INTERVAL_S = (
    4.0  # a keyframe is paid for by the recording: eight a minute less than a camera's usual one
)
STILL_LEFT_S = 0.3  # of the last still still waits, when the next is asked for: it takes a round trip to come
REPORT_INTERVAL_S = 1.0  # as libwebrtc does for video; RFC 3550 §6.2 allows it at these rates
EARLY_REPORT_S = 0.1  # so much sooner together with feedback, which comes as often
MIN_REPORT_INTERVAL_S = (
    0.2  # a new stream's first report hurries, but a sender may begin any number of streams
)
TAKE_OVER_S = 1.0  # a stream that was replaced may come back once its successor is silent this long
MAX_NACKED = 256  # sequence numbers in one packet: 1 kB if no two of them are neighbours
RELAY_CNAME = "relay"
MAX_REPLAYED = 80  # packets from a keyframe on that a newcomer is given: more, and a new keyframe is the less
MAX_BEGUN = 512  # packets behind the first of a stream that go out with it: 2 s of 2.5 Mbit/s, the history
MAX_RECEPTIONS = 16  # SSRCs of one peer: two, and some for restarts; the longest silent makes room


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRtp:
    """What leaves is `head`, and what `packet` has from `start` on."""

    peer_id: str
    head: bytes
    packet: bytes
    start: int


@dataclass(slots=True, init=False)
class SendRtcp:
    peer_id: str
    compound: bytes

    def __init__(self, *, peer_id: str, compound: bytes) -> None:  # compiled, as that of a dataclass is not
        self.peer_id = peer_id
        self.compound = compound


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsChanged:
    """Somebody came into or left one of this peer's slots; `Router.slots` tells who sits where."""

    peer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingsOrdered:
    """This peer shall send other encodings than before; `Router.encodings` tells which."""

    peer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCut:
    """A piece of what this peer sent is complete."""

    peer_id: str
    segment: Segment


Output = SendRtp | SendRtcp | SlotsChanged | SegmentCut | EncodingsOrdered


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotAssignment:
    """Who sits in a receive slot, and in which sections of the receiver's offer they are seen and heard."""

    slot: int
    peer_id: str
    audio_mid: str | None
    video_mid: str | None
    picture: Picture = "live"


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
    rid: str = ""  # of pictures: the encoding that is sent or received
    temporal_layers: int | None = None  # of it that are received: 1 is the base alone; None: it has none
    reason: LayerReason | None = None  # why this one is received


class Router:
    """One call. `random32` gives 32 random bits. `next_deadline` is when `handle_timeout` has something to do
    next; any input may bring it nearer.
    """

    def __init__(self, *, random32: Callable[[], int]) -> None:
        self._random32 = random32
        self._peers: dict[str, Peer] = {}
        self._admitted: dict[str, Peer] = {}  # in the order of admission
        self._seating: dict[str, list[str]] = {}  # of those who have gone: who sat in their slots
        self._known_rates: dict[str, tuple[int, int]] = {}  # and what their networks carried, down and up
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
        forwarders = [self._forwarders(peer_id, layout) for layout in slots]
        sounds, pictures = (
            [by_kind[kind] for by_kind in forwarders if kind in by_kind] for kind in ("audio", "video")
        )
        downlink = Downlink(
            peer_id,
            # Where sound alone is counted, nothing is known of what pictures meet.
            is_numbered=any(one.is_numbered for one in pictures or sounds),
            start_bps=self._known_rates.get(peer_id, (START_BPS, 0))[0],
            now=now,
        )
        seats = tuple(
            Seat(layout, {kind: Leg(forwarder, downlink) for kind, forwarder in by_kind.items()})
            for layout, by_kind in zip(slots, forwarders, strict=True)
        )
        for seat, occupant_id in zip(seats, self._seating.pop(peer_id, ()), strict=False):
            seat.last_occupant_id = occupant_id
        peer = self._peers[peer_id] = Peer(peer_id, offer, Ssrc(feedback_ssrc), seats, downlink)
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
        return self._fill_seats({}, now) + self._order(peer, now)

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
            for layer in track.layers:
                layer.keyframes.forget()
            track.pictures = PictureBuffer()
        for reception in peer.receptions.values():
            reception.history.clear()
        outputs += self._fill_seats(changed, now)
        for sender in self._admitted.values():
            outputs += self._order(sender, now)
        return outputs

    def remove_peer(self, peer_id: str, now: float) -> list[Output]:
        """They are gone, for good or until they connect again. Raises UnknownPeer."""
        peer = self._peer(peer_id)
        self._known_rates[peer_id] = _carried(peer, self._known_rates.get(peer_id, (START_BPS, 0)))
        outputs = self._withdraw(peer, "interrupted", now)
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
                picture=seat.picture,
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
                rid=reception.rid,
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
                rid=forwarder.source.rid if forwarder.source is not None else "",
                temporal_layers=forwarder.temporal_layers,
                reason=leg.reason if kind == "video" and seat.occupant is not None else None,
            )
            for seat, kind, leg in peer.legs.values()
            if (forwarder := leg.forwarder).packets
        ]
        return sent + received

    def encodings(self, peer_id: str) -> tuple[EncodingOrder, ...]:
        """What this peer's camera shall send, from the least encoding to the best. Raises UnknownPeer."""
        return self._peer(peer_id).orders

    def leg(self, peer_id: str) -> LegQuality:
        """What this peer's network is believed to carry. Raises UnknownPeer."""
        peer = self._peer(peer_id)
        estimator = peer.downlink.estimator if peer.downlink.is_estimated else None
        return LegQuality(
            sent_estimate_bps=peer.uplink_estimate.bitrate_bps if peer.uplink_estimate is not None else None,
            received_estimate_bps=peer.downlink.carried_bps if estimator is not None else None,
            received_limit=estimator.limit if estimator is not None else None,
            waiting_s=peer.downlink.pacer.waiting_s if estimator is not None else None,
        )

    def known_uplink_bps(self, peer_id: str) -> int | None:
        """What the network of a peer who has gone carried up, if that is known."""
        return self._known_rates.get(peer_id, (0, 0))[1] or None

    def request_keyframe(self, peer_id: str, now: float) -> list[Output]:
        """Somebody here needs a keyframe of this peer, to take a frame for instance. Raises UnknownPeer."""
        peer = self._peer(peer_id)
        if not peer.admitted:
            return []
        peer.tracks["video"].best.keyframes.handle_request(now)
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
                replayed += self._occupy(receiver, seat, sender, now)
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
            size_bytes = header_size(packet)
        except MalformedRtp:
            self.malformed_packets += 1
            return []
        reception = peer.receptions.get(ssrc_of(packet))
        if peer.uplink is not None and packet[0] & EXTENSION:
            self._note_arrival(peer, peer.uplink, reception, packet, size_bytes, now)
        elif peer.uplink_estimate is not None and packet[0] & EXTENSION:
            self._note_send_time(peer, peer.uplink_estimate, packet, size_bytes, now)
        return self._handle_media(peer, reception, packet, size_bytes, now)

    def _note_arrival(
        self,
        peer: Peer,
        uplink: UplinkFeedback,
        reception: Reception | None,
        packet: bytes,
        size_bytes: int,
        now: float,
    ) -> None:
        """The sender counts all that they send, and is told of each packet when it came."""
        # The extensions of a stream stand in the same places from packet to packet.
        at = reception.number_at if reception is not None else 0
        if at == 0 or at + 2 > size_bytes or packet[at - 1] not in peer.number_leads:
            at = next((found for one in peer.number_ids if (found := element_at(packet, one, size_bytes))), 0)
            if reception is not None:
                reception.number_at = at
            if at == 0 or packet[at - 1] not in peer.number_leads:
                return
        uplink.handle_arrival(packet[at] << 8 | packet[at + 1], len(packet) + WIRE_OVERHEAD_BYTES, now)
        if uplink.next_deadline < self.next_deadline:
            self.next_deadline = uplink.next_deadline

    def _note_send_time(
        self, peer: Peer, estimate: UplinkEstimate, packet: bytes, size_bytes: int, now: float
    ) -> None:
        """The sender says when each packet left, and is told how much its network carries."""
        at = next((found for one in peer.send_time_ids if (found := element_at(packet, one, size_bytes))), 0)
        if at == 0 or packet[at - 1] & 0x0F != SEND_TIME_BYTES - 1:  # RFC 8285 §4.2: the length less one
            return
        send_time = int.from_bytes(packet[at : at + SEND_TIME_BYTES])
        estimate.handle_send_time(send_time, len(packet) + WIRE_OVERHEAD_BYTES, now)
        self._wake(estimate.next_deadline)

    def _handle_media(
        self, peer: Peer, reception: Reception | None, packet: bytes, size_bytes: int, now: float
    ) -> list[Copy]:
        """A packet as it came, or as it was recovered."""
        second = packet[1]
        sequence_number, rtp_timestamp = sequence_number_of(packet), rtp_timestamp_of(packet)
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
            reception = self._begin_reception(
                peer, reception.section, reception.ssrc, sequence_number, reception.rid, now
            )
            index = reception.handle_packet(sequence_number, rtp_timestamp, now)
        length = len(packet)
        reception.received_bytes += length
        if not peer.admitted:
            return []
        peer.sent_packets += 1
        peer.sent_bytes += length
        kept = Kept(packet, now, index=index)
        reception.history.keep(kept)
        if reception.nacks.next_deadline < self.next_deadline:
            self.next_deadline = reception.nacks.next_deadline

        track = peer.tracks[reception.kind]
        layer = track.layers[0] if len(track.layers) == 1 else track.layer_of(reception)
        is_current = layer.reception is reception or self._take_over(track, layer, reception, now)
        starts_keyframe = not track.is_video  # sound begins anywhere
        if is_current and track.is_video and size_bytes < length:
            starts_keyframe = MAY_START_KEYFRAME[codec.name][packet[size_bytes]] == 1 and is_keyframe_start(
                codec.name, packet[size_bytes:]
            )
            if starts_keyframe:
                self._handle_keyframe(peer, track, layer, reception, codec.name, index, now)
            elif layer is not track.best and track.is_better(layer, now) and not layer.keyframes.wanted:
                layer.keyframes.handle_request(now)
                self._wake(layer.keyframes.next_deadline)
        if reception.is_recorded or index <= reception.recorded_to:
            self._keep(peer, kept)
        if not is_current:
            return []
        if track.is_video and layer is track.best:
            track.pictures.handle_packet(kept, codec.name, starts_keyframe)
        copies: list[Copy] = []
        for leg in track.legs:
            if starts_keyframe and leg.awaited is layer and track.is_video:
                self._begin(copies, leg, reception, index, now)
                continue
            forwarder = leg.forwarder
            part = forwarder.forward(reception, packet, index, rtp_timestamp, size_bytes, now)
            if part is not None:
                if track.is_video:
                    if leg.downlink.send_picture(copies, forwarder, index, part, now):
                        self._wake(min(leg.downlink.next_deadline, leg.downlink.next_review))
                else:
                    leg.downlink.send_sound(copies, forwarder, index, part, now)
                    if forwarder.redundancy:
                        again = forwarder.repeat(reception, index - 1, now)
                        if again is not None:
                            leg.downlink.send_twice(copies, again, now)
            elif forwarder.source is None and not track.is_video:
                self._begin(copies, leg, reception, index, now)
        return copies

    def _keep(self, peer: Peer, kept: Kept) -> None:
        """For the record."""
        if peer.journal is not None and peer.journal.handle_packet(kept):
            self._wake(peer.journal.next_deadline)

    def _handle_keyframe(
        self,
        peer: Peer,
        track: Track,
        layer: Layer,
        reception: Reception,
        codec_name: str,
        index: int,
        now: float,
    ) -> None:
        """A keyframe begins with this packet."""
        layer.keyframes.handle_keyframe()
        reception.highest_keyframe = max(reception.highest_keyframe, index)
        if not track.is_better(layer, now):
            return
        # What is recorded, and frames are taken of, is the best that there is from here on: also what came of
        # the keyframe before its first packet. What the one before it has lost may still be repaired.
        before = track.best.reception
        if before is not None:
            before.is_recorded, before.recorded_to = False, before.highest
        track.best = layer
        reception.is_recorded = True
        for early in reception.history.since(max(index, reception.recorded_to) + 1):
            again = Kept(early.data, now)  # a record's times ascend
            self._keep(peer, again)
            track.pictures.handle_packet(again, codec_name, False)

    def _handle_repair(self, peer: Peer, packet: bytes, size_bytes: int, now: float) -> list[Copy]:
        """A packet of a stream that is no medium's: a retransmission (RFC 4588), or nobody's."""
        media = repaired_by(peer, packet)
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
        copies = self._handle_media(peer, reception, original, header_size(original), now)
        if reception.received > received and reception.repaired == repaired:
            reception.repaired += 1
        return copies

    def _handle_redundancy(
        self, peer: Peer, reception: Reception, packet: bytes, size_bytes: int, now: float
    ) -> list[Copy]:
        """Sound that carries what was before it (RFC 2198): what is missing of that first, then itself."""
        second = packet[1]
        sequence_number, rtp_timestamp = sequence_number_of(packet), rtp_timestamp_of(packet)
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
            original = encode_head(
                PLAIN,
                block.payload_type,
                number,
                (rtp_timestamp - block.offset) & 0xFFFF_FFFF,
                reception.ssrc,
                block.data,
            )
            copies += self._handle_recovered(peer, reception, original, now)
        if redundancy.payload_type not in reception.codecs:
            self.unbound_packets += 1
            return copies
        original = (
            packet[:1]
            + bytes([second & MARKER | redundancy.payload_type])
            + packet[2:size_bytes]
            + packet[redundancy.start :]
        )
        return copies + self._handle_media(peer, reception, original, size_bytes, now)

    def _bind(self, peer: Peer, packet: bytes, now: float) -> Reception | None:
        """Which section does a new SSRC belong to (RFC 9143 §9.2)? None if that cannot be told (yet)."""
        ssrc = ssrc_of(packet)
        section = section_of(peer, packet, ssrc, packet[1] & PAYLOAD_TYPE)
        rid = rid_of(peer, packet, ssrc, section) if section is not None else None
        if section is None or rid is None:
            return None
        return self._begin_reception(peer, section, Ssrc(ssrc), sequence_number_of(packet), rid, now)

    def _begin_reception(
        self, peer: Peer, section: MediaSection, ssrc: Ssrc, sequence_number: int, rid: str, now: float
    ) -> Reception:
        """The newest stream of an encoding counts: a sender that restarts drops the old one."""
        if ssrc in peer.receptions:
            _end_reception(peer, ssrc)
        elif len(peer.receptions) == MAX_RECEPTIONS:
            _end_reception(peer, min(peer.receptions.values(), key=lambda one: one.last_arrival).ssrc)
        track = peer.tracks[section.kind]
        reception = Reception(ssrc=ssrc, section=section, sequence_number=sequence_number, rid=rid)
        peer.receptions[ssrc] = reception
        if peer.uplink is not None:
            peer.uplink.media_ssrc = ssrc
        layer = track.layer(rid)
        reception.is_recorded = not section.rids or layer is track.best
        if peer.journal is not None:
            peer.journal.handle_stream(ssrc, section, now, interrupts=reception.is_recorded)
            self._wake(peer.journal.next_deadline)
        if track.section is None or track.section is section:
            self._take(track, layer, reception, now)
        return reception

    def _take_over(self, track: Track, layer: Layer, reception: Reception, now: float) -> bool:
        """Whether a stream becomes its layer's current one: only when that is gone or silent."""
        current = layer.reception
        if current is not None and now - current.last_arrival < TAKE_OVER_S:
            return False
        if track.section is not reception.section:
            # Another camera of theirs, with other encodings or none.
            for forgotten in track.layers:
                if forgotten.reception is not None and forgotten.reception.section is not reception.section:
                    forgotten.reception = None
        self._take(track, layer, reception, now)
        return True

    def _take(self, track: Track, layer: Layer, reception: Reception, now: float) -> None:
        track.section = reception.section
        layer.reception = reception
        for leg in track.legs:
            source = leg.forwarder.source
            # Of this layer, or of another camera: what it showed is over.
            if source is None or source.rid == reception.rid or source.section is not reception.section:
                leg.forwarder.release()
                if track.is_video and leg.picture != "paused":
                    leg.awaited = leg.awaited or layer
            if leg.awaited is layer:
                layer.keyframes.handle_request(now)
        self._wake(layer.keyframes.next_deadline)

    def handle_rtcp(self, peer_id: str, compound: bytes, now: float) -> list[Output]:
        """What they report and ask for. Never raises: a malformed compound is counted and changes nothing."""
        peer = self._peers.get(peer_id)
        if peer is None:
            return []
        try:
            packets = parse_compound(compound, lambda cost: peer.statuses.take_all(cost, now))
        except MalformedRtcp:
            self.malformed_packets += 1
            return []
        outputs: list[Output] = []
        is_kept = False
        for packet in packets:
            match packet:
                case TransportFeedback():  # the most frequent by far
                    if peer.downlink.handle_feedback(packet, now):
                        _let_go_of_sound(peer)
                    self._review(peer, now)
                case SenderReport():
                    if not is_kept and peer.journal is not None and peer.journal.handle_report(compound, now):
                        self._wake(peer.journal.next_deadline)
                    is_kept = True
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
                case ReceiverEstimatedMaximumBitrate():
                    peer.downlink.handle_receiver_limit(packet.bitrate_bps, now)
                    self._review(peer, now)
                case _:
                    assert_never(packet)
        return outputs + self._ask_for_keyframes(now)

    def handle_move(self, peer_id: str, now: float) -> None:
        """This peer is sent to at another address from now on. Never raises."""
        peer = self._peers.get(peer_id)
        if peer is not None:
            peer.downlink.handle_move(now)
            self._wake(peer.downlink.next_deadline)

    def handle_timeout(self, now: float) -> list[Output]:
        """What is due: NACKs, keyframe requests, reports and feedback, what was paced, choices of encodings,
        segments of the journals.
        """
        if now < self.next_deadline:
            return []
        outputs: list[Output] = []
        for peer in self._peers.values():
            if peer.journal is not None and now >= peer.journal.next_deadline:
                outputs += _cuts(peer.peer_id, peer.journal.handle_timeout(now))
            for reception in peer.receptions.values():
                if now >= reception.nacks.next_deadline:
                    outputs += self._ask_for_missing(peer, reception, now)
            if now >= peer.downlink.next_deadline:
                outputs += self._send_waiting(peer, now)
            if now >= peer.downlink.next_review:
                outputs += self._choose(peer, now)
                if now >= peer.downlink.next_deadline:  # more is wanted now, and a probe for it is due
                    outputs += self._send_waiting(peer, now)
            if peer.admitted and now >= peer.tracks["video"].plan.next_deadline:
                outputs += self._order(peer, now)
            is_told = now >= _uplink_deadline(peer) - TOGETHER_S
            if is_told:
                outputs += _tell_of_arrivals(peer, now)
            if now >= peer.report_at - (EARLY_REPORT_S if is_told else 0.0):
                outputs += _report(peer, now)
                self._keep_bounds(peer, now)
        outputs += self._ask_for_keyframes(now)
        self.next_deadline = self._nearest_deadline()
        return outputs

    def _nearest_deadline(self) -> float:
        nearest = inf
        for peer in self._peers.values():
            nearest = min(nearest, peer.report_at, peer.downlink.next_deadline, _uplink_deadline(peer))
            if peer.admitted:
                plan = peer.tracks["video"].plan
                nearest = min(nearest, peer.downlink.next_review, plan.next_deadline)
            if peer.journal is not None:
                nearest = min(nearest, peer.journal.next_deadline)
            for reception in peer.receptions.values():
                nearest = min(nearest, reception.nacks.next_deadline)
            for layer in peer.tracks["video"].layers:
                if layer.reception is not None:
                    nearest = min(nearest, layer.keyframes.next_deadline)
        return nearest

    def _keep_bounds(self, peer: Peer, now: float) -> None:
        """What is kept of packets is looked over with each report, not with each packet."""
        for reception in peer.receptions.values():
            reception.history.prune(now)
        for _, _, leg in peer.legs.values():
            leg.forwarder.prune(now)
        track = peer.tracks["video"]
        for layer in track.layers:
            layer.look_for_temporal_layers()
        if not peer.admitted or track.best.keyframes.wanted:
            return
        pictures = track.pictures
        if pictures.wants_keyframe or (pictures.is_long and not track.is_held_up_by_keyframes(now)):
            track.best.keyframes.handle_request(now)

    def _ask_for_missing(self, peer: Peer, reception: Reception, now: float) -> list[Output]:
        if not peer.admitted:
            reception.nacks.forget()
            return []
        sequence_numbers, given_up = reception.nacks.handle_timeout(now, peer.round_trip_s)
        track = peer.tracks[reception.kind]
        layer = track.layer_of(reception)
        if given_up and track.is_video and layer.reception is reception and track.is_used(layer):
            layer.keyframes.handle_request(now)
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
            for layer in peer.tracks["video"].layers:
                # Before the first packet there is nobody to ask, and the first picture is a keyframe anyway.
                if layer.reception is None or layer.keyframes.next_deadline == inf:
                    continue
                if layer.keyframes.handle_timeout(now):
                    outputs.append(_feedback(peer, _keyframe_request(peer, layer.reception)))
                self._wake(layer.keyframes.next_deadline)
        return outputs

    def _resend(self, peer: Peer, nack: Nack, now: float) -> list[Output]:
        """What a receiver misses, from the source's history; what is missing there is fetched upstream."""
        if nack.media_ssrc not in peer.legs:
            return []
        forwarder = peer.legs[nack.media_ssrc][2].forwarder
        granted = peer.lookups.take(len(nack.sequence_numbers), now)
        room_bytes = peer.downlink.repair_room_bytes(now)
        parts, absent = forwarder.resend(nack.sequence_numbers[:granted], now, peer.round_trip_s, room_bytes)
        reception = forwarder.source
        if reception is not None:
            for index in absent:
                if reception.misses(index):
                    reception.nacks.handle_wish(index, now)
            self._wake(reception.nacks.next_deadline)
        copies: list[Copy] = []
        for part, is_new in parts:
            peer.downlink.send_again(copies, forwarder, part, now, is_new=is_new)
        return _sent(copies)

    def _handle_sender_report(self, peer: Peer, report: SenderReport, now: float) -> None:
        reception = peer.receptions.get(report.ssrc)
        if reception is None:
            return
        if all(one.sender_report is None for one in peer.receptions.values()):
            peer.clock_offset = round(now * NTP_SECOND) - report.ntp_timestamp
        if reception.sender_report is None:
            # Receivers play sound and picture together only once they have a report of each.
            for leg in peer.tracks[reception.kind].legs:
                receiver = self._peers[leg.forwarder.receiver_id]
                receiver.report_at = min(
                    receiver.report_at, max(now, receiver.reported_at + MIN_REPORT_INTERVAL_S)
                )
                self._wake(receiver.report_at)
        reception.handle_sender_report(report, now)

    # How well each is seen.

    def _send_waiting(self, peer: Peer, now: float) -> list[Output]:
        pictures = [seat.legs["video"].forwarder for seat in peer.seats if "video" in seat.legs]
        padding = [one for one in pictures if one.source is not None and one.has_repair_stream]
        return _sent(peer.downlink.handle_timeout(now, padding))

    def _review(self, peer: Peer, now: float) -> None:
        """Their network has shown something new."""
        self._wake(peer.downlink.next_deadline)
        if peer.admitted and peer.downlink.is_short:
            peer.downlink.hurry_review(now, REVIEW_INTERVAL_S)
            self._wake(peer.downlink.next_review)

    def _choose(self, peer: Peer, now: float) -> list[Output]:
        """Which encodings this peer sees from now on, and what their senders shall send."""
        if not peer.admitted:
            peer.downlink.next_review = inf
            return []
        watched = {
            seat.occupant.peer_id: seat.occupant.tracks["video"].rates(now)
            for seat in peer.seats
            if seat.occupant is not None and "video" in seat.legs
        }
        downlink = peer.downlink
        waiting_bytes = downlink.pacer.waiting_bytes
        outputs = self._show_all(peer, downlink.choose(watched, now), now)
        if downlink.pacer.waiting_bytes < waiting_bytes:  # what was dropped leaves room
            outputs += self._show_all(peer, downlink.choose(watched, now), now)
        for seat in peer.seats:
            if seat.occupant is None or seat.occupant.peer_id not in watched:
                continue
            ordered = self._order(seat.occupant, now)
            outputs += ordered
            if ordered and seat.legs["video"].reason == "switching":
                downlink.hurry_review(now, ORDERED_S)
        self._wake(downlink.next_review)
        return outputs + self._ask_for_keyframes(now)

    def _show_all(self, peer: Peer, choices: Mapping[str, Choice], now: float) -> list[Output]:
        """Let the pictures of all whom this peer watches be seen as chosen."""
        return [
            SlotsChanged(peer_id=peer.peer_id)
            for seat in peer.seats
            if seat.occupant is not None
            and seat.occupant.peer_id in choices
            and _show(seat.legs["video"], seat.occupant.tracks["video"], choices[seat.occupant.peer_id], now)
        ]

    def _order(self, sender: Peer, now: float) -> list[Output]:
        """What a camera shall send, for those who watch it and for the record."""
        track = sender.tracks["video"]
        downlinks = {
            receiver.peer_id: receiver.downlink
            for receiver in self._admitted.values()
            if any(seat.occupant is sender and "video" in seat.legs for seat in receiver.seats)
        }
        best_bps = track.best.bitrate_bps(now)
        orders = track.plan.handle_viewers(
            {peer_id: downlink.share_bps(sender.peer_id) for peer_id, downlink in downlinks.items()},
            shown={peer_id: downlink.shown(sender.peer_id) for peer_id, downlink in downlinks.items()},
            is_recorded=sender.journal is not None,
            best_bps=best_bps,
            now=now,
        )
        self._wake(track.plan.next_deadline)
        if orders == sender.orders:
            return []
        sender.orders = orders
        return [EncodingsOrdered(peer_id=sender.peer_id)]

    def _begin(
        self,
        copies: list[Copy],
        leg: Leg,
        reception: Reception,
        start: int,
        now: float,
    ) -> bool:
        """A stream begins, or goes on from another encoding, with a packet that is at hand; what came before
        it and belongs behind it follows. Whether it could.
        """
        forwarder, downlink = leg.forwarder, leg.downlink
        first = reception.history.find(start)
        if first is None or not forwarder.speaks(reception, first.data[1]):
            return False
        is_sound = reception.kind == "audio"
        if reception.highest - start > MAX_BEGUN:
            if leg.awaited is not None:
                leg.awaited.keyframes.handle_request(now)  # this one came too late, and took the wish with it
                self._wake(leg.awaited.keyframes.next_deadline)
            return False
        if not is_sound:
            if forwarder.source is not None and forwarder.source is not reception:
                downlink.drop(forwarder)  # of the encoding that does not fit any more, or is not needed
            leg.awaited, leg.still_at = None, now
        takes_s = STILL_TAKES_S + downlink.pacer.waiting_s if leg.picture == "stills" else 0.0
        for kept in reception.history.since(start):
            index, packet = kept.index, kept.data
            rtp_timestamp = rtp_timestamp_of(packet)
            if index == start:
                forwarder.begin(reception, index, rtp_timestamp, now, takes_s=takes_s)
            size_bytes = header_size(packet)
            part = forwarder.forward(reception, packet, index, rtp_timestamp, size_bytes, now)
            if part is not None and is_sound:
                downlink.send_sound(copies, forwarder, index, part, now)
            elif part is not None:
                downlink.send_picture(copies, forwarder, index, part, now)
        self._wake(downlink.next_deadline)
        return True

    def _occupy(self, receiver: Peer, seat: Seat, sender: Peer, now: float) -> list[Output]:
        """Seat a sender: with the picture they show now if it is at hand, else once a keyframe comes."""
        seat.occupant = sender
        seat.last_occupant_id = sender.peer_id
        receiver.downlink.next_review = now
        self._wake(now)
        copies: list[Copy] = []
        for kind, leg in seat.legs.items():
            track = sender.tracks[kind]
            track.legs = (*track.legs, leg)
            if not track.is_video:
                continue
            leg.picture, leg.reason, leg.awaited = "live", "best", track.best
            reception = track.best.reception
            start = _replayable(reception, now)
            if reception is None or start is None or not self._begin(copies, leg, reception, start, now):
                track.best.keyframes.handle_request(now)
        return _sent(copies)

    def _wake(self, at: float) -> None:
        if at < self.next_deadline:
            self.next_deadline = at


def _show(leg: Leg, track: Track, choice: Choice, now: float) -> bool:
    """Let a picture be seen as chosen. Whether people are to be told."""
    forwarder = leg.forwarder
    # Where nothing is sent, what comes first is welcome.
    nothing = track.best if choice.reason == "not_sent" else None
    layer = track.layer(choice.rid) if choice.rid is not None else nothing
    before, leg.picture, leg.reason = leg.picture, choice.picture, choice.reason
    stops = choice.picture != "live" or layer is None
    if choice.picture == "paused" or (stops and not forwarder.is_stopped):
        leg.downlink.drop(forwarder)
    forwarder.limit(choice.temporal_layers, stills=stops)
    if choice.picture == "paused" or layer is None:
        leg.awaited = None
    elif choice.picture == "stills":
        # One after the other, each when the one before it is through.
        is_through = leg.downlink.pacer.waiting_s < STILL_LEFT_S
        if leg.awaited is None and is_through and now - leg.still_at >= STILL_INTERVAL_S:
            leg.awaited = layer
            layer.keyframes.handle_request(now)
    elif forwarder.is_stopped or forwarder.source is not layer.reception or forwarder.source is None:
        if leg.awaited is not layer:
            leg.awaited = layer
            layer.keyframes.handle_request(now, track.plan.keyframe_due(layer.rid))
    else:
        leg.awaited = None
    return before != leg.picture


def _replayable(reception: Reception | None, now: float) -> int | None:
    """Where the newest keyframe begins, if it and its tail are short, whole and at hand."""
    if reception is None or reception.highest_keyframe < 0:
        return None
    start, end = reception.highest_keyframe, reception.highest + 1
    if end - start > MAX_REPLAYED or any(
        reception.history.get(one, now) is None for one in range(start, end)
    ):
        return None
    return start


def _sent(copies: Iterable[Copy]) -> list[Output]:
    return [
        SendRtp(peer_id=receiver_id, head=head, packet=packet, start=start)
        for receiver_id, head, packet, start in copies
    ]


def _uplink_deadline(peer: Peer) -> float:
    if peer.uplink is not None:
        return peer.uplink.next_deadline
    return peer.uplink_estimate.next_deadline if peer.uplink_estimate is not None else inf


def _carried(peer: Peer, before: tuple[int, int]) -> tuple[int, int]:
    """What a peer's network carried, down and up, as far as this connection has shown; else what was known.
    What an outage left of it, or a camera that was off, says nothing of the next network.
    """
    down_bps, up_bps = before
    estimator = peer.downlink.estimator
    if peer.downlink.is_estimated and estimator.limit not in ("start", "silence"):
        down_bps = max(LEAST_KNOWN_BPS, estimator.target_bps)
    if peer.uplink is not None and peer.uplink.bitrate_bps >= LEAST_KNOWN_BPS:
        up_bps = peer.uplink.bitrate_bps
    return down_bps, up_bps


def _tell_of_arrivals(peer: Peer, now: float) -> list[Output]:
    """What drives the sender's own congestion control."""
    if peer.uplink is not None:
        return [_feedback(peer, feedback) for feedback in peer.uplink.handle_timeout(now)]
    assert peer.uplink_estimate is not None
    bitrate_bps = peer.uplink_estimate.handle_timeout(now)
    if bitrate_bps is None:
        return []
    ssrcs = tuple(Ssrc(ssrc) for ssrc in peer.receptions)
    return [
        _feedback(
            peer,
            ReceiverEstimatedMaximumBitrate(ssrc=peer.feedback_ssrc, bitrate_bps=bitrate_bps, ssrcs=ssrcs),
        )
    ]


def _cuts(peer_id: str, segments: Iterable[Segment]) -> list[SegmentCut]:
    return [SegmentCut(peer_id=peer_id, segment=segment) for segment in segments]


def _vacate(seat: Seat) -> None:
    assert seat.occupant is not None
    for kind, leg in seat.legs.items():
        track = seat.occupant.tracks[kind]
        track.legs = tuple(one for one in track.legs if one is not leg)
        leg.downlink.drop(leg.forwarder)
        leg.forwarder.release()
        leg.awaited = None
    seat.occupant = None


def _follows(reception: Reception, index: int, rtp_timestamp: int) -> bool:
    """Whether a timestamp may be that of a packet of this index: later than the one before it at hand, sooner
    than the one behind it.
    """
    for step in (-1, 1):
        near = range(index + step, index + step * (red.MAX_BLOCKS + 1), step)
        neighbour = next((kept for one in near if (kept := reception.history.find(one)) is not None), None)
        if neighbour is None:
            continue
        ahead = (rtp_timestamp - rtp_timestamp_of(neighbour.data)) * -step & 0xFFFF_FFFF
        if not 0 < ahead < 0x8000_0000:
            return False
    return True


def _end_reception(peer: Peer, ssrc: int) -> None:
    reception = peer.receptions.pop(ssrc)
    peer.lost_of_ended += reception.lost
    if peer.journal is not None:
        peer.journal.handle_stream_end(ssrc)
    layer = peer.tracks[reception.kind].layer_of(reception)
    if layer.reception is reception:
        layer.reception = None


def _handle_blocks(peer: Peer, blocks: Sequence[ReportBlock], now: float) -> None:
    for block in blocks:
        if block.ssrc not in peer.legs:
            continue
        round_trip_s = peer.legs[block.ssrc][2].forwarder.handle_report_block(block, now)
        if round_trip_s is None:
            continue
        # RFC 6298 §2: the first sample as it is, an eighth of each later one.
        weight = 0.125 if peer.has_round_trip else 1.0
        peer.round_trip_s += weight * (round_trip_s - peer.round_trip_s)
        peer.has_round_trip = True
    lost = [peer.legs[block.ssrc][2].forwarder.fraction_lost for block in blocks if block.ssrc in peer.legs]
    if lost:
        peer.downlink.handle_report(max(lost), peer.round_trip_s, now)
    _spread_sound(peer)


def _spread_sound(peer: Peer) -> None:
    """As much redundancy for the sound as the worst of the streams on this leg says is needed."""
    lost = max((leg.forwarder.expected_loss for _, _, leg in peer.legs.values()), default=0.0)
    borne = (count for from_loss, count in REDUNDANCY if lost >= from_loss and peer.downlink.bears(count))
    redundancy = next(borne, 0)
    for _, kind, leg in peer.legs.values():
        if kind == "audio":
            leg.forwarder.redundancy = redundancy


def _let_go_of_sound(peer: Peer) -> None:
    """What a full queue has dropped would come behind all that waits in it, when its time is over, and delay
    the sound that is still to come.
    """
    for _, kind, leg in peer.legs.values():
        if kind == "audio":
            leg.forwarder.give_up_repairs()


def _handle_picture_loss(peer: Peer, ssrc: Ssrc, now: float) -> None:
    if ssrc not in peer.legs:
        return
    seat, kind, leg = peer.legs[ssrc]
    if seat.occupant is None or kind != "video" or leg.picture != "live":
        return  # stills come by themselves, as the network allows
    if leg.forwarder.is_stopped and leg.awaited is None:
        return  # what was there does not fit, and what does is not there yet
    track, source = seat.occupant.tracks[kind], leg.forwarder.source
    layer = leg.awaited or (track.layer_of(source) if source is not None else track.best)
    leg.awaited = layer
    # Until the sender has answered, who asks again asks for the same.
    heard_at = now if layer.keyframes.wanted else leg.keyframe_wishes.handle_wish(now)
    layer.keyframes.handle_request(now, heard_at)


def _report(peer: Peer, now: float) -> list[Output]:
    """RFC 3550 §6.1: a compound begins with a report and names its sources."""
    peer.reported_at = now
    peer.report_at = now + REPORT_INTERVAL_S
    blocks = tuple(reception.report_block(now) for reception in peer.receptions.values())
    reports: list[RtcpPacket] = []
    names: list[RtcpPacket] = [SourceDescription(cnames=((peer.feedback_ssrc, RELAY_CNAME),))]
    for seat, _, leg in peer.legs.values():
        if seat.occupant is None:
            continue
        forwarder = leg.forwarder
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
