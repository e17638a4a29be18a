"""Talk: what is said, what is attached, and what has reached whom."""

from dataclasses import replace

import pytest

from signaling.commands import EndCase, IssueLink, Join, RecordView, RevokeLink
from signaling.entries import LinkRevoked, Viewed
from signaling.errors import (
    IllegalForRole,
    IllegalInPhase,
    IllegalLink,
    IllegalQuota,
    IllegalStep,
    IllegalWhenFull,
    UnknownEntry,
    UnknownFrame,
    UnknownWord,
)
from signaling.exceptions import ReportException
from signaling.talk import (
    MAX_ATTACHMENT_BYTES,
    MAX_GUEST_ATTACHMENT_BYTES,
    MAX_GUEST_ATTACHMENTS,
    MAX_PERSON_ATTACHMENT_BYTES,
    MAX_PERSON_ATTACHMENTS,
    Announced,
    Attach,
    Attached,
    Attachment,
    Mark,
    Marks,
    Phrase,
    Placed,
    Receipt,
    RefuseAttachment,
    Room,
    SendPhrase,
    SendText,
    SharePlace,
    StoreAttachment,
    Text,
    distance,
)
from signaling.values import Actor, PersonRole, Place
from tests.signaling.builders import (
    API,
    AT_THE_GATE,
    CONSENT,
    COURIER,
    CUSTOMER,
    EXPIRES_AT,
    GUEST,
    OPEN,
    PHOTO,
    QA,
    START_AT,
    VOICE,
    Log,
    link,
    opened_case,
    person,
    refused,
    stored,
)


def photo(number: int, size_bytes: int = 1_000) -> Attachment:
    return replace(PHOTO, sha256=f"{number:064x}", size_bytes=size_bytes)


def test_a_text_keeps_when_it_was_written() -> None:
    log = opened_case(COURIER)
    assert log.give(COURIER, SendText(text="2", captured_at=START_AT)) == [
        Text(text="2", captured_at=START_AT)
    ]


def test_a_phrase_is_said_in_every_language_and_only_by_its_role() -> None:
    log = opened_case(COURIER, CUSTOMER)
    assert log.give(COURIER, SendPhrase(phrase="at_the_gate")) == [
        Phrase(
            phrase="at_the_gate",
            text={"zh": "我在小区门口。", "en": "I am at the gate."},
            captured_at=None,
        )
    ]
    for phrase in ("at_the_gate", "of_tomorrow"):
        with pytest.raises(UnknownWord):
            log.give(CUSTOMER, SendPhrase(phrase=phrase))


def test_the_hash_of_a_photo_is_in_the_log_before_its_bytes() -> None:
    log = opened_case(COURIER)
    assert log.give(COURIER, Attach(attachment=PHOTO)) == [Attached(attachment=PHOTO, caption=None)]
    number = log.state.last_number
    waiting = Announced(actor_id=COURIER.actor_id, attachment=PHOTO)
    assert log.state.talk.unsettled(COURIER.actor_id, PHOTO.sha256) == [(number, waiting)]
    assert log.state.talk.unsettled(CUSTOMER.actor_id, PHOTO.sha256) == []
    assert log.give(COURIER, StoreAttachment(stored=stored(PHOTO, number))) == [stored(PHOTO, number)]
    assert log.state.talk.unsettled(COURIER.actor_id, PHOTO.sha256) == []
    assert log.state.talk.originals[PHOTO.sha256] == log.state.talk.shown["33" * 32] == number + 1


def test_the_first_look_of_each_at_an_attachment_is_an_entry() -> None:
    log = opened_case(COURIER, QA)
    log.give(COURIER, Attach(attachment=PHOTO))
    announced = log.state.last_number
    log.give(COURIER, StoreAttachment(stored=stored(PHOTO, announced)))
    number = log.state.last_number
    for viewer in (COURIER, QA):
        seen = RecordView(number=number, authenticated_by="link")
        assert log.give(viewer, seen) == [Viewed(number=number, authenticated_by="link")]
        assert log.give(viewer, seen) == []
    with pytest.raises(UnknownFrame):
        log.give(QA, RecordView(number=announced, authenticated_by="link"))


def test_an_attachment_is_settled_once() -> None:
    log = opened_case(COURIER)
    log.give(COURIER, Attach(attachment=PHOTO))
    number = log.state.last_number
    log.give(COURIER, RefuseAttachment(refused=refused(PHOTO, number)))
    assert log.give(COURIER, RefuseAttachment(refused=refused(PHOTO, number))) == []
    assert log.give(COURIER, StoreAttachment(stored=stored(PHOTO, number))) == []


def test_bytes_that_nobody_announced_are_unknown() -> None:
    log = opened_case(COURIER, CUSTOMER)
    log.give(COURIER, Attach(attachment=PHOTO))
    number = log.state.last_number
    for actor, wrong in [(CUSTOMER, number), (COURIER, number - 1), (COURIER, number + 1)]:
        with pytest.raises(UnknownEntry):
            log.give(actor, StoreAttachment(stored=stored(PHOTO, wrong)))
    with pytest.raises(UnknownEntry):
        log.give(COURIER, StoreAttachment(stored=stored(VOICE, number)))


