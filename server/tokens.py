"""Bearer tokens: signed JWTs (RFC 7519), HS256 alone, fixed audience, type and case.

A link token opens one case in one role; a desk token lists cases and asks for qa links. Whether a link has
been revoked is the log's business, not the token's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from server.errors import Unauthenticated

ALGORITHM = "HS256"
AUDIENCE = "proofcall"
LEEWAY_S = 5  # clocks of two servers behind one name


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkToken:
    """Opens `case_id` for the person of `link_id` in `role`."""

    case_id: str
    link_id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskToken:
    """A QA desk: lists cases, and is given a qa link to each case it opens."""

    desk_id: str
    name: str


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
        return self._encode({"typ": "desk", "sub": token.desk_id, "name": token.name}, expires_at)

    def read(self, text: str, *, now_at: datetime) -> LinkToken | DeskToken:
        """What a token grants. Raises `Unauthenticated` unless it is one of ours and still good."""
        try:
            claims = jwt.decode(
                text,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["exp", "aud", "sub", "typ"], "verify_exp": False},
            )
            if int(claims["exp"]) + LEEWAY_S < now_at.timestamp():
                raise Unauthenticated("this link has expired: ask for a new one")
            match claims["typ"]:
                case "link":
                    return LinkToken(case_id=claims["case"], link_id=claims["sub"], role=claims["role"])
                case "desk":
                    return DeskToken(desk_id=claims["sub"], name=claims["name"])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise Unauthenticated(
                "this token is not one of ours: open the link again as it was sent"
            ) from None
        raise Unauthenticated("this token is of another type")

    def _encode(self, claims: dict[str, Any], expires_at: datetime) -> str:
        claims |= {"aud": AUDIENCE, "exp": int(expires_at.timestamp())}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)
