"""The voucher: what a customer keeps of a receipt, two entries of the log that prove themselves.

One JSON document in its canonical spelling (RFC 8785), shown here with line ends:

    {"case_id":"c_…","checkpoint":"<signed note>",
     "confirmed":{"body":{…},"envelope":{…},"proof":{"hashes":["…"],"leaf_index":41,"tree_size":57},"salt":"…"},
     "format":"proofcall-voucher",
     "handed_over":{…},
     "seal":"<signed note>","time_zone":"Asia/Shanghai","version":2,"vkey":"…","waybill":"SF…",
     "attested":[{"checkpoint":"<signed note>","consistency":["…"],"cosignatures":"…","timestamps":["…"]}]}

Both proofs lead to the root of the one checkpoint. `attested` are checkpoints of the same log, none larger,
with what was said of them outside the house: cosignatures of witnesses, and RFC 3161 tokens (DER in base64),
whose imprint is the SHA-256 of that note. `consistency` leads from each to the voucher's own checkpoint (RFC
9162 section 2.1.4). Version 1 had none of it. The waybill and the time zone stand in an entry that only
the office may read, with the declared value: so the log's key signs them here, in the seal. It is a C2SP
signed note over the hash of all the rest, and no checkpoint: its first line is not the origin of the log.

    proofcall-voucher/2
    <SHA-256 of the canonical document without its seal, hex>

    — proofcall.local/log 3Uj…

The same document lies in the voucher's PDF, as an attached file that is neither compressed nor encrypted.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from server.evidence.canonical import JsonObject, encode_canonical, parse_canonical_object
from server.evidence.container import File
from server.evidence.cosignature import split_cosignatures
from server.evidence.entry import SALT_SIZE_BYTES, Envelope, envelope_fields, parse_envelope
from server.evidence.errors import EvidenceError, MalformedVoucher
from server.evidence.merkle import HASH_SIZE_BYTES, MAX_PROOF_LENGTH
from server.evidence.proof import InclusionProof, encode_proof, parse_proof

FORMAT = "proofcall-voucher"
VERSION = 2
MAX_VOUCHER_SIZE_BYTES = 512 << 10  # two bodies of 64 KiB, two proofs, a checkpoint of 64 KiB, and room
MAX_ATTESTED = 16  # checkpoints: one with cosignatures, and one for each time-stamping authority
MAX_PDF_SIZE_BYTES = 16 << 20  # a hundred times what the pages take
PDF_KEY = "ProofcallVoucher"  # in the dictionary of the attached file: nobody else's attachment has it

FIELDS = frozenset(
    {
        "case_id",
        "checkpoint",
        "confirmed",
        "format",
        "handed_over",
        "seal",
        "time_zone",
        "version",
        "vkey",
        "waybill",
    }
)
FIELDS_BY_VERSION = {1: FIELDS, 2: FIELDS | {"attested"}}
ATTESTED_FIELDS = frozenset({"checkpoint", "consistency", "cosignatures", "timestamps"})
ENTRY_FIELDS = frozenset({"body", "envelope", "proof", "salt"})
PARTS = ("handed_over", "confirmed")  # in the order of the log; each is also the kind of its entry
_TEXTS = FIELDS - {"version", *PARTS}

_HASH = re.compile(f"[0-9a-f]{{{2 * HASH_SIZE_BYTES}}}")
_PDF_START = b"%PDF-"
_PDF_ATTACHED = re.compile(
    rb"/" + PDF_KEY.encode() + rb" [\s\S]{0,400}?>>\s*stream\r?\n([^\r\n]*)\r?\nendstream"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherEntry:
    """An entry of the case with all that opens it, and its way to the root."""

    envelope: Envelope
    body: Mapping[str, object]
    salt: bytes
    proof: InclusionProof


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A checkpoint of the log, the way from it to the voucher's own, and what outsiders said of it."""

    checkpoint: str
    consistency: tuple[bytes, ...]
    cosignatures: tuple[bytes, ...]  # lines with their line ends
    timestamps: tuple[bytes, ...]  # tokens, DER


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """What a voucher says. `seal` is a signed note of `seal_text`; empty before it is sealed.

    `attested` is None in version 1, which says nothing of witnesses and authorities.
    """

    waybill: str
    case_id: str
    time_zone: str
    handed_over: VoucherEntry
    confirmed: VoucherEntry
    checkpoint: str
    vkey: str
    attested: tuple[Attested, ...] | None = ()
    seal: str = ""


