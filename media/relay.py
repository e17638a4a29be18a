"""The relay: calls on one port. The driver that feeds each call's router and performs what it returns.

    connect ──> offer, answer, peer        admit / withdraw ──> who is relayed to whom
    admit(on_segment) ──> what they send, in segments of a few seconds
    capture_frame ──> the newest decodable picture of one participant, decoded elsewhere

A participant has one connection; a newer one takes the place of the older, in the same call.
Nothing of a participant who is not admitted is relayed, kept or decoded.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from typing import Literal, assert_never

from media import router
from media.encodings import EncodingOrder, LegQuality
from media.errors import MalformedFragment, NoPicture, UnknownPeer
from media.fragment import encode_fragment, parse_fragment
from media.journal import MAX_SEGMENT_S, Journal, Segment
from media.peer import Traffic
from media.picture_decoder import Picture, PictureDecoder
from media.router import (
    EncodingsOrdered,
    Output,
    Router,
    SegmentCut,
    SendRtcp,
    SendRtp,
    SlotAssignment,
    SlotsChanged,
    StreamQuality,
)
from media.sdp import Offer, encode_answer, lay_out_slots, parse_offer
from media.transport import Peer, PeerState, UdpTransport

CLOCK_GRAIN_S = 0.002  # loops keep time in milliseconds: a deadline this near has come
PICTURE_WAIT_S = 2.0  # a keyframe asked for at a round trip of 400 ms is here, and whole, within this
PICTURE_POLL_S = 0.03  # a picture lasts 33 ms at 30 frames a second
SESSION_BYTES = 12  # 96 random bits: a session id is not guessed
LINE_BYTES = 8  # 64 random bits: no two pages of one person make the same

logger = logging.getLogger(__name__)

ConnectionState = Literal["none", "connecting", "connected", "silent"]
CONNECTION_STATES: Mapping[PeerState, ConnectionState] = {
    PeerState.NEW: "connecting",
    PeerState.CONNECTING: "connecting",
    PeerState.CONNECTED: "connected",
    PeerState.SILENT: "silent",
    PeerState.CLOSED: "none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An answered offer. `ice_tag` names the credentials agreed on, and changes with each restart."""

    session_id: str
    answer: str
    ice_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """An answered restart of ICE: an SDP fragment, and the name of the new credentials."""

    fragment: str
    ice_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A picture that the relay took out of a stream, and when it had arrived whole by the wall clock."""

    picture: Picture
    arrived_at: datetime


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


class Call:
    """The participants of one call around their router."""

    def __init__(self, call_id: str, tell: Callable[[RelayEvent], None]) -> None:
        self.call_id = call_id
        self.participants: dict[str, Participant] = {}
        self._tell = tell
        self.router = Router(random32=lambda: secrets.randbits(32))
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf

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
            Recording(on_segment=on_segment, clock_zero_at=_clock_zero_at()) if on_segment else None
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
        self._keep_time()

    def close(self) -> None:
        """Ends the call's time."""
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = -inf

    def _keep_time(self) -> None:
        """Wakes when the router has something to do; asked after each input, which may bring that nearer."""
        if self.router.next_deadline < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = self.router.next_deadline
            loop = asyncio.get_running_loop()
            wait_s = max(0.0, self._wakes_at - time.monotonic())
            self._timer = loop.call_later(wait_s, self._handle_timeout)

    def _handle_timeout(self) -> None:
        self._timer, self._wakes_at = None, inf
        try:
            now, due = time.monotonic(), self.router.next_deadline
            self.perform(self.router.handle_timeout(due if now < due <= now + CLOCK_GRAIN_S else now))
        finally:
            self._keep_time()

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
        if self.router.next_deadline < self._wakes_at:
            self._keep_time()

    def _handle_rtcp(self, participant_id: str, compound: bytes, now: float) -> None:
        self.perform(self.router.handle_rtcp(participant_id, compound, now))

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


# Compiled, a packet costs a fifth less (see the Makefile); nothing else differs.
IS_COMPILED = not router.__file__.endswith(".py")


