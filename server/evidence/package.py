"""The package: a whole case in one file that proves itself, without us and without a network.

    README.txt                      how to check it by hand; the same bytes in every package
    blobs/<sha256>                  pictures and files, each under its own hash
    checkpoint                      the signed note: size and root of the log
    entries/000017/envelope.json    the leaf of the log
    entries/000017/body.json        what the envelope commits to, and
    entries/000017/salt             the 32 bytes that open the commitment
    entries/000017/proof.json       the way from the leaf to the root
    manifest.json                   every other file with its size and SHA-256
    vkey                            the verifier key of the log

A missing `body.json` and `salt` is a case for later versions, when a body may be withheld or erased: the
envelope and its proof stand without them.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from server.evidence.canonical import JsonObject, JsonValue
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.container import encode_container
from server.evidence.entry import Entry, encode_body
from server.evidence.errors import MalformedPackage
from server.evidence.proof import InclusionProof, encode_proof

FORMAT = "proofcall-package"
FORMAT_VERSION = 1

README = """\
PROOFCALL EVIDENCE PACKAGE
==========================

This file holds one case: everything that was said, shown and decided, in numbered entries, and the proof
that nothing of it was changed, removed or slipped in after the log was signed.

The short way:     proofcall verify PACKAGE.zip --key KEY
KEY is the log's verifier key. Take it from a source other than this package, for instance from an earlier
package or from the operator's public page. Without it the package is only checked against itself.

By hand, for entry 17 (a shell, sha256sum and openssl 3 are enough). Unzip the package into an empty folder
and go into it:

1. The body is the one that was sealed.
     cat entries/000017/salt entries/000017/body.json | sha256sum
   must be the "commitment" in entries/000017/envelope.json.
2. The entries hang together, without a hole.
     sha256sum entries/000016/envelope.json
   must be the "previous_hash" in entries/000017/envelope.json; entry 1 has 64 zeros there. The numbers run
   from 1 on; the last entry is "exported" and says how many entries came before it.
