"""Documents are tested: what the README names is there, and OpenAPI describes what is served.

The examples of PROTOCOL.md are proven in tests/signaling/test_protocol_document.py.
"""

import asyncio
import io
import json
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from server.http import openapi
from server.http.routes import OPERATIONS
from server.main import run
from server.settings import SETTINGS
from tests.conftest import Caller

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def test_every_setting_stands_in_the_readme_with_its_default_and_meaning() -> None:
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else "–"
        assert f"| `{setting.name}` | {default} | {setting.meaning} |" in README
        assert README.count(f"| `{setting.name}` |") == 1
    assert set(re.findall(r"PROOFCALL_[A-Z0-9_]+[A-Z]", README)) == {setting.name for setting in SETTINGS}


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_every_make_command_of_the_readme_exists(command: str) -> None:
    subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("proofcall ")])
def test_every_proofcall_command_of_the_readme_exists(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = command.split()[1]
    options = re.findall(r"--[a-z-]+", command)
    with pytest.raises(SystemExit) as stopped:
        raise SystemExit(run([name, "--help"]))
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    for option in options:
        assert option in told


def test_the_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


async def test_the_commands_to_check_by_hand_find_in_a_package_what_they_say(
    caller: Caller, tmp_path: Path
) -> None:
    case_id = await caller.open_case()
    for number in range(17):
        await caller.link(case_id, "courier", f"courier {number}")
    _, package = await caller.call("POST", f"/api/cases/{case_id}/export")
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "blobs").mkdir(exist_ok=True)
    (tmp_path / "blobs" / "none").touch()
    (by_hand,) = [
        block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "cd entries" in block
    ]
    shell = await asyncio.create_subprocess_exec("sh", "-ec", by_hand, cwd=tmp_path, stdout=subprocess.PIPE)
    printed, _ = await shell.communicate()
    assert shell.returncode == 0
    envelope_hash, commitment = [line.split()[0] for line in printed.decode().splitlines()[:2]]
    entries = tmp_path / "entries"
    assert json.loads((entries / "000018/envelope.json").read_text())["previous_hash"] == envelope_hash
    assert json.loads((entries / "000017/envelope.json").read_text())["commitment"] == commitment


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version == openapi.VERSION
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


async def test_openapi_describes_every_route_that_is_served(caller: Caller) -> None:
    status, document = await caller.call("GET", "/api/openapi.json", bearer=None)
    assert status == 200 and document["openapi"].startswith("3.1")
    for row in OPERATIONS:
        described = document["paths"][openapi.path_of(row)][row.method.lower()]
        told = {
            parameter["name"] for parameter in described.get("parameters", []) if parameter["in"] == "path"
        }
        assert told == set(re.findall(r"{(\w+)}", openapi.path_of(row)))
        assert str(row.status) in described["responses"]
        assert ("requestBody" in described) == (row.takes is not None)
    for reference in re.findall(r'"#/components/schemas/(\w+)"', str(document).replace("'", '"')):
        assert reference in document["components"]["schemas"]
