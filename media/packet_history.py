"""What was sent lately, kept so that a NACK is answered with the very same bytes (RFC 4585 §6.2.1).

The same bytes again: SRTP then makes the same ciphertext of them, and no key stream is ever used for two
different packets (RFC 3711 §9.1).
"""

from __future__ import annotations

from collections import deque

VIDEO_WINDOW_S = 2.0  # ten tries at a round trip of 200 ms; later than that a keyframe is the quicker repair
AUDIO_WINDOW_S = 1.0  # jitter buffers hold less, so whatever is older cannot be played any more
MAX_PACKETS = 4096  # 2 s at 18 Mbit/s; bounds memory whatever a sender does

MIN_REPEAT_GATE_S = 0.02  # the shortest NACK timer in use (libwebrtc's is 20 ms)
MAX_REPEAT_GATE_S = 0.1  # so that a round trip measured too long never costs a repair


class PacketHistory:
    """Packets of one outgoing stream by sequence number, none older than `window_s`."""

    __slots__ = ("_order", "_packets", "_resent_at", "_window_s")

    def __init__(self, *, window_s: float) -> None:
        self._window_s = window_s
        self._packets: dict[int, bytes] = {}
        self._order: deque[tuple[float, int]] = deque()
        self._resent_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._packets)

    def store(self, sequence_number: int, packet: bytes, now: float) -> None:
        order = self._order
        oldest = now - self._window_s
        while order and (order[0][0] < oldest or len(order) == MAX_PACKETS):
            forgotten = order.popleft()[1]
            self._packets.pop(forgotten, None)
            self._resent_at.pop(forgotten, None)
        self._packets[sequence_number] = packet
        order.append((now, sequence_number))

    def resend(self, sequence_number: int, now: float, round_trip_s: float) -> bytes | None:
        """The packet, unless it is unknown, too old, or under way already: a receiver that asks twice within
        a round trip has not waited for the answer.
        """
        packet = self._packets.get(sequence_number)
        if packet is None:
            return None
        gate_s = min(max(round_trip_s, MIN_REPEAT_GATE_S), MAX_REPEAT_GATE_S)
        if now - self._resent_at.get(sequence_number, -gate_s) < gate_s:
            return None
        self._resent_at[sequence_number] = now
        return packet
