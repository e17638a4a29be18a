"""A package leaves the house piece by piece, the same bytes as in one, and what is missing says so itself."""

import hashlib
import io
import json
import secrets
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.evidence.checkpoint import encode_key
from server.evidence.container import MAX_SIZE_BYTES
from server.evidence.entry import Draft
from server.evidence.errors import MalformedPackage
from server.evidence.package import build_package
from server.evidence.report import Outcome
from server.evidence.trust import parse_trust
from server.evidence.verify import verify_package
from server.export import PIECE_BYTES, export_package
from server.store.blobs import BlobStore
from server.store.log import LogStore
from tests.conftest import Caller

CASE = "c_" + "a" * 20


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[LogStore]:
    log = await LogStore.open(
        tmp_path, origin="test.local/log", utc_now=lambda: datetime.now(UTC), token_bytes=secrets.token_bytes
    )
    yield log
    await log.close()


def draft(kind: str, body: dict[str, object]) -> Draft:
    return Draft(
        kind=kind,
        case_id=CASE,
        role="system",
        actor_id="system",
        session_id="",
        body=body,  # type: ignore[arg-type]
    )


async def opened_case(log: LogStore, folder: Path) -> BlobStore:
    """The blobs of a case that has its first entry, and with it a key."""
    await log.append([draft("case_opened", {})], expect_number=0)
    return await BlobStore.prepare(folder, log.keys)


async def seal_blobs(log: LogStore, sizes: list[tuple[str, int]]) -> int:
    drafts = [
        draft("frame_sealed", {"blob": {"sha256": sha256, "size_bytes": size, "media_type": "image/jpeg"}})
        for sha256, size in sizes
    ]
    last = 1 + len(drafts) + 1
    drafts.append(draft("exported", {"entries_before": last - 1}))
    await log.append(drafts, expect_number=1)
    return last


async def test_the_pieces_are_the_package_and_no_piece_is_large(log: LogStore, tmp_path: Path) -> None:
    blobs = await opened_case(log, tmp_path)
    contents = [secrets.token_bytes(1 << 20) for _ in range(8)]
    sizes = [(await blobs.put(CASE, data), len(data)) for data in contents]
    last = await seal_blobs(log, [*sizes, *[sizes[0]] * 1_000])
    export = await export_package(log, blobs, CASE, up_to=last)
    pieces = [piece async for piece in export.pieces()]
    assert max(map(len, pieces)) < PIECE_BYTES + (1 << 20)
    assert sum(map(len, pieces)) == export.size_bytes
    assert sum(map(len, pieces)) // len(pieces) > PIECE_BYTES // 2
    entries = await log.entries(CASE)
    proofs = await log.inclusion_proofs([entry.leaf_index for entry in entries])
    assert b"".join(pieces) == build_package(
        entries=entries,
        blobs={hashlib.sha256(data).hexdigest(): data for data in contents},
        proofs=proofs,
        checkpoint=proofs[0].checkpoint,
        vkey=log.vkey,
    )
    assert verify_package(b"".join(pieces), vkey=log.vkey).passed


async def test_a_blob_that_cannot_be_read_is_left_out_and_named(log: LogStore, tmp_path: Path) -> None:
    blobs = await opened_case(log, tmp_path)
    here, damaged, gone = [await blobs.put(CASE, data) for data in (b"here", b"damaged", b"gone")]
    (tmp_path / "blobs" / CASE / gone).unlink()
    (tmp_path / "blobs" / CASE / damaged).write_bytes(b"another")
    last = await seal_blobs(log, [(here, 4), (damaged, 7), (gone, 4)])
    export = await export_package(log, blobs, CASE, up_to=last)
    package = b"".join([piece async for piece in export.pieces()])
    assert len(package) < export.size_bytes
    report = verify_package(package)
    assert not report.passed
    assert {finding.entry for finding in report.steps[6].findings} == {3, 4}
    assert report.steps[0].findings == report.steps[1].findings == ()


async def test_a_package_that_would_be_too_large_fails_before_its_first_piece(
    log: LogStore, tmp_path: Path
) -> None:
    blobs = await opened_case(log, tmp_path)
    last = await seal_blobs(log, [("ab" * 32, MAX_SIZE_BYTES)])
    with pytest.raises(MalformedPackage, match="do not fit"):
        await export_package(log, blobs, CASE, up_to=last)


async def test_the_export_is_sent_as_it_is_written(caller: Caller) -> None:
    case_id = await caller.open_case()
    status, package = await caller.call("POST", f"/api/cases/{case_id}/export")
    assert status == 200
    assert verify_package(package, vkey=caller.service.log.vkey).passed
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = set(archive.namelist())
    assert {"check.html", "custody.json", "report.en.pdf", "report.zh.pdf", "verify.pyz"} <= names


async def test_a_case_that_is_too_large_for_a_package_is_refused_and_told_why(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await caller.open_case()
    monkeypatch.setattr("server.evidence.container.MAX_SIZE_BYTES", 1_000)
    status, answer = await caller.call("POST", f"/api/cases/{case_id}/export")
    assert status == 409
    assert answer["error"]["code"] == "malformed_package" and "do not fit" in answer["error"]["message"]


async def test_everybody_may_fetch_the_trust_file_of_the_log_and_a_package_holds_under_it(
    caller: Caller,
) -> None:
    status, document = await caller.call("GET", "/log/trust", bearer=None)
    assert status == 200
    trust = parse_trust(json.dumps(document).encode())
    assert [encode_key(key) for key in trust.vkeys] == [caller.service.log.vkey]
    _, package = await caller.call("POST", f"/api/cases/{await caller.open_case()}/export")
    report = verify_package(package, trust=trust)
    assert report.passed and report.steps[9].outcome is Outcome.PASSED
