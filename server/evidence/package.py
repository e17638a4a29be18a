"""The package: a whole case in one file that proves itself, without us and without a network.

    README.txt                      how to check it by hand; the same bytes in every package
    attested/57/checkpoint          a checkpoint of 57 leaves that somebody outside spoke of, as it was signed
    attested/57/consistency.json    the way from it to `checkpoint`; absent where it is the same size
    attested/57/cosignatures        the signature lines of witnesses, one a line
    attested/57/timestamp-1.der     a token of RFC 3161 over attested/57/checkpoint; then timestamp-2.der, ...
    blobs/<sha256>                  pictures, files and segments of the journal, each under its own hash
    certificates.pem                roots of the time-stamping authorities, as the service has them
    check.html                      a page that checks packages in a browser; the same bytes in every package
    checkpoint                      the signed note: size and root of the log
    credentials/<sha256>.jpg        the copy with Content Credentials (C2PA) of the picture blobs/<sha256>
    custody.json                    who saw and exported what
    entries/000017/envelope.json    the leaf of the log
    entries/000017/body.json        what the envelope commits to, and
    entries/000017/salt             the 32 bytes that open the commitment
    entries/000017/proof.json       the way from the leaf to the root
    keys.json                       how the log's key follows from earlier ones (`handover`), if any
    manifest.json                   every other file with its size and SHA-256
    playback/1-<actor>-2.webm       part 2 of what is recorded of that person in call 1 (or .mp4)
    playback/index.json             from which segments each of these files was made
    policy.txt                      witnesses, and how many must agree (C2SP tlog-policy), as in the service
    report.en.pdf, report.zh.pdf    the case told for people
    verify.pyz                      a verifier that wants Python alone; the same bytes in every package
    vkey                            the verifier key of the log

This is version 3 of the format. Versions 1 and 2 have README.txt, blobs, checkpoint, entries, manifest.json
and vkey alone, and each entry of theirs has its four files. In every version README.txt, checkpoint,
manifest.json and vkey must be there, in version 3 custody.json as well; any other file may be missing.

    consistency.json    {"from":57,"hashes":["<base64>",...],"to":91}: RFC 9162 section 2.1.4, in that order
    custody.json        {"custody":[{"actor_id":...,"body":{...},"entry":9,"kind":"read","recorded_at":...,
                        "role":...},...],"format":"proofcall-custody","version":1}: an object for each entry
                        of CUSTODY_KINDS, in their order, with what its envelope and body say; "body":null
                        where the body was erased
    playback/index.json {"files":[{"file":"playback/1-l_a-2.webm","segments":[{"entry":12,"sha256":...},...]},
                        ...],"format":"proofcall-playback","version":1}: in the order of their names

These are canonical JSON, and so is keys.json, whose form and meaning stand in `handover`. What was derived
(check.html, credentials, custody.json, playback, reports, verify.pyz) proves nothing: custody.json is made
again and compared, playback must name segments of the case.

An entry whose body was erased has neither body.json nor salt: envelope and proof stand without them. An entry
`erased` of the case says so; a body that is missing without one is a failure, and so is one half of the pair.

A package is written file by file, because the journal of a call is larger than what memory should hold. The
manifest stands before playback in the order of names: whoever writes has to know those files' hashes before.
"""

import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, Protocol

from server.evidence.canonical import JsonObject, JsonValue, encode_canonical
from server.evidence.checkpoint import parse_checkpoint
from server.evidence.container import ContainerWriter, Content, check_room, size_of_container
from server.evidence.entry import Entry, Envelope, encode_body, encode_time
from server.evidence.errors import MalformedPackage
from server.evidence.proof import InclusionProof, encode_proof

FORMAT = "proofcall-package"
FORMAT_VERSION = 3  # 2: journals, and a README that speaks of them; 3: attestations, erasure, derived files
CUSTODY_FORMAT = "proofcall-custody"
PLAYBACK_FORMAT = "proofcall-playback"
CUSTODY_KINDS = frozenset({"exported", "played_back", "read", "refused", "viewed"})
PIECE_BYTES = 1 << 20  # of a large file, read at once

