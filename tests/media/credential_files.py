"""Pictures with content credentials, ours and strangers', and a reader of them that is not the one we use."""

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import c2pa

from media.credentials import TIMEOUT_S, CredentialsWorker
from media.credentials_protocol import Order
from server.store.picture_keys import PictureSigner, load_or_create_picture_signer

os.environ["ENCYPHER_C2PA_TELEMETRY"] = "off"  # before its library is there
import encypher_c2pa

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def make_signer(folder: Path, origin: str = "proofcall.local/log") -> PictureSigner:
    folder.mkdir(parents=True, exist_ok=True)
    return load_or_create_picture_signer(folder, origin=origin, now_at=datetime.now(UTC))


def order(signer: PictureSigner, assertion: str = '{"a":1}') -> Order:
    return Order(
        media_type="image/jpeg",
        certificates=signer.certificates,
        algorithm=signer.algorithm,
        title="a case",
        label="proofcall.evidence",
        assertion=assertion,
    )


async def make_copy(
    picture: bytes, order: Order, sign: Callable[[bytes], bytes], *, timeout_s: float = TIMEOUT_S
) -> bytes:
    """As `CredentialsWorker.make`, by a process of its own."""
    async with CredentialsWorker(timeout_s=timeout_s) as worker:
        return await worker.make(picture, order, sign)


def store_of(copy: bytes) -> range:
    """Where the credentials of a JPEG lie: its APP11 segments, one behind the other."""
    begin = end = copy.index(b"\xff\xeb")
    while copy[end : end + 2] == b"\xff\xeb":
        end += 2 + int.from_bytes(copy[end + 2 : end + 4])
    return range(begin, end)


def generated(picture: bytes, signer: PictureSigner, media_type: str = "image/jpeg") -> bytes:
    """A picture whose credentials say that a model made it, as such tools write them."""
    manifest = {
        "claim_generator_info": [{"name": "A picture\nmodel"}],
        "title": "generated",
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": TRAINED}]},
            }
        ],
    }
    copy = io.BytesIO()
    with (
        c2pa.Context.from_dict({"verify": {"verify_after_sign": False}}) as context,
        c2pa.Builder(manifest, context) as builder,
        c2pa.Signer.from_callback(
            signer.sign, c2pa.C2paSigningAlg[signer.algorithm], signer.certificates
        ) as signing,
    ):
        builder.sign(signing, media_type, io.BytesIO(picture), copy)
    return copy.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the other reader says: `integrity` is `valid` or not, `trusted` whether it leads to the root."""

    integrity: str
    trusted: bool
    failures: tuple[str, ...]
    assertions: Mapping[str, Any] = field(default_factory=dict)


def read_elsewhere(data: bytes, root: str, media_type: str = "image/jpeg") -> Verdict:
    """By encypher-c2pa, which shares no code with c2pa-rs; offline."""
    report = encypher_c2pa.verify(data, media_type, trust_pem=root, no_default_trust=True, online=False)
    assert report["network"]["requests"] == []
    manifests = report.get("manifest_report") or {}
    active = (manifests.get("manifests") or {}).get(manifests.get("active_manifest")) or {}
    return Verdict(
        integrity=report["integrity"],
        trusted=report["trust"]["status"] == "valid_for_supplied_material",
        failures=tuple(failure["code"] for failure in report["validation_results"]["failure"]),
        assertions={assertion["label"]: assertion["data"] for assertion in active.get("assertions") or []},
    )
