"""A stay on virtual time: whose network it is, numbers across connections, what the log gets."""

import pytest

from media.encodings import LayerReason, LegQuality, Limit, Picture
from media.network_grade import READINGS_TO_RISE
from media.peer import ASSUMED_ROUND_TRIP_S
from media.relay import ConnectionState
from media.router import SlotAssignment, StreamQuality
from server.stay import CLAIM_READINGS, MAX_OUTGOING_BPS, Stay, sources_of
from signaling.commands import EndGap, StartGap
from signaling.entries import Estimate, Estimates, GapSum, PictureSum, RoundTrip, Traffic
from signaling.messages import Muted, Playback
from signaling.values import ActorId

ME, THEM = ActorId("l_" + "m" * 20), ActorId("l_" + "t" * 20)
TRAFFIC = Traffic(
    sent_packets=900, sent_bytes=90_000, received_packets=800, received_bytes=80_000, lost_packets=0
)
ON = Muted(audio=False, video=False)


def stream(
    seconds: int,
    *,
    sent_by_peer: bool = True,
    kind: str = "video",
    loss: float = 0.0,
    lost: int = 0,
    round_trip_s: float = 0.06,
    rate: int = 100,
    rid: str = "",
    reason: LayerReason | None = None,
) -> StreamQuality:
    """A stream as it stands after so many seconds of `rate` packets of 1,000 bytes."""
    return StreamQuality(
        mid="1" if sent_by_peer else "3",
        kind=kind,
        sent_by_peer=sent_by_peer,
        packets=seconds * rate,
        bytes=seconds * rate * 1_000,
        lost_packets=lost,
        repaired_packets=seconds * 3,
        fraction_lost=loss,
        jitter_s=0.005,
        round_trip_s=round_trip_s,
        rid=rid,
        reason=reason,
    )


def leg(
    received_bps: int | None, *, sent_bps: int | None = None, limit: Limit | None = "delay"
) -> LegQuality:
    return LegQuality(sent_estimate_bps=sent_bps, received_estimate_bps=received_bps, received_limit=limit)


def read(
    stay: Stay,
    now: float,
    *streams: StreamQuality,
    session_id: str | None = "one",
    source: StreamQuality | None = None,
    state: ConnectionState = "connected",
    carried: LegQuality | None = None,
    picture: Picture = "live",
) -> None:
    stay.handle_counters(session_id, streams)
    sources = {("3", "video"): source} if source is not None else {}
    slot = SlotAssignment(slot=0, peer_id=THEM, audio_mid="2", video_mid="3", picture=picture)
    stay.handle_reading(state, streams, sources, now, slots=(slot,), leg=carried)


def levels(stay: Stay) -> tuple[str, str, str]:
    quality = stay.quality()
    assert quality is not None
    return quality.level, quality.sent, quality.received


def test_a_persons_own_way_is_graded_and_not_the_others() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1), stream(1, sent_by_peer=False))
    assert levels(stay) == ("good", "good", "good")
    read(stay, 2, stream(2, loss=0.2), stream(2, sent_by_peer=False))
    assert levels(stay) == ("weak", "weak", "good")
    stay = Stay(ME, 0.0)
    source = stream(1, loss=0.2)
    read(stay, 1, stream(1), stream(1, sent_by_peer=False, loss=0.2), source=source)
    assert levels(stay) == ("good", "good", "good"), "the sender had lost it before"
    read(stay, 2, stream(2), stream(2, sent_by_peer=False, loss=0.4), source=source)
    assert levels(stay) == ("weak", "good", "weak")


def test_few_packets_and_streams_that_have_stopped_say_nothing_of_loss() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1, rate=5, loss=0.5))
    assert levels(stay)[0] == "good", "silence sends a packet now and then"
    read(stay, 2, stream(5, kind="audio"), stream(1, rate=5, loss=0.5))
    assert levels(stay)[0] == "good", "a camera that is off has an old report"


def test_silence_is_weak_and_a_better_network_is_believed_after_a_while() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1))
    read(stay, 2, stream(1), state="silent")
    assert levels(stay)[0] == "weak"
    for second in range(READINGS_TO_RISE):
        assert levels(stay)[0] == "weak"
        read(stay, 3 + second, stream(2 + second))
    assert levels(stay)[0] == "good"


def test_who_was_never_connected_has_no_quality() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, session_id=None, state="none")
    read(stay, 2, stream(1), state="connecting")
    assert stay.quality() is None
    summary = stay.summary(1, TRAFFIC, 5.0)
    assert (summary.duration_ms, summary.round_trip, summary.playback_claim) == (5_000, None, None)


def test_counters_go_on_across_connections_and_begin_with_the_stay() -> None:
    stay = Stay(ME, 0.0)
    stay.handle_counters("old", (stream(100),))  # connected long before they joined
    read(stay, 1, stream(101), session_id="old")
    read(stay, 2, stream(102), session_id="old")
    read(stay, 3, session_id=None, state="none")
    read(stay, 4, stream(1), session_id="new")
    quality = stay.quality()
    assert quality is not None and quality.numbers is not None
    assert quality.numbers.sent.bitrate_bps == 800_000
    sent = stay.summary(1, TRAFFIC, 4.0).sent
    assert (sent.packets, sent.bytes, sent.repaired_packets, sent.loss_permille) == (900, 90_000, 9, 30)


