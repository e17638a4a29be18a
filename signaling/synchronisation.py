"""One reader of a case, from hello to close: what to send next, what to read from the log, when to give up.

    hello ── welcome ── missed entries, page by page ── synced ── live entries, replies, events
                              ^                                        │
                              └──── the outbox is full: read later ────┘

The log is the buffer: a page is read only when the one before it is on its way, and a live entry that finds
the outbox full is not kept but read from the log afterwards. Of events only the newest of a kind waits. So
the memory of a reader is bounded, however slow it is, and no entry is missed or sent twice. A reader that
takes nothing for `WRITE_TIMEOUT_S`, or lets its replies pile up, is closed and told to come back.

Pure. The driver performs the outputs in order, answers each Send with `handle_written` when the socket has
taken it and each Fetch with `handle_page`, and calls `handle_timeout` at `next_deadline`. It subscribes to
the case's entries before it looks up what it gives to `handle_hello`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from signaling.errors import CloseCode, IllegalEntry
from signaling.messages import (
    Ack,
    ClockProbe,
    EntryMessage,
    EntryView,
    Event,
    EventMessage,
    Hello,
    Nack,
    Pong,
    Resync,
    Synced,
    Welcome,
    encode_server_message,
)

HELLO_TIMEOUT_S = 10.0  # a handshake on a bad mobile network takes 2–3 s; an idle stranger gets no more
# A page takes 4 s at 100 kbit/s, and several times that beside a call.
WRITE_TIMEOUT_S = 20.0
PAGE_ENTRIES = 50  # 50 KB of usual entries; at most two pages are in memory
MAX_OUTBOX_CHARACTERS = 256 * 1024  # some 200 live entries; what is more is read from the log later
MAX_REPLIES = 64  # unsent acks and pongs: a client that reads nothing and goes on asking
# Then nothing more is taken from a client until it has read: who comes back with an hour's commands is no
# such client. What was taken before, four shutters for one, still has room to be answered.
CROWDED_REPLIES = 32

_Stage = Literal["waiting", "catching_up", "live", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Write these texts, in order; then `handle_written`. There is never a second Send before that."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Read the entries after this number, as this reader may see them; then `handle_page`."""

    after: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """End the connection; `last` may be tried first, for a moment: the reader may not be reading."""

    code: CloseCode
    reason: str
    last: str | None = None


Output = Send | Fetch | Close