3. A picture is the one that was sealed.
     sha256sum blobs/*
   must be the names of the files, and stand in the bodies of the entries that they belong to.
4. The entry is in the log (RFC 9162, section 2.1.3.2).
     (printf '\\000'; cat entries/000017/envelope.json) | sha256sum
   is the leaf. Go through "hashes" in entries/000017/proof.json from first to last, with fn = leaf_index and
   sn = tree_size - 1. If fn is odd or equals sn, the new hash is SHA-256(byte 01, given hash, own hash), and
   while fn is even and not 0, halve fn and sn. Otherwise it is SHA-256(byte 01, own hash, given hash). Then
   halve both, rounding down. In the end sn is 0, and the hash in base64 is line 3 of the file checkpoint.
5. The checkpoint was signed by the log (Ed25519, RFC 8032; C2SP signed-note).
     head -n 3 checkpoint > signed.text
     sed -n 5p checkpoint | cut -d ' ' -f 3 | base64 -d | tail -c 64 > signature
     printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000' > key
     cut -d + -f 3- vkey | base64 -d | tail -c 32 >> key
     openssl pkeyutl -verify -pubin -inkey key -keyform DER -rawin -in signed.text -sigfile signature
   must say that the signature is verified. The file vkey must be the key that you know from elsewhere.

What this package does not prove by itself: that its key is the operator's (compare it), that the clock
of the server was right, that no second log was kept beside this one (ask for witnesses), and that nothing
was entered into the case after the export.

证据包
======

本文件包含一个案件的全部记录:所有言语、画面与决定均按编号排列,并附有证明:自日志签名之后,没有任何内容
被更改、删除或插入。校验方法:proofcall verify PACKAGE.zip --key KEY。KEY 是日志的验证公钥,请从本文件以外
的来源取得。也可按上文步骤用 sha256sum 与 openssl 手工校验。本文件自身不能证明:公钥确属运营方、服务器时钟
准确、不存在另一份日志,以及导出之后案件没有新的记录。
"""

_ENTRY_FILE = re.compile(
    r"entries/(?!000000)([0-9]{6}|[1-9][0-9]{6,8})/(envelope\.json|body\.json|salt|proof\.json)"
)
_BLOB_FILE = re.compile(r"blobs/([0-9a-f]{64})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
FIXED_FILES = frozenset({"README.txt", "checkpoint", "manifest.json", "vkey"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobReference:
    """How a body names a blob: an object with exactly these three members, under any key."""

    sha256: str
    size_bytes: int
    media_type: str


def build_package(
    *,
    entries: Sequence[Entry],
    blobs: Mapping[str, bytes],
    proofs: Sequence[InclusionProof],
    checkpoint: str,
    vkey: str,
) -> bytes:
    """The package of a case: the same input gives the same bytes.

    `entries` are all of the case, in order; `proofs` are theirs, in the same order and under `checkpoint`;
    `blobs` are keyed by SHA-256. A blob that could not be read may be left out: the package then says of
    itself, when it is verified, which entry lacks it. Raises MalformedPackage if these do not fit together.
    """
    case_ids = {entry.envelope.case_id for entry in entries}
    if [entry.envelope.number for entry in entries] != list(range(1, len(entries) + 1)) or len(case_ids) != 1:
        raise MalformedPackage("a package holds all entries of one case, in their order")
    tree_size = parse_checkpoint(checkpoint).tree_size
    if [(proof.leaf_index, proof.tree_size) for proof in proofs] != [
        (entry.leaf_index, tree_size) for entry in entries
    ]:
        raise MalformedPackage("a package holds one proof for each entry, under its checkpoint")
    wanted = {reference.sha256 for entry in entries for reference in blob_references(entry.body)}
    if blobs.keys() - wanted:
        raise MalformedPackage("a package holds only blobs that its entries name")
    members = {
        "README.txt": README.encode(),
        "checkpoint": checkpoint.encode(),
        "vkey": f"{vkey}\n".encode(),
    }
    for entry, proof in zip(entries, proofs, strict=True):
        folder = entry_folder(entry.envelope.number)
        members[f"{folder}envelope.json"] = entry.envelope_bytes
        members[f"{folder}body.json"] = encode_body(entry.body)
        members[f"{folder}salt"] = entry.salt
        members[f"{folder}proof.json"] = encode_proof(proof)
    for sha256, data in blobs.items():
        members[f"blobs/{sha256}"] = data
    manifest = encode_manifest(members, case_ids.pop(), tree_size)
    return encode_container({**members, "manifest.json": manifest})


def encode_manifest(members: Mapping[str, bytes], case_id: str | None, tree_size: int | None) -> bytes:
    """The bytes of the manifest that belongs to these files; it does not list itself.

    Canonical JSON, written out by hand: nothing that stands in a package needs an escape.
    """
    files = ",".join(
        f'{{"name":"{name}","sha256":"{hashlib.sha256(data).hexdigest()}","size_bytes":{len(data)}}}'
        for name, data in sorted(members.items())
        if name != "manifest.json"
    )
    blobs = sum(name.startswith("blobs/") for name in members)
    entries = sum(name.endswith("/envelope.json") for name in members)
    return (
        f'{{"blobs":{blobs},"case_id":"{case_id}","entries":{entries},"files":[{files}]'
        f',"format":"{FORMAT}","tree_size":{tree_size},"version":{FORMAT_VERSION}}}'
    ).encode()


def file_record(name: str, data: bytes) -> JsonObject:
    """A file as the manifest lists it."""
    return {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}


def entry_folder(number: int) -> str:
    return f"entries/{number:06}/"


def parse_entry_file(name: str) -> tuple[int, str] | None:
    """Number and file of a member that belongs to an entry; None for any other name."""
    match = _ENTRY_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def parse_blob_file(name: str) -> str | None:
    """The SHA-256 that a member below `blobs/` is named by; None for any other name."""
    match = _BLOB_FILE.fullmatch(name)
    return match[1] if match else None


def blob_references(value: JsonValue) -> Iterator[BlobReference]:
    """Every blob that a body names, however deep."""
    if isinstance(value, Mapping):
        if value.keys() == {"sha256", "size_bytes", "media_type"}:
            sha256, size_bytes, media_type = value["sha256"], value["size_bytes"], value["media_type"]
            if (
                isinstance(sha256, str)
                and _SHA256.fullmatch(sha256)
                and type(size_bytes) is int
                and isinstance(media_type, str)
            ):
                yield BlobReference(sha256=sha256, size_bytes=size_bytes, media_type=media_type)
            return
        for item in value.values():
            yield from blob_references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from blob_references(item)
