"""What somebody outside the house said of the log: tokens of time-stamping authorities, words of witnesses.
Pure.

    attested/57: checkpoint ── consistency.json ──▶ the package's own checkpoint    the same log, RFC 9162
    2.1.4
                     ├── timestamp-1.der: an authority saw these bytes at its time    leaves 0 to 56 were
                     there └── cosignatures: witnesses saw no other log of that name

Whose word counts is not for the package to say. Roots and witnesses come from a trust file. Without them what
is there is still read, and compared with what the package says of itself; but that is no proof, and is named
so.
A word that was said before the case began is about none of its entries: it goes with every package of that
log's name for ever, whatever came after it, and counts for nothing here.
"""

import itertools
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.evidence.canonical import JsonValue, parse_canonical_object
from server.evidence.checkpoint import (
    MAX_NOTE_SIZE_BYTES,
    Checkpoint,
    VerifierKey,
    check_note,
    parse_checkpoint,
)
from server.evidence.container import Content
from server.evidence.cosignature import WitnessKey, cosigner_of, is_of, open_cosignature, split_cosignatures
from server.evidence.errors import (
    EvidenceError,
    IllegalQuorum,
    MalformedCheckpoint,
    MalformedJson,
    MalformedProof,
)
from server.evidence.merkle import check_consistency
from server.evidence.package import attested_folder, entry_folder
from server.evidence.policy import Policy
from server.evidence.report import CannotBeMade, Finding
from server.evidence.timestamp import Timestamp, check_timestamp
from server.evidence.tst_info import MAX_TOKEN_BYTES, check_imprint

# An entry may say a later time than a token that covers it: clocks differ, and tokens round down.
CLOCK_TOLERANCE = timedelta(seconds=60)
MAX_SHOWN = 3  # authorities, or times, named in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEntry:
    """An entry whose place in the log is proven."""

    number: int
    leaf_index: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a package holds of others' words. `folders`: by tree size, the files of each by name."""

    folders: Mapping[int, Mapping[str, Content]]
    checkpoint: Checkpoint  # the package's own
    key: VerifierKey | None
    keys: Sequence[VerifierKey]  # of the log, with earlier ones that it is shown to have had
    entries: Sequence[PlacedEntry]


@dataclass(slots=True)
class Checked:
    """What came of a step: a sentence, what is wrong, and what could not be checked."""

    message: str = ""
    findings: list[Finding] = field(default_factory=list)
    unmade: list[Finding] = field(default_factory=list)
    passed: bool = False  # somebody who is trusted did say something


def check_times(outside: Outside, roots: Sequence[bytes], own_roots: bytes | None) -> Checked:
    """Step 12. `own_roots`: PEM that the package carries itself."""
    checked = Checked()
    held: list[tuple[int, Timestamp]] = []
    claims: list[tuple[int, datetime]] = []
    for size, name, note, token in _of_kind(outside, "timestamp-", checked):
        try:
            claims.append((size, check_imprint(bytes(token[: MAX_TOKEN_BYTES + 1]), note).at))
        except EvidenceError as error:
            checked.findings.append(_finding(name, str(error)))
            continue
        try:
            held.append((size, check_timestamp(bytes(token), note, roots or _split_roots(own_roots))))
        except CannotBeMade as reason:
            checked.unmade.append(_finding(name, f"its signature was not checked: {reason}"))
        except EvidenceError as error:
            (checked.findings if roots else checked.unmade).append(_finding(name, str(error)))
    if not claims and not checked.findings:
        raise CannotBeMade(
            "this package holds no time stamp of an outside authority: its times are those of the server's "
            "clock"
        )
    slowest = _check_clock(outside, _Seen(held), checked)
    covered = [entry.number for entry in outside.entries if entry.leaf_index < max(_sizes(held), default=0)]
    if held:
        authorities = ", ".join(dict.fromkeys(timestamp.authority for _, timestamp in held))
        checked.message = (
            f"{len(held)} time stamps of {authorities}, from {_moment(held[0][1].at)} to "
            f"{_moment(max(timestamp.at for _, timestamp in held))}, cover {_span(covered)}, each "
            f"within {round(slowest.total_seconds())} s of its own time"
        )
    later = [entry.number for entry in outside.entries if entry.number not in set(covered)]
    if held and later:
        checked.unmade.append(
            Finding(
                message=f"{_span(later)} are later than all time stamps: their times are the server's word"
            )
        )
    if not roots:
        words = "; ".join(f"{_moment(at)} for a log of {size} leaves" for size, at in claims[:MAX_SHOWN]) + (
            "; ..." if len(claims) > MAX_SHOWN else ""
        )
        checked.message = (
            f"{len(claims)} time stamps are there, and of this log ({words}), but no root of an authority "
            f"that you trust was given (--trust)"
        )
        if held:
            checked.message += ". They hold under the roots that the package carries itself: compare those"
    checked.passed = bool(roots and covered)
    return checked


