"""What a webhook says of an entry: by default nothing that is personal, whatever its body holds.

A thin message has the public envelope, the place in the log, and the facts of one small table: codes, states,
times and ids that an integrator needs to send a text message, let a phone ring, or open a ticket.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from server.evidence.canonical import JsonValue
from server.evidence.entry import Entry, encode_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Thin:
    """`own`: fields of the body. `named`: of the entry of the same case that `number` in the body names.
    `state`: what the order is from this entry on.
    """

    own: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    state: str | None = None


ORDER = ("exception", "due_at")

# Kinds that are not here have no facts. A field may stand here only if no person can write words into it.
FACTS: Mapping[str, Thin] = {
    "call_rung": Thin(own=("call_number", "of", "absent")),
    "notice_sent": Thin(own=("notice", "to")),
    "notice_repeated": Thin(own=("number",), named=("notice", "to")),
    "notice_unanswered": Thin(own=("number",), named=("notice", "to")),
    "exception_reported": Thin(own=ORDER, state="open"),
    "exception_taken": Thin(own=("number",), named=ORDER, state="taken"),
    "exception_decided": Thin(own=("number",), named=ORDER, state="decided"),
    "exception_acknowledged": Thin(own=("number",), named=ORDER, state="acknowledged"),
    "exception_closed": Thin(own=("number",), named=ORDER, state="closed"),
    "exception_overdue": Thin(own=("number",), named=ORDER),
    "erased": Thin(own=("numbers", "kinds", "by")),
}


def named_by(entry: Entry) -> int | None:
    """The number of the entry, in the same case, that `encode_payload` needs beside this one."""
    if not FACTS.get(entry.envelope.kind, Thin()).named:
        return None
    number = entry.body.get("number")
    return number if isinstance(number, int) else None


def encode_payload(entry: Entry, named: Entry | None, *, with_body: bool) -> bytes:
    """The body of the message; the same entry always gives the same bytes."""
    envelope = entry.envelope
    recorded_at = encode_time(envelope.recorded_at)
    data: dict[str, JsonValue] = {
        "case_id": envelope.case_id,
        "number": envelope.number,
        "leaf_index": entry.leaf_index,
        "hash": entry.hash,
        "role": envelope.role,
        "actor_id": envelope.actor_id,
        "recorded_at": recorded_at,
    }
    if facts := _facts(entry, named):
        data["facts"] = facts
    if with_body:
        data["body"] = entry.body
    message = {"type": envelope.kind, "timestamp": recorded_at, "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _facts(entry: Entry, named: Entry | None) -> dict[str, JsonValue]:
    thin = FACTS.get(entry.envelope.kind, Thin())
    facts = {name: entry.body[name] for name in thin.own if name in entry.body}
    if named is not None:
        public = FACTS.get(named.envelope.kind, Thin()).own
        facts |= {name: named.body[name] for name in thin.named if name in public and name in named.body}
    if thin.state is not None:
        facts["state"] = thin.state
    return facts
