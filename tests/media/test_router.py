"""Calls on virtual time: what each person sees and hears, and what each sender is told."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import IllegalPeer, NoPicture, UnknownPeer
from media.peer import ASSUMED_ROUND_TRIP_S, Traffic
from media.picture_buffer import LONG_RUN_PICTURES
from media.router import MAX_RECEPTIONS, MAX_REPLAYED, REPORT_INTERVAL_S
from media.rtcp import (
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
)
from media.rtp import HEADER, Ssrc, extensions
from tests.media.call_scenario import (
    CONTINUATION,
    INTERFRAME,
    KEYFRAME,
    SOUND,
    START,
    Admit,
    Answer,
    Ask,
    Check,
    Join,
    Lose,
    Remove,
    Run,
    Send,
    SimulatedCall,
    Step,
    Withdraw,
    audio_section,
    call_of,
    offer_of,
    page_offer,
    play,
    video_section,
    watching_offer,
)

NTP_SECOND = 1 << 32


def sound(call: SimulatedCall, peer_id: str, slot: int = 0) -> list[int]:
    return [one.header.sequence_number for one in call.heard_in(peer_id, slot, "audio")]


def pictures(call: SimulatedCall, peer_id: str, slot: int = 0) -> list[bytes]:
    return [one.payload for one in call.heard_in(peer_id, slot, "video")]


def unbroken(numbers: list[int]) -> bool:
    """Sorted by arrival, each number is the one after its predecessor."""
    return all((later - earlier) & 0xFFFF == 1 for earlier, later in pairwise(numbers))


def asked_for_keyframe(call: SimulatedCall, peer_id: str) -> list[float]:
    return [
        round(now - START, 2)
        for now, packet in call.told[peer_id]
        if isinstance(packet, PictureLossIndication | FullIntraRequest)
    ]


def no_picture(peer_id: str) -> Callable[[SimulatedCall], bool]:
    def check(call: SimulatedCall) -> bool:
        with pytest.raises(NoPicture):
            call.router.newest_picture(peer_id, call.now)
        return True

    return check


def picture_loss(peer_id: str, slot: int = 0) -> Ask:
    return Ask(
        peer_id,
        lambda call: PictureLossIndication(
            ssrc=Ssrc(1), media_ssrc=call.ssrc_of_slot(peer_id, slot, "video")
        ),
    )


def nack(peer_id: str, kind: str, *offsets: int, slot: int = 0) -> Ask:
    """Asks for packets by their distance from the first that was heard in the slot."""

    def make(call: SimulatedCall) -> RtcpPacket:
        first = call.heard_in(peer_id, slot, kind)[0].header
        numbers = tuple((first.sequence_number + offset) & 0xFFFF for offset in offsets)
        return Nack(ssrc=Ssrc(1), media_ssrc=first.ssrc, sequence_numbers=numbers)

    return Ask(peer_id, make)


def sender_report(peer_id: str, kind: str, ntp_s: float) -> Ask:
    """A sender says: at this second of my clock, my stream is at the timestamp of its newest packet."""

    def make(call: SimulatedCall) -> RtcpPacket:
        sender = call.sender(peer_id, kind)
        return SenderReport(
            ssrc=sender.ssrc,
            ntp_timestamp=round(ntp_s * NTP_SECOND),
            rtp_timestamp=sender.rtp_timestamp,
            packet_count=1,
            octet_count=1,
        )

    return Ask(peer_id, make)


# Who gets what.


def test_two_people_see_and_hear_each_other() -> None:
    play(
        *call_of("a", "b"),
        Send("a", "audio", 3),
        Send("a", "video", 3, body=KEYFRAME),
        Send("b", "audio", 2),
        Check("b hears a", lambda call: len(sound(call, "b")) == 3),
        Check("b sees a", lambda call: pictures(call, "b") == [KEYFRAME, INTERFRAME, INTERFRAME]),
        Check("a hears b", lambda call: len(sound(call, "a")) == 2),
        Check("nobody hears themselves", lambda call: len(call.heard["a"]) == 2),
    )


def test_nothing_is_relayed_to_or_from_whoever_is_not_admitted() -> None:
    play(
        Join("a"),
        Join("b"),
        Admit("a"),
        Send("b", "audio", 3),
        Send("b", "video", 3, body=KEYFRAME),
        Send("a", "audio", 3),
        Check("nothing got anywhere", lambda call: call.heard == {"a": [], "b": []}),
        Check("no frame can be taken of b", no_picture("b")),
        Check("nobody sits anywhere", lambda call: call.people_in_slots("a") == []),
        Check("it is not b's traffic", lambda call: call.router.statistics("b") == Traffic()),
    )


def test_whoever_is_not_admitted_still_gets_reports_and_is_asked_for_nothing() -> None:
    call = play(Join("a"), Send("a", "audio", 2), Lose("a", "audio"), Send("a", "audio", 60))
    (report,) = call.told_of("a", ReceiverReport)
    assert report.blocks[0].packets_lost == 1
    assert call.told_of("a", Nack) == []


def test_a_withdrawn_peer_is_cut_off_both_ways_and_can_come_back() -> None:
    play(
        *call_of("a", "b"),
        Withdraw("a"),
        Send("a", "audio"),
        Send("b", "audio"),
        Check("nothing got anywhere", lambda call: call.heard == {"a": [], "b": []}),
        Admit("a"),
        Send("a", "audio"),
        Send("b", "audio"),
        Check("both are back", lambda call: len(call.heard["a"]) == len(call.heard["b"]) == 1),
    )


def test_four_people_each_get_the_three_others_in_slots_of_their_own() -> None:
    people = ("a", "b", "c", "d")
    call = play(*call_of(*people), *(Send(one, "audio") for one in people))
    for one in people:
        assert sorted(person for _, person in call.people_in_slots(one)) == sorted({*people} - {one})
        assert [len(sound(call, one, slot)) for slot in range(3)] == [1, 1, 1]


def test_a_fifth_person_waits_until_a_slot_is_free() -> None:
    play(
        *call_of("a", "b", "c", "d", "e"),
        Check("a has no room for e", lambda call: "e" not in dict(call.people_in_slots("a")).values()),
        Remove("c"),
        Check("e has c's place", lambda call: call.people_in_slots("a") == [(0, "b"), (1, "e"), (2, "d")]),
    )


def test_whoever_reconnects_gets_their_old_slot() -> None:
    play(
        *call_of("a", "b", "c"),
        Remove("c"),
        Remove("b"),
        Join("c"),
        Admit("c"),
        Join("b"),
        Admit("b"),
        Check("as before", lambda call: call.people_in_slots("a") == [(0, "b"), (1, "c")]),
    )


def test_whoever_only_watches_takes_no_slot_and_sees_everybody() -> None:
    play(
        *call_of("a", "b"),
        Join("qa", watching_offer()),
        Admit("qa"),
        Send("a", "audio"),
        Check("qa sits nowhere", lambda call: call.people_in_slots("a") == [(0, "b")]),
        Check("qa sees both", lambda call: call.people_in_slots("qa") == [(0, "a"), (1, "b")]),
        Check("qa hears", lambda call: len(call.heard["qa"]) == 1),
    )


def test_everybody_concerned_is_told_that_slots_changed() -> None:
    play(
        *call_of("a", "b"),
        Check("both were told", lambda call: call.moved == ["a", "b"]),
        Withdraw("b"),
        Check("and again", lambda call: call.moved[2:] == ["a", "b"]),
        Admit("b"),
        Remove("b"),
        Check("who is gone is not told", lambda call: call.moved[6:] == ["a"]),
    )


def test_a_slot_names_the_sections_of_the_receivers_own_offer() -> None:
    call = play(*call_of("a", "b"))
    (assignment,) = call.router.slots("a")
    assert (assignment.audio_mid, assignment.video_mid) == ("2", "3")


def test_a_receiver_with_one_slot_and_no_video_hears_one_person() -> None:
    ears = offer_of(audio_section("0", sends=False, receives=True))
    call = play(
        Join("a"),
        Join("b", ears),
        Admit("a"),
        Admit("b"),
        Send("a", "audio"),
        Send("a", "video", body=KEYFRAME),
    )
    assert [one.payload for one in call.heard["b"]] == [SOUND]


def test_numbers_of_the_receiver_are_used() -> None:
    call = play(
        Join("a"),
        Join("b", page_offer(opus=96, vp8=120)),
        Admit("a"),
        Admit("b"),
        Send("a", "audio"),
        Send("a", "video", body=KEYFRAME),
    )
    assert [one.header.payload_type for one in call.heard["b"]] == [96, 120]


def test_a_picture_in_a_codec_that_the_receiver_lacks_is_left_out_and_sound_goes_on() -> None:
    vp8_only = page_offer()
    sections = [
        replace(section, codecs=tuple(one for one in section.codecs if one.name != "H264"))
        for section in vp8_only.sections
    ]
    h264_camera = offer_of(
        audio_section("0", sends=True, receives=False),
        video_section("1", sends=True, receives=False, codecs=(("H264", 102), ("VP8", 96))),
    )
    call = play(
        Join("a", h264_camera),
        Join("b", offer_of(*sections)),
        Admit("a"),
        Admit("b"),
        Send("a", "video", 3, body=b"\x67 a sequence parameter set"),
        Send("a", "audio", 3),
    )
    assert [one.payload for one in call.heard["b"]] == [SOUND] * 3


def test_frames_are_taken_from_packets_as_they_came() -> None:
    call = play(Join("a"), Admit("a"), Send("a", "video", 3, body=KEYFRAME), Send("a", "audio"))
    sent = tuple(call.sender("a", "video").sent.values())
    # The third picture might go on: only the next one's first packet shows that it is whole.
    assert call.router.newest_picture("a", call.now).packets == sent[:2]


# Slots that change hands.


def test_a_slot_goes_on_without_a_break_when_it_changes_hands() -> None:
    call = play(
        *call_of("a", "b"),
        Send("b", "video", 5, body=KEYFRAME),
        Send("b", "audio", 5),
        Remove("b"),
        Run(2.0),
        Join("c"),
        Admit("c"),
        Send("c", "video", 2),
        Send("c", "video", 5, body=KEYFRAME),
        Send("c", "audio", 5),
    )
    for kind, clock_rate in (("audio", 48_000), ("video", 90_000)):
        heard = call.heard_in("a", 0, kind)
        assert len(heard) == 10
        assert unbroken([one.header.sequence_number for one in heard])
        ticks = (heard[5].header.rtp_timestamp - heard[4].header.rtp_timestamp) & 0xFFFF_FFFF
        assert ticks / clock_rate == pytest.approx(heard[5].now - heard[4].now, abs=1e-3)
    assert [one.payload for one in call.heard_in("a", 0, "video")][5] == KEYFRAME


def test_a_sender_that_restarts_with_a_new_ssrc_is_followed() -> None:
    def restart(call: SimulatedCall) -> bool:
        sender = call.sender("a", "audio")
        sender.ssrc = Ssrc(sender.ssrc ^ 1)
        sender.sequence_number, sender.rtp_timestamp = 7, 7
        return True

    call = play(*call_of("a", "b"), Send("a", "audio", 3), Check("restart", restart), Send("a", "audio", 3))
    assert len(sound(call, "b")) == 6
    assert unbroken(sound(call, "b"))


def test_a_sender_that_jumps_is_followed_without_a_break() -> None:
    def jump(call: SimulatedCall) -> bool:
        call.sender("a", "audio").sequence_number += 20_000
        return True

    call = play(*call_of("a", "b"), Send("a", "audio", 3), Check("jump", jump), Send("a", "audio", 5))
    assert len(sound(call, "b")) == 7  # the first packet behind the jump might have been a stray
    assert unbroken(sound(call, "b"))
    assert call.told_of("a", Nack) == []


def test_a_stream_that_said_goodbye_may_be_followed_by_another() -> None:
    def successor(call: SimulatedCall) -> bool:
        del call.senders["a", "video"]
        return True

    call = play(
        *call_of("a", "b"),
        Send("a", "video", 2, body=KEYFRAME),
        Ask("a", lambda call: Goodbye(ssrcs=(call.sender("a", "video").ssrc,))),
        Check("another stream", successor),
        Send("a", "video", 2, body=KEYFRAME),
    )
    assert pictures(call, "b") == [KEYFRAME, INTERFRAME] * 2


# Whose packet is it?


def test_mid_decides_whatever_the_payload_type_says() -> None:
    """RFC 9143 §9.2. The extension itself is not passed on: it names a section of the sender's offer."""
    two_cameras = offer_of(
        video_section("front", sends=True, receives=False), video_section("back", sends=True, receives=False)
    )
    call = play(Join("a", two_cameras), Join("b"), Admit("a"), Admit("b"))
    extension = bytes.fromhex("bede 0002") + b"\x43back" + bytes(3)
    call.deliver("a", call.sender("a", "video").next_packet(KEYFRAME, extension=extension))
    assert call.router.quality("a")[0].mid == "back"
    (heard,) = call.heard["b"]
    assert extensions(heard.packet) == []