def check_witnesses(outside: Outside, policy: Policy | None, own_policy: Policy | None) -> Checked:
    """Step 13. `own_policy`: the one that the package carries itself."""
    checked = Checked()
    asked = policy or own_policy
    named_before = policy is not None and any(log.key in outside.keys for log in policy.logs)
    if policy is not None and outside.key is not None and not named_before:
        try:
            policy.check_log(outside.key)
        except IllegalQuorum as error:
            checked.findings.append(_finding("vkey", str(error)))
    names: dict[str, int] = {}  # of keys that cosigned, as the lines say, with the largest size
    best: tuple[int, list[str]] | None = None
    short = "this package holds no witness's signature"
    for size, name, note, data in _of_kind(outside, "cosignatures", checked):
        try:
            lines = split_cosignatures(bytes(data[: MAX_NOTE_SIZE_BYTES + 1]))
            names |= dict.fromkeys((cosigner_of(line)[0] for line in lines), size)
            if asked is None:
                continue
            cosigners = _cosigners(lines, note.decode(), asked)
            asked.check(cosigners)
            if not any(entry.leaf_index < size for entry in outside.entries):
                short = (
                    f"of the log of {size} leaves, as it was before this case: none of its entries is in it"
                )
            elif best is None or size > best[0]:
                named = [item.name for item in asked.witnesses if item.key in cosigners]
                best = size, named
        except IllegalQuorum as error:
            short = f"of the log of {size} leaves: {error}"
        except EvidenceError as error:
            checked.findings.append(_finding(name, str(error)))
    if not names and not checked.findings and policy is None:
        raise CannotBeMade(
            "this package holds no witness's signature: that everybody was shown the same log is its "
            "operator's word"
        )
    if policy is None:
        checked.message = (
            f"witnesses signed ({', '.join(names)}), but none that you trust was named (--trust)"
        )
        if best is not None:
            checked.message += ". By the policy that the package carries itself they are enough: compare it"
        return checked
    if best is None or not best[1]:
        if _asks_for_nobody(policy):
            checked.message, checked.passed = "your policy asks for no witness", True
        else:
            checked.findings.append(Finding(message=short))
        return checked
    size, named = best
    covered = [entry.number for entry in outside.entries if entry.leaf_index < size]
    checked.message = (
        f"{', '.join(named)} cosigned the log of {size} leaves, with {_span(covered)}: this is the log that "
        f"they saw"
    )
    later = [entry.number for entry in outside.entries if entry.leaf_index >= size]
    if later:
        checked.unmade.append(Finding(message=f"{_span(later)} are later than what witnesses have signed"))
    checked.passed = True
    return checked


def _asks_for_nobody(policy: Policy) -> bool:
    try:
        policy.check(())
    except IllegalQuorum:
        return False
    return True


def _of_kind(outside: Outside, prefix: str, checked: Checked) -> Iterable[tuple[int, str, bytes, Content]]:
    """The files of that name, each with its size, its path and the note of this log that it is about."""
    for size in sorted(outside.folders):
        files = outside.folders[size]
        chosen = sorted(name for name in files if name.startswith(prefix))
        if not chosen:
            continue
        try:
            note = _open_note(outside, size, files)
            # An older key of the log may have signed it: then the consistency proof alone says whose it is.
            if outside.key is not None:
                check_note(note.decode(), outside.key)
        except CannotBeMade as reason:
            checked.unmade.append(_finding(f"{attested_folder(size)}checkpoint", str(reason)))
        except EvidenceError as error:
            checked.findings.append(_finding(f"{attested_folder(size)}checkpoint", str(error)))
            continue
        for name in chosen:
            yield size, f"{attested_folder(size)}{name}", note, files[name]


