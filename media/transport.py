"""The one UDP port of all peers: demultiplexing, ICE-lite, DTLS-SRTP. Plaintext out, plaintext in.

    datagram ─┬─ from an address that authenticated ─ SRTP ─ unprotect ─> on_rtp / on_rtcp
              ├─ a STUN check ─ by user fragment ─ ice.py ─> reply, addresses
              └─ from an address that authenticated ─ DTLS ─ dtls.py ─> keys

    send_rtp / send_rtcp ─ protect ─ sendto

What comes over TCP (tcp.py) is demultiplexed in the same way; a connection is an address like any other.

The first byte says what a datagram is (RFC 7983). Whatever does not authenticate changes nothing: it is
counted, by kind, and forgotten. No address is believed before a check with the right password has come
from it, and no packet before its SRTP tag has been verified.

    NEW ─ first check ─> CONNECTING ─ keys on both sides ─> CONNECTED <─> SILENT ─ 60 s ─> CLOSED
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import ipaddress
import logging
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import ifaddr

from media import dtls, ice, stun
from media.alarms import Alarms
from media.errors import IllegalCheck, MalformedStun, UnknownUfrag
from media.gathering import Gathering, Outbox
from media.intake import NO_KEY, SLOTS, Intake
from media.sdp import Fingerprint, Offer
from media.srtp import SLOT_BYTES, SRTP_ERRORS, PacketMemory, Protector, Unprotector
from media.stun import Address, TcpAddress
from media.tcp import TcpPort

BUSY_DATAGRAMS_A_SECOND = 2_000  # six calls: from here on waking up costs as much as what there is to do
BUSY_PAUSE_S = 0.004  # what gathering may add to a delay; the packets of a picture come within it
PORT_TRIES = 16  # for one that is free over both
SOCKET_BUFFER_BYTES = 4 << 20  # 4 MiB: 200 ms of 160 Mbit/s, while the loop does something else
SWEEP_S = 0.1  # how often peers are looked over for silence
SILENT_AFTER_S = 2.8  # with the sweep and the way to the others' screens, within the 3 s that are promised
SILENT_AFTER_CHECKS_S = 8.0  # who sends checks alone: 3 s apart in libwebrtc, up to 6 s in RFC 7675 §5.1
MEDIA_RECENT_S = 1.5  # of who sends or receives pictures an RTCP report comes every second
CLOSED_AFTER_S = 60.0  # browsers give up after half of it; a lift ride does not end a call
TAKEOVER_AFTER_S = 1.0  # quiet for that long, an address may have become another peer's
MAX_CANDIDATES = 8  # a browser pairs each with each of its own
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # Linux, asm-generic/socket.h; Python has no names for them
MAX_STRANGE_MEDIA = 50  # packets a sweep that may look in vain for the peer that they are of
MAX_STRANGERS = 256  # addresses from which peers have spoken that no check has taught; the oldest makes room
MAX_NAMESAKES = 4  # peers asked about one SSRC: it is a peer's own claim, and 32 random bits

# What one peer may send, so that it takes no more than its share of a core that serves 50 calls. A camera of
# 2.5 Mbit/s and a microphone are 300 packets a second, 600 with each repaired. Only what authenticates is
# counted, or whoever forges an address could silence its owner; only what is counted is refused.
PACKETS_A_SECOND = 1_500  # 15 Mbit/s of full packets
PACKETS_AT_ONCE = 1_500  # keyframes, and what a network held back for two seconds
# RFC 3550 §6.2 gives RTCP 5 % of the session: of 6 Mbit/s that is 300 kbit/s. In bytes, because they are what
# reading costs: each four of a NACK name 17 packets. At 30 % loss browsers send 10 kB a second.
RTCP_BYTES_A_SECOND = 40_000
RTCP_BYTES_AT_ONCE = 40_000
UFRAG_BYTES = 6  # 48 bits: nobody guesses one, and they do not collide
PWD_BYTES = 24  # RFC 8445 §5.3 asks for 128 bits


class PeerState(enum.StrEnum):
    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    SILENT = "silent"
    CLOSED = "closed"


@dataclass(slots=True)
class Counters:
    """Datagrams that changed nothing, by the reason; and those that the kernel would not take."""

    empty: int = 0
    unknown_kind: int = 0  # first byte of no protocol that is spoken here
    unknown_source: int = 0  # DTLS or SRTP from an address that never authenticated
    malformed_stun: int = 0
    unknown_ufrag: int = 0
    illegal_check: int = 0  # wrong password, or an address that is another peer's
    unauthenticated_srtp: int = 0  # a wrong tag, a repetition, or before there were keys
    excess: int = 0  # of a peer that sends many times its share
    unsent: int = 0  # full socket buffer, no route, too long, or no keys yet


logger = logging.getLogger(__name__)

# What a send may raise: no keys yet, too long for SRTP or the network, a full socket buffer.
UNSENDABLE = (*SRTP_ERRORS, OSError)


class Peer:
    """One peer connection. `on_state` is told of every change but those that the caller makes by `close`;
    `on_move`, when what is sent goes to another address than before.
    """

    __slots__ = (
        "_address",
        "_checked_at",
        "_counters",
        "_dtls",
        "_ice",
        "_is_awaited",
        "_is_gathered",
        "_keys",
        "_media_at",
        "_on_move",
        "_on_rtcp",
        "_on_rtp",
        "_on_state",
        "_outbox",
        "_refilled_at",
        "_rtcp_bytes_left",
        "_rtcp_in",
        "_rtcp_out",
        "_rtp_in",
        "_rtp_out",
        "_rtp_packets_left",
        "_sendto",
        "_silent_after_s",
        "_transport",
        "close_reason",
        "ssrcs",
        "state",
    )

    def __init__(
        self,
        transport: UdpTransport,
        offer: Offer,
        *,
        silent_after_s: float,
        on_rtp: Callable[[bytes, float], None],
        on_rtcp: Callable[[bytes, float], None],
        on_state: Callable[[], None],
        on_move: Callable[[], None],
    ) -> None:
        self.ssrcs = tuple(ssrc for section in offer.sections for ssrc in section.ssrcs)
        self.state = PeerState.NEW
        self.close_reason: str | None = None  # a sentence, once CLOSED
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._on_state = on_state
        self._on_move = on_move
        self._silent_after_s = silent_after_s
        self._transport = transport
        self._counters = transport.counters
        self._sendto: Callable[[Any, Any], int] = transport.way_to(None)
        self._outbox = Outbox(transport.gathering)
        self._is_gathered = False  # what is sent waits in the outbox
        self._checked_at = time.monotonic()  # life is reckoned from birth
        self._media_at = ice.NEVER
        self._refilled_at = self._checked_at
        self._rtp_packets_left: float = float(PACKETS_AT_ONCE)
        self._rtcp_bytes_left: float = float(RTCP_BYTES_AT_ONCE)
        self._address: Address | None = None
        self._keys: dtls.SrtpKeys | None = None
        self._arm()
        self._ice = ice.IceLite(_new_credentials(offer.ice_ufrag))
        self._dtls = dtls.DtlsSession(
            certificate=transport.certificate,
            fingerprints=offer.fingerprints,
            send=self._send,
            on_keys=self._handle_keys,
            on_connected=lambda: self._enter(PeerState.CONNECTED),
            on_closed=lambda: self._fail("the peer closed the connection"),
            on_failed=self._fail,
        )

    @property
    def credentials(self) -> ice.Credentials:
        """What the peer has been told last: our fragment and password, and its own fragment."""
        return self._ice.newest

    @property
    def ice_ufrag(self) -> str:
        """Our user fragment, as the peer was told last."""
        return self._ice.newest.ufrag

    @property
    def ice_pwd(self) -> str:
        """Our password, as the peer was told last."""
        return self._ice.newest.pwd

    @property
    def last_seen(self) -> float:
        """When a datagram last authenticated, in monotonic seconds; before the first, when it was added."""
        return max(self._checked_at, self._media_at)

    @property
    def rtt_s(self) -> float | None:
        """The round trip that the DTLS handshake measured; `None` if it measured none."""
        return self._dtls.rtt_s

    @property
    def address(self) -> Address | None:
        """Where this peer is sent to now."""
        return self._address

    def send_rtp(self, head: bytes, packet: bytes, start: int) -> None:
        """Protect and send one RTP packet: `head`, and what `packet` has from `start` on. Like a network, it
        drops what it cannot carry, and counts it.
        """
        try:
            if self._rtp_out is None:
                raise ValueError("no SRTP keys yet")
            if self._is_gathered:
                self._outbox.put(self._rtp_out, head, packet, start)
            else:
                self._sendto(self._rtp_out.protect(head, packet, start), self._address)
        except UNSENDABLE:
            self._counters.unsent += 1

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send one RTCP compound packet, as `send_rtp` does."""
        try:
            if self._rtcp_out is None:
                raise ValueError("no SRTP keys yet")
            if self._is_gathered:
                self._outbox.put(self._rtcp_out, compound, b"", 0)
            else:
                self._sendto(self._rtcp_out.protect(compound, b"", 0), self._address)
        except UNSENDABLE:
            self._counters.unsent += 1

    def close(self) -> None:
        """Say goodbye and forget the peer. Again: does nothing."""
        if self.state is PeerState.CLOSED:
            return
        self.state = PeerState.CLOSED
        self.close_reason = self.close_reason or "closed by this end"
        self._dtls.close()
        self._keys = None
        self._arm()
        self._transport.remove_peer(self)

    def handle_check(self, request: stun.BindingRequest, source: Address, now: float) -> list[ice.Output]:
        """Follow a check that names this peer. Raises `IllegalCheck`, and then nothing has changed."""
        if self._address is not None:
            self._ice.handle_media(self._address, self._media_at)  # the one of many that matters to a check
        outputs = self._ice.handle_check(request, source, now)
        self._checked_at = now
        return outputs

    def handle_checked(self) -> None:
        """The reply to a check is on its way: begin the handshake, or wake up."""
        if self.state is PeerState.NEW:
            self._enter(PeerState.CONNECTING)
            self._dtls.start()
        elif self.state is PeerState.SILENT:
            self._enter(PeerState.CONNECTED)

    def handle_move(self, source: Address, now: float) -> None:
        """An authenticated packet came from another address than the one that is sent to."""
        for output in self._ice.handle_media(source, now):
            if isinstance(output, ice.Selected):
                self.select(output.address)

    def handle_strange_media(self, source: Address, now: float) -> list[ice.Output]:
        """A packet with the right tag came from an address that was never checked."""
        if self._address is not None:
            self._ice.handle_media(self._address, self._media_at)
        outputs = self._ice.handle_strange_media(source, now)
        if outputs:
            self._media_at = now
        return outputs

    def handle_lost(self, address: Address) -> None:
        """The address has become another peer's, or its connection has ended."""
        self._ice.handle_lost(address)
        self.select(self._ice.selected)

    def restart_ice(self, remote_ufrag: str) -> list[ice.Output]:
        """Expect checks with new credentials; handshake, keys and streams stay as they are."""
        return self._ice.restart(_new_credentials(remote_ufrag))

    def handle_dtls(self, datagram: bytes) -> None:
        """A DTLS datagram from one of this peer's addresses."""
        self._dtls.handle_datagram(datagram)

    def handle_time(self, now: float, closed_after_s: float) -> None:
        """Look how long ago the peer was last heard, and let it send its share again."""
        passed_s, self._refilled_at = now - self._refilled_at, now
        self._rtp_packets_left = min(PACKETS_AT_ONCE, self._rtp_packets_left + PACKETS_A_SECOND * passed_s)
        self._rtcp_bytes_left = min(
            RTCP_BYTES_AT_ONCE, self._rtcp_bytes_left + RTCP_BYTES_A_SECOND * passed_s
        )
        quiet_s = now - self.last_seen
        if quiet_s > closed_after_s:
            self._fail("the peer has been silent for too long")
        elif self.state is PeerState.CONNECTED and quiet_s > self._silent_after_s:
            checks_alone = self._checked_at - self._media_at > MEDIA_RECENT_S
            if not checks_alone or quiet_s > max(self._silent_after_s, SILENT_AFTER_CHECKS_S):
                self._enter(PeerState.SILENT)

    def has_sent_too_much(self, *, rtcp: bool) -> bool:
        """Whether the peer has used up its share, for now."""
        return (self._rtcp_bytes_left if rtcp else self._rtp_packets_left) <= 0

    def select(self, address: Address | None) -> None:
        """From now on everything goes there."""
        moves = address is not None and address != self._address
        if address != self._address:
            self._transport.handle_addresses()
        self._address = address
        self.handle_pace()
        self._arm()
        if moves and self.state in (PeerState.CONNECTED, PeerState.SILENT):
            self._on_move()

    def handle_pace(self) -> None:
        """The way out is another one: the address is, or what is sent is gathered from now on, or no more."""
        address = self._address
        self._sendto = self._transport.way_to(address)
        self._is_gathered = self._transport.is_gathering and not isinstance(address, TcpAddress)
        self._outbox.address = None if isinstance(address, TcpAddress) else address

    def ufrags(self) -> tuple[str, ...]:
        """The user fragments by which checks may name this peer."""
        return self._ice.ufrags

    def addresses(self) -> tuple[Address, ...]:
        """All addresses that this peer may send from."""
        return self._ice.addresses

    def _handle_keys(self, keys: dtls.SrtpKeys) -> None:
        self._keys = keys
        self._arm()

    def _enter(self, state: PeerState) -> None:
        self.state = state
        self._arm()
        self._on_state()

    def _fail(self, reason: str) -> None:
        if self.state is not PeerState.CLOSED:
            self.close_reason = reason
            self.close()
            self._on_state()

    def _arm(self) -> None:
        """What the hot path has at hand: nothing is sent before it can be read, and before the connection
        stands, or while the peer is silent, the first packet that authenticates says that it is there.
        """
        keys = self._keys
        self._rtp_in: Unprotector | None = keys.rtp_in if keys is not None else None
        self._rtcp_in: Unprotector | None = keys.rtcp_in if keys is not None else None
        self._is_awaited = self.state is not PeerState.CONNECTED
        is_ready = self._address is not None and self.state in (PeerState.CONNECTED, PeerState.SILENT)
        self._rtp_out: Protector | None = keys.rtp_out if keys is not None and is_ready else None
        self._rtcp_out: Protector | None = keys.rtcp_out if keys is not None and is_ready else None

    def unprotect_rtp(self, memory: PacketMemory, slot: int, size_bytes: int) -> bytes:
        """The RTP packet in a slot. Raises one of `SRTP_ERRORS`."""
        if self._rtp_in is None:
            raise ValueError("no SRTP keys yet")
        packet = self._rtp_in.unprotect(memory, slot, size_bytes)
        if self._is_awaited:
            self._handle_first_packet()
        return packet

    def unprotect_rtcp(self, memory: PacketMemory, slot: int, size_bytes: int) -> bytes:
        """The RTCP compound in a slot. Raises one of `SRTP_ERRORS`."""
        if self._rtcp_in is None:
            raise ValueError("no SRTP keys yet")
        compound = self._rtcp_in.unprotect(memory, slot, size_bytes)
        if self._is_awaited:
            self._handle_first_packet()
        return compound

    def _handle_first_packet(self) -> None:
        if self.state is PeerState.SILENT:
            self._enter(PeerState.CONNECTED)
        else:
            self._dtls.confirm()

    def _send(self, datagram: bytes) -> None:
        if self._address is not None:
            self._transport.send(datagram, self._address)


