"""Packages and their parts: the same input gives the same bytes, and any tool can open them."""

import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import zipfile
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence import container
from server.evidence.canonical import JsonObject, JsonValue, encode_canonical
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.container import encode_container, read_container
from server.evidence.errors import MalformedPackage, MalformedProof
from server.evidence.package import (
    FORMAT_VERSION,
    README,
    README_SHA256,
    BlobReference,
    HeldFile,
    PackageWriter,
    blob_references,
    build_package,
    parse_blob_file,
    parse_entry_file,
)
from server.evidence.proof import InclusionChecker, encode_proof, parse_proof
from tests.server.evidence.sample_case import (
    CASE,
    PICTURE,
    VKEY,
    draft,
    make_log,
    sample_drafts,
    sample_package,
)

CRC_OF_ZEROS = 0  # of a file that is never read: its place alone is looked at
NAMES = st.text("abc/._0", min_size=1, max_size=8)


def test_the_same_case_gives_the_same_bytes() -> None:
    assert sample_package() == sample_package()


def test_the_readme_of_this_format_never_changes() -> None:
    # `verify` compares it: other words need a new FORMAT_VERSION that still accepts these.
    assert hashlib.sha256(README.encode()).hexdigest() == NEWEST_README == README_SHA256[FORMAT_VERSION]


NEWEST_README = "a5d0a6665fcea128be7c2b67ffff43b7b799cdd05ec4c946cf656ecdc0ff7b83"


def test_a_package_is_a_zip_that_the_standard_library_reads() -> None:
    with zipfile.ZipFile(io.BytesIO(sample_package())) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(names)
        assert archive.read(f"blobs/{hashlib.sha256(PICTURE).hexdigest()}") == PICTURE
        manifest = json.loads(archive.read("manifest.json"))
        assert [item["name"] for item in manifest["files"]] == [
            name for name in names if name != "manifest.json"
        ]
        assert (manifest["case_id"], manifest["entries"], manifest["blobs"]) == (CASE, 3, 1)


def test_the_manifest_is_canonical_json() -> None:
    data = bytes(dict(read_container(sample_package()).in_order)["manifest.json"])
    assert encode_canonical(json.loads(data)) == data


def test_the_commands_of_the_readme_give_what_it_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(sample_package())) as archive:
        archive.extractall(tmp_path)
    envelope_bytes = (tmp_path / "entries/000002/envelope.json").read_bytes()
    envelope = json.loads(envelope_bytes)
    commands = re.findall(r"^     (.*)$", README, re.MULTILINE)
    outputs = []
    for command in commands:
        for_entry_2 = command.replace("000016", "000001").replace("000017", "000002")
        if command.startswith("openssl") and not shutil.which("openssl"):
            pytest.skip("openssl is not installed")
        if command.startswith(("proofcall", "python3", "open ", "cd ", "openssl ts")):
            continue  # other tests have a package, a token and a browser for them
        shell = subprocess.run(
            ["sh", "-c", for_entry_2], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        outputs.append(shell.stdout.split(" ")[0])
    assert outputs[:4] == [
        envelope["commitment"],
        envelope["previous_hash"],
        hashlib.sha256(PICTURE).hexdigest(),
        hashlib.sha256(b"\x00" + envelope_bytes).hexdigest(),
    ]
    assert shell.stdout == "Signature Verified Successfully\n"


def test_what_does_not_belong_together_is_not_packed() -> None:
    log = make_log(sample_drafts())
    chosen = [log.entries[0], log.entries[2], log.entries[4]]
    proofs = [log.proofs[0], log.proofs[2], log.proofs[4]]
    other_checkpoint = make_log(sample_drafts()[:3]).checkpoint
    for entries, its_proofs, blobs, checkpoint in (
        ([], [], {}, log.checkpoint),
        (chosen[1:], proofs[1:], {}, log.checkpoint),
        (log.entries, log.proofs, {}, log.checkpoint),
        (chosen, proofs[:2], {}, log.checkpoint),
        (chosen, [proofs[0], proofs[2], proofs[1]], {}, log.checkpoint),
        (chosen, proofs, {hashlib.sha256(b"x").hexdigest(): b"x"}, log.checkpoint),
        (chosen, proofs, {}, other_checkpoint),
    ):
        with pytest.raises(MalformedPackage):
            build_package(entries=entries, blobs=blobs, proofs=its_proofs, checkpoint=checkpoint, vkey=VKEY)


def test_blobs_are_found_at_any_depth_and_only_in_their_exact_form() -> None:
    good: JsonObject = {"sha256": "ab" * 32, "size_bytes": 3, "media_type": "image/jpeg"}
    reference = BlobReference(sha256="ab" * 32, size_bytes=3, media_type="image/jpeg")
    assert list(blob_references({"a": good, "b": [{"c": [good]}]})) == [reference, reference]
    changed_ones: list[JsonValue] = [
        {**good, "more": 1},
        {**good, "sha256": "AB" * 32},
        {**good, "sha256": 1},
        {**good, "size_bytes": True},
        {**good, "media_type": None},
        {"sha256": "ab" * 32, "size_bytes": 3},
    ]
    for changed in changed_ones:
        assert list(blob_references({"a": changed})) == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("entries/000017/salt", (17, "salt")),
        ("entries/1000000/body.json", (1_000_000, "body.json")),
        ("entries/0000017/salt", None),
        ("entries/17/salt", None),
        ("entries/000000/salt", None),
        ("entries/000017/../salt", None),
        ("entries/000017/salt\n", None),
        ("entries/٠٠٠٠١٧/salt", None),
    ],
)
def test_an_entry_has_one_folder(name: str, place: tuple[int, str] | None) -> None:
    assert parse_entry_file(name) == place