def test_a_mid_of_no_section_binds_nothing() -> None:
    call = play(*call_of("a", "b"))
    extension = bytes.fromhex("bede 0001") + b"\x42wat"
    assert call.deliver("a", call.sender("a", "audio").next_packet(SOUND, extension=extension)) == []
    assert call.deliver("a", call.sender("a", "audio").next_packet(SOUND)) == ["b"]


def test_an_ssrc_of_the_offer_needs_no_mid() -> None:
    """As aiortc and wrtc announce theirs; all of their sections may send."""
    sections = [
        audio_section("0", sends=True, receives=True),
        video_section("1", sends=True, receives=True, ssrcs=(11,)),
        video_section("2", sends=True, receives=True, ssrcs=(22,)),
    ]
    call = play(Join("a", offer_of(*sections)), Join("b"), Admit("a"), Admit("b"))
    call.deliver("a", HEADER.pack(0x80, 96, 1, 1, 22) + KEYFRAME)
    assert call.router.quality("a")[0].mid == "2"
    assert len(call.heard["b"]) == 1


def test_a_payload_type_suffices_where_one_section_alone_can_be_meant() -> None:
    announced = video_section("1", sends=True, receives=False, ssrcs=(11,))
    call = play(
        Join("a", offer_of(announced, video_section("2", sends=True, receives=False))), Join("b"), Admit("a")
    )
    call.deliver("a", HEADER.pack(0x80, 96, 1, 1, 77) + KEYFRAME)
    assert [one.mid for one in call.router.quality("a")] == ["2"]


