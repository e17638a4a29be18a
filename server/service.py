"""The parts that routes are given. A value: who makes and ends them is `app.py`'s affair."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from media.relay import Relay
from server.background import Background
from server.calls import Calls
from server.cases import Cases
from server.credentials import Credentials
from server.custody import Custody
from server.deadlines import Deadlines
from server.erasing import Erasing
from server.orders import Orders
from server.packages import Packages
from server.playbacks import Playbacks
from server.principals import Principals
from server.recordings import Recordings
from server.retention import Retention
from server.search import Search
from server.store.attestations import AttestationStore
from server.store.blobs import BlobStore
from server.store.log import LogStore
from server.timestamps import Timestamps
from server.tokens import Tokens
from server.uploads import Uploads
from server.vouchers import Vouchers
from server.webhooks import Webhooks
from server.witnesses import Witnesses
from signaling.wording import Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything a route may need."""

    public_url: str
    turn_urls: tuple[str, ...]
    turn_secret: str | None
    log: LogStore
    blobs: BlobStore
    attestations: AttestationStore
    timestamps: Timestamps
    relay: Relay
    tokens: Tokens
    cases: Cases
    wording: Wording
    calls: Calls
    recordings: Recordings
    playbacks: Playbacks
    deadlines: Deadlines
    search: Search
    vouchers: Vouchers
    witnesses: Witnesses
    credentials: Credentials
    packages: Packages
    erasing: Erasing
    retention: Retention
    custody: Custody
    uploads: Uploads
    webhooks: Webhooks
    orders: Orders
    background: Background
    principals: Principals
    new_id: Callable[[str], str]
    utc_now: Callable[[], datetime]