def test_a_blob_has_one_name() -> None:
    assert parse_blob_file("blobs/" + "ab" * 32) == "ab" * 32
    assert parse_blob_file("blobs/" + "AB" * 32) is None
    assert parse_blob_file("blobs/" + "ab" * 32 + "\n") is None


@given(st.dictionaries(NAMES, st.binary(max_size=30), max_size=6))
@settings(max_examples=150, deadline=None)
def test_containers_round_trip_and_agree_with_the_standard_library(members: dict[str, bytes]) -> None:
    data = encode_container(members)
    reading = read_container(data)
    assert reading.damage is None
    assert dict(reading.in_order) == members
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {info.filename: archive.read(info) for info in archive.infolist()} == members


@given(st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=4), st.data())
@settings(max_examples=200, deadline=None)
def test_a_container_that_differs_in_anything_is_damaged(
    members: dict[str, bytes], data: st.DataObject
) -> None:
    intact = encode_container(members)
    begin = data.draw(st.integers(0, len(intact)))
    end = data.draw(st.integers(begin, min(len(intact), begin + 30)))
    changed = intact[:begin] + data.draw(st.binary(max_size=30)) + intact[end:]
    reading = read_container(changed)
    if reading.damage is None:
        assert encode_container(dict(reading.in_order)) == changed
    else:
        assert changed != intact


def test_a_zip_by_another_tool_is_not_a_package() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in read_container(sample_package()).in_order:
            archive.writestr(name, data)
    assert read_container(buffer.getvalue()).damage is not None


def test_a_container_has_a_bounded_number_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_MEMBERS", 100)
    with pytest.raises(MalformedPackage, match="100"):
        encode_container({str(number): b"" for number in range(101)})


def test_beyond_65535_files_the_end_is_that_of_zip64_and_the_standard_library_reads_it() -> None:
    for count, zip64 in ((65_535, False), (65_536, True)):
        members = {f"{number:06}": b"" for number in range(count)}
        data = encode_container(members)
        assert len(data) == container.size_of_container(dict.fromkeys(members, 0))
        assert (data[-42:-38] == b"PK\x06\x07") == zip64
        reading = read_container(data)
        assert reading.damage is None and len(reading.in_order) == count
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert len(archive.infolist()) == count
    damaged = bytearray(data)
    damaged[-60] ^= 1
    assert read_container(bytes(damaged)).damage is not None


