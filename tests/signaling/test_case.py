"""Who may do what when, what follows from it, and that a replay leads to the same state."""

from dataclasses import replace
from datetime import timedelta

import pytest

from signaling.case import (
    LEGAL,
    MAX_IN_CALL,
    MAX_LINKS,
    MAX_RANGES,
    RING_S,
    Append,
    CaptureFrame,
    decide,
    evolve,
    new_case,
    read_entry,
)
from signaling.commands import (
    CaptureFailed,
    Command,
    DeclineCall,
    Depart,
    Elapse,
    EndCase,
    EndGap,
    EndReading,
    Erase,
    FrameCaptured,
    IssueLink,
    Join,
    Leave,
    LiftHold,
    LoseSegment,
    RecordExport,
    RecordPlayback,
    RecordRead,
    RecordRefusal,
    RecordView,
    RevokeLink,
    SealSegment,
    SetHold,
    StartGap,
    TakeFrame,
)
from signaling.entries import (
    CallEnded,
    CallParticipant,
    CallRung,
    CallStarted,
    CaseEnded,
    Consented,
    Envelope,
    Exported,
    FrameFailed,
    GapEnded,
    GapStarted,
    Joined,
    Left,
    LinkIssued,
    LinkRevoked,
    PlayedBack,
    Read,
    Refused,
    Viewed,
    encode_body,
)
from signaling.errors import (
    IllegalEntry,
    IllegalForRole,
    IllegalInPhase,
    IllegalLink,
    IllegalMeanwhile,
    IllegalOutsideCall,
    IllegalSegment,
    IllegalStep,
    IllegalWhenFull,
    IllegalWithoutConsent,
    MalformedEntry,
    SignalingError,
    UnknownEntry,
    UnknownFrame,
    UnknownParticipant,
    UnknownRecording,
    UnknownWord,
)
from signaling.talk import RefuseAttachment, SendText, StoreAttachment, Text
from signaling.values import Actor, ActorId
from tests.signaling.builders import (
    API,
    CASE_ID,
    CONSENT,
    COURIER,
    CUSTOMER,
    DELIVERY,
    DISPATCH,
    EXCEPTIONS,
    EXPIRES_AT,
    GUEST,
    OPEN,
    PHOTO,
    QA,
    SERVICE,
    START_AT,
    TALK,
    Log,
    frame_of,
    link,
    lost_segment,
    opened_case,
    person,
    quality,
    refused,
    running_call,
    segment,
    stored,
    traffic,
)

STRANGER = person("customer", "stranger")
FAILED = CaptureFailed(failure=FrameFailed(of=COURIER.actor_id, reason="no_keyframe", message="none yet"))

EVERY_COMMAND: list[Command] = [
    CONSENT,
    Join(),
    Leave(),
    DeclineCall(),
    TakeFrame(of=COURIER.actor_id),
    EndCase(),
    *TALK,
    *DELIVERY,
    *EXCEPTIONS,
    OPEN,
    link(STRANGER),
    RevokeLink(link_id=COURIER.actor_id),
    Depart(reason="lost"),
    StartGap(cause="network", age_ms=3_000),
    EndGap(cause="network", duration_ms=5_000),
    FrameCaptured(frame=frame_of(COURIER)),
    FAILED,
    RecordView(number=99, authenticated_by="link"),
    RecordExport(authenticated_by="link"),
    SealSegment(segment=segment(1)),
    LoseSegment(segment=lost_segment(1)),
    RecordPlayback(
        call_number=1, of=COURIER.actor_id, part=1, first_segment=1, last_segment=1, authenticated_by="link"
    ),
    RecordRead(after=0, up_to=3, live=False, authenticated_by="link"),
    EndReading(after=0, up_to=3, authenticated_by="link"),
    RecordRefusal(what="export_case", reason="not_for_role", authenticated_by="link"),
    Erase(reason="It was asked for.", authenticated_by="api_key"),
    SetHold(reason="A claim", authenticated_by="api_key"),
    LiftHold(number=3, reason="It is settled.", authenticated_by="api_key"),
    Elapse(),
    StoreAttachment(stored=stored(PHOTO, 4)),
    RefuseAttachment(refused=refused(PHOTO, 4)),
]


