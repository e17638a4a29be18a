"""A case of two gigabytes as a package: how fast it leaves and is verified, and what memory that takes."""

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bot import BotFailed
from tests.bench.package_work import BLOB_BYTES, BLOBS, LARGE_BYTES
from tests.bench.table import Row, judge, span
from tests.bench.workshop import Workshop

TURNS = 3
REACH_EXPORT_MB_S = 50.0  # a package of 2 GB within 40 s, faster than an office's line takes it
REACH_VERIFY_S = 20.0
REACH_GROWTH_BYTES = 128 << 20  # of memory, beside that of the modules: 2 GB are not held


@dataclass(frozen=True, slots=True)
class _Told:
    seconds: float
    size_bytes: int
    before_bytes: int
    peak_bytes: int

    @property
    def growth_mib(self) -> float:
        return (self.peak_bytes - self.before_bytes) / (1 << 20)


async def measure_package(workshop: Workshop) -> list[Row]:
    folder = workshop.folder("package")
    try:
        await _work("make", folder)
        exports = [await _work("export", folder) for _ in range(TURNS)]
        checks = [await _work("verify", folder) for _ in range(TURNS)]
    finally:
        shutil.rmtree(folder)
    gigabytes = exports[0].size_bytes / 1e9
    if gigabytes * 1e9 < BLOBS * BLOB_BYTES + LARGE_BYTES:
        raise BotFailed("the benchmark's own package does not hold its files")
    rates = [told.size_bytes / 1e6 / told.seconds for told in exports]
    seconds = [told.seconds for told in checks]
    of = f"of {gigabytes:.1f} GB"
    fast, soon = min(rates) >= REACH_EXPORT_MB_S, max(seconds) <= REACH_VERIFY_S
    return [
        _row(f"package {of} exported, MB/s", f"≥ {REACH_EXPORT_MB_S:.0f}", rates, fast),
        _memory(f"memory grows while a package {of} is exported, MiB", exports),
        _row(f"package {of} verified, s", f"≤ {REACH_VERIFY_S:.0f}", seconds, soon),
        _memory(f"memory grows while a package {of} is verified, MiB", checks),
    ]


def _memory(what: str, told: list[_Told]) -> Row:
    growth = [one.growth_mib for one in told]
    held = max(growth) * (1 << 20) <= REACH_GROWTH_BYTES
    return _row(what, f"≤ {REACH_GROWTH_BYTES >> 20}", growth, held)


def _row(what: str, reach: str, values: list[float], held: bool) -> Row:
    median = sorted(values)[TURNS // 2]
    return Row(
        part="package",
        what=what,
        reach=reach,
        measured=f"{median:,.0f}",
        noise=span(values),
        verdict=judge(held),
    )


async def _work(what: str, folder: Path) -> _Told:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.package_work", what, str(folder), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await worker.communicate()
    if worker.returncode:
        raise BotFailed(f"the package could not be measured: {what} ended with {worker.returncode}")
    told = json.loads(output)
    return _Told(told["seconds"], told["bytes"], told["before_bytes"], told["peak_bytes"])
