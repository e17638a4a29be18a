"""The journal of a sender: all that was admitted is in exactly one segment, whatever happens to the call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import red
from media.journal import (
    MAX_PARAMETERS_CHARACTERS,
    MAX_SEGMENT_BYTES,
    MAX_SEGMENT_S,
    MAX_STREAMS,
    Journal,
    Segment,
    SegmentStream,
    encode_segment,
)
from media.packet_history import Kept
from media.rtcp import Goodbye, SenderReport, encode_compound
from media.rtp import HEADER, Ssrc
from media.rtpdump import Record, parse_dump
from media.sdp import Codec, MediaSection
from tests.media.call_scenario import (
    CLOCK_ZERO_AT,
    INTERFRAME,
    SOUND,
    Admit,
    Join,
    Remove,
    Run,
    Send,
    SimulatedCall,
    Withdraw,
    audio_section,
    page_offer,
    play,
    video_section,
)

OPUS, RED, VP8, RTX = 111, 63, 96, 97
CAMERA_SSRCS = (0xCA3E, 0xCA3F)
SOUND_SSRC, PICTURE_SSRC = Ssrc(0xA), Ssrc(0xB)
MICROPHONE = audio_section("0", sends=True, receives=False)
CAMERA = video_section("1", sends=True, receives=False)


def packet_of(
    ssrc: int = SOUND_SSRC, number: int = 0, *, payload_type: int = 111, size_bytes: int = 40
) -> bytes:
    return HEADER.pack(0x80, payload_type, number & 0xFFFF, 0, ssrc) + bytes(size_bytes)


def report_of(ssrc: Ssrc) -> SenderReport:
    return SenderReport(ssrc=ssrc, ntp_timestamp=1 << 32, rtp_timestamp=5, packet_count=1, octet_count=1)


def journal_of(*, sections: Iterable[tuple[Ssrc, MediaSection]] = ((SOUND_SSRC, MICROPHONE),)) -> Journal:
    journal = Journal(clock_zero_at=CLOCK_ZERO_AT)
    for ssrc, section in sections:
        journal.handle_stream(ssrc, section, 0.0)
    return journal


def feed(journal: Journal, *arrivals: float, ssrc: int = SOUND_SSRC, payload_type: int = 111) -> list[Kept]:
    kept = [
        Kept(packet_of(ssrc, number, payload_type=payload_type), now) for number, now in enumerate(arrivals)
    ]
    for one in kept:
        journal.handle_packet(one)
    return kept


def arrivals_of(segment: Segment) -> list[float]:
    return [record.arrived for record in segment.records]


# When a segment ends.


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Packets at these times, then the timer at `now`: what it gives, by reason and number of packets."""

    claim: str
    arrivals: tuple[float, ...]
    now: float
    segments: list[tuple[str, int]]


def every(step_s: float, until_s: float) -> tuple[float, ...]:
    return tuple(number * step_s for number in range(round(until_s / step_s)))


ENDS = [
    Ends(claim="nothing is cut early", arrivals=(0.0, 0.5), now=1.4, segments=[]),
    Ends(claim="silence ends it", arrivals=(0.0, 0.5), now=1.5, segments=[("interrupted", 2)]),
    Ends(claim="five seconds end it", arrivals=every(0.5, 5), now=5.0, segments=[("full", 10)]),
    Ends(claim="not before they are over", arrivals=every(0.5, 5), now=4.9, segments=[]),
    Ends(
        claim="a late timer leaves what came too late open",
        arrivals=every(0.5, 7),
        now=7.0,
        segments=[("full", 11)],
    ),
    Ends(
        claim="a timer that is very late makes several",
        arrivals=every(0.5, 13),
        now=13.9,
        segments=[("full", 11), ("full", 11), ("interrupted", 4)],
    ),
]


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.claim)
def test_a_segment_ends(case: Ends) -> None:
    journal = journal_of()
    feed(journal, *case.arrivals)
    segments = journal.handle_timeout(case.now)
    assert [(one.reason, one.packets) for one in segments] == case.segments


def test_the_journal_says_when_it_wants_to_be_asked() -> None:
    journal = journal_of()
    assert journal.next_deadline == inf
    feed(journal, 10.0, 10.6)
    assert journal.next_deadline == 11.0
    assert journal.handle_timeout(11.0) == []
    assert journal.next_deadline == 11.6
    assert len(journal.handle_timeout(11.6)) == 1
    assert journal.next_deadline == inf