def _open_note(outside: Outside, size: int, files: Mapping[str, Content]) -> bytes:
    """The note of a folder, once it is found to be of the package's log."""
    data = bytes(files.get("checkpoint", b"")[: MAX_NOTE_SIZE_BYTES + 1])
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise MalformedCheckpoint("the checkpoint is not text in UTF-8") from None
    checkpoint = parse_checkpoint(note)
    own = outside.checkpoint
    if checkpoint.origin != own.origin or checkpoint.tree_size != size:
        raise MalformedCheckpoint(f"it is not the checkpoint of {own.origin} over {size} leaves")
    proof = files.get("consistency.json")
    if size == own.tree_size:
        if proof is not None:
            raise MalformedProof("a checkpoint of the package's own size has no consistency proof")
        if checkpoint.root_hash != own.root_hash:
            raise MalformedProof(
                "it has another root than the package's checkpoint: the log has two histories"
            )
        return data
    if proof is None:
        raise MalformedProof("its consistency proof is missing")
    first, second, hashes = _parse_consistency(bytes(proof[: MAX_NOTE_SIZE_BYTES + 1]))
    if (first, second) != (size, own.tree_size):
        raise MalformedProof(f"its consistency proof is not from {size} to {own.tree_size} leaves")
    check_consistency(first, second, checkpoint.root_hash, own.root_hash, hashes)
    return data


def _parse_consistency(data: bytes) -> tuple[int, int, list[bytes]]:
    try:
        document = parse_canonical_object(data)
    except MalformedJson as error:
        raise MalformedProof(f"its consistency proof is malformed: {error}") from None
    first, second, texts = document.get("from"), document.get("to"), document.get("hashes")
    if (
        document.keys() != {"from", "hashes", "to"}
        or type(first) is not int
        or type(second) is not int
        or not isinstance(texts, list)
        or not 0 <= first <= second
    ):
        raise MalformedProof("a consistency proof has from, hashes and to")
    return first, second, [_parse_hash(text) for text in texts]


def _parse_hash(text: JsonValue) -> bytes:
    """Strict: one value has one spelling."""
    try:
        data = b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        data = None
    if data is None or b64encode(data).decode() != text:
        raise MalformedProof("a hash of the consistency proof is not base64")
    return data


def _cosigners(lines: Sequence[bytes], note: str, policy: Policy) -> list[WitnessKey]:
    """The witnesses of the policy that signed; MalformedCosignature for a line that only seems theirs."""
    cosigners = []
    for line in lines:
        for witness in policy.witnesses:
            if is_of(line, witness.key):
                open_cosignature(line, note, witness.key)
                cosigners.append(witness.key)
    return cosigners


class _Seen:
    """By when a leaf was seen outside, at the latest."""

    def __init__(self, held: Sequence[tuple[int, Timestamp]]) -> None:
        by_size = sorted((size, stamp.at) for size, stamp in held)
        self._sizes = [size for size, _ in by_size]
        times = [at for _, at in reversed(by_size)]
        self._earliest = list(itertools.accumulate(times, min))[
            ::-1
        ]  # of this checkpoint and all larger ones

    def by(self, leaf_index: int) -> datetime | None:
        place = bisect_right(self._sizes, leaf_index)
        return self._earliest[place] if place < len(self._earliest) else None


def _check_clock(outside: Outside, seen: _Seen, checked: Checked) -> timedelta:
    """No entry may say a later time than a token that covers it. How long after its own time the slowest of
    them was seen outside.
    """
    slowest = timedelta(0)
    for entry in outside.entries:
        at = seen.by(entry.leaf_index)
        if at is None:
            continue
        slowest = max(slowest, at - entry.recorded_at)
        if entry.recorded_at - at > CLOCK_TOLERANCE:
            checked.findings.append(
                Finding(
                    message=f"entry {entry.number}: it says {_moment(entry.recorded_at)}, but was there at "
                    f"{_moment(at)} already: the server's clock was wrong",
                    member=f"{entry_folder(entry.number)}envelope.json",
                    entry=entry.number,
                )
            )
    return slowest


def _split_roots(pem: bytes | None) -> Sequence[bytes]:
    return () if pem is None else (pem,)


def _sizes(held: Sequence[tuple[int, Timestamp]]) -> list[int]:
    return [size for size, _ in held]


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(numbers: Sequence[int]) -> str:
    """Entries in words: a case's are placed in order, so what is covered is a run from its beginning."""
    if not numbers:
        return "no entry of this case"
    return f"entries {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"entry {numbers[0]}"


def _finding(member: str, message: str) -> Finding:
    return Finding(message=f"{member}: {message}", member=member)
