"""The journal of a call: on disk while it runs, whatever the disk does, and played back."""

import asyncio
import errno
import hashlib
import io
import logging
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from media.rtpdump import parse_dump
from server import recordings
from server.store.errors import FailedAppend
from tests.conftest import Caller, calling
from tests.server.recording import Sender, all_entries, connect
from tests.server.test_socket import greet, say


async def in_call(caller: Caller, case_id: str, role: str) -> tuple[Any, Sender, dict[str, Any]]:
    link = await caller.link(case_id, role, role)
    socket = await greet(caller, case_id, link["token"])
    peer = await connect(caller.url, caller.http, case_id, link["token"])
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await say(socket, "k2", kind="join")
    return socket, Sender(peer), link


async def wait_for_segments(caller: Caller, count: int) -> None:
    for _ in range(400):
        if sum(caller.service.recordings.fates.values()) >= count:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def silence_that_ends(caller: Caller, segment: int) -> None:
    """Until the only sender's segment of this number was cut."""
    for _ in range(200):
        await asyncio.sleep(0.05)
        (sender,) = caller.service.recordings._senders.values()
        if sender.last >= segment:
            return
    raise TimeoutError


async def packets_of(caller: Caller, case_id: str, sealed: list[dict[str, Any]]) -> list[bytes]:
    """The RTP of sealed segments, in order."""
    packets: list[bytes] = []
    for entry in sealed:
        blob = entry["body"]["blob"]
        data = await caller.service.blobs.get(case_id, blob["sha256"])
        assert len(data) == blob["size_bytes"] and hashlib.sha256(data).hexdigest() == blob["sha256"]
        records = [record.data for record in parse_dump(data).records if not record.is_rtcp]
        assert len(records) == entry["body"]["packets"]
        packets += records
    return packets


