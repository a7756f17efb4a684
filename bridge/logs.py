"""Logs: one line an event, JSON for machines or readable for people, on standard error."""

import logging
import sys
from contextvars import ContextVar

import structlog

from bridge.config import Config

request_id: ContextVar[str] = ContextVar("request_id")
"""What the lines of one request have in common; its answer carries it too."""


def configure(config: Config) -> None:
    """Log as the settings say; for the whole process."""
    renderer: structlog.typing.Processor
    if config.log_format == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
        tail: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, renderer]
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Where rich is installed the default prints local variables, secrets among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
        tail = [renderer]
    structlog.configure(
        processors=[
            _with_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *tail,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[config.log_level.upper()]
        ),
        # A line and its end are written as one: several workers share what they write to, and
        # where it is not buffered (PYTHONUNBUFFERED) the line of another one would come between.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _with_request(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    # structlog's own context would cost every request twenty times as much as this.
    identity = request_id.get(None)
    if identity is not None:
        event["request_id"] = identity
    return event
