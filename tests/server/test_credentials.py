"""Copies with content credentials over HTTP, and what becomes of those that uploads bring."""

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from media import credentials as media_credentials
from media.errors import CredentialsFailed
from server import uploads
from server.errors import MalformedSetting
from server.evidence.checkpoint import parse_key
from server.evidence.credential import check_copy, open_copy
from server.evidence.report import Outcome, Step
from server.evidence.trust import Trust, parse_trust
from server.evidence.verify import verify_package
from server.recredentials import CredentialsRereader
from server.settings import read_settings
from server.store.errors import IllegalOpen
from tests.conftest import API_KEY, Caller, calling
from tests.media.attachment_files import DEVICE, PLACE, photo, plain
from tests.media.attachment_files import picture as painted
from tests.media.credential_files import generated, make_signer, read_elsewhere
from tests.server.recording import all_entries
from tests.server.test_custody import entries
from tests.server.test_recordings import in_call
from tests.server.test_socket import say
from tests.server.test_uploads import Person, sha256

Entry = dict[str, Any]


@pytest.fixture
async def courier(caller: Caller) -> Person:
    return await Person.come(caller, await caller.open_case())


async def stored(courier: Person, data: bytes) -> Entry:
    """The body of the entry that stored a photo."""
    await courier.announce(data)
    await courier.send(data)
    kind, body = await courier.settled()
    assert kind == "attachment_stored", body
    return body


async def copy_of(person: Person, sha: str) -> tuple[int, Any]:
    return await person.get(f"{sha}/credentials")


async def root_of(caller: Caller) -> str:
    """The last of the certificates that the service shows to anybody."""
    status, found = await caller.call("GET", "/api/credentials/certificates", bearer=None)
    assert status == 200
    mark = b"-----BEGIN CERTIFICATE-----"
    return (mark + bytes(found).rpartition(mark)[2]).decode()


async def export(caller: Caller, case_id: str) -> bytes:
    status, package = await caller.call("POST", f"/api/cases/{case_id}/export")
    assert status == 200
    return bytes(package)


def verified(package: bytes, trust: Trust) -> Sequence[Step]:
    with CredentialsRereader() as reader:
        return verify_package(package, trust=trust, credentials=reader).steps


# --- what goes out ---


async def test_a_copy_of_a_photo_proves_its_place_in_the_log_and_tells_no_place(courier: Person) -> None:
    body = await stored(courier, photo())
    customer = await Person.come(courier.caller, courier.case_id, "customer")
    sha = body["shown"]["sha256"]
    status, copy = await copy_of(customer, sha)
    assert status == 200
    verdict = read_elsewhere(copy, await root_of(courier.caller))
    assert (verdict.integrity, verdict.trusted, verdict.failures) == ("valid", True, ())
    opened = open_copy(copy)
    check_copy(opened, parse_key(courier.caller.service.log.vkey))
    assert sha256(opened.picture) == sha
    envelope = opened.credential.envelope
    assert (envelope.case_id, envelope.kind) == (courier.case_id, "attachment_stored")
    assert opened.credential.body["shown"] == body["shown"]
    said = verdict.assertions["proofcall.evidence"]
    assert said["entry"]["envelope"]["number"] == envelope.number
    for marker in (PLACE, DEVICE, "GPS"):
        assert marker.encode() not in copy
    with Image.open(io.BytesIO(copy)) as shown:
        assert not dict(shown.getexif()) and not shown.getexif().get_ifd(0x8825)


async def test_a_copy_of_a_sealed_frame_proves_it_likewise(caller: Caller) -> None:
    case_id = await caller.open_case()
    socket, sender, link = await in_call(caller, case_id, "courier")
    sending = asyncio.create_task(sender.send(1.2))
    await asyncio.sleep(0.8)
    answer = await say(socket, "f1", kind="take_frame", of=link["link_id"])
    await sending
    (frame,) = await all_entries(caller, case_id, "frame_sealed")
    sha = frame["body"]["blob"]["sha256"]
    status, copy = await caller.call("GET", f"/api/cases/{case_id}/blobs/{sha}/credentials")
    assert status == 200
    verdict = read_elsewhere(copy, await root_of(caller))
    assert (verdict.integrity, verdict.trusted) == ("valid", True)
    opened = open_copy(copy)
    check_copy(opened, parse_key(caller.service.log.vkey))
    assert opened.credential.envelope.number == answer["number"]
    assert sha256(opened.picture) == sha
    sender.peer.close()


