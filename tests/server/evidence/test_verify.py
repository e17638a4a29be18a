"""A package proves itself, and whatever is done to it is found, named by step and entry."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.canonical import encode_canonical, parse_canonical_object
from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.container import encode_container, read_container
from server.evidence.entry import encode_envelope, parse_envelope
from server.evidence.errors import MalformedKey
from server.evidence.package import FORMAT_VERSION, encode_manifest
from server.evidence.report import Outcome, Report
from server.evidence.signer import Ed25519Signer
from server.evidence.verify import verify_package
from tests.server.evidence.sample_case import (
    CASE,
    ORIGIN,
    OTHER_CASE,
    PICTURE,
    SIGNER,
    VKEY,
    draft,
    make_log,
    sample_drafts,
    sample_package,
)

PACKAGE = sample_package()
BLOB = f"blobs/{hashlib.sha256(PICTURE).hexdigest()}"
OUTSIDE_STEPS = [9, 10, 11, 12, 13, 14]  # 9: the pictures of the sample name no journal


def failed_steps(report: Report) -> list[int]:
    return [step.number for step in report.steps if step.outcome is Outcome.FAILED]


def unmade_steps(report: Report) -> list[int]:
    return [step.number for step in report.steps if step.outcome is Outcome.CANNOT_BE_MADE]


def concerned(report: Report, step_number: int) -> set[int | None]:
    return {finding.entry for finding in report.steps[step_number - 1].findings}


def members_of(package: bytes) -> dict[str, bytes]:
    reading = read_container(package)
    assert reading.damage is None
    return {name: bytes(data) for name, data in reading.in_order}


def pack(members: dict[str, bytes]) -> bytes:
    """What a careful forger does: container and manifest are made anew, so that they fit."""
    members = {name: data for name, data in members.items() if name != "manifest.json"}
    manifest = parse_canonical_object(members_of(PACKAGE)["manifest.json"])
    size = int(members["checkpoint"].split(b"\n")[1])
    files = [(name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(members.items())]
    new = encode_manifest(files, str(manifest["case_id"]), size, FORMAT_VERSION)
    return encode_container({**members, "manifest.json": new})


def test_an_untouched_package_passes_and_names_what_it_cannot_prove() -> None:
    report = verify_package(PACKAGE)
    assert report.passed
    assert failed_steps(report) == []
    assert unmade_steps(report) == OUTSIDE_STEPS
    assert (report.case_id, report.entries, report.tree_size, report.vkey) == (CASE, 3, 5, VKEY)


def test_a_package_of_version_2_still_verifies() -> None:
    package = (Path(__file__).parent / "package_of_version_2.zip").read_bytes()
    report = verify_package(package, vkey=VKEY)
    assert report.passed and report.entries == 3
    members = members_of(package)
    assert members["manifest.json"].endswith(b'"version":2}')
    later = encode_container({**members, "custody.json": b"{}"})
    assert 2 in failed_steps(verify_package(later)), "what came with version 3 has no place in version 2"


def test_the_expected_key_can_be_given_and_another_one_fails() -> None:
    report = verify_package(PACKAGE, vkey=VKEY + "\n")
    assert report.passed
    assert unmade_steps(report) == [9, 11, 12, 13, 14]
    other = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))
    report = verify_package(PACKAGE, vkey=encode_key(other.key))
    assert not report.passed
    assert failed_steps(report) == [10]
    with pytest.raises(MalformedKey):
        verify_package(PACKAGE, vkey="nonsense")


def test_a_forger_with_a_key_of_their_own_is_found_by_the_expected_key_alone() -> None:
    other = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))
    forged = make_log(sample_drafts(), signer=other).package()
    members = members_of(forged)
    members["vkey"] = f"{encode_key(other.key)}\n".encode()
    assert verify_package(pack(members)).passed
    assert failed_steps(verify_package(pack(members), vkey=VKEY)) == [10]


def places(package: bytes) -> list[str | None]:
    """For each byte of a package the member that it belongs to, told by the standard library's reader."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        infos = archive.infolist()
        starts = [info.header_offset for info in infos] + [archive.start_dir]
    owners: list[str | None] = []
    for info, begin, end in zip(infos, starts, starts[1:], strict=False):
        owners += [info.filename] * (end - begin)
    for info in infos:
        owners += [info.filename] * (46 + len(info.filename))
    return owners + [None] * (len(package) - len(owners))


def entry_of(member: str | None) -> int | None:
    if member == BLOB:
        return 2
    return int(member.split("/")[1]) if member and member.startswith("entries/") else None


