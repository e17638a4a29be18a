"""Senders and networks of all kinds on virtual time, and where their sounds and pictures come to lie.

Each picture and each sound carries the moment at which it was captured, so that a unit tells by how much its
presentation time is off.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.journal import SegmentStream
from media.playback import PlaybackSegment
from media.presentation import Timed
from media.rtpdump import encode_dump, parse_dump
from media.timeline import MAX_PAUSE_US, MAX_PICTURE_BYTES, Timeline, Unit, _Packet, _Pictures
from tests.media.recording import BEGAN_AT, NTP_2026, Sender, Sent, jitter, loses, record
from tests.media.video_source import encode

STAMP = struct.Struct("!d")
DELTA, KEY, HIDDEN = b"\x11\x00\x00", b"\x10\x00\x00\x9d\x01\x2a", b"\x01\x00\x00"  # RFC 6386 §9.1
OPUS_20_MS = b"\xfc"
PICTURE_S, SOUND_S = 0.04, 0.02
CLEAN_MS = 3.0  # dumps count in milliseconds


def picture(captured_s: float, frame: bytes, *, packets: int = 2) -> list[bytes]:
    """RTP payloads of a VP8 picture that says when it was captured."""
    body = frame + STAMP.pack(captured_s)
    return [b"\x10" + body, *[b"\x00" + bytes(20)] * (packets - 1)]


def keyframe(captured_s: float, width: int = 640, height: int = 480) -> list[bytes]:
    return picture(captured_s, KEY + width.to_bytes(2, "little") + height.to_bytes(2, "little"))


def captured_s(unit: Unit) -> float:
    if unit.kind == "audio":
        return float(STAMP.unpack(unit.data[1:])[0])
    at = 10 if unit.is_keyframe else 3
    return float(STAMP.unpack(unit.data[at : at + STAMP.size])[0])


def camera(sender: Sender, from_s: float, until_s: float, *, keyframe_every: int = 25) -> list[Sent]:
    """Pictures from one time to another, the first a keyframe."""
    count = round((until_s - from_s) / PICTURE_S)
    pictures = [
        keyframe(from_s + n * PICTURE_S)
        if n % keyframe_every == 0
        else picture(from_s + n * PICTURE_S, DELTA)
        for n in range(count)
    ]
    return sender.pictures(pictures, from_s=from_s, every_s=PICTURE_S)


def microphone(sender: Sender, from_s: float, until_s: float) -> list[Sent]:
    count = round((until_s - from_s) / SOUND_S)
    sounds = [OPUS_20_MS + STAMP.pack(from_s + n * SOUND_S) for n in range(count)]
    return sender.sounds(sounds, from_s=from_s)


def talk(sender: Sender, from_s: float, until_s: float, *, reports: bool = True) -> list[Sent]:
    """Sound, picture and reports from one time to another."""
    sent = camera(sender, from_s, until_s) + microphone(sender, from_s, until_s)
    return sent + (sender.reports(until_s, from_s=from_s) if reports else [])


def units_of(segments: Sequence[PlaybackSegment]) -> tuple[Timeline, list[Unit]]:
    timeline = Timeline()
    units: list[Unit] = []
    for segment in segments:
        units += timeline.handle_segment(parse_dump(segment.dump), segment.streams)
    return timeline, units + timeline.finish()


def pictures_in(units: Sequence[Unit]) -> list[Unit]:
    return [unit for unit in units if unit.kind == "video"]


def sounds_in(units: Sequence[Unit]) -> list[Unit]:
    return [unit for unit in units if unit.kind == "audio"]


def errors_ms(units: Sequence[Unit]) -> list[tuple[float, float]]:
    """(captured, how much later than its distance from the first unit it is presented, in ms)."""
    first_s = min(captured_s(unit) for unit in units)
    return [
        (at_s, unit.presentation_us / 1e3 - (at_s - first_s) * 1e3)
        for unit in units
        for at_s in [captured_s(unit)]
    ]


def out_of_step_ms(units: Sequence[Unit], *, from_s: float = 0.0) -> float:
    """The most by which a picture is earlier or later than the sound of the same moment."""
    sounds = dict(errors_ms_of(units, "audio"))
    worst = 0.0
    for at_s, error in errors_ms_of(units, "video"):
        beside = sounds.get(round(at_s, 3))
        if beside is not None and at_s >= from_s:
            worst = max(worst, abs(error - beside))
    return worst


def errors_ms_of(units: Sequence[Unit], kind: str) -> list[tuple[float, float]]:
    return [
        (round(captured_s(unit), 3), unit.presentation_us / 1e3 - captured_s(unit) * 1e3)
        for unit in units
        if unit.kind == kind
    ]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is sent on which network; what comes out, with how many milliseconds between sound and picture."""

    name: str
    segments: Callable[[], list[PlaybackSegment]]
    pictures: int | None = None
    sounds: int | None = None
    in_step_ms: float = CLEAN_MS
    in_place_ms: float = CLEAN_MS
    """How far each unit may be from where its capture says, beginning with the first."""
    from_s: float = 0.0
    """The two are measured for what was captured from here on."""
    lost: tuple[int, int] | None = field(default=(0, 0))


