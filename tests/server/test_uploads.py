"""Attachments, from what announces them to what settles them: what breaks goes on, who lies is refused."""

import asyncio
import base64
import hashlib
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientWebSocketResponse
from PIL import Image
from tusclient import client as tus_client
from tusclient.exceptions import TusCommunicationError
from tusclient.uploader.uploader import Uploader

from media.attachments import Looked, look
from server import uploads
from server.evidence.verify import verify_package
from server.store.errors import FailedAppend
from server.store.uploads import PIECE_BYTES
from signaling.talk import MAX_ATTACHMENT_BYTES
from tests.conftest import API_KEY, Caller, calling
from tests.media.attachment_files import PLACE, photo, plain, voice
from tests.server.recording import all_entries, until_said
from tests.server.test_custody import entries
from tests.server.test_socket import greet, say, up_to

VERSION = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def attachment(data: bytes, medium: str = "photo", **other: Any) -> dict[str, Any]:
    """What a phone says of bytes that it has."""
    return {
        "medium": medium,
        "sha256": sha256(data),
        "size_bytes": len(data),
        "media_type": "image/jpeg" if medium == "photo" else "audio/webm",
        "capture_path": "camera" if medium == "photo" else "microphone",
        "captured_at": "2026-11-22T14:03:20.000Z",
    } | other


@dataclass
class Person:
    """Somebody with a page and an uploader."""

    caller: Caller
    case_id: str
    role: str
    link: dict[str, Any]
    socket: ClientWebSocketResponse
    said: int = 0

    @classmethod
    async def come(
        cls, caller: Caller, case_id: str, role: str = "courier", link: dict[str, Any] | None = None
    ) -> "Person":
        link = link or await caller.link(case_id, role)
        socket = await greet(caller, case_id, link["token"])
        await up_to(socket, "synced")
        return cls(caller=caller, case_id=case_id, role=role, link=link, socket=socket)

    @property
    def url(self) -> str:
        return f"{self.caller.url}/api/cases/{self.case_id}/uploads"

    async def say(self, **command: Any) -> dict[str, Any]:
        self.said += 1
        return await say(self.socket, f"{self.link['link_id']}-{self.said}", **command)

    async def announce(self, data: bytes, medium: str = "photo", **other: Any) -> int:
        """The number of the entry."""
        answer = await self.say(kind="attach", attachment=attachment(data, medium, **other))
        assert answer["type"] == "ack", answer
        return int(answer["number"])

    async def ask(
        self, method: str, url: str, *, headers: dict[str, str] | None = None, data: Any = None
    ) -> ClientResponse:
        bearer = {"Authorization": f"Bearer {self.link['token']}"}
        data = io.BytesIO(data) if isinstance(data, bytes) else data
        async with self.caller.http.request(
            method, url, headers=VERSION | bearer | (headers or {}), data=data
        ) as answer:
            await answer.read()
        return answer

    async def begin(self, data: bytes, **other: str) -> ClientResponse:
        headers = {
            "Upload-Length": str(len(data)),
            "Upload-Metadata": f"filename {base64_of(b'p.jpg')},sha256 {base64_of(sha256(data).encode())}",
        }
        return await self.ask("POST", self.url, headers=headers | other)

    async def patch(self, data: bytes, offset: int, part: bytes, **other: str) -> ClientResponse:
        headers = OCTETS | {"Upload-Offset": str(offset)} | other
        return await self.ask("PATCH", f"{self.url}/{sha256(data)}", headers=headers, data=part)

    async def send(self, data: bytes) -> None:
        """All of it, as it should be."""
        begun = await self.begin(data)
        assert begun.status == 201, await begun.text()
        offset = int(begun.headers["Upload-Offset"])
        if offset < len(data):
            assert (await self.patch(data, offset, data[offset:])).status == 204

    async def offset(self, data: bytes) -> int | None:
        answer = await self.ask("HEAD", f"{self.url}/{sha256(data)}")
        return int(answer.headers["Upload-Offset"]) if answer.status == 200 else None

    async def settled(self) -> tuple[str, dict[str, Any]]:
        """Kind and body of the next entry that settles an attachment."""
        while True:
            message = await self.socket.receive_json(timeout=30)
            if message["type"] == "entry":
                kind = message["entry"]["envelope"]["kind"]
                if kind in ("attachment_stored", "attachment_refused"):
                    return kind, message["entry"]["body"]

    def uploader(self, data: bytes, **how: Any) -> Uploader:
        """The one of tuspy, a client that nobody here wrote."""
        headers = {"Authorization": f"Bearer {self.link['token']}"}
        made: Uploader = tus_client.TusClient(self.url, headers=headers).uploader(
            file_stream=io.BytesIO(data), metadata={"sha256": sha256(data)}, **how
        )
        return made

    async def get(self, blob: str) -> tuple[int, Any]:
        return await self.caller.call(
            "GET", f"/api/cases/{self.case_id}/blobs/{blob}", bearer=self.link["token"]
        )


