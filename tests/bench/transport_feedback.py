"""Transport-wide feedback of a bot: what arrived, and when, told as a browser tells it
(draft-holmer-rmcat-transport-wide-cc-extensions-01). Pure, and written from the draft alone: a relay's own
reading of it is what the benchmark measures.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|  FMT=15 |    PT=205     |           length              |
    |                    SSRC of packet sender                      |
    |                      SSRC of media source                     |
    |      base sequence number     |      packet status count      |
    |                 reference time                | fb pkt. count |
    |    packet chunks, 16 bits each ; deltas of 8 or 16 bits ; padding
"""

import struct

EXTENSION = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
TICK_NS = 250_000  # §3.1.5: deltas are multiples of 250 µs
REFERENCE_TICKS = 256  # §3.1: reference times are multiples of 64 ms
NOT_RECEIVED, SMALL_DELTA, LARGE_DELTA = 0, 1, 2  # §3.1.1
MAX_SMALL_TICKS = 0xFF
MAX_LARGE_TICKS = 0x7FFF
MAX_RUN = 0x1FFF  # §3.1.3: thirteen bits
VECTOR = 7  # §3.1.4: two bits a symbol
WORTH_A_RUN = 2 * VECTOR  # a shorter run fits in two vectors with what follows
MAX_STATUSES = 1_000  # four seconds of all that a bot gets: what is missing for longer is not told any more

_HEAD = struct.Struct("!BBHIIHHI")


class TransportFeedback:
    """Collects arrivals of one connection and tells them, each number once."""

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self._count = 0  # of feedback packets: eight bits
        self._told: int | None = None  # the highest number so far, unwrapped
        self._arrivals: dict[int, int] = {}  # sixteen-bit numbers, nanoseconds

    def handle_arrival(self, number: int, arrived_ns: int) -> None:
        """A packet with that transport-wide number."""
        self._arrivals[number] = arrived_ns

    def encode(self, media_ssrc: int) -> bytes | None:
        """One RTCP packet of what came since the last, or `None` if nothing did."""
        if not self._arrivals:
            return None
        near = next(iter(self._arrivals)) if self._told is None else self._told
        arrivals = {
            near + ((number - near + 0x8000) & 0xFFFF) - 0x8000: arrived_ns // TICK_NS
            for number, arrived_ns in self._arrivals.items()
        }
        self._arrivals = {}
        highest = max(arrivals)
        first = min(arrivals) if self._told is None else min(min(arrivals), self._told + 1)
        first = max(first, highest - MAX_STATUSES + 1)
        self._told = highest if self._told is None else max(highest, self._told)
        return self._packet(first, [arrivals.get(number) for number in range(first, highest + 1)], media_ssrc)

    def _packet(self, first: int, arrivals: list[int | None], media_ssrc: int) -> bytes:
        """`arrivals` are ticks of the consecutive numbers from `first`."""
        reference = next(ticks for ticks in arrivals if ticks is not None) // REFERENCE_TICKS
        before = reference * REFERENCE_TICKS
        statuses: list[int] = []
        deltas: list[bytes] = []
        for ticks in arrivals:
            if ticks is None or abs(ticks - before) > MAX_LARGE_TICKS:
                statuses.append(NOT_RECEIVED)
                continue
            delta = ticks - before
            before = ticks
            is_small = 0 <= delta <= MAX_SMALL_TICKS
            statuses.append(SMALL_DELTA if is_small else LARGE_DELTA)
            deltas.append(delta.to_bytes(1 if is_small else 2, signed=not is_small))
        body = b"".join([*_chunks(statuses), *deltas])
        # RFC 3550 §6.4.1: the last octet of the padding counts it, itself included.
        padding = -len(body) % 4
        if padding:
            body += bytes(padding - 1) + bytes([padding])
        self._count = (self._count + 1) & 0xFF
        return (
            _HEAD.pack(
                0x80 | (0x20 if padding else 0) | 15,
                205,
                (_HEAD.size + len(body)) // 4 - 1,
                self._ssrc,
                media_ssrc,
                first & 0xFFFF,
                len(arrivals),
                (reference & 0xFF_FFFF) << 8 | self._count,
            )
            + body
        )


def _chunks(statuses: list[int]) -> list[bytes]:
    chunks: list[bytes] = []
    position = 0
    while position < len(statuses):
        status = statuses[position]
        end = min(len(statuses), position + MAX_RUN)
        run = next((at for at in range(position, end) if statuses[at] != status), end) - position
        if run >= WORTH_A_RUN or position + run == len(statuses):
            chunks.append((status << 13 | run).to_bytes(2))
            position += run
        else:
            vector = 0b11  # T = 1: a vector; S = 1: of two bits a symbol
            for symbol in (statuses[position : position + VECTOR] + [NOT_RECEIVED] * VECTOR)[:VECTOR]:
                vector = vector << 2 | symbol
            chunks.append(vector.to_bytes(2))
            position += VECTOR
    return chunks