async def test_who_may_see_a_picture_gets_its_copy_and_nobody_else(courier: Person) -> None:
    data = photo()
    body = await stored(courier, data)
    qa = await Person.come(courier.caller, courier.case_id, "qa")
    assert (await copy_of(qa, body["shown"]["sha256"]))[0] == 200
    status, refusal = await copy_of(qa, sha256(data))
    assert status == 404 and "`shown`" in refusal["error"]["message"], "originals go out as they came"
    assert (await copy_of(courier, sha256(data)))[0] == 403
    assert (await copy_of(qa, "0" * 64))[0] == 404
    stranger = await Person.come(courier.caller, await courier.caller.open_case())
    stranger.case_id = courier.case_id
    assert (await copy_of(stranger, body["shown"]["sha256"]))[0] == 403
    path = f"/api/cases/{courier.case_id}/blobs/{body['shown']['sha256']}/credentials"
    assert (await courier.caller.call("GET", path, bearer=None))[0] == 401


async def test_a_copy_is_made_once_looked_at_once_and_kept_sealed_until_it_vanishes(
    courier: Person, tmp_path: Path
) -> None:
    service = courier.caller.service
    sha = (await stored(courier, photo()))["shown"]["sha256"]
    many = await asyncio.gather(*(copy_of(courier, sha) for _ in range(5)))
    assert len({copy for _, copy in many}) == 1 and service.credentials.made == 1
    (look,) = await entries(courier.caller, courier.case_id, "viewed")
    assert look["actor_id"] == courier.link["link_id"] and look["original"] is False
    (kept,) = (tmp_path / "data" / "derived" / courier.case_id).glob("credentials-*")
    assert b"proofcall.evidence" not in kept.read_bytes() and b"jumb" not in kept.read_bytes()
    kept.unlink()
    status, again = await copy_of(courier, sha)
    assert status == 200 and service.credentials.made == 2
    check_copy(open_copy(again), parse_key(service.log.vkey))
    _, metrics = await courier.caller.call("GET", "/metrics", bearer=None)
    assert b"proofcall_credential_copies_total 2.0" in metrics


