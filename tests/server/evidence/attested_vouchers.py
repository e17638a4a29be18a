"""Vouchers with what others said of the log, and what a policy makes of them: for command and page alike.

The log has seven leaves; hand-over and confirmation are the leaves 2 and 5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.evidence.canonical import encode_canonical, parse_canonical_object
from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.cosignature import encode_witness_key
from server.evidence.merkle import Frontier, consistency_hashes
from server.evidence.voucher import Attested, Voucher, encode_voucher, seal_text_of
from tests.server.evidence.damaged_vouchers import GOOD, STRANGER, VKEY
from tests.server.evidence.local_witness import TIME_S, WITNESSES, LocalWitness
from tests.server.evidence.sample_case import ORIGIN, SIGNER, make_log
from tests.server.evidence.sample_voucher import sample_voucher, sealed, voucher_drafts

FIRST, SECOND, THIRD = WITNESSES
NAMED = "".join(f"witness {'ABC'[n]} {encode_witness_key(one.key)}\n" for n, one in enumerate(WITNESSES))
TWO = f"{NAMED}group two 2 A B C\nquorum two\n"
ALL = f"{NAMED}group all all A B C\nquorum all\n"
NONE = f"{NAMED}quorum none\n"
THIS_LOG = f"log {VKEY}\n{TWO}"
ANOTHER_LOG = f"log {encode_key(STRANGER.key)}\n{TWO}"
SIZE = 7


def attested(
    tree_size: int,
    witnesses: Sequence[LocalWitness] = (FIRST, SECOND),
    *,
    signer: CheckpointSigner = SIGNER,
    timestamps: tuple[bytes, ...] = (),
) -> Attested:
    """The checkpoint of the first leaves, its way to all of them, and the words of these witnesses."""
    log = make_log(voucher_drafts())
    note = make_log(voucher_drafts()[:tree_size], signer=signer).checkpoint
    _, stored = Frontier().extend(entry.leaf_hash for entry in log.entries)
    return Attested(
        checkpoint=note,
        consistency=tuple(consistency_hashes(tree_size, SIZE, stored.__getitem__)),
        cosignatures=tuple(one.cosign(note, TIME_S + n) for n, one in enumerate(witnesses)),
        timestamps=timestamps,
    )


def voucher_with(*items: Attested) -> bytes:
    """The sample voucher with these, sealed by the log's key."""
    return encode_voucher(attested_voucher(*items))


