"""A bot: one WebRTC connection that sends the prepared media and counts what arrives.

Small enough that forty of them leave a core to the server under test: ICE is one candidate and a check
every 2.5 s (RFC 8445, always controlling), DTLS is OpenSSL over memory, a packet is patched, protected and
sent, and one timer reads all sockets. A bot offers what Chromium offers: RTX, transport-wide numbers and
feedback are used with whoever answers them, and all servers are asked for the same. It tells what arrived
every 100 ms, repairs nothing and obeys one kind of feedback: asked for a keyframe, it starts its loop again.
What a server sends again or to probe a network (RTX, padding) is told of, but not counted as forwarded.

The last eight bytes of each payload are the time of sending; the kernel notes the time of arrival, so that
the delay between them is the server's and not that of a bot which has not read yet. Both are nanoseconds of
the machine's real-time clock, the only one that the kernel stamps packets with. The eight bytes spoil a few
pixels; a bot whose pictures will be looked at is told to leave them out.
"""

import asyncio
import contextlib
import datetime
import re
import secrets
import select
import socket
import struct
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from tests.bench.media_source import AUDIO_FRAME_S, FRAME_RATE, MediaSource
from tests.bench.transport_feedback import EXTENSION, TransportFeedback

AUDIO_PAYLOAD_TYPE = 111  # the numbers that Chromium uses
VIDEO_PAYLOAD_TYPE = 96
REPAIR_PAYLOAD_TYPE = 97
AUDIO_LEVEL_ID = 1
TRANSPORT_NUMBER_ID = 3
ONE_BYTE = 0xBEDE  # RFC 8285 §4.2: one-byte header extensions
CHECK_RETRY_S = 0.05  # RFC 8445 §14: Ta
CHECK_INTERVAL_S = 2.5  # libwebrtc's interval on a stable, writable connection
REPORT_INTERVAL_S = 1.0  # libwebrtc's interval for video
FEEDBACK_INTERVAL_S = 0.1  # libwebrtc's default, at rates where it is 5 % of what arrives or less
FLIGHT_RETRY_S = 0.05  # libwebrtc's first DTLS timeout
CONNECT_TIMEOUT_S = 10
RECEIVE_BUFFER_BYTES = 1 << 20  # a burst of keyframes waits here while the process does something else
MAX_PLAUSIBLE_DELAY_NS = 5_000_000_000  # what is beyond is no time stamp: a transcoder's payload
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
READ_INTERVAL_S = 0.002
TIMESTAMP_SPACE = socket.CMSG_SPACE(16)
NTP_EPOCH_OFFSET_S = 2_208_988_800  # 1900 to 1970

_TIMESPEC = struct.Struct("@qq")
_STAMP = struct.Struct("!Q")
_PLAIN_HEADER = struct.Struct("!BBHII")
_NUMBERED_HEADER = struct.Struct("!BBHIIHHBHB")  # with a header extension of one word
_AUDIO_HEADER = struct.Struct("!BBHIIHHBBH")  # the same
_NUMBERED_AUDIO_HEADER = struct.Struct("!BBHIIHHBBBHHB")  # of two words

Direction = Literal["sendrecv", "sendonly", "recvonly"]
Kind = Literal["audio", "video"]


