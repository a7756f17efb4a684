"""The findings of ``check``, and the report that contains them."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bridge.text_cleanup import without_controls


class Level(Enum):
    """The severity of a finding."""

    GOOD = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        topic: the subject of the check, in a word or two.
        setting: the environment variable to change, if one is the cause.
    """

    level: Level
    topic: str
    text: str
    setting: str | None = None


@dataclass
class CheckReport:
    """The report of ``check``.

    Attributes:
        counts: how many objects the token can read, by type.
        hidden: how many sessions public feeds do not show, by reason.
        feeds: the addresses of feeds, by name.
    """

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)
    feeds: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether there are no errors."""
        return all(finding.level is not Level.ERROR for finding in self.findings)

    def good(self, topic: str, text: str) -> None:
        """Add a successful check."""
        self.findings.append(Finding(Level.GOOD, topic, text))

    def warning(self, topic: str, text: str, setting: str | None = None) -> None:
        """Add a setting or state that works, but is probably not intended."""
        self.findings.append(Finding(Level.WARNING, topic, text, setting))

    def error(self, topic: str, text: str, setting: str | None = None) -> None:
        """Add a problem that must be fixed."""
        self.findings.append(Finding(Level.ERROR, topic, text, setting))

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "healthy": self.healthy,
            "findings": [
                {
                    "level": finding.level.value,
                    "topic": finding.topic,
                    "setting": finding.setting,
                    "text": finding.text,
                }
                for finding in self.findings
            ],
            "sees": self.counts,
            "withheld": self.hidden,
            "feeds": self.feeds,
        }

    def as_text(self) -> str:
        """The report as text, one line a finding."""
        lines = [
            f"{finding.level.value:9}{finding.topic}: {finding.text}" for finding in self.findings
        ]
        for title, counts in (("sees", self.counts), ("withheld", self.hidden)):
            if counts:
                listed = ", ".join(f"{count} {name}" for name, count in counts.items())
                lines.append(f"{title:9}{listed}")
        lines.extend(f"feed     {name}: {address}" for name, address in self.feeds.items())
        return without_controls("\n".join(lines))
