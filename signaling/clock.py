"""The phone's clock beside ours: how far it is off, measured on the WebSocket, and kept with what it claims.

    server  sent_at ──── clock_probe ────▶ page
            received_at ◀─── clock {at} ── `at` by the phone's clock, between the two

The phone read its clock after `sent_at` and before `received_at` by ours: its offset lies between
`at - received_at` and `at - sent_at`, whatever the way there and back took. The middle is told, and half the
width as its uncertainty: a bound, not an estimate. Of several probes the one of the shortest way counts
(RFC 5905 section 10 picks likewise). A page may lie about its clock, as about every time that it claims: then
the lie stands in the log beside our own time.

Pure: times come in. All are wall clocks; where ours was set back meanwhile, the reading is not used.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from pydantic import Field

from signaling.values import MAX_INTEGER, Count, Strict, Whole

PROBES = 5  # at once after another: the best of five ways is near the shortest there is
AGAIN_AFTER = timedelta(minutes=10)  # an oscillator drifts 30 ms meanwhile; a person may set the clock
READING_RESOLUTION = timedelta(milliseconds=1)  # a phone tells its time in milliseconds, cut off
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset(Strict):
    """How far the phone's clock was ahead of the service's when it was measured, negative for behind; true to
    `uncertainty_ms` either way.
    """

    offset_ms: Annotated[Whole, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    uncertainty_ms: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Strict):
    """Base of bodies with a time that a phone claims. `clock`: that phone's, where it was measured; left out
    where not, as in older entries.
    """

    clock: Annotated[ClockOffset | None, Field(exclude_if=lambda clock: clock is None)] = None


B = TypeVar("B")


def with_clock(body: B, clock: ClockOffset | None) -> B:
    """The body of an entry with the clock of the phone that claims its times, if it claims any."""
    if clock is None or not isinstance(body, Claim) or not _claims_a_time(body):
        return body
    return replace(body, clock=clock)


def _claims_a_time(body: Claim) -> bool:
    return any(getattr(body, name, None) for name in ("captured_at", "attachment", "attachments"))


class ClockMeasurement:
    """One connection's. Probes are numbered from 1; one is on its way at a time."""

    def __init__(self) -> None:
        self.offset: ClockOffset | None = None
        self._width: timedelta | None = None  # of the best of this round
        self._number = 0
        self._left = 0
        self._sent_at: datetime | None = None  # of the probe that is on its way
        self._began_at: datetime | None = None

    def begin(self, now_at: datetime) -> int:
        """Begins a round; returns the number of the probe to send now. What was measured stays until then."""
        self._left = PROBES
        self._width = None
        self._began_at = now_at
        return self._probe(now_at)

    def handle_time(self, now_at: datetime) -> int | None:
        """The page gave a sign of life: the probe to send, if it is time for another round."""
        if self._began_at is None or abs(now_at - self._began_at) < AGAIN_AFTER:
            return None
        return self.begin(now_at)

    def handle_reading(self, number: int, at: datetime, now_at: datetime) -> int | None:
        """What the phone's clock said; returns the number of the next probe, if one is to be sent. An answer
        to no probe, or to an older one, is passed over.
        """
        sent_at = self._sent_at
        if sent_at is None or number != self._number:
            return None
        self._sent_at = None
        lowest, highest = at - now_at, at + READING_RESOLUTION - sent_at
        width = highest - lowest
        if width >= timedelta(0) and (self._width is None or width < self._width):
            self._width = width
            self.offset = ClockOffset(
                offset_ms=round((lowest + highest) / 2 / timedelta(milliseconds=1)),
                # Half the width, rounded up, and what the rounding of the middle may take away.
                uncertainty_ms=-(-width // MICROSECOND // 2000) + 1,
            )
        return self._probe(now_at) if self._left else None

    def _probe(self, now_at: datetime) -> int:
        self._number += 1
        self._left -= 1
        self._sent_at = now_at
        return self._number