class Relay:
    """All calls on one UDP port. `on_event` hears what changes by itself."""

    def __init__(self, transport: UdpTransport) -> None:
        self.on_event: Callable[[RelayEvent], None] = lambda event: None
        self._transport = transport
        self._decoder = PictureDecoder()
        self._calls: dict[str, Call] = {}

    @classmethod
    async def open(cls, *, host: str, port: int, announce: Sequence[tuple[str, int]]) -> "Relay":
        """Binds the port. Raises `OSError` when it is taken."""
        transport = await UdpTransport.open(host=host, port=port, announce=announce)
        await transport.listen_tcp()
        return cls(transport)

    async def close(self) -> None:
        """Closes every connection, then the port."""
        for call_id in tuple(self._calls):
            self.end_call(call_id)
        await self._decoder.close()
        await self._transport.close()

    @property
    def candidates(self) -> Sequence[tuple[str, int]]:
        """Where people's browsers are told to send."""
        return self._transport.candidates

    @property
    def port(self) -> int:
        """The UDP port that is bound."""
        return self._transport.port

    @property
    def connections(self) -> int:
        """How many people are connected."""
        return sum(
            participant.peer is not None
            for call in self._calls.values()
            for participant in call.participants.values()
        )

    def datagrams(self) -> Mapping[str, int]:
        """Datagrams that changed nothing, by the reason; none of them costs a log line."""
        return asdict(self._transport.counters)

    @property
    def connections_turned_away(self) -> int:
        """TCP connections that ended before a check authenticated."""
        return self._transport.tcp.turned_away

    def connect(
        self, call_id: str, participant_id: str, offer_sdp: str, *, line: str | None = None
    ) -> Connection:
        """Answers a participant's offer. Raises `MalformedOffer`, and then an older connection stays.

        `line` is that of the session which the new one carries on; without it a new line begins.
        """
        offer = parse_offer(offer_sdp)
        self._decoder.wake()  # it is up long before somebody has seen what they want to keep
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = Call(call_id, self._tell)
        session_id = f"{line or secrets.token_hex(LINE_BYTES)}-{secrets.token_hex(SESSION_BYTES)}"
        answer = call.connect(participant_id, session_id, offer, self._transport)
        return Connection(
            session_id=session_id,
            answer=answer,
            ice_tag=self.ice_tag(call_id, participant_id, session_id),
        )

    def ice_tag(self, call_id: str, participant_id: str, session_id: str) -> str:
        """The name of the newest ICE credentials of a session. Raises `UnknownPeer`."""
        return self._peer_of(call_id, participant_id, session_id).ice_ufrag

    def trickle(self, call_id: str, participant_id: str, session_id: str, fragment: str) -> None:
        """More candidates of a peer: a lite end needs none. Raises `UnknownPeer` or `MalformedFragment`."""
        peer = self._peer_of(call_id, participant_id, session_id)
        if parse_fragment(fragment).ice_ufrag != peer.credentials.remote_ufrag:
            raise MalformedFragment("a fragment with another user fragment restarts: send If-Match: *")

    def restart_ice(self, call_id: str, participant_id: str, session_id: str, fragment: str) -> Restarted:
        """Answers a peer's new ICE credentials with new ones; the same fragment again gets the same answer.

        Handshake, keys, streams and slots stay, and the old credentials stay good until the peer uses the
        new ones. Raises `UnknownPeer` or `MalformedFragment`, and then nothing has changed.
        """
        peer = self._peer_of(call_id, participant_id, session_id)
        remote_ufrag = parse_fragment(fragment).ice_ufrag
        if remote_ufrag != peer.credentials.remote_ufrag:
            self._transport.restart_ice(peer, remote_ufrag)
        kind, mid = self._calls[call_id].participants[participant_id].transport_section
        answer = encode_fragment(
            ice_ufrag=peer.ice_ufrag,
            ice_pwd=peer.ice_pwd,
            kind=kind,
            mid=mid,
            candidates=self._transport.candidates,
            tcp_candidates=self._transport.tcp_candidates,
        )
        return Restarted(fragment=answer, ice_tag=peer.ice_ufrag)

    def disconnect(self, call_id: str, participant_id: str) -> None:
        """Closes a participant's connection, if there is one."""
        if (call := self._calls.get(call_id)) is not None:
            call.disconnect(participant_id)
            self._forget_if_empty(call)
            self.on_event(TransportChanged(call_id=call_id, participant_id=participant_id))

    def admit(
        self, call_id: str, participant_id: str, on_segment: Callable[[Segment], None] | None = None
    ) -> None:
        """The participant is in the call: they are seen and heard, and see and hear, once connected.

        With `on_segment` all that they send until `withdraw` is kept, and handed to it piece by piece, across
        connections; the last pieces come from within `disconnect`, `withdraw` or `end_call`. It is called
        between packets and must neither take long nor raise.
        """
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = Call(call_id, self._tell)
        call.admit(participant_id, on_segment)

    def withdraw(self, call_id: str, participant_id: str) -> None:
        """The participant has left the call; the connection stays for the next."""
        if (call := self._calls.get(call_id)) is not None:
            call.withdraw(participant_id)
            self._forget_if_empty(call)

    def end_call(self, call_id: str) -> None:
        """Closes every connection of a call."""
        if (call := self._calls.get(call_id)) is not None:
            for participant_id in tuple(call.participants):
                call.withdraw(participant_id)
                call.disconnect(participant_id)
            call.close()
            self._calls.pop(call_id, None)

    def session_of(self, call_id: str, participant_id: str) -> str | None:
        """The id of the participant's connection, or None."""
        participant = self._participant(call_id, participant_id)
        return participant.session_id if participant is not None and participant.peer is not None else None

    def connection_state(self, call_id: str, participant_id: str) -> ConnectionState:
        """How the participant's connection is."""
        participant = self._participant(call_id, participant_id)
        if participant is None or participant.peer is None:
            return "none"
        return CONNECTION_STATES[participant.peer.state]

    def slots(self, call_id: str, participant_id: str) -> Sequence[SlotAssignment]:
        """Who sits in the participant's receive slots."""
        call = self._calls.get(call_id)
        if call is None or self.session_of(call_id, participant_id) is None:
            return ()
        return call.router.slots(participant_id)

    def traffic(self, call_id: str) -> Mapping[str, Traffic]:
        """What each admitted participant of a call sent and received since they were admitted."""
        call = self._calls.get(call_id)
        return call.traffic() if call is not None else {}

    def quality(self, call_id: str, participant_id: str) -> Sequence[StreamQuality]:
        """The streams between a participant and the relay, both ways; none where there is no connection."""
        call = self._calls.get(call_id)
        if call is None or self.session_of(call_id, participant_id) is None:
            return ()
        return call.router.quality(participant_id)

    def encodings(self, call_id: str, participant_id: str) -> Sequence[EncodingOrder]:
        """What the participant's camera shall send, the least encoding first; empty: as it likes."""
        call = self._calls.get(call_id)
        if call is None or self.session_of(call_id, participant_id) is None:
            return ()
        return call.router.encodings(participant_id)

    def leg(self, call_id: str, participant_id: str) -> LegQuality | None:
        """What the participant's network is believed to carry; None where there is no connection."""
        call = self._calls.get(call_id)
        if call is None or self.session_of(call_id, participant_id) is None:
            return None
        return call.router.leg(participant_id)

    def last_seen(self, call_id: str, participant_id: str) -> float | None:
        """When a participant's connection was last heard, in monotonic seconds; None where there is none."""
        participant = self._participant(call_id, participant_id)
        return (
            participant.peer.last_seen if participant is not None and participant.peer is not None else None
        )

    async def capture_frame(self, call_id: str, participant_id: str) -> Frame:
        """The newest decodable picture of a participant. Asks for a keyframe and waits where none is at hand.

        Raises `NoPicture` or `DecoderFailed`; forwarding goes on meanwhile.
        """
        deadline = time.monotonic() + PICTURE_WAIT_S
        while True:
            call = self._calls.get(call_id)
            participant = call.participants.get(participant_id) if call is not None else None
            if call is None or participant is None or participant.peer is None:
                raise NoPicture("not_connected", "this person's camera is not connected")
            try:
                request = call.router.newest_picture(participant_id, time.monotonic())
                break
            except NoPicture:
                if time.monotonic() > deadline:
                    raise
            call.request_keyframe(participant_id)
            await asyncio.sleep(PICTURE_POLL_S)
        # By the clock of their journal, if they have one: it stays what it was if somebody sets the clock.
        clock_zero_at = participant.recording.clock_zero_at if participant.recording else _clock_zero_at()
        picture = await self._decoder.decode(request)
        return Frame(picture=picture, arrived_at=clock_zero_at + timedelta(seconds=picture.arrived))

    def _tell(self, event: RelayEvent) -> None:
        if (call := self._calls.get(event.call_id)) is not None:
            self._forget_if_empty(call)
        self.on_event(event)

    def _participant(self, call_id: str, participant_id: str) -> Participant | None:
        call = self._calls.get(call_id)
        return call.participants.get(participant_id) if call is not None else None

    def _peer_of(self, call_id: str, participant_id: str, session_id: str) -> Peer:
        participant = self._participant(call_id, participant_id)
        if participant is None or participant.peer is None or participant.session_id != session_id:
            raise UnknownPeer("there is no such media session, or it has been replaced")
        return participant.peer

    def _forget_if_empty(self, call: Call) -> None:
        if not call.participants:
            call.close()
            self._calls.pop(call.call_id, None)


def line_of(session_id: str) -> str:
    """What the sessions of one page have in common, each made to carry on the one before."""
    return session_id.partition("-")[0]


def _clock_zero_at() -> datetime:
    """The wall clock's time at monotonic zero, as it is set now."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic())


def _sum(one: Traffic, other: Traffic) -> Traffic:
    return Traffic(
        **{each.name: getattr(one, each.name) + getattr(other, each.name) for each in fields(Traffic)}
    )
