"""A witness that nobody here wrote, as a process of its own: `aics-witness` on loopback."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_S = 20.0  # it takes one; a machine under load more


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessProcess:
    """Where it keeps its state, what it is called and where it listens, whether it runs or not."""

    config: Path
    name: str
    vkey: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def line(self) -> str:
        """How a policy names it."""
        return f"witness {self.name.rpartition('/')[2]} {self.vkey} {self.url}\n"

    async def know(self, vkey: str) -> None:
        """From its next start on it cosigns this log."""
        await _run(self.config, "add-log", "--origin", vkey.partition("+")[0], "--vkey", vkey)

    async def evidence(self) -> list[dict[str, Any]]:
        """What the log signed and it refused."""
        return list(json.loads(await _run(self.config, "evidence")))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        process = await asyncio.create_subprocess_exec(
            *_command(self.config, "serve", "--listen", f"127.0.0.1:{self.port}"),
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(READY_S):
                while not await _listens(self.port):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            yield
        finally:
            process.terminate()
            await process.wait()


async def make_witness(folder: Path, name: str = "witness.example/w1") -> WitnessProcess:
    """A witness with a key of its own that knows no log as yet."""
    await asyncio.to_thread(folder.mkdir)
    config = folder / "witness.json"
    vkey = (await _run(config, "init", "--name", name)).strip().splitlines()[-1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return WitnessProcess(config=config, name=name, vkey=vkey, port=port)


def _command(config: Path, command: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "aics_witness", command, "--config", str(config), *arguments]


async def _run(config: Path, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *_command(config, *command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
