"""Debian's coturn on loopback, with the shared secret that the service is told."""

import asyncio
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

TURNSERVER = shutil.which("turnserver")
START_S = 5.0  # it takes a tenth of one
STOP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coturn:
    """A running relay; `log` is what it has said so far."""

    url: str
    secret: str
    log: Path


@asynccontextmanager
async def coturn(folder: Path) -> AsyncIterator[Coturn]:
    """A relay for the length of a test. It relays to loopback alone, which a real one must refuse."""
    assert TURNSERVER is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    relay = Coturn(
        url=f"turn:127.0.0.1:{port}?transport=udp", secret=secrets.token_hex(16), log=folder / "turn.log"
    )
    with relay.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            TURNSERVER,
            "-n",  # no configuration file
            "--listening-ip=127.0.0.1",
            "--relay-ip=127.0.0.1",
            f"--listening-port={port}",
            "--use-auth-secret",
            f"--static-auth-secret={relay.secret}",
            "--realm=proofcall",
            "--allow-loopback-peers",  # wants --no-cli, or a password for it
            "--no-cli",
            "--no-tls",
            "--no-dtls",
            "--verbose",
            "--log-file=stdout",
            f"--userdb={folder / 'turndb'}",
            f"--pidfile={folder / 'turn.pid'}",
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(START_S):
            while not await _listens(port):  # noqa: ASYNC110  # another process sets no event
                await asyncio.sleep(0.05)
        yield relay
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
