"""The container of a package: a zip that can be written in one way only.

Any tool opens it (PKWARE APPNOTE 6.3.10); but members stand in the order of their names, stored without
compression, with one fixed date, nothing between them, nothing behind them. So every byte of the file is
either content, which its CRC-32 covers, or determined by the content, and a changed byte shows wherever it
is. Names stand twice, before the data and in the directory at the end, which tells what was damaged:

    local header 0 │ data 0 │ local header 1 │ data 1 │ … │ directory 0 │ directory 1 │ … │ (Zip64 end) │ end

Zip64 (APPNOTE 4.3.14, 4.3.15, 4.5.3) stands exactly where it has to. A record of the directory has the extra
field of 12 bytes, with the offset alone, where its file begins at 2^32 - 1 or later, and then asks for
version 4.5. The end is preceded by the Zip64 end record and its locator where there are more than 65,535
files, or where offset or size of the directory are more than 2^32 - 1; fields of the end that are too narrow
then hold their largest value. A single file is smaller than 2^32 - 1 bytes, so local headers never differ.

Writing keeps a piece of a file at a time, and reading copies the small files of entries alone: a package may
be larger than memory, and a file of a stranger takes no more of it than it holds of entries.
"""

import hashlib
import itertools
import mmap as mapping
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import TypeAlias

from server.evidence.errors import MalformedPackage

MAX_MEMBERS = 400_000  # a hundred thousand entries of four files each: no case comes near
MAX_SIZE_BYTES = 2**40  # a thousand hours of calls at 2 Mbit/s
MAX_FILE_BYTES = 2**32 - 2  # APPNOTE 4.4.8: a size of 2^32 - 1 says that Zip64 has it
MAX_NAME_BYTES = 120  # the longest name in a package, of a file to be played, has 98
COPIED_BYTES = 65_536  # nothing of an entry is longer; all other files are read where they lie

MAX_16 = 2**16 - 1  # what a field of 16 bits holds at most, and
MAX_32 = 2**32 - 1  # one of 32 bits
READ_BYTES = 16 << 20  # of a mapped file at once: more would fill memory with what was read already

VERSION_NEEDED = 20  # APPNOTE 4.4.3.2: 2.0, what every unzip has understood since 1993
VERSION_ZIP64 = 45  # APPNOTE 4.4.3.2: 4.5, since 2001
MADE_BY_UNIX = 3 << 8 | VERSION_NEEDED  # APPNOTE 4.4.2: upper byte 3 is Unix, so that the mode below counts
FILE_MODE = 0o100644 << 16  # a plain file that its owner may write and everybody may read
DATE = 1 << 5 | 1  # 1 January 1980, the first day a zip knows: the times that matter stand in the entries

# APPNOTE 4.3.7, 4.3.12, 4.3.16, after their signatures and fixed fields.
_LOCAL_START = struct.pack("<IHHHHH", 0x04034B50, VERSION_NEEDED, 0, 0, 0, DATE)
_CENTRAL_START = struct.pack("<IHHHHHH", 0x02014B50, MADE_BY_UNIX, VERSION_NEEDED, 0, 0, 0, DATE)
_CENTRAL_START_ZIP64 = struct.pack("<IHHHHHH", 0x02014B50, MADE_BY_UNIX, VERSION_ZIP64, 0, 0, 0, DATE)
_LOCAL = struct.Struct(
    "<14sIIIHH"
)  # the start, CRC-32, compressed size, size, lengths of name and extra field
_SIZES = struct.Struct("<IIIHH")  # the same from the CRC-32 on; in the directory they stand the same way
_CENTRAL_REST = struct.Struct("<HHHII")  # comment length, disk, internal and external attributes, offset
_CENTRAL_MIDDLE = _CENTRAL_REST.pack(0, 0, 0, FILE_MODE, 0)[:-4]  # all of it but the offset
_EXTRA_OFFSET = struct.Struct("<HHQ")  # APPNOTE 4.5.3: tag 1, the length of what follows, the offset
_EXTRA_START = struct.pack("<HH", 1, 8)
_END = struct.Struct("<IHHHHIIH")
_END_ZIP64 = struct.Struct("<IQHHIIQQQQ")  # APPNOTE 4.3.14
_LOCATOR = struct.Struct("<IIQI")  # APPNOTE 4.3.15
_LOCAL_SIZE = _LOCAL.size
_CENTRAL_SIZE = len(_CENTRAL_START) + _SIZES.size + _CENTRAL_REST.size
_CENTRAL_SIGNATURE = _CENTRAL_START[:4]
_END_SIGNATURE = 0x06054B50
_END_ZIP64_SIGNATURE = 0x06064B50
_LOCATOR_SIGNATURE = 0x07064B50

