"""Copies in a package read again by whoever verifies: who signed, what does not hold, what cannot be told."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping

import pytest

from media.credentials import CredentialsWorker
from media.errors import CredentialsFailed
from server.evidence.credential import encode_credential
from server.evidence.credentials import CopySigner
from server.evidence.errors import MalformedCredential
from server.evidence.package import build_package
from server.evidence.report import CannotBeMade, Outcome, Step
from server.evidence.trust import Trust
from server.evidence.verify import verify_package
from server.recredentials import CredentialsRereader
from server.store.picture_keys import PictureSigner
from tests.media.credential_files import make_copy, make_signer, order
from tests.server.evidence.sample_case import CASE, VKEY
from tests.server.evidence.sample_credential import PICTURE, credential, picture_log

SHA = hashlib.sha256(PICTURE).hexdigest()
NAME = "Proofcall proofcall.local/log"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> PictureSigner:
    return make_signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def copy(signer: PictureSigner) -> bytes:
    said = encode_credential(credential()).decode()
    return asyncio.run(make_copy(PICTURE, order(signer, said), signer.sign))


@pytest.fixture
def reader() -> Iterator[CredentialsRereader]:
    with CredentialsRereader() as reader:
        yield reader


def package(copies: Mapping[str, bytes], blobs: Mapping[str, bytes] | None = None) -> bytes:
    log = picture_log()
    chosen = [entry for entry in log.entries if entry.envelope.case_id == CASE]
    return build_package(
        entries=chosen,
        blobs={SHA: PICTURE} if blobs is None else blobs,
        proofs=[log.proofs[entry.leaf_index] for entry in chosen],
        checkpoint=log.checkpoint,
        vkey=VKEY,
        credentials=copies,
    )


def step(data: bytes, reader: CredentialsRereader | None, *roots: str) -> Step:
    trust = Trust(picture_roots=tuple(root.encode() for root in roots))
    (found,) = [
        step for step in verify_package(data, trust=trust, credentials=reader).steps if step.number == 14
    ]
    return found


def flipped(data: bytes, place: int) -> bytes:
    place %= len(data)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_who_signed_is_named_as_far_as_they_are_trusted(
    copy: bytes, signer: PictureSigner, reader: CredentialsRereader
) -> None:
    assert reader.read(copy, [signer.root.encode()]) == CopySigner(name=NAME, is_known=True)
    assert reader.read(copy, []) == CopySigner(name=NAME, is_known=False)
    with pytest.raises(MalformedCredential, match=r"do not hold \(assertion\.dataHash\.mismatch\)"):
        reader.read(flipped(copy, -20), [])
    with pytest.raises(MalformedCredential, match="cannot be read"):
        reader.read(copy[:2_000], [])


def test_a_package_with_a_copy_passes_only_for_who_trusts_its_signer(
    copy: bytes, signer: PictureSigner, reader: CredentialsRereader
) -> None:
    data = package({SHA: copy})
    trusted = step(data, reader, signer.root)
    assert trusted.outcome is Outcome.PASSED and NAME in trusted.message and not trusted.unmade
    unknown = step(data, reader)
    assert unknown.outcome is Outcome.CANNOT_BE_MADE and "trust file" in unknown.unmade[0].message
    alone = step(data, None, signer.root)
    assert alone.outcome is Outcome.CANNOT_BE_MADE and "1 of 1 copies are the sealed" in alone.message


@pytest.mark.parametrize("place", [-20, "hash", "signature"], ids=str)
def test_a_copy_that_was_changed_fails_whatever_was_changed(
    place: int | str, copy: bytes, signer: PictureSigner, reader: CredentialsRereader
) -> None:
    mark = {"hash": SHA.encode(), "signature": b"Proofcall pictures"}.get(str(place))
    data = flipped(copy, copy.index(mark) if mark else int(place))
    failed = step(package({SHA: data}), reader, signer.root)
    assert failed.outcome is Outcome.FAILED and failed.findings[0].entry == 2
    assert failed.findings[0].member == f"credentials/{SHA}.jpg"


def test_what_this_machine_cannot_read_is_named_and_no_fault_of_the_copy(
    copy: bytes, reader: CredentialsRereader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise CredentialsFailed("crashed", "the worker for content credentials died")

    monkeypatch.setattr(CredentialsWorker, "read", die)
    with pytest.raises(CannotBeMade, match="failed on this machine"):
        reader.read(copy, [])
    undone = step(package({SHA: copy}), reader)
    assert undone.outcome is Outcome.CANNOT_BE_MADE and "cannot be checked" in undone.unmade[0].message