def clean() -> list[PlaybackSegment]:
    sender = Sender()
    return record(talk(sender, 0, 12), sender.streams())


def disorder() -> list[PlaybackSegment]:
    sender = Sender()
    return record(talk(sender, 0, 12), sender.streams(), delay_s=jitter(1, 0.080))


def repaired() -> list[PlaybackSegment]:
    sender = Sender()
    late = loses(2, 0.05)
    return record(talk(sender, 0, 12), sender.streams(), delay_s=lambda packet: 1.9 if late(packet) else 0.02)


def full_queue() -> list[PlaybackSegment]:
    """For three seconds everything waits, as over TCP, and comes in a heap at the end; no reports."""
    sender = Sender()
    return record(
        talk(sender, 0, 12, reports=False),
        sender.streams(),
        delay_s=lambda packet: 0.02 + max(0.0, 8.0 - packet.leaves_s) * (packet.leaves_s > 5.0),
    )


def longer_way() -> list[PlaybackSegment]:
    sender = Sender()
    return record(
        talk(sender, 0, 40), sender.streams(), delay_s=lambda p: 0.42 if 10.01 < p.leaves_s < 25 else 0.02
    )


def pause() -> list[PlaybackSegment]:
    sender = Sender()
    return record(talk(sender, 0, 6) + talk(sender, 36, 42), sender.streams())


def phone_call(*, reports: bool) -> Callable[[], list[PlaybackSegment]]:
    """The handset sends nothing for thirty seconds; its sound goes on counting where it stopped, its picture
    jumps.
    """

    def segments() -> list[PlaybackSegment]:
        sender = Sender()
        sent = talk(sender, 0, 8, reports=reports)
        sender.timestamp_shift |= {"audio": 30.0, "video": -77.0}
        return record(sent + talk(sender, 38, 50, reports=reports), sender.streams())

    return segments


def device_switch() -> list[PlaybackSegment]:
    """The sound alone loses 150 ms at once, as where a headset takes over."""
    sender = Sender()
    sent = camera(sender, 0, 40) + [sender.report("video", second + 0.5) for second in range(40)]
    sent += microphone(sender, 0, 10) + [sender.report("audio", at_s) for at_s in (2.5, 7.5)]
    sender.timestamp_shift["audio"] = 0.15
    sent += microphone(sender, 10.16, 40) + [
        sender.report("audio", at_s) for at_s in (12.5, 17.5, 22.5, 27.5)
    ]
    return record(sent, sender.streams())


