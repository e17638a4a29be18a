"""Verification of a package: numbered steps, each passed, failed, or named as one that cannot be made.

A failure does not end the walk: a person wants to know whether a damaged byte spoilt the picture or only the
wrapping. The first eight steps need nothing but the package. Step 9 needs a decoder. What the package cannot
tell by itself (whose key this is, whether another history was shown elsewhere, what the clock was worth,
whether there are witnesses, who vouches for the pictures' copies) comes after them and is never skipped. The
last step tells what was erased.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from server.evidence.attested import (
    Checked,
    Outside,
    PlacedEntry,
    check_times,
    check_witnesses,
)
from server.evidence.canonical import JsonObject, JsonValue, parse_canonical_object
from server.evidence.checkpoint import (
    MAX_NOTE_SIZE_BYTES,
    Checkpoint,
    VerifierKey,
    encode_key,
    open_checkpoint,
    parse_checkpoint,
    parse_key,
)
from server.evidence.container import READ_BYTES, Content, File, Reading, hash_content, let_go, read_container
from server.evidence.credentials import CredentialsReader, check_credentials
from server.evidence.derived import MAX_INDEX_BYTES, check_custody, check_playback
from server.evidence.entry import (
    FIRST_PREVIOUS_HASH,
    Envelope,
    check_commitment,
    check_successor,
    parse_body,
    parse_envelope,
)
from server.evidence.erased_bodies import ErasedBodies, check_erasure, read_erased
from server.evidence.errors import EvidenceError, MalformedCheckpoint, MalformedKey
from server.evidence.frames import Redecoder, check_frames
from server.evidence.handover import KeyHistory, read_history
from server.evidence.history import KnownTree, compare_histories, known_tree
from server.evidence.merkle import hash_leaf
from server.evidence.package import (
    CUSTODY_FILE,
    CUSTODY_KINDS,
    ENTRY_FILES,
    FORMAT,
    KEYS_FILE,
    PLAYBACK_INDEX,
    README_SHA256,
    BlobReference,
    blob_references,
    encode_manifest,
    entry_folder,
    file_record,
    is_package_file,
    manifest_version,
    parse_attested_file,
    parse_blob_file,
    parse_credentials_file,
    parse_entry_file,
    required_files,
)
from server.evidence.policy import Policy, parse_policy
from server.evidence.proof import InclusionChecker, parse_proof
from server.evidence.report import (
    FRAMES_STEP,
    LAST_INNER_STEP,
    CannotBeMade,
    Finding,
    Outcome,
    Report,
    Step,
)
from server.evidence.trust import Trust
from server.evidence.verify_voucher import voucher_history
from server.evidence.voucher import is_voucher

T = TypeVar("T")

MAX_MANIFEST_SIZE_BYTES = 128 << 20  # twice what lists the most files that a package holds
MAX_KEYS_SIZE_BYTES = 4 << 20  # more than the most handovers take
MAX_CUSTODY_SIZE_BYTES = 64 << 20  # a hundred thousand looks at a case
ZIP_SIGNATURE = b"PK"  # APPNOTE 4.3.7: whatever else begins a file, it is no package

Result: TypeAlias = tuple[str, list[Finding]]  # what was checked, in a sentence, and what was wrong


def verify_package(
    data: File,
    *,
    vkey: str | None = None,
    trust: Trust | None = None,
    redecoder: Redecoder | None = None,
    credentials: CredentialsReader | None = None,
    against: File | None = None,
) -> Report:
    """Check a package, with the log's key and what else is trusted from elsewhere, a decoder, a reader of
    Content Credentials, and another package or checkpoint of the same log as far as they are given.

    Raises MalformedKey if that key cannot be read; whatever is wrong with the package is in the report.
    Memory is bounded by the entries: pictures and segments are read where they lie, one at a time.
    """
    trusted = trust or Trust()
    expected_keys = trusted.vkeys if vkey is None else (parse_key(vkey.strip()),)
    reading = read_container(data)
    package = _Package(data, _choose_members(reading))
    steps = (
        _perform(1, "Container", lambda: _check_container(package, reading)),
        _perform(2, "Contents", lambda: _check_contents(package)),
        _perform(3, "Checkpoint", lambda: _check_checkpoint(package)),
        _perform(4, "Entries", lambda: _check_entries(package)),
        _perform(5, "Place in the log", lambda: _check_inclusion(package)),
        _perform(6, "Bodies", lambda: _check_bodies(package)),
        _perform(7, "Pictures and files", lambda: _check_blobs(package)),
        _perform(LAST_INNER_STEP, "Completeness", lambda: _check_completeness(package)),
        _frames_step(package, redecoder),
        _perform(10, "Key", lambda: _check_key(package, expected_keys)),
        _perform(11, "One history", lambda: _check_history(package, against)),
        _perform_partly(12, "Time from outside", lambda: _check_time(package, trusted)),
        _perform_partly(13, "Witnesses", lambda: _check_witnesses(package, trusted)),
        _perform_partly(
            14, "Content credentials", lambda: _check_credentials(package, credentials, trusted.picture_roots)
        ),
        _perform(15, "Erasure", lambda: _check_erasure(package)),
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


def _perform_partly(number: int, name: str, check: Callable[[], Checked]) -> Step:
    """A step of which parts may be impossible: it passes if somebody who is trusted said something."""
    try:
        checked = check()
    except CannotBeMade as reason:
        return Step(number=number, name=name, outcome=Outcome.CANNOT_BE_MADE, message=str(reason))
    outcome = Outcome.PASSED if checked.passed else Outcome.CANNOT_BE_MADE
    return Step(
        number=number,
        name=name,
        outcome=Outcome.FAILED if checked.findings else outcome,
        message=checked.findings[0].message if checked.findings else checked.message,
        findings=tuple(checked.findings),
        unmade=tuple(checked.unmade),
    )


def _frames_step(package: "_Package", redecoder: Redecoder | None) -> Step:
    checked = check_frames(_bodies(package), package.sealed_blob, redecoder, _erased(package))
    outcome = Outcome.FAILED if checked.findings else Outcome.PASSED
    if not checked.findings and checked.unmade:
        outcome = Outcome.CANNOT_BE_MADE
    return Step(
        number=FRAMES_STEP,
        name="Frames and journal",
        outcome=outcome,
        message=checked.findings[0].message if checked.findings else checked.message,
        findings=tuple(checked.findings),
        unmade=tuple(checked.unmade),
    )


class _Part:
    """The files of one entry, parsed; a string stands for what is wrong with one."""

    __slots__ = (
        "body",
        "body_bytes",
        "envelope",
        "envelope_bytes",
        "number",
        "place",
        "proof_bytes",
        "references",
        "salt",
    )

    def __init__(self, number: int, files: Mapping[str, Content], checker: InclusionChecker | None) -> None:
        self.number = number
        self.envelope_bytes = files.get("envelope.json")
        self.body_bytes = files.get("body.json")
        self.salt = files.get("salt")
        self.proof_bytes = files.get("proof.json")
        self.envelope: Envelope | str = _parse(parse_envelope, self.envelope_bytes)
        self.body: JsonObject | str = _parse(parse_body, self.body_bytes)
        self.references: list[BlobReference] = []
        # In canonical JSON a plain name is spelt in one way: where it does not stand, no body names a blob.
        if not isinstance(self.body, str) and b'"sha256"' in bytes(self.body_bytes or b""):
            self.references = list(blob_references(self.body))
        self.place: int | str = self._prove(checker)  # its leaf index

    def _prove(self, checker: InclusionChecker | None) -> int | str:
        """Which leaf of the checkpoint's log the entry is, or why it is not shown to be one."""
        if checker is None:
            return "the checkpoint cannot be read (step 3)"
        if self.envelope_bytes is None:
            return "its envelope is missing"
        if not isinstance(self.envelope_bytes, bytes):
            return f"its envelope has {len(self.envelope_bytes)} bytes"
        leaf_hash = hash_leaf(self.envelope_bytes)
        return _parse(lambda data: checker.check(leaf_hash, data), self.proof_bytes)

    @property
    def missing(self) -> bool:
        """Whether body and salt are both not there: then they should have been erased."""
        return self.body_bytes is None and self.salt is None

    def finding(self, file: str, message: str) -> Finding:
        """A finding at a file of this entry's folder, or at a blob that it names."""
        member = file if file.startswith("blobs/") else entry_folder(self.number) + file
        return Finding(message=f"entry {self.number}: {message}", member=member, entry=self.number)


