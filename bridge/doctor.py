"""The doctor behind ``check``: looks at settings and upstream, and says what to change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bridge import config, services
from bridge.config import Config, UpstreamPlan
from bridge.errors import BridgeError, UpstreamError
from bridge.feeds import withholding
from bridge.feeds.catalogue import Catalogue, catalogue_of
from bridge.feeds.spec import Audience
from bridge.filters import FilterSet
from bridge.model import ClassSession
from bridge.services import Services
from bridge.upstream.walk import Walk

_SKEW_SECONDS = 60


class Level(Enum):
    """How bad a finding is."""

    GOOD = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    topic: str
    text: str


@dataclass
class Report:
    """What was found.

    Attributes:
        sees: numbers of what the token reaches.
        withheld: sessions that public feeds do not show, by reason.
        feeds: ready-made addresses, by what they are of.
    """

    findings: list[Finding] = field(default_factory=list)
    sees: dict[str, int] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    feeds: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether nothing has to be changed; warnings alone do not count."""
        return all(finding.level is not Level.ERROR for finding in self.findings)

    def add(self, level: Level, topic: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(level, topic, text))

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "healthy": self.healthy,
            "findings": [
                {"level": one.level.value, "topic": one.topic, "text": one.text}
                for one in self.findings
            ],
            "sees": self.sees,
            "withheld": self.withheld,
            "feeds": self.feeds,
        }

    def as_text(self) -> str:
        """For people."""
        lines = [f"{one.level.value:8}{one.topic}: {one.text}" for one in self.findings]
        for title, numbers in (("sees", self.sees), ("withheld", self.withheld)):
            if numbers:
                listed = ", ".join(f"{number} {name}" for name, number in numbers.items())
                lines.append(f"{title:8}{listed}")
        lines.extend(f"feed    {name}: {address}" for name, address in self.feeds.items())
        return "\n".join(lines)


def examine(load: Callable[[], Config] = config.load) -> Report:
    """Look at everything; whatever is wrong becomes a finding."""
    report = Report()
    try:
        settings = load()
        report.add(Level.GOOD, "settings", "all can be used")
        for warning in settings.warnings:
            report.add(Level.WARNING, "settings", warning)
        parts = services.build(settings)
    except BridgeError as err:
        report.add(Level.ERROR, "settings", str(err))
        return report
    try:
        walk = parts.walker.walk(FilterSet(past=settings.window_past_days))
    except UpstreamError as err:
        report.add(Level.ERROR, "TeamUp", str(err))
    else:
        _examine_walk(report, walk, parts)
    finally:
        parts.close()
    return report


def _examine_walk(report: Report, walk: Walk, parts: Services) -> None:
    settings = parts.config
    report.add(Level.GOOD, "TeamUp", "token, provider and mode are accepted")
    skew = parts.client.skew
    if skew is not None and abs(skew) > _SKEW_SECONDS:
        report.add(Level.WARNING, "clock", f"this machine's clock is {-skew:+.0f} seconds off")
    elif skew is not None:
        report.add(Level.GOOD, "clock", "agrees with TeamUp's")
    report.sees = {"sessions": len(walk.sessions), "pages": walk.pages}
    for reason, number in walk.tally.items():
        report.add(Level.WARNING, "rows", f"{number} {reason}")
    audience = parts.defaults.audience
    report.withheld = _withheld(walk.sessions, audience)
    per_ttl = settings.requests_per_minute * settings.cache_ttl / 60
    if settings.plan is UpstreamPlan.WIDE and walk.pages > per_ttl / 2:
        report.add(
            Level.WARNING,
            "plan",
            f"one walk takes {walk.pages} pages, over half of the {per_ttl:.0f} requests per"
            " CACHE_TTL: raise CACHE_TTL, or set UPSTREAM_PLAN=narrow",
        )
    people = {person.id for session in walk.sessions for person in session.instructors}
    if len(people) == 1 and len(walk.sessions) > 1:
        report.add(
            Level.WARNING,
            "permission",
            "all sessions have the same instructor: a token with instructor permission only may"
            " see nothing but its own; use one with manage_events",
        )
    report.add(
        Level.GOOD,
        "scope",
        "only the dated sessions of courses are served; TeamUp keeps ordinary classes elsewhere,"
        " and they are not shown",
    )
    found = catalogue_of(walk.sessions, audience)
    report.sees |= {
        "venues": len(found.venues),
        "instructors": len(found.instructors),
        "courses": len(found.courses),
    }
    report.feeds = _addresses(found, settings)


def _withheld(sessions: Sequence[ClassSession], audience: Audience) -> dict[str, int]:
    texts = {withholding.DRAFT: "drafts", withholding.UNKNOWN: "without a known visibility"}
    return {
        texts.get(reason, f"visible to {reason}"): number
        for reason, number in withholding.withheld(sessions, audience).items()
    }


def _addresses(found: Catalogue, settings: Config) -> dict[str, str]:
    base = settings.public_base_url or f"http://127.0.0.1:{settings.port}"
    addresses = {"all classes": f"{base}/sessions.ics"}
    for path, items in (("venues", found.venues), ("instructors", found.instructors)):
        for item in items:
            addresses[item.name] = f"{base}/{path}/{item.identity}.ics"
    return addresses
