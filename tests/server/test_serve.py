"""`proofcall serve` as a process: starting, stopping in order, being killed, saying why it cannot."""

import asyncio
import io
import os
import re
import signal
import socket
import ssl
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector

from signaling.entries import BOOKKEEPING
from tests.server.recording import Sender, connect
from tests.server.test_socket import close_code, say, up_to

PROOFCALL = str(Path(sys.executable).with_name("proofcall"))
START_S = 20.0


@asynccontextmanager
async def serving(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[tuple[Process, str]]:
    """The process, and all that it printed until it listened."""
    ports = {"PROOFCALL_HTTP_PORT": "0", "PROOFCALL_UDP_PORT": "0", "PROOFCALL_DATA_DIR": str(folder)}
    process = await asyncio.create_subprocess_exec(
        PROOFCALL, "serve", *arguments, stdout=PIPE, stderr=STDOUT, env=os.environ | ports | environment
    )
    assert process.stdout is not None
    printed = ""
    try:
        async with asyncio.timeout(START_S):
            while "listens on" not in printed and (line := await process.stdout.readline()):
                printed += line.decode()
        yield process, printed
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def in_call(http: ClientSession, printed: str) -> tuple[ClientWebSocketResponse, str, str]:
    """The customer's socket, in the sample's call; the token and the case."""
    url, token = re.findall(r"customer\s+(http\S+)/c#(\S+)", printed)[0]
    key = re.findall(r"API key of this run: (\S+)", printed)[0]
    async with http.get(f"{url}/api/cases", headers={"Authorization": f"Bearer {key}"}) as answer:
        case_id = (await answer.json())["cases"][0]["case_id"]
    socket = await http.ws_connect(f"{url}/api/cases/{case_id}/ws")
    await socket.send_json({"type": "hello", "version": 1, "token": token, "after": 0, "hash": None})
    await up_to(socket, "synced")
    await say(socket, "k1", kind="consent", statement="yes", language="en")
    await say(socket, "k2", kind="join")
    return socket, token, case_id


async def kinds_after(folder: Path, case_id: str) -> list[str]:
    """What a service that starts on the same folder finds in the log."""
    key = "a key for this test only"
    async with serving(folder, PROOFCALL_API_KEY=key) as (_, printed), ClientSession() as http:
        (url,) = re.findall(r"listens on (\S+)", printed)
        headers = {"Authorization": f"Bearer {key}"}
        async with http.get(f"{url}/api/cases/{case_id}/entries", headers=headers) as answer:
            return [entry["envelope"]["kind"] for entry in (await answer.json())["entries"]]


def without_custody(kinds: list[str]) -> list[str]:
    """What happened, without who read of it."""
    return [kind for kind in kinds if kind not in BOOKKEEPING]


async def test_a_stop_ends_calls_in_the_log_and_tells_everyone(tmp_path: Path) -> None:
    async with serving(tmp_path, "--sample") as (process, printed), ClientSession() as http:
        customer, _, case_id = await in_call(http, printed)
        acknowledged = await say(customer, "k3", kind="text", text="before the stop")
        process.send_signal(signal.SIGTERM)
        assert await close_code(customer) == 1001
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    kinds = await kinds_after(tmp_path, case_id)
    assert kinds[acknowledged["number"] - 1] == "text"
    assert without_custody(kinds)[-3:] == ["left", "call_missed", "call_ended"]
    assert kinds.count("read") == 2, "the page's beginning and its end"


async def test_the_sample_prints_a_link_for_every_party_and_every_desk(tmp_path: Path) -> None:
    async with serving(tmp_path, "--sample") as (_, printed), ClientSession() as http:
        pages = dict(re.findall(r"(\w+)\s+http\S+/(\w+)#\S+", printed))
        assert pages == {"customer": "c", "courier": "d", "qa": "qa", "dispatch": "qa"}
        url, token = re.findall(r"dispatch\s+(http\S+)/qa#(\S+)", printed)[0]
        async with http.get(f"{url}/api/cases", headers={"Authorization": f"Bearer {token}"}) as answer:
            assert len((await answer.json())["cases"]) == 1


async def test_what_was_acknowledged_survives_a_kill_and_the_cut_call_is_ended(tmp_path: Path) -> None:
    async with serving(tmp_path, "--sample") as (process, printed), ClientSession() as http:
        customer, _, case_id = await in_call(http, printed)
        acknowledged = await say(customer, "k3", kind="text", text="before the kill")
        process.kill()
        await process.wait()
    kinds = await kinds_after(tmp_path, case_id)
    assert kinds[acknowledged["number"] - 1] == "text"
    assert without_custody(kinds)[-3:] == ["left", "call_missed", "call_ended"]


async def test_after_a_kill_in_a_call_all_up_to_the_last_segment_is_there_verifies_and_plays(
    tmp_path: Path,
) -> None:
    data, key = tmp_path / "data", "a key for this test only"
    async with serving(data, "--sample") as (process, printed), ClientSession() as http:
        socket, token, case_id = await in_call(http, printed)
        (url,) = re.findall(r"listens on (\S+)", printed)
        sender = Sender(await connect(url, http, case_id, token))
        await sender.send(12)  # a first segment of between half and all of five seconds, and one of five
        await say(socket, "k3", kind="text", text="after the second segment")
        process.kill()
        await process.wait()
        sender.peer.close(goodbye=False)
    async with serving(data, PROOFCALL_API_KEY=key) as (process, printed), ClientSession() as http:
        (url,) = re.findall(r"listens on (\S+)", printed)
        case = f"{url}/api/cases/{case_id}"
        http.headers["Authorization"] = f"Bearer {key}"
        async with http.get(f"{url}/log/checkpoint") as answer:
            size = int((await answer.text()).splitlines()[1])
        async with http.get(f"{case}/entries") as answer:
            entries = (await answer.json())["entries"]
        kinds = without_custody([entry["envelope"]["kind"] for entry in entries])
        assert kinds[-4:] == ["text", "left", "call_missed", "call_ended"]
        (ended,) = [entry for entry in entries if entry["envelope"]["kind"] == "call_ended"]
        assert ended["body"]["reason"] == "aborted"
        sealed = [entry for entry in entries if entry["envelope"]["kind"] == "segment_sealed"]
        assert [entry["body"]["segment"] for entry in sealed] == [1, 2]
        assert sealed[1]["body"]["packets"] > 5 * (50 + 30) - 20, "five seconds of it"
        assert entries[-1]["leaf_index"] == size - 1, "the end was written before anybody asked"
        wish = {"actor_id": sealed[0]["envelope"]["actor_id"]}
        async with http.post(f"{case}/calls/1/playback", json=wish) as answer:
            assert answer.status == 200
            playback = await answer.json()
        assert 7_000 < playback["duration_ms"] < 10_500
        async with http.get(url + playback["url"]) as answer:
            film = await answer.read()
        async with http.post(f"{case}/export") as answer:
            (tmp_path / "case.zip").write_bytes(await answer.read())
    with av.open(io.BytesIO(film), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) > 6.9 * 30
    verify = await asyncio.create_subprocess_exec(PROOFCALL, "verify", str(tmp_path / "case.zip"))
    assert await verify.wait() == 0


async def test_for_phones_it_serves_https_and_prints_qr_codes(tmp_path: Path) -> None:
    tmp_path = tmp_path / "new"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    async with serving(tmp_path, "--sample", "--phone", PROOFCALL_HTTP_PORT=port) as (_, printed):
        assert f":{port}/c#" in printed and "█" in printed
        trusted = ssl.create_default_context(cafile=str(tmp_path / "tls" / "certificate.pem"))
        async with (
            ClientSession(connector=TCPConnector(ssl=trusted)) as http,
            http.get(f"https://localhost:{port}/healthz") as answer,
        ):
            assert answer.status == 200
    assert (tmp_path.stat().st_mode & 0o077) == 0, "the log is for its owner alone"


async def test_it_says_why_it_cannot_start(tmp_path: Path) -> None:
    async with serving(tmp_path) as (process, printed):
        assert await process.wait() == 2
    assert "PROOFCALL_API_KEY is not set" in printed
    async with (
        serving(tmp_path, "--sample") as (_, _),
        serving(tmp_path, "--sample") as (second, said),
    ):
        assert await second.wait() == 2
        assert "proofcall stops: " in said
