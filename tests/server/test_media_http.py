"""Offer and answer over HTTP, in the form of RFC 9725."""

from tests.conftest import Caller

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