README = """\
PROOFCALL EVIDENCE PACKAGE
==========================

This file holds one case: everything that was said, shown and decided, in numbered entries, and the proof
that nothing of it was changed, removed or slipped in after the log was signed.

Three ways to check it, none of which needs a network:
     proofcall verify PACKAGE.zip --trust TRUST.json
     python3 verify.pyz PACKAGE.zip --trust TRUST.json
     open check.html in a browser, and drop the package on it
TRUST.json names the log's key, the roots of time-stamping authorities and the witnesses that you trust. Take
them from a source other than this package: from an earlier package, from the operator's public page, from the
authority. Without them the package is only checked against itself. In the same way verify.pyz and check.html
are this package's own word: take them from a source that you trust, or compare their SHA-256 with that of
another package's. They are the same bytes in every package of one version of Proofcall.

report.en.pdf and report.zh.pdf tell the case for people; playback/ holds the calls as files to be played.
Both were made from the entries and prove nothing themselves.

By hand, for entry 17 (a shell, sha256sum and openssl 3 are enough). Unzip the package into an empty folder
and go into it:

1. The body is the one that was sealed.
     cat entries/000017/salt entries/000017/body.json | sha256sum
   must be the "commitment" in entries/000017/envelope.json. An entry without both files was erased: an entry
   "erased" of the case says when, why and on whose word, and the envelope still proves that it was there.
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
6. The time comes from outside (RFC 3161). A folder of attested/ is named by the size of a checkpoint that
   somebody outside has seen; every entry whose leaf_index is smaller was there by then. For a folder 57:
     cd attested/57
     openssl ts -verify -data checkpoint -in timestamp-1.der -token_in -CAfile ROOTS.pem
   must say OK, with the roots of an authority that you trust. The time that it vouches for is shown by
     openssl ts -reply -in timestamp-1.der -token_in -text
   consistency.json leads from that checkpoint to the package's (RFC 9162, section 2.1.4.2).
7. Witnesses saw the same log. Each line of attested/57/cosignatures is the signature of a witness over
   attested/57/checkpoint (C2SP tlog-cosignature). Their keys they tell themselves: ask them.

What this package does not prove by itself: that its key is the operator's (compare it); that the clock of
the server was right, where no time from outside covers an entry; that no second log was kept beside this one,
where no witness has signed (compare with a checkpoint or a package that somebody else holds, proofcall verify
--against); that a camera was pointed at what it shows; and that nothing was entered into the case after the
export.

证据包
======

本文件包含一个案件的全部记录:所有言语、画面与决定均按编号排列,并附有证明:自日志签名之后,没有任何内容
被更改、删除或插入。

三种校验方法,均不需要网络:proofcall verify PACKAGE.zip --trust TRUST.json;python3 verify.pyz PACKAGE.zip
--trust TRUST.json;或用浏览器打开 check.html 并将证据包拖入。TRUST.json 写明您信任的日志公钥、时间戳机构根证书
与见证方,请从本文件以外的来源取得。verify.pyz 与 check.html 同样出自本文件:请从可信来源取得,或将其 SHA-256
与另一证据包中的比对。也可按上文步骤用 sha256sum 与 openssl 手工校验。

report.zh.pdf 是供阅读的报告,playback/ 是可播放的通话;两者均由记录生成,本身不构成证明。通话的声音与画面按
收到的原样分段保存在 blobs/ 中(rtpdump 格式,可用 Wireshark 打开),按通话与发送者从 1 起连续编号;丢失的分段
也有记录。每张截图都注明其所在的分段与数据包,校验时会重新解码并比对。已被删除的记录没有 body.json 与 salt:
案件中的 erased 记录说明删除的时间与原因,其信封与证明仍然有效。attested/ 中是外部时间戳机构与见证方对日志检查
点的签名。

本文件自身不能证明:公钥确属运营方;未被外部时间覆盖之处,服务器时钟准确;未经见证之处,不存在另一份日志(可用
--against 与他人持有的检查点或证据包比对);镜头所拍确为实情;以及导出之后案件没有新的记录。
"""

# The text of each version: a package says which it is, and carries that text to the byte.
README_SHA256 = {
    1: "b51c83e2598aed677c92f88468a32b74068d9f577fef428842cb2e46a90d318b",
    2: "3bd6c5cb784cf8786875c1acfcab3e3efc5d897bdf55013eca1ebc73def3b499",
    FORMAT_VERSION: hashlib.sha256(README.encode()).hexdigest(),
}
_VERSION_END_BYTES = len(b'"version":99}')
_DERIVED_VERSION = 3  # the first version that holds more than entries and blobs

