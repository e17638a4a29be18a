"""What outsiders said of checkpoints: kept whole, once, and found by the leaves that it covers."""

import sqlite3
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from server.evidence.attestation import Attestation, AttestationKind
from server.store.attestations import AttestationStore
from server.store.errors import CorruptAttestations, IllegalOpen

AT = datetime(2026, 11, 28, 12, 0, 0, 123_457, tzinfo=UTC)
STAMP, COSIGNED = AttestationKind.TIMESTAMP, AttestationKind.COSIGNATURE


def attestation(
    tree_size: int, source: str = "tsa", kind: AttestationKind = STAMP, data: bytes = b"0"
) -> Attestation:
    return Attestation(tree_size=tree_size, kind=kind, source=source, data=data, at=AT)


async def test_what_was_added_is_read_again_by_the_next_process_byte_for_byte(tmp_path: Path) -> None:
    store = await AttestationStore.open(tmp_path)
    said = [attestation(7, data=bytes(range(256))), attestation(7, "witness", COSIGNED, "— w é\n".encode())]
    for one in said:
        await store.add(one)
    await store.close()
    assert not (tmp_path / "attestations.db-wal").exists(), "one file once it is closed"
    store = await AttestationStore.open(tmp_path)
    assert await store.of(7) == said[::-1]
    assert await store.of(8) == []
    await store.close()


async def test_the_first_word_of_a_source_on_a_checkpoint_stays(tmp_path: Path) -> None:
    store = await AttestationStore.open(tmp_path)
    for one in (attestation(7, data=b"first"), attestation(7, data=b"second"), attestation(7, "other")):
        await store.add(one)
    assert [(one.source, one.data) for one in await store.of(7)] == [("other", b"0"), ("tsa", b"first")]
    await store.close()


async def test_the_newest_is_the_one_of_the_largest_checkpoint(tmp_path: Path) -> None:
    store = await AttestationStore.open(tmp_path)
    assert await store.newest(STAMP) is None
    for one in (attestation(9), attestation(3), attestation(11, "a"), attestation(12, "w", COSIGNED)):
        await store.add(one)
    assert await store.newest(STAMP) == attestation(11, "a")
    assert await store.newest(COSIGNED) == attestation(12, "w", COSIGNED)
    assert await store.newest(STAMP, "tsa") == attestation(9)
    assert await store.newest(STAMP, "w") is None
    await store.close()


async def test_each_leaf_is_covered_by_the_smallest_checkpoint_that_holds_it(tmp_path: Path) -> None:
    store = await AttestationStore.open(tmp_path)
    sizes = {("a", STAMP): (3, 5, 9), ("b", STAMP): (4,), ("w", COSIGNED): (1, 5, 8, 20)}
    for (source, kind), found in sizes.items():
        for size in found:
            await store.add(attestation(size, source, kind))
    # As it is defined, leaf by leaf.
    for leaves, up_to in product(([], [0], [2, 3], [3, 2, 2], [8], [0, 4, 19], list(range(25))), range(22)):
        expected = {
            (min(covering), kind, source)
            for leaf in leaves
            for (source, kind), found in sizes.items()
            if (covering := [size for size in found if leaf < size <= up_to])
        }
        covered_by = await store.first_covering(leaves, up_to)
        assert [(one.tree_size, one.kind, one.source) for one in covered_by] == sorted(expected)
    await store.close()


async def test_what_was_said_of_a_log_that_is_lost_counts_no_more_and_is_not_thrown_away(
    tmp_path: Path,
) -> None:
    store = await AttestationStore.open(tmp_path)
    for one in (attestation(3), attestation(4, data=b"of the lost log")):
        await store.add(one)
    assert await store.set_aside(3) == 1, "an older log was restored"
    assert await store.newest(STAMP) == attestation(3)
    await store.add(attestation(4, data=b"of this log"))
    assert [one.data for one in await store.first_covering([3], 9)] == [b"of this log"]
    assert await store.set_aside(4) == 0
    await store.close()
    with sqlite3.connect(tmp_path / "attestations.db") as connection:
        assert connection.execute("SELECT tree_size, data FROM set_aside").fetchall() == [
            (4, b"of the lost log")
        ]
    connection.close()


async def test_a_file_that_others_may_read_or_that_is_newer_or_damaged_is_refused(tmp_path: Path) -> None:
    await (await AttestationStore.open(tmp_path)).close()
    path = tmp_path / "attestations.db"
    path.chmod(0o640)
    with pytest.raises(IllegalOpen, match="0600"):
        await AttestationStore.open(tmp_path)
    path.chmod(0o600)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IllegalOpen, match="schema 99"):
        await AttestationStore.open(tmp_path)
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(CorruptAttestations, match="move it away"):
        await AttestationStore.open(tmp_path)


async def test_damage_that_shows_later_has_a_name(tmp_path: Path) -> None:
    store = await AttestationStore.open(tmp_path)
    for size in range(40):
        await store.add(attestation(size, data=b"x" * 3000))
    await store.close()
    path = tmp_path / "attestations.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    store = await AttestationStore.open(tmp_path)
    with pytest.raises(CorruptAttestations, match="damaged"):
        await store.first_covering(range(40), 40)
    await store.close()
