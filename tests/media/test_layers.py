"""What goes on of an encoding and its temporal layers, and in which numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from media.forwarder import Forwarder
from media.layer_filter import MAX_RUNS, Omissions
from media.packet_history import Kept
from media.reception import Reception
from media.rtp import HEADER, Ssrc, payload, rtp_timestamp_of
from media.vp8_descriptor import parse
from tests.media.call_scenario import (
    video_section,
)

CAMERA = video_section("1", sends=True, receives=False, rtx=True)
SLOT = video_section("3", sends=False, receives=True, rtx=True, numbered=True)
RIDS = ("low", "mid", "high")
FRAME_S = 1 / 25
PICTURE_BYTES = 200


def vp8(picture_id: int, layer: int, tl0: int, *, sync: bool = False, key: bool = False) -> bytes:
    """A picture's only payload: X, S; picture id of 15 bits, TL0PICIDX, TID (RFC 7741 §4.2)."""
    descriptor = bytes(
        [0x90, 0xE0, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF, tl0 & 0xFF, layer << 6 | sync << 5]
    )
    frame = b"\x10\x10\x00\x9d\x01\x2a\x80\x02\xe0\x01" if key else b"\x11\x10\x00"
    return descriptor + frame + bytes(PICTURE_BYTES)


@dataclass
class Stream:
    """A stream with three temporal layers: 0 2 1 2, a keyframe first; each picture is one packet."""

    reception: Reception
    picture_id: int = 100
    tl0: int = 200
    index: int = 70_000
    rtp_timestamp: int = 1_000
    place: int = 0

    def next(self, now: float, *, key: bool = False) -> tuple[int, bytes]:
        layer = 0 if key else (0, 2, 1, 2)[self.place % 4]
        sync = not key and self.place % 4 in (1, 2)
        self.place = 1 if key else self.place + 1
        self.picture_id, self.index = self.picture_id + 1, self.index + 1
        self.tl0 += layer == 0
        self.rtp_timestamp += 3_600
        head = HEADER.pack(0x80, 96 | 0x80, self.index & 0xFFFF, self.rtp_timestamp, self.reception.ssrc)
        packet = head + vp8(self.picture_id, layer, self.tl0, sync=sync, key=key)
        self.reception.history.keep(Kept(packet, now, index=self.index))
        return self.index, packet


def stream(ssrc: int, **numbers: int) -> Stream:
    return Stream(Reception(ssrc=Ssrc(ssrc), section=CAMERA, sequence_number=7), **numbers)


def forwarder() -> Forwarder:
    return Forwarder(
        receiver_id="b",
        ssrc=Ssrc(0xAAAA),
        section=SLOT,
        sequence_number=65_530,
        rtp_timestamp=5_000,
        repair_ssrc=Ssrc(0xAAAB),
    )


def forward(to: Forwarder, source: Stream, index: int, packet: bytes, now: float) -> bytes | None:
    rtp_timestamp = rtp_timestamp_of(packet)
    part = to.forward(source.reception, packet, index, rtp_timestamp, 12, now)
    return part[0] + part[1][part[2] :] if part is not None else None


def run(to: Forwarder, source: Stream, pictures: int, now: float = 10.0) -> list[bytes]:
    """The next pictures of a source that has begun; what the receiver gets."""
    got = []
    for place in range(pictures):
        packet = forward(to, source, *source.next(now + place * FRAME_S), now + place * FRAME_S)
        if packet is not None:
            got.append(packet)
    return got


def begin(to: Forwarder, source: Stream, now: float = 10.0) -> bytes:
    index, packet = source.next(now, key=True)
    to.begin(source.reception, index, int.from_bytes(packet[4:8]), now)
    got = forward(to, source, index, packet, now)
    assert got is not None
    return got


def sequence_numbers(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(packet[2:4]) for packet in packets]


def picture_numbers(packets: list[bytes]) -> list[tuple[int | None, int | None, int | None]]:
    """(picture id, TL0PICIDX, temporal layer)."""
    descriptors = [parse(payload(packet)) for packet in packets]
    return [(one.picture_id, one.tl0_picture_index, one.temporal_layer) for one in descriptors]


def assert_without_gap(packets: list[bytes]) -> None:
    numbers = sequence_numbers(packets)
    assert numbers == [(numbers[0] + place) & 0xFFFF for place in range(len(numbers))]
    pictures = [picture_id or 0 for picture_id, _, _ in picture_numbers(packets)]
    assert pictures == [pictures[0] + place for place in range(len(pictures))]


def test_all_layers_go_on_in_the_numbers_that_they_have() -> None:
    to, source = forwarder(), stream(1)
    got = [begin(to, source), *run(to, source, 8)]
    assert_without_gap(got)
    assert [layer for _, _, layer in picture_numbers(got)] == [0, 2, 1, 2, 0, 2, 1, 2, 0]
    assert picture_numbers(got)[0] == (101, 201, 0)


def test_a_layer_that_does_not_fit_is_left_out_without_a_gap() -> None:
    to, source = forwarder(), stream(1)
    got = [begin(to, source), *run(to, source, 4)]
    to.limit(2, stills=False)
    got += run(to, source, 8)
    assert_without_gap(got)
    assert [layer for _, _, layer in picture_numbers(got)[5:]] == [1, 0, 1, 0]
    to.limit(1, stills=False)
    lowest = run(to, source, 8)
    assert_without_gap([*got, *lowest])
    assert {layer for _, _, layer in picture_numbers(lowest)} == {0}


