"""Debian's Firefox as a participant, without geckodriver: it speaks WebDriver BiDi over a plain WebSocket.

    firefox ─► session.new ─► a tab ─► preload script, navigate, script.callFunction

https://w3c.github.io/webdriver-bidi/; only what the tests need.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.end_to_end.people import INBOUND, KEEP_CONNECTIONS, until

FIREFOX = shutil.which("firefox-esr")
START_TIMEOUT_S = 30.0  # four seconds where nothing else runs
ANSWER_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0

PREFERENCES: dict[str, bool | int | str] = {
    "media.navigator.streams.fake": True,  # a picture of one wandering colour, and a tone
    "media.autoplay.default": 0,
    # Loopback is no address to connect from, and a page without the camera's permission has one address only,
    # that of the default route. Calls of real people need none of these three.
    "media.peerconnection.ice.loopback": True,
    "permissions.default.camera": 1,
    "permissions.default.microphone": 1,
    # Nothing leaves the machine: Firefox looks for no updates, and whatever still tries meets a proxy
    # at a port that nobody listens on (9, discard). Loopback goes past it.
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "network.proxy.type": 1,
    "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_port": 9,
    "network.proxy.socks_remote_dns": True,
}

TAP = """test_id => {
  const element = document.querySelector(`[data-testid=${test_id}]`);
  const ready = element?.checkVisibility() && !element.disabled;
  if (ready) element.click();
  return ready === true;
}"""


class FirefoxPage:
    """One tab: somebody's page, and what they see and do on it."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        """Errors that nobody caught, or that were logged."""
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._context = ""

    async def start(self) -> None:
        await self._ask("session.new", capabilities={})
        await self._ask("session.subscribe", events=["log.entryAdded"])
        preload = f"() => {{ {KEEP_CONNECTIONS} }}"
        await self._ask("script.addPreloadScript", functionDeclaration=preload)
        tree = await self._ask("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def open(self, url: str) -> None:
        await self._ask("browsingContext.navigate", context=self._context, url=url, wait="interactive")

    async def evaluate(self, function: str, *arguments: str) -> Any:
        """What a function of the page returns, as JSON; a promise is awaited."""
        result = await self._ask(
            "script.callFunction",
            functionDeclaration=f"async (...given) => JSON.stringify(await ({function})(...given))",
            arguments=[{"type": "string", "value": value} for value in arguments],
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert result["type"] == "success", result
        value = result["result"].get("value")
        return None if value is None else json.loads(value)

    async def tap(self, test_id: str) -> None:
        """Clicks it, when it can be clicked."""

        async def tapped() -> bool:
            return bool(await self.evaluate(TAP, test_id))

        await until(tapped, f"{test_id} can be tapped")

    async def inbound(self) -> dict[str, float]:
        """What has arrived and been decoded, over all connections that are open."""
        sums: dict[str, float] = await self.evaluate(INBOUND)
        return sums

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            message = await answer
        assert message["type"] == "success", message
        result: dict[str, Any] = message["result"]
        return result

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type != WSMsgType.TEXT:
                continue
            said = message.json()
            if said["type"] != "event":
                self._answers.pop(said["id"]).set_result(said)
            elif said["params"]["level"] == "error":
                self.complaints.append(str(said["params"]["text"]))


@asynccontextmanager
async def firefox(folder: Path) -> AsyncIterator[FirefoxPage]:
    """A Firefox of its own with a new profile in `folder`, on an empty page."""
    if FIREFOX is None:
        pytest.skip("firefox-esr is not installed (Debian: apt-get install firefox-esr)")
    profile = folder / "firefox"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    process = await asyncio.create_subprocess_exec(
        FIREFOX,
        *("--headless", "--no-remote", "--remote-debugging-port=0", "--profile", str(profile), "about:blank"),
        stdout=DEVNULL,
        stderr=DEVNULL,
        env=os.environ | {"HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
    )
    told = profile / "WebDriverBiDiServer.json"

    async def listens() -> bool:
        assert process.returncode is None, f"Firefox ended with {process.returncode} before it listened"
        return told.exists() and told.read_text().endswith("}")

    try:
        await until(listens, "Firefox listens", patience_s=START_TIMEOUT_S)
        address = json.loads(told.read_text())
        async with (
            ClientSession() as http,
            http.ws_connect(
                f"ws://{address['ws_host']}:{address['ws_port']}/session", max_msg_size=0
            ) as socket,
            asyncio.TaskGroup() as tasks,
        ):
            page = FirefoxPage(socket)
            tasks.create_task(page.listen())
            await page.start()
            yield page
            await socket.close()
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
