"""Webhooks end to end: a real receiver on loopback, and the public library that checks every signature."""

import asyncio
import base64
import json
import re
import shutil
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from standardwebhooks.webhooks import Webhook

from server import app, deadlines, webhook_delivery, webhook_runner
from server.self_signed import make_certificate
from server.store.errors import FailedAppend
from server.webhook_delivery import BACK_OFF_S
from signaling.commands import Consent, Join
from signaling.delivery import Announce, Answer, Confirm, HandOver, RequestChange
from signaling.entries import KIND
from signaling.exceptions import DecideException, ReportException, TakeException
from signaling.talk import Attach, Attachment, SendText, SharePlace
from signaling.values import Place
from tests.conftest import API_KEY, Caller, calling
from tests.server.test_deadlines import give, person
from tests.server.test_serve import serving

INTERNAL = {"PROOFCALL_WEBHOOK_INTERNAL_HOSTS": "127.0.0.1, [::1]:8080"}
WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def leaf_index(self) -> int:
        leaf_index: int = self.content["data"]["leaf_index"]
        return leaf_index


Answering = Callable[[Message], web.StreamResponse | int]


class Receiver:
    """An integrator's server. `answer` decides; by default it takes everything."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.messages: list[Message] = []
        self.answer: Answering = lambda message: 204
        self.hanging = asyncio.Event()
        self.hanging.set()
        self._came = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        message = Message(
            path=request.path_qs,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        async with self._came:
            self.messages.append(message)
            self._came.notify_all()
        await self.hanging.wait()
        answer = self.answer(message)
        return web.Response(status=answer) if isinstance(answer, int) else answer

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._came:
            await self._came.wait_for(enough)

    async def leaves(self, *leaves: int) -> None:
        """Until each of these came at least once."""
        await self.until(lambda: set(leaves) <= {message.leaf_index for message in self.messages})

    def verify(self, secret: str) -> None:
        """Every message, by a library that nobody here wrote."""
        assert self.messages
        for message in self.messages:
            Webhook(secret).verify(message.body, message.headers)

    def ids(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for message in self.messages:
            found.setdefault(message.leaf_index, set()).add(message.message_id)
        return found


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    receiver.port = runner.addresses[0][1]
    receiver.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{receiver.port}/hooks"
    try:
        yield receiver
    finally:
        receiver.hanging.set()
        await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    async with calling(tmp_path, **INTERNAL) as caller:
        yield caller


async def add(caller: Caller, url: str, **more: Any) -> dict[str, Any]:
    status, made = await caller.call("POST", "/api/webhooks", json={"url": url} | more)
    assert status == 201, made
    return dict(made)


async def show(caller: Caller, webhook_id: str) -> dict[str, Any]:
    status, shown = await caller.call("GET", f"/api/webhooks/{webhook_id}")
    assert status == 200, shown
    return dict(shown)


async def shown_until(
    caller: Caller, webhook_id: str, enough: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """What is on disk follows what was answered by a moment."""
    for _ in range(2000):
        if enough(shown := await show(caller, webhook_id)):
            return shown
        await asyncio.sleep(0.01)
    raise TimeoutError(shown)


async def refused(caller: Caller, method: str, path: str, **how: Any) -> tuple[int, str]:
    status, body = await caller.call(method, path, **how)
    return status, body["error"]["code"]


async def test_every_entry_is_sent_signed_and_the_cursor_follows(caller: Caller, receiver: Receiver) -> None:
    made = await add(caller, receiver.url)
    assert made["state"] == "active" and made["cursor"] == 0 and made["kinds"] is None
    case_id = await caller.open_case()
    link = await caller.link(case_id, "customer")
    await receiver.leaves(0, 1)
    receiver.verify(made["secret"])
    opened, issued = sorted(receiver.messages, key=lambda message: message.leaf_index)
    assert (opened.content["type"], issued.content["type"]) == ("case_opened", "link_issued")
    entry = await caller.service.log.entry(1)
    assert issued.content["data"] == {
        "case_id": case_id,
        "number": 2,
        "leaf_index": 1,
        "hash": entry.hash,
        "role": "integrator",
        "actor_id": "integrator",
        "recorded_at": issued.content["timestamp"],
    }
    assert link["name"] not in issued.body.decode()
    assert issued.headers["content-type"] == "application/json" and "authorization" not in issued.headers
    shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["cursor"] == 2)
    assert (shown["behind"], shown["waiting"], shown["dead"]) == (0, 0, 0)
    assert shown["last_delivered_at"] is not None and shown["last_error"] is None
    assert "secret" not in shown


async def test_a_wrong_secret_does_not_verify(caller: Caller, receiver: Receiver) -> None:
    made = await add(caller, receiver.url)
    await caller.open_case()
    await receiver.leaves(0)
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    with pytest.raises(Exception, match="No matching signature"):
        receiver.verify(other)
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32


async def test_a_filter_lets_its_kinds_through_alone(caller: Caller, receiver: Receiver) -> None:
    await add(caller, f"{receiver.url}/some", kinds=["link_issued", "case_ended", "link_issued"])
    await add(caller, f"{receiver.url}/all")
    case_id = await caller.open_case()
    await caller.link(case_id, "courier")
    await caller.call("POST", f"/api/cases/{case_id}/end")
    await receiver.until(lambda: len(receiver.messages) == 5)
    kinds = Counter((message.path, message.content["type"]) for message in receiver.messages)
    assert kinds == {
        ("/hooks/some", "link_issued"): 1,
        ("/hooks/some", "case_ended"): 1,
        ("/hooks/all", "case_opened"): 1,
        ("/hooks/all", "link_issued"): 1,
        ("/hooks/all", "case_ended"): 1,
    }
    assert len({message.message_id for message in receiver.messages}) == 5, "an id for each endpoint"


async def test_bodies_are_sent_where_they_were_asked_for(caller: Caller, receiver: Receiver) -> None:
    made = await add(caller, receiver.url, with_bodies=True)
    case_id = await caller.open_case()
    await caller.link(case_id, "customer", "王小明")
    await receiver.leaves(1)
    receiver.verify(made["secret"])
    (issued,) = [message for message in receiver.messages if message.leaf_index == 1]
    assert issued.content["data"]["body"]["name"] == "王小明"


@pytest.mark.parametrize("start", [0, 1, 3, 4])
async def test_an_endpoint_may_begin_at_any_leaf_and_be_replayed_from_any(
    caller: Caller, receiver: Receiver, start: int
) -> None:
    case_id = await caller.open_case()
    for _ in range(3):
        await caller.link(case_id, "customer")
    made = await add(caller, receiver.url, **{"from": start})
    await caller.link(case_id, "customer")
    await receiver.leaves(*range(start, 5))
    await shown_until(caller, made["webhook_id"], lambda shown: shown["behind"] == 0)
    assert min(message.leaf_index for message in receiver.messages) == start
    before = receiver.ids()
    receiver.messages.clear()
    status, shown = await caller.call(
        "POST", f"/api/webhooks/{made['webhook_id']}/replay", json={"from": start}
    )
    assert status == 200 and shown["cursor"] == start
    await receiver.leaves(*range(start, 5))
    assert receiver.ids() == before, "the same ids: who has had them can tell"
    receiver.verify(made["secret"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://example.com/"}, "forbidden_url"),
        ({"url": "https://10.0.0.1/"}, "forbidden_url"),
        ({"url": "https://localhost/"}, "forbidden_url"),
        ({"url": "https://[::ffff:169.254.169.254]/"}, "forbidden_url"),
        ({"url": "https://2130706433/"}, "malformed_url"),
        ({"url": "https://user@example.com/"}, "malformed_url"),
        ({"url": "not a url"}, "malformed_url"),
        ({"url": "http://127.0.0.1:1/", "kinds": ["text", "txet"]}, "unknown_kind"),
        ({"url": "http://127.0.0.1:1/", "kinds": []}, "malformed_request"),
        ({"url": "http://127.0.0.1:1/", "from": 1}, "malformed_request"),
        ({"url": "http://127.0.0.1:1/", "from": -1}, "malformed_request"),
        ({"url": "http://127.0.0.1:1/", "from": "then"}, "malformed_request"),
        ({"url": "http://127.0.0.1:1/", "secret": "mine"}, "malformed_request"),
        ({}, "malformed_request"),
    ],
)
async def test_what_makes_no_webhook_is_refused_with_its_reason(
    caller: Caller, body: dict[str, Any], code: str
) -> None:
    assert await refused(caller, "POST", "/api/webhooks", json=body) == (400, code)
    _, listed = await caller.call("GET", "/api/webhooks")
    assert listed == {"webhooks": []}


async def test_every_kind_may_be_asked_for_and_no_more_endpoints_than_are_bearable(
    caller: Caller, receiver: Receiver
) -> None:
    for _ in range(16):
        await add(caller, receiver.url, kinds=list(KIND))
    wish = {"json": {"url": receiver.url}}
    assert await refused(caller, "POST", "/api/webhooks", **wish) == (409, "too_many_webhooks")
    _, listed = await caller.call("GET", "/api/webhooks")
    assert len({webhook["webhook_id"] for webhook in listed["webhooks"]}) == 16
    status, _ = await caller.call("DELETE", f"/api/webhooks/{listed['webhooks'][0]['webhook_id']}")
    assert status == 204
    await add(caller, receiver.url)


async def test_what_is_not_there_is_unknown(caller: Caller) -> None:
    path = "/api/webhooks/w_nobody"
    for method, more, how in (
        ("GET", "", {}),
        ("DELETE", "", {}),
        ("POST", "/replay", {"json": {"from": 0}}),
        ("GET", "/dead_letters", {}),
        ("POST", "/dead_letters/send_again", {"json": {}}),
    ):
        assert await refused(caller, method, path + more, **how) == (404, "unknown")


async def test_a_replay_leaves_the_loop_to_the_calls_most_of_the_time(
    caller: Caller, receiver: Receiver
) -> None:
    case_id = await caller.open_case()
    for _ in range(60):
        await caller.link(case_id, "customer")
    began = time.monotonic()
    for _ in range(2):
        await add(caller, receiver.url, **{"from": 0})
    await receiver.until(lambda: len(receiver.messages) == 122)
    assert time.monotonic() - began >= 121 * webhook_runner.GAP_S


async def test_a_deleted_endpoint_is_sent_nothing_more(caller: Caller, receiver: Receiver) -> None:
    first, second = await add(caller, receiver.url), await add(caller, f"{receiver.url}/2")
    await caller.call("DELETE", f"/api/webhooks/{first['webhook_id']}")
    await caller.open_case()
    await receiver.leaves(0)
    await shown_until(caller, second["webhook_id"], lambda shown: shown["behind"] == 0)
    assert [message.path for message in receiver.messages] == ["/hooks/2"]


async def written(caller: Caller, webhook_id: str, attempts: int) -> None:
    """Until the disk has the outcome of so many attempts of the first letter."""
    for _ in range(2000):
        (letter,) = await caller.service.webhooks._store.earliest(webhook_id, 1)
        if letter.attempts == attempts:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


class Clock:
    """The service's wall clock, as far ahead as a test wants it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(app, "utc_now", clock)
    return clock


