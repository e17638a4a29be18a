"""A recorded call at the desk: both pictures on one clock, in step, sought, stepped through, written down."""

import asyncio
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from playwright.async_api import Playwright, Response

from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import DESK, Somebody, chromium, open_page, until
from tests.end_to_end.pictures import COURIER, CUSTOMER, Quarters, distance
from tests.end_to_end.test_first_call import COLOUR_TOLERANCE

IN_STEP_S = 0.06  # sound leads its picture by less than half of what people notice
HAVE_CURRENT_DATA = 2  # HTMLMediaElement.readyState: the picture of this moment is there
SETTLED_S = 1.0  # elements start within a tenth of a second of each other; that is drawn in by then
TALK_S = 8.0  # two segments of each person, the last one cut short

# Each video that is shown: whose, where it is, and the colour in the middle of each quarter of its picture.
VIDEOS = """() => [...document.querySelectorAll('[data-testid=play-tile]')].flatMap(tile => {
  const video = tile.querySelector('video[data-shown]');
  if (!video) return [];
  return [{actor_id: tile.dataset.actorId, time_s: video.currentTime, paused: video.paused,
           ready: video.readyState, muted: video.muted}];
})"""
COLOURS = """actor_id => {
  const tile = document.querySelector(`[data-testid=play-tile][data-actor-id="${actor_id}"]`);
  const video = tile.querySelector('video[data-shown]');
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [64, 48];
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 64, 48);
  return [0, 1, 2, 3].map(index => {
    const [row, column] = [Math.floor(index / 2), index % 2];
    return [...context.getImageData(16 + 32 * column, 6 + 24 * row, 1, 1).data].slice(0, 3);
  });
}"""


class Desk:
    """QA's page, and what the service answered to its asking for playbacks."""

    def __init__(self, qa: Somebody) -> None:
        self.qa = qa
        self.answers: dict[str, dict[str, Any]] = {}
        qa.page.on("response", self._note)

    async def _note(self, response: Response) -> None:
        if response.request.method == "POST" and response.url.endswith("/playback"):
            asked = response.request.post_data_json or {}
            self.answers[str(asked["actor_id"])] = await response.json()

    async def videos(self) -> dict[str, dict[str, Any]]:
        """What is shown now, by whose it is."""
        shown: list[dict[str, Any]] = await self.qa.page.evaluate(VIDEOS)
        return {video["actor_id"]: video for video in shown}

    async def places(self) -> dict[str, float]:
        """Where each video is, in seconds of the service's clock, counted from when its own file begins."""
        return {
            actor_id: datetime.fromisoformat(self.answers[actor_id]["began_at"]).timestamp() + video["time_s"]
            for actor_id, video in (await self.videos()).items()
            if actor_id in self.answers
        }

    async def apart_s(self) -> float:
        """How far the two are apart."""
        one, other = (await self.places()).values()
        return abs(one - other)

    async def state(self) -> str | None:
        """What the player does."""
        return str(await self.qa.by("player").get_attribute("data-state"))

    async def is_now(self, state: str) -> bool:
        """Whether that is what it does."""
        return await self.state() == state

    async def both_play(self) -> bool:
        """Whether two videos run."""
        videos = await self.videos()
        return len(videos) == 2 and not any(video["paused"] for video in videos.values())

    async def both_are_at(self, place: float) -> bool:
        """Whether both videos rest at that moment."""
        if any(video["ready"] < HAVE_CURRENT_DATA for video in (await self.videos()).values()):
            return False
        places = await self.places()
        return len(places) == 2 and all(abs(seen - place) < IN_STEP_S for seen in places.values())

    async def colours(self, actor_id: str) -> list[tuple[int, int, int]]:
        """The colours of somebody's picture as it is shown."""
        return [tuple(colour) for colour in await self.qa.page.evaluate(COLOURS, actor_id)]

    async def looks_like(self, actor_id: str, quarters: Quarters) -> bool:
        """Whether it is the picture of their camera."""
        return distance(quarters, await self.colours(actor_id)) < COLOUR_TOLERANCE


