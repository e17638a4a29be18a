"""Documents are tested: what the README names is there, and OpenAPI describes what is served.

The examples of PROTOCOL.md are proven in tests/signaling/test_protocol_document.py.
"""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from server.http import integrator, media, openapi
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
    assert set(re.findall(r"PROOFCALL_[A-Z_]+[A-Z]", README)) == {setting.name for setting in SETTINGS}


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


def test_the_commands_to_check_by_hand_use_the_names_of_a_package() -> None:
    told = (ROOT / "server/evidence/package.py").read_text()
    for name in ("envelope.json", "body.json", "salt", "proof.json", "README.txt", "blobs/"):
        assert name in README and name in told


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version == openapi.VERSION
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


async def test_openapi_describes_every_route_that_is_served(caller: Caller) -> None:
    status, document = await caller.call("GET", "/api/openapi.json", bearer=None)
    assert status == 200 and document["openapi"].startswith("3.1")
    for row in (*integrator.OPERATIONS, *media.OPERATIONS):
        described = document["paths"][row.path][row.method.lower()]
        assert str(row.status) in described["responses"]
        assert ("requestBody" in described) == (row.takes is not None)
    for reference in re.findall(r'"#/components/schemas/(\w+)"', str(document).replace("'", '"')):
        assert reference in document["components"]["schemas"]