def test_a_stream_that_might_be_either_of_two_is_not_guessed() -> None:
    sections = [video_section(mid, sends=True, receives=False) for mid in ("1", "2")]
    call = play(Join("a", offer_of(*sections)), Join("b"), Admit("a"), Admit("b"))
    assert call.deliver("a", HEADER.pack(0x80, 96, 1, 1, 77) + KEYFRAME) == []
    assert call.router.quality("a") == []
    # and is bound as soon as it says more.
    packet = HEADER.pack(0x90, 96, 2, 1, 77) + bytes.fromhex("bede 0001 4031 0000") + KEYFRAME
    assert call.deliver("a", packet) == ["b"]


def test_a_repair_stream_that_nobody_agreed_on_disturbs_nothing() -> None:
    call = play(*call_of("a", "b"), Send("a", "video", body=KEYFRAME))
    assert call.deliver("a", HEADER.pack(0x80, 97, 1, 1, 77) + KEYFRAME) == []
    assert call.deliver("a", call.sender("a", "video").next_packet(INTERFRAME)) == ["b"]


def test_a_second_section_of_a_kind_is_seen_once_the_first_is_silent() -> None:
    sections = [
        video_section("1", sends=True, receives=False, ssrcs=(11,)),
        video_section("2", sends=True, receives=False, ssrcs=(22,)),
    ]
    call = play(Join("a", offer_of(*sections)), Join("b"), Admit("a"), Admit("b"))
    assert call.deliver("a", HEADER.pack(0x80, 96, 1, 1, 11) + KEYFRAME) == ["b"]
    assert call.deliver("a", HEADER.pack(0x80, 96, 1, 1, 22) + KEYFRAME) == []
    call.run(1.5)
    assert call.deliver("a", HEADER.pack(0x80, 96, 2, 1, 22) + KEYFRAME) == ["b"]