async def test_all_that_was_sent_in_a_call_is_sealed_and_nothing_before_it(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await greet(caller, case_id, link["token"])
    sender = Sender(await connect(caller.url, caller.http, case_id, link["token"]))
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await sender.send(0.5)
    await asyncio.sleep(0.1)
    before = len(sender.sent)
    await say(socket, "k2", kind="join")
    await sender.send(7)
    await asyncio.sleep(0.1)
    await say(socket, "k3", kind="leave")
    after = len(sender.sent)
    await sender.send(0.3)
    await caller.service.recordings.drain()
    sealed = await all_entries(caller, case_id, "segment_sealed")
    assert [entry["body"]["segment"] for entry in sealed] == list(range(1, len(sealed) + 1))
    assert [entry["body"]["reason"] for entry in sealed] == ["full", "ended"]
    assert all(entry["envelope"]["actor_id"] == link["link_id"] for entry in sealed)
    assert all(entry["envelope"]["role"] == "courier" for entry in sealed)
    assert await packets_of(caller, case_id, sealed) == sender.sent[before:after]
    for earlier, later in pairwise(entry["body"] for entry in sealed):
        assert earlier["began_at"] < earlier["ended_at"] <= later["began_at"]
    by_kind = {stream["media"]: stream for stream in sealed[0]["body"]["streams"]}
    assert (by_kind["video"]["codec"], by_kind["video"]["ssrc"]) == ("VP8", sender.peer.video_ssrc)
    assert (by_kind["audio"]["codec"], by_kind["audio"]["clock_rate"]) == ("opus", 48_000)
    sender.peer.close()


async def test_a_frame_names_the_segments_that_hold_its_packets(caller: Caller) -> None:
    case_id = await caller.open_case()
    socket, sender, link = await in_call(caller, case_id, "courier")
    sending = asyncio.create_task(sender.send(7))
    for number in range(6):
        await asyncio.sleep(1.05)
        await say(socket, f"f{number}", kind="take_frame", of=link["link_id"])
    await sending
    await say(socket, "k9", kind="leave")
    await caller.service.recordings.drain()
    sealed = await all_entries(caller, case_id, "segment_sealed")
    frames = await all_entries(caller, case_id, "frame_sealed")
    assert len(frames) == 6
    for frame in (frame["body"] for frame in frames):
        journal, span = frame["journal"], frame["packets"]
        assert journal["call_number"] == 1
        named = sealed[journal["first_segment"] - 1 : journal["last_segment"]]
        digest, count = hashlib.sha256(), 0
        first, last = span["first_sequence_number"], span["last_sequence_number"]
        for packet in await packets_of(caller, case_id, named):
            sequence_number = int.from_bytes(packet[2:4])
            if int.from_bytes(packet[8:12]) == span["ssrc"] and first <= sequence_number <= last:
                digest.update(len(packet).to_bytes(4) + packet)
                count += 1
        assert (count, digest.hexdigest()) == (span["count"], span["sha256"])
    assert {frame["body"]["journal"]["last_segment"] for frame in frames} == {1, 2}
    sender.peer.close()


async def test_a_journal_goes_on_across_a_reconnect(caller: Caller) -> None:
    case_id = await caller.open_case()
    socket, sender, link = await in_call(caller, case_id, "courier")
    await sender.send(1.5)
    await asyncio.sleep(0.05)
    sender.peer.close(goodbye=False)
    again = Sender(await connect(caller.url, caller.http, case_id, link["token"]))
    await again.send(1)
    await asyncio.sleep(0.05)
    await say(socket, "k3", kind="leave")
    await caller.service.recordings.drain()
    sealed = await all_entries(caller, case_id, "segment_sealed")
    assert [entry["body"]["segment"] for entry in sealed] == [1, 2]
    assert [entry["body"]["reason"] for entry in sealed] == ["interrupted", "ended"]
    assert await packets_of(caller, case_id, sealed) == sender.sent + again.sent
    again.peer.close()


async def test_a_full_disk_costs_segments_and_not_the_call(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    case_id = await caller.open_case()
    socket, sender, _ = await in_call(caller, case_id, "courier")
    put = caller.service.blobs.put_now

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caller.service.blobs, "put_now", full)
    for number in range(1, 4):
        await sender.send(1.2)
        await silence_that_ends(caller, number)
    await wait_for_segments(caller, 3)
    status, text = await caller.call("GET", "/readyz", bearer=None)
    assert (status, text) == (200, b"ready, but the journal of calls is not kept: not_stored\n")
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    assert b'proofcall_segments_total{fate="lost"} 3.0' in metrics
    assert b"proofcall_segments_waiting_bytes 0.0" in metrics
    monkeypatch.setattr(caller.service.blobs, "put_now", put)
    await sender.send(1.2)
    assert (await say(socket, "k3", kind="leave"))["type"] == "ack"
    await caller.service.recordings.drain()
    kept = await all_entries(caller, case_id, "segment_sealed", "segment_lost")
    assert [entry["envelope"]["kind"] for entry in kept] == ["segment_lost"] * 3 + ["segment_sealed"]
    assert [entry["body"]["segment"] for entry in kept] == [1, 2, 3, 4]
    assert {entry["body"]["reason"] for entry in kept[:3]} == {"not_stored"}
    assert sum(entry["body"]["packets"] for entry in kept) == len(sender.sent), "each is told of"
    assert (await caller.call("GET", "/readyz", bearer=None))[1] == b"ready\n"
    told = [r for r in caplog.records if r.name == "server.recordings" and r.levelno >= logging.WARNING]
    assert len(told) == 2, "once when it began, once when it was over"
    sender.peer.close()


async def test_a_slow_disk_is_waited_for_as_long_as_there_is_room(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await caller.open_case()
    socket, sender, _ = await in_call(caller, case_id, "courier")
    put, free = caller.service.blobs.put_now, threading.Event()

    def slow(*arguments: Any) -> str:
        free.wait()
        return put(*arguments)

    monkeypatch.setattr(caller.service.blobs, "put_now", slow)
    waiting = []
    for number in range(1, 5):
        await sender.send(1.2)
        await silence_that_ends(caller, number)
        waiting.append(caller.service.recordings.waiting_bytes)
        room = waiting[0] * 5 // 2
        monkeypatch.setattr(recordings, "MAX_WAITING_BYTES", room)
    assert 0 < waiting[0] < waiting[1] == waiting[3] <= room
    assert await all_entries(caller, case_id, "segment_sealed") == [], "no entry before its blob is durable"
    assert (await say(socket, "k3", kind="text", text="nobody waits for the disk"))["type"] == "ack"
    free.set()
    await say(socket, "k4", kind="leave")
    await caller.service.recordings.drain()
    kept = await all_entries(caller, case_id, "segment_sealed", "segment_lost")
    assert [entry["body"]["segment"] for entry in kept] == list(range(1, len(kept) + 1))
    kinds = [entry["envelope"]["kind"] for entry in kept]
    assert kinds == ["segment_sealed"] * 2 + ["segment_lost"] * 2
    assert {entry["body"]["reason"] for entry in kept[2:]} == {"overloaded"}
    assert sum(entry["body"]["packets"] for entry in kept) == len(sender.sent)
    assert caller.service.recordings.waiting_bytes == 0
    sender.peer.close()


async def test_a_log_that_cannot_be_written_gets_all_of_it_in_order_later(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "RETRY_S", 0.1)
    monkeypatch.setattr(recordings, "MAX_WAITING_BYTES", 1)
    monkeypatch.setattr(recordings, "MAX_WAITING_PIECES", 2)
    case_id = await caller.open_case()
    socket, sender, _ = await in_call(caller, case_id, "courier")
    append = caller.service.log.append

    async def refuse(*_: object, **__: object) -> None:
        raise FailedAppend("the disk is full")

    monkeypatch.setattr(caller.service.log, "append", refuse)
    for number in (1, 2, 2, 2):
        await sender.send(1.2)
        await asyncio.sleep(1.1)
        await silence_that_ends(caller, number)
    _, text = await caller.call("GET", "/readyz", bearer=None)
    assert text in (
        b"ready, but the journal of calls is not kept: overloaded\n",
        b"ready, but the journal of calls is not kept: append_failed\n",
    )
    monkeypatch.setattr(caller.service.log, "append", append)
    await caller.service.recordings.drain()
    lost = await all_entries(caller, case_id, "segment_lost")
    assert [entry["body"]["segment"] for entry in lost] == [1, 2], "the last loss is lengthened"
    assert sum(entry["body"]["packets"] for entry in lost) == len(sender.sent)
    assert (await say(socket, "k4", kind="leave"))["type"] == "ack"
    sender.peer.close()


async def test_a_stop_writes_what_the_journal_still_held(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        case_id = await caller.open_case()
        _, sender, _ = await in_call(caller, case_id, "courier")
        await sender.send(1.5)
        await asyncio.sleep(0.05)
        await caller.service.calls.drain()
        sent = list(sender.sent)
        sender.peer.close()
    async with calling(tmp_path) as caller:
        sealed = await all_entries(caller, case_id, "segment_sealed")
        assert await packets_of(caller, case_id, sealed) == sent
        (ended,) = await all_entries(caller, case_id, "call_ended")
        assert ended["body"]["reason"] == "ended"


async def test_a_call_is_listed_and_played_back_in_ranges(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await caller.open_case()
    qa = await caller.link(case_id, "qa")
    socket, sender, link = await in_call(caller, case_id, "courier")
    await sender.send(6.5)
    path = f"/api/cases/{case_id}/calls"
    wish = {"actor_id": link["link_id"], "part": 1}
    status, body = await caller.call("POST", f"{path}/1/playback", json=wish)
    assert (status, body["error"]["code"]) == (409, "unfinished_recording")
    await say(socket, "k3", kind="leave")
    await caller.service.recordings.drain()
    _, listed = await caller.call("GET", path, bearer=qa["token"])
    (call,) = listed["calls"]
    assert call["call_number"] == 1 and call["ended_at"] is not None and not call["aborted"]
    (recording,) = call["recordings"]
    assert (recording["actor_id"], recording["role"]) == (link["link_id"], "courier")
    assert (recording["name"], recording["part"]) == ("courier", 1)
    assert (recording["media_type"], recording["lost_segments"]) == ("video/webm", [])
    assert (recording["first_segment"], recording["last_segment"]) == (1, 2)
    maker, made = caller.service.playbacks._maker, []
    make = maker.make_playback

    async def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return await make(*arguments)

    monkeypatch.setattr(maker, "make_playback", counted)
    answers = await asyncio.gather(
        *(caller.call("POST", f"{path}/1/playback", json=wish, bearer=qa["token"]) for _ in range(3))
    )
    (status, playback), *others = answers
    assert len(made) == 1, "who asks while it is made waits for the same file"
    assert status == 200, playback
    assert all(other["began_at"] == playback["began_at"] for _, other in others)
    assert playback["media_type"] == "video/webm"
    assert 6_000 < playback["duration_ms"] < 7_500
    assert (playback["width"], playback["height"]) == (160, 128)
    sealed = await all_entries(caller, case_id, "segment_sealed")
    assert playback["segments"] == [
        {
            "segment": entry["body"]["segment"],
            "number": entry["envelope"]["number"],
            "sha256": entry["body"]["blob"]["sha256"],
        }
        for entry in sealed
    ]
    played = await all_entries(caller, case_id, "played_back")
    assert len(played) == 3 and played[0]["envelope"]["actor_id"] == qa["link_id"]
    assert played[0]["body"] == {
        "call_number": 1, "of": link["link_id"], "part": 1, "first_segment": 1, "last_segment": 2,
        "authenticated_by": "link",
    }  # fmt: skip
    url = caller.url + playback["url"]
    async with caller.http.get(url) as answer:
        whole = await answer.read()
        assert (answer.status, answer.headers["Accept-Ranges"]) == (200, "bytes")
        assert answer.content_type == "video/webm"
        assert answer.headers["Cache-Control"] == "private, no-store"
        etag = answer.headers["ETag"]
    size = len(whole)
    for text, status, content, told in (
        ("bytes=0-99", 206, whole[:100], f"bytes 0-99/{size}"),
        (f"bytes=100-{size + 5}", 206, whole[100:], f"bytes 100-{size - 1}/{size}"),
        ("bytes=200-", 206, whole[200:], f"bytes 200-{size - 1}/{size}"),
        ("bytes=-10", 206, whole[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
        (f"bytes={size}-", 416, None, f"bytes */{size}"),
        ("bytes=0-1,5-6", 200, whole, None),
        ("bytes=9-1", 200, whole, None),
        ("lines=0-1", 200, whole, None),
    ):
        async with caller.http.get(url, headers={"Range": text}) as answer:
            assert (answer.status, answer.headers.get("Content-Range")) == (status, told), text
            if content is not None:
                assert await answer.read() == content, text
    async with caller.http.get(url, headers={"Range": "bytes=0-9", "If-Range": '"older"'}) as answer:
        assert answer.status == 200
    async with caller.http.get(url, headers={"Range": "bytes=0-9", "If-Range": etag}) as answer:
        assert answer.status == 206
    with av.open(io.BytesIO(whole), "r") as container:
        shown = sum(1 for _ in container.decode(video=0))
    assert shown > 6 * 30 - 5
    for file in (caller.service.blobs._folder.parent / "derived").glob("c_*/*"):
        file.unlink()
    async with caller.http.get(url) as answer:
        assert await answer.read() == whole, "evicted, it is made again, and is the same"
    async with caller.http.get(url[:-3] + "xyz") as answer:
        assert answer.status == 401
    sender.peer.close()


async def test_what_is_not_recorded_is_not_played_back(caller: Caller) -> None:
    case_id = await caller.open_case()
    socket, sender, link = await in_call(caller, case_id, "courier")
    await say(socket, "k3", kind="leave")
    for call_number, actor_id in ((1, link["link_id"]), (2, link["link_id"]), (1, "l_nobody"), ("x", "x")):
        status, body = await caller.call(
            "POST", f"/api/cases/{case_id}/calls/{call_number}/playback", json={"actor_id": actor_id}
        )
        assert (status, body["error"]["code"]) == (404, "unknown"), body
    _, listed = await caller.call("GET", f"/api/cases/{case_id}/calls")
    assert listed["calls"][0]["recordings"] == []
    sender.peer.close()


def test_a_cut_within_one_instant_names_the_later_segment_too() -> None:
    sender = recordings.Sender(last=2)
    sender.cut.extend([(1, 0.01, 1.96), (2, 1.96, 3.0)])
    span = recordings._span(1, sender, 0.5, 1.96)
    assert span is not None and (span.first_segment, span.last_segment) == (1, 2)


async def test_a_machine_without_a_thread_to_spare_costs_segments_and_not_the_writer(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await caller.open_case()
    socket, sender, _ = await in_call(caller, case_id, "courier")
    to_thread = asyncio.to_thread

    async def refuse(function: Any, *arguments: Any) -> Any:
        if function == caller.service.recordings._put:
            raise RuntimeError("can't start new thread")
        return await to_thread(function, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", refuse)
    await sender.send(1.2)
    await silence_that_ends(caller, 1)
    await wait_for_segments(caller, 1)
    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    await sender.send(1.2)
    await say(socket, "k3", kind="leave")
    await caller.service.recordings.drain()
    kept = await all_entries(caller, case_id, "segment_sealed", "segment_lost")
    assert [entry["envelope"]["kind"] for entry in kept] == ["segment_lost", "segment_sealed"]
    sender.peer.close()
