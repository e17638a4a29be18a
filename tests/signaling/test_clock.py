"""The phone's clock beside ours: on virtual time, over ways of any length."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.clock import AGAIN_AFTER, PROBES, ClockMeasurement, ClockOffset, with_clock
from signaling.entries import CaseEnded, encode_body, parse_body
from signaling.talk import Attached, Attachment, Text
from signaling.values import cut_to_milliseconds

START_AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
OFFSET = ClockOffset(offset_ms=-1840, uncertainty_ms=23)


class Phone:
    """A phone whose clock is `ahead`, at the other end of a connection."""

    def __init__(self, ahead: timedelta) -> None:
        self.now_at = START_AT
        self.ahead = ahead
        self.measurement = ClockMeasurement()
        self.probe: int | None = self.measurement.begin(self.now_at)

    def answer(self, there: timedelta, back: timedelta) -> None:
        """The next probe goes there, its answer comes back."""
        assert self.probe is not None
        at = cut_to_milliseconds(self.now_at + there + self.ahead)
        self.now_at += there + back
        self.probe = self.measurement.handle_reading(self.probe, at, self.now_at)

    @property
    def offset(self) -> ClockOffset:
        assert self.measurement.offset is not None
        return self.measurement.offset


WAYS = st.timedeltas(timedelta(0), timedelta(seconds=20))


@given(
    st.timedeltas(timedelta(days=-9999), timedelta(days=9999)),
    st.lists(st.tuples(WAYS, WAYS), min_size=1, max_size=PROBES),
)
def test_the_true_offset_is_always_within_the_uncertainty_however_uneven_the_ways(
    ahead: timedelta, ways: list[tuple[timedelta, timedelta]]
) -> None:
    phone = Phone(ahead)
    for there, back in ways:
        phone.answer(there, back)
        told = phone.offset
        assert abs(ahead - told.offset_ms * MS) <= told.uncertainty_ms * MS
    shortest = min(there + back for there, back in ways)
    assert phone.offset.uncertainty_ms * MS <= shortest / 2 + 3 * MS


def test_the_best_of_five_counts_and_then_nobody_is_asked_for_a_while() -> None:
    phone = Phone(timedelta(seconds=3))
    for number in range(PROBES):
        assert phone.probe == number + 1
        phone.answer(20 * MS, (5 if number == 2 else 400) * MS)
    assert phone.probe is None
    assert phone.offset.uncertainty_ms < 16
    assert phone.measurement.handle_time(phone.now_at + AGAIN_AFTER / 2) is None
    again_at = phone.now_at + AGAIN_AFTER
    assert phone.measurement.handle_time(again_at) == PROBES + 1
    assert phone.offset.uncertainty_ms < 16, "the last one is valid until there is a new one"
    phone.now_at, phone.probe, phone.ahead = again_at, PROBES + 1, timedelta(hours=1)
    phone.answer(400 * MS, 400 * MS)
    assert phone.offset.offset_ms > 3_500_000, "a clock that was set is found, though the way is longer"


def test_an_answer_to_no_probe_or_to_an_older_one_says_nothing() -> None:
    measurement = ClockMeasurement()
    assert measurement.handle_reading(1, START_AT, START_AT) is None
    assert measurement.handle_time(START_AT) is None
    first = measurement.begin(START_AT)
    assert measurement.handle_reading(first + 1, START_AT, START_AT) is None
    assert measurement.offset is None
    assert measurement.handle_reading(first, START_AT, START_AT) == first + 1
    told = measurement.offset
    assert measurement.handle_reading(first, START_AT + timedelta(days=1), START_AT) is None
    assert measurement.offset == told


def test_a_reading_during_which_our_own_clock_was_set_back_is_not_used() -> None:
    measurement = ClockMeasurement()
    number = measurement.begin(START_AT)
    assert measurement.handle_reading(number, START_AT, START_AT - timedelta(seconds=5)) == number + 1
    assert measurement.offset is None


@pytest.mark.parametrize(
    ("body", "has_clock"),
    [
        (Text(text="hello", captured_at=START_AT), True),
        (Text(text="hello"), False),
        (
            Attached(
                attachment=Attachment(
                    medium="photo",
                    sha256="0" * 64,
                    size_bytes=1,
                    media_type="image/jpeg",
                    capture_path="camera",
                    captured_at=START_AT,
                ),
                caption=None,
            ),
            True,
        ),
        (CaseEnded(reason="over"), False),
    ],
)
def test_the_clock_stands_with_what_the_phone_claims_and_nowhere_else(
    body: Text | Attached | CaseEnded, has_clock: bool
) -> None:
    kept = with_clock(body, OFFSET)
    encoded = encode_body(kept)
    expected = {"offset_ms": -1840, "uncertainty_ms": 23} if has_clock else None
    assert encoded.get("clock") == expected
    assert parse_body(body.kind, encoded) == kept
    assert "clock" not in encode_body(with_clock(body, None)), "older readers see what they know"
