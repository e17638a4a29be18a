"""How long what is kept: the operator's rules, and what of a case they say is over. Pure.

    recordings=90d, frames=1y, attachments=1y, all=3y

`recordings`, `frames` and `attachments` are erased alone and the rest of the case stays; `all` is the case.
The age of a case counts from its last entry that is no reading, receipt, link or the like. A clock that is
far ahead of the log is wrong rather than right: what it would erase does not come back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.store.aging import AgedCase
from signaling.entries import BOOKKEEPING, MEDIA

ALL = "all"
UNIT_DAYS: Mapping[str, int] = {"d": 1, "y": 365}
MAX_AHEAD = timedelta(days=7)  # a house that opens no case for longer can wait for its next one
# What says nothing of the parcel: who looked, who was let in to look, what is kept and what not.
QUIET = BOOKKEEPING | {"erased", "hold_set", "hold_lifted", "link_issued", "link_revoked"}
WANTED: frozenset[str] = frozenset().union(*MEDIA.values())

Rules = Mapping[str, timedelta]

_RULE = re.compile(r"([a-z]+)\s*=\s*([1-9][0-9]{0,4})\s*([dy])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What of a case is over: all of it, or these media. `is_held`: and yet it is kept."""

    case: AgedCase
    media: tuple[str, ...]
    is_whole: bool

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """As the entry has them."""
        return None if self.is_whole else tuple(sorted(kind for one in self.media for kind in MEDIA[one]))

    @property
    def what(self) -> str:
        """In words."""
        return ALL if self.is_whole else ", ".join(self.media)


def parse_rules(text: str) -> Rules:
    """Raises ValueError, which says what to write."""
    rules: dict[str, timedelta] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _RULE.fullmatch(part)
        if match is None or match[1] not in (*MEDIA, ALL):
            raise ValueError(f"{part!r} is none of recordings=90d, frames=1y, attachments=1y, all=3y")
        if match[1] in rules:
            raise ValueError(f"{match[1]} stands there twice")
        rules[match[1]] = timedelta(days=int(match[2]) * UNIT_DAYS[match[3]])
    for name, span in rules.items():
        if ALL in rules and span > rules[ALL]:
            raise ValueError(f"{name} cannot be kept for longer than all of the case")
    return rules


def trusted_now(now_at: datetime, newest_at: datetime | None) -> datetime:
    """What the clock says, as far as the newest entry of the log bears it out."""
    return now_at if newest_at is None else min(now_at, newest_at + MAX_AHEAD)


def due_of(rules: Rules, case: AgedCase, now_at: datetime) -> Due | None:
    """What of this case is over now; None if nothing is."""
    age = now_at - case.last_at
    if ALL in rules and age >= rules[ALL]:
        return Due(case=case, media=(), is_whole=True)
    media = tuple(
        name for name, kinds in MEDIA.items() if name in rules and age >= rules[name] and kinds & case.present
    )
    return Due(case=case, media=media, is_whole=False) if media else None


def may_be_due(rules: Rules, opened_at: datetime, now_at: datetime) -> bool:
    """Whether anything can be over of a case that was opened then; of later ones neither, if not."""
    return bool(rules) and now_at - opened_at >= min(rules.values())


def reason_of(rules: Rules, due: Due) -> str:
    """What the entry says."""
    names = (ALL,) if due.is_whole else due.media
    return "kept as long as was set: " + ", ".join(f"{name} {rules[name].days} days" for name in names)