_PARSED = "entries/", "checkpoint", "vkey"  # how names of files begin that are copied

_NO_HEADER = b"", 0, 0, 0, 0, 0
_WRONG_SUM = "its content does not have the check sum (CRC-32) in its header"

File: TypeAlias = bytes | mmap  # whose slices are bytes
Content: TypeAlias = (
    bytes | memoryview
)  # bytes of what is parsed for each entry, if it is no longer than it may be
Members: TypeAlias = Sequence[tuple[str, Content]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The first place where a container is not what its members would have been written as."""

    message: str
    index: int | None = None  # of the member, in the order of the file; None for the end of the zip
    names: tuple[str, ...] = ()  # what the two places call that member, as far as they can be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is in a container. With damage, the two ways of reading may differ, or end early."""

    in_order: Members  # from header to header, up to the damage
    by_directory: Members  # as the directory at the end says; only read when there is damage
    damage: Damage | None


class ContainerWriter:
    """Writes the one zip with its members, file by file; what it returns is to be sent in that order."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._offset = 0
        self._last_name = ""

    def add(self, name: str, data: Content) -> list[Content]:
        """The next file. Raises MalformedPackage if it is out of order, too many or too much."""
        return [self.begin(name, zlib.crc32(data), len(data)), data]

    def begin(self, name: str, crc: int, size_bytes: int) -> bytes:
        """What comes before the content of the next file, of this CRC-32 and size; raises like `add`."""
        if name <= self._last_name:
            raise MalformedPackage(f"{name} comes after {self._last_name} in a package, but not in its order")
        if len(self._records) == MAX_MEMBERS:
            raise MalformedPackage(f"a package holds {MAX_MEMBERS} files, and this is one more")
        if size_bytes > MAX_FILE_BYTES:
            raise MalformedPackage(f"{name} has {size_bytes} bytes, a file of a package {MAX_FILE_BYTES}")
        if len(name) > MAX_NAME_BYTES:
            raise MalformedPackage(f"{name[:80]}... is a name of more than {MAX_NAME_BYTES} characters")
        sizes = _SIZES.pack(crc, size_bytes, size_bytes, len(name), 0)
        encoded = name.encode("ascii")
        header = _LOCAL_START + sizes + encoded
        end = self._offset + len(header) + size_bytes
        if end > MAX_SIZE_BYTES:
            raise MalformedPackage(f"a package holds {MAX_SIZE_BYTES} bytes, and these files are more")
        self._records.append(_central_record(sizes, self._offset, encoded))
        self._offset = end
        self._last_name = name
        return header

    def end(self) -> bytes:
        """The directory, after the last file."""
        return b"".join(_directory(self._records, self._offset))


def check_room(sizes: Mapping[str, int]) -> None:
    """Raise MalformedPackage if files of these sizes do not fit: before the first byte is written."""
    size_bytes = sum(_LOCAL_SIZE + len(name) + size for name, size in sizes.items())
    if len(sizes) > MAX_MEMBERS or size_bytes > MAX_SIZE_BYTES:
        raise MalformedPackage(
            f"{len(sizes)} files of {size_bytes} bytes do not fit into a package, {MAX_MEMBERS} files of "
            f"{MAX_SIZE_BYTES} bytes do"
        )
    for name, size in sizes.items():
        if size > MAX_FILE_BYTES:
            raise MalformedPackage(f"{name} has {size} bytes, a file of a package {MAX_FILE_BYTES}")


def size_of_container(sizes: Mapping[str, int]) -> int:
    """How many bytes the container of files of these sizes has."""
    offset = directory = 0
    for name, size in sorted(sizes.items()):
        directory += _CENTRAL_SIZE + len(name) + (_EXTRA_OFFSET.size if offset >= MAX_32 else 0)
        offset += _LOCAL_SIZE + len(name) + size
    return offset + directory + sum(map(len, _ends(len(sizes), directory, offset)))


def encode_container(members: Mapping[str, Content]) -> bytes:
    """The one zip with these members; raises MalformedPackage if they are too many or too large."""
    writer = ContainerWriter()
    parts = [part for name, data in sorted(members.items(), key=_by_name) for part in writer.add(name, data)]
    return b"".join([*parts, writer.end()])


def read_container(data: File) -> Reading:
    """Read a container and say where it is damaged. Never raises: of a ruin, what is left is read.

    Files that are no entry's, and long ones, are views of `data`, which must outlive them.
    """
    members, records, offset, message = _walk(data)
    if message is None:
        message, index = _compare_directory(data, offset, records)
        if message is None:
            names = [name for name, _ in members]
            if all(a < b for a, b in itertools.pairwise(names)):
                return Reading(in_order=members, by_directory=(), damage=None)
            message, index = "the files are not in the order of their names", None
    else:
        index = len(members)
    by_directory = _read_by_directory(data)
    damage = Damage(message=message, index=index, names=_names_at(data, index, members, offset, by_directory))
    return Reading(in_order=members, by_directory=by_directory, damage=damage)


def _by_name(member: tuple[str, Content]) -> str:
    return member[0]


def _central_record(sizes: bytes, offset: int, name: bytes) -> bytes:
    if offset < MAX_32:
        return _CENTRAL_START + sizes + _CENTRAL_MIDDLE + offset.to_bytes(4, "little") + name
    sizes = sizes[:-2] + _EXTRA_OFFSET.size.to_bytes(2, "little")
    start = _CENTRAL_START_ZIP64 + sizes + _CENTRAL_MIDDLE + MAX_32.to_bytes(4, "little")
    return start + name + _EXTRA_START + offset.to_bytes(8, "little")


def _directory(records: Sequence[bytes], offset: int) -> Iterable[bytes]:
    """The records of the directory, which begins at `offset`, and the end."""
    return [*records, *_ends(len(records), sum(map(len, records)), offset)]


def _ends(count: int, size: int, offset: int) -> list[bytes]:
    """What stands behind a directory of `count` records and `size` bytes that begins at `offset`."""
    end = _END.pack(
        _END_SIGNATURE,
        0,
        0,
        min(count, MAX_16),
        min(count, MAX_16),
        min(size, MAX_32),
        min(offset, MAX_32),
        0,
    )
    if count <= MAX_16 and size <= MAX_32 and offset <= MAX_32:
        return [end]
    return [
        _END_ZIP64.pack(
            _END_ZIP64_SIGNATURE,
            _END_ZIP64.size - 12,  # "the size of the remaining record": without signature and this field
            MADE_BY_UNIX,
            VERSION_ZIP64,
            0,
            0,
            count,
            count,
            size,
            offset,
        ),
        _LOCATOR.pack(_LOCATOR_SIGNATURE, 0, offset + size, 1),
        end,
    ]


def let_go(data: File) -> None:
    """What was read of a mapped file need not stay in memory: where it is wanted again it is read again."""
    if isinstance(data, mmap):
        try:
            data.madvise(mapping.MADV_DONTNEED)
        except (AttributeError, OSError, ValueError):  # a hint, and no more; Windows has none
            return


def hash_content(data: File, content: Content) -> str:
    """SHA-256 of a file of a container in `data`, of which no more than READ_BYTES stay in memory."""
    if len(content) <= READ_BYTES:
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    for offset in range(0, len(content), READ_BYTES):
        digest.update(content[offset : offset + READ_BYTES])
        let_go(data)
    return digest.hexdigest()


def _sum(data: File, content: Content, begin: int) -> int:
    """The CRC-32 of what begins there."""
    if isinstance(content, bytes):
        return zlib.crc32(content)
    crc = 0
    for offset in range(0, len(content), READ_BYTES):
        crc = zlib.crc32(content[offset : offset + READ_BYTES], crc)
        if (begin + offset) // READ_BYTES != (begin + offset + READ_BYTES) // READ_BYTES:
            let_go(data)
    return crc


def _content(data: File, name: str, begin: int, end: int) -> Content:
    is_copied = end - begin <= COPIED_BYTES and name.startswith(_PARSED)
    return data[begin:end] if is_copied else memoryview(data)[begin:end]


def _walk(data: File) -> tuple[list[tuple[str, Content]], list[bytes], int, str | None]:
    """Go from local header to local header: the members, the records that the directory must have for them,
    where it ended, and what is wrong there if anything.
    """
    members: list[tuple[str, Content]] = []
    records: list[bytes] = []
    offset, limit = 0, min(len(data), MAX_SIZE_BYTES)
    count = _end_record(data)[0]
    while True:
        whole = len(data) >= offset + _LOCAL_SIZE
        start, crc, packed_size, size, name_size, extra_size = (
            _LOCAL.unpack_from(data, offset) if whole else _NO_HEADER
        )
        if start != _LOCAL_START:
            # Here begins the directory, if it says so itself or if the end of the zip says so.
            if data[offset : offset + 4] == _CENTRAL_SIGNATURE or len(members) == count:
                return members, records, offset, None
            return members, records, offset, "its header is not the one that a package has"
        begin = offset + _LOCAL_SIZE + name_size
        end = begin + size
        if packed_size != size or extra_size or end > limit:
            return members, records, offset, "the sizes in its header are wrong"
        if len(members) == MAX_MEMBERS:
            return members, records, offset, "it is one file more than a package holds"
        if name_size > MAX_NAME_BYTES:
            return members, records, offset, "its name is too long"
        rest = data[offset + len(_LOCAL_START) : begin]
        name = rest[_SIZES.size :]
        content = _content(data, name.decode("ascii", "replace"), begin, end)
        if _sum(data, content, begin) != crc:
            return members, records, offset, _WRONG_SUM
        if not name.isascii():
            return members, records, offset, "its name is not ASCII"
        members.append((name.decode("ascii"), content))
        records.append(_central_record(rest[: _SIZES.size], offset, name))
        offset = end


def _compare_directory(data: File, offset: int, expected: Sequence[bytes]) -> tuple[str | None, int | None]:
    """What is wrong with the directory, and at which member; the directory begins at `offset`."""
    begin = offset
    for index, record in enumerate(expected):
        if data[begin : begin + len(record)] != record:
            return "its record in the directory of the zip differs from what stands before its content", index
        begin += len(record)
    ends = b"".join(_ends(len(expected), begin - offset, offset))
    # One byte more would be read, and no more than one: a stranger's file may be of any size.
    if data[begin : begin + len(ends) + 1] != ends:
        return "the end of the zip is not the one that a package has", None
    return None, None


def _end_record(data: File) -> tuple[int, int]:
    """Number of members and offset of the directory, or (-1, -1) if the end cannot be read."""
    place = len(data) - _END.size
    if place < 0:
        return -1, -1
    signature, _, _, _, count, _, offset, _ = _END.unpack_from(data, place)
    if signature != _END_SIGNATURE:
        return -1, -1
    if place >= _LOCATOR.size + _END_ZIP64.size:
        signature, _, begin, _ = _LOCATOR.unpack_from(data, place - _LOCATOR.size)
        if signature == _LOCATOR_SIGNATURE and begin <= place - _LOCATOR.size - _END_ZIP64.size:
            signature, *_, wide_count, _, wide_offset = _END_ZIP64.unpack_from(data, begin)
            if signature == _END_ZIP64_SIGNATURE:
                return wide_count, wide_offset
    return count, offset


def _read_by_directory(data: File) -> Members:
    """The members as the directory at the end has them, as far as it can be read."""
    members: list[tuple[str, Content]] = []
    count, position = _end_record(data)
    left = len(data)  # records that name the same bytes again and again must not fill the memory
    while len(members) < min(count, MAX_MEMBERS) and position + _CENTRAL_SIZE <= len(data):
        start = position + len(_CENTRAL_START)
        _, _, size, name_size, _ = _SIZES.unpack_from(data, start)
        *_, offset = _CENTRAL_REST.unpack_from(data, start + _SIZES.size)
        position += _CENTRAL_SIZE
        if name_size > MAX_NAME_BYTES:
            break
        name = data[position : position + name_size].decode("ascii", "replace")
        position += name_size
        if offset == MAX_32:
            extra = data[position : position + _EXTRA_OFFSET.size]
            offset = int.from_bytes(extra[len(_EXTRA_START) :], "little")
            position += _EXTRA_OFFSET.size
        begin = min(offset + _LOCAL_SIZE + name_size, len(data))
        content = _content(data, name, begin, min(begin + size, len(data)))
        left -= len(content)
        if left < 0:
            break
        members.append((name, content))
    return members


def _names_at(
    data: File, index: int | None, members: Members, offset: int, by_directory: Members
) -> tuple[str, ...]:
    if index is None:
        return ()
    names = []
    if index < len(members):
        names.append(members[index][0])
    elif len(data) >= offset + _LOCAL_SIZE:
        name_size = _SIZES.unpack_from(data, offset + len(_LOCAL_START))[3]
        name = data[offset + _LOCAL_SIZE : offset + _LOCAL_SIZE + name_size]
        names.append(name.decode("ascii", "replace"))
    if index < len(by_directory):
        names.append(by_directory[index][0])
    return tuple(names)