# What stands in the way of a command that the table allows.
BEYOND_THE_TABLE = (
    UnknownFrame,
    UnknownRecording,
    UnknownEntry,
    UnknownWord,
    IllegalForRole,
    IllegalInPhase,
    IllegalMeanwhile,
    IllegalOutsideCall,
    IllegalStep,
    IllegalWithoutConsent,
)

# Consent comes first


def test_nobody_joins_without_consent() -> None:
    log = opened_case(CUSTOMER)
    with pytest.raises(IllegalWithoutConsent):
        log.give(CUSTOMER, Join())


def test_no_frame_is_taken_of_someone_who_has_not_consented() -> None:
    log = running_call(CUSTOMER, watching=[COURIER, QA])
    for presser in (CUSTOMER, QA):
        with pytest.raises(IllegalOutsideCall):
            log.give(presser, TakeFrame(of=COURIER.actor_id))


def test_consent_holds_for_the_next_call_and_the_next_session() -> None:
    log = running_call(CUSTOMER)
    log.give(CUSTOMER, Leave())
    again = Actor(role="customer", actor_id=CUSTOMER.actor_id, session_id=COURIER.session_id)
    assert log.give(again, Join()) == [CallStarted(call_number=2), Joined(call_number=2)]


# A call


def test_the_first_who_joins_starts_the_call() -> None:
    log = opened_case(CUSTOMER, COURIER)
    log.give(CUSTOMER, CONSENT)
    log.give(COURIER, CONSENT)
    assert log.give(CUSTOMER, Join()) == [
        CallStarted(call_number=1),
        Joined(call_number=1),
        CallRung(
            call_number=1,
            of=(COURIER.actor_id,),
            absent=(COURIER.actor_id,),
            until=log.now_at + timedelta(seconds=RING_S),
        ),
    ]
    assert log.give(COURIER, Join()) == [Joined(call_number=1)]


def test_the_last_who_leaves_ends_the_call_with_what_each_sent_and_received() -> None:
    log = running_call(CUSTOMER, COURIER)
    log.wait(192.48)
    first, second = traffic(100), traffic(200)
    assert log.give(CUSTOMER, Leave(), {CUSTOMER.actor_id: first}) == [
        Left(call_number=1, reason="left", traffic=first)
    ]
    assert log.give(COURIER, Leave(), {COURIER.actor_id: second}) == [
        Left(call_number=1, reason="left", traffic=second),
        CallEnded(
            call_number=1,
            duration_ms=192_480,
            participants=(
                CallParticipant(actor_id=CUSTOMER.actor_id, role="customer", traffic=first),
                CallParticipant(actor_id=COURIER.actor_id, role="courier", traffic=second),
            ),
        ),
    ]
    assert log.state.call is None


def test_the_shares_of_someone_who_came_twice_are_added() -> None:
    log = running_call(CUSTOMER, COURIER)
    log.give(CUSTOMER, Depart(reason="lost"), {CUSTOMER.actor_id: traffic(100)})
    log.give(CUSTOMER, Join())
    log.give(COURIER, Leave(), {COURIER.actor_id: traffic(10)})
    ended = log.give(CUSTOMER, Leave(), {CUSTOMER.actor_id: traffic(50)})[-1]
    assert isinstance(ended, CallEnded)
    assert [share.traffic for share in ended.participants] == [traffic(150), traffic(10)]


def test_what_the_server_cannot_know_is_not_invented() -> None:
    log = running_call(CUSTOMER)
    left, ended = log.give(CUSTOMER, Depart(reason="interrupted"))
    assert isinstance(left, Left) and left.traffic is None
    assert isinstance(ended, CallEnded) and ended.participants[0].traffic is None


def test_a_clock_that_was_set_back_gives_no_negative_duration() -> None:
    log = running_call(CUSTOMER)
    log.wait(-3600)
    ended = log.give(CUSTOMER, Leave())[-1]
    assert isinstance(ended, CallEnded) and ended.duration_ms == 0


def test_a_call_holds_four() -> None:
    crowd = [person("qa", "qa" + letter) for letter in "abcde"]
    log = running_call(*crowd[:MAX_IN_CALL], watching=crowd[MAX_IN_CALL:])
    log.give(crowd[-1], CONSENT)
    with pytest.raises(IllegalWhenFull):
        log.give(crowd[-1], Join())