def test_the_round_trip_is_told_once_it_was_measured() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1, sent_by_peer=False, round_trip_s=ASSUMED_ROUND_TRIP_S))
    assert stay.summary(1, TRAFFIC, 1.0).round_trip is None
    for second, round_trip_s in enumerate((0.05, 0.06, 0.07, 0.5, 0.06), start=2):
        read(stay, second, stream(second, sent_by_peer=False, round_trip_s=round_trip_s))
    assert stay.summary(1, TRAFFIC, 7.0).round_trip == RoundTrip(median_ms=60, max_ms=500)
    quality = stay.quality()
    assert quality is not None and quality.numbers is not None and quality.numbers.round_trip_ms == 60


def test_what_a_page_claims_is_added_up_and_kept_apart() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1))
    for _ in range(2):
        stay.handle_playback(
            Playback(frames=50, freezes=1, frozen_ms=300, audio_samples=96_000, concealed_samples=960)
        )
    quality = stay.quality()
    assert quality is not None and quality.numbers is not None
    assert quality.numbers.playback is not None
    assert (quality.numbers.playback.freezes, quality.numbers.playback.concealed_permille) == (2, 10)
    claim = stay.summary(1, TRAFFIC, 2.0).playback_claim
    assert claim is not None and (claim.frames, claim.frozen_ms, claim.concealed_samples) == (100, 600, 1920)


def test_an_absurd_claim_stays_an_integer_of_the_log() -> None:
    stay, most = Stay(ME, 0.0), 2**32
    absurd = Playback(frames=most, freezes=most, frozen_ms=most, audio_samples=0, concealed_samples=most)
    for _ in range(3):
        stay.handle_playback(absurd)
    read(stay, 1, stream(1))
    quality = stay.quality()
    assert quality is not None and quality.numbers is not None and quality.numbers.playback is not None
    assert quality.numbers.playback.concealed_permille == 1000


def test_a_hidden_page_is_not_a_camera_that_was_switched_off() -> None:
    stay = Stay(ME, 0.0)
    hidden = Muted(audio=False, video=True, hidden=True)
    assert stay.handle_presence("connected", None, 0.0) == []
    assert stay.handle_presence("connected", ON, 1.0) == []
    assert stay.handle_presence("connected", hidden, 2.0) == []
    assert stay.handle_presence("connected", hidden, 3.0) == [StartGap(cause="page_hidden", age_ms=1_000)]
    assert stay.handle_presence("connected", ON, 5.0) == []
    assert stay.handle_presence("connected", ON, 7.0) == [EndGap(cause="page_hidden", duration_ms=3_000)]
    assert stay.summary(1, TRAFFIC, 7.0).gaps == GapSum(count=1, total_ms=3_000)


def test_a_silent_connection_is_a_gap_since_it_was_last_heard() -> None:
    stay = Stay(ME, 0.0)
    assert stay.handle_presence("connected", ON, 1.0, 0.9) == []
    assert stay.handle_presence("silent", ON, 10.0, 7.0) == [StartGap(cause="network", age_ms=3_000)]
    assert stay.handle_presence("none", ON, 60.0) == []
    assert stay.handle_presence("connected", ON, 61.0, 61.0) == []
    assert stay.handle_presence("connected", ON, 63.0, 63.0) == [EndGap(cause="network", duration_ms=54_000)]


@pytest.mark.parametrize("streams", [{}, {"them": [stream(5, sent_by_peer=False)]}])
def test_a_slot_whose_sender_sends_nothing_has_no_source(streams: dict[str, list[StreamQuality]]) -> None:
    slot = SlotAssignment(slot=0, peer_id="them", audio_mid="2", video_mid="3")
    assert sources_of([slot], [], streams) == {}


def test_the_source_of_a_section_is_its_senders_own_stream() -> None:
    slot = SlotAssignment(slot=0, peer_id="them", audio_mid=None, video_mid="3")
    mine, older = stream(5), stream(1)
    streams = {"them": [older, mine, stream(9, kind="audio")]}
    assert sources_of([slot], [], streams) == {("3", "video"): mine}


def test_the_source_of_a_picture_is_the_encoding_that_is_received() -> None:
    slot = SlotAssignment(slot=0, peer_id="them", audio_mid=None, video_mid="3")
    low, high = stream(1, rid="low"), stream(9, rid="high")
    received = [stream(1, sent_by_peer=False, rid="low")]
    assert sources_of([slot], received, {"them": [high, low]}) == {("3", "video"): low}
    assert sources_of([slot], [], {"them": [low, high]}) == {("3", "video"): high}


