"""The handshake survives loss, junk and forgery, and fails where the certificate is not the announced one."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Callable, Sequence

import pytest
from aiortc import rtcdtlstransport
from hypothesis import given, settings
from hypothesis import strategies as st

from media import dtls
from media.dtls import MTU_BYTES, Certificate, DtlsSession, SrtpKeys
from media.sdp import Fingerprint
from media.srtp import SRTP_ERRORS
from tests.media.client_peer import (
    protected,
    protected_rtcp,
    receiver_report,
    rtp_packet,
    unprotected,
    unprotected_rtcp,
)

OURS = Certificate()
THEIRS = Certificate()
WRONG = Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32))

CLIENT_HELLO = bytes.fromhex("16feff00000000000000000022") + b"\x01\x00\x00\x16" + bytes(30)
PLAIN_FATAL_ALERT = bytes.fromhex("15fefd00000000000000050002") + b"\x02\x28"


class End:
    """One end of a handshake whose datagrams go to `deliver`, as soon as there is one."""

    def __init__(
        self, certificate: Certificate, fingerprints: Sequence[Fingerprint], *, client: bool
    ) -> None:
        self.sent: list[bytes] = []
        self.deliver: Callable[[bytes], None] = lambda datagram: None
        self.keys: SrtpKeys | None = None
        self.connected = asyncio.Event()
        self.closed = False
        self.failure: str | None = None
        self.session = DtlsSession(
            certificate=certificate,
            fingerprints=fingerprints,
            role="client" if client else "server",
            send=self._send,
            on_keys=self._keep,
            on_connected=self.connected.set,
            on_closed=self._close,
            on_failed=self._fail,
        )

    def _send(self, datagram: bytes) -> None:
        self.sent.append(datagram)
        asyncio.get_running_loop().call_soon(lambda: self.deliver(datagram))

    def _keep(self, keys: SrtpKeys) -> None:
        assert self.keys is None
        self.keys = keys

    def _close(self) -> None:
        self.closed = True

    def _fail(self, reason: str) -> None:
        assert self.failure is None
        self.failure = reason


def pair(
    *,
    announced: Sequence[Fingerprint] = (THEIRS.fingerprint,),
    lost: Callable[[str, int], bool] | None = None,
) -> tuple[End, End]:
    """Client and server; `lost(sender, n)` says whether the sender's n-th datagram is lost."""
    client = End(OURS, announced, client=True)
    server = End(THEIRS, [OURS.fingerprint], client=False)

    def road(name: str, sender: End, receiver: End) -> Callable[[bytes], None]:
        def deliver(datagram: bytes) -> None:
            if lost is None or not lost(name, sender.sent.index(datagram)):
                receiver.session.handle_datagram(datagram)

        return deliver

    client.deliver = road("client", client, server)
    server.deliver = road("server", server, client)
    return client, server


async def shake(client: End, server: End) -> None:
    server.session.start()
    client.session.start()
    async with asyncio.timeout(5):
        await client.connected.wait()
        await server.connected.wait()


def assert_they_understand_each_other(one: End, other: End) -> None:
    for sender, receiver in ((one, other), (other, one)):
        assert sender.keys is not None
        assert receiver.keys is not None
        rtp, rtcp = rtp_packet(ssrc=1), receiver_report(ssrc=1)
        assert unprotected(receiver.keys, protected(sender.keys, rtp)) == rtp
        assert unprotected_rtcp(receiver.keys, protected_rtcp(sender.keys, rtcp)) == rtcp


async def test_a_handshake_gives_both_ends_the_same_keys() -> None:
    client, server = pair()
    await shake(client, server)
    assert_they_understand_each_other(client, server)
    assert client.session.rtt_s is not None
    assert client.session.rtt_s > 0
    assert max(len(datagram) for datagram in client.sent + server.sent) <= MTU_BYTES


async def test_a_handshake_with_aiortcs_own_transport() -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    client = End(OURS, [THEIRS.fingerprint], client=True)
    client.deliver = arrived.put_nowait

    class Ice:
        role = "controlling"

        async def _recv(self) -> bytes:
            return await arrived.get()

        async def _send(self, data: bytes) -> None:
            client.session.handle_datagram(data)

    transport = rtcdtlstransport.RTCDtlsTransport(Ice(), [THEIRS._certificate])  # type: ignore[arg-type]
    parameters = rtcdtlstransport.RTCDtlsParameters(
        fingerprints=[rtcdtlstransport.RTCDtlsFingerprint(algorithm="sha-256", value=OURS.fingerprint.value)]
    )
    client.session.start()
    async with asyncio.timeout(5):
        await transport.start(parameters)
        await client.connected.wait()
    assert transport.state == "connected"
    await transport.stop()
    await asyncio.sleep(0)
    assert client.closed


@pytest.mark.parametrize(
    "lost",
    [("client", 0), ("server", 0), ("client", 1)],
    ids=["ClientHello", "ServerHello and certificate", "the client's Finished"],
)
async def test_a_lost_flight_costs_no_second(lost: tuple[str, int]) -> None:
    missing = {lost}

    def loses(sender: str, number: int) -> bool:
        if (sender, number) in missing:
            missing.clear()  # the copy arrives
            return True
        return False

    client, server = pair(lost=loses)
    began = asyncio.get_running_loop().time()
    await shake(client, server)
    assert asyncio.get_running_loop().time() - began < 0.9  # OpenSSL's own timer takes one
    assert_they_understand_each_other(client, server)


