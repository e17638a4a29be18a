"""How the encodings of a camera flow, as it is measured here."""

from __future__ import annotations

import pytest

from media.reception import Reception
from media.rtp import Ssrc
from media.track import RATE_FORGOTTEN_S, STILLS_FORGOTTEN_S, Layer
from tests.media.test_layers import CAMERA

PICTURE_BYTES = 5_000


def flowing(*pictures_at: float, until: float, for_stills: bool) -> list[int]:
    """The rates of a stream of which a picture came at each of these times, measured ten times a second."""
    layer, rates = Layer("low", 0), list[int]()
    layer.reception = Reception(ssrc=Ssrc(1), section=CAMERA, sequence_number=1)
    due = list(pictures_at)
    for tick in range(round(until * 10)):
        now = tick / 10
        while due and due[0] <= now:
            at = due.pop(0)
            layer.reception.handle_packet(1 + len(pictures_at) - len(due), round(at * 90_000), at)
            layer.reception.received_bytes += PICTURE_BYTES
        rates.append(layer.bitrate_bps(now, for_stills=for_stills))
    return rates


def test_an_encoding_for_stills_flows_between_two_of_its_pictures() -> None:
    pictures = (0.5, 0.9, 2.8, 3.1, 4.9)
    assert min(flowing(*pictures, until=6, for_stills=True)[8:]) > 0
    assert min(flowing(*pictures, until=6, for_stills=False)[8:]) == 0, "of any other that is a stop"


@pytest.mark.parametrize(
    ("for_stills", "forgotten_s"), [(False, RATE_FORGOTTEN_S), (True, STILLS_FORGOTTEN_S)]
)
def test_one_that_is_silent_for_long_does_not_flow(for_stills: bool, forgotten_s: float) -> None:
    rates = flowing(0.5, 0.9, until=1.2 + forgotten_s, for_stills=for_stills)
    assert rates[12] > 0 and rates[-1] == 0


def test_a_stream_that_nobody_knows_has_no_rate() -> None:
    assert Layer("low", 0).bitrate_bps(1.0) == 0
