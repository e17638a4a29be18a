"""Chromium sends, the relay keeps, a file is made, and Chromium plays it: to its end, and from anywhere."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Page, Playwright

from media.journal import Segment, encode_segment
from media.playback import PlaybackMaker, PlaybackSegment
from media.playback_protocol import PlaybackFacts
from media.relay import Relay
from tests.end_to_end.people import chromium, until
from tests.media.recording import Sender, record, request, tones
from tests.media.test_playback import (
    BEEP_PACKETS,
    PICTURES_A_SECOND,
    assert_times_run_on,
    flashes,
    make,
    packets_of,
    probe,
    show,
)
from tests.media.video_source import encode

SENT_S = 6.0
MIME = {"VP8": "video/VP8", "H264": "video/H264"}

OFFER = """async mime => {
  const connection = window.connection = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 640, height: 480}});
  for (const track of media.getTracks()) {
    const transceiver = connection.addTransceiver(track, {direction: 'sendrecv', streams: [media]});
    if (track.kind !== 'video') continue;
    const codecs = RTCRtpReceiver.getCapabilities('video').codecs;
    transceiver.setCodecPreferences(codecs.filter(each => each.mimeType === mime
      || each.mimeType === 'video/rtx'));
  }
  await connection.setLocalDescription();
  return connection.localDescription.sdp;
}"""
ANSWER = "sdp => window.connection.setRemoteDescription({type: 'answer', sdp})"
CAN_SEND = "mime => RTCRtpSender.getCapabilities('video').codecs.some(each => each.mimeType === mime)"
STOP = """async () => {
  for (const sender of window.connection.getSenders()) await sender.replaceTrack(null);
  await new Promise(done => setTimeout(done, 500));
  const sums = {frames: 0, sounds: 0};
  for (const report of (await window.connection.getStats()).values()) {
    if (report.type !== 'outbound-rtp') continue;
    if (report.kind === 'video') sums.frames += report.framesSent; else sums.sounds += report.packetsSent;
  }
  return sums;
}"""
PLAY = """async ([url, seeks]) => {
  const video = document.createElement('video');
  document.body.append(video);
  video.src = url;
  const event = name => new Promise((done, failed) => {
    video.addEventListener(name, () => done(), {once: true});
    video.addEventListener('error', () => failed(new Error(video.error.message)), {once: true});
  });
  await event('loadedmetadata');
  const told = {duration: video.duration, width: video.videoWidth, sought: [], sizes: []};
  for (const second of seeks) {
    const sought = event('seeked');
    video.currentTime = second;
    await sought;
    told.sought.push(video.currentTime);
  }
  const back = event('seeked');
  video.currentTime = 0;
  await back;
  const before = video.getVideoPlaybackQuality().totalVideoFrames;
  video.addEventListener('resize', () => told.sizes.push(video.videoWidth));
  const ended = event('ended');
  const started = performance.now();
  await video.play();
  await ended;
  told.took_s = (performance.now() - started) / 1000;
  told.ended_s = video.currentTime;
  told.frames = video.getVideoPlaybackQuality().totalVideoFrames - before;
  return told;
}"""


@asynccontextmanager
async def page_with(playwright: Playwright, files: dict[str, tuple[str, Path]]) -> AsyncIterator[Page]:
    """A page whose origin serves the files, with Range."""

    async def blank(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>playback</title>", content_type="text/html")

    async def serve(request: web.Request) -> web.FileResponse:
        media_type, path = files[request.match_info["name"]]
        return web.FileResponse(path, headers={"Content-Type": media_type})

    app = web.Application()
    app.router.add_get("/", blank)
    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(playwright, flags=("--autoplay-policy=no-user-gesture-required",)) as browser:
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            yield page
    finally:
        await runner.cleanup()


async def capture(page: Page, mime: str) -> tuple[list[Segment], dict[str, int]]:
    """Some seconds of what the page sends through a relay, and what it says that it sent."""
    relay = await Relay.open(host="127.0.0.1", port=0, announce=())
    segments: list[Segment] = []
    try:
        relay.admit("call", "courier", segments.append)
        connection = relay.connect("call", "courier", await page.evaluate(OFFER, mime))
        await page.evaluate(ANSWER, connection.answer)

        async def sends() -> bool:
            return relay.traffic("call")["courier"].sent_packets > 20

        await until(sends, "the page sends")
        await asyncio.sleep(SENT_S)
        sent = await page.evaluate(STOP)
        relay.end_call("call")
    finally:
        await relay.close()
    return segments, sent


async def file_of(segments: list[Segment]) -> tuple[PlaybackFacts, bytes]:
    output = os.memfd_create("playback")
    numbered = [
        PlaybackSegment(number=number, streams=segment.streams, dump=encode_segment(segment))
        for number, segment in enumerate(segments, start=1)
    ]
    try:
        facts = await PlaybackMaker().make_playback(request(numbered), output)
        return facts, os.pread(output, os.fstat(output).st_size, 0)
    finally:
        os.close(output)


@pytest.mark.long
@pytest.mark.parametrize("codec_name", ["VP8", "H264"])
async def test_what_chromium_sends_chromium_plays(
    playwright: Playwright, codec_name: str, tmp_path: Path
) -> None:
    files: dict[str, tuple[str, Path]] = {}
    async with page_with(playwright, files) as page:
        if not await page.evaluate(CAN_SEND, MIME[codec_name]):
            pytest.skip(f"this Chromium does not send {codec_name}")
        segments, sent = await capture(page, MIME[codec_name])
        facts, file = await file_of(segments)
        assert (facts.frames, facts.lost_pictures, facts.lost_sounds) == (sent["frames"], 0, 0)
        told = probe(file, tmp_path)
        assert {stream["codec_name"] for stream in told["streams"]} == {codec_name.lower(), "opus"}
        assert len(packets_of(told, "video")) == sent["frames"]
        assert len(packets_of(told, "audio")) == pytest.approx(sent["sounds"], abs=10)
        assert_times_run_on(told)
        assert float(told["format"]["duration"]) == pytest.approx(facts.duration_ms / 1e3, abs=0.05)
        assert SENT_S < facts.duration_ms / 1e3 < SENT_S + 4

        files["file"] = facts.media_type, tmp_path / "file"
        played = await page.evaluate(PLAY, ["/file", [3.0, 1.0, facts.duration_ms / 1e3 - 0.5]])
        assert_played(played, facts)


@pytest.mark.long
@pytest.mark.parametrize("codec_name", ["VP8", "H264"])
async def test_chromium_plays_through_pauses_losses_and_resolutions(
    playwright: Playwright, codec_name: str, tmp_path: Path
) -> None:
    sender = Sender(codec_name=codec_name)
    paused = show(sender, 0, 2) + show(sender, 5, 7)
    tardy = Sender(codec_name=codec_name)
    spoken = tardy.sounds(tones(50 * 6, beeps_every=50, beep_packets=BEEP_PACKETS))
    shown = tardy.pictures(flashes(codec_name, 2), from_s=4, every_s=1 / PICTURES_A_SECOND)
    sizes = Sender(codec_name=codec_name)
    small = encode(codec_name, 50, width=160, height=128)
    large = encode(codec_name, 50, width=320, height=240, first=50)
    changing = sizes.pictures([each.payloads for each in [*small, *large]])
    files: dict[str, tuple[str, Path]] = {}
    for name, sent, streams in (
        ("paused", paused, sender.streams()),
        ("changing", changing, sizes.streams()),
        ("tardy", spoken + shown, tardy.streams()),
    ):
        facts, file = await make(record(sent, streams))
        path = tmp_path / name
        await asyncio.to_thread(path.write_bytes, file)
        files[name] = facts.media_type, path
    async with page_with(playwright, files) as page:
        played = await page.evaluate(PLAY, ["/paused", [6.0]])
        assert played["took_s"] == pytest.approx(7, abs=0.7), (
            "a pause of the sound is a pause in Chromium, too"
        )
        played = await page.evaluate(PLAY, ["/changing", [3.0]])
        assert 320 in played["sizes"] and played["ended_s"] == pytest.approx(4, abs=0.2)
        played = await page.evaluate(PLAY, ["/tardy", [5.0]])
        assert played["duration"] == pytest.approx(6, abs=0.15), "a picture that comes late adds no time"
        assert played["took_s"] == pytest.approx(6, abs=0.7)


def assert_played(played: dict[str, Any], facts: PlaybackFacts) -> None:
    duration_s = facts.duration_ms / 1e3
    assert played["duration"] == pytest.approx(duration_s, abs=0.05)
    assert played["ended_s"] == pytest.approx(duration_s, abs=0.1)
    assert played["took_s"] == pytest.approx(duration_s, abs=0.7)
    assert played["sought"] == pytest.approx([3.0, 1.0, duration_s - 0.5], abs=0.05)
    assert played["width"] == facts.width
    assert played["frames"] > 0.8 * facts.frames  # a busy machine drops some on the screen
