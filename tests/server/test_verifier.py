"""verify.pyz says what `proofcall verify` says, with nothing but Python; what it lacks, it names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from server.evidence.report import Outcome
from server.evidence.verify import verify_package
from server.evidence.verify_command import EXIT_FAILED, EXIT_PASSED, EXIT_UNDECIDED, as_json
from server.verifier import make_verifier
from tests.server.evidence.sample_case import VKEY, sample_package

# -I: neither the folder nor the user's packages; -S: no installed packages at all.
BARE = (sys.executable, "-I", "-S")
WITH_PACKAGES = (sys.executable, "-I")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "verify.pyz").write_bytes(make_verifier())
    (tmp_path / "package.zip").write_bytes(sample_package())
    return tmp_path


def run(folder: Path, python: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*python, "verify.pyz", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_with_the_library_for_signatures_it_says_what_the_command_says(folder: Path) -> None:
    done = run(folder, WITH_PACKAGES, "package.zip", "--key", VKEY, "--json")
    assert (done.returncode, done.stderr) == (EXIT_PASSED, "")
    assert done.stdout == as_json(verify_package(sample_package(), vkey=VKEY))


def test_without_any_package_it_checks_all_but_signatures_and_says_so(folder: Path) -> None:
    done = run(folder, BARE, "package.zip", "--json")
    assert (done.returncode, done.stderr) == (EXIT_UNDECIDED, "")
    report = json.loads(done.stdout)
    outcomes = {step["number"]: step["outcome"] for step in report["steps"]}
    assert outcomes[3] == Outcome.CANNOT_BE_MADE
    assert {number for number in range(1, 9) if outcomes[number] == Outcome.PASSED} == {1, 2, 4, 5, 6, 7, 8}
    assert "cryptography" in report["steps"][2]["message"]
    assert not report["passed"] and report["undecided"]
    assert "UNDECIDED" in run(folder, BARE, "package.zip").stdout


def test_without_any_package_damage_is_found_all_the_same(folder: Path) -> None:
    package = bytearray(sample_package())
    package[len(package) // 2] ^= 1
    (folder / "package.zip").write_bytes(package)
    done = run(folder, BARE, "package.zip")
    assert done.returncode == EXIT_FAILED
    assert "DOES NOT HOLD" in done.stdout


def test_an_old_python_is_told_which_one_is_needed(folder: Path) -> None:
    source = "import sys, runpy; sys.version_info = (3, 9); runpy.run_path('verify.pyz', run_name='__main__')"
    done = subprocess.run([*BARE, "-c", source], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs Python 3.11" in done.stderr


def test_the_same_modules_make_the_same_bytes() -> None:
    first = make_verifier()
    make_verifier.cache_clear()
    assert make_verifier() == first
