"""A camera with several encodings in a call: who is bound to which, who gets which, and what is kept."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from media.encodings import RIDS
from media.journal import Segment
from media.picture_buffer import LONG_RUN_S
from media.router import MAX_BEGUN
from media.rtcp import Goodbye, PictureLossIndication, TransportFeedback, encode_compound
from media.rtp import HEADER, Ssrc, element_at, extension_block, header_size, parse_header
from tests.media.call_scenario import (
    INTERFRAME,
    KEYFRAME,
    MID_ID,
    NUMBER_ID,
    REPAIRED_RID_ID,
    RID_ID,
    Admit,
    Join,
    Run,
    Send,
    SimulatedCall,
    page_offer,
    play,
)
from tests.media.leg_scenario import Do, NetworkedCall, Shape, filmed, with_network
from tests.media.leg_scenario import play as networked

SSRCS = {"low": 0x10, "mid": 0x20, "high": 0x30}
VP8, RTX = 96, 97
FRAME_S = 1 / 25


def element(identifier: int, data: bytes) -> bytes:
    return bytes([identifier << 4 | len(data) - 1]) + data


@dataclass
class Camera:
    """Sends the encodings that are on, a packet a picture, and says with each whose it is."""

    call: SimulatedCall
    peer_id: str = "a"
    number: int = 0
    place: int = 0
    says_who: bool = True

    def send(self, *rids: str, key: bool = False, pictures: int = 1) -> None:
        for _ in range(pictures):
            self.call.run(FRAME_S)
            self.place += 1
            for rid in rids:
                body = (KEYFRAME if key else INTERFRAME) + rid.encode()
                head = HEADER.pack(0x90, VP8, self.place & 0xFFFF, 3_600 * self.place, SSRCS[rid])
                self.call.deliver(self.peer_id, head + self.extension(rid) + body)

    def extension(self, rid: str, rid_id: int = RID_ID) -> bytes:
        names = element(MID_ID, b"1") + element(rid_id, rid.encode()) if self.says_who else b""
        self.number += 1
        return extension_block(names + element(NUMBER_ID, self.number.to_bytes(2)))


def repair(camera: Camera, lost: int, ssrc: int, rid_id: int) -> bytes:
    extension = camera.extension("high", rid_id) if rid_id else b""
    head = HEADER.pack(0x90 if extension else 0x80, RTX, lost, 3_600 * lost, ssrc)
    return head + extension + lost.to_bytes(2) + b"\x00repaired"


def call_with(*, journal: bool = False, receiver_numbered: bool = False) -> tuple[SimulatedCall, Camera]:
    call = play(
        Join("a", page_offer(rids=RIDS, numbered=True, rtx=True)),
        Join("b", page_offer(numbered=receiver_numbered, rtx=True)),
        Admit("a", journal=journal),
        Admit("b"),
    )
    return call, Camera(call)


def seen(call: SimulatedCall) -> list[bytes]:
    """Of which encoding the pictures are that b got."""
    return [
        one.payload.removeprefix(KEYFRAME).removeprefix(INTERFRAME) for one in call.heard_in("b", 0, "video")
    ]


def kept(segments: list[Segment]) -> list[int]:
    return [
        parse_header(record.data).ssrc
        for segment in segments
        for record in segment.records
        if not record.is_rtcp
    ]


def test_each_encoding_is_bound_by_its_name_and_one_of_them_is_seen() -> None:
    call, camera = call_with()
    camera.send("low", "high", key=True)
    camera.says_who = False  # once it is known, senders leave the names out
    camera.send("low", "high", pictures=5)
    assert set(seen(call)[1:]) == {b"high"}
    assert {one.rid for one in call.router.quality("a")} == {"low", "high"}


def test_an_encoding_that_took_leave_for_a_pause_is_known_when_it_comes_back() -> None:
    call, camera = call_with()
    camera.send("high", key=True, pictures=2)
    camera.says_who = False
    call.deliver_rtcp("a", Goodbye(ssrcs=(Ssrc(SSRCS["high"]),)))
    camera.send("high", key=True)
    assert seen(call) == [b"high"] * 3


@pytest.mark.parametrize(
    ("offered", "best"),
    [(("f", "h", "q"), "f"), (("low", "mid", "high"), "high"), (("high", "low"), "high")],
)
def test_the_best_encoding_is_the_one_that_the_offer_prefers_or_whose_name_says_so(
    offered: tuple[str, ...], best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8853 §5.2: the most preferred first. Our page's names are known in any order."""
    for place, rid in enumerate(offered):
        monkeypatch.setitem(SSRCS, rid, 0x100 * (place + 1))
    call = play(
        Join("a", page_offer(rids=offered, numbered=True, rtx=True)),
        Join("b", page_offer(numbered=True, rtx=True)),
        Admit("a", journal=True),
        Admit("b"),
    )
    camera = Camera(call)
    camera.send(*offered, key=True)
    camera.send(*offered, pictures=5)
    assert set(seen(call)[-5:]) == {best.encode()}
    assert call.router.encodings("a")[-1].rid == best
    call.perform(call.router.withdraw("a", call.now))
    assert kept(call.cut["a"])[-5:] == [SSRCS[best]] * 5


