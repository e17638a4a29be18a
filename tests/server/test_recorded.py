"""What is recorded of calls, told from their entries."""

from dataclasses import replace
from datetime import timedelta

from server.recorded import MAX_PART, recorded_calls
from signaling.commands import Depart, Join, Leave, LoseSegment, SealSegment
from signaling.entries import SegmentSealed, SegmentStream
from signaling.values import cut_to_milliseconds
from tests.signaling.builders import COURIER, CUSTOMER, QA, START_AT, lost_segment, running_call, segment

PICTURES = SegmentStream(
    ssrc=8, mid="1", media="video", codec="VP8", payload_type=96, clock_rate=90_000, channels=None,
    parameters="", packets=300,
)  # fmt: skip
LENGTH = timedelta(seconds=5)


def piece(number: int, *codecs: str, after: timedelta | None = None) -> SegmentSealed:
    """Segment `number`, five seconds after the one before it, with sound and such pictures."""
    began_at = cut_to_milliseconds(START_AT + (LENGTH * (number - 1) if after is None else after))
    sound = segment(number).streams
    pictures = tuple(
        replace(PICTURES, codec=codec, packets=300 - place) for place, codec in enumerate(codecs)
    )
    return replace(
        segment(number), began_at=began_at, ended_at=began_at + LENGTH, streams=(*sound, *pictures)
    )


def test_each_person_of_each_call_has_a_recording_with_its_losses() -> None:
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    log.give(COURIER, SealSegment(segment=piece(1, "VP8")))
    log.give(CUSTOMER, SealSegment(segment=piece(1)))
    log.give(COURIER, LoseSegment(segment=lost_segment(2)))
    log.give(COURIER, SealSegment(segment=piece(3, "VP8")))
    log.give(CUSTOMER, Leave())
    log.give(COURIER, Depart(reason="interrupted", aborted=True))
    log.give(CUSTOMER, Join())
    first, second = recorded_calls(log.entries)
    assert first.aborted and first.ended_at is not None
    assert [(part.actor_id, part.media_type) for part in first.parts] == [
        (COURIER.actor_id, "video/webm"),
        (CUSTOMER.actor_id, "audio/mp4"),
    ]
    courier = first.parts[0]
    assert (courier.first_segment, courier.last_segment) == (1, 3)
    assert [body.segment for _, body in courier.sealed] == [1, 3]
    assert [body.segment for body in courier.lost] == [2]
    assert courier.has_sound and (courier.began_at, courier.ended_at) == (
        piece(1).began_at,
        piece(3).ended_at,
    )
    assert second.ended_at is None and second.parts == []


def test_a_new_part_begins_where_the_codec_changes_and_not_where_pictures_pause() -> None:
    log = running_call(COURIER)
    for number, codecs in enumerate(([], ["VP8"], [], ["VP8"], ["H264", "VP8"], [], ["VP8"]), start=1):
        log.give(COURIER, SealSegment(segment=piece(number, *codecs)))
    (call,) = recorded_calls(log.entries)
    assert [(part.part, part.codec, part.first_segment, part.last_segment) for part in call.parts] == [
        (1, "VP8", 1, 4),
        (2, "H264", 5, 6),
        (3, "VP8", 7, 7),
    ]
    assert call.parts[1].media_type == "video/mp4"


def test_a_new_part_begins_after_a_quarter_of_an_hour() -> None:
    log = running_call(COURIER)
    count = MAX_PART // LENGTH
    for number in range(1, count + 2):
        log.give(COURIER, SealSegment(segment=piece(number, "VP8")))
    log.give(COURIER, SealSegment(segment=piece(count + 2, "VP8", after=MAX_PART * 3)))
    (call,) = recorded_calls(log.entries)
    assert [(part.first_segment, part.last_segment) for part in call.parts] == [
        (1, count),
        (count + 1, count + 1),
        (count + 2, count + 2),
    ]
    assert [call.is_last(part) for part in call.parts] == [False, False, True]


def test_a_person_whose_every_segment_was_lost_is_listed_all_the_same() -> None:
    log = running_call(COURIER)
    log.give(COURIER, LoseSegment(segment=lost_segment(1)))
    (call,) = recorded_calls(log.entries)
    assert [(part.sealed, part.first_segment) for part in call.parts] == [([], 1)]
