"""A time has one form on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.values import cut_to_milliseconds, encode_time, parse_time

MOMENTS = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_a_time_comes_back_cut_to_milliseconds(moment_at: datetime) -> None:
    assert parse_time(encode_time(moment_at)) == cut_to_milliseconds(moment_at) <= moment_at
    assert len(encode_time(moment_at)) == len("2026-11-22T14:03:22.123Z")


@given(
    st.text()
    | st.none()
    | st.integers()
    | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fullmatch=True)
)
def test_a_time_is_read_or_a_value_error_and_nothing_else(text: object) -> None:
    try:
        moment_at = parse_time(text)
    except ValueError:
        return
    assert encode_time(moment_at) == text


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    beijing = timezone(timedelta(hours=8))
    assert (
        encode_time(datetime(2026, 11, 22, 22, 3, 22, 123_999, tzinfo=beijing)) == "2026-11-22T14:03:22.123Z"
    )


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T14:03:22Z",
        "2026-11-22 14:03:22.123Z",
        "2026-11-22T14:03:22.123+00:00",
        "2026-11-22T24:00:00.000Z",
    ],
)
def test_no_other_form_is_taken(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
