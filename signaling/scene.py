"""What a subject's rules see of the case around it, beside their own state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from signaling.values import Actor, ActorId, PersonRole
from signaling.wording import Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`number` is that of the first entry that comes of the command; `people` are those with a live link."""

    actor: Actor
    now_at: datetime
    number: int
    wording: Wording
    people: Mapping[ActorId, PersonRole]

    @property
    def person_role(self) -> PersonRole:
        """The role of an actor who is a person: legality has been checked."""
        return cast(PersonRole, self.actor.role)
