"""A weak network on one side of a call: both sides read whose it is, the desk how weak, the log keeps it."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Playwright, Route

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import DESK, Somebody, chromium, open_page, until
from tests.link import Conditions, Link
from tests.udp_proxy import UdpProxy, udp_proxy

LOSSY = Conditions(loss=0.25)
PERFECT = Conditions()


@pytest.mark.long  # what is written down is told by tests/server/test_stay.py
async def test_whose_network_is_weak_is_told_on_both_sides_and_kept_in_the_log(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with (
        udp_proxy() as proxy,
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
    ):
        proxy.forward_to(scene.caller.service.relay.port)
        customer = await open_page(one, scene.url("customer"), language="zh-CN")
        courier = await open_page(two, "about:blank", language="en-US")
        await lead_through(proxy, courier)
        await courier.page.goto(scene.url("courier"))
        qa = await open_page(two, scene.url("qa"), size=DESK, language="en-US")
        for somebody in (customer, courier):
            await somebody.tap("start-button")
        for somebody in (customer, courier):
            await somebody.wait_for_media()
        for somebody, words in ((customer, "您的网络良好"), (courier, "Your network is good")):
            await until(partial(says, somebody, words), words)
        assert proxy.forwarded > 100, "the courier's media go through the proxy"

        proxy.uplink = Link(LOSSY, seed=5)
        await until(partial(says, courier, "Your network is weak. Sound goes on."), "the courier reads it")
        await until(
            partial(says, customer, "快递员的网络较弱，声音不会断。"), "the customer reads whose it is"
        )
        await until(partial(reads_loss, qa, scene.links["courier"]["link_id"]), "the desk reads how much")
        proxy.uplink = Link(PERFECT, seed=6)
        await until(partial(says, customer, "您的网络良好"), "it has passed")

        proxy.cut = True
        await until(partial(says, customer, "快递员的网络中断，正在恢复…"), "silence is told")
        proxy.cut = False
        await until(partial(logged, scene, "gap_ended"), "the gap is over, and in the log")
        await courier.tap("hangup")
        await until(partial(logged, scene, "call_quality"), "the courier's stay is summed up in the log")
        assert customer.complaints == courier.complaints == qa.complaints == []

    courier_id = scene.links["courier"]["link_id"]
    (started,) = await of(scene, "gap_started", courier_id)
    (ended,) = await of(scene, "gap_ended", courier_id)
    assert started["cause"] == "network" and started["of"] == "both"
    assert 2_500 < ended["duration_ms"] < 30_000
    (summary,) = await of(scene, "call_quality", courier_id)
    assert summary["sent"]["loss_permille"] > 10
    assert summary["gaps"]["count"] == 1
    assert summary["playback_claim"]["frames"] > 0 and summary["round_trip"]["median_ms"] < 500


async def lead_through(proxy: UdpProxy, somebody: Somebody) -> None:
    """The only candidate that this page is answered with is the proxy's."""

    async def answer(route: Route) -> None:
        if route.request.method not in ("POST", "PATCH"):
            await route.continue_()
            return
        response = await route.fetch()
        lines = []
        for line in (await response.text()).split("\r\n"):
            words = line.split(" ")
            if not line.startswith("a=candidate:"):
                lines.append(line)
            elif words[2].lower() == "udp":
                lines.append(" ".join([*words[:5], str(proxy.port), *words[6:]]))
        await route.fulfill(response=response, body="\r\n".join(lines))

    await somebody.page.route("**/media**", answer)


async def says(somebody: Somebody, words: str) -> bool:
    """Whether the line of the network reads so."""
    return bool(await somebody.by("quality").inner_text() == words)


async def reads_loss(qa: Somebody, actor_id: str) -> bool:
    """Whether the desk's numbers show that a good part of what this person sends is lost."""
    row = qa.page.locator(f"[data-testid=network-numbers] tr[data-row=sent][data-actor-id={actor_id}]")
    cells = await row.locator("td").all_inner_texts() if await row.count() else []
    return len(cells) == 4 and int(cells[0]) > 0 and float(cells[1].removesuffix("%")) > 5


async def logged(scene: Scene, kind: str) -> bool:
    return bool(await scene.bodies(kind))


async def of(scene: Scene, kind: str, actor_id: str) -> list[dict[str, Any]]:
    """The bodies of that kind whose actor it is."""
    return [
        entry["body"]
        for entry in await scene.entries()
        if (entry["envelope"]["kind"], entry["envelope"]["actor_id"]) == (kind, actor_id)
    ]
