"""Texts become messages or MalformedMessage; a client can only say what clients may say."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.commands import Fact, PersonCommand
from signaling.errors import MalformedMessage
from signaling.messages import (
    MAX_CLIENT_MESSAGE_BYTES,
    CommandMessage,
    encode_client_message,
    encode_server_message,
    parse_client_message,
    parse_server_message,
)
from tests.signaling.test_entries import JSON
from tests.signaling.test_protocol_document import MESSAGES


@st.composite
def damaged_messages(draw: st.DrawFn) -> str:
    """Messages of the document with something changed at any depth, or their text cut."""
    text: str = draw(st.sampled_from(MESSAGES))
    if draw(st.booleans()):
        cut = draw(st.integers(min_value=0, max_value=len(text)))
        return text[:cut] + draw(st.text(max_size=3)) + text[cut + draw(st.integers(0, 2)) :]
    message = json.loads(text)
    place = message
    while True:
        key = draw(st.sampled_from([*place, "added"])) if place else "added"
        if not isinstance(place.get(key), dict) or draw(st.booleans()):
            break
        place = place[key]
    if draw(st.booleans()):
        place[key] = draw(JSON)
    else:
        place.pop(key, None)
    return json.dumps(message)


@settings(max_examples=200, deadline=None)
@given(damaged_messages() | st.text() | JSON.map(json.dumps))
def test_a_text_is_a_message_or_malformed_and_nothing_else(text: str) -> None:
    try:
        message = parse_client_message(text)
    except MalformedMessage:
        pass
    else:
        assert parse_client_message(encode_client_message(message)) == message
        assert not isinstance(message, CommandMessage) or isinstance(message.command, PersonCommand)
    try:
        told = parse_server_message(text)
    except MalformedMessage:
        return
    assert parse_server_message(encode_server_message(told)) == told


@pytest.mark.parametrize("fact", get_args(Fact), ids=lambda fact: str(fact.kind))
def test_a_client_never_states_a_fact(fact: type[Fact]) -> None:
    fields = dict.fromkeys(fact.__dataclass_fields__, "l_" + "2" * 20)
    text = json.dumps({"type": "command", "id": "k1", "command": {"kind": fact.kind, **fields}})
    with pytest.raises(MalformedMessage):
        parse_client_message(text)


def command(body: dict[str, Any], command_id: str = "k1") -> str:
    return json.dumps({"type": "command", "id": command_id, "command": body})


def muted(change: dict[str, Any]) -> str:
    return json.dumps({"type": "signal", "signal": {"kind": "muted", "audio": True, "video": False} | change})


def playback(change: dict[str, Any]) -> str:
    played = {"frames": 50, "freezes": 0, "frozen_ms": 0, "audio_samples": 96_000, "concealed_samples": 0}
    return json.dumps({"type": "signal", "signal": {"kind": "playback", **played} | change})


def sharpen(change: dict[str, Any]) -> str:
    return json.dumps({"type": "sharpen", "actor_id": "l_" + "2" * 20} | change)


def test_a_page_that_does_not_know_what_its_uplink_carries_is_understood() -> None:
    assert parse_client_message(playback({})) == parse_client_message(playback({"outgoing_bps": None}))
    assert parse_client_message(playback({"outgoing_bps": 2**53 - 1}))


def test_a_page_that_does_not_know_of_hidden_is_understood() -> None:
    assert parse_client_message(muted({})) == parse_client_message(muted({"hidden": False}))
    assert parse_client_message(playback({"frames": 2**32}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 10_000,
        '{"type":"dance"}',
        '{"type":"synced","number":1}',
        '{"type":"ping","extra":1}',
        '{"type":"signal","signal":{"audio":true,"video":true}}',
        muted({"video": None}),
        muted({"hidden": 1}),
        muted({"since": 0}),
        playback({"frames": -1}),
        playback({"frames": 1.5}),
        playback({"frames": "50"}),
        playback({"freezes": True}),
        playback({"frozen_ms": 2**32 + 1}),
        playback({"audio_samples": 2**64}),
        playback({"concealed_samples": None}),
        playback({"of": "l_" + "2" * 20}),
        playback({"outgoing_bps": -1}),
        playback({"outgoing_bps": 1.5}),
        playback({"outgoing_bps": 2**53}),
        playback({"outgoing_bps": True}),
        sharpen({"actor_id": "system"}),
        sharpen({"actor_id": None}),
        sharpen({"seconds": 3600}),
        '{"type":"sharpen"}',
        '{"type":"signal","signal":{"kind":"playback","frames":1}}',
        '{"type":"signal","signal":{"kind":"quality","people":[]}}',
        '{"type":"hello","version":2,"token":"t","after":0,"hash":null}',
        '{"type":"hello","version":1,"token":"","after":0,"hash":null}',
        '{"type":"hello","version":1,"token":"t","after":1,"hash":null}',
        '{"type":"hello","version":1,"token":"t","after":0,"hash":"' + "0" * 64 + '"}',
        '{"type":"hello","version":1,"token":"t","after":-1,"hash":"' + "0" * 64 + '"}',
        command({"kind": "text", "text": ""}),
        command({"kind": "text", "text": " \n\t"}),
        command({"kind": "text", "text": "x" * 2_001}),
        command({"kind": "text", "text": "\ud800"}),
        command({"kind": "take_frame", "of": "system"}),
        command({"kind": "join", "now": True}),
        command({"text": "hello"}),
        command({"kind": "join"}, command_id=""),
        command({"kind": "join"}, command_id="k" * 65),
        command({"kind": "join"}, command_id="k 1"),
        command({"kind": "join"}, command_id="k1\n"),
    ],
)
def test_what_is_not_of_the_protocol_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_client_message(text)


def test_the_longest_text_passes_however_it_is_escaped() -> None:
    text = "🎁" * 2_000
    for ascii_only in (True, False):
        message = {"type": "command", "id": "k1", "command": {"kind": "text", "text": text}}
        parsed = parse_client_message(json.dumps(message, ensure_ascii=ascii_only))
        assert isinstance(parsed, CommandMessage)
    with pytest.raises(MalformedMessage, match="at most"):
        parse_client_message(" " * (MAX_CLIENT_MESSAGE_BYTES + 1))


def test_a_token_is_not_repeated_in_what_is_said_about_a_malformed_hello() -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_client_message('{"type":"hello","version":1,"token":"secret","after":"secret","hash":null}')
    assert "after" in str(caught.value) and "secret" not in str(caught.value)


def test_an_entry_whose_body_is_not_of_its_kind_is_malformed() -> None:
    [text] = [text for text in MESSAGES if '"kind":"text"' in text and '"type":"entry"' in text]
    message = json.loads(text)
    message["entry"]["body"] = {"call_number": 1}
    with pytest.raises(MalformedMessage):
        parse_server_message(json.dumps(message))
    message["entry"]["body"] = None
    with pytest.raises(MalformedMessage, match="together"):
        parse_server_message(json.dumps(message))
