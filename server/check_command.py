"""`proofcall check [DATA_DIR]`: recompute all that a data folder holds, beside a running service or without.

The store's `audit` reads entries, tree hashes, checkpoints, commitments and blobs, `attestation_audit` what
authorities and witnesses said. What the service alone knows is looked at here: a segment of the journal is a
dump of as many packets as its entry says. Exit status 0: whole. 1: something is not what was written; the
first such thing is named. 2: the folder cannot be checked.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from media.errors import MalformedDump
from media.rtpdump import parse_dump
from server.data_dir_argument import add_data_dir, parse
from server.evidence.entry import parse_body
from server.settings import read_roots
from server.store.attestation_audit import check_attestations
from server.store.audit import Progress, audit
from server.store.errors import CorruptAttestations, CorruptBlob, CorruptLog, StoreError
from server.store.walk import Leaf

EXIT_WHOLE = 0
EXIT_DAMAGED = 1
EXIT_UNREADABLE = 2  # also what argparse exits with

REDRAW_S = 0.1  # between two looks of the line of progress: what an eye follows
ROOTS = "PROOFCALL_TIMESTAMP_ROOTS"  # by which tokens are checked, if it is set


def run(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Check as the arguments say, tell how far it is, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="proofcall check", description="Recompute all that a data folder holds, from the bytes."
    )
    add_data_dir(parser, environment)
    arguments = parse(parser, argv)
    if isinstance(arguments, int):
        return arguments
    shown = Shown(sys.stdout)
    try:
        roots = read_roots(environment.get(ROOTS, "").strip())
        for progress in audit(arguments.data_dir, inspect={"segment_sealed": check_segment}):
            shown.handle(progress)
        if attestations := check_attestations(arguments.data_dir, roots):
            how = "" if roots else f", time-stamps not opened: {ROOTS} is not set"
            sys.stdout.write(f"attestations: {attestations} of checkpoints of this log{how}\n")
    except (CorruptLog, CorruptBlob, CorruptAttestations) as error:
        shown.end_line()
        sys.stdout.write(f"NOT WHOLE. The first thing that is wrong: {error}\n")
        return EXIT_DAMAGED
    except (StoreError, OSError, ValueError) as error:
        shown.end_line()
        sys.stderr.write(f"proofcall check: {error}\n")
        return EXIT_UNREADABLE
    shown.end_line()
    sys.stdout.write(f"WHOLE. All that {arguments.data_dir} holds is what was written and signed.\n")
    return EXIT_WHOLE


def check_segment(leaf: Leaf, data: bytes) -> None:
    """Raise CorruptBlob unless a segment of the journal is a dump with as many packets as its entry says."""
    try:
        found = sum(not record.is_rtcp for record in parse_dump(data).records)
    except MalformedDump as error:
        raise CorruptBlob(f"the segment of {leaf.where} is no dump of packets: {error}") from None
    packets = parse_body(leaf.body_bytes).get("packets")
    if found != packets:
        raise CorruptBlob(f"the segment of {leaf.where} holds {found} packets, but the entry says {packets}")


class Shown:
    """The progress on a terminal: one line, drawn over and over. Elsewhere: one line when a stage ends."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._terminal = output.isatty()
        self._drawn_at = 0.0
        self._line_open = False

    def handle(self, progress: Progress) -> None:
        """Show how far it is."""
        ended = progress.done == progress.total
        if self._terminal and (ended or time.monotonic() - self._drawn_at >= REDRAW_S):
            self._output.write(f"\r\x1b[K{_line(progress)}")  # CSI K (ECMA-48): erase to the end of the line
            self._output.flush()
            self._drawn_at, self._line_open = time.monotonic(), True
        if ended and progress.total and not self._terminal:
            self._output.write(f"{_line(progress)}\n")
        if ended:
            self.end_line()

    def end_line(self) -> None:
        """What is written next begins on a line of its own."""
        if self._line_open:
            self._output.write("\n")
            self._line_open = False


def _line(progress: Progress) -> str:
    if progress.stage != "entries":
        return f"{progress.stage}: {'checked' if progress.done else '...'}"
    percent = 100 * progress.done // progress.total if progress.total else 100
    size = progress.blob_bytes / 1e6
    return (
        f"entries: {progress.done} of {progress.total} ({percent} %), blobs: {progress.blobs} ({size:.1f} MB)"
    )
