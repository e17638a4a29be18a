"""A person asks to be forgotten: nothing of them is left on the disk, and everything still verifies."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from media.credentials import CredentialsWorker
from server.evidence.entry import FIRST_PREVIOUS_HASH, Entry, check_successor
from server.evidence.report import Outcome, Report
from server.evidence.verify import verify_package
from server.export import Export
from server.packages import Packages
from server.store.audit import audit
from server.store.case_keys import read_seal
from server.store.errors import FailedAppend, MalformedSeal
from server.store.forgetting import FOLDERS
from server.store.keys import AesKeyWrapper, load_secret
from signaling.commands import Consent, EndCase, Join, Leave, SealSegment
from signaling.entries import SegmentSealed
from signaling.talk import SendText
from signaling.values import Blob
from tests.conftest import Caller, calling
from tests.media.attachment_files import COMMENT, photo
from tests.server.receipt import actor_of, confirm_receipt
from tests.server.test_recordings import in_call
from tests.server.test_search_http import search_for
from tests.server.test_socket import close_code, greet, say, up_to
from tests.server.test_uploads import Person, noise

MARKER = "Zhuangzi-dreams-of-a-butterfly"
REASON = {"reason": "The customer asked for it."}
DEAD = "http://127.0.0.1:9/hook"  # nobody listens there: what is sent becomes a letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A case in which somebody has said and shown much, and all bytes that lay on the disk because of it."""

    case_id: str
    links: dict[str, dict[str, Any]]
    entries: list[Entry]
    lying: list[bytes]
    voucher_path: str


async def told(caller: Caller, folder: Path) -> Told:
    """Texts, a name, metadata, an address, a photo with its place, half an upload, a call, a voucher."""
    receipt = await confirm_receipt(
        caller,
        waybill=f"W-{MARKER}",
        metadata={"order": MARKER},
        address={"text": MARKER},
        reservation=MARKER,
    )
    case = await caller.service.cases.get(receipt.case_id)
    courier, customer = (actor_of(receipt.links, role) for role in ("courier", "customer"))
    await case.handle(SendText(text=MARKER), customer)
    person = await Person.come(caller, receipt.case_id, "customer")
    shown, begun = photo(), noise(40_000)
    await person.announce(shown)
    await person.send(shown)
    await person.settled()
    await person.announce(begun)
    assert (await person.begin(begun)).status == 201
    assert (await person.patch(begun, 0, begun[:20_000])).status == 204
    await person.socket.close()
    for command in (Consent(statement=MARKER, language="en"), Join()):
        await case.handle(command, courier)
    data = MARKER.encode() * 1_000
    blob = Blob(
        sha256=await caller.service.blobs.put(case.case_id, data),
        size_bytes=len(data),
        media_type="application/x-rtpdump",
    )
    now_at = caller.service.utc_now()
    segment = SegmentSealed(
        call_number=1,
        segment=1,
        blob=blob,
        began_at=now_at,
        ended_at=now_at,
        packets=1,
        reason="ended",
        streams=(),
    )
    await case.handle(SealSegment(segment=segment), courier)
    await case.handle(Leave(), courier)
    _, addresses = await caller.call("GET", f"/api/cases/{case.case_id}/voucher")
    path = addresses["json_url"].removeprefix(caller.service.public_url)
    status, _ = await caller.call("GET", path, bearer=None)
    assert status == 200
    assert len((await search_for(caller, MARKER))["hits"]) > 3
    await case.handle(EndCase(), actor_of(receipt.links, "qa"))
    await idle(caller)
    return Told(
        case_id=case.case_id,
        links=receipt.links,
        entries=await caller.service.log.entries(case.case_id),
        lying=lying(folder, case.case_id),
        voucher_path=path,
    )


async def idle(caller: Caller) -> None:
    for _ in range(1_000):
        if not caller.service.background._tasks:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def lying(folder: Path, case_id: str) -> list[bytes]:
    """Every sealed body, the wrapped key, and a piece from the middle of each file of the case."""
    connection = sqlite3.connect(folder / "data" / "log.sqlite")
    rows = connection.execute("SELECT sealed FROM entries WHERE case_id = ?", (case_id,)).fetchall()
    rows += connection.execute("SELECT wrapped FROM case_keys WHERE case_id = ?", (case_id,)).fetchall()
    connection.close()
    files = [path.read_bytes() for path in files_of(folder, case_id)]
    assert len(files) >= 4, "two of the photo, one of the call, a piece of an upload, a voucher"
    return [row[0] for row in rows] + [data[64:128] for data in files]