def test_a_layer_comes_back_only_where_the_stream_says_that_it_may() -> None:
    to, source = forwarder(), stream(1)
    got = [begin(to, source)]
    to.limit(1, stills=False)
    got += run(to, source, 4)
    to.limit(None, stills=False)
    source.place = 3  # the next picture is of the highest layer, and rests on one that was left out
    got += run(to, source, 6)
    assert_without_gap(got)
    assert [layer for _, _, layer in picture_numbers(got)[2:]] == [0, 2, 1, 2, 0]


def test_a_late_repair_and_a_retransmission_find_their_place_between_what_was_left_out() -> None:
    to, source = forwarder(), stream(1)
    sent = {}
    got = [begin(to, source)]
    to.limit(2, stills=False)
    for place in range(9):
        index, packet = source.next(10.0 + place * FRAME_S)
        sent[index] = packet
        if place == 1:
            slots = source.reception.history.slots
            slots[index % len(slots)] = None
            continue  # of the middle layer, and lost on the way to the relay
        if (part := forward(to, source, index, packet, 10.0)) is not None:
            got.append(part)
    missing_index = source.index - 7
    hole = (sequence_numbers(got)[0] + 1) & 0xFFFF
    assert hole not in sequence_numbers(got)
    source.reception.history.keep(Kept(sent[missing_index], 10.5, index=missing_index))
    late = forward(to, source, missing_index, sent[missing_index], 10.5)
    assert late is not None
    assert sequence_numbers([late]) == [hole]
    whole = sorted([*got, late], key=lambda packet: (sequence_numbers([packet])[0] - hole + 9) & 0xFFFF)
    assert_without_gap(whole)

    for packet in whole[2:]:  # each of them again, in the repair stream, the same behind its original number
        parts, absent = to.resend(sequence_numbers([packet]), 11.0, 0.1)
        assert absent == []
        [((head, shared, start), is_new)] = parts
        assert is_new
        repair = head + shared[start:]
        body = payload(repair)
        assert int.from_bytes(body[:2]) == sequence_numbers([packet])[0]
        assert body[2:] == payload(packet)


def test_another_encoding_goes_on_where_the_one_before_it_ended() -> None:
    to, high, low = forwarder(), stream(1), stream(2, picture_id=20_000, tl0=77, index=500_000)
    got = [begin(to, high), *run(to, high, 5)]
    got += [begin(to, low, now=10.5), *run(to, low, 5, now=10.54)]
    got += [begin(to, high, now=11.0), *run(to, high, 5, now=11.04)]
    assert_without_gap(got)
    base_layers = [tl0 or 0 for _, tl0, layer in picture_numbers(got) if layer == 0]
    assert base_layers == [base_layers[0] + place for place in range(len(base_layers))]
    timestamps = [int.from_bytes(packet[4:8]) for packet in got]
    assert timestamps == sorted(set(timestamps))


def test_between_two_stills_nothing_goes_on_and_no_number_is_missing() -> None:
    to, source = forwarder(), stream(1)
    got = [begin(to, source), *run(to, source, 3)]
    to.limit(None, stills=True)
    assert run(to, source, 20) == []
    for start in (11.0, 15.0):
        got.append(begin(to, source, now=start))
        assert run(to, source, 20, now=start) == []
    to.limit(None, stills=False)
    got += [begin(to, source, now=20.0), *run(to, source, 4, now=20.04)]
    assert_without_gap(got)


def test_what_never_left_the_pacer_leaves_no_hole() -> None:
    to, source = forwarder(), stream(1)
    got = [begin(to, source), *run(to, source, 4)]
    unsent = run(to, source, 3)
    to.forget_unsent(len(unsent), 0, sequence_numbers(unsent)[0])
    got.append(begin(to, source, now=11.0))
    numbers = sequence_numbers(got)
    assert numbers == [(numbers[0] + place) & 0xFFFF for place in range(len(numbers))]


@pytest.mark.parametrize("trims", [False, True])
def test_each_packet_that_went_on_is_found_by_its_place(trims: bool) -> None:
    omissions, draw = Omissions(), random.Random(1)
    places: dict[int, int] = {}
    index = went_on = 0
    for _ in range(MAX_RUNS + 100 if trims else MAX_RUNS - 10):
        for _ in range(draw.randint(1, 3)):
            places[index - omissions.packets] = index
            index, went_on = index + 1, went_on + 1
        for _ in range(draw.randint(1, 2)):
            omissions.add(index, is_new_picture=True)
            index += 1
    assert len(places) == went_on
    known = {place: one for place, one in places.items() if omissions.before(one) is not None}
    assert len(known) == len(places) or trims
    for place, one in places.items():
        assert omissions.index_at(place) == (one if place in known else -1)


def test_what_was_stopped_is_not_sent_again_and_what_begins_then_is() -> None:
    to, source = forwarder(), stream(1)
    number = sequence_numbers([begin(to, source), *run(to, source, 4)])[-1]
    assert to.resend([number], 10.5, 0.05)[0], "as long as it goes on"
    to.limit(None, stills=True)
    assert not to.resend([number], 11.0, 0.05)[0]
    still = sequence_numbers([begin(to, source, now=11.0)])[0]
    to.limit(None, stills=True)
    assert to.resend([still], 11.5, 0.05)[0], "the picture that it stops with"


def test_what_there_is_no_room_for_is_not_sent_again_nor_taken_for_loss_of_the_way() -> None:
    to, source = forwarder(), stream(1)
    numbers = sequence_numbers([begin(to, source), *run(to, source, 8)])
    assert not to.resend(numbers, 10.5, 0.05, 0.0)[0]
    parts, _ = to.resend(numbers, 10.5, 0.05, 1.0)
    assert len(parts) == 1, "whatever is left is enough for one"