async def test_what_fails_comes_again_in_its_time_with_the_same_id_and_holds_up_nothing(
    clock: Clock, caller: Caller, receiver: Receiver
) -> None:
    receiver.answer = lambda message: 500 if message.leaf_index == 0 and clock.ahead == timedelta() else 200
    made = await add(caller, receiver.url)
    case_id = await caller.open_case()
    await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 1)
    await caller.link(case_id, "customer")
    shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["behind"] == 0)
    assert shown["last_error"] == "500 Internal Server Error" and shown["waiting"] == 1
    assert [message.leaf_index for message in receiver.messages] == [0, 1], "not before its time"
    clock.ahead = timedelta(seconds=BACK_OFF_S[0] * 1.2)
    await caller.link(case_id, "customer")  # wakes whoever sleeps by the other clock
    await receiver.until(lambda: Counter(m.leaf_index for m in receiver.messages)[0] == 2)
    await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 0)
    receiver.verify(made["secret"])
    first, second = [message for message in receiver.messages if message.leaf_index == 0]
    assert first.message_id == second.message_id and first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 5


async def test_after_the_last_attempt_it_is_a_dead_letter_that_may_be_sent_again(
    clock: Clock, caller: Caller, receiver: Receiver
) -> None:
    healthy = False
    receiver.answer = lambda message: 200 if healthy or message.leaf_index != 0 else 503
    made = await add(caller, receiver.url)
    path = f"/api/webhooks/{made['webhook_id']}"
    case_id = await caller.open_case()
    for attempt, seconds in enumerate(BACK_OFF_S, start=1):
        await receiver.until(lambda: Counter(m.leaf_index for m in receiver.messages)[0] == attempt)  # noqa: B023
        await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 1)
        await written(caller, made["webhook_id"], attempt)
        clock.ahead += timedelta(seconds=seconds * 1.2)
        await caller.link(case_id, "customer")
    shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["dead"] == 1)
    assert (shown["waiting"], shown["state"]) == (0, "active")
    _, listed = await caller.call("GET", f"{path}/dead_letters")
    error = "503 Service Unavailable"
    assert listed == {"dead_letters": [{"leaf_index": 0, "attempts": 10, "error": error}], "next_from": None}
    _, metrics = await caller.call("GET", "/metrics", bearer=None)
    assert b'proofcall_webhook_letters{state="dead"} 1.0' in metrics
    assert b'proofcall_webhook_attempts_total{fate="failed"} 10.0' in metrics
    healthy = True
    assert await caller.call("POST", f"{path}/dead_letters/send_again", json={"leaf_indices": [5]}) == (
        200,
        {"count": 0},
    )
    assert await caller.call("POST", f"{path}/dead_letters/send_again", json={}) == (200, {"count": 1})
    shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] + shown["dead"] == 0)
    assert len(receiver.ids()[0]) == 1
    _, listed = await caller.call("GET", f"{path}/dead_letters")
    assert listed["dead_letters"] == []


