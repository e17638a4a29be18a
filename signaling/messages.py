"""The messages of the WebSocket, both ways. PROTOCOL.md is their contract, its examples their test vectors.

Text frames, one JSON object each, told apart by `type`. Parsing is strict: an unknown type or field, a
missing field, a number where a string belongs raise MalformedMessage. The server parses `ClientMessage`s
and encodes `ServerMessage`s; the other direction is here for clients in Python and for tests.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from signaling.commands import WirePersonCommand
from signaling.entries import Envelope, parse_body
from signaling.errors import MalformedEntry, MalformedMessage
from signaling.values import (
    Count,
    Flag,
    Language,
    Number,
    Permille,
    PersonRole,
    Strict,
    TimeZone,
    Whole,
    WireCaseId,
    WireCommandId,
    WireLinkId,
    WireSessionId,
    WireSha256,
    WireTime,
)

# The longest text, each of its characters escaped as a surrogate pair (12 bytes), and room around it.
MAX_CLIENT_MESSAGE_BYTES = 64 * 1024
MAX_TOKEN_CHARACTERS = 4_096  # a JWT of ours has about 300

# What a page may claim to have played since it last said so: six hours of sound of four people at 48 kHz.
WirePlayed = Annotated[Whole, Field(ge=0, le=2**32)]
WireSlotNumber = Annotated[Whole, Field(ge=0, le=15)]
WireMediaSession = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
WireMid = Annotated[str, Field(min_length=1, max_length=16)]
WireRid = Annotated[str, Field(min_length=1, max_length=255)]  # RFC 7941 section 4.1.1: as an SDES item


# From the client


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Strict):
    """First, once. `after` is the last entry the client holds, `hash` that entry's hash; 0 and None: none.
    `clock`: the client answers `clock_probe`.
    """

    version: Literal[1]
    token: Annotated[str, Field(min_length=1, max_length=MAX_TOKEN_CHARACTERS)]
    after: Count
    hash: WireSha256 | None
    clock: Annotated[Flag, Field(exclude_if=lambda clock: not clock)] = False
    type: Literal["hello"] = "hello"

    def __post_init__(self) -> None:
        if (self.after == 0) != (self.hash is None):
            raise ValueError("hash belongs to the entry numbered after, and is null when after is 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandMessage(Strict):
    """`id` stays the same when the command is sent again: it takes effect once."""

    id: WireCommandId
    command: WirePersonCommand
    type: Literal["command"] = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted(Strict):
    """What the sender has switched off; `hidden`: the page is in the background, where pictures may stop.
    `media_session`: the sender's own, if it has one. Of several pages of a person that one counts whose media
    are in the call.
    """

    audio: Flag
    video: Flag
    hidden: Flag = False
    media_session: WireMediaSession | None = None
    kind: Literal["muted"] = "muted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback(Strict):
    """What the sender's page played since it last said so, over all that it receives; and how much its
    browser believes to get through from here now, None where it does not say.
    """

    frames: WirePlayed
    freezes: WirePlayed
    frozen_ms: WirePlayed
    audio_samples: WirePlayed
    concealed_samples: WirePlayed
    outgoing_bps: Count | None = None
    kind: Literal["playback"] = "playback"


Signal = Muted | Playback


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalMessage(Strict):
    """Passes by: neither answered nor kept in the log."""

    signal: Annotated[Signal, Field(discriminator="kind")]
    type: Literal["signal"] = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpen(Strict):
    """Somebody in the call needs detail from this person's camera, more than movement. Passes by, too."""

    actor_id: WireLinkId
    type: Literal["sharpen"] = "sharpen"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading(Strict):
    """The answer to a `clock_probe`, at once: `at` by the client's own clock."""

    probe: Number
    at: WireTime
    type: Literal["clock"] = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Strict):
    type: Literal["ping"] = "ping"


ClientMessage = Hello | CommandMessage | SignalMessage | Sharpen | ClockReading | Ping


# From the server


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSummary(Strict):
    case_id: WireCaseId
    """Times are shown in `time_zone`."""

    waybill: str
    language: Language
    time_zone: TimeZone
    state: Literal["open", "ended", "erased"]


@dataclass(frozen=True, slots=True, kw_only=True)
class You(Strict):
    actor_id: WireLinkId
    role: PersonRole
    name: str
    session_id: WireSessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Strict):
    """Somebody who has a link to the case, or had one."""

    actor_id: WireLinkId
    role: PersonRole
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome(Strict):
    """The hello was accepted; `number` is the newest entry of the case now."""

    case: CaseSummary
    you: You
    people: tuple[Person, ...]
    number: Count
    type: Literal["welcome"] = "welcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView(Strict):
    """An entry as one reader may see it; body and salt are None together: withheld from this role, or
    erased.
    """

    envelope: Envelope
    body: dict[str, JsonValue] | None
    salt: WireSha256 | None
    hash: WireSha256
    leaf_index: Count

    def __post_init__(self) -> None:
        if (self.body is None) != (self.salt is None):
            raise ValueError("body and salt are given or withheld together")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryMessage(Strict):
    entry: EntryView
    type: Literal["entry"] = "entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced(Strict):
    """Everything up to `number` was sent; what follows is live."""

    number: Count
    type: Literal["synced"] = "synced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(Strict):
    """Done and durable; `number` is the last entry that the command made, None if none was needed."""

    id: WireCommandId
    number: Number | None
    type: Literal["ack"] = "ack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nack(Strict):
    """Refused; nothing changed."""

    id: WireCommandId
    code: str
    message: str
    type: Literal["nack"] = "nack"