def test_what_does_not_say_which_encoding_it_is_goes_nowhere() -> None:
    call, camera = call_with()
    camera.says_who = False
    camera.send("high", key=True, pictures=3)
    assert seen(call) == []
    assert call.router.unbound_packets == 3


def test_a_repair_finds_its_encoding_by_name_and_is_known_from_then_on() -> None:
    call, camera = call_with()
    camera.send("high", key=True)
    for rid_id in (REPAIRED_RID_ID, 0):
        camera.place += 1
        lost = camera.place
        camera.send("high")
        call.deliver("a", repair(camera, lost, 0x31, rid_id))
    assert [one.payload for one in call.heard_in("b", 0, "video")].count(b"\x00repaired") == 2


def test_what_repairs_one_of_several_encodings_without_a_name_repairs_none() -> None:
    call, camera = call_with(journal=True)
    camera.send("low", "high", key=True)
    camera.place += 1
    lost = camera.place
    camera.send("low", "high", pictures=2)
    call.deliver("a", repair(camera, lost, 0x31, 0))
    assert b"\x00repaired" not in seen(call)
    assert [one.repaired_packets for one in call.router.quality("a")] == [0, 0]
    call.deliver("a", repair(camera, lost, 0x31, REPAIRED_RID_ID))
    assert b"\x00repaired" in seen(call)


def test_a_repair_goes_to_the_stream_that_its_encoding_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    call, camera = call_with()
    camera.send("high", key=True)
    monkeypatch.setitem(SSRCS, "high", 0x40)
    camera.send("high", key=True)
    camera.place += 1
    lost = camera.place
    camera.send("high", pictures=2)
    call.deliver("a", repair(camera, lost, 0x41, REPAIRED_RID_ID))
    assert b"\x00repaired" in seen(call)


def test_a_keyframe_is_asked_of_the_encoding_that_somebody_waits_for() -> None:
    call, camera = call_with()
    camera.send("low", "high", key=True)
    camera.send("low", "high", pictures=30)
    call.told["a"].clear()
    ssrc = call.ssrc_of_slot("b", 0, "video")
    call.deliver_rtcp("b", PictureLossIndication(ssrc=Ssrc(1), media_ssrc=ssrc))
    call.run(0.1)
    assert [one.media_ssrc for one in call.told_of("a", PictureLossIndication)] == [SSRCS["high"]]


def test_what_is_recorded_is_the_best_encoding_alone() -> None:
    call, camera = call_with(journal=True)
    camera.send("low", key=True)
    camera.send("low", pictures=10)
    camera.send("low", "high", key=True)
    camera.send("low", "high", pictures=20)
    call.run(6)
    ssrcs = kept(call.cut["a"])
    assert ssrcs == [SSRCS["low"]] * 12 + [SSRCS["high"]] * 21
    assert len(call.cut["a"]) == 1


def test_the_record_falls_back_to_what_still_comes_and_asks_for_its_keyframe() -> None:
    call, camera = call_with(journal=True)
    camera.send("low", "high", key=True)
    camera.send("low", "high", pictures=10)
    call.told["a"].clear()
    camera.send("low", pictures=25)
    assert SSRCS["low"] in {one.media_ssrc for one in call.told_of("a", PictureLossIndication)}
    camera.send("low", key=True)
    camera.send("low", pictures=5)
    assert call.router.newest_picture("a", call.now).ssrc == SSRCS["low"]
    camera.send("low", "high", key=True)
    camera.send("low", "high")
    assert call.router.newest_picture("a", call.now).ssrc == SSRCS["high"]


def test_everything_that_is_sent_is_counted_without_a_hole() -> None:
    call, camera = call_with(receiver_numbered=True)
    camera.send("high", key=True)
    for _ in range(10):
        camera.send("high", pictures=2)
        Send("a", "audio", 3).play(call)
    call.run(1)
    numbers = []
    for one in call.heard["b"]:
        at = element_at(one.packet, NUMBER_ID, header_size(one.packet))
        numbers.append(int.from_bytes(one.packet[at : at + 2]))
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 30


