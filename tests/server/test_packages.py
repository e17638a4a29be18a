"""A whole case leaves the house: with time from outside, pictures, playback, reports, and what checks it."""

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from media.errors import CredentialsFailed, PlaybackFailed
from server.check_page import check_page
from server.errors import InternalError
from server.evidence.report import Outcome, Report
from server.evidence.trust import Trust
from server.evidence.verify import verify_package
from server.evidence.verify_command import EXIT_PASSED
from server.http.integrator import EXPECTED_SIZE
from server.redecode import PictureRedecoder
from server.verifier import make_verifier
from tests.authority import make_authority, serving_authority
from tests.conftest import API_KEY, Caller
from tests.server.recording import all_entries
from tests.server.test_recordings import in_call
from tests.server.test_socket import say
from tests.server.test_timestamps import stamped


async def export(caller: Caller, case_id: str) -> tuple[bytes, int]:
    """The package, and the size that was expected."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with caller.http.post(f"{caller.url}/api/cases/{case_id}/export", headers=headers) as answer:
        assert answer.status == 200
        return await answer.read(), int(answer.headers[EXPECTED_SIZE])


async def called(caller: Caller) -> str:
    """A case that has had a call with a picture taken, and has ended."""
    case_id = await caller.open_case()
    socket, sender, link = await in_call(caller, case_id, "courier")
    sending = asyncio.create_task(sender.send(1.2))
    await asyncio.sleep(0.8)
    await say(socket, "f1", kind="take_frame", of=link["link_id"])
    await sending
    sender.peer.close()
    await caller.call("POST", f"/api/cases/{case_id}/end")
    while caller.service.recordings.is_writing(case_id, 1, link["link_id"]):  # noqa: ASYNC110 - seen from outside
        await asyncio.sleep(0.02)
    return case_id


def verify_wholly(package: bytes, vkey: str, root: bytes) -> Report:
    with PictureRedecoder() as redecoder:
        return verify_package(package, vkey=vkey, trust=Trust(roots=(root,)), redecoder=redecoder)


@pytest.mark.long
async def test_a_case_leaves_with_all_that_proves_and_tells_it(tmp_path: Path) -> None:
    async with (
        serving_authority(make_authority(tmp_path / "authority")) as authority,
        stamped(tmp_path, authority) as caller,
    ):
        case_id = await called(caller)
        package, expected_size = await export(caller, case_id)
        vkey = caller.service.log.vkey
        (frame,) = await all_entries(caller, case_id, "frame_sealed")
    assert len(package) == expected_size
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = archive.namelist()
        files = {name: archive.read(name) for name in names}
    picture = frame["body"]["blob"]["sha256"]
    assert files["check.html"] == check_page() and files["verify.pyz"] == make_verifier()
    assert files["report.en.pdf"].startswith(b"%PDF-") and files["report.zh.pdf"].startswith(b"%PDF-")
    assert f"credentials/{picture}.jpg" in names
    assert files["certificates.pem"] == authority.root
    (file,) = json.loads(files["playback/index.json"])["files"]
    assert files[file["file"]][:4] == b"\x1a\x45\xdf\xa3", "EBML: the file is a WebM"
    for segment in file["segments"]:
        assert hashlib.sha256(files[f"blobs/{segment['sha256']}"]).hexdigest() == segment["sha256"]
    custody = json.loads(files["custody.json"])["custody"]
    assert [item["kind"] for item in custody][-1] == "exported"
    # By us, with whom we trust; and by OpenSSL.
    trust = {"format": "proofcall-trust", "version": 1, "vkeys": [vkey], "roots": [authority.root.decode()]}
    report = await asyncio.to_thread(verify_wholly, package, vkey, authority.root)
    outcomes = {step.number: step.outcome for step in report.steps}
    assert report.passed, [step.message for step in report.steps]
    assert {number for number in outcomes if outcomes[number] is not Outcome.PASSED} == {11, 13, 14}
    assert "cover entries 1 to" in report.steps[11].message
    folder = next(name for name in names if name.endswith("timestamp-1.der")).rpartition("/")[0]
    authority.check(files[f"{folder}/timestamp-1.der"], files[f"{folder}/checkpoint"])
    # And by the verifier that lies in it.
    (tmp_path / "package.zip").write_bytes(package)
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    (tmp_path / "verify.pyz").write_bytes(files["verify.pyz"])
    command = [sys.executable, "-I", "verify.pyz", "package.zip", "--trust", "trust.json", "--json"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == EXIT_PASSED, done.stderr
    told = {step["number"]: step["outcome"] for step in json.loads(done.stdout)["steps"]}
    assert told == {number: outcome.value for number, outcome in outcomes.items()} | {9: "cannot_be_made"}


async def test_what_cannot_be_made_is_left_out_and_the_case_is_proven_all_the_same(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(error: Exception) -> Callable[..., Awaitable[None]]:
        async def fail(*_: object, **__: object) -> None:
            raise error

        return fail

    monkeypatch.setattr("server.packages.make_reports", failing(InternalError("no paper")))
    monkeypatch.setattr("media.credentials.CredentialsWorker.make", failing(CredentialsFailed("x", "y")))
    monkeypatch.setattr("server.playbacks.PlaybackMaker.make_playback", failing(PlaybackFailed("x", "y")))
    package, _ = await export(caller, await called(caller))
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = archive.namelist()
    assert not [name for name in names if name.startswith(("playback/", "credentials/", "report."))]
    assert verify_package(package, vkey=caller.service.log.vkey).passed


@pytest.mark.long
async def test_a_film_that_takes_too_long_is_in_the_next_package(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await called(caller)
    monkeypatch.setattr("server.packages.PLAYBACK_WAIT_S", 0.0)
    first, _ = await export(caller, case_id)
    monkeypatch.setattr("server.packages.PLAYBACK_WAIT_S", 30.0)
    second, _ = await export(caller, case_id)
    names = [zipfile.ZipFile(io.BytesIO(package)).namelist() for package in (first, second)]
    assert ["playback/index.json" in found for found in names] == [False, True]