def test_bytes_that_were_announced_in_time_are_stored_though_the_case_has_ended() -> None:
    log = opened_case(COURIER, QA)
    log.give(COURIER, Attach(attachment=VOICE))
    number = log.state.last_number
    log.give(QA, EndCase())
    log.now_at = EXPIRES_AT
    assert log.give(COURIER, StoreAttachment(stored=stored(VOICE, number))) == [stored(VOICE, number)]
    with pytest.raises(IllegalInPhase):
        log.give(COURIER, Attach(attachment=photo(2)))


def test_attachments_of_any_entry_are_announced() -> None:
    log = opened_case(COURIER)
    log.give(COURIER, ReportException(exception="damage", attachments=(PHOTO, VOICE)))
    number = log.state.last_number - 1  # the notice to the customer comes behind it
    assert list(log.state.talk.announced) == [(number, PHOTO.sha256), (number, VOICE.sha256)]
    taken = Room(count=2, size_bytes=PHOTO.size_bytes + VOICE.size_bytes)
    assert log.state.talk.room == {COURIER.actor_id: taken}


@pytest.mark.parametrize(
    "attachment",
    [
        replace(PHOTO, media_type="audio/webm"),
        replace(VOICE, media_type="image/jpeg"),
        replace(PHOTO, capture_path="microphone"),
        replace(VOICE, capture_path="camera"),
    ],
)
def test_an_attachment_that_contradicts_itself_is_refused(attachment: Attachment) -> None:
    log = opened_case(COURIER)
    before = log.state
    for command in (
        Attach(attachment=attachment),
        ReportException(exception="damage", attachments=(photo(9), attachment)),
    ):
        with pytest.raises(IllegalStep):
            log.give(COURIER, command)
    with pytest.raises(IllegalStep):
        log.give(COURIER, ReportException(exception="damage", attachments=(photo(9), photo(9))))
    assert log.state == before


@pytest.mark.parametrize(
    ("actor", "size_bytes", "count"),
    [
        (COURIER, MAX_PERSON_ATTACHMENT_BYTES, MAX_PERSON_ATTACHMENTS),
        (GUEST, MAX_GUEST_ATTACHMENT_BYTES, MAX_GUEST_ATTACHMENTS),
    ],
    ids=["party", "guest"],
)
def test_a_person_has_room_for_so_many_bytes_and_attachments(
    actor: Actor, size_bytes: int, count: int
) -> None:
    heavy = opened_case(COURIER, GUEST, CUSTOMER)
    number, room = 0, size_bytes
    while room > MAX_ATTACHMENT_BYTES:
        heavy.give(actor, Attach(attachment=photo(number, MAX_ATTACHMENT_BYTES)))
        number, room = number + 1, room - MAX_ATTACHMENT_BYTES
    heavy.give(actor, Attach(attachment=photo(number, room)))
    with pytest.raises(IllegalQuota):
        heavy.give(actor, Attach(attachment=photo(number + 1, 1)))
    many = opened_case(COURIER, GUEST, CUSTOMER)
    for number in range(count):
        many.give(actor, Attach(attachment=photo(number, 1)))
    with pytest.raises(IllegalQuota):
        many.give(actor, Attach(attachment=photo(count, 1)))
    for log in (heavy, many):
        log.give(CUSTOMER, ReportException(exception="damage", attachments=(photo(9_999),)))


def test_what_was_refused_takes_up_no_room() -> None:
    log = opened_case(GUEST)
    for number in range(MAX_GUEST_ATTACHMENTS):
        log.give(GUEST, Attach(attachment=photo(number)))
    first = log.state.last_number - MAX_GUEST_ATTACHMENTS + 1
    log.give(GUEST, RefuseAttachment(refused=refused(photo(0), first)))
    log.give(GUEST, Attach(attachment=photo(MAX_GUEST_ATTACHMENTS)))


