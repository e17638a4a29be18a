"""`evidence_vectors.json`: what the service's own evidence code makes, and the browser must agree with.

The file is made here, from nothing random; this test says when it no longer is what the service makes. Run
`python -m tests.web.test_evidence_vectors` to write it anew, after a decision to change the format.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.canonical import encode_canonical
from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.entry import FIRST_PREVIOUS_HASH, Draft, Entry, encode_body, envelope_fields, seal
from server.evidence.merkle import Frontier, hash_leaf, inclusion_hashes
from server.evidence.signer import Ed25519Signer

FILE = Path(__file__).parent / "evidence_vectors.json"
BEGIN_AT = datetime(2026, 11, 22, 14, 3, 22, 123000, tzinfo=UTC)
PICTURE = bytes(range(256)) * 4
FOREIGN_LEAVES = (2, 3, 5)  # how many leaves of other cases come before each entry of ours, in turn

CANONICAL: tuple[Any, ...] = (
    {},
    {"b": 1, "a": [True, None, -7, 2**53 - 1]},
    {
        "\u20ac": "Euro",
        "\r": "return",
        "\U0001f600": "face",
        "1": "one",
        "\u0080": "control",
        "\ufb33": "dalet",
    },
    {"text": '请把包裹翻过来。\\ " \u001f \u2028 / é 😀'},
    {"nested": {"z": {"y": []}, "a": {"c": 0}}},
)


def _entries() -> list[Entry]:
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("case_opened", {"waybill": "SF1000000001", "metadata": {"备注": "易碎"}, "declared_value": None}),
        ("text", {"text": "请把包裹翻过来。 Turn it over 😀"}),
        (
            "frame_sealed",
            {
                "of": "l_courier2222222222222",
                "blob": {
                    "sha256": hashlib.sha256(PICTURE).hexdigest(),
                    "size_bytes": len(PICTURE),
                    "media_type": "image/jpeg",
                },
            },
        ),
        ("left", {"call_number": 1, "reason": "left", "traffic": None}),
    ]
    entries: list[Entry] = []
    leaf_index = 0
    for number, (kind, body) in enumerate(bodies, start=1):
        leaf_index += FOREIGN_LEAVES[number % len(FOREIGN_LEAVES)]
        draft = Draft(
            kind=kind,
            case_id="c_k3v5q2m7z4x6w2a5b7cd",
            role="courier",
            actor_id="l_courier2222222222222",
            session_id="s_n5m4b3v2c7x6z2l4k3jh",
            body=body,
        )
        entries.append(
            seal(
                draft,
                encode_body(body),
                number=number,
                previous_hash=entries[-1].hash if entries else FIRST_PREVIOUS_HASH,
                recorded_at=BEGIN_AT + timedelta(milliseconds=1234 * number),
                salt=hashlib.sha256(b"salt %d" % number).digest(),
                leaf_index=leaf_index,
            )
        )
        leaf_index += 1
    return entries


def make_vectors() -> dict[str, Any]:
    """Entries of one case among the leaves of others, with a proof of each under one signed checkpoint."""
    entries = _entries()
    ours = {entry.leaf_index: entry.leaf_hash for entry in entries}
    tree_size = entries[-1].leaf_index + 4
    leaves = [ours.get(index) or hash_leaf(b"another case %d" % index) for index in range(tree_size)]
    frontier, stored = Frontier().extend(leaves)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signer = CheckpointSigner("proofcall.local/log", Ed25519Signer(key))
    return {
        "canonical": [{"value": value, "text": encode_canonical(value).decode()} for value in CANONICAL],
        "entries": [
            {
                "envelope": envelope_fields(entry.envelope),
                "body": entry.body,
                "salt": entry.salt.hex(),
                "hash": entry.hash,
                "leaf_index": entry.leaf_index,
            }
            for entry in entries
        ],
        "proofs": [
            [node.hex() for node in inclusion_hashes(entry.leaf_index, tree_size, stored.__getitem__)]
            for entry in entries
        ],
        "trees": [_tree(size) for size in range(1, 18)],
        "tree_size": tree_size,
        "root": frontier.root().hex(),
        "checkpoint": signer.sign(tree_size, frontier.root()),
        "vkey": encode_key(signer.key),
        "picture_hex": PICTURE.hex(),
    }


def _tree(size: int) -> dict[str, Any]:
    leaves = [hash_leaf(b"%d" % index) for index in range(size)]
    frontier, stored = Frontier().extend(leaves)
    return {
        "leaves": [leaf.hex() for leaf in leaves],
        "root": frontier.root().hex(),
        "proofs": [
            [node.hex() for node in inclusion_hashes(index, size, stored.__getitem__)]
            for index in range(size)
        ],
    }


def test_the_browser_is_tested_against_what_the_service_makes_today() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == make_vectors()


if __name__ == "__main__":
    FILE.write_text(json.dumps(make_vectors(), ensure_ascii=True, indent=1) + "\n", encoding="utf-8")
