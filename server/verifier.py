"""The verifier that leaves the house: `verify.pyz`, a zip of the very modules that verify, which Python runs.

    python3 verify.pyz PACKAGE.zip --trust TRUST.json

No second implementation: the files of server/evidence go in as they are. They need nothing but Python's
standard library; where `cryptography` is installed, signatures are checked as well, and where it is not, that
is said. The same modules make the same bytes, so that anybody can compare the verifiers of two packages.
"""

from functools import cache
from pathlib import Path

from server.evidence.container import encode_container

ROOT = Path(__file__).parent
OLDEST_PYTHON = (3, 11)  # what the modules are written for

# Python compiles this file before it runs it: it must be read by those that are too old, too.
MAIN = """\
import sys

if sys.version_info < {oldest}:
    sys.exit("verify.pyz needs Python {text} or newer, this is " + sys.version.split()[0])

from server.evidence.verify_command import run

sys.exit(run(sys.argv[1:], program="verify.pyz"))
"""


@cache
def make_verifier() -> bytes:
    """The bytes of `verify.pyz`. Reads the modules once."""
    text = ".".join(map(str, OLDEST_PYTHON))
    members = {"__main__.py": MAIN.format(oldest=OLDEST_PYTHON, text=text).encode()}
    for path in [ROOT / "__init__.py", *(ROOT / "evidence").glob("*.py")]:
        members[f"server/{path.relative_to(ROOT).as_posix()}"] = path.read_bytes()
    return encode_container(members)