def test_a_mebibyte_is_cut_at_once_and_by_the_timer_alone() -> None:
    journal = journal_of()
    count = 0
    while not (journal.handle_packet(Kept(packet_of(number=count, size_bytes=1_200), 1.0)) and count):
        count += 1
    assert journal.next_deadline == 1.0
    assert MAX_SEGMENT_BYTES * 0.9 < count * 1_212 < MAX_SEGMENT_BYTES
    feed(journal, 1.0, 1.0)
    (segment,) = journal.handle_timeout(1.0)
    assert (segment.reason, segment.packets) == ("full", count + 1)
    assert [one.packets for one in journal.close("ended")] == [2]


def test_reports_count_for_the_size_too() -> None:
    journal = journal_of()
    feed(journal, 1.0)
    count = 0
    while not journal.handle_report(bytes(1_200), 1.0):
        count += 1
    assert count < MAX_SEGMENT_BYTES / 1_200
    assert journal.next_deadline == 1.0


def test_a_new_stream_ends_a_segment_and_a_crowd_of_them_no_more_than_one_a_second() -> None:
    journal = journal_of()
    for number in range(40):
        now = number / 10
        journal.handle_stream(Ssrc(100 + number), CAMERA, now)
        journal.handle_packet(Kept(packet_of(100 + number, payload_type=96), now))
    segments = journal.handle_timeout(3.9)
    assert [(one.reason, one.packets) for one in segments] == [("interrupted", 10)] * 3
    assert [one.packets for one in journal.close("ended")] == [10]


def test_a_report_that_comes_too_late_for_a_piece_is_in_none() -> None:
    journal = journal_of()
    feed(journal, 0.0, 4.5)
    journal.handle_report(b"in time", 5.0)
    journal.handle_report(b"too late", 5.1)
    feed(journal, 5.2)
    first, second = journal.close("ended")
    assert [(record.data if record.is_rtcp else b"", record.arrived) for record in first.records] == [
        (b"", 0.0),
        (b"", 4.5),
        (b"in time", 5.0),
    ]
    assert [record.arrived for record in second.records] == [5.2]


def test_sound_and_picture_that_begin_together_are_in_one_segment() -> None:
    journal = journal_of()
    feed(journal, 0.0, 0.02)
    journal.handle_stream(PICTURE_SSRC, CAMERA, 0.03)
    feed(journal, 0.03, ssrc=PICTURE_SSRC, payload_type=96)
    (segment,) = journal.close("ended")
    assert [(one.kind, one.packets) for one in segment.streams] == [("audio", 2), ("video", 1)]


def test_the_end_takes_all_that_is_left_and_nothing_twice() -> None:
    journal = journal_of()
    feed(journal, *every(0.5, 6))
    assert [(one.reason, one.packets) for one in journal.close("ended")] == [("full", 11), ("ended", 1)]
    assert journal.close("ended") == []


# What a segment says.


def test_a_segment_lists_what_came_in_order_with_the_reports_in_their_place() -> None:
    journal = journal_of()
    first, second = feed(journal, 10.0, 10.02)
    journal.handle_report(b"report", 10.05)
    journal.handle_report(b"another", 10.06)
    (third,) = feed(journal, 10.08)
    journal.handle_report(b"last", 10.5)
    (segment,) = journal.close("interrupted")
    assert [(record.arrived, record.is_rtcp, record.data) for record in segment.records] == [
        (10.0, False, first.data),
        (10.02, False, second.data),
        (10.05, True, b"report"),
        (10.06, True, b"another"),
        (10.08, False, third.data),
        (10.5, True, b"last"),
    ]
    assert (segment.began, segment.ended, segment.packets) == (10.0, 10.5, 3)
    assert segment.began_at == CLOCK_ZERO_AT + timedelta(seconds=10)
    assert segment.ended_at == CLOCK_ZERO_AT + timedelta(seconds=10.5)
    assert segment.size_bytes == sum(len(record.data) for record in segment.records)


