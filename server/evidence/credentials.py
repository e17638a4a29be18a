"""Copies of pictures with Content Credentials (C2PA): that they are copies, and who vouches for them. Pure.

Without its credentials a copy is, byte for byte, the sealed picture, and they name entry, proof and
checkpoint (`credential`): so much is checked here. Who signed them is for a library of C2PA to say, which is
not this package's own: a `CredentialsReader` is handed in. What it is given is a stranger's, and it takes
care of that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.evidence.attested import Checked
from server.evidence.checkpoint import VerifierKey
from server.evidence.container import Content
from server.evidence.credential import check_copy, open_copy
from server.evidence.errors import EvidenceError, MalformedCredential
from server.evidence.report import CannotBeMade, Finding

MAX_COPY_BYTES = 64 << 20  # above every picture that is shown of anything
MAX_SHOWN = 3  # signers named in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySigner:
    """The name that a certificate gives, and whether it leads to a root that is trusted."""

    name: str
    is_known: bool


class CredentialsReader(Protocol):
    """What verification asks of a library for C2PA."""

    def read(self, copy: bytes, roots: Sequence[bytes]) -> CopySigner:
        """Who signed the credentials of a JPEG that is still as it was then; `roots`: PEM of those who are
        trusted. Raises MalformedCredential where they do not hold, CannotBeMade where this machine could not
        tell.
        """


def check_credentials(
    copies: Mapping[str, Content],
    holders: Mapping[str, int],
    sealed_blob: Callable[[str], Content | None],
    key: VerifierKey | None,
    reader: CredentialsReader | None,
    roots: Sequence[bytes] = (),
) -> Checked:
    """Step 14. `copies`: by the SHA-256 of the picture; `holders`: the entry that names it; the log's key.
    It passes if somebody who is trusted signed the credentials.
    """
    if not copies:
        raise CannotBeMade("this package holds no copy of a picture with Content Credentials")
    if key is None:
        raise CannotBeMade("the package carries no key that can be read (step 3)")
    checked = Checked()
    signers: dict[CopySigner, None] = {}
    held = 0
    for sha256, data in copies.items():
        member, entry = f"credentials/{sha256}.jpg", holders.get(sha256)
        whose = f"entry {entry}: {member}" if entry else member
        try:
            if entry is None:
                raise MalformedCredential("no entry names such a picture")
            if sealed_blob(sha256) is None:
                raise CannotBeMade("the picture itself is missing or damaged (step 7)")
            _check(sha256, data, key)
            held += 1
            if reader is not None:
                signers[reader.read(bytes(data), roots)] = None
        except CannotBeMade as reason:
            checked.unmade.append(
                Finding(message=f"{whose} cannot be checked: {reason}", member=member, entry=entry)
            )
        except EvidenceError as error:
            checked.findings.append(Finding(message=f"{whose}: {error}", member=member, entry=entry))
    checked.message = (
        f"{held} of {len(copies)} copies are the sealed pictures and name their place in this log; who "
        f"signed their credentials is for a reader of C2PA to say, and none is at hand here"
    )
    if signers:
        named = ", ".join([signer.name for signer in signers][:MAX_SHOWN])
        checked.message = (
            f"{held} of {len(copies)} copies are the sealed pictures, name their place in this log, and hold "
            f"the credentials of {named}"
        )
    unknown = [signer.name for signer in signers if not signer.is_known]
    if unknown:
        message = (
            f"whether it was {', '.join(unknown[:MAX_SHOWN])} who signed cannot be told: the certificate "
            "leads to no root that is trusted. Name that in the trust file"
        )
        checked.unmade.append(Finding(message=message))
    checked.passed = len(unknown) < len(signers)
    return checked


def _check(sha256: str, data: Content, key: VerifierKey) -> None:
    """Raises MalformedCredential, and CannotBeMade without the library for signatures."""
    if len(data) > MAX_COPY_BYTES:
        raise MalformedCredential(f"it has {len(data)} bytes, far more than a picture")
    copy = open_copy(bytes(data))
    if copy.credential.sha256 != sha256:
        raise MalformedCredential("it is the copy of another picture")
    check_copy(copy, key)
