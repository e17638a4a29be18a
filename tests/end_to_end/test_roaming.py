"""Walking away from a network: other addresses, no UDP, nothing at all, and the call goes on."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Playwright, Request

from tests.conftest import calling
from tests.end_to_end.conftest import Scene, set_scene
from tests.end_to_end.people import Somebody, until
from tests.end_to_end.test_trouble import is_in_trouble, two_in_a_call
from tests.tcp_proxy import tcp_proxy

BACK_WITHIN_S = 1.0
TOLD_WITHIN_S = 3.0
SWITCHED_WITHIN_S = 3.0  # from then on; libwebrtc leaves a way that worked only after a second's thought
TOLD_SLACK_S = 0.5  # the test's own polling, with two browsers on two cores
USUAL_S = 0.45  # for as many packets in an undisturbed call; a machine that takes longer has that much longer
ROUNDS = 3  # of silence, until one finds the machine idle enough; the benchmark (`roam`) has the median

# Milliseconds until packets of sound and of pictures come in anew.
COMES_BACK = """async () => {
  const connection = window.testConnections.at(-1);
  const count = async () => {
    const counts = {audio: 0, video: 0};
    for (const report of (await connection.getStats()).values())
      if (report.type === 'inbound-rtp') counts[report.kind] += report.packetsReceived;
    return counts;
  };
  const began = performance.now();
  const before = await count();
  for (;;) {
    const now = await count();
    if (now.audio > before.audio + 5 && now.video > before.video + 5) return performance.now() - began;
    if (performance.now() - began > 10000) return 10000;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}"""
WAYS = """async () => {
  const stats = await window.testConnections.at(-1).getStats();
  const transport = [...stats.values()].find((report) => report.type === 'transport');
  const pair = stats.get(transport.selectedCandidatePairId);
  const [local, remote] = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
  return {connections: window.testConnections.length, protocol: remote.protocol, type: local.candidateType,
    ufrag: local.usernameFragment, dtls: transport.dtlsState, port: remote.port,
    selectedChanges: transport.selectedCandidatePairChanges};
}"""


class MediaRequests:
    """The requests that a page makes for its media session."""

    def __init__(self, somebody: Somebody) -> None:
        self.made: list[str] = []
        somebody.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if "/api/" in request.url and "/media" in request.url:
            self.made.append(request.method)


async def comes_back_s(somebody: Somebody) -> float:
    """Seconds until sound and pictures come in again."""
    return float(await somebody.page.evaluate(COMES_BACK)) / 1000


async def slowness(people: Sequence[Somebody]) -> float:
    """How many times slower than usual the machine is just now, with all that runs beside; at least 1."""
    return max(1.0, *(took_s / USUAL_S for took_s in await asyncio.gather(*map(comes_back_s, people))))


@pytest.mark.long
async def test_other_addresses_are_followed_without_a_word(
    scene_behind_proxy: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    scene, proxy = scene_behind_proxy, scene_behind_proxy.proxy
    assert proxy is not None
    async with two_in_a_call(scene, playwright, cameras) as people:
        requests = [MediaRequests(somebody) for somebody in people]
        for _ in range(3):
            proxy.move()
            took_s = await asyncio.gather(*map(comes_back_s, people))
            assert max(took_s) <= BACK_WITHIN_S, took_s
        assert proxy.forwarded > 100, "the media went through the proxy"
        assert [each.made for each in requests] == [[], []]


@pytest.mark.long
async def test_ice_is_restarted_with_the_same_handshake_and_the_same_session(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with two_in_a_call(scene, playwright, cameras) as (customer, courier):
        requests = MediaRequests(customer)
        relay, customer_id = scene.caller.service.relay, scene.links["customer"]["link_id"]
        session_id = relay.session_of(scene.case_id, customer_id)
        before = await customer.page.evaluate(WAYS)
        await customer.page.evaluate("dispatchEvent(new Event('online'))")

        async def restarted() -> bool:
            return bool((await customer.page.evaluate(WAYS))["ufrag"] != before["ufrag"])

        await until(restarted, "the media go another way", patience_s=5)
        assert requests.made == ["PATCH"]
        took_s = await asyncio.gather(comes_back_s(customer), comes_back_s(courier))
        assert max(took_s) <= BACK_WITHIN_S, took_s
        assert not await is_in_trouble(customer)
        assert relay.session_of(scene.case_id, customer_id) == session_id
        after = await customer.page.evaluate(WAYS)
        assert (after["connections"], after["dtls"]) == (before["connections"], "connected")
        assert customer.complaints == []


async def test_silence_is_told_within_three_seconds_and_mended_without_a_new_session(
    scene_behind_proxy: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    scene, proxy = scene_behind_proxy, scene_behind_proxy.proxy
    assert proxy is not None
    relay, case_id = scene.caller.service.relay, scene.case_id
    ids = [scene.links[role]["link_id"] for role in ("customer", "courier")]
    async with two_in_a_call(scene, playwright, cameras) as people:
        sessions = [relay.session_of(case_id, each) for each in ids]
        await asyncio.sleep(2)  # by now the page knows what is usual
        requests = [MediaRequests(somebody) for somebody in people]

        async def server_knows() -> bool:
            return all(relay.connection_state(case_id, each) == "silent" for each in ids)

        for _ in range(ROUNDS):
            slower = await slowness(people)
            proxy.cut = True
            began = time.monotonic()
            await asyncio.gather(
                *(until(partial(is_in_trouble, somebody), "the page says so") for somebody in people),
                until(server_knows, "the server knows"),
            )
            assert time.monotonic() - began <= TOLD_WITHIN_S + TOLD_SLACK_S * slower
            proxy.cut = False
            took_s = await asyncio.gather(*map(comes_back_s, people))
            for somebody in people:
                await until(
                    partial(is_well, somebody), "the page says that it is over", patience_s=3 * slower
                )
            if max(took_s) <= BACK_WITHIN_S * slower:
                break
        assert max(took_s) <= BACK_WITHIN_S * slower, (took_s, slower)
        assert [relay.session_of(case_id, each) for each in ids] == sessions
        assert all("POST" not in each.made for each in requests)


@pytest.mark.long
async def test_a_session_that_is_gone_is_replaced(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with two_in_a_call(scene, playwright, cameras) as (customer, courier):
        requests = MediaRequests(customer)
        await customer.page.route("**/media/*", lambda route: route.fulfill(status=404, json={}), times=1)
        await customer.page.evaluate("dispatchEvent(new Event('online'))")
        await until(partial(posted, requests), "a fresh offer", patience_s=3)
        await customer.wait_for_media()
        await courier.wait_for_media()
        assert requests.made == ["PATCH", "POST"]


@pytest_asyncio.fixture(loop_scope="session")
async def scene_without_udp(tmp_path: Path) -> AsyncIterator[Scene]:
    """A network that carries TCP alone: nobody listens at the announced UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with (
        tcp_proxy("127.0.0.1", port, delay_s=0.0) as way,
        calling(tmp_path, announce=f"127.0.0.1:{way}", PROOFCALL_UDP_PORT=str(port)) as caller,
    ):
        yield await set_scene(caller)


async def test_where_udp_is_blocked_the_call_comes_up_over_tcp(
    scene_without_udp: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    scene = scene_without_udp
    async with two_in_a_call(scene, playwright, cameras) as people:
        for somebody in people:
            way = await somebody.page.evaluate(WAYS)
            assert way["protocol"] == "tcp", way
        for came in await asyncio.gather(*(somebody.sees_and_hears(3.0) for somebody in people)):
            assert came["frames"] > 5 and came["energy"] > 0, came
        for somebody in people:
            assert somebody.complaints == []


async def test_a_network_that_blocks_udp_is_entered_in_the_middle_of_a_call(
    scene_behind_proxy: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    scene, proxy = scene_behind_proxy, scene_behind_proxy.proxy
    assert proxy is not None
    media_port = scene.caller.service.relay.port
    async with (
        tcp_proxy("127.0.0.1", media_port, delay_s=0.0, at=proxy.port),
        two_in_a_call(scene, playwright, cameras) as people,
    ):
        assert {(await somebody.page.evaluate(WAYS))["protocol"] for somebody in people} == {"udp"}
        requests = [MediaRequests(somebody) for somebody in people]
        proxy.cut = True
        took_s = await asyncio.gather(*map(comes_back_s, people))
        assert max(took_s) <= TOLD_WITHIN_S + SWITCHED_WITHIN_S, took_s
        assert {(await somebody.page.evaluate(WAYS))["protocol"] for somebody in people} == {"tcp"}
        assert all("POST" not in each.made for each in requests)


async def posted(requests: MediaRequests) -> bool:
    """Whether a fresh offer has gone out."""
    return "POST" in requests.made


async def is_well(somebody: Somebody) -> bool:
    """Whether the page's words about the connection are those of a good one."""
    return not await is_in_trouble(somebody)
