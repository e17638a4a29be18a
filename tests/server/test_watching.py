"""What a person gets of pictures: which layer, for how long, how often another one came."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import encodings
from media.encodings import LayerReason, Picture
from media.router import SlotAssignment, StreamQuality
from server.watching import Watching
from signaling import messages
from signaling.entries import PictureSum
from signaling.messages import WatchedNumbers
from signaling.values import ActorId

ANN, BOB = ActorId("l_" + "a" * 20), ActorId("l_" + "b" * 20)


def slot(actor_id: ActorId = ANN, mid: str | None = "3", picture: Picture = "live") -> SlotAssignment:
    return SlotAssignment(slot=0, peer_id=actor_id, audio_mid=None, video_mid=mid, picture=picture)


def stream(
    size_bytes: int,
    mid: str = "3",
    *,
    rid: str = "high",
    temporal_layers: int | None = 3,
    reason: LayerReason | None = "best",
    kind: str = "video",
) -> StreamQuality:
    return StreamQuality(
        mid=mid, kind=kind, sent_by_peer=False, packets=1, bytes=size_bytes, lost_packets=0,
        repaired_packets=0, fraction_lost=0.0, jitter_s=0.0, round_trip_s=0.05,
        rid=rid, temporal_layers=temporal_layers, reason=reason,
    )  # fmt: skip


def test_the_words_of_the_relay_are_those_of_the_protocol() -> None:
    assert get_args(encodings.Picture) == get_args(messages.Picture)
    assert get_args(encodings.LayerReason) == get_args(messages.LayerReason)
    assert get_args(encodings.Limit) == get_args(messages.Limit)


def test_the_layer_and_its_rate_and_reason_are_told_of_each_person() -> None:
    watching = Watching()
    slots = [slot(), slot(BOB, "5")]
    watching.handle_reading(slots, [stream(1_000), stream(9_000, "5")], 1.0)
    watching.handle_reading(
        slots, [stream(51_000), stream(10_000, "5", rid="", temporal_layers=None, reason=None)], 2.0
    )
    assert watching.numbers == (
        WatchedNumbers(
            actor_id=ANN, rid="high", temporal_layers=3, bitrate_bps=200_000, picture="live", reason="best"
        ),
        WatchedNumbers(
            actor_id=BOB, rid=None, temporal_layers=None, bitrate_bps=4_000, picture="live", reason=None
        ),
    )


def test_a_camera_that_is_off_or_not_there_is_neither_live_nor_missed() -> None:
    watching = Watching()
    for _ in range(3):
        watching.handle_reading([slot(), slot(BOB, None)], [stream(1_000)], 1.0)
    assert watching.sum() is None
    watching.handle_reading([slot()], [stream(1_000, kind="audio")], 1.0)
    assert watching.numbers == ()


def test_the_time_of_each_picture_is_added_over_all_people() -> None:
    watching = Watching()
    for second in range(1, 4):
        watching.handle_reading(
            [slot(), slot(BOB, "5", "stills")], [stream(second * 1_000), stream(7, "5")], 1.0
        )
    watching.handle_reading([slot(BOB, "5", "paused")], [], 0.5)
    assert watching.sum() == PictureSum(
        live_ms=2_000, stills_ms=3_000, paused_ms=500, reduced_ms=0, switches=0
    ), "the first reading only says where the counter stands"
    assert watching.numbers[0].rid is None


@pytest.mark.parametrize(
    ("reason", "reduced_ms"),
    [("best", 0), ("not_sent", 0), ("switching", 0), ("network", 1_000), ("shared", 1_000), (None, 0)],
)
def test_less_than_the_best_for_the_networks_sake_is_reduced(
    reason: LayerReason | None, reduced_ms: int
) -> None:
    watching = Watching()
    for size_bytes in (1_000, 2_000, 2_000):
        watching.handle_reading([slot()], [stream(size_bytes, reason=reason)], 1.0)
    told = watching.sum()
    assert told is not None and (told.live_ms, told.reduced_ms) == (1_000, reduced_ms)


@pytest.mark.parametrize(
    ("picture", "reason", "size_bytes", "level"),
    [
        ("live", "best", 2_000, "good"),
        ("live", "shared", 2_000, "good"),
        ("live", "network", 2_000, "fair"),
        ("live", "network", 1_000, "good"),
        ("stills", "shared", 2_000, "weak"),
        ("paused", "network", 1_000, "weak"),
    ],
)
def test_what_is_shown_says_how_the_network_is_unless_nothing_is_sent(
    picture: Picture, reason: LayerReason, size_bytes: int, level: str
) -> None:
    watching = Watching()
    assert watching.level == "good"
    watching.handle_reading([slot()], [stream(1_000, reason=reason)], 1.0)
    watching.handle_reading([slot(picture=picture)], [stream(size_bytes, reason=reason)], 1.0)
    assert watching.level == level


def test_a_switch_is_another_encoding_or_number_of_layers_of_a_live_picture() -> None:
    watching = Watching()
    shown: list[tuple[str, int | None, Picture]] = [
        ("high", 3, "live"), ("high", 3, "live"), ("high", 2, "live"), ("low", 2, "live"),
        ("high", 1, "stills"), ("low", 2, "live"), ("high", 2, "live"),
    ]  # fmt: skip
    for second, (rid, temporal_layers, picture) in enumerate(shown):
        one = stream(second * 1_000, rid=rid, temporal_layers=temporal_layers)
        watching.handle_reading([slot(picture=picture)], [one], 1.0)
    told = watching.sum()
    assert told is not None and told.switches == 3


def test_who_comes_into_the_slot_of_somebody_else_is_no_switch() -> None:
    watching = Watching()
    watching.handle_reading([slot()], [stream(1_000)], 1.0)
    watching.handle_reading([slot(BOB)], [stream(2_000, rid="low")], 1.0)
    told = watching.sum()
    assert told is not None and told.switches == 0


def test_a_newer_connection_counts_from_zero_and_pauses_of_the_connection_count_as_nothing() -> None:
    watching = Watching()
    watching.handle_reading([slot()], [stream(90_000)], 1.0)
    watching.handle_reading([slot()], [stream(1_000)], 1.0)
    assert watching.numbers[0].bitrate_bps == 8_000
    assert watching.handle_reading([], [], 1.0) == {"live": 0.0, "stills": 0.0, "paused": 0.0}
    assert list(watching.numbers) == []
    watching.handle_reading([slot()], [stream(500_000)], 1.0)
    (told,) = watching.numbers
    assert told.bitrate_bps == 0, "whenever that was sent"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(get_args(encodings.Picture)),
            st.sampled_from(get_args(encodings.LayerReason)),
            st.integers(min_value=0, max_value=9_000),
            st.sampled_from([0.0, 0.5, 1.0, 7.0]),
        ),
        max_size=30,
    )
)
def test_nobody_watches_longer_than_the_time_that_passed(
    readings: list[tuple[Picture, LayerReason, int, float]],
) -> None:
    watching, passed_s = Watching(), 0.0
    for picture, reason, size_bytes, elapsed_s in readings:
        watching.handle_reading([slot(picture=picture)], [stream(size_bytes, reason=reason)], elapsed_s)
        passed_s += elapsed_s
        assert all(told.bitrate_bps >= 0 for told in watching.numbers)
    told = watching.sum()
    if told is not None:
        assert 0 < told.live_ms + told.stills_ms + told.paused_ms <= passed_s * 1_000
        assert told.reduced_ms <= told.live_ms and told.switches == 0
