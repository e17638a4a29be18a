"""`proofcall retain [DATA_DIR]`: what the rules of retention would erase now, beside a running service.

A dry run, of the rules of PROOFCALL_RETENTION or `--rules`: one line a case, and nothing is changed. Exit
status 0, or 2 if the folder or the rules cannot be read.
"""

import argparse
import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from server.data_dir_argument import add_data_dir, parse
from server.retention_rules import QUIET, WANTED, Due, Rules, due_of, may_be_due, parse_rules, trusted_now
from server.store.aging import aged_cases, newest_at
from server.store.errors import IllegalOpen, StoreError
from server.store.schema import DAMAGE, SCHEMA_VERSION, connect_reader, schema_version

EXIT_LISTED = 0
EXIT_UNREADABLE = 2  # also what argparse exits with
CASES_A_PAGE = 500
RULES = "PROOFCALL_RETENTION"


def run(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """List what is over, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="proofcall retain", description="List what the rules of retention would erase now: a dry run."
    )
    add_data_dir(parser, environment)
    parser.add_argument("--rules", default=environment.get(RULES, ""), help=f"in place of those of {RULES}")
    parser.add_argument("--dry-run", action="store_true", help="what it does anyway: the service erases")
    arguments = parse(parser, argv)
    if isinstance(arguments, int):
        return arguments
    try:
        rules = parse_rules(arguments.rules)
        if not rules:
            raise ValueError(f"there are no rules: set {RULES}, or give --rules recordings=90d,all=3y")
        count = held = 0
        for due in find_due(arguments.data_dir, rules, datetime.now(UTC)):
            count, held = count + 1, held + due.case.is_held
            sys.stdout.write(f"{_line(due)}\n")
    except (ValueError, StoreError, OSError) as error:
        sys.stderr.write(f"proofcall retain: {error}\n")
        return EXIT_UNREADABLE
    sys.stdout.write(f"{count - held} cases would lose something, {held} are held. Nothing was changed.\n")
    return EXIT_LISTED


def find_due(data_dir: Path, rules: Rules, now_at: datetime) -> Iterator[Due]:
    """What of the cases of a folder is over, the oldest first. Raises IllegalOpen, CorruptLog."""
    path = data_dir / "log.sqlite"
    if not path.exists():
        raise IllegalOpen(f"there is no log in {data_dir}")
    try:
        with contextlib.closing(connect_reader(path)) as connection:
            if (version := schema_version(connection)) != SCHEMA_VERSION:
                raise IllegalOpen(f"the log in {data_dir} has schema {version}: start the service first")
            yield from _find_due(connection, rules, trusted_now(now_at, newest_at(connection)))
    except DAMAGE as error:
        raise IllegalOpen(f"{path} cannot be read: {error}") from None


def _find_due(connection: sqlite3.Connection, rules: Rules, now_at: datetime) -> Iterator[Due]:
    after_leaf = -1
    while page := aged_cases(
        connection, after_leaf=after_leaf, limit=CASES_A_PAGE, quiet=QUIET, wanted=WANTED
    ):
        for case in page:
            if (due := due_of(rules, case, now_at)) is not None:
                yield due
        if not may_be_due(rules, page[-1].opened_at, now_at):
            return
        after_leaf = page[-1].first_leaf


def _line(due: Due) -> str:
    case = due.case
    opened, last = f"opened {case.opened_at:%Y-%m-%d}", f"last {case.last_at:%Y-%m-%d}"
    return "   ".join([case.case_id, opened, last, due.what, *(["(held)"] if case.is_held else [])])
