"""What a sender's page is told to send, what its watchers are told of it, and who may ask for detail."""

from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse

from media.call import EncodingsChanged, SlotsMoved
from media.encodings import UNLIMITED_BPS, EncodingOrder
from media.router import SlotAssignment
from server import sharpness
from signaling.values import ActorId
from tests.conftest import Caller
from tests.server.test_devices import media_session
from tests.server.test_socket import greet, log_of, say

ORDERS = (
    EncodingOrder(rid="low", max_bitrate_bps=70_000, for_stills=True),
    EncodingOrder(rid="high", max_bitrate_bps=UNLIMITED_BPS),
)


async def event(socket: ClientWebSocketResponse, kind: str, **so: Any) -> dict[str, Any]:
    """The next event of that kind that says these things; fails if none comes."""
    while True:
        message = await socket.receive_json(timeout=5)
        told = message.get("event", {})
        if told.get("kind") == kind and so.items() <= told.items():
            return dict(told)


async def join(socket: ClientWebSocketResponse) -> None:
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await say(socket, "k2", kind="join")


async def both_in_call(
    caller: Caller,
) -> tuple[str, list[dict[str, Any]], list[ClientWebSocketResponse]]:
    """A case with customer and courier in a call: its id, their links and their sockets."""
    case_id = await caller.open_case()
    links = [await caller.link(case_id, role, role) for role in ("customer", "courier")]
    people = [await greet(caller, case_id, link["token"]) for link in links]
    for person in people:
        await join(person)
    return case_id, links, people


async def ask(socket: ClientWebSocketResponse, of: str) -> None:
    await socket.send_json({"type": "sharpen", "actor_id": of})


async def test_a_page_is_told_what_to_send_when_it_comes_when_its_media_come_and_with_each_change(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "courier")
    socket = await greet(caller, case_id, link["token"])
    assert await event(socket, "encodings") == {"kind": "encodings", "encodings": [], "sharp": False}
    monkeypatch.setattr(caller.service.relay, "encodings", lambda *_: ORDERS)
    told = [
        {"rid": "low", "max_bitrate_bps": 70_000, "for_stills": True},
        {"rid": "high", "max_bitrate_bps": 0xFFFF_FFFF, "for_stills": False},
    ]
    await media_session(caller, case_id, link["token"])
    await event(socket, "encodings", encodings=told, sharp=False)
    monkeypatch.setattr(caller.service.relay, "encodings", lambda *_: ORDERS[:1])
    on_event = caller.service.relay.on_event
    assert on_event is not None
    on_event(EncodingsChanged(call_id=case_id, participant_id=link["link_id"]))
    await event(socket, "encodings", encodings=told[:1])
    again = await greet(caller, case_id, link["token"])
    await event(again, "encodings", encodings=told[:1])


