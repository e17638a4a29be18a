"""Copies of pictures with content credentials (C2PA): made when somebody first asks, and kept.

    entry that names the picture, its proof ──▶ assertion ─┐
    picture, as sealed ────────────────────────────────────┼─▶ worker ─▶ derived/<case>/credentials-<…>.jpg
    key and certificates ──────────────────────────────────┘

The sealed bytes stay as they are: a copy is a derived file, goes with its case, and is made anew when it has
vanished. It then has a newer checkpoint, and proves the same. Copies are of what everybody in the case may
see, which has no place and no device in it; the original of a photo goes out as it came, to the office alone.
"""

import asyncio
import io
import itertools
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from media.credentials import CredentialsWorker
from media.credentials_protocol import Order
from media.errors import MediaError
from server.background import Background
from server.cases import Case
from server.derivations import Derivations
from server.errors import ExpiredCertificate, UnknownThing
from server.evidence.checkpoint import parse_key
from server.evidence.credential import LABEL, Credential, encode_credential
from server.evidence.entry import Entry
from server.evidence.proof import InclusionProof
from server.settings import Settings
from server.store.blobs import BlobStore
from server.store.derived import DerivedStore
from server.store.errors import StoreError
from server.store.log import LogStore
from server.store.picture_keys import (
    PictureSigner,
    load_or_create_picture_signer,
    load_picture_signer,
    load_roots,
)
from server.store.sealed_file import SealedReader
from server.stored import Stored, shown_pictures

MEDIA_TYPE = "image/jpeg"  # of sealed frames, and of what is shown of photos
COPY_VERSION = 1  # of what is said in a copy: another number, and all are made anew
WARN_BEFORE = timedelta(days=30)  # of a certificate's end: authorities take weeks
logger = logging.getLogger(__name__)


def find_signer(settings: Settings, *, now_at: datetime) -> PictureSigner:
    """The operator's own, or one that is made at the first start. Raises IllegalOpen."""
    if settings.c2pa_certificate is not None and settings.c2pa_key is not None:
        return load_picture_signer(settings.c2pa_certificate, settings.c2pa_key)
    return load_or_create_picture_signer(settings.data_dir, origin=settings.log_origin, now_at=now_at)


def trusted_roots(settings: Settings, signer: PictureSigner) -> str:
    """PEM certificates whose content credentials count here: our own always do. Raises IllegalOpen."""
    return signer.root + ("" if settings.c2pa_roots is None else load_roots(settings.c2pa_roots))


