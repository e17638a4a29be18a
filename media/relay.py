"""The relay: calls on one port.

    connect ──> offer, answer, peer        admit / withdraw ──> who is relayed to whom
    admit(on_segment) ──> what they send, in segments of a few seconds
    capture_frame ──> the newest decodable picture of one participant, decoded elsewhere

A participant has one connection; a newer one takes the place of the older, in the same call.
Nothing of a participant who is not admitted is relayed, kept or decoded.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from media import router
from media.call import Call, Participant, RelayEvent, TransportChanged, clock_zero_at
from media.encodings import EncodingOrder, LegQuality
from media.errors import MalformedFragment, NoPicture, UnknownPeer
from media.fragment import encode_fragment, parse_fragment
from media.journal import Segment
from media.peer import Traffic
from media.picture_decoder import Picture, PictureDecoder
from media.router import (
    SlotAssignment,
    StreamQuality,
)
from media.sdp import parse_offer
from media.transport import Peer, PeerState, UdpTransport

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


# Compiled, a packet costs a quarter less (see the Makefile); nothing else differs.
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
            call = self._calls[call_id] = Call(call_id, self._tell, self._transport.alarms)
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
            call = self._calls[call_id] = Call(call_id, self._tell, self._transport.alarms)
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
        zero_at = participant.recording.clock_zero_at if participant.recording else clock_zero_at()
        picture = await self._decoder.decode(request)
        return Frame(picture=picture, arrived_at=zero_at + timedelta(seconds=picture.arrived))

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
