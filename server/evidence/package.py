"""The package: a whole case in one file that proves itself, without us and without a network.

    README.txt                      how to check it by hand; the same bytes in every package
    blobs/<sha256>                  pictures, files and segments of the journal, each under its own hash
    checkpoint                      the signed note: size and root of the log
    entries/000017/envelope.json    the leaf of the log
    entries/000017/body.json        what the envelope commits to, and
    entries/000017/salt             the 32 bytes that open the commitment
    entries/000017/proof.json       the way from the leaf to the root
    manifest.json                   every other file with its size and SHA-256
    vkey                            the verifier key of the log

A missing `body.json` and `salt` is a case for later versions, when a body may be withheld or erased: the
envelope and its proof stand without them.

A package is written file by file, because the journal of a call is larger than what memory should hold: blobs
come first, the manifest that lists them comes after them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from server.evidence.canonical import JsonObject, JsonValue
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.container import ContainerWriter, Content, check_room
from server.evidence.entry import Entry, encode_body
from server.evidence.errors import MalformedPackage
from server.evidence.proof import InclusionProof, encode_proof

FORMAT = "proofcall-package"
FORMAT_VERSION = 2  # 2: journals, and a README that speaks of them
MANIFEST_RECORD_BYTES = 128  # more than a file costs in the manifest besides its name

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
3. A picture, and a segment of the journal, is the one that was sealed.
     sha256sum blobs/*
   must be the names of the files, and stand in the bodies of the entries that they belong to.
   Segments ("segment_sealed") hold the sound and picture of a call as they were received: RTP packets in the
   rtpdump format, which Wireshark opens. They are numbered for each call and sender, from 1, without a hole;
   one that was lost has an entry, too. A picture ("frame_sealed") names the segments and the packets that it
   was decoded from; proofcall verify decodes them again and compares.
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
of the server was right, that no second log was kept beside this one (compare with a checkpoint or a package
that somebody else holds, proofcall verify --against; ask for witnesses), that a camera was pointed at what it
shows, and that nothing was entered into the case after the export.

证据包
======

本文件包含一个案件的全部记录:所有言语、画面与决定均按编号排列,并附有证明:自日志签名之后,没有任何内容
被更改、删除或插入。校验方法:proofcall verify PACKAGE.zip --key KEY。KEY 是日志的验证公钥,请从本文件以外
的来源取得。也可按上文步骤用 sha256sum 与 openssl 手工校验。通话的声音与画面按收到的原样分段保存在 blobs/ 中
(rtpdump 格式,可用 Wireshark 打开),按通话与发送者从 1 起连续编号;丢失的分段也有记录。每张截图都注明其所在的
分段与数据包,校验时会重新解码并比对。本文件自身不能证明:公钥确属运营方、服务器时钟准确、不存在另一份日志
(可用 --against 与他人持有的检查点或证据包比对)、镜头所拍确为实情,以及导出之后案件没有新的记录。
"""

# The text of each version: a package says which it is, and carries that text to the byte.
README_SHA256 = {
    1: "b51c83e2598aed677c92f88468a32b74068d9f577fef428842cb2e46a90d318b",
    FORMAT_VERSION: hashlib.sha256(README.encode()).hexdigest(),
}
_VERSION_END_BYTES = len(b'"version":99}')