class UdpTransport:
    """The socket and who is behind it. Made by `open`; all methods belong to the event loop's thread."""

    def __init__(
        self,
        udp: socket.socket,
        *,
        candidates: Sequence[tuple[str, int]],
        certificate: dtls.Certificate,
        silent_after_s: float,
        closed_after_s: float,
    ) -> None:
        self.socket = udp
        self._intake = Intake(udp)
        self._aside = PacketMemory(1)  # for a packet that did not come through the intake
        self.candidates = tuple(candidates)
        self.certificate = certificate
        self.counters = Counters()
        self._silent_after_s = silent_after_s
        self._closed_after_s = closed_after_s
        self._peers: dict[str, Peer] = {}  # by our user fragments
        self._routes: dict[Address, Peer] = {}  # by every address that authenticated
        self._selected: dict[int, Peer] = {}  # by the key of the address that is sent to; see `_find`
        self._senders: dict[int, list[Peer]] = {}  # by the SSRCs that they offered
        self._strange_media = 0  # that was nobody's, since the last sweep
        self._strangers: dict[Address, Peer] = {}  # by addresses that their media alone have named
        self.tcp_candidates: tuple[tuple[str, int], ...] = ()
        self.tcp = TcpPort(
            on_packet=self.handle_packet, knows=self._routes.__contains__, on_gone=self._handle_gone
        )
        self._loop = asyncio.get_running_loop()
        self.alarms = Alarms(self._loop)
        self.gathering = Gathering(udp)
        self._decrypted: list[tuple[Callable[[bytes, float], None], bytes]] = []  # and for whom
        self._handed_on = 0  # of them
        self._fetched_at = 0.0
        self._read_datagrams = 0  # since the last sweep
        self._pause: asyncio.TimerHandle | None = None  # while the port is read by the clock
        self._loop.add_reader(udp, self._read)
        self._sweep_timer = self._loop.call_later(SWEEP_S, self._sweep)

    @classmethod
    async def open(
        cls,
        *,
        host: str,
        port: int,
        announce: Sequence[tuple[str, int]] = (),
        certificate: dtls.Certificate | None = None,
        silent_after_s: float = SILENT_AFTER_S,
        closed_after_s: float = CLOSED_AFTER_S,
    ) -> UdpTransport:
        """Bind the port (0: any). Without `announce`, the candidates are the addresses of this machine.

        Raises `OSError` where the port is taken or a name does not resolve.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = found[0]
        announced = [(await _resolve(loop, name), its_port) for name, its_port in announce]
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            if family == socket.AF_INET6:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            _enlarge_buffers(udp)
            _bind(udp, address)
            bound_host, bound_port = udp.getsockname()[:2]
            candidates = announced or [(own, bound_port) for own in own_addresses(bound_host)]
            return cls(
                udp,
                candidates=candidates,
                certificate=certificate or dtls.Certificate(),
                silent_after_s=silent_after_s,
                closed_after_s=closed_after_s,
            )
        except BaseException:
            udp.close()
            raise

    async def listen_tcp(self) -> None:
        """Listen on the same port over TCP, too. Where that cannot be, the service runs on UDP alone."""
        host, port = self.socket.getsockname()[:2]
        try:
            await self.tcp.listen(host, port, self.socket.family)
        except OSError as error:
            logger.warning("no media over TCP, where UDP is blocked: port %d: %s", port, error)
            return
        self.tcp_candidates = self.candidates

    @property
    def fingerprint(self) -> Fingerprint:
        return self.certificate.fingerprint

    @property
    def port(self) -> int:
        """The port that is bound, also where 0 was asked for."""
        return int(self.socket.getsockname()[1])

    def add_peer(
        self,
        offer: Offer,
        *,
        on_rtp: Callable[[bytes, float], None],
        on_rtcp: Callable[[bytes, float], None],
        on_state: Callable[[], None],
        on_move: Callable[[], None],
    ) -> Peer:
        """Expect a peer, whose fragment and password go into the answer. The callbacks get plaintext."""
        peer = Peer(
            self,
            offer,
            silent_after_s=self._silent_after_s,
            on_rtp=on_rtp,
            on_rtcp=on_rtcp,
            on_state=on_state,
            on_move=on_move,
        )
        self._peers[peer.ice_ufrag] = peer
        for ssrc in peer.ssrcs:
            self._senders.setdefault(ssrc, []).append(peer)
        return peer

    def restart_ice(self, peer: Peer, remote_ufrag: str) -> None:
        """Give a peer new credentials; those in use stay good until it follows."""
        self._perform(peer, peer.restart_ice(remote_ufrag))
        self._peers[peer.ice_ufrag] = peer

    def remove_peer(self, peer: Peer) -> None:
        """Forget a closed peer's fragment and addresses."""
        self.handle_addresses()
        for ufrag in peer.ufrags():
            self._peers.pop(ufrag, None)
        for address in peer.addresses():
            if self._routes.get(address) is peer:
                del self._routes[address]
                self.tcp.forget(address)
        for ssrc in peer.ssrcs:
            namesakes = self._senders.get(ssrc, [])
            if peer in namesakes:
                namesakes.remove(peer)
            if not namesakes:
                self._senders.pop(ssrc, None)
        for address in [address for address, stranger in self._strangers.items() if stranger is peer]:
            del self._strangers[address]

    def way_to(self, address: Address | None) -> Callable[[Any, Any], int]:
        """How to send there, in the form of `socket.sendto`."""
        return self.tcp.way_to(address) if isinstance(address, TcpAddress) else self.socket.sendto

    def send(self, datagram: bytes, address: Address) -> None:
        """Send a datagram as it is; what the kernel does not take is counted."""
        try:
            self.way_to(address)(datagram, address)
        except OSError:
            self.counters.unsent += 1

    @property
    def is_gathering(self) -> bool:
        """Whether what is sent is gathered, as the port is read by the clock."""
        return self._pause is not None

    async def close(self) -> None:
        """Say goodbye to everybody and release the port."""
        for peer in tuple(self._peers.values()):
            peer.close()
        self.counters.unsent += self.gathering.flush()
        self._sweep_timer.cancel()
        if self._pause is not None:
            self._pause.cancel()
        self.alarms.close()
        self.tcp.close()
        self._loop.remove_reader(self.socket)
        self._intake.close()
        self.socket.close()

    def _read(self) -> None:
        """What the kernel holds, but not so much that others starve: the rest comes with the next wake-up."""
        try:
            self._handle_datagrams()
        except BaseException:  # one packet's fault must not hold up those that came with it
            self._loop.call_soon(self._read)
            raise

    def _handle_datagrams(self) -> None:
        """First all that came together is decrypted, then all of it is handed on: the same work many times is
        done faster than each time between other work.
        """
        left = SLOTS
        while left > 0 and (self._decrypted or self._intake.fetch()):
            left -= self._decrypt()
            self._hand_on()
            if self._intake.is_all:
                return

    def _hand_on(self) -> None:
        decrypted, now = self._decrypted, self._fetched_at
        while self._handed_on < len(decrypted):
            handle, plaintext = decrypted[self._handed_on]
            self._handed_on += 1
            handle(plaintext, now)
        decrypted.clear()
        self._handed_on = 0

    def _decrypt(self) -> int:
        """How many datagrams were taken. What is no media of somebody who is known is dealt with at once."""
        intake, selected, decrypted = self._intake, self._selected, self._decrypted
        memory, view = intake.memory, intake.memory.view
        now = self._fetched_at = time.monotonic()  # all that is fetched together has come by now
        taken = 0
        while (slot := intake.take()) >= 0:
            taken += 1
            self._read_datagrams += 1
            size_bytes, start = intake.size_bytes(slot), slot * SLOT_BYTES
            is_selected = True
            peer = selected.get(intake.key(slot))
            if peer is None:
                peer, is_selected = self._find(slot)
            # RFC 7983 §7: 128 to 191 is RTP or RTCP; shorter than an RTCP header and tag is neither.
            if peer is None or size_bytes < 12 or not 127 < view[start] < 192:
                self._handle_rest(memory.read(slot, size_bytes), intake.source(slot), peer, now)
                continue
            try:
                # RFC 5761 §4: packet types 192 to 223 are RTCP.
                if 191 < view[start + 1] < 224:
                    if peer._rtcp_bytes_left <= 0:
                        self.counters.excess += 1
                        continue
                    plaintext = peer.unprotect_rtcp(memory, slot, size_bytes)
                    peer._rtcp_bytes_left -= size_bytes
                    handle = peer._on_rtcp
                else:
                    if peer._rtp_packets_left <= 0:
                        self.counters.excess += 1
                        continue
                    plaintext = peer.unprotect_rtp(memory, slot, size_bytes)
                    peer._rtp_packets_left -= 1
                    handle = peer._on_rtp
            except SRTP_ERRORS:
                self.counters.unauthenticated_srtp += 1
                continue
            peer._media_at = now
            if not is_selected:
                peer.handle_move(intake.source(slot), now)
            decrypted.append((handle, plaintext))
        return taken

    def _find(self, slot: int) -> tuple[Peer | None, bool]:
        """Whose address it is, and whether it is the one that they are sent to: that one is remembered by its
        key, and forgotten whenever any address of anybody changes.
        """
        source, key = self._intake.source(slot), self._intake.key(slot)
        peer = self._routes.get(source)
        is_selected = peer is not None and source == peer._address
        if peer is not None and is_selected and key != NO_KEY:
            self._selected[key] = peer
        return peer, is_selected

    def handle_addresses(self) -> None:
        """Somebody's address is another one, or another's."""
        self._selected.clear()

    def _read_and_pause(self) -> None:
        before = self._read_datagrams
        try:
            self._read()
        finally:  # … nor end the reading of all others
            # What did not fit into one turn is not made to wait for the next.
            pause_s = BUSY_PAUSE_S if self._read_datagrams - before < SLOTS else 0.0
            self._pause = self._loop.call_later(pause_s, self._read_and_pause)
            self.alarms.ring()
            self.counters.unsent += self.gathering.flush()

    def _choose_pace(self) -> None:
        """Under load the port is read by the clock: many packets share what it costs to wake up, and those of
        a picture leave together. Otherwise each is handled and sent the moment it is there.
        """
        # Half as much ends it: a load at the edge does not change the pace with every sweep.
        many = BUSY_DATAGRAMS_A_SECOND * SWEEP_S / (1 if self._pause is None else 2)
        is_busy = self._read_datagrams > many
        self._read_datagrams = 0
        if is_busy == (self._pause is not None):
            return
        if self._pause is None:
            self._loop.remove_reader(self.socket)
            self.alarms.look(True)
            self._read_and_pause()
        else:
            self._pause.cancel()
            self._pause = None
            self.alarms.look(False)
            self.counters.unsent += self.gathering.flush()
            self._loop.add_reader(self.socket, self._read)
        for peer in self._peers.values():
            peer.handle_pace()

    def handle_packet(self, packet: bytes, source: TcpAddress, now: float) -> None:
        """A packet that came over TCP. Does what `_read` does in line, where a call a packet would count."""
        peer = self._routes.get(source)
        if peer is None or len(packet) < 12 or not 127 < packet[0] < 192:
            self._handle_rest(packet, source, peer, now)
        elif peer.has_sent_too_much(rtcp=191 < packet[1] < 224):
            self.counters.excess += 1
        elif self._handle_media(packet, source, peer, now):
            peer._media_at = now
            if source != peer.address:
                peer.handle_move(source, now)
        else:
            self.counters.unauthenticated_srtp += 1

    def _handle_media(self, packet: bytes, source: Address, peer: Peer, now: float) -> bool:
        """Unprotect a packet and hand it on; whether it has authenticated."""
        try:
            self._aside.write(0, packet)
            if 191 < packet[1] < 224:
                plaintext, handle = peer.unprotect_rtcp(self._aside, 0, len(packet)), peer._on_rtcp
                peer._rtcp_bytes_left -= len(packet)
            else:
                plaintext, handle = peer.unprotect_rtp(self._aside, 0, len(packet)), peer._on_rtp
                peer._rtp_packets_left -= 1
        except SRTP_ERRORS:
            return False
        handle(plaintext, now)
        return True

    def _handle_strange_media(self, packet: bytes, source: Address, now: float) -> bool:
        """Media from an address that no check has taught: whether a peer has spoken from there.

        An SSRC that was offered, of sound mostly, says whose they are. What else comes from there may be
        theirs, too: the SSRCs of encodings and of their repairs stand in no offer, and RTCP may name any.
        """
        if len(packet) < 12 or self._strange_media >= MAX_STRANGE_MEDIA:
            return False
        is_rtcp = 191 < packet[1] < 224
        namesakes = [] if is_rtcp else self._senders.get(int.from_bytes(packet[8:12]), [])[:MAX_NAMESAKES]
        known = self._strangers.get(source)
        candidates = namesakes if known is None else [known, *namesakes]
        for peer in candidates:
            if peer.has_sent_too_much(rtcp=is_rtcp):
                continue
            if self._handle_media(packet, source, peer, now):
                if len(self._strangers) >= MAX_STRANGERS and source not in self._strangers:
                    del self._strangers[next(iter(self._strangers))]
                self._strangers[source] = peer
                self._perform(peer, peer.handle_strange_media(source, now), source)
                return True
        self._strange_media += bool(candidates)
        return False

    def _handle_gone(self, address: TcpAddress) -> None:
        """A connection has ended by itself."""
        self.handle_addresses()
        peer = self._routes.pop(address, None)
        if peer is not None:
            peer.handle_lost(address)

    def _handle_rest(self, datagram: bytes, source: Address, peer: Peer | None, now: float) -> None:
        counters = self.counters
        if not datagram:
            counters.empty += 1
        elif datagram[0] < 4:
            try:
                self._handle_check(datagram, source, now)
            except MalformedStun:
                counters.malformed_stun += 1
            except UnknownUfrag:
                counters.unknown_ufrag += 1
            except IllegalCheck:
                counters.illegal_check += 1
        elif not (19 < datagram[0] < 64 or 127 < datagram[0] < 192):
            counters.unknown_kind += 1
        elif peer is None:
            if not (datagram[0] > 127 and self._handle_strange_media(datagram, source, now)):
                counters.unknown_source += 1
        elif datagram[0] < 64:
            peer.handle_dtls(datagram)
        else:
            counters.unauthenticated_srtp += 1

    def _handle_check(self, datagram: bytes, source: Address, now: float) -> None:
        request = stun.parse_binding_request(datagram)
        peer = self._peers.get(request.local_ufrag)
        if peer is None:
            raise UnknownUfrag("nobody here was given this user fragment")
        holder = self._routes.get(source)
        if (
            holder is not None
            and holder is not peer
            and holder.address == source
            and now - holder.last_seen < TAKEOVER_AFTER_S
        ):
            raise IllegalCheck("the address is in use by another peer")
        self._perform(peer, peer.handle_check(request, source, now), source)
        if peer.address is not None:
            peer.handle_checked()

    def _perform(self, peer: Peer, outputs: Sequence[ice.Output], source: Address | None = None) -> None:
        for output in outputs:
            match output:
                case ice.Reply():
                    assert source is not None
                    self.send(output.datagram, source)
                case ice.Learned():
                    holder = self._routes.get(output.address)
                    if holder is not None:
                        holder.handle_lost(output.address)
                    self._routes[output.address] = peer
                    self.handle_addresses()
                    self._strangers.pop(output.address, None)
                case ice.Forgotten():
                    del self._routes[output.address]
                    self.handle_addresses()
                    self.tcp.forget(output.address)
                case ice.Selected():
                    peer.select(output.address)
                case ice.Retired():
                    self._peers.pop(output.ufrag, None)
                case _:
                    assert_never(output)

    def _sweep(self) -> None:
        self._strange_media = 0
        self._sweep_timer = self._loop.call_later(SWEEP_S, self._sweep)
        self._choose_pace()
        now = time.monotonic()
        for peer in tuple(self._peers.values()):
            peer.handle_time(now, self._closed_after_s)


