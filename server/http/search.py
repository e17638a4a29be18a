"""Search: in all cases for the office, in their own for people. To be shown an excerpt is a reading."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby
from typing import cast

from server.errors import MalformedRequest, UnknownThing
from server.evidence.entry import Entry
from server.http.operations import INTEGRATOR, PEOPLE, Incoming, operation, query_number
from server.models import SearchHit, SearchHits
from server.search import KINDS
from server.search_index import Hit, Query, excerpt, texts_of, words_of
from server.store.errors import CorruptLog
from signaling.commands import RecordRead
from signaling.entries import may_see
from signaling.values import MAX_INTEGER, Role

MAX_HITS_A_PAGE = 20  # each may be of another case, which is read from the log and gets an entry
MAX_QUERY_CHARACTERS = 200
MAX_WORDS = 10

logger = logging.getLogger(__name__)


async def search_all(incoming: Incoming) -> SearchHits:
    """Entries of all cases in which all words of `q` stand, newest first. What is shown is read."""
    return await _answer(incoming, None)


async def search_case(incoming: Incoming) -> SearchHits:
    """Entries of one case in which all words of `q` stand, as the caller's role may see it."""
    return await _answer(incoming, incoming.case_id)


async def _answer(incoming: Incoming, case_id: str | None) -> SearchHits:
    service, request = incoming.service, incoming.request
    limit = query_number(request, "limit", MAX_HITS_A_PAGE, largest=MAX_HITS_A_PAGE)
    query = Query(
        words=_words(request.query.get("q", "")),
        kinds=_kinds(request.query.get("kind"), incoming.principal.actor.role),
        case_id=case_id,
        before=query_number(request, "before", MAX_INTEGER, largest=MAX_INTEGER),
    )
    if case_id is not None:
        await service.cases.get(case_id)  # an unknown one is an error, and not a case without hits
    complete = service.search.complete  # before the search: what comes in behind it is not found
    hits, more = await service.search.find(query, limit)
    of_case = groupby(sorted(hits, key=_place), key=lambda hit: hit.case_id)
    shown = await asyncio.gather(
        *(_show(incoming, one_case, list(theirs), query.words) for one_case, theirs in of_case)
    )
    found = dict(pair for pairs in shown if pairs is not None for pair in pairs)
    return SearchHits(
        hits=[found[hit.leaf_index] for hit in hits if hit.leaf_index in found],
        complete=complete and None not in shown,
        next_before=hits[-1].leaf_index if more and hits else None,
    )


async def _show(
    incoming: Incoming, case_id: str, hits: Sequence[Hit], words: Sequence[str]
) -> list[tuple[int, SearchHit]] | None:
    """The hits of one case by leaf, recorded as read before; None for a case that cannot be read."""
    service, principal = incoming.service, incoming.principal
    try:
        case = await service.cases.get(case_id)
        entries: list[Entry] = []
        for hit in hits:
            entries += await service.log.entries(case_id, after=hit.number - 1, limit=1)
    except (CorruptLog, UnknownThing) as error:
        logger.error("a case that was found cannot be read: %s", error)
        return None
    role = principal.actor.role
    entries = [entry for entry in entries if may_see(role, entry.envelope.kind) and not entry.is_erased]
    for after, up_to in _spans([entry.envelope.number for entry in entries]):
        read = RecordRead(after=after, up_to=up_to, live=False, authenticated_by=principal.authenticated_by)
        await service.custody.record(case, principal, read)
    return [
        (
            entry.leaf_index,
            SearchHit(
                case_id=case_id,
                waybill=case.state.waybill,
                number=entry.envelope.number,
                kind=entry.envelope.kind,
                role=cast(Role, entry.envelope.role),  # of an entry that a command of ours made
                recorded_at=entry.envelope.recorded_at,
                excerpt=excerpt(texts_of(entry.envelope.kind, entry.body), words),
            ),
        )
        for entry in entries
    ]


def _place(hit: Hit) -> tuple[str, int]:
    return hit.case_id, hit.number


def _spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges after the first and up to the second, with nothing else in them."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number - 1, number))
    return spans


def _words(text: str) -> tuple[str, ...]:
    if len(text) > MAX_QUERY_CHARACTERS:
        raise MalformedRequest(f"q has at most {MAX_QUERY_CHARACTERS} characters")
    words = words_of(text)
    if not 1 <= len(words) <= MAX_WORDS:
        raise MalformedRequest(f"q holds the words to look for, from 1 to {MAX_WORDS} of them")
    return words


def _kinds(kind: str | None, role: Role) -> frozenset[str]:
    """The kinds that are searched: the one that was asked for, or all, as far as the role may see them."""
    if kind is not None and kind not in KINDS:
        raise MalformedRequest(f"kind is one of {', '.join(sorted(KINDS))}")
    asked = KINDS if kind is None else frozenset({kind})
    return frozenset(one for one in asked if may_see(role, one))


QUERY = ("q", "kind", "limit", "before")

OPERATIONS = (
    operation("GET", "/api/search", search_all, INTEGRATOR | {"desk"}, gives=SearchHits, query=QUERY),
    operation(
        "GET",
        "/api/cases/{case_id}/search",
        search_case,
        INTEGRATOR | PEOPLE,
        gives=SearchHits,
        query=QUERY,
    ),
)