def test_encodings_of_one_camera_are_read_each_for_itself() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1, rid="low", rate=20), stream(1, rid="high"))
    read(stay, 2, stream(1, rid="low", rate=20, loss=0.9), stream(2, rid="high"))
    assert levels(stay)[0] == "good", "the one that has stopped has an old report"
    read(stay, 3, stream(2, rid="low", rate=20, loss=0.9), stream(3, rid="high"))
    assert levels(stay)[1] == "weak"


def test_another_encoding_is_received_without_a_break_in_what_is_counted() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1_000, sent_by_peer=False, rid="high"))
    read(stay, 2, stream(1_001, sent_by_peer=False, rid="low"), stream(1, sent_by_peer=False, kind="audio"))
    read(
        stay,
        3,
        stream(1_002, sent_by_peer=False, rid="high", loss=0.05),
        stream(2, sent_by_peer=False, kind="audio", loss=0.0),
    )
    quality = stay.quality()
    assert quality is not None and quality.numbers is not None
    assert quality.numbers.received.loss_permille == 25, "half of the packets, not nearly all"


def test_what_networks_carry_is_told_and_summed_up() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1), carried=leg(300_000, limit="start"))
    for second, carried_bps in enumerate((1_290_000, 900_000, 305_999, 1_210_000, 2_000_000), start=2):
        read(stay, second, stream(second), carried=leg(carried_bps))
    quality = stay.quality()
    assert quality is not None and quality.numbers is not None
    assert (quality.numbers.received.estimate_bps, quality.numbers.limit) == (2_000_000, "delay")
    assert quality.numbers.sent.estimate_bps is None
    assert stay.summary(1, TRAFFIC, 7.0).estimates == Estimates(
        sent=None, received=Estimate(median_bps=1_200_000, min_bps=300_000), sent_claim=None
    ), "what is only assumed does not count, and two digits are enough"


def test_a_page_says_what_its_uplink_carries_where_the_relay_does_not_know() -> None:
    stay = Stay(ME, 0.0)
    said = Playback(
        frames=0, freezes=0, frozen_ms=0, audio_samples=0, concealed_samples=0, outgoing_bps=420_000
    )
    stay.handle_playback(said)
    read(stay, 1, stream(1))
    assert stay.sent_estimate_bps == 420_000
    read(stay, 2, stream(2), carried=leg(None, sent_bps=380_000, limit=None))
    assert stay.sent_estimate_bps == 380_000, "what is measured is believed"
    estimates = stay.summary(1, TRAFFIC, 2.0).estimates
    assert estimates is not None
    assert estimates.sent == Estimate(median_bps=380_000, min_bps=380_000)
    assert estimates.sent_claim == Estimate(median_bps=420_000, min_bps=420_000), "and kept apart"
    for second in range(CLAIM_READINGS):
        read(stay, 3 + second, stream(3 + second))
    assert stay.sent_estimate_bps is None, "it has said nothing for a while"


def test_an_absurd_claim_of_an_uplink_is_bounded() -> None:
    stay = Stay(ME, 0.0)
    said = Playback(
        frames=0, freezes=0, frozen_ms=0, audio_samples=0, concealed_samples=0, outgoing_bps=2**53 - 1
    )
    stay.handle_playback(said)
    read(stay, 1, stream(1))
    assert stay.sent_estimate_bps == MAX_OUTGOING_BPS
    estimates = stay.summary(1, TRAFFIC, 1.0).estimates
    assert estimates is not None and estimates.sent_claim is not None
    assert estimates.sent_claim.median_bps == MAX_OUTGOING_BPS


def test_nothing_is_believed_of_a_connection_that_is_silent() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1, sent_by_peer=False), carried=leg(500_000))
    read(stay, 2, stream(1, sent_by_peer=False), carried=leg(500_000), state="silent", picture="paused")
    quality = stay.quality()
    assert quality is not None and quality.numbers is not None
    assert (quality.numbers.received.estimate_bps, quality.numbers.limit) == (None, None)
    assert quality.numbers.watched == ()
    assert stay.watched is None


def test_a_network_that_carries_no_picture_is_weak_though_it_loses_nothing() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1, sent_by_peer=False, reason="network"), carried=leg(300_000, limit="start"))
    read(stay, 2, stream(2, sent_by_peer=False, reason="network"), carried=leg(300_000, limit="start"))
    assert levels(stay) == ("good", "good", "good"), "nothing is known of it yet"
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1, sent_by_peer=False))
    read(stay, 2, stream(2, sent_by_peer=False, reason="network"), carried=leg(300_000))
    assert levels(stay) == ("fair", "good", "fair")
    read(stay, 3, stream(3, sent_by_peer=False, reason="network"), picture="stills", carried=leg(90_000))
    assert levels(stay) == ("weak", "good", "weak")
    assert stay.summary(1, TRAFFIC, 3.0).watched == PictureSum(
        live_ms=1_000, stills_ms=1_000, paused_ms=0, reduced_ms=1_000, switches=0
    )


def test_who_watched_nobody_and_was_never_measured_has_no_sums_of_it() -> None:
    stay = Stay(ME, 0.0)
    read(stay, 1, stream(1))
    summary = stay.summary(1, TRAFFIC, 1.0)
    assert (summary.estimates, summary.watched) == (None, None)
