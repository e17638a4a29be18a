"""Playwright, cameras, and a case with its links."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Playwright, async_playwright

from tests.conftest import Caller, calling
from tests.end_to_end.people import CHROMIUM
from tests.end_to_end.pictures import COURIER, CUSTOMER, QA, write_camera
from tests.udp_proxy import UdpProxy, udp_proxy

PAGES = {"customer": "/c", "courier": "/d", "guest": "/g", "qa": "/qa", "dispatch": "/qa"}
IN_BROWSERS = {Path(__file__).parent, Path(__file__).parents[1] / "interop"}
ON_ONE_LOOP = pytest.mark.asyncio(loop_scope="session")
CALLED = ("customer", "courier", "guest")  # their pages begin with the conversation by themselves


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with cameras run one after the other, while another worker runs those without: pictures that are
    on time want a core to themselves. All tests of a worker run on one loop, that of the browsers they share.
    """
    for item in items:
        if "cameras" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("cameras"))
        if IN_BROWSERS & set(item.path.parents) and pytest_asyncio.is_async_test(item):
            item.add_marker(ON_ONE_LOOP, append=False)


@pytest.fixture(scope="session")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A known picture for each role."""
    folder = tmp_path_factory.mktemp("cameras")
    known = {"customer": CUSTOMER, "courier": COURIER, "qa": QA}
    return {role: write_camera(folder / f"{role}.y4m", quarters) for role, quarters in known.items()}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    async with async_playwright() as started:
        yield started


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def nothing_runs_on() -> AsyncIterator[None]:
    """What a test leaves running ends with it, as it would with a loop of its own."""
    others = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - others - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="session")
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    async with calling(tmp_path) as caller:
        yield caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A case in the running service, and a link for each role."""

    caller: Caller
    case_id: str
    links: dict[str, dict[str, Any]]
    proxy: UdpProxy | None = None

    def url(self, role: str) -> str:
        """The page of a role, in the service of this test; a phone's begins with the call."""
        query = "?call" if role in CALLED else ""
        return f"{self.caller.url}{PAGES[role]}{query}#{self.links[role]['token']}"

    def talk_url(self, role: str) -> str:
        """The same as people are sent it: a phone's begins with the conversation."""
        return f"{self.caller.url}{PAGES[role]}#{self.links[role]['token']}"

    async def entries(self) -> list[dict[str, Any]]:
        """The whole log, as the integrator sees it."""
        _, log = await self.caller.call("GET", f"/api/cases/{self.case_id}/entries")
        return list(log["entries"])

    async def bodies(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of one kind, in order."""
        return [entry["body"] for entry in await self.entries() if entry["envelope"]["kind"] == kind]


async def set_scene(caller: Caller, proxy: UdpProxy | None = None) -> Scene:
    """A new case, and a link to it for each role."""
    case_id = await caller.open_case()
    links = {role: await caller.link(case_id, role, role) for role in ("customer", "courier", "qa")}
    return Scene(caller=caller, case_id=case_id, links=links, proxy=proxy)


@pytest_asyncio.fixture(loop_scope="session")
async def scene(caller: Caller) -> Scene:
    return await set_scene(caller)


@pytest_asyncio.fixture(loop_scope="session")
async def scene_behind_proxy(tmp_path: Path) -> AsyncIterator[Scene]:
    """The same, where the only way of the media leads through a proxy."""
    async with udp_proxy() as proxy, calling(tmp_path, announce=f"127.0.0.1:{proxy.port}") as caller:
        proxy.forward_to(caller.service.relay.port)
        yield await set_scene(caller, proxy)