async def test_a_call_is_played_back_in_step_sought_and_written_down(
    scene: Scene, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    customer_id, courier_id = scene.links["customer"]["link_id"], scene.links["courier"]["link_id"]
    async with (
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
    ):
        customer = await open_page(one, scene.url("customer"))
        courier = await open_page(two, scene.url("courier"), language="en-US")
        await courier.tap("start-button")
        await asyncio.sleep(1.0)
        await customer.tap("start-button")
        await asyncio.gather(customer.wait_for_media(), courier.wait_for_media())
        assert await courier.by("record-state").inner_text() == "REC · sound and picture are kept"
        assert await customer.by("record-state").inner_text() == "录制中 · 声音和画面都会保存"
        await asyncio.sleep(TALK_S / 2)
        await customer.tap("shutter")
        await until(customer.shows_sealed_frame, "a picture is sealed")
        await asyncio.sleep(TALK_S / 2)
        for somebody in (customer, courier):
            await somebody.tap("hangup")
        await until(partial(ended, scene), "the call has ended, and its last segments are sealed")
        assert customer.complaints == courier.complaints == []

        qa = await open_page(one, "about:blank", size=DESK, language="en-US")
        desk = Desk(qa)
        await qa.page.goto(scene.url("qa"))
        await qa.tap("play-call")
        note = qa.by("play-note").filter(has_text="Press play. It is written down that you looked.")
        await note.wait_for()
        assert await scene.bodies("played_back") == [], "nobody has seen anything yet"

        await qa.page.keyboard.press(" ")
        await until(desk.both_play, "both pictures play")
        await until(partial(in_step, desk), "they come in step")
        await asyncio.sleep(SETTLED_S)
        before = await desk.places()
        apart = []
        for _ in range(15):
            apart.append(await desk.apart_s())
            await asyncio.sleep(0.1)
        assert max(apart) < IN_STEP_S, apart
        after = await desk.places()
        assert all(1.0 < after[who] - before[who] < 3.0 for who in before), (before, after)
        assert await desk.looks_like(customer_id, CUSTOMER), await desk.colours(customer_id)
        assert await desk.looks_like(courier_id, COURIER), await desk.colours(courier_id)

        await qa.page.keyboard.press(" ")
        await until(partial(desk.is_now, "paused"), "it pauses")
        (frame,) = await scene.bodies("frame_sealed")
        taken = datetime.fromisoformat(frame["arrived_at"]).timestamp()
        await qa.page.locator("[data-testid=log-entry][data-kind=frame_sealed]").first.click()
        await until(partial(desk.both_are_at, taken), "the entry's moment is that of the pictures")
        assert await desk.looks_like(courier_id, COURIER), "sought, not black"

        rests = (await desk.places())[courier_id]
        await qa.page.keyboard.press(".")
        await until(partial(moved, desk, courier_id, rests, 0.005, 0.3), "one frame on")
        await until(partial(desk.is_now, "paused"), "and no more")
        rests = (await desk.places())[courier_id]
        await qa.page.keyboard.press(",")
        await until(partial(moved, desk, courier_id, rests, -0.3, -0.005), "one frame back")

        bar = await qa.by("seek").bounding_box()
        assert bar is not None
        await qa.page.mouse.click(bar["x"] + bar["width"] * 0.25, bar["y"] + 8)
        await qa.page.keyboard.press(" ")
        await until(desk.both_play, "it plays on from where the bar was pressed")
        await until(partial(in_step, desk), "in step again")
        began = datetime.fromisoformat((await calls(scene))[0]["began_at"]).timestamp()
        assert 0 < (await desk.places())[courier_id] - began < TALK_S
        assert int(await qa.page.locator("[data-testid=log-entry][data-now]").count()) == 1
        await until(partial(desk.is_now, "ended"), "it plays to its end")

        await until(partial(looked, qa), "who looked stands in the facts")
        assert await qa.page.locator("[data-testid=source]").count() == 2
        assert qa.complaints == []

    written = await scene.bodies("played_back")
    assert {body["of"] for body in written} == {customer_id, courier_id} and len(written) == 2
    assert {body["authenticated_by"] for body in written} == {"link"}
    for actor_id, answer in desk.answers.items():
        sealed = await scene.bodies("segment_sealed")
        hashes = {body["blob"]["sha256"] for body in sealed}
        assert {piece["sha256"] for piece in answer["segments"]} <= hashes, actor_id
        assert len(answer["segments"]) >= 2


async def calls(scene: Scene) -> list[dict[str, Any]]:
    """The calls of the case, as the integrator sees them."""
    _, body = await scene.caller.call("GET", f"/api/cases/{scene.case_id}/calls")
    return list(body["calls"])


async def ended(scene: Scene) -> bool:
    """Whether the call has ended and something is recorded of both."""
    (call,) = await calls(scene)
    return call["ended_at"] is not None and len({row["actor_id"] for row in call["recordings"]}) == 2


async def in_step(desk: Desk) -> bool:
    """Whether both play, and less than the bound apart."""
    return await desk.is_now("playing") and len(await desk.places()) == 2 and await desk.apart_s() < IN_STEP_S


async def moved(desk: Desk, actor_id: str, rests: float, least_s: float, most_s: float) -> bool:
    """Whether somebody's picture is that much further than it was."""
    return least_s < (await desk.places())[actor_id] - rests < most_s


async def looked(qa: Somebody) -> bool:
    """Whether both playbacks are told among those who looked."""
    return int(await qa.page.locator("[data-testid=looked-row][data-kind=played_back]").count()) == 2
