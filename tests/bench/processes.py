"""A server as a child process, and what the operating system says about it."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT_S = 10
START_TIMEOUT_S = 20
ROOT = Path(__file__).resolve().parents[2]


class ServerFailed(Exception):
    """A server did not start, or ended before it was told to."""


class Server:
    """A child process with everything that it starts itself. Its output goes to `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    def start(
        cls, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> "Server":
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return cls(process, log)

    async def ready(self, probe: Callable[[], Awaitable[object]]) -> None:
        """Wait until the probe raises no `OSError` any more."""
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
        while True:
            if self._process.poll() is not None:
                raise ServerFailed(f"ended with status {self._process.returncode}: {self.last_words()}")
            try:
                await probe()
            except OSError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise ServerFailed(f"not ready in {START_TIMEOUT_S} s: {self.last_words()}") from error
                await asyncio.sleep(0.05)
            else:
                return

    def last_words(self) -> str:
        """The last line of its output."""
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no output")

    def cpu_s(self) -> float:
        """User and system time of the process and its children, living and dead."""
        ticks = 0
        for index, pid in enumerate(self._family()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                # proc(5): the fields after the command, which may hold spaces; utime is the 14th of all.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
                if index == 0:
                    ticks += int(fields[13]) + int(fields[14])
        return ticks / CLOCK_TICKS_PER_S

    def resident_bytes(self) -> int:
        """Resident memory of the process and its children."""
        pages = 0
        for pid in self._family():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def stop(self) -> None:
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _family(self) -> list[int]:
        family = [self._process.pid]
        for pid in family:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    family += [int(child) for child in children.read_text().split()]
        return family


def busy_s() -> float:
    """Time that all cores together did not idle since the machine started, stolen time included."""
    # proc(5): user, nice, system, idle, iowait, irq, softirq, steal
    user, nice, system, _, _, irq, softirq, steal = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / CLOCK_TICKS_PER_S


def scratch_directory() -> tempfile.TemporaryDirectory[str]:
    """A directory on a real disk, where an fsync costs what it costs."""
    return tempfile.TemporaryDirectory(prefix="proofcall-bench-", dir="/var/tmp")


def console_script(name: str) -> str:
    """A program that was installed beside this Python."""
    return str(Path(sys.executable).with_name(name))