async def test_all_copies_of_a_case_are_made_at_once_by_one_worker_as_far_as_they_lack(
    courier: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = courier.caller.service
    shown = [(await stored(courier, photo("JPEG", 64 + n, 48)))["shown"]["sha256"] for n in range(3)]
    _, one = await copy_of(courier, shown[0])
    started, start = [], media_credentials._start
    monkeypatch.setattr(media_credentials, "_start", lambda: started.append(1) or start())  # type: ignore[func-returns-value]
    entries = await service.log.entries(courier.case_id)
    for most in (3, 2):
        readers = await service.credentials.copies(
            courier.case_id, entries, most=most, now_at=service.utc_now()
        )
        assert list(readers) == shown[:most] and readers[shown[0]].size_bytes == len(one)
        for sha, reader in readers.items():
            opened = open_copy(await reader.read(0, reader.size_bytes))
            reader.close()
            check_copy(opened, parse_key(service.log.vkey))
            assert sha256(opened.picture) == sha
    assert len(started) == 1 and service.credentials.made == 3
    package = await export(courier.caller, courier.case_id)
    root = (await root_of(courier.caller)).encode()
    trust = Trust(picture_roots=(root,))
    (checked,) = [step for step in await asyncio.to_thread(verified, package, trust) if step.number == 14]
    assert checked.outcome is Outcome.PASSED and checked.message.startswith("3 of 3 copies"), checked
    assert parse_trust(service.packages.trust).picture_roots == (root,)


async def test_a_worker_that_fails_or_a_certificate_that_has_ended_is_said_and_costs_no_picture(
    courier: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = (await stored(courier, photo()))["shown"]["sha256"]

    async def fail(*_: object) -> bytes:
        raise CredentialsFailed("crashed", "the worker for content credentials died")

    with monkeypatch.context() as patch:
        patch.setattr(media_credentials.CredentialsWorker, "make", fail)
        status, refusal = await copy_of(courier, sha)
        assert (status, refusal["error"]["code"]) == (503, "crashed")
    service = courier.caller.service
    with monkeypatch.context() as patch:
        patch.setattr(service.credentials._signer, "expires_at", service.utc_now())
        status, refusal = await copy_of(courier, sha)
        assert (status, refusal["error"]["code"]) == (503, "expired_certificate")
        assert (await courier.get(sha))[0] == 200
    assert (await copy_of(courier, sha))[0] == 200


async def test_copies_go_with_what_is_erased_and_none_is_made_again(courier: Person, tmp_path: Path) -> None:
    caller = courier.caller
    sha = (await stored(courier, photo()))["shown"]["sha256"]
    assert (await copy_of(courier, sha))[0] == 200
    derived = tmp_path / "data" / "derived" / courier.case_id
    assert list(derived.glob("credentials-*"))
    await caller.call("POST", f"/api/cases/{courier.case_id}/end")
    status, said = await caller.call(
        "POST", f"/api/cases/{courier.case_id}/erase", json={"reason": "the customer asked for it"}
    )
    assert status == 200, said
    path = f"/api/cases/{courier.case_id}/blobs/{sha}/credentials"
    status, refusal = await caller.call("GET", path)
    assert status in (404, 410), refusal
    assert not list(derived.glob("credentials-*"))
    report = await asyncio.to_thread(verified, await export(caller, courier.case_id), Trust())
    (checked,) = [step for step in report if step.number == 14]
    assert "no copy" in checked.message


# --- whose certificates ---


async def test_who_signs_and_who_counts_as_trusted_are_settings(tmp_path: Path) -> None:
    own = make_signer(tmp_path / "own", "press.example")
    stranger = make_signer(tmp_path / "stranger", "camera.example")
    roots = tmp_path / "roots.pem"
    roots.write_text(stranger.root)
    more = {
        "PROOFCALL_C2PA_CERTIFICATE": str(tmp_path / "own" / "c2pa.pem"),
        "PROOFCALL_C2PA_KEY": str(tmp_path / "own" / "c2pa.key"),
        "PROOFCALL_C2PA_ROOTS": str(roots),
    }
    async with calling(tmp_path, **more) as caller:
        courier = await Person.come(caller, await caller.open_case())
        body = await stored(courier, generated(plain(painted(), "JPEG"), stranger))
        assert body["credentials"]["standing"] == "trusted"
        _, copy = await copy_of(courier, body["shown"]["sha256"])
        assert read_elsewhere(copy, own.root).trusted
        assert not (tmp_path / "data" / "c2pa.key").exists(), "no authority is made that nobody asked for"
        again = (await stored(courier, copy))["credentials"]
        assert (again["standing"], again["generator"]) == ("trusted", "Proofcall"), "we always count"


async def test_the_service_refuses_to_start_with_a_key_that_others_may_read(tmp_path: Path) -> None:
    async with calling(tmp_path):
        pass
    (tmp_path / "data" / "c2pa.key").chmod(0o644)
    with pytest.raises(IllegalOpen, match=r"c2pa\.key may be read by others"):
        async with calling(tmp_path):
            pass


def test_certificate_and_key_are_set_together(tmp_path: Path) -> None:
    make_signer(tmp_path)
    with pytest.raises(MalformedSetting, match="go together"):
        read_settings(
            {"PROOFCALL_API_KEY": API_KEY, "PROOFCALL_C2PA_CERTIFICATE": str(tmp_path / "c2pa.pem")}
        )


# --- what comes in ---


async def test_a_photo_that_says_it_was_generated_is_stored_with_what_it_says(
    courier: Person, tmp_path: Path
) -> None:
    assert (await stored(courier, photo()))["credentials"] is None, "it brings none"
    stranger = make_signer(tmp_path / "stranger", "models.example")
    data = generated(plain(painted(), "JPEG"), stranger)
    body = await stored(courier, data)
    assert body["credentials"] == {
        "standing": "unknown_signer",
        "problem": None,
        "signer": "Proofcall models.example",
        "generator": "A picture model",
        "source_types": ["trainedAlgorithmicMedia"],
        "signed_at": None,
    }
    status, shown = await courier.get(body["shown"]["sha256"])
    assert status == 200 and b"jumb" not in shown
    changed = bytearray(data)
    changed[-200] ^= 1
    credentials = (await stored(courier, bytes(changed)))["credentials"]
    assert (credentials["standing"], credentials["problem"]) == ("invalid", "assertion.dataHash.mismatch")


async def test_a_reader_that_dies_is_no_reason_to_lose_the_photo(
    courier: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise CredentialsFailed("crashed", "the worker for content credentials died")

    monkeypatch.setattr(uploads, "read_credentials", die)
    data = generated(plain(painted(), "JPEG"), make_signer(tmp_path / "stranger"))
    assert (await stored(courier, data))["credentials"]["standing"] == "unreadable"