def test_the_streams_of_a_peer_are_bounded() -> None:
    call = play(*call_of("a", "b"))
    for ssrc in range(1, 3 * MAX_RECEPTIONS):
        call.deliver("a", HEADER.pack(0x80, 111, 1, 1, ssrc) + SOUND)
    assert len(call.router.quality("a")) == MAX_RECEPTIONS


# Repair.


def test_a_lost_packet_is_asked_for_and_passed_on_in_its_place() -> None:
    call = play(
        *call_of("a", "b"),
        Send("a", "video", 2, body=KEYFRAME),
        Lose("a", "video", 2),
        Send("a", "video", 1),
        Run(0.04),
        Check("asked once for both", lambda call: len(call.told_of("a", Nack)) == 1),
        Answer("a"),
        Run(1.0),
        Check("and not again", lambda call: len(call.told_of("a", Nack)) == 1),
    )
    numbers = [one.header.sequence_number for one in call.heard_in("b", 0, "video")]
    assert len(numbers) == 5
    assert unbroken(sorted(numbers, key=lambda number: (number - numbers[0]) & 0xFFFF))
    assert call.router.statistics("a").lost_packets == 0


def test_sound_is_repaired_too() -> None:
    call = play(
        *call_of("a", "b"), Send("a", "audio", 2), Lose("a", "audio"), Send("a", "audio", 3), Answer("a")
    )
    assert len(sound(call, "b")) == 6


