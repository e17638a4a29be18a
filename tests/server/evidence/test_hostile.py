"""Whatever is done to the bytes of a package with a journal is found and named; no byte is out of reach."""

import hashlib
import io
import itertools
import multiprocessing
import random
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest

from server.evidence.container import MAX_NAME_BYTES, File, encode_container, read_container
from server.evidence.errors import MalformedPackage
from server.evidence.package import FORMAT_VERSION, encode_manifest
from server.evidence.report import Outcome, Report
from server.evidence.verify import verify_package
from tests.server.evidence.journal_case import journal_case
from tests.server.evidence.sample_case import CASE, OTHER_CASE, draft, make_log

FLIPS = 10_000
PROCESSES = 2
SEED = 4  # of every random choice here: a failure can be repeated

Named = tuple[int, int | None, str | None]  # step, entry, member


def members_of(package: bytes) -> dict[str, bytes]:
    return {name: bytes(data) for name, data in read_container(package).in_order}


def pack(members: dict[str, bytes]) -> bytes:
    """A careful forger's: container and manifest are made to fit."""
    files = [
        (name, hashlib.sha256(data).hexdigest(), len(data))
        for name, data in sorted(members.items())
        if name != "manifest.json"
    ]
    size = int(members["checkpoint"].split(b"\n")[1])
    return encode_container({**members, "manifest.json": encode_manifest(files, CASE, size, FORMAT_VERSION)})


def owners_of(package: bytes) -> list[str | None]:
    """For each byte the member that it belongs to, by the standard library; None: the end of the zip."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        infos = archive.infolist()
        ends = [*[info.header_offset for info in infos[1:]], archive.start_dir]
    owners: list[str | None] = []
    for info, end in zip(infos, ends, strict=True):
        owners += [info.filename] * (end - info.header_offset)
    for info in infos:
        owners += [info.filename] * (46 + len(info.filename))
    return owners + [None] * (len(package) - len(owners))


def first_named(report: Report) -> Named | None:
    failed = [step for step in report.steps if step.outcome is Outcome.FAILED]
    if report.passed or not failed:
        return None
    finding = failed[0].findings[0]
    return failed[0].number, finding.entry, finding.member


SMALL = journal_case().package()
LARGE = journal_case(width=640, height=480, texts=20, heard=100).package()


def flip_small(offset: int) -> Named | None:
    return first_named(verify_package(flipped(SMALL, offset, 1 << random.Random(offset).randrange(8))))


def flip_large(number: int) -> Named | None:
    chance = random.Random(SEED * FLIPS + number)
    return first_named(verify_package(flipped(LARGE, chance.randrange(len(LARGE)), chance.randrange(1, 256))))


def flipped(package: bytes, offset: int, bits: int) -> bytes:
    damaged = bytearray(package)
    damaged[offset] ^= bits
    return bytes(damaged)


def on_all_cores(work: Callable[[int], Named | None], places: range) -> Iterator[Named | None]:
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        yield from pool.imap(work, places, chunksize=100)


def entry_at(package: bytes, member: str | None) -> int | None:
    if member is None:
        return None
    if member.startswith("entries/"):
        return int(member.split("/")[1])
    if member.startswith("blobs/"):
        bodies = {name: data for name, data in members_of(package).items() if name.endswith("body.json")}
        sha256 = member.removeprefix("blobs/").encode()
        return min(int(name.split("/")[1]) for name, body in bodies.items() if sha256 in body)
    return None


def test_the_packages_are_worth_the_trouble() -> None:
    for package in (SMALL, LARGE):
        assert verify_package(package).passed
    assert len(LARGE) > 200_000


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.long)])
def test_every_byte_flipped_in_turn_is_found_and_named_and_none_is_out_of_reach(step: int) -> None:
    owners = owners_of(SMALL)
    entries = {member: entry_at(SMALL, member) for member in set(owners)}
    not_covered = []
    for place, named in enumerate(on_all_cores(flip_small, range(0, len(SMALL), step))):
        offset = place * step
        if named is None:
            not_covered.append(offset)
        else:
            assert named == (1, entries[owners[offset]], owners[offset]), f"byte {offset}"
    assert not_covered == []


@pytest.mark.parametrize("flips", [FLIPS // 20, pytest.param(FLIPS, marks=pytest.mark.long)])
def test_random_bytes_of_a_large_package_are_each_found_and_named(flips: int) -> None:
    owners = owners_of(LARGE)
    entries = {member: entry_at(LARGE, member) for member in set(owners)}
    for number, named in enumerate(on_all_cores(flip_large, range(flips))):
        owner = owners[random.Random(SEED * FLIPS + number).randrange(len(LARGE))]
        assert named == (1, entries[owner], owner), f"flip {number}"


def test_a_byte_changed_by_a_forger_who_repairs_the_wrapping_is_found_where_it_is() -> None:
    members = members_of(SMALL)
    chance = random.Random(SEED)
    names = [name for name in members if name not in ("manifest.json",)]
    for _ in range(1_500):
        name = chance.choice(names)
        damaged = flipped(members[name], chance.randrange(len(members[name])), chance.randrange(1, 256))
        try:
            report = verify_package(pack({**members, name: damaged}))
        except ValueError:  # the size in the checkpoint is no number any more: the forger gives up
            continue
        assert not report.passed, name
        concerned = {finding.member for step in report.steps for finding in step.findings}
        entry = entry_at(SMALL, name)
        entries = {finding.entry for step in report.steps for finding in step.findings}
        assert name in concerned or (entry is not None and entry in entries), name


def test_members_dropped_doubled_and_reordered_are_found() -> None:
    members = members_of(SMALL)
    for name in members:
        assert not verify_package(
            pack({other: data for other, data in members.items() if other != name})
            if name != "manifest.json" and name != "checkpoint"
            else encode_container({o: d for o, d in members.items() if o != name})
        ).passed
    locals_of = _pieces(SMALL)
    chance = random.Random(SEED)
    for _ in range(100):
        shuffled = locals_of[:-1]
        first, second = chance.sample(range(len(shuffled)), 2)
        shuffled[first], shuffled[second] = shuffled[second], shuffled[first]
        assert not verify_package(b"".join([*shuffled, locals_of[-1]])).passed
    for place in range(len(locals_of)):
        doubled = [*locals_of[: place + 1], *locals_of[place:]]
        assert not verify_package(b"".join(doubled)).passed


def _pieces(package: bytes) -> list[bytes]:
    """Each file with its header, then the directory."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        starts = [*[info.header_offset for info in archive.infolist()], archive.start_dir, len(package)]
    return [package[begin:end] for begin, end in itertools.pairwise(starts)]


