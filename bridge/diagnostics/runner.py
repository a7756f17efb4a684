"""Runs all checks, one area after the other, and collects the findings in a report."""

from collections.abc import Mapping

from bridge import config, services
from bridge.clock import Clock, SystemClock
from bridge.config import Config, warnings_about
from bridge.diagnostics import (
    account_checks,
    address_checks,
    environment_checks,
    timetable_checks,
)
from bridge.diagnostics.findings import CheckReport
from bridge.errors import Cause, ConfigError, UpstreamError
from bridge.filters import FilterSet
from bridge.model import SourceName
from bridge.services import Services, SharedServices
from bridge.store.opening import open_backend
from bridge.upstream.pagination import Walk

# With a larger error windows begin on the wrong day, and clients take old copies for fresh ones.
_MAX_SKEW_SECONDS = 600


def run_checks(
    values: Mapping[str, str] | None = None,
    *,
    clock: Clock | None = None,
    only: str | None = None,
) -> dict[str, CheckReport]:
    """Run all checks; the result has the report of each studio, by its slug.

    Without ``STUDIOS``, or if the settings cannot be used, it has one report, whose key is empty.

    Args:
        values: the variables of the settings; by default the environment and ``.env``.
        only: the slug of the only studio to check.
    """
    clock = clock or SystemClock()
    try:
        server_settings = config.load(values)
    except ConfigError as err:
        report = CheckReport()
        _report_problems(report, err)
        return {"": report}
    studios = [studio for studio in server_settings.studios if only in (None, studio.slug)]
    if only is not None and not studios:
        report = CheckReport()
        known = ", ".join(studio.slug for studio in server_settings.studios)
        accepted = f"accepted by --studio: {known}" if known else "leave --studio out"
        report.error("settings", f"there is no studio {only!r}; {accepted}")
        return {"": report}
    return {
        settings.slug: _check(settings, server_settings, clock)
        for settings in studios or [server_settings]
    }


def _check(settings: Config, server_settings: Config, clock: Clock) -> CheckReport:
    """Check one studio.

    Args:
        server_settings: the settings of the whole deployment.
    """
    report = CheckReport()
    report.good("settings", "all are valid")
    for warning in dict.fromkeys((*warnings_about(server_settings), *warnings_about(settings))):
        report.warning("settings", warning)
    try:
        store = open_backend(settings, clock)
        shared = SharedServices.of(server_settings, clock=clock)
        bridge = services.build(settings, shared=shared)
    except ConfigError as err:
        _report_problems(report, err)
        return report
    try:
        environment_checks.check_store(report, settings, store, clock)
        environment_checks.check_keys(report, settings)
        environment_checks.check_receivers(report, bridge.senders)
        _check_upstream(report, bridge, clock)
        address_checks.check_address(report, settings, clock)
    finally:
        store.close()
        bridge.close()
        shared.store.close()
    return report


def _report_problems(report: CheckReport, err: ConfigError) -> None:
    for variable, problem in err.problems.items():
        report.error("settings", f"{variable}: {problem}", variable)


def _check_upstream(report: CheckReport, bridge: Services, clock: Clock) -> None:
    settings = bridge.config
    walks: dict[SourceName, Walk] = {}
    causes: dict[SourceName, Cause] = {}
    for source, walker in bridge.walkers.items():
        try:
            walks[source] = walker.walk(FilterSet(past=settings.window_past_days))
        except UpstreamError as err:
            causes[source] = err.cause
    if walks:
        account_checks.report_success(report, settings, bridge.client)
    account_checks.report_failures(report, causes, list(walks), bridge)
    _check_clock(report, bridge)
    if walks:
        timetable_checks.check_walks(report, walks, settings)
        timetable_checks.check_changes(report, bridge.report.status().changes)


def _check_clock(report: CheckReport, bridge: Services) -> None:
    skew = bridge.client.skew
    if skew is None:
        return
    text = f"this machine's clock is {-skew:+.0f} seconds off TeamUp's"
    if abs(skew) > _MAX_SKEW_SECONDS:
        report.error("clock", f"{text}: set it, and synchronise it (NTP)")
    elif abs(skew) > environment_checks.SKEW_SECONDS:
        report.warning("clock", text)
    else:
        report.good("clock", "agrees with TeamUp's")