def test_a_file_that_begins_beyond_4_gib_is_found_through_the_directory(tmp_path: Path) -> None:
    # What lies between is a hole of the file system: four gibibytes of zeros that nobody writes.
    path = tmp_path / "large.zip"
    writer = container.ContainerWriter()
    with path.open("wb") as file:
        for name in ("a", "b"):
            file.write(writer.begin(name, CRC_OF_ZEROS, container.MAX_FILE_BYTES))
            file.seek(container.MAX_FILE_BYTES, io.SEEK_CUR)
        file.write(b"".join(map(bytes, writer.add("c", b"the end"))))
        file.write(writer.end())
    sizes = {"a": container.MAX_FILE_BYTES, "b": container.MAX_FILE_BYTES, "c": 7}
    assert path.stat().st_size == container.size_of_container(sizes)
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        assert infos["c"].header_offset > 2**33
        assert archive.read("c") == b"the end"
    with path.open("rb") as written, mmap(written.fileno(), 0, access=ACCESS_READ) as data:
        assert [name for name, _ in container._read_by_directory(data)] == ["a", "b", "c"]
        assert dict(container._read_by_directory(data))["c"] == b"the end"


def test_too_many_files_and_files_that_overlap_are_damage() -> None:
    one = encode_container({"a": b""})
    local, record = one[:31], one[31:-22]
    crowd = local * (container.MAX_MEMBERS + 1)
    reading = read_container(crowd + record)
    assert reading.damage is not None and reading.damage.index == container.MAX_MEMBERS
    # One long file, named by every record of a long directory.
    long = encode_container({"a": bytes(1_000_000)})
    content, record = long[: 31 + 1_000_000], long[31 + 1_000_000 : -22]
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 60_000, 60_000, 60_000 * len(record), len(content), 0)
    reading = read_container(content + record * 60_000 + end)
    assert reading.damage is not None
    assert len(reading.by_directory) < 10


@given(st.binary(max_size=80) | st.text('{}[]",:hasleaf_indxtrz0123', max_size=80).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_proof_or_malformed(data: bytes) -> None:
    try:
        proof = parse_proof(data, "")
    except MalformedProof:
        return
    assert encode_proof(proof) == data


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 33])
def test_comparing_what_neighbours_share_finds_what_computing_finds(size: int) -> None:
    log = make_log([draft("text", CASE, {"text": str(number)}) for number in range(size)])
    root = parse_checkpoint(log.checkpoint).root_hash
    good = [
        (entry.leaf_hash, encode_proof(proof)) for entry, proof in zip(log.entries, log.proofs, strict=True)
    ]
    checker = InclusionChecker(size, root)
    assert [checker.check(leaf, data) for leaf, data in good] == list(range(size))
    for before in range(size):
        for leaf_index in range(size):
            leaf_hash, data = good[leaf_index]
            for place in range(len(data)):
                if (place + before + leaf_index) % 29 and size > 8:
                    continue
                changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
                checker = InclusionChecker(size, root)
                checker.check(*good[before])
                with pytest.raises(MalformedProof):
                    checker.check(leaf_hash, changed)
                assert checker.check(leaf_hash, data) == leaf_index
            with pytest.raises(MalformedProof):
                checker.check(bytes(32), data)
            if leaf_index != before:
                with pytest.raises(MalformedProof):
                    checker.check(leaf_hash, good[before][1])


def test_proofs_round_trip_and_have_one_spelling() -> None:
    for proof in make_log(sample_drafts()).proofs:
        data = encode_proof(proof)
        assert parse_proof(data, proof.checkpoint) == proof
        for changed in (data + b" ", data.replace(b'","', b'""'), data.replace(b"]", b",]"), data.upper()):
            if changed != data:
                with pytest.raises(MalformedProof):
                    parse_proof(changed, proof.checkpoint)
    with pytest.raises(MalformedProof, match="64 hashes"):
        parse_proof(encode_proof(proof).replace(b"[", b"[" + b'"%s",' % (b"ab" * 32) * 64), "")


class Fickle:
    """A shelf whose files are other ones when they are read once more."""

    def open(self, name: str) -> HeldFile:
        file = HeldFile(PICTURE)
        file.crc ^= 1
        return file


def test_a_file_that_changes_while_it_is_written_ends_the_package() -> None:
    log = make_log(sample_drafts())
    entries = [entry for entry in log.entries if entry.envelope.case_id == CASE]
    writer = PackageWriter(
        entries=entries,
        proofs=[log.proofs[entry.leaf_index] for entry in entries],
        checkpoint=log.checkpoint,
        vkey=VKEY,
    )
    with pytest.raises(MalformedPackage, match="changed while"):
        list(writer.pieces(Fickle()))
