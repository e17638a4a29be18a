"""Processes that use the store and may die at any moment, forked from one that has imported everything.

A thousand starts of Python would take minutes; a thousand forks take seconds. The server forks one child for
each request and says how it ended:

    test ──(scenario, folder, socket)──▶ server ──fork──▶ child ──reports, a line each──▶ test

Reports go through a socket by `sendto`, which no test makes fail: what a test has read was acknowledged.
A child can be told to hold one of its threads (0 is the main one) until the test has attached a tracer to it.
"""

import asyncio
import base64
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.server.store import crash_scenarios
from tests.server.store.crash_scenarios import Report

REPOSITORY = Path(__file__).parents[3]
PATIENCE_S = 10.0  # a child that says nothing for so long hangs; with a tracer a step takes milliseconds
NO_THREAD = -1
SCENARIOS: dict[str, Callable[[Path, Report], Coroutine[Any, Any, None]]] = {
    "short": crash_scenarios.short,
    "endless": crash_scenarios.endless,
}


@dataclass(slots=True, kw_only=True)
class Child:
    """A process of a scenario, seen from the test."""

    pid: int
    ended: bool = False
    _reports: socket.socket
    _control: socket.socket
    _rest: bytes = b""
    lines: list[list[str]] = field(default_factory=list)

    def read_until(self, word: str | None) -> list[str] | None:
        """The next report that begins with `word`, or None once the child has ended; `lines` keeps all."""
        while True:
            line, found, rest = self._rest.partition(b"\n")
            if found:
                self._rest = rest
                self.lines.append(line.decode().split(" "))
                if self.lines[-1][0] == word:
                    return self.lines[-1]
                continue
            more = self._reports.recv(65536)
            if not more:
                return None
            self._rest += more

    def go_on(self) -> None:
        """Let go of what the child holds."""
        self._reports.sendall(b"g")

    def wait(self) -> int:
        """Read to the end; the exit status, negative for a signal."""
        self.read_until(None)
        self._reports.close()
        self.ended = True
        return os.waitstatus_to_exitcode(int(self._control.recv(64)))


class ForkServer:
    """The server, seen from the test. One child at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._last: Child | None = None

    def start(self, scenario: str, folder: Path, *, held_thread: int = NO_THREAD) -> Child:
        """Fork a child. Its thread of the number `held_thread` says `thread <tid>` and waits for `go_on`."""
        self.end_last()
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        request = json.dumps({"scenario": scenario, "folder": str(folder), "held_thread": held_thread})
        with theirs:
            socket.send_fds(self._control, [request.encode()], [theirs.fileno()])
        self._last = Child(pid=int(self._control.recv(64)), _reports=ours, _control=self._control)
        return self._last

    def end_last(self) -> None:
        """Kill the child that a failing test has left behind."""
        if self._last is not None and not self._last.ended:
            os.kill(self._last.pid, signal.SIGKILL)
            self._last.wait()


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """A server for the time of a test."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE_S)
    command = [sys.executable, "-m", "tests.server.store.fork_server", str(theirs.fileno())]
    with ours:
        process = subprocess.Popen(command, cwd=REPOSITORY, pass_fds=[theirs.fileno()])
        try:
            theirs.close()
            assert ours.recv(64) == b"ready"
            server = ForkServer(ours)
            yield server
            server.end_last()
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            process.wait()


def serve(control: socket.socket) -> None:
    """The server itself."""
    control.send(b"ready")
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        if not request:
            return
        (descriptor,) = descriptors
        pid = os.fork()
        if not pid:
            control.close()
            run_child(socket.socket(fileno=descriptor), **json.loads(request))
        os.close(descriptor)
        control.send(b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        control.send(b"%d" % status)


def run_child(reports: socket.socket, *, scenario: str, folder: str, held_thread: int) -> None:
    """The child: it never returns."""
    try:
        if held_thread != NO_THREAD:
            _hold(reports, held_thread)
        asyncio.run(SCENARIOS[scenario](Path(folder), lambda *words: _say(reports, words)))
    except BaseException as error:
        _say(reports, ("failed", base64.b64encode(repr(error).encode()).decode()))
        os._exit(1)
    os._exit(0)


def _say(reports: socket.socket, words: tuple[object, ...]) -> None:
    reports.sendall((" ".join(map(str, words)) + "\n").encode())


def _hold(reports: socket.socket, wanted: int) -> None:
    """Let the thread of this number wait before it does anything."""
    numbers = itertools.count()
    run = threading.Thread.run

    def wait() -> None:
        if next(numbers) == wanted:
            _say(reports, ("thread", threading.get_native_id()))
            reports.recv(1)

    def held_run(thread: threading.Thread) -> None:
        wait()
        run(thread)

    threading.Thread.run = held_run  # type: ignore[method-assign, assignment]
    wait()


if __name__ == "__main__":
    asyncio.run(crash_scenarios.warm_up())
    serve(socket.socket(fileno=int(sys.argv[1])))
