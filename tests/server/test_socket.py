"""The WebSocket of a case: catching up, exactly once, ephemeral events, readers that do not read."""

import asyncio
import gc
import socket as sockets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from server import calls, cases
from server.http.socket import CaseSocket
from signaling import gaps, synchronisation
from signaling.commands import StartGap
from signaling.synchronisation import Send
from signaling.values import Actor, encode_time
from tests.conftest import Caller, calling
from tests.media.client_peer import ClientPeer


async def greet(
    caller: Caller, case_id: str, token: str, *, after: int = 0, known_hash: str | None = None
) -> ClientWebSocketResponse:
    socket = await caller.socket(case_id)
    await socket.send_json(
        {"type": "hello", "version": 1, "token": token, "after": after, "hash": known_hash}
    )
    return socket


async def up_to(socket: ClientWebSocketResponse, kind: str) -> list[dict[str, Any]]:
    """All messages up to the first of that type, which is the last of them."""
    messages = [await socket.receive_json(timeout=5)]
    while messages[-1]["type"] != kind:
        messages.append(await socket.receive_json(timeout=5))
    return messages


async def say(socket: ClientWebSocketResponse, command_id: str, **command: Any) -> dict[str, Any]:
    """Sends a command; its ack or nack."""
    await socket.send_json({"type": "command", "id": command_id, "command": command})
    while (message := await socket.receive_json(timeout=5)).get("id") != command_id:
        pass
    return dict(message)


async def close_code(socket: ClientWebSocketResponse) -> int:
    """The code that the server closes with; what it says before is passed over."""
    while (message := await socket.receive(timeout=5)).type is WSMsgType.TEXT:
        pass
    assert message.type is WSMsgType.CLOSE
    return int(message.data)