MARKER = "秘密Marker"
HERE = Place(latitude_e6=31_230_416, longitude_e6=121_473_701, accuracy_m=5)
PERSONAL = (MARKER, "31230416", "121473701", "31.230416", "SF1000000001")


async def test_a_whole_delivery_leaves_without_a_word_of_its_people_but_with_what_a_channel_needs(
    clock: Clock, caller: Caller, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "LOOK_EVERY_S", 0.02)
    thin = await add(caller, f"{receiver.url}/thin")
    full = await add(caller, f"{receiver.url}/full", with_bodies=True)
    case_id = await caller.open_case(
        address={"text": MARKER, "position": {"latitude": 31.230416, "longitude": 121.473701}},
        metadata={MARKER: MARKER},
    )
    monkeypatch.setattr("tests.conftest.Caller.link", _named(Caller.link))
    customer, courier, desk = [
        await person(caller, case_id, role) for role in ("customer", "courier", "dispatch")
    ]
    photo = Attachment(
        medium="photo",
        sha256="ab" * 32,
        size_bytes=5,
        media_type="image/jpeg",
        capture_path="camera",
        captured_at=clock(),
    )
    await give(caller, case_id, courier, SendText(text=MARKER))
    await give(caller, case_id, courier, SharePlace(place=HERE))
    await give(caller, case_id, courier, Attach(attachment=photo, caption=MARKER))
    await give(caller, case_id, customer, RequestChange(what="address", text=MARKER, place=HERE))
    await give(caller, case_id, customer, Consent(statement=MARKER, language="zh"))
    await give(caller, case_id, customer, Join())
    notice = await give(caller, case_id, courier, Announce(notice="arrived"))
    clock.ahead = timedelta(seconds=200)
    await receiver.until(lambda: any(m.content["type"] == "notice_repeated" for m in receiver.messages))
    await give(caller, case_id, customer, Answer(number=notice, choice="door", detail=MARKER))
    await give(caller, case_id, courier, ReportException(exception="damage", text=MARKER, place=HERE))
    (order,) = (await caller.service.cases.get(case_id)).state.exceptions.orders
    await give(caller, case_id, desk, TakeException(number=order))
    await give(caller, case_id, desk, DecideException(number=order, decision="go_on", remark=MARKER))
    over = await give(caller, case_id, courier, HandOver(how="door", text=MARKER, attachments=(photo,)))
    confirm = Confirm(number=over, statement=MARKER, language="zh", reservation=MARKER)
    await give(caller, case_id, customer, confirm)
    size = caller.service.log.size
    await receiver.until(lambda: len({(m.path, m.leaf_index) for m in receiver.messages}) == 2 * size)
    told = {path: [m for m in receiver.messages if m.path == path] for path in ("/hooks/thin", "/hooks/full")}
    for path, secret in (("/hooks/thin", thin["secret"]), ("/hooks/full", full["secret"])):
        for message in told[path]:
            signed_at = datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), UTC)
            signature = Webhook(secret).sign(message.message_id, signed_at, message.body.decode())
            assert message.headers["webhook-signature"] == signature
    everything = b"".join(message.body for message in told["/hooks/thin"]).decode()
    assert [word for word in PERSONAL if word in everything] == []
    everything = b"".join(message.body for message in told["/hooks/full"]).decode()
    assert [word for word in PERSONAL if word not in everything] == ["31.230416"]
    backwards = sorted(told["/hooks/thin"], key=lambda message: -message.leaf_index)
    by_kind = {message.content["type"]: message.content["data"] for message in backwards}  # the first of each
    sent = by_kind["notice_sent"]
    assert sent["number"] == notice and sent["facts"] == {"notice": "arrived", "to": "customer"}
    assert by_kind["notice_repeated"]["facts"] == {"number": notice, "notice": "arrived", "to": "customer"}
    ids = {customer.actor_id, courier.actor_id}
    rung = by_kind["call_rung"]["facts"]
    assert rung["call_number"] == 1 and set(rung["of"]) | set(rung["absent"]) <= ids and rung["absent"]
    assert by_kind["exception_taken"]["facts"]["exception"] == "damage"
    assert by_kind["exception_taken"]["facts"]["state"] == "taken"
    assert by_kind["exception_decided"]["facts"]["due_at"].endswith("Z")
    assert len(by_kind) >= 17, sorted(by_kind)


