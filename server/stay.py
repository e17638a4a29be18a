"""One person's stay in a call as it was measured: levels and numbers while it lasts, a summary at its end.

    streams of their connection, one reading a second ──┐          ┌─> PersonQuality (an event)
    what is believed of their network; slots ───────────┤          │
    what their page played: its claim ──────────────────┼─> Stay ──┼─> StartGap, EndGap (commands)
    what is there of them and what is not ──────────────┘          └─> CallQuality (an entry)

A connection may be replaced during a stay, and its counters begin anew: only what they grew by is taken.
Pure: no clock, no socket.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from media.encodings import LegQuality, Picture
from media.network_grade import GradeReading, Level, NetworkGrade, worst
from media.peer import ASSUMED_ROUND_TRIP_S
from media.relay import ConnectionState
from media.repair_time import RepairTime
from media.router import SlotAssignment, StreamQuality
from server.watching import Watching
from signaling.commands import EndGap, StartGap
from signaling.entries import (
    CallQuality,
    Estimate,
    Estimates,
    GapCause,
    GapSum,
    PictureSum,
    PlaybackClaim,
    RoundTrip,
    Traffic,
    WayQuality,
)
from signaling.gaps import GapBegan, Gaps
from signaling.messages import (
    Muted,
    PersonQuality,
    Playback,
    PlaybackNumbers,
    QualityNumbers,
    WayNumbers,
)
from signaling.values import MAX_INTEGER, ActorId

MIN_PACKETS = 10  # of a reading, to say anything of loss: silence by DTX sends two or three a second
MAX_ROUND_TRIP_MS = 10_000  # longer is counted as this: the median then has a bounded memory
MAX_OUTGOING_BPS = 1_000_000_000  # a page may claim anything; no phone's uplink carries more
CLAIM_READINGS = 5  # seconds for which a page's word of its uplink is good: it says it about every 2 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One way's counters, over all of its streams."""

    packets: int = 0
    bytes: int = 0
    lost_packets: int = 0
    repaired_packets: int = 0

    def grown_from(self, before: "Counted") -> "Counted":
        """By how much; a counter that began anew has not grown."""
        return Counted(
            packets=max(0, self.packets - before.packets),
            bytes=max(0, self.bytes - before.bytes),
            lost_packets=max(0, self.lost_packets - before.lost_packets),
            repaired_packets=max(0, self.repaired_packets - before.repaired_packets),
        )

    def plus(self, more: "Counted") -> "Counted":
        return Counted(
            packets=self.packets + more.packets,
            bytes=self.bytes + more.bytes,
            lost_packets=self.lost_packets + more.lost_packets,
            repaired_packets=self.repaired_packets + more.repaired_packets,
        )


NOTHING = Counted()


def count(streams: Iterable[StreamQuality]) -> Counted:
    """Their sum. RFC 3550 lets the number of lost packets be negative: duplicates."""
    one_by_one = list(streams)
    return Counted(
        packets=sum(stream.packets for stream in one_by_one),
        bytes=sum(stream.bytes for stream in one_by_one),
        lost_packets=max(0, sum(stream.lost_packets for stream in one_by_one)),
        repaired_packets=sum(stream.repaired_packets for stream in one_by_one),
    )


