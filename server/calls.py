"""Where a case and the relay meet: what a `joined`, a `left` and a shutter mean for the media, and back.

The log decides who is in a call; the relay only follows what is already on disk. What people should know at
once but nobody needs later (who is online, who sits in which slot) goes out as ephemeral events.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from media.call import EncodingsChanged, RelayEvent, SlotsMoved, TransportChanged
from media.errors import MediaError
from media.relay import Relay
from server.background import Background
from server.cases import Case, Decided
from server.evidence.entry import Entry
from server.recordings import Recordings
from server.sharpening import Sharpening
from server.stays import Stays
from server.store.blobs import BlobStore
from server.store.errors import StoreError
from signaling.case import CaptureFrame
from signaling.commands import CaptureFailed, Depart, FrameCaptured, TakeFrame
from signaling.entries import CallQuality, FrameFailed, FrameSealed, PacketSpan, Traffic
from signaling.messages import (
    Encoding,
    Encodings,
    Event,
    Muted,
    PersonPresence,
    Playback,
    Presence,
    Quality,
    Slot,
    Slots,
)
from signaling.values import Actor, ActorId, Blob

MAX_REASON_CHARACTERS = 500  # what the body of `frame_failed` holds
MAX_SOCKETS = 8  # of one person: phone, tablet, desk, forgotten tabs, and sockets that are dead, unnoticed
READ_EVERY_S = 1.0  # receivers report about as often; and who watches numbers reads no faster
LOST_AFTER_S = 60.0  # a phone that changes networks or reloads comes back within this, into the same call
logger = logging.getLogger(__name__)


class Socket(Protocol):
    """What `Calls` needs of a person's WebSocket."""

    @property
    def actor(self) -> Actor:
        """Whose page it is."""

    def send_event(self, event: Event) -> None:
        """Queues an ephemeral event."""

    def replace(self) -> None:
        """Closes: the same link was opened too often."""


@dataclass(slots=True, kw_only=True)
class Attendance:
    """One person at one case: the sockets of their devices, the oldest first, each with the quality that it
    was last told; what is off on the device whose media are in the call, and the socket of that device.
    """

    sockets: dict[Socket, Quality | None] = field(default_factory=dict)
    muted: Muted | None = None
    speaker: Socket | None = None
    lost: asyncio.TimerHandle | None = None

    def calm(self) -> None:
        """Nobody is missed any more."""
        if self.lost is not None:
            self.lost.cancel()
        self.lost = None