async def test_srtp_that_authenticates_stands_in_for_a_lost_finished() -> None:
    client, server = pair(lost=lambda sender, number: sender == "server" and number == 1)
    server.session.start()
    client.session.start()
    async with asyncio.timeout(5):
        await server.connected.wait()
    await asyncio.sleep(0.01)
    assert client.keys is not None
    assert server.keys is not None
    assert not client.connected.is_set()
    unprotected(client.keys, protected(server.keys, rtp_packet(ssrc=1)))
    client.session.confirm()
    assert client.connected.is_set()
    client.session.close()


async def test_nothing_is_confirmed_before_there_are_keys() -> None:
    client, _ = pair(lost=lambda sender, number: True)
    client.session.confirm()
    client.session.start()
    client.session.confirm()
    assert not client.connected.is_set()
    client.session.close()


async def test_the_last_flight_is_sent_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "MIN_RESEND_S", 0.02)
    monkeypatch.setattr(dtls, "ASSUMED_ROUND_TRIP_S", 0.02)
    client, _ = pair(lost=lambda sender, number: True)
    client.session.start()
    # At 0, then after 30, 45, 68, 101 and 152 ms.
    await asyncio.sleep(0.3)
    assert 2 <= len(client.sent) <= 5  # a busy machine sends later, never sooner
    assert len(set(client.sent)) == 1
    client.session.close()


async def test_a_handshake_that_nobody_answers_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "HANDSHAKE_TIMEOUT_S", 0.1)
    client, _ = pair(lost=lambda sender, number: True)
    client.session.start()
    await asyncio.sleep(0.2)
    assert client.failure == "the DTLS handshake was not answered"
    assert not client.connected.is_set()


@pytest.mark.parametrize("announced", [[WRONG], [THEIRS.fingerprint, WRONG], []])
async def test_another_certificate_than_the_announced_one_fails(announced: list[Fingerprint]) -> None:
    client, server = pair(announced=announced)
    server.session.start()
    client.session.start()
    await asyncio.sleep(0.05)
    assert client.failure == "the peer's certificate is not the one whose fingerprint it offered"
    assert client.keys is None
    assert not client.connected.is_set()
    sent = len(client.sent)
    client.session.handle_datagram(server.sent[-1])
    client.session.confirm()
    client.session.close()
    assert len(client.sent) == sent
    server.session.close()


async def test_all_fingerprints_of_a_certificate_may_be_announced() -> None:
    offered = THEIRS._certificate.getFingerprints()
    announced = [Fingerprint(algorithm=each.algorithm, value=each.value) for each in offered]
    assert len(announced) == 3
    client, server = pair(announced=announced)
    await shake(client, server)
    assert_they_understand_each_other(client, server)


JUNK = [b"", b"\x16", b"\x16" * 12, bytes(1_200), b"\x17" * 60, CLIENT_HELLO, PLAIN_FATAL_ALERT]


async def test_junk_and_forgeries_do_not_disturb_a_handshake() -> None:
    client, server = pair()
    deliver = server.deliver

    def behind_junk(datagram: bytes) -> None:
        for junk in JUNK:
            client.session.handle_datagram(junk)
        deliver(datagram)

    server.deliver = behind_junk
    await shake(client, server)
    for junk in [*JUNK, *server.sent, *client.sent]:
        client.session.handle_datagram(junk)
    assert_they_understand_each_other(client, server)
    assert not client.closed


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=60).map(lambda tail: b"\x16\xfe\xfd\0\1" + tail), max_size=5))
def test_no_record_that_does_not_authenticate_ends_a_session(records: list[bytes]) -> None:
    async def scenario() -> None:
        client, server = pair()
        await shake(client, server)
        for record in records:
            client.session.handle_datagram(record)
        assert not client.closed
        server.session.close()
        await asyncio.sleep(0)
        assert client.closed

    asyncio.run(scenario())


async def test_a_goodbye_is_said_once_and_heard() -> None:
    client, server = pair()
    await shake(client, server)
    sent = len(client.sent)
    client.session.close()
    client.session.close()
    await asyncio.sleep(0)
    assert server.closed
    assert len(client.sent) == sent + 1
    assert not client.closed


async def test_what_srtp_refuses_raises_one_of_the_named_errors() -> None:
    client, server = pair()
    await shake(client, server)
    assert client.keys is not None
    assert server.keys is not None
    packet = protected(server.keys, rtp_packet(ssrc=1))
    unprotected(client.keys, packet)
    for refused in (packet, packet[:-1], b"", bytes(12), bytes(2_000)):
        with pytest.raises(SRTP_ERRORS):
            unprotected(client.keys, refused)
        with pytest.raises(SRTP_ERRORS):
            unprotected_rtcp(client.keys, refused)


def test_the_private_names_of_aiortc_are_where_this_version_has_them() -> None:
    """An upgrade of aiortc is a decision: read its `rtcdtlstransport.py` again, then move this pin."""
    assert importlib.metadata.version("aiortc") == "1.16.0"
    certificate = rtcdtlstransport.RTCCertificate.generateCertificate()
    assert callable(certificate._create_ssl_context)
    transport = OURS.transport()
    for name in ("_set_role", "_validate_peer_identity", "_setup_srtp"):
        assert callable(getattr(transport, name)), name
    for name in ("_ssl", "_rx_srtp", "_tx_srtp"):
        assert getattr(transport, name) is None, name
    assert transport.state == "new"
    assert [profile.openssl_profile for profile in rtcdtlstransport.SRTP_PROFILES] == [
        b"SRTP_AEAD_AES_256_GCM",
        b"SRTP_AEAD_AES_128_GCM",
        b"SRTP_AES128_CM_SHA1_80",
    ]
