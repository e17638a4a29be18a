"""Verification of a voucher: numbered steps, in the words of a package's report.

Steps 1 to 8 need nothing but the voucher. Those after them carry the numbers that they have for a package
(10 the key, 11 one history, 12 the time, 13 the witnesses): a reader of one report can read the other. Pages
of a PDF are paper: what stands on them is not compared with the document that it carries, and step 1 says so.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias, TypeVar

from server.evidence.canonical import JsonObject, encode_canonical
from server.evidence.checkpoint import (
    Checkpoint,
    VerifierKey,
    check_note,
    encode_key,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_key,
)
from server.evidence.container import File
from server.evidence.cosignature import WitnessKey, cosigner_of, is_of, open_cosignature
from server.evidence.entry import Envelope, check_commitment, encode_time, hash_envelope, parse_envelope
from server.evidence.errors import (
    EvidenceError,
    IllegalQuorum,
    IllegalTimestamp,
    MalformedCheckpoint,
    MalformedCosignature,
    MalformedTimestamp,
    MalformedVoucher,
)
from server.evidence.history import KnownTree, compare_histories, known_tree
from server.evidence.merkle import check_consistency, hash_leaf
from server.evidence.policy import Policy
from server.evidence.proof import InclusionChecker, parse_proof
from server.evidence.report import FRAMES_STEP, LAST_INNER_STEP, CannotBeMade, Finding, Outcome, Report, Step
from server.evidence.timestamp import check_timestamp
from server.evidence.trust import Trust
from server.evidence.voucher import (
    PARTS,
    Attested,
    attested_of,
    body_of,
    entry_fields,
    find_voucher,
    is_pdf,
    parse_attested,
    parse_document,
    salt_of,
    seal_text_of,
)

T = TypeVar("T")
# Another checkpoint, and what is known of its tree; raises CannotBeMade.
ReadOther: TypeAlias = Callable[[], tuple[str, KnownTree | None]]
Result: TypeAlias = tuple[str, list[Finding]]  # what was checked, in a sentence, and what was wrong

_TIME_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")  # as entries may name one
MAX_WAYBILL_CHARACTERS = 64  # the same
UNREADABLE = "the document cannot be read (step 1)"


def verify_voucher(
    data: File,
    *,
    vkey: str | None = None,
    trust: Trust | None = None,
    read_other: ReadOther | None = None,
) -> Report:
    """Check a voucher, JSON or PDF, with the log's key, what else is trusted, and another checkpoint of the
    same log, all from elsewhere and as far as they are given.

    A policy of witnesses is a demand: a voucher without its quorum fails. Raises MalformedKey if the key or a
    root cannot be read; whatever is wrong with the voucher is in the report.
    """
    trusted = trust or Trust()
    expected_keys = trusted.vkeys if vkey is None else (parse_key(vkey.strip()),)
    voucher = _Voucher(data)
    steps = (
        _perform(1, "Document", lambda: _check_document(voucher), _pages_unmade(voucher)),
        _perform(2, "Checkpoint", lambda: _check_checkpoint(voucher)),
        _perform(3, "Seal", lambda: _check_seal(voucher)),
        _perform(4, "Entries", lambda: _check_entries(voucher)),
        _perform(5, "Place in the log", lambda: _check_inclusion(voucher)),
        _perform(6, "Bodies", lambda: _check_bodies(voucher)),
        _perform(7, "Receipt", lambda: _check_receipt(voucher)),
        _perform(LAST_INNER_STEP, "Order", lambda: _check_order(voucher), _order_unmade(voucher)),
        _perform(FRAMES_STEP, "Photos and voice", lambda: _check_attachments(voucher)),
        _perform(10, "Key", lambda: _check_key(voucher, expected_keys)),
        _perform(11, "One history", lambda: _check_history(voucher, read_other)),
        _perform(12, "Time from outside", lambda: _check_time(voucher, trusted.roots)),
        _perform(13, "Witnesses", lambda: _check_witnesses(voucher, trusted.policy)),
    )
    return Report(
        subject="voucher",
        case_id=voucher.case_id,
        entries=len(voucher.entries),
        tree_size=None if isinstance(voucher.checkpoint, str) else voucher.checkpoint.tree_size,
        vkey=None if isinstance(voucher.key, str) else encode_key(voucher.key),
        steps=steps,
        says=_says(voucher) if all(step.outcome is not Outcome.FAILED for step in steps) else (),
    )


def voucher_history(data: File) -> tuple[str, KnownTree | None]:
    """The checkpoint in a voucher, and what its proofs show of the log; raises MalformedVoucher."""
    voucher = _Voucher(data)
    if voucher.document is None:
        raise MalformedVoucher(voucher.complaint)
    return voucher.note, None if isinstance(voucher.checkpoint, str) else voucher.tree(voucher.checkpoint)


class _Entry:
    """One of the two entries, parsed as far as it goes; a string stands for what is wrong with a part."""

    def __init__(self, part: str, fields: JsonObject) -> None:
        self.part = part
        self.envelope_bytes = encode_canonical(fields["envelope"])
        self.body_bytes = encode_canonical(fields["body"])
        self.proof_bytes = encode_canonical(fields["proof"])
        self.envelope: Envelope | str = _try(lambda: parse_envelope(self.envelope_bytes))
        self.body: JsonObject | str = _try(lambda: body_of(fields))
        self.salt: bytes | str = _try(lambda: salt_of(fields))
        self.place: int | str = "the checkpoint cannot be read (step 2)"  # its leaf index

    @property
    def number(self) -> int | None:
        return None if isinstance(self.envelope, str) else self.envelope.number

    def finding(self, field: str, message: str) -> Finding:
        number = self.number
        whose = self.part if number is None else f"entry {number} ({self.part})"
        return Finding(message=f"{whose}: {message}", member=f"{self.part}.{field}", entry=number)


class _Attested:
    """One attested checkpoint; `complaint` says why it is none of this log, "" if it is."""

    def __init__(self, attested: Attested, key: VerifierKey | str, newest: Checkpoint | str) -> None:
        self.note = attested.checkpoint
        self.cosignatures = attested.cosignatures
        self.timestamps = attested.timestamps
        self.tree_size = 0
        self.complaint = ""
        self.unmade = ""  # why it was not checked, if it was not
        if isinstance(key, str) or isinstance(newest, str):
            self.complaint = "the voucher's own checkpoint or key cannot be read"
            return
        try:
            checkpoint = parse_checkpoint(self.note)
            self.tree_size = checkpoint.tree_size
            check_consistency(
                checkpoint.tree_size,
                newest.tree_size,
                checkpoint.root_hash,
                newest.root_hash,
                attested.consistency,
            )
            if checkpoint.origin != newest.origin:
                raise MalformedCheckpoint(f"it is a checkpoint of {checkpoint.origin}")
            # An older key of the log may have signed it: then the consistency alone says whose it is.
            check_note(self.note, key)
        except EvidenceError as error:
            self.complaint = str(error)
        except CannotBeMade as reason:
            self.unmade = str(reason)


class _Voucher:
    """The fields of a voucher, parsed as far as they go; a string stands for what is wrong with one."""

    def __init__(self, data: File) -> None:
        self.from_pdf = is_pdf(data)
        self.document: JsonObject | None = None
        self.complaint = ""
        self.malformed: list[Finding] = []  # entries that have not the form of one
        self.entries: list[_Entry] = []
        self.note = ""
        self.checkpoint: Checkpoint | str = UNREADABLE
        self.key: VerifierKey | str = UNREADABLE
        self.attested: list[_Attested] = []
        try:
            document = self.document = parse_document(find_voucher(data))
        except MalformedVoucher as error:
            self.complaint = str(error)
            return
        self.note = str(document["checkpoint"])
        self.checkpoint = _try(lambda: parse_checkpoint(self.note))
        self.key = _try(lambda: parse_key(str(document["vkey"])))
        for part in PARTS:
            try:
                self.entries.append(_Entry(part, entry_fields(document, part)))
            except EvidenceError as error:
                self.malformed.append(Finding(message=f"{part}: {error}", member=part))
        try:
            for item in attested_of(document):
                self.attested.append(_Attested(parse_attested(item), self.key, self.checkpoint))
        except MalformedVoucher as error:
            self.malformed.append(Finding(message=f"attested: {error}", member="attested"))
        if not isinstance(self.checkpoint, str):
            checker = InclusionChecker(self.checkpoint.tree_size, self.checkpoint.root_hash)
            for entry in self.entries:
                leaf_hash = hash_leaf(entry.envelope_bytes)
                entry.place = _try(lambda: checker.check(leaf_hash, entry.proof_bytes))  # noqa: B023

    @property
    def case_id(self) -> str | None:
        return None if self.document is None else str(self.document["case_id"])

    def whole(self) -> JsonObject:
        """The document; raises CannotBeMade if there is none."""
        if self.document is None:
            raise CannotBeMade(UNREADABLE)
        return self.document

    def sound(self) -> list[_Attested]:
        """The attested checkpoints; raises CannotBeMade if one of them is not of this log."""
        self.whole()
        if any(finding.member == "attested" for finding in self.malformed):
            raise CannotBeMade("an attested checkpoint has not the form of one (step 1)")
        if any(attested.complaint for attested in self.attested):
            raise CannotBeMade("an attested checkpoint does not hold (step 2)")
        for attested in self.attested:
            if attested.unmade:
                raise CannotBeMade(attested.unmade)
        return self.attested

    def covers(self, attested: _Attested) -> bool:
        """Whether both entries are among the leaves of an attested checkpoint; raises CannotBeMade."""
        handed_over, confirmed = self.pair()
        if isinstance(handed_over.place, str) or isinstance(confirmed.place, str):
            raise CannotBeMade("the place of an entry is not shown (step 5)")
        return max(handed_over.place, confirmed.place) < attested.tree_size

    def pair(self) -> tuple[_Entry, _Entry]:
        """Both entries, in the order of the log; raises CannotBeMade unless both are there."""
        self.whole()
        if len(self.entries) != len(PARTS):
            raise CannotBeMade("an entry has not the form of one (step 1)")
        handed_over, confirmed = self.entries
        return handed_over, confirmed

    def tree(self, checkpoint: Checkpoint) -> KnownTree:
        """What the proofs that hold show of the log."""
        return known_tree(
            checkpoint.tree_size,
            checkpoint.root_hash,
            [
                (entry.place, hash_leaf(entry.envelope_bytes), parse_proof(entry.proof_bytes, "").hashes)
                for entry in self.entries
                if not isinstance(entry.place, str)
            ],
        )


def _perform(number: int, name: str, check: Callable[[], Result], unmade: tuple[Finding, ...] = ()) -> Step:
    try:
        message, findings = check()
    except CannotBeMade as reason:
        return Step(number=number, name=name, outcome=Outcome.CANNOT_BE_MADE, message=str(reason))
    if not findings:
        return Step(number=number, name=name, outcome=Outcome.PASSED, message=message, unmade=unmade)
    return Step(
        number=number,
        name=name,
        outcome=Outcome.FAILED,
        message=findings[0].message,
        findings=tuple(findings),
        unmade=unmade,
    )


def _check_document(voucher: _Voucher) -> Result:
    if voucher.document is None:
        return "", [Finding(message=voucher.complaint)]
    findings = list(voucher.malformed)
    if not 0 < len(str(voucher.document["waybill"])) <= MAX_WAYBILL_CHARACTERS:
        findings.append(Finding(message="the waybill is not one", member="waybill"))
    if _TIME_ZONE.fullmatch(str(voucher.document["time_zone"])) is None:
        findings.append(Finding(message="the time zone is not one", member="time_zone"))
    return "one JSON document in its one spelling, with the fields of this format and no others", findings


def _pages_unmade(voucher: _Voucher) -> tuple[Finding, ...]:
    if not voucher.from_pdf:
        return ()
    message = "what the pages of the PDF show was not compared: believe what is printed here"
    return (Finding(message=message),)


def _check_checkpoint(voucher: _Voucher) -> Result:
    voucher.whole()
    findings = []
    if isinstance(voucher.key, str):
        findings.append(Finding(message=f"vkey: {voucher.key}", member="vkey"))
    if isinstance(voucher.checkpoint, str):
        findings.append(Finding(message=f"checkpoint: {voucher.checkpoint}", member="checkpoint"))
    if isinstance(voucher.key, str) or isinstance(voucher.checkpoint, str):
        return "", findings
    try:
        open_checkpoint(voucher.note, voucher.key)
    except EvidenceError as error:
        findings.append(Finding(message=str(error), member="checkpoint"))
    for index, attested in enumerate(voucher.attested):
        if attested.complaint:
            member = f"attested.{index}"
            findings.append(Finding(message=f"{member}: {attested.complaint}", member=member))
    size = voucher.checkpoint.tree_size
    return f"the log {voucher.key.name} signed its root over {size} leaves (Ed25519)", findings


def _check_seal(voucher: _Voucher) -> Result:
    document = voucher.whole()
    if isinstance(voucher.key, str):
        raise CannotBeMade("the key cannot be read (step 2)")
    passed = "the same key signed the voucher as a whole: waybill, time zone and all the rest"
    try:
        text = open_note(str(document["seal"]), voucher.key)
    except EvidenceError:
        return passed, [Finding(message="the seal is no note that the voucher's key signed", member="seal")]
    if text != seal_text_of(document):
        return passed, [Finding(message="the seal was signed for another voucher", member="seal")]
    return passed, []


def _check_entries(voucher: _Voucher) -> Result:
    findings = []
    numbers = []
    for entry in voucher.pair():
        if isinstance(entry.envelope, str):
            findings.append(entry.finding("envelope", entry.envelope))
            continue
        numbers.append(str(entry.envelope.number))
        if entry.envelope.case_id != voucher.case_id:
            findings.append(entry.finding("envelope", "it belongs to another case than the voucher"))
        if entry.envelope.kind != entry.part:
            findings.append(entry.finding("envelope", f"it is an entry of kind {entry.envelope.kind}"))
    return f"entries {' and '.join(numbers)} of this case: {' and '.join(PARTS)}", findings


def _check_inclusion(voucher: _Voucher) -> Result:
    findings = [
        entry.finding("proof", entry.place) for entry in voucher.pair() if isinstance(entry.place, str)
    ]
    if isinstance(voucher.checkpoint, str):
        raise CannotBeMade("the checkpoint cannot be read (step 2)")
    return f"both entries are leaves of the log of {voucher.checkpoint.tree_size} (RFC 9162)", findings


def _check_bodies(voucher: _Voucher) -> Result:
    findings = []
    for entry in voucher.pair():
        if isinstance(entry.body, str):
            findings.append(entry.finding("body", entry.body))
        elif isinstance(entry.salt, str):
            findings.append(entry.finding("salt", entry.salt))
        elif isinstance(entry.envelope, str):
            findings.append(entry.finding("envelope", "its commitment cannot be read (step 4)"))
        else:
            try:
                check_commitment(entry.envelope, entry.body_bytes, entry.salt)
            except EvidenceError as error:
                findings.append(entry.finding("body", str(error)))
    return "both bodies and salts open the commitments in their envelopes", findings


def _check_receipt(voucher: _Voucher) -> Result:
    handed_over, confirmed = voucher.pair()
    findings = []
    for entry, role in ((handed_over, "courier"), (confirmed, "customer")):
        if isinstance(entry.envelope, str) or isinstance(entry.body, str):
            findings.append(entry.finding("envelope", "it cannot be read (steps 4 and 6)"))
        elif entry.envelope.role != role:
            findings.append(
                entry.finding("envelope", f"it is of the role {entry.envelope.role}, not of the {role}")
            )
    body = confirmed.body
    if not isinstance(body, str):
        number = body.get("number")
        if type(number) is not int or number != handed_over.number:
            findings.append(confirmed.finding("body", "it confirms another hand-over"))
        if not isinstance(body.get("statement"), str) or not str(body["statement"]).strip():
            findings.append(confirmed.finding("body", "it says nothing that the customer read"))
        if not isinstance(body.get("reservation"), str | None):
            findings.append(confirmed.finding("body", "its reservation is no text"))
    return "the customer confirmed the very hand-over that the courier entered", findings


def _check_order(voucher: _Voucher) -> Result:
    handed_over, confirmed = voucher.pair()
    first, second = handed_over.envelope, confirmed.envelope
    if isinstance(first, str) or isinstance(second, str):
        raise CannotBeMade("an envelope cannot be read (step 4)")
    if isinstance(handed_over.place, str) or isinstance(confirmed.place, str):
        raise CannotBeMade("the place of an entry is not shown (step 5)")
    findings = []
    if second.number <= first.number:
        findings.append(confirmed.finding("envelope", "it stands before the hand-over in the case"))
    elif confirmed.place - handed_over.place < second.number - first.number:
        findings.append(confirmed.finding("proof", "the log has no room for the entries between the two"))
    if handed_over.place < first.number - 1:
        findings.append(handed_over.finding("proof", "the log has no room for the entries before it"))
    if second.recorded_at < first.recorded_at:
        findings.append(confirmed.finding("envelope", "it was recorded before the hand-over"))
    if second.number == first.number + 1 and second.previous_hash != hash_envelope(
        handed_over.envelope_bytes
    ):
        findings.append(confirmed.finding("envelope", "it does not follow on the hand-over: another hash"))
    return "hand-over, then confirmation: by number, by place in the log and by the server's clock", findings


def _order_unmade(voucher: _Voucher) -> tuple[Finding, ...]:
    numbers = [entry.number for entry in voucher.entries]
    if len(numbers) != len(PARTS) or numbers[0] is None or numbers[1] is None:
        return ()
    between = numbers[1] - numbers[0] - 1
    if between <= 0:
        return ()
    entries = "one entry" if between == 1 else f"{between} entries"
    message = f"what stands in the {entries} between them is not in a voucher: a package has it"
    return (Finding(message=message),)


def _check_attachments(voucher: _Voucher) -> Result:
    named = 0
    for entry in voucher.pair():
        attachments = entry.body.get("attachments") if not isinstance(entry.body, str) else None
        named += len(attachments) if isinstance(attachments, list) else 0
    if named:
        raise CannotBeMade(
            f"the entries name {named} photos or voice notes by their SHA-256; the files are in the package "
            f"of the case, not in a voucher"
        )
    return "the entries name no photo and no voice note", []


def _check_key(voucher: _Voucher, expected: Sequence[VerifierKey]) -> Result:
    voucher.whole()
    if not expected:
        raise CannotBeMade(
            "the voucher was checked against the key that it carries itself: compare that key with one from "
            "another source (--key, --trust)"
        )
    if isinstance(voucher.key, str):
        raise CannotBeMade("the voucher carries no key that can be read (step 2)")
    if voucher.key not in expected:
        keys = " or ".join(map(encode_key, expected))
        message = f"the voucher carries another key than {keys}"
        return "", [Finding(message=message, member="vkey")]
    return "the voucher carries the key that you expect", []


def _check_history(voucher: _Voucher, read_other: ReadOther | None) -> Result:
    voucher.whole()
    if read_other is None:
        raise CannotBeMade(
            "no other checkpoint of this log was given: compare with one that somebody else holds (--against)"
        )
    if isinstance(voucher.key, str) or isinstance(voucher.checkpoint, str):
        raise CannotBeMade("the voucher's own checkpoint or key cannot be read (step 2)")
    note, tree = read_other()
    try:
        checkpoint = open_checkpoint(note, voucher.key)
    except EvidenceError as error:
        parsed = _try(lambda: parse_checkpoint(note))
        if isinstance(parsed, str) or parsed.origin != voucher.key.name:
            raise CannotBeMade(f"the other file holds no checkpoint of this log: {error}") from None
        message = f"a checkpoint of the same name was not signed by this log's key: {error}"
        return "", [Finding(message=message, member="vkey")]
    compared = compare_histories(
        voucher.tree(voucher.checkpoint), tree or KnownTree(checkpoint.tree_size, checkpoint.root_hash)
    )
    if compared.contradiction is not None:
        return "", [Finding(message=compared.contradiction, member="checkpoint")]
    if compared.shown is None:
        raise CannotBeMade(
            f"nothing contradicts the other checkpoint, but two proofs do not reach from "
            f"{checkpoint.tree_size} to {voucher.checkpoint.tree_size} leaves: ask the log for its tiles"
        )
    return compared.shown, []


def _check_time(voucher: _Voucher, roots: Sequence[bytes]) -> Result:
    stamped = [attested for attested in voucher.sound() if attested.timestamps]
    if not stamped:
        raise CannotBeMade(
            "this voucher holds no time stamp of an outside authority: its times are those of the server's "
            "clock"
        )
    sentences, findings, unmade = [], [], ""
    for attested in stamped:
        for token in attested.timestamps:
            try:
                timestamp = check_timestamp(token, attested.note.encode(), roots)
            except (MalformedTimestamp, IllegalTimestamp) as error:
                findings.append(Finding(message=str(error), member="attested"))
            except CannotBeMade as reason:
                unmade = str(reason)
            else:
                if voucher.covers(attested):
                    sentences.append(
                        f"{timestamp.authority} stamped the log of {attested.tree_size} leaves at "
                        f"{timestamp.at:%Y-%m-%dT%H:%M:%SZ}: both entries were there by then"
                    )
    if not findings and unmade:
        raise CannotBeMade(f"the time stamps of this voucher were not checked: {unmade}")
    if not findings and not sentences:
        raise CannotBeMade("the time stamps of this voucher are of before its entries")
    return "; ".join(sentences), findings


def _check_witnesses(voucher: _Voucher, policy: Policy | None) -> Result:
    cosigned = [attested for attested in voucher.sound() if attested.cosignatures]
    if policy is None:
        if not cosigned:
            raise CannotBeMade(
                "this voucher holds no witness's signature: that everybody was shown the same log is its "
                "operator's word"
            )
        names = sorted({cosigner_of(line)[0] for attested in cosigned for line in attested.cosignatures})
        raise CannotBeMade(
            f"{', '.join(names)} signed too, as the voucher says; whose signature counts is for you to say: "
            "give your policy of witnesses (--trust)"
        )
    if isinstance(voucher.key, str):
        raise CannotBeMade("the voucher carries no key that can be read (step 2)")
    try:
        policy.check_log(voucher.key)
    except IllegalQuorum as error:
        return "", [Finding(message=str(error), member="vkey")]
    findings: list[Finding] = []
    passed, shortfall = "", ""
    try:
        policy.check(())
        passed = "your policy asks for no witness"
    except IllegalQuorum as error:
        shortfall = str(error)
    for attested in cosigned:
        signed, wrong = _cosigners(attested, policy)
        findings += wrong
        try:
            policy.check(signed)
        except IllegalQuorum as error:
            shortfall = str(error)
            continue
        if not voucher.covers(attested):
            shortfall = "witnesses have cosigned the log as it was before these entries, and not since"
        elif signed:
            who = ", ".join(sorted(key.name for key in signed))
            passed = (
                f"{who} cosigned the log of {attested.tree_size} leaves, both entries among them, by "
                f"{encode_time(max(signed.values()))}: who trusts them was shown the same log"
            )
    if not findings and not passed:
        message = (
            f"{shortfall}. The service adds cosignatures to a voucher as soon as it has them: fetch it anew"
        )
        findings.append(Finding(message=message, member="attested"))
    return passed, findings


def _cosigners(attested: _Attested, policy: Policy) -> tuple[dict[WitnessKey, datetime], list[Finding]]:
    """Which keys of a policy have cosigned, when, and what is wrong with lines that mean to be theirs."""
    signed: dict[WitnessKey, datetime] = {}
    findings = []
    for line in attested.cosignatures:
        # "The client MUST ignore any cosignatures from unknown keys."
        for key in (witness.key for witness in policy.witnesses if is_of(line, witness.key)):
            try:
                signed[key] = open_cosignature(line, attested.note, key)
            except MalformedCosignature as error:
                findings.append(Finding(message=str(error), member="attested"))
    return signed, findings


def _says(voucher: _Voucher) -> tuple[str, ...]:
    """What the voucher says, for who has seen that it holds."""
    handed_over, confirmed = voucher.entries
    document, first, second = voucher.document, handed_over.envelope, confirmed.envelope
    if document is None or isinstance(first, str) or isinstance(second, str):
        return ()
    if isinstance(handed_over.body, str) or isinstance(confirmed.body, str):
        return ()
    lines = [
        f"Waybill: {document['waybill']}",
        f"Handed over: {encode_time(first.recorded_at)}, {handed_over.body.get('how')}, entry {first.number}",
        f"Confirmed: {encode_time(second.recorded_at)}, entry {second.number}",
        f"Statement: {confirmed.body.get('statement')}",
    ]
    reservation = confirmed.body.get("reservation")
    return (*lines, f"Reservation: {'none' if reservation is None else reservation}")


def _try(read: Callable[[], T]) -> T | str:
    try:
        return read()
    except EvidenceError as error:
        return str(error)
