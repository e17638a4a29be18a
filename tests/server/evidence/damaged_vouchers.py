"""A table of what can be done to a voucher and which steps fail then: for the command line and for the page.

Some rows want the log's own key: those are what a dishonest operator could sign, and what still shows.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.canonical import encode_canonical, parse_canonical_object
from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.signer import Ed25519Signer
from server.evidence.voucher import encode_voucher, seal_text_of
from tests.server.evidence.sample_case import ORIGIN, OTHER_CASE, SIGNER, draft, make_log
from tests.server.evidence.sample_voucher import (
    CONFIRMED,
    HANDED_OVER,
    sample_voucher,
    voucher_drafts,
    voucher_of,
)

Document = dict[str, Any]
STRANGER = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))
GOOD = encode_voucher(sample_voucher())
OUTSIDE = (10, 11, 12, 13)  # steps that a voucher alone cannot make


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """`failed`: the numbers of the steps that fail, checked with the key of the log."""

    name: str
    data: bytes
    failed: tuple[int, ...]


def changed(change: Callable[[Document], None], *, signer: CheckpointSigner | None = None) -> bytes:
    """The good voucher with a change, its spelling in order; `signer` seals it anew."""
    document = copy.deepcopy(dict(parse_canonical_object(GOOD)))
    change(document)
    if signer is not None:
        document["seal"] = signer.sign_statement(seal_text_of(document))
    return encode_canonical(document)


def put(*path: str, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place = document
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place = document
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]

    return change


def flip_digit(*path: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place = document
        for name in path[:-1]:
            place = place[name]
        text = place[path[-1]]
        place[path[-1]] = ("0" if text[0] != "0" else "1") + text[1:]

    return change


def swap_entries(document: Document) -> None:
    document["handed_over"], document["confirmed"] = document["confirmed"], document["handed_over"]


def flip_hash(document: Document) -> None:
    hashes = document["confirmed"]["proof"]["hashes"]
    hashes[0] = hashes[0][::-1]


def cut_proof(document: Document) -> None:
    document["handed_over"]["proof"]["hashes"].pop()


def another_root(document: Document) -> None:
    document["checkpoint"] = SIGNER.sign(7, bytes(32))


def checkpoint_of_a_stranger(document: Document) -> None:
    document["checkpoint"] = STRANGER.sign(7, bytes(32))


def another_key(document: Document) -> None:
    document["vkey"] = encode_key(STRANGER.key)


def loose_base64(document: Document) -> None:
    """The last digit before the padding holds bits that decode to nothing: the same signature, spelt anew."""
    seal = document["seal"]
    end = seal.rindex("=") - 1
    document["seal"] = seal[:end] + ("B" if seal[end] == "A" else chr(ord(seal[end]) + 1)) + seal[end + 1 :]


def other_case() -> bytes:
    drafts = voucher_drafts()
    voucher = voucher_of(make_log([*drafts[:2], draft("handed_over", OTHER_CASE, HANDED_OVER), *drafts[3:]]))
    return encode_voucher(voucher)


def confirmed_first() -> bytes:
    drafts = voucher_drafts(confirmed={**CONFIRMED, "number": 4}, between=1)
    drafts[2], drafts[5] = drafts[5], drafts[2]
    return encode_voucher(voucher_of(make_log(drafts)))


def sign_all(**how: Any) -> bytes:
    """What the log's own key signed from the beginning."""
    return encode_voucher(sample_voucher(voucher_drafts(**how)))