def seal_text(voucher: Voucher) -> str:
    """What the log's key has to sign for the seal of this voucher."""
    return seal_text_of(_document(voucher))


def seal_text_of(document: Mapping[str, object]) -> str:
    """The same of a document that was read; raises MalformedJson for what has no canonical form."""
    unsealed = {name: value for name, value in document.items() if name != "seal"}
    return f"{FORMAT}/{document['version']}\n{hashlib.sha256(encode_canonical(unsealed)).hexdigest()}\n"


def encode_voucher(voucher: Voucher) -> bytes:
    """The canonical bytes; raises MalformedJson or MalformedEntry for what cannot stand in them."""
    return encode_canonical(_document(voucher))


def parse_voucher(data: bytes) -> Voucher:
    """Read a voucher; raises MalformedVoucher. Whether it holds is for `verify_voucher` to say."""
    document = parse_document(data)
    entries = {}
    try:
        for part in PARTS:
            fields = entry_fields(document, part)
            entries[part] = VoucherEntry(
                envelope=parse_envelope(encode_canonical(fields["envelope"])),
                body=body_of(fields),
                salt=salt_of(fields),
                proof=parse_proof(encode_canonical(fields["proof"]), str(document["checkpoint"])),
            )
    except EvidenceError as error:
        raise MalformedVoucher(f"{part}: {error}") from None
    attested = None if document["version"] == 1 else tuple(map(parse_attested, attested_of(document)))
    return Voucher(
        waybill=str(document["waybill"]),
        case_id=str(document["case_id"]),
        time_zone=str(document["time_zone"]),
        handed_over=entries["handed_over"],
        confirmed=entries["confirmed"],
        checkpoint=str(document["checkpoint"]),
        vkey=str(document["vkey"]),
        attested=attested,
        seal=str(document["seal"]),
    )


def parse_document(data: bytes) -> JsonObject:
    """The outer form alone: canonical JSON, the fields of this format, each of its type. MalformedVoucher."""
    if len(data) > MAX_VOUCHER_SIZE_BYTES:
        raise MalformedVoucher(f"a voucher has {MAX_VOUCHER_SIZE_BYTES} bytes at most")
    try:
        document = parse_canonical_object(data)
    except EvidenceError as error:
        raise MalformedVoucher(str(error)) from None
    if document.get("format") != FORMAT:
        raise MalformedVoucher("this is JSON, but no voucher")
    version = document.get("version")
    if type(version) is not int or version not in FIELDS_BY_VERSION:
        raise MalformedVoucher("the voucher is of a version that is not known here")
    if document.keys() != FIELDS_BY_VERSION[version]:
        raise MalformedVoucher("the voucher has not exactly the fields of its format")
    for name in sorted(_TEXTS):
        if not isinstance(document[name], str):
            raise MalformedVoucher(f"{name} is not a text")
    return document


def entry_fields(document: JsonObject, part: str) -> JsonObject:
    """The fields of one of the two entries; raises MalformedVoucher."""
    fields = document[part]
    if not isinstance(fields, dict) or fields.keys() != ENTRY_FIELDS:
        raise MalformedVoucher(f"an entry has the fields {', '.join(sorted(ENTRY_FIELDS))}")
    return fields


def attested_of(document: JsonObject) -> list[object]:
    """The attested checkpoints, none of them read as yet: none in version 1. Raises MalformedVoucher."""
    items = document.get("attested", [])
    if not isinstance(items, list) or len(items) > MAX_ATTESTED:
        raise MalformedVoucher(f"attested is no list of {MAX_ATTESTED} checkpoints at most")
    return list(items)