def test_repeating_what_is_so_already_makes_no_entry() -> None:
    log = running_call(CUSTOMER, COURIER)
    assert log.give(CUSTOMER, CONSENT) == []
    assert log.give(CUSTOMER, Join()) == []
    log.give(CUSTOMER, Leave())
    assert log.give(CUSTOMER, Leave()) == []
    assert log.give(CUSTOMER, Depart(reason="lost")) == []
    log.give(API, RevokeLink(link_id=COURIER.actor_id))
    assert log.give(API, RevokeLink(link_id=COURIER.actor_id)) == []


# Links


def test_a_revoked_link_takes_its_person_out_of_the_call() -> None:
    log = running_call(CUSTOMER, COURIER)
    outputs = decide(log.state, RevokeLink(link_id=COURIER.actor_id), API, log.moment())
    assert outputs == [
        Append(actor=API, body=LinkRevoked(link_id=COURIER.actor_id)),
        Append(actor=COURIER, body=Left(call_number=1, reason="revoked", traffic=None)),
    ]


@pytest.mark.parametrize("command", [CONSENT, Join(), SendText(text="x"), TakeFrame(of=CUSTOMER.actor_id)])
def test_a_revoked_or_expired_link_says_nothing_more_but_goodbye(command: Command) -> None:
    revoked = running_call(CUSTOMER, COURIER)
    revoked.give(API, RevokeLink(link_id=COURIER.actor_id))
    expired = running_call(CUSTOMER, COURIER)
    expired.now_at = EXPIRES_AT
    for log in (revoked, expired):
        with pytest.raises(IllegalLink):
            log.give(COURIER, command)
    assert expired.give(COURIER, Leave()) == [Left(call_number=1, reason="left", traffic=None)]


def test_a_link_of_another_case_or_another_role_is_unknown() -> None:
    log = opened_case(CUSTOMER)
    impostor = Actor(role="qa", actor_id=CUSTOMER.actor_id, session_id=CUSTOMER.session_id)
    for actor in (STRANGER, impostor):
        with pytest.raises(UnknownParticipant):
            log.give(actor, SendText(text="hello"))
    with pytest.raises(UnknownParticipant):
        log.give(API, RevokeLink(link_id=STRANGER.actor_id))


def test_a_link_lives_no_longer_for_the_part_of_a_millisecond_that_the_log_drops() -> None:
    log = Log()
    log.give(API, OPEN)
    until = EXPIRES_AT + timedelta(microseconds=999)
    log.give(API, IssueLink(link_id=QA.actor_id, role="qa", name="qa", expires_at=until))
    assert log.state.links[QA.actor_id].expires_at == EXPIRES_AT


