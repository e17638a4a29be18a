"""Several devices of one person: side by side in the conversation, one of them in the call."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse

from server import calls
from tests.conftest import Caller
from tests.server.test_media_http import OFFER, SDP
from tests.server.test_socket import close_code, greet, log_of, say, up_to


async def test_what_one_device_does_its_other_device_sees_and_each_command_acts_once(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    phone, tablet = [await greet(caller, case_id, link["token"]) for _ in range(2)]
    for device in (phone, tablet):
        await up_to(device, "synced")
    answers = await asyncio.gather(
        *(say(device, "t1", kind="text", text="once") for device in (phone, tablet))
    )
    assert answers[0] == answers[1], "the same command, sent by both"
    number = answers[0]["number"]
    assert (await say(phone, "m1", kind="mark", delivered=number, read=number))["number"] == number + 1
    while (message := await tablet.receive_json(timeout=5))["type"] != "entry":
        pass
    assert message["entry"]["envelope"]["kind"] == "receipt"
    assert message["entry"]["body"] == {"delivered": number, "read": number}
    assert (await say(tablet, "m2", kind="mark", delivered=number, read=number))["number"] is None
    assert len(await log_of(caller, case_id, "text")) == 1


async def test_too_many_devices_of_one_person_close_the_oldest(caller: Caller) -> None:
    case_id = await caller.open_case()
    token = (await caller.link(case_id, "customer"))["token"]
    devices = [await greet(caller, case_id, token) for _ in range(calls.MAX_SOCKETS)]
    for device in devices:
        await up_to(device, "synced")
    newest = await greet(caller, case_id, token)
    await up_to(newest, "synced")
    assert await close_code(devices[0]) == 4411
    assert (await say(devices[1], "t1", kind="text", text="here"))["type"] == "ack"
    assert (await say(newest, "t2", kind="text", text="here"))["type"] == "ack"


async def told(socket: ClientWebSocketResponse, name: str, **so: Any) -> None:
    """Until an event says these things of that person; fails if none does."""
    while True:
        message = await socket.receive_json(timeout=5)
        for person in message.get("event", {}).get("people", ()):
            if person.get("name") == name and so.items() <= person.items():
                return


async def test_a_person_is_online_until_their_last_device_has_gone(caller: Caller) -> None:
    case_id = await caller.open_case()
    tokens = [(await caller.link(case_id, role, role))["token"] for role in ("customer", "courier")]
    phone, tablet = [await greet(caller, case_id, tokens[0]) for _ in range(2)]
    for device in (phone, tablet):
        await told(device, "customer", online=True)
    other = await greet(caller, case_id, tokens[1])
    await told(other, "customer", online=True)
    await tablet.close()
    await told(phone, "courier", online=True)
    assert len(caller.service.calls.online(case_id)) == 2
    await phone.close()
    await told_alone(other)


async def told_alone(socket: ClientWebSocketResponse) -> None:
    """Until an event says that nobody else is there."""
    while True:
        message = await socket.receive_json(timeout=5)
        if len(message.get("event", {}).get("people", ())) == 1:
            return


async def test_the_device_whose_media_are_in_the_call_says_what_is_switched_off(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer", "customer")
    phone, tablet = [await greet(caller, case_id, link["token"]) for _ in range(2)]
    await say(phone, "k1", kind="consent", statement="yes", language="en")
    await say(phone, "k2", kind="join")
    session = await media_session(caller, case_id, link["token"])
    await mute(phone, audio=True, media_session=session)
    await told(tablet, "customer", media_session=session, audio_muted=True)
    await mute(tablet, audio=False)  # it has no media
    await mute(tablet, audio=False, media_session="0123456789abcdef-0")
    await say(tablet, "t1", kind="text", text="both signals were heard")
    case = await caller.service.cases.get(case_id)
    assert caller.service.calls.presence(case).people[0].audio_muted
    taken = await media_session(caller, case_id, link["token"])
    await told(phone, "customer", media_session=taken, audio_muted=True)
    await mute(tablet, audio=False, media_session=taken)
    await told(phone, "customer", media_session=taken, audio_muted=False)


async def media_session(caller: Caller, case_id: str, token: str) -> str:
    """Connects the media of a device, and gives the session's id."""
    headers = SDP | {"Authorization": f"Bearer {token}"}
    path = f"{caller.url}/api/cases/{case_id}/media"
    async with caller.http.post(path, data=OFFER, headers=headers) as answer:
        assert answer.status == 201
        return answer.headers["Location"].rpartition("/")[2]


