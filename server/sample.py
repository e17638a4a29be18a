"""The sample of `make run`: a case opened as an integrator would, and its links, printed for a newcomer."""

from datetime import timedelta

import segno

from server.http.integrator import PAGES
from server.service import Service
from server.settings import Settings
from server.tokens import DeskRole, DeskToken, LinkToken
from signaling.commands import IssueLink, OpenCase
from signaling.entries import DeclaredValue
from signaling.values import INTEGRATOR, Actor, ActorId, PersonRole, Place, SessionId

SAMPLE_LINK_LIFETIME = timedelta(days=1)
SAMPLE_PEOPLE: tuple[tuple[PersonRole, str], ...] = (("customer", "李女士"), ("courier", "王师傅"))
SAMPLE_DESKS: tuple[tuple[DeskRole, str], ...] = (("qa", "QA"), ("dispatch", "调度台"))


async def print_sample(service: Service, settings: Settings) -> None:
    """Opens a case and prints the links, with QR codes where a phone may scan them."""
    integrator = Actor(role="integrator", actor_id=INTEGRATOR, session_id=SessionId(service.new_id("s_")))
    case = await service.cases.open(
        OpenCase(
            waybill="SF1000000001",
            declared_value=DeclaredValue(amount_minor=899900, currency="CNY"),
            language="zh",
            metadata={"goods": "phone"},
            time_zone="Asia/Shanghai",
            address="深圳市南山区科技园 1 栋 1 单元 301",
            place=Place(latitude_e6=22_540_500, longitude_e6=113_934_500, accuracy_m=0),
        ),
        integrator,
    )
    expires_at = service.utc_now().replace(microsecond=0) + SAMPLE_LINK_LIFETIME
    links: dict[str, str] = {}
    for role, name in SAMPLE_PEOPLE:
        link_id = service.new_id("l_")
        await case.handle(
            IssueLink(link_id=ActorId(link_id), role=role, name=name, expires_at=expires_at), integrator
        )
        links[role] = service.tokens.issue_link(
            LinkToken(case_id=case.case_id, link_id=link_id, role=role), expires_at=expires_at
        )
    for desk, name in SAMPLE_DESKS:
        links[desk] = service.tokens.issue_desk(
            DeskToken(desk_id=service.new_id("d_"), name=name, role=desk), expires_at=expires_at
        )
    print(f"\nSample case {case.state.waybill}. API key of this run: {settings.api_key}\n")
    for whom, token in links.items():
        url = f"{service.public_url}{PAGES[whom]}#{token}"
        print(f"{whom:>9}  {url}")
        if settings.tls_certificate is not None and whom not in dict(SAMPLE_DESKS):
            segno.make(url, error="l").terminal(compact=True)
    print(flush=True)