def test_a_case_has_room_for_all_and_no_more() -> None:
    crowd = [person("courier", f"c{number}".replace("0", "z").replace("1", "y")) for number in range(2, 8)]
    log = opened_case(*crowd)
    with pytest.raises(IllegalQuota, match="the case"):
        for place, actor in enumerate(crowd):
            for number in range(MAX_PERSON_ATTACHMENT_BYTES // MAX_ATTACHMENT_BYTES):
                log.give(actor, Attach(attachment=photo(100 * place + number, MAX_ATTACHMENT_BYTES)))


def test_a_place_says_how_far_it_is_to_the_agreed_address() -> None:
    log = Log()
    home = Place(latitude_e6=22_543_096, longitude_e6=114_057_865, accuracy_m=0)
    log.give(API, replace(OPEN, address="301, 1 Science Park", place=home))
    log.give(API, link(COURIER))
    here = replace(home, latitude_e6=home.latitude_e6 + 10_000)  # a hundredth of a degree
    assert log.give(COURIER, SharePlace(place=here)) == [
        Placed(place=here, distance_m=1_112, captured_at=None)
    ]
    nowhere = opened_case(COURIER)
    assert nowhere.give(COURIER, SharePlace(place=AT_THE_GATE)) == [
        Placed(place=AT_THE_GATE, distance_m=None, captured_at=None)
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected_m"),
    [
        # Great circles on the IUGG mean sphere.
        ((0, 0), (0, 180_000_000), 20_015_115),
        ((90_000_000, 0), (-90_000_000, 77_000_000), 20_015_115),
        ((52_520_008, 13_404_954), (48_856_613, 2_352_222), 877_464),  # Berlin to Paris
        ((1, 1), (1, 1), 0),
    ],
)
def test_distances_are_those_of_great_circles(
    one: tuple[int, int], other: tuple[int, int], expected_m: int
) -> None:
    from_place = Place(latitude_e6=one[0], longitude_e6=one[1], accuracy_m=0)
    to_place = Place(latitude_e6=other[0], longitude_e6=other[1], accuracy_m=0)
    assert distance(from_place, to_place) == pytest.approx(expected_m, rel=1e-4, abs=1)
    assert distance(from_place, to_place) == distance(to_place, from_place)


def test_marks_only_rise_and_never_pass_the_log() -> None:
    log = opened_case(COURIER, CUSTOMER)
    newest = log.state.last_number
    assert log.give(CUSTOMER, Mark(delivered=99, read=1)) == [Receipt(delivered=newest, read=1)]
    assert log.give(CUSTOMER, Mark(delivered=1, read=1)) == [], "a late mark takes nothing back"
    assert log.give(CUSTOMER, Mark(delivered=1, read=newest)) == [Receipt(delivered=newest, read=newest)]
    assert log.give(COURIER, Mark(delivered=2, read=3)) == [Receipt(delivered=3, read=3)], "read is there"
    assert log.state.talk.marks == {
        CUSTOMER.actor_id: Marks(delivered=newest, read=newest),
        COURIER.actor_id: Marks(delivered=3, read=3),
    }


def test_a_receipt_is_no_reading_that_wants_one_itself() -> None:
    log = opened_case(COURIER, CUSTOMER)
    before = dict(log.state.newest_for)
    log.give(CUSTOMER, Mark(delivered=3, read=3))
    assert log.state.newest_for == before


def test_people_let_in_guests_and_take_back_whom_they_let_in() -> None:
    log = opened_case(CUSTOMER, COURIER)
    invited = log.give(CUSTOMER, link(GUEST))
    assert [type(body).__name__ for body in invited] == ["LinkIssued"]
    assert log.give(GUEST, SendText(text="I have it.")) == [Text(text="I have it.")]
    with pytest.raises(IllegalForRole):
        log.give(COURIER, RevokeLink(link_id=GUEST.actor_id))
    with pytest.raises(IllegalForRole):
        log.give(GUEST, link(person("guest", "another")))
    roles: tuple[PersonRole, ...] = ("courier", "qa", "customer")
    for role in roles:
        stranger = person(role, "stranger")
        with pytest.raises(IllegalForRole):
            log.give(CUSTOMER, link(stranger))
    log.give(CUSTOMER, RevokeLink(link_id=GUEST.actor_id))
    assert log.state.links[GUEST.actor_id].revoked
    with pytest.raises(IllegalForRole):
        log.give(CUSTOMER, RevokeLink(link_id=COURIER.actor_id))


def test_who_lets_in_says_until_when() -> None:
    log = opened_case(CUSTOMER)
    command = IssueLink(link_id=GUEST.actor_id, role="guest", name="Wang", expires_at=EXPIRES_AT)
    log.give(CUSTOMER, command)
    log.now_at = EXPIRES_AT
    with pytest.raises(Exception, match="expired"):
        log.give(GUEST, SendText(text="late"))


def test_a_guest_goes_with_the_person_who_let_them_in() -> None:
    log = opened_case(CUSTOMER, COURIER)
    log.give(CUSTOMER, link(GUEST))
    assert log.give(API, RevokeLink(link_id=CUSTOMER.actor_id)) == [
        LinkRevoked(link_id=CUSTOMER.actor_id),
        LinkRevoked(link_id=GUEST.actor_id),
    ]
    with pytest.raises(IllegalLink):
        log.give(GUEST, SendText(text="still here"))


def test_guests_leave_room_in_a_call_for_the_others() -> None:
    guests = [GUEST, person("guest", "second")]
    log = opened_case(CUSTOMER, COURIER, QA, *guests)
    for actor in (*guests, CUSTOMER, COURIER, QA):
        log.give(actor, CONSENT)
    log.give(GUEST, Join())
    with pytest.raises(IllegalWhenFull):
        log.give(guests[1], Join())
    for actor in (CUSTOMER, COURIER, QA):
        log.give(actor, Join())
    assert len(log.state.in_call) == 4