class _Package:
    """The members of a package, parsed as far as they go; a string stands for what is wrong with one."""

    def __init__(self, container: File, members: Mapping[str, Content]) -> None:
        self.container = container
        self.members = members
        self.version = manifest_version(members.get("manifest.json", b""))
        self.note = bytes(members.get("checkpoint", b"")).decode(errors="replace")
        self.checkpoint: Checkpoint | str = _parse(_parse_checkpoint_file, members.get("checkpoint"))
        self.key: VerifierKey | str = _parse(_parse_key_file, members.get("vkey"))
        files: dict[int, dict[str, Content]] = {}  # by entry and by name inside its folder
        self.foreign: set[str] = set()  # files that are no part of any package
        folder, of_folder = "/", {}  # the files of an entry lie beside each other
        for name, data in members.items():
            if name.startswith(folder) and name[len(folder) :] in ENTRY_FILES:
                of_folder[name[len(folder) :]] = data
            elif place := parse_entry_file(name):
                folder, of_folder = entry_folder(place[0]), files.setdefault(place[0], {})
                of_folder[place[1]] = data
            elif not is_package_file(name, self.version):
                self.foreign.add(name)
        checker = (
            None
            if isinstance(self.checkpoint, str)
            else InclusionChecker(self.checkpoint.tree_size, self.checkpoint.root_hash)
        )
        self.parts = {number: _Part(number, files[number], checker) for number in sorted(files)}
        # A single damaged envelope must not rename the case.
        case_ids = Counter(
            part.envelope.case_id for part in self.parts.values() if not isinstance(part.envelope, str)
        )
        self.case_id = case_ids.most_common(1)[0][0] if case_ids else None
        self.holders: dict[str, int] = {}  # SHA-256 of a blob: the first entry that names it
        for part in self.parts.values():
            for reference in part.references:
                self.holders.setdefault(reference.sha256, part.number)
        self.hashes: dict[str, str] = {}  # SHA-256 of each file, once it was made
        self.erased_bodies: list[ErasedBodies] = [
            erased
            for part in self.parts.values()
            if not isinstance(part.envelope, str)
            and not isinstance(part.body, str)
            and (erased := read_erased(part.envelope, part.body)) is not None
        ]

    def erased(self, part: _Part) -> bool:
        """Whether body and salt of an entry are missing, and another entry says that they were erased."""
        envelope = part.envelope
        return (
            part.missing
            and not isinstance(envelope, str)
            and any(erased.cover(envelope) for erased in self.erased_bodies)
        )

    def history(self) -> KeyHistory | None:
        """The keys of the log as far as the package shows them; None if it shows that wrongly, or cannot be
        read. CannotBeMade without the library for signatures.
        """
        if isinstance(self.key, str) or isinstance(self.checkpoint, str):
            return None
        data = None if KEYS_FILE in self.foreign else self.members.get(KEYS_FILE)
        if data is None:
            return KeyHistory(successions=(), newest=self.key)
        try:
            return read_history(bytes(data[: MAX_KEYS_SIZE_BYTES + 1]), self.key, self.checkpoint)
        except EvidenceError:
            return None

    def hash_of(self, name: str) -> str:
        """SHA-256 of a file of the package: large ones are read once."""
        known = self.hashes.get(name)
        if known is None:
            known = self.hashes[name] = hash_content(self.container, self.members[name])
        return known

    def hash_all(self) -> None:
        hashed = 0
        for name, content in self.members.items():
            self.hashes[name] = hash_content(self.container, content)
            hashed += len(content)
            if hashed >= READ_BYTES:
                let_go(self.container)
                hashed = 0

    def sealed_blob(self, sha256: str) -> Content | None:
        """The file with this hash, or None if it is missing or another one."""
        name = f"blobs/{sha256}"
        return self.members[name] if name in self.members and self.hash_of(name) == sha256 else None

    def finding(self, member: str, message: str) -> Finding:
        """A finding at a file, with the entry that the file belongs to, if it belongs to one."""
        place = parse_entry_file(member)
        sha256 = parse_blob_file(member)
        entry = place[0] if place else self.holders.get(sha256) if sha256 else None
        whose = f"entry {entry}: " if entry else ""
        return Finding(message=f"{whose}{message}", member=member, entry=entry)


