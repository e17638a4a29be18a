"""Where all parts meet: made in this order, told of a stop in the other.

A call, told by its modules: a link (`http/integrator.py`) opens a page (`http/pages.py`), whose socket
(`http/socket.py`) and offer (`http/media.py`) come in; consent and join are decided (`cases.py`), durable
(`store/log.py`) and followed by the relay (`calls.py`).
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from media.relay import Relay
from server.background import Background
from server.calls import Calls
from server.cases import Cases
from server.credentials import Credentials, find_signer, trusted_roots
from server.custody import Custody
from server.deadlines import Deadlines
from server.erasing import Erasing
from server.identifiers import new_id
from server.orders import Orders
from server.packages import Packages
from server.pdf_sheet import find_font
from server.playbacks import Playbacks
from server.principals import Principals
from server.recordings import Recordings
from server.retention import Retention
from server.search import Search
from server.service import Service
from server.settings import Settings
from server.store.attestations import AttestationStore
from server.store.blobs import BlobStore
from server.store.derived import DerivedStore
from server.store.keys import load_or_create_secret
from server.store.log import LogStore
from server.store.uploads import UploadStore
from server.timestamps import Timestamps
from server.tokens import Tokens
from server.uploads import Uploads
from server.vouchers import Vouchers
from server.webhooks import Webhooks
from server.witnesses import Witnesses
from server.wordings import read_wording

DRAIN_S = 5.0  # what is being written when the service is told to stop has this long


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[Service]:
    """The parts, running. On the way out calls are ended in the log, and the log is closed last."""
    async with AsyncExitStack() as parts:
        log = await LogStore.open(
            settings.data_dir, origin=settings.log_origin, utc_now=utc_now, token_bytes=secrets.token_bytes
        )
        parts.push_async_callback(log.close)
        attestations = await AttestationStore.open(settings.data_dir)
        parts.push_async_callback(attestations.close)
        await attestations.set_aside(log.size)
        webhooks = await Webhooks.open(
            settings.data_dir,
            log=log,
            internal_hosts=settings.webhook_internal_hosts,
            utc_now=utc_now,
            new_id=new_id,
        )
        parts.push_async_callback(webhooks.close, grace_s=DRAIN_S)
        witnesses = Witnesses(log=log, store=attestations, policy=settings.witness_policy)
        witnesses.start()
        parts.push_async_callback(witnesses.close)
        blobs = await BlobStore.prepare(settings.data_dir, log.keys)
        derived = await DerivedStore.prepare(settings.data_dir, log.keys)
        background = Background()
        parts.push_async_callback(background.close, grace_s=DRAIN_S)
        relay = await Relay.open(host=settings.http_host, port=settings.udp_port, announce=settings.announce)
        parts.push_async_callback(relay.close)
        recordings = Recordings(blobs=blobs)
        parts.push_async_callback(recordings.close)
        tokens = Tokens(load_or_create_secret(settings.data_dir / "token.key", secrets.token_bytes))
        calls = Calls(relay=relay, blobs=blobs, recordings=recordings, background=background)
        parts.push_async_callback(calls.drain)
        wording = read_wording(settings.wording_dir)
        cases = Cases(
            log=log, background=background, wording=wording, utc_now=utc_now, new_id=new_id, follower=calls
        )
        timestamps = await Timestamps.open(
            urls=settings.timestamp_urls,
            roots=settings.timestamp_roots,
            interval_s=settings.timestamp_interval_s,
            log=log,
            attestations=attestations,
            utc_now=utc_now,
        )
        parts.push_async_callback(timestamps.close)
        cases.observers.append(timestamps.observe)
        orders = Orders(cases=cases, log=log, background=background)
        parts.callback(orders.end)
        await cases.end_cut_off_calls()
        background.start(orders.rebuild())
        deadlines = Deadlines(log=log, cases=cases, new_id=new_id, utc_now=utc_now)
        deadlines.start()
        parts.push_async_callback(deadlines.close)
        search = Search(log=log, cases=cases)
        search.start()
        parts.push_async_callback(search.close)
        playbacks = Playbacks(
            log=log, blobs=blobs, derived=derived, recordings=recordings, background=background
        )
        picture_signer = find_signer(settings, now_at=utc_now())
        credentials = Credentials(
            log=log,
            blobs=blobs,
            derived=derived,
            background=background,
            signer=picture_signer,
            now_at=utc_now(),
        )
        uploads = Uploads(
            store=await UploadStore.prepare(settings.data_dir, log.keys, utc_now=utc_now),
            blobs=blobs,
            log=log,
            cases=cases,
            background=background,
            credential_roots=trusted_roots(settings, picture_signer),
            utc_now=utc_now,
            new_id=new_id,
        )
        parts.push_async_callback(uploads.close)
        uploads.start()
        erasing = Erasing(
            log=log,
            background=background,
            recordings=recordings,
            search=search,
            uploads=uploads,
            webhooks=webhooks,
            makers=(playbacks, credentials),
        )
        await erasing.resume()
        retention = Retention(
            rules=settings.retention,
            erases=settings.retention_erases,
            log=log,
            cases=cases,
            erasing=erasing,
            new_id=new_id,
            utc_now=utc_now,
        )
        retention.start()
        parts.push_async_callback(retention.close)
        vouchers = Vouchers(
            log=log,
            attestations=attestations,
            witnesses=witnesses,
            derived=derived,
            background=background,
            tokens=tokens,
            public_url=settings.public_url,
            font=find_font(settings.pdf_font),
        )
        principals = Principals(
            api_key=settings.api_key, tokens=tokens, cases=cases, new_id=new_id, utc_now=utc_now
        )
        yield Service(
            public_url=settings.public_url,
            turn_urls=settings.turn_urls,
            turn_secret=settings.turn_secret,
            log=log,
            blobs=blobs,
            attestations=attestations,
            timestamps=timestamps,
            relay=relay,
            tokens=tokens,
            cases=cases,
            wording=wording,
            calls=calls,
            recordings=recordings,
            playbacks=playbacks,
            deadlines=deadlines,
            search=search,
            vouchers=vouchers,
            witnesses=witnesses,
            credentials=credentials,
            packages=Packages(
                log=log,
                blobs=blobs,
                attestations=attestations,
                witnesses=witnesses,
                playbacks=playbacks,
                credentials=credentials,
                settings=settings,
                utc_now=utc_now,
            ),
            erasing=erasing,
            retention=retention,
            custody=Custody(cases=cases),
            uploads=uploads,
            webhooks=webhooks,
            orders=orders,
            background=background,
            principals=principals,
            new_id=new_id,
            utc_now=utc_now,
        )
