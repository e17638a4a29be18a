"""A reader gets every entry once and in order, however slow it is, and costs a bounded memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.entries import Envelope
from signaling.errors import CloseCode, IllegalEntry
from signaling.messages import (
    Ack,
    CaseSummary,
    EntryView,
    Hello,
    Person,
    Pong,
    Presence,
    Resync,
    Slot,
    Slots,
    Welcome,
    You,
    encode_server_message,
)
from signaling.synchronisation import (
    HELLO_TIMEOUT_S,
    MAX_OUTBOX_CHARACTERS,
    MAX_REPLIES,
    PAGE_ENTRIES,
    WRITE_TIMEOUT_S,
    Close,
    Fetch,
    Output,
    Reader,
    Send,
)
from signaling.values import CommandId
from tests.signaling.builders import CASE_ID, COURIER, CUSTOMER, START_AT


def entry(number: int, size: int = 5) -> EntryView:
    return EntryView(
        envelope=Envelope(
            version=1,
            kind="text",
            case_id=CASE_ID,
            number=number,
            previous_hash=f"{number - 1:064x}",
            role="customer",
            actor_id=CUSTOMER.actor_id,
            session_id=CUSTOMER.session_id,
            recorded_at=START_AT,
            commitment="c" * 64,
        ),
        body={"text": "x" * size},
        salt="5" * 64,
        hash=f"{number:064x}",
        leaf_index=number,
    )


def hello(after: int = 0) -> Hello:
    return Hello(version=1, token="token", after=after, hash=f"{after:064x}" if after else None)


def welcome(number: int) -> Welcome:
    return Welcome(
        case=CaseSummary(
            case_id=CASE_ID, waybill="SF1", language="zh", time_zone="Asia/Shanghai", state="open"
        ),
        you=You(actor_id=COURIER.actor_id, role="courier", name="Li", session_id=COURIER.session_id),
        people=(Person(actor_id=COURIER.actor_id, role="courier", name="Li"),),
        number=number,
    )


def ack(number: int) -> Ack:
    return Ack(id=CommandId(f"k{number}"), number=number)


def sent(outputs: Sequence[Output]) -> list[str]:
    """Type and number, or kind, of each message in the outputs: `entry 3`, `event slots`."""
    words = []
    for output in outputs:
        for text in output.texts if isinstance(output, Send) else ():
            message = json.loads(text)
            match message["type"]:
                case "entry":
                    words.append(f"entry {message['entry']['envelope']['number']}")
                case "event":
                    words.append(f"event {message['event']['kind']}")
                case "synced" | "ack":
                    words.append(f"{message['type']} {message['number']}")
                case other:
                    words.append(other)
    return words


def live_reader(number: int = 0) -> Reader:
    """Greeted, synced, nothing being written."""
    reader = Reader(now=0.0)
    known = f"{number:064x}" if number else None
    outputs = reader.handle_hello(hello(number), welcome=welcome(number), known_hash=known, now=1.0)
    assert sent(outputs) == ["welcome", f"synced {number}"]
    assert reader.handle_written(1.0) == []
    return reader


# Hello


def test_a_newcomer_reads_the_log_page_by_page_and_is_synced() -> None:
    reader = Reader(now=0.0)
    newest = PAGE_ENTRIES + 2
    first = reader.handle_hello(hello(), welcome=welcome(newest), known_hash=None, now=1.0)
    assert sent(first) == ["welcome"] and first[1:] == [Fetch(after=0, limit=PAGE_ENTRIES)]
    page = [entry(number) for number in range(1, PAGE_ENTRIES + 1)]
    assert reader.handle_page(page, 1.0) == []  # the welcome is not yet written
    second = reader.handle_written(1.0)
    assert sent(second) == [f"entry {number}" for number in range(1, PAGE_ENTRIES + 1)]
    assert second[1:] == [Fetch(after=PAGE_ENTRIES, limit=PAGE_ENTRIES)]  # while the first page is written
    assert reader.handle_page([entry(newest - 1), entry(newest)], 1.0) == []
    assert sent(reader.handle_written(1.0)) == [f"entry {newest - 1}", f"entry {newest}", f"synced {newest}"]


def test_who_missed_nothing_is_synced_at_once() -> None:
    live_reader(7)


@pytest.mark.parametrize(
    ("after", "known_hash"),
    [(3, "f" * 64), (3, None), (9, f"{9:064x}")],
    ids=["another entry", "no entry", "an entry of the future"],
)
def test_a_log_that_differs_is_thrown_away(after: int, known_hash: str | None) -> None:
    reader = Reader(now=0.0)
    [close] = reader.handle_hello(hello(after), welcome=welcome(5), known_hash=known_hash, now=1.0)
    assert isinstance(close, Close) and close.code is CloseCode.RESYNC
    assert close.last is not None and json.loads(close.last)["code"] == "hash_mismatch"
    assert reader.handle_entry(entry(6), 1.0) == []


def test_who_says_no_hello_is_not_waited_for() -> None:
    reader = Reader(now=5.0)
    assert reader.next_deadline == 5.0 + HELLO_TIMEOUT_S
    assert reader.handle_timeout(4.9 + HELLO_TIMEOUT_S) == []
    [close] = reader.handle_timeout(5.0 + HELLO_TIMEOUT_S)
    assert isinstance(close, Close) and close.code is CloseCode.HELLO_TIMEOUT
    assert reader.next_deadline is None


def test_a_second_hello_is_out_of_turn() -> None:
    reader = live_reader()
    [close] = reader.handle_hello(hello(), welcome=welcome(0), known_hash=None, now=2.0)
    assert isinstance(close, Close) and close.code is CloseCode.ILLEGAL


def test_nothing_is_told_before_the_welcome() -> None:
    reader = Reader(now=0.0)
    assert reader.handle_event(Slots(slots=()), 0.0) == []
    assert reader.handle_entry(entry(1), 0.0) == []
    assert not reader.greeted
    outputs = reader.handle_hello(hello(), welcome=welcome(0), known_hash=None, now=1.0)
    assert sent(outputs) == ["welcome", "event slots"]
    assert outputs[1:] == [Fetch(after=0, limit=PAGE_ENTRIES)]
    assert reader.greeted


# Live


def test_an_entry_and_its_acknowledgement_are_passed_on_at_once() -> None:
    reader = live_reader(7)
    assert sent(reader.handle_entry(entry(8), 2.0)) == ["entry 8"]
    assert reader.handle_reply(ack(8), 2.0) == []
    assert reader.handle_entry(entry(9), 2.0) == []
    assert sent(reader.handle_written(2.1)) == ["ack 8", "entry 9"]


def test_an_entry_that_was_read_already_is_not_sent_again() -> None:
    reader = live_reader(7)
    assert reader.handle_entry(entry(7), 2.0) == []


def test_an_entry_that_was_not_heard_of_is_read_from_the_log() -> None:
    reader = live_reader(7)
    assert reader.handle_entry(entry(9), 2.0) == [Fetch(after=7, limit=PAGE_ENTRIES)]
    assert sent(reader.handle_page([entry(8), entry(9)], 2.0)) == ["entry 8", "entry 9", "synced 9"]


def test_a_page_with_a_hole_is_refused_and_changes_nothing() -> None:
    reader = live_reader(7)
    reader.handle_entry(entry(10), 2.0)
    for page in ([], [entry(9)], [entry(8), entry(10)]):
        with pytest.raises(IllegalEntry):
            reader.handle_page(page, 2.0)
    page = [entry(8), entry(9), entry(10)]
    assert sent(reader.handle_page(page, 2.0)) == ["entry 8", "entry 9", "entry 10", "synced 10"]


def test_of_events_only_the_newest_of_a_kind_waits() -> None:
    reader = live_reader()
    reader.handle_reply(Pong(), 2.0)
    for slot in range(3):
        seat = Slot(
            slot=slot, actor_id=COURIER.actor_id, audio_mid="2", video_mid=None, picture="live", sharp=False
        )
        assert reader.handle_event(Slots(slots=(seat,)), 2.0) == []
    assert reader.handle_event(Presence(people=()), 2.0) == []
    [send] = reader.handle_written(2.1)
    assert sent([send]) == ["event slots", "event presence"]
    assert isinstance(send, Send) and json.loads(send.texts[0])["event"]["slots"][0]["slot"] == 2


# Slow readers


def test_a_slow_reader_reads_later_what_did_not_fit() -> None:
    reader = live_reader()
    reader.handle_entry(entry(1), 2.0)
    for number in range(2, 1_000):
        assert reader.handle_entry(entry(number, size=10_000), 2.0) == []
    [send] = [output for output in reader.handle_written(3.0) if isinstance(output, Send)]
    assert sum(map(len, send.texts)) < MAX_OUTBOX_CHARACTERS + 11_000
    assert sent([send])[0] == "entry 2"


def test_a_reader_that_takes_nothing_is_told_to_come_back() -> None:
    reader = live_reader()
    reader.handle_entry(entry(1), 2.0)
    assert reader.next_deadline == 2.0 + WRITE_TIMEOUT_S
    [close] = reader.handle_timeout(2.0 + WRITE_TIMEOUT_S)
    assert isinstance(close, Close) and close.code is CloseCode.TOO_SLOW
    told = Resync(code="too_slow", message="You did not keep up. Come back with the last entry you have.")
    assert close.last == encode_server_message(told)


def test_a_reader_that_takes_something_is_not_given_up() -> None:
    reader = live_reader()
    for number in range(1, 10):
        reader.handle_entry(entry(number), number * WRITE_TIMEOUT_S)
        assert reader.handle_timeout((number + 0.9) * WRITE_TIMEOUT_S) == []
        reader.handle_written((number + 0.9) * WRITE_TIMEOUT_S)
    assert reader.next_deadline is None


def test_a_client_that_asks_and_never_listens_is_closed() -> None:
    reader = live_reader()
    reader.handle_entry(entry(1), 2.0)
    for _ in range(MAX_REPLIES):
        assert reader.handle_reply(Pong(), 2.0) == []
    [close] = reader.handle_reply(Pong(), 2.0)
    assert isinstance(close, Close) and close.code is CloseCode.TOO_SLOW


def test_after_a_close_nothing_more_happens() -> None:
    reader = live_reader()
    assert reader.close(CloseCode.REVOKED, "the link was revoked") == [
        Close(code=CloseCode.REVOKED, reason="the link was revoked")
    ]
    assert reader.close(CloseCode.REVOKED, "again") == []
    assert reader.handle_reply(Pong(), 2.0) == []
    assert reader.handle_page([], 2.0) == []
    assert reader.handle_event(Slots(slots=()), 2.0) == []
    assert reader.handle_written(2.0) == []
    assert reader.handle_timeout(1e9) == []


# Any order


@dataclass(slots=True)
class Driver:
    """Performs outputs when the test says so; `received` is what the client got."""

    log: list[EntryView]
    received: list[str]
    sending: Send | None = None
    fetch: Fetch | None = None
    largest: int = 0

    def perform(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send():
                    assert self.sending is None, "one Send at a time"
                    self.sending = output
                    self.largest = max(self.largest, sum(map(len, output.texts)))
                case Fetch():
                    assert self.fetch is None, "one Fetch at a time"
                    self.fetch = output
                case Close():
                    raise AssertionError(output)

    def write(self, reader: Reader, now: float) -> None:
        if self.sending is not None:
            self.received += sent([self.sending])
            self.sending = None
            self.perform(reader.handle_written(now))

    def answer(self, reader: Reader, now: float) -> None:
        if self.fetch is not None:
            page = self.log[self.fetch.after : self.fetch.after + self.fetch.limit]
            self.fetch = None
            self.perform(reader.handle_page(page, now))


STEPS = st.lists(
    st.sampled_from(["append", "append", "append large", "write", "answer", "reply", "event"]), max_size=120
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(0, 70), st.integers(0, 70))
def test_every_entry_arrives_once_and_in_order_whatever_the_pace(
    steps: list[str], had: int, more: int
) -> None:
    log = [entry(number) for number in range(1, had + more + 1)]
    driver, reader = Driver(log=log, received=[]), Reader(now=0.0)
    known = log[had - 1].hash if had else None
    driver.perform(reader.handle_hello(hello(had), welcome=welcome(len(log)), known_hash=known, now=0.0))
    replies = 0
    for step in steps:
        match step:
            case "append" | "append large":
                log.append(entry(len(log) + 1, size=5 if step == "append" else 60_000))
                driver.perform(reader.handle_entry(log[-1], 0.0))
            case "write":
                driver.write(reader, 0.0)
            case "answer":
                driver.answer(reader, 0.0)
            case "event":
                driver.perform(reader.handle_event(Slots(slots=()), 0.0))
            case "reply" if replies < MAX_REPLIES:
                replies += 1
                driver.perform(reader.handle_reply(Pong(), 0.0))
    while driver.sending is not None or driver.fetch is not None:
        driver.answer(reader, 0.0)
        driver.write(reader, 0.0)
    entries = [word for word in driver.received if word.startswith("entry")]
    assert entries == [f"entry {number}" for number in range(had + 1, len(log) + 1)]
    assert driver.received[0] == "welcome"
    assert any(word.startswith("synced") for word in driver.received)
    assert driver.received.count("pong") == replies
    # Two pages, each of 50 entries at most, and what fits into the outbox of live entries.
    assert driver.largest < 2 * PAGE_ENTRIES * 61_000 + MAX_OUTBOX_CHARACTERS
