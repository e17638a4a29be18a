"""Packages good and bad, each with whom somebody trusts, for all who check packages to say the same of."""

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence.canonical import JsonObject, encode_canonical, parse_canonical_object
from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.container import encode_container
from server.evidence.cosignature import encode_witness_key
from server.evidence.credential import encode_credential
from server.evidence.package import blob_references, build_package
from server.evidence.signer import Ed25519Signer
from server.evidence.voucher import encode_voucher
from tests.authority import make_authority
from tests.server.evidence import rotated_case, test_attested, test_derived, test_erased_bodies
from tests.server.evidence.attested_case import make_attested_package
from tests.server.evidence.journal_case import SENDER, JournalCase, journal_case
from tests.server.evidence.local_witness import WITNESSES
from tests.server.evidence.rotated_case import rotated_package
from tests.server.evidence.sample_case import (
    CASE,
    ORIGIN,
    OTHER_CASE,
    SIGNER,
    VKEY,
    draft,
    make_log,
    sample_drafts,
    sample_package,
)
from tests.server.evidence.sample_credential import PICTURE, credential
from tests.server.evidence.sample_voucher import sample_voucher
from tests.server.evidence.test_credential import COPY, copy_of
from tests.server.evidence.test_erased_bodies import erased_package, journal_package
from tests.server.evidence.test_hostile import SMALL, entry_files, flipped, members_of, pack, with_entry

SEED = 7  # of every random choice here: a failure can be repeated
OLD_PACKAGE = Path(__file__).parents[1] / "server/evidence/package_of_version_2.zip"

Members = dict[str, bytes]
Package = tuple[str, bytes, str | None]  # name, bytes, the key or trust file from elsewhere

Compared = tuple[str, bytes, str | None, bytes]  # and the file to compare with

OTHER = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))


def packages(folder: Path) -> list[Package]:
    """All of them. The authority of their time stamps lives in `folder`."""
    chance = random.Random(SEED)
    return [
        *good(),
        *another_key(),
        *damaged_bytes(chance),
        *forged(chance),
        *misspelt(),
        *sealed_wrong(),
        *attested(folder, chance),
        *erased(),
        *derived(),
        *copies(chance),
        *rotated(chance),
    ]


def good() -> Iterator[Package]:
    yield "sample", sample_package(), None
    yield "sample with its key", sample_package(), VKEY
    yield "sample with its key and a line end", sample_package(), f"{VKEY}\n"
    yield "journal", SMALL, VKEY
    yield "long names and other alphabets", make_log(strange_drafts()).package(blobs={}), None
    for texts in (1, 7, 40):
        yield f"{texts} texts", journal_case(texts=texts).package(), VKEY
    for others in (1, 2, 3, 12):
        filler = [draft("text", OTHER_CASE, {"text": str(number)}) for number in range(others)]
        opened, closed = draft("case_opened", CASE, {}), draft("exported", CASE, {"entries_before": 1})
        yield f"among {others} others", make_log([opened, *filler, closed, *filler]).package(blobs={}), VKEY


def strange_drafts() -> list[Any]:
    bodies: list[Any] = [
        {"text": '𝒳 \u2028 \x7f \ufeff é e\u0301 \t\b\f\n\r \\ " / \x01'},
        {"𝒳": 1, "\uffff": 2, "10": 3, "9": {"9": [], "10": {}}, "": None},
        {"n": [0, -1, 2**53 - 1, -(2**53) + 1, True, False]},
    ]
    return [
        *[draft("text", CASE, body) for body in bodies],
        draft("exported", CASE, {"entries_before": len(bodies)}),
    ]


def another_key() -> Iterator[Package]:
    yield "another key is expected", SMALL, encode_key(OTHER.key)
    forged = make_log(sample_drafts(), signer=OTHER).package()
    members = {**members_of(forged), "vkey": f"{encode_key(OTHER.key)}\n".encode()}
    yield "a forger's own key", pack(members), VKEY
    yield "a forger's own key, unasked", pack(members), None
    yield "a forger's signature under the log's key", pack({**members, "vkey": f"{VKEY}\n".encode()}), VKEY


