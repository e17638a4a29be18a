"""Time from outside, with the service and real authorities: OpenSSL behind small servers, on bad days too."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server import stamping, timestamps
from server.evidence.attestation import AttestationKind
from server.evidence.timestamp import check_timestamp
from tests.authority import Authority, Behaviour, make_authority, serving_authority
from tests.conftest import Caller, calling

WAIT_S = 20.0


@asynccontextmanager
async def stamped(folder: Path, *authorities: Authority, interval_s: int = 600) -> AsyncIterator[Caller]:
    """A service whose log these authorities stamp."""
    roots = folder / "roots.pem"
    roots.write_bytes(b"".join(authority.root for authority in authorities))
    settings = {
        "PROOFCALL_TIMESTAMP_URLS": ", ".join(authority.url for authority in authorities),
        "PROOFCALL_TIMESTAMP_ROOTS": str(roots),
        "PROOFCALL_TIMESTAMP_INTERVAL_S": str(interval_s),
    }
    async with calling(folder, **settings) as caller:
        yield caller


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is seen from outside, and has no event
            await asyncio.sleep(0.01)


async def all_stamped(caller: Caller) -> None:
    service = caller.service
    await until(lambda: all(one.tree_size == service.log.size for one in service.timestamps.statuses()))


async def test_checkpoints_are_stamped_and_openssl_agrees(tmp_path: Path) -> None:
    async with (
        serving_authority(make_authority(tmp_path / "one")) as one,
        serving_authority(make_authority(tmp_path / "two", name="Other Authority")) as two,
        stamped(tmp_path, one, two) as caller,
    ):
        await caller.open_case()
        await all_stamped(caller)
        service = caller.service
        note, size = service.log.checkpoint.encode(), service.log.size
        tokens = await service.attestations.of(size)
        assert [(token.kind, token.tree_size) for token in tokens] == [(AttestationKind.TIMESTAMP, size)] * 2
        for authority in (one, two):
            (token,) = [token for token in tokens if token.source == authority.url.removeprefix("http://")]
            authority.check(token.data, note)
            assert check_timestamp(token.data, note, [authority.root]).at == token.at
        status, told = await caller.call("GET", "/api/timestamps")
        assert status == 200
        assert [row["state"] for row in told["authorities"]] == ["stamping", "stamping"]
        assert [row["behind"] for row in told["authorities"]] == [0, 0]
        _, figures = await caller.call("GET", "/metrics", bearer=None)
        assert b'proofcall_timestamps_total{fate="stamped"} 2.0' in figures


async def test_an_export_is_stamped_at_once_before_the_package_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamping, "GAP_S", 0.0)
    async with (
        serving_authority(make_authority(tmp_path / "one")) as one,
        stamped(tmp_path, one, interval_s=86_400) as caller,
    ):
        case_id = await caller.open_case()
        await all_stamped(caller)
        await caller.link(case_id, "qa")
        asked = one.asked
        assert caller.service.timestamps.statuses()[0].behind == 1, "no moment: that waits for the interval"
        status, _ = await caller.call("POST", f"/api/cases/{case_id}/export")
        assert status == 200
        entries = await caller.service.log.entries(case_id)
        assert entries[-1].envelope.kind == "exported"
        covering = await caller.service.attestations.first_covering(
            [entries[-1].leaf_index], caller.service.log.size
        )
        assert len(covering) == 1 and one.asked == asked + 1


BAD_DAYS: tuple[tuple[Behaviour, str], ...] = (
    ("refuses", "the authority refuses: Message digest algorithm is not supported"),
    ("other_nonce", "another nonce"),
    ("other_imprint", "of other bytes"),
    ("garbage", "no time-stamp of RFC 3161"),
    ("html", "no time-stamp of RFC 3161"),
    ("fails", "503 Out of ink"),
    ("redirects", "302 Found"),
    ("huge", "more than 65536 bytes"),
    ("hangs", "no answer within"),
)


async def test_an_authority_that_does_not_stamp_is_noted_blocks_nothing_and_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stamping, "BACK_OFF_S", (0.01,))
    monkeypatch.setattr(stamping, "GAP_S", 0.0)
    caplog.set_level(logging.INFO)
    async with (
        serving_authority(make_authority(tmp_path / "good")) as good,
        serving_authority(make_authority(tmp_path / "bad")) as bad,
        stamped(tmp_path, bad, good) as caller,
    ):
        case_id = await caller.open_case()
        await all_stamped(caller)
        for behaviour, said in BAD_DAYS:
            if behaviour == "hangs":  # what answers may take its time
                monkeypatch.setattr(timestamps, "TIMEOUT_S", 1.0)
            bad.behaviour = behaviour
            bad.released.clear()
            asked, stamped_size = bad.asked, caller.service.log.size
            status, _ = await caller.call("POST", f"/api/cases/{case_id}/export")
            assert status == 200
            await until(lambda asked=asked: bad.asked > asked + 1)  # type: ignore[misc]
            _, told = await caller.call("GET", "/api/timestamps")
            failing, faring = told["authorities"]
            assert failing["state"] == "failing" and said in failing["error"], failing
            assert failing["tree_size"] == stamped_size and failing["behind"] == 1
            assert faring["state"] == "stamping" and faring["behind"] == 0
            _, ready = await caller.call("GET", "/readyz", bearer=None)
            assert ready.startswith(b"ready, but") and said in ready.decode()
            assert said in caplog.text
            bad.behaviour = "stamps"
            bad.released.set()
            await all_stamped(caller)
            assert "stamps again" in caplog.text
            caplog.clear()
            assert (await caller.call("GET", "/readyz", bearer=None))[1] == b"ready\n"


async def test_a_token_of_a_certificate_that_has_ended_is_not_kept(tmp_path: Path) -> None:
    async with (
        serving_authority(make_authority(tmp_path / "ended", certificate_ended=True)) as ended,
        stamped(tmp_path, ended) as caller,
    ):
        await caller.open_case()
        await until(lambda: caller.service.timestamps.trouble is not None)
        assert "expired" in str(caller.service.timestamps.trouble)
        assert await caller.service.attestations.newest(AttestationKind.TIMESTAMP) is None


async def test_a_restart_goes_on_where_the_last_token_was(tmp_path: Path) -> None:
    async with serving_authority(make_authority(tmp_path / "one")) as one:
        async with stamped(tmp_path, one) as caller:
            case_id = await caller.open_case()
            await all_stamped(caller)
        asked = one.asked
        async with stamped(tmp_path, one) as caller:
            (status,) = caller.service.timestamps.statuses()
            assert status.tree_size == caller.service.log.size and status.stamped_at is not None
            await caller.link(case_id, "qa")
            await all_stamped(caller)
            assert one.asked == asked + 1


async def test_without_authorities_nothing_is_asked_and_nothing_waits(caller: Caller) -> None:
    case_id = await caller.open_case()
    status, _ = await caller.call("POST", f"/api/cases/{case_id}/export")
    assert status == 200
    assert await caller.call("GET", "/api/timestamps") == (200, {"authorities": []})
