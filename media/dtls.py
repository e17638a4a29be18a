"""DTLS-SRTP of one peer (RFC 5764, RFC 8827): a driver around OpenSSL, without tasks and queues.

    start() ──> ClientHello                         this end is the client (setup:active)
    handle_datagram() ──> the next flight, or the end of the handshake
    on_keys ──> the SRTP sessions exist             on_connected ──> the peer has them too

This is the only file that touches private names of aiortc, as srtp.py is for pylibsrtp. Taken from
`RTCDtlsTransport` is what it does well, certificates, the check of the fingerprint and the SRTP keys; its
pump is not: an empty datagram ends it, and OpenSSL's retransmission timer of a second is a long wait at a
door. Here the last flight is sent again after about 1.5 round trips, byte by byte: to the peer a duplicate of
the network.

The server's last flight cannot be asked for like that, since its Finished answers ours only once. But
whoever sends SRTP that authenticates has the keys, which are derived from the whole key exchange: such
a packet is as good as the Finished it overtook, and `confirm` takes it so. Nothing is sent before
(RFC 7918 has the same reasoning for TLS, and would send even earlier).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)
from OpenSSL import SSL

from media.sdp import Fingerprint
from media.srtp import Protector, Unprotector

MTU_BYTES = 1_200  # what libwebrtc sends at most; passes every tunnel that passes its media
RECORD_HEADER_BYTES = 13  # RFC 6347 §4.1
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE = 20, 21, 22  # RFC 5246 §6.2.1
CLIENT_HELLO = b"\x01"  # RFC 5246 §7.4: the first byte of a handshake message

RESEND_ROUND_TRIPS = 1.5  # one for the answer, half a one for its jitter and the peer's arithmetic
ASSUMED_ROUND_TRIP_S = 0.1  # a phone on 4G; one 170-byte ClientHello too many does no harm
MIN_RESEND_S = 0.1  # a slow phone takes tens of milliseconds for the arithmetic of a flight
BACK_OFF = 1.5  # doubling, RFC 6347's advice for a first second, leaves the fourth copy a second late
MAX_RESEND_S = 1.0  # the back-off ends here: RFC 6347 §4.2.4.1 starts with it
HANDSHAKE_TIMEOUT_S = 30.0  # 30 sendings; browsers give up at about the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpKeys:
    """What a finished key exchange gives."""

    rtp_in: Unprotector
    rtcp_in: Unprotector
    rtp_out: Protector
    rtcp_out: Protector


class Certificate:
    """The one certificate of the process, and the OpenSSL context that all its sessions share."""

    def __init__(self) -> None:
        self._certificate = RTCCertificate.generateCertificate()
        self._context = self._certificate._create_ssl_context(srtp_profiles=SRTP_PROFILES)
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # sessions are never resumed

    @property
    def fingerprint(self) -> Fingerprint:
        offered = self._certificate.getFingerprints()
        return next(
            Fingerprint(algorithm=each.algorithm, value=each.value)
            for each in offered
            if each.algorithm == "sha-256"
        )

    def transport(self) -> RTCDtlsTransport:
        return RTCDtlsTransport(_NoIce(), [self._certificate])  # type: ignore[arg-type]

    def connection(self) -> SSL.Connection:
        connection = SSL.Connection(self._context)
        connection.set_ciphertext_mtu(MTU_BYTES)
        return connection


class _NoIce:
    """Stands in for aiortc's ICE transport, of which a `RTCDtlsTransport` without its pump needs the role."""

    role = "controlled"


