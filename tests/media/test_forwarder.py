from __future__ import annotations

from media.forwarder import MAX_REWRITTEN, Forwarder, identifiers_between, payload_types_between
from media.packet_history import Kept
from media.reception import Reception
from media.rtp import HEADER, Ssrc, extensions, parse_header
from media.sdp import MediaSection
from tests.media.call_scenario import KEYFRAME, SOUND, audio_section, video_section

OUT = Ssrc(0xAAAA)
FIRST_NUMBER = 65_534


def forwarder_to(section: MediaSection) -> Forwarder:
    return Forwarder(
        receiver_id="b", ssrc=OUT, section=section, sequence_number=FIRST_NUMBER, rtp_timestamp=5000
    )


def stream_in(section: MediaSection, sequence_number: int) -> Reception:
    return Reception(ssrc=Ssrc(0xBBBB), section=section, sequence_number=sequence_number)


def forward(
    forwarder: Forwarder,
    source: Reception,
    body: bytes,
    index: int,
    rtp_timestamp: int,
    now: float = 10.0,
    *,
    extension: bytes = b"",
    marker: bool = False,
) -> bytes | None:
    first, second = 0x90 if extension else 0x80, source.section.codecs[0].payload_type | 0x80 * marker
    packet = HEADER.pack(first, second, index & 0xFFFF, rtp_timestamp, source.ssrc) + extension + body
    source.history.keep(Kept(packet, now, index=index))
    if forwarder.source is not source:
        forwarder.begin(source, index, rtp_timestamp, now)
    size_bytes = 12 + len(extension)
    part = forwarder.forward(source, packet, index, rtp_timestamp, size_bytes, now)
    return part[0] + packet[part[2] :] if part is not None else None


def numbers(packet: bytes | None) -> tuple[int, int]:
    """(sequence number, RTP timestamp)."""
    assert packet is not None
    header = parse_header(packet)
    return header.sequence_number, header.rtp_timestamp


SENDING = audio_section("0", sends=True, receives=False)
CAMERA = video_section("1", sends=True, receives=False)


def test_a_packet_leaves_in_the_receivers_numbers_with_its_payload_untouched() -> None:
    forwarder = forwarder_to(audio_section("5", sends=False, receives=True, payload_type=96))
    packet = forward(forwarder, stream_in(SENDING, 7), SOUND, 70_000, 123, marker=True)
    assert packet is not None
    header = parse_header(packet)
    assert (header.ssrc, header.payload_type, header.marker) == (OUT, 96, True)
    assert (header.sequence_number, header.rtp_timestamp) == (FIRST_NUMBER, 5000)
    assert packet[12:] == SOUND


def test_numbers_follow_the_source_across_every_wrap() -> None:
    forwarder, source = forwarder_to(SENDING), stream_in(SENDING, 7)
    out = [
        numbers(forward(forwarder, source, SOUND, 65_535 + step, (0xFFFF_FF00 + 960 * step) & 0xFFFF_FFFF))
        for step in range(4)
    ]
    assert out == [(65_534, 5000), (65_535, 5960), (0, 6920), (1, 7880)]


def test_a_gap_stays_a_gap_and_a_repair_finds_its_place() -> None:
    forwarder, source = forwarder_to(SENDING), stream_in(SENDING, 7)
    forward(forwarder, source, SOUND, 100, 0)
    assert numbers(forward(forwarder, source, SOUND, 103, 2880)) == (1, 7880)
    assert numbers(forward(forwarder, source, SOUND, 101, 960)) == (65_535, 5960)


def test_a_new_source_continues_the_numbers_and_the_clock() -> None:
    forwarder = forwarder_to(SENDING)
    forward(forwarder, stream_in(SENDING, 7), SOUND, 100, 777, now=10.0)
    forwarder.release()
    successor = stream_in(SENDING, 9)
    assert numbers(forward(forwarder, successor, SOUND, 40_000, 99, now=12.5)) == (65_535, 5000 + 120_000)
    assert numbers(forward(forwarder, successor, SOUND, 40_001, 1059, now=12.52)) == (0, 5000 + 120_960)


