"""What anyone reads under /log/: a reader that nobody here wrote finds a whole log that only ever grows."""

import asyncio

import aics_tlog
import pytest

from server.evidence.checkpoint import parse_checkpoint
from server.evidence.entry import Draft
from server.evidence.tiles import Bundle, Tile, encode_tile_path, parse_bundle
from server.store.log import LogStore
from tests.conftest import Caller

LEAVES = 300  # one tile of level 0 is full, the next is not, and level 1 has begun


async def fill(log: LogStore, count: int, *, after: int = 0, case_id: str = "c_filled") -> None:
    drafts = [
        Draft(
            kind="text",
            case_id=case_id,
            role="qa",
            actor_id="l_q",
            session_id="s_q",
            body={"text": str(number)},
        )
        for number in range(count)
    ]
    await log.append(drafts, expect_number=after)


def open_as_a_stranger(url: str, vkey: str) -> tuple[aics_tlog.HttpTileReader, aics_tlog.Checkpoint]:
    """aics-tlog's reader of a log, and the checkpoint of now, which it has verified with the key."""
    reader = aics_tlog.HttpTileReader(f"{url}/log/")
    note = aics_tlog.parse_note(reader.read_checkpoint())
    verified = aics_tlog.verify_checkpoint(note, aics_tlog.parse_vkey(vkey))
    assert verified.ok, verified
    return reader, aics_tlog.parse_checkpoint(note.text)


async def vkey_of(caller: Caller) -> str:
    status, vkey = await caller.call("GET", "/log/vkey", bearer=None)
    assert status == 200
    return str(vkey.decode().strip())