def _choose_members(reading: Reading) -> dict[str, Content]:
    """The files of a container; of a damaged one, in the reading that its manifest agrees with."""
    in_order, by_directory = dict(reading.in_order), dict(reading.by_directory)
    if reading.damage is None or _listed_names(in_order) == sorted(in_order):
        return in_order
    return by_directory if len(by_directory) >= len(in_order) else in_order


def _listed_names(members: Mapping[str, Content]) -> list[str]:
    """The names of all files as the manifest lists them, itself included; no other if it cannot be read."""
    manifest = _parse_manifest(members)
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
    version, required = package.version, required_files(package.version)
    package.hash_all()
    files = [(name, package.hashes[name], len(content)) for name, content in package.members.items()]
    expected = encode_manifest(sorted(files), package.case_id, tree_size, version)
    as_it_should_be = package.members.get("manifest.json") == expected
    text_hash = package.hashes.get("README.txt")
    if as_it_should_be and not package.foreign and text_hash == README_SHA256[version]:
        return passed, [
            package.finding(name, f"{name} is missing") for name in sorted(required - package.members.keys())
        ]
    manifest = _parse_manifest(package.members)
    if isinstance(manifest, str):
        return passed, [package.finding("manifest.json", f"manifest.json: {manifest}")]
    if (manifest.get("format"), manifest.get("version")) != (FORMAT, version):
        return passed, [package.finding("manifest.json", "manifest.json: not a package of a known format")]
    records = _records(manifest)
    findings = []
    for name in sorted(records.keys() | package.members.keys() | required):
        if name not in package.members:
            findings.append(package.finding(name, f"{name} is missing"))
        elif name in package.foreign:
            findings.append(package.finding(name, f"{name} does not belong into a package"))
        elif name == "manifest.json":
            continue
        elif name not in records:
            findings.append(package.finding(name, f"{name} is not listed in the manifest"))
        elif records[name] != file_record(name, package.hash_of(name), len(package.members[name])):
            findings.append(package.finding(name, f"{name} is not the file that the manifest lists"))
        elif name == "README.txt" and package.hash_of(name) != README_SHA256[version]:
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
    if package.history() is None:
        message = f"{KEYS_FILE} does not show how the key of the log follows from an earlier one"
        findings.append(package.finding(KEYS_FILE, message))
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
        previous_hash = "" if part.envelope_bytes is None else package.hash_of(_envelope_file(number))
        due = number + 1
    return (
        f"{due - 1} entries, numbered from 1 without a hole, each with the hash of the one before",
        findings,
    )


