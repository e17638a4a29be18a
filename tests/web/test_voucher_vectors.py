"""`voucher_vectors.json`: vouchers and what the service's own verification says of each; the page must agree.

This test says when the file no longer is what the service makes. Run
`python -m tests.web.test_voucher_vectors` to write it anew, after a decision to change the format.
"""

import base64
import json
from pathlib import Path
from typing import Any

from server.evidence.policy import parse_policy
from server.evidence.report import Outcome
from server.evidence.trust import Trust
from server.evidence.verify_voucher import verify_voucher
from server.evidence.voucher import find_voucher
from server.voucher_pdf import render_voucher
from tests.server.evidence.attested_vouchers import ROWS
from tests.server.evidence.damaged_vouchers import TABLE, VKEY
from tests.server.evidence.sample_voucher import sample_voucher

FILE = Path(__file__).parent / "voucher_vectors.json"


def vectors() -> dict[str, Any]:
    pdf = render_voucher(sample_voucher(), url="https://proofcall.example/v#token", language="zh", font=None)
    damages: list[dict[str, Any]] = []
    for damaged in TABLE:
        report = verify_voucher(damaged.data, vkey=VKEY)
        damages.append(
            {
                "name": damaged.name,
                "data": base64.b64encode(damaged.data).decode(),
                "passed": report.passed,
                "steps": [step.outcome.value for step in report.steps],
            }
        )
    assert [row["passed"] for row in damages] == [not damaged.failed for damaged in TABLE]
    assert {outcome.value for outcome in Outcome} >= {step for row in damages for step in row["steps"]}
    attested: list[dict[str, Any]] = []
    for row in ROWS:
        policy = None if row.policy is None else parse_policy(row.policy)
        report = verify_voucher(row.data, vkey=VKEY, trust=Trust(policy=policy))
        attested.append(
            {
                "name": row.name,
                "data": base64.b64encode(row.data).decode(),
                "policy": row.policy,
                "passed": report.passed,
                "steps": [step.outcome.value for step in report.steps],
            }
        )
    return {
        "vkey": VKEY,
        "damages": damages,
        "attested": attested,
        "pdf": base64.b64encode(pdf).decode(),
    }


def test_the_vectors_are_what_the_service_makes() -> None:
    kept, made = json.loads(FILE.read_text()), vectors()
    # How a page is compressed is zlib's affair: the document in the PDF is what counts.
    documents = [find_voucher(base64.b64decode(one.pop("pdf"))) for one in (kept, made)]
    assert documents[0] == documents[1]
    assert kept == made


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), ensure_ascii=False, indent=1) + "\n")
