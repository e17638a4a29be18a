"""Vouchers of confirmed receipts: made when somebody first asks, the same bytes from then on.

    entries handed_over, confirmed ─┐
    proofs under one checkpoint ────┼─▶ sealed by the log's key ─▶ derived/<case>/voucher-<number>.json
    waybill, time zone ─────────────┤                          └─▶ derived/<case>/voucher-<hash>.pdf
    what outsiders said of the log ─┘

Nobody waits for an outsider: a voucher is made with the cosignatures and time stamps that are there. While
they are of before its entries, whoever asks again gets it made anew once there are newer ones; from then on
its bytes stay the same. The QR code is kept likewise. These files are derived ones, sealed with the key of
the case: they may vanish, and go with the case when its key is destroyed. A document that is made again has
a newer checkpoint and so other bytes; it proves the same.

Whoever holds the address sees what the customer confirmed: it stands on their paper. Such a look is counted,
and is no entry, because a bearer of a QR code is nobody that the log could name. That somebody who is known
was given the address is an entry, as is every reading of those bodies.
"""

import asyncio
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import segno

from server.background import Background
from server.cases import Case
from server.derivations import Derivations
from server.errors import ErasedVoucher, UnknownVoucher
from server.evidence.attestation import Attestation, AttestationKind
from server.evidence.entry import Entry
from server.evidence.proof import InclusionProof
from server.evidence.voucher import (
    MAX_ATTESTED,
    Attested,
    Voucher,
    VoucherEntry,
    encode_voucher,
    seal_text,
)
from server.models import Voucher as Addresses
from server.pdf_sheet import PdfLanguage
from server.store.attestations import AttestationStore
from server.store.derived import DerivedStore
from server.store.log import LogStore
from server.tokens import Tokens, VoucherToken
from server.voucher_pdf import LAYOUT_VERSION
from server.voucher_worker import render
from server.witnesses import Witnesses

# Ten years and their leap days, longer than anybody argues about a delivery. They count from the
# confirmation, so that the address, the QR code and the PDF are always the same.
ADDRESS_LIFETIME = timedelta(days=3653)

TIMESTAMP, COSIGNATURE = AttestationKind.TIMESTAMP, AttestationKind.COSIGNATURE
QR_VERSION = 1  # of how the code is drawn: another number, and all are drawn anew
Opened = Literal["json", "pdf", "qr"]


