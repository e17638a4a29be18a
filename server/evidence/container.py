"""The container of a package: a zip that can be written in one way only.

Any tool opens it (PKWARE APPNOTE 6.3.10); but members stand in the order of their names, stored without
compression, with one fixed date, nothing between them, nothing behind them. So every byte of the file is
either content, which its CRC-32 covers, or determined by the content, and a changed byte shows wherever it
is. Names stand twice, before the data and in the directory at the end, which tells what was damaged:

    local header 0 │ data 0 │ local header 1 │ data 1 │ … │ directory 0 │ directory 1 │ … │ end
"""

import itertools
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.evidence.errors import MalformedPackage

MAX_MEMBERS = 65_535  # APPNOTE 4.4.22: a 16-bit count; beyond it begins Zip64
MAX_SIZE_BYTES = 2**32 - 1  # APPNOTE 4.4.24: 32-bit offsets

VERSION_NEEDED = 20  # APPNOTE 4.4.3.2: 2.0, what every unzip has understood since 1993
MADE_BY_UNIX = 3 << 8 | VERSION_NEEDED  # APPNOTE 4.4.2: upper byte 3 is Unix, so that the mode below counts
FILE_MODE = 0o100644 << 16  # a plain file that its owner may write and everybody may read
DATE = 1 << 5 | 1  # 1 January 1980, the first day a zip knows: the times that matter stand in the entries

# APPNOTE 4.3.7, 4.3.12, 4.3.16, after their signatures and fixed fields.
_LOCAL_START = struct.pack("<IHHHHH", 0x04034B50, VERSION_NEEDED, 0, 0, 0, DATE)
_CENTRAL_START = struct.pack("<IHHHHHH", 0x02014B50, MADE_BY_UNIX, VERSION_NEEDED, 0, 0, 0, DATE)
_SIZES = struct.Struct(
    "<IIIHH"
)  # CRC-32, compressed size, size, length of the name, length of the extra field
_CENTRAL_REST = struct.Struct("<HHHII")  # comment length, disk, internal and external attributes, offset
_END = struct.Struct("<IHHHHIIH")
_LOCAL_SIZE = len(_LOCAL_START) + _SIZES.size
_CENTRAL_SIZE = len(_CENTRAL_START) + _SIZES.size + _CENTRAL_REST.size
_CENTRAL_SIGNATURE = _CENTRAL_START[:4]
_END_SIGNATURE = 0x06054B50

Members = Sequence[tuple[str, bytes]]


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


def encode_container(members: Mapping[str, bytes]) -> bytes:
    """The one zip with these members; raises MalformedPackage if they are too many or too large."""
    if len(members) > MAX_MEMBERS:
        raise MalformedPackage(f"{len(members)} files do not fit into a package, {MAX_MEMBERS} do")
    parts = []
    offset = 0
    ordered = sorted(members.items())
    for name, data in ordered:
        header = _LOCAL_START + _sizes(name, data) + name.encode("ascii")
        parts += [header, data]
        offset += len(header) + len(data)
    if offset > MAX_SIZE_BYTES:
        raise MalformedPackage(f"{offset} bytes do not fit into a package, {MAX_SIZE_BYTES} do")
    return b"".join([*parts, *_directory(ordered)])


def read_container(data: bytes) -> Reading:
    """Read a container and say where it is damaged. Never raises: of a ruin, what is left is read."""
    members, offset, message = _walk(data)
    if message is None:
        message, index = _compare_directory(data, offset, members)
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


def _sizes(name: str, data: bytes) -> bytes:
    return _SIZES.pack(zlib.crc32(data), len(data), len(data), len(name), 0)


def _directory(members: Members) -> list[bytes]:
    """The directory of these members, a record each, and the end record."""
    records = []
    offset = 0
    for name, data in members:
        rest = _CENTRAL_REST.pack(0, 0, 0, FILE_MODE, offset)
        records.append(_CENTRAL_START + _sizes(name, data) + rest + name.encode("ascii"))
        offset += _LOCAL_SIZE + len(name) + len(data)
    size = sum(map(len, records))
    count = len(records)
    return [*records, _END.pack(_END_SIGNATURE, 0, 0, count, count, size, offset, 0)]


def _walk(data: bytes) -> tuple[list[tuple[str, bytes]], int, str | None]:
    """Go from local header to local header: members, where it ended, and what is wrong there if anything."""
    members: list[tuple[str, bytes]] = []
    offset = 0
    count = _end_record(data)[0]
    while True:
        start = offset + len(_LOCAL_START)
        if data[offset:start] != _LOCAL_START or len(data) < offset + _LOCAL_SIZE:
            # Here begins the directory, if it says so itself or if the end of the zip says so.
            if data[offset : offset + 4] == _CENTRAL_SIGNATURE or len(members) == count:
                return members, offset, None
            return members, offset, "its header is not the one that a package has"
        crc, packed_size, size, name_size, extra_size = _SIZES.unpack_from(data, start)
        begin = offset + _LOCAL_SIZE + name_size
        end = begin + size
        if packed_size != size or extra_size or end > min(len(data), MAX_SIZE_BYTES):
            return members, offset, "the sizes in its header are wrong"
        if len(members) == MAX_MEMBERS:
            return members, offset, "it is one file more than a package holds"
        content = data[begin:end]
        if zlib.crc32(content) != crc:
            return members, offset, "its content does not have the check sum (CRC-32) in its header"
        name = data[offset + _LOCAL_SIZE : begin]
        if not name.isascii():
            return members, offset, "its name is not ASCII"
        members.append((name.decode("ascii"), content))
        offset = end


def _compare_directory(data: bytes, offset: int, members: Members) -> tuple[str | None, int | None]:
    """What is wrong with the directory, and at which member; the directory begins at `offset`."""
    records = _directory(members)
    if data[offset:] == b"".join(records):
        return None, None
    for index, record in enumerate(records[:-1]):
        if data[offset : offset + len(record)] != record:
            return "its record in the directory of the zip differs from what stands before its content", index
        offset += len(record)
    return "the end of the zip is not the one that a package has", None


def _end_record(data: bytes) -> tuple[int, int]:
    """Number of members and offset of the directory, or (-1, -1) if the end cannot be read."""
    if len(data) < _END.size:
        return -1, -1
    signature, _, _, _, count, _, offset, _ = _END.unpack_from(data, len(data) - _END.size)
    return (count, offset) if signature == _END_SIGNATURE else (-1, -1)


def _read_by_directory(data: bytes) -> Members:
    """The members as the directory at the end has them, as far as it can be read."""
    members: list[tuple[str, bytes]] = []
    count, position = _end_record(data)
    left = len(data)  # records that name the same bytes again and again must not fill the memory
    while len(members) < count and position + _CENTRAL_SIZE <= len(data):
        start = position + len(_CENTRAL_START)
        _, _, size, name_size, _ = _SIZES.unpack_from(data, start)
        *_, offset = _CENTRAL_REST.unpack_from(data, start + _SIZES.size)
        name = data[position + _CENTRAL_SIZE : position + _CENTRAL_SIZE + name_size]
        begin = offset + _LOCAL_SIZE + name_size
        content = data[begin : begin + size]
        left -= len(content)
        if left < 0:
            break
        members.append((name.decode("ascii", "replace"), content))
        position += _CENTRAL_SIZE + name_size
    return members


def _names_at(
    data: bytes, index: int | None, members: Members, offset: int, by_directory: Members
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