Picture = Literal["live", "stills", "paused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot(Strict):
    """The person whose media arrive in the reader's own `slot`, the mids of its sections, what comes of
    their picture, and whether their camera prefers detail to movement now.
    """

    slot: WireSlotNumber
    actor_id: WireLinkId
    audio_mid: WireMid | None
    video_mid: WireMid | None
    picture: Picture
    sharp: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots(Strict):
    """All taken slots of this one reader."""

    slots: tuple[Slot, ...]
    kind: Literal["slots"] = "slots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding(Strict):
    """What the reader's camera shall send under this rid: at most so much, headers left out; 0 pauses it. Of
    one `for_stills` single pictures are shown: it shall be sharp, and need not move.
    """

    rid: WireRid
    max_bitrate_bps: Count
    for_stills: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Encodings(Strict):
    """What the reader's own camera shall send, the least encoding first; none: as it likes. `sharp`: rather
    detail than movement.
    """

    encodings: tuple[Encoding, ...]
    sharp: Flag
    kind: Literal["encodings"] = "encodings"


Connection = Literal["none", "connecting", "connected", "silent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonPresence(Strict):
    """`online`: has a WebSocket open; `connection`: of their media, and `media_session` its id."""

    actor_id: WireLinkId
    role: PersonRole
    name: str
    online: Flag
    in_call: Flag
    connection: Connection
    media_session: WireMediaSession | None
    audio_muted: Flag
    video_muted: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence(Strict):
    """Everybody who is online or in the call, the reader included."""

    people: tuple[PersonPresence, ...]
    kind: Literal["presence"] = "presence"


Level = Literal["good", "fair", "weak"]
LayerReason = Literal["best", "network", "shared", "switching", "not_sent"]
Limit = Literal["start", "delay", "loss", "silence", "receiver", "demand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WayNumbers(Strict):
    """One way, as last measured; loss before repair, and what its network is believed to carry."""

    bitrate_bps: Count
    loss_permille: Permille
    estimate_bps: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedNumbers(Strict):
    """What a person gets of another's picture: the encoding (None: it has no name), how many of its temporal
    layers (None: it has none), and why this and no other (None: not known).
    """

    actor_id: WireLinkId
    rid: WireRid | None
    temporal_layers: Count | None
    bitrate_bps: Count
    picture: Picture
    reason: LayerReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackNumbers(Strict):
    """What their page claims of their stay: freezes since they joined, concealment lately."""

    freezes: Count
    frozen_ms: Count
    concealed_permille: Permille


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityNumbers(Strict):
    """`limit`: what holds the estimate of what they receive where it is; None where nobody measures it."""

    sent: WayNumbers
    received: WayNumbers
    round_trip_ms: Count | None
    limit: Limit | None
    watched: tuple[WatchedNumbers, ...]
    playback: PlaybackNumbers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonQuality(Strict):
    """A person's own network: `level` is the worse of both ways. `…_repair_ms`: how much later packets come
    that were lost on that way and sent again. Numbers are for QA alone.
    """

    actor_id: WireLinkId
    level: Level
    sent: Level
    received: Level
    sent_repair_ms: Count
    received_repair_ms: Count
    numbers: QualityNumbers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality(Strict):
    """Everybody in the call who was connected in it, the reader included."""

    people: tuple[PersonQuality, ...]
    kind: Literal["quality"] = "quality"


Event = Slots | Encodings | Presence | Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMessage(Strict):
    """A whole picture of one thing as it is now: the newest of a kind replaces the older."""

    event: Annotated[Event, Field(discriminator="kind")]
    type: Literal["event"] = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync(Strict):
    """The last message before the server closes: connect again, as `code` says."""

    code: Literal["hash_mismatch", "too_slow"]
    message: str
    type: Literal["resync"] = "resync"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockProbe(Strict):
    """What does your clock say? Only to who offered it in the hello."""

    probe: Number
    type: Literal["clock_probe"] = "clock_probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong(Strict):
    type: Literal["pong"] = "pong"


ServerMessage = Welcome | EntryMessage | Synced | Ack | Nack | EventMessage | Resync | ClockProbe | Pong

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])


def parse_client_message(text: str) -> ClientMessage:
    """Raises MalformedMessage, whose sentence says where; a Fact can never come out of it."""
    if len(text) > MAX_CLIENT_MESSAGE_BYTES:
        raise MalformedMessage(f"a message has at most {MAX_CLIENT_MESSAGE_BYTES} bytes")
    return _parse(_CLIENT, text)


def parse_server_message(text: str) -> ServerMessage:
    """Raises MalformedMessage, also for a body that is not of its envelope's kind."""
    message = _parse(_SERVER, text)
    if isinstance(message, EntryMessage) and message.entry.body is not None:
        try:
            parse_body(message.entry.envelope.kind, message.entry.body)
        except MalformedEntry as error:
            raise MalformedMessage(str(error)) from error
    return message


def encode_client_message(message: ClientMessage) -> str:
    return _CLIENT.dump_json(message).decode()


def encode_server_message(message: ServerMessage) -> str:
    return _SERVER.dump_json(message).decode()


_Parsed = TypeVar("_Parsed")


def _parse(adapter: TypeAdapter[_Parsed], text: str | bytes) -> _Parsed:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        # What was sent is not repeated: a token may stand in it.
        raise MalformedMessage(f"{place}: {first['msg']}" if place else first["msg"]) from error
