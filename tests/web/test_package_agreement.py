"""The page that checks packages finds what `proofcall verify` finds, in the same words, good and bad alike.

The command is given no decoder and no reader of tokens, as the page has none. Where the JSON of a stranger
cannot be read at all, each names the place in the words of its own parser, and these are left out.
"""

import json
import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Never

import pytest

from server.evidence import attested
from server.evidence.report import CannotBeMade
from server.evidence.trust import parse_trust
from server.evidence.verify import verify_package
from server.evidence.verify_command import as_json
from tests.server.evidence.test_hostile import SMALL, flipped
from tests.web.good_and_bad import SEED, Compared, Package, compared, packages

REPORTS = Path(__file__).parent / "package_reports.js"
LEAST = 200
NOT_JSON = re.compile(r"(not JSON|not JSON as entries have it): .*", re.S)


def normal(report: dict[str, Any]) -> dict[str, Any]:
    """Without the words of a parser of JSON, and without what only a voucher has."""
    text = json.dumps({name: value for name, value in report.items() if name not in ("subject", "says")})
    whole: dict[str, Any] = json.loads(text, object_hook=_cut)
    return whole


def _cut(item: dict[str, Any]) -> dict[str, Any]:
    message = item.get("message")
    return {**item, "message": NOT_JSON.sub(r"\1", message)} if isinstance(message, str) else item


def agree(tmp_path: Path, made: Sequence[Package | Compared]) -> list[bool]:
    """Asserts that the page finds what the command finds in each; gives the command's verdicts."""
    listed: list[list[str | None]] = []
    for number, (_, data, text, *others) in enumerate(made):
        (tmp_path / f"{number}.zip").write_bytes(data)
        listed.append([f"{number}.zip", text, f"{number}.other" if others else None])
        for other in others:
            (tmp_path / f"{number}.other").write_bytes(other)
    (tmp_path / "packages.json").write_text(json.dumps(listed))
    printed = subprocess.run(["node", REPORTS, tmp_path], check=True, capture_output=True)
    reports = json.loads(printed.stdout)
    verdicts = []
    for number, (name, data, text, *others) in enumerate(made):
        report = by_command(data, text, others[0] if others else None)
        assert normal(reports[f"{number}.zip"]) == normal(report), name
        verdicts.append(report["passed"])
    return verdicts


def by_command(data: bytes, text: str | None, against: bytes | None = None) -> dict[str, Any]:
    is_file = text is not None and text.startswith("{")
    trust = parse_trust(text.encode()) if text is not None and is_file else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attested, "check_timestamp", no_token_reader)
        report = verify_package(data, vkey=None if is_file else text, trust=trust, against=against)
    return dict(json.loads(as_json(report)))


def no_token_reader(_token: bytes, _note: bytes, roots: Sequence[bytes]) -> Never:
    """The page has none, and says so in its own words."""
    if not roots:
        raise CannotBeMade("no root certificate of a time-stamping authority is given")
    raise CannotBeMade("this page has no reader of time-stamp tokens: proofcall verify has one")


@pytest.mark.parametrize("share", [2, pytest.param(1, marks=pytest.mark.long)])
def test_the_page_finds_what_the_command_finds_in_two_hundred_packages(tmp_path: Path, share: int) -> None:
    made = packages(tmp_path)[::share]
    verdicts = agree(tmp_path, made)
    assert len(verdicts) >= LEAST and 40 <= verdicts.count(True) <= len(made) - 100


def test_the_page_finds_two_histories_where_the_command_finds_them(tmp_path: Path) -> None:
    verdicts = agree(tmp_path, compared())
    assert {True, False} == set(verdicts)


@pytest.mark.long
def test_the_page_finds_what_the_command_finds_wherever_a_byte_is_flipped(tmp_path: Path) -> None:
    chance = random.Random(SEED + 1)
    offsets = range(0, len(SMALL), 7)
    made = [("flipped", flipped(SMALL, offset, 1 << chance.randrange(8)), None) for offset in offsets]
    assert True not in agree(tmp_path, made)