def _new_credentials(remote_ufrag: str) -> ice.Credentials:
    return ice.Credentials(
        ufrag=secrets.token_hex(UFRAG_BYTES), pwd=secrets.token_hex(PWD_BYTES), remote_ufrag=remote_ufrag
    )


def own_addresses(bound_host: str) -> list[str]:
    """The addresses at which a socket bound to this host can be reached, those for everybody first."""
    bound = ipaddress.ip_address(bound_host)
    if not bound.is_unspecified:
        return [bound_host]
    found = [
        ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]
    # A socket bound to :: is reached by both families, one bound to 0.0.0.0 by IPv4 alone.
    reached = [
        address
        for address in found
        if address.version <= bound.version and not address.is_loopback and not address.is_link_local
    ]
    reached.sort(key=lambda address: (address.version, not address.is_global))
    return [str(address) for address in reached[:MAX_CANDIDATES]] or ["127.0.0.1"]


async def _resolve(loop: asyncio.AbstractEventLoop, name: str) -> str:
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    return str(found[0][4][0])


def _bind(udp: socket.socket, address: Any) -> None:
    """Where any port will do, it is one that nobody has over TCP: `listen_tcp` wants the same."""
    if address[1] == 0:
        for _ in range(PORT_TRIES):
            with socket.socket(udp.family, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
                probe.bind(address)
                udp.bind(probe.getsockname())
                return
    udp.bind(address)


def _enlarge_buffers(udp: socket.socket) -> None:
    for option, forced_option in ((socket.SO_RCVBUF, SO_RCVBUFFORCE), (socket.SO_SNDBUF, SO_SNDBUFFORCE)):
        udp.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)  # cut to net.core.[rw]mem_max
        with contextlib.suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, forced_option, SOCKET_BUFFER_BYTES)  # needs CAP_NET_ADMIN