class Carried:
    """What a network was believed to carry, over a stay. Two digits bound the memory: some hundred values."""

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()

    def handle_estimate(self, estimate_bps: int) -> None:
        """One of them, in the order of time or not."""
        step = 10 ** max(0, len(str(estimate_bps)) - 2)
        self._seen[estimate_bps // step * step] += 1

    def sum(self) -> Estimate | None:
        if not self._seen:
            return None
        return Estimate(median_bps=_median(self._seen), min_bps=min(self._seen))


class Way:
    """Sent or received."""

    def __init__(self) -> None:
        self.sum = NOTHING
        self.bitrate_bps = 0
        self.loss = 0.0
        self.estimate_bps: int | None = None
        self.estimates = Carried()
        self._grade = NetworkGrade()
        self._repair_time = RepairTime()
        self._counted = NOTHING
        self._read_bytes = 0
        self._read_packets: Mapping[tuple[str, str, str], int] = {}

    @property
    def level(self) -> Level:
        return self._grade.level

    @property
    def repair_ms(self) -> int:
        """How much later repaired packets come on this way."""
        return self._repair_time.wait_ms

    def begin(self, streams: Sequence[StreamQuality]) -> None:
        """What these have counted until now belongs to no reading."""
        self._counted = count(streams)
        self._read_packets = _packets(streams)

    def handle_counters(self, streams: Sequence[StreamQuality]) -> None:
        """Adds what they grew by."""
        counted = count(streams)
        self.sum = self.sum.plus(counted.grown_from(self._counted))
        self._counted = counted

    def handle_reading(
        self,
        streams: Sequence[StreamQuality],
        sources: Mapping[tuple[str, str], StreamQuality],
        round_trip_s: float | None,
        *,
        silent: bool,
        elapsed_s: float,
        pictures: Level = "good",
    ) -> None:
        """After `handle_counters`, about once a second. `sources`: of what is received, by mid and kind, the
        stream of its sender to the relay; `pictures`: what those that come this way say of it.
        """
        self.bitrate_bps = round((self.sum.bytes - self._read_bytes) * 8 / elapsed_s) if elapsed_s > 0 else 0
        self._read_bytes = self.sum.bytes
        lost, jitter_s, packets = 0.0, 0.0, 0
        for stream in streams:
            fresh = max(0, stream.packets - self._read_packets.get(_key(stream), 0))
            if fresh == 0:
                continue  # its last report speaks of another time
            source = sources.get((stream.mid, stream.kind))
            lost += fresh * stream.fraction_lost
            packets += fresh
            # What came late from its source comes late to everyone: nobody's network is blamed for another's.
            jitter_s = max(jitter_s, stream.jitter_s - (source.jitter_s if source is not None else 0.0))
        self._read_packets = _packets(streams)
        known = packets >= MIN_PACKETS
        self.loss = min(1.0, lost / packets) if known else 0.0
        self._repair_time.handle_reading(
            self.loss, ASSUMED_ROUND_TRIP_S if round_trip_s is None else round_trip_s
        )
        self._grade.handle_reading(
            GradeReading(
                loss=self.loss if known else None,
                round_trip_s=round_trip_s,
                jitter_s=jitter_s if known else 0.0,
                silent=silent,
                pictures=pictures,
            )
        )

    def handle_estimate(self, estimate_bps: int | None, *, is_assumed: bool = False) -> None:
        """What the relay believes the way to carry, with each reading; None where it does not measure it.
        What is only assumed, until it is measured, is shown and does not count.
        """
        self.estimate_bps = estimate_bps
        if estimate_bps is not None and not is_assumed:
            self.estimates.handle_estimate(estimate_bps)

    def numbers(self, claimed_bps: int | None = None) -> WayNumbers:
        """`claimed_bps` is shown where the relay has no estimate of its own."""
        return WayNumbers(
            bitrate_bps=self.bitrate_bps,
            loss_permille=round(self.loss * 1000),
            estimate_bps=claimed_bps if self.estimate_bps is None else self.estimate_bps,
        )

    def quality(self, packets: int, size_bytes: int) -> WayQuality:
        """Packets and bytes as the relay counted them for `left`; of losses what was measured."""
        lost = self.sum.lost_packets + self.sum.repaired_packets
        sent = self.sum.packets + self.sum.lost_packets
        return WayQuality(
            packets=packets,
            bytes=size_bytes,
            lost_packets=self.sum.lost_packets,
            repaired_packets=self.sum.repaired_packets,
            loss_permille=min(1000, lost * 1000 // sent) if sent else 0,
        )


class Stay:
    """From `joined` to `left`."""

    def __init__(self, actor_id: ActorId, now: float) -> None:
        self._actor_id = actor_id
        self._joined = now
        self._read = now
        self._session_id: str | None = None
        self._begun = False
        self._connected = False
        self._round_trips: Counter[int] = Counter()
        self._round_trip_ms: int | None = None
        self._sent = Way()
        self._received = Way()
        self._claim: PlaybackClaim | None = None
        self._concealed_permille = 0
        self._outgoing_bps: int | None = None
        self._outgoing_readings = 0
        self._outgoing = Carried()
        self._leg: LegQuality | None = None
        self._watching = Watching()
        self._gaps = Gaps()

    def handle_counters(self, session_id: str | None, streams: Sequence[StreamQuality]) -> None:
        """At any time. `session_id` is that of the connection, None where there is none."""
        for way, by_peer in ((self._sent, True), (self._received, False)):
            its = [stream for stream in streams if stream.sent_by_peer == by_peer]
            if session_id != self._session_id or not self._begun:
                # A connection that is older than the stay has counted before it; a newer one from zero.
                way.begin(() if self._begun else its)
            way.handle_counters(its)
        self._session_id, self._begun = session_id, True

    def handle_reading(
        self,
        state: ConnectionState,
        streams: Sequence[StreamQuality],
        sources: Mapping[tuple[str, str], StreamQuality],
        now: float,
        *,
        slots: Sequence[SlotAssignment] = (),
        leg: LegQuality | None = None,
    ) -> Mapping[Picture, float]:
        """After `handle_counters`, about once a second. How long they have watched others since."""
        elapsed_s, self._read = now - self._read, now
        self._connected = self._connected or state in ("connected", "silent")
        sent = [stream for stream in streams if stream.sent_by_peer]
        received = [stream for stream in streams if not stream.sent_by_peer]
        round_trip_s = _round_trip(received)
        self._round_trip_ms = None
        if round_trip_s is not None and state == "connected":
            self._round_trip_ms = min(MAX_ROUND_TRIP_MS, round(round_trip_s * 1000))
            self._round_trips[self._round_trip_ms] += 1
        self._outgoing_readings += 1
        if self._outgoing_readings > CLAIM_READINGS:
            self._outgoing_bps = None
        if not self._connected:
            return {}
        silent = state != "connected"
        watched_s = self._watching.handle_reading(() if silent else slots, received, elapsed_s)
        self._leg = leg = None if silent else leg
        is_assumed = leg is not None and leg.received_limit == "start"
        self._sent.handle_estimate(None if leg is None else leg.sent_estimate_bps)
        self._received.handle_estimate(
            None if leg is None else leg.received_estimate_bps, is_assumed=is_assumed
        )
        self._sent.handle_reading(sent, {}, round_trip_s, silent=silent, elapsed_s=elapsed_s)
        self._received.handle_reading(
            received,
            sources,
            round_trip_s,
            silent=silent,
            elapsed_s=elapsed_s,
            pictures="good" if is_assumed else self._watching.level,
        )
        return watched_s

    def handle_presence(
        self, state: ConnectionState, muted: Muted | None, now: float, last_seen: float | None = None
    ) -> list[StartGap | EndGap]:
        """What is there of the person and what is not; what that means for the log."""
        missing: dict[GapCause, bool] = {"network": state != "connected"}
        if muted is not None:
            missing["microphone_off"] = muted.audio
            missing["camera_off"] = muted.video and not muted.hidden
            missing["page_hidden"] = muted.hidden
        outputs = self._gaps.handle_reading(
            present={cause for cause, absent in missing.items() if not absent},
            absent={cause for cause, absent in missing.items() if absent},
            now=now,
            since=last_seen if state == "silent" else None,
        )
        return [
            StartGap(cause=output.cause, age_ms=_ms(now - output.began))
            if isinstance(output, GapBegan)
            else EndGap(cause=output.cause, duration_ms=_ms(output.ended - output.began))
            for output in outputs
        ]

    def handle_playback(self, playback: Playback) -> None:
        """Adds what their page says it has played since it last said so."""
        before = self._claim or PlaybackClaim(
            frames=0, freezes=0, frozen_ms=0, audio_samples=0, concealed_samples=0
        )
        self._claim = PlaybackClaim(
            frames=min(MAX_INTEGER, before.frames + playback.frames),
            freezes=min(MAX_INTEGER, before.freezes + playback.freezes),
            frozen_ms=min(MAX_INTEGER, before.frozen_ms + playback.frozen_ms),
            audio_samples=min(MAX_INTEGER, before.audio_samples + playback.audio_samples),
            concealed_samples=min(MAX_INTEGER, before.concealed_samples + playback.concealed_samples),
        )
        heard = max(1, playback.audio_samples)
        self._concealed_permille = min(1000, playback.concealed_samples * 1000 // heard)
        self._outgoing_bps = None
        if playback.outgoing_bps is not None:
            self._outgoing_bps = min(MAX_OUTGOING_BPS, playback.outgoing_bps)
            self._outgoing_readings = 0
            self._outgoing.handle_estimate(self._outgoing_bps)

    @property
    def watched(self) -> PictureSum | None:
        """What they got of the pictures of others; None: they watched nobody."""
        return self._watching.sum()

    @property
    def sent_estimate_bps(self) -> int | None:
        """What the way from them is believed to carry: their page's word, where the relay has none."""
        return self._sent.numbers(self._outgoing_bps).estimate_bps

    def quality(self) -> PersonQuality | None:
        """As it is now; None for who was never connected in this stay."""
        if not self._connected:
            return None
        claim = self._claim
        return PersonQuality(
            actor_id=self._actor_id,
            level=worst(self._sent.level, self._received.level),
            sent=self._sent.level,
            received=self._received.level,
            sent_repair_ms=self._sent.repair_ms,
            received_repair_ms=self._received.repair_ms,
            numbers=QualityNumbers(
                sent=self._sent.numbers(self._outgoing_bps),
                received=self._received.numbers(),
                round_trip_ms=self._round_trip_ms,
                limit=None if self._leg is None else self._leg.received_limit,
                watched=self._watching.numbers,
                playback=None
                if claim is None
                else PlaybackNumbers(
                    freezes=claim.freezes,
                    frozen_ms=claim.frozen_ms,
                    concealed_permille=self._concealed_permille,
                ),
            ),
        )

    def summary(self, call_number: int, traffic: Traffic, now: float) -> CallQuality:
        """Of the whole stay, if it ended now."""
        gaps, missing_s = self._gaps.sum(now)
        return CallQuality(
            call_number=call_number,
            duration_ms=_ms(now - self._joined),
            sent=self._sent.quality(traffic.sent_packets, traffic.sent_bytes),
            received=self._received.quality(traffic.received_packets, traffic.received_bytes),
            round_trip=self._round_trip(),
            gaps=GapSum(count=gaps, total_ms=_ms(missing_s)),
            playback_claim=self._claim,
            estimates=self._estimates(),
            watched=self._watching.sum(),
        )

    def _estimates(self) -> Estimates | None:
        sent, received, claim = (
            self._sent.estimates.sum(),
            self._received.estimates.sum(),
            self._outgoing.sum(),
        )
        if sent is None and received is None and claim is None:
            return None
        return Estimates(sent=sent, received=received, sent_claim=claim)

    def _round_trip(self) -> RoundTrip | None:
        if not self._round_trips:
            return None
        return RoundTrip(median_ms=_median(self._round_trips), max_ms=max(self._round_trips))


def sources_of(
    slots: Iterable[SlotAssignment],
    received: Iterable[StreamQuality],
    streams: Mapping[str, Sequence[StreamQuality]],
) -> dict[tuple[str, str], StreamQuality]:
    """Of each section that somebody receives, by mid and kind: the stream of its sender to the relay, of the
    encoding that is `received`, else the busiest of its kind. `streams` are everybody's.
    """
    rids = {(stream.mid, stream.kind): stream.rid for stream in received if not stream.sent_by_peer}
    found: dict[tuple[str, str], StreamQuality] = {}
    for slot in slots:
        for kind, mid in (("audio", slot.audio_mid), ("video", slot.video_mid)):
            sent = [one for one in streams.get(slot.peer_id, ()) if one.sent_by_peer and one.kind == kind]
            if mid is not None and sent:
                rid = rids.get((mid, kind))
                found[mid, kind] = max(sent, key=lambda one: (one.rid == rid, one.packets))
    return found


def _key(stream: StreamQuality) -> tuple[str, str, str]:
    """What tells a stream from others. What is received goes on as it was when another encoding comes."""
    return stream.mid, stream.kind, stream.rid if stream.sent_by_peer else ""


def _packets(streams: Sequence[StreamQuality]) -> dict[tuple[str, str, str], int]:
    return {_key(stream): stream.packets for stream in streams}


def _median(seen: Counter[int]) -> int:
    """Of values by how often they were seen: the lower of two in the middle; 0 of none."""
    counted, half, median = 0, (seen.total() + 1) // 2, 0
    for median in sorted(seen):
        counted += seen[median]
        if counted >= half:
            break
    return median


def _round_trip(received: Sequence[StreamQuality]) -> float | None:
    """The router assumes one until a receiver's report tells better: then nobody has measured any."""
    for stream in received:
        if stream.round_trip_s != ASSUMED_ROUND_TRIP_S:
            return stream.round_trip_s
    return None


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