def entry_files(members: dict[str, bytes], number: int) -> dict[str, bytes]:
    folder = f"entries/{number:06}/"
    return {name.removeprefix(folder): data for name, data in members.items() if name.startswith(folder)}


def with_entry(members: dict[str, bytes], number: int, files: dict[str, bytes]) -> dict[str, bytes]:
    folder = f"entries/{number:06}/"
    kept = {name: data for name, data in members.items() if not name.startswith(folder)}
    return {**kept, **{f"{folder}{file}": data for file, data in files.items()}}


def verified_in(limit_bytes: int, data: File) -> Report:
    """The report on a stranger's file, which has taken no more memory than that."""
    tracemalloc.start()
    try:
        report = verify_package(data)
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()
    assert not report.passed
    return report


def test_a_file_with_gigabytes_of_nothing_behind_its_files_takes_no_memory(tmp_path: Path) -> None:
    whole = encode_container({"README.txt": b"hello"})
    path = tmp_path / "sparse.zip"
    with path.open("wb") as file:
        file.write(whole[: whole.index(b"PK\x01\x02") + 4])
        file.truncate(4 << 30)
    with path.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        report = verified_in(8 << 20, data)
    assert "directory of the zip" in report.steps[0].message


def test_a_manifest_is_read_as_far_as_there_are_files_to_list(tmp_path: Path) -> None:
    members = members_of(SMALL)
    many = b'{"files":[' + b",".join([b"{}"] * (2 << 20)) + b"]}"
    report = verified_in(32 << 20, encode_container({**members, "manifest.json": many}))
    assert f"has {len(many)} bytes, far more than it may have" in report.steps[1].message