def _blame(package: _Package, part: _Part) -> _Part:
    """Which of two neighbours that do not belong together was changed: the one that the log never held."""
    before = package.parts.get(part.number - 1)
    if before is not None and isinstance(before.place, str) and not isinstance(part.place, str):
        return before
    return part


def _check_inclusion(package: _Package) -> Result:
    if not package.parts:
        raise CannotBeMade("the package holds no entry")
    if isinstance(package.checkpoint, str):
        raise CannotBeMade("the checkpoint cannot be read (step 3)")
    findings = []
    last_leaf_index = -1
    for part in package.parts.values():
        problem = part.place
        if not isinstance(part.place, str):
            problem = "it stands before its predecessor in the log" if part.place <= last_leaf_index else ""
            last_leaf_index = part.place
        if problem:
            findings.append(part.finding("proof.json", str(problem)))
    return f"{len(package.parts)} inclusion proofs lead to the root of the checkpoint (RFC 9162)", findings


def _check_bodies(package: _Package) -> Result:
    if not package.parts:
        raise CannotBeMade("the package holds no entry")
    findings = []
    erased = 0
    for part in package.parts.values():
        if isinstance(part.envelope, str):
            findings.append(part.finding("envelope.json", "its commitment cannot be read (step 4)"))
        elif package.erased(part):
            erased += 1
        elif part.body_bytes is None or part.salt is None:
            findings.append(part.finding("body.json", "its body or its salt is missing"))
        elif not isinstance(part.body_bytes, bytes) or not isinstance(part.salt, bytes):
            findings.append(part.finding("body.json", "its body or its salt is too long"))
        else:
            try:
                check_commitment(part.envelope, part.body_bytes, part.salt)
                if isinstance(part.body, str):
                    findings.append(part.finding("body.json", part.body))
            except EvidenceError as error:
                findings.append(part.finding("body.json", str(error)))
    gone = f"; {erased} were erased (step 15)" if erased else ""
    return (
        f"{len(package.parts) - erased} bodies and salts open the commitments in their envelopes{gone}",
        findings,
    )


def _check_blobs(package: _Package) -> Result:
    findings = []
    held = set()
    for part in package.parts.values():
        if isinstance(part.body, str) and not package.erased(part):
            findings.append(part.finding("body.json", "what it names cannot be read (step 6)"))
        for reference in part.references:
            name = f"blobs/{reference.sha256}"
            data = package.members.get(name)
            if data is None:
                findings.append(part.finding(name, f"{name} is missing"))
                continue
            held.add(name)
            if (package.hash_of(name), len(data)) != (reference.sha256, reference.size_bytes):
                findings.append(part.finding(name, f"{name} is not the file that was sealed"))
    for name in package.members:
        sha256 = parse_blob_file(name)
        if sha256 is not None and sha256 not in package.holders:
            findings.append(package.finding(name, f"{name} is named by no entry"))
    findings += _check_derived(package)
    return f"files that the entries name: {len(held)}, each byte for byte the one that was sealed", findings


