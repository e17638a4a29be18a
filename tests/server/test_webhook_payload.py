"""What leaves the house: codes and numbers by default, words and places only where they were asked for."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from server.evidence.entry import Draft, Entry, seal
from server.evidence.entry import encode_body as seal_body
from server.webhook_delivery import BACK_OFF_S
from server.webhook_payload import FACTS, encode_payload, named_by
from signaling.entries import KIND

MARKER = "秘密Marker"
AT = datetime(2026, 11, 28, 12, 0, 0, 123_000, tzinfo=UTC)
CASE_ID = "c_" + "k" * 20
ACTOR_ID = "l_" + "a" * 20


def entry_of(kind: str, body: dict[str, Any], number: int = 7) -> Entry:
    draft = Draft(
        kind=kind, case_id=CASE_ID, role="courier", actor_id=ACTOR_ID, session_id="s_" + "s" * 20, body=body
    )
    return seal(
        draft,
        seal_body(body),
        number=number,
        previous_hash="0" * 64,
        recorded_at=AT,
        salt=b"\x00" * 32,
        leaf_index=41,
    )


def shown(entry: Entry, named: Entry | None = None, *, with_body: bool = False) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(encode_payload(entry, named, with_body=with_body))
    return message


def marked(name: str) -> Any:
    """A body's field with the marker wherever JSON may hold words."""
    return {MARKER: MARKER, "list": [MARKER, {"deep": MARKER}], "name": name, "text": MARKER}


NOTICE = entry_of("notice_sent", {"notice": "arrived", "to": "customer", "text": {"zh": MARKER}}, 3)
ORDER = entry_of(
    "exception_reported",
    {
        "exception": "damaged",
        "due_at": "2026-11-28T12:30:00.000Z",
        "text": MARKER,
        "label": {"zh": MARKER},
        "place": {"latitude_e6": 31_230_416, "longitude_e6": 121_473_701, "accuracy_m": 5},
    },
    3,
)


def personal(kind: str) -> Iterator[tuple[str, Any]]:
    """Every field of a kind's body that is not in its facts, marked."""
    for name in KIND[kind].__dataclass_fields__:
        if name not in (*FACTS.get(kind, OPEN).own, "kind"):
            yield name, marked(name)


OPEN = FACTS["call_rung"].__class__()


@pytest.mark.parametrize("kind", KIND)
def test_no_words_names_or_places_leave_by_default(kind: str) -> None:
    body = dict(personal(kind))
    for named in (
        None,
        NOTICE,
        ORDER,
        entry_of("text", {"text": MARKER, "notice": MARKER, "due_at": MARKER}),
    ):
        text = encode_payload(entry_of(kind, body), named, with_body=False).decode()
        assert MARKER not in text and json.dumps(MARKER) not in text and "latitude" not in text
        assert set(json.loads(text)["data"]) <= {
            "case_id",
            "number",
            "leaf_index",
            "hash",
            "role",
            "actor_id",
            "recorded_at",
            "facts",
        }


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, thin in FACTS.items() for name in thin.own],
)
def test_no_fact_is_a_field_that_people_write_words_into(kind: str, name: str) -> None:
    """A literal, a code of the wording, a number, a time, or ids of links."""
    hint = get_type_hints(KIND[kind], include_extras=True)[name]
    if get_origin(hint) is Literal:
        assert all(isinstance(word, str) for word in get_args(hint))
        return
    if get_origin(hint) is tuple:
        (hint, _) = get_args(hint)
    text = str(hint)
    assert "^[a-z][a-z0-9_]{0,63}$" in text or "int" in text or "datetime" in text or "^l_" in text, text


def test_the_names_that_facts_are_taken_from_are_facts_themselves() -> None:
    own = {name for thin in FACTS.values() for name in thin.own}
    for kind, thin in FACTS.items():
        assert kind in KIND and set(thin.named) <= own
        assert set(thin.own) <= set(KIND[kind].__dataclass_fields__)


def test_a_message_has_the_envelopes_facts_and_the_place_in_the_log() -> None:
    entry = entry_of("text", {"text": "hello", "captured_at": None})
    assert shown(entry) == {
        "type": "text",
        "timestamp": "2026-11-28T12:00:00.123Z",
        "data": {
            "case_id": CASE_ID,
            "number": 7,
            "leaf_index": 41,
            "hash": entry.hash,
            "role": "courier",
            "actor_id": ACTOR_ID,
            "recorded_at": "2026-11-28T12:00:00.123Z",
        },
    }
    assert shown(entry, with_body=True)["data"]["body"] == {"text": "hello", "captured_at": None}


@pytest.mark.parametrize(
    ("entry", "named", "facts"),
    [
        (NOTICE, None, {"notice": "arrived", "to": "customer"}),
        (
            entry_of("notice_repeated", {"number": 3}),
            NOTICE,
            {"number": 3, "notice": "arrived", "to": "customer"},
        ),
        (
            entry_of(
                "call_rung", {"call_number": 2, "of": [ACTOR_ID], "absent": [ACTOR_ID], "until": MARKER}
            ),
            None,
            {"call_number": 2, "of": [ACTOR_ID], "absent": [ACTOR_ID]},
        ),
        (ORDER, None, {"exception": "damaged", "due_at": "2026-11-28T12:30:00.000Z", "state": "open"}),
        (
            entry_of("exception_taken", {"number": 3}),
            ORDER,
            {"number": 3, "exception": "damaged", "due_at": "2026-11-28T12:30:00.000Z", "state": "taken"},
        ),
        (
            entry_of("exception_overdue", {"number": 3}),
            ORDER,
            {"number": 3, "exception": "damaged", "due_at": "2026-11-28T12:30:00.000Z"},
        ),
        (
            entry_of("exception_closed", {"number": 3, "remark": MARKER}),
            None,
            {"number": 3, "state": "closed"},
        ),
    ],
)
def test_what_an_integrators_channel_needs_is_told(
    entry: Entry, named: Entry | None, facts: dict[str, Any]
) -> None:
    assert (named_by(entry) == 3) == (entry.body.get("number") == 3)
    assert shown(entry, named)["data"]["facts"] == facts


def test_the_protocol_names_every_kind_with_facts_and_every_wait() -> None:
    document = (Path(__file__).parent.parent.parent / "signaling" / "PROTOCOL.md").read_text()
    section = document.partition("## Webhooks")[2]
    table = section.partition("| kind | facts |")[2].partition("\n\n")[0]
    told = set()
    for row in table.splitlines()[2:]:
        first = ""
        for name in re.findall(r"`([a-z_…]+)`", row.split("|")[1]):
            first = first or name
            told.add(name.replace("…", first.rpartition("_")[0]))
        for name in {name for kind in told for name in FACTS[kind].own} - {"exception", "due_at"}:
            assert f"`{name}`" in table
    assert told == set(FACTS)
    waits = [f"{s} s" if s < 60 else f"{s // 60} min" if s < 3600 else f"{s // 3600} h" for s in BACK_OFF_S]
    assert f"{', '.join(waits[:-1])} and {waits[-1]}" in " ".join(section.split())
