"""The driver of `Stay`: reads the relay, and writes what the log ought to know of a gap."""

import logging
import time
from collections.abc import Mapping, Sequence

from media.relay import Relay
from media.router import StreamQuality
from server.background import Background
from server.call_figures import CallFigures
from server.cases import Case
from server.stay import Stay, sources_of
from server.store.errors import StoreError
from signaling.commands import EndGap, StartGap
from signaling.entries import CallQuality, Traffic
from signaling.errors import SignalingError
from signaling.messages import Muted, PersonQuality, Playback
from signaling.values import Actor, ActorId

logger = logging.getLogger(__name__)


class Stays:
    """Everybody who is in a call in this process."""

    def __init__(self, *, relay: Relay, background: Background) -> None:
        self._relay = relay
        self._background = background
        self._stays: dict[str, dict[ActorId, Stay]] = {}
        self.figures = CallFigures()

    def case_ids(self) -> tuple[str, ...]:
        """The cases with somebody in a call."""
        return tuple(self._stays)

    def begin(self, case: Case, actor_id: ActorId) -> None:
        """They have joined."""
        stay = Stay(actor_id, time.monotonic())
        self._stays.setdefault(case.case_id, {})[actor_id] = stay
        self._count(case.case_id, actor_id, stay)

    def end(self, case_id: str, actor_id: ActorId) -> None:
        """They have left."""
        stays = self._stays.get(case_id, {})
        if (stay := stays.pop(actor_id, None)) is not None:
            self.figures.handle_end(stay.watched)
        if not stays:
            self._stays.pop(case_id, None)

    def play(self, case_id: str, actor_id: ActorId, playback: Playback) -> None:
        """Their page says what it has played; outside the call it is not heard."""
        if (stay := self._stays.get(case_id, {}).get(actor_id)) is not None:
            stay.handle_playback(playback)

    def read(self, case_id: str) -> None:
        """One reading of everybody in the call."""
        stays, now = self._stays.get(case_id, {}), time.monotonic()
        streams = {str(actor_id): self._count(case_id, actor_id, stay) for actor_id, stay in stays.items()}
        for actor_id, stay in stays.items():
            slots, leg = self._relay.slots(case_id, actor_id), self._relay.leg(case_id, actor_id)
            pictures_s = stay.handle_reading(
                self._relay.connection_state(case_id, actor_id),
                streams[actor_id],
                sources_of(slots, streams[actor_id], streams),
                now,
                slots=slots,
                leg=leg,
            )
            self.figures.handle_reading(leg, stay.sent_estimate_bps, pictures_s)

    def watch(self, case: Case, actor_id: ActorId, muted: Muted | None) -> None:
        """Looks whether something of theirs is missing, or back; `muted` is what their page last said."""
        stay = self._stays.get(case.case_id, {}).get(actor_id)
        if stay is None:
            return
        state = self._relay.connection_state(case.case_id, actor_id)
        last_seen = self._relay.last_seen(case.case_id, actor_id)
        for command in stay.handle_presence(state, muted, time.monotonic(), last_seen):
            self._background.start(self._write(case, actor_id, stay, command))

    def qualities(self, case_id: str) -> tuple[PersonQuality, ...]:
        """Everybody in the call who was connected in it."""
        qualities = [stay.quality() for stay in self._stays.get(case_id, {}).values()]
        return tuple(quality for quality in qualities if quality is not None)

    def summaries(self, case: Case, traffic: Mapping[ActorId, Traffic]) -> dict[ActorId, CallQuality]:
        """How each stay was, if it ended now."""
        if case.state.call is None:
            return {}
        summaries: dict[ActorId, CallQuality] = {}
        for actor_id, stay in self._stays.get(case.case_id, {}).items():
            if actor_id in traffic:
                self._count(case.case_id, actor_id, stay)
                call_number = case.state.call.call_number
                summaries[actor_id] = stay.summary(call_number, traffic[actor_id], time.monotonic())
        return summaries

    def _count(self, case_id: str, actor_id: ActorId, stay: Stay) -> Sequence[StreamQuality]:
        streams = self._relay.quality(case_id, actor_id)
        stay.handle_counters(self._relay.session_of(case_id, actor_id), streams)
        return streams

    async def _write(self, case: Case, actor_id: ActorId, stay: Stay, command: StartGap | EndGap) -> None:
        call = case.state.call
        if call is None or self._stays.get(case.case_id, {}).get(actor_id) is not stay:
            return  # they have left since, and their gaps with them
        session_id = call.in_call[actor_id]
        actor = Actor(role=case.state.links[actor_id].role, actor_id=actor_id, session_id=session_id)
        try:
            await case.handle(command, actor)
        except (StoreError, SignalingError):
            logger.exception("a gap could not be written to the log")
