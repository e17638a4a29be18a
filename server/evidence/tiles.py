"""Tiles: the log as files that never change (C2SP tlog-tiles), so that tools that nobody here wrote read it.

A tile holds up to 256 hashes of one height of the Merkle tree. They are complete subtrees and so stand in the
store already: a tile is a way to look at them and is itself stored nowhere. An entry bundle holds the entries
of a tile of level 0, which are the envelopes.

    tile/<L>/<N>[.p/<W>]        level L holds the hashes of height 8 L; tile N those from N * 256 on
    tile/entries/<N>[.p/<W>]    the entries of tile/0/<N>, each behind its length: 16 bits, big-endian

    <N> in groups of three digits, all but the last behind an x: 1234067 is x001/x234/067.
    <W> of a tile that is not full: how many hashes (or entries) it holds, 1 to 255.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from server.evidence.errors import MalformedTile
from server.evidence.merkle import stored_index

TILE_HEIGHT = 8  # levels of the Merkle tree from one level of tiles to the next
TILE_WIDTH = 1 << TILE_HEIGHT  # hashes of a full tile
MAX_LEVEL = 63  # C2SP tlog-tiles: "a decimal ASCII integer between 0 and 63"
LENGTH_SIZE_BYTES = 2  # in front of each entry of a bundle

# "with no additional leading zeroes"; six groups are more tiles than a log of 2^53 leaves has.
_PATH = re.compile(
    r"(?P<level>0|[1-9][0-9]?|entries)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_ENTRIES = "entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Which hashes: from `index` * 256 on, `width` of them, of height 8 * `level`."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def end(self) -> int:
        """How many leaves a log must have to have this tile."""
        return (self.index * TILE_WIDTH + self.width) << (TILE_HEIGHT * self.level)

    def stored_indices(self) -> list[int]:
        """Where the hashes of the tile are stored, in their order in the tile, which ascends."""
        first = self.index * TILE_WIDTH
        return [
            stored_index(TILE_HEIGHT * self.level, position) for position in range(first, first + self.width)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Which entries: from `index` * 256 on, `width` of them."""

    index: int
    width: int = TILE_WIDTH

    @property
    def end(self) -> int:
        """How many leaves a log must have to have this bundle."""
        return self.index * TILE_WIDTH + self.width


def parse_tile_path(path: str) -> Tile | Bundle:
    """What a path behind `tile/` names; raises MalformedTile for anything but its one spelling."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise MalformedTile(
            "a tile is named <level>/<index> or entries/<index>, the index in groups of three digits like"
            " x001/x234/067, and .p/<width> behind it if it is not full"
        )
    index = int(match["index"].replace("x", "").replace("/", ""))
    width = int(match["width"] or TILE_WIDTH)
    tile: Tile | Bundle
    if match["level"] == _ENTRIES:
        tile = Bundle(index=index, width=width)
    else:
        tile = Tile(level=int(match["level"]), index=index, width=width)
        if tile.level > MAX_LEVEL:
            raise MalformedTile(f"tiles have the levels 0 to {MAX_LEVEL}, not {tile.level}")
    if width > TILE_WIDTH:
        raise MalformedTile(f"a tile that is not full holds 1 to {TILE_WIDTH - 1} hashes, not {width}")
    if encode_tile_path(tile) != path:
        raise MalformedTile(f"the path of this tile is written {encode_tile_path(tile)}")
    return tile


def encode_tile_path(tile: Tile | Bundle) -> str:
    """The path of a tile or a bundle behind `tile/`."""
    first = str(tile.level) if isinstance(tile, Tile) else _ENTRIES
    groups = f"{tile.index:,}".split(",")
    groups[0] = groups[0].zfill(3)
    index = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"{first}/{index}" + (f".p/{tile.width}" if tile.width < TILE_WIDTH else "")


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """The bytes of an entry bundle; an entry has fewer than 2^16."""
    return b"".join(len(entry).to_bytes(LENGTH_SIZE_BYTES, "big") + entry for entry in entries)


def parse_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; raises MalformedTile."""
    entries = []
    position = 0
    while position < len(data):
        begin = position + LENGTH_SIZE_BYTES
        position = begin + int.from_bytes(data[position:begin], "big")
        if begin > len(data) or position > len(data):
            raise MalformedTile("the last entry of the bundle is cut off")
        entries.append(data[begin:position])
    return entries
