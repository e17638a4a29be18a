"""Which packets of an incoming stream are missing, and when to ask for them (RFC 4585 §6.2.1).

A packet is missing once a later one has arrived. It is asked for after a moment in which it may come by
itself, then once a round trip, until it arrives or asking has no more use. Packets are named by index: the
sequence number counted on without wrapping.
"""

from __future__ import annotations

from math import inf

REORDERING_S = 0.02  # Wi-Fi and LTE swap packets within this; asking earlier asks for what is coming
RETRY_S = 0.04  # at least between two tries, however short the round trip
MAX_TRIES = 10  # ten round trips at 30 % loss leave 6 packets in a million unrepaired
BATCH_S = 0.005  # what falls due within this goes into the same packet
MAX_MISSING = 512  # 2 s of 2.5 Mbit/s: after a longer outage a keyframe is the quicker repair


class NackGenerator:
    """The missing packets of one stream. `next_deadline` is when `handle_timeout` has something to do."""

    __slots__ = ("_given_up", "_max_age_s", "_missing", "next_deadline")

    def __init__(self, *, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._given_up = 0  # since the last time-out
        self._missing: dict[int, tuple[int, float, float]] = {}  # index: tries, due, noticed
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

    def handle_arrival(self, index: int) -> None:
        if self._missing.pop(index, None) and not self._missing and not self._given_up:
            self.next_deadline = inf

    def handle_timeout(self, now: float, round_trip_s: float) -> tuple[list[int], int]:
        """The sequence numbers to ask for now, ascending, and how many packets were given up."""
        if now < self.next_deadline:
            return [], 0
        asked: list[int] = []
        hopeless: list[int] = []
        again = now + max(RETRY_S, round_trip_s)
        for index, (tries, due, noticed) in self._missing.items():
            if due > now + BATCH_S:
                continue
            if tries >= MAX_TRIES or now - noticed > self._max_age_s:
                hopeless.append(index)
            else:
                asked.append(index)
                self._missing[index] = (tries + 1, again, noticed)
        for index in hopeless:
            del self._missing[index]
        given_up, self._given_up = self._given_up + len(hopeless), 0
        self.next_deadline = min((due for _, due, _ in self._missing.values()), default=inf)
        return [index & 0xFFFF for index in asked], given_up

    def forget(self) -> None:
        self._missing.clear()
        self._given_up = 0
        self.next_deadline = inf