def damaged_bytes(chance: random.Random) -> Iterator[Package]:
    for _ in range(40):
        offset = chance.randrange(len(SMALL))
        yield f"byte {offset} flipped", flipped(SMALL, offset, chance.randrange(1, 256)), None
    for where in (0, 4, 14, 22, 26, 28, 30):  # of the first header
        yield f"header byte {where}", flipped(SMALL, where, 1), None
    for back in (1, 2, 3, 7, 9, 11, 13, 16, 22, 23, 30, 68):  # the end and the last record
        yield f"byte {back} from the end", flipped(SMALL, len(SMALL) - back, 0x10), None
    for cut in (0, 1, 21, 22, 29, 30, 100, 5_000, 12_345, len(SMALL) - 1):
        yield f"cut at {cut}", SMALL[:cut], None
    yield "a byte too many", SMALL + b"\0", None
    yield "a byte before", b"\0" + SMALL, None
    yield "twice", SMALL + SMALL, None
    yield "no zip", b"This is a text and no package.\n" * 40, None


def forged(chance: random.Random) -> Iterator[Package]:
    """The wrapping is repaired."""
    members = members_of(SMALL)
    names = [name for name in members if name not in ("manifest.json", "checkpoint")]
    for _ in range(40):
        name = chance.choice(names)
        place = chance.randrange(len(members[name]))
        changed = flipped(members[name], place, chance.randrange(1, 256))
        yield f"{name} changed at {place}", pack({**members, name: changed}), VKEY
    note = members["checkpoint"]
    for place in (0, len(ORIGIN) + 3, 40, 70, len(note) - 60, len(note) - 2):
        yield f"checkpoint changed at {place}", pack({**members, "checkpoint": flipped(note, place, 1)}), VKEY
    for name in ("README.txt", "vkey", "entries/000002/salt", "entries/000003/proof.json"):
        kept = {other: data for other, data in members.items() if other != name}
        yield f"without {name}", pack(kept), VKEY
        yield f"{name} empty", pack({**members, name: b""}), VKEY
    for name in ("manifest.json", "checkpoint"):
        yield f"without {name}", encode_container({o: d for o, d in members.items() if o != name}), VKEY
    yield "a file too many", pack({**members, "zzz": b"?"}), VKEY
    yield "a blob too many", pack({**members, f"blobs/{hashlib.sha256(b'?').hexdigest()}": b"?"}), VKEY
    for number in range(1, 7):
        yield f"without entry {number}", pack(with_entry(members, number, {})), VKEY
        swapped = with_entry(members, number, entry_files(members, number % 6 + 1))
        yield f"entry {number} replaced by the next", pack(swapped), VKEY
    yield "without an entry", pack({n: d for n, d in members.items() if not n.startswith("entries/")}), VKEY
    for size in range(1, 6):
        older = make_log(journal_case().drafts[:size]).checkpoint
        yield f"a checkpoint of {size}", pack({**members, "checkpoint": older.encode()}), VKEY
    manifest = members["manifest.json"]
    for old, new in (
        (b'"version":3', b'"version":9'),
        (b"proofcall-package", b"x"),
        (b'"blobs"', b'"globs"'),
    ):
        yield (
            f"manifest: {new!r}",
            encode_container({**members, "manifest.json": manifest.replace(old, new)}),
            None,
        )