@pytest.fixture
async def courier(caller: Caller) -> Person:
    return await Person.come(caller, await caller.open_case())


def folder_of(tmp_path: Path) -> list[Path]:
    """The files of unfinished uploads."""
    walk = os.walk(tmp_path / "data" / "uploads")  # `rglob` fails if a folder goes meanwhile
    return sorted(Path(folder) / name for folder, _, names in walk for name in names)


async def until(holds: Callable[[], object]) -> None:
    for _ in range(3_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def noise(size: int) -> bytes:
    """A PNG that does not shrink, of about this size."""
    side = int((size / 3) ** 0.5)
    return plain(Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)), "PNG")


# --- the way of an attachment ---


async def test_an_announced_photo_is_stored_and_shown_without_its_place(courier: Person) -> None:
    data = photo("JPEG", orientation=6)
    number = await courier.announce(data, media_type="image/png")
    begun = await courier.begin(data)
    assert begun.status == 201
    assert begun.headers["Location"] == f"/api/cases/{courier.case_id}/uploads/{sha256(data)}"
    assert begun.headers["Upload-Offset"] == "0"
    expires_at = parsedate_to_datetime(begun.headers["Upload-Expires"])
    assert abs(expires_at - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)
    sent = await courier.patch(data, 0, data)
    assert sent.status == 204 and sent.headers["Upload-Offset"] == str(len(data))
    kind, body = await courier.settled()
    assert (kind, body["number"], body["sha256"]) == ("attachment_stored", number, sha256(data))
    assert body["original"] == {"sha256": sha256(data), "size_bytes": len(data), "media_type": "image/jpeg"}
    assert (body["width"], body["height"], body["duration_ms"], body["waveform"]) == (480, 640, None, [])
    status, shown = await courier.get(body["shown"]["sha256"])
    assert status == 200 and (sha256(shown), len(shown)) == (
        body["shown"]["sha256"],
        body["shown"]["size_bytes"],
    )
    qa = await Person.come(courier.caller, courier.case_id, "qa")
    status, original = await qa.get(sha256(data))
    assert status == 200 and original == data
    assert PLACE.encode() in original and PLACE.encode() not in shown


@pytest.mark.parametrize(("form", "codec"), [("webm", "libopus"), ("mp4", "aac")])
async def test_a_voice_note_comes_out_as_one_that_plays_everywhere(
    courier: Person, form: str, codec: str
) -> None:
    data = voice(form, codec)
    await courier.announce(data, "voice")
    await courier.send(data)
    kind, body = await courier.settled()
    assert kind == "attachment_stored"
    assert body["original"]["media_type"] == f"audio/{form}"
    assert body["shown"]["media_type"] == "audio/mp4"
    assert abs(body["duration_ms"] - 2_000) < 60 and len(body["waveform"]) == 64
    status, shown = await courier.get(body["shown"]["sha256"])
    assert status == 200 and shown[4:8] == b"ftyp"


async def test_the_real_client_uploads_in_pieces_with_checksums(courier: Person, tmp_path: Path) -> None:
    data = noise(3 << 20)
    await courier.announce(data)
    uploader = await asyncio.to_thread(courier.uploader, data, chunk_size=700_000, upload_checksum=True)
    await asyncio.to_thread(uploader.upload)
    assert uploader.url == f"{courier.url}/{sha256(data)}"
    kind, body = await courier.settled()
    assert kind == "attachment_stored" and body["original"]["sha256"] == sha256(data)
    await until(lambda: not folder_of(tmp_path))


async def test_the_real_client_goes_on_after_a_broken_connection(courier: Person) -> None:
    data = noise(4 << 20)
    await courier.announce(data)
    assert (await courier.begin(data)).status == 201
    writer = await broken_patch(courier, data, sent=2_500_000)
    upload = courier.caller.service.uploads._store.all()[0]
    await until(lambda: upload.offset_bytes >= 2 * PIECE_BYTES)
    writer.transport.abort()
    uploader = await asyncio.to_thread(courier.uploader, data, url=f"{courier.url}/{sha256(data)}")
    assert 2 * PIECE_BYTES <= uploader.offset <= 2_500_000, "what came before the break is kept"
    await asyncio.to_thread(uploader.upload)
    assert (await courier.settled())[1]["original"]["sha256"] == sha256(data)


