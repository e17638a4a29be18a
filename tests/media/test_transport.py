"""One port carries many peers; whoever does not authenticate changes nothing; whoever does is followed."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

import pytest

from media import transport as transport_module
from media.dtls import Certificate
from media.intake import SLOTS
from media.sdp import Fingerprint, encode_answer, lay_out_slots, parse_offer
from media.stun import Address
from media.transport import Peer, PeerState, UdpTransport, own_addresses
from tests.media.client_peer import ClientPeer, Link, receiver_report, rtp_packet
from tests.media.test_alarms import Counted

CERTIFICATE = Certificate()  # making one takes 10 ms
CLIENT_CERTIFICATE = Certificate()

CLIENT_HELLO = bytes.fromhex("16feff00000000000000000022") + b"\x01\x00\x00\x16" + bytes(30)
BROKEN_STUN = b"\0\1\0\4\x21\x12\xa4\x42" + bytes(12) + b"\0\6\xff\xff"  # an attribute of 65,535 bytes


class Call:
    """A peer of the transport and the client at its other end."""

    def __init__(self, transport: UdpTransport, client: ClientPeer, *, offer: str | None = None) -> None:
        self.transport = transport
        self.client = client
        self.states: list[PeerState] = []
        self.moves: list[Address | None] = []
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.back: list[bytes] = []
        self.connected = asyncio.Event()
        client.on_rtp = client.on_rtcp = self.back.append
        parsed = parse_offer(offer or client.offer())
        self.peer: Peer = transport.add_peer(
            parsed,
            on_rtp=lambda packet, now: self.rtp.append(packet),
            on_rtcp=lambda compound, now: self.rtcp.append(compound),
            on_state=self._note,
            on_move=lambda: self.moves.append(self.peer.address),
        )
        self.answer = encode_answer(
            parsed,
            ice_ufrag=self.peer.ice_ufrag,
            ice_pwd=self.peer.ice_pwd,
            fingerprint=transport.fingerprint,
            candidates=[("127.0.0.1", transport.port)],
            slots=lay_out_slots(parsed, lambda: secrets.randbits(32)),
        )

    def _note(self) -> None:
        self.states.append(self.peer.state)
        if self.peer.state is PeerState.CONNECTED:
            self.connected.set()

    async def connect(self) -> None:
        self.client.connect(self.answer)
        async with asyncio.timeout(10):
            await self.connected.wait()
            await self.client.wait_connected()

    async def exchange(self, sequence_number: int) -> None:
        """One packet each way, which must arrive."""
        packet = rtp_packet(ssrc=1, sequence_number=sequence_number)
        self.client.send_rtp(packet)
        await until(lambda: packet in self.rtp)
        self.peer.send_rtp(packet, b"", 0)
        await until(lambda: packet in self.back)


async def until(condition: Callable[[], bool], timeout_s: float = 2.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # it may be anything; there is nobody to set an event
            await asyncio.sleep(0.002)


@asynccontextmanager
async def opened(
    *, host: str = "127.0.0.1", silent_after_s: float = 3.0, closed_after_s: float = 60.0
) -> AsyncIterator[UdpTransport]:
    transport = await UdpTransport.open(
        host=host,
        port=0,
        certificate=CERTIFICATE,
        silent_after_s=silent_after_s,
        closed_after_s=closed_after_s,
    )
    try:
        yield transport
    finally:
        await transport.close()


async def called(transport: UdpTransport, *, link: Link | None = None, offer: str | None = None) -> Call:
    client = await ClientPeer.open(certificate=CLIENT_CERTIFICATE, link=link)
    return Call(transport, client, offer=offer)


def dropped(transport: UdpTransport) -> int:
    return sum(asdict(transport.counters).values())


async def test_media_flows_both_ways() -> None:
    async with opened() as transport:
        call = await called(transport)
        assert call.peer.state is PeerState.NEW
        await call.connect()
        await call.exchange(1)
        call.client.send_rtcp(receiver_report(ssrc=1))
        await until(lambda: call.rtcp == [receiver_report(ssrc=1)])
        call.peer.send_rtcp(receiver_report(ssrc=2))
        await until(lambda: receiver_report(ssrc=2) in call.back)
        assert call.states == [PeerState.CONNECTING, PeerState.CONNECTED]
        assert call.peer.address == call.client.address
        assert call.peer.rtt_s is not None
        assert dropped(transport) == 0
        call.client.close()


async def test_peers_on_one_port_do_not_hear_each_other() -> None:
    async with opened() as transport:
        calls = [await called(transport) for _ in range(3)]
        for call in calls:
            await call.connect()
        for number, call in enumerate(calls):
            await call.exchange(number)
        assert [len(call.rtp) for call in calls] == [1, 1, 1]
        assert [len(call.back) for call in calls] == [1, 1, 1]
        for call in calls:
            call.client.close()


async def test_nothing_is_sent_before_it_can_be_read() -> None:
    async with opened() as transport:
        call = await called(transport)
        call.peer.send_rtp(rtp_packet(ssrc=1), b"", 0)
        assert transport.counters.unsent == 1
        await call.connect()
        call.peer.send_rtp(rtp_packet(ssrc=1, size_bytes=2_100), b"", 0)  # longer than any datagram
        assert transport.counters.unsent == 2
        call.client.close()


def junk_of_an_outsider(call: Call, count: int) -> list[bytes]:
    rng = random.Random(7)
    check = call.client.check()
    kinds: list[Callable[[], bytes]] = [
        lambda: b"",
        lambda: CLIENT_HELLO,
        lambda: BROKEN_STUN,
        lambda: check[: rng.randrange(1, len(check))],
        lambda: check[:-30] + rng.randbytes(30),
        lambda: rng.randbytes(rng.randrange(1, 1_300)),
        lambda: b"\x80" + rng.randbytes(rng.randrange(0, 1_300)),
        lambda: b"\x80\xc8" + rng.randbytes(rng.randrange(0, 60)),
        lambda: b"\x17\xfe\xfd\0\1" + rng.randbytes(rng.randrange(0, 60)),
    ]
    return [rng.choice(kinds)() for _ in range(count)]


async def test_a_live_call_survives_ten_thousand_junk_datagrams(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        outsider = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        outsider.setblocking(False)
        junk = junk_of_an_outsider(call, 10_000)
        caplog.clear()
        for number, datagram in enumerate(junk):
            if number % 10:
                outsider.sendto(datagram, ("127.0.0.1", transport.port))
            else:
                call.client.send(datagram)  # an outsider may forge the address of the peer as well
            if number % 50 == 0:
                await call.exchange(number)
        await call.exchange(10_001)
        with pytest.raises(BlockingIOError):
            outsider.recv(2_048)  # nobody is answered who does not authenticate
        outsider.close()
        assert call.states == [PeerState.CONNECTING, PeerState.CONNECTED]
        assert call.peer.address == call.client.address
        assert len(call.rtp) == 201
        counted = asdict(transport.counters)
        assert counted.pop("unsent") == 0
        assert all(counted[kind] > 0 for kind in ("empty", "unknown_source", "malformed_stun"))
        assert counted["unauthenticated_srtp"] > 0
        # Every one was counted, but for DTLS records from the peer's own address.
        assert 9_000 < sum(counted.values()) <= 10_000
        assert caplog.records == []
        call.client.close()


async def test_forgeries_while_a_call_is_set_up_do_not_disturb_it() -> None:
    async with opened() as transport:

        def loses(datagram: bytes, outgoing: bool) -> bool:
            if outgoing:
                for junk in (b"", CLIENT_HELLO, BROKEN_STUN, b"\x80\x60" + bytes(40)):
                    outsider.sendto(junk, ("127.0.0.1", transport.port))
                    call.client._put(junk)
            return False

        outsider = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        call = await called(transport, link=Link(loses=loses))
        await call.connect()
        await call.exchange(1)
        assert call.states == [PeerState.CONNECTING, PeerState.CONNECTED]
        call.client.close()
        outsider.close()


@pytest.mark.parametrize("mistake", ["password", "fragment", "other fragment"])
async def test_a_check_that_does_not_authenticate_is_not_answered(mistake: str) -> None:
    async with opened() as transport:
        call = await called(transport)
        lines = {
            "password": (call.peer.ice_pwd, "x" * 48),
            "fragment": (call.peer.ice_ufrag, "f" * 12),
            "other fragment": ("", ""),
        }
        if mistake == "other fragment":
            call.client.ufrag = "stranger"
        call.client.connect(call.answer.replace(*lines[mistake]))
        await asyncio.sleep(0.1)
        assert call.peer.state is PeerState.NEW
        assert call.peer.address is None
        counters = transport.counters
        assert (counters.unknown_ufrag if mistake == "fragment" else counters.illegal_check) >= 2
        with pytest.raises(TimeoutError):
            await call.client.wait_checked(0.01)
        call.client.close()


async def test_who_is_known_by_number_stays_so_until_an_address_changes() -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        await call.exchange(1)
        known = dict(transport._selected)
        assert list(known.values()) == [call.peer]
        seen_at = call.peer.last_seen
        call.client.send(call.client.check())  # browsers repeat theirs every few seconds
        await until(lambda: call.peer.last_seen > seen_at)
        assert transport._selected == known
        call.client.move()
        async with asyncio.timeout(1):
            await call.client.wait_checked()
            await call.exchange(2)
        assert set(transport._selected).isdisjoint(known)
        call.client.close()


async def test_a_phone_that_changes_its_address_keeps_its_call() -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        await call.exchange(1)
        before = call.peer.address
        call.client.move()
        async with asyncio.timeout(1):
            await call.client.wait_checked()
            await call.exchange(2)
        assert call.peer.address == call.client.address != before
        assert call.states == [PeerState.CONNECTING, PeerState.CONNECTED]
        assert call.moves == [call.client.address]
        call.client.close()


async def test_a_port_that_a_nat_changed_is_followed_by_the_media_alone() -> None:
    async with opened() as transport:
        call = await called(transport)
        offer_ssrc = call.client.audio_ssrc
        await call.connect()
        call.client.send_rtp(rtp_packet(ssrc=offer_ssrc, sequence_number=1))
        await until(lambda: len(call.rtp) == 1)
        call.client.fall_silent()
        call.client.move(unnoticed=True)
        began = asyncio.get_running_loop().time()
        for number in range(2, 40):
            call.client.send_rtp(rtp_packet(ssrc=offer_ssrc, sequence_number=number))
            await asyncio.sleep(0.01)
            if call.peer.address == call.client.address:
                break
        assert asyncio.get_running_loop().time() - began < 0.5
        assert len(call.rtp) == number, "what came before the move was sure is not lost"
        await call.exchange(100)
        call.client.close()


async def test_all_that_comes_from_where_a_nat_put_somebody_is_theirs_once_their_sound_is() -> None:
    """Encodings and repairs, whose SSRCs no offer names, and RTCP; and many of them."""
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        sound = rtp_packet(ssrc=call.client.audio_ssrc, sequence_number=1)
        call.client.send_rtp(sound)
        await until(lambda: call.rtp == [sound])
        call.client.fall_silent()
        call.client.move(unnoticed=True)
        call.client.send_rtp(rtp_packet(ssrc=7, sequence_number=1))
        await until(lambda: transport.counters.unknown_source == 1)
        for number in range(100):
            call.client.send_rtp(rtp_packet(ssrc=call.client.audio_ssrc, sequence_number=2 + number))
            call.client.send_rtp(rtp_packet(ssrc=7, sequence_number=2 + number))
            call.client.send_rtcp(receiver_report(ssrc=7))
        await until(lambda: len(call.rtp) == 201 and len(call.rtcp) == 100)
        assert transport.counters.unknown_source == 1 and call.moves == []
        await asyncio.sleep(0.2)
        call.client.send_rtp(rtp_packet(ssrc=7, sequence_number=200))
        await until(lambda: len(call.rtp) == 202)
        assert call.moves == [call.client.address] and transport._strangers == {}
        call.client.close()


async def test_who_sends_too_much_is_not_heard_from_elsewhere_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "PACKETS_A_SECOND", 0)
    monkeypatch.setattr(transport_module, "PACKETS_AT_ONCE", 50)
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        call.client.send_rtp(rtp_packet(ssrc=call.client.audio_ssrc, sequence_number=1))
        await until(lambda: len(call.rtp) == 1)
        call.client.fall_silent()
        call.client.move(unnoticed=True)
        for number in range(2, 100):
            call.client.send_rtp(rtp_packet(ssrc=call.client.audio_ssrc, sequence_number=number))
        await until(lambda: len(call.rtp) + transport.counters.unknown_source >= 99)
        assert len(call.rtp) == 50 and call.moves == []
        call.client.close()


async def test_media_that_strangers_repeat_or_forge_moves_nobody() -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        seen: list[bytes] = []

        def overhears(datagram: bytes, outgoing: bool) -> bool:
            if outgoing and datagram[0] > 127:
                seen.append(datagram)
            return False

        call.client._link.loses = overhears
        for number in range(5):
            call.client.send_rtp(rtp_packet(ssrc=call.client.audio_ssrc, sequence_number=number))
        await until(lambda: len(call.rtp) == 5)
        await asyncio.sleep(0.3)
        outsider = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        forged = [packet[:12] + random.randbytes(len(packet) - 12) for packet in seen]
        for packet in (*seen, *forged):
            outsider.sendto(packet, ("127.0.0.1", transport.port))
        await until(lambda: transport.counters.unknown_source >= 10)
        assert call.peer.address == call.client.address and len(call.rtp) == 5
        await call.exchange(100)
        outsider.close()
        call.client.close()


async def test_an_ice_restart_keeps_the_handshake_and_the_keys() -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        await call.exchange(1)
        old_ufrag = call.peer.ice_ufrag
        call.client.restart_ice()
        transport.restart_ice(call.peer, call.client._restarted[0])
        assert call.peer.ice_ufrag != old_ufrag
        await call.exchange(2)
        call.client.send(call.client.check())  # the answer is still on its way: the old words are good
        await call.client.wait_checked()
        call.client.fall_silent()
        call.client.follow(f"a=ice-ufrag:{call.peer.ice_ufrag}\na=ice-pwd:{call.peer.ice_pwd}\n")
        await call.client.wait_checked()
        await call.exchange(3)
        assert call.states == [PeerState.CONNECTING, PeerState.CONNECTED]
        assert call.peer.ufrags() == (call.peer.ice_ufrag,)
        assert set(transport._peers) == {call.peer.ice_ufrag}
        assert dropped(transport) == 0
        call.peer.close()
        assert transport._peers == {} and transport._routes == {} and transport._senders == {}
        call.client.close()


async def test_who_only_receives_is_followed_too() -> None:
    async with opened() as transport:
        call = await called(transport, offer=None)
        await call.connect()
        await asyncio.sleep(0.6)  # no media holds the old address any more
        call.client.move()
        await call.client.wait_checked()
        packet = rtp_packet(ssrc=9)
        call.peer.send_rtp(packet, b"", 0)
        await until(lambda: packet in call.back)
        call.client.close()


async def test_a_peer_falls_silent_and_comes_back_and_is_closed_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_module, "SWEEP_S", 0.01)
    async with opened(silent_after_s=0.2, closed_after_s=0.8) as transport:
        call = await called(transport)
        await call.connect()
        call.client.send_rtp(rtp_packet(ssrc=1, sequence_number=1))
        call.client.fall_silent()
        await until(lambda: call.states[-1] is PeerState.SILENT)
        call.client.send_rtp(rtp_packet(ssrc=1, sequence_number=2))
        await until(lambda: len(call.states) == 4)
        assert len(call.rtp) == 2
        await until(lambda: call.states[-1] is PeerState.SILENT)
        call.client.resume()
        await until(lambda: len(call.states) == 6)
        call.client.fall_silent()
        await until(lambda: call.states[-1] is PeerState.CLOSED)
        assert call.states[2:] == ["silent", "connected", "silent", "connected", "silent", "closed"]
        assert call.peer.close_reason == "the peer has been silent for too long"
        call.client.close()


async def test_who_sends_checks_alone_is_given_the_time_between_two_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_module, "SWEEP_S", 0.01)
    monkeypatch.setattr(transport_module, "MEDIA_RECENT_S", 0.05)
    monkeypatch.setattr(transport_module, "SILENT_AFTER_CHECKS_S", 0.6)
    async with opened(silent_after_s=0.1) as transport:
        call = await called(transport)
        await call.connect()
        call.client.send_rtp(rtp_packet(ssrc=1))
        await asyncio.sleep(0.06)
        call.client.send(call.client.check())
        call.client.fall_silent()
        began = asyncio.get_running_loop().time()
        await until(lambda: call.states[-1] is PeerState.SILENT)
        assert asyncio.get_running_loop().time() - began > 0.5
        call.client.close()


async def test_who_never_comes_is_forgotten() -> None:
    async with opened(closed_after_s=0.2) as transport:
        call = await called(transport)
        await until(lambda: call.states == [PeerState.CLOSED])
        call.client.close()


async def test_a_goodbye_of_the_peer_closes_it_at_once() -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        call.client.close()
        await until(lambda: call.states[-1] is PeerState.CLOSED)
        assert call.peer.close_reason == "the peer closed the connection"


async def test_a_closed_peer_is_told_and_no_longer_known() -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        call.peer.close()
        call.peer.close()
        await asyncio.wait_for(call.client.closed.wait(), 1)
        assert call.states[-1] is PeerState.CONNECTED  # who closes needs not be told
        call.client.send_rtp(rtp_packet(ssrc=1))
        call.client.send(call.client.check())
        await until(lambda: (transport.counters.unknown_source, transport.counters.unknown_ufrag) == (1, 1))
        assert call.rtp == []
        call.peer.send_rtp(rtp_packet(ssrc=1), b"", 0)
        assert call.back == []
        call.client.close()


async def test_another_certificate_than_the_offered_one_fails_the_peer() -> None:
    async with opened() as transport:
        client = await ClientPeer.open(certificate=CLIENT_CERTIFICATE)
        lie = Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32))
        call = Call(transport, client, offer=client.offer(fingerprint=lie))
        client.connect(call.answer)
        await until(lambda: PeerState.CLOSED in call.states)
        assert call.states == [PeerState.CONNECTING, PeerState.CLOSED]
        assert call.peer.close_reason is not None
        assert "certificate" in call.peer.close_reason
        client.close()


async def test_a_participant_cannot_take_the_address_of_another() -> None:
    async with opened() as transport:
        victim, thief = await called(transport), await called(transport)
        await victim.connect()
        await thief.connect()
        victim.client.send(thief.client.check())  # a valid check of the thief, from the victim's address
        await until(lambda: transport.counters.illegal_check == 1)
        await victim.exchange(1)
        assert thief.peer.address == thief.client.address
        victim.client.close()
        thief.client.close()


async def test_an_address_left_behind_may_become_another_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TAKEOVER_AFTER_S", 0.05)
    async with opened() as transport:
        gone = await called(transport)
        await gone.connect()
        gone.client.close(goodbye=False)
        await asyncio.sleep(0.1)
        client = await ClientPeer.open(certificate=CLIENT_CERTIFICATE, port=gone.client.address[1])
        call = Call(transport, client)
        await call.connect()
        await call.exchange(1)
        assert client.address == gone.client.address
        assert gone.peer.address is None
        gone.peer.send_rtp(rtp_packet(ssrc=1), b"", 0)
        assert transport.counters.unsent == 1
        client.close()


async def test_a_burst_leaves_others_their_turn() -> None:
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        loop = asyncio.get_running_loop()
        turn = 0

        def count_turns() -> None:
            nonlocal turn
            turn += 1
            if len(call.rtp) < 200:
                loop.call_soon(count_turns)

        turns: list[int] = []

        def note_turn(packet: bytes, now: float) -> None:
            turns.append(turn)
            call.rtp.append(packet)

        call.peer._on_rtp = note_turn
        for number in range(200):
            call.client.send_rtp(rtp_packet(ssrc=1, sequence_number=number, size_bytes=200))
        count_turns()
        await until(lambda: len(call.rtp) == 200)
        assert max(turns.count(each) for each in set(turns)) <= SLOTS
        call.client.close()


async def connect_over(transport: UdpTransport, link: Link) -> tuple[Call, float]:
    """Connects, and sends sound from then on, as browsers do. Returns the seconds it took."""
    loop = asyncio.get_running_loop()
    call = await called(transport, link=link)
    began = loop.time()
    call.client.connect(call.answer)
    number = 0
    while not call.connected.is_set():
        assert loop.time() - began < 10
        await asyncio.sleep(0.02)
        if call.client.connected:
            number += 1
            call.client.send_rtp(rtp_packet(ssrc=1, sequence_number=number, size_bytes=100))
    return call, loop.time() - began


async def connecting_times(transport: UdpTransport, *, loss: float) -> list[float]:
    """Of 30 handshakes over a round trip of 40 ms, each with its own luck, begun 10 ms apart."""

    async def one(seed: int) -> float:
        await asyncio.sleep(seed * 0.01)
        call, took_s = await connect_over(transport, Link(loss=loss, delay_s=0.02, seed=seed))
        call.client.close()
        return took_s

    return await asyncio.gather(*(one(seed) for seed in range(30)))


@pytest.mark.parametrize(("loss", "at_most"), [(0.1, 3), (0.3, 12)], ids=str)
async def test_a_handshake_completes_at_any_loss_and_seldom_waits_a_second(loss: float, at_most: int) -> None:
    """Loss in both directions. Waits are counted beyond a perfect link's, tried on this machine at once.

    With OpenSSL's timer alone 6 of these 30 wait a second at 10 % loss and 25 at 30 %; here 0 and 3.
    """
    async with opened() as transport:
        perfect, lossy = await asyncio.gather(
            connecting_times(transport, loss=0.0), connecting_times(transport, loss=loss)
        )
        usual_s = statistics.median(perfect)
        assert sum(took_s > usual_s + 0.9 for took_s in lossy) <= at_most


async def test_a_dual_stack_socket_carries_ipv4() -> None:
    try:
        transport = await UdpTransport.open(host="::", port=0, certificate=CERTIFICATE)
    except OSError:
        pytest.skip("this machine has no IPv6")
    call = await called(transport)
    await call.connect()
    await call.exchange(1)
    call.client.close()
    await transport.close()


async def test_candidates_are_those_announced_or_found() -> None:
    announced = await UdpTransport.open(
        host="127.0.0.1", port=0, announce=[("localhost", 1), ("192.0.2.9", 2)], certificate=CERTIFICATE
    )
    assert announced.candidates in ((("127.0.0.1", 1), ("192.0.2.9", 2)), (("::1", 1), ("192.0.2.9", 2)))
    await announced.close()
    async with opened() as found:
        assert found.candidates == (("127.0.0.1", found.port),)


def test_a_socket_for_everybody_is_reached_at_the_machines_addresses() -> None:
    assert own_addresses("192.0.2.1") == ["192.0.2.1"]
    for bound in ("0.0.0.0", "::"):
        found = own_addresses(bound)
        assert found
        assert found == ["127.0.0.1"] or not any(each.startswith(("127.", "::1", "fe80")) for each in found)
    assert not any(":" in address for address in own_addresses("0.0.0.0"))


async def test_a_taken_port_is_refused() -> None:
    async with opened() as transport:
        with pytest.raises(OSError, match="in use"):
            await UdpTransport.open(host="127.0.0.1", port=transport.port, certificate=CERTIFICATE)


async def test_under_load_the_port_is_read_by_the_clock_and_nothing_else_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_module, "BUSY_DATAGRAMS_A_SECOND", -1)  # even silence is a load
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        await until(lambda: transport._pause is not None)
        sizes = [900, 900, 900, 300, 80, 901, 901, 1_100]
        packets = [
            rtp_packet(ssrc=1, sequence_number=number, size_bytes=size)
            for number, size in enumerate(sizes, start=1)
        ]
        for packet in packets:
            call.client.send_rtp(packet)
            call.peer.send_rtp(packet, b"", 0)
        await until(lambda: len(call.rtp) == len(call.back) == len(sizes))
        assert call.rtp == call.back == packets
        assert transport.counters.unsent == 0
        transport._loop.set_exception_handler(lambda loop, context: faults.append(context["exception"]))
        faults: list[Exception] = []
        call.peer._on_rtp, on_rtp = fail, call.peer._on_rtp
        call.client.send_rtp(rtp_packet(ssrc=1, sequence_number=50))
        await until(lambda: len(faults) == 1)
        call.peer._on_rtp = on_rtp
        await call.exchange(51)
        sleeper = Counted(transport.alarms, 0.0, 0.05)
        await until(lambda: len(sleeper.woken) == 2)
        assert transport.alarms._timer is None
        sleeper.hasten(transport.alarms, 0.2)
        monkeypatch.setattr(transport_module, "BUSY_DATAGRAMS_A_SECOND", 1_000_000)
        await until(lambda: transport._pause is None)
        await call.exchange(100)
        await until(lambda: len(sleeper.woken) == 3)
        call.client.close()


@pytest.mark.parametrize("busy_from", [1, 1_000_000], ids=["read by the clock", "read at once"])
async def test_a_fault_with_one_packet_holds_up_none_of_those_that_came_with_it(
    busy_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "BUSY_DATAGRAMS_A_SECOND", busy_from)
    async with opened() as transport:
        call = await called(transport)
        await call.connect()
        faults: list[Exception] = []
        transport._loop.set_exception_handler(lambda loop, context: faults.append(context["exception"]))
        came: list[bytes] = []

        def fail_with_the_first(packet: bytes, now: float) -> None:
            came.append(packet)
            if len(came) == 1:
                raise RuntimeError("a fault with one packet")

        call.peer._on_rtp = fail_with_the_first
        packets = [rtp_packet(ssrc=1, sequence_number=number) for number in range(50, 60)]
        for packet in packets:
            call.client.send_rtp(packet)
        await until(lambda: len(came) == len(packets))
        assert came == packets
        assert len(faults) == 1
        call.client.close()


def fail(packet: bytes, now: float) -> None:
    raise RuntimeError("a fault in one call")
