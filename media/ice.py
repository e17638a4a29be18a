"""The lite end of ICE for one peer (RFC 8445 §2.5, §7.3): pure; fed with checks, says where to send.

- Only a check that carries the right password teaches an address. Every address so taught is accepted
  as a source from then on: some browsers send from several.
- Media goes to the selected address. The first address that authenticates is selected at once: who
  waits for USE-CANDIDATE loses a round trip, because a browser nominates only a pair that works.
- After that the newest address that authenticates *and carries media* is selected: a phone that walks
  from Wi-Fi to 4G keeps its call. Where no media came of late, nomination moves the address; where
  nothing at all came, any check does.
- A NAT that gives a phone another port tells nobody, and the next check may be 2.5 s away. Media with the
  peer's SRTP tag, from an address that is new, teaches it too, once the selected one has fallen quiet. No
  less is proven than by a check: neither says where it came from under its signature, both are known to
  the peer alone, and neither counts twice.
- A restart (RFC 8445 §9) brings a second set of credentials beside the one in use. Both are good until a
  check with the new ones authenticates, so that a restart of which the peer never hears breaks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.errors import IllegalCheck
from media.stun import (
    ROLE_CONFLICT,
    UNKNOWN_ATTRIBUTE,
    Address,
    BindingRequest,
    check_integrity,
    encode_error,
    encode_success,
)

MAX_ADDRESSES = 8  # a phone has Wi-Fi and 4G in two families, and perhaps a relay; the oldest makes room
MEDIA_HOLDS_S = 0.5  # media is never further apart in a call; Firefox nominates all pairs over and over
SELECTED_QUIET_S = 3.0  # libwebrtc checks a working pair every 2.5 s: silent for longer, it no longer works
MEDIA_QUIET_S = 0.2  # ten packets of sound: who speaks from elsewhere after that has moved

NEVER = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Send this datagram to the source of the check."""

    datagram: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """From now on datagrams from this address are this peer's."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """Datagrams from this address are nobody's again."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """From now on everything is sent to this address, which was learned before."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """Checks that name this user fragment of ours are nobody's any more."""

    ufrag: str


Output = Reply | Learned | Forgotten | Selected | Retired


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one exchange of offer and answer, or of fragments, has agreed on."""

    ufrag: str
    pwd: str
    remote_ufrag: str

    @property
    def password(self) -> bytes:
        """The key of MESSAGE-INTEGRITY."""
        return self.pwd.encode("ascii")


class IceLite:
    """Machine of one peer: its credentials, its learned addresses, the one that is sent to."""

    __slots__ = ("_checked_at", "_current", "_media_at", "_next", "selected")

    def __init__(self, credentials: Credentials) -> None:
        self.selected: Address | None = None
        self._current = credentials
        self._next: Credentials | None = None  # of a restart that the peer has not followed yet
        self._checked_at: dict[Address, float] = {}  # learned addresses, the one checked longest ago first
        self._media_at = NEVER

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(self._checked_at)

    @property
    def newest(self) -> Credentials:
        """The credentials that the peer was told last."""
        return self._next or self._current

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Our user fragments that checks may name now."""
        return (self._current.ufrag,) if self._next is None else (self._current.ufrag, self._next.ufrag)

    def restart(self, credentials: Credentials) -> list[Output]:
        """Expect checks with new credentials as well; those of a restart that was not followed are gone."""
        given_up, self._next = self._next, credentials
        return [] if given_up is None else [Retired(ufrag=given_up.ufrag)]

    def handle_check(self, request: BindingRequest, source: Address, now: float) -> list[Output]:
        """Answer a check and follow it; what is not the peer's raises `IllegalCheck` and changes nothing."""
        restarted = self._next is not None and request.local_ufrag == self._next.ufrag
        credentials = self.newest if restarted else self._current
        if request.local_ufrag != credentials.ufrag or request.remote_ufrag != credentials.remote_ufrag:
            raise IllegalCheck("the check names other user fragments than offer and answer")
        password = credentials.password
        check_integrity(request, password)
        if request.unknown_attributes:
            # RFC 8489 §6.3.1: attributes that must be understood and are not get a 420 that names them.
            return [Reply(datagram=encode_error(request, UNKNOWN_ATTRIBUTE, password))]
        if request.controlled:
            # RFC 8445 §7.3.1.1: the lite end is always the controlled one; the peer has to switch.
            return [Reply(datagram=encode_error(request, ROLE_CONFLICT, password))]

        outputs: list[Output] = [Reply(datagram=encode_success(request, source, password))]
        # The first check of a restart: the peer asks for a new way because the old one fails it.
        moves = restarted or (source != self.selected and self._moves(request, now))
        outputs += self._learn(source, now)
        if moves and source != self.selected:
            self.selected = source
            outputs.append(Selected(address=source))
        if restarted:
            outputs.append(Retired(ufrag=self._current.ufrag))
            self._current, self._next = credentials, None
        return outputs

    def _learn(self, source: Address, now: float) -> list[Output]:
        outputs: list[Output] = []
        if self._checked_at.pop(source, None) is None:
            outputs.append(Learned(address=source))
        if len(self._checked_at) == MAX_ADDRESSES:
            oldest = next(address for address in self._checked_at if address != self.selected)
            del self._checked_at[oldest]
            outputs.append(Forgotten(address=oldest))
        self._checked_at[source] = now
        return outputs

    def _moves(self, request: BindingRequest, now: float) -> bool:
        if self.selected is None:
            return True
        if request.use_candidate:
            return now - self._media_at > MEDIA_HOLDS_S
        heard_at = max(self._media_at, self._checked_at[self.selected])
        return now - heard_at > SELECTED_QUIET_S

    def handle_media(self, source: Address, now: float) -> list[Output]:
        """An SRTP or SRTCP packet that authenticated came from this address at `now`.

        While packets come from the selected address, it suffices to tell the last of them before each check.
        """
        self._media_at = now
        if source == self.selected or source not in self._checked_at:
            return []
        self.selected = source
        return [Selected(address=source)]

    def handle_strange_media(self, source: Address, now: float) -> list[Output]:
        """An SRTP packet that authenticated came from an address that no check has taught."""
        if now - self._media_at <= MEDIA_QUIET_S:
            return []
        self._media_at = now
        outputs = [*self._learn(source, now), Selected(address=source)]
        self.selected = source
        return outputs

    def handle_lost(self, address: Address) -> list[Output]:
        """This address is the peer's no more: another has authenticated from it, or its connection ended."""
        if self._checked_at.pop(address, None) is None:
            return []
        outputs: list[Output] = [Forgotten(address=address)]
        if address == self.selected:
            self.selected = next(reversed(self._checked_at), None)
            if self.selected is not None:
                outputs.append(Selected(address=self.selected))
        return outputs
