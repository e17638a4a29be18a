"""The other end of `media/transport.py` in tests and benchmarks: a small browser without media.

Full ICE, controlling, nominating aggressively as Firefox does; DTLS passive; one socket on loopback.
Checks are made and read with aioice's STUN, so that two independent implementations meet. A `Link` in
front of the socket loses and delays datagrams in both directions, by a seed of its own.

    client = await ClientPeer.open()         # or over_tcp=True: a connection to the answer's TCP candidate
    client.connect(answer_for(client.offer()))
    await client.wait_connected()
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from aioice import stun

from media.dtls import Certificate, DtlsSession, SrtpKeys
from media.framing import FrameReader, encode_frame
from media.sdp import Fingerprint
from media.srtp import PacketMemory, Unprotector

CHECK_RETRY_S = 0.05  # RFC 8445 §14.2: Ta
CHECK_S = 1.0  # once a pair works; libwebrtc takes 0.5 to 2.5 s
CONTROLLING = 1 << 63  # a tie-breaker, which nobody here contests

AUDIO_PAYLOAD_TYPE = 111
VIDEO_PAYLOAD_TYPE = 96


@dataclass(slots=True, kw_only=True)
class Link:
    """What lies between: loses a share of the datagrams each way, and delays the others."""

    loss: float = 0.0
    delay_s: float = 0.0
    seed: int = 0
    loses: Callable[[bytes, bool], bool] | None = None  # (datagram, outgoing); in place of chance
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def carry(self, datagram: bytes, deliver: Callable[[bytes], object], *, outgoing: bool) -> None:
        by_chance = self._random.random() < self.loss
        if self.loses(datagram, outgoing) if self.loses is not None else by_chance:
            return
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, deliver, datagram)
        else:
            deliver(datagram)


def unprotect(unprotector: Unprotector, datagram: bytes) -> bytes:
    """What was in a datagram."""
    memory = PacketMemory(1)
    memory.write(0, datagram)
    return unprotector.unprotect(memory, 0, len(datagram))


def protected(keys: SrtpKeys, packet: bytes) -> bytes:
    """What goes on the wire for an RTP packet."""
    return keys.rtp_out.protect(packet, b"", 0)


def unprotected(keys: SrtpKeys, datagram: bytes) -> bytes:
    """The RTP packet in a datagram."""
    return unprotect(keys.rtp_in, datagram)


def protected_rtcp(keys: SrtpKeys, compound: bytes) -> bytes:
    """What goes on the wire for an RTCP compound."""
    return keys.rtcp_out.protect(compound, b"", 0)


def unprotected_rtcp(keys: SrtpKeys, datagram: bytes) -> bytes:
    """The RTCP compound in a datagram."""
    return unprotect(keys.rtcp_in, datagram)


class ClientPeer:
    """One peer connection of a pretended browser. Received plaintext goes to `on_rtp` and `on_rtcp`."""

    def __init__(
        self, *, certificate: Certificate, link: Link, slots: int, port: int, over_tcp: bool = False
    ) -> None:
        self.ufrag = secrets.token_hex(4)
        self.pwd = secrets.token_hex(12)
        self.certificate = certificate
        self.on_rtp: Callable[[bytes], object] = lambda packet: None
        self.on_rtcp: Callable[[bytes], object] = lambda compound: None
        self.failed: str | None = None
        self.closed = asyncio.Event()
        self.keys: SrtpKeys | None = None
        self.audio_ssrc, self.video_ssrc = secrets.randbits(31) | 1, secrets.randbits(31) | 1
        self.address: tuple[str, int] = ("", 0)  # of the socket
        self._link = link
        self._slots = slots
        self._connected = asyncio.Event()
        self._checked = asyncio.Event()
        self._remote: tuple[str, int] = ("", 0)
        self._remote_ufrag = ""
        self._remote_pwd = b""
        self._transactions: dict[bytes, float] = {}
        self._dtls: DtlsSession | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._over_tcp = over_tcp
        self._frames = FrameReader()
        self._restarted = ("", "")
        self._socket = self._bind(port)

    @classmethod
    async def open(
        cls,
        *,
        certificate: Certificate | None = None,
        link: Link | None = None,
        slots: int = 3,
        port: int = 0,
        over_tcp: bool = False,
    ) -> ClientPeer:
        return cls(
            certificate=certificate or Certificate(),
            link=link or Link(),
            slots=slots,
            port=port,
            over_tcp=over_tcp,
        )

    def _bind(self, port: int = 0) -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.bind(("127.0.0.1", port))
        self.address = udp.getsockname()
        self._loop.add_reader(udp, self._read)
        return udp

    def _dial(self) -> None:
        """Leave the bound socket for a connection to the answer's end."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = socket.create_connection(self._remote, timeout=1)
        self._socket.setblocking(False)
        self._frames = FrameReader()
        self.address = self._socket.getsockname()
        self._loop.add_reader(self._socket, self._read)

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    def offer(self, *, fingerprint: Fingerprint | None = None) -> str:
        """`slots` pairs of audio and video, the first of which sends; `fingerprint` to lie about the own."""
        fingerprint = fingerprint or self.certificate.fingerprint
        mids = [str(mid) for mid in range(2 * self._slots)]
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
        for mid in mids:
            audio = int(mid) % 2 == 0
            payload_type = AUDIO_PAYLOAD_TYPE if audio else VIDEO_PAYLOAD_TYPE
            codec = "opus/48000/2" if audio else "VP8/90000"
            lines += [
                f"m={'audio' if audio else 'video'} 9 UDP/TLS/RTP/SAVPF {payload_type}",
                "c=IN IP4 0.0.0.0",
                f"a=mid:{mid}",
                f"a=ice-ufrag:{self.ufrag}",
                f"a=ice-pwd:{self.pwd}",
                f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
                "a=setup:actpass",
                "a=rtcp-mux",
                f"a={'sendrecv' if int(mid) < 2 else 'recvonly'}",
                "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
                f"a=rtpmap:{payload_type} {codec}",
                f"a=rtcp-fb:{payload_type} nack",
            ]
            if not audio:
                lines.append(f"a=rtcp-fb:{payload_type} nack pli")
            if int(mid) < 2:
                lines.append(f"a=ssrc:{self.audio_ssrc if audio else self.video_ssrc} cname:client")
        return "\r\n".join(lines) + "\r\n"

    def connect(self, answer: str) -> None:
        """Begin with the checks, towards the first candidate of the answer."""
        lines = answer.splitlines()

        def value(name: str) -> str:
            return next(line[len(name) :] for line in lines if line.startswith(name))

        assert "a=ice-lite" in lines
        assert "a=setup:active" in lines
        self._remote_ufrag = value("a=ice-ufrag:")
        self._remote_pwd = value("a=ice-pwd:").encode()
        wanted = "tcp" if self._over_tcp else "udp"
        candidates = [line.split() for line in lines if line.startswith("a=candidate:")]
        candidate = next(each for each in candidates if each[2] == wanted)
        self._remote = (candidate[4], int(candidate[5]))
        if self._over_tcp:
            self._dial()
        algorithm, fingerprint = value("a=fingerprint:").split()
        self._dtls = DtlsSession(
            certificate=self.certificate,
            fingerprints=[Fingerprint(algorithm=algorithm, value=fingerprint)],
            role="server",
            send=self.send,
            on_keys=self._handle_keys,
            on_connected=self._connected.set,
            on_closed=self.closed.set,
            on_failed=self._handle_failure,
        )
        self._dtls.start()
        self._check()

    async def wait_connected(self, timeout_s: float = 10.0) -> None:
        async with asyncio.timeout(timeout_s):
            await self._connected.wait()

    async def wait_checked(self, timeout_s: float = 10.0) -> None:
        """Until a check has been answered."""
        async with asyncio.timeout(timeout_s):
            await self._checked.wait()

    def send_rtp(self, packet: bytes) -> None:
        self._protected(lambda keys: partial(protected, keys), packet)

    def send_rtcp(self, compound: bytes) -> None:
        self._protected(lambda keys: partial(protected_rtcp, keys), compound)

    def send(self, datagram: bytes) -> None:
        """Send a datagram as it is, through the link."""
        self._link.carry(datagram, self._put, outgoing=True)

    def _put(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):  # a delayed datagram may find the socket closed
            if self._over_tcp:
                self._socket.sendall(encode_frame(datagram))
            else:
                self._socket.sendto(datagram, self._remote)

    def move(self, *, unnoticed: bool = False) -> None:
        """Walk from Wi-Fi to 4G: another address, and the next check from there at once.

        `unnoticed`: a NAT has forgotten this peer and gives it another port; no check says so.
        """
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = self._bind()
        if self._over_tcp:
            self._dial()
        if unnoticed:
            return
        self._checked.clear()
        self._check()

    def restart_ice(self) -> str:
        """New credentials, for checks once `follow` knows the other end's. The fragment for a PATCH."""
        self._restarted = (secrets.token_hex(4), secrets.token_hex(12))
        return "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n".format(*self._restarted)

    def follow(self, fragment: str) -> None:
        """Check with the new credentials from now on."""
        lines = dict(line.partition(":")[::2] for line in fragment.splitlines())
        self.ufrag, self.pwd = self._restarted
        self._remote_ufrag, self._remote_pwd = lines["a=ice-ufrag"], lines["a=ice-pwd"].encode()
        self._transactions.clear()
        self._checked.clear()
        self._check()

    def fall_silent(self) -> None:
        """Send no more checks, as in a lift."""
        if self._timer is not None:
            self._timer.cancel()

    def resume(self) -> None:
        self._check()

    def close(self, *, goodbye: bool = True) -> None:
        self.fall_silent()
        if self._dtls is not None and goodbye:
            self._dtls.close()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def check(self, *, use_candidate: bool = True) -> bytes:
        """The bytes of a check towards the answer's end."""
        message = stun.Message(
            stun.Method.BINDING,
            stun.Class.REQUEST,
            attributes={
                "USERNAME": f"{self._remote_ufrag}:{self.ufrag}",
                "PRIORITY": 1_845_501_695,
                "ICE-CONTROLLING": CONTROLLING,
            },
        )
        if use_candidate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self._remote_pwd)
        self._transactions[message.transaction_id] = time.monotonic()
        return bytes(message)

    def _check(self) -> None:
        self.send(self.check())
        again_s = CHECK_S if self._checked.is_set() else CHECK_RETRY_S
        self._timer = self._loop.call_later(again_s, self._check)

    def _read(self) -> None:
        for _ in range(64):
            try:
                data = self._socket.recv(2048)
            except OSError:
                return
            if self._over_tcp and not data:
                self._loop.remove_reader(self._socket)
                return
            for datagram in self._frames.handle_bytes(data) if self._over_tcp else (data,):
                self._link.carry(datagram, self._handle, outgoing=False)

    def _handle(self, datagram: bytes) -> None:
        if datagram[0] < 4:
            self._handle_stun(datagram)
        elif datagram[0] < 64:
            assert self._dtls is not None
            self._dtls.handle_datagram(datagram)
        elif self.keys is not None:
            if 191 < datagram[1] < 224:
                self.on_rtcp(unprotected_rtcp(self.keys, datagram))
            else:
                self.on_rtp(unprotected(self.keys, datagram))

    def _handle_stun(self, datagram: bytes) -> None:
        message = stun.parse_message(datagram)
        assert message.message_class is stun.Class.RESPONSE
        if self._transactions.pop(message.transaction_id, None) is not None:
            assert message.check_message_integrity(self._remote_pwd)
            assert message.attributes["XOR-MAPPED-ADDRESS"][0] == "127.0.0.1"
            self._checked.set()

    def _handle_keys(self, keys: SrtpKeys) -> None:
        self.keys = keys

    def _handle_failure(self, reason: str) -> None:
        self.failed = reason
        self.closed.set()

    def _protected(self, call: Callable[[SrtpKeys], Callable[[bytes], bytes]], plaintext: bytes) -> None:
        if self.keys is None:
            raise ValueError("not connected yet")
        self.send(call(self.keys)(plaintext))


def rtp_packet(
    *, ssrc: int, sequence_number: int = 1, payload_type: int = 96, size_bytes: int = 1_100
) -> bytes:
    """Version 2, without extension: enough for whatever does not look inside."""
    header = bytes([0x80, payload_type]) + sequence_number.to_bytes(2) + bytes(4) + ssrc.to_bytes(4)
    return header + bytes(size_bytes - len(header))


def receiver_report(*, ssrc: int) -> bytes:
    """RFC 3550 §6.4.2: an empty receiver report."""
    return b"\x80\xc9\x00\x01" + ssrc.to_bytes(4)