def test_a_loss_that_is_never_repaired_ends_in_a_request_for_a_keyframe() -> None:
    call = play(
        *call_of("a", "b"),
        Send("a", "video", 2, body=KEYFRAME),
        Lose("a", "video"),
        Send("a", "video", 90),
    )
    assert len(asked_for_keyframe(call, "a")) >= 1
    assert call.router.statistics("a").lost_packets == 1


def test_a_receiver_that_misses_a_packet_gets_the_same_bytes_again() -> None:
    call = play(
        *call_of("a", "b"),
        Send("a", "video", 5, body=KEYFRAME),
        nack("b", "video", 1, 3),
    )
    heard = call.heard_in("b", 0, "video")
    assert [one.packet for one in heard[5:]] == [heard[1].packet, heard[3].packet]


def test_a_receiver_that_asks_twice_at_once_is_answered_once() -> None:
    call = play(
        *call_of("a", "b"), Send("a", "audio", 3), nack("b", "audio", 1), nack("b", "audio", 1), Run(0.2)
    )
    assert len(call.heard["b"]) == 4
    nack("b", "audio", 1).play(call)
    assert len(call.heard["b"]) == 5


def test_a_packet_that_both_links_lost_comes_when_the_first_is_repaired() -> None:
    call = play(
        *call_of("a", "b"),
        Send("a", "audio", 2),
        Lose("a", "audio"),
        Send("a", "audio", 2),
        nack("b", "audio", 2),
        Check("we do not have it either", lambda call: len(call.heard["b"]) == 4),
        Run(0.04),
        Answer("a"),
        Check("now it comes", lambda call: len(call.heard["b"]) == 5),
    )
    assert unbroken(sorted(sound(call, "b"), key=lambda number: (number - sound(call, "b")[0]) & 0xFFFF))


def test_a_keyframe_whose_first_packet_is_repaired_reaches_a_newcomer_whole() -> None:
    call = play(
        *call_of("a"),
        Send("a", "video", MAX_REPLAYED + 1, body=KEYFRAME),
        Join("b"),
        Admit("b"),
        Lose("a", "video", body=KEYFRAME),
        Send("a", "video", body=CONTINUATION),
        Send("a", "video", body=CONTINUATION),
        Run(0.04),
    )
    (lost,) = call.told_of("a", Nack)
    call.deliver("a", call.sender("a", "video").sent[lost.sequence_numbers[0]])
    assert pictures(call, "b") == [KEYFRAME, CONTINUATION, CONTINUATION]


@pytest.mark.parametrize(
    ("percent_lost", "unrepaired_per_mille"),
    [
        pytest.param(10, 0.0, id="10 %"),
        pytest.param(20, 0.0, id="20 %"),
        pytest.param(30, 1.0, id="30 %"),
    ],
)
def test_loss_towards_the_relay_is_repaired(percent_lost: int, unrepaired_per_mille: float) -> None:
    """A round trip of 80 ms; NACKs and repairs are lost as often as anything else."""
    rng, one_way_s = random.Random(percent_lost + 3), 0.04
    call = play(*call_of("a", "b"), Send("a", "video", body=KEYFRAME))
    sender, due = call.sender("a", "video"), list[tuple[float, bytes]]()
    count, seen = 1500, 0
    for step in range(count + 200):
        arrived = [packet for at, packet in due if at <= call.now]
        due = [(at, packet) for at, packet in due if at > call.now]
        for packet in arrived:
            call.deliver("a", packet)
        wanted = any(isinstance(told, PictureLossIndication) for _, told in call.told["a"][seen:])
        body = KEYFRAME if wanted else INTERFRAME
        fresh = [sender.next_packet(body, step=900)] if step < count else []
        repairs = [
            sender.sent[number]
            for now, told in call.told["a"][seen:]
            if isinstance(told, Nack) and rng.randrange(100) >= percent_lost
            for number in told.sequence_numbers
        ]
        seen = len(call.told["a"])
        last = step == count - 1  # what is lost behind the last packet, nobody can notice
        due += [(call.now + one_way_s, one) for one in fresh if last or rng.randrange(100) >= percent_lost]
        due += [(call.now + 2 * one_way_s, one) for one in repairs if rng.randrange(100) >= percent_lost]
        call.run(0.01)
    assert len(call.heard_in("b", 0, "video")) >= (count + 1) * (1 - unrepaired_per_mille / 1000)
    assert len(asked_for_keyframe(call, "a")) <= count / LONG_RUN_PICTURES + 3


