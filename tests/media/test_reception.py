"""RFC 3550 A.1, A.3 and A.8, against aiortc's statistics where both mean the same."""

from __future__ import annotations

import random
from collections.abc import Iterable
from unittest.mock import patch

import pytest
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket

from media.reception import AUDIO_REPAIR_S, REFUSED, RESTARTED, VIDEO_REPAIR_S, Reception, repair_time_s
from media.rtcp import SenderReport
from media.rtp import Ssrc
from tests.media.call_scenario import audio_section, video_section

SSRC = Ssrc(0x5EED)


def reception_from(sequence_number: int) -> Reception:
    return Reception(
        ssrc=SSRC, section=audio_section("0", sends=True, receives=False), sequence_number=sequence_number
    )


def indices(reception: Reception, sequence_numbers: Iterable[int]) -> list[int]:
    return [reception.handle_packet(number & 0xFFFF, 0, 10.0) for number in sequence_numbers]


def test_numbers_are_counted_on_across_the_wrap() -> None:
    reception = reception_from(65_534)
    first, *rest = indices(reception, [65_534, 65_535, 0, 1])
    assert rest == [first + 1, first + 2, first + 3]
    assert (reception.expected, reception.lost) == (4, 0)


def test_a_gap_is_lost_until_it_is_repaired() -> None:
    reception = reception_from(65_534)
    indices(reception, [65_534, 1])
    assert (reception.lost, len(reception.nacks)) == (2, 2)
    indices(reception, [65_535, 0])
    assert (reception.lost, len(reception.nacks)) == (0, 0)


def test_what_was_repaired_was_lost_on_the_way_all_the_same() -> None:
    reception = reception_from(0)
    indices(reception, [0, 1, 2, 4, 5, 7, 9])
    reception.nacks.handle_timeout(10.02, 0.1)
    indices(reception, [3])
    assert reception.report_block(1.0).fraction_lost == 2 * 256 // 10, "6 and 8 are missing"
    assert (reception.fraction_lost, reception.repaired) == (0.3, 1)
    indices(reception, [10, 11])
    reception.report_block(2.0)
    assert reception.fraction_lost == 0.0


def test_a_packet_that_the_first_one_overtook_has_its_place() -> None:
    reception = reception_from(0)
    first, second = indices(reception, [0, -1])
    assert second == first - 1
    assert (reception.expected, reception.lost) == (2, 0)


def test_the_newest_packet_again_is_refused() -> None:
    reception = reception_from(5)
    assert indices(reception, [5, 5])[1] == REFUSED
    assert reception.received == 1


def test_one_wild_number_is_refused_and_two_in_sequence_are_a_restart() -> None:
    reception = reception_from(5)
    indices(reception, [5])
    assert indices(reception, [30_000, 6, 40_000, 40_001])[0] == REFUSED
    assert indices(reception_from(5), [5, 40_000, 40_001])[1:] == [REFUSED, RESTARTED]
    assert reception.lost == 0


@pytest.mark.parametrize("seed", range(8))
def test_loss_and_jitter_against_aiortc(seed: int) -> None:
    rng = random.Random(seed)
    first, percent_lost = rng.randrange(65_536), 5 * seed
    ours, theirs = reception_from(first), StreamStatistics(48_000)
    now = 1000.0
    with patch("aiortc.rtcrtpreceiver.time") as clock:
        for step in range(400):
            now += 0.02 + rng.uniform(-0.005, 0.005)
            if not step or rng.randrange(100) >= percent_lost:
                clock.time.return_value = now
                sequence_number, rtp_timestamp = (first + step) & 0xFFFF, 960 * step
                ours.handle_packet(sequence_number, rtp_timestamp, now)
                theirs.add(RtpPacket(sequence_number=sequence_number, timestamp=rtp_timestamp))
            if step % 100 == 99:
                block = ours.report_block(now)
                assert block.fraction_lost == theirs.fraction_lost
                assert block.packets_lost == theirs.packets_lost
                assert block.jitter == pytest.approx(theirs.jitter, abs=8)  # they round each time


def test_the_extended_number_counts_cycles_in_its_upper_half() -> None:
    reception = reception_from(65_535)
    indices(reception, [65_535, 0, 1])
    assert reception.report_block(10.0).highest_sequence_number == 0x1_0001


def test_jitter_is_measured_once_a_picture() -> None:
    """The packets of a picture share a timestamp and leave together; their spacing is pacing, not jitter."""
    reception = Reception(
        ssrc=SSRC, section=video_section("1", sends=True, receives=False), sequence_number=0
    )
    now = 10.0
    for picture in range(100):
        for part in range(5):
            reception.handle_packet(picture * 5 + part, 3000 * picture, now + 0.001 * part)
        now += 1 / 30
    assert reception.jitter_s == pytest.approx(0.0, abs=1e-6)


def test_a_timestamp_that_wraps_is_no_jitter() -> None:
    reception = reception_from(0)
    for step in range(10):
        reception.handle_packet(step, (0xFFFF_F000 + 960 * step) & 0xFFFF_FFFF, 10.0 + 0.02 * step)
    assert reception.jitter_s == pytest.approx(0.0, abs=1e-6)


def test_a_block_says_which_sender_report_came_last_and_how_long_ago() -> None:
    """RFC 3550 §6.4.1: the middle 32 bits of its NTP timestamp, and 1/65,536 s."""
    reception = reception_from(0)
    indices(reception, [0])
    before = reception.report_block(10.0)
    assert (before.last_sender_report, before.delay_since_last_sender_report) == (0, 0)
    reception.handle_sender_report(
        SenderReport(
            ssrc=SSRC, ntp_timestamp=0x1122_3344_5566_7788, rtp_timestamp=0, packet_count=1, octet_count=1
        ),
        10.0,
    )
    after = reception.report_block(10.5)
    assert (after.last_sender_report, after.delay_since_last_sender_report) == (0x3344_5566, 0x8000)


def test_only_a_peer_that_agreed_to_nacks_is_worth_asking() -> None:
    assert repair_time_s(audio_section("0", sends=True, receives=False)) == AUDIO_REPAIR_S
    assert repair_time_s(video_section("1", sends=True, receives=False)) == VIDEO_REPAIR_S
    assert repair_time_s(video_section("1", sends=True, receives=False, feedback=())) == 0.0