def misspelt() -> Iterator[Package]:
    """Files of an entry in every wrong spelling."""
    members = members_of(SMALL)
    folder = "entries/000001/"
    envelope, body = members[f"{folder}envelope.json"], members[f"{folder}body.json"]
    fields = parse_canonical_object(envelope)

    def with_fields(**changes: Any) -> bytes:
        return encode_canonical({**fields, **changes})

    envelopes = {
        "a space more": envelope + b" ",
        "not UTF-8": envelope[:-1] + b"\xff}",
        "a list": b"[]",
        "without a kind": encode_canonical({n: v for n, v in fields.items() if n != "kind"}),
        "more than its own": with_fields(zeal="'\"\n", alter=1),
        "another version": with_fields(version=2),
        "a version in quotes": with_fields(version="1"),
        "a kind of its own": with_fields(kind="Ä\"\x00\u200b'" * 30),
        "a kind that is a list": with_fields(kind=[1, None, True, {"a": "b"}]),
        "no moment": with_fields(recorded_at="2026-02-30T00:00:00.000Z"),
        "a number of nothing": with_fields(number=0),
        "a hundredth entry": with_fields(number=100),
        "another case": with_fields(case_id="c_x"),
        "another predecessor": with_fields(previous_hash="1" * 64),
        "too long": envelope + b" " * 70_000,
    }
    for what, data in envelopes.items():
        yield f"envelope: {what}", pack({**members, f"{folder}envelope.json": data}), VKEY
    bodies = {
        "1.0": b'{"a":1.0}',
        "1e5": b'{"a":1e5}',
        "NaN": b'{"a":NaN}',
        "-Infinity": b'{"a":[-Infinity]}',
        "large": b'{"a":9007199254740992}',
        "very large": b'{"a":' + b"9" * 40 + b"}",
        "-0": b'{"a":-0}',
        "01": b'{"a":01}',
        "order": b'{"b":1,"a":1}',
        "twice": b'{"a":1,"a":1}',
        "escape": b'{"a":"\\u00e9"}',
        "surrogate": b'{"a":"\\ud800"}',
        "control": b'{"a":"\x01"}',
        "wrong escape": b'{"a":"\\x41"}',
        "tail": b'{"a":1}}',
        "space": b' {"a":1}',
        "comma": b'{"a":1,}',
        "open": b'{"a":[1,2',
        "nothing": b"",
        "null": b"null",
        "string": b'"a"',
        "too long": b'{"a":"' + b"x" * 65_530 + b'"}',
        "far too long": b'{"a":"' + b"x" * 70_000 + b'"}',
        "deep, and then no JSON": b'{"a":' + b"[" * 40 + b"}",
    }
    for what, data in bodies.items():
        yield f"body: {what}", pack({**members, f"{folder}body.json": data}), VKEY
    assert body != b"null"
    proof = members[f"{folder}proof.json"]
    proofs = {
        "one hash less": re.sub(rb'"[0-9a-f]{64}",', b"", proof, count=1),
        "one hash more": proof.replace(b'["', b'["' + b"0" * 64 + b'","', 1),
        "65 hashes": proof.replace(b'["', b'["' + (b"0" * 64 + b'","') * 65, 1),
        "no hash": re.sub(rb"\[.*\]", b"[]", proof),
        "an odd hash": re.sub(rb'\["[0-9a-f]', b'["', proof),
        "a short hash": re.sub(rb'\["[0-9a-f]{2}', b'["', proof),
        "another leaf": re.sub(rb'"leaf_index":\d+', b'"leaf_index":6', proof),
        "no leaf": re.sub(rb'"leaf_index":\d+', b'"leaf_index":99', proof),
        "another size": re.sub(rb'"tree_size":\d+', b'"tree_size":8', proof),
        "a field more": proof.replace(b'"hashes"', b'"a":1,"hashes"'),
    }
    for what, data in proofs.items():
        yield f"proof: {what}", pack({**members, f"{folder}proof.json": data}), VKEY
    keys = {
        "no line end": VKEY.encode(),
        "no plus": b"proofcall\n",
        "no base64": VKEY[:-1].encode() + b"!\n",
        "another hash": VKEY.replace("+", "+0", 1).encode()[:-1] + b"\n",
        "another algorithm": f"{ORIGIN}+00000000+AgAA\n".encode(),
        "not UTF-8": b"\xff\n",
    }
    for what, data in keys.items():
        yield f"key: {what}", pack({**members, "vkey": data}), VKEY
    notes = {
        "four lines": members["checkpoint"].replace(b"=\n\n", b"=\nextension\n\n", 1),
        "no signature": members["checkpoint"].split(b"\n\n")[0] + b"\n\n",
        "a broken signature line": members["checkpoint"].replace("— ".encode(), b"- "),
        "a short signature": members["checkpoint"].split("— ".encode())[0] + f"— {ORIGIN} AAAA\n".encode(),
        "another's signature": members["checkpoint"].replace(f"— {ORIGIN}".encode(), "— somebody".encode()),
        "a root too short": re.sub(rb"\n[A-Za-z0-9+/]{43}=\n", b"\nAAAA\n", members["checkpoint"]),
    }
    for what, data in notes.items():
        yield f"checkpoint: {what}", pack({**members, "checkpoint": data}), VKEY


