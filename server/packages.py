"""All that leaves the house with a case: gathered from its stores, made where need be, sent in pieces.

    entries, proofs ────────────────────────┐
    attestations ── log: note, consistency ─┤
    pictures ── credentials ── derived ─────┼──▶ export.py ──▶ PackageWriter ──▶ pieces
    segments ── playbacks ── derived ───────┤
    check.html, verify.pyz, reports ────────┘

What cannot be made is left out, and a line of the log says so: the entries prove the case without it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from media.errors import MediaError
from media.playback_protocol import WEBM
from server.cases import Case, as_case_entry
from server.check_page import check_page
from server.credentials import Credentials
from server.errors import InternalError, ServerError
from server.evidence.attestation import AttestationKind
from server.evidence.checkpoint import parse_key
from server.evidence.cosignature import is_of
from server.evidence.entry import Entry
from server.evidence.errors import IllegalQuorum
from server.evidence.handover import encode_handovers
from server.evidence.package import KEYS_FILE, AttestedCheckpoint, PlaybackFile
from server.evidence.policy import Policy, encode_policy
from server.evidence.proof import InclusionProof
from server.evidence.trust import Trust, encode_trust
from server.export import Export, Extras, Shelf, write_package
from server.pdf_sheet import find_font
from server.playbacks import Playbacks
from server.recorded import KINDS, RecordedCall, recorded_calls
from server.report_story import Told, pictures_of
from server.report_worker import make_reports
from server.settings import Settings
from server.store.attestations import AttestationStore
from server.store.blobs import BlobStore
from server.store.errors import CorruptBlob, StoreError, UnknownBlob, UnknownCheckpoint
from server.store.log import LogStore
from server.store.sealed_file import SealedReader
from server.verifier import make_verifier
from server.witnesses import Witnesses

PLAYBACK_WAIT_S = 30.0  # that an export waits for films: proxies cut off who is silent for 60 s
MAX_COPIES = 200  # with content credentials: each is a file held open, and each that is made takes 15 ms
logger = logging.getLogger(__name__)


class Packages:
    """Makes packages of cases."""

    def __init__(
        self,
        *,
        log: LogStore,
        blobs: BlobStore,
        attestations: AttestationStore,
        witnesses: Witnesses,
        playbacks: Playbacks,
        credentials: Credentials,
        settings: Settings,
        utc_now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._attestations = attestations
        self._playbacks = playbacks
        self._credentials = credentials
        self._witnesses = witnesses
        self._roots = tuple(settings.timestamp_roots)
        self._font = find_font(settings.pdf_font)
        self._utc_now = utc_now

    @property
    def trust(self) -> bytes:
        """A trust file with the keys of this log, and whom it is attested by."""
        return self._trust(self._witnesses.policy)

    def _trust(self, policy: Policy | None) -> bytes:
        trust = Trust(
            vkeys=tuple(parse_key(vkey) for vkey in reversed(self._log.vkeys)),
            roots=self._roots,
            picture_roots=(self._credentials.root.encode(),),
            policy=policy,
        )
        return encode_trust(trust)

    async def export(self, case: Case, *, up_to: int) -> Export:
        """The package of a case up to entry `up_to`, which says that it was exported. Whoever has it closes
        it.

        Raises MalformedPackage if it would be too large, and whatever the log raises, before the first piece.
        """
        entries = await self._log.entries(case.case_id, limit=up_to)
        proofs = await self._log.inclusion_proofs([entry.leaf_index for entry in entries])
        shelf = Shelf(self._blobs, case.case_id)
        try:
            extras = Extras(
                attested=await self._attested(entries, proofs[0].tree_size),
                files={**self._small_files(), **await self._keys_file(proofs[0].tree_size)},
                credentials=await self._copies(case, entries, shelf),
                playback=await self._playback(case, entries, shelf),
            )
            reports = await self._reports(case.case_id, entries, proofs, extras)
            always = {
                "check.html": await asyncio.to_thread(check_page),
                "verify.pyz": await asyncio.to_thread(make_verifier),
            }
            extras = replace(extras, files={**extras.files, **reports, **always})
            return await write_package(self._log, entries, proofs, extras, shelf)
        except BaseException:
            shelf.close()
            raise

    async def _attested(self, entries: Sequence[Entry], tree_size: int) -> list[AttestedCheckpoint]:
        """What was said of the first checkpoints that hold each of these entries, and of the newest with the
        quorum of the witnesses, who need not have come to the same first ones.
        """
        leaves = [entry.leaf_index for entry in entries]
        sizes = {one.tree_size for one in await self._attestations.first_covering(leaves, tree_size)}
        cosigned = self._witnesses.cosigned
        if cosigned is not None and leaves and leaves[0] < cosigned.tree_size <= tree_size:
            sizes.add(cosigned.tree_size)
        attested = []
        for size in sorted(sizes):
            try:
                note = await self._log.note(size)
            except UnknownCheckpoint:
                logger.warning("others attested a log of %d leaves, which this log has never signed", size)
                continue
            attestations = await self._attestations.of(size)
            attested.append(
                AttestedCheckpoint(
                    checkpoint=note,
                    consistency=await self._log.consistency_proof(size, tree_size),
                    cosignatures=[
                        one.data.decode() for one in attestations if one.kind is AttestationKind.COSIGNATURE
                    ],
                    timestamps=[one.data for one in attestations if one.kind is AttestationKind.TIMESTAMP],
                )
            )
        return attested

    def _small_files(self) -> dict[str, bytes]:
        """Whom the service itself trusts: to be compared, like the key."""
        files = {}
        if self._roots:
            files["certificates.pem"] = b"".join(self._roots)
        if self._witnesses.policy is not None:
            files["policy.txt"] = encode_policy(self._witnesses.policy).encode()
        return files

    async def _keys_file(self, tree_size: int) -> dict[str, bytes]:
        """How the key of the log followed from earlier ones, if there were any."""
        handovers = await self._log.handovers(tree_size)
        if not handovers:
            return {}
        return {KEYS_FILE: encode_handovers(handovers, tree_size=tree_size, vkey=self._log.vkey)}

    async def _copies(self, case: Case, entries: Sequence[Entry], shelf: Shelf) -> dict[str, int]:
        """Copies with content credentials of the pictures that everybody in the case may see."""
        readers = await self._credentials.copies(
            case.case_id, entries, most=MAX_COPIES, now_at=self._utc_now()
        )
        for sha256, reader in readers.items():
            shelf.put(f"credentials/{sha256}.jpg", reader)
        return {sha256: reader.size_bytes for sha256, reader in readers.items()}

    async def _playback(self, case: Case, entries: Sequence[Entry], shelf: Shelf) -> list[PlaybackFile]:
        """What these entries have of calls that have ended, as files to be played."""
        files: list[PlaybackFile] = []
        deadline = asyncio.get_running_loop().time() + PLAYBACK_WAIT_S
        for call in await asyncio.to_thread(_calls_of, entries):
            for part in call.parts:
                if call.ended_at is None or not part.sealed:
                    continue
                try:
                    async with asyncio.timeout_at(deadline):
                        playback = await self._playbacks.open(case, part)
                except TimeoutError:  # it goes on being made: the next package has it
                    logger.warning("a recording of case %s takes longer than an export waits", case.case_id)
                    continue
                except (MediaError, ServerError, StoreError) as error:
                    logger.warning("a recording of case %s is not in its package: %s", case.case_id, error)
                    continue
                files.append(
                    PlaybackFile(
                        call_number=part.call_number,
                        actor_id=part.actor_id,
                        part=part.part,
                        extension="webm" if playback.facts.media_type == WEBM else "mp4",
                        segments=[(number, body.blob.sha256) for number, body in part.sealed],
                        size_bytes=playback.reader.size_bytes,
                    )
                )
                shelf.put(files[-1].name, playback.reader)
        return files

    async def _reports(
        self, case_id: str, entries: Sequence[Entry], proofs: Sequence[InclusionProof], extras: Extras
    ) -> dict[str, bytes]:
        """The case on paper, told from the package as it is without its large files."""
        told = [
            Told(envelope=entry.envelope, body=None if entry.is_erased else entry.body) for entry in entries
        ]
        small = replace(extras, credentials={}, playback=())
        export = await write_package(self._log, entries, proofs, small, Shelf(_NoBlobs(), case_id))
        # A quorum that is not there yet is no fault of the package: then its step says what is there.
        policy = self._witnesses.policy if _has_quorum(extras, self._witnesses.policy) else None
        try:
            reports = await make_reports(
                b"".join([piece async for piece in export.pieces()]),
                pictures=[sha256 for _, sha256 in await asyncio.to_thread(pictures_of, told)],
                read_blob=partial(self._read_blob, case_id),
                font=self._font,
                trust=self._trust(policy).decode(),
            )
        except InternalError as error:
            logger.warning("no report in the package of case %s: %s", case_id, error)
            return {}
        return {f"report.{language}.pdf": pdf for language, pdf in reports.items()}

    async def _read_blob(self, case_id: str, sha256: str) -> bytes | None:
        try:
            return await self._blobs.get(case_id, sha256)
        except (CorruptBlob, UnknownBlob):
            return None


def _calls_of(entries: Sequence[Entry]) -> list[RecordedCall]:
    """What these entries say was recorded."""
    return recorded_calls(
        as_case_entry(entry) for entry in entries if entry.envelope.kind in KINDS and not entry.is_erased
    )


class _NoBlobs:
    """A store that has none."""

    def open_now(self, case_id: str, sha256: str) -> SealedReader:
        raise UnknownBlob(f"{sha256} of {case_id} is left out")


def _has_quorum(extras: Extras, policy: Policy | None) -> bool:
    """Whether the witnesses that a policy asks for stand under a checkpoint, by the names on their lines."""
    for attested in extras.attested:
        lines = [line.encode() for line in attested.cosignatures]
        with contextlib.suppress(IllegalQuorum):
            if policy is not None and lines:
                policy.check([w.key for w in policy.witnesses if any(is_of(line, w.key) for line in lines)])
                return True
    return False
