"""PROTOCOL.md is the contract: what it shows is parsed, what it lists is what the code holds."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import rfc8785

from signaling.case import LEGAL, Standing
from signaling.commands import PersonCommand
from signaling.entries import KIND, MAY_SEE, encode_body, parse_body
from signaling.errors import CloseCode, SignalingError
from signaling.messages import (
    ClientMessage,
    EntryMessage,
    Event,
    ServerMessage,
    encode_client_message,
    encode_server_message,
    parse_client_message,
    parse_server_message,
)

DOCUMENT = (Path(__file__).parents[2] / "signaling/PROTOCOL.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
MESSAGES = [example for example in EXAMPLES if "type" in json.loads(example)]
BODIES = [json.loads(example) for example in EXAMPLES if "type" not in json.loads(example)]
CLIENT_TYPES = {message.__dataclass_fields__["type"].default for message in get_args(ClientMessage)}
SERVER_TYPES = {message.__dataclass_fields__["type"].default for message in get_args(ServerMessage)}

STANDING = {
    Standing.KNOWN: "any link",
    Standing.ADMITTED: "live link",
    Standing.CONSENTED: "consented",
    Standing.IN_CALL: "in the call",
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table after a line that begins with `heading`, without its head."""
    table = DOCUMENT[DOCUMENT.index(f"\n{heading}") + 1 :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


@pytest.mark.parametrize("text", MESSAGES)
def test_every_message_of_the_document_round_trips(text: str) -> None:
    shown = json.loads(text)
    if shown["type"] in CLIENT_TYPES:
        encoded = encode_client_message(parse_client_message(text))
    else:
        encoded = encode_server_message(parse_server_message(text))
    assert json.loads(encoded) == shown


@pytest.mark.parametrize("shown", BODIES, ids=lambda shown: str(shown["kind"]))
def test_every_body_of_the_document_round_trips(shown: dict[str, Any]) -> None:
    body = parse_body(shown["kind"], shown["body"])
    assert encode_body(body) == shown["body"]
    assert set(shown) == {"kind", "body"}


def test_every_message_command_event_and_kind_has_an_example() -> None:
    shown = [json.loads(text) for text in MESSAGES]
    assert {message["type"] for message in shown} == CLIENT_TYPES | SERVER_TYPES
    commands = {message["command"]["kind"] for message in shown if message["type"] == "command"}
    assert commands == {command.__dataclass_fields__["kind"].default for command in get_args(PersonCommand)}
    events = {message["event"]["kind"] for message in shown if message["type"] == "event"}
    assert events == {event.__dataclass_fields__["kind"].default for event in get_args(Event)}
    assert [body["kind"] for body in BODIES] == list(KIND)


def test_the_entries_of_the_document_prove_themselves() -> None:
    entries = [
        message.entry
        for message in map(parse_server_message, (text for text in MESSAGES if '"type":"entry"' in text))
        if isinstance(message, EntryMessage)
    ]
    shown = [json.loads(text)["entry"] for text in MESSAGES if '"type":"entry"' in text]
    for entry, raw in zip(entries, shown, strict=True):
        assert hashlib.sha256(rfc8785.dumps(raw["envelope"])).hexdigest() == entry.hash
        if entry.body is not None and entry.salt is not None:
            sealed = bytes.fromhex(entry.salt) + rfc8785.dumps(raw["body"])
            assert hashlib.sha256(sealed).hexdigest() == entry.envelope.commitment
    assert entries[1].envelope.previous_hash == entries[0].hash
    assert {entry.body is None for entry in entries} == {True, False}


def test_the_table_of_commands_is_the_table_of_the_code() -> None:
    in_code = []
    for command in get_args(PersonCommand):
        rules = LEGAL[command]
        cells = [
            STANDING[rules[role].standing] if role in rules else "–"
            for role in ("customer", "courier", "qa", "dispatch", "guest")
        ]
        [phases] = {rule.phases for rule in rules.values()}
        kind = command.__dataclass_fields__["kind"].default
        in_code.append([f"`{kind}`", *cells, ", ".join(sorted(phases, reverse=True))])
    assert rows("| command ") == in_code


def test_the_table_of_close_codes_is_the_table_of_the_code() -> None:
    assert [int(row[0]) for row in rows("| close code ")] == [code.value for code in CloseCode]


def test_every_refusal_of_a_persons_command_is_listed() -> None:
    def codes(error: type[SignalingError]) -> set[str]:
        return (
            {error.code} if not error.__subclasses__() else set().union(*map(codes, error.__subclasses__()))
        )

    listed = {code for row in rows("| `nack` code ") for code in re.findall(r"`(\w+)`", row[0])}
    never_told = {"malformed_message", "malformed_entry", "illegal_entry", "unknown_frame"}
    never_told |= {"segment_out_of_order", "unknown_recording", "malformed_wording", "legal_hold"}
    of_the_server = {"log_overloaded", "append_failed", "internal"}
    in_code = set().union(*map(codes, SignalingError.__subclasses__()))
    assert listed - of_the_server == in_code - never_told


def test_the_bodies_marked_office_are_those_withheld_from_customers_and_couriers() -> None:
    marked = set(re.findall(r"^\*\*`(\w+)`\*\*: office", DOCUMENT, re.MULTILINE))
    for role in ("customer", "courier"):
        assert marked == {kind for kind, roles in MAY_SEE.items() if role not in roles}
    marked |= set(re.findall(r"^\*\*`(\w+)`\*\*: parties", DOCUMENT, re.MULTILINE))
    assert marked == {kind for kind, roles in MAY_SEE.items() if "guest" not in roles}
    assert all({"qa", "dispatch"} <= roles for roles in MAY_SEE.values())