def sealed_wrong() -> Iterator[Package]:
    """What a log has signed and is wrong all the same: the end of a case, and its journal."""
    opened = draft("case_opened", CASE, {})
    yield "no export", make_log([opened]).package(blobs={}), VKEY
    yield (
        "another count",
        make_log([opened, draft("exported", CASE, {"entries_before": 3})]).package(blobs={}),
        VKEY,
    )
    yield "no picture", make_log(sample_drafts()).package(blobs={}), VKEY
    for levels in (31, 32, 33, 990, 1_000, 1_500, 2_000, 5_000):
        yield f"{levels} levels of a body", nested_package(levels), VKEY
    two_keys: JsonObject = {"media_type,sha256": {"blob": sample_drafts()[2].body["blob"]}, "size_bytes": 1}
    wrapped = [opened, draft("text", CASE, two_keys), draft("exported", CASE, {"entries_before": 2})]
    yield "a picture within two keys that read like three", make_log(wrapped).package(), VKEY
    case = journal_case()
    frame: dict[str, Any] = case.body("frame_sealed")
    journal, packets = frame["journal"], frame["packets"]
    segments: dict[str, dict[str, Any]] = {
        "segment 9": {"segment": 9},
        "segment 2 twice": {"segment": 2},
        "segment 0": {"segment": 0},
        "no segment": {"segment": None},
        "a call in words": {"call_number": "one"},
        "no streams": {"streams": None},
        "a stream that is none": {"streams": [1]},
        "a stream without codec": {"streams": [{"ssrc": 1, "payload_type": 2}]},
        "no blob": {"blob": None},
        "a picture as segment": {"blob": case.body("frame_sealed")["blob"]},
        "no time zone": {"began_at": "2026-11-22T14:03:22.123"},
        "no moment": {"ended_at": "noon"},
        "no packets": {"packets": True},
    }
    for what, changes in segments.items():
        yield f"journal: {what}", package_of(case.changed("segment_sealed", changes)), VKEY
    frames: dict[str, dict[str, Any]] = {
        "no journal": {"journal": None},
        "a journal that is none": {"journal": 1},
        "backwards": {"journal": {**journal, "first_segment": 3, "last_segment": 1}},
        "no packets": {"packets": None},
        "a source too large": {"packets": {**packets, "ssrc": 2**32}},
        "no width": {"width": "48"},
        "of nobody": {"of": None},
        "no moment": {"arrived_at": "2026-13-01T00:00:00Z"},
        "no picture": {"blob": {"sha256": "0"}},
    }
    for what, changes in frames.items():
        yield f"frame: {what}", package_of(case.changed("frame_sealed", changes)), VKEY
    lost = draft("segment_lost", CASE, {"call_number": 1, "segment": 4, "reason": "disk"})
    yield "a lost segment without times", with_draft(case, lost).package(), VKEY
    whole: JsonObject = {
        "began_at": "2026-11-22T14:03:22Z",
        "ended_at": "2026-11-22T14:03:22+00:00",
        "packets": 1,
    }
    kept = draft("segment_lost", CASE, {**lost.body, **whole})
    assert kept.actor_id == SENDER
    yield "a lost segment", with_draft(case, kept).package(), VKEY


def nested_package(levels: int) -> bytes:
    """What no honest service seals: a body that is nested as deep, with more brackets in a string."""
    drafts = [draft("text", CASE, {}), draft("exported", CASE, {"entries_before": 1})]
    body = b'{"a":"[[\\"{{' + b"[" * 40 + b'","b":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    members = members_of(make_log(drafts, bodies={0: body}).package(blobs={}))
    return pack({**members, "entries/000001/body.json": body})


def package_of(case: JournalCase) -> bytes:
    """With those blobs that are named: a package holds no others."""
    named = {reference.sha256 for item in case.drafts for reference in blob_references(item.body)}
    return case.log().package(blobs={name: data for name, data in case.blobs.items() if name in named})


def with_draft(case: JournalCase, item: Any) -> JournalCase:
    """The case with one more entry before its export, which counts it."""
    *rest, exported = case.drafts
    before = exported.body["entries_before"]
    assert isinstance(before, int)
    ended = replace(exported, body={"entries_before": before + 1})
    return replace(case, drafts=(*rest, item, ended))