class Calls:
    """The driver between cases and relay."""

    def __init__(
        self, *, relay: Relay, blobs: BlobStore, recordings: Recordings, background: Background
    ) -> None:
        self._relay = relay
        self._blobs = blobs
        self._recordings = recordings
        self._background = background
        self._cases: dict[str, Case] = {}
        self._attendance: dict[str, dict[ActorId, Attendance]] = {}
        self._stays = Stays(relay=relay, background=background)
        self.figures = self._stays.figures
        self._captures: dict[tuple[str, str, str], asyncio.Task[Decided]] = {}
        self._sharpening = Sharpening(self._tell_sharpness)
        relay.on_event = self._handle_relay_event
        self._reading = asyncio.get_running_loop().create_task(self._keep_reading(), name="quality readings")

    # --- people come and go ---

    def attach(self, case: Case, socket: Socket) -> None:
        """A page of a person is here, beside those on their other devices."""
        self._cases[case.case_id] = case
        attendance = self._attendance.setdefault(case.case_id, {}).setdefault(
            socket.actor.actor_id, Attendance()
        )
        if len(attendance.sockets) >= MAX_SOCKETS:
            # Not the device in the call, however long it has been there: its person would be heard no more.
            oldest = next(other for other in attendance.sockets if other is not attendance.speaker)
            del attendance.sockets[oldest]
            oldest.replace()
        attendance.sockets[socket] = None
        self._tell_presence(case)
        self._tell_slots(case.case_id, socket.actor.actor_id)
        self._tell_encodings(case.case_id, socket.actor.actor_id)

    def detach(self, case: Case, socket: Socket) -> None:
        """A page is gone. The device that was in the call may come back within `LOST_AFTER_S`."""
        attendance = self._attendance.get(case.case_id, {}).get(socket.actor.actor_id)
        if attendance is None or socket not in attendance.sockets:
            return
        del attendance.sockets[socket]
        was_speaker, actor = attendance.speaker is socket, socket.actor
        if was_speaker:
            attendance.speaker = None
        if actor.actor_id in case.state.in_call:
            if was_speaker or not attendance.sockets:
                attendance.calm()
                loop = asyncio.get_running_loop()
                attendance.lost = loop.call_later(LOST_AFTER_S, self._lose, case, actor)
            self._tell_presence(case)
        elif not attendance.sockets:
            self._forget(case, actor.actor_id)
        elif was_speaker:
            self._relay.disconnect(case.case_id, actor.actor_id)

    def _forget(self, case: Case, actor_id: ActorId) -> None:
        """Nobody waits for this person any more."""
        present = self._attendance.get(case.case_id, {})
        present.pop(actor_id, None)
        self._relay.disconnect(case.case_id, actor_id)
        self._tell_presence(case)
        if not present:
            self._attendance.pop(case.case_id, None)
            self._cases.pop(case.case_id, None)

    def mute(self, case: Case, socket: Socket, muted: Muted) -> None:
        """A page says what of its microphone and camera is off: heard if its media are the person's."""
        actor_id = socket.actor.actor_id
        attendance = self._attendance.get(case.case_id, {}).get(actor_id)
        if attendance is None or socket not in attendance.sockets:
            return  # it has been closed, and speaks on
        session_id = self._relay.session_of(case.case_id, actor_id)
        if muted.media_session is not None and muted.media_session == session_id:
            attendance.speaker = socket
            attendance.calm()
        elif muted.media_session is not None or attendance.speaker not in (None, socket):
            return
        # What is off says nothing of where it was said.
        muted = replace(muted, media_session=None)
        if attendance.muted == muted:
            return
        attendance.muted = muted
        self._watch_gaps(case, actor_id)
        self._tell_presence(case)

    def connect(self, case: Case, actor_id: ActorId) -> None:
        """The person's media come from a new connection, maybe of another device of theirs."""
        attendance = self._attendance.get(case.case_id, {}).get(actor_id)
        if attendance is not None:
            attendance.speaker = None  # whoever it is says so
        self._tell_presence(case)
        self._tell_encodings(case.case_id, actor_id)

    def play(self, case: Case, actor: Actor, playback: Playback) -> None:
        """A page says what it has played. However often it does, people are told with the next reading."""
        self._stays.play(case.case_id, actor.actor_id, playback)

    async def leave(self, case: Case, actor: Actor, reason: Literal["left", "lost"] = "left") -> None:
        """Takes a person out of the call, if they are in it."""
        await case.handle(Depart(reason=reason), actor)

    async def recover(self, case: Case) -> None:
        """A call that the end of another process cut off is ended in its log, as aborted."""
        await self._interrupt(case, aborted=True)

    async def _interrupt(self, case: Case, *, aborted: bool) -> None:
        if case.state.call is None:
            return
        for actor_id, session_id in dict(case.state.call.in_call).items():
            actor = Actor(role=case.state.links[actor_id].role, actor_id=actor_id, session_id=session_id)
            await case.handle(Depart(reason="interrupted", aborted=aborted), actor)

    async def drain(self) -> None:
        """The service stops: every call is ended in its log, and what its journal still held is written."""
        self._reading.cancel()
        for case in tuple(self._cases.values()):
            try:
                await self._interrupt(case, aborted=False)
            except StoreError:
                logger.exception("a call could not be ended in the log")
        await self._recordings.drain()

    # --- frames ---

    async def take_frame(self, case: Case, command: TakeFrame, actor: Actor, command_id: str) -> Decided:
        """Takes a frame out of the stream and seals it; asked twice with one id, one frame is taken."""
        key = (case.case_id, actor.actor_id, command_id)
        if key not in self._captures:
            self._captures[key] = self._background.start(self._take_frame(case, command, actor, command_id))
            self._captures[key].add_done_callback(lambda _: self._captures.pop(key))
        return await asyncio.shield(self._captures[key])

    async def _take_frame(self, case: Case, command: TakeFrame, actor: Actor, command_id: str) -> Decided:
        decided = await case.handle(command, actor, command_id=command_id)
        if decided.capture is None:
            return decided
        self._sharpening.need(case.case_id, decided.capture.of)
        outcome = await self._capture(case, decided.capture)
        return await case.handle(outcome, actor, command_id=command_id)

    async def _capture(self, case: Case, capture: CaptureFrame) -> FrameCaptured | CaptureFailed:
        try:
            spans = self._recordings.spans(case, capture.of)  # the call may end while the picture is decoded
            frame = await self._relay.capture_frame(case.case_id, capture.of)
            journal = spans(frame.picture.first_arrived, frame.picture.arrived)
            sha256 = await self._blobs.put(case.case_id, frame.picture.jpeg)
        except MediaError as error:
            return _failed(capture, error.code, str(error))
        except (OSError, StoreError) as error:
            logger.exception("a picture could not be stored")
            return _failed(capture, "not_stored", f"the picture could not be stored: {error}")
        picture, packets = frame.picture, frame.picture.packets
        return FrameCaptured(
            frame=FrameSealed(
                of=capture.of,
                blob=Blob(sha256=sha256, size_bytes=len(picture.jpeg), media_type="image/jpeg"),
                width=picture.width,
                height=picture.height,
                codec=picture.codec_name,
                rtp_timestamp=picture.rtp_timestamp,
                arrived_at=frame.arrived_at,
                capture_path="server_frame",
                packets=PacketSpan(
                    ssrc=packets.ssrc,
                    first_sequence_number=packets.first_sequence_number,
                    last_sequence_number=packets.last_sequence_number,
                    count=packets.count,
                    sha256=packets.sha256,
                ),
                pressed_at=capture.pressed_at,
                journal=journal,
            )
        )

    def sharpen(self, case: Case, actor: Actor, of: ActorId) -> None:
        """Somebody asks for detail of a camera: heard if both are in the call."""
        if actor.actor_id in case.state.in_call and of in case.state.in_call:
            self._sharpening.ask(case.case_id, actor.actor_id, of)

    def is_sharp(self, case_id: str, actor_id: ActorId) -> bool:
        """Whether detail is wanted of this person's camera."""
        return self._sharpening.is_sharp(case_id, actor_id)

    # --- the relay follows the log ---

    def observe(self, case: Case, entry: Entry) -> None:
        """An entry is on disk: what it means for the relay, and for who is shown as present."""
        actor_id = entry.envelope.actor_id
        match entry.envelope.kind:
            case "joined":
                self._cases[case.case_id] = case
                self._relay.admit(case.case_id, actor_id, self._recordings.begin(case, entry))
                self._stays.begin(case, ActorId(actor_id))
                self._watch_gaps(case, ActorId(actor_id))
            case "left":
                self._relay.withdraw(case.case_id, actor_id)
                self._recordings.end(case, entry)
                self._stays.end(case.case_id, ActorId(actor_id))
                self._sharpening.forget(case.case_id, ActorId(actor_id))
                self._tell_quality(case)
            case "link_revoked":
                self._relay.disconnect(case.case_id, str(entry.body["link_id"]))
            case "case_ended":
                self._relay.end_call(case.case_id)
            case _:
                return
        self._tell_presence(case)

    def _handle_relay_event(self, event: RelayEvent) -> None:
        case = self._cases.get(event.call_id)
        if case is None:
            return
        match event:
            case SlotsMoved():
                self._tell_slots(event.call_id, ActorId(event.participant_id))
            case EncodingsChanged():
                self._tell_encodings(event.call_id, ActorId(event.participant_id))
            case TransportChanged():
                self._watch_gaps(case, ActorId(event.participant_id))
                self._tell_presence(case)

    def _lose(self, case: Case, actor: Actor) -> None:
        self._background.start(self._let_go(case, actor))

    async def _let_go(self, case: Case, actor: Actor) -> None:
        attendance = self._attendance.get(case.case_id, {}).get(actor.actor_id)
        if attendance is not None and attendance.sockets:
            # A page that was opened on another device does not keep them in the call: media do.
            media = self._relay.connection_state(case.case_id, actor.actor_id)
            if attendance.speaker is not None or media in ("connecting", "connected"):
                return
        try:
            await self.leave(case, actor, "lost")
        except StoreError:
            logger.exception("a lost person could not be taken out of the call in the log")
        finally:
            if attendance is None or not attendance.sockets:
                self._forget(case, actor.actor_id)

    def traffic(self, case_id: str) -> Mapping[ActorId, Traffic]:
        """What those in the call sent and received since they joined."""
        return {
            ActorId(actor_id): Traffic(
                sent_packets=counted.sent_packets,
                sent_bytes=counted.sent_bytes,
                received_packets=counted.received_packets,
                received_bytes=counted.received_bytes,
                lost_packets=counted.lost_packets,
            )
            for actor_id, counted in self._relay.traffic(case_id).items()
        }

    def online(self, case_id: str) -> frozenset[ActorId]:
        """Who has a page open."""
        present = self._attendance.get(case_id, {})
        return frozenset(actor_id for actor_id, here in present.items() if here.sockets)

    # --- how the call is ---

    def quality(self, case: Case) -> Mapping[ActorId, CallQuality]:
        """How the stay of each person in the call was, if it ended now."""
        return self._stays.summaries(case, self.traffic(case.case_id))

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(READ_EVERY_S)
            for case_id in self._stays.case_ids():
                await asyncio.sleep(0)  # between two calls the packets of all have their turn
                case = self._cases.get(case_id)
                if case is None:
                    continue
                try:
                    self._stays.read(case_id)
                    for actor_id in case.state.in_call:
                        self._watch_gaps(case, actor_id)
                    self._tell_quality(case)
                except Exception:  # one call's fault must not leave all others unread
                    logger.exception("the quality of a call could not be read")

    def _watch_gaps(self, case: Case, actor_id: ActorId) -> None:
        attendance = self._attendance.get(case.case_id, {}).get(actor_id)
        self._stays.watch(case, actor_id, attendance.muted if attendance is not None else None)

    # --- ephemeral events ---

    def _tell_quality(self, case: Case) -> None:
        """QA is told each reading that differs from the one before, the others when a level has changed."""
        people = self._stays.qualities(case.case_id)
        whole = Quality(people=people)
        levels = Quality(people=tuple(replace(person, numbers=None) for person in people))
        for attendance in self._attendance.get(case.case_id, {}).values():
            for socket, told in attendance.sockets.items():
                quality = whole if socket.actor.role == "qa" else levels
                if quality != told:
                    attendance.sockets[socket] = quality
                    socket.send_event(quality)

    def presence(self, case: Case) -> Presence:
        """Everybody who is online or in the call."""
        present = self._attendance.get(case.case_id, {})
        ids = dict.fromkeys([*present, *case.state.in_call])
        return Presence(people=tuple(self._person(case, actor_id, present.get(actor_id)) for actor_id in ids))

    def _tell_presence(self, case: Case) -> None:
        presence = self.presence(case)
        for attendance in self._attendance.get(case.case_id, {}).values():
            for socket in tuple(attendance.sockets):
                socket.send_event(presence)

    def _person(self, case: Case, actor_id: ActorId, attendance: Attendance | None) -> PersonPresence:
        link = case.state.links[actor_id]
        muted = attendance.muted if attendance is not None else None
        return PersonPresence(
            actor_id=actor_id,
            role=link.role,
            name=link.name,
            online=attendance is not None and bool(attendance.sockets),
            in_call=actor_id in case.state.in_call,
            connection=self._relay.connection_state(case.case_id, actor_id),
            media_session=self._relay.session_of(case.case_id, actor_id),
            audio_muted=muted is not None and muted.audio,
            video_muted=muted is not None and muted.video,
        )

    def _tell_slots(self, case_id: str, actor_id: ActorId) -> None:
        sockets = self._sockets(case_id, actor_id)
        if not sockets:
            return
        seats = tuple(
            Slot(
                slot=seat.slot,
                actor_id=ActorId(seat.peer_id),
                audio_mid=seat.audio_mid,
                video_mid=seat.video_mid,
                picture=seat.picture,
                sharp=self._sharpening.is_sharp(case_id, ActorId(seat.peer_id)),
            )
            for seat in self._relay.slots(case_id, actor_id)
        )
        for socket in sockets:
            socket.send_event(Slots(slots=seats))

    def _tell_encodings(self, case_id: str, actor_id: ActorId) -> None:
        sockets = self._sockets(case_id, actor_id)
        if not sockets:
            return
        orders = self._relay.encodings(case_id, actor_id)
        encodings = Encodings(
            encodings=tuple(
                Encoding(rid=order.rid, max_bitrate_bps=order.max_bitrate_bps, for_stills=order.for_stills)
                for order in orders
            ),
            sharp=self._sharpening.is_sharp(case_id, actor_id),
        )
        for socket in sockets:
            socket.send_event(encodings)

    def _tell_sharpness(self, case_id: str, of: ActorId) -> None:
        """Whose camera it is, who has to act; and who watches it, lest they wonder why it moves less."""
        self._tell_encodings(case_id, of)
        for actor_id in self._attendance.get(case_id, {}):
            self._tell_slots(case_id, actor_id)

    def _sockets(self, case_id: str, actor_id: ActorId) -> tuple[Socket, ...]:
        attendance = self._attendance.get(case_id, {}).get(actor_id)
        return () if attendance is None else tuple(attendance.sockets)


def _failed(capture: CaptureFrame, reason: str, message: str) -> CaptureFailed:
    return CaptureFailed(
        failure=FrameFailed(of=capture.of, reason=reason, message=message[:MAX_REASON_CHARACTERS])
    )
