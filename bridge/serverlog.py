"""The server's log: what uvicorn and libraries say, in lines like the bridge's own."""

import json
import logging
import time
from datetime import UTC, datetime

# In it the server speaks itself, too.
_SERVER = "uvicorn.error"


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


def begin(form: str, level: str) -> logging.Logger:
    """Let every logger of the standard library write so, to standard error; for this process.

    Args:
        form: ``json``, or any other for lines that people read.
        level: from which on the server is heard; of libraries only warnings are.

    Returns:
        The server's logger.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else _readable())
    handler.addFilter(_concerns_operators)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logger = logging.getLogger(_SERVER)
    logger.setLevel(level.upper())
    return logger


def _readable() -> logging.Formatter:
    lines = logging.Formatter("%(asctime)s [%(levelname)s] %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    lines.converter = time.gmtime
    return lines


def _concerns_operators(record: logging.LogRecord) -> bool:
    """Whether *record* is true for whoever runs the bridge: told once more it ends no sooner."""
    return "CTRL+C" not in str(record.msg)
