"""Account checks: why TeamUp rejects requests, and which scheme or mode it would accept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bridge.config import Config
from bridge.config.parsers import AUTO_SCHEMES, MODES
from bridge.diagnostics import network_checks
from bridge.diagnostics.findings import CheckReport
from bridge.errors import Cause, ProblemArea
from bridge.model import SourceName
from bridge.services import Services
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore
from bridge.store.request_budget import SharedRequestBudget
from bridge.upstream.account import Account
from bridge.upstream.client import Client
from bridge.upstream.credential_probe import probe
from bridge.upstream.sources import SOURCES

Probe = Callable[[Account], Cause | None]

# TeamUp checks these only after it has accepted the token.
_AFTER_TOKEN = (ProblemArea.PROVIDER, ProblemArea.MODE, ProblemArea.PERMISSION)


def report_success(report: CheckReport, settings: Config, client: Client) -> None:
    """Report what TeamUp accepted."""
    report.good("network", f"{settings.base_url} answers")
    if settings.schemes:
        report.good("token", f"accepted, with the scheme {client.scheme or settings.schemes[0]}")
    else:
        report.warning(
            "token",
            "none is used: the bridge reads what the studio's public page shows, and keeps past"
            " classes itself; whether TeamUp's terms allow this is for you to read",
            "TEAMUP_AUTH_SCHEME",
        )
    report.good("provider", settings.provider_id or "not required: the token has only one")
    if settings.schemes:
        report.good("mode", settings.request_mode or "not required: the token has only one")


def report_failures(
    report: CheckReport,
    causes: Mapping[SourceName, Cause],
    read: Sequence[SourceName],
    bridge: Services,
) -> None:
    """Report why lists could not be read.

    Args:
        causes: by list.
        read: the lists that could be read.
    """
    if not causes:
        report.good("permission", f"{' and '.join(source.value for source in read)} can be read")
    reported: set[str] = set()
    for source, cause in causes.items():
        if read and cause.problem_area is ProblemArea.PERMISSION:
            remedy = (
                "give the token's user the permission (manage_events)"
                if bridge.config.schemes
                else "use a token (TEAMUP_AUTH_SCHEME)"
            )
            report.warning(
                "permission",
                f"TeamUp does not let the bridge read {source.value}, so feeds do not contain them:"
                f" {remedy}, or set TEAMUP_SOURCES={_names(read)} ({cause.code})",
                "TEAMUP_SOURCES",
            )
        elif cause.code not in reported:
            reported.add(cause.code)
            named = replace(cause, text=f"{source.value}: {cause.text}") if read else cause
            _report_failure(report, source, named, bridge)


def _names(sources: Sequence[SourceName]) -> str:
    return ",".join(source.value for source in sources)


def _report_failure(
    report: CheckReport, source: SourceName, cause: Cause, bridge: Services
) -> None:
    """Report why a request failed, and which setting would help, as far as probes can tell."""
    settings, clock = bridge.config, bridge.clock

    def probe_account(account: Account) -> Cause | None:
        # A store of its own: probes must not change the fleet's state, nor use its budget.
        store = MemoryStore(clock)
        budget = SharedRequestBudget(
            store, Keys(account.name), per_minute=settings.requests_per_minute
        )
        return probe(account, SOURCES[source], budget, clock)

    account = Account.of(settings)
    if cause.problem_area is ProblemArea.TOKEN:
        _report_token(report, cause, account, bridge.client, probe_account)
    elif cause.problem_area is ProblemArea.NETWORK:
        problem = network_checks.connection_problem(settings.base_url, clock)
        report.error("network", f"{cause.text} ({problem})", cause.problem_area.setting)
    else:
        _report_rejection(report, cause, account, probe_account)


def _report_token(
    report: CheckReport, cause: Cause, account: Account, client: Client, probe_account: Probe
) -> None:
    for scheme in AUTO_SCHEMES:
        other = replace(account, schemes=(scheme,))
        rejection = probe_account(other)
        if rejection is not None and rejection.problem_area not in _AFTER_TOKEN:
            continue
        report.error(
            "scheme",
            "TeamUp rejects the token with the scheme"
            f" {client.scheme or ' or '.join(account.schemes)}, but accepts it with {scheme}:"
            f" set TEAMUP_AUTH_SCHEME={scheme}",
            "TEAMUP_AUTH_SCHEME",
        )
        if rejection is not None:
            _report_rejection(report, rejection, other, probe_account)
        return
    report.error(
        "token",
        f"TeamUp rejects the token with each of the schemes {', '.join(AUTO_SCHEMES)}: it is wrong"
        f" or was revoked; set TEAMUP_API_TOKEN ({cause.code})",
        "TEAMUP_API_TOKEN",
    )


def _report_rejection(
    report: CheckReport, cause: Cause, account: Account, probe_account: Probe
) -> None:
    """Report a rejection that is not caused by the token."""
    text = cause.text
    if cause.problem_area is ProblemArea.MODE:
        for mode in MODES:
            if mode == account.request_mode:
                continue
            rejection = probe_account(replace(account, request_mode=mode))
            if rejection is None or rejection.problem_area is ProblemArea.PERMISSION:
                text = f"TeamUp accepts the mode {mode}: set TEAMUP_REQUEST_MODE={mode}"
                break
    area = cause.problem_area
    report.error(
        area.word if area else "TeamUp", f"{text} ({cause.code})", area.setting if area else None
    )
