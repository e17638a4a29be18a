"""When to ask a sender for a keyframe (PLI, RFC 4585 §6.3.1; FIR, RFC 5104 §4.3.1).

Receivers ask whenever they are lost, and often all at once. Their wishes are one wish: sent at once if the
last was a while ago, otherwise put off, never dropped, and repeated until a keyframe comes.

    idle ── request ──> wanted ── deadline ──> asked, wanted still ── keyframe ──> idle
"""

from __future__ import annotations

from math import inf

MIN_INTERVAL_S = 0.5  # a keyframe is worth ten frames of bandwidth: two a second at most
MAX_INTERVAL_S = 2.0  # a camera that is switched off is asked seldom, yet soon enough when it comes back


class KeyframeRequests:
    """The wish for a keyframe of one video source."""

    __slots__ = ("_asked_at", "_interval_s", "next_deadline", "wanted")

    def __init__(self) -> None:
        self.wanted = False
        self.next_deadline = inf
        self._asked_at = -inf
        self._interval_s = MIN_INTERVAL_S

    def handle_request(self, now: float) -> None:
        """Somebody needs a keyframe. Ask at `next_deadline`, which may be now."""
        self.wanted = True
        self._interval_s = MIN_INTERVAL_S
        self.next_deadline = min(self.next_deadline, max(now, self._asked_at + MIN_INTERVAL_S))

    def handle_keyframe(self) -> None:
        self.forget()

    def handle_timeout(self, now: float) -> bool:
        """Whether to ask the sender now."""
        if now < self.next_deadline:
            return False
        self._asked_at = now
        self.next_deadline = now + self._interval_s
        self._interval_s = min(2 * self._interval_s, MAX_INTERVAL_S)
        return True

    def forget(self) -> None:
        self.wanted = False
        self.next_deadline = inf