@pytest.mark.parametrize(
    ("flip", "step"), [(0x01, 11), (0x20, 13), (0xFF, 17), pytest.param(0x01, 1, marks=pytest.mark.long)]
)
def test_every_byte_flipped_in_turn_is_found_at_its_entry(flip: int, step: int) -> None:
    owners = places(PACKAGE)
    for offset in range(0, len(PACKAGE), step):
        damaged = bytearray(PACKAGE)
        damaged[offset] ^= flip
        report = verify_package(bytes(damaged))
        assert failed_steps(report)[:1] == [1], f"byte {offset} of {owners[offset]}"
        (finding,) = report.steps[0].findings
        assert finding.entry == entry_of(owners[offset]), f"byte {offset} of {owners[offset]}: {finding}"
        assert finding.member == owners[offset]


def test_no_byte_can_be_added_or_taken_away() -> None:
    for damaged in (PACKAGE + b"\x00", b"\x00" + PACKAGE, PACKAGE[:-1], PACKAGE[1:], PACKAGE + PACKAGE, b""):
        assert not verify_package(damaged).passed
    for cut in range(0, len(PACKAGE), 97):
        assert not verify_package(PACKAGE[:cut]).passed
        assert not verify_package(PACKAGE[:cut] + b"x" + PACKAGE[cut:]).passed


def change_body(members: dict[str, bytes]) -> None:
    members["entries/000002/body.json"] = members["entries/000002/body.json"].replace(
        b'"width":4', b'"width":5'
    )


def change_salt(members: dict[str, bytes]) -> None:
    members["entries/000003/salt"] = bytes(32)


def change_body_and_commitment(members: dict[str, bytes]) -> None:
    change_body(members)
    name = "entries/000002/envelope.json"
    envelope = json.loads(members[name])
    salt, body = members["entries/000002/salt"], members["entries/000002/body.json"]
    envelope["commitment"] = hashlib.sha256(salt + body).hexdigest()
    members[name] = encode_canonical(envelope)


def change_time_of_the_last(members: dict[str, bytes]) -> None:
    name = "entries/000003/envelope.json"
    members[name] = members[name].replace(b"2026-11-22", b"2026-11-23")


def spell_an_envelope_differently(members: dict[str, bytes]) -> None:
    members["entries/000001/envelope.json"] += b"\n"


def change_the_picture(members: dict[str, bytes]) -> None:
    members[BLOB] = b"another picture"


def take_the_picture(members: dict[str, bytes]) -> None:
    del members[BLOB]


def add_a_picture(members: dict[str, bytes]) -> None:
    members[f"blobs/{hashlib.sha256(b'x').hexdigest()}"] = b"x"


def take_the_last_entry(members: dict[str, bytes]) -> None:
    for name in [name for name in members if name.startswith("entries/000003/")]:
        del members[name]


def take_an_entry_out_of_the_middle(members: dict[str, bytes]) -> None:
    for name in [name for name in members if name.startswith("entries/000002/")]:
        del members[name]


def take_an_envelope(members: dict[str, bytes]) -> None:
    del members["entries/000002/envelope.json"]


def take_a_body(members: dict[str, bytes]) -> None:
    del members["entries/000002/body.json"]


def swap_two_proofs(members: dict[str, bytes]) -> None:
    first, second = "entries/000001/proof.json", "entries/000002/proof.json"
    members[first], members[second] = members[second], members[first]


def add_a_hash_to_a_proof(members: dict[str, bytes]) -> None:
    proof = json.loads(members["entries/000003/proof.json"])
    proof["hashes"].append("0" * 64)
    members["entries/000003/proof.json"] = encode_canonical(proof)


def state_another_tree_size(members: dict[str, bytes]) -> None:
    proof = json.loads(members["entries/000002/proof.json"])
    members["entries/000002/proof.json"] = encode_canonical({**proof, "tree_size": 4})


def change_the_root(members: dict[str, bytes]) -> None:
    lines = members["checkpoint"].split(b"\n")
    lines[2] = b"A" * 43 + b"="
    members["checkpoint"] = b"\n".join(lines)


def sign_with_a_stranger(members: dict[str, bytes]) -> None:
    stranger = CheckpointSigner(ORIGIN, Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))))
    members["vkey"] = f"{encode_key(stranger.key)}\n".encode()


def change_the_readme(members: dict[str, bytes]) -> None:
    members["README.txt"] = members["README.txt"].replace(b"must be", b"may be", 1)


def slip_in_a_file(members: dict[str, bytes]) -> None:
    members["entries/000002/note.txt"] = b"hello"