class BotFailed(Exception):
    """The server did not do its part of the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One m= section as the bot describes it."""

    mid: str
    kind: Kind
    direction: Direction
    payload_type: int
    repair_payload_type: int | None = None  # of RTX for it
    transport_number_id: int | None = TRANSPORT_NUMBER_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An SRTP protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2)."""

    name: bytes
    libsrtp_profile: int
    key_bytes: int
    salt_bytes: int


# As Chromium 156 prefers them: its own choice, wherever it is the DTLS server, is the first.
PROFILES = (
    Profile(
        name=b"SRTP_AES128_CM_SHA1_80",
        libsrtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        key_bytes=16,
        salt_bytes=14,
    ),
    Profile(
        name=b"SRTP_AEAD_AES_256_GCM",
        libsrtp_profile=Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
        key_bytes=32,
        salt_bytes=12,
    ),
    Profile(
        name=b"SRTP_AEAD_AES_128_GCM",
        libsrtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        key_bytes=16,
        salt_bytes=12,
    ),
)


class Crowd:
    """What all bots share: the media, the reading, and the certificate, which costs more than connecting."""

    def __init__(self, *, address: str, media: MediaSource) -> None:
        self.address = address
        self.media = media
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bot")])
        today = datetime.datetime.now(tz=datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.set_tlsext_use_srtp(b":".join(profile.name for profile in PROFILES))
        asyncio.get_running_loop().call_soon(self._read)

    def add_reader(self, file_number: int, read: Callable[[], None]) -> None:
        self._readers[file_number] = read
        self._epoll.register(file_number, select.EPOLLIN)

    def remove_reader(self, file_number: int) -> None:
        if self._readers.pop(file_number, None) is not None:
            self._epoll.unregister(file_number)

    def close(self) -> None:
        self._epoll.close()

    def _read(self) -> None:
        # Nobody sleeps on these sockets: a server's sendto() wakes no one up, as on a real network.
        if self._epoll.closed:
            return
        for file_number, _ in self._epoll.poll(0):
            if (read := self._readers.get(file_number)) is not None:
                read()
        asyncio.get_running_loop().call_later(READ_INTERVAL_S, self._read)


@dataclass(slots=True, kw_only=True)
class _Stream:
    """An RTP stream that the bot sends."""

    ssrc: int
    sequence_number: int = field(default_factory=lambda: secrets.randbits(15))
    rtp_timestamp: int = field(default_factory=lambda: secrets.randbits(32))
    packets: int = 0
    octets: int = 0


class Bot:
    """One connection. Make an offer and accept the answer, or answer an offer; then wait for `connected`."""

    def __init__(self, crowd: Crowd, *, stamps: bool = True) -> None:
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received_packets = 0
        self.repair_packets = 0  # and padding
        self.sent_packets = 0
        self.delays_ns = array("q")  # of the packets that bore a plausible time stamp
        self.keyframe_requests = 0
        self.transport_feedback_packets = 0  # that came
        self._crowd = crowd
        self._media = crowd.media
        self._stamps = stamps
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind((crowd.address, 0))
        self._ice_ufrag = secrets.token_hex(4)
        self._ice_pwd = secrets.token_hex(16)
        self._remote_ufrag = ""
        self._remote_pwd = ""
        self._remote_fingerprint = ""
        self._writable = False
        self._checks: set[bytes] = set()
        self._dtls: SSL.Connection | None = None
        self._active = False
        self._flight = b""
        self._protect: Callable[[bytes], bytes] | None = None
        self._protect_rtcp: Callable[[bytes], bytes] | None = None
        self._unprotect: Callable[[bytes], bytes] | None = None
        self._unprotect_rtcp: Callable[[bytes], bytes] | None = None
        self._sections: tuple[Section, ...] = ()
        self._streams = {kind: _Stream(ssrc=secrets.randbits(31) | 1) for kind in ("audio", "video")}
        self._picture_index = 0
        self._picture_id = secrets.randbits(15)
        self._sound_index = 0
        self._highest: dict[bytes, bytes] = {}  # the newest sequence number of each arriving SSRC
        self._repair_ssrc = secrets.randbits(31) | 1
        self._feedback = TransportFeedback(self._streams["video"].ssrc)
        self._transport_number_id: int | None = None  # once both sides have it
        self._transport_number = secrets.randbits(16)
        self._repair_types: frozenset[int] = frozenset()
        self._sending = False
        self._closed = False

    def reset_counters(self) -> None:
        self.received_packets = self.repair_packets = self.sent_packets = 0
        self.delays_ns = array("q")

    # Offer and answer (RFC 8829): one bundle, one candidate.

    def offer(self, directions: list[tuple[Kind, Direction]]) -> str:
        self._sections = tuple(
            Section(
                mid=str(index),
                kind=kind,
                direction=direction,
                payload_type=AUDIO_PAYLOAD_TYPE if kind == "audio" else VIDEO_PAYLOAD_TYPE,
                repair_payload_type=None if kind == "audio" else REPAIR_PAYLOAD_TYPE,
            )
            for index, (kind, direction) in enumerate(directions)
        )
        return self._describe("actpass")

    def accept_answer(self, answer: str) -> None:
        # RFC 5763 §5: the answerer is active unless it says otherwise.
        self._start(answer, active=_attribute(answer, "setup") == "passive")

    def answer(self, offer: str) -> str:
        """Answer a server's offer to send; the bot only receives here. Active, as Chromium answers."""
        blocks = offer.replace("\r\n", "\n").split("\nm=")[1:]
        self._sections = tuple(
            Section(
                mid=_attribute(block, "mid"),
                kind="audio" if block.startswith("audio") else "video",
                direction="recvonly",
                payload_type=int(block.split("\n", 1)[0].split()[3]),
                repair_payload_type=_repair_payload_type(block),
                transport_number_id=_extension_id(block),
            )
            for block in blocks
        )
        self._start(offer, active=True)
        return self._describe("active")

    def _describe(self, setup: str) -> str:
        address, port = self._socket.getsockname()
        lines = [
            "v=0",
            f"o=- {secrets.randbits(60)} 1 IN IP4 {address}",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE " + " ".join(section.mid for section in self._sections),
            "a=msid-semantic: WMS bot",
        ]
        own = {"audio": True, "video": True}  # the first sending section of a kind carries the bot's own
        for section in self._sections:
            payload_type = section.payload_type
            lines += [
                f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {payload_type}"
                + ("" if section.repair_payload_type is None else f" {section.repair_payload_type}"),
                f"c=IN IP4 {address}",
                "a=rtcp:9 IN IP4 0.0.0.0",
                f"a=candidate:1 1 udp 2130706431 {address} {port} typ host",
                "a=end-of-candidates",
                f"a=ice-ufrag:{self._ice_ufrag}",
                f"a=ice-pwd:{self._ice_pwd}",
                f"a=fingerprint:sha-256 {self._crowd.fingerprint}",
                f"a=setup:{setup}",
                f"a=mid:{section.mid}",
                f"a={section.direction}",
                "a=rtcp-mux",
                "a=rtcp-rsize",
            ]
            if section.transport_number_id is not None:
                lines += [
                    f"a=extmap:{section.transport_number_id} {EXTENSION}",
                    f"a=rtcp-fb:{payload_type} transport-cc",
                ]
            if section.kind == "audio":
                lines += [
                    f"a=extmap:{AUDIO_LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                    f"a=rtpmap:{payload_type} opus/48000/2",
                    f"a=fmtp:{payload_type} minptime=10;useinbandfec=1",
                ]
            else:
                lines += [f"a=rtpmap:{payload_type} VP8/90000"]
                lines += [
                    f"a=rtcp-fb:{payload_type} {feedback}"
                    for feedback in ("goog-remb", "ccm fir", "nack", "nack pli")
                ]
            if section.repair_payload_type is not None:
                lines += [
                    f"a=rtpmap:{section.repair_payload_type} rtx/90000",
                    f"a=fmtp:{section.repair_payload_type} apt={payload_type}",
                ]
            if section.direction != "recvonly" and own[section.kind]:
                own[section.kind] = False
                ssrc = self._streams[section.kind].ssrc
                lines += [f"a=msid:bot {section.kind}"]
                if section.repair_payload_type is not None:
                    lines += [
                        f"a=ssrc-group:FID {ssrc} {self._repair_ssrc}",
                        f"a=ssrc:{self._repair_ssrc} cname:bot",
                    ]
                lines += [f"a=ssrc:{ssrc} cname:bot"]
        return "\r\n".join(lines) + "\r\n"

    def _start(self, description: str, *, active: bool) -> None:
        address, port = _candidate(description, self._socket.getsockname()[0])
        self._remote_ufrag = _attribute(description, "ice-ufrag")
        self._remote_pwd = _attribute(description, "ice-pwd")
        self._remote_fingerprint = _attribute(description, "fingerprint").split()[1].upper()
        # RFC 8285 §5: the answer keeps the offer's numbers, and what it leaves out is not used.
        self._transport_number_id = _extension_id(description)
        self._repair_types = frozenset(
            section.repair_payload_type
            for section in self._sections
            if section.repair_payload_type is not None
        )
        self._socket.connect((address, port))
        self._active = active
        self._dtls = SSL.Connection(self._crowd.context, None)
        self._dtls.set_ciphertext_mtu(1_200)
        if active:
            self._dtls.set_connect_state()
        else:
            self._dtls.set_accept_state()
        self._crowd.add_reader(self._socket.fileno(), self._read)
        self._timers["give up"] = self._loop.call_later(
            CONNECT_TIMEOUT_S, self._fail, f"not connected to {address}:{port} in {CONNECT_TIMEOUT_S} s"
        )
        self._check()

    # ICE

    def _check(self) -> None:
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self._remote_ufrag}:{self._ice_ufrag}"
        request.attributes["PRIORITY"] = 1_853_824_767  # peer-reflexive, RFC 8445 §7.1.1
        request.attributes["ICE-CONTROLLING"] = 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self._remote_pwd.encode())
        self._checks.add(request.transaction_id)
        self._send(bytes(request))
        self._later("check", CHECK_INTERVAL_S if self._writable else CHECK_RETRY_S, self._check)

    def _handle_stun(self, datagram: bytes) -> None:
        message = stun.parse_message(datagram)
        if message.message_class is stun.Class.REQUEST:
            # Only a full agent sends requests; it is answered from the one address that the bot has.
            response = stun.Message(
                message_method=stun.Method.BINDING,
                message_class=stun.Class.RESPONSE,
                transaction_id=message.transaction_id,
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = self._socket.getpeername()
            response.add_message_integrity(self._ice_pwd.encode())
            self._send(bytes(response))
        elif message.message_class is stun.Class.RESPONSE and message.transaction_id in self._checks:
            self._checks.clear()
            if not self._writable:
                self._writable = True
                self._later("check", CHECK_INTERVAL_S, self._check)
                self._shake_hands()

    # DTLS (RFC 5764). Nothing is lost on this machine, but a server may be deaf until it has read the answer.

    def _shake_hands(self) -> None:
        assert self._dtls is not None
        with contextlib.suppress(SSL.WantReadError):
            self._dtls.do_handshake()
            self._secure()
        with contextlib.suppress(SSL.WantReadError):
            self._flight = self._dtls.bio_read(4_096)
            self._send_flight()

    def _send_flight(self) -> None:
        self._send(self._flight)
        if self._protect is None:
            self._later("flight", FLIGHT_RETRY_S, self._send_flight)

    def _handle_dtls(self, datagram: bytes) -> None:
        assert self._dtls is not None
        self._dtls.bio_write(datagram)
        if self._protect is None:
            self._shake_hands()
            return
        try:
            self._dtls.recv(4_096)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.close()

    def _secure(self) -> None:
        assert self._dtls is not None
        certificate = self._dtls.get_peer_certificate(as_cryptography=True)
        if certificate is None or certificate.fingerprint(hashes.SHA256()).hex(":").upper() != (
            self._remote_fingerprint
        ):
            self._fail("the server's certificate is not the one of its description")
            return
        chosen = self._dtls.get_selected_srtp_profile()
        profile = next(profile for profile in PROFILES if profile.name == chosen)
        key, salt = profile.key_bytes, profile.salt_bytes
        material = self._dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        sending, receiving = (client, server) if self._active else (server, client)
        outbound, inbound = (
            Session(Policy(key=master, ssrc_type=direction, srtp_profile=profile.libsrtp_profile))
            for master, direction in (
                (sending, Policy.SSRC_ANY_OUTBOUND),
                (receiving, Policy.SSRC_ANY_INBOUND),
            )
        )
        self._protect, self._protect_rtcp = outbound.protect, outbound.protect_rtcp
        self._unprotect, self._unprotect_rtcp = inbound.unprotect, inbound.unprotect_rtcp
        self._timers.pop("give up").cancel()
        self._later("report", REPORT_INTERVAL_S, self._report)
        if self._transport_number_id is not None:
            self._later("feedback", FEEDBACK_INTERVAL_S, self._send_feedback)
        if not self.connected.done():
            self.connected.set_result(None)

    # Receiving

    def _read(self) -> None:
        receive, unprotect, delays_ns = self._socket.recvmsg, self._unprotect, self.delays_ns
        handle_arrival, number_id, repairs = (
            self._feedback.handle_arrival,
            self._transport_number_id,
            self._repair_types,
        )
        try:
            while True:
                datagram, notes, _, _ = receive(2_048, TIMESTAMP_SPACE)
                first = datagram[0]
                if 128 <= first <= 191:
                    if unprotect is None:
                        continue
                    if 192 <= datagram[1] <= 223:
                        self._handle_rtcp(datagram)
                        continue
                    try:
                        packet = unprotect(datagram)
                    except SrtpError:  # repaired so late that the window of 128 packets has passed: lost
                        continue
                    seconds, nanoseconds = _TIMESPEC.unpack(notes[0][2])
                    arrived_ns = seconds * 1_000_000_000 + nanoseconds
                    if (
                        number_id is not None
                        and packet[0] & 0x10
                        and (number := _transport_number(packet, number_id)) is not None
                    ):
                        handle_arrival(number, arrived_ns)
                    self._highest[packet[8:12]] = packet[2:4]
                    # Browsers and servers alike pad only what holds nothing but padding.
                    if packet[0] & 0x20 or packet[1] & 0x7F in repairs:
                        self.repair_packets += 1
                        continue
                    self.received_packets += 1
                    delay_ns = arrived_ns - _STAMP.unpack_from(packet, -8)[0]
                    if 0 <= delay_ns < MAX_PLAUSIBLE_DELAY_NS:
                        delays_ns.append(delay_ns)
                elif first < 4:
                    self._handle_stun(datagram)
                elif 20 <= first <= 63:
                    self._handle_dtls(datagram)
                    unprotect = self._unprotect
                if self._closed:
                    return
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            self._fail("the server's port is closed")

    def _handle_rtcp(self, datagram: bytes) -> None:
        assert self._unprotect_rtcp is not None
        compound = self._unprotect_rtcp(datagram)
        while len(compound) >= 4:
            size = 4 * (int.from_bytes(compound[2:4], "big") + 1)
            # RFC 4585 §6.3.1: picture loss indication; RFC 5104 §4.3.1: full intra request.
            if compound[1] == 206 and compound[0] & 31 in (1, 4):
                self.keyframe_requests += 1
                self._picture_index = 0
            elif compound[1] == 205 and compound[0] & 31 == 15:
                self.transport_feedback_packets += 1
            compound = compound[size:]

    # Sending

    def start_sending(self, *, phase: float = 0.0) -> None:
        """Begin the loop; `phase` in 0..1 spreads the bots over the time of one picture."""
        self._sending = True
        now = self._loop.time()
        self._later("picture", phase / FRAME_RATE, self._send_picture, now + phase / FRAME_RATE)
        self._later("sound", phase * AUDIO_FRAME_S, self._send_sound, now + phase * AUDIO_FRAME_S)

    def stop_sending(self) -> None:
        """Fall silent, but stay connected; nothing happens if the bot never sent."""
        self._sending = False
        for name in ("picture", "sound"):
            if (timer := self._timers.pop(name, None)) is not None:
                timer.cancel()

    @property
    def sends(self) -> bool:
        """Whether the bot has something to send on this connection."""
        return any(section.direction != "recvonly" for section in self._sections)

    def _send_picture(self, due: float) -> None:
        pictures = self._media.pictures
        picture = pictures[self._picture_index]
        self._picture_index = (self._picture_index + 1) % len(pictures)
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        picture_id = (0x8000 | self._picture_id).to_bytes(2, "big")
        stream = self._streams["video"]
        last = len(picture) - 1
        number_id = self._transport_number_id
        for index, payload in enumerate(picture):
            head = (
                VIDEO_PAYLOAD_TYPE | (0x80 if index == last else 0),
                stream.sequence_number,
                stream.rtp_timestamp,
                stream.ssrc,
            )
            if number_id is None:
                header = _PLAIN_HEADER.pack(0x80, *head)
            else:
                number = self._transport_number = (self._transport_number + 1) & 0xFFFF
                header = _NUMBERED_HEADER.pack(0x90, *head, ONE_BYTE, 1, number_id << 4 | 1, number, 0)
            self._send_rtp(stream, header, payload[:2] + picture_id + payload[4:])
        stream.rtp_timestamp = (stream.rtp_timestamp + 90_000 // FRAME_RATE) & 0xFFFFFFFF
        due += 1 / FRAME_RATE
        self._timers["picture"] = self._loop.call_at(due, self._send_picture, due)

    def _send_sound(self, due: float) -> None:
        sounds = self._media.sounds
        payload = sounds[self._sound_index]
        self._sound_index = (self._sound_index + 1) % len(sounds)
        stream = self._streams["audio"]
        head = (0x90, AUDIO_PAYLOAD_TYPE, stream.sequence_number, stream.rtp_timestamp, stream.ssrc, ONE_BYTE)
        level = (AUDIO_LEVEL_ID << 4, 0x80 | 20)  # RFC 6464 §3: speech at −20 dBov
        if (number_id := self._transport_number_id) is None:
            header = _AUDIO_HEADER.pack(*head, 1, *level, 0)
        else:
            number = self._transport_number = (self._transport_number + 1) & 0xFFFF
            header = _NUMBERED_AUDIO_HEADER.pack(*head, 2, *level, number_id << 4 | 1, number, 0, 0)
        self._send_rtp(stream, header, payload)
        stream.rtp_timestamp = (stream.rtp_timestamp + int(48_000 * AUDIO_FRAME_S)) & 0xFFFFFFFF
        due += AUDIO_FRAME_S
        self._timers["sound"] = self._loop.call_at(due, self._send_sound, due)

    def _send_rtp(self, stream: _Stream, header: bytes, payload: bytes) -> None:
        assert self._protect is not None
        stream.sequence_number = (stream.sequence_number + 1) & 0xFFFF
        stream.packets += 1
        stream.octets += len(payload)
        self.sent_packets += 1
        if self._stamps:
            payload = payload[:-8] + _STAMP.pack(time.time_ns())
        self._send(self._protect(header + payload))

    def _report(self) -> None:
        """RFC 3550 §6.4: a sender report of each stream, or one receiver report, and the CNAME."""
        assert self._protect_rtcp is not None
        blocks = b"".join(
            ssrc + bytes(4) + b"\0\0" + highest + bytes(12) for ssrc, highest in self._highest.items()
        )
        count = len(self._highest)
        own_ssrc = self._streams["video"].ssrc
        compound = b""
        if self._sending:
            ntp = int((time.time() + NTP_EPOCH_OFFSET_S) * (1 << 32))
            for stream in self._streams.values():
                size = 24 + len(blocks)
                compound += struct.pack(
                    ">BBHIQIII",
                    0x80 | count,
                    200,
                    size // 4,
                    stream.ssrc,
                    ntp,
                    stream.rtp_timestamp,
                    stream.packets,
                    stream.octets & 0xFFFFFFFF,
                )
                compound += blocks
                blocks, count = b"", 0
        else:
            compound += struct.pack(">BBHI", 0x80 | count, 201, 1 + len(blocks) // 4, own_ssrc) + blocks
        compound += struct.pack(">BBHI", 0x81, 202, 3, own_ssrc) + b"\x01\x03bot" + bytes(3)
        self._send(self._protect_rtcp(compound))
        self._later("report", REPORT_INTERVAL_S, self._report)

    def _send_feedback(self) -> None:
        # RFC 5506: alone, as everybody agreed to with rtcp-rsize. Any stream's SSRC stands for the transport.
        if self._highest and self._protect_rtcp is not None:
            media_ssrc = int.from_bytes(next(iter(self._highest)))
            if (packet := self._feedback.encode(media_ssrc)) is not None:
                self._send(self._protect_rtcp(packet))
        self._later("feedback", FEEDBACK_INTERVAL_S, self._send_feedback)

    # The rest

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._crowd.remove_reader(self._socket.fileno())
        for timer in self._timers.values():
            timer.cancel()
        self._socket.close()
        if not self.connected.done():
            self.connected.cancel()

    def _fail(self, reason: str) -> None:
        if not self.connected.done():
            self.connected.set_exception(BotFailed(reason))
        self.close()

    def _send(self, datagram: bytes) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            self._socket.send(datagram)

    def _later(self, name: str, delay_s: float, call: Callable[..., None], *arguments: object) -> None:
        if (old := self._timers.get(name)) is not None:
            old.cancel()
        self._timers[name] = self._loop.call_later(delay_s, call, *arguments)


def _attribute(description: str, name: str) -> str:
    """The value of the first `a=name:` line."""
    found = re.search(rf"^a={name}:(.*?)\r?$", description, re.MULTILINE)
    if found is None:
        raise BotFailed(f"a description without a={name}")
    return found.group(1)


def _extension_id(description: str) -> int | None:
    """The number of the transport-wide extension, if the description has it; one for all sections."""
    found = re.search(rf"^a=extmap:(\d+)(?:/\w+)? {re.escape(EXTENSION)}\s*$", description, re.MULTILINE)
    return int(found.group(1)) if found else None


def _repair_payload_type(block: str) -> int | None:
    """Of the RTX that a section offers for its first payload type (RFC 4588 §8.1)."""
    payload_type = block.split("\n", 1)[0].split()[3]
    found = re.search(rf"^a=fmtp:(\d+) apt={payload_type}\s*$", block, re.MULTILINE)
    return int(found.group(1)) if found else None


def _transport_number(packet: bytes, number_id: int) -> int | None:
    """The packet's transport-wide number, out of its one-byte header extensions (RFC 8285 §4.2)."""
    position = 16 + 4 * (packet[0] & 15)
    end = position + 4 * (packet[position - 2] << 8 | packet[position - 1])
    while position < end:
        element = packet[position]
        if element >> 4 == number_id:
            return packet[position + 1] << 8 | packet[position + 2]
        position += 1 if element == 0 else 2 + (element & 15)
    return None


def _candidate(description: str, own_address: str) -> tuple[str, int]:
    """The server's UDP candidate on the bot's own address, else its first one that is IPv4."""
    found: list[tuple[str, int]] = []
    for line in description.splitlines():
        if line.startswith("a=candidate:"):
            words = line.split()
            if words[1] == "1" and words[2].lower() == "udp" and ":" not in words[4]:
                found.append((words[4], int(words[5])))
    if not found:
        raise BotFailed("a description without an IPv4 candidate over UDP")
    return next((candidate for candidate in found if candidate[0] == own_address), found[0])
