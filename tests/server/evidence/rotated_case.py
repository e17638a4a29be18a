"""A package of a log whose key was rotated twice, made by the pure machines alone."""

from collections.abc import Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.entry import encode_body
from server.evidence.handover import HOUSE_CASE, Handover, encode_handovers, rotation_body
from server.evidence.merkle import Frontier, consistency_hashes
from server.evidence.package import KEYS_FILE, build_package
from server.evidence.signer import Ed25519Signer
from tests.server.evidence.sample_case import CASE, ORIGIN, SIGNER, draft, make_log

SECOND, THIRD, STRANGER = (
    CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)))
    for seed in (2, 3, 4)
)
OLDEST, MIDDLE, NEWEST = (encode_key(signer.key) for signer in (SIGNER, SECOND, THIRD))
DRAFTS = [
    draft("case_opened", CASE, {"waybill": "SF1"}),
    draft("key_rotated", HOUSE_CASE, rotation_body("log", old=OLDEST, new=MIDDLE)),
    draft("key_taken_up", HOUSE_CASE, {"vkey": MIDDLE}),
    draft("text", CASE, {"text": "between"}),
    draft("key_rotated", HOUSE_CASE, rotation_body("wrap", old="aa", new="bb")),
    draft("key_rotated", HOUSE_CASE, rotation_body("log", old=MIDDLE, new=NEWEST)),
    draft("key_taken_up", HOUSE_CASE, {"vkey": NEWEST}),
    draft("exported", CASE, {"entries_before": 2}),
]
LOG = make_log(DRAFTS, signer=THIRD)


def handover(size: int, signer: CheckpointSigner) -> Handover:
    """That of the leaf which is the last of so many, signed by this key."""
    log = make_log(DRAFTS[:size], signer=signer)
    entry = log.entries[-1]
    _, stored = Frontier().extend(one.leaf_hash for one in LOG.entries)
    return Handover(
        envelope_bytes=entry.envelope_bytes,
        body_bytes=encode_body(entry.body),
        salt=entry.salt,
        hashes=log.proofs[-1].hashes,
        checkpoint=log.checkpoint,
        consistency=consistency_hashes(size, len(DRAFTS), stored.__getitem__),
    )


FIRST, NEXT = handover(2, SIGNER), handover(6, SECOND)
# What does not lead from the oldest key to the newest, and so is no history at all.
FORGED: dict[str, Sequence[Handover]] = {
    "none": [],
    "the first alone": [FIRST],
    "the other way round": [NEXT, FIRST],
    "twice": [FIRST, FIRST, NEXT],
    "signed by a stranger": [FIRST, handover(6, STRANGER)],
    "signed by the next key": [handover(2, SECOND), NEXT],
    "about another key": [FIRST, handover(5, SECOND)],
    "another entry": [FIRST, handover(7, SECOND)],
    "another salt": [FIRST, replace(NEXT, salt=bytes(32))],
    "another body": [FIRST, replace(NEXT, body_bytes=FIRST.body_bytes)],
    "no way to its checkpoint": [FIRST, replace(NEXT, hashes=NEXT.hashes[:-1])],
    "no way to the tree": [FIRST, replace(NEXT, consistency=())],
    "another way to the tree": [replace(FIRST, consistency=NEXT.consistency), NEXT],
    "a hash of other length": [FIRST, replace(NEXT, hashes=[b"", *NEXT.hashes[1:]])],
}


def keys_file(handovers: Sequence[Handover], *, tree_size: int = len(DRAFTS), vkey: str = NEWEST) -> bytes:
    return encode_handovers(handovers, tree_size=tree_size, vkey=vkey)


def rotated_package(keys: bytes | None) -> bytes:
    """The package of the case, with this `keys.json`."""
    chosen = [entry for entry in LOG.entries if entry.envelope.case_id == CASE]
    return build_package(
        entries=chosen,
        blobs={},
        proofs=[LOG.proofs[entry.leaf_index] for entry in chosen],
        checkpoint=LOG.checkpoint,
        vkey=NEWEST,
        files={} if keys is None else {KEYS_FILE: keys},
    )


RIGHT = keys_file([FIRST, NEXT])
