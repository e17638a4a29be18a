"""Reads the content credentials of pictures again: what `proofcall verify` asks of copies.

    credentials (evidence, pure) ── copy ──▶ CredentialsRereader ── pipe ──▶ worker that knows C2PA

The package is a stranger's: its pictures are read in a process of their own, which may crash or take too long
without harm. It is started when the first copy needs it.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from media.credentials import CredentialsWorker
from media.errors import CredentialsFailed
from server.evidence.credentials import CopySigner
from server.evidence.errors import MalformedCredential
from server.evidence.report import CannotBeMade

MEDIA_TYPE = "image/jpeg"  # of every copy
NAMELESS = "somebody without a name"


class CredentialsRereader:
    """A `CredentialsReader`; leaving its context ends its worker."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._worker = CredentialsWorker()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runner.run(self._worker.__aexit__(kind, error, traceback))
        self._runner.close()

    def read(self, copy: bytes, roots: Sequence[bytes]) -> CopySigner:
        pem = b"\n".join(roots).decode("ascii", "replace")
        try:
            facts = self._runner.run(self._worker.read(copy, MEDIA_TYPE, pem))
        except CredentialsFailed as failure:
            raise CannotBeMade(f"reading its credentials failed on this machine: {failure}") from None
        except OSError as error:
            raise CannotBeMade(f"no reader of content credentials starts here: {error}") from None
        if facts.standing == "unreadable":
            raise MalformedCredential("its content credentials cannot be read")
        if facts.standing == "invalid":
            raise MalformedCredential(f"its content credentials do not hold ({facts.problem})")
        return CopySigner(name=facts.signer or NAMELESS, is_known=facts.standing == "trusted")
