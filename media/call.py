"""One call: its participants around their router. The driver that feeds it, and performs what it returns.

    a packet, what is due ──> router ──> send, segments, and events for whoever keeps the call

The relay (relay.py) opens, finds and ends calls.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import assert_never

from media.alarms import Alarms, Sleeper
from media.journal import MAX_SEGMENT_S, Journal, Segment
from media.peer import Traffic
from media.router import (
    EncodingsOrdered,
    Output,
    Router,
    SegmentCut,
    SendRtcp,
    SendRtp,
    SlotsChanged,
)
from media.sdp import Offer, encode_answer, lay_out_slots
from media.transport import Peer, UdpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsMoved:
    """Other people sit in a participant's receive slots now."""

    call_id: str
    participant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportChanged:
    """A participant's connection came up, fell silent, came back or closed."""

    call_id: str
    participant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingsChanged:
    """A participant's camera shall send other encodings than before."""

    call_id: str
    participant_id: str


RelayEvent = SlotsMoved | TransportChanged | EncodingsChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Who hears of the segments of an admission, and the wall clock's time at monotonic zero when it began:
    the same for all its connections, however the clock is set meanwhile.
    """

    on_segment: Callable[[Segment], None]
    clock_zero_at: datetime


@dataclass(slots=True, kw_only=True)
class Participant:
    """One person of a call: at most one connection, and the sum of those before it."""

    admitted: bool = False
    recording: Recording | None = None  # of the newest admission
    earlier: Traffic = field(default_factory=Traffic)
    session_id: str = ""
    peer: Peer | None = None
    transport_section: tuple[str, str] = ("", "")  # kind and mid of the section that carries the bundle


class Call(Sleeper):
    """The participants of one call around their router."""

    def __init__(self, call_id: str, tell: Callable[[RelayEvent], None], alarms: Alarms) -> None:
        self.call_id = call_id
        self.participants: dict[str, Participant] = {}
        self._tell = tell
        self.router = Router(random32=lambda: secrets.randbits(32))
        self._alarms = alarms
        alarms.add(self)

    @property
    def wakes_at(self) -> float:
        """When the router has something to do; each input may bring that nearer."""
        return self.router.next_deadline

    def wake(self, now: float) -> None:
        """What the router has to do is due."""
        self.perform(self.router.handle_timeout(now))

    def connect(self, participant_id: str, session_id: str, offer: Offer, transport: UdpTransport) -> str:
        """Answers an offer; an older connection of the participant makes way."""
        self.disconnect(participant_id)
        participant = self.participants.setdefault(participant_id, Participant())
        slots = lay_out_slots(offer, lambda: secrets.randbits(32))
        peer = transport.add_peer(
            offer,
            on_rtp=partial(self._handle_rtp, participant_id),
            on_rtcp=partial(self._handle_rtcp, participant_id),
            on_state=lambda: self._handle_state(participant_id, session_id),
            on_move=lambda: self._handle_move(participant_id),
        )
        participant.peer, participant.session_id = peer, session_id
        first = offer.accepted_sections()[0]
        participant.transport_section = (first.kind, first.mid)
        self.perform(self.router.add_peer(participant_id, offer, slots, time.monotonic()))
        return encode_answer(
            offer,
            ice_ufrag=peer.ice_ufrag,
            ice_pwd=peer.ice_pwd,
            fingerprint=transport.fingerprint,
            candidates=transport.candidates,
            tcp_candidates=transport.tcp_candidates,
            slots=slots,
            start_bitrate_bps=self.router.known_uplink_bps(participant_id),
        )

    def disconnect(self, participant_id: str) -> None:
        """Closes the participant's connection, if there is one; who is admitted stays so for the next."""
        participant = self.participants.get(participant_id)
        if participant is None or participant.peer is None:
            return
        peer, participant.peer = participant.peer, None
        if participant.admitted:
            participant.earlier = _sum(participant.earlier, self.router.statistics(participant_id))
        outputs = self.router.remove_peer(participant_id, time.monotonic())
        peer.close()
        self.perform(outputs)
        if not participant.admitted:
            del self.participants[participant_id]

    def admit(self, participant_id: str, on_segment: Callable[[Segment], None] | None) -> None:
        """From now on the participant is relayed, as soon and as long as they are connected."""
        participant = self.participants.setdefault(participant_id, Participant())
        participant.admitted, participant.earlier = True, Traffic()
        participant.recording = (
            Recording(on_segment=on_segment, clock_zero_at=clock_zero_at()) if on_segment else None
        )
        self._relay_if_ready(participant_id)

    def withdraw(self, participant_id: str) -> None:
        """The participant is no longer relayed, but stays connected."""
        participant = self.participants.get(participant_id)
        if participant is None:
            return
        participant.admitted = False
        if participant.peer is None:
            del self.participants[participant_id]
        else:
            self.perform(self.router.withdraw(participant_id, time.monotonic()))

    def traffic(self) -> dict[str, Traffic]:
        """What each admitted participant sent and received since they were admitted."""
        return {
            participant_id: participant.earlier
            if participant.peer is None
            else _sum(participant.earlier, self.router.statistics(participant_id))
            for participant_id, participant in self.participants.items()
            if participant.admitted
        }

    def perform(self, outputs: Iterable[Output]) -> None:
        """Sends what the router says, and tells whose slots have changed."""
        for output in outputs:
            match output:
                case SendRtp():
                    if (peer := self._peer(output.peer_id)) is not None:
                        peer.send_rtp(output.head, output.packet, output.start)
                case SendRtcp():
                    if (peer := self._peer(output.peer_id)) is not None:
                        peer.send_rtcp(output.compound)
                case SlotsChanged():
                    self._tell(SlotsMoved(call_id=self.call_id, participant_id=output.peer_id))
                case EncodingsOrdered():
                    self._tell(EncodingsChanged(call_id=self.call_id, participant_id=output.peer_id))
                case SegmentCut():
                    participant = self.participants.get(output.peer_id)
                    if participant is not None and participant.recording is not None:
                        participant.recording.on_segment(output.segment)
                case _:
                    assert_never(output)
        self._alarms.hasten(self.router.next_deadline)

    def close(self) -> None:
        """Ends the call's time."""
        self._alarms.remove(self)

    def request_keyframe(self, participant_id: str) -> None:
        """Asks a participant's camera for a keyframe."""
        self.perform(self.router.request_keyframe(participant_id, time.monotonic()))

    def _relay_if_ready(self, participant_id: str) -> None:
        participant = self.participants[participant_id]
        if participant.admitted and participant.peer is not None and participant.peer.state == "connected":
            recording = participant.recording
            journal = None
            if recording is not None:
                first_s = random.uniform(MAX_SEGMENT_S / 2, MAX_SEGMENT_S)
                journal = Journal(clock_zero_at=recording.clock_zero_at, first_s=first_s)
            self.perform(self.router.admit(participant_id, time.monotonic(), journal))

    def _handle_rtp(self, participant_id: str, packet: bytes, now: float) -> None:
        participants = self.participants
        for receiver_id, head, shared, start in self.router.handle_rtp(participant_id, packet, now):
            peer = participants[receiver_id].peer
            if peer is not None:
                peer.send_rtp(head, shared, start)
        self._alarms.hasten(self.router.next_deadline)

    def _handle_rtcp(self, participant_id: str, compound: bytes, now: float) -> None:
        self.perform(self.router.handle_rtcp(participant_id, compound, now))

    def _handle_move(self, participant_id: str) -> None:
        self.router.handle_move(participant_id, time.monotonic())
        self._alarms.hasten(self.router.next_deadline)

    def _handle_state(self, participant_id: str, session_id: str) -> None:
        participant = self.participants.get(participant_id)
        if participant is None or participant.session_id != session_id or participant.peer is None:
            return
        if participant.peer.state == "closed":
            self.disconnect(participant_id)
        else:
            self._relay_if_ready(participant_id)
        self._tell(TransportChanged(call_id=self.call_id, participant_id=participant_id))

    def _peer(self, participant_id: str) -> Peer | None:
        participant = self.participants.get(participant_id)
        return participant.peer if participant is not None else None


def clock_zero_at() -> datetime:
    """The wall clock's time at monotonic zero, as it is set now."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic())


def _sum(one: Traffic, other: Traffic) -> Traffic:
    return Traffic(
        **{each.name: getattr(one, each.name) + getattr(other, each.name) for each in fields(Traffic)}
    )
