"""Logging to standard error: one line per event, as JSON or in a readable form.

The events of the bridge, of the server (granian) and of libraries have the same form.
"""

import logging
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from bridge import background
from bridge.ops.log_stream import STDERR

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[Any]
else:
    _StreamHandler = logging.StreamHandler

request_id: ContextVar[str] = ContextVar("request_id")
"""The id in all log lines of a request, which is also sent in the response."""

_SERVER = "_granian"
"""The name of granian's logger, from its documentation."""

# Values of several lines.
_TRACEBACKS = frozenset(("exception", "stack", "stack_info"))

_uncaught = logging.getLogger("bridge.uncaught")


def configure(log_format: str, log_level: str) -> None:
    """Configure the bridge's own log events (structlog) for the whole process.

    Args:
        log_format: ``json`` or ``console``.
        log_level: the lowest level to log: ``debug``, ``info``, ``warning`` or ``error``.
    """
    render = _renderers(log_format)
    STDERR.notice = partial(_notice, render)
    structlog.configure(
        processors=[_with_request, *_SHARED, *render],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[log_level.upper()]
        ),
        # It writes a line and its line break in one call.
        logger_factory=structlog.WriteLoggerFactory(STDERR),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


def standard_library(log_format: str, log_level: str) -> dict[str, Any]:
    """The ``logging.config.dictConfig`` for log records of the standard library.

    These are granian's lines, the warnings of libraries and uncaught exceptions.

    Args:
        log_format, log_level: as for :func:`configure`.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"()": install_handler, "log_format": log_format}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {_SERVER: {"level": log_level.upper()}},
    }


def install_handler(log_format: str) -> logging.Handler:
    """A handler for all records of this process.

    Warnings, and exceptions in threads and destructors, become records too. Python would print
    them to ``sys.stderr``, which may block, and not as JSON.
    """
    handler = _Handler(log_format)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread_exception
    sys.unraisablehook = _log_unraisable
    return handler


class _Handler(_StreamHandler):
    """Renders the standard library's records in the same form as the bridge's own events."""

    def __init__(self, log_format: str) -> None:
        super().__init__(STDERR)
        self._render = _renderers(log_format)
        STDERR.notice = partial(_notice, self._render)
        self.formatter = structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *self._render,
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
        )

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Log that *record* cannot be formatted. The default would print to ``sys.stderr``."""
        where = f"{record.pathname}:{record.lineno}"
        line = _line(self._render, "error", event="bad log call", where=where, exc_info=True)
        STDERR.write(line)


_SHARED: list[structlog.typing.Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _renderers(log_format: str) -> list[structlog.typing.Processor]:
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # If rich is installed, the default prints local variables, which include secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    return [structlog.processors.format_exc_info, _escape, render]


def _escape(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape what is not printable: it could control a terminal, or imitate another line."""
    return {
        name: "\n".join(map(_printable, value.split("\n")))
        if name in _TRACEBACKS
        else _printable(value)
        for name, value in event.items()
    }


def _printable(value: Any) -> Any:
    """*value* with all characters escaped, in all of its texts, that are not printable."""
    if isinstance(value, str):
        if value.isprintable():
            return value
        return "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in value
        )
    if isinstance(value, Mapping):
        return {_printable(name): _printable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def _line(render: list[structlog.typing.Processor], level: str, **event: Any) -> str:
    rendered: Any = event
    for process in [*_SHARED, *render]:
        rendered = process(None, level, rendered)
    return f"{rendered}\n"


def _notice(render: list[structlog.typing.Processor], dropped: int) -> str:
    return _line(render, "warning", event="log lines dropped", count=dropped)


def _log_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit or args.exc_value is None:
        return
    name = args.thread.name if args.thread else None
    _uncaught.error(
        "exception in thread %r",
        name,
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
    )


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    error = args.exc_value
    exc_info = (args.exc_type, error, args.exc_traceback) if error is not None else None
    _uncaught.error("%s: %r", args.err_msg or "exception ignored", args.object, exc_info=exc_info)


def _with_request(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    # structlog's own context variables would cost each request twenty times as much.
    current_id = request_id.get(None)
    if current_id is not None:
        event["request_id"] = current_id
    if studio := background.studio.get():
        event["studio"] = studio
    return event
