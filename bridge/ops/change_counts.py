"""How many sessions changed in the last seven days, by kind of change."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bridge.config import Availability
from bridge.feeds.changes import ChangeKind, timetable_changes
from bridge.feeds.spec import Audience
from bridge.languages import english
from bridge.model import Visibility
from bridge.snapshots.change_log import ChangeLog
from bridge.snapshots.router import SnapshotRouter
from bridge.snapshots.snapshot import Snapshot

_WEEK, _HOUR = 7 * 86400.0, 3600.0
# The owner sees everything but drafts.
_OWNER = Audience(visibilities=frozenset(Visibility), availability=Availability.NONE)


class ChangeCounts:
    """Counts the changes: once for each version of the timetable, and once an hour.

    Args:
        logs: loads the change log of each source.
    """

    def __init__(self, router: SnapshotRouter, logs: Callable[[], Sequence[ChangeLog]]) -> None:
        self._router = router
        self._logs = logs
        self._cached: tuple[Snapshot, float, Mapping[ChangeKind, int]] | None = None

    def current(self, now: float) -> Mapping[ChangeKind, int]:
        """The counts of the week before *now*, in seconds since 1970; none without a snapshot."""
        snapshot = self._router.peek_widest()
        if snapshot is None:
            return {}
        cached, hour = self._cached, now // _HOUR
        if cached is None or cached[0] is not snapshot or cached[1] != hour:
            entries = (entry for log in self._logs() for entry in log.changes)
            recent = [entry for entry in entries if entry.at > now - _WEEK]
            changes = timetable_changes(recent, snapshot, _OWNER, english())
            counts = Counter(change.kind for change in changes)
            ordered = {kind: counts[kind] for kind in ChangeKind if counts[kind]}
            cached = self._cached = (snapshot, hour, ordered)
        return cached[2]
