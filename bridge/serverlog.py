"""The server's log: what granian and libraries say, as lines of JSON like the bridge's own."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

SETTINGS = Path(__file__).with_suffix(".json")
"""For granian: every logger of the standard library writes so, to standard error."""


class JsonLines(logging.Formatter):
    """One line a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        said = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)
