"""What the measurements share: the bots' crowd, a folder to write in, who takes part, how much of it."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bot import Crowd
from tests.bench.janus_peer import JanusPeer
from tests.bench.media_relay_peer import MediaRelayPeer
from tests.bench.proofcall_peer import ProofcallPeer


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """`no_janus` and `no_media_relay` are the reasons why a peer is absent, or `None` if it takes part.

    `rows`, `window_s` and `rounds` make `join`, `loss` and `rate` short while something is being tuned; empty
    and `None` stand for all of it.
    """

    crowd: Crowd
    directory: Path
    no_janus: str | None
    no_media_relay: str | None
    rows: frozenset[str] = frozenset()
    window_s: float | None = None
    rounds: int | None = None

    def wants(self, row: str) -> bool:
        """Whether that row is to be measured."""
        return not self.rows or row in self.rows

    def proofcall(self) -> ProofcallPeer:
        return ProofcallPeer(self.crowd, directory=self.folder("proofcall"))

    def proofcall_without_journal(self) -> ProofcallPeer:
        return ProofcallPeer(
            self.crowd,
            directory=self.folder("proofcall"),
            # By its path: `-m` would look into the repository first, where nothing is compiled.
            command=[sys.executable, str(Path(__file__).with_name("serve_without_journal.py"))],
        )

    def janus(self) -> JanusPeer | None:
        return None if self.no_janus else JanusPeer(self.crowd, directory=self.folder("janus"))

    def media_relay(self) -> MediaRelayPeer | None:
        if self.no_media_relay:
            return None
        return MediaRelayPeer(self.crowd, directory=self.folder("media-relay"))

    def folder(self, name: str) -> Path:
        """A fresh one each time: a server never sees what an earlier one left."""
        number = len(list(self.directory.glob(f"{name}-*")))
        folder = self.directory / f"{name}-{number}"
        folder.mkdir()
        return folder

    def say(self, line: str) -> None:
        """Progress, for those who wait."""
        print(line, file=sys.stderr, flush=True)