def attested_voucher(*items: Attested) -> Voucher:
    return sealed(replace(sample_voucher(), attested=items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`failed`: the steps that fail, checked with the key of the log; `witnesses`: the outcome of step 13."""

    name: str
    data: bytes
    policy: str | None
    witnesses: str
    failed: tuple[int, ...] = ()


def _document(**fields: object) -> bytes:
    """A voucher whose one attested checkpoint has these fields instead of its own, sealed."""
    document = parse_canonical_object(voucher_with(attested(SIZE)))
    items = document["attested"]
    assert isinstance(items, list) and isinstance(items[0], dict)
    items[0] = {**items[0], **fields}
    document["seal"] = SIGNER.sign_statement(seal_text_of(document))
    return encode_canonical(document)


def _with_attested(value: object) -> bytes:
    document = {**parse_canonical_object(GOOD), "attested": value}
    document["seal"] = SIGNER.sign_statement(seal_text_of(document))
    return encode_canonical(document)


def _broken(change: Callable[[dict[str, Any]], None]) -> bytes:
    """The voucher with one attested checkpoint, changed and sealed anew."""
    document: dict[str, Any] = parse_canonical_object(voucher_with(attested(SIZE)))
    change(document)
    document["seal"] = SIGNER.sign_statement(seal_text_of(document))
    return encode_canonical(document)


def _no_place_and_a_bad_line(document: dict[str, Any]) -> None:
    proof = document["handed_over"]["proof"]
    proof["hashes"] = proof["hashes"][::-1]
    document["attested"][0]["cosignatures"] += THIRD.cosign(OLDER.checkpoint).decode()


def _under_origin(origin: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["checkpoint"] = document["checkpoint"].replace(f"{ORIGIN}\n", f"{origin}\n", 1)

    return change


_WHOLE_ITEM = attested(SIZE)
WHOLE = voucher_with(_WHOLE_ITEM)
OLDER = attested(6)  # the confirmation is its last leaf
BEFORE = attested(5)
_FIRST_LINE, _SECOND_LINE = _WHOLE_ITEM.cosignatures

ROWS = (
    Row(name="cosigned, and nobody asks", data=WHOLE, policy=None, witnesses="cannot_be_made"),
    Row(name="cosigned by two of three", data=WHOLE, policy=TWO, witnesses="passed"),
    Row(name="the policy names the log", data=WHOLE, policy=THIS_LOG, witnesses="passed"),
    Row(name="cosigned by two, all asked for", data=WHOLE, policy=ALL, witnesses="failed", failed=(13,)),
    Row(name="nobody asked for", data=WHOLE, policy=NONE, witnesses="passed"),
    Row(name="policy of another log", data=WHOLE, policy=ANOTHER_LOG, witnesses="failed", failed=(13,)),
    Row(name="an older checkpoint", data=voucher_with(OLDER), policy=TWO, witnesses="passed"),
    Row(
        name="of before the confirmation",
        data=voucher_with(BEFORE),
        policy=TWO,
        witnesses="failed",
        failed=(13,),
    ),
    Row(name="before and after", data=voucher_with(BEFORE, OLDER), policy=TWO, witnesses="passed"),
    Row(
        name="two checkpoints, one witness each",
        data=voucher_with(attested(6, [FIRST]), attested(SIZE, [SECOND])),
        policy=TWO,
        witnesses="failed",
        failed=(13,),
    ),
    Row(name="not cosigned, and nobody asks", data=GOOD, policy=None, witnesses="cannot_be_made"),
    Row(name="not cosigned", data=GOOD, policy=TWO, witnesses="failed", failed=(13,)),
    Row(
        name="version 1",
        data=encode_voucher(sealed(replace(sample_voucher(), attested=None))),
        policy=None,
        witnesses="cannot_be_made",
    ),
    Row(
        name="version 1, asked for witnesses",
        data=encode_voucher(sealed(replace(sample_voucher(), attested=None))),
        policy=TWO,
        witnesses="failed",
        failed=(13,),
    ),
    Row(
        name="a stranger's line beside",
        data=voucher_with(attested(SIZE, [LocalWitness("stranger.example", 9), FIRST, THIRD])),
        policy=TWO,
        witnesses="passed",
    ),
    Row(
        name="one witness twice",
        data=voucher_with(attested(SIZE, [FIRST, FIRST])),
        policy=TWO,
        witnesses="failed",
        failed=(13,),
    ),
    Row(
        name="the line of another checkpoint",
        data=_document(cosignatures=(_FIRST_LINE + _SECOND_LINE + THIRD.cosign(OLDER.checkpoint)).decode()),
        policy=TWO,
        witnesses="failed",
        failed=(13,),
    ),
    Row(
        name="under the name of a witness, with another key",
        data=voucher_with(attested(SIZE, [LocalWitness("witness.example/w1", 9), SECOND])),
        policy=TWO,
        witnesses="failed",
        failed=(13,),
    ),
    Row(
        name="of this log, signed by a key that it had before",
        data=voucher_with(attested(6, signer=STRANGER)),
        policy=TWO,
        witnesses="passed",
    ),
    Row(
        name="a signature of the log that does not hold",
        data=_document(checkpoint=_WHOLE_ITEM.checkpoint[:-8] + "AAAAA==\n"),
        policy=TWO,
        witnesses="cannot_be_made",
        failed=(2,),
    ),
    Row(
        name="a checkpoint of a log of another name",
        data=_document(checkpoint=_WHOLE_ITEM.checkpoint.replace(ORIGIN, "other.example/log")),
        policy=TWO,
        witnesses="cannot_be_made",
        failed=(2,),
    ),
    Row(
        name="a checkpoint of another history",
        data=_document(checkpoint=SIGNER.sign(6, bytes(32)), consistency=[]),
        policy=TWO,
        witnesses="cannot_be_made",
        failed=(2,),
    ),
    Row(
        name="larger than the voucher's own",
        data=_document(checkpoint=SIGNER.sign(8, bytes(32))),
        policy=None,
        witnesses="cannot_be_made",
        failed=(2,),
    ),
    Row(
        name="no way to the voucher's own",
        data=voucher_with(replace(OLDER, consistency=())),
        policy=TWO,
        witnesses="cannot_be_made",
        failed=(2,),
    ),
    Row(
        name="a way that is too long",
        data=voucher_with(replace(OLDER, consistency=(*OLDER.consistency, bytes(32)))),
        policy=TWO,
        witnesses="cannot_be_made",
        failed=(2,),
    ),
    Row(
        name="taken out, not sealed anew",
        data=encode_canonical({**parse_canonical_object(WHOLE), "attested": []}),
        policy=TWO,
        witnesses="failed",
        failed=(3, 13),
    ),
    *(
        Row(name=f"form: {name}", data=data, policy=TWO, witnesses="cannot_be_made", failed=(1,))
        for name, data in (
            ("no list", _with_attested({})),
            ("no objects", _with_attested([7])),
            ("too many", _with_attested([{}] * 17)),
            ("a field more", _document(note="")),
            ("no text", _document(checkpoint=7)),
            ("no lines", _document(cosignatures="note\n")),
            ("no line end", _document(cosignatures=_FIRST_LINE.decode()[:-1])),
            ("no hex", _document(consistency=["AB" * 32])),
            ("no hashes", _document(consistency=[7])),
            ("a short hash", _document(consistency=["ab" * 31])),
            ("no base64", _document(timestamps=["*"])),
            ("loose base64", _document(timestamps=["AB=="])),
            ("no tokens", _document(timestamps=[7])),
        )
    ),
    Row(name="a token beside", data=_document(timestamps=["AA=="]), policy=TWO, witnesses="passed"),
    Row(
        name="the line of another checkpoint, and an entry that is in no log",
        data=_broken(_no_place_and_a_bad_line),
        policy=TWO,
        witnesses="cannot_be_made",
        failed=(5,),
    ),
    *[
        Row(
            name=f"a checkpoint of {origin!r}",
            data=_broken(_under_origin(origin)),
            policy=TWO,
            witnesses="cannot_be_made",
            failed=(2,),
        )
        for origin in ("a b", "a+b", "a\u2028b", "a\x85b")
    ],
)
