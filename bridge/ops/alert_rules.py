"""The watch: looks whether something changed that a person should know of, and raises it."""

from bridge.errors import ProblemArea
from bridge.ops.alerts import Alerts
from bridge.snapshots.backoff import Backoff
from bridge.snapshots.router import SnapshotRouter
from bridge.store.interface import Store

REFUSED, FAILING, OLD = "refused", "failing", "old"
LONG = 3600.0
"""Seconds for which upstream fails before it is told."""
VERY_OLD = 86400.0
"""Seconds after which a copy is told to be old."""

_REFUSALS = frozenset(
    (ProblemArea.TOKEN, ProblemArea.PERMISSION, ProblemArea.PROVIDER, ProblemArea.MODE)
)


class AlertRules:
    """Looks at the widest snapshot and at what fails; every worker may, the fleet tells once."""

    def __init__(
        self, router: SnapshotRouter, backoff: Backoff, alerts: Alerts, store: Store
    ) -> None:
        self._router = router
        self._backoff = backoff
        self._alerts = alerts
        self._store = store

    def evaluate(self) -> None:
        """Raise what began, and tell of what is over."""
        failure = self._backoff.current(self._router.widest_key)
        snapshot = self._router.peek_widest()
        walked = snapshot.walked if snapshot else None
        if failure is None:
            self._well_again(walked)
            return
        now = self._store.now()
        if failure.matter in _REFUSALS:
            self._alerts.raised(REFUSED, f"TeamUp refuses the bridge: {failure.text}.")
        elif now - failure.since >= LONG:
            self._alerts.raised(
                FAILING,
                "TeamUp has been failing for an hour; calendars go on showing the last good copy."
                f" The cause: {failure.text}.",
            )
        if walked is not None and now - walked >= VERY_OLD:
            self._alerts.raised(
                OLD,
                "Calendars show a timetable that is older than a day."
                f" TeamUp fails: {failure.text}.",
            )

    def _well_again(self, walked: float | None) -> None:
        """Tell so, where a walk that began after it was raised has come through.

        That no failure is remembered any more may be because nobody asked for a while.
        """
        if walked is not None:
            text = "TeamUp answers again, and calendars show its timetable as it is now."
            self._alerts.over_by(walked, (REFUSED, FAILING, OLD), text)
