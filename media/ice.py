"""The lite end of ICE for one peer (RFC 8445 §2.5, §7.3): pure; fed with checks, says where to send.

- Only a check that carries the right password teaches an address. Every address so taught is accepted
  as a source from then on: some browsers send from several.
- Media goes to the selected address. The first address that authenticates is selected at once: who
  waits for USE-CANDIDATE loses a round trip, because a browser nominates only a pair that works.
- After that the newest address that authenticates *and carries media* is selected: a phone that walks
  from Wi-Fi to 4G keeps its call. Where no media came of late, nomination moves the address; where
  nothing at all came, any check does.
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


Output = Reply | Learned | Forgotten | Selected


class IceLite:
    """Machine of one peer: its credentials, its learned addresses, the one that is sent to."""

    __slots__ = ("_checked_at", "_media_at", "_password", "remote_ufrag", "selected", "ufrag")

    def __init__(self, *, ufrag: str, pwd: str, remote_ufrag: str) -> None:
        self.ufrag = ufrag
        self.remote_ufrag = remote_ufrag
        self.selected: Address | None = None
        self._password = pwd.encode("ascii")
        self._checked_at: dict[Address, float] = {}  # learned addresses, the one checked longest ago first
        self._media_at = NEVER

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(self._checked_at)

    def handle_check(self, request: BindingRequest, source: Address, now: float) -> list[Output]:
        """Answer a check and follow it; what is not the peer's raises `IllegalCheck` and changes nothing."""
        if request.local_ufrag != self.ufrag or request.remote_ufrag != self.remote_ufrag:
            raise IllegalCheck("the check names other user fragments than offer and answer")
        check_integrity(request, self._password)
        if request.unknown_attributes:
            # RFC 8489 §6.3.1: attributes that must be understood and are not get a 420 that names them.
            return [Reply(datagram=encode_error(request, UNKNOWN_ATTRIBUTE, self._password))]
        if request.controlled:
            # RFC 8445 §7.3.1.1: the lite end is always the controlled one; the peer has to switch.
            return [Reply(datagram=encode_error(request, ROLE_CONFLICT, self._password))]

        outputs: list[Output] = [Reply(datagram=encode_success(request, source, self._password))]
        if self._checked_at.pop(source, None) is None:
            outputs.append(Learned(address=source))
        if len(self._checked_at) == MAX_ADDRESSES:
            oldest = next(address for address in self._checked_at if address != self.selected)
            del self._checked_at[oldest]
            outputs.append(Forgotten(address=oldest))
        moves = source != self.selected and self._moves(request, now)
        self._checked_at[source] = now
        if moves:
            self.selected = source
            outputs.append(Selected(address=source))
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

    def handle_takeover(self, address: Address) -> list[Output]:
        """Another peer has authenticated from this address: it is no longer this one's."""
        if self._checked_at.pop(address, None) is None:
            return []
        outputs: list[Output] = [Forgotten(address=address)]
        if address == self.selected:
            self.selected = next(reversed(self._checked_at), None)
            if self.selected is not None:
                outputs.append(Selected(address=self.selected))
        return outputs