TEXT = GOOD.decode()
TABLE = (
    Damaged(name="untouched", data=GOOD, failed=()),
    Damaged(name="waybill", data=changed(put("waybill", value="SF1000000002")), failed=(3,)),
    Damaged(
        name="waybill, sealed by a stranger",
        data=changed(put("waybill", value="SF1000000002"), signer=STRANGER),
        failed=(3,),
    ),
    Damaged(name="no waybill", data=changed(put("waybill", value="")), failed=(1, 3)),
    Damaged(name="time zone", data=changed(put("time_zone", value="Europe/Berlin")), failed=(3,)),
    Damaged(name="no time zone", data=changed(put("time_zone", value="9")), failed=(1, 3)),
    Damaged(name="case", data=changed(put("case_id", value=OTHER_CASE)), failed=(3, 4)),
    Damaged(
        name="statement", data=changed(put("confirmed", "body", "statement", value="我拒收。")), failed=(3, 6)
    ),
    Damaged(
        name="reservation", data=changed(put("confirmed", "body", "reservation", value="破损")), failed=(3, 6)
    ),
    Damaged(name="salt", data=changed(flip_digit("handed_over", "salt")), failed=(3, 6)),
    Damaged(name="no salt", data=changed(put("handed_over", "salt", value="xy")), failed=(3, 6)),
    Damaged(
        name="time of an entry",
        data=changed(put("confirmed", "envelope", "recorded_at", value="2026-11-22T15:03:27.123Z")),
        failed=(3, 5),
    ),
    Damaged(
        name="no time",
        data=changed(put("confirmed", "envelope", "recorded_at", value="noon")),
        failed=(3, 4, 5, 6, 7),
    ),
    Damaged(name="number", data=changed(put("confirmed", "envelope", "number", value=5)), failed=(3, 5)),
    Damaged(
        name="role", data=changed(put("confirmed", "envelope", "role", value="courier")), failed=(3, 5, 7)
    ),
    Damaged(name="entries exchanged", data=changed(swap_entries), failed=(3, 4, 7, 8)),
    Damaged(name="hash of a proof", data=changed(flip_hash), failed=(3, 5)),
    Damaged(name="short proof", data=changed(cut_proof), failed=(3, 5)),
    Damaged(
        name="another leaf", data=changed(put("confirmed", "proof", "leaf_index", value=4)), failed=(3, 5)
    ),
    Damaged(
        name="another size", data=changed(put("confirmed", "proof", "tree_size", value=8)), failed=(3, 5)
    ),
    Damaged(name="another root", data=changed(another_root, signer=SIGNER), failed=(5,)),
    Damaged(name="checkpoint of a stranger", data=changed(checkpoint_of_a_stranger), failed=(2, 3, 5)),
    Damaged(name="no checkpoint", data=changed(put("checkpoint", value="7")), failed=(2, 3)),
    Damaged(name="key of a stranger", data=changed(another_key), failed=(2, 3, 10)),
    Damaged(name="no key", data=changed(put("vkey", value="key")), failed=(2,)),
    Damaged(name="no seal", data=changed(put("seal", value="")), failed=(3,)),
    Damaged(
        name="checkpoint as seal", data=changed(put("seal", value=sample_voucher().checkpoint)), failed=(3,)
    ),
    Damaged(name="seal in another spelling", data=changed(loose_base64), failed=(3,)),
    Damaged(name="field missing", data=changed(drop("time_zone")), failed=(1,)),
    Damaged(name="field more", data=changed(put("note", value="")), failed=(1,)),
    Damaged(name="field of another type", data=changed(put("waybill", value=1)), failed=(1,)),
    Damaged(name="entry without salt", data=changed(drop("confirmed", "salt")), failed=(1, 3)),
    Damaged(name="entry without envelope", data=changed(drop("confirmed", "envelope")), failed=(1, 3)),
    Damaged(name="version", data=changed(put("version", value=3)), failed=(1,)),
    Damaged(name="another format", data=changed(put("format", value="proofcall-package")), failed=(1,)),
    Damaged(name="spelt with a space", data=TEXT.replace(",", ", ", 1).encode(), failed=(1,)),
    Damaged(name="with a line end", data=GOOD + b"\n", failed=(1,)),
    Damaged(name="cut off", data=GOOD[:-40], failed=(1,)),
    Damaged(name="not UTF-8", data=GOOD.replace("我".encode(), b"\xe6\x88"), failed=(1,)),
    Damaged(name="a float", data=TEXT.replace('"number":2', '"number":2.0').encode(), failed=(1,)),
    Damaged(name="a field twice", data=TEXT.replace("{", '{"a":1,', 1).encode(), failed=(1,)),
    Damaged(name="another JSON", data=b'{"passed":true}', failed=(1,)),
    Damaged(name="signed: confirmed by the courier", data=sign_all(role="courier"), failed=(7,)),
    Damaged(
        name="signed: another hand-over", data=sign_all(confirmed={**CONFIRMED, "number": 1}), failed=(7,)
    ),
    Damaged(
        name="signed: nothing was read", data=sign_all(confirmed={**CONFIRMED, "statement": " "}), failed=(7,)
    ),
    Damaged(name="signed: no number", data=sign_all(confirmed={**CONFIRMED, "number": True}), failed=(7,)),
    Damaged(name="signed: hand-over of another case", data=other_case(), failed=(4, 8)),
    Damaged(name="signed: confirmed before it was handed over", data=confirmed_first(), failed=(8,)),
)
VKEY = encode_key(SIGNER.key)
