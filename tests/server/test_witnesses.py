"""Witnesses that nobody here wrote cosign the log, and refuse one that was restored from an old backup."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aics_tlog
import pytest

from server import witnessing
from server.errors import MalformedSetting
from server.evidence.checkpoint import encode_key, parse_checkpoint, parse_key
from server.evidence.cosignature import encode_witness_key
from server.evidence.policy import parse_policy
from server.evidence.trust import Trust
from server.evidence.verify import verify_package
from server.evidence.verify_voucher import verify_voucher
from server.evidence.voucher import parse_voucher
from server.witnesses import Cosigned
from server.witnessing import Standing
from tests.authority import make_authority, serving_authority
from tests.conftest import Caller, calling
from tests.server.evidence.damaged_vouchers import STRANGER
from tests.server.evidence.local_witness import WITNESSES, LocalWitness
from tests.server.receipt import confirm_receipt
from tests.witness_process import WitnessProcess, make_witness

PATIENCE_S = 30.0  # far longer than it ever takes: nothing here is about how long


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnessing, "GAP_S", 0.05)
    monkeypatch.setattr(witnessing, "RETRY_S", 0.05)


@asynccontextmanager
async def witnessed(
    folder: Path, witnesses: list[WitnessProcess], quorum: str = "", **more: str
) -> AsyncIterator[Caller]:
    """A service whose log these witnesses are asked to cosign."""
    policy = folder / "policy"
    names = " ".join(one.line.split()[1] for one in witnesses)
    policy.write_text(
        "".join(one.line for one in witnesses) + (quorum or f"group all all {names}\nquorum all\n")
    )
    async with calling(folder, PROOFCALL_WITNESS_POLICY=str(policy), **more) as caller:
        yield caller


async def cosigned(caller: Caller) -> Cosigned:
    """The checkpoint with a quorum, once it covers all that the log holds now."""
    async with asyncio.timeout(PATIENCE_S):
        return await caller.service.witnesses.cosigned_beyond(caller.service.log.size - 1)


async def standing(caller: Caller, expected: Standing, *, witness: int = 0) -> str:
    """What the operator is told, once a witness stands so."""
    async with asyncio.timeout(PATIENCE_S):
        while (status := caller.service.witnesses.statuses()[witness]).standing is not expected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return status.words


async def text(caller: Caller, path: str) -> str:
    async with caller.http.get(caller.url + path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def test_a_quorum_of_real_witnesses_cosigns_what_is_published_and_what_the_customer_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witnesses = list(
        await asyncio.gather(
            *(make_witness(tmp_path / n, f"witness.example/{n}") for n in ("w1", "w2", "w3"))
        )
    )
    two = "group two 2 w1 w2 w3\nquorum two\n"
    async with (
        AsyncExitStack() as stack,
        serving_authority(make_authority(tmp_path / "authority")) as authority,
        witnessed(
            tmp_path,
            witnesses,
            two,
            PROOFCALL_TIMESTAMP_URLS=authority.url,
            PROOFCALL_TIMESTAMP_ROOTS=str(authority.root_path),
            PROOFCALL_TIMESTAMP_INTERVAL_S="1",
        ) as caller,
    ):
        assert (await caller.call("GET", "/log/checkpoint/cosigned", bearer=None))[0] == 404
        receipt = await confirm_receipt(caller)
        address = f"/api/cases/{receipt.case_id}/voucher"
        url = (await caller.call("GET", address))[1]["json_url"]
        early = (await text(caller, url)).encode()
        attested = parse_voucher(early).attested
        assert attested is not None
        assert not any(one.cosignatures for one in attested), "nobody waits for a witness"
        for one in witnesses[:2]:  # the third does not know this log
            await one.know(caller.service.log.vkey)
        for one in witnesses:
            await stack.enter_async_context(one.running())
        quorum = await cosigned(caller)
        words = await standing(caller, Standing.REFUSING, witness=2)
        assert "answered 404" in words and "Give its operator what /log/vkey shows" in words

        policy = parse_policy(await text(caller, "/log/policy"))
        policy.check_log(parse_key(caller.service.log.vkey))
        keys = [aics_tlog.parse_vkey(one.vkey) for one in witnesses]
        for path in ("/log/checkpoint", "/log/checkpoint/cosigned"):
            note = aics_tlog.parse_note((await text(caller, path)).encode())
            assert aics_tlog.parse_checkpoint(note.text).size == quorum.tree_size == caller.service.log.size
            log_key = aics_tlog.parse_vkey(caller.service.log.vkey)
            found = aics_tlog.verify_checkpoint(note, log_key, keys, 2)
            assert found.ok and found.witnesses == [one.name for one in witnesses[:2]], found

        async with asyncio.timeout(PATIENCE_S):
            while caller.service.timestamps.statuses()[0].behind:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        voucher = (await text(caller, url)).encode()
        assert voucher != early
        assert voucher == (await text(caller, url)).encode(), "and then it stays the same"
        for data, outcome in ((early, "failed"), (voucher, "passed")):
            roots = [authority.root]
            report = verify_voucher(
                data, vkey=caller.service.log.vkey, trust=Trust(policy=policy, roots=tuple(roots))
            )
            assert report.steps[12].outcome == outcome
        assert report.passed and report.steps[11].outcome == "passed", report.steps
        assert "both entries were there by then" in report.steps[11].message
        statuses = (await caller.call("GET", "/api/witnesses"))[1]
        assert statuses["cosigned_size"] == quorum.tree_size
        assert [one["standing"] for one in statuses["witnesses"]] == ["cosigning", "cosigning", "refusing"]
        assert await text(caller, "/readyz") == "ready\n", "that is no alarm"
        metrics = await text(caller, "/metrics")
        assert f"proofcall_cosigned_entries {quorum.tree_size}.0" in metrics
        assert 'proofcall_witness_alarms{witness="w1"} 0.0' in metrics

        monkeypatch.setattr(witnessing, "GAP_S", 3600.0)
        await caller.open_case()  # and now a pause
        await cosigned(caller)
        await caller.open_case()
        newest = await text(caller, "/log/checkpoint")
        assert "— witness" not in newest, "nobody waits for them to see the newest"
        older = parse_checkpoint(await text(caller, "/log/checkpoint/cosigned"))
        assert older.tree_size == parse_checkpoint(newest).tree_size - 1


@pytest.mark.long
async def test_a_package_holds_its_own_export_under_the_quorum_for_which_it_waits_no_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing, "GAP_S", 3600.0)
    witness = await make_witness(tmp_path / "w1")
    async with witnessed(tmp_path, [witness]) as caller:
        await witness.know(caller.service.log.vkey)
        async with witness.running():
            case_id = await caller.open_case()
            await cosigned(caller)
            status, package = await caller.call("POST", f"/api/cases/{case_id}/export")
            assert status == 200
            trust = Trust(policy=caller.service.witnesses.policy)
            report = verify_package(package, vkey=caller.service.log.vkey, trust=trust)
            assert report.passed and report.steps[12].outcome == "passed", report.steps
            assert not report.steps[12].unmade, "its export, too, is in what the witness has signed"


async def test_after_an_old_backup_was_restored_the_witness_refuses_and_the_operator_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, backup, newest = (tmp_path / name for name in ("data", "backup", "newest"))
    witness = await make_witness(tmp_path / "w1")
    async with witnessed(tmp_path, [witness]) as caller:
        await caller.open_case()
        await witness.know(caller.service.log.vkey)
    shutil.copytree(data, backup)
    async with witness.running():
        async with witnessed(tmp_path, [witness]) as caller:
            await caller.open_case()
            await caller.open_case()
            await cosigned(caller)
            promised = caller.service.log.size
        data.rename(newest)

        # The old backup: the witness has seen more (409), and that is said before anything is written.
        shutil.copytree(backup, data)
        async with witnessed(tmp_path, [witness]) as caller:
            held = caller.service.log.size
            words = await standing(caller, Standing.AHEAD)
            assert f"has cosigned {promised} entries of this log, which holds {held}" in words
            assert "restore the newest backup" in words
            assert words in [one.message for one in caplog.records if one.levelno == logging.ERROR]
            assert await text(caller, "/readyz") == f"ready, but {words}\n"
            assert 'proofcall_witness_alarms{witness="w1"} 1.0' in await text(caller, "/metrics")
            assert caller.service.witnesses.cosigned is None

            # Who goes on all the same makes another history: no proof leads from the old one to it (422).
            while caller.service.log.size <= promised:
                await caller.open_case()
        async with witnessed(tmp_path, [witness]) as caller:
            words = await standing(caller, Standing.FORKED)
            assert "no continuation of the one that it has cosigned" in words
            assert caller.service.witnesses.cosigned is None
            assert words in (await caller.call("GET", "/api/witnesses"))[1]["witnesses"][0]["words"]
        assert len(await witness.evidence()) >= 1, "the witness can prove it"

        # The newest backup is the one that the witness knows.
        shutil.rmtree(data)
        newest.rename(data)
        async with witnessed(tmp_path, [witness]) as caller:
            await caller.open_case()
            assert (await cosigned(caller)).tree_size > promised
            assert await text(caller, "/readyz") == "ready\n"


async def test_without_a_policy_there_are_no_witnesses_and_a_sentence_says_so(caller: Caller) -> None:
    await caller.open_case()
    for path in ("/log/policy", "/log/checkpoint/cosigned"):
        status, body = await caller.call("GET", path, bearer=None)
        assert status == 404 and body["error"]["message"]
    assert (await caller.call("GET", "/api/witnesses"))[1] == {"cosigned_size": None, "witnesses": []}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("quorum w1", "quorum w9"), "line 2 of the policy: w9 is no witness"),
        (lambda text: text.replace(" http://127.0.0.1:7", ""), "the witness w1 has no URL"),
        (
            lambda text: (
                f"witness w2 {encode_witness_key(LocalWitness(WITNESSES[0].key.name, 9).key)} http://w2\n{text}"
            ),
            "two witnesses sign under the same name",
        ),
        (lambda text: f"log {encode_key(STRANGER.key)}\n{text}", "name other logs than this one"),
    ],
    ids=["no policy", "no URL", "one name", "another log"],
)
async def test_a_policy_that_cannot_work_refuses_to_start(
    tmp_path: Path, change: Callable[[str], str], says: str
) -> None:
    policy = tmp_path / "policy"
    vkey = encode_witness_key(WITNESSES[0].key)
    policy.write_text(change(f"witness w1 {vkey} http://127.0.0.1:7\nquorum w1\n"))
    with pytest.raises(MalformedSetting, match=says):
        async with calling(tmp_path, PROOFCALL_WITNESS_POLICY=str(policy)):
            pass
