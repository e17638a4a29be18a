"""Where no direct way is open, the page comes in over the operator's own coturn."""

from pathlib import Path

import pytest
from playwright.async_api import Playwright

from tests.conftest import calling
from tests.end_to_end.conftest import set_scene
from tests.end_to_end.coturn import TURNSERVER, coturn
from tests.end_to_end.people import chromium, open_page
from tests.end_to_end.test_roaming import WAYS, MediaRequests

# A network without any direct way: of all candidates the browser uses those of relays alone.
RELAYS_ALONE = """
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(how) { super({...how, iceTransportPolicy: 'relay'}); }
};
"""


@pytest.mark.skipif(TURNSERVER is None, reason="coturn is not installed (Debian: apt-get install coturn)")
async def test_a_call_comes_up_over_coturn_with_credentials_of_the_service(
    tmp_path: Path, playwright: Playwright, cameras: dict[str, Path]
) -> None:
    async with (
        coturn(tmp_path) as relay,
        calling(tmp_path, PROOFCALL_TURN_URLS=relay.url, PROOFCALL_TURN_SECRET=relay.secret) as caller,
        chromium(playwright, camera=cameras["customer"]) as one,
        chromium(playwright, camera=cameras["courier"]) as two,
    ):
        scene = await set_scene(caller)
        customer = await open_page(one, "about:blank")
        requests = MediaRequests(customer)
        await customer.page.add_init_script(RELAYS_ALONE)
        await customer.page.goto(scene.url("customer"))
        courier = await open_page(two, scene.url("courier"))
        await customer.tap("start-button")
        await courier.tap("start-button")
        await customer.wait_for_media()
        await courier.wait_for_media()
        way = await customer.page.evaluate(WAYS)
        assert (way["type"], way["connections"]) == ("relay", 1), way
        assert requests.made == ["POST", "PATCH"]
        assert (await courier.page.evaluate(WAYS))["type"] != "relay"
        assert f":{scene.links['customer']['link_id']}>" in relay.log.read_text(errors="replace")
        assert customer.complaints == []
