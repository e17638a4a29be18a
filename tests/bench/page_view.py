"""One sender and who watches them, in either system.

The sender's page is in a good network: for Proofcall its own page, for Janus the benchmark's. Who watches
sends nothing: pages of the benchmark, and a bot that sends feedback as a browser does but paints nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from playwright.async_api import Browser, Page

from tests.bench import browser
from tests.bench.access_network import AccessNetwork
from tests.bench.bot import BotFailed
from tests.bench.janus_peer import JanusPeer
from tests.bench.page_call import (
    FIRST_WITHIN_S,
    SETTLE_S,
    System,
    Systems,
    blank_page,
    janus_tap,
    proofcall_page,
    tap,
)
from tests.bench.proofcall_peer import ROLES, ProofcallPeer


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """The sender's page, the pages that watch, the network of the bot that does, and where it is recorded."""

    sender: Page
    viewers: Sequence[tuple[Page, AccessNetwork]]
    bots_network: AccessNetwork | None
    case_id: str | None = None

    async def first_pictures(self) -> None:
        """Wait for them, for as long as anybody would."""
        await asyncio.gather(
            *(page.evaluate(f"bench.first({FIRST_WITHIN_S * 1_000})") for page, _ in self.viewers)
        )


View = Callable[
    [Browser, Sequence[AccessNetwork], AccessNetwork | None], AbstractAsyncContextManager[Viewing]
]
"""Pages that watch, each in one of the networks, and a bot in one of its own, or none."""


def views(both: Systems) -> dict[System, View]:
    found: dict[System, View] = {"Proofcall": lambda *how: _proofcall_view(both.proofcall, *how)}
    if (janus := both.janus) is not None:
        found["Janus"] = lambda *how: _janus_view(janus, *how)
    return found


@contextlib.asynccontextmanager
async def _proofcall_view(
    proofcall: ProofcallPeer,
    chromium: Browser,
    networks: Sequence[AccessNetwork],
    bots_network: AccessNetwork | None,
) -> AsyncIterator[Viewing]:
    case_id = await proofcall.open_case()
    async with contextlib.AsyncExitStack() as stack:
        senders_role, *viewers_roles = ROLES
        sender = await stack.enter_async_context(
            proofcall_page(proofcall, chromium, case_id, senders_role, None)
        )
        await tap(sender)
        await asyncio.sleep(SETTLE_S)
        roles = iter(viewers_roles)
        viewers: list[tuple[Page, AccessNetwork]] = []
        for network in networks:
            page = await stack.enter_async_context(blank_page(chromium, network))
            link = await proofcall.issue_link(case_id, next(roles))
            target = {"case_id": case_id, "token": link["token"], "watches": True}
            joining = asyncio.create_task(page.evaluate(browser.script("proofcall.js"), target))
            stack.callback(joining.cancel)
            viewers.append((page, network))
        if bots_network is not None:
            person = await proofcall.join(case_id, next(roles), watches=True, network=bots_network)
            stack.push_async_callback(proofcall.leave, person)
        yield Viewing(sender=sender, viewers=viewers, bots_network=bots_network, case_id=case_id)


@contextlib.asynccontextmanager
async def _janus_view(
    janus: JanusPeer,
    chromium: Browser,
    networks: Sequence[AccessNetwork],
    bots_network: AccessNetwork | None,
) -> AsyncIterator[Viewing]:
    room = await janus.create_room()
    async with contextlib.AsyncExitStack() as stack:
        sender = await stack.enter_async_context(blank_page(chromium, None))
        stack.callback((await janus_tap(sender, room, None)).cancel)
        await asyncio.sleep(SETTLE_S)
        viewers: list[tuple[Page, AccessNetwork]] = []
        for network in networks:
            page = await stack.enter_async_context(blank_page(chromium, network))
            stack.callback((await janus_tap(page, room, network, publishes=False)).cancel)
            viewers.append((page, network))
        if bots_network is not None:
            feeds = await janus.feeds(room)
            if len(feeds) != 1:
                raise BotFailed(f"{len(feeds)} people publish where one should")
            bot = await janus.subscribe(room, feeds[0], network=bots_network)
            stack.callback(bot.close)
        yield Viewing(sender=sender, viewers=viewers, bots_network=bots_network)
