"""The table: rows of what was asked for and what came out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["held", "missed", "–"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. `noise` is the range over the repetitions, `peers` what the others did in the same run."""

    part: str
    what: str
    reach: str
    measured: str
    noise: str = ""
    peers: str = ""
    verdict: Verdict = "–"


HEADINGS = ("part", "what", "reach", "measured", "min–max", "beside it", "")


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `percent` % do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def span(values: Sequence[float], digits: int = 0) -> str:
    """The range of repetitions, as the machine's noise."""
    return f"{min(values):,.{digits}f}–{max(values):,.{digits}f}"


def judge(held: bool) -> Verdict:
    return "held" if held else "missed"


def render(rows: Sequence[Row]) -> str:
    """A Markdown table whose columns line up in a terminal, too."""
    lines = [HEADINGS] + [
        (row.part, row.what, row.reach, row.measured, row.noise, row.peers, row.verdict) for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