def test_a_sender_is_told_of_each_packet_when_it_came() -> None:
    call, camera = call_with()
    camera.send("high", key=True)
    camera.send("high", pictures=9)
    call.run(0.5)
    told = call.told_of("a", TransportFeedback)
    assert [one.first + place for one in told for place in range(len(one.arrivals))] == list(range(1, 11))
    times = [arrived for one in told for arrived in one.arrivals if arrived is not None]
    assert [round(later - earlier, 2) for earlier, later in itertools.pairwise(times)] == [FRAME_S] * 9


def test_no_feedback_whatever_it_says_disturbs_a_call() -> None:
    call, camera = call_with(receiver_numbered=True)
    camera.send("high", key=True)
    for count in range(20):
        arrivals = tuple((number * 7919 % 1000) / 200 for number in range(count * 50, count * 50 + 60))
        call.perform(
            call.router.handle_rtcp(
                "b",
                encode_compound(
                    [
                        TransportFeedback(
                            ssrc=Ssrc(1),
                            media_ssrc=Ssrc(2),
                            feedback_count=count,
                            first=count * 50 & 0xFFFF,
                            arrivals=arrivals,
                        )
                    ]
                ),
                call.now,
            )
        )
        camera.send("high", pictures=2)
    assert len(seen(call)) > 10


def test_a_keyframe_hides_no_temporal_layer() -> None:
    call = networked(
        *filmed("b"), Run(3), Do(lambda call: call.cameras["a"].wanted.add("high")), Run(FRAME_S)
    )
    high = call.router._peers["a"].tracks["video"].best
    assert high.temporal_layers == 3
    high.look_for_temporal_layers()
    assert high.temporal_layers == 3, "though the newest packets are all of one picture"


@pytest.mark.parametrize(("rid", "asks"), [("low", False), ("high", True)])
def test_what_was_lost_of_an_encoding_that_nobody_uses_costs_no_keyframe(rid: str, asks: bool) -> None:
    """A keyframe of one encoding is one of all, in the record, too."""
    call, camera = call_with(journal=True)
    camera.send("low", "high", key=True)
    camera.send("low", "high", pictures=5)
    call.told["a"].clear()
    camera.send("high" if rid == "low" else "low")
    camera.send("low", "high", pictures=100)
    assert bool(call.told_of("a", PictureLossIndication)) == asks


@pytest.mark.parametrize(
    ("camera_bps", "network_bps", "asks"),
    [
        pytest.param(1_600_000, None, True, id="there is room for a keyframe"),
        pytest.param(1_600_000, 300_000, False, id="who watches has a lesser encoding"),
        pytest.param(300_000, None, False, id="the camera's own network is narrow"),
    ],
)
def test_a_long_tail_costs_a_keyframe_where_nobody_stands_still_for_it(
    camera_bps: int, network_bps: int | None, asks: bool
) -> None:
    def let_be(call: NetworkedCall) -> None:
        call.cameras["a"].bitrate_bps = camera_bps

    call = networked(*filmed("b"), Do(let_be), Shape("b", with_network(network_bps)), Run(20))
    before = len(call.told_of("a", PictureLossIndication))
    call.run(2 * LONG_RUN_S)
    assert (len(call.told_of("a", PictureLossIndication)) > before) == asks
    call.perform(call.router.request_keyframe("a", call.now))  # somebody presses the shutter
    call.run(0.5)
    assert call.router.newest_picture("a", call.now)


def test_a_keyframe_that_comes_too_late_to_begin_with_is_asked_for_again() -> None:
    call, camera = call_with()
    camera.send("high")
    camera.place += 1
    late = HEADER.pack(0x90, VP8, camera.place, 3_600 * camera.place, SSRCS["high"])
    for _ in range(MAX_BEGUN + 1):
        camera.place += 1
        head = HEADER.pack(0x90, VP8, camera.place, 3_600 * camera.place, SSRCS["high"])
        call.deliver("a", head + camera.extension("high") + INTERFRAME)
    call.told["a"].clear()
    call.deliver("a", late + camera.extension("high") + KEYFRAME)
    call.run(3)
    assert len(call.told_of("a", PictureLossIndication)) >= 2
    assert seen(call) == []
    camera.send("high", key=True)
    assert seen(call) == [b"high"]
