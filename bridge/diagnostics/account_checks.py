"""The account: why TeamUp refuses it, and which scheme or mode would be accepted."""

from collections.abc import Callable
from dataclasses import replace

from bridge.clock import Clock
from bridge.config import Config
from bridge.diagnostics import network_checks
from bridge.diagnostics.findings import CheckReport
from bridge.environment import AUTO_SCHEMES, MODES
from bridge.errors import Cause, ProblemArea
from bridge.store.keys import Keys
from bridge.store.memory import MemoryStore
from bridge.store.rate_limit import SharedRequestBudget
from bridge.upstream.account import Account
from bridge.upstream.client import Client
from bridge.upstream.credential_probe import probe
from bridge.upstream.sources import COURSE_SESSIONS

Try = Callable[[Account], Cause | None]

_BEHIND_THE_TOKEN = (ProblemArea.PROVIDER, ProblemArea.MODE, ProblemArea.PERMISSION)
"""What is looked at once the token is accepted."""


def tell_accepted(report: CheckReport, settings: Config, client: Client) -> None:
    """Say what TeamUp accepts, after it has answered."""
    report.good("network", f"{settings.base_url} answers")
    report.good("token", f"accepted, after the word {client.scheme or settings.schemes[0]}")
    report.good("provider", settings.provider_id or "the token reaches one; none need be named")
    report.good("mode", settings.request_mode or "the token has one; none need be named")
    report.good("permission", "sessions may be read")


def explain(
    report: CheckReport, cause: Cause, settings: Config, client: Client, clock: Clock
) -> None:
    """Say why TeamUp did not answer, and what would help as far as trying can tell."""

    def tried(account: Account) -> Cause | None:
        # What is learnt here is not for the fleet, and its budget is not for this.
        store = MemoryStore(clock)
        budget = SharedRequestBudget(
            store, Keys(account.name), per_minute=settings.requests_per_minute
        )
        return probe(account, COURSE_SESSIONS, budget, clock)

    account = Account.of(settings)
    if cause.matter is ProblemArea.TOKEN:
        _explain_token(report, cause, account, client, tried)
    elif cause.matter is ProblemArea.NETWORK:
        obstacle = network_checks.obstacle(settings.base_url, clock)
        report.error("network", f"{cause.text} ({obstacle})", cause.matter.setting)
    else:
        _explain_refusal(report, cause, account, tried)


def _explain_token(
    report: CheckReport, cause: Cause, account: Account, client: Client, tried: Try
) -> None:
    for scheme in AUTO_SCHEMES:
        other = replace(account, schemes=(scheme,))
        refused = tried(other)
        if refused is not None and refused.matter not in _BEHIND_THE_TOKEN:
            continue
        report.error(
            "scheme",
            "TeamUp refuses the token after the word"
            f" {client.scheme or ' or '.join(account.schemes)}, and takes it after {scheme}:"
            f" set TEAMUP_AUTH_SCHEME={scheme}",
            "TEAMUP_AUTH_SCHEME",
        )
        if refused is not None:
            _explain_refusal(report, refused, other, tried)
        return
    report.error(
        "token",
        f"TeamUp refuses the token after each of the words {', '.join(AUTO_SCHEMES)}: it is wrong,"
        f" or was withdrawn; set TEAMUP_API_TOKEN ({cause.code})",
        "TEAMUP_API_TOKEN",
    )


def _explain_refusal(report: CheckReport, cause: Cause, account: Account, tried: Try) -> None:
    """Say what else than the token is refused."""
    text = cause.text
    if cause.matter is ProblemArea.MODE:
        for mode in MODES:
            if mode == account.request_mode:
                continue
            refused = tried(replace(account, request_mode=mode))
            if refused is None or refused.matter is ProblemArea.PERMISSION:
                text = f"TeamUp accepts the mode {mode}: set TEAMUP_REQUEST_MODE={mode}"
                break
    matter = cause.matter
    report.error(
        matter.word if matter else "TeamUp",
        f"{text} ({cause.code})",
        matter.setting if matter else None,
    )