@pytest.mark.parametrize("leaves", [1, 255, 256, 257, LEAVES])
async def test_aics_tlog_verifies_every_tile_and_every_entry(caller: Caller, leaves: int) -> None:
    await fill(caller.service.log, leaves)
    vkey = await vkey_of(caller)

    def read() -> None:
        reader, checkpoint = open_as_a_stranger(caller.url, vkey)
        assert checkpoint.size == leaves
        report = aics_tlog.audit_tiles(reader, checkpoint.size, checkpoint.root)
        assert (report.size, report.bundles) == (leaves, -(-leaves // 256))

    await asyncio.to_thread(read)


async def test_aics_tlog_finds_a_hash_and_an_entry_that_were_changed(caller: Caller) -> None:
    await fill(caller.service.log, LEAVES)
    vkey = await vkey_of(caller)
    whole = caller.service.log.tile

    def read(message: str) -> None:
        reader, checkpoint = open_as_a_stranger(caller.url, vkey)
        with pytest.raises(aics_tlog.TileVerificationError, match=message):
            aics_tlog.audit_tiles(reader, checkpoint.size, checkpoint.root)

    for victim in (Tile(level=0, index=0), Bundle(index=0)):

        async def damaged(_: LogStore, tile: Tile | Bundle, victim: Tile | Bundle = victim) -> bytes:
            data = await whole(tile)
            return data[:-1] + bytes([data[-1] ^ 1]) if tile == victim else data

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LogStore, "tile", damaged)
            await asyncio.to_thread(read, f"tile/{encode_tile_path(victim)} does not match")


async def test_proofs_of_ours_and_those_that_aics_tlog_makes_of_tiles_are_the_same(caller: Caller) -> None:
    await fill(caller.service.log, LEAVES)
    vkey = await vkey_of(caller)

    def make(leaf_index: int) -> tuple[list[bytes], bytes]:
        reader, checkpoint = open_as_a_stranger(caller.url, vkey)
        hashes = aics_tlog.inclusion_proof_from_tiles(reader, leaf_index, checkpoint.size)
        entry = aics_tlog.read_entry(reader, leaf_index, checkpoint.size)
        assert aics_tlog.verify_leaf_inclusion(entry, leaf_index, checkpoint.size, hashes, checkpoint.root)
        return hashes, entry

    entries = await caller.service.log.entries("c_filled")
    for leaf_index in (0, 255, 256, LEAVES - 1):
        hashes, entry = await asyncio.to_thread(make, leaf_index)
        assert hashes == (await caller.service.log.inclusion_proof(leaf_index)).hashes
        assert entry == entries[leaf_index].envelope_bytes


async def test_a_checkpoint_that_is_served_only_ever_grows_out_of_the_one_before(caller: Caller) -> None:
    vkey = await vkey_of(caller)
    writing = asyncio.create_task(_write_much(caller.service.log))

    def follow() -> list[int]:
        sizes = []
        _, old = open_as_a_stranger(caller.url, vkey)
        while not writing.done():
            reader, new = open_as_a_stranger(caller.url, vkey)
            assert new.size >= old.size
            hashes = aics_tlog.consistency_proof_from_tiles(reader, old.size, new.size)
            assert aics_tlog.verify_consistency(old.size, new.size, old.root, new.root, hashes)
            sizes.append(new.size)
            old = new
        return sizes

    sizes = await asyncio.to_thread(follow)
    await writing
    assert len(set(sizes)) > 10


async def _write_much(log: LogStore) -> None:
    for number in range(200):
        await fill(log, 3, after=3 * number)
        await asyncio.sleep(0.002)


async def test_tiles_are_octets_that_may_be_kept_and_a_checkpoint_is_text_that_may_not(
    caller: Caller,
) -> None:
    await fill(caller.service.log, LEAVES)
    for path in (
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    ):
        async with caller.http.get(f"{caller.url}/log/{path}") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert "immutable" in answer.headers["Cache-Control"]
            data = await answer.read()
        if "entries" not in path:
            assert len(data) == 32 * int(path.partition(".p/")[2] or 256)
    async with caller.http.get(f"{caller.url}/log/checkpoint") as answer:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert parse_checkpoint(await answer.text()).tree_size == LEAVES


async def test_a_bundle_is_compressed_for_who_reads_that_and_plain_for_who_does_not(caller: Caller) -> None:
    await fill(caller.service.log, LEAVES)
    sizes = {}
    for encoding in ("gzip", "identity"):
        url = f"{caller.url}/log/tile/entries/000"
        async with caller.http.get(url, headers={"Accept-Encoding": encoding}) as answer:
            assert answer.headers.get("Content-Encoding", "identity") == encoding
            sizes[encoding] = int(answer.headers["Content-Length"])
            assert len(parse_bundle(await answer.read())) == 256
    assert sizes["gzip"] < sizes["identity"] / 2


NO_TILES = {
    "0/002": (404, "unknown_tile"),
    "0/001": (404, "unknown_tile"),
    "0/001.p/45": (404, "unknown_tile"),
    "1/000.p/2": (404, "unknown_tile"),
    "2/000.p/1": (404, "unknown_tile"),
    "63/x999/x999/x999/x999/x999/999": (404, "unknown_tile"),
    "entries/001": (404, "unknown_tile"),
    "0/1": (400, "malformed_tile"),
    "64/000": (400, "malformed_tile"),
    "0/000.p/256": (400, "malformed_tile"),
    "0/x000/000": (400, "malformed_tile"),
    "": (404, "http_error"),
}


async def test_what_is_no_tile_of_this_log_is_refused_with_a_reason(caller: Caller) -> None:
    await fill(caller.service.log, LEAVES)
    for path, expected in NO_TILES.items():
        status, failure = await caller.call("GET", f"/log/tile/{path}", bearer=None)
        assert (status, failure["error"]["code"]) == expected, path


async def test_nobody_writes_under_log(caller: Caller) -> None:
    for method in ("POST", "PUT", "DELETE"):
        for path in ("checkpoint", "vkey", "tile/0/000"):
            assert (await caller.call(method, f"/log/{path}"))[0] == 405
