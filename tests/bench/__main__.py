"""`python -m tests.bench [part …]`, of the parts below, or all: measure, print one table.

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

from tests.bench import janus_peer, measure_join, measure_loss, measure_rate, namespace
from tests.bench.bot import Crowd
from tests.bench.measure_cpu import measure_cpu
from tests.bench.measure_credentials import measure_credentials
from tests.bench.measure_frame import measure_frame
from tests.bench.measure_journal import measure_journal
from tests.bench.measure_log import measure_log
from tests.bench.measure_memory import measure_memory
from tests.bench.measure_offline import measure_offline
from tests.bench.measure_opening import measure_opening
from tests.bench.measure_package import measure_package
from tests.bench.measure_playback import measure_playback
from tests.bench.measure_roam import measure_roam
from tests.bench.measure_talk import measure_search, measure_talk
from tests.bench.measure_timestamps import measure_timestamps
from tests.bench.media_source import encode_media_source
from tests.bench.processes import scratch_directory
from tests.bench.table import Row, render
from tests.bench.workshop import Workshop

PARTS: dict[str, Callable[[Workshop], Awaitable[list[Row]]]] = {
    "cpu": measure_cpu,
    "memory": measure_memory,
    "join": measure_join.measure_join,
    "loss": measure_loss.measure_loss,
    "rate": measure_rate.measure_rate,
    "roam": measure_roam,
    "frame": measure_frame,
    "credentials": measure_credentials,
    "timestamps": measure_timestamps,
    "log": measure_log,
    "package": measure_package,
    "journal": measure_journal,
    "playback": measure_playback,
    "talk": measure_talk,
    "search": measure_search,
    "offline": measure_offline,
    "opening": measure_opening,
}
ROWS = (*measure_join.ROWS, *measure_loss.ROWS, *measure_rate.ROWS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Proofcall.")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument(namespace.INSIDE, dest="inside", action="store_true", help=argparse.SUPPRESS)
    tuning = parser.add_argument_group("while something is being tuned")
    tuning.add_argument(
        "--rows", default="", help=f"of join, loss or rate, comma-separated: {', '.join(ROWS)}"
    )
    tuning.add_argument("--window", type=float, help="seconds that a row of loss or rate is watched")
    tuning.add_argument("--rounds", type=int, help="how often a row of join is repeated")
    tuning.add_argument("--no-janus", action="store_true", help="measure without it")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows = frozenset(arguments.rows.split(",")) - {""}
    if unknown := set(rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    no_namespace = None
    if arguments.inside:
        namespace.set_up()
    elif {"cpu", "memory", "join", "loss", "rate", "roam", "journal"} & set(parts):
        no_namespace = namespace.enter(sys.argv[1:])
    no_janus = "not asked for" if arguments.no_janus else no_namespace or janus_peer.missing()
    return asyncio.run(
        _measure(
            parts,
            address=namespace.ADDRESS if arguments.inside else "127.0.0.1",
            no_janus=no_janus,
            no_media_relay=no_namespace,
            rows=rows,
            window_s=arguments.window,
            rounds=arguments.rounds,
        )
    )


async def _measure(
    parts: list[str],
    *,
    address: str,
    no_janus: str | None,
    no_media_relay: str | None,
    rows: frozenset[str],
    window_s: float | None,
    rounds: int | None,
) -> int:
    started = time.monotonic()
    media = encode_media_source()
    gc.freeze()  # what is here stays; the collector need not look at it while bots send
    crowd = Crowd(address=address, media=media)
    table: list[Row] = []
    failed = False
    with scratch_directory() as directory:
        workshop = Workshop(
            crowd=crowd,
            directory=Path(directory),
            no_janus=no_janus,
            no_media_relay=no_media_relay,
            rows=rows,
            window_s=window_s,
            rounds=rounds,
        )
        for part in parts:
            print(f"measuring: {part}", file=sys.stderr, flush=True)
            try:
                table += await PARTS[part](workshop)
            except Exception as error:
                failed = True
                traceback.print_exc()
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                table.append(Row(part=part, what="–", reach="", measured=f"failed: {reason}"))
    crowd.close()
    print(f"\n{_machine(media.video_bitrate_bps)}, {time.monotonic() - started:.0f} s in all\n")
    print(render(table))
    return 1 if failed else 0


def _machine(video_bitrate_bps: int) -> str:
    cores = len(list(Path("/sys/devices/system/cpu").glob("cpu[0-9]*")))
    return (
        f"{cores} cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"a bot's picture has {video_bitrate_bps / 1e6:.2f} Mbit/s"
    )


if __name__ == "__main__":
    sys.exit(main())