async def test_the_real_client_goes_on_after_the_service_was_started_anew(tmp_path: Path) -> None:
    data = noise(3 << 20)
    async with calling(tmp_path) as caller:
        courier = await Person.come(caller, await caller.open_case())
        await courier.announce(data)
        uploader = await asyncio.to_thread(courier.uploader, data, chunk_size=500_000)
        for _ in range(3):
            await asyncio.to_thread(uploader.upload_chunk)
        assert folder_of(tmp_path)
    async with calling(tmp_path) as caller:
        courier = await Person.come(caller, courier.case_id, link=courier.link)
        again = await asyncio.to_thread(courier.uploader, data, url=f"{courier.url}/{sha256(data)}")
        assert again.offset == 1_500_000
        await asyncio.to_thread(again.upload)
        assert (await courier.settled())[1]["original"]["sha256"] == sha256(data)
        assert (await courier.begin(data)).headers["Upload-Offset"] == str(len(data))


async def broken_patch(person: Person, data: bytes, *, sent: int, offset: int = 0) -> asyncio.StreamWriter:
    """A PATCH of all that is missing, of which only so much is sent; its connection stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(person.caller.url.rpartition(":")[2]))
    head = {
        "Host": "127.0.0.1",
        "Authorization": f"Bearer {person.link['token']}",
        "Upload-Offset": str(offset),
        "Content-Length": str(len(data) - offset),
    }
    lines = [f"{name}: {value}" for name, value in (head | VERSION | OCTETS).items()]
    path = f"/api/cases/{person.case_id}/uploads/{sha256(data)}"
    writer.write("\r\n".join([f"PATCH {path} HTTP/1.1", *lines, "", ""]).encode() + data[:sent])
    await writer.drain()
    person.reader = reader  # type: ignore[attr-defined]
    return writer


# --- what breaks, and what comes twice ---


async def test_a_newer_request_takes_an_upload_over_from_a_dead_connection(courier: Person) -> None:
    data = noise(2 << 20)
    await courier.announce(data)
    await courier.begin(data)
    writer = await broken_patch(courier, data, sent=PIECE_BYTES + 1)
    await until(lambda: courier.caller.service.uploads._store.all()[0].offset_bytes >= PIECE_BYTES)
    offset = await courier.offset(data)
    assert offset is not None and PIECE_BYTES <= offset <= PIECE_BYTES + 1
    status_line = await asyncio.wait_for(courier.reader.readline(), 5)  # type: ignore[attr-defined]
    assert status_line.startswith(b"HTTP/1.1 409")
    assert (await courier.patch(data, offset, data[offset:])).status == 204
    assert (await courier.settled())[0] == "attachment_stored"
    writer.close()


async def test_of_three_requests_the_newest_waits_for_neither_of_the_dead(courier: Person) -> None:
    data = noise(2 << 20)
    await courier.announce(data)
    await courier.begin(data)
    service = courier.caller.service
    writers = [await broken_patch(courier, data, sent=1)]
    (upload,) = service.uploads._store.all()
    turns = service.uploads._turns
    await until(lambda: upload.key in turns and turns[upload.key].body is not None)
    turn = turns[upload.key]
    reading, finish = asyncio.Event(), service.background.finish

    async def slow(work: Coroutine[Any, Any, Any]) -> Any:  # the first is still writing as the others come
        await reading.wait()
        return await finish(work)

    service.uploads._background.finish = slow  # type: ignore[method-assign]
    writers.append(await broken_patch(courier, data, sent=0, offset=1))
    await until(lambda: turn.users == 2)
    asking = asyncio.create_task(courier.offset(data))
    await until(lambda: turn.users == 3)
    reading.set()
    async with asyncio.timeout(10):
        assert await asking == 1
    for writer in writers:
        writer.close()


async def test_what_came_of_a_body_that_stops_coming_is_kept(
    courier: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PAUSE_S", 0.3)
    data = photo()
    await courier.announce(data)
    await courier.begin(data)
    writer = await broken_patch(courier, data, sent=5_000)
    status_line = await asyncio.wait_for(courier.reader.readline(), 5)  # type: ignore[attr-defined]
    assert status_line.startswith(b"HTTP/1.1 408")
    assert await courier.offset(data) == 5_000
    writer.close()


async def test_what_came_before_the_service_stops_is_kept(tmp_path: Path) -> None:
    data = photo()
    async with calling(tmp_path) as caller:
        courier = await Person.come(caller, await caller.open_case())
        await courier.announce(data)
        await courier.begin(data)
        writer = await broken_patch(courier, data, sent=5_000)
        turns = caller.service.uploads._turns
        await until(lambda: any(turn.body is not None for turn in turns.values()))
    writer.close()
    async with calling(tmp_path) as caller:
        courier = await Person.come(caller, courier.case_id, link=courier.link)
        assert await courier.offset(data) == 5_000


async def test_the_same_upload_begun_again_is_found_where_it_was(courier: Person, tmp_path: Path) -> None:
    data = photo()
    await courier.announce(data)
    first = await courier.begin(data)
    await courier.patch(data, 0, data[:1_000])
    second = await courier.begin(data)
    assert second.status == 201 and second.headers["Location"] == first.headers["Location"]
    assert second.headers["Upload-Offset"] == "1000" == str(await courier.offset(data))
    assert len(folder_of(tmp_path)) == 1


async def test_two_devices_of_one_person_may_send_the_same_photo(courier: Person) -> None:
    data = noise(3 << 20)
    number = await courier.announce(data)
    devices = [
        await asyncio.to_thread(courier.uploader, data, chunk_size=250_000, retries=20, retry_delay=0)
        for _ in range(2)
    ]
    await asyncio.gather(*(asyncio.to_thread(device.upload) for device in devices))
    kind, body = await courier.settled()
    assert (kind, body["number"]) == ("attachment_stored", number)
    settled = await entries(courier.caller, courier.case_id, "attachment_stored", "attachment_refused")
    assert len(settled) == 1


async def test_the_same_photo_of_two_people_is_settled_for_both(courier: Person) -> None:
    customer = await Person.come(courier.caller, courier.case_id, "customer")
    data = noise(1 << 20)
    numbers = {person.link["link_id"]: await person.announce(data) for person in (courier, customer)}
    await asyncio.gather(courier.send(data), customer.send(data))
    for _ in numbers:
        assert (await courier.settled())[0] == "attachment_stored"
    stored = await entries(courier.caller, courier.case_id, "attachment_stored")
    assert {entry["actor_id"]: entry["number"] for entry in stored}.keys() == numbers.keys()
    bodies = [
        entry["body"] for entry in await all_entries(courier.caller, courier.case_id, "attachment_stored")
    ]
    assert {body["number"] for body in bodies} == set(numbers.values())
    assert bodies[0]["shown"] == bodies[1]["shown"]


async def test_all_that_waits_for_the_same_bytes_is_settled_by_one_upload(courier: Person) -> None:
    data = photo()
    numbers = [await courier.announce(data), await courier.announce(data)]
    await courier.send(data)
    assert [(await courier.settled())[1]["number"] for _ in numbers] == numbers


async def test_bytes_that_the_case_has_already_are_not_sent_again(courier: Person, tmp_path: Path) -> None:
    data = photo()
    await courier.announce(data)
    await courier.send(data)
    _, first = await courier.settled()
    number = await courier.announce(data)
    customer = await Person.come(courier.caller, courier.case_id, "customer")
    theirs = await customer.announce(data)
    for person, mine in ((courier, number), (customer, theirs)):
        begun = await person.begin(data)
        assert begun.status == 201 and begun.headers["Upload-Offset"] == str(len(data))
        while (body := (await person.settled())[1])["number"] != mine:
            pass
        assert body == first | {"number": mine}
        assert await person.offset(data) == len(data)
    assert folder_of(tmp_path) == []


async def test_who_may_not_see_a_photo_does_not_get_at_it_by_its_hash(courier: Person) -> None:
    data = photo()
    reported = await courier.say(kind="report_exception", exception="damage", attachments=[attachment(data)])
    assert reported["type"] == "ack", reported
    await courier.send(data)
    _, body = await courier.settled()
    guest = await Person.come(courier.caller, courier.case_id, "guest")
    customer = await Person.come(courier.caller, courier.case_id, "customer")
    shown = body["shown"]["sha256"]
    assert (await guest.get(shown))[0] == 403 and (await customer.get(shown))[0] == 200
    await guest.announce(data)
    assert (await guest.begin(data)).headers["Upload-Offset"] == "0", "a hash alone is no proof of having it"
    assert (await guest.get(shown))[0] == 403
    assert (await guest.patch(data, 0, bytes(len(data)))).status == 204
    assert (await guest.settled())[0] == "attachment_refused"
    assert (await guest.get(shown))[0] == 403
    await guest.announce(data)
    await guest.send(data)
    assert (await guest.settled())[0] == "attachment_stored"
    assert (await guest.get(shown))[0] == 200


async def test_what_was_whole_when_the_service_died_is_settled_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photo()
    async with calling(tmp_path) as caller:
        courier = await Person.come(caller, await caller.open_case())
        await courier.announce(data)
        monkeypatch.setattr(caller.service.uploads, "_settle_soon", lambda *_: None)
        await courier.send(data)
        assert await courier.offset(data) == len(data)
        assert await entries(caller, courier.case_id, "attachment_stored") == []
    async with calling(tmp_path) as caller:
        case = await caller.service.cases.get(courier.case_id)
        await until(lambda: sha256(data) in case.state.talk.originals)
        (stored,) = await entries(caller, courier.case_id, "attachment_stored")
        assert stored["actor_id"] == courier.link["link_id"]
        await until(lambda: not folder_of(tmp_path))


async def test_what_could_not_be_written_to_the_log_is_settled_when_it_is_asked_for(
    courier: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, service = photo(), courier.caller.service
    await courier.announce(data)
    refused: list[object] = []

    async def refuse(*given: object, **_: object) -> None:
        refused.append(given)
        raise FailedAppend("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(service.log, "append", refuse)
        await courier.send(data)
        await until(lambda: refused and not service.uploads._settling)
    assert await courier.offset(data) == len(data)
    assert (await courier.settled())[0] == "attachment_stored"


async def test_a_disk_that_refuses_is_told_and_the_upload_goes_on_later(
    courier: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photo()
    await courier.announce(data)
    await courier.begin(data)

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        answer = await courier.patch(data, 0, data)
    assert answer.status == 507
    assert await courier.offset(data) == 0
    await courier.send(data)
    assert (await courier.settled())[0] == "attachment_stored"


async def test_what_was_laid_aside_when_the_disk_refused_is_not_taken_for_the_next_body(
    courier: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(3 << 20)
    await courier.announce(data)
    await courier.begin(data)
    checksum = {"Upload-Checksum": f"sha256 {base64_of(hashlib.sha256(data).digest())}"}
    make_file, made = tempfile.mkstemp, list[object]()

    def refuse_the_third(**how: Any) -> tuple[int, str]:
        made.append(how)
        if len(made) == 3:
            raise OSError(28, "No space left on device")
        return make_file(**how)

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkstemp", refuse_the_third)
        assert (await courier.patch(data, 0, data, **checksum)).status == 507
    assert await courier.offset(data) == 0
    assert (await courier.patch(data, 0, data, **checksum)).status == 204
    assert (await courier.settled())[0] == "attachment_stored"


# --- who lies ---


async def test_other_bytes_than_announced_are_refused_and_dropped(courier: Person, tmp_path: Path) -> None:
    data = photo()
    number = await courier.announce(data)
    other = bytes(len(data))
    await courier.begin(data)
    assert (await courier.patch(data, 0, other)).status == 204
    kind, body = await courier.settled()
    assert (kind, body["number"], body["reason"]) == ("attachment_refused", number, "wrong_hash")
    await until(lambda: not folder_of(tmp_path))
    assert (await courier.begin(data)).status == 409
    assert await courier.offset(data) is None
    assert (await courier.get(sha256(other)))[0] == 404
    await courier.announce(data)
    await courier.send(data)
    assert (await courier.settled())[0] == "attachment_stored", "announced anew, it may be sent anew"


@pytest.mark.parametrize(
    ("medium", "data", "reason"),
    [
        ("photo", voice(), "wrong_kind"),
        ("voice", photo(), "wrong_kind"),
        ("photo", b"<!doctype html><script>alert(1)</script>", "wrong_kind"),
        ("photo", photo()[:-3_000], "broken"),
    ],
    ids=["a voice note as a photo", "a photo as a voice note", "a page", "half a photo"],
)
async def test_what_is_not_what_it_was_announced_as_is_refused(
    courier: Person, tmp_path: Path, medium: str, data: bytes, reason: str
) -> None:
    await courier.announce(data, medium)
    await courier.send(data)
    kind, body = await courier.settled()
    assert (kind, body["reason"]) == ("attachment_refused", reason) and body["message"]
    await until(lambda: not folder_of(tmp_path))
    assert not list((tmp_path / "data" / "blobs").glob("[!.]*/*")), "nothing of it stays"


async def test_one_person_holds_up_nobody_elses_photos(
    courier: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on, looked_at = asyncio.Event(), list[bytes]()

    async def slow(data: bytes, medium: str) -> Looked:
        looked_at.append(data)
        if data in hostile:
            await going_on.wait()
        return await look(data, medium)

    monkeypatch.setattr(uploads, "look", slow)
    hostile, harmless = [photo(width=width) for width in (100, 110, 120)], photo()
    customer = await Person.come(courier.caller, courier.case_id, "customer")
    for data in hostile:
        await courier.announce(data)
        await courier.send(data)
    await until(lambda: looked_at)
    await customer.announce(harmless)
    await customer.send(harmless)
    kind, body = await customer.settled()
    assert kind == "attachment_stored" and body["sha256"] == sha256(harmless)
    assert looked_at == [hostile[0], harmless], "one at a time of one person"
    going_on.set()
    for _ in hostile:
        assert (await courier.settled())[0] == "attachment_stored"


@pytest.mark.parametrize(("death", "looks"), [("XCPU", 1), ("SEGV", 2)])
async def test_what_took_too_much_work_is_looked_at_once_alone(
    courier: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, death: str, looks: int
) -> None:
    worker, told = tmp_path / "worker", tmp_path / "told"
    worker.write_text(f"#!/bin/sh\necho >>{told}\nkill -{death} $$\n")
    worker.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(worker))
    data = photo()
    await courier.announce(data)
    await courier.send(data)
    kind, body = await courier.settled()
    assert (kind, body["reason"]) == ("attachment_refused", "too_costly" if looks == 1 else "crashed")
    assert len(told.read_text().splitlines()) == looks


async def test_of_two_claims_about_the_same_bytes_the_false_one_is_refused(courier: Person) -> None:
    data = photo()
    right = await courier.announce(data)
    as_voice = await courier.announce(data, "voice")
    longer = await courier.announce(data, size_bytes=len(data) + 1)
    await courier.send(data)
    settled = [await courier.settled() for _ in range(3)]
    assert {body["number"]: body.get("reason") for _, body in settled} == {
        right: None,
        as_voice: "wrong_kind",
        longer: "wrong_size",
    }


async def test_what_was_not_announced_cannot_be_sent(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    customer = await Person.come(courier.caller, courier.case_id, "customer")
    for person, sent in ((courier, voice()), (customer, data)):
        answer = await person.begin(sent)
        assert answer.status == 409
        assert (await answer.json())["error"]["code"] == "unknown_attachment"
    await courier.begin(data)
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = await customer.ask(
            method, f"{customer.url}/{sha256(data)}", headers=OCTETS | {"Upload-Offset": "0"}
        )
        assert answer.status == 404, (method, "another person's upload")
    stranger = await Person.come(courier.caller, await courier.caller.open_case(), "courier")
    for method, url in (("POST", courier.url), ("HEAD", f"{courier.url}/{sha256(data)}")):
        assert (await stranger.ask(method, url)).status == 403
    assert (
        await courier.ask("POST", courier.url, headers={"Authorization": f"Bearer {API_KEY}"})
    ).status == 403


@pytest.mark.parametrize(
    ("length", "status"), [(-1, 413), (1, 413), (MAX_ATTACHMENT_BYTES, 413)], ids=["less", "more", "a lot"]
)
async def test_a_length_that_was_not_announced_is_refused(courier: Person, length: int, status: int) -> None:
    data = photo()
    await courier.announce(data)
    answer = await courier.begin(data, **{"Upload-Length": str(len(data) + length)})
    assert answer.status == status


async def test_more_bytes_than_announced_are_not_taken(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    await courier.begin(data)
    assert (await courier.patch(data, 0, data + b"x")).status == 413

    async def endless() -> AsyncIterator[bytes]:
        yield data[:1_000]
        yield data

    answer = await courier.ask(
        "PATCH",
        f"{courier.url}/{sha256(data)}",
        headers=OCTETS | {"Upload-Offset": "0"},
        data=endless(),
    )
    assert answer.status == 413
    assert (await courier.offset(data) or 0) <= 1_000


async def test_the_room_of_a_person_ends_at_the_announcement(courier: Person) -> None:
    answers = [
        await courier.say(
            kind="attach",
            attachment=attachment(b"", sha256=f"{number:064x}", size_bytes=MAX_ATTACHMENT_BYTES),
        )
        for number in range(11)
    ]
    assert [answer["type"] for answer in answers] == ["ack"] * 10 + ["nack"]
    assert answers[-1]["code"] == "quota"


async def test_a_person_has_few_uploads_under_way(courier: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_AT_ONCE", 2)
    photos = [photo(width=100 + number, height=100) for number in range(3)]
    for data in photos:
        await courier.announce(data)
    assert [(await courier.begin(data)).status for data in photos] == [201, 201, 429]
    assert (await (await courier.begin(photos[2])).json())["error"]["code"] == "too_many_uploads"
    assert (await courier.begin(photos[0])).status == 201, "what has begun may go on"
    assert (await courier.ask("DELETE", f"{courier.url}/{sha256(photos[0])}")).status == 204
    assert (await courier.begin(photos[2])).status == 201


# --- the protocol ---


async def test_a_checksum_that_does_not_match_leaves_nothing_of_its_piece(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    await courier.begin(data)
    first = data[:2_000]
    assert (await courier.patch(data, 0, first)).status == 204
    wrong = {"Upload-Checksum": f"sha256 {base64_of(hashlib.sha256(b'other').digest())}"}
    answer = await courier.patch(data, 2_000, data[2_000:], **wrong)
    assert answer.status == 460
    assert await courier.offset(data) == 2_000
    right = {"Upload-Checksum": f"sha1 {base64_of(hashlib.sha1(data[2_000:]).digest())}"}
    assert (await courier.patch(data, 2_000, data[2_000:], **right)).status == 204
    assert (await courier.settled())[0] == "attachment_stored"


async def test_every_answer_says_which_tus_it_is(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    url = f"{courier.url}/{sha256(data)}"
    patch = OCTETS | {"Upload-Offset": "0"}
    for method, target, headers, status in (
        ("OPTIONS", courier.url, {"Tus-Resumable": "0.2.2"}, 204),
        ("HEAD", url, {}, 404),
        ("POST", courier.url, {"Tus-Resumable": "0.2.2"}, 412),
        ("POST", courier.url, {"Tus-Resumable": ""}, 412),
        ("POST", courier.url, {"Authorization": "Bearer no"}, 401),
        ("POST", courier.url, {"Upload-Length": "12"}, 400),
        ("POST", courier.url, {"Upload-Defer-Length": "1", "Upload-Metadata": "sha256 eA=="}, 400),
        ("PUT", url, {}, 405),
        ("PATCH", url, patch, 404),
        ("PATCH", url, {"Content-Type": "image/jpeg", "Upload-Offset": "0"}, 415),
        ("PATCH", url, OCTETS, 400),
        ("PATCH", url, patch | {"Tus-Resumable": "2.0.0"}, 412),
        ("PATCH", url, patch | {"Upload-Checksum": "md5 eA=="}, 400),
        ("DELETE", url, {}, 404),
        ("DELETE", url, {"Tus-Resumable": "9"}, 412),
    ):
        answer = await courier.ask(method, target, headers=headers)
        assert answer.status == status, (method, headers, await answer.text())
        if method != "PUT":
            assert answer.headers["Tus-Resumable"] == answer.headers["Tus-Version"] == "1.0.0"
    told = (await courier.ask("OPTIONS", courier.url)).headers
    assert told["Tus-Extension"] == "creation,expiration,checksum,termination"
    assert told["Tus-Checksum-Algorithm"] == "sha256,sha1"
    assert told["Tus-Max-Size"] == str(MAX_ATTACHMENT_BYTES)


async def test_an_upload_tells_where_it_is_and_goes_on_nowhere_else(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    await courier.begin(data)
    sent = await courier.patch(data, 0, data[:100])
    assert sent.headers["Upload-Offset"] == "100" and "Upload-Expires" in sent.headers
    head = await courier.ask("HEAD", f"{courier.url}/{sha256(data)}")
    assert head.headers["Cache-Control"] == "no-store"
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("100", str(len(data)))
    for offset in (0, 99, 101, len(data)):
        answer = await courier.patch(data, offset, data[offset:])
        assert answer.status == 409 and (await answer.json())["error"]["code"] == "wrong_offset"
    assert await courier.offset(data) == 100


async def test_an_upload_that_is_deleted_is_gone_and_may_begin_anew(courier: Person, tmp_path: Path) -> None:
    data = photo()
    await courier.announce(data)
    await courier.begin(data)
    await courier.patch(data, 0, data[:100])
    url = f"{courier.url}/{sha256(data)}"
    assert [(await courier.ask("DELETE", url)).status for _ in range(2)] == [204, 404]
    assert folder_of(tmp_path) == []
    await courier.send(data)
    assert (await courier.settled())[0] == "attachment_stored"


async def test_an_upload_that_nobody_goes_on_with_expires(
    courier: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, other = photo(), photo(width=300)
    service = courier.caller.service.uploads
    for each in (data, other):
        await courier.announce(each)
        await courier.begin(each)
        await courier.patch(each, 0, each[:100])
    await service.sweep()
    assert len(folder_of(tmp_path)) == 2
    monkeypatch.setattr(uploads, "LIFETIME", timedelta(0))
    assert await courier.offset(data) is None
    with pytest.raises(TusCommunicationError, match="404"):
        await asyncio.to_thread(courier.uploader, data, url=f"{courier.url}/{sha256(data)}")
    await service.sweep()
    assert folder_of(tmp_path) == [] and service.fates["expired"] == 2
    monkeypatch.undo()
    await courier.send(data)
    assert (await courier.settled())[0] == "attachment_stored"


async def test_an_upload_older_than_a_day_is_swept_at_the_start(tmp_path: Path) -> None:
    data = photo()
    async with calling(tmp_path) as caller:
        courier = await Person.come(caller, await caller.open_case())
        await courier.announce(data)
        await courier.begin(data)
        await courier.patch(data, 0, data[:100])
    (piece,) = folder_of(tmp_path)
    then = datetime.now(UTC).timestamp() - 25 * 3600
    os.utime(piece.parent, (then, then))
    async with calling(tmp_path):
        await until(lambda: not folder_of(tmp_path))


async def test_nothing_of_an_unfinished_upload_lies_on_the_disk_in_the_clear(
    courier: Person, tmp_path: Path
) -> None:
    data = photo()
    await courier.announce(data)
    await courier.begin(data)
    assert (await courier.patch(data, 0, data[:-1])).status == 204
    checksum = {"Upload-Checksum": f"sha256 {base64_of(hashlib.sha256(b'other').digest())}"}
    await courier.patch(data, len(data) - 1, data[-1:], **checksum)
    assert len(folder_of(tmp_path)) == 1
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert PLACE.encode() not in path.read_bytes(), path
            assert data[5_000:5_032] not in path.read_bytes(), path


# --- what is shown, and what leaves the house ---


async def test_an_original_is_for_the_office_and_what_is_shown_for_everybody(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    await courier.send(data)
    _, body = await courier.settled()
    people = {"courier": courier}
    for role in ("customer", "guest", "qa", "dispatch"):
        people[role] = await Person.come(courier.caller, courier.case_id, role)
    statuses = {
        role: ((await person.get(body["shown"]["sha256"]))[0], (await person.get(sha256(data)))[0])
        for role, person in people.items()
    }
    assert statuses == {
        "courier": (200, 403),
        "customer": (200, 403),
        "guest": (200, 403),
        "qa": (200, 200),
        "dispatch": (200, 200),
    }
    _, refusal = await courier.get(sha256(data))
    assert refusal["error"]["code"] == "forbidden" and "original" in refusal["error"]["message"]
    stranger = await Person.come(courier.caller, await courier.caller.open_case())
    stranger.case_id = courier.case_id
    assert (await stranger.get(body["shown"]["sha256"]))[0] == 403


async def test_the_type_of_what_is_served_is_ours_and_an_original_is_a_file(courier: Person) -> None:
    data = photo("PNG")
    await courier.announce(data, media_type="image/svg+xml")
    await courier.send(data)
    _, body = await courier.settled()
    for sha, media_type, disposition in (
        (body["shown"]["sha256"], "image/jpeg", None),
        (sha256(data), "image/png", "attachment"),
    ):
        url = f"{courier.caller.url}/api/cases/{courier.case_id}/blobs/{sha}"
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with courier.caller.http.get(url, headers=headers) as answer:
            assert answer.headers["Content-Type"] == media_type
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers.get("Content-Disposition") == disposition
            assert answer.headers["ETag"] == f'"{sha}"'


async def test_the_first_look_of_each_person_is_an_entry(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    await courier.send(data)
    _, body = await courier.settled()
    (stored,) = await entries(courier.caller, courier.case_id, "attachment_stored")
    (numbered,) = await all_entries(courier.caller, courier.case_id, "attachment_stored")
    number = numbered["envelope"]["number"]
    qa = await Person.come(courier.caller, courier.case_id, "qa")
    for _ in range(2):
        for person, sha in ((courier, body["shown"]["sha256"]), (qa, sha256(data)), (courier, sha256(data))):
            await person.get(sha)
    viewed = await entries(courier.caller, courier.case_id, "viewed")
    assert stored["sha256"] == sha256(data)
    assert [entry["actor_id"] for entry in viewed] == [courier.link["link_id"], qa.link["link_id"]]
    log = await all_entries(courier.caller, courier.case_id, "viewed")
    assert {entry["body"]["number"] for entry in log} == {number}


async def test_a_package_holds_what_came_and_does_not_miss_what_never_came(courier: Person) -> None:
    data, never = photo(), photo(width=321)
    note = voice()
    for each, medium in ((data, "photo"), (never, "photo"), (note, "voice")):
        await courier.announce(each, medium)
    for each in (data, note):
        await courier.send(each)
    bodies = [(await courier.settled())[1] for _ in range(2)]
    status, package = await courier.caller.call("POST", f"/api/cases/{courier.case_id}/export")
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        held = {name.removeprefix("blobs/") for name in archive.namelist() if name.startswith("blobs/")}
        assert archive.read(f"blobs/{sha256(data)}") == data
    assert held == {body[which]["sha256"] for body in bodies for which in ("original", "shown")}
    report = verify_package(package, vkey=courier.caller.service.log.vkey)
    assert report.passed, report.steps


async def test_the_figures_tell_what_became_of_attachments(courier: Person) -> None:
    data = photo()
    await courier.announce(data)
    await courier.begin(data)
    _, figures = await courier.caller.call("GET", "/metrics", bearer=None)
    assert b"proofcall_uploads_unfinished 1.0" in figures
    await courier.send(data)
    await until_said(courier.socket, "attachment_stored")
    _, figures = await courier.caller.call("GET", "/metrics", bearer=None)
    assert b'proofcall_attachments_total{fate="stored"} 1.0' in figures