def _named(link: Callable[..., Any]) -> Callable[..., Any]:
    """`Caller.link` with a name that must not leave."""

    async def named(caller: Caller, case_id: str, role: str) -> Any:
        return await link(caller, case_id, role, MARKER)

    return named


async def test_gone_disables_the_endpoint_until_it_is_replayed(caller: Caller, receiver: Receiver) -> None:
    receiver.answer = lambda message: 410
    made = await add(caller, receiver.url)
    path = f"/api/webhooks/{made['webhook_id']}"
    case_id = await caller.open_case()
    shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["state"] == "disabled")
    assert shown["cursor"] == 0 and shown["last_error"] == "410 Gone"
    await caller.link(case_id, "customer")
    assert await refused(caller, "POST", f"{path}/dead_letters/send_again", json={}) == (
        409,
        "webhook_disabled",
    )
    assert len(receiver.messages) == 1
    receiver.answer = lambda message: 200
    await caller.call("POST", f"{path}/replay", json={"from": 0})
    shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["behind"] == 0)
    assert shown["state"] == "active" and sorted(receiver.ids()) == [0, 1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(
    caller: Caller, receiver: Receiver, status: int
) -> None:
    async with receiving() as elsewhere:
        receiver.answer = lambda message: web.Response(
            status=status, headers={"Location": elsewhere.url, "Set-Cookie": "a=b"}
        )
        made = await add(caller, receiver.url)
        await caller.open_case()
        shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 1)
        assert shown["last_error"].startswith(str(status))
        assert elsewhere.messages == [] and len(receiver.messages) == 1