# Keyframes.


def test_a_newcomer_makes_everybody_send_a_keyframe() -> None:
    play(
        Join("a"),
        Admit("a"),
        Send("a", "video", MAX_REPLAYED + 1, body=KEYFRAME),
        Check("nobody asked before", lambda call: asked_for_keyframe(call, "a") == []),
        Join("b"),
        Admit("b"),
        Check("asked at once", lambda call: len(asked_for_keyframe(call, "a")) == 1),
        Send("a", "video", 2),
        Check("nothing undecodable is sent", lambda call: pictures(call, "b") == []),
        Answer("a"),
        Check("b sees a", lambda call: pictures(call, "b") == [KEYFRAME]),
        Run(3.0),
        Check("not asked again", lambda call: len(asked_for_keyframe(call, "a")) == 1),
    )


def test_a_newcomer_is_given_the_picture_that_is_shown_now() -> None:
    """The keyframe and its short tail are at hand: no round trip to the camera, no larger stream for all."""
    play(
        Join("a"),
        Admit("a"),
        Send("a", "video", 3, body=KEYFRAME),
        Send("a", "video", 20, body=KEYFRAME),
        Join("b"),
        Admit("b"),
        Check("b sees a at once", lambda call: pictures(call, "b") == [KEYFRAME] + [INTERFRAME] * 19),
        Send("a", "video", 2),
        Check("and the rest", lambda call: pictures(call, "b") == [KEYFRAME] + [INTERFRAME] * 21),
        Check(
            "in numbers without a break",
            lambda call: unbroken([one.header.sequence_number for one in call.heard_in("b", 0, "video")]),
        ),
        Check("nobody was asked", lambda call: asked_for_keyframe(call, "a") == []),
    )


def test_a_newcomer_is_not_given_a_picture_with_a_hole() -> None:
    play(
        Join("a"),
        Admit("a"),
        Send("a", "video", 3, body=KEYFRAME),
        Lose("a", "video"),
        Send("a", "video", 2),
        Join("b"),
        Admit("b"),
        Check("nothing yet", lambda call: pictures(call, "b") == []),
        Check("a keyframe was asked for", lambda call: len(asked_for_keyframe(call, "a")) == 1),
    )


def test_a_call_that_was_connected_before_costs_one_keyframe_and_no_wait() -> None:
    play(
        Join("a"),
        Join("b"),
        Send("a", "video", 30, body=KEYFRAME),
        Admit("a"),
        Check("nobody looks yet", lambda call: asked_for_keyframe(call, "a") == []),
        Admit("b"),
        Check("asked before the next packet", lambda call: len(asked_for_keyframe(call, "a")) == 1),
        Answer("a"),
        Check("b sees a", lambda call: pictures(call, "b") == [KEYFRAME]),
    )


def test_a_keyframe_request_that_is_lost_is_repeated() -> None:
    call = play(*call_of("a", "b"), Send("a", "video", 60))
    times = asked_for_keyframe(call, "a")
    assert len(times) == 3
    assert times[1] - times[0] == pytest.approx(0.5, abs=0.03)


def test_many_receivers_that_are_lost_cost_one_keyframe() -> None:
    call = play(*call_of("a", "b", "c", "d"), Send("a", "video", 30, body=KEYFRAME), picture_loss("b"))
    before = len(asked_for_keyframe(call, "a"))
    for peer_id in "bcdbcd":
        picture_loss(peer_id).play(call)
    assert before == 1
    assert len(asked_for_keyframe(call, "a")) == 1


def test_a_request_soon_after_another_is_put_off_and_not_dropped() -> None:
    call = play(
        *call_of("a", "b"),
        Send("a", "video", 30, body=KEYFRAME),
        picture_loss("b"),
        Answer("a"),
        picture_loss("b"),
    )
    assert len(asked_for_keyframe(call, "a")) == 1
    call.run(0.6)
    first, second = asked_for_keyframe(call, "a")
    assert second - first == pytest.approx(0.5, abs=0.03)


def test_a_full_intra_request_is_a_request_too() -> None:
    call = play(
        *call_of("a", "b"),
        Send("a", "video", body=KEYFRAME),
        Ask(
            "b",
            lambda call: FullIntraRequest(ssrc=Ssrc(1), commands=((call.ssrc_of_slot("b", 0, "video"), 1),)),
        ),
    )
    assert len(asked_for_keyframe(call, "a")) == 1


