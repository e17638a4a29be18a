"""The newest decodable picture of one video stream: its last keyframe and the tail behind it, as RTP.

Pure. `handle_packet` takes each packet as it came out of SRTP, on the hot path; `newest_picture` is asked
once in a while and names the packets from which `picture_decoder.py` makes a picture.

    lost ──────────────┐                                        ┌── repaired late, or never
    … K k k k p p p p p ✗ p p p K k k p p p p p p ✗ p p p
                                └────── the run ─────┘ └ ahead of it ┘

- The run is what can be decoded: without a gap, from the start of a keyframe that is complete. The answer is
  its newest complete picture, even when more lies behind a gap; the arrival time tells how old it is.
- A newer keyframe replaces the run once the newer one is complete, and not before.
- Packets come in any order and more than once; the first of equal sequence numbers counts.
- What only a new keyframe mends (a gap that stays, no keyframe in sight) sets `wants_keyframe`, until one is
  complete; who polls it passes it on to the sender.
- Memory is bounded, and so is what a press may cost. A tail that grows long sets `is_long`, until a keyframe
  is complete: one would do good, but whoever watches through a narrow network sees the picture stand still
  for it. Past the bound the tail is let go, and the next press costs a keyframe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from media.depacketizer import is_base, is_keyframe_slice, shows_picture
from media.errors import MalformedPayload, NoPicture
from media.packet_history import Kept
from media.rtp import header_size, rtp_timestamp_of, sequence_number_of, ssrc_of
from media.rtp import payload as rtp_payload

MAX_RUN_BYTES = 8 << 20  # 8 MiB: 20 s at 3 Mbit/s; past it nothing of the run is worth its memory
MAX_RUN_S = 30.0  # a decoder takes 0.3-1 ms a VGA picture: 30 s of tail are the most one press may cost
LONG_RUN_BYTES: Final = 4 << 20  # where a new keyframe does good: leaves half of the bound for it to come
LONG_RUN_S = 20.0  # the same, in time
LONG_RUN_PICTURES: Final = 150  # the same, in what is to be decoded: 1.2 ms a VGA picture of VP8
PACKET_OVERHEAD_BYTES: Final = 256  # for CPython to keep one; keeps a run below 2^15 packets, too
MAX_DISORDER_S = 2.0  # as long as the packet history answers a NACK; older loose packets are forgotten
MAX_JUMP = 3000  # RFC 3550 appendix A.1, MAX_DROPOUT: beyond it the sender has begun to count anew
MAX_EARLIER_STARTS = 4  # of a keyframe that comes in reverse: H.264 has two parameter sets and a slice
REPAIR_PATIENCE_S = 0.5  # a gap older than this is not being repaired: a keyframe is quicker
STALE_S = 2.0  # a stream silent for longer shows the past: cameras send at least a picture a second
MAX_PICTURE_AGE_S = (
    5.0  # a press asks for now; behind a lasting gap older pictures would answer another question
)

SEQUENCE_MASK: Final = 0xFFFF
HALF_SEQUENCE: Final = 0x8000
NO_SEQUENCE: Final = -1
NO_SSRC: Final = -1
NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """The RTP packets, in order and without a gap, from a keyframe to the end of the wanted picture."""

    codec_name: str
    ssrc: int
    rtp_timestamp: int
    first_arrived: float
    arrived: float
    """Monotonic seconds when the oldest and the newest of the packets had arrived, a repaired one by its
    repair: by the latter the picture had arrived whole, with all that it rests on.
    """
    packets: tuple[bytes, ...]

    @property
    def first_sequence_number(self) -> int:
        return int.from_bytes(self.packets[0][2:4])

    @property
    def last_sequence_number(self) -> int:
        return int.from_bytes(self.packets[-1][2:4])


class PictureBuffer:
    """One video stream. A change of SSRC or codec, or a jump of the sequence numbers, begins a new stream."""

    __slots__ = (
        "_ahead",
        "_candidate",
        "_candidate_next",
        "_candidate_since",
        "_candidate_timestamp",
        "_codec_name",
        "_earlier_starts",
        "_gap_since",
        "_last_arrival",
        "_last_sequence_number",
        "_long_from",
        "_next",
        "_packets",
        "_pictures",
        "_size_bytes",
        "_ssrc",
        "_start",
        "is_long",
        "wants_keyframe",
    )

    def __init__(self) -> None:
        self.wants_keyframe = False
        self.is_long = False
        self._last_arrival = -NEVER
        self._begin_stream(NO_SSRC, "")

    def _begin_stream(self, ssrc: int, codec_name: str) -> None:
        self._ssrc = ssrc
        self._codec_name = codec_name
        self._last_sequence_number = NO_SEQUENCE
        self.is_long = False
        self._forget_everything()

    def _forget_everything(self) -> None:
        self._packets: dict[int, Kept] = {}  # by sequence number, in the order of arrival
        self._size_bytes = 0
        self._start = NO_SEQUENCE  # the run: its first packet and the first one missing behind it
        self._next = NO_SEQUENCE
        self._pictures = 0
        self._long_from = NEVER
        self._ahead = 0  # packets kept that lie behind a gap
        self._gap_since = NEVER
        self._candidate = NO_SEQUENCE  # the start of a newer keyframe that is not complete
        self._candidate_next = NO_SEQUENCE
        self._candidate_timestamp = -1  # of its slices, once one of them has come
        self._candidate_since = NEVER
        self._earlier_starts = 0

    def handle_packet(self, kept: Kept, codec_name: str, starts_keyframe: bool) -> None:
        """Keep one RTP packet of this stream (SRTP taken off, RTX unwrapped, its header checked). Never
        raises: what makes no sense shows itself when a picture is wanted.
        """
        packet, now = kept.data, kept.arrived
        ssrc = ssrc_of(packet)
        if ssrc != self._ssrc or codec_name != self._codec_name:
            self._begin_stream(ssrc, codec_name)
        sequence_number = sequence_number_of(packet)
        self._last_arrival = now
        if sequence_number == self._next and not self._ahead:
            self._packets[sequence_number] = kept
            self._next = (sequence_number + 1) & SEQUENCE_MASK
        elif not self._keep_out_of_order(sequence_number, kept):
            return
        self._last_sequence_number = sequence_number
        self._size_bytes += len(packet) + PACKET_OVERHEAD_BYTES
        if packet[1] & 0x80 and is_base(self._codec_name, packet, header_size(packet)):  # a picture ends
            self._pictures += 1
            if self._pictures > LONG_RUN_PICTURES and self._start != NO_SEQUENCE:
                self.is_long = True
        if starts_keyframe:
            self._handle_keyframe_start(sequence_number, now)
        if self._candidate != NO_SEQUENCE:
            self._follow_candidate(now)
        if now > self._long_from or self._size_bytes > LONG_RUN_BYTES:
            self._keep_bounds(now)

    def newest_picture(self, now: float) -> PictureRequest:
        """The newest complete picture that can be decoded. Raises NoPicture, whose code says why not."""
        if now - self._last_arrival > STALE_S:
            if self._last_arrival == -NEVER:
                raise NoPicture("no_packets", "no picture has come from this camera yet")
            raise NoPicture("stale", f"this camera has sent nothing for {now - self._last_arrival:.1f} s")
        if self._start == NO_SEQUENCE:
            if self._candidate == NO_SEQUENCE:
                raise NoPicture("no_keyframe", "no keyframe of this camera is at hand")
            raise NoPicture("incomplete_keyframe", "a keyframe of this camera is still arriving")
        first, last = self._newest_complete_picture()
        packets = self._packets
        if now - max(packets[number].arrived for number in _numbers(first, last)) > MAX_PICTURE_AGE_S:
            raise NoPicture("broken", "packets of this camera were lost, and no keyframe has come since")
        arrivals = [packets[number].arrived for number in _numbers(self._start, last)]
        return PictureRequest(
            codec_name=self._codec_name,
            ssrc=self._ssrc,
            rtp_timestamp=rtp_timestamp_of(packets[last].data),
            first_arrived=min(arrivals),
            arrived=max(arrivals),
            packets=tuple([packets[number].data for number in _numbers(self._start, last)]),
        )

    def _newest_complete_picture(self) -> tuple[int, int]:
        """Its first and last sequence number, looked for from the end of the run, a few packets back."""
        following_timestamp = b""
        last = NO_SEQUENCE
        shown = False
        for number in reversed(_numbers(self._start, self._next - 1)):
            packet = self._packets[number].data
            payload = rtp_payload(packet)
            if not payload:
                continue  # padding belongs to no picture
            if packet[1] & 0x80 or packet[4:8] != following_timestamp:
                if shown:
                    return (number + 1) & SEQUENCE_MASK, last
                # RFC 6184 §5.1: a receiver must not rely on the marker: another time ends a picture, too.
                last = number if packet[1] & 0x80 or following_timestamp else NO_SEQUENCE
                following_timestamp = packet[4:8]
            if last != NO_SEQUENCE and not shown:
                try:
                    shown = shows_picture(self._codec_name, payload)
                except MalformedPayload:
                    last = NO_SEQUENCE
        if not shown:
            raise NoPicture("no_keyframe", "this camera has sent a keyframe that is not to be shown")
        return self._start, last

    def _keep_out_of_order(self, sequence_number: int, kept: Kept) -> bool:
        """Keep a packet that is not simply the next one; False if it is a copy or comes too late."""
        now = kept.arrived
        if self._last_sequence_number != NO_SEQUENCE:
            distance = (sequence_number - self._last_sequence_number) & SEQUENCE_MASK
            if MAX_JUMP < distance < SEQUENCE_MASK + 1 - MAX_JUMP:
                self._begin_stream(self._ssrc, self._codec_name)
        packets = self._packets
        if sequence_number in packets:
            return False
        if self._start == NO_SEQUENCE:
            packets[sequence_number] = kept
            self._forget_loose_packets(now)
            return True
        if (sequence_number - self._next) & SEQUENCE_MASK >= HALF_SEQUENCE:
            return False  # from before the run
        packets[sequence_number] = kept
        if sequence_number == self._next:
            self._extend_run(now)
            return True
        if not self._ahead:
            self._gap_since = now
        self._ahead += 1
        if now - self._gap_since > REPAIR_PATIENCE_S:
            self.wants_keyframe = True
        return True

    def _extend_run(self, now: float) -> None:
        """Take what lay behind a gap into the run, up to the next gap."""
        self._next = (self._next + 1) & SEQUENCE_MASK
        while self._next in self._packets:
            self._next = (self._next + 1) & SEQUENCE_MASK
            self._ahead -= 1
        self._gap_since = now if self._ahead else NEVER

    def _forget_loose_packets(self, now: float) -> None:
        """Without a run nothing is kept for longer than a repair may take."""
        forgotten = []
        for number, kept in self._packets.items():
            if now - kept.arrived <= MAX_DISORDER_S and self._size_bytes <= MAX_RUN_BYTES:
                break
            forgotten.append(number)
            self._size_bytes -= len(kept.data) + PACKET_OVERHEAD_BYTES
        for number in forgotten:
            del self._packets[number]
            if number == self._candidate:
                self._candidate = NO_SEQUENCE
        if self._candidate == NO_SEQUENCE:
            self.wants_keyframe |= not self.is_long  # what was let go was whole, and nobody has asked since
        elif now - self._candidate_since > REPAIR_PATIENCE_S:
            self.wants_keyframe = True

    def _handle_keyframe_start(self, sequence_number: int, now: float) -> None:
        if self._candidate != NO_SEQUENCE:
            newer = (sequence_number - self._candidate) & SEQUENCE_MASK < HALF_SEQUENCE
            times = [rtp_timestamp_of(self._packets[one].data) for one in (sequence_number, self._candidate)]
            same_time = times[0] == times[1]
            # H.264 parameter sets may come in several packets of a picture: the first of them begins it.
            if newer == same_time or (same_time and self._earlier_starts == MAX_EARLIER_STARTS):
                return
            self._earlier_starts = self._earlier_starts + 1 if same_time else 0
        self._candidate = self._candidate_next = sequence_number
        self._candidate_timestamp = -1
        self._candidate_since = now
        if self._start == NO_SEQUENCE:
            self.wants_keyframe = False

    def _follow_candidate(self, now: float) -> None:
        """Follow the newer keyframe as far as it has come; where it is complete, it begins the run."""
        while (kept := self._packets.get(self._candidate_next)) is not None:
            packet = kept.data
            payload = rtp_payload(packet)
            if payload:  # padding belongs to no picture
                if self._candidate_timestamp < 0:
                    try:
                        is_key = is_keyframe_slice(self._codec_name, payload)
                    except MalformedPayload:
                        is_key = False
                    if is_key is False:  # parameter sets before a picture that is none
                        self._candidate = NO_SEQUENCE
                        return
                    if is_key:
                        self._candidate_timestamp = rtp_timestamp_of(packet)
                elif rtp_timestamp_of(packet) != self._candidate_timestamp:
                    self._begin_run(now)
                    return
                if packet[1] & 0x80 and self._candidate_timestamp >= 0:
                    self._candidate_next = (self._candidate_next + 1) & SEQUENCE_MASK
                    self._begin_run(now)
                    return
            self._candidate_next = (self._candidate_next + 1) & SEQUENCE_MASK

    def _begin_run(self, now: float) -> None:
        """The newer keyframe is complete: what came before it is not needed any more."""
        start, packets = self._candidate, self._packets
        advance = (start - self._start) & SEQUENCE_MASK if self._start != NO_SEQUENCE else SEQUENCE_MASK
        older = (
            _numbers(self._start, start - 1)  # keyframes in the midst of much that is ahead stay cheap
            if 0 < advance < len(packets)
            else [number for number in packets if (number - start) & SEQUENCE_MASK >= HALF_SEQUENCE]
        )
        for number in older:
            kept = packets.pop(number, None)
            if kept is not None:
                self._size_bytes -= len(kept.data) + PACKET_OVERHEAD_BYTES
        self._start = start
        self._next = self._candidate_next
        while self._next in packets:
            self._next = (self._next + 1) & SEQUENCE_MASK
        self._ahead = len(packets) - ((self._next - start) & SEQUENCE_MASK)
        self._gap_since = now if self._ahead else NEVER
        self._pictures = 0
        self._long_from = packets[start].arrived + LONG_RUN_S
        self._candidate = NO_SEQUENCE
        self.wants_keyframe = self.is_long = False

    def _keep_bounds(self, now: float) -> None:
        """The tail is long: a keyframe would do good while there is room; without room it is let go."""
        if self._start == NO_SEQUENCE:
            return  # loose packets have bounds of their own
        self.is_long = True
        if now > self._long_from + (MAX_RUN_S - LONG_RUN_S) or self._size_bytes > MAX_RUN_BYTES:
            self._forget_everything()


def _numbers(first: int, last: int) -> list[int]:
    """The sequence numbers from first to last, both included, across the wrap."""
    return [number & SEQUENCE_MASK for number in range(first, first + ((last - first) & SEQUENCE_MASK) + 1)]
