"""When what is sent to one endpoint: on virtual time, with a disk that is a dict."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from server.store.webhook_rows import Letter
from server.webhook_delivery import (
    BACK_OFF_S,
    JITTER,
    LOOK_LEAVES,
    MAX_AHEAD,
    MAX_FRESH,
    MAX_RETRIES,
    Accepted,
    Delivery,
    Disable,
    Failed,
    Gone,
    Look,
    Outcome,
    Output,
    ReadDue,
    Send,
    Store,
)

START_AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
BROKEN = Failed(error="503")


class Endpoint:
    """A machine with its disk and its log; attempts stay in flight until a test says what came of them."""

    def __init__(self, log_size: int = 0, *, odd_only: bool = False) -> None:
        self.now_at = START_AT
        self.log_size = log_size
        self.odd_only = odd_only
        self.cursor = 0
        self.letters: dict[int, Letter] = {}
        self.disabled: str | None = None
        self.in_flight: dict[int, int] = {}
        self.sent: list[tuple[int, int, datetime]] = []
        self.looks = 0
        self.start()

    def start(self) -> None:
        """A process begins with what is on the disk."""
        self.in_flight.clear()
        self.delivery = Delivery(cursor=self.cursor, log_size=self.log_size)
        self.perform(self.delivery.begin(self.now_at))

    def perform(self, outputs: Sequence[Output]) -> None:
        queue = list(outputs)
        while queue:
            answers: list[Output] = []
            for output in queue:
                match output:
                    case Store():
                        assert output.cursor >= self.cursor
                        self.cursor = output.cursor
                        if output.settled is not None:
                            self.letters.pop(output.settled.leaf_index, None)
                            if output.settled.letter is not None:
                                self.letters[output.settled.leaf_index] = output.settled.letter
                    case Send():
                        assert output.leaf_index not in self.in_flight, "never twice at the same time"
                        held = self.letters.get(output.leaf_index)
                        if held is not None:
                            assert held.due_at is not None and held.due_at <= self.now_at, "before its time"
                        self.in_flight[output.leaf_index] = output.attempt
                        self.sent.append((output.leaf_index, output.attempt, self.now_at))
                    case Look():
                        self.looks += 1
                        leaves = [
                            leaf
                            for leaf in range(output.first, output.end)
                            if leaf not in self.letters and self.wants(leaf)
                        ]
                        answers += self.delivery.handle_looked(leaves, output.end, self.now_at)
                    case ReadDue():
                        waiting = [letter for letter in self.letters.values() if letter.due_at is not None]
                        waiting.sort(key=lambda letter: (str(letter.due_at), letter.leaf_index))
                        answers += self.delivery.handle_due(waiting[: output.limit], self.now_at)
                    case Disable():
                        self.disabled = output.reason
            queue = answers

    def wants(self, leaf: int) -> bool:
        return not self.odd_only or leaf % 2 == 1

    def grow(self, count: int) -> None:
        self.log_size += count
        self.perform(self.delivery.handle_log_size(self.log_size, self.now_at))

    def answer(self, leaf: int, outcome: Outcome, jitter: float = 0.0) -> None:
        del self.in_flight[leaf]
        self.perform(self.delivery.handle_outcome(leaf, outcome, jitter, self.now_at))

    def wait(self, seconds: float) -> None:
        self.now_at += timedelta(seconds=seconds)
        self.perform(self.delivery.handle_time(self.now_at))

    def wait_for_deadline(self) -> float:
        """To the next one; how long it took."""
        deadline_at = self.delivery.next_deadline
        assert deadline_at is not None
        seconds = (deadline_at - self.now_at).total_seconds()
        self.wait(seconds)
        return seconds


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_a_message_that_fails_is_tried_again_by_the_table_and_is_dead_at_its_end(jitter: float) -> None:
    endpoint = Endpoint(log_size=1)
    waits = []
    for attempt in range(1, len(BACK_OFF_S) + 1):
        assert endpoint.in_flight == {0: attempt}
        endpoint.answer(0, BROKEN, jitter)
        assert endpoint.in_flight == {}
        deadline_at = endpoint.delivery.next_deadline
        assert deadline_at is not None
        endpoint.wait((deadline_at - endpoint.now_at).total_seconds() - 0.001)
        assert endpoint.in_flight == {}, "nothing before its time"
        waits.append((deadline_at - endpoint.sent[-1][2]).total_seconds())
        endpoint.wait(0.001)
    assert waits == pytest.approx([seconds * (1 + JITTER * jitter) for seconds in BACK_OFF_S])
    endpoint.answer(0, BROKEN)
    assert endpoint.letters == {0: Letter(leaf_index=0, attempts=10, due_at=None, error="503")}
    assert endpoint.delivery.next_deadline is None


def test_the_table_is_that_of_the_product() -> None:
    minute, hour = 60, 3600
    assert (5, 5 * minute, 30 * minute, *(hours * hour for hours in (2, 5, 10, 14, 20, 24))) == BACK_OFF_S


def test_one_message_that_fails_holds_up_no_other() -> None:
    endpoint = Endpoint(log_size=100)
    for _ in range(2000):
        leaf = next((leaf for leaf in endpoint.in_flight if leaf != 3), None)
        if leaf is None:
            break
        endpoint.answer(leaf, Accepted())
    assert endpoint.in_flight == {3: 1} and endpoint.cursor == 3
    endpoint.answer(3, BROKEN)
    assert endpoint.cursor == 100
    endpoint.wait(5)
    endpoint.answer(3, Accepted())
    assert endpoint.letters == {}


def test_letters_and_fresh_entries_do_not_take_each_others_places() -> None:
    endpoint = Endpoint(log_size=50)
    for _ in range(50):
        endpoint.answer(next(iter(endpoint.in_flight)), BROKEN)
    endpoint.wait(10)
    assert len(endpoint.in_flight) == MAX_RETRIES, "letters that hang"
    endpoint.grow(50)
    assert len(endpoint.in_flight) == MAX_RETRIES + MAX_FRESH
    fresh = [leaf for leaf, attempt in endpoint.in_flight.items() if attempt == 1]
    assert fresh == list(range(50, 50 + MAX_FRESH))


def test_a_receiver_that_is_down_for_days_costs_rows_on_disk_and_no_memory() -> None:
    endpoint = Endpoint()
    for _ in range(40):
        endpoint.grow(500)
        while fresh := [leaf for leaf, attempt in endpoint.in_flight.items() if attempt == 1]:
            endpoint.answer(fresh[0], BROKEN)
        endpoint.now_at += timedelta(hours=2)
    assert len(endpoint.letters) + len(endpoint.in_flight) >= 20_000
    held = endpoint.delivery
    assert len(held._ready) + len(held._fresh) + len(held._retries) <= MAX_RETRIES


def test_what_is_looked_at_stays_near_the_cursor() -> None:
    endpoint = Endpoint(log_size=10_000)
    for _ in range(5000):
        leaf = next((leaf for leaf in endpoint.in_flight if leaf != 0), None)
        if leaf is None:
            break
        endpoint.answer(leaf, Accepted())
    highest = max(leaf for leaf, _, _ in endpoint.sent)
    assert MAX_AHEAD - LOOK_LEAVES <= highest < MAX_AHEAD + LOOK_LEAVES
    endpoint.answer(0, BROKEN)
    assert max(leaf for leaf, _, _ in endpoint.sent) > highest


def test_a_filter_that_lets_little_through_still_moves_the_cursor_on_disk() -> None:
    endpoint = Endpoint(log_size=0)
    endpoint.wants = lambda leaf: False  # type: ignore[method-assign]
    endpoint.grow(10_000)
    assert endpoint.cursor >= 10_000 - LOOK_LEAVES and endpoint.sent == []


def test_gone_disables_the_endpoint_and_settles_nothing() -> None:
    endpoint = Endpoint(log_size=20)
    endpoint.answer(2, Accepted())
    endpoint.answer(0, Gone(error="410 Gone"))
    assert endpoint.disabled == "410 Gone" and endpoint.cursor == 0
    endpoint.grow(5)
    endpoint.answer(1, BROKEN)
    endpoint.wait(1e6)
    assert max(leaf for leaf, _, _ in endpoint.sent) == MAX_FRESH and endpoint.delivery.finished


def test_a_stop_sends_what_the_log_holds_and_leaves_letters_alone() -> None:
    endpoint = Endpoint(log_size=12)
    endpoint.answer(0, BROKEN)
    endpoint.perform(endpoint.delivery.handle_stop())
    endpoint.wait(100)
    assert not endpoint.delivery.finished and endpoint.delivery.next_deadline is None
    while endpoint.in_flight:
        assert endpoint.in_flight.keys() & {0} == set()
        endpoint.answer(next(iter(endpoint.in_flight)), Accepted())
    assert endpoint.delivery.finished and endpoint.cursor == 12 and list(endpoint.letters) == [0]


def test_after_a_crash_a_letter_beyond_the_cursor_keeps_its_time() -> None:
    endpoint = Endpoint(log_size=3)
    endpoint.answer(1, BROKEN)
    assert endpoint.cursor == 0
    endpoint.start()
    assert sorted(endpoint.in_flight) == [0, 2]
    endpoint.wait(5)
    assert endpoint.in_flight[1] == 2


def test_a_log_that_is_shorter_than_the_cursor_is_followed_from_its_end() -> None:
    delivery = Delivery(cursor=100, log_size=40)
    assert delivery.cursor == 40
    outputs = delivery.begin(START_AT) + delivery.handle_log_size(41, START_AT)
    assert Look(first=40, end=41) in outputs


class AnyEndpoint(RuleBasedStateMachine):
    """Whatever happens in whatever order, dying included."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoint = Endpoint(odd_only=True)
        self.accepted: set[int] = set()

    @rule(count=st.integers(1, 40))
    def the_log_grows(self, count: int) -> None:
        self.endpoint.grow(count)

    @precondition(lambda self: self.endpoint.in_flight)
    @rule(data=st.data(), accepted=st.booleans(), jitter=st.floats(0, 1))
    def an_answer_comes(self, data: st.DataObject, accepted: bool, jitter: float) -> None:
        leaf = data.draw(st.sampled_from(sorted(self.endpoint.in_flight)))
        if accepted:
            self.accepted.add(leaf)
        self.endpoint.answer(leaf, Accepted() if accepted else BROKEN, jitter)

    @rule(seconds=st.sampled_from([0.0, 1.0, 4.9, 5.0, 6.0, 300.0, 2000.0, 90_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.endpoint.wait(seconds)

    @rule()
    def the_process_dies(self) -> None:
        self.endpoint.start()

    @rule()
    def dead_letters_are_sent_again(self) -> None:
        endpoint = self.endpoint
        for leaf, letter in endpoint.letters.items():
            if letter.due_at is None:
                endpoint.letters[leaf] = Letter(
                    leaf_index=leaf, attempts=0, due_at=endpoint.now_at, error=letter.error
                )
        endpoint.perform(endpoint.delivery.handle_revived(endpoint.now_at))

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each leaf is accepted, a letter, or not behind the cursor."""
        endpoint = self.endpoint
        for leaf in range(1, endpoint.cursor, 2):
            assert leaf in self.accepted or leaf in endpoint.letters
        assert endpoint.delivery.cursor >= endpoint.cursor

    @invariant()
    def what_is_held_is_bounded(self) -> None:
        attempts = list(self.endpoint.in_flight.values())
        assert len(attempts) <= MAX_FRESH + MAX_RETRIES

    @invariant()
    def nothing_that_is_due_waits_without_a_reason(self) -> None:
        endpoint = self.endpoint
        due = [
            leaf
            for leaf, letter in endpoint.letters.items()
            if letter.due_at is not None
            and letter.due_at <= endpoint.now_at
            and leaf not in endpoint.in_flight
        ]
        if due:
            assert sum(leaf in endpoint.letters for leaf in endpoint.in_flight) == MAX_RETRIES

    def teardown(self) -> None:
        """A receiver that takes all in the end gets all that is not dead."""
        endpoint = self.endpoint
        for _ in range(10_000):
            if endpoint.in_flight:
                leaf = next(iter(endpoint.in_flight))
                self.accepted.add(leaf)
                endpoint.answer(leaf, Accepted())
            elif endpoint.delivery.next_deadline is not None:
                assert endpoint.wait_for_deadline() >= 0
            else:
                break
        wanted = set(range(1, endpoint.log_size, 2))
        assert wanted <= self.accepted | set(endpoint.letters)
        assert all(letter.due_at is None for letter in endpoint.letters.values())


TestAnyEndpoint = AnyEndpoint.TestCase
TestAnyEndpoint.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
