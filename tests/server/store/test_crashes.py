"""The crash bar: whatever ends the process or fails the disk, what was told is there, and nothing by halves.

A tracer makes each system call that changes the disk fail, or kills the process in front of it: the first of
its kind in a thread, then the second, until a short scenario runs through without coming that far. The tracer
counts by thread, so it follows one thread at a time.
"""

import asyncio
import base64
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.evidence.checkpoint import open_checkpoint, parse_key
from server.store.audit import audit
from server.store.blobs import BlobStore
from server.store.errors import FailedAppend
from server.store.log import LogStore
from tests.server.store.crash_scenarios import DERIVED, blob_of, draft, last_number, opened
from tests.server.store.fork_server import Child, ForkServer, fork_server

SYSTEM_CALLS = (
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "mkdir",
    "link",
    "rename",
    "unlink",
)
# {} is the number of the call. A disk that fails once may answer again, or never; a full one may find room.
FAULTS = {
    "fails once": "error=EIO:when={}",
    "fails from then on": "error=EIO:when={}+",
    "is full once": "error=ENOSPC:when={}",
    "is the last": "signal=KILL:when={}",
}
FULL_DISK_CALLS = {"openat", "write", "pwrite64", "ftruncate", "mkdir", "link", "rename"}
MAX_THREADS = 8  # of a scenario; it has five
MAX_CALLS = 200  # of one kind in one thread; there are 50
REFUSALS = {  # errors of the store, and the system's own where the disk refused a blob or a key
    "CorruptBlob",
    "CorruptLog",
    "FailedAppend",
    "FileNotFoundError",
    "IllegalAppend",
    "IllegalOpen",
    "OSError",
    "UnknownCaseKey",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def needs_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (Debian: apt-get install strace)")


@dataclass(slots=True)
class Told:
    """All that processes on one folder have acknowledged and published, in their order."""

    entries: list[tuple[str, int, str, str]] = field(default_factory=list)
    blobs: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    newest: int = 0

    def listen(self, lines: list[list[str]], vkey: str) -> None:
        """Take in what a process said; sizes only ascend, and one size has one note."""
        for line in lines:
            match line:
                case ["entry", case_id, number, entry_hash, blob]:
                    self.entries.append((case_id, int(number), entry_hash, blob))
                case ["blob", case_id, sha256]:
                    self.blobs.append((case_id, sha256))
                case ["note", text]:
                    note = base64.b64decode(text).decode()
                    size = open_checkpoint(note, parse_key(vkey)).tree_size
                    assert size >= self.newest, "a published size went back"
                    assert self.notes.setdefault(size, note) == note, f"size {size} has two notes"
                    self.newest = size
                case ["failed", text]:
                    raise AssertionError(base64.b64decode(text).decode())
                case _:
                    pass


def refusals(lines: list[list[str]]) -> list[str]:
    """What a process was refused; each with an error that the store may raise, and with words."""
    found = []
    for line in lines:
        if line[0] == "refused":
            message = base64.b64decode(line[3]).decode()
            assert line[2] in REFUSALS and len(message) > 10, (line, message)
            found.append(f"{line[1]}: {line[2]}: {message}")
    return found


async def check_whole(folder: Path, told: Told, lines: list[list[str]]) -> None:
    """Open the folder as the next start does: what was told is there, nothing by halves, and it goes on."""
    async with opened(folder) as (log, blobs, derived):
        told.listen(lines, log.vkey)
        for case_id, number, entry_hash, _ in told.entries:
            (entry,) = await log.entries(case_id, after=number - 1, limit=1)
            assert entry.hash == entry_hash
        for case_id, sha256 in told.blobs:
            assert await blobs.get(case_id, sha256)
        for path in (folder / "blobs").glob("[!.]*/*"):
            assert await blobs.get(path.parent.name, path.name)
        assert not list((folder / "blobs" / ".incoming").iterdir())
        for case_id in await log.case_ids(limit=10):
            reader = await derived.open(case_id, "part.webm")
            if reader is not None:
                assert await reader.read(0, reader.size_bytes) == DERIVED
                reader.close()
        assert log.size >= told.newest
        await go_on(log)
        told.listen([["note", base64.b64encode(log.checkpoint.encode()).decode()]], log.vkey)
    check_notes(folder, told)
    for _ in audit(folder):
        pass


async def go_on(log: LogStore) -> None:
    """After a crash the log takes entries as before."""
    number = await last_number(log, "c_after")
    await log.append([draft("c_after", number + 1)], expect_number=number)


def check_notes(folder: Path, told: Told) -> None:
    """Every note that anybody was shown is the one that is stored for its size."""
    connection = sqlite3.connect(folder / "log.sqlite")
    stored = dict(connection.execute("SELECT tree_size, note FROM checkpoints"))
    connection.close()
    for size, note in told.notes.items():
        assert stored[size] == note


def run_with_fault(
    server: ForkServer, folder: Path, *, thread: int, call: str, fault: str, nth: int, trace: Path
) -> tuple[Child, bool] | None:
    """Run the short scenario; None if it has no such thread, and False if the call did not come so often."""
    child = server.start("short", folder, held_thread=thread)
    line = child.read_until("thread")
    if line is None:
        assert child.wait() == 0
        return None
    command = ["strace", "-p", line[1], "-o", str(trace), "-e", f"trace={call}"]
    tracer = subprocess.Popen(
        [*command, "-e", f"inject={call}:{FAULTS[fault].format(nth)}"], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    with tracer.stderr:
        attached = tracer.stderr.readline()
        assert "attached" in attached, attached
        child.go_on()
        status = child.wait()
        tracer.wait()
    killed = status == -9
    assert status == 0 or (killed and fault == "is the last"), (status, child.lines[-1:])
    return child, killed or "INJECTED" in trace.read_text()


@pytest.fixture(scope="module")
def killed_before(
    server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[list[str]]]:
    """A folder whose process was killed in full flight, for the next one to recover; and what it told."""
    folder = tmp_path_factory.mktemp("killed") / "data"
    child = server.start("endless", folder)
    for _ in range(20):
        child.read_until("entry")
    subprocess.run(["kill", "-KILL", str(child.pid)], check=True)
    assert child.wait() == -9
    return folder, child.lines


def is_long(before: str, call: str, fault: str) -> bool:
    """A log that is there already goes the same ways as a new one but at its opening; what fails from then on
    fails once first; the most frequent call takes as long as all others.
    """
    if call == "pwrite64":
        return (before, fault) != ("nothing", "is the last")
    return call not in ("openat", "fsync") and (before == "killed" or fault == "fails from then on")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("before", "call", "fault"),
    [
        pytest.param(before, call, fault, marks=pytest.mark.long if is_long(before, call, fault) else ())
        for call in SYSTEM_CALLS
        for fault in FAULTS
        for before in ("nothing", "killed")
        if (call in FULL_DISK_CALLS or fault != "is full once")
        and (before == "nothing" or fault in ("fails from then on", "is the last"))
    ],
)
def test_nothing_is_lost_or_half_there_whichever_call_fails_or_is_the_last(
    server: ForkServer,
    killed_before: tuple[Path, list[list[str]]],
    tmp_path: Path,
    before: str,
    call: str,
    fault: str,
) -> None:
    faults = 0
    for thread in range(1, MAX_THREADS):
        for nth in range(1, MAX_CALLS):
            folder = tmp_path / f"{thread}-{nth}"
            lines: list[list[str]] = []
            if before == "killed":
                shutil.copytree(killed_before[0], folder)
                lines += killed_before[1]
            ran = run_with_fault(
                server, folder, thread=thread, call=call, fault=fault, nth=nth, trace=tmp_path / "trace"
            )
            if ran is None:
                break
            child, injected = ran
            refused = refusals(child.lines)
            if fault != "is the last" and not refused:
                assert ["closed"] in child.lines
            asyncio.run(check_whole(folder, Told(), lines + child.lines))
            shutil.rmtree(folder)
            if not injected:
                break
            faults += 1
        else:
            pytest.fail(f"{call} never came to an end")
        if ran is None:
            break
    else:
        pytest.fail("there is no end of threads")
    assert faults or before == "killed"  # keys are there already, so nothing is linked


KILLS = 1000
MAX_DELAY_S = 0.080  # from the fork, at each fourth kill from when the log is open and some entries are told
MAX_ENTRIES = 12  # so many make the log grow however slow the machine is
KILLS_BETWEEN_CHECKS = 200


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kills", [KILLS // 5, pytest.param(KILLS, marks=pytest.mark.long)])
def test_kills_at_random_moments_lose_nothing(server: ForkServer, tmp_path: Path, kills: int) -> None:
    folder = tmp_path / "data"
    chosen = random.Random(20261124)
    told = Told()
    everything: list[list[str]] = []
    lines: list[list[str]] = []
    for kill in range(1, kills + 1):
        child = server.start("endless", folder)
        if kill % 4 == 0:
            child.read_until("opened")
            for _ in range(chosen.randint(0, MAX_ENTRIES)):
                child.read_until("entry")
        threading.Timer(chosen.uniform(0, MAX_DELAY_S), os.kill, (child.pid, signal.SIGKILL)).start()
        assert child.wait() == -signal.SIGKILL
        lines += child.lines
        if kill % KILLS_BETWEEN_CHECKS == 0:
            for _ in audit(folder):  # of a dead process, whose log nobody has recovered
                pass
            told.entries.clear()  # looked at; all of them are looked at again in the end
            told.blobs.clear()
            asyncio.run(check_whole(folder, told, lines))
            everything += lines
            lines = []
    last = Told()
    asyncio.run(check_whole(folder, last, everything))
    assert len(last.entries) > kills


DISK_SIZE_BYTES = 2 << 20
BALLAST_SIZE_BYTES = 512 << 10  # what an operator finds to delete


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE_BYTES}", "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


