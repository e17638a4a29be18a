"""People, times and short-hands that the tests of `signaling` share."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from server.wordings import read_wording
from signaling.case import (
    NO_QUALITY,
    Append,
    CaptureFrame,
    CaseEntry,
    CaseState,
    Moment,
    decide,
    evolve,
    new_case,
)
from signaling.commands import Command, Consent, IssueLink, Join, OpenCase
from signaling.delivery import (
    Announce,
    Answer,
    AnswerChange,
    Confirm,
    HandOver,
    RefuseReceipt,
    RequestChange,
    TakeAnswer,
    WithdrawChange,
)
from signaling.entries import (
    Body,
    CallQuality,
    FrameSealed,
    GapSum,
    PacketSpan,
    SegmentLost,
    SegmentSealed,
    SegmentStream,
    Traffic,
    WayQuality,
)
from signaling.exceptions import (
    AcknowledgeException,
    CloseException,
    DecideException,
    ReportException,
    TakeException,
)
from signaling.talk import (
    Attach,
    Attachment,
    AttachmentRefused,
    AttachmentStored,
    Mark,
    SendPhrase,
    SendText,
    SharePlace,
)
from signaling.values import INTEGRATOR, SYSTEM, Actor, ActorId, Blob, CaseId, PersonRole, Place, SessionId

START_AT = datetime(2026, 11, 22, 14, 3, 22, 123_000, tzinfo=UTC)
EXPIRES_AT = START_AT + timedelta(hours=24)
CASE_ID = CaseId("c_" + "k" * 20)


def person(role: PersonRole, name: str) -> Actor:
    return Actor(
        role=role,
        actor_id=ActorId("l_" + name.ljust(20, "2")),
        session_id=SessionId("s_" + name.ljust(20, "2")),
    )


CUSTOMER = person("customer", "customer")
COURIER = person("courier", "courier")
QA = person("qa", "qa")
DISPATCH = person("dispatch", "dispatch")
GUEST = person("guest", "guest")
API = Actor(role="integrator", actor_id=INTEGRATOR, session_id=SessionId("s_" + "i" * 20))
SERVICE = Actor(role="system", actor_id=SYSTEM, session_id=SessionId("s_" + "y" * 20))

OPEN = OpenCase(
    waybill="SF1000000001",
    declared_value=None,
    language="zh",
    metadata={"order": "A-1"},
    time_zone="Asia/Shanghai",
)
WORDING = read_wording()
NO_TRAFFIC: Mapping[ActorId, Traffic] = {}
CONSENT = Consent(statement="I agree.", language="en")


def link(actor: Actor) -> IssueLink:
    assert actor.role != "integrator" and actor.role != "system"
    role: PersonRole = actor.role
    return IssueLink(link_id=actor.actor_id, role=role, name=role, expires_at=EXPIRES_AT)


PHOTO = Attachment(
    medium="photo",
    sha256="11" * 32,
    size_bytes=84_211,
    media_type="image/jpeg",
    capture_path="camera",
    captured_at=START_AT,
)
VOICE = Attachment(
    medium="voice",
    sha256="22" * 32,
    size_bytes=20_480,
    media_type="audio/webm",
    capture_path="microphone",
    captured_at=START_AT,
)
AT_THE_GATE = Place(latitude_e6=22_540_500, longitude_e6=113_934_500, accuracy_m=12)


def stored(attachment: Attachment, number: int) -> AttachmentStored:
    """What is said of an attachment of entry `number` whose bytes have come."""
    photo = attachment.medium == "photo"
    return AttachmentStored(
        number=number,
        sha256=attachment.sha256,
        original=Blob(
            sha256=attachment.sha256,
            size_bytes=attachment.size_bytes,
            media_type=attachment.media_type,
        ),
        shown=Blob(sha256="33" * 32, size_bytes=9_000, media_type="image/jpeg" if photo else "audio/mp4"),
        width=1_280 if photo else None,
        height=960 if photo else None,
        duration_ms=None if photo else 3_200,
        waveform=() if photo else (0, 50, 100),
    )


def refused(attachment: Attachment, number: int) -> AttachmentRefused:
    return AttachmentRefused(
        number=number, sha256=attachment.sha256, reason="not_a_picture", message="This is no picture."
    )


# One of each that people may send about talk, delivery and exceptions. Numbers are made up.
TALK: tuple[Command, ...] = (
    SendText(text="hello"),
    SendPhrase(phrase="please_call"),
    Attach(attachment=PHOTO, caption="the left corner"),
    SharePlace(place=AT_THE_GATE),
    Mark(delivered=3, read=2),
)
DELIVERY: tuple[Command, ...] = (
    Announce(notice="arrived"),
    Answer(number=4, choice="door"),
    TakeAnswer(number=5),
    RequestChange(what="person", text="My sister takes it."),
    AnswerChange(number=6, accepted=True),
    WithdrawChange(number=6),
    HandOver(how="in_person"),
    Confirm(number=7, statement="I have the parcel.", language="en"),
    RefuseReceipt(number=7, text="The box is open."),
)
EXCEPTIONS: tuple[Command, ...] = (
    ReportException(exception="damage", text="dented", attachments=(PHOTO, VOICE), place=AT_THE_GATE),
    TakeException(number=8),
    DecideException(number=8, decision="return_to_warehouse"),
    AcknowledgeException(number=8, decided=9),
    CloseException(number=8),
)


def frame_of(actor: Actor) -> FrameSealed:
    return FrameSealed(
        of=actor.actor_id,
        blob=Blob(sha256="ab" * 32, size_bytes=84_211, media_type="image/jpeg"),
        width=640,
        height=480,
        codec="VP8",
        rtp_timestamp=90_000,
        arrived_at=START_AT,
        capture_path="server_frame",
        packets=PacketSpan(
            ssrc=1, first_sequence_number=65_535, last_sequence_number=3, count=5, sha256="cd" * 32
        ),
        pressed_at=START_AT,
    )


def segment(number: int, call_number: int = 1) -> SegmentSealed:
    sound = SegmentStream(
        ssrc=7,
        mid="0",
        media="audio",
        codec="opus",
        payload_type=111,
        clock_rate=48_000,
        channels=2,
        parameters="useinbandfec=1",
        packets=250,
    )
    return SegmentSealed(
        call_number=call_number,
        segment=number,
        blob=Blob(sha256="ef" * 32, size_bytes=9_000, media_type="application/x-rtpdump"),
        began_at=START_AT,
        ended_at=START_AT + timedelta(seconds=5),
        packets=250,
        reason="full",
        streams=(sound,),
    )


def lost_segment(number: int, call_number: int = 1) -> SegmentLost:
    return SegmentLost(
        call_number=call_number,
        segment=number,
        began_at=START_AT,
        ended_at=START_AT + timedelta(seconds=5),
        packets=250,
        reason="overloaded",
    )


def traffic(packets: int) -> Traffic:
    return Traffic(
        sent_packets=packets,
        sent_bytes=packets * 1_000,
        received_packets=packets * 2,
        received_bytes=packets * 2_000,
        lost_packets=packets // 10,
    )


def quality(packets: int) -> CallQuality:
    way = WayQuality(
        packets=packets, bytes=packets * 1_000, lost_packets=1, repaired_packets=2, loss_permille=3
    )
    return CallQuality(
        call_number=1,
        duration_ms=1_000,
        sent=way,
        received=way,
        round_trip=None,
        gaps=GapSum(count=0, total_ms=0),
        playback_claim=None,
    )


class Log:
    """A case with its log in memory: what the server does, without a disk."""

    def __init__(self) -> None:
        self.state: CaseState = new_case(CASE_ID)
        self.entries: list[CaseEntry] = []
        self.now_at = START_AT

    def give(
        self,
        actor: Actor,
        command: Command,
        counted: Mapping[ActorId, Traffic] = NO_TRAFFIC,
        measured: Mapping[ActorId, CallQuality] = NO_QUALITY,
        online: Sequence[Actor] = (),
    ) -> list[Body | CaptureFrame]:
        """Decides, appends, evolves; returns the bodies that were appended, or the picture to take."""
        outputs = decide(self.state, command, actor, self.moment(counted, measured, online))
        given: list[Body | CaptureFrame] = []
        for output in outputs:
            if isinstance(output, Append):
                self.append(output)
                given.append(output.body)
            else:
                given.append(output)
        return given

    def moment(
        self,
        counted: Mapping[ActorId, Traffic] = NO_TRAFFIC,
        measured: Mapping[ActorId, CallQuality] = NO_QUALITY,
        online: Sequence[Actor] = (),
    ) -> Moment:
        """Now, with this counted and measured, and these pages open."""
        return Moment(
            now_at=self.now_at,
            wording=WORDING,
            traffic=counted,
            quality=measured,
            online=frozenset(someone.actor_id for someone in online),
        )

    def append(self, output: Append) -> None:
        number = self.state.last_number + 1
        entry = CaseEntry(
            number=number,
            role=output.actor.role,
            actor_id=output.actor.actor_id,
            session_id=output.actor.session_id,
            recorded_at=self.now_at,
            hash=hashlib.sha256(str(number).encode()).hexdigest(),
            body=output.body,
        )
        self.state = evolve(self.state, entry)
        self.entries.append(entry)

    def wait(self, seconds: float) -> None:
        self.now_at += timedelta(seconds=seconds)

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]


def opened_case(*people: Actor) -> Log:
    """A case whose links were issued; nobody has consented."""
    log = Log()
    log.give(API, OPEN)
    for actor in people:
        log.give(API, link(actor))
    return log


def running_call(*people: Actor, watching: Sequence[Actor] = ()) -> Log:
    """All people consented and joined, in order; those watching have a link and no more."""
    log = opened_case(*people, *watching)
    for actor in people:
        log.give(actor, CONSENT)
        log.give(actor, Join())
    return log
