"""Forgetting, for the order system: a case is erased, or kept from it by legal holds."""

from server.errors import UnknownThing
from server.http.operations import INTEGRATOR, Incoming, operation
from server.models import Erasure, Hold, NewErasure, NewHold
from signaling.commands import Erase, LiftHold, SetHold
from signaling.entries import MEDIA

MAX_DIGITS = 15  # of a number in a path: what is longer names nothing here


async def erase_case(incoming: Incoming) -> Erasure:
    """Destroys what the case holds, or its pictures and sound; envelopes and proofs stay. No way back."""
    asked: NewErasure = incoming.body
    service = incoming.service
    case = await service.cases.get(incoming.case_id)
    kinds = None if asked.media is None else {kind for one in asked.media for kind in MEDIA[one]}
    command = Erase(
        reason=asked.reason,
        kinds=None if kinds is None else tuple(sorted(kinds)),
        numbers=None if asked.numbers is None else tuple(sorted(set(asked.numbers))),
        authenticated_by=incoming.principal.authenticated_by,
    )
    erased = await service.erasing.erase(case, command, incoming.principal.actor)
    return Erasure(number=erased.number, complete=erased.complete)


async def set_hold(incoming: Incoming) -> Hold:
    """Sets a legal hold: nothing of the case is erased before all of them are lifted."""
    case = await incoming.service.cases.get(incoming.case_id)
    command = SetHold(reason=incoming.body.reason, authenticated_by=incoming.principal.authenticated_by)
    decided = await case.handle(command, incoming.principal.actor)
    assert decided.number is not None
    return Hold(number=decided.number)


async def lift_hold(incoming: Incoming) -> Hold:
    """Lifts the legal hold that entry `number` set."""
    case = await incoming.service.cases.get(incoming.case_id)
    text = incoming.request.match_info["number"]
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
        raise UnknownThing(f"entry {text[:MAX_DIGITS]} sets no legal hold")
    command = LiftHold(
        number=int(text),
        reason=incoming.body.reason,
        authenticated_by=incoming.principal.authenticated_by,
    )
    await case.handle(command, incoming.principal.actor)
    return Hold(number=int(text))


CASE = "/api/cases/{case_id}"

OPERATIONS = (
    operation("POST", f"{CASE}/erase", erase_case, INTEGRATOR, takes=NewErasure, gives=Erasure),
    operation("POST", f"{CASE}/holds", set_hold, INTEGRATOR | {"qa"}, takes=NewHold, gives=Hold, status=201),
    operation("POST", CASE + "/holds/{number}/lift", lift_hold, INTEGRATOR, takes=NewHold, gives=Hold),
)