async def fill_up(log: LogStore, blobs: BlobStore, told: Told, case_id: str) -> list[Exception]:
    """Write blobs and entries until nothing fits any more; what was refused on the way."""
    refused: list[Exception] = []
    number = len(await log.entries(case_id))
    while len(refused) < 20:
        for blob in (True, False):
            sha256 = None
            try:
                if blob and number:
                    # After a refusal another one: the same would be there already, and want no room.
                    sha256 = await blobs.put(case_id, blob_of(case_id, number + 1 + 10_000 * len(refused)))
                    told.blobs.append((case_id, sha256))
                (entry,) = await log.append([draft(case_id, number + 1, sha256)], expect_number=number)
            except (FailedAppend, OSError) as error:
                refused.append(error)
                continue
            number += 1
            told.entries.append((case_id, number, entry.hash, sha256 or "-"))
    return refused


async def test_on_a_full_disk_nothing_is_lost_and_with_room_it_goes_on(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(BALLAST_SIZE_BYTES))
    folder = small_disk / "data"
    told = Told()
    async with opened(folder) as (log, blobs, _):
        refused = await fill_up(log, blobs, told, "c_full")
        for error in refused:
            assert "full" in str(error) or getattr(error, "errno", None) == errno.ENOSPC, error
        assert {FailedAppend, OSError} <= {type(error) for error in refused}
        full = len(told.entries)
        assert len(await log.entries("c_full")) == full > 10
        for _ in audit(folder):
            pass
        ballast.unlink()
        await go_on(log)
        assert not log.failed
    await check_whole(folder, told, [])