def rotated(chance: random.Random) -> Iterator[Package]:
    """A log whose key was handed over, or is said to have been."""
    package = rotated_package(rotated_case.RIGHT)
    for vkey in (rotated_case.OLDEST, rotated_case.MIDDLE, rotated_case.NEWEST, encode_key(OTHER.key), None):
        yield f"handed over, with the key {vkey}", package, vkey
        yield f"handed over in silence, with the key {vkey}", rotated_package(None), vkey
    for what, handovers in rotated_case.FORGED.items():
        keys = rotated_case.keys_file(handovers)
        yield f"handed over: {what}", rotated_package(keys), rotated_case.OLDEST
    for vkey in (rotated_case.OLDEST, encode_key(OTHER.key)):
        policy = f"log {vkey}\nquorum none\n"
        yield f"handed over, a policy about {vkey}", package, trust_file(vkeys=[vkey], policy=policy)
    for _ in range(12):
        place = chance.randrange(len(rotated_case.RIGHT))
        keys = flipped(rotated_case.RIGHT, place, chance.randrange(1, 256))
        yield f"keys.json changed at {place}", rotated_package(keys), rotated_case.OLDEST


def trust_file(*, vkeys: list[str] | None = None, roots: list[str] | None = None, policy: str = "") -> str:
    document = {"format": "proofcall-trust", "version": 1, "vkeys": vkeys or [VKEY], "roots": roots or []}
    return json.dumps(document | ({"policy": policy} if policy else {}))


def attested(folder: Path, chance: random.Random) -> Iterator[Package]:
    """What authorities and witnesses said, and what was done to it."""
    authority = make_authority(folder / "authority")
    package = make_attested_package(authority, WITNESSES[:2])
    members = members_of(package)
    log = f"log {VKEY}\n"
    other_log = f"log {encode_key(OTHER.key)}\n"
    keys = test_attested.KEYS
    policies = {
        "two of three": keys + "group all 2 w1 w2 w3\nquorum all\n",
        "all of three": keys + "group all all w1 w2 w3\nquorum all\n",
        "the third": keys + "quorum w3\n",
        "nobody": "quorum none\n",
        "this log": f"{log}# a comment\n\n{keys}group\tany  any w1 w2\ngroup all all any w3\nquorum any\n",
        "another log": other_log + keys + "quorum w1\n",
    }
    for what, policy in policies.items():
        yield f"witnesses: {what}", package, trust_file(policy=policy)
        yield f"witnesses of the package: {what}", pack({**members, "policy.txt": policy.encode()}), None
    yield "witnesses: a policy that is none", pack({**members, "policy.txt": b"quorum nobody\n"}), None
    trusted = trust_file(roots=[authority.root.decode()], policy=policies["two of three"])
    yield "nobody trusted", package, None
    yield "all trusted", package, trusted
    yield "several keys", package, trust_file(vkeys=[encode_key(OTHER.key), VKEY])
    yield "other keys", package, trust_file(vkeys=[encode_key(OTHER.key), VKEY.replace("local", "x")][:1])
    yield "roots of the package", pack({**members, "certificates.pem": authority.root}), None
    yield "no time stamps", make_attested_package(None, WITNESSES[:1]), trusted
    yield "no witnesses", make_attested_package(authority, []), trusted
    yield "nobody asked, nobody spoke", make_attested_package(None, []), trust_file(policy="quorum none\n")
    for size in (1, 2):
        early = make_attested_package(authority, WITNESSES[:2], sizes=[size], other_first=True)
        yield f"said of {size} leaves", early, trusted
        yield (
            f"said of {size} leaves, policy of the package",
            pack({**members_of(early), "policy.txt": policies["two of three"].encode()}),
            None,
        )
    nothing = test_attested.with_a_word_about_nothing(package, authority)
    yield "said of an empty log", nothing, trusted
    pictures = json.loads(trusted) | {"picture_roots": [authority.root.decode()]}
    yield "roots of pictures", package, json.dumps(pictures)
    yield "nobody spoke", make_attested_package(None, []), trusted
    tampers: list[Callable[[Members], None]] = [
        test_attested.other_token,
        test_attested.broken_token,
        test_attested.changed_signature_of_token,
        test_attested.other_checkpoint,
        test_attested.changed_signature_of_checkpoint,
        test_attested.no_checkpoint,
        test_attested.no_consistency,
        test_attested.other_consistency,
        test_attested.consistency_too_many,
    ]
    for tamper in tampers:
        changed = dict(members)
        tamper(changed)
        yield f"attested: {tamper.__name__}", pack(changed), trusted
        yield f"attested, nobody trusted: {tamper.__name__}", pack(changed), None
    lines = members["attested/5/cosignatures"]
    cosignatures = {
        "of another checkpoint": members["attested/3/cosignatures"],
        "none": b"",
        "cut": lines[:-1],
        "no line": b"hello\n",
        "an empty line": lines + b"\n",
        "not UTF-8": b"\xff\n",
        "cut and not UTF-8": lines + b"\xff",
        "no line, and then not UTF-8": b"hello\n\xff\n",
        "too long, and cut within a sign": lines + b"x" * (65_535 - len(lines)) + "—".encode() * 4,
        "a short one": f"— {WITNESSES[0].key.name} {'A' * 12}\n".encode(),
        "under another name": lines.replace(b"/w1", b"/w9"),
        "twice": lines + lines,
    }
    for what, data in cosignatures.items():
        yield f"cosignatures: {what}", pack({**members, "attested/5/cosignatures": data}), trusted
    consistency = members["attested/3/consistency.json"]
    for hash_in_json in (
        b"[]",
        b'["AAAA"]',
        b'"AAAA===="',
        b'"AAAA"',
        b'"AAB="',
        b"null",
        b"1",
        b'"A A="',
        b'""',
    ):
        changed_proof = re.sub(rb'"hashes":\["[^"]*"', b'"hashes":[' + hash_in_json, consistency, count=1)
        assert changed_proof != consistency
        changed = {**members, "attested/3/consistency.json": changed_proof}
        yield f"consistency: {hash_in_json!r}", pack(changed), trusted
    keys_in_one = b'{"from,hashes":1,"to":5}'
    yield "consistency: two keys", pack({**members, "attested/3/consistency.json": keys_in_one}), trusted
    for digits in ("999999999999999", "9007199254740993", "9999999999999999", "99999999999999999"):
        folder_of_size = {f"attested/{digits}/{name}": b"?\n" for name in ("checkpoint", "cosignatures")}
        yield f"attested at {digits}", pack({**members, **folder_of_size}), trusted
    names = [name for name in members if name.startswith("attested/")]
    for _ in range(25):
        name = chance.choice(names)
        place = chance.randrange(min(len(members[name]), 400))
        changed = {**members, name: flipped(members[name], place, chance.randrange(1, 256))}
        yield f"{name} changed at {place}", pack(changed), trusted
    assert encode_witness_key(WITNESSES[0].key) in keys