async def mute(socket: ClientWebSocketResponse, *, audio: bool, **more: str) -> None:
    signal = {"kind": "muted", "audio": audio, "video": False, "hidden": False} | more
    await socket.send_json({"type": "signal", "signal": signal})


async def test_too_many_devices_never_close_the_one_in_the_call(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer", "customer")
    speaker = await greet(caller, case_id, link["token"])
    session = await media_session(caller, case_id, link["token"])
    await mute(speaker, audio=True, media_session=session)
    await told(speaker, "customer", media_session=session, audio_muted=True)
    others = [await greet(caller, case_id, link["token"]) for _ in range(calls.MAX_SOCKETS)]
    assert await close_code(others[0]) == 4411
    await mute(speaker, audio=False, media_session=session)
    await told(others[-1], "customer", media_session=session, audio_muted=False)


async def test_a_page_on_another_device_does_not_keep_a_person_in_the_call_whose_media_are_gone(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOST_AFTER_S", 0.1)
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    phone, tablet = [await greet(caller, case_id, link["token"]) for _ in range(2)]
    for device in (phone, tablet):
        await up_to(device, "synced")
    await say(phone, "k1", kind="consent", statement="yes", language="en")
    await say(phone, "k2", kind="join")
    await mute(phone, audio=True, media_session=await media_session(caller, case_id, link["token"]))
    await say(phone, "t1", kind="text", text="the signal was heard")
    caller.service.relay.disconnect(case_id, link["link_id"])
    await phone.close()
    while (message := await tablet.receive_json(timeout=5)).get("type") != "entry" or (
        message["entry"]["envelope"]["kind"] != "left"
    ):
        pass
    assert message["entry"]["body"]["reason"] == "lost"
    assert (await say(tablet, "t2", kind="text", text="still here"))["type"] == "ack"


async def test_the_call_is_taken_from_another_device_only_by_who_means_to(caller: Caller) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    path = f"/api/cases/{case_id}/media"

    async def post(**conditions: str) -> tuple[int, str]:
        headers = SDP | {"Authorization": f"Bearer {link['token']}"}
        headers |= {name.replace("_", "-"): value for name, value in conditions.items()}
        async with caller.http.post(caller.url + path, data=OFFER, headers=headers) as answer:
            return answer.status, answer.headers.get("Location", "").rpartition("/")[2]

    status, tablet = await post(If_None_Match="*")
    assert status == 201, "nobody is in the call yet"
    socket = await greet(caller, case_id, link["token"])
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await say(socket, "k2", kind="join")
    assert (await post(If_None_Match="*"))[0] == 412
    status, phone = await post()
    assert status == 201, "a tap takes the call over"
    assert caller.service.relay.session_of(case_id, link["link_id"]) == phone
    assert (await post(If_Match=f'"{tablet}"'))[0] == 412, (
        "the device that lost it does not take it back by itself"
    )
    status, again = await post(If_Match=f'"{phone}"')
    assert status == 201, "the device that has it connects anew"
    status, _ = await post(If_Match=f'"{phone}"')
    assert status == 201, "also when it never saw the answer"
    assert again.partition("-")[0] == phone.partition("-")[0] != tablet.partition("-")[0]
    assert (await post(If_Match='"../../x"'))[0] == 400
