"""What many tests stand on: a running service on free ports of loopback, and callers of its API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401  (imported as late as pytest's summary, CPython 3.11 fails to rewrite it)

import tests.compiled  # noqa: F401

# isort: split
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, web

from server.app import running_service
from server.http.routes import make_app
from server.http.socket import Sockets
from server.service import Service
from server.settings import read_settings

API_KEY = "a key for tests only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls the running service over HTTP, as an integrator or with any other bearer."""

    service: Service
    url: str
    http: ClientSession

    async def call(
        self, method: str, path: str, *, bearer: str | None = API_KEY, **how: Any
    ) -> tuple[int, Any]:
        """Status and body: parsed JSON, else bytes."""
        headers = how.pop("headers", {}) | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        async with self.http.request(method, self.url + path, headers=headers, **how) as answer:
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.read()

    async def open_case(self, **more: Any) -> str:
        """A new case's id."""
        status, case = await self.call("POST", "/api/cases", json={"waybill": "SF1000000001"} | more)
        assert status == 201, case
        return str(case["case_id"])

    async def link(self, case_id: str, role: str, name: str = "somebody") -> dict[str, Any]:
        """A link into the case: link_id, token, url."""
        status, link = await self.call(
            "POST", f"/api/cases/{case_id}/links", json={"role": role, "name": name, "expires_in_s": 3600}
        )
        assert status == 201, link
        return dict(link)

    async def socket(self, case_id: str) -> ClientWebSocketResponse:
        """A WebSocket that has not said hello yet."""
        return await self.http.ws_connect(f"{self.url}/api/cases/{case_id}/ws")


@asynccontextmanager
async def calling(folder: Path, *, announce: str = "", **more: str) -> AsyncIterator[Caller]:
    """A service of its own in `folder`, and a caller of it; `more` are settings."""
    settings = read_settings(
        {
            "PROOFCALL_HTTP_PORT": "0",
            "PROOFCALL_UDP_PORT": "0",
            "PROOFCALL_ANNOUNCE": announce,
            "PROOFCALL_DATA_DIR": str(folder / "data"),
            "PROOFCALL_API_KEY": API_KEY,
            **more,
        }
    )
    async with running_service(settings) as service:
        sockets = Sockets()
        runner = web.AppRunner(make_app(service, sockets), access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with ClientSession() as http:
            yield Caller(service=service, url=f"http://127.0.0.1:{port}", http=http)
        sockets.drain()
        await runner.cleanup()


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    async with calling(tmp_path) as caller:
        yield caller
