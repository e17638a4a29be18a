"""Who is calling: the integrator by its key, a desk or a person by a token that the log still honours."""

import hmac
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime

from server.cases import Cases
from server.errors import ErasedLink, ForbiddenAccess, RevokedLink, ServerError, Unauthenticated, UnknownThing
from server.tokens import DeskToken, LinkToken, Tokens
from signaling.entries import Credential
from signaling.values import INTEGRATOR, SYSTEM, Actor, ActorId, SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why somebody whose credential is ours is not let in: a code for the log, the error for them."""

    reason: str
    error: ServerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller. `kind` is what routes are opened by: integrator, desk, a person's role, or anyone.

    `barred` says why a credential that was good once is so no more: nothing opens to it.
    """

    kind: str
    name: str
    actor: Actor  # as entries name it; a desk acts for the integrator until it holds a link
    link: LinkToken | None = None
    desk: DeskToken | None = None
    expires_at: datetime | None = None  # of the credential, if it does
    barred: Refusal | None = None

    @property
    def authenticated_by(self) -> Credential:
        """How they proved who they are."""
        if self.link is not None:
            return "link"
        return "desk" if self.desk is not None else "api_key"

    def refusal(self, allowed: Set[str], case_id: str | None) -> Refusal | None:
        """Why a route for the kinds `allowed`, in a case or beside all of them, is closed to this caller."""
        if self.barred is not None:
            return self.barred
        if self.kind not in allowed:
            error = ForbiddenAccess(f"this is not for the role {self.kind}")
            return Refusal(reason="not_for_role", error=error)
        if case_id is not None and self.link is not None and self.link.case_id != case_id:
            return Refusal(reason="other_case", error=ForbiddenAccess("this token is for another case"))
        return None


EXPIRED = Refusal(reason="expired", error=Unauthenticated("this link has expired: ask for a new one"))
REVOKED = Refusal(reason="revoked", error=RevokedLink("this link has been taken back: ask for a new one"))
ANYBODY = Principal(
    kind="anyone", name="", actor=Actor(role="system", actor_id=SYSTEM, session_id=SessionId(""))
)


class Principals:
    """Turns a bearer credential into a `Principal`."""

    def __init__(
        self,
        *,
        api_key: str,
        tokens: Tokens,
        cases: Cases,
        new_id: Callable[[str], str],
        utc_now: Callable[[], datetime],
    ) -> None:
        self._api_key = api_key.encode()
        self._tokens = tokens
        self._cases = cases
        self._new_id = new_id
        self._utc_now = utc_now

    async def identify(self, credential: str) -> Principal:
        """The caller, barred if their link has expired or was taken back. Raises `Unauthenticated`, also as
        `ErasedLink` for links of before the case was erased.
        """
        session_id = SessionId(self._new_id("s_"))
        integrator = Actor(role="integrator", actor_id=INTEGRATOR, session_id=session_id)
        if hmac.compare_digest(credential.encode(errors="surrogateescape"), self._api_key):
            return Principal(kind="integrator", name="integrator", actor=integrator)
        granted = self._tokens.read(credential, now_at=self._utc_now())
        token, barred = granted.token, EXPIRED if granted.expired else None
        if isinstance(token, DeskToken):
            return Principal(
                kind="desk",
                name=token.name,
                actor=integrator,
                desk=token,
                expires_at=granted.expires_at,
                barred=barred,
            )
        try:
            case = await self._cases.get(token.case_id)
        except UnknownThing:
            raise Unauthenticated("this link is for a case that is not here") from None
        link_id = ActorId(token.link_id)
        if case.state.phase == "erased" and link_id not in case.state.links:
            raise ErasedLink("this case was erased: nothing of what was said and shown in it is kept")
        link = case.state.links.get(link_id)
        if link is None or link.role != token.role:
            raise Unauthenticated("this link is not known here")
        actor = Actor(role=link.role, actor_id=link_id, session_id=session_id)
        barred = REVOKED if link.revoked else barred
        return Principal(
            kind=link.role,
            name=link.name,
            actor=actor,
            link=token,
            expires_at=granted.expires_at,
            barred=barred,
        )