class Credentials:
    """Makes and keeps copies."""

    def __init__(
        self,
        *,
        log: LogStore,
        blobs: BlobStore,
        derived: DerivedStore,
        background: Background,
        signer: PictureSigner,
        now_at: datetime,
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._derived = derived
        self._derivations = Derivations(derived=derived, background=background)
        self._signer = signer
        self._signing = asyncio.Lock()  # one at a time: the cores are the calls
        self._made = 0
        if signer.expires_at - now_at < WARN_BEFORE:
            logger.warning("the certificate of content credentials is good until %s", signer.expires_at)

    async def settle(self, case_id: str) -> None:
        """Returns when no copy of this case is being made that had been begun before."""
        await self._derivations.settle(case_id)

    @property
    def certificates(self) -> str:
        """PEM; the last is what a reader has to trust, or what leads there."""
        return self._signer.certificates

    @property
    def root(self) -> str:
        """The last of them."""
        return self._signer.root

    @property
    def made(self) -> int:
        """How many copies were signed since the start."""
        return self._made

    async def copy(self, case: Case, stored: Stored, *, now_at: datetime) -> bytes:
        """The copy of a picture. Raises UnknownThing if it is none, ExpiredCertificate, CredentialsFailed."""
        if stored.is_original or stored.blob.media_type != MEDIA_TYPE:
            raise UnknownThing(
                "copies with content credentials are made of sealed frames and of what is shown of photos: "
                "ask for the picture that the entry has as `blob` or `shown`"
            )
        if now_at > self._signer.expires_at:
            raise ExpiredCertificate(
                f"the operator's certificate for pictures was good until {self._signer.expires_at:%Y-%m-%d}: "
                "the sealed picture itself is there"
            )
        name = self._name(stored.blob.sha256)
        return await self._derivations.kept(case.case_id, name, lambda: self._make(case, stored))

    async def copies(
        self, case_id: str, entries: Iterable[Entry], *, most: int, now_at: datetime
    ) -> dict[str, SealedReader]:
        """Copies of the first `most` pictures that these entries show, by the hash of the picture: those that
        are not there are made, under one checkpoint. Whoever has the readers closes them. What cannot be made
        is logged and left out. If who asked goes away, the picture in hand is the last.
        """
        pictures = dict(itertools.islice(shown_pictures(entries).items(), most))
        if now_at > self._signer.expires_at:
            return {}
        is_unwanted = asyncio.Event()
        copying = self._derivations.begin(case_id, self._copies(case_id, pictures, is_unwanted))
        try:
            return await asyncio.shield(copying)
        except asyncio.CancelledError:
            is_unwanted.set()
            copying.add_done_callback(_close_readers)
            raise

    async def _copies(
        self, case_id: str, pictures: Mapping[str, Entry], is_unwanted: asyncio.Event
    ) -> dict[str, SealedReader]:
        readers: dict[str, SealedReader] = {}
        try:
            for sha256 in pictures:
                reader = await self._derived.open(case_id, self._name(sha256))
                if reader is not None:
                    readers[sha256] = reader
            missing = [sha256 for sha256 in pictures if sha256 not in readers]
            proofs = await self._log.inclusion_proofs([pictures[sha256].leaf_index for sha256 in missing])
            async with CredentialsWorker() as worker:
                for sha256, proof in zip(missing, proofs, strict=True):
                    if is_unwanted.is_set():
                        break
                    order = self._order(pictures[sha256], sha256, proof)
                    try:
                        async with self._signing:
                            readers[sha256] = await self._keep(case_id, sha256, order, worker)
                    except (MediaError, StoreError, OSError) as error:
                        logger.warning("a picture of case %s gets no credentials: %s", case_id, error)
        except BaseException:
            for reader in readers.values():
                reader.close()
            raise
        return readers

    async def _keep(self, case_id: str, sha256: str, order: Order, worker: CredentialsWorker) -> SealedReader:
        copy = await worker.make(await self._blobs.get(case_id, sha256), order, self._signer.sign)
        self._made += 1
        return await self._derived.put(case_id, self._name(sha256), io.BytesIO(copy))

    def _name(self, sha256: str) -> str:
        # A copy names the log's key: it is made anew under each.
        key = f"-{parse_key(self._log.vkey).key_hash.hex()}" if len(self._log.vkeys) > 1 else ""
        return f"credentials-{COPY_VERSION}-{sha256}-{self._signer.fingerprint}{key}.jpg"

    async def _make(self, case: Case, stored: Stored) -> bytes:
        (entry,) = await self._log.entries(case.case_id, after=stored.number - 1, limit=1)
        (proof,) = await self._log.inclusion_proofs([entry.leaf_index])
        order = self._order(entry, stored.blob.sha256, proof)
        picture = await self._blobs.get(case.case_id, stored.blob.sha256)
        async with self._signing, CredentialsWorker() as worker:
            copy = await worker.make(picture, order, self._signer.sign)
        self._made += 1
        return copy

    def _order(self, entry: Entry, sha256: str, proof: InclusionProof) -> Order:
        credential = Credential(
            sha256=sha256,
            envelope=entry.envelope,
            body=entry.body,
            salt=entry.salt,
            proof=proof,
            vkey=self._log.vkey,
        )
        return Order(
            media_type=MEDIA_TYPE,
            certificates=self._signer.certificates,
            algorithm=self._signer.algorithm,
            title=f"{entry.envelope.case_id} {entry.envelope.number}",
            label=LABEL,
            assertion=encode_credential(credential).decode(),
        )


def _close_readers(copying: asyncio.Task[dict[str, SealedReader]]) -> None:
    if not copying.cancelled() and copying.exception() is None:
        for reader in copying.result().values():
            reader.close()
