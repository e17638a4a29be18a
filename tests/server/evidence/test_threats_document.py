"""The threat table is tested: every proof that it names is there, and everybody who could forge is in it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
THREATS = (ROOT / "server/evidence/THREATS.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_[a-z0-9_]+)`", THREATS)))
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
}
FORGERS = {
    "## The operator",
    "## A courier",
    "## A customer",
    "## Quality check and dispatch",
    "## A thief of the disk",
    "## A thief of the log key",
    "## A liar in front of the camera",
}


@pytest.mark.parametrize("name", NAMED)
def test_a_proof_that_the_table_names_is_there(name: str) -> None:
    assert name in TESTS


def test_everybody_who_could_forge_has_a_table_that_says_what_does_not_show_it() -> None:
    sections = dict(re.findall(r"^(## .+)\n((?:(?!## ).*\n)*)", THREATS, re.MULTILINE))
    assert sections.keys() >= FORGERS
    for name in FORGERS:
        rows = [row.strip("|\n").split(" | ") for row in sections[name].splitlines() if row.startswith("| ")]
        assert len(rows) > 2 and all(len(row) == 3 for row in rows), name
        assert any("`test_" in row[1] for row in rows), name


def test_the_readme_leads_to_the_table() -> None:
    assert "(server/evidence/THREATS.md)" in (ROOT / "README.md").read_text()