def test_a_sender_is_asked_in_the_way_it_agreed_to() -> None:
    fir_only = offer_of(video_section("1", sends=True, receives=False, feedback=("nack", "ccm fir")))
    call = play(Join("a", fir_only), Join("b"), Admit("a"), Admit("b"), Send("a", "video", 60))
    requests = call.told_of("a", FullIntraRequest)
    assert [request.commands[0][1] for request in requests] == [1, 2, 3]
    assert call.told_of("a", PictureLossIndication) == []


def test_a_frame_can_be_wanted_without_any_receiver() -> None:
    call = play(Join("a"), Admit("a"), Send("a", "video", 2))
    call.perform(call.router.request_keyframe("a", call.now))
    assert len(asked_for_keyframe(call, "a")) == 1


def test_no_keyframe_is_wanted_of_whoever_is_not_admitted() -> None:
    call = play(Join("a"), Send("a", "video", 2))
    call.perform(call.router.request_keyframe("a", call.now))
    assert call.told["a"] == []


# Reports.


def test_a_sender_learns_what_was_lost() -> None:
    call = play(
        *call_of("a", "b"), Send("a", "audio", 36), Lose("a", "audio", 4), Send("a", "audio", 9), Run(1.2)
    )
    block = call.told_of("a", ReceiverReport)[0].blocks[0]
    assert block.ssrc == call.sender("a", "audio").ssrc
    assert block.packets_lost == 4
    assert block.fraction_lost == 4 * 256 // 49


def test_reports_come_once_a_second() -> None:
    call = play(*call_of("a", "b"), Send("a", "audio", 500))
    times = [now for now, packet in call.told["a"] if isinstance(packet, ReceiverReport)]
    assert len(times) == 9
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == pytest.approx([REPORT_INTERVAL_S] * 8, abs=0.03)


