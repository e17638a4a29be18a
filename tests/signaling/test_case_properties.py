"""Whatever people and the server try, in whatever order: what a case never comes to."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.case import MAX_IN_CALL, Phase, evolve, new_case, read_entry
from signaling.commands import (
    Command,
    Depart,
    EndCase,
    EndGap,
    EndReading,
    FrameCaptured,
    Join,
    Leave,
    LoseSegment,
    RecordExport,
    RecordPlayback,
    RecordRead,
    RecordRefusal,
    RecordView,
    RevokeLink,
    SealSegment,
    StartGap,
    TakeFrame,
)
from signaling.entries import (
    BOOKKEEPING,
    Body,
    CallEnded,
    CallQuality,
    CallStarted,
    Envelope,
    Exported,
    GapCause,
    GapEnded,
    GapStarted,
    Joined,
    Left,
    encode_body,
)
from signaling.errors import SignalingError
from signaling.talk import SendText
from signaling.values import Actor
from tests.signaling.builders import (
    API,
    CASE_ID,
    CONSENT,
    COURIER,
    CUSTOMER,
    QA,
    Log,
    frame_of,
    link,
    lost_segment,
    opened_case,
    person,
    quality,
    segment,
    traffic,
)

PEOPLE = [CUSTOMER, COURIER, QA, person("qa", "second"), person("courier", "third")]

CAUSES: list[GapCause] = ["network", "microphone_off", "camera_off", "page_hidden"]

COMMANDS = st.one_of(
    st.sampled_from(
        [CONSENT, Join(), Leave(), SendText(text="hello"), RecordExport(authenticated_by="link")]
    ),
    st.sampled_from([CONSENT, Join(), Leave(), Depart(reason="lost"), Depart(reason="interrupted")]),
    st.builds(StartGap, cause=st.sampled_from(CAUSES), age_ms=st.integers(0, 9_000)),
    st.builds(EndGap, cause=st.sampled_from(CAUSES), duration_ms=st.integers(0, 9_000)),
    st.builds(TakeFrame, of=st.sampled_from([someone.actor_id for someone in PEOPLE])),
    st.builds(RevokeLink, link_id=st.sampled_from([someone.actor_id for someone in PEOPLE])),
    st.builds(FrameCaptured, frame=st.sampled_from([frame_of(someone) for someone in PEOPLE])),
    st.builds(RecordView, number=st.integers(min_value=0, max_value=40), authenticated_by=st.just("link")),
    st.builds(SealSegment, segment=st.builds(segment, st.integers(1, 4), st.integers(1, 2))),
    st.builds(LoseSegment, segment=st.builds(lost_segment, st.integers(1, 4), st.integers(1, 2))),
    st.builds(
        RecordRead,
        after=st.integers(0, 40),
        up_to=st.integers(0, 40),
        live=st.booleans(),
        authenticated_by=st.just("link"),
    ),
    st.builds(
        EndReading, after=st.integers(0, 40), up_to=st.integers(0, 40), authenticated_by=st.just("link")
    ),
    st.builds(
        RecordPlayback,
        call_number=st.integers(1, 2),
        of=st.sampled_from([someone.actor_id for someone in PEOPLE]),
        part=st.just(1),
        first_segment=st.integers(1, 3),
        last_segment=st.integers(1, 3),
        authenticated_by=st.just("link"),
    ),
    st.just(RecordRefusal(what="export_case", reason="not_for_role", authenticated_by="link")),
    st.builds(link, st.sampled_from(PEOPLE)),
    st.just(EndCase()),
)
STEPS = st.lists(st.tuples(st.sampled_from([*PEOPLE, API]), COMMANDS), max_size=60)


def play(steps: list[tuple[Actor, Command]]) -> Log:
    """A case of four, one of them without a link at first, and whatever was legal of the steps."""
    log = opened_case(*PEOPLE[:4])
    for count, (actor, command) in enumerate(steps):
        before = log.state
        counted = {actor_id: traffic(count) for actor_id in before.in_call[:2]}
        call_number = before.call.call_number if before.call else 0
        measured = {
            actor_id: replace(quality(count), call_number=call_number) for actor_id in before.in_call[:3]
        }
        try:
            log.give(actor, command, counted, measured)
        except SignalingError:
            assert log.state == before
        log.wait(1)
    return log


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_numbers_have_no_holes_and_a_replay_gives_the_same_state(steps: list[tuple[Actor, Command]]) -> None:
    log = play(steps)
    assert [entry.number for entry in log.entries] == list(range(1, len(log.entries) + 1))
    replayed = new_case(CASE_ID)
    for entry in log.entries:
        envelope = Envelope(
            version=1,
            kind=entry.kind,
            case_id=CASE_ID,
            number=entry.number,
            previous_hash=replayed.last_hash,
            role=entry.role,
            actor_id=entry.actor_id,
            session_id=entry.session_id,
            recorded_at=entry.recorded_at,
            commitment="0" * 64,
        )
        stored: dict[str, Any] = encode_body(entry.body)
        replayed = evolve(replayed, read_entry(envelope, stored, entry.hash))
    assert replayed == log.state


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_call_holds_those_who_consented_and_ends_when_it_is_empty(
    steps: list[tuple[Actor, Command]],
) -> None:
    log = play(steps)
    in_call: set[str] = set()
    consented: set[str] = set()
    gaps: dict[tuple[str, str], int] = {}
    going_on = False
    for entry in log.entries:
        body: Body = entry.body
        match body:
            case CallStarted():
                assert not going_on
                going_on = True
            case Joined():
                assert going_on and entry.actor_id in consented and entry.actor_id not in in_call
                in_call.add(entry.actor_id)
                assert len(in_call) <= MAX_IN_CALL
            case GapStarted():
                assert entry.actor_id in in_call and (entry.actor_id, body.cause) not in gaps
                gaps[entry.actor_id, body.cause] = entry.number
            case GapEnded():
                assert gaps.pop((entry.actor_id, body.cause)) == body.number
            case CallQuality():
                assert entry.actor_id in in_call
            case Left():
                in_call.remove(entry.actor_id)
                assert all(of != entry.actor_id for of, _ in gaps), "nobody leaves with a gap open"
            case CallEnded():
                assert going_on and not in_call
                going_on = False
            case Exported():
                assert body.entries_before == entry.number - 1
            case _ if entry.kind == "consented":
                consented.add(entry.actor_id)
    assert going_on == bool(in_call) == (log.state.call is not None)
    assert set(log.state.in_call) == in_call


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_nothing_is_said_after_the_end(steps: list[tuple[Actor, Command]]) -> None:
    kinds = play(steps).kinds()
    if "case_ended" in kinds:
        after = kinds[kinds.index("case_ended") + 1 :]
        late = {"link_issued", "link_revoked", "frame_sealed", "frame_failed", *BOOKKEEPING}
        assert set(after) <= late


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_giving_a_command_again_after_it_took_effect_changes_no_ones_place(
    steps: list[tuple[Actor, Command]],
) -> None:
    log = play(steps)
    phase: Phase = log.state.phase
    for actor in PEOPLE:
        for command in (CONSENT, Join(), Leave()):
            try:
                log.give(actor, command)
            except SignalingError:
                continue
            assert log.give(actor, command) == []
    assert log.state.phase == phase


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([CUSTOMER, QA]), st.integers(0, 40), st.integers(0, 40))
def test_reading_the_same_again_never_makes_an_entry(
    steps: list[tuple[Actor, Command]], reader: Actor, after: int, up_to: int
) -> None:
    log = play(steps)
    page = RecordRead(after=after, up_to=up_to, live=False, authenticated_by="link")
    try:
        log.give(reader, page)
    except SignalingError:
        return
    assert log.give(reader, page) == []
    newest = RecordRead(after=0, up_to=log.state.last_number, live=False, authenticated_by="link")
    log.give(reader, newest)
    assert log.give(reader, replace(newest, up_to=log.state.last_number)) == [], "nor its own entry"
