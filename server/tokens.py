"""Bearer tokens: signed JWTs (RFC 7519), HS256 alone, fixed audience, type and case.

A link token opens one case in one role; a desk token lists cases and asks for links of its own role; a
playback token is the address of one recording, a voucher token that of one voucher. Whether a link has been
revoked is the log's business, not the token's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import jwt

from server.errors import Unauthenticated

ALGORITHM = "HS256"
AUDIENCE = "proofcall"
LEEWAY_S = 5  # clocks of two servers behind one name
DeskRole = Literal["qa", "dispatch"]
DESK_ROLES: Mapping[str, DeskRole] = {"qa": "qa", "dispatch": "dispatch"}
NOT_OURS = "this token is not one of ours: open the link again as it was sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkToken:
    """Opens `case_id` for the person of `link_id` in `role`."""

    case_id: str
    link_id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskToken:
    """A desk of the office: lists cases, and is given a link of its role to each case it opens."""

    desk_id: str
    name: str
    role: DeskRole = "qa"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackToken:
    """Plays back part `part` of what is recorded of `actor_id` in a call: the file `name`, if it is there."""

    case_id: str
    actor_id: str
    call_number: int
    part: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherToken:
    """Opens the voucher of the receipt that entry `number` of the case confirms, to whoever holds it."""

    case_id: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """An authentic token; one that has expired says no more than who comes with it. It is taken until
    `expires_at`, the leeway included.
    """

    token: LinkToken | DeskToken
    expired: bool
    expires_at: datetime


class Tokens:
    """Issues and checks tokens with one secret. Pure: expiry is checked against the `now_at` given."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue_link(self, token: LinkToken, *, expires_at: datetime) -> str:
        """The text of a link token."""
        claims = {"typ": "link", "case": token.case_id, "sub": token.link_id, "role": token.role}
        return self._encode(claims, expires_at)

    def issue_desk(self, token: DeskToken, *, expires_at: datetime) -> str:
        """The text of a desk token."""
        claims = {"typ": "desk", "sub": token.desk_id, "name": token.name, "role": token.role}
        return self._encode(claims, expires_at)

    def issue_playback(self, token: PlaybackToken, *, expires_at: datetime) -> str:
        """The text of a ticket. It stands in a URL, because players send no header."""
        claims = {
            "typ": "playback",
            "case": token.case_id,
            "sub": token.actor_id,
            "call": token.call_number,
            "part": token.part,
            "name": token.name,
        }
        return self._encode(claims, expires_at)

    def issue_voucher(self, token: VoucherToken, *, expires_at: datetime) -> str:
        """The text of a voucher token. It stands in a URL, because a QR code is one."""
        return self._encode({"typ": "voucher", "case": token.case_id, "sub": str(token.number)}, expires_at)

    def read(self, text: str, *, now_at: datetime) -> Granted:
        """What a token of a link or a desk grants, or granted. Raises `Unauthenticated` unless it is ours."""
        claims = self._decode(text)
        try:
            exp = int(claims["exp"]) + LEEWAY_S
            expired, expires_at = exp < now_at.timestamp(), datetime.fromtimestamp(exp, UTC)
            match claims["typ"]:
                case "link":
                    link = LinkToken(case_id=claims["case"], link_id=claims["sub"], role=claims["role"])
                    return Granted(token=link, expired=expired, expires_at=expires_at)
                case "desk":
                    desk = DeskToken(
                        desk_id=claims["sub"],
                        name=claims["name"],
                        role=DESK_ROLES[claims.get("role", "qa")],  # older tokens name none
                    )
                    return Granted(token=desk, expired=expired, expires_at=expires_at)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            raise Unauthenticated(NOT_OURS) from None
        raise Unauthenticated("this token is of another type")

    def read_playback(self, text: str, *, now_at: datetime) -> PlaybackToken:
        """What a ticket grants. Raises `Unauthenticated` unless it is one of ours and still good."""
        claims = self._decode(text)
        try:
            if claims["typ"] != "playback":
                raise Unauthenticated("this token is of another type")
            if int(claims["exp"]) + LEEWAY_S < now_at.timestamp():
                raise Unauthenticated("this address was good for an hour: ask for the recording again")
            return PlaybackToken(
                case_id=claims["case"],
                actor_id=claims["sub"],
                call_number=claims["call"],
                part=claims["part"],
                name=claims["name"],
            )
        except (KeyError, TypeError, ValueError):
            raise Unauthenticated(NOT_OURS) from None

    def read_voucher(self, text: str, *, now_at: datetime) -> VoucherToken:
        """Which voucher a token opens. Raises `Unauthenticated` unless it is one of ours and still good."""
        claims = self._decode(text)
        try:
            if claims["typ"] != "voucher":
                raise Unauthenticated("this token is of another type")
            if int(claims["exp"]) + LEEWAY_S < now_at.timestamp():
                raise Unauthenticated("this address was good for ten years: check the file that was saved")
            return VoucherToken(case_id=claims["case"], number=int(claims["sub"]))
        except (KeyError, TypeError, ValueError):
            raise Unauthenticated(NOT_OURS) from None

    def _decode(self, text: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["exp", "aud", "sub", "typ"], "verify_exp": False},
            )
        except (jwt.InvalidTokenError, TypeError, ValueError):
            raise Unauthenticated(NOT_OURS) from None
        return claims

    def _encode(self, claims: dict[str, Any], expires_at: datetime) -> str:
        claims |= {"aud": AUDIENCE, "exp": int(expires_at.timestamp())}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)
