"""A case with all that a report tells: people, a notice, a damage, a call with a gap, pictures, a receipt."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from PIL import Image, ImageDraw

from server.evidence.entry import Draft
from server.report_story import Told
from signaling.entries import parse_body
from signaling.values import encode_time
from tests.server.evidence.sample_case import BEGAN_AT, CASE, SampleLog, make_log

CUSTOMER, COURIER, QA = (f"l_{letter * 20}" for letter in "cdq")
ROLES = {CUSTOMER: "customer", COURIER: "courier", QA: "qa", "integrator": "integrator", "system": "system"}
NAMES = {CUSTOMER: "林女士", COURIER: "Wang Wei", QA: "质检 07"}
WAYBILL = "SF1000000001"
STATEMENT = "我已查看外包装并收到包裹。"


def picture(text: str, size: tuple[int, int] = (1280, 720)) -> bytes:
    """A JPEG of a parcel, more or less, with where it was taken in its EXIF."""
    image = Image.new("RGB", size, "#d8c7a4")
    draw = ImageDraw.Draw(image)
    draw.rectangle(
        (size[0] // 5, size[1] // 5, size[0] * 4 // 5, size[1] * 4 // 5),
        fill="#a9824c",
        outline="#5c4322",
        width=8,
    )
    draw.line((size[0] // 5, size[1] // 2, size[0] * 4 // 5, size[1] // 2), fill="#e9ddc4", width=40)
    draw.text((size[0] // 4, size[1] // 4), text, fill="black", font_size=48)
    exif = Image.Exif()
    exif[0x010E] = "MARKER of a place"
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, exif=exif)
    return file.getvalue()


def blob(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data), "media_type": "image/jpeg"}


FRAME, PHOTO, ALBUM = picture("frame"), picture("photo", (900, 1200)), picture("album", (800, 600))
BLOBS = {hashlib.sha256(data).hexdigest(): data for data in (FRAME, PHOTO, ALBUM)}


def at(seconds: float) -> str:
    return encode_time(BEGAN_AT + timedelta(seconds=seconds))


def claim(data: bytes, path: str, seconds: float) -> dict[str, Any]:
    """A photo as its phone announces it: the original, of which there is a copy that everybody may see."""
    original = data + b"place and device"
    return {
        "medium": "photo",
        "sha256": hashlib.sha256(original).hexdigest(),
        "size_bytes": len(original),
        "media_type": "image/jpeg",
        "capture_path": path,
        "captured_at": at(seconds),
    }


def stored(number: int, data: bytes) -> dict[str, Any]:
    original = data + b"place and device"
    return {
        "number": number,
        "sha256": hashlib.sha256(original).hexdigest(),
        "original": blob(original),
        "shown": blob(data),
        "width": 900,
        "height": 1200,
        "duration_ms": None,
        "waveform": [],
    }


def said(zh: str, en: str) -> dict[str, str]:
    return {"zh": zh, "en": en}


WAY = {"packets": 9000, "bytes": 9_000_000, "lost_packets": 12, "repaired_packets": 300, "loss_permille": 34}
TRAFFIC = {
    "sent_packets": 9000,
    "sent_bytes": 9_000_000,
    "received_packets": 8000,
    "received_bytes": 8_000_000,
    "lost_packets": 12,
}
PLACE = {"latitude_e6": 22_540_500, "longitude_e6": 113_934_500, "accuracy_m": 12}

BROUGHT = {
    "standing": "unknown_signer",
    "problem": None,
    "signer": "Dreams Inc",
    "generator": "Dreamer 3",
    "source_types": ["trainedAlgorithmicMedia"],
    "signed_at": None,
}

# Who, kind, body: the entries of the case, numbered from 1.
EVENTS: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    (
        "integrator",
        "case_opened",
        {
            "waybill": WAYBILL,
            "declared_value": {"amount_minor": 899_900, "currency": "CNY"},
            "language": "zh",
            "metadata": {"order": "2026-118-4711", "goods": "手机 Pixel <12> & case"},
            "time_zone": "Asia/Shanghai",
        },
    ),
    *(
        (
            "integrator",
            "link_issued",
            {"link_id": one, "role": ROLES[one], "name": NAMES[one], "expires_at": at(86_400)},
        )
        for one in (CUSTOMER, COURIER, QA)
    ),
    (
        COURIER,
        "notice_sent",
        {
            "notice": "arrived",
            "to": "customer",
            "text": said("快递员已到楼下，请问如何签收？", "Your courier is downstairs."),
            "choices": [
                {"choice": "now", "label": said("现在送上来", "Bring it now"), "wants": "nothing"},
                {"choice": "door", "label": said("放在门口", "Leave it at the door"), "wants": "nothing"},
            ],
            "minutes": None,
            "repeat_at": at(200),
            "give_up_at": at(400),
            "captured_at": at(4),
        },
    ),
    (
        CUSTOMER,
        "answered",
        {
            "number": 5,
            "choice": "now",
            "label": said("现在送上来", "Bring it now"),
            "when_at": None,
            "detail": None,
            "by": "tap",
            "replaces": None,
            "captured_at": at(5),
        },
    ),
    (
        COURIER,
        "exception_reported",
        {
            "exception": "damage",
            "label": said("破损", "Damage"),
            "text": "左下角被压，胶带有二次粘贴的痕迹。Corner crushed, tape lifted once.",
            "attachments": [claim(PHOTO, "camera", -300), claim(ALBUM, "album", -9000)],
            "place": PLACE,
            "place_refused": False,
            "due_at": at(600),
            "captured_at": at(-290),
            "clock": {"offset_ms": -294_100, "uncertainty_ms": 120},
        },
    ),
    (COURIER, "attachment_stored", stored(7, PHOTO)),
    (COURIER, "attachment_stored", {**stored(7, ALBUM), "credentials": BROUGHT}),
    (QA, "read", {"after": 0, "up_to": 9, "live": True, "authenticated_by": "desk"}),
    (QA, "exception_taken", {"number": 7}),
    (
        CUSTOMER,
        "consented",
        {
            "statement": "我同意：通话中的其他人可以看到我的画面、听到我的声音；全程录音录像。",
            "language": "zh",
        },
    ),
    (
        COURIER,
        "consented",
        {"statement": "I agree that sound and picture are kept as evidence.", "language": "en"},
    ),
    (CUSTOMER, "call_started", {"call_number": 1}),
    (CUSTOMER, "joined", {"call_number": 1}),
    (COURIER, "joined", {"call_number": 1}),
    (
        QA,
        "frame_sealed",
        {
            "of": COURIER,
            "blob": blob(FRAME),
            "width": 1280,
            "height": 720,
            "codec": "VP8",
            "rtp_timestamp": 90_000,
            "arrived_at": at(17),
            "capture_path": "server_frame",
            "packets": {
                "ssrc": 5,
                "first_sequence_number": 1,
                "last_sequence_number": 9,
                "count": 9,
                "sha256": "0" * 64,
            },
            "pressed_at": at(17),
        },
    ),
    (COURIER, "gap_started", {"call_number": 1, "of": "both", "cause": "network", "began_at": at(18)}),
    (
        COURIER,
        "gap_ended",
        {"call_number": 1, "number": 18, "of": "both", "cause": "network", "duration_ms": 4200},
    ),
    (
        COURIER,
        "segment_lost",
        {
            "call_number": 1,
            "segment": 2,
            "began_at": at(20),
            "ended_at": at(25),
            "packets": 400,
            "reason": "overloaded",
        },
    ),
    (
        CUSTOMER,
        "frame_failed",
        {"of": COURIER, "reason": "no_keyframe", "message": "no whole picture had arrived yet"},
    ),
    (CUSTOMER, "text", {"text": "这里有一道划痕 😀", "captured_at": at(21)}),
    (
        COURIER,
        "call_quality",
        {
            "call_number": 1,
            "duration_ms": 60_000,
            "sent": WAY,
            "received": {**WAY, "lost_packets": 0},
            "round_trip": {"median_ms": 40, "max_ms": 900},
            "gaps": {"count": 1, "total_ms": 4200},
            "playback_claim": None,
        },
    ),
    (COURIER, "left", {"call_number": 1, "reason": "left", "traffic": TRAFFIC}),
    (
        CUSTOMER,
        "call_ended",
        {
            "call_number": 1,
            "duration_ms": 61_000,
            "participants": [{"actor_id": COURIER, "role": "courier", "traffic": TRAFFIC}],
            "reason": "ended",
        },
    ),
    (
        QA,
        "played_back",
        {
            "call_number": 1,
            "of": COURIER,
            "part": 1,
            "first_segment": 1,
            "last_segment": 1,
            "authenticated_by": "desk",
        },
    ),
    (QA, "viewed", {"number": 7, "original": True, "authenticated_by": "desk"}),
    (
        QA,
        "exception_decided",
        {
            "number": 7,
            "decision": "go_on",
            "label": said("备注后继续配送", "Go on, with a remark"),
            "remark": "请客户当面验货。",
        },
    ),
    (COURIER, "exception_acknowledged", {"number": 7, "decided": 28}),
    (
        COURIER,
        "handed_over",
        {
            "how": "in_person",
            "label": said("当面交付", "Given in person"),
            "text": "箱子左下角有压痕",
            "attachments": [claim(FRAME, "camera", 29)],
            "place": PLACE,
            "right": said("您有权先验货再签收。", "You may look first, and sign then."),
            "captured_at": at(29),
        },
    ),
    (
        CUSTOMER,
        "confirmed",
        {
            "number": 30,
            "statement": STATEMENT,
            "language": "zh",
            "reservation": "左下角有压痕，待开箱检验。",
            "attachments": [],
            "captured_at": at(30),
        },
    ),
    (COURIER, "exception_closed", {"number": 7, "remark": None}),
    (COURIER, "refused", {"what": "export_case", "reason": "not_for_role", "authenticated_by": "link"}),
    (QA, "case_ended", {"reason": "ended_by_qa"}),
    ("integrator", "exported", {"entries_before": 34, "authenticated_by": "api_key"}),
)


def report_log(events: Sequence[tuple[str, str, Mapping[str, Any]]] = EVENTS) -> SampleLog:
    """The case in a log of its own; every body is one that the service could have written."""
    for _, kind, body in events:
        parse_body(kind, body)
    return make_log(
        [
            Draft(kind=kind, case_id=CASE, role=ROLES[who], actor_id=who, session_id="s_1", body=body)
            for who, kind, body in events
        ]
    )


def told(log: SampleLog, *, erased: frozenset[int] = frozenset()) -> list[Told]:
    return [
        Told(envelope=entry.envelope, body=None if entry.envelope.number in erased else entry.body)
        for entry in log.entries
    ]