def erased() -> Iterator[Package]:
    cases: list[tuple[dict[str, Any], set[int]]] = [
        ({"numbers": "all"}, {1, 2, 3}),
        ({"numbers": "all"}, {1, 3}),
        ({"numbers": "all"}, {1, 2, 3, 5}),
        ({"numbers": [2]}, {2}),
        ({"numbers": [2]}, {1, 2}),
        ({"numbers": "all", "kinds": ["frame_sealed"]}, {2}),
        ({"numbers": "all", "kinds": ["text"]}, {2}),
        ({"numbers": "nonsense"}, {1}),
        ({"numbers": []}, {1}),
        ({"numbers": [2, True]}, {2}),
        ({"numbers": "all", "reason": "“原因” " * 60}, {1, 2, 3}),
        ({"numbers": "all", "reason": ["it's", 1, None]}, {1, 2, 3}),
    ]
    for said, gone in cases:
        yield f"erased {said}, gone {gone}", erased_package(said, gone), VKEY
    segments: list[tuple[dict[str, Any], set[int]]] = [
        ({"numbers": [3]}, {3}),
        ({"numbers": [4]}, {4}),
        ({"numbers": [3, 4]}, {3, 4}),
        ({"numbers": [3, 4, 5]}, {3, 4, 5}),
        ({"numbers": "all", "kinds": ["segment_sealed"]}, {3, 4}),
        ({"numbers": [2, 3]}, {2, 3, 4}),  # one more is missing than was erased
        ({"numbers": [1, 2]}, {1, 2, 3}),
    ]
    for said, gone in segments:
        yield f"journal erased {said}, gone {gone}", journal_package(gone, said), VKEY
    yield "journal: a hole larger than what was erased", a_hole_of_two(), VKEY
    for tamper in (
        test_erased_bodies.take_one_of_the_pair,
        test_erased_bodies.take_the_word_for_it,
        test_erased_bodies.change_the_word_for_it,
        test_erased_bodies.add_an_unnamed_picture,
    ):
        members = members_of(erased_package({"numbers": [2]}, {2}))
        tamper(members)
        yield f"erased: {tamper.__name__}", pack(members), VKEY


