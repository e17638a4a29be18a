"""Which packets of an incoming stream are missing, and when to ask for them (RFC 4585 §6.2.1).

A packet is missing once a later one has arrived. It is asked for after a moment in which it may come by
itself, then once a round trip, until it arrives or asking has no more use. Packets are named by index: the
sequence number counted on without wrapping. What would come too late to be of use is not asked for.
"""

from __future__ import annotations

from math import inf

from media.allowance import Allowance

REORDERING_S = 0.01  # Wi-Fi and LTE swap packets within this; asking earlier asks for what is coming
RETRY_S = 0.02  # at least between two tries, however short the round trip: libwebrtc's own timer
ROUND_TRIPS = (
    1.1  # between two tries: the answer's own jitter; asking sooner is ignored (libwebrtc's history)
)
MAX_TRIES = 10  # ten round trips at 30 % loss leave 6 packets in a million unrepaired
BATCH_S = 0.005  # what falls due within this goes into the same packet
MAX_MISSING = 512  # 2 s of 2.5 Mbit/s: after a longer outage a keyframe is the quicker repair
WISHES_AT_ONCE = 64  # a quarter of a second of 2.5 Mbit/s: what was given up here and is missed there
WISHES_A_SECOND = 32  # a tenth of such a stream, for all receivers: the gaps seen here are asked for anyway
MAX_MISSING_WITH_WISHES = MAX_MISSING // 2  # the other half is for what is missed here


class NackGenerator:
    """The missing packets of one stream. `next_deadline` is when `handle_timeout` has something to do."""

    __slots__ = ("_given_up", "_max_age_s", "_missing", "_wished", "_wishes", "next_deadline")

    def __init__(self, *, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._given_up = 0  # since the last time-out
        self._missing: dict[int, tuple[int, float, float]] = {}  # index: tries, due, noticed
        self._wished: dict[int, None] = {}  # what was asked for anew because a receiver missed it
        self._wishes = Allowance(burst=WISHES_AT_ONCE, per_second=WISHES_A_SECOND)
        self.next_deadline = inf

    def __len__(self) -> int:
        return len(self._missing)

    def handle_gap(self, first: int, end: int, now: float) -> None:
        """Indices `first` to before `end` are missing. If these are too many to repair, all are given up."""
        if len(self._missing) + end - first > MAX_MISSING:
            given_up = self._given_up + len(self._missing) + end - first
            self.forget()
            self._given_up = given_up
            self.next_deadline = now
            return
        due = now + REORDERING_S
        for index in range(first, end):
            self._missing[index] = (0, due, now)
        self.next_deadline = min(self.next_deadline, due)

    def handle_wish(self, index: int, now: float) -> None:
        """A receiver misses a packet that never arrived here: ask at once, also if it was given up. Once, and
        not for so many that what is missed here has no room.
        """
        if index in self._wished or index in self._missing or len(self._missing) >= MAX_MISSING_WITH_WISHES:
            return
        if not self._wishes.take(1, now):
            return
        if len(self._wished) == MAX_MISSING:
            del self._wished[next(iter(self._wished))]
        self._wished[index] = None
        self._missing[index] = (0, now, now)
        self.next_deadline = min(self.next_deadline, now)

    def handle_arrival(self, index: int) -> bool:
        """Whether the packet had been asked for: a repair, and no mere delay."""
        tries = self._missing.pop(index, (0,))[0]
        if not self._missing and not self._given_up:
            self.next_deadline = inf
        return tries > 0

    def handle_timeout(self, now: float, round_trip_s: float) -> tuple[list[int], int]:
        """The sequence numbers to ask for now, ascending, and how many packets were given up."""
        if now < self.next_deadline:
            return [], 0
        asked: list[int] = []
        hopeless: list[int] = []
        again = now + max(RETRY_S, ROUND_TRIPS * round_trip_s)
        for index, (tries, due, noticed) in self._missing.items():
            if due > now + BATCH_S:
                continue
            if tries >= MAX_TRIES or now + round_trip_s - noticed > self._max_age_s:
                hopeless.append(index)
            else:
                asked.append(index)
                self._missing[index] = (tries + 1, again, noticed)
        for index in hopeless:
            del self._missing[index]
        # A wish in vain is no news: who wished may ask for a keyframe, within the bounds of such wishes.
        lost = sum(index not in self._wished for index in hopeless)
        given_up, self._given_up = self._given_up + lost, 0
        self.next_deadline = min((due for _, due, _ in self._missing.values()), default=inf)
        return [index & 0xFFFF for index in sorted(asked)], given_up

    def forget(self) -> None:
        self._missing.clear()
        self._given_up = 0
        self.next_deadline = inf
