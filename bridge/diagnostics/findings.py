"""The report: what was looked at, how it stands, and which setting to change."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bridge.text_cleanup import for_terminal


class Level(Enum):
    """How bad a finding is."""

    GOOD = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: one word for it.
        setting: the environment variable to look at, where it is one that is to blame.
    """

    level: Level
    topic: str
    text: str
    setting: str | None = None


@dataclass
class CheckReport:
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

    def good(self, topic: str, text: str) -> None:
        """Add what is as it should be."""
        self.findings.append(Finding(Level.GOOD, topic, text))

    def warning(self, topic: str, text: str, setting: str | None = None) -> None:
        """Add what works, and is probably not meant."""
        self.findings.append(Finding(Level.WARNING, topic, text, setting))

    def error(self, topic: str, text: str, setting: str | None = None) -> None:
        """Add what has to be changed."""
        self.findings.append(Finding(Level.ERROR, topic, text, setting))

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "healthy": self.healthy,
            "findings": [
                {
                    "level": one.level.value,
                    "topic": one.topic,
                    "setting": one.setting,
                    "text": one.text,
                }
                for one in self.findings
            ],
            "sees": self.sees,
            "withheld": self.withheld,
            "feeds": self.feeds,
        }

    def as_text(self) -> str:
        """For people."""
        lines = [f"{one.level.value:9}{one.topic}: {one.text}" for one in self.findings]
        for title, numbers in (("sees", self.sees), ("withheld", self.withheld)):
            if numbers:
                listed = ", ".join(f"{number} {name}" for name, number in numbers.items())
                lines.append(f"{title:9}{listed}")
        lines.extend(f"feed     {name}: {address}" for name, address in self.feeds.items())
        return for_terminal("\n".join(lines))
