"""A network namespace of the benchmark's own.

libnice and aioice leave loopback out, so Janus and aiortc need an address that looks like a network. Inside
a fresh namespace one end of a veth pair gets it; whatever is sent to it stays inside. The namespace is held
by the processes in it alone and is gone with the last of them. Without root a user namespace is tried.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

INSIDE = "--inside-namespace"  # how the benchmark tells itself that it has been restarted
ADDRESS = "10.99.0.1"
SET_UP = (
    "ip link set lo up",
    "ip link add bench0 type veth peer name bench1",
    f"ip addr add {ADDRESS}/24 dev bench0",
    "ip link set bench0 up",
    "ip link set bench1 up",
)


def enter(arguments: Sequence[str]) -> str:
    """Restart this program in a namespace; returns only if that cannot be, with the reason."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "`unshare` or `ip` is not installed"
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    trial = subprocess.run([*unshare, "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    if trial.returncode != 0:
        return f"no network namespace may be made here ({trial.stderr.strip()})"
    sys.stdout.flush()
    os.execvp(unshare[0], [*unshare, sys.executable, "-m", "tests.bench", INSIDE, *arguments])
    return "the program could not be restarted"


def set_up() -> None:
    for command in SET_UP:
        subprocess.run(command.split(), check=True)
