"""IANA time zones that this machine knows."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

# The pinned tzdata, and not whatever this machine has: the same rules, and bytes, everywhere.
reset_tzpath(to=())


@cache
def _known() -> frozenset[str]:
    # Listing takes a walk over the zone files; a look at the file of a hostile name would be worse.
    return frozenset(available_timezones())


def zone(name: object) -> ZoneInfo | None:
    """The zone of that name, or None for anything that is not one."""
    return ZoneInfo(name) if isinstance(name, str) and name in _known() else None
