"""The relay as a whole over loopback: what one participant does must not harm the others."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from media.errors import NoPicture
from media.relay import Relay
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
    assert relay._calls["call"]._timer is not None
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


async def send_deltas(peer: ClientPeer) -> None:
    """Half a second of pictures that cannot be decoded without what came before."""
    for number in range(25):
        peer.send_rtp(
            bytes((0x80, 0x80 | 96))
            + number.to_bytes(2)
            + (number * 3000).to_bytes(4)
            + (0x1234).to_bytes(4)
            + DELTA
        )
        await asyncio.sleep(0.02)
