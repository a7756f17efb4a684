"""The examination: every part in turn; whatever is wrong becomes a finding."""

from environs import Env

from bridge import config, services
from bridge.clock import Clock, SystemClock
from bridge.config import Config
from bridge.diagnostics import account_checks, environment_checks, timetable_checks
from bridge.diagnostics.findings import CheckReport
from bridge.errors import ConfigError, UpstreamError
from bridge.filters import FilterSet
from bridge.services import Services

# Beyond it windows are cut on the wrong day, and clients take old copies for new ones.
_WRONG_SECONDS = 600


def run_checks(env: Env | None = None, *, clock: Clock | None = None) -> CheckReport:
    """Look at everything that there is.

    Args:
        env: what to read the settings from; otherwise the environment.
    """
    report = CheckReport()
    clock = clock or SystemClock()
    settings = _check_settings(report, env)
    if settings is None:
        return report
    try:
        store = services.bare_store(settings, clock)
        parts = services.build(settings, clock=clock)
    except ConfigError as err:
        _report_problems(report, err)
        return report
    try:
        environment_checks.check_store(report, settings, store, clock)
        environment_checks.check_keys(report, settings)
        _check_upstream(report, parts, clock)
        environment_checks.check_address(report, settings, clock)
    finally:
        store.close()
        parts.close()
    return report


def _check_settings(report: CheckReport, env: Env | None) -> Config | None:
    try:
        settings = config.load(env)
    except ConfigError as err:
        _report_problems(report, err)
        return None
    report.good("settings", "all can be used")
    for warning in settings.warnings:
        report.warning("settings", warning)
    return settings


def _report_problems(report: CheckReport, err: ConfigError) -> None:
    for variable, problem in err.problems.items():
        report.error("settings", f"{variable}: {problem}", variable)


def _check_upstream(report: CheckReport, parts: Services, clock: Clock) -> None:
    settings = parts.config
    try:
        walk = parts.walker.walk(FilterSet(past=settings.window_past_days))
    except UpstreamError as err:
        account_checks.explain(report, err.cause, settings, parts.client, clock)
        _check_clock(report, parts)
        return
    account_checks.tell_accepted(report, settings, parts.client)
    _check_clock(report, parts)
    timetable_checks.check_walk(report, walk, settings)


def _check_clock(report: CheckReport, parts: Services) -> None:
    skew = parts.client.skew
    if skew is None:
        return
    off = f"this machine's clock is {-skew:+.0f} seconds off TeamUp's"
    if abs(skew) > _WRONG_SECONDS:
        report.error("clock", f"{off}: set it, and keep it right (NTP)")
    elif abs(skew) > environment_checks.SKEW_SECONDS:
        report.warning("clock", off)
    else:
        report.good("clock", "agrees with TeamUp's")
