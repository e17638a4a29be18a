"""A dump gives back what went into it, is laid out as rtptools lay it out, and nonsense is told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import MalformedDump
from media.rtpdump import MAX_DATA_BYTES, MAX_OFFSET_MS, Dump, Record, encode_dump, parse_dump

BEGAN_AT = datetime(2026, 3, 4, 5, 6, 7, 89_012, tzinfo=UTC)
SECONDS = 1_772_600_767  # date -u -d '2026-03-04 05:06:07' +%s
HEAD = b"#!rtpplay1.0 0.0.0.0/0\n" + SECONDS.to_bytes(4) + (89_012).to_bytes(4) + bytes(8)

records = st.lists(
    st.tuples(st.integers(0, MAX_OFFSET_MS), st.booleans(), st.binary(min_size=1, max_size=40)), max_size=12
)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2106, 2, 7), timezones=st.just(UTC))  # noqa: DTZ001


def test_a_dump_is_laid_out_as_rtptools_do_it() -> None:
    dump = encode_dump(BEGAN_AT, [(0, False, b"sound"), (20, True, b"report")])
    assert dump == (
        HEAD
        + bytes((0, 8 + 5, 0, 5, 0, 0, 0, 0))
        + b"sound"
        + bytes((0, 8 + 6, 0, 0, 0, 0, 0, 20))
        + b"report"
    )


@given(began_at=moments, records=records)
def test_what_went_in_comes_out(began_at: datetime, records: list[tuple[int, bool, bytes]]) -> None:
    dump = parse_dump(encode_dump(began_at, records))
    assert dump == Dump(began_at=began_at, records=[Record(*record) for record in records])


def test_the_longest_packet_fits() -> None:
    records = [Record(MAX_OFFSET_MS, False, bytes(MAX_DATA_BYTES))]
    assert parse_dump(encode_dump(BEGAN_AT, records)).records == records


def test_a_start_in_another_time_zone_is_the_same_start() -> None:
    elsewhere = BEGAN_AT.astimezone(timezone(timedelta(hours=8)))
    assert encode_dump(elsewhere, []) == HEAD


def test_a_dump_of_somebody_else_is_read_whatever_address_it_names() -> None:
    theirs = b"#!rtpplay1.0 224.2.0.1/3456\n" + HEAD[23:31] + bytes((224, 2, 0, 1, 13, 128, 0, 0))
    assert parse_dump(theirs).began_at == BEGAN_AT


@given(st.one_of(st.binary(max_size=64), st.binary(max_size=64).map(HEAD.__add__)))
def test_any_bytes_are_a_dump_or_malformed(data: bytes) -> None:
    try:
        dump = parse_dump(data)
    except MalformedDump:
        return
    assert encode_dump(dump.began_at, dump.records) == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "begins with"),
        (b"#!rtpplay1.0 0.0.0.0/0", "begins with"),
        (b"#!rtpplay1.0 " + b"0" * 100 + HEAD[22:], "begins with"),
        (HEAD[:-1], "head of the dump is cut off"),
        (HEAD[:27] + (1_000_000).to_bytes(4) + bytes(8), "microseconds"),
        (HEAD + bytes(7), "head of record 0 is cut off"),
        (HEAD + bytes((0, 8, 0, 0, 0, 0, 0, 0)), "record 0 is empty"),
        (HEAD + bytes((0, 7, 0, 0, 0, 0, 0, 0)), "record 0 is empty"),
        (HEAD + bytes((0, 10, 0, 2, 0, 0, 0, 0)) + b"a", "longer than the dump"),
        (HEAD + bytes((0, 10, 0, 3, 0, 0, 0, 0)) + b"ab", "a part of its packet"),
    ],
)
def test_a_dump_that_is_malformed_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedDump, match=reason):
        parse_dump(data)
