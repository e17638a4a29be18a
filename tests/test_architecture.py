"""The house rules that a machine can check: who imports whom, which library lives where, what stays pure."""

import ast
import os
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from media.relay import IS_COMPILED

ROOT = Path(__file__).parent.parent
PACKAGES = ("server", "media", "signaling", "web")

# Who may import whom, packages of ours only.
MAY_IMPORT = {
    "server": {"server", "media", "signaling", "web"},
    "media": {"media"},
    "signaling": {"signaling"},
    "web": set[str](),
    "server/evidence": {"server/evidence"},
    "server/store": {"server/store", "server/evidence"},
}

# In which files a third-party library may be imported; a folder stands for all below it.
LIVES_IN = {
    "OpenSSL": ("media/dtls.py",),
    "PIL": ("media/attachment_worker.py", "server/report_worker.py"),
    "aiohttp": (
        "server/main.py",
        "server/http",
        "server/timestamps.py",
        "server/webhook_guard.py",
        "server/webhook_runner.py",
        "server/witnesses.py",
    ),
    "aioice": ("media/stun.py",),
    "aiortc": ("media",),
    "av": ("media/attachment_worker.py", "media/picture_worker.py", "media/playback_worker.py"),
    "c2pa": ("media/credentials_worker.py",),
    "cryptography": ("server/evidence", "server/store", "server/self_signed.py"),
    "cv2": ("media/picture_difference.py", "media/picture_worker.py"),
    "ifaddr": (
        "media/gathering.py",
        "media/transport.py",
    ),
    "jwt": ("server/tokens.py",),
    "librt": ("media/rtcp.py", "media/rtp.py", "media/rtpdump.py"),
    "mypy_extensions": ("media/alarms.py", "media/forwarder.py", "media/packet_history.py"),
    "numpy": ("media/attachment_worker.py", "media/picture_difference.py", "media/picture_worker.py"),
    "prometheus_client": ("server/http/health.py",),
    "pydantic": ("signaling", "server"),
    "pylibsrtp": ("media/srtp.py",),
    "reportlab": ("server/pdf_sheet.py", "server/report_pdf.py", "server/voucher_pdf.py"),
    "rfc3161_client": ("server/evidence/timestamp.py", "server/timestamps.py"),
    "segno": ("server/sample.py", "server/voucher_pdf.py", "server/vouchers.py"),
    "uvloop": ("server/main.py",),
}

# What drives: everything else in media, signaling and server/evidence is pure, and so are these of server.
PURE_OF_SERVER = (
    "server/call_figures.py",
    "server/paper_text.py",
    "server/report_story.py",
    "server/report_words.py",
    "server/retention_rules.py",
    "server/search_index.py",
    "server/sharpness.py",
    "server/stamping.py",
    "server/stay.py",
    "server/watching.py",
    "server/web_files.py",
    "server/webhook_delivery.py",
    "server/webhook_payload.py",
    "server/witness_messages.py",
    "server/witnessing.py",
)
DRIVERS = {
    "media/alarms.py",
    "media/attachment_worker.py",
    "media/attachments.py",
    "media/call.py",
    "media/credentials.py",
    "media/credentials_worker.py",
    "media/dtls.py",
    "media/picture_decoder.py",
    "media/picture_difference.py",
    "media/picture_worker.py",
    "media/playback.py",
    "media/playback_worker.py",
    "media/relay.py",
    "media/tcp.py",
    "media/gathering.py",
    "media/intake.py",
    "media/recvmmsg.py",
    "media/srtp.py",
    "media/transport.py",
    "server/evidence/verify_command.py",
}
DRIVERS_OF_A_PACKET = {
    "media/alarms.py",
    "media/call.py",
    "media/gathering.py",
    "media/intake.py",
    "media/srtp.py",
    "media/transport.py",
}
IMPURE_MODULES = {
    "asyncio",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
}
IMPURE_NAMES = {"open", "print", "input"}
IMPURE_ATTRIBUTES = {"now", "utcnow", "today"}

SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """`media/rtp.py`, as the tables write it."""
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} has a relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_file(module: str) -> Path | None:
    """The file of a module of ours, or None for a name inside one and for libraries."""
    path = ROOT / module.replace(".", "/")
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def room_of(path: Path) -> str:
    """The most special row of MAY_IMPORT that a file falls under."""
    return max((row for row in MAY_IMPORT if name_of(path).startswith(f"{row}/")), key=len)


PURE = [
    path
    for path in SOURCES
    if name_of(path).startswith(("media/", "signaling/", "server/evidence/", *PURE_OF_SERVER))
    and name_of(path) not in DRIVERS
]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    for module in imports_of(path):
        file = module_file(module)
        if file is not None and file.parent != ROOT:
            assert room_of(file) in MAY_IMPORT[room_of(path)] or room_of(path) == "server", (
                f"{name_of(path)} must not know {module}"
            )


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_library_is_imported_in_its_own_files_only(path: Path) -> None:
    for module in imports_of(path):
        library = module.split(".")[0]
        if library in PACKAGES or library in sys.stdlib_module_names:
            continue
        assert library in LIVES_IN, f"{name_of(path)} imports {library}, which has no row in LIVES_IN"
        assert name_of(path).startswith(LIVES_IN[library]), f"{library} does not live in {name_of(path)}"


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_modules_touch_no_clock_socket_file_or_async(path: Path) -> None:
    for module in imports_of(path):
        assert module.split(".")[0] not in IMPURE_MODULES, f"{name_of(path)} is pure and imports {module}"
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"{name_of(path)} is pure and waits"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_NAMES, f"{name_of(path)} is pure and calls {node.func.id}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in IMPURE_ATTRIBUTES, f"{name_of(path)} is pure and reads a clock"


def test_no_import_goes_in_a_circle() -> None:
    graph = {
        path: {file for module in imports_of(path) if (file := module_file(module)) and file != path}
        for path in SOURCES
    }
    for path, known in graph.items():
        # A package's own docstring file is loaded with each of its modules, and imports nothing.
        graph[path] = {file for file in known if file.name != "__init__.py"}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=name_of)
def test_a_package_file_holds_its_docstring_alone(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{name_of(path)} re-exports or computes"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no docstring"


def test_no_type_checking_escape() -> None:
    for path in SOURCES:
        assert "TYPE_CHECKING" not in path.read_text(), name_of(path)


def test_the_meeting_place_is_the_smallest_of_the_files_that_it_joins() -> None:
    def lines(name: str) -> int:
        return len((ROOT / name).read_text().splitlines())

    for part in ("server/cases.py", "server/calls.py", "server/http/integrator.py", "server/http/socket.py"):
        assert lines("server/app.py") < lines(part)


def packet_path() -> set[str]:
    """What the Makefile compiles."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    names = next(line for line in makefile.splitlines() if line.startswith("PACKET_PATH := "))
    return {f"media/{name}.py" for name in names.removeprefix("PACKET_PATH := ").split()}


def test_what_is_compiled_is_on_the_way_of_a_packet_and_pure_but_for_its_drivers() -> None:
    """What happens once a connection or a frame, and what operators replace, stays as it is written."""
    reached, waiting = set[Path](), [ROOT / "media/relay.py"]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [file for module in imports_of(path) if (file := module_file(module)) is not None]
    pure = {name_of(path) for path in PURE}
    assert packet_path() <= {name_of(path) for path in reached} & (pure | DRIVERS_OF_A_PACKET)


def test_the_way_of_a_packet_runs_compiled_where_that_was_asked_for() -> None:
    compiled = ROOT / "build/compiled"
    if str(compiled) not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        pytest.skip("not asked for: make test does")
    if not (compiled / "media").is_dir():
        pytest.skip("Debian: apt-get install gcc, and the headers of Python")
    assert IS_COMPILED
