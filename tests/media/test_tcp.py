"""Over TCP it is the same call: proven by a check, disturbed by nobody; a slow reader costs itself alone."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from media import tcp as tcp_module
from media.framing import encode_frame
from media.sdp import encode_answer, lay_out_slots, parse_offer
from media.stun import TcpAddress
from media.tcp import LARGE_BYTES, MAX_QUEUED_BYTES, MAX_UNPROVEN_OF_HOST, MAX_UNPROVEN_PACKETS
from media.transport import PeerState, UdpTransport
from tests.media.client_peer import ClientPeer, rtp_packet
from tests.media.test_transport import (
    CERTIFICATE,
    CLIENT_CERTIFICATE,
    Call,
    dropped,
    junk_of_an_outsider,
    opened,
    until,
)


@asynccontextmanager
async def listening() -> AsyncIterator[UdpTransport]:
    async with opened() as transport:
        await transport.listen_tcp()
        yield transport


async def called(transport: UdpTransport) -> Call:
    call = Call(transport, await ClientPeer.open(certificate=CLIENT_CERTIFICATE, over_tcp=True))
    parsed = parse_offer(call.client.offer())
    call.answer = encode_answer(
        parsed,
        ice_ufrag=call.peer.ice_ufrag,
        ice_pwd=call.peer.ice_pwd,
        fingerprint=transport.fingerprint,
        candidates=[("127.0.0.1", 9)],  # UDP leads nowhere
        tcp_candidates=transport.tcp_candidates,
        slots=lay_out_slots(parsed, lambda: random.getrandbits(32)),
    )
    return call


async def test_media_flows_both_ways_over_tcp() -> None:
    async with listening() as transport:
        calls = [await called(transport) for _ in range(2)]
        for number, call in enumerate(calls):
            await call.connect()
            await call.exchange(number)
            assert isinstance(call.peer.address, TcpAddress)
        assert [len(call.rtp) for call in calls] == [1, 1]
        assert dropped(transport) == 0 and transport.tcp.turned_away == 0
        for call in calls:
            call.client.close()


async def test_a_call_moves_to_a_new_connection_and_from_tcp_to_udp() -> None:
    async with listening() as transport:
        call = await called(transport)
        await call.connect()
        await call.exchange(1)
        first = call.peer.address
        call.client.move()
        await call.client.wait_checked()
        await call.exchange(2)
        assert isinstance(call.peer.address, TcpAddress) and call.peer.address != first
        call.client._over_tcp = False
        call.client._remote = ("127.0.0.1", transport.port)
        call.client.move()
        await call.client.wait_checked()
        await call.exchange(3)
        assert not isinstance(call.peer.address, TcpAddress)
        await until(lambda: not transport.tcp._connections)
        call.client.close()


async def test_a_connection_that_ends_leaves_the_peer_waiting_for_another() -> None:
    async with listening() as transport:
        call = await called(transport)
        await call.connect()
        call.client.fall_silent()
        call.client._loop.remove_reader(call.client._socket)
        call.client._socket.close()
        await until(lambda: call.peer.address is None)
        call.peer.send_rtp(rtp_packet(ssrc=1), b"", 0)
        assert transport.counters.unsent == 1
        assert call.peer.state is PeerState.CONNECTED
        call.client._socket = call.client._bind()
        call.client._dial()
        call.client.resume()
        await until(lambda: call.peer.address is not None)
        await call.exchange(1)
        call.client.close()


async def test_a_closed_peers_connections_are_closed() -> None:
    async with listening() as transport:
        call = await called(transport)
        await call.connect()
        call.peer.close()
        await asyncio.wait_for(call.client.closed.wait(), 1)  # the goodbye has come through
        assert transport.tcp._connections == {}


async def test_junk_over_tcp_closes_itself_and_disturbs_no_call() -> None:
    async with listening() as transport:
        call = await called(transport)
        await call.connect()
        junk = junk_of_an_outsider(call, 600)
        for start in range(0, 600, 20):
            reader, writer = await asyncio.open_connection("127.0.0.1", transport.port)
            writer.write(b"".join(encode_frame(each[:2_000]) for each in junk[start : start + 20]))
            await asyncio.wait_for(reader.read(), 2)  # nobody is answered, and the connection is closed
            writer.close()
            await call.exchange(start)
        reader, writer = await asyncio.open_connection("127.0.0.1", transport.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")  # a frame of 18,245 bytes
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        await until(lambda: transport.tcp.turned_away == 31)
        assert transport.tcp._unproven == {} and not transport.tcp._unproven_of
        assert sum((dropped(transport), transport.tcp.turned_away)) >= 30 * MAX_UNPROVEN_PACKETS
        call.client.close()


async def test_a_peers_own_junk_is_counted_until_it_is_out_of_step() -> None:
    async with listening() as transport:
        call = await called(transport)
        await call.connect()
        for junk in (b"", b"\x50" * 20, b"\x80" + bytes(40)):
            call.client._put(junk)
        await call.exchange(1)
        counters = transport.counters
        assert (counters.empty, counters.unknown_kind, counters.unauthenticated_srtp) == (1, 1, 1)
        call.client._socket.send(b"\xff\xff")
        await until(lambda: call.peer.address is None)
        call.client.close()


async def test_who_proves_nothing_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_module, "UNPROVEN_S", 0.1)
    async with listening() as transport:
        reader, writer = await asyncio.open_connection("127.0.0.1", transport.port)
        writer.write(b"\0")  # half a length
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        assert transport.tcp.turned_away == 1


async def test_idle_connections_are_bounded_and_the_oldest_makes_room() -> None:
    async with listening() as transport:
        idle = []
        for number in range(MAX_UNPROVEN_OF_HOST + 8):
            idle.append(await asyncio.open_connection("127.0.0.1", transport.port))
            await until(lambda number=number: transport.tcp.turned_away == max(0, number + 1 - 32))  # type: ignore[misc]
        assert len(transport.tcp._unproven) == MAX_UNPROVEN_OF_HOST
        call = await called(transport)
        await call.connect()
        await call.exchange(1)
        for _, writer in idle:
            writer.close()
        call.client.close()


async def test_a_slow_reader_is_sent_sound_rather_than_pictures_and_costs_no_memory() -> None:
    async with listening() as transport:
        slow, other = await called(transport), await called(transport)
        await slow.connect()
        await other.connect()
        slow.client._loop.remove_reader(slow.client._socket)
        assert isinstance(slow.peer.address, TcpAddress)
        connection = transport.tcp._connections[slow.peer.address]
        before_loss = None
        for number in range(8_000):
            slow.peer.send_rtp(rtp_packet(ssrc=1, sequence_number=number), b"", 0)
            if number % 400 == 0:
                await other.exchange(number)
            if transport.counters.unsent and before_loss is None:
                before_loss = number
        assert before_loss is not None
        assert connection._transport.get_write_buffer_size() <= MAX_QUEUED_BYTES
        unsent = transport.counters.unsent
        for number in range(50):  # a second of sound still finds room
            slow.peer.send_rtp(rtp_packet(ssrc=2, sequence_number=number, size_bytes=100), b"", 0)
        assert transport.counters.unsent == unsent
        for number in range(50, 2_000):
            slow.peer.send_rtp(
                rtp_packet(ssrc=2, sequence_number=number, size_bytes=LARGE_BYTES - 50), b"", 0
            )
        assert transport.counters.unsent > unsent
        assert connection._transport.get_write_buffer_size() <= MAX_QUEUED_BYTES + 2 * LARGE_BYTES
        slow.client._loop.add_reader(slow.client._socket, slow.client._read)
        last = rtp_packet(ssrc=1, sequence_number=9_000)

        async def arrives() -> None:
            while last not in slow.back:
                slow.peer.send_rtp(last, b"", 0)
                await asyncio.sleep(0.02)

        await asyncio.wait_for(arrives(), 2)  # it reads again: pictures come again
        slow.client.close()
        other.client.close()


async def test_a_port_that_the_system_chooses_is_free_over_tcp_as_well() -> None:
    with ExitStack() as taken:
        for _ in range(600):  # of some 28,000 that systems choose from
            taken.enter_context(socket.create_server(("127.0.0.1", 0)))
        for _ in range(300):
            async with listening() as transport:
                assert transport.tcp_candidates == (("127.0.0.1", transport.port),)


async def test_a_taken_port_leaves_udp_alone_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        transport = await UdpTransport.open(
            host="127.0.0.1", port=taken.getsockname()[1], certificate=CERTIFICATE
        )
        await transport.listen_tcp()
        assert transport.tcp_candidates == ()
        assert "no media over TCP" in caplog.text and str(transport.port) in caplog.text
        client = await ClientPeer.open(certificate=CLIENT_CERTIFICATE)
        call = Call(transport, client)
        await call.connect()
        client.close()
        await transport.close()