_ENTRY_FILE = re.compile(
    r"entries/(?!000000)([0-9]{6}|[1-9][0-9]{6,8})/(envelope\.json|body\.json|salt|proof\.json)"
)
_BLOB_FILE = re.compile(r"blobs/([0-9a-f]{64})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
ENTRY_FILES = frozenset({"envelope.json", "body.json", "salt", "proof.json"})
FIXED_FILES = frozenset({"README.txt", "checkpoint", "manifest.json", "vkey"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobReference:
    """How a body names a blob: an object with exactly these three members, under any key."""

    sha256: str
    size_bytes: int
    media_type: str


class PackageWriter:
    """Writes the package of a case, file by file; what it returns is to be sent in that order.

    `entries` are all of the case, in order; `proofs` are theirs, in the same order and under `checkpoint`.
    Raises MalformedPackage if these do not fit together, or if the package would be too large: what a package
    holds is known before its first byte.
    """

    def __init__(
        self, *, entries: Sequence[Entry], proofs: Sequence[InclusionProof], checkpoint: str, vkey: str
    ) -> None:
        case_ids = {entry.envelope.case_id for entry in entries}
        numbers = [entry.envelope.number for entry in entries]
        if numbers != list(range(1, len(entries) + 1)) or len(case_ids) != 1:
            raise MalformedPackage("a package holds all entries of one case, in their order")
        self._tree_size = parse_checkpoint(checkpoint).tree_size
        if [(proof.leaf_index, proof.tree_size) for proof in proofs] != [
            (entry.leaf_index, self._tree_size) for entry in entries
        ]:
            raise MalformedPackage("a package holds one proof for each entry, under its checkpoint")
        self._entries, self._proofs = entries, proofs
        self._checkpoint, self._vkey = checkpoint, vkey
        self._case_id = case_ids.pop()
        references = [reference for entry in entries for reference in blob_references(entry.body)]
        self._blobs = {reference.sha256: reference.size_bytes for reference in references}
        self._container = ContainerWriter()
        self._files: list[tuple[str, str, int]] = []  # name, SHA-256 and size of what was written
        self._check_room()

    @property
    def blobs(self) -> list[str]:
        """The SHA-256 of every blob that the entries name, in the order in which they are to be written."""
        return sorted(self._blobs)

    def begin(self) -> bytes:
        """What comes before the blobs."""
        return b"".join(self._add("README.txt", README.encode()))

    def add_blob(self, sha256: str, data: bytes) -> list[Content]:
        """The next blob. One that could not be read may be left out: the package then says of itself, when it
        is verified, which entry lacks it.
        """
        if sha256 not in self._blobs:
            raise MalformedPackage("a package holds only blobs that its entries name")
        return self._add(f"blobs/{sha256}", data)

    def finish(self) -> Iterator[bytes]:
        """What comes after the blobs, in small pieces."""
        yield b"".join(self._add("checkpoint", self._checkpoint.encode()))
        for entry, proof in zip(self._entries, self._proofs, strict=True):
            folder = entry_folder(entry.envelope.number)
            yield b"".join(
                [
                    *self._add(f"{folder}body.json", encode_body(entry.body)),
                    *self._add(f"{folder}envelope.json", entry.envelope_bytes),
                    *self._add(f"{folder}proof.json", encode_proof(proof)),
                    *self._add(f"{folder}salt", entry.salt),
                ]
            )
        vkey = f"{self._vkey}\n".encode()
        listed = [*self._files, _listed("vkey", vkey)]
        yield b"".join(
            self._add(
                "manifest.json", encode_manifest(listed, self._case_id, self._tree_size, FORMAT_VERSION)
            )
        )
        yield b"".join(self._add("vkey", vkey))
        yield self._container.end()

    def _add(self, name: str, data: bytes) -> list[Content]:
        self._files.append(_listed(name, data))
        return self._container.add(name, data)

    def _check_room(self) -> None:
        sizes = {
            "README.txt": len(README.encode()),
            "checkpoint": len(self._checkpoint),
            "vkey": len(self._vkey),
        }
        for sha256, size_bytes in self._blobs.items():
            sizes[f"blobs/{sha256}"] = size_bytes
        for entry, proof in zip(self._entries, self._proofs, strict=True):
            folder = entry_folder(entry.envelope.number)
            sizes[f"{folder}body.json"] = len(encode_body(entry.body))
            sizes[f"{folder}envelope.json"] = len(entry.envelope_bytes)
            sizes[f"{folder}proof.json"] = len(encode_proof(proof))
            sizes[f"{folder}salt"] = len(entry.salt)
        sizes["manifest.json"] = sum(len(name) + MANIFEST_RECORD_BYTES for name in sizes)
        check_room(sizes)


def build_package(
    *,
    entries: Sequence[Entry],
    blobs: Mapping[str, bytes],
    proofs: Sequence[InclusionProof],
    checkpoint: str,
    vkey: str,
) -> bytes:
    """A whole package in memory, as `PackageWriter` writes it: the same input gives the same bytes."""
    writer = PackageWriter(entries=entries, proofs=proofs, checkpoint=checkpoint, vkey=vkey)
    parts: list[Content] = [writer.begin()]
    for sha256 in sorted(blobs):
        parts += writer.add_blob(sha256, blobs[sha256])
    return b"".join([*parts, *writer.finish()])


def encode_manifest(
    files: Iterable[tuple[str, str, int]], case_id: str | None, tree_size: int | None, version: int
) -> bytes:
    """The bytes of the manifest that lists these files (name, SHA-256, size), in the order of their names.

    It does not list itself. Canonical JSON, written out by hand: nothing in it needs an escape.
    """
    listed = [file for file in files if file[0] != "manifest.json"]
    records = ",".join(['{"name":"%s","sha256":"%s","size_bytes":%d}' % file for file in listed])  # noqa: UP031
    blobs = sum([name.startswith("blobs/") for name, _, _ in listed])
    entries = sum([name.endswith("/envelope.json") for name, _, _ in listed])
    return (
        f'{{"blobs":{blobs},"case_id":"{case_id}","entries":{entries},"files":[{records}]'
        f',"format":"{FORMAT}","tree_size":{tree_size},"version":{version}}}'
    ).encode()


def manifest_version(manifest: Content) -> int:
    """Which version of the format a manifest claims to be; the newest, if none that is known."""
    end = bytes(manifest[-_VERSION_END_BYTES:])
    return next(
        (version for version in README_SHA256 if end.endswith(b'"version":%d}' % version)), FORMAT_VERSION
    )


def file_record(name: str, sha256: str, size_bytes: int) -> JsonObject:
    """A file as the manifest lists it."""
    return {"name": name, "sha256": sha256, "size_bytes": size_bytes}


def _listed(name: str, data: bytes) -> tuple[str, str, int]:
    return name, hashlib.sha256(data).hexdigest(), len(data)


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