def parse_attested(item: object) -> Attested:
    """One of them, its form alone; raises MalformedVoucher."""
    if not isinstance(item, dict) or item.keys() != ATTESTED_FIELDS:
        raise MalformedVoucher(f"an attested checkpoint has the fields {', '.join(sorted(ATTESTED_FIELDS))}")
    checkpoint, cosignatures = item["checkpoint"], item["cosignatures"]
    if not isinstance(checkpoint, str) or not isinstance(cosignatures, str):
        raise MalformedVoucher("checkpoint and cosignatures are texts")
    hashes, timestamps = item["consistency"], item["timestamps"]
    if not _are_texts(hashes) or len(hashes) > MAX_PROOF_LENGTH or not all(map(_HASH.fullmatch, hashes)):
        raise MalformedVoucher("consistency is no list of hashes in hex")
    if not _are_texts(timestamps):
        raise MalformedVoucher("timestamps is no list of texts")
    try:
        return Attested(
            checkpoint=checkpoint,
            consistency=tuple(map(bytes.fromhex, hashes)),
            cosignatures=tuple(split_cosignatures(cosignatures.encode())),
            timestamps=tuple(map(_decode_token, timestamps)),
        )
    except EvidenceError as error:
        raise MalformedVoucher(str(error)) from None


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _decode_token(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise MalformedVoucher("a timestamp is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise MalformedVoucher("a timestamp is not the base64 of its value")
    return data


def salt_of(fields: JsonObject) -> bytes:
    """The salt of an entry; raises MalformedVoucher."""
    salt = fields["salt"]
    if not isinstance(salt, str) or re.fullmatch(f"[0-9a-f]{{{2 * SALT_SIZE_BYTES}}}", salt) is None:
        raise MalformedVoucher(f"the salt has not {2 * SALT_SIZE_BYTES} hex digits")
    return bytes.fromhex(salt)


def body_of(fields: JsonObject) -> JsonObject:
    """The body of an entry; raises MalformedVoucher."""
    body = fields["body"]
    if not isinstance(body, dict):
        raise MalformedVoucher("the body is not an object")
    return body


def is_voucher(data: File) -> bool:
    """Whether a file means to be a voucher, whole or not: a JSON of this format, or a PDF."""
    if bytes(data[: len(_PDF_START)]) == _PDF_START:
        return True
    head = bytes(data[:MAX_VOUCHER_SIZE_BYTES])
    return not head.startswith(b"PK") and (head.startswith(b"{") or FORMAT.encode() in head)


def find_voucher(data: File) -> bytes:
    """The bytes of the document, from a file of its own or from a PDF; raises MalformedVoucher."""
    if bytes(data[: len(_PDF_START)]) != _PDF_START:
        return bytes(data[: MAX_VOUCHER_SIZE_BYTES + 1])
    if len(data) > MAX_PDF_SIZE_BYTES:
        raise MalformedVoucher("the PDF is far larger than a voucher")
    found = _PDF_ATTACHED.findall(bytes(data))
    if len(found) != 1:
        raise MalformedVoucher(
            "this PDF carries no voucher: printed or saved anew it loses what proves it. Use the PDF as it "
            "was downloaded, or the JSON file"
            if not found
            else "this PDF carries more than one voucher"
        )
    return bytes(found[0])


def is_pdf(data: File) -> bool:
    return bytes(data[: len(_PDF_START)]) == _PDF_START


def _document(voucher: Voucher) -> dict[str, object]:
    attested = {} if voucher.attested is None else {"attested": [_attested(one) for one in voucher.attested]}
    return attested | {
        "format": FORMAT,
        "version": 1 if voucher.attested is None else VERSION,
        "waybill": voucher.waybill,
        "case_id": voucher.case_id,
        "time_zone": voucher.time_zone,
        "handed_over": _entry(voucher.handed_over),
        "confirmed": _entry(voucher.confirmed),
        "checkpoint": voucher.checkpoint,
        "vkey": voucher.vkey,
        "seal": voucher.seal,
    }


def _attested(attested: Attested) -> dict[str, object]:
    return {
        "checkpoint": attested.checkpoint,
        "consistency": [one.hex() for one in attested.consistency],
        "cosignatures": b"".join(attested.cosignatures).decode(),
        "timestamps": [base64.b64encode(token).decode() for token in attested.timestamps],
    }


def _entry(entry: VoucherEntry) -> dict[str, object]:
    return {
        "envelope": envelope_fields(entry.envelope),
        "body": entry.body,
        "salt": entry.salt.hex(),
        "proof": parse_canonical_object(encode_proof(entry.proof)),
    }