class DtlsSession:
    """Handshake and keys with one peer. All callbacks come from the event loop's thread, each at most once.

    `on_failed(reason)`: no keys, or not the certificate that the offer announced. `on_closed()`: the
    peer said goodbye (close_notify). After either, nothing more is sent.
    """

    def __init__(
        self,
        *,
        certificate: Certificate,
        fingerprints: Sequence[Fingerprint],
        role: Literal["client", "server"] = "client",
        send: Callable[[bytes], None],
        on_keys: Callable[[SrtpKeys], None],
        on_connected: Callable[[], None],
        on_closed: Callable[[], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self.rtt_s: float | None = None  # measured by the first flight that was answered at once
        self._send = send
        self._on_keys = on_keys
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self._parameters = RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint(algorithm=f.algorithm, value=f.value) for f in fingerprints]
        )
        self._is_client = role == "client"
        self._transport = certificate.transport()
        self._transport._set_role(role)
        self._ssl = self._transport._ssl = certificate.connection()
        if self._is_client:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()
        self._started = False
        self._keyed = False
        self._connected = False
        self._finished = False  # OpenSSL has seen the peer's Finished
        self._closed = False
        self._flight: list[bytes] = []
        self._flight_sent_at = 0.0
        self._resent = False
        self._resend_s = MIN_RESEND_S
        self._resend_timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0

    def start(self) -> None:
        """Send the ClientHello, or be ready for the peer's. Again: does nothing."""
        if self._started or self._closed:
            return
        self._started = True
        self._deadline = self._loop.time() + HANDSHAKE_TIMEOUT_S
        self._advance()

    def handle_datagram(self, datagram: bytes) -> None:
        """A datagram of DTLS records from an authenticated address. What makes no sense is ignored."""
        if self._closed or not self._started or not self._is_credible(datagram):
            return
        self._ssl.bio_write(datagram)
        if self._finished:
            self._read()
        else:
            self._advance()

    def confirm(self) -> None:
        """An SRTP packet of the peer has authenticated: it has the keys, even if its Finished was lost."""
        if self._keyed and not self._connected and not self._closed:
            self._connected = True
            self._on_connected()

    def close(self) -> None:
        """Say goodbye, once, and be silent."""
        if self._closed:
            return
        if self._finished:
            with contextlib.suppress(SSL.Error):
                self._ssl.shutdown()
            for datagram in self._written():
                self._send(datagram)
        self._end()

    def _is_credible(self, datagram: bytes) -> bool:
        if len(datagram) < RECORD_HEADER_BYTES:
            return False
        unencrypted = datagram[3:5] == b"\0\0"
        # RFC 6347 §4.1.2.7: an alert without keys is anybody's word, and no reason to give up.
        if unencrypted and datagram[0] == ALERT:
            return False
        # A client is never greeted by another: OpenSSL would end the handshake over it.
        hello = (
            datagram[0] == HANDSHAKE and datagram[RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + 1] == b"\x01"
        )
        return not (unencrypted and hello and self._is_client)

    def _advance(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self._fail(f"the DTLS handshake failed: {_reason(error)}")
            return
        else:
            self._finished = True
        flight = self._written()
        if flight:
            self._send_flight(flight)
        # The client's second flight holds ChangeCipherSpec: from then on the key exchange is complete.
        if self._finished or any(CHANGE_CIPHER_SPEC in _record_types(datagram) for datagram in flight):
            self._take_keys()
        if self._finished and not self._closed:
            self._stop_timer()
            if not self._connected:
                self._connected = True
                self._on_connected()

    def _take_keys(self) -> None:
        if self._keyed:
            return
        self._transport._validate_peer_identity(self._parameters)
        if self._transport.state == "failed":
            self._fail("the peer's certificate is not the one whose fingerprint it offered")
            return
        self._transport._setup_srtp()
        if self._transport.state == "failed":
            self._fail("the peer offers no SRTP protection profile that is spoken here")
            return
        self._keyed = True
        incoming, outgoing = self._transport._rx_srtp, self._transport._tx_srtp
        self._on_keys(
            SrtpKeys(
                rtp_in=Unprotector(incoming),
                rtcp_in=Unprotector(incoming, rtcp=True),
                rtp_out=Protector(outgoing),
                rtcp_out=Protector(outgoing, rtcp=True),
            )
        )

    def _read(self) -> None:
        """Records after the handshake: a retransmitted Finished, or the goodbye. Other data are nobody's."""
        try:
            while True:
                self._ssl.recv(MTU_BYTES)
        except SSL.ZeroReturnError:
            self._end()
            self._on_closed()
            return
        except SSL.Error:
            pass
        for datagram in self._written():
            self._send(datagram)

    def _written(self) -> list[bytes]:
        """What OpenSSL has written since, as datagrams: its memory BIO forgets where one ended."""
        written = b""
        try:
            while True:
                written += self._ssl.bio_read(65_536)
        except SSL.Error:
            pass
        datagrams: list[bytes] = []
        current = b""
        position = 0
        while position < len(written):
            end = position + RECORD_HEADER_BYTES + int.from_bytes(written[position + 11 : position + 13])
            if current and len(current) + end - position > MTU_BYTES:
                datagrams.append(current)
                current = b""
            current += written[position:end]
            position = end
        return [*datagrams, current] if current else datagrams

    def _send_flight(self, flight: list[bytes]) -> None:
        now = self._loop.time()
        if self._flight and not self._resent and self.rtt_s is None:
            self.rtt_s = now - self._flight_sent_at  # Karn: only where it is clear what was answered
        self._flight = flight
        self._flight_sent_at = now
        self._resent = False
        self._resend_s = max(MIN_RESEND_S, RESEND_ROUND_TRIPS * (self.rtt_s or ASSUMED_ROUND_TRIP_S))
        for datagram in flight:
            self._send(datagram)
        self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._resend_timer = self._loop.call_later(self._resend_s, self._resend)

    def _stop_timer(self) -> None:
        if self._resend_timer is not None:
            self._resend_timer.cancel()
            self._resend_timer = None

    def _resend(self) -> None:
        self._resend_timer = None
        if self._loop.time() >= self._deadline:
            if not self._connected:
                self._fail("the DTLS handshake was not answered")
            return
        try:
            # OpenSSL's own timer, when it is due, writes the flight anew: a fresh Finished, which the
            # server answers with its own, even if it has answered before (RFC 6347 §4.2.4).
            self._ssl.DTLSv1_handle_timeout()
            self._flight = self._written() or self._flight
        except SSL.Error:
            pass  # OpenSSL has tried often enough; our deadline decides
        self._resent = True
        self._resend_s = min(BACK_OFF * self._resend_s, MAX_RESEND_S)
        for datagram in self._flight:
            self._send(datagram)
        self._start_timer()

    def _fail(self, reason: str) -> None:
        for datagram in self._written():  # OpenSSL's alert: the peer learns of it, too
            self._send(datagram)
        self._end()
        self._on_failed(reason)

    def _end(self) -> None:
        self._closed = True
        self._stop_timer()


def _record_types(datagram: bytes) -> set[int]:
    types = set()
    position = 0
    while position + RECORD_HEADER_BYTES <= len(datagram):
        types.add(datagram[position])
        position += RECORD_HEADER_BYTES + int.from_bytes(datagram[position + 11 : position + 13])
    return types


def _reason(error: SSL.Error) -> str:
    details = error.args[0] if error.args else None
    return str(details[0][-1]) if isinstance(details, list) and details else "unknown reason"