def test_a_segment_is_encoded_with_the_time_of_each_record() -> None:
    journal = journal_of()
    (first,) = feed(journal, 10.0)
    journal.handle_report(b"report", 10.0504)
    (second,) = feed(journal, 10.1006)
    (segment,) = journal.close("ended")
    dump = parse_dump(encode_segment(segment))
    assert dump.began_at == segment.began_at
    assert dump.records == [
        Record(0, False, first.data),
        Record(50, True, b"report"),
        Record(101, False, second.data),
    ]


def test_a_report_without_a_packet_is_not_kept() -> None:
    journal = journal_of()
    assert journal.handle_report(b"early", 9.0) is False
    feed(journal, 10.0)
    journal.handle_report(b"kept", 10.1)
    (segment,) = journal.handle_timeout(11.0)
    journal.handle_report(b"late", 12.0)
    assert [record.data for record in segment.records if record.is_rtcp] == [b"kept"]
    assert journal.next_deadline == inf
    assert journal.close("ended") == []


def test_a_late_timer_gives_each_report_to_the_segment_of_its_time() -> None:
    journal = journal_of()
    feed(journal, *every(0.5, 5.5))
    journal.handle_report(b"before", 5.0)
    journal.handle_report(b"between", 5.1)
    feed(journal, 5.2)
    journal.handle_report(b"after", 5.3)
    segments = journal.handle_timeout(5.4) + journal.close("ended")
    reports = [[record.data for record in one.records if record.is_rtcp] for one in segments]
    assert reports == [[b"before"], [b"after"]]
    assert all(one.ended - one.began <= MAX_SEGMENT_S for one in segments)


def test_a_segment_names_the_formats_that_came_in_it_as_they_were_agreed_on() -> None:
    h264 = Codec(
        name="H264",
        payload_type=102,
        clock_rate=90_000,
        channels=None,
        parameters=(("packetization-mode", "1"), ("profile-level-id", "42e01f")),
        feedback=(),
    )
    camera = replace(CAMERA, codecs=(*CAMERA.codecs[:1], h264))
    journal = journal_of(sections=[(SOUND_SSRC, MICROPHONE), (PICTURE_SSRC, camera)])
    feed(journal, 0.0, 0.02)
    feed(journal, 0.03, ssrc=PICTURE_SSRC, payload_type=102 | 0x80)  # the marker is no part of the type
    (segment,) = journal.close("ended")
    assert segment.streams == (
        SegmentStream(
            ssrc=SOUND_SSRC,
            mid="0",
            kind="audio",
            codec_name="opus",
            payload_type=OPUS,
            clock_rate=48_000,
            channels=2,
            parameters="",
            packets=2,
        ),
        SegmentStream(
            ssrc=PICTURE_SSRC,
            mid="1",
            kind="video",
            codec_name="H264",
            payload_type=102,
            clock_rate=90_000,
            channels=None,
            parameters="packetization-mode=1;profile-level-id=42e01f",
            packets=1,
        ),
    )


def test_no_offer_makes_the_entry_of_a_segment_large() -> None:
    wordy = replace(MICROPHONE.codecs[0], parameters=(("a", "1"), ("long", "x" * 60_000), ("b", "2")))
    journal = journal_of(sections=[(SOUND_SSRC, replace(MICROPHONE, codecs=(wordy,)))])
    feed(journal, 0.0)
    for number in range(100):
        journal.handle_stream(1000 + number, CAMERA, 0.5)
        feed(journal, *[0.5] * (1 + (number == 70)), ssrc=1000 + number, payload_type=VP8)
    (segment,) = journal.close("ended")
    assert segment.packets == 102
    assert len(segment.streams) == MAX_STREAMS
    assert 1070 in {one.ssrc for one in segment.streams}
    assert segment.streams[0].parameters == "a=1;b=2"
    assert all(len(one.parameters) <= MAX_PARAMETERS_CHARACTERS for one in segment.streams)


def test_no_offer_keeps_its_sender_off_the_record() -> None:
    odd = replace(MICROPHONE.codecs[0], parameters=(("x", "é"), ("a", "1"), ("y", "\x1b[8m")))
    journal = journal_of(sections=[(SOUND_SSRC, replace(MICROPHONE, mid="ä" * 70, codecs=(odd,)))])
    feed(journal, 0.0)
    (segment,) = journal.close("ended")
    assert (segment.streams[0].mid, segment.streams[0].parameters) == ("", "a=1"), "what an entry can hold"


