"""The relay as a whole over loopback: what one participant does must not harm the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from media.errors import NoPicture, UnknownPeer
from media.journal import Segment
from media.relay import Relay
from media.rtcp import ReceiverEstimatedMaximumBitrate, ReceiverReport, ReportBlock, encode_compound
from media.rtp import Ssrc
from tests.media.client_peer import ClientPeer

DELTA = bytes((0x90, 0x80, 0x01)) + bytes(200)  # a VP8 payload that begins no keyframe (RFC 7741 section 4.2)


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = await Relay.open(host="127.0.0.1", port=0, announce=())
    yield relay
    await relay.close()


async def connect(relay: Relay, participant_id: str) -> ClientPeer:
    peer = await ClientPeer.open()
    peer.connect(relay.connect("call", participant_id, peer.offer()).answer)
    await until(lambda: relay.connection_state("call", participant_id) == "connected")
    return peer


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("what was waited for did not come")


async def test_a_participant_that_goes_while_a_keyframe_is_wanted_stops_no_timers(relay: Relay) -> None:
    other = await connect(relay, "other")
    peer = await connect(relay, "peer")
    for participant in ("peer", "other"):
        relay.admit("call", participant)
    await send_deltas(peer)
    await until(lambda: relay.traffic("call")["peer"].sent_packets > 0)
    peer.close()
    await until(lambda: relay.session_of("call", "peer") is None)
    await asyncio.sleep(0.1)
    assert relay._transport.alarms._timer is not None
    with pytest.raises(NoPicture) as refused:
        await relay.capture_frame("call", "peer")
    assert refused.value.code == "not_connected"
    other.close()


async def test_a_call_that_everybody_has_left_is_forgotten(relay: Relay) -> None:
    peer = await connect(relay, "peer")
    assert relay.connections == 1
    peer.close()
    await until(lambda: relay.connections == 0)
    assert relay._calls == {}


async def test_who_comes_back_finds_everybody_in_their_slots_and_is_found_in_theirs(relay: Relay) -> None:
    everybody = ("customer", "courier", "qa")
    peers = {each: await connect(relay, each) for each in everybody}
    for each in everybody:
        relay.admit("call", each)

    def seats() -> dict[str, set[tuple[int, str]]]:
        return {each: {(seat.slot, seat.peer_id) for seat in relay.slots("call", each)} for each in everybody}

    before = seats()
    assert all(len(taken) == 2 for taken in before.values())
    for gone in ("courier", "customer"):
        peers[gone].close(goodbye=gone == "courier")  # a reload; a network that is suddenly dead
        if gone == "courier":
            await until(lambda: relay.session_of("call", "courier") is None)
        peers[gone] = await connect(relay, gone)
        await until(lambda: seats() == before)
    for peer in peers.values():
        peer.close()


async def test_a_restart_of_ice_keeps_session_slots_and_keys(relay: Relay) -> None:
    peers = {each: await connect(relay, each) for each in ("customer", "courier")}
    for each in peers:
        relay.admit("call", each)
    peer = peers["customer"]
    session_id = relay.session_of("call", "customer")
    assert session_id is not None
    slots = relay.slots("call", "customer")
    tag = relay.ice_tag("call", "customer", session_id)
    restarted = relay.restart_ice("call", "customer", session_id, peer.restart_ice())
    assert restarted.ice_tag != tag
    peer.follow(restarted.fragment)
    await peer.wait_checked()
    received = relay.traffic("call")["customer"].sent_packets
    await send_deltas(peer)
    await until(lambda: relay.traffic("call")["customer"].sent_packets > received)
    assert relay.session_of("call", "customer") == session_id
    assert relay.slots("call", "customer") == slots
    with pytest.raises(UnknownPeer):
        relay.restart_ice("call", "customer", "another session", restarted.fragment)
    for client in peers.values():
        client.close()


@pytest.mark.parametrize("moves", [True, False])
async def test_what_is_lost_around_a_move_counts_for_nothing(relay: Relay, moves: bool) -> None:
    peer = await ClientPeer.open()
    answer = relay.connect("call", "peer", peer.offer()).answer
    peer.connect(answer)
    await until(lambda: relay.connection_state("call", "peer") == "connected")
    slot_ssrc = Ssrc(int(answer.partition("a=ssrc:")[2].split()[0]))

    def bitrate_bps() -> int | None:
        leg = relay.leg("call", "peer")
        return leg.received_estimate_bps if leg is not None else None

    limit = ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=1_500_000, ssrcs=())
    peer.send_rtcp(encode_compound([ReceiverReport(ssrc=Ssrc(1)), limit]))
    await until(lambda: bitrate_bps() == 1_500_000)
    if moves:
        await asyncio.sleep(0.6)  # no media hold the old address any more
        peer.move()
        await peer.wait_checked()
    block = ReportBlock(
        ssrc=slot_ssrc,
        fraction_lost=128,
        packets_lost=50,
        highest_sequence_number=100,
        jitter=0,
        last_sender_report=0,
        delay_since_last_sender_report=0,
    )
    peer.send_rtcp(encode_compound([ReceiverReport(ssrc=Ssrc(1), blocks=(block,))]))
    if moves:
        await asyncio.sleep(0.1)
        assert bitrate_bps() == 1_500_000
    else:
        await until(lambda: bitrate_bps() == 1_125_000)
    peer.close()


async def test_the_journal_goes_on_across_connections_and_ends_with_the_call(relay: Relay) -> None:
    segments: list[Segment] = []
    relay.admit("call", "peer", segments.append)
    peer = await connect(relay, "peer")
    await send_deltas(peer)
    peer.close(goodbye=False)
    peer = await connect(relay, "peer")  # takes the place of the first
    assert [(segment.reason, segment.packets) for segment in segments] == [("interrupted", 25)]
    await send_deltas(peer)
    await until(lambda: len(segments) == 2)  # silence, told by the driver's timer
    await send_deltas(peer, 25)
    relay.disconnect("call", "peer")
    peer.close()
    peer = await connect(relay, "peer")
    await send_deltas(peer)
    relay.end_call("call")
    peer.close()
    assert [segment.reason for segment in segments] == ["interrupted"] * 3 + ["ended"]
    assert [segment.packets for segment in segments] == [25] * 4
    assert all(one.ended < other.began for one, other in pairwise(segments))
    age = timedelta(seconds=time.monotonic() - segments[-1].ended)
    assert abs(datetime.now(UTC) - age - segments[-1].ended_at) < timedelta(seconds=0.5)


async def test_nothing_is_kept_of_who_has_left_or_was_admitted_without_a_journal(relay: Relay) -> None:
    segments: list[Segment] = []
    peer = await connect(relay, "peer")
    other = await connect(relay, "other")
    relay.admit("call", "other")
    await send_deltas(peer)
    relay.admit("call", "peer", segments.append)
    await send_deltas(peer, 25)
    await send_deltas(other)
    relay.withdraw("call", "peer")
    await send_deltas(peer, 50)
    relay.end_call("call")
    for client in (peer, other):
        client.close()
    assert [(segment.reason, segment.packets) for segment in segments] == [("ended", 25)]


async def send_deltas(peer: ClientPeer, first: int = 0) -> None:
    """Half a second of pictures that cannot be decoded without what came before."""
    for number in range(first, first + 25):
        peer.send_rtp(
            bytes((0x80, 0x80 | 96))
            + number.to_bytes(2)
            + (number * 3000).to_bytes(4)
            + (0x1234).to_bytes(4)
            + DELTA
        )
        await asyncio.sleep(0.02)