@pytest.mark.parametrize(
    ("tamper", "steps", "entry"),
    [
        (change_body, [6], 2),
        (change_salt, [6], 3),
        (change_body_and_commitment, [4, 5], 2),
        (change_time_of_the_last, [5, 7], 3),
        (spell_an_envelope_differently, [4, 5, 6], 1),
        (change_the_picture, [7], 2),
        (take_the_picture, [7], 2),
        (add_a_picture, [7], None),
        (take_the_last_entry, [7, 8], None),
        (take_an_entry_out_of_the_middle, [4, 7], 2),
        (take_an_envelope, [4, 5, 6], 2),
        (take_a_body, [6, 7], 2),
        (swap_two_proofs, [5], 1),
        (add_a_hash_to_a_proof, [5], 3),
        (state_another_tree_size, [5], 2),
        (change_the_root, [3, 5], None),
        (sign_with_a_stranger, [3], None),
        (change_the_readme, [2], None),
        (slip_in_a_file, [2], None),
    ],
)
def test_a_careful_forger_is_found_in_the_deeper_steps(
    tamper: Callable[[dict[str, bytes]], None], steps: list[int], entry: int | None
) -> None:
    members = members_of(PACKAGE)
    tamper(members)
    report = verify_package(pack(members))
    assert not report.passed
    assert failed_steps(report) == steps
    assert entry in concerned(report, steps[0])


def test_a_missing_picture_is_named_by_its_own_file() -> None:
    members = members_of(PACKAGE)
    take_the_picture(members)
    (finding,) = verify_package(pack(members)).steps[6].findings
    assert (finding.member, finding.entry) == (BLOB, 2)


def test_a_changed_entry_is_blamed_and_not_the_one_after_it() -> None:
    members = members_of(PACKAGE)
    name = "entries/000001/envelope.json"
    members[name] = members[name].replace(b'"role":"courier"', b'"role":"customer"')
    report = verify_package(pack(members))
    assert failed_steps(report) == [4, 5]
    assert concerned(report, 4) == concerned(report, 5) == {1}


def test_a_case_that_was_cut_before_its_export_and_exported_elsewhere_is_found() -> None:
    log = make_log([*sample_drafts(), draft("text", CASE, {"text": "later"})])
    members = members_of(log.package())
    assert failed_steps(verify_package(pack(members))) == [8]
    lying = make_log([draft("text", CASE, {}), draft("exported", CASE, {"entries_before": 2})])
    assert failed_steps(verify_package(lying.package(blobs={}))) == [8]


def test_an_entry_of_another_case_does_not_pass_as_one_of_this() -> None:
    log = make_log(sample_drafts())
    members, others = members_of(log.package()), members_of(log.package(OTHER_CASE, blobs={}))
    for file in ("envelope.json", "body.json", "salt", "proof.json"):
        members[f"entries/000001/{file}"] = others[f"entries/000001/{file}"]
    report = verify_package(pack(members))
    assert failed_steps(report) == [4]
    assert 1 in concerned(report, 4)


def test_a_manifest_of_the_right_values_in_another_spelling_is_found() -> None:
    members = members_of(PACKAGE)
    for manifest in (
        members["manifest.json"] + b" ",
        members["manifest.json"].replace(b'"version":3', b'"version":true'),
        members["manifest.json"].replace(b'"blobs":1', b'"blobs":2'),
        members["manifest.json"].replace(CASE.encode(), OTHER_CASE.encode()),
    ):
        report = verify_package(encode_container({**members, "manifest.json": manifest}))
        assert failed_steps(report) == [2]


def test_an_empty_package_and_a_far_number_do_not_pass_and_end_soon() -> None:
    for members in ({}, {"entries/999999999/salt": b""}, {"manifest.json": b"{}"}):
        report = verify_package(encode_container(members))
        assert not report.passed
        assert len(report.steps) == 15
    envelope = encode_envelope(parse_envelope(members_of(PACKAGE)["entries/000003/envelope.json"]))
    members = {**members_of(PACKAGE), "entries/999999999/envelope.json": envelope}
    assert 4 in failed_steps(verify_package(pack(members)))


def test_a_checkpoint_may_carry_signatures_of_witnesses() -> None:
    members = members_of(PACKAGE)
    witness = CheckpointSigner(
        "witness.example", Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    )
    line = witness.sign(5, bytes(32)).split("\n\n")[1]
    members["checkpoint"] += line.encode()
    assert verify_package(pack(members)).passed


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_end_in_a_report(data: bytes) -> None:
    assert not verify_package(data).passed


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_ends_in_a_report_that_fails(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(PACKAGE)))
    end = data.draw(st.integers(begin, min(len(PACKAGE), begin + 50)))
    damaged = PACKAGE[:begin] + data.draw(st.binary(max_size=50)) + PACKAGE[end:]
    assert verify_package(damaged).passed == (damaged == PACKAGE)


@given(
    st.sampled_from(sorted(members_of(PACKAGE))),
    st.binary(max_size=40)
    | st.text(max_size=40).map(str.encode)
    | st.sampled_from([b"{}", b"[]", b"null", b"1"]),
)
@settings(max_examples=150, deadline=None)
def test_any_content_of_any_file_ends_in_a_report(name: str, content: bytes) -> None:
    members = members_of(PACKAGE)
    changed = encode_container({**members, name: content})
    assert verify_package(changed).passed == (members[name] == content)


def test_the_signer_of_the_sample_is_the_key_of_the_report() -> None:
    assert encode_key(SIGNER.key) == VKEY
