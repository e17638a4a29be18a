"""Verification of a package: numbered steps, each passed, failed, or named as one that cannot be made.

A failure does not end the walk: a person wants to know whether a damaged byte spoilt the picture or only
the wrapping. The first eight steps need nothing but the package. What it cannot tell by itself (whose key
this is, what the clock was worth, whether there are witnesses) comes after them and is never skipped.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeVar

from server.evidence.canonical import JsonObject, JsonValue, parse_canonical_object
from server.evidence.checkpoint import (
    Checkpoint,
    VerifierKey,
    encode_key,
    open_checkpoint,
    parse_checkpoint,
    parse_key,
)
from server.evidence.container import Reading, read_container
from server.evidence.entry import (
    FIRST_PREVIOUS_HASH,
    Envelope,
    check_commitment,
    check_successor,
    hash_envelope,
    parse_body,
    parse_envelope,
)
from server.evidence.errors import EvidenceError, MalformedCheckpoint, MalformedKey
from server.evidence.merkle import check_inclusion, hash_leaf
from server.evidence.package import (
    FIXED_FILES,
    FORMAT,
    FORMAT_VERSION,
    README,
    BlobReference,
    blob_references,
    encode_manifest,
    entry_folder,
    file_record,
    parse_blob_file,
    parse_entry_file,
)
from server.evidence.proof import InclusionProof, parse_proof

T = TypeVar("T")

LAST_INNER_STEP = 8  # the steps after it concern the world outside the package


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    CANNOT_BE_MADE = "cannot_be_made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where."""

    message: str
    member: str | None = None  # the file inside the package
    entry: int | None = None  # the number of the entry that it belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One check and what came of it."""

    number: int
    name: str
    outcome: Outcome
    message: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What verification found."""

    case_id: str | None
    entries: int
    tree_size: int | None
    vkey: str | None  # as the package carries it
    steps: tuple[Step, ...]

    @property
    def passed(self) -> bool:
        """The verdict: all steps inside the package were made and passed, and none after them failed."""
        return all(
            step.outcome is Outcome.PASSED
            or (step.number > LAST_INNER_STEP and step.outcome is Outcome.CANNOT_BE_MADE)
            for step in self.steps
        )


Result: TypeAlias = tuple[str, list[Finding]]  # what was checked, in a sentence, and what was wrong


class CannotBeMade(Exception):
    """A check lacks what it needs; the sentence says what."""


def verify_package(data: bytes, *, vkey: str | None = None) -> Report:
    """Check a package, against the log's key from another source if it is given.

    Raises MalformedKey if that key cannot be read; whatever is wrong with the package is in the report.
    """
    expected_key = None if vkey is None else parse_key(vkey.strip())
    reading = read_container(data)
    package = _Package(_choose_members(reading))
    steps = (
        _perform(1, "Container", lambda: _check_container(package, reading)),
        _perform(2, "Contents", lambda: _check_contents(package)),
        _perform(3, "Checkpoint", lambda: _check_checkpoint(package)),
        _perform(4, "Entries", lambda: _check_entries(package)),
        _perform(5, "Place in the log", lambda: _check_inclusion(package)),
        _perform(6, "Bodies", lambda: _check_bodies(package)),
        _perform(7, "Pictures and files", lambda: _check_blobs(package)),
        _perform(LAST_INNER_STEP, "Completeness", lambda: _check_completeness(package)),
        _perform(9, "Key", lambda: _check_key(package, expected_key)),
        _perform(10, "Time from outside", _check_time),
        _perform(11, "Witnesses", _check_witnesses),
    )
    return Report(
        case_id=package.case_id,
        entries=len(package.parts),
        tree_size=None if isinstance(package.checkpoint, str) else package.checkpoint.tree_size,
        vkey=None if isinstance(package.key, str) else encode_key(package.key),
        steps=steps,
    )


def _perform(number: int, name: str, check: Callable[[], Result]) -> Step:
    try:
        message, findings = check()
    except CannotBeMade as reason:
        return Step(number=number, name=name, outcome=Outcome.CANNOT_BE_MADE, message=str(reason))
    if not findings:
        return Step(number=number, name=name, outcome=Outcome.PASSED, message=message)
    message = findings[0].message
    return Step(number=number, name=name, outcome=Outcome.FAILED, message=message, findings=tuple(findings))


class _Part:
    """The files of one entry, parsed; a string stands for what is wrong with one."""

    def __init__(self, number: int, files: Mapping[str, Content]) -> None:
        self.number = number
        self.envelope_bytes = files.get("envelope.json")
        self.body_bytes = files.get("body.json")
        self.salt = files.get("salt")
        self.proof_bytes = files.get("proof.json")
        self.envelope: Envelope | str = _parse(parse_envelope, self.envelope_bytes)
        self.body: JsonObject | str = _parse(parse_body, self.body_bytes)
        # In canonical JSON a plain name is spelt in one way: where it does not stand, no body names a blob.
        self.references: list[BlobReference] = (
            list(blob_references(self.body))
            if isinstance(self.body_bytes, bytes)
            and b'"sha256"' in self.body_bytes
            and not isinstance(self.body, str)
            else []
        )

    def finding(self, file: str, message: str) -> Finding:
        """A finding at a file of this entry's folder, or at a blob that it names."""
        member = file if file.startswith("blobs/") else entry_folder(self.number) + file
        return Finding(message=f"entry {self.number}: {message}", member=member, entry=self.number)