def _check_derived(package: _Package) -> list[Finding]:
    """Files that were made from entries say what the entries say, and no more."""
    findings = []
    entries = _told(package)
    custody = package.members.get(CUSTODY_FILE)
    readable = [item for item in entries if item is not None]
    # Where an entry cannot be read, that was found already, and what would be compared is not known.
    if custody is not None and len(readable) == len(entries):
        if len(custody) > MAX_CUSTODY_SIZE_BYTES:
            findings.append(package.finding(CUSTODY_FILE, f"{CUSTODY_FILE} has {len(custody)} bytes"))
        else:
            findings += check_custody(bytes(custody), readable)
    segments = {
        part.number: {reference.sha256 for reference in part.references} for part in package.parts.values()
    }
    index = package.members.get(PLAYBACK_INDEX)
    findings += check_playback(
        package.members.keys(), None if index is None else bytes(index[:MAX_INDEX_BYTES]), segments
    )
    return findings


def _told(package: _Package) -> list[tuple[Envelope, JsonObject | None] | None]:
    """The entries of custody, with None for a body that was erased; None for one that cannot be read."""
    told: list[tuple[Envelope, JsonObject | None] | None] = []
    for part in package.parts.values():
        if isinstance(part.envelope, str):
            told.append(None)
        elif part.envelope.kind in CUSTODY_KINDS:
            if not isinstance(part.body, str):
                told.append((part.envelope, part.body))
            else:
                told.append((part.envelope, None) if package.erased(part) else None)
    return told


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


def _check_key(package: _Package, expected: Sequence[VerifierKey]) -> Result:
    if not expected:
        raise CannotBeMade(
            "the package was checked against the key that it carries itself: compare that key with one "
            "from another source (--key, --trust)"
        )
    if isinstance(package.key, str):
        raise CannotBeMade("the package carries no key that can be read (step 3)")
    if package.key in expected:
        return "the package carries the key that you expect", []
    history = package.history()
    if history is not None and set(history.keys) & set(expected):
        return (
            "the log's key follows from the one that you expect: each was handed over to by the key before, "
            "as the last that it signed (keys.json)"
        ), []
    keys = " or ".join(map(encode_key, expected))
    return "", [package.finding("vkey", f"the package carries another key than {keys}")]


def _check_history(package: _Package, against: File | None) -> Result:
    """Whether the log that signed this package also signed another history."""
    if against is None:
        raise CannotBeMade(
            "no other checkpoint of this log was given: compare with one that somebody else holds (--against)"
        )
    if isinstance(package.key, str) or isinstance(package.checkpoint, str):
        raise CannotBeMade("the package's own checkpoint or key cannot be read (step 3)")
    other, tree = read_other(against)
    parsed = _parse(_parse_checkpoint_file, other.encode())
    history = package.history()
    try:
        key = package.key if isinstance(parsed, str) or history is None else history.at(parsed.tree_size)
        checkpoint = open_checkpoint(other, key)
    except EvidenceError as error:
        if isinstance(parsed, str) or parsed.origin != package.key.name:
            raise CannotBeMade(f"the other file holds no checkpoint of this log: {error}") from None
        message = f"a checkpoint of the same name was not signed by this log's key: {error}"
        return "", [package.finding("vkey", message)]
    own = _known_tree(package, package.checkpoint)
    compared = compare_histories(own, tree or KnownTree(checkpoint.tree_size, checkpoint.root_hash))
    if compared.contradiction is not None:
        return "", [package.finding("checkpoint", compared.contradiction)]
    if compared.shown is None:
        raise CannotBeMade(
            f"nothing contradicts the other checkpoint, but the proofs of the entries do not reach from "
            f"{checkpoint.tree_size} to {package.checkpoint.tree_size} leaves: ask the log for its tiles, or "
            f"compare with a package that was exported later"
        )
    return compared.shown, []


