"""What is erased leaves the state as if nobody had ever known it; a legal hold keeps everything."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.case import (
    MAX_HOLDS,
    CaseEntry,
    CaseState,
    ForgottenEntry,
    evolve,
    new_case,
)
from signaling.commands import (
    Command,
    EndCase,
    Erase,
    FrameCaptured,
    IssueLink,
    Join,
    Leave,
    LiftHold,
    RecordExport,
    RecordRead,
    SealSegment,
    SetHold,
)
from signaling.entries import MEDIA, Erased, Exported, HoldLifted, HoldSet
from signaling.errors import (
    IllegalInPhase,
    IllegalSegment,
    IllegalStep,
    IllegalUnderHold,
    IllegalWhenFull,
    SignalingError,
    UnknownEntry,
    UnknownFrame,
    UnknownParticipant,
)
from signaling.talk import Attach, SendText, StoreAttachment
from signaling.values import Actor
from tests.signaling.builders import (
    API,
    CASE_ID,
    COURIER,
    CUSTOMER,
    PHOTO,
    QA,
    SERVICE,
    Log,
    frame_of,
    link,
    person,
    running_call,
    segment,
    stored,
)
from tests.signaling.test_case_properties import STEPS, play

WHOLE = Erase(reason="The customer asked for it.", authenticated_by="api_key")
RETIRED = Erase(
    reason="kept for 30 days",
    kinds=tuple(sorted(MEDIA["recordings"] | MEDIA["frames"] | MEDIA["attachments"])),
    authenticated_by=None,
)
HOLD = SetHold(reason="Claim 4711", authenticated_by="api_key")


def ended_case() -> Log:
    """With a picture, a photo, a piece of a recording, and the end."""
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    log.give(CUSTOMER, SendText(text="hello"))
    log.give(CUSTOMER, FrameCaptured(frame=frame_of(COURIER)))
    log.give(CUSTOMER, Attach(attachment=PHOTO))
    log.give(CUSTOMER, StoreAttachment(stored=stored(PHOTO, log.state.last_number)))
    log.give(COURIER, SealSegment(segment=segment(1)))
    log.give(QA, EndCase())
    return log


def replay(entries: list[CaseEntry]) -> CaseState:
    """The state of a process that finds the log as erasing has left it."""
    erased = [(entry.number, entry.body) for entry in entries if isinstance(entry.body, Erased)]
    state = new_case(CASE_ID)
    for entry in entries:
        gone = any(entry.number < number and body.covers(entry.number, entry.kind) for number, body in erased)
        left = ForgottenEntry(
            number=entry.number, kind=entry.kind, recorded_at=entry.recorded_at, hash=entry.hash
        )
        state = evolve(state, left if gone else entry)
    return state


def test_an_erased_case_knows_nothing_but_when_it_was_opened() -> None:
    log = ended_case()
    before = log.state
    assert log.give(API, WHOLE) == [
        Erased(
            reason="The customer asked for it.",
            numbers="all",
            kinds=None,
            by="request",
            authenticated_by="api_key",
        )
    ]
    state = log.state
    assert (state.phase, state.opened_at) == ("erased", before.opened_at)
    assert (state.waybill, dict(state.links), state.calls) == ("", {}, 0)
    assert len(state.frames) == len(state.talk.originals) == len(state.consented) == 0
    assert state == replay(log.entries)


def test_what_is_erased_is_not_erased_again_and_takes_no_command_of_before() -> None:
    log = ended_case()
    log.give(API, WHOLE)
    assert log.give(API, WHOLE) == log.give(SERVICE, RETIRED) == []
    late: list[tuple[Actor, Command, type[SignalingError]]] = [
        (CUSTOMER, SendText(text="hello"), IllegalInPhase),
        (CUSTOMER, FrameCaptured(frame=frame_of(COURIER)), IllegalInPhase),
        (COURIER, SealSegment(segment=segment(2)), IllegalInPhase),
        (API, HOLD, IllegalInPhase),
        (QA, RecordExport(authenticated_by="link"), UnknownParticipant),
        (API, link(person("customer", "second")), IllegalInPhase),
    ]
    for actor, command, error in late:
        with pytest.raises(error):
            log.give(actor, command)


def test_the_office_may_still_look_at_what_is_left() -> None:
    log = ended_case()
    log.give(API, WHOLE)
    before = log.state.last_number
    read = RecordRead(after=0, up_to=before, live=False, authenticated_by="api_key")
    assert len(log.give(API, read)) == 1
    assert log.give(API, read) == []
    (exported,) = log.give(API, RecordExport(authenticated_by="api_key"))
    assert exported == Exported(entries_before=before + 1, authenticated_by="api_key")
    reviewer: IssueLink = link(person("qa", "second"))
    assert log.give(API, reviewer)
    assert log.state == replay(log.entries)


def test_nothing_is_erased_of_a_case_that_is_open_or_in_a_call() -> None:
    log = running_call(CUSTOMER, COURIER)
    for command in (WHOLE, RETIRED):
        with pytest.raises(IllegalStep):
            log.give(API, command)


def test_nothing_is_erased_under_a_legal_hold() -> None:
    log = ended_case()
    assert log.give(API, HOLD) == [HoldSet(reason="Claim 4711", authenticated_by="api_key")]
    first = log.state.last_number
    log.give(QA, replace(HOLD, authenticated_by="link"))
    for actor, command in (
        (API, WHOLE),
        (SERVICE, replace(WHOLE, authenticated_by=None)),
        (SERVICE, RETIRED),
    ):
        with pytest.raises(IllegalUnderHold):
            log.give(actor, command)
    for number in (first, first + 1):
        lift = LiftHold(number=number, reason="settled", authenticated_by="api_key")
        with pytest.raises(IllegalUnderHold):
            log.give(API, WHOLE)
        assert log.give(API, lift) == [
            HoldLifted(number=number, reason="settled", authenticated_by="api_key")
        ]
        with pytest.raises(UnknownEntry):
            log.give(API, lift)
    assert log.state == replay(log.entries)
    assert log.give(API, WHOLE)


def test_a_case_has_room_for_so_many_holds() -> None:
    log = ended_case()
    for _ in range(MAX_HOLDS):
        log.give(API, HOLD)
    with pytest.raises(IllegalWhenFull):
        log.give(API, HOLD)


def test_pictures_and_sound_go_and_the_rest_stays() -> None:
    log = ended_case()
    (body,) = log.give(SERVICE, RETIRED)
    assert isinstance(body, Erased) and body.by == "retention"
    state = log.state
    assert (state.phase, state.waybill, len(state.links)) == ("ended", "SF1000000001", 3)
    assert len(state.frames) == len(state.talk.shown) == len(state.talk.settled) == len(state.segments) == 0
    assert len(state.talk.announced) == 1, "that there was a photo stays"
    assert state == replay(log.entries)
    with pytest.raises(IllegalSegment):
        log.give(COURIER, SealSegment(segment=segment(2)))


def test_a_single_picture_goes() -> None:
    log = ended_case()
    log.give(COURIER, FrameCaptured(frame=frame_of(CUSTOMER)))
    (first, second) = log.state.frames
    log.give(API, replace(WHOLE, numbers=(first,)))
    assert list(log.state.frames) == [second]
    assert len(log.state.talk.originals) == 1
    assert log.state == replay(log.entries)
    with pytest.raises(UnknownFrame):
        log.give(API, replace(WHOLE, numbers=(first,)))


def test_of_a_case_that_stays_nothing_else_can_be_erased() -> None:
    log = ended_case()
    for kinds in (("text",), ("case_opened", "frame_sealed"), ("segment_sealed",)):
        with pytest.raises(IllegalStep):
            log.give(API, replace(WHOLE, kinds=kinds))


@settings(max_examples=100, deadline=None)
@given(STEPS, STEPS, st.sampled_from([WHOLE, RETIRED]))
def test_the_state_after_erasing_is_that_of_who_never_knew_it(
    steps: list[tuple[Actor, Command]], later: list[tuple[Actor, Command]], command: Erase
) -> None:
    log = play(steps)
    with contextlib.suppress(SignalingError):  # it has ended, or their link was taken back
        log.give(QA, EndCase())
    for actor, step in [(SERVICE, command), *later, (SERVICE, command)]:
        try:
            log.give(actor, step)
        except SignalingError:
            continue
    assert log.state == replay(log.entries)


def test_who_joins_again_begins_with_the_first_piece() -> None:
    log = running_call(CUSTOMER, COURIER)
    log.give(COURIER, SealSegment(segment=segment(1)))
    for someone in (CUSTOMER, COURIER):
        log.give(someone, Leave())
    log.give(SERVICE, RETIRED)
    log.give(COURIER, Join())
    log.give(COURIER, SealSegment(segment=segment(1, call_number=2)))
    assert log.state == replay(log.entries)