def test_the_clock_goes_on_even_if_the_next_source_speaks_at_once() -> None:
    forwarder = forwarder_to(SENDING)
    forward(forwarder, stream_in(SENDING, 7), SOUND, 100, 777, now=10.0)
    assert numbers(forward(forwarder, stream_in(SENDING, 9), SOUND, 5, 5, now=10.0)) == (65_535, 5001)


def test_what_a_source_sent_before_its_first_packet_here_has_no_number() -> None:
    forwarder = forwarder_to(SENDING)
    forward(forwarder, stream_in(SENDING, 7), SOUND, 100, 0)
    successor = stream_in(SENDING, 9)
    forward(forwarder, successor, SOUND, 200, 0)
    assert forward(forwarder, successor, SOUND, 199, 0) is None


def test_a_codec_that_the_receiver_does_not_speak_is_not_for_them() -> None:
    h264_only = video_section("1", sends=True, receives=False, codecs=(("H264", 96),))
    vp8_only = video_section("5", sends=False, receives=True, codecs=(("VP8", 96),))
    forwarder = forwarder_to(vp8_only)
    assert forward(forwarder, stream_in(h264_only, 7), KEYFRAME, 100, 0) is None


def test_extensions_get_the_receivers_identifiers_and_mid_none() -> None:
    target = video_section("5", sends=False, receives=True, orientation_id=7)
    # MID "1", orientation 1, and one that nobody asked for.
    extension = bytes.fromhex("bede 0002 4031 3001 9055 0000")
    packet = forward(forwarder_to(target), stream_in(CAMERA, 7), KEYFRAME, 100, 0, extension=extension)
    assert packet is not None
    assert extensions(packet) == [(7, b"\x01")]
    assert packet.endswith(KEYFRAME)


def test_extensions_that_never_repeat_are_rewritten_within_bounds() -> None:
    target = audio_section("5", sends=False, receives=True)
    forwarder, source = forwarder_to(target), stream_in(SENDING, 7)
    for step in range(3 * MAX_REWRITTEN):
        extension = bytes.fromhex("bede 0001 11") + step.to_bytes(2) + bytes(1)
        packet = forward(forwarder, source, SOUND, 100 + step, 960 * step, extension=extension)
        assert packet is not None
        assert extensions(packet) == [(1, step.to_bytes(2))]


def test_extensions_behind_contributing_sources_or_before_padding_are_rewritten_too() -> None:
    forwarder, source = forwarder_to(CAMERA), stream_in(CAMERA, 7)
    for first, csrc, padding in ((0x91, b"csrc", b""), (0xB0, b"", b"\x01")):
        head = HEADER.pack(first, 96, 100, 0, source.ssrc) + csrc + bytes.fromhex("bede 0001 4031 3001")
        forwarder.begin(source, 100, 0, 10.0)
        packet = head + KEYFRAME + padding
        part = forwarder.forward(source, packet, 100, 0, len(head), 10.0)
        assert part is not None
        head_out = part[0]
        assert extensions(head_out + packet[len(head) :]) == [(3, b"\x01")]
        assert head_out[12:].startswith(csrc)


def test_a_codec_is_found_by_what_it_is_not_by_its_number() -> None:
    source = video_section("1", sends=True, receives=False, codecs=(("VP8", 96), ("H264", 98)))
    target = video_section("1", sends=False, receives=True, codecs=(("H264", 96), ("VP8", 100)))
    assert payload_types_between(source, target) == {
        96: (100, None),
        224: (228, None),
        98: (96, None),
        226: (224, None),
    }


def test_an_extension_that_one_side_lacks_is_blanked() -> None:
    assert identifiers_between(SENDING, CAMERA) == b""


def test_a_nack_is_answered_with_the_same_bytes_in_the_receivers_numbers() -> None:
    forwarder, source = forwarder_to(SENDING), stream_in(SENDING, 7)
    sent = [forward(forwarder, source, SOUND, 100 + step, 960 * step) for step in range(3)]
    parts, absent = forwarder.resend([FIRST_NUMBER + 1, 77], 10.1, 0.1)
    assert [head + packet[start:] for (head, packet, start), _ in parts] == [sent[1]]
    assert absent == []
