"""The first proven call: two taps, a shutter, a package."""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

from playwright.async_api import Playwright

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import DESK, Somebody, chromium, open_page, until
from tests.end_to_end.pictures import COURIER, HEIGHT, WIDTH, distance, quarters_of

COLOUR_TOLERANCE = 14  # of 255: VP8 at a start bitrate, then JPEG; the fields differ by far more


async def test_a_call_of_three_is_seen_heard_sealed_and_verified(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path], tmp_path: Path
) -> None:
    async with (
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
        chromium(playwright, camera=cameras["qa"]) as three,
    ):
        customer = await open_page(one, scene.url("customer"))
        courier = await open_page(two, scene.url("courier"), language="en-US")
        await customer.tap("start-button")
        await courier.tap("start-button")
        await customer.wait_for_media()
        await courier.wait_for_media()

        qa = await open_page(three, scene.url("qa"), size=DESK)
        await qa.tap("join-live")
        await qa.tap("join-camera")
        await qa.wait_for_media()
        await asyncio.gather(*map(meets_both_others, (customer, courier, qa)))

        await customer.tap("shutter")
        await until(customer.shows_sealed_frame, "the customer sees the sealed frame")
        await until(qa.shows_sealed_frame, "QA sees the sealed frame")
        await until(courier.shows_sealed_frame, "the courier sees the sealed frame")

        (frame,) = await scene.bodies("frame_sealed")
        assert frame["of"] == scene.links["courier"]["link_id"]
        blob = f"/api/cases/{scene.case_id}/blobs/{frame['blob']['sha256']}"
        _, jpeg = await scene.caller.call("GET", blob)
        size, colours = quarters_of(jpeg)
        assert size == (frame["width"], frame["height"])
        assert abs(size[0] / size[1] - WIDTH / HEIGHT) < 0.02
        assert distance(COURIER, colours) < COLOUR_TOLERANCE, colours

        await customer.tap("hangup")
        await courier.tap("hangup")
        for somebody in (customer, courier, qa):
            assert somebody.complaints == []

    status, package = await scene.caller.call("POST", f"/api/cases/{scene.case_id}/export")
    assert status == 200
    path = tmp_path / "package.zip"
    await asyncio.to_thread(path.write_bytes, package)
    assert (await verify(path))[0] == 0
    broken = bytearray(package)
    place = package.index(jpeg[:64]) + len(jpeg) // 2
    broken[place] ^= 1
    await asyncio.to_thread(path.write_bytes, broken)
    code, report = await verify(path)
    assert code == 1
    number = next(
        entry["envelope"]["number"]
        for entry in await scene.entries()
        if entry["envelope"]["kind"] == "frame_sealed"
    )
    assert str(number) in json.dumps(report), "the entry whose picture was changed is named"


async def meets_both_others(somebody: Somebody) -> None:
    """Sees and hears them, each with a picture of their own."""
    await somebody.wait_for_a_moving_picture()
    await until(partial(somebody.plays, 2), "both others have a picture of their own")


async def verify(path: Path) -> tuple[int, object]:
    """`proofcall verify --json` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("proofcall")),
        "verify",
        str(path),
        "--json",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out)
