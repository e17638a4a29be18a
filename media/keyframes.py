"""When to ask a sender for a keyframe (PLI, RFC 4585 §6.3.1; FIR, RFC 5104 §4.3.1).

Receivers ask whenever they are lost, and often all at once. Their wishes are one wish: sent at once if the
last was a while ago, otherwise put off, never dropped, and repeated until a keyframe comes.

    idle ── request ──> wanted ── deadline ──> asked, wanted still ── keyframe ──> idle

A keyframe is paid for by everybody who watches. A receiver that asks and asks is heard a few times, then less
often: its wishes are put off, never dropped, and those of others do not wait for them.
"""

from __future__ import annotations

from math import inf

MIN_INTERVAL_S = 0.5  # a keyframe is worth ten frames of bandwidth: two a second at most
MAX_INTERVAL_S = 2.0  # a camera that is switched off is asked seldom, yet soon enough when it comes back
MAX_PROMPT_WISHES = 4  # of one receiver: a lift ride or a bad corner loses as many keyframes in a row
WISH_INTERVAL_S = 2.0  # of one receiver, from then on: a keyframe of ten frames costs a sixth of the stream


class KeyframeWishes:
    """When the wishes of one receiver for the pictures of one slot are heard."""

    __slots__ = ("_heard_at", "_paid_until")

    def __init__(self) -> None:
        self._heard_at = -inf
        self._paid_until = -inf  # each wish heard moves it on by an interval; it may be a few ahead

    def handle_wish(self, now: float) -> float:
        """When to hear this wish: now, or later. One that is put off stands for all until then."""
        if self._heard_at > now:
            return self._heard_at
        ahead_s = (MAX_PROMPT_WISHES - 1) * WISH_INTERVAL_S
        self._heard_at = max(now, self._paid_until - ahead_s)
        self._paid_until = max(now, self._paid_until) + WISH_INTERVAL_S
        return self._heard_at


class KeyframeRequests:
    """The wish for a keyframe of one video source."""

    __slots__ = ("_asked_at", "_interval_s", "next_deadline", "wanted")

    def __init__(self) -> None:
        self.wanted = False
        self.next_deadline = inf
        self._asked_at = -inf
        self._interval_s = MIN_INTERVAL_S

    def handle_request(self, now: float, not_before: float = -inf) -> None:
        """Somebody needs a keyframe. Ask at `next_deadline`, which may be now. One that is to wait until
        `not_before` is wanted from then on, unless a keyframe comes earlier.
        """
        if not_before <= now:
            self._want()
        self.next_deadline = min(self.next_deadline, max(now, not_before, self._asked_at + MIN_INTERVAL_S))

    def handle_keyframe(self) -> None:
        self.forget()

    def handle_timeout(self, now: float) -> bool:
        """Whether to ask the sender now."""
        if now < self.next_deadline:
            return False
        if not self.wanted:
            self._want()
        self._asked_at = now
        self.next_deadline = now + self._interval_s
        self._interval_s = min(2 * self._interval_s, MAX_INTERVAL_S)
        return True

    def _want(self) -> None:
        self.wanted = True
        self._interval_s = MIN_INTERVAL_S

    def forget(self) -> None:
        self.wanted = False
        self.next_deadline = inf
