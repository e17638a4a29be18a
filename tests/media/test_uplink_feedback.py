"""What a sender is told of its uplink, on virtual time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import inf
from random import Random

import aiortc.rtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.router import Router, SendRtcp
from media.rtcp import MAX_STATUSES, TransportFeedback, encode_compound, parse_compound
from media.rtp import HEADER, Ssrc, extension_block
from media.sdp import EXTENSION_SEND_TIME, Offer
from media.uplink_feedback import CAP_BPS, FLOOR_BPS, MAX_ARRIVED, UplinkEstimate, UplinkFeedback
from tests.link import Conditions, Link
from tests.media.call_scenario import audio_section, offer_of, video_section

PACKET_BYTES = 1_000
SEND_TIME_ID = 9
NUMBERS = st.integers(0, 0xFFFF)


def numbered(packet: TransportFeedback) -> list[tuple[int, float | None]]:
    return [((packet.first + place) & 0xFFFF, arrived) for place, arrived in enumerate(packet.arrivals)]


def told(feedback: UplinkFeedback, *numbers: int, at: float = 1.0) -> list[list[tuple[int, bool]]]:
    """Numbers that arrive a millisecond apart; what each feedback then says of whom."""
    for index, number in enumerate(numbers):
        feedback.handle_arrival(number, 1_000, at + index / 1_000)
    return [
        [(number, arrived is not None) for number, arrived in numbered(packet)]
        for packet in feedback.handle_timeout(at + 1)
    ]


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        pytest.param([[5, 6]], [[[(5, True), (6, True)]]], id="what arrived"),
        pytest.param([[5], [7]], [[[(5, True)]], [[(6, False), (7, True)]]], id="what did not"),
        pytest.param([[6, 5]], [[[(5, True), (6, True)]]], id="in the order of the numbers, not of arrival"),
        pytest.param([[65_535], [1]], [[[(65_535, True)]], [[(0, False), (1, True)]]], id="across the wrap"),
        pytest.param(
            [[5, 7], [8, 6]],
            [[[(5, True), (6, False), (7, True)]], [[(6, True)], [(8, True)]]],
            id="a late one in a packet of its own",
        ),
        pytest.param([[5, 5]], [[[(5, True)]]], id="a repeated one once"),
        pytest.param([[5], [3_000]], [[[(5, True)]], [[(3_000, True)]]], id="a new beginning untold"),
    ],
)
def test_each_number_is_told_of(
    batches: list[list[int]], expected: list[list[list[tuple[int, bool]]]]
) -> None:
    feedback = UplinkFeedback(ssrc=Ssrc(1))
    assert [told(feedback, *batch, at=1.0 + 2 * index) for index, batch in enumerate(batches)] == expected


def test_what_is_told_names_both_ends_and_counts_on() -> None:
    feedback = UplinkFeedback(ssrc=Ssrc(1))
    feedback.media_ssrc = Ssrc(7)
    packets = []
    for index in range(300):
        feedback.handle_arrival(index, 1_000, index * 1.0)
        packets += feedback.handle_timeout(index * 1.0 + 0.5)
    assert {(packet.ssrc, packet.media_ssrc) for packet in packets} == {(1, 7)}
    assert [packet.feedback_count for packet in packets] == [index % 256 for index in range(300)]


def test_more_than_fits_a_datagram_goes_in_several() -> None:
    feedback = UplinkFeedback(ssrc=Ssrc(1))
    for number in range(3 * MAX_ARRIVED):
        feedback.handle_arrival(number, 1_000, 1.0 + (number * 7 % 5) / 10)
    packets = feedback.handle_timeout(2.0)
    assert [len(packet.arrivals) for packet in packets] == 3 * [MAX_ARRIVED]
    assert all(len(encode_compound([packet])) <= 1_200 for packet in packets)


def intervals(*, packets_a_second: int, size_bytes: int) -> tuple[list[float], int, int]:
    """Between feedbacks in ten seconds; the bytes of their datagrams on the wire; and what arrived."""
    feedback = UplinkFeedback(ssrc=Ssrc(1))
    times: list[float] = []
    spent = 0
    for index in range(10 * packets_a_second):
        now = index / packets_a_second
        while feedback.next_deadline <= now:
            due = feedback.next_deadline
            for packet in feedback.handle_timeout(due):
                spent += 28 + 18 + len(encode_compound([packet]))
                times.append(due)
        feedback.handle_arrival(index & 0xFFFF, size_bytes, now)
    steps = [later - sooner for sooner, later in pairwise(times)]
    return steps[5:], spent, 10 * packets_a_second * size_bytes


@pytest.mark.parametrize(
    ("packets_a_second", "size_bytes", "expected_s"),
    [
        pytest.param(1_000, 1_000, 0.05, id="8 Mbit/s: as soon as ever"),
        pytest.param(200, 1_000, 0.08, id="1.6 Mbit/s: sixteen packets"),
        pytest.param(100, 500, 0.1, id="400 kbit/s: a tenth of a second"),
    ],
)
def test_what_arrives_says_how_often_it_is_told(
    packets_a_second: int, size_bytes: int, expected_s: float
) -> None:
    steps, spent, arrived = intervals(packets_a_second=packets_a_second, size_bytes=size_bytes)
    assert sum(steps) / len(steps) == pytest.approx(expected_s, rel=0.15)
    assert spent <= 0.05 * arrived


@pytest.mark.parametrize(("packets_a_second", "size_bytes"), [(60, 350), (100, 300), (60, 500)])
def test_a_narrow_way_is_not_filled_with_feedback(packets_a_second: int, size_bytes: int) -> None:
    steps, spent, arrived = intervals(packets_a_second=packets_a_second, size_bytes=size_bytes)
    assert min(steps) >= 0.05
    assert max(steps) <= 0.251
    assert spent <= 0.055 * arrived


def test_the_sender_of_almost_nothing_is_told_four_times_a_second() -> None:
    steps, _, _ = intervals(packets_a_second=20, size_bytes=100)
    assert sum(steps) / len(steps) == pytest.approx(0.25, rel=0.05)


def test_the_rate_is_that_of_late_and_ends_with_the_stream() -> None:
    feedback = UplinkFeedback(ssrc=Ssrc(1))
    for index in range(600):
        now = index / 200
        feedback.handle_arrival(index, 1_250, now)
        feedback.handle_timeout(now)
    assert feedback.bitrate_bps == pytest.approx(2_000_000, rel=0.05)
    feedback.handle_timeout(feedback.next_deadline)
    for _ in range(20):
        if feedback.next_deadline < inf:
            assert feedback.handle_timeout(feedback.next_deadline) == []
    assert (feedback.bitrate_bps, feedback.next_deadline) == (0, inf)


def test_nothing_is_due_before_anything_arrived() -> None:
    feedback = UplinkFeedback(ssrc=Ssrc(1))
    assert (feedback.handle_timeout(1e9), feedback.next_deadline) == ([], inf)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.integers(0, 20_000), st.booleans()), max_size=60))
def test_any_numbers_at_any_time_are_told_in_packets_that_can_be_read(
    steps: list[tuple[int, int, bool]],
) -> None:
    feedback = UplinkFeedback(ssrc=Ssrc(1))
    now = 0.0
    arrived: list[int] = []
    packets: list[TransportFeedback] = []
    for number, milliseconds, asks in steps:
        now += milliseconds / 1_000
        feedback.handle_arrival(number, 100, now)
        arrived.append(number)
        if asks:
            packets += feedback.handle_timeout(now)
    packets += feedback.handle_timeout(now + 1)
    said = [number for packet in packets for number, at in numbered(packet) if at is not None]
    assert set(said) == set(arrived)
    for packet in packets:
        (read,) = parse_compound(encode_compound([packet]))
        assert isinstance(read, TransportFeedback)
        assert len(packet.arrivals) <= MAX_STATUSES
        assert (read.first, len(read.arrivals)) == (packet.first, len(packet.arrivals))


class Uplink:
    """A sender that does as it is told, 50 ms later, behind a queue of at most 200 ms, on virtual time."""

    def __init__(self, *, asks_bps: float = 2_000_000, jitter_s: float = 0.0) -> None:
        self.estimate = UplinkEstimate()
        self.asks_bps = asks_bps
        self.allowed_bps = 300_000.0
        self.now = 1_000.0
        self.delivered: list[tuple[float, float]] = []  # (time, queue delay)
        self._link_free_at = 0.0
        self._told: list[tuple[float, float]] = []
        self._arriving: list[tuple[float, float]] = []
        self._random = Random(6)
        self._jitter_s = jitter_s

    def run(self, seconds: float, *, link_bps: float) -> None:
        end = self.now + seconds
        while self.now < end:
            while self._told and self._told[0][0] <= self.now:
                self.allowed_bps = self._told.pop(0)[1]
            wait = max(self._link_free_at - self.now, 0.0)
            if wait <= 0.2:
                self._link_free_at = self.now + wait + 8 * PACKET_BYTES / link_bps
                jitter = self._random.random() * self._jitter_s
                self._arriving.append((self._link_free_at + 0.04 + jitter, self.now))
                self.delivered.append((self.now, wait))
            self.now += 8 * PACKET_BYTES / min(self.allowed_bps, self.asks_bps)
            self._arriving.sort()
            while self._arriving and self._arriving[0][0] <= self.now:
                arrived, sent = self._arriving.pop(0)
                self.estimate.handle_packet(sent % 64, PACKET_BYTES, arrived)  # abs-send-time wraps at 64 s
                told = self.estimate.handle_timeout(arrived)
                if told is not None:
                    self._told.append((arrived + 0.05, float(told)))

    def rate_bps(self, *, last_s: float) -> float:
        since = self.now - last_s
        return 8 * PACKET_BYTES * sum(at >= since for at, _ in self.delivered) / last_s

    def queue_p95_s(self, *, last_s: float) -> float:
        since = self.now - last_s
        waits = sorted(wait for at, wait in self.delivered if at >= since)
        return waits[int(0.95 * len(waits))]


@pytest.mark.parametrize("link_bps", [300_000, 700_000, 1_500_000])
def test_a_sender_that_heeds_the_estimate_finds_what_the_link_carries(link_bps: int) -> None:
    uplink = Uplink()
    uplink.run(40, link_bps=link_bps)
    assert uplink.rate_bps(last_s=20) >= 0.8 * link_bps
    assert uplink.queue_p95_s(last_s=20) <= 0.15


def test_a_link_that_breaks_in_is_followed_at_once_and_again_when_it_mends() -> None:
    uplink = Uplink()
    uplink.run(20, link_bps=1_800_000)
    uplink.run(3, link_bps=200_000)
    assert uplink.allowed_bps <= 220_000
    uplink.run(20, link_bps=200_000)
    assert uplink.queue_p95_s(last_s=10) <= 0.15
    uplink.run(25, link_bps=1_800_000)
    assert uplink.rate_bps(last_s=2) >= 1_000_000


def test_jitter_without_a_queue_takes_nothing() -> None:
    uplink = Uplink(asks_bps=600_000, jitter_s=0.05)
    uplink.run(60, link_bps=5_000_000)
    assert uplink.rate_bps(last_s=40) >= 0.9 * 600_000


@pytest.mark.parametrize(("most_queue_s", "is_raised"), [(0.1, False), (0.0, True)])
def test_nothing_more_is_allowed_while_a_queue_stands(most_queue_s: float, is_raised: bool) -> None:
    """It grows for twelve seconds, too slowly for a slope; then more arrives than ever did."""
    estimate = UplinkEstimate()
    told: dict[bool, int] = {}
    for index in range(2_000):
        sent = index / 100
        arrived = sent + 0.04 + most_queue_s * min(sent / 12, 1)
        has_more = sent >= 15
        estimate.handle_packet(sent, 2_000 if has_more else 500, arrived)
        bitrate_bps = estimate.handle_timeout(arrived)
        if bitrate_bps is not None:
            told[has_more] = bitrate_bps
    assert (told[True] > told[False]) == is_raised


def test_who_sends_little_is_not_told_to_send_less() -> None:
    uplink = Uplink()
    uplink.run(20, link_bps=5_000_000)
    told = uplink.estimate.bitrate_bps
    uplink.asks_bps = 100_000
    uplink.run(20, link_bps=5_000_000)
    assert uplink.estimate.bitrate_bps >= told


def test_nothing_is_told_of_a_sender_that_is_silent() -> None:
    estimate = UplinkEstimate()
    assert (estimate.handle_timeout(1e9), estimate.next_deadline) == (None, inf)
    estimate.handle_packet(0.0, 100, 1.0)
    while estimate.next_deadline < inf:
        due = estimate.next_deadline
        estimate.handle_timeout(due)
        assert due < estimate.next_deadline
    assert estimate.handle_timeout(1e9) is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e9, 1e9), st.integers(0, 65_535), st.integers(0, 3_000), st.booleans()),
        max_size=80,
    )
)
def test_whatever_times_a_sender_claims_the_estimate_keeps_its_bounds(
    steps: list[tuple[float, int, int, bool]],
) -> None:
    estimate = UplinkEstimate()
    now = 0.0
    for sent, size_bytes, milliseconds, asks in steps:
        now += milliseconds / 1_000
        estimate.handle_packet(sent, size_bytes, now)
        told = estimate.handle_timeout(now) if asks else None
        assert told is None or FLOOR_BPS <= told <= CAP_BPS
        assert FLOOR_BPS <= estimate.bitrate_bps <= CAP_BPS


def timed_offer() -> Offer:
    """Of a page that says when each packet left, and takes an estimate (draft-alvestrand-rmcat-remb-03)."""
    camera = video_section("1", sends=True, receives=False, feedback=("nack", "nack pli", "goog-remb"))
    extensions = (*camera.header_extensions, (EXTENSION_SEND_TIME, SEND_TIME_ID))
    sound = audio_section("0", sends=True, receives=False, numbered=True)  # as in Safari's manner
    return offer_of(sound, replace(camera, header_extensions=extensions))


def remb_told(capacity_bps: float, *, sent_bps: float, says_when: bool = True) -> list[tuple[float, int]]:
    """What a sender on such an uplink is told by a router in twenty seconds, as aiortc reads it, and when."""
    router = Router(random32=partial(Random(1).getrandbits, 32))
    router.add_peer("a", timed_offer(), (), 0.0)
    uplink = Link(Conditions(rate_bps=capacity_bps, delay_s=0.04, queue_s=0.5), seed=1)
    arrivals: list[tuple[float, bytes]] = []
    apart_s = PACKET_BYTES * 8 / sent_bps
    for place in range(round(20 / apart_s)):
        sent = 50 + place * apart_s  # the clock of 24 bits wraps underway
        when = (round(sent * (1 << 18)) & 0xFF_FFFF).to_bytes(3)
        block = extension_block(bytes([SEND_TIME_ID << 4 | 2]) + when) if says_when else b""
        head = HEADER.pack(0x90 if says_when else 0x80, 96, place & 0xFFFF, place * 900, 77)
        arrivals += uplink.handle_datagram(head + block + bytes(PACKET_BYTES), sent)
    told = []
    for now, packet in arrivals:
        while router.next_deadline <= now:
            at = router.next_deadline
            for output in router.handle_timeout(at):
                assert isinstance(output, SendRtcp)
                for theirs in aiortc.rtp.RtcpPacket.parse(output.compound):
                    if isinstance(theirs, aiortc.rtp.RtcpPsfbPacket) and theirs.fmt == 15:
                        bitrate_bps, ssrcs = aiortc.rtp.unpack_remb_fci(theirs.fci)
                        assert ssrcs == [77]
                        told.append((at - 50, bitrate_bps))
        router.handle_rtp("a", packet, now)
    return told


def test_who_says_when_packets_leave_is_told_what_the_uplink_carries() -> None:
    narrow = remb_told(400_000, sent_bps=800_000)
    assert min(bitrate_bps for _, bitrate_bps in narrow) < 400_000
    assert next(at for at, bitrate_bps in narrow if bitrate_bps < 450_000) < 2, "at once"
    wide = remb_told(4_000_000, sent_bps=800_000)
    assert wide[-1][1] > 1_000_000
    assert 15 <= len(wide) <= 25, "once a second"


def test_who_does_not_say_when_is_told_nothing() -> None:
    assert remb_told(400_000, sent_bps=800_000, says_when=False) == []


def test_a_send_time_of_another_length_is_none() -> None:
    router = Router(random32=partial(Random(1).getrandbits, 32))
    router.add_peer("a", timed_offer(), (), 0.0)
    for place in range(100):
        block = extension_block(bytes([SEND_TIME_ID << 4 | place % 2]) + bytes(1 + place % 2))
        router.handle_rtp("a", HEADER.pack(0x90, 96, place, place, 77) + block, place / 50)
    assert not [one for one in router.handle_timeout(1.9) if b"REMB" in getattr(one, "compound", b"")]
