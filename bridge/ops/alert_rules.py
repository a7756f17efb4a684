"""The alert rules: check the state of upstream, and fire or resolve alerts."""

from bridge.errors import ProblemArea
from bridge.ops.alerts import Alerts
from bridge.snapshots.backoff import Backoff
from bridge.snapshots.router import SnapshotRouter
from bridge.store.interface import Store

REFUSED, FAILING, OLD = "refused", "failing", "old"
FAILING_AFTER = 3600.0
"""Seconds of failure after which an alert fires."""
OLD_AFTER = 86400.0
"""Age of a snapshot, in seconds, after which an alert fires."""

_REFUSALS = frozenset(
    (ProblemArea.TOKEN, ProblemArea.PERMISSION, ProblemArea.PROVIDER, ProblemArea.MODE)
)


class AlertRules:
    """Checks the widest snapshot and the current failure.

    Every worker evaluates the rules; :class:`Alerts` sends each alert once for the whole fleet.
    """

    def __init__(
        self, router: SnapshotRouter, backoff: Backoff, alerts: Alerts, store: Store
    ) -> None:
        self._router = router
        self._backoff = backoff
        self._alerts = alerts
        self._store = store

    def evaluate(self) -> None:
        """Fire an alert for each condition that is true, and resolve the alert when it is false."""
        failure = self._backoff.current(self._router.widest_key)
        snapshot = self._router.peek_widest()
        walked = snapshot.walked if snapshot else None
        if failure is None:
            self._resolve(walked)
            return
        now = self._store.now()
        if failure.problem_area in _REFUSALS:
            self._alerts.fire(REFUSED, f"TeamUp refuses the bridge: {failure.text}.")
        elif failure.problem_area is ProblemArea.SIZE:
            text = f"Calendars go on showing the last good copy: {failure.text}."
            self._alerts.fire(FAILING, text)
        elif now - failure.since >= FAILING_AFTER:
            self._alerts.fire(
                FAILING,
                "TeamUp has been failing for an hour; calendars go on showing the last good copy."
                f" The cause: {failure.text}.",
            )
        if walked is not None and now - walked >= OLD_AFTER:
            self._alerts.fire(
                OLD,
                "Calendars show a timetable that is older than a day."
                f" TeamUp fails: {failure.text}.",
            )

    def _resolve(self, walked: float | None) -> None:
        """Resolve the alerts that fired before the walk of the current snapshot.

        The missing failure alone proves nothing: it expires if there are no requests.
        """
        if walked is not None:
            text = "TeamUp answers again, and calendars show its timetable as it is now."
            self._alerts.resolve_before(walked, (REFUSED, FAILING, OLD), text)