def a_hole_of_two() -> bytes:
    """Segments 1 and 4 are there, and one entry of the three was erased."""
    case = journal_case()
    *rest, exported = case.drafts
    place = [place for place, item in enumerate(rest) if item.kind == "segment_sealed"][2]
    rest[place] = replace(rest[place], body={**rest[place].body, "segment": 4})
    return journal_package({4}, {"numbers": [4]}, replace(case, drafts=(*rest, exported)))


def derived() -> Iterator[Package]:
    yield "playback", test_derived.PACKAGE, VKEY
    for tamper in (
        test_derived.drop_the_index,
        test_derived.drop_the_file,
        test_derived.add_a_file,
        test_derived.name_another_segment,
        test_derived.name_another_entry,
        test_derived.spell_it_otherwise,
        test_derived.empty_it,
    ):
        members = members_of(test_derived.PACKAGE)
        tamper(members)
        yield f"playback: {tamper.__name__}", pack(members), VKEY
    looks = [draft("viewed", CASE, {"number": 2}), draft("exported", CASE, {"entries_before": 4})]
    members = members_of(make_log([*sample_drafts(), *looks]).package())
    yield "custody", pack(members), VKEY
    yield "custody changed", pack({**members, "custody.json": members["custody.json"] + b" "}), VKEY
    yield "no custody", pack({n: d for n, d in members.items() if n != "custody.json"}), VKEY
    broken = {**members, "entries/000004/body.json": b"{", "custody.json": b"[]"}
    yield "custody of what cannot be read", pack(broken), VKEY
    old = OLD_PACKAGE.read_bytes()
    yield "a package of version 2", old, VKEY
    for place in range(500, len(old), len(old) // 7):
        yield f"a package of version 2, flipped at {place}", flipped(old, place, 4), VKEY


def copies(chance: random.Random) -> Iterator[Package]:
    """Copies of a picture with Content Credentials, and what was done to them."""
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    blob: JsonObject = {"sha256": sha256, "size_bytes": len(PICTURE), "media_type": "image/jpeg"}
    log = make_log(
        [
            draft("case_opened", CASE, {"waybill": "SF1"}),
            draft("frame_sealed", CASE, {"blob": blob}),
            draft("exported", CASE, {"entries_before": 2}),
        ]
    )

    def package(copy: bytes) -> bytes:
        return build_package(
            entries=log.entries,
            blobs={sha256: PICTURE},
            proofs=log.proofs,
            checkpoint=log.checkpoint,
            vkey=VKEY,
            credentials={sha256: copy},
        )

    whole = package(COPY)
    yield "a copy", whole, VKEY
    members = members_of(whole)
    member = f"credentials/{sha256}.jpg"
    # What is as long as before keeps every box whole; that C2PA would notice is not asked here.
    changes = {
        "not JSON": (b'"version":1', b'"version"?1'),
        "a number with a point": (b'"version":1', b'"versi":1.0'),
        "another version": (b'"version":1', b'"version":3'),
        "another format": (b"proofcall-credential", b"proofcall-credentiaL"),
        "another field": (b'"vkey"', b'"fkey"'),
        "a hash in capitals": (sha256.encode(), sha256.upper().encode()),
        "the hash of another": (sha256.encode(), b"ab" * 32),
        "another kind": (b'"frame_sealed"', b'"frame-sealed"'),
        "another leaf": (b'"leaf_index":2', b'"leaf_index":3'),
        "another size": (b'"tree_size":4', b'"tree_size":5'),
        "two labels": (b"c2pa.hash.data\0", b"proofcall.evid\0"),
        "no label": (b"proofcall.evidence\0", b"proofcall.evidencE\0"),
    }
    for what, (old_part, new_part) in changes.items():
        yield f"copy: {what}", package(COPY.replace(old_part, new_part)), VKEY
    yield "copy: of another picture", package(copy_of(encode_credential(credential(of=b"another")))), VKEY
    for what, copy in {
        "the picture alone": PICTURE,
        "no picture": b"GIF89a",
        "empty": b"",
        "cut": COPY[: len(COPY) // 2],
        "a byte more": COPY + b"\0",
    }.items():
        yield f"copy: {what}", package(copy), VKEY
    for _ in range(25):
        place = chance.randrange(len(COPY))
        yield f"copy changed at {place}", package(flipped(COPY, place, chance.randrange(1, 256))), VKEY
    yield "copy: of nothing", pack({**members, f"credentials/{'0' * 64}.jpg": COPY}), VKEY
    yield "copy: its picture is damaged", pack({**members, f"blobs/{sha256}": PICTURE + b"?"}), VKEY
    yield "copy: no key", pack({**members, "vkey": b"?\n"}), VKEY
    assert member in members


def compared() -> list[Compared]:
    """A package, and what somebody else holds of its log, or of another."""
    drafts = sample_drafts()
    later = [draft("text", CASE, {"text": str(number)}) for number in range(6)]
    honest, longer = make_log(drafts), make_log([*drafts, *later])
    changed = [*drafts[:3], draft("text", OTHER_CASE, {"text": "另"}), *drafts[4:]]
    forged = {size: make_log([*changed, *later[:size]]) for size in (0, 1, 6)}
    package = honest.package()
    voucher = encode_voucher(sample_voucher())
    others = {
        "itself": package,
        "its own checkpoint": honest.checkpoint.encode(),
        "a later package": longer.package(),
        "a later checkpoint": longer.checkpoint.encode(),
        "earlier checkpoints": make_log(drafts[:3]).checkpoint.encode(),
        "the first": make_log(drafts[:1]).checkpoint.encode(),
        "another root": forged[0].checkpoint.encode(),
        "another root, as a package": forged[0].package(),
        "a later one of another history": forged[1].checkpoint.encode(),
        "a later package of another history": forged[6].package(),
        "another key of the name": make_log(drafts, signer=OTHER).checkpoint.encode(),
        "another log": make_log(drafts).checkpoint.replace("local/log", "other/log").encode(),
        "a voucher": encode_voucher(sample_voucher()),
        "no voucher": b"{}",
        "a voucher of an unknown version": voucher.replace(b'"version":2', b'"version":9'),
        "a voucher with a field too many": b'{"a":1,' + voucher[1:],
        "a voucher with a field of another type": re.sub(rb'"waybill":"[^"]*"', b'"waybill":1', voucher),
        "a voucher behind a space": b" " + voucher,
        "a voucher in another spelling": voucher.replace(b'":', b'": ', 1),
        "a voucher that is nested too deep": b'{"a":' * 40,
        "a voucher that is cut": voucher[:-9],
        "a voucher that is too long": voucher + b" " * (512 << 10),
        "a voucher whose entry has a field too many": voucher.replace(b'"salt":', b'"pepper":1,"salt":', 1),
        "a voucher of another root": encode_voucher(
            replace(sample_voucher(), checkpoint=forged[0].checkpoint)
        ),
        "a list": b'["proofcall-voucher"]',
        "no PDF of a voucher": b"%PDF-1.4 saved anew",
        "nothing": b"",
        "no text": b"\xff\xfe" * 40,
        "a broken package": package[:4000],
    }
    found = [(f"against {what}", package, VKEY, other) for what, other in others.items()]
    found += [(f"later, against {what}", longer.package(), VKEY, other) for what, other in others.items()]
    for size, signer in ((2, SIGNER), (3, SIGNER), (6, rotated_case.SECOND), (8, rotated_case.SECOND)):
        note = make_log(rotated_case.DRAFTS[:size], signer=signer).checkpoint.encode()
        package = rotated_package(rotated_case.RIGHT)
        found.append((f"handed over, against {size} leaves", package, rotated_case.OLDEST, note))
    return [*found, ("a ruin, against a package", SMALL[:900], VKEY, honest.package())]