def reconnect(*, clock_s: float) -> Callable[[], list[PlaybackSegment]]:
    """The page is loaded anew: other SSRCs, timestamps and numbers; `clock_s` later by its own clock."""

    def segments() -> list[PlaybackSegment]:
        old = Sender()
        new = Sender(
            audio_ssrc=11,
            video_ssrc=12,
            audio_timestamp=0x1234,
            video_timestamp=0x8000_1234,
            audio_number=7,
            video_number=30_000,
            ntp_s=NTP_2026 + clock_s,
        )
        first = record(talk(old, 0, 8), old.streams())
        second = record(talk(new, 11, 20), new.streams())
        return first + second

    return segments


def without_reports() -> list[PlaybackSegment]:
    sender = Sender()
    return record(talk(sender, 0, 12, reports=False), sender.streams(), delay_s=jitter(3, 0.040))


def first_report_late() -> list[PlaybackSegment]:
    sender = Sender()
    sent = camera(sender, 0, 12) + microphone(sender, 0, 12)
    return record([*sent, sender.report("audio", 8.0), sender.report("video", 8.5)], sender.streams())


def skewed(ppm: float) -> Callable[[], list[PlaybackSegment]]:
    def segments() -> list[PlaybackSegment]:
        sender = Sender(ppm=ppm)
        return record(talk(sender, 0, 120), sender.streams(), delay_s=jitter(4, 0.030))

    return segments


def fast_sound_card() -> list[PlaybackSegment]:
    sender = Sender(audio_ppm=300)
    return record(talk(sender, 0, 120), sender.streams(), delay_s=jitter(5, 0.030))


def stepped(step_s: float) -> Callable[[], list[PlaybackSegment]]:
    def segments() -> list[PlaybackSegment]:
        sender = Sender()
        sent = camera(sender, 0, 40) + microphone(sender, 0, 40)
        reports = sender.reports(40)
        sender.ntp_s += step_s
        stepped_reports = sender.reports(40)
        sent += [report for report in reports if report.leaves_s < 18.2]
        sent += [report for report in stepped_reports if report.leaves_s >= 18.2]
        return record(sent, sender.streams(), delay_s=jitter(6, 0.030))

    return segments


def lossy(share: float) -> Callable[[], list[PlaybackSegment]]:
    def segments() -> list[PlaybackSegment]:
        sender = Sender()
        return record(talk(sender, 0, 20), sender.streams(), lose=loses(7, share), delay_s=jitter(7, 0.060))

    return segments


