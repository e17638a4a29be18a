"""A receipt in a running service: handed over by the courier, confirmed by the customer."""

from dataclasses import dataclass
from typing import Any

from signaling.delivery import Confirm, HandOver
from signaling.values import Actor, ActorId, PersonRole, Place, SessionId
from tests.conftest import Caller

STATEMENT = "我已查看外包装并收到包裹。"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The case and its links; `handed_over` and `confirmed` are the numbers of the entries."""

    case_id: str
    links: dict[str, dict[str, Any]]
    handed_over: int
    confirmed: int


def actor_of(links: dict[str, dict[str, Any]], role: PersonRole) -> Actor:
    return Actor(role=role, actor_id=ActorId(links[role]["link_id"]), session_id=SessionId("s_" + "a" * 20))


async def hand_over(caller: Caller, case_id: str, links: dict[str, dict[str, Any]]) -> int:
    """The number of the hand-over."""
    case = await caller.service.cases.get(case_id)
    decided = await case.handle(
        HandOver(
            how="in_person",
            text="箱子完好",
            place=Place(latitude_e6=22_540_500, longitude_e6=113_934_500, accuracy_m=12),
        ),
        actor_of(links, "courier"),
    )
    assert decided.number is not None
    return decided.number


async def confirm_receipt(
    caller: Caller, *, reservation: str | None = None, statement: str = STATEMENT, **more: Any
) -> Receipt:
    """A new case whose receipt is confirmed."""
    case_id = await caller.open_case(**more)
    links = {role: await caller.link(case_id, role, role) for role in ("customer", "courier", "qa")}
    number = await hand_over(caller, case_id, links)
    case = await caller.service.cases.get(case_id)
    await case.handle(
        Confirm(number=number, statement=statement, language="zh", reservation=reservation),
        actor_of(links, "customer"),
    )
    settled = case.state.delivery.handed_over
    assert settled is not None and settled.settled is not None
    return Receipt(case_id=case_id, links=links, handed_over=number, confirmed=settled.settled)