def test_sound_and_picture_keep_their_distance_in_the_receivers_numbers() -> None:
    """Lip sync: what the sender's reports say of two streams, ours say of what became of them."""
    call = play(
        *call_of("a", "b"),
        Send("a", "audio", 10),
        Send("a", "video", 3, body=KEYFRAME),
        sender_report("a", "audio", 5000.0),
        sender_report("a", "video", 5000.08),
        Run(2.2),
    )
    reports = {report.ssrc: report for report in call.told_of("b", SenderReport)}

    def heard_at(kind: str, clock_rate: int) -> float:
        """The NTP time, in seconds, of the newest packet of a kind."""
        newest = call.heard_in("b", 0, kind)[-1].header
        report = reports[newest.ssrc]
        ahead = ((report.rtp_timestamp - newest.rtp_timestamp + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        return report.ntp_timestamp / NTP_SECOND - ahead / clock_rate

    assert heard_at("video", 90_000) - heard_at("audio", 48_000) == pytest.approx(0.08, abs=1e-3)


def test_a_receiver_gets_the_first_report_of_a_stream_at_once() -> None:
    call = play(*call_of("a", "b"), Send("a", "audio", 3), sender_report("a", "audio", 5000.0), Run(0.02))
    (report,) = call.told_of("b", SenderReport)
    assert report.ssrc == call.ssrc_of_slot("b", 0, "audio")
    assert (report.packet_count, report.octet_count) == (3, 3 * len(SOUND))


def test_a_report_carries_the_name_that_the_answer_gave_the_slot() -> None:
    call = play(*call_of("a", "b"), Send("a", "audio", 3), sender_report("a", "audio", 5000.0), Run(0.02))
    names = dict(name for one in call.told_of("b", SourceDescription) for name in one.cnames)
    assert names[call.ssrc_of_slot("b", 0, "audio")] == "slot0"


def test_the_clock_of_reports_does_not_jump_when_a_slot_changes_hands() -> None:
    call = play(
        *call_of("a", "b"),
        Send("b", "audio", 3),
        sender_report("b", "audio", 5000.0),
        Run(1.0),
        Remove("b"),
        Join("c"),
        Admit("c"),
        Send("c", "audio", 3),
        sender_report("c", "audio", 3_900_000_000.0),
        Run(1.0),
    )
    offsets = [
        report.ntp_timestamp / NTP_SECOND - now
        for now, report in call.told["a"]
        if isinstance(report, SenderReport)
    ]
    assert len(offsets) >= 2
    assert offsets == pytest.approx([offsets[0]] * len(offsets), abs=0.1)


def test_the_round_trip_is_told_by_a_receivers_report() -> None:
    """RFC 3550 §6.4.1: arrival of the block, less its delay, less the sender report it answers."""
    call = play(*call_of("a", "b"), Send("a", "audio", 3), sender_report("a", "audio", 5000.0), Run(0.02))
    sent_at, report = next((now, one) for now, one in call.told["b"] if isinstance(one, SenderReport))
    assert call.router.quality("b")[-1].round_trip_s == ASSUMED_ROUND_TRIP_S
    call.run(0.5)
    block = ReportBlock(
        ssrc=report.ssrc,
        fraction_lost=64,
        packets_lost=1,
        highest_sequence_number=1,
        jitter=480,
        last_sender_report=report.ntp_timestamp >> 16 & 0xFFFF_FFFF,
        delay_since_last_sender_report=round((call.now - sent_at - 0.06) * 0x1_0000),
    )
    call.deliver_rtcp("b", ReceiverReport(ssrc=Ssrc(1), blocks=(block,)))
    quality = next(one for one in call.router.quality("b") if not one.sent_by_peer)
    assert quality.round_trip_s == pytest.approx(0.06, abs=1e-3)
    assert (quality.fraction_lost, quality.lost_packets, quality.jitter_s) == (0.25, 1, 0.01)


# Traffic, and what must not disturb.


def test_traffic_counts_what_each_side_sent_and_received_since_admission() -> None:
    size = 12 + len(SOUND)
    call = play(
        Join("a"),
        Join("b"),
        Send("a", "audio", 5),
        Admit("a"),
        Admit("b"),
        Send("a", "audio", 3),
        Send("b", "audio", 2),
        Withdraw("a"),
        Send("a", "audio", 5),
    )
    expected = Traffic(
        sent_packets=3, sent_bytes=3 * size, received_packets=2, received_bytes=2 * size, lost_packets=0
    )
    assert call.router.statistics("a") == expected
    Admit("a").play(call)
    assert call.router.statistics("a") == Traffic()


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(11), id="half a header"),
        pytest.param(struct.pack("!BBHII", 0x90, 111, 1, 1, 1), id="an extension that is not there"),
        pytest.param(struct.pack("!BBHII", 0x80, 50, 1, 1, 1), id="a payload type nobody offered"),
    ],
)
def test_a_packet_that_makes_no_sense_is_counted_and_changes_nothing(packet: bytes) -> None:
    call = play(*call_of("a", "b"))
    assert call.deliver("a", packet) == []
    assert call.router.malformed_packets + call.router.unbound_packets == 1
    assert call.router.statistics("a") == Traffic()
    call.perform(call.router.handle_rtcp("a", packet, call.now))
    assert call.told == {"a": [], "b": []}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda flags, second, rest: bytes([0x80 | flags, second]) + rest,
                st.integers(0, 0x3F),
                st.sampled_from([96, 111, 102, 200, 201, 203, 205, 206, 224]),
                st.binary(max_size=60),
            ),
        ),
        max_size=20,
    )
)
def test_any_bytes_of_an_authenticated_peer_are_survived(packets: list[bytes]) -> None:
    call = play(*call_of("a", "b"))
    for packet in packets:
        call.deliver("a", packet)
        call.perform(call.router.handle_rtcp("a", packet, call.now))
        call.run(0.04)
    # Whatever those bytes began is followed by b's own media.
    Send("b", "audio", 2).play(call)
    assert len(call.heard["a"]) == 2


def test_peers_that_are_not_there_are_named() -> None:
    router = SimulatedCall().router
    for act in (router.admit, router.withdraw, router.remove_peer, router.request_keyframe):
        with pytest.raises(UnknownPeer, match="nobody"):
            act("nobody", START)
    for ask in (router.slots, router.statistics, router.quality):
        with pytest.raises(UnknownPeer, match="nobody"):
            ask("nobody")
    assert router.handle_rtp("nobody", SOUND, START) == []
    assert router.handle_rtcp("nobody", SOUND, START) == []


def test_a_peer_is_added_once() -> None:
    call = play(Join("a"))
    with pytest.raises(IllegalPeer, match="a is in this call already"):
        call.router.add_peer("a", page_offer(), (), START)


def test_an_empty_call_has_nothing_to_do() -> None:
    steps: tuple[Step, ...] = (*call_of("a", "b"), Send("a", "audio", 3), Remove("a"), Remove("b"), Run(5.0))
    call = play(*steps)
    assert call.router.handle_timeout(call.now) == []
    assert call.router.next_deadline == float("inf")
