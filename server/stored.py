"""What is stored of a case and may be shown: pictures of calls, and what people attached.

frame_sealed ───────────────── its picture, to everybody in the case
attachment_stored ─┬─ shown     to who may see the entry that has the attachment
                   └─ original  to the office: it tells the place and the device
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from server.cases import Case
from server.errors import ForbiddenAccess, UnknownThing
from server.evidence.entry import Entry
from server.store.log import LogStore
from signaling.entries import OFFICE, Body, FrameSealed, may_see, parse_body
from signaling.talk import AttachmentStored
from signaling.values import Blob, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A blob, and the entry that says so."""

    number: int
    blob: Blob
    is_original: bool = False


async def find_blob(log: LogStore, case: Case, sha256: str, role: Role) -> Stored:
    """The blob of this hash. Raises UnknownThing, and ForbiddenAccess if it is not for such a role."""
    state = case.state
    for frame_number, held in state.frames.items():
        if held == sha256:
            frame = await _body(log, case, frame_number)
            assert isinstance(frame, FrameSealed)
            return Stored(number=frame_number, blob=frame.blob)
    number = state.talk.shown.get(sha256) or state.talk.originals.get(sha256)
    if number is None:
        raise UnknownThing("no entry of this case holds such a picture or sound")
    stored = await _body(log, case, number)
    assert isinstance(stored, AttachmentStored)
    if not await may_look(log, case, stored, role):
        raise ForbiddenAccess(f"this attachment is not for the role {role}")
    if sha256 == stored.shown.sha256:
        return Stored(number=number, blob=stored.shown)
    if role not in OFFICE:
        raise ForbiddenAccess("the original is for the office: ask for what the entry has as `shown`")
    return Stored(number=number, blob=stored.original, is_original=True)


def shown_pictures(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The pictures that these entries show, by their hash: sealed frames, and what is shown of photos. Each
    with the first entry that names it.
    """
    pictures: dict[str, Entry] = {}
    for entry in entries:
        if entry.is_erased:
            continue
        name = {FrameSealed.kind: "blob", AttachmentStored.kind: "shown"}.get(entry.envelope.kind)
        blob = entry.body.get(name) if name else None
        if isinstance(blob, Mapping) and blob.get("media_type") == "image/jpeg":
            pictures.setdefault(str(blob.get("sha256")), entry)
    return pictures


async def find_attachment(log: LogStore, case: Case, sha256: str) -> AttachmentStored | None:
    """The entry that first stored the attachment of this hash, if there is one."""
    number = case.state.talk.originals.get(sha256)
    if number is None:
        return None
    stored = await _body(log, case, number)
    assert isinstance(stored, AttachmentStored)
    return stored


async def may_look(log: LogStore, case: Case, stored: AttachmentStored, role: Role) -> bool:
    """Whether such a reader may see any of the entries whose attachment these bytes are."""
    for (number, sha256), settled_by in case.state.talk.settled.items():
        if sha256 == stored.sha256 and isinstance(await _body(log, case, settled_by), AttachmentStored):
            (entry,) = await log.entries(case.case_id, after=number - 1, limit=1)
            if may_see(role, entry.envelope.kind):
                return True
    return False


async def _body(log: LogStore, case: Case, number: int) -> Body:
    (entry,) = await log.entries(case.case_id, after=number - 1, limit=1)
    if entry.is_erased:
        raise UnknownThing("it was erased")
    return parse_body(entry.envelope.kind, entry.body)
