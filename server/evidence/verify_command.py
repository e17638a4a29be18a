"""`proofcall verify FILE`: the numbered steps of `verify`, for people (or, with --json, for programs).

The file is a package, or a voucher, JSON or PDF: its content tells which.

The one driver of this package: it reads the file that a person names and writes to the terminal. Exit
status 0: the package holds. 1: it does not. 2: a file cannot be read, or the command was misspelt. 3: nothing
is wrong, but not all that the verdict rests on could be checked: a library is missing.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path

from server.evidence.container import File
from server.evidence.credentials import CredentialsReader
from server.evidence.errors import MalformedKey, MalformedTrust
from server.evidence.frames import Redecoder
from server.evidence.report import (
    FRAMES_STEP,
    LAST_INNER_STEP,
    CannotBeMade,
    Finding,
    Outcome,
    Report,
    Step,
)
from server.evidence.timestamp import parse_roots
from server.evidence.trust import Trust, parse_trust
from server.evidence.verify import read_other, verify_package
from server.evidence.verify_voucher import verify_voucher
from server.evidence.voucher import is_voucher

EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_UNREADABLE = 2  # also what argparse exits with
EXIT_UNDECIDED = 3

WIDTH = 100  # columns of the printed report
MAX_SHOWN = 10  # findings of one step on the terminal; --json has them all

_SUBJECTS = {"package": "Evidence package", "voucher": "Voucher"}
_WORDS = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.CANNOT_BE_MADE: "cannot be made"}


def run(
    argv: Sequence[str],
    redecoder: Redecoder | None = None,
    credentials: CredentialsReader | None = None,
    *,
    program: str = "proofcall verify",
) -> int:
    """Verify as the arguments say, print the report, return the exit status."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Check an evidence package or a voucher, step by step, without a network.",
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the package, a .zip file, or the voucher, .json or .pdf"
    )
    parser.add_argument(
        "--key", metavar="VKEY", help="the log's verifier key, from another source than this file"
    )
    parser.add_argument(
        "--trust",
        type=Path,
        metavar="FILE",
        help="whom you trust, as JSON: keys of the log, roots of time-stamping authorities and of who "
        "signs pictures, witnesses",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="a checkpoint, another package or a voucher of the same log, from somebody else: is it one "
        "history?",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as request:  # --help, or a misspelt command; argparse has said what is wrong
        return int(request.code or 0)
    try:
        file = read_file(arguments.file)
        against = None if arguments.against is None else read_file(arguments.against)
        trust = None if arguments.trust is None else _read_trust(arguments.trust)
    except OSError as error:
        sys.stderr.write(f"{program}: {error.filename}: {error.strerror}\n")
        return EXIT_UNREADABLE
    except MalformedTrust as error:
        sys.stderr.write(f"{program}: --trust: {error}\n")
        return EXIT_UNREADABLE
    try:
        report = (
            verify_voucher(
                file,
                vkey=arguments.key,
                trust=trust,
                read_other=None if against is None else partial(read_other, against),
            )
            if is_voucher(file)
            else verify_package(
                file,
                vkey=arguments.key,
                trust=trust,
                redecoder=redecoder,
                credentials=credentials,
                against=against,
            )
        )
    except MalformedKey as error:
        sys.stderr.write(f"{program}: --key: {error}\n")
        return EXIT_UNREADABLE
    sys.stdout.write(as_json(report) if arguments.json else as_text(report))
    if report.undecided:
        return EXIT_UNDECIDED
    return EXIT_PASSED if report.passed else EXIT_FAILED


def _read_trust(path: Path) -> Trust:
    """Raises OSError, and MalformedTrust, also for a root that is no certificate."""
    trust = parse_trust(path.read_bytes())
    for name, roots in (("roots", trust.roots), ("picture_roots", trust.picture_roots)):
        try:
            for root in roots:
                parse_roots(root)
        except MalformedKey as error:
            raise MalformedTrust(f"{name}: {error}") from None
        except CannotBeMade:
            return trust  # no library for certificates: no token will be checked, and its step says so
    return trust


def read_file(path: Path) -> File:
    """The bytes of a file, which stay where they are: a package with journals is larger than memory.

    Raises OSError. A file that somebody cuts off meanwhile ends this process (SIGBUS), and passes nothing.
    """
    with path.open("rb") as file:
        try:
            return mmap(file.fileno(), 0, access=ACCESS_READ)
        except (ValueError, OSError):  # empty, or a pipe
            return file.read()


def as_json(report: Report) -> str:
    """The report for programs."""
    document = {
        "subject": report.subject,
        "passed": report.passed,
        "undecided": report.undecided,
        "case_id": report.case_id,
        "entries": report.entries,
        "tree_size": report.tree_size,
        "vkey": report.vkey,
        "unshown_pictures": list(report.unshown_pictures),
        "says": list(report.says),
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "outcome": step.outcome.value,
                "message": step.message,
                "findings": _as_objects(step.findings),
                "unmade": _as_objects(step.unmade),
            }
            for step in report.steps
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _as_objects(findings: Sequence[Finding]) -> list[dict[str, str | int | None]]:
    return [
        {"message": finding.message, "member": finding.member, "entry": finding.entry} for finding in findings
    ]


def as_text(report: Report) -> str:
    """The report for people: what it is about, the steps, the verdict."""
    lines = [
        f"{_SUBJECTS[report.subject]} of case {_printable(report.case_id or '(unknown)')}: "
        f"{report.entries} entries",
        f"Key of the log: {report.vkey or '(unreadable)'}",
        "",
    ]
    for step in report.steps:
        lines += _step_lines(step)
    if report.says:
        lines.append("")
    for fact in report.says:
        lines += textwrap.wrap(_printable(fact), WIDTH)
    return "\n".join([*lines, "", *_verdict(report), ""])


def _step_lines(step: Step) -> list[str]:
    title = f"{step.number:>3}  {step.name:<20}{_WORDS[step.outcome]:<16}"
    sentences = [finding.message for finding in step.findings[:MAX_SHOWN]] or [step.message]
    if len(step.findings) > MAX_SHOWN:
        sentences.append(f"and {len(step.findings) - MAX_SHOWN} more")
    sentences += [finding.message for finding in step.unmade[:MAX_SHOWN]]
    if len(step.unmade) > MAX_SHOWN:
        sentences.append(f"and {len(step.unmade) - MAX_SHOWN} more that cannot be made")
    margin = " " * len(title)
    lines = [
        line
        for sentence in sentences
        for line in textwrap.wrap(_printable(sentence), WIDTH - len(title)) or [""]
    ]
    return [(title if index == 0 else margin) + line for index, line in enumerate(lines)]


def _printable(text: str) -> str:
    """The file is a stranger's: none of its characters may command the terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _verdict(report: Report) -> list[str]:
    subject = report.subject
    if report.passed:
        unmade = [step.number for step in report.steps if step.outcome is Outcome.CANNOT_BE_MADE]
        lines = [f"THE {subject.upper()} HOLDS. Nothing in it was changed since its log was signed."]
        if report.unshown_pictures:
            pictures = ", ".join(map(str, report.unshown_pictures))
            lines += textwrap.wrap(
                f"PICTURES NOT SHOWN to come from the stream that was received (step {FRAMES_STEP}): entry "
                f"{pictures}.",
                WIDTH,
            )
        return [*lines, f"What a {subject} alone cannot show stands in steps {', '.join(map(str, unmade))}."]
    if report.undecided:
        unmade = [
            step.number
            for step in report.steps
            if step.outcome is Outcome.CANNOT_BE_MADE and step.number <= LAST_INNER_STEP
        ]
        steps = ", ".join(map(str, unmade))
        return [
            f"UNDECIDED. Nothing is wrong with the {subject}, but not all was checked: see step {steps}.",
        ]
    failed = [step for step in report.steps if step.outcome is Outcome.FAILED]
    findings = [finding for step in failed for finding in step.findings]
    entries = sorted({finding.entry for finding in findings if finding.entry is not None})
    steps = (
        ", ".join(str(step.number) for step in failed)
        or f"not all of the first {LAST_INNER_STEP} were completed"
    )
    where = "entry " + ", ".join(map(str, entries)) if entries else _outside_entries(findings)
    return [f"THE {subject.upper()} DOES NOT HOLD. Failed steps: {steps}. Concerned: {where}."]


def _outside_entries(findings: Sequence[Finding]) -> str:
    members = sorted({finding.member for finding in findings if finding.member is not None})
    return ", ".join(members) if members else "the file as a whole"
