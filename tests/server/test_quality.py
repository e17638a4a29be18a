"""What QA, Prometheus and the log are told of networks and pictures, from the relay to the edge."""

from typing import Any

import pytest

from media.encodings import LegQuality
from media.router import SlotAssignment, StreamQuality
from server import calls
from tests.conftest import Caller
from tests.server.test_socket import greet, in_call, log_of, next_quality, say


async def test_qa_the_log_and_the_figures_are_told_what_a_network_carries_and_why_a_layer_was_chosen(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "READ_EVERY_S", 0.05)
    case_id = await caller.open_case()
    qa = await greet(caller, case_id, (await caller.link(case_id, "qa"))["token"])
    courier, peer, courier_id = await in_call(caller, case_id, "courier")
    customer_id = (await caller.link(case_id, "customer"))["link_id"]
    sent_bytes = 0

    def quality(*_: str) -> tuple[StreamQuality, ...]:
        nonlocal sent_bytes
        sent_bytes += 5_000
        return (
            StreamQuality(
                mid="3", kind="video", sent_by_peer=False, packets=sent_bytes // 1000, bytes=sent_bytes,
                lost_packets=0, repaired_packets=0, fraction_lost=0.0, jitter_s=0.0, round_trip_s=0.06,
                rid="low", temporal_layers=2, reason="network",
            ),
        )  # fmt: skip

    slot = SlotAssignment(slot=0, peer_id=customer_id, audio_mid="2", video_mid="3")
    leg = LegQuality(
        sent_estimate_bps=None, received_estimate_bps=310_000, received_limit="delay", waiting_s=0.02
    )
    monkeypatch.setattr(caller.service.relay, "quality", quality)
    monkeypatch.setattr(caller.service.relay, "slots", lambda *_: (slot,))
    monkeypatch.setattr(caller.service.relay, "leg", lambda *_: leg)
    played = {"frames": 50, "freezes": 0, "frozen_ms": 0, "audio_samples": 1000, "concealed_samples": 0}
    claim = {"kind": "playback", **played, "outgoing_bps": 512_345}
    await courier.send_json({"type": "signal", "signal": claim})

    def told(person: dict[str, Any]) -> bool:
        numbers = person["numbers"]
        return bool(numbers["watched"]) and numbers["watched"][0]["bitrate_bps"] > 0 and numbers["playback"]

    while not told(person := (await next_quality(qa))[0]):
        pass
    numbers = person["numbers"]
    assert person["actor_id"] == courier_id
    assert numbers["received"]["estimate_bps"] == 310_000 and numbers["limit"] == "delay"
    assert numbers["sent"]["estimate_bps"] == 512_345, "their page's word, for want of a better one"
    watched = dict(numbers["watched"][0])
    assert watched.pop("bitrate_bps") > 0
    assert watched == {
        "actor_id": customer_id, "rid": "low", "temporal_layers": 2, "picture": "live", "reason": "network",
    }  # fmt: skip
    await say(courier, "k3", kind="leave")
    (summary,) = await log_of(caller, case_id, "call_quality")
    body = summary["body"]
    assert body["estimates"] == {
        "sent": None,
        "received": {"median_bps": 310_000, "min_bps": 310_000},
        "sent_claim": {"median_bps": 510_000, "min_bps": 510_000},
    }
    assert body["watched"]["live_ms"] == body["watched"]["reduced_ms"] > 0
    assert (body["watched"]["stills_ms"], body["watched"]["switches"]) == (0, 0)
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    lines = metrics.decode().splitlines()
    assert 'proofcall_leg_estimate_bps_bucket{le="300000.0",way="received"} 0.0' in lines
    readings = next(line for line in lines if line.startswith("proofcall_leg_estimate_bps_count")).split()[1]
    assert float(readings) > 0
    assert 'proofcall_picture_share_bucket{le="0.99",picture="live"} 0.0' in lines
    assert 'proofcall_picture_share_count{picture="live"} 1.0' in lines
    assert 'proofcall_layer_switches_bucket{le="0.0"} 1.0' in lines
    assert 'proofcall_leg_waiting_seconds_bucket{le="0.01"} 0.0' in lines
    assert any(line.startswith('proofcall_picture_seconds_total{picture="live"}') for line in lines)
    peer.close()


async def test_who_watched_nobody_leaves_no_share_of_pictures_behind(caller: Caller) -> None:
    case_id = await caller.open_case()
    courier, peer, _ = await in_call(caller, case_id, "courier")
    await say(courier, "k3", kind="leave")
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    assert b'proofcall_picture_share_count{picture="live"} 0.0' in metrics
    assert b'proofcall_picture_seconds_total{picture="paused"} 0.0' in metrics
    peer.close()