SCENARIOS = [
    Scenario(name="clean", segments=clean, pictures=300, sounds=600),
    Scenario(name="disorder", segments=disorder, pictures=300, sounds=600),
    Scenario(name="repaired 1.9 s later", segments=repaired, pictures=300, sounds=600),
    Scenario(name="full queue", segments=full_queue, pictures=300, sounds=600, in_step_ms=36, in_place_ms=36),
    Scenario(name="a longer way for a while", segments=longer_way, pictures=1000, sounds=2000),
    Scenario(name="pause of 30 s", segments=pause, pictures=300, sounds=600),
    Scenario(name="phone call", segments=phone_call(reports=True), pictures=500, sounds=1000),
    Scenario(
        name="phone call, no reports",
        segments=phone_call(reports=False),
        pictures=500,
        sounds=1000,
        in_step_ms=38,  # what the camera needs longer than the microphone cannot be told from its packets
        in_place_ms=38,
    ),
    Scenario(name="headset takes over", segments=device_switch, pictures=1000, sounds=1992, from_s=12.6),
    Scenario(name="reconnect", segments=reconnect(clock_s=0), pictures=425, sounds=850),
    Scenario(
        name="another device, years ahead",
        segments=reconnect(clock_s=1e8),
        pictures=425,
        sounds=850,
        in_place_ms=12,
    ),
    Scenario(
        name="another device, a second behind",
        segments=reconnect(clock_s=-0.9),
        pictures=425,
        sounds=850,
        in_place_ms=12,
    ),
    Scenario(
        name="no reports", segments=without_reports, pictures=300, sounds=600, in_step_ms=40, in_place_ms=40
    ),
    Scenario(name="first report late", segments=first_report_late, pictures=300, sounds=600),
    Scenario(
        name="slow sender", segments=skewed(-200), pictures=3000, sounds=6000, in_step_ms=5, in_place_ms=30
    ),
    Scenario(
        name="fast sender", segments=skewed(200), pictures=3000, sounds=6000, in_step_ms=5, in_place_ms=30
    ),
    Scenario(
        name="fast sound card",
        segments=fast_sound_card,
        pictures=3000,
        sounds=6000,
        in_step_ms=10,
        in_place_ms=30,
    ),
    *[
        Scenario(
            name=f"wall clock set by {step_s} s",
            segments=stepped(step_s),
            pictures=1000,
            sounds=2000,
            in_step_ms=15,
            in_place_ms=40,
        )
        for step_s in (0.3, -0.3, 3600.0, -3600.0, -1e8)
    ],
    Scenario(name="loss of 2 %", segments=lossy(0.02), lost=None),
    Scenario(name="loss of 20 %", segments=lossy(0.20), lost=None, in_place_ms=10),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_sound_and_picture_are_in_their_place_and_in_step(scenario: Scenario) -> None:
    timeline, units = units_of(scenario.segments())
    pictures, sounds = pictures_in(units), sounds_in(units)
    if scenario.pictures is not None:
        assert (len(pictures), len(sounds)) == (scenario.pictures, scenario.sounds)
    if scenario.lost is not None:
        assert (timeline.lost_pictures, timeline.lost_sounds) == scenario.lost
    for of_kind in (pictures, sounds):
        times = [unit.presentation_us for unit in of_kind]
        assert times == sorted(set(times)), "times run on"
        captures = [captured_s(unit) for unit in of_kind]
        assert captures == sorted(set(captures)), "in the order of capture"
    assert min(unit.presentation_us for unit in units) == 0
    assert out_of_step_ms(units, from_s=scenario.from_s) <= scenario.in_step_ms
    placed = [error for at_s, error in errors_ms(units) if at_s >= scenario.from_s]
    assert max(placed) - min(placed) <= 2 * scenario.in_place_ms


def test_no_picture_is_drawn_upon_a_missing_one() -> None:
    sender = Sender()
    sent = camera(sender, 0, 8, keyframe_every=50)
    gone = {30, 31, 120}
    lost_packet = {packet.number: packet for packet in sent if packet.number in gone}  # the last of each
    timeline, units = units_of(
        record(sent, sender.streams(), lose=lambda packet: packet is lost_packet.get(packet.number))
    )
    numbers = [round(captured_s(unit) / PICTURE_S) for unit in units]
    assert numbers == [*range(30), *range(50, 120), *range(150, 200)]
    assert timeline.lost_pictures == 200 - len(numbers)


def test_a_picture_lost_whole_stops_the_ones_behind_it_and_is_counted() -> None:
    sender = Sender()
    sent = camera(sender, 0, 4, keyframe_every=50)
    timeline, units = units_of(record(sent, sender.streams(), lose=lambda packet: packet.number == 20))
    assert [round(captured_s(unit) / PICTURE_S) for unit in units] == [*range(20), *range(50, 100)]
    assert timeline.lost_pictures == 30


def test_a_recording_that_begins_in_the_midst_waits_for_a_keyframe_with_its_pictures_only() -> None:
    sender = Sender()
    sent = [packet for packet in talk(sender, 0, 6) if packet.leaves_s > 1.3]
    timeline, units = units_of(record(sent, sender.streams()))
    first = pictures_in(units)[0]
    assert first.is_keyframe and captured_s(first) == 2.0
    assert captured_s(sounds_in(units)[0]) < 1.3
    assert timeline.began_at is not None
    begun = timeline.began_at - BEGAN_AT - timedelta(seconds=captured_s(sounds_in(units)[0]))
    assert abs(begun - timedelta(milliseconds=20)) < timedelta(milliseconds=3), "20 ms after the capture"


def test_a_change_of_resolution_passes_through() -> None:
    sender = Sender()
    sizes = [(640, 480), (320, 240), (240, 320)]
    pictures = [
        picture(n * PICTURE_S, DELTA) if n % 10 else keyframe(n * PICTURE_S, *sizes[n // 10])
        for n in range(30)
    ]
    _, units = units_of(record(sender.pictures(pictures), sender.streams()))
    assert [(unit.width, unit.height) for unit in units if unit.is_keyframe] == sizes
    assert len(units) == 30


def test_a_frame_that_is_not_shown_goes_before_the_one_that_is() -> None:
    sender = Sender()
    pictures = [keyframe(0.0)]
    for number in range(1, 6):
        hidden = [b"\x10" + HIDDEN + bytes(30)] if number == 3 else []
        pictures.append(hidden + picture(number * PICTURE_S, DELTA))
    _, units = units_of(record(sender.pictures(pictures), sender.streams()))
    assert [unit.is_shown for unit in units] == [True] * 3 + [False] + [True] * 3
    assert units[3].presentation_us < units[4].presentation_us <= units[3].presentation_us + 1_000


def test_of_two_cameras_at_one_time_the_newer_counts() -> None:
    old, new = Sender(), Sender(video_ssrc=99, video_number=5)
    sent = camera(old, 0, 6) + camera(new, 4, 8)
    streams = (*old.streams(), new.streams()[1])
    timeline, units = units_of(record(sent, streams))
    assert [round(captured_s(unit) / PICTURE_S) for unit in units] == list(range(200))
    assert timeline.lost_pictures == 50


def test_an_older_camera_comes_back_with_a_keyframe_when_the_newer_is_silent() -> None:
    old, new = Sender(), Sender(video_ssrc=99, video_number=5)
    sent = camera(old, 0, 12) + camera(new, 4, 6)
    _, units = units_of(record(sent, (*old.streams(), new.streams()[1])))
    assert [round(captured_s(unit) / PICTURE_S) for unit in units] == [*range(150), *range(175, 300)]


def switching(
    encodings: Sequence[Sender], times_s: Sequence[float], *, keyframe_every: int = 1_000
) -> list[Sent]:
    """One camera whose encodings take turns, as the journal keeps them: from each time on the next, with a
    keyframe. Their numbers go on meanwhile, and so do their reports.
    """
    sent: list[Sent] = []
    for turn, (from_s, until_s) in enumerate(pairwise(times_s)):
        for place, encoding in enumerate(encodings):
            packets = camera(encoding, from_s, until_s, keyframe_every=keyframe_every)
            sent += packets if place == turn % len(encodings) else []
            sent += [
                encoding.report("video", from_s + 0.1 + second)
                for second in range(max(1, int(until_s - from_s)))
            ]
    return sent


@pytest.mark.parametrize(
    "turns_s", [[0, 4, 8, 12, 16], [0, 2, 3, 4, 5, 12], [0, 4, 4.6, 8], [0, 0.4, 0.8, 40]]
)
@pytest.mark.parametrize("delay_s", [lambda packet: 0.02, jitter(3, 0.08)], ids=["steady", "jitter"])
def test_encodings_that_take_turns_make_one_picture_without_a_hole(
    turns_s: list[float], delay_s: Callable[[Sent], float]
) -> None:
    low = Sender(video_number=700)
    high = Sender(video_ssrc=99, video_number=65_500, video_timestamp=123_456)
    sent = switching((low, high), turns_s) + microphone(low, 0, turns_s[-1])
    timeline, units = units_of(record(sent, (*low.streams(), high.streams()[1]), delay_s=delay_s))
    pictures = pictures_in(units)
    assert [round(captured_s(unit) / PICTURE_S) for unit in pictures] == [
        *range(round(turns_s[-1] / PICTURE_S))
    ]
    assert (timeline.lost_pictures, timeline.lost_sounds) == (0, 0)
    assert [unit.is_keyframe for unit in pictures].count(True) == len(turns_s) - 1
    assert out_of_step_ms(units) <= 80


def test_a_picture_that_is_lost_at_a_switch_is_counted() -> None:
    low, high = Sender(), Sender(video_ssrc=99, video_number=5)
    sent = switching((low, high), [0, 4, 8, 12])
    first_of_high = next(packet for packet in sent if packet.data[8:12] == (99).to_bytes(4))
    timeline, units = units_of(
        record(sent, (*low.streams(), high.streams()[1]), lose=lambda packet: packet is first_of_high)
    )
    assert [round(captured_s(unit) / PICTURE_S) for unit in units] == [*range(100), *range(200, 300)]
    assert timeline.lost_pictures in (100, 101)  # the last is the gap in the numbers of the one that was left


def test_another_section_takes_over_only_from_one_that_is_silent() -> None:
    camera_sender, screen = Sender(), Sender(video_ssrc=99, video_number=5, mids=("0", "7"))
    sent = camera(camera_sender, 0, 6) + camera(screen, 4, 10)
    _, units = units_of(record(sent, (*camera_sender.streams(), screen.streams()[1])))
    assert [round(captured_s(unit) / PICTURE_S) for unit in units] == [*range(150), *range(175, 250)]


def test_a_sender_that_counts_from_elsewhere_goes_on() -> None:
    sender = Sender()
    sent = talk(sender, 0, 4)
    sender.audio_number += 30_000
    sender.video_number += 30_000
    _, units = units_of(record(sent + talk(sender, 4, 8), sender.streams()))
    assert (len(pictures_in(units)), len(sounds_in(units))) == (200, 400)


def test_copies_are_left_out() -> None:
    sender = Sender()
    sent = talk(sender, 0, 4)
    _, units = units_of(record(sent + [packet for packet in sent if packet.kind != "rtcp"], sender.streams()))
    assert (len(pictures_in(units)), len(sounds_in(units))) == (100, 200)


def test_where_segments_are_cut_hardly_matters() -> None:
    sender = Sender()
    whole = record(talk(sender, 0, 60), sender.streams(), delay_s=jitter(8, 0.1), lose=loses(8, 0.02))
    pieces: list[PlaybackSegment] = []
    for segment in whole:
        dump = parse_dump(segment.dump)
        for start in range(0, len(dump.records), 97):
            records = dump.records[start : start + 97]
            first_ms = records[0].offset_ms
            cut = encode_dump(
                dump.began_at + timedelta(milliseconds=first_ms),
                [(record.offset_ms - first_ms, record.is_rtcp, record.data) for record in records],
            )
            pieces.append(PlaybackSegment(number=len(pieces), streams=segment.streams, dump=cut))
    one, other = units_of(whole)[1], units_of(pieces)[1]
    for of_kind in (pictures_in, sounds_in):
        assert [unit.data for unit in of_kind(one)] == [unit.data for unit in of_kind(other)]
        pairs = zip(of_kind(one), of_kind(other), strict=True)
        assert max(abs(a.presentation_us - b.presentation_us) for a, b in pairs) < 10_000


@pytest.mark.parametrize("step", [timedelta(days=4_000), timedelta(days=-4_000)])
def test_a_wall_clock_that_is_set_between_two_connections_makes_no_year_of_silence(step: timedelta) -> None:
    sender = Sender()
    first = record(talk(sender, 0, 4), sender.streams())
    second = record(talk(sender, 6, 10), sender.streams(), began_at=BEGAN_AT + step)
    _, units = units_of(first + second)
    assert (len(pictures_in(units)), len(sounds_in(units))) == (200, 400)
    assert units[-1].presentation_us <= MAX_PAUSE_US + 10_000_000


def test_h264_pictures_are_whole_access_units_and_say_their_size() -> None:
    sender = Sender(codec_name="H264")
    encoded = encode("H264", 30, width=160, height=128, keyframes=(0, 15))
    segments = record(sender.pictures([each.payloads for each in encoded]), sender.streams())
    timeline, units = units_of(segments)
    assert len(units) == 30 and timeline.lost_pictures == 0
    assert [n for n, unit in enumerate(units) if unit.is_keyframe] == [0, 15]
    assert {(unit.width, unit.height) for unit in units if unit.is_keyframe} == {(160, 128)}
    assert all(unit.data.startswith(b"\x00\x00\x00\x01") for unit in units)


def streams_of(payload_types: Sequence[int]) -> list[SegmentStream]:
    kinds: list[tuple[Literal["audio", "video"], str, int]] = [
        ("audio", "opus", 48_000),
        ("video", "VP8", 90_000),
        ("video", "H264", 90_000),
    ]
    return [
        SegmentStream(
            ssrc=1 + place,
            mid=str(place),
            kind=kind,
            codec_name=name,
            payload_type=payload_types[place],
            clock_rate=rate,
            channels=2,
            parameters="",
            packets=1,
        )
        for place, (kind, name, rate) in enumerate(kinds)
    ]


PACKETS = st.builds(
    lambda kind, number, timestamp, marker, body: (
        bytes([0x80, 0x80 * marker | (96 + kind)])
        + number.to_bytes(2)
        + timestamp.to_bytes(4)
        + (1 + kind).to_bytes(4)
        + body
    ),
    st.integers(0, 2),
    st.integers(0, 40) | st.integers(0, 0xFFFF),
    st.integers(0, 20_000) | st.integers(0, 0xFFFF_FFFF),
    st.booleans(),
    st.binary(max_size=40)
    | st.binary(max_size=20).map(lambda tail: b"\x10" + KEY + b"\x10\x00\x10\x00" + tail)
    | st.binary(max_size=20).map(lambda tail: b"\x67" + tail),
)
REPORTS = st.builds(
    lambda ssrc, body: b"\x80\xc8\x00\x06" + ssrc.to_bytes(4) + body,
    st.integers(1, 3),
    st.binary(min_size=20, max_size=20),
)
RECORDS = st.tuples(
    st.integers(0, 5_000) | st.integers(0, 0xFFFF_FFFF),
    st.just(False),
    PACKETS | st.binary(min_size=1, max_size=30),
) | st.tuples(st.integers(0, 5_000), st.just(True), REPORTS | st.binary(min_size=1, max_size=40))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(RECORDS, max_size=40), min_size=1, max_size=4))
def test_whatever_a_sender_sends_the_timeline_goes_on_forward(
    dumps: list[list[tuple[int, bool, bytes]]],
) -> None:
    segments = [
        PlaybackSegment(
            number=number, streams=streams_of((96, 97, 98)),
            dump=encode_dump(BEGAN_AT + timedelta(seconds=5 * number), records),
        )
        for number, records in enumerate(dumps)
    ]  # fmt: skip
    _, units = units_of(segments)
    for kind in ("audio", "video"):
        times = [unit.presentation_us for unit in units if unit.kind == kind]
        assert times == sorted(set(times))
        assert not times or times[0] >= 0


def test_a_picture_that_never_ends_fills_no_memory() -> None:
    pictures = _Pictures("VP8")
    for _ in range(20_000):
        packet = _Packet(at=Timed(0, 0), rtp_timestamp=1, marker=False, payload=bytes(1_000))
        assert list(pictures.handle_packet(packet, 0)) == []
    assert sum(map(len, pictures._payloads)) <= MAX_PICTURE_BYTES
    assert list(pictures.finish()) == [] and pictures.lost == 1
