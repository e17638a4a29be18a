"""Calls at random: budgets that come and go, encodings that stop, late packets. What always holds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from media.downlink import Downlink
from media.encodings import RIDS
from media.journal import encode_segment
from media.rtcp import Nack, PictureLossIndication
from media.rtp import HEADER, Ssrc, extension_block
from tests.media.call_scenario import MID_ID, NUMBER_ID, RID_ID, Admit, Join, SimulatedCall, page_offer, play
from tests.media.leg_scenario import element
from tests.media.test_layers import vp8

PICTURE_S = 0.04
PICTURES = 300
SSRCS = {"low": 0x10, "high": 0x30}
PACKETS = {"low": 1, "high": 4}  # of a picture; three times as many of a keyframe
LATENESS_S = (0.05, 0.1, 0.3, 0.8)
BUDGETS_BPS = (5_000, 40_000, 120_000, 300_000, 600_000, 900_000)
LEAST_PACE_BPS = 40_000


@dataclass
class BadDay:
    """ "a" films in two encodings, of which the better one stops now and then; "b" watches."""

    call: SimulatedCall
    draw: random.Random
    lateness: float
    nacks: bool
    budget_bps: int = 800_000
    numbers: dict[str, int] = field(default_factory=lambda: {"low": 1_000, "high": 30_000})
    arrival_number: int = 0
    late: list[tuple[float, bytes]] = field(default_factory=list)

    def budget(self, downlink: Downlink) -> int:
        downlink.pacer.rate_bps = max(LEAST_PACE_BPS, round(1.1 * self.budget_bps))
        return self.budget_bps

    def run(self, pictures: int) -> None:
        for place in range(pictures):
            self.pass_time()
            if self.draw.random() < 0.04:
                self.budget_bps = self.draw.choice(BUDGETS_BPS)
            wanted = self.wanted_keyframes()
            for rid in SSRCS:
                if rid == "low" or not place // 30 % 2:
                    is_key = place == 0 or SSRCS[rid] in wanted or (rid == "high" and place % 60 == 0)
                    self.film(rid, place, is_key=is_key)
            if self.nacks and place % 3 == 0:
                self.ask_again()

    def pass_time(self) -> None:
        self.call.run(PICTURE_S)
        self.call.perform(self.call.router.handle_timeout(self.call.now))
        assert self.call.router.next_deadline > self.call.now, "it would be woken without end"
        for due in [one for one in self.late if one[0] <= self.call.now]:
            self.late.remove(due)
            self.call.deliver("a", due[1])

    def wanted_keyframes(self) -> set[int]:
        told = self.call.told["a"]
        new, self.call.answered["a"] = told[self.call.answered["a"] :], len(told)
        return {one.media_ssrc for _, one in new if isinstance(one, PictureLossIndication)}

    def film(self, rid: str, place: int, *, is_key: bool) -> None:
        layer = 0 if is_key else (0, 2, 1, 2)[place % 4]
        for part in range(PACKETS[rid] * (3 if is_key else 1)):
            self.numbers[rid] += 1
            self.arrival_number += 1
            body = vp8(place, layer, place // 4, sync=layer > 0, key=is_key and part == 0)
            if part:
                body = bytes([0x80]) + body[1:]
            names = element(MID_ID, b"1") + element(RID_ID, rid.encode())
            extension = extension_block(names + element(NUMBER_ID, self.arrival_number.to_bytes(2)))
            head = HEADER.pack(0x90, 96, self.numbers[rid] & 0xFFFF, 3_600 * place, SSRCS[rid])
            if self.draw.random() < self.lateness:
                self.late.append((self.call.now + self.draw.choice(LATENESS_S), head + extension + body))
            else:
                self.call.deliver("a", head + extension + body)

    def ask_again(self) -> None:
        newest = self.call.heard["b"][-60:]
        asked = self.draw.sample(newest, min(8, len(newest)))
        numbers = tuple((one.header.sequence_number + self.draw.choice((0, 1))) & 0xFFFF for one in asked)
        ssrc = self.call.ssrc_of_slot("b", 0, "video")
        self.call.deliver_rtcp("b", Nack(ssrc=Ssrc(1), media_ssrc=ssrc, sequence_numbers=numbers))


@pytest.mark.parametrize("lateness", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("repairs", ["in a stream of their own", "in the stream itself"])
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_day_reuses_no_number_wakes_nobody_in_vain_and_is_kept_once(
    lateness: float, repairs: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same SSRC and number with other bytes would tell the key away (RFC 7714 §7.1)."""
    has_stream = repairs == "in a stream of their own"
    call = play(
        Join("a", page_offer(rids=RIDS, numbered=True, rtx=True)),
        Join("b", page_offer(numbered=True, rtx=has_stream)),
        Admit("a", journal=True),
        Admit("b"),
    )
    day = BadDay(call, random.Random(seed), lateness, nacks=not has_stream)
    monkeypatch.setattr(
        Downlink, "_budget_bps", lambda one: day.budget(one) if one.receiver_id == "b" else 4_000_000
    )
    day.run(PICTURES)
    call.perform(call.router.withdraw("a", call.now))

    left: dict[tuple[int, int], bytes] = {}
    for one in call.heard["b"]:
        number = one.header.ssrc, one.header.sequence_number
        assert left.setdefault(number, one.packet) == one.packet
    assert len(left) > 100, "or nothing was tried"
    kept = [
        record.data[2:4] + record.data[8:12]
        for cut in call.cut["a"]
        for record in cut.records
        if not record.is_rtcp
    ]
    assert len(kept) == len(set(kept)) > 200
    for segment in call.cut["a"]:
        encode_segment(segment)
