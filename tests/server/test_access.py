"""Who may call what: every route, every role, its own case and a foreign one."""

from typing import Any

import pytest
from aiohttp import WSMsgType

from server.http.operations import ANYONE, Operation
from server.http.routes import OPERATIONS
from signaling.case import MAX_GUESTS
from tests.conftest import API_KEY, Caller

ROUTES = [row for row in OPERATIONS if row.allowed != ANYONE]
ROLES = ("customer", "courier", "qa", "dispatch", "guest")
BODIES: dict[str, dict[str, Any]] = {
    "issue_link": {"json": {"role": "guest", "name": "x"}},
    "open_case": {"json": {"waybill": "x"}},
    "issue_desk": {"json": {"name": "x"}},
    "add_webhook": {"json": {"url": "https://127.0.0.1/"}},
    "replay_webhook": {"json": {"from": 0}},
    "play_back": {"json": {"actor_id": "l_x"}},
    "connect_media": {"data": "v=0", "headers": {"Content-Type": "application/sdp"}},
    "create_upload": {"headers": {"Tus-Resumable": "1.0.0"}},
    "show_upload": {"headers": {"Tus-Resumable": "1.0.0"}},
    "append_upload": {
        "headers": {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    },
    "remove_upload": {"headers": {"Tus-Resumable": "1.0.0"}},
    "restart_media": {"data": "a=x", "headers": {"Content-Type": "application/trickle-ice-sdpfrag"}},
}


def path_of(row: Operation, case_id: str) -> str:
    return row.path.format(
        case_id=case_id,
        link_id="l_x",
        number="1",
        call_number="1",
        sha256="0" * 64,
        session_id="x",
        webhook_id="w_x",
    )


async def test_every_route_is_closed_to_every_role_of_a_foreign_case(caller: Caller) -> None:
    own, foreign = await caller.open_case(), await caller.open_case()
    for role in ROLES:
        token = (await caller.link(own, role))["token"]
        for row in ROUTES:
            if "{case_id}" not in row.path:
                continue
            for case_id in (foreign, "c_nosuchcase"):
                status, body = await caller.call(
                    row.method, path_of(row, case_id), bearer=token, **BODIES.get(row.handler.__name__, {})
                )
                assert status == 403, (role, row.method, row.path, status, body)
                assert row.method == "HEAD" or body["error"]["code"] == "forbidden"
    for case_id in (own, foreign):
        assert (await caller.service.cases.get(case_id)).state.in_call == ()


async def test_every_route_is_closed_to_roles_that_are_not_in_its_row(caller: Caller) -> None:
    case_id = await caller.open_case()
    tokens = {role: (await caller.link(case_id, role))["token"] for role in ROLES} | {"integrator": API_KEY}
    _, desk = await caller.call("POST", "/api/desk", json={"name": "desk"})
    tokens["desk"] = desk["token"]
    for row in ROUTES:
        for role, token in tokens.items():
            how = BODIES.get(row.handler.__name__, {})
            headers = {"Authorization": f"Bearer {token}"} | how.get("headers", {})
            # The status alone: the body of a feed never ends.
            async with caller.http.request(
                row.method, caller.url + path_of(row, case_id), **{**how, "headers": headers}
            ) as answer:
                assert (answer.status == 403) == (role not in row.allowed), (role, row.method, row.path)


@pytest.mark.parametrize("bearer", [None, "nonsense", "a.b.c", API_KEY[:-1]])
async def test_every_route_is_closed_without_a_good_credential(caller: Caller, bearer: str | None) -> None:
    case_id = await caller.open_case()
    for row in ROUTES:
        status, body = await caller.call(
            row.method, path_of(row, case_id), bearer=bearer, **BODIES.get(row.handler.__name__, {})
        )
        assert status == 401, (row.method, row.path)
        assert row.method == "HEAD" or body["error"]["code"] == "unauthenticated", (row.method, row.path)


async def test_a_list_shows_a_person_their_own_case_and_a_desk_all(caller: Caller) -> None:
    own, other = await caller.open_case(), await caller.open_case()
    token = (await caller.link(own, "qa"))["token"]
    _, desk = await caller.call("POST", "/api/desk", json={"name": "desk"})
    _, seen = await caller.call("GET", "/api/cases", bearer=token)
    assert [case["case_id"] for case in seen["cases"]] == [own]
    _, seen = await caller.call("GET", "/api/cases", bearer=desk["token"])
    assert [case["case_id"] for case in seen["cases"]] == [other, own]
    _, page = await caller.call("GET", "/api/cases?limit=1", bearer=desk["token"])
    assert [case["case_id"] for case in page["cases"]] == [other]
    _, page = await caller.call(
        "GET", f"/api/cases?limit=1&before={page['next_before']}", bearer=desk["token"]
    )
    assert [case["case_id"] for case in page["cases"]] == [own]


DESKS = ("qa", "dispatch")


async def desk_token(caller: Caller, role: str, name: str = "desk 7") -> str:
    status, desk = await caller.call("POST", "/api/desk", json={"name": name, "role": role})
    assert (status, desk["role"]) == (201, role)
    return str(desk["token"])


@pytest.mark.parametrize("role", DESKS)
async def test_a_desk_gets_a_link_of_its_own_role_under_its_own_name(caller: Caller, role: str) -> None:
    case_id, desk = await caller.open_case(), await desk_token(caller, role)
    path = f"/api/cases/{case_id}/links"
    status, link = await caller.call("POST", path, bearer=desk, json={"role": role, "name": "x"})
    assert (status, link["role"], link["name"]) == (201, role, "desk 7")
    assert link["url"].partition("#")[0].endswith("/qa")
    _, seen = await caller.call("GET", "/api/cases", bearer=desk)
    assert [case["case_id"] for case in seen["cases"]] == [case_id]


@pytest.mark.parametrize("role", DESKS)
async def test_a_desk_brings_in_guests_and_colleagues_and_no_party(caller: Caller, role: str) -> None:
    case_id, desk = await caller.open_case(), await desk_token(caller, role)
    path = f"/api/cases/{case_id}/links"
    for wanted, colleague in (("guest", False), ("qa", True), ("dispatch", True)):
        body = {"role": wanted, "name": "Wu", "colleague": colleague}
        status, link = await caller.call("POST", path, bearer=desk, json=body)
        assert (status, link["role"], link["name"]) == (201, wanted, "Wu")
        status, _ = await caller.call("DELETE", f"{path}/{link['link_id']}", bearer=desk)
        assert status == 204
    for party in ("customer", "courier"):
        status, _ = await caller.call("POST", path, bearer=desk, json={"role": party, "name": "x"})
        assert status == 403
        theirs = (await caller.link(case_id, party))["link_id"]
        status, _ = await caller.call("DELETE", f"{path}/{theirs}", bearer=desk)
        assert status == 403


async def test_a_desk_of_before_there_was_dispatch_is_a_qa_desk(caller: Caller) -> None:
    status, desk = await caller.call("POST", "/api/desk", json={"name": "desk"})
    assert (status, desk["role"]) == (201, "qa")
    status, body = await caller.call("POST", "/api/desk", json={"name": "desk", "role": "customer"})
    assert (status, body["error"]["code"]) == (400, "malformed_request")


HOSTS = ("customer", "courier", "qa", "dispatch")


@pytest.mark.parametrize("role", HOSTS)
async def test_a_person_lets_in_a_guest_for_a_day_and_takes_them_back(caller: Caller, role: str) -> None:
    case_id = await caller.open_case()
    host, other = await caller.link(case_id, role), await caller.link(case_id, role)
    path = f"/api/cases/{case_id}/links"
    status, guest = await caller.call(
        "POST", path, bearer=host["token"], json={"role": "guest", "name": "guard"}
    )
    assert (status, guest["role"], guest["name"]) == (201, "guest", "guard")
    assert guest["url"].partition("#")[0].endswith("/g")
    assert (await caller.call("GET", f"/api/cases/{case_id}", bearer=guest["token"]))[0] == 200
    status, body = await caller.call("DELETE", f"{path}/{guest['link_id']}", bearer=other["token"])
    assert (status, body["error"]["code"]) == (403, "not_for_role")
    status, _ = await caller.call("DELETE", f"{path}/{guest['link_id']}", bearer=host["token"])
    assert status == 204
    status, body = await caller.call("GET", f"/api/cases/{case_id}", bearer=guest["token"])
    assert (status, body["error"]["code"]) == (401, "revoked")


@pytest.mark.parametrize("role", HOSTS)
async def test_a_person_lets_in_nobody_but_guests_and_nobody_for_longer(caller: Caller, role: str) -> None:
    case_id = await caller.open_case()
    host = await caller.link(case_id, role)
    path = f"/api/cases/{case_id}/links"
    for wanted in HOSTS:
        status, body = await caller.call(
            "POST", path, bearer=host["token"], json={"role": wanted, "name": "x"}
        )
        assert status == 403 and "guest" in body["error"]["message"]
    status, body = await caller.call(
        "POST",
        path,
        bearer=host["token"],
        json={"role": "guest", "name": "x", "expires_in_s": 24 * 3600 + 1},
    )
    assert status == 403 and "24 hours" in body["error"]["message"]
    guest = await caller.link(case_id, "guest")
    status, _ = await caller.call("POST", path, bearer=guest["token"], json={"role": "guest", "name": "x"})
    assert status == 403, "a guest lets nobody in"
    assert len((await caller.service.cases.get(case_id)).state.links) == 2


async def test_no_party_takes_up_the_links_that_others_need(caller: Caller) -> None:
    case_id = await caller.open_case()
    host = await caller.link(case_id, "customer")
    path = f"/api/cases/{case_id}/links"
    for number in range(MAX_GUESTS + 1):
        status, guest = await caller.call(
            "POST", path, bearer=host["token"], json={"role": "guest", "name": f"guest {number}"}
        )
        if number < MAX_GUESTS:
            assert status == 201
            await caller.call("DELETE", f"{path}/{guest['link_id']}", bearer=host["token"])
    assert (status, guest["error"]["code"]) == (409, "full")
    await caller.link(case_id, "courier")


@pytest.mark.parametrize("role", ["courier", "guest"])
async def test_a_revoked_link_opens_nothing_and_its_socket_closes_at_once(caller: Caller, role: str) -> None:
    case_id = await caller.open_case()
    link = await caller.link(case_id, role)
    socket = await caller.socket(case_id)
    await socket.send_json({"type": "hello", "version": 1, "token": link["token"], "after": 0, "hash": None})
    while (await socket.receive_json())["type"] != "synced":
        pass
    status, _ = await caller.call("DELETE", f"/api/cases/{case_id}/links/{link['link_id']}")
    assert status == 204
    while (message := await socket.receive(timeout=2)).type is WSMsgType.TEXT:
        pass
    assert message.type is WSMsgType.CLOSE and socket.close_code == 4410
    status, body = await caller.call("GET", f"/api/cases/{case_id}", bearer=link["token"])
    assert (status, body["error"]["code"]) == (401, "revoked")


@pytest.mark.parametrize("whose", ["foreign", "api key", "nonsense"])
async def test_a_socket_opens_for_a_link_of_its_case_alone(caller: Caller, whose: str) -> None:
    case_id, foreign = await caller.open_case(), await caller.open_case()
    token = {
        "foreign": (await caller.link(foreign, "qa"))["token"],
        "api key": API_KEY,
        "nonsense": "nonsense",
    }[whose]
    socket = await caller.socket(case_id)
    await socket.send_json({"type": "hello", "version": 1, "token": token, "after": 0, "hash": None})
    message = await socket.receive(timeout=2)
    assert message.type is WSMsgType.CLOSE
    assert socket.close_code == (4401 if whose == "nonsense" else 4403)


@pytest.mark.parametrize(
    ("path", "how", "status"),
    [
        ("/api/cases", {"headers": {"Authorization": "Bearer \udcff"}, "bearer": None}, 401),
        ("/web/%00.js", {}, 404),
        ("/web/..%2fsettings.py", {}, 404),
        ("/web/" + "a" * 300 + ".js", {}, 404),
        ("/api/cases?limit=" + "9" * 4500, {}, 400),
        ("/nowhere", {}, 404),
    ],
)
async def test_odd_requests_are_refused_and_not_failed(
    caller: Caller, path: str, how: dict[str, Any], status: int
) -> None:
    answered, body = await caller.call("GET", path, **how)
    assert answered == status, body
    assert body["error"]["message"]