def test_an_index_of_playback_is_read_as_far_as_there_are_entries_to_name() -> None:
    many = b'{"files":[' + b",".join([b"{}"] * (2 << 20)) + b"]}"
    report = verified_in(32 << 20, pack({**members_of(SMALL), "playback/index.json": many}))
    assert "playback/index.json" in report.steps[6].message


def test_a_name_that_no_file_of_a_package_has_is_not_read() -> None:
    whole = encode_container({"README.txt": b"hello", "a" * MAX_NAME_BYTES: b"x"})
    assert read_container(whole).damage is None
    longer = whole.replace(b"a" * MAX_NAME_BYTES, b"a" * (MAX_NAME_BYTES + 1)).replace(
        MAX_NAME_BYTES.to_bytes(2, "little") + bytes(2), (MAX_NAME_BYTES + 1).to_bytes(2, "little") + bytes(2)
    )
    damage = read_container(longer).damage
    assert damage is not None and (damage.index, damage.message) == (1, "its name is too long")
    with pytest.raises(MalformedPackage, match="a name of more than"):
        encode_container({"a" * (MAX_NAME_BYTES + 1): b"x"})


def test_files_that_are_no_entrys_are_left_where_they_lie() -> None:
    views = {name for name, data in read_container(SMALL).in_order if not isinstance(data, bytes)}
    assert {"README.txt", "custody.json", "manifest.json"} <= views
    assert not any(name.startswith("entries/") or name in ("checkpoint", "vkey") for name in views)


def test_entries_dropped_doubled_and_reordered_are_found() -> None:
    members = members_of(SMALL)
    count = 6
    for number in range(1, count + 1):
        assert not verify_package(pack(with_entry(members, number, {}))).passed
        for other in range(1, count + 2):
            if other != number:
                doubled = with_entry(members, other, entry_files(members, number))
                assert not verify_package(pack(doubled)).passed
                if other <= count:
                    swapped = with_entry(doubled, number, entry_files(members, other))
                    assert not verify_package(pack(swapped)).passed


def test_a_cut_tail_is_found_wherever_it_is_cut() -> None:
    members = members_of(SMALL)
    for last in range(6):
        kept = members
        for number in range(last + 1, 7):
            kept = with_entry(kept, number, {})
        report = verify_package(pack(kept))
        assert not report.passed
    for cut in range(0, len(SMALL), 101):
        assert not verify_package(SMALL[:cut]).passed


@pytest.mark.parametrize("what", ["entries", "segments", "blobs"])
def test_what_is_spliced_in_from_another_case_of_the_same_log_is_found(what: str) -> None:
    case = journal_case()
    # The other case of one log holds the same call, number for number; its texts are its own.
    theirs = [
        draft(
            item.kind,
            OTHER_CASE,
            {**item.body, "entries_before": 7} if item.kind == "exported" else item.body,
        )
        for item in case.drafts
        if item.case_id == CASE
    ]
    theirs.insert(1, draft("text", OTHER_CASE, {"text": "ours is another"}))
    drafts = [item for item in case.drafts if item.case_id == CASE] + theirs
    log = make_log(drafts)
    own, other = members_of(log.package(blobs=case.blobs)), members_of(log.package(OTHER_CASE, case.blobs))
    assert verify_package(pack(own)).passed
    blobs = sorted(name for name in own if name.startswith("blobs/"))
    for number in range(1, 7):
        if what == "entries":
            report = verify_package(pack(with_entry(own, number, entry_files(other, number))))
        elif what == "segments":  # the entry of a segment with all that hangs on it, one number further
            report = verify_package(pack(with_entry(own, number, entry_files(other, number + 1))))
        else:
            first, second = blobs[number % len(blobs)], blobs[(number + 1) % len(blobs)]
            report = verify_package(pack({**own, first: own[second]}))
        assert not report.passed
        named = [finding.entry for step in report.steps for finding in step.findings]
        assert any(entry is not None for entry in named)


def test_an_old_checkpoint_replayed_into_a_newer_package_is_found() -> None:
    case = journal_case()
    for size in range(1, len(case.drafts)):
        old = make_log(case.drafts[:size])
        members = {**members_of(SMALL), "checkpoint": old.checkpoint.encode()}
        report = verify_package(pack(members))
        assert not report.passed
        assert 5 in [step.number for step in report.steps if step.outcome is Outcome.FAILED]
