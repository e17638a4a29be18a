"""`proofcall check`: whole, damaged or unreadable; beside a running service; with a line of progress."""

import asyncio
import base64
import io
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from media.rtpdump import encode_dump
from server import check_command
from server.evidence.attestation import Attestation, AttestationKind
from server.evidence.timestamp import check_timestamp
from server.main import run
from server.store.attestations import AttestationStore
from server.store.audit import Progress
from server.store.blobs import BlobStore
from server.store.log import LogStore
from tests.authority import make_authority
from tests.conftest import Caller
from tests.server.store.crash_scenarios import draft, open_log

PACKETS = [(0, False, b"rtp"), (20, True, b"sender report"), (40, False, b"rtp")]


async def fill(folder: Path, *, packets: int = 2, segment: bytes | None = None) -> None:
    """A case with a text and a segment of the journal."""
    log = await open_log(folder)
    blobs = await BlobStore.prepare(folder, log.keys)
    await log.append([draft("c_1", 1)], expect_number=0)
    data = encode_dump(datetime.now(UTC), PACKETS) if segment is None else segment
    blob = {
        "sha256": await blobs.put("c_1", data),
        "size_bytes": len(data),
        "media_type": "application/x-rtpdump",
    }
    await append_segment(log, {"blob": blob, "packets": packets})
    await log.close()


async def append_segment(log: LogStore, body: dict[str, object]) -> None:
    made = draft("c_1", 2)
    changed = type(made)(
        kind="segment_sealed",
        case_id="c_1",
        role="customer",
        actor_id="l_c",
        session_id="s_c",
        body=body,  # type: ignore[arg-type]
    )
    await log.append([changed], expect_number=1)


async def test_a_whole_folder_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(tmp_path)
    assert run(["check", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "entries: 2 of 2 (100 %), blobs: 1" in told and "WHOLE." in told and "\r" not in told


async def test_the_folder_is_that_of_the_settings_unless_one_is_named(tmp_path: Path) -> None:
    await fill(tmp_path)
    assert check_command.run([], {"PROOFCALL_DATA_DIR": str(tmp_path)}) == 0
    assert check_command.run([], {"PROOFCALL_DATA_DIR": str(tmp_path / "none")}) == 2


async def test_a_segment_holds_as_many_packets_as_its_entry_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(tmp_path, packets=3)
    assert run(["check", str(tmp_path)]) == 1
    assert "leaf 1 (case c_1, entry 2) holds 2 packets, but the entry says 3" in capsys.readouterr().out


async def test_a_segment_is_a_dump_of_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(tmp_path, segment=b"no dump")
    assert run(["check", str(tmp_path)]) == 1
    assert "leaf 1 (case c_1, entry 2) is no dump of packets" in capsys.readouterr().out


async def test_what_others_said_of_the_log_is_checked_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    authority = make_authority(tmp_path / "authority")
    log = await open_log(data)
    await log.append([draft("c_1", 1)], expect_number=0)
    note = log.checkpoint.encode()
    await log.close()
    environment = {"PROOFCALL_TIMESTAMP_ROOTS": str(authority.root_path)}
    token = authority.token(note)
    at = check_timestamp(token, note, [authority.root]).at
    store = await AttestationStore.open(data)
    kind = AttestationKind.TIMESTAMP
    await store.add(Attestation(tree_size=1, kind=kind, source="tsa", data=token, at=at))
    line = "— witness.example/w " + base64.b64encode(bytes(76)).decode() + "\n"
    kind = AttestationKind.COSIGNATURE
    await store.add(Attestation(tree_size=1, kind=kind, source="w", data=line.encode(), at=at))
    await store.close()
    assert check_command.run([str(data)], environment) == 0
    assert "attestations: 2 of checkpoints of this log\n" in capsys.readouterr().out
    assert check_command.run([str(data)], {}) == 0
    assert "time-stamps not opened: PROOFCALL_TIMESTAMP_ROOTS is not set" in capsys.readouterr().out
    with sqlite3.connect(data / "attestations.db") as connection:
        other = authority.token(b"another log's checkpoint")
        connection.execute("UPDATE attestations SET data = ? WHERE kind = 'timestamp'", (other,))
    connection.close()
    assert check_command.run([str(data)], environment) == 1
    assert "the timestamp of 1 entries by tsa does not hold" in capsys.readouterr().out
    with sqlite3.connect(data / "attestations.db") as connection:
        connection.execute("UPDATE attestations SET tree_size = 9 WHERE kind = 'timestamp'")
        connection.execute("UPDATE attestations SET data = ? WHERE kind = 'cosignature'", (b"no line",))
    connection.close()
    assert check_command.run([str(data)], environment) == 1
    assert "the cosignature of 1 entries by w does not hold" in capsys.readouterr().out
    with sqlite3.connect(data / "attestations.db") as connection:
        connection.execute("DELETE FROM attestations WHERE kind = 'cosignature'")
    connection.close()
    assert check_command.run([str(data)], environment) == 1
    assert "has never signed" in capsys.readouterr().out


async def test_what_was_changed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(tmp_path)
    connection = sqlite3.connect(tmp_path / "log.sqlite")
    connection.execute("UPDATE hashes SET hash = zeroblob(32) WHERE stored_index = 2")
    connection.commit()
    connection.close()
    assert run(["check", str(tmp_path)]) == 1
    assert "leaf 1 (case c_1, entry 2) is damaged: its tree hashes" in capsys.readouterr().out


async def test_a_changed_blob_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(tmp_path)
    (path,) = (tmp_path / "blobs" / "c_1").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert run(["check", str(tmp_path)]) == 1
    assert str(path) in capsys.readouterr().out


async def test_the_keys_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(tmp_path)
    (tmp_path / "wrap.key").unlink()
    assert run(["check", str(tmp_path)]) == 2
    assert "wrap.key is gone" in capsys.readouterr().err


async def test_a_service_that_writes_meanwhile_is_checked_and_not_held_up(
    caller: Caller, tmp_path: Path
) -> None:
    log = caller.service.log

    async def write() -> int:
        for number in range(200):
            await log.append([draft("c_1", number + 1)], expect_number=number)
        return log.size

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write())
        checks = 0
        while not writing.done():
            assert await asyncio.to_thread(check_command.run, [str(tmp_path / "data")]) == 0
            checks += 1
    assert checks and writing.result() == 200


class Terminal(io.StringIO):
    """A terminal that keeps what it was shown."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_grows() -> None:
    terminal = Terminal()
    shown = check_command.Shown(terminal)
    shown.handle(Progress(stage="entries", done=0, total=512))
    shown.handle(Progress(stage="entries", done=512, total=512, blobs=1, blob_bytes=2_000_000))
    shown.end_line()
    assert terminal.getvalue().count("\r") == 2 and terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("entries: 512 of 512 (100 %), blobs: 1 (2.0 MB)\n")