def read_other(data: File) -> tuple[str, KnownTree | None]:
    """The checkpoint in another file; and of a package or a voucher, what its entries show of the log."""
    if is_voucher(data):
        try:
            return voucher_history(data)
        except EvidenceError as error:
            raise CannotBeMade(f"the other file cannot be read: {error}") from None
    if bytes(data[: len(ZIP_SIGNATURE)]) != ZIP_SIGNATURE:
        return bytes(data[: MAX_NOTE_SIZE_BYTES + 1]).decode(errors="replace"), None
    other = _Package(data, _choose_members(read_container(data)))
    return other.note, None if isinstance(other.checkpoint, str) else _known_tree(other, other.checkpoint)


def _known_tree(package: _Package, checkpoint: Checkpoint) -> KnownTree:
    return known_tree(checkpoint.tree_size, checkpoint.root_hash, _proofs_that_hold(package))


def _proofs_that_hold(package: _Package) -> Iterator[tuple[int, bytes, Sequence[bytes]]]:
    for part in package.parts.values():
        if not isinstance(part.place, str):
            proof = parse_proof(bytes(part.proof_bytes or b""), package.note)
            yield part.place, hash_leaf(bytes(part.envelope_bytes or b"")), proof.hashes


def _check_time(package: _Package, trust: Trust) -> Checked:
    own = package.members.get("certificates.pem")
    own_roots = None if own is None else bytes(own[:MAX_NOTE_SIZE_BYTES])
    return check_times(_outside(package), trust.roots, own_roots)


def _check_witnesses(package: _Package, trust: Trust) -> Checked:
    """A policy may name the log by an earlier key of its own."""
    own: Policy | None = None
    text = package.members.get("policy.txt")
    if text is not None:
        try:
            own = parse_policy(bytes(text[: MAX_NOTE_SIZE_BYTES + 1]).decode(errors="replace"))
        except EvidenceError:
            own = None  # the operator's own word, and not needed
    return check_witnesses(_outside(package), trust.policy, own)


def _outside(package: _Package) -> Outside:
    """What others said of the log, with the entries whose place in it is shown."""
    if isinstance(package.checkpoint, str):
        raise CannotBeMade("the package's own checkpoint cannot be read (step 3)")
    folders: dict[int, dict[str, Content]] = {}
    for name, data in package.members.items():
        if place := parse_attested_file(name):
            folders.setdefault(place[0], {})[place[1]] = data
    return Outside(
        folders=folders,
        checkpoint=package.checkpoint,
        key=None if isinstance(package.key, str) else package.key,
        keys=_keys(package),
        entries=[
            PlacedEntry(number=part.number, leaf_index=part.place, recorded_at=part.envelope.recorded_at)
            for part in package.parts.values()
            if not isinstance(part.place, str) and not isinstance(part.envelope, str)
        ],
    )


def _keys(package: _Package) -> Sequence[VerifierKey]:
    """Those that the log is shown to have had."""
    try:
        history = package.history()
    except CannotBeMade:
        return ()
    return () if history is None else history.keys


def _check_credentials(
    package: _Package, reader: CredentialsReader | None, roots: Sequence[bytes]
) -> Checked:
    copies = {
        sha256: data
        for name, data in package.members.items()
        if (sha256 := parse_credentials_file(name)) is not None
    }
    key = None if isinstance(package.key, str) else package.key
    return check_credentials(copies, package.holders, package.sealed_blob, key, reader, roots)


def _check_erasure(package: _Package) -> Result:
    if not package.parts:
        raise CannotBeMade("the package holds no entry")
    entries: list[tuple[Envelope, bool]] = [
        (part.envelope, part.missing) for part in package.parts.values() if not isinstance(part.envelope, str)
    ]
    return check_erasure(package.erased_bodies, entries)


def _bodies(package: _Package) -> Iterator[tuple[Envelope, JsonObject]]:
    for part in package.parts.values():
        if not isinstance(part.envelope, str) and not isinstance(part.body, str):
            yield part.envelope, part.body


def _erased(package: _Package) -> Iterator[Envelope]:
    for part in package.parts.values():
        if not isinstance(part.envelope, str) and package.erased(part):
            yield part.envelope


def _envelope_file(number: int) -> str:
    return f"{entry_folder(number)}envelope.json"


def _parse_manifest(members: Mapping[str, Content]) -> JsonObject | str:
    data = members.get("manifest.json")
    return _parse(parse_canonical_object, None if data is None else bytes(data[:MAX_MANIFEST_SIZE_BYTES]))


def _parse(parse: Callable[[bytes], T], data: Content | None) -> T | str:
    if data is None:
        return "the file is missing"
    if not isinstance(data, bytes):
        return f"the file has {len(data)} bytes, far more than it may have"
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
