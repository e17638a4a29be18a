"""`python -m tests.bench [cpu] [memory] [join] [frame] [log]`: measure, print one table.

The exit status says whether everything could be measured, not whether every reach held: that depends on the
machine, and the table tells.
"""

import argparse
import asyncio
import gc
import platform
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench import janus_peer, namespace
from tests.bench.bot import Crowd
from tests.bench.measure_cpu import measure_cpu
from tests.bench.measure_frame import measure_frame
from tests.bench.measure_join import measure_join
from tests.bench.measure_log import measure_log
from tests.bench.measure_memory import measure_memory
from tests.bench.media_source import encode_media_source
from tests.bench.processes import scratch_directory
from tests.bench.table import Row, render
from tests.bench.workshop import Workshop

PARTS: dict[str, Callable[[Workshop], Awaitable[list[Row]]]] = {
    "cpu": measure_cpu,
    "memory": measure_memory,
    "join": measure_join,
    "frame": measure_frame,
    "log": measure_log,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Proofcall.")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument(namespace.INSIDE, dest="inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    no_namespace = None
    if arguments.inside:
        namespace.set_up()
    elif {"cpu", "memory", "join"} & set(parts):
        no_namespace = namespace.enter(parts)
    return asyncio.run(_measure(parts, in_namespace=arguments.inside, no_namespace=no_namespace))


async def _measure(parts: list[str], *, in_namespace: bool, no_namespace: str | None) -> int:
    started = time.monotonic()
    media = encode_media_source()
    gc.freeze()  # what is here stays; the collector need not look at it while bots send
    crowd = Crowd(address=namespace.ADDRESS if in_namespace else "127.0.0.1", media=media)
    rows: list[Row] = []
    failed = False
    with scratch_directory() as directory:
        workshop = Workshop(
            crowd=crowd,
            directory=Path(directory),
            no_janus=no_namespace or janus_peer.missing(),
            no_media_relay=no_namespace,
        )
        for part in parts:
            print(f"measuring: {part}", file=sys.stderr, flush=True)
            try:
                rows += await PARTS[part](workshop)
            except Exception as error:
                failed = True
                traceback.print_exc()
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                rows.append(Row(part=part, what="–", reach="", measured=f"failed: {reason}"))
    crowd.close()
    print(f"\n{_machine(media.video_bitrate_bps)}, {time.monotonic() - started:.0f} s in all\n")
    print(render(rows))
    return 1 if failed else 0


def _machine(video_bitrate_bps: int) -> str:
    cores = len(list(Path("/sys/devices/system/cpu").glob("cpu[0-9]*")))
    return (
        f"{cores} cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"a bot's picture has {video_bitrate_bps / 1e6:.2f} Mbit/s"
    )


if __name__ == "__main__":
    sys.exit(main())