async def test_of_what_a_receiver_answers_no_word_is_kept_but_its_status_and_reason(
    caller: Caller, receiver: Receiver
) -> None:
    receiver.answer = lambda message: web.Response(status=500, reason="Oh " * 200, body=message.body)
    made = await add(caller, receiver.url, with_bodies=True)
    case_id = await caller.open_case()
    await caller.link(case_id, "customer", MARKER)
    shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 2)
    assert MARKER in receiver.messages[-1].body.decode() and shown["last_error"].startswith("500 Oh Oh")
    letters = await caller.service.webhooks._store.earliest(made["webhook_id"], 2)
    for error in [shown["last_error"], *(letter.error for letter in letters)]:
        assert MARKER not in error and "{" not in error and len(error) <= 200


async def test_what_is_no_answer_is_not_quoted(caller: Caller) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{MARKER}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        made = await add(caller, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await caller.open_case()
        shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 1)
    assert shown["last_error"] == "what came is no answer in HTTP"


async def test_a_certificate_that_nobody_vouches_for_is_sent_nothing(caller: Caller, tmp_path: Path) -> None:
    certificate, key = await asyncio.to_thread(make_certificate, tmp_path / "tls", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with receiving(tls=context) as receiver:
        made = await add(caller, receiver.url)
        await caller.open_case()
        shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 1)
        assert "certificate" in shown["last_error"].lower() and receiver.messages == []


