"""Offer and answer over HTTP, in the form of RFC 9725."""

from pathlib import Path

from tests.conftest import Caller, calling

OFFER = "\r\n".join(
    (
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "a=mid:0",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "",
    )
)
SDP = {"Content-Type": "application/sdp"}


async def test_an_offer_is_answered_with_201_and_a_location_that_leaves(caller: Caller) -> None:
    case_id = await caller.open_case()
    token = (await caller.link(case_id, "customer"))["token"]
    path = f"/api/cases/{case_id}/media"
    headers = SDP | {"Authorization": f"Bearer {token}"}
    async with caller.http.post(caller.url + path, data=OFFER, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (201, "application/sdp")
        text = await answer.text()
        location = answer.headers["Location"]
    assert "a=ice-lite" in text and "a=setup:active" in text
    (host, port) = caller.service.relay.candidates[0]
    assert f"udp 2130706431 {host} {port} typ host" in text
    assert f"tcp 1520435199 {host} {port} typ host tcptype passive" in text
    assert location.startswith(path + "/")
    assert (await caller.call("DELETE", location, bearer=token))[0] == 200
    status, body = await caller.call("DELETE", location, bearer=token)
    assert (status, body["error"]["code"]) == (404, "unknown")


async def test_a_newer_connection_takes_the_place_of_the_older(caller: Caller) -> None:
    case_id = await caller.open_case()
    token = (await caller.link(case_id, "customer"))["token"]
    path = f"/api/cases/{case_id}/media"
    locations = []
    for _ in range(2):
        headers = SDP | {"Authorization": f"Bearer {token}"}
        async with caller.http.post(caller.url + path, data=OFFER, headers=headers) as answer:
            locations.append(answer.headers["Location"])
    assert caller.service.relay.connections == 1
    assert (await caller.call("DELETE", locations[0], bearer=token))[0] == 404
    assert (await caller.call("DELETE", locations[1], bearer=token))[0] == 200


async def test_what_is_wrong_with_an_offer_is_said(caller: Caller) -> None:
    case_id = await caller.open_case()
    token = (await caller.link(case_id, "customer"))["token"]
    path = f"/api/cases/{case_id}/media"
    status, body = await caller.call("POST", path, bearer=token, json={})
    assert (status, body["error"]["code"]) == (415, "unsupported_type")
    status, body = await caller.call("POST", path, bearer=token, data="v=0\r\n", headers=SDP)
    assert (status, body["error"]["code"]) == (400, "malformed_offer")
    assert len(body["error"]["message"]) > 10
    without = OFFER.replace("a=fingerprint", "a=fingerprunt")
    status, body = await caller.call("POST", path, bearer=token, data=without, headers=SDP)
    assert status == 400 and "fingerprint" in body["error"]["message"]
    assert caller.service.relay.connections == 0


async def test_an_ended_case_takes_no_media(caller: Caller) -> None:
    case_id = await caller.open_case()
    token = (await caller.link(case_id, "customer"))["token"]
    status, case = await caller.call("POST", f"/api/cases/{case_id}/end")
    assert (status, case["state"]) == (200, "ended")
    status, body = await caller.call(
        "POST", f"/api/cases/{case_id}/media", bearer=token, data=OFFER, headers=SDP
    )
    assert (status, body["error"]["code"]) == (409, "illegal")


SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
RESTART = "a=ice-ufrag:wxyz\r\na=ice-pwd:zyxwvutsrqponmlkjihgfedc\r\n"
CANDIDATES = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
)


class Session:
    """A person's media session over HTTP."""

    def __init__(self, caller: Caller, token: str) -> None:
        self.caller = caller
        self.token = token
        self.location = ""
        self.tag = ""
        self.links: list[str] = []

    async def open(self, case_id: str) -> None:
        async with self.caller.http.post(
            f"{self.caller.url}/api/cases/{case_id}/media",
            data=OFFER,
            headers=SDP | {"Authorization": f"Bearer {self.token}"},
        ) as answer:
            assert answer.status == 201
            self.location, self.tag = answer.headers["Location"], answer.headers["ETag"]
            self.links = answer.headers.getall("Link", [])

    async def patch(
        self, fragment: str, if_match: str | None, content_type: str = SDP_FRAGMENT
    ) -> tuple[int, str, str]:
        """Status, text and ETag, or the error's code in its place."""
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {self.token}"}
        if if_match is not None:
            headers["If-Match"] = if_match
        async with self.caller.http.patch(
            self.caller.url + self.location, data=fragment, headers=headers
        ) as answer:
            if answer.content_type == "application/json":
                return answer.status, "", (await answer.json())["error"]["code"]
            return answer.status, await answer.text(), answer.headers.get("ETag", "")


async def opened_session(caller: Caller) -> Session:
    case_id = await caller.open_case()
    session = Session(caller, (await caller.link(case_id, "customer"))["token"])
    await session.open(case_id)
    return session


async def test_ice_is_restarted_by_a_patch_and_the_session_stays(caller: Caller) -> None:
    session = await opened_session(caller)
    status, fragment, tag = await session.patch(RESTART, '"*"')
    assert status == 200 and tag != session.tag
    assert "a=ice-lite" in fragment and f"a=ice-ufrag:{tag[1:-1]}" in fragment
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" in fragment
    (host, port) = caller.service.relay.candidates[0]
    assert f" udp 2130706431 {host} {port} typ host" in fragment and "tcptype passive" in fragment
    assert await session.patch(RESTART, "*") == (200, fragment, tag), "a repeat gets the same answer"
    assert caller.service.relay.connections == 1
    assert (await session.patch(CANDIDATES, session.tag))[0] == 412
    assert (await caller.call("DELETE", session.location, bearer=session.token))[0] == 200


async def test_candidates_are_taken_with_the_etag_and_need_no_answer(caller: Caller) -> None:
    session = await opened_session(caller)
    assert await session.patch(CANDIDATES, session.tag) == (204, "", "")


async def test_what_is_wrong_with_a_patch_is_said(caller: Caller) -> None:
    session = await opened_session(caller)
    assert (await session.patch(RESTART, None))[::2] == (428, "precondition_required")
    assert (await session.patch(RESTART, '"else"'))[::2] == (412, "precondition_failed")
    assert (await session.patch(RESTART, session.tag))[::2] == (400, "malformed_fragment")
    assert (await session.patch("a=ice-ufrag:wxyz\r\n", "*"))[::2] == (400, "malformed_fragment")
    assert (await session.patch(RESTART, "*", "application/sdp"))[::2] == (415, "unsupported_type")
    session.location += "x"
    assert (await session.patch(RESTART, "*"))[::2] == (404, "unknown_peer")
    assert caller.service.relay.connections == 1


async def test_turn_servers_come_as_links_with_the_answer_and_with_a_restart(tmp_path: Path) -> None:
    turn = {"PROOFCALL_TURN_URLS": "turn:192.0.2.5:443?transport=tcp", "PROOFCALL_TURN_SECRET": "shared"}
    async with calling(tmp_path, **turn) as caller:
        session = await opened_session(caller)
        (link,) = session.links
        assert link.startswith('<turn:192.0.2.5:443?transport=tcp>; rel="ice-server"; username="')
        async with caller.http.patch(
            caller.url + session.location,
            data=RESTART,
            headers={
                "Content-Type": SDP_FRAGMENT,
                "If-Match": '"*"',
                "Authorization": f"Bearer {session.token}",
            },
        ) as answer:
            assert answer.headers["Link"].split("username")[0] == link.split("username")[0]