def test_a_case_has_room_for_so_many_links_and_no_id_twice() -> None:
    log = opened_case(CUSTOMER)
    with pytest.raises(IllegalWhenFull):
        log.give(API, link(CUSTOMER))
    for count in range(MAX_LINKS - 1):
        log.give(
            API, link(person("qa", "qa" + "abcdefghijklmnop"[count // 16] + "abcdefghijklmnop"[count % 16]))
        )
    with pytest.raises(IllegalWhenFull):
        log.give(API, link(STRANGER))


# Frames


def test_a_pressed_shutter_asks_for_the_picture_and_says_when() -> None:
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    for presser in (CUSTOMER, COURIER, QA):
        assert log.give(presser, TakeFrame(of=COURIER.actor_id)) == [
            CaptureFrame(actor=presser, of=COURIER.actor_id, pressed_at=log.now_at)
        ]
    with pytest.raises(UnknownParticipant):
        log.give(QA, TakeFrame(of=STRANGER.actor_id))


def test_a_customer_outside_the_call_presses_no_shutter() -> None:
    log = running_call(COURIER, watching=[CUSTOMER])
    with pytest.raises(IllegalOutsideCall):
        log.give(CUSTOMER, TakeFrame(of=COURIER.actor_id))


def test_a_picture_pressed_in_time_is_sealed_though_the_case_has_ended_since() -> None:
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    log.give(CUSTOMER, TakeFrame(of=COURIER.actor_id))
    log.give(QA, EndCase())
    assert log.give(CUSTOMER, FrameCaptured(frame=frame_of(COURIER))) == [frame_of(COURIER)]
    assert log.state.frames == {log.state.last_number: "ab" * 32}
    assert log.give(CUSTOMER, FAILED) == [FAILED.failure]


def test_a_first_view_is_an_entry_for_each_who_looks() -> None:
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    log.give(CUSTOMER, FrameCaptured(frame=frame_of(COURIER)))
    number = log.state.last_number
    for viewer in (QA, CUSTOMER):
        assert log.give(viewer, RecordView(number=number, authenticated_by="link")) == [
            Viewed(number=number, authenticated_by="link")
        ]
        assert log.give(viewer, RecordView(number=number, authenticated_by="link")) == []
    with pytest.raises(UnknownFrame):
        log.give(QA, RecordView(number=1, authenticated_by="link"))


# The end


def test_an_ended_case_sends_everybody_home_first() -> None:
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    counted = {CUSTOMER.actor_id: traffic(1), COURIER.actor_id: traffic(2)}
    outputs = decide(log.state, EndCase(), QA, log.moment(counted))
    assert [(output.actor, output.kind) for output in outputs if isinstance(output, Append)] == [
        (CUSTOMER, "left"),
        (COURIER, "left"),
        (QA, "call_ended"),
        (QA, "case_ended"),
    ]
    assert outputs[-1] == Append(actor=QA, body=CaseEnded(reason="ended_by_qa"))


def test_an_ended_case_hears_nothing_more_but_can_be_reviewed() -> None:
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    log.give(CUSTOMER, FrameCaptured(frame=frame_of(COURIER)))
    number = log.state.last_number
    log.give(API, EndCase())
    for command in (CONSENT, Join(), SendText(text="x"), TakeFrame(of=COURIER.actor_id), EndCase()):
        with pytest.raises(IllegalInPhase):
            log.give(QA, command)
    with pytest.raises(IllegalInPhase):
        log.give(API, link(STRANGER))
    reviewer = person("qa", "later")
    assert [type(body) for body in log.give(API, link(reviewer))] == [LinkIssued]
    assert log.give(reviewer, RecordView(number=number, authenticated_by="link")) == [
        Viewed(number=number, authenticated_by="link")
    ]
    before = log.state.last_number
    assert log.give(reviewer, RecordExport(authenticated_by="link")) == [
        Exported(entries_before=before, authenticated_by="link")
    ]
    assert log.give(CUSTOMER, Leave()) == []


# The table


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: str(command.kind))
@pytest.mark.parametrize(
    "actor", [CUSTOMER, COURIER, QA, DISPATCH, GUEST, API, SERVICE], ids=lambda actor: str(actor.role)
)
def test_what_the_table_does_not_allow_raises_and_changes_nothing(actor: Actor, command: Command) -> None:
    watching = [DISPATCH, GUEST]
    fresh, running = Log(), running_call(CUSTOMER, COURIER, QA, watching=watching)
    ended = running_call(CUSTOMER, COURIER, QA, watching=watching)
    ended.give(QA, EndCase())
    rule = LEGAL[type(command)].get(actor.role)
    for log in (fresh, running, ended):
        before = log.state
        if rule is None:
            with pytest.raises(IllegalForRole):
                log.give(actor, command)
        elif before.phase not in rule.phases:
            with pytest.raises(IllegalInPhase):
                log.give(actor, command)
        else:
            try:
                decide(log.state, command, actor, log.moment())
            except SignalingError as error:
                assert isinstance(error, BEYOND_THE_TABLE)
        assert log.state == before


def test_the_table_has_a_row_for_every_command() -> None:
    assert {type(command) for command in EVERY_COMMAND} == set(LEGAL)


# Gaps and quality

NETWORK_GAP = GapStarted(call_number=1, of="both", cause="network", began_at=START_AT + timedelta(seconds=7))
NETWORK_BACK = GapEnded(call_number=1, number=8, of="both", cause="network", duration_ms=5_000)


def call_with_a_gap() -> Log:
    log = running_call(CUSTOMER, COURIER)
    log.wait(10)
    assert log.give(COURIER, StartGap(cause="network", age_ms=3_000)) == [
        replace(NETWORK_GAP, began_at=START_AT + timedelta(seconds=7))
    ]
    return log


def test_a_gap_is_told_once_and_ends_once() -> None:
    log = call_with_a_gap()
    gap = log.entries[-1].number
    assert log.give(COURIER, StartGap(cause="network", age_ms=0)) == []
    assert log.give(COURIER, StartGap(cause="camera_off", age_ms=0)) != [], "another cause is another gap"
    assert log.give(COURIER, EndGap(cause="network", duration_ms=5_000)) == [
        replace(NETWORK_BACK, number=gap)
    ]
    assert log.give(COURIER, EndGap(cause="network", duration_ms=5_000)) == []
    assert log.give(CUSTOMER, EndGap(cause="camera_off", duration_ms=1)) == [], "it is another person's"


def test_who_leaves_within_a_gap_ends_it_and_says_how_their_call_was() -> None:
    log = call_with_a_gap()
    gap = log.entries[-1].number
    log.wait(60)
    counted, measured = {COURIER.actor_id: traffic(5)}, {COURIER.actor_id: quality(5)}
    assert log.give(COURIER, Depart(reason="lost"), counted, measured) == [
        replace(NETWORK_BACK, number=gap, duration_ms=63_000),
        quality(5),
        Left(call_number=1, reason="lost", traffic=traffic(5)),
    ]
    assert log.state.call is not None and log.state.call.gaps == {}
    assert {entry.actor_id for entry in log.entries[-3:]} == {COURIER.actor_id}


def test_how_long_a_gap_was_is_not_known_to_a_service_that_was_not_there() -> None:
    log = call_with_a_gap()
    gap = log.entries[-1].number
    log.wait(3_600)
    assert log.give(COURIER, Depart(reason="interrupted")) == [
        replace(NETWORK_BACK, number=gap, duration_ms=None),
        Left(call_number=1, reason="interrupted", traffic=None),
    ]


def test_the_end_of_a_case_ends_the_gaps_and_says_how_everybodys_call_was() -> None:
    log = call_with_a_gap()
    everybody = (CUSTOMER, COURIER)
    log.give(
        API,
        EndCase(),
        {actor.actor_id: traffic(5) for actor in everybody},
        {actor.actor_id: quality(5) for actor in everybody},
    )
    late = ["call_quality", "left", "gap_ended", "call_quality", "left", "call_ended", "case_ended"]
    assert log.kinds()[-len(late) :] == late


def test_what_was_noticed_too_late_makes_no_entry() -> None:
    log = running_call(CUSTOMER, COURIER)
    log.give(COURIER, Leave())
    assert log.give(COURIER, StartGap(cause="network", age_ms=0)) == []
    log.give(API, EndCase())
    assert log.give(CUSTOMER, StartGap(cause="network", age_ms=0)) == []
    assert log.give(CUSTOMER, EndGap(cause="network", duration_ms=1)) == []


# Replay


def test_an_entry_that_does_not_follow_is_refused() -> None:
    log = opened_case(CUSTOMER)
    with pytest.raises(IllegalEntry, match="entry 2 cannot follow entry 2"):
        evolve(log.state, log.entries[-1])
    with pytest.raises(IllegalEntry, match="entry 2 cannot follow entry 0"):
        evolve(new_case(CASE_ID), log.entries[-1])


@pytest.mark.parametrize(
    "body",
    [
        CallStarted(call_number=3),
        Joined(call_number=1),
        Left(call_number=1, reason="left", traffic=None),
        NETWORK_GAP,
        NETWORK_BACK,
        quality(7),
        CallEnded(call_number=1, duration_ms=0, participants=()),
        LinkRevoked(link_id=ActorId("l_" + "z" * 20)),
    ],
    ids=lambda body: str(body.kind),
)
def test_an_entry_that_no_command_could_have_made_is_refused(
    body: CallStarted | Joined | Left | CallEnded,
) -> None:
    log = opened_case(CUSTOMER)
    with pytest.raises(IllegalEntry):
        log.append(Append(actor=CUSTOMER, body=body))


def test_a_case_begins_with_case_opened_and_only_once() -> None:
    with pytest.raises(IllegalEntry):
        Log().append(Append(actor=CUSTOMER, body=Text(text="hello")))
    log = opened_case()
    with pytest.raises(IllegalEntry):
        log.append(Append(actor=API, body=log.entries[0].body))


def test_a_stored_entry_is_read_typed() -> None:
    envelope = Envelope(
        version=1,
        kind="consented",
        case_id=CASE_ID,
        number=2,
        previous_hash="0" * 64,
        role="customer",
        actor_id=CUSTOMER.actor_id,
        session_id=CUSTOMER.session_id,
        recorded_at=START_AT,
        commitment="1" * 64,
    )
    body = Consented(statement="I agree.", language="en")
    entry = read_entry(envelope, encode_body(body), "2" * 64)
    assert (entry.number, entry.kind, entry.body, entry.hash) == (2, "consented", body, "2" * 64)
    with pytest.raises(MalformedEntry):
        read_entry(envelope, {"statement": "I agree."}, "2" * 64)


# The journal


def test_segments_are_numbered_without_holes_for_each_sender_in_each_call() -> None:
    log = running_call(CUSTOMER, COURIER)
    assert log.give(COURIER, SealSegment(segment=segment(1))) == [segment(1)]
    log.give(COURIER, LoseSegment(segment=lost_segment(2)))
    log.give(CUSTOMER, SealSegment(segment=segment(1)))
    for number in (1, 2, 4):
        for command in (SealSegment(segment=segment(number)), LoseSegment(segment=lost_segment(number))):
            with pytest.raises(IllegalSegment):
                log.give(COURIER, command)
    log.give(COURIER, SealSegment(segment=segment(3)))
    with pytest.raises(IllegalSegment):
        log.give(COURIER, SealSegment(segment=segment(1, call_number=2)))
    for again in (Leave(), Join()):
        for actor in (CUSTOMER, COURIER):
            log.give(actor, again)
    log.give(COURIER, SealSegment(segment=segment(1, call_number=2)))
    assert log.state.segments == {
        (1, COURIER.actor_id): 3,
        (1, CUSTOMER.actor_id): 1,
        (2, COURIER.actor_id): 1,
    }


def test_a_segment_is_sealed_though_its_sender_has_left_and_the_case_has_ended() -> None:
    log = running_call(COURIER, watching=[QA])
    log.give(COURIER, Leave())
    log.give(API, EndCase())
    log.give(API, RevokeLink(link_id=COURIER.actor_id))
    assert log.give(COURIER, SealSegment(segment=segment(1))) == [segment(1)]


def test_a_log_whose_segments_have_a_hole_is_refused() -> None:
    log = running_call(COURIER)
    for body in (segment(2), lost_segment(2), segment(1, call_number=2)):
        with pytest.raises(IllegalEntry):
            log.append(Append(actor=COURIER, body=body))


def test_a_call_that_the_next_process_ends_is_aborted() -> None:
    log = running_call(CUSTOMER, COURIER)
    log.give(CUSTOMER, Depart(reason="interrupted", aborted=True))
    ended = log.give(COURIER, Depart(reason="interrupted", aborted=True))[-1]
    assert isinstance(ended, CallEnded) and ended.reason == "aborted"
    stopped = running_call(CUSTOMER).give(CUSTOMER, Depart(reason="interrupted"))[-1]
    assert isinstance(stopped, CallEnded) and stopped.reason == "ended"


# Custody


def read(after: int, up_to: int, *, live: bool = False) -> RecordRead:
    return RecordRead(after=after, up_to=up_to, live=live, authenticated_by="link")


def was_read(after: int, up_to: int, *, live: bool = False) -> list[Read]:
    return [Read(after=after, up_to=up_to, live=live, authenticated_by="link")]


def case_of_texts(count: int) -> Log:
    """Entry 1 to 3: the case and two links; then texts of the customer."""
    log = opened_case(CUSTOMER, QA)
    for number in range(count):
        log.give(CUSTOMER, SendText(text=str(number)))
    return log


def test_what_was_read_is_told_once_and_what_is_new_again() -> None:
    log = case_of_texts(5)
    assert log.give(QA, read(0, 4)) == was_read(0, 4)
    assert log.give(QA, read(0, 4)) == []
    assert log.give(QA, read(2, 8)) == was_read(2, 8)
    assert log.give(QA, read(0, 8)) == []
    assert log.give(CUSTOMER, read(0, 8)) == was_read(0, 8), "another reader is another matter"


def test_what_was_skipped_is_no_less_a_reading_when_it_comes() -> None:
    log = case_of_texts(5)
    log.give(QA, read(6, 8))
    assert log.give(QA, read(0, 3)) == was_read(0, 3)
    assert log.give(QA, read(3, 6)) == was_read(3, 6)
    assert log.state.reading[QA.actor_id].ranges == ((0, 8),)


def test_reading_of_readings_makes_no_entry() -> None:
    log = case_of_texts(1)
    assert log.give(QA, read(0, log.state.last_number)) != []
    log.give(API, RecordExport(authenticated_by="api_key"))
    log.give(CUSTOMER, read(0, 4))
    for after in range(log.state.last_number + 1):
        assert log.give(QA, read(after, log.state.last_number)) == []


def test_a_customer_who_is_shown_no_body_has_read_nothing() -> None:
    log = opened_case(CUSTOMER, QA)
    assert log.give(CUSTOMER, read(0, 3)) == []
    assert log.give(QA, read(0, 3)) == was_read(0, 3)


def test_what_is_read_live_is_covered_until_it_is_closed() -> None:
    log = case_of_texts(1)
    assert log.give(QA, read(0, 4, live=True)) == was_read(0, 4, live=True)
    log.give(CUSTOMER, SendText(text="live"))
    assert log.give(QA, read(4, 6, live=True)) == [], "a second page of the same person"
    assert log.give(QA, read(4, 6)) == was_read(4, 6), "what is asked for by itself is told by itself"
    assert log.give(QA, read(4, 6)) == []
    assert log.give(QA, EndReading(after=0, up_to=6, authenticated_by="link")) == []
    log.give(CUSTOMER, SendText(text="later"))
    assert log.give(QA, read(7, 8)) == was_read(7, 8)


def test_a_page_that_comes_and_goes_with_nothing_new_makes_no_entry() -> None:
    log = case_of_texts(1)
    log.give(QA, read(0, 4, live=True))
    for _ in range(3):
        number = log.state.last_number
        assert log.give(QA, EndReading(after=number, up_to=number, authenticated_by="link")) == []
        assert log.give(QA, read(number, number, live=True)) == []


def test_live_reading_that_could_not_be_announced_is_told_at_its_end() -> None:
    log = case_of_texts(3)
    assert log.give(CUSTOMER, EndReading(after=4, up_to=6, authenticated_by="link")) == was_read(4, 6)


def test_readings_that_are_far_apart_are_remembered_up_to_a_bound() -> None:
    log = case_of_texts(3 * MAX_RANGES)
    for after in range(0, 3 * MAX_RANGES, 2):
        log.give(QA, read(after, after + 1))
    ranges = log.state.reading[QA.actor_id].ranges
    assert len(ranges) == MAX_RANGES
    assert log.give(QA, read(0, 1)) == was_read(0, 1), "what was forgotten is told again"


def test_a_playback_is_of_segments_that_are_there() -> None:
    log = running_call(COURIER, watching=[QA])
    play = RecordPlayback(
        call_number=1, of=COURIER.actor_id, part=1, first_segment=1, last_segment=2, authenticated_by="link"
    )
    log.give(COURIER, SealSegment(segment=segment(1)))
    with pytest.raises(UnknownRecording):
        log.give(QA, play)
    log.give(COURIER, LoseSegment(segment=lost_segment(2)))
    [played] = log.give(QA, play)
    assert isinstance(played, PlayedBack) and (played.first_segment, played.last_segment) == (1, 2)
    assert log.give(QA, play) == [played], "each time is an entry"


def test_a_refusal_is_written_also_of_a_person_of_another_case() -> None:
    log = opened_case(CUSTOMER)
    for actor in (STRANGER, API):
        refusal = RecordRefusal(what="export_case", reason="other_case", authenticated_by="link")
        assert log.give(actor, refusal) == [
            Refused(what="export_case", reason="other_case", authenticated_by="link")
        ]


# Long cases


def test_an_entry_costs_the_same_at_the_end_of_a_long_case() -> None:
    log = running_call(CUSTOMER, COURIER, watching=[QA])
    frame = FrameCaptured(frame=frame_of(COURIER))
    for _ in range(2_000):
        log.give(CUSTOMER, frame)
        log.give(QA, RecordView(number=log.state.last_number, authenticated_by="link"))
    middle = log.state
    frames = middle.frames
    log.give(CUSTOMER, frame)
    assert len(frames) == len(middle.frames) == 2_000, "an older state stays as it was"
    assert len(log.state.frames) == 2_001
    assert log.state.frames._places is frames._places, "and is not copied for the next one"