async def test_nobody_there_is_told_in_words(caller: Caller) -> None:
    made = await add(caller, "http://127.0.0.1:1/hooks")
    await caller.open_case()
    shown = await shown_until(
        caller, made["webhook_id"], lambda shown: shown["waiting"] == 1 and shown["behind"] == 0
    )
    assert "127.0.0.1:1" in shown["last_error"]


async def test_a_receiver_that_says_nothing_is_given_up_and_holds_up_no_other(
    caller: Caller, receiver: Receiver
) -> None:
    async with receiving() as slow:
        slow.hanging.clear()
        hung = await add(caller, slow.url)
        await add(caller, receiver.url)
        await caller.open_case()
        await receiver.leaves(0)
        await slow.leaves(0)
        assert (await show(caller, hung["webhook_id"]))["behind"] == 1
        began = time.monotonic()
        await caller.call("DELETE", f"/api/webhooks/{hung['webhook_id']}")
        assert time.monotonic() - began < 5, "without waiting for an answer"


async def test_who_starts_again_goes_on_where_it_ended(tmp_path: Path, receiver: Receiver) -> None:
    async with calling(tmp_path, **INTERNAL) as caller:
        receiver.answer = lambda message: 503
        made = await add(caller, receiver.url)
        case_id = await caller.open_case()
        await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 1)
        receiver.answer = lambda message: 200
        for _ in range(20):
            await caller.link(case_id, "customer")
        began = time.monotonic()
    assert time.monotonic() - began < app.DRAIN_S, "and has not waited for more"
    assert sorted(receiver.ids()) == list(range(21)), "a stop sends what is in the log"
    receiver.messages.clear()
    async with calling(tmp_path, **INTERNAL) as caller:
        await caller.link(case_id, "customer")
        await receiver.leaves(21)
        shown = await show(caller, made["webhook_id"])
        assert shown["url"] == receiver.url and shown["created_at"] == made["created_at"]
        await receiver.until(lambda: 0 in receiver.ids())  # its five seconds are over
        await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == shown["behind"] == 0)
    assert sorted(receiver.ids()) == [0, 21], "nothing twice after an orderly stop"
    receiver.verify(made["secret"])


async def test_a_stop_does_not_wait_for_a_receiver_that_says_nothing(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "DRAIN_S", 0.2)
    receiver.hanging.clear()
    async with calling(tmp_path, **INTERNAL) as caller:
        made = await add(caller, receiver.url)
        await caller.open_case()
        await receiver.leaves(0)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    receiver.hanging.set()
    async with calling(tmp_path, **INTERNAL) as caller:
        await shown_until(caller, made["webhook_id"], lambda shown: shown["behind"] == 0)
    assert [len(ids) for ids in receiver.ids().values()] == [1] and len(receiver.messages) == 2