class Reader:
    """Every `handle_…` returns what to do now; after a Close, all of them return []."""

    def __init__(self, *, now: float) -> None:
        self._stage: _Stage = "waiting"
        self._deadline: float | None = now + HELLO_TIMEOUT_S
        self._cursor = 0  # the last entry that went into the outbox
        self._newest = 0  # the last entry that is known to exist
        self._fetching = False
        self._writing = False
        self._outbox: deque[str] = deque()
        self._outbox_characters = 0
        self._replies = 0
        self._events: dict[type[Event], Event] = {}

    @property
    def greeted(self) -> bool:
        """Whether a hello was accepted: before that, nothing else may come from the client."""
        return self._stage in ("catching_up", "live")

    @property
    def shown(self) -> int:
        """The last entry that this reader was given, or that was on its way."""
        return self._cursor

    @property
    def crowded(self) -> bool:
        """Whether to take no more from the client before some of this is written."""
        return self._stage != "closed" and self._replies >= CROWDED_REPLIES

    @property
    def next_deadline(self) -> float | None:
        return self._deadline

    def handle_hello(
        self,
        hello: Hello,
        *,
        welcome: Welcome,
        known_hash: str | None,
        now: float,
        probe: ClockProbe | None = None,
    ) -> list[Output]:
        """`known_hash` is that of entry `hello.after` in the log, None if there is none. `probe` goes out
        right behind the welcome: its answer comes before the commands that have waited for `synced`.
        """
        if self._stage != "waiting":
            return self.close(CloseCode.ILLEGAL, "a second hello")
        if hello.after > welcome.number or hello.hash != known_hash:
            return self._resync(
                CloseCode.RESYNC,
                Resync(code="hash_mismatch", message="The two logs differ. Forget yours and read it anew."),
            )
        self._stage = "catching_up"
        self._deadline = None
        self._cursor = hello.after
        self._newest = max(self._newest, welcome.number)
        self._put(encode_server_message(welcome))
        if probe is not None:
            self._put(encode_server_message(probe))
        return self._proceed(now)

    def handle_entry(self, entry: EntryView, now: float) -> list[Output]:
        """A new entry of the case, as this reader may see it."""
        number = entry.envelope.number
        self._newest = max(self._newest, number)
        if self._stage == "live" and number > self._cursor:
            if number == self._cursor + 1 and self._outbox_characters < MAX_OUTBOX_CHARACTERS:
                self._put_entry(entry)
            else:
                self._stage = "catching_up"
        return self._proceed(now)

    def handle_page(self, entries: Sequence[EntryView], now: float) -> list[Output]:
        """The answer to a Fetch; raises IllegalEntry if the log has a hole there."""
        if self._stage == "closed":
            return []
        numbers = [entry.envelope.number for entry in entries]
        if not numbers or numbers != list(range(self._cursor + 1, self._cursor + 1 + len(numbers))):
            raise IllegalEntry(f"the log was read after entry {self._cursor} and gave {numbers[:3]}")
        self._fetching = False
        for entry in entries:
            self._put_entry(entry)
        return self._proceed(now)

    def handle_reply(self, reply: Ack | Nack | ClockProbe | Pong, now: float) -> list[Output]:
        if self._stage == "closed":
            return []
        if self._replies >= MAX_REPLIES:
            return self._too_slow()
        self._replies += 1
        self._put(encode_server_message(reply))
        return self._proceed(now)

    def handle_event(self, event: Event, now: float) -> list[Output]:
        """Waits for its turn unless a newer one of its kind takes its place."""
        self._events[type(event)] = event
        return self._proceed(now)

    def handle_written(self, now: float) -> list[Output]:
        self._writing = False
        if self.greeted:
            self._deadline = None
        return self._proceed(now)

    def handle_timeout(self, now: float) -> list[Output]:
        if self._stage == "closed" or self._deadline is None or now < self._deadline:
            return []
        if self._stage == "waiting":
            return self.close(CloseCode.HELLO_TIMEOUT, "no hello came")
        return self._too_slow()

    def close(self, code: CloseCode, reason: str, last: str | None = None) -> list[Output]:
        """The driver's own wish: revoked, replaced, draining, a malformed message."""
        if self._stage == "closed":
            return []
        self._stage = "closed"
        self._deadline = None
        self._outbox.clear()
        self._events.clear()
        return [Close(code=code, reason=reason, last=last)]

    def _proceed(self, now: float) -> list[Output]:
        if not self.greeted:
            return []
        outputs: list[Output] = []
        if self._stage == "catching_up" and not self._fetching:
            if self._cursor == self._newest:
                self._stage = "live"
                self._put(encode_server_message(Synced(number=self._cursor)))
            elif not self._writing or not self._outbox:
                # The page before this one is on its way at least: read the next meanwhile.
                self._fetching = True
                outputs.append(Fetch(after=self._cursor, limit=PAGE_ENTRIES))
        if not self._writing and (self._outbox or self._events):
            events = [encode_server_message(EventMessage(event=event)) for event in self._events.values()]
            outputs.insert(0, Send(texts=(*self._outbox, *events)))
            self._outbox.clear()
            self._outbox_characters = 0
            self._replies = 0
            self._events.clear()
            self._writing = True
            self._deadline = now + WRITE_TIMEOUT_S
        return outputs

    def _put_entry(self, entry: EntryView) -> None:
        self._cursor = entry.envelope.number
        self._newest = max(self._newest, self._cursor)
        self._put(encode_server_message(EntryMessage(entry=entry)))

    def _put(self, text: str) -> None:
        self._outbox.append(text)
        self._outbox_characters += len(text)

    def _too_slow(self) -> list[Output]:
        return self._resync(
            CloseCode.TOO_SLOW,
            Resync(code="too_slow", message="You did not keep up. Come back with the last entry you have."),
        )

    def _resync(self, code: CloseCode, resync: Resync) -> list[Output]:
        return self.close(code, resync.code, encode_server_message(resync))
