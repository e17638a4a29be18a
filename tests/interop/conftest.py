"""aiortc on loopback, and what the tests in real browsers stand on."""

from __future__ import annotations

import aioice.ice
import pytest

from tests.end_to_end.conftest import (
    caller,
    cameras,
    nothing_runs_on,
    playwright,
    pytest_collection_modifyitems,
    scene,
)

__all__ = ["caller", "cameras", "nothing_runs_on", "playwright", "pytest_collection_modifyitems", "scene"]


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves loopback out when it gathers addresses; here there is nothing else to go by."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
