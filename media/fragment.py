"""SDP fragments (RFC 8840 §9), as RFC 9725 §4.3 restarts ICE with them: one from the peer, one back.

a=ice-ufrag:…           the peer's new credentials, or those that are known already
a=ice-pwd:…
m=… a=mid:… a=candidate:…     passed over: a lite end asks nobody and needs no candidates
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from media.errors import MalformedFragment
from media.sdp import candidate_lines

MAX_FRAGMENT_CHARACTERS = 65_536  # as for an offer; a phone with many candidates sends 2,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A peer's credentials. `ice_pwd` is read to be sure that there is one; a lite end never uses it."""

    ice_ufrag: str
    ice_pwd: str


def parse_fragment(text: str) -> Fragment:
    """Raises `MalformedFragment` for what does not name one pair of credentials."""
    if len(text) > MAX_FRAGMENT_CHARACTERS:
        raise MalformedFragment(f"a fragment has at most {MAX_FRAGMENT_CHARACTERS} characters")
    # RFC 8839 §5.4: ice-char only, 4 to 256 of them in the fragment, 22 to 256 in the password.
    return Fragment(ice_ufrag=_only(text, "ice-ufrag", 4), ice_pwd=_only(text, "ice-pwd", 22))


def _only(text: str, name: str, shortest: int) -> str:
    start = f"a={name}:"
    values = {line[len(start) :].strip() for line in text.splitlines() if line.startswith(start)}
    if len(values) != 1:
        raise MalformedFragment(f"the fragment needs one a={name}, the same for all: media is bundled")
    (value,) = values
    if not re.fullmatch(rf"[A-Za-z0-9+/]{{{shortest},256}}", value):
        raise MalformedFragment(f"a={name} must be {shortest} to 256 characters of A-Z a-z 0-9 + /")
    return value


def encode_fragment(
    *,
    ice_ufrag: str,
    ice_pwd: str,
    kind: str,
    mid: str,
    candidates: Sequence[tuple[str, int]],
    tcp_candidates: Sequence[tuple[str, int]],
) -> str:
    """The lite end's answer (RFC 9725 §4.3.3), for the one bundled section that carries the transport."""
    lines = [
        "a=ice-lite",
        f"a=group:BUNDLE {mid}",
        f"m={kind} 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{ice_ufrag}",
        f"a=ice-pwd:{ice_pwd}",
        *candidate_lines(candidates, tcp_candidates),
    ]
    return "\r\n".join(lines) + "\r\n"
