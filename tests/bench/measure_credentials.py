"""What content credentials cost a picture: a copy made by a worker of its own, and those of an upload read.

The picture is a photo of 1920×1080 at the quality of what is shown, its noise that of a phone in the evening.
`signed in` is the library's share, the rest a process of its own and its start.
"""

import asyncio
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from media.credentials import CredentialsWorker, read_credentials
from media.credentials_protocol import Order
from media.credentials_worker import sign
from server.evidence.credential import check_copy, encode_credential, open_copy
from server.store.picture_keys import load_or_create_picture_signer
from tests.bench.table import Row, percentile, span
from tests.bench.workshop import Workshop
from tests.server.evidence.sample_credential import credential

WIDTH, HEIGHT = 1920, 1080
QUALITY = 85
PICTURES = 30


def _photo() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((WIDTH, HEIGHT), 20).convert("RGB").save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _sign_here(picture: bytes, order: Order, ask: Callable[[bytes], bytes]) -> list[float]:
    taken_ms = []
    for _ in range(PICTURES):
        began = time.perf_counter()
        sign(picture, order, ask)
        taken_ms.append((time.perf_counter() - began) * 1_000)
    return taken_ms


async def measure_credentials(_workshop: Workshop) -> list[Row]:
    picture = await asyncio.to_thread(_photo)
    with TemporaryDirectory() as folder:
        signer = load_or_create_picture_signer(
            Path(folder), origin="bench.local/log", now_at=datetime.now(UTC)
        )
    order = Order(
        media_type="image/jpeg",
        certificates=signer.certificates,
        algorithm=signer.algorithm,
        title="bench",
        label="proofcall.evidence",
        assertion=encode_credential(credential(named=picture, of=picture)).decode(),
    )
    made_ms, read_ms, checked_ms = [], [], []
    copy = b""
    for _ in range(PICTURES):
        began = time.perf_counter()
        async with CredentialsWorker() as worker:  # a process of its own: what one press costs
            copy = await worker.make(picture, order, signer.sign)
        made = time.perf_counter()
        facts = await read_credentials(copy, "image/jpeg", signer.root)
        read = time.perf_counter()
        check_copy(open_copy(copy))
        checked_ms.append((time.perf_counter() - read) * 1_000)
        made_ms.append((made - began) * 1_000)
        read_ms.append((read - made) * 1_000)
        if facts.standing != "trusted":
            raise AssertionError(facts)
    inside_ms = await asyncio.to_thread(_sign_here, picture, order, signer.sign)
    more_kib = (len(copy) - len(picture)) / 1_024

    def row(what: str, taken_ms: list[float], beside: str = "") -> Row:
        return Row(
            part="credentials",
            what=f"{what} ({WIDTH}×{HEIGHT}, {len(picture) >> 10} KiB), p50 / p95 of {PICTURES}",
            reach="–",
            measured=f"{percentile(taken_ms, 50):.1f} / {percentile(taken_ms, 95):.1f} ms",
            noise=span(taken_ms),
            peers=beside,
        )

    return [
        row(
            "C2PA copy of a picture",
            made_ms,
            f"signed in {percentile(inside_ms, 50):.1f} ms; +{more_kib:.1f} KiB",
        ),
        row("C2PA of an uploaded picture read", read_ms),
        row("copy held against the log, without C2PA", checked_ms),
    ]
