"""How far the time-stamping authorities are, for the operator."""

from server.http.operations import INTEGRATOR, Incoming, operation
from server.models import TimestampAuthorities, TimestampAuthority
from server.timestamps import AuthorityStatus


async def list_authorities(incoming: Incoming) -> TimestampAuthorities:
    """The time-stamping authorities, what each has stamped, and why not more."""
    statuses = incoming.service.timestamps.statuses()
    return TimestampAuthorities(authorities=[_shown(status) for status in statuses])


def _shown(status: AuthorityStatus) -> TimestampAuthority:
    return TimestampAuthority(
        authority=status.source,
        state="failing" if status.failures else "stamping",
        tree_size=status.tree_size,
        stamped_at=status.stamped_at,
        behind=status.behind,
        failures=status.failures,
        error=status.error,
        next_attempt_at=status.next_attempt_at,
        ahead_s=None if status.ahead is None else round(status.ahead.total_seconds()),
    )


OPERATIONS = (operation("GET", "/api/timestamps", list_authorities, INTEGRATOR, gives=TimestampAuthorities),)