async def test_a_reader_gets_what_it_missed_and_then_what_comes(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    socket = await greet(caller, case_id, link["token"])
    missed = [m["entry"] for m in await up_to(socket, "synced") if m["type"] == "entry"]
    assert [entry["envelope"]["kind"] for entry in missed] == ["case_opened", "link_issued", "read"]
    assert [entry["envelope"]["number"] for entry in missed] == [1, 2, 3]
    assert all(entry["body"] is None for entry in missed), "the office's entries are withheld from a customer"
    assert (await say(socket, "t1", kind="text", text="I am downstairs"))["number"] == 4
    again = await greet(caller, case_id, link["token"], after=3, known_hash=missed[2]["hash"])
    (entry,) = [m["entry"] for m in await up_to(again, "synced") if m["type"] == "entry"]
    assert entry["body"] == {"text": "I am downstairs", "captured_at": None}
    assert (await say(socket, "t2", kind="text", text="Here"))["number"] == 5, "the older page goes on"


async def test_the_phones_clock_is_measured_before_its_first_command_and_kept_with_what_it_claims(
    caller: Caller,
) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await caller.socket(case_id)
    hello = {"type": "hello", "version": 1, "token": link["token"], "after": 0, "hash": None, "clock": True}
    await socket.send_json(hello)
    messages = await up_to(socket, "synced")
    assert [message["type"] for message in messages[:2]] == ["welcome", "clock_probe"]
    ahead = timedelta(hours=-8, seconds=7)

    async def tell_time(probe: int) -> None:
        at = encode_time(datetime.now(UTC) + ahead)
        await socket.send_json({"type": "clock", "probe": probe, "at": at})

    await tell_time(messages[1]["probe"])
    claimed = encode_time(datetime.now(UTC) + ahead)
    # The command does not wait for the other probes: one reading is enough.
    await say(socket, "t1", kind="text", text="here", captured_at=claimed)
    await say(socket, "t2", kind="text", text="and here", captured_at=None)
    own, no_claim = (await caller.service.log.entries(case_id))[-2:]
    clock = own.body["clock"]
    assert isinstance(clock, dict)
    offset_ms, uncertainty_ms = int(str(clock["offset_ms"])), int(str(clock["uncertainty_ms"]))
    assert abs(offset_ms - ahead / timedelta(milliseconds=1)) <= uncertainty_ms
    assert "clock" not in no_claim.body
    await caller.call("DELETE", f"/api/cases/{case_id}/links/{link['link_id']}")
    assert await close_code(socket) == 4410


async def test_who_does_not_offer_a_clock_is_asked_for_none(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await greet(caller, case_id, link["token"])
    assert "clock_probe" not in {message["type"] for message in await up_to(socket, "synced")}
    await socket.send_json({"type": "clock", "probe": 1, "at": "2026-11-22T14:03:22.123Z"})
    await say(socket, "t1", kind="text", text="here", captured_at="2026-11-22T14:03:22.123Z")
    assert "clock" not in (await caller.service.log.entries(case_id))[-1].body


async def test_a_command_sent_twice_takes_effect_once(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await greet(caller, case_id, link["token"])
    first = await say(socket, "t1", kind="text", text="once")
    assert await say(socket, "t1", kind="text", text="once") == first
    socket = await greet(caller, case_id, link["token"])
    assert await say(socket, "t1", kind="text", text="once") == first
    _, log = await caller.call("GET", f"/api/cases/{case_id}/entries")
    assert [entry["envelope"]["kind"] for entry in log["entries"]].count("text") == 1


async def test_a_text_sent_again_after_the_end_is_answered_as_it_was_then(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await greet(caller, case_id, link["token"])
    first = await say(socket, "t1", kind="text", text="once")
    await caller.call("POST", f"/api/cases/{case_id}/end")
    assert await say(socket, "t1", kind="text", text="once") == first
    assert (await say(socket, "t2", kind="text", text="too late"))["code"] == "case_not_open"


async def test_two_people_may_use_the_same_command_ids(caller: Caller) -> None:
    case_id = await caller.open_case()
    people = [
        await greet(caller, case_id, (await caller.link(case_id, role))["token"])
        for role in ("customer", "qa")
    ]
    for socket in people:
        assert (await say(socket, "k1", kind="consent", statement="yes", language="en"))["type"] == "ack"
        assert (await say(socket, "k2", kind="join"))["type"] == "ack"
    ended = await say(people[1], "k3", kind="end_case")
    assert ended["type"] == "ack"
    assert (await say(people[0], "k3", kind="leave"))["number"] is None, "the end had made them leave"
    assert (await caller.service.cases.get(case_id)).state.in_call == ()


async def test_what_is_not_allowed_is_refused_with_a_code_and_changes_nothing(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    socket = await greet(caller, case_id, link["token"])
    assert (await say(socket, "k1", kind="join"))["code"] == "consent_needed"
    assert (await say(socket, "k2", kind="end_case"))["code"] == "not_for_role"
    assert (await say(socket, "k3", kind="take_frame", of=link["link_id"]))["code"] == "not_in_call"
    assert (await caller.service.cases.get(case_id)).state.last_number == 3, "links, and that they read"


async def test_a_frame_of_someone_without_a_camera_fails_in_the_log(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await greet(caller, case_id, link["token"])
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await say(socket, "k2", kind="join")
    sent = {"kind": "take_frame", "of": link["link_id"]}
    await socket.send_json({"type": "command", "id": "k3", "command": sent})
    await socket.send_json({"type": "command", "id": "k3", "command": sent})
    replies: list[dict[str, Any]] = []
    while len(replies) < 2:
        message = await socket.receive_json(timeout=5)
        if message["type"] in ("ack", "nack"):
            replies.append(message)
    assert replies[0] == replies[1] and replies[0]["type"] == "ack"
    (failed,) = await log_of(caller, case_id, "frame_failed")
    assert failed["body"]["reason"] == "not_connected"


async def test_a_reader_with_another_log_is_told_to_read_it_anew(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    for after in (1, 2, 3):
        socket = await greet(caller, case_id, link["token"], after=after, known_hash="0" * 64)
        assert (await up_to(socket, "resync"))[-1]["code"] == "hash_mismatch"
        assert await close_code(socket) == 4412


async def test_words_out_of_turn_and_words_of_nobody_close_the_socket(caller: Caller) -> None:
    case_id = await caller.open_case()
    for text, code in (
        ("not json", 4400),
        ('{"type":"hello"}', 4400),
        ('{"type":"command","id":"k","command":{"kind":"join"}}', 4409),
        ('{"type":"signal","signal":{"kind":"muted","audio":true,"video":true}}', 4409),
        ('{"type":"signal","signal":{"kind":"playback","frames":-1}}', 4400),
    ):
        socket = await caller.socket(case_id)
        await socket.send_str(text)
        assert await close_code(socket) == code, text
    socket = await caller.socket(case_id)
    await socket.send_bytes(b"\x00")
    assert await close_code(socket) == 4400


async def test_presence_tells_who_is_here_and_what_they_have_muted(caller: Caller) -> None:
    case_id = await caller.open_case()
    links = [
        await caller.link(case_id, role, name) for role, name in (("customer", "Li"), ("courier", "Wang"))
    ]
    customer = await greet(caller, case_id, links[0]["token"])
    courier = await greet(caller, case_id, links[1]["token"])
    await courier.send_json({"type": "signal", "signal": {"kind": "muted", "audio": True, "video": False}})
    while True:
        message = await customer.receive_json(timeout=5)
        people = (
            message["event"]["people"] if message["type"] == "event" and "people" in message["event"] else []
        )
        if any(person["name"] == "Wang" and person["audio_muted"] for person in people):
            break
    await courier.close()
    while True:
        message = await customer.receive_json(timeout=5)
        if message["type"] == "event" and "people" in message["event"]:
            names = [person["name"] for person in message["event"]["people"]]
            if names == ["Li"]:
                break


async def in_call(caller: Caller, case_id: str, role: str) -> tuple[ClientWebSocketResponse, ClientPeer, str]:
    """Somebody who has joined, with media that are connected."""
    link = await caller.link(case_id, role, role)
    socket = await greet(caller, case_id, link["token"])
    peer = await ClientPeer.open()
    peer.connect(caller.service.relay.connect(case_id, link["link_id"], peer.offer()).answer)
    await peer.wait_connected()
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await say(socket, "k2", kind="join")
    return socket, peer, link["link_id"]


async def next_quality(socket: ClientWebSocketResponse) -> list[dict[str, Any]]:
    """The people of the next event of that kind."""
    while True:
        message = await socket.receive_json(timeout=5)
        if message["type"] == "event" and message["event"]["kind"] == "quality":
            return list(message["event"]["people"])


async def log_of(caller: Caller, case_id: str, kind: str) -> list[dict[str, Any]]:
    _, log = await caller.call("GET", f"/api/cases/{case_id}/entries")
    return [entry for entry in log["entries"] if entry["envelope"]["kind"] == kind]


async def test_levels_are_for_everyone_and_numbers_for_qa(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "READ_EVERY_S", 0.05)
    case_id = await caller.open_case()
    qa = await greet(caller, case_id, (await caller.link(case_id, "qa"))["token"])
    courier, peer, courier_id = await in_call(caller, case_id, "courier")
    (person,) = await next_quality(courier)
    assert person == {
        "actor_id": courier_id, "level": "good", "sent": "good", "received": "good",
        "sent_repair_ms": 0, "received_repair_ms": 0, "numbers": None,
    }  # fmt: skip
    played = {"frames": 50, "freezes": 2, "frozen_ms": 900, "audio_samples": 1000, "concealed_samples": 10}
    await courier.send_json({"type": "signal", "signal": {"kind": "playback", **played}})
    while (told := (await next_quality(qa))[0]["numbers"])["playback"] is None:
        pass
    assert told["playback"] == {"freezes": 2, "frozen_ms": 900, "concealed_permille": 10}
    assert told["round_trip_ms"] is None and told["sent"]["loss_permille"] == 0
    await courier.send_json({"type": "command", "id": "k3", "command": {"kind": "leave"}})
    assert await next_quality(courier) == []
    while await next_quality(qa) != []:
        pass
    (summary,) = await log_of(caller, case_id, "call_quality")
    assert summary["envelope"]["actor_id"] == courier_id
    assert summary["body"]["playback_claim"]["frames"] == 50
    peer.close()


async def test_a_flood_of_claims_is_told_no_oftener_than_a_reading(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "READ_EVERY_S", 0.2)
    case_id = await caller.open_case()
    qa = await greet(caller, case_id, (await caller.link(case_id, "qa"))["token"])
    courier, peer, _ = await in_call(caller, case_id, "courier")
    played = {"frames": 1, "freezes": 1, "frozen_ms": 1, "audio_samples": 1, "concealed_samples": 1}
    for _ in range(500):
        await courier.send_json({"type": "signal", "signal": {"kind": "playback", **played}})
    events = 0
    while True:
        (person,) = await next_quality(qa)
        events += 1
        playback = person["numbers"]["playback"]
        if playback is not None and playback["freezes"] == 500:
            break
    assert events <= 25, "500 signals took far less than 5 s"
    peer.close()


async def test_gaps_of_microphone_and_network_are_in_the_log(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "READ_EVERY_S", 0.02)
    monkeypatch.setattr(gaps, "NOTICED_AFTER_S", 0.1)
    monkeypatch.setattr(gaps, "STEADY_AFTER_S", 0.1)
    case_id = await caller.open_case()
    courier, peer, courier_id = await in_call(caller, case_id, "courier")

    async def mute(*, audio: bool) -> None:
        await courier.send_json(
            {"type": "signal", "signal": {"kind": "muted", "audio": audio, "video": True}}
        )

    async def entry(kind: str) -> dict[str, Any]:
        while True:
            message = await courier.receive_json(timeout=5)
            if message["type"] == "entry" and message["entry"]["envelope"]["kind"] == kind:
                return dict(message["entry"])

    await mute(audio=False)
    await asyncio.sleep(0.05)
    await mute(audio=True)
    started = await entry("gap_started")
    assert started["envelope"]["actor_id"] == courier_id
    assert (started["body"]["of"], started["body"]["cause"]) == ("audio", "microphone_off")
    assert started["body"]["began_at"] <= started["envelope"]["recorded_at"]
    for _ in range(20):  # a hostile page: now this, now that
        await mute(audio=False)
        await mute(audio=True)
    await mute(audio=False)
    ended = await entry("gap_ended")
    assert ended["body"]["number"] == started["envelope"]["number"] == ended["envelope"]["number"] - 1
    peer.close()
    assert (await entry("gap_started"))["body"]["cause"] == "network"
    await say(courier, "k3", kind="leave")
    _, log = await caller.call("GET", f"/api/cases/{case_id}/entries")
    last = [entry["envelope"]["kind"] for entry in log["entries"]][-4:]
    assert last == ["gap_ended", "call_quality", "left", "call_ended"]
    assert log["entries"][-3]["body"]["gaps"]["count"] == 2


async def test_a_call_whose_service_died_within_a_gap_is_ended_and_the_case_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object, **__: object) -> None:
        return

    async with calling(tmp_path) as caller:
        case_id = await caller.open_case()
        socket, peer, _ = await in_call(caller, case_id, "courier")
        case = await caller.service.cases.get(case_id)
        assert case.state.call is not None
        actor_id, session_id = next(iter(case.state.call.in_call.items()))
        actor = Actor(role="courier", actor_id=actor_id, session_id=session_id)
        await case.handle(StartGap(cause="network", age_ms=5), actor)
        monkeypatch.setattr(caller.service.calls, "_interrupt", nothing)  # it says nothing more
        peer.close()
        await socket.close()
    async with calling(tmp_path) as caller:
        (ended,) = await log_of(caller, case_id, "gap_ended")
        assert ended["body"]["duration_ms"] is None
        assert await log_of(caller, case_id, "call_quality") == []
        (left,) = await log_of(caller, case_id, "left")
        assert left["body"]["reason"] == "interrupted"
        (over,) = await log_of(caller, case_id, "call_ended")
        assert over["body"]["reason"] == "aborted"


async def test_a_log_longer_than_a_page_arrives_whole_while_it_grows(caller: Caller) -> None:
    case_id = await caller.open_case()
    links = [await caller.link(case_id, role) for role in ("customer", "courier")]
    writer = await greet(caller, case_id, links[0]["token"])

    async def write(first: int) -> None:
        for number in range(first, first + 120):
            await say(writer, f"t{number}", kind="text", text=f"line {number}")

    await write(0)
    reader = await greet(caller, case_id, links[1]["token"])
    writing = asyncio.create_task(write(120))
    numbers: list[int] = []
    while len(numbers) < 243:
        message = await reader.receive_json(timeout=5)
        if message["type"] == "entry":
            numbers.append(message["entry"]["envelope"]["number"])
    await writing
    assert numbers == list(range(1, 244))


async def test_an_hours_commands_are_carried_out_at_once_and_in_order(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    socket = await greet(caller, case_id, link["token"])
    await up_to(socket, "synced")
    for number in range(200):
        await socket.send_json(text_command(number, f"line {number}"))
    acknowledged, said = await answers_to(socket, 200)
    assert acknowledged == [f"t{number}" for number in range(200)]
    assert said == [f"line {number}" for number in range(200)]


async def test_who_says_a_lot_and_reads_it_late_is_waited_for(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    narrow = ClientSession(connector=TCPConnector(socket_factory=narrow_socket))
    socket = await narrow.ws_connect(f"{caller.url}/api/cases/{case_id}/ws")
    hello = {"type": "hello", "version": 1, "token": link["token"], "after": 0, "hash": None}
    await socket.send_json(hello)
    await up_to(socket, "synced")

    async def send() -> None:
        for number in range(600):  # 4.8 MB: more than the kernel holds
            await socket.send_json(text_command(number, "\N{PACKAGE}" * 2000))

    sending = asyncio.create_task(send())
    case = await caller.service.cases.get(case_id)
    newest = -1
    while newest != case.state.last_number:
        newest = case.state.last_number
        await asyncio.sleep(0.5)
    assert newest < 603, "no more is taken from it than it has read the answers to"
    acknowledged, said = await answers_to(socket, 600)
    assert acknowledged == [f"t{number}" for number in range(600)] and len(said) == 600
    await sending
    await narrow.close()


def narrow_socket(address: Any) -> sockets.socket:
    """Of a client whose kernel keeps little for it."""
    narrow = sockets.socket(address[0])
    narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    return narrow


def text_command(number: int, text: str) -> dict[str, Any]:
    command = {"kind": "text", "text": text, "captured_at": "2026-11-22T14:03:22.123Z"}
    return {"type": "command", "id": f"t{number}", "command": command}


async def answers_to(socket: ClientWebSocketResponse, count: int) -> tuple[list[str], list[str]]:
    """The ids of that many acknowledged commands, and the texts that came, in order."""
    acknowledged: list[str] = []
    said: list[str] = []
    while len(acknowledged) < count or len(said) < count:
        message = await socket.receive_json(timeout=5)
        assert message["type"] != "nack", message
        if message["type"] == "ack":
            acknowledged.append(message["id"])
        elif message["type"] == "entry" and message["entry"]["envelope"]["kind"] == "text":
            said.append(message["entry"]["body"]["text"])
    return acknowledged, said


async def test_a_leave_sent_again_after_a_reload_takes_effect_once(caller: Caller) -> None:
    case_id = await caller.open_case()
    other = await greet(caller, case_id, (await caller.link(case_id, "courier"))["token"])
    token = (await caller.link(case_id, "customer"))["token"]
    for socket in (other, await greet(caller, case_id, token)):
        await say(socket, "k1", kind="consent", statement="yes", language="en")
        await say(socket, "k2", kind="join")
    reloaded = await greet(caller, case_id, token)
    left = await say(reloaded, "k3", kind="leave")
    assert left["number"] is not None
    assert await say(reloaded, "k3", kind="leave") == left
    await say(reloaded, "k4", kind="join")
    assert await say(reloaded, "k3", kind="leave") == left, "an old command does not act on the new call"
    assert len((await caller.service.cases.get(case_id)).state.in_call) == 2


async def test_a_picture_that_cannot_be_stored_fails_in_the_log(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await greet(caller, case_id, link["token"])
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await say(socket, "k2", kind="join")

    async def no_room(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caller.service.relay, "capture_frame", no_room)
    assert (await say(socket, "k3", kind="take_frame", of=link["link_id"]))["type"] == "ack"
    (failed,) = await log_of(caller, case_id, "frame_failed")
    assert failed["body"]["reason"] == "not_stored"


async def test_what_nobody_foresaw_is_answered_and_harms_nobody_else(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await caller.open_case()
    sockets = [
        await greet(caller, case_id, (await caller.link(case_id, role))["token"])
        for role in ("customer", "courier")
    ]
    for socket in sockets:
        await up_to(socket, "synced")
    case = await caller.service.cases.get(case_id)
    append = caller.service.log.append

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(caller.service.log, "append", broken)
    refused = await say(sockets[0], "k1", kind="text", text="lost")
    assert (refused["type"], refused["code"]) == ("nack", "internal")
    monkeypatch.setattr(caller.service.log, "append", append)
    assert (await say(sockets[0], "k1", kind="text", text="again"))["type"] == "ack"
    assert (await say(sockets[1], "k1", kind="text", text="fine"))["type"] == "ack"
    assert case.state.last_number == 7, "case, two links, two readings, two texts"


async def test_what_was_to_be_written_in_the_moment_in_which_a_page_goes_is_dropped(
    caller: Caller, recwarn: pytest.WarningsRecorder
) -> None:
    """Without a coroutine that nobody awaits, which Python complains of."""
    nobody: Any = None
    leaving = CaseSocket(caller.service, await caller.open_case(), nobody, nobody)
    async with leaving._tasks:
        leaving._perform([Send(texts=("too late",))])
        assert leaving._writing is not None
        leaving._writing.cancel()
    del leaving
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


async def test_a_page_that_goes_at_once_leaves_nothing_behind(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    for _ in range(5):
        await (await greet(caller, case_id, link["token"])).close()
    await asyncio.sleep(0.1)
    assert not (await caller.service.cases.get(case_id)).listeners
    assert "failed" not in caplog.text


async def test_who_does_not_come_back_is_taken_out_and_forgotten(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOST_AFTER_S", 0.1)
    case_id = await caller.open_case()
    links = [await caller.link(case_id, role, role) for role in ("customer", "courier")]
    customer, courier = [await greet(caller, case_id, link["token"]) for link in links]
    for socket in (customer, courier):
        await say(socket, "k1", kind="consent", statement="yes", language="en")
        await say(socket, "k2", kind="join")
    await courier.close()
    while True:
        message = await customer.receive_json(timeout=5)
        people = message.get("event", {}).get("people")
        if people is not None and [person["name"] for person in people] == ["customer"]:
            break
    _, log = await caller.call("GET", f"/api/cases/{case_id}/entries")
    assert log["entries"][-1]["body"]["reason"] == "lost"


async def test_a_reader_that_does_not_read_is_cut_off(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synchronisation, "WRITE_TIMEOUT_S", 0.5)
    case_id = await caller.open_case()
    tokens = [(await caller.link(case_id, role))["token"] for role in ("customer", "courier")]
    writer = await greet(caller, case_id, tokens[0])
    for number in range(600):
        await say(
            writer, f"t{number}", kind="text", text="\N{PACKAGE}" * 2000
        )  # 4.8 MB: more than the kernel holds
    port = int(caller.url.rpartition(":")[2])
    deaf = sockets.socket()
    deaf.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", port))
    hello = '{"type":"hello","version":1,"token":"%s","after":0,"hash":null}' % tokens[1]  # noqa: UP031
    deaf.sendall(
        (
            f"GET /api/cases/{case_id}/ws HTTP/1.1\r\nHost: x\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode()
        + bytes((0x81, 0x80 | 126, *len(hello).to_bytes(2), 0, 0, 0, 0))
        + hello.encode()
    )
    case = await caller.service.cases.get(case_id)
    seen = set()
    for _ in range(400):
        await asyncio.sleep(0.025)
        seen.add(len(case.listeners))
        if seen == {1, 2} and len(case.listeners) == 1:
            break
    deaf.close()
    assert seen == {1, 2} and len(case.listeners) == 1, "it came, and was let go"


async def test_a_case_that_a_request_still_holds_is_never_there_twice(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MAX_IDLE_CASES", 2)
    held = await caller.service.cases.get(await caller.open_case())
    for _ in range(5):
        await caller.open_case()
    assert len(caller.service.cases.live()) <= 3
    assert await caller.service.cases.get(held.case_id) is held


async def test_whoever_fails_to_hear_of_an_entry_leaves_it_durable_and_told_to_the_others(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    case_id = await caller.open_case()
    socket = await greet(caller, case_id, (await caller.link(case_id, "customer"))["token"])
    await up_to(socket, "synced")
    case = await caller.service.cases.get(case_id)

    def fail(*_: object) -> None:
        raise ValueError("a bug of ours")

    monkeypatch.setattr(caller.service.calls, "observe", fail)
    caller.service.cases.observers.insert(0, fail)
    heard: list[str] = []
    case.listeners |= {fail, lambda entry: heard.append(entry.envelope.kind)}
    assert (await say(socket, "t1", kind="text", text="here"))["type"] == "ack"
    assert (await say(socket, "t2", kind="text", text="here"))["type"] == "ack"
    assert heard == ["text", "text"] and "could not be told" in caplog.text
