"""Paths and contents of tiles, as C2SP tlog-tiles writes them down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.evidence.errors import MalformedTile
from server.evidence.merkle import Frontier, hash_children, hash_leaf
from server.evidence.tiles import (
    MAX_LEVEL,
    TILE_WIDTH,
    Bundle,
    Tile,
    encode_bundle,
    encode_tile_path,
    parse_bundle,
    parse_tile_path,
)

PATHS = [
    ("0/000", Tile(level=0, index=0)),
    ("0/001.p/112", Tile(level=0, index=1, width=112)),
    ("63/999", Tile(level=63, index=999)),
    ("0/x001/x234/067", Tile(level=0, index=1234067)),  # the example of the specification
    ("2/x001/000.p/1", Tile(level=2, index=1000, width=1)),
    ("entries/x001/x234/067.p/255", Bundle(index=1234067, width=255)),
    ("entries/000", Bundle(index=0)),
]
WRONG = [
    "",
    "0",
    "0/0",
    "0/00",
    "0/0000",
    "0/1000",
    "00/000",
    "01/000",
    "64/000",
    "-1/000",
    "0/x000/000",  # one tile has one path
    "0/x001/x000",
    "0/001/000",
    "0/x001",
    "0/000.p/0",
    "0/000.p/01",
    "0/000.p/256",
    "0/000.p/1000",
    "0/000.p/",
    "0/000.p",
    "0/000/",
    "0//000",
    "0/٠٠٠",
    "0/000\n",
    "entries/0/000",
    "entry/000",
    "0/" + "x001/" * 6 + "001",
]


@pytest.mark.parametrize(("path", "tile"), PATHS)
def test_paths_are_those_of_the_specification(path: str, tile: Tile | Bundle) -> None:
    assert parse_tile_path(path) == tile
    assert encode_tile_path(tile) == path


@pytest.mark.parametrize("path", WRONG)
def test_what_names_no_tile_is_refused(path: str) -> None:
    with pytest.raises(MalformedTile):
        parse_tile_path(path)


@given(st.text("0123456789x/.pentris", max_size=24))
def test_any_path_either_names_a_tile_in_its_one_spelling_or_is_malformed(path: str) -> None:
    try:
        tile = parse_tile_path(path)
    except MalformedTile:
        return
    assert encode_tile_path(tile) == path


@given(st.integers(0, MAX_LEVEL), st.integers(0, 10**18 - 1), st.integers(1, TILE_WIDTH))
def test_every_tile_has_a_path_that_leads_back(level: int, index: int, width: int) -> None:
    for tile in (Tile(level=level, index=index, width=width), Bundle(index=index, width=width)):
        assert parse_tile_path(encode_tile_path(tile)) == tile


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_a_bundle_can_be_read_back(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries)) == entries


@given(st.binary(max_size=30))
def test_any_bytes_are_a_bundle_or_malformed(data: bytes) -> None:
    try:
        entries = parse_bundle(data)
    except MalformedTile:
        return
    assert encode_bundle(entries) == data


def root_of(hashes: list[bytes]) -> bytes:
    """The root over a power of two of hashes, folded pair by pair."""
    while len(hashes) > 1:
        hashes = [hash_children(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def test_a_hash_of_a_tile_is_the_root_of_the_full_tile_below_it() -> None:
    size = 2 * TILE_WIDTH**2 + TILE_WIDTH + 3
    _, stored = Frontier().extend([hash_leaf(b"%d" % index) for index in range(size)])

    def read(tile: Tile) -> list[bytes]:
        assert tile.end <= size
        return [stored[index] for index in tile.stored_indices()]

    assert read(Tile(level=0, index=513, width=3)) == [hash_leaf(b"%d" % (size - at)) for at in (3, 2, 1)]
    for above in (Tile(level=1, index=1), Tile(level=1, index=2, width=1), Tile(level=2, index=0, width=2)):
        for position, found in enumerate(read(above), start=above.index * TILE_WIDTH):
            assert found == root_of(read(Tile(level=above.level - 1, index=position)))
    assert Tile(level=1, index=2, width=2).end > size