def files_of(folder: Path, case_id: str) -> list[Path]:
    found = [path for top in FOLDERS for path in (folder / "data" / top / case_id).rglob("*")]
    return [path for path in found if path.is_file()]


async def all_attempted(caller: Caller) -> None:
    """Until every entry was sent to every webhook once."""
    for _ in range(1_000):
        if all(status.behind == 0 for status in await caller.service.webhooks.statuses()):
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def letters(folder: Path) -> set[int]:
    """The leaves that could not be delivered."""
    connection = sqlite3.connect(folder / "data" / "webhooks.db")
    rows = connection.execute("SELECT leaf_index FROM letters").fetchall()
    connection.close()
    return {row[0] for row in rows}


def disk(folder: Path) -> bytes:
    """Every byte of every file of the service."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def check_chain(entries: list[Entry]) -> None:
    previous = FIRST_PREVIOUS_HASH
    for number, entry in enumerate(entries, start=1):
        check_successor(entry.envelope, case_id=entry.envelope.case_id, number=number, previous_hash=previous)
        previous = entry.hash


async def erase(caller: Caller, case_id: str, **more: Any) -> tuple[int, Any]:
    return await caller.call("POST", f"/api/cases/{case_id}/erase", json=REASON | more)


async def test_nothing_of_a_person_is_left_on_the_disk_and_every_proof_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with calling(tmp_path, PROOFCALL_WEBHOOK_INTERNAL_HOSTS="127.0.0.1:9") as caller:
        status, hook = await caller.call("POST", "/api/webhooks", json={"url": DEAD, "with_bodies": True})
        assert status == 201, hook
        case = await told(caller, tmp_path)
        other = await confirm_receipt(caller)
        proofs = await caller.service.log.inclusion_proofs([entry.leaf_index for entry in case.entries])
        assert opened(tmp_path / "data", case) > 10
        before = disk(tmp_path)
        assert all(part in before for part in case.lying), "or finding none afterwards means nothing"
        await all_attempted(caller)
        leaves = {entry.leaf_index for entry in case.entries}
        assert leaves <= letters(tmp_path)

        status, answer = await erase(caller, case.case_id)
        assert (status, answer) == (200, {"number": len(case.entries) + 1, "complete": True})
        after = disk(tmp_path)
        assert not any(part in after for part in case.lying)
        assert files_of(tmp_path, case.case_id) == []
        for text in (MARKER.encode(), COMMENT.encode()):
            assert text not in before + after
        assert MARKER not in caplog.text
        assert (await search_for(caller, MARKER))["hits"] == []
        assert leaves.isdisjoint(letters(tmp_path))

        entries = await caller.service.log.entries(case.case_id)
        check_chain(entries)
        assert [entry.hash for entry in entries[:-1]] == [entry.hash for entry in case.entries]
        size = proofs[0].tree_size
        assert await caller.service.log.inclusion_proofs(sorted(leaves), size) == proofs
        assert list(audit(tmp_path / "data"))[-1].done == caller.service.log.size
        _, page = await caller.call("GET", f"/api/cases/{case.case_id}/entries")
        shown = page["entries"]
        assert all(entry["body"] is None and entry["salt"] is None for entry in shown[:-1])
        assert (shown[-1]["envelope"]["kind"], shown[-1]["body"]["reason"]) == ("erased", REASON["reason"])
        (read,) = (await caller.service.log.entries(case.case_id))[len(shown) :]
        assert read.envelope.kind == "read", "and is an entry like any other"
    assert opened(tmp_path / "data", case) == 0
    async with calling(tmp_path) as caller:
        assert (await caller.call("GET", f"/api/cases/{case.case_id}"))[1]["state"] == "erased"
        assert (await search_for(caller, MARKER))["hits"] == []
        assert (await caller.service.cases.get(other.case_id)).state.waybill == "SF1000000001"
        assert not any(part in disk(tmp_path) for part in case.lying)


def opened(data: Path, case: Told) -> int:
    """How many of the sealed bodies that somebody has copied open with what the folder holds now."""
    wrapper = AesKeyWrapper(load_secret(data / "wrap.key"), bytes)
    with contextlib.closing(sqlite3.connect(data / "log.sqlite")) as connection:
        seal = read_seal(connection, wrapper, case.case_id)
    count = 0
    for number, sealed in enumerate(case.lying[: len(case.entries)], start=1):
        with contextlib.suppress(MalformedSeal):  # of another key, or of a command with an id
            seal.open_entry(number, 0, None, sealed)
            count += 1
    return count


async def exported(caller: Caller, case_id: str) -> Report:
    status, package = await caller.call("POST", f"/api/cases/{case_id}/export")
    assert status == 200
    assert MARKER.encode() not in package
    return verify_package(package)


async def test_the_package_of_an_erased_case_verifies_and_says_what_is_gone(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        assert (await erase(caller, case.case_id))[0] == 200
        report = await exported(caller, case.case_id)
        assert report.passed, [step for step in report.steps if step.outcome is Outcome.FAILED]
        assert f"the bodies of {len(case.entries)} entries were erased" in report.steps[14].message
        assert REASON["reason"] in report.steps[14].message


@pytest.mark.long
@pytest.mark.parametrize("media", [["recordings"], ["frames"], ["recordings", "frames", "attachments"]])
async def test_the_package_of_a_case_without_its_media_verifies(tmp_path: Path, media: list[str]) -> None:
    async with calling(tmp_path) as caller:
        case_id = await caller.open_case()
        socket, sender, link = await in_call(caller, case_id, "courier")
        await sender.send(1.5)
        await say(socket, "f1", kind="take_frame", of=link["link_id"])
        person = await Person.come(caller, case_id, "customer")
        await person.announce(photo())
        await person.send(photo())
        await person.settled()
        await say(socket, "k9", kind="leave")
        sender.peer.close()
        await caller.service.recordings.drain()
        await caller.call("POST", f"/api/cases/{case_id}/end")
        assert (await exported(caller, case_id)).passed
        assert (await erase(caller, case_id, media=media))[0] == 200
        report = await exported(caller, case_id)
        assert report.passed, [step for step in report.steps if step.outcome is Outcome.FAILED]
        assert "were erased" in report.steps[14].message
        list(audit(tmp_path / "data"))


async def test_a_derived_file_that_is_being_made_meanwhile_does_not_outlive_the_erasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def make() -> bytes:
            begun.set()
            await may_end.wait()
            return b"made of what was erased"

        kept = caller.service.credentials._derivations.kept(case.case_id, "credentials-1.jpg", make)
        making = asyncio.create_task(kept)
        await begun.wait()
        erasing = asyncio.create_task(erase(caller, case.case_id, media=["recordings"]))
        await asyncio.sleep(0.2)
        may_end.set()
        await making
        assert (await erasing)[1]["complete"] is True
        assert not (tmp_path / "data" / "derived" / case.case_id).exists()


async def test_copies_for_an_export_that_are_being_made_meanwhile_do_not_outlive_the_erasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def make(_worker: CredentialsWorker, picture: bytes, *_: object) -> bytes:
        begun.set()
        await may_end.wait()
        return picture

    monkeypatch.setattr(CredentialsWorker, "make", make)
    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        exporting = asyncio.create_task(caller.call("POST", f"/api/cases/{case.case_id}/export"))
        await begun.wait()
        erasing = asyncio.create_task(erase(caller, case.case_id, media=["attachments"]))
        # The package that was begun is not made: it would hold what is to be gone.
        status, answer = await asyncio.wait_for(exporting, 10)
        assert (status, answer["error"]["code"]) == (409, "erased_meanwhile")
        assert not erasing.done()
        may_end.set()
        assert (await erasing)[1]["complete"] is True
        assert not (tmp_path / "data" / "derived" / case.case_id).exists()


async def test_a_package_on_its_way_breaks_off_once_something_of_its_case_is_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = Export.pieces
    begun = asyncio.Event()

    async def slowly(export: Export) -> AsyncIterator[bytes]:
        async for piece in pieces(export):
            yield piece[:1_000]
            begun.set()
            await asyncio.Event().wait()

    async def no_reports(*_: object) -> dict[str, bytes]:
        return {}  # they are told from a small package, which is not the one on its way

    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        monkeypatch.setattr(Packages, "_reports", no_reports)
        monkeypatch.setattr(Export, "pieces", slowly)
        exporting = asyncio.create_task(caller.call("POST", f"/api/cases/{case.case_id}/export"))
        await begun.wait()
        assert (await erase(caller, case.case_id, media=["attachments"]))[1]["complete"] is True
        with pytest.raises(ClientPayloadError):
            await asyncio.wait_for(exporting, 10)
        monkeypatch.undo()
        status, package = await caller.call("POST", f"/api/cases/{case.case_id}/export")
        assert status == 200 and verify_package(package).passed


async def test_under_a_legal_hold_nothing_is_gone(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        status, hold = await caller.call("POST", f"/api/cases/{case.case_id}/holds", json=REASON)
        assert status == 201
        for more in ({}, {"media": ["frames"]}, {"media": ["recordings", "attachments"]}):
            status, answer = await erase(caller, case.case_id, **more)
            assert (status, answer["error"]["code"]) == (409, "legal_hold")
        after = disk(tmp_path)
        assert all(part in after for part in case.lying)
        entries = await caller.service.log.entries(case.case_id)
        assert entries[:-1] == case.entries
        _, summary = await caller.call("GET", f"/api/cases/{case.case_id}")
        assert summary["holds"] == [hold["number"]]
        lift = f"/api/cases/{case.case_id}/holds/{hold['number']}/lift"
        qa = case.links["qa"]["token"]
        assert (await caller.call("POST", lift, json=REASON, bearer=qa))[0] == 403
        assert (await caller.call("POST", lift, json=REASON))[0] == 200
        assert (await caller.call("POST", lift, json=REASON))[0] == 404
        assert (await erase(caller, case.case_id))[0] == 200


async def test_recordings_go_and_photos_stay(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        status, answer = await erase(caller, case.case_id, media=["recordings"])
        assert status == 200 and answer["complete"]
        entries = await caller.service.log.entries(case.case_id)
        gone = [entry.envelope.kind for entry in entries if entry.is_erased]
        assert gone == ["segment_sealed"]
        assert [entry for entry in entries[:-1] if not entry.is_erased] == [
            entry for entry in case.entries if entry.envelope.kind != "segment_sealed"
        ]
        _, calls = await caller.call("GET", f"/api/cases/{case.case_id}/calls")
        assert [call["recordings"] for call in calls["calls"]] == [[]]
        ((stored, _),) = list((await caller.service.cases.get(case.case_id)).state.talk.shown.items())
        path = f"/api/cases/{case.case_id}/blobs/{stored}"
        assert (await caller.call("GET", path, bearer=case.links["qa"]["token"]))[0] == 200
        (number,) = (await caller.service.cases.get(case.case_id)).state.talk.originals.values()
        assert (await erase(caller, case.case_id, numbers=[number]))[0] == 200
        assert (await caller.call("GET", path, bearer=case.links["qa"]["token"]))[0] == 404
        assert (await erase(caller, case.case_id, numbers=[number]))[0] == 404
        list(audit(tmp_path / "data"))


async def test_the_links_of_an_erased_case_open_nothing(caller: Caller, tmp_path: Path) -> None:
    case = await told(caller, tmp_path)
    customer = case.links["customer"]["token"]
    page = await greet(caller, case.case_id, customer)
    await up_to(page, "synced")
    assert (await erase(caller, case.case_id))[0] == 200
    assert await close_code(page) == 4414
    assert await close_code(await greet(caller, case.case_id, customer)) == 4414
    path = f"/api/cases/{case.case_id}"
    status, answer = await caller.call("GET", path, bearer=customer)
    assert (status, answer["error"]["code"]) == (410, "erased")
    for what in (case.voucher_path, f"{case.voucher_path}/pdf", f"{case.voucher_path}/qr"):
        status, answer = await caller.call("GET", what, bearer=None)
        assert (status, answer["error"]["code"]) == (410, "erased")
    assert (await caller.call("GET", f"{path}/voucher"))[0] == 410
    body = {"role": "customer", "name": "again"}
    assert (await caller.call("POST", f"{path}/links", json=body))[0] == 409
    reviewer = await caller.link(case.case_id, "qa", "a reviewer")
    socket = await greet(caller, case.case_id, reviewer["token"])
    messages = await up_to(socket, "synced")
    assert messages[0]["case"]["state"] == "erased" and messages[0]["case"]["waybill"] == ""
    bodies = {
        message["entry"]["envelope"]["kind"]: message["entry"]["body"]
        for message in messages
        if message["type"] == "entry"
    }
    assert bodies["text"] is None and bodies["erased"]["reason"] == REASON["reason"]
    await socket.close()


async def test_what_cannot_be_erased_now_is_told(caller: Caller) -> None:
    case_id = await caller.open_case()
    status, answer = await erase(caller, case_id)
    assert (status, answer["error"]["code"]) == (409, "wrong_step")
    assert (await caller.call("POST", f"/api/cases/{case_id}/erase", json={}))[0] == 400
    assert (await caller.call("POST", f"/api/cases/{case_id}/erase", json={"reason": " "}))[0] == 400
    assert (await erase(caller, case_id, media=["frames"], numbers=[1]))[0] == 400
    assert (await erase(caller, case_id, media=["texts"]))[0] == 400
    assert (await erase(caller, "c_" + "z" * 20))[0] == 404
    qa = await caller.link(case_id, "qa")
    path = f"/api/cases/{case_id}/erase"
    assert (await caller.call("POST", path, json=REASON, bearer=qa["token"]))[0] == 403
    await caller.call("POST", f"/api/cases/{case_id}/end")
    status, answer = await erase(caller, case_id)
    assert (status, answer["complete"]) == (200, True)
    assert await erase(caller, case_id) == (200, {"number": None, "complete": True})


async def test_an_erasure_is_complete_once_an_audit_beside_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.erasing.RETRY_S", 0.05)
    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "log.sqlite")) as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM entries").fetchone()
            _, answer = await erase(caller, case.case_id)
            assert answer["complete"] is False
            assert (await erase(caller, case.case_id))[1] == {"number": None, "complete": False}
        await idle(caller)
        assert (await erase(caller, case.case_id))[1]["complete"] is True
        assert not any(part in disk(tmp_path) for part in case.lying)


async def refuse(_: object) -> None:
    raise FailedAppend("the disk is full")


async def test_an_erasure_that_breaks_in_the_middle_goes_on_and_is_not_called_complete_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.erasing.RETRY_S", 0.05)
    async with calling(tmp_path) as caller:
        case = await told(caller, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(caller.service.webhooks, "forget", refuse)
            patch.setattr(caller.service.uploads, "forget", refuse)
            status, answer = await erase(caller, case.case_id)
            assert (status, answer) == (200, {"number": len(case.entries) + 1, "complete": False})
            assert not any(part in disk(tmp_path) for part in case.lying), "what can go is gone"
            assert await erase(caller, case.case_id) == (200, {"number": None, "complete": False})
            assert caller.service.erasing.unfinished == 1
        await idle(caller)
        assert caller.service.erasing.unfinished == 0
        assert await erase(caller, case.case_id) == (200, {"number": None, "complete": True})


async def test_an_erasure_that_a_stop_cut_off_is_taken_up_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.app.DRAIN_S", 0.1)
    hosts = {"PROOFCALL_WEBHOOK_INTERNAL_HOSTS": "127.0.0.1:9"}
    async with calling(tmp_path, **hosts) as caller:
        assert (await caller.call("POST", "/api/webhooks", json={"url": DEAD}))[0] == 201
        case = await told(caller, tmp_path)
        await all_attempted(caller)
        with monkeypatch.context() as patch:
            patch.setattr(caller.service.webhooks, "forget", refuse)
            assert (await erase(caller, case.case_id))[1]["complete"] is False
    leaves = {entry.leaf_index for entry in case.entries}
    assert leaves <= letters(tmp_path)
    async with calling(tmp_path, **hosts) as caller:
        for _ in range(1_000):
            if not caller.service.erasing.unfinished:
                break
            await asyncio.sleep(0.01)
        assert leaves.isdisjoint(letters(tmp_path))
        assert await erase(caller, case.case_id) == (200, {"number": None, "complete": True})


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_what_is_still_being_recorded_when_somebody_erases_is_erased_with_the_rest(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    case_id = await caller.open_case()
    socket, sender, _ = await in_call(caller, case_id, "courier")
    put, free = caller.service.blobs.put_now, threading.Event()

    def slow(*arguments: Any) -> str:
        free.wait()
        return put(*arguments)

    monkeypatch.setattr(caller.service.blobs, "put_now", slow)
    await sender.send(0.5)
    await say(socket, "k9", kind="leave")
    sender.peer.close()
    if whole:
        assert (await caller.call("POST", f"/api/cases/{case_id}/end"))[0] == 200
    more = {} if whole else {"media": ["recordings"]}
    erasing = asyncio.create_task(erase(caller, case_id, **more))
    await asyncio.sleep(0.3)
    free.set()
    assert (await erasing)[1]["complete"] is True
    await caller.service.recordings.drain()
    entries = await caller.service.log.entries(case_id)
    recorded = [entry for entry in entries if entry.envelope.kind == "segment_sealed"]
    assert recorded and all(entry.is_erased for entry in recorded)
    assert caller.service.recordings.trouble is None


async def test_what_cannot_be_written_in_time_is_waited_for_by_who_erases(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.erasing.RECORDINGS_S", 0.05)
    case_id = await caller.open_case()
    assert (await caller.call("POST", f"/api/cases/{case_id}/end"))[0] == 200

    async def settle(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(caller.service.recordings, "settle", settle)
    status, answer = await erase(caller, case_id)
    assert (status, answer["error"]["code"]) == (503, "log_overloaded")
    monkeypatch.undo()
    assert (await erase(caller, case_id))[1]["complete"] is True
