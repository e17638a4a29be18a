"""Receivers with networks of their own, in a call: what each gets, and what none of it does to the others."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import inf

import pytest

from media.allocation import LayerRate
from media.downlink import Copy, Downlink
from media.forwarder import Part
from media.pacer import MAX_WAITING_BYTES
from media.rtcp import (
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    TransportFeedback,
    encode_compound,
)
from media.rtp import PADDING, Ssrc, header_size, rtp_timestamp_of
from tests.link import Conditions, Link
from tests.media.call_scenario import START, Admit, Join, Remove, Run, offer_of, page_offer
from tests.media.leg_scenario import (
    Do,
    Expect,
    Film,
    NetworkedCall,
    Shape,
    Talk,
    filmed,
    play,
    with_network,
)
from tests.media.test_layers import forwarder, stream

WAY_S = 0.04  # of an idle link
UNDER_WAY = 2  # packets of sound


def pictures_left(call: NetworkedCall, peer_id: str, *, since: float = 0) -> list[tuple[float, bytes]]:
    """Packets of pictures that left for a page, without repairs, and when."""
    ssrc = call.ssrc_of_slot(peer_id, 0, "video")
    return [
        (one.now, one.packet[header_size(one.packet) :])
        for one in call.pages[peer_id].left
        if one.ssrc == ssrc and one.now >= since
    ]


def wish(call: NetworkedCall) -> None:
    ssrc = call.ssrc_of_slot("b", 0, "video")
    call.say("b", PictureLossIndication(ssrc=Ssrc(1), media_ssrc=ssrc))


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_network_that_loses_bursts_gets_the_best(seed: int) -> None:
    def lose_bursts(call: NetworkedCall) -> None:
        call.page("b").link = Link(Conditions(delay_s=WAY_S, loss=0.1, mean_burst=5), seed=seed)

    call = play(*filmed("b"), Do(lose_bursts), Run(25))
    call.run(15)
    assert call.rids("b", last_s=15) == {"high"}


def test_sound_never_waits() -> None:
    call = play(*filmed("b"), Shape("b", with_network(300_000)), Run(10))
    ssrc = call.ssrc_of_slot("b", 0, "audio")
    waited: dict[int, float] = {}
    for one in call.pages["b"].left:
        if one.ssrc == ssrc:
            said_us = int.from_bytes(one.packet[header_size(one.packet) :][1:9])
            waited.setdefault(said_us, one.now - said_us / 1e6)
    assert len(waited) > 450
    assert max(waited.values()) < 1e-5


def test_a_keyframe_does_not_delay_sound() -> None:
    """Of a receiver that says how much it wants, so that no estimate moves meanwhile."""

    def limit(call: NetworkedCall) -> None:
        call.say("b", ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=220_000, ssrcs=()))

    steps = [step for _ in range(8) for step in (Do(limit), Run(1), Do(wish), Run(1))]
    call = play(*filmed("b", numbered=False), Shape("b", with_network(300_000)), *steps)
    keys = [when for when, payload in pictures_left(call, "b", since=START + 6) if b" key>" in payload]
    assert len(keys) >= 4
    # A packet of a picture takes 30 ms of such a link, a keyframe at once 90 ms and more.
    assert call.sound_delays_s("b", since=START + 6)[-1] < WAY_S + 0.05


@pytest.mark.parametrize("rate_bps", [300_000, 100_000])
def test_a_weak_viewer_lowers_neither_the_recording_nor_another_viewer(rate_bps: int) -> None:
    call = play(*filmed("b", "c"), Shape("c", with_network(rate_bps)), Run(15))
    assert set(call.kept_rids("a")) == {"high"}
    assert call.rids("b", last_s=14) == {"high"}
    alone = play(*filmed("b"), Run(15))
    assert len(pictures_left(call, "b")) >= 0.98 * len(pictures_left(alone, "b")), "all its layers"
    assert call.rate_bps("c", last_s=8) < 0.7 * rate_bps, "or c is no weak viewer"


def test_a_weak_viewer_gets_what_its_network_carries() -> None:
    call = play(*filmed("b", "c"), Shape("c", with_network(300_000)), Run(20))
    use = (call.rate_bps("c", last_s=8) + 64_000) / 300_000
    assert call.rids("c", last_s=8) == {"low"}
    assert use >= 0.6


@pytest.mark.parametrize(("rate_bps", "most"), [(100_000, 2), (150_000, 1), (300_000, 3), (700_000, 3)])
def test_a_weak_viewer_hardly_ever_changes_what_a_camera_is_told(rate_bps: int, most: int) -> None:
    """Each change costs the recording some of its bits, in libwebrtc (`EncodingPlan`)."""
    call = play(*filmed("b"), Shape("b", with_network(rate_bps)), Run(15))
    changes, orders = 0, call.router.encodings("a")
    for _ in range(300):
        call.run(0.1)
        changes += call.router.encodings("a") != orders
        orders = call.router.encodings("a")
    assert changes <= most


def test_who_sees_the_best_whole_with_little_to_spare_takes_little_of_its_uplink() -> None:
    call = play(*filmed("b"), Shape("b", with_network(1_700_000)), Run(20))
    assert call.rids("b", last_s=5) == {"high"}
    low, _, high = (order.max_bitrate_bps for order in call.router.encodings("a"))
    assert low < 0.4 * call.rate_bps("b", last_s=5) < high


def test_the_full_picture_comes_back_with_the_network() -> None:
    play(
        *filmed("b"),
        Shape("b", with_network(2_000_000)),
        Run(8),
        Expect("the best is seen", lambda call: call.rate_bps("b", "<high", last_s=3) > 1_000_000),
        Shape("b", with_network(150_000)),
        Run(10),
        Expect("what fits", lambda call: call.rate_bps("b", last_s=3) < 120_000),
        Expect("and no more is lost", lambda call: not call.pages["b"].missing),
        Shape("b", with_network(2_000_000)),
        Run(8),
        Expect("as much as before", lambda call: call.rate_bps("b", last_s=2) > 1_000_000),
        Run(8),
        Expect("the best again", lambda call: "high" in call.rids("b", last_s=9)),
    )


def has_moved(call: NetworkedCall) -> None:
    call.router.handle_move("b", call.now)


@pytest.mark.parametrize("dark_s", [0.1, 0.25, 0.8])
@pytest.mark.parametrize("rate_bps", [None, 2_000_000, 700_000, 300_000])
def test_a_move_costs_the_pictures_that_it_lost_and_no_more(rate_bps: float | None, dark_s: float) -> None:
    network = with_network(rate_bps)
    call = play(*filmed("b"), Shape("b", network), Run(10))
    seen, before_bps = call.rids("b", last_s=2), call.router.leg("b").received_estimate_bps
    went_dark = call.now
    for step in (Shape("b", Conditions(loss=1.0)), Run(dark_s), Shape("b", network), Do(has_moved)):
        step.play(call)
    least_bps = before_bps
    for _ in range(30):
        Run(0.1).play(call)
        least_bps = min(least_bps or 0, call.router.leg("b").received_estimate_bps or 0)
    assert before_bps and least_bps and least_bps >= 0.4 * before_bps, "repairs, too, fill a narrow network"
    came = [went_dark, *(one.now for one in call.seen_in("b") if one.now > went_dark + dark_s)]
    assert max(after - before for before, after in pairwise(came)) <= dark_s + 0.2
    assert seen <= call.rids("b", last_s=2.9)


@pytest.mark.parametrize("dark_s", [0.25, 0.8])
def test_a_network_that_is_gone_for_a_moment_costs_the_pictures_of_that_moment(dark_s: float) -> None:
    call = play(*filmed("b"), Run(10))
    went_dark = call.now
    for step in (Shape("b", Conditions(loss=1.0)), Run(dark_s), Shape("b", with_network(None)), Run(3)):
        step.play(call)
    came = [went_dark, *(one.now for one in call.seen_in("b") if one.now > went_dark + dark_s)]
    assert max(after - before for before, after in pairwise(came)) <= dark_s + 0.15
    assert call.rids("b", last_s=2.9) == {"high"}


def test_who_moves_all_the_time_hides_nothing_of_what_they_lose() -> None:
    """Two addresses that are both in use: each packet comes from the other one."""
    steps = (step for _ in range(500) for step in (Do(has_moved), Run(0.02)))
    call = play(*filmed("b"), Shape("b", with_network(300_000)), *steps)
    assert (call.router.leg("b").received_estimate_bps or 0) < 500_000
    assert call.rids("b", last_s=2) <= {"low"}


def fallen(phase_s: float, *, to_bps: float = 150_000) -> NetworkedCall:
    """A viewer's network that falls at another moment of the camera's pictures, and what comes of it."""
    good = with_network(2_000_000)
    return play(*filmed("b"), Shape("b", good), Run(12 + phase_s), Shape("b", with_network(to_bps)), Run(10))


@pytest.mark.parametrize("phase_s", [0, 0.03, 0.05, 0.08])
def test_a_network_that_collapses_costs_the_voice_half_a_second(phase_s: float) -> None:
    """Its queue is full before anybody can know; repairs of what it dropped do not fill it again."""
    call = fallen(phase_s)
    fell = START + 12 + phase_s
    in_time = [delay for delay in call.sound_delays_s("b", since=fell) if delay < 0.35]
    assert len(in_time) >= 10 / 0.02 - 25
    repairs = call.slots["b"][0].repair_ssrc
    sent_again = [
        one.packet for one in call.pages["b"].left if one.ssrc == repairs and fell < one.now < fell + 2
    ]
    assert sum(len(packet) for packet in sent_again) < 0.2 * 2 * 150_000 / 8


@pytest.mark.parametrize("bitrate_bps", [1_000_000, 1_500_000, 1_900_000])
def test_whenever_a_network_collapses_it_costs_the_voice_a_third_of_a_second(bitrate_bps: int) -> None:
    """In a full queue, or behind one that has just been answered, what is left is seen as soon."""
    lost: list[int] = []
    for moment in range(15):
        fell = START + 8 + 0.014 * moment
        call = play(
            *(step if not isinstance(step, Film) else Film("a", bitrate_bps) for step in filmed("b")),
            Shape("b", with_network(2_000_000)),
            Run(fell - START),
            Shape("b", with_network(150_000)),
            Run(2),
        )
        in_time = [delay for delay in call.sound_delays_s("b", since=fell) if delay < 0.35]
        lost.append(round(2 / 0.02) - UNDER_WAY - len(in_time))
    assert max(lost) <= 15, lost


@pytest.mark.parametrize("phase_s", [0, 0.03, 0.05, 0.08])
def test_pictures_that_do_not_fit_stop_within_a_third_of_a_second(phase_s: float) -> None:
    """A round trip and two feedbacks; they wait as soon as a collapse is suspected."""
    call = fallen(phase_s)
    fell = START + 12 + phase_s
    left = [payload for when, payload in pictures_left(call, "b", since=fell + 0.3) if when < fell + 0.6]
    assert sum(map(len, left)) < 0.3 * 150_000 / 8


@pytest.mark.parametrize("phase_s", [0, 0.03, 0.05, 0.08])
def test_a_lesser_picture_moves_within_two_seconds_of_a_collapse(phase_s: float) -> None:
    """It begins with the keyframe that its encoder makes anyway when it is told to begin."""
    call = fallen(phase_s)
    fell = START + 12 + phase_s
    lesser = [one.now - fell for one in call.seen_in("b", last_s=10) if b"<low" in one.payload]
    assert lesser[0] < 1.3
    assert max(later - sooner for sooner, later in pairwise(lesser)) < 0.5


@pytest.mark.parametrize(("late", "within_s"), [(0, 3), (7, 6)])
def test_what_waits_of_an_encoding_that_is_left_is_dropped(late: int, within_s: float) -> None:
    """Also if some of what waits was late itself, as it was repaired: `play` looks at all numbers."""
    film = [step if not isinstance(step, Film) else Film("a", late=late) for step in filmed("b", "c")]
    call = play(*film, Shape("b", with_network(2_000_000)), Run(6), Shape("b", with_network(150_000)), Run(8))
    left = pictures_left(call, "b", since=START + 6)
    switched = next(when for when, payload in left if b"<low key>" in payload)
    assert not [when for when, payload in left if b"<high" in payload and switched < when < switched + 2]
    assert switched < START + 6 + within_s


def test_stills_come_one_after_the_other() -> None:
    call = play(*filmed("b", "c"), Shape("b", with_network(85_000)), Run(24))
    assert call.router.slots("b")[0].picture == "stills"
    left = pictures_left(call, "b", since=START + 12)
    assert left and all(b" key>" in payload for _, payload in left), "whole keyframes alone"
    begun = [
        when
        for place, (when, payload) in enumerate(left)
        if payload[0] & 0x10 and (place == 0 or when > left[place - 1][0])
    ]
    assert len(begun) >= 2
    assert all(later - earlier >= 3.9 for earlier, later in pairwise(begun))
    assert call.rids("c", last_s=28) == {"high"}


def test_a_receiver_without_feedback_is_sent_everything() -> None:
    call = play(*filmed("b", numbered=False), Shape("b", with_network(300_000)), Run(5))
    unlimited = play(*filmed("b", numbered=False), Run(5))
    pictures = [payload for _, payload in pictures_left(unlimited, "b") if b" key>" not in payload]
    assert [payload for _, payload in pictures_left(call, "b") if b" key>" not in payload][:100] == pictures[
        :100
    ]
    assert call.rids("b", last_s=4) == {"high"}
    assert call.router.leg("b").received_estimate_bps is None


@pytest.mark.parametrize("bitrate_bps", [0, 1 << 63])
@pytest.mark.parametrize("numbered", [True, False])
def test_no_limit_that_a_receiver_names_is_kept_for_ever(bitrate_bps: int, numbered: bool) -> None:
    """Of itself it may say what it likes, of others nothing (draft-alvestrand-rmcat-remb-03 §2.2)."""

    def limit(call: NetworkedCall) -> None:
        named = ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=bitrate_bps, ssrcs=())
        call.say("b", named)

    film = [
        Join("b", offer_of(*page_offer(numbered=numbered, rtx=True).sections[2:]))
        if step == Join("b")
        else step
        for step in filmed("b", "c", numbered=numbered)
    ]
    play(
        *film,
        Run(4),
        *(step for _ in range(4) for step in (Do(limit), Run(1))),
        Expect(
            "it sees no more than it says", lambda call: bitrate_bps > 0 or call.rate_bps("b", last_s=1) < 5e4
        ),
        Run(25 if numbered else 70),
        Expect("it sees all of it", lambda call: call.rate_bps("b", last_s=2) > 1_000_000),
        Expect("c always did", lambda call: call.rids("c", last_s=25) == {"high"}),
    )


def forge(call: NetworkedCall, count: int) -> None:
    """Of what was sent and what was not; times that leap, run backwards and contradict each other."""
    numbers = range(count * 37, count * 37 + 90)
    for offset in (0, 1):
        arrivals = tuple(
            None if (number + count) % 3 == offset else (number * 7919 % 1000) / 130 for number in numbers
        )
        forged = TransportFeedback(
            ssrc=Ssrc(1),
            media_ssrc=Ssrc(2),
            feedback_count=count * 5 & 0xFF,
            first=numbers[0] & 0xFFFF,
            arrivals=arrivals,
        )
        call.perform(call.router.handle_rtcp("c", encode_compound([forged]), call.now))


def test_what_one_receiver_forges_changes_nothing_for_another() -> None:
    def storm(call: NetworkedCall) -> None:
        for count in range(400):
            call.at(call.now + count * 0.03, partial(forge, call, count))

    honest = play(*filmed("b", "c"), Run(12))
    forged = play(*filmed("b", "c"), Do(storm), Run(12))
    assert forged.rids("b", last_s=11) == {"high"}
    assert set(forged.kept_rids("a")) == {"high"}
    usual, got = (
        [payload for _, payload in pictures_left(call, "b") if b" key>" not in payload]
        for call in (honest, forged)
    )
    assert len(got) >= 0.95 * len(usual)


@pytest.mark.parametrize(("bitrate_bps", "is_borne"), [(2_000_000, True), (100_000, False)])
def test_redundancy_of_sound_is_borne_by_a_wide_network_alone(bitrate_bps: int, is_borne: bool) -> None:
    """Where the network is narrow, what would repair its losses is what causes them."""

    def report(call: NetworkedCall) -> None:
        block = ReportBlock(
            ssrc=call.ssrc_of_slot("b", 0, "audio"),
            fraction_lost=77,
            packets_lost=50,
            highest_sequence_number=1,
            jitter=0,
            last_sender_report=0,
            delay_since_last_sender_report=0,
        )
        call.say("b", ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=bitrate_bps, ssrcs=()))
        call.say("b", ReceiverReport(ssrc=Ssrc(1), blocks=(block,)))

    call = play(
        Join("a", page_offer()),
        Join("b", page_offer(red=63)),
        Admit("a"),
        Admit("b"),
        Talk("a"),
        Run(1),
        Do(report),
        Run(1),
    )
    ssrc = call.ssrc_of_slot("b", 0, "audio")
    newest = [one.packet for one in call.pages["b"].left if one.ssrc == ssrc][-1]
    assert (newest[1] & 0x7F == 63) == is_borne


def test_who_is_watched_may_leave_in_the_middle_of_a_probe() -> None:
    call = play(*filmed("b"), Shape("b", with_network(2_000_000)))
    while not any(one.packet[0] & PADDING for one in call.pages["b"].left):
        call.run(0.001)
    assert call.now < START + 5
    Remove("a").play(call)
    del call.cameras["a"]
    wakes = 0
    end = call.now + 1.0
    while call.router.next_deadline < end:
        call.now = max(call.now, call.router.next_deadline)
        call.perform(call.router.handle_timeout(call.now))
        wakes += 1
        assert wakes < 100, "the router is woken for what will never leave"


@pytest.mark.parametrize("rtx", [True, False])
@pytest.mark.parametrize("late", [0, 5, 30])
def test_a_picture_that_was_left_and_taken_again_has_no_number_twice(late: int, rtx: bool) -> None:
    """A network that comes and goes and loses some, and a sender whose packets come in disorder. A receiver
    without retransmissions of their own is sent the same again, to the byte.
    """
    networks = [
        step
        for rate_bps in (2_000_000, 60_000, 700_000, 90_000, 2_000_000, 40_000, 3_000_000)
        for step in (Shape("b", with_network(rate_bps, loss=0.03)), Run(3))
    ]
    steps = filmed("b", "c", rtx=rtx)
    call = play(*(Film("a", late=late) if isinstance(step, Film) else step for step in steps), *networks)
    if rtx:  # else nothing can be probed
        assert call.rids("c", last_s=20) == {"high"}


@pytest.mark.parametrize("counted", ["audio", "video"])
def test_a_section_that_is_not_counted_is_sent_as_it_is(counted: str) -> None:
    """As Firefox counts pictures alone, and Safari sound (tests/media/offers)."""
    sections = [
        all_counted if all_counted.kind == counted else plain
        for all_counted, plain in zip(
            page_offer(numbered=True, rtx=True).sections[2:], page_offer(rtx=True).sections[2:], strict=True
        )
    ]
    steps = [
        Join("b", offer_of(*sections)) if isinstance(step, Join) and step.peer_id == "b" else step
        for step in filmed("b")
    ]
    call = play(*steps, Run(5))
    assert {one.payload[:1] for one in call.seen_in("b", "audio")} == {b"\x78"}
    assert {one.payload[1:2] for one in call.seen_in("b")} == {b"\xe0"}
    assert len(call.seen_in("b", "audio")) > 240
    assert call.rids("b", last_s=4) == {"high"}, "of what is not counted nothing is concluded"


def test_who_sees_stills_and_asks_for_keyframes_gets_no_more_of_them() -> None:
    """Browsers ask when three seconds brought nothing to decode; each costs everybody a keyframe."""

    def asked(call: NetworkedCall) -> int:
        return len(call.told_of("a", PictureLossIndication))

    quiet = play(*filmed("b", "c"), Shape("b", with_network(85_000)), Run(26))
    wishes = [step for _ in range(16) for step in (Do(wish), Run(1))]
    asking = play(*filmed("b", "c"), Shape("b", with_network(85_000)), Run(10), *wishes)
    assert quiet.router.slots("b")[0].picture == asking.router.slots("b")[0].picture == "stills"
    assert asked(asking) <= asked(quiet) + 3


def test_limits_that_leap_cost_the_others_nothing() -> None:
    """A receiver says in turn, twenty times a second, that its network carries nothing and everything."""

    def leap(call: NetworkedCall, count: int) -> None:
        limit_bps = (0, 1 << 63)[count % 2]
        call.say("c", ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=limit_bps, ssrcs=()))

    def storm(call: NetworkedCall) -> None:
        for count in range(400):
            call.at(call.now + count * 0.05, partial(leap, call, count))

    call = play(*filmed("b", "c"), Run(4), Do(storm), Run(20))
    assert call.rids("b", last_s=20) == {"high"}
    assert set(call.kept_rids("a")) == {"high"}

    assert call.ordered.count("a") <= 10
    assert len(call.told_of("a", PictureLossIndication)) <= 8


def test_a_pause_drops_what_waits_of_the_last_still() -> None:
    """Else it would wait for the whole pause, beside a voice that fills the network, and be shown then."""
    call = play(*filmed("b", "c"), Shape("b", with_network(85_000)), Run(12))
    while not call.router.leg("b").waiting_s:
        call.run(0.05)
    assert call.router.slots("b")[0].picture == "stills"
    Shape("b", with_network(50_000)).play(call)
    while call.router.slots("b")[0].picture != "paused":
        call.run(0.05)
        assert call.now < START + 60
    assert call.router.leg("b").waiting_s == 0


def test_a_receiver_that_speaks_of_its_network_only_while_pictures_come_is_never_flooded() -> None:
    """REMB is made of what arrives: it stops with the pictures, and what was said counts no longer."""

    def say_what_comes(call: NetworkedCall) -> None:
        if call.seen_in("b", last_s=1.0):
            limit = ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=60_000, ssrcs=())
            call.say("b", limit)

    call = play(
        *filmed("b", numbered=False),
        Run(3),
        *(step for _ in range(60) for step in (Do(say_what_comes), Run(1))),
    )
    left = pictures_left(call, "b", since=START + 8)
    seconds = [0] * 60
    for when, packet in left:
        seconds[int(when - START)] += 8 * len(packet)
    assert max(seconds) < 150_000
    assert sum(second > 0 for second in seconds) >= 4, "it is tried again and again"


def test_a_full_pacer_drops_what_is_too_old_and_begins_again_with_a_keyframe() -> None:
    to, source = forwarder(), stream(1)
    downlink = Downlink("b", is_numbered=True, start_bps=30_000, now=10.0)
    copies: list[Copy] = []
    index, packet = source.next(10.0, key=True)
    to.begin(source.reception, index, int.from_bytes(packet[4:8]), 10.0)
    for _ in range(3 * MAX_WAITING_BYTES // len(packet)):
        rtp_timestamp = rtp_timestamp_of(packet)
        part = to.forward(source.reception, packet, index, rtp_timestamp, 12, 10.0)
        if part is None:
            break
        downlink.send_picture(copies, to, index, part, 10.0)
        index, packet = source.next(10.0)
    assert to.is_stopped, "nothing goes on that rests on what was dropped"
    assert downlink.pacer.waiting_bytes == 0
    assert downlink.next_review == 10.0
    sent = [int.from_bytes(head[2:4]) for _, head, _, _ in copies]
    index, packet = source.next(11.0, key=True)
    to.limit(None, stills=False)
    to.begin(source.reception, index, int.from_bytes(packet[4:8]), 11.0)
    assert to.next_sequence_number == (sent[-1] + 1) & 0xFFFF


def test_what_waits_for_a_moment_cuts_no_encoder_and_what_waits_longer_does() -> None:
    """Behind each keyframe something waits: an encoder that is told of it leaves out pictures."""
    downlink = Downlink("b", is_numbered=True, start_bps=200_000, now=10.0)
    watched = {"a": [LayerRate("low", 60_000, (36_000, 48_000, 60_000), False)]}
    part: Part = (bytes(12), bytes(1000), 0)

    def shares(count: int, now: float) -> int:
        for index in range(count):
            downlink.pacer.queue((forwarder(), None, index, part, 1_000, False), 1_000, now)
        downlink.choose(watched, now)
        return downlink.share_bps("a")

    alone_bps = shares(0, 10.0)
    assert shares(6, 10.0) == alone_bps, "a quarter of a second"
    assert shares(12, 10.0) < 0.95 * alone_bps


def test_an_encoder_is_cut_to_what_a_narrower_network_carries_and_no_deeper() -> None:
    call = play(*filmed("b"), Shape("b", with_network(300_000)), Run(20), Shape("b", with_network(200_000)))
    lowest, order_bps = inf, 0
    for _ in range(200):
        call.run(0.02)
        order_bps = call.router.encodings("a")[0].max_bitrate_bps
        lowest = min(lowest, order_bps)
    assert 100_000 < order_bps < 140_000
    assert lowest >= 0.85 * order_bps, "not while its queue drains, nor for what waits meanwhile"
