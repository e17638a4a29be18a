"""The access network of one person: everything of theirs goes through one impaired link each way.

The proxies run in a process of their own (`python -m tests.bench.access_network`), so that a busy benchmark
does not delay datagrams. It is told what to do in lines of JSON and answers each with one:

    {"uplink": {…}, "downlink": {…}, "seed": 1}   first of all: the conditions
    {"udp": [host, port]}   → {"port": …}         a proxy towards that address of the server, on the same host
    {"tcp": [host, port]}   → {"port": …}         the same for HTTP and WebSocket, on 127.0.0.1: delay alone
    {"change": {"downlink": {…}}} → {}            other conditions, of one direction or both, from now on
    {"counters": true}      → {"uplink": {…}, "downlink": {…}}

It ends with its standard input.
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from tests.bench.processes import ROOT
from tests.link import Conditions, Counters, Link
from tests.tcp_proxy import TcpProxy
from tests.udp_proxy import UdpProxy

Json = dict[str, Any]
AHEAD = -10  # niceness: a datagram that is due goes before the browsers' encoders, if we may ask for that


class AccessNetwork:
    """The benchmark's end of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ports: dict[tuple[str, str, int], int] = {}
        self._turn = asyncio.Lock()

    async def udp_port(self, host: str, port: int) -> int:
        """Where, on the same host, a browser reaches that UDP address through the links."""
        return await self._port("udp", host, port)

    async def tcp_port(self, host: str, port: int) -> int:
        """Where, on 127.0.0.1, a browser reaches that TCP address with the links' delay."""
        return await self._port("tcp", host, port)

    async def lead(self, description: str) -> str:
        """The description with its UDP candidates led through the links, as `way.js` does it for pages."""
        lines = description.splitlines()
        for index, line in enumerate(lines):
            # RFC 8839 §5.1: foundation component transport priority address port …
            words = line.split()
            if line.startswith("a=candidate:") and words[2].lower() == "udp" and ":" not in words[4]:
                words[5] = str(await self.udp_port(words[4], int(words[5])))
                lines[index] = " ".join(words)
        return "\r\n".join(lines) + "\r\n"

    async def change(self, **directions: Conditions) -> None:
        """Other conditions for `uplink`, `downlink` or both; what is under way stays as it is."""
        async with self._turn:
            await self._ask({"change": {name: asdict(conditions) for name, conditions in directions.items()}})

    async def counters(self) -> tuple[Counters, Counters]:
        """What uplink and downlink have done so far."""
        async with self._turn:
            answer = await self._ask({"counters": True})
        return Counters(**answer["uplink"]), Counters(**answer["downlink"])

    async def _port(self, kind: str, host: str, port: int) -> int:
        async with self._turn:
            key = (kind, host, port)
            if key not in self._ports:
                self._ports[key] = int((await self._ask({kind: [host, port]}))["port"])
            return self._ports[key]

    async def _ask(self, question: Json) -> Json:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        answer: Json = json.loads(await self._process.stdout.readline())
        return answer


@contextlib.asynccontextmanager
async def access_network(
    *, uplink: Conditions, downlink: Conditions, seed: int
) -> AsyncIterator[AccessNetwork]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        conditions = {"uplink": asdict(uplink), "downlink": asdict(downlink), "seed": seed}
        process.stdin.write(json.dumps(conditions).encode() + b"\n")
        yield AccessNetwork(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    conditions = json.loads(await lines.readline())
    seed = conditions["seed"]
    uplink = Link(Conditions(**conditions["uplink"]), seed=seed)
    downlink = Link(Conditions(**conditions["downlink"]), seed=seed + 1)
    links = {"uplink": uplink, "downlink": downlink}
    delay_s = (uplink.conditions.delay_s + downlink.conditions.delay_s) / 2
    proxies: list[UdpProxy | TcpProxy] = []
    while line := await lines.readline():
        match json.loads(line):
            case {"udp": [host, port]}:
                udp = UdpProxy(host=host, uplink=uplink, downlink=downlink)
                udp.forward_to(port)
                proxies.append(udp)
                answer: Json = {"port": udp.port}
            case {"tcp": [host, port]}:
                tcp = TcpProxy(host, port, delay_s=delay_s)
                proxies.append(tcp)
                answer = {"port": await tcp.start()}
            case {"change": directions}:
                for name, changed in directions.items():
                    links[name].conditions = Conditions(**changed)
                answer = {}
            case _:
                answer = {name: asdict(link.counters) for name, link in links.items()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, AHEAD)
    gc.freeze()
    asyncio.run(_serve())
