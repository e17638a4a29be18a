"""Before and after its keys were rotated: what a service gave away still holds, and so does what it gives."""

import asyncio
import json
from pathlib import Path

from server import rotate_command
from server.evidence.canonical import encode_canonical
from server.evidence.checkpoint import parse_key
from server.evidence.handover import history_of, parse_handovers
from server.evidence.report import Outcome
from server.evidence.trust import parse_trust
from server.evidence.verify import verify_package
from server.evidence.verify_voucher import verify_voucher
from tests.conftest import Caller, calling
from tests.server.receipt import confirm_receipt

KEY_STEP = 9  # in the list of steps


async def voucher_of(caller: Caller, case_id: str) -> bytes:
    status, found = await caller.call("GET", f"/api/cases/{case_id}/voucher")
    assert status == 200, found
    async with caller.http.get(caller.url + found["json_url"]) as answer:
        return await answer.read()


async def vkey_of(caller: Caller) -> str:
    return str((await caller.call("GET", "/log/vkey", bearer=None))[1].decode().strip())


async def test_a_service_goes_on_under_new_keys_and_what_left_the_house_before_still_holds(
    tmp_path: Path,
) -> None:
    async with calling(tmp_path) as caller:
        old = await vkey_of(caller)
        receipt = await confirm_receipt(caller)
        voucher = await voucher_of(caller, receipt.case_id)
        assert (await caller.call("GET", "/log/vkeys", bearer=None))[1]["handovers"] == []
    for key in ("wrap-key", "log-key"):
        assert await asyncio.to_thread(rotate_command.run, [key, str(tmp_path / "data")], {}) == 0
    async with calling(tmp_path) as caller:
        new = await vkey_of(caller)
        _, keys = await caller.call("GET", "/log/vkeys", bearer=None)
        _, proof = await caller.call("GET", f"/api/cases/{receipt.case_id}/entries/1/proof")
        _, trust_file = await caller.call("GET", "/log/trust", bearer=None)
        trust = parse_trust(json.dumps(trust_file).encode())
        renewed = await voucher_of(caller, receipt.case_id)
        _, later = await caller.call("POST", f"/api/cases/{receipt.case_id}/export")
        _, cases = await caller.call("GET", "/api/cases")
        assert [case["case_id"] for case in cases["cases"]] == [receipt.case_id]
        assert (await caller.call("GET", "/api/cases/house"))[0] == 404
    assert proof["vkey"] == new == keys["vkey"] != old
    assert trust_file["vkeys"] == [new, old]
    history = history_of(parse_handovers(encode_canonical(keys)), parse_key(new))
    assert history.keys == (parse_key(old), parse_key(new))
    for data, vkey in ((voucher, old), (renewed, new)):
        assert verify_voucher(data, vkey=vkey).passed and verify_voucher(data, trust=trust).passed
    for vkey in (old, new):
        report = verify_package(later, vkey=vkey)
        assert report.passed and report.steps[KEY_STEP].outcome is Outcome.PASSED, report
    history_step = verify_package(later, against=voucher).steps[KEY_STEP + 1]
    assert history_step.outcome is not Outcome.FAILED, history_step
    assert verify_package(later, trust=trust).passed