class _Package:
    """The members of a package, parsed as far as they go; a string stands for what is wrong with one."""

    def __init__(self, members: Mapping[str, bytes]) -> None:
        self.members = members
        self.note = members.get("checkpoint", b"").decode(errors="replace")
        self.checkpoint: Checkpoint | str = _parse(_parse_checkpoint_file, members.get("checkpoint"))
        self.key: VerifierKey | str = _parse(_parse_key_file, members.get("vkey"))
        files: dict[int, dict[str, bytes]] = {}  # by entry and by name inside its folder
        self.foreign: set[str] = set()  # files that are no part of any package
        for name, data in members.items():
            if place := parse_entry_file(name):
                files.setdefault(place[0], {})[place[1]] = data
            elif name not in FIXED_FILES and not parse_blob_file(name):
                self.foreign.add(name)
        self.parts = {number: _Part(number, files[number], self.note) for number in sorted(files)}
        # A single damaged envelope must not rename the case.
        case_ids = Counter(
            part.envelope.case_id for part in self.parts.values() if not isinstance(part.envelope, str)
        )
        self.case_id = case_ids.most_common(1)[0][0] if case_ids else None
        self.holders: dict[str, int] = {}  # SHA-256 of a blob: the first entry that names it
        for part in self.parts.values():
            for reference in part.references:
                self.holders.setdefault(reference.sha256, part.number)

    def finding(self, member: str, message: str) -> Finding:
        """A finding at a file, with the entry that the file belongs to, if it belongs to one."""
        place = parse_entry_file(member)
        sha256 = parse_blob_file(member)
        entry = place[0] if place else self.holders.get(sha256) if sha256 else None
        whose = f"entry {entry}: " if entry else ""
        return Finding(message=f"{whose}{message}", member=member, entry=entry)


def _choose_members(reading: Reading) -> dict[str, bytes]:
    """The files of a container; of a damaged one, in the reading that its manifest agrees with."""
    in_order, by_directory = dict(reading.in_order), dict(reading.by_directory)
    if reading.damage is None or _listed_names(in_order) == sorted(in_order):
        return in_order
    return by_directory if len(by_directory) >= len(in_order) else in_order


def _listed_names(members: Mapping[str, bytes]) -> list[str]:
    """The names of all files as the manifest lists them, itself included; no other if it cannot be read."""
    manifest = _parse(parse_canonical_object, members.get("manifest.json"))
    return sorted(["manifest.json", *_records({} if isinstance(manifest, str) else manifest)])


def _records(manifest: JsonObject) -> dict[str, JsonValue]:
    """The files that a manifest lists, by name; what is malformed is left out."""
    files = manifest.get("files")
    records: dict[str, JsonValue] = {}
    for record in files if isinstance(files, list) else []:
        name = record.get("name") if isinstance(record, dict) else None
        if isinstance(name, str):
            records[name] = record
    return records


def _check_container(package: _Package, reading: Reading) -> Result:
    passed = f"the zip holds {len(package.members)} files and not one byte that does not belong there"
    if reading.damage is None:
        return passed, []
    index = reading.damage.index
    if index is None:
        return passed, [Finding(message=reading.damage.message)]
    # Header, directory and manifest each say what this file is called: at most one of them is damaged.
    names = list(reading.damage.names)
    listed = _listed_names(package.members)
    if index < len(listed):
        names.append(listed[index])
    name = Counter(names).most_common(1)[0][0] if names else f"file {index + 1} of the zip"
    return passed, [package.finding(name, f"{name}: {reading.damage.message}")]


