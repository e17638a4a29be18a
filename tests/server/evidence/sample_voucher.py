"""A voucher made by the pure machines alone: handed over and confirmed, with other entries around them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from server.evidence.canonical import JsonValue
from server.evidence.checkpoint import CheckpointSigner, encode_key
from server.evidence.entry import Draft
from server.evidence.voucher import Voucher, VoucherEntry, seal_text
from tests.server.evidence.sample_case import CASE, OTHER_CASE, SIGNER, SampleLog, draft, make_log

WAYBILL = "SF1000000001"
HANDED_OVER: Mapping[str, JsonValue] = {
    "how": "in_person",
    "label": {"zh": "当面交给您", "en": "Given to you in person"},
    "text": "箱子完好",
    "attachments": [],
    "place": {"latitude_e6": 22_540_500, "longitude_e6": 113_934_500, "accuracy_m": 12},
    "right": {"zh": "您有权先验货再签收。", "en": "You may look first, and sign then."},
    "captured_at": "2026-11-22T14:03:20.000Z",
}
CONFIRMED: Mapping[str, JsonValue] = {
    "number": 2,
    "statement": "我已查看外包装并收到包裹。",
    "language": "zh",
    "reservation": None,
    "attachments": [],
    "captured_at": "2026-11-22T14:03:27.000Z",
}


def voucher_drafts(
    *,
    handed_over: Mapping[str, JsonValue] = HANDED_OVER,
    confirmed: Mapping[str, JsonValue] = CONFIRMED,
    role: str = "customer",
    between: int = 1,
) -> list[Draft]:
    """Opened, handed over, `between` texts, confirmed; another case among them."""
    return [
        draft("case_opened", CASE, {"waybill": WAYBILL}),
        draft("case_opened", OTHER_CASE, {"waybill": "SF2"}),
        draft("handed_over", CASE, handed_over),
        *[draft("text", CASE, {"text": "谢谢"}) for _ in range(between)],
        draft("text", OTHER_CASE, {"text": "你好"}),
        replace(draft("confirmed", CASE, confirmed), role=role, actor_id="l_c"),
        draft("text", OTHER_CASE, {"text": "再见"}),
    ]


def sample_voucher(drafts: Sequence[Draft] | None = None, signer: CheckpointSigner = SIGNER) -> Voucher:
    """The voucher of the first hand-over and the first confirmation among the drafts."""
    return voucher_of(make_log(voucher_drafts() if drafts is None else drafts, signer=signer), signer)


def voucher_of(log: SampleLog, signer: CheckpointSigner = SIGNER) -> Voucher:
    parts = {}
    for kind in ("handed_over", "confirmed"):
        entry = next(entry for entry in log.entries if entry.envelope.kind == kind)
        parts[kind] = VoucherEntry(
            envelope=entry.envelope, body=entry.body, salt=entry.salt, proof=log.proofs[entry.leaf_index]
        )
    return sealed(
        Voucher(
            waybill=WAYBILL,
            case_id=CASE,
            time_zone="Asia/Shanghai",
            handed_over=parts["handed_over"],
            confirmed=parts["confirmed"],
            checkpoint=log.checkpoint,
            vkey=encode_key(signer.key),
        ),
        signer,
    )


def sealed(voucher: Voucher, signer: CheckpointSigner = SIGNER) -> Voucher:
    """The voucher with the seal that the log's key would give it."""
    return replace(voucher, seal=signer.sign_statement(seal_text(voucher)))