def test_what_is_known_of_streams_that_ended_is_forgotten_with_their_packets() -> None:
    journal = journal_of()
    for number in range(1_000):
        now = 0.2 * number
        journal.handle_stream(100 + number, CAMERA, now)
        feed(journal, now, ssrc=100 + number, payload_type=VP8)
        journal.handle_stream_end(100 + number)
        journal.handle_timeout(now)
    assert len(journal._streams) < 50
    feed(journal, 200.0)  # the stream that did not end
    assert journal.close("ended")[-1].streams[-1].ssrc == SOUND_SSRC


# The journal in the router.


def journalled(call: SimulatedCall) -> list[tuple[float, bytes]]:
    return [
        (record.arrived, record.data)
        for segment in call.cut.get("a", [])
        for record in segment.records
        if not record.is_rtcp
    ]


def test_those_who_come_or_come_back_together_are_not_cut_together() -> None:
    journal = Journal(clock_zero_at=CLOCK_ZERO_AT, first_s=3.0)
    journal.handle_stream(SOUND_SSRC, MICROPHONE, 0.0)
    lengths = []
    for begins in (0.0, 20.0):  # what is sent in nine seconds, then silence
        for number in range(90):
            now = begins + number / 10
            lengths += [round(one.ended - one.began, 1) for one in journal.handle_timeout(now)]
            journal.handle_packet(Kept(packet_of(SOUND_SSRC, number, payload_type=111), now))
        lengths += [round(one.ended - one.began, 1) for one in journal.handle_timeout(begins + 10.5)]
    assert lengths == [2.9, 4.9, 0.9] * 2


def test_who_is_not_admitted_or_has_no_journal_is_not_kept() -> None:
    call = play(
        *(Join("a"), Join("b"), Send("a", "audio", 5), Admit("a", journal=True), Admit("b")),
        *(Send("a", "audio", 5), Send("b", "audio", 5), Withdraw("a"), Send("a", "audio", 5), Remove("a")),
    )
    assert list(call.cut) == ["a"]
    sent = list(call.sender("a", "audio").sent.values())
    assert [data for _, data in journalled(call)] == sent[5:10]


def test_the_reason_tells_a_lost_connection_from_the_end() -> None:
    stay = (Join("a"), Admit("a", journal=True), Send("a", "audio", 5))
    call = play(*stay, Remove("a"), *stay, Run(1.1), *(Send("a", "audio", 300), Withdraw("a"), Remove("a")))
    assert [segment.reason for segment in call.cut["a"]] == ["interrupted", "interrupted", "full", "ended"]


def test_a_sender_report_is_kept_as_it_came() -> None:
    call = play(Join("a"), Admit("a", journal=True), Send("a", "audio", 5))
    report = report_of(call.sender("a", "audio").ssrc)
    call.deliver_rtcp("a", report, Goodbye(ssrcs=(Ssrc(1),)))
    call.deliver_rtcp("a", Goodbye(ssrcs=(Ssrc(1),)))
    Withdraw("a").play(call)
    (segment,) = call.cut["a"]
    kept = [record.data for record in segment.records if record.is_rtcp]
    assert kept == [encode_compound([report, Goodbye(ssrcs=(Ssrc(1),))])]


def test_a_stream_that_is_not_forwarded_is_kept_all_the_same() -> None:
    call = play(Join("a"), Join("b"), Admit("a", journal=True), Admit("b"), Send("a", "video", 5))
    older = call.senders.pop(("a", "video"))
    Send("a", "video", 5).play(call)
    stray = older.next_packet(INTERFRAME, step=3000)
    assert call.deliver("a", stray) == []
    Withdraw("a").play(call)
    assert journalled(call)[-1] == (call.now, stray)