def _check_contents(package: _Package) -> Result:
    passed = "every file is listed in the manifest with its size and SHA-256, and every listed file is there"
    tree_size = None if isinstance(package.checkpoint, str) else package.checkpoint.tree_size
    expected = encode_manifest(package.members, package.case_id, tree_size)
    as_it_should_be = package.members.get("manifest.json") == expected
    if as_it_should_be and not package.foreign and package.members.get("README.txt") == README.encode():
        return passed, [
            package.finding(name, f"{name} is missing")
            for name in sorted(FIXED_FILES - package.members.keys())
        ]
    manifest = _parse(parse_canonical_object, package.members.get("manifest.json"))
    if isinstance(manifest, str):
        return passed, [package.finding("manifest.json", f"manifest.json: {manifest}")]
    if (manifest.get("format"), manifest.get("version")) != (FORMAT, FORMAT_VERSION):
        return passed, [package.finding("manifest.json", "manifest.json: not a package of a known format")]
    records = _records(manifest)
    findings = []
    for name in sorted(records.keys() | package.members.keys() | FIXED_FILES):
        if name not in package.members:
            findings.append(package.finding(name, f"{name} is missing"))
        elif name in package.foreign:
            findings.append(package.finding(name, f"{name} does not belong into a package"))
        elif name == "manifest.json":
            continue
        elif name not in records:
            findings.append(package.finding(name, f"{name} is not listed in the manifest"))
        elif records[name] != file_record(name, package.members[name]):
            findings.append(package.finding(name, f"{name} is not the file that the manifest lists"))
        elif name == "README.txt" and package.members[name] != README.encode():
            findings.append(package.finding(name, f"{name} is not the text of this format"))
    if not findings:
        findings.append(package.finding("manifest.json", "manifest.json does not describe these files"))
    return passed, findings


def _check_checkpoint(package: _Package) -> Result:
    findings = []
    if isinstance(package.key, str):
        findings.append(package.finding("vkey", f"vkey: {package.key}"))
    if isinstance(package.checkpoint, str):
        findings.append(package.finding("checkpoint", f"checkpoint: {package.checkpoint}"))
    if isinstance(package.key, str) or isinstance(package.checkpoint, str):
        return "", findings
    try:
        open_checkpoint(package.note, package.key)
    except EvidenceError as error:
        findings.append(package.finding("checkpoint", str(error)))
    size = package.checkpoint.tree_size
    return f"the log {package.key.name} signed its root over {size} leaves (Ed25519)", findings


def _check_entries(package: _Package) -> Result:
    if package.case_id is None:
        raise CannotBeMade("no envelope can be read")
    findings = []
    due, previous_hash = 1, FIRST_PREVIOUS_HASH
    for number, part in package.parts.items():
        if number > due:
            missing = f"entry {due} is" if number == due + 1 else f"entries {due} to {number - 1} are"
            findings.append(Finding(message=f"{missing} missing from the case", entry=due))
        if isinstance(part.envelope, str):
            findings.append(part.finding("envelope.json", part.envelope))
        else:
            # After a hole there is nothing that the previous hash could be compared with.
            expected_hash = previous_hash if number == due and previous_hash else part.envelope.previous_hash
            try:
                check_successor(
                    part.envelope, case_id=package.case_id, number=number, previous_hash=expected_hash
                )
            except EvidenceError as error:
                findings.append(_blame(package, part).finding("envelope.json", str(error)))
        previous_hash = "" if part.envelope_bytes is None else hash_envelope(part.envelope_bytes)
        due = number + 1
    return (
        f"{due - 1} entries, numbered from 1 without a hole, each with the hash of the one before",
        findings,
    )


def _blame(package: _Package, part: _Part) -> _Part:
    """Which of two neighbours that do not belong together was changed: the one that the log never held."""
    if isinstance(package.checkpoint, str):
        return part
    before = package.parts.get(part.number - 1)
    if before is not None and _missing_in_log(package, before) and not _missing_in_log(package, part):
        return before
    return part


def _missing_in_log(package: _Package, part: _Part) -> str | None:
    """Why an entry is not shown to be a leaf of the checkpoint's log; None if it is."""
    if isinstance(package.checkpoint, str):
        raise CannotBeMade("the checkpoint cannot be read (step 3)")
    if part.envelope_bytes is None:
        return "its envelope is missing"
    if isinstance(part.proof, str):
        return part.proof
    if part.proof.tree_size != package.checkpoint.tree_size:
        return "its inclusion proof is for a log of another size than the checkpoint's"
    try:
        check_inclusion(
            hash_leaf(part.envelope_bytes),
            part.proof.leaf_index,
            part.proof.tree_size,
            part.proof.hashes,
            package.checkpoint.root_hash,
        )
    except EvidenceError as error:
        return str(error)
    return None