async def test_a_watcher_is_told_what_becomes_of_a_picture(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id, links, (customer, _) = await both_in_call(caller)
    courier_id = links[1]["link_id"]
    for picture in ("stills", "paused", "live"):
        slot = SlotAssignment(slot=0, peer_id=courier_id, audio_mid="2", video_mid="3", picture=picture)
        monkeypatch.setattr(caller.service.relay, "slots", lambda *_, slot=slot: (slot,))
        on_event = caller.service.relay.on_event
        assert on_event is not None
        on_event(SlotsMoved(call_id=case_id, participant_id=links[0]["link_id"]))
        seat = {
            "slot": 0, "actor_id": courier_id, "audio_mid": "2", "video_mid": "3",
            "picture": picture, "sharp": False,
        }  # fmt: skip
        await event(customer, "slots", slots=[seat])


async def test_detail_that_a_watcher_asks_for_is_told_to_sender_and_watchers_and_ends_by_itself(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharpness, "SHARP_S", 0.3)
    case_id, links, (customer, courier) = await both_in_call(caller)
    slot = SlotAssignment(slot=0, peer_id=links[1]["link_id"], audio_mid="2", video_mid="3")
    monkeypatch.setattr(caller.service.relay, "slots", lambda *_: (slot,))
    await ask(customer, links[1]["link_id"])
    await event(courier, "encodings", sharp=True)
    while not (await event(customer, "slots"))["slots"][0]["sharp"]:
        pass
    await event(courier, "encodings", sharp=False)
    while (await event(customer, "slots"))["slots"][0]["sharp"]:
        pass
    await ask(courier, links[1]["link_id"])
    await event(courier, "encodings", sharp=True)
    await event(courier, "encodings", sharp=False)
    case = await caller.service.cases.get(case_id)
    number = case.state.last_number
    await ask(courier, links[1]["link_id"])
    await event(courier, "encodings", sharp=True)
    assert case.state.last_number == number, "it passes by"


async def test_a_shutter_makes_the_camera_sharp_that_it_asks_also_for_qa_outside_the_call(
    caller: Caller,
) -> None:
    case_id, links, (_, courier) = await both_in_call(caller)
    qa = await greet(caller, case_id, (await caller.link(case_id, "qa"))["token"])
    assert (await say(qa, "k1", kind="take_frame", of=links[1]["link_id"]))["type"] == "ack"
    await event(courier, "encodings", sharp=True)
    assert len(await log_of(caller, case_id, "frame_failed")) == 1


async def test_a_shutter_that_is_refused_or_told_again_makes_nothing_sharp(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharpness, "SHARP_S", 0.1)
    case_id, links, (customer, courier) = await both_in_call(caller)
    asked = {"kind": "take_frame", "of": links[1]["link_id"]}
    await say(customer, "k3", **asked)
    await event(courier, "encodings", sharp=True)
    await event(courier, "encodings", sharp=False)
    await say(customer, "k3", **asked)
    assert not is_sharp(caller, case_id, links[1])
    await say(customer, "k4", kind="leave")
    assert (await say(customer, "k5", **asked))["type"] == "nack"
    assert not is_sharp(caller, case_id, links[1])


def is_sharp(caller: Caller, case_id: str, link: dict[str, Any]) -> bool:
    return caller.service.calls.is_sharp(case_id, ActorId(link["link_id"]))


async def test_detail_is_asked_for_by_and_of_those_in_the_call_alone(caller: Caller) -> None:
    case_id, links, (customer, courier) = await both_in_call(caller)
    desk = await caller.link(case_id, "qa")
    qa = await greet(caller, case_id, desk["token"])
    await ask(qa, links[1]["link_id"])  # she is not in the call
    await ask(customer, desk["link_id"])
    await ask(customer, "l_" + "2" * 20)
    await say(qa, "t1", kind="text", text="all of them were heard")
    await say(customer, "t1", kind="text", text="all of them were heard")
    assert not any(is_sharp(caller, case_id, link) for link in (*links, desk))
    await ask(customer, links[1]["link_id"])
    await event(courier, "encodings", sharp=True)
    await say(courier, "k3", kind="leave")
    assert not is_sharp(caller, case_id, links[1]), "who has left needs no detail"


async def test_who_asks_before_the_hello_is_out_of_turn(caller: Caller) -> None:
    socket = await caller.socket(await caller.open_case())
    await ask(socket, "l_" + "2" * 20)
    message = await socket.receive(timeout=5)
    assert message.data == 4409


async def test_a_flood_of_asks_is_told_once(caller: Caller) -> None:
    _, links, (customer, courier) = await both_in_call(caller)
    for _ in range(500):
        await ask(customer, links[1]["link_id"])
    await say(customer, "t1", kind="text", text="all of them were heard")
    told = []
    while (message := await courier.receive_json(timeout=5)).get("entry", {}).get("envelope", {}).get(
        "kind"
    ) != "text":
        told.append(message.get("event", {}))
    assert [event["sharp"] for event in told if event.get("kind") == "encodings"].count(True) == 1
