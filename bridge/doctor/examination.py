"""The examination: every part in turn; whatever is wrong becomes a finding."""

from environs import Env

from bridge import config, services
from bridge.clock import Clock, SystemClock
from bridge.config import Config
from bridge.doctor import account, surroundings, timetable
from bridge.doctor.report import Report
from bridge.errors import ConfigError, UpstreamError
from bridge.filters import FilterSet
from bridge.services import Services

# Beyond it windows are cut on the wrong day, and clients take old copies for new ones.
_WRONG_SECONDS = 600


def examine(env: Env | None = None, *, clock: Clock | None = None) -> Report:
    """Look at everything that there is.

    Args:
        env: what to read the settings from; otherwise the environment.
    """
    report = Report()
    clock = clock or SystemClock()
    settings = _examine_settings(report, env)
    if settings is None:
        return report
    try:
        store = services.bare_store(settings, clock)
        parts = services.build(settings, clock=clock)
    except ConfigError as err:
        report.error("settings", str(err), err.variable)
        return report
    try:
        surroundings.examine_store(report, settings, store, clock)
        surroundings.examine_keys(report, settings)
        _examine_upstream(report, parts, clock)
        surroundings.examine_address(report, settings, clock)
    finally:
        store.close()
        parts.close()
    return report


def _examine_settings(report: Report, env: Env | None) -> Config | None:
    for problem in config.problems(env):
        report.error("settings", str(problem), problem.variable)
    if not report.healthy:
        return None
    settings = config.load(env)
    report.good("settings", "all can be used")
    for warning in settings.warnings:
        report.warning("settings", warning)
    return settings


def _examine_upstream(report: Report, parts: Services, clock: Clock) -> None:
    settings = parts.config
    try:
        walk = parts.walker.walk(FilterSet(past=settings.window_past_days))
    except UpstreamError as err:
        account.explain(report, err.cause, settings, parts.client, clock)
        _examine_clock(report, parts)
        return
    account.tell_accepted(report, settings, parts.client)
    _examine_clock(report, parts)
    timetable.examine_walk(report, walk, settings)


def _examine_clock(report: Report, parts: Services) -> None:
    skew = parts.client.skew
    if skew is None:
        return
    off = f"this machine's clock is {-skew:+.0f} seconds off TeamUp's"
    if abs(skew) > _WRONG_SECONDS:
        report.error("clock", f"{off}: set it, and keep it right (NTP)")
    elif abs(skew) > surroundings.SKEW_SECONDS:
        report.warning("clock", off)
    else:
        report.good("clock", "agrees with TeamUp's")
