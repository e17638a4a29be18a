"""What the benchmark measures with, measured: its media, its bots, its arithmetic."""

import asyncio

import pytest

from media.depacketizer import is_keyframe_start
from tests.bench.bot import REPAIR_PAYLOAD_TYPE, VIDEO_PAYLOAD_TYPE, Bot, BotFailed, Crowd
from tests.bench.media_source import FRAME_RATE, LOOP_S, VIDEO_BITRATE_BPS, MediaSource, encode_media_source
from tests.bench.table import Row, percentile, render, span
from tests.bench.transport_feedback import EXTENSION

LOOPBACK = "127.0.0.1"


pytestmark = pytest.mark.long  # media as they are sent take ten seconds to encode


@pytest.fixture(scope="module")
def media() -> MediaSource:
    return encode_media_source()


def test_the_loop_has_its_bitrate_and_one_keyframe_at_its_beginning(media: MediaSource) -> None:
    assert media.video_bitrate_bps == pytest.approx(VIDEO_BITRATE_BPS, rel=0.05)
    assert len(media.pictures) == FRAME_RATE * LOOP_S
    assert len(media.sounds) == 50 * LOOP_S
    keyframes = [is_keyframe_start("VP8", picture[0]) for picture in media.pictures]
    assert keyframes == [True] + [False] * (len(media.pictures) - 1)


async def test_a_bot_counts_what_another_sends_and_sees_no_delay(media: MediaSource) -> None:
    crowd = Crowd(address=LOOPBACK, media=media)
    sender, receiver = Bot(crowd), Bot(crowd)
    sender.accept_answer(receiver.answer(sender.offer([("audio", "sendonly"), ("video", "sendonly")])))
    await asyncio.gather(sender.connected, receiver.connected)
    sender.start_sending()
    await asyncio.sleep(0.5)
    sender.stop_sending()
    await asyncio.sleep(0.05)
    assert sender.sent_packets > 50
    assert receiver.received_packets == sender.sent_packets
    assert len(receiver.delays_ns) == sender.sent_packets
    assert percentile(receiver.delays_ns, 50) < 5_000_000
    assert sender.transport_feedback_packets > 0
    assert receiver.transport_feedback_packets == 0
    sender.close()
    receiver.close()
    crowd.close()


async def test_a_bot_uses_what_its_server_answers_and_nothing_else(media: MediaSource) -> None:
    crowd = Crowd(address=LOOPBACK, media=media)
    sender, receiver = Bot(crowd), Bot(crowd)
    offer = sender.offer([("audio", "sendonly"), ("video", "sendonly")])
    assert f"a=fmtp:{REPAIR_PAYLOAD_TYPE} apt={VIDEO_PAYLOAD_TYPE}" in offer
    old = "\r\n".join(line for line in offer.splitlines() if EXTENSION not in line) + "\r\n"
    answer = receiver.answer(old)
    assert EXTENSION not in answer
    sender.accept_answer(answer)
    await asyncio.gather(sender.connected, receiver.connected)
    sender.start_sending()
    await asyncio.sleep(0.3)
    sender.stop_sending()
    await asyncio.sleep(0.05)
    assert receiver.received_packets == sender.sent_packets > 25
    assert sender.transport_feedback_packets == 0
    sender.close()
    receiver.close()
    crowd.close()


async def test_a_bot_that_meets_nobody_says_so(media: MediaSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.bot.CONNECT_TIMEOUT_S", 0.2)
    crowd = Crowd(address=LOOPBACK, media=media)
    bot, nobody = Bot(crowd), Bot(crowd)
    bot.offer([("video", "sendonly")])
    bot.accept_answer(nobody.offer([("video", "recvonly")]))
    with pytest.raises(BotFailed):
        await bot.connected
    nobody.close()
    crowd.close()


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 50, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 95, 4.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_a_percentile_is_one_of_the_values(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_the_table_is_markdown_whose_columns_line_up() -> None:
    rows = [Row(part="cpu", what="a", reach="≤ 1", measured="0.5", noise=span([0.4, 0.6], 1), verdict="held")]
    lines = render(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split("|")[3:6] == [" ≤ 1   ", " 0.5      ", " 0.4–0.6 "]
