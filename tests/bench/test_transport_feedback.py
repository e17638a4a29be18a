"""What bots tell of their arrivals, read again as the draft says."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.transport_feedback import MAX_STATUSES, TICK_NS, TransportFeedback

MS = 1_000_000


def read(packet: bytes) -> dict[int, int | None]:
    """Sixteen-bit numbers and ticks of 250 µs: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1."""
    first, payload_type, length = struct.unpack_from("!BBH", packet)
    assert (first & 0xDF, payload_type, 4 * (length + 1)) == (0x8F, 205, len(packet))
    base, count = struct.unpack_from("!HH", packet, 12)
    ticks = int.from_bytes(packet[16:19]) * 256
    position = 20
    statuses: list[int] = []
    while len(statuses) < count:
        chunk = int.from_bytes(packet[position : position + 2])
        position += 2
        if chunk >> 15 == 0:
            statuses += [chunk >> 13 & 3] * (chunk & 0x1FFF)
        else:
            assert chunk >> 14 & 1, "bots have no vectors of one bit"
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
    found: dict[int, int | None] = {}
    for index, status in enumerate(statuses[:count]):
        delta = None
        if status:
            delta = int.from_bytes(packet[position : position + status], signed=status == 2)
            position += status
            ticks += delta
        found[(base + index) & 0xFFFF] = None if delta is None else ticks
    padding = packet[-1] if first & 0x20 else 0
    assert len(packet) - position == padding <= 3
    return found


def told(arrivals: dict[int, int]) -> dict[int, int | None]:
    feedback = TransportFeedback(1)
    for number, arrived_ns in arrivals.items():
        feedback.handle_arrival(number, arrived_ns)
    packet = feedback.encode(2)
    assert packet is not None
    return read(packet)


def test_a_packet_is_what_the_draft_draws() -> None:
    feedback = TransportFeedback(0x01020304)
    for number, arrived_ms in ((65535, 128), (0, 130), (2, 129)):  # 1 is missing, 2 overtook 0
        feedback.handle_arrival(number, arrived_ms * MS)
    packet = feedback.encode(0x05060708)
    assert packet == bytes.fromhex(
        "af cd 00 06  01 02 03 04  05 06 07 08  ff ff 00 04  00 00 02 01"
        # a vector of two bits a symbol: small, small, nothing, large
        "d4 80  00  08  ff fc  00 02"
    )


def test_what_was_told_is_not_told_again_and_what_is_missing_is_told_once() -> None:
    feedback = TransportFeedback(1)
    assert feedback.encode(2) is None
    for number in (10, 11, 12):
        feedback.handle_arrival(number, number * MS)
    assert list(read(feedback.encode(2) or b"")) == [10, 11, 12]
    assert feedback.encode(2) is None
    feedback.handle_arrival(15, 15 * MS)
    assert read(feedback.encode(2) or b"") == {13: None, 14: None, 15: 60}
    feedback.handle_arrival(14, 20 * MS)
    assert read(feedback.encode(2) or b"") == {14: 80}, "who comes late is told after all"
    feedback.handle_arrival(16, 21 * MS)
    assert list(read(feedback.encode(2) or b"")) == [16]


def test_feedback_packets_are_counted() -> None:
    feedback = TransportFeedback(1)
    counts = []
    for number in range(300):
        feedback.handle_arrival(number, number * MS)
        counts.append((feedback.encode(2) or b"")[19])
    assert counts == [(number + 1) & 0xFF for number in range(300)]


@pytest.mark.parametrize("start", [0, 65_000])
def test_a_second_without_loss_is_one_run(start: int) -> None:
    arrivals = {(start + number) & 0xFFFF: number * 5 * MS for number in range(200)}
    assert told(arrivals) == {number: ns // TICK_NS for number, ns in arrivals.items()}


def test_no_more_is_told_than_fits() -> None:
    found = told({0: 0, 5_000: 1 * MS})
    assert len(found) == MAX_STATUSES and found[5_000] == 4 and found.get(0) is None


@given(
    st.integers(0, 0xFFFF),
    st.lists(st.one_of(st.none(), st.integers(0, 4_000)), min_size=1, max_size=200).filter(
        lambda seen: any(arrived_ms is not None for arrived_ms in seen)
    ),
)
def test_whatever_arrived_is_told(first: int, seen: list[int | None]) -> None:
    arrivals = {
        (first + index) & 0xFFFF: arrived_ms * MS
        for index, arrived_ms in enumerate(seen)
        if arrived_ms is not None
    }
    found = told(arrivals)
    assert {number: ticks for number, ticks in found.items() if ticks is not None} == {
        number: ns // TICK_NS for number, ns in arrivals.items()
    }