_ENTRY_FILE = re.compile(
    r"entries/(?!000000)([0-9]{6}|[1-9][0-9]{6,8})/(envelope\.json|body\.json|salt|proof\.json)"
)
_BLOB_FILE = re.compile(r"blobs/([0-9a-f]{64})")
_ATTESTED_FILE = re.compile(
    r"attested/([1-9][0-9]{0,14})/(checkpoint|consistency\.json|cosignatures|timestamp-[1-9][0-9]{0,3}\.der)"
)
_CREDENTIALS_FILE = re.compile(r"credentials/([0-9a-f]{64})\.jpg")
_PLAYBACK_FILE = re.compile(r"playback/[1-9][0-9]{0,8}-[A-Za-z0-9_-]{1,64}-[1-9][0-9]{0,8}\.(?:webm|mp4)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
ENTRY_FILES = frozenset({"envelope.json", "body.json", "salt", "proof.json"})
FIXED_FILES = frozenset({"README.txt", "checkpoint", "manifest.json", "vkey"})
PLAYBACK_INDEX = "playback/index.json"
CUSTODY_FILE = "custody.json"
KEYS_FILE = "keys.json"
OPTIONAL_FILES = frozenset(
    {
        PLAYBACK_INDEX,
        "certificates.pem",
        "check.html",
        KEYS_FILE,
        "policy.txt",
        "report.en.pdf",
        "report.zh.pdf",
        "verify.pyz",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobReference:
    """How a body names a blob: an object with exactly these three members, under any key."""

    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedCheckpoint:
    """A checkpoint of the same log that somebody outside spoke of, and what they said."""

    checkpoint: str  # as the log signed it, without cosignatures
    consistency: Sequence[bytes] = ()  # from it to the package's checkpoint
    cosignatures: Sequence[str] = ()  # signature lines, each with its line end
    timestamps: Sequence[bytes] = ()  # tokens of RFC 3161


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFile:
    """A part of a recorded call, as a file, and the segments (entry, SHA-256) that it was made from."""

    call_number: int
    actor_id: str
    part: int
    extension: Literal["webm", "mp4"]
    segments: Sequence[tuple[int, str]]
    size_bytes: int

    @property
    def name(self) -> str:
        return f"playback/{self.call_number}-{self.actor_id}-{self.part}.{self.extension}"


class StoredFile(Protocol):
    """A file that may be larger than what memory should hold, and was read once for its sums."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    @property
    def crc(self) -> int: ...

    def read_now(self, offset: int, size: int) -> bytes:
        """The bytes from `offset` on, fewer than `size` only at the end. May block."""

    def close(self) -> None: ...


class Shelf(Protocol):
    """Where the writer takes the large files from: blobs, credentials, playback."""

    def open(self, name: str) -> StoredFile | None:
        """The file of this name in the package; None where it is not there, or not whole. May block."""


class PackageWriter:
    """Writes the package of a case, file by file.

    `entries` are all of the case, in order; `proofs` are theirs, in the same order and under `checkpoint`.
    `files` are small files of OPTIONAL_FILES; `credentials` are the pictures of which there are copies, with
    the size of the copy. Raises MalformedPackage if these do not fit together, or if the package would be too
    large: what a package holds is known before its first byte.
    """

    def __init__(
        self,
        *,
        entries: Sequence[Entry],
        proofs: Sequence[InclusionProof],
        checkpoint: str,
        vkey: str,
        attested: Sequence[AttestedCheckpoint] = (),
        files: Mapping[str, bytes] | None = None,
        credentials: Mapping[str, int] | None = None,
        playback: Sequence[PlaybackFile] = (),
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
        self._case_id = case_ids.pop()
        small = dict(files or {})
        if not small.keys() <= OPTIONAL_FILES - {PLAYBACK_INDEX}:
            raise MalformedPackage(f"a package has no place for {sorted(small.keys() - OPTIONAL_FILES)}")
        small |= {"README.txt": README.encode(), "checkpoint": checkpoint.encode()}
        small |= {"vkey": f"{vkey}\n".encode(), CUSTODY_FILE: encode_custody(_told(entries))}
        for item in attested:
            small |= _attested_files(item, self._tree_size)
        if playback:
            small[PLAYBACK_INDEX] = encode_playback_index(playback)
        self._entries, self._proofs = entries, proofs
        self._small = small
        references = [reference for entry in entries for reference in blob_references(entry.body)]
        self._large = {f"blobs/{reference.sha256}": reference.size_bytes for reference in references}
        self._large |= {f"credentials/{sha256}.jpg": size for sha256, size in (credentials or {}).items()}
        self._large |= {file.name: file.size_bytes for file in playback}
        for name in self._large:
            if not is_package_file(name, FORMAT_VERSION):
                raise MalformedPackage(f"{name[:80]!r} is not the name of a file in a package")
        self._container = ContainerWriter()
        self._listed: dict[
            str, tuple[str, str, int]
        ] = {}  # name, SHA-256 and size of what the manifest lists
        sizes = self._sizes()
        check_room(sizes)
        self.size_bytes = size_of_container(sizes)

    @property
    def large_files(self) -> list[str]:
        """The names of the files that are taken from the shelf."""
        return sorted(self._large)

    def pieces(self, shelf: Shelf) -> Iterator[Content]:
        """The bytes of the package, in order; of a large file no more than PIECE_BYTES at once.

        A large file that the shelf does not have is left out: the package then says of itself, when it is
        verified, which entry lacks it. Then it is shorter than `size_bytes`. Raises MalformedPackage if a
        file changes while it is written, which ends the package: what was written of it is none.
        """
        folders = {entry_folder(entry.envelope.number): place for place, entry in enumerate(self._entries)}
        after = sorted(name for name in self._large if name > "manifest.json")
        for name in sorted([*self._small, *self._large, *folders, "manifest.json"]):
            if name in self._large:
                yield from self._write_large(shelf, name)
            elif name in folders:
                place = folders[name]
                for file, data in entry_files(self._entries[place], self._proofs[place]):
                    yield from self._write(f"{name}{file}", data)
            elif name == "manifest.json":
                for later in after:
                    self._list_large(shelf, later)
                for later in self._small:
                    self._list(later, self._small[later])
                listed = sorted(self._listed.values())
                data = encode_manifest(listed, self._case_id, self._tree_size, FORMAT_VERSION)
                yield from self._container.add(name, data)
            else:
                yield from self._write(name, self._small[name])
        yield self._container.end()

    def _list(self, name: str, data: Content) -> None:
        self._listed[name] = name, hashlib.sha256(data).hexdigest(), len(data)

    def _write(self, name: str, data: Content) -> list[Content]:
        if name not in self._listed:
            self._list(name, data)
        return self._container.add(name, data)

    def _list_large(self, shelf: Shelf, name: str) -> None:
        file = shelf.open(name)
        if file is not None:
            with closing(file):
                self._listed[name] = name, file.sha256, file.size_bytes

    def _write_large(self, shelf: Shelf, name: str) -> Iterator[Content]:
        file = shelf.open(name)
        if file is None:
            if name in self._listed:
                raise MalformedPackage(f"{name} was there, and is not any more")
            return
        with closing(file):
            listed = name, file.sha256, file.size_bytes
            if self._listed.setdefault(name, listed) != listed:
                raise MalformedPackage(f"{name} changed while the package was written")
            yield self._container.begin(name, file.crc, file.size_bytes)
            crc = 0
            for offset in range(0, file.size_bytes, PIECE_BYTES):
                piece = file.read_now(offset, PIECE_BYTES)
                crc = zlib.crc32(piece, crc)
                yield piece
            if crc != file.crc:
                raise MalformedPackage(f"{name} changed while the package was written")

    def _sizes(self) -> dict[str, int]:
        """The size of every file, as it will be if nothing is missing from the shelf."""
        sizes = {name: len(data) for name, data in self._small.items()} | self._large
        for entry, proof in zip(self._entries, self._proofs, strict=True):
            folder = entry_folder(entry.envelope.number)
            sizes |= {f"{folder}{file}": len(data) for file, data in entry_files(entry, proof)}
        listed = [(name, "0" * 64, size) for name, size in sizes.items()]
        sizes["manifest.json"] = len(encode_manifest(listed, self._case_id, self._tree_size, FORMAT_VERSION))
        return sizes


def entry_files(entry: Entry, proof: InclusionProof) -> Iterator[tuple[str, bytes]]:
    """The files of an entry's folder, in the order of their names."""
    if not entry.is_erased:
        yield "body.json", encode_body(entry.body)
    yield "envelope.json", entry.envelope_bytes
    yield "proof.json", encode_proof(proof)
    if not entry.is_erased:
        yield "salt", entry.salt


def build_package(
    *,
    entries: Sequence[Entry],
    blobs: Mapping[str, bytes],
    proofs: Sequence[InclusionProof],
    checkpoint: str,
    vkey: str,
    attested: Sequence[AttestedCheckpoint] = (),
    files: Mapping[str, bytes] | None = None,
    credentials: Mapping[str, bytes] | None = None,
    playback: Sequence[tuple[PlaybackFile, bytes]] = (),
) -> bytes:
    """A whole package in memory, as `PackageWriter` writes it: the same input gives the same bytes."""
    writer = PackageWriter(
        entries=entries,
        proofs=proofs,
        checkpoint=checkpoint,
        vkey=vkey,
        attested=attested,
        files=files,
        credentials={sha256: len(data) for sha256, data in (credentials or {}).items()},
        playback=[file for file, _ in playback],
    )
    held = {f"blobs/{sha256}": data for sha256, data in blobs.items()}
    held |= {f"credentials/{sha256}.jpg": data for sha256, data in (credentials or {}).items()}
    held |= {file.name: data for file, data in playback}
    if not held.keys() <= set(writer.large_files):
        raise MalformedPackage("a package holds only blobs that its entries name")
    return b"".join(writer.pieces(_Memory(held)))


class HeldFile:
    """A stored file that is in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size_bytes = len(data)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.crc = zlib.crc32(data)

    def read_now(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    def close(self) -> None:
        """Nothing is open."""


class _Memory:
    """A shelf of files in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def open(self, name: str) -> StoredFile | None:
        data = self._files.get(name)
        return None if data is None else HeldFile(data)


def _told(entries: Iterable[Entry]) -> Iterator[tuple[Envelope, JsonObject | None]]:
    for entry in entries:
        yield entry.envelope, None if entry.is_erased else entry.body


def _attested_files(item: AttestedCheckpoint, tree_size: int) -> dict[str, bytes]:
    size = parse_checkpoint(item.checkpoint).tree_size
    if size > tree_size:
        raise MalformedPackage(f"a checkpoint of {size} leaves is none of a log of {tree_size} leaves")
    folder = attested_folder(size)
    files = {f"{folder}checkpoint": item.checkpoint.encode()}
    if size < tree_size:
        files[f"{folder}consistency.json"] = encode_consistency(size, tree_size, item.consistency)
    if item.cosignatures:
        files[f"{folder}cosignatures"] = "".join(item.cosignatures).encode()
    for number, token in enumerate(item.timestamps, 1):
        files[f"{folder}timestamp-{number}.der"] = token
    return files


def encode_consistency(first: int, second: int, hashes: Sequence[bytes]) -> bytes:
    """The bytes of `consistency.json` (RFC 9162 section 2.1.4)."""
    texts = [b64encode(item).decode() for item in hashes]
    return encode_canonical({"from": first, "hashes": texts, "to": second})


def encode_custody(entries: Iterable[tuple[Envelope, JsonObject | None]]) -> bytes:
    """The bytes of `custody.json`: what the entries of a case say of who saw and exported what."""
    told: list[JsonValue] = [
        {
            "actor_id": envelope.actor_id,
            "body": body,
            "entry": envelope.number,
            "kind": envelope.kind,
            "recorded_at": encode_time(envelope.recorded_at),
            "role": envelope.role,
        }
        for envelope, body in entries
        if envelope.kind in CUSTODY_KINDS
    ]
    return encode_canonical({"custody": told, "format": CUSTODY_FORMAT, "version": 1})


def encode_playback_index(files: Iterable[PlaybackFile]) -> bytes:
    """The bytes of `playback/index.json`."""
    told: list[JsonValue] = [
        {
            "file": file.name,
            "segments": [{"entry": entry, "sha256": sha256} for entry, sha256 in file.segments],
        }
        for file in sorted(files, key=_by_name)
    ]
    return encode_canonical({"files": told, "format": PLAYBACK_FORMAT, "version": 1})


def _by_name(file: PlaybackFile) -> str:
    return file.name


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


def entry_folder(number: int) -> str:
    return f"entries/{number:06}/"


def parse_entry_file(name: str) -> tuple[int, str] | None:
    """Number and file of a member that belongs to an entry; None for any other name."""
    match = _ENTRY_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def attested_folder(tree_size: int) -> str:
    return f"attested/{tree_size}/"


def required_files(version: int) -> frozenset[str]:
    """The names of the files that every package of a version holds."""
    return FIXED_FILES if version < _DERIVED_VERSION else FIXED_FILES | {CUSTODY_FILE}


def is_package_file(name: str, version: int) -> bool:
    """Whether a file of this name may be in a package of a version."""
    if name in FIXED_FILES or _ENTRY_FILE.fullmatch(name) or _BLOB_FILE.fullmatch(name):
        return True
    return version >= _DERIVED_VERSION and (
        name in OPTIONAL_FILES
        or name == CUSTODY_FILE
        or any(pattern.fullmatch(name) for pattern in (_ATTESTED_FILE, _CREDENTIALS_FILE, _PLAYBACK_FILE))
    )


def parse_attested_file(name: str) -> tuple[int, str] | None:
    """Tree size and file of a member below `attested/`; None for any other name."""
    match = _ATTESTED_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def parse_credentials_file(name: str) -> str | None:
    """The SHA-256 of the picture that a member below `credentials/` is a copy of; None for another name."""
    match = _CREDENTIALS_FILE.fullmatch(name)
    return match[1] if match else None


def is_playback_file(name: str) -> bool:
    return _PLAYBACK_FILE.fullmatch(name) is not None


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
