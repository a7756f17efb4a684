"""The alert rules: check the state of upstream, and fire or resolve alerts."""

from collections.abc import Sequence

from bridge.errors import ProblemArea
from bridge.ops.alerts import Alerts
from bridge.ops.change_outbox import ChangeOutbox
from bridge.ops.clashes import Clashes, ClashReport
from bridge.ops.sender import Sender
from bridge.snapshots.backoff import Failure
from bridge.snapshots.router import SnapshotRouter, SourceState
from bridge.store.interface import Store

REFUSED, FAILING, OLD, LEFT_OUT = "refused", "failing", "old", "left out"
CLASHES, UNDELIVERED = "clashes", "undelivered"
FAILING_AFTER = 3600.0
"""Seconds of failure after which an alert fires."""
OLD_AFTER = 86400.0
"""Age of a snapshot, in seconds, after which an alert fires."""

_CLASHES_TOLD, _CLASHES_REMEMBERED = 3, 500

_REFUSALS = frozenset(
    (ProblemArea.TOKEN, ProblemArea.PERMISSION, ProblemArea.PROVIDER, ProblemArea.MODE)
)


class AlertRules:
    """Checks the widest snapshot and the current failure of each source.

    Every worker evaluates the rules; :class:`Alerts` sends each alert once for the whole fleet.
    """

    def __init__(
        self,
        router: SnapshotRouter,
        alerts: Alerts,
        store: Store,
        *,
        clashes: ClashReport,
        change_sender: Sender[ChangeOutbox] | None,
    ) -> None:
        self._router = router
        self._alerts = alerts
        self._store = store
        self._clashes = clashes
        self._change_sender = change_sender
        self._evaluated_clashes: Clashes | None = None

    def evaluate(self) -> None:
        """Fire an alert for each condition that is true, and resolve the alert when it is false."""
        self._evaluate_clashes()
        self._evaluate_changes()
        states = self._router.states()
        for state in states:
            self._evaluate_left_out(state)
        states = [state for state in states if not state.left_out]
        failures = [state.failure for state in states if state.failure]
        walks = [state.snapshot.oldest_walk_at for state in states if state.snapshot]
        walked = min(walks, default=None)
        if not failures:
            self._resolve(walked)
            return
        for failure in failures:
            self._evaluate_failure(failure, walked)

    def _evaluate_failure(self, failure: Failure, walked: float | None) -> None:
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

    def _evaluate_clashes(self) -> None:
        """Fire one alert for all new clashes; one that is over is forgotten without an alert."""
        clashes = self._clashes.current(self._store.now())
        if clashes is self._evaluated_clashes:
            return
        by_fingerprint = {clash.fingerprint: clash for clash in clashes.all[:_CLASHES_REMEMBERED]}

        def text(new: Sequence[str]) -> str:
            told = "; ".join(
                by_fingerprint[fingerprint].text for fingerprint in new[:_CLASHES_TOLD]
            )
            more = len(new) - _CLASHES_TOLD
            others = f"; and {more} more, which /status and check list" if more > 0 else ""
            return f"The timetable has new clashes. {told}{others}."

        ends = {name: clash.until.timestamp() for name, clash in by_fingerprint.items()}
        self._alerts.fire_new(CLASHES, ends, text)
        self._evaluated_clashes = clashes

    def _evaluate_changes(self) -> None:
        if self._change_sender is None:
            return
        failure = self._change_sender.failure()
        if failure is None:
            self._alerts.resolve(UNDELIVERED, "CHANGES_URL accepts changes again.")
        elif self._store.now() - failure.since >= FAILING_AFTER:
            self._alerts.fire(
                UNDELIVERED,
                f"CHANGES_URL has not accepted changes for an hour: {failure.text}. They are kept"
                " for 30 days.",
            )

    def _evaluate_left_out(self, state: SourceState) -> None:
        topic, name = f"{LEFT_OUT} {state.source.value}", state.source.value
        if state.left_out:
            self._alerts.fire(
                topic,
                f"TeamUp does not let the bridge read {name}, so the feeds do not contain them."
                " Give the token the permission, or set TEAMUP_SOURCES to what the feeds are to"
                " contain.",
            )
        elif state.snapshot is not None:
            self._alerts.resolve(topic, f"The bridge can read {name} now; the feeds contain them.")

    def _resolve(self, walked: float | None) -> None:
        """Resolve the alerts that fired before the walk of the current snapshot.

        The missing failure alone proves nothing: it expires if there are no requests.
        """
        if walked is not None:
            text = "TeamUp answers again, and calendars show its timetable as it is now."
            self._alerts.resolve_before(walked, (REFUSED, FAILING, OLD), text)