@dataclass(slots=True)
class Recorder:
    """A peer with two sound forms and a repair stream, and what the journal ought to hold of it."""

    call: SimulatedCall
    expected: list[tuple[float, bytes]]
    admitted: bool = False
    previous: bytes = b""
    lost: bytes = b""
    repairs: int = 0

    def deliver(self, packet: bytes, *originals: bytes) -> None:
        if self.admitted:
            self.expected += [(self.call.now, original) for original in originals]
        self.call.deliver("a", packet)

    def take(self, action: str) -> None:
        """One step of the scenario."""
        call = self.call
        match action:
            case "sound":
                packet = self.previous = call.sender("a", "audio").next_packet(SOUND, step=960)
                self.deliver(packet, packet)
            case "redundant sound":
                sender = call.sender("a", "audio")
                lost = sender.next_packet(SOUND, step=960)
                later = sender.next_packet(INTERFRAME, step=960)
                head = red.encode_head(OPUS, [red.Redundant(OPUS, 960, SOUND)])
                wrapped = later[:1] + bytes([RED]) + later[2:12] + head + INTERFRAME
                # What is before the first packet of a stream was not lost.
                self.deliver(wrapped, *([lost] if self.previous else []), later)
                self.previous = later
            case "copy" if self.previous:
                self.deliver(self.previous)
            case "picture":
                packet = call.sender("a", "video").next_packet(INTERFRAME, step=3000)
                self.deliver(packet, packet)
            case "large picture":
                for _ in range(700):
                    call.now += 0.0005
                    packet = call.sender("a", "video").next_packet(bytes(1_200), step=0)
                    self.deliver(packet, packet)
            case "lost picture":
                self.take("picture")
                lost = call.sender("a", "video").next_packet(INTERFRAME, step=3000)
                self.take("picture")
                call.run(0.03)
                self.repairs += 1
                repair = HEADER.pack(0x80, RTX, self.repairs, int.from_bytes(lost[4:8]), CAMERA_SSRCS[1])
                repair += lost[2:4] + lost[12:]
                self.deliver(repair, lost)
                self.deliver(repair)
            case "restart":
                sender = call.sender("a", "video")
                self.take("picture")
                sender.sequence_number = (sender.sequence_number + 10_000) & 0xFFFF
                self.deliver(sender.next_packet(INTERFRAME, step=3000))  # a jump that nothing confirms yet
                self.take("picture")
            case "goodbye":
                call.deliver_rtcp("a", Goodbye(ssrcs=(call.sender("a", "audio").ssrc,)))
                self.previous = b""
            case "report":
                call.deliver_rtcp("a", report_of(call.sender("a", "video").ssrc))
            case "admit":
                Admit("a", journal=True).play(call)
                self.admitted = True
            case "withdraw":
                Withdraw("a").play(call)
                self.admitted = False
            case "reconnect":
                Remove("a").play(call)
                Join("a", page_offer(rtx=True, red=RED, camera=CAMERA_SSRCS)).play(call)
                self.admitted, self.previous = False, b""
            case "pause":
                call.run(1.3)
            case "stall":
                call.now += 2.9  # no timer runs
            case _:
                pass


ACTIONS = ["sound", "redundant sound", "copy", "picture", "lost picture", "restart", "goodbye", "report"]
RARE_ACTIONS = ["large picture", "admit", "admit", "withdraw", "reconnect", "pause", "stall"]


@given(
    actions=st.lists(
        st.tuples(
            st.one_of(st.sampled_from(ACTIONS), st.sampled_from(RARE_ACTIONS)),
            st.sampled_from([0.0, 0.02, 0.3, 0.9]),
        ),
        max_size=60,
    )
)
def test_every_admitted_packet_is_in_exactly_one_segment(actions: list[tuple[str, float]]) -> None:
    call = play(Join("a", page_offer(rtx=True, red=RED, camera=CAMERA_SSRCS)), Join("b"), Admit("b"))
    recorder = Recorder(call, [])
    recorder.take("admit")
    for action, pause_s in actions:
        recorder.take(action)
        call.run(pause_s)
    recorder.take("reconnect")
    assert journalled(call) == recorder.expected
    segments = call.cut.get("a", [])
    assert all(arrivals_of(one) == sorted(arrivals_of(one)) for one in segments)
    assert all(
        one.began == one.records[0].arrived and one.ended == one.records[-1].arrived for one in segments
    )
    assert all(one.ended - one.began <= MAX_SEGMENT_S + 1e-9 for one in segments)
    assert all(one.ended <= other.began for one, other in pairwise(segments))
    assert all(one.size_bytes <= MAX_SEGMENT_BYTES for one in segments)
    assert all(one.packets == sum(stream.packets for stream in one.streams) for one in segments)
