"""One participant's connection as the router sees it: what they send, and where they receive. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from media.allowance import Allowance
from media.downlink import Downlink
from media.encodings import Picture
from media.journal import Journal
from media.reception import Reception
from media.rtp import Ssrc
from media.sdp import (
    EXTENSION_MID,
    EXTENSION_REPAIRED_RID,
    EXTENSION_RID,
    EXTENSION_SEND_TIME,
    EXTENSION_TRANSPORT_NUMBER,
    MediaSection,
    Offer,
    SlotSsrcs,
)
from media.track import Leg, Track
from media.uplink_feedback import UplinkEstimate, UplinkFeedback

ASSUMED_ROUND_TRIP_S = 0.1  # until a report tells better: a mobile network on a fair day

# What one receiver may have looked up: three streams of 2.5 Mbit/s, each packet named four times a second.
LOOKUPS_AT_ONCE = 4096
LOOKUPS_A_SECOND = 4096

# Statuses of transport-wide feedback that one receiver may have read: of three cameras of 2.5 Mbit/s they are
# 1,500 a second, and the packets that bring them cost as much again.
STATUSES_AT_ONCE = 8_000
STATUSES_A_SECOND = 8_000

# Packets of sound that one sender's redundancy may bring back: each of them, at 10 ms a packet.
RECOVERED_AT_ONCE = 100
RECOVERED_A_SECOND = 100


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


class Seat:
    """One receive slot of a peer and who sits in it."""

    __slots__ = ("last_occupant_id", "layout", "legs", "occupant")

    def __init__(self, layout: SlotSsrcs, legs: dict[str, Leg]) -> None:
        self.layout = layout
        self.legs = legs  # by kind
        self.occupant: Peer | None = None
        self.last_occupant_id = ""

    @property
    def picture(self) -> Picture:
        """What comes of the occupant's picture."""
        return self.legs["video"].picture if "video" in self.legs else "live"


class Peer:
    """One participant's connection."""

    __slots__ = (
        "admitted",
        "baseline",
        "by_mid",
        "by_ssrc",
        "clock_offset",
        "downlink",
        "feedback_ssrc",
        "fir_count",
        "has_round_trip",
        "identifiers",
        "journal",
        "legs",
        "lookups",
        "lost_of_ended",
        "number_ids",
        "number_leads",
        "orders",
        "peer_id",
        "receptions",
        "recoveries",
        "repairs",
        "report_at",
        "reported_at",
        "rids",
        "round_trip_s",
        "seats",
        "send_time_ids",
        "sending",
        "sent_bytes",
        "sent_packets",
        "statuses",
        "tracks",
        "traffic",
        "uplink",
        "uplink_estimate",
    )

    def __init__(
        self, peer_id: str, offer: Offer, feedback_ssrc: Ssrc, seats: tuple[Seat, ...], downlink: Downlink
    ) -> None:
        self.peer_id = peer_id
        self.admitted = False
        self.journal: Journal | None = None  # of the admission
        self.downlink = downlink
        self.feedback_ssrc = feedback_ssrc
        self.sending = offer.sending_sections()
        self.by_mid = {section.mid: section for section in self.sending}
        self.by_ssrc = {ssrc: section for section in self.sending for ssrc in section.ssrcs}
        self.repairs = {  # SSRC of retransmissions: that of the media, as far as the offer or a packet says
            repair: media for section in self.sending for media, repair in section.repairs
        }
        self.identifiers = {  # of header extensions that say what a packet is, by URI
            uri: _identifiers(self.sending, uri)
            for uri in (EXTENSION_MID, EXTENSION_RID, EXTENSION_REPAIRED_RID)
        }
        cameras = [section for section in self.sending if section.kind == "video"]
        # Where sound alone is counted, nothing is known of what pictures meet.
        self.number_ids = _identifiers(cameras or self.sending, EXTENSION_TRANSPORT_NUMBER)
        self.number_leads = {
            one << 4 | 1 for one in self.number_ids
        }  # RFC 8285 §4.2: of an element of two bytes
        self.uplink = UplinkFeedback(ssrc=feedback_ssrc) if self.number_ids else None
        has_remb = any("goog-remb" in codec.feedback for section in self.sending for codec in section.codecs)
        self.send_time_ids = _identifiers(self.sending, EXTENSION_SEND_TIME)
        is_timed = has_remb and bool(self.send_time_ids) and self.uplink is None
        self.uplink_estimate = UplinkEstimate() if is_timed else None
        self.tracks = {
            "audio": Track(None, is_video=False),
            "video": Track(cameras[0] if cameras else None, is_video=True),
        }
        self.orders = self.tracks["video"].plan.orders
        self.receptions: dict[int, Reception] = {}
        self.seats = seats
        self.legs = {
            leg.forwarder.ssrc: (seat, kind, leg) for seat in seats for kind, leg in seat.legs.items()
        }
        self.rids: dict[int, str] = {}  # of SSRCs that a packet has named the encoding of
        self.report_at = inf
        self.reported_at = -inf
        self.lookups = Allowance(burst=LOOKUPS_AT_ONCE, per_second=LOOKUPS_A_SECOND)
        self.statuses = Allowance(burst=STATUSES_AT_ONCE, per_second=STATUSES_A_SECOND)
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
        forwarders = [leg.forwarder for _, _, leg in self.legs.values()]
        return Traffic(
            sent_packets=self.sent_packets,
            sent_bytes=self.sent_bytes,
            received_packets=sum(forwarder.packets + forwarder.resent for forwarder in forwarders),
            received_bytes=sum(forwarder.sent_bytes + forwarder.resent_bytes for forwarder in forwarders),
            lost_packets=self.lost_of_ended + sum(reception.lost for reception in self.receptions.values()),
        )


def _identifiers(sections: Iterable[MediaSection], uri: str) -> set[int]:
    """That a header extension has in these sections."""
    found = (section.extension_id(uri) for section in sections)
    return {identifier for identifier in found if identifier is not None}