async def test_a_host_that_the_operator_allows_no_more_is_reached_no_more(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with calling(tmp_path, **INTERNAL) as caller:
        made = await add(caller, receiver.url)
    async with calling(tmp_path) as caller:
        await caller.open_case()
        shown = await shown_until(caller, made["webhook_id"], lambda shown: shown["waiting"] == 1)
        assert "https" in shown["last_error"] and receiver.messages == []


async def test_when_the_disk_refuses_nothing_is_lost(
    caller: Caller, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_runner, "RESTART_S", 0.01)
    made = await add(caller, receiver.url)
    store = caller.service.webhooks._store
    settle, refusals = store.settle, iter(range(3))

    async def refuse(*arguments: Any, **how: Any) -> None:
        if next(refusals, None) is not None:
            raise FailedAppend("database or disk is full")
        await settle(*arguments, **how)

    monkeypatch.setattr(store, "settle", refuse)
    case_id = await caller.open_case()
    await caller.link(case_id, "customer")
    await shown_until(caller, made["webhook_id"], lambda shown: shown["behind"] == 0)
    assert sorted(receiver.ids()) == [0, 1] and all(len(ids) == 1 for ids in receiver.ids().values())


async def test_after_the_restore_of_an_older_log_no_id_is_of_another_entry(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with calling(tmp_path, **INTERNAL) as caller:
        await add(caller, receiver.url)
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    async with calling(tmp_path, **INTERNAL) as caller:
        await caller.open_case()
        await receiver.leaves(0)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "backup").rename(tmp_path / "data")
    async with calling(tmp_path, **INTERNAL) as caller:
        await caller.open_case()
        await receiver.until(lambda: len(receiver.messages) == 2)
    lost, other = receiver.messages
    assert lost.leaf_index == other.leaf_index and lost.message_id != other.message_id
    for message in (lost, other):
        assert message.message_id.startswith(f"msg_0_{message.content['data']['hash'][:8]}_w_")


async def test_letters_are_made_due_without_waiting_for_an_endpoint_that_is_busy(
    caller: Caller, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_delivery, "BACK_OFF_S", ())
    healthy, busy = asyncio.Event(), asyncio.Event()
    receiver.answer = lambda message: 200 if healthy.is_set() else 500
    made = await add(caller, receiver.url)
    case_id = await caller.open_case()
    await shown_until(caller, made["webhook_id"], lambda shown: shown["dead"] == 1)
    webhooks = caller.service.webhooks
    settle = webhooks._store.settle

    async def wait(*arguments: Any, **how: Any) -> None:
        busy.set()
        await healthy.wait()
        await settle(*arguments, **how)

    monkeypatch.setattr(webhooks._store, "settle", wait)
    await caller.link(case_id, "customer")
    await busy.wait()
    events = webhooks._runners[made["webhook_id"]]._events
    while not events.full():
        events.put_nowait(webhook_runner._Grown())
    async with asyncio.timeout(5):
        assert await webhooks.send_again(made["webhook_id"], [0]) == 1
        await add(caller, f"{receiver.url}/2", **{"from": "now"})
    healthy.set()
    await receiver.until(lambda: Counter(m.leaf_index for m in receiver.messages)[0] == 2)


async def test_secrets_and_what_is_kept_of_webhooks_are_the_operators_alone(
    caller: Caller, receiver: Receiver, tmp_path: Path
) -> None:
    made = await add(caller, receiver.url)
    await caller.open_case()
    await receiver.leaves(0)
    secret = made["secret"].removeprefix("whsec_")
    for path in (tmp_path / "data").glob("webhooks.db*"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert secret.encode() not in path.read_bytes() and base64.b64decode(secret) not in path.read_bytes()
    _, listed = await caller.call("GET", "/api/webhooks")
    assert secret not in json.dumps(listed)


@pytest.mark.long
async def test_whoever_is_killed_sends_everything_at_least_once_with_the_same_ids(
    tmp_path: Path, receiver: Receiver
) -> None:
    settings = {"PROOFCALL_API_KEY": API_KEY} | INTERNAL
    headers = {"Authorization": f"Bearer {API_KEY}"}
    secret = ""
    opened = 0
    for _ in range(4):
        async with (
            serving(tmp_path / "data", **settings) as (process, printed),
            ClientSession(headers=headers) as http,
        ):
            (url,) = re.findall(r"listens on (\S+)", printed)
            if not secret:
                async with http.post(f"{url}/api/webhooks", json={"url": receiver.url}) as answer:
                    secret = (await answer.json())["secret"]
            for number in range(30):
                async with http.post(f"{url}/api/cases", json={"waybill": f"SF{number}"}) as answer:
                    assert answer.status == 201
                opened += 1
            process.kill()
            await process.wait()
    async with serving(tmp_path / "data", **settings) as (_, printed):
        await receiver.leaves(*range(opened))
    ids = receiver.ids()
    assert sorted(ids) == list(range(opened))
    assert all(len(found) == 1 for found in ids.values()), "an entry keeps its id"
    assert len(receiver.messages) < opened + 4 * 64, "few are sent again"
    receiver.verify(secret)