def _check_inclusion(package: _Package) -> Result:
    if not package.parts:
        raise CannotBeMade("the package holds no entry")
    findings = []
    last_leaf_index = -1
    for part in package.parts.values():
        problem = _missing_in_log(package, part)
        if problem is None and not isinstance(part.proof, str):
            if part.proof.leaf_index <= last_leaf_index:
                problem = "it stands before its predecessor in the log"
            last_leaf_index = part.proof.leaf_index
        if problem is not None:
            findings.append(part.finding("proof.json", problem))
    return f"{len(package.parts)} inclusion proofs lead to the root of the checkpoint (RFC 9162)", findings


def _check_bodies(package: _Package) -> Result:
    if not package.parts:
        raise CannotBeMade("the package holds no entry")
    findings = []
    for part in package.parts.values():
        if isinstance(part.envelope, str):
            findings.append(part.finding("envelope.json", "its commitment cannot be read (step 4)"))
        elif part.body_bytes is None or part.salt is None:
            findings.append(part.finding("body.json", "its body or its salt is missing"))
        else:
            try:
                check_commitment(part.envelope, part.body_bytes, part.salt)
                if isinstance(part.body, str):
                    findings.append(part.finding("body.json", part.body))
            except EvidenceError as error:
                findings.append(part.finding("body.json", str(error)))
    return f"{len(package.parts)} bodies and salts open the commitments in their envelopes", findings


def _check_blobs(package: _Package) -> Result:
    findings = []
    hashes: dict[str, str] = {}
    for part in package.parts.values():
        if isinstance(part.body, str):
            findings.append(part.finding("body.json", "what it names cannot be read (step 6)"))
        for reference in part.references:
            name = f"blobs/{reference.sha256}"
            data = package.members.get(name)
            if data is None:
                findings.append(part.finding(name, f"{name} is missing"))
                continue
            if name not in hashes:
                hashes[name] = hashlib.sha256(data).hexdigest()
            if (hashes[name], len(data)) != (reference.sha256, reference.size_bytes):
                findings.append(part.finding(name, f"{name} is not the file that was sealed"))
    for name in package.members:
        sha256 = parse_blob_file(name)
        if sha256 is not None and sha256 not in package.holders:
            findings.append(package.finding(name, f"{name} is named by no entry"))
    return f"files that the entries name: {len(hashes)}, each byte for byte the one that was sealed", findings


def _check_completeness(package: _Package) -> Result:
    if not package.parts:
        raise CannotBeMade("the package holds no entry")
    last = package.parts[max(package.parts)]
    passed = f"the last entry is the export, and says that {last.number - 1} entries came before it"
    if isinstance(last.envelope, str) or isinstance(last.body, str):
        return passed, [last.finding("body.json", "the last entry cannot be read")]
    if last.envelope.kind != "exported":
        return passed, [last.finding("envelope.json", "the last entry is not the export: the end is missing")]
    if last.body.get("entries_before") != last.number - 1:
        return passed, [last.finding("body.json", "the export states another number of entries")]
    return passed, []


def _check_key(package: _Package, expected: VerifierKey | None) -> Result:
    if expected is None:
        raise CannotBeMade(
            "the package was checked against the key that it carries itself: compare that key with one "
            "from another source (--key)"
        )
    if isinstance(package.key, str):
        raise CannotBeMade("the package carries no key that can be read (step 3)")
    if package.key != expected:
        return "", [package.finding("vkey", f"the package carries another key than {encode_key(expected)}")]
    return "the package carries the key that you expect", []


def _check_time() -> Result:
    raise CannotBeMade(
        "this package holds no time stamp of an outside authority: its times are those of the server's clock"
    )


def _check_witnesses() -> Result:
    raise CannotBeMade(
        "this package holds no witness's signature: that everybody was shown the same log is its "
        "operator's word"
    )


def _parse(parse: Callable[[bytes], T], data: bytes | None) -> T | str:
    if data is None:
        return "the file is missing"
    try:
        return parse(data)
    except EvidenceError as error:
        return str(error)


def _parse_checkpoint_file(data: bytes) -> Checkpoint:
    try:
        return parse_checkpoint(data.decode())
    except UnicodeDecodeError:
        raise MalformedCheckpoint("the checkpoint is not text in UTF-8") from None


def _parse_key_file(data: bytes) -> VerifierKey:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MalformedKey("the verifier key is not text in UTF-8") from None
    if not text.endswith("\n"):
        raise MalformedKey("the verifier key's line has no end")
    return parse_key(text[:-1])