class Vouchers:
    """Finds, makes and keeps vouchers."""

    def __init__(
        self,
        *,
        log: LogStore,
        attestations: AttestationStore,
        witnesses: Witnesses,
        derived: DerivedStore,
        background: Background,
        tokens: Tokens,
        public_url: str,
        font: Path | None,
    ) -> None:
        self._log = log
        self._attestations = attestations
        self._witnesses = witnesses
        self._derivations = Derivations(derived=derived, background=background)
        self._tokens = tokens
        self._public_url = public_url
        self._font = font
        self._rendering = asyncio.Lock()  # one at a time: the cores are the calls
        self._opened: Counter[Opened] = Counter({"json": 0, "pdf": 0, "qr": 0})

    @property
    def opened(self) -> Mapping[Opened, int]:
        """How often vouchers were looked at by their address."""
        return self._opened

    def number_of(self, case: Case) -> int:
        """The entry that confirmed the receipt. Raises `UnknownVoucher`, `ErasedVoucher`."""
        if case.state.phase == "erased":
            raise ErasedVoucher("this case was erased; a voucher that you have kept proves what it proved")
        handed_over = case.state.delivery.handed_over
        if handed_over is None or not handed_over.confirmed or handed_over.settled is None:
            raise UnknownVoucher(
                "there is no voucher yet: it is made when the customer has confirmed the receipt"
            )
        return handed_over.settled

    async def addresses(self, case: Case) -> Addresses:
        """Where the voucher of a case is. Raises `UnknownVoucher`."""
        number = self.number_of(case)
        confirmed = await self._entry(case.case_id, number)
        token = self._tokens.issue_voucher(
            VoucherToken(case_id=case.case_id, number=number),
            expires_at=confirmed.envelope.recorded_at + ADDRESS_LIFETIME,
        )
        api = f"{self._public_url}/api/vouchers/{token}"
        return Addresses(
            number=number,
            url=f"{self._public_url}/v#{token}",
            pdf_url=f"{api}/pdf?language={case.state.language}",
            json_url=api,
            qr_url=f"{api}/qr",
        )

    async def document(self, case: Case) -> bytes:
        """The voucher itself. Raises `UnknownVoucher`."""
        number = self.number_of(case)
        confirmed = await self._entry(case.case_id, number)
        attestations = await self._attestations_for(confirmed)
        covering = [one for one in attestations if one.tree_size > confirmed.leaf_index]
        # What covers it by now is in the name, and only grows: each better one is made once. Which witnesses
        # were there makes none better, as long as they were enough.
        sources = sorted({one.source if one.kind is TIMESTAMP else one.kind for one in covering})
        if len(self._log.vkeys) > 1:  # made anew under each key
            sources.append(self._log.vkey)
        name = f"voucher-{number}-{_hash(*sources)}.json" if sources else f"voucher-{number}.json"
        return await self._derivations.kept(
            case.case_id, name, lambda: self._make(case, confirmed, attestations)
        )

    async def pdf(self, case: Case, language: PdfLanguage) -> bytes:
        """The same on paper. Raises likewise."""
        data = await self.document(case)
        url = (await self.addresses(case)).url

        async def draw() -> bytes:
            async with self._rendering:
                return await render(data, url=url, language=language, font=self._font)

        return await self._derivations.kept(case.case_id, self._pdf_name(data, url, language), draw)

    async def pdf_name(self, case: Case, language: PdfLanguage) -> str:
        """The name of the file that `pdf` gives: of another one if its bytes are others. Raises likewise."""
        data = await self.document(case)
        return self._pdf_name(data, (await self.addresses(case)).url, language)

    def _pdf_name(self, data: bytes, url: str, language: PdfLanguage) -> str:
        return f"voucher-{_hash(LAYOUT_VERSION, data.decode(), url, language, str(self._font))}.pdf"

    async def qr(self, case: Case) -> bytes:
        """The QR code of the public page, as SVG. Raises likewise."""
        url = (await self.addresses(case)).url
        return await self._derivations.kept(
            case.case_id, _qr_name(url), lambda: asyncio.to_thread(_draw, url)
        )

    async def qr_name(self, case: Case) -> str:
        """As `pdf_name`."""
        return _qr_name((await self.addresses(case)).url)

    def count(self, what: Opened) -> None:
        """Somebody looked at a voucher by its address."""
        self._opened[what] += 1

    async def _attestations_for(self, confirmed: Entry) -> list[Attestation]:
        """The cosignatures of the newest checkpoint with a quorum, and of each time-stamping authority the
        first token that covers the entry.
        """
        cosigned = self._witnesses.cosigned
        tokens = await self._attestations.first_covering([confirmed.leaf_index], self._log.size)
        found = [one for one in tokens if one.kind is TIMESTAMP]
        if cosigned is not None:
            found += [
                one
                for one in await self._attestations.of(cosigned.tree_size)
                if one.kind is COSIGNATURE and one.data in cosigned.lines
            ]
        return found

    async def _make(self, case: Case, confirmed: Entry, attestations: Sequence[Attestation]) -> bytes:
        handed_over = await self._entry(case.case_id, int(str(confirmed.body["number"])))
        size = self._log.size
        proofs = await self._log.inclusion_proofs([handed_over.leaf_index, confirmed.leaf_index], size)
        unsealed = Voucher(
            waybill=case.state.waybill,
            case_id=case.case_id,
            time_zone=case.state.time_zone,
            handed_over=_with_proof(handed_over, proofs[0]),
            confirmed=_with_proof(confirmed, proofs[1]),
            checkpoint=proofs[0].checkpoint,
            vkey=self._log.vkey,
            attested=tuple(
                [
                    Attested(
                        checkpoint=await self._log.note(tree_size),
                        consistency=tuple(await self._log.consistency_proof(tree_size, size)),
                        cosignatures=_data(attestations, tree_size, COSIGNATURE),
                        timestamps=_data(attestations, tree_size, TIMESTAMP),
                    )
                    for tree_size in sorted({one.tree_size for one in attestations})[-MAX_ATTESTED:]
                ]
            ),
        )
        return encode_voucher(replace(unsealed, seal=await self._log.sign_statement(seal_text(unsealed))))

    async def _entry(self, case_id: str, number: int) -> Entry:
        (entry,) = await self._log.entries(case_id, after=number - 1, limit=1)
        return entry


def _qr_name(url: str) -> str:
    return f"voucher-{_hash(QR_VERSION, url)}.svg"


def _hash(*made_of: str | int) -> str:
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _with_proof(entry: Entry, proof: InclusionProof) -> VoucherEntry:
    return VoucherEntry(envelope=entry.envelope, body=entry.body, salt=entry.salt, proof=proof)


def _data(attestations: Sequence[Attestation], tree_size: int, kind: AttestationKind) -> tuple[bytes, ...]:
    return tuple(one.data for one in attestations if (one.tree_size, one.kind) == (tree_size, kind))


def _draw(url: str) -> bytes:
    """Dark on white with its quiet zone, whatever the colours of the page around it."""
    file = io.BytesIO()
    segno.make(url, error="m", micro=False).save(
        file, kind="svg", border=4, dark="#1b1d21", light="#ffffff", xmldecl=False, omitsize=True
    )
    return file.getvalue()
